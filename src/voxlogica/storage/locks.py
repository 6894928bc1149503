"""Kernel locks: what a claim, a use and the write gate are made of.

A lock is an open-file-description lock on one byte, on a descriptor of its own: it excludes threads and processes
alike, and the kernel drops it when its owner dies, however that happens. Descriptors that hold locks stand in one
registry, so that a forked child lets go of them: it shares its parent's open files, and would keep the locks.
"""

from __future__ import annotations

import _thread
import errno
import fcntl
import mmap
import os
import struct
import sys
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from voxlogica.errors import MachineError

# From fcntl.h of Linux, where `fcntl` has them since Python 3.9, and whose `struct flock` this is. Elsewhere: `slots`.
OFD = sys.platform == "linux" and hasattr(fcntl, "F_OFD_SETLK")
_GETLK, _SETLK, _SETLKW = (getattr(fcntl, f"F_OFD_{name}", None) for name in ("GETLK", "SETLK", "SETLKW"))
_flock = struct.Struct("@hhqqi4x")  # struct flock: type, whence, start, length, pid
_prefix = struct.Struct(">Q")
_UNLOCK = _flock.pack(fcntl.F_UNLCK, os.SEEK_SET, 0, 0, 0)  # length 0: to the end, wherever that is


class Forgettable(Protocol):
    """What must not go on in a forked child."""

    def abandon(self) -> None:
        """Called in the child, where no other thread lives; takes no lock and touches no file."""
        ...


_registry = threading.RLock()
_descriptors: set[int] = set()
_inherited: weakref.WeakSet[Forgettable] = weakref.WeakSet()


here = mmap.mmap(-1, mmap.PAGESIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
"""Its first byte is 1, and 0 in a child that C has forked, where nobody asks `os.register_at_fork`; see `forked`."""
here[0] = 1
if sys.platform == "linux":
    with suppress(OSError):  # kernels before 4.14
        here.madvise(18)  # MADV_WIPEONFORK, which `mmap` has no name for


def forked() -> bool:
    """Whether C has forked this process off since this was last asked; from now on it is as after `os.fork`."""
    global _registry
    if here[0]:
        return False
    _registry = threading.RLock()  # whoever had it is not here
    _registry.acquire()
    _in_child()
    return True


def _in_child() -> None:
    here[0] = 1
    for descriptor in _descriptors:
        os.close(descriptor)
    _descriptors.clear()
    for owner in list(_inherited):
        owner.abandon()
    _inherited.clear()
    _registry.release()


os.register_at_fork(
    before=lambda: _registry.acquire(), after_in_parent=lambda: _registry.release(), after_in_child=_in_child
)


def forget_in_child(owner: Forgettable) -> None:
    """Has `owner.abandon()` called in every forked child."""
    with _registry:
        _inherited.add(owner)


def open_registered(path: str, flags: int) -> int:
    """A descriptor that no child inherits, whether by exec or by fork."""
    with _registry:
        descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
        _descriptors.add(descriptor)
    return descriptor


def duplicate_registered(descriptor: int) -> int | None:
    """Another descriptor for the same open file; None if that was closed."""
    with _registry:
        if descriptor not in _descriptors:
            return None
        duplicate = os.dup(descriptor)
        _descriptors.add(duplicate)
    return duplicate


def close_registered(descriptor: int) -> None:
    """Closes a descriptor of the registry; one that a fork has closed is left alone."""
    with _registry:
        if descriptor in _descriptors:
            _descriptors.remove(descriptor)
            os.close(descriptor)


class Replaced(Exception):
    """A lock file is no longer the one that was opened: the store was removed or replaced."""


class LockFile:
    """A file whose bytes are locked, as it is now: `check` tells whether its name still means this file.

    It is asked after every lock that was obtained: if the file was removed or replaced, there may be two owners.
    """

    __slots__ = ("_device", "_inode", "_name", "path")

    def __init__(self, path: Path) -> None:
        self.path, self._name = path, os.fspath(path)
        named = self._named()
        self._device, self._inode = named.st_dev, named.st_ino

    def _named(self) -> os.stat_result:
        try:
            return os.stat(self._name)  # noqa: PTH116 - half the price, after every lock
        except OSError:
            raise Replaced(self.path) from None

    def check(self) -> None:
        """Raises `Replaced` if the name means another file by now, or none."""
        named = self._named()
        if named.st_ino != self._inode or named.st_dev != self._device:
            raise Replaced(self.path)

    def open(self, writable: bool = True) -> int:
        """A new, registered descriptor."""
        try:
            return open_registered(self._name, os.O_RDWR if writable else os.O_RDONLY)
        except FileNotFoundError:
            raise Replaced(self.path) from None

    def locks(self, writable: bool = True) -> ByteLocks:
        """Nothing locked yet, on a descriptor of its own."""
        return ByteLocks(self, writable)


class Locks(Protocol):
    """Locks on bytes, let go together by `close`; see `ByteLocks`."""

    def take(self, start: int, length: int = 1, *, shared: bool = False, wait: bool = False) -> bool: ...

    def drop(self, start: int, length: int = 1) -> None: ...

    def owned(self, start: int) -> bool: ...

    def lend(self) -> int | None: ...

    def close(self) -> None: ...


class Lockable(Protocol):
    """A file whose bytes can be locked, or what stands in for one (`slots`)."""

    def locks(self, writable: bool = True) -> Locks:
        """Nothing locked yet."""
        ...


class ByteLocks:
    """Locks on the bytes of one file, on one descriptor: all are let go together, by `close`."""

    __slots__ = ("_descriptor", "_file")

    def __init__(self, file: LockFile, writable: bool = True) -> None:
        self._file = file
        self._descriptor = file.open(writable)

    def take(self, start: int, length: int = 1, *, shared: bool = False, wait: bool = False) -> bool:
        """Locks bytes; False when another has them and `wait` is not set. Waiting releases the GIL."""
        kind = fcntl.F_RDLCK if shared else fcntl.F_WRLCK
        command = _SETLKW if wait else _SETLK
        try:
            fcntl.fcntl(self._descriptor, command, _flock.pack(kind, os.SEEK_SET, start, length, 0))  # type: ignore[arg-type]
        except BlockingIOError:
            return False
        try:
            self._file.check()
        except Replaced:
            self.close()
            raise
        return True

    def drop(self, start: int, length: int = 1) -> None:
        """Unlocks bytes. A close would not do where a child by C's fork has the descriptor too."""
        asked = _flock.pack(fcntl.F_UNLCK, os.SEEK_SET, start, length, 0)
        fcntl.fcntl(self._descriptor, _SETLK, asked)  # type: ignore[arg-type]

    def owned(self, start: int) -> bool:
        """Whether another descriptor holds this byte exclusively now; takes nothing."""
        asked = _flock.pack(fcntl.F_RDLCK, os.SEEK_SET, start, 1, 0)
        answer = fcntl.fcntl(self._descriptor, _GETLK, asked)  # type: ignore[arg-type]
        kind: int = _flock.unpack(answer)[0]
        return kind != fcntl.F_UNLCK

    def lend(self) -> int | None:
        """Another registered descriptor with the same locks: who inherits it keeps them, until they are let go here or
        all such descriptors are closed. None when they have been let go."""
        return duplicate_registered(self._descriptor)

    def close(self) -> None:
        """Lets all go. Never call it while a thread is blocked in `take`."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor in _descriptors:
            fcntl.fcntl(descriptor, _SETLK, _UNLOCK)  # type: ignore[arg-type]
            close_registered(descriptor)


ALL = 1 << 62
"""The bytes of all ids lie below; locked by who would need too many of them."""


def byte_of(id: bytes) -> int:
    """The byte that stands for an id in a lock file: its first 62 bits."""
    first: int = _prefix.unpack_from(id)[0]
    return first >> 2


class Gate:
    """One writer at a time among all processes, in the order in which they came.

    `flock` alone is first come, first served only among those asleep: who comes right back overtakes them. So there is
    a turnstile before the gate. And at the turnstile who has been woken is overtaken too as long as it has no processor
    (thirty times in 25 ms, among 8 on 2 cores): so who has waited here gives its own away afterwards.
    `late(pid)` is told, once per wait, who has been in the gate for `patience` seconds.
    """

    def __init__(self, directory: Path, late: Callable[[int], None], patience: float = 5.0) -> None:
        self._file = LockFile(directory / "write.lock")
        # Among the threads of this process, which share the descriptors. It knows its owner, for `give_up`.
        self._mutex = threading.RLock()
        self._late, self._patience = late, patience
        self._waiting: object | None = None  # the wait that is under way; `_watched` while a thread looks at it
        self._watched = False
        self._crowded = False  # who is in the gate has waited for it
        self._next = LockFile(directory / "write.next").open()
        self._gate = self._file.open()

    def __enter__(self) -> None:
        try:
            self._mutex.acquire()
            if self._gate < 0:
                raise OSError(errno.EBADF, "the store is closed")
            self._lock(self._next)
            self._lock(self._gate)
            fcntl.flock(self._next, fcntl.LOCK_UN)
            self._file.check()
        except BaseException:
            self.give_up()
            raise

    def __exit__(self, *_: object) -> None:
        try:
            fcntl.flock(self._gate, fcntl.LOCK_UN)
        finally:
            crowded, self._crowded = self._crowded, False
            self._mutex.release()
        if crowded:
            os.sched_yield()

    def give_up(self) -> None:
        """Lets go of whatever this thread has: Ctrl-C may come when that was just obtained, or before `__exit__`."""
        if self._mutex._is_owned():  # type: ignore[attr-defined]
            try:
                if self._gate >= 0:
                    fcntl.flock(self._gate, fcntl.LOCK_UN)
                    fcntl.flock(self._next, fcntl.LOCK_UN)
            finally:
                self._mutex.release()

    def _lock(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._crowded = True
            self._waiting = object()
            try:
                if not self._watched:
                    self._watched = True
                    # Not `threading`, whose `start` waits until the thread runs: others may be waiting for this one.
                    try:
                        _thread.start_new_thread(self._watch, ())
                    except RuntimeError:  # no more threads: it waits all the same
                        self._watched = False
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            finally:
                self._waiting = None

    def _watch(self) -> None:
        """Tells who is in the gate when a wait has lasted; one thread for many waits, which ends when there is none."""
        while True:
            while (wait := self._waiting) is not None:
                time.sleep(self._patience)
                if self._waiting is wait and (owner := flock_owner(self._file.path)) is not None:
                    self._late(owner)
            self._watched = False
            if self._waiting is None:
                return
            self._watched = True  # a wait that began between the two saw that somebody watches

    def close(self) -> None:
        """Gives the descriptors back. Whoever comes afterwards gets an OSError: the numbers are soon another file's."""
        with self._mutex:
            descriptors, self._next, self._gate = (self._next, self._gate), -1, -1
        for descriptor in descriptors:
            close_registered(descriptor)


def flock_owner(path: Path) -> int | None:
    """The process that has locked a file with `flock`, as far as the system tells."""
    try:
        inode = str(path.stat().st_ino)
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        fields = (
            line.split()
        )  # "1: FLOCK ADVISORY WRITE 1234 fd:00:5678 0 EOF"; those who wait have "->" after the number
        if fields[1] == "FLOCK" and fields[5].rpartition(":")[2] == inode:
            return int(fields[4])
    return None


_LOCAL = frozenset(
    (
        "apfs",
        "bcachefs",
        "btrfs",
        "ext2",
        "ext3",
        "ext4",
        "f2fs",
        "jfs",
        "overlay",
        "ramfs",
        "tmpfs",
        "ufs",
        "xfs",
        "zfs",
    )
)


def file_system(path: Path, mounts: Path = Path("/proc/self/mountinfo")) -> str:
    """The type of the file system a path lies on, "" where the system does not tell."""
    try:
        lines = mounts.read_text().splitlines()
    except OSError:
        return ""
    place, best, kind = os.path.realpath(path), "", ""
    for line in lines:
        before, _, after = line.partition(" - ")
        point = before.split()[4].encode().decode("unicode_escape")  # a space is written \\040
        inside = place == point or place.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):  # the last of equal ones covers the others
            best, kind = point, after.split()[0]
    return kind


def require_local(directory: Path) -> None:
    """Refuses file systems that are not known to keep locks and shared memory as one machine's own disk does."""
    kind = file_system(directory)
    if kind and kind not in _LOCAL:
        raise MachineError.of(
            "store",
            f"the store {directory} is on a {kind} file system, which is not known to be a local disk",
            details=("Locks on network file systems do not hold what a store needs: results could be lost.",),
            help="choose a directory on a local disk with --store, or set VOXLOGICA_STORE_ANYWHERE=1 if this is one; "
            "several machines share a store through PostgreSQL",
        )
