"""What goes wrong in a study at the hands of who is new to it, and what is said of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from tests.command import Command, commands

import voxlogica as vx
from voxlogica.images import dicom
from voxlogica.study.report import worst_first
from voxlogica.study.rows import Row

PROGRAM = """load flair = "$INPUTDIR/$CASE_flair.nii.gz"
load seg = "$INPUTDIR/$CASE_seg.nii.gz"
let level = 5
print "v" volume((intensity(flair) >. level) & (intensity(seg) >. 0))
"""
CASES = "data/{case}/{case}_flair.nii.gz"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VOXLOGICA_STORE", str(tmp_path / "store"))
    Path("p.imgql").write_text(PROGRAM)
    for name in ("ann", "bob"):
        Path("data", name).mkdir(parents=True)
        for kind in ("flair", "seg"):
            image = nibabel.Nifti1Image(np.arange(27, dtype=np.int16).reshape(3, 3, 3), np.eye(4))
            nibabel.save(image, f"data/{name}/{name}_{kind}.nii.gz")
    return commands(capfd)


def test_another_image_of_the_case_is_not_what_was_meant(run: Command) -> None:
    Path("data/bob/bob_seg.nii.gz").unlink()
    error = run("batch", "p.imgql", "--cases", CASES).err
    assert "there is no file data/bob/bob_seg.nii.gz" in error
    assert "did you mean" not in error
    Path("data/ann/ann_seg.nii.gz").rename("data/bob/bob_sge.nii.gz")
    assert "did you mean `data/bob/bob_sge.nii.gz`?" in run("batch", "p.imgql", "--cases", CASES).err


def test_an_empty_cell_is_shown_as_missing(run: Command) -> None:
    Path("t.csv").write_text("case,flair,seg\na,data/ann/ann_flair.nii.gz,\nb,,data/bob/bob_seg.nii.gz\n")
    said = run("cases", "t.csv", "--for", "p.imgql")
    assert said.status == 1
    assert said.out.splitlines()[2:5] == [
        "case  flair                      seg",
        "a     data/ann/ann_flair.nii.gz  -                        seg: the table t.csv has none",
        "b     -                          data/bob/bob_seg.nii.gz  flair: the table t.csv has none",
    ]


def test_a_column_that_goes_on_as_an_input_does_is_named_with_it(run: Command) -> None:
    Path("t.csv").write_text("case,flair,segmentation\na,x,y\n")
    error = run("batch", "p.imgql", "--cases", "t.csv").err
    assert "the column `segmentation` of t.csv sets nothing in the program\n  help: did you mean `seg`?" in error


def test_of_many_different_failures_the_first_are_said_in_full(run: Command) -> None:
    rows = "".join(f"c{n:02},none{n}.nii,none{n}.nii\n" for n in range(14))
    Path("t.csv").write_text(f"case,flair,seg\n{rows}")
    said = run("batch", "p.imgql", "--cases", "t.csv", "-j", "1")
    assert said.out.count("failed  there is no file") == 14
    assert said.err.count("error[input]") == 20  # two files of each of ten
    assert said.err.endswith("\nand 4 others; `voxlogica report r1` shows all\n")


def test_a_table_may_set_parameters_alone(run: Command) -> None:
    Path("t.csv").write_text("case,level\nlow,5\nhigh,20\n")
    said = run("batch", "p.imgql", "--cases", "t.csv", "--set", "INPUTDIR=data/ann", "--set", "CASE=ann", "--json")
    assert said.status == 2  # `$CASE` is the case's own
    program = vx.program('load a = "data/ann/ann_flair.nii.gz"\nlet level = 1\nprint "v" volume(intensity(a) >. level)')
    assert program.map(Path("t.csv")).table().column("v") == [21, 6]


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda p: p.map([]), TypeError, r"what vx.cases finds, not \[\]"),
        (lambda p: p.map(3), TypeError, "not 3"),
        (lambda p: vx.cases(), TypeError, "vx.cases needs a pattern, a table or a BIDS directory"),
        (lambda p: p.map(CASES, jobs=0), ValueError, "at least 1, not 0"),
        (lambda p: p.sweep(CASES, level=[]), vx.ProgramError, "`level` is to take several values, and none is given"),
        (lambda p: p.sweep(CASES, level=[1, 1.0]), vx.ProgramError, "`level` is to take one value twice"),
        (lambda p: p.map(CASES, timeout="5m"), TypeError, "timeout is a number of seconds, not '5m'"),
        (lambda p: p.map(CASES).table().column("w"), KeyError, "there is no measure 'w'; there are v"),
        (lambda p: p.map(CASES, Seg="x"), vx.ProgramError, r"did you mean `seg`\?   an input"),
        (lambda p: vx.Session(memory="8GB"), TypeError, "memory is a number of bytes, not '8GB'"),
        (lambda p: next(iter(p.map(CASES)))["w"], KeyError, "the row of (ann|bob) has no 'w': it has case, v"),
        (lambda p: next(iter(p.map(CASES, seg="none")))["v"], KeyError, "has no 'v': there is no file none"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_call_is_said(
    run: Command, call: Callable[[vx.Program], object], error: type[Exception], said: str
) -> None:
    with vx.Session(store=False) as session, pytest.raises(error, match=said):
        call(session.load("p.imgql"))


def test_itk_is_quiet_until_the_last_reader_has_left() -> None:
    process = sitk.ProcessObject
    before = process.GetGlobalWarningDisplay()
    process.SetGlobalWarningDisplay(True)
    try:
        one, two = dicom._quiet(sitk), dicom._quiet(sitk)
        one.__enter__()
        two.__enter__()
        one.__exit__(None, None, None)
        assert not process.GetGlobalWarningDisplay()
        two.__exit__(None, None, None)
        assert process.GetGlobalWarningDisplay()
    finally:
        process.SetGlobalWarningDisplay(before)


@pytest.mark.parametrize(
    ("label", "best"),
    [
        ("dice", 3), ("hd95", 1), ("04_HD95_gtv", 1), ("hausdorff", 1), ("assd_core", 1), ("hdr", 3), ("ml", 3),
    ],
)  # fmt: skip
def test_of_a_distance_less_is_better_by_its_name(run: Command, label: str, best: int) -> None:
    program = f'let k = 1\nprint "{label}" k'
    with vx.Session() as session:
        sweep = session.program(program).sweep(k=[1, 2, 3])
        assert sweep.best(label) == {"k": best}
        assert sweep.best(label, lowest=True) == {"k": 1}
        assert sweep.best(label, lowest=False) == {"k": 3}
        assert f" {best}*" in repr(sweep.heatmap(label))
        said = f"The {'lowest' if best == 1 else 'highest'}, {best}, is at k = {best}."
        assert said in sweep.report("r.html").read_text()
    Path("q.imgql").write_text(program)
    assert f"{best}*" in run("sweep", "q.imgql", "-p", "k=1,2,3").out


@pytest.mark.parametrize(("label", "best"), [("hd95", 2), ("assd_core", 2), ("nsd", 3), ("ml", 3)])
def test_of_an_empty_mask_there_is_no_distance(run: Command, label: str, best: int) -> None:
    """−1 says that a mask was empty: it is not the best of distances, and no part of means and medians."""
    Path("q.imgql").write_text(f'let k = 1\nprint "{label}" k')
    least = -1 if label == "ml" else 2
    with vx.Session() as session:
        sweep = session.load("q.imgql").sweep(k=[-1, 2, 3])
        assert sweep.best(label) == {"k": best}
        assert f", {best}, is at k = {best}." in sweep.report("r.html").read_text()
    Path("c.csv").write_text("case,k\na,-1\nb,2\nc,4\n")
    found = json.loads(run("batch", "q.imgql", "--cases", "c.csv", "--json").out)
    assert [row["values"][label] for row in found["rows"]] == [-1, 2, 4]
    assert found["summary"][label]["least"] == least
    worst = worst_first([Row(0, "empty", {}, {label: -1.0}), Row(1, "far", {}, {label: 9.0})], label, label != "nsd")
    assert [row.case for row in worst] == (["far", "empty"] if label == "ml" else ["empty", "far"])
