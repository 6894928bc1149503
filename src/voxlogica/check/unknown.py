"""Names that mean nothing: where they would, and what was perhaps meant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from voxlogica.check import messages
from voxlogica.check.absent import instead_of
from voxlogica.check.bodies import Body
from voxlogica.check.forms import FORMS
from voxlogica.check.imports import members, unusable
from voxlogica.check.names import Function, Kind, Value
from voxlogica.errors import Diagnostic, Mark, Span
from voxlogica.library import NAMESPACES
from voxlogica.operators import by_symbol, own
from voxlogica.syntax.ast import Let

if TYPE_CHECKING:
    from voxlogica.check.expressions import Expressions

_COMPARED = 100
"""So many unknown names are compared with all others: where there are more, an import is missing, not a letter."""


def unknown_name(checker: Expressions, body: Body, name: str, span: Span, kinds: Sequence[Kind | None]) -> Diagnostic:
    """What is said of a name that means nothing: what it was perhaps meant to be."""
    current = body.definition or checker.definitions.current()
    if isinstance(current, Let) and current.name == name:
        body.top.recursive = True
        mark = Mark(current.name_span)
        help = "there is no recursion: a definition sees only what stands above it"
        message = f"`{name}` is used in its own definition"
        return Diagnostic("name", message, span, "being defined here", (mark,), help=help)
    later = checker.definitions.later(name)
    if later is not None and later.source is span.source and later.start > span.start:
        help = "a definition sees only what stands above it: move this one up"
        if isinstance(current, Let) and checker.definitions.uses(name, current.name):
            help = "there is no recursion: two definitions cannot use each other"
        mark = Mark(later, "defined here")
        return Diagnostic("name", f"`{name}` is used before it is defined", span, "", (mark,), help=help)
    checker.compared += 1
    if checker.compared > _COMPARED:
        return messages.no_such_name(name, span, "", (), "")
    if (instead := instead_of(name)) is not None:
        return Diagnostic("name", f"`{name}` {instead.reason}", span, help=instead.help)
    if name in NAMESPACES:
        return messages.namespace_alone(name, span, members(name))
    namespace, point, word = name.partition(".")
    if point and not messages.is_symbol(name):
        return _unknown_in(checker, body, namespace, word, span)
    if unusable(name):
        return messages.unusable(name, span, unusable(name))
    elsewhere = [f"{each}.{name}" for each in NAMESPACES if name in members(each)]
    if elsewhere:
        return messages.not_imported(name, span, elsewhere)
    return _perhaps(checker, body, name, span, kinds)


def _perhaps(checker: Expressions, body: Body, name: str, span: Span, kinds: Sequence[Kind | None]) -> Diagnostic:
    """What is said of a name by what is like it."""
    inside = body.names()
    candidates = [*inside, *checker.scope.names(body.moment), *by_symbol(), *own(), *FORMS]
    if messages.is_symbol(name):
        after = span.source.text[span.end : span.end + 20]
        digits = after[: next((n for n, c in enumerate(after) if not (c.isalnum() or c == ".")), len(after))]
        help = messages.glued(
            name, digits, len(kinds), lambda s, count: any(len(each) == count for each in checker.variants(body, s))
        )
        close = messages.related(name, candidates, kinds, lambda s: checker.variants(body, s))
        if help and (close is None or len(kinds) == 1):
            return messages.no_such_name(name, span, "", (), help)
    else:
        close = messages.nearest(name, candidates)
    if close is None:
        return messages.no_such_name(name, span, "", (), "")
    if close in inside:
        return messages.no_such_name(name, span, f"did you mean `{close}`?", (), "")
    meaning = checker.known_as(close, body.moment)
    marks: tuple[Mark, ...] = ()
    if isinstance(meaning, Value) or (isinstance(meaning, Function) and not meaning.bundled):
        marks = (Mark(meaning.name_span, "defined here"),)
    return messages.no_such_name(name, span, f"did you mean `{close}`?   {checker.shown(meaning, kinds)}", marks, "")


def _unknown_in(checker: Expressions, body: Body, namespace: str, word: str, span: Span) -> Diagnostic:
    """What is said of `namespace.word`."""
    if namespace == "simpleitk" and unusable(word):
        return messages.unusable(word, span, unusable(word))
    if namespace in NAMESPACES:
        return messages.no_member(namespace, word, span, members(namespace))
    local = body.local(namespace)
    meaning = None if local is not None else checker.scope.find(namespace, body.moment)
    if local is not None or isinstance(meaning, Value):
        kind = local.kind if local is not None else meaning.kind if isinstance(meaning, Value) else None
        return messages.no_namespace(namespace, word, span, kind)
    return messages.unknown_namespace(namespace, word, span, NAMESPACES)
