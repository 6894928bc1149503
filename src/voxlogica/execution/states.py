"""What the state machine keeps: one record per task, one state per record, and the changes of state there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from voxlogica.execution.messages import Counts, RunId
from voxlogica.formula import Formula
from voxlogica.storage import TaskError

State: TypeAlias = Literal[
    "waiting", "open", "claiming", "foreign", "wanted", "ready", "fetching", "running",
    "known", "loading", "done", "failed", "skipped", "dropped",
]  # fmt: skip

WAITING: Final = "waiting"  # some input is not at hand
OPEN: Final = "open"  # all are: a published task may be claimed, a private one computed for whoever claims
CLAIMING: Final = "claiming"  # the claim is asked for
FOREIGN: Final = "foreign"  # somebody else has it
WANTED: Final = "wanted"  # to be computed as soon as the private ones it reads are
READY: Final = "ready"  # all it reads is completed: to be computed as soon as there is room
FETCHING: Final = "fetching"  # room is made; what it reads and is not in memory is being opened
RUNNING: Final = "running"  # being computed
KNOWN: Final = "known"  # completed, not in memory
LOADING: Final = "loading"  # being opened
DONE: Final = "done"  # in memory
FAILED: Final = "failed"  # it failed itself
SKIPPED: Final = "skipped"  # something it needs failed
DROPPED: Final = "dropped"  # nobody needs it any more

TRANSITIONS: Mapping[State, frozenset[State]] = {
    WAITING: frozenset({OPEN, FAILED, SKIPPED, DROPPED}),
    OPEN: frozenset({CLAIMING, WANTED, WAITING, SKIPPED, DROPPED}),
    CLAIMING: frozenset({WANTED, WAITING, OPEN, FOREIGN, KNOWN, FAILED, SKIPPED, DROPPED}),
    FOREIGN: frozenset({WANTED, OPEN, WAITING, KNOWN, FAILED, SKIPPED, DROPPED}),
    WANTED: frozenset({READY, WAITING, SKIPPED, DROPPED}),
    READY: frozenset({FETCHING, WAITING, SKIPPED, DROPPED}),
    FETCHING: frozenset({RUNNING, WAITING, SKIPPED, DROPPED}),
    RUNNING: frozenset({DONE, KNOWN, READY, WAITING, FAILED, DROPPED}),
    KNOWN: frozenset({LOADING, DROPPED}),
    LOADING: frozenset({DONE, WAITING, FAILED, DROPPED}),
    DONE: frozenset({KNOWN, DROPPED}),
    FAILED: frozenset({DROPPED}),
    SKIPPED: frozenset({DROPPED}),
    DROPPED: frozenset(),
}
"""Every change of state there is; `Ledger.move` refuses others."""

ASKED = (CLAIMING, FOREIGN)
"""An answer is awaited that decides: left alone until it comes."""
STOPPED = (FAILED, SKIPPED)
COMPLETED = (DONE, KNOWN, LOADING)
"""There is a value, in memory or out of it."""
MAKING = (WANTED, READY, FETCHING, RUNNING)
"""Demanded, by a claim or by a run whose goal it is."""
PENDING = (WAITING, OPEN, WANTED, READY, FETCHING)
"""A failure among the inputs stops it."""


class Record:
    """A task in the machine: what it reads, who reads it, and how far it is.

    `lacking` counts the inputs that are not at hand; `missing` those that are not completed (`wanted`) or not in memory
    (`fetching`). An input is at hand when it is completed or, being private, when all of its own are: then a claim can
    have it made. `dynamic` says that its outcome is formulas that are not known yet; once they are, it `gathers`: its
    inputs are those formulas, which it reads as long as its own value lives. `grown`: the driver has the formulas.
    `goal`: it is one, or was.
    """

    __slots__ = (
        "again", "alone", "bytes", "cause", "dynamic", "error", "formula", "gathers", "goal", "grown", "held", "how",
        "id", "inputs", "isolated", "killed", "lacking", "missing", "number", "overdue", "pins", "priority",
        "published", "refs", "reserved", "resident", "rule", "run", "scratch", "seconds", "sharing", "since", "slot",
        "state", "stored", "tiny", "users",
    )  # fmt: skip

    def __init__(self, formula: Formula, run: Run) -> None:
        self.formula, self.id, self.run = formula, formula.id, run
        self.how, self.rule = formula, ""
        self.state: State = WAITING
        self.inputs: tuple[Record, ...] = ()
        self.users: list[Record] = []
        self.pins: tuple[Run, ...] = ()  # runs of which it is a goal that is not finished
        self.sharing: tuple[Run, ...] = ()  # runs that found it under way
        self.lacking = self.missing = self.refs = self.resident = self.reserved = 0
        self.held = self.slot = False  # has the claim; takes one of the places for claims
        self.stored = False  # the store has the value: it can be opened again
        self.alone = self.overdue = False  # its second attempt: with no other kernel; its thread is not counted
        self.cause: Record | None = None
        self.error: TaskError | None = None
        self.killed: TaskError | bool = False  # its process is being ended: for its time, or because nobody needs it
        self.priority = self.bytes = self.scratch = self.number = 0
        self.seconds = self.again = self.since = 0.0
        self.published = self.tiny = self.isolated = False
        self.dynamic = self.gathers = self.grown = self.goal = False

    @property
    def at_hand(self) -> bool:
        """Whether what reads it may be claimed."""
        state = self.state
        if self.dynamic or self.overdue:
            return False
        if state in COMPLETED:
            return True
        return not self.published and (state == OPEN or state in MAKING)

    def __repr__(self) -> str:
        return f"<{self.state} {self.formula}>"


class Run:
    """Somebody's goals: those not finished, and those finished and not yet taken, by the number of their delivery.

    `storing` counts the values whose way to the store it wants to be told of.
    """

    __slots__ = ("counts", "deliveries", "goals", "id", "itself", "limit", "listening", "rank", "storing")

    def __init__(self, id: RunId, counts: Counts, listening: bool, limit: float | None, rank: int) -> None:
        self.id, self.counts, self.listening, self.limit, self.rank = id, counts, listening, limit, rank
        self.goals: set[Record] = set()
        self.deliveries: dict[int, Record] = {}
        self.storing = 0
        self.itself = (self,)  # for records whose goal it alone is
