"""Looking at a store from outside: what is in it, and which id is meant."""

from __future__ import annotations

from collections.abc import Iterator

from voxlogica._dataclass import dataclass
from voxlogica.identity import Id
from voxlogica.storage.catalogue import Catalogue

_KINDS = ("done", "failed", "failed for now")
_COLUMNS = "id, kind, form, size, seconds, operator, made, position, host"


@dataclass(frozen=True, slots=True)
class Entry:
    """An outcome: what became of a task, bytes stored, seconds taken, and where it comes from."""

    id: Id
    outcome: str
    tag: str
    bytes: int
    seconds: float
    operator: str
    made: float
    position: str
    host: str


class Listing:
    """The outcomes of a catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def latest(self, most: int) -> list[Entry]:
        """The latest outcomes, latest first."""
        sql = f"select {_COLUMNS} from outcomes order by made desc, id limit ?"
        return list(self._entries(sql, (most,)))

    def entry(self, id: Id) -> Entry | None:
        """One outcome."""
        return next(self._entries(f"select {_COLUMNS} from outcomes where id = ?", (id,)), None)

    def _entries(self, sql: str, parameters: tuple[object, ...]) -> Iterator[Entry]:
        for id, kind, form, size, seconds, operator, made, position, host in self._catalogue.read(sql, parameters):
            yield Entry(
                Id(id),
                _KINDS[kind],
                "" if kind else form.partition(" ")[0],
                size,
                seconds,
                operator,
                made,
                position,
                host,
            )

    def find(self, beginning: str, most: int = 8) -> list[Id]:
        """The ids, of outcomes or of formulas, whose hexadecimal form begins so; at most so many."""
        text = beginning.lower()
        low = bytes.fromhex(text.ljust(64, "0"))
        high = bytes.fromhex(text.ljust(64, "f"))
        between = "select id from {} where id between ? and ?"
        sql = f"{between.format('outcomes')} union {between.format('formulas')} limit ?"
        return [Id(id) for (id,) in self._catalogue.read(sql, (low, high, low, high, most))]
