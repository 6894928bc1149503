"""Tokens to an expression, without recursion: a stack of what is open, and in each the flat chain read so far."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite, isnan, nan

from voxlogica.errors import Diagnostic, Source, Span
from voxlogica.syntax import messages
from voxlogica.syntax.ast import (
    Binder,
    Boolean,
    Call,
    Expression,
    Field,
    Fold,
    Index,
    List,
    Name,
    Number,
    Parameter,
    Slice,
    String,
    parts,
)
from voxlogica.syntax.cursor import Cursor, Fault
from voxlogica.syntax.lexer import COMMANDS, is_capital, string_value
from voxlogica.syntax.printer import show
from voxlogica.syntax.readings import (
    Operand,
    Operator,
    by_levels,
    disagreement,
    one_chain,
    same_everywhere,
    single,
    version_1,
    version_2,
)

VARIABLES = ("$stem", "$file", "$filename", "$dir", "$cwd")
"""The program variables."""

_CLOSER = {
    **dict.fromkeys(("group", "call", "operator", "fold("), ")"),
    **dict.fromkeys(("extra", "list", "index", "slice"), "]"),
    "let": "in", "for": "do", "filter": "do",
}  # fmt: skip
_SEVERAL = ("call", "operator", "extra", "list", "fold(")
_BINDERS = ("let", "for", "filter")
_DEFINING = ("(", "=")  # what follows the name that is defined
_new = tuple.__new__  # see `cursor`


class _Level:
    """Something open, or the place outside all: the chain read so far, and what was complete before it.

    `form` is what is open: a bracket that groups or encloses the arguments of a `call`, of an `operator`, the `extra`
    ones of one, a `list`, an `index` or `slice`; the value of a `let`, `for` or `filter`, or the `body` of one; a
    `fold`.
    `opener` is its first token, `head` that of the function, operator or bound name. `called` holds when the last
    operand is the argument in brackets of the prefix operator before it.
    """

    __slots__ = ("arguments", "called", "form", "head", "last", "opener", "operators")

    def __init__(self, form: str = "", opener: int = 0, head: int = 0) -> None:
        self.form, self.opener, self.head = form, opener, head
        self.arguments: list[Expression] = []
        self.operators: list[Operator] = []
        self.last: Operand | None = None
        self.called = False


class Reader:
    """Reads expressions, one after the other."""

    def __init__(self, cursor: Cursor) -> None:
        self.cursor = cursor
        self.level = _Level()
        self.outer: list[_Level] = []

    def expression(self) -> Expression:
        """The expression at the cursor, which is moved to its end; raises `Fault` at the first unfit token."""
        self.level = level = _Level()
        self.outer.clear()  # of one that was not understood
        self.operand()
        while self.goes_on():
            self.operand()
        return self.take(level)

    def operand(self) -> None:
        """Read what may stand before an operand, up to the end of one."""
        cursor, kinds, texts = self.cursor, self.cursor.kinds, self.cursor.texts
        while True:
            index = cursor.at
            cursor.at += 1
            kind = kinds[index]
            made: Expression
            if kind == "name":
                after, text = kinds[cursor.at], texts[index]
                if after == "(":
                    if self.opens_call("operator" if is_capital(text) else "call", index):
                        continue
                elif after == "operator" and texts[cursor.at] == "." and self.opens_qualified(index):
                    continue
                elif text[0].isupper() and is_capital(text) and self.has_operand(cursor.at):
                    self.prefix(index)
                    continue
                made = Name(text, cursor.span(index))
            elif kind == "number":
                made = self.number(texts[index], cursor.span(index))
            elif kind == "(":
                self.open("group", index)
                continue
            elif kind == "operator":
                if texts[index] in ("-", "+") and kinds[cursor.at] == "number" and cursor.touch(cursor.at):
                    cursor.at += 1
                    made = self.number(texts[index] + texts[index + 1], cursor.since(index))
                elif kinds[cursor.at] != "(" or not self.opens_call("operator", index):
                    self.prefix(index)
                    continue
                else:
                    continue
            elif kind == "string":
                made = String(string_value(texts[index]), cursor.span(index))
            elif kind == "boolean":
                made = Boolean(texts[index] == "true", cursor.span(index))
            elif kind == "[":
                if kinds[cursor.at] != "]":
                    self.open("list", index)
                    continue
                cursor.at += 1
                made = List((), cursor.since(index))
            elif kind == "variable":
                made = self.variable(index)
            elif kind in ("for", "filter", "fold") or cursor.binds(index):
                self.binder(index)
                continue
            else:
                cursor.at = index
                raise self.no_operand()
            self.level.last = _new(Operand, (made, cursor.starts[index], cursor.ends[cursor.at - 1]))
            return

    def goes_on(self) -> bool:
        """After an operand, read on to where the next one is wanted; False at the end of the expression."""
        cursor, kinds, texts = self.cursor, self.cursor.kinds, self.cursor.texts
        while True:
            at, level = cursor.at, self.level
            kind = kinds[at]
            if kind == "operator" and not (kinds[at + 1] in _DEFINING and cursor.begins_definition(at)):
                text = texts[at]
                if text == "." and self.field():
                    continue
                if text == ":" and level.form == "index":
                    level.form = "slice"
                    cursor.at += 1
                    level.arguments.append(self.take(level))
                    if cursor.kind != "]":
                        return True
                    continue
                self.infix()
                return True
            if kind == "," and level.form in _SEVERAL:
                cursor.at += 1
                level.arguments.append(self.take(level))
                return True
            if kind == "[" and self.opens_index():
                if level is not self.level:
                    return True
            elif kind == _CLOSER.get(level.form):
                cursor.at += 1
                if self.close(level):
                    return True
            elif kind == "name" and is_capital(texts[at]) and self.is_infix(at):
                self.infix()
                return True
            elif level.form == "fold" and not level.arguments and cursor.begins_operand(cursor.at):
                level.arguments.append(self.take(level))
                return True
            elif level.form in ("body", "fold"):
                self.close(level)
            elif not level.form and self.is_end():
                return False
            else:
                raise self.no_operator()

    def is_end(self) -> bool:
        """Whether an expression outside all brackets ends here: at a command, or what a line seems to begin."""
        cursor = self.cursor
        kind = cursor.kind
        if kind in _BEGIN_LINES and cursor.first_on_line(cursor.at):
            return True
        return kind in ("end", "in") or cursor.begins_command(cursor.at)

    def take(self, level: _Level) -> Expression:
        """The tree of a chain; another chain may begin."""
        operators, last = level.operators, level.last
        assert last is not None
        level.last, level.called = None, False
        if not operators:
            return last.expression
        level.operators = []
        if len(operators) == 1:
            return single(operators[0], last)
        dialect = self.cursor.dialect
        if dialect is None:
            return self.both(operators, last)
        made = (version_1 if dialect == 1 else version_2)(operators, last).expression
        self.bracket(operators, last, made)
        return made

    def both(self, operators: Sequence[Operator], last: Operand) -> Expression:
        """The tree of a chain that must mean the same by levels and to version 1 (C3b)."""
        n = disagreement(operators)
        made = by_levels(operators, last).expression
        if n is None:
            self.bracket(operators, last, made)
        else:
            chain, end = _around(operators, n, last, self.cursor.source)
            readings = [show(read(chain, end).expression, True) for read in (by_levels, version_1)]
            self.cursor.problems.append(messages.two_readings(operators[n - 1].span, operators[n].span, *readings))
        return made

    def bracket(self, operators: Sequence[Operator], last: Operand, made: Expression) -> None:
        """Note the brackets that make a chain mean the same in every dialect, if they are asked for."""
        brackets = self.cursor.brackets
        if brackets is None or same_everywhere(operators):
            return
        leaves = {id(operand.expression) for operand in (*(o.left for o in operators if o.left), last)}
        stack = [made]
        while stack:
            node = stack.pop()
            for child in parts(node):
                if id(child) not in leaves and isinstance(child, Call):
                    stack.append(child)
                    if not one_chain(node, child):
                        brackets.append((child.span.start, child.span.end))

    # What opens and closes

    def open(self, form: str, opener: int, head: int = 0) -> None:
        self.outer.append(self.level)
        self.level = _Level(form, opener, head)

    def opens_call(self, form: str, name: int) -> bool:
        """Enter the arguments of a function or operator; False when there are none, which is told."""
        cursor = self.cursor
        opener = cursor.at
        cursor.at += 1
        if cursor.kind != ")":
            self.open(form, opener, name)
            return True
        cursor.at += 1
        whole = cursor.source.text[cursor.starts[name] : cursor.starts[opener]].rstrip()
        problem = messages.empty_call(whole, cursor.since(opener))
        if form == "operator":
            raise Fault(problem)
        cursor.problems.append(problem)
        return False

    def opens_qualified(self, name: int) -> bool:
        """Enter the arguments of `namespace.function(…)`, if that is what stands at the name."""
        cursor = self.cursor
        point = cursor.at
        if cursor.kinds[point + 1] in cursor.reserved and cursor.kinds[point + 2] == "(":
            raise Fault(messages.word_called(cursor.span(point + 1)))
        if not (self.is_field(point) and cursor.kinds[point + 2] == "("):
            return False
        cursor.at += 2
        return self.opens_call("call", name)

    def opens_index(self) -> bool:
        """Enter an index or slice; False where a `[` begins something else. `xs[:]` is read whole."""
        cursor, level, opener = self.cursor, self.level, self.cursor.at
        last = level.last
        if last is None:
            return False
        made = last.expression
        closed = last.start < made.span.start or (isinstance(made, Fold) and cursor.kinds[opener - 1] == ")")
        if isinstance(made, (Number, Boolean, Binder, Fold)) and not closed:
            return False  # these have elements only with brackets around them
        cursor.at += 1
        if cursor.kind == "]":
            cursor.at += 1
            raise Fault(messages.empty_index(cursor.since(opener)))
        self.called(level)
        self.open("index", opener)
        if cursor.kind == "operator" and cursor.texts[cursor.at] == ":":
            cursor.at += 1
            self.level.form = "slice"
            if cursor.kind == "]":
                cursor.at += 1
                self.close(self.level)
        return True

    def binder(self, word: int) -> None:
        """Read the first words of a `let`, `for`, `filter` or `fold` that is an expression."""
        cursor, kind = self.cursor, self.cursor.kinds[word]
        if self.level.operators and not (kind == "fold" and cursor.kind == "("):
            raise Fault(messages.binder_operand(cursor.span(word)))
        if kind == "fold":
            form = "fold"
            if cursor.kind == "(":
                cursor.at, form = cursor.at + 1, "fold("
            head = cursor.at
            if cursor.kind not in ("operator", "name"):
                raise Fault(messages.no_fold_operator(cursor.gap))
            cursor.at += 1
            if form == "fold(":
                self.expect(",", word)
            self.open(form, word, head)
            return
        name = cursor.at
        if cursor.kind != "name":
            cursor.refuse_bad()
            if cursor.kind in cursor.reserved:
                raise Fault(messages.reserved(cursor.span(name)))
            raise Fault(messages.no_name(cursor.gap, kind, messages.BINDERS[kind]))
        cursor.at += 1
        self.expect("=" if kind == "let" else "in", word)
        self.open(kind, word, name)

    def expect(self, wanted: str, word: int) -> None:
        """Read a word or sign of a binder."""
        cursor = self.cursor
        cursor.refuse_bad()
        if cursor.kind != wanted:
            raise Fault(messages.incomplete(cursor.gap, wanted, cursor.span(word)))
        cursor.at += 1

    def close(self, level: _Level) -> bool:
        """Leave a level whose last token was read; True when an operand is wanted then."""
        cursor, form, opener = self.cursor, level.form, level.opener
        if form in _BINDERS:
            level.arguments.append(self.take(level))
            level.form = "body"
            return True
        made: Expression
        start = cursor.starts[level.head if form in ("call", "operator") else opener]
        last = self.take(level) if level.last is not None else None
        arguments = level.arguments if last is None else [*level.arguments, last]
        self.level = outer = self.outer.pop()
        if form == "extra":
            symbol, span = cursor.texts[level.head], cursor.span(level.head)
            outer.operators.append(Operator(outer.last, symbol, span, tuple(arguments)))
            outer.last = None
            return True
        if form in ("index", "slice"):
            assert outer.last is not None
            start = outer.last.start
            span = Span(cursor.source, start, cursor.ends[cursor.at - 1])
            sequence = outer.last.expression
            if form == "index":
                made = Index(sequence, arguments[0], span)
            else:
                bounds = (arguments[0] if level.arguments else None, last)
                made = Slice(sequence, *bounds, span)
        elif form == "operator" and len(arguments) == 1:
            symbol, span = cursor.texts[level.head], cursor.span(level.head)
            outer.operators.append(Operator(None, symbol, span))
            outer.called = True
            start, made = cursor.starts[opener], arguments[0]
        else:
            made = self.closed(level, tuple(arguments))
        outer.last = Operand(made, start, cursor.ends[cursor.at - 1])
        return False

    def closed(self, level: _Level, arguments: tuple[Expression, ...]) -> Expression:
        """What the last token that was read has closed."""
        cursor, form, head = self.cursor, level.form, level.head
        if form == "group":
            return arguments[0]
        if form in ("call", "operator"):
            name_span = Span(cursor.source, cursor.starts[head], cursor.ends[level.opener - 1])
            return Call(name_span.text, arguments, "call", name_span, cursor.since(head))
        span = cursor.since(level.opener)
        if form == "list":
            return List(arguments, span)
        if form == "body":
            name = Parameter(cursor.texts[head], cursor.span(head))
            value, body = arguments
            return Binder(cursor.texts[level.opener], name, value, body, span)
        if len(arguments) > 2:
            raise Fault(messages.fold_arguments(span))
        return Fold(cursor.texts[head], arguments, cursor.span(head), span)

    # Operators, fields and numbers

    def has_operand(self, index: int) -> bool:
        """Whether an operand begins at the token after a word in capitals, which makes that a prefix operator."""
        cursor = self.cursor
        return cursor.begins_operand(index) and not (cursor.kinds[index] == "[" and cursor.touch(index))

    def is_infix(self, index: int) -> bool:
        """Whether a word in capitals stands between two operands."""
        cursor = self.cursor
        after = index + 1
        if cursor.begins_definition(index):
            return False
        return cursor.kinds[after] == "operator" or cursor.begins_operand(after)

    def prefix(self, index: int) -> None:
        cursor = self.cursor
        if cursor.kind == "[" and cursor.touch(cursor.at):
            raise Fault(messages.extra_of_prefix(cursor.span(index)))
        self.level.operators.append(Operator(None, cursor.texts[index], cursor.span(index)))

    def infix(self) -> None:
        cursor, level, index = self.cursor, self.level, self.cursor.at
        cursor.at += 1
        level.called = False
        if cursor.kinds[index + 1] == "[" and cursor.touch(index + 1):
            cursor.at += 1
            self.open("extra", index + 1, index)
        else:
            level.operators.append(_new(Operator, (level.last, cursor.texts[index], cursor.span(index), ())))
            level.last = None

    def called(self, level: _Level) -> None:
        """What follows an operand binds to it: `op(a)[0]` is an index of the call, and to version 1 of its argument."""
        if not level.called:
            return
        level.called = False
        cursor, last = self.cursor, level.last
        assert last is not None
        if cursor.dialect == 1:
            return
        operator = level.operators.pop()
        if cursor.dialect is None:
            operand = _shortened(last, cursor.source).expression
            assert isinstance(operand, Name)
            sign, after = operator.name, "[…]" if cursor.kinds[cursor.at - 1] == "[" else ".…"
            readings = f"({sign} {operand.name}){after}", f"{sign} ({operand.name}{after})"
            cursor.problems.append(messages.two_readings(operator.span, cursor.span(cursor.at - 1), *readings))
        level.last = by_levels([operator], last)

    def is_field(self, point: int) -> bool:
        """Whether a point stands directly between something and a name."""
        cursor = self.cursor
        return cursor.touch(point) and cursor.touch(point + 1) and cursor.kinds[point + 1] == "name"

    def field(self) -> bool:
        """Read `.name` after an operand, if it stands there."""
        cursor, level, point = self.cursor, self.level, self.cursor.at
        if not self.is_field(point):
            return False
        cursor.at += 1
        self.called(level)
        cursor.at += 1
        last = level.last
        assert last is not None
        if cursor.kind == "(" and cursor.touch(cursor.at):
            raise Fault(messages.method(cursor.span(point + 1)))
        end = cursor.ends[point + 1]
        span = Span(cursor.source, last.start, end)
        made = Field(last.expression, cursor.texts[point + 1], cursor.span(point + 1), span)
        level.last = Operand(made, last.start, end)
        return True

    def variable(self, index: int) -> Name:
        cursor = self.cursor
        name = cursor.texts[index]
        if name not in VARIABLES:
            raise Fault(messages.variable(cursor.span(index), VARIABLES))
        return Name(name, cursor.span(index))

    def number(self, text: str, span: Span) -> Number:
        value = float(text)
        if not isfinite(value):
            if text[-1].isdigit():
                self.cursor.problems.append(messages.number_too_large(span))
            elif isnan(value):
                value = nan  # always the same object, which `==` of trees finds equal to itself
        return Number(value, text.isdigit() or text.lstrip("+-").isdigit(), span)

    # What is wrong

    def no_operand(self) -> Fault:
        """What is wrong with a token where an operand is wanted."""
        cursor = self.cursor
        cursor.refuse_bad()
        kind, span, before = cursor.kind, cursor.span(cursor.at), cursor.at - 1
        if kind == "=":
            return Fault(messages.second_equals(span))
        command = cursor.begins_command(cursor.at)
        if kind == "let" and not cursor.first_on_line(cursor.at) and cursor.kinds[cursor.at + 1] == "name":
            return Fault(messages.let_without_in(span), cursor.next_line())
        if kind in cursor.reserved and not command:
            after = cursor.kinds[cursor.at + 1]
            if kind == "load" and after == "string":
                return Fault(messages.load_in_definition(span, cursor.texts[cursor.at + 1]))
            called = kind == "load" and after == "("
            return Fault(messages.word_called(span) if called else messages.reserved(span))
        if before in cursor.faults:  # the string that has no end has taken the expression
            return Fault(None)
        if cursor.texts[before] == ";":
            return Fault(messages.semicolon(cursor.span(before)))
        operators = self.level.operators
        if kind == "," and operators and self.level.form == "call" and cursor.texts[self.level.head] == "map":
            return Fault(messages.mapped_operator(operators[-1].span))
        if operators and operators[-1].extra:
            return Fault(messages.only_extra(operators[-1].span))
        after = f"`{cursor.texts[before]}`"
        if cursor.kinds[before] == "string":
            after = "the label" if cursor.kinds[before - 1] == "print" else "the file name"
        return Fault(messages.missing_expression(cursor.gap, after, span if command else None))

    def no_operator(self) -> Fault:
        """What is wrong with a token after an operand."""
        cursor, level = self.cursor, self.level
        cursor.refuse_bad()
        kind, form, span = cursor.kind, level.form, cursor.span(cursor.at)
        if kind == "=":
            argument = (
                form == "call" and cursor.kinds[cursor.at - 1] == "name" and cursor.kinds[cursor.at - 2] in ("(", ",")
            )
            return Fault(messages.second_equals(span, self.called_name() if argument else ""))
        if form in _BINDERS:
            return Fault(messages.incomplete(cursor.gap, _CLOSER[form], cursor.span(level.opener)))
        opener = cursor.span(level.opener)
        if form == "fold(":
            opener = cursor.span(level.opener + 1)
        if kind == ",":
            return Fault(self.no_comma(span, opener))
        if kind in (")", "]"):
            return Fault(messages.mismatch(opener, span) if form else messages.extra_bracket(span))
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

    def called_name(self) -> str:
        """What stands before the bracket of the innermost call, with its namespace."""
        return Span(
            self.cursor.source, self.cursor.starts[self.level.head], self.cursor.ends[self.level.opener - 1]
        ).text

    def no_comma(self, comma: Span, opener: Span) -> Diagnostic:
        form = self.level.form
        if form in ("index", "slice"):
            return messages.comma_in_index(comma, opener)
        return messages.comma_in_brackets(comma, opener) if form else self.cursor.comma_outside(comma)

    def two_operands(self, second: Span) -> Fault:
        """Two operands side by side: perhaps a comment of another language, or a comma or a line end is missing."""
        cursor, level = self.cursor, self.level
        for operator in level.operators:
            if operator.name[0] == "#":
                sign = operator.span._replace(end=operator.span.start + 1)
                return Fault(messages.comment(sign), cursor.next_line())
            if operator.name[0] == "'":
                return Fault(messages.single_quotes(operator.span), cursor.next_line())
        if not level.form and (equals := cursor.left_side(cursor.at)):
            left = Span(cursor.source, second.start, cursor.ends[equals - 1])
            return Fault(messages.definition_in_line(left))
        if level.operators and level.last is not None and isinstance(level.last.expression, List):
            return Fault(messages.list_after_operator(cursor.gap, second, level.operators[-1].name))
        call = ""
        if level.form in ("call", "operator"):
            call = f"{self.called_name()}(…, …)"
        elif level.form in ("extra", "list"):
            call = f"{cursor.texts[level.head] if level.form == 'extra' else ''}[…, …]"
        return Fault(messages.missing_operator(cursor.gap, second, call, cursor.texts[cursor.at - 1]))


def _around(operators: Sequence[Operator], n: int, last: Operand, source: Source) -> tuple[list[Operator], Operand]:
    """A chain as it is written, in a few words; of a long one what stands around its n-th operator."""
    chain = [o._replace(left=o.left and _shortened(o.left, source)) for o in operators[max(0, n - _MANY) : n + _MANY]]
    dots = Operand(Name("…", last.expression.span), 0, 0)
    if n > _MANY and chain[0].left:
        chain[0] = chain[0]._replace(left=dots)
    return chain, dots if n + _MANY < len(operators) else _shortened(last, source)


def _shortened(operand: Operand, source: Source) -> Operand:
    """An operand as it is written, in a few words, without brackets around a single word."""
    expression, start, end = operand
    if isinstance(expression, (Name, Number)) and end - start <= _SHORT:
        start, end = expression.span.start, expression.span.end
    text = " ".join(source.text[start:end].split()) if end - start <= _SHORT else "…"
    return operand._replace(expression=Name(text, expression.span))


_BEGIN_LINES = ("name", "operator", "let", "for", "filter", "fold")
_SHORT = 40
_MANY = 6
