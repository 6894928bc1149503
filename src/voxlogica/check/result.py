"""What checking a program yields: its code, and what a run must know besides. Plain data."""

from __future__ import annotations

from collections.abc import Mapping

from voxlogica._dataclass import NamedTuple, dataclass
from voxlogica.check.names import Free
from voxlogica.check.spaces import Place
from voxlogica.check.strings import StringName
from voxlogica.errors import Diagnostic, Span
from voxlogica.formula import Type
from voxlogica.reduction import Code
from voxlogica.syntax.ast import Boolean, Number, String


class InputSlot(NamedTuple):
    """An input, in the order of the text: its name, the path as written, and the space variable of its grid."""

    name: str
    path: String
    name_span: Span
    grid: int


class Parameter(NamedTuple):
    """A parameter (C29): its name and the literal it replaces."""

    name: str
    literal: Number | Boolean | String
    name_span: Span
    type: Type


class GoalSlot(NamedTuple):
    """A `print` or `save`: its label or path as written, and the slot of its value."""

    word: str
    text: String
    slot: int
    type: Type
    span: Span


class Definition(NamedTuple):
    """A top-level definition that some goal needs."""

    slot: int
    type: Type
    span: Span


class Together(NamedTuple):
    """Two inputs, by their numbers, that must lie on one grid, and the place that uses them together."""

    first: int
    second: int
    place: Place


@dataclass(frozen=True)
class Checked:
    """A program that may run.

    `grids` says for each space variable of the code which input's grid it is (the first in the program of those used
    together), −1 for the program's only one; `free` are the expressions that are on that one.
    """

    code: Code
    inputs: tuple[InputSlot, ...]
    parameters: Mapping[str, Parameter]
    goals: tuple[GoalSlot, ...]
    definitions: Mapping[str, Definition]
    together: tuple[Together, ...]
    grids: Mapping[int, int]
    free: tuple[Free, ...]
    names: tuple[StringName, ...]
    warnings: tuple[Diagnostic, ...]
