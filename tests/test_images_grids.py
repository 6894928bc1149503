"""When two spaces are one grid, and what is shown when they are not (C22)."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxlogica.images import difference, table
from voxlogica.images.grids import _above, orientation
from voxlogica.values import Space

GRID = Space.grid(8, 7, 6)
SAME_SCAN = "check that both belong to the same scan; if so, resample(seg, flair) brings `seg` onto the grid of `flair`"


def shown(a: Space, b: Space, names: tuple[str, str] = ("flair", "seg")) -> tuple[str, str]:
    apart = difference(a, b)
    assert apart is not None
    return "\n".join(table(names[0], a, names[1], b, apart)), apart.help(*names)


def turned(degrees: float) -> Space:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return replace(GRID, direction=(c, -s, 0, s, c, 0, 0, 0, 1))


def test_another_size() -> None:
    assert shown(GRID, Space.grid(4, 4, 4)) == (
        "              flair        seg\n"
        "size          8 x 7 x 6    4 x 4 x 4    <- different\n"
        "spacing (mm)  1 x 1 x 1    1 x 1 x 1\n"
        "origin (mm)   0, 0, 0      0, 0, 0",
        SAME_SCAN,
    )


def test_another_number_of_axes() -> None:
    assert shown(GRID, Space.grid(9, 7), ("volume3", "photo")) == (
        "              volume3      photo\n"
        "size          8 x 7 x 6    9 x 7    <- different\n"
        "spacing (mm)  1 x 1 x 1    1 x 1\n"
        "origin (mm)   0, 0, 0      0, 0",
        "they cannot be compared voxel by voxel: check that both belong to the same scan",
    )


def test_another_origin() -> None:
    assert shown(GRID, replace(GRID, origin=(0.5, 0, 0))) == (
        "              flair        seg\n"
        "size          8 x 7 x 6    8 x 7 x 6\n"
        "spacing (mm)  1 x 1 x 1    1 x 1 x 1\n"
        "origin (mm)   0, 0, 0      0.5, 0, 0    <- 0.5 mm apart",
        "if this is rounding, --grid-tolerance 0.6mm; if not, resample(seg, flair) in the program",
    )


def test_another_spacing_and_direction() -> None:
    other = replace(turned(2), spacing=(1, 1.002, 1))
    assert shown(GRID, other) == (
        "              flair        seg\n"
        "size          8 x 7 x 6    8 x 7 x 6\n"
        "spacing (mm)  1 x 1 x 1    1 x 1.002 x 1    <- 0.012 mm apart at the far corner\n"
        "origin (mm)   0, 0, 0      0, 0, 0\n"
        "direction     LPS          LPS              <- 2 degrees apart",
        "if this is rounding, --grid-tolerance 0.4mm; if not, resample(seg, flair) in the program",
    )


def test_a_mirrored_grid_is_no_rounding() -> None:
    text, help = shown(GRID, replace(GRID, direction=(-1, 0, 0, 0, 1, 0, 0, 0, 1)))
    assert text.endswith("direction     LPS          RPS          <- 180 degrees apart")
    assert help == "resample(seg, flair) brings `seg` onto the grid of `flair`"


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (replace(GRID, origin=(0.0009, -0.0009, 0)), True),
        (replace(GRID, origin=(0.0011, 0, 0)), False),
        (replace(GRID, spacing=(1.0009, 1, 1)), True),
        (replace(GRID, spacing=(1.0011, 1, 1)), False),
        (turned(0.005), True),  # the far corner moves by 0.8 µm
        (turned(0.01), False),
        (replace(GRID, native=("nifti", 1)), True),
    ],
)
def test_a_thousandth_of_the_spacing(other: Space, same: bool) -> None:
    assert (difference(GRID, other) is None) is same


def test_a_thousandth_of_the_spacing_along_each_axis() -> None:
    thick = Space.grid(8, 7, 6, spacing=(1, 1, 5))
    assert difference(thick, replace(thick, origin=(0, 0, 0.004))) is None
    assert difference(thick, replace(thick, origin=(0.004, 0, 0))) is not None
    upright = replace(thick, direction=(0, 0, 1, 1, 0, 0, 0, 1, 0))  # the third axis runs along the world's x
    assert difference(upright, replace(upright, origin=(0.004, 0, 0))) is None


@given(st.tuples(*[st.floats(-0.4, 0.4)] * 3), st.tuples(*[st.floats(0.98, 1.02)] * 3), st.floats(-2, 2))
def test_the_tolerance_that_is_suggested_is_enough(
    origin: tuple[float, float, float], spacing: tuple[float, float, float], degrees: float
) -> None:
    other = replace(turned(degrees), origin=origin, spacing=spacing)
    apart = difference(GRID, other)
    if apart is not None and "--grid-tolerance" in apart.help("a", "b"):
        suggested = apart.help("a", "b").split("--grid-tolerance ")[1].split("mm")[0]
        assert difference(GRID, other, float(suggested)) is None
        assert difference(GRID, other, float(suggested) / 3) is not None


@pytest.mark.parametrize(
    ("number", "text"), [(0.5, "0.6"), (0.31, "0.4"), (0.95, "1"), (12.3, "20"), (0.3, "0.4"), (2e-5, "3e-5")]
)
def test_one_digit_above(number: float, text: str) -> None:
    assert _above(number) == text


def test_orientation() -> None:
    assert orientation(GRID) == "LPS"
    assert orientation(Space.grid(3, 3)) == "LP"
    assert orientation(replace(GRID, direction=(0, 0, -1, -1, 0, 0, 0, 1, 0))) == "ASR"
