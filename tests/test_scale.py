"""Long and deep programs: the work from text to graph grows in proportion, and Python's stack bounds nothing.

Work is counted in lines of Python that are carried out and functions of C that are called, which is the same on every
machine and every day.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from voxlogica.check import check
from voxlogica.errors import ProgramError, Source
from voxlogica.formula import LABELS, NOTHING, Leaf, sequence
from voxlogica.reduction import reduce
from voxlogica.reduction.code import DEFAULT
from voxlogica.syntax import parse, print_program
from voxlogica.values import Space

SPACE = Space.grid(4, 4)
IMAGE = 'load m = "m"\nlet i = intensity(m)\nlet a = i > 1\n'


def lines(one: str, count: int) -> str:
    """So many lines, in which `{n}` is the line's number and `{after}` the next one's."""
    return "".join([one.format(n=n, after=n + 1) + "\n" for n in range(count)])


SHAPES: dict[str, Callable[[int], str]] = {
    "definitions": lambda n: "let x0 = 1\n" + lines("let x{after} = x{n} .+. {n}", n) + f'print "v" x{n}',
    "the same name": lambda n: "let x = 1\n" + "let x = x .+. 1\n" * n + 'print "v" x',
    "functions": lambda n: "let f0(x) = x\n" + lines("let f{after}(x) = f{n}(x) .+. 1", n) + f'print "v" f{n}(1)',
    "functions of masks": lambda n: (
        IMAGE + "let f0(x) = x\n" + lines("let f{after}(x) = f{n}(x) & a", n) + f'save "v.nii" f{n}(a)'
    ),
    "unused": lambda n: lines("let x{n} = 1", n) + 'print "v" 1',
    "goals": lambda n: IMAGE + lines('print "v{n}" volume(i > {n})', n),
    "calls": lambda n: f'{IMAGE}save "v.nii" ' + "near(" * n + "a" + ")" * n,
    "calls of a library": lambda n: f'{IMAGE}save "v.nii" ' + "grow(" * n + "a" + ", a)" * n,
    "brackets": lambda n: 'print "v" ' + "(" * n + "1" + ")" * n,
    "nested": lambda n: 'print "v" ' + "1 .+. (" * n + "1" + ")" * n,
    "chain": lambda n: f'{IMAGE}save "v.nii" a' + " & a" * n,
    "prefixes": lambda n: f'{IMAGE}save "v.nii" ' + "! " * n + "a",
    "lets": lambda n: 'print "v" let x = 1 in ' + "let x = x .+. 1 in " * n + "x",
    "lists in each other": lambda n: "let x = " + "[" * n + "1" + "]" * n + '\nprint "v" x' + "[0]" * n,
    "lists of lists": lambda n: (
        "let x0 = 1\n" + lines("let x{after} = [x{n}, x{n}]", n) + f'print "v" x{n}' + "[0]" * n
    ),
    "an operator between lists": lambda n: (
        "let x = " + "[" * n + "1" + "]" * n + '\nlet y = x + x\nprint "v" y' + "[0]" * n
    ),
    "indices in each other": lambda n: 'let xs = [0, 0]\nprint "v" ' + "xs[" * n + "0" + "]" * n,
    "indices that an image decides": lambda n: (
        IMAGE + "let k = volume(a)\nlet x = " + "[" * n + "1, k" + "]" * n + '\nprint "v" x' + "[k]" * n
    ),
    "slices in each other": lambda n: 'let xs = [0, 0]\nprint "v" ' + "mean(xs[0 : " * n + "1" + "])" * n,
    "loops in each other": lambda n: "let x = " + "for k in [1] do (" * n + "k" + ")" * n + '\nprint "v" x' + "[0]" * n,
    "a wrong type in each line": lambda n: (
        "let x = " + "[" * n + "1" + "]" * n + "\n" + lines("let y{n} = near(x)", n) + 'print "v" y1'
    ),
    "list": lambda n: 'print "v" [' + "1, " * n + "1]",
    "turns": lambda n: f'print "v" fold + for k in range({n}) do k .*. 2',
    "unknown names": lambda n: lines("let x{n} = y{n}", n) + 'print "v" x1',
    "wrong types": lambda n: IMAGE + lines("let x{n} = near({n})", n) + 'save "v.nii" x1',
    "wrong lines": lambda n: "let x = (\n" * n + 'print "v" 1',
}


def work(text: str) -> int:
    """How much is done from a text to the formulas of its goals, or to its errors."""
    count = 0

    def called(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event == "c_call"

    def traced(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal count
        count += event == "line"
        return traced

    before, tracing = sys.getprofile(), sys.gettrace()
    sys.setprofile(called)
    sys.settrace(traced)
    try:
        made(text)
    except ProgramError:
        pass
    finally:
        sys.settrace(tracing)
        sys.setprofile(before)
    return count


def made(text: str) -> int:
    """Makes the formulas of a program's goals; how many."""
    checked = check(parse(Source("t", text)))
    leaves = [Leaf("", b"m", "test", 1, SPACE) for _ in checked.inputs]
    slots = reduce(checked.code, leaves, dict.fromkeys([*checked.grids, DEFAULT], SPACE), {}, lambda text: text)
    return sum(slots[goal.slot] is not None for goal in checked.goals)


@pytest.mark.parametrize("shape", SHAPES)
def test_twice_the_text_is_twice_the_work(shape: str) -> None:
    make = SHAPES[shape]
    work(make(1))  # what is done once in a process
    least, one, two = (work(make(size)) for size in (150, 300, 450))
    assert two - one <= 1.1 * (one - least) + 10, f"{one - least} more steps for 150 more, and {two - one} for as many"


DEEP = [
    "calls", "calls of a library", "brackets", "nested", "chain", "prefixes", "lets", "functions of masks",
    "lists in each other", "lists of lists", "an operator between lists", "indices in each other",
    "indices that an image decides", "slices in each other", "loops in each other",
]  # fmt: skip


@pytest.mark.parametrize("shape", DEEP)
def test_ten_thousand_levels_are_no_depth(shape: str) -> None:
    text = SHAPES[shape](10_000)
    assert made(text) == 1
    printed = print_program(parse(Source("t", text)))
    assert print_program(parse(Source("t", printed))) == printed


def test_a_hundred_thousand_lists_in_each_other() -> None:
    assert made(SHAPES["lists in each other"](100_000)) == 1


def test_deep_sequences_are_refused_where_they_are_printed() -> None:
    assert made('print "v" ' + "[" * 100 + "1" + "]" * 100) == 1
    assert made("let xs = " + "[" * 10_000 + "1" + "]" * 10_000 + '\nprint "v" xs' + "[0]" * 10_000) == 1
    with pytest.raises(ProgramError, match="within sequences 100 deep, and these are 10000 deep"):
        made('print "v" ' + "[" * 10_000 + "1" + "]" * 10_000)


@pytest.mark.parametrize(
    ("inside", "kind"),
    [
        ("1", "a sequence of sequences, 10000 deep, of numbers"),
        ("1 > 0", "a sequence of sequences, 10000 deep, of bools"),
        ("[]", "a sequence of sequences, 10000 deep, of empty sequences"),
    ],
)
def test_the_name_of_a_deep_type_is_short(inside: str, kind: str) -> None:
    with pytest.raises(ProgramError) as caught:
        made("let x = " + "[" * 10_000 + inside + "]" * 10_000 + '\nprint "v" near(x)')
    assert f"`near` takes a mask, and is given {kind}" in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_the_names_of_types_that_are_not_deep() -> None:
    shown = ["empty sequence", "sequence of empty sequences", "sequence of sequences of empty sequences"]
    kind = NOTHING
    for name in shown:
        kind = sequence(kind)
        assert str(kind) == name
    kind = LABELS
    for depth in range(1, 9):
        kind = sequence(kind)
        assert str(kind) == "sequence of " + "sequences of " * (depth - 1) + "labels"
    assert sequence(kind).name == "sequence of sequences, 9 deep, of labels"
