"""Eight processes on one real program and one empty store: what is shared, and what the sharing costs.

    python -m benchmarks.sharing [--processes N]

Every published task is computed once; private ones run again where they are needed. The cost is the processor time of
all processes, less that of as many warm runs but one, beside that of one cold run. Uses the demo's synthetic case.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from demo import phantom

ROOT = Path(__file__).resolve().parent.parent


def command(store: Path, *more: str) -> list[str]:
    """A run of the demo's analysis in the directory where its case lies."""
    sets = ["--set", "INPUTDIR=case", "--set", "NAME=phantom"]
    program = str(ROOT / "demo" / "gbm.imgql")
    return [sys.executable, "-m", "voxlogica", "run", program, *sets, "--store", str(store), *more]


def together(place: Path, commands: Sequence[list[str]]) -> tuple[float, list[str]]:
    """Processor seconds of processes that start together, and what each printed."""
    children = [subprocess.Popen(words, cwd=place, stdout=subprocess.PIPE, text=True) for words in commands]
    printed = []
    seconds = 0.0
    for child in children:
        assert child.stdout is not None
        printed.append(child.stdout.read())
        child.stdout.close()
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if status:
            raise SystemExit(f"a run ended with {status}")
        seconds += used.ru_utime + used.ru_stime
    return seconds, printed


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=8)
    count: int = parser.parse_args().processes
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        phantom.write(place / "case", "phantom")
        plan = json.loads(together(place, [command(place / "none", "-n", "--json")])[1][0])
        published = {task["id"] for task in plan["tasks"] if task["published"]}

        def store(kind: str) -> Path:
            return place / f"store-{kind}"

        cold, said = together(place, [command(store("one"), "--output-dir", "out")])
        warm, _ = together(place, [command(store("one"), "--output-dir", "out")])
        files = [place / f"events-{n}" for n in range(count)]
        runs = [command(store("all"), "--output-dir", f"out-{n}", "--events", str(f)) for n, f in enumerate(files)]
        everybody, printed = together(place, runs)
        events = [[json.loads(line) for line in file.read_text().splitlines()[1:]] for file in files]
    done = Counter(e["id"] for each in events for e in each if e["event"] == "done")
    own = [[e for e in each if e["event"] == "done"] for each in events]
    private = [[e for e in each if e["id"] not in published] for each in own]
    long = [e for each in private for e in each if e.get("seconds", 0) > 1e-3]
    labels = Counter(e["operator"] for e in long)
    print(f"{len(published)} published tasks; times each was computed: {sorted({done[id] for id in published})}")
    print(f"all print the same: {set(printed) == set(said)}")
    shares = [sum(e.get("seconds", 0) for e in each) / cold for each in private]
    print(f"private work, by the clock, beside a cold run: {', '.join(f'{share:.0%}' for share in shares)}")
    print(f"of which took over a millisecond: {', '.join(f'{label} {n}' for label, n in labels.most_common())}")
    print(f"cold {cold:.2f} s, warm {warm:.2f} s, {count} at once {everybody:.2f} s of processor time")
    cost = (everybody - (count - 1) * warm) / cold
    print(f"({count} at once - {count - 1} warm) / cold = {cost:.2f}   (to be at most 1.2)")


if __name__ == "__main__":
    main()
