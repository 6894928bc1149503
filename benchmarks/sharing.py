"""Eight processes on one real program and one empty store: what is shared, and what the sharing costs.

    python -m benchmarks.sharing [--processes N] [--times N] [--reference]

Every published task is computed once; private ones run again where they are needed. The cost is the processor time of
all processes, less that of as many warm runs but one, beside that of one cold run. Part of it is not the sharing's:
processes that are there at once take each other's caches, also when they only read what is stored. So this is shown
too: as many warm runs at once, and the cost if sharing itself were free. Medians of several rounds, in each of which
all is measured, since neighbours come and go. The program is the demo's on its synthetic case, or the reference
analysis, which needs `../shared/data`. Byte code is compiled beforehand, as it is when installed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from demo import phantom

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data"
CASE = "BraTS19_CBICA_AAP_1"


class Program(NamedTuple):
    """What is run: the words that say it, and the directory where its inputs lie."""

    words: Sequence[str]
    place: Path

    def command(self, store: Path, out: Path, *more: str) -> list[str]:
        """A run of it."""
        out.mkdir(parents=True, exist_ok=True)
        own = [*self.words, f"--set=OUTPUTDIR={out}"] if self.place == DATA else [*self.words, "--output-dir", str(out)]
        return [sys.executable, "-m", "voxlogica", "run", *own, "--store", str(store), *more]


class Used(NamedTuple):
    """What processes that started together took: processor seconds, and times that they gave the processor up."""

    seconds: float
    switches: int
    printed: Sequence[str]


def demo(place: Path) -> Program:
    """The demo's analysis; returns when its files are old enough to be recognised by their times."""
    phantom.write(place / "case", "phantom")
    time.sleep(2.1)
    return Program([str(ROOT / "demo" / "gbm.imgql"), "--set=INPUTDIR=case", "--set=NAME=phantom"], place)


def reference() -> Program:
    """The reference analysis of one case."""
    return Program(["gbm.imgql", f"--set=INPUTDIR={CASE}", f"--set=NAME={CASE}"], DATA)


def together(program: Program, commands: Sequence[list[str]], environment: dict[str, str]) -> Used:
    """Runs them at once; all must succeed."""
    pipe = subprocess.PIPE
    children = [
        subprocess.Popen(words, cwd=program.place, stdout=pipe, text=True, env=environment) for words in commands
    ]
    printed, seconds, switches = [], 0.0, 0
    for child in children:
        assert child.stdout is not None
        printed.append(child.stdout.read())
        child.stdout.close()
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if status:
            raise SystemExit(f"a run ended with {status}")
        seconds += used.ru_utime + used.ru_stime
        switches += used.ru_nvcsw
    return Used(seconds, switches, printed)


class Round(NamedTuple):
    """One measurement: a cold run, a warm one, all of them warm at once, all of them cold at once."""

    cold: Used
    warm: Used
    all_warm: Used
    all_cold: Used

    def cost(self, count: int) -> float:
        """What all of them cost beyond warm runs, in cold runs."""
        return (self.all_cold.seconds - (count - 1) * self.warm.seconds) / self.cold.seconds

    def floor(self, count: int) -> float:
        """The same if sharing cost nothing: all of them warm at once, and one of them computes."""
        return (self.all_warm.seconds - count * self.warm.seconds) / self.cold.seconds + 1


def computed(files: Sequence[Path], published: set[str], cold: float) -> None:
    """Prints how often tasks were computed, and where the private ones were."""
    events = [[json.loads(line) for line in file.read_text().splitlines()[1:]] for file in files]
    done = [[event for event in each if event["event"] == "done"] for each in events]
    times = Counter(event["id"] for each in done for event in each)
    print(f"{len(published)} published tasks; times each was computed: {sorted({times[id] for id in published})}")
    private = [sum(e.get("seconds", 0) for e in each if e["id"] not in published) / cold for each in done]
    print(f"private work, by the clock, beside a cold run: {', '.join(f'{share:.0%}' for share in private)}")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--reference", action="store_true", help="the reference analysis, not the demo's")
    arguments = parser.parse_args()
    count: int = arguments.processes
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        environment |= {"PYTHONPYCACHEPREFIX": str(place / "compiled")}
        program = reference() if arguments.reference else demo(place)
        plan = together(program, [program.command(place / "none", place / "out", "-n", "--json")], environment)
        published = {task["id"] for task in json.loads(plan.printed[0])["tasks"] if task["published"]}

        def run(store: Path, processes: int, events: Sequence[Path] = ()) -> Used:
            more = [["--events", str(file)] for file in events] or [[]] * processes
            commands = [program.command(store, place / f"out-{n}", *more[n]) for n in range(processes)]
            return together(program, commands, environment)

        first = run(place / "first", 1)  # compiles
        files = [place / f"events-{n}" for n in range(count)]
        said = run(place / "listened", count, files)
        rounds = []
        for number in range(arguments.times):
            one, every = place / f"one-{number}", place / f"all-{number}"
            rounds.append(Round(run(one, 1), run(one, 1), run(one, count), run(every, count)))
        print(f"all print the same: {set(said.printed) == set(first.printed)}")
        computed(files, published, median(each.cold.seconds for each in rounds))
    titles = ("cold", "warm", f"{count} warm at once", f"{count} cold at once")
    for title, used in zip(titles, zip(*rounds, strict=True), strict=True):
        seconds, switches = median(each.seconds for each in used), median(each.switches for each in used)
        print(f"{title:15} {seconds:.3f} s of processor time, gave it up {switches:.0f} times")
    cost, floor = (median(ratio(each, count) for each in rounds) for ratio in (Round.cost, Round.floor))
    print(f"({count} cold at once - {count - 1} warm) / cold = {cost:.2f}   (to be at most 1.2)")
    print(f"the same if sharing were free = {floor:.2f}: what running at once costs; load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
