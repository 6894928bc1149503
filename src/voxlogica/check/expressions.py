"""Expressions to code: names, arities, types and grids; what is wrong is noted, and checking goes on.

Nothing here is bounded by the Python stack: expressions are walked with a stack of our own, and what a body needs of
other bodies is requested from `Checker.run`.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter

from voxlogica._dataclass import NamedTuple, replace
from voxlogica.check import messages, sequences
from voxlogica.check.bodies import BAD, Body, Checking, Local, Request, join_grids, type_of
from voxlogica.check.families import apply_family, on_grid_of
from voxlogica.check.meanings import Definitions, Meanings
from voxlogica.check.names import (
    Ambiguous,
    Form,
    Free,
    Function,
    Instance,
    Kind,
    Meaning,
    Operand,
    Overloaded,
    Problem,
    Scope,
    Trace,
    Unknown,
    Value,
    fits,
    known,
)
from voxlogica.check.spaces import Place
from voxlogica.check.strings import has_names
from voxlogica.check.unknown import unknown_name
from voxlogica.errors import Diagnostic, Mark, Span
from voxlogica.formula import BOOL, MODEL, NUMBER, STRING, Operator, Type
from voxlogica.library import NAMESPACES
from voxlogica.operators.families import Family
from voxlogica.reduction.code import Apply, Constant, Gathered, Invoke, Parts, Read, Text
from voxlogica.syntax.ast import (
    Binder,
    Boolean,
    Call,
    Expression,
    Field,
    Fold,
    Index,
    List,
    Load,
    Name,
    Number,
    Slice,
    String,
    parts,
)


class _Begun(NamedTuple):
    """An expression of which so many parts are checked."""

    whole: Expression
    parts: int


_LITERALS: dict[type[Number | Boolean | String], Type] = {Number: NUMBER, Boolean: BOOL, String: STRING}
_new = tuple.__new__  # see `evaluator`
_slot, _kind = itemgetter(0), itemgetter(1)
_DEEP = 20  # calls within calls: Python's stack holds many times as many, and few programs go deeper


class Expressions(Meanings):
    """Checks expressions in a scope."""

    def __init__(self, scope: Scope, definitions: Definitions) -> None:
        super().__init__(scope, definitions)
        self.compared = 0  # unknown names that were compared with all others, to find what was perhaps meant

    def at_once(self, body: Body, node: Expression, around: Call | None = None, depth: int = 0) -> Operand:
        """Checks an expression of the main code, as `expression` does, to which what is deep or uncommon is left.

        Most of a large program is operators over names, which take a tenth less without generators and a stack.
        """
        if type(node) is Name:
            return self.name(body, node, around)
        if type(node) is Number:
            return self.literal(body, node)
        if type(node) is not Call or node.name.endswith("map") or depth == _DEEP:
            return self.definitions.run(self.expression(body, node))
        given: list[Operand] = []
        for each in node.arguments:
            if type(each) is Name:
                given.append(self.name(body, each, node))
            elif type(each) is Number:
                given.append(self.literal(body, each))
            else:
                given.append(self.at_once(body, each, node, depth + 1))
        return self.again(body, node, given) or self.definitions.run(self.compound(body, node, given))

    def expression(self, body: Body, expression: Expression) -> Checking:
        """Checks an expression, its parts first."""
        stack: list[Expression | _Begun] = [expression]
        operands: list[Operand] = []
        hidden: list[tuple[str, Local | None]] = []
        while stack:
            node = stack.pop()
            if isinstance(node, Name):
                operands.append(self.name(body, node, stack))
            elif isinstance(node, (Number, Boolean, String)):
                operands.append(self.literal(body, node))
            elif isinstance(node, Binder):
                stack += (_Begun(node, 1), node.value)
            elif not isinstance(node, _Begun):
                inner = self.inner(body, node)
                stack.append(_Begun(node, len(inner)))
                stack += inner[::-1]
            elif isinstance(whole := node.whole, Binder):
                if node.parts == 2:
                    body.unbind(*hidden.pop())
                elif whole.word == "let":
                    name, value = whole.name, operands.pop()
                    hidden.append((name.name, body.bind(name.name, Local(value, name.span, whole.word))))
                    stack += (_Begun(whole, 2), whole.body)
                else:
                    operands.append((yield from sequences.loop(self, body, whole, operands.pop())))
            else:
                first = len(operands) - node.parts
                given = operands[first:]
                del operands[first:]
                operand = self.again(body, whole, given) if isinstance(whole, Call) else None
                operands.append(operand or (yield from self.compound(body, whole, given)))
        return operands.pop()

    def inner(self, body: Body, node: Expression) -> tuple[Expression, ...]:
        """The parts of an expression that are values: not the function given to `map`, nor a namespace."""
        if isinstance(node, Call):
            if node.name.endswith("map") and _is_map(self.meaning(body, node.name)):
                return node.arguments[1:]
            return node.arguments
        if isinstance(node, Field) and self.qualified(body, node):
            return ()
        return parts(node)

    def compound(self, body: Body, node: Expression, given: list[Operand]) -> Checking:
        """An expression whose parts are checked already."""
        match node:
            case Call():
                return (yield from self.call(body, node, given))
            case List():
                return sequences.items(self, body, node, given)
            case Index():
                return sequences.index(self, body, node, given)
            case Slice():
                return sequences.cut(self, body, node, given)
            case Fold():
                return (yield from sequences.fold(self, body, node, given))
            case Field():
                return self.field(body, node, given)
        raise TypeError(f"{node} is no expression")

    # Names

    def literal(self, body: Body, node: Number | Boolean | String) -> Operand:
        """A literal; a string with names in it is made when their values are known."""
        if type(node) is String and has_names(node.value):
            return Operand(body.emit(Text(node.value, node.span)), STRING)
        return _new(Operand, (body.emit(_new(Constant, (node.value, node.span))), _LITERALS[type(node)], -1))

    def name(self, body: Body, node: Name, around: Call | Sequence[Expression | _Begun] | None) -> Operand:
        """A name used as a value, in the call `around` it or, of several, in the last one that has begun."""
        name = node.name
        if name[0] == "$":
            return Operand(body.emit(Text(f"${{{name[1:]}}}", node.span)), STRING)
        local = body.local(name) if body.bound else None
        if local is not None:
            return local
        meaning = self.meaning(body, name)
        if type(meaning) is Value:
            return meaning.operand if body.main else self.value(body, meaning)
        if isinstance(meaning, Operator) and not meaning.parameters:
            return self.apply(body, meaning, (), node.span)
        if meaning is None:
            self.report(body, unknown_name(self, body, node.name, node.span, ()), node.span)
        elif isinstance(meaning, Ambiguous):
            self.report(body, messages.ambiguous(meaning.name, node.span, meaning.candidates), node.span)
        elif not self.is_beside_nothing(body, around):
            self.report(body, self.wrong_arity(body, node, meaning, 0), node.span)
        return BAD

    def is_beside_nothing(self, body: Body, around: Call | Sequence[Expression | _Begun] | None) -> bool:
        """Whether a name stands beside an operator that does not exist, such as `|>`: it may well be a function."""
        begun: Expression | None
        if around is None or isinstance(around, Call):
            begun = around
        else:
            begun = next((each.whole for each in reversed(around) if isinstance(each, _Begun)), None)
        return isinstance(begun, Call) and messages.is_symbol(begun.name) and self.meaning(body, begun.name) is None

    def value(self, body: Body, value: Value) -> Operand:
        """What a definition of the main code stands for, in the main code or seen from a function."""
        if body.main or value.operand.slot < 0:
            return value.operand
        return body.seen_global(value.operand)

    def qualified(self, body: Body, node: Field) -> bool:
        """Whether a field is a name with its namespace."""
        return (
            isinstance(node.record, Name) and node.record.name in NAMESPACES and not self.bound(body, node.record.name)
        )

    def field(self, body: Body, node: Field, given: list[Operand]) -> Operand:
        """A field of a record."""
        if not given:
            assert isinstance(node.record, Name)
            return self.name(body, Name(f"{node.record.name}.{node.name}", node.span), None)
        (record,) = given
        kind = type_of(record)
        if kind is None:
            return Operand(record.slot, Unknown()) if body.general and record.slot >= 0 else BAD
        found = (kind.fields or {}).get(node.name)
        if found is None:
            marks, traces = self.marks(body, node.record, record.kind)
            problem = messages.no_field(node, kind, tuple(marks), self.variants(body, node.name))
            body.problems.append(Problem(problem, Place(node.name_span), tuple(traces)))
            return BAD
        if record.slot < 0 or body.general:
            return Operand(min(record.slot, 0), found)
        slot = body.emit(Read(kind, record.slot, node.name, node.name_span))
        if found is MODEL:  # of a data set: each image of a case has the grid of its file
            return Operand(slot, found, body.on_own_grid(slot))
        return Operand(slot, found, record.grid if found.spatial else -1)

    # Calls

    def again(self, body: Body, node: Call, given: list[Operand]) -> Operand | None:
        """A call of what was found right before for arguments of the same types, without asking again; else None."""
        slots, types = tuple(map(_slot, given)), tuple(map(_kind, given))
        if -1 in slots or (body.bound and body.local(node.name) is not None):
            return None
        meaning: Meaning | None = self.meaning(body, node.name)
        if type(meaning) is Overloaded:
            chosen = meaning.chosen.get(types)
            meaning = chosen[0] if chosen else None
        if type(meaning) is Operator:
            if types != meaning.types:
                return None
            if meaning.simple:
                slot = body.emit(_new(Apply, (meaning, slots, -1, node.name_span)))
                return _new(Operand, (slot, meaning.result, -1))
            return self.apply(body, meaning, given, node.name_span)
        if isinstance(meaning, Function) and not body.general and (made := meaning.instances.get(types)):
            return self.invoke(body, node, meaning, made, given)
        return None

    def call(self, body: Body, node: Call, given: list[Operand]) -> Checking:
        """A function or operator applied to arguments that are checked already."""
        local = body.local(node.name)
        meaning = None if local is not None else self.meaning(body, node.name)
        if meaning is None and local is None:
            kinds = [operand.kind for operand in given]
            self.report(body, unknown_name(self, body, node.name, node.name_span, kinds), node.name_span)
            return BAD
        if isinstance(meaning, Ambiguous):
            self.report(body, messages.ambiguous(meaning.name, node.name_span, meaning.candidates), node.name_span)
            return BAD
        if isinstance(meaning, Form):
            return (yield from sequences.form(self, body, node, meaning, given))
        if isinstance(meaning, Family):
            return apply_family(self, body, node, meaning, given)
        if isinstance(meaning, Overloaded):
            fitting = meaning.chosen.get(len(given))
            if fitting is None:
                fitting = [each for each in meaning.alternatives if len(self.wanted(each)) == len(given)]
                meaning.chosen[len(given)] = fitting
            if len(fitting) == 1:
                meaning = fitting[0]
            elif fitting:
                return (yield from self.overloaded(body, node, meaning, fitting, given))
        if isinstance(meaning, Operator) and meaning.from_grid and len(given) == 1:
            return on_grid_of(self, body, node, meaning, given[0])
        wanted = self.wanted(meaning)
        if meaning is None or isinstance(meaning, (Value, Overloaded)) or len(wanted) != len(given):
            if isinstance(meaning, Overloaded):
                meaning = self.likely(meaning, given)
            self.report(body, self.wrong_arity(body, node, meaning, len(given)), node.name_span)
            return BAD
        return (yield from self.known_call(body, node, meaning, given))

    def known_call(self, body: Body, node: Call, meaning: Operator | Function, given: list[Operand]) -> Checking:
        """One operator or function applied to as many arguments as it takes."""
        if any(operand.slot < 0 for operand in given):
            return BAD
        if isinstance(meaning, Operator):
            if not self.typed(body, node, meaning.parameters, meaning.result, given):
                return Operand(-1, meaning.result)
            return self.apply(body, meaning, given, node.name_span)
        if meaning.bundled or body.general:
            result = self.by_scheme(body, node, meaning, given)
            if result is None or body.general:
                return Operand(-1 if result is None else 0, result)
        if meaning.recursive:  # said where it is defined
            return BAD
        types = tuple([kind for operand in given if (kind := type_of(operand)) is not None])
        if len(types) != len(given):
            return BAD
        made = yield Request(meaning, types)
        assert isinstance(made, Instance)
        return self.invoke(body, node, meaning, made, given)

    def overloaded(
        self,
        body: Body,
        node: Call,
        meaning: Overloaded,
        alternatives: Sequence[Operator | Function],
        given: list[Operand],
    ) -> Checking:
        """A symbol with several meanings, told apart by the types of its arguments."""
        types = tuple([kind for operand in given if (kind := type_of(operand)) is not None])
        chosen = meaning.chosen.get(types) if len(types) == len(given) else None
        if any(operand.slot < 0 or operand.kind is None for operand in given):
            return BAD
        if chosen is None:
            chosen = self.choose(alternatives, [operand.kind for operand in given])
        if not chosen:
            self.report_overload(body, node, alternatives, given)
            return BAD
        if len(types) < len(given):
            return Operand(0, Unknown())
        if any(kind.element for kind in types):
            return (yield from sequences.together(self, body, node, given))
        meaning.chosen[types] = chosen
        return (yield from self.known_call(body, node, chosen[0], given))

    def report_overload(
        self, body: Body, node: Call, alternatives: Sequence[Operator | Function], given: Sequence[Operand]
    ) -> None:
        """Says that none of the meanings of a symbol goes with its arguments."""
        marks: list[Mark] = []
        traces: list[Trace] = []
        for argument, operand in zip(node.arguments, given, strict=True):
            more, trace = self.marks(body, argument, operand.kind)
            marks += more
            traces += trace
        signatures = [self.shown(each, symbol=node.name) for each in alternatives]
        kinds = [operand.kind for operand in given]
        wanted = [self.wanted(each) for each in alternatives]
        named = [isinstance(argument, Name) and body.local(argument.name) is None for argument in node.arguments]
        diagnostic = messages.no_overload(
            node, wanted, signatures, kinds, tuple(marks), named, lambda s: self.variants(body, s)
        )
        body.problems.append(Problem(diagnostic, Place(node.name_span), tuple(traces)))

    def by_scheme(self, body: Body, node: Call, function: Function, given: list[Operand]) -> Kind | None:
        """Checks arguments against what the function's body wants of any; the kind of the result, None when wrong."""
        general = self.definitions.general(function)
        copies: dict[Unknown, Kind] = {}

        def copy(kind: Kind) -> Kind:
            kind = known(kind) or kind
            return copies.setdefault(kind, Unknown()) if isinstance(kind, Unknown) else kind

        wanted = [(formal.name, copy(kind)) for formal, kind in zip(
            function.definition.parameters, general.parameters, strict=True
        )]  # fmt: skip
        result = copy(general.result) if general.result is not None else None
        shown = known(result)
        typed = self.typed(body, node, wanted, shown if isinstance(shown, Type) else None, given)
        return result if typed else None

    def typed(
        self,
        body: Body,
        node: Call,
        wanted: Sequence[tuple[str, Kind | None]],
        result: Type | None,
        given: Sequence[Operand],
    ) -> bool:
        """Whether the arguments have the types wanted; reports if not. What is in error already is let pass."""
        wrong = [
            n
            for n, ((_, kind), operand) in enumerate(zip(wanted, given, strict=True))
            if kind is not None and operand.kind is not None and not fits(kind, operand.kind)
        ]
        if wrong:
            shown = [(name, kind if isinstance(kind := known(want), Type) else None) for name, want in wanted]
            marks: list[Mark] = []
            traces: list[Trace] = []
            for n in wrong:
                more, trace = self.marks(body, node.arguments[n], given[n].kind)
                marks += more
                traces += trace
            first = node.arguments[wrong[0]]
            diagnostic = messages.wrong_types(
                node, shown, result, [operand.kind for operand in given], wrong, tuple(marks),
                isinstance(first, Name) and body.parameter(first.name) < 0,
                isinstance(first, Name) and body.parameter(first.name) >= 0,
                lambda s: self.variants(body, s),
            )  # fmt: skip
            body.problems.append(Problem(diagnostic, Place(node.name_span), tuple(traces)))
        return not wrong

    def apply(self, body: Body, operator: Operator, given: Sequence[Operand], span: Span) -> Operand:
        """An operator over arguments of its types."""
        result = operator.result
        slots = tuple(map(_slot, given))
        if -1 in slots:
            return Operand(-1, result)
        grid = space = -1
        if operator.spatial:
            first, *rest = operator.spatial
            grid = given[first].grid
            for other in rest:
                if given[other].grid != grid:
                    body.unite(grid, given[other].grid, Place(span))
        elif (operator.needs_space or result.spatial) and operator.grid is None:
            grid = space = body.make(Free(operator.symbol, Place(span)))
        if operator.takes_sequences:
            slots = self.wholes(body, given, span)
        slot = body.emit(_new(Apply, (operator, slots, space, span)))
        if operator.count:
            slot = body.emit(Parts(slot, operator.count, span))
        if operator.grid is not None:
            return Operand(slot, result, body.on_own_grid(slot))
        return _new(Operand, (slot, result, grid if result.spatial else -1))

    def wholes(self, body: Body, given: Sequence[Operand], span: Span) -> tuple[int, ...]:
        """The slots of arguments as one value each."""
        return tuple([self.whole(body, operand, span) for operand in given])

    def whole(self, body: Body, operand: Operand, span: Span) -> int:
        """The slot of an argument as one value."""
        kind = type_of(operand)
        return operand.slot if kind is None or kind.element is None else body.emit(Gathered(operand.slot, span))

    def invoke(
        self, body: Body, node: Call, function: Function, instance: Instance, given: Sequence[Operand]
    ) -> Operand:
        """A function applied: its code, and what it does to the grids of its arguments."""
        name, span = function.definition.name, node.name_span
        for problem in instance.problems:
            body.problems.append(self.lifted(body, problem, name, node))
        slots = tuple(map(_slot, given))
        if instance.code.result < 0 or -1 in slots:
            return Operand(-1, instance.result)
        if instance.alone is not None:
            return self.apply(body, instance.alone.operator, [given[n] for n in instance.alone.arguments], span)

        def variable(port: int) -> int:
            if port >= 0:
                return given[port].grid
            return -1 - port if body.main else body.port(-1 - port)

        def called(place: Place) -> Place:  # what a library does is said of the call: its text is not the user's
            return Place(span) if function.bundled else Place(span, name, place)

        def outward(free: Free) -> Free:
            return Free(name if function.bundled else free.symbol, called(free.place))

        space = join_grids(body, instance.grids, variable, called, outward)
        slot = body.emit(Invoke(instance.code, slots, space if instance.grids.open else -1, span))
        return Operand(slot, instance.result, body.on_own_grid(slot) if instance.grids.own else space)

    def lifted(self, body: Body, problem: Problem, name: str, node: Call) -> Problem:
        """A problem in a function's body, seen from a call."""
        marks = list(problem.diagnostic.marks)
        traces = []
        for trace in problem.traces:
            argument = node.arguments[trace.parameter]
            if isinstance(argument, Name) and (number := body.parameter(argument.name)) >= 0:
                traces.append(Trace(number, trace.text, trace.name))
                continue
            marks.append(Mark(argument.span, f"{trace.text}, given here for `{trace.name}`"))
            if isinstance(argument, Name) and body.local(argument.name) is None:
                meaning = self.meaning(body, argument.name)
                if isinstance(meaning, Value):
                    marks.append(defined(meaning, trace.text))
        place = Place(node.name_span, name, problem.place)
        return Problem(replace(problem.diagnostic, marks=tuple(marks)), place, tuple(traces))

    # Problems

    def report(self, body: Body, diagnostic: Diagnostic, span: Span) -> None:
        body.problems.append(Problem(diagnostic, Place(span)))

    def marks(self, body: Body, argument: Expression, kind: Kind | None) -> tuple[list[Mark], list[Trace]]:
        """Where an argument that is a name got its value: the definition, or the parameter to be followed."""
        if not isinstance(argument, Name):
            return [], []
        number = body.parameter(argument.name)
        if number >= 0:
            return [], [] if body.general else [Trace(number, messages.one(kind), argument.name)]
        binder = body.binder(argument.name)
        if binder is not None:
            return [
                Mark(binder.span, f"{messages.one(kind)}, {'defined' if binder.word == 'let' else 'bound'} here")
            ], []
        meaning = self.scope.find(argument.name, body.moment)
        return ([defined(meaning, messages.one(kind))], []) if isinstance(meaning, Value) else ([], [])

    def wrong_arity(self, body: Body, node: Call | Name, meaning: Meaning | None, given: int) -> Diagnostic:
        label = ""
        marks: tuple[Mark, ...] = ()
        binder = body.binder(node.name)
        if binder is not None:
            marks = (Mark(binder.span, f"{messages.one(binder.operand.kind)}, bound here"),)
        elif isinstance(meaning, Value):
            marks = (defined(meaning, messages.one(meaning.kind)),)
        elif isinstance(meaning, Function) and not meaning.bundled:
            formals = ", ".join(formal.name for formal in meaning.definition.parameters)
            marks = (Mark(meaning.name_span, f"{meaning.definition.name}({formals}), defined here"),)
        elif meaning is not None:
            label = self.shown(meaning, symbol=node.name)
        wanted = self.wanted(meaning)
        amounts = [len(each) for each in meaning.variants] if isinstance(meaning, Form) else [len(wanted)]
        if isinstance(meaning, Family):
            amounts = list(range(len(wanted) - meaning.optional, len(wanted) + 1))
        more = isinstance(meaning, Family) and meaning.repeated
        return messages.wrong_arity(node, wanted, amounts, given, label, marks, not wanted, more)


def _is_map(meaning: Meaning | None) -> bool:
    return isinstance(meaning, Form) and meaning.symbol == "map"


def defined(value: Value, text: str) -> Mark:
    """The mark at a definition: what it is, and that it is defined or loaded there."""
    how = "loaded" if isinstance(value.definition, Load) else "defined"
    return Mark(value.name_span, f"{text}, {how} here")


def literal_type(literal: Number | Boolean | String) -> Type:
    """The type of a literal."""
    return _LITERALS[type(literal)]
