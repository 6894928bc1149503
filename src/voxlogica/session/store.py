"""The session's store: where it lies, and what it remembers of files and runs besides outcomes."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from voxlogica import identity
from voxlogica.formula import Formula, Hole, below
from voxlogica.identity import Id
from voxlogica.storage import Claim, StorageBackend, StoreFull
from voxlogica.storage.records import FormulaRow, Memo, Records, Stamp
from voxlogica.values import plain, shown

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
    """The store as a memory of files (`images.Memo`). What it cannot take is not remembered, which costs time only.

    A context: others that want files which are read through inside, wait until it is left, and find them then.
    """

    def __init__(self, records: Records, storage: StorageBackend) -> None:
        self._records, self._storage = records, storage
        self._until = 0.0
        self._claims = ExitStack()
        self._read: list[tuple[Stamp, Memo]] = []

    def __enter__(self) -> Files:
        self._until = time.monotonic() + _PATIENCE
        return self

    def __exit__(self, *_: object) -> None:
        with self._claims, suppress(StoreFull):
            for stamp, memo in self._read:
                self._records.remember(stamp, memo)
        self._read = []

    @property
    def new(self) -> bool:
        """Whether a file had to be read through."""
        return bool(self._read)

    def recall(self, path: str, status: tuple[int, ...]) -> tuple[bytes, str] | None:
        """The digest and header of a file that has not changed since."""
        memo = self._records.memo(Stamp(path, *status))
        return (memo.digest, memo.header) if memo is not None and memo.verified else None

    def reading(self, paths: Sequence[str]) -> bool:
        """Whether these files are to be read through here; False when another process did so: then look again.

        Waits for that process, unless it takes too long.
        """
        id = identity.reading([str(Path(path).absolute()) for path in paths])
        with suppress(StoreFull, TimeoutError):
            claim = _claim_or_wait(self._storage, id, self._until)
            if claim is None:
                return False
            self._claims.enter_context(claim)
        return True

    def remember(self, path: str, status: tuple[int, ...], digest: bytes, header: str, settled: bool) -> None:
        """Notes a file that was verified, for others at the end; one that is not settled for its digest only."""
        self._read.append((Stamp(path, *status), Memo(digest, header, verified=settled)))


def turn(storage: StorageBackend, id: Id, wanted: Collection[Id], patience: float) -> Claim | None:
    """The claim `id`, the right to be the one of equal runs that computes; None when all that is wanted is known.

    Who waits sleeps until the one that computes ends, or dies; then one inherits. This only saves work: that no task is
    computed twice is for its own claim. Raises `TimeoutError` when another has it for more than `patience` seconds.
    """
    until = time.monotonic() + patience
    with suppress(StoreFull):
        while len(storage.known(wanted)) < len(wanted):
            claim = _claim_or_wait(storage, id, until)
            if claim is not None:
                return claim
    return None


def _claim_or_wait(storage: StorageBackend, id: Id, until: float) -> Claim | None:
    """A claim on what has no outcome; None when somebody had it, and has let it go. Raises `TimeoutError`."""
    claim = storage.claim(id)
    if isinstance(claim, Claim):
        return claim
    storage.wait_for_completion(id, max(0.0, until - time.monotonic()))
    return None


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


def origin(records: Records, id: Id) -> list[dict[str, object]]:
    """How a value was made, down to the files: what is noted of its formula and of each below it, each once."""
    found: list[dict[str, object]] = []
    seen, stack = {id}, [id]
    while stack:
        id = stack.pop()
        row = records.formula(id)
        if row is None:
            found.append({"id": id.hex(), "known": False})
        elif row.operator == CONSTANT:
            found.append({"id": id.hex(), "constant": plain(json.loads(row.parameters))})
        elif row.operator == LEAF:
            digest = row.parameters
            found.append({"id": id.hex(), "sha256": digest.hex(), "paths": list(records.paths(digest))})
        else:
            arguments = [each.hex() for each in row.arguments]
            found.append({"id": id.hex(), "operator": row.operator, "version": row.version, "arguments": arguments})
            new = dict.fromkeys(each for each in row.arguments if each not in seen)
            seen |= new.keys()
            stack += reversed(new)
    return found


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
