"""Values to bytes and back: a form, which is a text, and a body; one codec per tag, nothing is ever unpickled.

The form is the tag and, after a blank, what else is needed to read the body.

    tag       and                  body
    bool                           1 byte
    number                         8 bytes, IEEE double; the bits of a NaN are kept
    integer                        two's complement, little endian, as long as it needs
    string                         UTF-8, lone surrogates included
    bytes                          itself
    space                          JSON
    mask      the space            words of 64 voxels, as in memory
    image     the space            float32, x fastest
    labels    the space            the same
    model     space, components    float32, components fastest
    list      tuple or list        an index, then the elements' bodies
    record                         the same, for a record

In a body every volume begins at a multiple of 64 bytes, so that a mapped file is used where it lies. Exact types only:
a subclass is another type, and has no codec.
"""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, TypeAlias
from zlib import crc32

from voxlogica import identity
from voxlogica._dataclass import NamedTuple
from voxlogica.identity import Plain
from voxlogica.values import Image, Labels, Mask, Model, Record, Space, Value

ALIGNMENT = 64

Storable: TypeAlias = "Value | int | Space | Sequence[Storable]"
"""What has a codec: the values of the logic, spaces, and sequences of them."""

Bytes: TypeAlias = bytes | memoryview

_Encoded: TypeAlias = tuple[str, Sequence[Bytes]]

_double = struct.Struct("<d")
_to_double = _double.unpack
_length = struct.Struct("<Q")


class Encoded(NamedTuple):
    """A value as bytes: the body is the parts one after the other."""

    form: str
    parts: Sequence[Bytes]

    @property
    def size(self) -> int:
        """Bytes of the body."""
        return sum(map(len, self.parts))


def encode(value: Storable) -> Encoded:
    """The bytes of a value. Volumes are not copied. Raises TypeError for what has no codec."""
    codec = _ENCODERS.get(type(value))
    if codec is None:
        raise TypeError(f"a {type(value).__name__} cannot be stored")
    return tuple.__new__(Encoded, codec(value))  # half the price


def decode(form: str, body: Bytes) -> Value:
    """The value. Volumes stay where the body is and keep it alive. Raises ValueError when the bytes do not fit."""
    _, decoder, more = _reading(form)
    value: Value = decoder(more, body)
    return value


def decode_checked(form: str, body: Bytes, expected: int) -> Value | None:
    """The value, if the bytes have the checksum expected: both at once, since a hit takes little more than this."""
    started, decoder, more = _reading(form)
    return decoder(more, body) if crc32(body, started) == expected else None


# Volumes


def space_to_json(space: Space) -> str:
    """A space as JSON text; floats are kept to the last bit."""
    fields = (space.size, space.spacing, space.origin, space.direction, space.native)
    return json.dumps(_plain_to_json(fields), separators=(",", ":"))


@lru_cache(maxsize=256)
def space_from_json(text: str) -> Space:
    """The space; the same object for the same text, as long as it is remembered."""
    fields = _plain_from_json(json.loads(text))
    return Space(*fields)


def _plain_to_json(value: Plain) -> object:
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return [_plain_to_json(item) for item in value]


def _plain_from_json(value: Any) -> Any:
    if isinstance(value, list):
        return tuple([_plain_from_json(item) for item in value])
    if isinstance(value, dict):
        return bytes.fromhex(value["bytes"])
    return value


def _volume(tag: str) -> Callable[[Any], _Encoded]:
    def encode(value: Mask | Image | Model) -> _Encoded:
        return f"{tag} {space_to_json(value.space)}", (value.data,)

    return encode


def _view(body: Bytes, size: int) -> memoryview:
    if len(body) != size:
        raise ValueError(f"expected {size} bytes, not {len(body)}")
    return memoryview(body).toreadonly()


def _mask(header: str, body: Bytes) -> Mask:
    space = space_from_json(header)
    z, y, x = space.shape
    return Mask(space, _view(body, z * y * -(-x // 64) * 8))


def _image(header: str, body: Bytes) -> Image:
    space = space_from_json(header)
    return Image(space, _view(body, 4 * space.voxels))


def _labels(header: str, body: Bytes) -> Labels:
    space = space_from_json(header)
    return Labels(space, _view(body, 4 * space.voxels))


def _encode_model(value: Model) -> _Encoded:
    return f"model {value.components} {space_to_json(value.space)}", (value.data,)


def _model(header: str, body: Bytes) -> Model:
    components, _, text = header.partition(" ")
    space = space_from_json(text)
    return Model(space, _view(body, 4 * space.voxels * int(components)), int(components))


# Sequences and records: an index (JSON: form, offset, size of each), then the bodies


def _encode_list(value: Sequence[Storable]) -> _Encoded:
    return f"list {type(value).__name__}", _pack([encode(item) for item in value], None)


def _encode_record(value: Record) -> _Encoded:
    return "record", _pack([encode(item) for item in value.values()], list(value))


def _pack(items: Sequence[Encoded], names: list[str] | None) -> list[Bytes]:
    at, places, bodies = 0, [], list[Bytes]()
    for item in items:
        size = item.size
        if size >= ALIGNMENT and at % ALIGNMENT:
            bodies.append(bytes(-at % ALIGNMENT))
            at += -at % ALIGNMENT
        places.append((item.form, at, size))
        bodies += item.parts
        at += size
    index = json.dumps([names, places], separators=(",", ":")).encode()
    start = _length.pack(len(index)) + index
    return [start + bytes(-len(start) % ALIGNMENT), *bodies]


def _unpack(body: Bytes) -> tuple[list[str] | None, list[Value]]:
    view = memoryview(body)
    end = _length.size + _length.unpack_from(view)[0]
    names, places = json.loads(bytes(view[_length.size : end]))
    first = end + -end % ALIGNMENT
    items = [decode(form, view[first + at : first + at + size]) for form, at, size in places]
    return names, items


def _list(header: str, body: Bytes) -> list[Value] | tuple[Value, ...]:
    _, items = _unpack(body)
    return tuple(items) if header == "tuple" else items


def _record(_: str, body: Bytes) -> Record:
    names, items = _unpack(body)
    return Record(dict(zip(names or (), items, strict=True)))


# The table. Numbers first: a trivial task is a number.

_TRUE, _FALSE = b"\1", b"\0"

_ENCODERS: dict[type, Callable[[Any], _Encoded]] = {
    float: lambda value: ("number", (_double.pack(value),)),
    bool: lambda value: ("bool", (_TRUE if value else _FALSE,)),
    int: lambda value: ("integer", (value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True),)),
    str: lambda value: ("string", (value.encode("utf-8", "surrogatepass"),)),
    bytes: lambda value: ("bytes", (value,)),
    Space: lambda value: ("space", (space_to_json(value).encode(),)),
    Mask: _volume("mask"),
    Image: _volume("image"),
    Labels: _volume("labels"),
    Model: _encode_model,
    list: _encode_list,
    tuple: _encode_list,
    Record: _encode_record,
}

_Decoder: TypeAlias = Callable[[str, Bytes], Any]

_DECODERS: dict[str, _Decoder] = {
    "number": lambda _, body: _to_double(body)[0],
    "bool": lambda _, body: body[0] == 1,
    "integer": lambda _, body: int.from_bytes(body, "little", signed=True),
    "string": lambda _, body: str(body, "utf-8", "surrogatepass"),
    "bytes": lambda _, body: bytes(body),
    "space": lambda _, body: space_from_json(str(body, "utf-8")),
    "mask": _mask,
    "image": _image,
    "labels": _labels,
    "model": _model,
    "list": _list,
    "record": _record,
}

if sys.byteorder != "little":
    raise ImportError("stored volumes are little-endian, and this machine is not")


def digest(form: str, parts: Sequence[Bytes]) -> bytes:
    """The SHA-256 of form and body, which goes with a blob."""
    return identity.file_digest((form.encode() + b"\n", *parts))


def checksum(form: str, body: Bytes) -> int:
    """The CRC-32 of the same, which goes with what is small: it finds any damage short enough to be likely there."""
    return crc32(body, _reading(form)[0])


@lru_cache(maxsize=256)
def _reading(form: str) -> tuple[int, _Decoder, str]:
    """What reads a body of this form: the checksum as the form begins it, the decoder, what that is to be told.

    A form without a codec has a decoder that says so: the checksum comes first, since the form may be damaged.
    """
    tag, _, more = form.partition(" ")
    decoder = _DECODERS.get(tag)
    return crc32(form.encode() + b"\n"), *((decoder, more) if decoder else (_refuse, tag))


def _refuse(tag: str, _: Bytes) -> Any:
    raise ValueError(f"no codec for the tag {tag!r}")
