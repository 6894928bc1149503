"""Numbers beside those of others: a row each, a table, and JSON; the same for all measurements.

What was measured says what it is, its unit, the yardstick's number from the same run, and how much is good enough.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Measured:
    """A number, the yardstick's, and the greatest ratio of the two that is good enough."""

    name: str
    unit: str
    value: float
    yardstick: str = ""
    other: float | None = None
    target: str = ""
    good: bool | None = None

    def line(self) -> str:
        """A row of the table."""
        ratio = f"{self.value / self.other:8.2f}" if self.other else " " * 8
        other = f"{self.other:10.2f} {self.yardstick}" if self.other is not None else ""
        verdict = "" if self.good is None else ("ok" if self.good else "MISSED")
        return f"{self.name:46}{self.value:9.2f} {self.unit:4}{ratio}  {verdict:7}{self.target:16}{other}".rstrip()


def within(name: str, unit: str, value: float, yardstick: str, other: float, most: float) -> Measured:
    """A number that must be at most so many times the yardstick's."""
    return Measured(name, unit, value, yardstick, other, f"<= {most} x", value <= most * other)


def below(name: str, unit: str, value: float, most: float) -> Measured:
    """A number with an absolute target."""
    return Measured(name, unit, value, target=f"<= {most:g} {unit}", good=value <= most)


def above(name: str, unit: str, value: float, least: float) -> Measured:
    """A number that must be at least so much."""
    return Measured(name, unit, value, target=f">= {least:g} {unit}", good=value >= least)


Measure = Callable[[Path, bool], Iterator[Measured]]
"""Measures everything, with a directory of its own, quickly if asked."""


def command(about: str | None, *measures: Measure) -> int:
    """Measures, prints the table, writes JSON if asked. What was missed is repeated at the end."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    parser.add_argument("--quick", action="store_true", help="a fifth of the rounds")
    given = parser.parse_args()
    load = os.getloadavg()[0]
    print(f"{platform.machine()}, {os.cpu_count()} processors, load {load:.1f}, Python {platform.python_version()}\n")
    print(f"{'':46}{'time':>9} {'':4}{'ratio':>8}  {'':7}{'target':16}{'yardstick':>10}")
    numbers = []
    for measure in measures:
        with tempfile.TemporaryDirectory() as directory:
            for number in measure(Path(directory), given.quick):
                numbers.append(number)
                print(number.line(), flush=True)
    missed = [number for number in numbers if number.good is False]
    judged = sum(number.good is not None for number in numbers)
    print(f"\nload {os.getloadavg()[0]:.1f}; {len(missed)} of {judged} targets missed")
    for number in missed:
        print(number.line())
    if given.json:
        data = {"load": load, "python": platform.python_version(), "numbers": [asdict(number) for number in numbers]}
        given.json.write_text(json.dumps(data, indent=1) + "\n")
    return 0
