"""NRRD and MetaImage (.mha): a header in text, then the voxels, raw or compressed.

What they say is taken as ITK takes it. Files whose voxels are elsewhere, or are text, are refused.

Sources: http://teem.sourceforge.net/nrrd/format.html; https://itk.org/Wiki/MetaIO/Documentation.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import hypot, prod
from typing import TYPE_CHECKING

from voxlogica._dataclass import dataclass
from voxlogica.errors import Refusal
from voxlogica.images.files import Plain, check_memory, damaged, deflated, filled, header_only, mask_bytes, zlib_stream
from voxlogica.images.spaces import at_right_angles, check_axes, check_components, check_spacing, placed, skewed
from voxlogica.values import Image, Mask, Model, Space

if TYPE_CHECKING:
    from voxlogica.images.files import Voxels

_NRRD_TYPES = {
    name: code
    for code, names in {
        "i1": "signed char, int8, int8_t",
        "u1": "uchar, unsigned char, uint8, uint8_t",
        "i2": "short, short int, signed short, signed short int, int16, int16_t",
        "u2": "ushort, unsigned short, unsigned short int, uint16, uint16_t",
        "i4": "int, signed int, int32, int32_t",
        "u4": "uint, unsigned int, uint32, uint32_t",
        "i8": "longlong, long long, long long int, signed long long, signed long long int, int64, int64_t",
        "u8": "ulonglong, unsigned long long, unsigned long long int, uint64, uint64_t",
        "f4": "float",
        "f8": "double",
    }.items()
    for name in names.split(", ")
}
_META_TYPES = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4", "MET_UINT": "u4",
    "MET_LONG": "i4", "MET_ULONG": "u4", "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4", "MET_DOUBLE": "f8",
}  # fmt: skip
_MIRRORED = {
    "right-anterior-superior": (-1, -1, 1), "ras": (-1, -1, 1), "left-anterior-superior": (1, -1, 1), "las": (1, -1, 1),
}  # fmt: skip
_DOMAIN = ("domain", "space", "time", "none", "???")  # NRRD's kinds of axes that are not those of components


@dataclass(frozen=True)
class Volume:
    """What a header says: sizes without that of the components, which come first or last; where it is; its voxels."""

    sizes: tuple[int, ...]
    components: int
    components_last: bool
    dtype: str
    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    columns: tuple[tuple[float, ...], ...]
    data: Plain


def inspect(parse: Callable[[Plain], Volume], stream: Plain) -> Space:
    """The space of a file whose every byte was seen and verified."""
    volume = parse(stream)
    volume.data.skip(prod(volume.sizes) * volume.components * int(volume.dtype[-1]))
    volume.data.finish()
    if not at_right_angles(volume.columns):
        raise skewed(stream.name, "")
    return placed(stream.name, volume.sizes, volume.spacing, volume.origin, volume.columns)


def voxels(parse: Callable[[Plain], Volume], stream: Plain) -> Voxels:
    """The numbers of a file as `filled` gives them."""
    volume = parse(stream)
    return filled(volume.data, prod(volume.sizes), volume.components, volume.dtype, not volume.components_last)


def _checked(volume: Volume) -> Volume:
    """A volume with two or three axes, of numbers we take and memory that there is."""
    name = volume.data.name
    if min(volume.sizes, default=0) < 1:
        raise damaged(name, "its header gives no sizes")
    sizes = check_axes(name, volume.sizes)
    check_components(name, volume.components)
    check_memory(name, prod(sizes) * volume.components * 4)
    n = len(sizes)
    if not len(volume.spacing) == len(volume.origin) == len(volume.columns) == len(volume.sizes):
        raise damaged(name, "its header contradicts itself about the number of its axes")
    return Volume(
        sizes, volume.components, volume.components_last, volume.dtype,
        tuple(check_spacing(name, s) for s in volume.spacing[:n]),
        volume.origin[:n], tuple(c[:n] for c in volume.columns[:n]), volume.data,
    )  # fmt: skip


def _numbers(text: str, name: str) -> tuple[float, ...]:
    try:
        return tuple(float(word) for word in text.split())
    except ValueError:
        raise damaged(name, f"its header has `{text}` in place of numbers") from None


def _sizes(text: str, name: str) -> tuple[int, ...]:
    if not re.fullmatch(r"[0-9]{1,15}( +[0-9]{1,15})*", text):
        raise damaged(name, "its header gives no sizes")
    return tuple(map(int, text.split()))


def _identity(n: int) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(float(i == j) for i in range(n)) for j in range(n))


# NRRD


def parse_nrrd(stream: Plain) -> Volume:
    """The header of a NRRD file; leaves its stream at the first voxel."""
    name = stream.name
    if not re.fullmatch(rb"NRRD000[1-5]\r?\n", stream.line()):
        raise damaged(name, "its contents are not NRRD")
    fields: dict[str, str] = {}
    while line := stream.line().decode("utf-8", "replace").strip():
        if not line.startswith("#") and ":=" not in line:
            key, _, text = line.partition(":")
            fields[key.strip().lower().replace(" ", "")] = text.strip()
    _check_nrrd(name, fields)
    sizes = _sizes(fields["sizes"], name)
    kinds = fields.get("kinds", "").split() or ["domain"] * len(sizes)
    of_components = [axis for axis, kind in enumerate(kinds) if kind.lower() not in _DOMAIN]
    if len(kinds) != len(sizes) or len(of_components) > 1 or of_components not in ([], [0], [len(sizes) - 1]):
        raise Refusal(
            f"{name} has axes of the kinds {fields['kinds']}", help="save it with components on the first axis"
        )
    axes = [axis for axis in range(len(sizes)) if axis not in of_components]
    spacing, origin, columns = _nrrd_place(fields, axes, name)
    dtype = _NRRD_TYPES[fields["type"].lower()]
    order = {"little": "<", "big": ">"}.get(fields.get("endian", "").lower(), "")
    if not order and dtype[-1] != "1":
        raise damaged(name, "its header does not say in which order its bytes are")
    return _checked(
        Volume(
            tuple(sizes[axis] for axis in axes),
            sizes[of_components[0]] if of_components else 1,
            of_components not in ([], [0]),
            order + dtype,
            spacing,
            origin,
            columns,
            stream.inflated() if fields["encoding"].lower() in ("gzip", "gz") else stream,
        )
    )


def _check_nrrd(name: str, fields: Mapping[str, str]) -> None:
    for key in ("type", "dimension", "sizes", "encoding"):
        if key not in fields:
            raise damaged(name, f"its header does not give its {key}")
    if "datafile" in fields:
        raise header_only(name, ".nrrd")
    if fields["encoding"].lower() not in ("raw", "gzip", "gz"):
        raise Refusal(f"{name} has the encoding {fields['encoding']}", help="save it with the encoding gzip or raw")
    if fields["type"].lower() not in _NRRD_TYPES:
        raise Refusal(f"{name} has voxels of type {fields['type']}", help="save it with voxels of float")
    for key in ("byteskip", "lineskip", "axismins", "axismaxs"):
        if fields.get(key, "0") != "0":
            raise Refusal(f"{name} has {key} {fields[key]}", help="save it again without that, with ITK or 3D Slicer")


def _nrrd_place(
    fields: Mapping[str, str], axes: Sequence[int], name: str
) -> tuple[tuple[float, ...], tuple[float, ...], tuple[tuple[float, ...], ...]]:
    """Spacings, origin and directions of axes."""
    n = len(axes)
    if "spacedirections" not in fields:
        words = fields.get("spacings", " ".join(["1"] * (max(axes, default=0) + 1)))
        spacings = _numbers(words, name)
        if len(spacings) <= max(axes, default=0):
            raise damaged(name, "its header contradicts itself about the number of its axes")
        return tuple(spacings[axis] for axis in axes), (0.0,) * n, _identity(n)
    vectors = re.findall(r"\(([^)]*)\)", fields["spacedirections"])
    columns = [_numbers(vector.replace(",", " "), name) for vector in vectors]
    origin = _numbers(fields.get("spaceorigin", "").strip("()").replace(",", " "), name) or (0.0,) * n
    if len(columns) != n or len(origin) != n or any(len(column) != n for column in columns):
        raise damaged(name, "its header contradicts itself about the number of its axes")
    signs = _MIRRORED.get(fields.get("space", "").lower(), (1, 1, 1))
    return (
        tuple(hypot(*column) for column in columns),
        tuple(v * s for v, s in zip(origin, signs, strict=False)),
        tuple(tuple(v * s for v, s in zip(column, signs, strict=False)) for column in columns),
    )


# MetaImage


def parse_meta(stream: Plain) -> Volume:
    """The header of a MetaImage file; leaves its stream at the first voxel."""
    name = stream.name
    fields: dict[str, str] = {}
    while "ElementDataFile" not in fields:
        line = stream.line().decode("utf-8", "replace")
        key, separator, text = re.fullmatch(r"\s*(\w*)\s*([=:]?)(.*)", line, re.DOTALL).groups()  # type: ignore[union-attr]
        if not separator or not key:
            raise damaged(name, "its contents are not MetaImage")
        fields[key] = text.strip()
    _check_meta(name, fields)
    sizes = _sizes(fields["DimSize"], name)
    n = len(sizes)
    origin = next((fields[key] for key in ("Offset", "Position", "Origin") if key in fields), "0 " * n)
    matrix = next((fields[key] for key in ("TransformMatrix", "Rotation", "Orientation") if key in fields), None)
    numbers = _numbers(matrix, name) if matrix else tuple(v for row in _identity(n) for v in row)
    order = next((fields[key] for key in ("BinaryDataByteOrderMSB", "ElementByteOrderMSB") if key in fields), "False")
    return _checked(
        Volume(
            sizes,
            int(fields.get("ElementNumberOfChannels", "1")),
            False,
            (">" if _true(order) else "<") + _META_TYPES[fields["ElementType"]],
            _numbers(fields.get("ElementSpacing") or fields.get("ElementSize") or "1 " * n, name),
            _numbers(origin, name),
            tuple(numbers[i : i + n] for i in range(0, len(numbers), n)),
            stream.inflated(zlib=True) if _true(fields.get("CompressedData", "False")) else stream,
        )
    )


def _check_meta(name: str, fields: Mapping[str, str]) -> None:
    if fields["ElementDataFile"].upper() != "LOCAL":
        raise header_only(name, ".mha")
    for key in ("DimSize", "ElementType"):
        if key not in fields:
            raise damaged(name, f"its header does not give its {key}")
    if fields["ElementType"] not in _META_TYPES:
        raise Refusal(f"{name} has voxels of type {fields['ElementType']}", help="save it with voxels of MET_FLOAT")
    if not fields.get("ElementNumberOfChannels", "1").isdigit():
        raise damaged(name, "its header does not give the number of its channels")
    if not _true(fields.get("BinaryData", "True")):
        raise Refusal(f"{name} holds its voxels as text", help="save it with BinaryData = True")
    for key, usual in (
        ("HeaderSize", 0.0), ("ElementToIntensityFunctionSlope", 1.0), ("ElementToIntensityFunctionOffset", 0.0),
    ):  # fmt: skip
        if key in fields and _numbers(fields[key], name) != (usual,):
            raise Refusal(f"{name} has {key} = {fields[key]}", help="save it again without that, with ITK or 3D Slicer")


def _true(text: str) -> bool:
    return text[:1] in ("T", "t", "1", "Y", "y")


# Writing


def encode_nrrd(value: Mask | Image | Model, provenance: str) -> bytes:
    """A NRRD file, compressed."""
    space, components = value.space, _components(value)
    n = space.dimensions
    columns = [[v * space.spacing[j] for v in space.direction[j::n]] for j in range(n)]
    vectors = [f"({','.join(map(_text, column))})" for column in columns]
    first = components > 1
    lines = [
        "NRRD0004",
        f"type: {'unsigned char' if isinstance(value, Mask) else 'float'}",
        f"dimension: {n + first}",
        "space: left-posterior-superior" if n == 3 else "space dimension: 2",
        f"sizes: {' '.join(map(str, ((components,) if first else ()) + space.size))}",
        f"space directions: {' '.join((['none'] if first else []) + vectors)}",
        f"kinds: {' '.join((['vector'] if first else []) + ['domain'] * n)}",
        "endian: little",
        "encoding: gzip",
        f"space origin: ({','.join(map(_text, space.origin))})",
    ]
    if provenance:
        lines.append(f"Description:={_line(provenance)}")
    return "\n".join([*lines, "", ""]).encode() + deflated([_data(value)])


def encode_meta(value: Mask | Image | Model, provenance: str) -> bytes:
    """A MetaImage file, compressed."""
    space, components = value.space, _components(value)
    n = space.dimensions
    data = zlib_stream(_data(value))
    matrix = [v for j in range(n) for v in space.direction[j::n]]
    told = _line(provenance)
    wrap = [told[i : i + 7000] for i in range(0, len(told), 7000)]  # ITK takes lines of 32 KiB
    lines = [
        "ObjectType = Image",
        f"NDims = {n}",
        *(f"Description{n or ''} = {part}" for n, part in enumerate(wrap)),
        "BinaryData = True",
        "BinaryDataByteOrderMSB = False",
        "CompressedData = True",
        f"CompressedDataSize = {len(data)}",
        f"TransformMatrix = {' '.join(map(_text, matrix))}",
        f"Offset = {' '.join(map(_text, space.origin))}",
        f"ElementSpacing = {' '.join(map(_text, space.spacing))}",
        f"DimSize = {' '.join(map(str, space.size))}",
        *([f"ElementNumberOfChannels = {components}"] if components > 1 else []),
        f"ElementType = {'MET_UCHAR' if isinstance(value, Mask) else 'MET_FLOAT'}",
        "ElementDataFile = LOCAL",
        "",
    ]
    return "\n".join(lines).encode() + data


def _components(value: Mask | Image | Model) -> int:
    return value.components if isinstance(value, Model) else 1


def _data(value: Mask | Image | Model) -> bytes | memoryview:
    """The voxels, little-endian, x fastest, components of a voxel beside each other; a mask's as bytes 0 and 1."""
    if isinstance(value, Mask):
        return mask_bytes(value)
    return value.data if sys.byteorder == "little" else value.array().byteswap().tobytes()


def _text(number: float) -> str:
    return repr(number).removesuffix(".0")


def _line(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


inspect_nrrd, voxels_nrrd = partial(inspect, parse_nrrd), partial(voxels, parse_nrrd)
inspect_meta, voxels_meta = partial(inspect, parse_meta), partial(voxels, parse_meta)
