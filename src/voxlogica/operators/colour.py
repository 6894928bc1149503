"""From what a file holds to number images, and back to colour."""

from __future__ import annotations

from voxlogica.operators import operator
from voxlogica.values import Image, Model


@operator()
def intensity(m: Model) -> Image:
    """The grey value: the only component, or 0.2126 R + (0.7152 G + 0.0722 B) in float32; alpha is ignored.

    >>> value("intensity(m)", m=[3, 4])
    [3.0, 4.0]
    """
    from voxlogica.kernels import fields

    if m.components == 1:
        return Image(m.space, m.held)
    return Image.of(m.space, fields.intensity(m.array()))


@operator()
def red(m: Model) -> Image:
    """The red component; of a grey image its intensity (C12).

    >>> value("red(rgb(i, i *. 2, i *. 3))", i=[1, 2])
    [1.0, 2.0]
    """
    return _component(m, 0)


@operator()
def green(m: Model) -> Image:
    """The green component; of a grey image its intensity (C12).

    >>> value("green(rgb(i, i *. 2, i *. 3))", i=[1, 2])
    [2.0, 4.0]
    """
    return _component(m, 1)


@operator()
def blue(m: Model) -> Image:
    """The blue component; of a grey image its intensity (C12).

    >>> value("blue(rgb(i, i *. 2, i *. 3))", i=[1, 2])
    [3.0, 6.0]
    """
    return _component(m, 2)


@operator()
def alpha(m: Model) -> Image:
    """The fourth component; 255 everywhere where there is none.

    >>> value("alpha(m)", m=[3, 4])
    [255.0, 255.0]
    """
    if m.components == 4:
        return _component(m, 3)
    from voxlogica.kernels import fields

    return Image.of(m.space, fields.constant(m.space.shape, 255.0))


@operator()
def rgb(r: Image, g: Image, b: Image) -> Model:
    """A colour model of three components.

    >>> value("rgb(i, i, i *. 2)", i=[1, 2])
    [[1.0, 1.0, 2.0], [2.0, 2.0, 4.0]]
    """
    return _composed(r, g, b)


@operator()
def rgba(r: Image, g: Image, b: Image, a: Image) -> Model:
    """A colour model of four components, the last one opacity.

    >>> value("rgba(i, i, i, i *. 2)", i=[1, 2])
    [[1.0, 1.0, 1.0, 2.0], [2.0, 2.0, 2.0, 4.0]]
    """
    return _composed(r, g, b, a)


def _component(m: Model, index: int) -> Image:
    if m.components == 1:
        return Image(m.space, m.held)
    return Image.of(m.space, m.array()[..., index].copy())


def _composed(*channels: Image) -> Model:
    import numpy as np

    return Model.of(channels[0].space, np.stack([c.array() for c in channels], axis=-1))
