"""From the flat chain of operands and operators that was written to a tree: how an expression is read (C3b)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from voxlogica.errors import Span
from voxlogica.syntax.ast import Call, Expression


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


def version_1(operators: Sequence[Operator], last: Operand) -> Expression:
    """Version 1's reading: everything nests to the right, and a prefix operator takes the whole rest."""
    tree, end = last.expression, last.end
    for left, name, span, extra in reversed(operators):
        if left is None:
            tree = Call(name, (tree,), "prefix", span, Span(span.source, span.start, end))
        else:
            arguments = (left.expression, tree, *extra)
            tree = Call(name, arguments, "infix", span, Span(span.source, left.start, end))
    return tree
