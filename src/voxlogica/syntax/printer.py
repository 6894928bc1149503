"""A program back to text, with the fewest brackets that version 1's reading needs."""

from __future__ import annotations

from collections.abc import Sequence

from voxlogica.syntax.ast import (
    Boolean,
    Call,
    Command,
    Expression,
    Import,
    Let,
    Load,
    Name,
    Number,
    Print,
    Program,
    String,
)

_ESCAPES = str.maketrans({'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"})


def print_program(program: Program) -> str:
    """The text of a program, a command on each line, which `parse` reads as the same program."""
    blocks = [] if program.dialect is None else [f"// dialect: {program.dialect}"]
    return "".join(f"{block}\n" for block in [*blocks, *map(_command, program.commands)])


def show(expression: Expression) -> str:
    """The text of an expression, with no bracket that could be left out."""
    out: list[str] = []
    rest: list[str | Expression] = [expression]  # what is still to be written, the next piece last
    while rest:
        piece = rest.pop()
        if isinstance(piece, str):
            out.append(piece)
        elif isinstance(piece, Call):
            rest += reversed(_call(piece))
        else:
            out.append(_simple(piece))
    return "".join(out)


def _command(command: Command) -> str:
    match command:
        case Load(name, path):
            return f"load {name} = {_quoted(path)}"
        case Import(path):
            return f"import {_quoted(path)}"
        case Let(name, parameters, body):
            names = ", ".join(parameter.name for parameter in parameters)
            left = f"{name}({names})" if names else name
            return f"{_doc(command.doc)}let {left} = {show(body)}"
        case Print(label, value):
            return f"print {_quoted(label)} {show(value)}"
    return f"save {_quoted(command.path)} {show(command.value)}"


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


def _call(call: Call) -> list[str | Expression]:
    """The pieces of a call, in the order of the text."""
    if call.form == "call":
        return [f"{call.name}(", *_separated(call.arguments), ")"]
    if call.form == "prefix":
        (operand,) = call.arguments
        return [call.name if _sticks(call.name, operand) else f"{call.name} ", operand]
    left, right, *extra = call.arguments
    # All to the right of an infix operator is its right side, hence the left one alone may need brackets.
    bracketed = isinstance(left, Call) and left.form != "call"
    return [
        *(("(", left, ")") if bracketed else (left,)),
        f" {call.name}",
        *(("[", *_separated(extra), "]") if extra else ()),
        " ",
        right,
    ]


def _separated(arguments: Sequence[Expression]) -> list[str | Expression]:
    return [piece for argument in arguments for piece in (", ", argument)][1:]


def _sticks(name: str, operand: Expression) -> bool:
    """Whether no space follows a prefix operator: its operand is a single word or a call."""
    return name in ("!", "!.", "-") and (
        isinstance(operand, Name) or (isinstance(operand, Call) and operand.form == "call")
    )
