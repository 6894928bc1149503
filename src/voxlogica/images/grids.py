"""When two spaces are one voxel grid (C22), and how to show that they are not."""

from __future__ import annotations

import math
from math import hypot

from voxlogica._dataclass import dataclass
from voxlogica.values import Space

RELATIVE = 1 / 1000  # of the spacing: how far grids may differ unless told
_LETTERS = (("L", "R"), ("P", "A"), ("S", "I"))


@dataclass(frozen=True, slots=True)
class Difference:
    """How two grids differ: what to say beside each field that does.

    `worst` is by how many mm, if that may be rounding; grids of several `dimensions` can never become one.
    """

    notes: dict[str, str]
    worst: float | None = None
    dimensions: bool = False

    def help(self, one: str, other: str) -> str:
        """What to do about two images of these names."""
        bridge = f"resample({other}, {one})"
        if self.dimensions:
            return "they cannot be compared voxel by voxel: check that both belong to the same scan"
        if "size" in self.notes:
            return f"check that both belong to the same scan; if so, {bridge} brings `{other}` onto the grid of `{one}`"
        if self.worst is None:
            return f"{bridge} brings `{other}` onto the grid of `{one}`"
        return f"if this is rounding, --grid-tolerance {_above(self.worst)}mm; if not, {bridge} in the program"


def difference(a: Space, b: Space, tolerance: float | None = None) -> Difference | None:
    """How two spaces differ as voxel grids; None when they are one within the tolerance, in mm.

    Origins differ by their distance, directions and spacings by what they move the farthest voxel. Without a
    tolerance each may differ by 1/1000 of the spacing along each axis, spacings from one voxel to the next.
    """
    if a.size != b.size:
        return Difference({"size": "different"}, dimensions=a.dimensions != b.dimensions)
    steps = [y - x for x, y in zip(a.spacing, b.spacing, strict=True)]
    far = [n - 1 for n in a.size]
    spread = hypot(*(step * n for step, n in zip(steps, far, strict=True)))
    moved = [y - x for x, y in zip(a.origin, b.origin, strict=True)]
    reach = [n * s for n, s in zip(far, a.spacing, strict=True)]
    turned = _farthest([y - x for x, y in zip(a.direction, b.direction, strict=True)], reach)
    if tolerance is None:
        limits = [s * RELATIVE for s in a.spacing]
        near = {
            "spacing": all(abs(step) <= limit for step, limit in zip(steps, limits, strict=True)),
            "origin": all(abs(v) <= limit for v, limit in zip(_along(a, moved), limits, strict=True)),
            "direction": turned <= min(limits),
        }
    else:
        near = {
            "spacing": spread <= tolerance,
            "origin": hypot(*moved) <= tolerance,
            "direction": turned <= tolerance,
        }
    if all(near.values()):
        return None
    said = {
        "spacing": f"{spread:.3g} mm apart at the far corner",
        "origin": f"{hypot(*moved):.3g} mm apart",
        "direction": f"{_angle(a, b):.3g} degrees apart",
    }
    worst = max(spread, hypot(*moved), turned)
    notes = {field: said[field] for field, same in near.items() if not same}
    return Difference(notes, worst if worst < min(a.spacing) else None)


def table(name_a: str, a: Space, name_b: str, b: Space, apart: Difference) -> tuple[str, ...]:
    """The two grids beside each other, a line for each field, with the differences pointed at."""
    rows = [
        ("", "", name_a, name_b),
        ("size", "size", *(" x ".join(map(str, s.size)) for s in (a, b))),
        ("spacing", "spacing (mm)", *(" x ".join(map(_number, s.spacing)) for s in (a, b))),
        ("origin", "origin (mm)", *(", ".join(map(_number, s.origin)) for s in (a, b))),
    ]
    if "direction" in apart.notes:
        rows.append(("direction", "direction", orientation(a), orientation(b)))
    wide = [max(len(row[column]) for row in rows) for column in (1, 2, 3)]
    lines = []
    for field, label, left, right in rows:
        note = f"    <- {apart.notes[field]}" if field in apart.notes else ""
        lines.append(f"{label:{wide[0]}}  {left:{wide[1]}}    {right:{wide[2]}}{note}".rstrip())
    return tuple(lines)


def orientation(space: Space) -> str:
    """Where the axes go, each named by the side of the patient it comes closest to: `LPS`."""
    n = space.dimensions
    letters = []
    for j in range(n):
        column = space.direction[j::n]
        i = max(range(n), key=lambda i: abs(column[i]))
        letters.append(_LETTERS[i][column[i] < 0])
    return "".join(letters)


def _above(number: float) -> str:
    """The least number of one digit above a positive one."""
    power = math.floor(math.log10(number))
    digit = math.floor(number / 10.0**power + 1e-9) + 1
    return f"{digit}e{power}" if power < -4 else _number(digit * 10.0**power)


def _along(space: Space, vector: list[float]) -> list[float]:
    """The components of a world vector along the axes of a space."""
    n = space.dimensions
    return [sum(space.direction[i * n + j] * vector[i] for i in range(n)) for j in range(n)]


def _farthest(matrix: list[float], reach: list[float]) -> float:
    """How far a matrix takes the corners of a box with one corner at 0, at most."""
    n = len(reach)
    corners = [[r * (corner >> k & 1) for k, r in enumerate(reach)] for corner in range(2**n)]
    return max(hypot(*(sum(matrix[i * n + j] * c[j] for j in range(n)) for i in range(n))) for c in corners)


def _angle(a: Space, b: Space) -> float:
    """The largest angle between the axes of two spaces, in degrees."""
    n = a.dimensions
    pairs = [(a.direction[j::n], b.direction[j::n]) for j in range(n)]
    # From the chord: the cosine of small angles is all rounding.
    chords = [math.dist(p, q) for p, q in pairs]
    return max(math.degrees(2 * math.asin(min(1.0, chord / 2))) for chord in chords)


def _number(number: float) -> str:
    return f"{number + 0.0:.6g}" if abs(number) > 1e-9 else "0"
