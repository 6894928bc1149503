"""Binding, reading and writing files: what is refused and in which words, what changes underneath, what is atomic.

The formats have test files of their own: test_images_nifti, test_images_pictures, test_images_volumes; left and right,
test_images_sides.
"""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import zlib
from collections import deque
from pathlib import Path

import numpy as np
import pytest
from tests.fixtures import make_files

from voxlogica import images
from voxlogica.errors import Refusal
from voxlogica.formula import IMAGE, MASK, NUMBER
from voxlogica.values import Image, Mask, Space

AGAIN = "copy or download it again; nothing has been computed"
GRID = Space.grid(5, 4, 3)
RAMP = Image.of(GRID, np.arange(60, dtype=np.float32).reshape(3, 4, 5))
FLAT = Image.of(Space.grid(5, 4), np.arange(20, dtype=np.float32).reshape(1, 4, 5))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the files of the corpus."""
    make_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refusal(path: str) -> tuple[str, str, tuple[str, ...], str]:
    """Message, label, details and help with which a file is refused."""
    with pytest.raises(Refusal) as caught:
        images.bind(path)
    return caught.value.message, caught.value.label, caught.value.details, caught.value.help


# What is refused


def test_binding_a_nifti_file_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys, voxlogica.images as images\n"
        "images.bind(sys.argv[1])\n"
        "print(sorted({'numpy', 'PIL', 'SimpleITK', 'nibabel', 'psutil'} & set(sys.modules)))"
    )
    path = tmp_path / "light.nii.gz"
    path.write_bytes(images.encode("nii.gz", RAMP))
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("path", "message", "label", "details", "help"),
    [
        ("brian.nii.gz", "there is no file brian.nii.gz", "did you mean `brain.nii.gz`?", (), ""),
        (
            "data/patient1.nii.gz",
            "there is no file data/patient1.nii.gz",
            "",
            ("there is no directory data",),
            "paths are relative to the directory where the command runs",
        ),
        ("a/b/c.nii", "there is no file a/b/c.nii", "", ("there is no directory a",),
         "paths are relative to the directory where the command runs"),
        ("notes.txt/c.nii", "there is no file notes.txt/c.nii", "", ("notes.txt is a file, not a directory",),
         "paths are relative to the directory where the command runs"),
        ("/nowhere/at/all.nii", "there is no file /nowhere/at/all.nii", "", ("there is no directory /nowhere",), ""),
        ("zzz.png", "there is no file zzz.png", "", (), "paths are relative to the directory where the command runs"),
        ("scans.nii.gz", "scans.nii.gz is a directory, not a file", "", (), "name one file of it"),
        ("empty.nii.gz", "empty.nii.gz is empty", "", (), AGAIN),
        ("truncated.nii.gz", "truncated.nii.gz is damaged: it ends in the middle", "", (), AGAIN),
        ("garbage.nii.gz", "garbage.nii.gz is damaged: its name says gzip, and its contents are something else", "", (),
         AGAIN),
        (
            "notes.txt",
            "notes.txt is not an image that can be read: .txt is no known extension",
            "",
            (),
            "images are read from .nii, .nii.gz, .png, .jpg, .jpeg, .bmp, .nrrd and .mha files",
        ),
        (
            "series.nii.gz",
            "series.nii.gz has 4 axes, and an image has 2 or 3",
            "",
            ("its size is 8 x 7 x 6 x 3; the fourth axis (t) is usually time",),
            "save one of its 3 volumes in a file of its own, and load that",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_loaded_is_refused_in_words(
    here: Path, path: str, message: str, label: str, details: tuple[str, ...], help: str
) -> None:
    assert refusal(path) == (message, label, details, help)


@pytest.mark.parametrize(
    ("name", "help"),
    [
        ("x.hdr", "save header and voxels as one .nii.gz file"),
        ("x.mhd", "save header and voxels as one .mha file"),
        ("x.dcm", "load the directory of its series, or convert that to one .nii.gz file, for instance with dcm2niix"),
    ],
)
def test_files_that_are_often_tried_get_advice(here: Path, name: str, help: str) -> None:
    Path(name).write_bytes(b"x")
    message, _, _, said = refusal(name)
    assert message == f"{name} is not an image that can be read: {Path(name).suffix} is no known extension"
    assert said == help


def test_a_pipe_is_not_opened(here: Path) -> None:
    os.mkfifo("pipe.nii")
    assert refusal("pipe.nii")[0] == "pipe.nii is not a regular file"


def test_a_name_without_extension(here: Path) -> None:
    Path("scan").write_bytes(b"x")
    assert refusal("scan")[0] == "scan is not an image that can be read: it has no extension"


def test_a_name_that_no_file_can_have(here: Path) -> None:
    assert refusal("a\0b.nii")[0].startswith("a\0b.nii cannot be read: ")


# Truncation and flipped bits


@pytest.mark.parametrize("format", ["nii", "nii.gz", "nrrd", "mha", "png", "bmp", "jpg"])
def test_a_file_cut_anywhere_is_refused(here: Path, format: str) -> None:
    whole = images.encode(format, FLAT if format in ("png", "bmp", "jpg") else RAMP, "told" * 30)
    path = Path(f"cut.{format}")
    path.write_bytes(whole)
    images.bind(path)
    for length in [*range(1, len(whole), 50), len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(Refusal):
            images.bind(path)


@pytest.mark.parametrize("format", ["nii.gz", "nrrd", "mha", "png"])
def test_no_flipped_bit_changes_voxels_unseen(here: Path, format: str) -> None:
    value = Image.of(Space.grid(4, 3), FLAT.array()[:, :3, :4].copy())
    whole = images.encode(format, value)
    # Headers in text have no checksum of their own; the compressed voxels do.
    first = {"nrrd": whole.find(b"\n\n"), "mha": whole.find(b"LOCAL\n") + 5}.get(format, -1) + 1
    path = Path(f"flipped.{format}")
    refused = 0
    for position in range(first, len(whole)):
        for bit in range(8):
            flipped = bytearray(whole)
            flipped[position] ^= 1 << bit
            path.write_bytes(flipped)
            try:
                leaf = images.bind(path)
            except Refusal:
                refused += 1
            else:
                assert leaf.space.size == value.space.size, (position, bit)
                assert bytes(images.read(leaf.file, leaf.space).data) == bytes(value.data), (position, bit)
    assert refused > 7 * (len(whole) - first - 10)


@pytest.mark.parametrize(
    ("tail", "why"),
    [(b"x", "something else follows its compressed data"), (b"\0" * 700_000 + b"x", "something else follows")],
)
def test_what_follows_compressed_data_is_refused(here: Path, tail: bytes, why: str) -> None:
    Path("x.nii.gz").write_bytes(images.encode("nii.gz", RAMP) + tail)
    assert why in refusal("x.nii.gz")[0]


def test_zeros_after_compressed_data_and_several_members_are_read(here: Path) -> None:
    plain = images.encode("nii", RAMP)
    parts = [gzip.compress(plain[:100]), gzip.compress(plain[100:400]), gzip.compress(b""), gzip.compress(plain[400:])]
    for tail in (b"", b"\0", b"\0" * 600_000):
        Path("x.nii.gz").write_bytes(b"".join(parts) + tail)
        leaf = images.bind("x.nii.gz")
        assert np.array_equal(images.read(leaf.file, leaf.space).array()[..., 0], RAMP.array())


def test_more_voxels_than_announced_are_refused_without_unpacking_them(here: Path) -> None:
    bomb = images.encode("nii", RAMP) + bytes(1 << 26)
    Path("x.nii.gz").write_bytes(gzip.compress(bomb))
    assert refusal("x.nii.gz")[0] == "x.nii.gz is damaged: it goes on after its last voxel"
    Path("x.nii").write_bytes(images.encode("nii", RAMP) + b"x")
    assert refusal("x.nii")[0] == "x.nii is damaged: it goes on after its last voxel"


# What changes between binding and reading


def test_reading_takes_the_space_it_is_given(here: Path) -> None:
    leaf = images.bind("brain.nii.gz")
    other = Space((8, 7, 6), (1.0, 1.0, 1.0), (9.0, 9.0, 9.0), leaf.space.direction)
    assert images.read(leaf.file, other).space is other


def test_a_file_is_found_again_from_another_directory(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leaf = images.bind("brain.nii.gz")
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    assert images.read(leaf.file, leaf.space).array().max() == 567


def replaced(path: Path) -> None:
    other = path.with_name("other.nii.gz")
    other.write_bytes(path.read_bytes())
    other.replace(path)


def touched(path: Path) -> None:
    os.utime(path, ns=(1, 1))


def grown(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"\0")


@pytest.mark.parametrize("change", [replaced, touched, grown, Path.unlink])
def test_a_file_that_changed_is_not_read(here: Path, change: object) -> None:
    leaf = images.bind("brain.nii.gz")
    assert callable(change)
    change(Path("brain.nii.gz"))
    with pytest.raises(Refusal, match=r"^brain.nii.gz changed while it was being used$") as caught:
        images.read(leaf.file, leaf.space)
    assert caught.value.help == "run again when nothing writes to it"
    assert isinstance(caught.value, OSError)  # a circumstance: the engine stores no such failure


def test_a_file_that_changes_while_it_is_read_is_refused(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leaf = images.bind("brain.nii.gz")
    take = images.files.Plain.take

    def disturbed(self: images.files.Plain, count: int) -> bytes:
        touched(Path("brain.nii.gz"))
        return take(self, count)

    monkeypatch.setattr(images.files.Plain, "take", disturbed)
    with pytest.raises(Refusal, match="changed while it was being used"):
        images.read(leaf.file, leaf.space)


# Leaves


def test_the_digest_is_that_of_the_bytes(here: Path) -> None:
    import hashlib

    leaf = images.bind("brain.nii.gz")
    assert leaf.digest == hashlib.sha256(Path("brain.nii.gz").read_bytes()).digest()
    assert (leaf.reader, leaf.reader_version) == ("nifti", 1)
    again = images.bind(Path("brain.nii.gz"))
    assert again == leaf
    assert hash(again.file) == hash(leaf.file)


# Names, places, writing


@pytest.mark.parametrize(
    ("path", "format"),
    [("a.nii", "nii"), ("b/a.NII.GZ", "nii.gz"), ("a.png", "png"), ("a.jpeg", "jpg"), ("a.JPG", "jpg"),
     ("a.bmp", "bmp"), ("x.png.nii", "nii"), ("a.nrrd", "nrrd"), ("a.mha", "mha")],
)  # fmt: skip
def test_the_extension_says_the_format(path: str, format: str) -> None:
    assert images.format_of(path) == format


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("bright.tiff", "bright.tiff cannot be written: .tiff is no known extension"),
        ("bright", "bright cannot be written: it has no extension"),
        ("out.d/bright", "out.d/bright cannot be written: it has no extension"),
        (".png", ".png cannot be written: it has no extension"),
        ("a.gz", "a.gz cannot be written: .gz is no known extension"),
    ],
)
def test_other_extensions_are_refused(path: str, message: str) -> None:
    with pytest.raises(Refusal) as caught:
        images.format_of(path)
    assert caught.value.message == message
    assert caught.value.help == "images are written as .nii, .nii.gz, .png, .jpg, .jpeg, .bmp, .nrrd or .mha files"


def test_a_volume_is_no_picture() -> None:
    with pytest.raises(Refusal) as caught:
        images.check_writable("png", MASK, Space.grid(8, 7, 6), "bright.png")
    assert caught.value.message == "bright.png cannot be written: .png files are 2-D, and this is 8 x 7 x 6 voxels"
    assert caught.value.help == "save it as   bright.nii.gz"
    images.check_writable("png", IMAGE, Space.grid(8, 7), "bright.png")
    images.check_writable("nii.gz", IMAGE, Space.grid(8, 7, 6), "bright.nii.gz")
    with pytest.raises(Refusal, match="a number is not an image"):
        images.check_writable("png", NUMBER, None, "bright.png")


@pytest.mark.parametrize(
    ("path", "why", "help"),
    [
        ("scans.nii.gz", "it is a directory", "choose another name; nothing has been computed"),
        ("notes.txt/mask.nii.gz", "notes.txt is a file, not a directory",
         "choose another directory; nothing has been computed"),
        ("notes.txt/a/mask.nii.gz", "notes.txt is a file, not a directory",
         "choose another directory; nothing has been computed"),
        ("dangling/mask.nii.gz", "dangling is a link to nothing",
         "choose another directory; nothing has been computed"),
    ],
)  # fmt: skip
def test_places_where_nothing_can_be_written(here: Path, path: str, why: str, help: str) -> None:
    Path("dangling").symlink_to("nowhere")
    before = set(here.rglob("*"))
    with pytest.raises(Refusal) as caught:
        images.check_output(path)
    assert (caught.value.message, caught.value.help) == (f"{path} cannot be written: {why}", help)
    assert set(here.rglob("*")) == before


def test_looking_at_a_place_makes_nothing(here: Path) -> None:
    before = set(here.rglob("*"))
    images.check_output("new/directories/mask.nii.gz")
    images.check_output("brain.nii.gz")
    assert set(here.rglob("*")) == before


def test_a_directory_without_permission(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("locked").mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != Path("locked"))
    with pytest.raises(Refusal, match="no file may be made in the directory locked"):
        images.check_output("locked/new/mask.nii.gz")
    images.check_output("mask.nii.gz")


@pytest.fixture(params=["nameless", "named"])
def temporary(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How a file is written before it has its name: where the system allows, without any."""
    if request.param == "named":
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    return str(request.param)


def test_writing_makes_directories_and_nothing_else(here: Path, temporary: str) -> None:
    images.write("out/deep/mask.nii.gz", b"voxels")
    assert [p.name for p in Path("out/deep").iterdir()] == ["mask.nii.gz"]
    assert Path("out/deep/mask.nii.gz").read_bytes() == b"voxels"
    images.write("out/deep/mask.nii.gz", memoryview(b"others"))
    assert Path("out/deep/mask.nii.gz").read_bytes() == b"others"


def test_a_file_that_holds_the_same_gets_a_new_time_only(here: Path) -> None:
    target = Path("mask.nii.gz")
    images.write(target, b"voxels")
    os.utime(target, (1e9, 1e9))
    before = target.stat()
    images.write(target, memoryview(b"voxels"))
    after = target.stat()
    assert (after.st_ino, after.st_size) == (before.st_ino, before.st_size)
    assert after.st_mtime > before.st_mtime


def test_a_process_that_dies_while_it_writes_leaves_nothing(here: Path) -> None:
    before = set(here.rglob("*"))
    script = (
        "import os; from voxlogica import images; os.link = lambda *_, **__: os._exit(9); images.write('a.nii', b'')"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 9
    assert set(here.rglob("*")) == before


def test_permissions_are_those_of_a_new_file(here: Path, temporary: str) -> None:
    before = os.umask(0o027)
    try:
        images.write("mask.nii.gz", b"voxels")
    finally:
        os.umask(before)
    assert Path("mask.nii.gz").stat().st_mode & 0o777 == 0o640


def test_a_link_is_followed(here: Path) -> None:
    Path("real").mkdir()
    Path("link.nii").symlink_to("real/file.nii")
    images.write("link.nii", b"voxels")
    assert Path("link.nii").is_symlink()
    assert Path("real/file.nii").read_bytes() == b"voxels"


@pytest.mark.parametrize("failing", ["replace", "open"])
def test_a_failure_leaves_what_was_there(
    here: Path, monkeypatch: pytest.MonkeyPatch, temporary: str, failing: str
) -> None:
    Path("out").mkdir()
    Path("out/mask.nii.gz").write_bytes(b"old")

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    if (temporary, failing) == ("nameless", "open"):
        monkeypatch.setattr(os, "open", fail)
    monkeypatch.setattr(Path, failing, fail)
    with pytest.raises(Refusal, match=r"^out/mask.nii.gz cannot be written: no space left on device$"):
        images.write("out/mask.nii.gz", b"new")
    monkeypatch.undo()
    assert [p.name for p in (here / "out").iterdir()] == ["mask.nii.gz"]
    assert (here / "out/mask.nii.gz").read_bytes() == b"old"


def test_an_interruption_leaves_nothing(here: Path, monkeypatch: pytest.MonkeyPatch, temporary: str) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(*((os, "link") if temporary == "nameless" else (Path, "replace")), interrupt)
    before = set(here.rglob("*"))
    with pytest.raises(KeyboardInterrupt):
        images.write("mask.nii.gz", b"new")
    assert set(here.rglob("*")) == before


# Encoding


@pytest.mark.parametrize("format", ["nii", "nii.gz", "nrrd", "mha", "png", "bmp", "jpg"])
def test_the_same_value_is_the_same_file(format: str) -> None:
    value = FLAT if format in ("png", "bmp", "jpg") else RAMP
    assert images.encode(format, value, "told") == images.encode(format, value, "told")


def test_gzip_tells_neither_time_nor_name() -> None:
    head = images.encode("nii.gz", RAMP)[:10]
    assert head[:4] == b"\x1f\x8b\x08\x00"  # no flags: no name
    assert head[4:8] == b"\0\0\0\0"


def test_masks_are_small() -> None:
    space = Space.grid(240, 240, 155)
    array = np.zeros(space.shape, bool)
    array[40:90, 60:150, 70:160] = True
    words = np.packbits(np.pad(array, ((0, 0), (0, 0), (0, 16))), axis=2, bitorder="little").view(np.uint64)
    assert len(images.encode("nii.gz", Mask.of(space, words))) < 100_000


def test_what_has_no_voxels_is_no_file() -> None:
    with pytest.raises(TypeError, match="float has no voxels"):
        images.encode("nii", 1.0)


def test_the_memory_there_is_is_asked_before_it_is_used(here: Path) -> None:
    huge = bytearray(images.encode("nii", RAMP))
    huge[42:48] = b"\xff\x7f" * 3  # 32767 voxels along each axis
    Path("huge.nii.gz").write_bytes(gzip.compress(bytes(huge)))
    message = refusal("huge.nii.gz")[0]
    assert message.startswith("huge.nii.gz needs 1.31e+05 GiB of memory, and this machine has ")


def test_png_bombs_are_refused(here: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4)

    header = (1_000_000).to_bytes(4) * 2 + bytes([8, 0, 0, 0, 0])
    png = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(10**6)))
        + chunk(b"IEND", b"")
    )
    Path("bomb.png").write_bytes(png)
    assert refusal("bomb.png")[0].startswith("bomb.png needs ")


def test_volumes_of_the_fixtures_are_where_the_corpus_says(here: Path) -> None:
    brain, shifted = images.bind("brain.nii.gz"), images.bind("shifted.nii.gz")
    assert (brain.space.size, brain.space.origin) == ((8, 7, 6), (0, 0, 0))
    assert shifted.space.origin == (0.5, 0, 0)
    array = images.read(brain.file, brain.space).array()
    assert (array.min(), array.max()) == (0, 567)


# What was decompressed to bind a file is there for who reads it


def test_of_many_files_what_is_kept_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A data set binds all its files before it reads any. Here there is room for two."""
    for name, value in (("_all", deque()), ("_bytes", 0), ("TOGETHER", 2 * (352 + 60 * 4))):
        monkeypatch.setattr(images.files, name, value)
    path = tmp_path / "kept.nii.gz"
    path.write_bytes(images.encode("nii.gz", RAMP))
    leaves = [images.bind(path) for _ in range(7)]
    assert [bool(leaf.file.kept) for leaf in leaves] == [False] * 5 + [True, True]
    for leaf in leaves:
        assert (images.read(leaf.file, leaf.space).array()[..., 0] == RAMP.array()).all()
    leaves = [images.bind(path), images.bind(path)]  # what was taken, and what nobody has any more, makes room
    assert [bool(leaf.file.kept) for leaf in leaves] == [True, True]


@pytest.mark.parametrize("limit", [1 << 25, 400, 1])
def test_what_is_kept_of_a_bound_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr(images.files, "KEPT", limit)
    path = tmp_path / "kept.nii.gz"
    path.write_bytes(images.encode("nii.gz", RAMP))
    leaf = images.bind(path)
    assert isinstance(leaf.file, images.files.File)
    assert bool(leaf.file.kept) == (limit > 352 + 60 * 4)
    for _ in range(2):
        assert (images.read(leaf.file, leaf.space).array()[..., 0] == RAMP.array()).all()
        assert not leaf.file.kept
    leaf = images.bind(path)
    path.write_bytes(images.encode("nii.gz", RAMP, "other bytes"))
    with pytest.raises(Refusal, match="changed while it was being used"):
        images.read(leaf.file, leaf.space)
