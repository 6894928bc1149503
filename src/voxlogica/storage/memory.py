"""The store that lives in one process: outcomes in a dictionary, claims among threads, waiting on conditions.

Values are kept as they are, not encoded. A value that was looked up stays valid whatever is collected afterwards, since
its `Ref` holds it. Nothing is shared with other processes and nothing survives this one: the embedded store does that.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Sequence
from threading import Condition, Lock

from voxlogica._dataclass import dataclass
from voxlogica.storage.interface import (
    Claim,
    CleanupReport,
    Done,
    Failed,
    Kind,
    Outcome,
    Pins,
    Provenance,
    Publication,
    StoreFull,
    TaskError,
    TaskId,
    size,
)
from voxlogica.values import Value

LIMIT = 1 << 28
"""Default limit on the values kept, in bytes."""

_ROW = 400  # what a row takes beside its value: dictionary entry, id, provenance


@dataclass(frozen=True, slots=True)
class MemoryRef:
    """A value in this process."""

    value: Value
    nbytes: int

    def open(self) -> Value:
        """The value."""
        return self.value


class _Row:
    """An outcome, what it weighs, and when and how it came about."""

    __slots__ = ("bytes", "made", "outcome", "when")

    def __init__(self, outcome: Outcome, bytes: int, when: float, made: Provenance | None) -> None:
        self.outcome, self.bytes, self.when, self.made = outcome, bytes, when, made


class _Waiter:
    """One who waits to claim; `claim` is set by the owner that hands over."""

    __slots__ = ("claim",)

    def __init__(self) -> None:
        self.claim: Claim | None = None


class _Owned:
    """A claim that is held, and who waits for its end.

    `over` is set once, together with the outcome (None: given up). Those who wait hold this object, so that they learn
    the outcome even if its row is collected, or the id claimed again, before they wake.
    """

    __slots__ = ("changed", "claim", "heirs", "outcome", "over")

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self.over = False
        self.outcome: Outcome | None = None
        self.changed: Condition | None = None  # made by the first who waits: most claims end with nobody waiting
        self.heirs: deque[_Waiter] = deque()

    def finish(self, outcome: Outcome | None) -> None:
        self.over, self.outcome = True, outcome
        if self.changed is not None:
            self.changed.notify_all()


class MemoryStorage:
    """A `StorageBackend` in this process.

    When the values kept exceed `limit` bytes the oldest are collected, pinned ones excepted; None keeps everything. A
    value larger than the limit is handed to those who wait and then collected at once.
    """

    def __init__(self, limit: int | None = LIMIT) -> None:
        self.limit = limit
        self._lock = Lock()
        self._rows: dict[TaskId, _Row] = {}  # in order of age: collection starts at the front
        self._owned: dict[TaskId, _Owned] = {}
        self._pinned: dict[TaskId, int] = {}
        self._bytes = 0
        self._agreed: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"<MemoryStorage: {len(self._rows)} outcomes, {self._bytes} bytes, {len(self._owned)} claimed>"

    # Looking

    def lookup(self, id: TaskId) -> Outcome | None:
        """What became of a task."""
        with self._lock:
            row = self._rows.get(id)
            return row.outcome if row else None

    def known(self, ids: Iterable[TaskId]) -> dict[TaskId, Outcome]:
        """The outcomes there are."""
        with self._lock:
            rows = self._rows
            return {id: rows[id].outcome for id in ids if id in rows}

    def provenance(self, id: TaskId) -> Provenance | None:
        """How a stored value was made."""
        with self._lock:
            row = self._rows.get(id)
            return row.made if row else None

    def agreed(self, name: str, text: str) -> str:
        """The text that came first under a name."""
        return self._agreed.setdefault(name, text)

    def pin(self, ids: Iterable[TaskId]) -> Pins:
        """Keeps these from collection."""
        pinned = frozenset(ids)
        with self._lock:
            for id in pinned:
                self._pinned[id] = self._pinned.get(id, 0) + 1
        return Pins(pinned, _Unpin(self, pinned))

    # Claiming

    def claim(self, id: TaskId, *, timeout: float | None = 0) -> Claim | Outcome | None:
        """The right to compute a task, or what became of it, or None while somebody else has it."""
        with self._lock:
            row = self._rows.get(id)
            if row is not None and not _superseded(row.outcome):
                return row.outcome
            owned = self._owned.get(id)
            if owned is None:
                claim = Claim(id, self)
                self._owned[id] = _Owned(claim)
                return claim
            if timeout == 0:
                return None
            return self._inherit(owned, timeout)

    def _inherit(self, owned: _Owned, timeout: float | None) -> Claim | Outcome | None:
        """Queues up behind the owner; the lock is held, and let go while waiting."""
        waiter = _Waiter()
        owned.heirs.append(waiter)
        try:
            self._changed(owned).wait_for(lambda: owned.over or waiter.claim is not None, timeout)
        except BaseException:
            # Interrupted: who inherited at that very moment passes it on, or nobody would.
            if waiter.claim is not None:
                self._give_up(owned)
            raise
        finally:
            if waiter in owned.heirs:
                owned.heirs.remove(waiter)
        return waiter.claim or owned.outcome

    def release(self, claim: Claim) -> None:
        """Gives a claim back, nothing stored."""
        with self._lock:
            owned = self._owned.get(claim.id)
            if owned is not None and owned.claim is claim:
                self._give_up(owned)

    def _give_up(self, owned: _Owned) -> None:
        """The first heir becomes the owner, and the others go on waiting; without heirs, who waits learns of it."""
        if owned.heirs:
            heir = owned.heirs.popleft()
            owned.claim = heir.claim = Claim(owned.claim.id, self)
            self._changed(owned).notify_all()
        else:
            del self._owned[owned.claim.id]
            owned.finish(None)

    def wait_for_completion(self, id: TaskId, timeout: float | None = None) -> Outcome | None:
        """What became of a task when its owner has finished, None when nobody owns it."""
        with self._lock:
            owned = self._owned.get(id)
            if owned is None:
                row = self._rows.get(id)
                return row.outcome if row else None
            if not self._changed(owned).wait_for(lambda: owned.over, timeout):
                raise TimeoutError(f"task {id.hex()[:10]} was not finished after {timeout} s")
            return owned.outcome

    def _changed(self, owned: _Owned) -> Condition:
        if owned.changed is None:
            owned.changed = Condition(self._lock)
        return owned.changed

    # Publishing

    def accepts(self, bytes: int) -> bool:
        """Always: a value over the limit reaches those who wait, and only then is collected."""
        return True

    def store(self, claim: Claim, value: Value, made: Provenance, *, goal: bool = False) -> Done:
        """Publishes a value, then ends the claim."""
        done = Done(MemoryRef(value, size(value)))
        with self._lock:
            self._held(claim)
            self._insert(claim.id, done, made)
            self._owned.pop(claim.id).finish(done)
        return done

    def store_all(self, publications: Sequence[Publication]) -> list[Done | StoreFull]:
        """Publishes values, then ends the claims."""
        found: list[Done | StoreFull] = []
        for claim, value, made, goal in publications:
            try:
                found.append(self.store(claim, value, made, goal=goal))
            except StoreFull as error:
                found.append(error)
        return found

    def mark_failed(self, claim: Claim, error: TaskError) -> Failed:
        """Publishes a failure, unless a success is there, then ends the claim."""
        failed = Failed(error)
        with self._lock:
            self._held(claim)
            row = self._rows.get(claim.id)
            if row is not None and isinstance(row.outcome, Done):
                self._owned.pop(claim.id).finish(row.outcome)
            else:
                self._insert(claim.id, failed, None)
                self._owned.pop(claim.id).finish(failed)
        return failed

    def offer(self, id: TaskId, value: Value, made: Provenance) -> None:
        """Stores a value computed without a claim, unless a success is there."""
        done = Done(MemoryRef(value, size(value)))
        with self._lock:
            row = self._rows.get(id)
            if row is None or isinstance(row.outcome, Failed):
                self._insert(id, done, made)

    def _held(self, claim: Claim) -> None:
        owned = self._owned.get(claim.id)
        if owned is None or owned.claim is not claim:
            raise ValueError(f"the claim on task {claim.id.hex()[:10]} has ended")

    def _insert(self, id: TaskId, outcome: Outcome, made: Provenance | None) -> None:
        self._remove(id)
        bytes = _ROW + (outcome.ref.nbytes if isinstance(outcome, Done) else 0)
        self._rows[id] = _Row(outcome, bytes, time.time(), made)
        self._bytes += bytes
        if self.limit is not None and self._bytes > self.limit:
            self._collect(self.limit)

    def _remove(self, id: TaskId) -> None:
        row = self._rows.pop(id, None)
        if row is not None:
            self._bytes -= row.bytes

    def _collect(self, limit: int) -> None:
        """Removes the oldest rows until the rest fits."""
        over = self._bytes - limit
        doomed = []
        for id, row in self._rows.items():
            if over <= 0:
                break
            if id not in self._pinned:
                doomed.append(id)
                over -= row.bytes
        for id in doomed:
            self._remove(id)

    def cleanup_failed_executions(
        self,
        *,
        ids: Iterable[TaskId] | None = None,
        kind: Kind | None = None,
        older_than: float | None = None,
    ) -> CleanupReport:
        """Forgets failures, so that they are tried again."""
        now = time.time()
        with self._lock:
            doomed = [
                id
                for id in (self._rows if ids is None else ids)
                if (row := self._rows.get(id)) is not None
                and isinstance(row.outcome, Failed)
                and (kind is None or row.outcome.error.kind == kind)
                and (older_than is None or now - row.when >= older_than)
            ]
            for id in doomed:
                self._remove(id)
        return CleanupReport(failures=len(doomed))

    def _unpin(self, ids: Iterable[TaskId]) -> None:
        with self._lock:
            for id in ids:
                self._pinned[id] -= 1
                if not self._pinned[id]:
                    del self._pinned[id]


_NOTHING: frozenset[TaskId] = frozenset()


class _Unpin:
    """Closes pins once, however often it is called."""

    def __init__(self, storage: MemoryStorage, ids: frozenset[TaskId]) -> None:
        self._storage, self._ids = storage, ids

    def __call__(self) -> None:
        # In one step, without a call: two threads may cancel a run at once, and each would take from the other's pins.
        ids, self._ids = self._ids, _NOTHING
        self._storage._unpin(ids)


def _superseded(outcome: Outcome) -> bool:
    """Whether a new claim may be made in spite of this outcome."""
    return isinstance(outcome, Failed) and outcome.error.kind == "circumstance"
