"""Every decision of the language reference, C1 to C29, by programs that are run whole: what they print, write and say.

What operators decide is looked at closer in `test_conformance`, what messages say in `test_wrong`.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image as pillow
from tests.command import Said, commands
from tests.fixtures import make_files, volume

import voxlogica as vx
from voxlogica import formula
from voxlogica.operators import operators
from voxlogica.values import Space

Voxlogica = Callable[..., Said]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Voxlogica:
    """Runs the command on a program, in a directory of files, with a store of its own."""
    make_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    command = commands(capfd)

    def of(text: str, *options: str, word: str = "run") -> Said:
        Path("p.imgql").write_text(text)
        return command(word, "p.imgql", *options)

    return of


def printed(said: Said) -> dict[str, str]:
    """What a run printed, by label; it went well and said nothing else."""
    assert (said.status, said.err) == (0, "")
    return dict(line.split("=", 1) for line in said.out.splitlines())


def first(said: Said) -> str:
    """The first line of what is wrong."""
    assert said.status in (1, 2, 3)
    return said.err.splitlines()[0]


BRAIN = 'load brain = "brain.nii.gz"\nlet i = intensity(brain)\n'  # 8 x 7 x 6, 0 to 335, and 567 at (5, 4, 3)


# C1 to C8: the language


def test_c1_words_are_whole_words(run: Voxlogica) -> None:
    text = """let information = 1
let nanometre = 2
let trueish = 3
let a_b = 4
print "sum" information + nanometre + trueish + a_b
print "dot" 1 .<=. 2
"""
    assert printed(run(text)) == {"sum": "10", "dot": "true"}
    assert printed(run(f'{BRAIN}print "v" volume(335 .<= i)')) == {"v": "2"}
    assert first(run(f'{BRAIN}print "v" volume(!N (i >. 1))')) == "error[name]: there is no operator `!N`"
    assert first(run('print "v" 1.')) == "error[syntax]: `1.` is not a number: digits are missing after the point"


def test_c2_strings_know_four_escapes(run: Voxlogica) -> None:
    assert run(r'print "a" "\"\\\n\t."').out == 'a="\\\n\t.\n'
    assert first(run(r'print "a" "\d"')).startswith("error[syntax]: ")


def test_c3_commands_without_separators(run: Voxlogica) -> None:
    text = """xs = [1, 2, 3]
a = fold + xs
b = fold + 10 xs
c = fold(+, xs)
d = fold(+, 10, xs)
print "all" [a, b, c, d] print "line" 5
"""
    assert printed(run(text)) == {"all": "[6, 16, 6, 16]", "line": "5"}
    assert first(run("let a = 1 b = 2")).startswith("error[syntax]: ")


def test_c3b_both_readings_must_agree(run: Voxlogica) -> None:
    assert printed(run('print "a" 2 + 3 * 4')) == {"a": "14"}
    said = run('print "a" 10 - 3 - 2')
    assert first(said) == "error[dialect]: brackets are missing: version 1 of the language reads this differently"
    assert "(10 - 3) - 2" in said.err
    assert "10 - (3 - 2)" in said.err
    assert printed(run('print "a" 10 - 3 - 2', "--dialect", "1")) == {"a": "9"}
    assert printed(run('print "a" 10 - 3 - 2\nprint "b" 2 + 3 * 4', "--dialect", "2")) == {"a": "5", "b": "20"}
    assert printed(run('// dialect: 2\nprint "b" 2 + 3 * 4')) == {"b": "20"}


def test_c4_imports(run: Voxlogica, tmp_path: Path) -> None:
    Path("lib").mkdir()
    Path("elsewhere").mkdir()
    Path("lib/one.imgql").write_text('import "two"\nlet one = two + 1\n')
    Path("lib/two.imgql").write_text("let two = 2\n")
    Path("elsewhere/three.imgql").write_text("let three = 3\n")
    text = 'import "lib/one"\nimport "three.imgql"\nimport "RegionCalculus"\nprint "a" one + three\n'
    assert printed(run(text, "--library-path", "elsewhere")) == {"a": "6"}
    Path("lib/two.imgql").write_text('import "one"\nlet two = 2\n')
    said = run('import "lib/one"\nprint "a" one\n')
    assert first(said) == "error[import]: these files import each other in a circle"
    assert "p.imgql:1:8 imports lib/one.imgql" in said.err
    Path("lib/two.imgql").write_text('print "two" 2\n')
    assert first(run('import "lib/one"\n')) == "error[import]: `print` stands in a file that is imported"


def test_c5_types_are_checked_before_anything_runs(run: Voxlogica) -> None:
    text = f'{BRAIN}print "fine" 1\nprint "a" volume(i)\nprint "b" near(3)\nlet unused = 1 + "x"\n'
    said = run(text)
    assert (said.status, said.out) == (2, "")
    assert said.err.count("error[type]") == 2
    assert said.err.count("warning[type]") == 1
    assert printed(run(f'{BRAIN}print "labels" max(lcc(i >. 0) + i)')) == {"labels": "568"}


def test_c6_negative_bounds_count_from_the_end(run: Voxlogica) -> None:
    text = """let xs = [1, 2, 3, 4]
print "a" xs[-2:]
print "b" xs[:-1]
print "c" xs[-3:-1]
print "d" subsequence(xs, -2, 2)
"""
    assert printed(run(text)) == {"a": "[3, 4]", "b": "[1, 2, 3]", "c": "[2, 3]", "d": "[1, 2]"}


def test_c7_nothing_element_by_element_is_nothing(run: Voxlogica) -> None:
    assert printed(run('let xs = range(0)\nprint "a" xs + 1\nprint "b" xs * xs')) == {"a": "[]", "b": "[]"}


def test_c8_a_condition_is_a_bool(run: Voxlogica) -> None:
    message = "error[type]: `filter` keeps the elements for which its condition holds, and this one is a number"
    assert first(run('print "a" filter x in [0, 1] do x')) == message
    assert printed(run(f'{BRAIN}print "a" max(fold max [i, 2 * i, i])')) == {"a": "1134"}


# C9 to C15: operators


def test_c9_numbers_to_8_bits(run: Voxlogica) -> None:
    text = """import "geom"
let row = circle(circle(circle(blank(1, 4, 300), 1, 0, 0, 2.5), 2, 0, 0, 1.5), 3, 0, 0, 0 - 3)
save "row.png" row
save "mask.png" row >. 2
"""
    said = run(text)
    assert said.status == 0
    assert said.err.splitlines()[0] == (
        "warning[output]: row.png holds numbers from 0 to 255, and 2 values are outside"
    )
    assert np.asarray(pillow.open("row.png")).tolist() == [[255, 2, 2, 0]]
    assert np.asarray(pillow.open("mask.png")).tolist() == [[255, 255, 0, 0]]


def test_c10_constants_take_a_grid(run: Voxlogica) -> None:
    two = f'{BRAIN}load small = "small.nii.gz"\n'
    text = f"""{two}let edge(a) = a & border
print "a" volume(border & (i >. 0 - 1))
print "b" volume(edge(intensity(small) >. 0 - 1))
print "c" volume(border(small))
print "d" max(x(small))
print "e" for k in [1, 2] do volume(border & (intensity(small) >. k))
"""
    assert printed(run(text)) == {"a": "216", "b": "56", "c": "56", "d": "3", "e": "[54, 53]"}
    assert first(run(f'{two}print "a" volume(border)')) == (
        "error[space]: `border` could be on the voxel grid of `brain` or of `small`"
    )
    assert first(run('print "a" volume(border)')).startswith("error[space]: `border` has no voxel grid")
    assert printed(run(f'{BRAIN}print "a" volume(border)')) == {"a": "216"}


def test_c11_interior_is_the_box(run: Voxlogica) -> None:
    text = f'{BRAIN}let one = i =. 567\nprint "a" volume(!interior(!one))\nprint "b" volume(near(one))'
    assert printed(run(text)) == {"a": "27", "b": "27"}


def test_c12_colours_of_a_grey_image(run: Voxlogica) -> None:
    text = f'{BRAIN}print "a" [max(red(brain)), max(green(brain)), max(blue(brain)), max(i), max(alpha(brain))]'
    assert printed(run(text)) == {"a": "[567, 567, 567, 567, 255]"}


def test_c13_percentiles_outside_the_mask(run: Voxlogica) -> None:
    text = f'{BRAIN}let p = percentiles(i, i >. 99, 1)\nprint "a" min(p)\nprint "b" volume(p =. -1)\nprint "c" max(p)'
    assert printed(run(text)) == {"a": "-1", "b": "100", "c": "1"}


def test_c14_every_voxel_is_correlated(run: Voxlogica) -> None:
    text = f"""{BRAIN}print "a" volume(crossCorrelation(1, i, i, i >. 200, 0, 600, 7) >. 1)
save "c.nii" crossCorrelation(1, i, i, i >. 200, 0, 600, 7)
"""
    assert printed(run(text, "--jobs", "1")) == {"a": "0"}
    once = Path("c.nii").read_bytes()
    assert printed(run(text, "--jobs", "4", "--no-store")) == {"a": "0"}
    assert Path("c.nii").read_bytes() == once


def test_c15_components_of_a_mask(run: Voxlogica) -> None:
    text = """import "geom"
let two = circle(circle(blank(1, 7), 1, 0, 1, 1), 5, 0, 1, 1) >. 0
let left = two & (x <. 3)
print "a" [collect(left, two), collect(two, two)]
print "b" [minCC(two, two), maxCC(two, two)]
print "c" max(maskCC(left, two))
"""
    assert printed(run(text)) == {"a": "[true, false]", "b": "[1, 2]", "c": "1"}


# C16 to C21: names, measures, identity, output, records


def test_c16_namespaces(run: Voxlogica) -> None:
    assert printed(run('print "a" strings.concat("a", "b")')) == {"a": "ab"}
    assert printed(run('import "strings"\nprint "a" concat("a", "b")')) == {"a": "ab"}
    message = "error[name]: `concat` is in the namespace `strings`, which is not imported"
    assert first(run('print "a" concat("a", "b")')) == message


def test_c17_two_empty_masks_have_dice_one(run: Voxlogica) -> None:
    text = f'{BRAIN}let none = i >. 1000\nprint "a" [dice(none, none), jaccard(none, none), dice(none, i >. 0)]'
    assert printed(run(text)) == {"a": "[1, 1, 0]"}


def test_c18_an_id_is_of_all_that_matters_and_nothing_else(run: Voxlogica, tmp_path: Path) -> None:
    def ids(text: str) -> dict[str, object]:
        with vx.Session(store=False) as session:
            return {name: made.id for name, made in session.program(text).run().names.items()}

    text = f'{BRAIN}let level = 5\nlet m = near(i >. level)\nprint "a" volume(m)'
    same = """load other = "copy.nii.gz"
let threshold = 5.0
let n(j) = near(intensity(other) >. j)
let q = n(threshold)
print "a" volume(q)
"""
    Path("copy.nii.gz").write_bytes(Path("brain.nii.gz").read_bytes())
    assert ids(text)["m"] == ids(same)["q"]
    assert ids(text)["m"] != ids(text.replace("5", "6"))["m"]
    before = ids(text)["m"]
    brain = np.asarray(nibabel.load("brain.nii.gz").dataobj).copy()  # type: ignore[attr-defined]
    brain[0, 0, 0] = 1
    volume(Path("brain.nii.gz"), brain)
    assert ids(text)["m"] != before
    table, near = formula.Formulas(), operators()["near"]
    mask = table.apply(operators()["tt"], (), Space.grid(2, 2))
    assert table.apply(near, (mask,)).id != table.apply(replace(near, version=2), (mask,)).id


def test_c18_effects_happen_again(run: Voxlogica) -> None:
    text = f'{BRAIN}save "m.nii.gz" i >. 5\nprint "a" volume(i >. 5)'
    assert run(text).out == "a=330\n"
    once = Path("m.nii.gz").read_bytes()
    Path("m.nii.gz").unlink()
    assert run(text).out == "a=330\n"
    assert Path("m.nii.gz").read_bytes() == once


def test_c19_what_print_writes(run: Voxlogica) -> None:
    text = f"""{BRAIN}print "last" volume(maxvol(i >. 5))
print "third" 1 / 3
print "whole" 6 / 2
print "truth" 1 < 2
print "tenth" 0.1
print "large" 1e300 * 10
print "list" ["a", "b"]
"""
    said = run(text)
    assert said.out == (
        'last=330\nthird=0.3333333333333333\nwhole=3\ntruth=true\ntenth=0.1\nlarge=1e+301\nlist=["a", "b"]\n'
    )
    assert said.err == ""


def test_c19_a_number_has_one_text_everywhere(run: Voxlogica) -> None:
    """Section 9.5 would have `1.0` in texts; the decision wins."""
    numbers = ("1", "0.1", "-0.0", "1e15", "1e16", "inf", "1e-7")
    for number in numbers:
        text = f'print "a" {number}\nprint "b" strings.concat("", {number})\n'
        text += f'print "c" strings.format_string("{{}}", {number})'
        assert len(set(printed(run(text)).values())) == 1, number


def test_c20_records_have_fields(run: Voxlogica) -> None:
    text = f'{BRAIN}let s = array_stats(i)\nprint "a" s.max - s.min\nprint "b" s.count'
    assert printed(run(text)) == {"a": "567", "b": "336"}
    assert first(run(f'{BRAIN}let s = array_stats(i)\nprint "a" s.largest')).startswith("error[")


def test_c21_division_by_zero(run: Voxlogica) -> None:
    text = f'{BRAIN}print "a" [1 / 0, -1 / 0]\nprint "b" max(i / (i - i))\nprint "c" max(1 ./ (i - i))'
    assert printed(run(text)) == {"a": "[inf, -inf]", "b": "3.4028234663852886e+38", "c": "3.4028234663852886e+38"}


# C22 to C26: grids, distances, files, ranks


def test_c22_several_grids(run: Voxlogica) -> None:
    two = f'{BRAIN}load shifted = "shifted.nii.gz"\n'
    apart = f'{two}print "a" max(i)\nprint "b" max(intensity(shifted))'
    together = f'{two}print "a" max(i + intensity(shifted))'
    assert printed(run(apart)) == {"a": "567", "b": "567"}
    said = run(together)
    assert (said.status, said.out) == (3, "")
    assert first(said) == "error[grid]: `brain` and `shifted` are not on the same voxel grid"
    assert "<- 0.5 mm apart" in said.err
    assert said.err.endswith("--grid-tolerance 0.6mm; if not, resample(shifted, brain) in the program\n")
    assert printed(run(together, "--grid-tolerance", "0.6")) == {"a": "1134"}
    said = run(together, "--dialect", "1")
    assert (said.status, said.out) == (0, "a=1134\n")
    assert said.err.startswith("warning[grid]: `shifted` is not on the voxel grid of `brain`, and is taken to be")
    text = f"""{two}print "a" max(resample(intensity(shifted), brain) - (i - 0.5))
print "b" volume(resample(intensity(shifted) =. 567, i))
"""
    assert printed(run(f'{two}print "b" volume(resample(intensity(shifted) =. 567, i))')) == {"b": "1"}
    assert run(text).status == 0


def test_c22_sizes_that_differ(run: Voxlogica) -> None:
    two = f'{BRAIN}load small = "small.nii.gz"\n'
    assert first(run(f'{two}print "a" max(i + intensity(small))')).startswith("error[grid]: `brain` and `small`")
    assert first(run(f'{two}print "a" max(i)', "--dialect", "1")).startswith("error[grid]: `small`")
    assert printed(run(f'{two}print "a" max(i + resample(intensity(small), brain))')) == {"a": "567"}


def test_c23_distances_are_rounded_once(run: Voxlogica) -> None:
    affine = np.diag([-0.7, -0.9, 1.0, 1.0])
    one = np.zeros((7, 3, 1), np.uint8)
    one[0, 0, 0] = 1
    nibabel.save(nibabel.Nifti1Image(one, affine), "one.nii")  # type: ignore[no-untyped-call]
    text = """load m = "one.nii"
let b = intensity(m) >. 0
print "a" max(dt(b))
print "b" volume(distleq(3 * 0.7, b) & (y =. 0))
"""
    spacing = [float(np.float32(0.7)), float(np.float32(0.9))]
    farthest = float(np.float32(np.sqrt((6 * spacing[0]) ** 2 + (2 * spacing[1]) ** 2)))
    assert printed(run(text)) == {"a": repr(farthest), "b": "4"}


def test_c24_damaged_files_are_refused_before_anything_runs(run: Voxlogica) -> None:
    for name in ("truncated", "garbage", "empty"):
        said = run(f'{BRAIN}load unused = "{name}.nii.gz"\nprint "a" max(i)')
        assert (said.status, said.out) == (3, "")
        assert first(said).startswith("error[input]: ")
    said = run('load series = "series.nii.gz"\nprint "a" max(intensity(series))')
    assert (said.status, said.out) == (3, "")
    assert "axis" in said.err or "axes" in said.err
    data = bytearray(Path("brain.nii.gz").read_bytes())
    data[-6] ^= 1  # of the checksum
    Path("brain.nii.gz").write_bytes(bytes(data))
    with pytest.raises(gzip.BadGzipFile):
        gzip.decompress(bytes(data))
    assert run(f'{BRAIN}print "a" max(i)').status == 3


def test_c25_smoothen_and_the_published_flt(run: Voxlogica) -> None:
    text = """import "geom"
let a = circle(blank(8, 8), 4, 4, 2, 1) >. 0
let flt(r, a) = dt(distgeq(r, !a)) <. r
print "library" volume(smoothen(a, 1))
print "published" volume(flt(1, a))
"""
    assert printed(run(text)) == {"library": "25", "published": "13"}


def test_c26_ranks_in_float32(run: Voxlogica) -> None:
    rank = (np.float32(334) + np.float32(0.1) * np.float32(1)) / np.float32(336)
    text = f'{BRAIN}print "a" avg(percentiles(i, tt, 0.1), i =. 335)'
    assert printed(run(text)) == {"a": repr(float(rank))}
    said = run(f'{BRAIN}print "a" max(percentiles(i /. 0, tt, 0.1))')
    assert said.status == 1
    assert first(said) == "error[compute]: `percentiles` met voxels that are not numbers (NaN) among those it ranks"


# C27 to C29: what comes from outside


def test_c27_names_in_strings(run: Voxlogica, monkeypatch: pytest.MonkeyPatch) -> None:
    text = 'print "a" "$NAME_flair ${name} $$5 ${dir}"\nprint "b" $stem'
    monkeypatch.setenv("NAME", "outside")
    here = str(Path.cwd())
    assert printed(run(text, "--set", "name=x")) == {"a": f"outside_flair x $5 {here}", "b": "p"}
    assert printed(run(text, "--set", "name=x", "--set", "NAME=set"))["a"].startswith("set_flair")
    monkeypatch.delenv("NAME")
    said = run(text, "--set", "name=x")
    assert (said.status, first(said)) == (2, "error[parameter]: `$NAME` has no value")
    said = run(text, "--set", "name=x", word="check")
    assert (said.status, said.err.splitlines()[0]) == (0, "warning[parameter]: `$NAME` has no value yet")


def test_c28_paths(run: Voxlogica) -> None:
    assert run(f'{BRAIN}save "m.nii.gz" i >. 5').status == 0
    assert Path("m.nii.gz").exists()
    assert run(f'{BRAIN}save "deep/m.nii.gz" i >. 5', "--output-dir", "out").status == 0
    assert Path("out/deep/m.nii.gz").read_bytes() == Path("m.nii.gz").read_bytes()
    said = run(f'{BRAIN}save "twice.nii.gz" i >. 5\nsave "./twice.nii.gz" i')
    assert (said.status, first(said)) == (2, "error[output]: two `save`s write the same file, twice.nii.gz")
    assert not Path("twice.nii.gz").exists()


def test_c29_inputs_and_parameters(run: Voxlogica) -> None:
    text = """let brain = ReadImage("brain.nii.gz")
let level = 300
let up = true
print "a" volume(intensity(brain) >. level)
print "b" up
"""
    assert printed(run(text)) == {"a": "36", "b": "true"}
    assert printed(run(text, "--set", "level=566", "--set", "up=false")) == {"a": "1", "b": "false"}
    assert first(run(text, "--set", "level=high")).startswith("error[parameter]: --set level=high: `level` is a number")
    assert first(run(text, "--set", "levle=3")).startswith(
        "error[parameter]: --set levle=3: the program has no parameter"
    )
    assert first(run(text + 'print "c" "$level ${level}"', "--set", "level=3")).startswith("error[")
    with vx.Session(store=False) as session:
        program = session.program(text)
        assert (program.inputs, program.parameters) == (("brain",), {"level": 300, "up": True})
