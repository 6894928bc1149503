"""What the driver of the machine puts in the box of a run."""

from __future__ import annotations

from typing import TypeAlias

from voxlogica._dataclass import NamedTuple
from voxlogica.execution.messages import Event, Over
from voxlogica.formula import Formula
from voxlogica.storage import TaskError
from voxlogica.values import Value

Held: TypeAlias = Value
"""What is in memory for a task; several values for one that returned several formulas."""


class Outbound(NamedTuple):
    """A goal's outcome on its way to the run: the value, or the error and the formula it comes from."""

    number: int
    formula: Formula
    value: Held | None
    error: TaskError | None
    cause: Formula | None


class Collapse(NamedTuple):
    """A bug of ours has stopped the machine; no outcome will come any more."""

    error: BaseException


Post: TypeAlias = list[Outbound | Event | Over] | Collapse | None
"""What a run finds in its box: what happened, in order; None when it was cancelled or the engine closed."""
