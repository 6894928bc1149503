"""The code that is being made: of the main program, of a function for certain types, or of the body of a loop."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import TypeAlias

from voxlogica._dataclass import NamedTuple, dataclass
from voxlogica.check.names import Free, Function, Grids, Instance, Kind, Operand, Problem, known
from voxlogica.check.spaces import Place, Spaces
from voxlogica.errors import Diagnostic, Span
from voxlogica.formula import Type
from voxlogica.reduction import Code
from voxlogica.reduction.code import DEFAULT, OPEN, Apply, Global, Outer, SpaceOf, Step, reads
from voxlogica.syntax.ast import Let, Load

FIRST = 2
"""The main code's space variables are numbered from here; below are `DEFAULT` and `OPEN`."""


BAD = Operand(-1, None)


@dataclass(frozen=True)
class Request:
    """A function wanted for certain types of arguments."""

    function: Function
    types: tuple[Type, ...]


Checking: TypeAlias = "Generator[Request | Checking, Instance | Operand | None, Operand]"
"""The checking of an expression: it asks for instances of functions, and for what is inside of it to be checked."""


class Local(NamedTuple):
    """What a `let`, `for` or `filter` binds, and where."""

    operand: Operand
    span: Span
    word: str


class Body:
    """Code being made, and what must be known of it besides.

    `parameters` are a function's, or what a loop goes through; `locals` what is bound inside. A loop's body has the
    body `around` it, whose slots it sees. `bound` counts, for all bodies that lie in each other, how often a name is
    bound in one of them now: of a name that is not, nobody asks them all.
    """

    def __init__(
        self,
        code: Code,
        moment: int,
        parameters: dict[str, Operand],
        general: bool,
        first: int = 0,
        around: Body | None = None,
    ) -> None:
        self.code, self.moment, self.parameters, self.general = code, moment, parameters, general
        self.steps, self.holes = code.steps, code.holes
        self.around = around
        self.bound: dict[str, int] = around.bound if around is not None else {}
        self.locals: dict[str, Local] = {}
        self.definition: Let | Load | None = around.definition if around is not None else None
        self.recursive = False
        self.main = first == FIRST
        self.spaces = Spaces(first)
        self.problems: list[Problem] = []
        self.uses: set[int] = set()  # owners it refers to
        self.makers: list[tuple[int, Free]] = []  # the variables no argument fixes, and what made them
        self.free: list[Free] = []  # what called functions leave to the program's only grid
        self.edges: list[tuple[int, int, Place]] = []  # of the main code: unions not made yet
        self.seen: dict[tuple[bool, int], Operand] = {}  # what is outside, by slot of the main code or of that around
        self.outward: dict[int, int] = {}  # ports: variable here → number outside
        self.around_grids: dict[int, int] = {}  # of a loop's body: port → variable around it

    def emit(self, step: Step) -> int:
        """Adds a step; the slot it fills."""
        steps = self.steps
        steps.append(step)
        return self.holes + len(steps) - 1

    def unite(self, a: int, b: int, place: Place) -> None:
        """Two variables lie on one grid. In the main code that is for later: perhaps nobody needs the definition. Of
        arguments whose types are not known the grids are nobody's concern."""
        if self.main:
            self.edges.append((a, b, place))
        elif not self.general:
            self.spaces.unite(a, b, place)

    def make(self, free: Free) -> int:
        """A variable that nothing has fixed yet."""
        variable = self.spaces.new()
        self.makers.append((variable, free))
        return variable

    def on_own_grid(self, slot: int) -> int:
        """The variable of the grid that what is in a slot makes for itself."""
        variable = self.spaces.new(port=True)
        self.outward[variable] = slot
        return variable

    def is_own(self, variable: int) -> bool:
        """Whether a variable is that of a grid that something here makes for itself."""
        port = self.spaces.port(variable) if variable >= 0 else None
        return port is not None and _own(self, self.outward.get(port, -1))

    def give(self, name: str, operand: Operand) -> None:
        """Gives a parameter its meaning."""
        self.parameters[name] = operand
        self.bound[name] = self.bound.get(name, 0) + 1

    def bind(self, name: str, local: Local) -> Local | None:
        """Gives a bound name its meaning; what it meant here before."""
        hidden = self.locals.get(name)
        self.locals[name] = local
        self.bound[name] = self.bound.get(name, 0) + 1
        return hidden

    def unbind(self, name: str, hidden: Local | None) -> None:
        """Takes it back."""
        self.bound[name] -= 1
        if hidden is None:
            del self.locals[name]
        else:
            self.locals[name] = hidden

    def leave(self) -> None:
        """The end of a loop's body: what is bound in it means nothing around."""
        for name in (*self.locals, *self.parameters):
            self.bound[name] -= 1

    def local(self, name: str) -> Operand | None:
        """What a name means that a parameter or a binder has given a meaning, here or around."""
        if not self.bound.get(name):
            return None
        inside: list[Body] = []
        here: Body | None = self
        while here is not None:
            if name in here.locals or name in here.parameters:
                operand = here.locals[name].operand if name in here.locals else here.parameters[name]
                for body in reversed(inside):
                    operand = body.captured(operand)
                return operand
            inside.append(here)
            here = here.around
        return None

    @property
    def top(self) -> Body:
        """The body around all loops."""
        here = self
        while here.around is not None:
            here = here.around
        return here

    def names(self) -> set[str]:
        """The names of parameters and of what is bound inside."""
        found: set[str] = set()
        here: Body | None = self
        while here is not None:
            found |= {name for name in (*here.locals, *here.parameters) if name[0] != " "}
            here = here.around
        return found

    def binder(self, name: str) -> Local | None:
        """The binder that gave a name its meaning; None when a function's parameter or nothing inside did."""
        here: Body | None = self if self.bound.get(name) else None
        while here is not None:
            if name in here.locals:
                return here.locals[name]
            if name in here.parameters:
                return None
            here = here.around
        return None

    def parameter(self, name: str) -> int:
        """The number of a function's parameter; −1 when the name is none."""
        if not self.bound.get(name):
            return -1
        here = self
        while here.around is not None:
            if name in here.locals or name in here.parameters:
                return -1
            here = here.around
        return here.parameters[name].slot if name in here.parameters and name not in here.locals else -1

    def captured(self, outside: Operand) -> Operand:
        """What stands around a loop, seen from its body."""
        if outside.slot < 0 or self.general:
            return outside._replace(grid=-1)
        operand = self.seen.get((False, outside.slot))
        if operand is None:
            slot, grid = self.emit(Outer(outside.slot)), -1
            if outside.grid >= 0:
                grid = self.spaces.new(port=True)
                self.outward[grid] = slot
                self.around_grids[slot] = outside.grid
            operand = self.seen[False, outside.slot] = Operand(slot, outside.kind, grid)
        return operand

    def seen_global(self, outside: Operand) -> Operand:
        """A definition of the main code, seen from a function."""
        slot, kind, grid = outside
        operand = self.seen.get((True, slot))
        if operand is None:
            here = self.port(grid) if grid >= 0 else -1
            operand = self.seen[True, slot] = Operand(self.emit(Global(slot)), kind, here)
        return operand

    def port(self, variable: int) -> int:
        """The variable that stands, in a function, for one of the main code."""
        outside = -1 - variable
        for here, there in self.outward.items():
            if there == outside:
                return here
        here = self.spaces.new(port=True)
        self.outward[here] = outside
        return here


def instance(kinds: tuple[Kind, ...], body: Body, result: Operand) -> Instance:
    """The instance that a checked body makes, its space variables numbered as `Code` says."""
    code, spaces = body.code, body.spaces
    code.result = result.slot
    made = Instance(code, kinds, result.kind, body.problems)
    if result.slot < 0 or body.general:
        return made
    open_root = spaces.root(result.grid) if result.grid >= 0 else None
    numbers: dict[int, int] = {}
    spacious: dict[int, int] = {}  # the steps with a space variable, and its number
    for n, step in enumerate(code.steps):
        variable = getattr(step, "space", -1)
        if variable >= 0:
            root = spaces.root(variable)
            number = numbers.get(root)
            if number is None:
                number = numbers[root] = _number(code, body, root, open_root)
            spacious[n] = number
            code.steps[n] = step._replace(space=number)  # type: ignore[call-arg]
    wanted = {n: code.spaces[number - OPEN - 1].slot for n, number in spacious.items() if number > OPEN}
    body.problems += [circular(step) for step in ordered(code, wanted)]
    makers: dict[int, Free] = {}
    for variable, free in body.makers:
        makers.setdefault(spaces.root(variable), free)
    port = spaces.port(result.grid) if result.grid >= 0 else None
    opened = makers.get(open_root) if open_root is not None and port is None else None
    result_port = body.outward[port] if port is not None else None
    ports = [(body.outward[j.first], body.outward[j.second], j.place) for j in spaces.joins]
    own = result_port is not None and _own(body, result_port)
    made.grids = Grids(
        joins=tuple([join for join in ports if not any(_own(body, port) for port in join[:2])]),
        result=None if own else result_port,
        own=own,
        open=opened,
        free=(*(free for root, free in makers.items() if spaces.port(root) is None and root != open_root), *body.free),
    )
    return made


def _number(code: Code, body: Body, root: int, open_root: int | None) -> int:
    """The number, in a function's code, of a space variable's class."""
    port = body.spaces.port(root)
    if port is not None:
        outside = body.outward[port]
        if outside in body.around_grids:  # it may be seen from the loop only later on
            outer = code.steps[outside - code.holes]
            assert isinstance(outer, Outer)
            code.spaces.append(SpaceOf(outer=outer.slot))
        else:
            code.spaces.append(SpaceOf(slot=outside) if outside >= 0 else SpaceOf(main=-1 - outside))
        return OPEN + len(code.spaces)
    return OPEN if root == open_root else DEFAULT


def _own(body: Body, port: int) -> bool:
    """Whether a port, seen from outside, is the grid that something in a body makes for itself."""
    return port >= body.code.holes and port not in body.around_grids


def ordered(code: Code, wanted: Mapping[int, int]) -> list[Step]:
    """Gives code an order in which steps come after those whose grid they take; `wanted` are these, by number.

    Returns the steps for which there is none: what they take their grid of is made of them.
    """
    if all(slot < code.holes + n for n, slot in wanted.items()):
        return []
    order: dict[int, None] = {}
    opened: set[int] = set()
    wrong: list[Step] = []
    stack = [(n, False) for n in reversed(range(len(code.steps)))]
    while stack:
        n, done = stack.pop()
        if done:
            order[n] = None
        elif n not in opened:
            opened.add(n)
            stack.append((n, True))
            before = [slot - code.holes for slot in (*reads(code.steps[n]), wanted.get(n, -1)) if slot >= code.holes]
            wrong += [code.steps[n if wanted.get(n, -1) >= 0 else m] for m in before if m in opened and m not in order]
            stack += [(m, False) for m in before if m not in opened]
    code.order = tuple(order)
    return wrong


def circular(step: Step) -> Problem:
    """A step that takes the grid of something that is made of it."""
    span: Span = step.span  # type: ignore[union-attr]
    symbol = step.operator.symbol if isinstance(step, Apply) else "border"
    message = f"`{symbol}` takes its voxel grid from an image that is made of it"
    help = f"say which image's grid is meant:   {symbol}(image)"
    return Problem(Diagnostic("space", message, span, help=help), Place(span))


def join_grids(
    body: Body,
    grids: Grids,
    variable: Callable[[int], int],
    called: Callable[[Place], Place],
    outward: Callable[[Free], Free],
) -> int:
    """What a call, or a turn of a loop, does to grids; the variable of its result's, −1 if it has none or its own."""
    for first, second, place in grids.joins:
        a, b = variable(first), variable(second)
        if a != b:
            body.unite(a, b, called(place))
    if grids.free:
        body.free += [outward(free) for free in grids.free]
    if grids.open is not None:
        return body.make(outward(grids.open))
    return variable(grids.result) if grids.result is not None else -1


def type_of(operand: Operand) -> Type | None:
    """The type of an operand, as far as it is certain."""
    kind = known(operand.kind)
    return kind if isinstance(kind, Type) else None
