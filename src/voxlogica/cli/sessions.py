"""The session of a command that runs programs: the store, the limits and the libraries that its options name."""

from __future__ import annotations

from voxlogica.cli.arguments import Options
from voxlogica.cli.text import notice
from voxlogica.session import Session
from voxlogica.storage import MemoryStorage


def session(options: Options) -> Session:
    """A session; what happens to its store is said, unless the command is to be quiet or to give data."""
    # Without a store nothing needs to be kept in its place: what one run needs again is held by the engine.
    storage = MemoryStorage(limit=0) if options.no_store else None
    limits = {name: vars(options).get(name) for name in ("jobs", "memory")}  # `plan` computes nothing and has none
    tell = None if options.quiet or options.json else notice
    return Session(store=options.store, storage=storage, library_path=options.library_path, tell=tell, **limits)
