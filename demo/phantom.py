"""A synthetic FLAIR scan of a brain with a tumour, and the tumour's true outline.

Anatomy is described by functions of position (in mm, patient axes: x to the Left, y to the Posterior, z to the
Superior), evaluated at the voxels of the head only. There is enough of it for an analysis to go wrong: folded cortex
brighter than white matter, dark ventricles and sulci, a coil's bias field, Rician noise, small bright lesions, bright
caps on the ventricles, a tumour that pushes the ventricles aside and whose oedema fades out.

**The same voxels on every machine.** Random numbers are the raw 64-bit words of PCG64, whose stream NumPy guarantees;
arithmetic is element-wise + - * / and square root, which IEEE 754 rounds correctly. Sines, exponentials, normal
deviates and sums over arrays are avoided: their last bits depend on the processor and on NumPy's version.
"""

# nibabel has types, but not on all its functions.
# mypy: allow-untyped-calls
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt

Field = npt.NDArray[np.float64]
Where = npt.NDArray[np.bool_]
Point = tuple[Field, Field, Field]
Triple = tuple[float, float, float]

SHAPE = (120, 144, 96)
SPACING = 1.5  # mm; a dyadic fraction, so that squared distances are exact
CENTRE: Triple = (90.0, 106.5, 80.25)  # of the head, in mm from the first voxel

# i runs to the Left, j to the Posterior, k to the Superior, as in BraTS; NIfTI's world is RAS, hence the two signs.
AFFINE = np.array(
    [
        [-SPACING, 0.0, 0.0, CENTRE[0]],
        [0.0, -SPACING, 0.0, CENTRE[1]],
        [0.0, 0.0, SPACING, -CENTRE[2]],
        [0.0, 0.0, 0.0, 1.0],
    ]
)

TUMOUR: Triple = (-33.0, 12.0, 14.0)  # x < 0: the patient's right hemisphere
TUMOUR_RADIUS = 29.0

NECROSIS, OEDEMA, ENHANCING = 1, 2, 4  # the labels of BraTS

CSF, GREY, WHITE, DEEP_GREY, LESION = 55.0, 264.0, 208.0, 238.0, 420.0  # what each tissue looks like in FLAIR
NOISE = 11.0  # standard deviation in each of the two receiver channels


@dataclass(frozen=True)
class Case:
    """A scan and its truth, both `int16` of shape `SHAPE`, indexed [i, j, k]."""

    flair: npt.NDArray[np.int16]
    seg: npt.NDArray[np.int16]


class Chance:
    """A source of random numbers that is the same for ever."""

    def __init__(self, seed: int) -> None:
        self._bits = np.random.PCG64(seed)

    def uniform(self, shape: tuple[int, ...]) -> Field:
        """Numbers in [-1, 1), multiples of 2**-52."""
        words = self._bits.random_raw(int(np.prod(shape))).reshape(shape)
        return (words >> np.uint64(11)).astype(np.float64) * 2.0**-52 - 1.0

    def bell(self, shape: tuple[int, ...]) -> Field:
        """Numbers of mean 0 and variance 1, close to normal: the sum of six uniform ones over the root of two."""
        total = self.uniform(shape)
        for _ in range(5):
            total = total + self.uniform(shape)
        return total * 0.7071067811865476

    def noise(self, at: Point, cell: float) -> Field:
        """A smooth random function of position in (-1, 1), whose bumps are about `cell` mm wide."""
        corners = [np.floor(axis / cell) for axis in at]
        low = [int(corner.min()) for corner in corners]
        lattice = self.uniform(tuple(int(c.max()) - start + 2 for c, start in zip(corners, low, strict=True)))
        index = [corner.astype(np.intp) - start for corner, start in zip(corners, low, strict=True)]
        weight = [smoothstep(axis / cell - corner) for axis, corner in zip(at, corners, strict=True)]
        flat = (index[0] * lattice.shape[1] + index[1]) * lattice.shape[2] + index[2]
        step = (lattice.shape[1] * lattice.shape[2], lattice.shape[2], 1)
        values: list[Field] = [lattice.ravel()[flat + i * step[0] + j * step[1] + k] for i, j, k in np.ndindex(2, 2, 2)]
        for w in weight:  # the first axis is the slowest of `values`: halve it, then the next
            half = len(values) // 2
            values = [a + (b - a) * w for a, b in zip(values[:half], values[half:], strict=True)]
        return values[0]


def smoothstep(t: Field) -> Field:
    """0 up to 0, 1 from 1 on, and a smooth step between."""
    t = np.clip(t, 0.0, 1.0)
    step: Field = t * t * (3.0 - 2.0 * t)
    return step


def inside(distance: Field, edge: float) -> Field:
    """How much of a voxel lies inside a surface: 1 deep inside, 0 outside, fading over `edge` mm around distance 0."""
    return smoothstep(0.5 - distance / edge)


def ellipsoid(at: Point, centre: Triple, radii: Triple) -> Field:
    """The distance to an ellipsoid's surface in mm, negative inside; good near the surface, rough far from it."""
    scaled = [(axis - c) / r for axis, c, r in zip(at, centre, radii, strict=True)]
    e = np.sqrt(scaled[0] * scaled[0] + scaled[1] * scaled[1] + scaled[2] * scaled[2])
    steep = [s / r for s, r in zip(scaled, radii, strict=True)]
    slope = np.sqrt(steep[0] * steep[0] + steep[1] * steep[1] + steep[2] * steep[2])
    return e * (e - 1.0) / np.maximum(slope, 1e-6)


def nearest(*distances: Field) -> Field:
    """The distance to the nearest of several things: the union of what lies inside them."""
    least: Field = np.minimum.reduce(distances)
    return least


def mirrored(at: Point) -> Point:
    """The same point in a half head: |x| instead of x."""
    return np.abs(at[0]), at[1], at[2]


def blend(base: Field, other: Field | float, share: Field) -> Field:
    return base + (other - base) * share


def grid() -> Point:
    """The position of every voxel, in mm from the centre of the head."""
    i, j, k = np.indices(SHAPE, dtype=np.float64)
    return i * SPACING - CENTRE[0], j * SPACING - CENTRE[1], k * SPACING - CENTRE[2]


# Outlines ---------------------------------------------------------------------------------------------------------


def cerebrum(at: Point) -> tuple[Field, Field]:
    """(e, depth): e is 1 on the outline of the cerebrum and less inside; depth is the way to it along a ray, in mm."""
    x, y, z = at
    sx = x / (65.0 + 0.05 * y - 0.0012 * y * y)  # narrower in front
    sy = y / 81.0
    sz = z / np.where(z > 0.0, 58.0, 41.0 + 0.04 * y)  # flat below
    e = np.maximum(np.sqrt(sx * sx + sy * sy + sz * sz), 1e-3)
    radius = np.sqrt(x * x + y * y + z * z)
    return e, radius / e - radius


def base(at: Point) -> Field:
    """Distance to what is cut out of the cerebrum from below: between the temporal lobes, and in front of them."""
    half = mirrored(at)
    middle = ellipsoid(half, (0.0, -15.0, -46.0), (14.0, 34.0, 23.0))
    notch = ellipsoid(half, (54.0, -52.0, -24.0), (32.0, 15.0, 12.0))
    return nearest(middle, notch)


def cerebellum(at: Point) -> Field:
    return ellipsoid(at, (0.0, 46.0, -43.0), (49.0, 31.0, 24.0))


def brainstem(at: Point) -> Field:
    x, y, z = at
    pons = ellipsoid(at, (0.0, 10.0, -36.0), (15.0, 13.0, 16.0))
    medulla = ellipsoid((x, y - 0.25 * (-36.0 - z), z), (0.0, 10.0, -46.0), (9.0, 8.0, 28.0))
    return nearest(pons, medulla)


def ventricles(at: Point) -> Field:
    """Distance to the ventricles, negative inside."""
    half = mirrored(at)
    x, y, z = half
    bent = (x - 0.004 * (y + 5.0) * (y + 5.0), y, z)  # apart in front and behind, close in the middle
    body = ellipsoid(bent, (8.0, -2.0, 14.0), (5.5, 36.0, 7.0))
    atrium = ellipsoid(half, (20.0, 36.0, 6.0), (6.0, 17.0, 8.5))
    temporal = ellipsoid(half, (31.0, 12.0, -14.0), (3.0, 19.0, 3.5))
    third = ellipsoid(half, (0.0, 0.0, 0.0), (2.2, 14.0, 9.0))
    fourth = ellipsoid(half, (0.0, 25.0, -38.0), (6.0, 4.0, 9.0))
    return nearest(body, atrium, temporal, third, fourth)


def deep_grey(at: Point) -> Field:
    """Distance to the grey nuclei: caudate, putamen, thalamus."""
    half = mirrored(at)
    caudate = ellipsoid(half, (15.0, -22.0, 9.0), (4.5, 13.0, 8.0))
    putamen = ellipsoid(half, (26.0, -6.0, 1.0), (5.0, 17.0, 9.0))
    thalamus = ellipsoid(half, (10.0, 13.0, 4.0), (8.0, 13.0, 8.5))
    return nearest(caudate, putamen, thalamus)


# Tissue -----------------------------------------------------------------------------------------------------------


def to_zero(values: Field, head: Where) -> Field:
    """Distance in mm to where a smooth function of the head's voxels is zero: its value over its slope."""
    volume = np.zeros(SHAPE)
    volume[head] = values
    dx, dy, dz = (slope[head] for slope in np.gradient(volume, SPACING))
    return np.abs(values) / np.maximum(np.sqrt(dx * dx + dy * dy + dz * dz), 0.02)


def pia(at: Point, head: Where, chance: Chance) -> Field:
    """Distance to the nearest surface of the cortex: the outline, the walls of the sulci, the two great fissures."""
    x, y, z = at
    e, depth = cerebrum(at)
    wave = [4.0 * chance.noise(at, 13.0) for _ in range(3)]
    winding: Point = (x / e + wave[0], y / e + wave[1], z / e + wave[2])  # sulci run inwards and wind on their way
    sulci = depth
    for cell, deepest in ((23.0, 19.0), (19.0, 13.0)):
        along = to_zero(chance.noise(winding, cell), head)
        beyond = np.maximum(depth - deepest - 5.0 * chance.noise(at, 20.0), 0.0)
        sulci = nearest(sulci, np.sqrt(along * along + beyond * beyond))

    wobble = 1.5 * chance.noise(at, 25.0)
    below = np.minimum(ellipsoid(at, (0.0, -2.0, -2.0), (200.0, 50.0, 27.0)), 0.0)  # the callosum joins the halves
    midline = np.sqrt((x + wobble) * (x + wobble) + below * below)

    lateral = np.abs(z - (-4.0 + 0.3 * y + wobble))
    ends = np.maximum(np.abs(y + 8.0) - 32.0, 0.0) + np.maximum(depth - 24.0, 0.0)
    sylvian = np.sqrt(lateral * lateral + ends * ends)
    return nearest(np.maximum(base(at), 0.0), sulci, midline, sylvian)


def tissue(at: Point, still: Point, head: Where, chance: Chance) -> tuple[Field, Field]:
    """(intensity, white): FLAIR without tumour, and how much of each voxel is white matter.

    `still` are the positions with the cortex, `at` those with the ventricles, moved by the tumour.
    """
    to_pia = pia(still, head, chance)
    grey = inside(to_pia - 3.6, 1.6)
    value = blend(np.full_like(to_pia, WHITE), GREY, grey)

    # Cerebellum and brainstem cover what the cerebrum's outline says there.
    layers = (ellipsoid(still, (0.0, 10.0, -32.0), (48.0, 48.0, 34.0)) + 2.0 * chance.noise(still, 12.0)) / 5.5
    leaf = 5.5 * np.abs(layers - np.rint(layers))  # folia: thin layers around the stem
    hind = cerebellum(still)
    stem = brainstem(still)
    tentorium = inside(np.abs(hind) - 0.6, 1.5) * inside(-stem - 1.0, 1.5)
    in_hind = inside(hind, 1.5)
    lamellae = blend(np.full_like(hind, GREY - 18.0), 165.0, inside(leaf - 0.7, 1.4))
    value = blend(value, blend(lamellae, WHITE, inside(hind + 15.0 + leaf, 4.0)), in_hind)
    value = blend(value, WHITE - 6.0, inside(stem, 2.0))
    hindbrain = np.maximum(in_hind, inside(stem, 2.0))

    sulcus = inside(to_pia - 0.75, 1.5) * (1.0 - hindbrain)
    value = blend(value, DEEP_GREY, inside(deep_grey(at), 2.5) * (1.0 - hindbrain))
    to_ventricle = ventricles(at)
    caps = inside(to_ventricle - 1.6, 2.0) * smoothstep((np.abs(still[1] + 2.0) - 18.0) / 16.0)
    value = blend(value, 330.0, 0.75 * caps)
    fluid = np.maximum(np.maximum(inside(to_ventricle, 1.5), 0.95 * sulcus), 0.8 * tentorium)
    white = (1.0 - grey) * (1.0 - fluid) * (1.0 - hindbrain)
    return blend(value, CSF, fluid), white


def lesions(at: Point, white: Field, chance: Chance, number: int = 26) -> Field:
    """Small bright spots in the white matter, between 1.5 and 4 mm in radius: what the opening has to remove."""
    share = np.zeros_like(white)
    where = chance.uniform((number, 3)) * np.array([38.0, 55.0, 22.0]) + np.array([0.0, 0.0, 16.0])
    size = 2.7 + 1.2 * chance.uniform((number, 3))
    for centre, radii in zip(where.tolist(), size.tolist(), strict=True):
        share = np.maximum(share, inside(ellipsoid(at, tuple(centre), tuple(radii)), 1.5))
    return share * white


def tumour(at: Point, white: Field, chance: Chance) -> Field:
    """Distance to the tumour's outline, negative inside; it follows the white matter and is ragged."""
    x, y, z = at
    big = chance.noise(at, 26.0)
    small = chance.noise(at, 11.0)
    smooth = ellipsoid((x, y, z), TUMOUR, (0.86 * TUMOUR_RADIUS, 1.2 * TUMOUR_RADIUS, 0.96 * TUMOUR_RADIUS))
    return smooth + 8.0 * big + 3.5 * small + 3.0 * (0.6 - white)


def pushed(at: Point) -> Point:
    """Where each voxel's tissue was before the tumour pushed it away (mass effect)."""
    away = [axis - c for axis, c in zip(at, TUMOUR, strict=True)]
    r2 = (away[0] * away[0] + away[1] * away[1] + away[2] * away[2]) / (30.0 * 30.0)
    keep = 1.0 - 0.32 / ((1.0 + r2) * (1.0 + r2))
    x, y, z = (c + d * keep for c, d in zip(TUMOUR, away, strict=True))
    return x, y, z


def bias(at: Point) -> Field:
    """The coil's sensitivity: some percent up and down over the head."""
    x, y, z = (axis / 80.0 for axis in at)
    return 1.0 + 0.045 * y - 0.05 * z + 0.03 * x + 0.05 * (x * x + y * y) - 0.03 * x * y


def make(seed: int = 7) -> Case:
    """The case. The same seed gives the same voxels."""
    chance = Chance(seed)
    everywhere = grid()
    bend = [2.5 * chance.noise(everywhere, 45.0) for _ in range(3)]
    bent: Point = (everywhere[0] + bend[0], everywhere[1] + bend[1], everywhere[2] + bend[2])
    head = (cerebrum(bent)[0] < 1.0) & (base(bent) > 0.0)
    head = head | (cerebellum(bent) < 0.0) | (brainstem(bent) < 0.0)

    at: Point = (bent[0][head], bent[1][head], bent[2][head])
    value, white = tissue(pushed(at), at, head, chance)
    value = value * (1.0 + 0.05 * chance.noise(at, 7.0) + 0.04 * chance.noise(at, 22.0))
    value = blend(value, LESION, lesions(at, white, chance))

    to_tumour = tumour(at, white, chance)
    core = to_tumour + 13.0 + 3.0 * chance.noise(at, 9.0)
    patchy = chance.noise(at, 6.0)
    not_fluid = smoothstep((value - 120.0) / 60.0)
    oedema = inside(to_tumour, 20.0) * not_fluid
    value = blend(value, 392.0 + 26.0 * patchy - 2.2 * np.maximum(to_tumour, -14.0), 0.96 * oedema)
    value = blend(value, 500.0 + 50.0 * patchy, inside(core, 4.0) * not_fluid)
    value = blend(value, 415.0 + 30.0 * patchy, inside(core + 8.0, 3.0) * not_fluid)

    real = value * bias(at) + NOISE * chance.bell(value.shape)
    imaginary = NOISE * chance.bell(value.shape)
    magnitude = np.sqrt(real * real + imaginary * imaginary)

    label = np.where(to_tumour < 0.0, OEDEMA, 0)
    label = np.where(core < 0.0, ENHANCING, label)
    label = np.where(core < -8.0, NECROSIS, label)
    label = np.where(not_fluid > 0.5, label, 0)

    flair = np.zeros(SHAPE, np.int16)
    flair[head] = np.maximum(np.rint(magnitude), 1.0).astype(np.int16)  # 0 is kept for outside the head
    seg = np.zeros(SHAPE, np.int16)
    seg[head] = label.astype(np.int16)
    return Case(flair, seg)


def write(directory: Path, name: str, case: Case | None = None) -> tuple[Path, Path]:
    """Write `NAME_flair.nii.gz` and `NAME_seg.nii.gz` into `directory`; returns their paths."""
    case = case or make()
    directory.mkdir(parents=True, exist_ok=True)
    paths = (directory / f"{name}_flair.nii.gz", directory / f"{name}_seg.nii.gz")
    for path, voxels in zip(paths, (case.flair, case.seg), strict=True):
        image = nib.Nifti1Image(voxels, AFFINE)
        image.header.set_xyzt_units("mm")
        nib.save(image, path)
    return paths
