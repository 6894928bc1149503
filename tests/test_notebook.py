"""In a notebook: pictures show the right side, a cell is a program, mistakes are text with a caret."""

from __future__ import annotations

import base64
import io
import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Condition
from typing import Any, NamedTuple

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pictures

import voxlogica as vx
from voxlogica import operators
from voxlogica.session import live, progress
from voxlogica.study.pictures import COLOURS
from voxlogica.study.rows import Row, Table

PROGRAM = """load scan = "scan.nii.gz"
let level = 50
let i = intensity(scan)
let block = i >. level
print "voxels" volume(block)
print "text" "<b>"
save "block.nii.gz" block
save "out/low.nii.gz" i <. 7"""


def scan(order: tuple[int, ...] = (0, 1, 2), signs: tuple[int, ...] = (1, 1, 1)) -> None:
    """A head of 10, and in it a block of 100 at the left, the front and the top, stored in any orientation."""
    ras = np.full((12, 14, 16), 10, np.int16)
    ras[1:4, 10:13, 12:15] = 100
    ras[10:12, 3:5, 3:5] = 5
    affine = np.diag([0.0, 0.0, 0.0, 1.0])
    for axis, (world, sign) in enumerate(zip(order, signs, strict=True)):
        affine[world, axis] = 2 * sign
        affine[world, 3] += 0 if sign > 0 else 2 * (ras.shape[world] - 1)
    stored = np.transpose(ras, order)[tuple(slice(None, None, sign) for sign in signs)]
    nibabel.save(nibabel.Nifti1Image(np.ascontiguousarray(stored), affine), "scan.nii.gz")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    scan()
    with vx.Session(store=False):
        yield


def picture(html: str) -> NDArray[np.int64]:
    """The one picture of a text, [row, column, RGB]."""
    (found,) = re.findall(r'src="data:image/png;base64,([^"]*)"', html)
    return np.asarray(Pictures.open(io.BytesIO(base64.b64decode(found))).convert("RGB")).astype(int)


def caption(html: str) -> str:
    return re.sub(r"<[^>]*>", "", html)


# The block is at the patient's left, so at the viewer's right; at the front, so up in the first panel.


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, -1, 1), (1, -1, -1)])
def test_left_is_at_the_viewers_right_however_it_is_stored(order: tuple[int, ...], signs: tuple[int, ...]) -> None:
    scan(order, signs)
    run = vx.program(PROGRAM).run()
    for shown in (picture(run["block"]._repr_html_()), picture(run._repr_html_())):
        axial = shown[:, : shown.shape[1] // 3]
        rows, columns = np.nonzero(np.abs(axial - COLOURS[0]).sum(axis=2) < 60)
        assert columns.mean() > axial.shape[1] / 2
        assert rows.mean() < axial.shape[0] / 2


def test_captions_say_what_it_is() -> None:
    run = vx.program(PROGRAM + "\nlet l = lcc(block | i <. 7)\nlet e = i >. 1000").run(save=False)
    assert caption(run["block"]._repr_html_()) == (
        "block: mask, 12 x 14 x 16 voxels of 2 x 2 x 2 mm, 27 voxels, 0.2160 ml over scan"
    )
    assert caption(run["i"]._repr_html_()) == "i: image, 12 x 14 x 16 voxels of 2 x 2 x 2 mm, from 5 to 100"
    assert caption(run["l"]._repr_html_()) == "l: labels, 12 x 14 x 16 voxels of 2 x 2 x 2 mm, 2 regions"
    assert caption(run["e"]._repr_html_()).endswith("0 voxels, 0 ml over scan")


def test_a_run_that_saves_nothing_shows_its_masks_though_a_name_of_their_paths_has_no_value() -> None:
    run = vx.program(PROGRAM.replace('"out/low', '"$OUT/low')).run(save=False)
    assert "$OUT/low.nii.gz (" in caption(run._repr_html_())


def test_a_mask_that_no_run_has_made_is_drawn_alone() -> None:
    mask = vx.program(PROGRAM).run(save=False)["block"]
    alone = vx.Mask(mask.space, mask.data)
    assert caption(alone._repr_html_()) == "mask, 12 x 14 x 16 voxels of 2 x 2 x 2 mm, 27 voxels, 0.2160 ml"
    grey = np.ptp(picture(alone._repr_html_()), axis=2) < 3
    assert {tuple(colour) for colour in np.unique(picture(alone._repr_html_())[grey], axis=0)} >= {(0, 0, 0)}


def test_planes_colours_and_what_has_no_number() -> None:
    colours = np.random.default_rng(0).integers(0, 256, (9, 8, 3)).astype(np.uint8)
    Pictures.fromarray(colours).save("c.png")
    run = vx.program('load c = "c.png"\nlet m = red(c) >. 100\nprint "v" volume(m)').run()
    assert np.array_equal(picture(run["c"]._repr_html_()), colours)
    assert "3 numbers at each voxel, 8 x 9 voxels of 1 x 1 mm" in caption(run["c"]._repr_html_())
    assert caption(run["m"]._repr_html_()).endswith(f"{run['v']:g} voxels, {run['v']:g} mm² over c")
    void = vx.program('load v = "v"\nlet i = intensity(v)\nprint "x" 1').run(v=(np.full((3, 3, 3), np.nan), np.eye(4)))
    assert caption(void["i"]._repr_html_()).endswith("no number")


def test_a_run_shows_its_prints_and_what_it_saves() -> None:
    html = vx.program(PROGRAM).run(save=False)._repr_html_()
    assert '<td style="text-align: left">text</td><td>&lt;b&gt;</td>' in html
    assert caption(html) == "voxels27text&lt;b&gt;&#9632; block.nii.gz (27 voxels, 0.2160 ml), " \
        "&#9632; out/low.nii.gz (8 voxels, 0.0640 ml) over scan"  # fmt: skip
    assert not Path("block.nii.gz").exists()
    assert vx.program('print "sum" 1 + 2').run()._repr_html_().count("<img") == 0


def test_a_table_has_the_columns_in_which_something_is() -> None:
    study = vx.program(PROGRAM).sweep(level=[50, 200])
    assert study.so_far.html() == "<table><tr><th>level</th></tr></table>"  # nobody has waited for a row
    assert study.table().html().startswith("<table><tr><th>level</th><th>voxels</th><th>text</th></tr>")
    assert caption(study.table().rows[0]._repr_html_()) == "levelvoxelstext5027&lt;b&gt;"
    heat = study.heatmap("voxels")._repr_html_()
    assert "<svg" in heat
    assert "27" in heat
    assert study._repr_html_().startswith(study.table().html())
    assert study._repr_html_().endswith(f"<div>{heat}</div></div>")


def test_of_many_rows_the_first_and_the_last_are_shown() -> None:
    rows = [Row(n, "", {"n": n}, {"twice": 2 * n}) for n in range(250)]
    html = Table.of(rows, ["n"], ["twice"]).html()
    numbers = re.findall(r"<tr><td>(\d+)</td>", html)
    assert list(map(int, numbers)) == [*range(50), *range(200, 250)]
    assert '<td colspan="2">… 150 more rows: <code>.to_pandas()</code>' in html
    assert "more rows" not in Table.of(rows[:100], ["n"], ["twice"]).html()


def test_a_failed_row_says_why_and_what_fails_alike_is_said_once() -> None:
    good = [Row(n, "a", {"k": n / 100}, {"v": float(n)}) for n in (1, 2)]
    bad = [Row(n, "<b>", {"k": n / 100}, {}, "no file") for n in (3, 4)]
    half = Row(5, "c", {"k": 0.01}, {"v": 7.0}, "it is 0")
    rows = re.findall("<tr>(.*?)</tr>", Table.of([*bad, *good, half], ["k"], ["v", "w"]).html())
    red = '<td colspan="1" style="color: #b3261e; text-align: left">'
    assert rows == [
        "<th>case</th><th>k</th><th>v</th>",
        "<td>a</td><td>0.01</td><td>1</td>",
        "<td>a</td><td>0.02</td><td>2</td>",
        f"<td>&lt;b&gt;</td><td>0.03</td>{red}failed: no file</td>",
        f"<td>c</td><td>0.01</td>{red}failed: it is 0  (known: v=7)</td>",
    ]


def test_nothing_in_a_notebook_asks_another_host() -> None:
    run = vx.program(PROGRAM).run(save=False)
    html = (
        run._repr_html_()
        + run["i"]._repr_html_()
        + vx.program(PROGRAM).sweep(level=[1, 2]).heatmap("voxels")._repr_html_()
    )
    assert not re.search(r"https?:|//\w|<script|<link|url\(", re.sub(r"base64,[^\"]*", "", html))


# The magic


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str]) -> Iterator[Any]:
    testing = pytest.importorskip("IPython.testing.globalipapp", reason="IPython is not installed")
    shell = testing.get_ipython() or testing.start_ipython()
    shell.reset()
    shell.run_line_magic("load_ext", "voxlogica")
    capsys.readouterr()
    yield shell
    shell.extension_manager.unload_extension("voxlogica")


def cell(shell: Any, line: str, text: str) -> Any:
    return shell.run_cell(f"%%imgql {line}\n{text}")


def test_a_cell_is_a_program(shell: Any) -> None:
    done = cell(shell, "run level=4", PROGRAM)
    assert done.success
    assert shell.user_ns["run"]["voxels"] == 12 * 14 * 16
    assert Path("block.nii.gz").exists()


def test_an_input_is_a_variable_or_a_path(shell: Any) -> None:
    shell.user_ns["mine"] = (np.full((3, 3, 3), 60), np.eye(4))
    cell(shell, "one scan=mine", PROGRAM)
    cell(shell, "two scan='scan.nii.gz' level=99", PROGRAM)
    assert (shell.user_ns["one"]["voxels"], shell.user_ns["two"]["voxels"]) == (27, 27)


@pytest.mark.parametrize(
    ("line", "text", "message"),
    [
        ("", 'print "v" no', "error[name]: there is no `no`\n  cell:1:11\n      1 | print \"v\" no\n"),
        ("", 'print "v" no', "\n        |           ^^"),
        ("", PROGRAM + '\nprint "m" avg(i, i >. 1000)', "error[compute]: "),
        ("a b", PROGRAM, "error[usage]: %%imgql does not understand b"),
        ("--save", PROGRAM, "error[usage]: %%imgql does not understand --save"),
        ("level='4", PROGRAM, "error[usage]: %%imgql level='4: No closing quotation"),
        ("levle=4", PROGRAM, "error[parameter]: levle='4': the program has no parameter `levle`"),
        ("scan=3", PROGRAM, "error[input]: there is no file 3"),
    ],
)  # fmt: skip
def test_mistakes_are_text_with_a_caret(
    shell: Any, capsys: pytest.CaptureFixture[str], line: str, text: str, message: str
) -> None:
    done = cell(shell, line, text)
    assert not done.success
    out, err = capsys.readouterr()
    assert message in out + err
    assert "Traceback" not in out + err


def test_what_came_out_before_something_failed_is_shown(shell: Any, capsys: pytest.CaptureFixture[str]) -> None:
    cell(shell, "run", PROGRAM + '\nprint "m" avg(i, i >. 1000)')
    assert shell.user_ns["run"].printed == {"voxels": 27, "text": "<b>"}


# How far it is, while a cell waits

HOLD = """let level = 50
let held = hold(level)
print "held" held
print "more" held + level"""


class Display(NamedTuple):
    """What was published: as a person would read it, for which display, and whether in place of what it showed."""

    text: str
    html: str
    id: str
    update: bool


class Screen:
    """A notebook's publisher that remembers; `until` is how an operator lasts just as long as a display needs."""

    is_publishing = False

    def __init__(self) -> None:
        self.displays: list[Display] = []
        self._changed = Condition()

    def publish(
        self,
        data: dict[str, str],
        metadata: object = None,
        *,
        transient: dict[str, str] | None = None,
        update: bool = False,
    ) -> None:
        with self._changed:
            id = (transient or {}).get("display_id", "")
            self.displays.append(Display(data["text/plain"], data["text/html"], id, update))
            self._changed.notify_all()

    def until(self, word: str) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: any(word in each.text for each in self.displays), 60)


@pytest.fixture
def screen(shell: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Screen]:
    """The shell is that of a notebook, a second passes at once, and the clock stands still."""
    screen = Screen()
    monkeypatch.setattr(shell, "kernel", object(), raising=False)
    monkeypatch.setattr(shell, "display_pub", screen)
    monkeypatch.setattr(shell.display_formatter, "active_types", ["text/plain", "text/html"])
    monkeypatch.setattr(live, "PATIENCE", 0.0)
    monkeypatch.setattr(live, "PERIOD", 0.001)
    monkeypatch.setattr(progress, "duration", lambda _: "0 s")
    monkeypatch.setattr(operators, "_own", {})
    with vx.Session(store=False, memory=10**9, jobs=1):
        yield screen


def holding(until: Callable[[str], None], word: str = "hold (line 2)") -> None:
    """Declares `hold`, which lasts until a display has shown the word."""

    @vx.operator(version=1)
    def hold(level: vx.Number) -> vx.Number:
        until(word)
        return level


def test_a_run_shows_how_far_it_is_and_ends_as_a_line(screen: Screen) -> None:
    holding(screen.until)
    assert vx.program(HOLD, name="h.imgql").run()["held"] == 50
    *shown, end = screen.displays
    held = next(each for each in shown if "hold" in each.text)
    assert held.text == "h.imgql   2 goals   tasks 0/2   0 s so far   0.0 of 1.0 GB   hold (line 2)"
    assert held.html == (
        '<div style="font-variant-numeric: tabular-nums">h.imgql   2 goals '
        '<progress value="0" max="2" style="width: 24em"></progress><br>'
        "tasks 0/2 &middot; 0 s so far &middot; 0.0 of 1.0 GB &middot; hold (line 2)</div>"
    )
    assert end.text == "h.imgql: 2 tasks, 2 computed, 0 s"
    assert end.html == '<div style="opacity: 0.7">h.imgql: 2 tasks, 2 computed, 0 s</div>'
    assert len({each.id for each in screen.displays}) == 1
    assert [each.update for each in screen.displays] == [False, *[True] * len(shown)]


def test_a_definition_that_no_goal_needs_shows_how_far_it_is(screen: Screen) -> None:
    holding(screen.until)
    run = vx.program('let level = 50\nlet held = hold(level)\nprint "v" level', name="h.imgql").run()
    screen.displays.clear()
    assert run["held"] == 50
    assert any(each.text.startswith("h.imgql   held   tasks 0/1   ") for each in screen.displays)
    assert screen.displays[-1].text == "h.imgql: 1 task, 1 computed, 0 s"


def test_without_progress_nothing_is_shown(screen: Screen) -> None:
    holding(lambda _: None)
    told: list[tuple[int, int]] = []
    run = vx.program(HOLD + "\nlet again = hold(level + 1)").run(progress=False)
    assert run["again"] == 51  # of what is asked for later, too
    vx.program(HOLD).run(progress=lambda *count: told.append(count), level=3)
    assert told[-1] == (2, 2)
    list(vx.program(HOLD).sweep(level=[1, 2], progress=False))
    list(vx.program(HOLD).sweep(level=[1, 2], progress=lambda *_: None))
    assert not screen.displays


def test_what_is_short_shows_nothing(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "PATIENCE", 600.0)
    holding(lambda _: None)
    vx.program(HOLD).run()
    list(vx.program(HOLD).sweep(level=[1, 2]))
    assert not screen.displays


def test_a_terminal_shows_nothing(screen: Screen, shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "kernel", None)
    holding(lambda _: None)
    vx.program(HOLD).run()
    list(vx.program(HOLD).sweep(level=[1, 2]))
    assert not screen.displays


def test_a_run_that_fails_says_so(screen: Screen) -> None:
    holding(screen.until)
    with pytest.raises(vx.ComputationError):
        vx.program(HOLD + '\nload s = "scan.nii.gz"\nprint "m" avg(intensity(s), intensity(s) >. 1000)').run()
    assert screen.displays[-1].text.endswith(", 1 failed, 0 s")


def test_a_run_that_is_stopped_says_so(screen: Screen) -> None:
    def stop(*_: object) -> None:
        screen.until("preparing")
        raise KeyboardInterrupt

    holding(screen.until)
    prepare = vx.program(HOLD, name="h.imgql")
    with pytest.raises(KeyboardInterrupt), live.watched("h.imgql", prepare.asked, 1):
        stop()
    assert [each.text for each in screen.displays[-1:]] == ["stopped: h.imgql: 0 tasks, 0 s"]


def test_a_sweep_shows_how_far_it_is_and_then_table_and_maps(screen: Screen, shell: Any) -> None:
    holding(lambda _: screen.until("hold (line 2)"))
    shell.user_ns["sweep"] = study = vx.program(HOLD, name="h.imgql").sweep(level=[1, 2, 3])
    assert not screen.displays  # nothing is asked yet
    html = shell.display_formatter.format(study)[0]["text/html"]
    assert screen.displays[0].text == "h.imgql   3 cells   rows 0/3   0 s so far"
    assert "rows 0/3   0 s so far   hold (line 2)" in " ".join(each.text for each in screen.displays)
    assert screen.displays[-1].text == "h.imgql: 3 rows, 0 s"
    assert html.startswith("<table><tr><th>level</th><th>held</th><th>more</th></tr><tr><td>1</td>")
    assert html.count("<svg") == 2
    screen.displays.clear()
    assert list(study) == list(study.table())  # all is known: there is nothing to show
    assert not screen.displays


def test_rows_that_were_reused_or_failed_are_told_apart(screen: Screen) -> None:
    Path("words.csv").write_text("case,level\na,1\nb,2\nc,x\nd,4\n")
    holding(screen.until)
    program = vx.program(HOLD, name="h.imgql")
    program.run(level=2)
    rows = [(row.case, row.reused, bool(row.error)) for row in program.map("words.csv", jobs=1)]
    assert rows == [("a", False, False), ("b", True, False), ("c", False, True), ("d", False, False)]
    assert screen.displays[-1].text == "h.imgql: 4 rows, 1 failed, 1 reused, 0 s"


def test_a_display_ends_with_its_cell(screen: Screen, shell: Any) -> None:
    """What is left by an error or a `break`, and an iterator that is kept."""
    holding(screen.until)
    shell.user_ns["program"] = vx.program(HOLD, name="h.imgql")
    for level, text in ((1, "for row in {}: 1 / 0"), (2, "for row in {}: break"), (3, "rows = iter({}); next(rows)")):
        shell.run_cell(text.format(f"program.sweep(level=[{level}1, {level}2, {level}3], jobs=1)"))
        assert screen.displays[-1].text == "stopped: h.imgql: 1 of 3 rows, 0 s"
    assert not [each for each in shell.events.callbacks["post_run_cell"] if "Live" in each.__qualname__]


def test_asyncio_shows_it_too(screen: Screen, shell: Any) -> None:
    holding(screen.until)
    shell.user_ns["program"] = vx.program(HOLD, name="h.imgql")
    assert shell.run_cell("async for row in program.sweep(level=[1, 2]): pass").success
    assert screen.displays[-1].text == "h.imgql: 2 rows, 0 s"
    assert shell.run_cell("run = await program.arun(level=3)").success
    assert screen.displays[-1].text == "h.imgql: 2 tasks, 2 computed, 0 s"


def test_the_magic_shows_it_and_then_the_run(screen: Screen, shell: Any) -> None:
    holding(screen.until, "hold (line 2)")
    assert cell(shell, "run", HOLD).success
    *_, end, run = screen.displays
    assert end.text == "cell: 2 tasks, 2 computed, 0 s"
    assert run.html.startswith("<table>")
    assert run.id == ""
