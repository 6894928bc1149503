"""Valuations that come from a grid alone: that of what they are combined with, or of the image they are given (C10)."""

from __future__ import annotations

from voxlogica.operators import operator
from voxlogica.values import Image, Mask, Space


@operator()
def tt(space: Space) -> Mask:
    """True everywhere.

    >>> holds("tt & a", a="0110")
    '0110'
    """
    from voxlogica.kernels import masks

    return Mask.of(space, masks.full(space.shape, True))


@operator()
def ff(space: Space) -> Mask:
    """False everywhere.

    >>> holds("ff | a", a="0110")
    '0110'
    """
    from voxlogica.kernels import masks

    return Mask.of(space, masks.full(space.shape, False))


@operator()
def bconstant(space: Space, b: bool) -> Mask:
    """`tt` when b holds, else `ff`.

    >>> holds("bconstant(true) & a", a="0110")
    '0110'
    """
    from voxlogica.kernels import masks

    return Mask.of(space, masks.full(space.shape, b))


@operator()
def constant(space: Space, k: float) -> Image:
    """The number k, rounded to float32, at every voxel.

    >>> value("constant(1.5) + i", i=[0, 1, 2])
    [1.5, 2.5, 3.5]
    """
    from voxlogica.kernels import fields

    return Image.of(space, fields.constant(space.shape, k))


@operator()
def border(space: Space) -> Mask:
    """True where some coordinate is the first or the last of its axis. `border(i)` is the border of i's grid (C10).

    >>> holds("border & a", a="1111/1111/1111")
    '1111/1001/1111'
    """
    from voxlogica.kernels import masks

    return Mask.of(space, masks.border(space.shape, dimensions=space.dimensions))


@operator()
def x(space: Space) -> Image:
    """The voxel's coordinate along the first axis, from 0. `x(i)` is that of i's grid (C10).

    >>> value("x + i", i=[0, 0, 0])
    [0.0, 1.0, 2.0]
    """
    return _coordinate(space, 0)


@operator()
def y(space: Space) -> Image:
    """The voxel's coordinate along the second axis, from 0. `y(i)` is that of i's grid (C10).

    >>> value("y + i", i=[[0, 0], [0, 0]])
    [[0.0, 0.0], [1.0, 1.0]]
    """
    return _coordinate(space, 1)


@operator()
def z(space: Space) -> Image:
    """The voxel's coordinate along the third axis, from 0; all 0 in two dimensions. `z(i)` is that of i's grid (C10).

    >>> value("z + i", i=[0, 0, 0])
    [0.0, 0.0, 0.0]
    """
    return _coordinate(space, 2)


def _coordinate(space: Space, axis: int) -> Image:
    from voxlogica.kernels import fields

    return Image.of(space, fields.coordinate(space.shape, axis))
