"""The events of a run: each task's story, whole and in order; the file, the table and the trace made of them."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from voxlogica.errors import Refusal, Source, Span
from voxlogica.execution.engine import ExecutionEngine
from voxlogica.execution.events import EventsFile, Profile, all_of
from voxlogica.execution.messages import Counts, Event
from voxlogica.formula import Formulas, Origin
from voxlogica.identity import Id
from voxlogica.storage import Claim, MemoryStorage
from world import World, outcomes


def refuse(*_: object) -> object:
    raise Refusal("no")


def test_every_task_has_a_beginning_and_one_end():
    """And every value that was computed is persisted or freed, whatever the run's outcome."""
    world, told = World(), list[Event]()
    a = world("a", lambda: 1.0)
    b = world("b", lambda x: x, a)
    c = world("c", refuse, b)
    d = world("d", lambda x: x, c)
    with ExecutionEngine(MemoryStorage(), jobs=2) as engine:
        outcomes(engine, b, d, listen=told.append)
    kinds = {f.label: [event.kind for event in told if event.formula is f] for f in (a, b, c, d)}
    assert kinds["d"] == ["skipped"]
    assert kinds["c"] == ["started", "failed"]
    for name in "ab":
        assert kinds[name][:2] == ["started", "done"]
        assert Counter(kinds[name]) == {"started": 1, "done": 1, "persisted": 1, "freed": 1}


def test_stamps_are_of_one_clock_and_say_who_did_it():
    world, told = World(), list[Event]()
    goals = [world(f"g{n}", lambda: 1.0) for n in range(20)]
    with ExecutionEngine(MemoryStorage(), jobs=3) as engine:
        outcomes(engine, *goals, listen=told.append)
    done = [event for event in told if event.kind == "done"]
    started = {event.id: event.at for event in told if event.kind == "started"}
    assert len(done) == 20
    assert all(event.worker in (0, 1, 2) for event in done)
    assert all(event.at - event.seconds >= started[event.id] for event in done)


def test_waiting_for_others_is_told_with_how_long():
    world, told, storage = World(), list[Event](), MemoryStorage()
    goal, other = world("goal", lambda: 3.0), world("other", lambda: 0.0)
    claim = storage.claim(goal.id)
    assert isinstance(claim, Claim)
    with ExecutionEngine(storage, jobs=1) as engine:
        run = engine.run([goal, other], listen=told.append)
        found = iter(run)
        assert next(found)[0] is other
        assert run.counts.waiting == 1
        storage.release(claim)
        list(found)
    (waited,) = [event for event in told if event.kind == "waited"]
    assert (waited.formula, waited.seconds > 0) == (goal, True)
    assert run.counts.waiting == 0


def test_counts_have_what_a_display_needs():
    world = World()
    goal = world("goal", lambda a: a, world("a", lambda: 1.0))
    with ExecutionEngine(MemoryStorage(), jobs=2, memory=10**6) as engine:
        run = engine.run([goal])
        list(run)
        assert run.counts.usage.budget == 10**6
        assert run.counts.usage is engine._workers.machine.usage
    assert run.counts == Counts(tasks=2, done=2)
    assert run.counts.seconds > 0


def test_what_remains_is_measured_against_the_estimates():
    counts = Counts(expected=10.0, settled=4.0, estimated=2.0)
    assert counts.remaining(1) is None, "nothing is measured yet"
    counts.seconds = 6.0
    assert counts.remaining(1) == 18.0
    assert counts.remaining(2) == 9.0
    counts.settled = 11.0
    assert counts.remaining(2) == 0.0


# What is made of them

ID = Id(b"\x01" * 32)


def event(kind: str, name: str, at: float, **more: float | str) -> Event:
    source = Source("a.imgql", "print maxvol(x)\n")
    operator = World().operator(name, lambda: 0.0, 0, "")
    formula = Formulas().apply(operator, (), None, Origin(Span(source, 6, 15)))
    return Event(kind, ID, formula, at, **more)  # type: ignore[arg-type]


STORY = [
    event("started", "dt", 1.0),
    event("reused", "load", 1.0, bytes=50),
    event("done", "dt", 3.5, seconds=2.5, bytes=36_000_000, worker=1),
    event("done", "dt", 4.0, seconds=0.5, bytes=4_000_000, worker=0),
    event("waited", "near", 5.0, seconds=4.0),
    event("failed", "maxvol", 6.0, seconds=0.25, worker=0),
    event("evicted", "dt", 6.5, bytes=36_000_000),
    event("freed", "dt", 7.0, bytes=4_000_000),
]


def test_the_file_has_a_line_for_each_event_at_once(tmp_path: Path):
    path = tmp_path / "events.jsonl"
    with EventsFile(path) as events:
        for each in STORY:
            events(each)
        lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines[0] == {"format": 1, "process": os.getpid()}
    assert len(lines) == 1 + len(STORY)
    assert lines[3] == {
        "event": "done", "id": ID.hex(), "operator": "dt", "at": 3.5, "seconds": 2.5, "bytes": 36_000_000, "worker": 1,
    }  # fmt: skip
    assert lines[6] == {
        "event": "failed", "id": ID.hex(), "operator": "maxvol", "at": 6.0, "seconds": 0.25, "worker": 0,
        "position": "a.imgql:1:7",
    }  # fmt: skip


def test_the_table_says_where_the_time_went():
    profile = Profile()
    for each in STORY:
        profile(each)
    assert (
        str(profile)
        == """\
operator  calls  hits  failed  seconds    bytes  waiting  evicted
dt            2     0       0    3.000  40.0 MB    0.000        1
maxvol        0     0       1    0.250      0 B    0.000        0
near          0     0       0    0.000      0 B    4.000        0
load          0     1       0    0.000      0 B    0.000        0
all           2     1       1    3.250  40.0 MB    4.000        1"""
    )
    assert [row.operator for row in profile.rows] == ["dt", "maxvol", "near", "load"]


def test_what_a_rewrite_makes_is_told_by_both_names(tmp_path: Path):
    profile, path = Profile(), tmp_path / "events.jsonl"
    made = event("done", "not", 2.0, seconds=1.0, how="compare_distance")
    profile(made)
    profile(event("done", "not", 3.0, seconds=0.5))
    assert [row.operator for row in profile.rows] == ["not as compare_distance", "not"]
    with EventsFile(path) as events:
        events(made)
    line = json.loads(path.read_text().splitlines()[1])
    assert (line["operator"], line["how"]) == ("not", "compare_distance")


def test_the_trace_has_a_span_for_each_kernel(tmp_path: Path):
    profile = Profile()
    for each in STORY:
        profile(each)
    path = tmp_path / "trace.json"
    profile.write_trace(path)
    events = json.loads(path.read_text())["traceEvents"]
    assert [(e["name"], e["ph"], e["ts"], e.get("dur"), e["tid"]) for e in events] == [
        ("reused load", "i", 1e6, None, 0),
        ("dt", "X", 1e6, 2.5e6, 1),
        ("dt", "X", 3.5e6, 0.5e6, 0),
        ("near", "b", 1e6, None, 0),
        ("near", "e", 5e6, None, 0),
        ("maxvol", "X", 5.75e6, 0.25e6, 0),
        ("evicted dt", "i", 6.5e6, None, 0),
    ]
    assert list(tmp_path.iterdir()) == [path], "nothing half-written is left"


def test_several_listen_or_nobody():
    heard: list[tuple[int, Event]] = []
    both = all_of(None, lambda e: heard.append((1, e)), lambda e: heard.append((2, e)))
    assert both is not None
    both(STORY[0])
    assert heard == [(1, STORY[0]), (2, STORY[0])]
    assert all_of(None, None) is None
    assert all_of(None, print) is print


def test_a_file_that_cannot_be_written_says_so(tmp_path: Path):
    with pytest.raises(OSError, match="absent"):
        EventsFile(tmp_path / "absent" / "events")
