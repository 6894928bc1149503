"""From one voxel grid to another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

from voxlogica.errors import Refusal
from voxlogica.formula import IMAGE, LABELS, MASK, MODEL, NUMBER, Operator, Type, sequence
from voxlogica.operators import declare_family, operator, operators
from voxlogica.operators.families import Family
from voxlogica.values import Image, Labels, Mask, Model, Space

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from voxlogica.kernels.resampling import Matrix

    _Voxel = TypeVar("_Voxel", np.float32, np.uint8)

_SPATIAL = (MASK, LABELS, IMAGE, MODEL)  # labels before images, which they are too
_NUMBERS = sequence(NUMBER)
_NAMES = {LABELS: "labels", MASK: "mask", IMAGE: "image", MODEL: "model"}


# Onto the grid of another image


@operator(symbol="resample", hidden=True, cost="window", bridge=True)
def resample_image(space: Space, i: Image) -> Image:
    """A number image on another grid, linearly interpolated."""
    return Image.of(space, _resampled(space, i.space, i.array()[..., None], smooth=True)[..., 0])


@operator(symbol="resample", hidden=True, cost="window", bridge=True)
def resample_labels(space: Space, i: Labels) -> Labels:
    """Labels on another grid: each voxel has that of the nearest one."""
    return Labels.of(space, _resampled(space, i.space, i.array()[..., None], smooth=False)[..., 0])


@operator(symbol="resample", hidden=True, cost="window", bridge=True)
def resample_mask(space: Space, i: Mask) -> Mask:
    """A mask on another grid: each voxel is as the nearest one."""
    import numpy as np

    from voxlogica.kernels import masks

    field = np.asarray(masks.unpack(i.words(), i.space.size[0]), np.float32)[..., None]
    return Mask.of(space, masks.pack(_resampled(space, i.space, field, smooth=False)[..., 0] > 0))


@operator(symbol="resample", hidden=True, cost="window", bridge=True)
def resample_model(space: Space, i: Model) -> Model:
    """A loaded file on another grid, linearly interpolated."""
    return Model.of(space, _resampled(space, i.space, i.array(), smooth=True))


def _resampled(new: Space, old: Space, field: NDArray[np.float32], smooth: bool) -> NDArray[np.float32]:
    import numpy as np

    from voxlogica.kernels import resampling

    if new.dimensions != old.dimensions:
        raise Refusal(f"`resample` goes from {old.dimensions} dimensions to {new.dimensions}, and can only keep them")
    matrix, offset = _between(new, old)
    kernel = resampling.linear if smooth else resampling.nearest
    return np.ascontiguousarray(kernel(field, new.shape, matrix, offset))


def _between(new: Space, old: Space) -> tuple[Matrix, Sequence[float]]:
    """The map from the voxels of one grid to those of another: a matrix and an offset, of three axes."""
    import numpy as np

    n = new.dimensions
    steps = [np.array(s.direction).reshape(n, n) * np.array(s.spacing) for s in (new, old)]
    moved = np.array(new.origin) - np.array(old.origin)
    matrix, offset = np.eye(3), np.zeros(3)
    matrix[:n, :n] = np.linalg.solve(steps[1], steps[0])
    offset[:n] = np.linalg.solve(steps[1], moved)
    rows: list[list[float]] = matrix.tolist()
    return rows, offset.tolist()


def _of_kind(name: str, kinds: tuple[Type, ...]) -> Operator:
    return operators()[f"{name}_{_NAMES[kinds[0]]}"]


declare_family(
    Family(
        "resample",
        (("i", _SPATIAL), ("like", _SPATIAL)),
        "the same as i",
        lambda kinds: _of_kind("resample", kinds),
        """i on the grid of `like`, of which nothing else counts: the only bridge from one grid to another (C22).

Each voxel takes what i has where its centre lies in the world: for number images and loaded files the mean of the
voxels around, weighted by nearness along each axis; for masks and labels the value of the nearest voxel. Outside of i
it is 0 or false.

>>> value("resample(i, geom.blank(1, 4))", i=[1, 2, 4])
[1.0, 2.0, 4.0, 0.0]
>>> value("resample(geom.blank(2, 2, 1), i) + i", i=[1, 2, 4])
[2.0, 3.0, 4.0]""",
        like=1,
    )
)


# A part of a grid


def _part(i: Space, size: tuple[float, ...], index: tuple[float, ...]) -> Space:
    """The grid of `extract`."""
    n = i.dimensions
    for numbers, what in ((size, "size"), (index, "index")):
        if len(numbers) != n or not all(number.is_integer() for number in numbers):
            raise Refusal(f"`extract` needs {n} whole numbers as {what}, not {_listed(numbers)}")
    ends = [low + extent for low, extent in zip(index, size, strict=True)]
    if min(index) < 0 or min(size) < 1 or any(end > whole for end, whole in zip(ends, i.size, strict=True)):
        whole = " x ".join(map(str, i.size))
        raise Refusal(
            f"`extract` cannot take {_listed(size)} voxels from {_listed(index)}: the image has {whole} voxels"
        )
    return placed(i, [int(extent) for extent in size], index)


def placed(i: Space, size: Sequence[int], index: Sequence[float], scale: Sequence[float] = ()) -> Space:
    """The grid of so many voxels whose first one lies where i has that index, which need not be whole.

    They are `scale` times as far apart as those of i, and go the other way where that is negative.
    """
    n, scale = i.dimensions, scale or (1.0,) * i.dimensions
    along = [spacing * low for spacing, low in zip(i.spacing, index, strict=True)]
    moved = [sum(i.direction[n * row + column] * along[column] for column in range(n)) for row in range(n)]
    origin = tuple([start + step for start, step in zip(i.origin, moved, strict=True)])
    spacing = tuple([step * abs(k) for step, k in zip(i.spacing, scale, strict=True)])
    direction = tuple([-cosine if scale[place % n] < 0 else cosine for place, cosine in enumerate(i.direction)])
    return Space(tuple(size), spacing, origin, direction)


def _listed(numbers: tuple[float, ...]) -> str:
    return f"[{', '.join([f'{number:g}' for number in numbers])}]"


@operator(symbol="extract", hidden=True, grid=_part)
def extract_image(space: Space, i: Image, size: tuple[float, ...], index: tuple[float, ...]) -> Image:
    """A part of a number image."""
    return Image.of(space, _cut(space, i.array(), index))


@operator(symbol="extract", hidden=True, grid=_part)
def extract_labels(space: Space, i: Labels, size: tuple[float, ...], index: tuple[float, ...]) -> Labels:
    """A part of labels."""
    return Labels.of(space, _cut(space, i.array(), index))


@operator(symbol="extract", hidden=True, grid=_part)
def extract_mask(space: Space, i: Mask, size: tuple[float, ...], index: tuple[float, ...]) -> Mask:
    """A part of a mask."""
    import numpy as np

    from voxlogica.kernels import masks

    return Mask.of(space, masks.pack(_cut(space, np.asarray(masks.unpack(i.words(), i.space.size[0])), index)))


@operator(symbol="extract", hidden=True, grid=_part)
def extract_model(space: Space, i: Model, size: tuple[float, ...], index: tuple[float, ...]) -> Model:
    """A part of a loaded file."""
    return Model.of(space, _cut(space, i.array(), index))


def _cut(space: Space, array: NDArray[_Voxel], index: tuple[float, ...]) -> NDArray[_Voxel]:
    """The voxels of a part, [z, y, x, …], from its first one (x, y, z)."""
    lows = [int(low) for low in (*index, 0.0)[:3]]
    parts = tuple([slice(low, low + extent) for low, extent in zip(reversed(lows), space.shape, strict=True)])
    return array[parts].copy()


declare_family(
    Family(
        "extract",
        (("i", _SPATIAL), ("size", (_NUMBERS,)), ("index", (_NUMBERS,))),
        "the same as i",
        lambda kinds: _of_kind("extract", kinds),
        """The part of i that has so many voxels along each axis, from the voxel with this index, on a grid of its own.

It stays where it is in the world. Both lists have a whole number for each axis, x first.

>>> value("extract(i, [2, 1], [1, 0])", i=[5, 6, 7])
[6.0, 7.0]""",
    )
)
