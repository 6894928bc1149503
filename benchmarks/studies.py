"""Studies: memory for a hundred cases beside one, a case's overhead, two workers, and the report's size.

    python -m benchmarks.studies [--json FILE] [--quick]

The cases are synthetic: a head with a lesion, and noise, so that no two are alike. Each study is a process of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.reference import SOURCE
from benchmarks.table import Measured, above, below, command, within
from voxlogica import images
from voxlogica.values import Image, Space

PROGRAM = """\
load flair = "$INPUTDIR/$CASE_flair.nii.gz"
load seg   = "$INPUTDIR/$CASE_seg.nii.gz"
let level  = 400
let image  = intensity(flair)
let lesion = maxvol(smoothen(image >. level, 4))
let manual = intensity(seg) >. 0
print "dice"  dice(lesion, manual)
print "above" avg(percentiles(image, image >. 0, 0.5), lesion)
print "ml"    volume_mm3(lesion) ./. 1000
"""


def make(directory: Path, count: int, size: int) -> None:
    """So many cases of `size` voxels along each axis, and the program."""
    directory.mkdir()
    (directory / "lesion.imgql").write_text(PROGRAM)
    space = Space.grid(size, size, size, spacing=(128 / size,) * 3)
    grid = np.mgrid[:size, :size, :size] / size - 0.5
    head, lesion = (grid**2).sum(0) < 0.2, ((grid - 0.1) ** 2).sum(0) < 0.03
    for number in range(count):
        noise = np.random.default_rng(number).normal(0, 40, head.shape)
        case = directory / f"c{number:04}"
        case.mkdir()
        for kind, voxels in (("flair", (300 * head + 200 * lesion + noise * head).round()), ("seg", lesion)):
            image = Image.of(space, voxels.astype(np.float32))
            (case / f"{case.name}_{kind}.nii.gz").write_bytes(images.encode("nii.gz", image))


def study(directory: Path, count: int, *more: str) -> tuple[float, float, float]:
    """Seconds, seconds of processor time and peak megabytes of a study of the first so many cases."""
    names = sorted(path.name for path in directory.iterdir() if path.is_dir())[:count]
    table = directory / "cases.csv"
    table.write_text("\n".join(["case,inputdir", *(f"{name},{name}" for name in names)]) + "\n")
    words = [sys.executable, "-m", "voxlogica", "batch", "lesion.imgql", "-q", "--cases", table.name, *more]
    return apart(words, directory)


_LAUNCHER = """
import json, os, sys, time
start = time.perf_counter()
_, status, used = os.wait4(os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=[
    (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]), 0)
print(json.dumps([time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]))
sys.exit(os.waitstatus_to_exitcode(status))
"""


def apart(words: list[str], directory: Path) -> tuple[float, float, float]:
    """Seconds, seconds of processor time and peak megabytes of a process, started by one that is small: a process's
    peak is at least the size of the one that it was forked from."""
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    launcher = [sys.executable, "-S", "-c", _LAUNCHER, *words]
    made = subprocess.run(launcher, cwd=directory, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    seconds, cpu, peak = json.loads(made.stdout)
    return seconds, cpu, peak


def memory(directory: Path, count: int) -> Iterator[Measured]:
    """The peak of many cases beside that of one, and of as many as are in hand at once."""
    make(directory, count, 128)
    one, three, many = (study(directory, cases, "--no-store", "-j", "2")[2] for cases in (1, 3, count))
    yield Measured("a case of 2 million voxels: peak memory", "MB", one)
    yield within(f"{count} cases, three in hand at once: peak", "MB", many, "one case", one, 2)
    yield within("", "MB", many, "three cases", three, 1.25)


def two_workers(directory: Path, rounds: int) -> Iterator[Measured]:
    """Ten cases on one processor and on two."""
    times = [[study(directory, 10, "--no-store", "-j", jobs)[0] for jobs in "12"] for _ in range(rounds)]
    one, two = (min(column) for column in zip(*times, strict=True))
    yield above("10 cases: two workers, as fast as one", "x", one / two, 1.7)


def overhead(directory: Path, count: int) -> Iterator[Measured]:
    """What a case costs that has next to nothing in it: computed, and again; and the report of all."""
    make(directory, count, 16)
    start, first, again = (study(directory, cases, "--store", "store") for cases in (1, count, count))
    yield below(f"{count} tiny cases, each", "ms", (first[0] - start[0]) / count * 1e3, 10)
    yield below("... again", "ms", (again[0] - start[0]) / count * 1e3, 2)
    yield within("... peak memory", "MB", first[2], "one case", start[2], 1.5)
    words = [sys.executable, "-m", "voxlogica", "report", "2", "--store", "store", "-o", "report.html"]
    seconds, _, _ = apart(words, directory)
    size = (directory / "report.html").stat().st_size
    yield Measured("... the report, pictures of 40 cases", "s", seconds)
    yield below("... its size", "MB", size / 1e6, 4)


def measure(directory: Path, quick: bool) -> Iterator[Measured]:
    """Everything, in order."""
    yield from memory(directory / "large", 20 if quick else 100)
    yield from two_workers(directory / "large", 1 if quick else 3)
    yield from overhead(directory / "tiny", 200 if quick else 1000)


if __name__ == "__main__":
    sys.exit(command(__doc__, measure))
