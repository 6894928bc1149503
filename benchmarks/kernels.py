"""Each kernel beside the best public libraries for it: the same volume, the same run, one thread and two.

    pip install '.[bench]'
    python -m benchmarks.kernels [--json FILE] [NAME …]

Times are in ms, the shortest of several runs taken in turns, since neighbours on the machine come and go. `ratio` is
the time of the quickest library over ours: above 1, ours is the quicker. `of copy` compares the bytes (`MB`) that the
kernel must read and write once, per second, with those of copying a large array in the same run: what is at memory
speed has 1, and what stays in the cache more. A library that is not installed is left out.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from voxlogica.kernels import arithmetic, balls, fields, masks, memory

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
CASE = "BraTS19_CBICA_AAP_1"
SHAPE = (155, 240, 240)
THREADS = (1, 2)

Work: TypeAlias = Callable[[int], object]
"""What is timed, given the number of threads it may use."""


def library(name: str) -> ModuleType | None:
    """A library, if it is installed."""
    try:
        return import_module(name)
    except ImportError:
        return None


@dataclass
class Contest:
    """Our kernel, the libraries that do the same, and the megabytes that must be moved."""

    name: str
    ours: Work
    libraries: dict[str, Work] = field(default_factory=dict)
    megabytes: float = 0.0


@dataclass
class Row:
    """What was measured for one kernel and number of threads, in ms."""

    name: str
    threads: int
    ours: float
    library: str
    theirs: float
    ratio: float
    megabytes: float
    of_copy: float


def volume() -> NDArray[np.float32]:
    """The reference case where there is one, else a head of noise of the same size: integers, a background of 0."""
    path = DATA / CASE / f"{CASE}_flair.nii.gz"
    if path.exists():
        from voxlogica import images

        leaf = images.bind(path)
        return images.read(leaf.file, leaf.space).array()[..., 0].copy()
    z, y, x = np.ogrid[-1 : 1 : SHAPE[0] * 1j, -1 : 1 : SHAPE[1] * 1j, -1 : 1 : SHAPE[2] * 1j]
    inside = (x / 0.6) ** 2 + (y / 0.7) ** 2 + (z / 0.85) ** 2 < 1
    noise = np.random.default_rng(0).normal(250, 60, SHAPE) + 150 * np.exp(-8 * ((x - 0.2) ** 2 + y**2 + z**2))
    return (np.clip(np.rint(noise), 1, None) * inside).astype(np.float32)


class Volumes:
    """The inputs, in the forms that ours and theirs take."""

    def __init__(self) -> None:
        self.a = volume()
        self.nx = self.a.shape[2]
        self.head = self.a > 0
        self.high = float(np.percentile(self.a[self.head], 90))
        self.bright = self.a > self.high
        self.head_words, self.bright_words = masks.pack(self.head), masks.pack(self.bright)
        self.floats = self.a + np.random.default_rng(1).random(self.a.shape, np.float32)
        self.sitk = library("SimpleITK")
        if self.sitk is not None:
            self.itk_a = self.sitk.GetImageFromArray(self.a)
            self.itk_head = self.sitk.GetImageFromArray(self.head.astype(np.uint8))
            self.itk_bright = self.sitk.GetImageFromArray(self.bright.astype(np.uint8))

    def itk(self, work: Callable[[Any], object]) -> dict[str, Work]:
        """SimpleITK's way, if it is installed."""
        if self.sitk is None:
            return {}
        sitk = self.sitk

        def timed(threads: int) -> object:
            sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
            return work(sitk)

        return {"SimpleITK": timed}


def contests(v: Volumes) -> Iterator[Contest]:
    """Everything that is compared."""
    yield from _pointwise(v)
    yield from _logic(v)
    yield from _neighbourhoods(v)
    yield from _components(v)
    yield from _distances(v)
    yield from _distributions(v)


def _pointwise(v: Volumes) -> Iterator[Contest]:
    a, k, image, bits = v.a, v.high, v.a.nbytes / 1e6, v.head_words.nbytes / 1e6
    yield Contest(
        "threshold",
        lambda t: masks.compare(a, ">=", k, threads=t),
        {"NumPy": lambda _: a >= np.float32(k), **v.itk(lambda s: s.BinaryThreshold(v.itk_a, k, 1e9, 1, 0))},
        image + bits,
    )
    yield Contest(
        "threshold, strict",
        lambda t: masks.compare(a, ">", k, threads=t),
        {"NumPy": lambda _: a > np.float32(k)},
        image + bits,
    )
    yield Contest(
        "image * k",
        lambda t: arithmetic.multiply_scalar(a, 2.5),
        {"NumPy": lambda _: a * np.float32(2.5), **v.itk(lambda s: v.itk_a * 2.5)},
        2 * image,
    )
    yield Contest(
        "mask(image, b)",
        lambda t: fields.masked(a, v.head_words),
        {"NumPy": lambda _: np.where(v.head, a, np.float32(0)), **v.itk(lambda s: s.Mask(v.itk_a, v.itk_head))},
        2 * image + bits,
    )
    yield Contest("min", lambda t: fields.minimum(a), {"NumPy": lambda _: a.min()}, image)
    yield Contest("min and max", lambda t: fields.extremes(a), {"NumPy": lambda _: (a.min(), a.max())}, image)

    def numpy_within(mean: bool) -> object:
        inside = a[v.head]
        return inside.min(), inside.max(), inside.mean(dtype=float) if mean else None

    def itk_within(s: Any) -> object:
        statistics = s.LabelStatisticsImageFilter()
        statistics.UseHistogramsOff()
        statistics.Execute(v.itk_a, v.itk_head)
        return statistics.GetMinimum(1), statistics.GetMaximum(1), statistics.GetMean(1)

    within = image + bits
    yield Contest(
        "min and max within",
        lambda t: fields.extremes_within(a, v.head_words),
        {"NumPy": lambda _: numpy_within(False)},
        within,
    )
    yield Contest(
        "mean within",
        lambda t: fields.mean(a, v.head_words),
        {"NumPy": lambda _: a[v.head].mean(dtype=float)},
        within,
    )
    yield Contest(
        "min, max and mean within",
        lambda t: fields.summary(a, v.head_words),
        {"NumPy": lambda _: numpy_within(True), **v.itk(itk_within)},
        within,
    )


def _logic(v: Volumes) -> Iterator[Contest]:
    p, q, a, b, bits = v.head_words, v.bright_words, v.head, v.bright, v.head_words.nbytes / 1e6
    yield Contest(
        "and",
        lambda t: masks.conjunction(p, q),
        {"NumPy": lambda _: a & b, **v.itk(lambda s: v.itk_head & v.itk_bright)},
        3 * bits,
    )
    yield Contest("or", lambda t: masks.disjunction(p, q), {"NumPy": lambda _: a | b}, 3 * bits)
    yield Contest("not", lambda t: masks.complement(p, v.nx), {"NumPy": lambda _: ~a}, 2 * bits)
    yield Contest("and not", lambda t: masks.difference(p, q), {"NumPy": lambda _: a & ~b}, 3 * bits)
    yield Contest("volume", lambda t: masks.count(p), {"NumPy": lambda _: np.count_nonzero(a)}, bits)
    yield Contest(
        "bytes to bits",
        lambda t: masks.pack(a, threads=t),
        {"NumPy": lambda _: np.packbits(a, axis=2, bitorder="little")},
        9 * bits,
    )
    yield Contest(
        "bits to bytes",
        lambda t: masks.unpack(p, v.nx, threads=t),
        {"NumPy": lambda _: np.unpackbits(p.view(np.uint8), axis=2, count=v.nx, bitorder="little")},
        9 * bits,
    )


def _neighbourhoods(v: Volumes) -> Iterator[Contest]:
    bits, box = v.bright_words.nbytes / 1e6, np.ones((3, 3, 3), bool)
    ndimage, fastmorph = library("scipy.ndimage"), library("fastmorph")
    small = v.bright.astype(np.uint8)
    for name, ours, one in (("near", masks.near, "dilat"), ("interior", masks.interior, "eros")):
        theirs: dict[str, Work] = {}
        if ndimage is not None:
            function = getattr(ndimage, f"binary_{one}ion")
            theirs["SciPy"] = lambda _, f=function: f(v.bright, box)  # type: ignore[misc]
        if fastmorph is not None:
            morph = fastmorph.dilate if one == "dilat" else fastmorph.erode
            theirs["fastmorph"] = lambda t, f=morph: f(small, parallel=t)  # type: ignore[misc]
        if v.sitk is not None:
            method = v.sitk.BinaryDilate if one == "dilat" else v.sitk.BinaryErode
            theirs |= v.itk(lambda s, f=method: f(v.itk_bright, (1, 1, 1), s.sitkBox))  # type: ignore[misc]
        yield Contest(name, lambda t, f=ours: f(v.bright_words, v.nx, threads=t), theirs, 2 * bits)  # type: ignore[misc]


def _components(v: Volumes) -> Iterator[Contest]:
    cc3d, ndimage = library("cc3d"), library("scipy.ndimage")
    labels: dict[str, Work] = v.itk(lambda s: s.ConnectedComponent(v.itk_bright, True))
    if cc3d is not None:
        labels["cc3d"] = lambda _: cc3d.connected_components(v.bright, connectivity=26)
    if ndimage is not None:
        labels["SciPy"] = lambda _: ndimage.label(v.bright, np.ones((3, 3, 3)))
    bits, image = v.bright_words.nbytes / 1e6, v.a.nbytes / 1e6
    # The libraries' labels alone: which of them meet the seeds would have to be found as well.
    yield Contest("through", lambda t: masks.through(v.head_words, v.bright_words, v.nx, threads=t), labels, 3 * bits)
    yield Contest("lcc", lambda t: masks.components(v.bright_words, v.nx, threads=t), labels, bits + image)
    largest: dict[str, Work] = {"cc3d": lambda _: cc3d.largest_k(v.bright, k=1, connectivity=26)} if cc3d else {}
    yield Contest("maxvol", lambda t: masks.largest(v.bright_words, v.nx, threads=t), largest, 2 * bits)


def _distances(v: Volumes) -> Iterator[Contest]:
    edt, fastmorph = library("edt"), library("fastmorph")
    bits, image = v.bright_words.nbytes / 1e6, v.a.nbytes / 1e6
    away = ~v.bright

    def maurer(s: Any) -> Any:
        return s.SignedMaurerDistanceMap(
            v.itk_bright, insideIsPositive=False, squaredDistance=False, useImageSpacing=True
        )

    for spacing in ((1.0, 1.0, 1.0), (0.9, 0.9, 2.5)):
        theirs = v.itk(maurer) if spacing == (1.0, 1.0, 1.0) else {}
        if edt is not None:
            theirs["edt"] = lambda t, s=spacing: edt.sdf(v.bright, anisotropy=s[::-1], parallel=t)  # type: ignore[misc]
        name = "dt" if spacing == (1.0, 1.0, 1.0) else "dt, spacing 0.9 0.9 2.5"
        yield Contest(
            name, lambda t, s=spacing: fields.distance(v.bright_words, v.nx, s, threads=t), theirs, bits + image
        )  # type: ignore[misc]
    for r in (2, 3, 5, 10, 20, 50):
        theirs = v.itk(lambda s, r=r: maurer(s) < r)  # type: ignore[misc]
        if edt is not None:
            theirs["edt"] = lambda t, r=r: edt.edtsq(away, parallel=t) < r * r  # type: ignore[misc]
        if fastmorph is not None and r <= 10:
            theirs["fastmorph"] = lambda t, r=r: fastmorph.spherical_dilate(v.bright, radius=r, parallel=t)  # type: ignore[misc]
        yield Contest(
            f"dt < {r}",
            lambda t, r=r: balls.compare_distance(v.bright_words, v.nx, (1, 1, 1), "<", r, threads=t),  # type: ignore[misc]
            theirs,
            2 * bits,
        )


def _distributions(v: Volumes) -> Iterator[Contest]:
    stats, ndimage = library("scipy.stats"), library("scipy.ndimage")
    image = v.a.nbytes / 1e6

    def unique(of: NDArray[np.float32]) -> object:
        _, inverse, counts = np.unique(of[v.head], return_inverse=True, return_counts=True)
        out = np.full(of.shape, -1, np.float32)
        out[v.head] = ((np.cumsum(counts) - counts + 0.5 * counts) / counts.sum())[inverse]
        return out

    for name, of in (("percentiles, integers", v.a), ("percentiles, floats", v.floats)):
        theirs: dict[str, Work] = {"NumPy": lambda _, of=of: unique(of)}  # type: ignore[misc]
        if stats is not None:
            theirs["SciPy"] = lambda _, of=of: stats.rankdata(of[v.head])  # type: ignore[misc]
        yield Contest(name, lambda t, of=of: fields.percentiles(of, v.head_words, 0.5, threads=t), theirs, 2 * image)  # type: ignore[misc]

    low, high = float(v.a.min()), float(v.a.max())
    for radius, bins in ((3, 20), (5, 100)):
        theirs = (
            {"SciPy": lambda _, r=radius, k=bins: _correlated(ndimage, v.a, v.bright, r, low, high, k)}
            if ndimage
            else {}
        )  # type: ignore[misc]
        yield Contest(
            f"crossCorrelation, r {radius}, {bins} bins",
            lambda t, r=radius, k=bins: fields.correlation(
                v.a, v.a, v.bright_words, (r, r, r), low, high, k, threads=t
            ),  # type: ignore[misc]
            theirs,
            2 * image,
        )


def _correlated(
    ndimage: Any, a: NDArray[np.float32], phi: NDArray[np.bool_], r: int, low: float, high: float, k: int
) -> object:
    """The same by a box filter for each bin; no library has the whole."""
    bins = np.minimum(((a - low) / ((high - low) / k)).astype(np.int32), k - 1)
    bins[a >= high] = k
    reference = np.bincount(bins[phi], minlength=k + 1)[:k].astype(np.float32)
    total = np.zeros(a.shape, np.float32)
    squares, products = np.zeros_like(total), np.zeros_like(total)
    for bin in range(k):
        counts = ndimage.uniform_filter((bins == bin).astype(np.float32), 2 * r + 1, mode="constant")
        total += counts
        squares += counts * counts
        products += counts * reference[bin]
    with np.errstate(all="ignore"):
        scale = np.sqrt((k * squares - total * total) * (k * (reference**2).sum() - reference.sum() ** 2))
        return (k * products - total * reference.sum()) / scale


LONG = 1.0
"""Seconds from which on a library is run once, and not again for other numbers of threads: none of these has any."""


def shortest(works: Sequence[Callable[[], object]], seconds: float) -> list[float]:
    """The shortest time of each, in ms, taken in turns for about so many seconds.

    A turn is several runs when they are short, so that each finds the cache and the heap as it left them itself.
    """
    times: list[list[float]] = [[] for _ in works]
    end = time.perf_counter() + seconds
    while len(times[0]) < 3 or time.perf_counter() < end:
        for work, taken in zip(works, times, strict=True):
            if taken and taken[0] > LONG:
                continue
            turn = time.perf_counter() + 0.01
            while True:
                start = time.perf_counter()
                work()
                taken.append(time.perf_counter() - start)
                if time.perf_counter() > turn:
                    break
    return [1e3 * min(taken) for taken in times]


def measured(contest: Contest, copy: float, seconds: float) -> Iterator[Row]:
    """One row for each number of threads. `copy` is megabytes a second."""
    libraries, long = dict(contest.libraries), dict[str, float]()
    for threads in THREADS:
        works = [contest.ours, *libraries.values()]
        ours, *others = shortest([lambda w=w, t=threads: w(t) for w in works], seconds)  # type: ignore[misc]
        theirs = dict(zip(libraries, others, strict=True)) | long
        long = {name: each for name, each in theirs.items() if each > 1e3 * LONG}
        libraries = {name: work for name, work in libraries.items() if name not in long}
        name = min(theirs, key=lambda each: theirs[each], default="-")
        best = theirs.get(name, float("nan"))
        speed = contest.megabytes / (ours / 1e3) / copy
        yield Row(contest.name, threads, ours, name, best, best / ours, contest.megabytes, speed)


def copy_speed(a: NDArray[np.float32]) -> float:
    """Megabytes read and written per second by copying into memory that is there already."""
    target = np.empty_like(a)
    (taken,) = shortest([lambda: np.copyto(target, a)], 0.5)
    return 2 * a.nbytes / 1e6 / (taken / 1e3)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="parts of the names of kernels; all unless given")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each kernel and number of threads")
    arguments = parser.parse_args()
    memory.keep_freed()  # as the commands do; libraries have the good of it too
    v = Volumes()
    copy = copy_speed(v.a)
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"volume {' x '.join(map(str, v.a.shape[::-1]))}; copying moves {copy / 1e3:.1f} GB/s\n")
    print(f"{'kernel':32}{'threads':>8}{'ours':>9}{'library':>12}{'':>9}{'ratio':>8}{'MB':>8}{'of copy':>9}")
    rows = []
    for contest in contests(v):
        if arguments.names and not any(name in contest.name for name in arguments.names):
            continue
        for row in measured(contest, copy, arguments.seconds):
            print(
                f"{row.name:32}{row.threads:8}{row.ours:9.2f}{row.library:>12}{row.theirs:9.2f}{row.ratio:8.1f}{row.megabytes:8.1f}{row.of_copy:9.2f}"
            )
            sys.stdout.flush()
            rows.append(row)
        gc.collect()
    slower = [f"{row.name} ({row.threads})" for row in rows if row.ratio < 1]
    print(f"\nslower than a library: {', '.join(slower) or 'none'}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"copy": copy, "rows": [asdict(row) for row in rows]}, indent=1))


if __name__ == "__main__":
    main()
