"""The embedded store: a directory that any number of threads and processes of one machine share, without a server.

    STORE/catalog.db                          outcomes and how they were made (SQLite)
          claims  uses  write.next  write.lock    empty files, for kernel locks on their bytes
          blobs/aa/…  tmp/  quarantine/       values too large for a row; being written; damaged
          live/…                              one locked file per process

A claim is a kernel lock, so that it ends with its owner, whatever happens to it. A value is published blob first, then
row, and only then is the claim let go. What is read is compared with its digest; damage is a miss.
"""

from __future__ import annotations

import errno
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

import apsw

from voxlogica._dataclass import asdict, replace
from voxlogica.identity import Id
from voxlogica.storage import collection, outcomes
from voxlogica.storage.blobs import Blobs, fresh, name_of, several_fresh
from voxlogica.storage.catalogue import Catalogue, Row, boot_id
from voxlogica.storage.claims import Claims, Seen
from voxlogica.storage.codec import decode, decode_checked, digest, encode
from voxlogica.storage.interface import (
    Claim,
    CleanupReport,
    Done,
    Failed,
    Kind,
    Missing,
    Outcome,
    Pins,
    Provenance,
    Publication,
    StoreFull,
    TaskError,
    TaskId,
    size,
)
from voxlogica.storage.layout import Disk, found, lock_files, lockable
from voxlogica.storage.listing import Listing
from voxlogica.storage.live import Live, Process
from voxlogica.storage.locks import ALL, Gate, Replaced, byte_of, close_registered, forget_in_child, forked
from voxlogica.storage.outcomes import KINDS, LOOK
from voxlogica.storage.protocol import step
from voxlogica.storage.records import Records
from voxlogica.storage.telling import Counts, Stats, Voice
from voxlogica.values import Value

Durability: TypeAlias = Literal["none", "goals", "all"]
"""What survives a loss of power for certain. The rest may be a miss then, never a wrong value."""

_LIMIT = 20_000_000_000
_MANY = 500  # pins that are locks of their own; more are one lock on everything, since the kernel's list is linear


class EmbeddedRef:
    """A value in the store: its row, from which it is opened when asked for."""

    __slots__ = ("_id", "_row", "_store")

    def __init__(self, store: EmbeddedStorage, id: TaskId, row: Row) -> None:
        self._store, self._id, self._row = store, id, row

    @property
    def nbytes(self) -> int:
        """Bytes of memory the value takes when opened."""
        memory: int = self._row[4]
        return memory

    def open(self) -> Value:
        """The value. Raises `Missing` when it was collected or is damaged."""
        store = self._store
        if store._room.level:  # something was collected once: what is used now is to outlive what is not
            store._room.used.add(self._id)
        suffix, form, body, expected, _ = self._row
        if body is None:
            return store._open_blob(self._id, self._row)
        value = decode_checked(form, body, expected)
        if value is None:
            raise store._damage(self._id, suffix, None)
        return value


class EmbeddedStorage:
    """A `StorageBackend` in a directory.

    `limit` is how many bytes of values are kept (by default 20 GB, or a tenth of the disk if that is less); when they
    are exceeded, what is cheapest to compute again for its size is collected. `flock` makes a new store
    with the locks of systems that have no better ones. `tell` gets a sentence when something
    happens that the user should know; each kind once. The directory is readable by its owner only: results show
    patients. Raises MachineError when the directory cannot be used as a store, with what to do.
    """

    def __init__(
        self,
        directory: Path | str,
        *,
        durability: Durability = "goals",
        limit: int | None = None,
        anywhere: bool | None = None,
        flock: bool = False,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self.directory = Path(directory).expanduser().absolute()
        self.durability = durability
        self._say = Voice(tell, self.directory)
        self._closed = self._lost = False
        self._idle = False  # closed or lost
        self._counts = Counts()
        self._verified: set[str] = set()
        self._full: int | None = None  # bytes the disk refused
        self._writable = found(self.directory, anywhere, flock)
        self.limit = min(_LIMIT, Disk.of(self.directory).total // 10) if limit is None else limit
        self._gate = Gate(self.directory, self._say.late) if self._writable else None
        try:
            self._catalogue = Catalogue(self.directory, self._gate)
        except BaseException:
            if self._gate is not None:
                self._gate.close()
            raise
        self._read, self._row = self._catalogue.read, self._catalogue.row
        self.live = Live(self.directory / "live", lockable(self.directory)) if self._writable else None
        self._blobs = Blobs(self.directory, self.live.token if self.live else "")
        claims, self._uses = lock_files(self.directory)
        self._claims = Claims(claims, self, self._look, self._gone, self.bury, self._writable)
        self.records = Records(self._catalogue, self.live.token if self.live else "", self._living)
        self.listing = Listing(self._catalogue)
        self._room = collection.Room(self._catalogue, self.limit)
        forget_in_child(self)
        self._finalizer = weakref.finalize(self, _close, self._catalogue, self._room, self._gate, self.live)
        self._agreed: dict[str, str] = {}
        self.bury()

    def __repr__(self) -> str:
        return f"<EmbeddedStorage: {self.directory}>"

    def __enter__(self) -> EmbeddedStorage:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def writable(self) -> bool:
        """Whether this process may change it."""
        return self._writable

    def close(self) -> None:
        """Lets all claims go, wakes all who wait, and closes the catalogue. References that were looked up end too."""
        self._closed = self._idle = True
        self._claims.close()
        self._finalizer()

    def abandon(self) -> None:
        """In a forked child the store is closed: its locks and its database belong to the parent."""
        self._closed = self._idle = True
        self._finalizer.detach()
        self._claims.abandon()
        self._catalogue.abandon()

    # Looking

    def lookup(self, id: TaskId) -> Outcome | None:
        """What became of a task."""
        if self._idle and not self._is_open():
            return None
        row = self._row(LOOK, (id,))
        if row is None:
            return None
        return self._failure(row) if row[1] in KINDS else Done(EmbeddedRef(self, id, row))

    def known(self, ids: Iterable[TaskId]) -> dict[TaskId, Outcome]:
        """The outcomes there are for these ids."""
        if self._idle and not self._is_open():
            return {}
        found: dict[TaskId, Outcome] = {}
        for row in self._catalogue.read_for(outcomes.LOOK_MANY, list(ids)):
            outcome = self._outcome(row[0], row[1:])
            if outcome is not None:
                found[row[0]] = outcome
        return found

    def agreed(self, name: str, text: str) -> str:
        """The text that came first under a name; the one given, while the store can take none."""
        if name not in self._agreed and (not self._idle or self._is_open()):
            found = self.records.said(name)
            if found is None and self._writable:
                with suppress(StoreFull):
                    found = self.records.say_first(name, text)
            if found is None:
                return text
            self._agreed[name] = found
        return self._agreed.get(name, text)

    def provenance(self, id: TaskId) -> Provenance | None:
        """How a stored value was made."""
        rows = self._read(outcomes.PROVENANCE, (id,))
        return outcomes.provenance(rows[0]) if rows else None

    def _is_open(self) -> bool:
        """Whether there is anything to look at; raises RuntimeError when the store was closed."""
        if self._closed:
            raise RuntimeError("the store is closed")
        return not self._lost

    def _outcome(self, id: TaskId, row: Row) -> Outcome | None:
        return self._failure(row) if row[1] in KINDS else Done(EmbeddedRef(self, id, row))

    def _failure(self, row: Row) -> Failed | None:
        error = outcomes.error_of(row)
        if error is None:  # any outcome that comes replaces it
            self._note_damage()
            return None
        return Failed(error)

    def _look(self, id: TaskId) -> Seen | None:
        if self._idle and not self._is_open():
            return None
        row = self._row(LOOK, (id,))
        outcome = None if row is None else self._outcome(id, row)
        return None if row is None or outcome is None else Seen(row[0], outcome)

    # Opening

    def _open_blob(self, id: TaskId, row: Row) -> Value:
        while True:
            suffix, form, _, expected, _ = row
            name = name_of(id, suffix)
            try:
                body = self._blobs.map(name)
            except FileNotFoundError:
                # Collected, and perhaps computed again since the row was read: another name is another file.
                now = None if self._lost else self._row(LOOK, (id,))
                if now is None or now[1] in KINDS:
                    raise Missing(id.hex()) from None
                if now[0] == suffix:
                    raise self._damage(id, suffix, None) from None
                row = now
                continue
            except OSError as error:
                if error.errno != errno.EIO:
                    raise  # too many open files, say: nothing is wrong with this one
                raise self._damage(id, suffix, name) from error
            if name not in self._verified:
                if digest(form, (body,)) != expected:
                    raise self._damage(id, suffix, name)
                self._verified.add(name)
            return decode(form, body)

    def _damage(self, id: TaskId, suffix: str, name: str | None) -> Missing:
        """Removes the row that was seen, sets its blob aside, and says that the value is missing."""
        self._note_damage()
        if self._writable and not self._lost:
            try:
                self._delete([(id, suffix)])
                if name is not None:
                    self._blobs.quarantine(name)
                    step("blob-quarantined")
            except (StoreFull, OSError):
                pass  # it stays where it is, and is damage for the next one too
        return Missing(id.hex())

    def _note_damage(self) -> None:
        self._counts.damaged += 1
        self._say("damaged", f"a stored result was damaged and is computed again ({self.directory})")

    def _delete(self, rows: Iterable[tuple[TaskId, str]]) -> None:
        doomed = list(rows)
        self._write(lambda cursor: cursor.executemany(outcomes.DELETE, doomed))

    # Claiming and waiting

    def claim(self, id: TaskId, *, timeout: float | None = 0) -> Claim | Outcome | None:
        """The right to compute a task, or what became of it, or None while somebody else has it."""
        forked()
        return self._claims.claim(id, timeout)

    def release(self, claim: Claim) -> None:
        """Gives a claim back, nothing stored."""
        self._claims.release(claim)

    @contextmanager
    def lent(self, claim: Claim) -> Iterator[tuple[int, ...]]:
        """The descriptors by which a child process that inherits them holds a claim too, as long as it lives."""
        descriptor = self._claims.lend(claim)
        try:
            yield () if descriptor is None else (descriptor,)
        finally:
            if descriptor is not None:
                close_registered(descriptor)

    def wait_for_completion(self, id: TaskId, timeout: float | None = None) -> Outcome | None:
        """What became of a task when its owner has finished, None when nobody owns it."""
        forked()
        return self._claims.wait(id, timeout)

    # Publishing

    def store(self, claim: Claim, value: Value, made: Provenance, *, goal: bool = False) -> Done:
        """Publishes a value, then ends the claim. A `goal` is made durable unless the setting is "none"."""
        forked()
        self._claims.held(claim)
        try:
            done = self._publish(claim.id, value, made, goal)
        except StoreFull:
            self._claims.release(claim)
            raise
        self._claims.finish([(claim, done)])
        return done

    def store_all(self, publications: Sequence[Publication]) -> list[Done | StoreFull]:
        """What `store` does for each: small values in one transaction, the others one by one."""
        forked()
        found: dict[TaskId, Done | StoreFull] = {}
        small: list[tuple[Publication, Row, int]] = []
        for each, suffix in zip(publications, several_fresh(len(publications)), strict=True):
            self._claims.held(each.claim)
            encoded = encode(each.value)
            bytes = encoded.size
            # The disk is not asked whether it has room, which would take as long as storing one: it says so if not.
            if outcomes.is_small(encoded.form, bytes) and self._takes(bytes):
                small.append((each, outcomes.inline(suffix, encoded, each.value), bytes))
        with suppress(StoreFull):  # then each is told by itself
            inserted = self._insert_all(small)
            done = [
                (each.claim, Done(EmbeddedRef(self, each.claim.id, row)))
                for (each, row, _), taken in zip(small, inserted, strict=True)
                if taken
            ]
            self._claims.finish(done)
            found = {claim.id: outcome for claim, outcome in done}
            self._collect_if_exceeded(sum([size for _, _, size in small]))
        for each in publications:
            if each.claim.id not in found:
                try:
                    found[each.claim.id] = self.store(each.claim, each.value, each.made, goal=each.goal)
                except StoreFull as error:
                    found[each.claim.id] = error
        return [found[each.claim.id] for each in publications]

    def _insert_all(self, small: Sequence[tuple[Publication, Row, int]]) -> list[bool]:
        """Inserts small values; which of them: not those of which a success is there."""
        level = self._room.level
        rows = [outcomes.success(each.claim.id, row, size, each.made, level) for each, row, size in small]
        durable = any(self._is_durable(each.goal) for each, _, _ in small)
        return self._insert(rows, durable) if rows else []

    def _is_durable(self, goal: bool) -> bool:
        return self.durability == "all" or (goal and self.durability == "goals")

    def offer(self, id: TaskId, value: Value, made: Provenance) -> None:
        """Stores a value computed without a claim, unless a success is there."""
        if not isinstance(self.lookup(id), Done):
            self._publish(id, value, made, goal=False)

    def mark_failed(self, claim: Claim, error: TaskError) -> Failed:
        """Publishes a failure, unless a success is there, then ends the claim."""
        forked()
        self._claims.held(claim)
        failed = Failed(error)
        outcome: Outcome | None = failed
        try:
            if not self._insert([outcomes.failure(claim.id, error)], durable=False)[0]:
                outcome = self.lookup(claim.id)
        except StoreFull:
            pass  # those who wait here learn of it all the same; others will try again
        self._claims.finish([(claim, outcome)])
        return failed

    def _publish(self, id: TaskId, value: Value, made: Provenance, goal: bool) -> Done:
        encoded = encode(value)
        form, bytes = encoded.form, encoded.size
        durable = self._is_durable(goal)
        self._refuse_unless_accepted(bytes)
        level = self._room.level
        try:
            suffix = fresh()
            if outcomes.is_small(form, bytes):
                row = outcomes.inline(suffix, encoded, value)
                [inserted] = self._insert([outcomes.success(id, row, bytes, made, level)], durable)
            else:
                with self._using(id):
                    name = name_of(id, suffix)
                    row = (suffix, form, None, self._blobs.write(name, encoded, durable), size(value))
                    try:
                        [inserted] = self._insert([outcomes.success(id, row, bytes, made, level)], durable)
                    except StoreFull:  # and nothing else: interrupted, the row may be there, and an orphan is swept
                        self._blobs.remove(name)
                        raise
                    if not inserted:
                        self._blobs.remove(name)
        except Replaced:
            self._gone()
            raise StoreFull("the store was removed") from None
        except OSError as error:
            raise self._refused(bytes, error) from error
        except StoreFull as error:
            if self._lost:
                raise
            raise self._refused(bytes, error) from error.__cause__
        if not inserted:
            return self._found_instead(id, value, made, goal)
        self._full = None
        self._collect_if_exceeded(bytes)
        return Done(EmbeddedRef(self, id, row))

    def _found_instead(self, id: TaskId, value: Value, made: Provenance, goal: bool) -> Done:
        outcome = self.lookup(id)
        return outcome if isinstance(outcome, Done) else self._publish(id, value, made, goal)

    def _insert(self, rows: Sequence[Row], durable: bool) -> list[bool]:
        """Inserts outcomes in one transaction; for each, False if a success is there."""

        def insert(cursor: apsw.Cursor) -> list[bool]:
            changes = cursor.connection.total_changes
            before = changes()
            cursor.executemany(outcomes.INSERT, rows)
            if changes() - before == len(rows):
                return [True] * len(rows)
            return [cursor.execute(LOOK, row[:1]).get[0] == row[1] for row in rows]  # by the suffix, which is fresh

        return list(self._write(insert, durable))

    def _write(self, operation: Callable[[apsw.Cursor], Any], durable: bool = False) -> Any:
        try:
            return self._catalogue.write(operation, durable)
        except StoreFull as error:
            if isinstance(error.__cause__, Replaced):
                self._gone()
            raise

    @contextmanager
    def _using(self, id: TaskId) -> Iterator[None]:
        """While a blob is being published, nobody takes it for an orphan."""
        uses = self._uses.locks()
        try:
            uses.take(byte_of(id), shared=True, wait=True)
            step("uses-locked")
            yield
        finally:
            uses.close()
            step("uses-unlocked")

    # Fullness

    def accepts(self, bytes: int) -> bool:
        """Whether the store would take a value of this size now; if not, better not claim it."""
        try:
            return self._takes(bytes) and Disk.of(self.directory).free > bytes
        except OSError:  # removed, or out of reach
            return False

    def _takes(self, bytes: int) -> bool:
        """Whether nothing is known that speaks against a value of this size."""
        if self._lost or not self._writable or bytes > self.limit:
            return False
        return self._full is None or bytes < self._full

    def _refuse_unless_accepted(self, bytes: int) -> None:
        if self._lost:
            raise StoreFull(f"the store {self.directory} was removed")
        if not self._writable:
            raise self._refused(bytes, OSError("read only"))
        if bytes > self.limit:
            raise self._refused(bytes, OSError(f"its limit is {self.limit} bytes"))

    def _refused(self, bytes: int, why: Exception) -> StoreFull:
        self._counts.refused += 1
        self._full = bytes if self._full is None else min(self._full, bytes)
        self._say("refused", f"the store {self.directory} could not take a result: {why}; it is kept in memory only")
        return StoreFull(str(why))

    def _gone(self) -> None:
        """The store was removed or replaced under us: two owners of one claim are possible, so it is used no more."""
        if not self._lost:
            self._lost = self._idle = True
            self._claims.alone = True
            self._say(
                "lost", f"the store {self.directory} was removed while it was in use; this run goes on without one"
            )

    # Collection

    def pin(self, ids: Iterable[TaskId]) -> Pins:
        """Keeps these from collection until the pins are closed."""
        pinned = frozenset(ids)
        if not pinned or self._lost:
            return Pins(pinned, lambda: None)
        try:
            uses = self._uses.locks(self._writable)
            try:
                if len(pinned) > _MANY:
                    uses.take(0, ALL, shared=True, wait=True)
                else:
                    for byte in sorted(map(byte_of, pinned)):
                        uses.take(byte, shared=True, wait=True)
            except BaseException:  # interrupted, say: nobody would let go what was taken
                uses.close()
                raise
        except Replaced:
            self._gone()
            return Pins(pinned, lambda: None)
        return Pins(pinned, uses.close)

    def collect(
        self, max_bytes: int | None = None, *, min_free: int = 0, older_than: float | None = None
    ) -> collection.Collected:
        """Removes what is cheapest to compute again for its size until at most `max_bytes` are kept and `min_free` are
        free on the disk; with `older_than`, all that was made more than so many seconds ago. Never what is in use or
        pinned."""
        self._room.settle()
        done = collection.collect(
            self.directory, self._uses, self._catalogue, self._blobs, max_bytes, min_free, older_than
        )
        self._counts.collected += done.outcomes
        self._room.level = max(self._room.level, done.level)
        self._full = None
        return done

    def _collect_if_exceeded(self, bytes: int) -> None:
        try:
            if self._room.exceeded(bytes):
                self._say("limit", f"the store {self.directory} is full; what is cheap to compute again is removed")
                self.collect(self.limit - self.limit // 10)
        except Replaced:
            self._gone()
        except (StoreFull, OSError) as error:
            self._say("collect", f"no room could be made in the store {self.directory}: {error}")

    def stats(self) -> Stats:
        """What there is, and what this process has seen."""
        [(count, failures, bytes)] = self._read(
            "select count(*), coalesce(sum(kind <> 0), 0), coalesce(sum(size), 0) from outcomes"
        )
        return Stats(
            count - failures, failures, bytes, len(self._claims), self._claims.helpers, **asdict(self._counts),
            lost=self._lost,
        )  # fmt: skip

    def verify(self, *, repair: bool = False) -> collection.Verified:
        """Compares everything with its digest; with `repair`, damage is removed, so that it is computed again."""
        return collection.verify(self._catalogue, self._blobs, self._delete if repair else None)

    def cleanup_failed_executions(
        self, *, ids: Iterable[TaskId] | None = None, kind: Kind | None = None, older_than: float | None = None
    ) -> CleanupReport:
        """Forgets failures, so that they are tried again; removes what writers that died have left behind."""
        self.bury()
        report = collection.sweep(self._uses, self._catalogue, self._blobs, self._living)
        until = time.time() - older_than if older_than is not None else float("inf")
        forget = partial(outcomes.forget_failures, None if ids is None else list(ids), kind, until)
        return replace(report, failures=int(self._write(forget)))

    def _living(self) -> frozenset[str]:
        return frozenset(path.name for path in (self.directory / "live").iterdir())

    # Processes

    def processes(self) -> list[Process]:
        """Who has the store open, and what each runs."""
        return list(self.live.others()) if self.live else []

    def elsewhere(self) -> int:
        """How many kernels run in other processes with the store open."""
        return self.live.kernels() if self.live else 0

    def bury(self) -> None:
        """Removes the files of processes that died, and notes what they were running as suspect."""
        if self.live is None or self._lost:
            return
        sql = "insert into suspects values (?, 1, 0) on conflict (id) do update set times = times + 1"
        boot = boot_id()
        try:
            for process in self.live.bury():
                rows = [(id,) for id in set(process.running.values())]
                if rows and process.boot == boot:
                    self._write(partial(_execute_many, sql, rows))
        except (StoreFull, OSError):
            pass  # the next one will find them

    def suspects(self) -> dict[Id, tuple[int, int]]:
        """How often each task was running when its process died, how often alone; success clears."""
        sql = "select * from suspects where id not in (select id from outcomes where kind = 0)"
        return {id: (times, killed) for id, times, killed in self._read(sql)}

    def killed(self, id: TaskId) -> int:
        """Notes that a task died alone in a process of its own, not by our hand; how often it has."""
        sql = """insert into suspects values (?, 1, 1)
            on conflict (id) do update set times = times + 1, killed = killed + 1 returning killed"""
        return int(self._write(lambda cursor: cursor.execute(sql, (id,)).fetchall()[0][0]))


def _execute_many(sql: str, rows: list[Row], cursor: apsw.Cursor) -> None:
    cursor.executemany(sql, rows)


def _close(catalogue: Catalogue, room: collection.Room, gate: Gate | None, live: Live | None) -> None:
    if forked():
        return
    room.settle()
    catalogue.close()
    if gate is not None:
        gate.close()
    if live is not None:
        live.close()
