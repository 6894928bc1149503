"""The demo: the scan is the same everywhere, the picture never mixes up sides, the analysis scores what it should."""

# nibabel has types, but not on all its functions.
# mypy: allow-untyped-calls
import hashlib
import itertools
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest
from demo import phantom, picture, run
from nibabel.affines import apply_affine
from nibabel.orientations import apply_orientation, inv_ornt_aff
from PIL import Image

from voxlogica.cli import main

Numbers = npt.NDArray[np.float64]

ROOT = Path(__file__).resolve().parent.parent
ORIENTATIONS = [
    np.array(list(zip(axes, flips, strict=True)), np.float64)
    for axes in itertools.permutations(range(3))
    for flips in itertools.product((1, -1), repeat=3)
]


@pytest.fixture(scope="module")
def case() -> phantom.Case:
    return phantom.make()


# The scan ---------------------------------------------------------------------------------------------------------


def test_the_scan_is_the_same_on_every_machine(case: phantom.Case) -> None:
    assert case.flair.dtype == case.seg.dtype == np.int16
    assert hashlib.sha256(case.flair.astype("<i2").tobytes()).hexdigest()[:16] == "4c09ad85564dfd11"
    assert hashlib.sha256(case.seg.astype("<i2").tobytes()).hexdigest()[:16] == "ab699a46e6f2f4fa"


def test_files_are_the_same_bytes_twice(case: phantom.Case, tmp_path: Path) -> None:
    first = phantom.write(tmp_path / "one", "x", case)
    second = phantom.write(tmp_path / "two", "x", phantom.make())
    assert [p.name for p in first] == ["x_flair.nii.gz", "x_seg.nii.gz"]
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


def test_another_seed_is_another_patient(case: phantom.Case) -> None:
    assert not np.array_equal(phantom.Chance(7).uniform((3,)), phantom.Chance(8).uniform((3,)))


def test_the_scan_has_a_brain_in_it(case: phantom.Case) -> None:
    """What an anatomist would ask first: sizes in ml, sides, and which tissue is brighter."""
    voxel = phantom.SPACING**3 / 1000
    head = case.flair > 0
    edge = np.ones(phantom.SHAPE, np.bool_)
    edge[1:-1, 1:-1, 1:-1] = False
    assert not (head & edge).any()
    assert 1100 < head.sum() * voxel < 1500
    assert set(np.unique(case.seg)) == {0, phantom.NECROSIS, phantom.OEDEMA, phantom.ENHANCING}
    assert not (case.seg[~head]).any()

    tumour = case.seg > 0
    assert 0.04 < tumour.sum() / head.sum() < 0.10
    right = apply_affine(phantom.AFFINE, np.argwhere(tumour))[:, 0]
    assert (right > 0).mean() > 0.99, "the tumour is in the right hemisphere; x grows to the right in NIfTI's world"

    brain = case.flair[head & ~tumour]
    assert np.median(case.flair[case.seg == phantom.ENHANCING]) > np.median(case.flair[case.seg == phantom.OEDEMA])
    assert np.median(case.flair[case.seg == phantom.OEDEMA]) > np.percentile(brain, 99)
    assert 0.03 < (brain < 130).mean() < 0.15, "fluid"


def test_the_geometry_of_the_files(case: phantom.Case, tmp_path: Path) -> None:
    for path in phantom.write(tmp_path, "x", case):
        image = nib.load(path)
        assert isinstance(image, nib.Nifti1Image)
        assert nib.aff2axcodes(image.affine) == ("L", "P", "S")
        assert image.header.get_zooms() == (1.5, 1.5, 1.5)
        assert image.header.get_xyzt_units()[0] == "mm"
        assert image.get_data_dtype() == np.int16


# The picture ------------------------------------------------------------------------------------------------------

SPACING = (1.0, 2.0, 4.0)  # along R, A, S


def marked_head() -> tuple[npt.NDArray[np.int16], npt.NDArray[np.uint8], Numbers]:
    """A box of a head in RAS order, in its right, anterior, superior octant a mark."""
    scan = np.zeros((44, 26, 16), np.int16)
    scan[2:-2, 2:-2, 2:-2] = 100
    mask = np.zeros(scan.shape, np.uint8)
    mask[30:38, 16:22, 9:13] = 1
    affine = np.diag([*SPACING, 1.0])
    affine[:3, 3] = (-21.5, 40.0, -7.0)
    return scan, mask, affine


def turned(voxels: npt.NDArray[np.generic], affine: Numbers, orientation: Numbers) -> picture.Volume:
    """The same head stored in another order of voxels, read back for display."""
    stored = apply_orientation(voxels, orientation)
    return picture.reorder(stored, affine @ inv_ornt_aff(orientation, voxels.shape))


def panels(scan: picture.Volume, mask: picture.Volume) -> list[Image.Image]:
    layers = [picture.window(scan.voxels), mask.voxels != 0]
    everything = tuple(slice(0, size) for size in scan.voxels.shape)
    at = picture.middle(mask.voxels != 0)
    return [picture.panel(scan, layers, everything, plane, at, 2.0) for plane in range(3)]


def coloured(image: Image.Image) -> npt.NDArray[np.bool_]:
    """Pixels that are neither grey nor text: those of the mask."""
    rgb = np.asarray(image).astype(int)
    return np.asarray(rgb[..., 0] - rgb[..., 2] > 40)


def centre(image: Image.Image) -> tuple[float, float]:
    """Where the mask is in a panel: 0 at the left, 1 at the right; 0 at the top, 1 at the bottom."""
    rows, columns = np.nonzero(coloured(image))
    return float(columns.mean()) / image.width, float(rows.mean()) / image.height


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_the_mark_is_on_its_side_however_the_file_is_stored(orientation: Numbers) -> None:
    scan, mask, affine = marked_head()
    shown = turned(scan, affine, orientation)
    axial, coronal, sagittal = panels(shown, turned(mask, affine, orientation))

    x, y = centre(axial)
    assert (x < 0.4, y < 0.4) == (True, True), "axial: right at the viewer's left, anterior up"
    x, y = centre(coronal)
    assert (x < 0.4, y < 0.4) == (True, True), "coronal: right at the viewer's left, head up"
    x, y = centre(sagittal)
    assert (x < 0.4, y < 0.4) == (True, True), "sagittal: anterior at the viewer's left, head up"

    assert [shown.letters(axis) for axis in range(3)] == [("R", "L"), ("A", "P"), ("H", "F")]
    assert (axial.size, coronal.size, sagittal.size) == ((88, 104), (88, 128), (104, 128)), "2 pixels per mm"


@pytest.mark.parametrize("orientation", ORIENTATIONS[::7])
@pytest.mark.parametrize("degrees", [-25.0, 12.0, 40.0])
def test_an_oblique_scan_keeps_its_sides_and_says_that_it_is_oblique(orientation: Numbers, degrees: float) -> None:
    scan, mask, affine = marked_head()
    turn = np.deg2rad(degrees)
    spin = np.eye(4)
    spin[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    shown = turned(scan, spin @ affine, orientation)
    drawn = panels(shown, turned(mask, spin @ affine, orientation))
    assert all(x < 0.45 and y < 0.45 for x, y in map(centre, drawn))
    across = shown.letters(0)
    if degrees == -25.0:  # turned clockwise seen from above: the right end of the head lies to the back
        assert across == ("RP", "LA")
    elif degrees == 40.0:
        assert across == ("RA", "LP")
    else:
        assert across == ("R", "L")


def test_letters_are_drawn_where_they_belong() -> None:
    """The letters' pixels: at the middle of each edge of a panel, nowhere else on a black image."""
    dark = picture.Volume(np.zeros((60, 60, 60), np.uint8), np.diag([-1.0, -1.0, -1.0, 1.0]))
    layers = [dark.voxels, dark.voxels > 0]
    everything = (slice(0, 60),) * 3
    for plane in range(3):
        lit = np.asarray(picture.panel(dark, layers, everything, plane, (30, 30, 30), 3.0)).max(axis=2) > 100
        assert lit[70:110, :20].any()
        assert lit[70:110, -20:].any()
        assert lit[:25, 75:105].any()
        assert lit[-25:, 75:105].any()
        assert not lit[30:65, 30:150].any()


def test_a_scan_is_its_own_mirror_image_only_if_its_affine_says_so() -> None:
    """Flipping voxels and affine together changes nothing; flipping the voxels alone moves the mark to the left."""
    scan, mask, affine = marked_head()
    wrong = picture.reorder(mask[::-1], affine)
    axial, *_ = panels(picture.reorder(scan, affine), wrong)
    assert centre(axial)[0] > 0.6


def test_what_does_not_belong_together_is_refused(tmp_path: Path) -> None:
    scan, mask, affine = marked_head()
    image = picture.reorder(scan, affine)
    moved = affine.copy()
    moved[0, 3] += 0.5
    with pytest.raises(picture.PictureError, match=r"the mask is not where the image is"):
        picture.compose(image, picture.reorder(mask, moved))
    with pytest.raises(picture.PictureError, match="not the same grid"):
        picture.compose(image, picture.reorder(mask[1:], affine))
    with pytest.raises(picture.PictureError, match="has 4 dimensions; a picture needs 3"):
        picture.reorder(np.zeros((2, 2, 2, 2)), affine)
    with pytest.raises(picture.PictureError, match="orientation is unknown"):
        picture.reorder(scan, np.diag([1.0, 0.0, 1.0, 1.0]))
    with pytest.raises(picture.PictureError, match="cannot be read"):
        picture.load(tmp_path / "absent.nii.gz")


def test_an_empty_mask_is_drawn_as_nothing() -> None:
    scan, mask, affine = marked_head()
    image = picture.reorder(scan, affine)
    page = picture.compose(image, picture.reorder(np.zeros_like(mask), affine))
    assert not coloured(page)[: page.height - 50].any()


def test_the_truth_is_a_contour_in_another_colour() -> None:
    scan, mask, affine = marked_head()
    page = picture.compose(*(picture.reorder(voxels, affine) for voxels in (scan, mask, mask)))
    blue = (np.asarray(page) == picture.TRUTH_COLOUR).all(axis=2)
    orange = coloured(page)
    assert 0 < blue.sum() < orange.sum()


def test_the_command_draws_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scan, mask, affine = marked_head()
    for name, voxels in (("scan", scan), ("mask", mask)):
        nib.save(nib.Nifti1Image(voxels, affine), tmp_path / f"{name}.nii.gz")
    names = [str(tmp_path / f"{name}.nii.gz") for name in ("scan", "mask", "mask")]
    target = tmp_path / "out" / "p.png"
    assert picture.main([*names[:2], "--truth", names[2], "-o", str(target)]) == 0
    assert capsys.readouterr().out == f"{target}\n"
    with Image.open(target) as image:
        assert image.mode == "RGB"
    assert picture.main([names[0], str(tmp_path / "no.nii.gz"), "-o", str(target)]) == 3
    assert "cannot be read as an image" in capsys.readouterr().err


def test_the_picture_of_the_readme_is_small() -> None:
    path = ROOT / "docs/picture.png"
    assert path.stat().st_size < 200_000
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert 700 < image.width < 1200


# The analysis -----------------------------------------------------------------------------------------------------


def test_the_demo_scores_what_the_oracle_scores(tmp_path: Path) -> None:
    """The expected numbers come from a separate script with SciPy's components and distances and NumPy's ranks."""
    said: list[str] = []
    run.demo(tmp_path, said.append)
    printed, _ = run.analyse(tmp_path / "case", tmp_path / "again")
    assert printed == {
        "dice_surely": 0.7174738960875582,
        "dice_possibly": 0.8963947139071199,
        "dice_growTum": 0.9044542550518646,
        "dice_gtv": 0.8952755347782972,
        "voxels_gtv": 30985,
        "voxels_truth": 25487,
    }
    assert "  dice_gtv       0.931   +0.036" in "\n".join(said).splitlines()
    for name in ("masks/growTum.nii.gz", "masks/gtv.nii.gz", "masks-moved/gtv.nii.gz", "picture.png"):
        assert (tmp_path / name).exists()


def test_the_demo_ends_with_a_sweep_that_runs(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    phantom.write(tmp_path / "case", run.NAME)
    assert main([*run.sweep(tmp_path / "case"), "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert (len(found["rows"]), found["best"]["dice_gtv"]) == (12, {"hi": 0.91, "vi": 0.92})


def test_a_failing_analysis_is_reported_with_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(run.DemoError) as caught:
        run.analyse(tmp_path / "nothing", tmp_path / "masks")
    assert caught.value.status == 3
    assert str(caught.value).startswith("voxlogica run demo/gbm.imgql --set INPUTDIR=")
    assert "phantom_flair.nii.gz" in str(caught.value)
