"""Tasks that return formulas, with the engine and its threads: the plan grows while it runs, and all is stored."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from voxlogica import identity
from voxlogica.errors import Refusal
from voxlogica.execution.engine import Broken, ExecutionEngine
from voxlogica.formula import BOOL, FORMULAS, IMAGE, NUMBER, Builder, Formula, Operator, Type
from voxlogica.storage import Done, MemoryStorage
from world import SOON, World, at_once, outcomes, soon, values


class Growing(World):
    """A world with operators that return formulas; `engine` knows them all by name."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[str, Operator] = {}
        square = self.add("square", lambda a: a * a, NUMBER)
        self.sum = self.add("sum", sum, FORMULAS)
        # The numbers below n, squared: how many there are is known only when n is.
        self.squares = self.grow(
            "squares", lambda b, n: [b.apply(square, b.constant(i)) for i in range(int(n))], NUMBER
        )
        # One of its arguments: the task *is* that formula.
        self.choose = self.grow(
            "choose", lambda b, c, x, y: b.arguments[1 if c else 2], BOOL, NUMBER, NUMBER, to=NUMBER
        )

    def add(self, name: str, body: Callable[..., object], *parameters: Type, **more: object) -> Operator:
        known = tuple((f"a{n}", kind) for n, kind in enumerate(parameters))
        made = self.operator(name, body, 0, "", **more)  # type: ignore[arg-type]
        made = self.known[name] = Operator(
            name, name, 1, known, made.result, made.body, "", cost="", dynamic=made.dynamic
        )
        return made

    def grow(self, name: str, body: Callable[..., object], *parameters: Type, to: Type = FORMULAS) -> Operator:
        return self.add(name, body, *parameters, result=to, dynamic=True)

    def number(self, value: float) -> Formula:
        return self.table.constant(value)

    def engine(self, storage: MemoryStorage, jobs: int = 1) -> ExecutionEngine:
        return ExecutionEngine(storage, jobs=jobs, operators=self.known.get)


@pytest.fixture
def world() -> Growing:
    return Growing()


@pytest.fixture
def storage() -> MemoryStorage:
    return MemoryStorage()


def test_a_list_whose_length_is_computed(world: Growing, storage: MemoryStorage):
    """One worker suffices: whoever returned formulas does not keep it."""
    count = world("count", lambda: 5.0)
    squares = world.table.apply(world.squares, (count,))
    total = world.table.apply(world.sum, (squares,))
    with world.engine(storage) as engine:
        run = engine.run([total, squares])
        found = {formula: outcome.value for formula, outcome in run}  # type: ignore[union-attr]
    assert found == {total: 30.0, squares: (0.0, 1.0, 4.0, 9.0, 16.0)}
    assert world.ran == {"count": 1, "squares": 1, "square": 5, "sum": 1}
    assert run.counts.ended == run.counts.tasks == 8


def test_what_is_stored_is_the_formulas_and_they_are_found_again(world: Growing, storage: MemoryStorage):
    squares = world.table.apply(world.squares, (world.number(3.0),))
    with world.engine(storage) as engine:
        assert values(engine, squares) == [(0.0, 1.0, 4.0)]
    outcome = storage.lookup(squares.id)
    assert isinstance(outcome, Done)
    kind, _, nodes, roots = identity.plain(outcome.ref.open())  # type: ignore[misc,union-attr,arg-type]
    assert (kind, len(nodes), roots) == ("formulas", 6, (1, 3, 5))
    world.ran.clear()
    with world.engine(storage) as engine:
        assert values(engine, world.table.apply(world.sum, (squares,))) == [5.0]
    assert world.ran == {"sum": 1}


def test_a_task_that_is_another_formula_has_its_value_and_not_the_others(world: Growing, storage: MemoryStorage):
    """Here the choice reads both; what it returns is computed once, and shared."""
    yes, x, y = world("yes", lambda: 1.0), world("x", lambda: 7.0), world("y", lambda: 8.0)
    true = world.table.apply(world.add("positive", lambda a: a > 0, NUMBER, result=BOOL), (yes,))
    chosen = world.table.apply(world.choose, (true, x, y))
    with world.engine(storage) as engine:
        assert values(engine, chosen, world("twice", lambda a: 2 * a, chosen)) == [7.0, 14.0]
    assert world.ran["x"] == 1


def test_constants_and_nothing_may_be_returned(world: Growing, storage: MemoryStorage):
    two = world.grow("two", lambda b: [b.constant(1.0), b.constant(2.0), b.constant(1.0)])
    none = world.grow("none", lambda b: [])
    one = world.grow("one", lambda b: b.constant(1.0), to=NUMBER)
    goals = [world.table.apply(operator, ()) for operator in (two, none, one)]
    for _ in range(2):
        with world.engine(storage) as engine:
            assert values(engine, *goals) == [(1.0, 2.0, 1.0), (), 1.0]


def test_a_loop_of_300_steps(world: Growing, storage: MemoryStorage):
    """Each step returns the next one, over what it has computed, until there is no more to do."""
    minus = world.add("minus", lambda a: a - 1, NUMBER)

    def step(b: Builder, n: float) -> Formula:
        return b.apply(loop, b.apply(minus, b.arguments[0])) if n > 0 else b.constant(42.0)

    loop = world.grow("loop", step, NUMBER, to=NUMBER)
    goal = world.table.apply(loop, (world.number(300.0),))
    with world.engine(storage) as engine:
        assert values(engine, goal) == [42.0]
    assert world.ran["loop"] == 301
    world.ran.clear()
    with world.engine(storage) as engine:
        assert values(engine, goal) == [42.0]
    assert not world.ran


def test_a_failure_in_what_was_returned_is_the_root_cause_and_other_goals_go_on(world: Growing, storage: MemoryStorage):
    def refuse(a: float) -> float:
        if a == 2:
            raise Refusal("not two")
        return a

    picky = world.add("picky", refuse, NUMBER)
    many = world.grow("many", lambda b: [b.apply(picky, b.constant(i)) for i in range(4)])
    task = world.table.apply(many, ())
    total, good = world.table.apply(world.sum, (task,)), world("good", lambda: 1.0)
    with world.engine(storage, jobs=2) as engine:
        found = outcomes(engine, total, good)
    broken = found[total]
    assert isinstance(broken, Broken)
    assert (broken.error.message, broken.formula.operator) == ("not two", picky)
    assert found[good].value == 1.0  # type: ignore[union-attr]
    assert isinstance(storage.lookup(task.id), Done), "what it returned is right"


@pytest.mark.parametrize(
    ("body", "match"),
    [
        (lambda b: 1.0, "is to return formulas, not 1.0"),
        (lambda b: [b.constant(1.0), 2.0], "is to return formulas"),
        (lambda b: b.constant(1.0), "is to return formulas"),
        (lambda b: [1 / 0], "division"),
    ],
)
def test_what_returns_something_else_fails(body: Callable[..., object], match: str, storage: MemoryStorage):
    world = Growing()
    goal = world.table.apply(world.grow("bad", body), ())
    with world.engine(storage) as engine:
        outcome = outcomes(engine, goal)[goal]
    assert isinstance(outcome, Broken)
    assert match in outcome.error.message
    assert outcome.error.kind == "definite"


def test_a_formula_of_another_type_fails(world: Growing, storage: MemoryStorage):
    goal = world.table.apply(world.grow("bad", lambda b: b.constant("text"), to=NUMBER), ())
    with world.engine(storage) as engine:
        outcome = outcomes(engine, goal)[goal]
    assert "is to return a number" in outcome.error.message  # type: ignore[union-attr]


def test_formulas_that_need_their_own_value_fail(world: Growing, storage: MemoryStorage):
    def endless(b: Builder) -> Formula:
        return b.apply(operator)

    operator = world.grow("endless", endless, to=NUMBER)
    goal = world.table.apply(operator, ())
    with world.engine(storage) as engine:
        outcome = outcomes(engine, goal)[goal]
    assert outcome.error.message == "the formulas that it returned need its own value"  # type: ignore[union-attr]


@pytest.mark.parametrize("damage", ["gone", "version", "bytes"])
def test_stored_formulas_that_cannot_be_read_are_computed_again(damage: str, world: Growing, storage: MemoryStorage):
    squares = world.table.apply(world.squares, (world.number(3.0),))
    total = world.table.apply(world.sum, (squares,))
    with world.engine(storage) as engine:
        assert values(engine, squares) == [(0.0, 1.0, 4.0)]
    if damage == "bytes":
        storage._rows[squares.id].outcome.ref.__init__(b"what?", 5)  # type: ignore[union-attr,misc]
    else:
        old = world.known.pop("square")
        if damage == "version":
            world.known["square"] = Operator("square", "square", 2, old.parameters, NUMBER, old.body, "")
    world.ran.clear()
    with world.engine(storage) as engine:
        assert values(engine, total) == [5.0]
    assert world.ran["squares"] == 1


def test_whoever_waits_for_the_formulas_of_another_engine_gets_them(world: Growing, storage: MemoryStorage):
    running, go = threading.Event(), threading.Event()

    def body(b: Builder) -> list[Formula]:
        running.set()
        soon(go)
        return [b.apply(world.known["square"], b.constant(3.0))]

    total = world.table.apply(world.sum, (world.table.apply(world.grow("slow", body), ()),))
    with world.engine(storage) as one, world.engine(storage) as two:
        first = one.run([total])
        soon(running)
        second = two.run([total])
        go.set()
        for run in (first, second):
            assert [outcome.value for _, outcome in run] == [9.0]  # type: ignore[union-attr]
    assert world.ran == {"slow": 1, "square": 1, "sum": 1}


def test_eight_runs_and_two_engines_share_what_grows(world: Growing, storage: MemoryStorage):
    goals = [
        world.table.apply(world.sum, (world.table.apply(world.squares, (world.number(float(n % 6)),)),))
        for n in range(12)
    ]
    barrier = threading.Barrier(8)
    with world.engine(storage, jobs=2) as one, world.engine(storage, jobs=2) as two:

        def work(engine: ExecutionEngine) -> None:
            barrier.wait(SOON)
            assert values(engine, *goals) == [float(sum(i * i for i in range(n % 6))) for n in range(12)]

        at_once(*[lambda: work(one), lambda: work(two)] * 4)
    assert world.ran == {"squares": 6, "square": 5, "sum": 6}


def test_formulas_over_volumes_keep_their_space(world: Growing, storage: MemoryStorage):
    from voxlogica.values import Space

    class Volume:
        nbytes = 64

    space = Space.grid(4, 4)
    blank = world.add("blank", Volume, result=IMAGE)
    count = world.add("count", lambda volumes: float(len(volumes)), FORMULAS)
    many = world.grow("many", lambda b: [b.apply(blank, space=space), b.apply(blank, space=Space.grid(2, 2))])
    goal = world.table.apply(count, (world.table.apply(many, ()),))
    with world.engine(storage) as engine:
        assert values(engine, goal) == [2.0]
    storage._rows.pop(goal.id)
    with world.engine(storage) as engine:
        assert values(engine, goal) == [2.0]
    assert world.ran == {"blank": 2, "count": 2, "many": 1}
