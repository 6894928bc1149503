"""From a program to checked code: its commands in order, its functions, and what its goals need.

Definitions are checked in the order of the text. One with parameters is checked for arguments of unknown types when it
is defined, and again for each choice of types that a call gives it; those of the bundled libraries are trusted, and
checked when they are used.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from voxlogica._dataclass import replace
from voxlogica.check import messages
from voxlogica.check.bodies import FIRST, Body, Checking, Request, circular, instance, ordered
from voxlogica.check.expressions import Expressions, literal_type
from voxlogica.check.imports import File, commands
from voxlogica.check.meanings import built_in
from voxlogica.check.names import (
    Free,
    Function,
    Instance,
    Kind,
    Operand,
    Overloaded,
    Problem,
    Scope,
    Unknown,
    Value,
    known,
)
from voxlogica.check.result import Checked, Definition, GoalSlot, InputSlot, Parameter, Together
from voxlogica.check.spaces import Place
from voxlogica.check.strings import mistakes, names
from voxlogica.errors import Diagnostic, ProgramError, Source, Span
from voxlogica.formula import MODEL, Operator, Type
from voxlogica.reduction import Code
from voxlogica.reduction.code import Input, Setting, Skip
from voxlogica.syntax.ast import Boolean, Call, Command, Import, Let, Load, Number, Print, Save, String

READERS = ("ReadImage", "simpleitk.ReadImage")
"""What version 2 loads a file with."""


class Checker:
    """Checks one program; see `check`."""

    def __init__(self, main: File, search: Sequence[Path]) -> None:
        self.main_file = main
        self.commands = commands(main, search)
        self.scope = Scope()
        self.expressions = Expressions(self.scope, self)
        self.main = Body(Code("main"), 0, {}, False, FIRST)
        self.functions: list[Function] = []
        self.values: list[Value] = []
        # Each with its owner, the command it is found in.
        self.problems: list[tuple[int, Problem]] = []
        self.edges: list[tuple[int, tuple[int, int, Place]]] = []
        self.makers: list[tuple[int, tuple[int, Free]]] = []
        self.free: list[tuple[int, Free]] = []
        self.used: list[tuple[int, ...]] = [()] * len(self.commands)  # owner → owners
        self.ends: list[int] = []  # of each owner's steps of the main code, which begin where those before them end
        self.inputs: list[InputSlot] = []
        self.parameters: dict[str, Parameter] = {}
        self.asking: set[int] = set()  # the owners that save or print something
        self.goals: list[tuple[int, GoalSlot]] = []
        # How often the main program binds each name: what it binds once may be a parameter (C29).
        self._times = Counter([each.name for each in main.program.commands if isinstance(each, (Let, Load))])
        self._later: dict[str, Span] | None = None

    # Commands

    def check(self, wanted: Sequence[str] = ()) -> Checked:
        """The checked program; raises `ProgramError` with all errors and warnings."""
        for owner, (file, command) in enumerate(self.commands):
            if file.bundled and file.at is None:
                self.scope.default = self.scope.now + 1
            self._command(owner, file, command)
        needed = self._needed(wanted)
        texts = [command for file, command in self.commands if not file.bundled and file.has_dollars]
        diagnostics = [*mistakes(texts), *self._diagnostics(needed)]
        self._order(diagnostics)
        together, grids, free = self._grids(needed)
        if not self.inputs and free:
            diagnostics += [_no_grid(one) for one in free]
        diagnostics += self._circular(needed)
        if any(diagnostic.severity == "error" for diagnostic in diagnostics):
            raise ProgramError(*diagnostics)
        self._skip(needed)
        return Checked(
            code=self.main.code,
            inputs=tuple(self.inputs),
            parameters=self.parameters,
            goals=tuple(goal for _, goal in self.goals),
            definitions=self._definitions(needed),
            together=together,
            grids=grids,
            free=free,
            names=names(texts),
            warnings=tuple(diagnostics),
        )

    def _command(self, owner: int, file: File, command: Command) -> None:
        body = self.main
        body.moment = self.scope.now
        if type(command) is Let:
            self._define(owner, file, command)
        elif isinstance(command, Load):
            self._bind(command.name, self._input(owner, command, command.path))
        elif isinstance(command, Import):
            self.scope.open(command.path.value)
        elif isinstance(command, (Save, Print)):
            self._goal(owner, command)
        self.ends.append(len(body.steps))
        if body.uses:
            self.used[owner] += tuple(body.uses)
            body.uses.clear()
        if body.problems or body.edges or body.makers or body.free:
            _move(body.problems, self.problems, owner)
            _move(body.edges, self.edges, owner)
            _move(body.makers, self.makers, owner)
            _move(body.free, self.free, owner)

    def _define(self, owner: int, file: File, command: Let) -> None:
        """A definition: of a function, an input, a parameter of the program, or of any other value."""
        name, body = command.name, command.body
        if command.parameters:
            function = Function(owner, command, self.scope.now, file.bundled)
            if not file.bundled:
                self.functions.append(function)
                self.general(function)
            self._bind(name, self._overloaded(function) if file.bundled else function)
            return
        operand: Operand | None = None
        if file is self.main_file:
            if type(body) is not Call:
                operand = self._setting(command)
            elif body.name in READERS:
                match body.arguments:
                    case (String() as path,):
                        self._bind(name, self._input(owner, command, path))
                        return
        if operand is None:
            operand = self.expressions.at_once(self.main, body)
        if type(operand.kind) is Unknown:
            operand = operand._replace(kind=known(operand.kind))
        value = Value(owner, command, operand)
        self.values.append(value)
        self.scope.bind(name, value)

    def _bind(self, name: str, meaning: Value | Function | Overloaded) -> None:
        if isinstance(meaning, Value):
            self.values.append(meaning)
        self.scope.bind(name, meaning)

    def _overloaded(self, function: Function) -> Function | Overloaded:
        """A definition of a bundled library beside what it shares its name with, told apart by their types."""
        name = function.definition.name
        meaning = self.scope.find(name, self.scope.now) or built_in(name)
        match meaning:
            case Overloaded():
                return Overloaded(name, (*meaning.alternatives, function))
            case Operator() | Function(bundled=True):
                return Overloaded(name, (meaning, function))
        return function

    def _input(self, owner: int, command: Load | Let, path: String) -> Value:
        """An input of the program (C29)."""
        slot = self.main.emit(Input(len(self.inputs), path.span))
        grid = self.main.spaces.new(port=True)
        self.inputs.append(InputSlot(command.name, path, command.name_span, grid))
        return Value(owner, command, Operand(slot, MODEL, grid))

    def _setting(self, command: Let) -> Operand | None:
        """A parameter of the program (C29), if the definition is one."""
        literal = command.body
        if not isinstance(literal, (Number, Boolean, String)) or self._times[command.name] > 1:
            return None
        self.parameters[command.name] = Parameter(command.name, literal, command.name_span, literal_type(literal))
        slot = self.main.emit(Setting(command.name, literal.value, literal.span))
        return Operand(slot, literal_type(literal))

    def _goal(self, owner: int, command: Save | Print) -> None:
        self.asking.add(owner)
        operand = self.expressions.at_once(self.main, command.value)
        kind = known(operand.kind)
        word, text = ("print", command.label) if isinstance(command, Print) else ("save", command.path)
        if operand.slot < 0:
            return
        if isinstance(kind, Type) and not (_printable(kind) if word == "print" else _savable(kind)):
            start = command.span.start
            at = Span(command.span.source, start, start + len(word))
            marks, _ = self.expressions.marks(self.main, command.value, kind)
            mark = marks[0] if marks else None
            problem = messages.wrong_goal(word, at, command.value, kind, text.value, mark)
            self.main.problems.append(Problem(problem, Place(at)))
        else:
            assert isinstance(kind, Type)
            self.goals.append((owner, GoalSlot(word, text, operand.slot, kind, command.span)))

    # Functions

    def run(self, checking: Checking) -> Operand:
        """Runs a generator that checks a body, and those that make what it requests."""
        stack: list[tuple[Checking, Callable[[Operand], Instance] | None]] = [(checking, None)]
        answer: Instance | Operand | None = None
        while True:
            generator, finish = stack[-1]
            try:
                request = generator.send(answer)
            except StopIteration as stop:
                stack.pop()
                answer = finish(stop.value) if finish is not None else stop.value
                if not stack:
                    operand: Operand = stop.value
                    return operand
                continue
            if not isinstance(request, Request):
                answer = None
                stack.append((request, None))
                continue
            answer = request.function.instances.get(request.types)
            if answer is None:
                stack.append(self._instance(request.function, request.types))

    def _instance(self, function: Function, types: tuple[Type, ...]) -> tuple[Checking, Callable[[Operand], Instance]]:
        """The checking of a function for certain types of arguments, and what makes the instance of it then."""
        body = self._body(function, types)

        def finish(operand: Operand) -> Instance:
            made = function.instances[types] = instance(types, body, operand)
            return made

        return self.expressions.expression(body, function.definition.body), finish

    def _body(self, function: Function, kinds: tuple[Kind, ...]) -> Body:
        """An empty body whose holes have these kinds; every hole's variable is a port."""
        definition = function.definition
        general = any(isinstance(kind, Unknown) for kind in kinds)
        code = Code(definition.name, holes=len(kinds), bundled=function.bundled)
        body = Body(code, function.moment, {}, general)
        body.definition = definition
        for slot, (formal, kind) in enumerate(zip(definition.parameters, kinds, strict=True)):
            body.outward[body.spaces.new(port=True)] = slot
            body.give(formal.name, Operand(slot, kind, slot))
        return body

    def general(self, function: Function) -> Instance:
        """The function for arguments of unknown types; what is wrong in it whoever calls it."""
        if function.general is None:
            kinds = tuple([Unknown() for _ in function.definition.parameters])
            body = self._body(function, kinds)
            operand = self.run(self.expressions.expression(body, function.definition.body))
            function.general = Instance(body.code, kinds, operand.kind, body.problems)
            function.recursive = body.recursive
            self.used[function.owner] = tuple(body.uses)
        return function.general

    def current(self) -> Let | Load | None:
        """The definition of the main code that is being checked."""
        command = self.commands[len(self.ends)][1]
        return command if isinstance(command, (Let, Load)) else None

    def later(self, name: str) -> Span | None:
        """Where the whole program defines a name last."""
        if self._later is None:
            definitions = [command for _, command in self.commands if isinstance(command, (Let, Load))]
            self._later = {command.name: command.name_span for command in definitions}
        return self._later.get(name)

    def uses(self, name: str, other: str) -> bool:
        """Whether the last definition of a name in the whole program speaks of another name."""
        later = next((c for _, c in reversed(self.commands) if isinstance(c, Let) and c.name == name), None)
        return later is not None and re.search(rf"\b{re.escape(other)}\b", later.body.span.text) is not None

    # The end

    def _needed(self, wanted: Sequence[str]) -> set[int]:
        """The owners that the goals and the wanted definitions refer to, their own included."""
        found = [self.scope.find(name, self.scope.now) for name in wanted]
        needed = self.asking | {value.owner for value in found if isinstance(value, Value)}
        for owner in reversed(range(len(self.used))):  # what it refers to stands above it
            if owner in needed:
                needed.update(self.used[owner])
        return needed

    def _steps(self, owner: int) -> range:
        """The numbers of a command's steps of the main code."""
        return range(self.ends[owner - 1] if owner else 0, self.ends[owner])

    def _skip(self, needed: set[int]) -> None:
        """Leaves out of the main code what nobody needs; all slots stay where they are."""
        steps, start = self.main.steps, 0
        for owner, end in enumerate(self.ends):
            if owner not in needed:
                steps[start:end] = [_SKIP] * (end - start)
            start = end

    def _definitions(self, needed: set[int]) -> dict[str, Definition]:
        found: dict[str, Definition] = {}
        for value in self.values:
            slot, kind, _ = value.operand
            if value.owner in needed and slot >= 0 and kind is not None:
                definition = value.definition
                found[definition.name] = _new(Definition, (slot, kind, definition.name_span))
        return found

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

    def _circular(self, needed: set[int]) -> list[Diagnostic]:
        """What takes the grid of something that is made of it; all else gets its order."""
        code = self.main.code
        numbers = [n for owner in needed for n in self._steps(owner)] if code.made else []
        wanted = {n: code.made.get(getattr(code.steps[n], "space", -1), -1) for n in numbers}
        return [circular(step).diagnostic for step in ordered(code, wanted)]

    def _order(self, diagnostics: list[Diagnostic]) -> None:
        """Sorts by place: files in the order in which they are imported, then by position."""
        if len(diagnostics) < 2:
            return
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
        for owner, edge in self.edges:
            if owner in needed:
                spaces.unite(*edge)
        number, own = {each.grid: n for n, each in enumerate(self.inputs)}, self.main.outward
        together = tuple(
            Together(number[join.first], number[join.second], join.place)
            for join in spaces.joins
            if join.first in number and join.second in number
        )
        grids: dict[int, int] = {}
        for variable in spaces.variables():
            port = spaces.port(variable)
            if port in own:
                self.main.code.made[variable] = own[port]
            else:
                grids[variable] = number[port] if port is not None else -1
        free = {
            spaces.root(v): maker
            for owner, (v, maker) in reversed(self.makers)
            if owner in needed and grids.get(v, 0) < 0
        }
        rest = [maker for owner, maker in self.free if owner in needed]
        return together, grids, (*reversed(free.values()), *rest)


_SKIP = Skip()
_new = tuple.__new__  # see `evaluator`

_Found = TypeVar("_Found")


def _move(found: list[_Found], kept: list[tuple[int, _Found]], owner: int) -> None:
    if found:
        kept += [(owner, each) for each in found]
        found.clear()


def _printable(kind: Type) -> bool:
    return not kind.spatial and kind.depth <= messages.DEEPEST


def _savable(kind: Type) -> bool:
    return kind.spatial and kind.element is None and kind.fields is None


def _no_grid(free: Free) -> Diagnostic:
    return Diagnostic(
        "space",
        f"`{free.symbol}` has no voxel grid: the program loads no image",
        free.place.origin,
        chain=free.place.chain,
        help='load one:   load scan = "scan.nii.gz"',
    )
