"""Namespaces (C16): what is visible, what a whole name means, what is ambiguous; and what `strings` and `geom` make."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.language import Failure, arrays, value

from voxlogica.check import check, meanings
from voxlogica.check.imports import members
from voxlogica.errors import Diagnostic, ProgramError, Source
from voxlogica.formula import NUMBER, STRING, Operator, sequence
from voxlogica.library import NAMESPACES
from voxlogica.operators import by_symbol, named
from voxlogica.syntax.parser import parse


def problem(text: str, path: Path | None = None) -> Diagnostic:
    """The only thing that is wrong with a program."""
    with pytest.raises(ProgramError) as caught:
        check(parse(Source("example", text)), path)
    (found,) = caught.value.diagnostics
    return found


# What is visible


def test_a_whole_name_needs_no_import() -> None:
    assert value('strings.concat("a", "b")') == "ab"


def test_an_import_lets_the_namespace_be_left_out() -> None:
    assert value('concat("a", "b")', imports=("strings",)) == "ab"


def test_what_is_not_imported_is_not_visible() -> None:
    found = problem('print "a" concat("a", "b")')
    assert found.message == "`concat` is in the namespace `strings`, which is not imported"
    assert found.help == 'write   strings.concat   or, above,   import "strings"'


def test_an_import_counts_from_where_it_stands() -> None:
    assert problem('let a = concat("a", "b")\nimport "strings"\nprint "a" a').span is not None


def test_an_imported_file_may_import_a_namespace(tmp_path: Path) -> None:
    (tmp_path / "names.imgql").write_text('import "strings"\nlet both(a, b) = concat(a, b)\n')
    text = 'import "names"\nprint "a" both("a", "b")\nprint "b" concat("c", "d")'
    assert len(check(parse(Source("example", text)), tmp_path / "main.imgql").goals) == 2


def test_the_program_s_own_definitions_come_first() -> None:
    text = 'import "strings"\nlet concat(a, b) = a + b\nprint "a" concat(1, 2)'
    assert check(parse(Source("example", text))).goals[0].type is NUMBER


def test_a_file_beside_the_program_comes_before_the_namespace_of_its_name(tmp_path: Path) -> None:
    (tmp_path / "strings.imgql").write_text("let concat(a, b) = a + b\n")
    text = 'import "strings"\nprint "a" concat(1, 2)'
    assert check(parse(Source("example", text)), tmp_path / "main.imgql").goals[0].type is NUMBER


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No two namespaces share a name with two meanings: so `geom` gets a `concat` and a `near` here."""
    (circle,) = by_symbol()["geom.circle"]
    extended = {**by_symbol(), "geom.concat": (circle,), "geom.near": (circle,)}
    monkeypatch.setattr(meanings, "by_symbol", lambda: extended)
    meanings._built_in.cache_clear()
    yield
    meanings._built_in.cache_clear()


@pytest.mark.usefixtures("shared")
def test_a_name_that_two_visible_namespaces_have_is_an_error_with_the_candidates() -> None:
    found = problem('import "strings"\nimport "geom"\nprint "a" concat("a", "b")')
    assert found.message == "`concat` could be `strings.concat` or `geom.concat`"
    assert found.help == "write the one that is meant with its namespace"
    found = problem('import "geom"\nload i = "i"\nprint "a" volume(near(intensity(i) > 1))')
    assert found.message == "`near` could be `default.near` or `geom.near`"
    text = 'import "geom"\nload i = "i"\nprint "a" volume(default.near(intensity(i) > 1))'
    assert check(parse(Source("example", text))).goals


def test_what_is_the_same_in_two_namespaces_is_not_ambiguous() -> None:
    assert value("dice(a, b)", a="01", b="11", imports=("arrays", "vox1")) == 2 / 3
    assert value("arrays.dice(a, b)", a="01", b="11") == 2 / 3


def test_vox1_has_all_that_every_program_sees() -> None:
    expressions = ("vox1.near(a)", "default.near(a)", "near(a)", "vox1.grow(a, a)", "a")
    found = arrays(*expressions, a="00100")
    assert [array.astype(int).tolist() for array in found] == [[[0, 1, 1, 1, 0]]] * 3 + [[[0, 0, 1, 0, 0]]] * 2


def test_default_names_what_a_program_has_hidden() -> None:
    assert arrays("default.near(a)", definitions="let near(a) = a\n", a="010")[0].all()


def test_map_takes_a_name_with_its_namespace() -> None:
    assert value('map(strings.concat, ["a", "b"])') == ("a", "b")


def test_every_namespace_says_what_it_has() -> None:
    assert members("strings") == ("concat", "format_string")
    assert members("geom") == ("blank", "circle", "regular_polygon")
    assert "vol" in members("vox1")
    assert set(NAMESPACES) >= {"default", "simpleitk", "vox1", "arrays", "strings", "geom", "test"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("string.concat(1)", "there is no namespace `string`"),
        ("strings.contat(1)", "there is no `contat` in the namespace `strings`"),
        ("strings", "`strings` is a namespace, not a value"),
        ("strings.concat", "`strings.concat` takes 1 argument or more, and is given none"),
        ("strings.concat()", "`strings.concat` is given no arguments between its brackets"),
        (
            "strings.concat([1])",
            "`strings.concat` takes a number, a bool or a string, and is given a sequence of numbers",
        ),
    ],
)
def test_what_is_wrong_with_a_whole_name(text: str, message: str) -> None:
    assert problem(f'print "a" {text}').message == message


def test_a_family_is_found_by_the_name_in_its_ids() -> None:
    for name in ("strings.concat(string, number)", "strings.format_string(string, bool)"):
        found = named(name)
        assert isinstance(found, Operator)
        assert (found.name, found.result) == (name, STRING)
    assert named("near") is by_symbol()["near"][0]
    assert named("strings.concat(sequence)") is named("nothing(number)") is named("nothing") is None
    assert sequence(NUMBER) is sequence(NUMBER)


# strings


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ('"a"', "a"),
        ('"a", 1, true, 0.5, "b"', "a1true0.5b"),
        ("inf, 1e30, -0.25, 1e15, 1e16, -0.0", "inf1e+30-0.2510000000000000001e+160"),
    ],
)
def test_concat(arguments: str, text: str) -> None:
    assert value(f"strings.concat({arguments})") == text


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ('"no field"', "no field"),
        ('"{} and {}", 1, "b"', "1 and b"),
        ('"{1}{0}", "a", "b"', "ba"),
        ('"{:.3f}|{:5d}|{:<4}|{:>6}", 2, 3, "x", true', "2.000|    3|x   |  true"),
        ('"{{}} {:x}", 255', "{} ff"),
        ('"{:4}|{:<4}|{:04}|{:+}|{:5}|{:.3}|{:e}", 7, 7, 7, 7, 0.5, 1, 1', "   7|7   |0007|+7|  0.5|1.0|1.000000e+00"),
    ],
)
def test_format_string(arguments: str, text: str) -> None:
    assert value(f"strings.format_string({arguments})") == text


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ('"{} {}", 1', "it has more fields than values, 1"),
        ('"{:d}", 1.5', "`d` is for whole numbers, and 1.5 is none"),
        ('"{0.real}", 1', "`0.real` is no position"),
        ('"{name}", 1', "`name` is no position"),
        ('"{:99999}", 1', "`99999` is too wide"),
        ('"{", 1', "expected '}' before end of string"),
    ],
)
def test_format_string_that_cannot_be_filled_in(arguments: str, reason: str) -> None:
    with pytest.raises(Failure) as caught:
        value(f"strings.format_string({arguments})")
    template = arguments.split('"')[1]
    message = f'`strings.format_string` cannot fill in "{template}": '
    assert caught.value.error.message.startswith(message)
    assert reason in caught.value.error.message or "Single '{'" in caught.value.error.message


# geom


def test_blank_is_a_grid_of_its_own() -> None:
    (found,) = arrays("geom.blank(2, 3, 0.1)")
    assert found.tolist() == [[np.float32(0.1)] * 3] * 2


@pytest.mark.parametrize("r", [0, 1, 2.5])
def test_circle(r: float) -> None:
    (found,) = arrays("geom.circle(geom.blank(7, 9), 5, 2, r, 3)", r=r)
    y, x = np.indices((7, 9))
    assert np.array_equal(found, np.where((x - 5) ** 2 + (y - 2) ** 2 <= r**2, 3, 0))


@pytest.mark.parametrize("n", [3, 4, 5, 8])
def test_regular_polygon_point_by_point(n: int) -> None:
    (found,) = arrays("geom.regular_polygon(geom.blank(40, 50, 1), 24.3, 18.1, 15.7, n, 2)", n=float(n))
    for y in range(40):
        for x in range(50):
            dx, dy = x - 24.3, y - 18.1
            side = 2 * math.pi / n
            phi = ((math.atan2(dy, dx) + math.pi) % side) - side / 2
            inside = math.hypot(dx, dy) <= 15.7 * math.cos(side / 2) / math.cos(phi)
            assert found[y, x] == (2 if inside else 1), (x, y)


def test_a_circle_keeps_the_grid_of_its_image() -> None:
    (found,) = arrays("geom.circle(i, 0, 0, 0, 9) + i", i=[[1, 2], [3, 4]], spacing=(3.0, 2.0))
    assert found.tolist() == [[10, 4], [6, 8]]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("geom.blank(0, 3)", "`geom.blank` needs a whole number of pixels from 1 to 65536, not 0"),
        ("geom.blank(3, 2.5)", "`geom.blank` needs a whole number of pixels from 1 to 65536, not 2.5"),
        ("geom.blank(max(i), 2)", "`h` of `geom.blank` depends on an image here"),
        ("geom.circle(i, 0, 0, 1, 1)", "`geom.circle` draws in two dimensions, and the image has three"),
        (
            "geom.regular_polygon(geom.blank(3, 3), 0, 0, 1, 2, 1)",
            "`geom.regular_polygon` needs a whole number of sides from 3, not 2",
        ),
        (
            "geom.blank(2, 2) + geom.blank(3, 3)",
            "`+` was given images on different voxel grids, of 2 x 2 and 3 x 3 voxels",
        ),
    ],
)
def test_what_geom_refuses(expression: str, message: str) -> None:
    with pytest.raises(Failure) as caught:
        value(expression, i=np.zeros((2, 2, 2), np.float32))
    assert caught.value.error.message == message


# Grids that a program makes


def test_constants_take_the_grid_of_an_image_that_is_drawn() -> None:
    definitions = "let sheet(n) = geom.blank(n, n)\nlet image = sheet(4)\n"
    expressions = ("volume(border & (image =. 0))", "volume((sheet(3) =. 0) & tt)", "volume(border(sheet(5)))")
    assert arrays(*expressions, definitions=definitions) == (12, 9, 16)


def test_each_turn_of_a_loop_may_make_another_grid() -> None:
    assert value("for n in [2, 3] do volume(border & (geom.blank(n, n) =. 0))") == (4, 8)
    definitions = "let sheets = for n in [2, 3] do geom.blank(n, n)\n"
    assert arrays("volume(sheets[1] =. 0)", "for s in sheets do volume(s =. 0)", definitions=definitions) == (9, (4, 9))


def test_a_constant_in_a_loop_takes_the_grid_of_a_function_s_argument() -> None:
    """It is seen from the loop only after the constant."""
    definitions = "let inner(a) = for k in [1, 2] do volume(border & (a >. k))\n"
    assert arrays("inner(i)", "volume(b)", definitions=definitions, i=[[1, 2, 3]] * 3, b="1111") == ((5, 3), 4)


@pytest.mark.parametrize(
    ("definitions", "expression"),
    [
        ("let edge = border\nlet image = geom.blank(4, 4)\n", "volume(edge & (image =. 0))"),
        ("let f(n) = let e = border in let i = geom.blank(n, n) in volume(near(e) & (i =. 0))\n", "f(4) - 4"),
        ("let g(n) = for k in [1] do volume(border & (geom.blank(n, n) =. 0))\n", "g(4)[0]"),
    ],
)
def test_a_constant_may_stand_before_the_image_whose_grid_it_takes(definitions: str, expression: str) -> None:
    assert arrays(expression, definitions=definitions) == (12,)


def test_a_constant_cannot_take_the_grid_of_what_is_made_of_it() -> None:
    found = problem('let e = border\nlet part = extract(e, [2, 2], [0, 0])\nprint "a" volume(part & e)')
    assert found.message == "`border` takes its voxel grid from an image that is made of it"
    assert found.span is not None
    assert found.span.text == "border"
