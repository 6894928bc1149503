"""Drawing in two dimensions, for examples and tests: the namespace `geom`."""

from __future__ import annotations

from collections.abc import Callable
from math import pi
from typing import TYPE_CHECKING

from voxlogica.errors import Refusal
from voxlogica.operators import operator
from voxlogica.values import Image, Space

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LONGEST = 2**16


def _sheet(h: float, w: float, v: float = 0) -> Space:
    """The grid of `blank`."""
    for number in (h, w):
        if not (number.is_integer() and 1 <= number <= _LONGEST):
            raise Refusal(f"`geom.blank` needs a whole number of pixels from 1 to {_LONGEST}, not {number:g}")
    return Space.grid(int(w), int(h))


@operator(grid=_sheet)
def blank(space: Space, h: float, w: float) -> Image:
    """A 2-D image of zeros, h pixels high and w wide, on a grid of its own: spacing 1, origin 0.

    >>> value("geom.blank(2, 3)")
    [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """
    return _filled(space, 0)


@operator(symbol="blank", grid=_sheet)
def blank_of(space: Space, h: float, w: float, v: float) -> Image:
    """A 2-D image h pixels high and w wide, all of the value v, rounded to float32, on a grid of its own.

    >>> value("geom.blank(1, 3, 7)")
    [7.0, 7.0, 7.0]
    """
    return _filled(space, v)


@operator()
def circle(i: Image, cx: float, cy: float, r: float, v: float) -> Image:
    """A copy of i with v at every pixel (x, y) with (x − cx)² + (y − cy)² ≤ r². In two dimensions only.

    >>> value("geom.circle(geom.blank(3, 4), 1, 1, 1, 5)")
    [[0.0, 5.0, 0.0, 0.0], [5.0, 5.0, 5.0, 0.0], [0.0, 5.0, 0.0, 0.0]]
    """
    return _drawn("circle", i, cx, cy, v, lambda dx, dy: dx**2 + dy**2 <= r**2)


@operator()
def regular_polygon(i: Image, cx: float, cy: float, r: float, n: float, v: float) -> Image:
    """A copy of i with v in a regular polygon of n sides with its corners at r from (cx, cy). In two dimensions only.

    With θ = atan2(dy, dx), s = 2π/n and φ = ((θ + π) mod s) − s/2 it is filled where hypot(dx, dy) ≤ r·cos(s/2)/cos φ.

    >>> value("geom.regular_polygon(geom.blank(3, 3), 1, 1, 1.2, 4, 5)")
    [[0.0, 5.0, 0.0], [5.0, 5.0, 5.0], [0.0, 5.0, 0.0]]
    """
    if not (n.is_integer() and n >= 3):
        raise Refusal(f"`geom.regular_polygon` needs a whole number of sides from 3, not {n:g}")

    def inside(dx: NDArray[np.float64], dy: NDArray[np.float64]) -> NDArray[np.bool_]:
        import numpy as np

        side = 2 * pi / n
        from_middle = (np.arctan2(dy, dx) + pi) % side - side / 2
        filled: NDArray[np.bool_] = np.hypot(dx, dy) <= r * np.cos(side / 2) / np.cos(from_middle)
        return filled

    return _drawn("regular_polygon", i, cx, cy, v, inside)


def _filled(space: Space, v: float) -> Image:
    from voxlogica.kernels import fields

    return Image.of(space, fields.constant(space.shape, v))


def _drawn(
    name: str,
    i: Image,
    cx: float,
    cy: float,
    v: float,
    inside: Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.bool_]],
) -> Image:
    """A copy with v where the distances from a centre say so."""
    import numpy as np

    if i.space.dimensions != 2:
        raise Refusal(f"`geom.{name}` draws in two dimensions, and the image has three")
    _, height, width = i.space.shape
    dy, dx = np.indices((height, width), np.float64)
    return Image.of(i.space, np.where(inside(dx - cx, dy - cy), _filled(i.space, v).array(), i.array()))
