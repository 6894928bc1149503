"""The in-memory store: the promises every backend makes, and what is its own (collection, references that hold)."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from voxlogica.storage import Claim, Done, MemoryStorage, TaskId, memory
from voxlogica.storage.conformance import MADE, BackendConformance, opened, taken, task


class TestMemoryStorage(BackendConformance):
    def make(self) -> MemoryStorage:
        return MemoryStorage()


def stored(store: MemoryStorage, name: str, size: int = 1000) -> Done:
    claim = store.claim(task(name))
    assert isinstance(claim, Claim)
    return store.store(claim, bytes(size), MADE)


def test_the_oldest_values_are_collected_when_the_limit_is_passed():
    store = MemoryStorage(limit=5000)
    for name in "abcdef":
        stored(store, name)
    assert [store.lookup(task(name)) is not None for name in "abcdef"] == [False, False, False, True, True, True]
    assert isinstance(store.claim(task("a")), Claim), "a collected task may be computed again"


def test_a_pinned_value_is_not_collected_until_the_pins_are_closed():
    store = MemoryStorage(limit=5000)
    stored(store, "a")
    with store.pin([task("a")]), store.pin([task("a")]):
        for name in "bcdef":
            stored(store, name)
        assert store.lookup(task("a")) is not None
    stored(store, "g", 3000)
    assert store.lookup(task("a")) is None


def test_a_value_looked_up_outlives_its_collection():
    store = MemoryStorage(limit=5000)
    stored(store, "a")
    outcome = store.lookup(task("a"))
    for name in "bcdef":
        stored(store, name)
    assert store.lookup(task("a")) is None
    assert opened(outcome) == bytes(1000)


def test_a_value_over_the_limit_reaches_who_stored_it_and_is_collected():
    store = MemoryStorage(limit=5000)
    assert opened(stored(store, "a", 10_000)) == bytes(10_000)
    assert store.lookup(task("a")) is None


def test_without_a_limit_everything_is_kept():
    store = MemoryStorage(limit=None)
    for number in range(100):
        stored(store, str(number), 100_000)
    assert all(store.lookup(task(str(number))) for number in range(100))


def test_how_a_value_was_made_can_be_asked():
    store = MemoryStorage()
    stored(store, "a")
    assert store.provenance(task("a")) == MADE
    assert store.provenance(task("b")) is None


def test_an_interrupted_wait_leaves_no_heir_behind(monkeypatch: pytest.MonkeyPatch):
    """Ctrl-C while waiting to claim: the claim passes to the next one, not to who has gone."""
    store = MemoryStorage()
    claim = taken(store.claim(task("a")))

    def interrupt(*_: object) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr("voxlogica.storage.memory.Condition.wait_for", interrupt)
    with pytest.raises(KeyboardInterrupt):
        store.claim(task("a"), timeout=None)
    monkeypatch.undo()
    store.release(claim)
    taken(store.claim(task("a")))


def test_pins_that_two_threads_close_at_once_are_closed_once(monkeypatch: pytest.MonkeyPatch):
    """The other comes at the one place where Python may let it: at a call."""
    store = MemoryStorage(limit=5000)
    stored(store, "a")
    mine, others = store.pin([task("a")]), store.pin([task("a")])

    def interrupting(ids: Iterable[TaskId] = ()) -> frozenset[TaskId]:
        monkeypatch.undo()
        mine.close()
        return frozenset(ids)

    monkeypatch.setattr(memory, "frozenset", interrupting, raising=False)
    mine.close()
    for name in "bcdef":
        stored(store, name)
    assert store.lookup(task("a")) is not None
    others.close()
