"""`%load_ext voxlogica`: the cell magic `%%imgql`, by which a cell of a notebook is a program."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, MutableMapping
from importlib import import_module
from typing import Any, Protocol

from voxlogica.errors import Diagnostic, ProgramError, in_python, render
from voxlogica.session import Options, Program, Trouble, default_session, raised
from voxlogica.session.live import watched

USAGE = "%%imgql [VARIABLE] [NAME=VALUE]…   the run goes into the variable; an input's value is a variable or a path"


class Shell(Protocol):
    """What is used of IPython."""

    user_ns: MutableMapping[str, Any]

    def register_magic_function(self, function: Any, magic_kind: str, magic_name: str) -> None:
        """Makes a function a magic word."""
        ...


def load_ipython_extension(shell: Shell) -> None:
    """What `%load_ext voxlogica` calls."""

    def imgql(line: str, cell: str) -> None:
        """Runs the cell as a program, and shows its prints and the masks that it saves."""
        _imgql(shell, line, cell)

    shell.register_magic_function(imgql, "cell", "imgql")


def _imgql(shell: Shell, line: str, cell: str) -> None:
    """Raises `VoxLogicAError`, after showing what came out all the same."""
    variables, settings = _words(line)
    program = default_session().program(cell, name="cell")
    _say(program.warnings)
    prepared = _given(program, settings, shell.user_ns).settle((), Options(jobs=program.session.jobs))
    with watched(program.source.name, program.asked, program.session.jobs) as watcher:
        run = prepared.begin()
        troubles = [each.diagnostic for each in run.happenings(watcher) if isinstance(each, Trouble)]
    import_module("IPython.display").display(run)
    shell.user_ns.update(dict.fromkeys(variables, run))
    _say([each for each in troubles if each.severity != "error"])
    errors = [each for each in troubles if each.severity == "error"]
    if errors:
        raise raised(errors)


def _words(line: str) -> tuple[list[str], dict[str, str]]:
    """The variable for the run, if there is one, and what is set. Raises `ProgramError`."""
    variables: list[str] = []
    settings: dict[str, str] = {}
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise ProgramError.of("usage", f"%%imgql {line}: {error}", help=USAGE) from error
    for word in words:
        name, equals, value = word.partition("=")
        if not name.isidentifier() or (not equals and variables):
            raise ProgramError.of("usage", f"%%imgql does not understand {word}", help=USAGE)
        if equals:
            settings[name] = value
        else:
            variables.append(name)
    return variables, settings


def _given(program: Program, settings: Mapping[str, str], variables: Mapping[str, Any]) -> Program:
    """The program with its settings: what is set for an input is a variable's value, if there is one of that name."""
    return program.replace(
        **{name: variables.get(value, value) if name in program.inputs else value for name, value in settings.items()}
    )


def _say(diagnostics: tuple[Diagnostic, ...] | list[Diagnostic]) -> None:
    for each in diagnostics:
        print(render(in_python(each)), file=sys.stderr)
