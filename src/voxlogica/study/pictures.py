"""Pictures of masks over an image: axial, coronal and sagittal slices through the middle of the first mask.

The display is radiological: the patient's right at the viewer's left, the front up (at the left in the sagittal slice),
the head up. Nothing is assumed of how voxels are stored: axes are put in order by the space's direction, and the
letters (R L, A P, H head, F foot) are computed from the direction of the *ordered* axes, so that a wrong flip would
show as a wrong letter. Where the file does not say how it lies in the patient they are question marks. A 2-D image has
one panel and no letters: its file does not say where the patient's right is.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pictures
from PIL import ImageDraw, ImageFont

from voxlogica._dataclass import dataclass
from voxlogica.images.nifti import is_oriented
from voxlogica.values import Image, Mask, Model, Space

Bits = NDArray[np.bool_]
Grey = NDArray[np.uint8]
Numbers = NDArray[np.float64]

# Okabe and Ito's colours, told apart by colour-blind readers: the first mask as glass, the others as lines.
COLOURS = ((230, 159, 0), (86, 180, 233), (0, 158, 115))
OPACITY = 0.28
PANEL = 300
"""Pixels of the longest side of any panel; all are drawn to one scale."""

_LOW, _HIGH = "RAF", "LPH"  # what lies towards small and large x, y, z of LPS
_PLANES = (("axial", 2, 0, 1), ("coronal", 1, 0, 2), ("sagittal", 0, 1, 2))
"""Name, the axis the slice is cut across, the one to the right, the one down."""


@dataclass(frozen=True)
class _Display:
    """Voxels with axes to the Left, the Posterior and the Inferior, as nearly as the scan allows.

    `direction` has the directions of these axes as columns, in LPS; `spacing` is in mm; `oriented` says whether it is
    known that they are these.
    """

    order: tuple[int, ...]
    flipped: tuple[bool, ...]
    direction: Numbers
    spacing: Numbers
    oriented: bool = True

    @classmethod
    def of(cls, space: Space) -> _Display:
        matrix = np.array(space.direction, np.float64).reshape(3, 3)
        found: dict[int, int] = {}
        for flat in np.argsort(-np.abs(matrix), axis=None, kind="stable"):  # the clearest first, as nibabel does
            world, axis = divmod(int(flat), 3)
            if world not in found and axis not in found.values():
                found[world] = axis
        order = [found[world] for world in range(3)]
        wanted = np.array([1.0, 1.0, -1.0])
        flipped = tuple(bool(matrix[world, axis] * wanted[world] < 0) for world, axis in enumerate(order))
        direction = matrix[:, order] * np.where(flipped, -1.0, 1.0)
        return cls(tuple(order), flipped, direction, np.array(space.spacing)[order], is_oriented(space))

    def turned(self, voxels: NDArray[Any]) -> NDArray[Any]:
        """An array [i, j, k] in display order."""
        turned = voxels.transpose(self.order)
        return turned[tuple(slice(None, None, -1) if flip else slice(None) for flip in self.flipped)]

    def letters(self, axis: int) -> tuple[str, str]:
        """What lies at the low and at the high end of an axis: ("R", "L"), or ("RA", "LP") when it runs oblique."""
        if not self.oriented:
            return "?", "?"
        column = self.direction[:, axis]
        strongest = sorted(range(3), key=lambda world: -abs(column[world]))
        said = [world for n, world in enumerate(strongest) if n == 0 or abs(column[world]) > 0.26][:2]  # 15 degrees
        low = "".join(_LOW[w] if column[w] > 0 else _HIGH[w] for w in said)
        return low, "".join(_HIGH[w] if column[w] > 0 else _LOW[w] for w in said)


def slices(over: Image | Model, masks: Sequence[Mask], whole: bool = False) -> bytes:
    """A PNG of up to three masks over an image, all on one grid; unless it is `whole`, the part where something is."""
    voxels = over.numpy()
    numbers = voxels[..., 0] if voxels.ndim > over.space.dimensions else voxels
    grey = window(numbers)
    bits = [mask.numpy() for mask in masks]
    if over.space.dimensions == 2:
        rows, columns = grey.T.shape
        scale = PANEL / max(columns * over.space.spacing[0], rows * over.space.spacing[1])
        panels = [_painted(grey.T, [each.T for each in bits], over.space.spacing, scale)]
    else:
        display = _Display.of(over.space)
        panels = _panels(display, display.turned(grey), [display.turned(each) for each in bits], whole)
    gap = 6
    height = max(panel.height for panel in panels)
    page = Pictures.new("RGB", (sum(p.width for p in panels) + gap * (len(panels) - 1), height))
    left = 0
    for panel in panels:
        page.paste(panel, (left, (height - panel.height) // 2))
        left += panel.width + gap
    out = io.BytesIO()
    page.quantize(160, method=Pictures.Quantize.MAXCOVERAGE).save(out, "PNG", optimize=True)
    return out.getvalue()


def window(numbers: NDArray[Any]) -> Grey:
    """Grey levels 0 to 255: black is the least, white the brightest half percent of what is more."""
    values = np.nan_to_num(numbers.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low = float(values.min())
    lit = values[values > low]
    high = float(np.percentile(lit, 99.5)) if lit.size else low + 1.0
    return np.asarray(np.rint(np.clip((values - low) / max(high - low, 1e-9), 0.0, 1.0) * 255.0), np.uint8)


def middle(mask: Bits) -> tuple[int, ...]:
    """The voxel nearest to the mask's centre of mass; the centre of the volume if the mask is empty."""
    where = np.nonzero(mask)
    if where[0].size == 0:
        return tuple(size // 2 for size in mask.shape)
    return tuple(int(np.rint(axis.mean())) for axis in where)


def _panels(display: _Display, grey: Grey, bits: Sequence[Bits], whole: bool) -> list[Pictures.Image]:
    at = middle(bits[0]) if bits else tuple(size // 2 for size in grey.shape)
    seen = np.ones(grey.shape, bool) if whole else np.logical_or.reduce([grey > 0, *bits])
    part = _box(seen, display.spacing)
    scale = PANEL / max((cut.stop - cut.start) * size for cut, size in zip(part, display.spacing, strict=True))
    panels = []
    for name, across, right, down in _PLANES:
        taken = tuple(at[axis] if axis == across else part[axis] for axis in range(3))
        spacing = (float(display.spacing[right]), float(display.spacing[down]))
        panel = _painted(grey[taken].T, [each[taken].T for each in bits], spacing, scale)
        draw = ImageDraw.Draw(panel)
        low, high = display.letters(right)
        _write(draw, (4, panel.height / 2), low, "lm")
        _write(draw, (panel.width - 4, panel.height / 2), high, "rm")
        low, high = display.letters(down)
        _write(draw, (panel.width / 2, 3), low, "ma")
        _write(draw, (panel.width / 2, panel.height - 3), high, "ms")
        _write(draw, (4, panel.height - 4), name, "ls", 10)
        panels.append(panel)
    return panels


def _box(seen: Bits, spacing: Numbers, margin: float = 6.0) -> tuple[slice, ...]:
    """The part of the volume worth showing: where something is, and `margin` mm around it."""
    if not seen.any():
        return tuple(slice(0, size) for size in seen.shape)
    parts = []
    for axis, size in enumerate(seen.shape):
        lit = np.nonzero(seen.any(axis=tuple(a for a in range(3) if a != axis)))[0]
        pad = int(np.ceil(margin / spacing[axis]))
        parts.append(slice(max(int(lit[0]) - pad, 0), min(int(lit[-1]) + pad + 1, size)))
    return tuple(parts)


def _painted(grey: Grey, masks: Sequence[Bits], spacing: Sequence[float], scale: float) -> Pictures.Image:
    """Grey levels [row, column] at so many pixels per mm; the first mask as coloured glass, the others as lines.

    Masks keep their voxels' edges: what is drawn is what was computed.
    """
    rows, columns = grey.shape
    size = (max(round(columns * spacing[0] * scale), 1), max(round(rows * spacing[1] * scale), 1))
    smooth = np.asarray(Pictures.fromarray(np.ascontiguousarray(grey)).resize(size, Pictures.Resampling.BICUBIC))
    rgb = np.repeat(smooth[..., None], 3, axis=2).astype(np.float64)
    for number, (mask, colour) in enumerate(zip(masks, COLOURS, strict=False)):
        sharp = np.ascontiguousarray(mask).view(np.uint8) * np.uint8(255)
        big = np.asarray(Pictures.fromarray(sharp).resize(size, Pictures.Resampling.NEAREST)) > 0
        if number == 0:
            rgb[big] = (1.0 - OPACITY) * rgb[big] + OPACITY * np.array(colour)
        rgb[_contour(big, thick=1 if number == 0 else 2)] = colour
    return Pictures.fromarray(np.rint(rgb).astype(np.uint8))


def _contour(mask: Bits, thick: int) -> Bits:
    """The pixels of the mask within so many steps of its outside."""
    core = mask
    for _ in range(thick):
        wide = np.pad(core, 1)
        core = core & wide[:-2, 1:-1] & wide[2:, 1:-1] & wide[1:-1, :-2] & wide[1:-1, 2:]
    return mask & ~core


def _write(draw: ImageDraw.ImageDraw, at: tuple[float, float], text: str, anchor: str, size: int = 13) -> None:
    font = ImageFont.load_default(size)
    draw.text(at, text, fill=(235, 235, 235), font=font, anchor=anchor, stroke_width=2, stroke_fill=(0, 0, 0))
