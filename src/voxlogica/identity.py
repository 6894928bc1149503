"""Every hash formula of the project and its canonical encoding; nothing else hashes.

An id is the SHA-256 of a canonical encoding that begins with what kind of thing it names. The encoding is binary,
tagged and length-prefixed, so that no two different values share one; numbers are IEEE bytes, never text.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import NewType

FORMAT = 1
"""The version of the encoding; it enters every id."""

Id = NewType("Id", bytes)
"""The 32 bytes that name a formula, a leaf or a space; `id.hex()` is what people see."""

Plain = None | bool | int | float | str | bytes | Sequence["Plain"]

_length = struct.Struct("<Q").pack
_double = struct.Struct("<d").pack
_ID = b"b" + _length(32)
_NO_PARAMETERS = b"l" + _length(0)


def canonical(value: Plain) -> bytes:
    """The canonical bytes of a plain value: equal values, and only those, have equal bytes.

    `True`, `1` and `1.0` differ; −0.0 is 0.0 and all NaN are one.
    """
    parts: list[bytes] = []
    _encode(value, parts)
    return b"".join(parts)


def _encode(value: Plain, parts: list[bytes]) -> None:
    if isinstance(value, bytes):
        parts += (b"b", _length(len(value)), value)
    elif isinstance(value, str):
        text = value.encode("utf-8", "surrogatepass")
        parts += (b"s", _length(len(text)), text)
    elif value is None:
        parts.append(b"n")
    elif isinstance(value, bool):
        parts.append(b"t" if value else b"f")
    elif isinstance(value, int):
        size = value.bit_length() // 8 + 1
        parts += (b"i", _length(size), value.to_bytes(size, "little", signed=True))
    elif isinstance(value, float):
        parts += (b"d", _double(normal(value)))
    else:
        parts += (b"l", _length(len(value)))
        for item in value:
            _encode(item, parts)


def plain(data: bytes) -> Plain:
    """The value that has these canonical bytes, sequences as tuples. Raises `ValueError` when nothing has."""
    value, end = _decode(data, 0)
    if end != len(data) or canonical(value) != data:
        raise ValueError("these are not canonical bytes")
    return value


def _decode(data: bytes, at: int) -> tuple[Plain, int]:
    tag, at = data[at : at + 1], at + 1
    if tag in b"ntf" and tag:
        return {b"n": None, b"t": True, b"f": False}[tag], at
    if len(data) < at + 8 or tag not in (b"b", b"s", b"i", b"d", b"l"):
        raise ValueError("these are not canonical bytes")
    if tag == b"d":
        return struct.unpack_from("<d", data, at)[0], at + 8
    (length,) = struct.unpack_from("<Q", data, at)
    at += 8
    if length > len(data) - at:  # an item of a list takes a byte at least
        raise ValueError("these are not canonical bytes")
    if tag == b"l":
        items = []
        for _ in range(length):
            item, at = _decode(data, at)
            items.append(item)
        return tuple(items), at
    body, at = data[at : at + length], at + length
    if tag == b"b":
        return body, at
    if tag == b"s":
        return body.decode("utf-8", "surrogatepass"), at
    return int.from_bytes(body, "little", signed=True), at


def normal(number: float) -> float:
    """The number that stands for all that compare equal to it: −0.0 is 0.0, and there is one NaN."""
    return math.nan if number != number else number + 0.0


def applied(
    operator: str, version: int, space: Id | None, arguments: Sequence[Id], parameters: Sequence[Plain] = ()
) -> Id:
    """The id of an operator applied to formulas; a commutative operator's arguments are sorted by the caller.

    It is the hash of `("apply", FORMAT, operator, version, space, arguments, parameters)`, put together from parts:
    this is most of the time that a large program takes to become formulas.
    """
    start = _start(operator, version, space, len(arguments))
    rest = canonical(parameters) if parameters else _NO_PARAMETERS
    return sha256(_ID.join([start, *arguments]) + rest).digest()  # type: ignore[return-value]


@lru_cache(maxsize=4096)
def _start(operator: str, version: int, space: Id | None, arguments: int) -> bytes:
    """What stands before the arguments, and is the same for many formulas."""
    fields = ("apply", FORMAT, operator, version, space)
    return b"l" + _length(7) + b"".join([canonical(field) for field in fields]) + b"l" + _length(arguments)


def constant(value: bool | float | str) -> Id:
    """The id of a constant, a number always as a double."""
    return _hash("constant", FORMAT, float(value) if type(value) is int else value)


def hole(number: int, space: Id | None) -> Id:
    """The id of the place in a formula that another one is to take; see `formula.Late`."""
    return _hash("hole", FORMAT, number, space)


def leaf(digest: bytes, reader: str, reader_version: int, space: Id) -> Id:
    """The id of a file's value: the digest of its bytes, how it was read, and the canonical space it is read into."""
    return _hash("leaf", FORMAT, digest, reader, reader_version, space)


def space(fields: Sequence[Plain]) -> Id:
    """The id of a closure space, from all its fields."""
    return _hash("space", FORMAT, fields)


def reading(paths: Sequence[str]) -> Id:
    """The id under which one process at a time reads files through."""
    return _hash("reading", FORMAT, paths)


def turn(goals: Sequence[Id]) -> Id:
    """The id under which one process at a time computes goals that several want."""
    return _hash("turn", FORMAT, goals)


def file_digest(blocks: Iterable[bytes | memoryview]) -> bytes:
    """The digest of a file's bytes, given in blocks."""
    hasher = sha256()
    for block in blocks:
        hasher.update(block)
    return hasher.digest()


def _hash(kind: str, *fields: Plain) -> Id:
    return Id(sha256(canonical((kind, *fields))).digest())
