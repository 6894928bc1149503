"""Images in memory: what is taken, known by its contents alone, and what is refused, in which words."""

# nibabel has types, but not on all its functions.
# mypy: allow-untyped-calls
from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from voxlogica import images
from voxlogica.errors import Refusal
from voxlogica.kernels import masks
from voxlogica.values import Image, Labels, Mask, Model, Space

EYE = np.eye(4)
CUBE = np.arange(24, dtype=np.int16).reshape(2, 3, 4)

NUMBERS = st.sampled_from([np.bool_, np.uint8, np.int16, np.int32, np.float32, np.float64, np.dtype(">f4"), np.float16])


@given(st.data())
def test_an_array_comes_out_as_it_went_in(data: st.DataObject) -> None:
    shape = data.draw(arrays.array_shapes(min_dims=2, max_dims=3, max_side=4).filter(lambda s: min(s) > 1))
    dtype = data.draw(NUMBERS)
    array = data.draw(arrays.arrays(dtype, shape, elements={"allow_nan": True} if np.dtype(dtype).kind == "f" else {}))
    model = images.taken("x", (array, EYE))
    with np.errstate(over="ignore"):
        wanted = array.astype(np.float32)
    assert np.array_equal(model.numpy(), wanted, equal_nan=True)
    assert model.space.size == shape
    again = images.taken("x", images.to_sitk(model))
    assert np.array_equal(again.numpy(), wanted, equal_nan=True)
    assert np.array_equal(images.taken("x", images.to_nibabel(model)).numpy(), wanted, equal_nan=True)


@given(arrays.arrays(np.int16, (2, 3, 2), elements=st.integers(-3, 3)), st.sampled_from([np.float32, np.int32, ">i2"]))
def test_equal_voxels_in_one_place_are_one_input_whatever_their_type(array: Any, dtype: Any) -> None:
    one = images.hold("a", (array, EYE))
    other = images.hold("b", (np.asfortranarray(array.astype(dtype)), EYE.tolist()))
    assert (one.digest, one.space) == (other.digest, other.space)
    changed = array.copy()
    changed[1, 2, 1] += 1
    assert images.hold("a", (changed, EYE)).digest != one.digest
    assert images.hold("a", (array, np.diag([2.0, 1, 1, 1]))).space != one.space


def test_what_changes_afterwards_does_not_change_the_input() -> None:
    array = CUBE.copy()
    leaf = images.hold("x", (array, EYE))
    array[:] = 7
    assert np.array_equal(images.read(leaf.file, leaf.space).numpy(), CUBE)


def test_values_of_a_run_are_taken_as_they_are() -> None:
    space = Space.grid(2, 3, 4, spacing=(1.0, 2.0, 3.0))
    bits = Mask.of(space, masks.pack((CUBE.T > 11).astype(np.uint8)))
    numbers = Image.of(space, np.ascontiguousarray(CUBE.T, np.float32))
    assert np.array_equal(images.taken("x", bits).numpy(), CUBE > 11)
    assert np.array_equal(images.taken("x", numbers).numpy(), CUBE)
    assert np.array_equal(images.taken("x", Labels(space, numbers.data)).numpy(), CUBE)
    model = images.taken("x", (CUBE, space))
    assert images.taken("x", model) is model
    assert model.space is space


@pytest.mark.parametrize("components", [3, 4])
def test_colours(components: int) -> None:
    array = np.random.default_rng(0).integers(0, 256, (4, 3, 2, components)).astype(np.uint8)  # [z, y, x, c]
    model = images.taken("x", sitk.GetImageFromArray(array, isVector=True))
    assert np.array_equal(model.numpy(), array.transpose(2, 1, 0, 3))
    for values in (model, Model(model.space, memoryview(model.array() + 0.5).cast("B"), components)):
        turned = images.to_nibabel(values)
        assert np.array_equal(images.taken("x", turned).numpy(), values.numpy())
        assert np.array_equal(images.taken("x", images.to_sitk(values)).numpy(), values.numpy())


def test_a_picture_has_two_axes() -> None:
    space = images.taken("x", (CUBE[:, :, 0], np.diag([-2.0, -3.0, 4.0, 1.0]))).space
    assert (space.size, space.spacing, space.direction) == ((2, 3), (2.0, 3.0), (1.0, 0.0, 0.0, 1.0))
    assert images.taken("x", (CUBE[:, :, :1], np.diag([-2.0, -3.0, 4.0, 1.0]))).space == space
    flat = sitk.GetImageFromArray(CUBE[:, :, 0].T)
    flat.SetSpacing((2.0, 3.0))
    assert images.taken("x", flat).space == space


def test_slopes_and_units_of_nifti_are_heeded(tmp_path: Path) -> None:
    image: Any = nib.Nifti1Image(CUBE, np.diag([1000.0, 2000.0, 3000.0, 1.0]))
    image.header.set_xyzt_units("micron")
    image.header.set_slope_inter(2.0, 1.0)
    image.to_filename(tmp_path / "x.nii")
    model = images.taken("x", nib.load(tmp_path / "x.nii"))
    assert model.space.spacing == (1.0, 2.0, 3.0)
    leaf = images.bind(tmp_path / "x.nii")
    assert np.array_equal(model.numpy(), images.read(leaf.file, leaf.space).numpy())
    assert model.space == leaf.space


def test_an_affine_that_is_not_the_headers_counts() -> None:
    """nibabel puts a file without a form elsewhere than ITK; what its user sees is its affine."""
    image: Any = nib.Nifti1Image(CUBE, None)
    model = images.taken("x", nib.Nifti1Image(CUBE, image.header.get_base_affine(), image.header))
    assert np.array_equal(images.affine(model.space), image.header.get_base_affine())


REFUSED: dict[str, tuple[Any, str, str]] = {
    "alone": (CUBE, "the array given for x does not say where its voxels are", "(array, affine)"),
    "nothing": (None, "the NoneType given for x is not an image", "give a path"),
    "three things": ((CUBE, EYE, 1), "the array given for x is not an image", "give a path"),
    "time": (
        (np.zeros((2, 3, 4, 5)), EYE), "the array given for x has 4 axes, and an image has 2 or 3", "array[..., 0]",
    ),
    "a row": ((np.zeros(5), EYE), "the array given for x has 1 axis, and an image has 2 or 3", ""),
    "empty": ((np.zeros((2, 0, 3)), EYE), "the array given for x has no voxels: its shape is (2, 0, 3)", ""),
    "complex": ((CUBE * 1j, EYE), "the array given for x holds complex numbers, and an image holds numbers", "astype"),
    "text": ((np.array([["a"]]), EYE), "the array given for x holds <U1, and an image holds numbers", "astype"),
    "objects": ((np.array([[None]]), EYE), "the array given for x holds object, and an image holds numbers", "astype"),
    "masked": ((np.ma.masked_equal(CUBE, 3), EYE), "the array given for x is masked", "filled"),
    "affine 3 x 3": (
        (CUBE, np.eye(3)), "the array given for x comes with an affine of 3 x 3, and an affine is a matrix of 4", "",
    ),
    "affine text": ((CUBE, "RAS"), "the array given for x comes with 'RAS', which is no affine", "4 x 4"),
    "affine nan": ((CUBE, EYE * np.nan), "the array given for x comes with an affine that has NaN in it", ""),
    "affine inf": ((CUBE, np.diag([1, np.inf, 1, 1])), "an affine that has infinity in it", ""),
    "affine last": ((CUBE, EYE.T + np.eye(4)[::-1]), "whose last row is [1.0, 0.0, 0.0, 1.0], not [0, 0, 0, 1]", ""),
    "affine flat": ((CUBE, np.diag([1, 0, 1, 1])), "an affine that has a column of zeros", ""),
    "affine skew": (
        (CUBE, EYE + np.eye(4, k=1) * [0, 0.1, 0.1, 0]), "has axes that are not at right angles", "resample",
    ),
    "space": (
        (CUBE.T, Space.grid(2, 3, 4)), "x has 4 x 3 x 2 voxels, and its space 2 x 3 x 4", "[i, j, k]",
    ),
    "nibabel 4d": (nib.Nifti1Image(np.zeros((2, 2, 2, 3), "f4"), EYE), "the image given for x has 4 axes", "[..., 0]"),
    "nibabel vectors": (nib.Nifti1Image(np.zeros((2, 2, 2, 2, 3), "f4"), EYE), "has 5 axes", "[..., 0]"),
    "nibabel nan": (nib.MGHImage(CUBE, EYE), "an affine that has NaN in it", ""),
    "nibabel complex": (nib.Nifti1Image(np.zeros((2, 2, 2), "c8"), EYE), "the image given for x holds complex", ""),
    "sitk 4d": (sitk.Image([2, 2, 2, 3], sitk.sitkUInt8), "the image given for x has 4 axes", "[..., 0]"),
    "sitk vector": (sitk.Image([2, 2], sitk.sitkVectorFloat32, 2), "has 2 numbers at each voxel", ""),
    "sitk complex": (sitk.Image([2, 2], sitk.sitkComplexFloat32), "the image given for x holds complex numbers", ""),
}  # fmt: skip
REFUSED["nibabel nan"][0]._affine = EYE * np.nan
REFUSED["nibabel vectors"][0].header.set_intent("vector")


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_is_told_with_what_to_do(case: str) -> None:
    wrong, message, help = REFUSED[case]
    name = images.name_of("x", wrong)
    with pytest.raises(Refusal, match=re.escape(message)) as caught:
        images.hold(name, wrong)
    assert help in caught.value.help


def test_a_file_that_nibabel_cannot_read_to_its_end_is_refused(tmp_path: Path) -> None:
    for name in ("x.nii", "x.nii.gz"):
        nib.save(nib.Nifti1Image(np.random.default_rng(0).normal(size=(9, 9, 9)), EYE), tmp_path / name)
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
        with pytest.raises(Refusal, match="the image given for x cannot be read"):
            images.taken("the image given for x", nib.load(tmp_path / name))
