"""Commands run in this process, and what they did."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

from voxlogica.cli import main


class Said(NamedTuple):
    """What a command did."""

    status: int
    out: str
    err: str


Command = Callable[..., Said]


def commands(capfd: pytest.CaptureFixture[str]) -> Command:
    """What runs a command with the arguments it is given."""

    def run(*arguments: str) -> Said:
        status = main(arguments)
        return Said(status, *capfd.readouterr())

    return run
