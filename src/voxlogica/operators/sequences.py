"""What makes one value of several, and what cannot be had: operators that the evaluator applies, of any arity.

No program names them: they are written as lists, loops and indices. Sequences whose length is known have no value of
their own until they are printed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
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
        result=sequence(element), body=_items, doc="A sequence.", apart=True,
        cost="voxels" if element.spatial else "scalar",
    )  # fmt: skip


def _items(*values: Value) -> Value:
    return values


@cache
def summary(word: str, count: int) -> Operator:
    """The operator that makes one number of so many, at least one: that of a word of `SUMMARIES`."""
    return Operator(
        name=word, symbol=word, version=1, hidden=True,
        parameters=tuple([(f"x{n}", NUMBER) for n in range(count)]),
        result=NUMBER, body=SUMMARIES[word], doc="A number from a sequence of numbers.", cost="scalar",
    )  # fmt: skip


def _argmax(*values: float) -> float:
    return float(values.index(max(values)))


def _mean(*values: float) -> float:
    return math.fsum(values) / len(values) if all(map(math.isfinite, values)) else sum(values) / len(values)


def _std(*values: float) -> float:
    middle = _mean(*values)
    return (
        math.sqrt(_mean(*[(value - middle) ** 2 for value in values]) * len(values) / (len(values) - 1))
        if len(values) > 1
        else math.nan
    )


def _median(*values: float) -> float:
    return _quantile(*values, 0.5)


def _quantile(*given: float) -> float:
    *values, share = given
    at = share_of(share) * (len(values) - 1)
    if any(map(math.isnan, values)):
        return math.nan
    ordered = sorted(values)
    low = math.floor(at)
    part, high = at - low, min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * part if part else ordered[low]


def share_of(number: float) -> float:
    """A number that is a share."""
    if not 0 <= number <= 1:
        raise Refusal(f"a share is between 0 and 1, and {number!r} is not")
    return number


SUMMARIES: Mapping[str, Callable[..., float]] = MappingProxyType(
    {"argmax": _argmax, "mean": _mean, "std": _std, "median": _median, "quantile": _quantile}
)
"""What makes one number of a sequence of them; for `quantile` the last argument is the share."""


@cache
def refuse(result: Type = NUMBER) -> Operator:
    """The operator that has no value of a type, on whichever grid, for the reason it is given, with what to do."""
    return Operator(
        name="refuse", symbol="refuse", version=1, hidden=True,
        parameters=(("message", STRING), ("help", STRING)),
        result=result, body=_refuse, doc="Fails.", cost="scalar", apart=True,
    )  # fmt: skip


def _refuse(message: str, help: str) -> NoReturn:
    raise Refusal(message, help=help)


@cache
def component() -> Operator:
    """The operator whose value is an element, by its number from 0, of numbers that an operator gave together."""
    return Operator(
        name="component", symbol="[…]", version=1, hidden=True,
        parameters=(("xs", sequence(NUMBER)), ("number", NUMBER)),
        result=NUMBER, body=_component, doc="An element.", cost="scalar",
    )  # fmt: skip


def _component(xs: tuple[float, ...], number: float) -> float:
    return xs[int(number)]
