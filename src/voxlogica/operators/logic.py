"""Boolean algebra of masks, voxel by voxel."""

from __future__ import annotations

from voxlogica.operators import operator
from voxlogica.values import Mask


@operator(cost="bits", also=("!",))
def not_(a: Mask, *, threads: int = 1) -> Mask:
    """True where a is false. It is also written `!a`.

    >>> holds("not(a)", a="0110")
    '1001'
    """
    from voxlogica.kernels import masks

    return Mask.of(a.space, masks.complement(a.words(), a.space.size[0], threads=threads))


@operator(cost="bits", also=("&&",), commutative=True)
def and_(a: Mask, b: Mask, *, threads: int = 1) -> Mask:
    """True where both are. It is also written `a && b`, and in the library `a & b`.

    >>> holds("and(a, b)", a="0110", b="0011")
    '0010'
    """
    from voxlogica.kernels import masks

    return Mask.of(a.space, masks.conjunction(a.words(), b.words(), threads=threads))


@operator(cost="bits", also=("||",), commutative=True)
def or_(a: Mask, b: Mask, *, threads: int = 1) -> Mask:
    """True where at least one is. It is also written `a || b`, and in the library `a | b`.

    >>> holds("or(a, b)", a="0110", b="0011")
    '0111'
    """
    from voxlogica.kernels import masks

    return Mask.of(a.space, masks.disjunction(a.words(), b.words(), threads=threads))
