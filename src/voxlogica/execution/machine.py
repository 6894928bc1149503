"""The scheduler as a pure state machine: events in, instructions out; no I/O, no threads, a clock only to stamp.

It decides what is claimed, computed, stored and freed, in which order and how much at once; `threads` carries that out,
and decides nothing. The rules are those of the protocol:

- A published task is claimed when its published inputs are completed; its private inputs are computed after that, on
  demand of the claim; then the task itself. So a holder never waits for another claim.
- Ready means that all inputs are completed, in memory or not: what is stored is opened when there is room for the task.
- A task may start while what is resident and reserved, its result and its scratch fit the budget, and always when no
  kernel runs, unless the store is behind with a good part of the memory. Over budget, values that can be had again are
  evicted first.
- A value is freed at its last use.
- A failure skips what depends on it, with one root cause, and nothing else. A circumstance is tried once more, alone.
- A task whose outcome is formulas holds nothing while they are computed: it becomes one that reads them.
- A process that has not computed anything yet leaves what is cheaper than its start to the process that is at it, and
  everything as long as others keep the processors busy.

Tiny tasks (scalars) take no worker and no admission: they are ordered in batches which a driver runs on the spot.

The classes below this one keep the books (`ledger`), move single records (`making`) and link plans (`runs`); here
events are answered, and it is decided what starts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from heapq import heappop, heappush
from typing import Any

from voxlogica._dataclass import replace
from voxlogica.execution.invariants import check
from voxlogica.execution.messages import (
    ANSWERS,
    Abandoned,
    Begin,
    Busy,
    Cancel,
    Claim,
    Compute,
    Computed,
    Delivered,
    Expire,
    Extended,
    Found,
    Gather,
    Gone,
    Granted,
    Happened,
    Impatient,
    Input,
    Instruction,
    Load,
    Loaded,
    Overdue,
    Patience,
    Raised,
    Store,
    Wait,
    Written,
)
from voxlogica.execution.runs import Runs
from voxlogica.execution.states import (
    CLAIMING,
    FAILED,
    FOREIGN,
    KNOWN,
    OPEN,
    READY,
    SKIPPED,
    WAITING,
    Record,
    Run,
)
from voxlogica.storage import TaskError

BATCH = 256
"""Tiny tasks ordered at a time: enough to make the cost of a turn vanish, few enough that Ctrl-C is prompt."""

_LOOK = 8  # ready tasks looked at, in order of priority, for one that fits; bounds the work per event
_PATIENCE = 3.0  # seconds without anything done elsewhere, after which a process computes what others might
_START = 0.5  # what is left to compute, in seconds, for which it pays that one more process loads its kernels
_FEW = 1000  # tasks, for which alone this is looked at
_BEHIND = 4  # the store may be behind with one part in so many of the budget before kernels wait for it


class Machine(Runs):
    """Decides; see the module. `jobs` kernels run at once, within `memory` bytes.

    `cold`: the process has yet to load its kernels, and has claimed nothing that needs them.
    """

    def __init__(self, jobs: int, memory: int, cold: bool = False) -> None:
        super().__init__(jobs, memory)
        self.cold = cold
        self._met = False  # somebody else is at it
        self._crowded = False  # others keep the processors busy, or may
        self._tried: set[Record] = set()  # that could have been claimed since something was last done elsewhere
        self._foreign = 0  # tasks waited for
        self._patient = self._progress = False  # waiting to be impatient; somebody else has done something since
        self._storing: dict[int, tuple[Run, ...]] = {}  # whose end waits for an unanswered Store

    # In and out

    def handle(self, event: Input, now: float = 0.0) -> list[Instruction]:
        """What to do now that this has happened."""
        return self.handle_all((event,), now)

    def handle_all(self, events: Iterable[Input], now: float = 0.0) -> list[Instruction]:
        """What to do now that all these have happened, in this order. `now` is what events are stamped with."""
        out: list[Instruction] = []
        self._out, self.now = out, now
        for event in events:
            kind = type(event)
            outside = _OUTSIDE.get(kind)
            if outside is not None:
                outside(self, event)
                continue
            asked = self._asked.pop(event.number, None)  # type: ignore[union-attr]
            if asked is not None:
                instruction, record = asked
                if kind not in ANSWERS[instruction]:
                    raise ValueError(f"{event} does not answer a {instruction.__name__}")
                if record.tiny and instruction in _BATCHED:
                    self.batch -= 1
                _HANDLERS[kind](self, event, instruction, record)
        self._dispatch()
        return out

    def validate(self) -> None:
        """Checks everything that must hold between events; for tests and for finding our bugs."""
        check(self)

    @property
    def unanswered(self) -> list[tuple[type, Record]]:
        """The instructions that wait for an event."""
        return list(self._asked.values())

    def _delivered(self, event: Delivered, _: type, record: Record) -> None:
        run = self._taking.pop(event.number)
        del run.deliveries[event.number]
        self._unref(record)
        self._finished(run)

    # Claims are answered

    def _granted(self, event: Granted, kind: type, record: Record) -> None:
        record.held = event.claimed
        if kind is Wait:
            self._waited(record)
        if not event.claimed:
            self._leave_slot(record)
        stopped = self._stopped_input(record)
        if not record.refs:
            self._drop(record)
        elif stopped is not None:
            self._stop(record, SKIPPED, stopped.cause)
            self._spread(record)
        elif record.lacking:  # an input was lost meanwhile: a holder waits for no other claim
            self._release(record)
            self._move(record, WAITING)
        elif kind is Claim and self._courteous(event.crowded):
            self._release(record)
            self._tried.add(record)
            self._opened(record)
        elif kind is Wait and not record.tiny and not self._may_start(record):
            self._release(record)  # an heir that could not start at once lets others try
            self._opened(record)
        else:
            self.cold = self.cold and record.tiny
            self._demand(record)

    def _may_start(self, record: Record) -> bool:
        """Whether there is a worker and room for one more claim."""
        busy = self.running + self.claims
        return busy < self.jobs and (not busy or self._need(record) + self.promised <= self._room())

    def _busy(self, event: Busy, _: type, record: Record) -> None:
        self._leave_slot(record)
        if not record.refs:
            self._drop(record)
            return
        self._move(record, FOREIGN)
        self._foreign += 1
        # Who is met for the first time is waited for: what it will run cannot be seen yet.
        self._met, self._crowded = True, event.crowded or not self._met
        self._tried.clear()
        record.since = self.now
        for run in (record.run, *record.sharing):
            run.counts.waiting += 1
        number = self._ask(Wait, record)
        self._out.append(Wait(number, record.formula))
        self._alarm(record, number)

    def _waited(self, record: Record) -> None:
        self._foreign -= 1
        self._progress = True
        for run in (record.run, *record.sharing):
            run.counts.waiting -= 1
        self._tell(record, "waited", self.now - record.since)

    def _abandoned(self, event: Abandoned, _: type, record: Record) -> None:
        self._waited(record)
        stopped = self._stopped_input(record)
        if not record.refs:
            self._drop(record)
        elif stopped is not None:
            self._stop(record, SKIPPED, stopped.cause)
            self._spread(record)
        elif record.lacking:
            self._move(record, WAITING)
        else:
            self._opened(record)

    def _found(self, event: Found, kind: type, record: Record) -> None:
        if kind is Wait:
            self._waited(record)
        self._leave_slot(record)
        if not record.refs:
            self._drop(record)
            return
        self._move(record, KNOWN)
        record.stored = True
        for run in (record.run, *record.sharing):
            run.counts.reused += 1
            run.counts.settled += record.seconds
        self._tell(record, "reused")
        if record.dynamic:
            self._unlink(record)
            self._load(record)
            return
        self._let_inputs_go(record)
        for user in self._came_to_hand(record):
            self._opened(user)
        if record.pins and record.state == KNOWN:
            self._asked_for.append(record)

    # Values are there, or are not

    def _loaded(self, event: Loaded, _: type, record: Record) -> None:
        self._opening_ended(record)
        record.stored = True
        self._arrived(record, event.bytes)
        self._hand_out(record)

    def _computed(self, event: Computed, _: type, record: Record) -> None:
        was_at_hand = record.at_hand  # as private ones are, unless they are late
        self._ended(record)
        self._arrived(record, 0 if record.tiny else event.bytes)
        if not record.gathers:
            self._made(record, event)
            self._let_inputs_go(record)
        if not was_at_hand:
            for user in self._came_to_hand(record):
                self._opened(user)
        if (record.held or record.pins) and not record.gathers:
            self._store(record, event)
        self._hand_out(record)

    def _extended(self, event: Extended, kind: type, record: Record) -> None:
        """The outcome is formulas: the claim ends when they are stored, and dependants wait for their values."""
        needed = bool(record.refs)
        if kind is Load:
            self._opening_ended(record)
        else:
            self._ended(record)
            self._made(record, event)
            self._unlink(record)
            if record.held or record.pins:
                self._store(record, event)
        record.grown = True
        if needed:
            self._grow(record, event.plan, event.failed)
        elif kind is Load or not record.refs:
            self._forget(record)
        else:  # until it is stored: who comes meanwhile opens it
            self._move(record, KNOWN)

    def _made(self, record: Record, event: Computed | Extended) -> None:
        counts = record.run.counts
        counts.done += 1
        counts.seconds += event.seconds
        counts.estimated += record.seconds
        counts.settled += record.seconds
        for run in record.sharing:
            run.counts.reused += 1
            run.counts.settled += record.seconds
        self._tell(record, "done", event.seconds, event.bytes, event.at, event.worker)

    def _store(self, record: Record, event: Computed | Extended) -> None:
        record.refs += 1
        number = self._ask(Store, record)
        order = Store(number, record.formula, record.rule, record.held, event.seconds, event.bytes, record.goal)
        self._out.append(order)
        record.held = False
        self.usage.storing += record.resident
        waiting = tuple([run for run in (record.run, *record.sharing) if run.listening or record.goal])
        if waiting:
            self._storing[number] = waiting
            for run in waiting:
                run.storing += 1

    def _written(self, event: Written, kind: type, record: Record) -> None:
        if kind is not Store:
            return
        self.usage.storing -= record.resident
        record.stored = event.stored
        waiting = self._storing.pop(event.number, ())
        for run in waiting:
            if run.listening:
                kept: Happened = "persisted" if event.stored else "unstored"
                self._told(run, record, kept, event.seconds, record.resident, 0.0, -1)
        self._unref(record)
        for run in waiting:
            run.storing -= 1
            self._finished(run)

    def _gone(self, event: Gone, _: type, record: Record) -> None:
        """A stored value is lost, or a private one was evicted: its task is an ordinary one again.

        What counted on it steps back. It is counted as one more task.
        """
        self._opening_ended(record)
        if not record.refs:
            self._drop(record)
            return
        was_at_hand = record.at_hand
        self._move(record, WAITING)
        if record.stored:
            self._tell(record, "lost")
        record.stored, record.lacking = False, 0
        for run in record.sharing:
            run.counts.tasks += 1
            run.counts.expected += record.seconds
        if was_at_hand:
            self._withdraw(record)
        created, settled = self._enter(event.plan, event.failed, record.run, again=record)
        if record not in created:
            raise ValueError(f"the plan for {record}, which is gone, does not make it")
        self._set_going(created, settled)

    def _raised(self, event: Raised, kind: type, record: Record) -> None:
        error = event.error
        if kind is Wait:
            self._waited(record)
        elif kind is Load:
            self._opening_ended(record)
            for run in (record.run, *record.sharing):
                run.counts.tasks += 1  # it was counted as reused
        elif kind is Compute:
            was_at_hand = record.at_hand
            self._ended(record)
            if record.refs and (record.killed or (error.kind == "circumstance" and not record.alone)):
                self._try_again(record, event)
                if record.at_hand and not was_at_hand:
                    for user in self._came_to_hand(record):
                        self._opened(user)
                return
            if record.killed is True:  # nobody needed it: that is no failure, and others may claim it
                self._release(record)
            elif isinstance(record.killed, TaskError):
                error = record.killed
            if record.alone and error.attempt == 1:
                error = replace(error, attempt=2)
        self._leave_slot(record)
        record.error = error
        self._stop(record, FAILED, record)
        self._spread(record)
        if not record.refs and record.state == FAILED:
            self._forget(record)

    def _try_again(self, record: Record, event: Raised) -> None:
        """Computes once more what did not end by its own fault; after a circumstance, when no other kernel runs."""
        if not record.killed:
            record.alone = True
            self._tell(record, "retried", event.error.duration, 0, event.at, event.worker)
        record.killed = False
        self._got_ready(record)

    # What starts now

    def _dispatch(self) -> None:
        courteous = self._courteous()
        if self._tiny_ready or (self._tiny_open and not courteous):
            self._dispatch_tiny()
        starting = []
        while self.running < self.jobs and (record := self._next_ready()) is not None:
            self._admit(record)
            if not self._fetch(record):
                starting.append(record)
        for record in starting:
            self._run(record, self._threads(record, starting))
        if self._asked_for:
            self._dispatch_goals()
        if courteous:
            self._dispatch_courteously()
        elif self._open:
            self._dispatch_claims()

    def _dispatch_tiny(self) -> None:
        ready, open = self._tiny_ready, self._tiny_open
        while ready and self.batch < BATCH:
            record = ready.pop()
            if record.state == READY and not self._fetch(record):
                self._run(record, 1)
        while open and self.batch < BATCH:
            record = open.pop()
            if record.state == OPEN and record.published:
                self._claim(record)

    def _next_ready(self) -> Record | None:
        """The first ready task in order of priority for which there is room; the first of all when no kernel runs."""
        aside: list[tuple[int, int, Record]] = []
        found = None
        while self._ready and len(aside) < _LOOK:
            entry = heappop(self._ready)
            record = entry[2]
            if record.state != READY:
                continue
            if self._admits(record, not aside):
                found = record
                break
            aside.append(entry)
            if record.alone:
                break  # nothing starts before it, so that its turn comes
        for entry in aside:
            heappush(self._ready, entry)
        return found

    def _admits(self, record: Record, first: bool) -> bool:
        """Whether a task may start; for the first in priority, room is made."""
        if record.alone and self.running:
            return False
        need = self._need(record)
        if need <= self._room():
            return True
        # When no kernel runs one is always admitted, except that the store is given time to catch up: it needs none of
        # what is waited for here.
        always = not self.running and self.usage.storing * _BEHIND <= self.memory
        if first:
            self._evict(need - self._room(), record, enough=not always)
        return always or need <= self._room()

    def _dispatch_goals(self) -> None:
        """Opens goals that are stored, as there is room; one at least, when nothing else moves."""
        goals = self._asked_for
        while goals and self.opening < BATCH:
            record = goals[0]
            if record.state == KNOWN and record.pins:
                size = self._size(record)
                if size > self._room():
                    self._evict(size - self._room(), record, enough=True, gently=True)
                    if size > self._room() and (self.running or self.opening):
                        return
                self._load(record)
            goals.popleft()

    def _dispatch_claims(self) -> None:
        """Claims what could start: as many as there are workers without anything to do."""
        jobs = 1 if self.cold else self.jobs  # to see first whether somebody is at it
        while self._open and self.claims < jobs and self.running + len(self._ready) < jobs:
            record = self._open[0][2]
            if record.state == OPEN and record.published:
                lack = self._need(record) + self.promised - self._room()
                if lack > 0:
                    self._evict(lack, record, enough=True, gently=True)
                    if self._need(record) + self.promised > self._room() and (self.running or self.claims):
                        return
                self._claim(record)
            heappop(self._open)

    def _claim(self, record: Record) -> None:
        self._move(record, CLAIMING)
        if record.tiny:
            self.batch += 1
        else:
            record.slot = True
            self.claims += 1
            self.promised += record.bytes + record.scratch
        self._out.append(Claim(self._ask(Claim, record), record.formula, record.tiny, record.bytes, self.cold))

    # Somebody else is at it

    def _begin(self, event: Begin) -> None:
        if event.behind:
            self._met = self._crowded = True
        super()._begin(event)

    def _is_short(self) -> bool:
        ahead = sum(run.counts.expected - run.counts.settled for run in self.runs.values())
        return ahead < _START and len(self.records) <= _FEW

    def _courteous(self, crowded: bool | None = None) -> bool:
        """Whether what is left is left to others, as long as there are any; `crowded` is the latest word on that."""
        if crowded is not None and self._met:
            self._crowded = crowded
        return self._met and self.cold and (self._crowded or self._is_short())

    def _dispatch_courteously(self) -> None:
        """Tries, one after the other, what could be claimed: one that somebody has is waited for.

        If nobody has any they have gone, and the next claim is meant.
        """
        if self._foreign:
            if not self._patient:
                self._patient, self._progress = True, False
                self._out.append(Patience(_PATIENCE))
            return
        if self.claims or self.batch or self.running:
            return
        tried = self._tried

        def claimable(record: Record) -> bool:
            return record.state == OPEN and record.published and record not in tried

        record = next(filter(claimable, self._tiny_open), None)
        if record is None:
            waiting = [entry for entry in self._open if claimable(entry[2])]
            record = min(waiting)[2] if waiting else None
        if record is not None:
            self._claim(record)
        elif tried:
            self._met = False
            tried.clear()
            self._dispatch()

    def _impatient(self, _: Impatient) -> None:
        self._patient = False
        if not self._progress:
            self.cold = False


_BATCHED = (Compute, Claim, Gather)

_OUTSIDE: Mapping[type, Callable[[Machine, Any], None]] = {
    Begin: Machine._begin,
    Cancel: Machine._cancel,
    Expire: Machine._expire,
    Impatient: Machine._impatient,
    Overdue: Machine._overdue,
}

_HANDLERS: Mapping[type, Callable[[Machine, Any, type, Record], None]] = {
    Granted: Machine._granted,
    Busy: Machine._busy,
    Found: Machine._found,
    Abandoned: Machine._abandoned,
    Loaded: Machine._loaded,
    Gone: Machine._gone,
    Computed: Machine._computed,
    Extended: Machine._extended,
    Raised: Machine._raised,
    Written: Machine._written,
    Delivered: Machine._delivered,
}
