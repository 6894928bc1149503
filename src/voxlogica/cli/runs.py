"""`voxlogica runs`, `voxlogica diff`, `voxlogica report`: what earlier runs were, how two differ, one as a page."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from voxlogica.cli.arguments import Options
from voxlogica.cli.text import columns, emit, human_time, notice
from voxlogica.errors import ProgramError
from voxlogica.session import Session
from voxlogica.session import store as stores
from voxlogica.session.history import Recorded, common_rows, difference, recorded, state, tally
from voxlogica.session.history import runs as latest_runs
from voxlogica.session.reports import report as report_of
from voxlogica.session.reports import write
from voxlogica.session.settings import program_names
from voxlogica.storage.records import RunRow
from voxlogica.study.rows import brief
from voxlogica.values import Printable, Scalar, counted, plain, shown


def _session(options: Options) -> Session:
    """A session on the store that is meant; looking does not make one."""
    directory = options.store or stores.directory()
    if not (directory / "catalog.db").exists():
        help = "a run makes one; another is chosen with --store DIR"
        raise ProgramError.of("store", f"there is no store in {directory}", help=help)
    return Session(store=directory, tell=None if options.json else notice)


def runs(options: Options) -> int:
    """The latest runs, latest first."""
    with _session(options) as session:
        found = latest_runs(session, options.most)
        if options.json:
            emit({"runs": [_as_data(session, run) for run in found]})
            return 0
        head = ("run", "when", "kind", "program", "state", "what")
        print("\n".join(columns([head, *(_cells(session, run) for run in found)])))
    return 0


def _cells(session: Session, run: RunRow) -> tuple[str, ...]:
    place, became = _place(run.program), _state(session, run)
    return f"r{run.number}", human_time(run.started), run.kind, place, became, _about(run)


def _state(session: Session, run: RunRow) -> str:
    """What came of a run: `done`; of a study `75 rows`, `75 rows, 25 failed`, `60 of 75 rows, interrupted`."""
    became = state(session, run)
    if run.kind == "run":
        return became
    rows, total, failed = tally(session, run)
    some = f"{rows} of {total} rows" if rows < total else counted(rows, "row")
    return ", ".join([some, *([f"{failed} failed"] if failed else []), *([became] if rows < total else [])])


def _place(program: str) -> str:
    return os.path.relpath(program) if Path(program).is_absolute() else program


def _warn(*runs: Recorded) -> None:
    """Says of which runs nothing can be computed again: what is not stored is not shown then."""
    for run in runs:
        if run.wrong is not None:
            meant = "; is --operators missing?" if run.wrong.code == "name" else ""
            notice(f"only what is stored of {run.name} is known, since its program is wrong now: "
                   f"{run.wrong.message}{meant}")  # fmt: skip


def _about(run: RunRow) -> str:
    if run.kind == "run":
        given = [(name, value) for name, value in run.settings.items() if name not in program_names(None)]
        given.sort(key=lambda each: isinstance(each[1], str))  # numbers first: paths are long
        return " ".join(f"{name}={shown(value) if isinstance(value, float) else value}" for name, value in given)
    count, cases = run.about.get("count"), run.about.get("cases")
    axes = run.about.get("axes")
    assert isinstance(axes, list)
    swept = [f"{name}={_several(values)}" for name, values in axes]
    fixed = [f"{name}={value}" for name, value in run.settings.items()]
    return "  ".join(filter(None, [f"{count} of {cases}" if cases else "", *swept, *fixed]))


def _several(values: Sequence[Scalar]) -> str:
    """The values of an axis; of many the ends, and how many there are."""
    texts = [shown(value) for value in values]
    return ",".join(texts) if len(texts) < 7 else f"{texts[0]},{texts[1]},…,{texts[-1]} ({len(texts)})"


def _as_data(session: Session, run: RunRow) -> dict[str, object]:
    about = {name: value for name, value in run.about.items() if name not in ("text", "process", "ended")}
    if run.kind != "run":
        about |= dict(zip(("rows", "of", "failed"), tally(session, run), strict=True))
    return {
        "run": f"r{run.number}", "kind": run.kind, "program": run.program, "started": run.started,
        "state": state(session, run),
        "settings": dict(run.settings), "about": about,
    }  # fmt: skip


# Differences


def diff(options: Options) -> int:
    """What differs between two runs."""
    if len(options.ids) != 2:
        raise ProgramError.of("usage", "`voxlogica diff` needs two runs", help="for example   voxlogica diff r12 r14")
    with _session(options) as session:
        before, after = (recorded(session, name) for name in options.ids)
        found = difference(before, after)
        meanings, values, masks = found.definitions, found.numbers, found.masks
        if options.json:
            emit(
                {
                    "definitions": [
                        {"name": each.name, "how": each.how, "follows": list(each.follows)} for each in meanings
                    ],
                    "numbers": [
                        {"case": n.case, "label": n.label, "before": _plain(n.before), "after": _plain(n.after)}
                        for n in values
                    ],
                    "masks": [
                        {"case": m.case, "name": m.name, "only before": m.only_before, "only after": m.only_after,
                         "both": m.both}
                        for m in masks
                    ],
                }
            )  # fmt: skip
            return 0
        _warn(before, after)
        for run in (before, after):
            print(f"{run.name}  {run.when}  {_place(run.run.program)}  {_about(run.run)}".rstrip())
        _definitions([(each.name, each.how, ", ".join(each.follows)) for each in meanings])
        heads = ("case", "label", before.name, after.name, "change")
        rows = [(n.case, n.label, brief(n.before), brief(n.after), _change(n.before, n.after)) for n in values]
        _table("numbers", heads, rows, options.most)
        heads = ("case", "mask", f"only {before.name}", f"only {after.name}", "both")
        _table("masks, in voxels", heads,
               [(m.case, m.name, str(m.only_before), str(m.only_after), str(m.both)) for m in masks],
               options.most)  # fmt: skip
        if not found:
            common = any(common_rows(before, after))
            print("they do not differ" if common else "they have no case and cell in common")
    return 0


def _plain(value: Printable | None) -> object:
    return None if value is None else plain(value)


def _change(before: Printable | None, after: Printable | None) -> str:
    numeric = [value for value in (before, after) if isinstance(value, (int, float)) and not isinstance(value, bool)]
    if len(numeric) < 2:
        return ""
    change = numeric[1] - numeric[0]
    return f"{'+' if change > 0 else ''}{brief(change)}"


def _definitions(found: Sequence[tuple[str, str, str]]) -> None:
    if found:
        print("\ndefinitions that differ")
        rows = [(name, how or f"follows {follows}") for name, how, follows in found]
        print("\n".join(f"  {line}" for line in columns(rows)))


def _table(title: str, heads: tuple[str, ...], rows: Sequence[tuple[str, ...]], most: int) -> None:
    if rows:
        print(f"\n{title} that differ, the largest change first")
        print("\n".join(f"  {line}" for line in columns([heads, *rows[:most]], right=(2, 3, 4))))
        if len(rows) > most:
            print(f"  and {len(rows) - most} more")


# Reports


def report(options: Options) -> int:
    """A run as one page."""
    (name, *more) = options.ids
    if more:
        raise ProgramError.of("usage", "`voxlogica report` takes one run", help="`voxlogica runs` shows the latest")
    with _session(options) as session:
        run = recorded(session, name)
        masks = tuple(options.masks.split(",")) if options.masks else ()
        text = report_of(
            run, over=options.over or "", masks=masks, pictures=options.pictures, sort=options.sort or "",
            lowest=options.lowest,
        )  # fmt: skip
        path = write(options.output or Path(f"{run.name}.html"), text)
        if options.json:
            emit({"report": str(path), "run": run.name, "bytes": path.stat().st_size})
        else:
            _warn(run)
            print(path)
    return 0
