"""A program over cases and cells: rows as they finish, one engine for all, and a record in the store of what came out.

A case is bound and reduced when its turn comes, and forgotten when its rows are made, so that memory does not depend on
how many there are. The cells of a case are one run of the engine: what they share is computed once, store or no store.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from voxlogica._dataclass import dataclass, field, replace
from voxlogica.check import Checked
from voxlogica.errors import Diagnostic, InputError, ProgramError, VoxLogicAError, in_python, render
from voxlogica.execution.engine import GoalOutcome
from voxlogica.execution.engine import Run as EngineRun
from voxlogica.execution.messages import Event
from voxlogica.formula import Formula
from voxlogica.identity import Id
from voxlogica.session import store as stores
from voxlogica.session.binding import Options, Shared
from voxlogica.session.live import Live, notebook
from voxlogica.session.progress import StudyProgress
from voxlogica.session.running import EFFORT, Effort, Ledger, Printed, Saved, Trouble
from voxlogica.session.settings import Given, Scalar, program_names, settable, within
from voxlogica.storage import StoreFull
from voxlogica.storage.records import StudyRow
from voxlogica.study import axes as sweeps
from voxlogica.study.axes import Axis
from voxlogica.study.cases import ONLY, Case, Cases
from voxlogica.study.fit import Fit, Needs, Setting
from voxlogica.study.heatmaps import HeatMap, heat_map
from voxlogica.study.rows import Row, Table
from voxlogica.study.window import Window
from voxlogica.values import Printable, columns, counted, shown

if TYPE_CHECKING:
    from voxlogica.session import Program
    from voxlogica.session.runs import Prepared, Run

Progress = Callable[[int, int, Row], None]
"""Who wants to be told how many rows there are, of how many, and the latest."""


@dataclass
class _Cell:
    """A cell of a case while it is computed."""

    place: int
    parameters: Mapping[str, Scalar]
    setting: Setting
    run: Run
    ledger: Ledger
    values: dict[str, Printable] = field(default_factory=dict)
    saved: list[str] = field(default_factory=list)
    troubles: list[Diagnostic] = field(default_factory=list)


class Study:
    """A program over many cases and, in a sweep, over all choices of some parameters.

    Iterating yields rows as they finish; a second iteration yields them again. Everything else waits for the whole.
    What fails in a case is in its row, and stops no other. `number` is its number in the store's history.
    """

    def __init__(
        self,
        program: Program,
        cases: Cases,
        axes: Sequence[Axis] = (),
        *,
        given: Sequence[Given] = (),
        options: Options | None = None,
        save: bool = False,
        jobs: int | None = None,
        effort: Effort = EFFORT,
        listen: Callable[[Event], None] | None = None,
        progress: Progress | bool = True,
        said: Callable[[Diagnostic], Diagnostic] = in_python,
    ) -> None:
        """`jobs` are the cases in hand at once; kernels that run at once are the session's. `given` is for all cases.

        Files are saved only on request: relative paths go under `options.output_dir`, the case's name, and what the
        cell sets. The timeout of `effort` is that of a case. `listen` is called with what happens to tasks, from one
        thread at a time. A notebook shows how far it is, unless `progress` is false, or a function that is told of each
        row instead. `said` makes diagnostics in rows speak to who reads them. Raises `ProgramError` for all that is
        wrong whatever the case, `InputError` for a file that no case has.
        """
        if jobs is not None and jobs < 1:
            raise ValueError(f"jobs is the number of cases in hand at once, at least 1, not {jobs}")
        self.program, self.cases = program, cases
        self.options = options or Options(jobs=1)
        self.axes = tuple(_typed(program, axis) for axis in _distinct(axes, given))
        self._labels = _labels(program.checked)
        self.measures = tuple(_measures(program.checked, self._labels))
        self.total = len(cases) * sweeps.count(self.axes)
        self.number: int | None = None
        self._given, self._save, self._effort = tuple(given), save, effort
        self._told = progress if callable(progress) else None
        self._shows, self._said = progress is True, said
        self._progress: StudyProgress | None = None
        self._listeners = [listen] if listen is not None else []
        self._listening = Lock()
        fixed = {each.name: each.shown for each in given} | {axis.name: f"-p {axis.name}=…" for axis in self.axes}
        fixed |= {name: f"{name}={path}" for name, path in program.files.items()}
        self._fit = Fit(_needs(program), cases, fixed)
        self._written: dict[str, str] = {}  # paths, and whose they are
        self._active: set[EngineRun] = set()
        self._stopped = False
        self._lock = Lock()  # guards the three above
        self._taking = Lock()  # one at a time asks the window for a row
        self._rows: list[Row] = []
        self._check_settings()
        width = jobs or program.session.jobs + 1  # one more than kernels: files are looked at while others compute
        self._window = Window(enumerate(cases), self._case, width, self._cancel)
        self._coming = iter(self._window)
        self._begun = False

    def __repr__(self) -> str:
        cases = counted(len(self.cases), "case")
        return f"<Study of {self.program.source.name}: {cases}, {len(self._rows)} of {self.total} rows>"

    def _check_settings(self) -> None:
        """Finds what is wrong whatever the case, by the first that is whole."""
        cell = next(iter(sweeps.cells(self.axes)), {})
        for case in self.cases:
            if not self._fit.lacking(case):
                try:
                    self._check_alike(self._settled(case, cell)[0])
                except ProgramError as error:  # a column that sets nothing may be why something has no value
                    raise ProgramError(*error.diagnostics, *self.warnings) from error
                return

    def _check_alike(self, prepared: Prepared) -> None:
        """Refuses a program one of whose inputs is lacking in all cases: said once, and not in each row."""
        kinds = dict.fromkeys(name for case in self.cases for name in case.files if name)
        has = ", ".join([*kinds, *self.cases.columns])
        found = []
        for each in self.program.checked.inputs:
            path = prepared.settings.path(each)
            if each.name in self._fit.alike and path not in self.program.held and not Path(path).exists():
                found.append(
                    Diagnostic(
                        "input", f"no case sets `{each.name}`, and there is no file {path}", each.path.span,
                        details=(f"the cases of {self.cases.text} have {has}",) if has else (),
                        help="an input is set by what is called as it is: a pattern, a column or a BIDS suffix",
                    )
                )  # fmt: skip
        if found:
            raise InputError(*found)

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """What is suspicious in how the cases fit the program, and does not keep it from running."""
        return self._fit.warnings

    # Rows

    def __iter__(self) -> Iterator[Row]:
        at = 0
        with self._live():
            while at < len(self._rows) or self._advance(at):
                yield self._rows[at]
                at += 1

    def _live(self) -> AbstractContextManager[object]:
        """What shows in a notebook how far the study is, unless nothing is to be waited for."""
        shell = notebook() if self._shows and len(self._rows) < self.total else None
        if shell is None:
            return nullcontext()
        return Live(shell, self.follow())

    def follow(self) -> StudyProgress:
        """How far the study is, from now on; what runs is known to who asks before the first row is there."""
        if self._progress is None:
            cases = 0 if self.cases is ONLY else len(self.cases)
            self._progress = StudyProgress(self.program.source.name, cases, self.total)
            for row in self._rows:
                self._progress.row(row)
            self._listeners.append(self._progress.event)
        return self._progress

    def _advance(self, at: int) -> bool:
        """Waits until there is a row of this number, the first not seen; False when there is none any more."""
        with self._taking:
            if at < len(self._rows):
                return True
            if not self._begun:
                self._begun = True
                self._note()
            try:
                row = next(self._coming, None)
            except KeyboardInterrupt:
                self.program.session.ended(self.number, "interrupted")
                raise
            if row is None:
                return False
            self._rows.append(row)
            if len(self._rows) == self.total:
                self.program.session.ended(self.number, "done")
            if self._progress is not None:
                self._progress.row(row)
            if self._told is not None:
                self._told(len(self._rows), self.total, row)
            return True

    async def __aiter__(self) -> AsyncIterator[Row]:
        import asyncio

        at = 0
        with self._live():
            while at < len(self._rows) or await asyncio.to_thread(self._advance, at):
                yield self._rows[at]
                at += 1

    def close(self) -> None:
        """Begins nothing more, and cancels what runs; what is stored is kept."""
        self._window.close()
        if len(self._rows) < self.total:
            self.program.session.ended(self.number, "interrupted")

    def __enter__(self) -> Study:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def so_far(self) -> Table:
        """The rows that are finished."""
        return Table.of(self._rows, [axis.name for axis in self.axes], self.measures)

    def table(self) -> Table:
        """All rows, when they are finished, in the order of cases and cells."""
        for _ in self:
            pass
        return self.so_far

    def __len__(self) -> int:
        return self.total

    def heatmap(self, measure: str) -> HeatMap:
        """The mean of a measure over cases, for each cell of a sweep. Raises `ProgramError`."""
        return heat_map(self.table(), self.axes, measure)

    def best(self, measure: str, *, lowest: bool | None = None) -> dict[str, Scalar]:
        """The parameters with the best mean of a measure: the highest, or of a distance such as `hd95` the lowest,
        unless `lowest` says which. Raises `ProgramError`."""
        cell = self.heatmap(measure).best(lowest)
        if cell is None:
            raise ProgramError.of("usage", f"no case has a `{measure}` that is a number")
        return {axis.name: value for axis, value in zip(self.axes, cell, strict=True)}

    def records(self) -> list[dict[str, Printable | None]]:
        """The table as plain records."""
        return self.table().records()

    def to_pandas(self) -> Any:
        """The table as a data frame of pandas. Raises `ProgramError` when that is not installed."""
        return self.table().to_pandas()

    def to_polars(self) -> Any:
        """The table as a data frame of polars. Raises `ProgramError` when that is not installed."""
        return self.table().to_polars()

    def report(self, path: str | Path, *, over: str = "", masks: Sequence[str] = (), pictures: int = 40) -> Path:
        """Writes the study as one self-contained page; see `reports.report`. Raises `ProgramError` without a store."""
        from voxlogica.session.history import recorded
        from voxlogica.session.reports import report, write

        self.table()
        run = recorded(self.program.session, f"r{self.number or ''}", self.program)
        return write(Path(path), report(run, over=over, masks=masks, pictures=pictures))

    def _repr_html_(self) -> str:
        """The table and, of a sweep, a heat map for each measure that is a number."""
        table = self.table()
        maps = [heat_map(table, self.axes, measure)._repr_html_() for measure in table.numeric] if self.axes else []
        beside = "".join(f"<div>{each}</div>" for each in maps)
        return f'{table.html()}<div style="display: flex; flex-wrap: wrap; gap: 0 2em">{beside}</div>'

    # What a case does to the program, nothing opened yet

    def lacking(self, case: Case) -> list[str]:
        """What keeps a case from running, in words."""
        return self._fit.lacking(case)

    def sets(self, case: Case) -> dict[str, str]:
        """The `$NAME`s and parameters that a case sets."""
        return dict(self._fit.setting(case).values)

    def loads(self, case: Case) -> dict[str, str]:
        """The path of each input for a case; those that are not known without it are left out."""
        settings = self._settled(case, next(iter(sweeps.cells(self.axes))))[0].settings
        inputs = self.program.checked.inputs
        return {each.name: settings.path(each) for each in inputs if settings.files.get(each.name) != ""}

    # One case, in a thread of the window

    def _case(self, item: tuple[int, Case]) -> Iterator[Row]:
        number, case = item
        cells = list(sweeps.cells(self.axes))
        shared, bound = Shared(), []
        for n, parameters in enumerate(cells):
            place, start = number * len(cells) + n, time.monotonic()
            try:
                bound.append(self._bound(place, case, parameters, shared))
            except VoxLogicAError as error:
                yield self._refused(place, case, parameters, error.diagnostics, time.monotonic() - start)
        if bound:
            yield from self._computed(case, bound)

    def _settled(self, case: Case, parameters: Mapping[str, Scalar]) -> tuple[Prepared, Setting]:
        """The program with what all cases, this one and the cell set; raises `ProgramError`."""
        own_files = self._fit.setting(case)
        setting = Setting(own_files.values, {**self.program.files, **own_files.files})
        swept = [Given(name, value, f"-p {name}={shown(value)}") for name, value in parameters.items()]
        own = [
            Given(name, value, f"{name}={value}") for name, value in setting.values.items() if name not in parameters
        ]
        options = self.options
        if options.output_dir is not None:
            cell = ",".join(f"{name}={shown(value)}" for name, value in parameters.items())
            options = replace(options, output_dir=options.output_dir / case.name / cell.replace("/", "_"))
        return self.program.settle([*self._given, *own, *swept], options, setting.files, self._save), setting

    def _bound(self, place: int, case: Case, parameters: Mapping[str, Scalar], shared: Shared) -> _Cell:
        from voxlogica.session import Run

        lacking = self._fit.lacking(case)
        if lacking:
            raise InputError(*(Diagnostic("input", said) for said in lacking))
        prepared, setting = self._settled(case, parameters)
        run = Run(prepared, prepared.bind(shared))
        self._check_written(case, place, run)
        run.note_formulas()
        return _Cell(place, parameters, setting, run, Ledger(run.goals))

    def _check_written(self, case: Case, place: int, run: Run) -> None:
        """Two rows never write the same file: the later one is refused."""
        whose = f"{case.name} (row {place + 1})"
        with self._lock:
            for output in run.bound.outputs.values():
                path = os.path.realpath(output.path)
                if self._written.setdefault(path, whose) != whose:
                    help = "use a relative path, which goes under --output-dir, or a $NAME that tells cases apart"
                    message = f"{output.text} is written for {self._written[path]} too"
                    raise ProgramError.of("output", message, output.goal.text.span, help=help)

    def _computed(self, case: Case, cells: Sequence[_Cell]) -> Iterator[Row]:
        """The rows of the cells, each as soon as its goals are known."""
        waiting: dict[Id, list[_Cell]] = {}
        formulas: dict[Id, Formula] = {}
        for cell in cells:
            formulas |= cell.ledger.formulas
            for id in cell.ledger.formulas:
                waiting.setdefault(id, []).append(cell)
        effort = self._effort
        constants = {id for id, formula in formulas.items() if formula.operator is None and formula.file is None}
        stored = constants | self.program.session.storage.known(list(formulas)).keys()
        run = self.program.session.engine.run(
            list(formulas.values()), listen=self._listen if self._listeners else None, timeout=effort.timeout,
            task_timeout=effort.task_timeout, retry_failed=effort.retry_failed, rank=cells[0].place,
        )  # fmt: skip
        try:
            with self._lock:
                self._active.add(run)
                if self._stopped:
                    return
            since = time.monotonic()
            for cell in cells:
                if not cell.ledger.lacking:
                    yield self._row(case, cell, 0.0, True)
            for formula, outcome in run:
                for cell in waiting[formula.id]:
                    self._take(cell, formula, outcome)
                    if not cell.ledger.lacking:
                        now, reused = time.monotonic(), cell.ledger.formulas.keys() <= stored
                        yield self._row(case, cell, now - since, reused)
                        since = now
                del outcome
        finally:
            run.cancel()
            with self._lock:
                self._active.discard(run)

    def _take(self, cell: _Cell, formula: Formula, outcome: GoalOutcome) -> None:
        for each in cell.ledger.take(formula, outcome):
            match each:
                case Printed(_, value, number):
                    cell.values |= columns(self._labels[number], value)
                case Saved(path):
                    cell.saved.append(str(path))
                case Trouble(diagnostic):
                    cell.troubles.append(diagnostic)

    def _row(self, case: Case, cell: _Cell, seconds: float, reused: bool) -> Row:
        rest = list(cell.ledger.rest())
        for each in rest:
            self.program.session.note(each)
        troubles = [*cell.run.bound.warnings, *cell.troubles, *(each.diagnostic for each in rest)]
        row = _made(
            cell.place, case, cell.parameters, cell.values, list(map(self._said, troubles)), seconds, reused, cell.saved
        )
        self._record(row, cell.setting, {name: formula.id for name, formula in cell.run.names.items()})
        return row

    def _refused(
        self, place: int, case: Case, parameters: Mapping[str, Scalar], said: Sequence[Diagnostic], seconds: float
    ) -> Row:
        """The row of a case that could not be begun."""
        row = _made(place, case, parameters, {}, list(map(self._said, said)), seconds, False, ())
        self._record(row, self._fit.setting(case), {})
        return row

    def _listen(self, event: Event) -> None:
        with self._listening:
            for listener in self._listeners:
                listener(event)

    def _cancel(self) -> None:
        with self._lock:
            self._stopped = True
            active = list(self._active)
        for run in active:
            run.cancel()

    # The record

    def _note(self) -> None:
        records = self.program.session.records
        if records is None:
            return
        about = {
            "cases": self.cases.text, "count": len(self.cases), "measures": list(self.measures),
            "axes": [[axis.name, list(axis.values)] for axis in self.axes], "text": self.program.source.text,
            "directory": str(Path.cwd()),
        }  # fmt: skip
        settings = {each.name: each.value for each in self._given}
        kind = "sweep" if self.axes else "batch"
        self.number = stores.note(records, self.program.key, settings, {}, time.time(), kind, about)
        self.program.session.begun(self.number)

    def _record(self, row: Row, setting: Setting, ids: Mapping[str, Id]) -> None:
        records = self.program.session.records
        if records is None or self.number is None:
            return
        settings = {"values": dict(setting.values), "files": dict(setting.files), "cell": dict(row.parameters)}
        outcome = {
            "values": dict(row.values), "error": row.error, "trouble": row.trouble, "seconds": row.seconds,
            "reused": row.reused, "saved": list(row.saved),
        }  # fmt: skip
        with suppress(StoreFull):
            records.add_study_row(self.number, StudyRow(row.place, row.case, settings, outcome, ids))


def _made(
    place: int,
    case: Case,
    parameters: Mapping[str, Scalar],
    values: Mapping[str, Printable],
    said: Sequence[Diagnostic],
    seconds: float,
    reused: bool,
    saved: Sequence[str],
) -> Row:
    errors = [diagnostic for diagnostic in said if diagnostic.severity == "error"]
    error = errors[0].message if errors else ""
    trouble = "\n\n".join(map(render, said))
    return Row(place, case.name, parameters, values, error, trouble, seconds, reused, tuple(saved))


def _needs(program: Program) -> Needs:
    checked = program.checked
    fixed = program_names(program.path)
    inputs = {
        each.name: frozenset(
            name.name for name in checked.names if each.name not in program.files and within(name.span, each.path.span)
        )
        for each in checked.inputs
    }
    names = frozenset(each.name for each in checked.names if each.name not in fixed)
    return Needs(inputs, names, frozenset(checked.parameters))


def _measures(checked: Checked, labels: Mapping[int, str]) -> Iterator[str]:
    """The columns of the table: labels, and where records are printed each with the names of their fields."""
    stack = [(labels[number], checked.goals[number].type) for number in reversed(list(labels))]
    while stack:
        label, kind = stack.pop()
        while kind.element is not None:
            kind = kind.element
        if kind.fields is None:
            yield label
        else:
            stack += [(f"{label}.{name}", each) for name, each in reversed(list(kind.fields.items()))]


def _labels(checked: Checked) -> dict[int, str]:
    """The labels by the number of their goal, as the program has them, told apart if need be."""
    found: dict[int, str] = {}
    for number, goal in enumerate(checked.goals):
        if goal.word == "print":
            label, again = goal.text.value, 2
            while label in found.values():
                label, again = f"{goal.text.value} ({again})", again + 1
            found[number] = label
    return found


def _distinct(axes: Sequence[Axis], given: Sequence[Given]) -> Sequence[Axis]:
    names = [axis.name for axis in axes]
    for name in names:
        if names.count(name) > 1 or any(each.name == name for each in given):
            raise ProgramError.of(
                "usage", f"`{name}` is given values twice", help="one -p, or one --set, for each name"
            )
    return axes


def _typed(program: Program, axis: Axis) -> Axis:
    """The axis with its values as those of the literal it replaces; raises `ProgramError`."""
    found: list[Scalar] = []
    for value in axis.values:
        given = Given(axis.name, value, f"-p {axis.name}={shown(value)}")
        parameters, names = settable(program.checked, program.syntax, program.path, [given])
        found.append({**names, **parameters}[axis.name])
    if len(set(found)) < max(1, len(found)):
        message = f"`{axis.name}` is to take {'one value twice' if found else 'several values, and none is given'}"
        raise ProgramError.of("usage", message)
    return Axis(axis.name, tuple(found))
