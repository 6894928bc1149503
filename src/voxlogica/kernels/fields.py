"""Numeric fields: sums, colours, distances, ranks, local histograms and thresholds.

A **field** is a float32 array of shape (nz, ny, nx): axis order (z, y, x), x fastest; a 2-D image has nz = 1. What
takes `Numbers` takes integers of one or two bytes too, and gives what it would for the same numbers in float32, bit for
bit. A mask is `words`, packed bits of shape (nz, ny, ceil(nx / 64)), as `masks.py` has them. Tuples of one number per
axis, `spacing` and `radius`, are in the order **(x, y, z)**, not that of the array axes. Spacing is the physical size
of a voxel, and distances are in its unit (mm for medical images).

Common to all functions, and not repeated: arguments are never modified and must not be by others meanwhile; results
are new C-contiguous arrays, NumPy's or memory views as the first argument is (`arrays.py`), unless their types say
which; an array that is not contiguous is copied first. What is not an array, or has another dtype, is a TypeError;
another rank, shapes that do not agree, an empty axis, a mask with bits beyond the voxels of a row, or fewer than one
thread are a ValueError. NaN and infinity are values like others unless said otherwise, and raise no NumPy warning.
`threads` is how many threads may work on the call; results have the same bytes for any number of threads and on any
processor. The lock of the interpreter is released in compiled code.

A number `k` that meets a field is rounded to float32 first (to infinity if it is too large).

>>> import numpy as np
>>> field = np.array([[[1.0, 2.0, 4.0]]], np.float32)
>>> masked(field, np.array([[[5]]], np.uint64)).tolist()
[[[1.0, 0.0, 4.0]]]
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypeAlias, cast

from voxlogica._dataclass import NamedTuple
from voxlogica.kernels import _fields, masks
from voxlogica.kernels.arrays import (
    Floats,
    Numbers,
    Shape,
    WindowNumbers,
    Words,
    checked,
    checked_numbers,
    checked_words,
    filled,
    float32,
    floats_like,
    shape_of,
    windows_like,
    words_like,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Triple: TypeAlias = tuple[float, float, float]

# The distance to what does not exist: the root, in float32, of the largest float32.
NOWHERE = float32(math.sqrt((2 - 2**-23) * 2.0**127))


# ---------------------------------------------------------------------------------------------------------------------
# Fields from nothing, and parts of fields
# ---------------------------------------------------------------------------------------------------------------------


def constant(shape: Shape, k: float) -> Floats:
    """Make the field of shape (nz, ny, nx) that is k everywhere, as a memory view.

    >>> constant((1, 1, 3), 0.5).tolist()
    [[[0.5, 0.5, 0.5]]]
    """
    return filled(memoryview(b""), _checked_shape(shape), k)


def coordinate(shape: Shape, axis: int) -> NDArray[np.float32]:
    """Make the field of shape (nz, ny, nx) whose voxels are their index along x (axis 0), y (1) or z (2).

    Another axis is a ValueError. Indices above 2**24 are rounded to float32.

    >>> coordinate((1, 2, 3), 0).tolist()
    [[[0.0, 1.0, 2.0], [0.0, 1.0, 2.0]]]
    """
    shape = _checked_shape(shape)
    if axis not in (0, 1, 2):
        raise ValueError(f"axis: expected 0, 1 or 2 for x, y or z, not {axis}")
    import numpy as np

    out = np.empty(shape, np.float32)
    along = [1, 1, 1]
    along[2 - axis] = -1
    out[:] = np.arange(shape[2 - axis], dtype=np.float32).reshape(along)
    return out


def masked(i: Numbers, words: Words, *, threads: int = 1) -> Floats:
    """Keep the voxels where the mask is true; the others are 0.

    >>> masked(np.array([[[1, 2, 3]]], np.float32), np.array([[[5]]], np.uint64)).tolist()
    [[[1.0, 0.0, 3.0]]]
    """
    i, words = checked_with_mask(i, words)
    out = floats_like(i, shape_of(i))
    _fields.masked(i, words, thread_count(threads), out)
    return out


# ---------------------------------------------------------------------------------------------------------------------
# One number from a field. A zero result is never -0.0: which of equal zeros is met first is nobody's business.
# ---------------------------------------------------------------------------------------------------------------------


def maximum(i: Numbers) -> float:
    """Find the largest of all voxels; NaN when one of them is.

    ITK passes over some NaNs and not over others, as its threads happen to divide the image; here the rule is plain.

    >>> maximum(np.array([[[1, 3, 2]]], np.float32))
    3.0
    """
    return extremes(i)[1]


def minimum(i: Numbers) -> float:
    """Find the smallest of all voxels; NaN when one of them is.

    >>> minimum(np.array([[[3, 1, 2]]], np.float32))
    1.0
    """
    return extremes(i)[0]


def extremes(i: Numbers) -> tuple[float, float]:
    """Find the smallest and the largest of all voxels in one pass; both NaN when one of them is.

    >>> extremes(np.array([[[3, 1, 2]]], np.float32))
    (1.0, 3.0)
    """
    return _bounds(_fields.extremes(checked_numbers(i, "i"), None))


def maximum_within(i: Numbers, words: Words) -> float:
    """Find the largest voxel where the mask is true; NaN when one of them is. An empty mask is a ValueError.

    >>> maximum_within(np.array([[[1, 3, 2]]], np.float32), np.array([[[5]]], np.uint64))
    2.0
    """
    return extremes_within(i, words)[1]


def minimum_within(i: Numbers, words: Words) -> float:
    """Find the smallest voxel where the mask is true; NaN when one of them is. An empty mask is a ValueError.

    >>> minimum_within(np.array([[[3, 1, 2]]], np.float32), np.array([[[5]]], np.uint64))
    2.0
    """
    return extremes_within(i, words)[0]


def extremes_within(i: Numbers, words: Words) -> tuple[float, float]:
    """Find the smallest and the largest voxel where the mask is true, in one pass; both NaN when one of them is.

    An empty mask is a ValueError.

    >>> extremes_within(np.array([[[3, 1, 2]]], np.float32), np.array([[[5]]], np.uint64))
    (2.0, 3.0)
    """
    return _bounds(_fields.extremes(*checked_with_mask(i, words)))


def mean(i: Numbers, words: Words) -> float:
    """Average the voxels where the mask is true. An empty mask is a ValueError.

    The sum is in double and in an order that depends on the shape alone: eight partial sums, of the voxels whose x has
    the same remainder by 8, in raster order, then added up.

    >>> mean(np.array([[[1, 5, 2]]], np.float32), np.array([[[5]]], np.uint64))
    1.5
    """
    i, words = checked_with_mask(i, words)
    count = masks.count(words)
    if count == 0:
        raise ValueError("empty mask")
    total: float = _fields.sum(i, words)
    return total / count


def summary(i: Numbers, words: Words) -> tuple[float, float, float]:
    """`minimum_within`, `maximum_within` and `mean` in one pass. An empty mask is a ValueError.

    >>> summary(np.array([[[1, 5, 2]]], np.float32), np.array([[[5]]], np.uint64))
    (1.0, 2.0, 1.5)
    """
    met, total = _fields.summary(*checked_with_mask(i, words))
    return *_bounds(met), total / met[0]


def moments(i: Numbers) -> tuple[float, float, float]:
    """The sum of all voxels, their mean, and the variance of the sample; NaN of a single voxel.

    In double, and in an order that depends on the shape alone: each plane's voxels by x, then planes, then x.

    >>> moments(np.array([[[1, 2, 6]]], np.float32))
    (9.0, 3.0, 7.0)
    """
    import numpy as np

    planes = np.asarray(checked_numbers(i, "field"))
    with np.errstate(all="ignore"):
        total = _total(plane.astype(np.float64) for plane in planes)
        mean = total / planes.size
        squares = _total((plane.astype(np.float64) - mean) ** 2 for plane in planes)
    return total, mean, squares / (planes.size - 1) if planes.size > 1 else math.nan


# ---------------------------------------------------------------------------------------------------------------------
# Colour
# ---------------------------------------------------------------------------------------------------------------------


def intensity(components: NDArray[np.float32]) -> NDArray[np.float32]:
    """Make a field of an image of 1, 3 or 4 components, float32 of shape (nz, ny, nx, c). Another c is a ValueError.

    One component is copied; of three or more (red, green, blue, and alpha, which plays no part) it is the luminance
    0.2126*R + (0.7152*G + 0.0722*B), evaluated in this order, weights and steps in float32.

    Source: Recommendation ITU-R BT.709-6 (2015), item 3.2.

    >>> intensity(np.array([[[[100, 100, 100]]]], np.float32)).tolist()
    [[[100.0]]]
    """
    import numpy as np

    held = np.asarray(checked(components, ("f4",), "components", "z, y, x, component"), np.float32)
    nz, ny, nx, c = held.shape
    if c == 1:
        return held[..., 0].copy()
    if c not in (3, 4):
        raise ValueError(f"components: expected 1, 3 or 4 of them, not {c}")
    out = np.empty((nz, ny, nx), np.float32)
    _fields.luminance(held, 1, out)
    return out


# ---------------------------------------------------------------------------------------------------------------------
# Distance
# ---------------------------------------------------------------------------------------------------------------------


def distance(words: Words, nx: int, spacing: Sequence[float], *, threads: int = 1) -> Floats:
    """Measure the signed Euclidean distance to a mask, exactly. This is the operator `dt`.

    A **contour** voxel is a true voxel with a false one among its neighbours in the 3x3x3 box; what is outside the
    image is not false. A false voxel has the distance to the centre of the nearest true voxel; a true one has minus the
    distance to the centre of the nearest contour voxel, so that contour voxels are -0.0. Where there is nothing to
    measure to, the distance is the square root of the largest float32: 1.8446743e19 everywhere for a mask that is false
    everywhere, -1.8446743e19 for one that is true everywhere.

    The distance for an offset of (dx, dy, dz) voxels is the square root of ((sx*dx)**2 + (sy*dy)**2) + (sz*dz)**2 in
    double, rounded once to float32, and the nearest is the one for which that is smallest: the result is that of trying
    all voxels, bit for bit, for any spacing. `spacing` is (x, y, z), finite and positive, else a ValueError.

    Both halves are one transform, to the contour, because the true voxel nearest to a false one is on the contour: a
    true voxel that is not has a neighbour one step closer to the false one on each axis where they differ, inside the
    image, true, and no further by the formula above, in which every operation is monotone. So follow such steps.

    Source: separable transform; see include/distance.hpp. In ITK: SignedMaurerDistanceMapImageFilter.

    >>> distance(np.array([[[0b01111100]]], np.uint64), 9, (1, 1, 1)).tolist()
    [[[2.0, 1.0, -0.0, -1.0, -2.0, -1.0, -0.0, 1.0, 2.0]]]
    """
    threads = thread_count(threads)
    sizes = _checked_spacing(spacing)
    words = checked_words(words)
    contour = masks.difference(words, masks.interior(words, nx, threads=threads))
    shape = (*shape_of(words)[:2], operator.index(nx))
    words = _checked_mask(words, shape)
    if not masks.count(contour):
        return filled(words, shape, -NOWHERE if masks.count(words) else NOWHERE)
    out = floats_like(words, shape)
    _fields.distance(words, contour, sizes, threads, out)
    return out


# ---------------------------------------------------------------------------------------------------------------------
# Distributions
# ---------------------------------------------------------------------------------------------------------------------


def percentiles(field: Numbers, words: Words, c: float, *, threads: int = 1) -> Floats:
    """Rank every voxel of a mask among the voxels of that mask: from 0 to 1, and -1 where the mask is false.

    The rank of v is (below + c * equal) / n, where n voxels are in the mask, `below` of them smaller than v and `equal`
    of them, v included, equal to it: c = 0 gives the fraction strictly below, 1 that at or below, 0.5 the middle rank.
    Every step is in float32, as in version 1: the counts and c are rounded, then the product, the sum, the quotient.
    Equality is that of floats: -0.0 equals 0.0. An empty mask gives -1 everywhere; a NaN in it is a ValueError.

    Source: counting for integers of a small range, radix partition otherwise; see include/percentiles.hpp.

    >>> percentiles(np.array([[[1, 2, 2, 5]]], np.float32), np.array([[[15]]], np.uint64), 0.5).tolist()
    [[[0.125, 0.5, 0.5, 0.875]]]
    """
    field, words = checked_with_mask(field, words)
    out = floats_like(field, shape_of(field))
    if not _fields.percentiles(field, words, float32(c), thread_count(threads), out):
        raise ValueError("NaN in the population")
    return out


def window_radius(rho: float, spacing: Sequence[float]) -> tuple[int, int, int]:
    """Convert a radius in physical units to voxels along (x, y, z): rho/spacing, half to even, at least 1.

    `rho` is finite and not negative, `spacing` (x, y, z) finite and positive, else a ValueError.

    >>> window_radius(5, (1, 2, 20))
    (5, 2, 1)
    """
    rho = float(rho)
    if not (math.isfinite(rho) and rho >= 0):
        raise ValueError(f"rho: expected a finite radius that is not negative, not {rho}")
    x, y, z = (max(1, round(min(rho / size, 2.0**53))) for size in _checked_spacing(spacing))
    return x, y, z


def correlation(
    a: Numbers,
    b: Numbers,
    phi_words: Words,
    radius: Sequence[int],
    low: float,
    high: float,
    bins: int,
    *,
    threads: int = 1,
) -> Floats:
    """Correlate the histogram of a around every voxel with that of b where phi is true: from -1 to 1.

    This is the operator `crossCorrelation`. There are k = `bins` bins of width (high - low) / k. A value x counts if
    low <= x < high, in bin min(floor((x - low) / width), k - 1), all in double; others, NaN and `high` itself included,
    do not count, and none does if the width is not a positive finite number. The local histogram h is over the box
    of half-widths `radius`, in voxels along (x, y, z), as far as it is inside the image; see `window_radius`. With H
    the histogram of b over phi, the result is Pearson's correlation over the bins,

        (k * sum(h*H) - sum(h) * sum(H)) / sqrt((k * sum(h*h) - sum(h)**2) * (k * sum(H*H) - sum(H)**2))

    where numerator and both factors are exact integers, converted to double once; product, root and quotient are in
    double, and rounded once to float32. If neither histogram varies the result is 1, if exactly one does not it is 0;
    an empty phi has an H that does not vary, and with one bin neither does.

    Radii may exceed the image. A negative one, or fewer than one bin or a fraction of one, or an image of 2**32 voxels
    or more is a ValueError. Beyond 255 bins the time grows with the square of the radius, below it does not.

    Source: moving histograms; see include/correlation.hpp.

    >>> field = np.array([[[0, 0, 1, 1, 1]]], np.float32)
    >>> correlation(field, field, np.array([[[3]]], np.uint64), (1, 1, 1), 0, 2, 2).tolist()
    [[[1.0, 1.0, -1.0, -1.0, -1.0]]]
    """
    a, b = checked_numbers(a, "a"), checked_numbers(b, "b")
    check_alike(a, b)
    phi_words = _checked_mask(phi_words, shape_of(a))
    k, cut = _checked_window(shape_of(a), radius, bins)
    out = floats_like(a, shape_of(a))
    _fields.correlation(a, b, phi_words, cut, float(low), float(high), k, thread_count(threads), out)
    return out


MOST_WINDOW_VOXELS, MOST_WINDOW_BINS = 4095, 255


class Windows(NamedTuple):
    """The windows of the voxels of a box of a field; those of all others hold one bin only, that of the box's first.

    `at` is (z, y, x), where the box begins in the field, and `numbers` an array of uint32, [z, y, x] in the box.
    """

    at: tuple[int, int, int]
    numbers: WindowNumbers


def windows(a: Numbers, radius: Sequence[int], low: float, high: float, bins: int, *, threads: int = 1) -> Windows:
    """What `correlation` finds out around every voxel of a before it looks at any reference; for `correlation_of`.

    The number of a voxel is 256 times the sum of the squares of its local histogram, plus its own bin, which is
    `bins` when it has none. There are numbers for the least box, and a margin of twice the radius, that holds all
    voxels in other bins than the first of a: of the whole of a in the worst case.
    At most 255 bins, and at most 4095 voxels in a window, else a ValueError.

    >>> windows(np.array([[[0, 0, 1, 5]]], np.float32), (1, 1, 1), 0, 2, 2).numbers.tolist()
    [[[1024, 1280, 513, 258]]]
    >>> found = windows(np.array([[[0] * 5 + [1] + [0] * 5]], np.float32), (1, 1, 1), 0, 2, 2)
    >>> found.at, found.numbers.tolist()
    ((0, 0, 3), [[[2304, 1280, 1281, 1280, 2304]]])
    """
    held = checked_numbers(a, "a")
    k, cut = _checked_narrow(shape_of(held), radius, bins)
    low, high, threads = float(low), float(high), thread_count(threads)
    at, shape = _fields.window_box(held, cut, low, high, k, threads)
    out = windows_like(held, shape)
    _fields.windows(held, cut, low, high, k, at, threads, out)
    return Windows(at, out)


def correlation_of(
    windows: Windows,
    shape: Shape,
    b: Numbers | None,
    phi_words: Words,
    radius: Sequence[int],
    low: float,
    high: float,
    bins: int,
    *,
    threads: int = 1,
) -> Floats:
    """`correlation` of a and b, given `windows` of a of the same radius, low, high and bins; None for a b that is a.

    `shape` is that of a.

    >>> field, phi = np.array([[[0, 0, 1, 1, 1]]], np.float32), np.array([[[3]]], np.uint64)
    >>> correlation_of(windows(field, (1, 1, 1), 0, 2, 2), field.shape, None, phi, (1, 1, 1), 0, 2, 2).tolist()
    [[[1.0, 1.0, -1.0, -1.0, -1.0]]]
    """
    at, numbers = _checked_windows(windows, shape)
    other, phi_words = _checked_reference(b, phi_words, shape)
    k, cut = _checked_narrow(shape, radius, bins)
    out = floats_like(phi_words, shape)
    _fields.correlation_of(numbers, at, other, phi_words, cut, float(low), float(high), k, thread_count(threads), out)
    return out


def compare_correlation(
    windows: Windows,
    shape: Shape,
    b: Numbers | None,
    phi_words: Words,
    radius: Sequence[int],
    low: float,
    high: float,
    bins: int,
    op: masks.Comparison,
    constant: float,
    *,
    threads: int = 1,
) -> Words:
    """`masks.compare` of `correlation_of`, row by row: there is no image.

    >>> field, phi = np.array([[[0, 0, 1, 1, 1]]], np.float32), np.array([[[3]]], np.uint64)
    >>> held = windows(field, (1, 1, 1), 0, 2, 2)
    >>> compare_correlation(held, field.shape, None, phi, (1, 1, 1), 0, 2, 2, ">", 0.6).tolist()
    [[[3]]]
    """
    at, numbers = _checked_windows(windows, shape)
    other, phi_words = _checked_reference(b, phi_words, shape)
    k, cut = _checked_narrow(shape, radius, bins)
    out, number, nx = words_like(phi_words, shape_of(phi_words)), float(constant), shape[2]
    _fields.compare_correlation(
        numbers, at, other, phi_words, nx, cut, float(low), float(high), k, op, number, thread_count(threads), out
    )
    return out


def _checked_windows(windows: Windows, shape: Shape) -> Windows:
    """Check what `windows` has made of a field of a shape."""
    at, numbers = windows
    held = cast("WindowNumbers", checked(numbers, ("u4",), "windows"))
    if any(begin < 0 or begin + size > n for begin, size, n in zip(at, shape_of(held), shape, strict=True)):
        raise ValueError(f"windows: those at {at} of shape {held.shape} are not within a field of shape {shape}")
    return Windows(at, held)


def _checked_reference(b: object, phi_words: object, shape: Shape) -> tuple[Numbers | None, Words]:
    """Check a field, if there is one, and a mask of a shape."""
    other = checked_numbers(b, "b") if b is not None else None
    if other is not None and other.shape != shape:
        raise ValueError(f"expected two fields of one shape, not {shape} and {other.shape}")
    return other, _checked_mask(phi_words, shape)


def window_voxels(radius: Sequence[int], shape: Sequence[int]) -> int:
    """How many voxels the window of these half-widths (x, y, z) has, in a field of a shape (z, y, x).

    >>> window_voxels((1, 1, 1), (1, 5, 5))
    9
    """
    return math.prod(2 * min(r, n - 1) + 1 for r, n in zip(radius, reversed(shape), strict=True))


def _checked_narrow(shape: tuple[int, ...], radius: Sequence[int], bins: int) -> tuple[int, tuple[int, int, int]]:
    """`_checked_window` of one whose numbers `windows` can hold."""
    k, cut = _checked_window(shape, radius, bins)
    if math.prod(2 * r + 1 for r in cut) > MOST_WINDOW_VOXELS or k > MOST_WINDOW_BINS:
        raise ValueError(f"expected at most {MOST_WINDOW_VOXELS} voxels in a window and {MOST_WINDOW_BINS} bins")
    return k, cut


def _checked_window(shape: tuple[int, ...], radius: Sequence[int], bins: int) -> tuple[int, tuple[int, int, int]]:
    """Check the number of bins, and half-widths (x, y, z), which are cut to the image."""
    k = int(bins)
    if k != bins or not 1 <= k < 2**31:
        raise ValueError(f"bins: expected an integer from 1 to 2**31 - 1, not {bins}")
    radii = tuple(operator.index(r) for r in radius)
    if len(radii) != 3 or min(radii) < 0:
        raise ValueError(f"radius: expected three integers (x, y, z) that are not negative, not {radii}")
    # A window that reaches beyond the image on both sides is not changed by a larger radius.
    return k, (min(radii[0], shape[2] - 1), min(radii[1], shape[1] - 1), min(radii[2], shape[0] - 1))


def otsu(field: Numbers, words: Words, bins: int) -> Words:
    """Where the mask is true and the field above the threshold that best parts the voxels of the mask into two classes.

    The histogram of the mask's voxels over `bins` bins is cut where the variance between the two sides is largest; in
    every detail, ITK's OtsuThreshold with a mask. A mask that is empty, or whose voxels are all equal, or a single bin,
    gives a result that is false everywhere (with a single bin ITK does not end). Fewer than one bin, or a voxel of
    the mask that is not finite, or voxels too far apart for their difference to be a float32, are a ValueError.

    Source: N. Otsu, "A threshold selection method from gray-level histograms", IEEE Trans. SMC 9(1), 1979; see
    include/otsu.hpp.

    >>> otsu(np.array([[[1, 2, 8, 9]]], np.float32), np.array([[[15]]], np.uint64), 10).tolist()
    [[[12]]]
    """
    field, words = checked_with_mask(field, words)
    bins = operator.index(bins)
    if bins < 1:
        raise ValueError(f"bins: expected at least one, not {bins}")
    if not masks.count(words):
        return masks.conjunction(words, words)
    low, high = extremes_within(field, words)
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError("a value that is not finite in the population")
    threshold = _fields.otsu_threshold(field, words, low, high, bins)
    if math.isnan(threshold):
        raise ValueError("values too far apart for a histogram")
    return masks.conjunction(masks.compare(field, ">", threshold), words)


# ---------------------------------------------------------------------------------------------------------------------
# Steps in common, and arguments
# ---------------------------------------------------------------------------------------------------------------------


def _total(planes: Iterable[NDArray[np.float64]]) -> float:
    """The sum of all numbers of planes (y, x)."""
    columns = [plane.sum(axis=0) for plane in planes]
    total: float = sum(sum(columns).tolist())
    return total


def _bounds(met: tuple[int, float, float, bool]) -> tuple[float, float]:
    """The smallest and the largest of the voxels that a kernel has met; both NaN if one is."""
    count, low, high, has_nan = met
    if count == 0:
        raise ValueError("empty mask")
    return (math.nan, math.nan) if has_nan else (low + 0.0, high + 0.0)


def check_alike(a: Numbers, b: Numbers) -> None:
    """Check that two fields have one shape."""
    if a.shape != b.shape:
        raise ValueError(f"expected two fields of one shape, not {a.shape} and {b.shape}")


def checked_with_mask(field: object, words: object) -> tuple[Numbers, Words]:
    """Check a field and a mask of its shape."""
    held = checked_numbers(field, "field")
    return held, _checked_mask(words, shape_of(held))


def _checked_mask(words: object, shape: tuple[int, ...]) -> Words:
    """Check the words of a mask of a shape (nz, ny, nx)."""
    held = checked_words(words)
    expected = (shape[0], shape[1], -(-shape[2] // masks.WORD_BITS))
    if held.shape != expected:
        raise ValueError(f"words: expected shape {expected} for a field of shape {shape}, not {held.shape}")
    if not _fields.ends_in_zeros(held, shape[2]):
        raise ValueError(f"words: bits beyond the {shape[2]} voxels of a row are not zero")
    return held


def checked_mask_and_spacing(words: object, nx: int, spacing: Sequence[float]) -> tuple[Words, Triple]:
    """Check a mask with rows of nx voxels, and the sizes of a voxel."""
    held = checked_words(words)
    return _checked_mask(held, (*shape_of(held)[:2], operator.index(nx))), _checked_spacing(spacing)


def _checked_shape(shape: Sequence[int]) -> Shape:
    """Check the shape of a field."""
    sizes = tuple(operator.index(size) for size in shape)
    if len(sizes) != 3 or min(sizes) < 1:
        raise ValueError(f"shape: expected three sizes (z, y, x) of at least one, not {shape}")
    return sizes[0], sizes[1], sizes[2]


def _checked_spacing(spacing: Sequence[float]) -> Triple:
    """Check the sizes of a voxel."""
    sizes = tuple(float(size) for size in spacing)
    if len(sizes) != 3 or not all(math.isfinite(size) and size > 0 for size in sizes):
        raise ValueError(f"spacing: expected three positive finite sizes (x, y, z), not {sizes}")
    return sizes[0], sizes[1], sizes[2]


def thread_count(threads: int) -> int:
    """Check a number of threads."""
    threads = operator.index(threads)
    if threads < 1:
        raise ValueError(f"threads: expected at least one, not {threads}")
    return threads
