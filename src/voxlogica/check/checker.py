"""From a program to checked code: names, arities, types and grids; everything that is wrong at once.

Definitions are checked in the order of the text. One with parameters is checked for arguments of unknown types when it
is defined, and again for each choice of types that a call gives it; those of the bundled libraries are trusted, and
checked when they are used. Nothing here is bounded by the Python stack: expressions are walked with a stack of our
own, and what a body needs of other bodies is requested from `Checker._run`.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, TypeAlias

from voxlogica.check import messages
from voxlogica.check.imports import File, commands
from voxlogica.check.names import (
    Free,
    Function,
    Grids,
    Instance,
    Kind,
    Meaning,
    Problem,
    Scope,
    Trace,
    Unknown,
    Value,
    fits,
    known,
)
from voxlogica.check.result import Checked, Definition, GoalSlot, InputSlot, Parameter, Together
from voxlogica.check.spaces import Place, Spaces
from voxlogica.check.strings import has_names, mistakes, names
from voxlogica.errors import Diagnostic, Mark, ProgramError, Source, Span
from voxlogica.formula import (
    BOOL,
    DEFAULT,
    MODEL,
    NUMBER,
    OPEN,
    STRING,
    Apply,
    Code,
    Constant,
    Global,
    Input,
    Invoke,
    Operator,
    Setting,
    Skip,
    SpaceOf,
    Step,
    Text,
    Type,
)
from voxlogica.operators import by_symbol
from voxlogica.syntax.ast import Boolean, Call, Command, Expression, Let, Load, Name, Number, Print, Save, String

_FIRST = 2  # main code's space variables are numbered from here; below are DEFAULT and OPEN


class _Operand(NamedTuple):
    """An expression checked: its slot (−1 when in error), its kind (None when that is open) and its grid (−1: none)."""

    slot: int
    kind: Kind | None
    grid: int = -1


_BAD = _Operand(-1, None)

_Request: TypeAlias = tuple[Function, tuple[Type, ...]]
_Checking: TypeAlias = Generator[_Request, Instance, _Operand]


class _Body:
    """The code being made of the main program or of one instance of a function."""

    def __init__(self, code: Code, moment: int, parameters: dict[str, _Operand], general: bool, first: int = 0) -> None:
        self.code, self.moment, self.parameters, self.general = code, moment, parameters, general
        self.definition: Let | None = None  # whose body it is; the main program has none
        self.recursive = False
        self.main = first == _FIRST
        self.spaces = Spaces(first)
        self.problems: list[Problem] = []
        self.uses: set[int] = set()  # owners it refers to
        self.makers: list[tuple[int, Free]] = []  # the variables no argument fixes, and what made them
        self.free: list[Free] = []  # what called functions leave to the program's only grid
        self.edges: list[tuple[int, int, Place]] = []  # of the main code: unions not made yet
        self.globals: dict[int, _Operand] = {}  # by slot of the main code
        self.outward: dict[int, int] = {}  # ports: variable here → number outside

    def emit(self, step: Step) -> int:
        """Adds a step; the slot it fills."""
        self.code.steps.append(step)
        return self.code.holes + len(self.code.steps) - 1

    def unite(self, a: int, b: int, place: Place) -> None:
        """Two variables lie on one grid. In the main code that is for later: perhaps nobody needs the definition."""
        if self.main:
            self.edges.append((a, b, place))
        else:
            self.spaces.unite(a, b, place)

    def make(self, free: Free) -> int:
        """A variable that nothing has fixed yet."""
        variable = self.spaces.new()
        self.makers.append((variable, free))
        return variable


class Checker:
    """Checks one program; see `check`."""

    def __init__(self, main: File, search: Sequence[Path]) -> None:
        self.main_file = main
        self.commands = commands(main, search)
        self.scope = Scope()
        self.main = _Body(Code("main"), 0, {}, False, _FIRST)
        self.functions: list[Function] = []
        self.values: dict[int, Value] = {}  # by owner
        self.problems: list[tuple[int, Problem]] = []  # with the owner, the command it is found in
        self.uses: dict[int, set[int]] = {}  # owner → owners
        self.steps: dict[int, range] = {}  # owner → its steps of the main code
        self.edges: list[tuple[int, int, Place, int]] = []
        self.makers: list[tuple[int, Free, int]] = []
        self.free: list[tuple[Free, int]] = []
        self.inputs: list[InputSlot] = []
        self.parameters: dict[str, Parameter] = {}
        self.goals: list[tuple[int, GoalSlot]] = []
        self._parameter_names = self._once_defined()
        self._later: dict[str, Span] | None = None

    def _once_defined(self) -> set[str]:
        """The top-level names of the main program that are bound once: those that may be parameters (C29)."""
        bound: dict[str, int] = {}
        for command in self.main_file.program.commands:
            if isinstance(command, (Let, Load)):
                bound[command.name] = bound.get(command.name, 0) + 1
        return {name for name, times in bound.items() if times == 1}

    # Commands

    def check(self) -> Checked:
        """The checked program; raises `ProgramError` with all errors and warnings."""
        for owner, (file, command) in enumerate(self.commands):
            self._command(owner, file, command)
        needed = self._needed()
        texts = [command for file, command in self.commands if not file.bundled]
        diagnostics = [*mistakes(texts), *self._diagnostics(needed)]
        self._order(diagnostics)
        together, grids, free = self._grids(needed)
        if not self.inputs and free:
            diagnostics += [_no_grid(one) for one in free]
        if any(diagnostic.severity == "error" for diagnostic in diagnostics):
            raise ProgramError(*diagnostics)
        steps = self.main.code.steps
        for owner, own in self.steps.items():
            if owner not in needed:
                steps[own.start : own.stop] = [_SKIP] * len(own)
        return Checked(
            code=self.main.code,
            inputs=tuple(self.inputs),
            parameters=self.parameters,
            goals=tuple(goal for _, goal in self.goals),
            definitions={
                value.definition.name: Definition(value.slot, value.kind, value.name_span)
                for owner, value in self.values.items()
                if owner in needed and value.slot >= 0 and value.kind is not None
            },
            together=together,
            grids=grids,
            free=free,
            names=names(texts),
            warnings=tuple(diagnostics),
        )

    def _command(self, owner: int, file: File, command: Command) -> None:
        body, start = self.main, len(self.main.code.steps)
        body.moment = self.scope.now
        match command:
            case Load():
                slot = body.emit(Input(len(self.inputs), command.path.span))
                grid = body.spaces.new(port=True)
                self.inputs.append(InputSlot(command.name, command.path, command.name_span, grid))
                self._bind(command.name, Value(owner, command, slot, MODEL, grid))
            case Let(parameters=()):
                operand = self._setting(command) if file.main else None
                if operand is None:
                    operand = self._evaluate(command.body)
                kind = known(operand.kind)
                assert kind is None or isinstance(kind, Type)
                self._bind(command.name, Value(owner, command, operand.slot, kind, operand.grid))
            case Let():
                function = Function(owner, command, self.scope.now, file.bundled)
                if not file.bundled:
                    self.functions.append(function)
                    self.general(function)
                self._bind(command.name, function)
            case Save() | Print():
                self._goal(owner, command)
        self.uses[owner] = self.uses.get(owner, set()) | body.uses
        self.steps[owner] = range(start, len(body.code.steps))
        self.problems += [(owner, problem) for problem in body.problems]
        self.edges += [(*edge, owner) for edge in body.edges]
        self.makers += [(*maker, owner) for maker in body.makers]
        self.free += [(free, owner) for free in body.free]
        body.uses, body.problems, body.edges, body.makers, body.free = set(), [], [], [], []

    def _bind(self, name: str, meaning: Value | Function) -> None:
        if isinstance(meaning, Value):
            self.values[meaning.owner] = meaning
        self.scope.bind(name, meaning)

    def _setting(self, command: Let) -> _Operand | None:
        """A parameter of the program (C29), if the definition is one."""
        literal = command.body
        if not isinstance(literal, (Number, Boolean, String)) or command.name not in self._parameter_names:
            return None
        self.parameters[command.name] = Parameter(command.name, literal, command.name_span, _kind(literal))
        slot = self.main.emit(Setting(command.name, literal.value, literal.span))
        return _Operand(slot, _kind(literal))

    def _goal(self, owner: int, command: Save | Print) -> None:
        operand = self._evaluate(command.value)
        kind = known(operand.kind)
        word, text = ("print", command.label) if isinstance(command, Print) else ("save", command.path)
        if operand.slot < 0:
            return
        if isinstance(kind, Type) and (kind.spatial if word == "print" else not kind.spatial):
            start = command.span.start
            at = Span(command.span.source, start, start + len(word))
            marks, _ = self._marks(self.main, command.value, kind)
            mark = marks[0] if marks else None
            problem = messages.wrong_goal(word, at, command.value, kind, text.value, mark)
            self.main.problems.append(Problem(problem, Place(at)))
        else:
            assert isinstance(kind, Type)
            self.goals.append((owner, GoalSlot(word, text, operand.slot, kind, command.span)))

    def _evaluate(self, expression: Expression) -> _Operand:
        """An expression of the main code."""
        return self._run(self._expression(self.main, expression))

    # Functions

    def _run(self, checking: _Checking) -> _Operand:
        """Runs a generator that checks a body, and those that make the instances it requests."""
        operand = _BAD
        stack: list[tuple[_Checking, Function | None, tuple[Type, ...], _Body | None]] = [(checking, None, (), None)]
        answer: Instance | None = None
        while stack:
            generator, function, kinds, body = stack[-1]
            try:
                wanted, types = generator.send(answer) if answer is not None else next(generator)
            except StopIteration as stop:
                operand, answer = stop.value, None
                stack.pop()
                if function is not None and body is not None:
                    answer = function.instances[kinds] = _instance(function, kinds, body, operand)
                continue
            answer = wanted.instances.get(types)
            if answer is None:
                inner = self._body(wanted, types)
                stack.append((self._expression(inner, wanted.definition.body), wanted, types, inner))
        return operand

    def _body(self, function: Function, kinds: tuple[Kind, ...]) -> _Body:
        """An empty body whose holes have these kinds; every hole's variable is a port."""
        definition = function.definition
        general = any(isinstance(kind, Unknown) for kind in kinds)
        code = Code(definition.name, holes=len(kinds), bundled=function.bundled)
        body = _Body(code, function.moment, {}, general)
        body.definition = definition
        for slot, (formal, kind) in enumerate(zip(definition.parameters, kinds, strict=True)):
            body.outward[body.spaces.new(port=True)] = slot
            body.parameters[formal.name] = _Operand(slot, kind, slot)
        return body

    def general(self, function: Function) -> Instance:
        """The function for arguments of unknown types; what is wrong in it whoever calls it."""
        if function.general is None:
            kinds = tuple([Unknown() for _ in function.definition.parameters])
            body = self._body(function, kinds)
            operand = self._run(self._expression(body, function.definition.body))
            function.general = Instance(body.code, kinds, operand.kind, body.problems)
            function.recursive = body.recursive
            self.uses[function.owner] = body.uses
        return function.general

    # Expressions

    def _expression(self, body: _Body, expression: Expression) -> _Checking:
        """Checks an expression, arguments first."""
        stack: list[tuple[Expression, bool]] = [(expression, False)]
        operands: list[_Operand] = []
        meant_as_functions: set[int] = set()  # names beside an operator that does not exist, such as `|>`
        while stack:
            node, ready = stack.pop()
            if isinstance(node, Call):
                if not ready:
                    stack.append((node, True))
                    stack += [(argument, False) for argument in reversed(node.arguments)]
                    if messages.is_symbol(node.name) and self._meaning(body, node.name) is None:
                        meant_as_functions |= {id(argument) for argument in node.arguments}
                    continue
                given = operands[-len(node.arguments) :]
                del operands[-len(node.arguments) :]
                operands.append((yield from self._call(body, node, given)))
            elif isinstance(node, Name):
                operands.append(self._name(body, node, id(node) in meant_as_functions))
            elif isinstance(node, String) and has_names(node.value):
                operands.append(_Operand(body.emit(Text(node.value, node.span)), STRING))
            else:
                operands.append(_Operand(body.emit(Constant(node.value, node.span)), _kind(node)))
        return operands.pop()

    def _name(self, body: _Body, node: Name, perhaps_function: bool) -> _Operand:
        """A name used as a value."""
        parameter = body.parameters.get(node.name)
        if parameter is not None:
            return parameter
        meaning = self._meaning(body, node.name)
        if isinstance(meaning, Value):
            return self._value(body, meaning)
        if isinstance(meaning, Operator) and not meaning.parameters:
            return self._apply(body, meaning, (), node.span)
        if meaning is None:
            self._report(body, self._unknown_name(body, node.name, node.span, ()), node.span)
        elif not perhaps_function:
            self._report(body, self._wrong_arity(body, node, meaning, 0), node.span)
        return _BAD

    def _value(self, body: _Body, value: Value) -> _Operand:
        """What a definition of the main code stands for, in the main code or seen from a function."""
        if body.main or value.slot < 0:
            return _Operand(value.slot, value.kind, value.grid)
        operand = body.globals.get(value.slot)
        if operand is None:
            grid = -1
            if value.grid >= 0:
                grid = self._port(body, value.grid)
            operand = body.globals[value.slot] = _Operand(body.emit(Global(value.slot)), value.kind, grid)
        return operand

    def _port(self, body: _Body, variable: int) -> int:
        """The variable that stands, in a function, for one of the main code."""
        outside = -1 - variable
        for here, there in body.outward.items():
            if there == outside:
                return here
        here = body.spaces.new(port=True)
        body.outward[here] = outside
        return here

    def _call(self, body: _Body, node: Call, given: list[_Operand]) -> _Checking:
        """A function or operator applied to arguments that are checked already."""
        meaning = None if node.name in body.parameters else self._meaning(body, node.name)
        if meaning is None and node.name not in body.parameters:
            problem = self._unknown_name(body, node.name, node.name_span, [operand.kind for operand in given])
            self._report(body, problem, node.name_span)
            return _BAD
        wanted = self._wanted(meaning)
        if meaning is None or isinstance(meaning, Value) or len(wanted) != len(given):
            self._report(body, self._wrong_arity(body, node, meaning, len(given)), node.name_span)
            return _BAD
        if any(operand.slot < 0 for operand in given):
            return _BAD
        if isinstance(meaning, Operator):
            if not self._typed(body, node, wanted, meaning.result, given):
                return _Operand(-1, meaning.result)
            return self._apply(body, meaning, given, node.name_span)
        if meaning.bundled or body.general:
            result = self._by_scheme(body, node, meaning, given)
            if result is None or body.general:
                return _Operand(-1 if result is None else 0, result)
        if meaning.recursive:  # said where it is defined
            return _BAD
        kinds = [known(operand.kind) for operand in given]
        types = tuple([kind for kind in kinds if isinstance(kind, Type)])
        if len(types) != len(kinds):
            return _BAD
        instance = yield meaning, types
        return self._invoke(body, node, meaning, instance, given)

    def _by_scheme(self, body: _Body, node: Call, function: Function, given: list[_Operand]) -> Kind | None:
        """Checks arguments against what the function's body wants of any; the kind of the result, None when wrong."""
        general = self.general(function)
        copies: dict[Unknown, Kind] = {}

        def copy(kind: Kind) -> Kind:
            kind = known(kind) or kind
            return copies.setdefault(kind, Unknown()) if isinstance(kind, Unknown) else kind

        wanted = [(formal.name, copy(kind)) for formal, kind in zip(
            function.definition.parameters, general.parameters, strict=True
        )]  # fmt: skip
        result = copy(general.result) if general.result is not None else None
        shown = known(result)
        typed = self._typed(body, node, wanted, shown if isinstance(shown, Type) else None, given)
        return result if typed else None

    def _typed(
        self,
        body: _Body,
        node: Call,
        wanted: Sequence[tuple[str, Kind | None]],
        result: Type | None,
        given: Sequence[_Operand],
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
                more, trace = self._marks(body, node.arguments[n], given[n].kind)
                marks += more
                traces += trace
            first = node.arguments[wrong[0]]
            diagnostic = messages.wrong_types(
                node, shown, result, [operand.kind for operand in given], wrong, tuple(marks),
                isinstance(first, Name) and first.name not in body.parameters,
                isinstance(first, Name) and first.name in body.parameters,
                lambda s: self._variant(body, s),
            )  # fmt: skip
            body.problems.append(Problem(diagnostic, Place(node.name_span), tuple(traces)))
        return not wrong

    def _apply(self, body: _Body, operator: Operator, given: Sequence[_Operand], span: Span) -> _Operand:
        """An operator over arguments of its types."""
        result = operator.result
        if any(operand.slot < 0 for operand in given):
            return _Operand(-1, result)
        place = Place(span)
        spatial = [operand.grid for operand, (_, kind) in zip(given, operator.parameters, strict=True) if kind.spatial]
        for grid in spatial[1:]:
            body.unite(spatial[0], grid, place)
        space = -1
        if not spatial and (operator.needs_space or result.spatial):
            space = body.make(Free(operator.symbol, place))
            spatial = [space]
        slots = tuple([operand.slot for operand in given])
        slot = body.emit(Apply(operator, slots, space, span))
        return _Operand(slot, result, spatial[0] if result.spatial else -1)

    def _invoke(
        self, body: _Body, node: Call, function: Function, instance: Instance, given: Sequence[_Operand]
    ) -> _Operand:
        """A function applied: its code, and what it does to the grids of its arguments."""
        name, span = function.definition.name, node.name_span
        for problem in instance.problems:
            body.problems.append(self._lifted(body, problem, name, node))
        if instance.code.result < 0 or any(operand.slot < 0 for operand in given):
            return _Operand(-1, instance.result)
        grids = instance.grids

        def variable(port: int) -> int:
            if port >= 0:
                return given[port].grid
            return -1 - port if body.main else self._port(body, -1 - port)

        def called(place: Place) -> Place:  # what a library does is said of the call: its text is not the user's
            return Place(span) if function.bundled else Place(span, name, place)

        def outward(free: Free) -> Free:
            return Free(name if function.bundled else free.symbol, called(free.place))

        for first, second, place in grids.joins:
            body.unite(variable(first), variable(second), called(place))
        body.free += [outward(free) for free in grids.free]
        space = result = -1
        if grids.open is not None:
            space = result = body.make(outward(grids.open))
        elif grids.result is not None:
            result = variable(grids.result)
        slots = tuple([operand.slot for operand in given])
        return _Operand(body.emit(Invoke(instance.code, slots, space, span)), instance.result, result)

    def _lifted(self, body: _Body, problem: Problem, name: str, node: Call) -> Problem:
        """A problem in a function's body, seen from a call."""
        marks = list(problem.diagnostic.marks)
        traces = []
        for trace in problem.traces:
            argument = node.arguments[trace.parameter]
            if isinstance(argument, Name) and argument.name in body.parameters:
                traces.append(Trace(body.parameters[argument.name].slot, trace.text, trace.name))
                continue
            marks.append(Mark(argument.span, f"{trace.text}, given here for `{trace.name}`"))
            if isinstance(argument, Name):
                meaning = self._meaning(body, argument.name)
                if isinstance(meaning, Value):
                    marks.append(_defined(meaning, trace.text))
        place = Place(node.name_span, name, problem.place)
        return Problem(replace(problem.diagnostic, marks=tuple(marks)), place, tuple(traces))

    # What names mean

    def _meaning(self, body: _Body, name: str) -> Meaning | None:
        """What a name that is no parameter means in a body."""
        meaning = self.scope.find(name, body.moment)
        if meaning is None:
            return by_symbol().get(name)
        body.uses.add(meaning.owner)
        return meaning

    def _wanted(self, meaning: Meaning | None) -> Sequence[tuple[str, Type | None]]:
        """The parameters of what may be applied, with their types where those are certain."""
        if isinstance(meaning, Operator):
            return meaning.parameters
        if isinstance(meaning, Function):
            self.general(meaning)
            return meaning.parameters
        return ()

    def _variant(self, body: _Body, symbol: str) -> Sequence[tuple[str, Type | None]] | None:
        meaning = self.scope.find(symbol, body.moment) or by_symbol().get(symbol)
        return None if meaning is None or isinstance(meaning, Value) else self._wanted(meaning)

    def _shown(self, meaning: Meaning | None) -> str:
        """What a person may know of a meaning in half a line."""
        if isinstance(meaning, Function):
            self.general(meaning)
            return meaning.signature
        return meaning.signature if isinstance(meaning, Operator) else messages.one(meaning.kind) if meaning else ""

    # Problems

    def _report(self, body: _Body, diagnostic: Diagnostic, span: Span) -> None:
        body.problems.append(Problem(diagnostic, Place(span)))

    def _marks(self, body: _Body, argument: Expression, kind: Kind | None) -> tuple[list[Mark], list[Trace]]:
        """Where an argument that is a name got its value: the definition, or the parameter to be followed."""
        if not isinstance(argument, Name):
            return [], []
        parameter = body.parameters.get(argument.name)
        if parameter is not None:
            return [], [] if body.general else [Trace(parameter.slot, messages.one(kind), argument.name)]
        meaning = self.scope.find(argument.name, body.moment)
        return ([_defined(meaning, messages.one(kind))], []) if isinstance(meaning, Value) else ([], [])

    def _unknown_name(self, body: _Body, name: str, span: Span, kinds: Sequence[Kind | None]) -> Diagnostic:
        current = body.definition or self.commands[len(self.steps)][1]
        if isinstance(current, Let) and current.name == name:
            body.recursive = True
            mark = Mark(current.name_span)
            help = "there is no recursion: a definition sees only what stands above it"
            message = f"`{name}` is used in its own definition"
            return Diagnostic("name", message, span, "being defined here", (mark,), help=help)
        later = self._defined_later().get(name)
        if later is not None and later.source is span.source and later.start > span.start:
            help = "a definition sees only what stands above it: move this one up"
            if self._uses_each_other(current, name):
                help = "there is no recursion: two definitions cannot use each other"
            mark = Mark(later, "defined here")
            return Diagnostic("name", f"`{name}` is used before it is defined", span, "", (mark,), help=help)
        candidates = [*body.parameters, *self.scope.names(body.moment), *by_symbol()]
        if messages.is_symbol(name):
            after = span.source.text[span.end : span.end + 20]
            digits = after[: next((n for n, c in enumerate(after) if not (c.isalnum() or c == ".")), len(after))]
            help = messages.glued(name, digits, lambda s: self._variant(body, s) is not None)
            close = messages.related(name, candidates, kinds, lambda s: self._variant(body, s))
            if help and (close is None or len(kinds) == 1):
                return messages.no_such_name(name, span, "", (), help)
        else:
            close = messages.nearest(name, candidates)
        if close is None:
            return messages.no_such_name(name, span, "", (), "")
        if close in body.parameters:
            return messages.no_such_name(name, span, f"did you mean `{close}`?", (), "")
        meaning = self.scope.find(close, body.moment) or by_symbol().get(close)
        marks: tuple[Mark, ...] = ()
        if isinstance(meaning, Value) or (isinstance(meaning, Function) and not meaning.bundled):
            marks = (Mark(meaning.name_span, "defined here"),)
        return messages.no_such_name(name, span, f"did you mean `{close}`?   {self._shown(meaning)}", marks, "")

    def _uses_each_other(self, current: Command, name: str) -> bool:
        """Whether a later definition speaks of the current one."""
        later = next((c for _, c in reversed(self.commands) if isinstance(c, Let) and c.name == name), None)
        if not isinstance(current, Let) or later is None:
            return False
        return re.search(rf"\b{re.escape(current.name)}\b", later.body.span.text) is not None

    def _defined_later(self) -> dict[str, Span]:
        """The last definition of each name in the whole program."""
        if self._later is None:
            definitions = [command for _, command in self.commands if isinstance(command, (Let, Load))]
            self._later = {command.name: command.name_span for command in definitions}
        return self._later

    def _wrong_arity(self, body: _Body, node: Call | Name, meaning: Meaning | None, given: int) -> Diagnostic:
        label = ""
        marks: tuple[Mark, ...] = ()
        if isinstance(meaning, Value):
            marks = (_defined(meaning, messages.one(meaning.kind)),)
        elif isinstance(meaning, Function) and not meaning.bundled:
            formals = ", ".join(formal.name for formal in meaning.definition.parameters)
            marks = (Mark(meaning.name_span, f"{meaning.definition.name}({formals}), defined here"),)
        elif meaning is not None:
            label = self._shown(meaning)
        wanted = self._wanted(meaning)
        return messages.wrong_arity(node, wanted, given, label, marks, not wanted)

    # The end

    def _needed(self) -> set[int]:
        """The owners that the goals refer to, the goals' own included."""
        needed = {owner for owner, _ in self.goals}
        needed |= {owner for owner, (_, command) in enumerate(self.commands) if isinstance(command, (Save, Print))}
        stack = list(needed)
        while stack:
            for owner in self.uses.get(stack.pop(), ()):
                if owner not in needed:
                    needed.add(owner)
                    stack.append(owner)
        return needed

    def _diagnostics(self, needed: set[int]) -> list[Diagnostic]:
        """Every problem once: as an error with its chain where a goal needs it, else as a warning."""
        found: list[tuple[bool, Problem]] = [(owner in needed, problem) for owner, problem in self.problems]
        for function in self.functions:
            assert function.general is not None
            if not function.instances:  # nobody calls it, or not rightly
                found += [(function.owner in needed, problem) for problem in function.general.problems]
        found.sort(key=lambda entry: not entry[0])
        once: dict[tuple[str, Source | None, int], Diagnostic] = {}
        for is_needed, problem in found:
            diagnostic = problem.diagnostic
            assert diagnostic.span is not None
            key = (diagnostic.code, diagnostic.span.source, diagnostic.span.start)
            if key not in once:
                diagnostic = replace(diagnostic, chain=problem.place.chain)
                if not is_needed:
                    diagnostic = replace(
                        diagnostic, severity="warning", details=(*diagnostic.details, messages.UNNEEDED)
                    )
                once[key] = diagnostic
        return list(once.values())

    def _order(self, diagnostics: list[Diagnostic]) -> None:
        """Sorts by place: files in the order in which they are imported, then by position."""
        sources: dict[Source, int] = {}
        for _, command in self.commands:
            sources.setdefault(command.span.source, len(sources))
        spans = [d.span for d in diagnostics if d.span is not None]
        for span in spans:
            sources.setdefault(span.source, len(sources))
        diagnostics.sort(key=lambda d: (sources[d.span.source], d.span.start) if d.span is not None else (-1, 0))

    def _grids(self, needed: set[int]) -> tuple[tuple[Together, ...], dict[int, int], tuple[Free, ...]]:
        """Which inputs share a grid and why, the input of each space variable (−1: none), and what is on none."""
        spaces = self.main.spaces
        for first, second, place, owner in self.edges:
            if owner in needed:
                spaces.unite(first, second, place)
        number = {each.grid: n for n, each in enumerate(self.inputs)}
        together = tuple(Together(number[join.first], number[join.second], join.place) for join in spaces.joins)
        variables = [*number, *(variable for variable, _, owner in self.makers if owner in needed)]
        grids: dict[int, int] = {}
        for variable in variables:
            port = spaces.port(variable)
            grids[variable] = number[port] if port is not None else -1
        free = {spaces.root(v): maker for v, maker, owner in reversed(self.makers) if owner in needed and grids[v] < 0}
        rest = [maker for maker, owner in self.free if owner in needed]
        return together, grids, (*reversed(free.values()), *rest)


_SKIP = Skip()


def _instance(function: Function, kinds: tuple[Type, ...], body: _Body, result: _Operand) -> Instance:
    """The instance that a checked body makes, its space variables numbered as `formula.Code` says."""
    code, spaces = body.code, body.spaces
    code.result = result.slot
    instance = Instance(code, kinds, result.kind, body.problems)
    if result.slot < 0:
        return instance
    open_root = spaces.root(result.grid) if result.grid >= 0 else None
    numbers: dict[int, int] = {}
    for n, step in enumerate(code.steps):
        if isinstance(step, (Apply, Invoke)) and step.space >= 0:
            root = spaces.root(step.space)
            number = numbers.get(root)
            if number is None:
                number = numbers[root] = _number(code, body, root, open_root)
            code.steps[n] = step._replace(space=number)
    makers: dict[int, Free] = {}
    for variable, free in body.makers:
        makers.setdefault(spaces.root(variable), free)
    port = spaces.port(result.grid) if result.grid >= 0 else None
    opened = makers.get(open_root) if open_root is not None and port is None else None
    instance.grids = Grids(
        joins=tuple([(body.outward[j.first], body.outward[j.second], j.place) for j in spaces.joins]),
        result=body.outward[port] if port is not None else None,
        open=opened,
        free=(*(free for root, free in makers.items() if spaces.port(root) is None and root != open_root), *body.free),
    )
    return instance


def _number(code: Code, body: _Body, root: int, open_root: int | None) -> int:
    """The number, in a function's code, of a space variable's class."""
    port = body.spaces.port(root)
    if port is not None:
        outside = body.outward[port]
        code.spaces.append(SpaceOf(argument=outside) if outside >= 0 else SpaceOf(main=-1 - outside))
        return OPEN + len(code.spaces)
    return OPEN if root == open_root else DEFAULT


def _defined(value: Value, text: str) -> Mark:
    """The mark at a definition: what it is, and that it is defined or loaded there."""
    how = "loaded" if isinstance(value.definition, Load) else "defined"
    return Mark(value.name_span, f"{text}, {how} here")


def _kind(literal: Number | Boolean | String) -> Type:
    return NUMBER if isinstance(literal, Number) else BOOL if isinstance(literal, Boolean) else STRING


def _no_grid(free: Free) -> Diagnostic:
    return Diagnostic(
        "space",
        f"`{free.symbol}` has no voxel grid: the program loads no image",
        free.place.origin,
        chain=free.place.chain,
        help='load one:   load scan = "scan.nii.gz"',
    )
