"""DICOM series: a directory is a volume when its slices make one, in place and value as SimpleITK and we agree.

Small series are written slice by slice with SimpleITK. The phantom is that of `test_images_sides.py`: a bright voxel at
each side must be found again at the same place of the patient, whatever the orientation.
"""

from __future__ import annotations

import csv
import locale
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from numpy.typing import NDArray
from tests.test_images_sides import SIDES, SIZE, SPACING, orientations, phantom

import voxlogica as vx
from voxlogica import images
from voxlogica.cli import main
from voxlogica.errors import Refusal
from voxlogica.images import dicom

Voxels = NDArray[np.int16]


@pytest.fixture(autouse=True)
def own_locale() -> Iterator[None]:
    """GDCM sets the process's locale when it writes, though not when it reads."""
    before = locale.setlocale(locale.LC_ALL)
    yield
    locale.setlocale(locale.LC_ALL, before)


ROOT = "1.2.826.0.1.3680043.2.1125"
ORIGIN = (-11.0, 22.0, -33.0)


def write(
    directory: Path, voxels: Voxels, direction: NDArray[np.float64] | None = None, *, series: str = f"{ROOT}.1",
    places: Sequence[float] = (), tilt: float = 0.0, about: str = "T1", first: int = 0,
) -> list[Path]:  # fmt: skip
    """Voxels [i, j, k] as a series, a file for each k; its files are called in no order of their places.

    `places` are those of the slices along the third axis, in mm; `tilt` shifts each along the second.
    """
    turn = np.eye(3) if direction is None else direction
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for k in range(voxels.shape[2]):
        image = sitk.GetImageFromArray(np.ascontiguousarray(voxels[:, :, k].T))
        image.SetSpacing(SPACING[:2])
        along = places[k] if places else SPACING[2] * k
        position = np.array(ORIGIN) + turn @ (0, tilt * k, along)
        tags = {
            "0008|0060": "MR", "0008|103e": about, "0020|000e": series, "0020|0013": str(k),
            "0008|0018": f"{series}.{first + k}", "0020|0032": "\\".join(f"{v:.9g}" for v in position),
            "0020|0037": "\\".join(f"{v:.9g}" for v in (*turn[:, 0], *turn[:, 1])),
        }  # fmt: skip
        for key, value in tags.items():
            image.SetMetaData(key, value)
        path = directory / f"{(7 * (first + k) + 3) % 101:03}.dcm"
        writer = sitk.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        writer.SetFileName(str(path))
        writer.Execute(image)
        paths.append(path)
    return paths


def refused(path: Path) -> tuple[str, tuple[str, ...], str]:
    with pytest.raises(Refusal) as raised:
        images.bind(path)
    refusal = raised.value
    return refusal.message.replace(str(path), "DIR"), tuple(refusal.details), refusal.help.replace(str(path), "DIR")


@pytest.mark.parametrize("number", range(52))
def test_left_is_left_in_every_orientation(number: int, tmp_path: Path) -> None:
    direction = orientations()[number]
    write(tmp_path / "s", phantom(), direction)
    leaf = images.bind(tmp_path / "s")
    model, space = images.read(leaf.file, leaf.space), leaf.space
    read = model.numpy()
    turn = np.array(space.direction).reshape(3, 3)
    assert np.linalg.det(turn) == pytest.approx(1), "slices lie along the normal that DICOM defines"
    for value, at in SIDES.items():
        (found,) = np.argwhere(read == value)
        place = np.array(space.origin) + turn @ (found * space.spacing)
        assert place == pytest.approx(np.array(ORIGIN) + direction @ (np.array(at) * SPACING), abs=1e-4)
    assert np.count_nonzero(read) == len(SIDES)
    assert sorted(space.size) == sorted(SIZE)


def test_values_and_place_are_what_simpleitk_reads(tmp_path: Path) -> None:
    voxels = np.random.default_rng(0).integers(-1000, 3000, SIZE).astype(np.int16)
    write(tmp_path / "s", voxels, orientations()[49])
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path / "s")))
    theirs = reader.Execute()
    leaf = images.bind(tmp_path / "s")
    assert np.array_equal(images.read(leaf.file, leaf.space).numpy(), sitk.GetArrayFromImage(theirs).T)
    assert np.array_equal(images.read(leaf.file, leaf.space).numpy(), voxels)
    assert leaf.space.spacing == pytest.approx(theirs.GetSpacing())
    assert leaf.space.origin == pytest.approx(theirs.GetOrigin())
    assert leaf.space.direction == pytest.approx(theirs.GetDirection())


def test_the_digest_is_of_all_files_and_not_of_their_names(tmp_path: Path) -> None:
    paths = write(tmp_path / "s", phantom())
    before = images.bind(tmp_path / "s")
    (tmp_path / "s" / "notes.txt").write_text("not a slice")
    (tmp_path / "s").rename(tmp_path / "moved")
    for n, path in enumerate(paths):
        (tmp_path / "moved" / path.name).rename(tmp_path / "moved" / f"other{n}")
    assert images.bind(tmp_path / "moved").digest == before.digest
    file = tmp_path / "moved" / "other4"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    assert images.bind(tmp_path / "moved").digest != before.digest


def test_a_series_that_changes_after_it_was_bound_is_not_read(tmp_path: Path) -> None:
    paths = write(tmp_path / "s", phantom())
    leaf = images.bind(tmp_path / "s")
    paths[3].write_bytes(paths[2].read_bytes())
    with pytest.raises(Refusal, match="changed while it was being used"):
        images.read(leaf.file, leaf.space)


class Notes:
    """A memo that counts."""

    def __init__(self) -> None:
        self.noted: dict[tuple[str, tuple[int, ...]], tuple[bytes, str]] = {}

    def recall(self, path: str, status: tuple[int, ...]) -> tuple[bytes, str] | None:
        return self.noted.get((path, status))

    def reading(self, paths: Sequence[str]) -> bool:
        return True

    def remember(self, path: str, status: tuple[int, ...], digest: bytes, header: str, settled: bool) -> None:
        self.noted[path, status] = (digest, header)


def test_a_series_that_is_known_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = write(tmp_path / "s", phantom())
    monkeypatch.setattr("voxlogica.images.memo.SETTLED", -1)
    notes = Notes()
    leaf = images.bind(tmp_path / "s", notes)
    with monkeypatch.context() as patch:
        patch.setattr(dicom, "inspect", lambda name: pytest.fail("it was read again"))
        again = images.bind(tmp_path / "s", notes)
    assert (again.digest, again.space) == (leaf.digest, leaf.space)
    paths[0].touch()
    images.bind(tmp_path / "s", notes)
    assert len(notes.noted) == 2, "a file's times are those of the series too"


def test_slopes_of_each_slice_are_taken(tmp_path: Path) -> None:
    """PET has them; what is right for the first slice, whole numbers, is not for all."""
    for path, slope in zip(
        write(tmp_path / "s", np.full((4, 5, 3), 8, np.int16)), (b"1 ", b".5", b"2.25"), strict=True
    ):
        data = path.read_bytes()
        for tag in (0x1052, 0x1053, 0x1054):  # which GDCM writes as soon as it has read a series in this process
            head, found, tail = data.partition(struct.pack("<HH", 0x28, tag))
            data = head + tail[4 + int.from_bytes(tail[:4], "little") :] if found else data
        at = data.index(struct.pack("<HH", 0x7FE0, 0x10))  # the voxels, after which comes nothing
        texts = [(0x1052, b"-3"), (0x1053, slope)]
        said = [struct.pack("<HHI", 0x28, tag, len(text)) + text for tag, text in texts]
        path.write_bytes(data[:at] + b"".join(said) + data[at:])
    leaf = images.bind(tmp_path / "s")
    numbers = images.read(leaf.file, leaf.space).numpy()[0, 0]
    assert numbers.tolist() == [5.0, 1.0, 15.0]
    assert leaf.space.size == (4, 5, 3)


def test_reading_leaves_the_process_s_locale_alone(tmp_path: Path, own_locale: None) -> None:
    before = locale.setlocale(locale.LC_ALL)
    write(tmp_path / "s", phantom())
    locale.setlocale(locale.LC_ALL, before)
    leaf = images.bind(tmp_path / "s")
    images.read(leaf.file, leaf.space)
    assert locale.setlocale(locale.LC_ALL) == before


def test_one_slice_is_a_plane(tmp_path: Path) -> None:
    write(tmp_path / "s", phantom()[:, :, 4:5])
    leaf = images.bind(tmp_path / "s")
    assert leaf.space.size == SIZE[:2]
    assert np.array_equal(images.read(leaf.file, leaf.space).numpy(), phantom()[:, :, 4])


def two_series(directory: Path) -> None:
    write(directory, phantom(), about="T1 axial")
    write(directory, phantom()[:, :, :2], about="FLAIR", series=f"{ROOT}.2", first=50)


def missing_slice(directory: Path) -> None:
    write(directory, phantom())[4].unlink()


def same_place(directory: Path) -> None:
    write(directory, phantom(), places=(0, 3, 6, 9, 9, 12, 15, 18, 21))


def localizer(directory: Path) -> None:
    write(directory, phantom())
    write(directory, phantom()[:, :, :1], orientations()[8], first=50)


@pytest.mark.parametrize(
    ("make", "message", "details", "help"),
    [
        (
            two_series, "DIR holds 2 DICOM series, and an image is one",
            ("T1 axial: 9 files of 5 x 7, the first is 003.dcm", "FLAIR: 2 files of 5 x 7, the first is 050.dcm"),
            "put the files of each in a directory of its own",
        ),
        (
            missing_slice, "DIR has slices at unequal distances",
            ("6 mm from 024.dcm to 038.dcm, and 3 mm elsewhere",), "a slice may be missing: copy the series again",
        ),
        (
            same_place, "DIR has two slices in one place, 024.dcm and 031.dcm", (),
            "one directory holds one volume: separate the times or echoes",
        ),
        (
            lambda directory: write(directory, phantom(), tilt=0.4), "DIR has axes that are not at right angles",
            ("its slices are shifted against each other, as when the gantry is tilted",),
            "resample it onto a grid with right angles, and load that",
        ),
        (
            lambda directory: directory.mkdir(), "DIR is a directory without a DICOM series", (),
            "name one file of it",
        ),
        (
            lambda directory: write(directory / "T1", phantom()), "DIR is a directory without a DICOM series", (),
            "name one of its directories, for example   DIR/T1",
        ),
    ],
)  # fmt: skip
def test_what_is_no_volume_is_refused(
    make: Callable[[Path], object], message: str, details: tuple[str, ...], help: str, tmp_path: Path
) -> None:
    make(tmp_path / "s")
    assert refused(tmp_path / "s") == (message, details, help)


def test_a_localizer_among_the_slices_is_named(tmp_path: Path) -> None:
    localizer(tmp_path / "s")
    message, details, help = refused(tmp_path / "s")
    assert message == "DIR has slices that are not parallel"
    assert len(details) == 2
    assert "localizer" in help


@pytest.mark.parametrize("number", [0, 5, 8])
def test_a_damaged_slice_is_refused(number: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The library would leave it out; at an end, the volume would be smaller and nothing else."""
    path = write(tmp_path / "s", phantom())[number]
    path.write_bytes(path.read_bytes()[:-40])
    message, _, _ = refused(tmp_path / "s")
    assert message == f"DIR/{path.name} is damaged: it begins as DICOM does, and cannot be read to its end"
    assert capfd.readouterr().err == "", "the library's own complaints are not shown"


# In programs and studies

PROGRAM = """load scan = "$INPUTDIR/T1"
let bright = intensity(scan) >. 3
print "n" volume(bright)
save "m.nii.gz" bright"""


def test_a_series_is_loaded_saved_and_found_again_in_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("a/T1"), phantom(), orientations()[20])
    Path("p.imgql").write_text(PROGRAM)
    for _ in range(2):
        assert main(["run", "p.imgql", "--set", "INPUTDIR=a"]) == 0
        assert capfd.readouterr().out == "n=3\n"
    leaf = images.bind("a/T1")
    saved = sitk.ReadImage("m.nii.gz")
    assert saved.GetOrigin() == pytest.approx(leaf.space.origin, abs=1e-4)
    assert saved.GetDirection() == pytest.approx(leaf.space.direction, abs=1e-6)
    expected = images.read(leaf.file, leaf.space).numpy() > 3
    assert np.array_equal(sitk.GetArrayFromImage(saved).T > 0, expected)


@pytest.mark.parametrize("cases", ["{case}/T1/", "{case}/T1", "scan={case}/T1", "t.csv"])
def test_directories_are_cases_by_pattern_and_table(
    cases: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for n, name in enumerate(("ann", "bob")):
        write(Path(name, "T1"), phantom() + np.int16(n))
    two_series(Path("cat/T1"))
    with Path("t.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("case", "scan"), *((name, f"{name}/T1") for name in ("ann", "bob", "cat"))])
    Path("p.imgql").write_text(PROGRAM)
    table = vx.load("p.imgql").map(cases).table()
    assert [(row.case, row.values.get("n")) for row in table] == [("ann", 3.0), ("bob", 4.0), ("cat", None)]
    assert table.rows[2].error == "cat/T1 holds 2 DICOM series, and an image is one"
    assert main(["cases", cases, "--for", "p.imgql"]) == 0
    assert "ann   ann/T1" in capfd.readouterr().out
