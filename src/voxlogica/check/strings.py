"""The names that stand in strings, `$NAME` and `${NAME}` (C27): where they are, and their replacement."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from voxlogica._dataclass import NamedTuple
from voxlogica.errors import Diagnostic, Span
from voxlogica.syntax.ast import Command, Expression, Import, Load, Print, Save, String, parts

# Without braces a name is the longest run of capital letters and digits; `$$` is a dollar.
_NAMES = re.compile(r"\$(?:\$|\{(?P<braced>[^{}\"]*)\}|(?P<bare>[A-Z][A-Z0-9]*)|(?P<lone>))")


class StringName(NamedTuple):
    """A name in a string of the program; `span` is the name with its dollar, in the text."""

    name: str
    span: Span


def has_names(text: str) -> bool:
    """Whether a string is more than its characters."""
    return "$" in text


def replaced(text: str, value: Callable[[str], str]) -> str:
    """The string with each name replaced by its value."""

    def one(match: re.Match[str]) -> str:
        name = match["braced"] if match["braced"] is not None else match["bare"]
        return value(name) if name is not None else "$"

    return _NAMES.sub(one, text)


def without_names(text: str) -> str:
    """The string with a letter in the place of each name: the same pattern to the eye, whatever the names stand for."""
    return replaced(text, lambda _: "x")


def names(commands: Iterable[Command]) -> tuple[StringName, ...]:
    """Every name in the strings of some commands, in their order."""
    return tuple(StringName(name, span) for name, span in _found(commands) if name is not None)


def mistakes(commands: Iterable[Command]) -> list[Diagnostic]:
    """What stands after a dollar and is no name."""
    return [
        Diagnostic(
            "syntax",
            "no name follows this `$`" if span.end - span.start == 1 else f"`{span.text}` holds no name",
            span,
            help="a name is written   $NAME   or   ${name}   and a dollar itself   $$",
        )
        for name, span in _found(commands)
        if name is None
    ]


def _found(commands: Iterable[Command]) -> Iterator[tuple[str | None, Span]]:
    for string in _strings(command for command in commands if _has_dollars(command.span)):
        if not has_names(string.value):
            continue
        # Escapes make no dollars and no names, so the text itself can be searched, where the places are.
        start = string.span.start
        for match in _NAMES.finditer(string.span.text):
            span = Span(string.span.source, start + match.start(), start + match.end())
            name = match["braced"] if match["braced"] is not None else match["bare"]
            if name:
                yield name, span
            elif match[0] != "$$":
                yield None, span


def _has_dollars(span: Span) -> bool:
    return span.source.text.find("$", span.start, span.end) >= 0


def _strings(commands: Iterable[Command]) -> Iterator[String]:
    for command in commands:
        match command:
            case Load(path=path):
                yield path
            case Save(path=text, value=value) | Print(label=text, value=value):
                yield text
                yield from _within(value)
            case Import():
                pass  # import paths are taken as they are
            case _:
                yield from _within(command.body)


def _within(expression: Expression) -> Iterator[String]:
    stack: list[Expression] = [expression]
    while stack:
        node = stack.pop()
        if isinstance(node, String):
            yield node
        else:
            stack += reversed(parts(node))
