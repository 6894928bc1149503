"""Space variables: which valuations must lie on one grid, and which expression says so.

Union-find over numbered variables. Some variables are *ports*: known from outside, as an input of the program or an
argument of a function. When a union first brings two ports together, that is remembered with its place: it is what an
error about two grids points at, and all that who calls a function needs to know of its body.
"""

from __future__ import annotations

from voxlogica._dataclass import NamedTuple
from voxlogica.errors import Frame, Span


class Place(NamedTuple):
    """Where something happens: a span or, if `inner` is there, inside the function `name` that is called at `span`."""

    span: Span
    name: str = ""
    inner: Place | None = None

    @property
    def origin(self) -> Span:
        """The innermost span."""
        here = self
        while here.inner is not None:
            here = here.inner
        return here.span

    @property
    def chain(self) -> tuple[Frame, ...]:
        """The calls, innermost first."""
        frames = []
        here = self
        while here.inner is not None:
            frames.append(Frame(here.name, here.span))
            here = here.inner
        return tuple(reversed(frames))


class Join(NamedTuple):
    """Two ports that lie on one grid, and why."""

    first: int
    second: int
    place: Place


class Spaces:
    """A union-find of space variables, numbered from `first`."""

    def __init__(self, first: int = 0) -> None:
        self._first = first
        self._parent: list[int] = []
        self._port: dict[int, int] = {}  # the oldest port of each class that has one, by the class's root
        self.joins: list[Join] = []

    def new(self, *, port: bool = False) -> int:
        """A variable of its own."""
        number = self._first + len(self._parent)
        self._parent.append(number)
        if port:
            self._port[number] = number
        return number

    def variables(self) -> range:
        """All of them."""
        return range(self._first, self._first + len(self._parent))

    def root(self, variable: int) -> int:
        """What stands for the variable's class; the same for all in it."""
        parent, first = self._parent, self._first
        while (above := parent[variable - first]) != variable:
            parent[variable - first] = parent[above - first]
            variable = above
        return variable

    def port(self, variable: int) -> int | None:
        """The oldest port on the variable's grid."""
        return self._port.get(self.root(variable))

    def unite(self, a: int, b: int, place: Place) -> None:
        """The two lie on one grid."""
        a, b = self.root(a), self.root(b)
        if a == b:
            return
        first, second = self._port.get(a), self._port.get(b)
        if first is not None and second is not None:
            self.joins.append(Join(min(first, second), max(first, second), place))
        self._parent[b - self._first] = a
        ports = [port for port in (first, second) if port is not None]
        if ports:
            self._port[a] = min(ports)
