"""What the store knows when a plan is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from voxlogica.formula import Formula, Operator, Unreadable, below, decode
from voxlogica.identity import Id
from voxlogica.plan import COSTS, Costs, Workplan, plan
from voxlogica.storage import Done, Failed, Missing, Outcome, StorageBackend, TaskError


def planned(
    backend: StorageBackend,
    goals: Sequence[Formula],
    *,
    without: Id | None = None,
    unclaimed: bool = False,
    retry_failed: bool = False,
) -> tuple[Workplan, dict[Id, TaskError], Mapping[Id, Outcome]]:
    """The workplan for the goals with what is stored; the stored failures among it; and all that was found stored.

    `without` is known to be lost; `unclaimed` says that it is to be computed without a claim, which would only be
    answered by what cannot be read. `retry_failed` forgets the failures.
    Goals are looked up first: when all are known, as in a run that was made before, nothing else is.
    """
    known = _answers(backend.known([goal.id for goal in goals]), without)
    if retry_failed or any(goal.id not in known for goal in goals):
        known = _answers(backend.known([f.id for f in below(goals) if f.operator is not None or f.file]), without)
    failed = {id: outcome.error for id, outcome in known.items() if isinstance(outcome, Failed)}
    if retry_failed and failed:
        backend.cleanup_failed_executions(ids=failed)
        known = {id: outcome for id, outcome in known.items() if id not in failed}
        failed = {}
    made = plan(goals, known, costs(backend))
    if unclaimed:
        tasks = tuple([task._replace(published=False) if task.id == without else task for task in made.tasks])
        made = Workplan(made.goals, tasks, made.known)
    return made, failed, known


def costs(backend: StorageBackend) -> Costs:
    """The constants by which all who share a store decide what is published."""
    return Costs.read(backend.agreed("costs", COSTS.text))


def _answers(outcomes: Mapping[Id, Outcome], without: Id | None) -> dict[Id, Outcome]:
    """Those that count: a failure by circumstance is no answer for who comes later."""
    return {
        id: outcome
        for id, outcome in outcomes.items()
        if id != without and (isinstance(outcome, Done) or outcome.error.kind == "definite")
    }


def foreseen(
    backend: StorageBackend,
    goals: Sequence[Formula],
    operators: Callable[[str], Operator | None],
    *,
    retry_failed: bool = False,
) -> Workplan:
    """The workplan for the goals as far as it can be seen: with what stored tasks returned, and that what returned.

    Of its known formulas none has anything yet to be computed. `retry_failed` forgets all failures among these.
    """
    returned: dict[Id, tuple[Formula, ...]] = {}
    while True:
        seen = [*goals, *(formula for formulas in returned.values() for formula in formulas)]
        made, _, known = planned(backend, seen, retry_failed=retry_failed)
        new = [f for f in made.known if _is_dynamic(f) and f.id not in returned]
        for formula in new:
            returned[formula.id] = _returned(formula, known[formula.id], operators)
        if not new:
            break
    # What planning puts in place of others is not below the goals: it is asked for once it is there.
    if stored := _answers(backend.known([task.id for task in made.tasks if task.published]), None):
        made = plan(seen, {**known, **stored}, costs(backend))
    lacking = {task.id for task in made.tasks}
    while more := {id for id, found in returned.items() if id not in lacking and any(f.id in lacking for f in found)}:
        lacking |= more
    asked = {goal.id for goal in goals}
    known_goals = tuple([goal for goal in made.goals if goal.id in asked])
    return Workplan(known_goals, made.tasks, tuple([f for f in made.known if f.id not in lacking]))


def _is_dynamic(formula: Formula) -> bool:
    return formula.operator is not None and formula.operator.dynamic


def _returned(formula: Formula, outcome: Outcome, operators: Callable[[str], Operator | None]) -> tuple[Formula, ...]:
    """The formulas that a stored task has returned; none if they cannot be had, or it failed."""
    try:
        value = outcome.ref.open() if isinstance(outcome, Done) else None
        return decode(formula, value, operators) if isinstance(value, bytes) else ()
    except (Missing, Unreadable):
        return ()
