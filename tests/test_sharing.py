"""Several processes on one store and one real program: work is done once, deaths cost nothing but their own work."""

from __future__ import annotations

import fcntl
import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TextIO

import pytest
from demo import phantom
from tests.storage_peer import Peer, until_waited_for

from voxlogica import identity, images
from voxlogica.cli.text import KEPT
from voxlogica.execution.messages import Counts, Event
from voxlogica.identity import Id
from voxlogica.images import memo
from voxlogica.images.files import File
from voxlogica.session import Options, Session, binding, runs
from voxlogica.session import store as stores
from voxlogica.session.store import Files
from voxlogica.storage import Claim
from voxlogica.storage.conformance import MADE, task
from voxlogica.storage.embedded import EmbeddedStorage
from voxlogica.storage.records import Memo, Records, Stamp
from voxlogica.values import Space

ROOT = Path(__file__).resolve().parent.parent
SETS = ("--set", "INPUTDIR=case", "--set", "NAME=phantom")
PRINTED = {"dice_surely", "dice_possibly", "dice_growTum", "dice_gtv", "voxels_gtv", "voxels_truth"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the demo's case and program."""
    directory = tmp_path_factory.mktemp("sharing")
    phantom.write(directory / "case", "phantom")
    (directory / "gbm.imgql").write_text((ROOT / "demo" / "gbm.imgql").read_text())
    (directory / "other.imgql").write_text(
        'load scan = "case/phantom_seg.nii.gz"\nlet a = intensity(scan) >. 0.5\n'
        'print "n" volume(smoothen(a, 4))\nprint "m" max(dt(a))\nprint "c" volume(dt(!a) <. 3)'
    )
    return directory


def begin(
    place: Path,
    store: Path,
    *arguments: str,
    program: str = "gbm.imgql",
    preexec_fn: Callable[[], object] | None = None,
) -> subprocess.Popen[str]:
    """Starts a run."""
    given = SETS if program == "gbm.imgql" else ()
    command = [sys.executable, "-m", "voxlogica", "run", program, *given, "--store", str(store), *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=place, stdout=pipe, stderr=pipe, text=True, preexec_fn=preexec_fn)


def ended(process: subprocess.Popen[str]) -> str:
    """What a run printed, which must have gone well."""
    out, err = process.communicate(timeout=300)
    assert (process.returncode, err) == (0, "")
    return out


@contextmanager
def followed(
    place: Path, store: Path, pipe: Path, *arguments: str, preexec_fn: Callable[[], object] | None = None
) -> Iterator[tuple[subprocess.Popen[str], TextIO]]:
    """A run and its events. It is never far ahead of who reads them, however late he is: it would not end unread."""
    os.mkfifo(pipe)
    opened = os.open(pipe, os.O_RDWR)
    fcntl.fcntl(opened, fcntl.F_SETPIPE_SZ, 4096)  # 25 events
    begun = begin(place, store, "--events", str(pipe), *arguments, preexec_fn=preexec_fn)
    with begun as process, pipe.open() as happened:
        happened.readline()  # it has it open
        os.close(opened)
        pipe.unlink()
        try:
            yield process, happened
        except BaseException:
            process.kill()  # it may be stopped, and is waited for
            raise


def run(place: Path, store: Path, *arguments: str) -> str:
    return ended(begin(place, store, *arguments))


def events(paths: Sequence[Path]) -> Iterator[dict[str, object]]:
    for path in paths:
        for line in path.read_text().splitlines()[1:]:
            yield json.loads(line)


def published(place: Path, store: Path) -> set[str]:
    """The tasks of the program that are claimed and stored."""
    tasks = json.loads(run(place, store, "-n", "--json"))["tasks"]
    return {task["id"] for task in tasks if task["published"]}


def outputs(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_eight_processes_started_together_do_each_published_task_once(place: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    claimed = published(place, tmp_path / "unused")
    files = [tmp_path / f"events-{n}" for n in range(8)]
    processes = [
        begin(place, store, "--events", str(file), "--output-dir", str(tmp_path / f"out-{n}"))
        for n, file in enumerate(files)
    ]
    printed = {ended(process) for process in processes}
    assert len(printed) == 1
    assert {line.split("=")[0] for line in next(iter(printed)).splitlines()} == PRINTED
    done = [[event["id"] for event in events([file]) if event["event"] == "done"] for file in files]
    times = Counter(id for each in done for id in each)
    assert {times[id] for id in claimed} == {1}
    assert sorted(map(bool, done)) == [False] * 7 + [True], "one computes, and the others have slept"
    assert all(outputs(tmp_path / f"out-{n}") == outputs(tmp_path / "out-0") for n in range(8))


def test_one_process_reads_the_files_through_and_the_others_recall_them(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [str(place / "case" / f"phantom_{kind}.nii.gz") for kind in ("flair", "seg")]
    monkeypatch.setattr(memo, "SETTLED", -1)  # they may have been made just now
    read = images._verified
    with EmbeddedStorage(tmp_path / "store") as one, EmbeddedStorage(tmp_path / "store") as other:
        seen = []

        asked = []

        def reading(file: File) -> tuple[bytes, Space]:
            seen.append((file.path, other.claim(identity.reading(paths))))
            return read(file)

        def recalling(self: Files, path: str, status: tuple[int, ...]) -> tuple[bytes, str] | None:
            asked.append(path)
            return recall(self, path, status)

        recall = Files.recall
        monkeypatch.setattr(images, "_verified", reading)
        monkeypatch.setattr(Files, "recall", recalling)
        bound = []
        for each in (one, other):
            asked.clear()
            with Files(each.records, each) as files:
                bound.append(binding._bound(paths, files, 2))
        assert asked == paths, "what is known is asked for once"
    assert sorted(seen) == [(path, None) for path in paths], "each once, under a claim"
    leaves = [[each[path] for path in paths] for each in bound]
    assert [leaf.digest for leaf in leaves[0]] == [sha256(Path(path).read_bytes()).digest() for path in paths]
    assert [(leaf.digest, leaf.space) for leaf in leaves[1]] == [(leaf.digest, leaf.space) for leaf in leaves[0]]


def test_who_reads_the_files_has_his_turn_before_others_know_them(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else one of them computes, who has to decompress them again."""
    monkeypatch.setattr(memo, "SETTLED", -1)
    monkeypatch.chdir(place)
    with EmbeddedStorage(tmp_path / "store") as other, Session(store=tmp_path / "store") as session:
        wanted: list[Id] = []
        seen = []
        remember, turn = Records.remember, identity.turn

        def noting(ids: Sequence[Id]) -> Id:
            wanted.append(turn(ids))
            return wanted[-1]

        def remembering(records: Records, stamp: Stamp, known: Memo) -> None:
            seen.append((Path(stamp.path).name, other.claim(wanted[-1])))
            remember(records, stamp, known)

        monkeypatch.setattr(identity, "turn", noting)
        monkeypatch.setattr(Records, "remember", remembering)
        session.load("other.imgql").settle((), Options()).begin()
        assert seen == [("phantom_seg.nii.gz", None)]


def test_of_equal_runs_one_has_its_turn_and_the_others_find_it_done(tmp_path: Path) -> None:
    turn, ids = task("turn"), [task("a"), task("b")]
    with (
        EmbeddedStorage(tmp_path / "store") as one,
        EmbeddedStorage(tmp_path / "store") as other,
        ThreadPoolExecutor(1) as pool,
    ):
        claim = stores.turn(one, turn, ids, 0.0)
        assert claim is not None
        with pytest.raises(TimeoutError):
            stores.turn(other, turn, ids, 0.0)
        waiting = pool.submit(stores.turn, other, turn, ids, 60.0)
        until_waited_for(tmp_path / "store")
        for id in ids:
            one.offer(id, 1.0, MADE)
        assert not waiting.done()
        one.release(claim)
        assert waiting.result() is None
        assert stores.turn(one, turn, ids, 0.0) is None, "nothing is left to do"


def test_whoever_waits_for_an_equal_run_inherits_when_it_dies(tmp_path: Path) -> None:
    with EmbeddedStorage(tmp_path / "store") as store, Peer(store.directory) as peer, ThreadPoolExecutor(1) as pool:
        assert peer.ask("claim turn 0") == "claim"
        waiting = pool.submit(stores.turn, store, task("turn"), [task("a")], 60.0)
        until_waited_for(store.directory)
        peer.kill()
        assert isinstance(waiting.result(), Claim)


class Told:
    """A watcher that notes what is said of a run when it begins."""

    def __init__(self) -> None:
        self.counts: list[Counts] = []

    def begin(self, counts: Counts) -> None:
        self.counts.append(counts)

    def event(self, event: Event) -> None:
        """It does not mind."""


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_equal_run_that_has_no_patience_left_goes_on_behind_the_other(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    """Unless it is asked to leave processors unused: then it may help."""
    monkeypatch.setattr(runs, "PATIENCE", 0.0)
    monkeypatch.setattr(runs, "processors", lambda: 2)
    monkeypatch.chdir(place)
    with Session(store=tmp_path / "store", jobs=2) as first, Session(store=tmp_path / "store", jobs=jobs) as second:
        first.cold = second.cold = True
        one, other = (each.load("other.imgql").settle((), Options()).begin() for each in (first, second))
        assert one._turn is not None
        assert other._turn is None
        run, asked = second.engine.run, []
        monkeypatch.setattr(second.engine, "run", lambda *a, **k: asked.append(k["behind"]) or run(*a, **k))
        told = Told()
        assert len(list(other.happenings(told))) == 3, "the other was only said to be at it"
        assert [behind is not None for behind in asked] == [jobs == 2]
        assert told.counts[0] == Counts(tasks=3, waiting=3)
        assert told.counts[-1].ended > 3


def writes(store: Path) -> bool:
    """Whether somebody is at the store's gate, where only one may be at a time, for a moment."""
    held = []
    for name in ("write.next", "write.lock"):
        with (store / name).open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                held.append(name)
    return bool(held)


def stop(process: subprocess.Popen[str]) -> None:
    """Stops a process, and waits until all its threads are."""
    process.send_signal(signal.SIGSTOP)
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)


def test_unrelated_programs_run_at_the_same_time(place: Path, tmp_path: Path) -> None:
    """One is stopped in the middle of its computation, and the other runs from beginning to end: no lock is global.

    They read one file, and have no task that is published in common: for that one would wait.
    """
    store = tmp_path / "store"
    with followed(place, store, tmp_path / "pipe", "--output-dir", str(tmp_path / "out")) as (stopped, happened):
        for _ in range(60):
            happened.readline()
        stop(stopped)
        while writes(store):
            stopped.send_signal(signal.SIGCONT)
            stop(stopped)
        assert len(ended(begin(place, store, program="other.imgql")).splitlines()) == 3
        assert stopped.poll() is None
        stopped.send_signal(signal.SIGCONT)
        happened.read()
        assert {line.split("=")[0] for line in ended(stopped).splitlines()} == PRINTED


def test_the_death_of_one_of_two_costs_the_other_nothing(place: Path, tmp_path: Path) -> None:
    whole = run(place, tmp_path / "other", "--output-dir", str(tmp_path / "whole"))
    store = tmp_path / "store"
    with followed(place, store, tmp_path / "pipe", "--output-dir", str(tmp_path / "doomed")) as (doomed, happened):
        survivor = begin(place, store, "--output-dir", str(tmp_path / "survivor"))
        for _ in range(90):
            happened.readline()
        doomed.kill()
    assert ended(survivor) == whole
    assert outputs(tmp_path / "survivor") == outputs(tmp_path / "whole")
    again = tmp_path / "again"
    assert run(place, store, "--events", str(again), "--output-dir", str(tmp_path / "x")) == whole
    assert {event["event"] for event in events([again])} <= {"reused", "freed"}


def test_ctrl_c_at_random_moments_leaves_nothing_half_done(place: Path, tmp_path: Path) -> None:
    """After so many events of a run; then the next run finishes the work, with the same result."""
    whole = run(place, tmp_path / "other", "--output-dir", str(tmp_path / "whole"))
    store, out = tmp_path / "store", tmp_path / "out"
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # the tests may run in the background, and ignore it
    statuses = []
    for moment in random.Random(7).choices(range(1, 150), k=12):
        following = followed(place, store, tmp_path / "pipe", "--output-dir", str(out), preexec_fn=heard)
        with following as (process, happened):
            for _ in range(moment):
                happened.readline()
            process.send_signal(signal.SIGINT)
            happened.read()
            assert process.stderr is not None
            said = process.stderr.read()
            statuses.append(process.wait())
        early, midway = "interrupted\n", f"{KEPT}\ninterrupted\n"
        assert (statuses[-1], said) in [(130, early), (130, midway), (0, "")]
        left = outputs(out) if out.exists() else {}
        assert left.items() <= outputs(tmp_path / "whole").items()
    assert statuses[0] == 130
    assert run(place, store, "--output-dir", str(out)) == whole
    assert outputs(out) == outputs(tmp_path / "whole")


def test_however_it_is_run_the_outputs_are_the_same(place: Path, tmp_path: Path) -> None:
    """Cold, warm, on one worker, without a store, with little memory, and after deaths at several moments."""
    store = tmp_path / "store"
    said, saved = [], []

    def note(name: str, *arguments: str, where: Path = store) -> None:
        said.append(run(place, where, "--output-dir", str(tmp_path / name), *arguments))
        saved.append(outputs(tmp_path / name))

    note("cold")
    note("warm")
    note("one", "--jobs", "1", where=tmp_path / "one-store")
    note("none", "--no-store")
    note("little", "--memory", "30MB", "--no-store")
    killed = tmp_path / "killed-store"
    for lines in range(10):
        file = tmp_path / f"killed-{lines}"
        doomed = begin(place, killed, "--events", str(file), "--output-dir", str(tmp_path / "doomed"))
        assert doomed.stdout is not None
        for _ in range(min(lines, 6)):
            doomed.stdout.readline()
        os.kill(doomed.pid, signal.SIGKILL)
        doomed.communicate()
    note("killed", where=killed)
    assert len(set(said)) == 1
    assert all(each == saved[0] for each in saved)
    assert set(saved[0]) == {"growTum.nii.gz", "gtv.nii.gz"}
