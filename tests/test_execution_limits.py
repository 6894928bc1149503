"""Time limits, second attempts, cancellation by token: what a run gives up is its own business, and nothing is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

import pytest

from voxlogica.execution.engine import Broken, ExecutionEngine, Finished, Token
from voxlogica.formula import IMAGE, Formula
from voxlogica.kernels.fields import constant
from voxlogica.storage import Claim, Done, Failed, MemoryStorage, Provenance, StoreFull, TaskError
from voxlogica.values import Image, Space
from world import SOON, World, at_once, outcomes, soon, values


class Gate:
    """A kernel that says it runs, and returns when it may."""

    def __init__(self, value: float = 2.0) -> None:
        self.running, self.go, self.value = threading.Event(), threading.Event(), value

    def __call__(self, *_: object) -> float:
        self.running.set()
        soon(self.go)
        return self.value


def rung_by_hand(engine: ExecutionEngine, monkeypatch: pytest.MonkeyPatch) -> SimpleQueue[Callable[[], None]]:
    """What the engine's alarms would do, in their order: no clock decides which of them go off."""
    bells: SimpleQueue[Callable[[], None]] = SimpleQueue()
    monkeypatch.setattr(engine._workers.alarms, "set", lambda _, ring: bells.put(ring))
    return bells


def test_a_task_that_takes_too_long_fails_for_its_run_only(monkeypatch: pytest.MonkeyPatch):
    """Another run waits for it; its thread is replaced; its late success is stored."""
    world, gate, storage = World(), Gate(), MemoryStorage()
    slow = world("slow", gate)
    after, quick = world("after", lambda a: a + 1, slow), world("quick", lambda: 1.0)
    with ExecutionEngine(storage, jobs=1) as engine:
        bells = rung_by_hand(engine, monkeypatch)
        patient, hasty = engine.run([after]), engine.run([after, quick], task_timeout=0.05)
        bells.get(timeout=SOON)()  # slow's, since there is one job, and it has that
        found = dict(hasty)
        broken = found[after]
        assert isinstance(broken, Broken)
        assert broken.formula is slow
        assert (broken.error.kind, broken.error.type) == ("circumstance", "TimeoutError")
        assert broken.error.message == "this took longer than the limit of 0.05 s"
        assert broken.error.limits == (("seconds", 0.05),)
        assert found[quick].value == 1.0, "there is only one job, and it is free"  # type: ignore[union-attr]
        assert storage.claim(slow.id) is None, "the kernel keeps its claim"
        gate.go.set()
        assert [outcome.value for _, outcome in patient] == [3.0]  # type: ignore[union-attr]
    assert isinstance(storage.lookup(slow.id), Done)
    assert world.ran == {"slow": 1, "after": 1, "quick": 1}


def test_threads_that_were_replaced_end_when_their_kernels_return():
    world = World()
    gates = [Gate() for _ in range(3)]
    with ExecutionEngine(MemoryStorage(), jobs=1) as engine:
        for n, gate in enumerate(gates):
            assert isinstance(outcomes(engine, world(f"slow{n}", gate), task_timeout=0.02).popitem()[1], Broken)
        workers = engine._workers
        assert workers._alive == 4
        for gate in gates:
            gate.go.set()
        done = [world(f"slow{n}", gate) for n, gate in enumerate(gates)]
        assert values(engine, *done) == [2.0, 2.0, 2.0]
        for thread in workers._threads:
            thread.join(0.0 if thread.is_alive() else None)
    assert workers._alive == 0
    assert not any(thread.is_alive() for thread in workers._threads)


def test_a_run_that_takes_too_long_fails_where_it_is_not_finished(monkeypatch: pytest.MonkeyPatch):
    world, gate = World(), Gate()
    quick, slow = world("quick", lambda: 1.0), world("slow", gate)
    with ExecutionEngine(MemoryStorage(), jobs=2) as engine:
        bells = rung_by_hand(engine, monkeypatch)
        run = iter(engine.run([quick, slow], timeout=0.2))
        found = dict([next(run)])
        bells.get_nowait()()
        found |= dict(run)
        assert isinstance(found[quick], Finished)
        assert found[slow].error.message == "the run was not finished after its limit of 0.2 s"  # type: ignore[union-attr]
        gate.go.set()
        assert values(engine, slow) == [2.0]
    assert world.ran["slow"] == 1


def test_an_owner_that_is_stopped_does_not_stop_whoever_has_a_limit():
    world, storage = World(), MemoryStorage()
    goal = world("goal", lambda: 3.0)
    claim = storage.claim(goal.id)
    assert isinstance(claim, Claim)
    with ExecutionEngine(storage, jobs=1) as engine:
        (outcome,) = outcomes(engine, goal, task_timeout=0.05).values()
        assert isinstance(outcome, Broken)
        assert outcome.error.message == "another worker has been computing this for longer than the limit of 0.05 s"
        storage.release(claim)
        assert values(engine, goal) == [3.0]


def test_a_circumstance_that_passes_costs_nothing():
    """The second attempt starts when no other kernel runs."""
    world, gate = World(), Gate()
    tried = []

    def moody() -> float:
        tried.append(gate.go.is_set())
        if len(tried) == 1:
            soon(gate.running)
            gate.go.set()
            raise MemoryError
        return 5.0

    with ExecutionEngine(MemoryStorage(), jobs=2) as engine:
        assert values(engine, world("moody", moody), world("other", gate)) == [5.0, 2.0]
    assert len(tried) == 2


def failing_store(error: type[Exception]) -> MemoryStorage:
    class Failing(MemoryStorage):
        def claim(self, id, *, timeout=0):  # type: ignore[no-untyped-def]
            raise error

    return Failing()


def test_a_store_that_takes_no_claims_any_more_is_done_without():
    """It was removed under us, say: what is under way is computed all the same."""
    world = World()
    storage = failing_store(StoreFull)
    a = world("a", lambda: 1.0)
    with ExecutionEngine(storage, jobs=1) as engine:
        assert values(engine, world("b", lambda x: x + 1, a)) == [2.0]


def test_a_failure_elsewhere_under_narrower_limits_is_no_answer():
    """Somebody with less memory failed while we waited: we try ourselves."""
    for limit, answer in ((1.0, 3.0), (1e15, None)):
        world, storage = World(), MemoryStorage()
        goal = world("goal", lambda: 3.0)
        claim = storage.claim(goal.id)
        assert isinstance(claim, Claim)
        with ExecutionEngine(storage, jobs=1, memory=10**9) as engine:
            other = world("other", lambda: 0.0)
            run = iter(engine.run([goal, other]))
            assert next(run)[0] is other
            storage.mark_failed(claim, TaskError("circumstance", "MemoryError", "no", limits=(("memory", limit),)))
            assert getattr(next(run)[1], "value", None) == answer


def test_stored_failures_are_tried_again_when_that_is_asked_for():
    world, storage = World(), MemoryStorage()
    broken = [True]

    def body() -> float:
        if broken:
            raise ZeroDivisionError
        return 1.0

    bad = world("bad", body)
    after = world("after", lambda a: a, bad)
    with ExecutionEngine(storage, jobs=1) as engine:
        assert isinstance(outcomes(engine, after)[after], Broken)
        broken.clear()
        assert isinstance(outcomes(engine, after)[after], Broken), "a definite failure is an answer"
        assert values(engine, after) != [1.0]
        assert outcomes(engine, after, retry_failed=True)[after].value == 1.0  # type: ignore[union-attr]
        assert values(engine, bad) == [1.0]
    assert world.ran == {"bad": 2, "after": 1}


def test_a_token_cancels_all_that_carry_it_and_what_is_begun_afterwards():
    world, gate, storage = World(), Gate(), MemoryStorage()
    slow = world("slow", gate)
    after = world("after", lambda a: a, slow)
    token = Token()
    with ExecutionEngine(storage, jobs=1) as engine:
        runs = [engine.run([after], token=token) for _ in range(3)]
        other = engine.run([slow])
        soon(gate.running)
        token.cancel()
        token.cancel()
        assert [list(run) for run in runs] == [[], [], []]
        assert list(engine.run([after], token=token)) == []
        gate.go.set()
        assert [outcome.value for _, outcome in other] == [2.0]  # type: ignore[union-attr]
        assert isinstance(storage.claim(after.id), Claim), "not begun, and its claim is free"
    assert token._runs == []
    assert world.ran == {"slow": 1}


def test_a_run_that_ends_leaves_its_token():
    world, token = World(), Token()
    with ExecutionEngine(MemoryStorage(), jobs=1) as engine:
        assert len(list(engine.run([world("a", lambda: 1.0)], token=token))) == 1
    assert token._runs == []


# Sharing


@pytest.mark.parametrize("engines", [1, 4])
def test_100_waiters_of_one_task_wake_when_it_is_done(engines: int):
    """One execution, whether they are runs of one engine or of several; and waiting takes no worker."""
    world, gate, storage = World(), Gate(), MemoryStorage()
    slow = world("slow", gate)
    goals = [world(f"goal{n}", lambda a, n=n: a + n, slow) for n in range(100)]
    others = [world(f"other{n}", lambda: 1.0) for n in range(engines)]
    all_engines = [ExecutionEngine(storage, jobs=1) for _ in range(engines)]
    started = threading.Barrier(101)
    first = all_engines[0].run([slow])
    soon(gate.running)

    def wait(n: int) -> Callable[[], None]:
        def work() -> None:
            run = all_engines[n % engines].run([goals[n]])
            started.wait(SOON)
            assert [outcome.value for _, outcome in run] == [2.0 + n]  # type: ignore[union-attr]

        return work

    def let_go() -> None:
        started.wait(SOON)
        for engine, other in zip(all_engines[1:], others, strict=False):
            assert values(engine, other) == [1.0], "its only worker waits for nobody"
        gate.go.set()

    at_once(let_go, *[wait(n) for n in range(100)])
    assert len(list(first)) == 1
    for engine in all_engines:
        engine.close()
    assert world.ran["slow"] == 1
    assert all(world.ran[f"goal{n}"] == 1 for n in range(100))


def test_three_engines_with_several_threads_each_publish_each_task_once():
    """Counted by the store: one publication of each published task, whoever made it."""
    from test_execution import random_graph
    from voxlogica.plan import plan

    published: list[bytes] = []

    class Counting(MemoryStorage):
        def store(self, claim: Claim, value: object, made: Provenance, *, goal: bool = False) -> Done:
            published.append(claim.id)
            return super().store(claim, value, made)  # type: ignore[arg-type]

    _, formulas, naive = random_graph(7, 400)
    storage, barrier = Counting(), threading.Barrier(9)
    goals = formulas[-30:]
    engines = [ExecutionEngine(storage, jobs=2) for _ in range(3)]

    def work(engine: ExecutionEngine) -> None:
        barrier.wait(SOON)
        assert values(engine, *goals) == [naive[goal] for goal in goals]

    at_once(*[lambda engine=engine: work(engine) for engine in engines * 3])
    for engine in engines:
        engine.close()
    assert sorted(published) == sorted(task.id for task in plan(goals).tasks if task.published)
    assert not storage._owned


def test_more_foreign_claims_than_threads_to_wait_with():
    from voxlogica.execution.threads import HELPERS

    world, storage = World(), MemoryStorage()
    goals = [world(f"goal{n}", lambda n=n: float(n)) for n in range(3 * HELPERS)]
    claims = [storage.claim(goal.id) for goal in goals]
    with ExecutionEngine(storage, jobs=1) as engine:
        run = engine.run(goals)
        threads = threading.active_count()
        for claim in claims:
            assert isinstance(claim, Claim)
            storage.release(claim)
        assert sorted(outcome.value for _, outcome in run) == [float(n) for n in range(3 * HELPERS)]  # type: ignore[union-attr]
    assert threads <= 2 * HELPERS
    assert isinstance(storage.lookup(goals[0].id), Done)
    assert not isinstance(storage.lookup(goals[0].id), Failed)


def test_what_no_memory_of_this_machine_holds_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value that is larger than the memory alone; one that is larger than the budget runs, when nothing else does."""
    monkeypatch.setattr("voxlogica.execution.limits.memory", lambda: 1000)
    world = World()

    def image(name: str, space: Space) -> Formula:
        operator = world.operator(name, lambda: Image.of(space, constant(space.shape, 1)), 0, "voxels", IMAGE)
        return world.table.apply(operator, (), space)

    small, large = image("small", Space.grid(10, 24)), image("large", Space.grid(10, 26))
    with ExecutionEngine(MemoryStorage(), jobs=1, memory=100) as engine:
        found = outcomes(engine, small, large)
    assert isinstance(found[small], Finished)
    broken = found[large]
    assert isinstance(broken, Broken)
    assert (broken.error.kind, broken.error.type) == ("circumstance", "MemoryError")
    assert world.ran == {"small": 1}
