"""A driver for the state machine that answers whatever instruction chance, or a policy, picks.

It has a store, other owners, losses, circumstances, late kernels and runs that are cancelled; it keeps its own books of
what was computed, is in memory and is stored, and checks them against the machine's after every event.
"""

from __future__ import annotations

import random

from voxlogica.execution.machine import Machine
from voxlogica.execution.messages import (
    Abandoned,
    Alarm,
    Begin,
    Busy,
    Cancel,
    Claim,
    Compute,
    Computed,
    Counts,
    Deliver,
    Delivered,
    Expire,
    Extended,
    Found,
    Free,
    Gather,
    Gone,
    Granted,
    Impatient,
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
    Store,
    Tell,
    Wait,
    Written,
)
from voxlogica.formula import NUMBER, Formula, Formulas, Operator
from voxlogica.plan import Task, Workplan, plan
from voxlogica.storage import TaskError

BOOM = TaskError("definite", "Refusal", "boom")
CIRCUMSTANCE = TaskError("circumstance", "MemoryError", "out of memory")
LATE = TaskError("circumstance", "TimeoutError", "too late")

POLICIES = ("any", "oldest", "newest", "stores last", "kernels last", "loads last", "claims last", "takers last")
"""Which of the unanswered instructions is answered next: any, or the adversary's choice most of the time."""

LAST = {
    "stores last": (Store, Mark, Release),
    "kernels last": (Compute,),
    "loads last": (Load,),
    "claims last": (Claim, Wait),
    "takers last": (Deliver,),
}


class Simulation:
    """Random formulas; see the module. `hostile` adds failures, other owners, losses and lateness."""

    def __init__(
        self, seed: int, *, tasks: int, jobs: int, memory: int, hostile: bool, policy: str = "any", dynamic: bool = True
    ) -> None:
        self.random = rng = random.Random(seed)
        self.hostile, self.policy = hostile, policy
        self.cold, self.short = rng.random() < 0.4, rng.random() < 0.5
        self.machine = Machine(jobs, memory, self.cold)
        self.patience = 0  # unanswered
        self.table = Formulas()
        self.formulas: list[Formula] = []
        self.elements: dict[bytes, list[Formula]] = {}  # what the dynamic ones return
        self.kind: dict[bytes, str] = {}
        self.bytes: dict[bytes, int] = {}
        self.value: dict[bytes, object] = {}  # what each is, evaluated naively; None when something it needs breaks
        self.broken: set[bytes] = set()
        self.circumstances: dict[bytes, int] = {}  # how often each still fails by circumstance
        for n in range(tasks):
            self.draw(f"f{n}", dynamic)
        self.stored = {f.id for f in self.formulas if hostile and self.value[f.id] is not None and rng.random() < 0.15}
        self.foreign = {f.id for f in self.formulas if hostile and rng.random() < 0.15} - self.stored
        self.grown: dict[bytes, list[Formula]] = {}  # formulas at hand
        self.values: dict[bytes, object] = {}  # in memory
        self.computed: list[bytes] = []
        self.held: set[bytes] = set()
        self.unclaimed: set[bytes] = set()  # computed without a claim, since the store took nothing
        self.asked: list = []
        self.alarms: list[Alarm] = []
        self.doomed: set[int] = set()  # isolated kernels that are killed
        self.threads = jobs
        self.runs: dict[int, dict[bytes, object]] = {}  # outcomes delivered, by run
        self.goals: dict[int, list[Formula]] = {}
        self.counts: dict[int, Counts] = {}
        self.late: set[int] = set()  # runs that gave something up
        self.lost: set[int] = set()  # instructions that are overdue: answered when nothing else is left
        self.over: list[int] = []
        self.told: list = []

    # The world

    def draw(self, name: str, dynamic: bool) -> Formula:
        rng = self.random
        inputs = tuple(rng.sample(self.formulas, min(len(self.formulas), rng.choice([0, 1, 1, 2, 2, 3]))))
        grows = dynamic and bool(self.formulas) and rng.random() < 0.15
        formula = self.table.apply(self.operator(name, len(inputs), grows, rng.random() < 0.2), inputs)
        if formula.id not in self.value:
            self.define(formula, ["published", "private", "private", "tiny", "tiny private"])
            if grows:
                returned = rng.sample(self.formulas, min(len(self.formulas), rng.choice([0, 1, 1, 2])))
                for n in range(rng.choice([0, 1, 2])):
                    own = tuple(rng.sample(self.formulas, min(len(self.formulas), rng.choice([0, 1, 2]))))
                    fresh = self.table.apply(self.operator(f"{name}.{n}", len(own), False, False), own)
                    self.define(fresh, ["published", "private", "tiny"])
                    returned.append(fresh)
                self.elements[formula.id] = returned
                self.define(formula, ["published", "tiny"])
            self.formulas.append(formula)
        return formula

    @staticmethod
    def operator(name: str, arguments: int, dynamic: bool, isolate: bool) -> Operator:
        parameters = tuple((f"a{n}", NUMBER) for n in range(arguments))
        return Operator(
            name, name, 1, parameters, NUMBER, lambda *a: 0.0, "", cost="", dynamic=dynamic, isolate=isolate
        )

    def define(self, formula: Formula, kinds: list[str]) -> None:
        rng, id = self.random, formula.id
        self.kind[id] = rng.choice(kinds)
        self.bytes[id] = rng.randint(1, 32)
        if self.hostile and rng.random() < 0.08:
            self.broken.add(id)
        if self.hostile and rng.random() < 0.1:
            self.circumstances[id] = 1
        needed = [self.value[f.id] for f in (*formula.arguments, *self.elements.get(id, ()))]
        self.value[id] = None if id in self.broken or None in needed else hash((id, *needed))

    def plan(self, goals: list[Formula], known: set[bytes]) -> Workplan:
        made = plan(goals, known)
        wanted = {goal.id for goal in goals}
        return Workplan(made.goals, tuple(self.drawn(task, task.id in wanted) for task in made.tasks), made.known)

    def drawn(self, task: Task, goal: bool) -> Task:
        kind = self.kind[task.id]
        published = goal or kind == "published" or kind == "tiny" or task.id in self.elements
        return task._replace(
            published=published,
            tiny="tiny" in kind,
            seconds=0.01 if self.cold and self.short else 1.0,
            bytes=self.bytes[task.id],
            scratch=1,
            again=0.0 if published else self.random.random(),
        )

    # Runs

    def begin(self, limit: float | None = None) -> int:
        number = len(self.runs)
        goals = self.random.sample(self.formulas, self.random.randint(1, min(4, len(self.formulas))))
        self.runs[number], self.goals[number], self.counts[number] = {}, goals, Counts()
        known = set(self.stored) if self.random.random() < 0.8 else set()
        rank = self.random.choice([0, 0, 1, number])
        behind = self.cold and self.random.random() < 0.3
        self.send(Begin(number, self.plan(goals, known), {}, self.counts[number], True, limit, rank, behind))
        return number

    def cancel(self, number: int) -> None:
        self.goals[number] = []
        self.asked = [i for i in self.asked if not (isinstance(i, Deliver) and i.run == number)]
        self.send(Cancel(number))

    def expire(self, number: int) -> None:
        self.late.add(number)
        self.send(Expire(number, LATE))

    def ring(self) -> None:
        """One of the alarms that were set goes off."""
        if self.alarms:
            alarm = self.alarms.pop(self.random.randrange(len(self.alarms)))
            self.late.add(alarm.run)
            if alarm.run in self.machine.runs and alarm.number not in self.doomed:  # else nobody minds any more
                self.lost.add(alarm.number)
            self.send(Overdue(alarm.run, alarm.number, LATE))

    def send(self, event: object) -> None:
        for i in self.machine.handle(event):  # type: ignore[arg-type]
            match i:
                case Free():
                    there = i.formula.id in self.values or i.formula.id in self.grown
                    assert there, f"freed what is not there: {i.formula} {self.machine.story(i.formula.id)}"
                    self.values.pop(i.formula.id, None)
                    self.grown.pop(i.formula.id, None)
                case Tell():
                    self.told.append(i)
                case Over():
                    self.over.append(i.run)
                case Alarm():
                    self.alarms.append(i)
                case Patience():
                    self.patience += 1
                case Replace():
                    self.threads += 1
                case Retire():
                    self.threads -= 1
                case Kill():
                    self.doomed.add(i.number)
                    self.lost.discard(i.number)
                case _:
                    self.asked.append(i)
            if isinstance(i, Store):
                assert i.formula.id in self.values or i.formula.id in self.grown, "freed before it was stored"
            elif isinstance(i, Compute):
                self.check_compute(i)
        kernels = sum(isinstance(i, Compute) and not i.tiny for i in self.asked)
        assert kernels <= self.threads, "more kernels than threads"
        self.machine.validate()

    def check_compute(self, i: Compute) -> None:
        id = i.formula.id
        machine = self.machine
        assert id not in self.values, "computed twice"
        assert machine.records[id].refs > 0, "nobody needs it"
        for a in i.formula.arguments:
            assert a.id in self.values, f"an input was freed too early: {a} {self.machine.story(a.id)}"
        if not i.tiny and not self.hostile and not self.elements:  # what a gathering reads is opened without asking
            usage = machine.usage
            assert machine.running == 1 or usage.live + usage.reserved <= machine.memory, "over the budget"
        if machine.records[id].published and not machine.records[id].pins:
            assert id in self.held | self.unclaimed, "a published task without a claim"

    # Answers

    def answer(self) -> None:
        """Carries out one instruction; or time passes."""
        moving = any(i.number not in self.lost for i in self.free())
        if self.patience and (not moving or self.random.random() < 0.1):
            self.patience -= 1
            self.send(Impatient())
            return
        i = self.pick()
        self.asked.remove(i)
        match i:
            case Claim():
                event = self.claimed(i, i.formula.id)
            case Wait():
                event = self.waited(i, i.formula.id)
            case Load():
                event = self.loaded(i, i.formula.id)
            case Compute():
                event = self.compute(i, i.formula.id)
            case Gather():
                id = i.formula.id
                needed = (*i.formula.arguments, *self.grown[id])
                assert all(f.id in self.values for f in self.grown[id]), "an element was freed too early"
                self.values[id] = hash((id, *(self.value[f.id] for f in needed)))
                event = Computed(i.number, 0, 0.0)
            case Store():
                event = self.wrote(i, i.formula.id)
            case Mark() | Release():
                self.held.remove(i.formula.id)
                event = Written(i.number)
            case Deliver():
                event = self.delivered(i, i.formula.id)
        self.send(event)

    def free(self) -> list:
        """The instructions that may be answered; not a wait for a claim of our own."""
        return [i for i in self.asked if not (isinstance(i, Wait) and i.formula.id in self.held)]

    def pick(self):  # type: ignore[no-untyped-def]
        free = self.free()
        moving = [i for i in free if i.number not in self.lost]
        if not moving:
            self.check_lost()
        free = moving or free
        assert free, "nothing can move"
        if self.policy == "any" or self.random.random() < 0.1:
            return self.random.choice(free)
        if self.policy == "oldest":
            return free[0]
        if self.policy == "newest":
            return free[-1]
        first = [i for i in free if not isinstance(i, LAST[self.policy])]
        return self.random.choice(first or free)

    def check_lost(self) -> None:
        """All that does not move needs what is overdue."""
        stack = [self.machine._asked[i.number][1] for i in self.asked]
        needing = set(stack)
        while stack:
            for user in stack.pop().users:
                if user not in needing:
                    needing.add(user)
                    stack.append(user)
        assert all(goal in needing for run in self.machine.runs.values() for goal in run.goals), "waits for nothing"

    def claimed(self, i: Claim, id: bytes) -> object:
        if id in self.stored:
            return Found(i.number)
        if id in self.foreign or id in self.held:  # our own, when giving it back is ordered and not done yet
            return Busy(i.number, i.looks and self.random.random() < 0.5)
        if self.hostile and self.random.random() < 0.03:
            self.unclaimed.add(id)
            return Granted(i.number, False)  # the store takes nothing
        self.held.add(id)
        return Granted(i.number, True, i.looks and self.random.random() < 0.5)

    def waited(self, i: Wait, id: bytes) -> object:
        assert not self.machine.records[id].held
        self.foreign.discard(id)
        if self.random.random() < 0.2 and id not in self.held | self.stored:
            self.held.add(id)
            return Granted(i.number)  # inherited
        if not self.hostile or self.value[id] is None or self.random.random() < 0.4:
            return Raised(i.number, BOOM) if id in self.broken and self.random.random() < 0.5 else Abandoned(i.number)
        self.stored.add(id)
        return Found(i.number)

    def loaded(self, i: Load, id: bytes) -> object:
        assert id not in self.values
        if id not in self.stored or (self.hostile and self.random.random() < 0.3):
            self.stored.discard(id)
            return Gone(i.number, self.plan([i.formula], set(self.stored) - {id}), {})
        if id in self.elements:
            return self.extended(i.number, id)
        assert self.value[id] is not None
        self.values[id] = self.value[id]
        return Loaded(i.number, self.bytes[id])

    def compute(self, i: Compute, id: bytes) -> object:
        self.computed.append(id)
        if i.number in self.doomed:
            return Raised(i.number, CIRCUMSTANCE)
        if id in self.broken:
            return Raised(i.number, BOOM)
        if self.circumstances.get(id):
            self.circumstances[id] -= 1
            return Raised(i.number, CIRCUMSTANCE)
        if id in self.elements:
            return self.extended(i.number, id)
        self.values[id] = hash((id, *(self.values[a.id] for a in i.formula.arguments)))
        return Computed(i.number, self.bytes[id], 0.0)

    def extended(self, number: int, id: bytes) -> Extended:
        self.grown[id] = self.elements[id]
        known = set(self.stored) if self.random.random() < 0.8 else set()
        return Extended(number, self.plan(self.elements[id], known), {})

    def wrote(self, i: Store, id: bytes) -> Written:
        if i.claimed:
            self.held.remove(id)
        if self.hostile and self.random.random() < 0.05:
            return Written(i.number, False)
        self.stored.add(id)
        return Written(i.number)

    def delivered(self, i: Deliver, id: bytes) -> Delivered:
        assert id not in self.runs[i.run], "delivered twice"
        if i.error is None:
            assert id in self.values, "freed before it was taken"
            self.runs[i.run][id] = self.values[id]
        elif i.error is LATE:
            assert i.run in self.late, "too late for whom?"
            self.runs[i.run][id] = LATE
        else:
            assert i.cause.id in self.broken, "the wrong root cause"  # type: ignore[union-attr]
            self.runs[i.run][id] = None
        return Delivered(i.number)

    def finish(self) -> None:
        """Answers until nothing is left; each goal that was not cancelled has the naive outcome, or was too late."""
        while self.asked:
            self.answer()
        for number, goals in self.goals.items():
            if not goals:
                continue
            found = self.runs[number]
            assert found.keys() == {goal.id for goal in goals}
            assert all(found[g.id] == self.value[g.id] for g in goals if found[g.id] is not LATE)
            assert self.over.count(number) == 1
            counts = self.counts[number]
            assert counts.running == counts.waiting == 0
            if number not in self.late:
                assert counts.ended == counts.tasks, counts
                assert abs(counts.settled - counts.expected) < 1e-9
        machine, usage = self.machine, self.machine.usage
        assert not machine.records
        assert not self.values
        assert not self.grown
        assert not self.held
        assert usage.live == usage.reserved == usage.storing == machine.claims == machine.promised == 0
        assert machine.running == machine.opening == machine.batch == 0
        assert self.threads == machine.jobs
        assert not machine.runs


def hostilities(seed: int, *, tasks: int, jobs: int, memory: int, policy: str) -> Simulation:
    """Several runs begin, are cancelled, expire and lose patience at any time; then all is answered to the end."""
    world = Simulation(seed, tasks=tasks, jobs=jobs, memory=memory, hostile=True, policy=policy)
    rng = world.random
    world.begin(rng.choice([None, 1.0]))
    for _ in range(rng.randint(0, 100)):
        chance = rng.random()
        if chance < 0.04 and len(world.runs) < 5:
            world.begin(rng.choice([None, 1.0]))
        elif chance < 0.05:
            world.cancel(rng.choice(list(world.runs)))
        elif chance < 0.06:
            world.expire(rng.choice(list(world.runs)))
        elif chance < 0.08:
            world.ring()
        elif world.asked:
            world.answer()
    world.finish()
    return world
