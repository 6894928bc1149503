"""Kernels on memory views give what they give on arrays, as memory views, and need no NumPy for it."""

from __future__ import annotations

import doctest
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxlogica.kernels import arrays, balls, fields, masks
from voxlogica.kernels.arrays import Shape
from voxlogica.kernels.ranks import Ranks

law = settings(deadline=None, max_examples=100)
shapes = st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 70))
SPACING = (1.0, 0.7, 2.0)

Kernel = Callable[[Any, Any, Any, int], Any]
"""Of numbers, two masks, and the voxels of a row."""
KERNELS: dict[str, Kernel] = {
    "unpack": lambda i, a, b, nx: masks.unpack(a, nx),
    "pack": lambda i, a, b, nx: masks.pack(masks.unpack(a, nx)),
    "complement": lambda i, a, b, nx: masks.complement(a, nx),
    "conjunction": lambda i, a, b, nx: masks.conjunction(a, b),
    "disjunction": lambda i, a, b, nx: masks.disjunction(a, b),
    "difference": lambda i, a, b, nx: masks.difference(a, b),
    "exclusive": lambda i, a, b, nx: masks.exclusive(a, b),
    "equal": lambda i, a, b, nx: masks.equal(a, b),
    "count": lambda i, a, b, nx: masks.count(a),
    "bounding box": lambda i, a, b, nx: masks.bounding_box(a, nx),
    "near": lambda i, a, b, nx: masks.near(a, nx),
    "interior": lambda i, a, b, nx: masks.interior(a, nx),
    "through": lambda i, a, b, nx: masks.through(a, b, nx),
    "components": lambda i, a, b, nx: masks.components(a, nx),
    "largest": lambda i, a, b, nx: masks.largest(a, nx),
    "compare": lambda i, a, b, nx: masks.compare(i, ">=", 3),
    "between": lambda i, a, b, nx: masks.between(i, 2, 5),
    "within": lambda i, a, b, nx: balls.within(a, nx, SPACING, 1.5),
    **{
        f"distance {op} {k}": lambda i, a, b, nx, op=op, k=k: balls.compare_distance(a, nx, SPACING, op, k)
        for op in ("==", ">=", "<=", ">", "<")
        for k in (-1.0, 0.0, 2.1, 1e30, float("nan"))
    },
    "not negative": lambda i, a, b, nx: balls.compare_distance(a, nx, SPACING, "<=", 0.0, never_negative=True),
    "distance": lambda i, a, b, nx: fields.distance(a, nx, SPACING),
    "masked": lambda i, a, b, nx: fields.masked(i, a),
    "extremes": lambda i, a, b, nx: fields.extremes(i),
    "moments": lambda i, a, b, nx: fields.moments(i),
    "summary": lambda i, a, b, nx: fields.summary(i, a),
    "mean": lambda i, a, b, nx: fields.mean(i, a),
    "percentiles": lambda i, a, b, nx: fields.percentiles(i, a, 0.5),
    "correlation": lambda i, a, b, nx: fields.correlation(i, i, a, (1, 2, 1), 0, 7, 6),
    "windows": lambda i, a, b, nx: fields.windows(i, (1, 2, 1), 0, 7, 6).numbers,
    "correlation of windows": lambda i, a, b, nx: fields.correlation_of(
        fields.windows(i, (1, 2, 1), 0, 7, 6), i.shape, i, a, (1, 2, 1), 0, 7, 6
    ),
    "scores": lambda i, a, b, nx: fields.compare_correlation(
        fields.windows(i, (1, 2, 1), 0, 7, 6), i.shape, None, a, (1, 2, 1), 0, 7, 6, ">", 0.4
    ),
    "otsu": lambda i, a, b, nx: fields.otsu(i, a, 9),
    "ranks": lambda i, a, b, nx: Ranks(i, a, 0.5).floats(),
    "compared ranks": lambda i, a, b, nx: Ranks(i, a, 0.5).compare("<", 0.4),
}


def outcome(kernel: Kernel, kind: type, arguments: tuple[Any, ...], nx: int) -> Any:
    """What a kernel gives, as bytes if it is an array, which has to be of a kind; or the error it raises."""
    try:
        found = kernel(*arguments, nx)
    except (TypeError, ValueError) as error:
        return type(error), str(error)
    if isinstance(found, (np.ndarray, memoryview)):
        assert type(found) is kind
        return arrays.kind_of(found), found.shape, found.tobytes()
    return repr(found)


def viewed(array: np.ndarray[Any, Any]) -> memoryview:
    """The same as a memory view."""
    kind = arrays.kind_of(array)
    return arrays.view(memoryview(array.tobytes()), array.shape, kind)


@pytest.mark.parametrize("name", KERNELS)
@law
@given(
    shape=shapes, dtype=st.sampled_from(arrays.NUMBERS), density=st.sampled_from([0, 0.1, 0.6, 1]), seed=st.integers(0)
)
def test_views_are_arrays(name: str, shape: Shape, dtype: str, density: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    i = rng.integers(0, 8, shape).astype(dtype)
    a, b = (np.asarray(masks.pack(rng.random(shape) < density)) for _ in "ab")
    expected = outcome(KERNELS[name], np.ndarray, (i, a, b), shape[2])
    assert outcome(KERNELS[name], memoryview, (viewed(i), viewed(a), viewed(b)), shape[2]) == expected


def test_a_view_in_pieces_is_copied() -> None:
    words = viewed(np.arange(24, dtype=np.uint64).reshape(6, 2, 2))
    whole = viewed(np.ascontiguousarray(np.asarray(words)[::2]))
    assert not words[::2].c_contiguous
    assert masks.near(words[::2], 128) == masks.near(whole, 128)


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        (memoryview(bytes(8)), TypeError, "words: expected an array of uint64, not of uint8"),
        (memoryview(bytes(8)).cast("d"), TypeError, "not of d"),
        (memoryview(bytes(16)).cast("Q"), ValueError, r"the axes \(z, y, word\), not shape \(2,\)"),
        (bytes(8), TypeError, "a NumPy array or a memory view, not bytes"),
    ],
)
def test_wrong_views(words: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        masks.near(words, 64)


@given(st.floats(width=64))
def test_float32_is_numpys(k: float) -> None:
    with np.errstate(all="ignore"):
        expected = np.float32(k)
    assert np.float64(arrays.float32(k)).tobytes() == np.float64(expected).tobytes() or k != k


ALONE = """
import sys
from voxlogica.kernels import arrays, balls, fields, masks, ranks
a = masks.border((5, 6, 70), dimensions=3)
i = fields.constant((5, 6, 70), 2)
masks.near(masks.through(a, masks.full((5, 6, 70), True), 70), 70)
balls.compare_distance(a, 70, (1, 1, 1), "<", 2)
fields.compare_correlation(fields.windows(i, (1, 1, 1), 0, 5, 5), i.shape, None, a, (1, 1, 1), 0, 5, 5, ">", 0.5)
ranks.Ranks(masks.unpack(a, 70), a, 0.5).compare(">", 0.5)
assert "numpy" not in sys.modules
"""


def test_numpy_is_not_imported() -> None:
    subprocess.run([sys.executable, "-c", ALONE], check=True)


def test_examples() -> None:
    failed, tried = doctest.testmod(arrays)
    assert failed == 0
    assert tried >= 4
