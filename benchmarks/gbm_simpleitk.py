"""The reference analysis as a careful SimpleITK script: the yardstick of `benchmarks.reference`.

    python benchmarks/gbm_simpleitk.py FLAIR SEG OUTPUTDIR

Only what SimpleITK has no filter for, percentiles and local histograms, is NumPy. Distances are computed where they are
needed and once, local histograms only around the brain, arrays share memory with images where they can. The results are
those of `gbm.imgql` in every voxel, and the four printed numbers too.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

RADIUS, BINS = 3, 20


def through(a: Any, b: Any) -> Any:
    """The components of b that meet a."""
    return sitk.BinaryReconstructionByDilation(sitk.And(a, b), b, foregroundValue=1, fullyConnected=True)


def near(a: Any) -> Any:
    """Dilation by the 3x3x3 box."""
    return sitk.BinaryDilate(a, (1, 1, 1), sitk.sitkBox, foregroundValue=1, backgroundValue=0)


def grow(a: Any, b: Any) -> Any:
    """a, with the components of b that touch it."""
    return sitk.Or(a, through(near(a), b))


def distance(a: Any) -> Any:
    """The signed distance in mm."""
    return sitk.SignedMaurerDistanceMap(a, insideIsPositive=False, squaredDistance=False, useImageSpacing=True)


def opened(r: float, a: Any) -> Any:
    """What a ball of radius r fits in: nearer than r to what is at least r away from the outside."""
    core = sitk.GreaterEqual(distance(sitk.Equal(a, 0)), r)
    return sitk.Less(distance(core), r)


def percentiles(flair: NDArray[np.float32], brain: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The middle rank of each voxel of the brain, by counting: the voxels are integers."""
    values = flair[brain].astype(np.int64)
    low = int(values.min())
    counts = np.bincount(values - low)
    below = np.cumsum(counts) - counts
    half = np.float32(0.5) * counts.astype(np.float32)
    ranks = (below.astype(np.float32) + half) / np.float32(values.size)
    out = np.full(flair.shape, -1, np.float32)
    out[brain] = ranks[values - low]
    return out


def box_sums(counts: NDArray[np.int32]) -> NDArray[np.int32]:
    """Sums over the window around each voxel, as far as it is inside: by running sums, axis after axis."""
    for axis in range(3):
        n = counts.shape[axis]
        sums = np.zeros_like(counts, shape=[s + (k == axis) for k, s in enumerate(counts.shape)])
        np.cumsum(counts, axis=axis, out=sums[(slice(None),) * axis + (slice(1, None),)])
        at = np.arange(n)
        counts = sums.take(np.minimum(at + RADIUS + 1, n), axis) - sums.take(np.maximum(at - RADIUS, 0), axis)
    return counts


def similarity(flair: NDArray[np.float32], region: NDArray[np.bool_]) -> NDArray[np.float32]:
    """crossCorrelation(3, flair, flair, region, min(flair), max(flair), 20) where a window meets the brain, else 0.

    Elsewhere a window holds the background only, and its score, which is the same everywhere but at the border of the
    image, is far from the threshold that it is compared with.
    """
    low, high = float(flair.min()), float(flair.max())
    width = (high - low) / BINS
    binned = np.minimum(((flair.astype(np.float64) - low) / width).astype(np.int8), BINS - 1)
    binned[flair >= high] = BINS
    reference = np.bincount(binned[region], minlength=BINS + 1)[:BINS]
    busy = [np.flatnonzero(flair.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    inner = tuple(slice(max(0, b[0] - RADIUS), b[-1] + RADIUS + 1) for b in busy)
    outer = tuple(slice(max(0, b[0] - 2 * RADIUS), b[-1] + 2 * RADIUS + 1) for b in busy)
    within = tuple(slice(i.start - o.start, i.stop - o.start) for i, o in zip(inner, outer, strict=True))
    part = binned[outer]
    total, squares, products = (np.zeros(part.shape, np.int64) for _ in range(3))
    for bin in range(BINS):
        counts = box_sums((part == bin).astype(np.int32))
        total += counts
        squares += counts * counts
        products += counts.astype(np.int64) * int(reference[bin])
    spread = BINS * squares - total * total
    reference_spread = int(BINS * (reference**2).sum() - reference.sum() ** 2)
    numerator = BINS * products - total * int(reference.sum())
    with np.errstate(all="ignore"):
        score = (numerator / np.sqrt(spread.astype(np.float64) * float(reference_spread))).astype(np.float32)
    score[spread == 0] = 1.0 if reference_spread == 0 else 0.0
    out = np.zeros(flair.shape, np.float32)
    out[inner] = score[within]
    return out


def like(array: NDArray[Any], image: Any) -> Any:
    """An array as an image with the geometry of another."""
    made = sitk.GetImageFromArray(array)
    made.CopyInformation(image)
    return made


def dice(a: Any, b: Any) -> float:
    """2 |a and b| / (|a| + |b|)."""
    p, q = sitk.GetArrayViewFromImage(a), sitk.GetArrayViewFromImage(b)
    return float(2.0 * np.count_nonzero(p & q) / (np.count_nonzero(p) + np.count_nonzero(q)))


def main(flair_path: str, seg_path: str, output: str) -> None:
    """The analysis of one case."""
    flair = sitk.ReadImage(flair_path, sitk.sitkFloat32)
    manual = sitk.Greater(sitk.ReadImage(seg_path, sitk.sitkFloat32), 0.0)
    array = sitk.GetArrayViewFromImage(flair)

    border = np.zeros(array.shape, np.uint8)
    for axis in range(3):
        border[(slice(None),) * axis + ([0, -1],)] = 1
    dark = sitk.Less(flair, 0.1)
    brain = sitk.Equal(through(near(like(border, flair)), dark), 0)
    ranks = like(percentiles(array, sitk.GetArrayViewFromImage(brain).astype(np.bool_)), flair)

    hyper_intense = opened(5.0, sitk.Greater(ranks, float(np.float32(0.95))))
    very_intense = opened(2.0, sitk.Greater(ranks, float(np.float32(0.86))))
    grow_tum = grow(hyper_intense, very_intense)
    scores = like(similarity(array, sitk.GetArrayViewFromImage(grow_tum).astype(np.bool_)), flair)
    gtv = grow(grow_tum, opened(2.0, sitk.Greater(scores, float(np.float32(0.6)))))

    print(f"01_dice_hyperIntense={dice(hyper_intense, manual)!r}")
    print(f"02_dice_veryIntense={dice(very_intense, manual)!r}")
    print(f"03_dice_growTum={dice(grow_tum, manual)!r}")
    print(f"04_dice_gtv={dice(gtv, manual)!r}")
    Path(output).mkdir(parents=True, exist_ok=True)
    for name, mask in (("growTum", grow_tum), ("gtv", gtv)):
        sitk.WriteImage(mask, str(Path(output) / f"{name}.nii.gz"), useCompression=True, compressionLevel=1)


if __name__ == "__main__":
    main(*sys.argv[1:])
