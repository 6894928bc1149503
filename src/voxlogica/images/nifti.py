"""NIfTI-1 and NIfTI-2: headers, where voxels are in the world, voxels to and from bytes.

**Where voxels are.** As ITK decides it: the sform, if it is a rotation (columns scaled by the spacing) and says scanner
coordinates, or agrees with the qform to 1/10000, or there is no qform; else the qform; with neither, axes along the
world's and origin 0 (the standard's method 1). How the scan lies in the patient is then not known (`is_oriented`):
nibabel assumes otherwise, that the second axis runs to the front. Spacings are always `pixdim`'s. A file with only
a sform that is no rotation is refused, as by ITK. NIfTI's world is RAS, ours LPS. Spacings and origins in metres or
microns become mm.

**Where we are not ITK.** A slope of 0 means no scaling, as the standard says (ITK adds the intercept). NaN and
infinities stay what they are (ITK reads 0). Negative spacings are refused (ITK mirrors). Agreement of the two forms is
tested on their numbers (ITK: on singular vectors, whose order is a matter of rounding), which can matter by as much as
the forms differ.

Source: nifti1.h and nifti2.h of the NIfTI Data Format Working Group, https://nifti.nimh.nih.gov.
"""

from __future__ import annotations

import math
import struct
import sys
from collections.abc import Iterator
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, cast

from voxlogica._dataclass import dataclass, replace
from voxlogica.errors import Refusal
from voxlogica.images.files import Plain, check_memory, damaged, filled, header_only, mask_bytes
from voxlogica.images.spaces import at_right_angles, check_axes, check_components, check_spacing, placed, skewed
from voxlogica.values import Image, Mask, Model, Space

if TYPE_CHECKING:
    from voxlogica.images.files import Voxels

Matrix = tuple[tuple[float, ...], ...]

VECTOR = 1007  # NIFTI_INTENT_VECTOR: the fifth axis holds the components
TYPES = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8",
}  # fmt: skip
COLOURS = {128: 3, 2304: 4}  # RGB24 and RGBA32: bytes, components beside each other
REFUSED = {
    1: "single bits", 32: "complex numbers", 1792: "complex numbers", 2048: "complex numbers",
    1536: "numbers of 128 bits",
}  # fmt: skip
TO_MM = {1: 1000.0, 3: 0.001}  # metres and microns

# What is not used is skipped over: zeros when written.
_LAYOUT_1 = "i36x8h12x3h2x8f3f3xB128x2h6f12f16x4s"
_LAYOUT_2 = "i8s2h8q24x8dq2d152x2i6d12d4x2i32x"
_SIZES = {1: 348, 2: 540}
_MAGIC = {1: b"n+1\0", 2: b"n+2\0\r\n\x1a\n"}


@dataclass(frozen=True)
class Header:
    """What a header says, as far as it is used; `version` 1 or 2, `order` "<" or ">"."""

    version: int
    order: str
    dim: tuple[int, ...]
    intent: int
    datatype: int
    pixdim: tuple[float, ...]
    offset: int
    slope: float
    inter: float
    units: int
    qform_code: int
    sform_code: int
    quatern: tuple[float, ...]
    qoffset: tuple[float, ...]
    srow: tuple[float, ...]

    @property
    def components(self) -> int:
        """Numbers at a voxel."""
        return COLOURS.get(self.datatype) or (self.dim[5] if self._is_vector else 1)

    @property
    def _is_vector(self) -> bool:
        return self.intent == VECTOR and self.dim[0] >= 5

    @property
    def interleaved(self) -> bool:
        """Whether the components of a voxel are beside each other; else each component is a volume."""
        return self.datatype in COLOURS

    @property
    def dtype(self) -> str:
        """NumPy's name of the numbers in the file."""
        return "u1" if self.interleaved else self.order + TYPES[self.datatype]

    @property
    def axes(self) -> tuple[int, ...]:
        """The sizes that are not those of components, at least three, without final ones."""
        sizes = list(self.dim[1 : self.dim[0] + 1])
        if self._is_vector:
            sizes[4] = 1
        while len(sizes) > 3 and sizes[-1] == 1:
            sizes.pop()
        return (*sizes, *(1,) * (3 - len(sizes)))

    @property
    def data_bytes(self) -> int:
        """The size of the voxels in the file."""
        return prod(self.axes) * self.components * int(self.dtype[-1])

    @cached_property
    def native(self) -> tuple[int | float | str, ...]:
        """The geometry for `Space.native`: what `from_native` takes."""
        kind = "nifti" if self.version == 1 else "nifti2"
        fields = (*self.pixdim[:4], *self.quatern, *self.qoffset, *self.srow)
        geometry = (0.0 if math.isnan(f) else f for f in fields)
        dimensions = min(3, self.dim[0])
        return (kind, dimensions, *self.axes[:3], self.units, self.qform_code, self.sform_code, *geometry)

    def pack(self) -> bytes:
        """The bytes of the header."""
        sizeof, magic = _SIZES[self.version], _MAGIC[self.version]
        bits = 8 * int(self.dtype[-1]) * (self.components if self.interleaved else 1)
        codes = (self.qform_code, self.sform_code)
        form = (*self.quatern, *self.qoffset, *self.srow)
        scale = (float(self.slope), float(self.inter))
        if self.version == 1:
            return struct.pack(
                self.order + _LAYOUT_1, sizeof, *self.dim, self.intent, self.datatype, bits, *self.pixdim,
                float(self.offset), *scale, self.units, *codes, *form, magic,
            )  # fmt: skip
        return struct.pack(
            self.order + _LAYOUT_2, sizeof, magic, self.datatype, bits, *self.dim, *self.pixdim,
            self.offset, *scale, *codes, *form, self.units, self.intent,
        )  # fmt: skip


def from_native(native: tuple[object, ...]) -> Header:
    """A header with this geometry, for voxels of float32."""
    n = cast("tuple[float, ...]", native)
    dim = (int(n[1]), int(n[2]), int(n[3]), int(n[4]), 1, 1, 1, 1)
    return Header(
        version=2 if native[0] == "nifti2" else 1, order="<", dim=dim, intent=0, datatype=16,
        pixdim=(*n[8:12], 1.0, 1.0, 1.0, 1.0), offset=0, slope=1.0, inter=0.0,
        units=int(n[5]), qform_code=int(n[6]), sform_code=int(n[7]), quatern=n[12:15], qoffset=n[15:18], srow=n[18:30],
    )  # fmt: skip


def is_oriented(space: Space) -> bool:
    """Whether it is known how a grid lies in the patient: unless it is a NIfTI file's with neither qform nor sform."""
    native = space.native
    return not native or native[0] not in ("nifti", "nifti2") or max(cast("tuple[int, ...]", native[6:8])) > 0


# Reading


def unpack(stream: Plain) -> Header:
    """The header at the beginning of a file; leaves the stream at the first voxel, refuses what cannot be an image."""
    name = stream.name
    start = stream.take(4)
    version, order = {
        b"\x5c\x01\0\0": (1, "<"), b"\0\0\x01\x5c": (1, ">"), b"\x1c\x02\0\0": (2, "<"), b"\0\0\x02\x1c": (2, ">"),
    }.get(start, (0, ""))  # fmt: skip
    if not version:
        if start[:2] == b"\x1f\x8b":
            raise Refusal(f"{name} is compressed with gzip", help="give it a name that ends in .nii.gz")
        raise damaged(name, "its contents are not NIfTI")
    raw = start + stream.take(_SIZES[version] - 4)
    if version == 1:
        f = struct.unpack(order + _LAYOUT_1, raw)
        header = Header(
            1, order, f[1:9], f[9], f[10], f[12:20], _offset(f[20], name), _number(f[21]), _number(f[22]),
            f[23], f[24], f[25], f[26:29], f[29:32], f[32:44],
        )  # fmt: skip
        magic = f[44]
    else:
        f = struct.unpack(order + _LAYOUT_2, raw)
        header = Header(
            2, order, f[4:12], f[44], f[2], f[12:20], f[20], _number(f[21]), _number(f[22]),
            f[43], f[23], f[24], f[25:28], f[28:31], f[31:43],
        )  # fmt: skip
        magic = f[1]
    _check(header, magic, name)
    check_memory(name, prod(header.axes) * header.components * 4)
    stream.skip(header.offset - len(raw))
    return header


def _offset(number: float, name: str) -> int:
    if not number.is_integer():  # neither is an infinity or NaN
        raise damaged(name, f"its header says that its voxels begin at byte {number}")
    return int(number)


def _number(number: float) -> float:
    return number if math.isfinite(number) else 0.0


def _check(header: Header, magic: bytes, name: str) -> None:
    """Refuses a header that cannot be, and images that are not for us."""
    if magic[:3] in (b"ni1", b"ni2"):
        raise header_only(name, ".nii.gz")
    if magic != _MAGIC[header.version]:
        raise damaged(name, "its contents are not NIfTI")
    count = header.dim[0]
    if not 1 <= count <= 7 or min(header.dim[1 : count + 1]) < 1:
        raise damaged(name, "its header gives no sizes")
    if header.offset < _SIZES[header.version]:
        raise damaged(name, f"its header says that its voxels begin at byte {header.offset}")
    if header.datatype in REFUSED:
        raise Refusal(f"{name} holds {REFUSED[header.datatype]}", help="save it with voxels of 32-bit floating point")
    if header.datatype not in TYPES and header.datatype not in COLOURS:
        raise damaged(name, f"its header gives its voxels a type that does not exist, {header.datatype}")
    check_axes(name, header.axes if count > 1 else header.dim[1:2])
    check_components(name, header.components)


def space(header: Header, name: str) -> Space:
    """Where the voxels are."""
    scale = TO_MM.get(header.units & 7, 1.0)
    matrix = _matrix(header, name)
    return placed(
        name,
        header.axes,
        [check_spacing(name, p) * scale for p in header.pixdim[1:4]],
        [row[3] * scale for row in matrix],
        [[row[j] for row in matrix] for j in range(3)],
        header.native,
    )


def _matrix(header: Header, name: str) -> Matrix:
    """From indices to the LPS world in the file's units, 3 rows of 4; only the columns' directions count."""
    has_qform, has_sform = header.qform_code > 0, header.sform_code > 0
    if not has_qform and not has_sform:
        return ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0))
    qform = _qform(header)
    sform = tuple(header.srow[i : i + 4] for i in (0, 4, 8))
    rotation = has_sform and at_right_angles([[row[j] for row in sform] for j in range(3)])
    use_sform = rotation and (not has_qform or header.sform_code == 1 or _alike(sform, qform))
    if not use_sform and not has_qform:
        raise skewed(name, "its sform is no rotation, and it has no qform")
    x, y, z = sform if use_sform else qform
    return (tuple(0.0 - v for v in x), tuple(0.0 - v for v in y), tuple(z))


def _qform(header: Header) -> Matrix:
    """The rotation of the quaternion, its third column negated if pixdim[0] is, columns times spacings."""
    b, c, d = header.quatern
    a = 1.0 - (b * b + c * c + d * d)
    if a < 1e-7:  # a turn by 180 degrees; rounding may have made the rest too long
        length = math.sqrt(b * b + c * c + d * d)
        a, b, c, d = 0.0, b / length, c / length, d / length
    else:
        a = math.sqrt(a)
    x, y, z = (p if p > 0 else 1.0 for p in header.pixdim[1:4])
    if header.pixdim[0] < 0:
        z = -z
    return (
        ((a * a + b * b - c * c - d * d) * x, 2 * (b * c - a * d) * y, 2 * (b * d + a * c) * z, header.qoffset[0]),
        (2 * (b * c + a * d) * x, (a * a + c * c - b * b - d * d) * y, 2 * (c * d - a * b) * z, header.qoffset[1]),
        (2 * (b * d - a * c) * x, 2 * (c * d + a * b) * y, (a * a + d * d - c * c - b * b) * z, header.qoffset[2]),
    )


def _alike(a: Matrix, b: Matrix) -> bool:
    """Whether two matrices differ by no more than rounding to float32 and back does."""
    return all(abs(x - y) <= 1e-4 for p, q in zip(a, b, strict=True) for x, y in zip(p, q, strict=True))


def inspect(stream: Plain) -> Space:
    """The space of a file whose every byte was seen and verified."""
    header = unpack(stream)
    where = space(header, stream.name)
    stream.skip(header.data_bytes)
    stream.finish()
    return where


def voxels(stream: Plain) -> Voxels:
    """The numbers of a file as `filled` gives them. Colours are never scaled, says the standard."""
    header = unpack(stream)
    scaled = header.slope != 0 and not header.interleaved
    return filled(
        stream,
        prod(header.axes),
        header.components,
        header.dtype,
        header.interleaved,
        header.slope if scaled else 1.0,
        header.inter if scaled else 0.0,
    )


# Writing


def encode(value: Mask | Image | Model, provenance: str) -> Iterator[bytes | memoryview]:
    """The parts of a file: header, what there is to tell, voxels. The geometry is the very one that was read."""
    header = _header(value.space)
    data: bytes | memoryview = value.data
    if isinstance(value, Mask):
        header = replace(header, datatype=2)
        data = mask_bytes(value)
    elif isinstance(value, Model) and value.components > 1:
        header, data = _colours(header, value)
    elif sys.byteorder == "big":
        data = value.array().byteswap().tobytes()
    told = _extension(provenance)
    header = replace(header, offset=_SIZES[header.version] + len(told))
    yield header.pack()
    yield told
    yield data


def _colours(header: Header, value: Model) -> tuple[Header, bytes]:
    """Bytes where nothing is lost, else a vector image of float32."""
    import numpy as np

    array = value.array()
    with np.errstate(invalid="ignore"):
        bytes_ = array.astype(np.uint8)
    if (bytes_ == array).all():
        return replace(header, datatype={3: 128, 4: 2304}[value.components]), bytes_.tobytes()
    dim = (5, *header.dim[1:4], 1, value.components, 1, 1)
    return replace(header, dim=dim, intent=VECTOR), np.moveaxis(array, -1, 0).astype("<f4").tobytes()


def _extension(text: str) -> bytes:
    """The header extension that holds a comment, after the four bytes that announce it; or four zeros."""
    if not text:
        return bytes(4)
    raw = text.encode()
    size = -(-(8 + len(raw)) // 16) * 16
    return struct.pack("<4B2i", 1, 0, 0, 0, size, 6) + raw.ljust(size - 8, b"\0")


def _header(space: Space) -> Header:
    """A header with the geometry of a space: as its NIfTI file wrote it, or both forms made from what is known."""
    if space.native and space.native[0] in ("nifti", "nifti2"):
        header = from_native(space.native)
        if prod(header.dim[1:4]) != space.voxels:
            raise ValueError(f"{space} has the geometry of a file of another size")
        return header
    n = space.dimensions
    if max(space.size) > 32767:
        raise Refusal(f"an axis of {max(space.size)} voxels is too long for NIfTI", help="save it as .nrrd")
    direction = [[space.direction[i * n + j] if max(i, j) < n else float(i == j) for j in range(3)] for i in range(3)]
    rows = [[(-v if i < 2 else v) for v in direction[i]] for i in range(3)]
    origin = [(0.0 - v if i < 2 else v) for i, v in enumerate((*space.origin, 0.0)[:3])]
    sform = [
        (*(v * s for v, s in zip(row, space.spacing3, strict=True)), o) for row, o in zip(rows, origin, strict=True)
    ]
    quatern, qfac = _quaternion(rows)
    dim = (n, *space.size, *(1,) * (7 - n))
    return Header(
        version=1, order="<", dim=dim, intent=0, datatype=16, pixdim=(qfac, *space.spacing3, 1.0, 1.0, 1.0, 1.0),
        offset=0, slope=1.0, inter=0.0, units=2, qform_code=1, sform_code=1, quatern=quatern,
        qoffset=tuple(origin), srow=tuple(v for row in sform for v in row),
    )  # fmt: skip


def _quaternion(rows: list[list[float]]) -> tuple[tuple[float, ...], float]:
    """The quaternion (b, c, d) of the rotation nearest to a matrix, and −1 if its third axis must be negated first."""
    import numpy as np

    matrix = np.array(rows)
    left, _, right = np.linalg.svd(matrix)
    matrix = left @ right
    qfac = 1.0 if np.linalg.det(matrix) > 0 else -1.0
    matrix[:, 2] *= qfac
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = matrix.tolist()
    # Four rows, each the quaternion times four times its own diagonal; the longest loses nothing.
    length, (a, b, c, d) = max(
        (1 + xx + yy + zz, (1 + xx + yy + zz, zy - yz, xz - zx, yx - xy)),
        (1 + xx - yy - zz, (zy - yz, 1 + xx - yy - zz, xy + yx, xz + zx)),
        (1 + yy - xx - zz, (xz - zx, xy + yx, 1 + yy - xx - zz, yz + zy)),
        (1 + zz - xx - yy, (yx - xy, xz + zx, yz + zy, 1 + zz - xx - yy)),
    )
    scale = math.copysign(2 * math.sqrt(length), a or 1.0)  # NIfTI's a is never negative
    return (b / scale + 0.0, c / scale + 0.0, d / scale + 0.0), qfac
