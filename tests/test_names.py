"""Every name of section 9 of the language's specification is there, or refused with a message that says what to use."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.language import Failure, value

from voxlogica.check import check
from voxlogica.cli import main
from voxlogica.errors import ProgramError, Source
from voxlogica.syntax.parser import parse

GIVEN = 'load m = "i.nii"\nlet i = intensity(m)\nlet b = i >. 1\nlet f(k) = k + 1\n'

THERE = {
    "default": """addition(1, 2)  subtraction(1, 2)  multiplication(1, 2)  division(1, 2)  num_eq(1, 2)  num_neq(1, 2)
        num_leq(1, 2)  num_lt(1, 2)  num_geq(1, 2)  num_gt(1, 2)  bool_and_scalar(true, false)
        bool_or_scalar(true, false)  not_compat(true)  range(3)  range(1, 3)  index([1], 0)  slice([1], 0, 1)
        subsequence([1], 1)  subsequence([1], 0, 1)  map(f, [1])  argmax([1, 2])  dir("d")  dir("d", "*")
        dir("d", "*", true)  dir("d", "*", true, false)""",
    "vox1": """addition(1, 2)  num_eq(1, 2)  bool_and_scalar(true, true)  not(b)  and(b, b)  or(b, b)  dt(b)
        gradient(i)  constant(1)  eq_sv(1, i)  geq_sv(1, i)  leq_sv(1, i)  between(1, 2, i)  max(i)  abs(i)  min(i)
        mask(i, b)  avg(i, b)  avg0(i, b)  add_vs(i, 1)  sub_vs(i, 1)  mul_vs(i, 1)  div_vs(i, 1)  sub_sv(1, i)
        div_sv(1, i)
        near(b)  interior(b)  through(b, b)  crossCorrelation(1, i, i, b, 0, 1, 10)  border(i)  x(i)  y(i)  z(i)
        intensity(m)  red(m)  green(m)  blue(m)  alpha(m)  volume(b)  vol(b)  extract(i, [2, 2], [0, 0])  maxvol(b)
        percentiles(i, b, 0.5)  rgb(i, i, i)  rgba(i, i, i, i)  lcc(b)  Lcc(b)  otsu(i, b, 10)  n4(i, b)
        slic(i, 2, 1)  label_mean(lcc(b), i)  hd95(b, b)  nsd(b, b, 1)""",
    "arrays": """pixel_accuracy(b, b)  confusion_matrix(b, b)  dice_score(b, b)
        dice_score(i, i, 1)
        jaccard_index(b, b)  count_pixels(i, 1)  count_pixels(b)  threshold_equal(i, 1)  threshold_equal(i, 1, 2, 3)
        array_stats(i)  compare_arrays(i, i)
        compare_arrays(b, b)  vector_uint32([1])  vector_double([1])""",
    "strings": """concat("a", 1)  format_string("{}", 1)""",
    "geom": """blank(2, 3)  blank(2, 3, 1)  circle(i, 1, 1, 1, 1)  regular_polygon(i, 1, 1, 1, 3, 1)""",
    "simpleitk": """BinaryThreshold(m, 1, 2, 1, 0)  MinimumMaximum(i)  Statistics(i)  Median(i, [1, 1])""",
    "test": "fibonacci(4)",
}
"""Calls by namespace, two spaces between them."""

REFUSED = {
    "default.sequence(1, 2)": "[a, b]",
    "default.for_loop(1)": "for x in xs do",
    "default.filter(f, [1])": "filter k in",
    "default.fold(+, [1])": "fold(+, xs)",
    'default.load("a.json")': "--set",
    'default.load("a.txt")': "--set",
    'default.load("a.csv")': "--cases",
    'default.print_primitive("a", 1)': "print",
    "default.overlay(i, b)": "overlayColor",
    "default.dask_map(b, [1])": "map(f, xs)",
    'simpleitk.ReadImage("a.nii")': "let scan = ReadImage",
    'simpleitk.WriteImage(i, "a.nii")': "save",
    "test.timewaste(1, 2)": "dt(tt)",
    "test.impure(1)": "the events of a run",
    "test.demo_data(1)": "dt(tt)",
    "test.enqueue(1)": "dt(tt)",
    "test.workflow_controller(1)": "dt(tt)",
    'nnunet.train([1], "d")': "@voxlogica.operator",
    "nnunet.make_predictor(1)": "load what it writes",
    "nnunet.predict(1, i)": "load what it writes",
    "nnunet.env_check(1)": "load what it writes",
}
"""Calls, and a part of what their message says to do instead."""


def _there() -> list[str]:
    return [
        f"{space}.{call}" for space, calls in THERE.items() for call in calls.replace("\n", "  ").split("  ") if call
    ]


@pytest.mark.parametrize("call", _there())
def test_it_is_there(call: str) -> None:
    checked = check(parse(Source("names", f"{GIVEN}let found = {call}\n")), wanted=("found",))
    assert "found" in checked.definitions
    assert not checked.warnings


@pytest.mark.parametrize(("call", "instead"), REFUSED.items())
@pytest.mark.parametrize("whole", [True, False])
def test_it_is_refused_with_what_to_use(call: str, instead: str, whole: bool) -> None:
    needs_it = call.startswith(("nnunet", "simpleitk", "default.fold", "default.filter"))
    written = call if whole or needs_it else call.partition(".")[2]
    with pytest.raises(ProgramError) as caught:
        check(parse(Source("names", f'{GIVEN}print "found" {written}\n')))
    (found,) = caught.value.diagnostics
    assert instead in found.help
    assert found.span is not None


@pytest.mark.parametrize("name", ["nnunet", "nnunet.predict"])
def test_the_namespace_of_networks_cannot_be_imported(name: str) -> None:
    with pytest.raises(ProgramError) as caught:
        check(parse(Source("names", f'import "{name}"\n')))
    (found,) = caught.value.diagnostics
    assert found.message == f'the namespace "{name}" runs nnU-Net, which VoxLogicA does not'


# arrays


def test_images_compared() -> None:
    a, b = [1, 2, 4, 8], [1, 2.5, 3, 8]
    fields = ("equal", "different", "largest", "mean")
    assert value("compare_arrays(a, b).different", a=a, b=b, imports=("arrays",)) == 2
    assert [value(f"compare_arrays(a, b).{each}", a=a, b=b) for each in fields] == [False, 2, 1, 0.375]
    assert [value(f"compare_arrays(a, a).{each}", a=a) for each in fields] == [True, 0, 0, 0]
    assert [value(f"compare_arrays(a, b).{each}", a="0110", b="0011") for each in fields] == [False, 2, 1, 0.5]
    assert [value(f"compare_arrays(a, a).{each}", a="0110") for each in fields] == [True, 0, 0, 0]


def test_vectors_hold_what_they_may() -> None:
    assert value("vector_uint32([0, 4294967295])", imports=("arrays",)) == (0, 2**32 - 1)
    for wrong, shown in (("-1", "-1"), ("0.5", "0.5"), ("4294967296", "4.29497e+09")):
        with pytest.raises(Failure) as caught:
            value(f"vector_uint32([{wrong}])", imports=("arrays",))
        message = f"`arrays.uint32` needs a whole number from 0 to 4294967295, not {shown}"
        assert caught.value.error.message == message


# dir


def run(text: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    Path("p.imgql").write_text(text)
    status = main(["run", "p.imgql", "--store", "store"])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory `d` with two files, a hidden one, and a directory with a file."""
    monkeypatch.chdir(tmp_path)
    Path("d/sub").mkdir(parents=True)
    for name in ("b.txt", "a.txt", ".hidden.txt", "sub/c.txt"):
        Path("d", name).write_text("")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ('"d"', ["a.txt", "b.txt", "sub"]),
        ('"d/", "*.txt"', ["a.txt", "b.txt"]),
        ('"d", "?.txt", true', ["a.txt", "b.txt", "sub/c.txt"]),
        ('"d", ".*"', [".hidden.txt"]),
        ('"d", "sub/*"', ["sub/c.txt"]),
        ('"d", "*", true, true', ["d/a.txt", "d/b.txt", "d/sub", "d/sub/c.txt"]),
        ('"~/d", "sub", false, true', ["HOME/d/sub"]),
        ('"d", "nothing"', []),
        ('strings.concat("d", "/", part), "*"', ["c.txt"]),
    ],
)
def test_dir(
    tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: str, names: list[str]
) -> None:
    monkeypatch.setenv("HOME", str(tree))
    found = ", ".join(f'"{name}"'.replace("HOME", str(tree)) for name in names)
    assert run(f'let part = "sub"\nprint "v" dir({arguments})', capsys) == (0, f"v=[{found}]\n", "")


@pytest.mark.usefixtures("tree")
def test_dir_goes_by_what_is_there_now(capsys: pytest.CaptureFixture[str]) -> None:
    """Also with results in a store: what is made of the names has the ids of what is made of those."""
    text = 'print "v" for name in dir("d", "*.txt") do strings.concat("<", name)'
    assert run(text, capsys)[1] == 'v=["<a.txt", "<b.txt"]\n'
    Path("d/b.txt").rename("d/z.txt")
    assert run(text, capsys)[1] == 'v=["<a.txt", "<z.txt"]\n'


@pytest.mark.usefixtures("tree")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ('"nowhere"', "there is no directory nowhere"),
        ('"d/a.txt"', "d/a.txt is not a directory"),
        ('"d", "{case}"', '"{case}" is no pattern for the names in a directory'),
        ('"d", ""', '"" is no pattern for the names in a directory'),
    ],
)
def test_dir_that_cannot_be(capsys: pytest.CaptureFixture[str], arguments: str, message: str) -> None:
    status, out, err = run(f'print "other" 1\nprint "v" dir({arguments})', capsys)
    assert (status, out) == (1, "other=1\n")
    assert message in err
    assert "p.imgql:2:11" in err


def test_what_dir_takes_is_checked() -> None:
    with pytest.raises(ProgramError) as caught:
        check(parse(Source("names", 'print "v" dir(1)\nprint "w" dir("d", "*", 1)\n')))
    assert [each.message for each in caught.value.diagnostics] == [
        "`dir` takes a string, and is given a number",
        "`dir` takes a bool as its third argument, and is given a number",
    ]


def test_a_directory_that_an_image_decides() -> None:
    with pytest.raises(Failure) as caught:
        value('dir(strings.concat("d", max(i)))', i=[1, 2])
    assert caught.value.error.message == "which directory `dir` looks into depends on an image here"
