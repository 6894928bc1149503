"""What names mean in a scope, which arguments each meaning takes, and how it is shown."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Protocol

from voxlogica.check import messages
from voxlogica.check.bodies import Body, Checking, type_of
from voxlogica.check.forms import FORMS
from voxlogica.check.names import (
    Ambiguous,
    Bound,
    Form,
    Function,
    Instance,
    Kind,
    Meaning,
    Operand,
    Overloaded,
    Scope,
    Value,
    known,
)
from voxlogica.errors import Span
from voxlogica.formula import Operator, Type, signature
from voxlogica.operators import by_symbol, family, own
from voxlogica.operators.families import Family
from voxlogica.syntax.ast import Let, Load


class Definitions(Protocol):
    """What stands in the program around an expression."""

    def current(self) -> Let | Load | None:
        """The definition of the main code that is being checked."""
        ...

    def later(self, name: str) -> Span | None:
        """Where the whole program defines a name last."""
        ...

    def uses(self, name: str, other: str) -> bool:
        """Whether the last definition of a name in the whole program speaks of another name."""
        ...

    def general(self, function: Function) -> Instance:
        """A function checked for arguments of unknown types."""
        ...

    def run(self, checking: Checking) -> Operand:
        """Checks what a generator checks, with all that it requests."""
        ...


class Meanings:
    """The meanings of names, of the program's own and of what is built in."""

    def __init__(self, scope: Scope, definitions: Definitions) -> None:
        self.scope, self.definitions = scope, definitions

    def bound(self, body: Body, name: str) -> bool:
        """Whether the program gives a name a meaning of its own."""
        return body.local(name) is not None or self.scope.find(name, body.moment) is not None

    def meaning(self, body: Body, name: str) -> Meaning | None:
        """What a name that is bound nowhere inside means in a body."""
        bound = self.scope.find(name, body.moment)
        if type(bound) is Value:
            body.uses.add(bound.owner)
            return bound
        if type(bound) is Overloaded and not self.scope.opens:
            body.uses |= bound.owners
            return bound
        meaning = self.visible(name, body.moment, bound)
        if isinstance(meaning, Overloaded):
            body.uses |= meaning.owners
        elif isinstance(meaning, (Value, Function)):
            body.uses.add(meaning.owner)
        return meaning

    def known_as(self, name: str, moment: int) -> Meaning | None:
        """What a name means at a moment (C16): the program's own, else what is in the visible namespaces."""
        return self.visible(name, moment, self.scope.find(name, moment))

    def visible(self, name: str, moment: int, bound: Bound | None) -> Meaning | None:
        """The same for who knows already to what the scope binds it."""
        if isinstance(bound, Value) or (isinstance(bound, Function) and not bound.bundled):
            return bound
        meaning: Meaning | None = bound or built_in(name)
        namespaces = self.scope.opened(moment)
        if meaning is None and name.startswith(("default.", "vox1.")):
            word = name.partition(".")[2]
            return self.scope.find(word, self.scope.default) or built_in(word)
        if not namespaces:
            return meaning
        found: dict[str, Meaning] = {} if meaning is None else {f"default.{name}": meaning}
        for namespace in namespaces:
            whole = f"{namespace}.{name}"
            there = self.scope.find(whole, moment) or built_in(whole)
            if there is None or any(_within(there, other) for other in found.values()):
                continue
            found = {here: other for here, other in found.items() if not _within(other, there)}
            found[whole] = there
        return Ambiguous(name, tuple(found)) if len(found) > 1 else next(iter(found.values()), None)

    def wanted(self, meaning: Meaning | None) -> Sequence[tuple[str, Type | None]]:
        """The parameters of what may be applied, with their types where those are certain."""
        match meaning:
            case Operator():
                return meaning.parameters
            case Function():
                self.definitions.general(meaning)
                return meaning.parameters
            case Overloaded():
                return self.wanted(meaning.alternatives[0])
            case Form():
                return [(name, None) for name in meaning.variants[0]]
            case Family():
                return [(name, None) for name, _ in meaning.parameters]
        return ()

    def variants(self, body: Body, symbol: str) -> messages.Variants:
        """The parameters of each thing that a symbol means and that can be applied."""
        meaning = self.known_as(symbol, body.moment)
        if meaning is None or isinstance(meaning, (Value, Form, Family, Ambiguous)):
            return ()
        alternatives = meaning.alternatives if isinstance(meaning, Overloaded) else (meaning,)
        return tuple([self.wanted(each) for each in alternatives])

    def shown(self, meaning: Meaning | None, kinds: Sequence[Kind | None] = (), symbol: str = "") -> str:
        """What a person may know of a meaning in half a line; of several, the one that takes such arguments."""
        match meaning:
            case Function():
                self.definitions.general(meaning)
                return meaning.signature
            case Operator():
                return signature(symbol or meaning.symbol, meaning.parameters, meaning.result)
            case Form() | Family():
                return meaning.signature
            case Overloaded():
                fitting = [each for each in meaning.alternatives if len(self.wanted(each)) == len(kinds)]
                return self.shown([*self.choose(fitting, kinds), *meaning.alternatives][0], (), meaning.symbol)
        return messages.one(meaning.kind) if isinstance(meaning, Value) else ""

    def likely(self, meaning: Overloaded, given: Sequence[Operand]) -> Operator | Function:
        """Which of several meanings was perhaps meant, when none takes so many arguments."""
        for each in meaning.alternatives:
            if all(
                want is None or (kind := type_of(operand)) is None or want.accepts(kind)
                for (_, want), operand in zip(self.wanted(each), given, strict=False)
            ):
                return each
        return meaning.alternatives[0]

    def choose(
        self, alternatives: Sequence[Operator | Function], kinds: Sequence[Kind | None]
    ) -> list[Operator | Function]:
        """The meanings that take arguments of these kinds, or the elements of those that are sequences."""
        given = [kind.innermost if isinstance(kind, Type) else kind for kind in map(known, kinds)]
        return [
            each
            for each in alternatives
            if all(
                want is None or not isinstance(kind, Type) or want.accepts(kind)
                for (_, want), kind in zip(self.wanted(each), given, strict=True)
            )
        ]


def _within(one: Meaning, other: Meaning) -> bool:
    """Whether a name means only what another does too: the measures are in `default` and in `arrays`."""
    mine, its = (each.alternatives if isinstance(each, Overloaded) else (each,) for each in (one, other))
    return all(any(each is known for known in its) for each in mine)


def built_in(name: str) -> Meaning | None:
    """What a name means that no definition has given a meaning."""
    return _built_in(name) or own().get(name)


@cache
def _built_in(name: str) -> Meaning | None:
    found = by_symbol().get(name, ())
    if len(found) > 1:
        return Overloaded(name, found)
    return found[0] if found else FORMS.get(name) or family(name)
