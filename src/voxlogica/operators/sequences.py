"""What makes one value of several, and what cannot be had: operators that the evaluator applies, of any arity.

No program names them: they are written as lists, loops and indices. Sequences whose length is known have no value of
their own until they are printed.
"""

from __future__ import annotations

from functools import cache
from typing import NoReturn

from voxlogica.errors import Refusal
from voxlogica.formula import NOTHING, NUMBER, STRING, Operator, Type, sequence
from voxlogica.values import Value


@cache
def items(kinds: tuple[Type, ...], element: Type | None = None) -> Operator:
    """The operator whose value is the tuple of its arguments; `element` is what they are elements of."""
    element = element or (kinds[0] if kinds else NOTHING)
    return Operator(
        name="items", symbol="[…]", version=1, hidden=True,
        parameters=tuple([(f"x{n}", kind) for n, kind in enumerate(kinds)]),
        result=sequence(element), body=_items, doc="A sequence.",
        cost="voxels" if element.spatial else "scalar",
    )  # fmt: skip


def _items(*values: Value) -> Value:
    return values


@cache
def argmax(count: int) -> Operator:
    """The operator whose value is the number of the largest of its arguments, from 0, the first of several."""
    return Operator(
        name="argmax", symbol="argmax", version=1, hidden=True,
        parameters=tuple([(f"x{n}", NUMBER) for n in range(count)]),
        result=NUMBER, body=_argmax, doc="The number of the largest element.", cost="scalar",
    )  # fmt: skip


def _argmax(*values: float) -> float:
    return float(values.index(max(values)))


@cache
def refuse(result: Type = NUMBER) -> Operator:
    """The operator that has no value of a type, for the reason it is given, with what to do."""
    return Operator(
        name="refuse", symbol="refuse", version=1, hidden=True,
        parameters=(("message", STRING), ("help", STRING)),
        result=result, body=_refuse, doc="Fails.", cost="scalar",
    )  # fmt: skip


def _refuse(message: str, help: str) -> NoReturn:
    raise Refusal(message, help=help)
