"""From the flat chain of operands and operators that was written to a tree: how an expression is read (C3b).

Without a dialect an expression is read by levels, and must mean the same to version 1. As version 1 nests everything to
the right, that is so when no prefix operator stands before an infix one, and each infix operator binds tighter than the
one before it or continues its chain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from voxlogica._dataclass import NamedTuple
from voxlogica.errors import Span
from voxlogica.syntax.ast import Call, Expression

_LEVELS = ("* / .*. ./. *. /. .* ./", "+ - .+. .-. +. -. .+ .-", "", "& && .&.", "| || .|.")
_LEVEL = {symbol: level for level, symbols in enumerate(_LEVELS) for symbol in symbols.split()}
_OTHER = _LEVELS.index("")
_new = tuple.__new__  # see `cursor`
_ASSOCIATIVE = frozenset(("&", "&&", ".&.", "|", "||", ".|.", "+", ".+.", "*", ".*."))


class Operand(NamedTuple):
    """An operand, and the characters that it takes with the brackets around it."""

    expression: Expression
    start: int
    end: int


class Operator(NamedTuple):
    """An operator of a chain with the operand on its left, None where it is a prefix; `extra` is what `op[…]` holds."""

    left: Operand | None
    name: str
    span: Span
    extra: tuple[Expression, ...] = ()


def level(symbol: str) -> int:
    """How loosely an infix operator binds: 0 is the tightest."""
    return _LEVEL.get(symbol, _OTHER)


def continues(operator: Operator, following: Operator) -> bool:
    """Whether the second of two infix operators continues the chain of the first, however that is nested."""
    return operator.name == following.name and operator.name in _ASSOCIATIVE and not operator.extra + following.extra


def disagreement(operators: Sequence[Operator]) -> int | None:
    """The first operator of a chain that version 1 nests in another way than the levels do, after the one before it."""
    for n in range(1, len(operators)):
        before, here = operators[n - 1], operators[n]
        if here.left is None:
            continue
        if before.left is None or not (level(here.name) < level(before.name) or continues(before, here)):
            return n
    return None


def same_everywhere(operators: Sequence[Operator]) -> bool:
    """Whether all three readings of a chain are one, up to the nesting of an associative operator's chain."""
    infixes = [operator for operator in operators if operator.left is not None]
    return disagreement(operators) is None and all(map(continues, infixes, infixes[1:]))


def one_chain(outer: Expression, inner: Expression) -> bool:
    """Whether an infix operator and one of its sides are a chain of one associative operator."""
    return (
        isinstance(outer, Call)
        and isinstance(inner, Call)
        and outer.form == inner.form == "infix"
        and outer.name == inner.name
        and outer.name in _ASSOCIATIVE
        and len(outer.arguments) == len(inner.arguments) == 2
    )


def single(operator: Operator, last: Operand) -> Expression:
    """The tree of a chain of one operator, which all readings have in common."""
    left, name, span, extra = operator
    expression, _, end = last
    if left is None:
        return Call(name, (expression,), "prefix", span, _new(Span, (span.source, span.start, end)))
    return Call(name, (left[0], expression, *extra), "infix", span, _new(Span, (span.source, left[1], end)))


def version_1(operators: Sequence[Operator], last: Operand) -> Operand:
    """Version 1's reading: everything nests to the right, and a prefix operator takes the whole rest."""
    made = last
    for operator in reversed(operators):
        made = _prefixed(operator, made) if operator.left is None else _infixed(operator, operator.left, made)
    return made


def version_2(operators: Sequence[Operator], last: Operand) -> Operand:
    """Version 2's reading: everything nests to the left, and a prefix operator takes the next operand."""
    return _levelled(operators, last, lambda symbol: 0)


def by_levels(operators: Sequence[Operator], last: Operand) -> Operand:
    """The reading by the levels of infix operators, left associative; a prefix operator takes the next operand."""
    return _levelled(operators, last, level)


def _levelled(operators: Sequence[Operator], last: Operand, level: Callable[[str], int]) -> Operand:
    waiting: list[tuple[Operator, Operand, int]] = []  # infix operators with their left sides, ever tighter
    prefixes: list[Operator] = []
    for operator in operators:
        if operator.left is None:
            prefixes.append(operator)
            continue
        made = operator.left
        while prefixes:
            made = _prefixed(prefixes.pop(), made)
        own = level(operator.name)
        while waiting and waiting[-1][2] <= own:
            before, left, _ = waiting.pop()
            made = _infixed(before, left, made)
        waiting.append((operator, made, own))
    made = last
    while prefixes:
        made = _prefixed(prefixes.pop(), made)
    while waiting:
        before, left, _ = waiting.pop()
        made = _infixed(before, left, made)
    return made


def _prefixed(operator: Operator, operand: Operand) -> Operand:
    return _new(Operand, (single(operator, operand), operator.span.start, operand.end))


def _infixed(operator: Operator, left: Operand, right: Operand) -> Operand:
    _, name, span, extra = operator
    place = _new(Span, (span.source, left.start, right.end))
    arguments = (left.expression, right.expression, *extra)
    return _new(Operand, (Call(name, arguments, "infix", span, place), left.start, right.end))
