"""Kernels that take integers of one or two bytes give, bit for bit, what they give for the same numbers in float32."""

from __future__ import annotations

import doctest
import math
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxlogica.kernels import fields, masks
from voxlogica.kernels.arrays import Numbers, Shape, Words
from voxlogica.kernels.ranks import Ranks

DTYPES = ("u1", "i1", "u2", "i2")
OPS: tuple[masks.Comparison, ...] = ("==", ">=", "<=", ">", "<")

law = settings(deadline=None, max_examples=300)
shapes = st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 70))


def numbers(shape: Shape, dtype: str, few: bool, seed: int) -> Numbers:
    """Every number of a type as often as another, or a few neighbours."""
    ends = np.iinfo(dtype)
    low, high = (max(ends.min, -3), 9) if few else (ends.min, ends.max)
    return np.random.default_rng(seed).integers(low, high, shape, dtype=dtype, endpoint=True)


Kernel = Callable[[Numbers, Words, float, int], Any]
KERNELS: Mapping[str, Kernel] = {
    **{f"compare {op}": lambda i, _, k, t, op=op: masks.compare(i, op, k, threads=t) for op in OPS},
    "between": lambda i, _, k, t: masks.between(i, k - 2, k + 1.5, threads=t),
    "masked": lambda i, b, _, t: fields.masked(i, b, threads=t),
    "maximum": lambda i, *_: fields.maximum(i),
    "minimum": lambda i, *_: fields.minimum(i),
    "extremes": lambda i, *_: fields.extremes(i),
    "extremes within": lambda i, b, *_: fields.extremes_within(i, b),
    "mean": lambda i, b, *_: fields.mean(i, b),
    "summary": lambda i, b, *_: fields.summary(i, b),
    "moments": lambda i, *_: fields.moments(i),
    "percentiles": lambda i, b, _, t: fields.percentiles(i, b, 0.5, threads=t),
    "windows": lambda i, _, k, t: fields.windows(i, (2, 1, 1), k - 5, k + 3, 6, threads=t).numbers,
    "correlation": lambda i, b, k, t: fields.correlation(i, i, b, (1, 2, 1), k - 5, k + 3, 6, threads=t),
    "correlation, many bins": lambda i, b, k, t: fields.correlation(i, i, b, (1, 2, 1), k - 5, k + 3, 300, threads=t),
    "otsu": lambda i, b, *_: fields.otsu(i, b, 20),
}


def outcome(kernel: Kernel, *arguments: Any) -> Any:
    """What a kernel gives, as bytes; or the error it raises."""
    try:
        found = kernel(*arguments)
    except ValueError as error:
        return str(error)
    return (found.dtype.str, found.tobytes()) if isinstance(found, np.ndarray) else np.array(found, "f8").tobytes()


@pytest.mark.parametrize("name", KERNELS)
@law
@given(
    shape=shapes, dtype=st.sampled_from(DTYPES), few=st.booleans(), density=st.sampled_from((0.0, 0.1, 0.9, 1.0)),
    threads=st.sampled_from((1, 3)), seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_integers_give_what_floats_give(
    name: str, shape: Shape, dtype: str, few: bool, density: float, threads: int, seed: int
) -> None:
    field = numbers(shape, dtype, few, seed)
    words = masks.pack(np.random.default_rng(seed).random(shape) < density)
    k, kernel = float(field.flat[seed % field.size]), KERNELS[name]
    assert outcome(kernel, field, words, k, threads) == outcome(kernel, field.astype(np.float32), words, k, threads)


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_more_numbers_than_are_converted_at_once(name: str, dtype: str) -> None:
    field = numbers((2, 3, 5003), dtype, False, 7)
    words = masks.pack(np.random.default_rng(8).random(field.shape) < 0.5)
    kernel = KERNELS[name]
    assert outcome(kernel, field, words, 17.0, 1) == outcome(kernel, field.astype(np.float32), words, 17.0, 1)


@pytest.mark.parametrize("dtype", DTYPES)
def test_correlation_of_two_images_of_different_kinds(dtype: str) -> None:
    a, b = numbers((3, 4, 65), dtype, True, 1), numbers((3, 4, 65), "i2", True, 2)
    words = masks.pack(np.random.default_rng(3).random(a.shape) < 0.3)
    wide = a.astype(np.float32), b.astype(np.float32)
    arguments = (words, (1, 1, 1), -3.0, 9.0, 12)
    expected = fields.correlation(*wide, *arguments).tobytes()
    assert fields.correlation(a, b, *arguments).tobytes() == expected
    assert fields.correlation(wide[0], b, *arguments).tobytes() == expected
    windows = fields.windows(a, *arguments[1:])
    assert fields.correlation_of(windows, a.shape, b, *arguments).tobytes() == expected


def test_not_contiguous() -> None:
    field = numbers((3, 4, 70), "i2", True, 5)[:, ::2, ::-3]
    assert masks.compare(field, ">", 2).tolist() == masks.compare(field.astype(np.float32), ">", 2).tolist()


@pytest.mark.parametrize("dtype", ["i4", "u4", "i8", "f8", ">i2", "?", "c8"])
def test_other_numbers_are_refused(dtype: str) -> None:
    array = np.zeros((1, 1, 3), dtype)
    with pytest.raises(TypeError, match="float32 or of integers of 8 or 16 bits"):
        masks.compare(array, ">", 0)
    with pytest.raises(TypeError, match="float32 or of integers of 8 or 16 bits"):
        fields.minimum(array)


# Ranks by number


@law
@given(
    shape=shapes, dtype=st.sampled_from(DTYPES), few=st.booleans(), density=st.sampled_from((0.0, 0.1, 0.9, 1.0)),
    c=st.sampled_from((0.0, 0.5, 1.0, 0.1, -3.0, 7.0)),
    k=st.sampled_from((-1.0, 0.0, 0.5, 0.86, 1.0, math.nan, math.inf)), op=st.sampled_from(OPS),
    seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_ranks_by_number_are_ranks(
    shape: Shape, dtype: str, few: bool, density: float, c: float, k: float, op: masks.Comparison, seed: int
) -> None:
    field = numbers(shape, dtype, few, seed)
    words = masks.pack(np.random.default_rng(seed).random(shape) < density)
    expected = fields.percentiles(field.astype(np.float32), words, c)
    ranks = Ranks(field, words, c)
    assert ranks.floats().tobytes() == expected.tobytes()
    for number in (k, float(expected.flat[seed % expected.size])):
        found = ranks.compare(op, number)
        assert found is None or found.tobytes() == masks.compare(expected, op, number).tobytes()
        assert found is not None or not 0 <= c <= 1


def test_ranks_that_do_not_grow_are_compared_voxel_by_voxel() -> None:
    field, words = np.array([[[1, 2, 2, 2, 3]]], np.uint8), np.array([[[31]]], np.uint64)
    assert fields.percentiles(field, words, 7).ravel().tolist() == pytest.approx([1.4, 4.4, 4.4, 4.4, 2.2])
    assert Ranks(field, words, 7).compare("<", 2.5) is None


def test_ranks_by_number_are_of_integers() -> None:
    with pytest.raises(TypeError, match="not of float32"):
        Ranks(np.zeros((1, 1, 3), np.float32), np.zeros((1, 1, 1), np.uint64), 0.5)


def test_examples() -> None:
    assert doctest.testmod(sys.modules[Ranks.__module__], extraglobs={"np": np}) == (0, 2)
