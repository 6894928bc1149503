"""The files that the programs of `tests/wrong` load, made anew; not by our writers."""

# nibabel has types, but not on all its functions.
# mypy: allow-untyped-calls
from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from PIL import Image


def make_files(directory: Path) -> None:
    """Makes all of them in a directory that is there."""
    brain = np.arange(8 * 7 * 6, dtype=np.int16).reshape(8, 7, 6)
    brain[5, 4, 3] = 567
    volume(directory / "brain.nii.gz", brain)
    volume(directory / "shifted.nii.gz", brain, origin=(0.5, 0, 0))
    volume(directory / "small.nii.gz", np.arange(64, dtype=np.int16).reshape(4, 4, 4))
    volume(directory / "series.nii.gz", np.zeros((8, 7, 6, 3), np.int16))
    whole = (directory / "brain.nii.gz").read_bytes()
    (directory / "truncated.nii.gz").write_bytes(whole[: len(whole) // 2])
    (directory / "empty.nii.gz").write_bytes(b"")
    (directory / "garbage.nii.gz").write_bytes(b"<html>404: there is no such file</html>" * 20)
    (directory / "notes.txt").write_text("the patient moved\n")
    (directory / "scans.nii.gz").mkdir()
    Image.fromarray(np.arange(63, dtype=np.uint8).reshape(7, 9)).save(directory / "flat.png")


def volume(path: Path, voxels: NDArray[np.generic], origin: tuple[float, float, float] = (0, 0, 0)) -> None:
    """A NIfTI file with voxels of 1 mm, axes along those of LPS, and the first voxel at `origin`, in LPS."""
    affine = np.diag([-1.0, -1.0, 1.0, 1.0])
    affine[:3, 3] = (-origin[0], -origin[1], origin[2])
    image = nib.Nifti1Image(voxels, affine)
    image.set_qform(affine, code=1)
    image.set_sform(affine, code=1)
    image.header.set_xyzt_units("mm")
    nib.save(image, path)
