"""The command line: arguments to session calls, results to text. No logic of its own.

Commands are imported when they are called, so that `voxlogica version` costs what Python costs.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from voxlogica._collector import collector_paused
from voxlogica.cli import text
from voxlogica.cli.arguments import COMMANDS
from voxlogica.cli.parsing import command
from voxlogica.errors import (
    ComputationError,
    Diagnostic,
    InputError,
    InternalError,
    MachineError,
    ProgramError,
    VoxLogicAError,
    reason_of,
)

STATUS: dict[type[VoxLogicAError], int] = {
    ComputationError: 1, MachineError: 1, ProgramError: 2, InputError: 3, InternalError: 4,
}  # fmt: skip
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    # NumPy's linear algebra, which nothing here uses, would start threads as soon as NumPy is imported: 20 ms.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Threads that come back from a kernel or a decompressor want the interpreter for microseconds, and by default wait
    # 5 ms for it while another one imports or plans.
    sys.setswitchinterval(0.0005)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what a stream's encoding lacks is shown by its number
            stream.reconfigure(errors="backslashreplace")
    try:
        status = _main(given)
        if arguments is None:
            _leave(status)
        return status
    except KeyboardInterrupt:
        _interrupted()
    except BrokenPipeError:
        _close_stdout()
        return 1
    except OSError as error:
        return _unheard(error)
    except Exception as error:  # noqa: BLE001  # the outermost border: a bug of ours, said with what to send
        from voxlogica.session.running import unexpected

        text.complain([unexpected(error)])
        return STATUS[InternalError]


def _main(given: Sequence[str]) -> int:
    text.begin()
    try:
        name, options = command(given)
    except VoxLogicAError as error:
        return _refused(error, given)
    if options is None:
        return 0
    try:
        for path in getattr(options, "own", ()):
            from voxlogica.session import own

            own.load(path)
        with collector_paused():
            function = COMMANDS[name].function()
        return function(options)
    except VoxLogicAError as error:
        return _refused(error, given)


def _refused(error: VoxLogicAError, given: Sequence[str]) -> int:
    """Says what is wrong; as data when that was asked for."""
    status = STATUS.get(type(error), STATUS[InternalError])
    with suppress(OSError):  # the status is right even where nobody can read the message
        if "--json" in given:
            text.complain_as_data(error.diagnostics, status)
        else:
            text.complain(error.diagnostics, quiet=bool({"-q", "--quiet"} & set(given)))
    return status


def _unheard(error: OSError) -> int:
    """The system refused something that no command foresaw: nearly always that stdout takes no more."""
    reason = reason_of(error)
    message = f"{error.filename}: {reason}" if error.filename else f"the output cannot be written: {reason}"
    with suppress(OSError):
        text.complain([Diagnostic("machine", message)])
    with suppress(OSError):
        _close_stdout()
    return STATUS[MachineError]


def _interrupted() -> NoReturn:
    """Ctrl-C: what is stored stays, and nothing half written is left. A second one ends at once."""
    signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
    text.farewell("interrupted")
    with suppress(OSError):
        _flush()
    os._exit(INTERRUPTED)


def _leave(status: int) -> NoReturn:
    """Ends the process at once: all is written, and stores are closed.

    Python would search for cycles and take every module apart first, a tenth of a short run; and kernels that were left
    behind at a limit of time may run on in their threads, which nobody waits for: their claims end with the process.
    """
    _flush()
    os._exit(status)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()


def _close_stdout() -> None:
    """Whoever read our output went away: nothing more can be said, and Python must not try at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
