"""Volumes seen on another grid: each voxel of the new one takes what the old one has where its centre lies.

A place in the old grid is `matrix @ (x, y, z) + offset`, in its voxels, for the voxel (x, y, z) of the new one. What
lies further than half a voxel beyond the old voxel centres is outside, and is 0. Arrays are [z, y, x, component]; one
slice of the new grid is computed at a time, so that little memory is needed besides the result.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Places = tuple[Doubles, Doubles, Doubles]
Matrix = Sequence[Sequence[float]]

_ROUNDING = 2.0**-20
"""Of a voxel: places so near a half or whole number are that number. Products of spacings are not exact."""


def nearest(field: Floats, shape: tuple[int, int, int], matrix: Matrix, offset: Sequence[float]) -> Floats:
    """The value of the nearest voxel; half way between two that of the one further along the axis, as in ITK."""
    out = np.zeros((*shape, field.shape[3]), np.float32)
    for z, inside, places in _slices(field.shape, shape, matrix, offset):
        x, y, k = (np.floor(place + 0.5).astype(np.intp) for place in places)
        out[z][inside] = field[k, y, x]
    return out


def linear(field: Floats, shape: tuple[int, int, int], matrix: Matrix, offset: Sequence[float]) -> Floats:
    """The mean of the voxels around, weighted by nearness along each axis, in double; at the edge that of the edge."""
    out = np.zeros((*shape, field.shape[3]), np.float32)
    ends = [size - 1 for size in reversed(field.shape[:3])]
    strides = [1, field.shape[2], field.shape[1] * field.shape[2]]
    channels = np.moveaxis(field, 3, 0).reshape(field.shape[3], -1)
    for z, inside, places in _slices(field.shape, shape, matrix, offset):
        below = [np.floor(place) for place in places]
        shares = [place - low for place, low in zip(places, below, strict=True)]
        steps = [
            [np.clip(low + step, 0, end).astype(np.intp) * stride for step in (0, 1)]
            for low, end, stride in zip(below, ends, strides, strict=True)
        ]
        for channel, voxels in enumerate(channels):
            corners = [voxels[x + y + k].astype(np.float64) for k, y, x in product(*reversed(steps))]
            for share in shares:  # along x, then y, then z
                corners = [_mixed(low, high, share) for low, high in zip(corners[::2], corners[1::2], strict=True)]
            out[z, inside, channel] = corners[0]
    return out


def _mixed(low: Doubles, high: Doubles, share: Doubles) -> Doubles:
    """So much of one and the rest of the other; where there is nothing of it, what is infinite does not count."""
    with np.errstate(invalid="ignore"):
        mixed: Doubles = low * (1 - share) + high * share
    np.copyto(mixed, low, where=share == 0)
    return mixed


def _slices(
    old: tuple[int, ...], new: tuple[int, int, int], matrix: Matrix, offset: Sequence[float]
) -> Iterator[tuple[int, NDArray[np.bool_], Places]]:
    """Each slice of the new grid: which of its voxels lie inside the old one, and where those lie, along x, y and z."""
    y, x = np.indices(new[1:], np.float64)
    flat = [row[0] * x + row[1] * y for row in matrix]
    sizes = old[2], old[1], old[0]
    for z in range(new[0]):
        places = [plane + (row[2] * z + start) for plane, row, start in zip(flat, matrix, offset, strict=True)]
        inside = np.ones(new[1:], np.bool_)
        for place, size in zip(places, sizes, strict=True):
            halves = np.rint(place * 2) / 2
            np.copyto(place, halves, where=np.abs(place - halves) < _ROUNDING)
            inside &= (place >= -0.5) & (place < size - 0.5)
        along_x, along_y, along_z = (place[inside] for place in places)
        yield z, inside, (along_x, along_y, along_z)
