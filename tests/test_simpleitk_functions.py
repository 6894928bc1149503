"""Each function of SimpleITK that programs can use, in each way, on each kind of image: what SimpleITK itself gives."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from tests import simpleitk_functions
from tests.simpleitk_functions import arguments, called, sample
from tests.test_simpleitk_grids import RULES

import voxlogica as vx
from voxlogica.formula import IMAGE, MASK
from voxlogica.operators import family, named
from voxlogica.operators.simpleitk import functions

KINDS = ("image", "mask", "labels", "colours")
PROGRAM = """\
load colours = "colours.nii"
load image_ = "image.nii"
load mask_ = "mask.nii"
let image = intensity(image_)
let mask = not(0 .= intensity(mask_))
let labels = simpleitk.ConnectedComponent(mask)
"""
SLOW = {"StochasticFractalDimension"}
"""Which takes half a minute."""
UNSTEADY = {("LiThreshold", "mask"), ("LiThreshold", "labels")}
"""What reads beyond its histogram there, and gives one thing or another."""
WRITTEN = {"Resample", "Statistics", "JoinSeries"}
"""What SimpleITK does not say of itself, or does not make of volumes; see the tests of grids and of operators."""
USABLE = [name for name, ways in functions().items() if not isinstance(ways, str)]


@pytest.fixture(scope="module")
def session() -> Iterator[vx.Session]:
    threads = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    with vx.Session(store=False) as session:
        yield session
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)


def written(wanted: str, given: object) -> str:
    """An argument as a program says it."""
    if wanted in ("image", "images"):
        return f"[{', '.join([str(given)] * 3)}]" if wanted == "images" else str(given)
    if wanted == "pixel":
        return '"sitkFloat32"'
    if isinstance(given, dict):
        given = [list(pair) for pair in given.items()]
    return str(given).lower()


@pytest.mark.parametrize("name", [name for name in USABLE if name not in SLOW | WRITTEN])
def test_it_gives_what_simpleitk_gives(name: str, session: vx.Session) -> None:
    ways = functions()[name]
    assert not isinstance(ways, str)
    expected, text = {}, PROGRAM
    for n, way in enumerate(ways):
        declared = [(p.name, f"axes {p.kind}" if p.axes else p.kind, p.default) for p in way.parameters]
        for kind, result in zip(KINDS, way.results, strict=True):
            if result != "-" and (name, kind) not in UNSTEADY:
                made = called(name, declared, kind)
                if result == "labels" and sitk.GetArrayViewFromImage(made).max() > 2**24:
                    continue  # which is refused
                given = [written(wanted, value) for (_, wanted, _), value in arguments(name, declared, kind)]
                text += f"let found{n}{kind} = simpleitk.{name}({', '.join(given)})\n"
                expected[f"found{n}{kind}"] = made
    inputs = {"colours": sample("colours"), "image_": sample("image"), "mask_": sample("mask")}
    run = session.program(text).run(**inputs, save=False)
    for found, wanted in expected.items():
        if not isinstance(wanted, sitk.Image):
            assert run[found] == wanted
            continue
        ours: Any = run[found].sitk()
        assert ours.GetSize() == wanted.GetSize()
        for part in ("Spacing", "Direction", *([] if name in RULES and not RULES[name].exact else ["Origin"])):
            np.testing.assert_allclose(getattr(ours, f"Get{part}")(), getattr(wanted, f"Get{part}")(), atol=1e-9)
        with np.errstate(over="ignore"):
            voxels = sitk.GetArrayFromImage(wanted).astype(np.float32)
        assert np.array_equal(sitk.GetArrayFromImage(ours).astype(np.float32), voxels, equal_nan=True)


@pytest.mark.parametrize("name", USABLE)
def test_an_operator_is_found_by_the_name_in_its_ids(name: str) -> None:
    first = family(f"simpleitk.{name}")
    assert first is not None
    for way in (first, *first.others):
        for n in range(len(way.parameters) - way.optional, len(way.parameters) + 1):
            for kinds in product(*[kinds for _, kinds in way.parameters[:n]]):
                made = way.chosen(kinds)
                found = named(made.name)
                assert found is not None
                assert (found.name, found.parameters, found.result) == (made.name, made.parameters, made.result)


def test_of_an_image_whose_grid_is_taken_the_kind_has_no_part_in_the_id() -> None:
    way = family("simpleitk.Resample")
    assert way is not None
    assert way.chosen((IMAGE, MASK)).name == way.chosen((IMAGE, IMAGE)).name


def test_every_function_is_usable_or_has_a_reason() -> None:
    assert {reason for reason in functions().values() if isinstance(reason, str)} <= set(simpleitk_functions._REASONS)
