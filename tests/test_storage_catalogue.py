"""The write gate and the catalogue behind it: who comes first goes first, and who leads commits for all that wait."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from threading import Event, Lock, Thread, current_thread
from typing import Any

import apsw
import pytest
from tests.storage_peer import Peer

from voxlogica.storage import StoreFull, catalogue, protocol
from voxlogica.storage.conformance import MADE, opened, task
from voxlogica.storage.embedded import EmbeddedStorage
from voxlogica.storage.locks import ByteLocks, Gate, byte_of


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedStorage]:
    with EmbeddedStorage(tmp_path / "store") as store:
        yield store


@pytest.fixture
def short_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """The log counts as long at 100 kB; to be used before the store is opened."""
    monkeypatch.setattr(catalogue, "WAL", 100_000)


@pytest.fixture
def steps() -> Iterator[list[str]]:
    """The steps of the protocol that are taken."""
    steps: list[str] = []
    protocol.observe(steps.append)
    yield steps
    protocol.observe(None)


def another(store: EmbeddedStorage) -> Gate:
    """The gate as another process has it, since its locks are those of open files."""
    return Gate(store.directory, lambda _: None)


def until_asleep_at_the_gate(store: EmbeddedStorage, waiting: int) -> None:
    inodes = {str((store.directory / name).stat().st_ino) for name in ("write.next", "write.lock")}
    while True:
        lines = [line.split() for line in Path("/proc/locks").read_text().splitlines() if "->" in line]
        if sum(line[6].rpartition(":")[2] in inodes for line in lines) == waiting:
            return
        os.sched_yield()


def test_who_comes_right_back_does_not_overtake_who_is_asleep(store: EmbeddedStorage):
    first, second = another(store), another(store)
    order: list[str] = []

    def enter(gate: Gate) -> None:
        with gate:
            order.append("second")

    for _ in range(20):
        order.clear()
        thread = Thread(target=enter, args=(second,))
        with first:
            thread.start()
            until_asleep_at_the_gate(store, 1)
        with first:
            order.append("first")
        thread.join()
        assert order == ["second", "first"]
    first.close()
    second.close()


def test_who_has_waited_for_the_gate_gives_way_afterwards(store: EmbeddedStorage, monkeypatch: pytest.MonkeyPatch):
    """Else it comes back before those it has woken have a processor, and overtakes them."""
    ways = list[Thread]()
    monkeypatch.setattr("voxlogica.storage.locks.os.sched_yield", lambda: ways.append(current_thread()))
    store.offer(task("alone"), 1.0, MADE)
    assert not ways
    writer = Thread(target=store.offer, args=(task("late"), 1.0, MADE))
    gate = another(store)
    with gate:
        writer.start()
        until_asleep_at_the_gate(store, 1)
    writer.join()
    gate.close()
    assert ways.count(writer) == 1
    ways.clear()
    store.offer(task("alone again"), 1.0, MADE)
    assert not ways


def crowd(store: EmbeddedStorage, actions: list[Callable[[], object]]) -> None:
    """Runs them in threads that all wait behind a gate that another has, until everybody is in the queue."""
    threads = [Thread(target=action) for action in actions]
    gate = another(store)
    with gate:
        for thread in threads:
            thread.start()
        until_asleep_at_the_gate(store, 1)
        while len(store._catalogue._queue) < len(threads):
            os.sched_yield()
    for thread in threads:
        thread.join()
    gate.close()


def test_the_first_commits_for_all_that_wait(store: EmbeddedStorage, steps: list[str]):
    crowd(store, [partial(store.offer, task(str(number)), float(number), MADE) for number in range(20)])
    assert steps.count("row-committed") == 1
    assert [opened(store.lookup(task(str(number)))) for number in range(20)] == list(range(20))


def test_of_more_than_a_batch_the_rest_is_led_by_another(
    store: EmbeddedStorage, steps: list[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(catalogue, "BATCH", 8)
    crowd(store, [partial(store.offer, task(str(number)), float(number), MADE) for number in range(20)])
    assert steps.count("row-committed") == 3
    assert store.stats().outcomes == 20


def test_of_a_batch_that_fails_no_row_is_stored_and_everybody_is_told(
    store: EmbeddedStorage, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: object) -> None:
        raise apsw.FullError("database or disk is full")

    refused: list[str] = []

    def offer(number: int) -> None:
        with pytest.raises(StoreFull) as caught:
            store.offer(task(str(number)), float(number), MADE)
        refused.append(str(caught.value))

    with monkeypatch.context() as patched:
        patched.setattr(store._catalogue, "_transact", fail)
        crowd(store, [partial(offer, number) for number in range(5)])
    assert refused == ["database or disk is full"] * 5
    assert store.stats().outcomes == 0
    store.offer(task("0"), 0.0, MADE)
    assert opened(store.lookup(task("0"))) == 0.0


def until_copied(store: EmbeddedStorage) -> None:
    """Waits for the copying of the log that is under way, if any."""
    copier = store._catalogue._copier
    assert copier is not None
    with copier._busy:
        pass


@pytest.mark.usefixtures("short_log")
def test_a_long_log_is_copied_into_the_database_and_begun_anew(store: EmbeddedStorage, steps: list[str]):
    log = store.directory / "catalog.db-wal"
    longest = 0
    for number in range(400):
        store.offer(task(str(number)), bytes(2000), MADE)
        until_copied(store)
        assert longest <= log.stat().st_size < 150_000, "never cut: all others would wait for it at the gate"
        longest = log.stat().st_size
    assert steps.count("checkpointed") >= 3
    assert store.stats().outcomes == 400


@pytest.mark.usefixtures("short_log")
def test_nobody_waits_while_the_log_is_copied(store: EmbeddedStorage):
    began, go_on = Event(), Event()

    def copying(label: str) -> None:
        if label == "checkpointed":
            began.set()
            assert go_on.wait(60)

    protocol.observe(copying)
    try:
        written = 0
        while not began.is_set():
            store.offer(task(str(written)), bytes(2000), MADE)
            written += 1
        with Peer(store.directory) as peer:
            assert peer.ask("offer other 1") == "offered"
        store.offer(task("mine"), bytes(2000), MADE)
        assert not go_on.is_set()
    finally:
        protocol.observe(None)
        go_on.set()
    assert store.stats().outcomes == written + 2


def descriptors() -> set[int]:
    """The open ones, among them that of looking, which is free again."""
    return {int(each.name) for each in Path("/dev/fd").iterdir()}


@pytest.mark.usefixtures("short_log")
def test_the_end_of_a_log_that_only_grows_is_copied_in_the_gate(
    store: EmbeddedStorage, monkeypatch: pytest.MonkeyPatch
):
    """Here somebody reads what was there at the beginning, so that the log cannot be begun anew.

    All wait then, so the database is flushed before, by SQLite's own descriptor: to close another would end its locks.
    """
    passes, inside, flushes = list[tuple[int, bool]](), set[Thread](), list[bool]()
    log, enter, leave = store.directory / "catalog.db-wal", Gate.__enter__, Gate.__exit__

    def entering(gate: Gate) -> None:
        enter(gate)
        inside.add(current_thread())

    def leaving(gate: Gate, *more: object) -> None:
        inside.remove(current_thread())
        leave(gate, *more)

    def copying(label: str) -> None:
        if label == "checkpointed":
            passes.append((log.stat().st_size // 100_000, current_thread() in inside))

    def flushing(descriptor: int) -> None:
        flush(descriptor)
        assert os.path.samestat(os.fstat(descriptor), database)
        assert descriptor in open_before
        flushes.append(current_thread() in inside)

    store.offer(task("first"), 1.0, MADE)
    reader = apsw.Connection(str(store.directory / "catalog.db"))
    rows = reader.execute("select id from outcomes union all select id from outcomes")
    next(rows)
    for number in range(25):  # until the copier has its connection
        store.offer(task(f"before {number}"), bytes(2000), MADE)
        until_copied(store)
    database, open_before, flush = (store.directory / "catalog.db").stat(), descriptors(), os.fsync
    monkeypatch.setattr(Gate, "__enter__", entering)
    monkeypatch.setattr(Gate, "__exit__", leaving)
    monkeypatch.setattr(os, "fsync", flushing)
    protocol.observe(copying)
    try:
        for number in range(400):
            store.offer(task(str(number)), bytes(2000), MADE)
            until_copied(store)
    finally:
        protocol.observe(None)
        reader.close(True)
    assert descriptors() <= open_before
    assert len(flushes) == sum(within for _, within in passes)
    assert not any(flushes)
    assert {within for length, within in passes if length < 4} == {False}
    assert {within for length, within in passes if length > 4} == {False, True}


def test_who_is_appointed_before_it_waits_leads_as_others_do(store: EmbeddedStorage, monkeypatch: pytest.MonkeyPatch):
    """The leader may end between another's coming into the queue and its beginning to wait."""
    inner = store._catalogue
    queueing, ended = inner._queueing, []

    class Queueing:
        def __enter__(self) -> None:
            queueing.acquire()

        def __exit__(self, *_: object) -> None:
            if not ended:  # by now it is in the queue
                ended.append("the leader")
                inner._appoint(catalogue._Request(len, False))
            queueing.release()

    inner._led = True
    monkeypatch.setattr(inner, "_queueing", Queueing())
    store.offer(task("a"), 1.0, MADE)
    store.offer(task("b"), 2.0, MADE)
    assert ended
    assert [opened(store.lookup(task(name))) for name in "ab"] == [1.0, 2.0]


def test_a_leader_that_is_interrupted_lets_another_lead(store: EmbeddedStorage, monkeypatch: pytest.MonkeyPatch):
    def interrupted(_: Gate) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Gate, "__enter__", interrupted)
        with pytest.raises(KeyboardInterrupt):
            store.offer(task("a"), 1.0, MADE)
    writer = Thread(target=store.offer, args=(task("b"), 2.0, MADE), daemon=True)
    writer.start()
    writer.join(60)
    assert not writer.is_alive()
    assert (store.lookup(task("a")), opened(store.lookup(task("b")))) == (None, 2.0)


def test_a_gate_that_is_closed_leaves_alone_what_has_its_numbers_now(store: EmbeddedStorage, tmp_path: Path):
    """A thread may write a last row when the store is closed, and another store be open by then."""
    gate = another(store)
    numbers = gate._next, gate._gate
    gate.close()
    other = os.open(tmp_path / "other", os.O_CREAT | os.O_RDWR)
    for number in numbers:
        os.dup2(other, number)
    fcntl.flock(other, fcntl.LOCK_EX)
    with pytest.raises(OSError, match="closed"), gate:
        pass
    beside = os.open(tmp_path / "other", os.O_RDWR)
    with pytest.raises(BlockingIOError):
        fcntl.flock(beside, fcntl.LOCK_EX | fcntl.LOCK_NB)
    for number in {other, beside, *numbers}:
        os.close(number)


def test_a_wait_that_begins_when_the_watch_is_about_to_end_is_watched(store: EmbeddedStorage):
    """It has seen that somebody watches, and may be the one that never ends."""
    told: list[int] = []

    class Ending(Gate):
        def __setattr__(self, name: str, value: object) -> None:
            if name == "_watched" and value is False and hasattr(self, "_gate") and not told:
                self._waiting = object()
            super().__setattr__(name, value)

    def late(pid: int) -> None:
        told.append(pid)
        gate._waiting = None

    gate = Ending(store.directory, late, patience=0.0)
    gate._watched = True
    with another(store):
        gate._watch()
    assert told == [os.getpid()]
    assert not gate._watched
    gate.close()


def test_who_waits_at_the_gate_does_so_without_a_thread_that_watches(
    store: EmbeddedStorage, monkeypatch: pytest.MonkeyPatch
):
    def none_left(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("voxlogica.storage.locks._thread.start_new_thread", none_left)
    crowd(store, [partial(store.offer, task("a"), 1.0, MADE)])
    assert opened(store.lookup(task("a"))) == 1.0


# Ctrl-C, which Python lets come right after any call


class Interrupted:
    """Functions after which Ctrl-C comes, once."""

    def __init__(self) -> None:
        self.came = False

    def after(self, call: Callable[..., Any], wanted: Callable[..., bool]) -> Callable[..., Any]:
        def called(*arguments: Any, **more: Any) -> Any:
            found = call(*arguments, **more)
            if not self.came and wanted(*arguments):
                self.came = True
                raise KeyboardInterrupt
            return found

        return called


@pytest.fixture
def interrupted() -> Iterator[Interrupted]:
    interrupted = Interrupted()
    yield interrupted
    assert interrupted.came


def interruptible(act: Callable[[], object], hit: list[str], name: str) -> None:
    """Does what a main thread does."""
    try:
        act()
    except KeyboardInterrupt:
        hit.append(name)


@pytest.mark.parametrize("statement", ["begin immediate", "commit"])
def test_a_leader_that_is_interrupted_costs_the_others_nothing(
    store: EmbeddedStorage, monkeypatch: pytest.MonkeyPatch, interrupted: Interrupted, statement: str
):
    """What it was about to commit is committed by another; of what it has committed nobody is told otherwise."""
    inner, hit = store._catalogue, list[str]()
    monkeypatch.setattr(inner, "_execute", interrupted.after(inner._execute, lambda sql, *_: sql == statement))
    names = [f"{number}" for number in range(8)]
    values = {name: bytes([int(name)]) * (100_000 if int(name) % 2 else 10) for name in names}  # some of them in files
    crowd(store, [partial(interruptible, partial(store.offer, task(n), values[n], MADE), hit, n) for n in names])
    assert len(hit) == 1
    lost = hit if statement == "begin immediate" else []
    assert [name for name in names if store.lookup(task(name)) is None] == lost
    assert all(opened(store.lookup(task(name))) == values[name] for name in names if name not in lost)
    assert store.verify().whole


@pytest.mark.parametrize("turns", range(1, 6))
def test_a_leader_that_is_interrupted_at_the_end_leaves_nobody_waiting(
    store: EmbeddedStorage, monkeypatch: pytest.MonkeyPatch, interrupted: Interrupted, turns: int
):
    """While it tells the others that they are done; the first turn is that of who is to lead next."""
    told, hit = list[object](), list[str]()

    class Turn:
        def __init__(self) -> None:
            lock = Lock()
            self.acquire, self.locked = lock.acquire, lock.locked
            self.release = interrupted.after(lock.release, lambda: told.append(self) or len(told) == turns)

    monkeypatch.setattr(catalogue, "Lock", Turn)
    monkeypatch.setattr(catalogue, "BATCH", 5)
    names = [f"{number}" for number in range(8)]
    crowd(store, [partial(interruptible, partial(store.offer, task(n), 1.0, MADE), hit, n) for n in names])
    assert len(hit) == 1
    assert all(store.lookup(task(name)) is not None for name in names)


def test_what_is_to_survive_a_loss_of_power_does_so_after_an_interruption(
    store: EmbeddedStorage, monkeypatch: pytest.MonkeyPatch, interrupted: Interrupted
):
    inner = store._catalogue
    inner.write(lambda _: None, durable=True)

    class Connection:
        execute = staticmethod(interrupted.after(inner._connection.execute, lambda sql: "synchronous" in sql))

    with monkeypatch.context() as patch:
        patch.setattr(inner, "_connection", Connection)
        with pytest.raises(KeyboardInterrupt):
            inner.write(lambda _: None)
    inner.write(lambda _: None, durable=True)
    assert catalogue.one(inner._connection, "pragma synchronous") == 2


@pytest.mark.parametrize("calls", range(1, 5))
def test_who_is_interrupted_at_the_gate_leaves_it_to_others(
    store: EmbeddedStorage, monkeypatch: pytest.MonkeyPatch, interrupted: Interrupted, calls: int
):
    """Right after each of its locks was obtained, or let go."""
    seen = list[int]()
    with monkeypatch.context() as patch:
        flock = interrupted.after(fcntl.flock, lambda *_: seen.append(1) or len(seen) == calls)
        patch.setattr("voxlogica.storage.locks.fcntl.flock", flock)
        with pytest.raises(KeyboardInterrupt):
            store.offer(task("a"), 1.0, MADE)
    passes(store)


def test_who_is_interrupted_when_about_to_leave_the_gate_leaves_it_to_others(
    store: EmbeddedStorage, monkeypatch: pytest.MonkeyPatch, interrupted: Interrupted
):
    with monkeypatch.context() as patch:
        patch.setattr(Gate, "__exit__", interrupted.after(lambda *_: None, lambda *_: True))
        with pytest.raises(KeyboardInterrupt):
            store.offer(task("a"), 1.0, MADE)
    passes(store)


def passes(store: EmbeddedStorage) -> None:
    """Another process comes through the gate at once, and so does another thread."""
    for name in ("write.next", "write.lock"):
        descriptor = os.open(store.directory / name, os.O_RDWR)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(descriptor)
    writer = Thread(target=store.offer, args=(task("b"), 2.0, MADE), daemon=True)
    writer.start()
    writer.join(60)
    assert opened(store.lookup(task("b"))) == 2.0


def test_who_is_interrupted_while_pinning_lets_go_what_was_taken(
    store: EmbeddedStorage, monkeypatch: pytest.MonkeyPatch, interrupted: Interrupted
):
    ids = [task("a"), task("b")]
    with monkeypatch.context() as patch:
        patch.setattr(ByteLocks, "take", interrupted.after(ByteLocks.take, lambda *_: True))
        with pytest.raises(KeyboardInterrupt):
            store.pin(ids)
    uses = store._uses.locks()
    assert all(uses.take(byte_of(id)) for id in ids)
    uses.close()
