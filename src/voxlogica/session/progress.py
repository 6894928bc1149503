"""How far a run or a study is, in words: what the terminal and a notebook show while somebody waits.

Written by the thread that takes outcomes, read by the one that draws: each figure is right, and all of them may be of
slightly different moments.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from voxlogica._dataclass import dataclass
from voxlogica.execution.messages import Counts, Event
from voxlogica.formula import Formula
from voxlogica.identity import Id
from voxlogica.values import counted

if TYPE_CHECKING:
    from voxlogica.study.rows import Row

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Figures:
    """How far something is: `ended` of `total`, which is 0 while that is not known; `words` say it and more, the most
    important first."""

    title: str
    ended: int
    total: int
    words: tuple[str, ...]

    def __str__(self) -> str:
        return "   ".join((self.title, *self.words))


class Progress(Protocol):
    """What a display shows."""

    def figures(self) -> Figures:
        """How far it is now."""
        ...

    def outcome(self) -> str:
        """What it came to, in a line."""
        ...


class RunProgress:
    """How far one run of the engine is; a `Watcher`.

    `what` says what is asked of the program of this name, `jobs` is how many kernels run at once.
    """

    def __init__(self, name: str, what: str, jobs: int, clock: Clock = time.monotonic) -> None:
        self._name, self._what, self._jobs = name, what, jobs
        self._clock, self._start = clock, clock()
        self._counts = Counts()
        self._running = Running()

    def begin(self, counts: Counts) -> None:
        """The run begins."""
        self._counts = counts

    def event(self, event: Event) -> None:
        """Something happened to a task."""
        self._running.event(event)

    def figures(self) -> Figures:
        """How far it is now."""
        counts, seconds = self._counts, self._clock() - self._start
        title = f"{self._name}   {self._what}"
        if not counts.tasks:
            return Figures(title, 0, 0, ("preparing", _so_far(seconds)))
        words = [f"tasks {counts.ended}/{counts.tasks}", *_counted(counts)]
        words.append(_ahead(counts.remaining(self._jobs), seconds))
        usage = counts.usage
        if usage.budget:
            words.append(f"{(usage.live + usage.reserved) / 1e9:.1f} of {usage.budget / 1e9:.1f} GB")
        if running := str(self._running):
            words.append(running)
        elif counts.waiting:
            words.append(f"waiting for {counts.waiting} that others compute")
        return Figures(title, counts.ended, counts.tasks, tuple(words))

    def outcome(self) -> str:
        """What it came to, in a line."""
        counts = self._counts
        words = [counted(counts.tasks, "task"), *_counted(counts), duration(self._clock() - self._start)]
        return f"{self._name}: {', '.join(words)}"


class StudyProgress:
    """How far a study is; told of tasks by `event` and of rows by `row`."""

    def __init__(self, name: str, cases: int, rows: int, clock: Clock = time.monotonic) -> None:
        """Of so many cases, 0 when the program is run as it is, and rows."""
        self._name, self._rows = name, rows
        cells = counted(rows // max(cases, 1), "cell") if rows > max(cases, 1) else ""
        self._title = "   ".join(filter(None, (name, counted(cases, "case") if cases else "", cells)))
        self._clock, self._start = clock, clock()
        self._running = Running()
        self._ended = self._failed = self._reused = 0

    def event(self, event: Event) -> None:
        """Something happened to a task."""
        self._running.event(event)

    def row(self, row: Row) -> None:
        """A row is there."""
        self._ended += 1
        self._failed += bool(row.error)
        self._reused += row.reused and not row.error

    @property
    def remaining(self) -> float | None:
        """Seconds still to go, if all rows that are ahead are computed, as they may be; None before one was."""
        computed = self._ended - self._reused - self._failed
        if not computed:
            return None
        return (self._clock() - self._start) / computed * (self._rows - self._ended)

    def figures(self) -> Figures:
        """How far it is now."""
        words = [f"rows {self._ended}/{self._rows}", *self._parts()]
        words.append(_ahead(self.remaining, self._clock() - self._start))
        words += filter(None, (str(self._running),))
        return Figures(self._title, self._ended, self._rows, tuple(words))

    def outcome(self) -> str:
        """What it came to, in a line."""
        rows = counted(self._rows, "row") if self._ended == self._rows else f"{self._ended} of {self._rows} rows"
        return f"{self._name}: {', '.join((rows, *self._parts(), duration(self._clock() - self._start)))}"

    def _parts(self) -> list[str]:
        parts = ((self._failed, "failed"), (self._reused, "reused"))
        return [f"{number} {word}" for number, word in parts if number]


class Running:
    """The tasks that kernels are at."""

    def __init__(self) -> None:
        self._formulas: dict[Id, Formula] = {}

    def event(self, event: Event) -> None:
        """Something happened to a task."""
        if event.kind == "started":
            self._formulas[event.id] = event.formula
        else:
            self._formulas.pop(event.id, None)

    def __str__(self) -> str:
        """The operators and where they are written; of many the first two."""
        names = list(dict.fromkeys(map(_place, list(self._formulas.values()))))
        more = f" and {len(names) - 2} more" if len(names) > 2 else ""
        return ", ".join(names[:2]) + more


def _place(formula: Formula) -> str:
    if formula.origin is None:
        return formula.label
    span = formula.origin.span
    return f"{formula.label} (line {span.source.position(span.start)[0]})"


def _counted(counts: Counts) -> list[str]:
    parts = ((counts.reused, "reused"), (counts.done, "computed"), (counts.failed, "failed"))
    return [f"{number} {word}" for number, word in parts if number]


def _ahead(remaining: float | None, seconds: float) -> str:
    return f"about {duration(remaining)} left" if remaining else _so_far(seconds)


def _so_far(seconds: float) -> str:
    return f"{duration(seconds)} so far"


def duration(seconds: float) -> str:
    """Seconds for people: `12 s`, `3 min`, `2.5 h`; no more digits than an estimate has."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5970 else f"{seconds / 3600:.1f} h"
