"""The embedded store in one process: every backend's promises, and what is its own: files, damage, limits, records."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread, current_thread
from threading import enumerate as enumerate_threads

import apsw
import pytest

from voxlogica.storage import Claim, TaskId, protocol, slots
from voxlogica.storage.claims import Claims, _Waiter
from voxlogica.storage.conformance import BackendConformance, taken, task
from voxlogica.storage.embedded import EmbeddedStorage


class TestEmbeddedStorage(BackendConformance):
    @pytest.fixture(autouse=True)
    def _stores(self, tmp_path: Path) -> Iterator[None]:
        self.directory, self.made = tmp_path, list[EmbeddedStorage]()
        yield
        for store in self.made:
            store.close()

    flock = False

    def make(self) -> EmbeddedStorage:
        self.made.append(EmbeddedStorage(self.directory / f"store{len(self.made)}", flock=self.flock))
        return self.made[-1]


class TestWithoutLocksOnBytes(TestEmbeddedStorage):
    """Where a system has `flock` only; with so few slots that most of them are shared."""

    flock = True

    @pytest.fixture(autouse=True)
    def _few(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(slots.COUNTS, "claims", 4)


def test_an_heir_that_is_interrupted_passes_the_claim_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Ctrl-C just when the claim had been handed to it: nobody else would ever have it."""
    wait, interrupted = _Waiter.wait, list[bool]()

    def interrupt(waiter: _Waiter, timeout: float | None) -> bool:
        assert wait(waiter, timeout)
        raise KeyboardInterrupt

    def inherit() -> None:
        with pytest.raises(KeyboardInterrupt):
            store.claim(task("a"), timeout=None)
        interrupted.append(True)

    with EmbeddedStorage(tmp_path / "store") as store:
        monkeypatch.setattr(_Waiter, "wait", interrupt)
        claim = taken(store.claim(task("a")))
        thread = Thread(target=inherit)
        thread.start()
        while not store._claims._entries[task("a")].heirs:
            os.sched_yield()
        store.release(claim)
        thread.join()
        assert interrupted
        taken(store.claim(task("a")))


class Mutex:
    """The lock of some claims, after which something happens when it is let go: what may come in between then."""

    def __init__(self, claims: Claims, then: Callable[[], None]) -> None:
        self._mutex, self._then = claims._mutex, then

    def __enter__(self) -> None:
        self._mutex.acquire()

    def __exit__(self, *_: object) -> None:
        self._mutex.release()
        self._then()


def test_who_found_it_foreign_does_not_get_the_claim_that_another_thread_inherits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The owner may end between one's finding that it is foreign and one's leaving: two would compute it."""
    with EmbeddedStorage(tmp_path / "store") as other, EmbeddedStorage(tmp_path / "store") as store:
        held = taken(other.claim(task("a")))
        inherited: list[object] = []
        heir = Thread(target=lambda: inherited.append(store.claim(task("a"), timeout=None)), daemon=True)

        def inherit() -> None:
            entry = store._claims._entries.get(task("a"))
            if heir.ident is None and entry is not None and not entry.trying:
                heir.start()
                other.release(held)
                heir.join(60)

        monkeypatch.setattr(store._claims, "_mutex", Mutex(store._claims, inherit))
        assert store.claim(task("a")) is None
        assert [type(each) for each in inherited] == [Claim]


def test_who_waits_is_not_told_that_nobody_has_it_because_another_thread_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """One that only tries to claim may leave between another's finding its entry and its waiting there."""
    with EmbeddedStorage(tmp_path / "store") as other, EmbeddedStorage(tmp_path / "store") as store:
        held = taken(other.claim(task("a")))
        busy, waits = Event(), Event()

        def pause(label: str) -> None:
            if label == "claim-busy":
                busy.set()
                waits.wait(60)

        tries = Thread(target=store.claim, args=(task("a"),), daemon=True)
        protocol.observe(pause)
        try:
            tries.start()
            busy.wait(60)
        finally:
            protocol.observe(None)

        def leave() -> None:
            if current_thread() is not tries:
                waits.set()
                tries.join(60)

        monkeypatch.setattr(store._claims, "_mutex", Mutex(store._claims, leave))
        with pytest.raises(TimeoutError):
            store.wait_for_completion(task("a"), 0)
        other.release(held)


def until_nobody_helps() -> None:
    for thread in enumerate_threads():
        if thread.name == "voxlogica-wait":
            thread.join(60)


@pytest.mark.parametrize("flock", [False, True])
def test_what_a_helper_gets_while_the_store_is_closed_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flock: bool
):
    """It would be handed to one who no longer waits, and be this process's as long as that lives."""
    with EmbeddedStorage(tmp_path / "store", flock=flock) as other, EmbeddedStorage(tmp_path / "store") as store:
        held = taken(other.claim(task("a")))
        inner, looks, answers = store._claims, list[object](), list[object]()
        look = inner._look

        def closing(id: TaskId) -> object:
            looks.append(look(id))
            if len(looks) == 3:  # the heir's, the helper's when it has the lock with others, and when it has it alone
                inner.close()
            return looks[-1]

        monkeypatch.setattr(inner, "_look", closing)
        heir = Thread(target=lambda: answers.append(store.claim(task("a"), timeout=None)), daemon=True)
        heir.start()
        while not inner.helpers:
            os.sched_yield()
        other.release(held)
        heir.join(60)
        until_nobody_helps()
        assert (looks, answers) == ([None] * 3, [None])
        taken(other.claim(task("a")))


def test_who_waits_learns_what_its_helper_met_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with EmbeddedStorage(tmp_path / "store") as other, EmbeddedStorage(tmp_path / "store") as store:
        held = taken(other.claim(task("a")))
        look, met = store._claims._look, list[BaseException]()

        def busy(id: TaskId) -> object:
            if current_thread().name == "voxlogica-wait":
                raise apsw.BusyError("database is locked")
            return look(id)

        def wait() -> None:
            with pytest.raises(apsw.BusyError) as caught:
                store.claim(task("a"), timeout=None)
            met.append(caught.value)

        monkeypatch.setattr(store._claims, "_look", busy)
        heir = Thread(target=wait, daemon=True)
        heir.start()
        while not store._claims.helpers:
            os.sched_yield()
        other.release(held)
        heir.join(10)
        assert met


def test_when_there_is_no_thread_to_wait_with_the_next_who_comes_tries_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with EmbeddedStorage(tmp_path / "store") as other, EmbeddedStorage(tmp_path / "store") as store:
        held = taken(other.claim(task("a")))

        def none_left(_: Thread) -> None:
            raise RuntimeError("can't start new thread")

        with monkeypatch.context() as patch:
            patch.setattr(Thread, "start", none_left)
            for wait in (store.claim, store.wait_for_completion):
                with pytest.raises(RuntimeError):
                    wait(task("a"), timeout=60)  # type: ignore[operator]
        assert store.claim(task("a"), timeout=0) is None
        other.release(held)
        taken(store.claim(task("a"), timeout=60))
