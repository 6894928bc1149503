"""The reference analysis on one real case: seconds, peak memory, and where the time goes.

    python -m benchmarks.reference [CASE]

Yardsticks of the same run: starting Python, and SimpleITK reading the two inputs. Needs `../shared/data`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from voxlogica.execution.messages import Counts, Event
from voxlogica.session import Given, Options, Run, Session
from voxlogica.storage import MemoryStorage

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
CASE = "BraTS19_CBICA_AAP_1"


def process(*command: str, cwd: Path) -> tuple[float, float]:
    """Seconds and peak megabytes of a process that must succeed."""
    start = time.perf_counter()
    child = subprocess.Popen(command, cwd=cwd, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} ended with {status}")
    return time.perf_counter() - start, used.ru_maxrss / 1024


def best(*command: str, cwd: Path, times: int = 5) -> tuple[float, float]:
    """The shortest of several runs, and the highest peak."""
    runs = [process(*command, cwd=cwd) for _ in range(times)]
    return min(seconds for seconds, _ in runs), max(peak for _, peak in runs)


class Clock:
    """Adds up what each operator takes."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()

    def begin(self, counts: Counts) -> None:
        """Nothing to do."""

    def event(self, event: Event) -> None:
        """A task was computed."""
        if event.kind == "done":
            self.seconds[event.formula.label] += event.seconds
            self.calls[event.formula.label] += 1


def inside(case: str, out: Path) -> tuple[float, float, Clock]:
    """Seconds to bind and to compute in this process, with what each operator takes."""
    os.chdir(DATA)
    clock = Clock()
    given = [Given(name, value, name) for name, value in (("INPUTDIR", case), ("NAME", case), ("OUTPUTDIR", str(out)))]
    with Session(storage=MemoryStorage(limit=0)) as session:
        prepared = session.load("gbm.imgql").settle(given, Options(jobs=session.jobs))
        start = time.perf_counter()
        run = Run(prepared, prepared.bind())
        bound = time.perf_counter()
        list(run.happenings(clock))
        end = time.perf_counter()
    return bound - start, end - bound, clock


def main() -> None:
    """Measures and prints."""
    case = sys.argv[1] if len(sys.argv) > 1 else CASE
    if not (DATA / case).is_dir():
        raise SystemExit(f"there is no {DATA / case}: the real cases are on this project's machines only")
    with tempfile.TemporaryDirectory() as out:
        sets = [f"--set={name}={value}" for name, value in (("INPUTDIR", case), ("NAME", case), ("OUTPUTDIR", out))]
        python = [sys.executable, "-c", "pass"]
        command = [sys.executable, "-m", "voxlogica", "run", "gbm.imgql", *sets, "--no-store"]
        itk = "import SimpleITK, sys; [SimpleITK.ReadImage(path) for path in sys.argv[1:]]"
        inputs = [f"{case}/{case}_{kind}.nii.gz" for kind in ("flair", "seg")]
        print(f"{'':34}{'seconds':>9}{'peak MB':>9}")
        for name, words in (
            ("python -c pass", python),
            ("SimpleITK reads the inputs", [sys.executable, "-c", itk, *inputs]),
            ("the analysis, 2 jobs", [*command, "--jobs", "2"]),
            ("the analysis, 1 job", [*command, "--jobs", "1"]),
        ):
            seconds, peak = best(*words, cwd=DATA)
            print(f"{name:34}{seconds:9.3f}{peak:9.0f}")
        runs = [inside(case, Path(out)) for _ in range(3)]
    binding, computing, clock = min(runs, key=lambda run: run[0] + run[1])
    print(f"{'in process: bind':34}{binding:9.3f}")
    print(f"{'in process: compute and write':34}{computing:9.3f}")
    print("\noperator                 calls   seconds (of both threads together)")
    for label, seconds in clock.seconds.most_common(12):
        print(f"{label:22}{clock.calls[label]:8}{seconds:10.3f}")


if __name__ == "__main__":
    main()
