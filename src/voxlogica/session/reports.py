"""Reports of runs of the past: which rows, which pictures; how they look is `study.report`'s business."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from voxlogica import images
from voxlogica._version import VERSION
from voxlogica.errors import MachineError, ProgramError, Refusal
from voxlogica.formula import MASK
from voxlogica.session.history import Recorded
from voxlogica.study.heatmaps import heat_map
from voxlogica.study.report import Page, page, worst_first
from voxlogica.study.rows import Row, less_is_better
from voxlogica.values import Image, Mask, Model, Scalar, shown

_QUALITY = re.compile("dice|jaccard|nsd|accuracy|overlap|f1", re.IGNORECASE)


def report(
    run: Recorded, *, over: str = "", masks: Sequence[str] = (), pictures: int = 40, sort: str = "",
    lowest: Sequence[str] = (),
) -> str:  # fmt: skip
    """The page of a run: one self-contained HTML text.

    `over` names the image to draw on, by default the first input; `masks` up to three masks, by default those that the
    program saves; `pictures` is of how many cases, the worst by the measure `sort`, which by default is the last that
    sounds like a quality, else the first that is a number; of those in `lowest`, and of distances, less is better. Of a
    sweep, the cases are shown at its best cell.
    Raises `ProgramError` for names that the run does not have.
    """
    table = run.table
    sort = sort or next((name for name in reversed(table.numeric) if _QUALITY.search(name)), "")
    sort = sort or next(iter(table.numeric), "")
    for name in {sort, *lowest} - {""}:
        if name not in table.measures:
            raise ProgramError.of(
                "usage", f"{run.name} has no measure `{name}`", help=f"it has {', '.join(table.measures)}"
            )
    lowest = [name for name in table.measures if name in lowest or less_is_better(name)]
    maps = [heat_map(table, run.axes, name) for name in table.numeric] if run.axes else []
    chosen, notes, at = _chosen(run, sort, lowest), list[str](), ""
    worst = worst_first(chosen, sort, sort in lowest)
    if run.axes and chosen:
        cell = ", ".join(f"{name} = {shown(value)}" for name, value in chosen[0].parameters.items())
        at = f"At {cell}, the best cell of {sort}."
    over, masks = _names(run, over, masks)
    drawn = {row.place: png for row in worst[: pictures if masks else 0] if (png := _picture(run, row, over, masks))}
    if len(worst) > pictures:
        notes.append(f"Pictures of the {pictures} worst of {len(worst)} cases.")
    absent = sum(row.place not in drawn and not row.error for row in worst[:pictures])
    if run.wrong is not None and not drawn:
        notes.append(f"No pictures: the program is wrong now, {run.wrong.message}.")
    elif absent and masks:
        notes.append(f"No picture of {absent} case{'' if absent == 1 else 's'}: the masks are not stored any more, "
                     "and the files or the program have changed.")  # fmt: skip
    title = f"{Path(run.run.program).name}  {run.name}"
    return page(
        Page(
            title, _facts(run), table, run.axes, maps, frozenset(lowest), worst, sort,
            drawn, over, masks, _flat(run, worst, over), at, notes, str(run.run.about.get("text", "")),
        )
    )  # fmt: skip


def write(path: Path, page: str) -> Path:
    """Writes a page in one step. Raises `MachineError`."""
    try:
        images.write(path, page.encode())
    except Refusal as refusal:
        raise MachineError.of("output", refusal.message, help=refusal.help) from refusal
    return path


def _chosen(run: Recorded, sort: str, lowest: Sequence[str]) -> list[Row]:
    """The rows whose cases are shown: all, or of a sweep those at the best cell."""
    if not run.axes or not sort:
        return list(run.table.rows)
    best = heat_map(run.table, run.axes, sort).best(sort in lowest)
    if best is None:
        return list(run.table.rows)
    cell = dict(zip([axis.name for axis in run.axes], best, strict=True))
    return [row for row in run.table if dict(row.parameters) == cell]


def _names(run: Recorded, over: str, masks: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    known = next((row.ids for row in run.rows.values() if row.ids), {})
    for name in filter(None, (over, *masks)):
        if known and name not in known:
            help = f"there are {', '.join(name for name in known if ' ' not in name)}"
            raise ProgramError.of("usage", f"{run.name} has no definition `{name}` that a goal needs", help=help)
    definitions = run.program.checked.definitions if run.program is not None else {}
    for name in masks:
        if name in definitions and definitions[name].type is not MASK:
            help = f"its masks are {', '.join(n for n in known if n in definitions and definitions[n].type is MASK)}"
            raise ProgramError.of("usage", f"`{name}` is no mask", help=help)
    if not over and run.program is not None:
        over = next(iter(run.program.inputs), "")
    found = tuple(masks) or run.masks
    return (over, found[:3]) if over and found else (over, ())


def _picture(run: Recorded, row: Row, over: str, names: Sequence[str]) -> bytes | None:
    """The slices of a row; None when the values cannot be known."""
    from voxlogica.study.pictures import slices

    image = run.value(row, over)
    masks = [mask for name in names if isinstance(mask := run.value(row, name), Mask)]
    if not isinstance(image, (Image, Model)) or not masks or any(m.space.size != image.space.size for m in masks):
        return None
    return slices(image, masks)


def _flat(run: Recorded, rows: Sequence[Row], over: str) -> bool:
    """Whether the images are pictures, which do not say where the patient's right is."""
    found = (run.value(row, over) for row in rows if not row.error)
    image = next((value for value in found if isinstance(value, (Image, Model))), None)
    return image is not None and image.space.dimensions == 2


def _facts(run: Recorded) -> list[tuple[str, str]]:
    failed, about = len(run.table.failed), run.run.about
    settings: dict[str, object] = dict(run.run.settings) if run.run.kind != "run" else {}
    return [
        ("program", run.run.program),
        ("run", f"{run.name}, {run.when}"),
        ("cases", str(about.get("cases", ""))),
        ("rows", f"{len(run.table) - failed} done, {failed} failed" if len(run.table) > 1 else ""),
        *((axis.name, ", ".join(map(shown, axis.values))) for axis in run.axes),
        *((name, _text(value)) for name, value in settings.items()),
        ("made with", f"VoxLogicA {VERSION}"),
    ]


def _text(value: object) -> str:
    scalar: Scalar = value if isinstance(value, (bool, float, str)) else str(value)
    return shown(scalar)
