"""The abstract syntax of ImgQL: plain immutable data; spans take no part in comparisons."""

from __future__ import annotations

from typing import TypeVar, dataclass_transform

from voxlogica._dataclass import dataclass, field
from voxlogica.errors import Span

_Class = TypeVar("_Class")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def _node(cls: type[_Class]) -> type[_Class]:
    """A frozen dataclass, by the type checker alone: one that is frozen at run time takes three times as long to make,
    and a large program has millions."""
    return dataclass(slots=True, unsafe_hash=True)(cls)


@_node
class Number:
    """A number literal. `integer` holds when it was written without a point or an exponent."""

    value: float
    integer: bool
    span: Span = field(compare=False, repr=False)


@_node
class Boolean:
    """`true` or `false`."""

    value: bool
    span: Span = field(compare=False, repr=False)


@_node
class String:
    """A string literal, escapes decoded (C2), `$NAME` not yet replaced (C27)."""

    value: str
    span: Span = field(compare=False, repr=False)


@_node
class Name:
    """A name used as a value; a program variable has its dollar, `$dir`."""

    name: str
    span: Span = field(compare=False, repr=False)


@_node
class Call:
    """A function or operator with at least one argument; `form` is how it was written.

    `infix` has two arguments or, with extra arguments `a op[c,d] b`, more, in the order `a, b, c, d`; `prefix` has one,
    `+(a, b)` is a `call`. `name_span` is the name or symbol alone; a name may have its namespace, `strings.concat`.
    """

    name: str
    arguments: tuple[Expression, ...]
    form: str  # "call" | "prefix" | "infix"
    name_span: Span = field(compare=False, repr=False)
    span: Span = field(compare=False, repr=False)


@_node
class List:
    """`[a, b, …]`."""

    items: tuple[Expression, ...]
    span: Span = field(compare=False, repr=False)


@_node
class Index:
    """`sequence[index]`."""

    sequence: Expression
    index: Expression
    span: Span = field(compare=False, repr=False)


@_node
class Slice:
    """`sequence[start:stop]`; a bound that was left out is None."""

    sequence: Expression
    start: Expression | None
    stop: Expression | None
    span: Span = field(compare=False, repr=False)


@_node
class Field:
    """`record.name`, or a name with its namespace: only what `record` means tells."""

    record: Expression
    name: str
    name_span: Span = field(compare=False, repr=False)
    span: Span = field(compare=False, repr=False)


@_node
class Binder:
    """`let name = value in body`, `for name in value do body`, `filter name in value do body`: `word` says which."""

    word: str
    name: Parameter
    value: Expression
    body: Expression
    span: Span = field(compare=False, repr=False)


@_node
class Fold:
    """`fold operator sequence`, `fold operator initial sequence`, or either with brackets and commas."""

    operator: str
    arguments: tuple[Expression, ...]
    name_span: Span = field(compare=False, repr=False)
    span: Span = field(compare=False, repr=False)


Expression = Number | Boolean | String | Name | Call | List | Index | Slice | Field | Binder | Fold


def parts(expression: Expression) -> tuple[Expression, ...]:
    """The expressions of which one is made, in the order of the text."""
    match expression:
        case Call(_, arguments) | List(arguments) | Fold(_, arguments):
            return arguments
        case Index(sequence, index):
            return (sequence, index)
        case Slice(sequence, start, stop):
            return (sequence, *(bound for bound in (start, stop) if bound is not None))
        case Field(record):
            return (record,)
        case Binder(_, _, value, body):
            return (value, body)
    return ()


@_node
class Parameter:
    """A formal parameter of a definition."""

    name: str
    span: Span = field(compare=False, repr=False)


@_node
class Load:
    """`load name = "path"`."""

    name: str
    path: String
    name_span: Span = field(compare=False, repr=False)
    span: Span = field(compare=False, repr=False)


@_node
class Let:
    """`let name = body` or `let name(parameters) = body`; `doc` is the `///` block before it, without the slashes."""

    name: str
    parameters: tuple[Parameter, ...]
    body: Expression
    name_span: Span = field(compare=False, repr=False)
    span: Span = field(compare=False, repr=False)
    doc: str = field(default="", compare=False, repr=False)


@_node
class Save:
    """`save "path" expression`."""

    path: String
    value: Expression
    span: Span = field(compare=False, repr=False)


@_node
class Print:
    """`print "label" expression`."""

    label: String
    value: Expression
    span: Span = field(compare=False, repr=False)


@_node
class Import:
    """`import "path"`."""

    path: String
    span: Span = field(compare=False, repr=False)


Command = Load | Let | Save | Print | Import


@_node
class Program:
    """A text's commands in order; `dialect` is how it was read when that was chosen (C3b): 1 or 2, else None."""

    commands: tuple[Command, ...]
    dialect: int | None = None
