"""The driver that carries the state machine's instructions out with threads: enough, since kernels release the GIL.

It decides nothing. A worker takes the lock, tells the machine what has happened, and routes what it orders: tiny tasks
and words with the store it does itself, kernels go to whichever worker is free, waiting for a foreign claim to a thread
of its own. Events from outside (a run begins, is cancelled, takes an outcome) are posted and handled by workers, so
that the machine is never in the hands of a thread that Ctrl-C may interrupt.
"""

from __future__ import annotations

import platform
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from queue import SimpleQueue
from threading import Lock, Thread, current_thread
from typing import Any, NamedTuple, TypeAlias

from voxlogica import storage
from voxlogica.errors import MachineError, Refusal
from voxlogica.execution.machine import Machine
from voxlogica.execution.messages import (
    Abandoned,
    Answer,
    Busy,
    Cancel,
    Claim,
    Compute,
    Computed,
    Deliver,
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
    RunId,
    Store,
    Tell,
    Wait,
    Written,
)
from voxlogica.formula import Formula, below
from voxlogica.identity import Id
from voxlogica.plan import Workplan, plan, space_of
from voxlogica.storage import Done, Failed, Missing, Outcome, Provenance, StorageBackend, StoreFull, TaskError, size
from voxlogica.storage.interface import Kind
from voxlogica.values import Value


class Outbound(NamedTuple):
    """A goal's outcome on its way to the run: the value, or the error and the formula it comes from."""

    number: int
    formula: Formula
    value: Value | None
    error: TaskError | None
    cause: Formula | None


class Collapse(NamedTuple):
    """A bug of ours has stopped the machine; no outcome will come any more."""

    error: BaseException


Post: TypeAlias = list[Outbound | Event] | Collapse | None
"""What a run finds in its box: what happened, in order; None when it was cancelled or the engine closed."""


class _Hand:
    """What one worker is about: instructions to carry out, the one it is at and since when, answers not yet told."""

    __slots__ = ("answers", "current", "helper", "since", "todo")

    def __init__(self, todo: Iterable[Instruction] = (), helper: bool = False) -> None:
        self.todo: deque[Instruction] = deque(todo)
        self.helper = helper  # ends when it has posted its answers
        self.answers: list[Input] = []
        self.current: Any = None
        self.since = 0.0


class Workers:
    """Threads around one machine and one store. `unstored` counts the values the store could not take."""

    def __init__(self, backend: StorageBackend, jobs: int, memory: int) -> None:
        self.machine = Machine(jobs, memory)
        self.unstored = 0
        self.broken: BaseException | None = None
        self._backend = backend
        self._lock = Lock()  # guards the machine, and with it the boxes; a value's entry is guarded by its references
        self._values: dict[Id, Value] = {}
        self._claims: dict[Id, storage.Claim] = {}
        self._boxes: dict[RunId, SimpleQueue[Post]] = {}
        self._posted: deque[Input] = deque()
        self._kernels: SimpleQueue[Instruction | str] = SimpleQueue()  # what idle workers wait on; also takes signals
        self._woken = self._stopped = False
        self._threads = [
            Thread(target=self._main, args=(_Hand(),), daemon=True, name=f"voxlogica-{n}") for n in range(jobs)
        ]
        for thread in self._threads:
            thread.start()

    # From outside

    def open_box(self, run: RunId) -> SimpleQueue[Post]:
        """The box in which a run will find what happens to it."""
        box: SimpleQueue[Post] = SimpleQueue()
        self._boxes[run] = box
        if self.broken is not None:
            box.put(Collapse(self.broken))
        elif self._stopped:
            box.put(None)
        return box

    def close_box(self, run: RunId) -> None:
        """Nothing more is put in a run's box; who waits at it is woken."""
        box = self._boxes.pop(run, None)
        if box is not None:
            box.put(None)

    def post(self, event: Input) -> None:
        """Tells the machine, soon. Takes no lock: safe where a KeyboardInterrupt may strike."""
        self._posted.append(event)
        # One signal is enough for all that is posted before a worker sees it. The worker clears the flag first and
        # looks afterwards, so what is posted in between finds it cleared, or is seen.
        if not self._woken:
            self._woken = True
            self._kernels.put("posted")

    def stop(self, wait: bool) -> None:
        """Ends the threads, each when what it is about is finished, and wakes all who wait for outcomes."""
        self._stopped = True  # first: a run that opens its box now finds either this, or itself among those cancelled
        for run in list(self._boxes):
            self.post(Cancel(run))
            self.close_box(run)
        for _ in self._threads:
            self._kernels.put("stop")
        if wait:
            for thread in self._threads:
                thread.join()

    def includes_this_thread(self) -> bool:
        """Whether the caller is a kernel."""
        return current_thread() in self._threads

    # Workers

    def _main(self, hand: _Hand) -> None:
        """A worker's life. The one place where any exception is caught: what a kernel raises becomes an event."""
        while True:
            try:
                self._work(hand)
                return
            except BaseException as error:  # noqa: BLE001 - the worker's outermost loop; nothing may be lost or escape
                if hand.current is None:
                    self._collapse(error)
                    return
                hand.answers.append(self._failure(hand, error))
                hand.current = None

    def _work(self, hand: _Hand) -> None:
        carry_out, todo, answers = _CARRY_OUT, hand.todo, hand.answers
        while True:
            while todo:
                hand.current = instruction = todo.popleft()
                hand.since = time.perf_counter()
                answers.append(carry_out[type(instruction)](self, instruction, hand))
                hand.current = None
            if hand.helper:
                for answer in answers:
                    self.post(answer)
                return
            if not answers and not self._posted:
                order = self._kernels.get()
                if order == "stop":
                    return
                if order == "posted":
                    self._woken = False
                else:
                    todo.append(order)  # type: ignore[arg-type]
                    continue
            self._turn(hand)

    def _turn(self, hand: _Hand) -> None:
        """Tells the machine what has happened and routes what it orders."""
        with self._lock:
            while self._posted:
                hand.answers.append(self._posted.popleft())
            orders = self.machine.handle_all(hand.answers)
            hand.answers.clear()
            posts: dict[RunId, list[Outbound | Event]] = {}
            for order in orders:
                kind = type(order)
                if kind is Free:
                    del self._values[order.formula.id]  # type: ignore[union-attr]
                elif kind is Compute and not order.tiny:  # type: ignore[union-attr]
                    self._kernels.put(order)
                elif kind is Wait:
                    Thread(target=self._main, args=(_Hand([order], helper=True),), daemon=True).start()
                elif kind is Tell:
                    posts.setdefault(order.run, []).append(order.event)  # type: ignore[union-attr]
                elif kind is Deliver:
                    posts.setdefault(order.run, []).append(self._outbound(order))  # type: ignore
                else:
                    hand.todo.append(order)
            for run, post in posts.items():
                box = self._boxes.get(run)
                if box is not None:
                    box.put(post)

    def _outbound(self, order: Deliver) -> Outbound:
        value = self._values[order.formula.id] if order.error is None else None
        return Outbound(order.number, order.formula, value, order.error, order.cause)

    def _collapse(self, error: BaseException) -> None:
        """The machine itself raised: our bug. Everybody is told; nobody is left waiting."""
        self.broken = error
        for box in list(self._boxes.values()):
            box.put(Collapse(error))
        for _ in self._threads:
            self._kernels.put("stop")

    # One method per instruction; each returns the event that answers it

    def _claim(self, order: Claim, _: _Hand) -> Answer:
        answer = self._backend.claim(order.formula.id)
        if isinstance(answer, storage.Claim):
            self._claims[order.formula.id] = answer
            return Granted(order.number)
        if answer is None:
            return Busy(order.number)
        return _settled(order.number, answer)

    def _wait(self, order: Wait, _: _Hand) -> Answer:
        outcome = self._backend.wait_for_completion(order.formula.id)
        return Abandoned(order.number) if outcome is None else _settled(order.number, outcome)

    def _load(self, order: Load, _: _Hand) -> Answer:
        id = order.formula.id
        outcome = self._backend.lookup(id)
        if isinstance(outcome, Done):
            try:
                self._values[id] = outcome.ref.open()
            except Missing:
                outcome = None
            else:
                return Loaded(order.number, outcome.ref.nbytes)
        return Gone(order.number, *planned(self._backend, [order.formula], without=id))

    def _compute(self, order: Compute, hand: _Hand) -> Answer:
        value = self._value(order.how, order.threads)
        self._values[order.formula.id] = value
        return Computed(order.number, 0 if order.tiny else size(value), time.perf_counter() - hand.since)

    def _value(self, formula: Formula, threads: int) -> Value:
        operator, values = formula.operator, self._values
        if operator is None:
            from voxlogica import images

            read: Callable[..., Value] = images.read  # type: ignore[attr-defined,unused-ignore]
            return read(formula.file, formula.space)
        arguments: list[Any] = [
            a.value if a.operator is None and a.file is None else values[a.id] for a in formula.arguments
        ]
        if operator.needs_space:
            arguments.insert(0, space_of(formula))
        if operator.takes_threads:
            return operator.body(*arguments, threads=threads)
        return operator.body(*arguments)

    def _store(self, order: Store, _: _Hand) -> Answer:
        id = order.formula.id
        made = _provenance(order.formula, self._values[id], order.seconds)
        if not order.claimed:
            self._backend.offer(id, self._values[id], made)
        else:
            with self._claims.pop(id) as claim:
                try:
                    self._backend.store(claim, self._values[id], made)
                except StoreFull:
                    self.unstored += 1
        return Written(order.number)

    def _mark(self, order: Mark, _: _Hand) -> Answer:
        with self._claims.pop(order.formula.id) as claim:
            self._backend.mark_failed(claim, order.error)
        return Written(order.number)

    def _release(self, order: Release, _: _Hand) -> Answer:
        self._backend.release(self._claims.pop(order.formula.id))
        return Written(order.number)

    def _failure(self, hand: _Hand, error: BaseException) -> Answer:
        """The event for an instruction that raised. What the store does not take is lost to others, not to this run."""
        order = hand.current
        if isinstance(order, (Store, Mark, Release)):
            self.unstored += 1
            return Written(order.number)
        return Raised(order.number, self._described(order.formula, error, time.perf_counter() - hand.since))

    def _described(self, formula: Formula, error: BaseException, seconds: float) -> TaskError:
        limits: tuple[tuple[str, float], ...] = ()
        trace, message = "", str(error)
        if isinstance(error, (MemoryError, OSError, MachineError)):
            kind: Kind = "circumstance"
            message = message or "out of memory"
            limits = (("memory", self.machine.memory), ("jobs", self.machine.jobs))
        else:
            kind = "definite"
        if not isinstance(error, Refusal):
            trace = "".join(traceback.format_exception(error))
        return TaskError(
            kind=kind,
            type=type(error).__name__,
            message=message,
            details=error.details if isinstance(error, Refusal) else (),
            help=error.help if isinstance(error, Refusal) else "",
            traceback=trace,
            task=formula.id,
            operator=formula.operator.name if formula.operator else "load",
            position=_position(formula),
            limits=limits,
            duration=seconds,
        )


_CARRY_OUT: Mapping[type, Callable[[Workers, Any, _Hand], Answer]] = {
    Claim: Workers._claim,
    Wait: Workers._wait,
    Load: Workers._load,
    Compute: Workers._compute,
    Store: Workers._store,
    Mark: Workers._mark,
    Release: Workers._release,
}


def planned(
    backend: StorageBackend, goals: Sequence[Formula], without: Id | None = None
) -> tuple[Workplan, dict[Id, TaskError]]:
    """The workplan for the goals with what is stored, and the stored failures among it. `without` is known to be lost.

    Goals are looked up first: when all are known, as in a run that was made before, nothing else is.
    """
    outcomes = backend.known([goal.id for goal in goals])
    known = {id: outcome for id, outcome in outcomes.items() if id != without and _answers(outcome)}
    if any(goal.id not in known for goal in goals):
        outcomes = backend.known([f.id for f in below(goals) if f.operator is not None or f.file is not None])
        known = {id: outcome for id, outcome in outcomes.items() if id != without and _answers(outcome)}
    failed = {id: outcome.error for id, outcome in known.items() if isinstance(outcome, Failed)}
    return plan(goals, known), failed


def _answers(outcome: Outcome) -> bool:
    """A failure by circumstance is no answer for who comes later."""
    return isinstance(outcome, Done) or outcome.error.kind == "definite"


def _settled(number: int, outcome: Outcome) -> Answer:
    return Found(number) if isinstance(outcome, Done) else Raised(number, outcome.error, stored=True)


def _position(formula: Formula) -> str:
    return str(formula.origin.span) if formula.origin is not None else ""


def _provenance(formula: Formula, value: Value, seconds: float) -> Provenance:
    operator = formula.operator
    return Provenance(
        operator=operator.name if operator else "load",
        version=operator.version if operator else 0,
        arguments=tuple([argument.id for argument in formula.arguments]),
        seconds=seconds,
        bytes=size(value),
        when=time.time(),
        host=_host(),
        libraries=_libraries("numpy" in sys.modules, "SimpleITK" in sys.modules),
        position=_position(formula),
    )


@cache
def _host() -> str:
    return platform.node()


@cache
def _libraries(*imported: bool) -> tuple[tuple[str, str], ...]:
    """Versions of what may have had part in a value; a library that is not imported had none."""
    names = [name for name, there in zip(("numpy", "SimpleITK"), imported, strict=True) if there]
    return (("python", platform.python_version()), *((name, str(sys.modules[name].__version__)) for name in names))
