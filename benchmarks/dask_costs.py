"""What dask.distributed costs, on a local cluster of two processes, warmed up; printed as JSON for `benchmarks.engine`.

It is given what is best for it. By default its scheduler hands a worker of one thread two tasks at a time and waits for
the answer, in messages that are held back for 2 and 5 ms to be sent together: a stream of trivial tasks then measures
these pauses (2 ms a task on the project's machine, whatever else happens) and not the work. With `worker-saturation`
infinite all tasks are handed out at once, which is `wide`; `as it comes` is the default, for comparison.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dask
from dask.distributed import Client, LocalCluster


def add(a: float, b: float) -> float:
    """A trivial task."""
    return a + b


def now() -> float:
    """When a task ends, by the clock that all processes of a machine share."""
    return time.monotonic()


def since(start: float) -> float:
    """How long ago a task of another process ended, now that its value is here."""
    return time.monotonic() - start


def held(fifo: str, marker: str) -> None:
    """Says who runs it and since when; the first to do so goes on for ever."""
    first = not Path(marker).exists()
    Path(marker).touch()
    Path(fifo).write_text(f"{os.getpid()} {time.monotonic()}\n")
    if first:
        signal.pause()


@contextmanager
def cluster(saturation: float) -> Iterator[Client]:
    """Two processes of one thread each, which have computed something."""
    settings = {"distributed.scheduler.worker-saturation": saturation}
    with (
        dask.config.set(settings),
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=logging.CRITICAL) as two,
        Client(two) as client,
    ):
        wide(client, 200)
        yield client


def wide(client: Client, tasks: int) -> float:
    """Microseconds per task of as many independent ones."""
    start = time.perf_counter()
    futures = client.map(add, [float(n) for n in range(tasks)], [1.0] * tasks, pure=False)
    assert client.gather(futures)[-1] == tasks
    return (time.perf_counter() - start) / tasks * 1e6


def wake_ups(client: Client, rounds: int) -> Iterator[float]:
    """Milliseconds from the end of a task in one process to the beginning of the task in the other that reads it."""
    one, other = client.scheduler_info()["workers"]
    for _ in range(rounds):
        first = client.submit(now, workers=one, pure=False)
        yield client.submit(since, first, workers=other, pure=False).result() * 1e3


def inheritances(client: Client, rounds: int) -> Iterator[float]:
    """Milliseconds from kill -9 of a worker to the beginning of its task in another."""
    with tempfile.TemporaryDirectory() as directory:
        for number in range(rounds):
            client.wait_for_workers(2)
            fifo, marker = Path(directory, f"fifo{number}"), Path(directory, f"marker{number}")
            os.mkfifo(fifo)
            future = client.submit(held, str(fifo), str(marker), pure=False)
            pid = int(fifo.read_text().split()[0])
            start = time.monotonic()
            os.kill(pid, signal.SIGKILL)
            yield (float(fifo.read_text().split()[1]) - start) * 1e3
            future.result()


def main(tasks: int, rounds: int) -> None:
    """Measures and prints."""
    found: dict[str, float] = {}
    with cluster(float("inf")) as client:
        found["wide"] = min(wide(client, tasks) for _ in range(3))
        found["wake-up"] = statistics.median(wake_ups(client, rounds))
        found["heir"] = statistics.median(inheritances(client, max(3, rounds // 10)))
    with cluster(1.1) as client:
        found["as it comes"] = min(wide(client, tasks) for _ in range(3))
    print(json.dumps(found))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
