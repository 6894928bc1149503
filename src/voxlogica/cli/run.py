"""`voxlogica run`: values to stdout as they are known, everything else to stderr."""

from __future__ import annotations

import sys
from contextlib import closing

from voxlogica.cli import STATUS
from voxlogica.cli.arguments import Options
from voxlogica.cli.programs import load, session
from voxlogica.cli.progress import Display, looked_at
from voxlogica.cli.text import KEPT, complain, emit, farewell, sorted_out
from voxlogica.cli.watching import Watchers
from voxlogica.errors import ComputationError, Diagnostic, InternalError
from voxlogica.kernels import memory
from voxlogica.session import Effort, Given, Printed, Run, Saved, Trouble, Watcher
from voxlogica.session import Options as RunOptions
from voxlogica.session.progress import RunProgress
from voxlogica.values import plain


def run(options: Options) -> int:
    """Runs a program."""
    memory.keep_freed()
    given = [Given.text(setting) for setting in options.settings]
    dialect = int(options.dialect) if options.dialect else None
    with session(options) as opened:
        program = load(opened, options)
        prepared = program.settle(given, RunOptions(options.output_dir, options.grid_tolerance, dialect, opened.jobs))
        said = list(program.warnings)
        if not program.goals:
            help = 'ask for something:   print "label" number   or   save "file.nii.gz" mask'
            message = f"{program.source.name} prints nothing and saves nothing"
            said.append(Diagnostic("program", message, help=help, severity="warning"))
        if not options.json:
            complain(said, options.quiet)
        looked = looked_at(options)
        progress = RunProgress(program.source.name, program.asked, opened.jobs) if looked else None
        with Display(progress, options.progress) as display:
            effort = Effort(options.timeout, options.task_timeout, options.retry_failed)
            running = Run(prepared, prepared.bind(), effort) if options.dry_run else prepared.begin(effort)
            warnings = running.bound.warnings
            if not options.json:
                complain(warnings, options.quiet)
            said += warnings
            if options.why or options.dry_run:
                display.pause()
                from voxlogica.cli.forecast import explain

                explain(running, options)
            if options.dry_run:
                return 0
            with Watchers(progress, options.events, options.profile) as watchers:
                try:
                    return _follow(running, display, watchers.watcher, options, said)
                except KeyboardInterrupt:
                    display.pause()
                    if not (options.no_store or options.quiet):
                        farewell(KEPT)
                    raise


def _follow(running: Run, display: Display, watcher: Watcher | None, options: Options, said: list[Diagnostic]) -> int:
    """Shows what happens; returns the exit status."""
    printed: list[Printed] = []
    watched = sys.stderr.isatty() and not options.quiet
    with closing(running.happenings(watcher)) as happenings:  # its end is noted while there is a store
        for each in happenings:
            if isinstance(each, Trouble):
                if not options.json:
                    display.pause()
                    complain([each.diagnostic], options.quiet)
                said.append(each.diagnostic)
            elif options.json:
                if isinstance(each, Printed):
                    printed.append(each)
            elif isinstance(each, Printed):
                print(each, flush=True)
            elif isinstance(each, Saved) and watched:
                print(f"saved {each.path}", file=sys.stderr, flush=True)
    status = _status(said)
    if options.json:
        values = [{"label": p.label, "value": plain(p.value)} for p in printed]
        emit({"print": values, "save": [str(path) for path in running.saved], **sorted_out(said), "status": status})
    return status


def _status(said: list[Diagnostic]) -> int:
    errors = [diagnostic for diagnostic in said if diagnostic.severity == "error"]
    if any(diagnostic.code == "internal" for diagnostic in errors):
        return STATUS[InternalError]
    return STATUS[ComputationError] if errors else 0
