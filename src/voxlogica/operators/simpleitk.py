"""The functions of SimpleITK by their own names: the namespace `simpleitk`.

What they take and give stands in `simpleitk.txt`, which a test compares with the installed version, so that SimpleITK
is imported only when one of them is computed. Number images are float32 there, masks 0 and 1 in uint8, labels uint32;
two images of different kinds are both taken as numbers. Results lie on the grid of the first image, or on one that
`simpleitk_grids` says. They run on one thread, so that they give the same on every machine.
"""

from __future__ import annotations

import re
from ast import literal_eval
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import Any

from voxlogica._dataclass import NamedTuple, replace
from voxlogica.errors import Refusal
from voxlogica.formula import BOOL, IMAGE, LABELS, MASK, MODEL, NUMBER, STRING, Operator, Type, sequence
from voxlogica.images.grids import difference
from voxlogica.operators import named
from voxlogica.operators.families import Family
from voxlogica.operators.filters import simpleitk
from voxlogica.operators.simpleitk_arguments import Parameter, image, placed
from voxlogica.operators.simpleitk_grids import RULES
from voxlogica.values import Image, Labels, Mask, Model, Space, Value

_FILE = Path(__file__).with_name("simpleitk.txt")
_RESULTS: Mapping[str, Type] = {
    "image": IMAGE, "mask": MASK, "labels": LABELS, "model": MODEL, "number": NUMBER, "bool": BOOL, "text": STRING,
    "numbers": sequence(NUMBER),
}  # fmt: skip
_WRITTEN = """\
Statistics(image1: image) -> numbers, numbers, numbers, -
Resample(image1: image; referenceImage: like; transform: transform = identity; interpolator: interpolator = sitkLinear;\
 defaultPixelValue: number = 0.0; outputPixelType: pixel = sitkUnknown; useNearestNeighborExtrapolator: bool = False)\
 -> image, mask, labels, -
Resample(image1: image; size: axes uint32s; transform: transform = identity; interpolator: interpolator = sitkLinear;\
 outputOrigin: axes numbers = [0.0, 0.0, 0.0]; outputSpacing: axes numbers = [1.0, 1.0, 1.0];\
 outputDirection: numbers = []; defaultPixelValue: number = 0.0; outputPixelType: pixel = sitkUnknown;\
 useNearestNeighborExtrapolator: bool = False) -> image, mask, labels, -"""
"""`Statistics` is minimum, maximum, mean, standard deviation, variance, sum and count: as version 2 has it; SimpleITK
has a class. Of `Resample` SimpleITK does not say what it takes."""
_AWAY = frozenset({"kernelImage", "templateImage", "referenceImage", "sourceImage", "movingImage", "fixedImageMask",
                   "movingImageMask"})  # fmt: skip
"""Images that may lie on any grid: of these the voxels count, and not the place."""
_COUNTS: Mapping[str, int] = {"MinimumMaximum": 2, "Statistics": 7}
"""How many numbers those give that give several."""
_ISOLATED = ("OtsuMultipleThresholds", "RenyiEntropyThreshold")
"""What ends its process when more thresholds are asked for than there are bins, or goes on for ever."""
_one_at_a_time = Lock()


class Function(NamedTuple):
    """One way to call a function: its parameters, and what it gives by the kind of the first image, of a number image,
    a mask, labels, and a file of several components; `-` is nothing."""

    name: str
    parameters: tuple[Parameter, ...]
    results: tuple[str, ...]

    def result(self, kinds: Sequence[Type]) -> str:
        """What it gives for such arguments."""
        made = self.results[self._taken_as(kinds)]
        retyped = any(each.kind == "pixel" for each in self.parameters[: len(kinds)])
        return "image" if retyped and made in ("mask", "labels") else made

    def takes_colours(self, kinds: Sequence[Type]) -> bool:
        """Whether the first image has several components: it cannot have one."""
        return self._taken_as(kinds) == 3

    def pixels(self, kinds: Sequence[Type]) -> str:
        """What images of different kinds are all taken as: numbers, or labels where these alone will do."""
        return "" if len(set(self.operands(kinds))) < 2 else "uint32" if self._taken_as(kinds) == 2 else "float32"

    def usable(self, parameter: Parameter) -> tuple[Type, ...]:
        """The types that an argument may have: of images those of which, alone or with others, something is made."""
        first = parameter is self.parameters[0]
        narrow = first or (parameter.operand and self.results[0] == "-")
        return tuple([kind for kind in parameter.types if not narrow or self._alone(kind) != "-"])

    def _alone(self, kind: Type) -> str:
        return self.results[self._taken_as([kind])]

    def _taken_as(self, kinds: Sequence[Type]) -> int:
        """The number of the result for such arguments."""
        images = set(self.operands(kinds))
        if images == {MASK}:
            return 1
        if images == {LABELS} or (images == {MASK, LABELS} and self.results[0] == "-"):
            return 2
        return 3 if images == {MODEL} and self.results[0] == "-" else 0

    def operands(self, kinds: Sequence[Type]) -> list[Type]:
        """The kinds of the images that it computes with."""
        given = zip(self.parameters, kinds, strict=False)
        return [kind.element or kind for each, kind in given if each.operand]


@cache
def functions() -> Mapping[str, tuple[Function, ...] | str]:
    """All functions by name: the ways to call each, or the reason why it cannot be used."""
    found: dict[str, tuple[Function, ...] | str] = {}
    for line in [*_FILE.read_text("utf-8").splitlines(), *_WRITTEN.splitlines()]:
        name, bracket, rest = line.partition("(")
        if not bracket:
            name, _, reason = line.partition(": ")
            found[name] = reason
            continue
        inside, _, results = rest.rpartition(") -> ")
        parameters = tuple([_parameter(name, text) for text in inside.split("; ")])
        earlier = found.get(name, ())
        assert not isinstance(earlier, str)
        found[name] = (*earlier, Function(name, parameters, tuple(results.split(", "))))
    return MappingProxyType(found)


def _parameter(function: str, text: str) -> Parameter:
    name, _, rest = text.partition(": ")
    kind, _, default = rest.partition(" = ")
    return Parameter(function, name, kind.removeprefix("axes "), kind.startswith("axes "), default)


@cache
def family(symbol: str) -> Family | None:
    """The operators that a name such as `simpleitk.Abs` stands for."""
    ways = functions().get(symbol.removeprefix("simpleitk."), "")
    if isinstance(ways, str):
        return None
    first, *others = [_family(symbol, way) for way in ways]
    return replace(first, others=tuple(others))


def told(name: str) -> str:
    """What SimpleITK itself says that a function does, in its words: the first paragraph about the class behind it.

    Empty where it says nothing.
    """
    sitk = simpleitk(f"simpleitk.{name}")
    classes = [f"{name}ImageFilter", f"{name}Filter", name.replace("Source", "ImageSource")]
    doc = next(
        (getattr(sitk, each).__doc__ or "" for each in classes if isinstance(getattr(sitk, each, None), type)), ""
    )
    first = " ".join(doc.strip().partition("\n\n")[0].split())
    return "" if first.startswith("Proxy of C++") else first


def _family(symbol: str, way: Function) -> Family:
    results = dict.fromkeys(result for result in way.results if result != "-")
    like = next((n for n, each in enumerate(way.parameters) if each.kind == "like"), None)
    return Family(
        symbol,
        tuple([(each.name, way.usable(each)) for each in way.parameters]),
        " or ".join([str(_RESULTS[result]) for result in results]),
        partial(_operator, symbol, way),
        f"The function {way.name} of SimpleITK.{' Its result lies on a grid of its own.' * (way.name in RULES)}",
        optional=sum(bool(each.default) for each in way.parameters),
        defaults=tuple([each.otherwise for each in way.parameters]),
        like=like,
        check=lambda number, value: way.parameters[number].checked(value),
    )


def _operator(symbol: str, way: Function, kinds: tuple[Type, ...]) -> Operator:
    """The operator for arguments of such types."""
    result, rule = way.result(kinds), RULES.get(way.name)
    pairs = list(zip(way.parameters, kinds, strict=False))
    like = any(each.kind == "like" for each, _ in pairs)
    shown = [IMAGE if each.kind == "like" else kind for each, kind in pairs]  # of which nothing else has part in ids
    given = tuple([(each, kind) for each, kind in pairs if each.kind != "like"])
    taken = tuple([each for each, _ in given])
    decisive = tuple([n for n, each in enumerate(taken) if rule and _decides(rule.parameters, each)])
    name = f"{symbol}({', '.join(map(str, shown))})"
    _bodies[name] = partial(_computed, way, taken, way.pixels(kinds), way.takes_colours(kinds), result)
    return Operator(
        name=name, symbol=symbol, version=1,
        parameters=tuple([(each.name, kind) for each, kind in given]), result=_RESULTS[result],
        body=partial(computed, name), doc="", cost="window", library="SimpleITK", isolate=way.name in _ISOLATED,
        count=_COUNTS.get(way.name, 0),
        needs_space=like or rule is not None, bridge=like,
        grid=partial(_grid, way, [taken[n] for n in decisive]) if rule and not like else None, decisive=decisive,
        away=frozenset([n for n, each in enumerate(taken) if each.name in _AWAY]),
    )  # fmt: skip


def _decides(names: Sequence[str], parameter: Parameter) -> bool:
    return parameter.name in names or ("images" in names and parameter.kind == "image")


# Grids


def _grid(way: Function, decisive: Sequence[Parameter], *given: Any) -> Space:
    """The grid of a result, from the arguments that decide on it, spaces in the place of images."""
    known = dict(zip([each.name for each in decisive], given, strict=True))
    spaces = [
        each for value in given for each in (value if isinstance(value, tuple) else (value,)) if type(each) is Space
    ]
    axes = spaces[0].dimensions if spaces else len(known.get("size", (0, 0, 0)))
    named = {each.name: each for each in way.parameters}
    values: list[object] = []
    for name in RULES[way.name].parameters:
        if name == "images":
            values.append(tuple(spaces))
        elif isinstance(value := known.get(name), Space):
            values.append(value)
        else:
            values.append(_default(named[name], axes) if value is None else named[name].checked(value, axes))
    try:
        return RULES[way.name].space(*values)
    except Refusal as refusal:
        raise Refusal(f"`simpleitk.{way.name}` {refusal.message}") from None


def _default(parameter: Parameter, axes: int) -> object:
    """What is meant where nothing is given; None where SimpleITK does not say."""
    if parameter.default == "…":
        return None
    if parameter.kind == "text":
        return parameter.default
    value = literal_eval(parameter.default)
    return tuple(value[:axes]) if isinstance(value, list) else value


# Computing

_bodies: dict[str, Callable[..., Value]] = {}
"""What the operators compute, by their names: those that somebody has asked for."""


def computed(name: str, *values: Any) -> Value:
    """What an operator of this namespace gives; said by its name, so that another process can be asked."""
    if name not in _bodies:
        named(name)
    return _bodies[name](*values)


def _computed(
    way: Function, taken: Sequence[Parameter], pixels: str, colours: bool, result: str, *values: Any
) -> Value:
    sitk = simpleitk(f"simpleitk.{way.name}")
    space, values = (values[0], values[1:]) if isinstance(values[0], Space) else (None, values)
    if taken[0].kind == "images":
        taken[0].checked(values[0])
    first = values[0][0] if isinstance(values[0], tuple) and values[0] else values[0]
    here = first.space if isinstance(first, (Mask, Image, Model)) else space
    assert here is not None
    given = [
        _given(sitk, parameter, value, pixels, colours and n == 0, here)
        for n, (parameter, value) in enumerate(zip(taken, values, strict=True))
    ]
    like = next((n for n, each in enumerate(way.parameters) if each.kind == "like"), None)
    if like is not None:
        there = space or here
        given.insert(like, placed(sitk.Image(list(there.size), sitk.sitkUInt8), there))
    call = partial(_statistics, sitk) if way.name == "Statistics" else getattr(sitk, way.name, None)
    if call is None:
        raise Refusal(f"SimpleITK {sitk.__version__} has no function `{way.name}`", help="install a newer one")
    with _one_at_a_time:  # these are settings of the whole library, and may be the user's too
        whole = sitk.ProcessObject
        threads, warns = whole.GetGlobalDefaultNumberOfThreads(), whole.GetGlobalWarningDisplay()
        whole.SetGlobalDefaultNumberOfThreads(1)
        whole.SetGlobalWarningDisplay(False)
        try:
            made = call(*given)
        except (RuntimeError, TypeError, ValueError, OverflowError, NotImplementedError) as error:
            raise Refusal(f"`simpleitk.{way.name}` cannot be computed with these arguments", _reasons(error)) from error
        finally:
            whole.SetGlobalDefaultNumberOfThreads(threads)
            whole.SetGlobalWarningDisplay(warns)
    return _taken(sitk, way.name, result, made, space or here)


def _given(sitk: Any, parameter: Parameter, value: Any, pixels: str, colours: bool, here: Space) -> object:
    """An argument as SimpleITK takes it."""
    pixels = pixels if parameter.operand else ""
    if isinstance(value, (Mask, Image, Model)):
        place = here if parameter.name in _AWAY and here.dimensions == value.space.dimensions else value.space
        return image(sitk, parameter.function, value, place, pixels, colours or parameter.kind == "field")
    if parameter.kind == "images":
        return [image(sitk, parameter.function, each, each.space, pixels) for each in value]
    checked = parameter.checked(value, here.dimensions)
    parameter.fitted(checked, here)
    return parameter.foreign(sitk, checked, here.dimensions)


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


# Results


def _taken(sitk: Any, function: str, result: str, made: Any, space: Space) -> Value:
    """A result as a value of the logic, on the grid where it must lie."""
    if result == "numbers":
        return tuple([float(each) for each in made])
    if result in ("number", "bool", "text"):
        kinds: Mapping[str, Callable[[Any], Value]] = {"number": float, "bool": bool, "text": str}
        return kinds[result](made)
    import numpy as np

    from voxlogica.kernels import masks

    if _is_elsewhere(function, made, space):
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
    with np.errstate(over="ignore"):  # doubles too large for float32 are infinite, as in files
        numbers = np.ascontiguousarray(array, np.float32)
    if result == "labels":
        if not np.array_equal(numbers, array):
            raise Refusal(f"`simpleitk.{function}` made labels that are too large: more than 2^24")
        return Labels.of(space, numbers)
    return Image.of(space, numbers)


def _is_elsewhere(function: str, made: Any, space: Space) -> bool:
    """Whether an image of SimpleITK lies on another grid: rounding apart, which rules do in another order."""
    if made.GetSize() != space.size or (function in RULES and not RULES[function].exact):
        return bool(made.GetSize() != space.size)
    there = Space(made.GetSize(), made.GetSpacing(), made.GetOrigin(), made.GetDirection())
    return difference(space, there) is not None
