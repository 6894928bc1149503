"""Masks as packed bits: conversions, logic, neighbourhoods and connected components, in compiled code.

A mask of shape (nz, ny, nx) is an array of **words**: uint64, shape (nz, ny, nw) with nw = ceil(nx / 64), C order. Bit
b of word w of a row is the voxel x = 64*w + b; the **tail** bits, past nx, are zero in every result, and are assumed
to be zero in every argument (other tails give a mask without meaning, never a wrong memory access). As words do not
tell nx, it is an argument wherever it matters. A 2-D image has nz = 1. Each axis has at least one voxel.

Common to all functions, and not repeated: arguments are never modified and must not be by others meanwhile; results
are new arrays, NumPy's or memory views as the first argument is (`arrays.py`); an array that is not contiguous is
copied first. What is not an array, or has another dtype, is a TypeError; another rank, shapes that do not agree, an
empty axis or fewer than one thread are a ValueError. `threads` is how many threads may work on the call; the result
does not depend on it. The lock of the interpreter is released.

Numbers about fields (minimum, mean, percentiles, distances) are in `fields.py`; spacing plays no part here.

>>> import numpy as np
>>> a = pack(np.array([[[0, 1, 1, 0, 0, 1]]], np.uint8))
>>> a.shape, int(a[0, 0, 0])
((1, 1, 1), 38)
>>> unpack(near(a, 6), 6).tolist()
[[[1, 1, 1, 1, 1, 1]]]
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from voxlogica.kernels import _masks
from voxlogica.kernels.arrays import (
    Bytes,
    Floats,
    Numbers,
    Shape,
    Words,
    bytes_like,
    checked,
    checked_numbers,
    checked_words,
    float32,
    floats_like,
    shape_of,
    view,
    words_like,
    words_of,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Interval: TypeAlias = tuple[int, int]
Comparison: TypeAlias = Literal["==", ">=", "<=", ">", "<"]

WORD_BITS = 64
# Integers up to here, and not beyond, are all float32 values.
MAX_LABEL = 2**24


# ---------------------------------------------------------------------------------------------------------------------
# Voxels to bits and back
# ---------------------------------------------------------------------------------------------------------------------


def pack(voxels: Bytes | NDArray[np.bool_], *, threads: int = 1) -> Words:
    """Pack voxels, bool or uint8 of shape (nz, ny, nx), into words; every value but zero is true.

    >>> pack(np.array([[[True, False, True]]])).tolist()
    [[[5]]]
    """
    held = cast("Bytes", checked(_without_bool(voxels), ("u1",), "voxels"))
    out = words_like(held, _words_shape(shape_of(held)))
    _masks.pack(held, _thread_count(threads), out)
    return out


def unpack(words: Words, nx: int, *, threads: int = 1) -> Bytes:
    """Unpack words into voxels: uint8 of shape (nz, ny, nx), 0 or 1.

    >>> unpack(np.array([[[5]]], np.uint64), 3).tolist()
    [[[1, 0, 1]]]
    """
    held, nx = _checked_words(words, nx)
    out = bytes_like(held, (*shape_of(held)[:2], nx))
    _masks.unpack(held, _thread_count(threads), out)
    return out


def compare(field: Numbers, op: Comparison, constant: float, *, threads: int = 1) -> Words:
    """Where `field[v] op constant`, for a field of shape (nz, ny, nx) and op one of == >= <= > <.

    The field is of float32, or of integers of one or two bytes, which give what they would as float32.
    The constant is rounded to float32 first, to infinity if it is too large, so that 0.1 equals the voxel
    float32(0.1). NaN, as a voxel or as the constant, makes all five false; -0.0 equals 0.0; infinities are numbers like
    others. Another op is a ValueError.

    Source: floats ordered as integers (M. Herf, "Radix tricks", 2001), which makes each op a closed interval.

    >>> field = np.array([[[0.1, -0.0, np.nan, np.inf]]], np.float32)
    >>> unpack(compare(field, ">=", 0.1), 4).tolist()
    [[[1, 0, 0, 1]]]
    """
    held = checked_numbers(field, "field")
    out = words_like(held, _words_shape(shape_of(held)))
    _masks.compare(held, op, float(constant), _thread_count(threads), out)
    return out


def compare_images(a: Floats, op: Comparison | Literal["!="], b: Floats) -> Words:
    """Where `a[v] op b[v]`, for float32 fields of one shape (nz, ny, nx); a NaN makes all false but !=. NumPy's speed.

    >>> one, two = np.ones((1, 1, 2), np.float32), np.array([[[1, 2]]], np.float32)
    >>> unpack(compare_images(one, "<", two), 2).tolist()
    [[[0, 1]]]
    """
    import numpy as np

    held, other = np.asarray(checked(a, ("f4",), "a")), np.asarray(checked(b, ("f4",), "b"))
    if held.shape != other.shape:
        raise ValueError(f"fields of the shapes {held.shape} and {other.shape} cannot be compared")
    ufuncs = {
        "==": np.equal, "!=": np.not_equal, "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal,
    }  # fmt: skip
    return pack(ufuncs[op](held, other))


def compare_numbers(a: float, op: Comparison, b: float) -> bool:
    """What `compare` says of a voxel a and the constant b.

    >>> compare_numbers(0.1, "==", 0.10000000149011612), compare_numbers(float("nan"), "<", 1)
    (True, False)
    """
    one, two = float32(a), float32(b)
    return {"==": one == two, ">=": one >= two, "<=": one <= two, ">": one > two, "<": one < two}[op]


def between(field: Numbers, low: float, high: float, *, threads: int = 1) -> Words:
    """Where low <= field[v] <= high, for a field of shape (nz, ny, nx), of numbers as `compare` takes them.

    Bounds are rounded to float32 as in `compare`; low > high, or a NaN, is true nowhere.

    >>> unpack(between(np.array([[[0, 1, 2, 3]]], np.float32), 1, 2), 4).tolist()
    [[[0, 1, 1, 0]]]
    """
    held = checked_numbers(field, "field")
    out = words_like(held, _words_shape(shape_of(held)))
    _masks.between(held, float(low), float(high), _thread_count(threads), out)
    return out


# ---------------------------------------------------------------------------------------------------------------------
# Constants
# ---------------------------------------------------------------------------------------------------------------------


def full(shape: Shape, value: bool) -> memoryview:
    """Make the mask of shape (nz, ny, nx) that is `value` everywhere, as a memory view.

    >>> full((1, 2, 3), True).tolist()
    [[[7], [7]]]
    """
    words = _words_shape(shape)
    nz, ny, nx = shape
    return view(memoryview(words_of((1 << nx) - 1 if value else 0, nx) * (ny * nz)), words, "u8")


def border(shape: Shape, *, dimensions: int) -> memoryview:
    """Make the mask of shape (nz, ny, nx) that is true iff some coordinate is 0 or size-1, as a memory view.

    Only the first `dimensions` axes of (x, y, z) count, 2 or 3: a 2-D image, nz = 1, has an inside. A 3-D image with
    an axis of size 1 or 2 is all border. Two dimensions with nz > 1 is a ValueError.

    >>> unpack(border((1, 3, 4), dimensions=2), 4).tolist()
    [[[1, 1, 1, 1], [1, 0, 0, 1], [1, 1, 1, 1]]]
    """
    words = _words_shape(shape)
    nz, ny, nx = shape
    if dimensions not in (2, 3) or (dimensions == 2 and nz != 1):
        raise ValueError(f"an image of shape {shape} (z, y, x) does not have {dimensions} dimensions")
    ones, ends = words_of((1 << nx) - 1, nx), words_of(1 | 1 << (nx - 1), nx)
    inside = ones + ends * (ny - 2) + (ones if ny > 1 else b"")
    outside = ones * ny if dimensions == 3 else inside
    planes = outside + inside * (nz - 2) + (outside if nz > 1 else b"")
    return view(memoryview(planes), words, "u8")


# ---------------------------------------------------------------------------------------------------------------------
# Logic
# ---------------------------------------------------------------------------------------------------------------------


def complement(words: Words, nx: int, *, threads: int = 1) -> Words:
    """Where the mask is false.

    >>> complement(np.array([[[5]]], np.uint64), 3).tolist()
    [[[2]]]
    """
    held, nx = _checked_words(words, nx)
    out = words_like(held, shape_of(held))
    _masks.complement(held, nx, _thread_count(threads), out)
    return out


def conjunction(a: Words, b: Words, *, threads: int = 1) -> Words:
    """Where both masks are true.

    >>> conjunction(np.array([[[5]]], np.uint64), np.array([[[6]]], np.uint64)).tolist()
    [[[4]]]
    """
    return _combined(_masks.conjunction, a, b, threads)


def disjunction(a: Words, b: Words, *, threads: int = 1) -> Words:
    """Where at least one of the masks is true.

    >>> disjunction(np.array([[[5]]], np.uint64), np.array([[[6]]], np.uint64)).tolist()
    [[[7]]]
    """
    return _combined(_masks.disjunction, a, b, threads)


def difference(a: Words, b: Words, *, threads: int = 1) -> Words:
    """Where `a` is true and `b` is not.

    >>> difference(np.array([[[5]]], np.uint64), np.array([[[6]]], np.uint64)).tolist()
    [[[1]]]
    """
    return _combined(_masks.difference, a, b, threads)


def exclusive(a: Words, b: Words, *, threads: int = 1) -> Words:
    """Where exactly one of the masks is true.

    >>> exclusive(np.array([[[5]]], np.uint64), np.array([[[6]]], np.uint64)).tolist()
    [[[3]]]
    """
    return _combined(_masks.exclusive, a, b, threads)


def _combined(kernel: Callable[[Words, Words, int, Words], None], a: object, b: object, threads: int) -> Words:
    held_a, held_b = _checked_pair(a, b)
    out = words_like(held_a, shape_of(held_a))
    kernel(held_a, held_b, _thread_count(threads), out)
    return out


# ---------------------------------------------------------------------------------------------------------------------
# Measures
# ---------------------------------------------------------------------------------------------------------------------


def count(words: Words) -> int:
    """Count the true voxels.

    >>> count(np.array([[[5]]], np.uint64))
    2
    """
    return _masks.count(checked_words(words))


def equal(a: Words, b: Words) -> bool:
    """Tell whether two masks of one shape are true in the same voxels.

    >>> equal(full((1, 2, 3), True), full((1, 2, 3), False))
    False
    """
    return count(exclusive(a, b)) == 0


def bounding_box(words: Words, nx: int) -> tuple[Interval, Interval, Interval] | None:
    """Bound the true voxels by half-open intervals ((z0, z1), (y0, y1), (x0, x1)); None when there are none.

    >>> bounding_box(np.array([[[0], [4]]], np.uint64), 5)
    ((0, 1), (1, 2), (2, 3))
    """
    held, nx = _checked_words(words, nx)
    bounds = _masks.bounding_box(held, nx)
    if bounds is None:
        return None
    z0, z1, y0, y1, x0, x1 = bounds
    return (z0, z1), (y0, y1), (x0, x1)


# ---------------------------------------------------------------------------------------------------------------------
# Neighbourhoods
# ---------------------------------------------------------------------------------------------------------------------


def near(words: Words, nx: int, *, threads: int = 1) -> Words:
    """Where some voxel of the 3x3x3 box around the voxel, itself included, is true: dilation.

    In 2-D the box is 3x3. Outside the image counts as false: one voxel in a corner becomes 8 (4 in 2-D).

    Source: separable box (J. Serra, "Image Analysis and Mathematical Morphology", 1982), as shifts of words.

    >>> unpack(near(pack(np.array([[[0, 0, 1, 0, 0]]], np.uint8)), 5), 5).tolist()
    [[[0, 1, 1, 1, 0]]]
    """
    held, nx = _checked_words(words, nx)
    out = words_like(held, shape_of(held))
    _masks.near(held, nx, _thread_count(threads), out)
    return out


def interior(words: Words, nx: int, *, threads: int = 1) -> Words:
    """Where every voxel of the 3x3x3 box around the voxel is true: erosion, the dual of `near`.

    Outside the image counts as true: the border of the image does not erode.

    >>> unpack(interior(pack(np.array([[[1, 1, 1, 0, 1]]], np.uint8)), 5), 5).tolist()
    [[[1, 1, 0, 0, 0]]]
    """
    held, nx = _checked_words(words, nx)
    out = words_like(held, shape_of(held))
    _masks.interior(held, nx, _thread_count(threads), out)
    return out


# ---------------------------------------------------------------------------------------------------------------------
# Connected components: two true voxels are connected when one is in the 3x3x3 box of the other (26 neighbours in 3-D,
# 8 in 2-D). Source: runs of rows joined by union-find (He, Chao, Suzuki, "A run-based two-scan labeling algorithm",
# IEEE Trans. Image Processing 17(5), 2008; Wu, Otoo, Suzuki, Pattern Anal. Appl. 12, 2009). The cost is in runs.
# ---------------------------------------------------------------------------------------------------------------------


def through(a: Words, b: Words, nx: int, *, threads: int = 1) -> Words:
    """Keep the connected components of `b` that hold a voxel of `a` and `b`.

    Voxels of `a` outside `b` play no part; if `a` and `b` do not meet, the result is false everywhere.

    >>> a, b = pack(np.array([[[1, 0, 0, 0, 0]]], np.uint8)), pack(np.array([[[1, 1, 0, 1, 1]]], np.uint8))
    >>> unpack(through(a, b, 5), 5).tolist()
    [[[1, 1, 0, 0, 0]]]
    """
    a, b = _checked_pair(a, b)
    _, nx = _checked_words(b, nx)
    out = words_like(b, shape_of(b))
    _masks.through(a, b, nx, _thread_count(threads), out)
    return out


def components(words: Words, nx: int, *, threads: int = 1) -> Floats:
    """Label connected components: float32 of shape (nz, ny, nx), 0 where the mask is false.

    Labels are 1..k in the order in which a raster scan (x fastest, then y, then z) first meets the components. More
    than 2**24 of them, which float32 could not tell apart, are an OverflowError.

    >>> components(pack(np.array([[[1, 0, 0], [0, 0, 1], [1, 0, 1]]], np.uint8)), 3).tolist()
    [[[1.0, 0.0, 0.0], [0.0, 0.0, 2.0], [3.0, 0.0, 2.0]]]
    """
    held, nx = _checked_words(words, nx)
    out = floats_like(held, (*shape_of(held)[:2], nx))
    _masks.components(held, _thread_count(threads), MAX_LABEL, out)
    return out


def largest(words: Words, nx: int, *, threads: int = 1) -> Words:
    """Keep the connected components with the largest number of voxels, all of them if several have it.

    A mask that is false everywhere gives itself. This is the operator `maxvol`.

    >>> unpack(largest(pack(np.array([[[1, 1, 0, 1, 0, 1, 1]]], np.uint8)), 7), 7).tolist()
    [[[1, 1, 0, 0, 0, 1, 1]]]
    """
    held, nx = _checked_words(words, nx)
    out = words_like(held, shape_of(held))
    _masks.largest(held, nx, _thread_count(threads), out)
    return out


# ---------------------------------------------------------------------------------------------------------------------
# Arguments
# ---------------------------------------------------------------------------------------------------------------------


def _checked_words(words: object, nx: int) -> tuple[Words, int]:
    """Check words and the number of voxels in their rows."""
    held = checked_words(words)
    nx = operator.index(nx)
    if nx < 1 or _words_per_row(nx) != shape_of(held)[2]:
        raise ValueError(f"nx: rows of {nx} voxels do not fill {shape_of(held)[2]} words of {WORD_BITS} bits")
    return held, nx


def _checked_pair(a: object, b: object) -> tuple[Words, Words]:
    """Check two masks of the same shape."""
    held_a, held_b = checked_words(a, "a"), checked_words(b, "b")
    if held_a.shape != held_b.shape:
        raise ValueError(f"expected two masks of one shape, not {held_a.shape} and {held_b.shape} words")
    return held_a, held_b


def _thread_count(threads: int) -> int:
    """Check a number of threads."""
    threads = operator.index(threads)
    if threads < 1:
        raise ValueError(f"threads: expected at least one, not {threads}")
    return threads


def _words_per_row(nx: int) -> int:
    return -(-nx // WORD_BITS)


def _words_shape(shape: tuple[int, ...]) -> Shape:
    """The shape of the words of a mask of this shape."""
    if len(shape) != 3 or min(shape) < 1:
        raise ValueError(f"shape: expected three sizes (z, y, x) of at least one, not {shape}")
    nz, ny, nx = shape
    return nz, ny, _words_per_row(nx)


def _without_bool(voxels: object) -> object:
    """An array of bool as one of bytes."""
    dtype = getattr(voxels, "dtype", None)
    return cast("NDArray[np.bool_]", voxels).view("u1") if dtype == "bool" else voxels
