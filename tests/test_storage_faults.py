"""What an embedded store withstands: damage, full and read-only disks, removal, stopped writers, odd clocks."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest
from tests.storage_peer import BIG, Peer, blob, stored, until_waited_for

from voxlogica.errors import MachineError
from voxlogica.storage import Claim, Done, Failed, Missing, Publication, StoreFull, TaskId, locks, size
from voxlogica.storage.conformance import CIRCUMSTANCE, DEFINITE, MADE, gather, opened, taken, task
from voxlogica.storage.embedded import EmbeddedStorage


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def store(tmp_path: Path, said: list[str]) -> Iterator[EmbeddedStorage]:
    with EmbeddedStorage(tmp_path / "store", tell=said.append) as store:
        yield store


# Damage


def truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def emptied(path: Path) -> None:
    os.truncate(path, 0)


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def lengthened(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"\0")


@pytest.mark.parametrize("spoil", [truncated, emptied, flipped, lengthened, Path.unlink])
def test_a_spoilt_blob_is_a_miss_is_counted_and_is_computed_again(
    store: EmbeddedStorage, said: list[str], spoil: Callable[[Path], None]
):
    stored(store, "a")
    outcome = store.lookup(task("a"))
    spoil(blob(store))
    assert not store.verify().whole
    with pytest.raises(Missing):
        opened(outcome)
    assert store.lookup(task("a")) is None
    assert store.stats().damaged == 1
    assert len(said) == 1
    assert "damaged" in said[0]
    stored(store, "a")
    assert opened(store.lookup(task("a"))) == opened(outcome) == BIG
    assert store.verify().whole


@pytest.mark.parametrize(("number", "gone"), [(errno.EIO, True), (errno.EMFILE, False)])
def test_a_read_error_is_damage_and_a_lack_of_descriptors_is_not(
    store: EmbeddedStorage, monkeypatch: pytest.MonkeyPatch, number: int, gone: bool
):
    stored(store, "a")

    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr(store._blobs, "map", fail)
        with pytest.raises(Missing if gone else OSError):
            opened(store.lookup(task("a")))
    assert (store.lookup(task("a")) is None) == gone


def test_a_late_repairer_does_not_remove_the_successor(store: EmbeddedStorage, monkeypatch: pytest.MonkeyPatch):
    """It deletes the row and the blob that it has seen, not whatever has that id by then."""
    stored(store, "a")
    with EmbeddedStorage(store.directory) as late:
        seen, delete = late.lookup(task("a")), late._delete
        flipped(blob(store))

        def delete_late(rows: Iterable[tuple[TaskId, str]]) -> None:
            with pytest.raises(Missing):
                opened(store.lookup(task("a")))
            stored(store, "a")
            delete(rows)

        monkeypatch.setattr(late, "_delete", delete_late)
        with pytest.raises(Missing):
            opened(seen)
        assert opened(late.lookup(task("a"))) == BIG
    assert opened(store.lookup(task("a"))) == BIG


def test_who_finds_its_file_gone_opens_that_of_the_row_there_is_now(store: EmbeddedStorage):
    stored(store, "a")
    seen = store.lookup(task("a"))
    flipped(blob(store))
    with EmbeddedStorage(store.directory) as other:
        with pytest.raises(Missing):
            opened(other.lookup(task("a")))
        stored(other, "a")
    assert opened(seen) == BIG
    assert store.stats().damaged == 0


def test_a_spoilt_value_in_the_catalogue_is_a_miss(store: EmbeddedStorage):
    stored(store, "a", 1.5)
    store._write(lambda cursor: cursor.execute("update outcomes set body = zeroblob(8)"))
    with pytest.raises(Missing):
        opened(store.lookup(task("a")))
    assert store.lookup(task("a")) is None


def test_verify_names_what_is_wrong_and_repair_removes_it(store: EmbeddedStorage):
    stored(store, "a")
    stored(store, "b", 1.0)
    assert store.verify().whole
    flipped(blob(store))
    found = store.verify()
    assert [(problem.id, problem.what) for problem in found.problems] == [(task("a"), "differs from its digest")]
    assert (found.outcomes, found.repaired) == (2, False)
    assert store.verify(repair=True).problems == found.problems
    assert store.verify().whole
    assert store.lookup(task("a")) is None


def test_a_spoilt_catalogue_is_refused_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """When the spoilt part is read, and at once when the machine was started anew since it was last checked."""
    directory = tmp_path / "store"
    names = [f"task {number}" for number in range(200)]
    with EmbeddedStorage(directory) as store:
        for name in names:
            stored(store, name, bytes(1000))
    data = bytearray((directory / "catalog.db").read_bytes())
    for start in range(len(data) - 20 * 4096, len(data), 4096):
        data[start : start + 100] = bytes(range(100))
    (directory / "catalog.db").write_bytes(data)
    help = r"damaged(.|\n)*nothing is lost(.|\n)*remove or rename"
    with EmbeddedStorage(directory) as store, pytest.raises(MachineError, match=help):
        store.known(map(task, names))
    monkeypatch.setattr("voxlogica.storage.catalogue.boot_id", lambda: "another start")
    with pytest.raises(MachineError, match=help):
        EmbeddedStorage(directory)


@pytest.mark.parametrize(
    "content", [b"this is no database, but a text that someone has put here" * 100, b"SQLite format 3\0"]
)
def test_what_is_no_catalogue_is_refused(tmp_path: Path, content: bytes):
    directory = tmp_path / "store"
    EmbeddedStorage(directory).close()
    for log in directory.glob("catalog.db-*"):  # it has all pages yet: with it nothing is lost
        log.unlink()
    (directory / "catalog.db").write_bytes(content)
    with pytest.raises(MachineError, match="damaged"):
        EmbeddedStorage(directory)


# Schemas


def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path):
    directory = tmp_path / "store"
    with EmbeddedStorage(directory) as store:
        stored(store, "a")
        store._catalogue._connection.execute("pragma user_version = 99")
    with pytest.raises(MachineError, match="newer VoxLogicA"):
        EmbeddedStorage(directory)
    assert blob(store).exists()


def test_a_store_of_schema_1_opens(tmp_path: Path):
    """`tests/data/store-1.sql` is what schema 1 looked like; whatever comes later must read it."""
    directory = tmp_path / "store"
    EmbeddedStorage(directory).close()
    (directory / "catalog.db").unlink()
    dump = Path(__file__).parent / "data" / "store-1.sql"
    script = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).executescript(open(sys.argv[2]).read())"
    subprocess.run([sys.executable, "-c", script, str(directory / "catalog.db"), str(dump)], check=True)
    with EmbeddedStorage(directory) as store:
        assert opened(store.lookup(task("number"))) == 0.1
        assert opened(store.lookup(task("text"))) == "é"
        assert store.lookup(task("failure")) == Failed(DEFINITE)
        assert store.provenance(task("number")) == replace(MADE, bytes=size(0.1))
        assert [run.program for run in store.records.runs()] == ["a.imgql"]
        stored(store, "new")
        assert store.verify().whole


# Full, read-only, removed


@contextlib.contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """As if the disk were full: a write beyond this size fails with EFBIG."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def test_of_several_one_that_was_stored_meanwhile_stays(store: EmbeddedStorage):
    claims = [taken(store.claim(task(name))) for name in "abc"]
    store.offer(task("b"), 7.0, MADE)
    found = store.store_all([Publication(claim, float(n), MADE) for n, claim in enumerate(claims)])
    assert [opened(each) for each in found] == [0.0, 7.0, 2.0]


def test_of_several_that_the_disk_does_not_take_each_is_told_and_let_go(store: EmbeddedStorage):
    several = [Publication(taken(store.claim(task(name))), name * 3000, MADE) for name in "abcdefgh"]
    log = store.directory / "catalog.db-wal"
    with files_no_larger_than(log.stat().st_size + 12_000):  # room for one or two
        found = store.store_all(several)
    kept = {name for name, each in zip("abcdefgh", found, strict=True) if isinstance(each, Done)}
    assert len(kept) < len(several)
    assert all(isinstance(each, StoreFull) for name, each in zip("abcdefgh", found, strict=True) if name not in kept)
    for name in "abcdefgh":
        answer = store.claim(task(name))
        assert isinstance(answer, Done if name in kept else Claim), name


def test_a_blob_the_disk_does_not_take_releases_the_claim_and_leaves_nothing(store: EmbeddedStorage, said: list[str]):
    claim = taken(store.claim(task("a")))
    value = bytes(1_000_000)
    with files_no_larger_than(500_000):
        with pytest.raises(StoreFull):
            store.store(claim, value, MADE)
        assert not store.accepts(len(value)), "asked before the next claim of this size"
        assert store.accepts(1000)
    assert len(said) == 1
    assert "in memory only" in said[0]
    assert store.stats().refused == 1
    assert list((store.directory / "tmp").iterdir()) == []
    assert list((store.directory / "blobs").glob("*/*")) == []
    stored(store, "a", value)
    assert opened(store.lookup(task("a"))) == value


def test_a_catalogue_the_disk_does_not_take_fails_the_batch_and_recovers(store: EmbeddedStorage):
    stored(store, "a", 1.0)
    claim = taken(store.claim(task("b")))
    log = store.directory / "catalog.db-wal"
    with files_no_larger_than(log.stat().st_size), pytest.raises(StoreFull):
        store.store(claim, 2.0, MADE)
    assert store.lookup(task("b")) is None
    stored(store, "b", 2.0)
    assert opened(store.lookup(task("a"))) == 1.0
    assert opened(store.lookup(task("b"))) == 2.0
    assert store.verify().whole


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(disk)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_disk_that_is_full_takes_nothing_loses_nothing_and_goes_on_when_there_is_room(
    small_disk: Path, said: list[str]
):
    """Blobs first; then, with not a byte left, the catalogue."""
    rest = small_disk / "rest"
    value = bytes(5_000_000)
    with EmbeddedStorage(small_disk / "store", limit=10**9, tell=said.append) as store, Peer(store.directory) as peer:
        refused = 0
        for name in "abcdefgh":
            try:
                stored(store, name, value)
            except StoreFull:
                refused += 1
                assert not store.accepts(len(value))
                assert peer.ask("claim", name, 0) == "claim", "its claim has ended"
                assert peer.ask("release", name) == "released"
        assert refused == 8 - store.stats().outcomes >= 3
        with rest.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(4096)) == 4096:
                pass
        failed = 0
        for number in range(20):
            try:
                stored(store, str(number), bytes(4000))
            except StoreFull:
                failed += 1
        assert failed
        assert opened(store.lookup(task("a"))) == value
        assert sum("memory only" in sentence for sentence in said) == 1
        rest.unlink()
        assert store.verify().whole
        assert store.collect(5_500_000).outcomes
        stored(store, "last", value)
        assert opened(store.lookup(task("last"))) == value
        assert store.cleanup_failed_executions().orphans == 0
        assert list((store.directory / "tmp").iterdir()) == []


def test_a_blob_whose_row_is_not_taken_is_removed(store: EmbeddedStorage, monkeypatch: pytest.MonkeyPatch):
    claim = taken(store.claim(task("a")))

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store._catalogue, "_commit", refuse)
    with pytest.raises(StoreFull):
        store.store(claim, BIG, MADE)
    assert list((store.directory / "blobs").glob("*/*")) == []


def test_a_value_over_the_limit_is_refused(tmp_path: Path):
    with EmbeddedStorage(tmp_path / "store", limit=10_000) as store:
        assert not store.accepts(len(BIG))
        with pytest.raises(StoreFull):
            stored(store, "a")
        assert isinstance(store.claim(task("a")), Claim), "the claim has ended"


def without_privileges() -> None:
    """In a child before exec: even root is bound by the permissions of files."""
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP; fails, and need not, for others than root


def read_only(script: str, directory: Path) -> list[str]:
    """The lines a script prints that is run while nothing in the directory may be written."""
    for path in [directory, *directory.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    command = [sys.executable, "-c", script, str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=without_privileges, check=False)
    for path in [directory, *directory.rglob("*")]:
        path.chmod(0o755)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_read_only_store_is_read_and_refuses_values(tmp_path: Path):
    with EmbeddedStorage(tmp_path / "store") as store:
        stored(store, "a")
    script = """
import sys
from voxlogica.storage import Claim, StoreFull
from voxlogica.storage.conformance import MADE, opened, task
from voxlogica.storage.embedded import EmbeddedStorage
said = []
with EmbeddedStorage(sys.argv[1], tell=said.append) as store:
    with store.pin([task("a")]):
        print(len(opened(store.lookup(task("a")))))
    claim = store.claim(task("b"))
    print(isinstance(claim, Claim), store.claim(task("b")), store.accepts(1))
    try:
        store.store(claim, 1.0, MADE)
    except StoreFull as error:
        print(error)
    print(isinstance(store.claim(task("b")), Claim), store.wait_for_completion(task("c")))
    print(said[0].startswith("the store"))
"""
    expected = [str(len(BIG)), "True None False", "read only", "True None", "True"]
    assert read_only(script, tmp_path / "store") == expected


def test_a_directory_one_may_not_write_to_is_refused_with_what_to_do(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    script = """
import sys
from voxlogica.errors import MachineError
from voxlogica.storage.embedded import EmbeddedStorage
for name in (sys.argv[1], sys.argv[1] + "/below"):
    try:
        EmbeddedStorage(name)
    except MachineError as error:
        print("--no-store" in error.diagnostics[0].help)
"""
    assert read_only(script, tmp_path / "empty") == ["True", "True"]


@pytest.mark.parametrize("what", ["all of it", "claims", "write.lock", "catalog.db-wal"])
def test_a_store_removed_while_in_use_is_left_and_the_run_goes_on(store: EmbeddedStorage, said: list[str], what: str):
    stored(store, "a", 1.0)
    claim = taken(store.claim(task("b")))
    if what == "all of it":
        shutil.rmtree(store.directory)
    else:
        (store.directory / what).unlink()
    with contextlib.suppress(StoreFull):
        store.store(claim, 2.0, MADE)
    again = store.claim(task("c"))
    assert isinstance(again, Claim), "claims go on among the threads of this process"
    with pytest.raises(StoreFull):
        store.store(again, 3.0, MADE)
    assert store.stats().lost
    assert sum("removed" in sentence for sentence in said) == 1
    assert not store.accepts(1)
    assert store.wait_for_completion(task("d")) is None


def test_who_waits_when_the_store_is_removed_is_woken(store: EmbeddedStorage):
    with Peer(store.directory) as peer:
        assert peer.ask("claim a 0") == "claim"
        answers: list[object] = []
        thread = Thread(target=lambda: answers.append(store.wait_for_completion(task("a"))))
        thread.start()
        until_waited_for(store.directory)
        shutil.rmtree(store.directory)
        peer.ask("release a")
        thread.join(60)
    assert answers == [None]


@pytest.mark.parametrize("name", ["claims", "uses", "write.next", "write.lock"])
def test_a_lock_file_that_is_missing_is_an_error_that_says_what_to_do(tmp_path: Path, name: str):
    EmbeddedStorage(tmp_path / "store").close()
    (tmp_path / "store" / name).unlink()
    with pytest.raises(MachineError, match=f"lock file '{name}'(.|\n)*touch"):
        EmbeddedStorage(tmp_path / "store")


def test_a_directory_with_other_things_in_it_is_no_store(tmp_path: Path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(MachineError, match="not empty"):
        EmbeddedStorage(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_file_systems_that_are_not_local_are_refused_unless_one_insists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(locks, "file_system", lambda _: "nfs4")
    with pytest.raises(MachineError, match=r"nfs4 file system(.|\n)*PostgreSQL"):
        EmbeddedStorage(tmp_path / "store")
    EmbeddedStorage(tmp_path / "store", anywhere=True).close()


def test_the_file_system_is_that_of_the_innermost_mount(tmp_path: Path):
    mounts = tmp_path / "mountinfo"
    (tmp_path / "a b").mkdir()
    spaced = str(tmp_path / "a b").replace(" ", "\\040")
    mounts.write_text(
        "1 0 8:1 / / rw - ext4 /dev/sda rw\n"
        f"2 1 0:9 / {spaced} rw shared:1 - nfs4 host:/ rw\n"
        f"3 1 0:8 / {tmp_path}/a rw - tmpfs tmpfs rw\n"
    )
    assert locks.file_system(tmp_path / "a b" / "store", mounts) == "nfs4"
    assert locks.file_system(tmp_path / "abc", mounts) == "ext4"
    assert locks.file_system(tmp_path / "a", mounts) == "tmpfs"
    assert locks.file_system(tmp_path, tmp_path / "absent") == ""


def test_only_the_owner_may_look(store: EmbeddedStorage):
    stored(store, "a")
    modes = {path.stat().st_mode & 0o077 for path in [store.directory, *store.directory.rglob("*")]}
    assert store.directory.stat().st_mode & 0o077 == 0
    assert blob(store).stat().st_mode & 0o077 == 0
    assert modes  # what is below cannot be reached by others, whatever its mode


# Processes


def test_a_hundred_waiters_and_one_execution(tmp_path: Path):
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(Peer(tmp_path / "store")) for _ in range(8)]
        store = stack.enter_context(EmbeddedStorage(tmp_path / "store"))
        claim = taken(store.claim(task("a")))
        for peer in peers:
            peer.tell("claim a")
        until_waited_for(store.directory, len(peers))
        answers = gather([lambda: store.store(claim, 5.0, MADE), *[lambda: store.claim(task("a"), timeout=None)] * 92])
        assert {opened(answer) for answer in answers} == {5.0}
        assert [peer.hear() for peer in peers] == ["done 5.0"] * 8


def test_a_writer_stopped_in_the_gate_is_named_and_waited_for(tmp_path: Path):
    said: list[str] = []
    with Peer(tmp_path / "store") as peer, EmbeddedStorage(tmp_path / "store", tell=said.append) as store:
        assert store._gate is not None
        store._gate._patience = 0.01
        with subprocess.Popen(
            [sys.executable, "-c", f"""
import fcntl, os, signal
gate = os.open({str(tmp_path / "store" / "write.lock")!r}, os.O_RDWR)
fcntl.flock(gate, fcntl.LOCK_EX)
print("in", flush=True)
os.kill(os.getpid(), signal.SIGSTOP)
"""], stdout=subprocess.PIPE, text=True,
        ) as stopped:  # fmt: skip
            assert stopped.stdout is not None
            assert stopped.stdout.readline() == "in\n"
            assert peer.ask("claim b 0") == "claim", "claims need no gate"
            thread = Thread(target=lambda: stored(store, "a", 1.0))
            thread.start()
            while not said:
                os.sched_yield()
            assert store.lookup(task("a")) is None, "reading needs no gate"
            stopped.send_signal(signal.SIGCONT)
            thread.join(60)
        assert str(stopped.pid) in said[0]
        assert opened(store.lookup(task("a"))) == 1.0


def test_exit_with_fifty_blocked_helpers_does_not_hang(tmp_path: Path):
    script = """
import sys
from voxlogica.storage.conformance import task
from voxlogica.storage.embedded import EmbeddedStorage
store = EmbeddedStorage(sys.argv[1])
for number in range(50):
    assert store.claim(task(str(number)), timeout=0.001) is None
print(store.stats().helpers)
"""
    with EmbeddedStorage(tmp_path / "store") as store:
        for number in range(50):
            taken(store.claim(task(str(number))))
        command = [sys.executable, "-c", script, str(tmp_path / "store")]
        assert subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout == "50\n"


def test_who_inherits_notes_what_the_dead_were_running(tmp_path: Path):
    with EmbeddedStorage(tmp_path / "store") as store, Peer(tmp_path / "store") as owner:
        assert owner.ask("claim a 0") == "claim"
        with Peer(tmp_path / "store") as peer:
            assert peer.ask("run 3 b") == "running"
            peer.kill()
        assert store.suspects() == {}
        waiter = Thread(target=store.claim, args=(task("a"),), kwargs={"timeout": None})
        waiter.start()
        until_waited_for(store.directory)
        [helper] = [thread for thread in threading.enumerate() if thread.name == "voxlogica-wait"]
        assert owner.ask("release a") == "released"
        waiter.join()
        helper.join()
        assert store.suspects() == {task("b"): (1, 0)}


def test_what_a_killed_process_was_running_is_suspect(tmp_path: Path):
    with EmbeddedStorage(tmp_path / "store") as store:
        for times in (1, 2):
            with Peer(store.directory) as peer:
                assert peer.ask("run 3 a") == "running"
                peer.kill()
            store.bury()
            assert store.suspects() == {task("a"): (times, 0)}
        stored(store, "a", 1.0)
        assert store.suspects() == {}, "success clears"
        assert [store.killed(task("b")) for _ in range(3)] == [1, 2, 3]


def test_what_ran_when_the_machine_went_down_is_not_suspect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with EmbeddedStorage(tmp_path / "store") as store:
        with Peer(store.directory) as peer:
            assert peer.ask("run 3 a") == "running"
            peer.kill()
        monkeypatch.setattr("voxlogica.storage.embedded.boot_id", lambda: "another start")
        store.bury()
        assert store.suspects() == {}
        assert len(store.processes()) == 1, "its file is gone all the same"


def test_no_decision_uses_the_clock_of_the_wall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A day in the past: claims, waiting and failures are as ever."""
    with Peer(tmp_path / "store") as peer, EmbeddedStorage(tmp_path / "store") as store:
        assert peer.ask("claim a 0") == "claim"
        assert peer.ask("fail a circumstance") == "failed circumstance"
        yesterday = time.time() - 86400
        monkeypatch.setattr(time, "time", lambda: yesterday)
        claim = taken(store.claim(task("a")))
        peer.tell("wait a")
        until_waited_for(store.directory)
        store.mark_failed(claim, CIRCUMSTANCE)
        assert peer.hear() == "failed circumstance", "the newer one, whatever its time says"
        stored(store, "a", 1.0)
        assert peer.ask("lookup a") == "done 1.0"


def test_a_look_leaves_no_snapshot_behind(store: EmbeddedStorage):
    """Behind an unfinished cursor, what others commit would not be seen, and the log could not be cut."""
    for number in range(2000):
        store.offer(task(str(number)), float(number), MADE)
    assert len(store.known([task(str(number)) for number in range(2000)])) == 2000
    assert isinstance(store.lookup(task("1")), Done)
    assert store.provenance(task("1")) is not None
    script = (
        "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('pragma wal_checkpoint(truncate)').fetchone())"
    )
    command = [sys.executable, "-c", script, str(store.directory / "catalog.db")]
    assert subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout == "(0, 0, 0)\n", (
        "nobody reads"
    )
    assert not store._catalogue._connection.in_transaction


def test_nothing_but_sqlite_opens_the_catalogue(tmp_path: Path):
    """A descriptor of somebody else's, when it is closed, would take SQLite's locks along."""
    script = """
import sys
found = []
def look(event, given):
    if event == "open" and "catalog.db" in str(given[0]):
        found.append(given[0])
sys.addaudithook(look)
from voxlogica.storage.conformance import MADE, task
from voxlogica.storage.embedded import EmbeddedStorage
for _ in range(2):
    with EmbeddedStorage(sys.argv[1]) as store:
        store.offer(task("a"), 1.0, MADE)
        store.offer(task("b"), bytes(10_000), MADE)
        store.lookup(task("b")).ref.open()
        store.verify(repair=True), store.stats(), store.cleanup_failed_executions(), store.collect(0)
print(found)
"""
    command = [sys.executable, "-c", script, str(tmp_path / "store")]
    assert subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout == "[]\n"
