"""The table of a study as lines: a row as each comes, and at the foot what they amount to.

A pipe gets whole lines. On a terminal no line is longer than it is wide: names are shortened in the middle, the last
columns are left out, and what is said of a failure ends where the line does.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence

from voxlogica.cli.text import coloured
from voxlogica.session.studies import Study
from voxlogica.study.cases import ONLY
from voxlogica.study.rows import Row, Table, brief, number
from voxlogica.values import Printable, counted, shown

_RED, _BOLD, _DIM, _PLAIN = "\x1b[31m", "\x1b[1m", "\x1b[2m", "\x1b[0m"
_GAP = "  "
_TIME = len("reused")
_NAME = 12  # to so many letters, if need be, names of cases and measures are shortened


def width() -> int | None:
    """How many letters a line of stdout may have; None for a pipe, where any."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def shortened(text: str, width: int) -> str:
    """A name in so many letters: of a longer one the beginning, and the end, in which names differ more often."""
    if len(text) <= width:
        return text
    head = (width - 1) // 3
    return f"{text[:head]}…{text[len(text) - (width - 1 - head) :]}"


class Lines:
    """Columns are wide enough for their names and for numbers."""

    def __init__(self, study: Study, width: int | None) -> None:
        self._axes, self._measures = [axis.name for axis in study.axes], study.measures
        values = {axis.name: [shown(value) for value in axis.values] for axis in study.axes}
        self._widths = [max(len(name), *map(len, values[name])) for name in self._axes]
        self._widths += [max(len(name), 7) for name in self._measures]
        self._case, self._left_out = 0, 0
        if study.cases is not ONLY:
            self._case = max([len("case"), *(len(case.name) for case in study.cases), len(f"median of {study.total}")])
        self._width, self._narrow = width, False
        if width is not None:
            self._fit(width)
        self._colours = coloured(sys.stdout)
        self._begun = False
        self._failed: set[tuple[str, str]] = set()

    def _fit(self, width: int) -> None:
        """Shortens names of cases, then those of measures, and then leaves columns out; one measure stays."""

        def lacking() -> int:
            return self._case + sum(len(_GAP) + each for each in [*self._widths, _TIME]) - width

        self._narrow = lacking() > 0
        self._case -= min(max(0, lacking()), max(0, self._case - _NAME))
        axes = len(self._axes)
        if lacking() > 0:
            self._widths[axes:] = [min(each, _NAME) for each in self._widths[axes:]]
        while len(self._widths) > axes + 1 and lacking() > 0:
            self._widths.pop()
            self._left_out += 1

    def show(self, row: Row) -> None:
        """Prints a row, and before the first the head; what fails alike in all cells of a case once."""
        if row.error and (row.case, row.error) in self._failed:
            return
        if not self._begun:
            self._begun, axes = True, len(self._axes)
            self._print(_BOLD, "case", [*self._axes, *map(self._fitting, self._measures, self._widths[axes:])], "time")
        parameters = [shown(row.parameters[name]) for name in self._axes]
        if row.error:
            self._failed.add((row.case, row.error))
            self._print(_RED, row.case, parameters, f"failed  {row.why}")
        else:
            values = [row.values.get(name) for name in self._measures]
            time = "reused" if row.reused else f"{row.seconds:.1f} s"
            self._print("", row.case, [*parameters, *map(self._cell, values, self._widths[len(parameters) :])], time)

    def foot(self, table: Table) -> None:
        """Medians and quartiles of the measures that are numbers, when there are several rows; what was left out."""
        summaries = [table.summary(name) for name in self._measures]
        most = max((summary.count for summary in summaries if summary), default=0)
        if not self._axes and most > 1:
            for name, of in ((f"median of {most}", "median"), ("  quartiles", "lower"), ("", "upper")):
                cells = [brief(getattr(summary, of)) if summary else "" for summary in summaries]
                self._print(_BOLD if of == "median" else _DIM, name, cells, "")
        if self._left_out:
            self._write(_DIM, f"… {counted(self._left_out, 'more column')}: --table FILE.csv")

    def _cell(self, value: Printable | None, width: int) -> str:
        return brief(value) if number(value) is not None else self._fitting(brief(value), width)

    def _fitting(self, text: str, width: int) -> str:
        return shortened(text, width) if self._narrow else text

    def _print(self, colour: str, case: str, cells: Sequence[str], last: str) -> None:
        texts = [f"{cell:>{width}}" for cell, width in zip(cells, self._widths, strict=False)]
        name = [f"{shortened(case, self._case):<{self._case}}"] if self._case else []
        self._write(colour, _GAP.join([*name, *texts, last]).rstrip())

    def _write(self, colour: str, line: str) -> None:
        if self._width is not None and len(line) > self._width:
            line = line[: self._width - 1] + "…"
        print(f"{colour}{line}{_PLAIN}" if colour and self._colours else line, flush=True)
