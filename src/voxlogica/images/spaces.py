"""From what headers say of axes to a space, the same for all formats of volumes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from voxlogica.errors import Refusal
from voxlogica.identity import Plain as Native
from voxlogica.images.files import damaged
from voxlogica.values import Space

_AXES = ("x", "y", "z", "t", "u", "v", "w")


def check_axes(name: str, sizes: Sequence[int]) -> tuple[int, ...]:
    """The sizes without final ones beyond the third axis; refuses other numbers of axes than 2 or 3."""
    kept = list(sizes)
    while len(kept) > 3 and kept[-1] == 1:
        kept.pop()
    if 2 <= len(kept) <= 3:
        return tuple(kept)
    message = f"{name} has {len(kept)} {'axis' if len(kept) == 1 else 'axes'}, and an image has 2 or 3"
    if len(kept) == 1:
        raise Refusal(message)
    size = " x ".join(map(str, kept))
    if len(kept) == 4:
        details = f"its size is {size}; the fourth axis (t) is usually time"
        help = f"save one of its {kept[3]} volumes in a file of its own, and load that"
    else:
        details = f"its size is {size}; the axes after the third ({', '.join(_AXES[3 : len(kept)])}) are too many"
        help = "save one of its volumes in a file of its own, and load that"
    raise Refusal(message, (details,), help)


def check_components(name: str, components: int) -> None:
    """Refuses what is neither one number at a voxel nor a colour."""
    if components not in (1, 3, 4):
        raise Refusal(
            f"{name} has {components} numbers at each voxel, and an image has 1, 3 or 4",
            help="save one of them in a file of its own, and load that",
        )


def check_spacing(name: str, spacing: float) -> float:
    """The spacing. 0 and none stand for 1, as in ITK; a negative one would be left to one tool and right to another."""
    if spacing < 0:
        raise damaged(name, f"its header gives it a spacing of {spacing:g}")
    return spacing if spacing and math.isfinite(spacing) else 1.0


def skewed(name: str, why: str) -> Refusal:
    """A grid on which distances along axes and across them do not add up."""
    return Refusal(
        f"{name} has axes that are not at right angles",
        (why,) if why else (),
        "resample it onto a grid with right angles, and load that",
    )


def at_right_angles(columns: Sequence[Sequence[float]]) -> bool:
    """Whether axes are at right angles, to 1/10000, whatever their lengths; mirrored axes are allowed."""
    units = [unit(column) for column in columns]
    n = len(units)
    products = (
        (sum(a * b for a, b in zip(units[i], units[j], strict=True)), i == j) for i in range(n) for j in range(n)
    )
    return all(abs(product - same) <= 1e-4 for product, same in products)


def unit(vector: Sequence[float]) -> tuple[float, ...]:
    """The vector of length 1 in the same direction; zeros stay."""
    length = math.hypot(*vector)
    return tuple(v / length for v in vector) if length else tuple(vector)


def placed(
    name: str,
    sizes: Sequence[int],
    spacing: Sequence[float],
    origin: Sequence[float],
    columns: Sequence[Sequence[float]],
    native: tuple[Native, ...] = (),
) -> Space:
    """The space of a grid whose axes run along `columns`, of any length, in LPS.

    An axis of size 1 is dropped, the last first, as long as two remain; what is left of the other columns then is the
    direction, or none where that is a line, because the plane stood upright.
    """
    kept = list(range(len(sizes)))
    while len(kept) > 2 and any(sizes[k] == 1 for k in kept):
        kept.remove(max(k for k in kept if sizes[k] == 1))
    units = [unit([columns[j][i] for i in kept]) for j in kept]
    if not all(math.isfinite(v) for v in (*origin, *(v for column in units for v in column))):
        raise damaged(name, "its header puts it nowhere")
    direction = tuple(column[i] + 0.0 for i in range(len(kept)) for column in units)
    if len(kept) == 2 and abs(direction[0] * direction[3] - direction[1] * direction[2]) < 1e-6:
        direction = (1.0, 0.0, 0.0, 1.0)
    return Space(
        tuple(sizes[k] for k in kept),
        tuple(spacing[k] for k in kept),
        tuple(origin[k] + 0.0 for k in kept),
        direction,
        native,
    )
