"""The functions of SimpleITK by their own names: the namespace `simpleitk`.

What they take and give stands in `simpleitk.txt`, which a test compares with the installed version, so that SimpleITK
is imported only when one of them is computed. Number images are float32 there, masks 0 and 1 in uint8, labels uint32;
two images of different kinds are both taken as numbers. The grid of the first image is kept. They run on one thread, so
that they give the same on every machine.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import Any

from voxlogica._dataclass import NamedTuple, replace
from voxlogica.errors import Refusal
from voxlogica.formula import BOOL, IMAGE, LABELS, MASK, MODEL, NUMBER, STRING, Operator, Type, sequence
from voxlogica.operators.families import Family
from voxlogica.operators.filters import simpleitk
from voxlogica.values import Image, Labels, Mask, Model, Space, Value

_FILE = Path(__file__).with_name("simpleitk.txt")
_IMAGES = (MASK, LABELS, IMAGE, MODEL)
_PARAMETERS: Mapping[str, tuple[Type, ...]] = {
    "image": _IMAGES, "number": (NUMBER,), "whole": (NUMBER,), "bool": (BOOL,), "text": (STRING,),
    "constant": (STRING,), "numbers": (sequence(NUMBER),), "wholes": (sequence(NUMBER),),
}  # fmt: skip
_ALONG = ("kernelRadius", "radius", "neighborhoodRadius", "variance", "sigma", "maximumError")
"""Parameters with a number for each axis, for which one number stands that is the same along all of them."""
_RESULTS: Mapping[str, Type] = {
    "image": IMAGE, "mask": MASK, "labels": LABELS, "model": MODEL, "number": NUMBER, "bool": BOOL, "text": STRING,
    "numbers": sequence(NUMBER),
}  # fmt: skip
_STATISTICS = "Statistics(image1: image) -> numbers, numbers, numbers"
"""Minimum, maximum, mean, standard deviation, variance, sum and count: as version 2 has it; SimpleITK has a class."""
_OPERANDS = ("image", "image1", "image2", "image3")
_COUNTS: Mapping[str, int] = {"MinimumMaximum": 2, "Statistics": 7}
"""How many numbers those give that give several."""
_one_at_a_time = Lock()


class Function(NamedTuple):
    """One way to call a function: its parameters, each with its type and default, and what it gives by the kind of the
    first image, of a number image, a mask and labels; `-` is nothing."""

    name: str
    parameters: tuple[tuple[str, str, str], ...]
    results: tuple[str, ...]

    def result(self, kinds: Sequence[Type]) -> str:
        """What it gives for such arguments."""
        images = set(self.operands(kinds))
        return self.results[1 if images == {MASK} else 2 if images == {LABELS} else 0]

    def operands(self, kinds: Sequence[Type]) -> list[Type]:
        """The kinds of the images that it computes with: the first, and those that do not only say where."""
        names = [name for name, _, _ in self.parameters]
        return [kind for n, (kind, name) in enumerate(zip(kinds, names, strict=False)) if not n or name in _OPERANDS]


@cache
def functions() -> Mapping[str, tuple[Function, ...] | str]:
    """All functions by name: the ways to call each, or the reason why it cannot be used."""
    found: dict[str, tuple[Function, ...] | str] = {}
    for line in [*_FILE.read_text("utf-8").splitlines(), _STATISTICS]:
        name, bracket, rest = line.partition("(")
        if not bracket:
            name, _, reason = line.partition(": ")
            found[name] = reason
            continue
        inside, _, results = rest.rpartition(") -> ")
        parameters = tuple([_parameter(text) for text in inside.split("; ")])
        earlier = found.get(name, ())
        assert not isinstance(earlier, str)
        found[name] = (*earlier, Function(name, parameters, tuple(results.split(", "))))
    return MappingProxyType(found)


def _parameter(text: str) -> tuple[str, str, str]:
    name, _, rest = text.partition(": ")
    kind, _, default = rest.partition(" = ")
    return name, kind, default


@cache
def family(symbol: str) -> Family | None:
    """The operators that a name such as `simpleitk.Abs` stands for."""
    ways = functions().get(symbol.removeprefix("simpleitk."), "")
    if isinstance(ways, str):
        return None
    first, *others = [_family(symbol, way) for way in ways]
    return replace(first, others=tuple(others))


def _family(symbol: str, way: Function) -> Family:
    usable = [kind for kind in _IMAGES if way.result([kind]) != "-"]
    parameters = [
        (name, tuple(usable) if n == 0 else _types(name, kind)) for n, (name, kind, _) in enumerate(way.parameters)
    ]
    results = dict.fromkeys(result for result in way.results if result != "-")
    return Family(
        symbol,
        tuple(parameters),
        " or ".join([str(_RESULTS[result]) for result in results]),
        partial(_operator, symbol, way),
        f"The function {way.name} of SimpleITK.",
        optional=sum(bool(default) for _, _, default in way.parameters),
        defaults=tuple([default for _, _, default in way.parameters]),
        whole=frozenset([n for n, (_, kind, _) in enumerate(way.parameters) if kind == "whole"]),
    )


def _types(name: str, kind: str) -> tuple[Type, ...]:
    return (*_PARAMETERS[kind], NUMBER) if name in _ALONG and NUMBER not in _PARAMETERS[kind] else _PARAMETERS[kind]


def _operator(symbol: str, way: Function, kinds: tuple[Type, ...]) -> Operator:
    """The operator for arguments of such types."""
    result = way.result(kinds)
    parameters = tuple([(name, kind) for (name, _, _), kind in zip(way.parameters, kinds, strict=False)])
    return Operator(
        name=f"{symbol}({', '.join(map(str, kinds))})", symbol=symbol, version=1, parameters=parameters,
        result=_RESULTS[result], body=partial(_computed, way, len(set(way.operands(kinds))) > 1, result), doc="",
        cost="window",
        library="SimpleITK", count=_COUNTS.get(way.name, 0),
    )  # fmt: skip


# Computing


def _computed(way: Function, as_numbers: bool, result: str, *values: Value) -> Value:
    sitk = simpleitk(f"simpleitk.{way.name}")
    first = values[0]
    assert isinstance(first, (Mask, Image, Model))
    axes = first.space.dimensions
    given = [
        _given(sitk, way.name, parameter, value, as_numbers, axes)
        for parameter, value in zip(way.parameters, values, strict=False)
    ]
    with _one_at_a_time:  # the number of threads is a setting of the whole library, and may be the user's too
        threads = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
        try:
            made = _statistics(sitk, *given) if way.name == "Statistics" else getattr(sitk, way.name)(*given)
        except (RuntimeError, TypeError, ValueError, OverflowError, NotImplementedError) as error:
            raise Refusal(f"`simpleitk.{way.name}` cannot be computed with these arguments", _reasons(error)) from error
        finally:
            sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
    return _taken(sitk, way.name, result, made, first.space)


def _reasons(error: Exception) -> tuple[str, ...]:
    """What the library says, without the places in its source and in memory."""
    wrong = re.search(r"argument (\d+) of type '(.*?)'", str(error))
    if wrong:
        return (f"argument {wrong[1]} does not fit its type there, {wrong[2]}",)
    lines = [re.sub(r"(.*ERROR: )?\w+\(0x[0-9a-f]+\): ", "", line) for line in str(error).splitlines()]
    return tuple([line.strip() for line in lines if line.strip() and "Exception thrown in" not in line][-3:])


def _statistics(sitk: Any, image: Any) -> tuple[float, ...]:
    computed = sitk.StatisticsImageFilter()
    computed.Execute(image)
    parts = ("Minimum", "Maximum", "Mean", "Sigma", "Variance", "Sum")
    return (*[float(getattr(computed, f"Get{part}")()) for part in parts], float(image.GetNumberOfPixels()))


# Arguments


def _given(
    sitk: Any, function: str, parameter: tuple[str, str, str], value: Value, as_numbers: bool, axes: int
) -> object:
    """An argument as SimpleITK takes it."""
    name, kind, _ = parameter
    if isinstance(value, (Mask, Image, Model)):
        return _image(sitk, function, value, as_numbers and name in _OPERANDS)
    if kind in ("wholes", "numbers") and isinstance(value, float):
        value = (value,) * axes
    if kind == "whole":
        return _whole(function, name, value)
    if kind == "wholes":
        assert isinstance(value, tuple)
        return [_whole(function, name, each) for each in value]
    if kind == "numbers":
        assert isinstance(value, tuple)
        return list(value)
    if kind == "constant":
        assert isinstance(value, str)
        found = getattr(sitk, value, None) if value.startswith("sitk") else None
        if not isinstance(found, int):
            message = (
                f'`{name}` of `simpleitk.{function}` is the name of a constant of SimpleITK, and "{value}" is none'
            )
            raise Refusal(message, help='for example   "sitkBall"   or   "sitkBox"')
        return found
    return value


def _whole(function: str, name: str, value: Value) -> int:
    assert isinstance(value, float)
    if not value.is_integer():
        raise Refusal(f"`{name}` of `simpleitk.{function}` is a whole number, and {value!r} is none")
    return int(value)


def _image(sitk: Any, function: str, value: Mask | Image | Model, as_numbers: bool) -> Any:
    import numpy as np

    from voxlogica.kernels import masks

    if isinstance(value, Mask):
        array: Any = masks.unpack(value.words(), value.space.size[0])
    elif isinstance(value, Labels):
        array = value.array().astype(np.uint32)
        if not np.array_equal(array, value.array()):
            raise Refusal(f"`simpleitk.{function}` takes labels that are whole numbers, not negative")
    elif isinstance(value, Model) and value.components > 1:
        message = f"`simpleitk.{function}` takes images of one component, and this file has {value.components}"
        raise Refusal(message, help="give it one of them:   intensity(image)   or   red(image)")
    else:
        array = value.array().reshape(value.space.shape)
    if as_numbers:
        array = array.astype(np.float32)
    space = value.space
    image = sitk.GetImageFromArray(array if space.dimensions == 3 else array[0])
    image.SetSpacing(space.spacing)
    image.SetOrigin(space.origin)
    image.SetDirection(space.direction)
    return image


# Results


def _taken(sitk: Any, function: str, result: str, made: Any, space: Space) -> Value:
    """A result as a value of the logic."""
    if result == "numbers":
        return tuple([float(each) for each in made])
    if result in ("number", "bool", "text"):
        kinds: Mapping[str, Callable[[Any], Value]] = {"number": float, "bool": bool, "text": str}
        return kinds[result](made)
    import numpy as np

    from voxlogica.kernels import masks

    there = (made.GetSize(), made.GetSpacing(), made.GetOrigin(), made.GetDirection())
    if there != (space.size, space.spacing, space.origin, space.direction):
        size = " x ".join(map(str, made.GetSize()))
        message = f"`simpleitk.{function}` made an image of {size} voxels on another grid, which is not supported"
        raise Refusal(message, help="use   resample(image, like)   or   extract(image, size, index)")
    array = sitk.GetArrayFromImage(made)
    if result == "model":
        return Model.of(space, np.ascontiguousarray(array.reshape(*space.shape, -1), np.float32))
    array = array.reshape(space.shape)
    if result == "mask":
        if not np.isin(array, (0, 1)).all():
            message = f"`simpleitk.{function}` made an image of other numbers than 0 and 1, and so no mask"
            raise Refusal(message, help="give 1 for what is inside, and 0 for what is outside")
        return Mask.of(space, masks.pack(array != 0))
    numbers = np.ascontiguousarray(array, np.float32)
    if result == "labels":
        if not np.array_equal(numbers, array):
            raise Refusal(f"`simpleitk.{function}` made labels that are too large: more than 2^24")
        return Labels.of(space, numbers)
    return Image.of(space, numbers)
