"""The driver that carries the state machine's instructions out with threads: enough, since kernels release the GIL.

It decides nothing. A worker takes the lock, tells the machine what has happened, and routes what it orders: tiny tasks
and words with the store it does itself, kernels go to whichever worker is free, large values to a thread that writes,
waiting for a foreign claim to a thread of its own. Events from outside (a run begins, is cancelled, takes an outcome,
an alarm goes off) are posted; the desk, a thread that takes no kernels and so is always at hand, handles them. The
machine is never in the hands of a thread that Ctrl-C may interrupt.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from functools import cached_property
from queue import SimpleQueue
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from voxlogica import storage
from voxlogica.execution import inside, limits
from voxlogica.execution.alarms import Alarms
from voxlogica.execution.hands import Grown, Hand, Writing
from voxlogica.execution.machine import Machine
from voxlogica.execution.messages import (
    Abandoned,
    Alarm,
    Answer,
    Busy,
    Cancel,
    Claim,
    Compute,
    Computed,
    Deliver,
    Event,
    Extended,
    Found,
    Free,
    Gather,
    Gone,
    Granted,
    Impatient,
    Input,
    Instruction,
    Kill,
    Load,
    Loaded,
    Mark,
    Over,
    Overdue,
    Patience,
    Raised,
    Release,
    Replace,
    Retire,
    RunId,
    Store,
    Tell,
    Wait,
    Written,
)
from voxlogica.execution.planning import planned
from voxlogica.execution.posts import Collapse, Held, Outbound, Post
from voxlogica.execution.reporting import DIED, Elsewhere, failure, provenance, too_late
from voxlogica.formula import FORMULAS, Builder, Formula, Operator, Unreadable, decode, encode, returned
from voxlogica.identity import Id
from voxlogica.plan import result_bytes, space_of
from voxlogica.storage import (
    Done,
    Failed,
    Lasting,
    Lending,
    Missing,
    Outcome,
    Provenance,
    StorageBackend,
    StoreFull,
    TaskError,
    size,
)
from voxlogica.values import Space, Value

if TYPE_CHECKING:
    from voxlogica.execution.children import Children

Operators: TypeAlias = Callable[[str], Operator | None]
"""Finds an operator by name, to read stored formulas."""

AT_ONCE = 64
"""Small values that are stored in one transaction at most: all their claims last until its end."""

WRITE_BEHIND = 1 << 16
"""Bytes from which on a value is written by a thread of its own, so that what depends on it does not wait."""
HELPERS = 64
"""Threads at most that wait for foreign claims; more waits queue up for them."""
SUSPICIONS = 2
"""So many times a task may be running when its process dies before it runs isolated."""
DEATHS = 3
"""So many times a task may take its process with it before that is its answer for everybody."""


class Workers:
    """Threads around one machine and one store. `unstored` counts the values the store could not take."""

    def __init__(
        self, backend: StorageBackend, jobs: int, memory: int, operators: Operators, cold: bool = False
    ) -> None:
        self.machine = Machine(jobs, memory, cold)
        self.unstored = 0
        self.broken: BaseException | None = None
        self.alarms = Alarms()
        self._backend, self.operators = backend, operators
        self._lasting = backend if isinstance(backend, Lasting) else None
        self._live = self._lasting.live if self._lasting else None
        if self._lasting:
            found = self._lasting.suspects()
            self.machine.suspects = {id for id, (times, _) in found.items() if times >= SUSPICIONS}
        self._lock = Lock()  # guards the machine, and with it the boxes; a value's entry is guarded by its references
        self._values: dict[Id, Held] = {}
        self._grown: dict[Id, Grown] = {}
        self._claims: dict[Id, storage.Claim] = {}
        self._deaths: dict[Id, int] = {}
        self.behind: set[Id] = set()  # claims of processes that compute what is asked for here
        self._boxes: dict[RunId, SimpleQueue[Post]] = {}
        self._posted: deque[Input] = deque()
        self._signals: SimpleQueue[str] = SimpleQueue()  # what the desk waits on
        self._kernels: SimpleQueue[Instruction | str] = SimpleQueue()  # what idle workers wait on
        self._writes: SimpleQueue[Writing | None] = SimpleQueue()
        self._waits: deque[Wait] = deque()  # those for which no helper is free
        self._helpers = 0
        self._woken = self._stopped = self._ended = False
        self._alive = 0
        self._threads: list[Thread] = []
        self._writer: Thread | None = None
        self._desk = self._start(Hand(-1, self._signals.get))
        for _ in range(jobs):
            self._start_worker()

    @cached_property
    def children(self) -> Children:
        """The processes of isolated tasks; most runs have none, and need not import what starts processes."""
        from voxlogica.execution.children import Children

        return Children()

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
        # One signal is enough for all that is posted before the desk sees it. The desk clears the flag first and looks
        # afterwards, so what is posted in between finds it cleared, or is seen.
        if not self._woken:
            self._woken = True
            self._signals.put("posted")

    def stop(self, wait: bool) -> None:
        """Ends the threads, each when what it is about is finished, and wakes all who wait for outcomes."""
        self._stopped = True  # first: a run that opens its box now finds either this, or itself among those cancelled
        for run in list(self._boxes):
            self.post(Cancel(run))
            self.close_box(run)
        self.alarms.stop()
        self._signals.put("stop")  # which the desk hands on when it has handled all that was posted before
        while wait:
            threads = [thread for thread in (*self._threads, self._desk, self._writer) if thread and thread.is_alive()]
            for thread in threads:
                thread.join()
            wait = bool(threads)  # one may have been started meanwhile

    # Workers

    def _start_worker(self) -> None:
        self._alive += 1
        self._threads.append(self._start(Hand(len(self._threads), self._kernels.get)))

    def _start(self, hand: Hand) -> Thread:
        name = "voxlogica-helper" if hand.helps else "voxlogica-desk" if hand.number < 0 else f"voxlogica-{hand.number}"
        thread = Thread(target=self._main, args=(hand,), daemon=True, name=name)
        thread.start()
        return thread

    def _main(self, hand: Hand) -> None:
        """A worker's life. The one place where any exception is caught: what a kernel raises becomes an event."""
        inside.enter()
        while True:
            try:
                if hand.helps:
                    self._help(hand)
                else:
                    self._work(hand)
                return
            except BaseException as error:  # noqa: BLE001 - the worker's outermost loop; nothing may be lost or escape
                if hand.current is None:
                    self._collapse(error)
                    return
                hand.answers.append(self._failure(hand, error))
                hand.current = None

    def _work(self, hand: Hand) -> None:
        carry_out, todo, answers, clock = _CARRY_OUT, hand.todo, hand.answers, time.perf_counter
        while True:
            while todo:
                hand.current = instruction = todo.popleft()
                hand.since = clock()
                if type(instruction) is Writing and instruction.order.claimed and not hand.apart:
                    answers += self._store_all(instruction, hand)
                    hand.current = None
                    continue
                answers.append(carry_out[type(instruction)](self, instruction, hand))
                hand.current = None
            if not answers:
                order = hand.source()
                if type(order) is not str:
                    todo.append(order)
                    continue
                if order == "posted":
                    self._woken = False
                elif order == "stop" and hand.number < 0:
                    self._turn(hand)
                    self._kernels.put(order)
                    continue
                else:
                    self._leave(order, hand)
                    return
            self._turn(hand)

    def _leave(self, order: str, hand: Hand) -> None:
        """A worker ends; the last one ends the desk and the writer, which have nothing more to expect."""
        if hand.number < 0:
            if not self._alive:
                if self._writer is not None:
                    self._writer.join()
                self._ended = True
                self._give_back()
            return
        if order == "stop":
            self._kernels.put(order)  # for the next one
        with self._lock:
            self._alive -= 1
            if not self._alive:
                self._writes.put(None)
                self._signals.put("end")

    def _give_back(self) -> None:
        """Lets the claims go that came when all had ended: to who waited for another's, to a run that began too late.

        The desk does so when it has said that it ends, others when they have a claim and then see that.
        """
        while self._claims:
            with suppress(KeyError):  # another thread was quicker
                self._backend.release(self._claims.popitem()[1])

    def _help(self, hand: Hand) -> None:
        """The life of a thread that decides nothing: one that writes, or waits."""
        while True:
            while hand.answers:
                self.post(hand.answers.pop())
            if self._ended:
                self._give_back()
            order = hand.todo.popleft() if hand.todo else hand.source()
            if order is None:
                return
            hand.current, hand.since = order, time.perf_counter()
            hand.answers.append(_CARRY_OUT[type(order)](self, order, hand))
            hand.current = None

    def _next_wait(self) -> Wait | None:
        with self._lock:
            if self._waits:
                return self._waits.popleft()
            self._helpers -= 1
            return None

    def _turn(self, hand: Hand) -> None:
        """Tells the machine what has happened and routes what it orders."""
        with self._lock:
            while self._posted:
                hand.answers.append(self._posted.popleft())
            orders = self.machine.handle_all(hand.answers, time.perf_counter())
            hand.answers.clear()
            posts: dict[RunId, list[Outbound | Event | Over]] = {}
            small: list[Writing] = []
            for order in orders:
                kind = type(order)
                if kind is Free:
                    self._values.pop(order.formula.id, None)  # type: ignore[union-attr]
                    self._grown.pop(order.formula.id, None)  # type: ignore[union-attr]
                elif kind is Tell:
                    posts.setdefault(order.run, []).append(order.event)  # type: ignore[union-attr]
                elif kind is Deliver:
                    posts.setdefault(order.run, []).append(self._outbound(order))  # type: ignore
                elif kind is Over:
                    posts.setdefault(order.run, []).append(order)  # type: ignore
                else:
                    self._route(order, kind, hand, small)
            # Last, so that what follows is claimed before this claim ends: who waits for it would find that unclaimed.
            hand.todo.extend(small)
            for run, post in posts.items():
                box = self._boxes.get(run)
                if box is not None:
                    box.put(post)

    def _route(self, order: Any, kind: type, hand: Hand, small: list[Writing]) -> None:
        if kind is Compute and not order.tiny:
            if order.isolated:
                self.children.expect(order.number)
            self._kernels.put(order)
        elif kind is Store:
            id = order.formula.id
            grown = self._grown.get(id)
            writing = Writing(order, grown.data if grown is not None else self._values[id])
            if order.bytes < WRITE_BEHIND:
                small.append(writing)
            else:
                self._writes.put(writing)
                if self._writer is None:
                    self._writer = self._start(Hand(-1, self._writes.get, helps=True))
        elif kind is Wait:
            if self._helpers < HELPERS:
                self._helpers += 1
                self._start(Hand(-1, self._next_wait, helps=True, todo=[order]))
            else:
                self._waits.append(order)
        elif kind is Alarm:
            error = too_late(order.formula, order.seconds, order.waiting)
            self.alarms.set(order.seconds, lambda: self.post(Overdue(order.run, order.number, error)))
        elif kind is Patience:
            self.alarms.set(order.seconds, lambda: self.post(Impatient()))
        elif kind is Replace:
            self._start_worker()
        elif kind is Retire:
            self._kernels.put("retire")
        elif kind is Kill:
            self.children.kill(order.number)
        else:
            hand.todo.append(order)

    def _outbound(self, order: Deliver) -> Outbound:
        value = self._values[order.formula.id] if order.error is None else None
        return Outbound(order.number, order.formula, value, order.error, order.cause)

    def _collapse(self, error: BaseException) -> None:
        """The machine itself raised: our bug. Everybody is told; nobody is left waiting."""
        self.broken = error
        for box in list(self._boxes.values()):
            box.put(Collapse(error))
        self._kernels.put("stop")
        self._signals.put("end")

    # One method per instruction; each returns the event that answers it

    def _claim(self, order: Claim, _: Hand) -> Answer:
        id = order.formula.id
        try:
            if not self._backend.accepts(order.bytes):  # whoever waited for the claim would not get the value
                outcome = self._backend.lookup(id)
                return Found(order.number) if isinstance(outcome, Done) else Granted(order.number, claimed=False)
            answer = self._claimed(order.number, id, self._backend.claim(id)) or Busy(order.number)
        except StoreFull:
            return Granted(order.number, claimed=False)
        if order.looks and isinstance(answer, (Busy, Granted)) and self._lasting is not None:
            behind = tuple(self.behind)  # a run that begins adds to it
            crowded = self._lasting.elsewhere() >= limits.processors() or any(map(self._held, behind))
            return answer._replace(crowded=crowded)
        return answer

    def _held(self, id: Id) -> bool:
        """Whether somebody has a claim now."""
        try:
            self._backend.wait_for_completion(id, 0)
        except TimeoutError:
            return True
        return False

    def _wait(self, order: Wait, _: Hand) -> Answer:
        id = order.formula.id
        answer = self._backend.claim(id, timeout=None)
        if isinstance(answer, Failed) and self._could_do_better(answer.error):
            return Abandoned(order.number)
        return self._claimed(order.number, id, answer) or Abandoned(order.number)

    def _claimed(self, number: int, id: Id, answer: storage.Claim | Outcome | None) -> Answer | None:
        """The event for what the store said to a claim; None when somebody else has it."""
        if isinstance(answer, storage.Claim):
            self._claims[id] = answer
            return Granted(number)
        if isinstance(answer, Failed):
            return Raised(number, answer.error, stored=True)
        return None if answer is None else Found(number)

    def _could_do_better(self, error: TaskError) -> bool:
        """Whether a failure by circumstance met limits that are narrower than ours."""
        ours = dict(self._limits)
        return error.kind == "circumstance" and any(limit < ours.get(name, 0) for name, limit in error.limits)

    @property
    def _limits(self) -> tuple[tuple[str, float], ...]:
        return (("memory", self.machine.memory), ("jobs", self.machine.jobs))

    def _load(self, order: Load, hand: Hand) -> Answer:
        formula, unreadable = order.formula, False
        outcome = self._backend.lookup(formula.id)
        if isinstance(outcome, Done):
            try:
                value = outcome.ref.open()
                if formula.operator is not None and formula.operator.dynamic:
                    assert isinstance(value, bytes)
                    return self._extended(order.number, formula, decode(formula, value, self.operators), value)
                self._values[formula.id] = value
                return Loaded(order.number, outcome.ref.nbytes)
            except Missing:
                pass
            except Unreadable:
                unreadable = True
        made, failed, _ = planned(self._backend, [formula], without=formula.id, unclaimed=unreadable)
        return Gone(order.number, made, failed)

    def _compute(self, order: Compute, hand: Hand) -> Answer:
        formula = order.formula
        if (wanted := result_bytes(formula)) > self.machine.memory and wanted > (all := limits.memory()):
            raise MemoryError(f"its value alone takes {wanted / 2**30:.0f} GiB, and this machine has {all / 2**30:.0f}")
        if order.isolated:
            result: object = self._isolated(order)
        elif order.tiny or self._live is None:
            result = self._called(order)
        else:  # should it take this process with it, one will know
            self._live.running(hand.slot, formula.id)
            try:
                result = self._called(order)
            finally:
                self._live.running(hand.slot, None)
        ended = time.perf_counter()
        if formula.operator is not None and formula.operator.dynamic:
            formulas = returned(formula, result)
            values = self._arguments(formula, formula.operator) if formula.operator.replayed else ()
            answer = self._extended(order.number, formula, formulas, encode(formula, formulas, values))
            return answer._replace(seconds=ended - hand.since, at=ended, worker=hand.number)
        self._values[formula.id] = value = cast(Value, result)
        return Computed(order.number, 0 if order.tiny else size(value), ended - hand.since, ended, hand.number)

    def _called(self, order: Compute) -> object:
        formula, operator = order.how, order.how.operator
        if operator is None:
            from voxlogica import images

            assert formula.space is not None
            return images.read(formula.file, formula.space)
        arguments = self._arguments(formula, operator)
        if operator.dynamic:
            arguments.insert(0, Builder(formula))
        if operator.takes_threads:
            return operator.body(*arguments, threads=order.threads)
        return operator.body(*arguments)

    def _arguments(self, formula: Formula, operator: Operator) -> list[Any]:
        values = self._values
        arguments: list[Any] = [
            a.value if a.operator is None and a.file is None else values[a.id] for a in formula.arguments
        ]
        if operator.needs_space:
            arguments.insert(0, space_of(formula))
        return arguments

    def _isolated(self, order: Compute) -> Value:
        """The value from a process of its own; deaths are counted, with those in the store, until that is enough."""
        id, operator = order.formula.id, order.how.operator
        assert operator is not None
        arguments: list[Value | Space] = self._arguments(order.how, operator)
        options = {"threads": order.threads} if operator.takes_threads else {}
        claim = self._claims.get(id)
        lent = self._backend.lent(claim) if claim and isinstance(self._backend, Lending) else nullcontext(())
        try:
            with lent as descriptors:
                value = self.children.run(order.number, operator.body, arguments, options, descriptors)
        except Elsewhere as error:
            if error.type == DIED and not self.children.was_killed(order.number):
                self._count_death(id, error)
            raise
        self._deaths.pop(id, None)
        return value

    def _count_death(self, id: Id, error: Elsewhere) -> None:
        if self._lasting:
            deaths = self._lasting.killed(id)
        else:
            outcome = self._backend.lookup(id)
            before = outcome.error.attempt if isinstance(outcome, Failed) and outcome.error.type == DIED else 0
            deaths = self._deaths[id] = max(before, self._deaths.get(id, 0)) + 1
        error.deaths = deaths
        if deaths >= DEATHS:
            error.kind = "definite"
            error.message = f"it killed its worker {deaths} times: {error.message}"

    def _extended(self, number: int, formula: Formula, formulas: tuple[Formula, ...], data: bytes) -> Extended:
        made, failed, _ = planned(self._backend, formulas)
        self._grown[formula.id] = Grown(formulas, data)
        return Extended(number, made, failed, len(data))

    def _gather(self, order: Gather, _: Hand) -> Answer:
        id, values = order.formula.id, self._values
        found = [f.value if f.operator is None and f.file is None else values[f.id] for f in self._grown[id].formulas]
        values[id] = cast(Held, tuple(found) if order.formula.type is FORMULAS else found[0])
        return Computed(order.number, 0, 0.0)

    def _store(self, writing: Writing, hand: Hand) -> Answer:
        order, value = writing
        id, made = order.formula.id, _made(order, value)
        stored = True
        try:
            if order.claimed:
                with self._claims.pop(id) as claim:
                    self._backend.store(claim, value, made, goal=order.goal)
            else:
                self._backend.offer(id, value, made)
        except StoreFull:
            self.unstored += 1
            stored = False
        return Written(order.number, stored, time.perf_counter() - hand.since)

    def _store_all(self, first: Writing, hand: Hand) -> Sequence[Answer]:
        """Stores a value, and in the same go those that are to be stored right after it."""
        writings, todo = [first], hand.todo
        while todo and type(todo[0]) is Writing and todo[0].order.claimed and len(writings) < AT_ONCE:
            writings.append(todo.popleft())
        try:
            outcomes = self._backend.store_all([self._publication(*each) for each in writings])
        except BaseException:  # noqa: BLE001 - whose fault it is shows when each is stored by itself
            todo.extendleft(reversed(writings))
            hand.apart = True
            return ()
        seconds = (time.perf_counter() - hand.since) / len(writings)
        answers: list[Answer] = []
        for (order, _), outcome in zip(writings, outcomes, strict=True):
            with self._claims.pop(order.formula.id):
                self.unstored += isinstance(outcome, StoreFull)
                answers.append(Written(order.number, isinstance(outcome, Done), seconds))
        return answers

    def _publication(self, order: Store, value: Value) -> storage.Publication:
        return storage.Publication(self._claims[order.formula.id], value, _made(order, value), order.goal)

    def _mark(self, order: Mark, _: Hand) -> Answer:
        with self._claims.pop(order.formula.id) as claim:
            self._backend.mark_failed(claim, order.error)
        return Written(order.number)

    def _release(self, order: Release, _: Hand) -> Answer:
        self._backend.release(self._claims.pop(order.formula.id))
        return Written(order.number)

    def _failure(self, hand: Hand, error: BaseException) -> Answer:
        """The event for an instruction that raised. What the store does not take is lost to others, not to this run."""
        order = hand.current
        if isinstance(order, Writing):
            self.unstored += 1
            return Written(order.order.number, False)
        if isinstance(order, (Mark, Release)):
            return Written(order.number, False)
        now = time.perf_counter()
        described = failure(order.formula, error, now - hand.since, self._limits)
        return Raised(order.number, described, at=now, worker=hand.number)


def _made(order: Store, value: Value) -> Provenance:
    return provenance(order.formula, size(value), order.seconds, order.rule)


_CARRY_OUT: Mapping[type, Callable[[Workers, Any, Hand], Answer]] = {
    Claim: Workers._claim,
    Wait: Workers._wait,
    Load: Workers._load,
    Compute: Workers._compute,
    Gather: Workers._gather,
    Writing: Workers._store,
    Mark: Workers._mark,
    Release: Workers._release,
}
