"""The process of one isolated task: reads a message, runs the function that it names, writes the answer, ends.

`python -m voxlogica.execution.child LIFELINE`, where LIFELINE is the descriptor of a pipe's reading end; the process
ends when the other end is closed, even if a kernel keeps the interpreter to itself.
"""

from __future__ import annotations

import os
import signal
import sys
from functools import reduce
from importlib import import_module
from threading import Thread

from voxlogica.execution import inside, wire


def main(lifeline: int) -> None:
    """Carries out the one message that is on standard input; what kernels print goes to standard error."""
    _end_with(lifeline)
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    inside.enter_process()
    request = wire.receive(requests)
    if request is None:
        return
    (name, options), arguments = request
    try:
        module, path = name.split(":")
        body = reduce(getattr, path.split("."), import_module(module))
        result = body(*arguments, **options)  # type: ignore[operator]
        wire.send(answers, None, [result])
    except BaseException as error:  # noqa: BLE001 - this is the process's outermost level: everything is an answer
        from voxlogica.execution.reporting import elsewhere

        data = elsewhere(error)
        wire.send(answers, [data.kind, data.type, data.message, data.details, data.help, data.traceback])


def _end_with(lifeline: int) -> None:
    """Ends this process when the other end of the pipe is closed."""

    def wait() -> None:
        os.read(lifeline, 1)
        os._exit(1)

    Thread(target=wait, daemon=True).start()
    try:
        import fcntl

        # A kernel may hold the interpreter's lock, so that the thread never runs; the signal's default is to end us.
        signal.signal(signal.SIGIO, signal.SIG_DFL)
        fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)
    except (ImportError, AttributeError, OSError):
        pass  # a system without it has the thread


if __name__ == "__main__":
    main(int(sys.argv[1]))
