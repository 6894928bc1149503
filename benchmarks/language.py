"""How fast text becomes a graph of formulas: parsed, checked, reduced; in processor time, for machines are shared.

Two counts are honest, and both are printed. *Written* are the formulas of the text: each name, constant and application
is one, so that `let x1 = x0 + 1` writes three; it says how fast people's programs are read. *Made* are the different
formulas of the graph: that definition makes one, or two where no other has the constant, and a call of a function makes
what its body says; it says how fast work for the engine comes out. `chain` has lines of one operator, the worst case,
for a line costs more than what stands in it; `masks` has lines of four, as analyses have; `calls` and `loop` write
little and make much.

Target: 100,000 formulas a second.

    python -m benchmarks.language [LINES]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from voxlogica.check import check
from voxlogica.errors import Source
from voxlogica.formula import Leaf, below
from voxlogica.reduction import reduce
from voxlogica.reduction.code import DEFAULT
from voxlogica.syntax.ast import Expression, Let, Print, Program, Save, parts
from voxlogica.syntax.parser import parse
from voxlogica.values import Space

SPACE = Space.grid(8, 8, 8)
IMAGE = 'load m = "m.nii"\nlet i = intensity(m)\n'


def chain(lines: int) -> str:
    """Definitions each of which uses the one before it."""
    return "let x0 = 0\n" + "".join([f"let x{n + 1} = x{n} + {n % 7}\n" for n in range(lines)]) + f'print "v" x{lines}'


def masks(lines: int) -> str:
    """Definitions as analyses have them, four formulas a line."""
    text = IMAGE + "let a0 = i > 1\n"
    body = [f"let a{n + 1} = touch(a{n}, i > {n % 97}) & !near(a{n // 2})\n" for n in range(lines)]
    return text + "".join(body) + f'save "m.nii" a{lines}'


def calls(lines: int) -> str:
    """Calls of a function of one's own."""
    text = IMAGE + "let f(a, k) = grow(a, i > k) | smoothen(a, k)\nlet a0 = i > 1\n"
    return text + "".join([f"let a{n + 1} = f(a{n}, {n})\n" for n in range(lines)]) + f'save "m.nii" a{lines}'


def loop(lines: int) -> str:
    """One loop of many turns."""
    return IMAGE + f'print "v" fold + for k in range({lines}) do volume(near(i > k) & (i < k + 1))'


def written(program: Program) -> int:
    """How many formulas stand in a program's text."""
    stack: list[Expression] = []
    for command in program.commands:
        if isinstance(command, (Let, Save, Print)):
            stack.append(command.body if isinstance(command, Let) else command.value)
    count = 0
    while stack:
        count += 1
        stack += parts(stack.pop())
    return count


def measure(name: str, make: Callable[[int], str], lines: int) -> None:
    """Prints the seconds of each stage and the rates."""
    source = Source(name, make(lines))
    start = time.process_time()
    program = parse(source)
    parsed = time.process_time()
    checked = check(program)
    done = time.process_time()
    leaves = [Leaf("", b"m", "test", 1, SPACE) for _ in checked.inputs]
    spaces = dict.fromkeys([*checked.grids, DEFAULT], SPACE)
    slots = reduce(checked.code, leaves, spaces, {}, lambda text: text)
    goals = [formula for goal in checked.goals if (formula := slots[goal.slot]) is not None]
    end = time.process_time()
    made, seconds = sum(1 for _ in below(goals)), end - start
    print(
        f"{name:<8} parse {parsed - start:5.2f} s   check {done - parsed:5.2f} s   reduce {end - done:5.2f} s   "
        f"{lines / seconds:>7,.0f} lines/s   written {written(program):>9,} {written(program) / seconds:>9,.0f}/s   "
        f"made {made:>9,} {made / seconds:>9,.0f}/s"
    )


if __name__ == "__main__":
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    measure("empty", lambda _: 'print "v" 1', 1)
    for each in (chain, masks, calls, loop):
        measure(each.__name__, each, size)
