"""Functions of SimpleITK whose results lie on other grids: voxels and places are those that SimpleITK itself gives.

The images are turned in space and have no two axes alike, so that left and right, or an order of axes, cannot be
mistaken for each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.language import Failure, arrays, value
from tests.test_operators_names import problem

import voxlogica as vx
from voxlogica.errors import ComputationError, Refusal
from voxlogica.operators.simpleitk_grids import RULES
from voxlogica.values import Space

C, S = math.cos(0.3), math.sin(0.3)
TURNED = (C, -S, 0.0, 0.0, 0.0, -1.0, S, C, 0.0)
FLAT = (S, C, C, -S)


def scan(size: tuple[int, ...] = (7, 5, 6), seed: int = 1) -> Any:
    image = sitk.GetImageFromArray(np.random.default_rng(seed).random(size[::-1]).astype(np.float32))
    image.SetSpacing((1.0, 1.5, 0.75)[: len(size)])
    image.SetOrigin((3.0, -4.0, 5.0)[: len(size)])
    image.SetDirection(TURNED if len(size) == 3 else FLAT)
    return image


def moved(image: Any) -> Any:
    """An image whose first voxel is where that of the scan is."""
    image.SetOrigin(I.GetOrigin())
    return image


I, SMALL, SHEET = scan(), scan((3, 3, 2), 2), scan((7, 5), 3)  # noqa: E741
B = sitk.BinaryThreshold(I, 0.5, 2.0)
L = sitk.ConnectedComponent(B)
PROGRAM = """\
load i_ = "i.nii"
load small_ = "small.nii"
load sheet_ = "sheet.nii"
let i = intensity(i_)
let small = intensity(small_)
let sheet = intensity(sheet_)
let b = i >=. 0.5
let l = simpleitk.ConnectedComponent(b)
let found = """


@pytest.fixture(scope="module")
def session() -> Iterator[vx.Session]:
    with vx.Session(store=False) as session:
        yield session


def same(session: vx.Session, expression: str, expected: Any) -> None:
    """Whether an expression gives such an image, at the same place."""
    run = session.program(PROGRAM + expression).run(i_=I, small_=SMALL, sheet_=SHEET, save=False)
    found: Any = run["found"].sitk()
    assert found.GetSize() == expected.GetSize()
    for part in ("Spacing", "Origin", "Direction"):
        if part == "Origin" and "Projection" in expression:
            continue
        np.testing.assert_allclose(getattr(found, f"Get{part}")(), getattr(expected, f"Get{part}")(), atol=1e-9)
    voxels = sitk.GetArrayFromImage(expected)
    assert np.array_equal(sitk.GetArrayFromImage(found).astype(np.float32), voxels.astype(np.float32))


CASES: dict[str, Callable[[], Any]] = {
    "simpleitk.Shrink(i, [2, 3, 4])": lambda: sitk.Shrink(I, [2, 3, 4]),
    "simpleitk.Shrink(b, 2)": lambda: sitk.Shrink(B, [2, 2, 2]),
    "simpleitk.Shrink(l, [20, 1, 1])": lambda: sitk.Shrink(L, [20, 1, 1]),
    "simpleitk.Shrink(sheet, [3, 2])": lambda: sitk.Shrink(SHEET, [3, 2]),
    "simpleitk.BinShrink(i, [2, 3, 1])": lambda: sitk.BinShrink(I, [2, 3, 1]),
    "simpleitk.Expand(i, [2, 3, 1])": lambda: sitk.Expand(I, [2, 3, 1]),
    'simpleitk.Expand(l, 2, "sitkNearestNeighbor")': lambda: sitk.Expand(L, [2] * 3, sitk.sitkNearestNeighbor),
    "simpleitk.ConstantPad(i, [1, 2, 3], [0, 1, 2], 7)": lambda: sitk.ConstantPad(I, [1, 2, 3], [0, 1, 2], 7),
    "simpleitk.ConstantPad(b, [1, 0, 0], [0, 0, 2], 1)": lambda: sitk.ConstantPad(B, [1, 0, 0], [0, 0, 2], 1),
    "simpleitk.ConstantPad(i, [1, 0, 0])": lambda: sitk.ConstantPad(I, [1, 0, 0]),
    "simpleitk.ConstantPad(i, [1, 0, 0], [0, 0, 0], max(i))": lambda: sitk.ConstantPad(
        I, [1, 0, 0], [0, 0, 0], float(sitk.GetArrayViewFromImage(I).max())
    ),
    "simpleitk.MirrorPad(i, [9, 2, 3], [0, 1, 2])": lambda: sitk.MirrorPad(I, [9, 2, 3], [0, 1, 2]),
    "simpleitk.WrapPad(l, [1, 2, 3], [0, 1, 2])": lambda: sitk.WrapPad(L, [1, 2, 3], [0, 1, 2]),
    "simpleitk.ZeroFluxNeumannPad(i, [1, 2, 3], [0, 1, 2])": lambda: sitk.ZeroFluxNeumannPad(I, [1, 2, 3], [0, 1, 2]),
    "simpleitk.FFTPad(i)": lambda: sitk.FFTPad(I),
    'simpleitk.FFTPad(i, "ZERO_PAD", 2)': lambda: sitk.FFTPad(I, sitk.FFTPadImageFilter.ZERO_PAD, 2),
    "simpleitk.Crop(i, [1, 0, 2], [3, 1, 0])": lambda: sitk.Crop(I, [1, 0, 2], [3, 1, 0]),
    "simpleitk.RegionOfInterest(b, [2, 3, 1], [4, 1, 5])": lambda: sitk.RegionOfInterest(B, [2, 3, 1], [4, 1, 5]),
    "simpleitk.Extract(i, [2, 3, 1], [4, 1, 5])": lambda: sitk.Extract(I, [2, 3, 1], [4, 1, 5]),
    "simpleitk.Extract(i, [2, 0, 4], [4, 1, 2])": lambda: sitk.Extract(I, [2, 0, 4], [4, 1, 2]),
    "simpleitk.Extract(b, [0, 3, 4], [4, 1, 2])": lambda: sitk.Extract(B, [0, 3, 4], [4, 1, 2]),
    "simpleitk.Extract(l, [7, 5, 0], [0, 0, 3])": lambda: sitk.Extract(L, [7, 5, 0], [0, 0, 3]),
    "simpleitk.Slice(i, [1, 0, 0], [7, 5, 6], [2, 1, 3])": lambda: sitk.Slice(I, [1, 0, 0], [7, 5, 6], [2, 1, 3]),
    "simpleitk.Slice(i, [6, 0, 5], [0, 5, -1], [-2, 1, -1])": lambda: sitk.Slice(I, [6, 0, 5], [0, 5, -1], [-2, 1, -1]),
    "simpleitk.Slice(b, [2, 1, 1])": lambda: sitk.Slice(B, [2, 1, 1]),
    "simpleitk.Flip(i, [true, false, true])": lambda: sitk.Flip(I, [True, False, True]),
    "simpleitk.Flip(b, [true, false, false], true)": lambda: sitk.Flip(B, [True, False, False], True),
    "simpleitk.Flip(sheet, [false, true])": lambda: sitk.Flip(SHEET, [False, True]),
    "simpleitk.PermuteAxes(i, [2, 0, 1])": lambda: sitk.PermuteAxes(I, [2, 0, 1]),
    "simpleitk.PermuteAxes(sheet, [1, 0])": lambda: sitk.PermuteAxes(SHEET, [1, 0]),
    "simpleitk.DICOMOrient(i)": lambda: sitk.DICOMOrient(I),
    'simpleitk.DICOMOrient(i, "RAS")': lambda: sitk.DICOMOrient(I, "RAS"),
    'simpleitk.DICOMOrient(l, "SPL")': lambda: sitk.DICOMOrient(L, "SPL"),
    "simpleitk.MaximumProjection(i, 1)": lambda: sitk.MaximumProjection(I, 1),
    "simpleitk.MinimumProjection(sheet)": lambda: sitk.MinimumProjection(SHEET),
    "simpleitk.MeanProjection(b, 2)": lambda: sitk.MeanProjection(B, 2),
    "simpleitk.MedianProjection(i, 0)": lambda: sitk.MedianProjection(I, 0),
    "simpleitk.SumProjection(i, 1)": lambda: sitk.SumProjection(I, 1),
    "simpleitk.StandardDeviationProjection(i, 1)": lambda: sitk.StandardDeviationProjection(I, 1),
    "simpleitk.BinaryProjection(b, 2)": lambda: sitk.BinaryProjection(B, 2),
    "simpleitk.BinaryThresholdProjection(i, 2, 0.9)": lambda: sitk.BinaryThresholdProjection(I, 2, 0.9),
    "simpleitk.FFTNormalizedCorrelation(i, small)": lambda: sitk.FFTNormalizedCorrelation(I, SMALL),
    "simpleitk.FFTNormalizedCorrelation(i, simpleitk.Crop(i, [3, 1, 2], [1, 1, 2]))": lambda: (
        sitk.FFTNormalizedCorrelation(I, moved(sitk.Crop(I, [3, 1, 2], [1, 1, 2])))
    ),
    "simpleitk.MaskedFFTNormalizedCorrelation(i, small, tt(i), tt(small))": lambda: sitk.MaskedFFTNormalizedCorrelation(
        I, SMALL, *[sitk.Cast(each >= 0, sitk.sitkFloat32) for each in (I, SMALL)]
    ),
    "simpleitk.Paste(i, small, [2, 3, 1], [1, 0, 1], [5, 1, 0])": lambda: sitk.Paste(
        I, SMALL, [2, 3, 1], [1, 0, 1], [5, 1, 0]
    ),
    "simpleitk.JoinSeries([sheet, sheet +. 1, sheet], 2.5, 3)": lambda: sitk.JoinSeries(
        [SHEET, SHEET + 1, SHEET], 2.5, 3
    ),
    "simpleitk.JoinSeries(sheet, sheet *. 2)": lambda: sitk.JoinSeries(SHEET, SHEET * 2),
    "simpleitk.Tile([i, i *. 2], [2, 1, 1])": lambda: sitk.Tile([I, I * 2], [2, 1, 1]),
    "simpleitk.Tile([i, i *. 2, i], [1, 2, 0], 5)": lambda: sitk.Tile([I, I * 2, I], [1, 2, 0], 5),
    "simpleitk.Tile([sheet, sheet *. 2, sheet], [2, 2])": lambda: sitk.Tile([SHEET, SHEET * 2, SHEET], [2, 2]),
    "simpleitk.Resample(i, small)": lambda: sitk.Resample(I, SMALL),
    "simpleitk.Resample(small, i)": lambda: sitk.Resample(SMALL, I),
    'simpleitk.Resample(l, small, "identity", "sitkNearestNeighbor", 4)': lambda: sitk.Resample(
        L, SMALL, sitk.Transform(), sitk.sitkNearestNeighbor, 4
    ),
    'simpleitk.Resample(i, [4, 5, 6], "identity", "sitkLinear", [3, -4, 5], [0.5, 0.6, 0.7], [1, 0, 0, 0, 0, '
    "-1, 0, 1, 0], 9)": lambda: sitk.Resample(
        I,
        [4, 5, 6],
        sitk.Transform(),
        sitk.sitkLinear,
        (3, -4, 5),
        (0.5, 0.6, 0.7),
        (1, 0, 0, 0, 0, -1, 0, 1, 0),
        9,
    ),
    'simpleitk.GaussianSource("sitkFloat32", [5, 6], [2, 1], [1, 2], 10, [1, 2], [0.5, 1])': lambda: (
        sitk.GaussianSource(sitk.sitkFloat32, [5, 6], [2, 1], [1, 2], 10, [1, 2], [0.5, 1])
    ),
    'simpleitk.GaborSource("sitkFloat32", [5, 6, 4])': lambda: sitk.GaborSource(sitk.sitkFloat32, [5, 6, 4]),
    'simpleitk.GridSource("sitkUInt8", [9, 8, 7])': lambda: sitk.GridSource(sitk.sitkUInt8, [9, 8, 7]),
}


@pytest.mark.parametrize("expression", CASES)
def test_voxels_and_places_are_simpleitk_s(expression: str, session: vx.Session) -> None:
    same(session, expression, CASES[expression]())


def test_every_rule_is_tried() -> None:
    tried = {expression.removeprefix("simpleitk.").partition("(")[0] for expression in CASES}
    assert tried == set(RULES)


TWELVE = st.tuples(*[st.integers(1, 4)] * 3)


@given(size=TWELVE, lower=TWELVE, upper=TWELVE, factors=TWELVE, start=TWELVE, stop=TWELVE, signs=TWELVE)
@settings(max_examples=150, deadline=None)
def test_rules_and_simpleitk_agree_on_any_sizes(**drawn: tuple[int, ...]) -> None:
    """Where the rule refuses, SimpleITK makes nothing that has voxels."""
    size = tuple([n * m for n, m in zip(drawn["size"], drawn["start"], strict=True)])
    image = scan(size)
    space = Space(size, image.GetSpacing(), image.GetOrigin(), image.GetDirection())
    lower, upper, factors = drawn["lower"], drawn["upper"], drawn["factors"]
    step = tuple([k if sign > 2 else -k for k, sign in zip(factors, drawn["signs"], strict=True)])
    start, stop = ([3 * each - 6 for each in drawn[name]] for name in ("start", "stop"))
    for name, arguments in (
        ("Shrink", [factors]), ("BinShrink", [factors]), ("Expand", [factors]), ("ConstantPad", [lower, upper]),
        ("Crop", [lower, upper]), ("Slice", [start, stop, step]), ("SumProjection", [factors[0] % 3]),
        ("RegionOfInterest", [factors, lower]), ("Flip", [[sign > 2 for sign in drawn["signs"]], factors[0] > 2]),
    ):  # fmt: skip
        try:
            expected = getattr(sitk, name)(image, *arguments)
        except (RuntimeError, TypeError):
            expected = None
        try:
            made = RULES[name].space(space, *arguments)
        except Refusal:
            assert expected is None or expected.GetNumberOfPixels() == 0, name
            continue
        assert expected is not None, name
        assert made.size == expected.GetSize(), name
        for part, ours in (("Spacing", made.spacing), ("Origin", made.origin), ("Direction", made.direction)):
            if name == "SumProjection" and part == "Origin":
                continue
            np.testing.assert_allclose(ours, getattr(expected, f"Get{part}")(), atol=1e-9, err_msg=name)


@pytest.mark.parametrize("prime", [2, 3, 5, 7])
def test_extents_for_a_fourier_transform(prime: int) -> None:
    for n in range(1, 40):
        image = sitk.Image([n, 5], sitk.sitkFloat32)
        expected = sitk.FFTPad(image, sitk.FFTPadImageFilter.ZERO_PAD, prime)
        made = RULES["FFTPad"].space(Space.grid(n, 5), prime)
        assert (made.size, made.origin) == (expected.GetSize(), expected.GetOrigin())


@pytest.mark.parametrize("to", ["LPS", "RAS", "SAL", "PIR", "ILA", "AIL"])
@pytest.mark.parametrize("order", [[0, 1, 2], [1, 2, 0], [2, 1, 0]])
def test_orientations(to: str, order: list[int]) -> None:
    image = sitk.PermuteAxes(sitk.Flip(I, [True, False, True]), order)
    expected = sitk.DICOMOrient(image, to)
    space = Space(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection())
    made = RULES["DICOMOrient"].space(space, to)
    np.testing.assert_allclose(made.origin, expected.GetOrigin(), atol=1e-9)
    np.testing.assert_allclose(made.direction, expected.GetDirection(), atol=1e-9)
    assert (made.size, made.spacing) == (expected.GetSize(), expected.GetSpacing())


# In programs


def test_left_and_right_stay_where_they_are(session: vx.Session) -> None:
    """A voxel in the patient's left keeps its place in the world, whatever is done to the axes."""
    phantom = sitk.Image([6, 4, 4], sitk.sitkFloat32)
    phantom[4, 1, 2] = 1.0
    phantom.SetOrigin((-10.0, 0.0, 0.0))
    text = 'load i = "i.nii"\nlet b = intensity(i) >. 0\n'
    for n, moved in enumerate(
        ("Flip(b, [true, false, false])", "PermuteAxes(b, [2, 0, 1])", 'DICOMOrient(b, "RAS")', "Crop(b, [2, 1, 1])")
    ):
        text += f"let m{n} = simpleitk.{moved}\nlet v{n} = volume(b & resample(m{n}, b))\n"
    run = session.program(text).run(i=phantom, save=False)
    for n in range(4):
        assert run[f"v{n}"] == 1
        found: Any = run[f"m{n}"].sitk()
        (index,) = np.argwhere(sitk.GetArrayFromImage(found))
        np.testing.assert_allclose(found.TransformIndexToPhysicalPoint(index[::-1].tolist()), (-6, 1, 2))


def test_resample_brings_it_back() -> None:
    i = np.zeros((4, 4, 4), np.float32)
    i[:2] = 1
    assert value("volume(resample(simpleitk.Shrink(i, 2) >. 0, i) & (i >. 0))", i=i) == 32
    assert value("volume(simpleitk.Resample(simpleitk.Flip(i, [true, false, false]), i) =. 1)", i=i) == 32


def test_what_comes_back_to_the_grid_is_on_it() -> None:
    """Although 0.1 - 2 * 0.7 + 2 * 0.7 is not 0.1."""
    image = sitk.GetImageFromArray(np.arange(24, dtype=np.float32).reshape(2, 3, 4))
    image.SetSpacing((0.7, 0.3, 0.1))
    image.SetOrigin((0.1, 0.2, 0.3))
    text = """load f = "f.nii"
let i = intensity(f)
let padded = simpleitk.ConstantPad(i, [2, 1, 1], [1, 1, 1])
let cropped = simpleitk.Crop(padded, [2, 1, 1], [1, 1, 1])
let flipped = simpleitk.Flip(simpleitk.Flip(i, [true, true, false]), [true, true, false])
let none = extract(i, [4, 3, 2], [0, 0, 0])
let a = max(i - cropped)
let b = max(i - flipped)
let c = max(i - none)
"""
    with vx.Session(store=False) as session:
        run = session.program(text).run(f=image, save=False)
        assert [run[name] for name in "abc"] == [0, 0, 0]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (
            "i + simpleitk.Shrink(i, 2)",
            "`+` was given images on different voxel grids, of 7 x 5 x 6 and 3 x 2 x 3 voxels",
        ),
        (
            "i + simpleitk.Flip(i, [true, false, false])",
            "`+` was given images on different voxel grids, with origins 6 mm apart, with directions 180 degrees apart",
        ),
        (
            "i + simpleitk.ConstantPad(extract(i, [6, 5, 6], [1, 0, 0]), [0, 0, 0], [1, 0, 0])",
            "`+` was given images on different voxel grids, with origins 1 mm apart",
        ),
    ],
)
def test_two_grids_do_not_mix(expression: str, message: str, session: vx.Session) -> None:
    text = PROGRAM.removesuffix("let found = ") + f'print "a" max({expression})'
    with pytest.raises(ComputationError) as caught:
        session.program(text).run(i_=I, small_=SMALL, sheet_=SHEET)
    (found,) = caught.value.diagnostics
    assert found.message == message
    assert "resample(" in found.help


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("simpleitk.Shrink(i, [2, 2])", "`shrinkFactors` of `simpleitk.Shrink` has an element for each of 3 "
         "axes, and is given [2, 2]"),
        ("simpleitk.Crop(i, [4, 0, 0], [3, 0, 0])", "`simpleitk.Crop` would leave no voxel of 7 x 5 x 6"),
        ("simpleitk.RegionOfInterest(i, [2, 2, 2], [6, 0, 0])",
         "`simpleitk.RegionOfInterest` cannot take 2 x 2 x 2 voxels from [6, 0, 0]: the image has 7 x 5 x 6"),
        ("simpleitk.Extract(i, [2, 0, 0], [6, 0, 0])", "`simpleitk.Extract` keeps two axes or three, and [2, 0, "
         "0] would leave 1"),
        ("simpleitk.PermuteAxes(i, [0, 0, 1])", "`simpleitk.PermuteAxes` takes each axis from 0 to 2 once, and "
         "is given [0, 0, 1]"),
        ("simpleitk.SumProjection(i, 3)", "`simpleitk.SumProjection` projects along an axis from 0 to 2, not 3"),
        ('simpleitk.DICOMOrient(i, "LRS")', '`simpleitk.DICOMOrient` turns axes to three sides, such as "LPS", '
         'not "LRS"'),
        ("simpleitk.BinShrink(i, [20, 1, 1])", "`simpleitk.BinShrink` would leave no voxel of 7 x 5 x 6"),
        ("simpleitk.Slice(i, [0, 0, 0], [7, 5, 6], [0, 1, 1])", "`simpleitk.Slice` goes by a step that is not 0"),
        ("simpleitk.Slice(i, [5, 0, 0], [2, 5, 6])", "`simpleitk.Slice` would leave no voxel of 7 x 5 x 6"),
        ("simpleitk.JoinSeries(i, i)", "`simpleitk.JoinSeries` makes an image of three dimensions of some of "
         "two, and these have three"),
        ("simpleitk.Tile([i, i], [1, 1, 1])", "`simpleitk.Tile` cannot put 2 images into 1 x 1 x 1"),
        ("simpleitk.Shrink(i, max(i) + 1)", "`shrinkFactors` of `simpleitk.Shrink` depends on an image here"),
        ('simpleitk.Resample(i, [4, 4, 4], "identity", "sitkLinear", [0, 0, 0], [1, 0, 1])',
         "`simpleitk.Resample` needs spacings above 0, not 0"),
        ('simpleitk.GaussianSource("sitkFloat32", [5, 6, 0])', "`simpleitk.GaussianSource` makes an image of "
         "two or three dimensions, each of 1 voxel or more, not [5, 6, 0]"),
    ],
)  # fmt: skip
def test_what_a_rule_refuses(expression: str, message: str) -> None:
    with pytest.raises(Failure) as caught:
        arrays(expression, i=np.ones((6, 5, 7), np.float32))
    assert caught.value.error.message == message


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("Shrink(i, 0)", "`shrinkFactors` of `simpleitk.Shrink` is a whole number from 1, and 0 is none"),
        ("Shrink(i, [2, 0, 1])", "`shrinkFactors` of `simpleitk.Shrink` is a whole number from 1, and 0 is none"),
        ("Expand(i, 1.5)", "`expandFactors` of `simpleitk.Expand` is a whole number, and 1.5 is none"),
        ("Crop(i, [-1, 0, 0])", "`lowerBoundaryCropSize` of `simpleitk.Crop` is a whole number from 0, and -1 is none"),
        ("Resample(i, i, \"affine\")", '`transform` of `simpleitk.Resample` is only "identity", and "affine" is none'),
        ("Flip(i, [1, 0])", "`Flip` takes a sequence of bools as its second argument, and is given a sequence "
         "of numbers"),
    ],
)  # fmt: skip
def test_literals_are_checked_with_the_program(expression: str, message: str) -> None:
    text = f'import "simpleitk"\nload f = "f.nii"\nlet i = intensity(f)\nsave "a.nii" {expression}'
    assert problem(text).message == message


RAMP = np.arange(210, dtype=np.float32).reshape(5, 6, 7)


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("for k in [1, 2] do volume(simpleitk.Shrink(i, k) >=. 0)", (210, 18)),
        ("for k in range(max(i) - 206) do volume(simpleitk.Shrink(i, 2) >. k)", (18, 18, 18)),
        ("volume(simpleitk.ConnectedThreshold(i, for k in range(0, 3) do [k, k, k], 0, 100))", 101),
        ("volume(simpleitk.ConnectedThreshold(i, for k in range(max(i) - 206) do [k, k, k], 0, 100))", 101),
        ("max(simpleitk.NaryAdd(for k in [1, 2, 3] do i *. k))", 209 * 6),
        ("max(simpleitk.NaryAdd(for k in range(max(i) - 206) do i *. k))", 209 * 3),
        ("max(simpleitk.Tile(for k in [1, 2] do i *. k, [2, 1, 1]))", 418),
        ("volume(border(simpleitk.Shrink(i, 2)))", 18),
        ("volume(border & (simpleitk.Shrink(i, 2) >=. 0))", 18),
        ("max(simpleitk.HistogramMatching(i, simpleitk.Shrink(i, 2)))", 166),
        ("simpleitk.MinimumMaximum(simpleitk.Crop(i, [1, 1, 1], [1, 1, 1]))[1]", 159),
        ("volume(simpleitk.ShotNoise(i, 1, 42) =. k)", 0),
    ],
)
def test_in_loops_and_with_sequences(expression: str, result: object) -> None:
    assert value(expression, i=RAMP, k=0.123) == result


def test_what_has_a_seed_is_the_same_each_time() -> None:
    image, threads = sitk.GetImageFromArray(RAMP), sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    try:
        expected = [sitk.GetArrayFromImage(sitk.AdditiveGaussianNoise(image, 2, 1, seed)) for seed in (1, 2)]
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
    found = arrays(*[f"simpleitk.AdditiveGaussianNoise(i, 2, 1, {seed})" for seed in (1, 2)], i=RAMP)
    assert [np.array_equal(a, b) for a in found for b in expected] == [True, False, False, True]


@pytest.mark.parametrize(
    "expression",
    ["simpleitk.NaryAdd(filter x in [i, i] do max(x) > 1000)", "simpleitk.NaryAdd(for k in range(0, 0) do i)"],
)
def test_of_no_images_nothing_is_made(expression: str) -> None:
    with pytest.raises(Failure) as caught:
        value(f"max({expression})", i=RAMP)
    assert caught.value.error.message in {
        "`images` of `simpleitk.NaryAdd` has no images",
        "`simpleitk.NaryAdd` is given no image, and so no voxel grid",
    }
