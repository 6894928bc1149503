"""What goes to the terminal: diagnostics in colour if somebody looks, data if somebody asked for them."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Container, Mapping, Sequence
from contextlib import suppress
from typing import TextIO

from voxlogica.errors import Diagnostic, as_data, render
from voxlogica.values import counted

_COLOURS = {"error": "\x1b[1;31m", "warning": "\x1b[1;33m", "help": "\x1b[36m"}
_PLAIN = "\x1b[0m"


def coloured(stream: TextIO) -> bool:
    """Whether a stream is a terminal that shows colours."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


KEPT = "what is stored is kept: the same command goes on from there"
"""What is said when Ctrl-C ended a run."""

_complained = False
"""Whether the command has complained; kept here, since who ends it with an error does not know of its warnings."""


def begin() -> None:
    """A command begins, or a line of a talk: nothing has been said of it."""
    global _complained
    _complained = False


def complain(diagnostics: Sequence[Diagnostic], quiet: bool = False) -> None:
    """Writes diagnostics to stderr, an empty line between two of a command; when quiet, errors only."""
    global _complained
    shown = [d for d in diagnostics if d.severity == "error" or not quiet]
    texts = [_paint(render(d), d.severity) if coloured(sys.stderr) else render(d) for d in shown]
    if texts:
        print(("\n" if _complained else "") + "\n\n".join(texts), file=sys.stderr, flush=True)
        _complained = True


def _paint(text: str, severity: str) -> str:
    head, rest = text.split("]", 1)
    colour = _COLOURS[severity]
    return f"{colour}{head}]{_PLAIN}{rest}".replace("\n  help: ", f"\n  {_COLOURS['help']}help:{_PLAIN} ")


def farewell(text: str) -> None:
    """Says something when Ctrl-C ends a command; it may have ended who would have heard that."""
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def notice(text: str) -> None:
    """Says something that is neither an error nor a warning about the program."""
    print(f"note: {text}", file=sys.stderr, flush=True)


def complain_as_data(diagnostics: Sequence[Diagnostic], status: int) -> None:
    """The same as JSON on stdout, when a command did not come to have results."""
    emit({**sorted_out(diagnostics), "status": status})


def sorted_out(diagnostics: Sequence[Diagnostic]) -> dict[str, object]:
    """Diagnostics as data, errors and warnings apart."""
    return {
        "errors": [as_data(d) for d in diagnostics if d.severity == "error"],
        "warnings": [as_data(d) for d in diagnostics if d.severity != "error"],
    }


def emit(data: Mapping[str, object]) -> None:
    """Writes one JSON object to stdout."""
    import json

    print(json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False), flush=True)


def columns(rows: Sequence[Sequence[str]], right: Container[int] = ()) -> list[str]:
    """Rows of cells as lines, the columns aligned; those in `right` to the right."""
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    return [
        "  ".join(
            f"{cell:>{w}}" if n in right else f"{cell:<{w}}"
            for n, (cell, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def human_time(seconds: float) -> str:
    """A moment for people, in their own time zone."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def awaited(tasks: int) -> str:
    """How many tasks are still to be computed."""
    return f"{counted(tasks, 'task')} {'is' if tasks == 1 else 'are'} to be computed"
