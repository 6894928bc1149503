"""PNG, JPEG and BMP with Pillow: 2-D, row 0 of the file is j = 0, origin 0.

As ITK reads them: spacing 1, in a JPEG what its density says; one bit is 0 or 255; palettes become RGB, or RGBA if a
colour of theirs is transparent. A palette of greys is grey (ITK: RGB), a fourth byte in a BMP that is not declared to
be alpha is none (ITK: RGBA). Grey with transparency is refused, as by ITK; CMYK, of which ITK makes its own RGB, too.
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING

from voxlogica.errors import Refusal
from voxlogica.images.files import Plain, check_memory, damaged, short
from voxlogica.values import Image, Mask, Model, Space

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image as Picture
    from PIL.ImageFile import ImageFile

_MODES = ("1", "L", "I;16", "I;16B", "I", "RGB", "RGBA")
_NAMES = {"LA": "grey with transparency", "PA": "a palette with transparency", "CMYK": "CMYK colours"}
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_PNG = b"\x89PNG\r\n\x1a\n"


def decoder(format: str) -> str:
    """What else decides the numbers: JPEG is decoded to the last bit by one version of one library only."""
    if format != "jpg":
        return ""
    from PIL import features

    return f" {features.version('jpg')}"


def inspect(stream: Plain) -> Space:
    """The space of a file whose every byte was seen and verified, as far as its format allows."""
    image = _decoded(stream)
    return Space.grid(*image.size, spacing=_spacing(image))


def voxels(stream: Plain) -> NDArray[np.float32]:
    """The numbers of a file as float32, [voxel, component]."""
    import numpy as np

    image = _decoded(stream)
    array = np.asarray(image)
    if image.mode == "1":
        array = array * np.uint8(255)
    return array.reshape(image.width * image.height, -1).astype(np.float32)


def _decoded(stream: Plain) -> Picture:
    """A picture in one of the modes above."""
    name, data = stream.name, stream.rest()
    if data.startswith(_PNG):
        _check_png(data, name)
    elif data.startswith(b"\xff\xd8"):
        if not data.rstrip(b"\0").endswith(b"\xff\xd9"):
            raise short(name)
    elif data.startswith(b"BM") and len(data) < int.from_bytes(data[2:6], "little"):
        raise short(name)
    try:
        image = _opened(data, name)
        check_memory(name, image.width * image.height * 16)
        image.load()
    except (OSError, SyntaxError, ValueError, struct.error, zlib.error) as error:
        raise short(name) if "truncated" in str(error) else damaged(name, "it cannot be decoded") from None
    transparent = "transparency" in image.info
    if image.mode == "P" or (image.mode == "RGB" and transparent):
        return image.convert("RGBA" if transparent else "RGB")
    mode = "LA" if transparent and image.mode in _MODES[:-2] else image.mode
    if mode not in _MODES:
        raise Refusal(f"{name} is {_NAMES.get(mode, mode)}", help="save it as grey, RGB or RGBA, and load that")
    return image


def _opened(data: bytes, name: str) -> ImageFile:
    """What Pillow makes of a file, not yet decoded; by the format of its contents, whatever its extension."""
    from PIL import BmpImagePlugin, JpegImagePlugin, PngImagePlugin

    source = io.BytesIO(data)
    if data.startswith(_PNG):
        return PngImagePlugin.PngImageFile(source)
    if data.startswith(b"\xff\xd8"):
        return JpegImagePlugin.JpegImageFile(source)
    if data.startswith(b"BM"):
        return BmpImagePlugin.BmpImageFile(source)
    raise damaged(name, "its contents are not PNG, JPEG or BMP")


def _check_png(data: bytes, name: str) -> None:
    """Every chunk whole and with its checksum, the last one in its place, all rows there; Pillow looks at less."""
    at, kind, packed, header = len(_PNG), b"", [], b""
    while kind != b"IEND":
        if at + 12 > len(data):
            raise short(name)
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            raise short(name)
        if zlib.crc32(data[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end]):
            raise damaged(name, "its checksum is not that of its contents")
        header = header or data[at + 8 : end - 4]
        if kind == b"IDAT":
            packed.append(data[at + 8 : end - 4])
        at = end
    if at != len(data):
        raise damaged(name, "something else follows its end")
    _check_rows(header, b"".join(packed), name)


def _check_rows(header: bytes, packed: bytes, name: str) -> None:
    """Unpacks the rows and counts their bytes; each has one for its filter."""
    try:
        width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
        bits = depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    except (struct.error, KeyError):
        raise damaged(name, "its header cannot be") from None
    if depth == 16 and colour in (2, 6):
        raise Refusal(f"{name} has colours of 16 bits", help="save it with colours of 8 bits, or as .nrrd")
    check_memory(name, width * height * 16)
    size = 0
    for x, y, dx, dy in _ADAM7 if interlaced else ((0, 0, 1, 1),):
        columns, rows = -(-(width - x) // dx), -(-(height - y) // dy)
        size += rows * (1 + -(-columns * bits // 8)) if columns > 0 and rows > 0 else 0
    unpacker = zlib.decompressobj()
    try:
        rows_size = len(unpacker.decompress(packed, size + 1))
    except zlib.error:
        raise damaged(name, "it does not unpack") from None
    if rows_size > size:
        raise damaged(name, "it goes on after its last pixel")
    if rows_size < size or not unpacker.eof:
        raise short(name)


def _spacing(image: Picture) -> tuple[float, float]:
    """The size of a pixel: JPEG says dots per inch (1) or per centimetre (2)."""
    x, y = image.info.get("jfif_density", (0, 0))
    unit = {1: 25.4, 2: 10.0}.get(image.info.get("jfif_unit", 0))
    return (unit / x, unit / y) if unit and x and y else (1.0, 1.0)


# Writing


def eight_bits(value: Mask | Image | Model) -> NDArray[np.uint8]:
    """The bytes of a picture, [y, x] or [y, x, component] (C9): clamped, rounded half to even; true is 255, NaN 0."""
    import numpy as np

    if isinstance(value, Mask):
        return np.where(value.numpy().T, np.uint8(255), np.uint8(0))
    array: NDArray[np.uint8] = np.rint(np.fmin(np.fmax(value.array()[0], 0), 255)).astype(np.uint8)
    return array[..., 0] if array.ndim == 3 and array.shape[-1] == 1 else array


def clamped(value: Mask | Image | Model) -> int:
    """How many numbers an 8-bit file cannot hold even when they are rounded: below 0, above 255, or none."""
    if isinstance(value, Mask):
        return 0
    array = value.array()
    return array.size - int(((array >= 0) & (array <= 255)).sum())


def encode(format: str, value: Mask | Image | Model, provenance: str) -> bytes:
    """A picture; PNG has room for the provenance, as the text `Description`."""
    from PIL import Image as pillow
    from PIL.PngImagePlugin import PngInfo

    if value.space.dimensions == 3:
        raise Refusal(f".{format} files are 2-D, and this is {' x '.join(map(str, value.space.size))} voxels")
    if format != "png" and isinstance(value, Model) and value.components == 4:
        raise Refusal(f".{format} files have no transparency, and this has", help="save it as .png")
    if format == "jpg" and max(value.space.size) > 65500:
        raise Refusal(
            f"{max(value.space.size)} pixels are too many for a row or a column of JPEG", help="save it as .png"
        )
    image = pillow.fromarray(eight_bits(value))
    out = io.BytesIO()
    if format == "png":
        info = PngInfo()
        if provenance:
            info.add_itxt("Description", provenance)
        image.save(out, "PNG", pnginfo=info)
    elif format == "jpg":
        image.save(out, "JPEG", quality=95, subsampling=0)
    else:
        image.save(out, "BMP")
    return out.getvalue()
