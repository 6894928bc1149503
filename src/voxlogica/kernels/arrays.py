"""Arrays as kernels take them: NumPy's, or memory views of as many axes, for which NumPy need not be imported.

What a kernel makes is of the sort of its first array. NumPy makes an array of a view with `numpy.asarray`, on the same
memory, which begins where its numbers may begin (at a multiple of their size). Kinds of numbers are written as NumPy
writes them, without the order of their bytes, which is the machine's: `u8` is uint64.

>>> words = memoryview(bytes(8)).cast("Q", (1, 1, 1))
>>> floats_like(words, (1, 1, 2)).format
'f'
"""

from __future__ import annotations

import math
import struct
import sys
from functools import cache
from typing import TYPE_CHECKING, TypeAlias, cast

from voxlogica.kernels import _masks
from voxlogica.values import FORMATS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Shape: TypeAlias = tuple[int, int, int]
Array: TypeAlias = "NDArray[np.generic] | memoryview[int] | memoryview[float]"
Words: TypeAlias = "NDArray[np.uint64] | memoryview"
Bytes: TypeAlias = "NDArray[np.uint8] | memoryview"
Floats: TypeAlias = "NDArray[np.float32] | memoryview[float]"
Numbers: TypeAlias = (
    "NDArray[np.float32 | np.uint8 | np.int8 | np.uint16 | np.int16] | memoryview[int] | memoryview[float]"
)
WindowNumbers: TypeAlias = "NDArray[np.uint32] | memoryview"

NAMES = {
    "u8": "uint64", "u4": "uint32", "f4": "float32", "u1": "uint8", "i1": "int8", "u2": "uint16", "i2": "int16",
}  # fmt: skip
NUMBERS = ("f4", "u1", "i1", "u2", "i2")
"""The numbers that kernels read where they lie: float32, and what is float32 without loss."""

_KINDS = {format: kind for kind, format in FORMATS.items()}


def checked(array: object, kinds: tuple[str, ...], name: str, axes: str = "z, y, x") -> Array:
    """The array itself if it has these axes and one of these kinds of numbers, and lies in one piece; else a copy.

    A TypeError for what is no array or has other numbers, a ValueError for other axes or an empty one.
    """
    if isinstance(array, memoryview):
        kind, is_whole = kind_of(array), array.c_contiguous
        known = NAMES.get(kind, kind)
    else:
        import numpy as np  # which whoever has an array of it has imported

        if not isinstance(array, np.ndarray):
            raise TypeError(f"{name}: expected a NumPy array or a memory view, not {type(array).__name__}")
        kind, known, flags = kind_of(array), array.dtype, array.flags
        is_whole = flags.c_contiguous and flags.aligned
    if kind not in kinds:
        wanted = NAMES[kinds[0]] if len(kinds) == 1 else "float32 or of integers of 8 or 16 bits"
        raise TypeError(f"{name}: expected an array of {wanted}, not of {known}")
    if array.ndim != axes.count(",") + 1:
        raise ValueError(f"{name}: expected the axes ({axes}), not shape {array.shape}")
    if 0 in shape_of(array):
        raise ValueError(f"{name}: expected at least one voxel along each axis, not shape {array.shape}")
    return array if is_whole else _copy(array)


def checked_words(words: object, name: str = "words") -> Words:
    """The words of a mask, of whatever shape."""
    return cast("Words", checked(words, ("u8",), name, "z, y, word"))


def checked_numbers(field: object, name: str) -> Numbers:
    """A field of numbers that are read as they lie in memory."""
    return cast("Numbers", checked(field, NUMBERS, name))


def kind_of(array: Array) -> str:
    """The kind of the numbers of an array."""
    if isinstance(array, memoryview):
        return _KINDS.get(array.format, array.format)
    return _kind_of(array.dtype)


@cache
def _kind_of(dtype: np.dtype[np.generic]) -> str:
    return f"{dtype.kind}{dtype.itemsize}" if dtype.isnative and dtype.kind in "uif" else dtype.str


def words_like(array: Array, shape: tuple[int, ...]) -> Words:
    """New words of the same sort, with anything in them, which the caller overwrites."""
    return cast("Words", _like(array, shape, "u8"))


def floats_like(array: Array, shape: tuple[int, ...]) -> Floats:
    """The same of float32."""
    return cast("Floats", _like(array, shape, "f4"))


def bytes_like(array: Array, shape: tuple[int, ...]) -> Bytes:
    """The same of bytes."""
    return cast("Bytes", _like(array, shape, "u1"))


def windows_like(array: Array, shape: tuple[int, ...]) -> WindowNumbers:
    """The same of uint32."""
    return cast("WindowNumbers", _like(array, shape, "u4"))


def view(data: memoryview, shape: tuple[int, ...], kind: str) -> memoryview:
    """Bytes as an array.

    >>> view(memoryview(bytes(16)), (1, 2, 1), "u8").tolist()
    [[[0], [0]]]
    """
    found: memoryview = data.cast(FORMATS[kind], shape)  # type: ignore[call-overload]
    return found


def raw(array: Array) -> memoryview:
    """The bytes of an array in one piece."""
    return memoryview(cast("memoryview", array)).cast("B")


def shape_of(array: Array) -> tuple[int, ...]:
    """The shape of an array."""
    return cast("tuple[int, ...]", array.shape)


def filled(array: Array, shape: tuple[int, ...], k: float) -> Floats:
    """A new array of the same sort, with one number everywhere."""
    out = floats_like(array, shape)
    raw(out)[:] = struct.pack("f", float32(k)) * math.prod(shape)
    return out


def float32(k: float) -> float:
    """A number rounded to float32, to infinity if it is too large.

    >>> float32(0.1), float32(1e39)
    (0.10000000149011612, inf)
    """
    try:
        (rounded,) = struct.unpack("f", struct.pack("f", k))
    except OverflowError:
        return math.copysign(math.inf, k)
    return cast("float", rounded)


def words_of(row: int, nx: int) -> bytes:
    """The words of a row of nx voxels, of which bit x of a number says whether voxel x is true."""
    little = row.to_bytes(-(-nx // 64) * 8, "little")
    if sys.byteorder == "little":
        return little
    return b"".join([little[at : at + 8][::-1] for at in range(0, len(little), 8)])


def _like(array: Array, shape: tuple[int, ...], kind: str) -> Array:
    if isinstance(array, memoryview):
        return view(memoryview(_masks.unwritten(math.prod(shape) * int(kind[1]))), shape, kind)
    import numpy as np

    return np.empty(shape, kind)


def _copy(array: Array) -> Array:
    """The same numbers in one piece."""
    if isinstance(array, memoryview):
        return view(memoryview(array.tobytes()), shape_of(array), kind_of(array))
    import numpy as np

    return np.require(array, requirements=("C_CONTIGUOUS", "ALIGNED"))
