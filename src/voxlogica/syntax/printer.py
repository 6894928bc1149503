"""A program back to text, with the fewest brackets that keep its meaning."""

from __future__ import annotations

from collections.abc import Container, Sequence

from voxlogica.syntax.ast import (
    Binder,
    Boolean,
    Call,
    Command,
    Expression,
    Field,
    Fold,
    Import,
    Index,
    Let,
    List,
    Load,
    Name,
    Number,
    Print,
    Program,
    Slice,
    String,
    parts,
)
from voxlogica.syntax.lexer import is_capital
from voxlogica.syntax.readings import level, one_chain

_ESCAPES = str.maketrans({'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"})

_Pieces = list["str | Expression"]


def print_program(program: Program) -> str:
    """The text of a program, a command on each line, which `parse` reads as the same program."""
    blocks = [] if program.dialect is None else [f"// dialect: {program.dialect}"]
    full = program.dialect is not None
    return "".join(f"{block}\n" for block in [*blocks, *(_command(each, full) for each in program.commands)])


def show(expression: Expression, full: bool = False) -> str:
    """The text of an expression, with no bracket that could be left out, or with all between operators when `full`."""
    out: list[str] = []
    colons = _with_colons(expression)
    rest: _Pieces = [expression]  # what is still to be written, the next piece last
    while rest:
        piece = rest.pop()
        if isinstance(piece, str):
            out.append(piece)
        elif isinstance(piece, (Number, Boolean, String, Name)):
            out.append(_simple(piece))
        else:
            rest += reversed(_compound(piece, full, colons))
    return "".join(out)


def _command(command: Command, full: bool) -> str:
    match command:
        case Load(name, path):
            return f"load {name} = {_quoted(path)}"
        case Import(path):
            return f"import {_quoted(path)}"
        case Let(name, parameters, body):
            names = ", ".join(parameter.name for parameter in parameters)
            left = f"{name}({names})" if names else name
            return f"{_doc(command.doc)}let {left} = {show(body, full)}"
        case Print(label, value):
            return f"print {_quoted(label)} {show(value, full)}"
    return f"save {_quoted(command.path)} {show(command.value, full)}"


def _doc(doc: str) -> str:
    return "".join(f"/// {line}".rstrip(" ") + "\n" for line in doc.split("\n")) if doc else ""


def _simple(expression: Number | Boolean | String | Name) -> str:
    match expression:
        case Number(value, integer):
            return f"{value:.0f}" if integer else repr(value)
        case Boolean(value):
            return "true" if value else "false"
        case String():
            return _quoted(expression)
    return expression.name


def _quoted(string: String) -> str:
    return f'"{string.value.translate(_ESCAPES)}"'


def _compound(
    expression: Call | List | Index | Slice | Field | Binder | Fold, full: bool, colons: Container[int]
) -> _Pieces:
    """The pieces of an expression, in the order of the text."""
    match expression:
        case Call():
            return _call(expression, full)
        case List(items):
            return ["[", *_separated(items), "]"]
        case Index(sequence, index):
            return [*_base(sequence), "[", *_bracketed(index, _has_colon(index, colons)), "]"]
        case Slice(sequence, start, stop):
            colon = ":" if _is_short(start) and _is_short(stop) else " : "
            return [*_base(sequence), "[", *_bound(start, colons), colon, *_bound(stop, colons), "]"]
        case Field(record, name):
            return [*_base(record), f".{name}"]
        case Binder(word, name, value, body):
            between = (" = ", " in ") if word == "let" else (" in ", " do ")
            return [f"{word} {name.name}", between[0], value, between[1], body]
    return [f"fold({expression.operator}, ", *_separated(expression.arguments), ")"]


def _call(call: Call, full: bool) -> _Pieces:
    if call.form == "call":
        return [f"{call.name}(", *_separated(call.arguments), ")"]
    if call.form == "prefix":
        (operand,) = call.arguments
        if _needs_brackets_after(call.name, operand):
            return [f"{call.name} (" if is_capital(call.name) else f"{call.name}(", operand, ")"]
        return [call.name if _sticks(call.name, operand) else f"{call.name} ", operand]
    left, right, *extra = call.arguments
    return [
        *_bracketed(left, _is_loose_left(call, left, full)),
        f" {call.name}",
        *(("[", *_separated(extra), "]") if extra else ()),
        " ",
        *_bracketed(right, _is_loose_right(call, right, full)),
    ]


def _separated(arguments: Sequence[Expression]) -> _Pieces:
    return [piece for argument in arguments for piece in (", ", argument)][1:]


def _bracketed(expression: Expression, brackets: bool) -> _Pieces:
    return ["(", expression, ")"] if brackets else [expression]


def _is_operation(expression: Expression) -> bool:
    """Whether operators are read inside the text of an expression, outside all its brackets."""
    return isinstance(expression, Binder) or (isinstance(expression, Call) and expression.form != "call")


def _is_loose_left(call: Call, left: Expression, full: bool) -> bool:
    """Whether the left side of an infix operator needs brackets."""
    if isinstance(left, Name) and is_capital(left.name):  # it would be taken for an operator
        return call.name in ("!", "!.") or is_capital(call.name)
    return _is_operation(left) and (full or not one_chain(call, left))


def _is_loose_right(call: Call, right: Expression, full: bool) -> bool:
    if isinstance(right, Call) and right.form == "infix":
        return full or not level(right.name) < level(call.name)
    return _is_operation(right) and (full or not isinstance(right, Call))


def _needs_brackets_after(prefix: str, operand: Expression) -> bool:
    """Whether a prefix operator's operand needs brackets."""
    if isinstance(operand, Binder) or (isinstance(operand, Call) and operand.form == "infix"):
        return True
    first: Expression = operand
    while isinstance(first, (Index, Slice, Field)):
        first = first.sequence if not isinstance(first, Field) else first.record
    if first is not operand and _is_loose_base(first):  # `op (…)[0]` could be an index of `op (…)`
        return True
    if not is_capital(prefix):
        return False
    negative = isinstance(first, Number) and _simple(first)[0] == "-"
    return negative or (
        isinstance(first, Call)
        and not (first.name[0].isalpha() or all(part.isidentifier() for part in first.name.split(".")))
        and first.name not in ("!", "!.")
    )


def _base(expression: Expression) -> _Pieces:
    """What an index or a field follows."""
    return _bracketed(expression, _is_loose_base(expression))


def _is_loose_base(expression: Expression) -> bool:
    return _is_operation(expression) or isinstance(expression, (Number, Boolean))


def _bound(bound: Expression | None, colons: Container[int]) -> _Pieces:
    """A bound of a slice, in which a `:` needs brackets."""
    if bound is None:
        return []
    return _bracketed(bound, isinstance(bound, Binder) or _has_colon(bound, colons))


def _has_colon(index: Expression, colons: Container[int]) -> bool:
    """Whether an index could be taken for a slice."""
    return isinstance(index, (Binder, Call)) and id(index) in colons


def _with_colons(expression: Expression) -> set[int]:
    """The ids of the expressions in whose text a colon stands: found once, for they may lie deep in each other."""
    inside: list[Expression] = [expression]
    for node in inside:  # which grows meanwhile
        inside += parts(node)
    found: set[int] = set()
    for node in reversed(inside):
        if _is_colon(node) or any(id(part) in found for part in parts(node)):
            found.add(id(node))
    return found


def _is_colon(node: Expression) -> bool:
    match node:
        case Slice():
            return True
        case Call(name=text) | Fold(operator=text) | String(value=text):
            return ":" in text
    return False


def _is_short(bound: Expression | None) -> bool:
    if isinstance(bound, Number):
        return _simple(bound)[0] != "-"
    return bound is None or (isinstance(bound, Name) and bound.name.islower())


def _sticks(name: str, operand: Expression) -> bool:
    """Whether no space follows a prefix operator: its operand is a single word or a call."""
    word = operand.name if isinstance(operand, Name) or (isinstance(operand, Call) and operand.form == "call") else ""
    return name in ("!", "!.", "-") and word[:1].isalpha() and not is_capital(word)
