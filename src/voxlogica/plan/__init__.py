"""From goals to a workplan: which tasks are needed, in which order, at what cost, and which of them are worth storing.

Pure: the same goals and the same known ids give the same plan, in every process. Whether a task is published depends on
the formula and the goals alone, never on what is known or measured, so that all processes of one program agree on what
is claimed. Running the plan is left to `execution`, and what a value means to everybody else.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from contextlib import nullcontext
from functools import cache, cached_property
from types import MappingProxyType

from voxlogica._collector import collector_paused
from voxlogica._dataclass import NamedTuple, dataclass, field
from voxlogica.formula import BYTES, MASK, MODEL, Formula
from voxlogica.identity import Id
from voxlogica.plan.rules import Chosen, rewrite
from voxlogica.values import Space

SCALAR_BYTES = 32

_MANY = 10_000
"""Of so many formulas a plan is made without looking for cycles, which would take a third of the time. (Not of fewer:
tasks that return formulas have plans made all the time, and then nobody would ever look.)"""


class Cost(NamedTuple):
    """What a class of operators takes: seconds per call and per voxel on one core, scratch bytes per voxel."""

    call: float
    voxel: float = 0.0
    scratch: float = 0.0


@dataclass(frozen=True)
class Costs:
    """The constants of the decision what to publish.

    A task is published when recomputing it costs more than `k` times storing its result, which takes `store_call`
    seconds and `store_byte` per byte. A store keeps the constants that it was first used with: who shares it agrees.
    """

    k: float = 3.0
    store_call: float = 100e-6
    store_byte: float = 1e-9
    classes: Mapping[str, Cost] = field(
        default_factory=lambda: MappingProxyType(
            {
                "scalar": Cost(1e-6),
                "bits": Cost(20e-6, 0.01e-9),
                "voxels": Cost(20e-6, 0.5e-9),
                "neighbourhood": Cost(20e-6, 0.05e-9, 0.25),
                "components": Cost(50e-6, 0.5e-9, 4),
                "ball": Cost(50e-6, 0.004e-9),  # for each segment of a quarter of the ball
                "distance": Cost(50e-6, 20e-9, 8),
                "histogram": Cost(50e-6, 3e-9, 8),
                "window": Cost(50e-6, 15e-9, 8),
                "windows": Cost(50e-6, 4e-9),  # of 3 mm and 20 bins
                "file": Cost(1e-3, 3e-9, 4),
                "mask_file": Cost(1e-3, 0.3e-9, 2),  # few different bytes, quickly compressed
            }
        )
    )

    @cached_property
    def text(self) -> str:
        """The constants as a store keeps them: JSON."""
        kept = {"k": self.k, "store_call": self.store_call, "store_byte": self.store_byte}
        return json.dumps(kept | {"classes": dict(self.classes)})

    @classmethod
    @cache
    def read(cls, text: str) -> Costs:
        """The constants that a text keeps; a class that it does not know costs what it costs here.

        What a later version keeps besides is passed over.
        """
        kept = json.loads(text)
        classes = {name: Cost(*cost) for name, cost in kept["classes"].items()}
        known = MappingProxyType({**COSTS.classes, **classes})
        return cls(kept["k"], kept["store_call"], kept["store_byte"], known)

    def of(self, formula: Formula) -> Cost:
        """The class of a formula's running time."""
        operator = formula.operator
        name = operator.cost if operator else "file"
        return self.classes[name] if name else Cost(0)

    def seconds(self, formula: Formula) -> float:
        """Seconds to compute a formula, its arguments given."""
        cost = self.of(formula)
        space = space_of(formula) if cost.voxel else None
        return cost.call + cost.voxel * space.voxels if space else cost.call

    def store(self, bytes: int) -> float:
        """Seconds to store so many bytes."""
        return self.store_call + bytes * self.store_byte


COSTS = Costs()


class Task(NamedTuple):
    """A formula to be computed, by computing `how`: itself or, by `rule`, another with the same value.

    `inputs` are the distinct formulas whose values it reads, constants left out; `users` how many tasks of the plan
    read its value; `priority` its place in depth-first order from the goals, smaller first. `seconds`, `bytes` and
    `scratch` are estimates of its own running time, of its result and of what it needs besides while it runs.
    `published` says that it is claimed and stored, `tiny` that it is not worth handing to another thread. `again` is
    what having it made again costs in seconds, with its private inputs: nothing when it is published.
    """

    formula: Formula
    inputs: tuple[Formula, ...]
    users: int
    priority: int
    seconds: float
    bytes: int
    scratch: int
    published: bool
    tiny: bool
    how: Formula
    rule: str = ""
    again: float = 0.0

    @property
    def id(self) -> Id:
        """The content id of the value it produces."""
        return self.formula.id


@dataclass(frozen=True)
class Workplan:
    """What is to be done for some goals.

    `goals` are distinct, in the order asked; `tasks` come after what they read; `known` are the formulas whose outcome
    was known and is read, by a task or as a goal. Constants are in neither.
    """

    goals: tuple[Formula, ...]
    tasks: tuple[Task, ...]
    known: tuple[Formula, ...]


def plan(goals: Sequence[Formula], known: Collection[Id] = (), costs: Costs = COSTS) -> Workplan:
    """The workplan for the goals, demand-driven: nothing is planned of which only known values have need."""
    if not isinstance(known, (Set, Mapping)):
        known = frozenset(known)
    distinct = tuple({goal.id: goal for goal in reversed(goals)}.values())[::-1]  # the first of equal ones
    if all(goal.id in known for goal in distinct):
        return Workplan(distinct, (), distinct)
    formulas = list(_below(distinct, {}))
    with collector_paused() if len(formulas) > _MANY else nullcontext():
        return _planned(distinct, formulas, known, costs)


def _planned(
    distinct: tuple[Formula, ...], formulas: Sequence[Formula], known: Collection[Id], costs: Costs
) -> Workplan:
    ways = rewrite(formulas, [goal.id for goal in distinct], costs.seconds)
    order: list[_Node] = []
    nodes: dict[Id, _Node] = {}
    for formula in _below(distinct, ways) if ways else formulas:
        node = nodes[formula.id] = _Node(formula, ways.get(formula.id), costs)
        order.append(node)
        node.inputs = tuple(dict.fromkeys([nodes[a.id] for a in node.how.arguments if a.id in nodes]))
    _decide(order, {goal.id for goal in distinct}, costs)
    for goal in distinct:
        if goal.id in nodes:
            nodes[goal.id].needed = True
    read: list[Formula] = []
    needed: list[_Node] = []
    for node in reversed(order):
        if node.needed and node.formula.id in known:
            read.append(node.formula)
        elif node.needed:
            needed.append(node)
            for input in node.inputs:
                input.needed = True
                input.users += 1
    needed.reverse()
    tasks = tuple([node.task(priority) for priority, node in enumerate(needed)])
    return Workplan(distinct, tasks, tuple(reversed(read)))


class _Node:
    """A formula while its plan is made."""

    __slots__ = (
        "again", "bytes", "formula", "how", "inputs", "needed", "published", "rule", "scratch", "seconds", "tiny",
        "users",
    )  # fmt: skip

    def __init__(self, formula: Formula, chosen: Chosen | None, costs: Costs) -> None:
        self.formula = formula
        self.how, self.rule = (chosen.way.how, str(chosen.rule)) if chosen else (formula, "")
        self.inputs: tuple[_Node, ...] = ()
        self.needed = self.published = False
        self.users = 0
        cost = costs.of(self.how)
        self.tiny = formula.operator is not None and formula.operator.cost == "scalar"
        space = None if self.tiny else space_of(self.how)
        self.seconds = costs.seconds(self.how) * (chosen.way.effort if chosen else 1)
        self.again = 0.0  # what having it made again costs who uses it
        self.scratch = int(cost.scratch * space.voxels) if space else 0
        self.bytes = SCALAR_BYTES if self.tiny else result_bytes(formula)

    def task(self, priority: int) -> Task:
        return Task(
            self.formula,
            tuple([input.formula for input in self.inputs]),
            self.users,
            priority,
            self.seconds,
            self.bytes,
            self.scratch,
            self.published,
            self.tiny,
            self.how,
            self.rule,
            self.again,
        )


def _below(goals: Sequence[Formula], ways: Mapping[Id, Chosen]) -> Iterator[Formula]:
    """What the goals need by these ways, each id once, arguments before what uses them, without constants."""
    seen: set[Id] = set()
    stack: list[tuple[Formula, bool]] = [(goal, False) for goal in reversed(goals)]
    while stack:
        formula, done = stack.pop()
        if done:
            yield formula
        elif formula.id not in seen:
            seen.add(formula.id)
            chosen = ways.get(formula.id)
            arguments = formula.arguments if chosen is None else chosen.way.how.arguments
            if arguments:
                stack.append((formula, True))
                stack += [(a, False) for a in reversed(arguments) if a.id not in seen]
            elif formula.operator is not None or formula.file is not None:
                yield formula


def _decide(order: Sequence[_Node], goals: Set[Id], costs: Costs) -> None:
    """Which tasks are published: goals, what returns formulas or declares no cost, what is dear to make.

    Making it again means its own cost and that of its private inputs; for a published one, what uses it pays nothing.
    """
    for node in order:
        cost = node.seconds
        for input in node.inputs:
            cost += input.again
        operator = node.formula.operator
        node.published = (
            node.formula.id in goals
            or (operator is not None and (operator.dynamic or not operator.cost))
            or cost > costs.k * costs.store(node.bytes)
        )
        node.again = 0.0 if node.published else cost


def space_of(formula: Formula) -> Space | None:
    """The space an operator works in: its result's, or that of its arguments, which share one."""
    if formula.space is not None:
        return formula.space
    for argument in formula.arguments:
        if argument.space is not None:
            return argument.space
    return None


def result_bytes(formula: Formula) -> int:
    """An estimate of the bytes of memory the value takes; a file's model is taken to have one channel."""
    space, kind = formula.space, formula.type
    if kind is BYTES:
        return sum([result_bytes(a) for a in formula.arguments if a.type is not BYTES]) or SCALAR_BYTES
    if space is None:
        return SCALAR_BYTES
    if kind is MASK:
        z, y, x = space.shape
        return z * y * -(-x // 64) * 8
    if kind is MODEL and formula.operator is not None:
        return space.voxels * 4 * 4  # colours are what programs make models of
    return space.voxels * 4
