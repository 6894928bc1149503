"""Measures of masks, slopes and regions: against plain NumPy and SciPy, and what SimpleITK says of the same."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays as draws
from scipy.ndimage import binary_erosion, distance_transform_edt
from tests.language import Failure, arrays, value

from voxlogica import formula
from voxlogica.formula import Formulas
from voxlogica.operators import operators
from voxlogica.values import Space

SPACING = (1.0, 0.5, 2.0)

masks = draws(np.bool_, st.tuples(st.integers(1, 5), st.integers(1, 6), st.integers(1, 7)))
pairs = st.tuples(st.integers(1, 5), st.integers(1, 6), st.integers(1, 7)).flatmap(
    lambda shape: st.tuples(draws(np.bool_, shape), draws(np.bool_, shape))
)


def surface(mask: np.ndarray) -> np.ndarray:
    return mask & ~binary_erosion(mask, np.ones((3, 3, 3)), border_value=1)


def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray | None:
    """Both directions together, from the definition: every surface voxel to the nearest one of the other."""
    one, two = (np.argwhere(surface(mask)) * SPACING[::-1] for mask in (a, b))
    if not len(one) or not len(two):
        return None
    between = np.sqrt(((one[:, None] - two[None]) ** 2).sum(axis=2))
    return np.concatenate([between.min(axis=1), between.min(axis=0)])


@settings(max_examples=60, deadline=None)
@given(pair=pairs)
def test_surface_distances_are_those_of_the_definition(pair: tuple[np.ndarray, np.ndarray]) -> None:
    a, b = pair
    found = arrays(
        "hd95(a, b)", "hausdorff(a, b)", "assd(a, b)", "nsd(a, b, 1)", "hd95(b, a)", a=a, b=b, spacing=SPACING
    )
    expected = distances(a, b)
    if expected is None:
        assert found == (-1, -1, -1, -1, -1)
        return
    assert found[:3] == pytest.approx((np.percentile(expected, 95), expected.max(), expected.mean()), rel=1e-6)
    assert found[3] == np.mean(expected <= 1)
    assert found[4] == found[0]


@settings(max_examples=60, deadline=None)
@given(pair=pairs)
def test_overlaps_are_numpy_s_and_simpleitk_s(pair: tuple[np.ndarray, np.ndarray]) -> None:
    a, b = pair
    dice, jaccard, accuracy, volume = arrays(
        "dice(a, b)", "jaccard(a, b)", "pixel_accuracy(a, b)", "volume_mm3(a)", a=a, b=b, spacing=SPACING
    )
    assert accuracy == pytest.approx(np.mean(a == b), rel=1e-12)
    assert volume == a.sum() * 1.0
    if not a.any() and not b.any():
        assert (dice, jaccard) == (1, 1)
        return
    filter = sitk.LabelOverlapMeasuresImageFilter()
    filter.Execute(*(sitk.GetImageFromArray(mask.astype(np.uint8)) for mask in (a, b)))
    assert (dice, jaccard) == pytest.approx((filter.GetDiceCoefficient(), filter.GetJaccardCoefficient()), rel=1e-12)
    assert jaccard == pytest.approx(dice / (2 - dice), rel=1e-12)


def test_a_crop_changes_no_surface() -> None:
    """Far from the ends of the image, and at them, where what is outside is not false."""
    for corner in ((0, 0, 0), (10, 12, 9)):
        a, b = np.zeros((2, 20, 24, 70), np.bool_)
        a[corner[0] : corner[0] + 8, corner[1] : corner[1] + 9, corner[2] : corner[2] + 50] = True
        b[corner[0] : corner[0] + 6, corner[1] : corner[1] + 10, corner[2] : corner[2] + 40] = True
        expected = []
        for one, two in ((a, b), (b, a)):
            expected.append(distance_transform_edt(~surface(two), sampling=SPACING[::-1])[surface(one)])
        pooled = np.concatenate(expected)
        (found,) = arrays("hd95(a, b)", a=a, b=b, spacing=SPACING)
        assert found == pytest.approx(np.percentile(pooled, 95), rel=1e-6)


floats = st.floats(-100, 100, width=32)


@settings(max_examples=40, deadline=None)
@given(field=draws(np.float32, (4, 5, 6), elements=floats))
def test_the_gradient_is_simpleitk_s(field: np.ndarray) -> None:
    image = sitk.GetImageFromArray(field)
    image.SetSpacing(SPACING)
    (found,) = arrays("gradient(a)", a=field, spacing=SPACING)
    assert found == pytest.approx(sitk.GetArrayFromImage(sitk.GradientMagnitude(image)), rel=1e-5, abs=1e-5)


@settings(max_examples=40, deadline=None)
@given(mask=masks, seed=st.integers(0, 99))
def test_each_region_is_painted_with_its_mean(mask: np.ndarray, seed: int) -> None:
    field = np.random.default_rng(seed).normal(size=mask.shape).astype(np.float32)
    labels, found = arrays("lcc(b)", "label_mean(lcc(b), a)", a=field, b=mask)
    for number in np.unique(labels):
        expected = field[labels == number].mean(dtype=float) if number else 0
        assert found[labels == number] == pytest.approx(expected, rel=1e-6, abs=1e-7)


def shaded() -> tuple[np.ndarray, np.ndarray]:
    z, y, x = np.mgrid[:16, :24, :20]
    tissue = np.where((y // 6 + x // 5) % 2, 100.0, 150.0)
    return (tissue * (1 + 0.02 * x + 0.01 * z)).astype(np.float32), (y > 1)


def test_n4_is_simpleitk_s_and_evens_out() -> None:
    field, inside = shaded()
    (found,) = arrays("n4(a, b)", a=field, b=inside)
    image, mask = sitk.GetImageFromArray(field), sitk.GetImageFromArray(inside.astype(np.uint8))
    corrector = sitk.N4BiasFieldCorrectionImageFilter()
    corrector.SetMaximumNumberOfIterations([30, 20, 10])
    corrector.Execute(sitk.Shrink(image, [2] * 3), sitk.Shrink(mask, [2] * 3))
    expected = sitk.GetArrayFromImage(image / sitk.Exp(corrector.GetLogBiasFieldAsImage(image)))
    assert found == pytest.approx(expected, rel=1e-3)
    bright = field > np.median(field)
    assert found[bright].std() / found[bright].mean() < field[bright].std() / field[bright].mean()
    with pytest.raises(Failure, match="the mask given to `n4` is empty"):
        arrays("n4(a, b)", a=field, b=inside & False)


def test_superpixels_are_numbered_from_one_and_follow_edges() -> None:
    field = np.zeros((24, 24), np.float32)
    field[:, 11:] = 100
    (found,) = arrays("slic(a, 6, 1)", a=field)
    assert found.min() == 1
    assert not set(np.unique(found[..., :11])) & set(np.unique(found[..., 11:]))
    with pytest.raises(Failure, match="whole number"):
        value("max(slic(a, 0.5, 1))", a=[[0, 1], [1, 0]])


def test_another_version_of_a_library_is_another_id(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = []
    for version in ("2.5.0", "2.5.1"):
        monkeypatch.setattr(formula, "_versions", lambda library, version=version: (library, version))
        table = Formulas()
        image = table.apply(operators()["constant"], (table.constant(1.0),), Space.grid(4, 4))
        arguments = (image, table.constant(4.0), table.constant(1.0))
        ids.append((table.apply(operators()["slic"], arguments).id, image.id))
    assert ids[0][0] != ids[1][0]
    assert ids[0][1] == ids[1][1]


# Records


@settings(max_examples=60, deadline=None)
@given(pair=pairs)
def test_the_confusion_matrix_is_numpy_s(pair: tuple[np.ndarray, np.ndarray]) -> None:
    a, b = pair
    (found,) = arrays("confusion_matrix(a, b)", a=a, b=b)
    tp, fp, fn, tn = ((x & y).sum() for x, y in ((a, b), (a, ~b), (~a, b), (~a, ~b)))
    with np.errstate(all="ignore"):
        expected = {
            "tp": tp, "fp": fp, "fn": fn, "tn": tn, "accuracy": (a == b).mean(), "precision": b[a].sum() / a.sum(),
            "recall": a[b].sum() / b.sum(), "specificity": (~a)[~b].sum() / (~b).sum(),
        }  # fmt: skip
    expected |= dict(zip(("dice", "jaccard"), arrays("dice(a, b)", "jaccard(a, b)", a=a, b=b), strict=True))
    assert list(found) == list(expected)
    assert list(found.values()) == pytest.approx(list(expected.values()), rel=1e-14, nan_ok=True)


def test_the_confusion_matrix_is_no_symmetric_thing_and_knows_empty_masks() -> None:
    a, empty = np.array([[True, False]]), np.array([[False, False]])
    (found,) = arrays("confusion_matrix(a, b)", a=a, b=empty)
    assert (found.fp, found.fn, found.precision, found.specificity, found.dice) == (1, 0, 0, 0.5, 0)
    assert np.isnan(found.recall)
    (found,) = arrays("confusion_matrix(a, b)", a=empty, b=empty)
    assert (found.dice, found.jaccard, found.accuracy) == (1, 1, 1)
    assert np.isnan(found.precision)


@settings(max_examples=60, deadline=None)
@given(draws(np.float32, st.tuples(*[st.integers(1, 6)] * 3), elements=st.floats(-(2**20), 2**20, width=32)))
def test_statistics_are_numpy_s_in_double_and_simpleitk_s(i: np.ndarray) -> None:
    (found,) = arrays("array_stats(i)", i=i)
    wide = i.astype(float)
    assert (found.min, found.max, found.count) == (wide.min(), wide.max(), wide.size)
    scale = np.abs(wide).max() * 1e-12 * wide.size
    assert found.sum == pytest.approx(wide.sum(), rel=1e-12, abs=scale)
    assert found.mean == pytest.approx(wide.mean(), rel=1e-12, abs=scale)
    if i.size == 1:
        assert np.isnan(found.variance)
        assert np.isnan(found.std)
        return
    assert found.variance == pytest.approx(wide.var(ddof=1), rel=1e-9, abs=scale**2)
    assert found.std == found.variance**0.5
    statistics = sitk.StatisticsImageFilter()
    statistics.Execute(sitk.GetImageFromArray(i))
    theirs = 0.0 if np.isnan(statistics.GetSigma()) else statistics.GetSigma()  # of a variance just below 0
    assert found.std == pytest.approx(theirs, rel=1e-5, abs=1e-3 * (1 + abs(found.mean)))


def test_a_field_is_a_formula_of_its_own_and_goes_wherever_a_number_goes() -> None:
    definitions = "f(r) = r.dice\nlet m = confusion_matrix(a, b)\n"
    a, b = np.array([[True, True, False]]), np.array([[True, False, False]])
    found = arrays(
        "m.dice", "f(m) + 1", "for r in [m, confusion_matrix(b, a)] do r.fp", "map(f, [m, m])", "volume(c > m.fn)",
        "fold + (for r in [m, m] do r.tp)", "[m][0].tn", "[m, m]",
        a=a, b=b, c=a.astype(np.float32), definitions=definitions,
    )  # fmt: skip
    dice = arrays("dice(a, b)", a=a, b=b)[0]
    assert found[:7] == (dice, dice + 1, (1, 0), (dice, dice), 2, 2, 1)
    assert [r.tp for r in found[7]] == [1, 1]


@pytest.mark.parametrize("voxel", [np.inf, -np.inf, np.nan, 3e38])
def test_what_would_end_the_process_in_simpleitk_is_refused(voxel: float) -> None:
    """Its SLIC writes outside its memory where no distance can be compared; a weight can do that too."""
    field = np.ones((4, 4, 4), np.float32)
    field[1, 2, 3] = voxel
    for what in ("slic(a, 2, 1)", "n4(a, tt)"):
        with pytest.raises(Failure, match="was given voxels that are infinite, huge or not numbers"):
            arrays(what, a=field)
    assert value("max(n4(a, a =. 1)) .>. 0", a=field) in (True, False)  # outside the mask they do no harm
    for weight in ("1e30", "1 ./. 0", "0 ./. 0", "-1"):
        with pytest.raises(Failure, match=r"needs a weight from 0 to 1e\+09"):
            arrays(f"slic(a, 2, {weight})", a=np.ones((4, 4, 4), np.float32))
