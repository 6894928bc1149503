"""The lock file of the operators: what each version of each computes, on small inputs that never change.

    python -m tests.operators_lock

writes the lines of operators that are new or whose version was raised, and refuses to write others: stored results
carry the version, so a result that changes needs a new one. (Did no release have the old ones? Delete the line first.)

A line is an operator's name, its version, and a digest of its results. It stays when the operator goes: who uses the
name again must not find what the old one stored. The encoders of `files` are left out: the bytes of a compressed file
depend on the library that compresses; and what another package computes, whose version is part of the ids.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from hashlib import sha256
from itertools import product
from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray

from voxlogica import formula
from voxlogica.errors import Refusal
from voxlogica.formula import Operator
from voxlogica.kernels import masks
from voxlogica.operators import operators
from voxlogica.values import Image, Labels, Mask, Model, Space, Value

FILE = Path(__file__).with_name("operators.lock")
COMMAND = "python -m tests.operators_lock"

_SPACES = (
    Space.grid(7, 5, spacing=(1.0, 0.5)),
    Space.grid(5, 3, 7, spacing=(0.5, 1.25, 2.0)),
    Space.grid(67, 1, 3, spacing=(1.0, 3.0, 0.7)),
)
_SCALARS = (
    ((2.0, 0.0, 4.0, 5.0, 1.0), (True, True)),
    ((0.5, 2.0, 3.0, 2.0, 3.0), (True, False)),
    ((0.0, 1.0, 2.0, 7.0, 2.0), (False, True)),
    ((10.0, -1.5, 1.5, 3.0, 4.0), (False, False)),
    ((1.0, 1.0, 3.0, 4.0, 7.0), (True, True)),
)
"""What the first, second, … number and truth value of an operator is, in several calls."""
_DENSITIES = ((0.5, 0.3, 0.6), (0.05, 0.9, 0.2), (1.0, 0.0, 1.0))
"""How full the first, second, … mask is."""
_STRINGS = (("T1", "T1"), ("", "t"), ("α {}", "\n"))
"""What the first, second, … string is, in several calls."""
_NUMBERS = formula.sequence(formula.NUMBER)
_LISTS = (((2.0, 1.0, 2.0), (1.0, 0.0, 0.0)), ((1.0, 1.0, 1.0), (0.0, 0.0, 1.0)))
"""What the first and second list of numbers is, of which a plane takes two."""
_COMPONENTS = {35: 1, 105: 3, 201: 4}
"""Of models on a space of so many voxels."""


def locked() -> dict[str, str]:
    """The lines of the lock file: for each name the version and the digest."""
    lines = FILE.read_text("utf-8").splitlines() if FILE.exists() else []
    return dict(line.split(" ", 1) for line in lines)


def current() -> dict[str, str]:
    """The lines as they would be now."""
    ours = [
        name for name, operator in operators().items() if operator.result is not formula.BYTES and not operator.library
    ]
    return {name: line(name) for name in ours}


def line(name: str) -> str:
    """The version of an operator and the digest of its results."""
    operator = operators()[name]
    hasher = sha256()
    for result in results(operator):
        for part in _parts(result):
            hasher.update(part)
    return f"{operator.version} {hasher.hexdigest()[:16]}"


def results(operator: Operator) -> Iterator[Value | Refusal]:
    """What an operator gives for the inputs here, or the refusal it raises."""
    for space, arguments in _calls(operator):
        try:
            yield operator.body(*_space(operator, space, arguments), *arguments)
        except Refusal as refusal:
            yield refusal


def same_version(old: str, new: str) -> bool:
    """Whether two lines are of one version."""
    return old.split()[0] == new.split()[0]


def record() -> int:
    """Writes the file; the exit status."""
    old, new = locked(), current()
    wrong = [name for name in new if name in old and new[name] != old[name] and same_version(old[name], new[name])]
    for name in wrong:
        print(f"the results of `{name}` changed under version {new[name].split()[0]}: raise it", file=sys.stderr)
    if not wrong:
        FILE.write_text("".join(f"{name} {line}\n" for name, line in sorted((old | new).items())), "utf-8")
    return bool(wrong)


def _calls(operator: Operator) -> Iterator[tuple[Space, list[object]]]:
    """The arguments of several calls: on each space, with masks of several densities and several scalars."""
    kinds = [kind for _, kind in operator.parameters]
    spatial = operator.needs_space or any(kind.spatial for kind in kinds)
    scalar = formula.NUMBER in kinds or formula.BOOL in kinds
    for space, densities, (numbers, truths), strings, lists in product(
        _SPACES if spatial else _SPACES[:1],
        _DENSITIES if formula.MASK in kinds else _DENSITIES[:1],
        _SCALARS if scalar else _SCALARS[:1],
        _STRINGS if formula.STRING in kinds else _STRINGS[:1],
        _LISTS if _NUMBERS in kinds else _LISTS[:1],
    ):
        random = Random(3)
        number, truth, density, string = iter(numbers), iter(truths), iter(densities), iter(strings)
        coordinates = iter(lists)
        arguments: list[object] = []
        for kind in kinds:
            if kind is formula.NUMBER:
                arguments.append(next(number))
            elif kind is formula.BOOL:
                arguments.append(next(truth))
            elif kind is formula.STRING:
                arguments.append(next(string))
            elif kind is _NUMBERS:
                arguments.append(next(coordinates)[: space.dimensions])
            elif kind is formula.MASK:
                arguments.append(_mask(random, space, next(density)))
            elif kind in (formula.IMAGE, formula.LABELS):
                arguments.append((Image if kind is formula.IMAGE else Labels).of(space, _floats(random, space)))
            else:
                assert kind is formula.MODEL, f"no inputs of type {kind} here yet"
                channels = [_floats(random, space) for _ in range(_COMPONENTS[space.voxels])]
                arguments.append(Model.of(space, np.stack(channels, axis=-1)))
        yield space, arguments


def _space(operator: Operator, space: Space, arguments: list[object]) -> list[Space]:
    """The space that an operator is given before its arguments, if it is."""
    if operator.grid is not None:
        return [operator.grid(*[getattr(argument, "space", argument) for argument in arguments])]
    if operator.bridge:  # half the spacing, and so beside the voxels and beyond the last of them
        n = space.dimensions
        return [Space.grid(*[size + 1 for size in space.size], spacing=tuple([space.spacing[k] / 2 for k in range(n)]))]
    return [space] if operator.needs_space else []


def _floats(random: Random, space: Space) -> NDArray[np.float32]:
    """Eighths from −2 to 6, so that equal values, negative ones and zeros occur."""
    return np.array([int(random.random() * 64) / 8 - 2 for _ in range(space.voxels)], np.float32).reshape(space.shape)


def _mask(random: Random, space: Space, density: float) -> Mask:
    voxels = np.array([random.random() < density for _ in range(space.voxels)], np.bool_).reshape(space.shape)
    return Mask.of(space, masks.pack(voxels))


def _parts(result: Value | Refusal) -> Iterator[bytes]:
    """A result's type and bytes; there is one NaN, and −0.0 is another number than 0.0 in an image."""
    yield type(result).__name__.encode()
    if isinstance(result, Mask):
        yield result.words().tobytes()
    elif isinstance(result, (Image, Model)):
        array = result.array()
        yield np.where(np.isnan(array), np.float32(np.nan), array).tobytes()
    elif not isinstance(result, Refusal):
        yield repr(result).encode()


if __name__ == "__main__":
    sys.exit(record())
