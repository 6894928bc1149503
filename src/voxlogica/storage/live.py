"""Who is alive, and what each was running: one locked, mapped file per process in `live/`.

A worker notes the id it runs in its slot, which costs a copy of 32 bytes and survives kill -9. A file nobody has locked
belonged to a process that died: what it was running becomes suspect. A lock does not name its owner, so this is also
how one learns who runs what.
"""

from __future__ import annotations

import json
import mmap
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from voxlogica._dataclass import NamedTuple
from voxlogica.identity import Id
from voxlogica.storage.catalogue import boot_id
from voxlogica.storage.locks import Lockable, Replaced

SLOTS = 256
_HEADER, _SLOT = 256, 32
_EMPTY = bytes(_SLOT)


class Process(NamedTuple):
    """A process with the store open, or one that died: its token, number, host, boot, and the ids it runs by slot."""

    token: str
    pid: int
    host: str
    boot: str
    running: dict[int, Id]


class Live:
    """This process's file. `lockable` makes of a file one that can be locked."""

    def __init__(self, directory: Path, lockable: Callable[[Path], Lockable]) -> None:
        self._directory, self._lockable = directory, lockable
        about = json.dumps({"pid": os.getpid(), "host": os.uname().nodename[:64], "boot": boot_id()}).encode()
        while True:
            self.token = os.urandom(8).hex()
            self._path = directory / self.token
            self._path.write_bytes(about.ljust(_HEADER) + bytes(SLOTS * _SLOT))
            try:
                self._lock = lockable(self._path).locks()
                if self._lock.take(0):
                    break
                self._lock.close()
            except Replaced:
                pass
            # Somebody took it for a dead one's, before it was locked: once more, under another name.
        with self._path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)

    def running(self, slot: int, id: Id | None) -> None:
        """Notes what a worker runs; None when it has ended."""
        at = _HEADER + slot % SLOTS * _SLOT
        self._map[at : at + _SLOT] = id or _EMPTY

    def others(self) -> Iterator[Process]:
        """Every process in `live/`, dead ones included."""
        for path in list(self._directory.iterdir()):
            try:
                process = _read(path)
            except (OSError, ValueError):
                continue  # gone by now, or not one of ours
            yield process

    def kernels(self) -> int:
        """How many kernels run in other processes, as far as they say."""
        found = 0
        for path in list(self._directory.iterdir()):
            if path != self._path:
                with suppress(OSError):
                    data = path.read_bytes()
                    found += sum(data[at : at + _SLOT] != _EMPTY for at in range(_HEADER, len(data), _SLOT))
        return found

    def bury(self) -> Iterator[Process]:
        """The processes that died; each is removed once it has been taken from the iterator, by one process only."""
        for path in list(self._directory.iterdir()):
            if path == self._path:
                continue
            try:
                lock = self._lockable(path).locks()
            except (Replaced, OSError):
                continue
            try:
                if lock.take(0):
                    with suppress(ValueError):  # it may have died before it had written anything
                        yield _read(path)
                    path.unlink()
            except Replaced:
                continue
            finally:
                lock.close()

    def close(self) -> None:
        """Leaves: nothing is running here any more."""
        self._path.unlink(missing_ok=True)
        self._lock.close()
        self._map.close()


def _read(path: Path) -> Process:
    data = path.read_bytes()
    if len(data) != _HEADER + SLOTS * _SLOT:
        raise ValueError(f"{path} is not a process's file")
    about = json.loads(data[:_HEADER])
    slots = {n: Id(data[_HEADER + n * _SLOT : _HEADER + (n + 1) * _SLOT]) for n in range(SLOTS)}
    running = {slot: id for slot, id in slots.items() if id != _EMPTY}
    return Process(path.name, about["pid"], about["host"], about["boot"], running)
