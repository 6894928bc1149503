"""The closure space at work: neighbourhoods, connected components, distances.

Adjacency is the full box: 8 neighbours in 2D, 26 in 3D.
"""

from __future__ import annotations

from voxlogica.operators import operator
from voxlogica.values import Image, Labels, Mask


@operator(cost="neighbourhood")
def near(a: Mask, *, threads: int = 1) -> Mask:
    """The closure: true where some voxel of the 3×3 (×3) box around the voxel, itself included, is true.

    What lies outside the image counts as false. (Čech closure; Ciancia et al., Specifying and verifying properties of
    space, TCS 2014.)

    >>> holds("near(a)", a="00100")
    '01110'
    """
    from voxlogica.kernels import masks

    return Mask.of(a.space, masks.near(a.words(), a.space.size[0], threads=threads))


@operator(cost="neighbourhood")
def interior(a: Mask, *, threads: int = 1) -> Mask:
    """True where the whole 3×3 (×3) box around the voxel is true: the dual of `near`, ¬near(¬a).

    What lies outside counts as true, so the image's border does not erode. In 3D version 1 took the 18 nearest
    neighbours only; here it is all 26 (C11).

    >>> holds("interior(a)", a="11101")
    '11000'
    """
    from voxlogica.kernels import masks

    return Mask.of(a.space, masks.interior(a.words(), a.space.size[0], threads=threads))


@operator(cost="components")
def through(a: Mask, b: Mask, *, threads: int = 1) -> Mask:
    """True where the connected component of b that holds the voxel meets a.

    >>> holds("through(a, b)", a="10000", b="11011")
    '11000'
    """
    from voxlogica.kernels import masks

    return Mask.of(a.space, masks.through(a.words(), b.words(), a.space.size[0], threads=threads))


@operator(cost="components", also=("Lcc",))
def lcc(a: Mask, *, threads: int = 1) -> Labels:
    """The connected components, numbered from 1 in the order in which a raster scan first meets them; 0 outside a.

    Version 2 also writes it `Lcc`.

    >>> value("lcc(a)", a="11011")
    [1.0, 1.0, 0.0, 2.0, 2.0]
    """
    from voxlogica.kernels import masks

    return Labels.of(a.space, masks.components(a.words(), a.space.size[0], threads=threads))


@operator(cost="components")
def maxvol(a: Mask, *, threads: int = 1) -> Mask:
    """The largest connected component; all of them where several are largest; empty where a is.

    >>> holds("maxvol(a)", a="1101101")
    '1101100'
    """
    from voxlogica.kernels import masks

    return Mask.of(a.space, masks.largest(a.words(), a.space.size[0], threads=threads))


@operator(cost="distance")
def dt(a: Mask, *, threads: int = 1) -> Image:
    """The signed Euclidean distance to a, in mm, exact, from voxel centre to voxel centre.

    Outside a: to its nearest voxel, positive. Inside: to its nearest contour voxel (one with a false neighbour in the
    full neighbourhood; outside the image there are none), negative, and 0 on the contour. Each value is
    √((sx·dx)² + (sy·dy)² + (sz·dz)²) in double, rounded once to float32 (C23). a empty: 1.8446743e19 everywhere; a true
    everywhere: −1.8446743e19. Version 1's manual says the distance is never negative; `pdt` is that one.

    >>> value("dt(a)", a="001111100")
    [2.0, 1.0, -0.0, -1.0, -2.0, -1.0, -0.0, 1.0, 2.0]
    """
    from voxlogica.kernels import fields

    space = a.space
    return Image.of(space, fields.distance(a.words(), space.size[0], space.spacing3, threads=threads))
