"""Locks where a system cannot lock the bytes of a file by open file: whole files, with `flock`, one per slot.

Many bytes share a slot, so that a lock on one may hold up who wants another: never for ever, since who holds one waits
for none, and never within a process, which has a slot for all its claims in it at once (`common`).
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

from voxlogica.storage.locks import ALL, Replaced, close_registered, duplicate_registered, open_registered

COUNTS = {"claims": 4096, "uses": 64}
"""Slots for claims, which are many at a time; and for uses, all of which one may want."""


def names(count: int) -> list[str]:
    """The file names of so many slots, and of one more, for the bytes beyond those of ids."""
    return [f"{number:03x}" for number in range(count)] + ["more"]


class Slots:
    """Stands in for a `LockFile`: each file stands for as large a part of the bytes below `ALL`, the last for the rest.

    With `common`, exclusive locks exclude other processes only: within this one, who asks keeps the bytes apart.
    """

    def __init__(self, files: Sequence[Path], common: bool = False) -> None:
        self.files = [os.fspath(file) for file in files]
        self.common: dict[int, _Grip] | None = {} if common else None
        self.mutex = threading.Lock()

    @classmethod
    def below(cls, directory: Path, count: int, common: bool = False) -> Slots:
        """The slots in a directory."""
        return cls([directory / name for name in names(count)], common)

    @classmethod
    def of(cls, path: Path) -> Slots:
        """One file that is locked as a whole."""
        return cls([path])

    def locks(self, writable: bool = True) -> SlotLocks:
        """Nothing locked yet."""
        return SlotLocks(self, os.O_RDWR if writable else os.O_RDONLY)

    def containing(self, start: int, length: int) -> Iterable[int]:
        """The slots that these bytes lie in."""
        last = len(self.files) - 1
        first, end = (min(byte * last // ALL, last) for byte in (start, start + length - 1))
        return range(first, end + 1)


class _Grip:
    """A descriptor that has a slot locked, and for how many bytes or claims it does."""

    __slots__ = ("descriptor", "holders")

    def __init__(self, descriptor: int) -> None:
        self.descriptor, self.holders = descriptor, 1


class SlotLocks:
    """What `ByteLocks` are, on slots."""

    __slots__ = ("_flags", "_grips", "_slots", "_taken")

    def __init__(self, slots: Slots, flags: int) -> None:
        self._slots, self._flags = slots, flags
        self._grips: dict[int, _Grip] = {}  # by slot; those that are common are not here
        self._taken: list[int] = []  # a slot once for each time it was taken

    def take(self, start: int, length: int = 1, *, shared: bool = False, wait: bool = False) -> bool:
        """Locks the slots of some bytes; False when another has one and `wait` is not set. Waiting releases the GIL."""
        return all(self._take(slot, shared, wait) for slot in self._slots.containing(start, length))

    def _take(self, slot: int, shared: bool, wait: bool) -> bool:
        common = self._slots.common
        grips = self._grips if shared or common is None else common
        with self._slots.mutex:
            if shared and common and slot in common:
                return True  # ours already, and no other process's
            if (grip := grips.get(slot)) is not None:
                grip.holders += 1
                self._taken.append(slot)
                return True
            descriptor = self._lock(slot, shared, wait=False)
            if descriptor is not None:
                grips[slot] = _Grip(descriptor)
                self._taken.append(slot)
                return True
        if not wait:
            return False
        descriptor = self._lock(slot, shared, wait=True)
        assert descriptor is not None
        with self._slots.mutex:
            grips[slot] = _Grip(descriptor)
            self._taken.append(slot)
        return True

    def _lock(self, slot: int, shared: bool, wait: bool) -> int | None:
        """A descriptor with the lock, on a file that still has its name."""
        path = self._slots.files[slot]
        try:
            descriptor = open_registered(path, self._flags)
        except FileNotFoundError:
            raise Replaced(path) from None
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
            if not os.path.samestat(os.fstat(descriptor), os.stat(path)):  # noqa: PTH116 - compared with the descriptor's
                raise Replaced(path)
        except BlockingIOError:
            close_registered(descriptor)
            return None
        except FileNotFoundError:
            close_registered(descriptor)
            raise Replaced(path) from None
        except BaseException:
            close_registered(descriptor)
            raise
        return descriptor

    def drop(self, start: int, length: int = 1) -> None:
        """Gives up what was taken for these bytes."""
        with self._slots.mutex:
            for slot in self._slots.containing(start, length):
                if slot in self._taken:
                    self._taken.remove(slot)
                    self._let_go(slot)

    def _let_go(self, slot: int) -> None:
        """The mutex is held."""
        grips = self._grips if slot in self._grips else self._slots.common
        assert grips is not None
        grip = grips[slot]
        grip.holders -= 1
        if not grip.holders:
            del grips[slot]
            fcntl.flock(grip.descriptor, fcntl.LOCK_UN)  # a child by C's fork may have the descriptor too
            close_registered(grip.descriptor)

    def owned(self, start: int) -> bool:
        """Whether another has this byte's slot exclusively now."""
        [slot] = self._slots.containing(start, 1)
        with self._slots.mutex:
            if self._slots.common and slot in self._slots.common:
                return False
            descriptor = self._lock(slot, shared=True, wait=False)
            if descriptor is None:
                return True
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            close_registered(descriptor)
            return False

    def lend(self) -> int | None:
        """Another descriptor of the slot that was taken; see `ByteLocks`."""
        with self._slots.mutex:
            if not self._taken:
                return None
            slot = self._taken[0]
            grip = self._grips.get(slot) or (self._slots.common or {})[slot]
            return duplicate_registered(grip.descriptor)

    def close(self) -> None:
        """Lets all go. Never call it while a thread is blocked in `take`."""
        with self._slots.mutex:
            for slot in self._taken:
                self._let_go(slot)
            self._taken.clear()
