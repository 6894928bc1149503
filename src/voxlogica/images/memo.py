"""What is remembered of a file between runs: place, size and times → digest and space, so that it is not read again.

A file that was changed in the last two seconds is not recognised: some file systems' times are so coarse that it could
change again without a trace.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Protocol

from voxlogica.values import Space

SETTLED = 2e9  # ns a file must have been left alone


class Memo(Protocol):
    """A place to remember files in; a store, usually. `status` is (device, inode, size, mtime ns, ctime ns)."""

    def recall(self, path: str, status: tuple[int, ...]) -> tuple[bytes, str] | None:
        """The digest and header of a file that has not changed since it was remembered."""
        ...

    def reading(self, paths: Sequence[str]) -> bool:
        """Called before files are read through. False when another process was at it, and they may be recalled now."""
        ...

    def remember(self, path: str, status: tuple[int, ...], digest: bytes, header: str, settled: bool) -> None:
        """Notes a file that was read through and verified. Unless it is settled it may not be recalled by its times."""
        ...


def settled(status: tuple[int, ...]) -> bool:
    """Whether a file has been left alone for long enough."""
    return time.time_ns() - max(status[3:5]) > SETTLED


def header(reader: str, version: int, space: Space) -> str:
    """How a reader and a space are noted."""
    fields = [space.size, space.spacing, space.origin, space.direction, space.native]
    return json.dumps([reader, version, *fields])


def space(noted: str, reader: str, version: int) -> Space | None:
    """The space that was noted, unless it was by another reader."""
    by, its, size, spacing, origin, direction, native = json.loads(noted)
    if (by, its) != (reader, version):
        return None
    return Space(tuple(size), tuple(spacing), tuple(origin), tuple(direction), tuple(native))
