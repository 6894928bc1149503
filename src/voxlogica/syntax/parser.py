"""Text to a program: the grammar of both versions, in linear time, with all errors of a text at once.

After an error the parser goes on at the next command.
"""

from __future__ import annotations

import re

from voxlogica._collector import collector_paused
from voxlogica.errors import ProgramError, Source, Span
from voxlogica.syntax import messages
from voxlogica.syntax.ast import Command, Import, Let, Load, Parameter, Print, Program, Save, String
from voxlogica.syntax.cursor import Cursor, Fault
from voxlogica.syntax.expressions import Reader
from voxlogica.syntax.lexer import COMMANDS, string_value

DIALECT = re.compile(r"\ufeff?[^\S\n]*//[^\S\n]*dialect[^\S\n]*:[^\S\n]*([^\n]*)")
_WORD = re.compile(r"\w+")
_FILE = re.compile(r"[^\S\n]*([\w./-]+)")
_COMMENTS = ("#", "--", "/*", ";", "%")


def parse(source: Source, dialect: int | None = None) -> Program:
    """The program that a text is; raises `ProgramError` with all its errors of syntax, in the order of the text.

    `dialect` is 1 or 2 when expressions are to be read as that version did, whatever the first line says.
    """
    return _parse(source, dialect, None)


def brackets(source: Source, dialect: int | None = None) -> list[tuple[int, int]]:
    """The places, from and to, that need brackets for the text to mean the same in every dialect.

    Raises `ProgramError` when the text is no program.
    """
    found: list[tuple[int, int]] = []
    _parse(source, dialect, found)
    return found


def _parse(source: Source, dialect: int | None, brackets: list[tuple[int, int]] | None) -> Program:
    line = DIALECT.match(source.text)
    value = line[1].rstrip() if line else ""
    known = value in ("1", "2")
    if dialect is None and known:
        dialect = int(value)
    with collector_paused():
        cursor = Cursor(source, dialect)
        cursor.brackets = brackets
        commands = _Parser(cursor).commands()
    if line and not known:
        cursor.problems.append(messages.dialect(Span(source, line.start(1), line.start(1) + len(value))))
    if cursor.problems:
        raise ProgramError(*sorted(cursor.problems, key=lambda problem: problem.span.start if problem.span else 0))
    return Program(tuple(commands), dialect)


class _Parser:
    def __init__(self, cursor: Cursor) -> None:
        self.cursor = cursor
        self.reader = Reader(cursor)

    def commands(self) -> list[Command]:
        """All commands that can be understood."""
        cursor, kinds = self.cursor, self.cursor.kinds
        found: list[Command] = []
        while kinds[cursor.at] != "end":
            start = cursor.at
            try:
                found.append(self.let() if kinds[start] == "let" else self.command())
            except Fault as fault:
                cursor.recover(fault, start)
            else:
                cursor.tell_faults(start)
        return found

    def command(self) -> Command:
        """A command other than one that begins with `let`."""
        cursor, first = self.cursor, self.cursor.at
        match cursor.kind:
            case "load":
                return self.load()
            case "save":
                path = self.string('save "tumour.nii.gz" tumour')
                return Save(path, self.reader.expression(), cursor.since(first))
            case "print":
                label = self.string('print "voxels" volume(tumour)')
                return Print(label, self.reader.expression(), cursor.since(first))
            case "import":
                path = self.string(f'import "{self.unquoted("RegionCalculus")}"')
                return Import(path, cursor.since(first))
        if cursor.left_side(first):
            return self.let()
        raise self.no_command()

    def load(self) -> Load:
        cursor, first = self.cursor, self.cursor.at
        cursor.at = name = first + 1
        if cursor.kind == "string":
            raise Fault(messages.no_name(cursor.gap, "load", f"load scan = {cursor.texts[name]}"))
        if cursor.kind != "name":
            self.refuse_name('load flair = "flair.nii.gz"')
        cursor.at += 1
        self.stay_at_equals(first)
        path = self.string(f'load {cursor.texts[name]} = "{self.unquoted("brain.nii.gz")}"')
        return Load(cursor.texts[name], path, cursor.span(name), cursor.since(first))

    def let(self) -> Let:
        cursor, kinds, first = self.cursor, self.cursor.kinds, self.cursor.at
        doc = self.doc() if cursor.documented else ""
        cursor.at = name = first + (kinds[first] == "let")
        if kinds[name] == "operator":
            self.check_operator()
        elif kinds[name] != "name":
            self.refuse_name("let hi = 0.95")
        cursor.at += 1
        parameters = self.parameters(cursor.texts[name]) if kinds[cursor.at] == "(" else ()
        if kinds[cursor.at] != "=":
            self.stay_at_equals(first)
        cursor.at += 1
        body = self.reader.expression()
        if kinds[cursor.at] == "in":
            raise Fault(messages.let_in(cursor.span(first)))
        return Let(cursor.texts[name], parameters, body, cursor.span(name), cursor.since(first), doc)

    def doc(self) -> str:
        """The block of `///` lines that ends on the line before the next token."""
        cursor = self.cursor
        start, end = cursor.ends[cursor.at - 1] if cursor.at else 0, cursor.starts[cursor.at]
        if cursor.source.text.find("///", start, end) < 0:
            return ""
        block: list[str] = []
        above = cursor.source.text[start:end].split("\n")[1 if cursor.at else 0 : -1]
        while above and (line := above.pop().strip(" \t\r\ufeff")).startswith("///") and not line.startswith("////"):
            block.append(line[3:].removeprefix(" "))
        return "\n".join(reversed(block))

    def string(self, example: str) -> String:
        """The string after the token at the cursor."""
        cursor, before = self.cursor, self.cursor.at
        cursor.at += 1
        cursor.refuse_bad()
        if cursor.kind != "string":
            what = "label" if cursor.kinds[before] == "print" else "file name"
            after, written = cursor.texts[before : before + 2]
            closed = cursor.source.text.startswith('"', cursor.ends[cursor.at])
            raise Fault(messages.no_string(cursor.gap, what, after, example, written, closed))
        cursor.at += 1
        return String(string_value(cursor.texts[before + 1]), cursor.span(before + 1))

    def unquoted(self, example: str) -> str:
        """The file name written without quotes after the token at the cursor, or the example."""
        written = _FILE.match(self.cursor.source.text, self.cursor.ends[self.cursor.at])
        return written[1] if written else example

    def stay_at_equals(self, first: int) -> None:
        """Make sure that a `=` follows the left side of the command that begins at the token `first`."""
        cursor = self.cursor
        cursor.refuse_bad()
        text = cursor.texts[cursor.at]
        if cursor.kind == "operator" and (text[0] == "=" or text == ":="):
            cursor.problems.append(messages.glued_equals(cursor.span(cursor.at)))
        elif cursor.kind != "=":
            command, left = cursor.kinds[first], cursor.since(first + 1).text
            raise Fault(messages.missing_equals(cursor.gap, command, left, self.other_left_side(left)))

    def other_left_side(self, left: str) -> str:
        """How the left side of a definition is written that another language writes as it is here, with no `=` yet."""
        cursor, after = self.cursor, self.cursor.at
        while cursor.kinds[after] == "name" and not cursor.first_on_line(after):
            after += 1
        if after > cursor.at and cursor.kinds[after] == "=":
            return f"parameters stand in brackets:   let {left}({', '.join(cursor.texts[cursor.at : after])}) = …"
        if cursor.kind == "operator" and cursor.touch(cursor.at) and cursor.touch(cursor.at + 1):
            return "a name consists of letters, digits and _ alone"
        return ""

    def parameters(self, function: str) -> tuple[Parameter, ...]:
        cursor, opener = self.cursor, self.cursor.at
        cursor.at += 1
        if cursor.kind == ")":
            cursor.at += 1
            cursor.problems.append(messages.no_parameters(function, cursor.since(opener)))
            return ()
        found: dict[str, Parameter] = {}
        while True:
            if cursor.kind != "name":
                self.refuse_name()
            parameter = Parameter(cursor.texts[cursor.at], cursor.span(cursor.at))
            if (first := found.setdefault(parameter.name, parameter)) is not parameter:
                cursor.problems.append(messages.parameter_twice(function, first.span, parameter.span))
            cursor.at += 1
            if cursor.kind == ",":
                cursor.at += 1
            elif self.ends_parameters(opener):
                return tuple(found.values())

    def ends_parameters(self, opener: int) -> bool:
        """Whether a parameter that no comma follows is the last one; raise a `Fault` where neither can be."""
        cursor = self.cursor
        cursor.refuse_bad()
        kind, opened, span = cursor.kind, cursor.span(opener), cursor.span(cursor.at)
        if kind == ")":
            cursor.at += 1
        elif kind == "=":
            cursor.problems.append(messages.unclosed(opened, span, "the definition begins"))
        elif kind == "name":
            cursor.problems.append(messages.missing_comma(cursor.gap))
        elif kind == "end":
            raise Fault(messages.unclosed(opened, cursor.gap, "the program ends"))
        elif cursor.begins_command(cursor.at):
            raise Fault(messages.unclosed(opened, span, messages.begins(span)))
        elif kind == "]":
            raise Fault(messages.mismatch(opened, span))
        else:
            raise Fault(messages.not_a_parameter(span))
        return kind != "name"

    # What is wrong

    def refuse_name(self, example: str = "") -> None:
        """Tell what is wrong with a token where a name is wanted; raise a `Fault` unless it can stand for one."""
        cursor = self.cursor
        cursor.refuse_bad()
        if cursor.kind in ("end", "=", ")", ",") or cursor.begins_command(cursor.at):
            raise Fault(messages.no_name(cursor.gap, cursor.texts[cursor.at - 1], example))
        if cursor.kinds[cursor.at - 1] == "load" and self.glued_equals():
            raise Fault(messages.glued_definition(cursor.span(cursor.at), "load"))
        if cursor.texts[cursor.at] not in cursor.reserved:
            raise Fault(messages.not_a_name(self.word()))
        cursor.problems.append(messages.reserved(cursor.span(cursor.at)))

    def check_operator(self) -> None:
        """Tell when the operator at the cursor cannot be defined as it is here."""
        cursor, index, word = self.cursor, self.cursor.at, self.word()
        after = cursor.kinds[index + 1]
        if self.glued_equals():
            raise Fault(messages.glued_definition(cursor.span(index)))
        if word.end > cursor.ends[index]:
            cursor.problems.append(messages.not_a_name(word))
            while cursor.starts[cursor.at + 1] < word.end:
                cursor.at += 1
        elif after == "=":
            cursor.problems.append(messages.operator_as_name(cursor.span(index)))
        elif after != "(":
            raise Fault(messages.operator_as_name(word if word.text.isalpha() else cursor.span(index)))

    def glued_equals(self) -> bool:
        """Whether the operator at the cursor is a word and a `=`."""
        cursor = self.cursor
        return self.word().end == cursor.ends[cursor.at] - 1 and cursor.texts[cursor.at][-1] == "="

    def word(self) -> Span:
        """The letters and digits at the cursor: what a person would take for a word; else the token there."""
        cursor = self.cursor
        word = _WORD.match(cursor.source.text, cursor.starts[cursor.at])
        return cursor.span(cursor.at)._replace(end=word.end()) if word else cursor.span(cursor.at)

    def no_command(self) -> Fault:
        """What is wrong with a token that begins no command, where one is wanted."""
        cursor = self.cursor
        cursor.refuse_bad()
        kind, text, span = cursor.kind, cursor.texts[cursor.at], cursor.span(cursor.at)
        if kind in (")", "]"):
            return Fault(messages.extra_bracket(span))
        if kind == ",":
            return Fault(cursor.comma_outside(span))
        if kind in ("for", "filter", "fold"):
            return Fault(messages.no_command_but_loop(span))
        for sign in _COMMENTS:
            if kind == "operator" and text.startswith(sign):
                return Fault(messages.comment(span._replace(end=span.start + len(sign))), cursor.next_line())
        if self.glued_equals():
            return Fault(messages.glued_definition(span))
        after = cursor.at + 1
        if cursor.texts[after] == ":=":
            return Fault(messages.glued_equals(cursor.span(after)))
        equals = 0 if kind == "end" or cursor.first_on_line(after) else cursor.left_side(after)
        meant = cursor.source.text[cursor.starts[after] : cursor.ends[equals - 1]] if equals else ""
        if meant:
            string = cursor.kinds[equals + 1] == "string"
            meant = f"load {meant} = {cursor.texts[equals + 1]}" if string else f"let {meant} = …"
        return Fault(messages.no_command(self.word(), COMMANDS, meant))
