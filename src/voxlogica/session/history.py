"""Runs of the past, from the store: what was asked for, what came out, and the values behind the names.

A value that is no longer stored, or was too cheap to be, is computed again if the recorded program on the recorded
files still means the same: its id says so.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from functools import cached_property
from math import prod
from pathlib import Path

from voxlogica._dataclass import dataclass
from voxlogica.check import read_text
from voxlogica.errors import Diagnostic, ProgramError, Source, VoxLogicAError
from voxlogica.execution.engine import Finished
from voxlogica.formula import MASK, Formula
from voxlogica.identity import Id
from voxlogica.session import Given, Options, Program, Run, Session
from voxlogica.session.settings import program_names
from voxlogica.session.store import CONSTANT, LEAF, constant
from voxlogica.storage import Done, Missing
from voxlogica.storage.records import Records, RunRow, StudyRow
from voxlogica.study.axes import Axis
from voxlogica.study.diff import Definition, Masks, Node, Number, definitions, numbers, pairs, title
from voxlogica.study.rows import Row, Table
from voxlogica.values import Mask, Printable, Record, Value, columns

_PRINT = re.compile(r'print "(.*)"', re.DOTALL)


@dataclass(frozen=True)
class Recorded:
    """A run or study as the store remembers it."""

    session: Session
    run: RunRow
    table: Table
    rows: Mapping[int, StudyRow]
    axes: tuple[Axis, ...]
    live: Program | None = None  # of a run of this process, with the images that it was given

    @property
    def name(self) -> str:
        """How people call it: `r14`."""
        return f"r{self.run.number}"

    @property
    def when(self) -> str:
        """When it was begun."""
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.run.started))

    @property
    def program(self) -> Program | None:
        """The program as it was, or, of a single run, as it is now; None when it is right no more."""
        return self._reading[0]

    @property
    def wrong(self) -> Diagnostic | None:
        """Why there is no `program` any more."""
        return self._reading[1]

    @cached_property
    def _reading(self) -> tuple[Program | None, Diagnostic | None]:
        if self.live is not None:
            return self.live, None
        path: Path | None = Path(self.run.program)
        text = self.run.about.get("text")
        try:
            if not isinstance(text, str):
                assert path is not None
                text = read_text(path, self.run.program, "usage") if path.is_file() else ""
            path = path if path is not None and path.is_file() else None
            return Program(self.session, Source(Path(self.run.program).name, text), path, None, ()), None
        except VoxLogicAError as error:
            return None, error.diagnostics[0]

    def value(self, row: Row, name: str) -> Value | None:
        """What a name stands for in a row; None when it cannot be known any more."""
        ids = self.rows[row.place].ids
        if name not in ids:
            return None
        outcome = self.session.storage.lookup(ids[name])
        if isinstance(outcome, Done):
            try:
                return outcome.ref.open()
            except Missing:
                pass
        return self._again(row, ids[name])

    def _again(self, row: Row, id: Id) -> Value | None:
        formula = self._formulas(row.place).get(id)
        if formula is None:
            return None
        for _, outcome in self.session.engine.run([formula]):
            value = outcome.value if isinstance(outcome, Finished) else None
            return None if isinstance(value, tuple) else value
        return None

    def _formulas(self, place: int) -> Mapping[Id, Formula]:
        """The formulas of a row by id, bound anew."""
        settings, program = self.rows[place].settings, self.program
        if program is None:
            return {}
        values = {**self.run.settings, **_dict(settings.get("values")), **_dict(settings.get("cell"))}
        files = {name: str(path) for name, path in _dict(settings.get("files")).items()}
        if self.run.kind == "run":
            files = {name: str(path) for name, path in values.items() if name in program.inputs}
            values = {name: value for name, value in values.items() if name not in {*files, *program_names(None)}}
        given = [Given(name, value, name) for name, value in values.items() if isinstance(value, (bool, float, str))]
        try:
            prepared = program.settle(given, Options(), files, save=False)
            run = Run(prepared, prepared.bind())
        except VoxLogicAError:
            return {}
        return {formula.id: formula for formula in run.names.values()}

    @property
    def masks(self) -> tuple[str, ...]:
        """The masks worth showing: those that are saved, else the last that are defined; the last first."""
        if self.program is None:
            return ()
        checked = self.program.checked
        saved = {goal.slot for goal in checked.goals if goal.word == "save"}
        all_masks = [name for name, each in checked.definitions.items() if each.type is MASK]
        kept = [name for name in all_masks if checked.definitions[name].slot in saved]
        return tuple(reversed(kept or all_masks[-2:]))


def _dict(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _printable(value: object) -> Printable | None:
    """What a `print` shows, a sequence as JSON keeps it made a tuple again; None for anything else."""
    if isinstance(value, Record):
        return value
    if isinstance(value, (list, tuple)):
        return tuple([found for each in value if (found := _printable(each)) is not None])
    return value if isinstance(value, (bool, int, float, str)) else None


def recorded(session: Session, name: str, live: Program | None = None) -> Recorded:
    """The run that people call `r14` or `14`; `live` is its program, if it is of this process.

    Raises `ProgramError` when there is none.
    """
    records, number = _records(session), name.removeprefix("r")
    run = records.run(int(number)) if number.isdecimal() else None
    if run is None:
        raise ProgramError.of("usage", f"there is no run {name}", help="`voxlogica runs` shows the latest")
    if run.kind == "run":
        return _single(session, run, live)
    rows = {row.place: row for row in records.study_rows(run.number)}
    axes = tuple(Axis(name, tuple(values)) for name, values in run.about["axes"])  # type: ignore[attr-defined]
    table = Table.of(map(_row, rows.values()), [axis.name for axis in axes], run.about["measures"])  # type: ignore[arg-type]
    return Recorded(session, run, table, rows, axes, live)


def runs(session: Session, most: int) -> list[RunRow]:
    """The latest runs, latest first."""
    return _records(session).runs(most)


def state(session: Session, run: RunRow) -> str:
    """What became of a run: `done`, `failed`, `interrupted`, or that it is `running` or was `killed`.

    Of a study `done` says that all rows are there, whatever is in them, and `running` that there may be more.
    """
    ended, process = run.about.get("ended"), run.about.get("process")
    return str(ended) if ended else "running" if process in _records(session).living() else "killed"


def tally(session: Session, run: RunRow) -> tuple[int, int, int]:
    """How many rows a study has by now, how many it should have in the end, and how many of those there are failed."""
    rows, failed = _records(session).study_tally(run.number, "error")
    axes, count = run.about.get("axes"), run.about.get("count")
    assert isinstance(axes, list)
    assert isinstance(count, int)
    return rows, count * prod(len(values) for _, values in axes), failed


def _records(session: Session) -> Records:
    records = session.records
    if records is None:
        raise ProgramError.of("store", "without a store no run is remembered", help="--store DIR")
    return records


def _single(session: Session, run: RunRow, live: Program | None) -> Recorded:
    """A run of one program on one case as a study of one row."""
    values: dict[str, Printable] = {}
    for name, id in run.goals.items():
        match, outcome = _PRINT.fullmatch(name), session.storage.lookup(id)
        if match and isinstance(outcome, Done):
            value = outcome.ref.open()
            if (found := _printable(value)) is not None:
                values |= columns(match[1], found)
    row = StudyRow(0, "", {}, {"values": values}, run.goals)
    return Recorded(session, run, Table.of([_row(row)], (), tuple(values)), {0: row}, (), live)


def _row(row: StudyRow) -> Row:
    said = row.outcome
    values = {
        name: found for name, value in _dict(said.get("values")).items() if (found := _printable(value)) is not None
    }
    return Row(
        row.place, row.name, _dict(row.settings.get("cell")), values,  # type: ignore[arg-type]
        str(said.get("error", "")), str(said.get("trouble", "")), float(said.get("seconds", 0.0)),  # type: ignore[arg-type]
        bool(said.get("reused")), tuple(said.get("saved", ())),  # type: ignore[arg-type]
    )  # fmt: skip


# Differences


@dataclass(frozen=True)
class Difference:
    """What differs between two runs; numbers and masks with the largest change first. False when nothing does."""

    definitions: tuple[Definition, ...]
    numbers: tuple[Number, ...]
    masks: tuple[Masks, ...]

    def __repr__(self) -> str:
        parts = (("definitions", self.definitions), ("numbers", self.numbers), ("masks", self.masks))
        return f"<Difference: {', '.join(f'{len(found)} {name}' for name, found in parts)}>"

    def __bool__(self) -> bool:
        return bool(self.definitions or self.numbers or self.masks)


def difference(before: Recorded, after: Recorded) -> Difference:
    """What differs between two runs, in the rows of the same case and cell."""
    return Difference(
        tuple(changed_definitions(before, after)),
        tuple(numbers(before.table.rows, after.table.rows)),
        tuple(changed_masks(before, after)),
    )


def changed_definitions(before: Recorded, after: Recorded) -> list[Definition]:
    """How definitions differ, by the first row that both have whole."""
    records = _records(after.session)

    def node(id: Id) -> Node | None:
        row = records.formula(id)
        if row is None:
            return None
        if row.operator == CONSTANT:
            return Node("", constant(row), ())
        if row.operator == LEAF:
            paths = [Path(path).name for path in records.paths(row.parameters)]
            return Node("", f"{paths[0] if paths else 'a file'} ({row.parameters.hex()[:8]})", ())
        return Node(f"{row.operator} {row.version}", row.operator, row.arguments)

    for old, new in common_rows(before, after):
        a, b = before.rows[old.place].ids, after.rows[new.place].ids
        if a and b:
            return [each for each in definitions(a, b, node) if ' "' not in each.name]
    return []


def common_rows(before: Recorded, after: Recorded) -> Iterator[tuple[Row, Row]]:
    """Rows of the same case and cell; of two single runs, theirs."""
    if before.run.kind == after.run.kind == "run":
        return iter([(before.table.rows[0], after.table.rows[0])])
    return pairs(before.table.rows, after.table.rows)


def changed_masks(before: Recorded, after: Recorded, names: tuple[str, ...] = ()) -> list[Masks]:
    """The masks that differ, the largest change first: those named, else those that either run would show."""
    wanted = names or tuple(dict.fromkeys((*after.masks, *before.masks)))
    found = []
    for old, new in common_rows(before, after):
        for name in wanted:
            ids = before.rows[old.place].ids.get(name), after.rows[new.place].ids.get(name)
            if None not in ids and ids[0] != ids[1]:
                a, b = before.value(old, name), after.value(new, name)
                if isinstance(a, Mask) and isinstance(b, Mask) and a.space.size == b.space.size:
                    found.append(_compared(title(new), name, a, b))
    return sorted((each for each in found if each.only_before or each.only_after), key=lambda each: -each.change)


def _compared(case: str, name: str, a: Mask, b: Mask) -> Masks:
    from voxlogica.kernels import masks

    one, two, both = (
        masks.count(a.words()),
        masks.count(b.words()),
        masks.count(masks.conjunction(a.words(), b.words())),
    )
    return Masks(case, name, one - both, two - both, both)
