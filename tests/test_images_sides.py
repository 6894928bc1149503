"""Left is left: a phantom with one bright voxel at each side, in all 48 orientations and oblique, in every format.

The same six places of the patient must be found again, in mm, by our reader, by nibabel and by SimpleITK, in the file
that was read and in the file that we wrote of it; and so through every conversion of images in memory.
"""

# nibabel has types, but not on all its functions.
# mypy: allow-untyped-calls
from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from numpy.typing import NDArray

from voxlogica import images
from voxlogica.cli import main
from voxlogica.images.nifti import is_oriented
from voxlogica.kernels import masks
from voxlogica.values import Mask, Model, Space

Matrix = NDArray[np.float64]

SIZE, SPACING = (5, 7, 9), (1.0, 2.0, 3.0)
SIDES = {1: (0, 3, 4), 2: (4, 3, 4), 3: (2, 0, 4), 4: (2, 6, 4), 5: (2, 3, 0), 6: (2, 3, 8)}  # value: voxel [i, j, k]


def orientations() -> list[Matrix]:
    """The 48 matrices that permute and mirror the axes, and four rotations, one of them mirrored."""
    found = []
    for axes, flips in itertools.product(itertools.permutations(range(3)), itertools.product((1, -1), repeat=3)):
        matrix = np.zeros((3, 3))
        matrix[axes, range(3)] = flips
        found.append(matrix)
    for seed in range(4):
        q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
        found.append(q if seed else q * [-1, 1, 1])
    return found


def affine(direction: Matrix) -> Matrix:
    matrix = np.eye(4)
    matrix[:3, :3] = direction * SPACING
    matrix[:3, 3] = (-11, 22, -33)
    return matrix


def phantom() -> NDArray[np.int16]:
    voxels = np.zeros(SIZE, np.int16)
    for value, at in SIDES.items():
        voxels[at] = value
    return voxels


def ours(path: Path) -> tuple[dict[int, Matrix], Model]:
    """Where we say that each side is, in RAS, and what we read."""
    leaf = images.bind(path)
    model = images.read(leaf.file, leaf.space)
    return sides(model), model


def sides(model: Model) -> dict[int, Matrix]:
    space, voxels = model.space, model.numpy()
    columns = np.array(space.direction).reshape(3, 3) * space.spacing
    return {
        value: (np.array(space.origin) + columns @ np.argwhere(voxels == value)[0]) * (-1, -1, 1) for value in SIDES
    }


def nibabels(path: Path) -> dict[int, Matrix]:
    return nibabel_sides(nib.load(path))


def nibabel_sides(image: Any) -> dict[int, Matrix]:
    voxels = image.get_fdata()
    return {value: nib.affines.apply_affine(image.affine, np.argwhere(voxels == value)[0]) for value in SIDES}


def itks(path: Path) -> dict[int, Matrix]:
    return itk_sides(sitk.ReadImage(str(path)))


def itk_sides(image: Any) -> dict[int, Matrix]:
    voxels = sitk.GetArrayFromImage(image)
    return {
        value: np.array(image.TransformIndexToPhysicalPoint([int(n) for n in np.argwhere(voxels == value)[0][::-1]]))
        * (-1, -1, 1)
        for value in SIDES
    }


def agree(one: dict[int, Matrix], other: dict[int, Matrix], within: float = 1e-4) -> bool:
    return all(np.allclose(one[value], other[value], atol=within) for value in SIDES)


@pytest.mark.parametrize("direction", orientations())
@pytest.mark.parametrize(("q", "s"), [(1, 1), (1, 0), (0, 2), (2, 4)])
def test_nifti(tmp_path: Path, direction: Matrix, q: int, s: int) -> None:
    path, saved = tmp_path / "x.nii.gz", tmp_path / "y.nii.gz"
    matrix = affine(direction)
    image: Any = nib.Nifti1Image(phantom(), matrix)
    image.set_qform(matrix if q else None, q)
    image.set_sform(matrix if s else None, s)
    image.header["pixdim"][1:4] = SPACING
    image.to_filename(path)
    truth = {value: nib.affines.apply_affine(matrix, at) for value, at in SIDES.items()}
    found, model = ours(path)
    assert agree(found, truth)
    assert agree(nibabels(path), truth)
    assert agree(itks(path), truth)
    saved.write_bytes(images.encode("nii.gz", model))
    assert agree(nibabels(saved), truth)
    assert agree(itks(saved), truth)
    assert agree(ours(saved)[0], truth)
    assert np.array_equal(nib.load(saved).affine, nib.load(path).affine)


def unoriented(path: Path) -> None:
    """A file with neither form, voxels of 1 x 2 x 3 mm."""
    image: Any = nib.Nifti1Image(phantom(), None)
    image.header.set_zooms(SPACING)
    image.set_qform(None, 0)
    image.set_sform(None, 0)
    image.to_filename(path)


def test_nifti_with_neither_form(tmp_path: Path) -> None:
    """Method 1: spacings are pixdim's. ITK and nibabel put the axes elsewhere; we do as ITK, and say so."""
    path, saved = tmp_path / "x.nii", tmp_path / "y.nii"
    unoriented(path)
    found, model = ours(path)
    assert agree(found, itks(path))
    assert not agree(found, nibabels(path))
    theirs: Any = nib.load(path)
    assert nib.aff2axcodes(theirs.affine) == ("L", "A", "S")
    assert theirs.header.get_zooms() == model.space.spacing == SPACING
    assert not is_oriented(model.space)
    saved.write_bytes(images.encode("nii", model))  # still nothing is known, for everybody
    again: Any = nib.load(saved)
    assert (again.header["qform_code"], again.header["sform_code"]) == (0, 0)
    assert np.array_equal(again.affine, theirs.affine)
    assert agree(ours(saved)[0], found)
    for q, s in ((1, 0), (0, 1)):
        theirs.set_qform(affine(np.eye(3)), q)
        theirs.set_sform(affine(np.eye(3)), s)
        theirs.to_filename(path)
        assert is_oriented(images.bind(path).space)
    assert is_oriented(Space.grid(2, 3, 4))


def test_it_is_said_that_nobody_knows_the_sides(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    unoriented(tmp_path / "x.nii")
    program = tmp_path / "p.imgql"
    program.write_text(f'load scan = "{tmp_path}/x.nii"\nprint "mm3" volume_mm3(intensity(scan) > 3)')
    words = ["run", str(program), "--no-store"]
    assert main(words) == 0
    said = capsys.readouterr()
    assert said.out == "mm3=18\n"  # three voxels of 6 mm3
    assert said.err.startswith("warning[input]: the file of `scan` does not say how the scan lies in the patient\n")
    assert "its voxels are of 1 x 2 x 3 mm, as it says; which side is left" in said.err
    assert main([*words, "-q"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("direction", orientations())
@pytest.mark.parametrize("format", ["nrrd", "mha"])
def test_other_volumes_and_from_them_to_nifti(tmp_path: Path, direction: Matrix, format: str) -> None:
    path = tmp_path / f"x.{format}"
    image = sitk.GetImageFromArray(phantom().T)
    image.SetSpacing(SPACING)
    image.SetOrigin((-11, 22, -33))
    image.SetDirection(direction.ravel().tolist())
    sitk.WriteImage(image, str(path))
    truth = itks(path)
    found, model = ours(path)
    assert agree(found, truth, 1e-9)
    for other in ("nii", "nrrd", "mha"):
        saved = tmp_path / f"y.{other}"
        saved.write_bytes(images.encode(other, model))
        assert agree(itks(saved), truth)
        assert agree(ours(saved)[0], truth)
    assert agree(nibabels(tmp_path / "y.nii"), truth)


# In memory


def truth_of(direction: Matrix) -> dict[int, Matrix]:
    return {value: nib.affines.apply_affine(affine(direction), at) for value, at in SIDES.items()}


def itk_image(direction: Matrix) -> Any:
    """The phantom as SimpleITK has it: its world is LPS."""
    image = sitk.GetImageFromArray(phantom().T)
    image.SetSpacing(SPACING)
    image.SetOrigin((11, -22, -33))
    image.SetDirection((np.diag([-1, -1, 1]) @ direction).ravel().tolist())
    return image


def given(direction: Matrix) -> dict[str, object]:
    """The phantom in every form that is taken in."""
    matrix = affine(direction)
    return {
        "array": (phantom(), matrix),
        "fortran": (np.asfortranarray(phantom()), matrix.tolist()),
        "nifti": nib.Nifti1Image(phantom(), matrix),
        "nifti2": nib.Nifti2Image(phantom(), matrix),
        "mgh": nib.MGHImage(phantom(), matrix),
        "sitk": itk_image(direction),
        "space": (phantom(), images.taken("x", (phantom(), matrix)).space),
    }


@pytest.mark.parametrize("direction", orientations())
@pytest.mark.parametrize("form", list(given(np.eye(3))))
def test_in_memory(tmp_path: Path, direction: Matrix, form: str) -> None:
    truth = truth_of(direction)
    model = images.taken("x", given(direction)[form])
    within = 1e-4 if form in ("nifti", "mgh") else 1e-9  # their headers have float32
    assert agree(sides(model), truth, within)
    assert np.array_equal(model.numpy(), phantom())
    assert agree(nibabel_sides(images.to_nibabel(model)), truth, within)
    assert agree(itk_sides(images.to_sitk(model)), truth, within)
    assert np.allclose(images.affine(model.space), affine(direction), rtol=0, atol=within)
    for saved in (tmp_path / "y.nii.gz", tmp_path / "y.mha"):
        saved.write_bytes(images.encode(saved.name.removeprefix("y."), model))
        assert form == "nifti2" or agree(itks(saved), truth)  # ITK reads no NIfTI-2
        assert agree(ours(saved)[0], truth)
    assert agree(nibabels(tmp_path / "y.nii.gz"), truth)


@pytest.mark.parametrize("direction", orientations())
def test_out_and_in_again_is_the_same(direction: Matrix) -> None:
    model = images.taken("x", (phantom(), affine(direction)))
    mask = Mask.of(model.space, masks.pack((model.array()[..., 0] > 0).astype(np.uint8)))
    for value in (model, mask):
        for turned in (images.to_nibabel(value), images.to_sitk(value)):
            again = images.taken("x", turned)
            assert np.array_equal(again.numpy(), value.numpy())
            assert images.difference(again.space, model.space, 1e-9) is None


@pytest.mark.parametrize("direction", orientations())
@pytest.mark.parametrize(("q", "s"), [(1, 1), (1, 0), (0, 2), (2, 4)])
def test_an_image_of_nibabel_is_where_its_file_is_to_the_last_bit(
    tmp_path: Path, direction: Matrix, q: int, s: int
) -> None:
    image: Any = nib.Nifti1Image(phantom(), affine(direction))
    image.set_qform(affine(direction), q)
    image.set_sform(affine(direction), s)
    image.to_filename(tmp_path / "x.nii.gz")
    _, model = ours(tmp_path / "x.nii.gz")
    assert images.taken("x", nib.load(tmp_path / "x.nii.gz")).space == model.space
    assert images.difference(images.taken("x", image).space, model.space, 1e-4) is None  # a header has float32
    turned = images.to_nibabel(model)
    assert np.array_equal(turned.affine, nib.load(tmp_path / "x.nii.gz").affine)
