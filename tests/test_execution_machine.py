"""The state machine: exact instructions out for events in. No threads and no time here.

`test_execution_random` has random graphs, schedules, failures and losses.
"""

from __future__ import annotations

import pytest

from script import BOOM, IMAGE_BYTES, Graph, Script
from voxlogica.execution.machine import BATCH
from voxlogica.execution.messages import (
    Abandoned,
    Begin,
    Busy,
    Claim,
    Compute,
    Counts,
    Delivered,
    Found,
    Gone,
    Granted,
    Impatient,
    Load,
    Loaded,
    Raised,
    Release,
    Wait,
    Written,
)
from voxlogica.plan import Workplan, plan


def test_a_published_task_is_claimed_computed_stored_and_delivered():
    graph = Graph()
    graph("a")
    script = Script(graph)
    assert script.begin(1, "a") == ["Claim a"]
    assert script.granted("a") == ["Compute a"]
    assert script.computed("a") == ["Store a", "Deliver a"]
    assert script.taken("a") == []
    assert script.written("a") == ["Free a"]
    assert script.machine.records == {}
    assert script.counts == Counts(tasks=1, done=1)


def test_published_inputs_come_before_the_claim_and_private_ones_after_it():
    """p is cheap: it is computed under the claim of c, and only once b, which it reads, is completed."""
    graph = Graph()
    graph("b")
    graph("p", "b", private=True)
    graph("c", "p")
    script = Script(graph)
    assert script.begin(1, "c") == ["Claim b"]
    assert script.granted("b") == ["Compute b"]
    assert script.computed("b") == ["Store b", "Claim c"]
    assert script.granted("c") == ["Compute p"]
    assert script.written("b") == []
    assert script.computed("p") == ["Free b", "Compute c"]
    assert script.computed("c") == ["Free p", "Store c", "Deliver c"]


def test_a_shared_input_is_computed_once_and_freed_after_its_last_use():
    graph = Graph()
    graph("a")
    graph("b", "a")
    graph("c", "a")
    graph("d", "b", "c")
    script = Script(graph, jobs=1)
    script.begin(1, "d")
    script.granted("a")
    assert script.computed("a") == ["Store a", "Claim b"]
    script.written("a")
    script.granted("b")
    assert script.computed("b") == ["Store b", "Claim c"]
    script.written("b")
    script.granted("c")
    assert script.computed("c") == ["Free a", "Store c", "Claim d"]


def test_depth_first_order_keeps_few_values_alive():
    """Three cases, one worker: the second case is not begun before the first is finished."""
    graph = Graph()
    for case in "123":
        graph("load" + case)
        graph("work" + case, "load" + case)
    script = Script(graph, jobs=1)
    done = script.begin(1, "work1", "work2", "work3")
    order = []
    while done:
        word, name = done.pop(0).split()
        if word == "Claim":
            done += script.granted(name)
        elif word == "Compute":
            order.append(name)
            done += script.computed(name)
        elif word == "Store":
            done += script.written(name)
        elif word == "Deliver":
            done += script.taken(name)
    assert order == ["load1", "work1", "load2", "work2", "load3", "work3"]


def test_a_known_goal_needs_none_of_its_inputs():
    graph = Graph()
    graph("a")
    graph("b", "a")
    script = Script(graph)
    assert script.begin(1, "b", known=("b",)) == ["Load b"]
    assert script.answer(Load, "b", Loaded, IMAGE_BYTES) == ["Deliver b"]
    assert script.taken("b") == ["Free b"]
    assert script.counts == Counts(tasks=1, reused=1)


def test_a_known_input_is_loaded_under_the_claim_of_what_reads_it():
    graph = Graph()
    graph("a")
    graph("b", "a")
    script = Script(graph)
    assert script.begin(1, "b", known=("a",)) == ["Claim b"]
    assert script.granted("b") == ["Load a"]
    assert script.answer(Load, "a", Loaded, IMAGE_BYTES) == ["Compute b"]
    assert script.computed("b") == ["Free a", "Store b", "Deliver b"]


def test_a_task_owned_elsewhere_is_waited_for_without_a_worker_and_found():
    graph = Graph()
    graph("a")
    graph("b")
    graph("c", "a", "b")
    script = Script(graph, jobs=1)
    assert script.begin(1, "c") == ["Claim a"]
    assert script.answer(Claim, "a", Busy) == ["Wait a", "Claim b"]
    script.granted("b")
    script.computed("b")
    assert script.answer(Wait, "a", Found) == ["Claim c"]
    assert script.granted("c") == ["Load a"]


def test_what_is_cheaper_than_its_start_a_cold_process_leaves_to_who_is_at_it():
    graph = Graph()
    for name in "abc":
        graph(name)
    script = Script(graph, jobs=2, cold=True)
    assert script.begin(1, "a", "b", "c") == ["Claim a"], "one, to see whether somebody is at it"
    assert script.answer(Claim, "a", Busy) == ["Wait a", "Patience"]
    assert script.answer(Wait, "a", Found)[-1] == "Claim b"
    assert script.answer(Claim, "b", Busy) == ["Wait b"]
    assert script.tell(Impatient()) == ["Patience"], "a was computed meanwhile"
    assert script.tell(Impatient()) == ["Claim c"], "nothing was: who has b may be stopped"


def test_a_cold_process_gives_back_what_it_could_claim_when_somebody_is_at_something_else():
    graph = Graph()
    for name in "abc":
        graph(name)
    script = Script(graph, jobs=2, cold=True)
    script.begin(1, "a", "b", "c")
    script.answer(Claim, "a", Busy)
    script.answer(Wait, "a", Found)
    assert script.granted("b") == ["Release b", "Claim c"], "tried, and not meant"
    assert script.answer(Claim, "c", Busy) == ["Wait c"]
    script.answer(Release, "b", Written)
    assert script.answer(Wait, "c", Abandoned) == ["Claim b"]
    assert script.granted("b") == ["Release b", "Claim c"]
    script.answer(Release, "b", Written)
    assert script.granted("c") == ["Release c", "Claim b"], "nobody is at anything: now it is meant"
    assert script.granted("b") == ["Compute b", "Claim c"]


def test_a_cold_process_that_is_alone_computes_and_then_goes_on_like_any():
    graph = Graph()
    for name in "abc":
        graph(name)
    script = Script(graph, jobs=2, cold=True)
    script.begin(1, "a", "b", "c")
    assert script.granted("a") == ["Compute a", "Claim b"], "nobody else is at it"


def test_a_cold_process_joins_in_what_takes_long_when_a_processor_is_free():
    graph = Graph()
    for name in "abcd":
        graph(name)
    script = Script(graph, jobs=2, cold=True)
    made = script.plan("a", "b", "c", "d")
    long = tuple(task._replace(seconds=1.0) for task in made.tasks)
    begin = Begin(1, Workplan(made.goals, long, ()), {}, Counts())
    assert script.tell(begin) == ["Claim a"]
    assert script.answer(Claim, "a", Busy) == ["Wait a", "Patience"], "what its owner will run cannot be seen yet"
    assert script.answer(Wait, "a", Found)[-1] == "Claim b"
    assert script.answer(Claim, "b", Granted, True, True) == ["Release b", "Claim c"], "the processors are busy"
    script.answer(Release, "b", Written)
    assert script.answer(Claim, "c", Busy, True) == ["Wait c"]
    assert script.answer(Wait, "c", Found)[-1] == "Claim b"
    assert script.answer(Claim, "b", Granted, True, False) == ["Compute b", "Claim d"], "one is free"


def test_behind_an_equal_run_a_cold_process_means_no_claim_as_long_as_it_is_there():
    graph = Graph()
    for name in "ab":
        graph(name)
    script = Script(graph, jobs=2, cold=True)
    made = script.plan("a", "b")
    long = Workplan(made.goals, tuple(task._replace(seconds=1.0) for task in made.tasks), ())
    assert script.tell(Begin(1, long, {}, Counts(), behind=True)) == ["Claim a"]
    assert script.answer(Claim, "a", Granted, True, True) == ["Release a", "Claim b"], "tried, and not meant"
    script.answer(Release, "a", Written)
    assert script.answer(Claim, "b", Busy, True) == ["Wait b", "Patience"]
    assert script.answer(Wait, "b", Found)[-1] == "Claim a"
    assert script.answer(Claim, "a", Granted, True, False) == ["Compute a"], "it has ended, and left a"


def test_what_follows_is_ordered_by_the_rank_of_its_run():
    """The second run has come later and is of a lower rank: what it needs is claimed first."""
    graph = Graph()
    for name in "abcd":
        graph(name)
    script = Script(graph, jobs=1)
    assert script.begin(1, "a", "b", rank=1) == ["Claim a"]
    assert script.begin(2, "c", "d", rank=0) == []
    script.granted("a")
    assert script.computed("a") == ["Store a", "Deliver a", "Claim c"]
    script.granted("c")
    assert script.computed("c") == ["Store c", "Deliver c", "Claim d"]


def test_what_its_owner_gave_up_is_claimed_again():
    graph = Graph()
    graph("a")
    script = Script(graph)
    script.begin(1, "a")
    assert script.answer(Claim, "a", Busy) == ["Wait a"]
    assert script.answer(Wait, "a", Abandoned) == ["Claim a"]
    assert script.answer(Claim, "a", Found) == ["Load a"]


def test_a_failure_is_published_and_skips_what_depends_on_it_once():
    graph = Graph()
    graph("a")
    graph("good")
    graph("b", "a")
    graph("c", "b", "good")
    script = Script(graph, jobs=2)
    assert script.begin(1, "c", "b", "good") == ["Claim a", "Claim good"]
    script.granted("a")
    out = script.answer(Compute, "a", Raised, BOOM)
    assert sorted(out) == ["Deliver b", "Deliver c", "Mark a"]
    for name in "bc":
        delivered = script.asked["Deliver", name][0]
        assert delivered.error == BOOM
        assert graph.name(delivered.cause) == "a"
    script.granted("good")
    assert script.computed("good") == ["Store good", "Deliver good"]
    assert script.counts == Counts(tasks=4, done=1, failed=1, skipped=2)


def test_a_private_input_fails_in_the_name_of_the_claim():
    """Others who wait for c learn of it, and c is answered for by the failure of p."""
    graph = Graph()
    graph("p", private=True)
    graph("c", "p")
    script = Script(graph)
    script.begin(1, "c")
    assert script.granted("c") == ["Compute p"]
    assert script.answer(Compute, "p", Raised, BOOM) == ["Mark c", "Deliver c"]
    assert graph.name(script.asked["Deliver", "c"][0].cause) == "p"


def test_what_only_a_skipped_task_needed_is_not_computed():
    graph = Graph()
    graph("a")
    graph("b")
    graph("c", "a", "b")
    script = Script(graph, jobs=1)
    assert script.begin(1, "c") == ["Claim a"]
    script.granted("a")
    assert script.answer(Compute, "a", Raised, BOOM) == ["Mark a", "Deliver c"]
    assert script.taken("c") == []
    assert script.machine.records == {}


def test_a_known_failure_skips_without_computing_anything():
    graph = Graph()
    graph("a")
    graph("b", "a")
    graph("c", "b")
    script = Script(graph)
    assert script.begin(1, "a", "c", failed=("a",)) == ["Deliver c", "Deliver a"]


def test_a_failure_elsewhere_is_received():
    graph = Graph()
    graph("a")
    script = Script(graph)
    script.begin(1, "a")
    script.answer(Claim, "a", Busy)
    assert script.answer(Wait, "a", Raised, BOOM) == ["Deliver a"]


def test_two_runs_share_what_is_under_way():
    graph = Graph()
    graph("a")
    graph("b", "a")
    graph("c", "a")
    script = Script(graph)
    assert script.begin(1, "b") == ["Claim a"]
    script.granted("a")
    assert script.begin(2, "c", "b") == []
    assert script.computed("a") == ["Store a", "Claim b", "Claim c"]
    script.granted("b")
    assert script.computed("b") == ["Store b", "Deliver b", "Deliver b"]
    assert script.counts.reused == 2  # a and b; c is computed for it


def test_cancelling_a_run_drops_what_only_it_needed():
    graph = Graph()
    graph("a")
    graph("b", "a")
    graph("c", "a")
    script = Script(graph)
    script.begin(1, "b")
    script.granted("a")
    script.begin(2, "c")
    assert script.cancel(1) == []
    assert script.computed("a") == ["Store a", "Claim c"]
    assert script.cancel(2) == []
    assert script.granted("c") == ["Release c"]
    assert script.written("a") == ["Free a"]
    assert script.machine.records == {}


def test_a_kernel_that_nobody_needs_any_more_still_stores():
    graph = Graph()
    graph("a")
    script = Script(graph)
    script.begin(1, "a")
    script.granted("a")
    script.cancel(1)
    assert script.computed("a") == ["Store a"]
    assert script.written("a") == ["Free a"]


def test_cancelling_gives_a_held_claim_back():
    graph = Graph()
    graph("p", private=True)
    graph("c", "p")
    script = Script(graph)
    script.begin(1, "c")
    script.granted("c")
    assert script.cancel(1) == ["Release c"]
    assert script.computed("p") == ["Free p"]


def test_a_run_begins_again_what_another_dropped():
    graph = Graph()
    graph("a")
    script = Script(graph)
    script.begin(1, "a")
    script.cancel(1)
    assert script.begin(2, "a") == []  # the claim asked for is used
    assert script.granted("a") == ["Compute a"]


def test_late_answers_are_ignored():
    graph = Graph()
    graph("a")
    script = Script(graph)
    script.begin(1, "a")
    script.granted("a")
    script.computed("a")
    script.cancel(1)
    assert script.taken("a") == []
    assert script.machine.handle(Granted(12345)) == []


def test_a_wrong_answer_is_our_bug():
    graph = Graph()
    graph("a")
    script = Script(graph)
    script.begin(1, "a")
    with pytest.raises(ValueError, match="does not answer a Claim"):
        script.answer(Claim, "a", Delivered)


def test_a_goal_that_is_private_in_another_run_is_computed_and_offered():
    """Run 1 has p under way as private and unclaimed; run 2 asks for it, and gets it without a claim."""
    graph = Graph()
    graph("a")
    graph("p", private=True)
    graph("c", "p", "a")
    script = Script(graph, jobs=1)
    assert script.begin(1, "c") == ["Claim a"]
    assert script.begin(2, "p") == ["Compute p"]
    assert script.computed("p") == ["Store p", "Deliver p"]
    assert not script.asked["Store", "p"][0].claimed


def test_admission_waits_for_room():
    """Two results of 4 MB and room for one: nothing is claimed that could not start."""
    graph = Graph()
    graph("a")
    graph("b")
    script = Script(graph, jobs=2, memory=6_000_000)
    assert script.begin(1, "a", "b") == ["Claim a"]
    assert script.granted("a") == ["Compute a"]
    assert script.computed("a") == ["Store a", "Deliver a", "Claim b"]  # no kernel runs: one is always admitted
    assert script.granted("b") == [], "the store is behind with more than a quarter of the memory"
    assert script.written("a") == ["Compute b"]


def test_something_small_may_overtake_what_does_not_fit():
    """q does not fit while p is in memory and k runs; the smaller r, of lower priority, does."""
    graph = Graph()
    graph("k")
    graph("q", private=True)
    graph("r", private=True)
    graph("c", "q", "r")
    script = Script(graph, jobs=2)
    sizes = {"k": 6_000_000, "q": 6_000_000, "r": 3_000_000, "c": 10}
    made = plan([graph.names["k"], graph.names["c"]])
    tasks = tuple(task._replace(bytes=sizes[graph.name(task.formula)]) for task in made.tasks)
    script.machine.usage.budget = 10_000_000
    begin = Begin(1, Workplan(made.goals, tasks, ()), {}, Counts())
    assert script._took(script.machine.handle(begin)) == ["Claim k", "Claim c"]
    assert script.granted("k") == ["Compute k"]
    assert script.granted("c") == ["Compute r"]


def test_kernels_share_the_threads():
    graph = Graph()
    graph("a")
    graph("b")
    script = Script(graph, jobs=4)
    script.begin(1, "a", "b")
    script.granted("a")
    assert script.asked["Compute", "a"][0].threads == 4
    script.granted("b")
    assert script.asked["Compute", "b"][0].threads == 2


def test_tiny_tasks_come_in_batches_and_take_no_worker():
    graph = Graph()
    names = [f"s{n}" for n in range(1000)]
    for name in names:
        graph(name, tiny=True)
    graph("kernel")
    script = Script(graph, jobs=1)
    out = script.begin(1, "kernel", *names)
    assert len(out) == BATCH + 1
    assert "Claim kernel" in out


def test_a_lost_input_is_made_again_and_the_claim_given_back_meanwhile():
    graph = Graph()
    graph("a")
    graph("b", "a")
    graph("p", "b", private=True)
    graph("c", "p")
    script = Script(graph)
    script.begin(1, "c", known=("b",))
    assert script.granted("c") == ["Load b"]
    again = plan([graph.names["b"]])
    assert script.answer(Load, "b", Gone, again, {}) == ["Release c", "Claim a"]
    script.granted("a")
    assert script.computed("a") == ["Store a", "Claim b"]
    script.granted("b")
    assert script.computed("b") == ["Store b", "Claim c"]
    assert script.granted("c") == ["Compute p"]


def test_the_events_told_are_those_of_the_story():
    graph = Graph()
    graph("a")
    graph("b", "a")
    script = Script(graph)
    script.begin(1, "b", known=("a",))
    script.granted("b")
    script.answer(Load, "a", Loaded, IMAGE_BYTES)
    script.computed("b")
    script.written("b")
    script.taken("b")
    told = [(tell.event.kind, graph.name(tell.event.formula)) for tell in script.told]
    assert told == [
        ("reused", "a"), ("started", "b"), ("done", "b"), ("freed", "a"), ("persisted", "b"), ("freed", "b"),
    ]  # fmt: skip
    assert script.told[2].event.seconds == 0.1
    assert script.machine.story(graph.names["b"].id) == [
        "waiting -> open", "open -> claiming", "claiming -> wanted", "wanted -> ready", "ready -> fetching",
        "fetching -> running", "running -> done", "done -> dropped",
    ]  # fmt: skip
