"""Files on disk: what is opened, how it is known again, and the bytes of it, decompressed and verified on the way."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import BinaryIO

from voxlogica.errors import Refusal

AGAIN = "copy or download it again; nothing has been computed"
BLOCK = 1 << 18  # bytes; output of this size stays in the cache until it is converted


@dataclass(frozen=True, slots=True)
class File:
    """A file that was bound. `name` is what the user wrote; what `fstat` says is how it is known again."""

    name: str
    path: str
    format: str
    status: tuple[int, ...]


def status(handle: BinaryIO) -> tuple[int, ...]:
    """What changes when a file does: device, inode, size, times of modification and of change in ns."""
    s = os.fstat(handle.fileno())
    return (s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns)


def damaged(name: str, why: str) -> Refusal:
    """A file is not what its format wants it to be."""
    return Refusal(f"{name} is damaged: {why}", help=AGAIN)


def short(name: str) -> Refusal:
    """A file is shorter than it says."""
    return damaged(name, "it ends in the middle")


def changed(name: str) -> Refusal:
    """A file is no longer what was bound."""
    return Refusal(f"{name} changed while it was being used", help="run again when nothing writes to it")


def reason(error: OSError) -> str:
    """Why the system refused, as the rest of a sentence."""
    text = error.strerror or str(error)
    return text[:1].lower() + text[1:]


def check_readable(name: str) -> None:
    """Refuses what is no file at all; looks at nothing inside it."""
    try:
        mode = Path(name).stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise _missing(name) from None
    except (OSError, ValueError) as error:
        raise unreadable(name, error) from None
    if stat.S_ISDIR(mode):
        raise Refusal(f"{name} is a directory, not a file", help="name one file of it")
    if not stat.S_ISREG(mode):
        raise Refusal(f"{name} is not a regular file", help="copy what it holds to a file, and load that")


def unreadable(name: str, error: OSError | ValueError) -> Refusal:
    """The system refused to read it; a ValueError is a name that no file can have."""
    return Refusal(f"{name} cannot be read: {reason(error) if isinstance(error, OSError) else error}")


def _missing(name: str) -> Refusal:
    path = Path(name)
    lost = [parent for parent in path.parents if not parent.exists()]
    relative = "" if path.is_absolute() else "paths are relative to the directory where the command runs"
    if lost:
        return Refusal(f"there is no file {name}", (f"there is no directory {lost[-1]}",), relative)
    if not path.parent.is_dir():
        return Refusal(f"there is no file {name}", (f"{path.parent} is a file, not a directory",), relative)
    try:
        close = get_close_matches(path.name, os.listdir(path.parent), n=1)
    except OSError:
        close = []
    if close:
        return Refusal(f"there is no file {name}", label=f"did you mean `{path.parent / close[0]}`?")
    return Refusal(f"there is no file {name}", help=relative)


def blocks(handle: BinaryIO) -> Iterator[bytes]:
    """The rest of a file as it lies on disk."""
    while block := handle.read(1 << 20):
        yield block


class Plain:
    """The bytes of a file, in order, exactly as many as are wanted or a refusal."""

    def __init__(self, handle: BinaryIO, name: str) -> None:
        self.name = name
        self._handle = handle

    def some(self, most: int) -> bytes:
        """At least one byte and at most so many; none at the end."""
        return self._handle.read(most)

    def take(self, count: int) -> bytes:
        """Exactly so many bytes."""
        parts = []
        while count:
            part = self.some(count)
            if not part:
                raise short(self.name)
            parts.append(part)
            count -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def skip(self, count: int) -> None:
        """Passes over exactly so many bytes."""
        while count:
            count -= len(self.take(min(count, BLOCK)))

    def finish(self) -> None:
        """Refuses what follows the end."""
        if self.some(1):
            raise damaged(self.name, "it goes on after its last voxel")


class Inflated(Plain):
    """The bytes that a file's gzip members, or its one zlib stream, hold; sizes and checksums are verified."""

    def __init__(self, handle: BinaryIO, name: str, zlib: bool = False) -> None:
        super().__init__(handle, name)
        from isal import igzip_lib

        self._flag = igzip_lib.DECOMP_ZLIB if zlib else igzip_lib.DECOMP_GZIP
        self._error = igzip_lib.IsalError
        self._new = igzip_lib.IgzipDecompressor
        self._zlib = zlib
        self._first = True
        self._decompressor: igzip_lib.IgzipDecompressor | None = None
        self._rest = b""

    def some(self, most: int) -> bytes:
        while self._decompressor is not None or self._next_member():
            assert self._decompressor is not None
            raw = b""
            if self._decompressor.needs_input:
                raw = self._rest or self._handle.read(BLOCK)
                self._rest = b""
                if not raw:
                    raise short(self.name)
            try:
                block = self._decompressor.decompress(raw, most)
            except self._error as error:
                what = "its checksum is not that of its contents" if "checksum" in str(error) else "it does not unpack"
                raise damaged(self.name, what) from None
            if self._decompressor.eof:
                self._rest = self._decompressor.unused_data
                self._decompressor = None
            if block:
                return block
        return b""

    def _next_member(self) -> bool:
        """Whether another gzip member begins; what else may follow one is zeros, with which tapes are filled up."""
        first, start = self._first, self._rest
        self._first = False
        while len(start) < 2 and (more := self._handle.read(BLOCK)):
            start = (start if first else start.lstrip(b"\0")) + more
        if not first:
            start = start.lstrip(b"\0")
        self._rest = start
        if first and not self._zlib and start[:2] != b"\x1f\x8b":
            raise damaged(self.name, "its name says gzip, and its contents are something else")
        if not first and start and (self._zlib or start[:2] != b"\x1f\x8b"):
            raise damaged(self.name, "something else follows its compressed data")
        if start:
            self._decompressor = self._new(flag=self._flag)
        return bool(start)


def deflated(parts: Iterable[bytes | memoryview]) -> bytes:
    """One gzip member, without a name or a time, so that the same contents are the same bytes."""
    from isal import isal_zlib

    compressor = isal_zlib.compressobj(level=1, wbits=31)
    return b"".join([*(compressor.compress(part) for part in parts), compressor.flush()])
