"""Locks where bytes cannot be locked: several ids in one slot exclude, wait and end like others, and lose nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path

import pytest
from tests.storage_peer import Peer, quick, until_waited_for

from voxlogica.errors import MachineError
from voxlogica.storage import Claim, StoreFull, layout, slots
from voxlogica.storage.conformance import MADE, gather, opened, taken, task
from voxlogica.storage.embedded import EmbeddedStorage
from voxlogica.storage.locks import ALL, Replaced, byte_of
from voxlogica.storage.slots import SlotLocks, Slots


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    place = quick(tmp_path)
    yield place
    shutil.rmtree(place)


@pytest.fixture
def store(place: Path) -> Iterator[EmbeddedStorage]:
    with EmbeddedStorage(place / "store", flock=True) as store:
        yield store


@pytest.fixture
def peer(store: EmbeddedStorage) -> Iterator[Peer]:
    with Peer(store.directory) as peer:
        yield peer


def slot_of(name: str) -> int:
    return byte_of(task(name)) * slots.COUNTS["claims"] // ALL


def neighbours(name: str, number: int) -> list[str]:
    """Names of other tasks in the same slot."""
    found = (other for other in (f"{name}{n}" for n in count()) if slot_of(other) == slot_of(name))
    return [next(found) for _ in range(number)]


def test_every_byte_has_a_slot_and_those_beyond_the_ids_the_last_one(tmp_path: Path):
    some = Slots.below(tmp_path, 64)
    assert [list(some.containing(start, 1)) for start in (0, ALL // 64 - 1, ALL // 64, ALL - 1, ALL, 2 * ALL)] == [
        [0], [0], [1], [63], [64], [64],
    ]  # fmt: skip
    assert list(some.containing(0, ALL)) == list(range(64))
    assert list(Slots.of(tmp_path).containing(0, ALL)) == [0]


def test_who_owns_a_slot_owns_whatever_it_claims_in_it(store: EmbeddedStorage, peer: Peer):
    """The peer has none of the ids until the last of them has ended; then any."""
    [b, c] = neighbours("a", 2)
    claims = [taken(store.claim(task(name))) for name in ("a", b)]
    assert [peer.ask("claim", name, 0) for name in ("a", b, c)] == ["none"] * 3
    store.release(claims[0])
    assert peer.ask("claim a 0") == "none"
    assert store.claim(task(b)) is None, "in this process ids exclude one by one"
    assert store.wait_for_completion(task("a")) is None, "what nobody owns is not waited for"
    store.store(claims[1], 1.0, MADE)
    assert [peer.ask("claim", name, 0) for name in ("a", c)] == ["claim"] * 2
    assert store.claim(task("a")) is None


def test_a_waiter_gets_what_was_stored_although_its_slot_was_busy_for_another(store: EmbeddedStorage, peer: Peer):
    [b] = neighbours("a", 1)
    mine, other = (taken(store.claim(task(name))) for name in ("a", b))
    peer.tell("wait a")
    until_waited_for(store.directory)
    store.store(mine, 1.0, MADE)
    store.release(other)
    assert peer.hear() == "done 1.0"


def test_two_that_hold_each_others_slots_come_to_an_end(store: EmbeddedStorage, peer: Peer):
    """Each waits, in a thread beside, for a second id in the slot of the other: held by whoever waits for nothing."""
    [b], [d] = neighbours("a", 1), neighbours("c", 1)
    mine = taken(store.claim(task("a")))
    assert peer.ask("claim c 0") == "claim"

    def later() -> object:
        answer = store.claim(task(d), timeout=None)
        if isinstance(answer, Claim):
            return opened(store.store(answer, 4.0, MADE))
        return opened(answer)

    def first() -> None:
        until_waited_for(store.directory)
        assert peer.ask("store c 3.0") == "done 3.0"
        assert store.claim(task(b)) is not None
        peer.tell("claim", b)
        store.store(mine, 1.0, MADE)

    assert gather([later, first])[0] == 4.0
    assert store._claims.helpers == 0


def test_threads_that_claim_neighbours_at_once_all_get_them(store: EmbeddedStorage):
    names = ["a", *neighbours("a", 15)]
    claims = gather([partial(store.claim, task(name)) for name in names])
    assert all(isinstance(claim, Claim) for claim in claims)
    assert len(store._claims) == 16


def test_a_slot_in_use_is_passed_by_and_collected_later(store: EmbeddedStorage, peer: Peer):
    """Uses exclude within a process too: who collects and who reads may be the same one."""
    store.store(taken(store.claim(task("a"))), bytes(10_000), MADE)
    with store.pin([task("a")]):
        assert store.collect(0).outcomes == 0
        assert peer.ask("collect 0") == "collected 0"
    with store.pin([task(str(number)) for number in range(2000)]):
        assert store.collect(0).outcomes == 0
    assert store.collect(0).outcomes == 1


def test_what_is_taken_twice_is_let_go_twice(tmp_path: Path):
    (tmp_path / "000").touch()
    two = Slots([tmp_path / "000", tmp_path / "more"])
    mine, other = two.locks(), two.locks()
    assert mine.take(1)
    assert mine.take(2)
    mine.drop(1)
    assert not other.take(3)
    assert other.owned(3)
    mine.drop(2)
    assert not other.owned(3)
    assert other.take(3)
    other.close()
    assert mine.take(1, shared=True)
    assert other.take(1, shared=True)
    assert not SlotLocks(two, os.O_RDWR).take(1)


def test_a_slot_that_was_removed_is_noticed(tmp_path: Path):
    (tmp_path / "000").touch()
    locks = Slots.of(tmp_path / "000").locks()
    assert locks.take(0)
    locks.close()
    (tmp_path / "000").unlink()
    with pytest.raises(Replaced):
        locks.take(0)


def test_a_store_whose_slots_were_removed_is_left_and_a_missing_one_is_an_error(store: EmbeddedStorage):
    shutil.rmtree(store.directory / "claims")
    claim = taken(store.claim(task("b")))
    with pytest.raises(StoreFull):
        store.store(claim, 1.0, MADE)
    assert store.stats().lost
    with pytest.raises(MachineError, match="lock file 'claims'"):
        EmbeddedStorage(store.directory)


def test_one_missing_slot_is_an_error(store: EmbeddedStorage):
    (store.directory / "claims" / "7ff").unlink()
    with pytest.raises(MachineError, match="lock file 'claims/7ff'"):
        EmbeddedStorage(store.directory)


def test_a_store_of_another_systems_locks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(slots.COUNTS, "claims", 4)
    EmbeddedStorage(tmp_path / "store").close()
    monkeypatch.setattr(layout, "OFD", False)
    with pytest.raises(MachineError, match="other locks"):
        EmbeddedStorage(tmp_path / "store")
    with EmbeddedStorage(tmp_path / "new") as store:
        assert (store.directory / "claims").is_dir()
