"""Checked code: straight-line steps over slots, every name resolved and every type known. Plain data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from voxlogica._dataclass import NamedTuple, dataclass, field
from voxlogica.errors import Span
from voxlogica.formula import Operator, Type


class Constant(NamedTuple):
    """A literal."""

    value: bool | float | str
    span: Span


class Text(NamedTuple):
    """A string in which `$NAME` is to be replaced (C27)."""

    template: str
    span: Span


class Setting(NamedTuple):
    """A parameter of the program (C29) and the literal it replaces."""

    name: str
    default: bool | float | str
    span: Span


class Input(NamedTuple):
    """The model of the program's n-th `load`."""

    number: int
    span: Span


class Global(NamedTuple):
    """A slot of the main code, seen from a function's body."""

    slot: int


class Outer(NamedTuple):
    """A slot of the code around a loop, seen from the loop's body."""

    slot: int


class Apply(NamedTuple):
    """An operator over slots; `space` is the number of a space variable of the code where no argument has a space."""

    operator: Operator
    arguments: tuple[int, ...]
    space: int
    span: Span


class Gathered(NamedTuple):
    """A sequence as one value, for an operator that takes it whole."""

    source: int
    span: Span


class Parts(NamedTuple):
    """The elements of a value that is a sequence of so many."""

    source: int
    length: int
    span: Span


class Invoke(NamedTuple):
    """A function over slots; `space` is the space variable that stands for the callee's open one, or -1."""

    code: Code
    arguments: tuple[int, ...]
    space: int
    span: Span


class Items(NamedTuple):
    """A sequence of the values of slots; `space` is the space variable of its elements, -1 when they have none."""

    items: tuple[int, ...]
    space: int
    span: Span


class Range(NamedTuple):
    """The whole numbers from the value of `start` up to that of `stop`, without it."""

    start: int
    stop: int
    span: Span


class Each(NamedTuple):
    """What a body makes of each element of a sequence; `space` is that of what it makes."""

    body: Code
    source: int
    space: int
    span: Span


class Together(NamedTuple):
    """What a body makes of the elements of several sequences, taken together; what is not `many` stays the same."""

    body: Code
    sources: tuple[int, ...]
    many: tuple[bool, ...]
    space: int
    span: Span
    symbol: str


class Sift(NamedTuple):
    """The elements of a sequence for which a body is true."""

    body: Code
    source: int
    span: Span


class Cut(NamedTuple):
    """The elements between two bounds, -1 where one is open; a negative bound is 0 if `clamped`, else from the end.

    `kind` is the type of an element.
    """

    kind: Type
    source: int
    start: int
    stop: int
    clamped: bool
    span: Span


class Pick(NamedTuple):
    """The element with a number; `kind` is its type."""

    kind: Type
    source: int
    number: int
    span: Span


class Folding(NamedTuple):
    """A sequence drawn together from the left, by `first` with the first element and by `rest` with the others.

    `initial` is what it begins with, -1 where that is the first element itself.
    """

    first: Code
    rest: Code
    initial: int
    source: int
    space: int
    symbol: str
    span: Span


class Dataset(NamedTuple):
    """The records of type `kind`, one for each case that patterns describe."""

    kind: Type
    patterns: tuple[str, ...]
    span: Span


class Listing(NamedTuple):
    """The names of what lies in a directory: the values of slots are what `images.patterns.entries` takes."""

    arguments: tuple[int, ...]
    span: Span


class Read(NamedTuple):
    """A field of a record of type `kind`."""

    kind: Type
    record: int
    name: str
    span: Span


class Summary(NamedTuple):
    """What a word of `operators.sequences.SUMMARIES` makes of a sequence; `more` are its other arguments.

    `kind` is its type: that of a number, or of an image if the elements are images.
    """

    kind: Type
    word: str
    source: int
    more: tuple[int, ...]
    span: Span


class Skip(NamedTuple):
    """A slot that nobody reads."""


Step: TypeAlias = (
    Constant | Text | Setting | Input | Global | Outer | Apply | Gathered | Parts | Invoke | Skip
    | Items | Range | Each | Together | Sift | Cut | Pick | Folding | Summary | Read | Dataset | Listing
)  # fmt: skip

DEFAULT = 0
"""The number, in every code, of the program's only space (C10)."""
OPEN = 1
"""The number, in every function, of the space its caller chooses."""


class SpaceOf(NamedTuple):
    """A space variable of a function or a loop that is fixed by one of these: the value of a slot, a space variable of
    the main code, or the value of a slot around the loop."""

    slot: int = -1
    main: int = -1
    outer: int = -1


@dataclass(eq=False)
class Code:
    """The steps of the main program, of a function for one choice of argument types, or of a loop's body.

    The first `holes` slots are the arguments; each step fills the next one. `spaces` says of each space variable past
    `OPEN` where it comes from; in the main code a space variable's number is looked up in the assignment given to
    `reduce`, or else `made` says in which slot there is something whose space it is. `order` are the numbers of the
    steps in the order in which they are to be carried out, empty when it is theirs. What a `bundled` library's code
    makes is said to be made where it is called. Of a loop's body, `kinds` are the types of the holes, and `kind` that
    of the result.
    """

    name: str
    holes: int = 0
    bundled: bool = False
    steps: list[Step] = field(default_factory=list)
    result: int = -1
    spaces: list[SpaceOf] = field(default_factory=list)
    made: dict[int, int] = field(default_factory=dict)
    order: Sequence[int] = ()
    kinds: tuple[Type, ...] = ()
    kind: Type | None = None


def reads(step: Step) -> tuple[int, ...]:
    """The slots of its own code that a step reads; −1 stands for none. What gives it its space is not among them."""
    match step:
        case Apply(arguments=slots) | Invoke(arguments=slots) | Items(items=slots) | Listing(arguments=slots):
            return slots
        case Together(body, sources):
            return (*sources, *_around(body))
        case Each(body, source) | Sift(body, source):
            return (source, *_around(body))
        case Folding(first, rest, initial, source):
            return (initial, source, *_around(first), *_around(rest))
        case Range(start, stop):
            return (start, stop)
        case Cut(source=source, start=start, stop=stop):
            return (source, start, stop)
        case Pick(source=source, number=number):
            return (source, number)
        case Gathered(source) | Parts(source):
            return (source,)
        case Summary(source=source, more=more):
            return (source, *more)
        case Read(record=record):
            return (record,)
    return ()


def operators(main: Code) -> set[Operator]:
    """All that a code applies, and what it calls."""
    found: set[Operator] = set()
    seen, stack = {id(main)}, [main]
    while stack:
        for step in stack.pop().steps:
            if isinstance(step, Apply):
                found.add(step.operator)
            for each in step:
                if isinstance(each, Code) and id(each) not in seen:
                    seen.add(id(each))
                    stack.append(each)
    return found


def _around(body: Code) -> tuple[int, ...]:
    """The slots around a loop that its body reads."""
    return tuple([step.slot for step in body.steps if isinstance(step, Outer)])
