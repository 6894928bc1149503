"""Random graphs x random and adversarial schedules x evictions, losses, failures: nothing hangs, all is right.

`VOXLOGICA_GRAPHS` says how many graphs; the soak is 100000.
"""

from __future__ import annotations

import os
import random

import pytest

from simulation import POLICIES, Simulation, hostilities
from voxlogica.plan import plan

GRAPHS = int(os.environ.get("VOXLOGICA_GRAPHS", "1500"))


def sizes(seed: int) -> dict[str, int]:
    """The size of the world with this seed: few tasks and little room are where the trouble is."""
    rng = random.Random(seed)
    return {
        "tasks": rng.randint(1, 25),
        "jobs": rng.randint(1, 4),
        "memory": rng.choice([20, 60, 120, 10**9]),
    }


def told(seed: int, error: AssertionError) -> AssertionError:
    return AssertionError(f"seed {seed}: {error}")


@pytest.mark.parametrize("policy", POLICIES)
def test_any_graph_in_any_order_computes_each_needed_task_once(policy: str):
    """With room for everything each task runs once; without, each published one does, and every goal is right.

    A private task may also run again when formulas that come later need it.
    """
    for seed in range(GRAPHS // len(POLICIES)):
        world = Simulation(seed, **sizes(seed), hostile=False, policy=policy, dynamic=seed % 2 == 0)
        try:
            world.begin()
            world.finish()
        except AssertionError as error:
            raise told(seed, error) from error
        goals = list(world.goals[0])
        needed: set[bytes] = set()
        while goals:  # what the dynamic ones return is needed too
            fresh = [task.id for task in plan(goals).tasks if task.id not in needed]
            needed.update(fresh)
            goals = [element for id in fresh for element in world.elements.get(id, ())]
        assert set(world.computed) <= needed, seed
        if not needed & world.elements.keys():  # what they return may find things stored that the goals had computed
            assert set(world.computed) == needed, seed
        once = [id for id in world.computed if world.kind[id] in ("published", "tiny") or id in world.elements]
        assert len(once) == len(set(once)), seed
        if world.machine.memory == 10**9 and not needed & world.elements.keys():
            assert len(world.computed) == len(needed), seed


@pytest.mark.parametrize("policy", POLICIES)
def test_failures_foreign_owners_losses_lateness_and_cancellations(policy: str):
    for seed in range(GRAPHS // len(POLICIES)):
        try:
            hostilities(seed, **sizes(seed), policy=policy)
        except AssertionError as error:
            raise told(seed, error) from error


def test_the_worlds_have_what_they_are_to_have():
    """Every kind of event and instruction occurs in them: a simulation that avoids the trouble would prove nothing."""
    kinds: set[str] = set()
    for seed in range(400):
        world = hostilities(seed, **sizes(seed), policy="any")
        kinds |= {tell.event.kind for tell in world.told}
    assert kinds == {
        "started", "done", "failed", "skipped", "reused", "waited", "retried", "overdue", "evicted", "lost", "freed",
        "persisted", "unstored",
    }  # fmt: skip
