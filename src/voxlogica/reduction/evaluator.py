"""The steps of checked code, carried out on formulas."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeAlias

from voxlogica._collector import collector_paused
from voxlogica._dataclass import NamedTuple
from voxlogica.errors import Refusal, Span
from voxlogica.formula import (
    NOTHING,
    NUMBER,
    Formula,
    Formulas,
    Hole,
    Late,
    Leaf,
    Operator,
    Origin,
    Type,
    sequence,
)
from voxlogica.identity import Id, Plain
from voxlogica.images.grids import difference
from voxlogica.operators.records import fields
from voxlogica.reduction.code import (
    DEFAULT,
    OPEN,
    Apply,
    Code,
    Constant,
    Cut,
    Dataset,
    Each,
    Folding,
    Gathered,
    Global,
    Input,
    Invoke,
    Items,
    Listing,
    Outer,
    Parts,
    Pick,
    Range,
    Read,
    Setting,
    Sift,
    Skip,
    Step,
    Summary,
    Text,
    Together,
)
from voxlogica.reduction.elements import UNDECIDED, Absent, Elements, Process, Slot, done, drawn, listed, run
from voxlogica.reduction.late import (
    CUT,
    EACH,
    FOLD,
    PICK,
    QUESTIONS,
    RANGE,
    SIFT,
    TOGETHER,
    Settling,
    Unfolding,
    close,
    hole,
    late,
)
from voxlogica.reduction.loops import MOST, Scalar, Turn, too_many
from voxlogica.values import Space

Found: TypeAlias = Callable[[str], "str | Leaf | Refusal"]
"""A case: what each of its names is."""


class Files(Protocol):
    """Who looks at the file system for a program."""

    def find(self, patterns: tuple[str, ...], span: Span) -> Sequence[Found]:
        """The cases that patterns describe. Raises `InputError`."""
        ...

    def listed(self, root: str, pattern: str, recursive: bool, full_paths: bool) -> Sequence[str]:
        """What lies in a directory, see `images.patterns.entries`. Raises `Refusal`."""
        ...


class Reduced:
    """The formula in every slot of the main code; None where its space is missing."""

    def __init__(self, reducer: _Reducer) -> None:
        self._reducer = reducer

    def __len__(self) -> int:
        return len(self._reducer.main)

    def __getitem__(self, slot: int) -> Formula | None:
        with collector_paused():
            made = run(self._reducer.gathered(self._reducer.main[slot]))
        assert made is None or isinstance(made, Formula)
        return made


def reduce(
    main: Code,
    leaves: Sequence[Leaf],
    spaces: Mapping[int, Space],
    parameters: Mapping[str, Scalar],
    replace: Callable[[str], str],
    table: Formulas | None = None,
    files: Files | None = None,
) -> Reduced:
    """The formula in every slot of the main code.

    `leaves` are the inputs in order; `spaces` assigns the main code's space variables; `parameters` replaces defaults;
    `replace` fills in a string's names; `files` finds what lies in directories. A slot is None when its space
    variable has no space (the checker has said so) or when it needs such a slot. What cannot be had, an element past
    the end for example, is a formula that fails.
    Linear in steps plus distinct calls plus turns of loops.
    """
    reducer = _Reducer(table or Formulas(), leaves, spaces, parameters, replace, files, main.made)
    with collector_paused():
        run(reducer.run(main, _Frame(main, reducer.main, None, None, None)))
    return Reduced(reducer)


_new = tuple.__new__
"""Makes a named tuple of its fields, all of them and in their order, in a third of the time: there are millions."""


class _Frame(NamedTuple):
    """A code being run: its slots so far, the space its caller chose, where it was called, the slots around it."""

    code: Code
    slots: list[Slot]
    open: Space | None
    caller: Origin | None
    outer: list[Slot] | None

    def origin(self, span: Span) -> Origin | None:
        """Where what a step makes is said to be made."""
        return self.caller if self.code.bundled else _new(Origin, (span, self.code.name, self.caller))


class _Reducer(Settling):
    def __init__(
        self,
        table: Formulas,
        leaves: Sequence[Leaf],
        spaces: Mapping[int, Space],
        parameters: Mapping[str, Scalar],
        replace: Callable[[str], str],
        files: Files | None,
        made: Mapping[int, int],
    ) -> None:
        super().__init__(table)
        self.leaves, self.spaces = leaves, spaces
        self.parameters, self.replace, self.files, self.made = parameters, replace, files, made
        self.main: list[Slot] = []
        self.calls: dict[tuple[object, ...], Slot] = {}
        self.holes = 0
        self.homes: dict[Id, Space] = {}  # of a grid that was made of another, the one it all began with

    def run(self, code: Code, here: _Frame) -> Process:
        """The work of a code: its result."""
        slots, steps, put = here.slots, code.steps, here.slots.append
        if code.order:
            steps, put = [steps[n] for n in code.order], _in_order(code, slots)
        apply, constant = self.apply, self.table.constant
        for step in steps:
            if type(step) is Apply:
                put(apply(step, here))
            elif type(step) is Constant:
                value, span = step
                put(constant(value, _new(Origin, (span, "", None))))
            elif type(step) is Invoke:
                arguments = tuple(map(slots.__getitem__, step.arguments))
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
            elif type(step) is Dataset:
                put(self.dataset(step, here.origin(step.span)))
            elif type(step) is Listing:
                put(self.listing(step, here))
            elif type(step) is Skip:
                put(None)
            elif type(step) in _ATOMS:
                put(self.atom(step))
            else:
                put((yield self.loop(step, here)))
        return slots[code.result] if code.result >= 0 else None

    def space(self, number: int, here: _Frame) -> Space | None:
        """The space that a space variable of a code stands for, here and now."""
        found = self.found(number, here)
        return found if isinstance(found, Space) else None

    def found(self, number: int, here: _Frame) -> Space | Absent | None:
        """The same, or why there is none: what it is the space of cannot be had."""
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
        if isinstance(value, Formula):
            return self.standing(value).space
        return value.space if isinstance(value, Elements) else value

    def apply(self, step: Apply, here: _Frame) -> Slot:
        operator, numbers, variable, span = step
        code, slots, _, caller, _ = here
        arguments = tuple(map(slots.__getitem__, numbers))
        for argument in arguments:
            if not isinstance(argument, Formula):
                return _first_absent(arguments)
        origin = caller if code.bundled else _new(Origin, (span, code.name, caller))
        if operator.scalar:
            made = self.table.apply(operator, arguments, None, origin)  # type: ignore[arg-type]
            return self.settled(made) if made.free else made
        space = None
        if variable >= 0:
            found = self.found(variable, here)
            if not isinstance(found, Space):
                return found
            space = found
        if operator.grid is not None:
            laid = self.grid(operator, arguments, origin)  # type: ignore[arg-type]
            if isinstance(laid, Absent):
                return laid
            space = laid
        return self.applied(operator, arguments, space, origin)  # type: ignore[arg-type]

    def grid(self, operator: Operator, arguments: Sequence[Formula], origin: Origin | None) -> Space | Absent:
        """The space on which an operator's result lies that has a grid of its own."""
        assert operator.grid is not None
        known: list[object] = []
        for number in range(len(arguments)) if operator.decisive is None else operator.decisive:
            name, given = operator.parameters[number][0], self.decisive(arguments[number])
            if given is None or (isinstance(given, tuple) and None in given):
                help = "which voxels there are must follow from numbers and parameters alone"
                return Absent(f"`{name}` of `{operator.symbol}` depends on an image here", help, origin)
            known.append(given)
        try:
            made = operator.grid(*known)
        except Refusal as refusal:
            return Absent(refusal.message, refusal.help, origin)
        before = next((each for each in known if isinstance(each, Space)), None)
        if before is None:
            return made
        # What comes back to where it began, padded and then cropped, is there, although rounding may say otherwise.
        home = self.homes.get(before.id, before)
        self.homes.setdefault(made.id, home)
        return next((each for each in (before, home) if difference(each, made) is None), made)

    def decisive(self, argument: Formula) -> object:
        """What of an argument may decide on a grid: its space, its number, its numbers; None when that is not known."""
        if argument.type.element is not None:
            listed = argument.operator is not None and argument.operator.name == "items"
            return tuple([self.decisive(each) for each in argument.arguments]) if listed else None
        if argument.space is not None:
            return argument.space if argument.space.hole is None else None
        return self.scalar(argument)

    def read(self, step: Read, here: _Frame) -> Slot:
        """A field of a record."""
        record = here.slots[step.record]
        if not isinstance(record, Formula):
            return record
        return self.field(record, step.name, step.kind, here.origin(step.span))

    def dataset(self, step: Dataset, origin: Origin | None) -> Slot:
        """The records of a data set; files are bound when their record is made."""
        assert self.files is not None, "nobody looks for cases"
        found, names = self.files.find(step.patterns, step.span), tuple(step.kind.fields or ())

        def make(number: int) -> Process:
            parts: list[Formula] = []
            for name in names:
                given = found[number](name)
                if isinstance(given, Refusal):
                    return done(Absent(given.message, given.help, origin))
                made = self.table.leaf(given, origin) if isinstance(given, Leaf) else self.table.constant(given, origin)
                parts.append(made)
            return done(self.applied(fields(step.kind), tuple(parts), None, origin))

        return Elements(len(found), make)

    def listing(self, step: Listing, here: _Frame) -> Slot:
        """The names of what lies in a directory: constants, so that the ids of what is made of them follow them."""
        assert self.files is not None, "nobody looks into directories"
        given, origin = [here.slots[n] for n in step.arguments], here.origin(step.span)
        known = [self.scalar(slot) if isinstance(slot, Formula) else None for slot in given]
        if None in known:
            unknown = given[known.index(None)]
            message = "which directory `dir` looks into depends on an image here"
            return Absent(message, "", origin) if isinstance(unknown, Formula) else unknown
        root, pattern, recursive, full_paths = known
        try:
            found = self.files.listed(str(root), str(pattern), bool(recursive), bool(full_paths))
        except Refusal as refusal:
            return Absent(refusal.message, refusal.help, origin)
        return listed([self.table.constant(name, origin) for name in found], None)

    def atom(self, step: Step) -> Formula:
        """The formula of a step that reads no slot."""
        match step:
            case Setting(name, default, span):
                if name not in self.parameters and isinstance(default, str):
                    default = self.replace(default)
                return self.table.constant(self.parameters.get(name, default), Origin(span))
            case Text(template, span):
                return self.table.constant(self.replace(template), Origin(span))
            case Input(number, span):
                return self.table.leaf(self.leaves[number], Origin(span))
        raise TypeError(f"{step} reads slots")

    # Sequences

    def loop(self, step: Step, here: _Frame) -> Process:
        """The work of a step that makes a sequence or reads one: at once if it is known how long that is."""
        made = yield self.at_once(step, here)
        return (yield self.postponed(step, here)) if made is UNDECIDED else made

    def at_once(self, step: Step, here: _Frame) -> Process:
        slots = here.slots
        match step:
            case Outer(slot):
                assert here.outer is not None
                return here.outer[slot]
            case Items(numbers, space):
                return listed([slots[n] for n in numbers], self.space(space, here))
            case Range(start, stop, span):
                made = self.range(slots[start], slots[stop], here.origin(span))
                return self.seen(made, step, here)
            case Together(code, numbers, many, variable, span, symbol):
                sources = [slots[n] for n in numbers]
                for source, is_sequence in zip(sources, many, strict=True):
                    if is_sequence and not isinstance(source, Elements):
                        return UNDECIDED if isinstance(source, Formula) else source
                around = self.space(variable, here)
                made = self.together(sources, self.turn(code, around, here), around, symbol, here.origin(span))
                return self.seen(made, step, here)
            case Parts(slot, count, span):
                return self.components(slots[slot], count, here.origin(span))
        source = slots[step.source]  # type: ignore[union-attr]
        if not isinstance(source, Elements):
            return UNDECIDED if isinstance(source, Formula) else source
        match step:
            case Each(body, _, variable):
                around = self.space(variable, here)
                return self.seen(self.each(source, self.turn(body, around, here), around), step, here)
            case Sift(body, _, span):
                return (yield self.sift(source, self.turn(body, None, here), here.origin(span)))
            case Cut(_, _, start, stop, clamped, span):
                bounds = [slots[n] if n >= 0 else None for n in (start, stop)]
                return self.seen(self.cut(source, bounds, clamped, here.origin(span)), step, here)
            case Pick(_, _, number, span):
                return (yield self.pick(source, slots[number], here.origin(span)))
            case Folding(first, rest, initial, _, variable, symbol, span):
                around = self.space(variable, here)
                begin = slots[initial] if initial >= 0 else None
                turns = self.turn(first, around, here), self.turn(rest, around, here)
                return (yield self.fold(source, begin, *turns, symbol, here.origin(span)))
            case Summary(_, word, _, more, span):
                return (yield self.summary(word, source, [slots[n] for n in more], here.origin(span)))
            case Gathered(_, span):
                return (yield self.whole_sequence(source, here.origin(span)))
        raise TypeError(f"{step} is no step")

    def whole_sequence(self, source: Elements, origin: Origin | None) -> Process:
        """A sequence as the one value that an operator takes."""
        if source.length > MOST:
            return too_many("an operator", source, origin)
        found = yield from drawn(
            source, lambda each: self.whole_sequence(each, origin) if isinstance(each, Elements) else done(each)
        )
        return self.items(found, source.space) if isinstance(found, list) else found

    def turn(self, code: Code, space: Space | None, around: _Frame) -> Turn:
        """A loop's body, given the values of its holes."""
        return lambda holes: self.run(code, _Frame(code, holes, space, around.caller, around.slots))

    def seen(self, made: Slot, step: Step, here: _Frame) -> Slot:
        """What was made by a step, which knows how it would be said of a late sequence."""
        if isinstance(made, Elements):
            made.late = lambda: self.postponed(step, here)
        return made

    # What is known only later

    def postponed(self, step: Step, here: _Frame) -> Process:
        """A formula for what a step makes, when it is not known how long its sequences are."""
        slots, origin = here.slots, here.origin(step.span)  # type: ignore[union-attr]
        match step:
            case Range(start, stop):
                return (yield self.later(RANGE, [slots[start], slots[stop]], sequence(NUMBER), origin))
            case Together():
                return (yield self.together_later(step, here))
            case Folding():
                return (yield self.fold_later(step, here))
            case Each(body, source, variable):
                shape = yield self.shape(slots[source], sequence(body.kinds[0]))
                return (yield self.each_later(EACH, body, shape, self.space(variable, here), here, origin))
            case Sift(body, source):
                shape = yield self.shape(slots[source], sequence(body.kinds[0]))
                return (yield self.each_later(SIFT, body, shape, None, here, origin))
            case Cut(kind, source, start, stop, clamped):
                shape = yield self.shape(slots[source], sequence(kind))
                bounds = [slots[n] for n in (start, stop) if n >= 0]
                how = (start >= 0, stop >= 0, clamped)
                return (yield self.later(CUT, [shape, *bounds], sequence(kind), origin, parameters=how))
            case Pick(kind, source, number):
                shape = yield self.shape(slots[source], sequence(kind))
                return (yield self.later(PICK, [shape, slots[number]], kind, origin))
            case Summary(kind, word, source, more):
                shape = yield self.shape(slots[source], sequence(kind))
                return (yield self.later(word, [shape, *[slots[n] for n in more]], kind, origin))
            case Gathered(source):
                shape = slots[source]
                assert isinstance(shape, Formula)
                return (yield Unfolding(self.table).gathered(shape))
        raise TypeError(f"{step} makes no sequence")

    def together_later(self, step: Together, here: _Frame) -> Process:
        shapes, given, holes = list[Slot](), list[Slot](), list[Hole]()
        for number, kind, many in zip(step.sources, step.body.kinds, step.many, strict=True):
            slot = here.slots[number]
            if many:
                slot = yield self.shape(slot, sequence(kind))
                shapes.append(slot)
                holes.append(self.hole(kind, slot))
            given.append(holes[-1] if many else slot)
        space = self.space(step.space, here)
        body = yield self.body(step.body, given, space, here)
        return self.closed(TOGETHER, shapes, [(body, holes)], None, here.origin(step.span), step.symbol)

    def each_later(
        self, name: str, code: Code, shape: Slot, space: Space | None, here: _Frame, origin: Origin | None
    ) -> Process:
        hole = self.hole(code.kinds[0], shape)
        body = yield self.body(code, [hole], space, here)
        return self.closed(name, [shape], [(body, [hole])], None, origin)

    def fold_later(self, step: Folding, here: _Frame) -> Process:
        space, kind = self.space(step.space, here), step.rest.kind
        shape = yield self.shape(here.slots[step.source], sequence(step.first.kinds[1]))
        given = [shape]
        if step.initial >= 0:
            given.append((yield self.shape(here.slots[step.initial], step.first.kinds[0])))
        bodies = []
        for code, made in ((step.first, given[-1]), (step.rest, None)):
            holes = [self.hole(code.kinds[0], made, space), self.hole(code.kinds[1], shape)]
            bodies.append(((yield self.body(code, list(holes), space, here)), holes))
        question = self.closed(FOLD, given, bodies, kind, here.origin(step.span), step.symbol)
        return (yield Unfolding(self.table).asked(question)) if isinstance(question, Late) else question

    def later(
        self, name: str, given: Sequence[Slot], kind: Type, origin: Origin | None, parameters: tuple[Plain, ...] = ()
    ) -> Process:
        """A shape or a question over slots."""
        parts = [self.formula(slot, NUMBER) for slot in given]
        whole = tuple([part for part in parts if part is not None])
        if len(whole) < len(parts):
            return None
        space = whole[0].space if kind.spatial else None
        made = late(self.table, name, whole, kind, space, origin, parameters=parameters)
        return (yield Unfolding(self.table).asked(made)) if name in QUESTIONS else made

    def closed(
        self,
        name: str,
        given: Sequence[Slot],
        bodies: Sequence[tuple[Slot, Sequence[Hole]]],
        kind: Type | None,
        origin: Origin | None,
        word: str = "",
    ) -> Late | None:
        """A shape or a question over slots, with bodies and their holes."""
        whole = [slot for slot in given if isinstance(slot, Formula)]
        inside = [(body, holes) for body, holes in bodies if isinstance(body, Formula)]
        if len(whole) < len(given) or len(inside) < len(bodies):
            return None
        made, bound = close(self.table, inside)
        source, last = whole[0], made[-1]
        if kind is None:
            kind = source.type if name == SIFT else sequence(last.type)
        space = source.space if name == SIFT else last.space
        if space is not None and space.hole is not None and space.hole in bound:
            space = None  # each element has its own
        parts = (*whole, *made)
        return late(self.table, name, parts, kind, space, origin, bodies=len(made), bound=bound, word=word)

    def hole(self, kind: Type, like: Slot, space: Space | None = None) -> Hole:
        """A hole for values of a type, on the grid of what such a value, or a sequence of them, is."""
        self.holes -= 1  # until the body is closed
        return hole(self.holes, kind, like.space if isinstance(like, Formula) else space)

    def body(self, code: Code, given: list[Slot], space: Space | None, here: _Frame) -> Process:
        """A loop's body as a formula, over holes."""
        assert code.kind is not None
        made: Slot = Absent("there is no element here", "", here.caller)
        if not any(kind.innermost is NOTHING for kind in code.kinds):
            made = yield self.turn(code, space, here)(given)
        made = yield self.shape(made, code.kind, space)
        return self.settled(made) if isinstance(made, Formula) else made

    def shape(self, slot: Slot, kind: Type, space: Space | None = None) -> Process:
        """What a slot holds as a formula of a type: of a sequence its shape, of what cannot be had one that fails."""
        if not isinstance(slot, Elements):
            return self.formula(slot, kind, space)
        if slot.late is not None:
            return (yield slot.late())
        if slot.length > MOST:
            return self.formula(too_many("a loop", slot, None), kind, space)
        assert kind.element is not None
        element, space = kind.element, slot.space
        found = yield from drawn(slot, lambda each: self.shape(each, element, space))
        return self.items(found, space, element) if isinstance(found, list) else found

    def formula(self, slot: Slot, kind: Type, space: Space | None = None) -> Formula | None:
        if slot is None:
            return None
        return Unfolding(self.table).formula(slot, kind, space)

    def gathered(self, slot: Slot) -> Process:
        """A formula whose value can be computed, for what a slot holds."""
        if isinstance(slot, Formula):
            return (yield Unfolding(self.table).gathered(slot))
        if not isinstance(slot, Elements):
            return self.formula(slot, NUMBER)
        if slot.length > MOST:
            return self.formula(too_many("print", slot, None), NUMBER)
        found = yield from drawn(slot, lambda each: done(each) if isinstance(each, Absent) else self.gathered(each))
        return self.items(found, slot.space) if isinstance(found, list) else self.formula(found, NUMBER)


_ATOMS = (Text, Setting, Input)


def _in_order(code: Code, slots: list[Slot]) -> Callable[[Slot], None]:
    """Puts what comes of steps, in the order of their being carried out, into their slots."""
    slots += [None] * len(code.steps)
    numbers = iter(code.order)

    def put(value: Slot) -> None:
        slots[code.holes + next(numbers)] = value

    return put


def _first_absent(slots: Sequence[object]) -> Absent | None:
    """What takes the place of something that needs all of these, of which one at least cannot be had."""
    return next((slot for slot in slots if isinstance(slot, Absent)), None)
