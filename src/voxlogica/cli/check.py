"""`voxlogica check`: everything that can be known of a program without opening a file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from voxlogica.check import StringName, names
from voxlogica.cli.arguments import Options
from voxlogica.cli.programs import source_of
from voxlogica.cli.text import complain, emit, sorted_out
from voxlogica.errors import Diagnostic, ProgramError
from voxlogica.session import Given, Program, Session
from voxlogica.session.settings import program_names, settable, unset, unset_diagnostic
from voxlogica.syntax.parser import parse
from voxlogica.values import plain


def check(options: Options) -> int:
    """Checks a program; says what it needs and makes."""
    given = [Given.text(setting) for setting in options.settings]
    source, path = source_of(options)
    dialect = int(options.dialect) if options.dialect else None
    try:
        program = Program(Session(library_path=options.library_path), source, path, dialect, ())
    except ProgramError as error:
        try:
            found = names(parse(source, dialect).commands)
        except ProgramError:
            found = ()
        raise ProgramError(*_sorted([*error.diagnostics, *_unset(found, path, given)])) from error
    settable(program.checked, program.syntax, program.path, given)
    said = _sorted([*program.warnings, *_unset(program.checked.names, path, given)])
    if options.json:
        emit({**_as_data(program), **sorted_out(said), "status": 0})
        return 0
    complain(said, options.quiet)
    if not options.quiet:
        print("\n".join(_described(program, given)))
    return 0


def _unset(found: Sequence[StringName], path: Path | None, given: Sequence[Given]) -> list[Diagnostic]:
    known = dict(os.environ) | program_names(path) | {each.name: "" for each in given}
    return [unset_diagnostic(name, "warning") for name in unset(found, known)]


def _sorted(diagnostics: Sequence[Diagnostic]) -> list[Diagnostic]:
    """By place in each file, the files in the order in which they are spoken of first."""
    sources = list(dict.fromkeys(d.span.source for d in diagnostics if d.span is not None))
    return sorted(diagnostics, key=lambda d: (sources.index(d.span.source), d.span.start) if d.span else (-1, 0))


def _described(program: Program, given: Sequence[Given]) -> list[str]:
    """What a person wants to know of a program that is right."""
    checked = program.checked
    lines = [f"{program.source.name} is right"]
    lines += [f"  loads   {each.name} = {each.path.span.text}" for each in checked.inputs]
    lines += [f"  sets    {each.name} = {each.literal.span.text}" for each in checked.parameters.values()]
    names = dict.fromkeys(each.name for each in checked.names)
    there = program_names(program.path).keys() | {each.name for each in given}
    lines += [f"  needs   --set {name}=…" for name in names if name not in there]
    width = max((len(goal.text.span.text) for goal in checked.goals), default=0)
    lines += [f"  {goal.word:<6}  {goal.text.span.text:<{width}}  {goal.type}" for goal in checked.goals]
    return lines


def _as_data(program: Program) -> dict[str, object]:
    checked = program.checked
    values = {name: plain(value) for name, value in program.parameters.items()}
    return {
        "program": program.source.name,
        "inputs": [{"name": each.name, "path": each.path.value} for each in checked.inputs],
        "parameters": [
            {"name": name, "type": str(checked.parameters[name].type), "value": value} for name, value in values.items()
        ],
        "names": list(dict.fromkeys(each.name for each in checked.names)),
        "goals": [{"kind": goal.word, "text": goal.text.value, "type": str(goal.type)} for goal in checked.goals],
    }
