"""What is written down of a task: how its value came about, or why there is none."""

from __future__ import annotations

import os
import sys
import time
from functools import cache

from voxlogica.errors import MachineError, Refusal
from voxlogica.formula import Formula
from voxlogica.storage import Provenance, TaskError
from voxlogica.storage.interface import Kind

Limits = tuple[tuple[str, float], ...]

DIED = "WorkerDied"
"""The type of the failure of a task whose process ended before it did."""


class Elsewhere(Exception):
    """What was raised in another process, as the data that came from there."""

    def __init__(
        self, kind: Kind, type: str, message: str, details: tuple[str, ...], help: str, traceback: str, deaths: int = 1
    ) -> None:
        super().__init__(message)
        self.kind, self.type, self.message, self.details = kind, type, message, details
        self.help, self.traceback, self.deaths = help, traceback, deaths


def kind_of(error: BaseException) -> Kind:
    """Whether an exception is an answer for everybody, or the machine's fault."""
    return "circumstance" if isinstance(error, (MemoryError, OSError, MachineError)) else "definite"


def elsewhere(error: BaseException) -> Elsewhere:
    """An exception as data, to be sent or stored."""
    if isinstance(error, Elsewhere):
        return error
    kind, message = kind_of(error), str(error)
    if kind == "circumstance":
        message = message or "out of memory"
    if isinstance(error, Refusal):
        return Elsewhere(kind, type(error).__name__, message, error.details, error.help, "")
    import traceback

    return Elsewhere(kind, type(error).__name__, message, (), "", "".join(traceback.format_exception(error)))


def failure(formula: Formula, error: BaseException, seconds: float, limits: Limits) -> TaskError:
    """The failure of a task that raised."""
    data = elsewhere(error)
    return TaskError(
        kind=data.kind,
        type=data.type,
        message=data.message,
        details=data.details,
        help=data.help,
        traceback=data.traceback,
        task=formula.id,
        operator=formula.operator.name if formula.operator else "load",
        position=position(formula),
        attempt=data.deaths,
        limits=limits if data.kind == "circumstance" else (),
        duration=seconds,
    )


def too_late(formula: Formula | None, seconds: float, waiting: bool = False) -> TaskError:
    """The failure of a task, or of a whole run, for which a run does not want to wait any longer."""
    if formula is None:
        message = f"the run was not finished after its limit of {seconds:g} s"
    elif waiting:
        message = f"another worker has been computing this for longer than the limit of {seconds:g} s"
    else:
        message = f"this took longer than the limit of {seconds:g} s"
    return TaskError(
        kind="circumstance",
        type="TimeoutError",
        message=message,
        help="what is stored is kept: run again, with a higher limit",
        task=formula.id if formula else None,
        operator=formula.operator.name if formula and formula.operator else "",
        position=position(formula) if formula else "",
        limits=(("seconds", seconds),),
        duration=seconds,
    )


def position(formula: Formula) -> str:
    """Where in a program a formula was first written."""
    return str(formula.origin.span) if formula.origin is not None else ""


def provenance(formula: Formula, bytes: int, seconds: float, rule: str = "") -> Provenance:
    """How a value of so many bytes came about, just now. `rule`, a name and a version, stands with the libraries."""
    operator = formula.operator
    name, _, number = rule.partition(" ")
    return Provenance(
        operator=operator.name if operator else "load",
        version=operator.version if operator else 0,
        arguments=tuple([argument.id for argument in formula.arguments]),
        seconds=seconds,
        bytes=bytes,
        when=time.time(),
        host=_host(),
        libraries=_libraries(*map(_version, _LIBRARIES)) + (((f"rule {name}", number),) if rule else ()),
        position=position(formula),
    )


@cache
def _host() -> str:
    return os.uname().nodename


_LIBRARIES = ("numpy", "SimpleITK")


def _version(library: str) -> str:
    """The version of a library; "" when it is not imported, or only just being so by another thread."""
    return str(getattr(sys.modules.get(library), "__version__", ""))


@cache
def _libraries(*versions: str) -> tuple[tuple[str, str], ...]:
    """Versions of what may have had part in a value; a library that is not imported had none."""
    found = [(name, version) for name, version in zip(_LIBRARIES, versions, strict=True) if version]
    return (("python", sys.version.split()[0]), *found)
