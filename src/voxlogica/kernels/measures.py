"""How two masks compare: distances between their surfaces.

The surface of a mask is its contour: its true voxels with a false one among their neighbours in the full box; what is
outside the image is not false. Distances are from voxel centre to voxel centre, in mm. Arrays in, numbers out; masks
are words as in `masks`, of one shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxlogica.kernels import fields, masks
from voxlogica.kernels.arrays import Words

Distances = NDArray[np.float32]


def surface_distances(
    a: Words, b: Words, nx: int, spacing: Sequence[float], *, threads: int = 1
) -> tuple[Distances, Distances] | None:
    """The distance of each surface voxel of a to the surface of b, and of each of b to that of a, in no useful order.

    None when one of them has no surface: it is empty, or true everywhere.
    """
    near = _cropped(a, b, nx)
    if near is None:
        return None
    a, b, nx = near
    surfaces = [masks.difference(mask, masks.interior(mask, nx, threads=threads)) for mask in (a, b)]
    if not all(masks.count(surface) for surface in surfaces):
        return None
    found = []
    for surface, other in zip(surfaces, (b, a), strict=True):
        # Inside the other mask `distance` is measured to its contour and negative: its surface either way.
        distance = np.abs(fields.distance(other, nx, spacing, threads=threads))
        found.append(distance[np.asarray(masks.unpack(surface, nx)) != 0])
    return found[0], found[1]


def _cropped(a: Words, b: Words, nx: int) -> tuple[Words, Words, int] | None:
    """Both masks in the part of the image that holds them and a voxel more on each side, as far as there is one.

    That voxel keeps contours what they are: where the crop ends and the image does not, all is false. None if one of
    them is empty.
    """
    a, b = np.asarray(a), np.asarray(b)
    boxes = [masks.bounding_box(mask, nx) for mask in (a, b)]
    if boxes[0] is None or boxes[1] is None:
        return None
    sizes = (*a.shape[:2], nx)
    parts = tuple(
        slice(max(min(one[0], two[0]) - 1, 0), min(max(one[1], two[1]) + 1, size))
        for one, two, size in zip(boxes[0], boxes[1], sizes, strict=True)
    )
    crops = [np.ascontiguousarray(np.asarray(masks.unpack(mask, nx))[parts]) for mask in (a, b)]
    return masks.pack(crops[0]), masks.pack(crops[1]), crops[0].shape[2]


def percentile(distances: tuple[Distances, Distances], share: float) -> float:
    """The value below which a share of all distances lies, interpolated between neighbours as NumPy does by default."""
    return float(np.percentile(np.concatenate(distances).astype(np.float64), 100 * share))


def gradient(field: NDArray[np.float32], spacing: Sequence[float]) -> NDArray[np.float32]:
    """The magnitude of the gradient of a field [z, y, x], per mm; `spacing` is (x, y, z).

    Central differences; at the ends of an axis the field goes on as its last voxel. In double, rounded once.
    """
    total = np.zeros(field.shape)
    for axis, step in zip((2, 1, 0), spacing, strict=True):
        if field.shape[axis] > 1:
            ends = [(1, 1) if n == axis else (0, 0) for n in range(3)]
            wide = np.pad(field.astype(np.float64), ends, mode="edge")
            after, before = (np.moveaxis(wide, axis, 0)[s] for s in (slice(2, None), slice(None, -2)))
            slope = np.moveaxis(after - before, 0, axis) / (2.0 * step)
            total += slope * slope
    return np.sqrt(total).astype(np.float32)


def label_means(labels: NDArray[np.float32], field: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each voxel's mean of the field over its region; 0 where there is no region. Summed in double, in voxel order."""
    numbers, where = np.unique(labels.ravel(), return_inverse=True)
    sums = np.bincount(where, weights=field.ravel().astype(np.float64), minlength=len(numbers))
    means = sums / np.bincount(where, minlength=len(numbers))
    means[numbers == 0] = 0.0
    return means[where].reshape(labels.shape).astype(np.float32)


def renumbered(labels: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
    """The same regions numbered from 1, without gaps, in the order of their numbers."""
    _, where = np.unique(labels.ravel(), return_inverse=True)
    found: NDArray[np.float32] = (where + 1).astype(np.float32).reshape(labels.shape)
    return found
