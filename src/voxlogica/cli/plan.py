"""`voxlogica plan`: the tasks of a program, all of them, whatever is stored; computes nothing."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from voxlogica.cli.arguments import Options
from voxlogica.cli.programs import load, session, source_of
from voxlogica.cli.text import columns, complain, emit, sorted_out
from voxlogica.errors import Diagnostic, ProgramError, human_size
from voxlogica.formula import Formula
from voxlogica.identity import Id
from voxlogica.plan import Task, Workplan
from voxlogica.plan import plan as planned
from voxlogica.session import Given, Program, Run
from voxlogica.session import Options as RunOptions
from voxlogica.syntax.parser import parse
from voxlogica.syntax.printer import print_program
from voxlogica.values import counted, plain, shown

_LONGEST = 16  # characters of a constant that are shown


def plan(options: Options) -> int:
    """Shows the task graph of a program, or its text as it was read."""
    chosen = [f"--{name}" for name in ("dot", "json", "syntax") if getattr(options, name)]
    if len(chosen) > 1:
        raise ProgramError.of("usage", f"{' and '.join(chosen)} do not go together", help="choose one of them")
    dialect = int(options.dialect) if options.dialect else None
    if options.syntax:
        sys.stdout.write(print_program(parse(source_of(options)[0], dialect)))
        return 0
    given = [Given.text(setting) for setting in options.settings]
    with session(options) as opened:
        program = load(opened, options)
        prepared = program.settle(given, RunOptions(options.output_dir, options.grid_tolerance, dialect, opened.jobs))
        if not options.json:
            complain(program.warnings, options.quiet)
        bound = prepared.bind()
        if not options.json:
            complain(bound.warnings, options.quiet)
        run = Run(prepared, bound)
        graph = Graph(program, run, planned(run.wanted))
        if options.json:
            emit(graph.data([*program.warnings, *bound.warnings]))
        else:
            print("\n".join(graph.dot() if options.dot else graph.lines()))
    return 0


class Graph:
    """A workplan to be shown: tasks have the numbers 1, 2, …, in the order in which they can be computed."""

    def __init__(self, program: Program, run: Run, workplan: Workplan) -> None:
        self._name, self._run, self._tasks = program.source.name, run, workplan.tasks
        self._numbers: Mapping[Id, int] = {task.id: n for n, task in enumerate(workplan.tasks, 1)}

    def lines(self) -> list[str]:
        """For people: a line a task, what it reads by number; then the goals."""
        tasks = self._tasks
        published = sum(task.published for task in tasks)
        cost = _time(sum(task.seconds for task in tasks))
        head = f"{self._name}: {counted(len(tasks), 'task')}, {published} published, about {cost} of one processor"
        lines = [head]
        further = sum(task.formula.operator is not None and task.formula.operator.dynamic for task in tasks)
        if further:
            lines.append(f"{counted(further, 'task')} of these will say which further ones there are")
        if tasks:
            rows = [("", "id", "task", "type", "time", "size", "", "at"), *map(self._row, tasks)]
            lines += ["", *columns(rows, right={0, 4, 5}), ""]
        width = max((len(goal.words) for goal in self._run.goals), default=0)
        return lines + [f"{goal.words:<{width}}  {self._reference(goal.formula)}" for goal in self._run.goals]

    def _row(self, task: Task) -> Sequence[str]:
        number, kept = str(self._numbers[task.id]), "published" if task.published else "private"
        return (
            number, task.id.hex()[:12], self._words(task), str(task.formula.type), _time(task.seconds),
            human_size(task.bytes), kept, _place(task.formula),
        )  # fmt: skip

    def _words(self, task: Task) -> str:
        """How a task is made: an operator with what it reads, and the rewrite that put it there."""
        made = self._call(task.how)
        return f"{task.formula.label} as {made} by {task.rule}" if task.rule else made

    def _call(self, formula: Formula) -> str:
        if formula.operator is None:
            return f'{formula.label} "{getattr(formula.file, "name", "")}"'
        return f"{formula.label}({', '.join(map(self._reference, formula.arguments))})"

    def _reference(self, formula: Formula) -> str:
        """A task by its number, a constant by its value."""
        number = self._numbers.get(formula.id)
        if number is not None:
            return f"#{number}"
        assert formula.value is not None, "the plan of all there is has a task for all but constants"
        text = shown(formula.value).replace("\n", " ")
        short = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
        return f"“{short}”" if isinstance(formula.value, str) else short

    def dot(self) -> list[str]:
        """For Graphviz: published tasks have two lines around them, private ones one; goals hang below."""
        lines = ["digraph plan {", "  node [shape=box, fontname=Helvetica];"]
        for task in self._tasks:
            label = f"{self._numbers[task.id]}  {self._words(task)}\n{task.formula.type}, {_time(task.seconds)}"
            lines.append(
                f"  t{self._numbers[task.id]} [label={_quoted(label)}, tooltip={_quoted(task.id.hex())}"
                f"{', peripheries=2' if task.published else ''}];"
            )
            lines += [f"  t{self._numbers[input.id]} -> t{self._numbers[task.id]};" for input in task.inputs]
        for n, goal in enumerate(self._run.goals, 1):
            number = self._numbers.get(goal.formula.id)
            value = f" = {self._reference(goal.formula)}" if number is None else ""
            lines.append(f"  g{n} [shape=plaintext, label={_quoted(goal.words + value)}];")
            if number is not None:
                lines.append(f"  t{number} -> g{n};")
        return [*lines, "}"]

    def data(self, warnings: Sequence[Diagnostic]) -> dict[str, object]:
        """For machines: what a task reads by id, costs in seconds and bytes."""
        tasks = [
            {
                "id": task.id.hex(), "operator": task.formula.label, "type": str(task.formula.type),
                "at": _place(task.formula), "arguments": [_argument(each) for each in task.formula.arguments],
                "how": task.how.label, "rewrite": task.rule, "inputs": [each.id.hex() for each in task.inputs],
                "users": task.users, "seconds": task.seconds, "bytes": task.bytes, "scratch": task.scratch,
                "published": task.published,
            }
            for task in self._tasks
        ]  # fmt: skip
        goals = [{"goal": goal.words, **_argument(goal.formula)} for goal in self._run.goals]
        return {"program": self._name, "goals": goals, "tasks": tasks, **sorted_out(warnings), "status": 0}


def _argument(formula: Formula) -> dict[str, object]:
    """What is read, by its id; of a constant also the value."""
    return {"id": formula.id.hex(), **({} if formula.value is None else {"value": plain(formula.value)})}


def _place(formula: Formula) -> str:
    return str(formula.origin.span) if formula.origin is not None else ""


def _time(seconds: float) -> str:
    """A time for people, to two digits."""
    units: Sequence[tuple[float, str]] = ((1, "s"), (1e-3, "ms"), (1e-6, "µs"))
    for unit, name in units:
        if seconds >= unit:
            return f"{seconds / unit:.2g} {name}" if seconds < 100 * unit else f"{seconds / unit:.0f} {name}"
    return "0 s"


def _quoted(text: str) -> str:
    """A string of Graphviz."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
