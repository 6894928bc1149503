"""The steps of the claim protocol, and where a test may have a process die.

`step(label)` stands in the code at each point after which the world has changed for others. It does nothing, unless
`VOXLOGICA_CRASH_AT=label` or `label:n` is in the environment: then the process kills itself, as with kill -9, when it
comes to that label (for the n-th time).
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from threading import Lock


def _nothing(label: str) -> None:
    """What a step costs when nobody tests: a call."""


def crasher(order: str) -> Callable[[str], None]:
    """The step function that obeys `label` or `label:n`."""
    wanted, _, times = order.partition(":")
    left = int(times or 1)
    lock = Lock()

    def step(label: str) -> None:
        nonlocal left
        if label == wanted:
            with lock:
                left -= 1
                if not left:
                    os.kill(os.getpid(), signal.SIGKILL)

    return step


step: Callable[[str], None] = (
    crasher(os.environ["VOXLOGICA_CRASH_AT"]) if "VOXLOGICA_CRASH_AT" in os.environ else _nothing
)
