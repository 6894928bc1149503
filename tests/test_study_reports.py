"""Runs of the past: their list, what differs between two, and the page of one; pictures show the right side."""

from __future__ import annotations

import base64
import io
import itertools
import json
import re
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image as Pictures
from scipy.ndimage import binary_dilation

import voxlogica as vx
from voxlogica._dataclass import replace
from voxlogica.cli import main
from voxlogica.session import Options, Run
from voxlogica.storage.records import Records
from voxlogica.study.pictures import COLOURS, PANEL, _Display, slices
from voxlogica.study.report import worst_first
from voxlogica.study.rows import Row, brief

NAMES = ("ann", "bob", "<cat>")
PROGRAM = """load scan = "data/$CASE.nii.gz"
let k = 97
let image = intensity(scan)
let found = near(image >. k)
let sure = image >. 90
print "voxels" volume(found)
print "share" volume(sure) ./. volume(found)
save "found.nii.gz" found"""

Voxlogica = Callable[..., tuple[int, str, str]]


@pytest.fixture
def voxlogica_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Voxlogica:
    """Runs commands where there are three cases of 9 x 8 x 7 voxels and a program."""
    monkeypatch.chdir(tmp_path)
    Path("p.imgql").write_text(PROGRAM)
    Path("data").mkdir()
    for n, name in enumerate(NAMES):
        image = np.random.default_rng(n).integers(0, 100, (9, 8, 7)).astype(np.int16)
        nibabel.save(nibabel.Nifti1Image(image, np.diag([-1, -1, 2, 1.0])), f"data/{name}.nii.gz")

    def run(*arguments: str) -> tuple[int, str, str]:
        status = main(arguments)
        said = capfd.readouterr()
        return status, said.out, said.err

    return run


BATCH = ("batch", "p.imgql", "--cases", "data/{case}.nii.gz", "-q")


def test_runs_are_listed_latest_first(voxlogica_: Voxlogica) -> None:
    voxlogica_(*BATCH)
    voxlogica_("run", "p.imgql", "--set", "CASE=ann", "--set", "k=50")
    voxlogica_("sweep", "p.imgql", "--cases", "data/{case}.nii.gz", "-p", "k=50,60")
    status, out, _ = voxlogica_("runs")
    lines = out.splitlines()
    assert status == 0
    assert [line.split()[0] for line in lines] == ["run", "r3", "r2", "r1"]
    assert lines[1].endswith("sweep  p.imgql  6 rows  3 of data/{case}.nii.gz  k=50,60")
    assert lines[2].endswith("run    p.imgql  done    k=50 CASE=ann")
    assert [run["kind"] for run in json.loads(voxlogica_("runs", "--json", "--most", "2")[1])["runs"]] == [
        "sweep",
        "run",
    ]


def test_of_a_long_axis_the_ends_are_listed(voxlogica_: Voxlogica) -> None:
    voxlogica_("sweep", "p.imgql", "--cases", "data/{case}.nii.gz", "-p", "k=50:80:5")
    voxlogica_("sweep", "p.imgql", "--cases", "data/{case}.nii.gz", "-p", "k=50:75:5")
    short, long = voxlogica_("runs")[1].splitlines()[1:]
    assert short.endswith("  k=50,55,60,65,70,75")
    assert long.endswith("  k=50,55,…,80 (7)")


def test_a_run_that_was_left_or_failed_says_so_in_the_list(voxlogica_: Voxlogica) -> None:
    with vx.Session() as session, session.load("p.imgql").sweep("data/{case}.nii.gz", k=[50, 60], jobs=1) as study:
        next(iter(study))
    Path("data/bob.nii.gz").write_bytes(b"spoilt")
    voxlogica_("sweep", "p.imgql", "--cases", "data/{case}.nii.gz", "-p", "k=50,60")
    failed, left = voxlogica_("runs")[1].splitlines()[1:]
    assert re.search("p.imgql  6 rows, 2 failed +3 of data", failed)
    # With one case in hand, when one row is taken there may be one more, which waits to be taken: it is recorded too.
    assert re.search(r"p.imgql  [12] of 6 rows, interrupted +3 of data", left)
    done, _ = json.loads(voxlogica_("runs", "--json")[1])["runs"]
    assert (done["about"]["rows"], done["about"]["of"], done["about"]["failed"]) == (6, 6, 2)
    assert done["state"] == "done"


WAITS = """import os, signal
import voxlogica as vx

signal.signal(signal.SIGINT, signal.default_int_handler)  # who runs the tests may ignore it


@vx.operator(version=1)
def ends(k: vx.Number) -> vx.Number:
    os.kill(os.getpid(), signal.{signal})
    while True:
        signal.pause()
"""


@pytest.mark.parametrize(("signal", "state"), [("SIGINT", "interrupted"), ("SIGKILL", "killed")])
@pytest.mark.parametrize("kind", ["run", "batch"])
def test_a_run_that_was_ended_says_how(voxlogica_: Voxlogica, signal: str, state: str, kind: str) -> None:
    Path("ends.py").write_text(WAITS.replace("{signal}", signal))
    Path("e.imgql").write_text('let k = 1\nlet c = "$CASE"\nprint "v" ends(k)')
    given = ["--cases", "e.csv"] if kind == "batch" else ["--set", "CASE=a"]
    Path("e.csv").write_text("case,k\na,1\n")
    subprocess.run([sys.executable, "-m", "voxlogica", kind, "e.imgql", *given, "--operators", "ends.py"], check=False)
    (run,) = voxlogica_("runs")[1].splitlines()[1:]
    assert re.search(f"e.imgql  {'' if kind == 'run' else '0 of 1 rows, '}{state} ", run)


def test_what_a_session_leaves_undone_is_interrupted(voxlogica_: Voxlogica) -> None:
    with vx.Session() as session:
        prepared = session.load("p.imgql").replace(CASE="ann").settle((), Options())
        happenings = Run(prepared, prepared.bind()).happenings()
        next(happenings)
        study = session.load("p.imgql").sweep("data/{case}.nii.gz", k=[50, 60], jobs=1)
        next(iter(study))
    happenings.close()
    study.close()
    assert [run["state"] for run in json.loads(voxlogica_("runs", "--json")[1])["runs"]] == ["interrupted"] * 2


def test_of_two_ends_of_a_run_the_first_counts(voxlogica_: Voxlogica, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread may close a study just when its last row has come."""
    with vx.Session() as session:
        study = session.load("p.imgql").sweep("data/{case}.nii.gz", k=[50], jobs=1)
        records, ended = vx.Session.records, list[str]()

        def interrupting(session: vx.Session) -> Records | None:
            if not ended:
                ended.append("done")
                session.ended(study.number, "done")
            return records.__get__(session)  # type: ignore[no-any-return]

        next(iter(study))
        with monkeypatch.context() as patch:
            patch.setattr(vx.Session, "records", property(interrupting))
            session.ended(study.number, "interrupted")
    assert [run["state"] for run in json.loads(voxlogica_("runs", "--json")[1])["runs"]] == ["done"]


def test_a_run_that_failed_or_goes_on_says_so(voxlogica_: Voxlogica) -> None:
    voxlogica_("run", "p.imgql", "--set", "CASE=ann")
    with vx.Session() as session:
        Path("f.imgql").write_text(PROGRAM + '\nprint "no" avg(intensity(scan), intensity(scan) >. 1000)')
        with pytest.raises(vx.ComputationError):
            session.load("f.imgql").run(CASE="ann")
        prepared = session.load("p.imgql").replace(CASE="ann").settle((), Options())
        happenings = Run(prepared, prepared.bind()).happenings()
        next(happenings)
        states = [run["state"] for run in json.loads(voxlogica_("runs", "--json")[1])["runs"]]
        assert states == ["running", "failed", "done"]
        happenings.close()
    assert json.loads(voxlogica_("runs", "--json")[1])["runs"][0]["state"] == "interrupted"


def test_a_difference_names_the_definition_the_numbers_and_the_masks(voxlogica_: Voxlogica) -> None:
    voxlogica_(*BATCH)
    voxlogica_(*BATCH, "--set", "k=95")
    status, out, _ = voxlogica_("diff", "r1", "r2", "--json")
    data = json.loads(out)
    assert status == 0
    assert data["definitions"] == [
        {"name": "k", "how": "97 -> 95", "follows": []}, {"name": "found", "how": "", "follows": ["k"]}
    ]  # fmt: skip
    for mask in data["masks"]:
        image = np.asarray(nibabel.load(f"data/{mask['case']}.nii.gz").dataobj)
        before, after = (binary_dilation(image > k, np.ones((3, 3, 3))) for k in (97, 95))
        assert (mask["only before"], mask["only after"], mask["both"]) == (
            0, np.sum(after & ~before), np.sum(after & before)
        )  # fmt: skip
    assert {mask["name"] for mask in data["masks"]} == {"found"}
    changes = [abs(n["after"] - n["before"]) for n in data["numbers"]]
    assert changes == sorted(changes, reverse=True)
    out = voxlogica_("diff", "r1", "r2")[1]
    assert "  k      97 -> 95\n  found  follows k\n" in out
    assert "they do not differ" in voxlogica_("diff", "r2", "r2")[1]
    with vx.Session() as session:
        assert not session.diff("r1", "r1")
        assert [each.name for each in session.diff("r1", "r2").definitions] == ["k", "found"]


@pytest.mark.parametrize(
    ("old", "new", "how"),
    [
        ("near(image >. k)", "interior(image >. k)", "near -> interior"),
        ("near(image >. k)", "near(image <. k)", "> -> <"),
        ("image >. 90", "image >. 80", "90 -> 80"),
    ],
)
def test_what_was_edited_is_told_from_what_follows(voxlogica_: Voxlogica, old: str, new: str, how: str) -> None:
    voxlogica_(*BATCH)
    Path("p.imgql").write_text(PROGRAM.replace(old, new) + '\nlet extra = 3\nprint "extra" extra')
    voxlogica_(*BATCH)
    said = {
        each["name"]: each["how"] for each in json.loads(voxlogica_("diff", "r1", "r2", "--json")[1])["definitions"]
    }
    assert said.pop("extra") == "is new"
    ((name, found),) = said.items()
    assert name == ("sure" if "90" in old else "found")
    assert found == how or how.startswith(">")


class Page(HTMLParser):
    """What a page is made of; raises when tags are not closed in order."""

    VOID = frozenset({"meta", "img", "br", "link", "input"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID and not (self.get_starttag_text() or "").endswith("/>"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_a_report_is_one_page_that_asks_no_other_host(voxlogica_: Voxlogica) -> None:
    voxlogica_(*BATCH)
    Path("data/bob.nii.gz").write_bytes(b"spoilt")
    voxlogica_(*BATCH)
    status, out, err = voxlogica_("report", "r2", "-o", "page.html", "--masks", "found,sure")
    assert (status, out, err) == (0, "page.html\n", "")
    text = Path("page.html").read_text()
    assert "the patient's right is at the viewer's left" in text
    page = Page(text)
    for tag, attributes in page.tags:
        assert tag not in ("link", "iframe", "object"), "what a page may load from elsewhere"
        for name in ("src", "href", "srcset", "action", "xlink:href"):
            assert (attributes.get(name) or "data:").startswith("data:")
    assert not re.search(r"url\(|@import|https?://", text)
    cases = [word for word in page.words if word in NAMES]
    assert cases[0] == "bob", "failed ones first"
    assert "data/bob.nii.gz" in "".join(page.words)
    pictures = [attributes["src"] or "" for tag, attributes in page.tags if tag == "img"]
    assert len(pictures) == 2
    for source in pictures:
        picture = Pictures.open(io.BytesIO(base64.b64decode(source.removeprefix("data:image/png;base64,"))))
        assert picture.size[0] > 500
    row = next(line for line in text.split("<tr>") if "<th scope=row>ann" in line)
    image = np.asarray(nibabel.load("data/ann.nii.gz").dataobj)
    assert f">{np.sum(binary_dilation(image > 97, np.ones((3, 3, 3))))}</td>" in row


def test_a_report_of_a_sweep_has_heat_maps_that_say_what_numpy_says(voxlogica_: Voxlogica) -> None:
    voxlogica_("sweep", "p.imgql", "--cases", "data/{case}.nii.gz", "-p", "k=90,95,97")
    assert voxlogica_("report", "1", "--sort", "share", "--lowest", "share")[1] == "r1.html\n"
    text = Path("r1.html").read_text()
    Page(text)
    images = [np.asarray(nibabel.load(f"data/{name}.nii.gz").dataobj) for name in NAMES]
    shares = {}
    for k in (90, 95, 97):
        shares[k] = np.mean([np.sum(i > 90) / np.sum(binary_dilation(i > k, np.ones((3, 3, 3)))) for i in images])
        assert f"<title>k={k}: {brief(float(shares[k]))}, 3 cases</title>" in text
    least = min(shares, key=lambda k: shares[k])
    assert f"The lowest, {brief(float(shares[least]))}, is at k = {least}." in text
    assert text.count('class="best"') == 2
    assert "<p class=note>At k = " in text.split("Cases, the worst first")[0], "dots are of the best cell too"


def test_cells_that_are_as_good_as_the_best_are_marked_too(voxlogica_: Voxlogica) -> None:
    out = voxlogica_("sweep", "p.imgql", "-p", "k=95,97", "-p", "CASE=ann,bob", "-q")[1]
    voxels = out.split("\nvoxels")[1].split("\n\n")[0]
    assert voxels.count("*") == 1
    Path("same.imgql").write_text(
        PROGRAM.replace("97", "97\nlet j = 1").replace("print", 'print "j" k .+. 0 .*. j\nprint', 1)
    )
    out = voxlogica_("sweep", "same.imgql", "-p", "k=95,97", "-p", "j=1,2,3", "--set", "CASE=ann", "-q")[1]
    assert out.startswith(" k  j  "), "no column of cases when there are none"
    assert out.split("\nj   ")[1].split("\n\n")[0].splitlines()[1:] == [
        "       1    2    3", "  95  95   95   95", "  97  97*  97*  97*"
    ]  # fmt: skip
    voxlogica_("report", "2", "-o", "same.html")
    assert "The highest, 97, is at k = 97, j = 1, and the same in 2 more." in Path("same.html").read_text()
    out = voxlogica_("sweep", "same.imgql", "-p", "j=1,2,3", "--set", "CASE=ann", "-q")[1]
    assert "\nj   mean of 1 case, j to the right, the same everywhere\n" in out
    assert "*" not in out
    voxlogica_("report", "3", "-o", "same.html")
    assert "the same everywhere. It is 97." in Path("same.html").read_text()


def test_a_millimetre_is_as_long_in_all_three_slices() -> None:
    space = vx.Space((40, 20, 30), (1.0, 1.0, 2.0), (0.0,) * 3, (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
    image = vx.Image.of(space, np.ones(space.shape, np.float32))
    picture = np.asarray(Pictures.open(io.BytesIO(slices(image, []))))
    scale = PANEL / 60  # the head runs along the third axis, the longest
    assert picture.shape == (PANEL, round(40 * scale) * 2 + round(20 * scale) + 12)


def test_pictures_come_from_the_recorded_program_even_when_the_file_has_changed(voxlogica_: Voxlogica) -> None:
    voxlogica_(*BATCH)
    Path("p.imgql").write_text("print")
    voxlogica_("report", "r1", "-o", "a.html")
    assert Path("a.html").read_text().count("<img") == 3
    nibabel.save(nibabel.Nifti1Image(np.zeros((9, 8, 7), np.int16), np.eye(4)), "data/ann.nii.gz")
    voxlogica_("store", "clear", "--yes")
    voxlogica_("report", "r1", "-o", "b.html")
    text = Path("b.html").read_text()
    assert text.count("<img") == 2
    assert "No picture of 1 case" in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("report", "r9"), "there is no run r9"),
        (("report", "r1", "--masks", "fuond"), "has no definition `fuond`"),
        (("report", "r1", "--masks", "image"), "`image` is no mask\n  help: its masks are found, sure"),
        (("report", "r1", "--sort", "x"), "has no measure `x`"),
        (("diff", "r1"), "needs two runs"),
    ],
)
def test_what_is_not_there_is_said(voxlogica_: Voxlogica, arguments: tuple[str, ...], said: str) -> None:
    voxlogica_(*BATCH)
    status, _, err = voxlogica_(*arguments)
    assert status == 2
    assert said in err


def test_the_worst_come_first() -> None:
    rows = [
        Row(0, "good", {}, {"d": 0.9}), Row(1, "none", {}, {"d": float("nan")}), Row(2, "bad", {}, {"d": 0.1}),
        Row(3, "failed", {}, {}, error="no"),
    ]  # fmt: skip
    assert [row.case for row in worst_first(rows, "d", lowest=False)] == ["failed", "none", "bad", "good"]
    assert [row.case for row in worst_first(rows, "d", lowest=True)] == ["failed", "none", "good", "bad"]


def test_a_report_of_pictures_says_nothing_of_sides(voxlogica_: Voxlogica) -> None:
    Pictures.fromarray(np.arange(63, dtype=np.uint8).reshape(7, 9)).save("a.png")
    Path("flat.imgql").write_text('load i = "x.png"\nlet m = intensity(i) >. 50\nprint "n" volume(m)')
    voxlogica_("batch", "flat.imgql", "--cases", "{case}.png", "-q")
    voxlogica_("report", "r1")
    text = Path("r1.html").read_text()
    assert text.count("<img") == 1
    assert "right" not in re.sub("<style>.*</style>", "", text, flags=re.DOTALL)


# Pictures: every orientation a file can have

ORIENTATIONS = [
    (order, signs) for order in itertools.permutations(range(3)) for signs in itertools.product((1, -1), repeat=3)
]


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
def test_what_is_on_the_patient_s_left_is_drawn_on_the_right_in_all_48_orientations(
    order: tuple[int, ...], signs: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A block at the patient's left, front and top (in nibabel's RAS: small x, large y, large z), whatever the file."""
    monkeypatch.chdir(tmp_path)
    ras = np.zeros((12, 14, 16), np.uint8)
    ras[1:4, 10:13, 12:15] = 1
    head = np.full(ras.shape, 100, np.int16)
    stored = np.transpose(ras, order)[tuple(slice(None, None, sign) for sign in signs)]
    affine = np.zeros((4, 4))
    affine[3, 3] = 1
    for axis, (world, sign) in enumerate(zip(order, signs, strict=True)):
        affine[world, axis] = sign
        affine[world, 3] += 0 if sign > 0 else ras.shape[world] - 1
    nibabel.save(nibabel.Nifti1Image(np.ascontiguousarray(stored), affine), "block.nii.gz")
    nibabel.save(nibabel.Nifti1Image(np.transpose(head, order), affine), "head.nii.gz")
    text = 'load h = "head.nii.gz"\nload b = "block.nii.gz"\nprint "v" max(intensity(h))\nlet m = intensity(b) >. 0\n'
    run = vx.program(text + 'print "voxels" volume(m)').run()
    mask, scan = run["m"], run["h"]
    assert isinstance(mask, vx.Mask)
    assert isinstance(scan, vx.Model)
    display = _Display.of(mask.space)
    assert [display.letters(axis) for axis in range(3)] == [("R", "L"), ("A", "P"), ("H", "F")]
    unknown = replace(mask.space, native=(*mask.space.native[:6], 0, 0, *mask.space.native[8:]))  # neither form
    assert [_Display.of(unknown).letters(axis) for axis in range(3)] == [("?", "?")] * 3
    where = [axis.mean() for axis in np.nonzero(display.turned(mask.numpy()))]
    assert where == [9.0, 2.0, 2.0]  # left is to the right, the front is up, the head is up
    picture = np.asarray(Pictures.open(io.BytesIO(slices(scan, [mask]))).convert("RGB")).astype(int)
    lit = np.abs(picture - np.array(COLOURS[0])).sum(axis=2) < 60
    axial = lit[:, : round(12 * PANEL / 16)]
    assert np.nonzero(axial)[1].mean() > axial.shape[1] / 2
    assert np.nonzero(axial)[0].mean() < axial.shape[0] / 2
