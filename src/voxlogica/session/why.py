"""Why something is computed again: the one thing that changed in its identity since an earlier run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from voxlogica._dataclass import dataclass
from voxlogica.errors import Span
from voxlogica.formula import BYTES, Formula, Hole
from voxlogica.identity import Id
from voxlogica.session.store import CONSTANT, LEAF, constant, literal
from voxlogica.storage.records import FormulaRow, Records
from voxlogica.values import Scalar


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter: where its literal is, its value now and, as far as that is known, in the earlier run."""

    name: str
    span: Span
    now: Scalar
    before: Scalar


@dataclass(frozen=True, slots=True)
class Reason:
    """A task that is to be computed, and why."""

    formula: Formula
    why: str


NEW = "it is new: no earlier run had it"
ORIGIN = "what the file says of its origin changed: a parameter, an expression or a version"
PLANNED = "planning puts it in for others that are computed, and its value is not stored"
LOST = "nothing changed, but its value is not stored: it was collected, or is too cheap to keep"


def reasons(
    records: Records,
    earlier: Mapping[str, Id],
    names: Mapping[str, Formula],
    tasks: Sequence[Formula],
    digests: Mapping[Id, bytes],
    parameters: Sequence[Parameter] = (),
) -> list[Reason]:
    """Why each of these tasks, arguments before what uses them, is computed, compared with an earlier run's names."""
    before = _pairs(records, earlier, names)
    why: dict[Id, str] = {}

    def changed(formula: Formula) -> str:
        old = before.get(formula.id)
        if formula.origin is None:
            return PLANNED
        return why.get(formula.id) or _difference(records, formula, old, before, why, digests, parameters)

    return [Reason(task, why.setdefault(task.id, changed(task))) for task in tasks]


def _pairs(records: Records, earlier: Mapping[str, Id], names: Mapping[str, Formula]) -> dict[Id, Id]:
    """For each formula, the one that stood in its place: walks down from the names both runs have."""
    pairs: dict[Id, Id] = {}
    stack = [(formula, earlier[name]) for name, formula in reversed(list(names.items())) if name in earlier]
    while stack:
        formula, old = stack.pop()
        if formula.id in pairs:
            continue
        pairs[formula.id] = old
        if formula.id != old:
            row = records.formula(old)
            if row is not None and formula.operator is not None and row.operator == formula.operator.name:
                stack += reversed(_matched(records, formula, row))
    return pairs


def _matched(records: Records, formula: Formula, row: FormulaRow) -> list[tuple[Formula, Id]]:
    """Arguments that stand in each other's place, in order.

    Where the operator sorts its arguments, equal ones do, then the like.
    """
    new, rest = formula.parts, list(row.arguments)
    if formula.operator is not None and not formula.operator.commutative and len(new) == len(rest):
        return list(zip(new, rest, strict=True))
    found: dict[int, Id] = {}
    for alike in (_equal, _like, _any):
        for place, argument in enumerate(new):
            id = next((id for id in rest if alike(records, argument, id)), None) if place not in found else None
            if id is not None:
                rest.remove(id)
                found[place] = id
    return [(new[place], found[place]) for place in sorted(found)]


def _equal(_: Records, formula: Formula, old: Id) -> bool:
    return formula.id == old


def _like(records: Records, formula: Formula, old: Id) -> bool:
    row = records.formula(old)
    kind = formula.operator.name if formula.operator else LEAF if formula.file is not None else CONSTANT
    return row is not None and row.operator == kind


def _any(*_: object) -> bool:
    return True


def _difference(
    records: Records,
    formula: Formula,
    old: Id | None,
    before: Mapping[Id, Id],
    why: Mapping[Id, str],
    digests: Mapping[Id, bytes],
    parameters: Sequence[Parameter],
) -> str:
    """The first difference on the way down, taken from an argument where that is known already."""
    here: Formula | None = formula
    at = formula  # whose place in the program is said: what stands elsewhere first is known by that place only
    while here is not None:
        if old is None:  # below what did not change, or in no earlier run
            return NEW if records.formula(here.id) is None else LOST
        if old == here.id:
            return LOST
        row = records.formula(old)
        if row is None:
            return NEW
        said = _own_difference(here, row, digests.get(here.id), at, parameters)
        if said:
            return said
        whole = here
        # By the place here, since a formula may stand in several, and have changed in one of them only.
        pairs = _matched(records, here, row)
        here, old = next(((new, old) for new, old in pairs if old != new.id), (None, None))
        if here is not None and old is not None and _is_provenance(whole, here):
            return ORIGIN
        if here is not None and here.id in why and before.get(here.id) == old:
            return why[here.id]
        at = here if here is not None and before.get(here.id) == old else whole
    return NEW


def _is_provenance(whole: Formula, argument: Formula) -> bool:
    """Whether this is the text that a saved file carries."""
    operator = whole.operator
    return operator is not None and operator.result is BYTES and argument is whole.arguments[-1]


def _own_difference(
    formula: Formula, row: FormulaRow, digest: bytes | None, at: Formula, parameters: Sequence[Parameter]
) -> str:
    """What differs in the formulas themselves, arguments aside, and the place of `at`; "" when nothing does."""
    place = f"   {at.origin.span}" if at.origin is not None else ""
    if isinstance(formula, Hole):
        return ""
    if formula.operator is None:
        if digest is not None:
            changed = row.operator == LEAF and row.parameters != digest
            return f"the file has other contents{place}" if changed else f"a file is used on another grid{place}"
        assert formula.value is not None, "a formula without operator and file is a constant"
        said = f"{literal(formula.value)}, was {_shown(row)}"
        found = _parameter(formula, row, at, parameters)
        return f"the parameter `{found.name}` is {said}   {found.span}" if found is not None else f"{said}{place}"
    if formula.operator.name != row.operator:
        return f"`{formula.operator.symbol}`, was {_shown(row)}{place}"
    if formula.operator.version != row.version:
        return f"`{formula.operator.symbol}` has version {formula.operator.version}, had {row.version}{place}"
    if (formula.space.id if formula.space is not None else None) != row.space:
        differ = any(part.space is not None for part in formula.parts)
        return "" if differ else f"`{formula.operator.symbol}` is on another grid{place}"
    return "" if len(formula.parts) == len(row.arguments) else f"`{formula.operator.symbol}` has other arguments{place}"


def _parameter(constant: Formula, row: FormulaRow, at: Formula, parameters: Sequence[Parameter]) -> Parameter | None:
    """The parameter that a constant is. One that is another literal too, written before, is known by its values."""
    if at is constant:
        return next((each for each in parameters if at.origin is not None and each.span == at.origin.span), None)
    values = (literal(constant.value), _shown(row)) if constant.value is not None else ()
    found = [each for each in parameters if (literal(each.now), literal(each.before)) == values]
    return found[0] if len(found) == 1 else None


def _shown(row: FormulaRow) -> str:
    return constant(row) if row.operator == CONSTANT else f"`{row.operator}`"
