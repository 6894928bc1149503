"""Tokens to an expression, without recursion: a stack of open brackets, and in each the flat chain read so far."""

from __future__ import annotations

from math import isfinite, isnan, nan

from voxlogica.errors import Span
from voxlogica.syntax import messages
from voxlogica.syntax.ast import Boolean, Call, Expression, Name, Number, String
from voxlogica.syntax.cursor import Cursor, Fault
from voxlogica.syntax.lexer import COMMANDS, string_value
from voxlogica.syntax.readings import Operand, Operator, version_1

_CLOSER = {"(": ")", "[": "]", "": ""}
_LOOPS = ("for", "filter", "fold")
_VARIABLES = ("stem", "file", "filename", "dir", "cwd")


def expression(cursor: Cursor) -> Expression:
    """The expression at the cursor, which is moved to its end; raises `Fault` at the first token that does not fit."""
    reader = _Reader(cursor)
    reader.operand()
    while reader.goes_on():
        reader.operand()
    return reader.level.take()


class _Level:
    """An open bracket, or the place outside all: the chain read so far, and the arguments before it.

    `bracket` is its text, "" outside all, and `opener` its token; `head` is the token of the function or operator whose
    arguments it encloses, None where it only groups.
    """

    __slots__ = ("arguments", "bracket", "head", "last", "opener", "operators")

    def __init__(self, bracket: str = "", opener: int = 0, head: int | None = None) -> None:
        self.bracket, self.opener, self.head = bracket, opener, head
        self.arguments: list[Expression] = []
        self.operators: list[Operator] = []
        self.last: Operand | None = None

    def take(self) -> Expression:
        """The tree of the chain; another chain may begin."""
        assert self.last is not None
        operators, last = self.operators, self.last
        self.last = None
        if not operators:
            return last.expression
        self.operators = []
        return version_1(operators, last)


class _Reader:
    def __init__(self, cursor: Cursor) -> None:
        self.cursor = cursor
        self.level = _Level()
        self.outer: list[_Level] = []

    def operand(self) -> None:
        """Read prefix operators and opening brackets, up to the end of an operand."""
        cursor, kinds, texts = self.cursor, self.cursor.kinds, self.cursor.texts
        while True:
            index = cursor.at
            cursor.at += 1
            kind = kinds[index]
            made: Expression
            if kind == "name":
                if kinds[cursor.at] == "(" and self.opens_call(index):
                    continue
                made = Name(texts[index], cursor.span(index))
            elif kind == "number":
                made = self.number(texts[index], cursor.span(index))
            elif kind == "(":
                self.open(index, None)
                continue
            elif kind == "operator":
                if texts[index] not in ("-", "+") or kinds[cursor.at] != "number" or not cursor.touch(cursor.at):
                    self.prefix(index)
                    continue
                cursor.at += 1
                made = self.number(texts[index] + texts[index + 1], cursor.since(index))
            elif kind == "string":
                made = String(string_value(texts[index]), cursor.span(index))
            elif kind == "boolean":
                made = Boolean(texts[index] == "true", cursor.span(index))
            else:
                cursor.at = index
                raise self.no_operand()
            self.level.last = Operand(made, cursor.starts[index], cursor.ends[cursor.at - 1])
            return

    def goes_on(self) -> bool:
        """After an operand, read on to where the next one is wanted; False at the end of the expression."""
        cursor = self.cursor
        while True:
            kind, level = cursor.kind, self.level
            if kind == "operator":
                self.infix()
                return True
            if kind == "," and level.head is not None:
                cursor.at += 1
                level.arguments.append(level.take())
                return True
            if kind == _CLOSER[level.bracket]:
                cursor.at += 1
                if self.close(level):
                    return True
            elif not level.bracket and self.is_end():
                return False
            else:
                raise self.no_operator()

    def is_end(self) -> bool:
        """Whether an expression outside all brackets ends here: at a command, or what a line seems to begin."""
        cursor = self.cursor
        kind = cursor.kind
        if kind == "name":
            return cursor.first_on_line(cursor.at)
        return kind in ("end", "in") or cursor.begins_command(cursor.at)

    # Brackets

    def open(self, opener: int, head: int | None) -> None:
        self.outer.append(self.level)
        self.level = _Level(self.cursor.kinds[opener], opener, head)

    def opens_call(self, name: int) -> bool:
        """Enter the arguments of a function; False when there are none, which is told."""
        cursor = self.cursor
        opener = cursor.at
        cursor.at += 1
        if cursor.kind != ")":
            self.open(opener, name)
            return True
        cursor.at += 1
        cursor.problems.append(messages.empty_call(cursor.texts[name], cursor.since(opener)))
        return False

    def close(self, level: _Level) -> bool:
        """Leave a bracket; True when it held the extra arguments of an operator, after which an operand is wanted."""
        cursor, head, made = self.cursor, level.head, level.take()
        self.level = outer = self.outer.pop()
        end = cursor.ends[cursor.at - 1]
        if head is None:
            outer.last = Operand(made, cursor.starts[level.opener], end)
            return False
        arguments = (*level.arguments, made)
        if level.bracket == "[":
            outer.operators.append(Operator(outer.last, cursor.texts[head], cursor.span(head), arguments))
            outer.last = None
            return True
        call = Call(cursor.texts[head], arguments, "call", cursor.span(head), cursor.since(head))
        outer.last = Operand(call, cursor.starts[head], end)
        return False

    # Operators and numbers

    def prefix(self, index: int) -> None:
        cursor = self.cursor
        if cursor.touch(cursor.at):
            if cursor.kind == "[":
                raise Fault(messages.extra_of_prefix(cursor.span(index)))
            if cursor.texts[index] == "$" and cursor.texts[cursor.at] in _VARIABLES:
                cursor.at += 1
                raise Fault(messages.variable(cursor.since(index)))
        self.level.operators.append(Operator(None, cursor.texts[index], cursor.span(index)))

    def infix(self) -> None:
        cursor, level, index = self.cursor, self.level, self.cursor.at
        text = cursor.texts[index]
        if text[0] == "." and (len(text) == 1 or text[1:].isalpha()):
            self.refuse_field(index)
        cursor.at += 1
        if cursor.kind == "[" and cursor.touch(cursor.at):
            cursor.at += 1
            self.open(index + 1, index)
        else:
            level.operators.append(Operator(level.last, text, cursor.span(index)))
            level.last = None

    def number(self, text: str, span: Span) -> Number:
        value = float(text)
        if not isfinite(value):
            if text[-1].isdigit():
                self.cursor.problems.append(messages.number_too_large(span))
            elif isnan(value):
                value = nan  # always the same object, which `==` of trees finds equal to itself
        return Number(value, text.lstrip("+-").isdigit(), span)

    # What is wrong

    def refuse_field(self, point: int) -> None:
        """Raise a `Fault` for `value.name`, version 2's field of a record or name in a namespace."""
        cursor = self.cursor
        if not (cursor.touch(point) and cursor.touch(point + 1) and cursor.kinds[point + 1] == "name"):
            return
        named = cursor.kinds[point - 1] == "name"
        span = cursor.span(point + 1)._replace(start=cursor.starts[point - 1 if named else point])
        called = named and cursor.kinds[point + 2] == "("
        raise Fault(messages.qualified(span) if called else messages.field(span))

    def no_operand(self) -> Fault:
        """What is wrong with a token where an operand is wanted."""
        cursor = self.cursor
        cursor.refuse_bad()
        kind, span, before = cursor.kind, cursor.span(cursor.at), cursor.at - 1
        if kind == "=":
            return Fault(messages.second_equals(span))
        if kind == "[":
            operators = self.level.operators
            infix = operators and operators[-1].left and cursor.kinds[before] == "operator"
            return Fault(messages.list_of_values(span, cursor.texts[before] if infix else ""))
        if kind in _LOOPS:
            return Fault(messages.loop(span))
        command = cursor.begins_command(cursor.at)
        if kind == "let" and not command and cursor.kinds[cursor.at + 1] == "name":
            return Fault(messages.let_in(span, cursor.texts[cursor.at + 1]))
        if kind in cursor.reserved and not command:
            return Fault(messages.reserved(span))
        if before in cursor.faults:  # the string that has no end has taken the expression
            return Fault(None)
        after = f"`{cursor.texts[before]}`"
        if cursor.kinds[before] == "string":
            after = "the label" if cursor.kinds[before - 1] == "print" else "the file name"
        return Fault(messages.missing_expression(cursor.gap, after, span if command else None))

    def no_operator(self) -> Fault:
        """What is wrong with a token after an operand."""
        cursor, bracket = self.cursor, self.level.bracket
        cursor.refuse_bad()
        kind, span, opener = cursor.kind, cursor.span(cursor.at), cursor.span(self.level.opener)
        if kind == "=":
            return Fault(messages.second_equals(span))
        if kind == "[":
            return Fault(messages.index(span))
        if kind == ",":
            return self.no_comma(span, opener)
        if kind in (")", "]"):
            return Fault(messages.mismatch(opener, span) if bracket else messages.extra_bracket(span))
        command = cursor.begins_command(cursor.at) or cursor.begins_definition(cursor.at)
        if (command or kind == "end") and cursor.kinds[cursor.at - 1] == "string" and cursor.at - 1 in cursor.faults:
            return Fault(None)  # a string without an end has taken the bracket
        if command:
            return Fault(messages.unclosed(opener, span, messages.begins(span)))
        if kind == "end":
            return Fault(messages.unclosed(opener, cursor.gap, "the program ends"))
        if kind in ("in", "do") or (kind in COMMANDS and kind != "let"):
            return Fault(messages.reserved(span))
        return self.two_operands(span)

    def no_comma(self, comma: Span, opener: Span) -> Fault:
        if not self.level.bracket:
            return Fault(messages.comma_outside(comma))
        operators = self.outer[-1].operators
        if operators and operators[-1].left is None and operators[-1].span.end == opener.start:
            return Fault(messages.operator_call(operators[-1].span))
        return Fault(messages.comma_in_brackets(comma, opener))

    def two_operands(self, second: Span) -> Fault:
        """Two operands side by side: perhaps a comment of another language, or a comma is missing."""
        cursor, level = self.cursor, self.level
        for operator in level.operators:
            if operator.name[0] == "#":
                sign = operator.span._replace(end=operator.span.start + 1)
                return Fault(messages.comment(sign), cursor.next_line())
        call = ""
        if level.head is not None:
            call = f"{cursor.texts[level.head]}{level.bracket}…, …{_CLOSER[level.bracket]}"
        return Fault(messages.missing_operator(cursor.gap, second, call))
