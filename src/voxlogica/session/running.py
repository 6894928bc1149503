"""Runs a bound program: prints in the order of the program, files as they are made, failures by their root cause."""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeAlias

from voxlogica import images
from voxlogica._version import VERSION
from voxlogica.check import Checked
from voxlogica.check.result import GoalSlot
from voxlogica.errors import Diagnostic, Refusal, Span
from voxlogica.execution.engine import Broken, ExecutionEngine, Finished, GoalOutcome
from voxlogica.execution.messages import Counts, Event
from voxlogica.formula import MASK, MODEL, Formula
from voxlogica.identity import Id
from voxlogica.operators import operators
from voxlogica.session.binding import Bound, Output, refused
from voxlogica.session.settings import Scalar, Settings
from voxlogica.storage import TaskError
from voxlogica.values import Value

EIGHT_BITS = ("png", "jpg", "bmp")
"""The formats whose numbers are clamped (C9)."""


@dataclass(frozen=True, slots=True)
class Printed:
    """A `print` whose turn has come."""

    label: str
    value: Scalar | tuple[Value, ...]

    def __str__(self) -> str:
        return f"{self.label}={shown(self.value)}"


@dataclass(frozen=True, slots=True)
class Saved:
    """A file that is written."""

    path: Path


@dataclass(frozen=True, slots=True)
class Trouble:
    """An error or a warning of a run that goes on."""

    diagnostic: Diagnostic


Happening: TypeAlias = Printed | Saved | Trouble


class Watcher(Protocol):
    """Somebody who wants to see how a run goes."""

    def begin(self, counts: Counts) -> None:
        """The run begins; `counts` can be read at any time from now on."""
        ...

    def event(self, event: Event) -> None:
        """Something happened to a task."""
        ...


def shown(value: Value) -> str:
    """A value as text (C19): the fewest digits that read back exactly, integral numbers without `.0`."""
    if isinstance(value, tuple):
        inside = [json.dumps(each, ensure_ascii=False) if isinstance(each, str) else shown(each) for each in value]
        return f"[{', '.join(inside)}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    assert isinstance(value, float)
    if value.is_integer() and abs(value) < 1e16:
        return str(int(value))
    return repr(value)


@dataclass
class _Goal:
    """A goal of the program while it runs."""

    formula: Formula
    words: str  # as in the program: print "label"
    span: Span
    label: str = ""
    output: Output | None = None
    clamped: Formula | None = None
    failed: bool = False


@dataclass
class _Failure:
    """A root cause and the goals it takes with it."""

    error: TaskError
    formula: Formula
    goals: list[_Goal] = field(default_factory=list)


def happenings(
    bound: Bound,
    checked: Checked,
    settings: Settings,
    program: str,
    engine: ExecutionEngine,
    watcher: Watcher | None = None,
) -> Iterator[Happening]:
    """Computes the goals and does what they ask for; yields what happens, failures last.

    Leaving the iteration early cancels what runs.
    """
    goals = _goals(bound, checked, settings, program)
    wanted = {formula.id: formula for goal in goals for formula in (goal.formula, goal.clamped) if formula is not None}
    by_id: dict[Id, list[_Goal]] = {}
    for goal in goals:
        by_id.setdefault(goal.formula.id, []).append(goal)
        if goal.clamped is not None:
            by_id.setdefault(goal.clamped.id, []).append(goal)
    prints = [goal for goal in goals if goal.output is None]
    known: dict[Id, GoalOutcome] = {}
    next_print = 0
    failures: dict[Id, _Failure] = {}
    late: list[Diagnostic] = []
    run = engine.run(list(wanted.values()), listen=watcher.event if watcher else None)
    if watcher:
        watcher.begin(run.counts)
    for formula, outcome in run:
        concerned = by_id[formula.id]
        if isinstance(outcome, Broken):
            cause = outcome.error.task or outcome.formula.id
            failure = failures.setdefault(cause, _Failure(outcome.error, outcome.formula))
            for goal in concerned:
                if not goal.failed:
                    goal.failed = True
                    failure.goals.append(goal)
        for goal in concerned:
            if goal.output is not None and isinstance(outcome, Finished):
                if formula is goal.clamped:
                    if outcome.value:
                        yield Trouble(_clamped(goal, outcome.value))
                    continue
                try:
                    assert isinstance(outcome.value, bytes)
                    images.write(goal.output.path, outcome.value)
                except Refusal as refusal:
                    goal.failed = True
                    late.append(refused("output", refusal, goal.output.goal.text.span))
                else:
                    yield Saved(goal.output.path)
            elif goal.output is None:
                known[formula.id] = outcome
        del outcome
        while next_print < len(prints) and (ready := known.get(prints[next_print].formula.id)) is not None:
            if isinstance(ready, Finished):
                assert isinstance(ready.value, (bool, float, str, tuple))
                yield Printed(prints[next_print].label, ready.value)
            next_print += 1
    order = {id(goal): n for n, goal in enumerate(goals)}
    found = sorted(failures.values(), key=lambda f: min(order[id(goal)] for goal in f.goals))
    for failure in found:
        yield Trouble(_failed(failure, sorted(failure.goals, key=lambda goal: order[id(goal)])))
    for diagnostic in late:
        yield Trouble(diagnostic)


def _goals(bound: Bound, checked: Checked, settings: Settings, program: str) -> list[_Goal]:
    goals = []
    for number, goal in enumerate(checked.goals):
        if goal.word == "save" and number not in bound.outputs:
            continue  # the run was asked to save nothing
        formula = bound.slots[goal.slot]
        assert formula is not None, "a goal without a formula passed the checker"
        text = settings.replace(goal.text.value, goal.text.span)
        made = _Goal(formula, f'{goal.word} "{text}"', goal.span, label=text)
        output = bound.outputs.get(number)
        if output is not None:
            made.output = output
        if output is not None and formula.type.spatial:
            made.formula, made.clamped = _encoded(bound, checked, settings, program, output, formula)
        goals.append(made)
    return goals


def _encoded(
    bound: Bound, checked: Checked, settings: Settings, program: str, output: Output, formula: Formula
) -> tuple[Formula, Formula | None]:
    """The formula of a file's bytes and, for eight bits, that of how many values are clamped."""
    table, kind = bound.table, formula.type
    suffix = "mask" if kind is MASK else "model" if kind is MODEL else "image"
    constants = (
        table.constant(output.format),
        formula,
        table.constant(provenance(bound, checked, settings, program, output)),
    )
    encoded = table.apply(operators()[f"encode_{suffix}"], constants, origin=formula.origin)
    clamped = None
    if output.format in EIGHT_BITS and suffix != "mask":
        clamped = table.apply(operators()[f"clamped_{suffix}"], (formula,), origin=formula.origin)
    return encoded, clamped


def provenance(bound: Bound, checked: Checked, settings: Settings, program: str, output: Output) -> str:
    """What a saved file says of itself, as JSON: the same for the same meaning, so no time, host or directory."""
    formula = bound.slots[output.goal.slot]
    assert formula is not None
    parameters = {name: each.literal.value for name, each in checked.parameters.items()} | dict(settings.parameters)
    inputs = {
        each.name: {
            "file": Path(settings.replace(each.path.value, each.path.span)).name,
            "sha256": leaf.digest.hex(),
        }
        for each, leaf in zip(checked.inputs, bound.leaves, strict=True)
    }
    said = {
        "software": f"VoxLogicA {VERSION}",
        "program": program,
        "expression": _expression(output.goal),
        "id": formula.id.hex(),
        "parameters": parameters,
        "inputs": inputs,
    }
    return json.dumps(said, ensure_ascii=False)


def _expression(goal: GoalSlot) -> str:
    """What is saved, as it is written."""
    return goal.span.source.text[goal.text.span.end : goal.span.end].strip()


def _clamped(goal: _Goal, count: Value) -> Diagnostic:
    assert goal.output is not None
    assert isinstance(count, float)
    values = "1 value is" if count == 1 else f"{shown(count)} values are"
    return Diagnostic(
        "output",
        f"{goal.output.text} holds numbers from 0 to 255, and {values} outside",
        goal.output.goal.text.span,
        details=("each was replaced by the nearest it can hold",),
        help=f"to keep the numbers save it as   {Path(goal.output.text).with_suffix('.nii.gz')}",
        severity="warning",
    )


def _failed(failure: _Failure, goals: Sequence[_Goal]) -> Diagnostic:
    """One root cause: what is wrong, where, through which calls, and what is not done because of it."""
    error, origin = failure.error, failure.formula.origin
    undone = f"not done: {', '.join(goal.words for goal in goals)}"
    span, chain = (origin.span, origin.chain) if origin is not None else (goals[0].span, ())
    if failure.formula.operator is None:  # a file that was right when it was bound
        return Diagnostic("input", error.message, span, details=(*error.details, undone), help=error.help)
    if error.kind == "circumstance":
        help = error.help or "what is stored is kept: when the cause is gone, run again"
        return Diagnostic("machine", error.message, span, chain=chain, details=(*error.details, undone), help=help)
    if error.traceback:
        return _bug(error, span, undone)
    return Diagnostic("compute", error.message, span, chain=chain, details=(*error.details, undone), help=error.help)


def _bug(error: TaskError, span: Span, undone: str) -> Diagnostic:
    lines = error.traceback.rstrip().splitlines()
    return Diagnostic(
        "internal",
        f"`{error.operator}` failed in a way that it should not: {error.type}: {error.message}",
        span,
        details=(undone, *lines),
        help=BUG,
    )


BUG = "this is a mistake in VoxLogicA: please report it with the program and these lines"


def unexpected(error: BaseException) -> Diagnostic:
    """What is said of an exception that nobody foresaw."""
    lines = "".join(traceback.format_exception(error)).rstrip().splitlines()
    return Diagnostic("internal", f"{type(error).__name__}: {error}", details=tuple(lines), help=BUG)
