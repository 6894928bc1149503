"""Progress on a terminal: nothing in the first second, then two lines that go away at the end.

Piped output shows none. What is drawn comes from the events and counts of the run; drawing has a thread of its own,
which only reads.
"""

from __future__ import annotations

import signal
import sys
import time
from threading import Timer
from typing import TYPE_CHECKING, Any

from voxlogica.cli.text import counted
from voxlogica.execution.messages import Counts, Event
from voxlogica.formula import Formula
from voxlogica.identity import Id

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live
    from rich.progress import Progress as Bar

PATIENCE = 1.0
"""Seconds before anything is shown."""


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


class Progress:
    """What a run is doing, shown on stderr when somebody looks and it takes long enough."""

    def __init__(self, name: str, goals: int, jobs: int, shown: bool) -> None:
        self._title = f"{name}   {counted(goals, 'goal')}"
        self._jobs = jobs
        self._shown = shown and sys.stderr.isatty()
        self._start = time.monotonic()
        self._running: dict[Id, Formula] = {}
        self._counts = Counts()
        self._live: Live | None = None
        self._timer: Timer | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Progress:
        if self._shown:
            for number in (signal.SIGTERM, signal.SIGHUP):  # whoever ends us so finds the cursor where it was
                self._before[number] = signal.signal(number, _interrupt)
            self._timer = Timer(PATIENCE, self._begin)
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.pause()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @property
    def watcher(self) -> Progress | None:
        """Who is to be told of the run; None when nobody looks."""
        return self if self._shown else None

    def begin(self, counts: Counts) -> None:
        """The run begins."""
        self._counts = counts

    def event(self, event: Event) -> None:
        """Something happened to a task."""
        if event.kind == "started":
            self._running[event.id] = event.formula
        else:
            self._running.pop(event.id, None)

    def pause(self) -> None:
        """Takes the display away, for good."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _begin(self) -> None:
        from rich.console import Console
        from rich.live import Live

        console = Console(stderr=True)
        # Lines that go to a terminal on stdout must pass above the display; a pipe gets them as they are.
        to_terminal = sys.stdout.isatty()
        self._live = Live(
            get_renderable=self._drawn, console=console, transient=True, redirect_stdout=to_terminal,
            redirect_stderr=True, refresh_per_second=8,
        )  # fmt: skip
        self._live.start()

    def _drawn(self) -> RenderableType:
        from rich.text import Text

        counts = self._counts
        filled = round(24 * min(1.0, counts.ended / max(counts.tasks, 1)))
        parts = [f" {'█' * filled}{'░' * (24 - filled)}  tasks {counts.ended}/{counts.tasks}"]
        if counts.reused:
            parts.append(f"reused {counts.reused}")
        parts.append(f"computed {counts.done}")
        running = next(iter(list(self._running.values())), None)
        if running is not None:
            place = ""
            if running.origin is not None:
                place = f" (line {running.origin.span.source.position(running.origin.span.start)[0]})"
            parts.append(f"{running.label}{place}")
        elif counts.waiting:
            parts.append(f"waiting for {counts.waiting} that others compute")
        elif not counts.tasks:
            parts = [" preparing"]
        usage = counts.usage
        if usage.budget:
            parts.append(f"{(usage.live + usage.reserved) / 1e9:.1f} of {usage.budget / 1e9:.1f} GB")
        remaining = counts.remaining(self._jobs)
        seconds = time.monotonic() - self._start
        parts.append(f"about {remaining:.0f} s" if remaining else f"{seconds:.0f} s so far")
        return Text(f"{self._title}\n{'   '.join(parts)}", no_wrap=True, overflow="ellipsis")


class Rows:
    """How far a study is: a bar on stderr while it runs, when somebody looks. Rows pass above it."""

    def __init__(self, name: str, total: int, shown: bool) -> None:
        self._name, self._total = name, total
        self._shown = shown and sys.stderr.isatty()
        self._bar: Bar | None = None

    def __enter__(self) -> Rows:
        if self._shown:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            self._bar = Bar(
                TextColumn("{task.description}"), BarColumn(24), MofNCompleteColumn(), TextColumn("rows"),
                TextColumn("[red]{task.fields[failed]}"), TimeElapsedColumn(), TextColumn("about"),
                TimeRemainingColumn(), console=Console(stderr=True), transient=True,
                redirect_stdout=sys.stdout.isatty(), redirect_stderr=True,
            )  # fmt: skip
            self._bar.add_task(self._name, total=self._total, failed="")
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def update(self, done: int, failed: int) -> None:
        """So many rows are there, and so many of them failed."""
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=done, failed=f"{failed} failed" if failed else "")

    def stop(self) -> None:
        """Takes the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
