"""One number from an image or a mask."""

from __future__ import annotations

from voxlogica._dataclass import dataclass
from voxlogica.errors import Refusal
from voxlogica.operators import operator
from voxlogica.values import Image, Mask


@operator()
def max_(a: Image) -> float:
    """The largest voxel.

    >>> value("max(a)", a=[1, 5, 2])
    5.0
    """
    from voxlogica.kernels import fields

    return fields.maximum(a.array())


@operator()
def min_(a: Image) -> float:
    """The smallest voxel.

    >>> value("min(a)", a=[3, 1, 2])
    1.0
    """
    from voxlogica.kernels import fields

    return fields.minimum(a.array())


@operator()
def avg(a: Image, b: Mask) -> float:
    """The mean of a over the voxels of b, accumulated in double. An empty b is an error.

    >>> value("avg(a, b)", a=[1, 2, 4], b="011")
    3.0
    """
    from voxlogica.kernels import fields

    _inhabited(b, "avg", "the mean over no voxel is not a number", "`avg0` is 0 then")
    return fields.mean(a.array(), b.words())


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

    array = a.array()
    total, mean, variance = fields.moments(array)
    least, most = fields.minimum(array), fields.maximum(array)
    return Statistics(least, most, mean, variance**0.5, variance, total, float(array.size))


@operator()
def avg0(a: Image, b: Mask) -> float:
    """The mean of a over the voxels of b, accumulated in double; 0 when b is empty.

    >>> value("avg0(a, ff)", a=[1, 2, 4])
    0.0
    """
    from voxlogica.kernels import fields, masks

    return fields.mean(a.array(), b.words()) if masks.count(b.words()) else 0.0


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

    _inhabited(b, "minwithin", "there is no smallest of no voxel")
    return fields.minimum_within(a.array(), b.words())


@operator()
def maxwithin(a: Image, b: Mask) -> float:
    """The largest voxel of a among those of b. An empty b is an error.

    >>> value("maxwithin(a, b)", a=[8, 2, 4], b="011")
    4.0
    """
    from voxlogica.kernels import fields

    _inhabited(b, "maxwithin", "there is no largest of no voxel")
    return fields.maximum_within(a.array(), b.words())


def _inhabited(b: Mask, name: str, why: str, help: str = "") -> None:
    from voxlogica.kernels import masks

    if masks.count(b.words()) == 0:
        raise Refusal(f"`{name}` was given a mask with no true voxel, and {why}", help=help)
