"""The whole engine's cost: a trivial task, known and computed; 10^5 of them; sharing; two workers; and others' cost.

    python -m benchmarks.engine [--json FILE] [--quick]

The yardsticks of the same run are joblib.Memory, diskcache and dask.distributed (`pip install voxlogica[bench]`).
Stores lie in files, like theirs, but where a row says `no store`. What each gives for its microseconds differs: a cache
does not compute again what was computed before; the engine besides orders what depends on what, and shares it with all
processes. Times are the best of a few rounds, in turns where that can be.
"""

from __future__ import annotations

import gc
import hashlib
import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import diskcache
import joblib

from benchmarks.storage import inheritance, wakeups
from benchmarks.table import Measured, above, below, command, within
from voxlogica.execution.engine import ExecutionEngine, Finished
from voxlogica.formula import NUMBER, Formula, Formulas, Operator
from voxlogica.storage import MemoryStorage, StorageBackend
from voxlogica.storage.embedded import EmbeddedStorage

BLOCK = bytes(64 << 20)
KERNELS = 8


def add(a: float, b: float) -> float:
    """A trivial task."""
    return a + b


def operator(name: str, body: Callable[..., float], parameters: int, cost: str) -> Operator:
    """An operator of numbers; without a cost it is published."""
    named = tuple((f"a{n}", NUMBER) for n in range(parameters))
    return Operator(name, name, 1, named, NUMBER, body, "", cost=cost)


ADD = operator("add", add, 2, "scalar")


def wide(tasks: int) -> list[Formula]:
    """As many goals as tasks: each is published."""
    table = Formulas()
    one = table.constant(1.0)
    return [table.apply(ADD, (table.constant(float(n)), one)) for n in range(tasks)]


def chain(tasks: int) -> list[Formula]:
    """One goal at the end of a chain: the rest is private."""
    table = Formulas()
    formula = one = table.constant(1.0)
    for _ in range(tasks):
        formula = table.apply(ADD, (formula, one))
    return [formula]


def woven(tasks: int, layer: int = 1000) -> list[Formula]:
    """Layers of tasks, each of which reads two of the layer before; the goals are the last layer."""
    table = Formulas()
    last = [table.constant(float(n)) for n in range(layer)]
    for _ in range(tasks // layer):
        last = [table.apply(ADD, (last[n], last[n - 1])) for n in range(layer)]
    return last


def run(goals: Sequence[Formula], storage: StorageBackend, jobs: int = 2) -> float:
    """Seconds from goals to all outcomes, in an engine of their own."""
    gc.collect()
    with ExecutionEngine(storage, jobs=jobs) as engine:
        start = time.perf_counter()
        for _, outcome in engine.run(goals):
            assert isinstance(outcome, Finished)
        return time.perf_counter() - start


def stored(goals: Sequence[Formula], directory: Path) -> float:
    """The same on the store in a directory, opened anew."""
    with EmbeddedStorage(directory, durability="none") as storage:
        return run(goals, storage)


def trivial(directory: Path, few: int) -> Iterator[Measured]:
    """A task that costs nothing, by itself: computed and stored, and known."""
    tasks, fewer = 5000, 500
    goals = wide(tasks)
    joblib_add = joblib.Memory(directory / "joblib", verbose=0).cache(add)
    with diskcache.Cache(directory / "diskcache") as cache:
        diskcache_add = cache.memoize()(add)
        cold: list[tuple[float, ...]] = []
        warm: list[tuple[float, ...]] = []
        for number in range(few):
            place = directory / f"wide{number}"
            calls = [partial(joblib_add, float(number), float(n)) for n in range(fewer)]
            others = [partial(diskcache_add, float(number), float(n)) for n in range(tasks)]
            for times in (cold, warm):
                times.append((stored(goals, place) / tasks, timed(others) / tasks, timed(calls) / fewer))
    for name, times, most in (("a trivial task, computed and stored", cold, 150), ("a trivial task, known", warm, 20)):
        ours, disk, lib = (min(column) * 1e6 for column in zip(*times, strict=True))
        yield below(name, "µs", ours, most)
        yield within("", "µs", ours, "diskcache, memoize", disk, 1)
        yield within("", "µs", ours, "joblib.Memory", lib, 1)
    bare = min(run(goals, MemoryStorage(None)) for _ in range(few)) / tasks
    yield Measured("a trivial task, no store", "µs", bare * 1e6)


def timed(calls: Sequence[Callable[[], object]]) -> float:
    """Seconds of some calls, one after the other."""
    start = time.perf_counter()
    for call in calls:
        call()
    return time.perf_counter() - start


def graphs(directory: Path, tasks: int) -> Iterator[Measured]:
    """Many tasks, whole runs: cold on an empty store, and again by an engine that knows nothing yet."""
    for name, make in (("goals", wide), ("in a chain", chain), ("in layers, 1000 goals", woven)):
        goals, place = make(tasks), directory / make.__name__
        yield below(f"{tasks} tasks, {name}: cold", "s", stored(goals, place), 15 * tasks / 1e5)
        yield below("... warm", "s", stored(goals, place), 2 * tasks / 1e5)


def against_dask(directory: Path, few: int) -> Iterator[Measured]:
    """dask.distributed, in processes of its own: trivial tasks, waking another process, inheriting from a dead one."""
    words = [sys.executable, "-m", "benchmarks.dask_costs", "2000", str(10 * few)]
    made = subprocess.run(words, cwd=Path(__file__).parents[1], check=True, stdout=subprocess.PIPE, text=True)
    theirs = json.loads(made.stdout)
    goals = wide(2000)
    ours = min(stored(goals, directory / f"dask{n}") for n in range(few)) / 2000 * 1e6
    yield within("2000 tasks computed and stored, each", "µs", ours, "dask.distributed", theirs["wide"], 1)
    yield Measured("", "µs", ours, "the same, as it comes", theirs["as it comes"])
    first, _ = wakeups(directory, 1, 20 * few)
    woken = statistics.median(first)
    yield within("a value wakes a process that waits for it", "ms", woken, "dask.distributed", theirs["wake-up"], 1)
    heirs = statistics.median(inheritance(directory, few))
    yield within("an owner is killed, its heir begins", "ms", heirs, "dask.distributed", theirs["heir"], 1)


def wake_up(rounds: int) -> Iterator[Measured]:
    """From the end of a kernel in one engine to the outcome in 100 runs of another, which waits for its claim."""
    first, last = [], []
    for _ in range(rounds):
        ended, running, go = [0.0], threading.Event(), threading.Event()

        def kernel(ended: list[float] = ended, running: threading.Event = running, go: threading.Event = go) -> float:
            running.set()
            go.wait()
            ended[0] = time.perf_counter()
            return 1.0

        goal = Formulas().apply(operator("slow", kernel, 0, ""), ())
        storage = MemoryStorage()
        with ExecutionEngine(storage, jobs=1) as one, ExecutionEngine(storage, jobs=1) as two:
            owner = one.run([goal])
            running.wait()
            runs = [two.run([goal]) for _ in range(100)]
            go.set()
            next(iter(runs[0]))
            first.append((time.perf_counter() - ended[0]) * 1e3)
            for each in (owner, *runs[1:]):
                list(each)
            last.append((time.perf_counter() - ended[0]) * 1e3)
    yield Measured("100 runs wait for another engine: the first", "ms", statistics.median(first))
    yield Measured("... the last", "ms", statistics.median(last))


def two_workers(rounds: int) -> Iterator[Measured]:
    """Kernels that release the interpreter's lock, on one thread and on two."""

    def digest(seed: float) -> float:
        return float(hashlib.sha256(BLOCK).digest()[0]) + seed

    kernel, table = operator("digest", digest, 1, ""), Formulas()
    goals = [table.apply(kernel, (table.constant(float(n)),)) for n in range(KERNELS)]
    both = [(run(goals, MemoryStorage(), 1), run(goals, MemoryStorage(), 2)) for _ in range(rounds)]
    one, two = (min(column) for column in zip(*both, strict=True))
    yield above("two workers, as fast as one", "x", one / two, 1.7)


def measure(directory: Path, quick: bool) -> Iterator[Measured]:
    """Everything, in order."""
    few = 2 if quick else 5
    yield from trivial(directory, few)
    yield from graphs(directory, 20_000 if quick else 100_000)
    yield from wake_up(2 * few)
    yield from two_workers(few)
    yield from against_dask(directory, few)


if __name__ == "__main__":
    sys.exit(command(__doc__, measure))
