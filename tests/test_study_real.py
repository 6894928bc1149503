"""A study of all real cases with a 5 x 5 sweep, cut to the part around the tumour to be quick, against a NumPy script.

The data may not be redistributed and are not in the repository; without them this is skipped.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt, label

from voxlogica.cli import main

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
CASES = sorted(path.name for path in DATA.glob("BraTS19*")) if DATA.is_dir() else []
BOX = np.ones((3, 3, 3))

pytestmark = pytest.mark.skipif(not CASES, reason=f"the real cases are not in {DATA}")

HI, VI = (0.91, 0.92, 0.93, 0.94, 0.95), (0.8, 0.82, 0.84, 0.86, 0.88)


def opened(mask: np.ndarray, radius: float) -> np.ndarray:
    """What a ball of that radius fits in: the voxels nearer than it to those at least it away from the outside."""
    core = distance_transform_edt(mask) >= radius
    return distance_transform_edt(~core) < radius if core.any() else core


def through(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The components of b that meet a."""
    labels, _ = label(b, BOX)
    return np.isin(labels, np.setdiff1d(np.unique(labels[a & b]), [0]))


def near(mask: np.ndarray) -> np.ndarray:
    return distance_transform_edt(~mask) < 1.8 if mask.any() else mask


def ranks(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The share of voxels below, and half of those that are equal, in float32 (C26)."""
    _, where, counts = np.unique(image[mask], return_inverse=True, return_counts=True)
    below = (np.cumsum(counts) - counts).astype(np.float32)
    share = (below + np.float32(0.5) * counts.astype(np.float32)) / np.float32(counts.sum())
    out = np.full(image.shape, -1, np.float32)
    out[mask] = share[where]
    return out


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return float(2 * np.sum(a & b) / (np.sum(a) + np.sum(b)))


def grown(hyper: np.ndarray, very: np.ndarray) -> np.ndarray:
    """`grow(a, b) = a | touch(b, a)`: a, and the components of b that touch it."""
    return hyper | through(near(hyper), very)


def test_a_five_by_five_sweep_of_all_cases_is_what_numpy_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    images = {}
    for case in CASES:
        (tmp_path / case).mkdir()
        volumes = [np.asarray(nibabel.load(DATA / case / f"{case}_{kind}.nii.gz").dataobj) for kind in ("flair", "seg")]
        middle = np.argwhere(volumes[1] > 0).mean(axis=0).astype(int)
        part = tuple(slice(max(m - 32, 0), m + 32) for m in middle)
        images[case] = [np.ascontiguousarray(volume[part]) for volume in volumes]
        for kind, volume in zip(("flair", "seg"), images[case], strict=True):
            nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), f"{case}/{case}_{kind}.nii.gz")
    words = ["sweep", str(DATA / "gbm.imgql"), "--cases", "{case}/{case}_flair.nii.gz", "--table", "t.csv", "--json",
             "-p", "hi=0.91:0.95:0.01", "-p", "vi=0.80:0.88:0.02"]  # fmt: skip
    assert main(words) == 0
    first = json.loads(capfd.readouterr().out)
    with Path("t.csv").open(newline="") as file:
        table = {(row["case"], float(row["hi"]), float(row["vi"])): row for row in csv.DictReader(file)}
    assert list(table) == [(case, hi, vi) for case in CASES for hi in HI for vi in VI]
    means: dict[tuple[float, float], list[float]] = {}
    for case, (flair, seg) in images.items():
        dark = flair.astype(np.float32) < np.float32(0.1)
        border = np.ones(flair.shape, np.bool_)
        border[1:-1, 1:-1, 1:-1] = False
        share = ranks(flair.astype(np.float32), ~through(border, dark))
        very = {vi: opened(share > np.float32(vi), 2) for vi in VI}
        for hi in HI:
            hyper = opened(share > np.float32(hi), 5)
            for vi in VI:
                row = table[case, hi, vi]
                assert float(row["01_dice_hyperIntense"]) == dice(hyper, seg > 0)
                assert float(row["02_dice_veryIntense"]) == dice(very[vi], seg > 0)
                assert float(row["03_dice_growTum"]) == dice(grown(hyper, very[vi]), seg > 0)
                means.setdefault((hi, vi), []).append(float(row["03_dice_growTum"]))
    best = max(means, key=lambda cell: np.mean(means[cell]))
    assert first["best"]["03_dice_growTum"] == {"hi": best[0], "vi": best[1]}
    assert main(words) == 0
    again = json.loads(capfd.readouterr().out)
    assert all(row["reused"] for row in again["rows"])
    assert [row["values"] for row in again["rows"]] == [row["values"] for row in first["rows"]]
