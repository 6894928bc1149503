"""How far a run or a study is, in a notebook: one display below the cell that waits for it, updated in its place.

It appears when something lasts longer than `PATIENCE`, and ends, at the latest with the cell, as a line that says what
came of it and stays in the saved notebook. A thread of its own draws, so that a long kernel does not stop the clock; it
only reads.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from threading import Event as Flag
from threading import Thread
from typing import Any

from voxlogica.session.progress import Figures, Progress, RunProgress

PATIENCE = 1.0
"""Seconds before anything is shown."""
PERIOD = 0.5
"""Seconds between updates: a browser that is far away keeps up."""


def notebook() -> Any | None:
    """The shell of a notebook; None in a script, in a terminal, and where there is no IPython."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell if getattr(shell, "kernel", None) is not None else None


@contextmanager
def watched(name: str, what: str, jobs: int, wanted: bool = True) -> Iterator[RunProgress | None]:
    """What a run is to tell of its events, to be shown inside; None where nobody looks, since telling has its cost."""
    shell = notebook() if wanted else None
    if shell is None:
        yield None
        return
    progress = RunProgress(name, what, jobs)
    with Live(shell, progress):
        yield progress


class Live:
    """Shows a progress in a notebook, whose `shell` it is; as a context, until it is left or the cell ends."""

    def __init__(self, shell: Any, progress: Progress) -> None:
        self._shell, self._progress = shell, progress
        self._id = os.urandom(16).hex()
        self._drawn = ""
        self._ended = Flag()
        # The context says to which cell a display belongs.
        self._thread = Thread(target=copy_context().run, args=(self._draw,), daemon=True, name="voxlogica-live")

    def __enter__(self) -> Live:
        # An iterator may be kept and go on in another cell.
        self._shell.events.register("post_run_cell", self._cell_ended)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._end(stopped=kind is not None)

    def _cell_ended(self, _: object) -> None:
        self._end(stopped=True)

    def _end(self, stopped: bool) -> None:
        """Leaves a line in place of the display, if there is one."""
        if self._ended.is_set():
            return
        self._ended.set()
        self._shell.events.unregister("post_run_cell", self._cell_ended)
        self._thread.join()
        if self._drawn:
            text = ("stopped: " if stopped else "") + self._progress.outcome()
            self._publish(text, f'<div style="opacity: 0.7">{_escaped(text)}</div>')

    def _draw(self) -> None:
        delay = PATIENCE
        while not self._ended.wait(delay):
            figures, delay = self._progress.figures(), PERIOD
            self._publish(str(figures), html(figures))

    def _publish(self, text: str, page: str) -> None:
        if page != self._drawn:
            bundle = {"text/plain": text, "text/html": page}
            self._shell.display_pub.publish(bundle, transient={"display_id": self._id}, update=bool(self._drawn))
            self._drawn = page


def html(figures: Figures) -> str:
    """A bar, and words under it."""
    share = f' value="{figures.ended}" max="{figures.total}"' if figures.total else ""  # else it only moves
    bar = f'<progress{share} style="width: 24em"></progress>'
    words = " &middot; ".join(map(_escaped, figures.words))
    return f'<div style="font-variant-numeric: tabular-nums">{_escaped(figures.title)} {bar}<br>{words}</div>'


def _escaped(text: str) -> str:
    from html import escape  # only a notebook pays for its import

    return escape(text)
