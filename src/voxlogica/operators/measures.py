"""How well two masks agree, and how large they are."""

from __future__ import annotations

from math import nan

from voxlogica._dataclass import dataclass
from voxlogica.operators import operator
from voxlogica.values import Image, Mask


@operator(commutative=True)
def dice(a: Mask, b: Mask) -> float:
    """Twice the voxels that a and b share over the sum of their voxels: 0 no overlap, 1 the same; 1 if both are empty.

    >>> value("dice(a, b)", a="01110", b="00110")
    0.8
    """
    one, two, both = _counts(a, b)
    return 2 * both / (one + two) if one + two else 1.0


@operator(commutative=True)
def jaccard(a: Mask, b: Mask) -> float:
    """The voxels that a and b share over those of either: 0 no overlap, 1 the same; 1 if both are empty.

    >>> value("jaccard(a, b)", a="01110", b="00011")
    0.25
    """
    one, two, both = _counts(a, b)
    return both / (one + two - both) if one + two else 1.0


@operator(commutative=True)
def pixel_accuracy(a: Mask, b: Mask) -> float:
    """The share of all voxels in which a and b agree.

    >>> value("pixel_accuracy(a, b)", a="0110", b="0011")
    0.5
    """
    one, two, both = _counts(a, b)
    return 1 - (one + two - 2 * both) / a.space.voxels


@dataclass(frozen=True)
class Confusion:
    """How the voxels of a prediction fall against those of a reference."""

    tp: float
    fp: float
    fn: float
    tn: float
    accuracy: float
    precision: float
    recall: float
    specificity: float
    dice: float
    jaccard: float


@operator()
def confusion_matrix(prediction: Mask, reference: Mask) -> Confusion:
    """How many voxels a prediction and a reference agree on and do not, and the usual shares of them.

    `tp fp fn tn` count true and false positives and negatives; `accuracy` is (tp+tn) over all voxels, `precision`
    tp/(tp+fp), `recall` tp/(tp+fn), also called sensitivity, `specificity` tn/(tn+fp), `dice`, also called F1, and
    `jaccard` as the operators of that name. A share of no voxel is not a number (nan). Of label maps there is one for
    each class:   for k in range(1, 4) do confusion_matrix(k .= p, k .= g)

    >>> value("confusion_matrix(a, b).fp", a="01110", b="00110"), value("confusion_matrix(a, b).recall", a="01", b="11")
    (1.0, 0.5)
    """
    one, two, both = _counts(prediction, reference)
    tp, fp, fn = both, one - both, two - both
    voxels = prediction.space.voxels
    tn = voxels - tp - fp - fn
    return Confusion(
        tp=float(tp), fp=float(fp), fn=float(fn), tn=float(tn),
        accuracy=(tp + tn) / voxels,
        precision=tp / one if one else nan,
        recall=tp / two if two else nan,
        specificity=tn / (tn + fp) if tn + fp else nan,
        dice=2 * tp / (one + two) if one + two else 1.0,
        jaccard=tp / (tp + fp + fn) if one + two else 1.0,
    )  # fmt: skip


@dataclass(frozen=True)
class Difference:
    """How far apart two images of one grid are."""

    equal: bool
    different: float
    largest: float
    mean: float


@operator(symbol="compare_arrays", commutative=True)
def compare_images(a: Image, b: Image) -> Difference:
    """Whether two images are equal, in how many voxels they differ, and the largest and the mean of |a − b|.

    Differences are taken as `a - b` does; NaN differs from everything, and is then the largest and the mean.

    >>> value("compare_arrays(a, b).different", a=[1, 2, 4], b=[1, 2, 1])
    1.0
    >>> value("compare_arrays(a, b).mean", a=[1, 2, 4], b=[1, 2, 1])
    1.0
    """
    from voxlogica.kernels import arithmetic, fields, masks

    one, two = a.array(), b.array()
    different = masks.count(masks.compare_images(one, "!=", two))
    apart = arithmetic.absolute(arithmetic.subtract(one, two))
    return Difference(different == 0, float(different), fields.maximum(apart), fields.moments(apart)[1])


@operator(symbol="compare_arrays", commutative=True)
def compare_masks(a: Mask, b: Mask) -> Difference:
    """The same of masks, where a voxel in which they differ is 1 apart.

    >>> value("compare_arrays(a, b).mean", a="0110", b="0011")
    0.5
    """
    one, two, both = _counts(a, b)
    different = one + two - 2 * both
    return Difference(different == 0, float(different), float(different > 0), different / a.space.voxels)


@operator(commutative=True, cost="distance")
def hausdorff(a: Mask, b: Mask, *, threads: int = 1) -> float:
    """The largest distance from a surface voxel of a or b to the surface of the other, in mm; −1 as for `hd95`.

    >>> value("hausdorff(a, b)", a="0100000", b="0100100")
    3.0
    """
    return _distance(a, b, 1.0, threads)


@operator(commutative=True, cost="distance")
def hd95(a: Mask, b: Mask, *, threads: int = 1) -> float:
    """The 95th percentile of the distances from the surface voxels of a and of b to the surface of the other, in mm.

    The surface is the voxels with a false neighbour in the full neighbourhood. Distances of both directions are put
    together, and the percentile is interpolated between neighbours, as NumPy does. −1 when a or b has no surface: is
    empty, or true everywhere.

    >>> value("hd95(a, b)", a="0111000", b="0111000")
    0.0
    """
    return _distance(a, b, 0.95, threads)


@operator(commutative=True, cost="distance")
def assd(a: Mask, b: Mask, *, threads: int = 1) -> float:
    """The mean of the distances of which `hd95` is the 95th percentile, in mm; −1 as there.

    >>> value("assd(a, b)", a="0100000", b="0010000")
    1.0
    """
    from voxlogica.kernels import measures

    found = measures.surface_distances(a.words(), b.words(), a.space.size[0], a.space.spacing3, threads=threads)
    if found is None:
        return -1.0
    return (float(found[0].sum(dtype=float)) + float(found[1].sum(dtype=float))) / (found[0].size + found[1].size)


@operator(cost="distance")
def nsd(a: Mask, b: Mask, tolerance: float, *, threads: int = 1) -> float:
    """The share of the surface voxels of a and b that lie at most a tolerance, in mm, from the surface of the other.

    The normalised surface Dice of Nikolov et al. (2021), with voxels for surface elements. −1 as for `hd95`.

    >>> value("nsd(a, b, 1)", a="0100000", b="0100100")
    0.6666666666666666
    """
    from voxlogica.kernels import measures

    found = measures.surface_distances(a.words(), b.words(), a.space.size[0], a.space.spacing3, threads=threads)
    if found is None:
        return -1.0
    near = sum(int((distances <= tolerance).sum()) for distances in found)
    return near / (found[0].size + found[1].size)


@operator()
def volume_mm3(a: Mask) -> float:
    """The volume of a in cubic millimetres, in two dimensions its area in square ones: voxels times their size.

    >>> value("volume_mm3(a)", a="0110")
    2.0
    """
    from voxlogica.kernels import masks

    x, y, z = a.space.spacing3
    return masks.count(a.words()) * (x * y * z)


def _counts(a: Mask, b: Mask) -> tuple[int, int, int]:
    """The voxels of a, of b, and of both."""
    from voxlogica.kernels import masks

    one, two = a.words(), b.words()
    return masks.count(one), masks.count(two), masks.count(masks.conjunction(one, two))


def _distance(a: Mask, b: Mask, share: float, threads: int) -> float:
    from voxlogica.kernels import measures

    found = measures.surface_distances(a.words(), b.words(), a.space.size[0], a.space.spacing3, threads=threads)
    return -1.0 if found is None else measures.percentile(found, share)
