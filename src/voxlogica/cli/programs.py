"""The program that a command is given, a file or with `-` what comes on standard input, and the session it runs in."""

from __future__ import annotations

import sys
from pathlib import Path

from voxlogica.check import decoded
from voxlogica.cli.arguments import Options
from voxlogica.cli.text import notice
from voxlogica.errors import Source
from voxlogica.session import Program, Session, read
from voxlogica.storage import MemoryStorage


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


def session(options: Options) -> Session:
    """Its session; what happens to the store is said, unless the command is to be quiet or to give data."""
    # Without a store nothing needs to be kept in its place: what one run needs again is held by the engine.
    storage = MemoryStorage(limit=0) if options.no_store else None
    limits = {name: vars(options).get(name) for name in ("jobs", "memory")}  # `plan` computes nothing and has none
    tell = None if options.quiet or options.json else notice
    return Session(store=options.store, storage=storage, library_path=options.library_path, tell=tell, **limits)
