"""The books of the state machine: who reads what, what is in memory, which claims are held; and what is let go.

`refs` of a record counts the unfinished tasks that read it, the goals not yet taken, and the store while it is being
told. At zero a value is freed, and a task that has not run is dropped with what it alone needed. Values that can be had
again are evicted when room is wanted, the cheapest to have again first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from voxlogica.execution.messages import (
    Event,
    Free,
    Happened,
    Instruction,
    Kill,
    Load,
    Over,
    Release,
    Retire,
    Tell,
    Usage,
)
from voxlogica.execution.states import (
    CLAIMING,
    COMPLETED,
    DONE,
    DROPPED,
    FETCHING,
    FOREIGN,
    KNOWN,
    LOADING,
    MAKING,
    RUNNING,
    STOPPED,
    TRANSITIONS,
    Record,
    Run,
    State,
)
from voxlogica.identity import Id
from voxlogica.plan import result_bytes
from voxlogica.storage import TaskError

_STORY = 20_000  # changes of state remembered for `story`
_WORTH = 1024  # a value smaller than this part of the budget is not worth evicting: that bounds how many are looked at


class Ledger:
    """What there is, and the moves that keep its sums; see the module."""

    def __init__(self, jobs: int, memory: int) -> None:
        self.jobs = jobs
        self.usage = Usage(budget=memory)
        self.records: dict[Id, Record] = {}  # what is needed now: a finished task that nobody reads is not here
        self.runs: dict[int, Run] = {}
        self.suspects: set[Id] = set()  # tasks that may crash their process: they run isolated
        # Bytes of what is claimed and does not run yet, so that no claim is made only to be kept waiting.
        self.promised = 0
        self.running = 0  # kernels and those being fetched for, without tiny tasks and overdue kernels
        self.claims = 0  # claims of tasks that are not tiny, asked for or held, until their kernel has ended
        self.opening = 0  # values
        self.now = 0.0  # the driver's clock at the last event, to stamp with
        self._asked: dict[int, tuple[type, Record]] = {}  # unanswered instructions
        self._number = 0
        self._out: list[Instruction] = []
        self._log: deque[Any] = deque(maxlen=3 * _STORY)  # id, old state, new state, flat: no objects to collect
        self._listening = 0  # runs
        self._large: dict[Record, None] = {}  # values in memory that are worth evicting

    @property
    def memory(self) -> int:
        """The budget, in bytes."""
        return self.usage.budget

    def story(self, id: Id) -> list[str]:
        """What a task went through lately, as `from -> to`, and how it is now."""
        log = list(self._log)
        lines = [f"{old} -> {new}" for seen, old, new in zip(log[::3], log[1::3], log[2::3], strict=True) if seen == id]
        record = self.records.get(id)
        if record is not None:
            lines.append(
                f"now {record.state}, lacking {record.lacking}, missing {record.missing}, read by {record.refs}"
                + (", claimed" if record.held else "")
            )
        return lines

    def _ask(self, kind: type, record: Record) -> int:
        self._number += 1
        self._asked[self._number] = (kind, record)
        return self._number

    def _move(self, record: Record, state: State) -> None:
        old = record.state
        if state not in TRANSITIONS[old]:
            raise AssertionError(f"{record} cannot become {state}: {self.story(record.id)}")
        self._log.extend((record.id, old, state))
        record.state = state

    def _tell(
        self,
        record: Record,
        kind: Happened,
        seconds: float = 0.0,
        bytes: int = 0,
        at: float = 0.0,
        worker: int = -1,
    ) -> None:
        if not self._listening:
            return
        run = record.run
        if run.listening:
            self._told(run, record, kind, seconds, bytes, at, worker)
        for run in record.sharing:
            if run.listening:
                self._told(run, record, kind, seconds, bytes, at, worker)

    def _told(self, run: Run, record: Record, kind: Happened, seconds: float, bytes: int, at: float, on: int) -> None:
        how = record.how.label if record.rule else ""
        event = Event(kind, record.id, record.formula, at or self.now, seconds, bytes, on, how)
        self._out.append(Tell(run.id, event))

    # Values come and go

    def _resides(self, record: Record, bytes: int) -> None:
        record.resident = bytes
        self.usage.live += bytes
        if bytes * _WORTH >= self.usage.budget and not record.gathers:
            self._large[record] = None

    def _leaves(self, record: Record) -> None:
        self.usage.live -= record.resident
        record.resident = 0
        self._large.pop(record, None)

    def _reserve(self, record: Record, bytes: int) -> None:
        record.reserved = bytes
        self.usage.reserved += bytes

    def _unreserve(self, record: Record) -> None:
        self.usage.reserved -= record.reserved
        record.reserved = 0

    def _load(self, record: Record) -> None:
        self._move(record, LOADING)
        self.opening += 1
        self._reserve(record, self._size(record))
        self._out.append(Load(self._ask(Load, record), record.formula))

    def _opening_ended(self, record: Record) -> None:
        self.opening -= 1
        self._unreserve(record)

    @staticmethod
    def _size(record: Record) -> int:
        """An estimate of the bytes that a value which is not in memory will take."""
        if not record.bytes:
            record.bytes = result_bytes(record.formula)
        return record.bytes

    def _need(self, record: Record) -> int:
        """The bytes that running a task takes: its result, its scratch, and what is to be opened for it."""
        need = record.bytes + record.scratch
        for input in record.inputs:
            if input.state == KNOWN:
                need += self._size(input)
        return need

    def _room(self) -> int:
        return self.usage.budget - self.usage.live - self.usage.reserved

    def _evict(self, wanted: int, reader: Record, *, enough: bool, gently: bool = False) -> None:
        """Makes `wanted` bytes of room, the values cheapest to have again first; with `enough`, all or nothing.

        Never what a running task reads, nor what `reader` does, which is why two inputs cannot evict each other for
        ever; what is not stored only where nothing in the making reads it, so that no demand is undone. `gently`: nor
        what is stored.
        """
        found = sorted(self._evictable(reader, gently), key=_dearness)
        if enough and sum(victim.resident for victim in found) < wanted:
            return
        for victim in found:
            if wanted <= 0:
                return
            wanted -= victim.resident
            self._tell(victim, "evicted", 0.0, victim.resident)
            victim.bytes = victim.resident
            self._leaves(victim)
            self._move(victim, KNOWN)
            self._out.append(Free(victim.formula))

    def _evictable(self, reader: Record, gently: bool) -> Iterator[Record]:
        for record in self._large:
            if record.published and not record.stored:
                continue  # it would be claimed anew: not ours to throw away
            readers = 0
            for user in record.users:
                state = user.state
                if user is reader or state in (FETCHING, RUNNING) or (user.gathers and state == DONE):
                    break
                if state in MAKING and (gently or not record.stored):
                    break
                readers += record in user.inputs
            else:
                if readers == record.refs:  # else a run takes it, or the store is being told
                    yield record

    # Claims

    def _release(self, record: Record) -> None:
        if record.held:
            record.held = False
            self._out.append(Release(self._ask(Release, record), record.formula))
        self._leave_slot(record)

    def _leave_slot(self, record: Record) -> None:
        if record.slot:
            record.slot = False
            self.claims -= 1
            if record.state not in (FETCHING, RUNNING):
                self.promised -= record.bytes + record.scratch

    # Kernels

    def _admit(self, record: Record) -> None:
        """A task that is not tiny takes a place among the running."""
        self.running += 1
        self._reserve(record, record.bytes + record.scratch)
        if record.slot:
            self.promised -= record.bytes + record.scratch
        for run in (record.run, *record.sharing):
            run.counts.running += 1

    def _ended(self, record: Record) -> None:
        """A task is no longer running, or being fetched for; the state is still what it was."""
        if not record.tiny:
            if record.overdue:
                record.overdue = False
                self._out.append(Retire())
            else:
                self.running -= 1
            self._unreserve(record)
            for run in (record.run, *record.sharing):
                run.counts.running -= 1
        self._leave_slot(record)

    # Tasks are let go

    def _let_inputs_go(self, record: Record) -> None:
        inputs, record.inputs = record.inputs, ()
        for input in inputs:
            self._unref(input)

    def _unlink(self, record: Record) -> None:
        """Lets go of the inputs of a task that will read others: they must not count it among their users."""
        for input in record.inputs:
            input.users.remove(record)
        self._let_inputs_go(record)

    def _unref(self, first: Record) -> None:
        """One reader less; what nobody needs now is freed or dropped, and so on down to what it alone needed."""
        stack = [first]
        while stack:
            record = stack.pop()
            record.refs -= 1
            if record.refs:
                continue
            state = record.state
            if state == DONE:
                stack += record.inputs  # of one that gathers
                record.inputs = ()
                self._free(record)
            elif state in STOPPED:
                self._forget(record)
            elif state == RUNNING:
                self._kill(record, True)
            elif state not in (CLAIMING, FOREIGN, LOADING):
                stack += record.inputs
                record.inputs = ()
                self._drop(record)

    def _drop(self, record: Record) -> None:
        """Nobody needs it any more, and it has not run."""
        if record.state == FETCHING:
            self._ended(record)
        self._release(record)
        self._let_inputs_go(record)
        if record.state not in COMPLETED and not record.gathers:
            for run in (record.run, *record.sharing):
                run.counts.dropped += 1
                run.counts.settled += record.seconds
        self._forget(record)

    def _free(self, record: Record) -> None:
        self._tell(record, "freed", 0.0, record.resident)
        self._leaves(record)
        record.grown = False
        self._out.append(Free(record.formula))
        self._forget(record)

    def _forget(self, record: Record) -> None:
        if record.grown:
            self._out.append(Free(record.formula))
        self._move(record, DROPPED)
        record.users.clear()
        if self.records.get(record.id) is record:
            del self.records[record.id]

    def _kill(self, record: Record, why: TaskError | bool) -> None:
        """Has the process of an isolated task ended; another kernel ends by itself, and is stored."""
        if record.isolated and not record.killed:
            record.killed = why
            self._out.append(Kill(record.number))

    # Runs

    def _finished(self, run: Run) -> None:
        if run.goals or run.deliveries or run.storing:
            return
        if self.runs.pop(run.id, None) is not None:
            self._deafen(run)
            self._out.append(Over(run.id))

    def _deafen(self, run: Run) -> None:
        """A run is told nothing any more."""
        if run.listening:
            run.listening = False
            self._listening -= 1


def _dearness(record: Record) -> tuple[float, int]:
    """What having a value again costs for each byte of room that it makes; of equals, what is read last goes first."""
    return (0.0 if record.stored else record.again / record.resident, -record.priority)
