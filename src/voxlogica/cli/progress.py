"""Progress on stderr: nothing in the first second, then two lines of a terminal that go away at the end.

Piped output shows none, unless `--progress` asks for lines, as text or as JSON. Whoever shows has a thread of its own,
which only reads.
"""

from __future__ import annotations

import json
import signal
import sys
from threading import Event, Timer
from typing import TYPE_CHECKING, Any

from voxlogica.cli.arguments import Options
from voxlogica.session.progress import Progress

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

PATIENCE = 1.0
"""Seconds before anything is shown, and between two lines."""


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def looked_at(options: Options) -> bool:
    """Whether somebody sees how far the command is."""
    if options.progress == "auto":
        return not (options.quiet or options.json) and sys.stderr.isatty()
    return options.progress != "none" and not options.quiet


class Display:
    """How far something is, shown on stderr when it takes long enough; nothing without a progress.

    `how` is `auto` for a terminal, `plain` or `json` for a line whenever something has changed, at most one a second.
    """

    def __init__(self, progress: Progress | None, how: str = "auto") -> None:
        self._progress, self._how = progress, how
        self._over = Event()
        self._live: Live | None = None
        self._timer: Timer | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Display:
        if self._progress is not None:
            for number in (signal.SIGTERM, signal.SIGHUP):  # whoever ends us so finds the cursor where it was
                self._before[number] = signal.signal(number, _interrupt)
            self._timer = Timer(PATIENCE, self._begin if self._how == "auto" else self._lines)
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.pause()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def pause(self) -> None:
        """Takes the display away, for good."""
        self._over.set()
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _lines(self) -> None:
        said = ""
        while not self._over.is_set():
            line = self._line()
            if line != said:
                print(line, file=sys.stderr, flush=True)
            said = line
            self._over.wait(PATIENCE)

    def _line(self) -> str:
        assert self._progress is not None
        figures = self._progress.figures()
        if self._how == "plain":
            return str(figures)
        said = {"progress": figures.title, "ended": figures.ended, "total": figures.total, "words": figures.words}
        return json.dumps(said, ensure_ascii=False)

    def _begin(self) -> None:
        from rich.console import Console
        from rich.live import Live

        console = Console(stderr=True)
        # Lines that go to a terminal on stdout must pass above the display; a pipe gets them as they are.
        to_terminal = sys.stdout.isatty()
        self._live = Live(
            get_renderable=lambda: self._drawn(console.width), console=console, transient=True,
            redirect_stdout=to_terminal, redirect_stderr=True, refresh_per_second=8,
        )  # fmt: skip
        self._live.start()

    def _drawn(self, width: int) -> RenderableType:
        from rich.text import Text

        assert self._progress is not None
        figures = self._progress.figures()
        room = 24 if width > 100 else 10
        filled = round(room * min(1.0, figures.ended / max(figures.total, 1)))
        bar = ("█" * filled + "░" * (room - filled),) if figures.total else ()
        return Text(f"{figures.title}\n {'   '.join((*bar, *figures.words))}", no_wrap=True, overflow="ellipsis")
