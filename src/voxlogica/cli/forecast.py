"""What a run would compute, and why: `--dry-run` and `--why`."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from typing import TextIO

from voxlogica.cli.arguments import Options
from voxlogica.cli.text import awaited, columns, emit
from voxlogica.formula import Formula
from voxlogica.identity import Id
from voxlogica.session import Run


def explain(run: Run, options: Options) -> None:
    """Says it: on stdout when nothing else will be there, else on stderr."""
    stream = sys.stdout if options.dry_run else sys.stderr
    plan = run.plan()
    tasks = [task for task in plan.tasks if task.formula.operator is not None or task.formula.file is not None]
    reasons = {reason.formula.id: reason.why for reason in run.why()} if options.why else {}
    known = {formula.id for formula in plan.known}
    goals = [(goal.words, goal.formula.id in known or goal.formula.operator is None) for goal in run.goals]
    if options.dry_run and options.json:
        listed = [
            {
                "id": task.id.hex(), "operator": task.formula.label, "at": _place(task.formula),
                "published": task.published, "seconds": task.seconds, "bytes": task.bytes,
                **({"why": reasons[task.id]} if task.id in reasons else {}),
            }
            for task in tasks
        ]  # fmt: skip
        emit({"goals": [{"goal": words, "known": there} for words, there in goals], "tasks": listed})
        return
    if options.dry_run:
        for words, there in goals:
            print(f"{'known   ' if there else 'compute '} {words}", file=stream)
    if not tasks:
        print("nothing is to be computed: all results are stored", file=stream)
        return
    seconds = sum(task.seconds for task in tasks)
    print(f"{awaited(len(tasks))}, about {seconds:.2g} s of one processor", file=stream)
    if options.why:
        _say_why(stream, [task.formula for task in tasks], reasons)
    elif options.dry_run:
        labels = Counter(task.formula.label for task in tasks)
        print("  " + ", ".join(f"{label} {n}" for label, n in labels.most_common()), file=stream)


def _say_why(stream: TextIO, tasks: list[Formula], reasons: Mapping[Id, str]) -> None:
    """A line for each cause, and below it the tasks it concerns."""
    causes: dict[str, list[Formula]] = {}
    for formula in tasks:
        causes.setdefault(reasons.get(formula.id, "no earlier run is known"), []).append(formula)
    for cause, concerned in causes.items():
        rows = [("  " + each.id.hex()[:12], each.label, _place(each)) for each in concerned]
        print(f"because {cause}", *columns(rows), sep="\n", file=stream)


def _place(formula: Formula) -> str:
    return str(formula.origin.span) if formula.origin is not None else ""
