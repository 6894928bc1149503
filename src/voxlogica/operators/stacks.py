"""What makes one image of a sequence of images, voxel by voxel: operators that the evaluator applies.

`mean` and `std` take the images one after the other, as a `fold` does (`STREAMS`): one image at a time is needed, and
what there is so far, two doubles a voxel, let go when it has been read. A quantile takes all images: where they are
large it is applied to `LAYERS` of each, no more than `ROOM` bytes at once, and the results are `joined`. Layers of
an image that is stored are read from its file, which is mapped into memory: the rest of it is not read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from voxlogica._dataclass import NamedTuple, replace
from voxlogica.formula import IMAGE, MODEL, NUMBER, Operator, Type
from voxlogica.operators.sequences import share_of
from voxlogica.values import Image, Model, Space, Value

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Parameters: TypeAlias = "tuple[tuple[str, Type], ...]"

ROOM = 1 << 28
"""Bytes of images that a quantile takes at once."""


def _begun(image: Image) -> Model:
    from voxlogica.kernels import stacks

    return _state(image.space, stacks.begun(image.array()))


def _added(state: Model, image: Image) -> Model:
    from voxlogica.kernels import stacks

    return _state(image.space, stacks.added(_doubles(state), image.array()))


def _mean(state: Model, count: float) -> Image:
    from voxlogica.kernels import stacks

    return Image.of(state.space, stacks.mean(_doubles(state), int(count)).reshape(state.space.shape))


def _spread(state: Model, image: Image, count: float) -> Model:
    from voxlogica.kernels import stacks

    return _state(image.space, stacks.spread(_doubles(state), image.array(), int(count)))


def _std(state: Model, count: float) -> Image:
    from voxlogica.kernels import stacks

    return Image.of(state.space, stacks.deviation(_doubles(state), int(count)).reshape(state.space.shape))


def _state(space: Space, doubles: NDArray[np.float64]) -> Model:
    """Two doubles a voxel as a value that can be stored; no program sees it."""
    return Model.of(space, doubles.reshape(-1).view("f4").reshape(*space.shape, 4))


def _doubles(state: Model) -> NDArray[np.float64]:
    return state.array().reshape(-1).view("f8").reshape(2, -1)


def _operator(symbol: str, body: Callable[..., Value], parameters: Parameters, result: Type) -> Operator:
    name = f"stack.{body.__name__.lstrip('_')}"
    return Operator(name, symbol, 1, parameters, result, body, "Of images.", hidden=True)


_IMAGE, _STATE, _COUNT = ("image", IMAGE), ("state", MODEL), ("count", NUMBER)


class Stream(NamedTuple):
    """How an image is made of one image after the other, from `BEGIN` on: with each further one, and at the end."""

    step: Operator
    end: Operator


BEGIN = _operator("begin", _begun, (_IMAGE,), MODEL)
"""What there is after the first image."""

STREAMS: Mapping[str, Stream] = MappingProxyType(
    {
        "mean": Stream(
            _operator("mean", _added, (_STATE, _IMAGE), MODEL),
            _operator("mean", _mean, (_STATE, _COUNT), IMAGE),
        ),
        "std": Stream(
            _operator("std", _spread, (_STATE, _IMAGE, _COUNT), MODEL),
            _operator("std", _std, (_STATE, _COUNT), IMAGE),
        ),
    }
)
"""By the word. A step whose operator has three parameters is told how many images there are with this one."""


@cache
def quantile(word: str, count: int) -> Operator:
    """The operator that makes one image of so many; the last argument is the share, which `median` has not."""
    images = tuple([(f"x{n}", IMAGE) for n in range(count)])
    body, more = (_median, ()) if word == "median" else (_quantile, (("share", NUMBER),))
    return replace(_operator(word, body, (*images, *more), IMAGE), cost="window")


def is_quantile(operator: Operator) -> bool:
    """Whether an operator is one of `quantile`."""
    return operator.body in (_median, _quantile)


def _median(*images: Image) -> Image:
    return _quantile(*images, 0.5)


def _quantile(*given: Image | float) -> Image:
    from voxlogica.kernels import stacks

    *images, share = given
    assert isinstance(share, float)
    arrays = [image.array() for image in images if isinstance(image, Image)]
    space = images[0].space  # type: ignore[union-attr]
    return Image.of(space, stacks.quantile(arrays, share_of(share)))


# Layers


def cuts(space: Space, images: int) -> list[tuple[int, int]]:
    """The layers of each of so many images, from one to another, of which a quantile takes all at once."""
    layers = space.size[-1]
    thickness = max(1, layers * ROOM // (4 * space.voxels * images))
    return [(start, min(start + thickness, layers)) for start in range(0, layers, thickness)]


def part(space: Space, start: int, stop: int) -> Space:
    """The grid of some layers."""
    n = space.dimensions
    far = [space.direction[n * row + n - 1] * space.spacing[-1] * start for row in range(n)]
    origin = tuple([at + step for at, step in zip(space.origin, far, strict=True)])
    return Space((*space.size[:-1], stop - start), space.spacing, origin, space.direction)


def _layers(space: Space, image: Image, start: float) -> Image:
    layer = space.voxels // space.size[-1]
    first = int(start) * layer
    return Image.of(space, image.array().reshape(-1)[first : first + space.voxels].reshape(space.shape).copy())


def _joined(space: Space, *parts: Image) -> Image:
    import numpy as np

    return Image.of(space, np.concatenate([each.array().reshape(-1) for each in parts]).reshape(space.shape))


LAYERS = replace(_operator("layers", _layers, (_IMAGE, ("start", NUMBER)), IMAGE), bridge=True, needs_space=True)
"""Some layers of an image, on their grid, from the one with a number on."""


@cache
def joined(count: int) -> Operator:
    """The image of so many parts, one after the other."""
    parts = tuple([(f"part{n}", IMAGE) for n in range(count)])
    return replace(_operator("layers", _joined, parts, IMAGE), bridge=True, needs_space=True)
