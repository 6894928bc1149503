"""Values of options and settings, from text; what is wrong is said in the form in which the value was given.

The first argument of each is that form without the value: `--jobs`, in a file of settings `jobs =`, in the environment
`VOXLOGICA_JOBS=`. All raise `ProgramError`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from voxlogica.errors import Diagnostic, ProgramError

_UNITS = {"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}


def written(option: str, text: str) -> str:
    """An option with its value, as one writes it."""
    if not option.endswith("="):
        return f"{option} {text}"
    if not option.endswith(" ="):
        return option + text
    bare = text in ("true", "false") or re.fullmatch(r"-?\d+(\.\d+)?", text)
    return f"{option} {text}" if bare else f'{option} "{text}"'


def _wrong(option: str, text: str, what: str, *examples: str) -> ProgramError:
    *others, last = [written(option, each) for each in examples]
    shown = "   ".join([*others, "or", last] if others else [last])
    message = f"{written(option, text)} is not {what}"
    return ProgramError(Diagnostic("usage", message, help=f"for example   {shown}"))


def choice(option: str, *values: str) -> Callable[[str], str]:
    """One of some words."""

    def one(text: str) -> str:
        if text not in values:
            help = f"it is {', '.join(values[:-1])} or {values[-1]}"
            raise ProgramError.of("usage", f"{written(option, text)} is not possible", help=help)
        return text

    return one


def file(option: str) -> Callable[[str], Path]:
    """A file to be written; `-`, which elsewhere is standard output, would be one of that name."""

    def one(text: str) -> Path:
        if text == "-":
            raise _wrong(option, text, "a file", "/dev/stderr")
        return Path(text)

    return one


def yes(option: str) -> Callable[[str], bool]:
    """Whether something is so: true or false."""

    def one(text: str) -> bool:
        return choice(option, "true", "false")(text) == "true"

    return one


def count(option: str) -> Callable[[str], int]:
    """A number from 1."""

    def one(text: str) -> int:
        if not text.isdecimal() or int(text) < 1:
            raise _wrong(option, text, "a number from 1", "2")
        return int(text)

    return one


def directories(option: str) -> Callable[[str], tuple[Path, ...]]:
    """Directories, as in PATH: with a `:` between them, on Windows a `;`."""

    def several(text: str) -> tuple[Path, ...]:
        found = tuple([Path(each).expanduser() for each in text.split(os.pathsep) if each])
        if not found:
            raise _wrong(option, text, "a directory", "libraries")
        return found

    return several


def seconds(option: str) -> Callable[[str], float]:
    """A time, in seconds without a unit."""

    def one(text: str) -> float:
        match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([smh]?)", text.lower())
        if not match or not float(match[1]):
            raise _wrong(option, text, "a time", "90", "5m", "2h")
        return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]

    return one


def days(option: str) -> Callable[[str], float]:
    """A time, in days without a unit; the result in seconds."""

    def one(text: str) -> float:
        match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([dh]?)", text.lower())
        if not match:
            raise _wrong(option, text, "a number of days", "30", "12h")
        return float(match[1]) * (3600 if match[2] == "h" else 86400)

    return one


def size(option: str) -> Callable[[str], int]:
    """Bytes."""

    def one(text: str) -> int:
        match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([kmgt]?)i?b?", text.lower())
        if not match:
            raise _wrong(option, text, "a size", "4GB")
        return int(float(match[1]) * _UNITS[match[2]])

    return one


def millimetres(option: str) -> Callable[[str], float]:
    """A distance in mm."""

    def one(text: str) -> float:
        match = re.fullmatch(r"(\d+(?:\.\d+)?(?:e-?\d+)?) ?(?:mm)?", text.lower())
        if not match:
            raise _wrong(option, text, "a distance in mm", "0.01mm")
        return float(match[1])

    return one
