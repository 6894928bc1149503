"""Small random cases for every kernel, each beside its plain twin of the tests, as many as wanted.

    python -m tests.fuzz_kernels 1000000 [--seed 7] [--only ball]

Sizes are on both sides of words; values are special ones as often as not. A difference prints what makes it again, and
ends with 1. A million cases take about a quarter of an hour.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.random import Generator
from tests import test_kernels_fields as twins
from tests import test_kernels_masks as bit_twins

from voxlogica.kernels import balls, fields, masks
from voxlogica.kernels.ranks import Ranks

Outcome: TypeAlias = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]
"""What the kernel gives and what it should give."""

KINDS = ("integers", "far integers", "bytes", "shorts", "few", "floats", "wide", "special")
DENSITIES = (0.0, 0.01, 0.1, 0.5, 0.9, 0.99, 1.0)
SPACINGS = (1.0, 0.5, 0.7, 0.9375, 1 / 3, 2.0, 1e-3, 1e-30, 1e30)
NUMBERS = (0.0, -0.0, 1.0, -1.0, 0.1, 1e-45, -1e-45, 3e38, np.inf, -np.inf, np.nan)


def _shape(rng: Generator, largest: int = 4) -> tuple[int, int, int]:
    nx = int(rng.integers(1, 71)) if rng.random() < 0.5 else int(rng.choice([1, 2, 7, 63, 64, 65, 127, 128, 129]))
    return int(rng.integers(1, largest + 1)), int(rng.integers(1, largest + 3)), nx


def _mask(rng: Generator, shape: tuple[int, int, int]) -> Any:
    return rng.random(shape) < rng.choice(DENSITIES)


def _field(rng: Generator, shape: tuple[int, int, int]) -> Any:
    return twins.random_field(shape, str(rng.choice(KINDS)), int(rng.integers(2**32)))


def _held(rng: Generator, field: Any) -> Any:
    """The same numbers as integers of one or two bytes, half the time and if there are such."""
    dtype = rng.choice(("u1", "i1", "u2", "i2"))
    with np.errstate(invalid="ignore"):
        narrow = field.astype(dtype)
    return narrow if rng.random() < 0.5 and (narrow == field).all() else field


def _threads(rng: Generator) -> int:
    return int(rng.choice([1, 1, 1, 3]))


def _spacing(rng: Generator) -> tuple[float, ...]:
    return tuple(float(s) for s in rng.choice(SPACINGS, 3))


def compare(rng: Generator) -> Outcome:
    """Comparisons with a number."""
    field = _field(rng, _shape(rng))
    op = bit_twins.OPS[int(rng.integers(5))]
    k = float(rng.choice(NUMBERS)) if rng.random() < 0.5 else float(rng.choice(field.ravel()))
    got = masks.compare(_held(rng, field), op, k, threads=_threads(rng))
    return bit_twins.bits(got, field.shape[2]), bit_twins.compared(field, op, k)


def logic(rng: Generator) -> Outcome:
    """Boolean operators."""
    shape = _shape(rng)
    a, b = _mask(rng, shape), _mask(rng, shape)
    p, q, t = masks.pack(a), masks.pack(b), _threads(rng)
    got, expected = [
        (lambda: masks.conjunction(p, q, threads=t), lambda: a & b),
        (lambda: masks.disjunction(p, q, threads=t), lambda: a | b),
        (lambda: masks.difference(p, q, threads=t), lambda: a & ~b),
        (lambda: masks.exclusive(p, q, threads=t), lambda: a ^ b),
        (lambda: masks.complement(p, shape[2], threads=t), lambda: ~a),
    ][int(rng.integers(5))]
    return bit_twins.bits(got(), shape[2]), expected()


def neighbourhood(rng: Generator) -> Outcome:
    """near and interior."""
    a = _mask(rng, _shape(rng))
    if rng.random() < 0.5:
        got, expected = masks.near(masks.pack(a), a.shape[2], threads=_threads(rng)), bit_twins.dilated(a)
    else:
        got, expected = masks.interior(masks.pack(a), a.shape[2], threads=_threads(rng)), bit_twins.eroded(a)
    return bit_twins.bits(got, a.shape[2]), expected


def components(rng: Generator) -> Outcome:
    """through, lcc, maxvol."""
    shape = _shape(rng)
    a, b, t = _mask(rng, shape), _mask(rng, shape), _threads(rng)
    p, q, which = masks.pack(a), masks.pack(b), int(rng.integers(3))
    if which == 0:
        return bit_twins.bits(masks.through(p, q, shape[2], threads=t), shape[2]), bit_twins.reached(a, b)
    if which == 1:
        return masks.components(q, shape[2], threads=t), bit_twins.labelled(b).astype(np.float32)
    return bit_twins.bits(masks.largest(q, shape[2], threads=t), shape[2]), bit_twins.biggest(b)


def bytes_and_bits(rng: Generator) -> Outcome:
    """pack, unpack, count."""
    a = _mask(rng, _shape(rng))
    words = masks.pack(a, threads=_threads(rng))
    assert masks.count(words) == a.sum()
    return masks.unpack(words, a.shape[2], threads=_threads(rng)), a.astype(np.uint8)


def distance(rng: Generator) -> Outcome:
    """The signed distance, by trying all voxels."""
    a, spacing = _mask(rng, _shape(rng, 3)), _spacing(rng)
    got = fields.distance(masks.pack(a), a.shape[2], spacing, threads=_threads(rng))
    with np.errstate(all="ignore"):
        return got.view(np.uint32), twins.distance_by_trying_all(a, spacing).view(np.uint32)


def ball(rng: Generator) -> Outcome:
    """Compared distances; half the time with one that occurs."""
    a, spacing = _mask(rng, _shape(rng, 6)), _spacing(rng)
    words, nx, op = masks.pack(a), a.shape[2], bit_twins.OPS[int(rng.integers(5))]
    values, outer = fields.distance(words, nx, spacing), bool(rng.random() < 0.3)
    k = float(rng.choice(values.ravel())) if rng.random() < 0.5 else float(rng.choice((*NUMBERS, *rng.normal(0, 4, 9))))
    got = balls.compare_distance(words, nx, spacing, op, k, never_negative=outer, threads=_threads(rng))
    return bit_twins.bits(got, nx), bit_twins.compared(np.where(values > 0, values, 0) if outer else values, op, k)


def percentiles(rng: Generator) -> Outcome:
    """Ranks."""
    field = _field(rng, _shape(rng))
    a, c = _mask(rng, field.shape), float(rng.choice([0.0, 0.5, 1.0, 0.1, 7.0]))
    held = _held(rng, field)
    got = fields.percentiles(held, masks.pack(a), c, threads=_threads(rng))
    if held.dtype != np.float32:
        ranks, op, k = (
            Ranks(held, masks.pack(a), c),
            bit_twins.OPS[int(rng.integers(5))],
            float(rng.choice(got.ravel())),
        )
        found = ranks.compare(op, k, threads=_threads(rng))
        assert found is None or np.array_equal(found, masks.compare(got, op, k))
        got = ranks.floats()
    return got.view(np.uint32), twins.percentiles_by_definition(field, a, c).view(np.uint32)


def correlation(rng: Generator) -> Outcome:
    """Local histograms, in a few voxels; around an object half the time."""
    shape = _shape(rng)
    a, b = _field(rng, shape), _field(rng, shape)
    if rng.random() < 0.5:
        box = tuple(slice(int(s), int(s) + 4) for s in (rng.random(3) * shape).astype(int))
        kept, a = a[box].copy(), np.full(shape, rng.choice([0.0, 1.0, 9.0]), np.float32)
        a[box] = kept
    phi, radius = _mask(rng, shape), tuple(int(r) for r in rng.integers(0, 5, 3))
    low, high, k = float(rng.normal()), float(rng.normal() + 2), int(rng.choice([1, 2, 5, 20, 255, 256, 300]))
    got = fields.correlation(_held(rng, a), _held(rng, b), masks.pack(phi), radius, low, high, k, threads=_threads(rng))
    if fields.window_voxels(radius, shape) <= fields.MOST_WINDOW_VOXELS and k <= fields.MOST_WINDOW_BINS:
        windows, op = fields.windows(_held(rng, a), radius, low, high, k), bit_twins.OPS[int(rng.integers(5))]
        number, threads = float(rng.choice(got.ravel())), _threads(rng)
        held = fields.compare_correlation(
            windows, a.shape, _held(rng, b), masks.pack(phi), radius, low, high, k, op, number, threads=threads
        )
        assert np.array_equal(held, masks.compare(got, op, number))
    reference = np.bincount(twins.binned(b, low, high, k)[phi], minlength=k + 1)[:k].tolist()
    bins, found, expected = twins.binned(a, low, high, k), [], []
    for _ in range(4):
        voxel = tuple(int(rng.integers(n)) for n in shape)
        window = tuple(slice(max(0, v - r), v + r + 1) for v, r in zip(voxel, reversed(radius), strict=True))
        found.append(got[voxel])
        expected.append(twins.pearson(np.bincount(bins[window].ravel(), minlength=k + 1)[:k].tolist(), reference))
    return np.array(found, np.float32), np.array(expected, np.float32)


def extremes(rng: Generator) -> Outcome:
    """Smallest and largest within a mask, and of all; each alone, both, and with the mean."""
    field = _field(rng, _shape(rng))
    a = _mask(rng, field.shape)
    if not a.any():
        a.flat[int(rng.integers(a.size))] = True
    words = masks.pack(a)
    held = _held(rng, field)
    got = [fields.minimum_within(held, words), fields.maximum_within(held, words), *fields.extremes(held)]
    got += fields.summary(held, words)
    within = float(field[a].min()) + 0.0, float(field[a].max()) + 0.0
    expected = [*within, float(field.min()) + 0.0, float(field.max()) + 0.0, *within, fields.mean(field, words)]
    return np.array(got), np.array(expected)


TARGETS: Mapping[str, tuple[Callable[[Generator], Outcome], int]] = {
    "compare": (compare, 4), "logic": (logic, 4), "neighbourhood": (neighbourhood, 3), "components": (components, 3),
    "bytes_and_bits": (bytes_and_bits, 2), "distance": (distance, 2), "ball": (ball, 5),
    "percentiles": (percentiles, 2), "correlation": (correlation, 2), "extremes": (extremes, 1),
}  # fmt: skip
"""Each kernel's cases, and how often they are drawn."""


def differs(name: str, seed: int) -> bool:
    """Whether a case differs from its twin; an exception is a difference too, and comes through."""
    got, expected = TARGETS[name][0](np.random.default_rng(seed))
    return not np.array_equal(got, expected, equal_nan=got.dtype.kind == "f")


def main() -> int:
    """Runs the cases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=0, help="of the first case; the n-th has this plus n")
    parser.add_argument("--only", choices=[*TARGETS])
    arguments = parser.parse_args()
    drawn = [arguments.only] if arguments.only else [name for name, (_, often) in TARGETS.items() for _ in range(often)]
    done: Counter[str] = Counter()
    start, wrong = time.perf_counter(), 0
    for seed in range(arguments.seed, arguments.seed + arguments.count):
        name = drawn[seed % len(drawn)]
        try:
            failed = differs(name, seed)
        except Exception:
            print(f"{name} failed: python -m tests.fuzz_kernels 1 --seed {seed} --only {name}", flush=True)
            raise
        if failed:
            wrong += 1
            print(f"{name} differs: python -m tests.fuzz_kernels 1 --seed {seed} --only {name}", flush=True)
        done[name] += 1
    seconds = time.perf_counter() - start
    print(", ".join(f"{name} {count}" for name, count in done.items()))
    print(f"{arguments.count} cases in {seconds:.0f} s, {wrong} differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
