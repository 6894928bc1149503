"""Lists, loops, slices, folds: the same as plain Python lists make of the same text, element by element.

The model below is Python: comprehensions, slices, `reduce`. Its numbers are terms, what is written out by hand when all
loops are carried out, so that equality of terms is three things at once: the values are right, an element has the id of
the same expression written by hand, and nothing is needed that Python would not need. Programs are made at random; a
hundred goals are one program, for the sake of speed.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.language import Failure, arrays, value
from tests.test_check import IMAGE, checked, goals, ids

from voxlogica.errors import ProgramError
from voxlogica.formula import Formula, below
from voxlogica.operators.sequences import SUMMARIES

Term: TypeAlias = "float | bool | tuple[Any, ...]"
"""A constant, or an operator's name and its terms."""

OPERATORS = {"+": "add_numbers", "-": "subtract_numbers", "*": "multiply_numbers", "max": "larger_number"}
COMPARISONS = {"<": "less", ">=": "at_least", "==": "equal_numbers", "!=": "unequal_numbers"}
BODIES: dict[str, Callable[..., float | bool]] = {
    "add_numbers": lambda a, b: a + b, "subtract_numbers": lambda a, b: a - b, "multiply_numbers": lambda a, b: a * b,
    "larger_number": max, "less": lambda a, b: a < b, "at_least": lambda a, b: a >= b,
    "equal_numbers": lambda a, b: a == b, "unequal_numbers": lambda a, b: a != b,
    "argmax": lambda *xs: float(xs.index(max(xs))), **{word: SUMMARIES[word] for word in SUMMARIES if word != "argmax"},
}  # fmt: skip


def number(term: Term) -> Any:
    """The value of a term."""
    return BODIES[term[0]](*map(number, term[1:])) if isinstance(term, tuple) else term


class Absent(Exception):
    """An element that is not there."""


class Lazy:
    """A term that is made when it is looked at."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make


def look(item: Any) -> Any:
    while isinstance(item, Lazy):
        item = item.make()
    return item


Names: TypeAlias = dict[str, Any]
Meaning: TypeAlias = Callable[[Names], Any]


class Maker:
    """Random expressions: each a text, and what it means in Python."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.names = 0
        self.value: Callable[[Term], Any] = number

    def fresh(self) -> str:
        self.names += 1
        return f"x{self.names}"

    def number(self, depth: int, numbers: list[str], lists: list[str]) -> tuple[str, Meaning]:
        kind = self.random.randrange(10 if depth > 0 else 2)
        if kind == 0 and numbers:
            name = self.random.choice(numbers)
            return name, lambda names: look(names[name])
        if kind < 2:
            constant = self.random.randrange(-3, 7)
            return str(constant), lambda names: float(constant)
        if kind < 5:
            symbol = self.random.choice(["+", "-", "*"])
            (a, left), (b, right) = self.number(depth - 1, numbers, lists), self.number(depth - 1, numbers, lists)
            return f"({a} {symbol} {b})", lambda names: (OPERATORS[symbol], left(names), right(names))
        if kind == 5:
            name = self.fresh()
            a, given = self.number(depth - 1, numbers, lists)
            b, body = self.number(depth - 1, [*numbers, name], lists)
            text = f"(let {name} = {a} in {b})"
            return text, lambda names: body(names | {name: Lazy(functools.partial(given, names))})
        xs, items = self.list(depth - 1, numbers, lists)
        if kind == 6:
            return f"argmax({xs})", lambda names: self.argmax(items(names))
        if kind == 7:
            a, place = self.number(min(depth - 1, 1), numbers, lists)
            return f"{xs}[{a}]", lambda names: self.index(items(names), self.value(place(names)))
        symbol = self.random.choice(["+", "-", "*", "max"])
        initial, begin = self.number(depth - 1, numbers, lists)
        if kind == 8:
            return f"fold({symbol}, {initial}, {xs})", lambda names: self.fold(symbol, begin(names), items(names))
        return f"(fold {symbol} {xs})", lambda names: self.fold(symbol, None, items(names))

    def list(self, depth: int, numbers: list[str], lists: list[str]) -> tuple[str, Meaning]:
        kind = self.random.randrange(10 if depth > 0 else 3)
        if kind == 0 and lists:
            name = self.random.choice(lists)
            return name, lambda names: look(names[name])
        if kind == 0 or kind == 1:
            a, b = self.random.randrange(-2, 4), self.random.randrange(-1, 6)
            return f"range({a}, {b})", lambda names: [float(n) for n in range(a, b)]
        if kind == 2:
            made = [self.number(depth - 1, numbers, lists) for _ in range(self.random.randrange(1, 4))]
            text = f"[{', '.join(text for text, _ in made)}]"
            return text, lambda names: [Lazy(functools.partial(each, names)) for _, each in made]
        xs, items = self.list(depth - 1, numbers, lists)
        if kind < 5:
            name = self.fresh()
            b, body = self.number(depth - 1, [*numbers, name], lists)
            return (
                f"(for {name} in {xs} do {b})",
                lambda names: [Lazy(functools.partial(lambda x: body(names | {name: x}), x)) for x in items(names)],
            )
        if kind == 5:
            name, symbol = self.fresh(), self.random.choice(list(COMPARISONS))
            b, body = self.number(min(depth - 1, 1), [*numbers, name], lists)

            def holds(names: Names, x: Any) -> bool:
                return bool(self.value((COMPARISONS[symbol], look(x), body(names | {name: x}))))

            text = f"(filter {name} in {xs} do {name} {symbol} {b})"
            return text, lambda names: [x for x in items(names) if holds(names, x)]
        if kind == 6:
            a, b = self.bound(), self.bound()
            return f"{xs}[{a}:{b}]", lambda names: items(names)[int(a) if a else None : int(b) if b else None]
        if kind == 7:
            a, b = self.random.randrange(-2, 4), self.random.randrange(-2, 6)
            return f"subsequence({xs}, {a}, {b})", lambda names: items(names)[max(0, a) : max(0, b)]
        if kind == 8:
            symbol = self.random.choice(["+", "-", "*"])
            b, body = self.number(depth - 1, numbers, lists)
            return (
                f"({xs} {symbol} {b})",
                lambda names: [
                    Lazy(functools.partial(lambda x, y: (OPERATORS[symbol], look(x), y()), x, lambda: body(names)))
                    for x in items(names)
                ],
            )
        name = self.fresh()
        b, then = self.list(depth - 1, numbers, [*lists, name])
        return f"(let {name} = {xs} in {b})", lambda names: then(names | {name: Lazy(functools.partial(items, names))})

    def bound(self) -> str:
        return self.random.choice(["", str(self.random.randrange(-3, 5))])

    @staticmethod
    def argmax(items: list[Any]) -> Term:
        if not items:
            raise Absent
        return ("argmax", *map(look, items))

    @staticmethod
    def index(items: list[Any], place: float) -> Term:
        if not 0 <= place < len(items):
            raise Absent
        found: Term = look(items[int(place)])
        return found

    @staticmethod
    def fold(symbol: str, begin: Term | None, items: list[Any]) -> Term:
        if begin is None and symbol == "max":
            if not items:
                raise Absent
            begin, items = look(items[0]), items[1:]
        elif begin is None:
            begin = 1.0 if symbol == "*" else 0.0
        made: Term = functools.reduce(lambda made, x: (OPERATORS[symbol], made, look(x)), items, begin)
        return made


def term(formula: Formula, known: dict[Formula, Term]) -> Term:
    """What a formula says, written out; raises `Absent` where it refuses."""
    for each in below([formula]):
        if each.operator is None:
            assert isinstance(each.value, (bool, float, str))
            known[each] = each.value  # type: ignore[assignment]
        elif each.operator.name == "refuse":
            raise Absent
        else:
            known[each] = (each.operator.name, *(known[argument] for argument in each.arguments))
    return known[formula]


def outcome(make: Callable[[], Term]) -> object:
    try:
        return make()
    except Absent:
        return "absent"


@pytest.mark.parametrize("seed", range(40))
def test_programs_mean_what_they_mean_in_python(seed: int) -> None:
    maker = Maker(Random(seed))
    made = [maker.number(4, [], []) if n % 2 else maker.list(4, [], []) for n in range(100)]
    texts = [text if n % 2 else f"({text})[0]" for n, (text, _) in enumerate(made)]
    program = "\n".join(f'print "{n}" {text}' for n, text in enumerate(texts))
    for n, (formula, (_, meaning)) in enumerate(zip(goals(program), made, strict=True)):
        expected = outcome(lambda: meaning({}) if n % 2 else Maker.index(meaning({}), 0))  # noqa: B023
        got = outcome(lambda: term(formula, {}))  # noqa: B023
        assert got == expected, texts[n]


@pytest.mark.parametrize("seed", range(3))
def test_the_engine_computes_the_numbers_that_python_computes(seed: int) -> None:
    maker = Maker(Random(f"engine {seed}"))
    found = []
    while len(found) < 40:
        text, meaning = maker.list(3, [], [])
        wanted = outcome(lambda: tuple([number(look(x)) for x in meaning({})]))  # noqa: B023
        if wanted != "absent":
            found.append((text, wanted))
    assert list(arrays(*[text for text, _ in found])) == [wanted for _, wanted in found]


# Identity


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("(for x in [1, 2] do x + 1)[1]", "2 + 1"),
        ("(for x in [1, 2] do x + 1)[1]", "(for y in [5, 2] do y + 1)[1]"),
        ("map(f, [1, 2])[0]", "f(1)"),
        ("let x = 2 in x * x", "2 * 2"),
        ("fold + [a, 2]", "(0 + a) + 2"),
        ("fold max [a, 2, 3]", "max(max(a, 2), 3)"),
        ("([1, 2] * [3, 4])[1]", "2 * 4"),
        ("([1, 2] * 3)[1]", "2 * 3"),
        ("map(f, map(g, range(6))[2:4])[1]", "f(g(3))"),
        ("(filter x in range(6) do x > 2)[0]", "range(6)[3]"),
        ("1 + 2", "1 .+. 2"),
        ("max([i, i + 1][1])", "max(i +. 1)"),
        ("volume(fold && [i > 1, i > 2])", "volume((i >. 1) & (i >. 2))"),
        ("volume((for k in [1, 2] do i > k)[1])", "volume(i >. 2)"),
        ("(for m in [i] do for k in [1] do max(m * k))[0][0]", "max(i *. 1)"),
    ],
)
def test_an_element_has_the_id_of_what_is_written_by_hand(one: str, other: str) -> None:
    text = IMAGE + "let a = 7\nf(x) = x + 1\ng(x) = 10 * x\n"
    assert ids(f'{text}print "v" {one}') == ids(f'{text}print "v" {other}')


RULES = {
    "slice of a loop": ("(for x in xs do f(x))[{a}:{b}]", "for x in xs[{a}:{b}] do f(x)"),
    "element of a loop": ("(for x in xs do f(x))[{n}]", "let x = xs[{n}] in f(x)"),
    "loop over a loop": ("for y in (for x in xs do f(x)) do g(y)", "for x in xs do g(f(x))"),
    "slice of a slice": ("xs[{a}:{b}][{c}:{d}]", "xs[{a} + {c} : min({b}, {a} + {d})]"),
    "element of a slice": ("xs[{a}:{b}][{n}]", "xs[{a} + {n}]"),
    "slice of an operator": ("(xs + ys)[{a}:{b}]", "xs[{a}:{b}] + ys[{a}:{b}]"),
    "element of an operator": ("(xs + ys)[{n}]", "xs[{n}] + ys[{n}]"),
}
"""What is asked of a loop, and what that comes to; the manual has them with their proof (docs/performance.md)."""


@pytest.mark.parametrize("rule", RULES)
@settings(max_examples=30, deadline=None)
@given(st.data())
def test_what_is_asked_of_a_loop_is_asked_of_what_it_goes_over(rule: str, data: st.DataObject) -> None:
    """The same ids, so the same tasks; of lengths that an image decides the same values."""
    length = data.draw(st.integers(1, 9), "length")
    a, b, c, d = (data.draw(st.integers(0, 10), name) for name in "abcd")
    if "element" in rule:
        a = min(a, length - 1)
    within = min(b, length) - a if rule == "element of a slice" else length
    b = b if within > 0 else a + 1
    n = data.draw(st.integers(0, max(within, 1) - 1), "n")
    left, right = (text.format(a=a, b=b, c=c, d=d, n=n) for text in RULES[rule])
    definitions = "f(x) = 3 * x\ng(x) = 1 - x\n"
    known = f"{IMAGE}{definitions}let xs = for k in range({length}) do volume(i > k)\nlet ys = range({length})\n"
    assert ids(known + printed(left)) == ids(known + printed(right))
    late = f"{definitions}let xs = for k in range(max(i)) do k + 1\nlet ys = range(max(i))\n"
    one, other = arrays(left, right, definitions=late, i=[length, 0])
    assert one == other


def test_the_manual_has_the_rules_of_loops() -> None:
    page = (Path(__file__).parents[1] / "docs" / "performance.md").read_text("utf-8")
    for rule, (asked, comes_to) in RULES.items():
        plain = {letter: letter for letter in "abcdn"}
        assert f"| {rule} | `{asked.format(**plain)}` | `{comes_to.format(**plain)}` |" in page


def test_only_what_a_slice_keeps_is_needed() -> None:
    text = IMAGE + 'print "v" (for k in range(1000000000) do volume(smoothen(i > k, 2)))[5:7]'
    (goal,) = goals(text)
    assert [f.operator.name for f in below([goal]) if f.operator].count("volume") == 2


def test_a_chain_of_loops_is_not_limited_by_the_stack() -> None:
    text = "let x0 = range(3)\n" + "".join(f"let x{n + 1} = for x in x{n} do x + 1\n" for n in range(3000))
    (goal,) = goals(text + 'print "v" x3000[2]')
    assert len(list(below([goal]))) == 3002
    nested = "for x in range(1) do " * 300 + "1"
    whole = f'let x = {nested}\nprint "v" x{"[0]" * 300}'
    assert checked(whole).definitions["x"].type.depth == 300


def test_a_million_elements_are_not_made_for_nothing() -> None:
    with pytest.raises(Failure, match="`print` was given a sequence of 1000000 elements, and takes 100000 at most"):
        value("range(1000000)")


# Conformance (language.md, section 12) and decisions


def test_vector_map_of_map_sliced() -> None:
    (found,) = arrays("map(f, map(g, xs))[2:4]", definitions="let xs = range(0, 6)\nf(x) = x + 1\ng(x) = 10 * x\n")
    assert found == (21, 31)


def test_vector_filter_sliced() -> None:
    assert value("(filter x in range(0, 6) do x > 2)[0:2]") == (3, 4)


def test_vector_discs_in_a_loop() -> None:
    discs = "for r in range(1, 4) do volume((((x - 4) * (x - 4)) + ((y - 4) * (y - 4))) <= (r * r))"
    assert value(discs, i=[[0] * 8] * 8) == (5, 13, 29)


def test_c6_negative_bounds_count_from_the_end() -> None:
    assert value("[1, 2, 3, 4][-2:]") == (3, 4)
    assert value("slice([1, 2, 3, 4], 0, -1)") == (1, 2, 3)
    assert value("subsequence([1, 2, 3, 4], -2, 2)") == (1, 2)
    with pytest.raises(Failure, match="there is no element -1"):
        value("[1, 2][-1]")


def test_c7_element_wise_on_empty_gives_empty() -> None:
    assert value("[] + 1") == value("1 + []") == value("[] == []") == ()
    with pytest.raises(Failure, match="sequences of 0 and of 1 elements"):
        value("[] + [1]")


@pytest.mark.parametrize(
    "text",
    [
        "map(volume, [] > i)",
        "map(max, i + [])",
        "map(max, [] * i)",
        "for m in [] + i do max(m)",
        "for m in [] do max(m + i)",
        "for k in range(0, 0) do max([][k] + i)",
        "let e = [] in for m in [e, [i]][0] do max(m)",
        "for m in (filter m in [] do max(m) > 1) do max(m + i)",
        "for m in [][0:0] do volume(m & border)",
    ],
)
def test_c7_an_empty_sequence_goes_with_images_on_any_grid(text: str) -> None:
    assert value(text, i=[1, 2]) == ()


def test_c7_there_is_no_element_of_an_empty_sequence_to_meet_an_image() -> None:
    for text in ("max(([] + i)[0])", "volume(border & ([] > i)[0])", "max(fold max ([] + i))"):
        with pytest.raises(Failure, match="there is no"):
            value(text, i=[1, 2])


def test_c7_an_empty_sequence_goes_through_functions() -> None:
    definitions = """
let empty = []
let beside(s, a) = for m in s + a do volume(border & (m > a))
let outside(a) = for m in empty + a do max(m)
let apart(s, t) = beside(s, intensity(a)) == outside(intensity(b))
"""
    program = definitions + 'load a = "a"\nload b = "b"\n'
    checked(program.replace(definitions, "") + definitions + 'print "x" apart([], [])')


def test_a_fold_of_an_empty_sequence_is_what_it_begins_with() -> None:
    for symbol, begin in {"+": 0, "-": 0, "*": 1, "&&": True, "||": False}.items():
        got = value(f"fold {symbol} []")
        assert (got, type(got)) == (begin, bool if isinstance(begin, bool) else float)
    assert value("fold + (map(max, [] * i))", i=[1, 2]) == 0
    assert value("(fold + []) + 2") == 2
    for symbol in ("min", "max", "/"):
        with pytest.raises(Failure, match="there is nothing to begin with"):
            value(f"fold {symbol} []")


def test_c8_there_is_no_truthiness_and_folds_of_images_are_voxel_wise() -> None:
    for wrong in ("filter k in [1] do k", "filter k in [i] do k", "filter k in [i] do k > 1"):
        with pytest.raises(ProgramError, match="`filter` keeps the elements for which its condition holds"):
            value(wrong, i=[1])
    images = {"i": [1, 5], "j": [3, 2]}
    assert value("fold + [i, j]", **images) == [4, 7]
    assert value("fold max [i, j]", **images) == [3, 5]
    assert value("fold - [i, j, j]", **images) == [-5, 1]
    assert value("fold || [i > 2, j > 2]", **images) == [True, True]


def test_a_sequence_may_hold_what_cannot_be_had() -> None:
    assert value("[1, [2][5], 3][2]") == 3
    with pytest.raises(Failure, match="there is no element 5: the sequence has 1, from 0 to 0"):
        value("[1, [2][5], 3]")


def test_grids_in_loops() -> None:
    """C10: `tt` in a loop's body lies on the grid of what it is combined with, here and in functions."""
    text = 'load a = "a" load b = "b" f(xs) = for x in xs do volume(x & !border)\n'
    text += 'print "a" f([intensity(a) > 1]) print "b" for k in [1] do volume((intensity(b) > k) & border)'
    from tests.test_check import GRID, OTHER

    first, second = goals(text, GRID, OTHER)
    spaces = [{f.space.size for f in below([goal]) if f.space is not None} for goal in (first, second)]
    assert spaces == [{GRID.size}, {OTHER.size}]


# Numbers from numbers


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=12), st.floats(0, 1))
def test_summaries_are_numpy_s(numbers: list[float], share: float) -> None:
    text = f"[{', '.join(map(repr, numbers))}]"
    words = (f"mean({text})", f"median({text})", f"quantile({text}, {share!r})", f"std({text})")
    mean, median, quantile, std = (number(term(formula, {})) for formula in goals("\n".join(map(printed, words))))
    scale = max(map(abs, numbers)) * 1e-12
    assert mean == math.fsum(numbers) / len(numbers)
    assert median == pytest.approx(np.median(numbers), abs=scale)
    assert quantile == pytest.approx(np.quantile(numbers, share), abs=scale)
    if len(numbers) == 1:
        assert math.isnan(std)
    else:
        assert std == pytest.approx(np.std(numbers, ddof=1), rel=1e-9, abs=scale)


def printed(expression: str) -> str:
    return f'print "v" {expression}'


def test_summaries_of_what_is_no_number_and_of_nothing() -> None:
    assert [str(value(f"{word}([1, nan, 3])")) for word in ("mean", "std", "median")] == ["nan"] * 3
    assert value("mean([1, inf])") == math.inf
    assert value("quantile([2, nan], 0.5) == 0") is False
    for word in ("mean", "std", "median"):
        with pytest.raises(Failure, match=f"`{word}` was given an empty sequence, which has no {word}"):
            value(f"{word}([])")
    with pytest.raises(Failure, match=r"a share is between 0 and 1, and 1.5 is not"):
        value("quantile([1, 2], 1.5)")
    with pytest.raises(ProgramError, match="`mean` takes a sequence of numbers"):
        value("mean([true])")
    with pytest.raises(ProgramError, match="a number is wanted here, and this is a bool"):
        value("quantile([1], true)")


def test_summaries_of_late_sequences() -> None:
    late = "(for k in range(max(i)) do k * k)"
    words = ("mean({})", "std({})", "median({})", "quantile({}, 0.25)", "argmax({})")
    for word in words:
        assert value(word.format(late), i=[5, 1]) == value(word.format("[0, 1, 4, 9, 16]")), word
    with pytest.raises(Failure, match="`mean` was given an empty sequence, which has no mean"):
        value("mean(range(max(i)))", i=[0])
