"""The door of execution: formulas in, outcomes out as soon as each is known.

    with ExecutionEngine(MemoryStorage()) as engine:
        for formula, outcome in engine.run(goals):
            ...

One engine serves any number of runs from any number of threads at once; what they have in common is computed once. What
outcomes mean to people, and in which order they are shown, is the session's business.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count
from threading import Lock
from typing import TypeAlias

from voxlogica._dataclass import NamedTuple, dataclass
from voxlogica.errors import InternalError
from voxlogica.execution import inside, limits
from voxlogica.execution.messages import Begin, Cancel, Counts, Delivered, Event, Expire, Over
from voxlogica.execution.planning import foreseen, planned
from voxlogica.execution.posts import Collapse, Held, Outbound
from voxlogica.execution.reporting import too_late
from voxlogica.execution.threads import Operators, Workers
from voxlogica.formula import Formula, Operator, below
from voxlogica.identity import Id
from voxlogica.plan import Workplan
from voxlogica.storage import Done, Missing, Pins, Ref, StorageBackend, TaskError


@dataclass(frozen=True, slots=True, eq=False)
class Finished:
    """A goal's value; a tuple of values for a goal that returned several formulas."""

    value: Held


@dataclass(frozen=True, slots=True)
class Broken:
    """A goal that has no value, since the task of `formula`, itself or something it needs, failed."""

    error: TaskError
    formula: Formula


GoalOutcome: TypeAlias = Finished | Broken


class Token:
    """Cancels the runs that carry it, those that are begun afterwards too; may travel between threads."""

    def __init__(self) -> None:
        self.cancelled = False
        self._runs: list[Run] = []
        self._lock = Lock()

    def cancel(self) -> None:
        """Cancels them, from any thread, at any time, more than once."""
        with self._lock:
            self.cancelled = True
            runs, self._runs = self._runs, []
        for run in runs:
            run.cancel()

    def join(self, run: Run) -> None:
        """A run carries this token."""
        with self._lock:
            if not self.cancelled:
                self._runs.append(run)
                return
        run.cancel()

    def leave(self, run: Run) -> None:
        """A run has ended."""
        with self._lock:
            if run in self._runs:
                self._runs.remove(run)


def find_operator(name: str) -> Operator | None:
    """The operator with a name: of the logic, or one that a user has declared. Nothing is imported for a name."""
    from voxlogica.operators import named, own

    return named(name) or next((each for each in own().values() if each.name == name), None)


class ExecutionEngine:
    """Computes goals on this process's threads, with one store.

    `jobs` kernels at most run at once; values and running kernels together keep within `memory` bytes as long as one
    kernel alone does. Both default to what this process may use. `operators` finds those that stored formulas name.
    `cold` says that the process has yet to load its kernels: short work that another process is at is left to that one.
    """

    def __init__(
        self,
        storage: StorageBackend,
        *,
        jobs: int | None = None,
        memory: int | None = None,
        operators: Operators = find_operator,
        cold: bool = False,
    ) -> None:
        self.storage = storage
        self.jobs = jobs or limits.processors()
        self.memory = memory or int(limits.memory() * limits.SHARE)
        self._workers = Workers(storage, self.jobs, self.memory, operators, cold)
        self._numbers = count(1)
        self._closed = False

    def __repr__(self) -> str:
        return f"<ExecutionEngine: {self.jobs} jobs, {self.memory} bytes, {self.storage}>"

    def __enter__(self) -> ExecutionEngine:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # Who interrupts does not want to wait for kernels; they end with the process, and their claims with them.
        self.close(wait=kind is None or not issubclass(kind, KeyboardInterrupt))

    @property
    def unstored(self) -> int:
        """How many values the store could not take."""
        return self._workers.unstored

    def run(
        self,
        goals: Sequence[Formula],
        *,
        listen: Callable[[Event], None] | None = None,
        timeout: float | None = None,
        task_timeout: float | None = None,
        retry_failed: bool = False,
        token: Token | None = None,
        rank: int = 0,
        behind: Id | None = None,
    ) -> Run:
        """Starts computing the goals; iterate over the result for the outcomes.

        The iteration lasts until the store has taken the goals. `listen` is called meanwhile, in that thread, with what
        happens, in order; then it lasts until the store has taken all that was computed. Goals that are not finished
        `timeout` seconds from now fail, and so do those that need a task which takes longer than `task_timeout`: for
        this run only, with a failure that is not stored. `retry_failed` tries again what is stored as failed. `token`
        can cancel it. Where there is a choice, runs of a lower `rank` go first. `behind` is a claim that another holds
        while it computes the same with all processors: an engine that is cold leaves the work to that one.
        """
        if inside.a_kernel():
            raise RuntimeError("an operator may not run programs")  # its worker would wait for itself
        if self._closed:
            raise RuntimeError("the engine is closed")
        if behind is not None:
            self._workers.behind.add(behind)
        asked = Asked(listen, task_timeout, Counts(), retry_failed, rank, behind is not None)
        run = Run(self._workers, self.storage, self._numbers, goals, asked, token)
        try:
            if timeout is not None:
                error = too_late(None, timeout)
                self._workers.alarms.set(timeout, lambda: run.expire(error))
            if token is not None:
                token.join(run)
        except BaseException:  # interrupted: it has begun, and nobody would ever end it
            run.cancel()
            raise
        return run

    def suspect(self, ids: Iterable[Id]) -> None:
        """These tasks may have crashed their process: from now on they run isolated."""
        self._workers.machine.suspects.update(ids)

    def story(self, id: Id) -> list[str]:
        """What a task went through lately, and how it is now; for finding out why something does not move."""
        return self._workers.machine.story(id)

    def close(self, wait: bool = True) -> None:
        """Cancels what runs and ends the threads; with `wait`, when the kernels that run have ended."""
        if not self._closed:
            self._closed = True
            self._workers.stop(wait)


class Asked(NamedTuple):
    """How a run is to go, as `ExecutionEngine.run` says; `direct`: goals that are stored are opened by the run."""

    listen: Callable[[Event], None] | None
    task_timeout: float | None
    counts: Counts
    retry_failed: bool = False
    rank: int = 0
    behind: bool = False
    direct: bool = True


class Run:
    """Goals being computed; iterating yields (formula, outcome), each distinct goal once, in the order they finish.

    Goals that are stored come first, each opened when its turn comes, so that no more of them are in memory than the
    consumer keeps. Leaving the iteration early, by `break` or by an exception, cancels: what runs ends and is stored,
    what only this run needs is not begun. `counts` says how far it is.
    """

    def __init__(
        self,
        workers: Workers,
        storage: StorageBackend,
        numbers: Iterator[int],
        goals: Sequence[Formula],
        asked: Asked,
        token: Token | None = None,
    ) -> None:
        self.counts, self.number = asked.counts, next(numbers)
        self._workers, self._storage, self._numbers, self._asked = workers, storage, numbers, asked
        self._token = token
        self._again: Run | None = None  # for goals that were lost between planning and opening
        self._cancelled = False
        self._expired: TaskError | None = None
        if asked.retry_failed:
            foreseen(storage, goals, workers.operators, retry_failed=True)
        plan, failed, stored = planned(storage, goals)
        self._goals = {goal.id: goal for goal in plan.goals}
        self._below: dict[Id, Formula] | None = None
        self._pins: Pins = storage.pin([formula.id for formula in plan.known])
        self._constants = [goal for goal in plan.goals if goal.operator is None and goal.file is None]
        self._stored: list[tuple[Formula, Ref]] = []
        rest: list[Formula] = []
        for goal in plan.goals:
            outcome = stored.get(goal.id)
            if isinstance(outcome, Done) and asked.direct and not (goal.operator and goal.operator.dynamic):
                self._stored.append((goal, outcome.ref))
            elif goal.operator is not None or goal.file is not None:
                rest.append(goal)
        self._stored.reverse()
        self.counts.tasks += len(self._stored)
        self.counts.reused += len(self._stored)
        self._remaining = len(rest)
        self._over = not rest
        try:
            self._box = workers.open_box(self.number)
            if rest:
                plan = Workplan(tuple(rest), plan.tasks, plan.known)
                how = (asked.listen is not None, asked.task_timeout, asked.rank, asked.behind)
                workers.post(Begin(self.number, plan, failed, self.counts, *how))
        except BaseException:  # interrupted: nobody has it
            self.cancel()
            raise

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()

    def cancel(self) -> None:
        """Gives the goals up that are not finished; may be called from any thread, at any time, more than once."""
        self._cancelled = True
        self._constants, self._stored = [], []
        self._workers.post(Cancel(self.number))
        self._workers.close_box(self.number)
        self._pins.close()
        if self._again is not None:
            self._again.cancel()
        if self._token is not None:
            self._token.leave(self)

    def expire(self, error: TaskError) -> None:
        """The goals that are not finished fail."""
        self._expired = error
        self._workers.post(Expire(self.number, error))
        if self._again is not None:
            self._again.expire(error)

    def __iter__(self) -> Iterator[tuple[Formula, GoalOutcome]]:
        try:
            constants = self._constants  # of its own, since another thread may cancel at any time
            while constants and not self._cancelled:
                constant = constants.pop()
                assert constant.value is not None
                yield constant, Finished(constant.value)
            yield from self._opened()
            while self._remaining or not self._over:
                post = self._box.get()  # woken by an event, and by Ctrl-C
                if post is None:
                    return
                if isinstance(post, Collapse):
                    raise InternalError.of("internal", "the scheduler failed") from post.error
                post.reverse()
                while post:  # taken out one by one, so that a value lives no longer than its consumer keeps it
                    item = post.pop()
                    if isinstance(item, Outbound):
                        self._remaining -= 1
                        self._workers.post(Delivered(item.number))
                        pair = self._pair(item)
                        del item
                        yield pair
                        del pair
                    elif isinstance(item, Over):
                        self._over = True
                    elif self._asked.listen is not None:
                        self._asked.listen(item)
            if self._again is not None:
                yield from self._again
        finally:
            self.cancel()

    def _opened(self) -> Iterator[tuple[Formula, GoalOutcome]]:
        """The goals that are stored; those that were lost meanwhile are asked for again."""
        listen, lost, stored = self._asked.listen, list[Formula](), self._stored
        while stored and not self._cancelled:
            goal, ref = stored.pop()
            try:
                value = ref.open()
            except Missing:
                lost.append(goal)
                continue
            if listen is not None:
                listen(Event("reused", goal.id, goal, time.perf_counter(), 0.0, ref.nbytes))
            yield goal, Finished(value)
            del value
        if lost and not self._cancelled:
            self._ask_again(lost)

    def _ask_again(self, lost: Sequence[Formula]) -> None:
        asked = self._asked._replace(retry_failed=False, direct=False)
        self._again = Run(self._workers, self._storage, self._numbers, lost, asked)
        # Who cancels this run, or ends it, notes that before he looks for the other.
        if self._cancelled:
            self._again.cancel()
        if self._expired is not None:
            self._again.expire(self._expired)

    def _pair(self, item: Outbound) -> tuple[Formula, GoalOutcome]:
        """A goal and its outcome in this run's own formulas: another run may have had equal ones, from another text."""
        goal = self._goals[item.formula.id]
        if item.error is None:
            assert item.value is not None
            return goal, Finished(item.value)
        assert item.cause is not None
        if self._below is None:
            self._below = {formula.id: formula for formula in below(list(self._goals.values()))}
        # What failed may have done so in the name of the task that was claimed, and stands somewhere below that one.
        known, task = self._below, item.error.task or item.cause.id
        cause = known.get(task) or next((each for each in below([item.cause]) if each.id == task), None)
        cause = cause or known.get(item.cause.id) or item.cause
        return goal, Broken(item.error, cause)
