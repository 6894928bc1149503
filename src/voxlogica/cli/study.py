"""`voxlogica batch` and `voxlogica sweep`: a row a case, as each finishes; what they amount to at the foot."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence

from voxlogica.cli import STATUS
from voxlogica.cli.arguments import Options
from voxlogica.cli.programs import load, session
from voxlogica.cli.progress import Display, looked_at
from voxlogica.cli.text import KEPT, coloured, complain, emit, notice
from voxlogica.cli.watching import Watchers
from voxlogica.errors import ComputationError, ProgramError
from voxlogica.kernels import memory
from voxlogica.session import Effort, Given
from voxlogica.session import Options as RunOptions
from voxlogica.session.studies import Study
from voxlogica.study.axes import Axis
from voxlogica.study.cases import ONLY, find
from voxlogica.study.heatmaps import Colour, is_dark
from voxlogica.study.rows import Row, Table, brief, check_table
from voxlogica.values import plain, shown

_RED, _BOLD, _DIM, _PLAIN = "\x1b[31m", "\x1b[1m", "\x1b[2m", "\x1b[0m"


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
            listen=watchers.event if options.events or options.profile else None,
        )  # fmt: skip
        if not options.json:
            complain((*program.warnings, *study.warnings), options.quiet)
        left_out = options.output_dir is None and any(goal.word == "save" for goal in program.checked.goals)
        if left_out and not (options.quiet or options.json):
            notice("nothing is saved without --output-dir DIR, in which each case has a directory")
        with watchers:
            _follow(study, options)
            table = study.table()
            if options.json:
                emit(_as_data(study, table, options.lowest))
            else:
                _foot(study, table, options)
            if options.table is not None:  # last, so that a disk that refuses it takes nothing away
                table.write(options.table)
    return STATUS[ComputationError] if table.failed else 0


def _follow(study: Study, options: Options) -> None:
    """Shows the rows as they come. When interrupted, says how to go on."""
    lines = _Lines(study)
    with Display(study.follow() if looked_at(options) else None) as display:
        try:
            for row in study:
                if not options.json:
                    lines.show(row)
        except KeyboardInterrupt:
            study.close()
            display.pause()
            done = len(study.so_far)
            what = "" if options.no_store else f"; {KEPT}"
            print(f"{done} of {study.total} rows done{what}", file=sys.stderr)
            raise


class _Lines:
    """The table as lines: columns are wide enough for their names and for numbers."""

    def __init__(self, study: Study) -> None:
        self._axes, self._measures = [axis.name for axis in study.axes], study.measures
        wide = max([len("case"), *(len(case.name) for case in study.cases), len(f"median of {study.total}")])
        self._case = wide if study.cases is not ONLY else 0
        values = {axis.name: [shown(value) for value in axis.values] for axis in study.axes}
        self._widths = [max(len(name), *map(len, values[name])) for name in self._axes]
        self._widths += [max(len(name), 7) for name in self._measures]
        self._colours = coloured(sys.stdout)
        self._begun = False
        self._failed: set[tuple[str, str]] = set()

    def show(self, row: Row) -> None:
        """Prints a row, and before the first the head; what fails alike in all cells of a case once."""
        if row.error and (row.case, row.error) in self._failed:
            return
        if not self._begun:
            self._begun = True
            self._print(_BOLD, "case", [*self._axes, *self._measures], "time")
        parameters = [shown(row.parameters[name]) for name in self._axes]
        if row.error:
            self._failed.add((row.case, row.error))
            words = f"failed  {row.error}"
            if row.values:
                words += f"  (known: {', '.join(f'{name}={brief(value)}' for name, value in row.values.items())})"
            self._print(_RED, row.case, parameters, words)
        else:
            time = "reused" if row.reused else f"{row.seconds:.1f} s"
            self._print("", row.case, [*parameters, *(brief(row.values.get(name)) for name in self._measures)], time)

    def _print(self, colour: str, case: str, cells: Sequence[str], last: str) -> None:
        texts = [f"{cell:>{width}}" for cell, width in zip(cells, self._widths, strict=False)]
        line = "  ".join([*([f"{case:<{self._case}}"] if self._case else []), *texts, last]).rstrip()
        print(f"{colour}{line}{_PLAIN}" if colour and self._colours else line, flush=True)

    def foot(self, table: Table) -> None:
        """Medians and quartiles of the measures that are numbers, when there are several rows."""
        summaries = [table.summary(name) for name in self._measures]
        most = max((summary.count for summary in summaries if summary), default=0)
        if most < 2:
            return
        for name, of in (("median", "median"), ("  quartiles", "lower"), ("", "upper")):
            cells = [brief(getattr(summary, of)) if summary else "" for summary in summaries]
            self._print(_BOLD if name == "median" else _DIM, f"{name} of {most}" if name == "median" else name,
                        cells, "")  # fmt: skip


def _foot(study: Study, table: Table, options: Options) -> None:
    if not study.axes:
        _Lines(study).foot(table)
    else:
        for measure in table.numeric:
            paint = _painted if coloured(sys.stdout) else None
            print("\n" + "\n".join(study.heatmap(measure).lines(measure in options.lowest, paint)))
    failed = len(table.failed)
    known = f"   run r{study.number}   voxlogica report r{study.number}" if study.number is not None else ""
    print(f"{len(table) - failed} done, {failed} failed{known}")
    sys.stdout.flush()
    said: dict[str, Counter[str]] = {}
    for row in table.failed:
        said.setdefault(row.trouble, Counter())[row.case] += 1
    for trouble, cases in said.items():
        names = ", ".join(case + (f" ({rows} rows)" if rows > 1 else "") for case, rows in cases.items() if case)
        print(f"\n{f'{names}: ' if names else ''}{trouble}", file=sys.stderr)


def _painted(text: str, tint: Colour) -> str:
    ink = "97" if is_dark(tint) else "30"
    return f"\x1b[{ink};48;2;{tint[0]};{tint[1]};{tint[2]}m{text}{_PLAIN}"


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
            cell = study.heatmap(name).best(name in lowest)
            best[name] = {axis.name: plain(value) for axis, value in zip(study.axes, cell or (), strict=False)}
    return {
        "rows": rows, "summary": summary, "best": best, "run": study.number,
        "status": STATUS[ComputationError] if table.failed else 0,
    }  # fmt: skip
