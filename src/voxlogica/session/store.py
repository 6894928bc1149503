"""The session's store: where it lies, and what it remembers of files and runs besides outcomes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from voxlogica import identity
from voxlogica.formula import Formula, Hole, below
from voxlogica.identity import Id
from voxlogica.storage import Claim, StorageBackend, StoreFull
from voxlogica.storage.records import FormulaRow, Memo, Records, Stamp
from voxlogica.values import shown

VARIABLE = "VOXLOGICA_STORE"
CONSTANT, LEAF = "constant", "load"
"""What formulas that apply no operator are noted as."""
_PATIENCE = 2.0  # seconds after which a file is read that somebody else is reading; that one may be stopped


def directory() -> Path:
    """Where the store is unless told otherwise: $VOXLOGICA_STORE, or a place for data of this user."""
    given = os.environ.get(VARIABLE)
    if given:
        return Path(given)
    from platformdirs import user_data_path

    return user_data_path("voxlogica") / "store"


class Files:
    """The store as a memory of files (`images.Memo`). What it cannot take is not remembered, which costs time only."""

    def __init__(self, records: Records, storage: StorageBackend) -> None:
        self._records, self._storage = records, storage

    def recall(self, path: str, status: tuple[int, ...]) -> tuple[bytes, str] | None:
        """The digest and header of a file that has not changed since."""
        memo = self._records.memo(Stamp(path, *status))
        return (memo.digest, memo.header) if memo is not None and memo.verified else None

    @contextmanager
    def reading(self, paths: Sequence[str]) -> Iterator[None]:
        """Entered when no other process reads these files through, or the one that does takes too long."""
        named = [str(Path(path).absolute()) for path in paths]
        try:
            claim = self._storage.claim(identity.reading(named), timeout=_PATIENCE)
        except StoreFull:
            claim = None
        with claim if isinstance(claim, Claim) else nullcontext():
            yield

    def remember(self, path: str, status: tuple[int, ...], digest: bytes, header: str, settled: bool) -> None:
        """Notes a file that was verified; one that is not settled is noted for its digest only."""
        try:
            self._records.remember(Stamp(path, *status), Memo(digest, header, verified=settled))
        except StoreFull:
            return


def note(
    records: Records,
    program: str,
    settings: Mapping[str, object],
    names: Mapping[str, Formula],
    started: float,
    kind: str = "run",
    about: Mapping[str, object] | None = None,
) -> int | None:
    """Notes a run, begun by this process; its number, None when the store takes nothing any more."""
    about = {**(about or {}), "process": records.process}
    try:
        return records.add_run(program, settings, {name: each.id for name, each in names.items()}, started, kind, about)
    except StoreFull:
        return None


def note_end(records: Records, number: int, ended: str) -> None:
    """Notes how a run ended: `done`, `failed` or `interrupted`; one that is killed notes nothing."""
    with suppress(StoreFull):
        records.note_about(number, "ended", ended)


def note_formulas(records: Records, goals: Iterable[Formula], digests: Mapping[Id, bytes]) -> None:
    """Notes what some goals are made of; `digests` are those of the files, by the ids of their leaves."""
    with suppress(StoreFull):
        records.add_formulas(_row(formula, digests) for formula in below(list(goals), parts=True))


def _row(formula: Formula, digests: Mapping[Id, bytes]) -> FormulaRow:
    space = formula.space.id if formula.space is not None else None
    if formula.operator is not None:
        arguments = tuple([part.id for part in formula.parts])
        return FormulaRow(formula.id, formula.operator.name, formula.operator.version, space, arguments, b"")
    if isinstance(formula, Hole):
        return FormulaRow(formula.id, "hole", 0, space, (), b"")
    if formula.file is not None:
        return FormulaRow(formula.id, LEAF, 0, space, (), digests[formula.id])
    return FormulaRow(formula.id, CONSTANT, 0, None, (), json.dumps(formula.value).encode())


def constant(row: FormulaRow) -> str:
    """A noted constant as text."""
    return literal(json.loads(row.parameters))


def literal(value: bool | float | str) -> str:
    """A constant as a program would write it."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else shown(value)


def lines(records: Records, id: Id) -> Iterator[str]:
    """How a value was made, down to the files, as an indented tree; what was shown already is only named."""
    shown: set[Id] = set()
    stack: list[tuple[Id, int]] = [(id, 0)]
    while stack:
        id, level = stack.pop()
        indent, row = "  " * level, records.formula(id)
        if row is None:
            yield f"{indent}{id.hex()[:12]}  not known"
            continue
        if row.operator == CONSTANT:
            yield f"{indent}{constant(row)}"
            continue
        if row.operator == LEAF:
            paths = records.paths(row.parameters) or ["a file not seen lately, or an array"]
            yield f"{indent}{id.hex()[:12]}  load {', '.join(paths)}   sha256 {row.parameters.hex()[:12]}…"
            continue
        again = id in shown
        version = f" version {row.version}" if row.version != 1 else ""
        more = "  (above)" if again and row.arguments else ""
        yield f"{indent}{id.hex()[:12]}  {row.operator}{version}{more}"
        shown.add(id)
        if not again:
            stack += [(argument, level + 1) for argument in reversed(row.arguments)]
