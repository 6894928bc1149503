"""The kill matrix and the model at length: `python -m tests.soak_storage [KILLS]`, by default 10,000 kills."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.kill_matrix import run
from tests.storage_model import Setting, explore


def main() -> int:
    left, seed = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000, 1
    while left > 0:  # in stores of a few thousand tasks
        with tempfile.TemporaryDirectory() as directory:
            tally = run(Path(directory), min(left, 2000), seed)
        print(f"{tally}\n{'clean' if tally.clean else 'NOT CLEAN'}", flush=True)
        if not tally.clean:
            return 1
        left, seed = left - tally.kills, seed + 1
    setting = Setting(workers=3, kills=1, spoils=1, gifts=1, collections=1)
    print(f"{setting}: {explore(setting)} states, no promise broken")
    return 0


if __name__ == "__main__":
    sys.exit(main())
