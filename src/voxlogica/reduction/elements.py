"""Sequences whose length is known while formulas are made; each element is made when somebody asks for it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Final, Protocol, TypeAlias

from voxlogica._dataclass import NamedTuple
from voxlogica.formula import Formula, Origin
from voxlogica.values import Space


class Absent(NamedTuple):
    """What cannot be had, and why: it takes the place of whatever needs it."""

    message: str
    help: str
    origin: Origin | None


Slot: TypeAlias = "Formula | Elements | Absent | None"
"""What a slot holds; None where a space is missing, which the checker has said. A late sequence is a formula."""

UNDECIDED: Final = Absent("a number or a truth value is not known yet", "", None)
"""What is made of a sequence whose elements cannot be told yet; the only one of its kind."""

Process: TypeAlias = Generator["Process", Slot, Slot]
"""Work towards a slot: it yields the work that must be done before, and is sent what came of it."""


def run(process: Process) -> Slot:
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


class Maker(Protocol):
    """How an element of a sequence is made."""

    def __call__(self, number: int) -> Process: ...


class Elements:
    """A sequence: its length, the space of its elements if they have one, and how each is made.

    `late` is the work towards a formula for it that does not list the elements, where there is one.
    """

    __slots__ = ("_known", "_make", "late", "length", "space")

    def __init__(
        self, length: int, make: Maker, space: Space | None = None, late: Callable[[], Process] | None = None
    ) -> None:
        self.length, self.space, self.late, self._make = length, space, late, make
        self._known: dict[int, Slot] = {}

    def element(self, number: int) -> Process:
        """The work towards an element, from 0; it is made once."""
        if number not in self._known:
            self._known[number] = yield self._make(number)
        return self._known[number]


def listed(items: Sequence[Slot], space: Space | None) -> Elements:
    """A sequence of what is there already."""
    return Elements(len(items), lambda number: done(items[number]), space)


def part(source: Elements, start: int, length: int) -> Elements:
    """So many elements of a sequence."""
    return Elements(length, lambda number: source.element(start + number), source.space)


def done(slot: Slot) -> Process:
    """The work towards what is there already."""
    yield from ()
    return slot


def drawn(source: Elements, then: Callable[[Slot], Process] = done) -> Generator[Process, Slot, list[Formula] | Slot]:
    """What is made of all elements of a sequence, or the first that is no formula; to be used with `yield from`."""
    found: list[Formula] = []
    for number in range(source.length):
        element = yield then((yield source.element(number)))
        if not isinstance(element, Formula):
            return element
        found.append(element)
    return found
