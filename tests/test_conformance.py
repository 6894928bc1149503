"""The language reference's table of small inputs and results, and its decisions C9 to C26 as far as operators go.

The numbers of the table were computed by VoxLogicA 1 and ITK. They fix what laws leave open: connectivity, edges,
ties, what is empty.
"""

from __future__ import annotations

import math
from io import BytesIO

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as pillow
from tests.language import Failure, arrays, holds, value

from voxlogica import identity
from voxlogica.check import check
from voxlogica.errors import ProgramError, Source
from voxlogica.formula import Formulas, Leaf
from voxlogica.operators import operators
from voxlogica.syntax.parser import parse
from voxlogica.values import Image, Mask, Space

LARGEST = 3.4028234663852886e38  # the largest float32
FAR = float(np.float32(1.8446743e19))
NAN, INF = math.nan, math.inf

Voxels = NDArray[np.bool_]


def one(shape: tuple[int, ...], at: tuple[int, ...]) -> Voxels:
    voxels = np.zeros(shape, np.bool_)
    voxels[at] = True
    return voxels


def disc(radius: float) -> NDArray[np.float32]:
    """8 × 8 zeros, and 1 where (x − 4)² + (y − 4)² ≤ r²."""
    y, x = np.indices((8, 8))
    return ((x - 4) ** 2 + (y - 4) ** 2 <= radius**2).astype(np.float32)


# ---------------------------------------------------------------------------------------------------------------------
# The table
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("at", "volume"), [((2, 2, 2), 27), ((0, 0, 0), 8)])
def test_vector_near_of_one_voxel(at: tuple[int, ...], volume: int) -> None:
    assert value("volume(near(b))", b=one((5, 5, 5), at)) == volume


@pytest.mark.parametrize(("shape", "volume"), [((5, 5, 5), 27), ((5, 5), 9)])
def test_vector_interior_of_all_but_the_centre(shape: tuple[int, ...], volume: int) -> None:
    assert value("volume(!interior(b))", b=~one(shape, (2,) * len(shape))) == volume


def test_vector_dt_of_a_row() -> None:
    assert value("dt(b)", b="001111100") == [2, 1, 0, -1, -2, -1, 0, 1, 2]


def test_vector_dt_of_all_but_a_corner() -> None:
    (dt,) = arrays("dt(b)", b=~one((5, 5), (0, 0)))
    assert (dt[1, 1], dt[2, 2], dt[4, 4]) == (0, -np.float32(math.sqrt(2)), -np.float32(math.sqrt(18)))


def test_vector_dt_with_spacing() -> None:
    (dt,) = arrays("dt(b)", b="00100/00100/00100", spacing=(2.0, 1.0))
    assert dt[1].tolist() == [4, 2, 0, 2, 4]


def test_vector_dt_of_none_and_of_all() -> None:
    assert value("dt(ff & b)", b="010/000") == [[FAR] * 3] * 2
    assert value("dt(tt | b)", b="010/000") == [[-FAR] * 3] * 2


@pytest.mark.parametrize(
    ("c", "ranks"), [(0.0, [0, 0.25, 0.25, 0.75]), (0.5, [0.125, 0.5, 0.5, 0.875]), (1.0, [0.25, 0.75, 0.75, 1])]
)
def test_vector_percentiles(c: float, ranks: list[float]) -> None:
    assert value("percentiles(i, tt, c)", i=[1, 2, 2, 5], c=c) == ranks


def test_vector_division_by_zero() -> None:
    assert value("1.0 ./ i", i=[0, 2, -2]) == [LARGEST, 0.5, -0.5]
    assert value("i / i", i=[0, 2, -2]) == [LARGEST, 1, 1]


def test_vector_lcc_joins_at_corners() -> None:
    (labels,) = arrays("lcc(b)", b="000001/000010/000000/100000")
    assert (labels[0, 5], labels[1, 4], labels[3, 0], labels.max()) == (1, 1, 2, 2)


def test_vector_disc() -> None:
    expressions = (
        "volume(im >. 0)", "volume(near(im >. 0))", "volume(distleq(1.5, im >. 0))", "min(dt(im >. 0))",
        "volume(surrounded(im >. 0, im =. 0))", "max(percentiles(im, im >. 0, 0.5))",
    )  # fmt: skip
    assert arrays(*expressions, im=disc(2)) == (13, 37, 37, -1, 13, 0.5)


def test_vector_discs_of_three_radii() -> None:
    assert [value("volume(im >. 0)", im=disc(r)) for r in (1, 2, 3)] == [5, 13, 29]


def test_vector_disc_as_a_program_draws_it() -> None:
    """The same with `geom`: its grid is its own."""
    expressions = (
        "volume(im >. 0)", "volume(near(im >. 0))", "volume(distleq(1.5, im >. 0))", "min(dt(im >. 0))",
        "volume(surrounded(im >. 0, im =. 0))", "max(percentiles(im, im >. 0, 0.5))",
        "for r in range(1, 4) do volume(circle(blank(8, 8), 4, 4, r, 1) >. 0)",
    )  # fmt: skip
    definitions = "let im = circle(blank(8, 8), 4, 4, 2, 1)\n"
    found = arrays(*expressions, imports=("geom",), definitions=definitions)
    assert found == (13, 37, 37, -1, 13, 0.5, (5, 13, 29))
    assert arrays("im", imports=("geom",), definitions=definitions)[0].tolist() == disc(2).tolist()


def test_vector_smoothen_by_the_spacing_only_dilates() -> None:
    """Section 6."""
    assert arrays("volume(smoothen(im >. 0, 1))", "volume(imopen(im >. 0, 1))", im=disc(2)) == (25, 13)


def test_vector_nesting() -> None:
    """Version 1 nests to the right: 10 − (3 − 2) and 2 + (3 · 4)."""
    expressions = ("10 .-. 3 .-. 2", "2 .+. 3 .*. 4", "2 .*. 3 .+. 4", "(10 .-. 3) .-. 2", "(2 .+. 3) .*. 4")
    assert arrays(*expressions, definitions="// dialect: 1\n") == (9, 14, 14, 5, 20)


def test_vector_nesting_of_version_2() -> None:
    """Version 2 nests to the left, without levels."""
    assert arrays("10 - 3 - 2", "2 + 3 * 4", definitions="// dialect: 2\n") == (5, 20)


def test_vector_sequences() -> None:
    definitions = "let xs = range(0, 6)\nlet f(x) = x + 1\nlet g(x) = 10 * x\n"
    found = arrays("map(f, map(g, xs))[2:4]", "(filter x in xs do x > 2)[0:2]", definitions=definitions)
    assert found == ((21, 31), (3, 4))


# ---------------------------------------------------------------------------------------------------------------------
# Decisions
# ---------------------------------------------------------------------------------------------------------------------


def test_c9_numbers_of_pictures_are_clamped_and_rounded_half_to_even() -> None:
    space = Space.grid(7, 1)
    row = np.array([[[-3, 0.5, 1.5, 2.5, 254.6, 255.7, 300]]], np.float32)
    picture = operators()["encode_image"].body("png", Image.of(space, row), "")
    assert isinstance(picture, bytes)
    assert np.asarray(pillow.open(BytesIO(picture))).tolist() == [[0, 0, 2, 2, 255, 255, 255]]
    assert operators()["clamped_image"].body(Image.of(space, row)) == 3


def test_c9_true_is_255_in_a_picture() -> None:
    picture = operators()["encode_mask"].body("png", Mask.of(Space.grid(3, 1), np.array([[[5]]], np.uint64)), "")
    assert isinstance(picture, bytes)
    assert np.asarray(pillow.open(BytesIO(picture))).tolist() == [[255, 0, 255]]


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("tt & a", "111/111/111"),
        ("touch(a & (i <. 0.1), border)", "110/110/000"),
        ("bconstant(true) \\ (i <. 0.1)", "001/001/111"),
        ("constant(1) >. 0.5", "111/111/111"),
        ("x =. 1", "010/010/010"),
    ],
)
def test_c10_constants_take_the_grid_of_what_they_are_combined_with(expression: str, result: str) -> None:
    assert holds(expression, a="111/111/111", i=[[0, 0, 1], [0, 0, 1], [1, 1, 1]]) == result


def test_c10_a_constant_in_a_function_takes_the_grid_of_its_argument() -> None:
    definitions = "let far(a) = a & (x >. 1)   let edge = border"
    assert arrays("far(a)", "edge & a", definitions=definitions, a="1111/1111/1111")[0].tolist() == [[0, 0, 1, 1]] * 3


def test_c10_two_grids_in_one_program() -> None:
    found = arrays("volume(border & a)", "volume(border & b)", a="111/111/111", b="1111/1111/1111/1111")
    assert found == (8, 12)


def test_c10_a_constant_without_any_image_is_an_error() -> None:
    with pytest.raises(ProgramError) as caught:
        check(parse(Source("example", 'print "n" volume(tt)')))
    assert [problem.code for problem in caught.value.diagnostics] == ["space"]


def test_c11_interior_is_the_box_in_three_dimensions() -> None:
    """Version 1 took the 18 nearest neighbours: a missing corner would not matter to it."""
    assert holds("interior(b)", b=~one((3, 3, 3), (0, 0, 0))).split("//")[1] == "001/001/111"


def test_c12_the_colours_of_a_grey_image_are_its_intensity() -> None:
    assert arrays("emptyB(!((red(m) - intensity(m)) =. 0))", m=[3, 4]) == (True,)
    assert value("red(m)", m=[3, 4]) == value("green(m)", m=[3, 4]) == value("blue(m)", m=[3, 4]) == [3, 4]


def test_c13_percentiles_outside_the_mask_are_minus_one() -> None:
    assert value("percentiles(i, b, 0)", i=[1, 2, 2, 5], b="0110") == [-1, 0, 0, -1]
    assert value("percentiles(i, ff, 1)", i=[1, 2]) == [-1, -1]


def test_c14_every_voxel_is_correlated() -> None:
    """Version 1 left the last (voxels mod processors) uncomputed: they kept the raw value, here 50 or more."""
    i = np.arange(50, 50 + 7 * 11, dtype=np.float32).reshape(7, 11)
    (found,) = arrays("crossCorrelation(1, i, i, i >. 100, min(i), max(i), 5)", i=i)
    assert (np.abs(found) <= 1).all()


def test_c14_without_variance() -> None:
    assert value("crossCorrelation(1, i, i, tt, 9, 10, 5)", i=[0, 1, 2]) == [1, 1, 1]  # neither histogram varies
    assert value("crossCorrelation(1, i, j, tt, 0, 2, 2)", i=[0, 0, 0], j=[0, 1, 0]) != [0, 0, 0]
    assert value("crossCorrelation(1, i, j, tt, 0, 2, 2)", i=[0, 0, 0], j=[0, 1, 2]) == [0, 0, 0]  # one does not


def test_c14_values_outside_the_bins_and_the_image_are_ignored() -> None:
    """The upper limit itself is outside; the result is Pearson's correlation of (2, 1) and (1, 1, …) by hand."""
    assert value("crossCorrelation(1, i, i, b, 0, 2, 2)", i=[0, 0, 1, 2, -1], b="11100") == [1, 1, 0, -1, 0]


def test_c15_components_of_a_mask() -> None:
    assert value("maskCC(a, b)", a="0110100", b="1101100") == [0, 1, 0, 0, 2, 0, 0]
    assert arrays("minCC(a, b)", "maxCC(a, b)", a="0110100", b="1101100") == (0, 2)
    assert arrays("minCC(a, b)", "maxCC(a, b)", a="0000110", b="1101111") == (2, 2)


@pytest.mark.parametrize(
    ("a", "collected"),
    [("11000", True), ("00010", True), ("10010", False), ("00100", False), ("01100", False), ("00000", True)],
)
def test_c15_collect(a: str, collected: bool) -> None:
    assert value("collect(a, b)", a=a, b="11011") is collected


def test_c15_the_outer_boundary_can_be_used() -> None:
    """In version 1 `B+` was defined before the `\\` it needs."""
    assert holds("B+ a", a="00110") == "01001"


def test_c18_identity_is_of_operator_version_space_arguments_and_digests() -> None:
    def near(version: int, digest: bytes, spacing: float) -> identity.Id:
        table = Formulas()
        leaf = table.leaf(Leaf("", digest, "reader", 1, Space.grid(2, 2, spacing=(1.0, spacing))))
        image = table.apply(operators()["intensity"], (leaf,))
        return identity.applied("dt", version, image.space.id if image.space else None, [image.id])

    ids = {near(1, b"a", 1), near(2, b"a", 1), near(1, b"b", 1), near(1, b"a", 2)}
    assert len(ids) == 4
    assert near(1, b"a", 1) in ids


def test_c18_commuted_arguments_are_one_formula() -> None:
    table = Formulas()
    space = Space.grid(2, 2)
    a, b = (table.apply(operators()[name], (), space) for name in ("tt", "border"))
    assert table.apply(operators()["and"], (a, b)) is table.apply(operators()["and"], (b, a))
    assert table.apply(operators()["through"], (a, b)) is not table.apply(operators()["through"], (b, a))


@pytest.mark.parametrize(
    ("expression", "result"), [("1 ./. 0", INF), ("1 ./. (0 .*. -1)", -INF), ("-1 ./. 0", -INF), ("inf ./. 0", INF)]
)
def test_c21_numbers_are_divided_by_zero_as_ieee_says(expression: str, result: float) -> None:
    assert value(expression) == result


@pytest.mark.parametrize("expression", ["0 ./. 0", "nan ./. 0", "inf ./. inf"])
def test_c21_what_is_not_a_number(expression: str) -> None:
    found = value(expression)
    assert found != found


def test_c21_images_are_divided_by_zero_as_in_version_1() -> None:
    assert value("i / j", i=[1, -1, 0, 6], j=[0, -0.0, 0, 3]) == [LARGEST, LARGEST, LARGEST, 2]
    assert value("-1 ./ i", i=[0, -0.0, 2]) == [LARGEST, LARGEST, -0.5]
    assert value("i /. 0", i=[1, -1]) == [INF, -INF]
    (quotient,) = arrays("i /. 0", i=[0, 1])
    assert np.isnan(quotient[0, 0])


def test_c22_images_of_different_sizes_cannot_be_combined_unnoticed() -> None:
    """Which inputs must lie on one grid is known before any is opened."""
    inputs = 'load f = "f"  load g = "g"  load h = "h"'
    goals = 'save "s.nii" intensity(f) + intensity(g)  print "m" max(intensity(h))'
    checked = check(parse(Source("example", f"{inputs}  {goals}")))
    assert [(pair.first, pair.second) for pair in checked.together] == [(0, 1)]


def test_c23_distances_are_rounded_once() -> None:
    """In float32 steps √(0.7² + 0.9²) would be 1.1401755."""
    (dt,) = arrays("dt(b)", b="100/000/000", spacing=(0.7, 0.9))
    assert dt[1, 1] == np.float32(math.sqrt((0.7 * 1) ** 2 + (0.9 * 1) ** 2))
    assert dt[2, 1] == np.float32(math.sqrt((0.7 * 1) ** 2 + (0.9 * 2) ** 2))


@pytest.mark.parametrize("spacing", [0.7, 0.1, 1 / 3, 0.9375])
def test_c23_comparisons_see_the_rounded_distance(spacing: float) -> None:
    """A distance of three voxels is reached by the number that is written for it, though 3 · 0.7 is above 2.1."""
    expressions = ("distleq(r, b)", "distgeq(r, b)", "distlt(r, b)", "dt(b) <=. r", "dt(b) >=. r", "dt(b) =. r")
    found = arrays(*expressions, b="1000000", r=3 * spacing, spacing=(spacing, 1.0))
    texts = ["".join(map(str, array.astype(int)[0])) for array in found]
    assert texts == ["1111000", "0001111", "1110000", "1111000", "0001111", "0001000"]


def test_c25_the_published_opening_is_another_than_smoothen() -> None:
    """The published programs' own `flt` takes dt < r, the library ≤ r: here they differ in 12 voxels."""
    definitions = "let within(r, a) = dt(a) <. r   let flt(r, a) = within(r, distgeq(r, !a))"
    flt, smoothen, differ = arrays(
        "volume(flt(1, im >. 0))", "volume(smoothen(im >. 0, 1))", "volume(xor(flt(1, im >. 0), smoothen(im >. 0, 1)))",
        definitions=definitions, im=disc(2),
    )  # fmt: skip
    assert (flt, smoothen, differ) == (13, 25, 12)


def test_c26_percentiles_are_computed_in_float32_steps() -> None:
    """Two of three below, one equal: (2 + f32(0.1) · 1) / 3 in float32 is not the rounded double."""
    (ranks,) = arrays("percentiles(i, tt, 0.1)", i=[1, 2, 3])
    steps = (np.float32(2) + np.float32(0.1) * np.float32(1)) / np.float32(3)
    assert ranks[0, 2] == steps
    (large,) = arrays("percentiles(i, tt, 1 ./. 3)", i=np.arange(1000, dtype=np.float32).reshape(10, 100))
    double = ((np.arange(1000) + 1 / 3) / 1000).astype(np.float32)
    assert (large.ravel() != double).any()


def test_c26_not_a_number_in_the_population_is_an_error() -> None:
    with pytest.raises(Failure) as caught:
        value("percentiles(i, tt, 0)", i=[1, NAN])
    assert caught.value.error.kind == "definite"
    assert "NaN" in caught.value.error.message
    assert value("percentiles(i, b, 0)", i=[1, NAN], b="10") == [0, -1]


# ---------------------------------------------------------------------------------------------------------------------
# What operators refuse
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("avg(i, ff)", "`avg` was given a mask with no true voxel, and the mean over no voxel is not a number"),
        ("minwithin(i, ff)", "`minwithin` was given a mask with no true voxel, and there is no smallest of no voxel"),
        ("maxwithin(i, ff)", "`maxwithin` was given a mask with no true voxel, and there is no largest of no voxel"),
        ("crossCorrelation(1, i, i, tt, 0, 1, 0)", "`crossCorrelation` needs at least one bin, not 0"),
        ("crossCorrelation(1, i, i, tt, 0, 1, 0 ./. 0)", "`crossCorrelation` needs at least one bin, not nan"),
        (
            "crossCorrelation(-1, i, i, tt, 0, 1, 5)",
            "`crossCorrelation` needs a radius in mm that is not negative, not -1",
        ),
        ("otsu(i, tt, 0)", "`otsu` needs at least one bin, not 0"),
    ],
)
def test_refused(expression: str, message: str) -> None:
    with pytest.raises(Failure) as caught:
        value(expression, i=[1, 2, 3])
    assert caught.value.error.message == message
    assert (caught.value.error.kind, caught.value.error.traceback) == ("definite", "")
