"""`mean std median quantile` of sequences of images: NumPy is the oracle; no formula asks for many images at once."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.language import Failure, arrays, value
from tests.test_check import GRID, goals
from tests.test_check import IMAGE as DECLARED

from voxlogica.cli import main
from voxlogica.errors import ProgramError
from voxlogica.formula import IMAGE, below
from voxlogica.operators import stacks

Stack = NDArray[np.float32]

stack_of_images = st.integers(1, 9).flatmap(
    lambda count: st.lists(
        st.lists(st.floats(-1e6, 1e6, width=32), min_size=6, max_size=6), min_size=count, max_size=count
    ).map(lambda rows: np.array(rows, np.float32).reshape(-1, 2, 3))
)


def made(word: str, stack: Stack, more: str = "") -> Stack:
    names = {f"x{chr(97 + n)}": image for n, image in enumerate(stack)}
    (found,) = arrays(f"{word}([{', '.join(names)}]{more})", **names)
    assert isinstance(found, np.ndarray)
    return found.astype(np.float32)


def at_each_voxel(stack: Stack, of: Any) -> Stack:
    columns = stack.reshape(len(stack), -1).T.astype(float).tolist()
    return np.array([of(column) for column in columns], np.float32).reshape(stack.shape[1:])


@settings(max_examples=60, deadline=None)
@given(stack_of_images)
def test_a_mean_is_that_of_the_exact_sum(stack: Stack) -> None:
    """`fsum` is the sum rounded once: however large the images, nothing small between them is lost."""
    assert np.array_equal(made("mean", stack), at_each_voxel(stack, lambda xs: math.fsum(xs) / len(xs)))


def test_a_mean_keeps_what_a_sum_in_double_would_lose() -> None:
    stack = np.array([1e30, 1.0, -1e30, 2.0], np.float32).reshape(4, 1, 1)
    assert made("mean", stack).tolist() == [[0.75]]
    assert np.mean(stack.astype(float)) == 0.5


@settings(max_examples=60, deadline=None)
@given(stack_of_images.filter(lambda stack: len(stack) > 1))
def test_a_deviation_is_that_of_exact_arithmetic(stack: Stack) -> None:
    def exact(xs: list[float]) -> float:
        middle = sum(map(Fraction, xs)) / len(xs)
        return math.sqrt(sum((Fraction(x) - middle) ** 2 for x in xs) / (len(xs) - 1))

    np.testing.assert_array_max_ulp(made("std", stack), at_each_voxel(stack, exact), 1)


def test_a_deviation_far_from_zero() -> None:
    """Where the difference of two sums of squares would have no digit left."""
    stack = np.array([2**24 - k for k in (1, 2, 3)], np.float32).reshape(3, 1, 1)
    assert made("std", stack).tolist() == [[1.0]]


@settings(max_examples=60, deadline=None)
@given(stack_of_images, st.floats(0, 1))
def test_quantiles_are_numpy_s(stack: Stack, share: float) -> None:
    assert np.array_equal(made("median", stack), np.median(stack.astype(float), axis=0).astype(np.float32))
    at = share * (len(stack) - 1)
    ordered = np.sort(stack.astype(float), axis=0)
    low, high = ordered[math.floor(at)], ordered[math.ceil(at)]
    found = made("quantile", stack, f", {share!r}")
    assert np.array_equal(found, (low + (high - low) * (at - math.floor(at))).astype(np.float32))
    near = np.quantile(stack.astype(float), share, axis=0)
    np.testing.assert_allclose(found, near, rtol=1e-6, atol=float(np.abs(stack).max()) * 1e-6)


def test_nan_and_infinity() -> None:
    nan, inf = math.nan, math.inf
    stack = np.array([[1, inf, nan, inf], [2, 1, 1, -inf], [6, inf, 1, inf]], np.float32).reshape(3, 1, 4)
    assert str(made("mean", stack).tolist()) == "[[3.0, inf, nan, nan]]"
    assert str(made("median", stack).tolist()) == "[[2.0, inf, nan, inf]]"
    assert str(made("std", stack).tolist()[0][1:]) == "[nan, nan, nan]"
    assert str(made("std", stack[:1]).tolist()) == "[[nan, nan, nan, nan]]"


@pytest.mark.parametrize("shape", [(5, 4), (4, 5, 3), (1, 5)])
@pytest.mark.parametrize("room", [1, 100, 150, 4 * 60 * 3])
def test_layers_make_no_difference(shape: tuple[int, ...], room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stacks, "ROOM", room)
    stack = np.random.default_rng(1).normal(size=(3, *shape)).astype(np.float32)
    assert np.array_equal(made("median", stack), np.median(stack, axis=0))
    want = np.quantile(stack.astype(float), 0.25, axis=0).astype(np.float32)
    assert np.array_equal(made("quantile", stack, ", 0.25"), want)


def test_no_formula_takes_many_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """A layer of each of the nine images is what is allowed."""
    layer = 4 * GRID.voxels // GRID.size[-1]
    images = DECLARED + "let xs = for k in range(9) do i + k\n"
    for word in ("mean", "std"):
        (goal,) = goals(f'{images}print "v" max({word}(xs))')
        assert max(sum(a.type is IMAGE for a in formula.arguments) for formula in below([goal])) == 1
    (whole,) = goals(f'{images}print "v" max(median(xs))')
    monkeypatch.setattr(stacks, "ROOM", 9 * layer)
    (cut,) = goals(f'{images}print "v" max(median(xs))')

    def most(goal: Any) -> int:
        found = [f for f in below([goal]) if f.operator and stacks.is_quantile(f.operator)]
        return max(sum(4 * a.space.voxels for a in f.arguments if a.space) for f in found)

    assert most(cut) == 9 * layer
    assert most(whole) == 9 * layer * GRID.size[-1] > most(cut)


def test_late_sequences_have_the_ids_of_what_is_written_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = np.array([[k * 5, k * 1] for k in range(5)], np.float32)
    for room in (stacks.ROOM, 8):
        monkeypatch.setattr(stacks, "ROOM", room)
        for word, more in (("mean", ""), ("std", ""), ("median", ""), ("quantile", ", 0.75")):
            late = value(f"{word}((for k in range(max(i)) do k * i){more})", i=[[5], [1]])
            hand = value(f"{word}([0 * i, i, 2 * i, 3 * i, 4 * i]{more})", i=[[5], [1]])
            assert late == hand, word
        assert late == [[float(x)] for x in np.quantile(stack, 0.75, axis=0)]
        inside = value("for k in range(max(i)) do max(median([i, k * i, i + k]))", i=[[5], [1]])
        assert inside == tuple([max(float(np.median([5, 5 * k, 5 + k])), np.median([1, k, 1 + k])) for k in range(5)])


def test_labels_are_images_and_functions_take_both() -> None:
    assert value("mean([lcc(a > 0), a])", a=[1, 0, 1]) == [1.0, 0.0, 1.5]
    text = "middle(xs) = median(xs)\n"
    assert arrays("middle([1, 5, 2])", "max(middle([a, 3 * a]))", definitions=text, a=np.ones((1, 2))) == (2.0, 2.0)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("mean([a > 0])", "`mean` takes a sequence of numbers or of number images"),
        ("argmax([a])", "`argmax` takes a sequence of numbers"),
        ("quantile([a], a)", "a number is wanted here, and this is a number image"),
        ("mean([a, 1])", "the elements of a list are of one type"),
        ("mean([a]) + true", "+"),
    ],
)
def test_mistakes(expression: str, message: str) -> None:
    with pytest.raises(ProgramError) as caught:
        value(expression, a=[1, 2])
    assert message in str(caught.value)


def test_of_nothing_and_of_no_share() -> None:
    for word in ("mean", "std", "median"):
        with pytest.raises(Failure, match=f"`{word}` was given an empty sequence, which has no {word}"):
            value(f"{word}((for k in [1] do k * a)[1:])", a=[1])
    with pytest.raises(Failure, match=re.escape("a share is between 0 and 1, and 1.5 is not")):
        value("quantile([a], 1.5)", a=[1])


def test_cases_lie_on_one_grid_or_have_no_mean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for n, shape in enumerate([(3, 3, 2), (3, 3, 2), (3, 3, 3)]):
        voxels = np.full(shape, n + 1, np.int16)
        nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), f"c{n}.nii.gz")

    def said(text: str) -> tuple[str, str]:
        Path("p.imgql").write_text(text)
        main(["run", "p.imgql", "--store", "store"])
        out = capsys.readouterr()
        return out.out, out.err

    images = '(for c in dataset("c{n}.nii.gz") do intensity(c.image))'
    text = f'print "v" for m in [mean({images}[0:2]), median({images}[0:2])] do max(m + 0.5)\nsave "m.nii.gz" '
    assert said(text + f"mean({images}[0:2])") == ("v=[2, 2]\n", "")
    assert np.array_equal(nibabel.load("m.nii.gz").get_fdata(), np.full((3, 3, 2), 1.5))
    for word in ("mean", "std", "median"):
        out, err = said(f'print "v" max({word}({images}))')
        assert out == ""
        assert f"`{word}` was given images on different voxel grids, of 3 x 3 x 2 and 3 x 3 x 3 voxels" in err
