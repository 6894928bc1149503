"""Another process on a store, driven line by line: `Peer` here, `python -m tests.storage_peer STORE` there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from voxlogica.storage import Claim, Failed, Missing, Outcome, StoreFull, TaskError
from voxlogica.storage.conformance import CIRCUMSTANCE, DEFINITE, MADE, taken, task
from voxlogica.storage.embedded import EmbeddedStorage
from voxlogica.values import Value

BIG = bytes(range(256)) * 100
"""A value that is a blob."""


def stored(store: EmbeddedStorage, name: str, value: float | bytes = BIG) -> None:
    """Claims a task and stores its value."""
    store.store(taken(store.claim(task(name))), value, MADE)


def blob(store: EmbeddedStorage) -> Path:
    """The only blob file there is."""
    [path] = (store.directory / "blobs").glob("*/*")
    return path


class Peer:
    """A process that has the store open. `ask` sends an order and waits for the answer; `tell` and `hear` apart."""

    def __init__(self, directory: Path, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.storage_peer", str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            env={**os.environ, **environment},
        )
        assert self.hear() == "ready"

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self.signal(signal.SIGCONT)
        self.process.kill()
        self.process.communicate()

    def tell(self, *order: object) -> None:
        assert self.process.stdin is not None
        print(*order, file=self.process.stdin, flush=True)

    def hear(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def ask(self, *order: object) -> str:
        self.tell(*order)
        return self.hear()

    def signal(self, number: int) -> None:
        if self.process.poll() is None:
            self.process.send_signal(number)

    def kill(self) -> None:
        """kill -9, and waits for the end."""
        self.process.kill()
        self.process.wait()

    def died(self) -> bool:
        """Whether it has killed itself; waits for its end."""
        return self.process.wait() == -signal.SIGKILL


def quick(usual: Path) -> Path:
    """Where the thousands of lock files of a store without locks on bytes are made in no time, if there is a place."""
    memory = Path("/dev/shm")
    return Path(tempfile.mkdtemp(dir=memory)) if os.access(memory, os.W_OK) else usual


def until_waited_for(directory: Path, waiters: int = 1) -> None:
    """Returns when so many helpers are asleep in the kernel, waiting for a claim in this store."""
    claims = directory / "claims"
    inodes = {str(path.stat().st_ino) for path in (claims, *(claims.iterdir() if claims.is_dir() else ()))}
    while True:  # "1: -> OFDLCK ADVISORY WRITE -1 fd:00:5678 0 0"
        lines = [line.split() for line in Path("/proc/locks").read_text().splitlines() if "->" in line]
        if sum(line[6].rpartition(":")[2] in inodes for line in lines) >= waiters:
            return
        os.sched_yield()


def value_of(text: str) -> Value:
    """`12.5` is a number, `*5000` so many bytes."""
    return bytes(range(256)) * (int(text[1:]) // 256) if text.startswith("*") else float(text)


def words(answer: Claim | Outcome | None) -> str:
    """An answer of the store as a word."""
    if answer is None:
        return "none"
    if isinstance(answer, Claim):
        return "claim"
    if isinstance(answer, Failed):
        return f"failed {answer.error.kind}"
    try:
        value = answer.ref.open()
    except Missing:
        return "missing"
    return f"done *{len(value)}" if isinstance(value, bytes) else f"done {value}"


def obey(store: EmbeddedStorage, claims: dict[str, Claim], order: list[str]) -> str:
    match order:
        case ["claim", name, *seconds]:
            answer = store.claim(task(name), timeout=float(seconds[0]) if seconds else None)
            if isinstance(answer, Claim):
                claims[name] = answer
            return words(answer)
        case ["store", name, value]:
            return words(store.store(claims.pop(name), value_of(value), MADE))
        case ["offer", name, value]:
            store.offer(task(name), value_of(value), MADE)
            return "offered"
        case ["fail", name, kind]:
            error: TaskError = DEFINITE if kind == "definite" else CIRCUMSTANCE
            return words(store.mark_failed(claims.pop(name), error))
        case ["release", name]:
            store.release(claims.pop(name))
            return "released"
        case ["wait", name, *seconds]:
            try:
                return words(store.wait_for_completion(task(name), timeout=float(seconds[0]) if seconds else None))
            except TimeoutError:
                return "timeout"
        case ["lookup", name]:
            return words(store.lookup(task(name)))
        case ["collect", limit]:
            return f"collected {store.collect(int(limit)).outcomes}"
        case ["run", slot, name]:
            assert store.live is not None
            store.live.running(int(slot), task(name))
            return "running"
        case ["close"]:
            store.close()
            return "closed"
    raise ValueError(order)


def main() -> None:
    claims: dict[str, Claim] = {}
    with EmbeddedStorage(sys.argv[1], anywhere=True) as store:
        print("ready", flush=True)
        for line in sys.stdin:
            try:
                answer = obey(store, claims, line.split())
            except StoreFull as error:
                answer = f"full {error}"
            print(answer, flush=True)


if __name__ == "__main__":
    main()
