"""What differs between two runs: definitions, numbers and masks, the largest change first."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

from voxlogica._dataclass import dataclass
from voxlogica.identity import Id
from voxlogica.study.rows import Row, number
from voxlogica.values import Printable, shown


@dataclass(frozen=True, slots=True)
class Node:
    """A formula taken apart: what it applies ("" for a constant or a file), what else it is, and its arguments."""

    operator: str
    said: str
    arguments: tuple[Id, ...]


@dataclass(frozen=True, slots=True)
class Definition:
    """A definition that stands for something else than before: how itself differs, "" if only what it is made of does,
    and whose change it then follows. `before` or `after` is False when only the other run has it."""

    name: str
    how: str
    follows: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Number:
    """A print that differs; None where a run has none."""

    case: str
    label: str
    before: Printable | None
    after: Printable | None

    @property
    def change(self) -> float:
        """How much it changed; infinite when one of them is no number."""
        before, after = number(self.before), number(self.after)
        if before is None or after is None or math.isnan(before) or math.isnan(after):
            return math.inf
        return abs(after - before)


@dataclass(frozen=True, slots=True)
class Masks:
    """A mask that differs, in voxels."""

    case: str
    name: str
    only_before: int
    only_after: int
    both: int

    @property
    def change(self) -> float:
        """The share of the voxels of either that only one has."""
        return (self.only_before + self.only_after) / (self.only_before + self.only_after + self.both)


Nodes = Callable[[Id], Node | None]


def definitions(before: Mapping[str, Id], after: Mapping[str, Id], nodes: Nodes) -> Iterator[Definition]:
    """The definitions that differ, those of only one run first, then in the order of the later run."""
    yield from (Definition(name, "is no longer there") for name in before if name not in after)
    yield from (Definition(name, "is new") for name in after if name not in before)
    old, new = {id: name for name, id in before.items()}, {id: name for name, id in after.items()}
    for name, id in after.items():
        if name in before and before[name] != id:
            followed: dict[str, None] = {}
            how = _difference(before[name], id, name, old, new, nodes, followed)
            yield Definition(name, how, tuple(followed))


def _difference(
    before: Id,
    after: Id,
    name: str,
    old: Mapping[Id, str],
    new: Mapping[Id, str],
    nodes: Nodes,
    followed: dict[str, None],
) -> str:
    """How the definition itself differs: the first difference above other definitions of the same name in both runs."""
    stack = [(before, after)]
    seen: set[tuple[Id, Id]] = set()
    while stack:
        a, b = stack.pop()
        if a == b or (a, b) in seen:
            continue
        seen.add((a, b))
        other = new.get(b)
        if other is not None and other != name and old.get(a) == other:
            followed[other] = None
            continue
        one, two = nodes(a), nodes(b)
        if one is None or two is None:
            return "" if followed else "it differs; how is not known any more"
        if one.operator != two.operator or len(one.arguments) != len(two.arguments) or one.said != two.said:
            return f"{one.said} -> {two.said}"
        stack += reversed(_matched(one.arguments, two.arguments, old, new, nodes))
    return ""


def _matched(
    one: Sequence[Id], two: Sequence[Id], old: Mapping[Id, str], new: Mapping[Id, str], nodes: Nodes
) -> list[tuple[Id, Id]]:
    """Arguments that stand in each other's place: equal ones, those of one name, the like, then the rest in order.

    Operators that commute sort their arguments, so that places alone say nothing.
    """
    rest, pairs = list(two), []
    alike: tuple[Callable[[Id, Id], bool], ...] = (
        lambda a, b: a == b,
        lambda a, b: a in old and old[a] == new.get(b),
        lambda a, b: _kind(nodes(a)) == _kind(nodes(b)),
        lambda a, b: True,
    )
    left = list(one)
    for like in alike:
        for a in list(left):
            b = next((b for b in rest if like(a, b)), None)
            if b is not None:
                left.remove(a)
                rest.remove(b)
                pairs.append((a, b))
    return pairs


def _kind(node: Node | None) -> str | None:
    return node.operator if node is not None else None


def numbers(before: Sequence[Row], after: Sequence[Row]) -> list[Number]:
    """The prints that differ in rows of the same case and cell, the largest change first."""
    old = {_key(row): row for row in before}
    found = []
    for row in after:
        earlier = old.get(_key(row))
        if earlier is not None:
            for label in dict.fromkeys((*earlier.values, *row.values)):
                a, b = earlier.values.get(label), row.values.get(label)
                if a != b and not (a != a and b != b):
                    found.append(Number(title(row), label, a, b))
    return sorted(found, key=lambda each: -each.change)


def pairs(before: Sequence[Row], after: Sequence[Row]) -> Iterator[tuple[Row, Row]]:
    """Rows of the same case and cell."""
    old = {_key(row): row for row in before}
    yield from ((old[_key(row)], row) for row in after if _key(row) in old)


def title(row: Row) -> str:
    """A row's case, and its cell."""
    cell = " ".join(f"{name}={shown(value)}" for name, value in row.parameters.items())
    return f"{row.case} {cell}".strip()


def _key(row: Row) -> tuple[object, ...]:
    return (row.case, *sorted(row.parameters.items()))
