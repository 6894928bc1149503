"""What goes into a program from Python and what comes out: images in memory, volumes, other values, asyncio."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

import voxlogica as vx
from voxlogica.storage import MemoryStorage

TEXT = """load scan = "$CASE.nii.gz"
let k = 60
let image = intensity(scan)
let bright = image >. k
let unused = near(bright)
let wrong = near(image)
print "voxels" volume(bright)
save "bright.nii.gz" bright
save "image.png" image"""
FLAT = TEXT.replace('save "image.png" image', "")
VOXELS = np.arange(120, dtype=np.int16).reshape(6, 5, 4)
AFFINE = np.array([[0, -2.0, 0, 5], [1.5, 0, 0, -7], [0, 0, -3.0, 11], [0, 0, 0, 1]])


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    nibabel.save(nibabel.Nifti1Image(VOXELS, AFFINE), "a.nii.gz")


# Inputs


def test_every_form_of_an_input_gives_the_same() -> None:
    program = vx.program(FLAT)
    turned = program.run(CASE="a", save=False)["scan"]
    forms = ["a.nii.gz", Path("a.nii.gz"), nibabel.load("a.nii.gz"), sitk.ReadImage("a.nii.gz"), (VOXELS, AFFINE)]
    for form in (*forms, turned, (VOXELS, turned.space), turned.sitk(), turned.nibabel()):
        run = program.run(scan=form, save=False)
        assert run["voxels"] == 59
        assert np.array_equal(run["bright"].numpy(), VOXELS > 60)
        assert np.allclose(run["bright"].affine, AFFINE)


def test_an_array_is_known_again_by_its_contents() -> None:
    with vx.Session(store=False):
        program = vx.program(FLAT)
        counted: list[tuple[int, int]] = []
        for array in (VOXELS, VOXELS.copy(), VOXELS + 1):
            told: list[tuple[int, int]] = []
            run = program.run(scan=(array, AFFINE), save=False, progress=lambda *n, told=told: told.append(n))
            counted.append(told[-1])
            assert run["voxels"] == (array > 60).sum()
            assert [done for done, _ in told] == sorted({done for done, _ in told})
        assert counted[0] == counted[2]
        assert counted[1] == (1, 1)  # what is printed, and it is known


def test_what_is_wrong_with_an_input_is_told_at_its_place_with_what_is_wrong_with_others() -> None:
    program = vx.program(f'load other = "other.nii"\n{FLAT}\nprint "o" max(intensity(other))')
    with pytest.raises(vx.InputError) as caught:
        program.run(scan=(VOXELS[None], AFFINE))
    first, second = caught.value.diagnostics
    assert first.message == "there is no file other.nii"
    assert second.message == "the array given for scan has 4 axes, and an image has 2 or 3"
    assert second.span is not None
    assert second.span.text == '"$CASE.nii.gz"'
    with pytest.raises(vx.InputError, match="the array given for scan does not say where its voxels are"):
        program.run(scan=VOXELS, other="a.nii.gz")
    with pytest.raises(vx.InputError, match="the dict given for scan is not an image"):
        program.run(scan={}, other="a.nii.gz")


def test_grids_of_arrays_are_compared() -> None:
    program = vx.program('load a = "a"\nload b = "b"\nprint "n" volume((intensity(a) >. 1) & (intensity(b) >. 1))')
    moved = AFFINE + np.eye(4, k=3) * 0.01
    with pytest.raises(vx.InputError, match="are not on the same voxel grid"):
        program.run(a=(VOXELS, AFFINE), b=(VOXELS, moved))
    assert program.run(a=(VOXELS, AFFINE), b=(VOXELS, moved), grid_tolerance=0.02)["n"] == 118


def test_a_sweep_over_an_image_in_memory() -> None:
    sweep = vx.program(FLAT).sweep(scan=(VOXELS, AFFINE), k=[60, 100])
    assert [row["voxels"] for row in sweep.table()] == [59, 19]
    assert [row["voxels"] for row in vx.program(FLAT).sweep(scan="a.nii.gz", k=np.array([60, 100])).table()] == [59, 19]


def test_an_input_that_cases_have_of_their_own_is_not_given_besides() -> None:
    with pytest.raises(vx.ProgramError, match="each case has a `scan` of its own"):
        vx.program(FLAT).map(vx.cases(scan="{case}.nii.gz"), scan=(VOXELS, AFFINE))


# A program with other values


def test_a_saved_mask_that_there_is_not_fails_and_nothing_else_does() -> None:
    program = vx.program(FLAT + '\nsave "m.nii.gz" [intensity(scan) > 1][k]').replace(CASE="a")
    with pytest.raises(vx.ComputationError, match="there is no element 60: the sequence has 1") as caught:
        program.run()
    assert len(caught.value.diagnostics) == 1
    assert [path.name for path in program.replace(k=0).run().saved] == ["bright.nii.gz", "m.nii.gz"]


def test_replace_makes_another_program() -> None:
    program = vx.program(FLAT)
    other = program.replace(k=100, scan=(VOXELS, AFFINE))
    assert (program.parameters["k"], other.parameters["k"], program.given) == (60, 100, ())
    assert other.run(save=False)["voxels"] == 19
    assert other.run(save=False, k=118)["voxels"] == 1
    assert other.replace(k=117).run(save=False)["voxels"] == 2
    assert [row["voxels"] for row in other.sweep(k=[117, 118]).table()] == [2, 1]
    assert [row["voxels"] for row in other.sweep().table()] == [19]
    with pytest.raises(vx.ProgramError, match="has no parameter `kk`"):
        program.replace(kk=1)
    with pytest.raises(vx.InputError, match="the array given for scan does not say where its voxels are"):
        program.replace(scan=VOXELS)


def test_a_session_is_that_of_the_programs_inside() -> None:
    with vx.Session(store=False) as outer:
        with vx.Session(store=False) as inner:
            assert vx.program(TEXT).session is inner
        assert vx.program(TEXT).session is outer
    assert vx.program(TEXT).session not in (outer, inner)


# Results


def test_any_definition_can_be_asked_for() -> None:
    run = vx.program(FLAT).run(CASE="a", save=False)
    assert sorted(run) == ["bright", "image", "k", "scan", "unused", "voxels", "wrong"]
    assert run["unused"].numpy().sum() == 80
    assert isinstance(run["unused"], vx.Mask)
    with pytest.raises(vx.ProgramError, match="`near` takes a mask"):
        run["wrong"]
    with pytest.raises(KeyError, match="no print and no definition 'brigth'; it has voxels, scan, k"):
        run["brigth"]


def test_a_definition_is_that_of_the_files_of_the_run() -> None:
    with vx.Session(storage=MemoryStorage(limit=0)):
        run = vx.program(FLAT).run(CASE="a", save=False)
        nibabel.save(nibabel.Nifti1Image(VOXELS * 0, AFFINE), "a.nii.gz")
        with pytest.raises(vx.VoxLogicAError, match=r"a\.nii\.gz changed while it was being used"):
            run["unused"]


def test_a_volume_is_saved_as_the_program_would_save_it() -> None:
    run = vx.program(FLAT).run(CASE="a")
    assert run["bright"].save("again.nii.gz") == Path("again.nii.gz")
    assert Path("again.nii.gz").read_bytes() == Path("bright.nii.gz").read_bytes()
    provenance = run["bright"].provenance
    assert (provenance["expression"], provenance["parameters"]) == ("bright", {"k": 60})
    assert provenance["inputs"]["scan"]["file"] == "a.nii.gz"
    (told,) = nibabel.load("again.nii.gz").header.extensions
    assert json.loads(told.get_content().rstrip(b"\0")) == provenance
    run = vx.program(FLAT).run(scan=(VOXELS, AFFINE), save=False)
    assert run["bright"].provenance["inputs"]["scan"]["file"] == "the array given for scan"


def test_volumes_turn_into_what_others_have() -> None:
    run = vx.program(FLAT).run(CASE="a", save=False)
    bright, image, scan = run["bright"], run["image"], run["scan"]
    assert [type(each).__name__ for each in (bright, image, scan)] == ["Mask", "Image", "Model"]
    assert repr(bright) == "<Mask bright: 6 x 5 x 4 voxels>"
    assert np.asarray(bright).dtype == np.bool_
    assert np.array_equal(np.asarray(image), VOXELS)
    assert np.array_equal(sitk.GetArrayFromImage(bright.sitk()).T, VOXELS > 60)
    assert np.array_equal(bright.nibabel().get_fdata(), VOXELS > 60)
    with pytest.raises(ValueError, match="read-only"):
        image.numpy()[0] = 1
    with pytest.raises(AttributeError):
        bright.name = "x"


def test_volumes_are_indexed_as_arrays_are() -> None:
    run = vx.program(FLAT).run(CASE="a", save=False)
    image, bright = run["image"], run["bright"]
    assert image.shape == bright.shape == run["scan"].shape == VOXELS.shape
    for index in (
        (2, 3, 1), (..., 3), (slice(None), 4, -1), (slice(1, 4), slice(None, None, -2), 2), (..., slice(1, 3)), 5, ...,
        (None, ..., 2), (slice(None), np.arange(2), 1), VOXELS > 70, (VOXELS[..., 0] > 70, 3),
    ):  # fmt: skip
        assert np.array_equal(image[index], VOXELS[index])
        assert np.array_equal(bright[index], VOXELS[index] > 60)
    for beyond in ((0, 0, 4), (..., -5), (6, 0, 0)):
        with pytest.raises(IndexError):
            bright[beyond]
    assert not bright[..., 3].flags.writeable


def test_a_mask_knows_how_much_it_holds_and_where() -> None:
    run = vx.program(FLAT).run(CASE="a", save=False)
    bright, image = run["bright"], run["image"]
    assert bright.count == 59
    assert bright.box == (slice(3, 6), slice(0, 5), slice(0, 4))
    assert np.array_equal(image[bright.box], VOXELS[3:])
    nothing = run["bright"].plain.words()
    empty = type(bright)(bright.space, memoryview(bytes(nothing.nbytes)))
    assert (empty.count, empty.box) == (0, None)


def test_pictures_of_a_plane_say_what_they_cannot_hold() -> None:
    run = vx.program('load s = "s"\nlet i = intensity(s)\nprint "m" max(i)').run(s=(VOXELS[..., 0] * 4.0, np.eye(4)))
    with pytest.warns(UserWarning, match=r"i\.jpg holds numbers from 0 to 255, and 14 are outside"):
        run["i"].save("i.jpg")
    assert json.loads(Path("i.jpg.json").read_text()) == run["i"].provenance


@pytest.mark.parametrize(
    ("path", "kind", "message"),
    [
        ("x.tiff", vx.ProgramError, r"x\.tiff cannot be written: \.tiff is no known extension"),
        ("x.png", vx.ProgramError, r"x\.png cannot be written: \.png files are 2-D, and this is 6 x 5 x 4 voxels"),
        ("a.nii.gz/x.nii", vx.MachineError, r"a\.nii\.gz/x\.nii cannot be written"),
    ],
)
def test_a_volume_that_cannot_be_saved(path: str, kind: type[Exception], message: str) -> None:
    run = vx.program(FLAT).run(CASE="a", save=False)
    with pytest.raises(kind, match=message):
        run["bright"].save(path)


def test_sequences_of_volumes_are_tuples_of_them() -> None:
    run = vx.program(f'{FLAT}\nlet both = [bright, image >. 100]\nprint "n" volume(both[1])').run(CASE="a", save=False)
    assert [each.numpy().sum() for each in run["both"]] == [59, 19]


def test_a_record_has_volumes_and_numbers_as_a_run_gives_them() -> None:
    text = f'{FLAT}\nlet c = confusion_matrix(bright, image >. 100)\nprint "c" c'
    run = vx.program(text).run(CASE="a", save=False)
    assert (run["c"].tp, run["c"]["fp"]) == (19, 40)
    assert run.printed["c"] == run["c"]


def test_runs_on_images_in_memory_are_compared_to_the_voxel(tmp_path: Path) -> None:
    with vx.Session(store=tmp_path / "store"):
        program = vx.program(FLAT)
        one, two = (program.run(scan=(VOXELS + more, AFFINE), save=False) for more in (0, 2))
        difference = vx.diff(one, two)
        assert [(each.label, each.before, each.after) for each in difference.numbers] == [("voxels", 59, 61)]
        assert [(each.name, each.only_before, each.only_after, each.both) for each in difference.masks] == [
            ("bright", 0, 2, 59)
        ]
        assert not vx.diff(one, "r1")
        sweep = program.sweep(scan=(VOXELS, AFFINE), k=[60])
        assert "<img" in sweep.report("page.html").read_text()


# asyncio


def test_runs_beside_each_other_in_asyncio() -> None:
    async def both() -> list[vx.Run]:
        program = vx.program(FLAT)
        return await asyncio.gather(*(program.arun(CASE="a", save=False, k=k) for k in (60, 100)))

    assert [run["voxels"] for run in asyncio.run(both())] == [59, 19]
