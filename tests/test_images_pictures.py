"""PNG, JPEG and BMP against SimpleITK and Pillow; what is refused; numbers to bytes (C9)."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import features

from voxlogica import images
from voxlogica.errors import Refusal
from voxlogica.values import Image, Mask, Model, Space

GREY = (np.arange(12, dtype=np.uint8) * 20).reshape(3, 4)
RGB = np.stack([GREY, GREY + 1, GREY + 2], -1)
RGBA = np.stack([GREY, GREY + 1, GREY + 2, GREY + 3], -1)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, colour: int, rows: list[bytes], *more: bytes) -> bytes:
    """A PNG made by hand, for what Pillow does not write."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(more) + data + chunk(b"IEND", b"")


def saved(array: NDArray[np.generic], format: str = "PNG", **more: object) -> bytes:
    out = io.BytesIO()
    Pillow.fromarray(array).save(out, format, **more)
    return out.getvalue()


def palette(transparent: bool = False) -> bytes:
    image = Pillow.frombytes("P", (4, 3), (GREY // 20 % 4).tobytes())
    image.putpalette([10, 20, 30, 200, 100, 50, 6, 7, 8, 9, 10, 11])
    out = io.BytesIO()
    image.save(out, "PNG", **({"transparency": 1} if transparent else {}))
    return out.getvalue()


def read(path: Path) -> Model:
    leaf = images.bind(path)
    return images.read(leaf.file, leaf.space)


@pytest.mark.parametrize(
    "contents",
    [
        saved(GREY),
        saved(GREY.astype(np.uint16) * 256 + 7),
        saved(GREY > 100),
        saved(RGB),
        saved(RGBA),
        saved(RGB, transparency=(0, 1, 2)),
        saved(GREY, dpi=(100, 50)),
        palette(),
        palette(transparent=True),
        png(4, 2, 2, 0, [b"\x1b", b"\xe4"]),
        png(2, 2, 4, 0, [b"\x1f", b"\xe4"]),
        png(1, 1, 8, 0, [b"\x80"], chunk(b"gAMA", struct.pack(">I", 100000))),
    ],
)
def test_png_is_read_as_by_itk(tmp_path: Path, contents: bytes) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(contents)
    image = sitk.ReadImage(str(path))
    model = read(path)
    assert model.space == Space.grid(*image.GetSize())
    assert model.space.spacing == image.GetSpacing() == (1, 1)
    assert model.components == image.GetNumberOfComponentsPerPixel()
    assert np.array_equal(model.array().ravel(), sitk.GetArrayFromImage(image).ravel())


@pytest.mark.parametrize(("width", "height"), [(1, 1), (2, 3), (4, 5), (5, 4), (9, 8), (17, 3)])
def test_interlaced_png(tmp_path: Path, width: int, height: int) -> None:
    numbers = np.arange(width * height, dtype=np.uint8).reshape(height, width)
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    rows = [b"\0" + row.tobytes() for x, y, dx, dy in passes for row in numbers[y::dy, x::dx] if row.size]
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 1))
    data = chunk(b"IDAT", zlib.compress(b"".join(rows)))
    path = tmp_path / "x.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + data + chunk(b"IEND", b""))
    assert np.array_equal(read(path).array()[0, ..., 0], numbers)


def test_rows_go_down_and_x_is_first(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(saved(GREY))
    voxels = read(path).numpy()
    assert voxels.shape == (4, 3)
    assert (voxels[1, 0], voxels[0, 1]) == (20, 80)


@pytest.mark.parametrize(("array", "components"), [(GREY, 1), (RGB, 3)])
@pytest.mark.parametrize("dpi", [None, (100, 50)])
def test_jpeg(tmp_path: Path, array: NDArray[np.uint8], components: int, dpi: tuple[int, int] | None) -> None:
    path = tmp_path / "x.jpeg"
    path.write_bytes(saved(array, "JPEG", **({"dpi": dpi} if dpi else {}), quality=95, subsampling=0))
    image = sitk.ReadImage(str(path))
    model = read(path)
    assert model.space.spacing == pytest.approx(image.GetSpacing(), rel=1e-6)
    assert model.components == components
    # Decoders may round differently.
    assert np.abs(model.array().ravel() - sitk.GetArrayFromImage(image).astype(int).ravel()).max() <= 1


def test_the_decoder_of_jpeg_is_part_of_the_identity(tmp_path: Path) -> None:
    for format, reader in (("png", "picture"), ("bmp", "picture"), ("jpg", f"picture {features.version('jpg')}")):
        path = tmp_path / f"x.{format}"
        path.write_bytes(images.encode(format, Image.of(Space.grid(4, 3), GREY[None].astype(np.float32))))
        assert images.bind(path).reader == reader


def test_bmp(tmp_path: Path) -> None:
    path = tmp_path / "x.bmp"
    path.write_bytes(saved(RGB, "BMP"))
    model = read(path)
    assert np.array_equal(model.array()[0], sitk.GetArrayFromImage(sitk.ReadImage(str(path))))
    path.write_bytes(saved(GREY, "BMP", dpi=(100, 50)))
    model = read(path)
    assert model.space == Space.grid(4, 3)
    assert np.array_equal(model.array()[0, ..., 0], GREY)
    path.write_bytes(saved(GREY > 100, "BMP"))
    assert np.array_equal(read(path).array()[0, ..., 0], (GREY > 100) * 255)


@pytest.mark.parametrize(
    ("name", "contents", "message"),
    [
        ("x.png", saved(np.stack([GREY, GREY], -1)), "is grey with transparency"),
        ("x.png", saved(GREY, transparency=40), "is grey with transparency"),
        ("x.png", png(2, 1, 16, 2, [bytes(12)]), "has colours of 16 bits"),
        ("x.png", png(1, 1, 16, 6, [bytes(8)]), "has colours of 16 bits"),
        ("x.png", saved(GREY) + b"x", "something else follows its end"),
        ("x.png", saved(GREY).replace(b"IHDR", b"IHDr"), "its checksum is not that of its contents"),
        ("x.png", png(4, 3, 8, 0, [b"1234", b"1234"]), "it ends in the middle"),
        ("x.png", png(4, 3, 8, 0, [b"1234"] * 4), "it goes on after its last pixel"),
        ("x.png", png(4, 3, 8, 0, [b"1234"] * 3).replace(chunk(b"IEND", b""), b""), "it ends in the middle"),
        ("x.png", b"GIF89a" + bytes(99), "its contents are not PNG, JPEG or BMP"),
        ("x.jpg", saved(GREY, "JPEG")[:-2], "it ends in the middle"),
        ("x.bmp", saved(GREY, "BMP")[:-2], "it ends in the middle"),
        ("x.bmp", b"BM" + bytes(200), "it cannot be decoded"),
    ],
)
def test_pictures_that_are_refused(tmp_path: Path, name: str, contents: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(contents)
    with pytest.raises(Refusal) as caught:
        images.bind(path)
    assert message in caught.value.message


def test_cmyk_is_refused(tmp_path: Path) -> None:
    Pillow.fromarray(RGB).convert("CMYK").save(tmp_path / "x.jpg")
    with pytest.raises(Refusal, match="is CMYK colours"):
        images.bind(tmp_path / "x.jpg")


# Writing


@pytest.mark.parametrize(
    ("number", "byte", "counts"),
    [(2.5, 2, 0), (3.5, 4, 0), (0.5, 0, 0), (254.5, 254, 0), (255, 255, 0), (255.4, 255, 1), (300, 255, 1), (-3, 0, 1),
     (-0.0, 0, 0), (np.nan, 0, 1), (np.inf, 255, 1), (-np.inf, 0, 1)],
)  # fmt: skip
@pytest.mark.parametrize("format", ["png", "bmp"])
def test_numbers_are_clamped_and_rounded_half_to_even(
    tmp_path: Path, format: str, number: float, byte: int, counts: int
) -> None:
    value = Image.of(Space.grid(2, 1), np.array([[[7, number]]], np.float32))
    path = tmp_path / f"x.{format}"
    path.write_bytes(images.encode(format, value))
    assert np.asarray(Pillow.open(path)).ravel().tolist() == [7, byte]
    assert images.clamped(value) == counts


@given(arrays(np.float32, (1, 2, 3, 4), elements=st.floats(width=32)))
def test_what_is_counted_is_what_changes_by_more_than_rounding(array: NDArray[np.float32]) -> None:
    model = Model.of(Space.grid(3, 2), array.copy())
    written = np.asarray(Pillow.open(io.BytesIO(images.encode("png", model)))).astype(np.float64)
    kept = np.rint(array[0].astype(np.float64)) == written
    outside = ~((array[0] >= 0) & (array[0] <= 255))
    assert images.clamped(model) == outside.sum()
    assert (kept | outside).all()


@pytest.mark.parametrize("format", ["png", "bmp"])
@pytest.mark.parametrize("width", [1, 63, 64, 65])
def test_true_is_255(tmp_path: Path, format: str, width: int) -> None:
    bits = np.random.default_rng(0).random((1, 3, width)) < 0.5
    words = np.packbits(np.pad(bits, ((0, 0), (0, 0), (0, -width % 64))), axis=2, bitorder="little").view(np.uint64)
    mask = Mask.of(Space.grid(width, 3), words)
    path = tmp_path / f"x.{format}"
    path.write_bytes(images.encode(format, mask))
    assert np.array_equal(read(path).array()[..., 0], bits * np.float32(255))
    assert images.clamped(mask) == 0


@pytest.mark.parametrize(
    ("array", "formats"), [(RGB, ("png", "bmp")), (RGBA, ("png",)), (GREY[..., None], ("png", "bmp"))]
)
def test_models_come_back(tmp_path: Path, array: NDArray[np.uint8], formats: tuple[str, ...]) -> None:
    model = Model.of(Space.grid(4, 3), array[None].astype(np.float32))
    for format in formats:
        path = tmp_path / f"x.{format}"
        path.write_bytes(images.encode(format, model))
        again = read(path)
        assert np.array_equal(again.array(), model.array())
        assert again.space == model.space


def test_a_jpeg_is_close() -> None:
    smooth = np.add.outer(np.arange(40), np.arange(50)).astype(np.float32)[None]
    decoded = Pillow.open(io.BytesIO(images.encode("jpg", Image.of(Space.grid(50, 40), smooth.copy()))))
    assert np.abs(np.asarray(decoded).astype(int) - smooth[0]).max() <= 2


@pytest.mark.parametrize("format", ["jpg", "bmp"])
def test_transparency_is_not_lost(format: str) -> None:
    with pytest.raises(Refusal) as caught:
        images.encode(format, Model.of(Space.grid(4, 3), RGBA[None].astype(np.float32)))
    assert caught.value.message == f".{format} files have no transparency, and this has"
    assert caught.value.help == "save it as .png"


def test_a_volume_is_no_picture() -> None:
    with pytest.raises(Refusal, match=r"\.png files are 2-D, and this is 4 x 3 x 2 voxels"):
        images.encode("png", Image.of(Space.grid(4, 3, 2), np.zeros((2, 3, 4), np.float32)))


@pytest.mark.parametrize("text", ["program: x\nüber", ""])
def test_png_tells_where_it_comes_from(text: str) -> None:
    value = Image.of(Space.grid(4, 3), GREY[None].astype(np.float32))
    image = Pillow.open(io.BytesIO(images.encode("png", value, text)))
    image.load()
    assert image.info.get("Description", "") == text
