"""Stories for the state machine: formulas by name, answers by name, instructions as words."""

from __future__ import annotations

from voxlogica.execution.machine import Machine
from voxlogica.execution.messages import (
    Alarm,
    Begin,
    Cancel,
    Claim,
    Compute,
    Computed,
    Counts,
    Deliver,
    Delivered,
    Free,
    Granted,
    Input,
    Kill,
    Over,
    Overdue,
    Patience,
    Replace,
    Retire,
    Store,
    Tell,
    Written,
)
from voxlogica.formula import IMAGE, NUMBER, Formula, Formulas, Operator, Type
from voxlogica.plan import Workplan, plan
from voxlogica.storage import TaskError
from voxlogica.values import Space

SPACE = Space.grid(100, 100, 100)
IMAGE_BYTES = 4_000_000
LATE = TaskError("circumstance", "TimeoutError", "too late")
OUT = TaskError("circumstance", "MemoryError", "out of memory")
BOOM = TaskError("definite", "Refusal", "boom")


def operator(name: str, arguments: int, kind: Type = IMAGE, cost: str = "", **more: bool) -> Operator:
    """An operator for plans that are never carried out; without a cost it is published."""
    parameters = tuple((f"a{n}", kind) for n in range(arguments))
    return Operator(name, name, 1, parameters, kind, lambda *a: 0.0, "", cost=cost, **more)


class Graph:
    """Formulas by name: `graph("c", "a", "b")` is the published operator c over a and b, `private=True` a cheap one."""

    def __init__(self) -> None:
        self.table = Formulas()
        self.names: dict[str, Formula] = {}

    def __call__(self, name: str, *arguments: str, private: bool = False, tiny: bool = False, **more: bool) -> Formula:
        kind = NUMBER if tiny else IMAGE
        cost = "scalar" if tiny else "voxels" if private else ""
        known = tuple(self.names[a] for a in arguments)
        formula = self.table.apply(
            operator(name, len(arguments), kind, cost, **more), known, None if tiny or arguments else SPACE
        )
        self.names[name] = formula
        return formula

    def name(self, formula: Formula) -> str:
        return formula.operator.name


def shown(graph: Graph, instructions: list) -> list[str]:
    """Instructions as words, without their numbers: `Compute a`."""
    return [
        f"{type(i).__name__} {graph.name(i.formula)}" if hasattr(i, "formula") else type(i).__name__
        for i in instructions
        if not isinstance(i, (Tell, Over, Alarm))
    ]


class Script:
    """Answers by name, so that a test reads as a story."""

    def __init__(self, graph: Graph, jobs: int = 2, memory: int = 10**12, cold: bool = False) -> None:
        self.graph = graph
        self.machine = Machine(jobs, memory, cold)
        self.asked: dict[tuple[str, str], list] = {}
        self.told: list = []
        self.alarms: list[Alarm] = []

    def _took(self, instructions: list) -> list[str]:
        self.machine.validate()
        for i in instructions:
            if isinstance(i, Tell):
                self.told.append(i)
            elif isinstance(i, Alarm):
                self.alarms.append(i)
            elif not isinstance(i, (Free, Alarm, Patience, Replace, Retire, Kill, Over)):
                self.asked.setdefault((type(i).__name__, self.graph.name(i.formula)), []).append(i)
        return shown(self.graph, instructions)

    def plan(self, *goals: str, known: tuple[str, ...] = ()) -> Workplan:
        return plan([self.graph.names[g] for g in goals], {self.graph.names[name].id for name in known})

    def begin(
        self,
        run: int,
        *goals: str,
        known: tuple[str, ...] = (),
        failed: tuple[str, ...] = (),
        limit: float | None = None,
        rank: int = 0,
    ) -> list[str]:
        self.counts = Counts()
        made = self.plan(*goals, known=known + failed)
        errors = {self.graph.names[name].id: BOOM for name in failed}
        return self._took(self.machine.handle(Begin(run, made, errors, self.counts, True, limit, rank)))

    def tell(self, event: Input) -> list[str]:
        return self._took(self.machine.handle(event))

    def cancel(self, run: int) -> list[str]:
        return self._took(self.machine.handle(Cancel(run)))

    def overdue(self, run: int, name: str) -> list[str]:
        (alarm,) = [each for each in self.alarms if each.run == run and self.graph.name(each.formula) == name]
        self.alarms.remove(alarm)
        return self._took(self.machine.handle(Overdue(run, alarm.number, LATE)))

    def answer(self, instruction: type, name: str, event: type, *fields: object) -> list[str]:
        asked = self.asked[(instruction.__name__, name)].pop(0)
        return self._took(self.machine.handle(event(asked.number, *fields)))

    def granted(self, name: str) -> list[str]:
        return self.answer(Claim, name, Granted)

    def computed(self, name: str, bytes: int = IMAGE_BYTES) -> list[str]:
        return self.answer(Compute, name, Computed, bytes, 0.1)

    def written(self, *names: str) -> list[str]:
        return [word for name in names for word in self.answer(Store, name, Written)]

    def taken(self, name: str) -> list[str]:
        return self.answer(Deliver, name, Delivered)
