"""The catalogue: a SQLite database in WAL mode, written by one process at a time, read by all.

Every write and the close go through the gate; the first thread to come commits for all that wait. A log that has grown
long is copied into the database beside them. Reads are single statements, fetched to the end, so that no snapshot
outlives a wait. Nothing else in the process may open the database files: closing such a descriptor would drop SQLite's
own locks.
"""

from __future__ import annotations

import _thread
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from threading import Lock
from typing import Any, TypeAlias

import apsw

from voxlogica.errors import MachineError
from voxlogica.storage.interface import StoreFull
from voxlogica.storage.locks import Gate, Replaced, forked, here
from voxlogica.storage.protocol import step

Row: TypeAlias = tuple[Any, ...]
Operation: TypeAlias = Callable[[apsw.Cursor], Any]

BATCH = 256
"""Rows one thread commits at most for all that wait: about 5 ms in the gate."""

WAL = 16 << 20
"""Bytes by which the write-ahead log grows before it is copied into the database."""

_LONG = 4  # times `WAL`: then its end is copied in the gate

_KEPT = 2 * _LONG  # times `WAL`: so much of the file is left when the log begins anew; see `_open`

_FRAME_HEADER = 24  # bytes before each page in the log

_SHORT = 1 << 20  # bytes of a log that is not copied when the last one closes the store

CHUNK = 500
"""Ids asked for in one statement."""


def migrations() -> list[str]:
    """The SQL that leads from each schema to the next; the first makes an empty store."""
    directory = Path(__file__).with_name("schema")
    names = sorted(file.name for file in directory.iterdir() if re.fullmatch(r"\d{4}\.sql", file.name))
    return [(directory / name).read_text("utf-8") for name in names]


class _Request:
    """An operation in the queue. `turn` is let go when it was done, or when its thread is to lead."""

    __slots__ = ("durable", "error", "leads", "operation", "result", "turn")

    def __init__(self, operation: Operation, durable: bool) -> None:
        self.operation, self.durable = operation, durable
        self.result: Any = None
        self.error: BaseException | None = None
        self.leads = False
        self.turn = Lock()
        self.turn.acquire()


class _Copier:
    """Copies the write-ahead log into the database beside the writers, none of which waits for the disk: a thread and a
    connection of their own, outside the gate (20 ms inside it, for which all others waited, was the worst of writing).

    SQLite begins the log anew when all of it has been copied. Where nobody ever pauses something is always added
    meanwhile: of a log that has become long the end, a few ms, is copied in the gate. It is then only that SQLite
    flushes the database, with all that was ever copied; so that is flushed, and what was added copied, right before.
    """

    def __init__(self, path: Path, gate: Gate) -> None:
        self._path, self._gate = path, gate
        self._busy = Lock()
        self._copied = 0  # how long the log was when it was last copied
        self.connection: apsw.Connection | None = None

    def grown(self, size: int) -> None:
        """Has a log that is so long copied, if it has grown enough; waits for nothing."""
        if size < self._copied:  # begun anew
            self._copied = 0
        if size - self._copied > WAL and self._busy.acquire(blocking=False):
            self._copied = size
            try:
                _thread.start_new_thread(self._copy, (size > _LONG * WAL,))
            except RuntimeError:  # no more threads, or the interpreter is at its end
                self._busy.release()

    def _copy(self, long: bool) -> None:
        try:
            with suppress(apsw.Error, OSError, Replaced):  # another process is at it, or the next will be
                if self.connection is None:
                    self.connection = _connection(self._path, apsw.SQLITE_OPEN_READWRITE)
                    self.connection.execute("pragma synchronous = normal")
                self._pass(self.connection)
                if long:
                    _flush(self._path)
                    self._pass(self.connection)
                    with self._gate:
                        self._pass(self.connection)
        finally:
            self._busy.release()

    def _pass(self, connection: apsw.Connection) -> None:
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        step("checkpointed")

    def close(self) -> None:
        """Waits for the copying that is under way; there is no other."""
        self._busy.acquire()
        if self.connection is not None:
            self.connection.close()


class Catalogue:
    """The database of one store, as one process has it open."""

    def __init__(self, directory: Path, gate: Gate | None) -> None:
        """Opens it, brings an older schema up to date, refuses a newer or damaged one. Without a gate: read only."""
        self.path = directory / "catalog.db"
        self._wal = directory / "catalog.db-wal"
        self._log = os.fspath(self._wal)
        self._gate = gate
        self._copier = None if gate is None else _Copier(self.path, gate)
        self._using = Lock()  # one connection: what was just written is still in its cache when it is read
        self._queueing = Lock()
        self._queue: list[_Request] = []
        self._led = self._abandoned = False
        self._done = False  # whether who leads has committed
        self._length = 0  # of the log, in bytes, when this process last wrote to it
        self.fresh = False
        try:
            if gate is None:
                self._connection = self._open_read_only()
                self._check_version(one(self._connection, "pragma user_version"), len(migrations()))
            else:
                with gate:  # recovery after a crash needs to be alone, and so do migrations
                    self._open(len(migrations()))
            self._cursor = self._connection.cursor()
            self._execute = self._cursor.execute
        except (apsw.CorruptError, apsw.NotADBError) as error:
            raise self._damaged(error) from error
        except (apsw.CantOpenError, apsw.IOError, apsw.ReadOnlyError) as error:
            raise MachineError.of(
                "store", f"the store's catalogue {self.path} cannot be opened: {error}", help=_OTHER_STORE
            ) from error

    def _open(self, newest: int) -> None:
        self._connection = _connection(self.path, apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE)
        found = one(self._connection, "pragma user_version")
        self._check_version(found, newest)
        # A page is logged whole each time a row is written to it: halving it takes a fifth off storing a number.
        self._connection.execute("pragma page_size = 2048")
        if found == 0:  # nothing can be lost yet (see `_found`), and a first run would wait for six flushes
            self._connection.execute("pragma synchronous = off")
        self._connection.execute("pragma journal_mode = wal")
        self._connection.execute("pragma wal_autocheckpoint = 0")
        # To cut a file of 64 MB takes 25 ms, in the gate: what is usual is written over instead.
        self._connection.execute(f"pragma journal_size_limit = {_KEPT * WAL}")
        if found < newest:
            self.fresh = found == 0
            self._migrate(found, newest)
        self._check_integrity()
        self._connection.execute("pragma synchronous = normal")
        self._durable = self._founded = False
        self._connection.set_wal_hook(self._committed)
        self._frame = one(self._connection, "pragma page_size") + _FRAME_HEADER
        self._inode = self._wal.stat().st_ino

    def _migrate(self, found: int, newest: int) -> None:
        self._connection.execute("begin immediate")
        for sql in migrations()[found:newest]:
            self._connection.execute(sql)
        self._connection.execute(f"pragma user_version = {newest}")
        self._connection.execute("commit")

    def _open_read_only(self) -> apsw.Connection:
        """Without the write-ahead log nobody has the database open, and it is complete."""
        name = f"file:{_quoted(self.path)}?mode=ro" + ("" if self._wal.exists() else "&immutable=1")
        return _connection(name, apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)

    def _check_version(self, found: int, newest: int) -> None:
        if found > newest:
            raise MachineError.of(
                "store",
                f"the store {self.path.parent} was made by a newer VoxLogicA (schema {found}, this one knows {newest})",
                help="update VoxLogicA, or choose another store with --store",
            )

    def _check_integrity(self) -> None:
        """Damage comes with a loss of power, so the whole database is checked once after each start of the machine."""
        boot = boot_id()
        checked = self._connection.execute("select value from facts where name = 'checked'").fetchall()
        if checked == [(boot,)]:
            return
        if (found := one(self._connection, "pragma quick_check(1)")) != "ok":
            raise self._damaged(found)
        self._connection.execute("insert or replace into facts values ('checked', ?)", (boot,))

    def _damaged(self, what: object) -> MachineError:
        error = MachineError.of(
            "store",
            f"the store's catalogue {self.path} is damaged: {what}",
            details=("Stored results only save time: nothing is lost that cannot be computed again.",),
            help=f"remove or rename {self.path.parent} and run again, or choose another store with --store",
        )
        assert isinstance(error, MachineError)
        return error

    # Reading

    def read(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """All rows a statement yields."""
        self._check_here()
        with self._using:
            try:
                return self._execute(sql, parameters).fetchall()
            except apsw.Error as error:
                raise self._translated(error) from error

    def _translated(self, error: apsw.Error) -> Exception:
        if isinstance(error, (apsw.ConnectionClosedError, apsw.CursorClosedError)):
            return RuntimeError("the store is closed")
        if isinstance(error, (apsw.CorruptError, apsw.NotADBError, apsw.IOError)):
            return self._damaged(error)
        return error

    def row(self, sql: str, parameters: Sequence[Any]) -> Row | None:
        """The one row a statement yields, if any; it must have several columns."""
        if self._abandoned or not here[0]:
            self._check_here()
        with self._using:
            try:
                return self._execute(sql, parameters).get  # type: ignore[no-any-return]
            except apsw.Error as error:
                raise self._translated(error) from error

    def read_for(self, sql: str, ids: Sequence[bytes]) -> Iterator[Row]:
        """The rows a statement with `id in ({})` yields, in chunks, so that others come in between."""
        for start in range(0, len(ids), CHUNK):
            some = ids[start : start + CHUNK]
            yield from self.read(sql.format(",".join("?" * len(some))), some)

    # Writing

    def write(self, operation: Operation, durable: bool = False) -> Any:
        """Runs an operation in a transaction, alone or with others', and returns its result when that is committed.

        Raises StoreFull when the transaction failed, whoever's operation was the reason. Interrupted, it may have been
        committed all the same.
        """
        self._check_here()
        request = _Request(operation, durable)
        try:
            with self._queueing:
                self._queue.append(request)
                waits, self._led = self._led, True
                request.leads = not waits
            if waits:  # though by now it may have been appointed: then its turn was let go, and is taken at once
                request.turn.acquire()
            if request.leads:
                self._lead(request)
        except BaseException:
            with self._queueing:  # interrupted: nobody may be left waiting for this thread
                if request in self._queue:
                    self._queue.remove(request)
                if request.leads:
                    self._appoint(request)
            raise
        if request.error is not None:
            raise StoreFull(str(request.error)) from request.error
        return request.result

    def _appoint(self, leader: _Request) -> None:
        """The first in the queue leads instead of the leader; `_queueing` is held.

        Ctrl-C comes before or after all of it: Python looks for signals where a function begins, loops, or has called.
        """
        leader.leads = self._led = False
        if self._queue:
            first = self._queue[0]
            first.leads = self._led = True
            first.turn.release()

    def _lead(self, leader: _Request) -> None:
        """Commits what is queued, this thread's operation among it, then lets another lead if more has come."""
        batch: list[_Request] = []
        failed: BaseException | None = None
        self._done = False
        try:
            if self._gate is None:
                raise apsw.ReadOnlyError("the store is read only")
            with self._gate:
                with self._queueing:
                    batch, self._queue = self._queue[:BATCH], self._queue[BATCH:]
                self._commit(batch)
        except (apsw.Error, OSError, Replaced) as error:
            failed = error
            if not batch:
                with self._queueing:
                    batch, self._queue = self._queue, []
        except Exception as error:
            failed = None if self._done else error
            raise
        except BaseException:  # Ctrl-C: what is not done is left to who leads next, save this thread's own; see `write`
            if self._gate is not None:
                self._gate.give_up()
            if not self._done:
                with self._queueing:
                    batch, self._queue = [], batch + self._queue
            raise
        finally:
            if batch:
                try:
                    self._dismiss(leader, batch, failed)
                except BaseException:  # Ctrl-C: once more, since they wait
                    self._dismiss(leader, batch, failed)
                    raise

    def _dismiss(self, leader: _Request, batch: list[_Request], failed: BaseException | None) -> None:
        """Lets another lead, and tells the threads of a batch, as far as that was not done."""
        with self._queueing:
            if leader.leads:
                self._appoint(leader)
        for request in batch:
            request.error = failed
            if request.turn.locked():
                request.turn.release()

    def _commit(self, batch: list[_Request]) -> None:
        step("gate-entered")
        try:
            log = os.stat(self._log)  # noqa: PTH116 - in the gate, for which others wait
        except FileNotFoundError:
            raise Replaced(self._wal) from None
        if log.st_ino != self._inode:
            raise Replaced(self._wal)
        with self._using:
            self._transact(batch)
            step("row-committed")
        assert self._copier is not None
        self._copier.grown(self._length)

    def _committed(self, _: apsw.Connection, __: str, frames: int) -> int:
        """Told by SQLite, since the file is longer than the log that was begun anew in it."""
        self._length = frames * self._frame
        return apsw.SQLITE_OK

    def _transact(self, batch: list[_Request]) -> None:
        durable = any(request.durable for request in batch)
        if durable and not self._founded:
            self._found()
        if durable != self._durable:
            self._durable = False  # should it be interrupted, full is asked for once more
            self._connection.execute(f"pragma synchronous = {'full' if durable else 'normal'}")
            self._durable = durable
        execute, ending = self._execute, False
        try:
            execute("begin immediate")
            for request in batch:
                request.result = request.operation(self._cursor)
            step("row-written")
            ending = True
            execute("commit")
        except BaseException as error:
            if self._connection.in_transaction:
                execute("rollback")
            elif ending and not isinstance(error, apsw.Error):  # interrupted when that was done
                self._done = True
            raise
        self._done = True

    def _found(self) -> None:
        """Before something is promised to survive a loss of power: flushes the database as it was made, once."""
        if not self._execute("select 1 from facts where name = 'founded'").fetchall():
            try:
                _, copied = self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            except apsw.BusyError:  # somebody is copying
                copied = 0
            if copied <= 0:  # or is reading what it was before: next time
                return
            self._execute("insert or replace into facts values ('founded', 1)")
        self._founded = True

    def _check_here(self) -> None:
        """Raises RuntimeError in a forked child. Before any lock: those who had them are not there to let them go."""
        if forked() or self._abandoned:
            raise RuntimeError("the store is closed")

    def check(self) -> str:
        """What SQLite finds wrong with the whole database; "ok" if nothing."""
        return str(self.read("pragma integrity_check(1)")[0][0])

    def close(self) -> None:
        """Closes it, in the gate: the last to close copies a long log into the database.

        A short one is left to who opens the store next: copied, it would be flushed twice and removed, and who started
        a run would wait for that.
        """
        if self._copier is not None:
            self._copier.close()
        with suppress(Replaced), self._gate or nullcontext(), self._using:
            with suppress(OSError):
                if self._wal.stat().st_size < _SHORT:
                    self._connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            self._connection.close()
        with self._using:
            self._connection.close()  # where the gate is gone

    def abandon(self) -> None:
        """In a forked child: the connections are the parent's, and not even freeing them is allowed."""
        import ctypes  # only who is forked pays for it

        self._abandoned = True
        for connection in (self._connection, self._copier and self._copier.connection):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))


_OTHER_STORE = "make it accessible, choose another store with --store, or run with --no-store"


def _connection(name: Path | str, flags: int) -> apsw.Connection:
    # `_using` keeps threads apart, so that SQLite need not, at every call.
    connection = apsw.Connection(str(name), flags=flags | apsw.SQLITE_OPEN_NOMUTEX)
    # Only recovery after a crash is waited for like this: all else is kept apart by the gate.
    connection.set_busy_timeout(30_000)
    connection.execute("pragma cache_size = -16000")
    return connection


def _flush(database: Path) -> None:
    """Flushes a database by a descriptor that SQLite has open: one of our own would drop its locks when closed. If it
    is not found, or is another file's by then, nothing is lost but time."""
    with suppress(OSError):
        node = database.stat()
        for name in os.listdir("/dev/fd"):  # noqa: PTH208 - numbers
            with suppress(OSError):
                if os.path.samestat(os.fstat(int(name)), node):
                    os.fsync(int(name))
                    return


def one(connection: apsw.Connection, sql: str) -> Any:
    """The one value a statement yields."""
    return connection.execute(sql).fetchall()[0][0]


def _quoted(path: Path) -> str:
    return re.sub("[?#%]", lambda match: f"%{ord(match[0]):02x}", str(path))


def boot_id() -> str:
    """Names the time since the machine was started; "" where the system has no name for it."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def as_json(value: object) -> str:
    """JSON as the catalogue keeps it."""
    return json.dumps(value, separators=(",", ":"))
