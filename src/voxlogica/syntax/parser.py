"""Tokens to a program: version 1's grammar, without recursion, in linear time, with all errors of a text at once.

After an error the parser goes on at the next command. An expression is first a flat chain of operands and operators,
of which `readings` makes a tree.
"""

from __future__ import annotations

import re
from functools import cached_property

from voxlogica.errors import Diagnostic, ProgramError, Source, Span
from voxlogica.syntax import messages
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
    Parameter,
    Print,
    Program,
    Save,
    String,
)
from voxlogica.syntax.lexer import COMMANDS, Token, string_value, tokenize, words
from voxlogica.syntax.readings import Operand, Operator, version_1

_CLOSER = {"(": ")", "[": "]"}
_NEXT = {"let": ("name", "operator"), "load": ("name",), "save": ("string",), "print": ("string",), "import": ("string",)}
_DIALECT = re.compile(r"\ufeff?[^\S\n]*//[^\S\n]*dialect[^\S\n]*:[^\S\n]*([^\n]*)")
_WORD = re.compile(r"\w+")
_FILE = re.compile(r"[^\S\n]*([\w./-]+)")


def parse(source: Source) -> Program:
    """The program that a text is; raises `ProgramError` with all its syntax errors, in the order of the text."""
    parser = _Parser(source)
    program = parser.program()
    if parser.problems:
        raise ProgramError(*sorted(parser.problems, key=lambda problem: problem.span.start if problem.span else 0))
    return program


class _Fault(Exception):
    """The command cannot be understood further than the token the parser is at, or than `resume`."""

    def __init__(self, problem: Diagnostic | None, resume: int = 0) -> None:
        self.problem, self.resume = problem, resume


class _Level:
    """An open bracket, or the expression outside all: the chain read so far and the arguments before it.

    `opener` is the bracket, and `head` the function or operator whose arguments it encloses.
    """

    __slots__ = ("arguments", "head", "last", "opener", "operators")

    def __init__(self, opener: Token | None = None, head: Token | None = None) -> None:
        self.opener, self.head = opener, head
        self.arguments: list[Expression] = []
        self.operators: list[Operator] = []
        self.last: Operand | None = None

    def finish(self) -> Operand:
        """The tree of the chain; the next one, if any, begins empty."""
        assert self.last is not None
        last = self.last
        start = last.start
        if self.operators:
            first = self.operators[0]
            start = first.left.start if first.left else first.span.start
            last = Operand(version_1(self.operators, last), start, last.end)
            self.operators = []
        self.last = None
        return last


class _Parser:
    def __init__(self, source: Source) -> None:
        self.source, self.text = source, source.text
        self.problems: list[Diagnostic] = []
        self.dialect = self._dialect()
        self.tokens, self.faults = tokenize(source, self.dialect)
        self.reserved = words(self.dialect)
        self.at = 0
        self.levels: list[_Level] = []

    def _dialect(self) -> int | None:
        line = _DIALECT.match(self.text)
        if line is None:
            return None
        if (value := line[1].rstrip()) in ("1", "2"):
            return int(value)
        self.problems.append(messages.dialect(Span(self.source, line.start(1), line.start(1) + len(value))))
        return None

    # Places

    def span(self, token: Token) -> Span:
        return Span(self.source, token.start, token.end)

    def since(self, first: Token) -> Span:
        """From a token to the last one that was read."""
        return Span(self.source, first.start, self.tokens[self.at - 1].end)

    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    @property
    def gap(self) -> Span:
        """The place directly after the last token that was read, where something is missing."""
        end = self.tokens[self.at - 1].end
        return Span(self.source, end, end)

    def first_on_line(self, index: int) -> bool:
        return index == 0 or "\n" in self.text[self.tokens[index - 1].end : self.tokens[index].start]

    @cached_property
    def inner_lets(self) -> set[int]:
        """The `let`s that have an `in`: those are version 2's expressions, and not commands."""
        found: set[int] = set()
        open_: list[int] = []
        for index, token in enumerate(self.tokens):
            if token.kind in ("let", "for", "filter"):
                open_.append(index)
            elif token.kind == "in" and open_:
                found.add(open_.pop())
            elif token.kind in COMMANDS:
                open_.clear()
        return found

    def begins_command(self, index: int) -> bool:
        """Whether a command begins at a token: its word alone does not tell, for it may be misused as a name."""
        kind = self.tokens[index].kind
        return (
            kind in _NEXT
            and (self.tokens[index + 1].kind in _NEXT[kind] or self.first_on_line(index))
            and index not in self.inner_lets
        )

    # Commands

    def program(self) -> Program:
        commands: list[Command] = []
        while self.token.kind != "end":
            start = self.at
            try:
                commands.append(self.command())
            except _Fault as fault:
                self.problems.append(fault.problem)
                self.tell_faults(start)
                self.at = max(self.at, fault.resume, start + 1)
                while self.at < len(self.tokens) - 1 and not self.begins_command(self.at):
                    self.at += 1
            else:
                self.tell_faults(start)
        return Program(tuple(commands), self.dialect)

    def tell_faults(self, start: int) -> None:
        """Tell the lexical faults among the tokens of a command that were understood."""
        if self.faults:
            self.problems += [self.faults[n] for n in range(start, self.at) if n in self.faults]

    def command(self) -> Command:
        first = self.token
        match first.kind:
            case "let":
                return self.let(first)
            case "load":
                return self.load(first)
            case "save":
                path = self.string_after(first, 'save "tumour.nii.gz" tumour')
                return Save(path, self.expression(), self.since(first))
            case "print":
                label = self.string_after(first, 'print "voxels" volume(tumour)')
                return Print(label, self.expression(), self.since(first))
            case "import":
                name = self.file_name(first, "RegionCalculus")
                return Import(self.string_after(first, f'import "{name}"'), self.since(first))
        raise self.no_command(first)

    def string_after(self, word: Token, example: str, after: str = "") -> String:
        self.at += 1
        token = self.token
        if token.kind == "bad":
            raise _Fault(self.faults[self.at])
        if token.kind != "string":
            raise _Fault(messages.no_string(self.gap, word.text, example, after))
        self.at += 1
        return String(string_value(token.text), self.span(token))

    def file_name(self, before: Token, example: str) -> str:
        """The file name that was written without quotes after a token, else the example."""
        written = _FILE.match(self.text, before.end)
        return written[1] if written else example

    def load(self, first: Token) -> Load:
        self.at += 1
        name = self.token
        if name.kind != "name":
            self.refuse_name(first, name, 'load flair = "flair.nii.gz"')
        self.at += 1
        if self.token.kind != "=":
            self.refuse_equals(first, name.text)
        example = self.file_name(self.token, "brain.nii.gz")
        path = self.string_after(first, f'load {name.text} = "{example}"', "=")
        return Load(name.text, path, self.span(name), self.since(first))

    def let(self, first: Token) -> Let:
        index = self.at
        self.at += 1
        name = self.token
        if name.kind == "operator":
            name = self.operator_defined(name)
        elif name.kind != "name":
            self.refuse_name(first, name, "let hi = 0.95")
        self.at += 1
        parameters = self.parameters(name) if self.token.kind == "(" else ()
        if self.token.kind != "=":
            self.refuse_equals(first, self.text[name.start : self.gap.start])
        self.at += 1
        body = self.expression()
        return Let(name.text, parameters, body, self.span(name), self.since(first), self.doc(index))
