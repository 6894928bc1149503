"""Files to leaves and values, and back: NIfTI, PNG, JPEG, BMP, NRRD, MetaImage; DICOM series are read; and images that
are in memory.

`bind` verifies a file and says what it is; `read` gives its voxels; `encode` makes the bytes of a file from a value,
and `write` puts them in their place. Everything refused is a `Refusal` in words. NumPy, Pillow and the decompressor are
imported when they are needed, so that binding NIfTI files needs no NumPy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from voxlogica import identity
from voxlogica._dataclass import NamedTuple
from voxlogica.errors import Refusal
from voxlogica.formula import Leaf
from voxlogica.images import dicom, files, nifti, pictures, volumes
from voxlogica.images.files import File, Inflated, Plain, Replayed
from voxlogica.images.grids import Difference, difference, table
from voxlogica.images.memo import Memo, header, settled
from voxlogica.images.memo import space as space_noted
from voxlogica.images.memory import Held, affine, hold, name_of, taken, to_nibabel, to_sitk
from voxlogica.images.outputs import (
    FLAT,
    WITHOUT_TEXT,
    check_output,
    check_writable,
    format_of,
    known_format,
    listed,
    write,
)
from voxlogica.images.pictures import clamped
from voxlogica.values import Image, Mask, Model, Narrow, Space, Value

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from voxlogica.images.files import Voxels

__all__ = [
    "FLAT",
    "WITHOUT_TEXT",
    "Difference",
    "Memo",
    "affine",
    "bind",
    "check_output",
    "check_writable",
    "clamped",
    "difference",
    "encode",
    "format_of",
    "hold",
    "name_of",
    "read",
    "recall",
    "table",
    "taken",
    "to_nibabel",
    "to_sitk",
    "write",
]


class Reader(NamedTuple):
    """What can be done with files of a format. `voxels` are [voxel, component], x fastest, or as they came."""

    name: str
    version: int  # raised when the same bytes give other voxels
    inspect: Callable[[Plain], Space]
    voxels: Callable[[Plain], Voxels]


_NIFTI = Reader("nifti", 1, nifti.inspect, nifti.voxels)
_PICTURE = Reader("picture", 1, pictures.inspect, pictures.voxels)
_READERS = {
    "nii": _NIFTI,
    "nii.gz": _NIFTI,
    "png": _PICTURE,
    "jpg": _PICTURE,
    "bmp": _PICTURE,
    "nrrd": Reader("nrrd", 1, volumes.inspect_nrrd, volumes.voxels_nrrd),
    "mha": Reader("metaimage", 1, volumes.inspect_meta, volumes.voxels_meta),
}

# What is often tried, and what to do instead.
_ADVICE = {
    ".hdr": "save header and voxels as one .nii.gz file",
    ".img": "save header and voxels as one .nii.gz file",
    ".mhd": "save header and voxels as one .mha file",
    ".raw": "save header and voxels as one .mha file",
    ".nhdr": "save header and voxels as one .nrrd file",
    ".dcm": "load the directory of its series, or convert that to one .nii.gz file, for instance with dcm2niix",
}


def bind(path: str | Path, memo: Memo | None = None) -> Leaf:
    """What a file is, or the DICOM series in a directory: verified completely, digested, its space known; its voxels
    are not kept.

    What `memo` knows and has not changed since is not read again.
    """
    return recall(path, memo) or _verify(path, memo)


def recall(path: str | Path, memo: Memo | None) -> Leaf | None:
    """The same of what `memo` knows and has not changed since; None if it must be read through."""
    if memo is None:
        return None
    file, reader, version = _found(str(path))
    noted = memo.recall(file.path, file.status) if settled(file.status) else None
    space = space_noted(noted[1], reader, version) if noted else None
    return Leaf(file, noted[0], reader, version, space) if noted and space else None


def _verify(path: str | Path, memo: Memo | None) -> Leaf:
    """The same of what is read through now, which `memo` then knows."""
    file, reader, version = _found(str(path))
    with _told(file.name):
        digest, space = _verified_series(file) if file.format == dicom.FORMAT else _verified(file)
    if memo:
        memo.remember(file.path, file.status, digest, header(reader, version, space), settled(file.status))
    return Leaf(file, digest, reader, version, space)


def _found(name: str) -> tuple[File, str, int]:
    """A file or the directory of a series as it is now, who reads it, and that one's version."""
    format, path = known_format(name), str(Path(name).absolute())
    with _told(name):
        if name and format is None and Path(name).is_dir():
            return File(name, path, dicom.FORMAT, dicom.status(name)), dicom.reader(), dicom.VERSION
        files.check_readable(name)
        if format is None:
            raise _unknown(name)
        reader = _READERS[format]
        return File(name, path, format, files.status_of(name)), reader.name + pictures.decoder(format), reader.version


@contextmanager
def _told(name: str) -> Iterator[None]:
    """What the system refuses, in our words."""
    try:
        yield
    except files.Circumstance:
        raise
    except OSError as error:
        raise files.unreadable(name, error) from error


def _verified(file: File) -> tuple[bytes, Space]:
    with Path(file.path).open("rb") as handle:
        if not files.status(handle)[2]:
            raise Refusal(f"{file.name} is empty", help=files.AGAIN)
        digest = identity.file_digest(files.blocks(handle))
        handle.seek(0)
        stream = _stream(handle, file.name, file.format)
        if isinstance(stream, Inflated):
            stream.keep()
        space = _READERS[file.format].inspect(stream)
        if files.status(handle) != file.status:
            raise files.changed(file.name)
    if isinstance(stream, Inflated):
        file.kept.put(stream.kept)
    return digest, space


def _verified_series(file: File) -> tuple[bytes, Space]:
    found = dicom.inspect(file.name)
    if dicom.status(file.name) != file.status:
        raise files.changed(file.name)
    return found


def read(file: object, space: Space) -> Model:
    """The voxels of a bound file, over the space it was given, which has the size it was bound with."""
    if isinstance(file, Held):
        return Model(space, file.model.held, file.model.components)
    assert isinstance(file, File)
    if file.format == dicom.FORMAT:
        return Model.of(space, _series(file).reshape(*space.shape, -1))
    try:
        with Path(file.path).open("rb") as handle:
            if files.status(handle) != file.status:
                raise files.changed(file.name)
            kept = file.kept.take()
            stream = Replayed(handle, file.name, kept) if kept else _stream(handle, file.name, file.format)
            found = _READERS[file.format].voxels(stream)
            if files.status(handle) != file.status:
                raise files.changed(file.name)
    except (Refusal, FileNotFoundError):  # it was not damaged when it was bound
        raise files.changed(file.name) from None
    except OSError as error:
        raise files.unreadable(file.name, error) from error
    if isinstance(found, memoryview):
        return Model(space, found.toreadonly())
    return Model(space, found) if isinstance(found, Narrow) else Model.of(space, found.reshape(*space.shape, -1))


def _series(file: File) -> NDArray[np.float32]:
    """The numbers of a bound series."""
    try:
        if dicom.status(file.path) != file.status:
            raise files.changed(file.name)
        array = dicom.voxels(file.path)
        if dicom.status(file.path) != file.status:
            raise files.changed(file.name)
    except (Refusal, FileNotFoundError):  # it was not damaged when it was bound
        raise files.changed(file.name) from None
    except OSError as error:
        raise files.unreadable(file.name, error) from error
    return array


def encode(format: str, value: Value, provenance: str = "") -> bytes:
    """The bytes of a file that holds a value; the same for the same value.

    Formats that hold text carry `provenance`. Refuses what the format cannot hold.
    """
    if not isinstance(value, (Mask, Image, Model)):
        raise TypeError(f"{type(value).__name__} has no voxels")
    if format in FLAT:
        return pictures.encode(format, value, provenance)
    if format == "nrrd":
        return volumes.encode_nrrd(value, provenance)
    if format == "mha":
        return volumes.encode_meta(value, provenance)
    parts = nifti.encode(value, provenance)
    return files.deflated(parts) if format == "nii.gz" else b"".join(parts)


def _stream(handle: BinaryIO, name: str, format: str) -> Plain:
    return Inflated(handle, name) if format.endswith(".gz") else Plain(handle, name)


def _unknown(name: str) -> Refusal:
    suffix = Path(name).suffix.lower()
    why = f"{suffix} is no known extension" if suffix else "it has no extension"
    help = _ADVICE.get(suffix, f"images are read from {listed('and')}")
    return Refusal(f"{name} is not an image that can be read: {why}", help=help)
