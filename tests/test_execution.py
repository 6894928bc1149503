"""The engine with its threads: right values for any number of jobs, each task once, failures per goal, clean endings.

Nothing here sleeps: kernels meet at barriers and events, so that what is to happen at once does. A lost wake-up would
show as a hang; `soon` bounds every wait.
"""

from __future__ import annotations

import gc
import os
import random
import signal
import sys
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType

import pytest

from voxlogica.errors import InternalError, Refusal, Source, Span
from voxlogica.execution import limits
from voxlogica.execution.engine import Broken, ExecutionEngine, Finished
from voxlogica.execution.messages import Begin, Event, Input
from voxlogica.execution.threads import AT_ONCE
from voxlogica.formula import IMAGE, MASK, NUMBER, Formula, Formulas, Leaf, Operator, Origin, below
from voxlogica.operators import operators
from voxlogica.storage import (
    Claim,
    Done,
    Failed,
    MemoryStorage,
    Missing,
    Outcome,
    Publication,
    StoreFull,
    TaskError,
    TaskId,
)  # fmt: skip
from voxlogica.values import Space, Value
from world import SOON, World, at_once, outcomes, soon, values


@pytest.fixture
def engine() -> Iterator[ExecutionEngine]:
    with ExecutionEngine(MemoryStorage(), jobs=2) as engine:
        yield engine


# Values


def random_graph(seed: int, size: int) -> tuple[World, list[Formula], dict[Formula, float]]:
    """Sums and products over each other, some tiny, some private kernels, some published; and their naive values."""
    rng = random.Random(seed)
    world = World()
    operators = [
        world.operator(f"{name}{cost}", body, 2, cost)
        for name, body in (("add", lambda a, b: (a + b) % 1e6), ("mul", lambda a, b: (a * b) % 997.0))
        for cost in ("scalar", "voxels", "")
    ]
    formulas: list[Formula] = [world.table.constant(float(n)) for n in range(3)]
    naive = {formula: formula.value for formula in formulas}
    for _ in range(size):
        operator = rng.choice(operators)
        arguments = (rng.choice(formulas[-8:]), rng.choice(formulas))
        formula = world.table.apply(operator, arguments)
        naive[formula] = operator.body(*(naive[a] for a in arguments))
        formulas.append(formula)
    world.ran.clear()
    return world, formulas, naive  # type: ignore[return-value]


@pytest.mark.parametrize("jobs", [1, 2, 5])
@pytest.mark.parametrize("seed", range(8))
def test_results_are_those_of_plain_evaluation_for_any_number_of_jobs(jobs: int, seed: int):
    world, formulas, naive = random_graph(seed, 120)
    goals = random.Random(seed).sample(formulas, 10)
    with ExecutionEngine(MemoryStorage(), jobs=jobs) as engine:
        assert values(engine, *goals) == [naive[goal] for goal in goals]
        needed = {f for f in below(goals) if f.operator is not None}
        assert world.ran.total() == len(needed), "each needed task once, and nothing else"
        assert values(engine, *goals) == [naive[goal] for goal in goals]
        assert world.ran.total() == len(needed), "the second run finds the goals stored"


def test_constants_and_repeated_goals_are_answered_once(engine: ExecutionEngine):
    world = World()
    one = world.table.constant(1.0)
    two = world("double", lambda a: 2 * a, one)
    found = list(engine.run([two, one, two, one]))
    assert sorted(outcome.value for _, outcome in found) == [1.0, 2.0]  # type: ignore[union-attr]
    assert list(engine.run([])) == []


def test_a_chain_of_20000_trivial_tasks(engine: ExecutionEngine):
    world = World()
    add = world.operator("add", lambda a, b: a + b, 2)
    formula = one = world.table.constant(1.0)
    for _ in range(20_000):
        formula = world.table.apply(add, (formula, one))
    run = engine.run([formula])
    assert [outcome.value for _, outcome in run] == [20_001.0]  # type: ignore[union-attr]
    assert (run.counts.tasks, run.counts.done) == (20_000, 20_000)


def test_a_diamond_computes_what_is_shared_once(engine: ExecutionEngine):
    world = World()
    top = world("top", lambda: 1.0)
    left, right = world("left", lambda a: a + 1, top), world("right", lambda a: a + 2, top)
    bottom = world("bottom", lambda a, b: a * b, left, right)
    assert values(engine, bottom, left) == [6.0, 2.0]
    assert set(world.ran.values()) == {1}


def test_bodies_get_space_and_threads_only_when_they_ask(engine: ExecutionEngine):
    """The space of the result, or for a scalar that of its arguments; a lone kernel gets all the threads."""
    table, space = Formulas(), Space.grid(4, 4)
    seen: list[object] = []

    def body(name: str) -> Callable[..., object]:
        def record(*arguments: object, **threads: int) -> object:
            seen.append((name, arguments[0], threads))
            return 0.0

        return record

    image = Operator("image", "image", 1, (), IMAGE, body("image"), "", cost="", needs_space=True)  # type: ignore[arg-type]
    count = Operator(
        "count", "count", 1, (("a", IMAGE),), NUMBER, body("count"), "", cost="", needs_space=True, takes_threads=True
    )  # type: ignore[arg-type]
    outcomes(engine, table.apply(count, (table.apply(image, (), space),)))
    assert seen == [("image", space, {}), ("count", space, {"threads": 2})]


def test_leaves_are_read_by_the_room_of_images(engine: ExecutionEngine, monkeypatch: pytest.MonkeyPatch):
    import sys
    import types

    space = Space.grid(2, 2)
    fake = types.ModuleType("voxlogica.images")
    fake.read = lambda file, where: f"{file} in {where.size}"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "voxlogica.images", fake)
    monkeypatch.setattr("voxlogica.images", fake, raising=False)
    leaf = Formulas().leaf(Leaf("a.png", b"\0" * 32, "png", 1, space))
    assert values(engine, leaf) == ["a.png in (2, 2)"]


# Sharing


def test_eight_threads_with_the_same_goals_compute_each_task_once():
    world, formulas, naive = random_graph(1, 300)
    goals = formulas[-20:]
    barrier = threading.Barrier(8)
    with ExecutionEngine(MemoryStorage(), jobs=4) as engine:

        def work() -> None:
            barrier.wait(SOON)
            assert values(engine, *goals) == [naive[goal] for goal in goals]

        at_once(*[work] * 8)
    # What a run finds finished and freed it computes again only where it is private and a goal is not stored yet: here
    # all eight want the same goals, so that they meet in them.
    needed = {f for f in below(goals) if f.operator is not None}
    assert world.ran.total() == len(needed)


def test_equal_formulas_of_two_programs_are_shared_and_each_run_gets_its_own():
    """The outcomes, and the formulas that errors point at, are those the run was given, whoever computed them."""
    running, go = threading.Event(), threading.Event()

    def kernel() -> float:
        running.set()
        soon(go)
        raise Refusal("no")

    bad = Operator("bad", "bad", 1, (), NUMBER, kernel, "", cost="")
    after = Operator("after", "after", 1, (("a", NUMBER),), NUMBER, abs, "", cost="")
    tables = Formulas(), Formulas()
    causes = [table.apply(bad, ()) for table in tables]
    goals = [table.apply(after, (cause,)) for table, cause in zip(tables, causes, strict=True)]
    with ExecutionEngine(MemoryStorage(), jobs=1) as engine:
        runs = [engine.run([goal]) for goal in goals]
        soon(running)
        go.set()
        for run, goal, cause in zip(runs, goals, causes, strict=True):
            ((formula, outcome),) = run
            assert formula is goal
            assert isinstance(outcome, Broken)
            assert outcome.formula is cause


def test_a_run_joins_work_under_way():
    """The second run begins while the first one's kernel is running, and shares it."""
    world = World()
    running, go = threading.Event(), threading.Event()

    def kernel() -> float:
        running.set()
        soon(go)
        return 5.0

    slow = world("slow", kernel)
    mine, yours = world("mine", lambda a: a + 1, slow), world("yours", lambda a: a + 2, slow)
    with ExecutionEngine(MemoryStorage(), jobs=1) as engine:
        first = engine.run([mine])
        soon(running)
        second = engine.run([yours])
        go.set()
        assert [outcome.value for _, outcome in second] == [7.0]  # type: ignore[union-attr]
        assert [outcome.value for _, outcome in first] == [6.0]  # type: ignore[union-attr]
    assert world.ran == {"slow": 1, "mine": 1, "yours": 1}


def test_two_engines_on_one_store_share_work_and_wait_for_each_other():
    """Kernels of a published task run once over both; what one engine has claimed the other waits for."""
    world, formulas, naive = random_graph(2, 200)
    storage = MemoryStorage()
    goals = formulas[-10:]
    barrier = threading.Barrier(2)

    def work() -> None:
        with ExecutionEngine(storage, jobs=2) as engine:
            barrier.wait(SOON)
            assert values(engine, *goals) == [naive[goal] for goal in goals]

    at_once(work, work)
    from voxlogica.plan import plan

    published = {task.formula.operator.name for task in plan(goals).tasks if task.published and not task.tiny}
    unpublished = {task.formula.operator.name for task in plan(goals).tasks if not task.published}
    once = Counter(task.formula.operator.name for task in plan(goals).tasks)
    for name in published - unpublished:
        assert world.ran[name] == once[name]


def test_an_engine_waits_for_a_claim_from_outside_and_takes_over_when_it_is_given_up():
    world = World()
    storage = MemoryStorage()
    goal = world("goal", lambda: 3.0)
    other = world("other", lambda: 4.0)
    claim = storage.claim(goal.id)
    assert isinstance(claim, Claim)
    with ExecutionEngine(storage, jobs=1) as engine:
        run = iter(engine.run([goal, other]))
        assert next(run)[0] is other, "waiting takes no worker"
        storage.release(claim)
        formula, outcome = next(run)
        assert (formula, outcome.value) == (goal, 3.0)  # type: ignore[union-attr]


def test_what_is_stored_is_not_computed():
    world = World()
    storage = MemoryStorage()
    a = world("a", lambda: 1.0)
    b = world("b", lambda x: x + 1, a)
    with ExecutionEngine(storage, jobs=1) as engine:
        assert values(engine, a) == [1.0]
    with ExecutionEngine(storage, jobs=1) as engine:
        run = engine.run([b])
        assert [outcome.value for _, outcome in run] == [2.0]  # type: ignore[union-attr]
        assert (run.counts.tasks, run.counts.done, run.counts.reused) == (2, 1, 1)
    assert world.ran == {"a": 1, "b": 1}
    made = storage.provenance(b.id)
    assert made is not None
    assert (made.operator, made.arguments, made.host != "") == ("b", (a.id,), True)


def test_what_is_stored_while_another_thread_imports_numpy_is_stored(monkeypatch: pytest.MonkeyPatch):
    """A module that is being imported is there without a version: it has had no part in a value that is there."""
    world, storage = World(), MemoryStorage()
    a = world("a", lambda: 1.0)
    monkeypatch.setitem(sys.modules, "numpy", ModuleType("numpy"))
    with ExecutionEngine(storage, jobs=1) as engine:
        assert values(engine, a) == [1.0]
        assert engine.unstored == 0
    made = storage.provenance(a.id)
    assert made is not None
    assert "numpy" not in dict(made.libraries)


def test_a_stored_value_that_was_collected_is_computed_again():
    world = World()
    a = world("a", lambda: "x" * 3000)
    b = world("b", lambda x: "y" * 3000, a)

    class Collecting(MemoryStorage):
        """Forgets everything right after the plan was made."""

        def pin(self, ids):  # type: ignore[no-untyped-def]
            pins = super().pin(())
            self._rows.clear()
            return pins

    storage = Collecting()
    with ExecutionEngine(storage, jobs=2) as engine:
        assert values(engine, a, b)[0] == "x" * 3000
        world.ran.clear()
        storage._rows.pop(b.id, None)
        assert values(engine, b) == ["y" * 3000]
    assert world.ran == {"b": 1, "a": 1}


def test_goals_that_are_stored_are_opened_one_by_one_and_take_no_worker():
    """Nobody opens the next before the last was taken; and all workers may be busy."""
    world = World()
    running, go = threading.Event(), threading.Event()
    opened: list[str] = []

    class Opening(MemoryStorage):
        def known(self, ids):  # type: ignore[no-untyped-def]
            return {id: Done(Seen(outcome.ref)) for id, outcome in super().known(ids).items()}

    class Seen:
        def __init__(self, ref):  # type: ignore[no-untyped-def]
            self.ref, self.nbytes = ref, ref.nbytes

        def open(self):  # type: ignore[no-untyped-def]
            opened.append("one")
            return self.ref.open()

    def kernel() -> float:
        running.set()
        soon(go)
        return 0.0

    goals = [world(f"goal{n}", lambda n=n: float(n)) for n in range(5)]
    told: list[Event] = []
    with ExecutionEngine(Opening(), jobs=1) as engine:
        outcomes(engine, *goals)
        busy = engine.run([world("busy", kernel)])
        soon(running)
        run = engine.run(goals, listen=told.append)
        for n, (goal, outcome) in enumerate(run):
            assert (goal, outcome.value, len(opened)) == (goals[n], float(n), n + 1)  # type: ignore[union-attr]
        assert (run.counts.tasks, run.counts.reused, [event.kind for event in told]) == (5, 5, ["reused"] * 5)
        go.set()
        list(busy)


class Lost:
    """A reference to what is lost; `then` is what happens when that is noticed."""

    nbytes = 8

    def __init__(self, then: Callable[[], object]) -> None:
        self._then = then

    def open(self) -> Value:
        self._then()
        raise Missing


class Losing(MemoryStorage):
    """Loses what it is asked for, from some time on."""

    def __init__(self) -> None:
        super().__init__()
        self.losing, self.then = False, list[Callable[[], object]]()

    def known(self, ids: Iterable[TaskId]) -> dict[TaskId, Outcome]:
        found = super().known(ids)
        if self.losing:
            self._rows.clear()
            return {id: Done(Lost(lambda: [act() for act in self.then])) for id in found}
        return found


def test_stored_goals_that_are_lost_before_they_are_opened_are_computed_again():
    world, storage = World(), Losing()
    goals = [world(f"goal{n}", lambda n=n: float(n)) for n in range(3)]
    with ExecutionEngine(storage, jobs=2) as engine:
        assert values(engine, *goals) == [0.0, 1.0, 2.0]
        storage.losing = True
        assert values(engine, *goals) == [0.0, 1.0, 2.0]
    assert set(world.ran.values()) == {2}


def test_a_run_that_is_cancelled_while_it_opens_what_is_stored_computes_nothing_again():
    """Another thread may cancel it at any time, also when a stored goal was just found lost."""
    world, storage = World(), Losing()
    goal = world("goal", lambda: 1.0)
    with ExecutionEngine(storage, jobs=1) as engine:
        assert values(engine, goal) == [1.0]
        storage.losing = True
        run = engine.run([goal])
        storage.then = [run.cancel]
        assert list(run) == []
    assert world.ran == {"goal": 1}


def test_a_run_whose_time_is_over_computes_nothing_again_without_limit():
    """The alarm goes off when nothing is computed yet, and does so once."""
    world, storage = World(), Losing()
    error = TaskError("circumstance", "TimeoutError", "too late")
    hang = threading.Event()
    goal = world("goal", lambda: world.ran["goal"] == 1 or hang.wait(SOON))
    with ExecutionEngine(storage, jobs=1) as engine:
        assert values(engine, goal) == [True]
        storage.losing = True
        run = engine.run([goal])
        storage.then = [lambda: run.expire(error)]
        [(_, outcome)] = run
        hang.set()
    assert isinstance(outcome, Broken)
    assert outcome.error is error


def test_a_run_may_be_cancelled_between_two_stored_goals():
    """Between the look whether there is one more and the taking of it."""
    world = World()
    goals = [world(f"goal{n}", lambda n=n: float(n)) for n in range(3)]

    class Stored(list[object]):
        def __len__(self) -> int:
            left = super().__len__()
            if left == 1:
                run.cancel()
            return left

    with ExecutionEngine(MemoryStorage(), jobs=2) as engine:
        assert values(engine, *goals) == [0.0, 1.0, 2.0]
        run = engine.run(goals)
        run._stored = Stored(run._stored)  # type: ignore[assignment, arg-type]
        assert len(list(run)) >= 2


def test_a_run_whose_beginning_is_interrupted_is_cancelled(monkeypatch: pytest.MonkeyPatch):
    """Nobody has it: it could not be cancelled by anybody else."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    world, running = World(), threading.Event()
    slow = world("slow", lambda: running.wait(SOON))
    with ExecutionEngine(MemoryStorage(), jobs=1) as engine:
        monkeypatch.setattr(engine._workers.alarms, "set", interrupt)
        with pytest.raises(KeyboardInterrupt):
            engine.run([world("after", lambda a: a, slow)], timeout=9.0)
        assert not engine._workers._boxes
        running.set()
    assert "after" not in world.ran


def test_a_run_that_is_interrupted_as_it_is_posted_leaves_nothing(monkeypatch: pytest.MonkeyPatch):
    world = World()
    with ExecutionEngine(MemoryStorage(), jobs=1) as engine:
        post = engine._workers.post

        def interrupt(event: Input) -> None:
            post(event)
            if isinstance(event, Begin):
                raise KeyboardInterrupt

        monkeypatch.setattr(engine._workers, "post", interrupt)
        with pytest.raises(KeyboardInterrupt):
            engine.run([world("a", lambda: 1.0)])
        assert not engine._workers._boxes


# Failures


def refuse(*_: object) -> object:
    raise Refusal("no component", details=("of 3 voxels",), help="draw one")


def test_a_failing_goal_leaves_the_others():
    world = World()
    source = Source("a.imgql", "print maxvol(x)\n")
    operator = world.operator("maxvol", refuse, 0, "")
    bad = world.table.apply(operator, (), None, Origin(Span(source, 6, 15)))
    after = world("after", lambda a: a, bad)
    last = world("last", lambda a: a, after)
    good = world("good", lambda: 1.0)
    with ExecutionEngine(MemoryStorage(), jobs=2) as engine:
        run = engine.run([last, good, bad])
        found = dict(run)
    assert found[good].value == 1.0  # type: ignore[union-attr]
    broken = found[last]
    assert isinstance(broken, Broken)
    assert broken.formula is bad
    assert broken == found[bad]
    error = broken.error
    assert (error.kind, error.type, error.message) == ("definite", "Refusal", "no component")
    assert (error.details, error.help, error.traceback) == (("of 3 voxels",), "draw one", "")
    assert (error.operator, error.position, error.task) == ("maxvol", "a.imgql:1:7", bad.id)
    assert (run.counts.failed, run.counts.skipped, run.counts.done) == (1, 2, 1)
    assert world.ran == {"maxvol": 1, "good": 1}


def raising(error: type[BaseException]) -> Callable[..., object]:
    def body(*_: object) -> object:
        raise error("why")

    return body


@pytest.mark.parametrize(
    ("error", "kind", "traced"),
    [
        (MemoryError, "circumstance", True),
        (OSError, "circumstance", True),
        (TimeoutError, "circumstance", True),
        (ZeroDivisionError, "definite", True),
        (RecursionError, "definite", True),
        (SystemExit, "definite", True),
        (KeyboardInterrupt, "definite", True),
    ],
)
def test_what_a_body_raises_becomes_data(error: type[BaseException], kind: str, traced: bool, engine: ExecutionEngine):
    world = World()
    bad, good = world("bad", raising(error)), world("good", lambda: 1.0)
    failure, value = values(engine, bad, good)
    assert isinstance(failure, TaskError)
    assert (failure.kind, failure.type, failure.message) == (kind, error.__name__, "why")
    assert ("Traceback" in failure.traceback) is traced
    assert value == 1.0
    assert values(engine, good) == [1.0], "the worker lives"


def test_a_definite_failure_is_an_answer_and_a_circumstance_is_tried_again():
    world = World()
    definite, circumstance = world("definite", refuse), world("circumstance", raising(MemoryError))
    after = world("after", lambda a: a, definite)
    with ExecutionEngine(MemoryStorage(), jobs=2) as engine:
        for _ in range(2):
            found = outcomes(engine, after, circumstance)
            assert [type(outcome) for outcome in found.values()] == [Broken, Broken]
            assert found[after].formula is definite  # type: ignore[union-attr]
    assert world.ran == {"definite": 1, "circumstance": 4}, "each run tries it twice"


def test_a_private_failure_is_stored_in_the_name_of_the_claim_and_still_names_its_cause():
    world = World()
    private = world("private", refuse, cost="voxels")
    goal = world("goal", lambda a: a, private)
    storage = MemoryStorage()
    for _ in range(2):
        with ExecutionEngine(storage, jobs=1) as engine:
            broken = outcomes(engine, goal)[goal]
            assert isinstance(broken, Broken)
            assert broken.formula is private
    assert isinstance(storage.lookup(goal.id), Failed)
    assert world.ran == {"private": 1}


def test_a_run_is_over_when_the_store_has_its_goals():
    """The store takes the value only when the run has handed it out; it is looked up as soon as the run is over."""
    taken = threading.Event()

    class Late(MemoryStorage):
        def store(self, claim, value, made, *, goal=False):  # type: ignore[no-untyped-def]
            soon(taken)
            return super().store(claim, value, made, goal=goal)

    storage = Late()
    goal = World()("goal", lambda: 1.0)
    with ExecutionEngine(storage, jobs=1) as engine:
        for _, outcome in engine.run([goal]):
            assert outcome.value == 1.0
            taken.set()
        assert isinstance(storage.lookup(goal.id), Done)


def test_a_store_that_takes_nothing_costs_no_answer():
    class Full(MemoryStorage):
        def store(self, claim, value, made, *, goal=False):  # type: ignore[no-untyped-def]
            raise StoreFull

    class Broken(MemoryStorage):
        def store(self, claim, value, made, *, goal=False):  # type: ignore[no-untyped-def]
            raise OSError("disk gone")

    for backend in (Full(), Broken()):
        world = World()
        a = world("a", lambda: 1.0)
        b = world("b", lambda x: x + 1, a)
        with ExecutionEngine(backend, jobs=1) as engine:
            assert values(engine, b) == [2.0]
        assert engine.unstored == 2
        assert isinstance(backend.claim(a.id), Claim), "the claim was given back"


def sums(count: int) -> list[Formula]:
    """Goals that are computed and stored many at a time."""
    table, add = Formulas(), operators()["add_numbers"]
    return [table.apply(add, (table.constant(float(n)), table.constant(0.5))) for n in range(count)]


def test_many_small_values_are_stored_together(monkeypatch: pytest.MonkeyPatch):
    storage = MemoryStorage()
    taken: list[int] = []
    original = MemoryStorage.store_all

    def counted(self: MemoryStorage, several: Sequence[Publication]) -> list[Done | StoreFull]:
        taken.append(len(several))
        return original(self, several)

    monkeypatch.setattr(MemoryStorage, "store_all", counted)
    with ExecutionEngine(storage, jobs=1) as engine:
        assert values(engine, *sums(200)) == [n + 0.5 for n in range(200)]
    assert max(taken) == AT_ONCE
    assert sum(taken) <= 200
    assert len(storage.known([goal.id for goal in sums(200)])) == 200


@pytest.mark.parametrize("wrong", [StoreFull("full"), OSError("a disk is gone")], ids=["full", "broken"])
def test_one_of_many_that_is_not_stored_costs_no_answer_and_lets_its_claim_go(wrong: Exception):
    goals = sums(100)

    class Spoilt(MemoryStorage):
        def store(self, claim, value, made, *, goal=False):  # type: ignore[no-untyped-def]
            if claim.id == goals[50].id:
                raise wrong
            return super().store(claim, value, made, goal=goal)

    backend = Spoilt()
    with ExecutionEngine(backend, jobs=1) as engine:
        assert values(engine, *goals) == [n + 0.5 for n in range(100)]
        assert engine.unstored >= 1
    assert [n for n, goal in enumerate(goals) if not isinstance(backend.lookup(goal.id), Done)] == [50]
    assert isinstance(backend.claim(goals[50].id), Claim)


def test_a_bug_of_the_scheduler_is_told_to_everybody(monkeypatch: pytest.MonkeyPatch):
    world = World()
    goal = world("goal", lambda: 1.0)
    engine = ExecutionEngine(MemoryStorage(), jobs=2)

    def bug(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(engine._workers.machine, "handle_all", bug)
    for _ in range(2):
        with pytest.raises(InternalError, match="scheduler"):
            list(engine.run([goal]))
    engine.close()


def test_a_kernel_may_not_run_programs(engine: ExecutionEngine):
    world = World()
    inner = world("inner", lambda: 1.0)
    outer = world("outer", lambda: list(engine.run([inner])))
    (failure,) = values(engine, outer)
    assert isinstance(failure, TaskError)
    assert "may not run programs" in failure.message


# Endings


def test_leaving_the_iteration_cancels_what_has_not_begun():
    world = World()
    goals = [world(f"goal{n}", lambda: 1.0) for n in range(50)]
    running, go = threading.Event(), threading.Event()

    def kernel(_: float) -> float:
        running.set()
        soon(go)
        return 2.0

    first = world("first", lambda: 0.0)
    slow = world("slow", kernel, first)
    rest = [world(f"rest{n}", lambda a: a, slow) for n in range(50)]
    with ExecutionEngine(MemoryStorage(), jobs=1) as engine:
        for formula, _ in engine.run([first, *rest]):
            assert formula is first
            soon(running)
            break
        go.set()
        assert values(engine, *goals) == [1.0] * 50, "the engine goes on"
        assert values(engine, slow) == [2.0]
    assert world.ran["slow"] == 1, "what ran was stored"
    assert not any(world.ran[f"rest{n}"] for n in range(50))


def test_cancelling_from_another_thread_ends_the_iteration():
    world = World()
    running, go = threading.Event(), threading.Event()

    def kernel() -> float:
        running.set()
        soon(go)
        return 2.0

    slow = world("slow", kernel)
    with ExecutionEngine(MemoryStorage(), jobs=1) as engine:
        run = engine.run([slow])

        def cancel() -> None:
            soon(running)
            run.cancel()
            run.cancel()

        thread = threading.Thread(target=cancel)
        thread.start()
        assert list(run) == []
        thread.join(SOON)
        go.set()


def test_one_run_is_cancelled_and_the_other_that_shares_its_work_goes_on():
    world = World()
    running, go = threading.Event(), threading.Event()

    def kernel() -> float:
        running.set()
        soon(go)
        return 2.0

    slow = world("slow", kernel)
    after = world("after", lambda a: a + 1, slow)
    with ExecutionEngine(MemoryStorage(), jobs=2) as engine:
        one, two = engine.run([after]), engine.run([after])
        soon(running)
        one.cancel()
        go.set()
        assert [outcome.value for _, outcome in two] == [3.0]  # type: ignore[union-attr]
    assert world.ran == {"slow": 1, "after": 1}


@pytest.fixture
def ctrl_c() -> Iterator[Callable[[], None]]:
    """Presses Ctrl-C until Python has noticed: one that comes just before the main thread blocks, it does not see."""
    noticed = threading.Event()

    def handler(*_: object) -> None:
        if not noticed.is_set():
            noticed.set()
            raise KeyboardInterrupt

    def press() -> None:
        while not noticed.wait(0.02):
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, handler)
    yield press
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_reaches_the_main_thread_while_it_waits(engine: ExecutionEngine, ctrl_c: Callable[[], None]):
    """What has not begun does not begin, its claims are given back, and what was being computed is stored."""
    world = World()
    go = threading.Event()

    def kernel() -> float:
        ctrl_c()
        soon(go)
        return 1.0

    slow = world("slow", kernel)
    after = world("after", lambda a: a, slow)
    with pytest.raises(KeyboardInterrupt):
        list(engine.run([after]))
    go.set()
    assert values(engine, world("next", lambda: 5.0)) == [5.0]
    assert values(engine, slow) == [1.0]
    assert world.ran == {"slow": 1, "next": 1}


def test_closing_ends_all_threads_and_wakes_who_waits():
    world = World()
    running, go = threading.Event(), threading.Event()

    def kernel() -> float:
        running.set()
        soon(go)
        return 2.0

    slow, after = world("slow", kernel), world("after", lambda a: a, world("x", lambda: 1.0))
    storage = MemoryStorage()
    engine = ExecutionEngine(storage, jobs=3)
    run = engine.run([slow, after])
    ended: list[object] = []
    consumer = threading.Thread(target=lambda: ended.append(list(run)))
    consumer.start()
    soon(running)
    engine.close(wait=False)
    consumer.join(SOON)
    assert not consumer.is_alive()
    go.set()
    engine.close()
    for thread in engine._workers._threads:
        thread.join(SOON)
        assert not thread.is_alive()
    assert isinstance(storage.lookup(slow.id), Done), "what was being computed was stored"
    assert not storage._owned, "no claim is left"
    with pytest.raises(RuntimeError, match="closed"):
        engine.run([slow])


def test_a_claim_that_comes_to_a_closed_engine_is_given_back():
    """Its helper waits for the claim of another, who gives it up: this process would have it as long as it lives."""
    world, storage = World(), MemoryStorage()
    goal = world("goal", lambda: 3.0)
    claim = storage.claim(goal.id)
    assert isinstance(claim, Claim)
    before = set(threading.enumerate())
    engine = ExecutionEngine(storage, jobs=1)
    run = engine.run([goal])
    while not storage._owned[goal.id].heirs:
        os.sched_yield()
    [helper] = [each for each in threading.enumerate() if each.name == "voxlogica-helper" and each not in before]
    engine.close()
    assert list(run) == []
    storage.release(claim)
    helper.join(SOON)
    assert isinstance(storage.claim(goal.id), Claim)


def test_a_run_that_begins_while_its_engine_is_closed_leaves_no_claim(monkeypatch: pytest.MonkeyPatch):
    world, storage = World(), MemoryStorage()
    running, go = threading.Event(), threading.Event()

    def kernel() -> float:
        running.set()
        soon(go)
        return 2.0

    slow, goal = world("slow", kernel), world("goal", lambda: 3.0)
    engine = ExecutionEngine(storage, jobs=2)  # of whom one has nothing to do
    engine.run([slow])
    soon(running)
    open_box = engine._workers.open_box

    def closing(run: int) -> object:
        engine.close(wait=False)
        while engine._workers._alive > 1:
            os.sched_yield()
        return open_box(run)

    monkeypatch.setattr(engine._workers, "open_box", closing)
    late = engine.run([goal])
    while goal.id not in storage._owned:
        os.sched_yield()
    go.set()
    engine._workers._desk.join(SOON)
    assert list(late) == []
    assert not storage._owned
    assert isinstance(storage.lookup(slow.id), Done)


# Memory


def test_values_are_freed_at_their_last_use():
    """A chain of 50 volumes: never more than two of them are alive, and none when the result has gone."""
    space = Space.grid(64, 64)
    table = Formulas()
    alive: weakref.WeakSet[Volume] = weakref.WeakSet()
    most = 0

    class Volume:
        nbytes = 1000

    def step(*_: object) -> Volume:
        nonlocal most
        volume = Volume()
        alive.add(volume)
        most = max(most, len(alive))
        return volume

    first = Operator("first", "first", 1, (), MASK, step, "", cost="")  # type: ignore[arg-type]
    next = Operator("next", "next", 1, (("a", MASK),), MASK, step, "", cost="")  # type: ignore[arg-type]
    formula = table.apply(first, (), space)
    for _ in range(50):
        formula = table.apply(next, (formula,))
    with ExecutionEngine(MemoryStorage(limit=0), jobs=1) as engine:
        assert len(outcomes(engine, formula)) == 1
    assert engine._workers.machine.records == {}
    gc.collect()
    assert most <= 3  # the two of a step, and one that the store is being told of
    assert len(alive) == 0


def test_no_more_runs_at_once_than_the_memory_allows():
    """Kernels of 1 MB in 2.5 MB: never three at once, though there are eight workers."""
    space = Space.grid(512, 512)
    table = Formulas()
    lock = threading.Lock()
    now = most = 0

    class Volume:
        nbytes = 512 * 512 * 4

    def body() -> Volume:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        with lock:
            now -= 1
        return Volume()

    images = [Operator(f"i{n}", f"i{n}", 1, (), IMAGE, body, "", cost="") for n in range(40)]  # type: ignore[arg-type]
    goals = [table.apply(image, (), space) for image in images]
    with ExecutionEngine(MemoryStorage(), jobs=8, memory=2_500_000) as engine:
        for _, outcome in engine.run(goals):
            assert isinstance(outcome, Finished)
    assert most <= 2


def test_limits_come_from_the_system_and_the_container(tmp_path: Path):
    assert limits.processors() == len(os.sched_getaffinity(0))
    assert 0 < limits.memory() <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    (tmp_path / "cgroup").write_text("4:memory,cpu:/a/b\n3:cpuset:/\n0::/x/y\n")
    for path, text in (("memory/a/memory.limit_in_bytes", "4000"), ("x/memory.max", "3000"), ("x/y/memory.max", "max")):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
    assert list(limits._cgroup_limits(tmp_path / "cgroup", tmp_path)) == [4000, 3000]
    assert list(limits._cgroup_limits(tmp_path / "absent", tmp_path)) == []


# Telling


def test_who_listens_is_told_in_order_and_in_the_thread_that_iterates(engine: ExecutionEngine):
    world = World()
    a = world("a", lambda: 1.0)
    bad = world("bad", refuse, a)
    skipped = world("skipped", lambda x: x, bad)
    told: list[Event] = []
    threads: set[int] = set()

    def listen(event: Event) -> None:
        told.append(event)
        threads.add(threading.get_ident())

    outcomes(engine, a, listen=listen)
    outcomes(engine, skipped, listen=listen)
    assert threads == {threading.get_ident()}
    kinds = [(event.kind, event.formula.label) for event in told]
    assert kinds[:2] == [("started", "a"), ("done", "a")]
    assert ("persisted", "a") in kinds
    rest = [kind for kind in kinds[2:] if kind not in (("freed", "a"), ("persisted", "a"))]
    assert rest == [("reused", "a"), ("started", "bad"), ("failed", "bad"), ("skipped", "skipped")]
    assert told[1].seconds > 0
    assert told[1].bytes > 0


def test_a_listener_that_raises_ends_the_run(engine: ExecutionEngine):
    world = World()

    def listen(event: Event) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        outcomes(engine, world("a", lambda: 1.0), listen=listen)
    assert values(engine, world("b", lambda: 1.0)) == [1.0]
