"""The steps of checked code, carried out on formulas."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from voxlogica._collector import collector_paused
from voxlogica.errors import Refusal, Span
from voxlogica.formula import Apart, Formula, Formulas, Leaf, Operator, Origin
from voxlogica.operators.sequences import argmax, items, refuse
from voxlogica.reduction.code import (
    DEFAULT,
    OPEN,
    Apply,
    Code,
    Constant,
    Cut,
    Each,
    Folding,
    Gathered,
    Global,
    Greatest,
    Input,
    Invoke,
    Items,
    Outer,
    Pick,
    Range,
    Read,
    Setting,
    Sift,
    Skip,
    Step,
    Text,
    Together,
)
from voxlogica.reduction.elements import Absent, Elements, Process, Slot, computed, listed, part
from voxlogica.values import Space

Scalar = bool | float | str

MOST = 100_000
"""How many elements may be drawn together, sifted or printed."""


class Reduced:
    """The formula in every slot of the main code; None where its space is missing."""

    def __init__(self, reducer: _Reducer) -> None:
        self._reducer = reducer

    def __len__(self) -> int:
        return len(self._reducer.main)

    def __getitem__(self, slot: int) -> Formula | None:
        with collector_paused():
            made = _run(self._reducer.gathered(self._reducer.main[slot]))
        assert made is None or isinstance(made, Formula)
        return made


def reduce(
    main: Code,
    leaves: Sequence[Leaf],
    spaces: Mapping[int, Space],
    parameters: Mapping[str, Scalar],
    replace: Callable[[str, Span], str],
    table: Formulas | None = None,
) -> Reduced:
    """The formula in every slot of the main code.

    `leaves` are the inputs in order; `spaces` assigns the main code's space variables; `parameters` replaces defaults;
    `replace` fills in a string's names. A slot is None when its space variable has no space (the checker has said so)
    or when it needs such a slot. What cannot be had, an element past the end for example, is a formula that fails.
    Linear in steps plus distinct calls plus turns of loops.
    """
    reducer = _Reducer(table or Formulas(), leaves, spaces, parameters, replace, main.made)
    with collector_paused():
        _run(reducer.run(main, _Frame(main, reducer.main, None, None, None)))
    return Reduced(reducer)


def _run(process: Process) -> Slot:
    """Does work, and the work that it waits for, on a stack of our own."""
    stack = [process]
    answer: Slot = None
    while True:
        try:
            stack.append(stack[-1].send(answer))
            answer = None
        except StopIteration as stop:
            stack.pop()
            answer = stop.value
            if not stack:
                return answer


class _Frame(NamedTuple):
    """A code being run: its slots so far, the space its caller chose, where it was called, the slots around it."""

    code: Code
    slots: list[Slot]
    open: Space | None
    caller: Origin | None
    outer: list[Slot] | None

    def origin(self, span: Span) -> Origin | None:
        """Where what a step makes is said to be made."""
        return self.caller if self.code.bundled else Origin(span, self.code.name, self.caller)


class _Reducer:
    def __init__(
        self,
        table: Formulas,
        leaves: Sequence[Leaf],
        spaces: Mapping[int, Space],
        parameters: Mapping[str, Scalar],
        replace: Callable[[str, Span], str],
        made: Mapping[int, int],
    ) -> None:
        self.table, self.leaves, self.spaces = table, leaves, spaces
        self.parameters, self.replace, self.made = parameters, replace, made
        self.main: list[Slot] = []
        self.calls: dict[tuple[object, ...], Slot] = {}
        self.scalars: dict[Formula, Scalar | None] = {}

    def run(self, code: Code, here: _Frame) -> Process:
        """The work of a code: its result."""
        slots, steps, put = here.slots, code.steps, here.slots.append
        if code.order:
            steps, put = [steps[n] for n in code.order], _in_order(code, slots)
        for step in steps:
            if type(step) is Apply:
                put(self.apply(step, here))
            elif type(step) is Invoke:
                arguments = tuple([slots[n] for n in step.arguments])
                space = self.space(step.space, here)
                key = (step.code, arguments, space)
                if key not in self.calls:
                    caller = here.origin(step.span)
                    self.calls[key] = yield self.run(step.code, _Frame(step.code, list(arguments), space, caller, None))
                put(self.calls[key])
            elif type(step) is Global:
                put(self.main[step.slot])
            elif type(step) is Read:
                put(self.read(step, here))
            elif type(step) is Skip:
                put(None)
            elif type(step) in _ATOMS:
                put(self.atom(step))
            else:
                put((yield self.loop(step, here)))
        return slots[code.result] if code.result >= 0 else None

    def space(self, number: int, here: _Frame) -> Space | None:
        """The space that a space variable of a code stands for, here and now."""
        if number < 0:
            return None
        slots, slot = here.slots, -1
        if slots is not self.main and number != DEFAULT:
            if number == OPEN:
                return here.open
            slot, number, outer = here.code.spaces[number - 2]
            if outer >= 0:
                assert here.outer is not None
                slots, slot = here.outer, outer
        if number >= 0:
            if number in self.spaces:
                return self.spaces[number]
            slots, slot = self.main, self.made.get(number, -1)
        value = slots[slot] if slot >= 0 else None
        return value.space if isinstance(value, (Formula, Elements)) else None

    def apply(self, step: Apply, here: _Frame) -> Slot:
        arguments = tuple([here.slots[n] for n in step.arguments])
        for argument in arguments:
            if type(argument) is not Formula:
                return _first_absent(arguments)
        space, origin = None, here.origin(step.span)
        if step.space >= 0:
            space = self.space(step.space, here)
            if space is None:
                return None
        if step.operator.grid is not None:
            made = self.grid(step.operator, arguments, origin)  # type: ignore[arg-type]
            if isinstance(made, Absent):
                return made
            space = made
        try:
            return self.table.apply(step.operator, arguments, space, origin)  # type: ignore[arg-type]
        except Apart as apart:
            return _apart(step.operator, apart, origin)

    def grid(self, operator: Operator, arguments: Sequence[Formula], origin: Origin | None) -> Space | Absent:
        """The space on which an operator's result lies that has a grid of its own."""
        assert operator.grid is not None
        known: list[object] = []
        for (name, _), argument in zip(operator.parameters, arguments, strict=True):
            given: object = argument.space or self.scalar(argument)
            if argument.type.element is not None:
                given = tuple([self.scalar(each) for each in argument.arguments])
            if given is None or (isinstance(given, tuple) and None in given):
                help = "which voxels there are must follow from numbers and parameters alone"
                return Absent(f"`{name}` of `{operator.symbol}` depends on an image here", help, origin)
            known.append(given)
        try:
            return operator.grid(*known)
        except Refusal as refusal:
            return Absent(refusal.message, refusal.help, origin)

    def read(self, step: Read, here: _Frame) -> Slot:
        """A field of a record."""
        record = here.slots[step.record]
        if not isinstance(record, Formula):
            return record
        return self.table.apply(step.operator, (record, self.table.constant(step.name)), None, here.origin(step.span))

    def atom(self, step: Step) -> Formula:
        """The formula of a step that reads no slot."""
        match step:
            case Constant(value, span):
                return self.table.constant(value, Origin(span))
            case Setting(name, default, span):
                if name not in self.parameters and isinstance(default, str):
                    default = self.replace(default, span)
                return self.table.constant(self.parameters.get(name, default), Origin(span))
            case Text(template, span):
                return self.table.constant(self.replace(template, span), Origin(span))
            case Input(number, span):
                return self.table.leaf(self.leaves[number], Origin(span))
        raise TypeError(f"{step} reads slots")

    # Sequences

    def loop(self, step: Step, here: _Frame) -> Process:
        """The work of a step that makes a sequence or reads one."""
        slots = here.slots
        match step:
            case Outer(slot):
                assert here.outer is not None
                return here.outer[slot]
            case Items(numbers, space):
                return listed([slots[n] for n in numbers], self.space(space, here))
            case Range():
                return self.range(step, here)
            case Together():
                return self.together(step, here)
        source = slots[step.source]  # type: ignore[union-attr]
        if not isinstance(source, Elements):
            return source
        match step:
            case Each(body, _, variable):
                around = self.space(variable, here)

                def make(number: int) -> Process:
                    element = yield source.element(number)
                    return (yield self.body(body, [element], around, here))

                return Elements(source.length, make, around)
            case Sift(body, _, span):
                return (yield self.sift(body, source, here.origin(span), here))
            case Cut():
                return self.cut(step, source, here)
            case Pick():
                return (yield self.pick(step, source, here))
            case Folding():
                return (yield self.fold(step, source, here))
            case Greatest(_, span):
                return (yield self.greatest(source, here.origin(span)))
            case Gathered(_, span):
                return (yield self.whole_sequence(source, here.origin(span)))
        raise TypeError(f"{step} is no step")

    def body(self, code: Code, holes: list[Slot], space: Space | None, around: _Frame) -> Process:
        """The work of a loop's body for the values of its holes."""
        return self.run(code, _Frame(code, holes, space, around.caller, around.slots))

    def range(self, step: Range, here: _Frame) -> Slot:
        origin = here.origin(step.span)
        start = self.whole(here.slots[step.start], "a bound of `range`", origin)
        stop = self.whole(here.slots[step.stop], "a bound of `range`", origin)
        if not isinstance(start, int):
            return start
        if not isinstance(stop, int):
            return stop
        return computed(max(0, stop - start), lambda n: self.table.constant(float(start + n), origin))

    def together(self, step: Together, here: _Frame) -> Slot:
        sources = [here.slots[n] for n in step.sources]
        lengths = []
        for source, many in zip(sources, step.many, strict=True):
            if isinstance(source, Elements):
                lengths.append(source.length)
            elif many:
                return source
        if len(set(lengths)) > 1:
            first, second = lengths
            message = f"`{step.symbol}` stands between sequences of {first} and of {second} elements"
            return Absent(message, "both must have the same number", here.origin(step.span))
        space = self.space(step.space, here)

        def make(number: int) -> Process:
            holes = []
            for source in sources:
                holes.append((yield source.element(number)) if isinstance(source, Elements) else source)
            return (yield self.body(step.body, holes, space, here))

        return Elements(lengths[0], make, space)

    def sift(self, code: Code, source: Elements, origin: Origin | None, here: _Frame) -> Process:
        if source.length > MOST:
            return _too_many("filter", source, origin)
        found = []
        for number in range(source.length):
            element = yield source.element(number)
            condition = yield self.body(code, [element], None, here)
            holds = self.scalar(condition) if isinstance(condition, Formula) else None
            if holds is None:
                return condition if not isinstance(condition, Formula) else _late("this condition", origin)
            if holds:
                found.append(element)
        return listed(found, source.space)

    def cut(self, step: Cut, source: Elements, here: _Frame) -> Slot:
        origin, bounds = here.origin(step.span), []
        for slot in (step.start, step.stop):
            bound = self.whole(here.slots[slot], "a bound", origin) if slot >= 0 else None
            if isinstance(bound, Absent) or (slot >= 0 and bound is None):
                return bound
            bounds.append(max(0, bound) if isinstance(bound, int) and step.clamped else bound)
        start, stop, _ = slice(*bounds).indices(source.length)
        return part(source, start, max(0, stop - start))

    def pick(self, step: Pick, source: Elements, here: _Frame) -> Process:
        origin = here.origin(step.span)
        number = self.whole(here.slots[step.number], "an index", origin)
        if not isinstance(number, int):
            return number
        if 0 <= number < source.length:
            return (yield source.element(number))
        message = f"there is no element {number}: the sequence is empty"
        if source.length:
            message = f"there is no element {number}: the sequence has {source.length}, from 0 to {source.length - 1}"
        return Absent(message, "the last one is   [-1:][0]" if number < 0 and source.length else "", origin)

    def fold(self, step: Folding, source: Elements, here: _Frame) -> Process:
        origin = here.origin(step.span)
        if source.length > MOST:
            return _too_many("fold", source, origin)
        space, number = self.space(step.space, here), 0
        if step.initial >= 0:
            made = here.slots[step.initial]
        elif source.length:
            made, number = (yield source.element(0)), 1
        else:
            message = f"there is nothing to begin with: `fold {step.symbol}` was given an empty sequence"
            return Absent(message, f"give it a value to begin with:   fold({step.symbol}, …, …)", origin)
        code = step.first
        for n in range(number, source.length):
            element = yield source.element(n)
            made = yield self.body(code, [made, element], space, here)
            code = step.rest
        return made

    def greatest(self, source: Elements, origin: Origin | None) -> Process:
        if source.length > MOST:
            return _too_many("argmax", source, origin)
        if not source.length:
            return Absent("`argmax` was given an empty sequence, which has no largest element", "", origin)
        found: list[Formula] = []
        for number in range(source.length):
            element = yield source.element(number)
            if not isinstance(element, Formula):
                return element
            found.append(element)
        return self.table.apply(argmax(len(found)), tuple(found), None, origin)

    def whole_sequence(self, source: Elements, origin: Origin | None) -> Process:
        if source.length > MOST:
            return _too_many("an operator", source, origin)
        found: list[Formula] = []
        for number in range(source.length):
            element = yield source.element(number)
            if not isinstance(element, Formula):
                return element
            found.append(element)
        return self.table.apply(items(tuple([each.type for each in found])), tuple(found), source.space)

    def gathered(self, slot: Slot) -> Process:
        """A formula for what a slot holds."""
        if isinstance(slot, Absent):
            message, help, origin = slot
            return self.table.apply(refuse(), (self.table.constant(message), self.table.constant(help)), None, origin)
        if not isinstance(slot, Elements):
            return slot
        if slot.length > MOST:
            return (yield self.gathered(_too_many("print", slot, None)))
        found: list[Formula] = []
        for number in range(slot.length):
            element = yield slot.element(number)
            made = yield self.gathered(element)
            if not isinstance(made, Formula) or isinstance(element, Absent):
                return made
            found.append(made)
        return self.table.apply(items(tuple(each.type for each in found)), tuple(found), slot.space)

    # Numbers that must be known

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
            return _late(what, origin)
        assert isinstance(value, float)
        if not value.is_integer():
            return Absent(f"{what} is a whole number, and {value!r} is not", "", origin)
        return int(value)


_ATOMS = (Constant, Text, Setting, Input)


def _in_order(code: Code, slots: list[Slot]) -> Callable[[Slot], None]:
    """Puts what comes of steps, in the order of their being carried out, into their slots."""
    slots += [None] * len(code.steps)
    numbers = iter(code.order)

    def put(value: Slot) -> None:
        slots[code.holes + next(numbers)] = value

    return put


def _computed(formula: Formula, values: Sequence[Scalar | None]) -> Scalar | None:
    operator = formula.operator
    assert operator is not None
    try:
        made = operator.body(*values)
    except Refusal:  # said when the formula is computed
        return None
    assert isinstance(made, (bool, float, str))
    return made


def _first_absent(slots: Sequence[object]) -> Absent | None:
    """What takes the place of something that needs all of these, of which one at least cannot be had."""
    return next((slot for slot in slots if isinstance(slot, Absent)), None)


def _too_many(what: str, source: Elements, origin: Origin | None) -> Absent:
    return Absent(
        f"`{what}` was given a sequence of {source.length} elements, and takes {MOST} at most",
        "take a part of it:   sequence[0:100]",
        origin,
    )


def _apart(operator: Operator, apart: Apart, origin: Origin | None) -> Absent:
    one, other = (" x ".join(map(str, space.size)) for space in (apart.one, apart.other))
    sizes = f"of {one} and of {other} voxels" if one != other else f"of {one} voxels each that lie apart"
    return Absent(
        f"`{operator.symbol}` is given images on two voxel grids, {sizes}",
        "`resample(image, like)` brings an image onto the grid of another",
        origin,
    )


def _late(what: str, origin: Origin | None) -> Absent:
    return Absent(
        f"{what} depends on an image here, which is not supported yet",
        "what decides how many elements there are must follow from numbers and parameters alone",
        origin,
    )
