"""The tests of sequences can fail: each of these broken evaluators is found by those that compare with Python.

What is broken is one line of it at a time: how holes are numbered, which elements are looked at, a bound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests import test_sequences, test_sequences_late

import voxlogica as vx
from voxlogica import operators
from voxlogica.formula import NUMBER, Formula
from voxlogica.reduction import late
from voxlogica.reduction.elements import UNDECIDED, Elements, Process, Slot, run
from voxlogica.reduction.loops import Loops

Patch = pytest.MonkeyPatch
CUT, SIFT, PICK, RANGE, FOLD = Loops.cut, Loops.sift, Loops.pick, Loops.range, Loops.fold


def holes_have_the_numbers_of_those_inside(patch: Patch) -> None:
    patch.setattr(late, "max", lambda *_: 0, raising=False)


def holes_are_taken_in_the_wrong_order(patch: Patch) -> None:
    patch.setattr(late, "zip", lambda a, b, strict: zip(reversed([*a]), b, strict=strict), raising=False)


def all_known(loops: Loops, source: Elements) -> bool:
    """Whether the numbers of all elements are, which a task that asks waits for."""
    made = [run(source.element(number)) for number in range(source.length)]
    numbers = [loops.scalar(each) for each in made if isinstance(each, Formula) and each.type is NUMBER]
    return None not in numbers


def a_slice_waits_for_all_elements(patch: Patch) -> None:
    def cut(self: Loops, source: Elements, *more: Any) -> Slot:
        return CUT(self, source, *more) if all_known(self, source) else UNDECIDED

    patch.setattr(Loops, "cut", cut)


def a_filter_waits_for_all_elements(patch: Patch) -> None:
    def sift(self: Loops, source: Elements, *more: Any) -> Process:
        return (yield SIFT(self, source, *more)) if all_known(self, source) else UNDECIDED

    patch.setattr(Loops, "sift", sift)


def an_index_waits_for_all_elements(patch: Patch) -> None:
    def pick(self: Loops, source: Elements, *more: Any) -> Process:
        return (yield PICK(self, source, *more)) if all_known(self, source) else UNDECIDED

    patch.setattr(Loops, "pick", pick)


def the_last_element_is_outside(patch: Patch) -> None:
    def pick(self: Loops, source: Elements, *more: Any) -> Process:
        return (yield PICK(self, Elements(source.length - 1, source.element, source.space), *more))

    patch.setattr(Loops, "pick", pick)


def a_slice_has_its_end(patch: Patch) -> None:
    def cut(self: Loops, source: Elements, bounds: Any, *more: Any) -> Slot:
        made = CUT(self, source, bounds, *more)
        if not isinstance(made, Elements) or bounds[1] is None or not made.length:
            return made
        return Elements(min(source.length, made.length + 1), made.element, made.space)

    patch.setattr(Loops, "cut", cut)


def a_range_has_its_end(patch: Patch) -> None:
    def longer(self: Loops, start: Slot, stop: Slot, *more: Any) -> Slot:
        made = RANGE(self, start, stop, *more)
        if not isinstance(made, Elements):
            return made
        first = self.whole(start, "", None)
        assert isinstance(first, int)
        return RANGE(self, start, self.table.constant(float(first + made.length + 1)), *more)

    patch.setattr(Loops, "range", longer)


def a_fold_goes_from_the_right(patch: Patch) -> None:
    def fold(self: Loops, source: Elements, *more: Any) -> Process:
        backward = Elements(source.length, lambda number: source.element(source.length - 1 - number), source.space)
        return FOLD(self, backward, *more)

    patch.setattr(Loops, "fold", fold)


def kept_ones(kept: Elements) -> list[Slot]:
    return [run(kept.element(number)) for number in range(kept.length)]


def a_filter_keeps_the_others(patch: Patch) -> None:
    def sift(self: Loops, source: Elements, turn: Any, origin: Any) -> Process:
        kept = yield SIFT(self, source, turn, origin)
        if not isinstance(kept, Elements):
            return kept
        others = []
        for number in range(source.length):
            element = yield source.element(number)
            if element not in kept_ones(kept):
                others.append(element)
        return late.listed(others, source.space)

    patch.setattr(Loops, "sift", sift)


MUTANTS = (
    holes_have_the_numbers_of_those_inside, holes_are_taken_in_the_wrong_order, a_slice_waits_for_all_elements,
    a_filter_waits_for_all_elements, an_index_waits_for_all_elements, the_last_element_is_outside, a_slice_has_its_end,
    a_range_has_its_end, a_fold_goes_from_the_right, a_filter_keeps_the_others,
)  # fmt: skip


def tried(test: Callable[[int], None]) -> None:
    for seed in range(10):
        test(seed)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: str(mutant.__name__))
def test_a_broken_evaluator_of_late_sequences_is_found(mutant: Callable[[Patch], None], monkeypatch: Patch) -> None:
    mutant(monkeypatch)
    with pytest.raises((AssertionError, IndexError)):
        tried(test_sequences_late.test_programs_mean_what_they_mean_in_python)


@pytest.mark.parametrize("mutant", MUTANTS[5:], ids=lambda mutant: str(mutant.__name__))
def test_a_broken_evaluator_is_found(mutant: Callable[[Patch], None], monkeypatch: Patch) -> None:
    mutant(monkeypatch)
    with pytest.raises((AssertionError, IndexError)):
        tried(test_sequences.test_programs_mean_what_they_mean_in_python)


# Laziness, seen from an operator


@pytest.fixture
def looked_at(monkeypatch: Patch) -> Iterator[list[float]]:
    """An operator `trap` that notes its numbers, and fails for those from 100 on."""
    monkeypatch.setattr(operators, "_own", {})
    numbers: list[float] = []

    @vx.operator(version=1)
    def trap(k: vx.Number) -> vx.Number:
        numbers.append(k)
        assert k < 100, "nobody needs this one"
        return k

    with vx.Session(store=False):
        yield numbers


@pytest.mark.parametrize(
    ("expression", "found", "needed"),
    [
        ("(for k in {} do trap(k))[3:5]", (3.0, 4.0), [3, 4]),
        ("(for k in {} do trap(k))[2]", 2.0, [2]),
        ("(for k in {} do for j in [k, k + 100] do trap(j))[3][0]", 3.0, [3]),
        ("(for k in (filter k in {}[:4] do trap(k) > 1) do trap(k * 10))[:1]", (20.0,), [0, 1, 2, 3, 20]),
        ("[trap(1), trap(100)][{}[0]]", 1.0, [1]),
        ("fold + (for k in {}[-3:] do k + trap(k - 195))", 603.0, [2, 3, 4]),
        ("mean((for k in {} do trap(k))[4:6])", 4.5, [4, 5]),
        ("((for k in {} do trap(k)) * {})[3]", 9.0, [3]),
    ],
)
@pytest.mark.parametrize("length", ["200", "trap(5) * 40"])
def test_what_nobody_needs_is_not_computed(
    expression: str, found: Any, needed: list[int], length: str, looked_at: list[float]
) -> None:
    """The length is written, or it must be computed first."""
    text = f'let xs = range({length})\nprint "v" {expression.replace("{}", "xs")}'
    assert vx.program(text).run(save=False)["v"] == found
    assert sorted(looked_at) == sorted({*needed, 5} if "trap" in length else needed)


def test_the_trap_closes(looked_at: list[float]) -> None:
    with pytest.raises(vx.errors.VoxLogicAError, match="nobody needs this one"):
        vx.program('print "v" for k in range(98, 101) do trap(k)').run(save=False)["v"]
    assert sorted(looked_at) == [98, 99, 100]
