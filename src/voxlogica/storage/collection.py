"""Making room and putting in order: collection, verification, sweeping.

Collection is GreedyDual-Size: each value has the level at which it was last used plus the seconds it takes to compute
again per byte it occupies; the smallest goes first, and the level rises to it. What a value costs includes what has
been collected below it. What is in use (`uses`) is passed by. Row first, then file, each named as it was seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from heapq import heapify, heappop, heappush
from pathlib import Path
from threading import Lock
from time import time
from typing import Any

import apsw

from voxlogica._dataclass import dataclass
from voxlogica.identity import Id
from voxlogica.storage import outcomes as table
from voxlogica.storage.blobs import Blobs, name_of
from voxlogica.storage.catalogue import Catalogue
from voxlogica.storage.codec import checksum, digest
from voxlogica.storage.interface import CleanupReport, StoreFull
from voxlogica.storage.layout import Disk
from voxlogica.storage.locks import ALL, Lockable, Locks, byte_of
from voxlogica.storage.protocol import step
from voxlogica.storage.records import split

_COLLECTOR = ALL + 1  # the byte in `uses` of who collects: one at a time
_ROW = 500  # bytes a row takes beside its value
_BATCH = 100  # values removed in one transaction


@dataclass(frozen=True, slots=True)
class Collected:
    """What a collection removed, and the level it has reached."""

    outcomes: int = 0
    bytes: int = 0
    level: float = 0.0


@dataclass(frozen=True, slots=True)
class Problem:
    """Something a verification found: the id it concerns, and what is wrong in words."""

    id: Id
    what: str


@dataclass(frozen=True, slots=True)
class Verified:
    """What a verification found: how many results it read, and failures beside; what is wrong; if that was removed."""

    outcomes: int
    bytes: int
    catalogue: str
    problems: tuple[Problem, ...]
    repaired: bool

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong."""
        return self.catalogue == "ok" and not self.problems


class Room:
    """How much this process has added since the store was last measured, and what it has used.

    Measuring reads the whole table, so it is done when a part of the limit has been added, by this process and by those
    before it, which leave what they have added as a fact.
    """

    def __init__(self, catalogue: Catalogue, limit: int) -> None:
        self.limit = limit
        self.used: set[Id] = set()
        self._catalogue = catalogue
        self._lock = Lock()
        facts: dict[str, Any] = dict(catalogue.read("select name, value from facts where name in ('level', 'added')"))
        self.level: float = facts.get("level", 0.0)
        self._before: int = facts.get("added", 0)
        self._added = 0

    def exceeded(self, bytes: int) -> bool:
        """Counts a value that was stored; whether the limit is found exceeded, which is looked at now and then."""
        with self._lock:
            self._added += bytes
            if self._before + self._added <= self.limit // 64:
                return False
            self._before = self._added = 0
        self._catalogue.write(lambda cursor: cursor.execute("delete from facts where name = 'added'"))
        [(total,)] = self._catalogue.read("select coalesce(sum(size), 0) from outcomes")
        return bool(total > self.limit)

    def settle(self) -> None:
        """Writes down what was added and used: before a collection, and at the end."""
        with self._lock:
            added, self._added = self._added, 0
            used, self.used = self.used, set()
            self._before += added
        if not added and not used:
            return

        def write(cursor: apsw.Cursor) -> None:
            cursor.execute(
                "insert into facts values ('added', ?) on conflict (name) do update set value = value + excluded.value",
                (added,),
            )
            later = "update outcomes set used = ? where id = ? and used < ?"
            cursor.executemany(later, [(self.level, id, self.level) for id in used])

        with suppress(StoreFull):  # it is about to be read only, full, or removed: then nothing grows
            self._catalogue.write(write)


@dataclass(slots=True)
class _Value:
    """A stored value, as a candidate."""

    id: Id
    suffix: str
    file: bool
    size: int
    seconds: float
    arguments: tuple[Id, ...]
    used: float
    made: float


def collect(
    directory: Path,
    file: Lockable,
    catalogue: Catalogue,
    blobs: Blobs,
    max_bytes: int | None,
    min_free: int,
    older_than: float | None,
) -> Collected:
    """Removes values until the limits hold; nothing if another process is at it."""
    uses = file.locks()
    try:
        if not uses.take(_COLLECTOR):
            return Collected()
        step("collector-locked")
        return _Collection(catalogue, blobs, uses).run(directory, max_bytes, min_free, older_than)
    finally:
        uses.close()


class _Collection:
    """One collection, under way."""

    def __init__(self, catalogue: Catalogue, blobs: Blobs, uses: Locks) -> None:
        self._catalogue, self._blobs, self._uses = catalogue, blobs, uses
        self._outcomes = self._bytes = 0
        rows = catalogue.read(
            "select id, suffix, body is null, size, seconds, arguments, used, made from outcomes where kind = 0"
            " and id not in (select id from pins)"
        )
        self._values = [
            _Value(id, suffix, file, size, seconds, split(arguments), used, made)
            for id, suffix, file, size, seconds, arguments, used, made in rows
        ]
        # Private inputs were paid for within the seconds of the value they were computed for; only what was stored and
        # collected is added.
        self._gone: dict[Id, tuple[float, tuple[Id, ...]]] = {
            id: (seconds, split(arguments)) for id, seconds, arguments in catalogue.read("select * from collected")
        }
        level = catalogue.read("select value from facts where name = 'level'")
        self._level = float(level[0][0]) if level else 0.0
        [(self._total,)] = catalogue.read("select coalesce(sum(size), 0) from outcomes")

    def run(self, directory: Path, max_bytes: int | None, min_free: int, older_than: float | None) -> Collected:
        if older_than is not None:
            until = time() - older_than
            self._remove([value for value in self._values if value.made <= until])
        if max_bytes is not None or min_free:
            self._make_room(directory, max_bytes, min_free)
        return Collected(self._outcomes, self._bytes, self._level)

    def _make_room(self, directory: Path, max_bytes: int | None, min_free: int) -> None:
        heap = [(self._worth(value), number) for number, value in enumerate(self._values)]
        heapify(heap)
        doomed: list[_Value] = []
        planned = 0
        excess = self._excess(directory, max_bytes, min_free)
        while heap and planned < excess:
            worth, number = heappop(heap)
            value = self._values[number]
            now = self._worth(value)
            if now > worth:  # something below it has gone since: it costs more than it did
                heappush(heap, (now, number))
                continue
            self._level = max(self._level, worth)
            self._gone[value.id] = (value.seconds, value.arguments)
            doomed.append(value)
            planned += value.size
            if len(doomed) >= _BATCH or planned >= excess:
                self._remove(doomed)
                doomed, planned, excess = [], 0, self._excess(directory, max_bytes, min_free)
        self._remove(doomed)

    def _excess(self, directory: Path, max_bytes: int | None, min_free: int) -> int:
        over = self._total - self._bytes - max_bytes if max_bytes is not None else 0
        short = min_free - Disk.of(directory).free if min_free else 0
        return max(over, short)

    def _worth(self, value: _Value) -> float:
        return value.used + self._cost(value) / (value.size + _ROW)

    def _cost(self, value: _Value) -> float:
        """Seconds to compute a value again, with what is gone below it, each once."""
        cost, seen, stack = value.seconds, {value.id}, list(value.arguments)
        while stack:
            id = stack.pop()
            if id not in seen and (gone := self._gone.get(id)) is not None:
                seen.add(id)
                cost += gone[0]
                stack += gone[1]
        return cost

    def _remove(self, values: Iterable[_Value]) -> None:
        """Removes rows, then files; those in use are passed by. Their bytes stay locked until the files are gone."""
        doomed = [value for value in values if self._uses.take(byte_of(value.id))]
        if not doomed:
            return
        step("collector-chose")
        deleted = self._catalogue.write(lambda cursor: self._delete(cursor, doomed))
        for value in deleted:
            if value.file:
                self._blobs.remove(name_of(value.id, value.suffix))
            self._outcomes += 1
            self._bytes += value.size
        step("collector-removed")
        for value in doomed:
            self._uses.drop(byte_of(value.id))

    def _delete(self, cursor: apsw.Cursor, doomed: list[_Value]) -> list[_Value]:
        execute = cursor.execute
        deleted = []
        for value in doomed:
            execute("delete from outcomes where id = ? and suffix = ?", (value.id, value.suffix))
            if cursor.connection.changes():
                deleted.append(value)
                execute("delete from suspects where id = ?", (value.id,))
                row = (value.id, value.seconds, b"".join(value.arguments))
                execute("insert or replace into collected values (?, ?, ?)", row)
        execute("insert or replace into facts values ('level', ?)", (self._level,))
        return deleted


def verify(catalogue: Catalogue, blobs: Blobs, delete: Callable[[Iterable[tuple[Id, str]]], None] | None) -> Verified:
    """Reads everything there is; with `delete`, removes the rows of what is damaged and sets its files aside."""
    problems: list[tuple[Problem, str]] = []
    outcomes = bytes = 0
    last = b""
    sql = "select id, kind, suffix, form, body, size, digest from outcomes where id > ? order by id limit 500"
    while rows := catalogue.read(sql, (last,)):
        for id, kind, suffix, form, body, size, expected in rows:
            if kind:
                if table.error_of((suffix, form, body, expected, 0)) is None:
                    problems.append((Problem(Id(id), "differs from its digest"), suffix))
                continue
            outcomes += 1
            bytes += size
            what = ""
            try:
                read = blobs.map(name_of(id, suffix)) if body is None else body
                if len(read) != size:
                    what = f"has {len(read)} bytes instead of {size}"
                elif expected != (digest(form, (read,)) if body is None else checksum(form, read)):
                    what = "differs from its digest"
            except FileNotFoundError:
                what = "its file is missing"
            except OSError as error:
                what = f"its file cannot be read: {error.strerror}"
            if what:
                problems.append((Problem(Id(id), what), suffix))
        last = rows[-1][0]
    if delete is not None and problems:
        delete([(problem.id, suffix) for problem, suffix in problems])
        for problem, suffix in problems:
            blobs.quarantine(name_of(problem.id, suffix))
    found = tuple([problem for problem, _ in problems])
    return Verified(outcomes, bytes, catalogue.check(), found, delete is not None)


def sweep(file: Lockable, catalogue: Catalogue, blobs: Blobs, living: Callable[[], frozenset[str]]) -> CleanupReport:
    """Removes blobs without a row, temporary files of writers that are no more, and what is in quarantine."""
    leftovers = 0
    for path in list(blobs.leftovers(living)):
        path.unlink(missing_ok=True)
        leftovers += 1
    orphans = 0
    uses = file.locks()
    try:
        for path, id, suffix in blobs.all():
            if not uses.take(byte_of(id)):
                continue  # being published, or about to be read
            step("sweeper-locked")
            if not catalogue.read("select 1 from outcomes where id = ? and suffix = ?", (id, suffix)):
                path.unlink(missing_ok=True)
                step("sweeper-removed")
                orphans += 1
            uses.drop(byte_of(id))
    finally:
        uses.close()
    return CleanupReport(orphans=orphans, leftovers=leftovers)
