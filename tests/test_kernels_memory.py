"""Memory that was freed is used again: in a process of its own, since it is the process's."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
import numpy as np
from voxlogica.kernels import memory
if "keep" in sys.argv:
    assert memory.keep_freed() and memory.keep_freed()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3):
    before = faults()
    np.ones(9_000_000, np.float32)
print(faults() - before)
"""


def faults(*words: str) -> int:
    """Page faults of the third of three arrays of 36 MB."""
    environment = {**os.environ, "NUMPY_MADVISE_HUGEPAGE": "0"}
    done = subprocess.run([sys.executable, "-c", FAULTS, *words], check=True, capture_output=True, env=environment)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library has its own ways")
def test_a_freed_array_is_used_again() -> None:
    assert faults() > 1000
    assert faults("keep") < 10
