"""Processes on one store, killed at random and at every labelled step, with a collector at work; then everything is
compared. `run(kills)` is what the test and the soak call.

Workers are forked from here, before any of them opens the store, since starting Python a thousand times would take
longer than the test. Each goes through the tasks in an order of its own, computes what it can claim and waits for what
it cannot; a task's value follows from its number. A byte range lock of our own, on a descriptor lower than any of the
store's (they are closed in ascending order when a process dies), shows two that compute the same task at once.
"""

from __future__ import annotations

import fcntl
import os
import random
import signal
import struct
import subprocess
import sys
import time
import traceback
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from voxlogica.storage import Claim, Done, Missing, catalogue
from voxlogica.storage.conformance import MADE, opened, task
from voxlogica.storage.embedded import EmbeddedStorage
from voxlogica.storage.layout import lock_files
from voxlogica.storage.locks import ALL
from voxlogica.storage.protocol import LABELS, crash_at

WORKERS = 4
TASKS = 40

_OVERLAP, _WRONG = 3, 4  # exit statuses


def value_of(round: int, number: int) -> float | bytes:
    """What a task computes: a small value or a blob."""
    seed = random.Random(round * 1000 + number)
    return seed.random() if number % 2 else seed.randbytes(6000)


def name_of(round: int, number: int) -> str:
    return f"round {round} task {number}"


def work(directory: Path, round: int, seed: int, order: str | None, overlap: int, executions: int) -> int:
    """One worker's life; the exit status."""
    catalogue.WAL = 200_000  # so that checkpoints happen too
    if order is not None:
        crash_at(order)
    chance = random.Random(seed)
    numbers = list(range(TASKS))
    chance.shuffle(numbers)
    with EmbeddedStorage(directory) as store:
        for number in numbers:
            status = obtain(store, round, number, overlap, executions)
            if status:
                return status
            if chance.random() < 0.03:
                store.collect(chance.randrange(20_000, 200_000))
            if chance.random() < 0.01:
                store.cleanup_failed_executions()
            if chance.random() < 0.02:
                damage(store, chance)
    return 0


def damage(store: EmbeddedStorage, chance: random.Random) -> None:
    """Puts a spoilt copy in the place of some blob, at once, since the old one may be mapped."""
    assert store.live is not None
    blobs = list((store.directory / "blobs").glob("*/*"))
    if blobs:
        victim = chance.choice(blobs)
        try:
            data = bytearray(victim.read_bytes())
        except FileNotFoundError:
            return  # collected
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        copy = store.directory / "tmp" / f"{store.live.token}-damage"
        copy.write_bytes(data[: chance.choice((len(data), 100))])
        copy.rename(victim)


def obtain(store: EmbeddedStorage, round: int, number: int, overlap: int, executions: int) -> int:
    """Computes a task, or waits for who does; compares the value."""
    id, expected = task(name_of(round, number)), value_of(round, number)
    while True:
        answer = store.claim(id, timeout=None)
        if isinstance(answer, Claim):
            mine = struct.pack("@hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, round * TASKS + number, 1, 0)
            free = struct.pack("@hhqqi4x", fcntl.F_UNLCK, os.SEEK_SET, round * TASKS + number, 1, 0)
            try:
                fcntl.fcntl(overlap, fcntl.F_OFD_SETLK, mine)
            except BlockingIOError:
                return _OVERLAP
            os.write(executions, b"x")
            fcntl.fcntl(overlap, fcntl.F_OFD_SETLK, free)
            answer = store.store(answer, expected, MADE)
        if not isinstance(answer, Done):
            return _WRONG
        try:
            return 0 if answer.ref.open() == expected else _WRONG
        except Missing:
            continue  # collected before it was opened


@dataclass
class Tally:
    """What came out."""

    kills: int
    by_label: Counter[str]
    rounds: int
    executions: int
    deletions: int
    overlaps: int
    wrong: int
    missing: int
    left_locked: int
    leftovers: int
    catalogue: str
    problems: int
    seconds: float

    @property
    def repeated(self) -> int:
        """Executions that neither a kill nor a collection explains; negative when some kills cost nothing."""
        return self.executions - self.rounds * TASKS - self.kills - self.deletions

    @property
    def clean(self) -> bool:
        """Whether every promise was kept."""
        bad = (self.overlaps, self.wrong, self.missing, self.left_locked, self.leftovers, self.problems)
        return not any(bad) and self.repeated <= 0 and self.catalogue == "ok"


def run(directory: Path, kills: int, seed: int = 0, flock: bool = False) -> Tally:
    """Goes on until so many workers have been killed and everything is computed."""
    began = time.monotonic()
    chance = random.Random(seed)
    store = directory / "store"
    EmbeddedStorage(store, flock=flock).close()
    # A trigger counts what the collector deletes, also when it is killed right after; set up by another process.
    trigger = """create table deletions (n integer); create trigger count_deletions after delete on outcomes
        begin insert into deletions values (1); end;"""
    script = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).executescript(sys.argv[2])"
    subprocess.run([sys.executable, "-c", script, str(store / "catalog.db"), trigger], check=True)
    overlap = os.open(directory / "overlap", os.O_RDWR | os.O_CREAT)
    executions = os.open(directory / "executions", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    tally = Tally(0, Counter(), 0, 0, 0, 0, 0, 0, 0, 0, "", 0, 0.0)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    workers: dict[int, str | None] = {}
    finished = 0
    try:
        while workers or unfinished(tally, kills):
            while len(workers) < WORKERS and unfinished(tally, kills):
                order = None
                if chance.random() < 0.7:
                    rare = [label for label in LABELS if not tally.by_label[label]] or LABELS
                    order = f"{chance.choice(rare)}:{chance.choice((1, 1, 2, 3, 8, 20))}"
                workers[spawn(store, tally.rounds, chance.getrandbits(32), order, overlap, executions)] = order
            signal.sigtimedwait({signal.SIGCHLD}, chance.random() * 0.03)
            for pid, status in reap(workers):
                order = workers.pop(pid)
                code = os.waitstatus_to_exitcode(status)
                if code == -signal.SIGKILL:
                    tally.kills += 1
                    tally.by_label[order.partition(":")[0] if order else "at random"] += 1
                else:
                    tally.overlaps += code == _OVERLAP
                    tally.wrong += code not in (0, _OVERLAP)
                    finished += 1
                    if finished % 6 == 0:
                        tally.rounds += 1
            if workers and chance.random() < 0.25:
                victim = chance.choice(list(workers))
                workers[victim] = None
                os.kill(victim, signal.SIGKILL)
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    tally.rounds += 1
    examine(directory, tally, overlap, executions)
    tally.seconds = time.monotonic() - began
    return tally


def unfinished(tally: Tally, kills: int) -> bool:
    """Whether there are kills to come: so many, and one at each label; but not for ever."""
    return tally.kills < kills or (len(tally.by_label) <= len(LABELS) and tally.kills < 3 * kills)


def spawn(store: Path, round: int, seed: int, order: str | None, overlap: int, executions: int) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = 99
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        status = work(store, round, seed, order, overlap, executions)
    except BaseException:  # noqa: BLE001 - a child ends here, whatever happens; it is counted among the wrong ones
        traceback.print_exc()
    finally:
        os._exit(status)


def reap(workers: dict[int, str | None]) -> list[tuple[int, int]]:
    found = []
    for pid in workers:
        dead, status = os.waitpid(pid, os.WNOHANG)
        if dead:
            found.append((pid, status))
    return found


def examine(directory: Path, tally: Tally, overlap: int, executions: int) -> None:
    """Looks at what is left, when everybody is dead."""
    path = directory / "store"
    for file in lock_files(path):
        locks = file.locks()
        tally.left_locked += not locks.take(0, ALL + 2)
        locks.close()
    for name in ("write.next", "write.lock"):
        descriptor = os.open(path / name, os.O_RDWR)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tally.left_locked += 1
        os.close(descriptor)
    with EmbeddedStorage(path) as store:
        for round in range(tally.rounds):
            for number in range(TASKS):
                status = obtain(store, round, number, overlap, executions)
                tally.overlaps += status == _OVERLAP
                tally.wrong += status == _WRONG
        for round in range(tally.rounds):
            for number in range(TASKS):
                outcome = store.lookup(task(name_of(round, number)))
                tally.missing += outcome is None or opened(outcome) != value_of(round, number)
        store.cleanup_failed_executions()
        verified = store.verify()
        tally.problems, tally.catalogue = len(verified.problems), verified.catalogue
        rows = {f"{row[0].hex()}-{row[1]}" for row in store._read("select id, suffix from outcomes where body is null")}
        files = {file.name for file in (path / "blobs").glob("*/*")}
        others = [entry for entry in (path / "live").iterdir() if store.live and entry.name != store.live.token]
        tally.leftovers = len(files ^ rows) + len(list((path / "tmp").iterdir())) + len(others)
        [(tally.deletions,)] = store._read("select count(*) from deletions")
    tally.executions = os.fstat(executions).st_size
