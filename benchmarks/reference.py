"""The reference analysis: whole processes and inside one, on one case, on many, and for many thresholds.

    python -m benchmarks.reference [--case CASE] [--times N] [--json FILE]

Yardsticks of the same run: starting Python, and a careful SimpleITK script with the same results in every voxel
(`gbm_simpleitk.py`). Times are the shortest of several, in turns with the yardsticks' as neighbours on the machine come
and go. Byte code is compiled beforehand, as it is when installed. Needs `../shared/data`.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import os
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
SOURCE = Path(__file__).resolve().parents[1] / "src"
SCRIPT = Path(__file__).with_name("gbm_simpleitk.py")
CASE = "BraTS19_CBICA_AAP_1"
CASES = ("BraTS19_2013_10_1", "BraTS19_CBICA_AAP_1", "BraTS19_TCIA01_186_1")
PAIRS = [(hi, vi) for hi in (0.92, 0.93, 0.94, 0.95, 0.96) for vi in (0.84, 0.86, 0.88, 0.90)]


def process(command: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> tuple[float, float, float]:
    """Seconds, seconds of processor time and peak megabytes of a process that must succeed."""
    start = time.perf_counter()
    child = subprocess.Popen(command, cwd=cwd, stdout=subprocess.DEVNULL, env=environment)
    _, status, used = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} ended with {status}")
    return time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


# Inside one process: each of these is run by `python -m benchmarks.reference --inside NAME …` and prints JSON.


class Clock:
    """Adds up what each operator takes."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()

    def begin(self, counts: object) -> None:
        """Nothing to do."""

    def event(self, event: object) -> None:
        """A task was computed."""
        from voxlogica.execution.messages import Event

        assert isinstance(event, Event)
        if event.kind == "done":
            self.seconds[event.formula.label] += event.seconds
            self.calls[event.formula.label] += 1


def _settings(case: str, out: str) -> list[tuple[str, str]]:
    return [("INPUTDIR", case), ("NAME", Path(case).name), ("OUTPUTDIR", out)]


def case_inside(case: str, out: str, jobs: int, times: int) -> dict[str, object]:
    """The analysis, files included, several times in one process; the first pays for what is imported on the way."""
    from voxlogica.execution.messages import Counts  # noqa: F401 - what a run imports anyway
    from voxlogica.session import Given, Options, Run, Session
    from voxlogica.storage import MemoryStorage

    taken: list[tuple[float, float, Clock]] = []
    with Session(storage=MemoryStorage(limit=0), jobs=jobs) as session:
        for _ in range(times):
            clock = Clock()
            start, cpu = time.perf_counter(), time.process_time()
            program = session.load("gbm.imgql")
            given = [Given(name, value, name) for name, value in _settings(case, out)]
            prepared = program.settle(given, Options(jobs=jobs))
            list(Run(prepared, prepared.bind()).happenings(clock))
            taken.append((time.perf_counter() - start, time.process_time() - cpu, clock))
    seconds, _, clock = min(taken, key=lambda each: each[0])
    operators = [(label, clock.calls[label], each) for label, each in clock.seconds.most_common(12)]
    return {"first": taken[0][0], "best": seconds, "cpu": min(each[1] for each in taken), "operators": operators}


def sweep_inside(case: str, out: str, jobs: int, times: int) -> dict[str, object]:
    """20 pairs of thresholds, files included: one program, bound once and reduced for each pair; the four numbers."""
    from voxlogica.session import Given, Options, Run, Session
    from voxlogica.session.binding import Shared
    from voxlogica.storage import MemoryStorage

    taken = []
    for _ in range(times):
        start, cpu = time.perf_counter(), time.process_time()
        with Session(storage=MemoryStorage(limit=0), jobs=jobs) as session:
            program, shared = session.load("gbm.imgql"), Shared()
            given = [Given(*pair, pair[0]) for pair in _settings(case, out)]
            goals = []
            for hi, vi in PAIRS:
                both = [Given("hi", hi, "hi"), Given("vi", vi, "vi")]
                prepared = program.settle([*given, *both], Options(jobs=jobs), save=False)
                goals += Run(prepared, prepared.bind(shared)).wanted
            found = dict(session.engine.run(goals))
        taken.append((time.perf_counter() - start, time.process_time() - cpu))
        assert found
    return {"first": taken[0][0], "best": min(each[0] for each in taken), "cpu": min(each[1] for each in taken)}


def cases_inside(directory: str, out: str, jobs: int, times: int) -> dict[str, object]:
    """All cases of a directory in one process, with their outputs: one more in hand than cores, as a study has them."""
    from voxlogica.session import Given, Options, Run, Session
    from voxlogica.storage import MemoryStorage
    from voxlogica.study.window import Window

    taken = []
    for _ in range(times):
        start, cpu = time.perf_counter(), time.process_time()
        with Session(storage=MemoryStorage(limit=0), jobs=jobs) as session:
            program = session.load("gbm.imgql")

            def work(case: Path) -> Iterator[object]:
                given = [Given(name, value, name) for name, value in _settings(str(case), f"{out}/{case.name}")]
                prepared = program.settle(given, Options(jobs=jobs))  # noqa: B023 - the window ends before the turn
                yield from Run(prepared, prepared.bind()).happenings()

            list(Window(sorted(Path(directory).iterdir()), work, jobs + 1, session.close))
        taken.append((time.perf_counter() - start, time.process_time() - cpu))
    return {"first": taken[0][0], "best": min(each[0] for each in taken), "cpu": min(each[1] for each in taken)}


def variants(text: str) -> Iterator[tuple[str, str]]:
    """The analysis, and others like it: rules know no program, so these should take about as long."""
    yield "as published", text
    lines = text.splitlines()
    first = next(n for n, line in enumerate(lines) if line.startswith("print"))
    body, goals = lines[:first], lines[first:]
    yield "goals in the other order", "\n".join([*body, *reversed(goals)])
    yield "radius 3.7", text.replace("opened(5.0", "opened(3.7")
    yield "<= in place of <", text.replace("dt(a) <. r", "dt(a) <=. r")
    shared = ("brain", "hyperIntense", "veryIntense")
    yield "three more masks saved", text + "".join(f'save "$OUTPUTDIR/{name}.nii.gz" {name}\n' for name in shared)
    yield "percentiles scaled", text.replace("ranks >. hi", "(100 .* ranks) >. (hi .*. 100)")


def variants_inside(case: str, out: str, jobs: int, times: int) -> dict[str, object]:
    """Seconds and seconds of processor time of each variant, in turns; two of them on voxels that are not cubes."""
    from voxlogica.session import Given, Options, Run, Session
    from voxlogica.storage import MemoryStorage

    programs = dict(variants(Path("gbm.imgql").read_text()))
    places = {"spacing 1 1.5 2": "stretched", "the same, files of float32": "floats"}
    best = dict.fromkeys([*programs, *places], (math.inf, math.inf))
    for place in places.values():
        stretch(Path(case), Path(out) / place, place == "floats")
    with Session(storage=MemoryStorage(limit=0), jobs=jobs) as session:
        for _ in range(times):
            for name, known in best.items():
                start, cpu = time.perf_counter(), time.process_time()
                program = session.program(programs.get(name, programs["as published"]))
                place = str(Path(out) / places[name]) if name in places else case
                given = [Given(key, value, key) for key, value in _settings(place, out)]
                prepared = program.settle(given, Options(jobs=jobs))
                list(Run(prepared, prepared.bind()).happenings())
                now = time.perf_counter() - start, time.process_time() - cpu
                best[name] = min(now[0], known[0]), min(now[1], known[1])
    return {"first": best["as published"][0], "best": best["as published"][0], "cpu": best["as published"][1],
            "variants": best}  # fmt: skip


SPACING = (1.0, 1.5, 2.0)


def stretch(case: Path, target: Path, floats: bool = False) -> None:
    """The same voxels at other distances: as the file has them, or as float32, twice as much to unpack."""
    from voxlogica import images
    from voxlogica.values import Space

    target.mkdir(parents=True, exist_ok=True)
    for kind in ("flair", "seg"):
        path = case / f"{case.name}_{kind}.nii.gz"
        if floats:
            leaf = images.bind(path)
            wide = Space(leaf.space.size, SPACING, leaf.space.origin, leaf.space.direction)
            made = images.encode("nii.gz", images.read(leaf.file, wide))
        else:
            made = gzip.compress(with_spacing(gzip.decompress(path.read_bytes())), 6)
        (target / f"{target.name}_{kind}.nii.gz").write_bytes(made)


def with_spacing(nifti: bytes) -> bytes:
    """A little-endian NIfTI-1 file with other distances: `pixdim`, and the columns of the rows of `sform`."""
    header = bytearray(nifti[:348])
    old = struct.unpack_from("<3f", header, 80)
    struct.pack_into("<3f", header, 80, *SPACING)
    for row in (280, 296, 312):
        entries = struct.unpack_from("<3f", header, row)
        scaled = (each * new / was for each, new, was in zip(entries, SPACING, old, strict=True))
        struct.pack_into("<3f", header, row, *scaled)
    return bytes(header) + nifti[348:]


INSIDE: Mapping[str, Callable[[str, str, int, int], dict[str, object]]] = {
    "case": case_inside,
    "sweep": sweep_inside,
    "cases": cases_inside,
    "variants": variants_inside,
}


def make_cases(directory: Path, count: int = 10) -> None:
    """The real cases, and noisy copies of them, so that no two files are the same; the background stays."""
    import numpy as np

    from voxlogica import images

    rng = np.random.default_rng(0)
    for number in range(count):
        source = CASES[number % len(CASES)]
        target = directory / f"case{number:02}"
        target.mkdir(parents=True)
        for kind in ("flair", "seg"):
            path = DATA / source / f"{source}_{kind}.nii.gz"
            copy = target / f"case{number:02}_{kind}.nii.gz"
            if number < len(CASES):
                copy.write_bytes(path.read_bytes())
                continue
            leaf = images.bind(path)
            model = images.read(leaf.file, leaf.space)
            array = model.array().copy()
            if kind == "flair":
                array += (array > 0) * rng.integers(0, 3, array.shape)
            copy.write_bytes(images.encode("nii.gz", type(model).of(model.space, array), f"{source} {number}"))


# The table


def _rows(case: str, out: str) -> Iterator[tuple[str, list[str]]]:
    sets = [f"--set={name}={value}" for name, value in _settings(case, out)]
    run = [sys.executable, "-m", "voxlogica", "run", "gbm.imgql", *sets]
    inputs = [f"{case}/{case}_{kind}.nii.gz" for kind in ("flair", "seg")]
    yield "python -c pass", [sys.executable, "-c", "pass"]
    yield "voxlogica version", [sys.executable, "-m", "voxlogica", "version"]
    yield "a trivial program", [sys.executable, "-m", "voxlogica", "run", f"{out}/trivial.imgql", "--no-store"]
    yield "SimpleITK script", [sys.executable, str(SCRIPT), *inputs, f"{out}/itk"]
    yield "the analysis, 2 jobs", [*run, "--no-store", "--jobs", "2"]
    yield "the analysis, 1 job", [*run, "--no-store", "--jobs", "1"]
    yield "the analysis, stored", [*run, "--store", f"{out}/store"]


def _same(out: Path) -> bool:
    """Whether the script's masks are ours."""
    from voxlogica import images

    def mask(path: Path) -> bytes:
        leaf = images.bind(path)
        return bytes(images.read(leaf.file, leaf.space).data)

    return all(mask(out / "itk" / name) == mask(out / name) for name in ("growTum.nii.gz", "gtv.nii.gz"))


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", default=CASE)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--inside", nargs=5, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        from voxlogica.kernels import memory

        memory.keep_freed()  # as the commands do, and so the next line
        sys.setswitchinterval(0.0005)
        name, what, out, jobs, times = arguments.inside
        if jobs == "1":
            os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])  # one core is what it says
        print(json.dumps(INSIDE[name](what, out, int(jobs), int(times))))
        return
    if not (DATA / arguments.case).is_dir():
        raise SystemExit(f"there is no {DATA / arguments.case}: the real cases are on this project's machines only")
    measured: dict[str, object] = {"load": os.getloadavg()[0]}
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory)
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        environment |= {"PYTHONPYCACHEPREFIX": f"{directory}/bytecode"}
        environment["PYTHONPATH"] = os.pathsep.join([str(SOURCE), str(SOURCE.parent)])
        (out / "trivial.imgql").write_text('print "two" 1 .+. 1\n')
        print(f"load {os.getloadavg()[0]:.1f}")
        print(f"{'whole process':34}{'seconds':>9}{'of cpu':>9}{'peak MB':>9}")
        best: dict[str, tuple[float, float, float]] = {}
        for round in range(arguments.times + 1):  # the first compiles byte code and fills the store
            for name, command in _rows(arguments.case, directory):
                if name == "SimpleITK script" and round > 3:
                    continue
                now = process(command, DATA, environment)
                if round:
                    known = best.get(name, now)
                    best[name] = min(now[0], known[0]), min(now[1], known[1]), max(now[2], known[2])
        for name, (seconds, cpu, peak) in best.items():
            print(f"{name:34}{seconds:9.3f}{cpu:9.3f}{peak:9.0f}")
        measured["processes"] = best
        script, ours = best["SimpleITK script"], best["the analysis, 2 jobs"]
        same = "the same" if _same(out) else "DIFFERENT"
        print(f"the script takes {script[0] / ours[0]:.1f} times as long, and {script[1] / ours[1]:.1f} times the cpu")
        print(f"its masks are {same}")
        make_cases(out / "cases")

        def inside(name: str, what: str, jobs: int, times: int) -> dict[str, object]:
            words = ["--inside", name, what, f"{directory}/out", str(jobs), str(times)]
            made = subprocess.run(
                [sys.executable, "-m", "benchmarks.reference", *words],
                cwd=DATA, env=environment, check=True, capture_output=True, text=True,
            )  # fmt: skip
            measured[f"{name}, {jobs} jobs"] = found = json.loads(made.stdout)
            assert isinstance(found, dict)
            return found

        print(f"\n{'in process, files included':34}{'first':>9}{'best':>9}{'of cpu':>9}")
        shown = (
            ("the analysis", "case", arguments.case, 10),
            ("20 threshold pairs", "sweep", arguments.case, 3),
            ("10 cases", "cases", str(out / "cases"), 5),
            ("variants", "variants", arguments.case, 5),
        )
        for label, name, what, times in shown:
            for jobs in (2, 1):
                found = inside(name, what, jobs, times)
                on = f"{label}, {'one core' if jobs == 1 else f'{jobs} jobs'}"
                print(f"{on:34}{found['first']:9.3f}{found['best']:9.3f}{found['cpu']:9.3f}")
        one, two = (cast("float", measured[f"cases, {jobs} jobs"]["best"]) for jobs in (1, 2))  # type: ignore[index]
        print(f"10 cases are {one / two:.2f} times as fast with two jobs as on one core")
        for jobs in (2, 1):
            timed = measured[f"variants, {jobs} jobs"]["variants"]  # type: ignore[index]
            whole, cpu = timed["as published"]
            print(f"\nvariants, {jobs} jobs: times the published one's seconds, and its cpu")
            for name, (seconds, used) in timed.items():
                print(f"  {name:32}{seconds / whole:9.2f}{used / cpu:9.2f}")
        operators = measured["case, 2 jobs"]["operators"]  # type: ignore[index]
        print("\noperator                 calls   seconds (of both threads together)")
        for label, calls, seconds in operators:
            print(f"{label:22}{calls:8}{seconds:10.4f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(measured, indent=1))


if __name__ == "__main__":
    main()
