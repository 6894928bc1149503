"""The claim protocol as a small transition system, explored exhaustively.

Several workers want the value of one task; a collector and a sweeper are at work; a process may be killed at every
step, a blob may be spoilt, the power may fail. `protocol.TRANSITIONS`, by which the code goes, says which step may
follow which; what a step needs and does is said here, one function per label. `explore` visits every state there is
and raises `Violation`, with the steps that lead there, where a promise is broken. `bug` plants a mistake, to be found.

Not modelled, since it changes nothing for others: what a process does between two steps, and shared locks that are let
go at once (`wait-shared` is one step).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from voxlogica.storage.protocol import START, TRANSITIONS

BUGS = (
    "no second look",
    "release before commit",
    "row before blob",
    "trust the row",
    "blind delete with one name",
    "no uses",
    "file before row",
    "exclusive wait first",
    "lock kept by the dead",
)


class Process(NamedTuple):
    """`at` is its last step, `doing` what for; `seen` the blob its row named, `mine` the one it publishes. Names are
    numbers from 1; 0 is none."""

    at: str
    doing: str
    seen: int = 0
    mine: int = 0


class State(NamedTuple):
    """`claim`, `gate` and `sweep` (the byte in `uses`, exclusively) are owners' numbers or -1; `uses` (shared), `files`
    and `bad` are sets of bits. `row` is the blob the row names, 0 without a row. The rest is what may still happen."""

    processes: tuple[Process, ...]
    claim: int
    gate: int
    sweep: int
    uses: int
    row: int
    files: int
    bad: int
    names: int
    executions: int
    kills: int
    spoils: int
    failures: int
    gifts: int
    collections: int


@dataclass(frozen=True)
class Setting:
    """How much there is of everything: workers, kills, blobs spoilt, power failures, claims given back, collections."""

    workers: int
    kills: int
    spoils: int = 0
    power: int = 0
    gifts: int = 0
    collections: int = 0
    sweeper: bool = False
    bug: str = ""


class Violation(Exception):
    """A promise is broken; the steps that lead there, one a line."""


class Model:
    """All that can happen in one setting."""

    def __init__(self, setting: Setting) -> None:
        self.setting, self.bug = setting, setting.bug
        self.table = dict(TRANSITIONS)
        if self.bug == "row before blob":
            self.table |= {
                "uses-locked": ("gate-entered",),
                "row-committed": ("blob-written", *TRANSITIONS["row-committed"]),
                "blob-renamed": ("uses-unlocked",),
            }
        if self.bug == "file before row":
            self.table |= {"collector-chose": ("collector-removed",), "collector-removed": ("gate-entered", START)}
        self.steps: dict[str, Callable[[State, int, Process], State | None]] = {
            label: getattr(self, "_" + label.replace("-", "_")) for label in self.table
        }

    def first(self) -> State:
        s = self.setting
        processes = [Process(START, "want")] * s.workers
        processes += [Process(START, "collect")] * bool(s.collections) + [Process(START, "sweep")] * s.sweeper
        budgets = (s.kills, s.spoils, s.power, s.gifts, s.collections)
        return State(tuple(processes), -1, -1, -1, 0, 0, 0, 0, 0, 0, *budgets)

    # What can happen

    def successors(self, state: State) -> Iterator[tuple[str, State]]:
        for number, process in enumerate(state.processes):
            for label in self.table[process.at]:
                after = self.steps[label](state, number, process)
                if after is not None:
                    yield f"{number} {label}", after
            for what, after in self._inner(state, number, process):
                yield f"{number} {what}", after
            if state.kills and process.doing not in ("done", "dead"):
                yield f"{number} killed", self._killed(state, number)._replace(kills=state.kills - 1)
        if state.spoils:
            for name in bits(state.files & ~state.bad):
                yield f"blob {name} spoilt", state._replace(bad=state.bad | 1 << name, spoils=state.spoils - 1)
        if state.failures:
            yield from self._power_fails(state)

    def _killed(self, state: State, number: int) -> State:
        """The kernel drops its locks; a worker is started again."""
        if self.bug != "lock kept by the dead" and state.claim == number:
            state = state._replace(claim=-1)
        doing = "want" if number < self.setting.workers else "dead"
        return at(state, number, Process(START, doing))._replace(
            gate=-1 if state.gate == number else state.gate,
            sweep=-1 if state.sweep == number else state.sweep,
            uses=state.uses & ~(1 << number),
        )

    def _power_fails(self, state: State) -> Iterator[tuple[str, State]]:
        """Nobody survives; what was not made durable may be gone or torn."""
        after = state._replace(failures=state.failures - 1)
        for number, process in enumerate(state.processes):
            if process.doing != "done":
                after = self._killed(after, number)
        for row in {state.row, 0}:
            for files, bad in {(state.files, state.bad), (state.files, state.files), (0, 0)}:
                yield (
                    f"power fails: row {row}, files {files:b}, torn {bad:b}",
                    after._replace(row=row, files=files, bad=bad),
                )

    def _excuses(self, state: State) -> int:
        s = self.setting
        left = state.kills + state.spoils + state.failures + state.gifts + state.collections
        return s.kills + s.spoils + s.power + s.gifts + s.collections - left

    # What a process does that changes nothing for others: looking, opening

    def _inner(self, state: State, number: int, process: Process) -> Iterator[tuple[str, State]]:
        if process.at == START and process.doing == "want" and state.row:
            yield "looks", at(state, number, Process(START, "read", state.row))
        if process.at == "wait-shared" and process.doing == "wait":
            if state.row:
                yield "looks", at(state, number, Process(START, "read", state.row))
            else:
                yield "looks", at(state, number, process._replace(doing="inherit"))
        if process.at == START and process.doing == "read":
            yield "opens", at(state, number, self._opened(state, process))

    def _opened(self, state: State, process: Process) -> Process:
        bit = 1 << process.seen
        if state.files & bit:
            if not state.bad & bit:
                return Process(START, "done")
            if self.bug == "trust the row":
                raise Violation("a wrong value was read")
            return Process(START, "repair", process.seen)
        if not state.row:
            return Process(START, "want")
        if state.row != process.seen:
            return Process(START, "read", state.row)
        if state.spoils == self.setting.spoils and state.failures == self.setting.power:
            raise Violation("a row without its blob")
        return Process(START, "repair", process.seen)

    # One function per label: what it needs (None: not now) and what it does

    def _start(self, state: State, number: int, process: Process) -> State | None:
        match process.at, process.doing:
            case "claim-busy", _:
                first = "inherit" if self.bug == "exclusive wait first" else "wait"
                return at(state, number, Process(START if first == "wait" else "wait-shared", first))
            case "claim-released", "publish":
                return at(state, number, Process(START, "read", process.mine))
            case "claim-released", _:
                return at(state, number, Process(START, process.doing, process.seen))
            case "inherited", _:
                return at(state, number, Process(START, "publish"))
            case "wait-exclusive", _ if state.row:
                return at(state, number, Process(START, "read", state.row))._replace(claim=-1)
            case "row-committed", "repair" if not state.files & 1 << process.seen:
                return at(state, number, Process(START, "want"))
            case "blob-quarantined", _:
                return at(state, number, Process(START, "want"))
            case (("collector-removed" | "sweeper-locked" | "sweeper-removed"), _):
                if process.at == "sweeper-locked" and state.row != process.seen:
                    return None  # it is about to remove
                return at(state, number, Process(START, process.doing))._replace(sweep=-1)
            case "row-committed", "collect" if self.bug == "file before row":
                return at(state, number, Process(START, "collect"))._replace(sweep=-1)
        return None

    def _claim_locked(self, state: State, number: int, process: Process) -> State | None:
        if process.doing != "want" or state.claim != -1:
            return None
        return at(state, number, Process("claim-locked", "want"))._replace(claim=number)

    def _claim_busy(self, state: State, number: int, process: Process) -> State | None:
        if process.doing != "want" or state.claim in (-1, number):
            return None
        return at(state, number, Process("claim-busy", "wait"))

    def _claim_looked(self, state: State, number: int, process: Process) -> State | None:
        if state.row and self.bug != "no second look":
            return None
        return self._computes(at(state, number, Process("claim-looked", "publish")))

    def _computes(self, state: State) -> State:
        state = state._replace(executions=state.executions + 1)
        if sum(process.at in ("claim-looked", "inherited") for process in state.processes) > 1:
            raise Violation("two compute at once")
        if state.executions > 1 + self._excuses(state):
            raise Violation("computed once more than kills, damage and collections explain")
        return state

    def _claim_released(self, state: State, number: int, process: Process) -> State | None:
        released = state._replace(claim=-1) if state.claim == number else state
        match process.at, process.doing:
            case "claim-locked", _ if state.row:
                return at(released, number, Process("claim-released", "read", state.row))
            case "claim-looked", _ if state.gifts:
                return at(released, number, Process("claim-released", "want"))._replace(gifts=state.gifts - 1)
            case "uses-unlocked", "publish":
                return at(released, number, process._replace(at="claim-released"))
        return None

    def _wait_shared(self, state: State, number: int, process: Process) -> State | None:
        if process.doing != "wait" or state.claim != -1:
            return None
        return at(state, number, Process("wait-shared", "wait"))

    def _wait_exclusive(self, state: State, number: int, process: Process) -> State | None:
        if process.doing != "inherit" or state.claim != -1:
            return None
        if not self._excuses(state):
            raise Violation("a waiter shut the others out though no owner has gone")
        return at(state, number, process._replace(at="wait-exclusive"))._replace(claim=number)

    def _inherited(self, state: State, number: int, process: Process) -> State | None:
        if state.row:
            return None
        return self._computes(at(state, number, Process("inherited", "publish")))

    def _uses_locked(self, state: State, number: int, process: Process) -> State | None:
        if process.doing != "publish" or state.sweep != -1:
            return None
        if self.bug == "release before commit":
            state = state._replace(claim=-1)
        uses = state.uses if self.bug == "no uses" else state.uses | 1 << number
        name = 1 if self.bug == "blind delete with one name" else state.names + 1
        return at(state, number, Process("uses-locked", "publish", 0, name))._replace(uses=uses, names=name)

    def _blob_written(self, state: State, number: int, process: Process) -> State | None:
        return at(state, number, process._replace(at="blob-written")) if process.doing == "publish" else None

    def _blob_renamed(self, state: State, number: int, process: Process) -> State | None:
        bit = 1 << process.mine
        return at(state, number, process._replace(at="blob-renamed"))._replace(
            files=state.files | bit, bad=state.bad & ~bit
        )

    def _uses_unlocked(self, state: State, number: int, process: Process) -> State | None:
        expected = "blob-renamed" if self.bug == "row before blob" else "row-committed"
        if process.doing != "publish" or process.at != expected:
            return None  # the other ways lead here when the disk is full
        state = state._replace(uses=state.uses & ~(1 << number))
        if state.row != process.mine:  # another success was there; this blob is superfluous
            state = state._replace(files=state.files & ~(1 << process.mine))
        return at(state, number, process._replace(at="uses-unlocked"))

    def _gate_entered(self, state: State, number: int, process: Process) -> State | None:
        if state.gate != -1 or (process.at == START and process.doing != "repair"):
            return None
        if process.at == "claim-looked":
            return None  # a small value: the same with fewer steps
        return at(state, number, process._replace(at="gate-entered"))._replace(gate=number)

    def _row_written(self, state: State, number: int, process: Process) -> State | None:
        return at(state, number, process._replace(at="row-written"))

    def _row_committed(self, state: State, number: int, process: Process) -> State | None:
        row = state.row
        if process.doing == "publish":
            row = row or process.mine
        elif row == process.seen or self.bug == "blind delete with one name":
            row = 0
        return at(state, number, process._replace(at="row-committed"))._replace(row=row, gate=-1)

    def _checkpointed(self, state: State, number: int, process: Process) -> State | None:
        return None  # changes nothing that a row or a lock says

    def _blob_quarantined(self, state: State, number: int, process: Process) -> State | None:
        if process.doing != "repair" or process.at == START or not state.files & 1 << process.seen:
            return None
        return at(state, number, process._replace(at="blob-quarantined"))._replace(
            files=state.files & ~(1 << process.seen)
        )

    def _collector_locked(self, state: State, number: int, process: Process) -> State | None:
        if process.doing != "collect" or not state.collections or not state.row:
            return None
        return at(state, number, Process("collector-locked", "collect", state.row))

    def _collector_chose(self, state: State, number: int, process: Process) -> State | None:
        if process.at != "collector-locked" or state.uses or state.sweep != -1:
            return None
        return at(state, number, process._replace(at="collector-chose"))._replace(
            sweep=number, collections=state.collections - 1
        )

    def _collector_removed(self, state: State, number: int, process: Process) -> State | None:
        if process.doing != "collect":
            return None
        return at(state, number, process._replace(at="collector-removed"))._replace(
            files=state.files & ~(1 << process.seen)
        )

    def _sweeper_locked(self, state: State, number: int, process: Process) -> State | None:
        if process.doing != "sweep" or process.at != START or not state.files or state.uses or state.sweep != -1:
            return None
        name = min(bits(state.files & ~(1 << state.row)), default=0)
        return at(state, number, Process("sweeper-locked", "sweep", name))._replace(sweep=number) if name else None

    def _sweeper_removed(self, state: State, number: int, process: Process) -> State | None:
        if state.row == process.seen:
            return None
        return at(state, number, process._replace(at="sweeper-removed"))._replace(
            files=state.files & ~(1 << process.seen)
        )

    # What must hold at the end

    def ended(self, state: State) -> None:
        """Nothing can happen any more: everybody must have the value, and nothing may be locked."""
        workers = state.processes[: self.setting.workers]
        if any(process.doing != "done" for process in workers):
            raise Violation("somebody waits for ever")
        if state.claim != -1 or state.gate != -1 or state.sweep != -1 or state.uses:
            raise Violation("something is left locked")


def at(state: State, number: int, process: Process) -> State:
    """The state with one process moved."""
    processes = state.processes
    return state._replace(processes=(*processes[:number], process, *processes[number + 1 :]))


def bits(number: int) -> Iterator[int]:
    """The positions of the ones."""
    position = 0
    while number:
        if number & 1:
            yield position
        number >>= 1
        position += 1


def explore(setting: Setting) -> int:
    """Visits every state; how many there are. Raises `Violation` with the way that leads to the first bad one."""
    model = Model(setting)
    first = model.first()
    came: dict[State, tuple[State, str] | None] = {first: None}
    todo = [first]
    while todo:
        following: list[State] = []
        for state in todo:
            moved = False
            try:
                for what, after in model.successors(state):
                    moved = moved or not what.endswith(("spoilt", "killed"))
                    if after not in came:
                        came[after] = (state, what)
                        following.append(after)
                if not moved:
                    model.ended(state)
            except Violation as violation:
                raise Violation("\n".join([*way(came, state), str(violation)])) from None
        todo = following
    return len(came)


def way(came: dict[State, tuple[State, str] | None], state: State) -> list[str]:
    """The steps that led to a state."""
    steps = []
    while (back := came[state]) is not None:
        state, what = back
        steps.append(what)
    return steps[::-1]
