"""The state machine where things go wrong or grow: evictions, second attempts, lateness, tasks that return formulas."""

from __future__ import annotations

import pytest

from script import BOOM, IMAGE_BYTES, LATE, OUT, Graph, Script
from voxlogica.execution.messages import (
    Busy,
    Claim,
    Compute,
    Computed,
    Counts,
    Expire,
    Extended,
    Found,
    Gather,
    Gone,
    Granted,
    Load,
    Loaded,
    Raised,
    Store,
    Wait,
    Written,
)

MB = 1_000_000

# Evictions


def crowded(**more: bool) -> tuple[Graph, Script]:
    """a is computed, stored, read by y and then by z, which comes last; b needs room: 4 MB each, and there are 9 MB."""
    graph = Graph()
    graph("a", **more)
    graph("y", "a")
    graph("b")
    graph("c", "b")
    graph("z", "a", "c")
    script = Script(graph, jobs=1, memory=9 * MB)
    script.begin(1, "y", "z")
    return graph, script


def test_over_budget_a_stored_value_is_evicted_and_opened_again_for_its_reader():
    graph, script = crowded()
    script.granted("a")
    script.computed("a")
    script.written("a")
    script.granted("y")
    assert script.computed("y") == ["Store y", "Deliver y", "Free a", "Claim b"]
    script.written("y")
    script.taken("y")
    script.granted("b")
    script.computed("b")
    script.written("b")
    script.granted("c")
    assert script.machine.story(graph.names["a"].id)[-1].startswith("now known")
    script.computed("c")
    script.written("c")
    assert script.granted("z") == ["Load a"], "z is ready: what it reads is completed"
    assert script.answer(Load, "a", Loaded, IMAGE_BYTES) == ["Compute z"]
    told = [(tell.event.kind, graph.name(tell.event.formula), tell.event.bytes) for tell in script.told]
    assert ("evicted", "a", IMAGE_BYTES) in told


def test_a_private_value_is_evicted_too_and_made_again_under_the_claim_that_reads_it():
    _, script = crowded(private=True)
    assert script.granted("y") == ["Compute a"]
    script.computed("a")
    assert script.computed("y") == ["Store y", "Deliver y", "Free a", "Claim b"]
    script.written("y")
    script.taken("y")
    script.granted("b")
    script.computed("b")
    script.written("b")
    script.granted("c")
    script.computed("c")
    script.written("c")
    assert script.granted("z") == ["Load a"]
    assert script.answer(Load, "a", Gone, script.plan("a"), {}) == ["Release z", "Claim a"]
    script.granted("a")
    assert script.computed("a") == ["Store a", "Claim z"]


def test_what_is_read_by_the_task_that_wants_room_is_never_evicted():
    """c reads a and b, 8 MB, and needs 4 more: it is admitted all the same, since no kernel runs."""
    graph = Graph()
    graph("a")
    graph("b")
    graph("c", "a", "b")
    script = Script(graph, jobs=1, memory=9 * MB)
    script.begin(1, "c")
    for name in "ab":
        script.granted(name)
        script.computed(name)
        script.written(name)
    assert script.granted("c") == ["Compute c"]


def test_what_a_running_task_reads_is_not_evicted_and_the_next_one_waits():
    graph = Graph()
    graph("a")
    graph("long", "a")
    graph("b")
    script = Script(graph, jobs=2, memory=7 * MB)
    script.begin(1, "long", "b")
    script.granted("a")
    script.computed("a")
    script.written("a")
    assert script.granted("long") == ["Compute long"]
    assert ("Claim", "b") not in script.asked
    assert script.computed("long") == ["Free a", "Store long", "Deliver long", "Claim b"]


def test_the_value_that_is_cheapest_to_have_again_is_evicted_first():
    """p is private and dear to make again; a is stored, and only opened again."""
    graph = Graph()
    graph("p", private=True)
    graph("a")
    graph("first", "p", "a")
    graph("b")
    graph("last", "p", "a", "b")
    script = Script(graph, jobs=1, memory=13 * MB)
    script.begin(1, "first", "last")
    script.granted("a")
    script.computed("a")
    script.written("a")
    script.granted("first")
    script.computed("p")
    assert script.computed("first") == ["Store first", "Deliver first", "Free a", "Claim b"]
    assert [graph.name(t.event.formula) for t in script.told if t.event.kind == "evicted"] == ["a"]


def test_a_value_on_its_way_to_the_store_or_to_a_run_is_not_evicted():
    _, script = crowded()
    script.granted("a")
    script.computed("a")
    script.granted("y")
    script.computed("y")
    script.written("y")
    script.taken("y")
    script.granted("b")
    script.computed("b")
    script.written("b")
    assert script.granted("c") == [], "a is being stored, with more than a quarter of the memory"
    assert script.written("a") == ["Free a", "Compute c"], "now it can be had again"


def test_goals_that_are_stored_are_opened_as_there_is_room():
    graph = Graph()
    for name in "abc":
        graph(name)
    script = Script(graph, jobs=2, memory=9 * MB)
    assert script.begin(1, "a", "b", "c", known=("a", "b", "c")) == ["Load a", "Load b"]
    assert script.answer(Load, "a", Loaded, IMAGE_BYTES) == ["Deliver a"]
    assert script.answer(Load, "b", Loaded, IMAGE_BYTES) == ["Deliver b", "Load c"], "one at least, always"
    assert script.taken("a") == ["Free a"]


# Second attempts


def test_a_circumstance_is_tried_once_more_when_no_other_kernel_runs():
    graph = Graph()
    graph("a")
    graph("b")
    script = Script(graph, jobs=2)
    script.begin(1, "a", "b")
    script.granted("a")
    script.granted("b")
    assert script.answer(Compute, "a", Raised, OUT) == [], "b runs"
    assert script.computed("b") == ["Store b", "Deliver b", "Compute a"]
    assert script.answer(Compute, "a", Raised, OUT) == ["Mark a", "Deliver a"]
    error = script.asked["Deliver", "a"][0].error
    assert (error.kind, error.attempt) == ("circumstance", 2)
    assert [tell.event.kind for tell in script.told if graph.name(tell.event.formula) == "a"] == [
        "started", "retried", "started", "failed",
    ]  # fmt: skip


def test_a_definite_failure_is_not_tried_again():
    graph = Graph()
    graph("a")
    script = Script(graph)
    script.begin(1, "a")
    script.granted("a")
    assert script.answer(Compute, "a", Raised, BOOM) == ["Mark a", "Deliver a"]


def test_nothing_starts_before_a_second_attempt_so_that_its_turn_comes():
    graph = Graph()
    for name in "abc":
        graph(name)
    script = Script(graph, jobs=2)
    script.begin(1, "a", "b", "c")
    script.granted("a")
    script.granted("b")
    assert script.answer(Compute, "a", Raised, OUT) == []
    assert ("Claim", "c") not in script.asked
    assert script.computed("b") == ["Store b", "Deliver b", "Compute a", "Claim c"]
    assert script.granted("c") == ["Compute c"]


def test_what_is_ready_after_a_second_attempt_does_not_pass_it():
    """There is a worker for c, whose claim came late; if it started, the next would too, and a would wait for ever."""
    graph = Graph()
    for name in "abc":
        graph(name)
    script = Script(graph, jobs=3)
    script.begin(1, "a", "b", "c")
    script.granted("a")
    script.granted("b")
    assert script.answer(Compute, "a", Raised, OUT) == []
    assert script.granted("c") == [], "a comes before it, and waits until no kernel runs"
    assert script.computed("b") == ["Store b", "Deliver b", "Compute a", "Compute c"]


# Lateness


def test_an_overdue_kernel_fails_for_its_run_only_and_its_late_success_is_stored():
    graph = Graph()
    graph("a")
    graph("b", "a")
    script = Script(graph, jobs=1)
    script.begin(1, "b", limit=5)
    script.begin(2, "b")
    assert script.granted("a") == ["Compute a"]
    assert [(alarm.run, alarm.seconds, alarm.waiting) for alarm in script.alarms] == [(1, 5, False)]
    assert script.overdue(1, "a") == ["Deliver b", "Replace"]
    late = script.asked["Deliver", "b"][0]
    assert (late.run, late.error, graph.name(late.cause)) == (1, LATE, "a")
    script.taken("b")
    assert script.computed("a") == ["Retire", "Store a", "Claim b"]
    script.granted("b")
    assert script.computed("b") == ["Store b", "Deliver b"]
    assert script.asked["Deliver", "b"][0].run == 2


def test_the_bytes_of_an_overdue_kernel_count_and_its_thread_does_not():
    graph = Graph()
    graph("a")
    graph("b")
    script = Script(graph, jobs=1, memory=5 * MB)
    script.begin(1, "a", limit=5)
    script.granted("a")
    assert script.overdue(1, "a") == ["Deliver a", "Replace"]
    assert script.machine.usage.reserved == IMAGE_BYTES
    assert script.begin(2, "b") == ["Claim b"]
    assert script.granted("b") == ["Compute b"], "one is always admitted, whatever is lost after a timeout"
    assert script.computed("a") == ["Retire", "Store a"], "nobody reads it, and it is stored"
    assert script.written("a") == ["Free a"]


def test_whoever_comes_later_with_a_limit_waits_no_longer_than_that():
    graph = Graph()
    graph("a")
    graph("b", "a")
    script = Script(graph)
    script.begin(1, "b")
    script.granted("a")
    script.begin(2, "b", limit=3)
    assert script.overdue(2, "a") == ["Deliver b", "Replace"]


def test_a_claim_elsewhere_may_take_too_long_too():
    graph = Graph()
    graph("a")
    graph("b")
    script = Script(graph)
    script.begin(1, "a", "b", limit=5)
    script.answer(Claim, "a", Busy)
    assert script.alarms[0].waiting
    assert script.overdue(1, "a") == ["Deliver a"]
    assert script.answer(Wait, "a", Found) == []


def test_a_run_that_expires_has_its_unfinished_goals_failed():
    graph = Graph()
    graph("a")
    graph("b", "a")
    script = Script(graph)
    script.begin(1, "a", "b")
    script.granted("a")
    script.computed("a")
    assert script._took(script.machine.handle(Expire(1, LATE))) == ["Deliver b"]
    assert script.asked["Deliver", "b"][0].error == LATE
    assert script.granted("b") == ["Release b"]


def test_an_isolated_kernel_that_nobody_needs_is_killed_and_its_claim_given_back():
    graph = Graph()
    graph("a", isolate=True)
    script = Script(graph)
    script.begin(1, "a")
    script.granted("a")
    assert script.asked["Compute", "a"][0].isolated
    assert script.cancel(1) == ["Kill"]
    assert script.answer(Compute, "a", Raised, OUT) == ["Release a"]
    assert script.machine.records == {}


def test_an_isolated_kernel_that_is_killed_for_its_time_is_stored_as_too_late():
    graph = Graph()
    graph("a", isolate=True)
    script = Script(graph)
    script.begin(1, "a", limit=5)
    script.granted("a")
    assert script.overdue(1, "a") == ["Deliver a", "Kill"]
    assert script.answer(Compute, "a", Raised, OUT) == ["Mark a"]
    assert script.asked["Mark", "a"][0].error == LATE


def test_who_comes_while_a_kernel_is_being_killed_has_it_computed_again():
    graph = Graph()
    graph("a", isolate=True)
    script = Script(graph)
    script.begin(1, "a")
    script.granted("a")
    script.cancel(1)
    assert script.begin(2, "a") == []
    assert script.answer(Compute, "a", Raised, OUT) == ["Compute a"]


# Tasks that return formulas


def growing(*goals: str) -> tuple[Graph, Script]:
    """d, which reads a, returns x and y; z reads d."""
    graph = Graph()
    graph("a")
    graph("d", "a", dynamic=True)
    graph("x", "a")
    graph("y")
    graph("z", "d")
    script = Script(graph, jobs=2)
    assert script.begin(1, *(goals or ("z",))) == ["Claim a"]
    script.granted("a")
    script.computed("a")
    assert script.granted("d") == ["Compute d"]
    return graph, script


def test_a_task_that_returns_formulas_holds_nothing_while_they_are_computed():
    graph, script = growing()
    out = script.answer(Compute, "d", Extended, script.plan("x", "y", known=("a",)), {})
    assert out == ["Store d", "Claim x", "Claim y"]
    record = script.machine.records[graph.names["d"].id]
    assert not record.held
    assert not record.slot
    script.written("d")
    script.granted("x")
    script.computed("x")
    script.granted("y")
    assert script.computed("y")[-1] == "Claim z", "z waits for what the formulas stand for"
    assert script.granted("z") == ["Gather d"]
    assert script.answer(Gather, "d", Computed, 0, 0.0) == ["Compute z"]
    assert script.machine.running == 1
    out = script.computed("z")
    assert "Free d" in out
    assert script.counts == Counts(tasks=6, done=5, reused=1), "a is needed again, for x"


def test_a_goal_that_returns_formulas_is_delivered_when_they_are_computed():
    _, script = growing("d")
    script.answer(Compute, "d", Extended, script.plan("y"), {})
    script.granted("y")
    assert script.computed("y") == ["Store y", "Gather d"]
    assert script.answer(Gather, "d", Computed, 0, 0.0) == ["Deliver d"]
    script.written("d", "y", "a")
    assert script.taken("d") == ["Free d", "Free y"]
    assert script.machine.records == {}


def test_a_failure_among_the_formulas_is_the_root_cause():
    graph, script = growing()
    script.answer(Compute, "d", Extended, script.plan("x", "y", known=("a",)), {})
    script.granted("x")
    out = script.answer(Compute, "x", Raised, BOOM)
    assert out[0] == "Mark x"
    assert "Mark d" not in out, "what d returned is right, and stored"
    assert graph.name(script.asked["Deliver", "z"][0].cause) == "x"


def test_no_formulas_at_all_are_completed_at_once():
    _, script = growing("d")
    assert script.answer(Compute, "d", Extended, script.plan(), {}) == ["Store d", "Gather d"]


def test_stored_formulas_are_opened_before_anything_is_claimed_for_them():
    graph = Graph()
    graph("d", dynamic=True)
    graph("x")
    graph("z", "d")
    script = Script(graph)
    assert script.begin(1, "z", known=("d",)) == ["Load d"]
    assert script.answer(Load, "d", Extended, script.plan("x"), {}) == ["Claim x"]
    script.granted("x")
    assert script.computed("x") == ["Store x", "Claim z"]
    assert script.granted("z") == ["Gather d"]


def test_formulas_found_elsewhere_extend_the_plan_too():
    graph = Graph()
    graph("d", dynamic=True)
    graph("x")
    script = Script(graph)
    script.begin(1, "d")
    script.answer(Claim, "d", Busy)
    assert script.answer(Wait, "d", Found) == ["Load d"]
    assert script.answer(Load, "d", Extended, script.plan("x"), {}) == ["Claim x"]


def test_lost_formulas_are_computed_again():
    graph = Graph()
    graph("d", dynamic=True)
    graph("x")
    script = Script(graph)
    assert script.begin(1, "d", known=("d",)) == ["Load d"]
    assert script.answer(Load, "d", Gone, script.plan("d"), {}) == ["Claim d"]
    script.granted("d")
    assert script.answer(Compute, "d", Extended, script.plan("x"), {}) == ["Store d", "Claim x"]


@pytest.mark.parametrize("through", [(), ("e",)])
def test_formulas_that_need_their_own_value_fail_instead_of_waiting_for_ever(through: tuple[str, ...]):
    """d returns d; or d returns e, and e returns d."""
    graph = Graph()
    graph("d", dynamic=True)
    graph("e", dynamic=True)
    script = Script(graph)
    script.begin(1, "d")
    script.granted("d")
    for name, returned in zip(("d", *through), (*through, "d"), strict=True):
        script.answer(Compute, name, Extended, script.plan(returned), {})
        if returned == "e":
            script.granted("e")
    error = script.asked["Deliver", "d"][0].error
    assert error.message == "the formulas that it returned need its own value"


def test_a_loop_of_1000_steps_is_a_chain_of_extensions():
    """Each step returns the next: nothing is recursive, and every claim ends before the next begins."""
    graph = Graph()
    for n in range(1000):
        graph(f"s{n}", dynamic=True)
    graph("end")
    script = Script(graph)
    script.begin(1, "s0")
    for n in range(1000):
        script.granted(f"s{n}")
        following = f"s{n + 1}" if n < 999 else "end"
        out = script.answer(Compute, f"s{n}", Extended, script.plan(following), {})
        assert out == [f"Store s{n}", f"Claim {following}"]
        script.written(f"s{n}")
    script.granted("end")
    out = script.computed("end")
    for n in reversed(range(1000)):
        assert out[-1] == f"Gather s{n}"
        out = script.answer(Gather, f"s{n}", Computed, 0, 0.0)
    assert out[-1] == "Deliver s0"


def test_the_store_may_refuse_a_claim_and_the_task_is_computed_without():
    graph = Graph()
    graph("a")
    graph("b", "a")
    script = Script(graph)
    script.begin(1, "b")
    assert script.answer(Claim, "a", Granted, False) == ["Compute a"]
    assert script.computed("a") == ["Claim b"]
    script.answer(Claim, "b", Granted, False)
    assert script.computed("b") == ["Free a", "Store b", "Deliver b"], "a goal is offered, should there be room now"
    assert script.answer(Store, "b", Written, False) == []
    assert script.told[-1].event.kind == "unstored"
