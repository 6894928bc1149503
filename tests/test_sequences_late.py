"""Sequences whose length follows from an image: what Python makes of the same text, and nothing that it does not need.

The numbers that an image decides are `max(i * n)`, with 1 in the only voxel of i: nobody knows them before they are
computed. A small engine computes formulas here: plain recursion, which notes what it has to compute. As in
`test_sequences` numbers are terms, so that equality says that elements are what is written by hand. With
VOXLOGICA_LOOPS=1000000 so many programs are tried.
"""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path
from random import Random
from typing import Any

import nibabel
import numpy as np
import pytest
from tests.language import Failure, arrays, value
from tests.test_check import GRID, IMAGE, checked, goals, ids
from tests.test_sequences import (
    BODIES,
    COMPARISONS,
    OPERATORS,
    Absent,
    Lazy,
    Maker,
    Meaning,
    Names,
    Term,
    look,
    outcome,
)

from voxlogica.cli import main
from voxlogica.execution.engine import ExecutionEngine, Finished, find_operator
from voxlogica.execution.planning import foreseen
from voxlogica.formula import Builder, Formula, Late, below, decode, encode, returned
from voxlogica.storage import Done, MemoryStorage, Provenance
from voxlogica.values import Model

PER_SEED = 100
SEEDS = int(os.environ.get("VOXLOGICA_LOOPS", "10000")) // PER_SEED
LONGEST = 30

PRELUDE = (
    IMAGE
    + """\
sums(x, n) = for k in range(n) do fold + (for j in range(k) do x * j)
part(xs, n) = xs[n:]
"""
)
KERNELS = BODIES | {"max": lambda a: a, "multiply_constant": lambda a, b: a * b, "intensity": lambda a: a}


class TooLong(Exception):
    """A sequence that would take the test too long."""


class Watched:
    """Python's side: the values of terms, and which terms an image decides were looked at."""

    def __init__(self) -> None:
        self.needed: set[Term] = set()
        self.values: dict[Term, Any] = {}

    def number(self, term: Term) -> Any:
        if not isinstance(term, tuple):
            return term
        if term not in self.values:
            self.values[term] = KERNELS[term[0]](*map(self.number, term[1:]))
        if depends(term):
            self.needed.add(term)
        return self.values[term]


@functools.lru_cache(100_000)
def depends(term: Term) -> bool:
    """Whether an image decides a term."""
    return isinstance(term, tuple) and (term[0] == "intensity" or any(map(depends, term[1:])))


ONE: Term = ("intensity", 1.0)


class LateMaker(Maker):
    """Random expressions in which images decide numbers, lengths and conditions."""

    def __init__(self, random: Random) -> None:
        super().__init__(random)
        self.watched = Watched()
        self.value = self.watched.number

    def number(self, depth: int, numbers: list[str], lists: list[str]) -> tuple[str, Meaning]:
        if self.random.random() < 0.3:
            a, given = super().number(min(depth, 1), numbers, lists)
            return f"max(i * {a})", lambda names: ("max", ("multiply_constant", ONE, given(names)))
        if depth > 0 and self.random.random() < 0.1:
            xs, items = self.list(depth - 1, numbers, lists)
            a, place = self.number(min(depth - 1, 1), numbers, lists)
            return f"{xs}[{a}]", lambda names: self.index(items(names), self.value(place(names)))
        if depth > 1 and self.random.random() < 0.1:
            return self.of_lists(depth, numbers, lists)
        return super().number(depth, numbers, lists)

    def of_lists(self, depth: int, numbers: list[str], lists: list[str]) -> tuple[str, Meaning]:
        """A sum over a sequence of sequences."""
        made = [self.list(depth - 2, numbers, lists) for _ in range(self.random.randrange(1, 3))]
        name = self.fresh()
        b, body = self.number(depth - 1, numbers, [*lists, name])

        def meaning(names: Names) -> Term:
            given = [Lazy(functools.partial(each, names)) for _, each in made]
            return self.fold("+", None, [body(names | {name: xs}) for xs in given])

        return f"(fold + (for {name} in [{', '.join(text for text, _ in made)}] do {b}))", meaning

    def list(self, depth: int, numbers: list[str], lists: list[str]) -> tuple[str, Meaning]:
        kind = self.random.randrange(14) if depth > 0 else 13
        if kind == 0:
            (a, first), (b, last) = self.limit(numbers), self.limit(numbers)
            return f"range({a}, {b})", lambda names: self.range(self.value(first(names)), self.value(last(names)))
        if kind == 1:
            xs, items = self.list(depth - 1, numbers, lists)
            (a, first), (b, last) = self.limit(numbers), self.limit(numbers)

            def cut(names: Names) -> list[Any]:
                return items(names)[int(self.value(first(names))) : int(self.value(last(names)))]

            return f"{xs}[{a}:{b}]", cut
        if kind == 2:
            xs, items = self.list(depth - 1, numbers, lists)
            name, symbol = self.fresh(), self.random.choice(list(COMPARISONS))
            b, body = self.number(1, [*numbers, name], lists)

            def holds(names: Names, x: Any) -> bool:
                return bool(self.value((COMPARISONS[symbol], look(x), body(names | {name: x}))))

            text = f"(filter {name} in {xs} do {name} {symbol} {b})"
            return text, lambda names: [x for x in items(names) if holds(names, x)]
        if kind == 3:
            (xs, one), (ys, two) = (self.list(depth - 1, numbers, lists) for _ in range(2))
            return f"({xs} * {ys})", lambda names: self.product(one(names), two(names))
        if kind == 4:
            made = [self.list(depth - 1, numbers, lists) for _ in range(2)]
            a, place = self.limit(numbers)

            def chosen(names: Names) -> list[Any]:
                n = self.value(place(names))
                if not 0 <= n < 2:
                    raise Absent
                return made[int(n)][1](names)

            return f"[{made[0][0]}, {made[1][0]}][{a}]", chosen
        if kind == 5:
            (a, x), (b, n) = self.number(1, numbers, lists), self.limit(numbers)
            return f"sums({a}, {b})", lambda names: self.sums(x, int(self.value(n(names))), names)
        if kind == 6:
            xs, items = self.list(depth - 1, numbers, lists)
            a, first = self.limit(numbers)
            return f"part({xs}, {a})", lambda names: items(names)[int(self.value(first(names))) :]
        return super().list(depth, numbers, lists)

    def limit(self, numbers: list[str]) -> tuple[str, Meaning]:
        """A number that decides on a length: a small one, mostly an image's, or that of a loop around."""
        if numbers and self.random.random() < 0.4:
            name = self.random.choice(numbers)
            return name, lambda names: look(names[name])
        n = self.random.randrange(-2, 6)
        if self.random.random() < 0.3:
            return str(n), lambda _: float(n)
        return f"max(i * {n})", lambda _: ("max", ("multiply_constant", ONE, float(n)))

    @staticmethod
    def range(a: float, b: float) -> list[Any]:
        if b - a > LONGEST:
            raise TooLong
        return [float(n) for n in range(int(a), int(b))]

    @staticmethod
    def product(one: list[Any], two: list[Any]) -> list[Any]:
        if len(one) != len(two):
            raise Absent
        pairs = zip(one, two, strict=True)
        return [Lazy(functools.partial(lambda x, y: (OPERATORS["*"], look(x), look(y)), x, y)) for x, y in pairs]

    def sums(self, x: Meaning, n: int, names: Names) -> list[Any]:
        if n > LONGEST:
            raise TooLong

        def element(k: int) -> Term:
            return self.fold("+", None, [(OPERATORS["*"], x(names), float(j)) for j in range(k)])

        return [Lazy(functools.partial(element, k)) for k in range(n)]


class Small:
    """An engine: it computes what it is asked for, and notes which terms an image decides among it."""

    def __init__(self) -> None:
        self.computed: set[Term] = set()
        self.values: dict[bytes, Any] = {}
        self.terms: dict[bytes, Term] = {}
        self.tasks: dict[bytes, Formula] = {}
        self.turns = 0

    def now(self, formula: Formula) -> Formula:
        """The formula that a task is in the end."""
        seen: set[bytes] = set()
        while isinstance(formula, Late):
            assert formula.id not in seen, "a task that is itself never ends"
            seen.add(formula.id)
            if formula.id not in self.tasks:
                values = [self.value(argument) for argument in formula.arguments]
                assert formula.operator is not None
                (made,) = returned(formula, formula.operator.body(Builder(formula), *values))
                data = encode(formula, (made,), values)
                assert [each.id for each in decode(formula, data, lambda _: None)] == [made.id]
                self.tasks[formula.id] = made
                self.turns += 1
            formula = self.tasks[formula.id]
        return formula

    def value(self, formula: Formula) -> Any:
        formula = self.now(formula)
        if formula.id not in self.values:
            if formula.operator is None:
                made = 1.0 if formula.file is not None else formula.value
            elif formula.operator.name == "refuse":
                raise Absent
            else:
                made = KERNELS[formula.operator.name](*map(self.value, formula.arguments))
                term = self.term(formula)
                if depends(term):
                    self.computed.add(term)
            self.values[formula.id] = made
        return self.values[formula.id]

    def term(self, formula: Formula) -> Term:
        formula = self.now(formula)
        if formula.id not in self.terms:
            if formula.operator is None:
                made: Term = 1.0 if formula.file is not None else formula.value  # type: ignore[assignment]
            elif formula.operator.name == "refuse":
                raise Absent
            else:
                made = (formula.operator.name, *map(self.term, formula.arguments))
            self.terms[formula.id] = made
        return self.terms[formula.id]


@pytest.mark.parametrize("seed", range(SEEDS))
def test_programs_mean_what_they_mean_in_python(seed: int) -> None:
    maker, made = LateMaker(Random(f"late {seed}")), []
    while len(made) < PER_SEED:
        is_number = len(made) % 2 == 1
        text, meaning = maker.number(4, [], []) if is_number else maker.list(4, [], [])
        maker.watched.needed, maker.watched.values = set(), {}
        try:
            expected = outcome(lambda: wanted(maker, meaning({}), is_number))  # noqa: B023
        except (TooLong, OverflowError):
            continue
        made.append((text if is_number else f"({text})[0]", expected, maker.watched.needed))
    program = PRELUDE + "\n".join(f'print "{n}" {text}' for n, (text, _, _) in enumerate(made))
    turns = 0
    for formula, (text, expected, needed) in zip(goals(program), made, strict=True):
        engine = Small()
        assert outcome(lambda: engine.term(formula)) == expected, text  # noqa: B023
        if expected != "absent":
            engine.value(formula)
            assert engine.computed == needed, text
        turns += engine.turns
    assert turns > PER_SEED / 4


def wanted(maker: LateMaker, found: Any, is_number: bool) -> Term:
    """The term of a goal, its value looked at."""
    term: Term = found if is_number else Maker.index(found, 0)
    maker.value(term)
    return term


@pytest.mark.parametrize("seed", range(3))
def test_the_engine_computes_the_numbers_that_python_computes(seed: int) -> None:
    maker, found = LateMaker(Random(f"engine {seed}")), []
    while len(found) < 40:
        text, meaning = maker.list(3, [], [])
        maker.watched.values = {}
        try:
            expected = outcome(lambda: tuple([maker.value(look(x)) for x in meaning({})]))  # noqa: B023
        except (TooLong, OverflowError):
            continue
        if expected != "absent" and all(abs(x) < 2**24 for x in maker.watched.values.values()):
            found.append((text, expected))
    definitions = PRELUDE.removeprefix(IMAGE)
    assert list(arrays(*[text for text, _ in found], definitions=definitions, i=[1])) == [each for _, each in found]


# Identity


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("for x in range(n) do x + a", "for y in range(n) do y + 7"),
        ("for x in range(n) do f(x)", "map(f, range(n))"),
        ("for x in range(n) do for y in range(x) do x * y", "for y in range(n) do for x in range(y) do y * x"),
        ("range(n) + a", "for x in range(n) do x + a"),
        ("fold + (for x in range(n) do x)", "fold + (for k in range(0, n) do k)"),
        ("filter x in range(n) do x > 1", "let s = range(n) in filter k in s do k > 1"),
        ("(for x in range(n) do max(i * x))[0]", "let g = 0 in (for x in range(n) do let t = x in max(i * t))[g]"),
    ],
)
def test_names_are_no_part_of_the_identity(one: str, other: str) -> None:
    text = IMAGE + "let n = max(i)\nlet a = 7\nf(x) = x + 7\n"
    (first,), (second,) = goals(f'{text}print "v" {one}'), goals(f'{text}print "v" {other}')
    engine = Small()
    assert engine.term(first) is not None
    if "range(n) + a" not in one:
        assert first.id == second.id
    assert engine.now(first).id == engine.now(second).id


def test_what_is_done_with_elements_is_part_of_the_identity() -> None:
    text = IMAGE + "let n = max(i)\n"
    bodies = ("x + 1", "x + 2", "1 + x", "x * 1", "n + 1", "x + n", "x", "1")
    found = ids(text + "\n".join(f'print "{n}" for x in range(n) do {body}' for n, body in enumerate(bodies)))
    assert len(set(found)) == len(bodies)


@pytest.mark.parametrize(
    ("late", "by_hand"),
    [
        ("(for x in range(n) do x + n)[0]", "0 + n"),
        ("(for x in range(n) do volume(smoothen(i > x, 2)))[0]", "volume(smoothen(i > 0, 2))"),
        ("fold + (for x in range(n) do x + n)", "0 + (0 + n)"),
        ("(for x in range(n) do for y in [x, x + 1] do y * n)[0][1]", "(0 + 1) * n"),
        ("(for x in range(n) do fold + (for y in range(n) do x * y))[0]", "fold + (for y in range(n) do 0 * y)"),
        ("(filter x in [n, n + 1] do x >= 2)[0]", "n + 1"),
        ("[n, n * 2][n]", "n * 2"),
        ("(let f = for x in range(n) do i * x in f)[n - 1] == (i * 0)", "(i * 0) == (i * 0)"),
    ],
)
def test_an_element_has_the_id_of_what_is_written_by_hand(late: str, by_hand: str) -> None:
    text = IMAGE + "let n = max(i)\n"
    word = "save" if "==" in late else "print"
    (one,), (other,) = goals(f'{text}{word} "v.nii" {late}'), goals(f'{text}{word} "v.nii" {by_hand}')
    small = Small()
    small.values[ids(f'{text}print "n" n')[0]] = 1.0

    def told(formula: Formula) -> bytes:
        """The id, questions replaced by what they are."""
        formula = small.now(formula)
        return formula.id if not formula.arguments else repr((formula.label, [*map(told, formula.arguments)])).encode()

    assert told(one) == told(other)
    if not isinstance(other, Late):
        assert small.now(one).id == other.id or word == "save"


# Laziness and limits


def test_only_what_a_slice_keeps_is_computed() -> None:
    text = IMAGE + 'print "v" (for k in range(max(i) * 1000000) do volume(smoothen(i > k, 2)))[5:7]'
    (goal,) = goals(text)
    small = Small()
    small.values[ids(IMAGE + 'print "v" max(i) * 1000000')[0]] = 1e9
    made = small.now(goal)
    assert [argument.label for argument in made.arguments] == ["volume", "volume"]


def test_a_filter_needs_its_conditions_and_no_bodies() -> None:
    computed = "for k in (filter k in (for j in range(4) do j + max(i)) do k >= max(i * 3)) do k * max(i * 2)"
    (goal,) = goals(f'{IMAGE}print "v" ({computed})[:1]')
    small = Small()
    made = small.now(goal)
    assert len(made.arguments) == 1
    numbers = {term for term in small.computed if term[0] == "max"}  # type: ignore[index]
    assert ("max", ("multiply_constant", ONE, 3.0)) in numbers
    assert ("max", ("multiply_constant", ONE, 2.0)) not in numbers, (
        "no element's body is computed to know which there are"
    )


def test_neither_chains_nor_nests_are_limited_by_the_stack() -> None:
    text = IMAGE + "let x0 = range(max(i))\n"
    text += "".join(f"let x{n + 1} = for x in x{n} do x + 1\n" for n in range(3000))
    (goal,) = goals(text + 'print "v" x3000[0]')
    made = Small().now(goal)
    for _ in range(3000):
        (made, one) = sorted(made.arguments, key=lambda each: each.operator is None)
        assert one.value == 1.0
    nested = "for x in range(max(i)) do " * 100 + "1"
    (goal,) = goals(f'{IMAGE}print "v" {nested}')
    assert goal.type.depth == 100


def test_too_many_elements() -> None:
    with pytest.raises(Failure, match="`print` was given a sequence of 1000000 elements, and takes 100000 at most"):
        value("range(max(i) * 1000000)", i=[1])
    with pytest.raises(Failure, match="`fold` was given a sequence of 1000000 elements, and takes 100000 at most"):
        value("fold + range(max(i) * 1000000)", i=[1])
    assert value("range(max(i) * 1000000)[999998:]", i=[1]) == (999998, 999999)


# What goes wrong


@pytest.mark.parametrize(
    ("expression", "message", "at"),
    [
        ("[1, 2][n]", "there is no element 3: the sequence has 2, from 0 to 1", "[n]"),
        ("range(n)[5]", "there is no element 5: the sequence has 3, from 0 to 2", "[5]"),
        ("range(n - 4)[0]", "there is no element 0: the sequence is empty", "[0]"),
        ("range(n)[-1]", "there is no element -1: the sequence has 3, from 0 to 2", "[-1]"),
        ("range(n / 2)", "a bound of `range` is a whole number, and 1.5 is not", "range"),
        ("range(3)[n / 2]", "an index is a whole number, and 1.5 is not", "[n / 2]"),
        ("range(5)[n / 2:]", "a bound is a whole number, and 1.5 is not", "[n / 2:]"),
        ("range(n) + [1]", "`+` stands between sequences of 3 and of 1 elements", "+"),
        ("fold max range(n - 3)", "there is nothing to begin with: `fold max` was given an empty sequence", "max"),
        ("argmax(range(n - 3))", "`argmax` was given an empty sequence, which has no largest element", "argmax"),
        ("for k in range(n) do avg(i, i > (k + 1))", "`avg` was given a mask with no true voxel", "avg"),
        ("for k in range(n) do [5][k]", "there is no element 1: the sequence has 1, from 0 to 0", "[k]"),
        ("filter k in range(n) do [true][k]", "there is no element 1: the sequence has 1, from 0 to 0", "[k]"),
    ],
)
def test_mistakes_point_at_their_place(expression: str, message: str, at: str) -> None:
    with pytest.raises(Failure) as caught:
        arrays(expression, definitions="let n = max(i)\n", i=[1, 3])
    assert caught.value.error.message.startswith(message)
    text = f'print "0.nii" {expression}'
    assert caught.value.error.position.endswith(f":{text.index(at) + 1}")


def test_a_mistake_in_one_element_does_not_take_the_others() -> None:
    assert value("(for k in range(max(i)) do avg(i, i > k))[:2]", i=[1, 3]) == (2, 3)
    assert value("(for k in range(max(i)) do [5][k])[0]", i=[1, 3]) == 5


def test_a_captured_image_lies_on_its_grid() -> None:
    """C10: `tt` in a late body is on the grid of what it is combined with, in functions too."""
    from tests.test_check import GRID, OTHER

    text = 'load a = "a" load b = "b" let f(m, n) = for k in range(n) do volume((m > k) & !border)\n'
    text += 'print "a" f(intensity(a), max(intensity(b))) print "b" for k in range(max(intensity(a))) do '
    first, second = goals(text + "volume((intensity(b) > k) & border)", GRID, OTHER)
    for goal, grid in ((first, GRID), (second, OTHER)):
        assert isinstance(goal, Late)
        body = goal.parts[0].parts[-1]
        assert {each.space.size for each in parts(body) if each.label in ("border", "&")} == {grid.size}  # type: ignore[union-attr]


def parts(formula: Formula) -> set[Formula]:
    found, stack = set[Formula](), [formula]
    while stack:
        here = stack.pop()
        if here not in found:
            found.add(here)
            stack += here.parts
    return found


def test_the_checker_says_the_same_as_of_other_sequences() -> None:
    assert (
        str(checked(f'{IMAGE}print "v" for k in range(max(i)) do [k]').goals[0].type)
        == "sequence of sequences of numbers"
    )


# From the command line: the store, what is foreseen, why


@pytest.fixture
def dot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    voxels = np.zeros((5, 5, 5), np.int16)
    voxels[2, 2, 2], voxels[2, 2, 3] = 9, 5
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), "dot.nii.gz")
    Path("p.imgql").write_text(
        'load s = "dot.nii.gz"\nlet i = intensity(s)\nlet n = max(i)\nlet r = 1\n'
        'print "sizes" for k in range(n) do volume(near(i > k)) + r\n'
        'print "bad" for k in range(n + 1) do avg(i, i > k)\n'
        'print "filter" filter k in range(n) do volume(i > k) > 1\n'
    )


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    main([*words, "--store", "store"])
    return capsys.readouterr().out


@pytest.mark.usefixtures("dot")
def test_a_second_run_is_warm_and_foreseen_to_be(capsys: pytest.CaptureFixture[str]) -> None:
    before = said(capsys, "run", "p.imgql", "-n").splitlines()
    assert before[:3] == ['compute  print "sizes"', 'compute  print "bad"', 'compute  print "filter"']
    first = said(capsys, "run", "p.imgql")
    assert first == "sizes=[28, 28, 28, 28, 28, 28, 28, 28, 28]\nfilter=[0, 1, 2, 3, 4]\n".replace(
        "28, 28, 28, 28, 28,", "37, 37, 37, 37, 37,", 1
    )
    assert said(capsys, "run", "p.imgql", "-n").splitlines()[-1] == "nothing is to be computed: all results are stored"
    assert main(["run", "p.imgql", "--store", "store", "--profile"]) == 1
    captured = capsys.readouterr()
    assert captured.out == first
    assert re.search(r"^all +0 ", captured.err, re.MULTILINE), "nothing is computed"
    assert "there is no" not in captured.err
    assert "`avg` was given a mask with no true voxel" in captured.err
    assert "p.imgql:6:38" in captured.err


def test_what_a_stored_task_returned_is_foreseen() -> None:
    (goal,) = goals(IMAGE + 'print "v" for k in range(max(i)) do volume(i > k)')
    whole, part = MemoryStorage(), MemoryStorage()
    for storage in (whole, part):
        storage.offer(goal.arguments[0].id, 2.0, Provenance("max", 1))
        (load,) = [f for f in below([goal]) if f.file is not None]
        storage.offer(load.id, Model.of(GRID, np.ones((*GRID.shape, 1), np.float32)), Provenance("load", 1))
    with ExecutionEngine(whole, jobs=1) as engine:
        ((_, outcome),) = engine.run([goal])
    assert isinstance(outcome, Finished)
    assert outcome.value == (GRID.voxels, 0.0)
    done = whole.lookup(goal.id)
    assert isinstance(done, Done)
    assert not foreseen(whole, [goal], find_operator).tasks
    assert goal in foreseen(whole, [goal], find_operator).known
    part.offer(goal.id, done.ref.open(), Provenance("list", 1))
    plan = foreseen(part, [goal], find_operator)
    assert [task.formula.label for task in plan.tasks].count("volume") == 2
    assert goal.id not in {formula.id for formula in plan.known}
    assert plan.goals == (goal,)


@pytest.mark.usefixtures("dot")
def test_failed_elements_are_tried_again(capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "run", "p.imgql")
    assert main(["run", "p.imgql", "--store", "store", "--profile", "--retry-failed"]) == 1
    rows = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().err.splitlines() if line.strip()}
    assert rows["avg"][2] == "1", "it has failed anew"


@pytest.mark.usefixtures("dot")
def test_why_looks_into_the_bodies_of_loops(capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "run", "p.imgql")
    Path("p.imgql").write_text(Path("p.imgql").read_text().replace("near(i > k)", "near(i > k + 2)"))
    why = said(capsys, "run", "p.imgql", "-n", "--why")
    assert "p.imgql:5:" in why
    Path("p.imgql").write_text(Path("p.imgql").read_text().replace("let r = 1", "let r = 3"))
    said(capsys, "run", "p.imgql")
    Path("p.imgql").write_text(Path("p.imgql").read_text().replace("let r = 3", "let r = 4"))
    assert "because the parameter `r` is 4, was 3   p.imgql:4:9" in said(capsys, "run", "p.imgql", "-n", "--why")


@pytest.mark.usefixtures("dot")
def test_a_plan_says_what_it_does_not_know_yet(capsys: pytest.CaptureFixture[str]) -> None:
    told = said(capsys, "plan", "p.imgql")
    assert "3 tasks of these will say which further ones there are" in told
    assert "list(#" in told
