"""What is made of sequences, once it is known how long they are: the one meaning of loops, slices and folds.

Who makes formulas from code does it at once where lengths and conditions follow from numbers that are known, and so
does a task that has waited for them: then `scalar` knows more. Where a number is not known the answer is `UNDECIDED`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TypeAlias

from voxlogica.errors import Refusal
from voxlogica.formula import NUMBER, Apart, Formula, Formulas, Hole, Operator, Origin, Type
from voxlogica.images.grids import difference
from voxlogica.operators.records import field, parts
from voxlogica.operators.sequences import component, items, summary
from voxlogica.operators.stacks import BEGIN, LAYERS, STREAMS, cuts, joined, quantile
from voxlogica.operators.stacks import part as part_of
from voxlogica.reduction.elements import UNDECIDED, Absent, Elements, Process, Slot, done, drawn, listed, part
from voxlogica.values import Space

Scalar = bool | float | str

MOST = 100_000
"""How many elements may be drawn together, sifted or printed."""


@cache
def unknown(number: int, field: str = "") -> Space:
    """What stands for the grid of what takes a hole's place, or of a field of it, where each such thing has its own."""
    return Space((1, 1), (1.0, 1.0), (0.0, 0.0), (1.0, 0.0, 0.0, 1.0), ("hole", number, field), hole=number)


def space_of_field(record: Formula, name: str) -> Space | None:
    """The grid on which a field of a record lies."""
    if made := parts(record):
        return made[name].space
    if isinstance(record, Hole) and record.space is unknown(record.number):
        return unknown(record.number, name)
    return record.space


def refused(formula: Formula) -> Absent | None:
    """Why a formula fails, if it is there to fail."""
    if formula.operator is None or formula.operator.name != "refuse":
        return None
    message, help = (str(argument.value) for argument in formula.arguments)
    return Absent(message, help, formula.origin)


Turn: TypeAlias = Callable[[list[Slot]], Process]
"""The work of a loop's body for the values of its holes."""


class Loops:
    """The operations; formulas are made in a table."""

    def __init__(self, table: Formulas) -> None:
        self.table = table
        self.scalars: dict[Formula, Scalar | None] = {}

    def scalar(self, formula: Formula) -> Scalar | None:
        """The value of a formula that only scalar operators and constants make; None for any other."""
        known, stack = self.scalars, [formula]
        while stack:
            here = stack[-1]
            operator = here.operator
            if here in known:
                stack.pop()
            elif operator is None:
                known[here] = here.value
            elif operator.cost != "scalar" or here.type.element is not None:
                known[here] = None
            elif missing := [argument for argument in here.arguments if argument not in known]:
                stack += missing
            else:
                values = [known[argument] for argument in here.arguments]
                known[here] = None if None in values else _computed(here, values)
        return known[formula]

    def whole(self, slot: Slot, what: str, origin: Origin | None) -> int | Slot:
        """The whole number that a formula is."""
        if not isinstance(slot, Formula):
            return slot
        value = self.scalar(slot)
        if value is None:
            return UNDECIDED
        assert isinstance(value, float)
        if not value.is_integer():
            return Absent(f"{what} is a whole number, and {value!r} is not", "", origin)
        return int(value)

    def range(self, start: Slot, stop: Slot, origin: Origin | None) -> Slot:
        """The whole numbers from a bound up to another."""
        first = self.whole(start, "a bound of `range`", origin)
        last = self.whole(stop, "a bound of `range`", origin)
        if not isinstance(first, int):
            return first
        if not isinstance(last, int):
            return last
        return Elements(max(0, last - first), lambda n: done(self.table.constant(float(first + n), origin)))

    def each(self, source: Elements, turn: Turn, space: Space | None) -> Elements:
        """What is made of each element."""

        def make(number: int) -> Process:
            element = yield source.element(number)
            return (yield turn([element]))

        return Elements(source.length, make, space)

    def applied(
        self, operator: Operator, arguments: tuple[Formula, ...], space: Space | None, origin: Origin | None
    ) -> Formula | Absent:
        """An operator over formulas; of what lies on several grids there is none."""
        for argument in arguments:
            if argument.space is None and argument.type.spatial and not operator.apart:
                if (why := refused(argument)) is not None:
                    return why
                arguments = tuple([self.standing(each) for each in arguments])
                break
        try:
            made = self.table.apply(operator, arguments, space, origin)
            return self.settled(made) if made.free and not made.type.spatial else made
        except Apart:
            if not any(each.space for each in arguments):
                return Absent(f"`{operator.symbol}` is given no image, and so no voxel grid", "", origin)
            return apart(operator.symbol, [each.space for each in arguments if each.space is not None], origin)

    def standing(self, formula: Formula) -> Formula:
        """The formula, or a hole in its place if it is one whose grid is known only when it is computed."""
        kind = formula.type
        known = formula.space is not None or not kind.spatial or kind.element is not None
        if known or parts(formula) or refused(formula):
            return formula
        return self.table.standing(formula, lambda number: Hole(number, kind, unknown(number)))

    def settled(self, formula: Formula) -> Formula:
        """The formula in which no hole stands for another: a question, if there was such a hole."""
        raise NotImplementedError

    def field(self, record: Formula, name: str, kind: Type, origin: Origin | None) -> Formula | Absent:
        """A field of a record of a type: what it was made of, if that is seen."""
        if made := parts(record):
            return made[name]
        if (why := refused(record)) is not None:
            return why
        record = self.standing(record)
        arguments, space = (record, self.table.constant(name)), space_of_field(record, name) if kind.spatial else None
        return self.applied(field(kind, name), arguments, space, origin)

    def items(
        self, found: Sequence[Formula], space: Space | None, element: Type | None = None, origin: Origin | None = None
    ) -> Formula:
        """The sequence of some formulas, all of a type if there is one given."""
        return self.table.apply(items(tuple([each.type for each in found]), element), tuple(found), space, origin)

    def components(self, source: Slot, count: int, origin: Origin | None) -> Slot:
        """The elements of a value that is a sequence of so many."""
        if not isinstance(source, Formula):
            return source
        made = [
            self.table.apply(component(), (source, self.table.constant(float(n))), None, origin) for n in range(count)
        ]
        return listed(made, None)

    def together(
        self, sources: Sequence[Slot], turn: Turn, space: Space | None, word: str, origin: Origin | None
    ) -> Slot:
        """What is made of the elements of several sequences; what is no sequence is the same for all of them."""
        lengths = {source.length: None for source in sources if isinstance(source, Elements)}
        if len(lengths) > 1:
            first, second = list(lengths)[:2]
            message = f"`{word}` stands between sequences of {first} and of {second} elements"
            return Absent(message, "both must have the same number", origin)

        def make(number: int) -> Process:
            holes = []
            for source in sources:
                holes.append((yield source.element(number)) if isinstance(source, Elements) else source)
            return (yield turn(holes))

        return Elements(next(iter(lengths)), make, space)

    def sift(self, source: Elements, turn: Turn, origin: Origin | None) -> Process:
        """The elements for which a condition holds. All conditions are looked at, to know all that is not known."""
        if source.length > MOST:
            return too_many("filter", source, origin)
        found, undecided = [], False
        for number in range(source.length):
            element = yield source.element(number)
            condition = yield turn([element])
            if not isinstance(condition, Formula):
                return condition
            holds = self.scalar(condition)
            undecided |= holds is None
            if holds:
                found.append(element)
        return UNDECIDED if undecided else listed(found, source.space)

    def cut(self, source: Elements, bounds: Sequence[Slot], clamped: bool, origin: Origin | None) -> Slot:
        """The elements between two bounds; None is an open one."""
        found = [None if bound is None else self.whole(bound, "a bound", origin) for bound in bounds]
        for bound in found:
            if bound is not None and not isinstance(bound, int):
                return bound
        start, stop, _ = slice(*[max(0, b) if isinstance(b, int) and clamped else b for b in found]).indices(
            source.length
        )
        return part(source, start, max(0, stop - start))

    def pick(self, source: Elements, number: Slot, origin: Origin | None) -> Process:
        """The element with a number."""
        at = self.whole(number, "an index", origin)
        if not isinstance(at, int):
            return at
        if 0 <= at < source.length:
            return (yield source.element(at))
        message = f"there is no element {at}: the sequence is empty"
        if source.length:
            message = f"there is no element {at}: the sequence has {source.length}, from 0 to {source.length - 1}"
        return Absent(message, "the last one is   [-1:][0]" if at < 0 and source.length else "", origin)

    def fold(self, source: Elements, begin: Slot, first: Turn, rest: Turn, word: str, origin: Origin | None) -> Process:
        """A sequence drawn together from the left, from a value or, if that is None, from its first element."""
        if source.length > MOST:
            return too_many("fold", source, origin)
        made, number = begin, 0
        if made is None:
            if not source.length:
                message = f"there is nothing to begin with: `fold {word}` was given an empty sequence"
                return Absent(message, f"give it a value to begin with:   fold({word}, …, …)", origin)
            made, number = (yield source.element(0)), 1
        turn = first
        for n in range(number, source.length):
            element = yield source.element(n)
            made = yield turn([made, element])
            turn = rest
        return made

    def summary(self, word: str, source: Elements, more: Sequence[Slot], origin: Origin | None) -> Process:
        """What a word makes of the elements: a number, or an image of images."""
        if source.length > MOST:
            return too_many(word, source, origin)
        if not source.length:
            wanted = "largest element" if word == "argmax" else word
            return Absent(f"`{word}` was given an empty sequence, which has no {wanted}", "", origin)
        found = yield from drawn(source)
        if not isinstance(found, list):
            return found
        for each in more:
            if not isinstance(each, Formula):
                return each
            found.append(each)
        found = [self.standing(each) for each in found]
        if found[0].type is NUMBER:
            return self.table.apply(summary(word, len(found)), tuple(found), None, origin)
        return self.stream(word, found, origin) if word in STREAMS else self.stacked(word, found, origin)

    def stream(self, word: str, images: Sequence[Formula], origin: Origin | None) -> Formula | Absent:
        """An image of images, one after the other."""
        step, end = STREAMS[word]
        state = self.applied(BEGIN, (images[0],), None, origin)
        for count, image in enumerate(images[1:], 2):
            if isinstance(state, Absent):
                return state
            more = (self.table.constant(count),) if len(step.parameters) == 3 else ()
            state = self.applied(step, (state, image, *more), None, origin)
        if isinstance(state, Absent):
            return state
        return self.applied(end, (state, self.table.constant(len(images))), None, origin)

    def stacked(self, word: str, given: Sequence[Formula], origin: Origin | None) -> Formula | Absent:
        """An image of images taken all at once: if they are large, layers of each and then others."""
        images = [each for each in given if each.type.spatial]
        more, space = tuple(given[len(images) :]), images[0].space
        operator = quantile(word, len(images))
        whole = self.applied(operator, tuple(given), None, origin)
        cut = cuts(space, len(images)) if space is not None else []
        if isinstance(whole, Absent) or len(cut) < 2:
            return whole
        assert space is not None
        made = []
        for start, stop in cut:
            here, number = part_of(space, start, stop), self.table.constant(start)
            parts = [self.table.apply(LAYERS, (image, number), here, origin) for image in images]
            made.append(self.table.apply(operator, (*parts, *more), None, origin))
        return self.table.apply(joined(len(made)), tuple(made), space, origin)


def apart(symbol: str, spaces: Sequence[Space], origin: Origin | None) -> Absent:
    """Images on several grids, which are told apart by their sizes or, if these are the same, by where they lie.

    Files of several cases may write one grid in different ways, and are kept apart then.
    """
    here, there = list(dict.fromkeys([space for space in spaces if space.hole is None]))[:2]
    differ, sizes = difference(here, there), [" x ".join(map(str, space.size)) for space in (here, there)]
    message = f"`{symbol}` was given images on different voxel grids, "
    help = "`resample(image, like)` brings an image onto the grid of another"
    if here.size != there.size:
        return Absent(f"{message}of {' and '.join(sizes)} voxels", help, origin)
    if differ is None:
        message = f"`{symbol}` was given images on voxel grids that lie alike, and are written in different ways"
        return Absent(message, f"{help}; where both lie alike it changes no number", origin)
    notes = ", ".join([f"with {field}s {note}" for field, note in differ.notes.items()])
    return Absent(message + notes, differ.help("image", "other"), origin)


def too_many(what: str, source: Elements, origin: Origin | None) -> Absent:
    """Why a sequence is not drawn together, sifted or printed."""
    return Absent(
        f"`{what}` was given a sequence of {source.length} elements, and takes {MOST} at most",
        "take a part of it:   sequence[0:100]",
        origin,
    )


def _computed(formula: Formula, values: Sequence[Scalar | None]) -> Scalar | None:
    operator = formula.operator
    assert operator is not None
    try:
        made = operator.body(*values)
    except Refusal:  # said when the formula is computed
        return None
    assert isinstance(made, (bool, float, str))
    return made
