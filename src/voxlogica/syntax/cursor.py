"""Where the parser is in the tokens of a text, what it has found wrong so far, and where it can go on."""

from __future__ import annotations

from functools import cached_property

from voxlogica.errors import Diagnostic, Source, Span
from voxlogica.syntax import messages
from voxlogica.syntax.lexer import COMMANDS, is_capital, tokenize, words

_NEXT = {
    "let": ("name", "operator"),
    "load": ("name",),
    "save": ("string",),
    "print": ("string",),
    "import": ("string",),
}


_new = tuple.__new__
"""Makes a named tuple of its fields, all of them and in their order, in a third of the time: there are millions."""

_OPERANDS = frozenset(("number", "string", "boolean", "name", "variable", "(", "[", "for", "filter", "fold"))


class Fault(Exception):
    """A command cannot be understood further than the cursor is; the next one is not before the token `resume`.

    `problem` is None when it follows from a lexical fault, which is told anyway.
    """

    def __init__(self, problem: Diagnostic | None, resume: int = 0) -> None:
        self.problem, self.resume = problem, resume


class Cursor:
    """The tokens of a text, known by their indices, of which the next one to be read is `at`."""

    def __init__(self, source: Source, dialect: int | None) -> None:
        self.source, self.dialect = source, dialect
        self.kinds, self.texts, self.starts, self.ends, self.faults = tokenize(source, dialect)
        self.reserved = words(dialect)
        self.documented = "///" in source.text
        self.at = 0
        self.brackets: list[tuple[int, int]] | None = None  # where `fmt` puts them, if somebody asks
        self.problems: list[Diagnostic] = []

    @property
    def kind(self) -> str:
        """The kind of the next token."""
        return self.kinds[self.at]

    @property
    def gap(self) -> Span:
        """The place directly after the last token that was read: where something is missing."""
        end = self.ends[self.at - 1]
        return Span(self.source, end, end)

    def span(self, index: int) -> Span:
        """The place of a token."""
        return _new(Span, (self.source, self.starts[index], self.ends[index]))

    def since(self, first: int) -> Span:
        """From a token to the last one that was read."""
        return _new(Span, (self.source, self.starts[first], self.ends[self.at - 1]))

    def touch(self, index: int) -> bool:
        """Whether nothing stands between a token and the one before it."""
        return self.ends[index - 1] == self.starts[index]

    def first_on_line(self, index: int) -> bool:
        """Whether only blanks stand before a token on its line."""
        return index == 0 or self.source.text.find("\n", self.ends[index - 1], self.starts[index]) >= 0

    def next_line(self) -> int:
        """The first token after the line where the cursor is."""
        index, last = self.at + 1, len(self.kinds) - 1
        while index < last and not self.first_on_line(index):
            index += 1
        return min(index, last)

    def begins_command(self, index: int) -> bool:
        """Whether a command begins at a token: its word alone does not tell, for it may be misused as a name."""
        kind = self.kinds[index]
        return (
            kind in _NEXT
            and (self.kinds[index + 1] in _NEXT[kind] or self.first_on_line(index))
            and not self.binds(index)
        )

    def begins_definition(self, index: int) -> bool:
        """Whether a definition without `let` begins at a token: its left side stands at the start of a line (C3)."""
        return (
            self.kinds[index] in ("name", "operator")
            and self.kinds[index + 1] in ("(", "=")
            and self.first_on_line(index)
            and self.left_side(index) > 0
        )

    def left_side(self, index: int) -> int:
        """The `=` of a definition whose left side is at a token, a name perhaps with parameters; 0 if there is none."""
        kinds = self.kinds
        if kinds[index] not in ("name", "operator"):
            return 0
        index += 1
        if kinds[index] == "(":
            index += 1
            while kinds[index] in ("name", ","):
                index += 1
            if kinds[index] != ")":
                return 0
            index += 1
        return index if kinds[index] == "=" else 0

    def begins_operand(self, index: int) -> bool:
        """Whether an operand seems to begin at a token, other than by an operator character that could be infix."""
        kind = self.kinds[index]
        if kind in _OPERANDS:
            return not (kind == "name" and self.begins_definition(index))
        return self.binds(index) or (kind == "operator" and self.texts[index] in ("!", "!."))

    def is_capital(self, index: int) -> bool:
        """Whether a token is a word in capitals, which may be an operator."""
        return self.kinds[index] == "name" and is_capital(self.texts[index])

    def binds(self, index: int) -> bool:
        """Whether a `let` has its `in`, and so is an expression and no command."""
        return index in self._inner_lets

    @cached_property
    def _inner_lets(self) -> set[int]:
        """The `let`s that have an `in`."""
        found: set[int] = set()
        waiting: list[int] = []
        if "in" not in self.kinds:
            return found
        for index, kind in enumerate(self.kinds):
            if kind in ("let", "for", "filter"):
                waiting.append(index)
            elif kind == "in" and waiting:
                found.add(waiting.pop())
            elif kind in COMMANDS:
                waiting.clear()
        return found

    def comma_outside(self, comma: Span) -> Diagnostic:
        """What is wrong with the comma at the cursor, outside all brackets: perhaps it is that of `0,95`."""
        at = self.at
        number = self.kinds[at - 1] == self.kinds[at + 1] == "number" and self.touch(at) and self.touch(at + 1)
        return messages.comma_outside(comma, f"{self.texts[at - 1]}.{self.texts[at + 1]}" if number else "")

    def recover(self, fault: Fault, start: int) -> None:
        """Note what is wrong with the command that begins at `start`, and go to the next one."""
        if fault.problem is not None:
            self.problems.append(fault.problem)
        self.tell_faults(start)
        self.at = max(self.at, fault.resume, start + 1)
        last = len(self.kinds) - 1
        while self.at < last and not self.begins_command(self.at) and not self.begins_definition(self.at):
            self.at += 1
        self.at = min(self.at, last)

    def tell_faults(self, start: int) -> None:
        """Tell the lexical faults among the tokens that were read since `start`; not those skipped by `recover`."""
        if self.faults:
            self.problems += [self.faults[n] for n in range(start, self.at) if n in self.faults]

    def refuse_bad(self) -> None:
        """Raise a `Fault` when the next token is none."""
        if self.kind == "bad":
            raise Fault(self.faults[self.at])
