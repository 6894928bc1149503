"""The claim protocol as a table of steps, which the code goes through and the model in the tests explores.

`step(label)` stands in the code at each point after which the world has changed for others. It does nothing, unless
`VOXLOGICA_CRASH_AT=label` or `label:n` is in the environment: then the process kills itself, as with kill -9, when it
comes to that label (for the n-th time). `TRANSITIONS` says which label may follow which in one thread; the tests
compare what the code does with it, and the model knows no other order.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from threading import Lock

START = "start"
"""Where a thread is that has nothing of the protocol in hand."""

TRANSITIONS: Mapping[str, tuple[str, ...]] = {
    START: ("claim-locked", "claim-busy", "wait-shared", "uses-locked", "gate-entered", "checkpointed",
            "collector-locked", "sweeper-locked", "blob-quarantined"),
    # Claiming: the byte in `claims` was locked, or another has it; then the row is looked at.
    "claim-locked": ("claim-looked", "claim-released"),  # no row: ours to compute; a row: let go
    "claim-busy": (START,),
    "claim-looked": ("uses-locked", "gate-entered", "claim-released"),  # computed: a blob, a small value, given up
    # Waiting, in a helper thread: shared and let go, then a look; exclusively if there is no row, then another look.
    "wait-shared": ("wait-exclusive", START),
    "wait-exclusive": ("inherited", START),
    "inherited": (START,),
    # Publishing: the blob under its own name, then the row, and only then the claim is let go.
    "uses-locked": ("blob-written", "uses-unlocked"),
    "blob-written": ("blob-renamed", "uses-unlocked"),
    "blob-renamed": ("gate-entered", "uses-unlocked"),
    "uses-unlocked": ("claim-released", START),
    "claim-released": (START,),
    # Any write to the catalogue.
    "gate-entered": ("row-written", START),
    "row-written": ("row-committed", START),
    "row-committed": ("uses-unlocked", "claim-released", "blob-quarantined", "collector-removed", START),
    # The log was copied into the database, in a thread that does nothing else.
    "checkpointed": ("checkpointed", START),
    # Damage: the row that was seen, then its blob.
    "blob-quarantined": (START,),
    # Collection: the bytes in `uses` exclusively, rows, files. The sweeper takes the byte, then looks for the row.
    "collector-locked": ("collector-chose", START),
    "collector-chose": ("gate-entered",),
    "collector-removed": ("collector-chose", START),
    "sweeper-locked": ("sweeper-removed", "sweeper-locked", START),
    "sweeper-removed": ("sweeper-locked", START),
}  # fmt: skip

LABELS = tuple(label for label in TRANSITIONS if label != START)
"""Where a process can be made to die."""

_crash: Callable[[str], None] | None = None


def step(label: str) -> None:
    """Something has changed for others."""
    if _crash is not None:
        _crash(label)


def observe(observer: Callable[[str], None] | None) -> None:
    """Has a function called at each step; for tests."""
    global _crash
    _crash = observer


def crash_at(order: str) -> None:
    """Has this process kill itself at `label` or at `label:n`, the n-th time it comes there."""
    wanted, _, times = order.partition(":")
    if wanted not in LABELS:
        raise ValueError(f"{wanted!r} is no step of the protocol: {', '.join(LABELS)}")
    left = int(times or 1)
    lock = Lock()

    def crash(label: str) -> None:
        nonlocal left
        if label == wanted:
            with lock:
                left -= 1
                if not left:
                    os.kill(os.getpid(), signal.SIGKILL)

    observe(crash)


if "VOXLOGICA_CRASH_AT" in os.environ:
    crash_at(os.environ["VOXLOGICA_CRASH_AT"])
