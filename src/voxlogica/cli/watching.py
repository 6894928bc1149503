"""Those who watch a run: the progress display, `--events` and `--profile`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from voxlogica.errors import MachineError, ProgramError, reason_of
from voxlogica.execution.messages import Counts, Event
from voxlogica.session import Watcher
from voxlogica.session.progress import RunProgress

if TYPE_CHECKING:
    from voxlogica.execution.events import Profile


class Watchers:
    """All who want to be told, as one; what they write is whole when the block is left."""

    def __init__(self, progress: RunProgress | None, events: Path | None, profile: Path | None) -> None:
        self._progress = progress
        self._listeners: list[Callable[[Event], None]] = [progress.event] if progress is not None else []
        self._profile: Profile | None = None
        if profile is not None:
            from voxlogica.execution.events import Profile

            self._profile = Profile()
        self._events, self._trace = events, profile if profile and profile.name else None
        self._stack = ExitStack()

    def __enter__(self) -> Watchers:
        if self._events is not None:
            from voxlogica.execution.events import EventsFile

            try:
                self._listeners.append(self._stack.enter_context(EventsFile(self._events)))
            except OSError as error:
                reason = reason_of(error)
                raise ProgramError.of("usage", f"--events {self._events} cannot be written: {reason}") from error
        if self._profile is not None:
            self._listeners.append(self._profile)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        if self._profile is not None:
            print(self._profile, file=sys.stderr, flush=True)
            if self._trace is not None:
                try:
                    self._profile.write_trace(self._trace)
                except OSError as error:
                    reason = reason_of(error)
                    raise MachineError.of("output", f"--profile {self._trace} cannot be written: {reason}") from error

    @property
    def watcher(self) -> Watcher | None:
        """Who is to be told; None when nobody wants to know, since telling has its cost."""
        return self if self._listeners else None

    def begin(self, counts: Counts) -> None:
        """The run begins."""
        if self._progress is not None:
            self._progress.begin(counts)

    def event(self, event: Event) -> None:
        """Something happened to a task."""
        for listener in self._listeners:
            listener(event)
