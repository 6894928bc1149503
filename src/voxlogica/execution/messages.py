"""What the state machine is told and what it orders: plain data, and the only way in and out of it.

An instruction with a number is answered by exactly one event with that number, whatever becomes of it; `ANSWERS` says
by which. `Free` and `Tell` have none: they are carried out on the spot. An event that answers nothing outstanding is
late, and is ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from voxlogica.formula import Formula
from voxlogica.identity import Id
from voxlogica.plan import Workplan
from voxlogica.storage import TaskError

RunId: TypeAlias = int


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a task, as those who listen to a run are told it.

    `started done failed skipped` speak of work; `reused` of a value that was stored, or that another run is computing;
    `freed` of a value whose last use is over.
    """

    kind: Literal["started", "done", "failed", "skipped", "reused", "freed"]
    id: Id
    formula: Formula
    seconds: float = 0.0
    bytes: int = 0


@dataclass(slots=True)
class Counts:
    """How far a run is; written by the state machine, read by anybody at any time.

    `tasks` is how many it needs computed, each in the end counted as `done`, `reused` (stored already, or computed for
    another run), `failed` or `skipped`, or dropped when its goal fails. `running` is how many kernels run for it now.
    """

    tasks: int = 0
    done: int = 0
    reused: int = 0
    failed: int = 0
    skipped: int = 0
    running: int = 0


# Instructions


class Claim(NamedTuple):
    """Claim a published task, without waiting."""

    number: int
    formula: Formula
    tiny: bool


class Wait(NamedTuple):
    """Learn what becomes of a task that somebody else has claimed; takes no worker."""

    number: int
    formula: Formula


class Load(NamedTuple):
    """Open a value that is stored."""

    number: int
    formula: Formula


class Compute(NamedTuple):
    """Run the operator of `how`, or read the file; all inputs are at hand. `threads` is the kernel's share."""

    number: int
    formula: Formula
    how: Formula
    threads: int
    tiny: bool


class Store(NamedTuple):
    """Publish the value under the claim, or offer it where there is none."""

    number: int
    formula: Formula
    claimed: bool
    seconds: float


class Mark(NamedTuple):
    """Publish a failure under the claim."""

    number: int
    formula: Formula
    error: TaskError


class Release(NamedTuple):
    """Give the claim back."""

    number: int
    formula: Formula


class Deliver(NamedTuple):
    """Hand a goal's outcome to its run: the value, or the error and the formula it comes from."""

    number: int
    run: RunId
    formula: Formula
    error: TaskError | None
    cause: Formula | None


class Free(NamedTuple):
    """Forget the value."""

    formula: Formula


class Tell(NamedTuple):
    """Tell those who listen to a run."""

    run: RunId
    event: Event


Instruction: TypeAlias = Claim | Wait | Load | Compute | Store | Mark | Release | Deliver | Free | Tell

# Events from outside


class Begin(NamedTuple):
    """A run wants the goals of a plan. `failed` are known failures among what the plan takes as known."""

    run: RunId
    plan: Workplan
    failed: Mapping[Id, TaskError]
    counts: Counts
    listening: bool = False


class Cancel(NamedTuple):
    """A run wants nothing any more."""

    run: RunId


# Events that answer an instruction


class Granted(NamedTuple):
    """The claim is ours."""

    number: int


class Busy(NamedTuple):
    """Somebody else has the claim."""

    number: int


class Found(NamedTuple):
    """The value is stored already."""

    number: int


class Abandoned(NamedTuple):
    """Nobody owns the task now, and there is no outcome."""

    number: int


class Loaded(NamedTuple):
    """The value is at hand."""

    number: int
    bytes: int


class Gone(NamedTuple):
    """The value is no longer stored; this is how to make it again."""

    number: int
    plan: Workplan
    failed: Mapping[Id, TaskError]


class Computed(NamedTuple):
    """The value is at hand."""

    number: int
    bytes: int
    seconds: float


class Raised(NamedTuple):
    """The task failed, here or where it was claimed. `stored` says that the failure is published already."""

    number: int
    error: TaskError
    stored: bool = False


class Written(NamedTuple):
    """The store was told, or could not be; the claim has ended."""

    number: int


class Delivered(NamedTuple):
    """The run has taken the outcome."""

    number: int


Answer: TypeAlias = Granted | Busy | Found | Abandoned | Loaded | Gone | Computed | Raised | Written | Delivered
Input: TypeAlias = Begin | Cancel | Answer

ANSWERS: Mapping[type, tuple[type, ...]] = {
    Claim: (Granted, Busy, Found, Raised),
    Wait: (Found, Raised, Abandoned),
    Load: (Loaded, Gone, Raised),
    Compute: (Computed, Raised),
    Store: (Written,),
    Mark: (Written,),
    Release: (Written,),
    Deliver: (Delivered,),
}
"""Which events answer which instruction."""
