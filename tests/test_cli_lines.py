"""The table of a study on a terminal: no line is broken, and what does not fit is said."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.command import Command, commands
from tests.terminal import on_terminal

from voxlogica.cli.lines import shortened

PROGRAM = """let level = 1
let step = 1
print "dice" level ./. 16
print "hausdorff_distance" level .*. step
print "volume" level .+. 0.5
print "sensitivity" 0 .-. level
print "text" "of a certain length"
print "specificity_and_more" 7 ./. level
"""
CASES = "case,level\n" + "".join(f"BraTS19_TCIA01_{n:03}_1,{level}\n" for n, level in ((150, 4), (201, 8), (499, "x")))


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VOXLOGICA_STORE", str(tmp_path / "store"))
    Path("p.imgql").write_text(PROGRAM)
    Path("cases.csv").write_text(CASES)
    return commands(capfd)


def table(run: Command, columns: int) -> list[str]:
    """The lines of a study of which all is stored, so that no time is shown."""
    run("batch", "p.imgql", "--cases", "cases.csv", "-j", "1")
    return on_terminal(["batch", "p.imgql", "--cases", "cases.csv", "-j", "1"], columns)


def test_names_keep_their_end() -> None:
    assert shortened("BraTS19_TCIA01_150_1", 12) == "Bra…01_150_1"
    assert shortened("exactly", 7) == "exactly"


def test_on_sixty_columns_names_are_shortened_and_columns_left_out(run: Command) -> None:
    head, *rows, median, lower, upper, more, end = table(run, 60)
    assert head == "case             dice  hau…distance   volume  time"
    assert sorted(rows) == [
        "Bra…01_150_1   0.2500             4    4.500  reused",
        "Bra…01_201_1   0.5000             8    8.500  reused",
        "Bra…01_499_1  failed  level=x: `level` is a number, and `x`…",
    ]
    assert [median, lower, upper] == [
        "median of 2    0.3750             6    6.500",
        "  quartiles    0.3125             5    5.500",
        "               0.4375             7    7.500",
    ]
    assert more == "… 3 more columns: --table FILE.csv"
    assert end == "2 done, 1 failed   run r2   voxlogica report r2"


def test_on_a_wide_terminal_all_is_shown(run: Command) -> None:
    lines = table(run, 140)
    assert lines[0] == (
        "case                     dice  hausdorff_distance   volume  sensitivity     text  specificity_and_more  time"
    )
    assert not any("…" in line for line in lines)


@pytest.mark.parametrize("columns", [30, 45, 61, 75, 80, 100])
def test_no_line_is_longer_than_the_terminal_is_wide(run: Command, columns: int) -> None:
    lines = table(run, columns)
    assert max(map(len, lines[:-1])) <= columns
    assert all("0.2500" in line for line in lines if "150_1" in line)  # one measure stays


def test_a_broad_map_goes_on_below(run: Command) -> None:
    lines = on_terminal(["sweep", "p.imgql", "-p", "step=1,2", "-p", "level=8:24:1", "--no-store"], 60)
    first = lines.index("hausdorff_distance   mean of 1 case, step down, level to the right")
    assert [line.rstrip() for line in lines[first + 1 : first + 7]] == [
        "      8    9   10   11   12   13   14   15   16   17   18",
        "  1   8*   9   10   11   12   13   14   15   16   17   18",
        "  2  16   18   20   22   24   26   28   30   32   34   36",
        "     19   20   21   22   23   24",
        "  1  19   20   21   22   23   24",
        "  2  38   40   42   44   46   48",
    ]
