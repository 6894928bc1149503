"""How tasks come to hand, are demanded and made, succeed and fail: moves of single records and what they set off."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from heapq import heappush

from voxlogica.execution.ledger import Ledger
from voxlogica.execution.messages import Alarm, Compute, Deliver, Free, Gather, Mark
from voxlogica.execution.states import (
    ASKED,
    COMPLETED,
    DONE,
    FAILED,
    FETCHING,
    FOREIGN,
    KNOWN,
    LOADING,
    OPEN,
    PENDING,
    READY,
    RUNNING,
    SKIPPED,
    STOPPED,
    WAITING,
    WANTED,
    Record,
    Run,
    State,
)
from voxlogica.storage import TaskError


class Making(Ledger):
    """Moves records towards their value; see the module."""

    def __init__(self, jobs: int, memory: int) -> None:
        super().__init__(jobs, memory)
        # Heaps by priority, then by order of arrival; entries whose record has moved on are stale, and skipped.
        self._ready: list[tuple[int, int, Record]] = []
        self._open: list[tuple[int, int, Record]] = []
        self._asked_for: deque[Record] = deque()  # goals that are to be opened when there is room
        self._tiny_ready: list[Record] = []
        self._tiny_open: list[Record] = []
        self.batch = 0  # tiny instructions unanswered
        self._taking: dict[int, Run] = {}  # whose an unanswered delivery is

    # Inputs come to hand

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
                    self._queue(self._open, record)
                continue
            if record.dynamic:  # private, since the store has formulas for it that nobody can read
                self._demand(record)
                continue
            stack += self._came_to_hand(record)
            if record.pins:
                self._demand(record)

    def _queue(self, heap: list[tuple[int, int, Record]], record: Record) -> None:
        self._number += 1
        heappush(heap, (record.priority, self._number, record))

    def _came_to_hand(self, record: Record) -> list[Record]:
        """Counts down what users lack; those that lack nothing now and are to be opened."""
        opened = []
        for user in record.users:
            if user.state == WAITING or user.state in ASKED:
                user.lacking -= 1
                if not user.lacking and user.state == WAITING:
                    opened.append(user)
        return opened

    def _withdraw(self, first: Record) -> None:
        """A task is no longer at hand: claims that counted on it are given back."""
        stack = [first]
        while stack:
            for user in stack.pop().users:
                if user.state == WAITING or user.state in ASKED:
                    user.lacking += 1
                elif user.state in PENDING:
                    was_at_hand = user.at_hand
                    if user.state == FETCHING:
                        self._ended(user)
                    self._release(user)
                    self._move(user, WAITING)
                    user.lacking += 1
                    if was_at_hand:
                        stack.append(user)

    # Values are made

    def _demand(self, first: Record) -> None:
        """Has a task computed, and before it the private ones it reads. Nothing it reads is lacking."""
        self._move(first, WANTED)
        stack = [first]
        while stack:
            record = stack.pop()
            missing = 0
            for input in record.inputs:
                if input.state in COMPLETED:
                    continue
                missing += 1
                if input.state == OPEN:
                    self._move(input, WANTED)
                    stack.append(input)
            record.missing = missing
            if not missing:
                self._got_ready(record)

    def _got_ready(self, record: Record) -> None:
        self._move(record, READY)
        if record.tiny:
            self._tiny_ready.append(record)
        else:
            self._queue(self._ready, record)

    def _fetch(self, record: Record) -> bool:
        """Orders what is not in memory; whether there is something to wait for.

        The state changes at once, so that what is read is not evicted for the next one.
        """
        missing = 0
        for input in record.inputs:
            if input.state != DONE:
                missing += 1
                if input.state == KNOWN:
                    self._load(input)
        record.missing = missing
        self._move(record, FETCHING)
        return bool(missing)

    def _run(self, record: Record, share: int) -> None:
        """All it reads is in memory, and there is room."""
        self._move(record, RUNNING)
        if record.tiny:
            self.batch += 1
        if record.gathers:
            self._out.append(Gather(self._ask(Gather, record), record.formula))
            return
        record.number = number = self._ask(Compute, record)
        record.since = self.now
        if not record.tiny:
            self._tell(record, "started")
        self._out.append(Compute(number, record.formula, record.how, share, record.tiny, record.isolated))
        if not record.tiny:
            self._alarm(record, number)

    def _alarm(self, record: Record, number: int) -> None:
        """Every run with a limit wants to know when this takes too long, since any may depend on it."""
        for run in self.runs.values():
            if run.limit is not None:
                self._out.append(Alarm(run.id, number, record.formula, run.limit, record.state == FOREIGN))

    def _threads(self, record: Record, starting: Iterable[Record] = ()) -> int:
        """How many a kernel may use: those that run or start beside it share the jobs, unless they are short."""
        running = {other for kind, other in self._asked.values() if kind is Compute and not other.tiny}
        running.update(starting)
        running.discard(record)
        return max(1, self.jobs // (1 + sum(4 * other.seconds >= record.seconds for other in running)))

    def _arrived(self, record: Record, bytes: int) -> None:
        """A value is in memory: tasks that wanted it go on. Before others are opened, which do not count it missing."""
        was_loading = record.state == LOADING
        self._move(record, DONE)
        self._resides(record, bytes)
        for user in record.users:
            state = user.state
            if state == WANTED and not was_loading:
                user.missing -= 1
                if not user.missing:
                    self._got_ready(user)
            elif state == FETCHING:
                user.missing -= 1
                if not user.missing:
                    self._run(user, self._threads(user))

    def _hand_out(self, record: Record) -> None:
        """To the runs whose goal it is; a value that nobody reads, since everybody has left, is freed."""
        if record.pins:
            self._deliver(record)
        elif not record.refs:
            record.refs = 1
            self._unref(record)

    def _deliver(self, goal: Record) -> None:
        """Hands a finished goal to the runs that wait for it; it stays until they have taken it."""
        pins, goal.pins = goal.pins, ()
        for run in pins:
            run.goals.discard(goal)
            self._hand_over(goal, run)

    def _hand_over(self, goal: Record, run: Run) -> None:
        number = self._ask(Deliver, goal)
        run.deliveries[number] = goal
        self._taking[number] = run
        cause = goal.cause
        self._out.append(
            Deliver(number, run.id, goal.formula, cause.error if cause else None, cause.formula if cause else None)
        )

    # Failures

    def _stop(self, record: Record, state: State, cause: Record | None) -> None:
        """A task fails, or is skipped because `cause` failed. A claim it holds ends with that failure."""
        assert cause is not None
        assert cause.error is not None
        if record.state == FETCHING:
            self._ended(record)
        self._move(record, state)
        record.cause = cause
        for run in (record.run, *record.sharing):
            if record.gathers:
                continue  # its own work was counted when it was done
            run.counts.settled += record.seconds
            if state == FAILED:
                run.counts.failed += 1
            else:
                run.counts.skipped += 1
        self._tell(record, "failed" if state == FAILED else "skipped", cause.error.duration if state == FAILED else 0.0)
        if record.held:
            record.held = False
            self._out.append(Mark(self._ask(Mark, record), record.formula, cause.error))
        self._leave_slot(record)
        self._let_inputs_go(record)
        if record.grown:  # at once: who needs the task from now on has a record, and formulas, of its own
            record.grown = False
            self._out.append(Free(record.formula))
        self._deliver(record)

    def _spread(self, first: Record) -> None:
        """Skips what depends on a failure, except where an answer is awaited that may still be a success."""
        stack = [first]
        while stack:
            record = stack.pop()
            for user in tuple(record.users):  # letting go of the last reader clears them
                if user.state in PENDING:
                    self._stop(user, SKIPPED, record.cause)
                    stack.append(user)

    def _give_up(self, run: Run, late: Record, error: TaskError) -> None:
        """A task takes too long for one run: its goals that depend on it fail, for this run only."""
        stack, seen, goals = [late], {late}, []
        while stack:
            record = stack.pop()
            if run in record.pins:
                goals.append(record)
            for user in record.users:
                if user.state in PENDING and user not in seen and record in user.inputs:
                    seen.add(user)
                    stack.append(user)
        if goals:
            self._tell(late, "overdue", self.now - late.since)
        for goal in goals:
            self._fail_for(run, goal, error, late)
        self._finished(run)

    def _fail_for(self, run: Run, goal: Record, error: TaskError, cause: Record) -> None:
        """Delivers a failure to one run; others still wait for the goal, or nobody does and it is dropped."""
        failure, shown = Record(cause.formula, run), Record(goal.formula, run)
        failure.state, failure.error = FAILED, error
        shown.state, shown.cause, shown.refs = SKIPPED, failure, 1
        goal.pins = tuple(pin for pin in goal.pins if pin is not run)
        run.goals.discard(goal)
        self._hand_over(shown, run)
        self._unref(goal)

    @staticmethod
    def _stopped_input(record: Record) -> Record | None:
        return next((input for input in record.inputs if input.state in STOPPED), None)
