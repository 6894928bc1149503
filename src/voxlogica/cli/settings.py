"""Settings: what options are when the command line does not say. From the environment, else from a file.

The file is `voxlogica.toml`, or `pyproject.toml` with a table `[tool.voxlogica]`: the first there is beside the
program, in the working directory, and above it. A setting is called as its option is, in the environment
VOXLOGICA_OUTPUT_DIR.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

from voxlogica._dataclass import NamedTuple, replace
from voxlogica.cli.arguments import PROGRESS
from voxlogica.cli.readers import choice, count, directories, millimetres, seconds, size, yes
from voxlogica.errors import Diagnostic, ProgramError, Source, Span, close_matches, reason_of

Value: TypeAlias = str | int | float | bool | Path | tuple[Path, ...]
Reader: TypeAlias = Callable[[str], Callable[[str], Value]]


def _path(option: str) -> Callable[[str], Path]:
    return lambda text: Path(text).expanduser()


SETTINGS: Mapping[str, Reader] = {
    "store": _path,
    "no-store": yes,
    "jobs": count,
    "memory": size,
    "library-path": directories,
    "dialect": lambda option: choice(option, "1", "2"),
    "grid-tolerance": millimetres,
    "output-dir": _path,
    "timeout": seconds,
    "task-timeout": seconds,
    "retry-failed": yes,
    "progress": lambda option: choice(option, *PROGRESS),
    "quiet": yes,
}
_PREFIX = "VOXLOGICA_"


class _File(NamedTuple):
    """A file of settings: what it is called, its text, its table, and where that begins in the text."""

    source: Source
    directory: Path
    table: Mapping[str, object]
    start: int

    def span(self, key: str) -> Span | None:
        """Where a setting is in the text, as far as that can be seen without a parser that keeps places."""
        found = re.compile(rf"""^[ \t]*["']?({re.escape(key)})["']?[ \t]*=""", re.MULTILINE).search(
            self.source.text, self.start
        )
        return Span(self.source, *found.span(1)) if found else None


def settings(program: Path | None, environ: Mapping[str, str] = os.environ) -> dict[str, Value]:
    """The settings by the names of their options' values, `output_dir`. Raises `ProgramError`.

    What is written relative to a directory is relative to the file's, and in the environment to the working directory.
    """
    found = _of_file(program)
    above = dict(_of_environment(environ))
    if "store" in above:
        found.pop("no-store", None)
    found |= above
    if "dialect" in found and program is not None and _says_dialect(program):
        del found["dialect"]  # a program knows better than its surroundings how it is to be read
    return {key.replace("-", "_"): value for key, value in found.items()}


def _of_environment(environ: Mapping[str, str]) -> Iterator[tuple[str, Value]]:
    keys = {key.upper().replace("-", "_"): key for key in SETTINGS}
    for variable, text in environ.items():
        name = variable.removeprefix(_PREFIX)
        if name == variable or not text:
            continue
        if name in keys:
            yield keys[name], SETTINGS[keys[name]](f"{variable}=")(text)
        # Others may have variables with this prefix; one that is nearly ours is a slip.
        elif close := close_matches(name, keys, 0.8):
            help = f"did you mean {_PREFIX}{close[0]}? docs/settings.md lists them"
            raise ProgramError(Diagnostic("usage", f"there is no setting {variable}", help=help))


def _of_file(program: Path | None) -> dict[str, Value]:
    file = _file(program)
    if file is None:
        return {}
    problems: list[Diagnostic] = []
    found: dict[str, Value] = {}
    for key, value in file.table.items():
        try:
            found[key] = _read(file, key, value)
        except ProgramError as error:
            name, span = file.source.name, file.span(key)
            for each in error.diagnostics:
                message = each.message if span else f"{name}: {each.message}"
                problems.append(replace(each, message=message, span=span))
    if problems:
        raise ProgramError(*problems)
    return found


def _read(file: _File, key: str, value: object) -> Value:
    if key not in SETTINGS:
        close = close_matches(key.lower().replace("_", "-"), SETTINGS)
        meant = f"did you mean `{close[0]}`? " if close else ""
        help = f"{meant}docs/settings.md lists them"
        raise ProgramError(Diagnostic("usage", f"there is no setting `{key}`", help=help))
    if not isinstance(value, (str, int, float)):
        help = "write a text in quotes, a number, true or false"
        raise ProgramError(Diagnostic("usage", f"`{key}` has several values or a date, and takes one", help=help))
    read = SETTINGS[key](f"{key} =")(str(value).lower() if isinstance(value, bool) else str(value))
    if isinstance(read, tuple):
        return tuple([file.directory / each for each in read])
    return file.directory / read if isinstance(read, Path) else read


def _file(program: Path | None) -> _File | None:
    """The file that counts: the first."""
    here = Path.cwd()
    for directory in dict.fromkeys((*([program.absolute().parent] if program else []), here, *here.parents)):
        for name in ("voxlogica.toml", "pyproject.toml"):
            file = _opened(directory, name)
            if file is not None:
                return file
    return None


def _opened(directory: Path, name: str) -> _File | None:
    """A file of settings; None when there is none, or none of ours in it."""
    path = directory / name
    if not os.access(path, os.F_OK):  # nor what lies in a directory above that is closed to us
        return None
    shown = os.path.relpath(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else reason_of(error)
        raise ProgramError(Diagnostic("usage", f"{shown} cannot be read: {reason}")) from error
    ours = name == "voxlogica.toml"
    if not ours and "voxlogica" not in text:  # most projects' own: not worth a parser
        return None
    import tomllib  # not at the top: 5 ms, and seldom needed

    try:
        table: object = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        help = 'a setting is a line like   jobs = 2   or   memory = "4GB"'
        message = f"{shown} is not TOML: {error}"
        raise ProgramError(Diagnostic("usage", message, help=help)) from error
    for key in () if ours else ("tool", "voxlogica"):
        table = table.get(key) if isinstance(table, dict) else None
    if not isinstance(table, dict):
        return None
    start = 0 if ours else max(text.find("[tool.voxlogica]"), 0)
    return _File(Source(shown, text), directory, table, start)


def _says_dialect(program: Path) -> bool:
    """Whether the first line of a program says how it is read; one that cannot be read says nothing."""
    from voxlogica.syntax.parser import DIALECT

    try:
        with program.open(encoding="utf-8", errors="replace") as file:
            return DIALECT.match(file.readline()) is not None
    except OSError:
        return False
