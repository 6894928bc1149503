"""Claims of one process: the kernel's locks between processes, a queue between threads.

Each id that this process owns, or waits for while another owns it, has an entry, at which threads wait. For a
foreign owner one helper thread waits in the kernel on behalf of all: shared first, so that a slow waiter holds up
nobody, then, if the task has no outcome and somebody here wants it, exclusively. A wait that times out leaves the
helper behind, which lets go when its lock comes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from threading import Lock, Thread

from voxlogica._dataclass import NamedTuple
from voxlogica.storage.interface import Claim, Failed, Outcome, StorageBackend, TaskId
from voxlogica.storage.locks import Lockable, Locks, Replaced, byte_of
from voxlogica.storage.protocol import step


class Seen(NamedTuple):
    """An outcome as its row has it; the suffix tells the row from later ones of the same id."""

    suffix: str
    outcome: Outcome


class _Waiter:
    """A thread that waits; `turn` is let go when the id is over, or when `claim` has been handed to it.

    A lock of its own, not a condition of all: who is woken needs nothing that the one who woke it still holds. `awake`
    is let go when it has stopped waiting, for who would only be in its way until then.
    """

    __slots__ = ("awake", "claim", "turn")

    def __init__(self) -> None:
        self.claim: Claim | None = None
        self.turn, self.awake = Lock(), Lock()
        self.turn.acquire()
        self.awake.acquire()

    def wait(self, timeout: float | None) -> bool:
        """Whether the turn came in time."""
        try:
            return self.turn.acquire(timeout=-1 if timeout is None else timeout)
        finally:
            self.awake.release()


class _Entry:
    """An id that somebody owns; `lock` is set when it is this process.

    `heirs` wait to claim, `waiting` only for the end. `before` is the suffix of the failure by circumstance that was
    there at the beginning, which is no answer. `trying` holds until it is known whose the id is. `over` is set once,
    with the outcome (None: given up) or the error of the helper; who waits holds this object.
    """

    __slots__ = (
        "before", "claim", "error", "heirs", "helped", "id", "lock", "outcome", "over", "trying", "waiting",
    )  # fmt: skip

    def __init__(self, id: TaskId) -> None:
        self.id, self.before = id, ""
        self.lock: Locks | None = None
        self.claim: Claim | None = None
        self.heirs: deque[_Waiter] = deque()
        self.waiting: list[_Waiter] = []
        self.trying = True
        self.helped = self.over = False
        self.outcome: Outcome | None = None
        self.error: Exception | None = None

    def answer(self) -> Outcome | None:
        """The outcome, once it is over."""
        if self.error is not None:
            raise self.error
        return self.outcome


class Claims:
    """The claims of one process on one store.

    `look` reads a row; `lost` is called when the store was removed under us, and from then on claims hold among the
    threads of this process only; `inherited` is called when an owner was found gone.
    """

    def __init__(
        self,
        file: Lockable,
        backend: StorageBackend,
        look: Callable[[TaskId], Seen | None],
        lost: Callable[[], None],
        inherited: Callable[[], None],
        writable: bool,
    ) -> None:
        self._file, self._backend, self._look = file, backend, look
        self._lost, self._inherited = lost, inherited
        self._mutex = Lock()
        self._entries: dict[TaskId, _Entry] = {}
        self.alone = not writable  # no kernel locks: read only, or the store is gone
        self.helpers = 0

    def __len__(self) -> int:
        return sum(entry.claim is not None for entry in list(self._entries.values()))

    # Claiming

    def claim(self, id: TaskId, timeout: float | None) -> Claim | Outcome | None:
        """The claim, or what became of the task, or None while another has it."""
        while True:
            with self._mutex:
                entry, heir = self._entries.get(id), None
                if entry is None:
                    entry = self._entries[id] = _Entry(id)
                elif timeout == 0:
                    return None
                else:
                    heir = self._queue_up(entry)
            if heir is None:
                try:
                    found = self._take(entry)
                except BaseException:
                    self._end(entry, None)
                    raise
                if found is not None:
                    return found
                with self._mutex:
                    if timeout == 0:
                        self._leave(entry)
                        return None
                    if entry.over:  # meanwhile, by a helper that others here have started: nobody owns it any more
                        continue
                    heir = self._queue_up(entry)
            return self._inherit(entry, heir, timeout)

    def _take(self, entry: _Entry) -> Claim | Outcome | None:
        """Tries to make a new entry ours: the claim, or the outcome if there is one; None if another owns it.

        Looking comes after the lock, so once is enough; and the lock comes first also for what is known already, since
        the engine asks for that in bulk, before it claims.
        """
        entry.lock = self._open()
        ours = True
        if entry.lock is not None:
            try:
                ours = entry.lock.take(byte_of(entry.id))
            except Replaced:
                self._gone()
                entry.lock = None
        step("claim-locked" if ours else "claim-busy")
        seen = self._look(entry.id)
        if seen is not None and not superseded(seen.outcome):
            self._end(entry, seen.outcome)
            return seen.outcome
        if ours:
            step("claim-looked")
        with self._mutex:
            entry.trying = False
            if ours:
                entry.claim = claim = Claim(entry.id, self._backend)
                return claim
            self._unlock(entry)
            entry.before = seen.suffix if seen else ""
        return None  # and from now on the entry may have a claim: that of another thread, which has inherited

    def _leave(self, entry: _Entry) -> None:
        """Ends a foreign entry nobody waits at; one that somebody has come to gets its helper. The mutex is held."""
        if entry.waiting or entry.heirs:
            self._help(entry)
        elif not (entry.helped or entry.trying or entry.claim):
            self._finish(entry, None)

    def _queue_up(self, entry: _Entry) -> _Waiter:
        """Who waits behind the owner now; the mutex is held."""
        heir = _Waiter()
        entry.heirs.append(heir)
        try:
            self._help(entry)
        except BaseException:  # nobody will wait
            entry.heirs.remove(heir)
            raise
        return heir

    def _inherit(self, entry: _Entry, heir: _Waiter, timeout: float | None) -> Claim | Outcome | None:
        """Waits in the queue behind the owner."""
        try:
            in_time = heir.wait(timeout)
        except BaseException:
            with self._mutex:
                if heir in entry.heirs:
                    entry.heirs.remove(heir)
                if heir.claim is not None:  # interrupted just then: it is passed on, or nobody would have it
                    self._give_up(entry)
            raise
        if not in_time:
            with self._mutex:
                if heir in entry.heirs:
                    entry.heirs.remove(heir)
        return heir.claim or entry.answer()

    # Waiting

    def wait(self, id: TaskId, timeout: float | None) -> Outcome | None:
        """What became of the task when its owner has finished; None when nobody owns it."""
        seen = self._look(id)
        if seen is not None and not superseded(seen.outcome):
            return seen.outcome
        waiter = _Waiter()
        with self._mutex:
            entry = self._entries.get(id)
            if entry is not None:  # in one go: else it may end meanwhile as one at which nobody waits
                entry.waiting.append(waiter)
        if entry is None:
            if not self._foreign(id):
                seen = self._look(id)  # after the lock was seen free: who let it go had committed
                return seen.outcome if seen else None
            with self._mutex:
                entry = self._entries.get(id)
                if entry is None:
                    entry = self._entries[id] = _Entry(id)
                    entry.trying, entry.before = False, seen.suffix if seen else ""
                entry.waiting.append(waiter)
        over = False
        try:
            if timeout != 0:
                with self._mutex:
                    self._help(entry)
            waiter.wait(timeout)
        finally:
            with self._mutex:
                over = entry.over
                if not over:
                    entry.waiting.remove(waiter)
                    self._leave(entry)  # which may end the entry, though not what it waits for
        if not over:
            raise TimeoutError(f"task {id.hex()[:10]} was not finished after {timeout} s")
        return entry.answer()

    def _foreign(self, id: TaskId) -> bool:
        lock = self._open()
        if lock is None:
            return False
        try:
            return lock.owned(byte_of(id))
        finally:
            lock.close()

    # The helper

    def _help(self, entry: _Entry) -> None:
        """Starts the helper of an entry that another process owns, once. The mutex is held."""
        if not (entry.claim or entry.helped or entry.trying or entry.over):
            entry.helped = True
            self.helpers += 1
            # Never a pool's thread: those are joined at exit, and this one may be asleep in the kernel then.
            helper = Thread(target=self._stand_in, args=(entry,), daemon=True, name="voxlogica-wait")
            try:
                helper.start()
            except RuntimeError:  # no more threads: the next who comes tries again
                entry.helped = False
                self.helpers -= 1
                raise

    def _stand_in(self, entry: _Entry) -> None:
        """A helper's life: waits in the kernel and tells those who wait here."""
        lock: Locks | None = None
        outcome: Outcome | None = None
        heir: _Waiter | None = None
        try:
            lock = self._open()
            if lock is not None:
                outcome = self._await(lock, entry, shared=True)
            ours = lock is None
            while outcome is None and heir is None:
                with self._mutex:
                    if entry.over or not entry.heirs:  # over: closed meanwhile, and those who waited are gone
                        if lock is not None:
                            lock.close()  # before the entry goes: a thread that finds none must find the lock free
                        self._finish(entry, None)
                        break
                    if ours:
                        entry.lock, lock = lock, None
                        heir = self._hand_over(entry)
                if heir is None:
                    assert lock is not None
                    outcome = self._await(lock, entry, shared=False)
                    ours = True
        except Replaced:
            self._gone()
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait are to learn of it
            entry.error = error
        with self._mutex:
            self.helpers -= 1
            if lock is not None:
                lock.close()
            if heir is None:
                self._finish(entry, outcome)
        if heir is not None:
            step("inherited")
            heir.awake.acquire()
            self._inherited()

    def _await(self, lock: Locks, entry: _Entry, shared: bool) -> Outcome | None:
        """Waits for the byte and looks; a shared lock is let go before looking."""
        byte = byte_of(entry.id)
        lock.take(byte, shared=shared, wait=True)
        if shared:
            lock.drop(byte)
        step("wait-shared" if shared else "wait-exclusive")
        seen = self._look(entry.id)
        if seen is None or (superseded(seen.outcome) and seen.suffix == entry.before):
            return None
        return seen.outcome

    # Ending

    def held(self, claim: Claim) -> None:
        """Raises ValueError when a claim has ended."""
        entry = self._entries.get(claim.id)
        if entry is None or entry.claim is not claim:
            raise ValueError(f"the claim on task {claim.id.hex()[:10]} has ended")

    def lend(self, claim: Claim) -> int | None:
        """A descriptor of a claim's lock, for a child that is to hold it too; None when there is no lock."""
        with self._mutex:
            entry = self._entries.get(claim.id)
            lock = entry.lock if entry is not None and entry.claim is claim else None
            return None if lock is None else lock.lend()

    def finish(self, ended: Iterable[tuple[Claim, Outcome | None]]) -> None:
        """Ends claims, each with its outcome, which is in the catalogue by now."""
        entries = []
        for claim, outcome in ended:
            entry = self._entries.get(claim.id)
            if entry is not None and entry.claim is claim:
                self._unlock(entry)  # before the entry goes, as above
                step("claim-released")
                entries.append((entry, outcome))
        with self._mutex:
            for entry, outcome in entries:
                self._finish(entry, outcome)

    def release(self, claim: Claim) -> None:
        """Ends a claim without outcome: the first who waits here to claim inherits, else the lock is let go."""
        with self._mutex:
            entry = self._entries.get(claim.id)
            if entry is not None and entry.claim is claim:
                self._give_up(entry)

    def _give_up(self, entry: _Entry) -> None:
        if entry.heirs:
            self._hand_over(entry)
        else:
            self._unlock(entry)
            step("claim-released")
            self._finish(entry, None)

    def _hand_over(self, entry: _Entry) -> _Waiter:
        """The first heir, which becomes the owner; the mutex is held."""
        heir = entry.heirs.popleft()
        entry.claim = heir.claim = Claim(entry.id, self._backend)
        heir.turn.release()
        return heir

    def _end(self, entry: _Entry, outcome: Outcome | None) -> None:
        self._unlock(entry)  # before the entry goes, as above
        step("claim-released")
        with self._mutex:
            self._finish(entry, outcome)

    def _unlock(self, entry: _Entry) -> None:
        lock, entry.lock = entry.lock, None
        if lock is not None:
            lock.close()

    def _finish(self, entry: _Entry, outcome: Outcome | None) -> None:
        """The mutex is held."""
        if entry.over:
            return
        del self._entries[entry.id]
        entry.claim = None
        entry.over, entry.outcome = True, outcome
        for waiter in (*entry.heirs, *entry.waiting):
            waiter.turn.release()

    def close(self) -> None:
        """Lets all claims go and wakes all who wait."""
        with self._mutex:
            self.alone = True
            for entry in list(self._entries.values()):
                self._unlock(entry)
                self._finish(entry, None)

    def abandon(self) -> None:
        """In a forked child none of the claims is ours, and who held the mutex is not there."""
        self._mutex, self._entries, self.alone = Lock(), {}, True

    # The lock file

    def _open(self) -> Locks | None:
        if self.alone:
            return None
        try:
            return self._file.locks()
        except Replaced:
            self._gone()
            return None

    def _gone(self) -> None:
        self.alone = True
        self._lost()


def superseded(outcome: Outcome) -> bool:
    """Whether a new claim may be made in spite of this outcome."""
    return isinstance(outcome, Failed) and outcome.error.kind == "circumstance"
