"""Small ImgQL programs on small images: the words in which the manual's examples and many tests are written.

    holds("near(a)", a="00100")                       '01110'
    value("dt(a)", a="010")                           [1.0, -0.0, 1.0]
    value("volume(a)", a="0110/0100")                 3.0
    arrays("a & b", a=x > 0, b=y > 0)                 (array of bool,)

A keyword argument is a name of the program:

- text is a mask, a digit per voxel, rows separated by `/` and slices by `//`;
- a list is an image, by rows (`[i, j]` one row, `[[i], [j]]` one column); under the name `m` it is a model, as loaded;
- an array is a mask when it is of bool, else an image; its axes are (y, x) or (z, y, x), as those of the lists;
- a `Model` is one; a number or truth value is a parameter (C29).

What comes back has the same forms: `holds` gives text, `value` numbers, truth values and lists, `arrays` arrays.

Programs go through the whole of the language: they are parsed, checked, reduced, planned and run by the engine with
the store in memory. Files alone are left out: the models are in the store already, as if another run had read them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from voxlogica.check import Checked, check
from voxlogica.errors import ProgramError, Source, Span
from voxlogica.execution.engine import Broken, ExecutionEngine
from voxlogica.formula import Formulas, Leaf
from voxlogica.identity import file_digest
from voxlogica.reduction import reduce
from voxlogica.reduction.code import DEFAULT
from voxlogica.storage import MemoryStorage, Provenance, TaskError
from voxlogica.syntax.parser import parse
from voxlogica.values import Image, Mask, Model, Record, Space, Value

Array: TypeAlias = NDArray[np.bool_] | NDArray[np.float32]
Argument: TypeAlias = str | bool | float | list[object] | Array | Model

_ROWS, _SLICES = "/", "//"


class Failure(Exception):
    """A goal failed; `error` is the engine's."""

    def __init__(self, error: TaskError) -> None:
        super().__init__(error.message)
        self.error = error


def holds(expression: str, *, imports: tuple[str, ...] = (), **arguments: Argument) -> str:
    """A mask, as text."""
    (array,) = _arrays((expression,), arguments, imports)
    assert isinstance(array, np.ndarray), f"{expression} is no mask"
    assert array.dtype == np.bool_, f"{expression} is no mask"
    slices = array.reshape(-1, *array.shape[-2:]).astype(int)
    return _SLICES.join(_ROWS.join("".join(map(str, row)) for row in rows) for rows in slices.tolist())


def value(expression: str, *, imports: tuple[str, ...] = (), **arguments: Argument) -> object:
    """A number, a truth value, or an image or model as nested lists; one row is one list."""
    (found,) = _arrays((expression,), arguments, imports)
    if not isinstance(found, np.ndarray):
        return found
    listed: list[object] = found.tolist()
    return listed[0] if len(listed) == 1 else listed


def arrays(
    *expressions: str,
    imports: tuple[str, ...] = (),
    definitions: str = "",
    spacing: tuple[float, ...] = (),
    **arguments: Argument,
) -> tuple[Any, ...]:
    """The values of expressions of one program, which begins with the imports, the arguments and the definitions.

    Volumes are arrays with the axes (y, x) or (z, y, x), and of models a last one more. `spacing` is (x, y) or
    (x, y, z) in mm, 1 unless given. Raises `ProgramError`, and `Failure` for the first goal that failed.
    """
    return _arrays(expressions, arguments, imports, definitions, spacing)


def _arrays(
    expressions: tuple[str, ...],
    arguments: Mapping[str, Argument],
    imports: tuple[str, ...] = (),
    definitions: str = "",
    spacing: tuple[float, ...] = (),
) -> tuple[Any, ...]:
    prelude = "".join([f'import "{library}"\n' for library in imports])
    prelude += "".join([_declared(name, given) for name, given in arguments.items()]) + definitions
    values = _goals(_checked(prelude, expressions), arguments, spacing)
    return tuple([_plain(value) for value in values])


def _goals(checked: Checked, arguments: Mapping[str, Argument], spacing: tuple[float, ...]) -> list[Value]:
    """The values of a program's goals, as a session computes them."""
    settings = {name: given for name, given in arguments.items() if isinstance(given, (bool, float, int))}
    models = [_model(given, spacing) for name, given in arguments.items() if name not in settings]
    leaves = [Leaf("", file_digest([model.data]), "memory", 1, model.space) for model in models]
    table, store = Formulas(), MemoryStorage()
    for leaf, model in zip(leaves, models, strict=True):
        store.offer(table.leaf(leaf).id, model, Provenance("load", 1))
    spaces = {variable: leaves[number].space for variable, number in checked.grids.items() if number >= 0}
    if len({leaf.space.id for leaf in leaves}) == 1:
        free = [DEFAULT, *(variable for variable, number in checked.grids.items() if number < 0)]
        spaces |= dict.fromkeys(free, leaves[0].space)
    slots = reduce(checked.code, leaves, spaces, settings, lambda text: text, table, _Nowhere())
    formulas = [slots[goal.slot] for goal in checked.goals]
    with ExecutionEngine(store, jobs=1) as engine:
        outcomes = dict(engine.run([formula for formula in formulas if formula is not None]))
    values: list[Value] = []
    for formula in formulas:
        assert formula is not None, "nothing says on which grid it lies"
        outcome = outcomes[formula]
        if isinstance(outcome, Broken):
            raise Failure(outcome.error)
        values.append(outcome.value)
    return values


class _Nowhere:
    """A file system with nothing in it."""

    def find(self, patterns: tuple[str, ...], span: Span) -> tuple[()]:
        return ()

    def listed(self, root: str, pattern: str, recursive: bool, full_paths: bool) -> tuple[()]:
        return ()


@cache
def _checked(prelude: str, expressions: tuple[str, ...]) -> Checked:
    goals = [f'{_word(prelude, expression)} "{n}.nii" {expression}\n' for n, expression in enumerate(expressions)]
    return _check(f"{prelude}\n{''.join(goals)}")


@cache
def _word(prelude: str, expression: str) -> str:
    """How an expression becomes a goal: it is saved if it has voxels, else printed."""
    try:
        _check(f'{prelude}\nsave "0.nii" {expression}\n')
    except ProgramError:
        return "print"
    return "save"


def _check(text: str) -> Checked:
    return check(parse(Source("example", text)))


def _declared(name: str, given: Argument) -> str:
    """The commands that make a name of an argument."""
    if isinstance(given, bool):
        return f"let {name} = {str(given).lower()}\n"
    if isinstance(given, (int, float)):
        return f"let {name} = 0\n"
    if isinstance(given, Model) or (isinstance(given, list) and name == "m"):
        return f'load {name} = "{name}"\n'
    numbers = f"intensity({name}_)"
    mask = isinstance(given, str) or (isinstance(given, np.ndarray) and given.dtype == np.bool_)
    return f'load {name}_ = "{name}"\nlet {name} = {f"not(0 .= {numbers})" if mask else numbers}\n'


def _model(given: Argument, spacing: tuple[float, ...]) -> Model:
    if isinstance(given, Model):
        return given
    if isinstance(given, str):
        slices = [[[int(voxel) for voxel in row] for row in rows.split(_ROWS)] for rows in given.split(_SLICES)]
        array = np.array(slices if len(slices) > 1 else slices[0], np.float32)
    else:
        array = np.asarray(given, np.float32)
    array = np.atleast_2d(array)
    space = Space.grid(*reversed(array.shape), spacing=spacing)
    return Model.of(space, np.ascontiguousarray(array.reshape(*space.shape, 1)))


def _plain(found: Value) -> Any:
    if isinstance(found, tuple):
        return tuple([_plain(each) for each in found])
    if isinstance(found, Model):
        return found.array().reshape(*found.space.shape[3 - found.space.dimensions :], found.components)
    if isinstance(found, (Mask, Image)):
        out: Array = found.numpy().T
        return out
    assert isinstance(found, (bool, float, str, Record))
    return found
