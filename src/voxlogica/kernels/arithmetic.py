"""Arithmetic of fields, voxel by voxel: as `fields.py` has them, in float32.

NumPy is at the speed of memory, and IEEE arithmetic in float32 leaves it no choice of result.

>>> import numpy as np
>>> field = np.array([[[1.0, 2.0, 4.0]]], np.float32)
>>> multiply_scalar(field, 0.5).tolist()
[[[0.5, 1.0, 2.0]]]
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from voxlogica.kernels.arrays import checked, float32
from voxlogica.kernels.fields import check_alike

Floats: TypeAlias = NDArray[np.float32]

# What version 1, through ITK, has for a division by zero.
LARGEST = np.finfo(np.float32).max


def add(a: Floats, b: Floats) -> Floats:
    """Add two fields, in float32.

    >>> add(np.full((1, 1, 1), 1, np.float32), np.full((1, 1, 1), 2, np.float32)).item()
    3.0
    """
    return _voxelwise(np.add, *_checked_pair(a, b))


def subtract(a: Floats, b: Floats) -> Floats:
    """Subtract b from a, in float32.

    >>> subtract(np.full((1, 1, 1), 1, np.float32), np.full((1, 1, 1), 2, np.float32)).item()
    -1.0
    """
    return _voxelwise(np.subtract, *_checked_pair(a, b))


def multiply(a: Floats, b: Floats) -> Floats:
    """Multiply two fields, in float32.

    >>> multiply(np.full((1, 1, 1), 3, np.float32), np.full((1, 1, 1), 2, np.float32)).item()
    6.0
    """
    return _voxelwise(np.multiply, *_checked_pair(a, b))


def divide(a: Floats, b: Floats) -> Floats:
    """Divide a by b, in float32; 3.4028235e38, the largest float32, where b is 0 or -0, whatever a is, NaN included.

    ITK, on which version 1 rests, gives this value also where 0 < |b| <= 1.1920929e-08; here that is a quotient.

    >>> divide(np.array([[[1, -1, 0]]], np.float32), np.array([[[4, 0, 0]]], np.float32)).tolist()
    [[[0.25, 3.4028234663852886e+38, 3.4028234663852886e+38]]]
    """
    a, b = _checked_pair(a, b)
    return _largest_where_zero(_voxelwise(np.divide, a, b), b)


def add_scalar(i: Floats, k: float) -> Floats:
    """Add k to every voxel.

    >>> add_scalar(np.array([[[1, 2]]], np.float32), 0.5).tolist()
    [[[1.5, 2.5]]]
    """
    return _voxelwise(np.add, _held(i, "i"), _rounded(k))


def subtract_scalar(i: Floats, k: float) -> Floats:
    """Subtract k from every voxel.

    >>> subtract_scalar(np.array([[[1, 2]]], np.float32), 0.5).tolist()
    [[[0.5, 1.5]]]
    """
    return _voxelwise(np.subtract, _held(i, "i"), _rounded(k))


def multiply_scalar(i: Floats, k: float) -> Floats:
    """Multiply every voxel by k.

    >>> multiply_scalar(np.array([[[1, 2]]], np.float32), 0.5).tolist()
    [[[0.5, 1.0]]]
    """
    return _voxelwise(np.multiply, _held(i, "i"), _rounded(k))


def divide_scalar(i: Floats, k: float) -> Floats:
    """Multiply every voxel by 1/k: computed in double, then rounded to float32. This is the operator `/.`.

    That is not the voxel divided by k: the last bit may differ, as in version 1. 1/0 is infinite with the sign of the
    zero, so that k = 0 makes voxels infinite, and zeros NaN.

    >>> divide_scalar(np.array([[[3, -1, 0]]], np.float32), 0).tolist()
    [[[inf, -inf, nan]]]
    """
    with np.errstate(all="ignore"):
        inverse = np.float64(1) / np.float64(k)
    return _voxelwise(np.multiply, _held(i, "i"), _rounded(inverse))


def subtract_from(k: float, i: Floats) -> Floats:
    """Subtract every voxel from k.

    >>> subtract_from(1, np.array([[[1, 2]]], np.float32)).tolist()
    [[[0.0, -1.0]]]
    """
    return _voxelwise(np.subtract, _rounded(k), _held(i, "i"))


def divide_into(k: float, i: Floats) -> Floats:
    """Divide k by every voxel; 3.4028235e38 where that is 0 or -0, as in `divide`.

    >>> divide_into(1, np.array([[[0, 2, -2]]], np.float32)).tolist()
    [[[3.4028234663852886e+38, 0.5, -0.5]]]
    """
    i = _held(i, "i")
    return _largest_where_zero(_voxelwise(np.divide, _rounded(k), i), i)


def larger(a: Floats, b: Floats) -> Floats:
    """The larger of two fields at every voxel; NaN where one of them is.

    >>> larger(np.full((1, 1, 1), 1, np.float32), np.full((1, 1, 1), 2, np.float32)).item()
    2.0
    """
    return _voxelwise(np.maximum, *_checked_pair(a, b))


def smaller(a: Floats, b: Floats) -> Floats:
    """The smaller of two fields at every voxel; NaN where one of them is.

    >>> smaller(np.full((1, 1, 1), 1, np.float32), np.full((1, 1, 1), 2, np.float32)).item()
    1.0
    """
    return _voxelwise(np.minimum, *_checked_pair(a, b))


def absolute(i: Floats) -> Floats:
    """Drop the sign of every voxel.

    >>> absolute(np.array([[[-1, 2]]], np.float32)).tolist()
    [[[1.0, 2.0]]]
    """
    return np.absolute(_held(i, "i"))


def _voxelwise(function: np.ufunc, a: Floats | np.float32, b: Floats | np.float32) -> Floats:
    with np.errstate(all="ignore"):
        out: Floats = function(a, b)
    return out


def _largest_where_zero(out: Floats, denominators: Floats) -> Floats:
    np.copyto(out, LARGEST, where=denominators == 0)
    return out


def _held(field: object, name: str) -> Floats:
    """Check a field."""
    return np.asarray(checked(field, ("f4",), name), np.float32)


def _rounded(k: float) -> np.float32:
    return np.float32(float32(k))


def _checked_pair(a: object, b: object) -> tuple[Floats, Floats]:
    """Check two fields of the same shape."""
    held_a, held_b = _held(a, "a"), _held(b, "b")
    check_alike(held_a, held_b)
    return held_a, held_b
