"""Lists, loops, indices and folds to code.

The body of a loop is checked as that of a function is, for the type of the sequence's elements; what stands around it
it sees without being told. All elements of a sequence have one type. They lie on one grid, as far as is seen here: what
`dataset` finds has a grid of its own in each turn of a loop, and mixing them is found when formulas are made.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, TypeAlias

from voxlogica._dataclass import dataclass, replace
from voxlogica.check import messages
from voxlogica.check.bodies import BAD, Body, Checking, Local, Request, instance, join_grids, type_of
from voxlogica.check.forms import DIR
from voxlogica.check.names import Form, Instance, Kind, Operand, Overloaded, Problem, Unknown, fits, known
from voxlogica.check.spaces import Place
from voxlogica.check.strings import without_names
from voxlogica.errors import ProgramError, Span
from voxlogica.formula import BOOL, IMAGE, LABELS, MODEL, NOTHING, NUMBER, STRING, Type, record, sequence
from voxlogica.images.patterns import Pattern, named
from voxlogica.reduction import Code
from voxlogica.reduction.code import (
    Constant,
    Cut,
    Dataset,
    Each,
    Folding,
    Items,
    Listing,
    Pick,
    Range,
    Sift,
    Summary,
    Together,
)  # fmt: skip
from voxlogica.syntax.ast import Binder, Call, Expression, Field, Fold, Index, List, Name, Number, Slice, String

if TYPE_CHECKING:
    from voxlogica.check.expressions import Expressions

_FIRST, _SECOND = " 0", " 1"  # names that no program can write, for what is applied without being written out
_BEGINNINGS: dict[tuple[str, Type], float | bool] = {
    ("+", NUMBER): 0.0, ("-", NUMBER): 0.0, ("*", NUMBER): 1.0, ("&&", BOOL): True, ("||", BOOL): False,
}  # fmt: skip


# Loops


@dataclass(frozen=True)
class _Turn:
    """What is done in each turn of a loop: its code, the type of what it makes, and that one's grid."""

    made: Instance
    kind: Kind | None
    grid: int

    @property
    def type(self) -> Type | None:
        kind = known(self.kind)
        return kind if isinstance(kind, Type) else None

    def operand(self, body: Body, slot: int, kind: Kind | None) -> Operand:
        """What all turns together make, in a slot."""
        return Operand(slot, kind, body.on_own_grid(slot) if self.made.grids.own else self.grid)


_Turning: TypeAlias = "Generator[Request | Checking, Instance | Operand | None, _Turn]"


def _turn(
    checker: Expressions, body: Body, holes: dict[str, Operand], inner: Expression, binder: Binder | None = None
) -> _Turning:
    """Checks what is done with each element: an expression over holes, whose operands are known outside."""
    general = body.general or any(type_of(hole) is None for hole in holes.values())
    code = Code(body.code.name, holes=len(holes), bundled=body.code.bundled)
    inside = Body(code, body.moment, {}, general, around=body)
    given = list(holes.values())
    for slot, (name, hole) in enumerate(holes.items()):
        inside.outward[inside.spaces.new(port=True)] = slot
        operand = Operand(slot, hole.kind, slot)
        if binder is None:
            inside.give(name, operand)
        else:
            inside.bind(name, Local(operand, binder.name.span, binder.word))
    result = yield checker.expression(inside, inner)
    inside.leave()
    assert isinstance(result, Operand)
    made = instance(tuple([hole.kind or Unknown() for hole in given]), inside, result)
    body.problems += inside.problems
    body.uses |= inside.uses

    def variable(port: int) -> int:
        if port < 0:
            return -1 - port if body.main else body.port(-1 - port)
        return inside.around_grids[port] if port in inside.around_grids else given[port].grid

    grid = join_grids(body, made.grids, variable, lambda place: place, lambda free: free)
    turn = _Turn(made, result.kind, grid)
    code.kinds = tuple([kind for hole in given if (kind := type_of(hole)) is not None])
    code.kind = turn.type
    return turn


def loop(checker: Expressions, body: Body, node: Binder, source: Operand) -> Checking:
    """`for` and `filter`."""
    word = Span(node.span.source, node.span.start, node.span.start + len(node.word))
    element = _element(checker, body, node.value, source, word, f"`{node.word}` goes through a sequence")
    turn = yield from _turn(checker, body, {node.name.name: element}, node.body, node)
    if node.word == "for":
        return _each(body, element, turn, node.span)
    if turn.kind is not None and not fits(BOOL, turn.kind):
        checker.report(body, messages.no_condition(node, turn.kind), word)
        return BAD
    if element.slot < 0 or turn.made.code.result < 0:
        return Operand(-1, source.kind if element.kind is not None else None)
    if turn.type is None or body.general:
        return Operand(0, source.kind)
    return Operand(body.emit(Sift(turn.made.code, source.slot, node.span)), source.kind, source.grid)


def _each(body: Body, element: Operand, turn: _Turn, span: Span) -> Operand:
    """The sequence of what the turns of a loop make of each element of one."""
    kind = sequence(turn.type) if turn.type is not None else Unknown() if turn.kind is not None else None
    if element.slot < 0 or turn.made.code.result < 0:
        return Operand(-1, kind)
    if turn.type is None or body.general:
        return Operand(0, kind)
    return turn.operand(body, body.emit(Each(turn.made.code, element.slot, turn.grid, span)), kind)


def _map(checker: Expressions, body: Body, node: Call, source: Operand) -> Checking:
    """`map(f, xs)`."""
    function, values = node.arguments
    element = _element(checker, body, values, source, node.name_span, "`map` goes through a sequence")
    name = function.name if isinstance(function, Name) else None
    if isinstance(function, Field) and isinstance(function.record, Name):
        name = f"{function.record.name}.{function.name}"
    if name is None:
        checker.report(body, messages.no_function(node.name_span, function), node.name_span)
        return BAD
    applied = Call(name, (Name(_FIRST, values.span),), "call", function.span, node.span)
    return _each(body, element, (yield from _turn(checker, body, {_FIRST: element}, applied)), node.span)


def together(checker: Expressions, body: Body, node: Call, given: list[Operand]) -> Checking:
    """An operator between sequences, or a sequence and what is the same for all its elements."""
    holes = {f" {n}": _part(operand) for n, operand in enumerate(given)}
    names = tuple([Name(f" {n}", argument.span) for n, argument in enumerate(node.arguments)])
    turn = yield from _turn(checker, body, holes, Call(node.name, names, node.form, node.name_span, node.span))
    made = sequence(turn.type) if turn.type is not None else None
    if turn.made.code.result < 0 or made is None:
        return Operand(-1, made)
    slots = tuple([operand.slot for operand in given])
    many = tuple([(kind := type_of(operand)) is not None and kind.element is not None for operand in given])
    slot = body.emit(Together(turn.made.code, slots, many, turn.grid, node.name_span, node.name))
    return turn.operand(body, slot, made)


def _part(operand: Operand) -> Operand:
    kind = type_of(operand)
    return operand._replace(kind=kind.element) if kind is not None and kind.element is not None else operand


def _element(
    checker: Expressions, body: Body, argument: Expression, source: Operand, word: Span, takes: str
) -> Operand:
    """An element of what should be a sequence, with its slot; says so when it is none."""
    kind = type_of(source)
    if kind is None:
        return Operand(source.slot, Unknown() if source.kind is not None else None, source.grid)
    if kind.element is None:
        _no_sequence(checker, body, argument, source, word, takes)
        return BAD
    return Operand(source.slot, kind.element, source.grid)


def _no_sequence(
    checker: Expressions, body: Body, argument: Expression, source: Operand, word: Span, takes: str
) -> None:
    marks, traces = checker.marks(body, argument, source.kind)
    problem = messages.no_sequence(word, argument, source.kind, takes, tuple(marks))
    body.problems.append(Problem(problem, Place(word), tuple(traces)))


# Folds


def fold(checker: Expressions, body: Body, node: Fold, given: list[Operand]) -> Checking:
    """`fold`: from the left, from a value to begin with, or from the first element."""
    source, symbol = given[-1], node.operator
    values = node.arguments[-1]
    element = _element(checker, body, values, source, node.name_span, "`fold` draws a sequence together")
    if element.kind is None or source.slot < 0:
        return BAD
    begun = given[0] if len(given) == 2 else _beginning(checker, body, node, element)
    if begun is not None and begun.slot < 0:
        return BAD
    start = begun or element
    form = "infix" if messages.is_symbol(symbol) else "call"
    operands = (Name(_FIRST, node.arguments[0].span), Name(_SECOND, values.span))
    applied = Call(symbol, operands, form, node.name_span, node.span)
    first = yield from _turn(checker, body, {_FIRST: start, _SECOND: element}, applied)
    if body.general or type_of(source) is None:
        return Operand(0, Unknown()) if first.kind is not None else BAD
    if first.type is None or first.made.code.result < 0:
        return Operand(-1, first.kind)
    rest = first
    if first.type is not type_of(start):
        again = start._replace(kind=first.type, grid=first.grid)
        rest = yield from _turn(checker, body, {_FIRST: again, _SECOND: element}, applied)
        if rest.type is None or not first.type.accepts(rest.type):
            if rest.type is not None:
                checker.report(body, messages.fold_changes(node, first.type, rest.type), node.name_span)
            return Operand(-1, first.type)
        if first.grid >= 0 and rest.grid >= 0:
            body.unite(first.grid, rest.grid, Place(node.name_span))
    begin = begun.slot if begun is not None else -1
    made = Folding(first.made.code, rest.made.code, begin, source.slot, first.grid, symbol, node.name_span)
    return first.operand(body, body.emit(made), first.type)


def _beginning(checker: Expressions, body: Body, node: Fold, element: Operand) -> Operand | None:
    """What a fold begins with when the program does not say: the symbol's neutral element, or None for the first."""
    kind = type_of(element)
    if kind is None or not isinstance(checker.meaning(body, node.operator), Overloaded):
        return None
    if node.operator == "/" and kind is NUMBER:
        checker.report(body, messages.no_beginning(node), node.name_span)
        return BAD
    if kind is NOTHING:  # the symbol alone decides of what `[]` is a sequence
        kind = next((each for symbol, each in _BEGINNINGS if symbol == node.operator), kind)
    value = _BEGINNINGS.get((node.operator, kind))
    return Operand(body.emit(Constant(value, node.name_span)), kind) if value is not None else None


# Lists and their parts


def items(checker: Expressions, body: Body, node: List, given: list[Operand]) -> Operand:
    """`[a, b, …]`."""
    if any(operand.slot < 0 for operand in given):
        return BAD
    kinds = [type_of(operand) for operand in given]
    if None in kinds:
        return Operand(0, Unknown())
    element = NOTHING
    for n, kind in enumerate(kinds):
        assert kind is not None
        if kind.accepts(element):
            element = kind
        elif not element.accepts(kind):
            checker.report(body, messages.mixed_list(node, n, element, kind), node.items[n].span)
            return BAD
    grids = [operand.grid for operand in given] if element.spatial else [-1]
    if not given:
        grids = [body.spaces.new()]  # what `[]` has elements of lies on any grid
    for grid in grids[1:]:
        body.unite(grids[0], grid, Place(node.span))
    slot = body.emit(Items(tuple([operand.slot for operand in given]), grids[0], node.span))
    return Operand(slot, sequence(element), grids[0])


def index(checker: Expressions, body: Body, node: Index, given: list[Operand]) -> Operand:
    """`xs[i]`."""
    bracket = Span(node.span.source, node.sequence.span.end, node.span.end)
    return _pick(checker, body, (node.sequence, node.index), bracket, given)


def cut(checker: Expressions, body: Body, node: Slice, given: list[Operand]) -> Operand:
    """`xs[start:stop]`."""
    bracket = Span(node.span.source, node.sequence.span.end, node.span.end)
    return _cut(checker, body, (node.sequence, node.start, node.stop), bracket, given, clamped=False)


def _pick(
    checker: Expressions, body: Body, arguments: Sequence[Expression], word: Span, given: Sequence[Operand]
) -> Operand:
    source, number = given
    element = _element(checker, body, arguments[0], source, word, "an index belongs to a sequence")
    right = _is_number(checker, body, arguments[1], number, word)
    if not right or element.kind is None or source.slot < 0 or number.slot < 0:
        return Operand(-1, element.kind)
    if body.general:
        return Operand(0, element.kind)
    kind = type_of(element)
    assert kind is not None
    slot = body.emit(Pick(kind, source.slot, number.slot, word))
    return Operand(slot, element.kind, body.on_own_grid(slot) if body.is_own(element.grid) else element.grid)


def _cut(
    checker: Expressions,
    body: Body,
    arguments: Sequence[Expression | None],
    word: Span,
    given: Sequence[Operand],
    clamped: bool,
) -> Operand:
    source, *numbers = given
    values, *bounds = arguments
    assert values is not None
    element = _element(checker, body, values, source, word, "a slice belongs to a sequence")
    waiting, slots, right = list(numbers), [], element.kind is not None
    for bound in bounds:
        number = waiting.pop(0) if bound is not None else Operand(-1, None)
        if bound is not None:
            right = _is_number(checker, body, bound, number, word) and right and number.slot >= 0
        slots.append(number.slot)
    if not right or source.slot < 0:
        return Operand(-1, source.kind if element.kind is not None else None)
    if body.general:
        return Operand(0, source.kind)
    kind = type_of(element)
    assert kind is not None
    return Operand(body.emit(Cut(kind, source.slot, slots[0], slots[1], clamped, word)), source.kind, source.grid)


def _is_number(
    checker: Expressions, body: Body, argument: Expression, operand: Operand, word: Span, whole: bool = True
) -> bool:
    """Whether an operand is a number, a whole one unless said, as far as can be seen; says so when it is not."""
    if operand.kind is not None and not fits(NUMBER, operand.kind):
        marks, traces = checker.marks(body, argument, operand.kind)
        problem = messages.no_number(argument, operand.kind, tuple(marks), whole)
        body.problems.append(Problem(problem, Place(word), tuple(traces)))
        return False
    if whole and isinstance(argument, Number) and not argument.value.is_integer():
        checker.report(body, messages.no_whole_number(argument), argument.span)
        return False
    return True


# Words


def form(checker: Expressions, body: Body, node: Call, meaning: Form, given: list[Operand]) -> Checking:
    """One of the words for sequences, applied."""
    arguments = node.arguments
    if len(arguments) not in {len(variant) for variant in meaning.variants}:
        checker.report(body, checker.wrong_arity(body, node, meaning, len(arguments)), node.name_span)
        return BAD
    word = node.name_span
    match meaning.symbol:
        case "map":
            return (yield from _map(checker, body, node, given[0]))
        case "index":
            return _pick(checker, body, arguments, word, given)
        case "slice":
            return _cut(checker, body, arguments, word, given, clamped=False)
        case "subsequence":
            bounds = arguments if len(arguments) == 3 else (arguments[0], None, arguments[1])
            return _cut(checker, body, bounds, word, given, clamped=True)
        case "range":
            return _range(checker, body, node, given)
        case "dataset":
            return _dataset(checker, body, node)
        case "dir":
            return _dir(checker, body, node, given)
    return _summary(checker, body, node, given)


def _summary(checker: Expressions, body: Body, node: Call, given: Sequence[Operand]) -> Operand:
    """A number from a sequence of numbers, but for `argmax` an image from images; `quantile` takes a share too."""
    word, (values, *rest), (source, *more) = node.name_span, node.arguments, given
    takes = f"`{node.name}` takes a sequence of numbers{'' if node.name == 'argmax' else ' or of number images'}"
    element = _element(checker, body, values, source, word, takes)
    right = [_is_number(checker, body, *each, word, whole=False) for each in zip(rest, more, strict=True)]
    seen = type_of(element)
    kind = IMAGE if node.name != "argmax" and seen in (IMAGE, LABELS) else NUMBER
    if element.kind is None or not all(right) or any(operand.slot < 0 for operand in given):
        return Operand(-1, kind)
    if seen is None and node.name != "argmax":
        return Operand(0, Unknown())
    if not fits(kind, element.kind):
        _no_sequence(checker, body, values, source, word, takes)
        return BAD
    slot = body.emit(Summary(kind, node.name, source.slot, tuple([operand.slot for operand in more]), word))
    if kind is NUMBER:
        return Operand(slot, kind)
    return Operand(slot, kind, body.on_own_grid(slot) if body.is_own(element.grid) else element.grid)


def _dataset(checker: Expressions, body: Body, node: Call) -> Operand:
    """`dataset("pattern", …)`: the fields are the parts of the patterns, and an image for each pattern."""
    kinds: dict[str, Type] = {}
    images: list[str] = []
    for argument in node.arguments:
        if not isinstance(argument, String):
            checker.report(body, messages.no_pattern(argument), argument.span)
            return BAD
        name, pattern = named(argument.value)
        try:
            kinds |= dict.fromkeys(Pattern.of(without_names(pattern)).parts, STRING)
        except ProgramError as error:
            said = error.diagnostics[0]
            checker.report(body, replace(said, code="input", span=argument.span), argument.span)
            return BAD
        images.append(name or "image")
    for name, argument in zip(images, node.arguments, strict=True):
        if name in kinds:
            checker.report(body, messages.field_twice(argument, name), argument.span)
            return BAD
        kinds[name] = MODEL
    kind = record(*kinds.items())
    if body.general:
        return Operand(0, sequence(kind))
    texts = tuple([argument.value for argument in node.arguments if isinstance(argument, String)])
    return Operand(body.emit(Dataset(kind, texts, node.name_span)), sequence(kind), body.spaces.new())


def _dir(checker: Expressions, body: Body, node: Call, given: Sequence[Operand]) -> Operand:
    """`dir(root, pattern, recursive, full_paths)`."""
    kind, wanted = sequence(STRING), tuple(zip(DIR[: len(given)], (STRING, STRING, BOOL, BOOL), strict=False))
    if not checker.typed(body, node, wanted, kind, given) or any(operand.slot < 0 for operand in given):
        return Operand(-1, kind)
    slots = [operand.slot for operand in given]
    slots += [body.emit(Constant(value, node.name_span)) for value in ("*", False, False)[len(slots) - 1 :]]
    return Operand(body.emit(Listing(tuple(slots), node.name_span)), kind)


def _range(checker: Expressions, body: Body, node: Call, given: Sequence[Operand]) -> Operand:
    kind = sequence(NUMBER)
    right = [_is_number(checker, body, *each, node.name_span) for each in zip(node.arguments, given, strict=True)]
    if not all(right) or any(operand.slot < 0 for operand in given):
        return Operand(-1, kind)
    slots = [operand.slot for operand in given]
    if len(slots) == 1:
        slots.insert(0, body.emit(Constant(0.0, node.name_span)))
    return Operand(body.emit(Range(slots[0], slots[1], node.name_span)), kind)
