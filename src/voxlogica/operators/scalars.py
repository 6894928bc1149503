"""Numbers and truth values: IEEE double arithmetic, comparisons, and propositional logic on `bool`."""

from __future__ import annotations

import math

from voxlogica.errors import Refusal
from voxlogica.operators import operator


@operator(symbol=".+.", also=("+",), cost="scalar")
def add_numbers(a: float, b: float) -> float:
    """The sum of two numbers, in IEEE double arithmetic.

    >>> value("1.5 .+. 2")
    3.5
    """
    return a + b


@operator(symbol=".-.", also=("-",), cost="scalar")
def subtract_numbers(a: float, b: float) -> float:
    """The difference of two numbers.

    Version 1 nests to the right, version 2 to the left: `10 .-. 3 .-. 2` needs brackets, or a dialect.

    >>> value("10 .-. (3 .-. 2)")
    9.0
    """
    return a - b


@operator(symbol=".*.", also=("*",), cost="scalar")
def multiply_numbers(a: float, b: float) -> float:
    """The product of two numbers.

    >>> value("1.5 .*. 4")
    6.0
    """
    return a * b


@operator(symbol="./.", also=("/",), cost="scalar")
def divide_numbers(a: float, b: float) -> float:
    """The quotient of two numbers; division by zero is IEEE's: ±inf, and nan for 0/0 (C21).

    >>> value("1 ./. 4"), value("1 ./. 0"), value("-1 ./. 0")
    (0.25, inf, -inf)
    """
    if b != 0:
        return a / b
    return math.nan if a == 0 or a != a else math.copysign(math.inf, a) * math.copysign(1.0, b)


@operator(symbol=".=.", also=("==",), cost="scalar")
def equal_numbers(a: float, b: float) -> bool:
    """Whether two numbers are equal; nan equals nothing.

    >>> value("2 .=. 2"), value("nan .=. nan")
    (True, False)
    """
    return a == b


@operator(symbol=".<=.", also=("<=",), cost="scalar")
def at_most(a: float, b: float) -> bool:
    """Whether a ≤ b.

    >>> value("2 .<=. 2")
    True
    """
    return a <= b


@operator(symbol=".<.", also=("<",), cost="scalar")
def less(a: float, b: float) -> bool:
    """Whether a < b.

    >>> value("2 .<. 2")
    False
    """
    return a < b


@operator(symbol=".>=.", also=(">=",), cost="scalar")
def at_least(a: float, b: float) -> bool:
    """Whether a ≥ b.

    >>> value("2 .>=. 2")
    True
    """
    return a >= b


@operator(symbol=".>.", also=(">",), cost="scalar")
def greater(a: float, b: float) -> bool:
    """Whether a > b.

    >>> value("3 .>. 2")
    True
    """
    return a > b


@operator(symbol=".&.", also=("&&",), cost="scalar", commutative=True)
def both(a: bool, b: bool) -> bool:
    """Whether both hold.

    >>> value("true .&. false")
    False
    """
    return a and b


@operator(symbol=".|.", also=("||",), cost="scalar", commutative=True)
def either(a: bool, b: bool) -> bool:
    """Whether at least one holds.

    >>> value("true .|. false")
    True
    """
    return a or b


@operator(symbol="!.", also=("!",), cost="scalar")
def opposite(a: bool) -> bool:
    """Whether it does not hold.

    >>> value("!. true")
    False
    """
    return not a


@operator(symbol="!=", cost="scalar")
def unequal_numbers(a: float, b: float) -> bool:
    """Whether two numbers differ; nan differs from everything.

    >>> value("2 != 2"), value("nan != nan")
    (False, True)
    """
    return a != b


@operator(symbol="==", cost="scalar")
def equal_bools(a: bool, b: bool) -> bool:
    """Whether both hold or neither does.

    >>> value("false == false")
    True
    """
    return a == b


@operator(symbol="!=", cost="scalar")
def unequal_bools(a: bool, b: bool) -> bool:
    """Whether exactly one holds.

    >>> value("true != false")
    True
    """
    return a != b


@operator(symbol="==", cost="scalar")
def equal_strings(a: str, b: str) -> bool:
    """Whether two strings are the same, character by character.

    >>> value('"T1" == "t1"')
    False
    """
    return a == b


@operator(symbol="!=", cost="scalar")
def unequal_strings(a: str, b: str) -> bool:
    """Whether two strings differ.

    >>> value('"T1" != "t1"')
    True
    """
    return a != b


@operator(symbol="max", cost="scalar")
def larger_number(a: float, b: float) -> float:
    """The larger of two numbers; nan when one is.

    >>> value("max(2, 3)"), value("max(nan, 3)")
    (3.0, nan)
    """
    return a if a >= b or a != a else b


@operator(symbol="min", cost="scalar")
def smaller_number(a: float, b: float) -> float:
    """The smaller of two numbers; nan when one is.

    >>> value("min(2, 3)"), value("min(nan, 3)")
    (2.0, nan)
    """
    return a if a <= b or a != a else b


@operator(symbol="arrays.uint32", cost="scalar")
def uint32(x: float) -> float:
    """The number itself, if it is one that 32 bits hold: whole, and from 0 to 4294967295. Others are an error.

    >>> value("arrays.uint32(3)")
    3.0
    """
    if not (x.is_integer() and 0 <= x < 2**32):
        raise Refusal(f"`arrays.uint32` needs a whole number from 0 to {2**32 - 1}, not {x:g}")
    return x
