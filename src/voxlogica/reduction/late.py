"""Sequences whose length follows from an image: formulas for them, and the tasks that wait for what must be known.

A loop's body is a formula with a hole. A late sequence is a *shape*: formulas of the operators `range`, `for`, `filter`
and their like, over such bodies; nobody computes a shape. What a program asks of one (an element, a fold, the list of
all) is a task: its arguments are the numbers and truth values that must be known next, and it returns the formula that
it is then, the one that had been written by hand, or the same question about a shape of which more is known. So an
element that nobody asks for is never made, and what an element computes is a task of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence, Set
from functools import cache, partial
from types import MappingProxyType

from voxlogica.formula import Builder, Formula, Formulas, Hole, Late, Operator, Origin, Type
from voxlogica.identity import Id, Plain
from voxlogica.operators.sequences import SUMMARIES, refuse
from voxlogica.operators.stacks import is_quantile
from voxlogica.reduction.elements import UNDECIDED, Absent, Elements, Process, Slot, drawn, listed, run
from voxlogica.reduction.loops import MOST, Loops, Scalar, Turn, apart, refused, space_of_field, too_many, unknown
from voxlogica.values import Space

RANGE, EACH, TOGETHER, SIFT, CUT = "range", "for", "for together", "filter", "slice"
"""Shapes."""
PICK, FOLD, LIST, WITH = "index", "fold", "list", "let"
"""What is asked of them, besides summaries. `let` is what a body is of values whose grids are known only then."""
QUESTIONS = frozenset({PICK, FOLD, LIST, WITH, *SUMMARIES})


def hole(number: int, kind: Type, space: Space | None) -> Hole:
    """A hole for values of a type, on a grid if it has voxels and they all share one."""
    return Hole(number, kind, (space or unknown(number)) if kind.spatial else None)


@cache
def _operator(name: str, result: Type) -> Operator:
    return Operator(
        name=f"sequence.{name}", symbol=name, version=1, parameters=(), result=result, body=_resume,
        doc="A sequence that is not known yet.", cost="", hidden=True, dynamic=True, replayed=True,
    )  # fmt: skip


def _resume(builder: Builder, *values: Scalar) -> Formula:
    """The formula that a task is, now that its arguments have these values."""
    task = builder.task
    assert isinstance(task, Late)
    known = {argument.id: value for argument, value in zip(task.arguments, values, strict=True)}
    made = run(Unfolding(builder.table, known).resumed(task))
    assert isinstance(made, Formula)
    return made


def late(
    table: Formulas,
    name: str,
    parts: tuple[Formula, ...],
    result: Type,
    space: Space | None,
    origin: Origin | None,
    *,
    parameters: tuple[Plain, ...] = (),
    bodies: int = 0,
    bound: range = range(0),
    word: str = "",
) -> Late:
    """A formula of late sequences; the last `bodies` parts have the holes `bound`."""
    made = Late(
        _operator(name, result), parts, parameters, (), space, origin, bodies=bodies, bound=bound, word=word or name
    )
    return table.interned(made)


def close(table: Formulas, bodies: Sequence[tuple[Formula, Sequence[Hole]]]) -> tuple[tuple[Formula, ...], range]:
    """Bodies with their holes, as many each, numbered as `Late` says; and the numbers."""
    inside = [formula for body, holes in bodies for formula in over(body, {hole.number for hole in holes})]
    around = [number + 1 for body, _ in bodies for number in body.free]  # of loops whose holes have numbers already
    start = max([0, *around, *[formula.bound.stop for formula in inside if isinstance(formula, Late)]])
    bound = range(start, start + len(bodies[0][1]))
    unfolding, found = Unfolding(table), []
    for body, holes in bodies:
        numbered = {old.number: renumbered(old, n) for old, n in zip(holes, bound, strict=True)}
        found.append(_formula(run(unfolding.rebuilt(body, numbered, asked=False))))
    return tuple(found), bound


def renumbered(old: Hole, number: int) -> Hole:
    """The same hole with another number."""
    return hole(number, old.type, None if old.space is unknown(old.number) else old.space)


def _formula(slot: Slot) -> Formula:
    assert isinstance(slot, Formula)
    return slot


def over(body: Formula, numbers: Set[int]) -> list[Formula]:
    """The formulas at and below a body that have holes of these numbers below, arguments before what uses them."""
    order: dict[Formula, None] = {}
    stack = [body]
    while stack:
        here = stack[-1]
        if here in order or not _has(here, numbers):
            stack.pop()
        elif missing := [p for p in _visible(here, numbers) if p not in order and _has(p, numbers)]:
            stack += missing
        else:
            order[here] = None
    return list(order)


def _has(formula: Formula, numbers: Set[int]) -> bool:
    return not isinstance(formula, Hole) and not numbers.isdisjoint(formula.free)


def _visible(formula: Formula, numbers: Set[int]) -> tuple[Formula, ...]:
    """The parts in which holes of these numbers are those from around: not bodies that have their own."""
    if isinstance(formula, Late) and not numbers.isdisjoint(formula.bound):
        return formula.parts[: len(formula.parts) - formula.bodies]
    return formula.parts


class Settling(Loops):
    """What makes formulas in which holes stand for values whose grids are not known, and the questions these become.

    A value that an image decides on, a case of a data set or an image among several, may lie on any grid. Wherever it
    is used a hole stands for it, as for the element of a loop. A number that is made of it, a loop's body and a goal
    have no such hole any more: they are `let value in body`, which is a task as any question is.
    """

    def settled(self, formula: Formula) -> Formula:
        stands = self.table.stands
        while numbers := _standing(formula, stands):
            holes, values = zip(*[stands[number] for number in numbers], strict=True)
            (body,), bound = close(self.table, [(formula, holes)])
            space = formula.space if formula.space is not None and formula.space.hole is None else None
            made = late(
                self.table, WITH, (*values, body), formula.type, space, formula.origin, bodies=1, bound=bound
            )  # fmt: skip
            formula = _formula(run(Unfolding(self.table).asked(made)))
        return formula


def _standing(formula: Formula, stands: Collection[int]) -> list[int]:
    """The numbers of the holes below a formula that stand for others, in the order in which they are met."""
    numbers = frozenset([number for number in formula.free if number in stands])
    found: dict[int, None] = {}
    for here in over(formula, numbers) if numbers else ():
        found |= dict.fromkeys([part.number for part in here.parts if isinstance(part, Hole)])
        found |= {here.space.hole: None} if here.space is not None and here.space.hole is not None else {}
    return [number for number in found if number in numbers]


class Unfolding(Settling):
    """Late sequences looked at with what is known: `waits` collects the numbers and truth values that are lacking."""

    def __init__(self, table: Formulas, known: Mapping[Id, Scalar] = MappingProxyType({})) -> None:
        super().__init__(table)
        self.known = known
        self.waits: dict[Id, Formula] = {}
        self._sequences: dict[Id, Slot] = {}
        self._over: dict[tuple[Formula, frozenset[int]], list[Formula]] = {}

    def scalar(self, formula: Formula) -> Scalar | None:
        value = self.known.get(formula.id)
        if value is None:
            value = super().scalar(formula)
            if value is None:
                self.waits[formula.id] = formula
        return value

    # Shapes

    def sequence(self, formula: Formula) -> Process:
        """The elements of a shape; `UNDECIDED` if they cannot be told yet."""
        if formula.id not in self._sequences:
            made = yield self._sequence(formula)
            if made is UNDECIDED:
                return made
            self._sequences[formula.id] = made
        return self._sequences[formula.id]

    def _sequence(self, formula: Formula) -> Process:
        operator, origin = formula.operator, formula.origin
        if operator is None:
            return UNDECIDED  # a hole
        if not isinstance(formula, Late):
            if (why := refused(formula)) is not None:
                return why
            if operator.count:
                return self.components(formula, operator.count, origin)
            assert operator.name == "items", f"{formula} is no sequence that can be looked into"
            return listed(formula.arguments, formula.space)
        parts = formula.parts
        match operator.symbol:
            case "range":
                return self.range(parts[0], parts[1], origin)
            case "index" | "fold" | "let":
                made = yield self.value(formula)
                return (yield self.sequence(made)) if isinstance(made, Formula) else made
            case "for together":
                return (yield self._together(formula))
        source = yield self.sequence(parts[0])
        if operator.symbol == "slice":
            return self._cut(formula, source)
        if not isinstance(source, Elements):
            return source
        match operator.symbol:
            case "for":
                return self.each(source, self.turn(formula), formula.space)
            case "filter":
                return (yield self.sift(source, self.turn(formula), origin))
        return source  # the list of all

    def _together(self, formula: Late) -> Process:
        sources = []
        for part in formula.parts[:-1]:
            sources.append((yield self.sequence(part)))
        for source in sources:
            if not isinstance(source, Elements):
                return source
        return self.together(sources, self.turn(formula), formula.space, formula.word, formula.origin)

    def _cut(self, formula: Late, source: Slot) -> Slot:
        has_start, has_stop, clamped = formula.parameters
        bounds = list(formula.parts[1:])
        start, stop = bounds[0] if has_start else None, bounds[-1] if has_stop else None
        if isinstance(source, Elements):
            return self.cut(source, (start, stop), bool(clamped), formula.origin)
        for bound in bounds:
            self.whole(bound, "a bound", formula.origin)
        return source

    # What is asked of them

    def value(self, formula: Late) -> Process:
        """The formula that a question is; `UNDECIDED` if that cannot be told yet."""
        assert formula.operator is not None
        origin, parts = formula.origin, formula.parts
        if formula.arguments and self.known.keys().isdisjoint([each.id for each in formula.arguments]):
            self.waits.update({each.id: each for each in formula.arguments})  # asked before, and no more is known
            return UNDECIDED
        if formula.operator.symbol == WITH:
            return (yield self._let(formula))
        source = yield self.sequence(parts[0])
        if formula.operator.symbol == PICK:
            if not isinstance(source, Elements):
                self.whole(parts[1], "an index", origin)
                return source
            return (yield self.pick(source, parts[1], origin))
        if not isinstance(source, Elements):
            return source
        match formula.operator.symbol:
            case "fold":
                first, rest = self.turn(formula, 0), self.turn(formula, 1)
                begin = parts[1] if len(parts) == 4 else None
                return (yield self.fold(source, begin, first, rest, formula.word, origin))
            case "list":
                return (yield self._listed(formula, source))
        return (yield self.summary(formula.operator.symbol, source, parts[1:], origin))

    def _let(self, formula: Late) -> Process:
        """The body of a `let`, when its values are known so far that they have a grid."""
        found: list[Slot] = []
        for value in formula.parts[:-1]:
            made: Slot = value
            while isinstance(made, Late) and made.space is None:
                made = yield self.value(made)
            if made is UNDECIDED:
                return made
            found.append(self.formula(made, value.type, None))  # perhaps nobody needs what cannot be had
        return (yield self.turn(formula)(found))

    def _listed(self, formula: Late, source: Elements) -> Process:
        if source.length > MOST:
            return too_many("print", source, formula.origin)
        found = yield from drawn(source, lambda each: self.gathered(_formula(each)))
        assert isinstance(found, list)
        return self.items(found, formula.space, formula.type.element, formula.origin)

    def gathered(self, formula: Formula) -> Process:
        """A formula whose value can be computed: of a shape the list of its elements."""
        if formula.type.element is None:
            return self.settled(formula)
        made = late(self.table, LIST, (formula,), formula.type, formula.space, formula.origin)
        return (yield self.asked(made))

    def asked(self, question: Late) -> Process:
        """The formula for a question: what it is if that is certain, else the task that finds out.

        Nothing that this unfolding knows is used, so that it is the formula that had been written by hand.
        """
        inside = Unfolding(self.table)
        made = yield inside.value(question)
        if made is UNDECIDED:
            question.arguments = tuple(inside.waits.values())
            made = question
        answer = self.formula(made, question.type, question.space)
        return answer if answer.type.spatial else self.settled(answer)

    def formula(self, made: Slot, kind: Type, space: Space | None) -> Formula:
        """What was made, as a formula: one that fails, with its reason, for what cannot be had."""
        if isinstance(made, Absent):
            reason = (self.table.constant(made.message), self.table.constant(made.help))
            return self.table.apply(refuse(kind), reason, space if kind.spatial else None, made.origin)
        assert isinstance(made, Formula)
        return made

    # Tasks

    def resumed(self, task: Late) -> Process:
        """What a task returns."""
        made = yield self.value(task)
        if made is UNDECIDED:
            return (yield self._known_better(task))
        answer = self.formula(made, task.type, task.space)
        why, here, there = refused(answer), task.space, answer.space
        if why is None and here is not None and there is not None and here.id != there.id:
            why = apart(task.word, (here, there), task.origin)
        if why is not None:
            answer = self.formula(why, task.type, here)
        return (yield self.gathered(answer))

    def _known_better(self, task: Late) -> Process:
        """The same question about a shape in which what is known is said."""
        made: dict[Formula, Formula] = {}
        stack: list[Formula] = [task]
        while stack:
            here = stack[-1]
            if here in made:
                stack.pop()
            elif not isinstance(here, Late) or here.id in self.known:
                known = self.known.get(here.id)
                made[here] = here if known is None else self.table.constant(known, here.origin)
            elif missing := [part for part in _spine(here) if part not in made]:
                stack += missing
            else:
                made[here] = _formula((yield self._said(here, made)))
        return made[task]

    def _said(self, formula: Late, made: Mapping[Formula, Formula]) -> Process:
        if formula.operator is _operator(SIFT, formula.type):
            found = yield self.sequence(formula)
            if isinstance(found, Elements):
                elements = yield from drawn(found)
                assert isinstance(elements, list)
                return self.items(elements, formula.space, formula.type.element, formula.origin)
        spine = _spine(formula)
        parts = (*[made[part] for part in spine], *formula.parts[len(spine) :])
        return (yield self._again(formula, parts, True, formula.space))

    # Bodies

    def turn(self, formula: Late, number: int = 0) -> Turn:
        """One of the bodies of a formula, given its holes."""
        body = formula.parts[len(formula.parts) - formula.bodies + number]

        def turn(given: list[Slot]) -> Process:
            return self.rebuilt(body, dict(zip(formula.bound, map(_formula, given), strict=True)))

        return turn

    def rebuilt(self, body: Formula, given: Mapping[int, Formula], asked: bool = True) -> Process:
        """The body with these formulas for its holes; questions that are certain then are answered, if `asked`."""
        numbers = frozenset(given)
        inside = self._over.get((body, numbers))
        if inside is None:
            inside = self._over[body, numbers] = over(body, numbers)
        made: dict[Formula, Formula] = {}
        given = {number: self.standing(each) for number, each in given.items()}
        grid = partial(_grid, given)

        def now(part: Formula) -> Formula:
            return given[part.number] if isinstance(part, Hole) and part.number in given else made.get(part, part)

        for here in inside:
            if isinstance(here, Late):
                visible = _visible(here, numbers)
                parts = (*map(now, visible), *here.parts[len(visible) :])
                made[here] = _formula((yield self._again(here, parts, asked, grid(here.space))))
            else:
                arguments = tuple([now(argument) for argument in here.arguments])
                assert here.operator is not None
                placed = any(argument.space is not None for argument in arguments) and not here.operator.elsewhere
                space = None if placed else grid(here.space)
                if space is None and not placed and here.space is not None:
                    why = refused(given[here.space.hole or 0])
                    made[here] = self.formula(why, here.type, None)
                else:
                    made[here] = self._applied(here, arguments, space)
        return now(body)

    def _applied(self, formula: Formula, arguments: tuple[Formula, ...], space: Space | None) -> Formula:
        """An ordinary formula with other arguments."""
        operator, origin = formula.operator, formula.origin
        assert operator is not None
        if operator.name == "field":
            made = self.field(arguments[0], str(arguments[1].value), operator.parameters[0][1], origin)
        elif is_quantile(operator):
            made = self.stacked(operator.symbol, arguments, origin)
        else:
            made = self.applied(operator, arguments, space, origin)
        return self.formula(made, formula.type, None)

    def _again(self, formula: Late, parts: tuple[Formula, ...], asked: bool, space: Space | None) -> Process:
        """The formula with other parts, on a grid."""
        assert formula.operator is not None
        name = formula.operator.symbol
        made = late(
            self.table, name, parts, formula.type, space, formula.origin,
            parameters=formula.parameters, bodies=formula.bodies, bound=formula.bound, word=formula.word,
        )  # fmt: skip
        return (yield self.asked(made)) if asked and name in QUESTIONS else made


def _grid(given: Mapping[int, Formula], space: Space | None) -> Space | None:
    """The space that stands in a body for that of something in a hole's place, now that the holes are given."""
    found = given.get(space.hole) if space is not None and space.hole is not None else None
    if space is None or found is None:
        return space
    field = str(space.native[2])
    return space_of_field(found, field) if field else found.space


def _spine(formula: Late) -> tuple[Formula, ...]:
    """The shapes and numbers on which it depends which elements there are."""
    assert formula.operator is not None
    if formula.operator.symbol == FOLD or formula.operator.symbol in SUMMARIES:
        return formula.parts[:1]
    return formula.parts[: len(formula.parts) - formula.bodies]
