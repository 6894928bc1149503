"""Operators that are chosen by more than their symbol: by the types of any arguments, or by the grid of an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxlogica.check import messages
from voxlogica.check.bodies import BAD, Body
from voxlogica.check.names import Operand, Problem, Unknown, known
from voxlogica.check.spaces import Place
from voxlogica.errors import Refusal
from voxlogica.formula import Operator, Type
from voxlogica.operators.families import Family
from voxlogica.reduction.code import Apply
from voxlogica.syntax.ast import Boolean, Call, Expression, List, Number, String
from voxlogica.values import Value

if TYPE_CHECKING:
    from voxlogica.check.expressions import Expressions


def apply_family(checker: Expressions, body: Body, node: Call, family: Family, given: list[Operand]) -> Operand:
    """The operator of a family for arguments of these types, applied."""
    ways = [family, *family.others]
    if not any(way.takes(len(given)) for way in ways):
        checker.report(body, checker.wrong_arity(body, node, family, len(given)), node.name_span)
        return BAD
    kinds = [known(operand.kind) for operand in given]
    if any(operand.slot < 0 for operand in given) or None in kinds:
        return BAD
    types = [kind if isinstance(kind, Type) else None for kind in kinds]
    misfits = [way.fit(types) for way in ways]
    if None not in misfits:  # what is said is of the way that fits the furthest
        furthest = max(range(len(ways)), key=lambda n: (ways[n].takes(len(given)), misfits[n]))
        number = min(misfits[furthest] or 0, len(given) - 1)
        marks, traces = checker.marks(body, node.arguments[number], kinds[number])
        problem = messages.no_choice(node, ways[furthest], number, kinds[number], tuple(marks))
        body.problems.append(Problem(problem, Place(node.name_span), tuple(traces)))
        return BAD
    way = ways[misfits.index(None)]
    for number, argument in enumerate(node.arguments):
        literal = _literal(argument)
        if way.check is not None and literal is not None:
            try:
                way.check(number, literal)
            except Refusal as refusal:
                checker.report(body, messages.wrong_literal(argument, way, refusal), argument.span)
                return BAD
    certain = [kind for kind in types if kind is not None]
    if len(certain) < len(types):
        return Operand(0, Unknown())
    operator = way.chosen(certain)
    if way.like is None or len(given) <= way.like:
        return checker.apply(body, operator, given, node.name_span)
    like = given[way.like]
    slots = tuple([checker.whole(body, each, node.name_span) for n, each in enumerate(given) if n != way.like])
    slot = body.emit(Apply(operator, slots, like.grid, node.name_span))
    return Operand(slot, operator.result, like.grid)


def _literal(argument: Expression) -> Value | None:
    """The value of an argument that is written out: None when something is to be computed or replaced in it."""
    match argument:
        case Number(value) | Boolean(value):
            return value
        case String(text) if "$" not in text:
            return text
        case List(items):
            values = [_literal(each) for each in items]
            return None if None in values else tuple([each for each in values if each is not None])
    return None


def on_grid_of(checker: Expressions, body: Body, node: Call, operator: Operator, image: Operand) -> Operand:
    """What comes from a grid alone, `border`, on that of an image (C10): the image itself is not needed."""
    kind = known(image.kind)
    if isinstance(kind, Type) and (not kind.spatial or kind.element is not None):
        marks, traces = checker.marks(body, node.arguments[0], kind)
        problem = messages.no_grid_of(node, kind, tuple(marks))
        body.problems.append(Problem(problem, Place(node.name_span), tuple(traces)))
        return Operand(-1, operator.result)
    if image.slot < 0 or not isinstance(kind, Type):
        return Operand(min(image.slot, 0), operator.result)
    space = image.grid
    if body.spaces.port(image.grid) is not None:
        # Its own, whatever else is to lie on that grid: what turns out to lie on another is said where they meet.
        space = body.on_own_grid(image.slot)
    return Operand(body.emit(Apply(operator, (), space, node.name_span)), operator.result, image.grid)
