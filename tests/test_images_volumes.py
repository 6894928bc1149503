"""NRRD and MetaImage against SimpleITK: headers of many kinds, types, what is refused, what is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from voxlogica import images
from voxlogica.errors import Refusal
from voxlogica.values import Image, Mask, Model, Narrow, Space

SHORTS = np.arange(24, dtype="<i2").tobytes()
NRRD = ("type: short", "dimension: 3", "sizes: 4 3 2", "encoding: raw", "endian: little")
META = (
    "ObjectType = Image", "NDims = 3", "BinaryData = True", "BinaryDataByteOrderMSB = False", "DimSize = 4 3 2",
    "ElementType = MET_SHORT",
)  # fmt: skip
TURNED = ("space directions: (0,2,0) (-1,0,0) (0,0,3)", "space origin: (5,6,7)")


def nrrd(path: Path, *lines: str, base: tuple[str, ...] = NRRD, data: bytes = SHORTS) -> Path:
    file = path / "x.nrrd"
    file.write_bytes(("\n".join(("NRRD0004", "# a comment", *base, *lines)) + "\n\n").encode() + data)
    return file


def meta(path: Path, *lines: str, base: tuple[str, ...] = META, data: bytes = SHORTS) -> Path:
    file = path / "x.mha"
    file.write_bytes(("\n".join((*base, *lines, "ElementDataFile = LOCAL")) + "\n").encode() + data)
    return file


def read(path: Path) -> Model:
    leaf = images.bind(path)
    return images.read(leaf.file, leaf.space)


def same_as_itk(path: Path) -> bool:
    image, model = sitk.ReadImage(str(path)), read(path)
    fields = ((model.space.spacing, image.GetSpacing()), (model.space.origin, image.GetOrigin()),
              (model.space.direction, image.GetDirection()))  # fmt: skip
    return (
        model.space.size == image.GetSize()
        and all(np.allclose(a, b, rtol=1e-12, atol=1e-12) for a, b in fields)
        and np.array_equal(model.array().ravel(), sitk.GetArrayFromImage(image).astype(np.float32).ravel())
    )


@pytest.mark.parametrize(
    "lines",
    [
        (),
        ("spacings: 1 2 3",),
        ("spacings: 1 2 nan",),
        ("space: LPS", "space directions: (1,0,0) (0,2,0) (0,0,3)"),
        *((f"space: {space}", *TURNED) for space in (
            "left-posterior-superior", "LPS", "right-anterior-superior", "RAS", "LAS", "scanner-xyz", "3D-right-handed",
        )),
        ("space dimension: 3", *TURNED),
        ("old min: 0", "old max: 100", "key:=value: with = signs"),
        ("thicknesses: nan nan 5",),
        ("space: LPS", *TURNED, 'space units: "mm" "mm" "mm"', "measurement frame: (1,0,0) (0,1,0) (0,0,1)"),
    ],
)  # fmt: skip
def test_nrrd_headers(tmp_path: Path, lines: tuple[str, ...]) -> None:
    assert same_as_itk(nrrd(tmp_path, *lines))


@pytest.mark.parametrize("kinds", ["vector domain domain", "RGB-color space space", "list domain domain"])
def test_components_of_nrrd_first(tmp_path: Path, kinds: str) -> None:
    base = ("type: short", "dimension: 3", "sizes: 3 4 2", "encoding: raw", "endian: little", f"kinds: {kinds}")
    assert same_as_itk(nrrd(tmp_path, base=base))
    assert read(tmp_path / "x.nrrd").components == 3


def test_components_of_nrrd_last(tmp_path: Path) -> None:
    base = (
        "type: short",
        "dimension: 3",
        "sizes: 4 2 3",
        "encoding: raw",
        "endian: little",
        "kinds: domain domain vector",
    )
    assert same_as_itk(nrrd(tmp_path, base=base))


@pytest.mark.parametrize(
    ("name", "dtype"),
    [("signed char", "i1"), ("uint8", "u1"), ("short", "i2"), ("unsigned short", "u2"), ("int", "i4"),
     ("uint32_t", "u4"), ("long long int", "i8"), ("unsigned long long", "u8"), ("float", "f4"), ("double", "f8")],
)  # fmt: skip
@pytest.mark.parametrize("order", ["little", "big"])
def test_types_of_nrrd(tmp_path: Path, name: str, dtype: str, order: str) -> None:
    data = np.arange(100, 124).astype(("<" if order == "little" else ">") + dtype).tobytes()
    base = (f"type: {name}", "dimension: 3", "sizes: 4 3 2", "encoding: raw", f"endian: {order}")
    assert same_as_itk(nrrd(tmp_path, base=base, data=data))


@pytest.mark.parametrize(
    "lines",
    [
        (),
        ("ElementSize = 1 2 3",),
        ("ElementSpacing = 1 2 3", "ElementSize = 4 5 6"),
        ("Position = 1 2 3",),
        ("Origin = 1 2 3",),
        ("Offset = 1 2 3", "TransformMatrix = 0 1 0 -1 0 0 0 0 1", "ElementSpacing = 1 2 3"),
        ("Rotation = 0 1 0 -1 0 0 0 0 1",),
        ("AnatomicalOrientation = LPI", "CenterOfRotation = 1 2 3"),
        ("Modality = MET_MOD_CT", "Comment = a = b"),
    ],
)
def test_meta_headers(tmp_path: Path, lines: tuple[str, ...]) -> None:
    assert same_as_itk(meta(tmp_path, *lines))


@pytest.mark.parametrize(
    ("name", "dtype"),
    [("CHAR", "i1"), ("UCHAR", "u1"), ("SHORT", "i2"), ("USHORT", "u2"), ("INT", "i4"), ("UINT", "u4"), ("LONG", "i4"),
     ("ULONG", "u4"), ("LONG_LONG", "i8"), ("ULONG_LONG", "u8"), ("FLOAT", "f4"), ("DOUBLE", "f8")],
)  # fmt: skip
@pytest.mark.parametrize("big", [False, True])
def test_types_of_meta(tmp_path: Path, name: str, dtype: str, big: bool) -> None:
    data = np.arange(100, 124).astype((">" if big else "<") + dtype).tobytes()
    base = ("NDims: 3", f"BinaryDataByteOrderMSB: {big}", "DimSize: 4 3 2", f"ElementType: MET_{name}")
    assert same_as_itk(meta(tmp_path, base=base, data=data))


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("name", ["x.nrrd", "x.mha"])
def test_integers_stay_what_they_are(tmp_path: Path, name: str, compressed: bool) -> None:
    voxels = np.arange(-30, 30, dtype=np.int16).reshape(3, 4, 5)
    sitk.WriteImage(sitk.GetImageFromArray(voxels), str(tmp_path / name), compressed)
    model = read(tmp_path / name)
    assert isinstance(model.held, Narrow)
    assert np.array_equal(model.held.voxels(voxels.shape), voxels)
    assert np.array_equal(model.array()[..., 0], voxels.astype(np.float32))


@pytest.mark.parametrize("format", ["nrrd", "mha"])
@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("shape", [(2, 3, 4), (3, 4), (2, 3, 4, 3), (3, 4, 4)])
@pytest.mark.parametrize("vector", [False, True])
def test_files_of_itk(tmp_path: Path, format: str, compressed: bool, shape: tuple[int, ...], vector: bool) -> None:
    if len(shape) - vector not in (2, 3):
        return
    array = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    image = sitk.GetImageFromArray(array, isVector=vector)
    if image.GetNumberOfComponentsPerPixel() not in (1, 3, 4):
        return
    image.SetSpacing([0.1 * (n + 1) for n in range(image.GetDimension())])
    path = tmp_path / f"x.{format}"
    sitk.WriteImage(image, str(path), useCompression=compressed)
    assert same_as_itk(path)


# Refusals


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("data file: x.raw",), "is a header only: its voxels are in a file of their own"),
        (("encoding: ascii",), "has the encoding ascii"),
        (("type: block",), "has voxels of type block"),
        (("byte skip: 4",), "has byteskip 4"),
        (("axis mins: 1 2 3",), "has axismins 1 2 3"),
        (("sizes: 4 3 -2",), "its header gives no sizes"),
        (("sizes: 4 3 0",), "its header gives no sizes"),
        (("sizes: 4 3 9",), "it ends in the middle"),
        (("sizes: 4 3 1",), "it goes on after its last voxel"),
        (("sizes: 4 3 1 2",), "has 4 axes, and an image has 2 or 3"),
        (("sizes: 24",), "has 1 axis, and an image has 2 or 3"),
        (("spacings: 1 2",), "its header contradicts itself about the number of its axes"),
        (("spacings: 1 2 -3",), "its header gives it a spacing of -3"),
        (("spacings: 1 2 x",), "its header has `1 2 x` in place of numbers"),
        (("space: LPS", "space directions: (1,0) (0,2)"), "contradicts itself about the number of its axes"),
        (("space: LPS", "space directions: (1,0,0) (0,2,0) (0.6,0,0.8)"), "has axes that are not at right angles"),
        (("kinds: vector domain vector",), "has axes of the kinds vector domain vector"),
        (("sizes: 2 3 4", "kinds: vector domain domain"), "has 2 numbers at each voxel, and an image has 1, 3 or 4"),
        (("endian: none",), "does not say in which order its bytes are"),
        (("encoding: gzip",), "its header says gzip, and its contents are something else"),
    ],
)  # fmt: skip
def test_nrrd_files_that_are_refused(tmp_path: Path, lines: tuple[str, ...], message: str) -> None:
    with pytest.raises(Refusal) as caught:
        images.bind(nrrd(tmp_path, *lines))
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("ElementDataFile = x.raw",), "is a header only: its voxels are in a file of their own"),
        (("BinaryData = False",), "holds its voxels as text"),
        (("ElementType = MET_STRING",), "has voxels of type MET_STRING"),
        (("HeaderSize = 4",), "has HeaderSize = 4"),
        (("ElementToIntensityFunctionSlope = 2",), "has ElementToIntensityFunctionSlope = 2"),
        (("DimSize = 4 3 0",), "its header gives no sizes"),
        (("DimSize = 4 3 9",), "it ends in the middle"),
        (("DimSize = 4 3 1",), "it goes on after its last voxel"),
        (("ElementNumberOfChannels = 2",), "has 2 numbers at each voxel"),
        (("ElementNumberOfChannels = x",), "does not give the number of its channels"),
        (("ElementSpacing = -1 2 3",), "its header gives it a spacing of -1"),
        (("Offset = 1 2",), "contradicts itself about the number of its axes"),
        (("TransformMatrix = 1 0 0 0.5 1 0 0 0 1",), "has axes that are not at right angles"),
        (("CompressedData = True",), "it does not unpack"),
        (("what is this",), "its contents are not MetaImage"),
    ],
)
def test_meta_files_that_are_refused(tmp_path: Path, lines: tuple[str, ...], message: str) -> None:
    with pytest.raises(Refusal) as caught:
        images.bind(meta(tmp_path, *lines))
    assert message in caught.value.message


@pytest.mark.parametrize("name", ["x.nrrd", "x.mha"])
@pytest.mark.parametrize("contents", [b"hello\n" * 9, bytes(999), b"\xff\xfe\n" * 5])
def test_other_contents(tmp_path: Path, name: str, contents: bytes) -> None:
    (tmp_path / name).write_bytes(contents)
    with pytest.raises(Refusal, match="is damaged"):
        images.bind(tmp_path / name)


# Writing


@given(
    st.lists(st.integers(2, 7), min_size=2, max_size=3),
    st.lists(st.floats(0.01, 100), min_size=3, max_size=3),
    st.lists(st.floats(-1e4, 1e4), min_size=3, max_size=3),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0, 1, 3, 4]),
    st.sampled_from(["nrrd", "mha"]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
def test_what_is_written_comes_back_and_itk_reads_the_same(
    tmp_path: Path, size: list[int], spacing: list[float], origin: list[float], seed: int, components: int, format: str
) -> None:
    n, rng = len(size), np.random.default_rng(seed)
    q, _ = np.linalg.qr(rng.normal(size=(n, n)))
    space = Space(tuple(size), tuple(spacing[:n]), tuple(origin[:n]), tuple(q.ravel().tolist()))
    path = tmp_path / f"x.{format}"
    expected: NDArray[np.float32]
    if components:
        expected = rng.normal(size=(*space.shape, components)).astype(np.float32)
        path.write_bytes(images.encode(format, Model.of(space, expected.copy()), "told: \\ and\nmore"))
    else:
        bits = rng.random(space.shape) < 0.5
        words = np.packbits(np.pad(bits, ((0, 0), (0, 0), (0, 64 - size[0]))), axis=2, bitorder="little")
        path.write_bytes(images.encode(format, Mask.of(space, words.view(np.uint64))))
        expected = bits[..., None].astype(np.float32)
    model = read(path)
    assert np.array_equal(model.array(), expected)
    assert model.space.size == space.size
    assert model.space.origin == space.origin
    assert model.space.spacing == pytest.approx(space.spacing, rel=1e-12)
    assert model.space.direction == pytest.approx(space.direction, abs=1e-12)
    assert same_as_itk(path)


@pytest.mark.parametrize("format", ["nrrd", "mha"])
@pytest.mark.parametrize("length", [300, 3000])
def test_provenance_is_a_field_of_the_header(tmp_path: Path, format: str, length: int) -> None:
    path = tmp_path / f"x.{format}"
    value = Image.of(Space.grid(3, 2), np.arange(6, dtype=np.float32).reshape(1, 2, 3))
    text = "program=ü:y," * length
    path.write_bytes(images.encode(format, value, text))
    image = sitk.ReadImage(str(path))
    assert "".join(image.GetMetaData(key) for key in image.GetMetaDataKeys() if key.startswith("Description")) == text
    assert same_as_itk(path)
