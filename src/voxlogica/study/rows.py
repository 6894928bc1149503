"""What comes out of a study: a row per case and cell, and the table they make."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from html import escape
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from voxlogica import images
from voxlogica._dataclass import dataclass, field
from voxlogica.errors import MachineError, ProgramError, Refusal, VoxLogicAError
from voxlogica.values import Printable, Scalar, plain, shown

FORMATS = ("csv", "json", "parquet")
_MOST = 100  # rows that a notebook shows
_DISTANCE = re.compile(r"(?<![a-z])(?:hd(?:95)?|hausdorff|assd)(?![a-z])", re.IGNORECASE)
_SURFACE = re.compile(r"(?<![a-z])nsd(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Row:
    """One case with one choice of parameters.

    `values` are its prints by label, sequences as tuples; `error` is the sentence of what failed first, "" if nothing
    did, and `trouble` all of it as a person reads it. `reused` says that nothing had to be computed. `place` is its
    place in the table.
    """

    place: int
    case: str
    parameters: Mapping[str, Scalar]
    values: Mapping[str, Printable]
    error: str = ""
    trouble: str = ""
    seconds: float = 0.0
    reused: bool = False
    saved: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Printable:
        """A print by its label, a parameter by its name, or `case`; raises `KeyError`."""
        if name == "case":
            return self.case
        if name not in self.values and name not in self.parameters:
            why = self.error or f"it has {', '.join(self)}"
            raise KeyError(f"the row of {self.case or 'the program'} has no {name!r}: {why}")
        return self.values[name] if name in self.values else self.parameters[name]

    def __iter__(self) -> Iterator[str]:
        return iter(("case", *self.parameters, *self.values))

    @property
    def why(self) -> str:
        """Of a failed row, why, and what is known all the same."""
        known = ", ".join(f"{name}={brief(value)}" for name, value in self.values.items())
        return self.error + (f"  (known: {known})" if known else "")

    def _repr_html_(self) -> str:
        return Table.of([self], list(self.parameters), list(self.values)).html()


@dataclass(frozen=True, slots=True)
class Summary:
    """How numbers are distributed. Quartiles are interpolated between the neighbours, as NumPy does by default."""

    count: int
    mean: float
    least: float
    lower: float
    median: float
    upper: float
    most: float

    @classmethod
    def of(cls, numbers: Iterable[float]) -> Summary | None:
        """None when there is no number. Those that are not a number are left out."""
        found = sorted(number for number in numbers if not math.isnan(number))
        if not found:
            return None
        least, lower, median, upper, most = (quantile(found, q) for q in (0, 0.25, 0.5, 0.75, 1))
        return cls(len(found), mean(found), least, lower, median, upper, most)


def mean(numbers: Sequence[float]) -> float:
    """The mean, correctly rounded whatever the order."""
    if all(map(math.isfinite, numbers)):
        return math.fsum(numbers) / len(numbers)
    return sum(numbers) / len(numbers)


def quantile(ordered: Sequence[float], q: float) -> float:
    """The value below which the share q of some sorted numbers lies."""
    at = q * (len(ordered) - 1)
    low = math.floor(at)
    part, high = at - low, min(low + 1, len(ordered) - 1)
    return ordered[low] if not part else ordered[low] + (ordered[high] - ordered[low]) * part


def number(value: Printable | None) -> float | None:
    """The value if it is a number; truth values are none."""
    return float(value) if isinstance(value, (float, int)) and not isinstance(value, bool) else None


def less_is_better(measure: str) -> bool:
    """Whether a measure is called as the distances between masks are: `hd95`, `hausdorff`, `assd`."""
    return _DISTANCE.search(measure) is not None


def score(measure: str, value: Printable | None) -> float | None:
    """The value as a number to compare, None if it is none: NaN, and the −1 of `hd95`, `nsd` and their like, which says
    that a mask was empty, and would be the best distance of all."""
    found = number(value)
    if found is None or math.isnan(found):
        return None
    return None if found == -1 and (less_is_better(measure) or _SURFACE.search(measure)) else found


@dataclass(frozen=True)
class Table:
    """Rows in the order of cases and cells; `axes` are the parameters that a sweep varies, `measures` the labels."""

    rows: tuple[Row, ...]
    axes: tuple[str, ...] = ()
    measures: tuple[str, ...] = field(default=())

    @classmethod
    def of(cls, rows: Iterable[Row], axes: Sequence[str] = (), measures: Sequence[str] = ()) -> Table:
        """A table of rows in any order."""
        return cls(tuple(sorted(rows, key=lambda row: row.place)), tuple(axes), tuple(measures))

    def __repr__(self) -> str:
        return f"<Table of {len(self.rows)} rows: {', '.join(self.columns)}>"

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    @property
    def failed(self) -> tuple[Row, ...]:
        """The rows in which something failed."""
        return tuple(row for row in self.rows if row.error)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns, as `records` has them."""
        return ("case", *self.axes, *self.measures, "error")

    def column(self, measure: str) -> list[float]:
        """The numbers of a measure, rows that have none left out. Raises `KeyError` for what is no measure."""
        if measure not in self.measures:
            raise KeyError(f"there is no measure {measure!r}; there are {', '.join(self.measures)}")
        return [found for row in self.rows if (found := number(row.values.get(measure))) is not None]

    @cached_property
    def numeric(self) -> tuple[str, ...]:
        """The measures that are numbers."""
        return tuple(measure for measure in self.measures if self.column(measure))

    def summary(self, measure: str) -> Summary | None:
        """How a measure is distributed over the rows that have a score."""
        scores = (score(measure, row.values.get(measure)) for row in self.rows)
        return Summary.of(found for found in scores if found is not None)

    def records(self) -> list[dict[str, Printable | None]]:
        """The table as plain records; what a failed row has no value of is None, sequences are tuples."""
        return [
            {
                "case": row.case,
                **{axis: row.parameters.get(axis) for axis in self.axes},
                **{measure: row.values.get(measure) for measure in self.measures},
                "error": row.error or None,
            }
            for row in self.rows
        ]

    def to_pandas(self) -> Any:
        """A data frame; raises `ProgramError` when pandas is not installed."""
        pandas = _library("pandas")
        return pandas.DataFrame(self.records(), columns=list(self.columns))

    def to_polars(self) -> Any:
        """A data frame; raises `ProgramError` when polars is not installed."""
        polars = _library("polars")
        return polars.DataFrame(self.records(), schema=list(self.columns), infer_schema_length=None)

    def html(self) -> str:
        """The table for a notebook, without columns in which nothing is; of many rows the first and the last.

        What fails alike in all cells of a case is shown once.
        """
        alike = {(row.case, row.error): row for row in reversed(self.rows) if row.error}
        rows = [row for row in self.rows if not row.error or alike[row.case, row.error] is row]
        measures = [name for name in self.measures if any(row.values.get(name) not in (None, "") for row in rows)]
        names = ["case"] * any(row.case for row in rows)
        left_out = max(0, len(rows) - _MOST)
        first, last = (rows[: _MOST // 2], rows[-(_MOST // 2) :]) if left_out else (rows, [])
        lines = [_line(row, names, self.axes, measures) for row in (*first, *last)]
        if left_out:
            more = f"… {left_out} more rows: <code>.to_pandas()</code>, <code>.to_polars()</code>"
            lines.insert(len(first), f'<td colspan="{len(names) + len(self.axes) + len(measures)}">{more}</td>')
        head = "".join(f"<th>{escape(name)}</th>" for name in (*names, *self.axes, *measures))
        return f"<table><tr>{head}</tr>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"

    _repr_html_ = html

    def write(self, path: str | Path) -> None:
        """Writes a .csv, .json or .parquet file in one step. The same rows make the same bytes, but for parquet.

        Raises `ProgramError` for another extension, `MachineError` when it cannot be written.
        """
        path = Path(path)
        kind = table_format(path)
        data = self._parquet() if kind == "parquet" else (self._csv() if kind == "csv" else self._json()).encode()
        try:
            images.write(path, data)
        except Refusal as refusal:
            raise MachineError.of("output", refusal.message, help=refusal.help) from refusal

    def _csv(self) -> str:
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows([_cell(value) for value in record.values()] for record in self.records())
        return out.getvalue()

    def _json(self) -> str:
        data = [
            {name: None if value is None else plain(value) for name, value in record.items()}
            for record in self.records()
        ]
        return json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def _parquet(self) -> bytes:
        out = io.BytesIO()
        try:
            self.to_polars().write_parquet(out)
        except ProgramError:
            try:
                self.to_pandas().to_parquet(out)
            except (ProgramError, ImportError):
                raise _no_parquet() from None
        return out.getvalue()


def _line(row: Row, names: Sequence[str], axes: Sequence[str], measures: Sequence[str]) -> str:
    """The cells of a row in HTML; of a failed one why, and what is known all the same."""
    texts = [row.case for _ in names] + [shown(row.parameters[name]) for name in axes if name in row.parameters]
    if not row.error:
        texts += [brief(row.values.get(name)) for name in measures]
    cells = "".join(f"<td>{escape(text)}</td>" for text in texts)
    if row.error:
        style = "color: #b3261e; text-align: left"
        cells += f'<td colspan="{max(1, len(measures))}" style="{style}">failed: {escape(row.why)}</td>'
    return cells


def check_table(path: Path) -> None:
    """Raises `ProgramError` when no such table can be written, as far as that can be known beforehand."""
    kind = table_format(path)
    if kind == "parquet" and not (_installed("polars") or _installed("pandas", "pyarrow")):
        raise _no_parquet()
    try:
        images.check_output(path)
    except Refusal as refusal:
        raise ProgramError.of("usage", f"--table {refusal.message}", help=refusal.help) from refusal


def _installed(*names: str) -> bool:
    return all(find_spec(name) is not None for name in names)


def _no_parquet() -> VoxLogicAError:
    help = "pip install polars   or write a .csv file"
    return ProgramError.of("usage", "parquet files need polars, or pandas with pyarrow", help=help)


def table_format(path: Path) -> str:
    """The format that a table's name says; raises `ProgramError`."""
    kind = path.suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        raise ProgramError.of(
            "usage",
            f"--table {path}: {path.suffix or 'no extension'} is no table's",
            help="it is .csv, .json or .parquet",
        )
    return kind


def _cell(value: Printable | None) -> str:
    """A value as text that reads back exactly."""
    return "" if value is None else shown(value)


def brief(value: Printable | None) -> str:
    """A value for a column that a person reads: four digits that matter."""
    if value is None:
        return ""
    if isinstance(value, (bool, str, tuple)):
        return shown(value)
    if float(value).is_integer() and abs(value) < 1e7:
        return str(int(value))
    if 1e-3 <= abs(value) < 1e7:
        return f"{value:.{max(0, min(4, 3 - math.floor(math.log10(abs(value)))))}f}"
    return f"{value:.3g}"


def _library(name: str) -> Any:
    """A library of data frames, which this project does not depend on; raises `ProgramError`."""
    try:
        return import_module(name)
    except ImportError:
        help = f"pip install {name}   or use records()"
        raise ProgramError.of("usage", f"{name} is not installed", help=help) from None
