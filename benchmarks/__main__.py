"""The engine, the store under it and studies above it, in one table: their cost, and that of others in the same run.

    python -m benchmarks [--json FILE] [--quick]

About ten minutes on two quiet processors, two with --quick. Kernels and the reference analysis have commands of their
own: `python -m benchmarks.kernels` and `.reference`.
"""

import sys

from benchmarks import engine, storage, studies
from benchmarks.table import command

if __name__ == "__main__":
    sys.exit(command(__doc__, storage.measure, engine.measure, studies.measure))
