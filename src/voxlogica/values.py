"""The values of the logic on plain buffers: spaces, masks, images, labels, models.

No algorithms, and no NumPy until somebody asks for an array. Voxels are stored with x fastest. People index arrays
`[i, j, k]` (`numpy()`, `__array__`); kernels take `[z, y, x]`, always three axes: memory views (`words()`, `voxels()`),
or NumPy's arrays (`array()`). World coordinates are LPS millimetres, as in ITK and DICOM: x grows to the patient's
left, y to the back, z to the head.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from math import isfinite, prod
from threading import Lock
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, Self, TypeAlias, cast

from voxlogica import identity
from voxlogica._dataclass import dataclass, field
from voxlogica.identity import Id, Plain

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import DTypeLike, NDArray


@dataclass(frozen=True)
class Space:
    """A closure space: a grid of voxels in the world, each adjacent to its 8 (2D) or 26 (3D) neighbours.

    `size` is (x, y) or (x, y, z), in voxels; `spacing` in mm; `origin` the world position of voxel 0, in mm;
    `direction` the matrix of direction cosines, row by row. `native` is the geometry as the file wrote it (its kind
    first), kept so that what is saved says the very same: it has part in the identity, not in comparisons of grids.
    """

    size: tuple[int, ...]
    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    direction: tuple[float, ...]
    native: tuple[Plain, ...] = ()
    hole: int | None = field(default=None, compare=False, repr=False)
    """The number of the hole in a formula, if it stands for the space of what takes its place."""

    def __post_init__(self) -> None:
        n = len(self.size)
        if n not in (2, 3) or len(self.spacing) != n or len(self.origin) != n or len(self.direction) != n * n:
            raise ValueError(f"a space has 2 or 3 axes and one spacing and origin for each, not {self}")
        if min(self.size) < 1 or not min(self.spacing) > 0:
            raise ValueError(f"sizes and spacings are positive, not {self.size} and {self.spacing}")

    @classmethod
    def grid(cls, *size: int, spacing: tuple[float, ...] = ()) -> Space:
        """A space in no particular place: spacing 1 unless given, origin 0, axes along the world's."""
        n = len(size)
        direction = tuple(float(i == j) for i in range(n) for j in range(n))
        return cls(size, spacing or (1.0,) * n, (0.0,) * n, direction)

    @cached_property
    def id(self) -> Id:
        """The content id."""
        return identity.space(self.fields)

    @property
    def fields(self) -> tuple[tuple[Plain, ...], ...]:
        """All that tells it from others: `Space(*space.fields)` is the same space."""
        return (self.size, self.spacing, self.origin, self.direction, self.native)

    @property
    def dimensions(self) -> int:
        """2 or 3."""
        return len(self.size)

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of a kernel's array: (z, y, x), z = 1 in 2D."""
        x, y, *z = self.size
        return (z[0] if z else 1, y, x)

    @property
    def spacing3(self) -> tuple[float, float, float]:
        """The spacing as (x, y, z), 1 for a z that is not there."""
        x, y, *z = self.spacing
        return (x, y, z[0] if z else 1.0)

    @property
    def voxels(self) -> int:
        """How many voxels there are."""
        return prod(self.size)


Numbers: TypeAlias = "memoryview[int] | memoryview[float]"


class Form(Protocol):
    """What an image is held as until somebody asks for its float32."""

    @property
    def count(self) -> int:
        """How many numbers there are."""
        ...

    def voxels(self, shape: tuple[int, ...]) -> Numbers:
        """The numbers as they lie in memory now: float32, or integers of one or two bytes."""
        ...

    def wide(self) -> memoryview:
        """The numbers in float32; the same memory at each call."""
        ...

    def part(self, begin: int, end: int) -> memoryview | Form:
        """The numbers from one to another."""
        ...


class Narrow:
    """Integers of one or two bytes, as a file has them; float32, which represents all of them, once that is asked for.

    What is not asked for in float32 never takes that memory; what is, no longer takes that of the integers.
    """

    __slots__ = ("_count", "_now", "_widening")

    def __init__(self, data: memoryview, dtype: str) -> None:
        if dtype not in NARROW:
            raise ValueError(f"integers of one or two bytes are {', '.join(NARROW)}, not {dtype}")
        self._now = data.toreadonly(), dtype
        self._count = data.nbytes // int(dtype[-1])
        self._widening = Lock()

    @property
    def count(self) -> int:
        return self._count

    def voxels(self, shape: tuple[int, ...]) -> Numbers:
        data, dtype = self._now
        found: Numbers = data.cast(FORMATS[dtype], shape)  # type: ignore[call-overload]
        return found

    def wide(self) -> memoryview:
        import numpy as np

        with self._widening:
            data, dtype = self._now
            if dtype != "f4":
                data = _buffer(np.frombuffer(data, dtype).astype(np.float32), (self.count,), "f4")
                self._now = data, "f4"  # both at once: another thread may be looking
            return data

    def part(self, begin: int, end: int) -> memoryview | Narrow:
        data, dtype = self._now
        size = int(dtype[-1])
        part = data[begin * size : end * size]
        return part if dtype == "f4" else Narrow(part, dtype)


NARROW = ("u1", "i1", "u2", "i2")
"""The integers that `Narrow` has, in the byte order of the machine."""

FORMATS = {"u8": "Q", "u4": "I", "f4": "f", "u1": "B", "i1": "b", "u2": "H", "i2": "h"}
"""How memory views write the kinds of numbers."""


@dataclass(frozen=True, eq=False)
class _Volume:
    """A buffer over a space; what all values with voxels have in common."""

    space: Space
    held: memoryview | Form
    """What there is in memory."""

    @property
    def data(self) -> memoryview:
        """The bytes of the value: words of a mask, float32 of all others."""
        return self.held if isinstance(self.held, memoryview) else self.held.wide()

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        import numpy as np

        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def numpy(self) -> NDArray[Any]:
        """A read-only array indexed [i, j] or [i, j, k]."""
        raise NotImplementedError

    @property
    def nbytes(self) -> int:
        """Bytes of memory held, or that may come to be: what is no float32 yet counts as what it may become."""
        return self.held.nbytes if isinstance(self.held, memoryview) else 4 * self.held.count

    def _people(self, array: NDArray[Any]) -> NDArray[Any]:
        """A kernel's [z, y, x, …] as a person's read-only [i, j, k, …]."""
        view = array.reshape(self.space.shape[3 - self.space.dimensions :] + array.shape[3:])
        n = self.space.dimensions
        view = view.transpose(*range(n - 1, -1, -1), *range(n, view.ndim))
        view.flags.writeable = False
        return view


def _buffer(array: NDArray[Any] | Numbers, shape: tuple[int, ...], dtype: str) -> memoryview:
    """The bytes of an array that must have this shape and type, frozen."""
    if isinstance(array, memoryview):
        if array.shape != shape or array.format != FORMATS[dtype] or not array.c_contiguous:
            raise ValueError(f"expected a contiguous view of {dtype} {shape}, not {array.format} {array.shape}")
        return array.cast("B").toreadonly()
    if array.shape != shape or array.dtype.str.lstrip("<|=") != dtype or not array.flags.c_contiguous:
        raise ValueError(f"expected a contiguous array of {dtype} {shape}, not {array.dtype} {array.shape}")
    array.flags.writeable = False
    return memoryview(array.data).cast("B") if array.size else memoryview(b"")


@dataclass(frozen=True, eq=False)
class Mask(_Volume):
    """A valuation(bool): one bit a voxel, rows padded with zeros to words of 64, bit b of word w is x = 64 w + b."""

    @classmethod
    def of(cls, space: Space, words: NDArray[np.uint64] | memoryview) -> Mask:
        """A mask from a kernel's words, which it takes over."""
        z, y, x = space.shape
        return cls(space, _buffer(words, (z, y, -(-x // 64)), "u8"))

    def words(self) -> memoryview:
        """The words of uint64, [z, y, word], read-only."""
        z, y, x = self.space.shape
        return self.data.cast("Q", (z, y, -(-x // 64)))

    def numpy(self) -> NDArray[np.bool_]:
        """A bool array indexed [i, j] or [i, j, k], unpacked anew at each call."""
        import numpy as np

        x = self.space.size[0]
        bits = np.unpackbits(np.asarray(self.words()).view(np.uint8), axis=2, count=x, bitorder="little")
        return self._people(bits.view(np.bool_))


@dataclass(frozen=True, eq=False)
class Image(_Volume):
    """A valuation(number): one float32 a voxel."""

    @classmethod
    def of(cls, space: Space, array: NDArray[np.float32] | memoryview[float]) -> Self:
        """An image from a kernel's array [z, y, x], which it takes over."""
        return cls(space, _buffer(array, space.shape, "f4"))

    def array(self) -> NDArray[np.float32]:
        """The voxels as kernels take them, [z, y, x], read-only."""
        import numpy as np

        return np.frombuffer(self.data, np.float32).reshape(self.space.shape)

    def voxels(self) -> Numbers:
        """The same as they lie in memory: float32, or integers of one or two bytes, for kernels that take these."""
        shape = self.space.shape
        return self.held.cast("f", shape) if isinstance(self.held, memoryview) else self.held.voxels(shape)

    def numpy(self) -> NDArray[np.float32]:
        """A view indexed [i, j] or [i, j, k]."""
        return self._people(self.array())


class Labels(Image):
    """Numbered regions, 0 outside: accepted wherever an image is."""


@dataclass(frozen=True, eq=False)
class Model(_Volume):
    """What a file holds: one, three (RGB) or four (RGBA) float32 components a voxel."""

    components: int = field(default=1)

    @classmethod
    def of(cls, space: Space, array: NDArray[np.float32]) -> Model:
        """A model from an array [z, y, x, component], which it takes over."""
        components = array.shape[-1]
        if components not in (1, 3, 4):
            raise ValueError(f"a model has 1, 3 or 4 components, not {components}")
        return cls(space, _buffer(array, (*space.shape, components), "f4"), components)

    def array(self) -> NDArray[np.float32]:
        """The voxels as kernels take them, [z, y, x, component], read-only."""
        import numpy as np

        return np.frombuffer(self.data, np.float32).reshape(*self.space.shape, self.components)

    def numpy(self) -> NDArray[np.float32]:
        """A view indexed [i, j, k] or, with several components, [i, j, k, component]."""
        array = self.array()
        return self._people(array[..., 0] if self.components == 1 else array)


Scalar = bool | float | str
Value: TypeAlias = "Scalar | Mask | Image | Model | Record | bytes | tuple[Value, ...]"
"""What a formula may stand for; a tuple is a sequence."""


class Record(Mapping[str, "Value"]):
    """Values with names: `r.dice`, `r["dice"]`, `dict(r)`; immutable, in the order of its type's fields."""

    __slots__ = ("_fields",)
    _fields: Mapping[str, Value]

    def __init__(self, fields: Mapping[str, Value]) -> None:
        object.__setattr__(self, "_fields", dict(fields))

    def __getitem__(self, name: str) -> Value:
        return self._fields[name]

    def __getattr__(self, name: str) -> Any:
        if name not in self._fields:
            raise AttributeError(f"there is no field {name!r}; there are {', '.join(self)}")
        return self._fields[name]

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a record does not change")

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __reduce__(self) -> tuple[type[Record], tuple[Mapping[str, Value]]]:
        return Record, (self._fields,)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._fields]

    def __repr__(self) -> str:
        return f"Record({', '.join([f'{name}={value!r}' for name, value in self.items()])})"


Printable: TypeAlias = "Scalar | tuple[Printable, ...] | Record"
"""What a `print` shows; the fields of such a record are printable."""


def shown(value: Printable) -> str:
    """A printable as text (C19): the fewest digits that read back exactly, integral numbers without `.0`."""
    if isinstance(value, tuple):
        return f"[{', '.join([_inside(each) for each in value])}]"
    if isinstance(value, Record):
        return f"{{{', '.join([f'{name}: {_inside(each)}' for name, each in _printables(value).items()])}}}"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    number = float(value)
    return str(int(number)) if number.is_integer() and abs(number) < 1e16 else repr(number)


def counted(number: int, noun: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def columns(label: str, value: Printable) -> dict[str, Printable]:
    """A printable as columns of a table: of a record one for each field, `label.field`; of several, their sequences."""
    inner = value
    while isinstance(inner, tuple) and inner:
        inner = next((each for each in inner if each != ()), ())
    if not isinstance(inner, Record):
        return {label: value}
    return {name: each for field in inner for name, each in columns(f"{label}.{field}", _each(value, field)).items()}


def _each(value: Printable, field: str) -> Printable:
    if isinstance(value, Record):
        return _printables(value)[field]
    assert isinstance(value, tuple)
    return tuple([_each(each, field) for each in value])


def _printables(record: Record) -> Mapping[str, Printable]:
    """The fields of a record that is printed: the checker lets no other be."""
    return cast("Mapping[str, Printable]", record)


def _inside(value: Printable) -> str:
    """A value within another: texts have quotes there."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else shown(value)


def plain(value: Printable) -> bool | float | int | str | list[Any] | dict[str, Any]:
    """A printable for JSON, which knows neither infinity nor nan: those as text; integral numbers as integers."""
    if isinstance(value, tuple):
        return [plain(each) for each in value]
    if isinstance(value, Record):
        return {name: plain(each) for name, each in _printables(value).items()}
    if isinstance(value, (bool, str)):
        return value
    number = float(value)
    if not isfinite(number):
        return str(number)
    return int(number) if number.is_integer() and abs(number) < 1e16 else number
