"""The types of the logic, and interned, typed, immutable formulas: equal ones are one object with one content id."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from voxlogica import identity
from voxlogica.errors import Frame, Span
from voxlogica.identity import Id
from voxlogica.values import Space, Value


@dataclass(frozen=True, slots=True, eq=False)
class Type:
    """A type of the logic; each is one object. `spatial` ones have voxels, and so a space.

    A sequence has the type of its `element`s, which share a space; a record those of its `fields`.
    """

    name: str
    spatial: bool = False
    element: Type | None = None
    fields: Mapping[str, Type] | None = None

    def __str__(self) -> str:
        return self.name

    def accepts(self, other: Type) -> bool:
        """Whether a value of type `other` may stand where this type is wanted: labels are number images (C5)."""
        mine, its = self, other
        while mine.element is not None and its.element is not None:
            mine, its = mine.element, its.element
        return its is mine or its is NOTHING or (mine is IMAGE and its is LABELS)

    @property
    def plural(self) -> str:
        """Several values of the type."""
        return self.name if self is LABELS else f"{self.name}s" if self.element is None else f"sequences{self.name[8:]}"


@cache
def sequence(element: Type) -> Type:
    """The type of sequences of such elements."""
    name = f"sequence of {element.plural}" if element is not NOTHING else "empty sequence"
    return Type(name, element.spatial, element)


NUMBER = Type("number")
BOOL = Type("bool")
STRING = Type("string")
MODEL = Type("model", spatial=True)
IMAGE = Type("number image", spatial=True)
MASK = Type("mask", spatial=True)
LABELS = Type("labels", spatial=True)
NOTHING = Type("nothing")  # of the elements of `[]`, which go with any others
BYTES = Type("bytes")  # an encoded file; no program can name it


@dataclass(frozen=True, eq=False)
class Operator:
    """What is declared once about a primitive of the logic; made by `operators.operator`.

    `name` and `version` enter content ids; `symbol` is how programs write it, and `also` are symbols that it shares
    with others, told apart by their types. All spatial arguments and a spatial result share one space; `needs_space`
    says that the body takes it first, without the user giving it. `cost` names the class of its running time.
    """

    name: str
    symbol: str
    version: int
    parameters: tuple[tuple[str, Type], ...]
    result: Type
    body: Callable[..., Value]
    doc: str
    also: tuple[str, ...] = ()
    cost: str = "voxels"
    needs_space: bool = False
    takes_threads: bool = False
    commutative: bool = False
    hidden: bool = False

    @property
    def signature(self) -> str:
        """`touch(a: mask, b: mask) -> mask`, infix symbols between their operands."""
        return signature(self.symbol, self.parameters, self.result)

    def __repr__(self) -> str:
        return f"<operator {self.name} {self.version}>"


def signature(symbol: str, parameters: Sequence[tuple[str, Type | None]], result: Type | None) -> str:
    """How a definition is shown to people."""
    shown = [f"{name}: {kind}" if kind else name for name, kind in parameters]
    to = f" -> {result}" if result else ""
    return f"{symbol}({', '.join(shown)}){to}" if shown else f"{symbol}{to}"


# Formulas


class Origin(NamedTuple):
    """Where a formula was first written: the expression, and the calls that led there, innermost first."""

    span: Span
    name: str = ""
    caller: Origin | None = None

    @property
    def chain(self) -> tuple[Frame, ...]:
        """The calls as frames for a diagnostic."""
        frames: list[Frame] = []
        here: Origin | None = self
        while here is not None and here.caller is not None:
            frames.append(Frame(here.name, here.caller.span))
            here = here.caller
        return tuple(frames)


class Formula:
    """A node of the graph: a constant (`value`), a leaf (`file`), or an operator over `arguments`.

    Made only by `Formulas`, which interns: within one table equal formulas are the same object. `origin` is where the
    text first asked for it, and has no part in the id.
    """

    __slots__ = ("__weakref__", "arguments", "file", "id", "operator", "origin", "space", "type", "value")

    def __init__(
        self,
        id: Id,
        type: Type,
        space: Space | None,
        operator: Operator | None,
        arguments: tuple[Formula, ...],
        value: bool | float | str | None,
        file: object,
        origin: Origin | None,
    ) -> None:
        self.id, self.type, self.space, self.operator = id, type, space, operator
        self.arguments, self.value, self.file, self.origin = arguments, value, file, origin

    @property
    def label(self) -> str:
        """The operator's symbol, or what the leaf or constant is."""
        if self.operator is not None:
            return self.operator.symbol
        return "load" if self.file is not None else repr(self.value)

    def __repr__(self) -> str:
        return f"<{self.label} {self.id.hex()[:10]}: {self.type}>"


@dataclass(frozen=True, slots=True)
class Leaf:
    """An input that was bound: what the room `images` needs to read it, and its identity."""

    file: object
    digest: bytes
    reader: str
    reader_version: int
    space: Space


class Formulas:
    """The table in which formulas are interned."""

    def __init__(self) -> None:
        self._applied: dict[tuple[object, ...], Formula] = {}
        self._constants: dict[tuple[type, object], Formula] = {}
        self._leaves: dict[Id, Formula] = {}

    def constant(self, value: bool | float | str, origin: Origin | None = None) -> Formula:
        """A constant; integers are numbers."""
        if not isinstance(value, (bool, str)):
            value = identity.normal(float(value))
        kind = BOOL if isinstance(value, bool) else NUMBER if isinstance(value, float) else STRING
        key = (kind, "nan" if value != value else value)
        known = self._constants.get(key)  # type: ignore[arg-type]
        if known is None:
            known = Formula(identity.constant(value), kind, None, None, (), value, None, origin)
            self._constants[key] = known  # type: ignore[index]
        return known

    def leaf(self, leaf: Leaf, origin: Origin | None = None) -> Formula:
        """The value of a file."""
        id = identity.leaf(leaf.digest, leaf.reader, leaf.reader_version, leaf.space.id)
        known = self._leaves.get(id)
        if known is None:
            known = self._leaves[id] = Formula(id, MODEL, leaf.space, None, (), None, leaf.file, origin)
        return known

    def apply(
        self,
        operator: Operator,
        arguments: tuple[Formula, ...],
        space: Space | None = None,
        origin: Origin | None = None,
    ) -> Formula:
        """An operator over formulas. `space` is needed only where no argument has one."""
        if operator.commutative:
            arguments = tuple(sorted(arguments, key=_by_id))
        key = (operator, arguments, space)
        known = self._applied.get(key)
        if known is not None:
            return known
        here = _space(operator, arguments, space)
        id = identity.applied(operator.name, operator.version, here.id if here else None, [a.id for a in arguments])
        result_space = here if operator.result.spatial else None
        known = Formula(id, operator.result, result_space, operator, arguments, None, None, origin)
        self._applied[key] = known
        return known


def _by_id(formula: Formula) -> Id:
    return formula.id


def _space(operator: Operator, arguments: tuple[Formula, ...], space: Space | None) -> Space | None:
    """The one space an operator's arguments and result share; an ill-typed formula cannot be built."""
    if len(arguments) != len(operator.parameters):
        raise ValueError(f"{operator} takes {len(operator.parameters)} arguments, not {len(arguments)}")
    for (name, wanted), argument in zip(operator.parameters, arguments, strict=True):
        if argument.type is not wanted and not wanted.accepts(argument.type):
            raise TypeError(f"{operator}: {name} is a {wanted}, not a {argument.type}")
        if argument.space is not None:
            if space is not None and argument.space is not space and argument.space.id != space.id:
                raise ValueError(f"{operator}: its arguments are in different spaces")
            space = argument.space
    if space is None and (operator.result.spatial or operator.needs_space):
        raise ValueError(f"{operator} needs a space")
    return space


def below(goals: Sequence[Formula]) -> Iterator[Formula]:
    """Every formula the goals need, each once, arguments before what uses them."""
    seen: set[int] = set()
    stack: list[tuple[Formula, bool]] = [(goal, False) for goal in reversed(goals)]
    while stack:
        formula, done = stack.pop()
        if done:
            yield formula
        elif id(formula) not in seen:
            seen.add(id(formula))
            stack.append((formula, True))
            stack += [(a, False) for a in reversed(formula.arguments) if id(a) not in seen]
    # A formula may stand twice on the stack before its first visit; `seen` makes the second visit a no-op.
