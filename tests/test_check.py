"""From text to formulas: scopes, functions for several types, grids, identity; messages are in `tests/wrong`."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxlogica.check import Checked, check, read_text
from voxlogica.errors import Diagnostic, ProgramError, Source, render
from voxlogica.formula import Formula, Formulas, Leaf, below
from voxlogica.reduction import reduce
from voxlogica.reduction.code import DEFAULT
from voxlogica.syntax.parser import parse
from voxlogica.values import Space

GRID = Space.grid(4, 3, 2)
OTHER = Space.grid(5, 5)


def checked(text: str) -> Checked:
    return check(parse(Source("test.imgql", text)), None, "test.imgql")


def leaves(each: Checked, *spaces: Space, digests: tuple[bytes, ...] = ()) -> list[Leaf]:
    digests = digests or tuple(f"{n}".encode() for n in range(len(each.inputs)))
    return [Leaf(n, digests[n], "test", 1, spaces[n] if spaces else GRID) for n in range(len(each.inputs))]


def goals(text: str, *spaces: Space, digests: tuple[bytes, ...] = (), **parameters: float) -> list[Formula]:
    """The formulas of a program's goals."""
    each = checked(text)
    bound = leaves(each, *spaces, digests=digests)
    only = bound[0].space if bound else None
    known = {v: bound[n].space if n >= 0 else only for v, n in each.grids.items()} | {DEFAULT: only}
    known = {v: space for v, space in known.items() if space is not None}
    slots = reduce(each.code, bound, known, parameters, lambda text: text, Formulas())
    found = [slots[goal.slot] for goal in each.goals]
    assert all(formula is not None for formula in found)
    return [formula for formula in found if formula is not None]


def ids(text: str, *spaces: Space, **more: float) -> list[bytes]:
    return [formula.id for formula in goals(text, *spaces, **more)]


IMAGE = 'load m = "m.nii"\nlet i = intensity(m)\n'


def test_a_definition_sees_what_was_bound_before_it() -> None:
    assert ids('let a = 1 let a = a .+. 1 let b = a let a = 7 print "v" b') == ids('print "v" 1 .+. 1')


def test_a_function_keeps_the_definitions_it_captured() -> None:
    text = "let k = 1 let f(x) = x .+. k let k = 100 "
    assert ids(text + 'print "v" f(5)') == ids('print "v" 5 .+. 1')


def test_a_parameter_hides_a_definition_of_the_same_name() -> None:
    assert ids('let x = 1 let f(x) = x .*. x print "v" f(3)') == ids('print "v" 3 .*. 3')


def test_one_function_serves_several_types() -> None:
    text = (
        IMAGE
        + 'let twice(a) = a let f(a, b) = twice(a) print "n" f(1, true) save "i.nii" f(i, 2) save "m.nii" f(i >. 1, i)'
    )
    assert [str(goal.type) for goal in goals(text)] == ["number", "number image", "mask"]


def test_labels_are_accepted_where_an_image_is() -> None:
    assert [str(goal.type) for goal in goals(IMAGE + 'save "l.nii" lcc(i >. 1) print "m" max(lcc(i >. 1))')] == [
        "labels",
        "number",
    ]


def test_renaming_changes_no_id_and_a_changed_file_changes_those_that_need_it() -> None:
    text = 'load {a} = "a" load b = "b" let {x} = intensity({a}) print "1" max({x}) print "2" max(intensity(b))'
    one = ids(text.format(a="a", x="x"), digests=(b"1", b"2"))
    assert one == ids(text.format(a="flair", x="image"), digests=(b"1", b"2"))
    other = ids(text.format(a="a", x="x"), digests=(b"9", b"2"))
    assert (other[0] != one[0], other[1] == one[1]) == (True, True)


def test_a_function_and_the_same_written_by_hand_are_one() -> None:
    assert ids(IMAGE + 'let f(a, r) = near(a) & (i >. r) save "m.nii" f(i >. 2, 3)') == ids(
        IMAGE + 'save "m.nii" near(i >. 2) & (i >. 3)'
    )


def test_commutative_operators_have_one_id_for_both_orders() -> None:
    assert ids(IMAGE + 'save "a.nii" (i >. 1) & (i >. 2)') == ids(IMAGE + 'save "a.nii" (i >. 2) & (i >. 1)')


def test_what_makes_voxels_lies_on_the_grid_of_what_it_is_combined_with() -> None:
    text = """load a = "a" load b = "b"
    let edge = border
    let inside(x) = x & !border
    print "a" volume(inside(intensity(a) >. 1))
    print "b" volume(inside(intensity(b) >. 1))
    save "touch.nii" touch(intensity(b) >. 2, border)"""
    first, second, third = goals(text, GRID, OTHER)
    spaces = [{f.space.size for f in below([goal]) if f.space is not None} for goal in (first, second, third)]
    assert spaces == [{GRID.size}, {OTHER.size}, {OTHER.size}]


def test_what_is_on_no_grid_is_on_the_program_s_only_one() -> None:
    each = checked('load a = "a" print "n" volume(border) print "m" max(intensity(a))')
    assert [free.symbol for free in each.free] == ["border"]
    assert goals('load a = "a" print "n" volume(border)')[0].arguments[0].space == GRID


def test_inputs_that_are_used_together_are_named_with_the_place() -> None:
    each = checked(
        'load a = "a" load b = "b" load c = "c" let f(x, y) = intensity(x) + intensity(y)\nsave "s.nii" f(a, c)'
    )
    assert [(pair.first, pair.second) for pair in each.together] == [(0, 2)]
    assert each.together[0].place.origin.text == "+"
    assert [frame.name for frame in each.together[0].place.chain] == ["f"]


def test_what_no_goal_needs_joins_no_grids() -> None:
    each = checked('load a = "a" load b = "b" let s = intensity(a) + intensity(b) print "m" max(intensity(a))')
    assert each.together == ()


def test_parameters_are_literals_defined_once() -> None:
    each = checked('let hi = 0.5 let on = true let s = "x" let two = 1 let two = 2 let sum = 1 .+. 2 print "v" hi')
    assert list(each.parameters) == ["hi", "on", "s"]
    assert ids('let hi = 0.5 print "v" hi .+. 1', hi=0.25) == ids('print "v" 0.25 .+. 1')


def test_an_error_that_no_goal_needs_is_a_warning() -> None:
    each = checked('let wrong = nothing let f(x) = absent(x) print "v" 1')
    assert [(d.severity, d.code) for d in each.warnings] == [("warning", "name"), ("warning", "name")]
    with pytest.raises(ProgramError) as caught:
        checked('let wrong = nothing print "v" wrong')
    assert [d.severity for d in caught.value.diagnostics] == ["error"]


def test_twenty_five_nested_doublings_are_shared() -> None:
    text = "let f0(x) = x .+. x\n" + "".join(f"let f{n + 1}(x) = f{n}(f{n}(x))\n" for n in range(5))
    doublings = "let d0 = 1\n" + "".join(f"let d{n + 1} = d{n} .+. d{n}\n" for n in range(25)) + 'print "d" d25'
    (goal,) = goals(doublings)
    assert len(list(below([goal]))) == 26
    (goal,) = goals(text + 'print "f" f5(1)')
    assert len(list(below([goal]))) == 2**5 + 1
    nested = 'let g(x) = x .+. x\nprint "g" ' + "g(" * 25 + "1" + ")" * 25
    (goal,) = goals(nested)
    assert len(list(below([goal]))) == 26


def test_a_chain_of_functions_is_linear() -> None:
    """f25 calls f24 twice, and so on: 2**25 calls written out, 26 made."""
    text = "let f0(x) = x .+. 1\n" + "".join(f"let f{n}(x) = f{n - 1}(x) .+. f{n - 1}(x)\n" for n in range(1, 26))
    (goal,) = goals(text + 'print "f" f25(1)')
    assert len(list(below([goal]))) == 27


def test_a_hundred_thousand_definitions_and_brackets_do_not_meet_the_stack() -> None:
    chain = "let x0 = 0\n" + "".join(f"let x{n + 1} = x{n} .+. 1\n" for n in range(100_000)) + 'print "v" x100000'
    (goal,) = goals(chain)
    assert len(list(below([goal]))) == 100_002
    functions = "let f0(x) = x\n" + "".join(f"let f{n + 1}(x) = f{n}(x) .+. 1\n" for n in range(3_000))
    (goal,) = goals(functions + 'print "v" f3000(1)')
    assert len(list(below([goal]))) == 3_001


def test_an_unneeded_definition_may_be_of_any_kind() -> None:
    (goal,) = goals(IMAGE + 'let unused = smoothen(i >. 1, 2) print "m" max(i)')
    assert {f.label for f in below([goal])} == {"load", "intensity", "max"}


NAMES = st.sampled_from(["a", "b", "c", "near", "f", "i", "through", "max", "x"])
OPS = st.sampled_from(["&", "|", "+", ">.", ".+.", "\\", "<>", ".*"])


def mistakes(text: str) -> tuple[Diagnostic, ...]:
    try:
        checked(text)
    except ProgramError as error:
        return error.diagnostics
    return ()


@st.composite
def programs(draw: st.DrawFn) -> str:
    """Programs that parse, and are seldom right."""

    def expression(depth: int) -> str:
        kind = draw(st.integers(0, 5 if depth else 2))
        if kind == 0:
            return draw(st.sampled_from(["1", "0.5", "true", '"t"', '"$N"']))
        if kind in (1, 2):
            return draw(NAMES)
        if kind == 3:
            return f"({expression(depth - 1)} {draw(OPS)} {expression(depth - 1)})"
        if kind == 4:
            return f"(!{expression(depth - 1)})"
        return f"{draw(NAMES)}({', '.join(expression(depth - 1) for _ in range(draw(st.integers(1, 3))))})"

    lines = ['load i = "i.nii"']
    for _ in range(draw(st.integers(1, 6))):
        name = draw(st.sampled_from(["a", "b", "c", "f"]))
        formals = draw(st.sampled_from(["", "(x)", "(x, a)"]))
        lines.append(f"let {name}{formals} = {expression(3)}")
    lines.append(f'print "p" {expression(2)}')
    lines.append(f'save "s.nii" {expression(2)}')
    return "\n".join(lines)


@settings(max_examples=300, deadline=None)
@given(programs())
def test_a_program_is_right_or_its_mistakes_are_said_and_what_is_right_reduces(text: str) -> None:
    said = mistakes(text)
    if said:
        assert any(d.severity == "error" for d in said)
        assert all(d.span is not None and render(d) for d in said)
        return
    each = checked(text)
    found = goals(text)
    assert [formula.type.name for formula in found] == [goal.type.name for goal in each.goals]


def test_imports_come_once_and_before_what_follows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "a.imgql").write_text('import "b" let a = b .+. 1')
    (tmp_path / "lib" / "b.imgql").write_text("let b = 2")
    main = tmp_path / "main.imgql"
    main.write_text('import "lib/a" import "lib/b.imgql" import "stdlib" import "RegionCalculus" print "v" a .+. b')
    each = check(parse(Source("main.imgql", main.read_text())), main, "main.imgql")
    slots = reduce(each.code, [], {}, {}, lambda text: text)
    assert slots[each.goals[0].slot].id == ids('print "v" (2 .+. 1) .+. 2')[0]  # type: ignore[union-attr]


def test_lines_may_end_as_they_once_did(tmp_path: Path) -> None:
    (tmp_path / "old.imgql").write_bytes(b'\xef\xbb\xbf// a comment\rprint "v" 1\r')
    assert read_text(tmp_path / "old.imgql", "old") == '// a comment\nprint "v" 1\n'
    (tmp_path / "new.imgql").write_bytes(b'print "v" 1\r\n')
    assert read_text(tmp_path / "new.imgql", "new") == 'print "v" 1\r\n'


@pytest.mark.parametrize("names", ["a, b", "b, a", "a, c, b"])
@pytest.mark.parametrize(
    "turn", ["dice(k .= a, k .= b)", "max(mask(a, k .= b))", "for j in range(2) do volume((k .= a) & (j .= b))"]
)
def test_a_loop_in_a_function_sees_several_of_its_images(names: str, turn: str) -> None:
    """Checked for arguments that are not known yet, as every function is first."""
    given = ", ".join("i" for _ in names.split(", "))
    written = ids(f'{IMAGE}let f({names}) = for k in range(2) do {turn} print "v" f({given})')
    assert written == ids(f'{IMAGE}let a = i let b = i print "v" for k in range(2) do {turn}')
