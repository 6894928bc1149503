"""Names, types, arities and grids of a program, before anything is opened or computed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from voxlogica._collector import collector_paused
from voxlogica.check.checker import Checker
from voxlogica.check.imports import File, decoded, read_text, shown
from voxlogica.check.result import Checked
from voxlogica.check.strings import StringName, names, replaced
from voxlogica.syntax.ast import Program

__all__ = ["Checked", "StringName", "check", "decoded", "names", "read_text", "replaced", "shown"]


def check(
    program: Program,
    path: Path | None = None,
    name: str = "program",
    search: Sequence[Path] = (),
    wanted: Sequence[str] = (),
) -> Checked:
    """Checks a program and what it imports.

    `path` is where its text comes from, None when it is from nowhere; `name` what it is called in messages; `search`
    are directories in which imports are looked for too; `wanted` are definitions that are needed though no goal asks
    for them. Raises `ProgramError` with every error and warning, in the order of the text; warnings alone are in the
    result.
    """
    with collector_paused():
        return Checker(File(path, name, program), search).check(wanted)
