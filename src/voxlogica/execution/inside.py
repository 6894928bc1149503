"""Whether the caller is a kernel: one that ran a program would have its own worker wait for itself."""

from __future__ import annotations

import threading


class _Here(threading.local):
    kernel = False


_here = _Here()
_process = False


def enter() -> None:
    """From now on this thread runs kernels."""
    _here.kernel = True


def enter_process() -> None:
    """From now on this process runs kernels, and nothing else."""
    global _process
    _process = True


def a_kernel() -> bool:
    """Whether the calling thread runs kernels."""
    return _here.kernel or _process
