"""DICOM series: a directory with the slices of one volume, read by SimpleITK (GDCM), which is imported when needed.

Slices are put in order by their places, whatever their files are called, and so is the digest made of theirs. What
DICOM leaves open is checked: that there is one series, that its slices are turned alike and have equal distances along
their normal, none missing and none there twice. Other files in the directory are passed over.
"""

from __future__ import annotations

import math
import os
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from voxlogica import identity
from voxlogica.errors import Refusal
from voxlogica.images import files
from voxlogica.images.spaces import at_right_angles, check_components, placed, skewed
from voxlogica.values import Space

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FORMAT = "dicom"
VERSION = 1  # raised when the same bytes give other voxels
UNEVEN = 0.01
"""The share of the distance between slices by which one may differ: places are text, often of few digits."""

_POSITION, _ORIENTATION, _DESCRIPTION = "0020|0032", "0020|0037", "0008|103e"
_CONVERT = "convert it to one .nii.gz file, for instance with dcm2niix, and load that"


def reader() -> str:
    """What decides the numbers: the format, and the version of what decodes it. Refuses when that is not installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"{FORMAT} {version('SimpleITK')}"
    except PackageNotFoundError:
        raise Refusal(
            "DICOM series are read with SimpleITK, which is not installed", help="pip install SimpleITK"
        ) from None


def status(name: str) -> tuple[int, ...]:
    """What changes when any file of a directory does, in the form of a single file's: see `files.status`."""
    with os.scandir(name) as entries:
        found = sorted((entry.name, entry.stat()) for entry in entries if entry.is_file())
    stamps = [(called, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for called, s in found]
    mark = int.from_bytes(identity.file_digest([repr(stamps).encode()])[:7], "big")
    size, changed = sum(s.st_size for _, s in found), [(s.st_mtime_ns, s.st_ctime_ns) for _, s in found]
    return (Path(name).stat().st_dev, mark, size, *(max(times) for times in zip(*changed or [(0, 0)], strict=True)))


def inspect(name: str) -> tuple[bytes, Space]:
    """The digest and the space of a series every slice of which was decoded."""
    sitk: Any = import_module("SimpleITK")
    paths = _series(sitk, name)
    image, tags = _decoded(sitk, name, paths)
    digests = []
    for path in paths:
        with Path(path).open("rb") as handle:
            digests.append(identity.file_digest(files.blocks(handle)))
    check_components(name, image.GetNumberOfComponentsPerPixel())
    columns = _columns(name, image, [Path(path).name for path in paths], tags)
    space = placed(name, image.GetSize(), image.GetSpacing(), image.GetOrigin(), columns)
    return identity.file_digest(digests), space


def voxels(name: str) -> NDArray[np.float32]:
    """The numbers of a series, [voxel, component], x fastest."""
    import numpy as np

    sitk: Any = import_module("SimpleITK")
    image, _ = _decoded(sitk, name, _series(sitk, name))
    array = np.asarray(sitk.GetArrayFromImage(image), np.float32)
    return array.reshape(-1, image.GetNumberOfComponentsPerPixel())


# Which files


def _series(sitk: Any, name: str) -> tuple[str, ...]:
    """The files of the only series of images in a directory, by place."""
    finder = sitk.ImageSeriesReader
    with _quiet(sitk):
        every = {uid: tuple(finder.GetGDCMSeriesFileNames(name, uid)) for uid in finder.GetGDCMSeriesIDs(name)}
        said = {uid: found for uid, paths in every.items() if (found := _described(sitk, paths))}
    _check_all_read(name, {path for paths in every.values() for path in paths})
    if not said:
        raise _none(name)
    if len(said) > 1:
        help = "put the files of each in a directory of its own"
        raise Refusal(f"{name} holds {len(said)} DICOM series, and an image is one", tuple(said.values()), help)
    (uid,) = said
    return every[uid]


def _check_all_read(name: str, seen: Container[str]) -> None:
    """Refuses files that say to be DICOM and that the library passed over, which it does in silence."""
    for path in sorted(Path(name).iterdir()):
        if path.is_file() and path.name != "DICOMDIR" and str(path) not in seen:
            with path.open("rb") as handle:
                if handle.read(132)[128:] == b"DICM":
                    raise files.damaged(str(path), "it begins as DICOM does, and cannot be read to its end")


def _described(sitk: Any, paths: Sequence[str]) -> str:
    """A series in words; "" when it is of something else than images."""
    header = sitk.ImageFileReader()
    header.SetFileName(paths[0])
    try:
        header.ReadImageInformation()
    except RuntimeError:
        return ""
    called = (
        header.GetMetaData(_DESCRIPTION).strip() if header.HasMetaDataKey(_DESCRIPTION) else "without a description"
    )
    size = " x ".join(map(str, header.GetSize()[:2]))
    many = f"{len(paths)} file{'' if len(paths) == 1 else 's'}"
    return f"{called}: {many} of {size}, the first is {Path(paths[0]).name}"


def _none(name: str) -> Refusal:
    below = sorted(path.name for path in Path(name).iterdir() if path.is_dir())
    help = f"name one of its directories, for example   {Path(name) / below[0]}" if below else "name one file of it"
    return Refusal(f"{name} is a directory without a DICOM series", help=help)


# What is in them


def _decoded(sitk: Any, name: str, paths: Sequence[str]) -> tuple[Any, list[Mapping[str, str]]]:
    """The volume, and the tags of each slice that say where it is."""
    series = sitk.ImageSeriesReader()
    series.SetFileNames(paths)
    series.MetaDataDictionaryArrayUpdateOn()
    header = sitk.ImageFileReader()
    header.SetFileName(paths[0])
    try:
        with _quiet(sitk):
            header.ReadImageInformation()
            if header.GetSize()[2:] not in ((), (1,)):
                raise Refusal(f"{name} holds several slices in one file", help=_CONVERT)
            # Slopes may differ from slice to slice: what the first one needs is not enough for all.
            one = header.GetNumberOfComponents() == 1
            series.SetOutputPixelType(sitk.sitkFloat32 if one else sitk.sitkVectorFloat32)
            image = series.Execute()
    except RuntimeError as error:
        raise Refusal(
            f"{name} is damaged: its slices do not make a volume", (str(error).strip().splitlines()[-1],), files.AGAIN
        ) from error
    tags: list[Mapping[str, str]] = [
        {key: series.GetMetaData(n, key) for key in (_POSITION, _ORIENTATION) if series.HasMetaDataKey(n, key)}
        for n in range(len(paths))
    ]
    return image, tags


def _columns(
    name: str, image: Any, called: Sequence[str], tags: Sequence[Mapping[str, str]]
) -> list[tuple[float, ...]]:
    """The directions of the axes, when the slices make a grid."""
    for file, tag in zip(called, tags, strict=True):
        if len(tag) < 2:
            raise Refusal(f"{name} does not say where its slices are: {file} has no position", help=_CONVERT)
    places = [_numbers(tag[_POSITION]) for tag in tags]
    turned = [_numbers(tag[_ORIENTATION]) for tag in tags]
    for file, other in zip(called, turned, strict=True):
        if math.dist(other, turned[0]) > 1e-3:
            why = (
                f"{called[0]} is turned as {tags[0][_ORIENTATION]}",
                f"{file} as {tags[called.index(file)][_ORIENTATION]}",
            )
            help = "put slices that are turned alike in a directory of their own; a localizer is often among them"
            raise Refusal(f"{name} has slices that are not parallel", why, help)
    across, down = turned[0][:3], turned[0][3:]
    normal = _cross(across, down)
    _check_steps(name, called, [sum(a * b for a, b in zip(place, normal, strict=True)) for place in places])
    through = tuple(b - a for a, b in zip(places[0], places[-1], strict=True)) if len(places) > 1 else normal
    columns = [across, down, through]
    if not at_right_angles(columns):
        raise skewed(name, "its slices are shifted against each other, as when the gantry is tilted")
    matrix = image.GetDirection()
    return [tuple(matrix[axis::3]) for axis in range(3)]


def _check_steps(name: str, called: Sequence[str], along: Sequence[float]) -> None:
    """Refuses slices that are not at equal distances along their normal."""
    steps = [b - a for a, b in pairwise(along)]
    if not steps:
        return
    usual = sorted(steps)[len(steps) // 2]
    for n, step in enumerate(steps):
        if abs(step) < UNEVEN * abs(usual) or not usual:
            help = "one directory holds one volume: separate the times or echoes"
            raise Refusal(f"{name} has two slices in one place, {called[n]} and {called[n + 1]}", help=help)
        if abs(step - usual) > UNEVEN * abs(usual):
            why = f"{abs(step):.4g} mm from {called[n]} to {called[n + 1]}, and {abs(usual):.4g} mm elsewhere"
            help = "a slice may be missing: copy the series again"
            raise Refusal(f"{name} has slices at unequal distances", (why,), help)


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(word) for word in text.split("\\"))


def _cross(a: Sequence[float], b: Sequence[float]) -> tuple[float, ...]:
    return tuple(a[i] * b[j] - a[j] * b[i] for i, j in ((1, 2), (2, 0), (0, 1)))


_quiet_ones: list[bool] = []
"""What was shown before each of those who are at it now."""
_entering = Lock()


@contextmanager
def _quiet(sitk: Any) -> Iterator[None]:
    """Without what ITK writes to the terminal; what matters of it is checked here. Several threads may be inside."""
    with _entering:  # it is a setting of the whole library: the last one to leave puts back what the first one found
        _quiet_ones.append(sitk.ProcessObject.GetGlobalWarningDisplay())
        sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        with _entering:
            shown = _quiet_ones.pop()
            if not _quiet_ones:
                sitk.ProcessObject.SetGlobalWarningDisplay(shown)
