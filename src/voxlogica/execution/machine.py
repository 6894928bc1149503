"""The scheduler as a pure state machine: events in, instructions out; no I/O, no threads, no clock.

It decides what is claimed, computed, stored and freed, in which order and how much at once; `threads` carries that out,
and decides nothing. The rules are those of the protocol:

- A published task is claimed when its published inputs are completed; its private inputs are computed after that, on
  demand of the claim; then the task itself. So a holder never waits for another claim.
- A task may start while what is resident and reserved, its result and its scratch fit the budget, and always when no
  kernel runs.
- A value is freed at its last use. `refs` counts the unfinished tasks that read it, the goals not yet taken, and the
  store while it is being told. A task that has not started and has none is dropped, with what it alone needed.
- A failure skips what depends on it, with one root cause, and nothing else.

Tiny tasks (scalars) take no worker and no admission: they are ordered in batches which a driver runs on the spot.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from heapq import heappop, heappush
from typing import Any

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
    Deliver,
    Delivered,
    Event,
    Found,
    Free,
    Gone,
    Granted,
    Input,
    Instruction,
    Load,
    Loaded,
    Mark,
    Raised,
    Release,
    Store,
    Tell,
    Wait,
    Written,
)
from voxlogica.execution.states import (
    ASKED,
    CLAIMING,
    DONE,
    DROPPED,
    FAILED,
    FOREIGN,
    KNOWN,
    LOADING,
    OPEN,
    READY,
    RUNNING,
    SKIPPED,
    STOPPED,
    TRANSITIONS,
    WAITING,
    WANTED,
    Record,
    Run,
    State,
)
from voxlogica.formula import Formula
from voxlogica.identity import Id
from voxlogica.plan import Task, Workplan
from voxlogica.storage import TaskError

BATCH = 256
"""Tiny tasks ordered at a time: enough to make the cost of a turn vanish, few enough that Ctrl-C is prompt."""

_LOOK = 8  # ready tasks looked at, in order of priority, for one that fits; bounds the work per event
_STORY = 20_000  # changes of state remembered for `story`


class Machine:
    """Decides; see the module. `jobs` kernels run at once, within `memory` bytes."""

    def __init__(self, jobs: int, memory: int) -> None:
        self.jobs, self.memory = jobs, memory
        self.records: dict[Id, Record] = {}  # what is needed now: a finished task that nobody reads is not here
        self.runs: dict[int, Run] = {}
        self.live = self.reserved = 0  # bytes of values in memory; of results and scratch of running kernels
        self.promised = (
            0  # bytes of what is claimed and does not run yet, so that no claim is made only to be kept waiting
        )
        self.running = 0  # kernels, without tiny tasks
        self.claims = 0  # claims of tasks that are not tiny, asked for or held, until their kernel has ended
        self._asked: dict[int, tuple[type, Record]] = {}  # unanswered instructions
        self._taking: dict[int, Run] = {}  # whose an unanswered delivery is
        self._number = 0
        self._batch = 0  # tiny instructions unanswered
        self._ready: list[tuple[int, int, Record]] = []  # heaps by priority, then by order of arrival;
        self._open: list[tuple[int, int, Record]] = []  # entries whose record has moved on are stale, and skipped
        self._tiny_ready: list[Record] = []
        self._tiny_open: list[Record] = []
        self._out: list[Instruction] = []
        self._log: deque[tuple[Id, State, State]] = deque(maxlen=_STORY)

    # In and out

    def handle(self, event: Input) -> list[Instruction]:
        """What to do now that this has happened."""
        return self.handle_all((event,))

    def handle_all(self, events: Iterable[Input]) -> list[Instruction]:
        """What to do now that all these have happened, in this order."""
        out: list[Instruction] = []
        self._out = out
        for event in events:
            kind = type(event)
            if kind is Begin:
                self._begin(event)  # type: ignore[arg-type]
            elif kind is Cancel:
                self._cancel(event)  # type: ignore[arg-type]
            else:
                asked = self._asked.pop(event.number, None)  # type: ignore[union-attr]
                if asked is not None:
                    instruction, record = asked
                    if kind not in ANSWERS[instruction]:
                        raise ValueError(f"{event} does not answer a {instruction.__name__}")
                    if record.tiny and (instruction is Compute or instruction is Claim):
                        self._batch -= 1
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

    def story(self, id: Id) -> list[str]:
        """What a task went through lately, as `from -> to`, and how it is now."""
        lines = [f"{old} -> {new}" for seen, old, new in self._log if seen == id]
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
        self._log.append((record.id, old, state))
        record.state = state

    def _tell(self, record: Record, kind: Any, seconds: float = 0.0, bytes: int = 0) -> None:
        for run in (record.run, *record.sharing):
            if run.listening:
                self._out.append(Tell(run.id, Event(kind, record.id, record.formula, seconds, bytes)))

    # Runs

    def _begin(self, event: Begin) -> None:
        run = self.runs[event.run] = Run(event.run, event.counts, event.listening)
        created, stopped = self._enter(event.plan, event.failed, run)
        goals = [self.records[goal.id] for goal in event.plan.goals if goal.id in self.records]
        for goal in goals:  # before anything moves, lest a goal be dropped for want of readers
            goal.pins += (run,)
            goal.refs += 1
            run.goals.add(goal)
        self._set_going(created, stopped)
        for goal in goals:
            if goal.state == DONE or (goal.state in STOPPED and goal in run.goals):
                self._deliver(goal)
            elif goal.state == KNOWN:
                self._load(goal)
            elif goal.state == OPEN and not goal.published:
                self._demand(goal)  # private in the plan of another run, where it is under way
        self._finished(run)

    def _enter(
        self, plan: Workplan, failed: Mapping[Id, TaskError], run: Run, again: Record | None = None
    ) -> tuple[list[Record], list[Record]]:
        """Makes and links records for what a plan needs, from the goals down; these, and those of known failures.

        What is under way already is shared, and then what it reads is not looked at. `again` is the record of a stored
        value that is gone, which becomes an ordinary task.
        """
        needed = {goal.id for goal in plan.goals}
        tasks: list[Task] = []
        for task in reversed(plan.tasks):
            if task.formula.id in needed:
                record = self.records.get(task.formula.id)
                if record is not None and record is not again and record.state not in STOPPED:
                    self._share(record, run)
                else:
                    tasks.append(task)
                    needed.update([input.id for input in task.inputs])
        run.counts.tasks += len(tasks)
        stopped = [record for known in plan.known if known.id in needed if (record := self._known(known, failed, run))]
        tasks.reverse()
        created = []
        for task in tasks:
            record = again if again is not None and task.formula.id == again.id else Record(task.formula, run)
            self.records[record.id] = record
            self._link(record, task, record is again)
            created.append(record)
        return created, stopped

    def _set_going(self, created: Iterable[Record], stopped: Iterable[Record]) -> None:
        for record in created:
            if not record.lacking and record.state == WAITING:
                self._opened(record)
        for record in stopped:
            self._spread(record)

    def _share(self, record: Record, run: Run) -> None:
        """A run needs a task that another run, or an earlier one, has under way."""
        if record.run is run or run in record.sharing:
            return
        run.counts.tasks += 1
        if record.state in (DONE, KNOWN, LOADING):
            run.counts.reused += 1
            if run.listening:
                self._out.append(Tell(run.id, Event("reused", record.id, record.formula, 0.0, record.resident)))
        else:
            record.sharing += (run,)

    def _known(self, formula: Formula, failed: Mapping[Id, TaskError], run: Run) -> Record | None:
        """Makes a record for an outcome that is stored, unless there is one; the record if it is a failure."""
        record = self.records.get(formula.id)
        run.counts.tasks += 1
        if record is not None and record.state not in STOPPED:
            run.counts.reused += 1
            return None
        record = self.records[formula.id] = Record(formula, run)
        record.error = failed.get(formula.id)
        if record.error is None:
            record.state = KNOWN
            run.counts.reused += 1
            self._tell(record, "reused")
            return None
        record.state, record.cause = FAILED, record
        run.counts.failed += 1
        self._tell(record, "failed")
        return record

    def _link(self, record: Record, task: Task, again: bool) -> None:
        record.priority, record.published, record.tiny, record.how = task.priority, task.published, task.tiny, task.how
        if not task.tiny:
            record.bytes, record.scratch, record.seconds = task.bytes, task.scratch, task.seconds
        records = self.records
        record.inputs = inputs = tuple([records[input.id] for input in task.inputs])
        for input in inputs:
            # Who was linked before, found stored, and then lost, may still stand among the users.
            if not again or record not in input.users:
                input.users.append(record)
            input.refs += 1
            if not input.at_hand:
                record.lacking += 1

    def _cancel(self, event: Cancel) -> None:
        run = self.runs.pop(event.run, None)
        if run is None:
            return
        run.listening = False
        for number, record in run.deliveries.items():
            del self._asked[number], self._taking[number]
            self._unref(record)
        for record in run.goals:
            record.pins = tuple(pin for pin in record.pins if pin is not run)
            self._unref(record)

    def _deliver(self, goal: Record) -> None:
        """Hands a finished goal to the runs that wait for it; it stays until they have taken it."""
        pins, goal.pins = goal.pins, ()
        for run in pins:
            run.goals.discard(goal)
            number = self._ask(Deliver, goal)
            run.deliveries[number] = goal
            self._taking[number] = run
            cause = goal.cause
            self._out.append(
                Deliver(number, run.id, goal.formula, cause.error if cause else None, cause.formula if cause else None)
            )

    def _delivered(self, event: Delivered, _: type, record: Record) -> None:
        run = self._taking.pop(event.number)
        del run.deliveries[event.number]
        self._finished(run)
        self._unref(record)

    def _finished(self, run: Run) -> None:
        if not run.goals and not run.deliveries:
            self.runs.pop(run.id, None)

    # Inputs come to hand, claims are answered

    def _opened(self, first: Record) -> None:
        """Nothing that this task reads is lacking; for a private one, that may open what reads it."""
        stack = [first]
        while stack:
            record = stack.pop()
            self._move(record, OPEN)
            if record.published:
                if record.tiny:
                    self._tiny_open.append(record)
                else:
                    self._number += 1
                    heappush(self._open, (record.priority, self._number, record))
                continue
            stack += self._came_to_hand(record)
            if record.pins:
                self._demand(record)

    def _came_to_hand(self, record: Record) -> list[Record]:
        """Counts down what users lack; those that lack nothing now and are to be opened."""
        opened = []
        for user in record.users:
            if user.state == WAITING or user.state in ASKED:
                user.lacking -= 1
                if not user.lacking and user.state == WAITING:
                    opened.append(user)
        return opened

    def _granted(self, event: Granted, _: type, record: Record) -> None:
        record.held = True
        stopped = next((input for input in record.inputs if input.state in STOPPED), None)
        if not record.refs:
            self._drop(record)
        elif stopped is not None:
            self._stop(record, SKIPPED, stopped.cause)
            self._spread(record)
        elif record.lacking:  # an input was lost meanwhile: a holder waits for no other claim
            self._release(record)
            self._move(record, WAITING)
        else:
            self._demand(record)

    def _busy(self, event: Busy, _: type, record: Record) -> None:
        self._leave_slot(record)
        if not record.refs:
            self._drop(record)
        else:
            self._move(record, FOREIGN)
            self._out.append(Wait(self._ask(Wait, record), record.formula))

    def _abandoned(self, event: Abandoned, _: type, record: Record) -> None:
        stopped = next((input for input in record.inputs if input.state in STOPPED), None)
        if not record.refs:
            self._drop(record)
        elif stopped is not None:
            self._stop(record, SKIPPED, stopped.cause)
            self._spread(record)
        elif record.lacking:
            self._move(record, WAITING)
        else:
            self._opened(record)

    def _found(self, event: Found, _: type, record: Record) -> None:
        self._leave_slot(record)
        if not record.refs:
            self._drop(record)
            return
        self._move(record, KNOWN)
        for run in (record.run, *record.sharing):
            run.counts.reused += 1
        self._tell(record, "reused")
        self._let_inputs_go(record)
        for user in self._came_to_hand(record):
            self._opened(user)
        if record.pins and record.state == KNOWN:
            self._load(record)

    # Values are made

    def _demand(self, first: Record) -> None:
        """Has a task computed, and before it the private ones it reads. Nothing it reads is lacking."""
        self._move(first, WANTED)
        stack = [first]
        while stack:
            record = stack.pop()
            missing = 0
            for input in record.inputs:
                if input.state == DONE:
                    continue
                missing += 1
                if input.state == OPEN:
                    self._move(input, WANTED)
                    stack.append(input)
                elif input.state == KNOWN:
                    self._load(input)
            record.missing = missing
            if not missing:
                self._got_ready(record)

    def _got_ready(self, record: Record) -> None:
        self._move(record, READY)
        if record.tiny:
            self._tiny_ready.append(record)
        else:
            self._number += 1
            heappush(self._ready, (record.priority, self._number, record))

    def _load(self, record: Record) -> None:
        self._move(record, LOADING)
        self._out.append(Load(self._ask(Load, record), record.formula))

    def _loaded(self, event: Loaded, _: type, record: Record) -> None:
        self._arrived(record, event.bytes)
        self._hand_out(record)

    def _computed(self, event: Computed, _: type, record: Record) -> None:
        self._ended(record)
        self._arrived(record, 0 if record.tiny else event.bytes)
        record.run.counts.done += 1
        for run in record.sharing:
            run.counts.reused += 1
        self._tell(record, "done", event.seconds, event.bytes)
        self._let_inputs_go(record)
        if record.published:  # a private one was at hand before
            for user in self._came_to_hand(record):
                self._opened(user)
        if record.held or record.pins:
            record.refs += 1
            self._out.append(Store(self._ask(Store, record), record.formula, record.held, event.seconds))
            record.held = False
        self._hand_out(record)

    def _arrived(self, record: Record, bytes: int) -> None:
        """A value is in memory: tasks that wanted it go on. Before others are opened, which do not count it missing."""
        self._move(record, DONE)
        record.resident = bytes
        self.live += bytes
        for user in record.users:
            if user.state == WANTED:
                user.missing -= 1
                if not user.missing:
                    self._got_ready(user)

    def _hand_out(self, record: Record) -> None:
        """To the runs whose goal it is; a value that nobody reads, since everybody has left, is freed."""
        if record.pins:
            self._deliver(record)
        elif not record.refs:
            self._free(record)

    def _ended(self, record: Record) -> None:
        """A kernel has ended, one way or the other."""
        if not record.tiny:
            self.running -= 1
            self.reserved -= record.bytes + record.scratch
            for run in (record.run, *record.sharing):
                run.counts.running -= 1
        self._leave_slot(record)

    def _written(self, event: Written, kind: type, record: Record) -> None:
        if kind is Store:
            self._unref(record)

    def _gone(self, event: Gone, _: type, record: Record) -> None:
        """A stored value is lost: its task is an ordinary one again, and what counted on it steps back."""
        if not record.refs:
            self._drop(record)
            return
        self._move(record, WAITING)
        record.run.counts.tasks -= 1
        record.run.counts.reused -= 1
        record.lacking = 0
        self._withdraw(record)
        created, stopped = self._enter(event.plan, event.failed, record.run, again=record)
        if record not in created:
            raise ValueError(f"the plan for {record}, which is gone, does not make it")
        self._set_going(created, stopped)

    def _withdraw(self, first: Record) -> None:
        """A task is no longer at hand: claims that counted on it are given back."""
        stack = [first]
        while stack:
            for user in stack.pop().users:
                if user.state == WAITING or user.state in ASKED:
                    user.lacking += 1
                elif user.state in (OPEN, WANTED):
                    was_at_hand = not user.published
                    self._release(user)
                    self._move(user, WAITING)
                    user.lacking += 1
                    if was_at_hand:
                        stack.append(user)

    # Values and tasks are let go

    def _let_inputs_go(self, record: Record) -> None:
        inputs, record.inputs = record.inputs, ()
        for input in inputs:
            self._unref(input)

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
                self._free(record)
            elif state in STOPPED:
                self._forget(record)
            elif state in (WAITING, OPEN, WANTED, READY, KNOWN):
                stack += record.inputs
                record.inputs = ()
                self._drop(record)

    def _drop(self, record: Record) -> None:
        """Nobody needs it any more, and it has not run."""
        self._release(record)
        self._let_inputs_go(record)
        self._forget(record)

    def _free(self, record: Record) -> None:
        self.live -= record.resident
        self._out.append(Free(record.formula))
        self._tell(record, "freed", 0.0, record.resident)
        record.resident = 0
        self._forget(record)

    def _forget(self, record: Record) -> None:
        self._move(record, DROPPED)
        record.users.clear()
        if self.records.get(record.id) is record:
            del self.records[record.id]

    def _release(self, record: Record) -> None:
        if record.held:
            record.held = False
            self._out.append(Release(self._ask(Release, record), record.formula))
        self._leave_slot(record)

    def _leave_slot(self, record: Record) -> None:
        if record.slot:
            record.slot = False
            self.claims -= 1
            if record.state != RUNNING:
                self.promised -= record.bytes + record.scratch

    # Failures

    def _raised(self, event: Raised, kind: type, record: Record) -> None:
        if kind is Compute:
            self._ended(record)
        self._leave_slot(record)
        record.error = event.error
        self._stop(record, FAILED, record)
        self._spread(record)
        if not record.refs and record.state == FAILED:
            self._forget(record)

    def _stop(self, record: Record, state: State, cause: Record | None) -> None:
        """A task fails, or is skipped because `cause` failed. A claim it holds ends with that failure."""
        assert cause is not None
        assert cause.error is not None
        self._move(record, state)
        record.cause = cause
        for run in (record.run, *record.sharing):
            if state == FAILED:
                run.counts.failed += 1
            else:
                run.counts.skipped += 1
        self._tell(record, "failed" if state == FAILED else "skipped")
        if record.held:
            record.held = False
            self._out.append(Mark(self._ask(Mark, record), record.formula, cause.error))
        self._leave_slot(record)
        self._let_inputs_go(record)
        self._deliver(record)

    def _spread(self, first: Record) -> None:
        """Skips what depends on a failure, except where an answer is awaited that may still be a success."""
        stack = [first]
        while stack:
            record = stack.pop()
            for user in tuple(record.users):  # letting go of the last reader clears them
                if user.state in (WAITING, OPEN, WANTED):
                    self._stop(user, SKIPPED, record.cause)
                    stack.append(user)

    # What starts now

    def _dispatch(self) -> None:
        self._dispatch_tiny()
        starting = []
        while self.running < self.jobs and (record := self._next_ready()) is not None:
            self._move(record, RUNNING)
            self.running += 1
            self.reserved += record.bytes + record.scratch
            if record.slot:
                self.promised -= record.bytes + record.scratch
            for run in (record.run, *record.sharing):
                run.counts.running += 1
            starting.append(record)
        for record in starting:
            self._tell(record, "started")
            number, share = self._ask(Compute, record), self._share_of(record)
            self._out.append(Compute(number, record.formula, record.how, share, False))
        self._dispatch_claims()

    def _share_of(self, record: Record) -> int:
        """The threads a kernel may use: it shares the jobs with those that run beside it, unless they are short."""
        running = [other for kind, other in self._asked.values() if kind is Compute and not other.tiny]
        return max(1, self.jobs // sum(4 * other.seconds >= record.seconds for other in running))

    def _dispatch_tiny(self) -> None:
        ready, open = self._tiny_ready, self._tiny_open
        while ready and self._batch < BATCH:
            record = ready.pop()
            if record.state == READY:
                self._move(record, RUNNING)
                self._batch += 1
                self._out.append(Compute(self._ask(Compute, record), record.formula, record.how, 1, True))
        while open and self._batch < BATCH:
            record = open.pop()
            if record.state == OPEN:
                self._move(record, CLAIMING)
                self._batch += 1
                self._out.append(Claim(self._ask(Claim, record), record.formula, True))

    def _next_ready(self) -> Record | None:
        """The first ready task in order of priority for which there is room; the first of all when no kernel runs."""
        aside: list[tuple[int, int, Record]] = []
        found = None
        while self._ready and len(aside) < _LOOK:
            entry = heappop(self._ready)
            record = entry[2]
            if record.state == READY:
                if not self.running or self._fits(record):
                    found = record
                    break
                aside.append(entry)
        for entry in aside:
            heappush(self._ready, entry)
        return found

    def _fits(self, record: Record, promised: int = 0) -> bool:
        return self.live + self.reserved + promised + record.bytes + record.scratch <= self.memory

    def _dispatch_claims(self) -> None:
        """Claims what could start: as many as there are workers without anything to do."""
        while self._open and self.claims < self.jobs and self.running + len(self._ready) < self.jobs:
            record = self._open[0][2]
            if record.state == OPEN:
                if not self._fits(record, self.promised) and (self.running or self.claims):
                    return
                self._move(record, CLAIMING)
                record.slot = True
                self.claims += 1
                self.promised += record.bytes + record.scratch
                self._out.append(Claim(self._ask(Claim, record), record.formula, False))
            heappop(self._open)


_HANDLERS: Mapping[type, Callable[[Machine, Any, type, Record], None]] = {
    Granted: Machine._granted,
    Busy: Machine._busy,
    Found: Machine._found,
    Abandoned: Machine._abandoned,
    Loaded: Machine._loaded,
    Gone: Machine._gone,
    Computed: Machine._computed,
    Raised: Machine._raised,
    Written: Machine._written,
    Delivered: Machine._delivered,
}
