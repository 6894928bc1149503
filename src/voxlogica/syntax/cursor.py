"""Where the parser is in the tokens of a text, what it has found wrong so far, and where it can go on."""

from __future__ import annotations

from functools import cached_property

from voxlogica.errors import Diagnostic, Source, Span
from voxlogica.syntax.lexer import COMMANDS, tokenize, words

_NEXT = {
    "let": ("name", "operator"),
    "load": ("name",),
    "save": ("string",),
    "print": ("string",),
    "import": ("string",),
}


class Fault(Exception):
    """A command cannot be understood further than the cursor is; the next one is not before the token `resume`.

    `problem` is None when it follows from a lexical fault, which is told anyway.
    """

    def __init__(self, problem: Diagnostic | None, resume: int = 0) -> None:
        self.problem, self.resume = problem, resume


class Cursor:
    """The tokens of a text, known by their indices, of which the next one to be read is `at`."""

    def __init__(self, source: Source, dialect: int | None) -> None:
        self.source = source
        self.kinds, self.texts, self.starts, self.ends, self.faults = tokenize(source, dialect)
        self.reserved = words(dialect)
        self.at = 0
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
        return Span(self.source, self.starts[index], self.ends[index])

    def since(self, first: int) -> Span:
        """From a token to the last one that was read."""
        return Span(self.source, self.starts[first], self.ends[self.at - 1])

    def touch(self, index: int) -> bool:
        """Whether nothing stands between a token and the one before it."""
        return self.ends[index - 1] == self.starts[index]

    def first_on_line(self, index: int) -> bool:
        """Whether only blanks stand before a token on its line."""
        return index == 0 or "\n" in self.source.text[self.ends[index - 1] : self.starts[index]]

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
            and index not in self._inner_lets
        )

    def begins_definition(self, index: int) -> bool:
        """Whether a definition seems to begin at a token, without `let`."""
        return self.kinds[index] == "name" and self.kinds[index + 1] == "=" and self.first_on_line(index)

    @cached_property
    def _inner_lets(self) -> set[int]:
        """The `let`s that have an `in`: version 2's expressions, and no commands."""
        found: set[int] = set()
        waiting: list[int] = []
        for index, kind in enumerate(self.kinds):
            if kind in ("let", "for", "filter"):
                waiting.append(index)
            elif kind == "in" and waiting:
                found.add(waiting.pop())
            elif kind in COMMANDS:
                waiting.clear()
        return found

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
