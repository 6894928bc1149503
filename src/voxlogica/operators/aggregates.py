"""One number from an image or a mask."""

from __future__ import annotations

from voxlogica._dataclass import dataclass
from voxlogica.errors import Refusal
from voxlogica.operators import operator
from voxlogica.values import Image, Mask, Record


@operator()
def max_(a: Image) -> float:
    """The largest voxel.

    >>> value("max(a)", a=[1, 5, 2])
    5.0
    """
    from voxlogica.kernels import fields

    return fields.maximum(a.voxels())


@operator()
def min_(a: Image) -> float:
    """The smallest voxel.

    >>> value("min(a)", a=[3, 1, 2])
    1.0
    """
    from voxlogica.kernels import fields

    return fields.minimum(a.voxels())


@operator()
def avg(a: Image, b: Mask) -> float:
    """The mean of a over the voxels of b, accumulated in double. An empty b is an error.

    >>> value("avg(a, b)", a=[1, 2, 4], b="011")
    3.0
    """
    from voxlogica.kernels import fields

    _inhabited(b, "avg")
    return fields.mean(a.voxels(), b.words())


@dataclass(frozen=True)
class Statistics:
    """How the voxels of an image are distributed."""

    min: float
    max: float
    mean: float
    std: float
    variance: float
    sum: float
    count: float


@operator(also=("arrays.array_stats",))
def array_stats(a: Image) -> Statistics:
    """The least, the largest, mean, standard deviation, variance, sum and number of all voxels, computed in double.

    The variance is that of a sample: squared deviations from the mean over one less than the number of voxels; of a
    single voxel it is not a number (nan).

    >>> value("array_stats(a).mean", a=[1, 2, 6]), value("array_stats(a).variance", a=[1, 2, 6])
    (3.0, 7.0)
    """
    from voxlogica.kernels import fields

    array = a.voxels()
    total, mean, variance = fields.moments(array)
    least, most = fields.extremes(array)
    return Statistics(least, most, mean, variance**0.5, variance, total, float(a.space.voxels))


@operator()
def avg0(a: Image, b: Mask) -> float:
    """The mean of a over the voxels of b, accumulated in double; 0 when b is empty.

    >>> value("avg0(a, ff)", a=[1, 2, 4])
    0.0
    """
    from voxlogica.kernels import fields, masks

    return fields.mean(a.voxels(), b.words()) if masks.count(b.words()) else 0.0


@operator()
def volume(a: Mask) -> float:
    """The number of true voxels (not cubic millimetres).

    >>> value("volume(a)", a="0110")
    2.0
    """
    from voxlogica.kernels import masks

    return float(masks.count(a.words()))


@operator()
def minwithin(a: Image, b: Mask) -> float:
    """The smallest voxel of a among those of b. An empty b is an error.

    >>> value("minwithin(a, b)", a=[1, 2, 4], b="011")
    2.0
    """
    from voxlogica.kernels import fields

    _inhabited(b, "minwithin")
    return fields.minimum_within(a.voxels(), b.words())


@operator()
def maxwithin(a: Image, b: Mask) -> float:
    """The largest voxel of a among those of b. An empty b is an error.

    >>> value("maxwithin(a, b)", a=[8, 2, 4], b="011")
    4.0
    """
    from voxlogica.kernels import fields

    _inhabited(b, "maxwithin")
    return fields.maximum_within(a.voxels(), b.words())


@dataclass(frozen=True)
class Extremes:
    """The least and the largest voxel of an image."""

    min: float
    max: float


@operator(hidden=True)
def extremes(a: Image) -> Extremes:
    """`min` and `max` in one pass, for who wants both."""
    from voxlogica.kernels import fields

    return Extremes(*fields.extremes(a.voxels()))


@dataclass(frozen=True)
class Summary:
    """The voxels of an image in a mask: whether there are any; if so the least, the largest and their mean, else 0."""

    inhabited: bool
    minwithin: float
    maxwithin: float
    avg: float


@operator(hidden=True)
def summary(a: Image, b: Mask) -> Summary:
    """`minwithin`, `maxwithin`, `avg` and `avg0` in one pass, for who wants several; an empty b is no error yet."""
    from voxlogica.kernels import fields, masks

    if masks.count(b.words()) == 0:
        return Summary(False, 0.0, 0.0, 0.0)
    return Summary(True, *fields.summary(a.voxels(), b.words()))


def of_summary(found: Record, name: str) -> float:
    """What the operator of this name says of what `summary` has found."""
    if name != "avg0" and not found["inhabited"]:
        raise _empty(name)
    value = found[name.rstrip("0")]
    assert isinstance(value, float)
    return value


_WHY = {
    "avg": ("the mean over no voxel is not a number", "`avg0` is 0 then"),
    "minwithin": ("there is no smallest of no voxel", ""),
    "maxwithin": ("there is no largest of no voxel", ""),
}


def _inhabited(b: Mask, name: str) -> None:
    from voxlogica.kernels import masks

    if masks.count(b.words()) == 0:
        raise _empty(name)


def _empty(name: str) -> Refusal:
    why, help = _WHY[name]
    return Refusal(f"`{name}` was given a mask with no true voxel, and {why}", help=help)
