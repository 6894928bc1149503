"""What this process may use: processors and memory, as the system and the container allow."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

SHARE = 0.5
"""The part of the memory that values and kernels may take; Python, the page cache and the neighbours need some too."""


def processors() -> int:
    """How many processors this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory() -> int:
    """Bytes of memory this process may use: the machine's, or its container's if that is less."""
    return min([_physical(), *_cgroup_limits()])


def _physical() -> int:
    if "SC_PHYS_PAGES" in getattr(os, "sysconf_names", {}):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    import psutil  # type: ignore[import-untyped,unused-ignore]  # not at the top: 30 ms, and only Windows needs it

    return int(psutil.virtual_memory().total)


def _cgroup_limits(membership: Path = Path("/proc/self/cgroup"), mount: Path = Path("/sys/fs/cgroup")) -> Iterator[int]:
    """The limits of this process's control group and of those above it, of both versions; those there are."""
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root, name = mount, "memory.max"
        elif "memory" in controllers.split(","):
            root, name = mount / "memory", "memory.limit_in_bytes"
        else:
            continue
        group = PurePosixPath(path)
        for above in (group, *group.parents):
            try:
                text = (root / above.relative_to("/") / name).read_text().strip()
            except (OSError, ValueError):
                continue
            if text.isdigit():  # "max" says that there is none
                yield int(text)
