"""The directory of an embedded store: made once, by one process; recognised, or refused with what to do."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from voxlogica._dataclass import NamedTuple
from voxlogica.errors import MachineError
from voxlogica.storage.locks import OFD, Lockable, LockFile, require_local
from voxlogica.storage.slots import COUNTS, Slots, names

_LOCK_FILES = ("claims", "uses", "write.next", "write.lock")
_DIRECTORIES = ("blobs", "tmp", "live")


class Disk(NamedTuple):
    """The bytes of the disk that a directory is on, and those that are left to us."""

    total: int
    free: int

    @classmethod
    def of(cls, directory: Path) -> Disk:
        """Raises OSError when the directory is gone."""
        found = os.statvfs(directory)
        return cls(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize)


def lockable(directory: Path) -> Callable[[Path], Lockable]:
    """How the files of a store are locked: whole in one whose `claims` is a directory, else their bytes."""
    return Slots.of if (directory / "claims").is_dir() else LockFile


def lock_files(directory: Path) -> tuple[Lockable, Lockable]:
    """A store's claims and uses."""
    claims, uses = directory / "claims", directory / "uses"
    if claims.is_dir():
        return Slots.below(claims, COUNTS["claims"], common=True), Slots.below(uses, COUNTS["uses"])
    return LockFile(claims), LockFile(uses)


def found(directory: Path, anywhere: bool | None, flock: bool) -> bool:
    """Makes the store if there is none; whether it can be written to.

    `anywhere` accepts any file system; None leaves that to the environment. A new store gets the locks of `flock` if
    that is set. Raises MachineError, with what to do.
    """
    if anywhere is None:
        anywhere = os.environ.get("VOXLOGICA_STORE_ANYWHERE") == "1"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not anywhere:
            require_local(directory)
        if not os.access(directory, os.W_OK):
            return _read_only(directory)
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # makers of the same store come one after the other
            _lay_out(directory, flock or not OFD)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise MachineError.of(
            "store", f"the store {directory} cannot be used: {error.strerror}",
            help="choose another directory with --store, or run with --no-store",
        ) from error  # fmt: skip
    return True


def _read_only(directory: Path) -> bool:
    if not (directory / "catalog.db").exists():
        raise MachineError.of(
            "store", f"there is no store in {directory}, and none can be made: the directory is read only",
            help="choose another directory with --store, or run with --no-store",
        )  # fmt: skip
    return False


def _lay_out(directory: Path, flock: bool) -> None:
    if not OFD and (directory / "claims").is_file():
        raise MachineError.of(
            "store", f"the store {directory} was made on a system with other locks",
            help="choose another directory with --store",
        )  # fmt: skip
    files = _files(directory, flock)
    present = {path.relative_to(directory).as_posix() for name in ("", *COUNTS) for path in _listed(directory / name)}
    missing = [name for name in files if name not in present]
    catalogue = directory / "catalog.db"
    if missing and catalogue.exists() and catalogue.stat().st_size:
        raise MachineError.of(
            "store", f"the store {directory} has lost its lock file {missing[0]!r}, which others may have open",
            details=("A new one would allow two processes to compute the same, or to write at once.",),
            help=f"when no VoxLogicA runs: touch {directory / missing[0]}",
        )  # fmt: skip
    if missing and any(path.name not in (*_LOCK_FILES, *_DIRECTORIES) for path in directory.iterdir()):
        raise MachineError.of(
            "store", f"{directory} is not a store, and not empty",
            help="choose an empty or a new directory with --store",
        )  # fmt: skip
    for parent in {(directory / name).parent for name in missing}:
        parent.mkdir(mode=0o700, exist_ok=True)
    for name in missing:
        os.close(os.open(directory / name, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    for name in _DIRECTORIES:
        (directory / name).mkdir(mode=0o700, exist_ok=True)


def _listed(directory: Path) -> list[Path]:
    return list(directory.iterdir()) if directory.is_dir() else []


def _files(directory: Path, flock: bool) -> list[str]:
    """The lock files that a store has, by their names in it."""
    if not ((directory / "claims").is_dir() or (flock and not (directory / "claims").exists())):
        return list(_LOCK_FILES)
    slotted = [f"{name}/{slot}" for name, count in COUNTS.items() for slot in names(count)]
    return [*slotted, *(name for name in _LOCK_FILES if name not in COUNTS)]
