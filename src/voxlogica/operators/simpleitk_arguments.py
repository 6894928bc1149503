"""What the functions of SimpleITK take: arguments are checked, each by its name, and given as SimpleITK takes them.

A literal is checked with the program, for which SimpleITK is not imported; what depends on an image, when it is known.
"""

from __future__ import annotations

import re
from ast import literal_eval
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from voxlogica._dataclass import NamedTuple
from voxlogica.errors import Refusal
from voxlogica.formula import BOOL, IMAGE, LABELS, MASK, MODEL, NUMBER, STRING, Type, sequence
from voxlogica.values import Image, Labels, Mask, Model, Space, Value
from voxlogica.values import shown as written

IMAGES = (MASK, LABELS, IMAGE, MODEL)
_NUMBERS = sequence(NUMBER)
_RANGES: Mapping[str, tuple[int, int]] = MappingProxyType({
    "uint8": (0, 2**8 - 1), "uint32": (0, 2**32 - 1), "int32": (-(2**31), 2**31 - 1), "uint64": (0, 2**53),
    "seed": (1, 2**32 - 1),
})  # fmt: skip
"""The whole numbers. The seed 0 is the time."""
_NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "kernel": ("sitkBall", "sitkBox", "sitkCross", "sitkAnnulus", *[f"sitkPolygon{n}" for n in range(3, 10)]),
    "interpolator": (
        "sitkLinear", "sitkNearestNeighbor", "sitkGaussian", "sitkLabelGaussian",
        *[f"sitk{window}WindowedSinc" for window in ("Hamming", "Cosine", "Welch", "Lanczos", "Blackman")],
        "sitkBSpline", "sitkBSplineResampler", *[f"sitkBSpline{order}" for order in range(1, 6)],
    ),
    "pixel": (
        "sitkUInt8", "sitkInt8", "sitkUInt16", "sitkInt16", "sitkUInt32", "sitkInt32", "sitkUInt64", "sitkInt64",
        "sitkFloat32", "sitkFloat64",
    ),
    "transform": ("identity",),
})  # fmt: skip
"""The texts that stand for constants of SimpleITK."""
_TYPES: Mapping[str, tuple[Type, ...]] = MappingProxyType({
    "image": IMAGES, "like": IMAGES, "images": tuple([sequence(kind) for kind in IMAGES]), "field": (MODEL,),
    "number": (NUMBER,), "bool": (BOOL,), "text": (STRING,), "choice": (STRING,), "numbers": (_NUMBERS,),
    "bools": (sequence(BOOL),), "points": (sequence(_NUMBERS),), "pairs": (sequence(_NUMBERS),),
    **dict.fromkeys(_RANGES, (NUMBER,)), **{f"{kind}s": (_NUMBERS,) for kind in _RANGES},
    **dict.fromkeys(_NAMES, (STRING,)),
})  # fmt: skip
_ALONG = ("kernelRadius", "radius", "neighborhoodRadius", "variance", "sigma", "maximumError", "shrinkFactors",
          "expandFactors")  # fmt: skip
"""Parameters with a number for each axis, for which one number stands that is the same along all of them."""
_WHERE = ("maskImage", "markerImage", "labelImage")
_ALIKE = re.compile("Reconstruction|NormalizedCorrelation$")
"""Functions with images of such names that are all of one kind."""
_LEAST: Mapping[str, int] = MappingProxyType({
    "shrinkFactors": 1, "expandFactors": 1, "checkerPattern": 1, "conductanceScalingUpdateInterval": 1,
    "numberOfRangeGaussianSamples": 1, "numberOfHistogramBins": 1, "numberOfHistogramLevels": 1, "stencilRadius": 0,
})  # fmt: skip
"""The least that some parameters may be: given less, SimpleITK divides by 0 or reads where it must not."""
_WITHIN = ("kernelRadius", "radius", "neighborhoodRadius", "checkerPattern", "stencilRadius",
           "initialNeighborhoodRadius", "patchRadius")  # fmt: skip
"""Parameters that are no larger than the image: what they ask for takes memory, and ends where the image does."""
_VOXELS = ("seed", "seed1", "seed2")
"""Parameters that are a voxel of the image."""


class Parameter(NamedTuple):
    """A parameter of a function, the kind of its values, whether these have an element for each axis, and a default."""

    function: str
    name: str
    kind: str
    axes: bool
    default: str

    @property
    def types(self) -> tuple[Type, ...]:
        """The types that an argument may have."""
        kinds = _TYPES[self.kind]
        return (*kinds, NUMBER) if self.name in _ALONG and NUMBER not in kinds else kinds

    @property
    def operand(self) -> bool:
        """Whether it is an image that is computed with: others say only where, or what belongs together."""
        return self.kind in ("image", "images") and (self.name not in _WHERE or bool(_ALIKE.search(self.function)))

    @property
    def shown(self) -> str:
        """How a message begins that is about it."""
        return f"`{self.name}` of `simpleitk.{self.function}`"

    @property
    def otherwise(self) -> str:
        """What is meant where nothing is given, as a program writes it; `…` for what only SimpleITK can say."""
        if self.default in ("", "…", "sitkUnknown"):
            return self.default and "…"
        if self.kind in ("text", "choice", *_NAMES):
            return _quoted(self.default)
        value = literal_eval(self.default)
        return written(tuple(value) if isinstance(value, list) else value)

    def checked(self, value: Value, axes: int = 0) -> Any:
        """A value that is no image, with numbers that are whole where they must be; refuses what can be none.

        `axes` is how many the image has, 0 when that is not known.
        """
        kind, element = self.kind, self.kind.removesuffix("s")
        if kind == "images" and not value:
            raise Refusal(f"{self.shown} has no images")
        if kind in _RANGES:
            return self._whole(value, kind)
        if kind in _NAMES:
            return self._named(value)
        if isinstance(value, float) and kind != "number":
            value = (value,) * (axes or 1)
            axes = 0
        if not isinstance(value, tuple):
            return value
        if kind == "points":
            return [self._point(point, axes) for point in value]
        if kind == "pairs":
            return dict([self._pair(pair) for pair in value])
        if self.axes and axes and len(value) != axes:
            raise Refusal(f"{self.shown} has an element for each of {axes} axes, and is given {listed(value)}")
        return tuple([self._whole(each, element) for each in value] if element in _RANGES else value)

    def _whole(self, value: Value, kind: str) -> int:
        least, most = _RANGES[kind]
        least = _LEAST.get(self.name, least)
        assert isinstance(value, float)
        if value.is_integer() and least <= value <= most:
            return int(value)
        within = f" from {least} to {most}" if kind in ("uint8", "int32") or value > most else f" from {least}"
        raise Refusal(f"{self.shown} is a whole number{within if value.is_integer() else ''}, and {value:.16g} is none")

    def _named(self, value: Value) -> str:
        assert isinstance(value, str)
        known = _NAMES[self.kind]
        if value not in known:
            what = "the name of a constant of SimpleITK" if len(known) > 1 else f'only "{known[0]}"'
            message = f'{self.shown} is {what}, and "{value}" is none'
            raise Refusal(message, help=f"for example   {'   '.join([_quoted(each) for each in known[:2]])}")
        return value

    def _point(self, point: Value, axes: int) -> list[int]:
        assert isinstance(point, tuple)
        if axes and len(point) != axes:
            message = f"{self.shown} is a list of voxels with {axes} numbers each, and {listed(point)} is none"
            raise Refusal(message)
        return [self._whole(each, "uint32") for each in point]

    def _pair(self, pair: Value) -> tuple[float, float]:
        assert isinstance(pair, tuple)
        if len(pair) != 2:
            raise Refusal(f"{self.shown} is a list of pairs [from, to], and {listed(pair)} is none")
        before, after = pair
        assert isinstance(before, float)
        assert isinstance(after, float)
        return before, after

    def fitted(self, given: Any, space: Space) -> None:
        """Refuses a voxel that is not in the image, and what is larger than it and may not be."""
        points = given if self.kind == "points" else [given] if self.name in _VOXELS and self.axes else []
        whole = " x ".join(map(str, space.size))
        for point in points:
            if any(at >= n for at, n in zip(point, space.size, strict=True)):
                raise Refusal(f"{self.shown}: voxel {list(point)} is outside of the image, which has {whole} voxels")
        if self.name in _WITHIN:
            along = given if isinstance(given, tuple) else (given,) * space.dimensions
            if any(each > n for each, n in zip(along, space.size, strict=True)):
                raise Refusal(f"{self.shown} is larger than the image, which has {whole} voxels: {listed(along)}")

    def foreign(self, sitk: Any, value: Any, axes: int) -> Any:
        """What was checked, as SimpleITK takes it."""
        if self.kind == "transform":
            return sitk.Transform(axes, sitk.sitkIdentity)
        if self.kind == "choice":
            choices = {n: v for n, v in vars(getattr(sitk, f"{self.function}ImageFilter")).items() if type(v) is int}
            if value not in choices:
                known = "   ".join([_quoted(name) for name in choices])
                raise Refusal(f'{self.shown} cannot be "{value}"', help=f"one of   {known}")
            return choices[value]
        return getattr(sitk, value) if self.kind in _NAMES else list(value) if isinstance(value, tuple) else value


def _quoted(text: str) -> str:
    return f'"{text}"'


def listed(numbers: tuple[Value, ...]) -> str:
    """Some numbers as they are written."""
    return f"[{', '.join([f'{each:g}' if isinstance(each, float) else str(each) for each in numbers])}]"


def image(
    sitk: Any, function: str, value: Mask | Image | Model, place: Space, pixels: str, several: bool = False
) -> Any:
    """An image of ours as one of SimpleITK, at a place, with such pixels if they are said.

    It has one component, or `several`.
    """
    import numpy as np

    from voxlogica.kernels import masks

    if isinstance(value, Mask):
        array: Any = np.asarray(masks.unpack(value.words(), value.space.size[0]))
    elif isinstance(value, Labels):
        array = value.array().astype(np.uint32)
        if not np.array_equal(array, value.array()):
            raise Refusal(f"`simpleitk.{function}` takes labels that are whole numbers, not negative")
    elif isinstance(value, Model) and (value.components > 1) != several:
        count = "several components" if several else "one component"
        message = f"`simpleitk.{function}` takes images of {count}, and this file has {value.components}"
        raise Refusal(message, help="" if several else "give it one of them:   intensity(image)   or   red(image)")
    else:
        array = value.array().reshape(*value.space.shape, *([-1] if several else []))
    if pixels:
        array = array.astype(pixels)
    flat = value.space.dimensions == 2
    return placed(sitk.GetImageFromArray(array[0] if flat else array, isVector=several), place)


def placed(made: Any, space: Space) -> Any:
    """An image of SimpleITK, put where a space is."""
    made.SetSpacing(space.spacing)
    made.SetOrigin(space.origin)
    made.SetDirection(space.direction)
    return made
