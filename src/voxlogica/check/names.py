"""What names mean: definitions and operators, each bound at a moment of the program's text.

A definition sees what was bound before it. So every binding has its moment, and a name is looked up at one.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TypeAlias

from voxlogica._dataclass import NamedTuple, dataclass, field
from voxlogica.check.spaces import Place
from voxlogica.errors import Diagnostic, Span
from voxlogica.formula import Operator, Type, signature
from voxlogica.operators.families import Family
from voxlogica.reduction import Code
from voxlogica.reduction.code import Apply
from voxlogica.syntax.ast import Let, Load


class Unknown:
    """The type of a function's parameter before anything is known of its arguments; use settles it."""

    __slots__ = ("settled",)

    def __init__(self) -> None:
        self.settled: Kind | None = None


Kind: TypeAlias = Type | Unknown


def known(kind: Kind | None) -> Kind | None:
    """The kind itself, an unknown one replaced by what it was settled to."""
    while isinstance(kind, Unknown) and kind.settled is not None:
        kind = kind.settled
    return kind


def fits(wanted: Kind, given: Kind) -> bool:
    """Whether a value of one kind may stand where another is wanted; settles what is unknown."""
    wanted, given = known(wanted) or wanted, known(given) or given
    if given is wanted:
        return True
    if isinstance(given, Unknown):
        given.settled = wanted
    elif isinstance(wanted, Unknown):
        wanted.settled = given
    else:
        return wanted.accepts(given)
    return True


class Operand(NamedTuple):
    """An expression checked: its slot (−1 when in error), its kind (None when that is open) and its grid (−1: none)."""

    slot: int
    kind: Kind | None
    grid: int = -1


@dataclass(eq=False, slots=True)
class Value:
    """A definition without parameters, or an input: what it is in the main code, of a kind that is a type or None."""

    owner: int
    definition: Let | Load
    operand: Operand

    @property
    def kind(self) -> Type | None:
        """Its type; None when a mistake leaves that open."""
        kind = self.operand.kind
        assert kind is None or isinstance(kind, Type)
        return kind

    @property
    def name_span(self) -> Span:
        """Where it gets its name."""
        return self.definition.name_span


@dataclass(eq=False)
class Function:
    """A definition with parameters. Its body sees what was bound before `moment`."""

    owner: int
    definition: Let
    moment: int
    bundled: bool
    general: Instance | None = None  # checked for arguments of unknown types
    recursive: bool = False
    instances: dict[tuple[Type, ...], Instance] = field(default_factory=dict)

    @property
    def name_span(self) -> Span:
        """Where it gets its name."""
        return self.definition.name_span

    @property
    def parameters(self) -> tuple[tuple[str, Type | None], ...]:
        """The parameters, each with the type that any argument must have; None where arguments decide."""
        assert self.general is not None
        kinds = [known(kind) for kind in self.general.parameters]
        return tuple(
            (formal.name, kind if isinstance(kind, Type) else None)
            for formal, kind in zip(self.definition.parameters, kinds, strict=True)
        )

    @property
    def signature(self) -> str:
        """How it is shown to people."""
        assert self.general is not None
        result = known(self.general.result)
        return signature(self.definition.name, self.parameters, result if isinstance(result, Type) else None)


@dataclass(eq=False)
class Instance:
    """A function checked for certain types of arguments: its code, and what a caller must know of it.

    The code's result is −1 when something in it is in error; `problems` says what, unless it is a definition outside,
    where it is said already.
    """

    code: Code
    parameters: tuple[Kind, ...]
    result: Kind | None = None
    problems: list[Problem] = field(default_factory=list)
    grids: Grids = field(default_factory=lambda: Grids())

    @cached_property
    def alone(self) -> Apply | None:
        """The one operator over its arguments that a bundled definition is: `a & b` is `and`, and needs no call."""
        code = self.code
        one = code.steps[0] if code.bundled and len(code.steps) == 1 and code.result == code.holes else None
        return one if isinstance(one, Apply) and one.space < 0 else None


class Free(NamedTuple):
    """An expression whose grid nothing fixes, and the operator that makes it."""

    symbol: str
    place: Place


@dataclass(frozen=True)
class Grids:
    """What a call does to space variables.

    `joins` are pairs of ports that come to lie on one grid, with the place in the body. A port is the number of an
    argument, or −1 − n for the space variable n of the main code. `result` is the port on whose grid the result lies;
    None when there is none, or when the caller decides it: then `open` is what makes it, or when the result's grid is
    its `own`. `free` are the expressions in the body that lie on no grid but the program's only one.
    """

    joins: tuple[tuple[int, int, Place], ...] = ()
    result: int | None = None
    own: bool = False
    open: Free | None = None
    free: tuple[Free, ...] = ()


@dataclass(frozen=True)
class Problem:
    """A diagnostic whose chain is not complete: it grows with every function that is left on the way to the top.

    `place` is where it is; each trace a parameter of the function, by its number, whose argument is to be shown.
    """

    diagnostic: Diagnostic
    place: Place
    traces: tuple[Trace, ...] = ()


@dataclass(frozen=True)
class Trace:
    """An argument to be marked as `text, given here for name`."""

    parameter: int
    text: str
    name: str


@dataclass(frozen=True, eq=False)
class Overloaded:
    """Operators and definitions of the bundled libraries that share a symbol, told apart by their types.

    `chosen` remembers which ones take so many arguments, and which ones arguments of such types.
    """

    symbol: str
    alternatives: tuple[Operator | Function, ...]
    chosen: dict[int | tuple[Type, ...], Sequence[Operator | Function]] = field(default_factory=dict)

    @cached_property
    def owners(self) -> frozenset[int]:
        """The definitions among them."""
        return frozenset([each.owner for each in self.alternatives if isinstance(each, Function)])


@dataclass(frozen=True)
class Form:
    """A word of the language for sequences, which goes with elements of any type: `range`, `map` and their like.

    `variants` are its parameters' names, one for each number of arguments that it takes.
    """

    symbol: str
    variants: tuple[tuple[str, ...], ...]
    result: str
    doc: str

    @property
    def signature(self) -> str:
        """How it is shown to people."""
        return f"{self.symbol}({', '.join(self.variants[-1])}) -> {self.result}"


@dataclass(frozen=True)
class Ambiguous:
    """A name that several visible namespaces have, each with another meaning; `candidates` are whole names (C16)."""

    name: str
    candidates: tuple[str, ...]


Meaning: TypeAlias = Value | Function | Operator | Overloaded | Form | Family | Ambiguous
Bound: TypeAlias = Value | Function | Overloaded


class Scope:
    """Names and what they mean at each moment; the moments are 0, 1, 2, … in the order of binding."""

    def __init__(self) -> None:
        self.now = 0
        self.default = 0  # the moment at which the namespace `default` is complete
        self._bound: dict[str, tuple[int, Bound]] = {}  # when and to what each name was bound last
        self._earlier: dict[str, list[tuple[int, Bound]]] = {}  # what it was bound to before, of most names nothing
        self.opens: dict[str, int] = {}  # the namespaces that are opened, and when

    def bind(self, name: str, meaning: Bound) -> None:
        """From the next moment on, the name means this."""
        now, bound = self.now, self._bound
        if name in bound:
            self._earlier.setdefault(name, []).append(bound[name])
        bound[name] = (now, meaning)
        self.now = now + 1

    def find(self, name: str, moment: int) -> Bound | None:
        """What the name means to who sees what was bound before the moment."""
        bound = self._bound.get(name)
        if bound is None:
            return None
        if bound[0] < moment:
            return bound[1]
        earlier = self._earlier.get(name, [])
        before = bisect_left(earlier, moment, key=lambda entry: entry[0])
        return earlier[before - 1][1] if before else None

    def open(self, namespace: str) -> None:
        """From the next moment on, the names of a namespace may be written without it."""
        self.opens.setdefault(namespace, self.now)
        self.now += 1

    def opened(self, moment: int) -> list[str]:
        """The namespaces that were opened before a moment, in their order."""
        return [namespace for namespace, since in self.opens.items() if since < moment] if self.opens else []

    def names(self, moment: int) -> Iterator[str]:
        """The names that mean something at a moment."""
        return (name for name in self._bound if self.find(name, moment) is not None)
