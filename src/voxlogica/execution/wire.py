"""Values between processes: a header in JSON, then the buffers as they are. Nothing is pickled.

A message is eight bytes with the length of the header, the header, and the buffers it tells the lengths of.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import Any, BinaryIO, cast

from voxlogica.values import Image, Labels, Mask, Model, Record, Space, Value

_KINDS: dict[str, type[Mask] | type[Image]] = {"Mask": Mask, "Image": Image, "Labels": Labels}
_length = struct.Struct("<Q")


def send(stream: BinaryIO, message: object, values: Sequence[Value | Space | tuple[Any, ...]] = ()) -> None:
    """Sends plain data and some values. Raises `TypeError` for what is not a value."""
    buffers: list[memoryview] = []
    described = [_described(value, buffers) for value in values]
    header = json.dumps([message, described, [buffer.nbytes for buffer in buffers]]).encode()
    stream.write(_length.pack(len(header)))
    stream.write(header)
    for buffer in buffers:
        stream.write(buffer)
    stream.flush()


def receive(stream: BinaryIO) -> tuple[Any, list[Any]] | None:
    """The next message and its values; None when the other end has gone, in the middle of one or between two."""
    size = stream.read(_length.size)
    if len(size) < _length.size:
        return None
    header = stream.read(_length.unpack(size)[0])
    if len(header) < _length.unpack(size)[0]:
        return None
    message, described, lengths = json.loads(header)
    buffers = []
    for length in lengths:
        buffer = bytearray(length)
        view, at = memoryview(buffer), 0
        while at < length:
            read = stream.readinto(view[at:])  # type: ignore[attr-defined]
            if not read:
                return None
            at += read
        buffers.append(view.toreadonly())
    return message, [_value(each, buffers) for each in described]


def _described(value: object, buffers: list[memoryview]) -> object:
    match value:
        case bool() | float() | int() | str():
            return ["plain", value]
        case bytes():
            buffers.append(memoryview(value))
            return ["bytes", len(buffers) - 1]
        case tuple():
            return ["tuple", [_described(item, buffers) for item in value]]
        case Record():
            return ["record", {name: _described(item, buffers) for name, item in value.items()}]
        case Space():
            return ["space", _listed(value.fields)]
        case Mask() | Image() | Model():
            buffers.append(value.data)
            components = value.components if isinstance(value, Model) else 0
            return [type(value).__name__, _listed(value.space.fields), len(buffers) - 1, components]
        case _:
            raise TypeError(f"{type(value).__name__} is not a type of values")


def _value(described: Any, buffers: list[memoryview]) -> object:
    match described:
        case ["plain", value]:
            return value
        case ["bytes", buffer]:
            return bytes(buffers[buffer])
        case ["tuple", items]:
            return tuple([_value(item, buffers) for item in items])
        case ["record", fields]:
            return Record({name: cast(Value, _value(item, buffers)) for name, item in fields.items()})
        case ["space", fields]:
            return Space(*_tuples(fields))
        case ["Model", fields, buffer, components]:
            return Model(Space(*_tuples(fields)), buffers[buffer], components)
        case [kind, fields, buffer, _]:
            return _KINDS[kind](Space(*_tuples(fields)), buffers[buffer])
    raise ValueError(f"{described!r} describes no value")


def _listed(fields: object) -> object:
    """Fields of a space as JSON has them; floats keep their bits, the sign of zero too."""
    if isinstance(fields, tuple):
        return [_listed(item) for item in fields]
    return {"bytes": fields.hex()} if isinstance(fields, bytes) else fields


def _tuples(fields: Any) -> Any:
    if isinstance(fields, list):
        return tuple([_tuples(item) for item in fields])
    return bytes.fromhex(fields["bytes"]) if isinstance(fields, dict) else fields
