"""Room and order in an embedded store: clean-up, collection, what is durable, records."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import apsw
import pytest
from tests.storage_peer import BIG, Peer, blob, stored

from voxlogica.storage import CleanupReport, Done, locks, protocol, size
from voxlogica.storage.blobs import Blobs
from voxlogica.storage.collection import Collected
from voxlogica.storage.conformance import MADE, opened, taken, task
from voxlogica.storage.embedded import EmbeddedStorage
from voxlogica.storage.live import Live


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedStorage]:
    with EmbeddedStorage(tmp_path / "store") as store:
        yield store


@contextmanager
def observed(observer: Callable[[str], None]) -> Iterator[None]:
    """Has a function called at each step of the protocol."""
    protocol.observe(observer)
    try:
        yield
    finally:
        protocol.observe(None)


# Putting in order


def test_clean_up_removes_orphans_and_leftovers_but_not_what_is_being_written(store: EmbeddedStorage):
    stored(store, "a")
    orphan = blob(store).with_name(f"{task('b').hex()}-000000000000")
    orphan.write_bytes(b"x")
    other = store.directory / "blobs" / "notes.txt"
    (store.directory / "tmp" / "0123456789abcdef-0").write_bytes(b"x")
    assert store.live is not None
    mine = store.directory / "tmp" / f"{store.live.token}-77"
    mine.write_bytes(b"x")
    with store.pin([task("b")]):
        report = store.cleanup_failed_executions()
        assert (report.orphans, report.leftovers) == (0, 1), "in use: it may be being published"
    assert store.cleanup_failed_executions().orphans == 1
    assert not orphan.exists()
    assert not other.exists()
    assert mine.exists()
    assert opened(store.lookup(task("a"))) == BIG


def test_what_is_being_published_is_no_orphan(store: EmbeddedStorage):
    """Its blob is in place and its row is not: who sweeps just then passes by."""
    reports = list[CleanupReport]()

    def sweep(label: str) -> None:
        if label == "blob-renamed":
            reports.append(other.cleanup_failed_executions())

    with EmbeddedStorage(store.directory) as other, observed(sweep):
        stored(store, "a")
    assert reports == [CleanupReport()]
    assert opened(store.lookup(task("a"))) == BIG


def test_one_collects_at_a_time(store: EmbeddedStorage):
    stored(store, "a")
    found = list[Collected]()

    def collect(label: str) -> None:
        if label == "collector-locked" and not found:
            found.append(Collected(1))  # who gets in collects once more, and would come here again
            found[0] = other.collect(0)

    with EmbeddedStorage(store.directory) as other, observed(collect):
        assert store.collect(0).outcomes == 1
    assert found == [Collected()]


def test_who_is_taken_for_dead_while_it_starts_tries_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Another has its file locked to remove it, before it was locked by its owner (found by the soak)."""
    take, refused = locks.ByteLocks.take, list[int]()

    def once_refused(self: locks.ByteLocks, *arguments: int, **more: bool) -> bool:
        if not refused:
            refused.append(1)
            return False
        return take(self, *arguments, **more)

    monkeypatch.setattr(locks.ByteLocks, "take", once_refused)
    live = Live(tmp_path, locks.LockFile)
    lock = locks.LockFile(tmp_path / live.token).locks()
    assert refused
    assert not lock.take(0), "its owner has it"
    lock.close()
    live.close()


def test_who_starts_while_leftovers_are_looked_for_loses_nothing(tmp_path: Path):
    """Its file in `tmp/` is not there yet when the living are asked for (found by the soak)."""
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp" / "dead-0").touch()

    def living() -> frozenset[str]:
        (tmp_path / "tmp" / "new-0").touch()
        return frozenset()

    assert [path.name for path in Blobs(tmp_path, "mine").leftovers(living)] == ["dead-0"]


def test_collection_removes_what_is_cheapest_for_its_size(tmp_path: Path):
    with EmbeddedStorage(tmp_path / "store", limit=10**9) as store:
        for name, seconds, size in (("dear", 100.0, 10_000), ("cheap", 0.1, 10_000), ("large", 1.0, 1_000_000)):
            made = type(MADE)("f", 1, seconds=seconds)
            store.store(taken(store.claim(task(name))), bytes(size), made)
        assert store.collect(100_000).outcomes == 1
        assert [store.lookup(task(name)) is not None for name in ("dear", "cheap", "large")] == [True, True, False]
        assert store.collect(15_000).outcomes == 1
        assert store.lookup(task("dear")) is not None
        assert store.stats().collected == 2


def test_what_is_gone_below_a_value_counts_as_its_cost(tmp_path: Path):
    """The input of `kept` took long and has been collected, so that `kept` is dearer than it seems."""
    with EmbeddedStorage(tmp_path / "store", limit=10**9) as store:
        made = type(MADE)
        store.store(taken(store.claim(task("input"))), bytes(900_000), made("f", 1, seconds=50.0))
        store.store(
            taken(store.claim(task("kept"))), bytes(10_000), made("g", 1, arguments=(task("input"),), seconds=1.0)
        )
        store.store(taken(store.claim(task("other"))), bytes(10_000), made("h", 1, seconds=2.0))
        store.collect(25_000)
        assert store.lookup(task("input")) is None
        store.collect(15_000)
        assert store.lookup(task("kept")) is not None
        assert store.lookup(task("other")) is None


def test_what_is_pinned_or_in_use_is_not_collected(store: EmbeddedStorage):
    for name in ("pinned", "used", "free"):
        stored(store, name)
    store.records.keep("paper", [task("pinned")])
    assert store.records.kept() == {"paper": (task("pinned"),)}
    with Peer(store.directory) as peer, store.pin([task("used")]):
        assert peer.ask("collect 0") == "collected 1"
    assert [store.lookup(task(name)) is not None for name in ("pinned", "used", "free")] == [True, True, False]
    assert store.records.let_go("paper") == 1
    assert store.collect(0).outcomes == 2


def test_many_pins_are_one_lock(store: EmbeddedStorage):
    stored(store, "a")
    with store.pin([task(str(number)) for number in range(2000)]):
        assert store.collect(0).outcomes == 0
    assert store.collect(0).outcomes == 1


def test_the_limit_is_kept_by_itself_and_said_once(tmp_path: Path):
    said: list[str] = []
    with EmbeddedStorage(tmp_path / "store", limit=100_000, tell=said.append) as store:
        for number in range(60):
            stored(store, str(number), bytes(10_000))
            assert store.stats().bytes <= 110_000
        assert len([sentence for sentence in said if "is full" in sentence]) == 1
        assert store.verify().whole


def test_what_is_used_outlives_what_is_not(tmp_path: Path):
    """The level rises with each collection, and being read lifts a value to it: cost alone would keep neither."""
    with EmbeddedStorage(tmp_path / "store", limit=10**9) as store:
        for name in ("used", "unused"):
            store.store(taken(store.claim(task(name))), bytes(10_000), replace(MADE, seconds=0.6))
        for number in range(20):
            stored(store, str(number), bytes(10_000))
            opened(store.lookup(task("used")))
            store.collect(50_000)
        assert store.lookup(task("used")) is not None
        assert store.lookup(task("unused")) is None


def test_what_earlier_processes_added_counts(tmp_path: Path):
    """Each adds less than would make it look at the whole store."""
    for number in range(100):
        with EmbeddedStorage(tmp_path / "store", limit=1_000_000) as store:
            stored(store, str(number), bytes(15_000))
    with EmbeddedStorage(tmp_path / "store", limit=1_000_000) as store:
        assert store.stats().bytes <= 1_030_000


def test_old_values_are_removed_on_request(store: EmbeddedStorage):
    store.store(taken(store.claim(task("a"))), BIG, replace(MADE, when=time.time()))
    assert store.collect(older_than=3600).outcomes == 0
    assert store.collect(older_than=0).outcomes == 1


# Durability


@pytest.mark.parametrize(("durability", "goal", "expected"), [
    ("none", True, 0), ("goals", False, 0), ("goals", True, 4), ("all", False, 4),
])  # fmt: skip
def test_what_is_durable_is_flushed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, durability: str, goal: bool, expected: int
):
    """The file, its directory and, for the first blob in it, the directory above; and SQLite is told to flush."""
    flushed: list[int] = []
    monkeypatch.setattr(os, "fsync", flushed.append)
    with EmbeddedStorage(tmp_path / "store", durability=durability) as store:  # type: ignore[arg-type]
        store.store(taken(store.claim(task("a"))), BIG, MADE, goal=goal)
        assert len(flushed) == (3 if expected else 0)
        assert store._catalogue._durable == bool(expected)
        stored_plain = store.store(taken(store.claim(task("b"))), 1.0, MADE)
        assert isinstance(stored_plain, Done)
        assert store._catalogue._durable == (durability == "all")


def test_a_new_store_is_on_the_disk_before_anything_durable_is(tmp_path: Path):
    """The database as it was made was not flushed then: once, that is done first."""
    with EmbeddedStorage(tmp_path / "store") as store:
        store.store(taken(store.claim(task("a"))), 1.0, MADE)
        assert founded(tmp_path / "store") is None, "all is in the log"
        store.store(taken(store.claim(task("b"))), 2.0, MADE, goal=True)
        assert founded(tmp_path / "store") == 0, "the schema is in the database, and what came after in the log"
        store.store(taken(store.claim(task("c"))), 3.0, MADE, goal=True)
    with EmbeddedStorage(tmp_path / "store") as store:  # nobody has copied the log
        assert [opened(store.lookup(task(name))) for name in "abc"] == [1.0, 2.0, 3.0]


def test_somebody_who_copies_the_log_just_then_is_no_reason_to_refuse_a_result(tmp_path: Path):
    with EmbeddedStorage(tmp_path / "store") as store:
        copier = locks.LockFile(tmp_path / "store" / "catalog.db-shm").locks()
        copier.take(121)  # the byte that SQLite locks for the time of a checkpoint
        store.store(taken(store.claim(task("b"))), 2.0, MADE, goal=True)
        assert founded(tmp_path / "store") is None
        copier.drop(121)
        store.store(taken(store.claim(task("c"))), 3.0, MADE, goal=True)
        assert founded(tmp_path / "store") == 1, "all that came before"
    copier.close()


def founded(directory: Path) -> int | None:
    """How many outcomes the database has without its log; None if it has not even a schema."""
    copied = directory.parent / "alone.db"
    copied.write_bytes((directory / "catalog.db").read_bytes())
    with closing(apsw.Connection(str(copied))) as database:
        try:
            return int(database.execute("select count(*) from outcomes where id != ?", (task("a"),)).get)
        except apsw.SQLError:
            return None


def test_a_long_log_is_copied_when_the_store_is_closed_and_a_short_one_is_not(tmp_path: Path):
    log = tmp_path / "store" / "catalog.db-wal"
    with EmbeddedStorage(tmp_path / "store") as store:
        store.store(taken(store.claim(task("a"))), 1.0, MADE)
    assert log.exists()
    with EmbeddedStorage(tmp_path / "store") as store:
        for n in range(400):
            store.store(taken(store.claim(task(str(n)))), "x" * 4000, MADE)
    assert not log.exists()
    with EmbeddedStorage(tmp_path / "store") as store:
        assert (opened(store.lookup(task("a"))), opened(store.lookup(task("399")))) == (1.0, "x" * 4000)


# Records


def test_records_come_back_as_they_were_written(store: EmbeddedStorage):
    from voxlogica.storage.records import FormulaRow, Memo, Stamp

    formula = FormulaRow(task("f"), "near", 1, task("space"), (task("a"), task("b")), b"\x00p")
    store.records.add_formulas([formula, formula])
    assert store.records.formula(task("f")) == formula
    assert store.records.formula(task("g")) is None
    file, memo = Stamp("/a/b.nii", 1, 2, 3, 4, 5), Memo(b"d" * 32, "{}", True)
    store.records.remember(file, memo)
    assert store.records.memo(file) == memo
    assert store.records.memo(file._replace(mtime_ns=6)) is None
    assert store.records.paths(b"d" * 32) == ["/a/b.nii"]
    goals = {"z": task("z"), "a": task("a")}
    number = store.records.add_run("a.imgql", {"hi": 0.9, "NAME": "c7"}, goals, 12.0)
    later = store.records.add_run("a.imgql", {"hi": 0.8}, {}, 13.0)
    run = store.records.run(number)
    assert run is not None
    assert list(run.goals.items()) == list(goals.items()), "in the program's order"
    assert store.records.latest("a.imgql", {"NAME": "c7", "hi": 0.9}) == run
    assert [row.number for row in store.records.runs()] == [later, number]


def test_provenance_can_be_asked_from_another_process_too(store: EmbeddedStorage):
    stored(store, "a", 1.0)
    with EmbeddedStorage(store.directory) as other:
        assert other.provenance(task("a")) == replace(MADE, bytes=size(1.0))
        assert other.provenance(task("b")) is None
