"""The axes of a sweep: `hi=0.90:0.99:0.01`, `vi=0.86,0.9`."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from itertools import product

from voxlogica._dataclass import dataclass
from voxlogica.errors import ProgramError
from voxlogica.values import Scalar

EXAMPLE = "for example   -p hi=0.90:0.99:0.01   or   -p vi=0.86,0.9"
MANY = 100_000


@dataclass(frozen=True)
class Axis:
    """A parameter, or a `$NAME`, and the values it takes; text is read as the literal it replaces."""

    name: str
    values: tuple[Scalar, ...]

    @classmethod
    def of(cls, text: str) -> Axis:
        """`NAME=FROM:TO:STEP`, both ends included, or `NAME=VALUE,VALUE,…`. Raises `ProgramError`."""
        name, equals, given = text.partition("=")
        if not equals or not re.fullmatch(r"\w+", name) or not given:
            raise ProgramError.of("usage", f"-p {text} is not NAME=VALUES", help=EXAMPLE)
        if re.fullmatch(r"[^,:]+:[^,:]+:[^,:]+", given):
            return cls(name, _range(text, *given.split(":")))
        if re.fullmatch(r"[-+\d.eE]+:[-+\d.eE]+", given):
            raise ProgramError.of("usage", f"-p {text} has no step", help=EXAMPLE)
        values = tuple(value.strip() for value in given.split(","))
        if not all(values) or len(set(values)) < len(values):
            raise ProgramError.of("usage", f"-p {text} has an empty value, or one twice", help=EXAMPLE)
        return cls(name, values)


def _range(text: str, *given: str) -> tuple[float, ...]:
    """Exact in decimal, so that 0.9 + 3 · 0.01 is 0.93 and not its neighbour."""
    try:
        start, end, step = (Decimal(number) for number in given)
        steps = (end - start) / step
        count = int(steps)
    except (InvalidOperation, ZeroDivisionError, ValueError, OverflowError):
        raise ProgramError.of("usage", f"-p {text} is not FROM:TO:STEP in numbers", help=EXAMPLE) from None
    if steps < 0 or count >= MANY or not start.is_finite():
        what = f"has more than {MANY:,} values" if count >= MANY else f"never comes from {given[0]} to {given[1]}"
        raise ProgramError.of("usage", f"-p {text} {what}", help=EXAMPLE)
    return tuple(float(start + n * step) for n in range(count + 1))


def cells(axes: Sequence[Axis]) -> Iterator[Mapping[str, Scalar]]:
    """Every choice of a value for each axis, the last axis the fastest; one without choices when there is no axis."""
    for values in product(*(axis.values for axis in axes)):
        yield dict(zip([axis.name for axis in axes], values, strict=True))


def count(axes: Sequence[Axis]) -> int:
    """How many cells there are."""
    return math.prod(len(axis.values) for axis in axes)
