"""Mean, deviation and quantiles, voxel by voxel, of images that lie over each other.

Mean and deviation are a pass over the images, one at a time; what there is so far are two doubles a voxel, [2, voxel].
Quantiles need all images at once: who has not the memory for them gives a part of each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Image: TypeAlias = NDArray[np.float32]
Doubles: TypeAlias = NDArray[np.float64]

_BLOCK = 1 << 16  # doubles worked on at a time, so that they stay in the cache


def begun(image: Image) -> Doubles:
    """What there is after the first image."""
    return np.stack([image.ravel(), np.zeros(image.size)], dtype=np.float64)


def added(state: Doubles, image: Image) -> Doubles:
    """Sums with another image: the sum in double, and what rounding took from it (D. E. Knuth, TAOCP 2, 4.2.2)."""
    out, voxels = np.empty_like(state), image.ravel()
    with np.errstate(invalid="ignore"):
        for block in _blocks(voxels.size, 1):
            old, x = state[0, block], voxels[block].astype(np.float64)
            new = old + x
            part = new - old
            out[0, block] = new
            out[1, block] = state[1, block] + ((old - (new - part)) + (x - part))
    return out


def mean(state: Doubles, count: int) -> Image:
    """The mean of so many images from their sums: rounded to double, divided, and rounded to float32.

    Where a sum is infinite or nan, what rounding took from it has no meaning.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        whole = np.where(np.isfinite(state[0]), state[0] + state[1], state[0])
        return np.asarray(whole / count, np.float32)


def spread(state: Doubles, image: Image, count: int) -> Doubles:
    """Means and sums of squared deviations from them, with another image, which makes so many (Welford 1962)."""
    out, voxels = np.empty_like(state), image.ravel()
    with np.errstate(invalid="ignore"):
        for block in _blocks(voxels.size, 1):
            x = voxels[block].astype(np.float64)
            away = x - state[0, block]
            out[0, block] = state[0, block] + away / count
            out[1, block] = state[1, block] + away * (x - out[0, block])
    return out


def deviation(state: Doubles, count: int) -> Image:
    """The standard deviation of a sample of so many from `spread`; nan of a single one, and where one is not finite."""
    if count == 1:
        return np.full(state.shape[1:], np.nan, np.float32)
    return np.asarray(np.sqrt(state[1] / (count - 1)), np.float32)


def quantile(images: Sequence[Image], share: float) -> Image:
    """The value below which a share of the images lies at each voxel, in double between neighbours; nan if one is."""
    at = share * (len(images) - 1)
    low = int(at)
    high = min(low + 1, len(images) - 1)
    flat = [image.ravel() for image in images]
    out = np.empty(flat[0].size, np.float32)
    with np.errstate(invalid="ignore", over="ignore"):
        for block in _blocks(out.size, len(images)):
            values = np.stack([each[block] for each in flat], axis=-1)
            values.partition((low, high, len(images) - 1))  # nan comes last
            under, over = values[:, low].astype(np.float64), values[:, high].astype(np.float64)
            between = np.where(under == over, under, under + (over - under) * (at - low))
            out[block] = np.where(np.isnan(values[:, -1]), np.nan, between if at > low else under)
    return out.reshape(images[0].shape)


def _blocks(voxels: int, images: int) -> Iterator[slice]:
    step = max(1, _BLOCK // images)
    for start in range(0, voxels, step):
        yield slice(start, start + step)
