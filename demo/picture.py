"""One PNG of a scan with a mask over it: axial, coronal and sagittal slices through the middle of the mask.

    python -m demo.picture IMAGE MASK [--truth TRUTH] [-o picture.png]

The display is radiological: the patient's right is at the viewer's left, anterior is up (at the left in the sagittal
slice), the head is up. Nothing is assumed about how the file is stored: the array is reordered by its affine, and the
letters (R L, A P, H head, F foot) are computed from the affine of the *reordered* array, so that a wrong flip would
show as a wrong letter.
"""

# nibabel has types, but not on all its functions.
# mypy: allow-untyped-calls
from __future__ import annotations

import argparse
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from nibabel.filebasedimages import ImageFileError
from nibabel.orientations import axcodes2ornt, inv_ornt_aff, io_orientation, ornt_transform
from nibabel.spatialimages import SpatialImage
from PIL import Image, ImageDraw, ImageFont

Bits = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.float64]

# Okabe and Ito's colours, told apart by colour-blind readers; grey levels in between stay grey.
MASK_COLOUR = (230, 159, 0)  # orange, see-through
TRUTH_COLOUR = (86, 180, 233)  # sky blue, a contour
TEXT_COLOUR = (235, 235, 235)
OPACITY = 0.34

# With voxels in this order, every slice below has its columns to the viewer's right and its rows downwards.
DISPLAY = ("L", "P", "I")

# name, the axis the slice is cut across, the axis that runs to the right, the axis that runs down
PLANES = (("axial", 2, 0, 1), ("coronal", 1, 0, 2), ("sagittal", 0, 1, 2))

# The letters of DICOM for the two ends of x, y and z: Head and Foot, because an I for inferior is read as a stroke.
LOW, HIGH = "LPF", "RAH"

GAP = 14  # pixels between panels and around them


class PictureError(ValueError):
    """The picture cannot be made; the message says why and what to do."""


@dataclass(frozen=True)
class Volume:
    """Voxels in the order of `DISPLAY` (as closely as an oblique scan allows), and the affine that goes with them."""

    voxels: npt.NDArray[Any]
    affine: Numbers

    @property
    def spacing(self) -> Numbers:
        """mm a voxel along each axis."""
        lengths: Numbers = np.sqrt((self.affine[:3, :3] ** 2).sum(axis=0))
        return lengths

    def letters(self, axis: int) -> tuple[str, str]:
        """What lies at the low and at the high end of an axis: ("R", "L"), or ("RA", "LP") when it runs oblique."""
        direction = self.affine[:3, axis] / self.spacing[axis]
        strongest = sorted(range(3), key=lambda d: -abs(direction[d]))
        shown = [d for n, d in enumerate(strongest) if n == 0 or abs(direction[d]) > 0.26][:2]  # 15 degrees
        low = "".join(LOW[d] if direction[d] > 0 else HIGH[d] for d in shown)
        high = "".join(HIGH[d] if direction[d] > 0 else LOW[d] for d in shown)
        return low, high


def load(path: Path | str) -> Volume:
    """Read a 3-D NIfTI file and reorder it for display."""
    try:
        image = nib.load(path)
        if not isinstance(image, SpatialImage):
            raise PictureError(f"{path} is not an image of voxels")
        voxels = np.asanyarray(image.dataobj)
    except (OSError, EOFError, zlib.error, ImageFileError) as error:
        raise PictureError(f"{path} cannot be read as an image: {error}") from error
    return reorder(voxels, np.asarray(image.affine, np.float64), name=str(path))


def reorder(voxels: npt.NDArray[Any], affine: Numbers, name: str = "the image") -> Volume:
    """Bring an array [i,j,k] with its affine (to RAS millimetres) into the order of `DISPLAY`."""
    voxels = voxels.reshape(voxels.shape[:3]) if voxels.shape[3:] in ((), (1,)) else voxels
    if voxels.ndim != 3:
        raise PictureError(f"{name} has {voxels.ndim} dimensions; a picture needs 3")
    stored = io_orientation(affine)
    if np.isnan(stored).any():
        raise PictureError(f"{name} has an affine with a zero column: its orientation is unknown")
    turn = ornt_transform(stored, axcodes2ornt(DISPLAY))
    turned = nib.orientations.apply_orientation(voxels, turn)
    return Volume(turned, affine @ inv_ornt_aff(turn, voxels.shape))


def same_grid(image: Volume, other: Volume, name: str) -> None:
    """Refuse to draw one image over another that lies elsewhere."""
    if image.voxels.shape != other.voxels.shape:
        raise PictureError(f"{name} has {other.voxels.shape} voxels, the image {image.voxels.shape}: not the same grid")
    if not np.allclose(image.affine, other.affine, rtol=0.0, atol=1e-3 * float(image.spacing.min())):
        raise PictureError(f"{name} is not where the image is: their affines differ, so voxels do not correspond")


# Slices -----------------------------------------------------------------------------------------------------------


def middle(mask: Bits) -> tuple[int, ...]:
    """The voxel nearest to the mask's centre of mass; the centre of the volume if the mask is empty."""
    where = np.nonzero(mask)
    if where[0].size == 0:
        return tuple(size // 2 for size in mask.shape)
    return tuple(int(np.rint(axis.mean())) for axis in where)


def window(voxels: npt.NDArray[Any]) -> Bytes:
    """Grey levels 0..255: black is the background, white the brightest half percent of the rest."""
    numbers = np.nan_to_num(voxels.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low = float(numbers.min())
    lit = numbers[numbers > low]
    high = float(np.percentile(lit, 99.5)) if lit.size else low + 1.0
    return np.asarray(np.rint(np.clip((numbers - low) / max(high - low, 1e-9), 0.0, 1.0) * 255.0), np.uint8)


def box(seen: Bits, spacing: Numbers, margin: float = 9.0) -> tuple[slice, ...]:
    """The part of the volume worth showing: where something is seen, and `margin` mm around it."""
    if not seen.any():
        return tuple(slice(0, size) for size in seen.shape)
    parts = []
    for axis, size in enumerate(seen.shape):
        others = tuple(a for a in range(3) if a != axis)
        lit = np.nonzero(seen.any(axis=others))[0]
        pad = int(np.ceil(margin / spacing[axis]))
        parts.append(slice(max(int(lit[0]) - pad, 0), min(int(lit[-1]) + pad + 1, size)))
    return tuple(parts)


def cut(voxels: npt.NDArray[Any], at: tuple[int, ...], part: tuple[slice, ...], plane: int) -> npt.NDArray[Any]:
    """A slice as rows and columns of the screen."""
    _, across, right, down = PLANES[plane]
    taken = tuple(at[axis] if axis == across else part[axis] for axis in range(3))
    flat = voxels[taken]
    return flat.T if right < down else flat


def contour(mask: Bits, thick: int = 2) -> Bits:
    """The pixels of the mask within `thick` pixels of its outside."""
    core = np.pad(mask, thick)
    for _ in range(thick):
        shrunk = core.copy()
        shrunk[1:] &= core[:-1]
        shrunk[:-1] &= core[1:]
        shrunk[:, 1:] &= core[:, :-1]
        shrunk[:, :-1] &= core[:, 1:]
        core = shrunk
    return mask & ~core[thick:-thick, thick:-thick]


def enlarge(grey: Bytes, size: tuple[int, int], smooth: bool) -> Bytes:
    """Resize to (width, height) pixels. Masks keep their voxels' edges: what is drawn is what was computed."""
    how = Image.Resampling.BICUBIC if smooth else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(grey).resize(size, how))


def paint(grey: Bytes, mask: Bits, truth: Bits | None) -> Image.Image:
    """Grey levels, the mask as a coloured glass with an edge, the truth as a line."""
    # 5 bits of grey: the eye does not miss the rest, and the PNG is half the size
    rgb = np.repeat((grey & 0xF8)[..., None], 3, axis=2).astype(np.float64)
    colour = np.array(MASK_COLOUR, np.float64)
    rgb[mask] = (1.0 - OPACITY) * rgb[mask] + OPACITY * colour
    rgb[contour(mask, 1)] = colour
    if truth is not None:
        rgb[contour(truth, 2)] = TRUTH_COLOUR
    return Image.fromarray(np.rint(rgb).astype(np.uint8))


# Letters and page -------------------------------------------------------------------------------------------------


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def write(draw: ImageDraw.ImageDraw, at: tuple[float, float], text: str, anchor: str, size: int = 17) -> None:
    draw.text(at, text, fill=TEXT_COLOUR, font=font(size), anchor=anchor, stroke_width=2, stroke_fill=(0, 0, 0))


def scale_bar(draw: ImageDraw.ImageDraw, right: float, bottom: float, pixels_per_mm: float, mm: int = 50) -> None:
    left = right - mm * pixels_per_mm
    draw.line([(left, bottom), (right, bottom)], fill=TEXT_COLOUR, width=2)
    for end in (left, right):
        draw.line([(end, bottom - 4), (end, bottom + 4)], fill=TEXT_COLOUR, width=2)
    write(draw, ((left + right) / 2, bottom - 5), f"{mm // 10} cm", "ms", 13)


def panel(
    image: Volume,
    layers: list[npt.NDArray[Any]],
    part: tuple[slice, ...],
    plane: int,
    at: tuple[int, ...],
    pixels_per_mm: float,
) -> Image.Image:
    """One slice at its physical proportions, with its letters and its position."""
    name, across, right, down = PLANES[plane]
    grey, *masks = (cut(layer, at, part, plane) for layer in layers)
    rows, columns = grey.shape
    width = max(round(columns * image.spacing[right] * pixels_per_mm), 1)
    height = max(round(rows * image.spacing[down] * pixels_per_mm), 1)
    big = [enlarge(m.astype(np.uint8), (width, height), smooth=False) > 0 for m in masks]
    picture = paint(enlarge(grey, (width, height), smooth=True), big[0], big[1] if len(big) > 1 else None)

    draw = ImageDraw.Draw(picture)
    low, high = image.letters(right)
    write(draw, (5, height / 2), low, "lm")
    write(draw, (width - 5, height / 2), high, "rm")
    low, high = image.letters(down)
    write(draw, (width / 2, 4), low, "ma")
    write(draw, (width / 2, height - 5), high, "ms")
    centre = image.affine @ np.array([*at, 1.0])
    nearest = int(np.argmax(np.abs(image.affine[:3, across])))
    # As a number, not as "R 33 mm": where a scan's zero is, is the scanner's affair and need not be the midline.
    write(draw, (6, height - 6), f"{name}  {'xyz'[nearest]} = {centre[nearest]:.0f} mm", "ls", 13)
    return picture


def compose(
    image: Volume,
    mask: Volume,
    truth: Volume | None = None,
    *,
    title: str = "",
    pixels_per_mm: float = 2.0,
    legend: tuple[str, str] = ("computed", "ground truth"),
) -> Image.Image:
    """The three slices side by side, with a legend under them."""
    same_grid(image, mask, "the mask")
    if truth is not None:
        same_grid(image, truth, "the truth")
    inside = mask.voxels != 0
    layers: list[npt.NDArray[Any]] = [window(image.voxels), inside]
    if truth is not None:
        layers.append(truth.voxels != 0)
    at = middle(inside)
    part = box((layers[0] > 0) | inside, image.spacing)
    panels = [panel(image, layers, part, plane, at, pixels_per_mm) for plane in range(3)]

    height = max(p.height for p in panels)
    page = Image.new("RGB", (sum(p.width for p in panels) + 4 * GAP, height + 2 * GAP + 44), (0, 0, 0))
    left = GAP
    for p in panels:
        page.paste(p, (left, GAP + (height - p.height) // 2))
        left += p.width + GAP

    draw = ImageDraw.Draw(page)
    line = page.height - 28
    scale_bar(draw, page.width - 2 * GAP, line + 8, pixels_per_mm)
    note = " (empty)" if not inside.any() else ""
    x = float(GAP + 4)
    glass = tuple(round(OPACITY * c + (1 - OPACITY) * 130) for c in MASK_COLOUR)
    draw.rectangle([x, line - 6, x + 18, line + 8], fill=glass, outline=MASK_COLOUR)
    x = caption(draw, x + 26, line, legend[0] + note)
    if truth is not None:
        draw.rectangle([x, line - 6, x + 18, line + 8], outline=TRUTH_COLOUR, width=2)
        x = caption(draw, x + 26, line, legend[1])
    caption(draw, x, line, title)
    caption(draw, GAP + 4, line + 17, "Radiological display: the patient's right is at the viewer's left.", 12)
    return page


def caption(draw: ImageDraw.ImageDraw, x: float, y: float, text: str, size: int = 14) -> float:
    """Write text; returns where the next may begin."""
    draw.text((x, y), text, fill=TEXT_COLOUR, font=font(size), anchor="lm")
    return x + float(draw.textlength(text, font=font(size))) + 26


def save(picture: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, optimize=True)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m demo.picture", description="Draw a mask over a scan, in three slices."
    )
    parser.add_argument("image", type=Path)
    parser.add_argument("mask", type=Path)
    parser.add_argument("--truth", type=Path, help="a second mask, drawn as a contour")
    parser.add_argument("-o", "--output", type=Path, default=Path("picture.png"))
    given = parser.parse_args(arguments)
    try:
        truth = load(given.truth) if given.truth else None
        save(compose(load(given.image), load(given.mask), truth, title=given.image.name), given.output)
    except PictureError as error:
        print(f"picture: {error}", file=sys.stderr)
        return 3
    print(given.output)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
