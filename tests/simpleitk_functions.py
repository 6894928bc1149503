"""What the functions of SimpleITK take and give, found out from the installed version:

    python -m tests.simpleitk_functions

writes `operators/simpleitk.txt`, from which the namespace `simpleitk` is made without importing SimpleITK. A line is

    Name(parameter: type = default; …) -> result of a number image, of a mask, of labels

with `-` where there is no result, or `Name: reason` for a function that programs cannot use. Each function is tried on
a small image of each kind, in a process of its own: some crash. From the first parameter on whose type is not known
here the parameters are left out, if they have defaults.
"""

from __future__ import annotations

import inspect
import multiprocessing
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

import voxlogica.operators

FILE = Path(voxlogica.operators.__file__).with_name("simpleitk.txt")

_TYPES = {
    "Image": "image", "SimpleITK.SimpleITK.Image": "image", "bool": "bool", "double": "number", "float": "number",
    "std::string": "text", "std::string const &": "text", "VectorDouble": "numbers", "List[float]": "numbers",
    "VectorUInt32": "wholes", "VectorInt32": "wholes", "VectorUInt8": "wholes", "List[int]": "wholes",
    "itk::simple::KernelEnum": "constant",
}  # fmt: skip
_WHOLE = re.compile(r"u?int\d*(_t)?|unsigned int")
_BINARY = {"insideValue", "foregroundValue", "replaceValue"}
_LOGIC = {"Equal", "NotEqual", "Greater", "GreaterEqual", "Less", "LessEqual"}
_EFFECTS = {"WriteImage", "WriteTransform", "Show", "ReadImage", "ReadTransform"}
_RANDOM = re.compile("Noise|Random")
_GRID = re.compile("Pad$|Crop$|Shrink$|^Expand$|^Resample$|^DICOMOrient$|^PermuteAxes$|^Flip$|^Slice$|^Paste$")
_POINTS = {"ChangeLabel", "CollidingFronts", "ConfidenceConnected", "ConnectedThreshold", "FastMarching",
           "FastMarchingBase", "IsolatedConnected", "NeighborhoodConnected"}  # fmt: skip
"""What is nothing without a list of voxels, or a table, for which the language has no type."""
_SECONDS = 60

Parameter = tuple[str, str, str]  # name, type, default


def signatures(name: str) -> list[list[Parameter]]:
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
        rest = parameters[cut:]
        if cut and parameters[0][1] == "image" and all(default for _, _, default in rest):
            known.append(parameters[:cut])
    return known


def _split(text: str) -> list[str]:
    parts, depth = [""], 0
    for char in text:
        depth += (char in "<(") - (char in ">)")
        if char == "," and not depth:
            parts.append("")
        else:
            parts[-1] += char
    return [part.strip() for part in parts if part.strip()]


def _parameter(text: str) -> Parameter | None:
    declared, _, default = text.partition("=")
    match = re.match(r"(.*\S)\s+(\w+)$", declared.strip())
    if match is None:
        return None
    kind = match[1].removeprefix("itk::simple::") if "Enum" not in match[1] else match[1]
    return match[2], _type(kind), _default(default.strip())


def _annotated(parameter: inspect.Parameter) -> Parameter:
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
    return "whole" if _WHOLE.fullmatch(kind) else _TYPES.get(kind, "")


def _default(text: str) -> str:
    """A default as people read it."""
    vector = re.fullmatch(r"std::vector<.*>\((.*)\)", text)
    if vector and not vector[1]:
        return "[]"
    if vector:
        count, _, value = vector[1].partition(",")
        if not count.strip().isdigit():
            return text
        return f"[{', '.join([value.strip() or '0'] * int(count))}]"
    return "…" if "::" in text else text


# Trying


def _samples(kind: str) -> Any:
    random = np.random.default_rng(7)
    z, y, x = np.indices((9, 10, 11))
    ball = (x - 5) ** 2 + (y - 4) ** 2 + (z - 4) ** 2 <= 9
    array = {
        "image": (random.random(ball.shape) + 3 * ball).astype(np.float32),
        "mask": (ball | (x == 0)).astype(np.uint8),
        "labels": (ball + 2 * (x == 0)).astype(np.uint32),
    }[kind]
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((1.0, 1.5, 0.75))
    image.SetOrigin((3.0, -4.0, 5.0))
    return image


def _tried(name: str, parameters: list[Parameter], kind: str) -> str:
    """The kind of the result, `-` when there is none, `grid` when it lies on another grid."""
    given = [_given(each, kind) for each in parameters if not each[2]]
    if ("maskValue", "whole", "255") in parameters:  # with masks of ours it must be given
        given = [
            each * 255 if name == "maskImage" else each for each, (name, _, _) in zip(given, parameters, strict=False)
        ]
    result = getattr(sitk, name)(*given)
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
    first = given[0]
    for part in ("Size", "Spacing", "Origin", "Direction"):
        if getattr(result, f"Get{part}")() != getattr(first, f"Get{part}")():
            return "grid"
    return _kind(name, parameters, kind, result)


def _given(parameter: Parameter, kind: str) -> object:
    name, wanted, _ = parameter
    if wanted == "image":
        return _samples("mask" if "ask" in name else "labels" if name.startswith("label") else kind)
    return {"number": 1.0, "whole": 1, "bool": True, "numbers": [1.0] * 3, "wholes": [1] * 3}.get(wanted, "")


def _kind(name: str, parameters: list[Parameter], kind: str, result: Any) -> str:
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


def _try(name: str, parameters: list[Parameter], kind: str, answer: Any) -> None:
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        answer.send(_tried(name, parameters, kind))
    except (RuntimeError, TypeError, ValueError, NotImplementedError, IndexError):
        answer.send("-")


def _result(name: str, parameters: list[Parameter], kind: str) -> str:
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
    if name in _EFFECTS:
        yield f"{name}: effect"
        return
    for reason, applies in (("random", _RANDOM.search(name)), ("grid", _GRID.search(name)), ("type", name in _POINTS)):
        if applies:
            yield f"{name}: {reason}"
            return
    reason = "type"
    written = []
    for parameters in signatures(name):
        results = [_result(name, parameters, kind) for kind in ("image", "mask", "labels")]
        if "grid" in results:
            reason = "grid"
        elif set(results) != {"-"}:
            shown = [f"{each}: {kind}{f' = {default}' if default else ''}" for each, kind, default in parameters]
            written.append(f"{name}({'; '.join(shown)}) -> {', '.join(results)}")
    yield from written or [f"{name}: {reason}"]


if __name__ == "__main__":
    FILE.write_text("".join([f"{line}\n" for line in lines()]), "utf-8")
    sys.exit()
