"""What the functions of SimpleITK take and give, found out from the installed version:

    python -m tests.simpleitk_functions

writes `operators/simpleitk.txt`, from which the namespace `simpleitk` is made without importing SimpleITK. A line is

    Name(parameter: type = default; …) -> result of a number image, of a mask, of labels, of colours

with `-` where there is no result, or `Name: reason` for a function that programs cannot use; the types are those of
`operators/simpleitk_arguments.py`, and `axes` before one says that it has an element for each axis. Each function is
tried on a small image of each kind, in a process of its own: some crash. From the first parameter on whose type is not
known here the parameters are left out, if they have defaults.
"""

from __future__ import annotations

import inspect
import multiprocessing
import re
import sys
from ast import literal_eval
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

import voxlogica.operators
from voxlogica.operators.simpleitk_arguments import Parameter
from voxlogica.operators.simpleitk_grids import RULES

FILE = Path(voxlogica.operators.__file__).with_name("simpleitk.txt")

_TYPES = {
    "Image": "image", "SimpleITK.SimpleITK.Image": "image", "VectorOfImage": "images", "bool": "bool",
    "double": "number", "float": "number", "std::string": "text", "std::string const &": "text",
    "VectorDouble": "numbers", "List[float]": "numbers", "VectorUInt32": "uint32s", "VectorInt32": "int32s",
    "VectorUInt8": "uint8s", "List[int]": "uint32s", "VectorBool": "bools", "VectorUIntList": "points",
    "DoubleDoubleMap": "pairs", "uint8_t": "uint8", "int": "int32", "unsigned int": "uint32", "uint32_t": "uint32",
    "uint64_t": "uint64", "itk::simple::KernelEnum": "kernel", "itk::simple::InterpolatorEnum": "interpolator",
    "itk::simple::PixelIDValueEnum": "pixel",
}  # fmt: skip
_OF_A_FILTER = re.compile(r"itk::simple::\w+Filter::\w+")
_BINARY = {"insideValue", "foregroundValue", "replaceValue"}
_LOGIC = {"Equal", "NotEqual", "Greater", "GreaterEqual", "Less", "LessEqual"}
_SEEDED = re.compile("Noise$")
_NOT_ALONG = {("Tile", "layout"), ("N4BiasFieldCorrection", "maximumNumberOfIterations")}
"""Lists that have not as many elements as there are axes."""
_OTHER_GRID = ("outputRegionMode",)
"""What decides whether the result lies on the grid of the image: it is left out, and all after it."""
_REASONS = {
    "effect": "WriteImage|WriteTransform|Show",
    "input": "ReadImage",
    "random": "PatchBasedDenoising",
    "transform": "ReadTransform|.*TransformInitializer|TransformGeometry|TransformToDisplacementField",
    "field": ".*DisplacementField.*|Warp|PhysicalPointSource|EdgePotential",
    "complex": ".*FFT|.*Complex.*",
    "objects": ".*LabelMap.*",
    "python": "Get.*",
}
"""Why a function cannot be used, by its name, when it could not be tried or has no result."""
_SECONDS = 300

Declared = tuple[str, str, str]  # name, type, default


def signatures(name: str) -> list[list[Declared]]:
    """The parameters of each overload that can be used, as far as their types are known."""
    function = getattr(sitk, name)
    found = []
    for line in (function.__doc__ or "").splitlines():
        match = re.match(rf"\s*{name}\((.*)\) -> (.+)$", line)
        if match:
            parameters = [_parameter(each) for each in _split(match[1])]
            if all(parameters):
                found.append([each for each in parameters if each])
    if not found and "image" in str(inspect.signature(function)):
        found = [[_annotated(each) for each in inspect.signature(function).parameters.values()]]
    known = []
    for parameters in found:
        cut = next((n for n, (_, kind, _) in enumerate(parameters) if not kind), len(parameters))
        if (
            cut
            and parameters[0][1] in ("image", "images", "pixel")
            and all(default for _, _, default in parameters[cut:])
        ):
            known.append(_placed(name, parameters[:cut]))
    return known


def _placed(name: str, parameters: list[Declared]) -> list[Declared]:
    """The parameters, with a word for those that have an element for each axis; all that a seed needs without default.

    The seed that is their default is the time, and the layout of tiles one with room for a million.
    """
    found = [
        (each, "seed" if each == "seed" and kind == "uint32" else _along(name, each, kind, default), default)
        for each, kind, default in parameters
    ]
    last = next((n for n, (each, kind, _) in enumerate(found) if kind == "seed" or each == "layout"), -1)
    return [(each, kind, "" if n <= last else default) for n, (each, kind, default) in enumerate(found)]


def _along(name: str, parameter: str, kind: str, default: str) -> str:
    several = kind.endswith("s") and kind not in ("images", "points", "pairs") and default not in ("", "[]")
    return f"axes {kind}" if several and (name, parameter) not in _NOT_ALONG else kind


def _split(text: str) -> list[str]:
    parts, depth = [""], 0
    for char in text:
        depth += (char in "<(") - (char in ">)")
        if char == "," and not depth:
            parts.append("")
        else:
            parts[-1] += char
    return [part.strip() for part in parts if part.strip()]


def _parameter(text: str) -> Declared | None:
    declared, _, default = text.partition("=")
    match = re.match(r"(.*\S)\s+(\w+)$", declared.strip())
    if match is None:
        return None
    kind = (
        match[1] if "Enum" in match[1] or _OF_A_FILTER.fullmatch(match[1]) else match[1].removeprefix("itk::simple::")
    )
    return match[2], "" if match[2] in _OTHER_GRID else _type(kind), _default(default.strip())


def _annotated(parameter: inspect.Parameter) -> Declared:
    kind = (
        parameter.annotation
        if isinstance(parameter.annotation, str)
        else inspect.formatannotation(parameter.annotation)
    )
    default = "" if parameter.default is inspect.Parameter.empty else repr(parameter.default)
    positional = parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    return (
        parameter.name,
        _type(kind.replace("typing.", "")) if positional else "",
        default or ("-" if not positional else ""),
    )


def _type(kind: str) -> str:
    return "choice" if _OF_A_FILTER.fullmatch(kind) else _TYPES.get(kind, "")


def _default(text: str) -> str:
    """A default as people read it; `…` where it is said in C++."""
    text = re.sub(r"std::string\(\"(.*)\"\)", r"\1", text)
    vector = re.fullmatch(r"std::(vector|map)<.*>\((.*)\)", text)
    if vector and not vector[2]:
        return "[]"
    if "::" in (vector[2] if vector else text):
        return "…"
    if vector:
        count, _, value = vector[2].partition(",")
        value = {"true": "True", "false": "False", "": "0"}.get(value.strip(), value.strip().removesuffix("u"))
        return f"[{', '.join([value] * int(count))}]"
    return text


# Trying

_SAMPLES = {
    "number": 1.0, "bool": True, "numbers": [1.0] * 3, "pixel": sitk.sitkFloat32, "points": [[5, 4, 4], [3, 4, 4]],
    "pairs": {1.0: 2.0}, **dict.fromkeys(("uint8", "uint32", "int32", "uint64", "seed"), 1),
    **dict.fromkeys(("uint32s", "int32s", "uint8s"), [1] * 3),
}  # fmt: skip


def sample(kind: str) -> Any:
    """A small image with which functions are tried."""
    random = np.random.default_rng(7)
    z, y, x = np.indices((9, 10, 11))
    ball = (x - 5) ** 2 + (y - 4) ** 2 + (z - 4) ** 2 <= 9
    array = {
        "image": (random.random(ball.shape) + 3 * ball).astype(np.float32),
        "mask": (ball | (x == 0)).astype(np.uint8),
        "labels": (2 * ball + (x == 0)).astype(np.uint32),
        "colours": random.random((*ball.shape, 3)).astype(np.float32),
    }[kind]
    image = sitk.GetImageFromArray(array, isVector=kind == "colours")
    image.SetSpacing((1.0, 1.5, 0.75))
    image.SetOrigin((3.0, -4.0, 5.0))
    return image


def arguments(name: str, parameters: list[Declared], kind: str) -> list[tuple[Declared, str | object]]:
    """What a function is tried with: for an image the kind of the sample, else a value.

    Besides what is needed these are lists of voxels, and how a mask says what is inside.
    """
    names = [each for each, _, _ in parameters]
    wanted = [n for n, (_, kind, default) in enumerate(parameters) if not default or kind in ("points", "pairs")]
    if "maskValue" in names and "maskImage" in names:
        wanted.append(names.index("maskValue"))
    return [(each, _argument(name, each, kind)) for each in parameters[: max(wanted, default=0) + 1]]


def _argument(function: str, parameter: Declared, kind: str) -> object:
    name, wanted, default = parameter
    if wanted in ("image", "images"):
        operand = Parameter(function, name, wanted, False, default).operand
        return kind if operand else "mask" if "ask" in name else "labels"
    if name == "layout":
        return [5, 1, 1]
    if default and wanted not in ("points", "pairs", "pixel") and name != "maskValue":
        return literal_eval(default)
    return _SAMPLES.get(wanted.removeprefix("axes "), "")


def called(name: str, parameters: list[Declared], kind: str) -> Any:
    """What a function gives for such images."""
    given: list[Any] = []
    for (_, wanted, _), value in arguments(name, parameters, kind):
        image = sample(str(value)) if wanted in ("image", "images") else None
        given.append([image] * 3 if wanted == "images" else value if image is None else image)
    return getattr(sitk, name)(*given)


def _tried(name: str, parameters: list[Declared], kind: str) -> str:
    """The kind of the result, `-` when there is none, `grid` when it lies on a grid that no rule says."""
    result = called(name, parameters, kind)
    if isinstance(result, bool):
        return "bool"
    if isinstance(result, (int, float)):
        return "number"
    if isinstance(result, str):
        return "text"
    if isinstance(result, tuple) and all(isinstance(each, (int, float)) for each in result):
        return "numbers"
    if not isinstance(result, sitk.Image):
        return "-"
    first = sample(kind)
    for part in ("Size", "Spacing", "Origin", "Direction"):
        if name not in RULES and getattr(result, f"Get{part}")() != getattr(first, f"Get{part}")():
            return "grid"
    return _kind(name, parameters, kind, result)


def _kind(name: str, parameters: list[Declared], kind: str, result: Any) -> str:
    pixel = result.GetPixelIDTypeAsString()
    if "complex" in pixel or "label of" in pixel:
        return "-"
    if "vector" in pixel:
        return "model" if result.GetNumberOfComponentsPerPixel() in (3, 4) else "-"
    if "float" in pixel:
        return "image"
    values = set(np.unique(sitk.GetArrayViewFromImage(result)).tolist())
    says_so = name in _LOGIC or bool(_BINARY & {parameter for parameter, _, _ in parameters})
    stays_mask = kind == "mask" and pixel == "8-bit unsigned integer"
    return "mask" if values <= {0, 1} and (says_so or stays_mask) else "labels"


def _try(name: str, parameters: list[Declared], kind: str, answer: Any) -> None:
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        answer.send(_tried(name, parameters, kind))
    except (RuntimeError, TypeError, ValueError, NotImplementedError, IndexError):
        answer.send("-")


def _result(name: str, parameters: list[Declared], kind: str) -> str:
    here, there = multiprocessing.Pipe()
    process = multiprocessing.Process(target=_try, args=(name, parameters, kind, there))
    process.start()
    there.close()
    try:
        result = here.recv() if here.poll(_SECONDS) else "-"
    except EOFError:
        result = "-"
    process.kill()
    process.join()
    return str(result)


# Writing


def lines() -> Iterator[str]:
    """The lines of the file."""
    names = [n for n in dir(sitk) if n[0].isupper() and "_" not in n and inspect.isroutine(getattr(sitk, n))]
    for name in names:
        yield from _lines(name)


def _lines(name: str) -> Iterator[str]:
    named = next((reason for reason, pattern in _REASONS.items() if re.fullmatch(pattern, name)), "")
    if named in ("effect", "input", "random", "python"):
        yield f"{name}: {named}"
        return
    grid, written = False, []
    for parameters in signatures(name):
        if _SEEDED.search(name) and name != "Noise" and all(kind != "seed" for _, kind, _ in parameters):
            continue
        results = [_result(name, parameters, kind) for kind in ("image", "mask", "labels")]
        alone = parameters[0][1] == "image" and set(results) == {"-"}  # what takes one component is not tried with more
        results.append(_result(name, parameters, "colours") if alone else "-")
        grid |= "grid" in results
        if "grid" not in results and set(results) != {"-"}:
            shown = [f"{each}: {kind}{f' = {default}' if default else ''}" for each, kind, default in parameters]
            written.append(f"{name}({'; '.join(shown)}) -> {', '.join(results)}")
    yield from written or [f"{name}: {named or ('grid' if grid else 'other')}"]


if __name__ == "__main__":
    FILE.write_text("".join([f"{line}\n" for line in lines()]), "utf-8")
    sys.exit()
