"""Memory that was freed is used again: in a process of its own, since it is the process's."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from voxlogica.kernels import memory

FAULTS = """
import resource, sys
import numpy as np
from voxlogica.kernels import memory
if "keep" in sys.argv:
    assert memory.keep_freed() and memory.keep_freed()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
counted = []
for _ in range(3):
    before = faults()
    np.ones(9_000_000, np.float32)
    counted.append(faults() - before)
print(counted[0 if "first" in sys.argv else 2])
"""
LARGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def faults(*words: str) -> int:
    """Page faults of the third of three arrays of 36 MB, or of the first."""
    environment = {**os.environ, "NUMPY_MADVISE_HUGEPAGE": "0"}
    done = subprocess.run([sys.executable, "-c", FAULTS, *words], check=True, capture_output=True, env=environment)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library has its own ways")
def test_a_freed_array_is_used_again() -> None:
    assert faults() > 1000
    assert faults("keep") < 10


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc" or not LARGE_PAGES.is_file() or "[never]" in LARGE_PAGES.read_text(),
    reason="this system has no large pages to give",
)
def test_a_fresh_array_comes_in_large_pages() -> None:
    assert faults("keep", "first") < 1000


def test_unwritten_bytes_are_as_many_as_are_wanted() -> None:
    for count in (0, 1, 5_000_000):
        made = memory.unwritten(count)
        assert type(made) is bytearray
        assert len(made) == count
        made[:] = bytes(count)
        assert not any(made)
