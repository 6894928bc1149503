"""A measure over the cells of a sweep: means over cases, the best cell, and the map as text and as SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from html import escape
from itertools import product

from voxlogica._dataclass import dataclass
from voxlogica.errors import ProgramError
from voxlogica.study.axes import Axis
from voxlogica.study.rows import Table, brief, less_is_better, mean, score
from voxlogica.values import Scalar, shown

Cell = tuple[Scalar, ...]
Colour = tuple[int, int, int]
Paint = Callable[[str, Colour], str]


@dataclass(frozen=True)
class HeatMap:
    """The mean of a measure over cases, for each cell.

    `counts` says over how many cases each mean is; a cell in which some case failed, or had an empty mask and so no
    distance, has fewer than others, and is not compared with them: the best is one of those with the most cases. The
    best is the highest or, as `lowest` says, the lowest; unless it says so, the name does: of a distance between masks
    less is better.
    """

    measure: str
    axes: tuple[Axis, ...]
    means: dict[Cell, float]
    counts: dict[Cell, int]

    def __repr__(self) -> str:
        return "\n".join(self.lines())

    def __getitem__(self, cell: Cell) -> float:
        """The mean of a cell, given by the values of the axes in order; not a number where no case has one."""
        return self.means.get(cell, math.nan)

    def best(self, lowest: bool | None = None) -> Cell | None:
        """The cell with the best mean, the first of equal ones; None when no cell has one."""
        return next(iter(self.bests(lowest)), None)

    def bests(self, lowest: bool | None = None) -> list[Cell]:
        """All cells with the best mean, in order; several where a parameter changes nothing."""
        most = max(self.counts.values(), default=0)
        whole = [cell for cell in self if self.counts.get(cell) == most and not math.isnan(self[cell])]
        found = [self[cell] for cell in whole]
        return [cell for cell in whole if self[cell] == (min(found) if self._less(lowest) else max(found))]

    def _less(self, lowest: bool | None) -> bool:
        return less_is_better(self.measure) if lowest is None else lowest

    def marked(self, lowest: bool | None = None) -> list[Cell]:
        """The best cells; none when all are equally good."""
        best = self.bests(lowest)
        return [] if 1 < len(best) == len(list(self)) else best

    def lines(self, lowest: bool | None = None, paint: Paint | None = None, width: int | None = None) -> list[str]:
        """The map as text: the last axis runs to the right, the one before it down; `*` marks the best cells, `~` cells
        with fewer cases than others. `paint` puts a text on a colour; what is broader than `width` goes on below."""
        best, most = self.marked(lowest), max(self.counts.values(), default=0)
        out = []
        for above, grid in self.grids():
            head = ["", *(f"{shown(value)} " for value in self.axes[-1].values)]
            marks = {cell: "*" if cell in best else "~" if self.counts.get(cell, 0) < most else " " for cell in self}
            rows = [[first, *(brief(self[cell]) + marks[cell] for cell in cells)] for first, cells in grid]
            widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
            out.append(f"{self.measure}{above}   {self.title()}")
            for part in _parts(widths, width):
                texts = [f"{text:>{w}}" for text, w in zip(head[part], widths[part], strict=True)]
                out.append("  ".join(["", " " * widths[0], *texts]).rstrip())
                for (first, cells), row in zip(grid, rows, strict=True):
                    texts = [f"{text:>{w}}" for text, w in zip(row[part], widths[part], strict=True)]
                    if paint is not None:
                        tints = [self.colour(cell, lowest) for cell in cells[part.start - 1 : part.stop - 1]]
                        texts = list(map(paint, texts, tints))
                    out.append("  ".join(["", f"{first:>{widths[0]}}", *texts]).rstrip())
        return out

    def __iter__(self) -> Iterator[Cell]:
        return product(*(axis.values for axis in self.axes))

    def colour(self, cell: Cell, lowest: bool | None = None) -> Colour:
        """The colour of a cell: from the worst mean to the best as from dark to light; grey where there is none."""
        value, finite = self[cell], [mean for mean in self.means.values() if math.isfinite(mean)]
        if not math.isfinite(value):
            return (128, 128, 128)
        low, high = min(finite), max(finite)
        share = (value - low) / (high - low) if high > low else 0.5
        return colour(1 - share if self._less(lowest) else share)

    def title(self) -> str:
        """Which axis runs where, and over how many cases the means are."""
        most = max(self.counts.values(), default=0)
        down = f"{self.axes[-2].name} down, " if len(self.axes) > 1 else ""
        same = "" if self.marked() or not self.means else ", the same everywhere"
        return f"mean of {most} case{'' if most == 1 else 's'}, {down}{self.axes[-1].name} to the right{same}"

    def grids(self) -> list[tuple[str, list[tuple[str, list[Cell]]]]]:
        """A grid for each choice on the axes before the last two: its title, and its rows with their titles."""
        *outer, rows, columns = (None, None, *self.axes)[-max(2, len(self.axes)) :]
        outer_axes = [axis for axis in outer if axis is not None]
        found = []
        for choice in product(*(axis.values for axis in outer_axes)):
            pairs = [f"{axis.name}={shown(value)}" for axis, value in zip(outer_axes, choice, strict=True)]
            assert columns is not None
            grid = [
                (
                    shown(value[0]) if value else "",
                    [(*choice, *value, column) for column in columns.values],
                )
                for value in ([(v,) for v in rows.values] if rows is not None else [()])
            ]
            found.append(("".join(f"  {pair}" for pair in pairs), grid))
        return found

    def _repr_html_(self) -> str:
        style = "svg.heat text { font: 12px sans-serif; text-anchor: middle } svg.heat .end { text-anchor: end }"
        best = "svg.heat .axis, svg.heat .tick { fill: currentColor } "  # a notebook may be dark
        best += "svg.heat .best { fill: none; stroke: #e0218a; stroke-width: 3 }"
        return f"<style>{style} {best}</style><p>{escape(self.measure)}, {escape(self.title())}</p>{self.svg()}"

    def svg(self, lowest: bool | None = None) -> str:
        """The map as SVG, one picture for each grid; colours are those of the style sheet around it."""
        return "\n".join(self._svg(above, grid, lowest) for above, grid in self.grids())

    def _svg(self, above: str, grid: Sequence[tuple[str, list[Cell]]], lowest: bool | None) -> str:
        columns, best = self.axes[-1].values, self.marked(lowest)
        width, height = _LEFT + _WIDTH * len(columns) + 8, _TOP + _HEIGHT * len(grid) + 8
        label = escape(f"{self.measure}{above}: {self.title()}", quote=True)
        down = self.axes[-2].name if len(self.axes) > 1 else ""
        out = [
            f'<svg class="heat" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
            f'aria-label="{label}">',
            _text(_LEFT + _WIDTH * len(columns) / 2, 16, self.axes[-1].name, "axis"),
            _text(_LEFT - 10, _TOP - 8, down, "axis end"),
        ]
        out += [_text(_LEFT + _WIDTH * (n + 0.5), _TOP - 8, shown(value), "tick") for n, value in enumerate(columns)]
        for m, (row, cells) in enumerate(grid):
            y = _TOP + _HEIGHT * m
            out.append(_text(_LEFT - 10, y + _HEIGHT / 2 + 4, row, "tick end"))
            for n, cell in enumerate(cells):
                x = _LEFT + _WIDTH * n
                out.append(self._cell(cell, x, y, lowest))
                if cell in best:
                    out.append(f'<rect class="best" x="{x}" y="{y}" width="{_WIDTH - 2}" height="{_HEIGHT - 2}"/>')
        return "".join([*out, "</svg>"])

    def _cell(self, cell: Cell, x: float, y: float, lowest: bool | None) -> str:
        value = self[cell]
        red, green, blue = tint = self.colour(cell, lowest)
        ink = "#fff" if is_dark(tint) else "#111"
        words = ", ".join(f"{axis.name}={shown(at)}" for axis, at in zip(self.axes, cell, strict=True))
        title = f"{words}: {brief(value)}, {self.counts.get(cell, 0)} cases"
        middle = f'x="{x + _WIDTH / 2 - 1}" y="{y + _HEIGHT / 2 + 4}"'
        return (
            f"<g><title>{escape(title)}</title>"
            f'<rect x="{x}" y="{y}" width="{_WIDTH - 2}" height="{_HEIGHT - 2}" fill="rgb({red},{green},{blue})"/>'
            f'<text {middle} class="mean" fill="{ink}">{brief(value)}</text></g>'
        )


def _parts(widths: Sequence[int], most: int | None) -> Iterator[slice]:
    """Columns, the first left out, that fit side by side after the first; two spaces are before each."""
    start, used = 1, 2 + widths[0]
    for n, width in enumerate(widths[1:], 1):
        if most is not None and used + 2 + width > most and n > start:
            yield slice(start, n)
            start, used = n, 2 + widths[0]
        used += 2 + width
    yield slice(start, len(widths))


_WIDTH, _HEIGHT, _LEFT, _TOP = 74, 34, 84, 50
"""Pixels: of a cell, and before the first."""


def _text(x: float, y: float, text: str, style: str) -> str:
    return f'<text x="{x}" y="{y}" class="{style}">{escape(text)}</text>'


def heat_map(table: Table, axes: Sequence[Axis], measure: str) -> HeatMap:
    """The map of a measure. Raises `ProgramError` when the study is no sweep or has no such number."""
    if not axes:
        raise ProgramError.of(
            "usage", "a heat map needs a sweep", help="`voxlogica sweep`, or program.sweep(cases, hi=[…])"
        )
    if measure not in table.numeric:
        raise ProgramError.of(
            "usage",
            f"`{measure}` is no number that was printed",
            help=f"there are {', '.join(table.numeric) or 'none'}",
        )
    numbers: dict[Cell, list[float]] = {}
    for row in table:
        found = score(measure, row.values.get(measure))
        if found is not None:
            numbers.setdefault(tuple(row.parameters[axis.name] for axis in axes), []).append(found)
    means = {cell: mean(found) for cell, found in numbers.items()}
    return HeatMap(measure, tuple(axes), means, {cell: len(found) for cell, found in numbers.items()})


# viridis at equal steps: even in lightness, so that it reads in grey and by the colour-blind (Smith and van der Walt)
_VIRIDIS = (
    (68, 1, 84), (71, 45, 123), (59, 82, 139), (44, 114, 142), (33, 144, 140),
    (39, 173, 129), (92, 200, 99), (170, 220, 50), (253, 231, 37),
)  # fmt: skip


def colour(share: float) -> Colour:
    """The colour of a share from 0 to 1."""
    at = min(max(share, 0.0), 1.0) * (len(_VIRIDIS) - 1)
    low = min(int(at), len(_VIRIDIS) - 2)
    part = at - low
    a, b = _VIRIDIS[low], _VIRIDIS[low + 1]
    return (round(a[0] + (b[0] - a[0]) * part), round(a[1] + (b[1] - a[1]) * part), round(a[2] + (b[2] - a[2]) * part))


def is_dark(tint: Colour) -> bool:
    """Whether white letters are read better on a colour than black ones."""
    return 0.299 * tint[0] + 0.587 * tint[1] + 0.114 * tint[2] < 140
