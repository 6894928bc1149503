"""The program that a command is given: a file, or with `-` what comes on standard input."""

from __future__ import annotations

import sys
from pathlib import Path

from voxlogica.check import decoded
from voxlogica.cli.arguments import Options
from voxlogica.errors import Source
from voxlogica.session import Program, Session, read


def source_of(options: Options) -> tuple[Source, Path | None]:
    """Its text and where it lies; what comes on standard input lies nowhere. Raises `ProgramError`."""
    if options.program == "-":
        return Source("stdin", decoded(sys.stdin.buffer.read(), "standard input", "usage")), None
    path = Path(options.program)
    return read(path), path


def load(session: Session, options: Options) -> Program:
    """The program, checked. Raises `ProgramError` with all that is wrong in it."""
    source, path = source_of(options)
    return Program(session, source, path, int(options.dialect) if options.dialect else None, ())
