"""The embedded store, bare: what a hit, a miss, a wake-up, an inheritance, a write among others and a volume cost.

    python -m benchmarks.storage [--json FILE] [--quick]

Each number stands beside a yardstick of the same run, taken in turns with it, since the machine's speed changes: the
caches `diskcache` and `joblib.Memory` (`pip install voxlogica[bench]`), SQLite's own way of waiting, a plain write.
Times are medians; of a number's hits and misses, the best round. Nothing is flushed to the disk, here nor there.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from threading import Thread

import diskcache
import joblib
import numpy as np

from benchmarks.table import Measured, below, command, within
from voxlogica.execution.threads import AT_ONCE
from voxlogica.storage import Claim, Done, Provenance, Publication
from voxlogica.storage.embedded import EmbeddedStorage
from voxlogica.storage.locks import ByteLocks, LockFile, byte_of
from voxlogica.values import Image, Space

MADE = Provenance(
    "add", 1, (sha256(b"argument").digest(),), 0.001, 32, 1.7e9, "host", (("numpy", "2.0"),), "a.imgql:1:1"
)  # type: ignore[arg-type]
VOLUME = Space.grid(240, 240, 155)


def ids(count: int) -> list[bytes]:
    """Ids nobody has used."""
    return [os.urandom(32) for _ in range(count)]


def in_turns(rounds: int, *actions: Callable[[list[bytes]], object], count: int = 250) -> list[float]:
    """The microseconds per id of each action, in its best round; they take turns, with fresh ids."""
    times: list[list[float]] = [[] for _ in actions]
    for _ in range(rounds):
        some = ids(count)
        for action, seconds in zip(actions, times, strict=True):
            start = time.perf_counter()
            action(some)
            seconds.append((time.perf_counter() - start) / count * 1e6)
    return [min(seconds) for seconds in times]


def trivial(directory: Path, rounds: int) -> Iterator[Measured]:
    """A number: computed and stored, looked up singly and in bulk."""
    store = EmbeddedStorage(directory / "ours", durability="none")
    cache = diskcache.Cache(directory / "diskcache")
    memory = joblib.Memory(directory / "joblib", verbose=0)
    identity = memory.cache(_identity)

    def cold(some: list[bytes]) -> None:
        for id in some:
            claim = store.claim(id)  # type: ignore[arg-type]
            assert isinstance(claim, Claim)
            store.store(claim, 1.5, MADE)

    def hit(some: list[bytes]) -> None:
        for id in some:
            store.lookup(id).ref.open()  # type: ignore[arg-type, union-attr]

    def bulk(some: list[bytes]) -> None:
        for outcome in store.known(some).values():  # type: ignore[arg-type]
            assert isinstance(outcome, Done)
            outcome.ref.open()

    def their_cold(some: list[bytes]) -> None:
        for id in some:
            if cache.get(id) is None:
                cache.set(id, 1.5)

    def their_hit(some: list[bytes]) -> None:
        for id in some:
            cache.get(id)

    def joblib_some(some: list[bytes]) -> None:
        for id in some[:50]:
            identity(id)

    costs = in_turns(rounds, cold, their_cold, hit, their_hit, bulk, joblib_some, joblib_some)
    ours_cold, cache_cold, ours_hit, cache_hit, ours_bulk, joblib_cold, joblib_hit = costs
    yield within("cold: claim and store a number", "µs", ours_cold, "diskcache", cache_cold, 0.7)
    yield within("", "µs", ours_cold, "joblib.Memory", joblib_cold * 5, 1)
    yield within("hit: look up a number", "µs", ours_hit, "diskcache", cache_hit, 0.7)
    yield within("", "µs", ours_hit, "joblib.Memory", joblib_hit * 5, 1)
    yield within("hit: in bulk, as planning does", "µs", ours_bulk, "diskcache", cache_hit, 0.7)
    store.close()
    cache.close()


def _identity(key: bytes) -> float:
    return 1.5


@contextmanager
def forked(count: int, work: Callable[[int], None]) -> Iterator[list[int]]:
    """So many processes doing something; those that are left at the end are killed."""
    children = []
    for number in range(count):
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                work(number)
                status = 0
            finally:
                os._exit(status)
        children.append(pid)
    try:
        yield children
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def asleep(store: Path, count: int) -> None:
    """Returns when so many helpers wait for claims in the kernel."""
    inode = f":{(store / 'claims').stat().st_ino} "
    while sum("->" in line and inode in line for line in Path("/proc/locks").read_text().splitlines()) < count:
        time.sleep(0.001)


def wakeups(directory: Path, waiters: int, rounds: int) -> tuple[list[float], list[float]]:
    """Milliseconds from the beginning of `store` in one process to the value in hand in each of the others: the first
    of them, and the last."""
    some, path = ids(rounds), directory / f"wakeups{waiters}"
    EmbeddedStorage(path).close()
    read, write = os.pipe()

    def wait(_: int) -> None:
        with EmbeddedStorage(path) as store:
            os.write(write, struct.pack("d", 0.0))
            for id in some:
                outcome = store.claim(id, timeout=None)  # type: ignore[arg-type]
                assert isinstance(outcome, Done)
                outcome.ref.open()
                os.write(write, struct.pack("d", time.monotonic()))

    with EmbeddedStorage(path, durability="none") as store:
        claim = store.claim(some[0])  # type: ignore[arg-type]
        with forked(waiters, wait):  # what a forked process inherits holds no lock
            for _ in range(waiters):
                os.read(read, 8)
            first, last = [], []
            for number in range(rounds):
                following = store.claim(some[number + 1]) if number + 1 < rounds else None  # type: ignore[arg-type]
                asleep(path, waiters)
                assert isinstance(claim, Claim)
                start = time.monotonic()
                store.store(claim, 1.5, MADE)
                ends = sorted(struct.unpack("d", os.read(read, 8))[0] for _ in range(waiters))
                first.append((ends[0] - start) * 1e3)
                last.append((ends[-1] - start) * 1e3)
                claim = following
    return first, last


OWNER = """
import signal, sys
from voxlogica.storage.embedded import EmbeddedStorage
store = EmbeddedStorage(sys.argv[1])
claim = store.claim(bytes.fromhex(sys.argv[2]))
print("claimed", flush=True)
if sys.stdin.read(1):
    import time
    print(time.monotonic(), flush=True)
    store.release(claim)
signal.pause()
"""


def inheritance(directory: Path, rounds: int) -> tuple[list[float], list[float], list[float]]:
    """Milliseconds from kill -9 of an owner to its lock in the hands of one who waits for that alone, and to the claim
    in its heir's; and to the latter from an owner that gives up. The owner is a program of its own: the kernel frees
    its memory first, so that a large one takes longer to die."""
    path = directory / "heirs"
    free, killed, given_up = list[float](), list[float](), list[float]()
    with EmbeddedStorage(path) as mine:
        file = LockFile(path / "claims")

        def wait(id: bytes) -> float:
            locks = ByteLocks(file)
            locks.take(byte_of(id), wait=True)
            end = time.monotonic()
            locks.close()
            return end

        def inherit(id: bytes) -> float:
            claim = mine.claim(id, timeout=None)  # type: ignore[arg-type]
            end = time.monotonic()
            assert isinstance(claim, Claim)
            mine.release(claim)
            return end

        for number, id in enumerate(ids(3 * rounds)):
            times, heir = ((free, wait), (killed, inherit), (given_up, inherit))[number % 3]
            command = [sys.executable, "-c", OWNER, str(path), id.hex()]
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
                assert owner.stdin is not None
                assert owner.stdout is not None
                owner.stdout.readline()
                ends: list[float] = []
                thread = Thread(target=lambda heir=heir, id=id, ends=ends: ends.append(heir(id)))
                thread.start()
                asleep(path, 1)
                if times is given_up:
                    print("x", file=owner.stdin, flush=True)
                    start = float(owner.stdout.readline())
                else:
                    start = time.monotonic()
                    owner.kill()
                thread.join()
                owner.kill()
                times.append((ends[0] - start) * 1e3)
    return free, killed, given_up


def writers(count: int, seconds: float, opened: Callable[[], Callable[[bytes], object]]) -> list[float]:
    """Milliseconds of each write of several processes that do nothing else."""
    with tempfile.TemporaryFile() as results:

        def work(_: int) -> None:
            write, times = opened(), []
            until = time.monotonic() + seconds
            while (start := time.monotonic()) < until:
                write(os.urandom(32))
                times.append((time.monotonic() - start) * 1e3)
            os.write(results.fileno(), struct.pack(f"{len(times)}d", *times))

        with forked(count, work) as children:
            for pid in list(children):
                os.waitpid(pid, 0)
                children.remove(pid)
        results.seek(0)
        data = results.read()
    return sorted(struct.unpack(f"{len(data) // 8}d", data))


Opened = Callable[[], Callable[[bytes], object]]
"""Opens something, in the process that is to write, and returns what writes an id."""


def writing(directory: Path, durable: bool) -> tuple[Opened, Opened]:
    """A store, and SQLite with its own way of waiting; made, and opened by each process for itself."""
    mine, plain = directory / f"writers{durable}", directory / f"plain{durable}.db"
    EmbeddedStorage(mine).close()
    connection = sqlite3.connect(plain)
    connection.executescript("pragma journal_mode = wal; create table t (id blob primary key, value real);")
    connection.close()

    def ours() -> Callable[[bytes], object]:
        store = EmbeddedStorage(mine, durability="all" if durable else "none")

        def write(id: bytes) -> None:
            claim = store.claim(id)  # type: ignore[arg-type]
            assert isinstance(claim, Claim)
            store.store(claim, 1.5, MADE)

        return write

    def theirs() -> Callable[[bytes], object]:
        connection = sqlite3.connect(plain, timeout=60, isolation_level=None)
        connection.execute(f"pragma synchronous = {'full' if durable else 'normal'}")
        return lambda id: connection.execute("insert into t values (?, 1.5)", (id,))

    return ours, theirs


def nothing_shared() -> Callable[[bytes], object]:
    """What processes wait for that only need a processor: 70 µs of it."""
    return lambda id: sha256(id * 4000).digest()


def tails(directory: Path, rounds: int, seconds: float) -> Iterator[Measured]:
    """The worst of the writes of several processes on one catalogue, in turns with the yardsticks; medians of rounds.

    Eight processes wait for two cores whatever they do: what those wait that share nothing stands beside it.
    """
    for count, durable in ((8, False), (2, True)):
        ways = (*writing(directory, durable), nothing_shared)
        found = [[writers(count, seconds, way) for way in ways] for _ in range(rounds)]

        def at(part: float, found: list[list[list[float]]] = found) -> list[float]:
            """The time that so large a part of the writes did not exceed, of each way."""
            return [
                statistics.median(times[int(len(times) * part)] for times in way) for way in zip(*found, strict=True)
            ]

        name = f"{count} processes {'flush' if durable else 'write'}"
        for which, part in (("99.9 %", 0.999), ("worst", 1 - 1e-12)):
            mine, other, alone = at(part)
            yield within(f"{name}: {which}", "ms", mine, "SQLite's own waiting", other, 1)
            yield Measured("", "ms", mine, "as many that share nothing", alone)
        mine, other, _ = [statistics.median(len(times) for times in way) / seconds for way in zip(*found, strict=True)]
        yield Measured(f"{name}: throughput", "/s", mine, "SQLite's own waiting", other)


def many(directory: Path, count: int) -> Iterator[Measured]:
    """What is known of very many ids, and as many claimed and published as the engine does that has computed them."""
    with EmbeddedStorage(directory / "many", durability="none") as store:
        some = ids(count)
        start = time.perf_counter()
        for number in range(0, count, AT_ONCE):
            claims = [store.claim(id) for id in some[number : number + AT_ONCE]]  # type: ignore[arg-type]
            store.store_all([Publication(claim, 1.5, MADE) for claim in claims if isinstance(claim, Claim)])
        yield below(f"{count} values claimed and published", "s", time.perf_counter() - start, 3.4e-5 * count)
        start = time.perf_counter()
        assert len(store.known(some)) == count  # type: ignore[arg-type]
        yield below(f"{count} ids known", "s", time.perf_counter() - start, 0.8e-5 * count)


def volumes(directory: Path, rounds: int) -> Iterator[Measured]:
    """A volume of 36 MB: stored, and opened again by a process that has not verified it yet."""
    array = np.random.default_rng(1).random(VOLUME.shape, np.float32)
    image = Image.of(VOLUME, array)
    store = EmbeddedStorage(directory / "volumes", durability="none")
    plain, stores, writes, opens, reads = (
        directory / "plain",
        list[float](),
        list[float](),
        list[float](),
        list[float](),
    )
    for id in ids(rounds):
        start = time.perf_counter()
        claim = store.claim(id)  # type: ignore[arg-type]
        assert isinstance(claim, Claim)
        store.store(claim, image, MADE)
        stores.append((time.perf_counter() - start) * 1e3)
        start = time.perf_counter()
        with plain.open("wb") as file:
            file.write(image.data)
        plain.rename(directory / "renamed")
        writes.append((time.perf_counter() - start) * 1e3)
        (directory / "renamed").unlink()
        with EmbeddedStorage(directory / "volumes") as other:
            start = time.perf_counter()
            outcome = other.lookup(id)  # type: ignore[arg-type]
            assert isinstance(outcome, Done)
            outcome.ref.open()
            opens.append((time.perf_counter() - start) * 1e3)
            start = time.perf_counter()
            outcome.ref.open()
            reads.append((time.perf_counter() - start) * 1e3)
        store.collect(0)
    median = statistics.median
    yield Measured("store a volume of 36 MB", "ms", median(stores), "plain write", median(writes))
    yield Measured("open it, verified", "ms", median(opens), "plain write", median(writes))
    yield Measured("open it again", "ms", median(reads), "plain write", median(writes))
    store.close()


def measure(directory: Path, quick: bool) -> Iterator[Measured]:
    """Everything, in order."""
    few = 5 if quick else 25
    yield from trivial(directory, 4 * few)
    for waiters, rounds in ((1, 20 * few), (100, few)):
        first, last = wakeups(directory, waiters, rounds)
        if waiters == 1:
            yield below("a stored value wakes a process", "ms", statistics.median(first), 0.3)
        else:
            yield Measured("... 100 processes: the first", "ms", statistics.median(first))
            yield Measured("... 100 processes: the last", "ms", statistics.median(last))
    free, killed, given_up = map(statistics.median, inheritance(directory, 2 * few))
    yield below("an owner gives up, its heir has the claim", "ms", given_up, 2)
    yield below("an owner is killed, its heir has the claim", "ms", killed, 2)
    yield Measured("... of which the kernel takes to end it", "ms", free)
    yield from tails(directory, 1 if quick else 5, 1 if quick else 2)
    yield from many(directory, 10_000 if quick else 100_000)
    yield from volumes(directory, few)


if __name__ == "__main__":
    sys.exit(command(__doc__, measure))
