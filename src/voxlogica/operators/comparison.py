"""Number images compared with a number, which stands on the side of the dot and is rounded to float32, or with another.

A voxel that is NaN fails every comparison. The strict and the mirrored forms are in the library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from voxlogica.operators import operator
from voxlogica.values import Image, Mask

if TYPE_CHECKING:
    from voxlogica.kernels.arrays import Words
    from voxlogica.kernels.masks import Comparison


class Comparable:
    """What an image is held as, when that can be compared with a number as it is."""

    def compare(self, comparison: Comparison, k: float, threads: int) -> Words | None:
        """The comparison; None when it takes the numbers at all voxels."""
        raise NotImplementedError


@operator(symbol=".=", also=("==",))
def equal(k: float, a: Image, *, threads: int = 1) -> Mask:
    """True where a = k.

    >>> holds("2 .= a", a=[1, 2, 3])
    '010'
    """
    return _compare(a, "==", k, threads)


@operator(symbol=".<=", also=("<=",))
def at_least_constant(k: float, a: Image, *, threads: int = 1) -> Mask:
    """True where k ≤ a.

    >>> holds("2 .<= a", a=[1, 2, 3])
    '011'
    """
    return _compare(a, ">=", k, threads)


@operator(symbol=".>=", also=(">=",))
def at_most_constant(k: float, a: Image, *, threads: int = 1) -> Mask:
    """True where k ≥ a.

    >>> holds("2 .>= a", a=[1, 2, 3])
    '110'
    """
    return _compare(a, "<=", k, threads)


@operator()
def between(low: float, high: float, a: Image, *, threads: int = 1) -> Mask:
    """True where low ≤ a ≤ high.

    >>> holds("between(2, 3, a)", a=[1, 2, 3, 4])
    '0110'
    """
    from voxlogica.kernels import masks

    return Mask.of(a.space, masks.between(a.voxels(), low, high, threads=threads))


@operator(symbol="==")
def equal_images(a: Image, b: Image) -> Mask:
    """True where a = b.

    >>> holds("a == b", a=[1, 2, 3], b=[2, 2, 2])
    '010'
    """
    return _compare_images(a, "==", b)


@operator(symbol="!=")
def unequal_images(a: Image, b: Image) -> Mask:
    """True where a ≠ b; NaN differs from everything.

    >>> holds("a != b", a=[1, 2, 3], b=[2, 2, 2])
    '101'
    """
    return _compare_images(a, "!=", b)


@operator(symbol="<")
def less_image(a: Image, b: Image) -> Mask:
    """True where a < b.

    >>> holds("a < b", a=[1, 2, 3], b=[2, 2, 2])
    '100'
    """
    return _compare_images(a, "<", b)


@operator(symbol="<=")
def at_most_image(a: Image, b: Image) -> Mask:
    """True where a ≤ b.

    >>> holds("a <= b", a=[1, 2, 3], b=[2, 2, 2])
    '110'
    """
    return _compare_images(a, "<=", b)


@operator(symbol=">")
def greater_image(a: Image, b: Image) -> Mask:
    """True where a > b.

    >>> holds("a > b", a=[1, 2, 3], b=[2, 2, 2])
    '001'
    """
    return _compare_images(a, ">", b)


@operator(symbol=">=")
def at_least_image(a: Image, b: Image) -> Mask:
    """True where a ≥ b.

    >>> holds("a >= b", a=[1, 2, 3], b=[2, 2, 2])
    '011'
    """
    return _compare_images(a, ">=", b)


def _compare(a: Image, comparison: Comparison, k: float, threads: int) -> Mask:
    return Mask.of(a.space, compared(a, comparison, k, threads))


def compared(a: Image, comparison: Comparison, k: float, threads: int) -> Words:
    """Where a voxel is in a relation with k, from what the image is held as."""
    from voxlogica.kernels import masks

    found = a.held.compare(comparison, k, threads) if isinstance(a.held, Comparable) else None
    return masks.compare(a.voxels(), comparison, k, threads=threads) if found is None else found


def _compare_images(a: Image, comparison: Comparison | Literal["!="], b: Image) -> Mask:
    from voxlogica.kernels import masks

    return Mask.of(a.space, masks.compare_images(a.array(), comparison, b.array()))
