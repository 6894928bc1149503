"""How far a run or a study is, in words: figures are those of the run, an estimate promises no more than is known."""

from __future__ import annotations

import json
from argparse import Namespace
from threading import Event as Signal

import numpy as np
import pytest

import voxlogica as vx
from voxlogica.cli import progress as shown
from voxlogica.cli.progress import Display
from voxlogica.execution.messages import Counts, Event, Usage
from voxlogica.formula import Formula
from voxlogica.session.progress import Figures, RunProgress, StudyProgress, duration
from voxlogica.study.rows import Row


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def tasks(count: int) -> list[Formula]:
    """So many formulas that a program applies, each in a line of its own."""
    text = 'load a = "a"\n' + "".join(f'print "{n}" volume(near(intensity(a) >. {n}))\n' for n in range(count))
    with vx.Session(store=False) as session:
        return [goal.formula for goal in session.program(text).run(a=(np.ones((2, 2, 2)), np.eye(4))).goals]


def started(formula: Formula) -> Event:
    return Event("started", formula.id, formula)


def test_a_run_before_and_while_and_after_it_computes() -> None:
    clock = Clock()
    progress = RunProgress("a.imgql", "3 goals", 2, clock)
    clock.now += 3
    assert progress.figures() == Figures("a.imgql   3 goals", 0, 0, ("preparing", "3 s so far"))
    counts = Counts(tasks=260, done=80, reused=131, failed=2, dropped=1, usage=Usage(8 * 10**9, 10**9, 2 * 10**8))
    progress.begin(counts)
    one, two, three = tasks(3)
    progress.event(started(one))
    assert progress.figures().words == (
        "tasks 214/260", "131 reused", "80 computed", "2 failed", "3 s so far", "1.2 of 8.0 GB", "volume (line 2)",
    )  # fmt: skip
    progress.event(started(two))
    progress.event(started(three))
    assert progress.figures().words[-1] == "volume (line 2), volume (line 3) and 1 more"
    for each in (one, two, three):
        progress.event(Event("done", each.id, each))
    counts.waiting = 4
    assert progress.figures().words[-1] == "waiting for 4 that others compute"
    counts.expected, counts.settled, counts.seconds, counts.estimated = 40.0, 10.0, 5.0, 10.0
    assert progress.figures().words[4] == "about 8 s left"  # 30 foreseen, half as long here, two at once: 7.5
    assert progress.outcome() == "a.imgql: 260 tasks, 131 reused, 80 computed, 2 failed, 3 s"


def row(error: str = "", reused: bool = False) -> Row:
    return Row(0, "a", {}, {}, error, reused=reused)


def test_what_is_reused_or_fails_at_once_promises_nothing() -> None:
    clock = Clock()
    progress = StudyProgress("a.imgql", 10, 10, clock)
    clock.now += 2
    for each in (row(reused=True), row(reused=True), row("no file"), row("stored", reused=True)):
        progress.row(each)
    assert progress.figures() == Figures(
        "a.imgql   10 cases", 4, 10, ("rows 4/10", "2 failed", "2 reused", "2 s so far")
    )
    clock.now += 6
    progress.row(row())
    progress.row(row())
    assert progress.figures().words[-1] == "about 16 s left"  # two in 8 s, four ahead
    assert progress.outcome() == "a.imgql: 6 of 10 rows, 2 failed, 2 reused, 8 s"


@pytest.mark.parametrize(
    ("cases", "rows", "title"),
    [
        (0, 1, "a"),
        (0, 25, "a   25 cells"),
        (1, 1, "a   1 case"),
        (3, 3, "a   3 cases"),
        (3, 75, "a   3 cases   25 cells"),
    ],
)
def test_a_study_is_called_by_what_it_runs_over(cases: int, rows: int, title: str) -> None:
    assert StudyProgress("a", cases, rows).figures().title == title


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "0 s"),
        (99.4, "99 s"),
        (99.6, "2 min"),
        (5940, "99 min"),
        (5969, "99 min"),
        (5971, "1.7 h"),
        (9e5, "250.0 h"),
    ],
)
def test_a_duration_has_the_digits_of_an_estimate(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_narrow_terminal_has_a_short_bar_and_the_most_important_words() -> None:
    progress = StudyProgress("a.imgql", 4, 4, Clock())
    progress.row(row(reused=True))
    display = Display(progress)
    assert str(display._drawn(80)) == "a.imgql   4 cases\n ██░░░░░░░░   rows 1/4   1 reused   0 s so far"
    assert "█" * 6 + "░" * 18 in str(display._drawn(120))


class Steps:
    """A progress that has got one further whenever it is asked; `asked` is set when it was three times."""

    def __init__(self) -> None:
        self.count, self.asked = 0, Signal()

    def figures(self) -> Figures:
        self.count = min(3, self.count + 1)
        if self.count == 3:
            self.asked.set()
        return Figures("a.imgql   1 goal", self.count, 3, (f"tasks {self.count}/3", "é"))

    def outcome(self) -> str:
        return ""


@pytest.mark.parametrize("how", ["plain", "json"])
def test_lines_say_how_far_it_is_where_no_terminal_is(
    how: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shown, "PATIENCE", 0.001)
    progress = Steps()
    with Display(progress, how):
        assert progress.asked.wait(30)
    lines = capsys.readouterr().err.splitlines()
    if how == "plain":
        wanted = [f"a.imgql   1 goal   tasks {n}/3   é" for n in (1, 2, 3)]
        assert lines in (wanted, wanted[:2])  # the last may come too late to be said
    else:
        said = [json.loads(line) for line in lines]
        assert said[0] == {"progress": "a.imgql   1 goal", "ended": 1, "total": 3, "words": ["tasks 1/3", "é"]}
        assert [each["ended"] for each in said] in ([1, 2, 3], [1, 2])


@pytest.mark.parametrize(
    ("progress", "quiet", "json_", "terminal", "seen"),
    [
        ("auto", False, False, True, True), ("auto", False, False, False, False), ("auto", True, False, True, False),
        ("auto", False, True, True, False), ("plain", False, False, False, True), ("json", False, True, False, True),
        ("plain", True, False, True, False), ("none", False, False, True, False),
    ],
)  # fmt: skip
def test_who_asks_for_lines_gets_them(
    progress: str, quiet: bool, json_: bool, terminal: bool, seen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    assert shown.looked_at(Namespace(progress=progress, quiet=quiet, json=json_)) is seen
