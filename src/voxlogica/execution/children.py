"""Isolated tasks: each in a process of its own, started afresh, which may crash or be killed without harm to this one.

The operator's function is named `module:qualname`, which the child imports; arguments and result go through pipes
(`wire`). The child ends when this process does: it holds the reading end of a pipe that nobody writes to. Should that
take time, it still holds the claim on its task: it inherits what the store has `lent` for that.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO, cast

from voxlogica.errors import Refusal
from voxlogica.execution import wire
from voxlogica.execution.reporting import DIED, Elsewhere
from voxlogica.values import Value

_LINES = 8  # of what a child said last that are kept when it dies


class Children:
    """The isolated processes of an engine, by the number of the instruction they carry out."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._running: dict[int, subprocess.Popen[bytes] | None] = {}
        self._killed: set[int] = set()

    def expect(self, number: int) -> None:
        """An instruction is on its way to `run`; from now on it may be killed."""
        with self._lock:
            self._running[number] = None

    def kill(self, number: int) -> None:
        """Ends the process of an instruction, or does not let it begin; nothing when it has ended."""
        with self._lock:
            if number in self._running:
                self._killed.add(number)
                child = self._running[number]
                if child is not None:
                    child.kill()

    def was_killed(self, number: int) -> bool:
        """Whether the last kill of this instruction is what ended it; forgotten when asked."""
        with self._lock:
            killed = number in self._killed
            self._killed.discard(number)
            return killed

    def run(
        self,
        number: int,
        body: Callable[..., object],
        arguments: Sequence[Any],
        options: dict[str, int],
        lent: Sequence[int] = (),
    ) -> Value:
        """What the function returns. Raises `Elsewhere` for what it raises, and when the process does not survive.

        Of a `partial`, what is fixed already are values, and are sent too. The process inherits the descriptors in
        `lent`.
        """
        if isinstance(body, partial):
            arguments, options, body = [*body.args, *arguments], {**body.keywords, **options}, body.func
        try:
            return self._run(number, importable(body), arguments, options, lent)
        finally:
            with self._lock:
                self._running.pop(number, None)

    def _run(
        self, number: int, name: str, arguments: Sequence[Any], options: dict[str, int], lent: Sequence[int]
    ) -> Value:
        lifeline, ours = os.pipe()
        try:
            with tempfile.TemporaryFile() as said, self._start(number, lifeline, lent, said) as child:
                os.close(lifeline)
                lifeline = -1
                try:
                    answer = self._ask(child, name, arguments, options)
                finally:
                    # A child that has answered has nothing more to do; one that has not is of no more use.
                    child.kill()
                    child.wait()
                if answer is None:
                    raise self._died(child, said)
        finally:
            os.close(ours)
            if lifeline >= 0:
                os.close(lifeline)
        message, values = answer
        if message is not None:
            message[3] = tuple(message[3])
            raise Elsewhere(message[0], message[1], message[2], message[3], message[4], message[5])
        return cast(Value, values[0])

    def _start(self, number: int, lifeline: int, lent: Sequence[int], said: Any) -> subprocess.Popen[bytes]:
        with self._lock:
            if number in self._killed:
                raise Elsewhere("circumstance", DIED, "it was ended before it began", (), "", "")
            child = subprocess.Popen(
                [sys.executable, "-m", "voxlogica.execution.child", str(lifeline)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                pass_fds=(lifeline, *lent),
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)},
            )
            self._running[number] = child
            return child

    @staticmethod
    def _ask(
        child: subprocess.Popen[bytes], name: str, arguments: Sequence[Any], options: dict[str, int]
    ) -> tuple[Any, list[Any]] | None:
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            wire.send(cast(BinaryIO, child.stdin), [name, options], arguments)
        except BrokenPipeError:
            with suppress(BrokenPipeError):  # of what is left to be written: else closing would say so in its stead
                child.stdin.close()
            return None
        return wire.receive(cast(BinaryIO, child.stdout))

    @staticmethod
    def _died(child: subprocess.Popen[bytes], said: Any) -> Elsewhere:
        code = child.returncode
        try:
            how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
        except ValueError:
            how = f"was ended by signal {-code}"
        said.seek(0)
        lines = said.read().decode(errors="replace").splitlines()[-_LINES:]
        return Elsewhere("circumstance", DIED, f"the process that computed it {how}", tuple(lines), "", "")


def importable(body: Callable[..., object]) -> str:
    """The function's `module:qualname`. Raises `Refusal` for one that another process could not import."""
    module, name = body.__module__, body.__qualname__
    if module == "__main__" or "<" in name:
        raise Refusal(
            f"the operator's function {name} cannot run in a process of its own, which could not import it",
            help="put it in a module, at the top level",
        )
    return f"{module}:{name}"
