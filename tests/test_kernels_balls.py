"""Distances that are only compared: bit for bit what comparing the distance transform gives, and what a ball is."""

import doctest
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxlogica.kernels import balls, fields, masks
from voxlogica.kernels.masks import Comparison, Shape

OPS: tuple[Comparison, ...] = ("==", ">=", "<=", ">", "<")
FAR = float(np.sqrt(np.finfo(np.float32).max))
NUMBERS = (
    0.0, -0.0, 1.0, -1.0, 1e-45, -1e-45, FAR, -FAR, 3e38, -3e38, 1e39, math.inf, -math.inf, math.nan,
)  # fmt: skip

law = settings(deadline=None, max_examples=300)

shapes = st.tuples(
    st.integers(1, 7), st.integers(1, 9), st.one_of(st.integers(1, 70), st.sampled_from((127, 128, 129)))
)
densities = st.sampled_from((0.0, 0.002, 0.02, 0.3, 0.9, 0.99, 1.0))
spacings = st.tuples(*[st.sampled_from((1.0, 0.5, 0.7, 0.9375, 1 / 3, 2.0, 1e-30, 1e-50, 1e30, 1e200))] * 3)
seeds = st.integers(0, 2**32 - 1)


def random_mask(shape: Shape, density: float, seed: int) -> npt.NDArray[np.bool_]:
    return np.random.default_rng(seed).random(shape) < density


def compared(
    mask: npt.NDArray[np.bool_], spacing: Sequence[float], op: Comparison, k: float, never_negative: bool, threads: int
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """What the kernel gives, and what comparing the distance gives."""
    words, nx = masks.pack(mask), mask.shape[2]
    distance = fields.distance(words, nx, spacing)
    if never_negative:
        distance = np.where(distance > 0, distance, np.float32(0))
    got = balls.compare_distance(words, nx, spacing, op, k, never_negative=never_negative, threads=threads)
    return got, masks.compare(distance, op, k)


@law
@given(
    shape=shapes, density=densities, seed=seeds, spacing=spacings, op=st.sampled_from(OPS),
    never_negative=st.booleans(), threads=st.integers(1, 3),
)  # fmt: skip
def test_compared_with_a_distance_that_occurs(
    shape: Shape,
    density: float,
    seed: int,
    spacing: Sequence[float],
    op: Comparison,
    never_negative: bool,
    threads: int,
) -> None:
    """At equality, and one step of a float32 beside it."""
    mask = random_mask(shape, density, seed)
    values = np.unique(fields.distance(masks.pack(mask), shape[2], spacing))
    k = np.random.default_rng(seed).choice(values)
    for near in (k, np.nextafter(k, np.float32(-np.inf)), np.nextafter(k, np.float32(np.inf))):
        got, expected = compared(mask, spacing, op, float(near), never_negative, threads)
        assert (got == expected).all()


@law
@given(
    shape=shapes, density=densities, seed=seeds, spacing=spacings, op=st.sampled_from(OPS),
    k=st.one_of(st.sampled_from(NUMBERS), st.floats(width=64), st.floats(-9, 9)), never_negative=st.booleans(),
)  # fmt: skip
def test_compared_with_any_number(
    shape: Shape, density: float, seed: int, spacing: Sequence[float], op: Comparison, k: float, never_negative: bool
) -> None:
    got, expected = compared(random_mask(shape, density, seed), spacing, op, k, never_negative, 1)
    assert (got == expected).all()


@pytest.mark.parametrize("n", range(1, 71))
def test_sizes_on_both_sides_of_words(n: int) -> None:
    """One voxel in the corner, the middle and the end of each axis in turn; radii up to the whole."""
    for shape in ((1, 3, n), (2, n, 5), (n, 2, 3)):
        for at in {0, n // 2, n - 1}:
            mask = np.zeros(shape, np.bool_)
            mask[tuple(at if size == n else size // 2 for size in shape)] = True
            for k in (0.0, 1.0, 2.5, float(n - 1), float(2 * n)):
                got, expected = compared(mask, (1, 1, 1), "<=", k, False, 2)
                assert (got == expected).all()


@law
@given(shape=shapes, density=st.sampled_from((0.01, 0.1)), seed=seeds, radius=st.floats(0, 6))
def test_within_is_dilation_by_the_ball(shape: Shape, density: float, seed: int, radius: float) -> None:
    """By definition: every true voxel paints its ball."""
    mask = random_mask(shape, density, seed)
    z, y, x = np.indices(shape)
    expected = np.zeros(shape, np.bool_)
    for cz, cy, cx in np.argwhere(mask):
        squares = (0.5 * (x - cx)) ** 2 + (1.0 * (y - cy)) ** 2 + (2.0 * (z - cz)) ** 2
        expected |= np.sqrt(squares).astype(np.float32) <= np.float32(radius)
    got = balls.within(masks.pack(mask), shape[2], (0.5, 1.0, 2.0), radius)
    assert (masks.unpack(got, shape[2]) == expected).all()


def test_huge_radii_take_the_distance_transform() -> None:
    mask = random_mask((150, 150, 3), 1e-4, 0)
    assert balls.rows_of_ball(145, mask.shape, (1, 1, 1)) > balls.MOST_ROWS
    got, expected = compared(mask, (1, 1, 1), "<", 145, False, 1)
    assert (got == expected).all()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((np.zeros((1, 1, 1)), 3, (1, 1, 1), 2.0), TypeError),
        ((masks.full((1, 1, 3), True), 70, (1, 1, 1), 2.0), ValueError),
        ((masks.full((1, 1, 3), True), 2, (1, 1, 1), 2.0), ValueError),
        ((masks.full((1, 1, 3), True), 3, (1, 0, 1), 2.0), ValueError),
        ((masks.full((1, 1, 3), True), 3, (1, 1, 1), -1.0), ValueError),
        ((masks.full((1, 1, 3), True), 3, (1, 1, 1), math.nan), ValueError),
    ],
)
def test_what_is_refused(arguments: tuple[object, ...], error: type[Exception]) -> None:
    with pytest.raises(error):
        balls.within(*arguments)  # type: ignore[arg-type]


def test_unknown_comparison_is_refused() -> None:
    with pytest.raises(ValueError, match="op: expected one of"):
        balls.compare_distance(masks.full((1, 1, 3), True), 3, (1, 1, 1), "!=", 1)  # type: ignore[arg-type]


def test_examples() -> None:
    assert doctest.testmod(balls, extraglobs={"np": np}).failed == 0
