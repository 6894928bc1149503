"""The table of outcomes: its statements, and its rows from what was computed and back."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from functools import lru_cache

import apsw

from voxlogica.identity import Id
from voxlogica.storage.blobs import fresh
from voxlogica.storage.catalogue import Row, as_json
from voxlogica.storage.codec import Encoded, checksum
from voxlogica.storage.interface import Kind, Provenance, TaskError, size
from voxlogica.storage.records import failure_from_json, failure_to_json, split
from voxlogica.values import Value

_COLUMNS = "suffix, form, body, digest, memory"
LOOK = f"select {_COLUMNS} from outcomes where id = ?"
LOOK_MANY = f"select id, {_COLUMNS} from outcomes where id in ({{}})"
INSERT = """
insert into outcomes (id, suffix, form, body, digest, memory, kind, size, seconds, operator, version, arguments, made,
  host, libraries, position, used)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
on conflict (id) do update set
  suffix = excluded.suffix, form = excluded.form, body = excluded.body, digest = excluded.digest,
  memory = excluded.memory, kind = excluded.kind, size = excluded.size, seconds = excluded.seconds,
  operator = excluded.operator, version = excluded.version, arguments = excluded.arguments, made = excluded.made,
  host = excluded.host, libraries = excluded.libraries, position = excluded.position, used = excluded.used
where kind <> 0
"""
"""A success replaces a failure, and nothing replaces a success."""
PROVENANCE = """
select operator, version, arguments, seconds, memory, made, host, libraries, position from outcomes
where id = ? and kind = 0
"""
DELETE = "delete from outcomes where id = ? and suffix = ?"
"""Of the value that was seen: what has been computed again since has another suffix."""
KINDS: dict[str, int] = {"definite": 1, "circumstance": 2}
"""Failures, as they stand in the column `kind`; there a success is 0. Their `form` is the word itself."""
INLINE = 4096
"""Bytes of form and body that still go into the row."""


def is_small(form: str, bytes: int) -> bool:
    """Whether a value goes into its row."""
    return bytes + len(form) <= INLINE


def inline(suffix: str, encoded: Encoded, value: Value) -> Row:
    """The columns of a value that goes into its row."""
    body = b"".join(encoded.parts)
    return suffix, encoded.form, body, checksum(encoded.form, body), size(value)


def success(id: Id, value: Row, bytes: int, made: Provenance, level: float) -> Row:
    """The row of a value that has been written: `value` are the columns that are looked up, `level` when it is used."""
    return (id, *value, 0, bytes, made.seconds, made.operator, made.version, b"".join(made.arguments), made.when,
            made.host, _libraries(made.libraries), made.position, level)  # fmt: skip


def failure(id: Id, error: TaskError) -> Row:
    """The row of a failure."""
    body = failure_to_json(error)
    return (id, fresh(), error.kind, body, checksum(error.kind, body.encode()), 0, KINDS[error.kind], 0, error.duration,
            error.operator, 0, b"", time.time(), "", "[]", error.position, 0.0)  # fmt: skip


def error_of(row: Row) -> TaskError | None:
    """The failure in a row that was looked up; None if it is damaged."""
    _, form, body, expected, _ = row
    try:
        # Stores of before failures had a checksum have none.
        if expected is None or checksum(form, body.encode()) == expected:
            return failure_from_json(body)
    except (AttributeError, KeyError, TypeError, ValueError):
        pass
    return None


def forget_failures(ids: Sequence[Id] | None, kind: Kind | None, until: float, cursor: apsw.Cursor) -> int:
    """Deletes failures: of these ids, or all; of a kind, or any; of those made until then. How many there were."""
    sql = "delete from outcomes where kind = coalesce(?, kind) and kind <> 0 and made <= ?"
    parameters = (KINDS[kind] if kind else None, until)
    before = cursor.connection.total_changes()
    if ids is None:
        cursor.execute(sql, parameters)
    else:
        cursor.executemany(sql + " and id = ?", [(*parameters, id) for id in ids])
    return cursor.connection.total_changes() - before


def provenance(row: Row) -> Provenance:
    """What a row that `PROVENANCE` yields says."""
    operator, version, arguments, seconds, memory, made, host, libraries, position = row
    pairs = tuple([(name, version) for name, version in json.loads(libraries)])
    return Provenance(operator, version, split(arguments), seconds, memory, made, host, pairs, position)


@lru_cache(maxsize=64)
def _libraries(libraries: tuple[tuple[str, str], ...]) -> str:
    return as_json(libraries)
