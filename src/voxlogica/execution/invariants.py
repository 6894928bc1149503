"""What must hold of the state machine between events, counted anew from the records; each sentence once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxlogica.execution.messages import Claim, Compute, Deliver, Gather, Load, Store, Wait
from voxlogica.execution.states import (
    ASKED,
    CLAIMING,
    COMPLETED,
    DONE,
    DROPPED,
    FETCHING,
    FOREIGN,
    LOADING,
    MAKING,
    OPEN,
    READY,
    RUNNING,
    STOPPED,
    WAITING,
    WANTED,
    Record,
)

if TYPE_CHECKING:
    from voxlogica.execution.machine import Machine

_UNFINISHED = (WAITING, OPEN, CLAIMING, FOREIGN, *MAKING)


def check(machine: Machine) -> None:
    """Raises AssertionError, with the record's story, when an invariant does not hold."""
    asked: dict[Record, list[type]] = {}
    for kind, record in machine.unanswered:
        asked.setdefault(record, []).append(kind)
    records = set(machine.records.values()) | set(asked)
    for run in machine.runs.values():
        records |= run.goals | set(run.deliveries.values())
    for record in list(records):
        records.update(record.inputs)
    refs: dict[Record, int] = {}
    for record in records:
        for input in record.inputs:
            refs[input] = refs.get(input, 0) + 1
    for record in records:
        try:
            _check_record(record, asked.get(record, []), refs.get(record, 0), machine)
        except AssertionError as error:
            raise AssertionError(f"{record}: {error}\n" + "\n".join(machine.story(record.id))) from None
    _check_sums(machine, records)


def _check_record(record: Record, asked: list[type], users: int, machine: Machine) -> None:
    state = record.state
    assert (machine.records.get(record.id) is record) or state in (*STOPPED, DROPPED), "is not in the table"
    assert state != DROPPED or (not record.refs and not record.inputs), "a dropped task is read or reads"
    pins = len(record.pins) + asked.count(Deliver) + asked.count(Store)
    assert record.refs == users + pins, f"is read by {record.refs}, but {users} use it and {pins} pin it"
    assert record.refs or state in (*ASKED, LOADING, RUNNING, DROPPED), "is kept and nobody reads it"
    reading = state in _UNFINISHED or (state == DONE and record.gathers)
    assert bool(record.inputs) <= reading, "has ended and reads something"
    assert asked.count(Compute) + asked.count(Gather) == (state == RUNNING), "instructions to compute"
    for kind, states in ((Claim, (CLAIMING,)), (Wait, (FOREIGN,)), (Load, (LOADING,))):
        assert asked.count(kind) == (state in states), f"{asked.count(kind)} instructions to {kind.__name__}"
    assert not record.held or state in MAKING, "holds a claim and is not being made"
    assert not record.slot or state == CLAIMING or record.held, "has a place for claims and no claim"
    assert state != FOREIGN or not (record.held or record.slot), "waits for another and holds something"
    assert state not in STOPPED or (record.cause is not None and record.cause.error), "names no failure"
    assert not (record.dynamic and record.gathers), "has its formulas and waits for them"
    assert not record.dynamic or state != DONE, "has a value, though its formulas are not known"
    stopped = any(input.state in STOPPED for input in record.inputs)
    assert not stopped or state in ASKED, "goes on though an input failed"
    if state in (WAITING, OPEN, CLAIMING, FOREIGN, WANTED, READY, FETCHING) and not stopped:
        lacking = sum(not input.at_hand for input in record.inputs)
        assert record.lacking == lacking, f"lacks {lacking}, not {record.lacking}"
        assert (state == WAITING) <= bool(lacking), "lacks nothing and waits"
        assert state in (WAITING, *ASKED) or not lacking, "lacks something and does not wait"
    if state == WANTED:
        missing = sum(input.state not in COMPLETED for input in record.inputs)
        assert record.missing == missing > 0, f"misses {missing}, not {record.missing}, and is wanted"
        for input in record.inputs:
            assert input.state in MAKING or input.state in COMPLETED, f"is wanted, but {input} is not being made"
    if state == READY:
        assert all(input.state in COMPLETED for input in record.inputs), "is ready, and something is not completed"
    if state == FETCHING:
        missing = sum(input.state == LOADING for input in record.inputs)
        assert record.missing == missing > 0, f"misses {missing}, not {record.missing}, and is fetching"
        assert all(input.state in (DONE, LOADING) for input in record.inputs), "something is not being opened"
    if state == RUNNING or (state == DONE and record.gathers):
        assert all(input.state == DONE for input in record.inputs), "something it reads is not in memory"
    assert state == DONE or not record.resident, "has bytes in memory"
    assert state in (LOADING, FETCHING, RUNNING) or not record.reserved, "has bytes reserved"
    assert not record.overdue or state == RUNNING, "is overdue and does not run"


def _check_sums(machine: Machine, records: set[Record]) -> None:
    running = [record for record in records if record.state in (FETCHING, RUNNING) and not record.tiny]
    usage = machine.usage
    assert machine.running == sum(not record.overdue for record in running) <= machine.jobs, "kernels running"
    assert usage.live == sum(record.resident for record in records), "bytes resident"
    assert usage.reserved == sum(record.reserved for record in records), "bytes reserved"
    assert all(record.reserved == record.bytes + record.scratch for record in running), "bytes reserved for kernels"
    storing = sum(record.resident for kind, record in machine.unanswered if kind is Store)
    assert usage.storing == storing, "bytes on their way to the store"
    assert machine.opening == sum(record.state == LOADING for record in records), "values being opened"
    promised = [record for record in records if record.slot and record.state not in (FETCHING, RUNNING)]
    assert machine.promised == sum(record.bytes + record.scratch for record in promised), "bytes promised"
    assert machine.claims == sum(record.slot for record in records) <= machine.jobs, "places for claims"
    # Goals that are not taken yet are instructions unanswered (`Deliver`), so that this says: somebody will move.
    goals = any(run.goals for run in machine.runs.values())
    assert not goals or machine.unanswered, "a goal is unfinished, and nothing is under way"
