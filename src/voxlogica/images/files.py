"""Files on disk: what is opened, how it is known again, and the bytes of it, decompressed and verified on the way."""

from __future__ import annotations

import os
import stat
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, BinaryIO, TypeAlias, cast
from weakref import ref

from voxlogica._dataclass import dataclass, field
from voxlogica.errors import Refusal, close_matches, reason_of
from voxlogica.values import NARROW, Mask, Narrow

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Voxels = NDArray[np.float32] | memoryview | Narrow

AGAIN = "copy or download it again; nothing has been computed"
KEPT = 1 << 26  # bytes decompressed when a file is bound that are kept till it is read: a head's in float32 are half
TOGETHER = 1 << 28  # bytes kept of all files: beside the memory that a run may take, and a data set may have thousands
BLOCK = 1 << 18  # bytes; output of this size stays in the cache until it is converted
OTHER = ">" if sys.byteorder == "little" else "<"  # the order of bytes that is not this machine's


Blocks: TypeAlias = "list[bytes | bytearray]"


class Kept:
    """What was decompressed when a file was bound, if it was not too much: for the first who reads it."""

    __slots__ = ("__weakref__", "_blocks")

    def __init__(self) -> None:
        self._blocks: Blocks = []

    def __bool__(self) -> bool:
        return bool(self._blocks)

    def put(self, blocks: Sequence[bytes | bytearray]) -> None:
        """Keeps it, and if that makes too much of all files together, lets go what has been kept longest."""
        global _bytes
        self._blocks = [*blocks]
        size = sum(map(len, blocks))
        with _keeping:
            _bytes += size
            _all.append((ref(self), size))
            while _bytes > TOGETHER:
                oldest, size = _all.popleft()
                _bytes -= size
                if (kept := oldest()) is not None:
                    kept.take()

    def take(self) -> Blocks:
        """What is kept, and is no more."""
        blocks, self._blocks = self._blocks, []
        return blocks


_keeping = Lock()
_all: deque[tuple[ref[Kept], int]] = deque()  # all that was put, and how much; some has been taken since
_bytes = 0  # of these


@dataclass(frozen=True, slots=True)
class File:
    """A file that was bound. `name` is what the user wrote; what `fstat` says is how it is known again."""

    name: str
    path: str
    format: str
    status: tuple[int, ...]
    kept: Kept = field(default_factory=Kept, compare=False, repr=False)


def status(handle: BinaryIO) -> tuple[int, ...]:
    """What changes when a file does: device, inode, size, times of modification and of change in ns."""
    return status_of(handle.fileno())


def status_of(file: int | str) -> tuple[int, ...]:
    """The same of a descriptor or a path."""
    s = os.stat(file)  # noqa: PTH116 - a descriptor has no path
    return (s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns)


def damaged(name: str, why: str) -> Refusal:
    """A file is not what its format wants it to be."""
    return Refusal(f"{name} is damaged: {why}", help=AGAIN)


def short(name: str) -> Refusal:
    """A file is shorter than it says."""
    return damaged(name, "it ends in the middle")


def header_only(name: str, extension: str) -> Refusal:
    """One file of a pair."""
    help = f"save both as one {extension} file"
    return Refusal(f"{name} is a header only: its voxels are in a file of their own", help=help)


class Circumstance(Refusal, OSError):
    """A refusal that says nothing of the file's contents: later, or elsewhere, there may be none."""


def changed(name: str) -> Circumstance:
    """A file is no longer what was bound."""
    return Circumstance(f"{name} changed while it was being used", help="run again when nothing writes to it")


def check_memory(name: str, count: int) -> None:
    """Refuses voxels that need more bytes than this machine has; asks only about many."""
    if count > 1 << 28:
        import psutil  # type: ignore[import-untyped,unused-ignore]

        memory = psutil.virtual_memory().total
        if count > memory:
            have, need = memory / 2**30, count / 2**30
            raise Refusal(f"{name} needs {need:.3g} GiB of memory, and this machine has {have:.3g} GiB")


def check_readable(name: str) -> None:
    """Refuses what is no file at all; looks at nothing inside it."""
    if not name:
        raise Refusal("the name of the file is empty", help="write it between the quotes")
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


def unreadable(name: str, error: OSError | ValueError) -> Circumstance:
    """The system refused to read it; a ValueError is a name that no file can have."""
    return Circumstance(f"{name} cannot be read: {reason_of(error) if isinstance(error, OSError) else error}")


def _missing(name: str) -> Refusal:
    path = Path(name)
    lost = [parent for parent in path.parents if not parent.exists()]
    relative = "" if path.is_absolute() else "paths are relative to the directory where the command runs"
    if lost:
        return Refusal(f"there is no file {name}", (f"there is no directory {lost[-1]}",), relative)
    if not path.parent.is_dir():
        return Refusal(f"there is no file {name}", (f"{path.parent} is a file, not a directory",), relative)
    try:
        there = [entry.name for entry in path.parent.iterdir()]
        close = [name for name in there if name.startswith(f"{path.name}.")]
        close = close or close_matches(path.name, [name for name in there if _alike(path.name, name)])
    except OSError:
        close = []
    if close:
        return Refusal(f"there is no file {name}", label=f"did you mean `{path.parent / close[0]}`?")
    return Refusal(f"there is no file {name}", help=relative)


def _alike(name: str, other: str) -> bool:
    """Whether one may be the other misspelt: not when they differ in a whole word, as `a_flair` and `a_seg` do."""
    words, others = (each.replace("-", "_").replace(".", "_").split("_") for each in (name, other))
    return len(words) != len(others) or all(close_matches(a, [b]) for a, b in zip(words, others, strict=True))


def blocks(handle: BinaryIO) -> Iterator[bytes]:
    """The rest of a file as it lies on disk."""
    while block := handle.read(1 << 20):
        yield block


class Plain:
    """The bytes of a file, in order, exactly as many as are wanted or a refusal."""

    def __init__(self, handle: BinaryIO, name: str) -> None:
        self.name = name
        self._handle = handle

    def some(self, most: int) -> bytes | bytearray | memoryview:
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
        return b"".join(parts)

    def whole(self, count: int) -> bytes | bytearray:
        """The same where it may be much: in one piece, without another copy of it on the way."""
        return self.take(count)

    def line(self) -> bytes:
        """The next line with its end; a header without ends of lines is none."""
        line = self._handle.readline(BLOCK)
        if not line.endswith(b"\n"):
            raise short(self.name)
        return line

    def inflated(self, zlib: bool = False) -> Inflated:
        """What is compressed from here on."""
        return Inflated(self._handle, self.name, "header", zlib)

    def rest(self) -> bytes:
        """All the bytes there still are."""
        return b"".join(iter(lambda: self.some(BLOCK), b""))

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

    def __init__(self, handle: BinaryIO, name: str, says: str = "name", zlib: bool = False) -> None:
        super().__init__(handle, name)
        from isal import igzip_lib

        self._flag = igzip_lib.DECOMP_ZLIB if zlib else igzip_lib.DECOMP_GZIP
        self._error = cast("type[Exception]", igzip_lib.error)
        self._new = igzip_lib.IgzipDecompressor
        self._says, self._zlib = says, zlib
        self._first = True
        self._decompressor: igzip_lib.IgzipDecompressor | None = None
        self._rest = b""
        self.kept: Blocks = []
        self._keep = 0

    def keep(self) -> None:
        """From now on what is taken or skipped is kept, unless it is much."""
        self._keep = KEPT

    def take(self, count: int) -> bytes:
        taken = super().take(count)
        self._note(taken)
        return taken

    def whole(self, count: int) -> bytes | bytearray:
        from voxlogica.kernels.memory import unwritten

        whole, at = unwritten(count), 0
        while at < count:
            part = self.some(min(count - at, BLOCK))
            if not part:
                raise short(self.name)
            whole[at : at + len(part)] = part
            at += len(part)
        self._note(whole)
        return whole

    def skip(self, count: int) -> None:
        """Passes over so many bytes; if they are kept, in one piece, so that voxels can be used where they lie."""
        if count <= self._keep:
            self.whole(count)
        else:
            self._keep = 0
            self.kept.clear()
            super().skip(count)

    def _note(self, taken: bytes | bytearray) -> None:
        """Keeps it, if there is anything and it is not too much."""
        if taken and self._keep:
            self.kept.append(taken)
            self._keep -= len(taken)
            if self._keep <= 0:
                self._keep = 0
                self.kept.clear()

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
        first, filling = self._first, b"" if self._first else b"\0"
        self._first = False
        start = self._rest.lstrip(filling)
        while len(start) < 2 and (more := self._handle.read(BLOCK)):
            start = (start + more).lstrip(filling)
        self._rest = start
        if first and not self._zlib and start[:2] != b"\x1f\x8b":
            raise damaged(self.name, f"its {self._says} says gzip, and its contents are something else")
        if not first and start and (self._zlib or start[:2] != b"\x1f\x8b"):
            raise damaged(self.name, "something else follows its compressed data")
        if start:
            self._decompressor = self._new(flag=self._flag)
        return bool(start)


class Replayed(Plain):
    """The bytes that were decompressed when a file was bound, once more."""

    def __init__(self, handle: BinaryIO, name: str, kept: Blocks) -> None:
        super().__init__(handle, name)
        self._kept: list[bytes | bytearray | memoryview] = [*kept[::-1]]

    def some(self, most: int) -> bytes | bytearray | memoryview:
        if not self._kept:
            return b""
        block = self._kept.pop()
        if len(block) > most:
            view = memoryview(block)
            self._kept.append(view[most:])
            block = view[:most]
        return block

    def whole(self, count: int) -> bytes | bytearray:
        if self._kept and len(self._kept[-1]) == count:
            block = self._kept.pop()
            return block if isinstance(block, (bytes, bytearray)) else bytes(block)
        return super().whole(count)


def filled(
    stream: Plain, count: int, components: int, dtype: str, interleaved: bool, slope: float = 1.0, inter: float = 0.0
) -> Voxels:
    """Numbers as float32, [voxel, component], straight from the stream, which must end there; or as they came.

    Components are beside each other, or each is a plane of its own. Scaled as ITK scales: integers are rounded to
    float32 first, product and sum are doubles, rounded once. One component of integers of one or two bytes, or of
    float32, in our order and not scaled, stays where it is, and is no array of NumPy's.
    """
    kind = dtype[-2:]
    unscaled = components == 1 and (slope, inter) == (1, 0) and (dtype[0] != OTHER or kind[1] == "1")
    if unscaled and (kind in NARROW or kind == "f4"):
        whole = stream.whole(count * int(kind[1]))
        stream.finish()
        return Narrow(memoryview(whole), kind) if kind in NARROW else memoryview(whole)
    return _converted(stream, count, components, dtype, interleaved, slope, inter)


def _converted(
    stream: Plain, count: int, components: int, dtype: str, interleaved: bool, slope: float, inter: float
) -> NDArray[np.float32]:
    import numpy as np

    out = np.empty((count, components), np.float32)
    kind = np.dtype(dtype)
    step = BLOCK // kind.itemsize
    for target in [out.reshape(-1)] if interleaved else [out[:, c] for c in range(components)]:
        for start in range(0, len(target), step):
            part = target[start : start + step]
            numbers = np.frombuffer(stream.take(len(part) * kind.itemsize), kind)
            if (slope, inter) != (1, 0):
                exact = numbers if kind.kind == "f" else numbers.astype(np.float32)
                numbers = exact.astype(np.float64) * slope + inter
            with np.errstate(over="ignore"):  # doubles too large for float32 are infinite
                part[:] = numbers
    stream.finish()
    return out


def mask_bytes(mask: Mask) -> bytes | memoryview:
    """The voxels of a mask as bytes 0 and 1, x fastest."""
    from voxlogica.kernels import arrays, masks

    return arrays.raw(masks.unpack(mask.words(), mask.space.size[0]))


def deflated(parts: Iterable[bytes | memoryview]) -> bytes:
    """One gzip member, without a name or a time, so that the same contents are the same bytes."""
    from isal import isal_zlib

    compressor = isal_zlib.compressobj(level=1, wbits=31)
    return b"".join([*(compressor.compress(part) for part in parts), compressor.flush()])


def zlib_stream(data: bytes | memoryview) -> bytes:
    """One zlib stream."""
    from isal import isal_zlib

    return isal_zlib.compress(data, level=1)
