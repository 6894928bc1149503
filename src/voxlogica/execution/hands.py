"""What the driver's threads have in hand."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from itertools import count
from typing import Any

from voxlogica._dataclass import NamedTuple
from voxlogica.execution.messages import Input, Instruction, Store
from voxlogica.formula import Formula
from voxlogica.values import Value


class Grown(NamedTuple):
    """The formulas that a task returned, and their canonical bytes."""

    formulas: tuple[Formula, ...]
    data: bytes


class Writing(NamedTuple):
    """A `Store` and what is to be stored, which may be freed before its turn comes."""

    order: Store
    value: Value

    @property
    def formula(self) -> Formula:
        """Whose value it is."""
        return self.order.formula


_slots = count()


class Hand:
    """What one worker is about: instructions to carry out, the one it is at and since when, answers not yet told."""

    __slots__ = ("answers", "apart", "current", "helps", "number", "since", "slot", "source", "todo")

    def __init__(
        self, number: int, source: Callable[[], Any], helps: bool = False, todo: Iterable[Instruction] = ()
    ) -> None:
        self.todo: deque[Any] = deque(todo)
        self.number, self.source = number, source
        self.slot = next(_slots)  # of the process's notes: several engines may share a store
        self.helps = helps  # only posts its answers, and ends when the source gives None
        self.answers: list[Input] = []
        self.current: Any = None
        self.since = 0.0
        self.apart = False  # stores each value by itself
