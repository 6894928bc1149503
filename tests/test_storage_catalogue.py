"""The write gate and the catalogue behind it: who comes first goes first, and who leads commits for all that wait."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from threading import Thread

import apsw
import pytest

from voxlogica.storage import StoreFull, catalogue, protocol
from voxlogica.storage.conformance import MADE, opened, task
from voxlogica.storage.embedded import EmbeddedStorage
from voxlogica.storage.locks import Gate


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedStorage]:
    with EmbeddedStorage(tmp_path / "store") as store:
        yield store


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


def test_a_long_log_is_copied_into_the_database_and_begun_anew(
    store: EmbeddedStorage, steps: list[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(catalogue, "WAL", 200_000)
    log = store.directory / "catalog.db-wal"
    for number in range(400):
        store.offer(task(str(number)), bytes(2000), MADE)
        assert log.stat().st_size < 300_000
    assert steps.count("checkpointed") >= 3
    assert store.stats().outcomes == 400
