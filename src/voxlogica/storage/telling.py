"""What a store tells of itself: figures to who asks, and sentences that the user should know."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from voxlogica._dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Stats:
    """What is in a store, and what this process has seen of it."""

    outcomes: int
    failures: int
    bytes: int
    claims: int
    helpers: int
    damaged: int
    collected: int
    refused: int
    lost: bool


@dataclass(slots=True)
class Counts:
    """What happened in this process."""

    damaged: int = 0
    collected: int = 0
    refused: int = 0


class Voice:
    """Says what the user should know, each kind of thing once."""

    def __init__(self, tell: Callable[[str], None] | None, directory: Path) -> None:
        self._tell, self._directory, self._told = tell, directory, set[str]()

    def __call__(self, kind: str, text: str) -> None:
        if self._tell is not None and kind not in self._told:
            self._told.add(kind)
            self._tell(text)

    def late(self, pid: int) -> None:
        """Who waits at the gate is told whom for."""
        self("gate", f"process {pid} has been writing to the store {self._directory} for long; is it stopped?")
