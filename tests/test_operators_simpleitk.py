"""The namespace `simpleitk`: each function gives what SimpleITK gives, arguments are checked before anything runs."""

from __future__ import annotations

from ast import literal_eval
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from numpy.typing import NDArray
from tests import simpleitk_functions
from tests.language import Failure, arrays, holds, value
from tests.test_architecture import modules_after
from tests.test_operators_names import problem

import voxlogica as vx
from voxlogica import formula
from voxlogica.check.manual import foreign
from voxlogica.operators import named
from voxlogica.operators.simpleitk import functions

I = np.random.default_rng(8).random((5, 6, 7)).astype(np.float32)  # noqa: E741
B = I > 0.5
SPACING = (1.0, 1.5, 0.75)


def itk(array: NDArray[Any]) -> Any:
    image = sitk.GetImageFromArray(array.astype(np.uint8) if array.dtype == np.bool_ else array)
    image.SetSpacing(SPACING)
    return image


def taken(image: Any) -> NDArray[Any]:
    array: NDArray[Any] = sitk.GetArrayFromImage(image)
    return array


# The functions


def test_the_list_is_that_of_the_installed_version() -> None:
    """The signatures of all; what each gives, which takes minutes to find out, of some."""
    names = [n for n in dir(sitk) if n[0].isupper() and "_" not in n and callable(getattr(sitk, n))]
    known = functions()
    routines = [name for name in names if not isinstance(getattr(sitk, name), type)]
    assert set(known) - {"Statistics"} == set(routines)
    for name, ways in known.items():
        if not isinstance(ways, str) and name not in ("Statistics", "Resample"):
            found = simpleitk_functions.signatures(name)
            told = [
                [(p.name, f"axes {p.kind}" if p.axes else p.kind, p.default) for p in way.parameters] for way in ways
            ]
            assert told == [each for each in found if each in told]


def test_what_is_meant_without_an_argument_is_shown_as_a_program_writes_it() -> None:
    """Read back by the language it is SimpleITK's default."""
    every = [
        each for ways in functions().values() if not isinstance(ways, str) for way in ways for each in way.parameters
    ]
    shown = {each.otherwise: each.default for each in every if each.otherwise not in ("", "…")}
    assert '"sitkBall"' in shown
    printed = vx.program("\n".join(f'print "{n}" {text}' for n, text in enumerate(shown))).run().printed
    for n, default in enumerate(shown.values()):
        read = printed[str(n)]
        assert read == default or read == as_here(literal_eval(default)), default


def as_here(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def test_the_manual_says_what_a_function_does_in_the_words_of_simpleitk() -> None:
    found = {entry.name: entry for entry in foreign()}
    assert found["simpleitk.BinaryFillhole"].summary == "Remove holes not connected to the boundary of the image."
    assert found["simpleitk.BinaryFillhole"].signature.endswith(
        "[fullyConnected: bool = false], [foregroundValue: number = 1]) -> mask or labels"
    )
    silent = [name for name, entry in found.items() if entry.summary.startswith("The function ")]
    assert silent == [f"simpleitk.{name}" for name in ("LabelSetDilate", "LabelSetErode", "ReinitializeLevelSet")]


@pytest.mark.parametrize(
    "name",
    ["Abs", "BinaryThreshold", "ConnectedComponent", "Shrink", "WriteImage", "Cast", "Hash", "Tile", "ShotNoise"],
)
def test_what_a_function_gives_is_what_the_list_says(name: str) -> None:
    lines = [
        line
        for line in simpleitk_functions.FILE.read_text("utf-8").splitlines()
        if line.startswith((f"{name}(", f"{name}:"))
    ]
    assert list(simpleitk_functions._lines(name)) == lines


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("Abs(i)", lambda: sitk.Abs(itk(I))),
        ("Sqrt(i)", lambda: sitk.Sqrt(itk(I))),
        ("Add(i, 2)", lambda: sitk.Add(itk(I), 2.0)),
        ("Add(i, i)", lambda: sitk.Add(itk(I), itk(I))),
        ("DiscreteGaussian(i, [1, 2, 1])", lambda: sitk.DiscreteGaussian(itk(I), [1, 2, 1])),
        ("Median(i, [1, 1, 2])", lambda: sitk.Median(itk(I), [1, 1, 2])),
        ("Median(i, 2)", lambda: sitk.Median(itk(I), [2, 2, 2])),
        ("DiscreteGaussian(i, 2.5)", lambda: sitk.DiscreteGaussian(itk(I), [2.5] * 3)),
        ("GradientMagnitude(i)", lambda: sitk.GradientMagnitude(itk(I))),
        ("BinaryThreshold(i, 0.25, 0.75)", lambda: sitk.BinaryThreshold(itk(I), 0.25, 0.75)),
        ("OtsuThreshold(i)", lambda: sitk.OtsuThreshold(itk(I))),
        ("OtsuThreshold(i, b, 1, 0, 128, true, 1)", lambda: sitk.OtsuThreshold(itk(I), itk(B), 1, 0, 128, True, 1)),
        ("BinaryDilate(b, [1, 1, 0], \"sitkBox\")", lambda: sitk.BinaryDilate(itk(B), [1, 1, 0], sitk.sitkBox)),
        ("ConnectedComponent(b)", lambda: sitk.ConnectedComponent(itk(B))),
        ("And(b, b)", lambda: sitk.And(itk(B), itk(B))),
        ("Greater(i, 0.5)", lambda: sitk.Greater(itk(I), 0.5)),
        ("SignedMaurerDistanceMap(b)", lambda: sitk.SignedMaurerDistanceMap(itk(B))),
        ("Mask(i, b)", lambda: sitk.Mask(itk(I), itk(B))),
        ("RelabelComponent(ConnectedComponent(b))", lambda: sitk.RelabelComponent(sitk.ConnectedComponent(itk(B)))),
    ],
)  # fmt: skip
def test_a_function_gives_what_simpleitk_gives(expression: str, expected: Any) -> None:
    (found,) = arrays(expression, imports=("simpleitk",), i=I, b=B, spacing=SPACING)
    assert np.array_equal(found, taken(expected()))


def test_numbers_and_texts() -> None:
    assert value("MinimumMaximum(i)", imports=("simpleitk",), i=[1, 5, 2]) == (1, 5)
    assert value("MinimumMaximum(i)[1]", imports=("simpleitk",), i=[1, 5, 2]) == 5
    assert value("fold + simpleitk.Statistics(i)", i=[1, 5, 3]) == 1 + 5 + 3 + 2 + 4 + 9 + 3
    assert value("simpleitk.Statistics(i)", i=[1, 5, 3]) == (1, 5, 3, 2, 4, 9, 3)
    assert value("simpleitk.Hash(i)", i=I) == sitk.Hash(sitk.GetImageFromArray(I))


def test_images_of_two_kinds_are_taken_as_numbers() -> None:
    assert value("simpleitk.Add(i, b)", i=[0.5, 1, 2], b="011") == [0.5, 2, 3]
    assert value("simpleitk.Subtract(b, i)", i=[0.5, 1, 2], b="011") == [-0.5, 0, -1]


def test_the_type_of_a_result_is_known_before_it_is_there() -> None:
    assert holds("near(simpleitk.BinaryThreshold(i, 2, 3))", i=[1, 2, 9, 9]) == "1110"
    assert value("max(simpleitk.ConnectedComponent(b))", b="1101") == 2


def test_a_loaded_file_is_taken_as_it_is() -> None:
    assert value("simpleitk.BinaryThreshold(m, 2, 3)", m=[1, 2, 3, 4]) == [False, True, True, False]


def test_the_grid_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    affine = np.array([[0, -1.5, 0, 3], [2, 0, 0, -7], [0, 0, 0.75, 1], [0, 0, 0, 1]])
    nibabel.save(nibabel.Nifti1Image(I.T, affine), "i.nii.gz")  # type: ignore[no-untyped-call]
    text = """import "simpleitk"
let scan = ReadImage("i.nii.gz")
save "t.nii.gz" BinaryThreshold(scan, 0.25, 0.75, 1, 0)
"""
    with vx.Session(store=False) as session:
        session.program(text).run()
    found: Any = nibabel.load("t.nii.gz")  # type: ignore[attr-defined]
    assert np.array_equal(found.affine, affine)
    assert np.array_equal(np.asarray(found.dataobj), (I.T >= 0.25) & (I.T <= 0.75))


# What is wrong


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("BinaryThreshold(i, 1, 2, 1.5, 0)",
         "`insideValue` of `simpleitk.BinaryThreshold` is a whole number, and 1.5 is none"),
        ("BinaryThreshold(i, true)", "`BinaryThreshold` takes a number as its second argument, and is given a bool"),
        ("BinaryDilate(i)", "`BinaryDilate` takes a mask or labels, and is given a number image"),
        ("Abs(1)", "`Abs` takes a mask, labels, a number image or a model, and is given a number"),
        ("Abs(i, i)", "`Abs` takes 1 argument, and is given 2"),
        ("simpleitk.Abss(i)", "there is no `Abss` in the namespace `simpleitk`"),
        ("WriteImage(i, 3)", "SimpleITK's `WriteImage` does more than compute, and so cannot stand here"),
        ("simpleitk.Show(i)", "SimpleITK's `Show` does more than compute, and so cannot stand here"),
        ("Abs(ReadImage(\"f.nii\"))",
         "SimpleITK's `ReadImage` makes an input of the program, and so cannot stand here"),
        ("SpeckleNoise(i)", "`SpeckleNoise` takes 3 arguments, and is given 1"),
        ("SpeckleNoise(i, 1, 0)", "`seed` of `simpleitk.SpeckleNoise` is a whole number from 1, and 0 is none"),
        ("PatchBasedDenoising(i)",
         "SimpleITK's `PatchBasedDenoising` gives something else each time, and so cannot be used"),
        ("ForwardFFT(i)",
         "SimpleITK's `ForwardFFT` takes or makes complex numbers, for which the language has no type, and so "
          "cannot be "
         "used"),
        ("LabelMapToLabel(i)",
         "SimpleITK's `LabelMapToLabel` takes or makes a map of objects, for which the language has no type, and so "
         "cannot be used"),
        ("TransformGeometry(i, i)",
         "SimpleITK's `TransformGeometry` takes or makes a transform, for which the language has no type, and "
          "so cannot "
         "be used"),
        ("Warp(i, i)",
         "SimpleITK's `Warp` takes or makes a field of displacements on a grid of its own, and so cannot be used"),
        ("GetArrayFromImage(i)", "SimpleITK's `GetArrayFromImage` is for Python alone, and so cannot be used"),
        ("BinaryThreshold(i, 1, 2, 300)",
         "`insideValue` of `simpleitk.BinaryThreshold` is a whole number from 0 to 255, and 300 is none"),
        ("BinaryDilate(b, [1, 1], \"box\")",
         '`kernelType` of `simpleitk.BinaryDilate` is the name of a constant of SimpleITK, and "box" is none'),
        ("Median(i, [0.5, 1])", "`radius` of `simpleitk.Median` is a whole number, and 0.5 is none"),
        ("ConnectedThreshold(i, [[1, 1], [1, 0.5]])",
         "`seedList` of `simpleitk.ConnectedThreshold` is a whole number, and 0.5 is none"),
        ("ConnectedThreshold(i, [1, 1])",
         "`ConnectedThreshold` takes a sequence of sequences of numbers as its second argument, and is given a "
          "sequence "
         "of numbers"),
        ("NaryAdd([])", "`images` of `simpleitk.NaryAdd` has no images"),
        ("ChangeLabel(b, [[1, 2, 3]])",
         "`changeMap` of `simpleitk.ChangeLabel` is a list of pairs [from, to], and [1, 2, 3] is none"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_before_anything_runs(expression: str, message: str) -> None:
    prelude = 'import "simpleitk"\nload f = "f.nii"\nlet i = intensity(f)\nlet b = i >. 1\n'
    assert problem(f'{prelude}let a = {expression}\nsave "a.nii" a').message == message


@pytest.mark.parametrize(
    ("expression", "message", "reason"),
    [
        ("BinaryThreshold(i, 3, 2)", "`simpleitk.BinaryThreshold` cannot be computed with these arguments",
         "Lower threshold cannot be greater than upper threshold."),
        ("BinaryThreshold(i, 1, 2, 255)",
         "`simpleitk.BinaryThreshold` made an image of other numbers than 0 and 1, and so no mask", ""),
        ("BinaryThreshold(i, 1, 2, k)",
         "`insideValue` of `simpleitk.BinaryThreshold` is a whole number, and 0.5 is none", ""),
        ("ConnectedThreshold(i, [[3, 0]])",
         "`seedList` of `simpleitk.ConnectedThreshold`: voxel [3, 0] is outside of the image, which has 3 x 1 "
          "voxels", ""),
        ("ConnectedThreshold(i, [[3, 0, 0]])",
         "`seedList` of `simpleitk.ConnectedThreshold` is a list of voxels with 2 numbers each, and [3, 0, 0] "
          "is none", ""),
        ("IsolatedConnected(i, [0, 0], [0, 1])",
         "`seed2` of `simpleitk.IsolatedConnected`: voxel [0, 1] is outside of the image, which has 3 x 1 voxels", ""),
        ("Median(i, [1, 1, 1])",
         "`radius` of `simpleitk.Median` has an element for each of 2 axes, and is given [1, 1, 1]", ""),
        ("Median(i, 1000000000)",
         "`radius` of `simpleitk.Median` is larger than the image, which has 3 x 1 voxels: [1000000000, "
          "1000000000]", ""),
        ('Hash(i, "SHA5")', '`function` of `simpleitk.Hash` cannot be "SHA5"', ""),
        ("VectorMagnitude(m)", "`simpleitk.VectorMagnitude` takes images of several components, and this file "
         "has 1", ""),
    ],
)  # fmt: skip
def test_what_simpleitk_refuses(expression: str, message: str, reason: str) -> None:
    with pytest.raises(Failure) as caught:
        arrays(expression, imports=("simpleitk",), i=[1, 2, 3], b="011", m=[1, 2, 3], k=0.5)
    assert caught.value.error.message == message
    assert caught.value.error.details == ((reason,) if reason else ())


def test_what_would_end_the_process_ends_another() -> None:
    expression = "max(simpleitk.OtsuMultipleThresholds(i, 100, 0, 5, true))"
    with pytest.raises(Failure) as caught:
        value(expression, i=np.arange(72, dtype=np.float32).reshape(8, 9))
    assert caught.value.error.type == "WorkerDied"
    assert value("max(simpleitk.OtsuMultipleThresholds(i, 2))", i=[1, 1, 5, 5, 9, 9]) == 2


def test_masks_and_labels_together_are_labels_where_numbers_will_not_do() -> None:
    assert value("simpleitk.Or(lcc(b), c)", b="1101", c="0110") == [1, 1, 1, 2]
    found = problem('load f = "f.nii"\nlet i = intensity(f)\nprint "a" max(simpleitk.Or(i >. 1, i))')
    assert found.message == "`simpleitk.Or` takes a mask or labels as its second argument, and is given a number image"


# Identity, and when it is imported


def test_the_version_of_simpleitk_is_in_the_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    operator = named("simpleitk.Abs(mask)")
    assert operator is not None

    def id() -> bytes:
        table = formula.Formulas()
        mask = table.apply(TT, (), formula.Space.grid(2, 2))
        return table.apply(operator, (mask,)).id

    now = id()
    monkeypatch.setattr(formula, "_versions", lambda library: (library, "0"))
    assert id() != now


TT = named("tt")
assert TT is not None


def test_simpleitk_is_imported_only_when_it_computes() -> None:
    text = 'import \\"simpleitk\\"\\nload f = \\"f.nii\\"\\nsave \\"a.nii\\" Abs(f)\\nprint \\"m\\" Hash(f)'
    statement = f'import voxlogica as vx; vx.Session(store=False).program("{text}")'
    assert not modules_after(statement) & {"SimpleITK", "numpy"}


def test_the_number_of_threads_is_given_back() -> None:
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(3)
    assert value("simpleitk.Abs(i)", i=[-7, 2]) == [7, 2]
    assert sitk.ProcessObject.GetGlobalDefaultNumberOfThreads() == 3
