"""The embedded store among processes: claims exclude, waiters wake, heirs inherit, the dead leave nothing behind."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from threading import Barrier, Thread

import pytest
from tests.storage_peer import Peer, quick, until_waited_for

from voxlogica.storage import Claim, Failed, Outcome, protocol
from voxlogica.storage.conformance import CIRCUMSTANCE, DEFINITE, MADE, opened, taken, task
from voxlogica.storage.embedded import EmbeddedStorage


@pytest.fixture(params=[False, True], ids=["bytes", "flock"])
def directory(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A store with each kind of locks."""
    place = quick(tmp_path) if request.param else tmp_path
    EmbeddedStorage(place / "store", flock=request.param).close()
    yield place / "store"
    shutil.rmtree(place)


@pytest.fixture
def store(directory: Path) -> Iterator[EmbeddedStorage]:
    with EmbeddedStorage(directory) as store:
        yield store


@pytest.fixture
def peer(store: EmbeddedStorage) -> Iterator[Peer]:
    with Peer(store.directory) as peer:
        yield peer


def test_a_claim_excludes_another_process_until_it_is_released(store: EmbeddedStorage, peer: Peer):
    assert peer.ask("claim", "a", 0) == "claim"
    assert store.claim(task("a")) is None
    assert isinstance(store.claim(task("b")), Claim)
    assert peer.ask("claim", "b", 0) == "none"
    assert peer.ask("release", "a") == "released"
    assert isinstance(store.claim(task("a")), Claim)
    assert peer.ask("claim", "a", 0) == "none"


@pytest.mark.parametrize("value", ["1.5", "*5120", "*1000192"])
def test_what_one_process_stores_the_other_reads(store: EmbeddedStorage, peer: Peer, value: str):
    assert peer.ask("claim", "a", 0) == "claim"
    assert peer.ask("store", "a", value) == f"done {value}"
    found = opened(store.lookup(task("a")))
    assert found == (bytes(range(256)) * (len(found) // 256) if isinstance(found, bytes) else 1.5)


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        ("store a 7.0", "done 7.0"),
        ("store a *8192", "done *8192"),
        ("fail a definite", "failed definite"),
        ("fail a circumstance", "failed circumstance"),
        ("release a", "none"),
    ],
)
@pytest.mark.parametrize("order", ["wait a", "claim a"])
def test_who_waits_is_woken_by_another_process(directory: Path, end: str, expected: str, order: str):
    if order == "claim a" and expected == "none":
        expected = "claim"  # the waiter inherits
    with Peer(directory) as owner, Peer(directory) as waiter:
        assert owner.ask("claim a 0") == "claim"
        waiter.tell(order)
        until_waited_for(directory)
        owner.ask(end)
        assert waiter.hear() == expected


def test_a_failure_by_circumstance_answers_only_who_was_waiting(store: EmbeddedStorage, peer: Peer):
    """An old one is no answer: the owner that is trying again is waited for."""
    assert peer.ask("claim a 0") == "claim"
    assert peer.ask("fail a circumstance") == "failed circumstance"
    assert store.wait_for_completion(task("a")) == Failed(CIRCUMSTANCE)
    claim = taken(store.claim(task("a")))
    peer.tell("wait a")
    until_waited_for(store.directory)
    store.mark_failed(claim, DEFINITE)
    assert peer.hear() == "failed definite"


def test_threads_of_one_process_share_one_helper(store: EmbeddedStorage, peer: Peer):
    assert peer.ask("claim a 0") == "claim"
    answers: list[object] = []
    threads = [Thread(target=lambda: answers.append(store.wait_for_completion(task("a")))) for _ in range(20)]
    for thread in threads:
        thread.start()
    with pytest.raises(TimeoutError):
        store.wait_for_completion(task("a"), timeout=0.05)
    assert store.stats().helpers == 1
    peer.ask("store a 2.0")
    for thread in threads:
        thread.join(60)
    assert [opened(answer) for answer in answers] == [2.0] * 20


def test_a_timeout_wakes_the_caller_and_the_helper_lets_go_when_its_lock_comes(store: EmbeddedStorage, peer: Peer):
    assert peer.ask("claim a 0") == "claim"
    assert store.claim(task("a"), timeout=0.01) is None
    with pytest.raises(TimeoutError):
        store.wait_for_completion(task("a"), timeout=0.01)
    peer.ask("release a")
    assert isinstance(store.claim(task("a"), timeout=None), Claim)  # the same helper brings it
    assert peer.ask("claim a 0") == "none"


def test_of_two_who_wait_one_computes_and_the_other_gets_that(directory: Path):
    """Both have seen that the owner gave up and left nothing; who comes second looks once more."""
    both_looked, answers = Barrier(2, timeout=60), Queue[tuple[EmbeddedStorage, Claim | Outcome | None]]()

    def meet(label: str) -> None:
        if label == "wait-shared":
            both_looked.wait()

    def wait(store: EmbeddedStorage) -> None:
        answers.put((store, store.claim(task("a"), timeout=None)))

    with EmbeddedStorage(directory) as owner, EmbeddedStorage(directory) as one, EmbeddedStorage(directory) as two:
        claim = taken(owner.claim(task("a")))
        threads = [Thread(target=wait, args=(store,)) for store in (one, two)]
        protocol.observe(meet)
        try:
            for thread in threads:
                thread.start()
            until_waited_for(directory, 2)
            owner.release(claim)
            heir, inherited = answers.get(timeout=60)
            until_waited_for(directory)
            heir.store(taken(inherited), 1.5, MADE)
            assert opened(answers.get(timeout=60)[1]) == 1.5
        finally:
            protocol.observe(None)
        for thread in threads:
            thread.join()


def test_who_does_not_wait_learns_that_another_process_is_at_it(store: EmbeddedStorage, peer: Peer):
    """Without a helper, and again and again."""
    assert peer.ask("claim a 0") == "claim"
    for _ in range(3):
        with pytest.raises(TimeoutError):
            store.wait_for_completion(task("a"), timeout=0)
    assert store.stats().helpers == 0
    peer.ask("release a")
    assert store.wait_for_completion(task("a"), timeout=0) is None


def test_when_an_owner_is_killed_exactly_one_waiter_inherits(store: EmbeddedStorage):
    with Peer(store.directory) as owner, Peer(store.directory) as first, Peer(store.directory) as second:
        assert owner.ask("claim a 0") == "claim"
        waiters = [first, second]
        for waiter in waiters:
            waiter.tell("claim a")
        until_waited_for(store.directory, 2)
        owner.kill()
        ready, _, _ = select.select([waiter.process.stdout for waiter in waiters], [], [])
        [heir] = [waiter for waiter in waiters if waiter.process.stdout in ready]
        waiters.remove(heir)
        assert heir.hear() == "claim"
        assert store.claim(task("a")) is None
        assert heir.ask("store a 3.0") == "done 3.0"
        assert waiters[0].hear() == "done 3.0"


def test_a_child_that_inherits_a_claim_holds_it_until_it_is_ended_here_or_the_child_dies_too(
    directory: Path, store: EmbeddedStorage
):
    owner = """
import subprocess, sys
from voxlogica.storage.conformance import task
from voxlogica.storage.embedded import EmbeddedStorage
store = EmbeddedStorage(sys.argv[1])
for name in "ab":
    claim = store.claim(task(name))
    with store.lent(claim) as descriptors:
        child = subprocess.Popen(["sleep", "1000"], pass_fds=descriptors)
    print(child.pid, flush=True)
    if name == "a":
        store.release(claim)
sys.stdin.read()
"""
    command = [sys.executable, "-c", owner, str(directory)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first, second = (int(process.stdout.readline()) for _ in "ab")
        assert isinstance(store.claim(task("a")), Claim), "ended by its owner"
        process.kill()
    assert store.claim(task("b")) is None, "the child has it"
    answers: list[object] = []
    thread = Thread(target=lambda: answers.append(store.claim(task("b"), timeout=None)))
    thread.start()
    until_waited_for(directory)
    os.kill(first, signal.SIGKILL)
    assert answers == []
    os.kill(second, signal.SIGKILL)
    thread.join(60)
    assert isinstance(answers[0], Claim)


def test_what_has_ended_is_not_lent(store: EmbeddedStorage):
    claim = taken(store.claim(task("a")))
    store.release(claim)
    with store.lent(claim) as descriptors:
        assert descriptors == ()


def test_a_waiter_that_is_killed_is_no_heir(store: EmbeddedStorage):
    claim = taken(store.claim(task("a")))
    with Peer(store.directory) as waiter, Peer(store.directory) as patient:
        waiter.tell("claim a")
        patient.tell("claim a")
        until_waited_for(store.directory, 2)
        waiter.kill()
        store.release(claim)
        assert patient.hear() == "claim"


def test_a_stopped_owner_keeps_its_claim_and_who_waits_is_told_in_time(store: EmbeddedStorage, peer: Peer):
    assert peer.ask("claim a 0") == "claim"
    assert peer.ask("run 0 a") == "running"
    peer.signal(signal.SIGSTOP)
    with pytest.raises(TimeoutError):
        store.wait_for_completion(task("a"), timeout=0.05)
    owners = [process.pid for process in store.processes() if task("a") in process.running.values()]
    assert owners == [peer.process.pid], "one can see who it is"
    peer.signal(signal.SIGCONT)
    assert peer.ask("store a 1.0") == "done 1.0"
    assert opened(store.wait_for_completion(task("a"))) == 1.0


def test_closing_lets_the_claims_go_and_wakes_who_waits(directory: Path, peer: Peer):
    store = EmbeddedStorage(directory)
    taken(store.claim(task("mine")))
    assert peer.ask("claim a 0") == "claim"
    answers: list[object] = []
    threads = [
        Thread(target=lambda: answers.append(store.wait_for_completion(task("a")))),
        Thread(target=lambda: answers.append(store.claim(task("a"), timeout=None))),
    ]
    for thread in threads:
        thread.start()
    until_waited_for(directory)
    while not (entry := store._claims._entries[task("a")]).heirs or not entry.waiting:
        os.sched_yield()
    store.close()
    for thread in threads:
        thread.join(60)
    assert answers == [None, None]
    assert peer.ask("claim mine 0") == "claim"
