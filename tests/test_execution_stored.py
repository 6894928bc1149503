"""The engine on the store that lasts: the same answers cold and warm; who crashes is suspected, and then isolated."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import isolated
from test_execution import random_graph
from test_execution_dynamic import Growing
from test_execution_isolation import SOON, appeared, formula
from voxlogica.execution.engine import Broken, ExecutionEngine
from voxlogica.execution.events import all_of
from voxlogica.execution.messages import Claim, Event, Granted
from voxlogica.formula import Formulas
from voxlogica.identity import Id
from voxlogica.operators import operators
from voxlogica.storage import Claim as Held
from voxlogica.storage.conformance import taken, task
from voxlogica.storage.embedded import EmbeddedStorage
from world import outcomes, values


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[EmbeddedStorage]:
    with EmbeddedStorage(tmp_path / "store") as storage:
        yield storage


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_graph_is_the_same_cold_and_warm_and_nothing_is_computed_twice(jobs: int, storage: EmbeddedStorage):
    world, formulas, naive = random_graph(3, 150)
    goals = formulas[-20:]
    for _ in range(2):
        with ExecutionEngine(storage, jobs=jobs) as engine:
            assert values(engine, *goals) == [naive[goal] for goal in goals]
        ran = world.ran.total()
    assert world.ran.total() == ran


def test_who_looks_around_while_claiming_sees_that_an_equal_run_is_under_way(storage: EmbeddedStorage):
    _, formulas, _ = random_graph(5, 20)
    one, other = formulas[-2:]
    with EmbeddedStorage(storage.directory) as elsewhere, ExecutionEngine(storage, jobs=2, cold=True) as engine:
        claim = taken(elsewhere.claim(task("turn")))
        workers = engine._workers
        workers.behind.add(task("turn"))
        assert workers._claim(Claim(1, one, False, 8, looks=True), None) == Granted(1, True, crowded=True)
        elsewhere.release(claim)
        assert workers._claim(Claim(2, other, False, 8, looks=True), None) == Granted(2, True, crowded=False)


def test_a_run_may_begin_behind_another_while_somebody_looks_around(storage: EmbeddedStorage):
    _, formulas, _ = random_graph(5, 20)
    with ExecutionEngine(storage, jobs=2, cold=True) as engine:
        workers, looked = engine._workers, []

        def held(id: Id) -> bool:
            looked.append(id)
            workers.behind.add(task("begun meanwhile"))
            return False

        workers.behind.add(task("turn"))
        workers._held = held
        assert workers._claim(Claim(1, formulas[-1], False, 8, looks=True), None) == Granted(1, True, crowded=False)
        assert looked == [task("turn")]


def test_formulas_are_stored_like_values(storage: EmbeddedStorage):
    world = Growing()
    goal = world.table.apply(world.sum, (world.table.apply(world.squares, (world.number(4.0),)),))
    for engines in range(2):
        with ExecutionEngine(storage, jobs=2, operators=world.known.get) as engine:
            assert values(engine, goal) == [14.0]
        assert world.ran["squares"] == 1, engines


def test_everything_that_was_published_is_said_to_be_persisted(storage: EmbeddedStorage):
    """The iteration ends after the store has taken the last value, for who listens."""
    from voxlogica.plan import plan

    _, formulas, _ = random_graph(4, 100)
    told: list[Event] = []
    with ExecutionEngine(storage, jobs=2) as engine:
        outcomes(engine, formulas[-1], listen=all_of(told.append))
        kept = {event.id for event in told if event.kind == "persisted"}
        assert kept == {task.id for task in plan(formulas[-1:]).tasks if task.published}
        assert storage.known(kept).keys() == kept


def test_what_the_store_would_not_take_is_not_claimed(storage: EmbeddedStorage, monkeypatch: pytest.MonkeyPatch):
    """Whoever waited for the claim would get nothing, and each heir would find that out in turn."""
    world = Growing()
    goal = world.table.apply(world.squares, (world.number(4.0),))
    claimed = list[object]()
    claim = EmbeddedStorage.claim
    monkeypatch.setattr(
        EmbeddedStorage, "claim", lambda self, id, **more: claimed.append(id) or claim(self, id, **more)
    )
    monkeypatch.setattr(EmbeddedStorage, "accepts", lambda *_: False)
    with ExecutionEngine(storage, jobs=2, operators=world.known.get) as engine:
        outcomes(engine, goal)
    assert not claimed


def test_what_is_published_follows_from_the_constants_that_the_store_was_first_used_with(tmp_path: Path):
    """A version that knows better costs does what the others do who share the store."""
    from voxlogica.plan import COSTS, Costs

    table, add = Formulas(), operators()["add_numbers"]
    sums = [table.constant(1.0)]
    for _ in range(5):
        sums.append(table.apply(add, (sums[-1], sums[0])))
    for k, published in ((0.0, sums[1:]), (1e9, sums[-1:])):
        with EmbeddedStorage(tmp_path / str(k)) as storage, ExecutionEngine(storage, jobs=2) as engine:
            assert storage.agreed("costs", Costs(k=k, classes=COSTS.classes).text) != COSTS.text
            told: list[Event] = []
            outcomes(engine, sums[-1], listen=all_of(told.append))
            assert {event.id for event in told if event.kind == "persisted"} == {each.id for each in published}


def test_a_store_that_is_removed_while_it_runs_costs_no_answer(storage: EmbeddedStorage, tmp_path: Path):
    import shutil

    world, formulas, naive = random_graph(5, 60)
    remove = world("remove", lambda: float(bool(shutil.rmtree(tmp_path / "store"))))
    after = [world(f"after{n}", lambda a, n=n: a + n, remove) for n in range(5)]
    with ExecutionEngine(storage, jobs=2) as engine:
        assert values(engine, *after) == [0.0, 1.0, 2.0, 3.0, 4.0]
        assert values(engine, formulas[-1]) == [naive[formulas[-1]]]


def test_a_death_by_our_own_hand_is_not_counted(storage: EmbeddedStorage, tmp_path: Path):
    path = tmp_path / "pid"
    goal = formula(isolated.sleep, str(path))
    with ExecutionEngine(storage, jobs=1) as engine:
        run = engine.run([goal])
        appeared(path)
        run.cancel()
        assert isinstance(storage.claim(goal.id, timeout=SOON), Held)
        assert storage.suspects() == {}


CRASH = """
import sys
from test_execution_isolation import formula
import isolated
from voxlogica.execution.engine import ExecutionEngine
from voxlogica.storage.embedded import EmbeddedStorage

goal = formula(isolated.crash, sys.argv[2], isolate=False)
with EmbeddedStorage(sys.argv[1]) as storage, ExecutionEngine(storage, jobs=1) as engine:
    list(engine.run([goal]))
"""


def test_what_was_running_twice_when_its_process_died_runs_isolated(tmp_path: Path):
    """Then it can only kill its own process, and after three such deaths that is its answer."""
    deaths = tmp_path / "deaths"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", CRASH, tmp_path / "store", deaths], env=env, capture_output=True, check=False
        )
        assert done.returncode < 0, done.stderr
    goal = formula(isolated.crash, str(deaths), isolate=False)
    for deaths_in_all in (4, 5, 5):
        with EmbeddedStorage(tmp_path / "store") as storage, ExecutionEngine(storage, jobs=1) as engine:
            outcome = outcomes(engine, goal)[goal]
        assert isinstance(outcome, Broken)
        assert outcome.error.type == "WorkerDied"
        assert len(deaths.read_text()) == deaths_in_all
    assert "it killed its worker 3 times" in outcome.error.message
