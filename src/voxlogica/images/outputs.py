"""Where results go: names and their formats, whether a file may be written there, and writing it in one step."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from voxlogica.errors import Refusal, reason_of
from voxlogica.formula import Type
from voxlogica.values import Space

EXTENSIONS = (".nii", ".nii.gz", ".png", ".jpg", ".jpeg", ".bmp", ".nrrd", ".mha")
FLAT = ("png", "jpg", "bmp")  # formats of pictures: 2-D, 8 bits
WITHOUT_TEXT = ("jpg", "bmp")
"""The formats in which a file cannot say where it comes from."""


def listed(word: str) -> str:
    """The extensions as people list them: `.nii, .nii.gz or .mha`."""
    return f"{', '.join(EXTENSIONS[:-1])} {word} {EXTENSIONS[-1]} files"


def known_format(path: str | Path) -> str | None:
    """The format that a name's extension stands for: the extension without its first dot, `jpg` for `.jpeg`."""
    name = Path(path).name.lower()
    for extension in EXTENSIONS:
        if name.endswith(extension) and name != extension:
            return "jpg" if extension == ".jpeg" else extension[1:]
    return None


def format_of(path: str | Path) -> str:
    """The format in which a file of this name is written: `nii.gz`, `png`, …; refuses names without one."""
    if not str(path):
        raise Refusal("the name of the file is empty", help="write it between the quotes")
    format = known_format(path)
    if format is None:
        suffix = Path(path).suffix
        why = f"{suffix} is no known extension" if suffix else "it has no extension"
        raise Refusal(f"{path} cannot be written: {why}", help=f"images are written as {listed('or')}")
    return format


def check_writable(format: str, type: Type, space: Space | None, path: str) -> None:
    """Refuses values that a format cannot hold, as far as that is known before they are computed."""
    if not type.spatial:
        raise Refusal(f"{path} cannot be written: a {type} is not an image", help="`print` it")
    if format in FLAT and space is not None and space.dimensions == 3:
        size = " x ".join(map(str, space.size))
        raise Refusal(
            f"{path} cannot be written: .{format} files are 2-D, and this is {size} voxels",
            help=f"save it as   {Path(path).with_suffix('.nii.gz')}",
        )


def check_output(path: str | Path) -> None:
    """Refuses places where no file can be written, as far as that can be known without writing one."""
    try:
        _check_output(path)
    except (OSError, RuntimeError) as error:  # RuntimeError: a link that leads to itself
        why = reason_of(error) if isinstance(error, OSError) else "its name is a link that leads to itself"
        raise _refused(path, why, "choose another name; nothing has been computed") from error


def _check_output(path: str | Path) -> None:
    if Path(path).is_dir():
        raise _refused(path, "it is a directory", "choose another name; nothing has been computed")
    os.path.lexists(path)  # asks the system whether there can be such a name
    with suppress(FileNotFoundError, NotADirectoryError):
        Path(path).stat()
    help = "choose another directory; nothing has been computed"
    for parent in Path(path).parents:
        if parent.is_dir():
            if not os.access(parent, os.W_OK | os.X_OK):
                raise _refused(path, f"no file may be made in the directory {parent}", help)
            return
        if os.path.lexists(parent):
            kind = "a link to nothing" if parent.is_symlink() else "a file, not a directory"
            raise _refused(path, f"{parent} is {kind}", help)


def write(path: str | Path, data: bytes | memoryview) -> None:
    """Makes or replaces a file in one step, its directories too; nobody ever sees a part of it.

    A link is followed. Permissions are those of a new file. If anything fails, what was there before is still there. A
    file that holds these bytes already gets a new time only.
    """
    target = Path(os.path.realpath(path))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if _holds(target, data):
            os.utime(target)
        elif not _linked(target, data):
            _renamed(target, lambda temporary: temporary.write_bytes(data))
    except OSError as error:
        raise _refused(path, reason_of(error), "") from error


def _holds(target: Path, data: bytes | memoryview) -> bool:
    try:
        return target.stat().st_size == len(data) and target.read_bytes() == data
    except OSError:  # there is none, or it is not to be read: it is replaced
        return False


def _linked(target: Path, data: bytes | memoryview) -> bool:
    """Writes a file that has no name until it is whole, so that a killed process leaves nothing; False where it cannot.

    A name that is taken cannot be given at once: there the file has a hidden one for a moment.
    """
    if not hasattr(os, "O_TMPFILE"):
        return False
    try:
        descriptor = os.open(target.parent, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL):
            return False
        raise
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()

        def named(name: Path) -> None:
            # A descriptor of a directory, though it is not looked at: without one Python does not follow the link.
            os.link(f"/proc/self/fd/{descriptor}", name, src_dir_fd=descriptor, follow_symlinks=True)

        try:
            named(target)
        except FileExistsError:
            _renamed(target, named)
        except FileNotFoundError:  # there is no /proc
            return False
    return True


def _renamed(target: Path, make: Callable[[Path], object]) -> None:
    """Makes a file under a hidden name beside the target, and gives it the target's."""
    temporary = target.parent / f".voxlogica-{os.urandom(8).hex()}"
    try:
        make(temporary)
        temporary.replace(target)
    finally:
        with suppress(OSError):  # it is there only if something failed
            temporary.unlink()


def _refused(path: str | Path, why: str, help: str) -> Refusal:
    return Refusal(f"{path} cannot be written: {why}", help=help)
