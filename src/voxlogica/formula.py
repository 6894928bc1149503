"""The types of the logic, and interned, typed, immutable formulas: equal ones are one object with one content id."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, cached_property
from operator import attrgetter
from types import MappingProxyType
from typing import Any, cast

from voxlogica import identity
from voxlogica._dataclass import NamedTuple, dataclass
from voxlogica.errors import Frame, Span
from voxlogica.identity import Id, Plain
from voxlogica.values import Space, Value


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Type:
    """A type of the logic; each is one object. `spatial` ones have voxels, and so a space.

    A sequence has the type of its `element`s, which share a space; a record those of its `fields`, which share one too.
    `depth` says how many sequences lie one in the other, and `within` what lies in the last of them, so that nothing
    has to walk there.
    """

    name: str
    spatial: bool = False
    element: Type | None = None
    fields: Mapping[str, Type] | None = None
    depth: int = 0
    within: Type | None = None

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<type {self.name}>"

    @property
    def innermost(self) -> Type:
        """What lies in the innermost sequence; of no sequence the type itself."""
        return self.within or self

    def accepts(self, other: Type) -> bool:
        """Whether a value of type `other` may stand where this type is wanted: labels are number images (C5)."""
        if self is other:
            return True
        mine, its = self.innermost, other.innermost
        if self.depth != other.depth:
            return self.depth > other.depth and its is NOTHING
        if mine.fields is not None and its.fields is not None and mine is not its:
            pairs = zip(mine.fields.values(), its.fields.values(), strict=False)
            return list(mine.fields) == list(its.fields) and all(kind.accepts(given) for kind, given in pairs)
        return its is mine or its is NOTHING or (mine is IMAGE and its is LABELS)

    @property
    def plural(self) -> str:
        """Several values of the type."""
        first, _, rest = self.name.partition(" of ")  # a sequence's or a record's says of what
        return self.name if self is LABELS else f"{first}s of {rest}" if rest else f"{self.name}s"


_SPELLED = 8
"""So many sequences one in the other are spelled out; of more the name says how many there are."""


@cache
def sequence(element: Type) -> Type:
    """The type of sequences of such elements."""
    depth, within = element.depth + 1, element.innermost
    if within is NOTHING:  # what is named is the empty sequence
        levels, what = depth - 1, "empty sequences"
    else:
        levels, what = depth, within.plural
    name = f"sequence of {element.plural}" if levels else "empty sequence"
    if levels > _SPELLED:
        name = f"sequence of sequences, {levels} deep, of {what}"
    return Type(name, element.spatial, element, depth=depth, within=within)


@cache
def record(*fields: tuple[str, Type]) -> Type:
    """The type of records with these fields, in this order."""
    names = [name for name, _ in fields]
    some = ", ".join([*names[:3], *(["…"] if len(names) > 3 else [])])
    return Type(f"record of {some}", any(kind.spatial for _, kind in fields), fields=MappingProxyType(dict(fields)))


NUMBER = Type("number")
BOOL = Type("bool")
STRING = Type("string")
MODEL = Type("model", spatial=True)
IMAGE = Type("number image", spatial=True)
MASK = Type("mask", spatial=True)
LABELS = Type("labels", spatial=True)
NOTHING = Type("nothing")  # of the elements of `[]`, which go with any others
BYTES = Type("bytes")  # an encoded file; no program can name it
FORMULAS = Type("formulas")  # of what a task returns several of; who reads it gets their values, as a tuple


@dataclass(frozen=True, eq=False)
class Operator:
    """What is declared once about a primitive of the logic; made by `operators.operator`.

    `name` and `version` enter content ids; `symbol` is how programs write it, and `also` are symbols that it shares
    with others, told apart by their types. All spatial arguments and a spatial result share one space; `needs_space`
    says that the body takes it first, without the user giving it. A `bridge` has its arguments on any grid, and its
    result on another that it is given. A `grid` says on which space the result lies when that is none of the
    arguments': it is called with those of the numbers `decisive`, or all, spaces in the place of what has voxels.
    Arguments of the numbers `away` may lie on any grid. `cost` names the class of its running time; `isolate` has the
    body run in a process of its own, for what may crash or must be killable; `dynamic` says that the body returns
    formulas (see `Builder`), and `replayed` that it does so quickly, from numbers and truth values: these are then
    stored in the formulas' place. The arguments of one that is `apart` may lie on several grids. `library` is the
    package that computes it, if not ours: its version is in the ids. A sequence that is its result has so many elements
    as `count` says.
    """

    name: str
    symbol: str
    version: int
    parameters: tuple[tuple[str, Type], ...]
    result: Type
    body: Callable[..., Value | Formula | Sequence[Formula]]
    doc: str
    cost: str = "voxels"
    needs_space: bool = False
    takes_threads: bool = False
    commutative: bool = False
    hidden: bool = False
    isolate: bool = False
    dynamic: bool = False
    replayed: bool = False
    apart: bool = False
    library: str = ""
    also: tuple[str, ...] = ()
    bridge: bool = False
    grid: Callable[..., Space] | None = None
    count: int = 0
    decisive: tuple[int, ...] | None = None
    away: frozenset[int] = frozenset()

    @cached_property
    def types(self) -> tuple[Type, ...]:
        """The types of the parameters."""
        return tuple([kind for _, kind in self.parameters])

    @cached_property
    def spatial(self) -> tuple[int, ...]:
        """The numbers of the parameters that have voxels, and not on any grid."""
        return tuple([n for n, kind in enumerate(self.types) if kind.spatial and n not in self.away])

    @cached_property
    def elsewhere(self) -> bool:
        """Whether its arguments may lie on another space than its result."""
        return self.bridge or self.grid is not None

    @cached_property
    def has_space(self) -> bool:
        """Whether it has no meaning without a space."""
        return self.result.spatial or self.needs_space

    @cached_property
    def in_one_space(self) -> bool:
        """Whether all that it takes and makes lies on one space, or on none."""
        return not (self.apart or self.elsewhere or self.away)

    @cached_property
    def scalar(self) -> bool:
        """Whether it has nothing to do with spaces."""
        return self.in_one_space and not self.has_space and not self.spatial

    @cached_property
    def simple(self) -> bool:
        """Whether it takes and makes single values that have nothing to do with spaces."""
        return self.scalar and not self.takes_sequences and not self.count

    @cached_property
    def takes_sequences(self) -> bool:
        """Whether some parameter is a sequence."""
        return any(kind.element is not None for kind in self.types)

    @property
    def signature(self) -> str:
        """`touch(a: mask, b: mask) -> mask`, infix symbols between their operands."""
        return signature(self.symbol, self.parameters, self.result)

    @property
    def from_grid(self) -> bool:
        """Whether it comes from a grid and nothing else."""
        return self.needs_space and not self.parameters

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
    text first asked for it, and has no part in the id. `free` are the numbers of the holes below it that nothing below
    it binds, and of those on whose unknown grid something lies.
    """

    __slots__ = ("__weakref__", "arguments", "file", "free", "id", "operator", "origin", "space", "type", "value")
    free: frozenset[int]

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
        free = _NOTHING
        for argument in arguments:
            if argument.free:
                free |= argument.free
        self.free = free if space is None or space.hole is None else free | {space.hole}

    @property
    def parts(self) -> tuple[Formula, ...]:
        """The formulas that it is made of: its arguments, if it is not `Late`."""
        return self.arguments

    @property
    def label(self) -> str:
        """The operator's symbol, or what the leaf or constant is."""
        if self.operator is not None:
            return self.operator.symbol
        return "load" if self.file is not None else repr(self.value)

    def __repr__(self) -> str:
        return f"<{self.label} {self.id.hex()[:10]}: {self.type}>"


_NOTHING: frozenset[int] = frozenset()


class Hole(Formula):
    """The place in a formula that others are to take, one after the other: what the name bound by a loop stands for."""

    __slots__ = ("number",)

    def __init__(self, number: int, type: Type, space: Space | None) -> None:
        super().__init__(identity.hole(number, space.id if space else None), type, space, None, (), None, None, None)
        self.number, self.free = number, frozenset((number,))


class Late(Formula):
    """A sequence of which it is not known how long it is, or what is made of one.

    Its identity is what it is made of: the operator, its `parts` and its `parameters`. Of the parts the last ones may
    be *bodies*, formulas with the holes of these numbers (`bound`); holes are numbered from the inside, from 0, so that
    it matters neither what they are called nor where the whole stands. `arguments` are the numbers and truth values
    that must be known first to find out which formula it is. `word` is how a program says it.
    """

    __slots__ = ("bodies", "bound", "parameters", "parts", "word")
    parts: tuple[Formula, ...]

    def __init__(
        self,
        operator: Operator,
        parts: tuple[Formula, ...],
        parameters: tuple[Plain, ...],
        arguments: tuple[Formula, ...],
        space: Space | None,
        origin: Origin | None,
        *,
        bodies: int,
        bound: range,
        word: str,
    ) -> None:
        ids, counts = [part.id for part in parts], (*parameters, bodies, bound.start, len(bound))
        id = identity.applied(operator.name, operator.version, space.id if space else None, ids, counts)
        super().__init__(id, operator.result, space, operator, arguments, None, None, origin)
        self.parts, self.parameters, self.bodies, self.bound, self.word = parts, parameters, bodies, bound, word
        outside = len(parts) - bodies
        around, within = [part.free for part in parts[:outside]], [part.free for part in parts[outside:]]
        self.free = self.free.union(*around) | (_NOTHING.union(*within) - frozenset(bound))


@dataclass(frozen=True, slots=True)
class Leaf:
    """An input that was bound: what the room `images` needs to read it, and its identity."""

    file: object
    digest: bytes
    reader: str
    reader_version: int
    space: Space


_STANDING = -(10**9)
"""The number of the first hole that stands for a formula: far from those of loops that are under way."""


_id = attrgetter("id")
_type = attrgetter("type")


class Formulas:
    """The table in which formulas are interned."""

    def __init__(self) -> None:
        self._applied: dict[tuple[object, ...], Formula] = {}
        self._constants: dict[tuple[type, object], Formula] = {}
        self._leaves: dict[Id, Formula] = {}
        self._late: dict[Id, Late] = {}
        self._standing: dict[Id, Hole] = {}
        self.stands: dict[int, tuple[Hole, Formula]] = {}
        """The holes that `standing` has made, and what they stand for, by number."""

    def interned(self, late: Late) -> Late:
        """The formula itself, or the equal one that is here already."""
        return self._late.setdefault(late.id, late)

    def standing(self, formula: Formula, make: Callable[[int], Hole]) -> Hole:
        """The hole that stands for a formula whose space is not known, made when it is first asked for."""
        if formula.id not in self._standing:
            number = _STANDING - len(self.stands)
            hole = self._standing[formula.id] = make(number)
            self.stands[number] = hole, formula
        return self._standing[formula.id]

    def constant(self, value: bool | float | str, origin: Origin | None = None) -> Formula:
        """A constant; integers are numbers."""
        known = self._constants.get((type(value), value))
        if known is None:
            plain = value if isinstance(value, (bool, str)) else identity.normal(float(value))
            kind = BOOL if isinstance(value, bool) else STRING if isinstance(value, str) else NUMBER
            known = self._constants.get((type(plain), plain)) or Formula(
                identity.constant(plain), kind, None, None, (), plain, None, origin
            )
            self._constants[type(value), value] = self._constants[type(plain), plain] = known
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
        """An operator over formulas. `space` is that of the result where no argument has one, or the operator a grid.

        Raises `Apart` when arguments that must share a space do not.
        """
        ids = list(map(_id, arguments))
        if operator.commutative and ids != (ordered := sorted(ids)):
            arguments, ids = tuple(sorted(arguments, key=_id)), ordered
        key = (operator, arguments, space)
        known = self._applied.get(key)
        if known is not None:
            return known
        here = _space(operator, arguments, space)
        made_by = _versions(operator.library) if operator.library else ()
        id = identity.applied(operator.name, operator.version, here.id if here is not None else None, ids, made_by)
        result = operator.result
        known = Formula(id, result, here if result.spatial else None, operator, arguments, None, None, origin)
        self._applied[key] = known
        return known


@cache
def _versions(library: str) -> tuple[str, ...]:
    """A library and its version, as part of an id: another version may give other results."""
    from importlib.metadata import version

    return library, version(library)


class Apart(ValueError):
    """Arguments that must lie on one grid, and do not, or on one that is not known."""


def _space(operator: Operator, arguments: tuple[Formula, ...], space: Space | None) -> Space | None:
    """The one space an operator's arguments and result share; an ill-typed formula cannot be built."""
    if operator.in_one_space and tuple(map(_type, arguments)) == operator.types:  # as most are
        here = space
        for argument in arguments:
            its = argument.space
            if its is not here and its is not None:
                if here is not None:
                    break
                here = its
        else:
            if here is not None or not operator.has_space:
                return here
    return _shared(operator, arguments, space)


def _shared(operator: Operator, arguments: tuple[Formula, ...], space: Space | None) -> Space | None:
    """The same in every case.

    What is not known yet, the space of a hole, may turn out to be any: then it is looked at again.
    """
    if len(arguments) != len(operator.parameters):
        raise ValueError(f"{operator} takes {len(operator.parameters)} arguments, not {len(arguments)}")
    anywhere = operator.elsewhere
    for n, ((name, wanted), argument) in enumerate(zip(operator.parameters, arguments, strict=True)):
        if argument.type is not wanted and not wanted.accepts(argument.type):
            raise TypeError(f"{operator}: {name} is a {wanted}, not a {argument.type}")
        here = argument.space
        if operator.apart and here is None and argument.type.spatial:
            return None
        if here is not space and here is not None and not anywhere and n not in operator.away:
            if space is None:
                space = here
            elif operator.apart and here.id != space.id:
                return None
            elif space.hole is not None:
                space = here if here.hole is None else space
            elif here.hole is None and here.id != space.id:
                raise Apart(f"{operator}: its arguments are in different spaces")
    if space is None and operator.has_space and not _is_unknown(operator, arguments):
        raise (Apart if operator.spatial else ValueError)(f"{operator} needs a space")
    return space


def _is_unknown(operator: Operator, arguments: tuple[Formula, ...]) -> bool:
    """Whether the space may be known later: that of a hole, or of what holds things on several grids."""
    return operator.apart or any(a.free and a.type.spatial for a in arguments)


def below(goals: Sequence[Formula], parts: bool = False) -> Iterator[Formula]:
    """Every formula the goals need, each once, arguments before what uses them; with `parts`, all they are made of."""
    seen: set[int] = set()
    stack: list[tuple[Formula, bool]] = [(goal, False) for goal in reversed(goals)]
    while stack:
        formula, done = stack.pop()
        if done:
            yield formula
        elif id(formula) not in seen:
            seen.add(id(formula))
            stack.append((formula, True))
            under = formula.parts if parts else formula.arguments
            stack += [(a, False) for a in reversed(under) if id(a) not in seen]
    # A formula may stand twice on the stack before its first visit; `seen` makes the second visit a no-op.


# Formulas as outcomes


class Builder:
    """What the body of a dynamic operator gets as its first argument, to make the formulas with that it returns.

    `arguments` are the formulas whose values the body gets besides: those it returns may have them below. One formula
    is returned where the operator's result is a type of values, of that type and in the task's space: the task *is*
    then that formula. Where it is `FORMULAS`, any number.
    """

    def __init__(self, task: Formula) -> None:
        self.task, self.table = task, Formulas()
        self.arguments = task.arguments

    def constant(self, value: bool | float | str) -> Formula:
        """A constant."""
        return self.table.constant(value, self.task.origin)

    def apply(self, operator: Operator, *arguments: Formula, space: Space | None = None) -> Formula:
        """An operator over formulas."""
        return self.table.apply(operator, arguments, space, self.task.origin)


class Unreadable(LookupError):
    """Stored formulas that cannot be had again: of an operator or a version that is not here, or damaged."""


def returned(task: Formula, result: object) -> tuple[Formula, ...]:
    """The formulas that the body of a dynamic task has returned. Raises `TypeError` when it should have others."""
    single = task.type is not FORMULAS
    found = (result,) if single else tuple(result) if isinstance(result, (tuple, list)) else (None,)
    formulas = tuple([formula for formula in found if isinstance(formula, Formula)])
    if len(formulas) != len(found):
        raise TypeError(f"{task.operator} is to return {'a formula' if single else 'formulas'}, not {result!r}")
    if single:
        (formula,) = formulas
        here, there = task.space, formula.space
        if not task.type.accepts(formula.type) or (here is not None and here.id != (there and there.id)):
            raise TypeError(f"{task.operator} is to return a {task.type} in its space, not {formula}")
    return formulas


def encode(task: Formula, formulas: Sequence[Formula], values: Sequence[Value] = ()) -> bytes:
    """What a task returned, as canonical bytes: equal formulas, returned by equal tasks, have equal bytes.

    For an operator that is `replayed` these are `("values", FORMAT, values)`, those of its arguments; for others
    `("formulas", FORMAT, nodes, roots)`: the nodes come after those they name, by number, in depth-first order:

    - `("argument", n)` the task's n-th argument, and all that is below it;
    - `("constant", value)`;
    - `("file", id)` a file's value that is somewhere below the task;
    - `("apply", name, version, arguments, space)` an operator over nodes; the space, all its fields, only where no
      argument has the same.

    So the bytes say nothing of what the task reads, and stay short however deep that is. Raises `ValueError` for a file
    that the task does not read: nobody who opens the bytes could find it.
    """
    if task.operator is not None and task.operator.replayed:
        return identity.canonical(("values", identity.FORMAT, cast("Sequence[Plain]", values)))
    known = {argument.id: n for n, argument in reversed(list(enumerate(task.arguments)))}
    numbers: dict[Id, int] = {}
    nodes: list[Plain] = []
    for formula in _above(formulas, known):
        if formula.id not in numbers:
            numbers[formula.id] = len(nodes)
            nodes.append(_node(task, formula, known, numbers))
    return identity.canonical(("formulas", identity.FORMAT, nodes, [numbers[formula.id] for formula in formulas]))


def _above(formulas: Sequence[Formula], known: Mapping[Id, int]) -> Iterator[Formula]:
    """What formulas are made of, down to these, arguments before what uses them."""
    seen: set[Id] = set()
    stack = [(formula, False) for formula in reversed(formulas)]
    while stack:
        formula, done = stack.pop()
        if done:
            yield formula
        elif formula.id not in seen:
            seen.add(formula.id)
            stack.append((formula, True))
            if formula.id not in known:
                stack += [(a, False) for a in reversed(formula.arguments)]


def _node(task: Formula, formula: Formula, known: Mapping[Id, int], numbers: Mapping[Id, int]) -> Plain:
    if formula.id in known:
        return ("argument", known[formula.id])
    operator = formula.operator
    if operator is not None:
        given = any(argument.space for argument in formula.arguments) and not operator.elsewhere
        space = None if given else formula.space
        arguments = [numbers[argument.id] for argument in formula.arguments]
        return ("apply", operator.name, operator.version, arguments, space.fields if space else None)
    if formula.file is None:
        return ("constant", formula.value)
    if all(leaf.id != formula.id for leaf in below([task])):
        raise ValueError(f"{task.operator} returned a formula over a file that it does not read")
    return ("file", formula.id)


def decode(task: Formula, data: bytes, operators: Callable[[str], Operator | None]) -> tuple[Formula, ...]:
    """The formulas that `encode` gave these bytes. Raises `Unreadable`."""
    table, formulas, files = Formulas(), list[Formula](), dict[Id, Formula]()
    try:
        content: Any = identity.plain(data)
        if content[0] == "values":
            return _replayed(task, content)
        kind, version, nodes, roots = content
        if (kind, version) != ("formulas", identity.FORMAT):
            raise Unreadable(f"formulas in the format {version!r}")
        for node in nodes:
            match node:
                case ("argument", int(n)):
                    formulas.append(task.arguments[n])
                case ("constant", value):
                    formulas.append(table.constant(value, task.origin))
                case ("file", id):
                    files = files or {f.id: f for f in below([task]) if f.file is not None}
                    formulas.append(files[id])
                case ("apply", str(name), int(number), arguments, fields):
                    operator = operators(name)
                    if operator is None or operator.version != number:
                        raise Unreadable(f"formulas of the operator {name} {number}")
                    space = Space(*fields) if fields is not None else None
                    above = tuple([formulas[n] for n in arguments])
                    formulas.append(table.apply(operator, above, space, task.origin))
                case _:
                    raise Unreadable(f"{node!r} is not a formula")
        return returned(task, formulas[roots[0]] if task.type is not FORMULAS else [formulas[n] for n in roots])
    except (ValueError, TypeError, LookupError) as error:
        raise Unreadable(str(error)) from error


def _replayed(task: Formula, content: tuple[str, int, Sequence[Value]]) -> tuple[Formula, ...]:
    """The formulas that the body returns again."""
    _, version, values = content
    operator = task.operator
    if operator is None or not operator.replayed or version != identity.FORMAT or len(values) != len(task.arguments):
        raise Unreadable(f"values in the format {version!r}")
    return returned(task, operator.body(Builder(task), *values))
