"""Isolated tasks: values cross unchanged, crashes harm nobody, and no process outlives its parent or its time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.storage_peer import until_waited_for

import isolated
from voxlogica.execution import wire
from voxlogica.execution.children import Children
from voxlogica.execution.engine import Broken, ExecutionEngine
from voxlogica.execution.reporting import Elsewhere
from voxlogica.formula import IMAGE, LABELS, MASK, MODEL, NUMBER, Formula, Formulas, Operator, Type
from voxlogica.storage import Claim, Failed, MemoryStorage, TaskError
from voxlogica.storage.embedded import EmbeddedStorage
from voxlogica.values import Image, Labels, Mask, Model, Space
from world import SOON, outcomes, values

DIRECTION = (1.0, 0.0, -0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
SPACE = Space((3, 2, 2), (0.1, 1.0, 3.3), (-0.0, 1e-300, 5.0), DIRECTION, ("nifti", b"\x00\xff", (1.5,)))


def formula(body: Callable[..., object], *arguments: object, result: Type = NUMBER, **more: bool) -> Formula:
    table = Formulas()
    known = tuple(a if isinstance(a, Formula) else table.constant(a) for a in arguments)  # type: ignore[arg-type]
    parameters = tuple((f"a{n}", a.type) for n, a in enumerate(known))
    name = body.__name__
    isolate = {"isolate": True, **more}
    return table.apply(Operator(name, name, 1, parameters, result, body, "", cost="", **isolate), known)  # type: ignore[arg-type]


@pytest.fixture
def storage() -> MemoryStorage:
    return MemoryStorage()


@pytest.fixture
def engine(storage: MemoryStorage) -> Iterator[ExecutionEngine]:
    with ExecutionEngine(storage, jobs=2) as engine:
        yield engine


def error(engine: ExecutionEngine, goal: Formula, **more: object) -> TaskError:
    outcome = outcomes(engine, goal, **more)[goal]
    assert isinstance(outcome, Broken)
    return outcome.error


# What crosses


def exchanged(*sent: object) -> list[object]:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as source, os.fdopen(writing, "wb") as sink:
        thread = threading.Thread(target=wire.send, args=(sink, ["name", {"threads": 2}], sent))
        thread.start()
        message, found = wire.receive(source)  # type: ignore[misc]
        thread.join(SOON)
    assert message == ["name", {"threads": 2}]
    return found


plain = st.booleans() | st.floats() | st.integers() | st.text() | st.binary()


@settings(deadline=None)
@given(st.lists(plain | st.lists(plain, max_size=3).map(tuple), max_size=5))
def test_plain_values_cross_with_every_bit(sent: list[object]):
    assert repr(exchanged(*sent)) == repr(sent)


def test_volumes_cross_with_their_space_to_the_last_bit():
    image = Image.of(SPACE, np.arange(12, dtype=np.float32).reshape(SPACE.shape) / 7)
    found = exchanged(image, SPACE)
    assert isinstance(found[0], Image)
    assert found[0].data == image.data
    assert repr(found[0].space) == repr(found[1]) == repr(SPACE)


def test_what_is_no_value_is_refused(engine: ExecutionEngine):
    assert "set is not a type of values" in error(engine, formula(isolated.weird)).message


def test_a_broken_message_is_the_end_of_the_stream(tmp_path: Path):
    path = tmp_path / "message"
    with path.open("wb") as file:
        wire.send(file, None, [b"x" * 100])
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with path.open("rb") as file:
            assert wire.receive(file) is None


# Where it runs


def test_it_runs_in_a_process_of_its_own(engine: ExecutionEngine):
    """What it prints does not end up among the values."""
    (pid,) = values(engine, formula(isolated.process))
    assert pid != os.getpid()


def test_all_kinds_of_values_the_space_and_the_threads_get_there(engine: ExecutionEngine):
    table = Formulas()
    rng = np.random.default_rng(0)
    made = {
        MASK: Mask.of(SPACE, np.full((2, 2, 1), 5, np.uint64)),
        IMAGE: Image.of(SPACE, rng.integers(99, size=SPACE.shape).astype(np.float32)),
        LABELS: Labels.of(SPACE, np.ones(SPACE.shape, np.float32)),
        MODEL: Model.of(SPACE, rng.integers(99, size=(*SPACE.shape, 3)).astype(np.float32)),
    }
    inputs = [
        table.apply(Operator(f"m{n}", f"m{n}", 1, (), kind, lambda value=value: value, "", cost=""), (), SPACE)
        for n, (kind, value) in enumerate(made.items())
    ]
    goal = formula(isolated.rich, *inputs, result=IMAGE, needs_space=True, takes_threads=True)
    (image,) = values(engine, goal)
    total = sum(value.numpy() if value.numpy().ndim == 3 else value.numpy().sum(axis=-1) for value in made.values())
    assert isinstance(image, Image)
    np.testing.assert_array_equal(image.numpy(), total.astype(np.float32))


def test_what_a_partial_has_fixed_gets_there():
    children, body = Children(), partial(isolated.between, 1.0, high=3.0)
    assert [children.run(n, body, [number], {}) for n, number in enumerate((1.0, 2.0, 3.0))] == [False, True, False]


def test_a_failure_comes_back_as_it_was(engine: ExecutionEngine):
    found = error(engine, formula(isolated.refuse))
    assert (found.kind, found.type, found.message) == ("definite", "Refusal", "no component")
    assert (found.details, found.help, found.traceback) == (("of 3 voxels",), "draw one", "")
    found = error(engine, formula(isolated.exhaust))
    assert (found.kind, found.message, found.attempt) == ("circumstance", "out of memory", 2)
    assert "exhaust" in found.traceback


def test_a_function_that_cannot_be_imported_says_so(engine: ExecutionEngine):
    found = error(engine, formula(lambda: 0.0))
    assert "could not import it" in found.message
    assert found.help == "put it in a module, at the top level"


def test_an_isolated_kernel_may_not_run_programs_either(engine: ExecutionEngine):
    assert "may not run programs" in error(engine, formula(isolated.run_a_program)).message


# Crashes


def test_a_crash_is_a_circumstance_and_the_third_is_an_answer(storage: MemoryStorage, tmp_path: Path):
    """Counted over runs and engines by what is stored: two in the first run, which tries twice, and one in the next."""
    path = tmp_path / "deaths"
    goal = formula(isolated.crash, str(path))
    for kind, deaths in (("circumstance", 2), ("definite", 3), ("definite", 3)):
        with ExecutionEngine(storage, jobs=1) as engine:
            found = error(engine, goal)
        assert (found.kind, found.type, found.attempt) == (kind, "WorkerDied", deaths)
        assert path.read_text() == "x" * deaths
        assert "SIGSEGV" in found.message
        assert found.details[-1] == "about to crash"
    assert found.message.startswith("it killed its worker 3 times")
    with ExecutionEngine(storage, jobs=1) as engine:
        error(engine, goal, retry_failed=True)
    assert len(path.read_text()) > 3, "it is tried again when that is asked for"


def test_a_child_that_dies_before_it_has_its_arguments_is_said_to_have_died(monkeypatch: pytest.MonkeyPatch):
    """And not that a pipe is broken, which would not be counted."""
    popen = subprocess.Popen

    def dying(_: object, **how: Any) -> subprocess.Popen[bytes]:
        child = popen([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"], **how)
        child.wait()
        return child

    monkeypatch.setattr(subprocess, "Popen", dying)
    with pytest.raises(Elsewhere, match="SIGKILL"):
        Children().run(1, isolated.same, [1.0], {})


def test_a_crash_that_does_not_happen_again_costs_nothing(engine: ExecutionEngine, tmp_path: Path):
    assert values(engine, formula(isolated.crash_once, str(tmp_path / "tried"))) == [1.0]


def test_a_suspect_runs_isolated(engine: ExecutionEngine):
    goal = formula(isolated.process, isolate=False)
    engine.suspect([goal.id])
    assert values(engine, goal) != [float(os.getpid())]


# The end of it


def ended(pid: int) -> bool:
    """Waits until a process is gone; a zombie of somebody else's is gone too."""
    poll = threading.Event()
    for _ in range(600):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        poll.wait(0.05)
    return False


@pytest.mark.parametrize("body", [isolated.sleep, isolated.hold])
def test_a_time_limit_kills_it_and_is_stored(
    body: Callable[..., object], storage: MemoryStorage, engine: ExecutionEngine, tmp_path: Path
):
    goal = formula(body, str(tmp_path / "pid"))
    found = error(engine, goal, task_timeout=0.7)
    assert (found.kind, found.type, found.limits) == ("circumstance", "TimeoutError", (("seconds", 0.7),))
    outcome = storage.wait_for_completion(goal.id, SOON)
    assert isinstance(outcome, Failed)
    assert outcome.error.type == "TimeoutError"
    if (tmp_path / "pid").exists():
        assert ended(int((tmp_path / "pid").read_text()))


def test_cancelling_kills_it_and_gives_the_claim_back(storage: MemoryStorage, engine: ExecutionEngine, tmp_path: Path):
    path = tmp_path / "pid"
    goal = formula(isolated.sleep, str(path))
    run = engine.run([goal])
    appeared(path)
    run.cancel()
    assert ended(int(path.read_text()))
    claim = storage.claim(goal.id, timeout=SOON)
    assert isinstance(claim, Claim), "no failure is stored"
    storage.release(claim)


def appeared(path: Path) -> None:
    poll = threading.Event()
    for _ in range(600):
        if path.exists() and path.read_text():
            return
        poll.wait(0.05)
    raise AssertionError(f"{path} did not appear")


def stopped(pid: int) -> bool:
    """Stops a process and waits until each of its threads has: a signal that ends it is kept for one that stands still,
    and ends one of which a thread has yet to."""
    os.kill(pid, signal.SIGSTOP)
    poll = threading.Event()
    for _ in range(600):
        if all(
            file.read_text().rsplit(")", 1)[1].split()[0] == "T" for file in Path(f"/proc/{pid}/task").glob("*/stat")
        ):
            return True
        poll.wait(0.05)
    return False


PARENT = """
import sys
from test_execution_isolation import formula
import isolated
from voxlogica.execution.engine import ExecutionEngine
from voxlogica.storage import MemoryStorage
from voxlogica.storage.embedded import EmbeddedStorage

storage = EmbeddedStorage(sys.argv[3]) if sys.argv[3:] else MemoryStorage()
list(ExecutionEngine(storage, jobs=1).run([formula(getattr(isolated, sys.argv[1]), sys.argv[2])]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="what holds the interpreter ends by a signal that Linux has")
@pytest.mark.parametrize("body", ["sleep", "hold"])
def test_it_ends_when_its_parent_is_killed(body: str, tmp_path: Path):
    path = tmp_path / "pid"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    parent = subprocess.Popen([sys.executable, "-c", PARENT, body, str(path)], env=env)
    try:
        appeared(path)
        pid = int(path.read_text())
    finally:
        parent.kill()
        parent.wait()
    assert ended(pid)


def test_a_child_that_outlives_its_parent_keeps_the_claim_until_it_has_ended_too(tmp_path: Path):
    """It is stopped, so that it does not notice; nobody may compute beside it when it goes on."""
    path, directory = tmp_path / "pid", tmp_path / "store"
    goal = formula(isolated.sleep, str(path))
    with EmbeddedStorage(directory) as storage:
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        parent = subprocess.Popen([sys.executable, "-c", PARENT, "sleep", str(path), str(directory)], env=env)
        appeared(path)
        pid = int(path.read_text())
        try:
            assert stopped(pid)
            parent.kill()
            parent.wait()
            assert storage.claim(goal.id) is None
            answers: list[object] = []
            heir = threading.Thread(target=lambda: answers.append(storage.claim(goal.id, timeout=None)))
            heir.start()
            until_waited_for(directory)
            assert answers == []
        finally:
            os.kill(pid, signal.SIGCONT)
        heir.join(SOON)
        assert isinstance(answers[0], Claim)
        assert ended(pid)
