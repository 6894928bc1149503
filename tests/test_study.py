"""Studies: how cases are found and set a program, what comes out against NumPy, and that one failure stops no other."""

from __future__ import annotations

import asyncio
import csv
import gc
import importlib
import json
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt

import voxlogica as vx
from voxlogica.cli import main
from voxlogica.images.patterns import Pattern
from voxlogica.kernels import fields
from voxlogica.session.history import recorded
from voxlogica.session.studies import Study
from voxlogica.storage import MemoryStorage
from voxlogica.study.axes import Axis
from voxlogica.study.cases import ONLY, find
from voxlogica.study.rows import Row, Summary, Table, brief, check_table
from voxlogica.study.window import Window

NAMES = ("ann", "bob", "cat")
PROGRAM = """load scan = "$INPUTDIR/$NAME_flair.nii.gz"
load truth = "$INPUTDIR/$NAME_seg.nii.gz"
let k = 60
let grow = 0
let image = intensity(scan)
let manual = intensity(truth) >. 0.5
let found = dt(image >. k) <. grow + 0.5
print "dice" (2 .*. volume(found & manual)) ./. (volume(found) .+. volume(manual))
print "voxels" volume(found)
print "any" volume(found) .>. 0
save "$OUTPUTDIR/found.nii.gz" found"""

Voxlogica = Callable[..., tuple[int, str, str]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Three cases of 8 x 7 x 6 voxels, as `data/NAME/NAME_flair.nii.gz` and `…_seg.nii.gz`, and a program."""
    monkeypatch.chdir(tmp_path)
    Path("p.imgql").write_text(PROGRAM.replace("grow + 0.5", "(grow .+. 0.5)"))
    cases = {}
    for n, name in enumerate(NAMES):
        random = np.random.default_rng(n)
        image = random.integers(0, 100, (8, 7, 6)).astype(np.int16)
        truth = (image + random.integers(-20, 20, image.shape) > 70).astype(np.uint8)
        Path("data", name).mkdir(parents=True)
        nibabel.save(nibabel.Nifti1Image(image, np.eye(4)), f"data/{name}/{name}_flair.nii.gz")
        nibabel.save(nibabel.Nifti1Image(truth, np.eye(4)), f"data/{name}/{name}_seg.nii.gz")
        cases[name] = (image, truth)
    return cases


@pytest.fixture
def voxlogica_(folder: object, capfd: pytest.CaptureFixture[str]) -> Voxlogica:
    def run(*arguments: str) -> tuple[int, str, str]:
        status = main(arguments)
        said = capfd.readouterr()
        return status, said.out, said.err

    return run


CASES = "data/{case}/{case}_flair.nii.gz"


def read_csv(path: Path = Path("t.csv")) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return float(2 * np.sum(a & b) / (np.sum(a) + np.sum(b)))


# Patterns, tables, BIDS


def touch(*paths: str) -> None:
    for path in paths:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).touch()


def test_a_part_is_the_same_text_wherever_it_occurs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    touch("d/a/a_flair.nii", "d/a/b_flair.nii", "d/b/b_flair.nii", "d/b/b_seg.nii", "d/.c/.c_flair.nii", "d/c")
    found = list(Pattern.of("d/{case}/{case}_flair.nii").find())
    assert found == [("d/a/a_flair.nii", {"case": "a"}), ("d/b/b_flair.nii", {"case": "b"})]
    absolute = Pattern.of(f"{tmp_path}/d/{{x}}/{{y}}_seg.nii")
    assert list(absolute.find()) == [(f"{tmp_path}/d/b/b_seg.nii", {"x": "b", "y": "b"})]
    assert [path for path, _ in Pattern.of("**/{case}_?eg.nii").find()] == ["d/b/b_seg.nii"]


@pytest.mark.parametrize("text", ["data/x.nii", "data/{case", "data/case}", "data/{}.nii", "data/{a b}.nii"])
def test_what_is_no_pattern_is_refused(text: str) -> None:
    with pytest.raises(vx.ProgramError, match="named part"):
        Pattern.of(text)


names = st.text("ab_-.1", min_size=1, max_size=5).filter(lambda name: name.strip(".") == name)


@given(case=names, kind=st.text("xy", min_size=1, max_size=3))
def test_what_a_pattern_fills_in_it_finds(case: str, kind: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("p")
    pattern = Pattern.of(f"{root}/{{case}}/{{case}}+{{kind}}.nii")
    touch(pattern.fill({"case": case, "kind": kind}))
    assert [parts for _, parts in pattern.find()] == [{"case": case, "kind": kind}]


def test_several_patterns_are_joined_and_what_is_missing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    touch("d/a1_flair.nii", "d/a2_flair.nii", "d/b1_flair.nii", "m/a.nii", "d/b1_seg.nii", "d/c3_seg.nii")
    cases = find(["flair=d/{p}{n}_flair.nii", "seg=d/{p}{n}_seg.nii", "mask=m/{p}.nii"])
    assert [case.name for case in cases] == ["a/1", "a/2", "b/1", "c/3"]
    assert cases.items[1].files == {"flair": "d/a2_flair.nii", "mask": "m/a.nii"}
    assert list(cases.items[1].lacking.values()) == ["seg: there is no file d/a2_seg.nii"]
    assert cases.items[3].lacking["flair"] == "flair: there is no file d/c3_flair.nii"
    assert [count for _, count in cases.looked] == [3, 2, 2]


def test_a_table_has_a_column_for_each_name(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("age,Case,scan\n40,a,x.nii\n\n50,b,\n")
    cases = find([str(table)])
    assert [(case.name, dict(case.values)["age"]) for case in cases] == [("a", "40"), ("b", "50")]
    assert list(cases.items[1].lacking) == ["scan"]
    for text, said in {
        "case\na\na\n": "line 3: a stands twice",
        "case,x\na\n": "line 2: 1 cells for 2 columns",
        "case\n../up\n": "is no name for a case",
        "a,a\n1,2\n": "distinct column names",
    }.items():
        table.write_text(text)
        with pytest.raises(vx.ProgramError, match=said):
            find([str(table)])


def test_an_input_that_no_case_has_is_said_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a BIDS directory; the file that all cases share may be there, or be given."""
    monkeypatch.chdir(tmp_path)
    image = nibabel.Nifti1Image(np.ones((3, 3, 3), np.int16), np.eye(4))
    for name in ("sub-01", "sub-02"):
        Path("bids", name, "anat").mkdir(parents=True)
        nibabel.save(image, f"bids/{name}/anat/{name}_FLAIR.nii.gz")
    program = vx.program('load FLAIR = "x"\nload T2w = "t2.nii"\nprint "m" max(intensity(FLAIR) + intensity(T2w))')
    with pytest.raises(vx.InputError) as caught:
        program.map("bids")
    (said,) = caught.value.diagnostics
    assert said.message == "no case sets `T2w`, and there is no file t2.nii"
    assert said.details == ("the cases of bids have FLAIR",)
    assert program.replace(T2w=image).map("bids").table().column("m") == [2, 2]
    nibabel.save(image, "t2.nii")
    assert program.map("bids").table().column("m") == [2, 2]


def test_a_bids_directory_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    touch(
        "b/dataset_description.json", "b/sub-1/anat/sub-1_FLAIR.nii.gz", "b/sub-2/ses-1/anat/sub-2_ses-1_FLAIR.nii",
        "b/sub-1/anat/sub-1_acq-ax_T1w.nii.gz", "b/sub-1/anat/sub-1_acq-co_T1w.nii.gz",
        "b/derivatives/x/sub-1/anat/sub-1_desc-tumour_mask.nii.gz",
    )  # fmt: skip
    one, two = find(["b"])
    assert (one.name, two.name, two.values) == ("sub-1", "sub-2/ses-1", {"sub": "2", "ses": "1"})
    assert list(one.files) == ["FLAIR", "acq_ax_T1w", "acq_co_T1w", "desc_tumour_mask"]
    assert "FLAIR" not in two.lacking
    assert "desc_tumour_mask" in two.lacking
    touch("plain/x/x_flair.nii.gz")
    with pytest.raises(vx.ProgramError, match=r"perhaps   'plain/\{case\}/\{case\}_flair.nii.gz'"):
        find(["plain"])


# How a case sets a program


def test_cases_shows_what_a_program_would_load(voxlogica_: Voxlogica) -> None:
    status, out, err = voxlogica_("cases", CASES, "--for", "p.imgql")
    assert (status, err) == (0, "")
    assert "data/ann/ann_flair.nii.gz  data/ann/ann_seg.nii.gz" in out
    assert "ann sets INPUTDIR=data/ann, NAME=ann, OUTPUTDIR=." in out
    Path("data/bob/bob_seg.nii.gz").unlink()
    status, out, _ = voxlogica_("cases", CASES, "--for", "p.imgql", "--json")
    data = json.loads(out)
    assert (status, data["cases"][1]["missing"]) == (1, ["truth: there is no file data/bob/bob_seg.nii.gz"])
    status, out, _ = voxlogica_("cases", CASES, "seg=data/{case}/{case}_seg.nii.gz")
    assert status == 1
    assert "looked for seg=data/{case}/{case}_seg.nii.gz: 2 found" in out
    assert out.endswith("2 cases complete, 1 incomplete\n")


FIXED = 'load scan = "scan.nii.gz"\nlet k = 60\nprint "n" volume(intensity(scan) >. k)'


def test_a_pattern_replaces_the_only_input_and_named_ones_theirs(folder: dict) -> None:
    expected = {name: float(np.sum(image > 60)) for name, (image, _) in folder.items()}
    for cases in (find([CASES]), find([f"scan={CASES}"]), find([f"SCAN={CASES}"])):
        study = vx.program(FIXED).map(cases)
        assert {row.case: row["n"] for row in study} == expected


def test_a_column_of_a_table_sets_an_input_a_parameter_or_a_name(folder: dict) -> None:
    Path("t.csv").write_text(
        "case,scan,k,age\n" + "".join(f"{n},data/{n}/{n}_flair.nii.gz,{k},{k}\n" for k, n in enumerate(NAMES, 50))
    )
    rows = vx.program(FIXED).map("t.csv").table()
    assert [row["n"] for row in rows] == [np.sum(folder[n][0] > k) for k, n in enumerate(NAMES, 50)]


@pytest.mark.parametrize(
    ("arguments", "written", "column"),
    [
        (("batch", "--set", "k=9"), "--set k=9", "k"),
        (("batch", "--set", "NAME=ann"), "--set NAME=ann", "name"),
        (("sweep", "-p", "grow=0,1", "--set", "k=9"), "--set k=9", "k"),
        (("sweep", "-p", "k=8,9"), "-p k=…", "k"),
    ],
)
def test_what_is_set_for_all_may_not_be_a_column(
    voxlogica_: Voxlogica, arguments: tuple[str, ...], written: str, column: str
) -> None:
    Path("t.csv").write_text("case,name,k,inputdir\n" + "".join(f"{n},{n},60,data/{n}\n" for n in NAMES))
    command, *rest = arguments
    status, out, err = voxlogica_(command, "p.imgql", "--cases", "t.csv", *rest)
    assert (status, out) == (2, "")
    assert err.startswith(f"error[usage]: {written}: each case has a `{column}` of its own, from t.csv\n")


def test_a_column_that_sets_nothing_is_named_with_what_was_meant(voxlogica_: Voxlogica) -> None:
    text = "case,imputdir,K,weight,name\n" + "".join(f"{n},data/{n},60,1,{n}\n" for n in NAMES)
    Path("t.csv").write_text(text)
    _, _, err = voxlogica_("batch", "p.imgql", "--cases", "t.csv", "--set", "INPUTDIR=data/ann")
    assert err.split("\n\n")[0].splitlines() == [
        "warning[usage]: the column `imputdir` of t.csv sets nothing in the program",
        "  help: did you mean `$INPUTDIR`?",
    ]
    assert "`K` of t.csv sets nothing in the program\n  help: did you mean `k`?" in err
    assert "`weight` of t.csv sets nothing in the program\n  help: it can set " in err
    assert err.count("warning[usage]") == 3


@pytest.mark.parametrize(
    ("cases", "said"),
    [
        ([CASES], "every case would load the same files"),
        ([f"sacn={CASES}"], "has no input `sacn`"),
        (["nowhere/{case}.nii"], r"there is no case in nowhere/\{case\}.nii"),
        (["p.imgql"], "not a pattern"),
    ],
)
def test_cases_that_do_not_fit_the_program_are_refused(folder: dict, cases: list[str], said: str) -> None:
    text = FIXED + '\nload other = "x.nii"'
    with pytest.raises(vx.ProgramError, match=said):
        vx.program(text).map(find(cases))


def test_what_leads_astray_in_a_pattern_is_said(folder: dict) -> None:
    """The first place where what must come next is not there, and what is there instead."""
    for pattern, said in (
        ("data/{case}/{case}_flare.nii.gz", "nothing in data/ann is called ann_flare.nii.gz: it has ann_flair.nii.gz"),
        ("dat/{case}/{case}_flair.nii.gz", "nothing in . is called dat: it has data, …"),
        ("data/{case}/T1/{kind}.nii", "nothing in data/ann is called T1: it has ann_flair.nii.gz, "),
    ):
        with pytest.raises(vx.ProgramError) as raised:
            find([pattern])
        assert raised.value.diagnostics[0].details[0].startswith(said)
    with pytest.raises(vx.ProgramError, match="after \\*\\* the name of a file must come"):
        find(["data/{case}/**"])


def test_a_pattern_is_suggested_for_a_folder_by_what_most_of_it_looks_like(folder: dict) -> None:
    for n in range(9):
        Path(f"screen{n}.png").touch()
    Path("data/notes.nii").touch()
    with pytest.raises(vx.ProgramError) as raised:
        find(["."])
    assert raised.value.diagnostics[0].help == "write a pattern, perhaps   'data/{case}/{case}_flair.nii.gz'"


def test_a_file_too_many_is_counted_and_not_taken(folder: dict) -> None:
    cases = find(["data/{case}/{case}_*.nii.gz"])
    assert cases.looked == (("data/{case}/{case}_*.nii.gz", 6),)
    assert next(iter(cases)).lacking[""] == (
        "2 files match, and one is wanted: data/ann/ann_flair.nii.gz, data/ann/ann_seg.nii.gz"
    )


def test_a_table_may_have_semicolons(folder: dict) -> None:
    Path("t.csv").write_text("case;scan;k\n" + "".join(f"{n};data/{n}/{n}_flair.nii.gz;50\n" for n in NAMES))
    rows = vx.program(FIXED).map("t.csv").table()
    assert [row["n"] for row in rows] == [np.sum(folder[n][0] > 50) for n in NAMES]


def test_what_has_no_value_is_said_with_the_column_that_was_perhaps_meant(voxlogica_: Voxlogica) -> None:
    Path("t.csv").write_text("case,imputdir\n" + "".join(f"{n},data/{n}\n" for n in NAMES))
    status, out, err = voxlogica_("batch", "p.imgql", "--cases", "t.csv")
    assert (status, out) == (2, "")
    assert "error[parameter]: `$INPUTDIR` has no value" in err
    assert "the column `imputdir` of t.csv sets nothing in the program\n  help: did you mean `$INPUTDIR`?" in err


def alive() -> Counter[str]:
    """How many objects there are of each class."""
    gc.collect()
    return Counter(type(each).__name__ for each in gc.get_objects())


@pytest.mark.parametrize("stored", [True, False])
def test_memory_does_not_depend_on_how_many_cases_there_are(
    stored: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted after each row: the values, formulas and runs that are alive."""
    monkeypatch.chdir(tmp_path)
    for n in range(16):
        image = np.random.default_rng(n).integers(0, 100, (6, 6, 6)).astype(np.int16)
        nibabel.save(nibabel.Nifti1Image(image, np.eye(4)), f"c{n:02}.nii")
    text = 'load x = "$CASE.nii"\nlet k = 50\nlet m = near(intensity(x) >. k)\nprint "n" avg(intensity(x), m)'
    peaks = []
    for count in (4, 16):
        peak: Counter[str] = Counter()
        before = alive()  # other tests may have left some

        def look(done: int, total: int, row: Row, peak: Counter[str] = peak, before: Counter[str] = before) -> None:
            if done % 2:
                return
            here = alive()
            for name in ("Mask", "Image", "Model", "Formula", "Run", "Bound"):
                peak[name] = max(peak[name], here[name] - before[name])

        storage = None if stored else MemoryStorage(limit=0)
        with vx.Session(store=tmp_path / f"store{count}" if stored else None, storage=storage, jobs=1) as session:
            cases = vx.cases("{case}.nii")[:count]
            table = session.program(text).sweep(cases, k=[40, 60], jobs=1, progress=look).table()
        assert len(table) == 2 * count
        assert not table.failed
        peaks.append(peak)
    few, many = peaks
    assert few["Formula"] > 4, "what is counted is there"
    # Two cases may be in hand, the next one being begun. Each has 14 formulas and up to six `Run`s of several kinds;
    # all 16 would have 200, and 32 and more. How many there are at a look of the few is a matter of chance.
    for name in many:
        most = 36 if name == "Formula" else 12
        assert many[name] <= most, f"{name}: {few[name]} for 4 cases, {many[name]} for 16"


def test_what_fails_alike_in_all_cells_of_a_case_is_shown_once(voxlogica_: Voxlogica) -> None:
    Path("data/bob/bob_seg.nii.gz").write_bytes(b"spoilt")
    arguments = ("sweep", "p.imgql", "--cases", CASES, "-p", "k=55,60,65", "--table", "t.csv", "-q")
    status, out, err = voxlogica_(*arguments)
    assert status == 1
    assert sum("failed  data/bob" in line for line in out.splitlines()) == 1
    assert "6 done, 3 failed" in out
    assert err.startswith("\nbob (3 rows): error[input]: data/bob/bob_seg.nii.gz is damaged")
    assert sum(bool(row["error"]) for row in read_csv()) == 3


def test_a_sweep_computes_what_its_cells_share_once(voxlogica_: Voxlogica) -> None:
    """What `--profile` shows: files and what does not depend on the parameter once a case, the rest once a cell."""
    text = (
        PROGRAM
        + '\nlet still = mask(image, image >. 50)\nprint "still" avg(percentiles(still, image >. 50, 0.5), found)'
    )
    Path("q.imgql").write_text(text)
    status, _, err = voxlogica_("sweep", "q.imgql", "--cases", CASES, "-p", "k=55,60,65,70", "--profile", "-q")
    calls = {
        line.split()[0]: int(line.split()[1])
        for line in err.splitlines()
        if line.split()[1:2] and line.split()[1].isdigit()
    }
    assert status == 0
    assert (calls["load"], calls["percentiles"]) == (2 * len(NAMES), len(NAMES))
    assert calls["avg"] == 4 * len(NAMES)


# Rows against NumPy


def test_the_table_is_what_numpy_says(voxlogica_: Voxlogica, folder: dict) -> None:
    status, out, _ = voxlogica_("batch", "p.imgql", "--cases", CASES, "--table", "t.csv", "--output-dir", "out")
    assert status == 0
    table = read_csv()
    assert [row["case"] for row in table] == list(NAMES)
    for row in table:
        image, truth = folder[row["case"]]
        assert float(row["dice"]) == dice(image > 60, truth > 0)
        assert (row["voxels"], row["any"], row["error"]) == (str(np.sum(image > 60)), "true", "")
        saved = np.asarray(nibabel.load(f"out/{row['case']}/found.nii.gz").dataobj)
        assert np.array_equal(saved, image > 60)
    numbers = [dice(image > 60, truth > 0) for image, truth in folder.values()]
    line = next(line for line in out.splitlines() if line.startswith("median of 3"))
    assert line.split()[3] == brief(float(np.median(numbers)))
    assert out.splitlines()[-1] == "3 done, 0 failed   run r1   voxlogica report r1"


def test_running_again_computes_nothing_and_says_the_same(voxlogica_: Voxlogica) -> None:
    first = voxlogica_("batch", "p.imgql", "--cases", CASES, "--json")
    again = voxlogica_("batch", "p.imgql", "--cases", CASES, "--json")
    rows, rows_again = json.loads(first[1])["rows"], json.loads(again[1])["rows"]
    assert [row["reused"] for row in rows] == [False] * 3
    assert [row["reused"] for row in rows_again] == [True] * 3
    assert [row["values"] for row in rows] == [row["values"] for row in rows_again]
    without = voxlogica_("batch", "p.imgql", "--cases", CASES, "--json", "--no-store")
    assert [row["values"] for row in json.loads(without[1])["rows"]] == [row["values"] for row in rows]


def test_one_failure_stops_nobody_and_is_a_row(voxlogica_: Voxlogica) -> None:
    whole = Path("data/bob/bob_seg.nii.gz").read_bytes()
    Path("data/bob/bob_seg.nii.gz").write_bytes(whole[: len(whole) // 2])
    Path("data/cat/cat_seg.nii.gz").unlink()
    status, out, err = voxlogica_("batch", "p.imgql", "--cases", CASES, "--table", "t.json")
    assert status == 1
    ann, bob, cat = json.loads(Path("t.json").read_text())
    assert (ann["error"], bob["dice"], cat["dice"]) == (None, None, None)
    assert bob["error"].startswith("data/bob/bob_seg.nii.gz ")
    assert cat["error"] == "there is no file data/cat/cat_seg.nii.gz"
    assert f"bob  failed  {bob['error']}" in " ".join(out.split()).replace("bob failed", "bob  failed ")
    assert "1 done, 2 failed" in out
    assert "cat: error[input]: there is no file data/cat/cat_seg.nii.gz" in err
    Path("data/bob/bob_seg.nii.gz").write_bytes(whole)
    status, out, _ = voxlogica_("batch", "p.imgql", "--cases", CASES)
    assert "2 done, 1 failed" in out
    assert [line.split()[-1] for line in out.splitlines() if line.startswith("ann")] == ["reused"]


def test_what_fails_while_computing_leaves_the_other_values(folder: dict) -> None:
    text = FIXED + '\nprint "mean" avg(intensity(scan), intensity(scan) >. 98)\nprint "again" k'
    image = folder["ann"][0].copy()
    image[image > 98] = 0
    nibabel.save(nibabel.Nifti1Image(image, np.eye(4)), "data/ann/ann_flair.nii.gz")
    ann, bob, _ = vx.program(text).map(CASES).table()
    assert dict(ann.values) == {"n": np.sum(image > 60), "again": 60.0}
    assert "avg" in ann.error
    assert 'not done: print "mean"' in ann.trouble
    assert bob["mean"] == 99
    assert not bob.error


def test_two_cases_never_write_the_same_file(voxlogica_: Voxlogica, tmp_path: Path) -> None:
    place = str(tmp_path / "one")
    status, out, _ = voxlogica_(
        "batch", "p.imgql", "--cases", CASES, "--set", f"OUTPUTDIR={place}", "--output-dir", "out"
    )
    assert status == 1
    assert "1 done, 2 failed" in out
    assert "is written for" in out


# Sweeps


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("k=0.90:0.99:0.01", [0.9, 0.91, 0.92, 0.93, 0.94, 0.95, 0.96, 0.97, 0.98, 0.99]),
        ("k=3:1:-1", [3, 2, 1]),
        ("k=1:2:0.4", [1, 1.4, 1.8]),
        ("k=a,b", ["a", "b"]),
    ],
)
def test_the_values_of_an_axis_are_exact(text: str, values: list[object]) -> None:
    assert list(Axis.of(text).values) == values


@pytest.mark.parametrize("text", ["k", "k=", "=1", "k=1:2:0", "k=1:0:1", "k=1,,2", "k=1,1", "k=a:b:c", "k=0:inf:1"])
def test_what_is_no_axis_is_refused(text: str) -> None:
    with pytest.raises(vx.ProgramError) as caught:
        Axis.of(text)
    assert caught.value.diagnostics[0].message.startswith(f"-p {text} ")


def test_what_python_shows_of_a_study_is_short(folder: dict) -> None:
    cases = vx.cases(CASES)
    assert repr(cases) == f"<3 cases of {CASES}: ann, bob, cat>"
    sweep = vx.load("p.imgql").sweep(cases, k=[50, 60])
    assert repr(sweep.table()) == "<Table of 6 rows: case, k, dice, voxels, any, error>"
    assert repr(sweep.heatmap("dice")).splitlines() == sweep.heatmap("dice").lines()
    assert repr(vx.diff(sweep, sweep)) == "<Difference: 0 definitions, 0 numbers, 0 masks>"


def test_the_profile_comes_after_the_maps(folder: dict, capfd: pytest.CaptureFixture[str]) -> None:
    """Both on one stream, as on a terminal."""
    with redirect_stdout(sys.stderr):
        assert main(["sweep", "p.imgql", "--cases", CASES, "-p", "k=50,60", "--profile"]) == 0
    said = capfd.readouterr().err
    assert 0 < said.index("mean of 3 cases") < said.index("operator  ")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("k=1:2", "-p k=1:2 has no step"),
        ("k=2:1:0.5", "-p k=2:1:0.5 never comes from 2 to 1"),
        ("k=2:1.9:0.5", "-p k=2:1.9:0.5 never comes from 2 to 1.9"),
        ("k=0:1:1e-9", "-p k=0:1:1e-9 has more than 100,000 values"),
    ],
)
def test_what_is_wrong_with_a_range_is_said(text: str, what: str) -> None:
    with pytest.raises(vx.ProgramError) as caught:
        Axis.of(text)
    assert caught.value.diagnostics[0].message == what


def test_a_sweep_is_what_numpy_says(voxlogica_: Voxlogica, folder: dict) -> None:
    status, out, _ = voxlogica_("sweep", "p.imgql", "--cases", CASES, "-p", "k=50:80:10", "-p", "grow=0,1",
                                "--table", "t.csv")  # fmt: skip
    assert status == 0
    table = read_csv()
    assert [(row["case"], row["k"], row["grow"]) for row in table] == [
        (name, str(k), str(g)) for name in NAMES for k in (50, 60, 70, 80) for g in (0, 1)
    ]
    means: dict[tuple[int, int], list[float]] = {}
    for row in table:
        image, truth = folder[row["case"]]
        k, g = int(row["k"]), int(row["grow"])
        found = distance_transform_edt(image <= k) < g + 0.5
        assert float(row["dice"]) == dice(found, truth > 0)
        means.setdefault((k, g), []).append(float(row["dice"]))
    best = max(means, key=lambda cell: sum(means[cell]))
    lines = out[out.index("dice   mean of 3 cases") :].splitlines()
    assert lines[1].split() == ["0", "1"]
    for line, k in zip(lines[2:6], (50, 60, 70, 80), strict=True):
        marks = ["*" if (k, g) == best else "" for g in (0, 1)]
        assert line.split() == [str(k), *(brief(float(np.mean(means[k, g]))) + marks[g] for g in (0, 1))]


def test_what_cells_share_is_computed_once_even_without_a_store(folder: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    true = fields.distance
    monkeypatch.setattr(fields, "distance", lambda *a, **k: (calls.append(1), true(*a, **k))[1])
    text = 'load scan = "scan.nii.gz"\nlet r = 1\nprint "n" volume(dt(intensity(scan) >. 60) <. r)'
    with vx.Session(storage=MemoryStorage(limit=0)) as session:
        rows = session.program(text).sweep(CASES, r=[1, 2, 3, 4]).table()
    for name in NAMES:
        grown = [row["n"] for row in rows if row.case == name]
        assert grown == sorted(grown)
    assert len(calls) == 3


def test_a_sweep_without_cases_is_over_the_program_as_it_is(folder: dict) -> None:
    text = FIXED.replace("scan.nii.gz", "data/ann/ann_flair.nii.gz")
    study = vx.program(text).sweep(k=[50, 70])
    image = folder["ann"][0]
    assert [row["n"] for row in study.table()] == [np.sum(image > 50), np.sum(image > 70)]
    assert study.best("n") == {"k": 50}
    assert study.best("n", lowest=True) == {"k": 70}
    assert study.heatmap("n")[(70.0,)] == np.sum(image > 70)
    with pytest.raises(vx.ProgramError, match="`m` is no number"):
        study.heatmap("m")
    with pytest.raises(vx.ProgramError, match="given values twice"):
        vx.program(text).sweep(k=[1]).program.sweep(k=[1]) and _twice(text)


def _twice(text: str) -> None:
    from voxlogica.session.studies import Study

    Study(vx.program(text), ONLY, [Axis.of("k=1,2"), Axis.of("k=3,4")])


# Python


def test_rows_come_as_they_finish_and_again_in_order(folder: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, int, str]] = []
    study = vx.load("p.imgql").map(CASES, progress=lambda done, total, row: told.append((done, total, row.case)))
    first = [row.case for row in study]
    assert sorted(first) == list(NAMES)
    assert told == [(n, 3, case) for n, case in enumerate(first, 1)]
    assert [row.case for row in study] == first
    assert [row.case for row in study.table()] == list(NAMES)
    assert study.records()[0]["case"] == "ann"
    monkeypatch.setitem(sys.modules, "polars", None)  # as if it were not installed
    with pytest.raises(vx.ProgramError, match="pip install polars"):
        study.to_polars()


def test_rows_come_in_asyncio(folder: dict) -> None:
    async def rows() -> list[Row]:
        return [row async for row in vx.load("p.imgql").map(CASES)]

    assert {row.case for row in asyncio.run(rows())} == set(NAMES)


def test_cases_are_bound_when_their_turn_comes(folder: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory does not depend on how many cases there are: no more are in hand than were asked for."""
    bound: list[str] = []
    true = Study._bound
    monkeypatch.setattr(Study, "_bound", lambda self, *a: (bound.append(a[1].name), true(self, *a))[1])
    study = vx.load("p.imgql").map(CASES, jobs=1)
    rows = iter(study)
    assert next(rows).case == "ann"
    assert bound[0] == "ann"
    assert "cat" not in bound
    study.close()
    assert len(list(rows)) < 3


def test_leaving_early_ends_what_runs(folder: dict) -> None:
    with vx.load("p.imgql").map(CASES, jobs=1) as study:
        next(iter(study))
    assert len(study.so_far) < 3
    assert vx.load("p.imgql").map(CASES).table().failed == ()


def test_a_study_that_is_interrupted_as_it_begins_cancels_what_has_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """`Thread.start` waits for the thread, and Ctrl-C may come then."""
    cancelled, begun = threading.Event(), threading.Event()
    start, threads = threading.Thread.start, list[threading.Thread]()

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        threads.append(thread)
        assert begun.wait(60)
        raise KeyboardInterrupt

    def work(item: int) -> Iterator[int]:
        begun.set()
        assert cancelled.wait(60)
        yield item

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    rows = iter(Window(range(100), work, 3, cancelled.set))
    with pytest.raises(KeyboardInterrupt):
        next(rows)
    assert cancelled.is_set()
    threads[0].join(60)
    assert len(threads) == 1
    assert not threads[0].is_alive()


def test_quartiles_are_numpy_s() -> None:
    for numbers in ([3.0], [1.0, 2.0], [5.0, 1.0, 4.0, 2.0], list(np.random.default_rng(0).normal(size=11))):
        found = Summary.of(numbers)
        assert found is not None
        assert (found.least, found.lower, found.median, found.upper, found.most) == pytest.approx(
            np.quantile(numbers, [0, 0.25, 0.5, 0.75, 1]), rel=1e-15
        )
        assert found.mean == pytest.approx(np.mean(numbers), rel=1e-15)
    assert Summary.of([float("nan")]) is None


def test_a_table_is_written_exactly_and_read_back(tmp_path: Path) -> None:
    rows = [Row(1, "b", {}, {"x": 0.1 + 0.2, "t": True}), Row(0, 'a, "1"', {}, {"x": float("inf")}, error="no\nway")]
    table = Table.of(rows, measures=["x", "t"])
    table.write(tmp_path / "t.csv")
    read = read_csv(tmp_path / "t.csv")
    assert read[0] == {"case": 'a, "1"', "x": "inf", "t": "", "error": "no\nway"}
    assert float(read[1]["x"]) == 0.1 + 0.2
    table.write(tmp_path / "t.json")
    assert json.loads((tmp_path / "t.json").read_text())[1] == {
        "case": "b", "x": 0.1 + 0.2, "t": True, "error": None
    }  # fmt: skip
    with pytest.raises(vx.ProgramError, match=r"\.xls is no table's"):
        table.write(tmp_path / "t.xls")


@pytest.mark.parametrize("library", ["polars", "pandas"])
def test_a_parquet_table_has_the_types_of_its_columns(
    library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written by polars, or where that is not installed by pandas with pyarrow; read again by what wrote it."""
    for needed in ("polars",) if library == "polars" else ("pandas", "pyarrow"):
        pytest.importorskip(
            needed, reason=f"{needed} is not installed: pip install voxlogica[tables], or pandas pyarrow"
        )
    if library == "pandas":
        monkeypatch.setitem(sys.modules, "polars", None)
    whole = {"x": 0.1 + 0.2, "t": True, "s": "é", "list": (1.0, 2.0), "lists": ((1.0,), ())}
    rows = [
        Row(0, "a", {"hi": 0.9}, whole), Row(1, "b", {"hi": 0.9}, {}, error="no"),
        Row(2, "c", {"hi": 0.9}, whole | {"x": float("inf"), "list": ()}),
    ]  # fmt: skip
    table = Table.of(rows, ["hi"], [*whole, "never"])
    check_table(tmp_path / "t.parquet")
    table.write(tmp_path / "t.parquet")
    read = importlib.import_module(library).read_parquet(tmp_path / "t.parquet")
    assert list(read.columns) == ["case", "hi", *whole, "never", "error"]
    columns = {name: list(read[name]) for name in read.columns}
    assert columns["case"] == ["a", "b", "c"]
    assert columns["hi"] == [0.9] * 3
    assert [columns["x"][0], columns["x"][2]] == [0.1 + 0.2, float("inf")]
    assert [columns["t"][0], columns["s"][2], columns["error"][1]] == [True, "é", "no"]
    assert [list(columns["list"][0]), list(columns["list"][2])] == [[1.0, 2.0], []]
    assert [list(each) for each in columns["lists"][0]] == [[1.0], []]
    missing = [columns[name][1] for name in whole] + columns["never"]
    assert all(value is None or value != value for value in missing)


def test_a_table_that_cannot_be_written_is_refused_before_anything_runs(
    voxlogica_: Voxlogica, own_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("t.parquet").mkdir()
    Path("plain").touch()
    monkeypatch.setattr("voxlogica.study.rows.find_spec", lambda name: None if name in ("polars", "pyarrow") else name)
    for table, said in (
        ("other.parquet", "parquet files need polars, or pandas with pyarrow"),
        ("plain/t.csv", "--table plain/t.csv cannot be written: plain is a file, not a directory"),
    ):
        status, out, err = voxlogica_("batch", "p.imgql", "--cases", CASES, "--table", table)
        assert (status, out, err.splitlines()[0]) == (2, "", f"error[usage]: {said}")
    monkeypatch.setattr("voxlogica.study.rows.find_spec", lambda name: name)
    status, _, err = voxlogica_("batch", "p.imgql", "--cases", CASES, "--table", "t.parquet")
    assert (status, err.splitlines()[0]) == (2, "error[usage]: --table t.parquet cannot be written: it is a directory")
    assert not own_store.exists()


def test_a_sequence_stays_one_in_a_row_and_is_text_in_csv_only(voxlogica_: Voxlogica) -> None:
    text = 'load scan = "$INPUTDIR/$NAME_flair.nii.gz"\nprint "s" [[1, 2.5], [max(intensity(scan)) .*. 0]]'
    Path("s.imgql").write_text(text)
    arguments = ("batch", "s.imgql", "--cases", CASES, "--table")
    status, out, _ = voxlogica_(*arguments, "t.json", "--json")
    assert (status, [row["values"] for row in json.loads(out)["rows"]]) == (0, [{"s": [[1, 2.5], [0]]}] * 3)
    assert [row["s"] for row in json.loads(Path("t.json").read_text())] == [[[1, 2.5], [0]]] * 3
    assert voxlogica_(*arguments, "t.csv")[0] == 0
    assert [row["s"] for row in read_csv()] == ["[[1, 2.5], [0]]"] * 3
    with vx.Session() as session:
        assert [row["s"] for row in recorded(session, "r1").table] == [((1, 2.5), (0,))] * 3
    assert [row["s"] for row in vx.load("s.imgql").map(CASES).table()] == [((1.0, 2.5), (0.0,))] * 3


# Killed and resumed

SLOW = """load scan = "$INPUTDIR/$CASE_flair.nii.gz"
let image = intensity(scan)
let r = 0.01
print "n" volume(crossCorrelation(4, image, image, image >. 0, 0, 1, 100) >. r)"""


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT])
def test_a_study_that_was_killed_goes_on_where_it_was(folder: dict, sign: signal.Signals) -> None:
    random = np.random.default_rng(1)
    for name in ("a", "b", "c", "d"):
        Path("s", name).mkdir(parents=True)
        image = random.normal(size=(40, 40, 40)).astype(np.float32)
        nibabel.save(nibabel.Nifti1Image(image, np.eye(4)), f"s/{name}/{name}_flair.nii.gz")
    Path("slow.imgql").write_text(SLOW)
    words = ["slow.imgql", "--cases", "s/{case}/{case}_flair.nii.gz", "-j", "1"]
    command = [sys.executable, "-m", "voxlogica", "batch", *words]
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # the tests may run in the background, and ignore it
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes, text=True, preexec_fn=heard) as process:
        assert process.stdout is not None
        # Values are stored behind the computation: with one worker the first is, when the second row is there.
        lines = [process.stdout.readline() for _ in ("head", "first", "second")]
        process.send_signal(sign)
        _, err = process.communicate(timeout=60)
    assert process.returncode == (-9 if sign == signal.SIGKILL else 130)
    if sign == signal.SIGINT:
        assert "of 4 rows done; what is stored is kept: the same command goes on from there\ninterrupted\n" in err
    done = lines[1].split()[0]
    again = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    rows = {row["case"]: row for row in json.loads(again.stdout)["rows"]}
    assert len(rows) == 4
    assert rows[done]["reused"]
    assert not any(row["error"] for row in rows.values())
