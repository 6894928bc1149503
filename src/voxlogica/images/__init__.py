"""Files to leaves and values, and back: NIfTI, PNG, JPEG, BMP, NRRD, MetaImage.

`bind` verifies a file and says what it is; `read` gives its voxels; `encode` makes the bytes of a file from a value,
and `write` puts them in their place. Everything refused is a `Refusal` in words. NumPy, Pillow and the decompressor are
imported when they are needed, so that binding NIfTI files needs no NumPy.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from voxlogica import identity
from voxlogica.errors import Refusal
from voxlogica.formula import Leaf
from voxlogica.images import files, nifti, pictures, volumes
from voxlogica.images.files import File, Inflated, Plain, Replayed
from voxlogica.images.grids import Difference, difference, table
from voxlogica.images.memo import Memo, header, settled
from voxlogica.images.memo import space as space_noted
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
from voxlogica.values import Image, Mask, Model, Space, Value

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "WITHOUT_TEXT",
    "Difference",
    "Memo",
    "bind",
    "check_output",
    "check_writable",
    "clamped",
    "difference",
    "encode",
    "format_of",
    "read",
    "remembered",
    "table",
    "write",
]


class Reader(NamedTuple):
    """What can be done with files of a format. `voxels` are [voxel, component], x fastest."""

    name: str
    version: int  # raised when the same bytes give other voxels
    inspect: Callable[[Plain], Space]
    voxels: Callable[[Plain], NDArray[np.float32]]


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
    ".dcm": "convert the series to one .nii.gz file, for instance with dcm2niix",
}


def bind(path: str | Path, memo: Memo | None = None) -> Leaf:
    """What a file is: verified completely, digested, its space known; its voxels are not kept.

    A file that `memo` knows and that has not changed since is not read again.
    """
    name = str(path)
    files.check_readable(name)
    format = known_format(name)
    if format is None:
        raise _unknown(name)
    reader = _READERS[format]
    reader_name, absolute = reader.name + pictures.decoder(format), str(Path(name).absolute())
    try:
        with Path(name).open("rb") as handle:
            status = files.status(handle)
            old_enough = settled(status)
            noted = memo.recall(absolute, status) if memo and old_enough else None
            known = space_noted(noted[1], reader_name, reader.version) if noted else None
            if noted and known:
                return Leaf(File(name, absolute, format, status), noted[0], reader_name, reader.version, known)
            if status[2] == 0:
                raise Refusal(f"{name} is empty", help=files.AGAIN)
            digest = identity.file_digest(files.blocks(handle))
            handle.seek(0)
            stream = _stream(handle, name, format)
            if isinstance(stream, Inflated):
                stream.keep()
            space = reader.inspect(stream)
            kept = stream.kept if isinstance(stream, Inflated) else []
            if files.status(handle) != status:
                raise files.changed(name)
    except files.Circumstance:
        raise
    except OSError as error:
        raise files.unreadable(name, error) from error
    if memo:
        memo.remember(absolute, status, digest, header(reader_name, reader.version, space), old_enough)
    return Leaf(File(name, absolute, format, status, kept), digest, reader_name, reader.version, space)


def remembered(path: str | Path, memo: Memo | None) -> bool:
    """Whether `bind` need not read a file through, as far as can be told beforehand."""
    if memo is None:
        return False
    try:
        with Path(path).open("rb") as handle:
            status = files.status(handle)
    except (OSError, ValueError):
        return True  # there is nothing to read
    return settled(status) and memo.recall(str(Path(path).absolute()), status) is not None


def read(file: object, space: Space) -> Model:
    """The voxels of a bound file, over the space it was given, which has the size it was bound with."""
    assert isinstance(file, File)
    try:
        with Path(file.path).open("rb") as handle:
            if files.status(handle) != file.status:
                raise files.changed(file.name)
            kept, file.kept[:] = file.kept[:], ()
            stream = Replayed(handle, file.name, kept) if kept else _stream(handle, file.name, file.format)
            array = _READERS[file.format].voxels(stream)
            if files.status(handle) != file.status:
                raise files.changed(file.name)
    except (Refusal, FileNotFoundError):  # it was not damaged when it was bound
        raise files.changed(file.name) from None
    except OSError as error:
        raise files.unreadable(file.name, error) from error
    return Model.of(space, array.reshape(*space.shape, -1))


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
