"""Runs a bound program: prints in the order of the program, files as they are made, failures by their root cause."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeAlias

from voxlogica import images
from voxlogica._dataclass import dataclass, field
from voxlogica._version import VERSION
from voxlogica.check import Checked
from voxlogica.check.result import GoalSlot
from voxlogica.errors import Diagnostic, Refusal, Span
from voxlogica.execution.engine import Broken, ExecutionEngine, Finished, GoalOutcome, Token
from voxlogica.execution.messages import Counts, Event
from voxlogica.formula import BYTES, MASK, MODEL, Formula
from voxlogica.identity import Id
from voxlogica.operators import operators
from voxlogica.reduction.loops import refused as lacking
from voxlogica.session.binding import Bound, Output, refused
from voxlogica.session.settings import Settings
from voxlogica.storage import TaskError
from voxlogica.values import Printable, Record, Value, shown

WHOLE = Id(b"")
"""In place of a task's id: what ended the run as a whole, and is of no task."""

EIGHT_BITS = ("png", "jpg", "bmp")
"""The formats whose numbers are clamped (C9)."""


@dataclass(frozen=True, slots=True)
class Printed:
    """A `print` whose turn has come; `number` is its place among the program's goals."""

    label: str
    value: Printable
    number: int = 0

    def __str__(self) -> str:
        return f"{self.label}={shown(self.value)}"


@dataclass(frozen=True, slots=True)
class Saved:
    """A file that is written."""

    path: Path


@dataclass(frozen=True, slots=True)
class Trouble:
    """An error or a warning of a run that goes on; `late` if a limit of time was reached: a kernel may still run."""

    diagnostic: Diagnostic
    late: bool = False


Happening: TypeAlias = Printed | Saved | Trouble


def _printable(value: Value) -> Printable:
    if isinstance(value, tuple):
        return tuple([_printable(each) for each in value])
    assert isinstance(value, (bool, float, str, Record))
    return value


class Watcher(Protocol):
    """Somebody who wants to see how a run goes."""

    def begin(self, counts: Counts) -> None:
        """The run begins; `counts` can be read at any time from now on."""
        ...

    def event(self, event: Event) -> None:
        """Something happened to a task."""
        ...


@dataclass
class Goal:
    """A goal of the program while it runs: `formula` is what is computed for it."""

    formula: Formula
    words: str  # as in the program: print "label"
    span: Span
    number: int  # its place among the program's goals
    label: str = ""
    output: Output | None = None
    clamped: Formula | None = None
    beside: str = ""  # what is written beside a file whose format has no place for it
    failed: bool = False


@dataclass
class _Failure:
    """A root cause and the goals it takes with it."""

    error: TaskError
    formula: Formula
    goals: list[Goal] = field(default_factory=list)


class Ledger:
    """The goals of one run while their outcomes come; `formulas` are what is to be computed for them."""

    def __init__(self, goals: Sequence[Goal]) -> None:
        self._goals = goals
        self._prints = [goal for goal in goals if goal.output is None]
        self._by_id: dict[Id, list[Goal]] = {}
        self.formulas: dict[Id, Formula] = {}
        for goal in goals:
            for formula in (goal.formula, goal.clamped):
                if formula is not None:
                    self._by_id.setdefault(formula.id, []).append(goal)
                    self.formulas[formula.id] = formula
        self.lacking = set(self.formulas)
        self._known: dict[Id, GoalOutcome] = {}
        self._printed = 0
        self._failures: dict[Id, _Failure] = {}
        self._late: list[Diagnostic] = []

    def take(self, formula: Formula, outcome: GoalOutcome) -> Iterator[Happening]:
        """Does what the goals that wait for a formula ask for; yields what happens. Each formula is taken once."""
        self.lacking.discard(formula.id)
        concerned = self._by_id[formula.id]
        if isinstance(outcome, Broken):
            self._failed(outcome, concerned)
        for goal in concerned:
            if goal.output is None:
                self._known[formula.id] = outcome
            elif isinstance(outcome, Finished) and goal.clamped is not None and formula.id == goal.clamped.id:
                assert isinstance(outcome.value, float)
                if outcome.value:
                    yield Trouble(_clamped(goal, outcome.value))
            elif isinstance(outcome, Finished):
                try:
                    assert isinstance(outcome.value, bytes)
                    images.write(goal.output.path, outcome.value)
                    if goal.beside:
                        images.write(f"{goal.output.path}.json", goal.beside.encode())
                except Refusal as refusal:
                    goal.failed = True
                    self._late.append(refused("output", refusal, goal.output.goal.text.span))
                else:
                    yield Saved(goal.output.path)
        del outcome
        yield from self._in_order()

    def _in_order(self) -> Iterator[Printed]:
        """The prints whose turn has come."""
        prints = self._prints
        while self._printed < len(prints) and (ready := self._known.get(prints[self._printed].formula.id)) is not None:
            if isinstance(ready, Finished):
                goal = prints[self._printed]
                yield Printed(goal.label, _printable(ready.value), goal.number)
            self._printed += 1

    def _failed(self, outcome: Broken, concerned: Sequence[Goal]) -> None:
        cause = outcome.error.task or (WHOLE if outcome.error.kind == "circumstance" else outcome.formula.id)
        failure = self._failures.setdefault(cause, _Failure(outcome.error, outcome.formula))
        for goal in concerned:
            if not goal.failed:
                goal.failed = True
                failure.goals.append(goal)

    def rest(self) -> Iterator[Trouble]:
        """What failed, each root cause once, in the order of the first goal it took."""
        order = {id(goal): n for n, goal in enumerate(self._goals)}
        whole = [failure for failure in self._failures.values() if failure.goals]
        found = sorted(whole, key=lambda failure: min(order[id(goal)] for goal in failure.goals))
        for failure in found:
            said = _failed(failure, sorted(failure.goals, key=lambda goal: order[id(goal)]))
            error = failure.error
            yield Trouble(said, error.kind == "circumstance" and error.type == "TimeoutError")
        for diagnostic in self._late:
            yield Trouble(diagnostic)


@dataclass(frozen=True, slots=True)
class Effort:
    """How far a run goes: seconds for all of it and for each task, whether what failed earlier is tried again, and what
    can cancel it."""

    timeout: float | None = None
    task_timeout: float | None = None
    retry_failed: bool = False
    token: Token | None = None

    def __post_init__(self) -> None:
        # From Python, where the command's 5m would come to this.
        if not isinstance(self.timeout, (int, float, type(None))):
            raise TypeError(f"timeout is a number of seconds, not {self.timeout!r}")


EFFORT = Effort()
"""Without limits, taking stored failures for answers."""


def happenings(
    goals: Sequence[Goal],
    engine: ExecutionEngine,
    watcher: Watcher | None = None,
    effort: Effort = EFFORT,
    behind: Id | None = None,
) -> Iterator[Happening]:
    """Computes the goals and does what they ask for; yields what happens, failures last.

    Leaving the iteration early cancels what runs. `behind` is the claim of another process that does the same.
    """
    ledger = Ledger(goals)
    run = engine.run(
        list(ledger.formulas.values()),
        listen=watcher.event if watcher else None,
        timeout=effort.timeout,
        task_timeout=effort.task_timeout,
        retry_failed=effort.retry_failed,
        token=effort.token,
        behind=behind,
    )
    if watcher:
        watcher.begin(run.counts)
    for formula, outcome in run:
        yield from ledger.take(formula, outcome)
        del outcome
    yield from ledger.rest()


def goals(bound: Bound, checked: Checked, settings: Settings, program: str) -> list[Goal]:
    """The program's goals, in order; `program` is its name, for the files' provenance."""
    found = []
    for number, goal in enumerate(checked.goals):
        if goal.word == "save" and number not in bound.outputs:
            continue  # the run was asked to save nothing
        formula = bound.slots[goal.slot]
        assert formula is not None, "a goal without a formula passed the checker"
        text = settings.replace(goal.text.value)
        made = Goal(formula, f'{goal.word} "{text}"', goal.span, number, label=text)
        output = bound.outputs.get(number)
        if output is not None:
            made.output = output
        if output is not None and lacking(formula) is None:  # of what cannot be had there are no bytes: it fails itself
            origin = provenance(bound, checked, settings, program, formula, _expression(goal))
            made.formula, made.clamped = _encoded(bound, output, formula, origin)
            made.beside = origin + "\n" if output.format in images.WITHOUT_TEXT else ""
        found.append(made)
    return found


def _encoded(bound: Bound, output: Output, formula: Formula, origin: str) -> tuple[Formula, Formula | None]:
    """The formula of a file's bytes and, for eight bits, that of how many values are clamped."""
    table, kind = bound.table, formula.type
    suffix = "mask" if kind is MASK else "model" if kind is MODEL else "image"
    constants = (table.constant(output.format), formula, table.constant(origin))
    encoded = table.apply(operators()[f"encode_{suffix}"], constants, origin=formula.origin)
    clamped = None
    if output.format in EIGHT_BITS and suffix != "mask":
        clamped = table.apply(operators()[f"clamped_{suffix}"], (formula,), origin=formula.origin)
    return encoded, clamped


def provenance(
    bound: Bound, checked: Checked, settings: Settings, program: str, formula: Formula, expression: str
) -> str:
    """What a saved file says of itself, as JSON: the same for the same meaning, so no time, host or directory."""
    parameters = {name: each.literal.value for name, each in checked.parameters.items()} | dict(settings.parameters)
    inputs = {
        each.name: {
            "file": Path(settings.path(each)).name,
            "sha256": leaf.digest.hex(),
        }
        for each, leaf in zip(checked.inputs, bound.leaves, strict=True)
    }
    said = {
        "software": f"VoxLogicA {VERSION}",
        "program": program,
        "expression": expression,
        "id": formula.id.hex(),
        "parameters": parameters,
        "inputs": inputs,
    }
    return json.dumps(said, ensure_ascii=False)


def _expression(goal: GoalSlot) -> str:
    """What is saved, as it is written."""
    return goal.span.source.text[goal.text.span.end : goal.span.end].strip()


def _clamped(goal: Goal, count: float) -> Diagnostic:
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


def _failed(failure: _Failure, goals: Sequence[Goal]) -> Diagnostic:
    """One root cause: what is wrong, where, through which calls, and what is not done because of it."""
    error, origin = failure.error, failure.formula.origin
    undone = f"not done: {', '.join(goal.words for goal in goals)}"
    span, chain = (origin.span, origin.chain) if origin is not None else (goals[0].span, ())
    if error.kind == "circumstance" and error.task is None:  # of no task, so its place would say nothing
        return Diagnostic("machine", error.message, details=(undone,), help=error.help)
    if failure.formula.operator is None:  # a file that was right when it was bound
        return Diagnostic("input", error.message, span, details=(*error.details, undone), help=error.help)
    first = goals[0]
    if failure.formula.operator.result is BYTES and first.output is not None and not error.traceback:
        at = first.output.goal.text.span
        return Diagnostic("output", f"{first.output.text} cannot be written: {error.message}", at, help=error.help)
    if error.type == "MemoryError":
        help = "give it less to do at once with   --jobs 1   or run it on a machine with more memory"
        message = f"there is not enough memory for `{failure.formula.label}`"
        return Diagnostic("machine", message, span, chain=chain, details=(error.message, undone), help=help)
    if error.kind == "circumstance":
        help = error.help or "when the cause is gone, run again: what has been stored is kept"
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
    import traceback

    lines = "".join(traceback.format_exception(error)).rstrip().splitlines()
    return Diagnostic("internal", f"{type(error).__name__}: {error}", details=tuple(lines), help=BUG)
