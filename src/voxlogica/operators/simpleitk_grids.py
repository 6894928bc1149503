"""The voxel grids of those functions of SimpleITK whose results lie on another grid than their images.

A rule says it from the grids of images and from numbers alone, before anything is computed. A test compares each with
the grid of what SimpleITK makes. What a rule refuses begins with a verb: before it comes the function's name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from math import prod
from types import MappingProxyType

from voxlogica._dataclass import NamedTuple
from voxlogica.errors import Refusal
from voxlogica.operators.grids import placed
from voxlogica.values import Space

Wholes = tuple[int, ...]
Numbers = tuple[float, ...]


class Rule(NamedTuple):
    """The parameters that decide on the grid, and the grid from their values; an image's value is its space.

    Not `exact` where SimpleITK says another place: a projection along the first axis it puts 2^31 voxels away.
    """

    parameters: tuple[str, ...]
    space: Callable[..., Space]
    exact: bool = True


def _part(space: Space, size: Sequence[int], index: Sequence[float], scale: Sequence[float] = ()) -> Space:
    """The grid of so many voxels; refuses when there are none."""
    if min(size) < 1:
        raise Refusal(f"would leave no voxel of {_by(space.size)}")
    return placed(space, size, index, scale)


def _by(size: Sequence[int]) -> str:
    return " x ".join(map(str, size))


# Other voxels for the same place


def _shrunk(space: Space, factors: Wholes) -> Space:
    size = [max(1, n // f) for n, f in zip(space.size, factors, strict=True)]
    middle = [(n - 1 - (m - 1) * f) / 2 for n, m, f in zip(space.size, size, factors, strict=True)]
    return _part(space, size, middle, factors)


def _binned(space: Space, factors: Wholes) -> Space:
    size = [n // f for n, f in zip(space.size, factors, strict=True)]
    return _part(space, size, [(f - 1) / 2 for f in factors], factors)


def _expanded(space: Space, factors: Wholes) -> Space:
    size = [n * f for n, f in zip(space.size, factors, strict=True)]
    return _part(space, size, [(1 / f - 1) / 2 for f in factors], [1 / f for f in factors])


def _projected(space: Space, axis: int) -> Space:
    if axis >= space.dimensions:
        raise Refusal(f"projects along an axis from 0 to {space.dimensions - 1}, not {axis}")
    scale = [n if along == axis else 1 for along, n in enumerate(space.size)]
    middle = [(k - 1) / 2 for k in scale]
    return _part(space, [n // k for n, k in zip(space.size, scale, strict=True)], middle, scale)


# Parts, and more around


def _padded(space: Space, lower: Wholes, upper: Wholes) -> Space:
    size = [n + low + high for n, low, high in zip(space.size, lower, upper, strict=True)]
    return _part(space, size, [-low for low in lower])


def _cropped(space: Space, lower: Wholes, upper: Wholes) -> Space:
    return _part(space, [n - low - high for n, low, high in zip(space.size, lower, upper, strict=True)], lower)


def _region(space: Space, size: Wholes, index: Wholes) -> Space:
    if any(low < 0 or low + extent > n for n, extent, low in zip(space.size, size, index, strict=True)):
        raise Refusal(f"cannot take {_by(size)} voxels from {list(index)}: the image has {_by(space.size)}")
    return _part(space, size, index)


def _extracted(space: Space, size: Wholes, index: Wholes) -> Space:
    """A region; an axis of which it takes 0 voxels is left out, and what it says of the place too."""
    kept = [axis for axis, extent in enumerate(size) if extent]
    if len(kept) < 2:
        raise Refusal(f"keeps two axes or three, and {list(size)} would leave {len(kept)}")
    _region(space, tuple([extent or 1 for extent in size]), index)
    n = space.dimensions
    direction = tuple([space.direction[row * n + column] for row in kept for column in kept])
    if len(kept) == 2 and abs(direction[0] * direction[3] - direction[1] * direction[2]) < 1e-12:
        direction = (1.0, 0.0, 0.0, 1.0)  # as SimpleITK does with axes that do not lie in a plane of the world
    spacing, origin = (tuple([each[axis] for axis in kept]) for each in (space.spacing, space.origin))
    plane = Space(tuple([space.size[axis] for axis in kept]), spacing, origin, direction)
    return _part(plane, [size[axis] for axis in kept], [index[axis] for axis in kept])


def _sliced(space: Space, start: Wholes, stop: Wholes | None, step: Wholes) -> Space:
    size, first = [], []
    for n, low, high, by in zip(space.size, start, stop or space.size, step, strict=True):
        if not by:
            raise Refusal("goes by a step that is not 0")
        least = 0 if by > 0 else -1
        begin, end = (min(max(bound, least), n + least) for bound in (low, high))
        size.append(max(0, -((begin - end) // by)))
        first.append(begin)
    return _part(space, size, first, step)


def _fft_padded(space: Space, prime: int | None) -> Space:
    """Up to the next extents with no greater prime factor; with the odd voxel at the end."""
    size = [_factored(n, prime or 5) for n in space.size]
    return _part(space, size, [-((m - n) // 2) for n, m in zip(space.size, size, strict=True)])


def _factored(number: int, prime: int) -> int:
    while prime > 1:
        rest = number
        for factor in range(2, prime + 1):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            break
        number += 1
    return number


# The same voxels, in another order


def _flipped(space: Space, axes: tuple[bool, ...], about_origin: bool) -> Space:
    last = [n - 1 if flipped else 0 for n, flipped in zip(space.size, axes, strict=True)]
    made = placed(space, space.size, last, [-1 if flipped else 1 for flipped in axes])
    if not about_origin:
        return made
    origin = tuple([-at if flipped else at for at, flipped in zip(made.origin, axes, strict=True)])
    return Space(space.size, space.spacing, origin, space.direction)


def _permuted(space: Space, order: Wholes | None) -> Space:
    n = space.dimensions
    order = order or tuple(range(n))
    if sorted(order) != list(range(n)):
        raise Refusal(f"takes each axis from 0 to {n - 1} once, and is given {list(order)}")
    direction = tuple([space.direction[row * n + column] for row in range(n) for column in order])
    size, spacing = tuple([space.size[axis] for axis in order]), tuple([space.spacing[axis] for axis in order])
    return Space(size, spacing, space.origin, direction)


_SIDES = ("RL", "AP", "IS")
"""Along each axis of the world, the side that it comes from and the one that it goes to."""


def _oriented(space: Space, wanted: str) -> Space:
    """The axes turned and put in an order such that they go to these sides, as nearly as they can."""
    if space.dimensions != 3:
        raise Refusal("turns images of three dimensions, and this one has two")
    worlds = [next((n for n, sides in enumerate(_SIDES) if letter in sides), -1) for letter in wanted]
    if sorted(worlds) != [0, 1, 2]:
        raise Refusal(f'turns axes to three sides, such as "LPS", not "{wanted}"')
    left = {(row, column): abs(space.direction[3 * row + column]) for row, column in product(range(3), repeat=2)}
    axis: dict[int, int] = {}  # of the image, by that of the world which it is nearest to
    while left:
        row, column = max(left, key=lambda place: left[place])
        axis[row] = column
        left = {place: size for place, size in left.items() if place[0] != row and place[1] != column}
    order = tuple([axis[world] for world in worlds])
    ahead = [letter == _SIDES[world][1] for letter, world in zip(wanted, worlds, strict=True)]
    flips = [(space.direction[3 * w + a] > 0) != to for w, a, to in zip(worlds, order, ahead, strict=True)]
    return _flipped(_permuted(space, order), tuple(flips), False)


# Several images


def _correlated(fixed: Space, moving: Space) -> Space:
    if fixed.dimensions != moving.dimensions:
        raise Refusal("takes two images of as many dimensions")
    size = [n + m - 1 for n, m in zip(fixed.size, moving.size, strict=True)]
    return _part(fixed, size, [-(m - 1) / 2 for m in moving.size])


def _joined(spaces: tuple[Space, ...], origin: float, spacing: float) -> Space:
    first = spaces[0]
    if first.dimensions != 2:
        raise Refusal("makes an image of three dimensions of some of two, and these have three")
    if not spacing > 0:
        raise Refusal(f"needs a spacing above 0, not {spacing:g}")
    a, b, c, d = first.direction
    direction = (a, b, 0.0, c, d, 0.0, 0.0, 0.0, 1.0)
    return Space((*first.size, len(spaces)), (*first.spacing, spacing), (*first.origin, origin), direction)


def _tiled(spaces: tuple[Space, ...], layout: Wholes) -> Space:
    first, count = spaces[0], len(spaces)
    if any(space.size != first.size for space in spaces):
        raise Refusal("takes images of one size")
    n = len(layout)
    if n != first.dimensions:
        raise Refusal(f"takes a layout of {first.dimensions} numbers, and is given {list(layout)}")
    last = layout[-1] or -(-count // max(1, prod(layout[:-1])))
    layout = (*layout[:-1], last)
    if min(layout) < 1 or prod(layout) < count:
        raise Refusal(f"cannot put {count} images into {_by(layout)}")
    # where a layer of tiles has no image SimpleITK leaves one voxel
    filled = [min(k, -(-count // prod(layout[:axis]))) for axis, k in enumerate(layout)]
    size = tuple([m * full + k - full for m, k, full in zip(first.size, layout, filled, strict=True)])
    direction = tuple([float(row == column) for row in range(n) for column in range(n)])
    return Space(size, first.spacing, first.origin, direction)


# A grid that is given


def _given(size: Wholes, origin: Numbers, spacing: Numbers, direction: Numbers = ()) -> Space:
    n = len(size)
    if n not in (2, 3) or min(size) < 1:
        raise Refusal(f"makes an image of two or three dimensions, each of 1 voxel or more, not {list(size)}")
    for what, numbers in (("an origin", origin), ("a spacing", spacing)):
        if len(numbers) != n:
            raise Refusal(f"needs {what} with {n} numbers, and is given {len(numbers)}")
    if not min(spacing) > 0:
        raise Refusal(f"needs spacings above 0, not {min(spacing):g}")
    if len(direction) not in (0, n * n):
        raise Refusal(f"needs a direction of {n * n} numbers, row by row, and is given {len(direction)}")
    cosines = direction or tuple([float(row == column) for row in range(n) for column in range(n)])
    return Space(tuple(size), tuple(spacing), tuple(origin), tuple(cosines))


def _resampled(_: Space, size: Wholes, origin: Numbers, spacing: Numbers, direction: Numbers) -> Space:
    return _given(size, origin, spacing, direction)


_PAD = Rule(("image1", "padLowerBound", "padUpperBound"), _padded)
_PROJECTION = Rule(("image1", "projectionDimension"), _projected, exact=False)
_SOURCE = Rule(("size", "origin", "spacing", "direction"), _given)

RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "BinShrink": Rule(("image1", "shrinkFactors"), _binned),
        "BinaryProjection": _PROJECTION,
        "BinaryThresholdProjection": _PROJECTION,
        "ConstantPad": _PAD,
        "Crop": Rule(("image1", "lowerBoundaryCropSize", "upperBoundaryCropSize"), _cropped),
        "DICOMOrient": Rule(("image1", "desiredCoordinateOrientation"), _oriented),
        "Expand": Rule(("image1", "expandFactors"), _expanded),
        "Extract": Rule(("image1", "size", "index"), _extracted),
        "FFTNormalizedCorrelation": Rule(("fixedImage", "movingImage"), _correlated),
        "FFTPad": Rule(("image1", "sizeGreatestPrimeFactor"), _fft_padded),
        "Flip": Rule(("image1", "flipAxes", "flipAboutOrigin"), _flipped),
        "GaborSource": _SOURCE,
        "GaussianSource": _SOURCE,
        "GridSource": _SOURCE,
        "JoinSeries": Rule(("images", "origin", "spacing"), _joined),
        "MaskedFFTNormalizedCorrelation": Rule(("fixedImage", "movingImage"), _correlated),
        "MaximumProjection": _PROJECTION,
        "MeanProjection": _PROJECTION,
        "MedianProjection": _PROJECTION,
        "MinimumProjection": _PROJECTION,
        "MirrorPad": _PAD,
        "Paste": Rule(("destinationImage",), lambda space: space),
        "PermuteAxes": Rule(("image1", "order"), _permuted),
        "RegionOfInterest": Rule(("image1", "size", "index"), _region),
        "Resample": Rule(("image1", "size", "outputOrigin", "outputSpacing", "outputDirection"), _resampled),
        "Shrink": Rule(("image1", "shrinkFactors"), _shrunk),
        "Slice": Rule(("image1", "start", "stop", "step"), _sliced),
        "StandardDeviationProjection": _PROJECTION,
        "SumProjection": _PROJECTION,
        "Tile": Rule(("images", "layout"), _tiled),
        "WrapPad": _PAD,
        "ZeroFluxNeumannPad": _PAD,
    }
)  # fmt: skip
"""The rules by function. `images` stands for all images that a function is given, in a list or one by one."""
