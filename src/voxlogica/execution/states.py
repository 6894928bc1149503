"""What the state machine keeps: one record per task, one state per record, and the changes of state there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from voxlogica.execution.messages import Counts, RunId
from voxlogica.formula import Formula
from voxlogica.storage import TaskError

State: TypeAlias = Literal[
    "waiting", "open", "claiming", "foreign", "wanted", "ready", "running",
    "known", "loading", "done", "failed", "skipped", "dropped",
]  # fmt: skip

WAITING: Final = "waiting"  # some input is not at hand
OPEN: Final = "open"  # all are: a published task may be claimed, a private one computed for whoever claims
CLAIMING: Final = "claiming"  # the claim is asked for
FOREIGN: Final = "foreign"  # somebody else has it
WANTED: Final = "wanted"  # to be computed as soon as the values it reads are
READY: Final = "ready"  # to be computed as soon as there is room
RUNNING: Final = "running"  # being computed
KNOWN: Final = "known"  # stored, not in memory
LOADING: Final = "loading"  # being opened
DONE: Final = "done"  # in memory
FAILED: Final = "failed"  # it failed itself
SKIPPED: Final = "skipped"  # something it needs failed
DROPPED: Final = "dropped"  # nobody needs it any more

TRANSITIONS: Mapping[State, frozenset[State]] = {
    WAITING: frozenset({OPEN, SKIPPED, DROPPED}),
    OPEN: frozenset({CLAIMING, WANTED, WAITING, SKIPPED, DROPPED}),
    CLAIMING: frozenset({WANTED, WAITING, FOREIGN, KNOWN, FAILED, SKIPPED, DROPPED}),
    FOREIGN: frozenset({OPEN, WAITING, KNOWN, FAILED, SKIPPED, DROPPED}),
    WANTED: frozenset({READY, WAITING, SKIPPED, DROPPED}),
    READY: frozenset({RUNNING, DROPPED}),
    RUNNING: frozenset({DONE, FAILED}),
    KNOWN: frozenset({LOADING, DROPPED}),
    LOADING: frozenset({DONE, WAITING, FAILED, DROPPED}),
    DONE: frozenset({DROPPED}),
    FAILED: frozenset({DROPPED}),
    SKIPPED: frozenset({DROPPED}),
    DROPPED: frozenset(),
}
"""Every change of state there is; `Machine._move` refuses others."""

ASKED = (CLAIMING, FOREIGN)
"""An answer is awaited that decides: left alone until it comes."""
STOPPED = (FAILED, SKIPPED)


class Record:
    """A task in the machine: what it reads, who reads it, and how far it is.

    `lacking` counts the inputs that are not at hand, `missing` (from `wanted` on) those whose value is not in memory.
    An input is at hand when it is completed or, being private, when all of its own are: then a claim can have it made.
    """

    __slots__ = (
        "bytes", "cause", "error", "formula", "held", "how", "id", "inputs", "lacking", "missing", "pins", "priority",
        "published", "refs", "resident", "run", "scratch", "seconds", "sharing", "slot", "state", "tiny", "users",
    )  # fmt: skip

    def __init__(self, formula: Formula, run: Run) -> None:
        self.formula, self.how, self.id, self.run = formula, formula, formula.id, run
        self.state: State = WAITING
        self.inputs: tuple[Record, ...] = ()
        self.users: list[Record] = []
        self.pins: tuple[Run, ...] = ()  # runs of which it is a goal that is not finished
        self.sharing: tuple[Run, ...] = ()  # runs that found it under way
        self.lacking = self.missing = self.refs = self.resident = 0
        self.held = self.slot = False  # has the claim; takes one of the places for claims
        self.cause: Record | None = None
        self.error: TaskError | None = None
        self.priority = self.bytes = self.scratch = 0
        self.seconds = 0.0
        self.published = self.tiny = False

    @property
    def at_hand(self) -> bool:
        """Whether what reads it may be claimed."""
        state = self.state
        if state in (DONE, KNOWN, LOADING):
            return True
        return not self.published and state in (OPEN, WANTED, READY, RUNNING)

    def __repr__(self) -> str:
        return f"<{self.state} {self.formula}>"


class Run:
    """Somebody's goals: those not finished, and those finished and not yet taken, by the number of their delivery."""

    __slots__ = ("counts", "deliveries", "goals", "id", "listening")

    def __init__(self, id: RunId, counts: Counts, listening: bool) -> None:
        self.id, self.counts, self.listening = id, counts, listening
        self.goals: set[Record] = set()
        self.deliveries: dict[int, Record] = {}
