"""What the state machine is told and what it orders: plain data, and the only way in and out of it.

An instruction with a number is answered by exactly one event with that number, whatever becomes of it; `ANSWERS` says
by which. The others are carried out on the spot. An event that answers nothing outstanding is late, and is ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from voxlogica._dataclass import NamedTuple, dataclass, field
from voxlogica.formula import Formula
from voxlogica.identity import Id
from voxlogica.plan import Workplan
from voxlogica.storage import TaskError

RunId: TypeAlias = int


Happened: TypeAlias = Literal[
    "started", "done", "failed", "skipped", "reused", "waited", "retried", "overdue", "evicted", "lost", "freed",
    "persisted", "unstored",
]  # fmt: skip


class Event(NamedTuple):
    """Something that happened to a task, as those who listen to a run are told it.

    `started done failed skipped` speak of work, `retried` of a second attempt after a circumstance, `overdue` of a task
    given up for its time; `reused` of a value that was stored, or that another run is computing (a hit); `waited` of
    the end of a claim elsewhere, after `seconds`; `evicted lost freed` of a value dropped for want of memory, no longer
    stored, and past its last use; `persisted unstored` of one that the store has taken, or could not.

    `at` is when, in seconds of the driver's monotonic clock: of `done` and `failed` the end of the kernel, which took
    `seconds`. `bytes` is what the value takes in memory. `worker` is the number of the thread, or -1. `how` is the
    operator by which a rewrite makes the value, or empty.
    """

    kind: Happened
    id: Id
    formula: Formula
    at: float = 0.0
    seconds: float = 0.0
    bytes: int = 0
    worker: int = -1
    how: str = ""

    @property
    def label(self) -> str:
        """The operator, as a plan shows it: `not as compare_distance` where a rewrite makes it."""
        return f"{self.formula.label} as {self.how}" if self.how else self.formula.label


@dataclass(slots=True)
class Usage:
    """The memory of an engine, in bytes: values that live, what running kernels and loads will take, and the budget.

    `storing` is the part of the living that the store is being told of.
    """

    budget: int = 0
    live: int = 0
    reserved: int = 0
    storing: int = 0


@dataclass(slots=True)
class Counts:
    """How far a run is; written by the state machine, read by anybody at any time.

    `tasks` is how many it needs, each in the end counted as `done`, `reused` (stored already, or computed for another
    run), `failed`, `skipped`, or `dropped` when what needed it failed. `running` is how many kernels run for it now,
    `waiting` how many tasks are claimed elsewhere. `expected` is the estimate, made beforehand, of the seconds that all
    tasks to be computed take, `settled` the part of it that is no longer ahead; `seconds` is what kernels have taken so
    far, and `estimated` what they should have.
    """

    tasks: int = 0
    done: int = 0
    reused: int = 0
    failed: int = 0
    skipped: int = 0
    dropped: int = 0
    running: int = 0
    waiting: int = 0
    expected: float = field(default=0.0, compare=False)
    settled: float = field(default=0.0, compare=False)
    seconds: float = field(default=0.0, compare=False)
    estimated: float = field(default=0.0, compare=False)
    usage: Usage = field(default_factory=Usage, compare=False)

    @property
    def ended(self) -> int:
        """How many tasks are no longer ahead."""
        return self.done + self.reused + self.failed + self.skipped + self.dropped

    def remaining(self, jobs: int) -> float | None:
        """Seconds still to go with so many kernels at once, as far as can be told; None before there is a measure.

        The estimates say how the tasks compare, what was measured says how fast this machine is; that the rest divides
        among all jobs is hope, so that near the end it may be longer. What others have claimed is not in it.
        """
        if self.seconds < 0.1 or not self.estimated:
            return None
        return max(0.0, self.expected - self.settled) * self.seconds / self.estimated / jobs


# Instructions


class Claim(NamedTuple):
    """Claim a published task, without waiting. `bytes` is an estimate of its value's.

    `looks`: it is also to be said whether others keep all processors busy.
    """

    number: int
    formula: Formula
    tiny: bool
    bytes: int
    looks: bool = False


class Wait(NamedTuple):
    """Learn what becomes of a task that somebody else has claimed, or inherit the claim; takes no worker."""

    number: int
    formula: Formula


class Load(NamedTuple):
    """Open a value that is stored."""

    number: int
    formula: Formula


class Compute(NamedTuple):
    """Run the operator of `how`, or read the file; all inputs are in memory. `threads` is the kernel's share.

    `isolated` asks for a process of its own, which `Kill` may end.
    """

    number: int
    formula: Formula
    how: Formula
    threads: int
    tiny: bool
    isolated: bool = False


class Gather(NamedTuple):
    """Make the value of a task whose outcome is formulas out of theirs, which are at hand."""

    number: int
    formula: Formula


class Store(NamedTuple):
    """Publish the value under the claim, or offer it where there is none; of formulas, the formulas.

    The value is there when this is given; it may be freed before it is answered. `rule` is the rewrite that made it; a
    `goal` is some run's result.
    """

    number: int
    formula: Formula
    rule: str
    claimed: bool
    seconds: float
    bytes: int
    goal: bool


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
    """Forget the value, and the formulas it was made of."""

    formula: Formula


class Alarm(NamedTuple):
    """Say `Overdue` to a run if this instruction is not answered `seconds` after it was given.

    `waiting` says that it is to wait for somebody else.
    """

    run: RunId
    number: int
    formula: Formula
    seconds: float
    waiting: bool


class Patience(NamedTuple):
    """Say `Impatient` in so many seconds."""

    seconds: float


class Replace(NamedTuple):
    """A kernel is overdue and keeps its thread: start another."""


class Retire(NamedTuple):
    """An overdue kernel has returned: one thread too many."""


class Kill(NamedTuple):
    """End the isolated process that carries an instruction out; it is answered all the same."""

    number: int


class Over(NamedTuple):
    """Nothing more will be told of a run."""

    run: RunId


class Tell(NamedTuple):
    """Tell those who listen to a run."""

    run: RunId
    event: Event


Instruction: TypeAlias = (
    Claim | Wait | Load | Compute | Gather | Store | Mark | Release | Deliver
    | Free | Alarm | Patience | Replace | Retire | Kill | Over | Tell
)  # fmt: skip

# Events from outside


class Begin(NamedTuple):
    """A run wants the goals of a plan. `failed` are known failures among what the plan takes as known.

    A task that takes longer than `limit` seconds fails for this run. Of what is ready, the tasks of runs of the lowest
    `rank` come first. `behind`: another process is at these goals.
    """

    run: RunId
    plan: Workplan
    failed: Mapping[Id, TaskError]
    counts: Counts
    listening: bool = False
    limit: float | None = None
    rank: int = 0
    behind: bool = False


class Cancel(NamedTuple):
    """A run wants nothing any more."""

    run: RunId


class Expire(NamedTuple):
    """A run's time is over: the goals that are not finished fail."""

    run: RunId
    error: TaskError


class Overdue(NamedTuple):
    """An instruction has not been answered for as long as a run wants to wait."""

    run: RunId
    number: int
    error: TaskError


class Impatient(NamedTuple):
    """So much time has passed since `Patience` was asked for."""


# Events that answer an instruction


class Granted(NamedTuple):
    """The claim is ours; or the store cannot take anything, so that none is needed."""

    number: int
    claimed: bool = True
    crowded: bool = False


class Busy(NamedTuple):
    """Somebody else has the claim."""

    number: int
    crowded: bool = False


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
    """The value is at hand. `at` is when the kernel ended, `worker` where it ran."""

    number: int
    bytes: int
    seconds: float
    at: float = 0.0
    worker: int = -1


class Extended(NamedTuple):
    """The value, computed or opened, is formulas: the task is completed by them.

    They are the goals of `plan`, `failed` the known failures in it. `bytes` is what they take when stored.
    """

    number: int
    plan: Workplan
    failed: Mapping[Id, TaskError]
    bytes: int = 0
    seconds: float = 0.0
    at: float = 0.0
    worker: int = -1


class Raised(NamedTuple):
    """The task failed, here or where it was claimed. `stored` says that the failure is published already."""

    number: int
    error: TaskError
    stored: bool = False
    at: float = 0.0
    worker: int = -1


class Written(NamedTuple):
    """The store was told, or could not be; the claim has ended. `stored` says whether a value is there now."""

    number: int
    stored: bool = True
    seconds: float = 0.0


class Delivered(NamedTuple):
    """The run has taken the outcome."""

    number: int


Answer: TypeAlias = (
    Granted | Busy | Found | Abandoned | Loaded | Gone | Computed | Extended | Raised | Written | Delivered
)  # fmt: skip
Input: TypeAlias = Begin | Cancel | Expire | Overdue | Impatient | Answer

ANSWERS: Mapping[type, tuple[type, ...]] = {
    Claim: (Granted, Busy, Found, Raised),
    Wait: (Granted, Found, Raised, Abandoned),
    Load: (Loaded, Extended, Gone, Raised),
    Compute: (Computed, Extended, Raised),
    Gather: (Computed, Raised),
    Store: (Written,),
    Mark: (Written,),
    Release: (Written,),
    Deliver: (Delivered,),
}
"""Which events answer which instruction."""
