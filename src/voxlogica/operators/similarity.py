"""Operators that look at the distribution of values: ranks, histograms, thresholds."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from voxlogica.errors import Refusal
from voxlogica.operators import operator
from voxlogica.operators.comparison import Comparable
from voxlogica.values import Image, Mask, Numbers, Space

if TYPE_CHECKING:
    from voxlogica.kernels.arrays import Words
    from voxlogica.kernels.masks import Comparison
    from voxlogica.kernels.ranks import Ranks

_MOST_BINS = 2**31


class Ranked(Comparable):
    """Ranks by number, from which those of all voxels are made once somebody asks for more than a comparison."""

    def __init__(self, ranks: Ranks) -> None:
        self._now: Ranks | memoryview = ranks
        self._count = ranks.size
        self._widening = Lock()

    @property
    def count(self) -> int:
        """How many voxels there are."""
        return self._count

    def voxels(self, shape: tuple[int, ...]) -> Numbers:
        """The ranks of all voxels."""
        return self.wide().cast("f", shape)

    def wide(self) -> memoryview:
        """Their bytes."""
        with self._widening:
            from voxlogica.kernels import arrays

            now = self._now
            if not isinstance(now, memoryview):
                self._now = now = arrays.raw(now.floats()).toreadonly()
            return now

    def part(self, begin: int, end: int) -> memoryview:
        """Those of some voxels."""
        return self.wide()[4 * begin : 4 * end]

    def compare(self, comparison: Comparison, k: float, threads: int) -> Words | None:
        now = self._now
        return None if isinstance(now, memoryview) else now.compare(comparison, k, threads=threads)


@operator(cost="histogram")
def percentiles(a: Image, b: Mask, c: float, *, threads: int = 1) -> Image:
    """The rank of each voxel among those of b: the share below it plus c times the share equal to it; −1 outside b.

    c = 0 gives "strictly below", 1 "at or below", 0.5 the middle rank. Computed in float32 steps as version 1 did:
    (f32(below) + f32(c)·f32(equal)) / f32(n) (C13, C26). b empty: −1 everywhere. NaN among the voxels of b is an error.

    >>> value("percentiles(a, tt, 0.5)", a=[1, 2, 2, 5])
    [0.125, 0.5, 0.5, 0.875]
    """
    from voxlogica.kernels import fields
    from voxlogica.kernels.ranks import Ranks

    voxels = a.voxels()
    if voxels.format != "f":
        return Image(a.space, Ranked(Ranks(voxels, b.words(), c)))
    try:
        return Image.of(a.space, fields.percentiles(voxels, b.words(), c, threads=threads))
    except ValueError as problem:
        raise Refusal(
            "`percentiles` met voxels that are not numbers (NaN) among those it ranks",
            help="leave them out of the mask: what is true of   a >=. -1e38   is a number",
        ) from problem  # fmt: skip


@operator(symbol="crossCorrelation", cost="window")
def crosscorrelation(
    rho: float, a: Image, b: Image, phi: Mask, low: float, high: float, bins: float, *, threads: int = 1
) -> Image:
    """How similar the surroundings of each voxel in a are to the region phi of b: −1 to 1.

    The histogram of a over the box of half-width round(rho / spacing) voxels, at least 1, on each axis (half to even)
    is correlated (Pearson) with the histogram of b over phi. Both have `bins` bins of width (high − low)/bins from low;
    values outside low ≤ v < high, high itself included, and what is outside the image are ignored. Neither histogram
    varies: 1; exactly one does: 0. Exact integers until the end (C14).

    >>> value("crossCorrelation(1, a, a, b, 0, 4, 4)", a=[0, 0, 0, 3, 3], b="11100")
    [1.0, 1.0, 0.8703882694244385, 0.17407765984535217, -0.3333333432674408]
    """
    from voxlogica.kernels import fields

    _check_bins("crossCorrelation", bins)
    if not rho >= 0 or rho > 1e9:
        raise Refusal(f"`crossCorrelation` needs a radius in mm that is not negative, not {rho:g}")
    radius = fields.window_radius(rho, a.space.spacing3)
    return Image.of(
        a.space,
        fields.correlation(a.voxels(), b.voxels(), phi.words(), radius, low, high, int(bins), threads=threads),
    )


@operator(cost="windows", hidden=True, version=2)
def windows(rho: float, a: Image, low: float, high: float, bins: float, *, threads: int = 1) -> Image:
    """What `crossCorrelation` finds out around each voxel before it looks at the region: numbers in the bits of floats.

    Many regions share it; see `kernels.fields.windows`, whose limits a rewrite has looked at. The image is of a box of
    a: its space has the box's size, and as its origin the indices of the voxel of a where the box begins.
    """
    from voxlogica.kernels import arrays, fields

    radius = fields.window_radius(rho, a.space.spacing3)
    (z, y, x), numbers = fields.windows(a.voxels(), radius, low, high, int(bins), threads=threads)
    grid = Space.grid(*reversed(arrays.shape_of(numbers)))
    box = Space(grid.size, grid.spacing, (float(x), float(y), float(z)), grid.direction)
    return Image(box, arrays.raw(numbers).toreadonly())


@operator(cost="histogram")
def otsu(a: Image, b: Mask, bins: float) -> Mask:
    """True in b where a is above the threshold that best parts the voxels of b in two: Otsu's method with `bins` bins.

    (Otsu, A threshold selection method from gray-level histograms, 1979.) False outside b.

    >>> holds("otsu(a, tt, 10)", a=[1, 2, 1, 8, 9, 9])
    '000111'
    """
    from voxlogica.kernels import fields

    _check_bins("otsu", bins)
    try:
        return Mask.of(a.space, fields.otsu(a.voxels(), b.words(), int(bins)))
    except ValueError as problem:
        raise Refusal(
            f"`otsu` cannot make a histogram: {problem}",
            help="leave what is no ordinary number out of the mask, for instance by   a >=. -1e38",
        ) from problem


def _check_bins(name: str, bins: float) -> None:
    """A histogram has at least one bin, and no more than memory could ever hold."""
    usual = "for images, 10 to 1000 bins are usual"
    if bins != bins or bins < 1:
        raise Refusal(f"`{name}` needs at least one bin, not {bins:g}", help=usual)
    if bins >= _MOST_BINS:
        raise Refusal(f"`{name}` cannot count in {bins:g} bins", help=usual)
