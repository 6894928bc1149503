"""Kernels on numeric fields: each agrees bit for bit with its definition, written here in NumPy or in Python integers.

Where version 1 of VoxLogicA is the definition, SimpleITK is asked too. Fields are drawn by seed, kind of values and
shape; shapes include single rows and both sides of the borders of words.
"""

import doctest
import math
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import ndimage  # type: ignore[import-untyped]

from voxlogica.kernels import arithmetic, fields, masks
from voxlogica.kernels.arrays import Shape

Words = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float32]
Voxels = npt.NDArray[np.bool_]
Draw = Callable[[st.SearchStrategy[Any]], Any]

sitk: Any = SimpleITK  # its functions have no types

INF = float("inf")
NAN = float("nan")
LARGEST = float(np.finfo(np.float32).max)
FAR = float(np.sqrt(np.finfo(np.float32).max))
SPECIAL = (0.0, -0.0, 1.0, -1.0, 2.5, 1e-40, -1e-40, LARGEST, -LARGEST, INF, -INF, NAN)

law = settings(deadline=None, max_examples=200)

widths = st.one_of(st.integers(1, 9), st.sampled_from((63, 64, 65)))
shapes = st.tuples(st.integers(1, 6), st.integers(1, 7), widths)
seeds = st.integers(0, 2**32 - 1)
densities = st.sampled_from((0.0, 0.01, 0.1, 0.5, 0.9, 0.99, 1.0))
spacings = st.tuples(*[st.sampled_from((1.0, 2.0, 0.7, 0.9375, 1 / 3, 1e-3, 5.0))] * 3)
kinds = st.sampled_from(("integers", "far integers", "bytes", "shorts", "few", "floats", "wide", "special"))


def random_mask(shape: Shape, density: float, seed: int) -> Voxels:
    return np.random.default_rng(seed).random(shape) < density


def random_field(shape: Shape, kind: str, seed: int) -> Floats:
    rng = np.random.default_rng(seed)
    draws: dict[str, Callable[[], npt.NDArray[Any]]] = {
        "integers": lambda: rng.integers(-3, 9, shape),
        "far integers": lambda: rng.integers(-(10**7), 10**7, shape),
        "bytes": lambda: rng.integers(0, 256, shape),
        "shorts": lambda: rng.integers(-(2**15), 2**15, shape),
        "few": lambda: rng.choice((0.1, 0.2, -0.3, 0.0, -0.0), shape),
        "floats": lambda: rng.normal(size=shape),
        "wide": lambda: np.exp(rng.normal(size=shape) * 20) * rng.choice((-1, 1), shape),
        "special": lambda: rng.choice(SPECIAL[:-1], shape),
    }
    with np.errstate(over="ignore"):  # what is too wide is infinite
        return draws[kind]().astype(np.float32)


def same_bits(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> bool:
    """Equal as bytes, sign of zero included; all NaNs are one."""
    assert a.dtype == b.dtype == np.float32
    assert a.shape == b.shape
    nan = np.isnan(a) & np.isnan(b)
    return bool(np.all((a.view(np.uint32) == b.view(np.uint32)) | nan))


def row(*values: float) -> Floats:
    return np.array([[values]], np.float32)


def mask_row(*values: int) -> Words:
    return masks.pack(np.array([[values]], np.uint8))


# ---------------------------------------------------------------------------------------------------------------------
# Distance
# ---------------------------------------------------------------------------------------------------------------------


def contour(mask: Voxels) -> Voxels:
    eroded: Voxels = ndimage.binary_erosion(mask, np.ones((3, 3, 3)), border_value=1)
    return mask & ~eroded


def distance_to_each(voxels: Voxels, targets: Voxels, spacing: Sequence[float]) -> npt.NDArray[np.float64]:
    """For each voxel, the least of the floating expressions of decision C23 over all targets."""
    at, to = np.argwhere(voxels)[:, None], np.argwhere(targets)[None]
    if not to.size:
        return np.full(len(at), FAR)
    squares = [np.square(spacing[2 - axis] * np.abs(at[..., axis] - to[..., axis])) for axis in (2, 1, 0)]
    least: npt.NDArray[np.float64] = np.sqrt(((squares[0] + squares[1]) + squares[2]).min(axis=1))
    return least


def distance_by_trying_all(mask: Voxels, spacing: Sequence[float]) -> Floats:
    out = np.empty(mask.shape, np.float32)
    out[~mask] = distance_to_each(~mask, mask, spacing)
    out[mask] = -distance_to_each(mask, contour(mask), spacing)
    return out


@law
@given(shape=shapes, density=densities, spacing=spacings, seed=seeds)
@example(shape=(1, 1, 1), density=0.0, spacing=(1.0, 1.0, 1.0), seed=0)
@example(shape=(1, 1, 1), density=1.0, spacing=(1.0, 1.0, 1.0), seed=0)
@example(shape=(9, 9, 9), density=0.5, spacing=(0.7, 0.9375, 1 / 3), seed=1)
@example(shape=(2, 3, 65), density=0.02, spacing=(1e-3, 5.0, 0.7), seed=2)
@example(shape=(1, 9, 70), density=0.02, spacing=(1 / 3, 0.7, 1.0), seed=3)
def test_distance_is_that_of_trying_all_voxels(
    shape: Shape, density: float, spacing: Sequence[float], seed: int
) -> None:
    mask = random_mask(shape, density, seed)
    got = fields.distance(masks.pack(mask), shape[2], spacing)
    assert same_bits(got, distance_by_trying_all(mask, spacing))


@law
@given(shape=shapes, seed=seeds, spacing=spacings)
def test_distance_to_a_blob(shape: Shape, seed: int, spacing: Sequence[float]) -> None:
    """Few random voxels dilated, so that there is an inside."""
    mask = ndimage.binary_dilation(random_mask(shape, 0.03, seed), np.ones((3, 3, 3)))
    got = fields.distance(masks.pack(mask), shape[2], spacing)
    assert same_bits(got, distance_by_trying_all(mask, spacing))


@law
@given(shape=shapes, density=st.sampled_from((0.05, 0.5, 0.95)), seed=seeds)
@example(shape=(1, 9, 9), density=0.9, seed=0)
@example(shape=(9, 9, 9), density=0.98, seed=0)
def test_distance_is_that_of_itk_where_squares_are_exact(shape: Shape, density: float, seed: int) -> None:
    mask = random_mask(shape, density, seed)
    if mask.all() or not mask.any():
        return
    spacing = (0.5, 2.0, 1.25)
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    image.SetSpacing(spacing)
    expected = sitk.GetArrayFromImage(sitk.SignedMaurerDistanceMap(image, False, False, True))
    assert same_bits(fields.distance(masks.pack(mask), shape[2], spacing), expected)


def test_distance_vectors() -> None:
    got = fields.distance(mask_row(0, 0, 1, 1, 1, 1, 1, 0, 0), 9, (1, 1, 1))
    assert got.tolist() == [[[2, 1, 0, -1, -2, -1, 0, 1, 2]]]
    got = fields.distance(mask_row(0, 0, 1, 0, 0), 5, (2, 1, 1))
    assert got.tolist() == [[[4, 2, 0, 2, 4]]]
    holed = np.ones((1, 5, 5), np.bool_)
    holed[0, 0, 0] = False
    got = fields.distance(masks.pack(holed), 5, (1, 1, 1))
    assert [got[0, i, i] for i in (1, 2, 4)] == [0, -np.float32(math.sqrt(2)), -np.float32(math.sqrt(18))]


@pytest.mark.parametrize(("value", "expected"), [(False, 1.8446743e19), (True, -1.8446743e19)])
def test_distance_where_there_is_no_contour(value: bool, expected: float) -> None:
    got = fields.distance(np.asarray(masks.full((2, 3, 65), value)), 65, (1, 1, 1))
    assert same_bits(got, np.full((2, 3, 65), expected, np.float32))


def test_contour_voxels_are_negative_zeros() -> None:
    got = fields.distance(mask_row(0, 1, 0), 3, (1, 1, 1))
    assert same_bits(got, row(1, -0.0, 1))


# ---------------------------------------------------------------------------------------------------------------------
# Percentiles
# ---------------------------------------------------------------------------------------------------------------------


def percentiles_by_definition(field: Floats, mask: Voxels, c: float) -> Floats:
    """(f32(below) + f32(c) * f32(equal)) / f32(n), every step in float32."""
    out = np.full(field.shape, -1, np.float32)
    population = np.sort(field[mask])
    below = np.searchsorted(population, field[mask], "left")
    equal = np.searchsorted(population, field[mask], "right") - below
    weighted = np.float32(c) * equal.astype(np.float32)
    out[mask] = (below.astype(np.float32) + weighted) / np.float32(population.size)
    return out


@law
@given(shape=shapes, kind=kinds, density=densities, c=st.sampled_from((0.0, 0.5, 1.0, 0.1, 1 / 3)), seed=seeds)
def test_percentiles_are_the_definition(shape: Shape, kind: str, density: float, c: float, seed: int) -> None:
    field, mask = random_field(shape, kind, seed), random_mask(shape, density, seed + 1)
    got = fields.percentiles(field, masks.pack(mask), c)
    assert same_bits(got, percentiles_by_definition(field, mask, c))


@pytest.mark.parametrize("kind", ["integers", "far integers", "few", "floats", "wide", "special"])
@pytest.mark.parametrize("density", [0.4, 1.0])
def test_percentiles_of_a_large_population(kind: str, density: float) -> None:
    """Several levels of buckets; crowded ones for values that span many powers of two."""
    shape = (20, 50, 131)
    field, mask = random_field(shape, kind, 1), random_mask(shape, density, 2)
    expected = percentiles_by_definition(field, mask, 0.3)
    for threads in (1, 3):
        assert same_bits(fields.percentiles(field, masks.pack(mask), 0.3, threads=threads), expected)


def test_percentiles_of_one_crowd_and_two_outliers() -> None:
    field = (1 + np.random.default_rng(0).random((1, 100, 100)) * 1e-3).astype(np.float32)
    field[0, 0, :2] = (-1e38, 1e38)
    mask = np.ones(field.shape, np.bool_)
    assert same_bits(fields.percentiles(field, masks.pack(mask), 0), percentiles_by_definition(field, mask, 0))


@pytest.mark.parametrize(
    ("c", "expected"), [(0, (0, 0.25, 0.25, 0.75)), (0.5, (0.125, 0.5, 0.5, 0.875)), (1, (0.25, 0.75, 0.75, 1))]
)
def test_percentiles_vector(c: float, expected: tuple[float, ...]) -> None:
    assert same_bits(fields.percentiles(row(1, 2, 2, 5), mask_row(1, 1, 1, 1), c), row(*expected))


def test_percentiles_of_zeros_infinities_and_nan_outside() -> None:
    got = fields.percentiles(row(0.0, -0.0, INF, -INF, NAN), mask_row(1, 1, 1, 1, 0), 0)
    assert same_bits(got, row(0.25, 0.25, 0.75, 0, -1))


def test_nan_in_the_population() -> None:
    with pytest.raises(ValueError, match=r"^NaN in the population$"):
        fields.percentiles(row(1, NAN), mask_row(1, 1), 0)
    with pytest.raises(ValueError, match=r"^NaN in the population$"):
        fields.percentiles(-row(1, NAN), mask_row(1, 1), 0)


# ---------------------------------------------------------------------------------------------------------------------
# Correlation
# ---------------------------------------------------------------------------------------------------------------------


def binned(field: Floats, low: float, high: float, k: int) -> npt.NDArray[np.int64]:
    """The bin of every voxel; k for those without."""
    with np.errstate(all="ignore"):
        width = np.float64(high - low) / k
        value = field.astype(np.float64)
        if not (np.isfinite(width) and width > 0):
            return np.full(field.shape, k)
        inside = (value >= low) & (value < high)
        bins = np.minimum(np.floor((value - low) / width), k - 1)
    return np.where(inside, np.where(inside, bins, 0), k).astype(np.int64)


def pearson(h: Sequence[int], reference: Sequence[int]) -> float:
    """Decision C14, in the integers of Python."""
    k, sum_h, sum_r = len(h), sum(h), sum(reference)
    spread = k * sum(x * x for x in h) - sum_h**2
    reference_spread = k * sum(x * x for x in reference) - sum_r**2
    if spread == 0 or reference_spread == 0:
        return float(spread == reference_spread)
    numerator = k * sum(x * y for x, y in zip(h, reference, strict=True)) - sum_h * sum_r
    return float(np.float32(float(numerator) / math.sqrt(float(spread) * float(reference_spread))))


def assert_correlation(
    a: Floats, b: Floats, phi: Voxels, radius: Sequence[int], low: float, high: float, k: int, at: Sequence[Any] = ()
) -> None:
    """At all voxels, or at some, the result is the definition; and for any number of threads the same."""
    got = fields.correlation(a, b, masks.pack(phi), radius, low, high, k)
    again = fields.correlation(a, b, masks.pack(phi), radius, low, high, k, threads=3)
    if fields.window_voxels(radius, a.shape) <= fields.MOST_WINDOW_VOXELS and k <= fields.MOST_WINDOW_BINS:
        windows = fields.windows(a, radius, low, high, k, threads=2)
        for other in [b] if a is not b else [b, None]:
            arguments = (windows, a.shape, other, masks.pack(phi), radius, low, high, k)
            assert same_bits(fields.correlation_of(*arguments, threads=2), got)
            for number in (float(got.flat[got.size // 2]), 0.6, NAN):
                for op in ("==", ">=", "<=", ">", "<"):
                    held = fields.compare_correlation(*arguments, op, number, threads=2)
                    assert held.tolist() == masks.compare(got, op, number).tolist()
    assert got.tobytes() == again.tobytes()
    reference = np.bincount(binned(b, low, high, k)[phi], minlength=k + 1)[:k].tolist()
    bins = binned(a, low, high, k)
    for voxel in at or np.ndindex(a.shape):
        box = tuple(slice(max(0, v - r), v + r + 1) for v, r in zip(voxel, reversed(radius), strict=True))
        h = np.bincount(bins[box].ravel(), minlength=k + 1)[:k].tolist()
        assert got[voxel] == pearson(h, reference), voxel


radii = st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 4))
small = st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 9))


@law
@given(
    shape=small,
    kind=st.sampled_from(("integers", "floats", "special")),
    density=densities,
    radius=radii,
    limits=st.sampled_from(((-3.0, 9.0), (0.0, 1.0), (-1.0, 1.0), (2.0, 2.0), (1.0, 0.0), (-1e300, 1e300), (0.0, INF))),
    k=st.sampled_from((1, 2, 3, 7, 20, 255, 256, 300)),
    seed=seeds,
)
def test_correlation_is_the_definition(
    shape: Shape, kind: str, density: float, radius: Sequence[int], limits: tuple[float, float], k: int, seed: int
) -> None:
    a, b = random_field(shape, kind, seed), random_field(shape, kind, seed + 1)
    assert_correlation(a, b, random_mask(shape, density, seed + 2), radius, *limits, k)


@pytest.mark.parametrize("shape", [(170, 3, 4), (3, 101, 3), (2, 3, 520), (1, 60, 300)])
@pytest.mark.parametrize("k", [5, 260])
def test_correlation_across_tiles(shape: Shape, k: int) -> None:
    """Images larger than the pieces of work, at voxels around and between their borders."""
    a, b = random_field(shape, "floats", 1), random_field(shape, "floats", 2)
    rng = np.random.default_rng(3)
    at = [tuple(int(rng.integers(n)) for n in shape) for _ in range(200)]
    at += [tuple(n - 1 for n in shape), (0, 0, 0)]
    assert_correlation(a, b, random_mask(shape, 0.5, 4), (3, 2, 4), -1.5, 1.5, k, at)


@law
@given(
    shape=shapes, seed=seeds, radius=st.tuples(*[st.integers(0, 4)] * 3), background=st.sampled_from((0.0, 1.0, 9.0)),
    k=st.sampled_from((2, 5)),
)  # fmt: skip
def test_correlation_around_an_object(
    shape: Shape, seed: int, radius: Sequence[int], background: float, k: int
) -> None:
    """Windows with the bin of the first voxel only, or with voxels in no bin only, are scored without being summed."""
    rng = np.random.default_rng(seed)
    a = np.full(shape, background, np.float32)
    corner = [int(rng.integers(n)) for n in shape]
    box = tuple(slice(c, c + int(rng.integers(4))) for c in corner)
    a[box] = rng.integers(0, 4, a[box].shape)
    assert_correlation(a, a, random_mask(shape, 0.5, seed), radius, 0, 4, k)


@law
@given(
    shape=st.tuples(st.integers(1, 14), st.integers(1, 14), st.integers(1, 90)), radius=radii, seed=seeds,
    background=st.sampled_from((0.0, 9.0, NAN)), objects=st.integers(0, 3), k=st.sampled_from((1, 3, 255)),
    threads=st.integers(1, 5),
)  # fmt: skip
def test_windows_are_those_of_the_least_box_around_what_differs(
    shape: Shape, radius: tuple[int, int, int], seed: int, background: float, objects: int, k: int, threads: int
) -> None:
    """Twice the radius around it, and one voxel at least; in other windows there is the bin of the box's first only."""
    rng = np.random.default_rng(seed)
    field = np.full(shape, background, np.float32)
    for _ in range(objects):
        box = tuple(slice(c, c + int(rng.integers(4))) for c in [int(rng.integers(n)) for n in shape])
        field[box] = rng.integers(0, 5, field[box].shape)
    bins, cut = binned(field, 0.0, 4.0, k), [min(r, n - 1) for r, n in zip(reversed(radius), shape, strict=True)]
    at, numbers = fields.windows(field, radius, 0.0, 4.0, k, threads=threads)
    others = np.argwhere(bins != bins[0, 0, 0]) if (bins != bins[0, 0, 0]).any() else np.zeros((1, 3), np.int64)
    margin = [max(2 * r, 1) for r in cut]
    assert at == tuple(np.maximum(others.min(0) - margin, 0))
    assert tuple(np.add(at, numbers.shape)) == tuple(np.minimum(others.max(0) + margin + 1, shape))
    assert bins[at] == bins[0, 0, 0]
    for voxel in [at, *[tuple(int(rng.integers(n)) for n in shape) for _ in range(9)]]:
        h = np.bincount(bins[tuple(slice(max(0, v - r), v + r + 1) for v, r in zip(voxel, cut, strict=True))].ravel())
        inside = tuple(v - a for v, a in zip(voxel, at, strict=True))
        if all(0 <= v < n for v, n in zip(inside, numbers.shape, strict=True)):
            assert numbers[inside] == 256 * sum(int(n) ** 2 for n in h[:k]) + bins[voxel]
        else:
            assert np.flatnonzero(h).tolist() == [bins[0, 0, 0]]


def test_windows_that_are_of_another_image_or_radius() -> None:
    """Those that do not fit are an error; those of another radius give numbers without a meaning, and no more."""
    field, phi = np.zeros((9, 9, 9), np.float32), np.ones((9, 9, 1), np.uint64)
    field[4, 4, 4] = 1
    at, numbers = fields.windows(field, (1, 1, 1), 0, 2, 2)
    assert at == (2, 2, 2)
    for wrong in ((5, 2, 2), (2, 2, -1)):
        with pytest.raises(ValueError, match="not within a field"):
            fields.correlation_of(fields.Windows(wrong, numbers), field.shape, None, phi, (1, 1, 1), 0, 2, 2)
    with pytest.raises(TypeError, match="windows: expected an array of uint32, not of int32"):
        fields.correlation_of(fields.Windows(at, numbers.view(np.int32)), field.shape, None, phi, (1, 1, 1), 0, 2, 2)
    with pytest.raises(ValueError, match="two fields of one shape"):
        fields.correlation_of(fields.Windows(at, numbers), field.shape, field[1:], phi, (1, 1, 1), 0, 2, 2)
    larger = fields.correlation_of(fields.Windows(at, numbers), field.shape, None, phi, (4, 4, 4), 0, 2, 2)
    assert larger.shape == field.shape


@pytest.mark.parametrize("radius", [(30, 31, 10), (2**40, 31, 10), (60, 60, 60)])
def test_correlation_with_windows_too_large_for_16_bits(radius: Sequence[int]) -> None:
    shape = (11, 62, 61)
    a = random_field(shape, "floats", 1)
    rng = np.random.default_rng(3)
    at = [tuple(int(rng.integers(n)) for n in shape) for _ in range(60)]
    assert_correlation(a, a, np.ones(shape, np.bool_), radius, -1, 1.5, 20, at)


def test_correlation_when_the_lower_bits_of_the_reference_are_not_enough() -> None:
    """More than 65,535 voxels of the reference in one bin."""
    a = np.zeros((1, 300, 300), np.float32)
    a[0, 100:110, 100:120] = 1
    at = [(0, y, x) for y in (0, 99, 105, 115, 299) for x in (0, 95, 100, 121, 299)]
    assert_correlation(a, a, np.ones(a.shape, np.bool_), (3, 3, 3), 0, 2, 3, at)


def test_values_just_below_the_upper_limit_are_in_the_last_bin() -> None:
    """(x - low) / width may round up to k; 1 - 2**-24 in a third of bins of [0, 1) may not."""
    below = np.nextafter(np.float32(1), np.float32(0))
    for k in (3, 7, 49, 255, 1000):
        field = row(*np.linspace(0, 1, 50), below, below)
        assert_correlation(field, field, np.ones(field.shape, np.bool_), (1, 1, 1), 0, 1, k)


def test_correlation_of_histograms_that_do_not_vary() -> None:
    constant, varied = row(5, 5, 5), row(0, 0, 1)
    whole, nothing = mask_row(1, 1, 1), mask_row(0, 0, 0)
    reach = (3, 1, 1)
    # No voxel of `constant` is in a bin: neither it nor the empty reference varies.
    assert same_bits(fields.correlation(constant, varied, nothing, reach, 0, 2, 2), row(1, 1, 1))
    assert same_bits(fields.correlation(constant, varied, whole, reach, 0, 2, 2), row(0, 0, 0))
    assert same_bits(fields.correlation(varied, varied, nothing, reach, 0, 2, 2), row(0, 0, 0))
    assert same_bits(fields.correlation(varied, varied, whole, reach, 0, 2, 2), row(1, 1, 1))
    assert same_bits(fields.correlation(varied, varied, whole, reach, 0, 2, 1), row(1, 1, 1))


@pytest.mark.parametrize(
    ("rho", "spacing", "expected"),
    [
        (5, (1, 1, 1), (5, 5, 5)),
        (2.5, (1, 2, 5), (2, 1, 1)),
        (3.5, (1, 0.5, 1e-3), (4, 7, 3500)),
        (0, (1, 1, 1), (1, 1, 1)),
    ],
)
def test_window_radius(rho: float, spacing: Sequence[float], expected: tuple[int, int, int]) -> None:
    assert fields.window_radius(rho, spacing) == expected


# ---------------------------------------------------------------------------------------------------------------------
# Otsu
# ---------------------------------------------------------------------------------------------------------------------


@law
@given(
    shape=small,
    kind=st.sampled_from(("integers", "far integers", "few", "floats", "wide")),
    density=st.sampled_from((0.2, 0.6, 1.0)),
    bins=st.sampled_from((2, 3, 5, 10, 64, 128, 1000)),
    seed=seeds,
)
def test_otsu_is_that_of_itk(shape: Shape, kind: str, density: float, bins: int, seed: int) -> None:
    field, mask = random_field(shape, kind, seed), random_mask(shape, density, seed + 1)
    words = masks.pack(mask)
    got = masks.unpack(fields.otsu(field, words, bins), shape[2])
    if not mask.any():
        assert not got.any()  # ITK raises
        return
    image, population = sitk.GetImageFromArray(field), sitk.GetImageFromArray(mask.astype(np.uint8))
    expected = sitk.GetArrayFromImage(sitk.OtsuThreshold(image, population, 0, 1, bins, True, 1))
    np.testing.assert_array_equal(got, expected)


def test_otsu_of_one_value_or_one_bin() -> None:
    whole = mask_row(1, 1, 1)
    assert not fields.otsu(row(7, 7, 7), whole, 10).any()
    assert not fields.otsu(row(1, 2, 3), whole, 1).any()


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_otsu_of_values_that_are_not_finite(value: float) -> None:
    with pytest.raises(ValueError, match="not finite in the population"):
        fields.otsu(row(1, value), mask_row(1, 1), 10)
    assert fields.otsu(row(1, 9, value), mask_row(1, 1, 0), 10).tolist() == [[[2]]]


def test_otsu_of_values_too_far_apart() -> None:
    with pytest.raises(ValueError, match="too far apart"):
        fields.otsu(row(-LARGEST, LARGEST), mask_row(1, 1), 10)


# ---------------------------------------------------------------------------------------------------------------------
# Arithmetic
# ---------------------------------------------------------------------------------------------------------------------

# All pairs of special values.
LEFT, RIGHT = (np.array(m, np.float32).reshape(3, 4, -1) for m in np.meshgrid(SPECIAL, SPECIAL))


def itk(operation: Callable[..., Any], *arguments: Floats | float) -> Floats:
    images = [sitk.GetImageFromArray(a) if isinstance(a, np.ndarray) else a for a in arguments]
    out: Floats = sitk.GetArrayFromImage(operation(*images))
    return out


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(arithmetic.add, sitk.Add), (arithmetic.subtract, sitk.Subtract), (arithmetic.multiply, sitk.Multiply)],
)
def test_arithmetic_is_that_of_itk(ours: Callable[[Floats, Floats], Floats], theirs: Callable[..., Any]) -> None:
    assert same_bits(ours(LEFT, RIGHT), itk(theirs, LEFT, RIGHT))


def test_division_is_that_of_itk() -> None:
    """ITK takes a denominator up to a tenth of the float32 epsilon for zero as well; that is not imitated."""
    tiny = np.abs(RIGHT) == np.float32(1e-40)
    denominators = np.where(tiny, np.float32(3), RIGHT)
    assert same_bits(arithmetic.divide(LEFT, denominators), itk(sitk.Divide, LEFT, denominators))
    assert same_bits(arithmetic.divide_into(0.1, denominators), itk(sitk.Divide, 0.1, denominators))
    assert same_bits(arithmetic.divide(row(1), row(1e-9)), row(1 / float(np.float32(1e-9))))


@pytest.mark.parametrize("k", [0.1, -3.0, 1e-3, 33.33333, 16777217.0, 0.0])
def test_arithmetic_with_a_number_is_that_of_itk(k: float) -> None:
    field = np.concatenate((random_field((3, 4, 12), "floats", 1), LEFT))
    assert same_bits(arithmetic.add_scalar(field, k), itk(sitk.Add, field, k))
    assert same_bits(arithmetic.subtract_scalar(field, k), itk(sitk.Subtract, field, k))
    assert same_bits(arithmetic.multiply_scalar(field, k), itk(sitk.Multiply, field, k))
    assert same_bits(arithmetic.subtract_from(k, field), itk(sitk.Subtract, k, field))
    assert same_bits(arithmetic.divide_scalar(field, k), itk(sitk.Multiply, field, 1 / k if k else INF))


def test_divide_scalar_is_no_division() -> None:
    """The reciprocal is rounded once, from double to float32."""
    field = row(*range(1, 1000))
    got = arithmetic.divide_scalar(field, 1e-3)
    assert same_bits(got, field * np.float32(1000))
    assert not same_bits(got, field / np.float32(1e-3))
    assert same_bits(arithmetic.divide_scalar(row(1, -1, 0), -0.0), row(-INF, INF, NAN))


def test_zero_denominators() -> None:
    numerators = row(0, -0.0, 1, -1, INF, NAN)
    largest = np.full_like(numerators, LARGEST)
    for zero in (0.0, -0.0):
        assert same_bits(arithmetic.divide(numerators, np.full_like(numerators, zero)), largest)
    assert same_bits(arithmetic.divide_into(1, row(0, 2, -2)), row(LARGEST, 0.5, -0.5))


def test_numbers_too_large_for_float32_are_infinite() -> None:
    assert same_bits(arithmetic.add_scalar(row(1), 1e39), row(INF))
    assert same_bits(np.asarray(fields.constant((1, 1, 1), -1e300)), row(-INF))


def test_no_warning_leaks() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for binary in (arithmetic.add, arithmetic.subtract, arithmetic.multiply, arithmetic.divide):
            binary(LEFT, RIGHT)
        for k in (0.0, 1e300, -1e300, 1e-300, NAN, INF):
            for unary in (arithmetic.add_scalar, arithmetic.multiply_scalar, arithmetic.divide_scalar):
                unary(LEFT, k)
            arithmetic.divide_into(k, LEFT)
        fields.maximum(LEFT)


def test_absolute() -> None:
    assert same_bits(arithmetic.absolute(row(-1, -0.0, -INF, 2)), row(1, 0, INF, 2))


@law
@given(shape=shapes, density=densities, seed=seeds)
def test_masked_and_measures_within(shape: Shape, density: float, seed: int) -> None:
    field, mask = random_field(shape, "special", seed), random_mask(shape, density, seed + 1)
    words = masks.pack(mask)
    assert same_bits(fields.masked(field, words), np.where(mask, field, np.float32(0)))
    for measure in (fields.minimum_within, fields.maximum_within, fields.mean):
        if not mask.any():
            with pytest.raises(ValueError, match=r"^empty mask$"):
                measure(field, words)
    if mask.any():
        assert fields.minimum_within(field, words) == field[mask].min()
        assert fields.maximum_within(field, words) == field[mask].max()


@law
@given(shape=shapes, density=densities, seed=seeds)
def test_the_mean_of_integers_is_exact(shape: Shape, density: float, seed: int) -> None:
    field, mask = random_field(shape, "far integers", seed), random_mask(shape, density, seed + 1)
    if mask.any():
        exact = sum(int(v) for v in field[mask])
        assert fields.mean(field, masks.pack(mask)) == exact / int(mask.sum())


def test_the_order_of_the_mean_is_fixed() -> None:
    field = random_field((3, 5, 70), "wide", 1)
    mask = random_mask(field.shape, 0.7, 2)
    lanes = np.zeros(8)
    for z, y, x in np.argwhere(mask):
        lanes[x % 8] += float(field[z, y, x])
    total = ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]))
    assert fields.mean(field, masks.pack(mask)) == total / mask.sum()


def test_extremes() -> None:
    assert (fields.minimum(row(3, 1, 2)), fields.maximum(row(3, 1, 2))) == (1, 3)
    assert (fields.minimum(row(INF, -INF)), fields.maximum(row(INF, -INF))) == (-INF, INF)
    whole = mask_row(1, 1)
    for field in (row(NAN, 1), row(1, -NAN)):
        for value in (fields.minimum(field), fields.maximum(field)):
            assert math.isnan(value)
        assert math.isnan(fields.minimum_within(field, whole))
        assert math.isnan(fields.maximum_within(field, whole))
    assert fields.maximum_within(row(NAN, 1), mask_row(0, 1)) == 1


def test_several_aggregates_in_one_pass_are_those_of_one_each() -> None:
    for seed, kind in enumerate(("wide", "floats", "special", "few")):
        field = random_field((3, 5, 1 + 23 * seed), kind, seed)
        field[1, 2, 0] = (0.0, -0.0, NAN, INF)[seed]
        mask = random_mask(field.shape, 0.7, seed)
        mask[0, 0, 0] = True
        words = masks.pack(mask)
        expected = fields.minimum_within(field, words), fields.maximum_within(field, words), fields.mean(field, words)
        assert repr(fields.summary(field, words)) == repr(expected)
        assert repr(fields.extremes(field)) == repr((float(np.min(field)) + 0.0, float(np.max(field)) + 0.0))
    with pytest.raises(ValueError, match="empty mask"):
        fields.summary(field, masks.pack(np.zeros_like(mask)))


def test_extreme_zeros_have_no_sign() -> None:
    for field in (row(-0.0, -0.0), row(0.0, -0.0), row(-0.0, 0.0)):
        whole = mask_row(1, 1)
        values = (fields.minimum(field), fields.maximum(field))
        within = (fields.minimum_within(field, whole), fields.maximum_within(field, whole))
        assert [math.copysign(1, v) for v in values + within] == [1, 1, 1, 1]


# ---------------------------------------------------------------------------------------------------------------------
# Colour and constants
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("c", [3, 4])
def test_intensity_is_that_of_itk(c: int) -> None:
    colours = (np.random.default_rng(1).random((3, 5, 70, c)) * 255).astype(np.float32)
    red, green, blue = (sitk.GetImageFromArray(np.ascontiguousarray(colours[..., i])) for i in range(3))
    expected = sitk.GetArrayFromImage(0.2126 * red + (0.7152 * green + 0.0722 * blue))
    assert same_bits(fields.intensity(colours), expected)


def test_intensity_of_one_component_is_a_copy() -> None:
    grey = row(1, NAN, -0.0)[..., None]
    got = fields.intensity(grey)
    assert same_bits(got, row(1, NAN, -0.0))
    assert not np.shares_memory(got, grey)


def test_coordinates() -> None:
    x, y, z = (fields.coordinate((2, 3, 4), axis) for axis in (0, 1, 2))
    grid = np.indices((2, 3, 4)).astype(np.float32)
    assert same_bits(z, grid[0])
    assert same_bits(y, grid[1])
    assert same_bits(x, grid[2])
    assert x.flags.c_contiguous


# ---------------------------------------------------------------------------------------------------------------------
# What all have in common
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(9, 20, 200), (1, 400, 65), (50, 1, 3)])
def test_threads_cannot_be_seen(shape: Shape) -> None:
    field, mask = random_field(shape, "floats", 1), random_mask(shape, 0.3, 2)
    words = masks.pack(mask)

    def results(threads: int) -> list[bytes]:
        spacing = (0.7, 1 / 3, 1.0)
        return [
            fields.distance(words, shape[2], spacing, threads=threads).tobytes(),
            fields.percentiles(field, words, 0.5, threads=threads).tobytes(),
            fields.percentiles(np.round(field * 9), words, 0.5, threads=threads).tobytes(),
            fields.correlation(field, field, words, (2, 3, 2), -1, 2, 20, threads=threads).tobytes(),
            fields.correlation(field, field, words, (2, 1, 2), -1, 2, 500, threads=threads).tobytes(),
        ]

    alone = results(1)
    assert results(2) == alone
    assert results(7) == alone


def test_arguments_may_be_read_only_or_strided_and_are_not_modified() -> None:
    field = np.asfortranarray(random_field((3, 4, 70), "floats", 1))
    words = masks.pack(random_mask((3, 4, 70), 0.5, 2))
    words.flags.writeable = False
    field.flags.writeable = False
    dense = np.ascontiguousarray(field)
    before = dense.tobytes()
    kernels: tuple[Callable[[Floats], Floats], ...] = (
        lambda i: arithmetic.add(i, i),
        lambda i: arithmetic.divide_into(2, i),
        lambda i: arithmetic.absolute(i),
        lambda i: fields.masked(i, words),
        lambda i: fields.percentiles(i, words, 0.5),
        lambda i: fields.correlation(i, i, words, (1, 1, 1), 0, 1, 5),
    )
    for kernel in kernels:
        assert same_bits(kernel(field), kernel(dense))
        assert kernel(field).flags.c_contiguous
    assert np.ascontiguousarray(field).tobytes() == before


F = row(1, 2, 3)
W = mask_row(1, 1, 0)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: arithmetic.add(F, cast(Any, F.astype(float))),
            TypeError,
            "b: expected an array of float32, not of float64",
        ),
        (lambda: arithmetic.add(F, cast(Any, [1])), TypeError, "b: expected a NumPy array or a memory view, not list"),
        (lambda: arithmetic.add(F, row(1, 2)), ValueError, r"one shape, not \(1, 1, 3\) and \(1, 1, 2\)"),
        (lambda: arithmetic.absolute(F[0]), ValueError, r"expected the axes \(z, y, x\), not shape \(1, 3\)"),
        (lambda: arithmetic.absolute(F[:, :, :0]), ValueError, "at least one voxel along each axis"),
        (lambda: fields.masked(F, cast(Any, W.astype(int))), TypeError, "words: expected an array of uint64"),
        (lambda: fields.masked(F, np.zeros((1, 1, 2), np.uint64)), ValueError, r"words: expected shape \(1, 1, 1\)"),
        (lambda: fields.masked(F, np.full((1, 1, 1), 8, np.uint64)), ValueError, "beyond the 3 voxels of a row"),
        (lambda: fields.distance(W + np.uint64(8), 3, (1, 1, 1)), ValueError, "beyond the 3 voxels of a row"),
        (lambda: fields.distance(W, 65, (1, 1, 1)), ValueError, "rows of 65 voxels"),
        (lambda: fields.distance(W, 3, (1, 1)), ValueError, "spacing: expected three positive finite sizes"),
        (lambda: fields.distance(W, 3, (1, 1, 0)), ValueError, "spacing: expected three positive finite sizes"),
        (lambda: fields.distance(W, 3, (1, 1, 1), threads=0), ValueError, "threads: expected at least one"),
        (lambda: fields.correlation(F, F, W, (1, 1, 1), 0, 1, 0), ValueError, "bins: expected an integer"),
        (lambda: fields.correlation(F, F, W, (1, 1, 1), 0, 1, cast(Any, 2.5)), ValueError, "bins: expected an integer"),
        (lambda: fields.correlation(F, F, W, (1, 1), 0, 1, 2), ValueError, "radius: expected three integers"),
        (lambda: fields.correlation(F, F, W, (1, -1, 1), 0, 1, 2), ValueError, "radius: expected three integers"),
        (lambda: fields.window_radius(-1, (1, 1, 1)), ValueError, "rho: expected"),
        (lambda: fields.window_radius(NAN, (1, 1, 1)), ValueError, "rho: expected"),
        (lambda: fields.otsu(F, W, 0), ValueError, "bins: expected at least one"),
        (lambda: fields.intensity(np.zeros((1, 1, 1, 2), np.float32)), ValueError, "expected 1, 3 or 4 of them"),
        (lambda: fields.intensity(F), ValueError, r"\(z, y, x, component\)"),
        (lambda: fields.coordinate((1, 1, 1), 3), ValueError, "axis: expected 0, 1 or 2"),
        (lambda: fields.constant((1, 0, 1), 3), ValueError, "shape: expected three sizes"),
    ],
)
def test_wrong_arguments(call: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_examples_of_the_documentation_run() -> None:
    for module, least in ((fields, 20), (arithmetic, 13)):
        failed, tried = doctest.testmod(sys.modules[module.__name__], extraglobs={"np": np})
        assert failed == 0
        assert tried >= least
