"""A study as one page: a self-contained file that asks no other host, opens from disk, and prints.

`page` makes the HTML of plain data; pictures come as PNG bytes and are written into the page itself.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from html import escape
from string import Template

from voxlogica._dataclass import dataclass, field
from voxlogica.study.axes import Axis
from voxlogica.study.heatmaps import Cell, HeatMap
from voxlogica.study.rows import Row, Summary, Table, brief, score
from voxlogica.values import shown


@dataclass(frozen=True)
class Page:
    """What a report shows. `worst` are the rows in the order of attention; `pictures` are PNG by a row's place, of
    slices through volumes unless `flat`; `at` says which cell of a sweep the cases are shown at."""

    title: str
    facts: Sequence[tuple[str, str]]
    table: Table
    axes: Sequence[Axis]
    maps: Sequence[HeatMap]
    lowest: frozenset[str]
    worst: Sequence[Row]
    sort: str
    pictures: Mapping[int, bytes] = field(default_factory=dict)
    over: str = ""
    masks: Sequence[str] = ()
    flat: bool = False
    at: str = ""
    notes: Sequence[str] = ()
    program: str = ""


def worst_first(rows: Sequence[Row], sort: str, lowest: bool) -> list[Row]:
    """Failed rows first, then from the worst value to the best; what has no value is failed too."""

    def key(row: Row) -> tuple[int, float]:
        value = score(sort, row.values.get(sort))
        if row.error:
            return (0, 0.0)
        if value is None:
            return (1, 0.0)
        return (2, -value if lowest else value)

    return sorted(rows, key=key)


def page(data: Page) -> str:
    """The page as HTML."""
    parts = [
        _section("What is best", _maps(data)) if data.maps else "",
        _section("How the measures are distributed", _distributions(data)),
        _section("Cases, the worst first", "".join(map(_note, data.notes)) + _legend(data) + _cards(data)),
        _section("All rows", _rows(data)),
        f"<details><summary>The program</summary><pre>{escape(data.program)}</pre></details>" if data.program else "",
    ]
    return _PAGE.substitute(
        title=escape(data.title), style=_STYLE, script=_SCRIPT, heading=escape(data.title), facts=_facts(data),
        body="\n".join(part for part in parts if part),
    )  # fmt: skip


def _section(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>\n{body}</section>" if body else ""


def _facts(data: Page) -> str:
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in data.facts if value)
    return f"<dl>{rows}</dl>"


def _maps(data: Page) -> str:
    out = []
    for each in data.maps:
        low = each.measure in data.lowest
        best = each.bests(low)
        if best:
            said = _where(data, each, best, low) if each.marked(low) else f"It is {brief(each[best[0]])}."
            caption = f"<b>{escape(each.measure)}</b>, {escape(each.title())}. {escape(said)}"
            out.append(f"<figure><figcaption>{caption}</figcaption>{each.svg(low)}</figure>")
    return f'<div class="maps">{"".join(out)}</div>'


def _where(data: Page, of: HeatMap, best: Sequence[Cell], low: bool) -> str:
    """Where the best mean is, in words."""
    cell = ", ".join(f"{axis.name} = {shown(value)}" for axis, value in zip(data.axes, best[0], strict=True))
    more = f", and the same in {len(best) - 1} more" if len(best) > 1 else ""
    return f"The {'lowest' if low else 'highest'}, {brief(of[best[0]])}, is at {cell}{more}."


# Distributions


def _distributions(data: Page) -> str:
    table = Table.of(data.worst, data.table.axes, data.table.measures)
    shown_measures = [(name, table.summary(name)) for name in table.numeric]
    figures = [_distribution(table, name, found) for name, found in shown_measures if found is not None]
    return f'{_note(data.at)}<div class="strips">{"".join(figures)}</div>' if figures else ""


def _distribution(table: Table, name: str, found: Summary) -> str:
    """A dot for each case, over the quartiles and the median."""
    width, height, left, right = 460, 74, 16, 16
    low, high = found.least, found.most

    def x(value: float) -> float:
        share = (value - low) / (high - low) if high > low and math.isfinite(high - low) else 0.5
        return left + share * (width - left - right)

    box = (
        f'<rect class="box" x="{x(found.lower):.1f}" y="18" width="{x(found.upper) - x(found.lower):.1f}" height="28"/>'
    )
    line = f'<line class="median" x1="{x(found.median):.1f}" x2="{x(found.median):.1f}" y1="14" y2="50"/>'
    dots = []
    for n, row in enumerate(table.rows):
        value = score(name, row.values.get(name))
        if value is not None and math.isfinite(value):
            words = f"{row.case or 'it'}: {brief(value)}"
            y = 32 + 9 * ((n * 0.618) % 1 - 0.5)  # spread a little, the same every time
            dots.append(f'<circle cx="{x(value):.1f}" cy="{y:.1f}" r="4"><title>{escape(words)}</title></circle>')
    ends = (
        f'<text x="{left}" y="66" class="tick start">{brief(low)}</text>'
        f'<text x="{width - right}" y="66" class="tick end">{brief(high)}</text>'
    )
    caption = (
        f"<b>{escape(name)}</b>: median {brief(found.median)}, quartiles {brief(found.lower)} and "
        f"{brief(found.upper)}, mean {brief(found.mean)}, of {found.count}"
    )
    label = escape(f"{name} of {found.count} cases, median {brief(found.median)}", quote=True)
    return (
        f'<figure><figcaption>{caption}</figcaption><svg class="strip" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{label}">{box}{"".join(dots)}{line}{ends}</svg></figure>'
    )


# Cases


def _note(text: str) -> str:
    return f"<p class=note>{escape(text)}</p>" if text else ""


def _legend(data: Page) -> str:
    if not data.pictures:
        return ""
    masks = "".join(f'<span class="key key{n}"></span>{escape(name)} ' for n, name in enumerate(data.masks))
    sides = (
        ""
        if data.flat
        else f" Slices through the middle of {escape(data.masks[0])}, radiological display: the patient's right is at "
        "the viewer's left."
    )
    return f"<p class=note>{masks} over {escape(data.over)}.{sides}</p>"


def _cards(data: Page) -> str:
    shown_rows = [row for row in data.worst if row.place in data.pictures or row.error]
    return f'<div class="cards">{"".join(_card(data, row) for row in shown_rows)}</div>' if shown_rows else ""


def _card(data: Page, row: Row) -> str:
    picture = data.pictures.get(row.place)
    image = ""
    if picture is not None:
        source = base64.b64encode(picture).decode()
        words = escape(f"{', '.join(data.masks)} over {data.over}, case {row.case}", quote=True)
        image = f'<img src="data:image/png;base64,{source}" alt="{words}" loading="lazy">'
    values = "".join(
        f"<tr{' class=sorted' if name == data.sort else ''}><th>{escape(name)}</th><td>{escape(brief(value))}</td></tr>"
        for name, value in row.values.items()
    )
    cell = " ".join(f"{name}={shown(value)}" for name, value in row.parameters.items())
    head = f"<h3>{escape(row.case or data.title)}</h3>" + (f"<p class=cell>{escape(cell)}</p>" if cell else "")
    body = f"{head}{image}<table>{values}</table>"
    if not row.error:
        return f"<article>{body}</article>"
    more = f"<details><summary>more</summary><pre>{escape(row.trouble)}</pre></details>"
    return f"<article class=bad>{body}<p class=failed>{escape(row.error)}</p>{more}</article>"


def _rows(data: Page) -> str:
    columns = ["case", *data.table.axes, *data.table.measures, ""]
    head = "".join(f"<th scope=col><button>{escape(name)}</button></th>" for name in columns[:-1]) + "<th></th>"
    body = "".join(_line(data, row) for row in worst_first(data.table.rows, data.sort, data.sort in data.lowest))
    foot = ""
    if not data.axes and len(data.table) > 1:
        for name, of in (("median", "median"), ("lower quartile", "lower"), ("upper quartile", "upper")):
            cells = []
            for measure in data.table.measures:
                found = data.table.summary(measure)
                cells.append(f"<td>{brief(getattr(found, of)) if found else ''}</td>")
            foot += f"<tr><th scope=row>{name}</th>{''.join(cells)}<td></td></tr>"
    table = f"<table class=rows><thead><tr>{head}</tr></thead><tbody>{body}</tbody><tfoot>{foot}</tfoot></table>"
    return f"<div class=wide>{table}</div>"


def _line(data: Page, row: Row) -> str:
    texts = "".join(f"<td>{escape(shown(row.parameters[axis]))}</td>" for axis in data.table.axes)
    for value in (row.values.get(measure) for measure in data.table.measures):
        exact = escape(shown(value) if value is not None else "", quote=True)
        texts += f'<td data-value="{exact}">{escape(brief(value))}</td>'
    last = f"<td class=failed>{escape(row.error)}</td>" if row.error else "<td></td>"
    return f"<tr><th scope=row>{escape(row.case)}</th>{texts}{last}</tr>"


_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; \
script-src 'unsafe-inline'">
<title>$title</title>
<style>$style</style>
</head>
<body>
<header><h1>$heading</h1>$facts</header>
<main>
$body
</main>
<script>$script</script>
</body>
</html>
""")

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #5b6470; --paper: #ffffff; --card: #f5f6f8; --line: #d6dae0;
  --accent: #0b63b5; --bad: #b3261e; --box: #cfe0f3; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ed; --soft: #9aa4b1; --paper: #14171b; --card: #1d2127;
  --line: #343b45; --accent: #7db7f0; --bad: #ff8a80; --box: #28415c; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1200px; padding: 1.5rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { margin: 0 0 .5rem; font-size: 1.6rem; } h2 { margin: 2.2rem 0 .8rem; font-size: 1.2rem; }
h3 { margin: 0; font-size: 1rem; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; margin: 0; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
.note, .cell, figcaption, summary { color: var(--soft); } .note { margin: .3rem 0 .8rem; } .cell { margin: 0; }
figure { margin: 0; } figcaption b { color: var(--ink); }
.maps, .strips { display: grid; gap: 1.5rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 460px), 1fr)); }
svg { max-width: 100%; height: auto; display: block; } svg text { fill: var(--soft); font: 12px system-ui, sans-serif;
  text-anchor: middle; } svg .end { text-anchor: end; } svg .start { text-anchor: start; }
svg .axis { fill: var(--ink); font-weight: 600; } svg text.mean { fill: revert-layer; font-size: 12px; }
svg .best { fill: none; stroke: #e0218a; stroke-width: 3; }
.strip { width: 100%; max-width: 520px; } .strip .box { fill: var(--box); }
.strip circle { fill: var(--accent); fill-opacity: .65; }
.strip .median { stroke: var(--ink); stroke-width: 2; }
.cards { display: grid; gap: 1rem; align-items: start;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 540px), 1fr)); }
article { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .8rem; }
article.bad { border-color: var(--bad); } .failed { color: var(--bad); overflow-wrap: anywhere; }
td.failed { min-width: 14rem; }
article img { display: block; margin: .5rem 0; max-width: 100%; background: #000; border-radius: 4px; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; } th { text-align: left; font-weight: 500; }
th, td { padding: .15rem .8rem .15rem 0; } td { text-align: right; } td.failed { text-align: left; }
article th { color: var(--soft); } article .sorted th, article .sorted td { color: var(--ink); font-weight: 700; }
.wide { overflow-x: auto; } .rows th, .rows td { border-bottom: 1px solid var(--line); padding: .25rem .8rem .25rem 0; }
.rows thead button { all: unset; cursor: pointer; font-weight: 600; } .rows thead button:focus-visible {
  outline: 2px solid var(--accent); } .rows tfoot { color: var(--soft); }
.key { display: inline-block; width: 14px; height: 14px; margin: 0 .35rem -2px .4rem; border: 2px solid;
  border-radius: 3px; }
.key0 { border-color: rgb(230,159,0); background: rgba(230,159,0,.35); } .key1 { border-color: rgb(86,180,233); }
.key2 { border-color: rgb(0,158,115); }
pre { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: .8rem;
  font-size: 13px; }
@media print { article { break-inside: avoid; } }
"""

_SCRIPT = """
for (const button of document.querySelectorAll('.rows thead button')) button.addEventListener('click', () => {
  const column = button.parentNode.cellIndex, body = button.closest('table').tBodies[0];
  const up = button.dataset.up = button.dataset.up === '1' ? '0' : '1';
  const of = row => { const cell = row.cells[column]; const text = cell.dataset.value ?? cell.textContent;
    return text !== '' && !isNaN(text) ? Number(text) : text; };
  const before = (a, b) => typeof a === typeof b ? (a < b ? -1 : a > b ? 1 : 0) : typeof a === 'number' ? -1 : 1;
  body.append(...[...body.rows].sort((a, b) => (up === '1' ? 1 : -1) * before(of(a), of(b))));
});
"""
