"""Operators of one symbol for many choices of types: what takes any values, and what another library computes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from voxlogica._dataclass import dataclass
from voxlogica.formula import IMAGE, LABELS, MASK, MODEL, Operator, Type


@dataclass(frozen=True, eq=False)
class Family:
    """Operators of one symbol that differ in the types of their arguments, as many as there are choices of types.

    `parameters` are the names, with the types that each may have; the last `optional` ones may be left out, and the
    last one may be given again and again if `repeated`; of the last one nothing but its grid counts if `like`: it is no
    argument of the operator, whose result lies there. Those at the numbers `whole` are whole numbers. `others` are
    families of the same symbol, which take other arguments. `result`, the `defaults` and the `version`, that of the
    operators, are shown to people. The name of an operator that `make` makes is the symbol with the types in brackets.
    """

    symbol: str
    parameters: tuple[tuple[str, tuple[Type, ...]], ...]
    result: str
    make: Callable[[tuple[Type, ...]], Operator]
    doc: str
    optional: int = 0
    repeated: bool = False
    like: bool = False
    whole: frozenset[int] = frozenset()
    defaults: tuple[str, ...] = ()
    others: tuple[Family, ...] = ()
    version: int = 1

    @property
    def signature(self) -> str:
        """How it is shown to people."""
        whole = len(self.parameters) - self.optional
        defaults = [f" = {default}" if default else "" for default in self.defaults] or [""] * len(self.parameters)
        given = zip(self.parameters, defaults, strict=True)
        shown = [f"{name}: {_choice(kinds)}{default}" for (name, kinds), default in given]
        shown = [each if n < whole else f"[{each}]" for n, each in enumerate(shown)]
        return f"{self.symbol}({', '.join([*shown, *(['…'] if self.repeated else [])])}) -> {self.result}"

    def accepted(self, number: int) -> tuple[Type, ...]:
        """The types that an argument may have, by its number."""
        return self.parameters[min(number, len(self.parameters) - 1)][1]

    def takes(self, count: int) -> bool:
        """Whether it takes so many arguments."""
        most = len(self.parameters)
        return most - self.optional <= count and (self.repeated or count <= most)

    def fit(self, kinds: Sequence[Type | None]) -> int | None:
        """The number of the first argument that does not fit, too few or too many included; None when all do.

        What is unknown fits.
        """
        wrong = [n for n, kind in enumerate(kinds) if kind and not any(w.accepts(kind) for w in self.accepted(n))]
        return wrong[0] if wrong else None if self.takes(len(kinds)) else len(kinds)

    def chosen(self, kinds: Sequence[Type]) -> Operator:
        """The operator for arguments of such types, which it takes."""
        wanted = [next(w for w in self.accepted(n) if w.accepts(kind)) for n, kind in enumerate(kinds)]
        return self.make(tuple(wanted))


def _choice(kinds: Sequence[Type]) -> str:
    *others, last = [str(kind) for kind in kinds]
    if {LABELS, MASK, IMAGE, MODEL} == set(kinds):
        return "any image"
    return f"{', '.join(others)} or {last}" if others else last
