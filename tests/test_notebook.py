"""In a notebook: pictures show the right side, a cell is a program, mistakes are text with a caret."""

from __future__ import annotations

import base64
import io
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pictures

import voxlogica as vx
from voxlogica.study.pictures import COLOURS

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
    assert study._repr_html_() == "<table><tr></tr></table>"  # nobody has waited for a row
    assert study.table().html().startswith("<table><tr><th>level</th><th>voxels</th><th>text</th></tr>")
    assert caption(study.table().rows[0]._repr_html_()) == "levelvoxelstext5027&lt;b&gt;"
    heat = study.heatmap("voxels")._repr_html_()
    assert "<svg" in heat
    assert "27" in heat


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
