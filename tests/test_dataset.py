"""Data sets within a program: a record for each case, whose files are on grids of their own (C10, C20, C22)."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from random import Random

import nibabel
import numpy as np
import pytest
from tests.test_check import checked

from voxlogica.cli import main
from voxlogica.errors import ProgramError

SIZES = {"ann": (4, 3, 2), "bob": (5, 2, 3), "cat": (3, 3, 3)}
DATA = 'dataset("flair=data/{case}/{case}_flair.nii.gz", "seg=data/{case}/{case}_seg.nii.gz")'

Run = Callable[..., tuple[int, str, str]]


def write(name: str, kind: str, voxels: np.ndarray) -> None:
    Path("data", name).mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(voxels.astype(np.int16), np.eye(4)), f"data/{name}/{name}_{kind}.nii.gz")


def flair(name: str) -> np.ndarray:
    return np.arange(np.prod(SIZES[name])).reshape(SIZES[name]) % 7


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)
    for name in SIZES:
        write(name, "flair", flair(name))
        write(name, "seg", flair(name) > 3)

    def running(text: str, *words: str) -> tuple[int, str, str]:
        Path("p.imgql").write_text(text)
        status = main(["run", "p.imgql", "--store", "store", *words])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return running


def dice(name: str, level: float) -> float:
    a, b = flair(name) > level, flair(name) > 3
    return 2 * float((a & b).sum()) / float(a.sum() + b.sum())


def test_a_loop_measures_each_case_on_its_grid(run: Run) -> None:
    text = f'let level = 4\nprint "dice" for c in {DATA} do dice(intensity(c.flair) > level, intensity(c.seg) > 0)\n'
    text += f'print "case" for c in {DATA} do c.case\nprint "inside" for c in {DATA} do '
    text += "volume((intensity(c.flair) > level) & !border)"
    status, out, err = run(text)
    assert (status, err) == (0, "")
    found = dict(line.split("=") for line in out.splitlines())
    assert eval(found["dice"]) == [dice(name, 4) for name in SIZES]
    assert found["case"] == '["ann", "bob", "cat"]'
    inside = [(flair(name) > 4)[1:-1, 1:-1, 1:-1].sum() for name in SIZES]
    assert eval(found["inside"]) == inside
    assert run(text) == (0, out, "")
    assert run(text, "-n")[1].splitlines()[-1] == "nothing is to be computed: all results are stored"


def test_cases_and_parameters_nest_and_records_go_through_functions(run: Run) -> None:
    text = "measure(c, level) = confusion_matrix(intensity(c.flair) > level, intensity(c.seg) > 0)\n"
    text += f'print "v" for c in {DATA} do for level in [2, 4] do measure(c, level).dice'
    assert eval(run(text)[1].removeprefix("v=")) == [[dice(name, level) for level in (2, 4)] for name in SIZES]


def test_what_a_pattern_without_a_name_finds_is_the_image(run: Run) -> None:
    text = 'print "v" for c in dataset("data/{case}/{case}_{kind}.nii.gz") do max(intensity(c.image))\n'
    text += 'print "k" for c in dataset("data/{case}/{case}_{kind}.nii.gz") do c.kind'
    assert run(text)[1] == 'v=[6, 1, 6, 1, 6, 1]\nk=["flair", "seg", "flair", "seg", "flair", "seg"]\n'


def test_cases_that_an_image_decides(run: Run) -> None:
    """A filter over cases on different grids, whose condition must be computed."""
    large = {name: float((flair(name) > 3).sum()) for name in SIZES}
    least = sorted(large.values())[1]
    text = f"let large = filter c in {DATA} do volume(intensity(c.seg) > 0) >= {least}\n"
    text += (
        'print "case" for c in large do c.case\nprint "near" for c in large do volume(near(intensity(c.flair) > 5))\n'
    )
    text += 'print "inside" for c in large do volume((intensity(c.flair) > 4) & !border)\n'
    text += (
        'print "nested" for c in large do for k in range(max(intensity(c.flair))) do volume((c2(c) > k) & !border)\n'
    )
    _, out, err = run("let c2(c) = intensity(c.flair)\n" + text)
    assert err == ""
    names = [name for name in SIZES if large[name] >= least]
    assert len(names) < 3
    case, near, inside, nested = out.splitlines()
    assert case == f"case=[{', '.join(f'{chr(34)}{name}{chr(34)}' for name in names)}]"
    assert near.count(",") == len(names) - 1
    inner = [flair(name)[1:-1, 1:-1, 1:-1] for name in names]
    assert eval(inside.removeprefix("inside=")) == [(each > 4).sum() for each in inner]
    assert eval(nested.removeprefix("nested=")) == [[(each > k).sum() for k in range(6)] for each in inner]


CHOSEN = f"""let cases = {DATA}
let level = 4
size(c) = volume(intensity(c.seg) > 0)
let largest = cases[argmax(for c in cases do size(c))]
let other = cases[min(intensity(cases[0].flair))]
"""


@pytest.fixture
def largest(run: Run) -> str:
    """The case with the largest segmentation: by far `bob`, which is not the first."""
    write("bob", "seg", flair("bob") >= 0)
    return "bob"


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("largest.case", '"bob"'),
        ("size(largest)", 30),
        ("max(intensity(largest.flair))", 6),
        ("volume(near(intensity(largest.flair) > level) & !border)", "volume(near(F > 4) & !border)"),
        ("volume(border & (intensity(largest.flair) >= 0))", 30),
        ("volume(border(largest.seg))", 30),
        ("simpleitk.Statistics(intensity(largest.flair))[2]", "simpleitk.Statistics(F)[2]"),
        ("simpleitk.Statistics(intensity(largest.flair))", "simpleitk.Statistics(F)"),
        ("mean(simpleitk.MinimumMaximum(intensity(largest.flair))[0:2])", "mean(simpleitk.MinimumMaximum(F))"),
        ("for c in cases do simpleitk.MinimumMaximum(intensity(resample(c.flair, largest.flair)))[1]", [6, 6, 6]),
        ("let i = intensity(largest.flair) in dice(i > level, intensity(largest.seg) > 0)", "dice(F > 4, F >= 0)"),
        ("confusion_matrix(intensity(largest.flair) > level, intensity(largest.seg) > 0).fn", "volume(!(F > 4))"),
        ("for k in range(3) do volume(intensity(largest.flair) > k)", "for k in range(3) do volume(F > k)"),
        (  # a loop as long as the image says
            "for k in range(max(intensity(largest.flair))) do volume(near(intensity(largest.flair) > k))",
            "for k in range(max(F)) do volume(near(F > k))",
        ),
        (
            "fold + (for k in range(max(intensity(largest.flair))) do volume(intensity(largest.flair) > k))",
            "fold + (for k in range(max(F)) do volume(F > k))",
        ),
        ("max(fold + (for k in range(max(intensity(largest.flair))) do intensity(largest.flair) * k))", "15 * max(F)"),
        ("max(mean(for k in range(max(intensity(largest.flair))) do intensity(largest.flair) + k))", 8.5),
        ("volume((for c in cases do near(intensity(c.flair) > level))[argmax(for c in cases do size(c))])",
         "volume(near(F > 4))"),
        ("max([intensity(largest.flair), intensity(largest.seg)][min(intensity(largest.flair))])", 6),
        ("for i in (filter i in [intensity(largest.flair), intensity(largest.seg)] do max(i) > 3) do volume(i > 4)",
         "[volume(F > 4)]"),
        ("max(intensity(cases[max(intensity(cases[min(intensity(largest.flair)) + 1].flair)) - 5].flair))", 6),
        ("volume(intensity(resample(largest.flair, cases[0].flair)) >= 0)", 24),
        ("volume(intensity(resample(cases[0].flair, largest.flair)) >= 0)", 30),
        ("for c in cases do volume(intensity(resample(c.flair, largest.flair)) >= 0)", [30, 30, 30]),
        ("dice(intensity(largest.flair) > level, intensity(cases[1].seg) > 0)", "dice(F > 4, F >= 0)"),
        ("for n in range(3) do max(intensity(cases[min(intensity(largest.flair)) + n].flair))", [6, 6, 6]),
        (
            "for n in range(max(intensity(largest.seg)) + 2) do volume(intensity(cases[n].flair) >= 0)",
            [24, 30, 27],
        ),
        (
            "for n in range(max(intensity(largest.seg)) + 2) do "
            "volume(intensity(cases[n + min(intensity(largest.flair))].flair) >= 0)",
            [24, 30, 27],
        ),
        ("mean(for n in range(3) do volume(intensity(cases[n * max(intensity(largest.seg))].flair) >= 0))", 27),
    ],
)  # fmt: skip
def test_a_case_that_an_image_decides_on_is_used_as_any_other(
    run: Run, largest: str, expression: str, expected: object
) -> None:
    """`expected` may be an expression over `F`, the image of the case that is meant."""
    status, out, err = run(f'{CHOSEN}print "v" {expression}')
    assert (status, err) == (0, "")
    if isinstance(expected, str) and "F" in expected:
        text = f'load f = "data/{largest}/{largest}_flair.nii.gz"\nlet F = intensity(f)\nprint "v" {expected}'
        assert out == run(text)[1]
    else:
        assert out.partition("=")[2].strip() == str(expected).strip('"')
    assert run(f'{CHOSEN}print "v" {expression}', "-n")[1].splitlines()[-1] == (
        "nothing is to be computed: all results are stored"
    )


def test_what_is_saved_of_a_case_that_an_image_decides_on(run: Run, largest: str) -> None:
    text = f"""{CHOSEN}let flair = intensity(largest.flair)
save "one/mask.nii.gz" near(flair > level) & !border
save "one/image.nii.gz" flair
save "one/model.nii.gz" largest.flair
save "one/edge.nii.gz" border & (flair >= 0)
"""
    by_hand = f"""load m = "data/{largest}/{largest}_flair.nii.gz"
let flair = intensity(m)
let level = 4
save "two/mask.nii.gz" near(flair > level) & !border
save "two/image.nii.gz" flair
save "two/model.nii.gz" m
save "two/edge.nii.gz" border & (flair >= 0)
"""
    for program in (text, by_hand):
        assert run(program)[0] == 0
    for name in ("mask", "image", "model", "edge"):
        one, two = (nibabel.load(f"{where}/{name}.nii.gz") for where in ("one", "two"))
        assert np.array_equal(one.get_fdata(), two.get_fdata())
        assert np.array_equal(one.affine, two.affine)


def test_c22_cases_that_images_decide_on_mix_if_their_grids_are_one(run: Run, largest: str) -> None:
    text = f'{CHOSEN}print "v" volume((intensity(largest.flair) > 4) & (intensity(other.flair) > 4))\nprint "w" 1'
    status, out, err = run(text)
    assert (status, out) == (1, "w=1\n")
    assert "`and` was given images on different voxel grids, of 5 x 2 x 3 and 4 x 3 x 2 voxels" in err
    same = text.replace("let other = cases[min", "let other = cases[1 + min")
    assert run(same) == (0, f"v={(flair(largest) > 4).sum()}\nw=1\n", "")


def test_it_is_the_task_that_had_been_written_by_hand(run: Run, largest: str) -> None:
    """What has been computed of the case is found, whoever decided on it."""
    by_hand = f'{CHOSEN}print "v" volume(near(intensity(cases[1].flair) > level))'
    run(f'{CHOSEN}print "s" size(largest)')
    run(by_hand)
    said = run(f'{CHOSEN}print "v" volume(near(intensity(largest.flair) > level))', "--profile")[2]
    assert "near" not in said, said


def test_renaming_and_place_change_no_id_of_what_an_image_decides_on(run: Run, largest: str) -> None:
    one = f'{CHOSEN}print "v" for n in range(max(intensity(largest.seg))) do dice(intensity(cases[n + min(intensity('
    one += "largest.flair))].flair) > level, intensity(largest.seg) >= n)"
    two = "let unused = volume(border(cases[0].flair))\n" + one.replace(" n ", " m ").replace("[n ", "[m ")
    two = two.replace(">= n)", ">= m)").replace("largest", "winner").replace("level", "hi")
    assert run(one)[0] == 1  # the first is on another grid
    one, two = (text.replace("[n + min", "[n + 1 + min").replace("[m + min", "[m + 1 + min") for text in (one, two))
    assert run(one)[0] == 0
    assert run(two, "-n")[1].splitlines()[-1] == "nothing is to be computed: all results are stored"


def test_records_of_other_names_are_others(run: Run) -> None:
    """The same case and the same file, under another name: a late record is a task, and its id has the names."""
    text = 'load scan = "data/ann/ann_flair.nii.gz"\nlet k = min(intensity(scan))\n'
    for name in ("one", "two"):
        text += f'let {name} = dataset("{name}=data/{{case}}/{{case}}_flair.nii.gz")[k]\n'
        text += f'print "{name}" {name}.case\n'
    assert run(text) == (0, "one=ann\ntwo=ann\n", "")


def test_one_case_s_failure_takes_no_other(run: Run) -> None:
    Path("data/bob/bob_seg.nii.gz").write_bytes(b"oops")
    Path("data/cat/cat_seg.nii.gz").unlink()
    text = (
        f'let v = for c in {DATA} do volume(intensity(c.seg) > 0)\nprint "ann" v[0]\nprint "bob" v[1]\nprint "cat" v[2]'
    )
    status, out, err = run(text)
    assert (status, out) == (1, f"ann={(flair('ann') > 3).sum()}\n")
    assert "data/bob/bob_seg.nii.gz is damaged" in err
    assert "cat: seg: there is no file data/cat/cat_seg.nii.gz" in err
    assert 'not done: print "bob"' in err


def test_a_changed_file_changes_what_needs_it_alone(run: Run) -> None:
    text = f'let v = for c in {DATA} do volume(intensity(c.seg) > 0)\nprint "ann" v[0]\nprint "bob" v[1]'
    run(text)
    write("bob", "seg", flair("bob") > 1)
    assert [line.split()[0] for line in run(text, "-n")[1].splitlines()[:2]] == ["known", "compute"]
    assert run(text)[1].splitlines()[1] == f"bob={(flair('bob') > 1).sum()}"


def test_images_of_several_cases_do_not_go_together(run: Run) -> None:
    status, out, err = run(f'print "v" max(fold + (for c in {DATA} do intensity(c.flair)))')
    assert (status, out) == (1, "")
    assert "`+` was given images on different voxel grids, of 4 x 3 x 2 and 5 x 2 x 3 voxels" in err


@pytest.mark.parametrize(
    "text",
    [
        "print 'v' volume((one > 1) & border(other))",
        "print 'v' volume((x(one) > 1) & border(other))",
        "print 'v' volume((one > 1) & border(intensity(cases[1].flair)))",
        "print 'v' volume((intensity(cases[min(one)].flair) > 1) & border(other))",
        "print 'v' volume((one > 1) & border(intensity(scan)))",
        "let edge(i, j) = (i > 1) & border(j)\nprint 'v' volume(edge(one, other))",
        "let edge(i) = (x(i) > 1) & border(other)\nprint 'v' volume(edge(one))",
        "print 'v' for c in cases[0:1] do volume((intensity(c.flair) > 1) & border(other))",
    ],
)
def test_the_grid_of_an_image_that_is_named_is_that_image_s(run: Run, text: str) -> None:
    """C10. Not that of another with which it meets, which would be counted over the wrong voxels."""
    cases = f"let cases = {DATA}\nlet one = intensity(cases[0].flair)\nlet other = intensity(cases[1].flair)\n"
    status, out, err = run(f'{cases}load scan = "data/bob/bob_flair.nii.gz"\n' + text.replace("'", '"'))
    assert (status, out) == (1, "")
    assert "`and` was given images on different voxel grids, of 4 x 3 x 2 and 5 x 2 x 3 voxels" in err
    assert run(f'{cases}print "v" volume((other > 4) & border(other))')[:2] == (0, f"v={(flair('bob') > 4).sum()}\n")


def test_grids_of_two_cases_that_only_rounding_tells_apart_are_two(run: Run) -> None:
    """A case's results must not depend on which others there are."""
    affine = np.eye(4)
    affine[0, 3] = 1e-6
    nibabel.save(nibabel.Nifti1Image(flair("ann").astype(np.uint8), affine), "data/bob/bob_flair.nii.gz")
    cases = f"let cases = {DATA}\nlet one = intensity(cases[0].flair)\nlet other = intensity(cases[1].flair)\n"
    status, out, err = run(f'{cases}print "v" volume((one > 4) & (other > 4))')
    assert (status, out) == (1, "")
    assert "voxel grids that lie alike, and are written in different ways" in err
    there = "intensity(resample(cases[1].flair, cases[0].flair))"
    assert run(f'{cases}print "v" volume((one > 4) & ({there} > 4))')[1] == f"v={(flair('ann') > 4).sum()}\n"


def test_c22_images_of_one_case_on_grids_of_their_own(run: Run) -> None:
    """Mixing them is an error of that case alone; `resample` is the bridge, a loop's `border` is that of its image."""
    write("bob", "seg", flair("ann") > 3)
    sums = f"let sums = for c in {DATA} do volume((intensity(c.flair) > 4) & (intensity(c.seg) > 0))\n"
    text = sums + "".join(f'print "{name}" sums[{n}]\n' for n, name in enumerate(SIZES))
    status, out, err = run(text)
    both = {name: int((flair(name) > 4).sum()) for name in SIZES}
    assert (status, out) == (1, f"ann={both['ann']}\ncat={both['cat']}\n")
    assert "`and` was given images on different voxel grids, of 5 x 2 x 3 and 4 x 3 x 2 voxels" in err
    assert 'not done: print "bob"\n' in err
    for cases in (DATA, f"(filter c in {DATA} do max(intensity(c.seg)) > 0)"):  # the second is known only while it runs
        text = f"""print "flair" for c in {cases} do volume(intensity(c.flair) > 4)
print "seg" for c in {cases} do volume(intensity(c.seg) > 0)
print "edge" for c in {cases} do volume(border & (intensity(c.flair) >= 0))
print "edge of seg" for c in {cases} do volume(border & (intensity(c.seg) >= 0))
print "case" for c in {cases} do c.case
print "bridge" for c in {cases} do volume((intensity(c.flair) > 4) & (intensity(resample(c.seg, c.flair)) >= 0))
print "mixed" for c in {cases} do volume((intensity(c.flair) > 4) & (intensity(c.seg) > 0))
"""
        status, out, err = run(text)
        assert status == 1
        edges = {name: int(flair(name).size - flair(name)[1:-1, 1:-1, 1:-1].size) for name in SIZES}
        assert {line.split("=")[0]: eval(line.split("=")[1]) for line in out.splitlines()} == {
            "flair": [*both.values()],
            "seg": [(flair(name) > 3).sum() for name in ("ann", "ann", "cat")],
            "edge": [*edges.values()],
            "edge of seg": [edges["ann"], edges["ann"], edges["cat"]],
            "case": [*SIZES],
            "bridge": [*both.values()],
        }
        assert err.count("error[") == 1
        assert "different voxel grids, of 5 x 2 x 3 and 4 x 3 x 2 voxels" in err


def test_c22_images_of_one_case_of_one_size_say_how_far_they_are_apart(run: Run) -> None:
    moved = np.eye(4)
    moved[2, 3] = 0.5
    nibabel.save(nibabel.Nifti1Image(flair("bob").astype(np.int16), moved), "data/bob/bob_seg.nii.gz")
    text = f'print "v" for c in {DATA} do volume((intensity(c.flair) > 4) & (intensity(c.seg) > 0))'
    status, _, err = run(text)
    assert status == 1
    assert "`and` was given images on different voxel grids, with origins 0.5 mm apart" in err
    assert "if this is rounding, --grid-tolerance 0.6mm; if not, resample(other, image) in the program" in err
    assert run(text, "--grid-tolerance", "0.6mm")[0] == 0


def test_grids_that_cases_write_in_different_ways_are_brought_together_without_a_change(run: Run) -> None:
    for name, code in (("ann", 1), ("bob", 2)):
        image = nibabel.Nifti1Image((flair("ann") * code).astype(np.int16), np.eye(4))
        image.set_sform(np.eye(4), code)
        nibabel.save(image, f"data/{name}/{name}_flair.nii.gz")
    cases = f"let cases = {DATA}[0:2]\n"
    status, _, err = run(f'{cases}print "v" max(mean(for c in cases do intensity(c.flair)))')
    assert status == 1
    assert "`mean` was given images on voxel grids that lie alike, and are written in different ways\n" in err
    assert "`resample(image, like)` brings an image onto the grid of another; where both lie alike it changes no" in err
    together = "for c in cases do resample(intensity(c.flair), cases[0].flair)"
    assert run(f'{cases}print "v" for m in [mean({together})] do [max(m), min(m)]')[1] == "v=[[9, 0]]\n"


def test_a_record_with_several_grids_goes_through_functions_and_lists(run: Run) -> None:
    write("bob", "seg", flair("ann") > 3)
    text = "inside(c) = [volume(near(intensity(c.flair) > 4)), volume(near(intensity(c.seg) > 0))]\n"
    text += f"let cases = {DATA}\nlet bob = cases[1]\n"
    text += 'print "bob" inside(bob)\nprint "list" for c in [cases[0], bob] do inside(c)[1]\n'
    text += 'print "late" for c in (filter c in [cases[0], bob] do max(intensity(c.flair)) > 0) do inside(c)[1]\n'
    text += 'save "s.nii.gz" intensity(bob.seg) > 0\nsave "f.nii.gz" (intensity(bob.flair) > 4) & border'
    status, out, err = run(text)
    assert (status, err) == (0, "")
    bob, listed, late = (eval(line.partition("=")[2]) for line in out.splitlines())
    assert listed == late == [bob[1], bob[1]]
    assert nibabel.load("s.nii.gz").shape == SIZES["ann"]
    assert nibabel.load("f.nii.gz").shape == SIZES["bob"]


def test_c22_images_of_a_case_that_rounding_moved_are_on_one_grid(run: Run) -> None:
    """The first pattern's image has the grid; each case for itself."""
    for n, name in enumerate(SIZES):
        moved = np.eye(4)
        moved[0, 3] = 0.0004 * n
        voxels = nibabel.Nifti1Image((flair(name) > 3).astype(np.int16), moved)
        nibabel.save(voxels, f"data/{name}/{name}_seg.nii.gz")
    text = f'print "dice" for c in {DATA} do dice(intensity(c.flair) > 4, intensity(c.seg) > 0)\n'
    status, out, err = run(text)
    assert (status, err) == (0, "")
    assert eval(out.removeprefix("dice=")) == [dice(name, 4) for name in SIZES]
    assert run(text, "--grid-tolerance", "0.0005")[0] != 0
    one = f'let c = {DATA}[2]\nsave "s.nii.gz" intensity(c.seg) > 0\nsave "f.nii.gz" intensity(c.flair) > 0'
    assert run(one)[0] == 0
    assert np.array_equal(nibabel.load("s.nii.gz").affine, nibabel.load("f.nii.gz").affine)


def test_c22_no_chain_of_small_differences_leads_far(run: Run) -> None:
    """`a` and `b` go together, and so do `b` and `c`: of all three `c` is too far from `a`, whose grid counts."""
    for n, kind in enumerate("abc"):
        moved = np.eye(4)
        moved[0, 3] = 0.0008 * n
        nibabel.save(nibabel.Nifti1Image(np.full((3, 3, 3), n, np.int16), moved), f"data/ann/ann_{kind}.nii.gz")
    for kinds, fits in (("ab", True), ("bc", True), ("abc", False), ("ac", False)):
        patterns = ", ".join(f'"{kind}=data/{{case}}/{{case}}_{kind}.nii.gz"' for kind in kinds)
        sums = " + ".join(f"intensity(c.{kind})" for kind in kinds)
        status, _, err = run(f'print "v" (for c in dataset({patterns}) do max({sums}))[0:1]')
        assert (status == 0) is fits, err
        assert fits or "different voxel grids" in err


def test_where_there_is_no_case(run: Run) -> None:
    status, _, err = run('print "v" for c in dataset("dat/{case}.nii.gz") do c.case')
    assert status == 3
    assert err.startswith("error[input]: there is no case in dat/{case}.nii.gz\n  p.imgql:1:20\n")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("1", "`dataset` takes patterns in quotes"),
        ('"data/x.nii.gz"', "data/x.nii.gz has no named part that tells cases apart"),
        ('"{a}/{b c}.nii"', "{a}/{b c}.nii: `{b c}` is no named part"),
        ('"{a}.nii", "{a}.png"', "two fields would be called `image`"),
        ('"a={a}.nii"', "two fields would be called `a`"),
    ],
)
def test_mistakes(given: str, message: str) -> None:
    with pytest.raises(ProgramError) as caught:
        checked(f'print "v" for c in dataset({given}) do 1')
    assert [each.message for each in caught.value.diagnostics] == [message]


def test_what_a_record_of_a_data_set_has() -> None:
    with pytest.raises(ProgramError, match="this record has no field `flare`"):
        checked(f'print "v" for c in {DATA} do max(intensity(c.flare))')
    with pytest.raises(ProgramError, match="is given a model"):
        checked(f'print "v" for c in {DATA} do max(c.flair)')


class Programs:
    """Random expressions over cases; whether an image decides which case it is, is written only at the end."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.depth = 0
        self.loop = False

    def number(self) -> str:
        """The number of a case: `@n` is n, or what is n when images are looked at."""
        return self.random.choice(
            (f"@{self.random.randrange(3)}", *([f"(k + @{self.random.randrange(2)})"] * 2 * self.loop))
        )

    def image(self, variables: tuple[str, ...]) -> str:
        self.depth += 1
        kind = self.random.choice(("flair", "flair", "seg"))
        leaf = f"intensity(cases[{self.number()}].{kind})"
        if self.depth > 4:
            return leaf
        return self.random.choice((
            lambda: leaf,
            lambda: f"intensity({self.random.choice(variables)}.{kind})" if variables else leaf,
            lambda: f"({self.image(variables)} + {self.image(variables)})",
            lambda: f"resample({self.image(variables)}, cases[{self.number()}].flair)",
            lambda: f"mask({self.image(variables)}, {self.mask(variables)})",
            lambda: f"[{self.image(variables)}, {self.image(variables)}][{self.random.choice(('@0', '@1'))}]",
            lambda: f"(for c{len(variables)} in cases[@0:@2] do "
            f"{self.image((*variables, f'c{len(variables)}'))})[{self.random.choice(('@0', '@1'))}]",
        ))()  # fmt: skip

    def mask(self, variables: tuple[str, ...]) -> str:
        return self.random.choice((
            lambda: f"({self.image(variables)} > {self.random.randrange(4)})",
            lambda: f"near({self.image(variables)} > 3)",
            lambda: f"(border & ({self.image(variables)} >= 0))",
        ))()  # fmt: skip

    def image_of_turn(self) -> str:
        self.loop = True
        return self.image(())

    def value(self) -> str:
        return self.random.choice((
            lambda: f"volume({self.mask(())})",
            lambda: f"max({self.image(())})",
            lambda: f"for k in range(@2) do volume({self.image_of_turn()} > k)",
            lambda: f"fold + (for k in range(@2) do max({self.image_of_turn()}) * k)",
            lambda: f"volume((for k in range(@2) do {self.image_of_turn()})[{self.random.choice(('@0', '@1'))}] > 2)",
            lambda: f"for c in cases[@1:] do volume({self.mask(('c',))})",
            lambda: f"cases[{self.number()}].case",
        ))()  # fmt: skip


@pytest.mark.parametrize("seed", range(20))
def test_it_does_not_matter_whether_a_number_or_an_image_says_which_case(run: Run, seed: int) -> None:
    """Random programs, with every choice written as a number, and with some of them made by looking at images."""
    random = Random(seed)
    made = [Programs(random).value() for _ in range(12)]
    sure = "".join(f'print "{n}" {text}\n' for n, text in enumerate(made))
    plain = re.sub(r"@(\d)", r"\1", sure)
    decided = re.sub(r"@(\d)", lambda each: f"(zero + {each[1]})" if random.random() < 0.7 else each[1], sure)
    head = f"let cases = {DATA}\nlet zero = min(intensity(cases[2].flair))\n"
    one, two = run(head + plain), run(head + decided)
    assert (one[0], one[1]) == (two[0], two[1]), decided
    undone = [sorted(re.findall(r'(?:not done: |, )print "(\d+)"', said)) for _, _, said in (one, two)]
    assert undone[0] == undone[1]
    assert len(undone[0]) + one[1].count("=") == len(made)
    assert one[2].count("error[") == one[2].count("error[compute]")
