"""What can be made of a run's events: a file of JSON lines, a table of where the time went, a trace to look at.

    with EventsFile(path) as events:
        profile = Profile()
        run = engine.run(goals, listen=all_of(events, profile))
        ...
    print(profile)
    profile.write_trace(trace_path)

Each is called with the events of a run, in order, in the thread that iterates over it. Times are in seconds of the
machine's monotonic clock, which processes share: streams of several processes can be merged.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

from voxlogica._dataclass import dataclass
from voxlogica.errors import human_size
from voxlogica.execution.messages import Event

FORMAT = 1
"""The version of the lines of an events file; it is in its first line."""

Listener = Callable[[Event], None]


def all_of(*listeners: Listener | None) -> Listener | None:
    """One listener that tells several, those that are there; None when there is none, since listening has its cost."""
    present = [listener for listener in listeners if listener is not None]
    if len(present) < 2:
        return present[0] if present else None

    def tell(event: Event) -> None:
        for listener in present:
            listener(event)

    return tell


class EventsFile:
    """Writes events as JSON lines, each at once, so that what a killed process had written can be read.

    The first line is `{"format": 1, "process": PID}`. The others have `event`, `id`, `operator`, `at` and, unless they
    are nothing, `how`, `seconds`, `bytes`, `worker`; a failure has its `position` in the program. Raises `OSError` when
    it cannot be written.
    """

    def __init__(self, path: str | Path) -> None:
        self._file: IO[str] = Path(path).open("w", encoding="utf-8", buffering=1)  # noqa: SIM115 - until `__exit__`
        self._file.write(json.dumps({"format": FORMAT, "process": os.getpid()}) + "\n")

    def __call__(self, event: Event) -> None:
        line: dict[str, object] = {
            "event": event.kind, "id": event.id.hex(), "operator": event.formula.label, "at": event.at,
        }  # fmt: skip
        if event.how:
            line["how"] = event.how
        if event.seconds:
            line["seconds"] = event.seconds
        if event.bytes:
            line["bytes"] = event.bytes
        if event.worker >= 0:
            line["worker"] = event.worker
        if event.kind == "failed" and event.formula.origin is not None:
            line["position"] = str(event.formula.origin.span)
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")

    def __enter__(self) -> EventsFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


@dataclass(slots=True)
class Row:
    """What an operator took: kernels run, values found instead, seconds and bytes of the kernels, seconds waited."""

    operator: str
    calls: int = 0
    hits: int = 0
    failed: int = 0
    seconds: float = 0.0
    bytes: int = 0
    waiting: float = 0.0
    evicted: int = 0


class Profile:
    """Collects where the time went, by operator, and what each worker did when."""

    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}
        self._spans: list[Event] = []

    def __call__(self, event: Event) -> None:
        kind, label = event.kind, event.label
        row = self._rows.get(label)
        if row is None:
            row = self._rows[label] = Row(label)
        if kind == "done":
            row.calls += 1
            row.seconds += event.seconds
            row.bytes += event.bytes
        elif kind == "reused":
            row.hits += 1
        elif kind == "failed":
            row.failed += 1
            row.seconds += event.seconds
        elif kind == "waited":
            row.waiting += event.seconds
        elif kind == "evicted":
            row.evicted += 1
        if kind not in ("started", "freed"):
            self._spans.append(event)

    @property
    def rows(self) -> list[Row]:
        """The table, the dearest operators first."""
        return sorted(self._rows.values(), key=lambda row: (-row.seconds, -row.waiting, row.operator))

    def __str__(self) -> str:
        """The table as text, with a line of sums; columns in which there is nothing are left out."""
        rows = self.rows
        total = Row("all")
        for row in rows:
            for name in Row.__slots__[1:]:
                setattr(total, name, getattr(total, name) + getattr(row, name))
        shown = [name for name in Row.__slots__[1:] if name in ("calls", "seconds") or getattr(total, name)]
        table = [["operator", *shown]]
        for row in (*rows, total):
            table.append([row.operator, *(_SHOWN.get(name, str)(getattr(row, name)) for name in shown)])
        widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
        return "\n".join(
            "  ".join(
                [line[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(line[1:], widths[1:], strict=True))]
            )
            for line in table
        )

    def trace(self) -> dict[str, object]:
        """What happened when, in the format that Perfetto and Chrome's `about:tracing` read.

        Kernels are spans on the track of their worker, waits for other owners have tracks of their own, the rest are
        instants.
        """
        process = os.getpid()
        events: list[dict[str, object]] = []
        for event in self._spans:
            described: dict[str, object] = {
                "name": event.label, "cat": event.kind, "pid": process, "tid": max(event.worker, 0),
                "args": {"id": event.id.hex(), "bytes": event.bytes},
            }  # fmt: skip
            begun = (event.at - event.seconds) * 1e6
            if event.kind == "waited":  # these overlap: as pairs of asynchronous events
                events.append(described | {"ph": "b", "ts": begun, "id": event.id.hex()})
                events.append(described | {"ph": "e", "ts": event.at * 1e6, "id": event.id.hex()})
            elif event.kind in ("done", "failed", "retried"):
                events.append(described | {"ph": "X", "ts": begun, "dur": event.seconds * 1e6})
            else:
                name = f"{event.kind} {event.label}"
                events.append(described | {"name": name, "ph": "i", "ts": event.at * 1e6, "s": "p"})
        return {"traceEvents": events, "displayTimeUnit": "ms"}

    def write_trace(self, path: str | Path) -> None:
        """Writes the trace; the file is there when it is whole. Raises `OSError`."""
        path = Path(path)
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            partial.write_text(json.dumps(self.trace()), encoding="utf-8")
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


_SHOWN: dict[str, Callable[..., str]] = {
    "seconds": "{:.3f}".format,
    "waiting": "{:.3f}".format,
    "bytes": human_size,
}
