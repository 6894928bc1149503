"""Commands on a terminal of a certain width: what a person would see, with colours taken away."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Sequence


def on_terminal(arguments: Sequence[str], columns: int) -> list[str]:
    """The lines that a command writes to stdout, a terminal; stderr is a pipe."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR")}
    command = [sys.executable, "-m", "voxlogica", *arguments]
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL, env=environment | {"TERM": "xterm"}
    ):
        os.close(theirs)
        written = b""
        while True:
            try:
                found = os.read(ours, 65536)
            except OSError:  # nobody holds the other end any more
                break
            if not found:
                break
            written += found
    os.close(ours)
    return re.sub(r"\x1b\[[0-9;]*m", "", written.decode()).replace("\r\n", "\n").splitlines()
