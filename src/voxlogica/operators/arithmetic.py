"""Arithmetic of number images, voxel by voxel in float32. A dot marks the side on which a number stands."""

from __future__ import annotations

from voxlogica.operators import operator
from voxlogica.values import Image, Mask


@operator(symbol="+")
def add(a: Image, b: Image) -> Image:
    """The sum at every voxel.

    >>> value("a + b", a=[1, 2], b=[10, 20])
    [11.0, 22.0]
    """
    from voxlogica.kernels import arithmetic

    return Image.of(a.space, arithmetic.add(a.array(), b.array()))


@operator(symbol="-")
def subtract(a: Image, b: Image) -> Image:
    """The difference at every voxel.

    >>> value("a - b", a=[1, 2], b=[10, 20])
    [-9.0, -18.0]
    """
    from voxlogica.kernels import arithmetic

    return Image.of(a.space, arithmetic.subtract(a.array(), b.array()))


@operator(symbol="*")
def multiply(a: Image, b: Image) -> Image:
    """The product at every voxel.

    >>> value("a * b", a=[1, 2], b=[10, 20])
    [10.0, 40.0]
    """
    from voxlogica.kernels import arithmetic

    return Image.of(a.space, arithmetic.multiply(a.array(), b.array()))


@operator(symbol="/")
def divide(a: Image, b: Image) -> Image:
    """The quotient at every voxel; where b is 0 it is 3.4028235e38, the largest float32 (C21).

    >>> value("a / b", a=[1, 2], b=[4, 0])
    [0.25, 3.4028234663852886e+38]
    """
    from voxlogica.kernels import arithmetic

    return Image.of(a.space, arithmetic.divide(a.array(), b.array()))


@operator(symbol="+.", also=("+",))
def add_constant(a: Image, k: float) -> Image:
    """The number k, rounded to float32, added to every voxel.

    >>> value("a +. 1", a=[1, 2])
    [2.0, 3.0]
    """
    from voxlogica.kernels import arithmetic

    return Image.of(a.space, arithmetic.add_scalar(a.array(), k))


@operator(symbol="-.", also=("-",))
def subtract_constant(a: Image, k: float) -> Image:
    """The number k, rounded to float32, subtracted from every voxel.

    >>> value("a -. 1", a=[1, 2])
    [0.0, 1.0]
    """
    from voxlogica.kernels import arithmetic

    return Image.of(a.space, arithmetic.subtract_scalar(a.array(), k))


@operator(symbol="*.", also=("*",))
def multiply_constant(a: Image, k: float) -> Image:
    """Every voxel times the number k, rounded to float32.

    >>> value("a *. 3", a=[1, 2])
    [3.0, 6.0]
    """
    from voxlogica.kernels import arithmetic

    return Image.of(a.space, arithmetic.multiply_scalar(a.array(), k))


@operator(symbol="/.", also=("/",))
def divide_constant(a: Image, k: float) -> Image:
    """Every voxel times 1/k, as version 1 does (not divided by k: the last bit may differ). k = 0: ±inf, and nan at 0.

    >>> value("a /. 4", a=[1, 2])
    [0.25, 0.5]
    """
    from voxlogica.kernels import arithmetic

    return Image.of(a.space, arithmetic.divide_scalar(a.array(), k))


@operator(symbol=".-", also=("-",))
def subtract_from(k: float, a: Image) -> Image:
    """The number k, rounded to float32, minus every voxel.

    >>> value("10 .- a", a=[1, 2])
    [9.0, 8.0]
    """
    from voxlogica.kernels import arithmetic

    return Image.of(a.space, arithmetic.subtract_from(k, a.array()))


@operator(symbol="./", also=("/",))
def divide_into(k: float, a: Image) -> Image:
    """The number k, rounded to float32, divided by every voxel; 3.4028235e38 where it is 0 (C21).

    >>> value("1 ./ a", a=[2, -2])
    [0.5, -0.5]
    """
    from voxlogica.kernels import arithmetic

    return Image.of(a.space, arithmetic.divide_into(k, a.array()))


@operator()
def abs_(a: Image) -> Image:
    """The absolute value at every voxel.

    >>> value("abs(a)", a=[-1, 2])
    [1.0, 2.0]
    """
    from voxlogica.kernels import arithmetic

    return Image.of(a.space, arithmetic.absolute(a.array()))


@operator()
def mask(a: Image, b: Mask, *, threads: int = 1) -> Image:
    """a where b holds, and 0 elsewhere.

    >>> value("mask(a, b)", a=[1, 2, 3], b="011")
    [0.0, 2.0, 3.0]
    """
    from voxlogica.kernels import fields

    return Image.of(a.space, fields.masked(a.voxels(), b.words(), threads=threads))


@operator(symbol="max")
def larger(a: Image, b: Image) -> Image:
    """The larger of two images at every voxel; NaN where one is.

    >>> value("max(a, b)", a=[1, 5], b=[3, 2])
    [3.0, 5.0]
    """
    from voxlogica.kernels import arithmetic

    return Image.of(a.space, arithmetic.larger(a.array(), b.array()))


@operator(symbol="min")
def smaller(a: Image, b: Image) -> Image:
    """The smaller of two images at every voxel; NaN where one is.

    >>> value("min(a, b)", a=[1, 5], b=[3, 2])
    [1.0, 2.0]
    """
    from voxlogica.kernels import arithmetic

    return Image.of(a.space, arithmetic.smaller(a.array(), b.array()))
