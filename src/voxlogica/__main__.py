"""`voxlogica`, and `python -m voxlogica`, which is the same.

The system is asked for long turns before all else is imported, which is most of a short run: see `kernels.turns`.
"""

from __future__ import annotations

import sys

from voxlogica._collector import collector_paused


def main() -> int:
    """Carries out the command of `sys.argv`; returns its exit status."""
    try:
        from voxlogica.kernels import turns
    except ImportError:  # the compiled code does not load: whoever needs it says so, and `voxlogica doctor` what to do
        pass
    else:
        turns.lengthen()
    with collector_paused():
        from voxlogica import cli
    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
