"""The store: what became of tasks, who owns one now, and who waits for it.

`interface` says what every backend promises, `memory` keeps everything in this process, `conformance` is the test class
each backend must pass. A backend sees ids and values, never meaning: which tasks are worth storing is `plan`'s
business, and when to compute them `execution`'s.
"""

from voxlogica.storage.interface import (
    Claim,
    CleanupReport,
    Done,
    Failed,
    Lasting,
    Lending,
    Missing,
    Outcome,
    Pins,
    Provenance,
    Publication,
    Ref,
    StorageBackend,
    StoreFull,
    TaskError,
    TaskId,
    size,
)
from voxlogica.storage.memory import MemoryStorage

__all__ = [
    "Claim",
    "CleanupReport",
    "Done",
    "Failed",
    "Lasting",
    "Lending",
    "MemoryStorage",
    "Missing",
    "Outcome",
    "Pins",
    "Provenance",
    "Publication",
    "Ref",
    "StorageBackend",
    "StoreFull",
    "TaskError",
    "TaskId",
    "size",
]
