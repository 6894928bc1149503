"""A child that was forked, by Python or by C, has no store, holds no claim, and harms nobody when it ends."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.storage_peer import Peer, stored

from voxlogica.storage.conformance import MADE, opened, taken, task
from voxlogica.storage.embedded import EmbeddedStorage


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedStorage]:
    with EmbeddedStorage(tmp_path / "store") as store:
        yield store


def test_a_forked_child_has_no_store_and_takes_no_lock_along(store: EmbeddedStorage):
    claim = taken(store.claim(task("a")))
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            try:
                store.lookup(task("a"))
            except RuntimeError as error:
                os.write(write, str(error).encode())
            signal.pause()
        os._exit(0)
    try:
        assert os.read(read, 100) == b"the store is closed"
        with Peer(store.directory) as peer:
            assert peer.ask("claim a 0") == "none"
            peer.tell("wait a")
            store.store(claim, 1.0, MADE)
            assert peer.hear() == "done 1.0", "the child does not hold the lock"
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(read)
        os.close(write)
    stored(store, "b", 2.0)
    assert store.verify().whole


def test_a_child_that_ends_normally_harms_nobody(tmp_path: Path):
    """Its exit frees what it has inherited, and may neither close the parent's database nor remove its log."""
    script = """
import os, sys
from voxlogica.storage.conformance import MADE, task
from voxlogica.storage.embedded import EmbeddedStorage
store = EmbeddedStorage(sys.argv[1])
store.store(store.claim(task("a")), 1.0, MADE)
if os.fork():
    os.wait()
    store.store(store.claim(task("b")), 2.0, MADE)
    store.close()
"""
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "store")], check=True)
    with EmbeddedStorage(tmp_path / "store") as store:
        assert [opened(store.lookup(task(name))) for name in "ab"] == [1.0, 2.0]


C_FORK = """
import ctypes, os, signal, sys
from voxlogica.storage.conformance import DEFINITE, MADE, task
from voxlogica.storage.embedded import EmbeddedStorage
store = EmbeddedStorage(sys.argv[1])
claim = store.claim(task("a"))
if ctypes.CDLL(None).fork() == 0:
    for use in (
        lambda: store.lookup(task("a")), lambda: store.claim(task("b")), lambda: store.wait_for_completion(task("b")),
        lambda: store.store(claim, 1.0, MADE), lambda: store.mark_failed(claim, DEFINITE), store.records.runs,
        lambda: store.offer(task("b"), 1.0, MADE),
    ):
        try:
            use()
            print("done", flush=True)
        except (RuntimeError, ValueError) as error:
            print(error, flush=True)
    if sys.argv[2] == "stay":
        print(os.getpid(), flush=True)
        signal.pause()
    sys.exit()
if sys.argv[2] == "stay":
    sys.stdin.read()
os.wait()
store.store(claim, 1.0, MADE)
assert store.live.token in os.listdir(store.directory / "live")
"""


def in_child(lines: list[str]) -> None:
    assert (
        lines
        == ["the store is closed"] * 3
        + [f"the claim on task {task('a').hex()[:10]} has ended"] * 2
        + ["the store is closed"] * 2
    )


@pytest.mark.skipif(sys.platform != "linux", reason="that C has forked is noticed by what Linux does to memory")
def test_a_child_that_c_has_forked_has_no_store_and_ends_without_harm(tmp_path: Path):
    """Nobody asks Python what to do when C forks; the child finds out when it comes to the store, or ends."""
    command = [sys.executable, "-W", "ignore", "-c", C_FORK, str(tmp_path / "store"), "go"]
    in_child(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=60).stdout.splitlines())
    with EmbeddedStorage(tmp_path / "store") as store:
        assert opened(store.lookup(task("a"))) == 1.0
        assert store.verify().whole


@pytest.mark.skipif(sys.platform != "linux", reason="that C has forked is noticed by what Linux does to memory")
def test_a_child_that_c_has_forked_holds_no_claim_when_its_parent_is_killed(tmp_path: Path):
    command = [sys.executable, "-W", "ignore", "-c", C_FORK, str(tmp_path / "store"), "stay"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        in_child([parent.stdout.readline().rstrip() for _ in range(7)])
        child = int(parent.stdout.readline())
        parent.kill()
        parent.wait()
        try:
            with EmbeddedStorage(tmp_path / "store") as store:
                taken(store.claim(task("a")))
        finally:
            os.kill(child, signal.SIGKILL)


RELEASED = """
import ctypes, sys
from voxlogica.storage.conformance import task
from voxlogica.storage.embedded import EmbeddedStorage
store = EmbeddedStorage(sys.argv[1])
claim = store.claim(task("a"))
child = ctypes.CDLL(None).fork()
if child == 0:
    ctypes.CDLL(None).pause()
store.release(claim)
print(child, flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="where locks are those of open files, which a child has too")
def test_a_release_unlocks_although_a_child_of_c_has_the_file_open(tmp_path: Path):
    command = [sys.executable, "-W", "ignore", "-c", RELEASED, str(tmp_path / "store")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        try:
            with EmbeddedStorage(tmp_path / "store") as store:
                taken(store.claim(task("a")))
        finally:
            os.kill(child, signal.SIGKILL)
