"""`voxlogica batch` and `voxlogica sweep`: a row a case, as each finishes; what they amount to at the foot."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from itertools import islice

from voxlogica.cli import STATUS
from voxlogica.cli.arguments import Options
from voxlogica.cli.lines import Lines, width
from voxlogica.cli.programs import load, session
from voxlogica.cli.progress import Display, looked_at
from voxlogica.cli.text import KEPT, coloured, complain, emit, farewell, notice
from voxlogica.cli.watching import Watchers
from voxlogica.errors import ComputationError, ProgramError
from voxlogica.kernels import memory
from voxlogica.session import Effort, Given
from voxlogica.session import Options as RunOptions
from voxlogica.session.studies import Study
from voxlogica.study.axes import Axis
from voxlogica.study.cases import ONLY, find
from voxlogica.study.heatmaps import Colour, is_dark
from voxlogica.study.rows import Table, check_table
from voxlogica.values import counted, plain

_SAID = 10
"""Of so many different failures all is said; each row has its sentence."""


def batch(options: Options) -> int:
    """Runs a program on many cases."""
    if not options.cases:
        help = "for example   --cases 'data/{case}/{case}_flair.nii.gz'"
        raise ProgramError.of("usage", "`voxlogica batch` needs --cases", help=help)
    options.lowest = []
    return _study(options, ())


def sweep(options: Options) -> int:
    """Runs a program for all choices of some parameters."""
    if not options.axes:
        raise ProgramError.of("usage", "`voxlogica sweep` needs -p", help="for example   -p hi=0.90:0.99:0.01")
    return _study(options, [Axis.of(text) for text in options.axes])


def _study(options: Options, axes: Sequence[Axis]) -> int:
    memory.keep_freed()
    if options.table is not None:
        check_table(options.table)
    given = [Given.text(setting) for setting in options.settings]
    cases = find(options.cases) if options.cases else ONLY
    dialect = int(options.dialect) if options.dialect else None
    with session(options) as opened:
        program = load(opened, options)
        run_options = RunOptions(options.output_dir, options.grid_tolerance, dialect)
        watchers = Watchers(None, options.events, options.profile)
        study = Study(
            program, cases, axes, given=given, options=run_options, save=options.output_dir is not None,
            effort=Effort(options.timeout, options.task_timeout, options.retry_failed),
            listen=watchers.event if options.events or options.profile else None, said=lambda diagnostic: diagnostic,
        )  # fmt: skip
        if not options.json:
            complain((*program.warnings, *study.warnings), options.quiet)
        left_out = options.output_dir is None and any(goal.word == "save" for goal in program.checked.goals)
        if left_out and not (options.quiet or options.json):
            notice("nothing is saved without --output-dir DIR, in which each case has a directory")
        with watchers:
            lines = Lines(study, width())
            _follow(study, lines, options)
            table = study.table()
            if options.json:
                emit(_as_data(study, table, options.lowest))
            else:
                lines.foot(table)
                _foot(study, table, options)
            if options.table is not None:  # last, so that a disk that refuses it takes nothing away
                table.write(options.table)
    return STATUS[ComputationError] if table.failed else 0


def _follow(study: Study, lines: Lines, options: Options) -> None:
    """Shows the rows as they come. When interrupted, says how to go on."""
    with Display(study.follow() if looked_at(options) else None, options.progress) as display:
        try:
            for row in study:
                if not options.json:
                    lines.show(row)
        except KeyboardInterrupt:
            study.close()
            display.pause()
            done = len(study.so_far)
            what = "" if options.no_store else f"; {KEPT}"
            farewell(f"{done} of {study.total} rows done{what}")
            raise


def _foot(study: Study, table: Table, options: Options) -> None:
    for measure in table.numeric if study.axes else ():
        paint = _painted if coloured(sys.stdout) else None
        print("\n" + "\n".join(study.heatmap(measure).lines(measure in options.lowest or None, paint, width())))
    failed = len(table.failed)
    known = f"   run r{study.number}   voxlogica report r{study.number}" if study.number is not None else ""
    print(f"{len(table) - failed} done, {failed} failed{known}")
    sys.stdout.flush()
    said: dict[str, Counter[str]] = {}
    for row in table.failed:
        said.setdefault(row.trouble, Counter())[row.case] += 1
    for trouble, cases in islice(said.items(), _SAID):
        names = ", ".join(case + (f" ({rows} rows)" if rows > 1 else "") for case, rows in cases.items() if case)
        print(f"\n{f'{names}: ' if names else ''}{trouble}", file=sys.stderr)
    if len(said) > _SAID:
        where = f"; `voxlogica report r{study.number}` shows all" if study.number is not None else ""
        print(f"\nand {counted(len(said) - _SAID, 'other')}{where}", file=sys.stderr)


def _painted(text: str, tint: Colour) -> str:
    ink = "97" if is_dark(tint) else "30"
    return f"\x1b[{ink};48;2;{tint[0]};{tint[1]};{tint[2]}m{text}\x1b[0m"


def _as_data(study: Study, table: Table, lowest: Sequence[str]) -> dict[str, object]:
    rows = [
        {
            "case": row.case, "parameters": {name: plain(value) for name, value in row.parameters.items()},
            "values": {name: plain(value) for name, value in row.values.items()}, "error": row.error or None,
            "detail": row.trouble, "saved": list(row.saved), "reused": row.reused, "seconds": round(row.seconds, 3),
        }
        for row in table
    ]  # fmt: skip
    summary = {}
    for name in table.numeric:
        found = table.summary(name)
        if found is not None:
            summary[name] = {
                "count": found.count,
                **{of: plain(getattr(found, of)) for of in ("mean", "least", "lower", "median", "upper", "most")},
            }
    best = {}
    if study.axes:
        for name in table.numeric:
            cell = study.heatmap(name).best(name in lowest or None)
            best[name] = {axis.name: plain(value) for axis, value in zip(study.axes, cell or (), strict=False)}
    return {
        "rows": rows, "summary": summary, "best": best, "run": study.number,
        "status": STATUS[ComputationError] if table.failed else 0,
    }  # fmt: skip
