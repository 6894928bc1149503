"""Distances that are only compared with a number: dilation by balls, without a distance transform.

Masks, shapes, spacing, `threads` and errors are as in `fields.py`. Results equal, in every voxel, comparing what
`fields.distance` gives; how, and up to which radius that pays, is told in include/ball.hpp.
"""

import math
import operator
import struct
from collections.abc import Sequence

from voxlogica.kernels import _masks, fields, masks
from voxlogica.kernels.arrays import Words, float32, shape_of, words_like
from voxlogica.kernels.masks import Comparison

MOST_ROWS = 16_000
"""Segments in a quarter of a ball beyond which the distance transform is quicker: radii of some 100 voxels."""


def within(words: Words, nx: int, spacing: Sequence[float], limit: float, *, threads: int = 1) -> Words:
    """Where some true voxel is at most `limit` away, a number that is not negative: dilation by the ball.

    The length of an offset is the square root of ((sx*dx)**2 + (sy*dy)**2) + (sz*dz)**2 in double, rounded to float32,
    and `limit` is rounded to float32 before the two are compared: decision C23.

    >>> masks.unpack(within(masks.pack(np.array([[[0, 0, 0, 1, 0, 0]]], np.uint8)), 6, (1, 1, 1), 2), 6).tolist()
    [[[0, 1, 1, 1, 1, 1]]]
    """
    held, sizes = fields.checked_mask_and_spacing(words, nx, spacing)
    out = words_like(held, shape_of(held))
    _masks.within(held, operator.index(nx), sizes, float32(limit), fields.thread_count(threads), out)
    return out


def compare_distance(
    words: Words,
    nx: int,
    spacing: Sequence[float],
    op: Comparison,
    k: float,
    *,
    never_negative: bool = False,
    threads: int = 1,
) -> Words:
    """Where the signed distance to the mask, `fields.distance`, compares so with k: that, without the distance.

    With `never_negative`, distances below zero count as zero. k is rounded to float32; NaN makes all comparisons false.

    >>> mask = masks.pack(np.array([[[0, 0, 1, 1, 1, 0, 0]]], np.uint8))
    >>> masks.unpack(compare_distance(mask, 7, (1, 1, 1), "<", 2), 7).tolist()
    [[[0, 1, 1, 1, 1, 1, 0]]]
    """
    held, sizes = fields.checked_mask_and_spacing(words, nx, spacing)
    shape, key = (*shape_of(held)[:2], nx), _key(k)
    if key is None:
        return _full(held, nx, False)
    if rows_of_ball(abs(float32(k)), shape, sizes) > MOST_ROWS:
        distance = fields.distance(held, nx, sizes, threads=threads)
        if never_negative:
            distance = fields.masked(distance, masks.compare(distance, ">", 0, threads=threads), threads=threads)
        return masks.compare(distance, op, k, threads=threads)

    def at_most(limit: int) -> Words:
        return _at_most(held, nx, sizes, limit, never_negative, threads)

    # Both zeros, keys -1 and 0, are one number.
    low, high = (-1, 0) if key in (-1, 0) else (key, key)
    match op:
        case "<=":
            return at_most(high)
        case "<":
            return at_most(low - 1)
        case ">":
            return masks.complement(at_most(high), nx)
        case ">=":
            return masks.complement(at_most(low - 1), nx)
        case "==":
            return masks.difference(at_most(high), at_most(low - 1))
    raise ValueError(f"op: expected one of == >= <= > <, not {op!r}")


def rows_of_ball(radius: float, shape: Sequence[int], spacing: Sequence[float]) -> float:
    """About how much work a dilation is: the segments of a quarter of the ball, in an image of a shape (z, y, x).

    >>> rows_of_ball(5, (100, 100, 100), (1, 1, 1))
    36
    """
    if not radius < math.inf:
        return math.inf
    (nz, ny, _), (_, sy, sz) = shape, spacing
    return (int(min(radius / sy, ny - 1)) + 1) * (int(min(radius / sz, nz - 1)) + 1)


_INFINITY = 0x7F800000  # its key; that of -inf is below by the number of floats


def _at_most(words: Words, nx: int, spacing: fields.Triple, limit: int, never_negative: bool, threads: int) -> Words:
    """Where the signed distance is at most the float of this key.

    Outside the mask, and for a limit that is not negative, that is a dilation of the mask. Inside, the distance to the
    contour is at least -limit where the contour dilated by all that is less does not reach.
    """
    if limit >= _INFINITY or limit < ~_INFINITY or (never_negative and limit < -1):
        return _full(words, nx, limit >= _INFINITY)
    value = _of_key(limit)
    if limit >= -1:
        if not masks.count(words):
            return _full(words, nx, value >= fields.NOWHERE)
        return within(words, nx, spacing, abs(value), threads=threads)
    inside = masks.interior(words, nx, threads=threads)
    contour = masks.difference(words, inside)
    if not masks.count(contour):
        return _full(words, nx, masks.count(words) > 0 and value >= -fields.NOWHERE)
    return masks.difference(words, within(contour, nx, spacing, _of_key(~limit - 1), threads=threads))


def _full(words: Words, nx: int, value: bool) -> Words:
    """The mask that is `value` everywhere, of the shape of another and of its sort."""
    nothing = masks.difference(words, words)
    return masks.complement(nothing, nx) if value else nothing


def _key(k: float) -> int | None:
    """The integers whose order is that of the floats (include/convert.hpp); none for NaN."""
    if math.isnan(k):
        return None
    bits: int = struct.unpack("i", struct.pack("f", float32(k)))[0]
    return bits ^ ((bits >> 31) & 0x7FFFFFFF)


def _of_key(key: int) -> float:
    number: float = struct.unpack("f", struct.pack("i", key ^ ((key >> 31) & 0x7FFFFFFF)))[0]
    return number
