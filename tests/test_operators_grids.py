"""`resample` and `extract`: SimpleITK is the oracle, and what becomes of grids that differ (C22)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.language import Failure, arrays, value

import voxlogica as vx
from voxlogica.errors import ComputationError, InputError
from voxlogica.kernels import masks
from voxlogica.operators import operators
from voxlogica.values import Image, Labels, Mask, Space

Floats = NDArray[np.float32]


def turned(degrees: float) -> tuple[float, ...]:
    """The directions of a grid turned about the third axis, then about the first."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    one = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    other = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    return tuple((one @ other).ravel().tolist())


OLD = Space((7, 5, 6), (1.0, 1.5, 2.0), (3.0, -2.0, 10.0), turned(20))
NEW = Space((9, 8, 7), (0.83, 0.97, 1.31), (1.7, -3.1, 9.3), turned(-11))


def itk(space: Space, array: NDArray[Any]) -> Any:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(space.spacing)
    image.SetOrigin(space.origin)
    image.SetDirection(space.direction)
    return image


def resampled(old: Space, new: Space, field: NDArray[Any], interpolator: Any) -> NDArray[Any]:
    like = itk(new, np.zeros(new.shape, np.float32))
    found = sitk.Resample(itk(old, field), like, sitk.Transform(), interpolator, 0.0)
    array: NDArray[Any] = sitk.GetArrayFromImage(found)
    return array


def body(name: str) -> Callable[..., Any]:
    return operators()[f"resample_{name}"].body


def test_numbers_are_interpolated_as_simpleitk_does() -> None:
    field = np.random.default_rng(1).normal(size=OLD.shape).astype(np.float32)
    found = body("image")(NEW, Image.of(OLD, field.copy()))
    assert found.space is NEW
    expected = resampled(OLD, NEW, field, sitk.sitkLinear)
    assert (expected != 0).mean() > 0.3
    np.testing.assert_allclose(found.array(), expected, atol=2e-5)


def test_labels_and_masks_take_the_nearest_voxel_as_simpleitk_does() -> None:
    field = np.random.default_rng(2).integers(0, 5, OLD.shape).astype(np.float32)
    expected = resampled(OLD, NEW, field, sitk.sitkNearestNeighbor)
    assert np.array_equal(body("labels")(NEW, Labels.of(OLD, field.copy())).array(), expected)
    mask = Mask.of(OLD, masks.pack(field > 2))
    found = masks.unpack(body("mask")(NEW, mask).words(), NEW.size[0])
    assert np.array_equal(found, resampled(OLD, NEW, (field > 2).astype(np.uint8), sitk.sitkNearestNeighbor))


@given(
    sizes=st.tuples(*[st.integers(1, 6)] * 3),
    other=st.tuples(*[st.integers(1, 6)] * 3),
    spacing=st.tuples(*[st.sampled_from([0.5, 1.0, 1.25, 3.0])] * 3),
    origin=st.tuples(*[st.sampled_from([-1.3, 0.0, 0.4, 2.0])] * 3),
)
def test_numbers_on_any_grid_along_the_axes(
    sizes: tuple[int, ...], other: tuple[int, ...], spacing: tuple[float, ...], origin: tuple[float, ...]
) -> None:
    old = Space.grid(*sizes, spacing=(1.0, 1.5, 0.7))
    new = Space(other, spacing, origin, old.direction)
    field = np.random.default_rng(3).normal(size=old.shape).astype(np.float32)
    found = body("image")(new, Image.of(old, field.copy())).array()
    np.testing.assert_allclose(found, resampled(old, new, field, sitk.sitkLinear), atol=2e-5)


def test_on_its_own_grid_an_image_stays_bit_for_bit() -> None:
    space = Space((7, 5, 6), (0.1, 0.3, 0.7), (3.3, -2.1, 10.7), turned(33))
    field = np.random.default_rng(4).normal(size=space.shape).astype(np.float32) * np.float32(1e30)
    field[2, 1, 3:5] = np.inf, np.nan
    assert np.array_equal(body("image")(space, Image.of(space, field.copy())).array(), field, equal_nan=True)


def test_half_way_the_mean_and_the_further_voxel() -> None:
    """The grid of half the spacing has each voxel and each middle; beyond the last middle there is nothing."""
    old = Space.grid(3, 1)
    half = Space.grid(6, 1, spacing=(0.5, 1.0))
    row = np.array([[[1, 2, 4]]], np.float32)
    assert body("image")(half, Image.of(old, row.copy())).array().tolist() == [[[1, 1.5, 2, 3, 4, 0]]]
    assert body("labels")(half, Labels.of(old, row.copy())).array().tolist() == [[[1, 2, 2, 4, 4, 0]]]


def test_only_the_grid_of_like_counts() -> None:
    """It is not computed: here it could not be."""
    assert value("resample(i, percentiles(j, tt, 0))", i=[1, 2], j=[float("nan"), 1]) == [1, 2]


def test_extract_is_simpleitk_s_region() -> None:
    field = np.random.default_rng(5).normal(size=OLD.shape).astype(np.float32)
    image, size, index = Image.of(OLD, field.copy()), (3.0, 2.0, 4.0), (2.0, 3.0, 1.0)
    extract = operators()["extract_image"]
    assert extract.grid is not None
    space = extract.grid(OLD, size, index)
    found = extract.body(space, image, size, index)
    assert isinstance(found, Image)
    region = sitk.RegionOfInterest(itk(OLD, field), [3, 2, 4], [2, 3, 1])
    assert np.array_equal(found.array(), sitk.GetArrayFromImage(region))
    assert (space.size, space.spacing) == (region.GetSize(), region.GetSpacing())
    np.testing.assert_allclose(space.origin, region.GetOrigin(), atol=1e-12)
    np.testing.assert_allclose(space.direction, region.GetDirection(), atol=1e-12)


def test_extract_of_each_type() -> None:
    found = arrays(
        "extract(b, [2, 1], [1, 0])",
        "extract(lcc(b), [2, 1], [1, 0])",
        "extract(m, [1, 1], [2, 0])",
        b="1101",
        m=[1, 2, 3],
    )
    assert [array.tolist() for array in found] == [[[True, False]], [[1, 0]], [[[3]]]]


# In programs


def write(path: Path, space: Space, field: Floats) -> None:
    sitk.WriteImage(itk(space, field), str(path))


def test_a_program_brings_one_image_onto_the_grid_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    field = np.random.default_rng(6).normal(size=OLD.shape).astype(np.float32)
    write(tmp_path / "old.nii.gz", OLD, field)
    write(tmp_path / "new.nii.gz", NEW, np.ones(NEW.shape, np.float32))
    loads = 'load old = "old.nii.gz"\nload new = "new.nii.gz"\n'
    with vx.Session(store=False) as session:
        together = session.program(f'{loads}save "sum.nii.gz" resample(intensity(old), new) + intensity(new)')
        together.run()
        found = sitk.ReadImage("sum.nii.gz")
        np.testing.assert_allclose(found.GetOrigin(), NEW.origin, atol=1e-4)
        np.testing.assert_allclose(found.GetSize(), NEW.size)
        expected = resampled(OLD, NEW, field, sitk.sitkLinear) + 1
        np.testing.assert_allclose(sitk.GetArrayFromImage(found), expected, atol=1e-4)
        with pytest.raises(InputError) as caught:
            session.program(f'{loads}print "max" max(intensity(old) + intensity(new))').run()
        assert caught.value.diagnostics[0].help == (
            "check that both belong to the same scan; if so, resample(new, old) brings `new` onto the grid of `old`"
        )


def test_a_part_and_the_whole_are_on_two_grids() -> None:
    with vx.Session(store=False) as session, pytest.raises(ComputationError) as caught:
        session.program('let i = geom.blank(3, 3)\nprint "a" max(i + extract(i, [2, 2], [0, 0]))').run()
    (found,) = caught.value.diagnostics
    assert found.message == "`+` was given images on different voxel grids, of 3 x 3 and 2 x 2 voxels"
    assert found.help == "`resample(image, like)` brings an image onto the grid of another"


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("for k in range(max(i)) do volume(resample(i >. k, j))", (6, 4, 2)),
        ("for k in range(max(i)) do volume(extract(i >. k, [2, 1], [1, 0]))", (2, 2, 1)),
        ("for k in range(max(i)) do volume(border & (geom.blank(3, 3) =. k))", (8, 0, 0)),
        ("volume((for k in range(max(i)) do resample(i >. k, j))[1])", 4),
        ("for k in range(max(i)) do simpleitk.MinimumMaximum(i +. k)[1]", (3, 4, 5)),
        ("max(simpleitk.Median(i, for k in range(max(i) - 1) do 1))", 3),
    ],
)
def test_in_loops_whose_length_an_image_decides(expression: str, result: object) -> None:
    """Their bodies are stored as formulas, in which an operator's result may lie on another grid than its arguments."""
    assert value(expression, i=[[1, 2, 3], [1, 2, 3]], j=[[0] * 4] * 4) == result


def test_a_grid_does_not_depend_on_an_image() -> None:
    with pytest.raises(Failure) as caught:
        value("for k in range(1, max(i)) do volume(geom.blank(k, k) =. 0)", i=[1, 3])
    assert caught.value.error.message == "`h` of `geom.blank` depends on an image here"
