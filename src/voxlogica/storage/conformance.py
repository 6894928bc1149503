"""The tests every storage backend must pass; for our backends and for those of others.

    class TestMyStorage(BackendConformance):
        def make(self):
            return MyStorage(...)

Plain asserts and no test framework, so that it costs nothing to ship. Nothing here sleeps: a thread that is about to
wait is given time by the order of events, and each test is right whether it came to wait or not; `gather` runs enough
of them at once that both happen. A lost wake-up shows as a hang, so run it under a timeout.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from threading import Barrier, Thread

from voxlogica import identity
from voxlogica.storage.interface import (
    Claim,
    Done,
    Failed,
    Provenance,
    Publication,
    StorageBackend,
    TaskError,
    TaskId,
)
from voxlogica.values import Value

MADE = Provenance("add", 1, seconds=0.5, bytes=8, host="here", libraries=(("numpy", "2.0"),))
DEFINITE = TaskError("definite", "Refusal", "no component", details=("a", "b"), help="draw one", operator="maxvol")
CIRCUMSTANCE = TaskError("circumstance", "MemoryError", "out of memory", limits=(("memory", 1e9),))
VALUES: tuple[Value, ...] = (
    0.0, 1.5, float("inf"), float("-inf"), True, False, "", "text", "\x00é𝔸", "x" * 10_000, b"", b"\x00" * 5000,
)  # fmt: skip


def task(name: str) -> TaskId:
    """The id of a task made up for a test."""
    return identity.constant(name)


def gather(actions: Sequence[Callable[[], object]]) -> list[object]:
    """The results of functions that run at once, one thread each, started together."""
    barrier = Barrier(len(actions))
    results: list[object] = [None] * len(actions)
    errors: list[BaseException] = []

    def act(index: int, action: Callable[[], object]) -> None:
        barrier.wait()
        try:
            results[index] = action()
        except AssertionError as error:
            errors.append(error)

    threads = [Thread(target=act, args=pair, daemon=True) for pair in enumerate(actions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "a waiter was never woken"
    if errors:
        raise errors[0]
    return results


def taken(answer: object) -> Claim:
    """The claim, which was granted."""
    assert isinstance(answer, Claim), f"expected a claim, not {answer}"
    return answer


def opened(outcome: object) -> Value:
    """The value of a success."""
    assert isinstance(outcome, Done), f"expected a success, not {outcome}"
    return outcome.ref.open()


class BackendConformance:
    """Subclass it and say how a new, empty backend is made."""

    def make(self) -> StorageBackend:
        """A new, empty backend."""
        raise NotImplementedError

    # Outcomes

    def test_nothing_is_known_of_an_empty_store(self) -> None:
        store = self.make()
        assert store.lookup(task("a")) is None
        assert store.known([task("a"), task("b")]) == {}
        assert store.wait_for_completion(task("a"), timeout=0) is None

    def test_what_is_read_is_what_was_written(self) -> None:
        store = self.make()
        for number, value in enumerate(VALUES):
            id = task(f"value {number}")
            done = store.store(taken(store.claim(id)), value, MADE)
            for outcome in (done, store.lookup(id), store.claim(id), store.wait_for_completion(id)):
                read = opened(outcome)
                assert type(read) is type(value)
                assert read == value

    def test_known_answers_in_bulk_and_only_what_there_is(self) -> None:
        store = self.make()
        store.store(taken(store.claim(task("a"))), 1.0, MADE)
        store.mark_failed(taken(store.claim(task("b"))), DEFINITE)
        known = store.known([task("a"), task("b"), task("c")])
        assert set(known) == {task("a"), task("b")}
        assert opened(known[task("a")]) == 1.0
        assert known[task("b")] == Failed(DEFINITE)

    def test_all_go_by_the_text_that_came_first(self) -> None:
        store = self.make()
        assert [store.agreed("a", text) for text in ("1", "2", "")] == ["1", "1", "1"]
        assert store.agreed("b", "2") == "2"

    def test_a_failure_is_an_outcome_with_all_its_data(self) -> None:
        store = self.make()
        assert store.mark_failed(taken(store.claim(task("a"))), DEFINITE) == Failed(DEFINITE)
        assert store.lookup(task("a")) == Failed(DEFINITE)
        assert store.claim(task("a")) == Failed(DEFINITE)

    def test_a_failure_by_circumstance_is_no_answer_to_a_new_claim(self) -> None:
        store = self.make()
        store.mark_failed(taken(store.claim(task("a"))), CIRCUMSTANCE)
        assert store.lookup(task("a")) == Failed(CIRCUMSTANCE)
        with taken(store.claim(task("a"))) as claim:
            store.store(claim, 2.0, MADE)
        assert opened(store.lookup(task("a"))) == 2.0

    def test_a_failure_never_replaces_a_success(self) -> None:
        store = self.make()
        claim = taken(store.claim(task("a")))
        store.offer(task("a"), 1.0, MADE)
        store.mark_failed(claim, DEFINITE)
        assert opened(store.lookup(task("a"))) == 1.0
        assert opened(store.claim(task("a"))) == 1.0

    def test_a_success_replaces_a_failure(self) -> None:
        store = self.make()
        store.mark_failed(taken(store.claim(task("a"))), DEFINITE)
        store.offer(task("a"), 1.0, MADE)
        assert opened(store.lookup(task("a"))) == 1.0

    def test_several_are_published_at_once_and_each_claim_ends(self) -> None:
        store = self.make()
        names = [f"v{n}" for n in range(len(VALUES))]
        claims = [taken(store.claim(task(name))) for name in names]
        several = [Publication(each, value, MADE, value == "text") for each, value in zip(claims, VALUES, strict=True)]
        found = store.store_all(several)
        for answers in (found, map(store.lookup, map(task, names)), map(store.claim, map(task, names))):
            assert [opened(each) for each in answers] == list(VALUES)
        assert store.store_all([]) == []

    def test_an_offer_is_inserted_or_ignored(self) -> None:
        store = self.make()
        store.offer(task("a"), 1.0, MADE)
        store.offer(task("a"), 1.0, MADE)
        assert opened(store.claim(task("a"))) == 1.0

    def test_a_value_that_was_pinned_is_there(self) -> None:
        store = self.make()
        store.store(taken(store.claim(task("a"))), 1.0, MADE)
        with store.pin([task("a"), task("absent")]) as pins:
            assert opened(store.lookup(task("a"))) == 1.0
        pins.close()

    def test_failures_are_forgotten_on_request(self) -> None:
        store = self.make()
        store.mark_failed(taken(store.claim(task("a"))), DEFINITE)
        store.mark_failed(taken(store.claim(task("b"))), CIRCUMSTANCE)
        store.store(taken(store.claim(task("c"))), 1.0, MADE)
        assert store.cleanup_failed_executions(older_than=3600).failures == 0
        assert store.cleanup_failed_executions(kind="circumstance").failures == 1
        assert set(store.known(map(task, "abc"))) == {task("a"), task("c")}
        assert store.cleanup_failed_executions(ids=[task("c"), task("a")]).failures == 1
        assert set(store.known(map(task, "abc"))) == {task("c")}

    # Claims

    def test_a_claim_excludes_others_until_it_is_released(self) -> None:
        store = self.make()
        claim = taken(store.claim(task("a")))
        assert store.claim(task("a")) is None
        assert store.claim(task("a"), timeout=0.001) is None
        assert isinstance(store.claim(task("b")), Claim)
        store.release(claim)
        taken(store.claim(task("a")))

    def test_leaving_a_claim_releases_it(self) -> None:
        store = self.make()
        with taken(store.claim(task("a"))):
            assert store.claim(task("a")) is None
        taken(store.claim(task("a")))

    def test_a_claim_ends_once(self) -> None:
        store = self.make()
        first = taken(store.claim(task("a")))
        store.release(first)
        second = taken(store.claim(task("a")))
        store.release(first)
        assert store.claim(task("a")) is None, "releasing an ended claim took another's away"
        for late in (lambda: store.store(first, 1.0, MADE), lambda: store.mark_failed(first, DEFINITE)):
            try:
                late()
            except ValueError:
                continue
            raise AssertionError("an ended claim could be used")
        store.store(second, 1.0, MADE)

    def test_of_many_who_claim_at_once_one_succeeds(self) -> None:
        store = self.make()
        for round in range(50):
            id = task(f"round {round}")
            answers = gather([partial(store.claim, id)] * 8)
            assert sum(isinstance(answer, Claim) for answer in answers) == 1
            assert answers.count(None) == 7

    # Waiting

    def test_a_timeout_raises(self) -> None:
        store = self.make()
        with taken(store.claim(task("a"))):
            for seconds in (0, 0.001):
                try:
                    store.wait_for_completion(task("a"), timeout=seconds)
                except TimeoutError:
                    continue
                raise AssertionError("the task was not finished")

    def test_who_waits_is_woken_by_success_failure_and_release(self) -> None:
        endings: list[tuple[Callable[[StorageBackend, Claim], object], Callable[[object], bool]]] = [
            (lambda store, claim: store.store(claim, 7.0, MADE), lambda o: opened(o) == 7.0),
            (lambda store, claim: store.mark_failed(claim, DEFINITE), lambda o: o == Failed(DEFINITE)),
            (lambda store, claim: store.mark_failed(claim, CIRCUMSTANCE), lambda o: o == Failed(CIRCUMSTANCE)),
            (lambda store, claim: store.release(claim), lambda o: o is None),
        ]
        for end, expected in endings * 10:
            store = self.make()
            claim = taken(store.claim(task("a")))
            wait = partial(store.wait_for_completion, task("a"))
            _, *outcomes = gather([partial(end, store, claim), *[wait] * 8])
            # Who came after the end asks a store in which nobody owns it, and sees the same.
            assert all(expected(outcome) for outcome in outcomes)

    def test_each_time_an_owner_gives_up_one_waiter_inherits(self) -> None:
        """Ten wait to claim; each who inherits gives up in turn, the last one computes."""
        store = self.make()
        first = taken(store.claim(task("a")))
        inherited: list[int] = []

        def want(number: int) -> Value:
            answer = store.claim(task("a"), timeout=None)
            if isinstance(answer, Claim):
                assert store.claim(task("a")) is None, "two owners"
                inherited.append(number)
                if len(inherited) < 10:
                    store.release(answer)
                    return 0.0
                return opened(store.store(answer, 3.0, MADE))
            return opened(answer)

        gather([partial(store.release, first), *(partial(want, n) for n in range(10))])
        assert sorted(inherited) == list(range(10))
        assert opened(store.lookup(task("a"))) == 3.0

    def test_who_waits_to_claim_gets_the_outcome_instead(self) -> None:
        store = self.make()
        claim = taken(store.claim(task("a")))
        wait = partial(store.claim, task("a"), timeout=None)
        _, *answers = gather([partial(store.store, claim, 4.0, MADE), *[wait] * 8])
        assert [opened(answer) for answer in answers] == [4.0] * 8

    def test_many_ids_and_threads_each_computed_once(self) -> None:
        store = self.make()
        ids = [task(f"task {n}") for n in range(50)]
        computed: list[TaskId] = []

        def work(start: int) -> bool:
            for id in ids[start:] + ids[:start]:
                answer = store.claim(id, timeout=None)
                if isinstance(answer, Claim):
                    with answer:
                        computed.append(id)
                        store.store(answer, float(start), MADE)
            return all(isinstance(store.lookup(id), Done) for id in ids)

        assert all(gather([partial(work, start) for start in range(0, 50, 7)]))
        assert sorted(computed) == sorted(ids)
