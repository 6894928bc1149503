"""What the catalogue keeps beside outcomes: formulas, the memo of files, runs, lasting pins. Opaque here."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import apsw

from voxlogica._dataclass import NamedTuple, asdict, dataclass, field
from voxlogica.identity import Id
from voxlogica.storage.catalogue import Catalogue, as_json
from voxlogica.storage.interface import TaskError


class FormulaRow(NamedTuple):
    """A formula, taken apart: enough to show how a value came about, not to compute it again."""

    id: Id
    operator: str
    version: int
    space: Id | None
    arguments: tuple[Id, ...]
    parameters: bytes


class Stamp(NamedTuple):
    """By what a file that has not been changed is recognised: place, size and times, as `stat` gives them."""

    path: str
    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int


class Memo(NamedTuple):
    """What is known of a file: the digest of its bytes, the header as its reader wrote it, whether it was verified."""

    digest: bytes
    header: str
    verified: bool


@dataclass(frozen=True, slots=True)
class RunRow:
    """One execution of a program: its path, its settings, its goals by name, when it was begun.

    A study is of another kind than `run`, says `about` itself what was asked for, and has `StudyRow`s, not goals.
    """

    number: int
    program: str
    settings: Mapping[str, object]
    goals: Mapping[str, Id]
    started: float
    kind: str = "run"
    about: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StudyRow:
    """What became of one case of a study: its place, settings, an outcome in its own words, its formulas by name."""

    place: int
    name: str
    settings: Mapping[str, object]
    outcome: Mapping[str, object]
    ids: Mapping[str, Id]


class Records:
    """Rows of formulas, inputs, runs and pins. Writing raises StoreFull.

    `process` is the token of the process that writes; `living` are those of all that have the store open.
    """

    def __init__(self, catalogue: Catalogue, process: str, living: Callable[[], frozenset[str]]) -> None:
        self._catalogue, self.process, self.living = catalogue, process, living

    # Formulas

    def add_formulas(self, formulas: Iterable[FormulaRow]) -> None:
        """Notes formulas; those that are known already are left as they are."""
        rows = [(*f[:4], b"".join(f.arguments), f.parameters) for f in formulas]
        sql = "insert or ignore into formulas values (?, ?, ?, ?, ?, ?)"
        self._catalogue.write(lambda cursor: cursor.executemany(sql, rows))

    def formula(self, id: Id) -> FormulaRow | None:
        """A formula that was noted."""
        for row in self._catalogue.read("select * from formulas where id = ?", (id,)):
            return FormulaRow(row[0], row[1], row[2], row[3], split(row[4]), row[5])
        return None

    # The memo of files

    def remember(self, file: Stamp, memo: Memo) -> None:
        """Notes a file's digest."""
        sql = "insert or replace into inputs values (?, ?, ?, ?, ?, ?, ?, ?, ?)"
        self._catalogue.write(lambda cursor: cursor.execute(sql, (*file, *memo)))

    def memo(self, file: Stamp) -> Memo | None:
        """What is known of a file, if it has not been changed since."""
        sql = (
            "select digest, header, verified from inputs where path = ? and device = ? and inode = ?"
            " and size = ? and mtime_ns = ? and ctime_ns = ?"
        )
        for digest, header, verified in self._catalogue.read(sql, file):
            return Memo(digest, header, bool(verified))
        return None

    def paths(self, digest: bytes) -> list[str]:
        """Where a file with these bytes was seen."""
        rows = self._catalogue.read("select path from inputs where digest = ? order by path", (digest,))
        return [path for (path,) in rows]

    # What all agree on

    def said(self, name: str) -> str | None:
        """The text that was noted under a name."""
        rows = self._catalogue.read("select value from facts where name = ?", (f"agreed {name}",))
        return str(rows[0][0]) if rows else None

    def say_first(self, name: str, text: str) -> str:
        """Notes a text under a name that has none; the text that it has then. Raises StoreFull."""

        def note(cursor: apsw.Cursor) -> None:
            cursor.execute("insert or ignore into facts values (?, ?)", (f"agreed {name}", text))

        self._catalogue.write(note)
        found = self.said(name)
        assert found is not None
        return found

    # Runs

    def add_run(
        self,
        program: str,
        settings: Mapping[str, object],
        goals: Mapping[str, Id],
        started: float,
        kind: str = "run",
        about: Mapping[str, object] | None = None,
    ) -> int:
        """Notes a run and returns its number."""
        row = (program, _settings(settings), started, kind, as_json(dict(about or {})))

        def insert(cursor: apsw.Cursor) -> int:
            execute = cursor.execute
            sql = "insert into runs (program, settings, started, kind, about) values (?, ?, ?, ?, ?) returning number"
            number: Any = execute(sql, row).fetchall()[0][0]
            for place, (name, id) in enumerate(goals.items()):
                execute("insert into goals values (?, ?, ?, ?)", (number, place, name, id))
            return int(number)

        return int(self._catalogue.write(insert))

    def note_about(self, run: int, name: str, value: str) -> None:
        """Notes something more about a run."""
        sql = "update runs set about = json_set(about, ?, ?) where number = ?"
        self._catalogue.write(lambda cursor: cursor.execute(sql, (f"$.{name}", value, run)))

    def runs(self, limit: int = 100) -> list[RunRow]:
        """The latest runs, latest first."""
        return self._runs("order by number desc limit ?", (limit,))

    def latest(self, program: str, settings: Mapping[str, object]) -> RunRow | None:
        """The latest run of a program with these settings, studies aside."""
        where = "where program = ? and settings = ? and kind = 'run' order by number desc limit 1"
        return next(iter(self._runs(where, (program, _settings(settings)))), None)

    def latest_of(self, program: str) -> RunRow | None:
        """The latest run of a program, whatever its settings, studies aside."""
        where = "where program = ? and kind = 'run' order by number desc limit 1"
        return next(iter(self._runs(where, (program,))), None)

    def run_count(self) -> int:
        """How many runs there are."""
        [(count,)] = self._catalogue.read("select count(*) from runs")
        return int(count)

    def run(self, number: int) -> RunRow | None:
        """A run by its number."""
        return next(iter(self._runs("where number = ?", (number,))), None)

    def _runs(self, rest: str, parameters: tuple[object, ...]) -> list[RunRow]:
        found = []
        columns = "number, program, settings, started, kind, about"
        for row in self._catalogue.read(f"select {columns} from runs {rest}", parameters):
            number, program, settings, started, kind, about = row
            sql = "select name, id from goals where run = ? order by place"
            goals: dict[str, Id] = dict(self._catalogue.read(sql, (number,)))
            found.append(RunRow(number, program, json.loads(settings), goals, started, kind, json.loads(about)))
        return found

    # Studies

    def add_study_row(self, run: int, row: StudyRow) -> None:
        """Notes what became of a case; what was noted of the same place is replaced."""
        names = json.dumps(list(row.ids), ensure_ascii=False)
        values = (row.place, row.name, as_json(dict(row.settings)), as_json(dict(row.outcome)))
        ids = b"".join(row.ids.values())

        def insert(cursor: apsw.Cursor) -> None:
            execute = cursor.execute
            execute("insert or ignore into names (names) values (?)", (names,))
            sql = "insert or replace into studies select ?, ?, ?, ?, ?, number, ? from names where names = ?"
            execute(sql, (run, *values, ids, names))

        self._catalogue.write(insert)

    def study_rows(self, run: int) -> list[StudyRow]:
        """The rows of a study, by place."""
        sql = (
            "select place, name, settings, outcome, names.names, ids from studies"
            " join names on names.number = studies.names where run = ? order by place"
        )
        return [
            StudyRow(
                place, name, json.loads(settings), json.loads(outcome),
                dict(zip(json.loads(names), split(ids), strict=True)),
            )
            for place, name, settings, outcome, names, ids in self._catalogue.read(sql, (run,))
        ]  # fmt: skip

    def study_tally(self, run: int, member: str) -> tuple[int, int]:
        """How many rows a study has, and in how many a member of the outcome is there and not empty."""
        sql = "select count(*), count(nullif(json_extract(outcome, ?), '')) from studies where run = ?"
        ((rows, having),) = self._catalogue.read(sql, (f"$.{member}", run))
        return rows, having

    # Lasting pins

    def keep(self, name: str, ids: Iterable[Id]) -> None:
        """Has these never collected, until `let_go(name)`."""
        rows = [(name, id) for id in ids]
        self._catalogue.write(lambda cursor: cursor.executemany("insert or ignore into pins values (?, ?)", rows))

    def let_go(self, name: str, ids: Iterable[Id] | None = None) -> int:
        """Ends the pins of a name, or only those of these; how many there were."""
        rows = None if ids is None else [(name, id) for id in ids]

        def delete(cursor: apsw.Cursor) -> int:
            before = cursor.connection.total_changes()
            if rows is None:
                cursor.execute("delete from pins where name = ?", (name,))
            else:
                cursor.executemany("delete from pins where name = ? and id = ?", rows)
            return cursor.connection.total_changes() - before

        return int(self._catalogue.write(delete))

    def kept(self) -> dict[str, tuple[Id, ...]]:
        """All lasting pins, by name."""
        found: dict[str, tuple[Id, ...]] = {}
        for name, id in self._catalogue.read("select name, id from pins order by name, id"):
            found[name] = (*found.get(name, ()), id)
        return found


def split(ids: bytes) -> tuple[Id, ...]:
    """Ids that were written one after the other."""
    return tuple([Id(ids[at : at + 32]) for at in range(0, len(ids), 32)])


def _settings(settings: Mapping[str, object]) -> str:
    return as_json(dict(sorted(settings.items())))


def failure_to_json(error: TaskError) -> str:
    """A failure as the catalogue keeps it."""
    fields = asdict(error)
    fields["task"] = error.task.hex() if error.task is not None else None
    return as_json(fields)


def failure_from_json(text: str) -> TaskError:
    """The failure that was kept."""
    fields = json.loads(text)
    fields["task"] = Id(bytes.fromhex(fields["task"])) if fields["task"] is not None else None
    fields["details"] = tuple(fields["details"])
    fields["limits"] = tuple((name, value) for name, value in fields["limits"])
    return TaskError(**fields)
