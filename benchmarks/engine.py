"""The engine's own cost: per trivial task, cold and known; what listening adds; sharing; speed-up. And the yardsticks'.

    python benchmarks/engine.py [--tasks 100000] [--repeat 3] [--json FILE]

The store is in memory, so that what is measured is the engine. joblib.Memory, diskcache and dask are measured in the
same run if they are installed; they store on disk (joblib, diskcache), or do not store (dask), so that the ratios are a
bound and not a race. Times are the best of the repetitions, by the wall clock; run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import platform
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from voxlogica.execution.engine import ExecutionEngine, Finished
from voxlogica.formula import NUMBER, Formula, Formulas, Operator
from voxlogica.storage import MemoryStorage

BLOCK = bytes(64 << 20)
KERNELS = 8


class Figure(NamedTuple):
    """A measurement: what, how much, in which unit, and what it should be at most."""

    name: str
    value: float
    unit: str
    target: float | None = None


def add(a: float, b: float) -> float:
    """A trivial task."""
    return a + b


def operator(name: str, body: Callable[..., float], parameters: int, cost: str) -> Operator:
    named = tuple((f"a{n}", NUMBER) for n in range(parameters))
    return Operator(name, name, 1, named, NUMBER, body, "", cost=cost)


ADD = operator("add", add, 2, "scalar")


def chain(tasks: int) -> list[Formula]:
    """One goal at the end of a chain."""
    table = Formulas()
    formula = one = table.constant(1.0)
    for _ in range(tasks):
        formula = table.apply(ADD, (formula, one))
    return [formula]


def wide(tasks: int) -> list[Formula]:
    """As many goals as tasks."""
    table = Formulas()
    one = table.constant(1.0)
    return [table.apply(ADD, (table.constant(float(n)), one)) for n in range(tasks)]


def best(repeat: int, action: Callable[[], float]) -> float:
    """The least of several measurements, in seconds."""
    found = []
    for _ in range(repeat):
        gc.collect()
        found.append(action())
    return min(found)


def run(goals: Sequence[Formula], storage: MemoryStorage, jobs: int = 2, **more: object) -> float:
    """Seconds from goals to all outcomes."""
    with ExecutionEngine(storage, jobs=jobs) as engine:
        start = time.perf_counter()
        for _, outcome in engine.run(goals, **more):  # type: ignore[arg-type]
            assert isinstance(outcome, Finished)
        return time.perf_counter() - start


def trivial_tasks(tasks: int, repeat: int) -> list[Figure]:
    figures = []
    for name, goals in (("chain", chain(tasks)), ("wide", wide(tasks))):
        cold = best(repeat, lambda goals=goals: run(goals, MemoryStorage(None)))  # type: ignore[misc]
        figures.append(Figure(f"{name}: cold, per task", cold / tasks * 1e6, "µs"))
        listened = best(repeat, lambda goals=goals: run(goals, MemoryStorage(None), listen=deque(maxlen=1).append))  # type: ignore[misc]
        figures.append(Figure(f"{name}: cold with a listener, per task", listened / tasks * 1e6, "µs"))
    storage = MemoryStorage(None)
    run(goals, storage)
    known = best(repeat, lambda: run(goals, storage))
    figures.append(Figure("wide: known, per task", known / tasks * 1e6, "µs", 20))
    return figures


def speed_up(_: int, repeat: int) -> list[Figure]:
    """Kernels that release the interpreter's lock, on one thread and on two."""

    def digest(seed: float) -> float:
        return float(hashlib.sha256(BLOCK).digest()[0]) + seed

    kernel = operator("digest", digest, 1, "")
    table = Formulas()
    goals = [table.apply(kernel, (table.constant(float(n)),)) for n in range(KERNELS)]
    one, two = (best(repeat, lambda jobs=jobs: run(goals, MemoryStorage(), jobs)) for jobs in (1, 2))  # type: ignore[misc]
    return [Figure("speed-up of 2 jobs over 1", one / two, "×")]


def wake_up(_: int, repeat: int) -> list[Figure]:
    """From the end of a kernel in one engine to the outcome in 100 runs of another, which waits for its claim."""
    times: list[float] = []
    for _ in range(max(5, repeat)):
        ended, running, go = [0.0], threading.Event(), threading.Event()

        def kernel(ended: list[float] = ended, running: threading.Event = running, go: threading.Event = go) -> float:
            running.set()
            go.wait()
            ended[0] = time.perf_counter()
            return 1.0

        goal = Formulas().apply(operator("slow", kernel, 0, ""), ())
        storage = MemoryStorage()
        with ExecutionEngine(storage, jobs=1) as one, ExecutionEngine(storage, jobs=1) as two:
            first = one.run([goal])
            running.wait()
            runs = [two.run([goal]) for _ in range(100)]
            go.set()
            next(iter(runs[0]))
            times.append(time.perf_counter() - ended[0])
            for each in (first, *runs[1:]):
                list(each)
    return [Figure("kernel's end to outcome in another engine", sorted(times)[len(times) // 2] * 1e3, "ms")]


# Yardsticks


def joblib_memory(tasks: int, repeat: int) -> list[Figure]:
    import joblib

    with tempfile.TemporaryDirectory() as place:
        cached = joblib.Memory(place, verbose=0).cache(add)
        start = time.perf_counter()
        for n in range(tasks):
            cached(float(n), 1.0)
        cold = time.perf_counter() - start

        def hit() -> float:
            start = time.perf_counter()
            for n in range(tasks):
                cached(float(n), 1.0)
            return time.perf_counter() - start

        return [
            Figure("joblib.Memory: cold, per call", cold / tasks * 1e6, "µs"),
            Figure("joblib.Memory: hit, per call", best(repeat, hit) / tasks * 1e6, "µs"),
        ]


def disk_cache(tasks: int, repeat: int) -> list[Figure]:
    import diskcache

    with tempfile.TemporaryDirectory() as place, diskcache.Cache(place) as cache:
        cached = cache.memoize()(add)
        start = time.perf_counter()
        for n in range(tasks):
            cached(float(n), 1.0)
        cold = time.perf_counter() - start

        def hit() -> float:
            start = time.perf_counter()
            for n in range(tasks):
                cached(float(n), 1.0)
            return time.perf_counter() - start

        return [
            Figure("diskcache: cold, per call", cold / tasks * 1e6, "µs"),
            Figure("diskcache: hit, per call", best(repeat, hit) / tasks * 1e6, "µs"),
        ]


def dask_threads(tasks: int, repeat: int) -> list[Figure]:
    from dask.threaded import get

    graph: dict[str, object] = {"x0": 1.0} | {f"x{n + 1}": (add, f"x{n}", 1.0) for n in range(tasks)}

    def once() -> float:
        start = time.perf_counter()
        get(graph, f"x{tasks}", num_workers=2)
        return time.perf_counter() - start

    return [Figure("dask, threads: chain, per task", best(repeat, once) / tasks * 1e6, "µs")]


def dask_distributed(tasks: int, repeat: int) -> list[Figure]:
    from dask.distributed import Client

    with Client(processes=False, n_workers=1, threads_per_worker=2, dashboard_address=None) as client:

        def once() -> float:
            start = time.perf_counter()
            client.gather(client.map(add, [float(n) for n in range(tasks)], [1.0] * tasks, pure=False))
            return time.perf_counter() - start

        return [Figure("dask.distributed: wide, per task", best(repeat, once) / tasks * 1e6, "µs")]


YARDSTICKS = (
    (joblib_memory, 1_000),
    (disk_cache, 5_000),
    (dask_threads, 10_000),
    (dask_distributed, 2_000),
)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args(arguments)
    figures: list[Figure] = []
    for measure, tasks in ((trivial_tasks, options.tasks), (speed_up, 0), (wake_up, 0), *YARDSTICKS):
        try:
            found = measure(min(tasks, options.tasks), options.repeat)
        except ImportError as error:
            print(f"({error.name} is not installed)", file=sys.stderr)
            continue
        for figure in found:
            target = "" if figure.target is None else f"   at most {figure.target:g}"
            print(f"{figure.name:<46}{figure.value:>10.2f} {figure.unit}{target}", flush=True)
        figures += found
    print()
    ratios = {
        f"{ours} / {theirs}": mine.value / other.value
        for mine in figures
        for other in figures
        if (ours := mine.name, theirs := other.name) in COMPARED
    }
    for name, ratio in ratios.items():
        print(f"{ratio:>8.3f}  {name}")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:  # noqa: PTH123
            json.dump(
                {
                    "figures": [figure._asdict() for figure in figures], "ratios": ratios, "tasks": options.tasks,
                    "python": platform.python_version(), "machine": platform.machine(),
                },
                file, indent=1, ensure_ascii=False,
            )  # fmt: skip
    missed = [figure for figure in figures if figure.target is not None and figure.value > figure.target]
    return 1 if missed else 0


COMPARED = {
    ("wide: cold, per task", "joblib.Memory: cold, per call"),
    ("wide: cold, per task", "diskcache: cold, per call"),
    ("wide: cold, per task", "dask.distributed: wide, per task"),
    ("chain: cold, per task", "dask, threads: chain, per task"),
    ("wide: known, per task", "joblib.Memory: hit, per call"),
    ("wide: known, per task", "diskcache: hit, per call"),
}
"""What is shown as a ratio: ours over theirs."""

if __name__ == "__main__":
    sys.exit(main())
