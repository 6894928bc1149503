"""The claim protocol, every state of it: no promise is broken, planted mistakes are found, the code goes by it."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.storage_model import BUGS, Setting, Violation, explore
from tests.storage_peer import Peer, until_waited_for

from voxlogica.storage import Missing, StoreFull, catalogue, protocol
from voxlogica.storage.conformance import DEFINITE, MADE, opened, taken, task
from voxlogica.storage.embedded import EmbeddedStorage
from voxlogica.storage.protocol import LABELS, START, TRANSITIONS

SMALL = (
    Setting(workers=3, kills=2, gifts=1),
    Setting(workers=3, kills=1, spoils=1),
    Setting(workers=2, kills=1, spoils=1, gifts=1, collections=1, sweeper=True),
)


@pytest.mark.parametrize("setting", SMALL, ids=str)
def test_no_promise_is_broken(setting: Setting):
    assert explore(setting) > 50_000


def test_no_promise_is_broken_in_a_million_states():
    """Two workers, a collector and a sweeper; two killed anywhere, a blob spoilt, the power fails."""
    setting = Setting(workers=2, kills=2, spoils=1, power=1, collections=1, sweeper=True)
    assert explore(setting) > 1_000_000


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_mistake_is_found(bug: str):
    """In a setting that is clean without it: the last of the small ones has all of this, and more."""
    with pytest.raises(Violation):
        explore(Setting(workers=2, kills=1, spoils=1, collections=1, sweeper=True, bug=bug))


def test_the_code_has_the_steps_of_the_table_and_no_others():
    sources = Path(protocol.__file__).parent.glob("*.py")
    found = {label for source in sources for label in re.findall(r'step\("([a-z-]+)"\)', source.read_text("utf-8"))}
    found |= {"claim-locked", "claim-busy", "wait-shared", "wait-exclusive"}  # chosen in the argument
    assert found == set(LABELS)
    assert {after for follows in TRANSITIONS.values() for after in follows} == set(TRANSITIONS)


@pytest.fixture
def trace(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[int, str]]]:
    """The steps the code takes, each with its thread."""
    steps: list[tuple[int, str]] = []
    protocol.observe(lambda label: steps.append((threading.get_ident(), label)))
    monkeypatch.setattr(catalogue, "WAL", 50_000)
    yield steps
    protocol.observe(None)


def test_the_code_takes_the_steps_of_the_table(tmp_path: Path, trace: list[tuple[int, str]]):
    """In every thread each step may follow the one before; `START` lies between, where the table has it there."""
    value = bytes(10_000)
    with EmbeddedStorage(tmp_path / "store") as store, Peer(store.directory) as peer:
        for number in range(30):
            store.store(taken(store.claim(task(f"blob {number}"))), value, MADE)
            store.store(taken(store.claim(task(f"small {number}"))), 1.0, MADE)
        store.offer(task("offered"), value, MADE)
        store.mark_failed(taken(store.claim(task("failed"))), DEFINITE)
        store.release(taken(store.claim(task("released"))))
        store.claim(task("small 1"))
        assert peer.ask("claim busy 0") == "claim"
        assert store.claim(task("busy")) is None
        waiter = threading.Thread(target=lambda: store.claim(task("busy"), timeout=None))
        waiter.start()
        until_waited_for(store.directory)
        peer.kill()
        waiter.join(60)
        [path, *_] = (store.directory / "blobs").glob(f"*/{task('blob 7').hex()}-*")
        path.write_bytes(b"spoilt")
        with pytest.raises(Missing):
            opened(store.lookup(task("blob 7")))
        path.with_name(f"{task('orphan').hex()}-0").write_bytes(b"orphan")
        store.cleanup_failed_executions()
        store.collect(50_000)
        claim = taken(store.claim(task("too late")))
        shutil.rmtree(store.directory / "tmp")
        with pytest.raises(StoreFull):
            store.store(claim, value, MADE)
    last: dict[int, str] = {}
    for thread, label in trace:
        before = last.get(thread, START)
        follows = TRANSITIONS[before]
        assert label in follows or (START in follows and label in TRANSITIONS[START]), f"{label} after {before}"
        last[thread] = label
    assert all(START in TRANSITIONS[label] for label in last.values()), last
    assert {label for _, label in trace} == set(LABELS)
