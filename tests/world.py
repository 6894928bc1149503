"""Operators on numbers that count how often they run, and what tests of the engine wait with."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

from voxlogica.execution.engine import ExecutionEngine, Finished, GoalOutcome
from voxlogica.formula import NUMBER, Formula, Formulas, Operator, Type

SOON = 60


class World:
    """Operators on numbers that count how often they run, in a table of formulas."""

    def __init__(self) -> None:
        self.table = Formulas()
        self.ran: Counter[str] = Counter()
        self.lock = threading.Lock()

    def operator(
        self,
        name: str,
        body: Callable[..., object],
        parameters: int,
        cost: str = "scalar",
        result: Type = NUMBER,
        **more: bool,
    ) -> Operator:
        def counted(*arguments: object, **threads: int) -> object:
            with self.lock:
                self.ran[name] += 1
            return body(*arguments, **threads)

        named = tuple((f"a{n}", NUMBER) for n in range(parameters))
        return Operator(name, name, 1, named, result, counted, "", cost=cost, **more)  # type: ignore[arg-type]

    def __call__(self, name: str, body: Callable[..., object], *arguments: object, cost: str = "") -> Formula:
        """The formula of a new operator over formulas and numbers; published unless it has a cost."""
        return self.table.apply(self.operator(name, body, len(arguments), cost), self.formulas(arguments))

    def formulas(self, arguments: tuple[object, ...]) -> tuple[Formula, ...]:
        return tuple(a if isinstance(a, Formula) else self.table.constant(a) for a in arguments)  # type: ignore[arg-type]


def outcomes(engine: ExecutionEngine, *goals: Formula, **more: object) -> dict[Formula, GoalOutcome]:
    return dict(engine.run(goals, **more))  # type: ignore[arg-type]


def values(engine: ExecutionEngine, *goals: Formula) -> list[object]:
    """The goals' values; an error where one has none."""
    found = outcomes(engine, *goals)
    return [outcome.value if isinstance(outcome := found[goal], Finished) else outcome.error for goal in goals]


def soon(event: threading.Event) -> None:
    assert event.wait(SOON), "it never happened"


def at_once(*actions: Callable[[], None]) -> None:
    """Runs functions in threads of their own, and raises what they raise."""
    errors: list[BaseException] = []

    def guarded(action: Callable[[], None]) -> None:
        try:
            action()
        except AssertionError as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(action,), daemon=True) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SOON)
        assert not thread.is_alive(), "blocked"
    if errors:
        raise errors[0]
