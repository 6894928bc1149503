"""NIfTI against nibabel and SimpleITK: types, byte orders, scaling, geometry, and what is saved again."""

# nibabel has types, but not on all its functions.
# mypy: allow-untyped-calls
from __future__ import annotations

import gzip
import itertools
import struct
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from voxlogica import images
from voxlogica.errors import Refusal
from voxlogica.kernels.arrays import kind_of
from voxlogica.values import Image, Labels, Mask, Model, Narrow, Space

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
TYPES = ("u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8")
GEOMETRY = ("qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y",
            "qoffset_z", "srow_x", "srow_y", "srow_z", "xyzt_units")  # fmt: skip
here_again = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)


def affine(seed: int, spacing: tuple[float, float, float] = (1.0, 1.5, 2.5)) -> NDArray[np.float64]:
    """A rotation somewhere, with spacings."""
    rng = np.random.default_rng(seed)
    q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    q *= np.sign(np.linalg.det(q))
    matrix = np.eye(4)
    matrix[:3, :3] = q * spacing
    matrix[:3, 3] = rng.normal(size=3) * 100
    return matrix


def save(path: Path, voxels: NDArray[Any], q: object = None, s: object = None, codes: tuple[int, int] = (1, 1),
         kind: Any = nib.Nifti1Image, **fields: Any) -> None:  # fmt: skip
    """A file by nibabel; `fields` of the header are overwritten afterwards, whatever nibabel thinks of them."""
    image = kind(voxels, np.eye(4), dtype=voxels.dtype)
    image.set_qform(None if q is None else np.asarray(q), codes[0] if q is not None else 0)
    image.set_sform(None if s is None else np.asarray(s), codes[1] if s is not None else 0)
    if q is None and s is not None:
        image.header["pixdim"][1:4] = np.sqrt((np.asarray(s)[:3, :3] ** 2).sum(0))
    raw = bytearray(image.to_bytes())
    size = kind.header_class.template_dtype.itemsize
    header = kind.header_class(bytes(raw[:size]), check=False)
    for field, value in fields.items():
        header[field] = value
    raw[:size] = header.binaryblock
    path.write_bytes(gzip.compress(bytes(raw)) if path.suffix == ".gz" else raw)


def read(path: Path) -> Model:
    leaf = images.bind(path)
    return images.read(leaf.file, leaf.space)


def same_place(space: Space, image: sitk.Image, tolerance: float = 1e-6) -> bool:
    fields = ((space.spacing, image.GetSpacing()), (space.origin, image.GetOrigin()),
              (space.direction, image.GetDirection()))  # fmt: skip
    return space.size == image.GetSize() and all(np.allclose(a, b, rtol=tolerance, atol=tolerance) for a, b in fields)


def itk_voxels(path: Path) -> NDArray[np.float32]:
    image = sitk.ReadImage(str(path))
    return sitk.GetArrayFromImage(image).astype(np.float32)


# Voxels


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("order", "<>")
def test_every_type_and_byte_order(tmp_path: Path, dtype: str, kind: Any, order: str) -> None:
    low, high = (-1e30, 1e30) if dtype[0] == "f" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    rng = np.random.default_rng(0)
    voxels = rng.uniform(low / 2, high / 2, (5, 4, 3)) if dtype[0] == "f" else rng.integers(low, high, (5, 4, 3), dtype)
    header = kind.header_class(endianness=order)
    header.set_data_dtype(dtype)
    header.set_data_shape((5, 4, 3))
    path = tmp_path / "x.nii"
    kind(voxels.astype(dtype), np.eye(4), header).to_filename(path)
    assert path.read_bytes()[:4] in (b"\x5c\x01\0\0", b"\x1c\x02\0\0") if order == "<" else True
    assert np.array_equal(read(path).numpy(), voxels.astype(dtype).astype(np.float32))


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(
    ("slope", "inter"), [(1, 0), (0, 0), (2, 0), (1, 5), (0.1, -3.3), (-0.3, 1e6), (3, np.nan), (np.nan, np.nan)]
)
def test_scaling_is_that_of_itk_bit_for_bit(tmp_path: Path, dtype: str, slope: float, inter: float) -> None:
    rng = np.random.default_rng(1)
    voxels = (rng.normal(size=(5, 4, 3)) * 1e3).astype(dtype)
    path = tmp_path / "x.nii"
    save(path, voxels, s=affine(0), scl_slope=slope, scl_inter=inter)
    assert np.array_equal(read(path).array()[..., 0], itk_voxels(path))


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("name", ["x.nii", "x.nii.gz"])
def test_integers_of_one_or_two_bytes_stay_what_they_are(tmp_path: Path, dtype: str, order: str, name: str) -> None:
    """Unless they are scaled, or their bytes are in the other order: no float32 image until somebody asks for it."""
    voxels = np.arange(60).astype(np.dtype(order + dtype)).reshape(5, 4, 3)
    header = nib.Nifti1Image.header_class(endianness=order)
    header.set_data_dtype(dtype)
    nib.Nifti1Image(voxels, np.eye(4), header).to_filename(tmp_path / name)
    model = read(tmp_path / name)
    narrow = dtype in ("u1", "i1") or (dtype in ("u2", "i2") and order == "<")
    assert isinstance(model.held, Narrow) == narrow
    if isinstance(model.held, Narrow):
        assert kind_of(model.held.voxels(model.space.shape)) == dtype
    assert model.numpy().dtype == np.float32
    assert np.array_equal(model.numpy(), voxels.astype(np.float32))
    save(tmp_path / name, voxels.astype(dtype), s=affine(0), scl_slope=2)
    assert not isinstance(read(tmp_path / name).held, Narrow)


def test_integers_lie_where_they_were_decompressed(tmp_path: Path) -> None:
    save(tmp_path / "x.nii.gz", np.arange(60, dtype=np.int16).reshape(5, 4, 3))
    leaf = images.bind(tmp_path / "x.nii.gz")
    assert isinstance(leaf.file, images.files.File)
    blocks = leaf.file.kept.take()
    leaf.file.kept.put(blocks)
    held = images.read(leaf.file, leaf.space).held
    assert isinstance(held, Narrow)
    assert np.shares_memory(np.asarray(held.voxels((3, 4, 5))), np.frombuffer(blocks[-1], np.int16))


def test_a_slope_of_0_is_no_scaling(tmp_path: Path) -> None:
    voxels = np.arange(60, dtype=np.int16).reshape(5, 4, 3)
    save(tmp_path / "x.nii", voxels, s=affine(0), scl_slope=0, scl_inter=7)
    assert np.array_equal(read(tmp_path / "x.nii").numpy(), voxels)


def test_doubles_too_large_are_infinite(tmp_path: Path) -> None:
    save(tmp_path / "x.nii", np.full((2, 2, 2), 1e300), s=np.eye(4))
    assert np.isposinf(read(tmp_path / "x.nii").array()).all()


@pytest.mark.parametrize("components", [3, 4])
def test_colours(tmp_path: Path, components: int) -> None:
    voxels = np.arange(60 * components, dtype=np.uint8).reshape(5, 4, 3, components)
    kind = np.dtype([(c, "u1") for c in "RGBA"[:components]])
    path = tmp_path / "x.nii.gz"
    nib.Nifti1Image(np.ascontiguousarray(voxels).view(kind)[..., 0], np.eye(4)).to_filename(path)
    model = read(path)
    assert model.components == components
    assert np.array_equal(model.numpy(), voxels)
    assert np.array_equal(model.array(), itk_voxels(path))


@pytest.mark.parametrize("components", [3, 4])
def test_vectors(tmp_path: Path, components: int) -> None:
    voxels = np.random.default_rng(0).normal(size=(5, 4, 3, 1, components)).astype(np.float32)
    path = tmp_path / "x.nii.gz"
    image = nib.Nifti1Image(voxels, np.eye(4))
    image.header.set_intent("vector")
    image.to_filename(path)
    assert np.array_equal(read(path).array(), itk_voxels(path))


# Sizes


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((5, 4), (5, 4)),
        ((5, 4, 1), (5, 4)),
        ((5, 1, 4), (5, 4)),
        ((1, 5, 4), (5, 4)),
        ((5, 1, 1), (5, 1)),
        ((1, 5, 1), (1, 5)),
        ((1, 1, 1), (1, 1)),
        ((5, 1), (5, 1)),
        ((5, 4, 3, 1), (5, 4, 3)),
        ((5, 4, 1, 1, 1), (5, 4)),
    ],
)
def test_axes_of_size_1_are_dropped(tmp_path: Path, shape: tuple[int, ...], size: tuple[int, ...]) -> None:
    voxels = np.arange(np.prod(shape), dtype=np.int16).reshape(shape)
    path = tmp_path / "x.nii.gz"
    save(path, voxels, q=affine(3), s=affine(3))
    model = read(path)
    assert model.space.size == size
    assert np.array_equal(model.numpy(), voxels.reshape(size))
    (tmp_path / "y.nii.gz").write_bytes(images.encode("nii.gz", model))
    again = nib.load(tmp_path / "y.nii.gz")
    assert np.array_equal(again.affine, nib.load(path).affine)
    assert np.array_equal(np.squeeze(again.get_fdata()), np.squeeze(voxels))
    assert images.bind(tmp_path / "y.nii.gz").space == model.space


@pytest.mark.parametrize(("shape", "axis"), [((5, 4, 1), 2), ((5, 1, 4), 1), ((1, 5, 4), 0)])
def test_the_plane_that_is_left_lies_as_itk_cuts_it_out(tmp_path: Path, shape: tuple[int, ...], axis: int) -> None:
    turn = np.eye(4)
    j, k = (n for n in range(3) if n != axis)
    turn[[j, j, k, k], [j, k, j, k]] = [0, -1, 1, 0]
    turn[:3, 3] = (7, 8, 9)
    upright = turn[:, [1, 2, 0, 3]]  # what is left of two of its axes, in the plane of the other two, is a line
    for matrix in (turn, upright):
        save(tmp_path / "x.nii", np.zeros(shape, np.int16), q=matrix, s=matrix)
        cut = sitk.Extract(sitk.ReadImage(str(tmp_path / "x.nii")), [0 if n == axis else shape[n] for n in range(3)])
        assert same_place(images.bind(tmp_path / "x.nii").space, cut)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((5, 4, 3, 2), "has 4 axes, and an image has 2 or 3"),
        ((5, 4, 3, 2, 2), "has 5 axes, and an image has 2 or 3"),
        ((5, 4, 1, 2), "has 4 axes, and an image has 2 or 3"),
        ((5,), "has 1 axis, and an image has 2 or 3"),
    ],
)
def test_other_numbers_of_axes_are_refused(tmp_path: Path, shape: tuple[int, ...], message: str) -> None:
    save(tmp_path / "x.nii", np.zeros(shape, np.int16), s=np.eye(4))
    with pytest.raises(Refusal, match=message):
        images.bind(tmp_path / "x.nii")


# Headers


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"datatype": 32}, "holds complex numbers"),
        ({"datatype": 1536}, "holds numbers of 128 bits"),
        ({"datatype": 3}, "its header gives its voxels a type that does not exist, 3"),
        ({"magic": b"ni1"}, "is a header only: its voxels are in a file of their own"),
        ({"magic": b"n+3"}, "its contents are not NIfTI"),
        ({"dim": [3, 5, -4, 3, 1, 1, 1, 1]}, "its header gives no sizes"),
        ({"dim": [3, 5, 0, 3, 1, 1, 1, 1]}, "its header gives no sizes"),
        ({"dim": [9, 5, 4, 3, 1, 1, 1, 1]}, "its header gives no sizes"),
        ({"dim": [3, 5, 4, 4, 1, 1, 1, 1]}, "it ends in the middle"),
        ({"dim": [3, 5, 4, 2, 1, 1, 1, 1]}, "it goes on after its last voxel"),
        ({"vox_offset": 0}, "its header says that its voxels begin at byte 0"),
        ({"vox_offset": 352.5}, "its header says that its voxels begin at byte 352.5"),
        ({"vox_offset": np.nan}, "its header says that its voxels begin at byte nan"),
        ({"vox_offset": np.inf}, "its header says that its voxels begin at byte inf"),
        ({"vox_offset": -352}, "its header says that its voxels begin at byte -352"),
        ({"pixdim": [1, -1, 1, 1, 1, 1, 1, 1]}, "its header gives it a spacing of -1"),
        ({"srow_x": [1, 0, 0, np.nan]}, "its header puts it nowhere"),
    ],
)  # fmt: skip
def test_headers_that_cannot_be(tmp_path: Path, fields: dict[str, Any], message: str) -> None:
    save(tmp_path / "x.nii", np.zeros((5, 4, 3), np.int16), s=np.eye(4), **fields)
    with pytest.raises(Refusal) as caught:
        images.bind(tmp_path / "x.nii")
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"hello, this is text" * 40, "its contents are not NIfTI"),
        (gzip.compress(b"x" * 999, mtime=0), "is compressed with gzip"),
    ],
)
def test_other_contents(tmp_path: Path, contents: bytes, message: str) -> None:
    (tmp_path / "x.nii").write_bytes(contents)
    with pytest.raises(Refusal, match=message):
        images.bind(tmp_path / "x.nii")


def test_vectors_of_other_lengths_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "x.nii", np.zeros((5, 4, 3, 1, 2), np.float32), s=np.eye(4), intent_code=1007)
    with pytest.raises(Refusal, match="has 2 numbers at each voxel, and an image has 1, 3 or 4"):
        images.bind(tmp_path / "x.nii")


# Geometry


def places() -> list[tuple[str, dict[str, Any]]]:
    """Headers of many kinds, and their names."""
    a, b = affine(1), affine(2)
    left, far = a.copy(), a.copy()
    left[:3, 0] *= -1
    far[:3, 3] = (0, 0, 5000)
    skewed = a.copy()
    skewed[:3, 0] += 0.3 * skewed[:3, 1]
    found: list[tuple[str, dict[str, Any]]] = [
        ("q", {"q": a}), ("s", {"s": a}), ("both", {"q": a, "s": a}), ("none", {}), ("left", {"q": left, "s": left}),
        ("left s", {"s": left}), ("left q", {"q": left}), ("far", {"s": far}), ("skewed s", {"q": a, "s": skewed}),
        ("other scale", {"q": a, "s": a, "pixdim": [1, 1, 1.5, 2.6, 1, 1, 1, 1]}),
        ("no spacing", {"q": a, "pixdim": [1, 0, 1, 1, 1, 1, 1, 1]}),
    ]  # fmt: skip
    found += [(f"units {u}", {"q": a, "s": a, "xyzt_units": u}) for u in (0, 1, 2, 3, 10, 9)]
    for codes in itertools.product((1, 2, 3, 4), repeat=2):
        found += [
            (f"equal {codes}", {"q": a, "s": a, "codes": codes}),
            (f"two {codes}", {"q": a, "s": b, "codes": codes}),
        ]
    return found


@pytest.mark.parametrize(("name", "form"), places())
def test_voxels_are_where_itk_says(tmp_path: Path, name: str, form: dict[str, Any]) -> None:
    path = tmp_path / "x.nii"
    save(path, np.zeros((5, 4, 3), np.int16), **form)
    assert same_place(images.bind(path).space, sitk.ReadImage(str(path)))


@pytest.mark.parametrize("seed", range(60))
def test_voxels_are_where_itk_says_however_they_are_turned(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    spacing = tuple(rng.choice([1, 0.9375, 3.3, rng.uniform(0.1, 5)], 3))
    matrix = affine(seed, spacing)
    path = tmp_path / "x.nii"
    codes = (int(rng.integers(0, 3)), int(rng.integers(1, 5)))
    save(path, np.zeros((5, 4, 3), np.int16), q=matrix, s=matrix, codes=codes)
    # Where the forms agree to rounding, ITK may choose the other one.
    assert same_place(images.bind(path).space, sitk.ReadImage(str(path)), 1e-6 if codes[1] == 1 else 2e-5)


def test_what_is_no_rotation_is_refused_as_by_itk(tmp_path: Path) -> None:
    skewed = affine(1)
    skewed[:3, 0] += 0.3 * skewed[:3, 1]
    path = tmp_path / "x.nii"
    save(path, np.zeros((5, 4, 3), np.int16), s=skewed)
    with pytest.raises(RuntimeError, match="orthonormal"):
        sitk.ReadImage(str(path))
    with pytest.raises(Refusal) as caught:
        images.bind(path)
    assert caught.value.message == f"{path} has axes that are not at right angles"
    assert caught.value.details == ("its sform is no rotation, and it has no qform",)
    assert caught.value.help == "resample it onto a grid with right angles, and load that"


# Saving


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize(("name", "form"), places())
def test_what_is_saved_says_the_same_of_its_place(tmp_path: Path, kind: Any, name: str, form: dict[str, Any]) -> None:
    path, saved = tmp_path / "x.nii", tmp_path / "y.nii"
    save(path, np.zeros((5, 4, 3), np.int16), kind=kind, **form)
    saved.write_bytes(images.encode("nii", read(path)))
    before, after = kind.from_filename(path), kind.from_filename(saved)
    assert np.array_equal(before.header["pixdim"][:4], after.header["pixdim"][:4])
    for field in GEOMETRY:
        assert np.array_equal(before.header[field], after.header[field]), field
    assert np.array_equal(before.affine, after.affine)
    assert images.bind(saved).space == images.bind(path).space


@pytest.mark.parametrize("size", [(5, 4, 3), (70, 2, 3), (5, 4), (1, 7), (64, 1), (65, 3, 2)])
@pytest.mark.parametrize("format", ["nii", "nii.gz"])
def test_masks_images_and_labels(tmp_path: Path, size: tuple[int, ...], format: str) -> None:
    space = Space.grid(*size)
    rng = np.random.default_rng(0)
    bits = rng.random(space.shape) < 0.5
    padded = np.pad(bits, ((0, 0), (0, 0), (0, -size[0] % 64)))
    mask = Mask.of(space, np.packbits(padded, axis=2, bitorder="little").view(np.uint64))
    numbers = rng.normal(size=space.shape).astype(np.float32)
    numbers[0, 0, 0] = np.nan
    path = tmp_path / f"x.{format}"
    for value, dtype in (
        (mask, "u1"), (Image.of(space, numbers.copy()), "f4"), (Labels.of(space, numbers.copy()), "f4"),
        (Model.of(space, numbers[..., None].copy()), "f4"),
    ):  # fmt: skip
        path.write_bytes(images.encode(format, value))
        assert nib.load(path).get_data_dtype() == np.dtype(dtype)
        expected = bits if value is mask else numbers
        assert np.array_equal(read(path).array()[..., 0], expected.astype(np.float32), equal_nan=True)
        without_nan = np.nan_to_num(expected.astype(np.float32))  # ITK reads 0 where NIfTI has none
        assert np.array_equal(itk_voxels(path).reshape(space.shape), without_nan)
        assert same_place(read(path).space, sitk.ReadImage(str(path)))


@pytest.mark.parametrize("components", [3, 4])
@pytest.mark.parametrize("whole", [True, False])
def test_models_of_several_components(tmp_path: Path, components: int, whole: bool) -> None:
    space = Space((5, 4, 3), (1.0, 1.5, 2.5), (7.0, 8.0, 9.0), (0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0))
    array = np.random.default_rng(0).integers(0, 256, (3, 4, 5, components)).astype(np.float32)
    if not whole:
        array[1, 2, 3, 0] += 0.5
    path = tmp_path / "x.nii.gz"
    path.write_bytes(images.encode("nii.gz", Model.of(space, array.copy())))
    model = read(path)
    assert np.array_equal(model.array(), array)
    assert np.array_equal(itk_voxels(path), array)
    assert same_place(model.space, sitk.ReadImage(str(path)))
    assert nib.load(path).header["datatype"] == ({3: 128, 4: 2304}[components] if whole else 16)


@given(
    st.lists(st.integers(1, 7), min_size=2, max_size=3),
    st.lists(st.floats(0.125, 100, width=32), min_size=3, max_size=3),
    st.lists(st.floats(-1e4, 1e4, width=32), min_size=3, max_size=3),
    st.integers(0, 2**32 - 1),
    st.booleans(),
)
@here_again
def test_any_space_survives_a_file(
    tmp_path: Path, size: list[int], spacing: list[float], origin: list[float], seed: int, mirrored: bool
) -> None:
    n = len(size)
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(n, n)))
    if mirrored:
        q[:, 0] *= -1
    space = Space(tuple(size), tuple(spacing[:n]), tuple(origin[:n]), tuple(q.ravel().tolist()))
    numbers = np.random.default_rng(seed).normal(size=space.shape).astype(np.float32)
    path = tmp_path / "x.nii"
    path.write_bytes(images.encode("nii", Image.of(space, numbers.copy())))
    model = read(path)
    assert np.array_equal(model.array().ravel(), numbers.ravel())
    if n == 2 or min(size) > 1:
        assert model.space.size == space.size
        assert model.space.spacing == space.spacing
        assert model.space.origin == pytest.approx(space.origin, rel=1e-6, abs=1e-9)
        assert model.space.direction == pytest.approx(space.direction, abs=1e-6)
    forms = nib.load(path)
    # Of a quaternion the first number is not kept: near half a turn it is the root of what rounding has left of 1.
    rest = 1 - sum(float(forms.header[f"quatern_{part}"]) ** 2 for part in "bcd")
    near = (1e-5 if rest > 1e-3 else 2e-3) * max(spacing)
    assert np.allclose(forms.get_qform(), forms.get_sform(), rtol=1e-5, atol=near)
    path.write_bytes(images.encode("nii", model))
    assert images.bind(path).space == model.space


def test_an_axis_too_long_for_nifti() -> None:
    space = Space.grid(40000, 1)
    with pytest.raises(Refusal, match="an axis of 40000 voxels is too long for NIfTI"):
        images.encode("nii", Image.of(space, np.zeros(space.shape, np.float32)))


@pytest.mark.parametrize("text", ["program: über\nvoxels", "x" * 8, "x" * 5000])
def test_provenance_is_a_comment_in_the_header(tmp_path: Path, text: str) -> None:
    value = Image.of(Space.grid(3, 2), np.arange(6, dtype=np.float32).reshape(1, 2, 3))
    path = tmp_path / "x.nii.gz"
    path.write_bytes(images.encode("nii.gz", value, text))
    (extension,) = nib.load(path).header.extensions
    assert extension.get_code() == 6
    assert extension.get_content().rstrip(b"\0").decode() == text
    assert np.array_equal(read(path).array()[..., 0], value.array())
    assert np.array_equal(itk_voxels(path), value.array()[0])


# Real files


@pytest.mark.skipif(not DATA.is_dir(), reason="the data are on the machines of this project only")
@pytest.mark.parametrize("path", sorted(DATA.glob("*/*.nii.gz")), ids=lambda path: f"{path.parent.name}-{path.name}")
def test_real_files(tmp_path: Path, path: Path) -> None:
    model, image = read(path), nib.load(path)
    assert np.array_equal(model.numpy(), image.get_fdata(dtype=np.float32))
    assert same_place(model.space, sitk.ReadImage(str(path)))
    saved = nib.Nifti1Image.from_bytes(gzip.decompress(images.encode("nii.gz", model)))
    assert np.array_equal(saved.affine, image.affine)
    assert np.array_equal(saved.header["pixdim"][:4], image.header["pixdim"][:4])
    for field in GEOMETRY:
        assert np.array_equal(saved.header[field], image.header[field]), field


def test_nifti_2_is_told_from_nifti_1_by_its_first_bytes(tmp_path: Path) -> None:
    save(tmp_path / "x.nii", np.zeros((5, 4, 3), np.int16), s=affine(1), kind=nib.Nifti2Image)
    raw = images.encode("nii", read(tmp_path / "x.nii"))
    assert struct.unpack("<i", raw[:4]) == (540,)
    assert raw[4:12] == b"n+2\0\r\n\x1a\n"
