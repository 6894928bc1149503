"""Functions for tests of isolation: a process of its own must be able to import them."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from pathlib import Path

from voxlogica.errors import Refusal
from voxlogica.values import Image, Labels, Mask, Model, Space


def process() -> float:
    """The process that computes."""
    print("noise on standard output")
    return float(os.getpid())


def same(*values: object) -> object:
    """Everything that it gets."""
    return values


def between(low: float, number: float, *, high: float) -> bool:
    """Whether a number is between two others."""
    return low < number < high


def rich(space: Space, mask: Mask, image: Image, labels: Labels, model: Model, *, threads: int) -> Image:
    """Checks what came over, and makes an image of it."""
    import numpy as np

    assert (type(mask), type(image), type(labels), type(model)) == (Mask, Image, Labels, Model)
    assert threads == 2
    total = mask.numpy() + image.numpy() + labels.numpy() + model.numpy().sum(axis=-1)
    back = total.transpose(2, 1, 0).astype(np.float32)
    return Image.of(space, np.ascontiguousarray(back))


def refuse() -> float:
    """A definite failure."""
    raise Refusal("no component", details=("of 3 voxels",), help="draw one")


def exhaust() -> float:
    """A circumstance."""
    raise MemoryError


def crash(path: str) -> float:
    """Says so, counts in a file, and dies."""
    with Path(path).open("a") as file:
        file.write("x")
    print("about to crash", file=sys.stderr, flush=True)
    signal.raise_signal(signal.SIGSEGV)  # os.kill might have another thread die, a moment later
    return 0.0


def crash_once(path: str) -> float:
    """Dies the first time."""
    if Path(path).exists():
        return 1.0
    Path(path).touch()
    os._exit(3)


def hold(path: str) -> float:
    """Says who it is, then keeps the interpreter's lock for ever, as a crashed C extension might."""
    Path(path).write_text(str(os.getpid()))
    ctypes.PyDLL(None).pause()
    return 0.0


def sleep(path: str) -> float:
    """Says who it is, then waits for ever."""
    Path(path).write_text(str(os.getpid()))
    while True:
        time.sleep(1000)


def run_a_program() -> float:
    """Does what no kernel may."""
    from voxlogica.execution.engine import ExecutionEngine
    from voxlogica.storage import MemoryStorage

    with ExecutionEngine(MemoryStorage(), jobs=1) as engine:
        list(engine.run([]))
    return 0.0


def weird() -> object:
    """Returns what is not a value."""
    return {1, 2}
