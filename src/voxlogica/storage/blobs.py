"""Blob files: written beside, renamed into place, never changed, opened as read-only maps.

`blobs/aa/ID-SUFFIX`: `aa` are the first two digits of the id, the suffix is fresh each time a value is written, so that
who removes a damaged one cannot hit its successor.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from threading import Thread

from voxlogica.identity import Id
from voxlogica.storage.codec import Bytes, Encoded, digest
from voxlogica.storage.protocol import step

_SUFFIX = 6  # bytes
_BESIDE = 1 << 20  # bytes from which the digest is taken by a second thread while the file is written


def fresh() -> str:
    """A suffix nobody else has."""
    return os.urandom(_SUFFIX).hex()


def several_fresh(count: int) -> list[str]:
    """So many suffixes nobody else has, for the price of asking once."""
    digits = os.urandom(_SUFFIX * count).hex()
    return [digits[at : at + 2 * _SUFFIX] for at in range(0, len(digits), 2 * _SUFFIX)]


def name_of(id: Id, suffix: str) -> str:
    """A blob's file name."""
    return f"{id.hex()}-{suffix}"


def parse(name: str) -> tuple[Id, str] | None:
    """The id and the suffix in a file name; None for a file that is no blob."""
    hexadecimal, dash, suffix = name.partition("-")
    try:
        id = Id(bytes.fromhex(hexadecimal))
    except ValueError:
        return None
    return (id, suffix) if dash and suffix and len(id) == 32 else None


class Blobs:
    """The blob files of a store. `token` names this process in `tmp/`, so that its leftovers can be told."""

    def __init__(self, directory: Path, token: str) -> None:
        self._blobs, self._tmp, self._bad = (directory / name for name in ("blobs", "tmp", "quarantine"))
        self._token = token
        self._numbers = count()

    def path(self, name: str) -> Path:
        """Where a blob lies."""
        return self._blobs / name[:2] / name

    def write(self, name: str, encoded: Encoded, durable: bool) -> bytes:
        """Puts a blob in place and returns its digest; `durable` also onto the disk. Raises OSError."""
        temporary = self._tmp / f"{self._token}-{next(self._numbers)}"
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                written = _write_and_digest(descriptor, encoded)
                step("blob-written")
                if durable:
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
            path = self.path(name)
            if not path.parent.exists():
                path.parent.mkdir(mode=0o700, exist_ok=True)
                if durable:
                    _sync(self._blobs)
            temporary.rename(path)
            step("blob-renamed")
            if durable:
                _sync(path.parent)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        return written

    def map(self, name: str) -> memoryview:
        """A blob's bytes, mapped read-only. Raises FileNotFoundError."""
        descriptor = os.open(self.path(name), os.O_RDONLY | os.O_CLOEXEC)
        try:
            if not os.fstat(descriptor).st_size:
                return memoryview(b"")
            return memoryview(mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ))
        finally:
            os.close(descriptor)

    def remove(self, name: str) -> None:
        """Deletes a blob; one that is gone already is fine."""
        self.path(name).unlink(missing_ok=True)

    def quarantine(self, name: str) -> None:
        """Sets a damaged blob aside."""
        self._bad.mkdir(mode=0o700, exist_ok=True)
        with suppress(FileNotFoundError):  # somebody else may have found the damage too
            self.path(name).rename(self._bad / name)

    def all(self) -> Iterator[tuple[Path, Id, str]]:
        """Every blob file there is, with its id and suffix, in the order of ids."""
        for directory in sorted(self._blobs.iterdir()):
            for path in sorted(directory.iterdir()):
                found = parse(path.name)
                if found is not None:
                    yield path, *found

    def leftovers(self, living: Callable[[], frozenset[str]]) -> Iterator[Path]:
        """Temporary files of writers that are no more, and what is in quarantine."""
        found = list(self._tmp.iterdir())
        alive = living()  # asked after looking: who has come since has none of these files
        for path in found:
            if path.name.partition("-")[0] not in alive:
                yield path
        if self._bad.exists():
            yield from self._bad.iterdir()


def _write_and_digest(descriptor: int, encoded: Encoded) -> bytes:
    if encoded.size < _BESIDE:
        _write(descriptor, encoded.parts)
        return digest(*encoded)
    digests: list[bytes] = []
    beside = Thread(target=lambda: digests.append(digest(*encoded)), daemon=True)
    beside.start()
    try:
        _write(descriptor, encoded.parts)
    finally:
        beside.join()
    return digests[0]


def _write(descriptor: int, parts: Sequence[Bytes]) -> None:
    if len(parts) > 16:  # a sequence of many small values
        parts = (b"".join(parts),)
    for part in parts:
        rest = memoryview(part)
        while rest:
            rest = rest[os.write(descriptor, rest) :]


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
