"""Values with voxels as people have them: they turn into arrays, nibabel's and SimpleITK's images, files, pictures.

What is computed knows nothing of this: `plain` is the value itself.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from types import EllipsisType
from typing import TYPE_CHECKING, Any, TypeAlias

from voxlogica import images, values
from voxlogica._dataclass import dataclass, field
from voxlogica.errors import MachineError, ProgramError, Refusal
from voxlogica.formula import IMAGE, MASK
from voxlogica.values import Space

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Plain: TypeAlias = "values.Mask | values.Image | values.Model"
Under: TypeAlias = "Callable[[Space], tuple[str, Image | Model] | None]"
"""Finds an image to draw masks of a grid on, and its name."""


@dataclass(frozen=True, eq=False)
class Volume:
    """What all values with voxels can do. `name` is that of the definition, if it is one's."""

    space: Space
    held: memoryview | values.Form
    name: str = field(default="", kw_only=True)
    origin: str = field(default="", kw_only=True)
    """What a file says of itself, as JSON; "" when nothing is known."""
    under: Under | None = field(default=None, kw_only=True)

    @property
    def plain(self) -> Plain:
        """The value as operators have it."""
        raise NotImplementedError

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Where it comes from: software, program, expression, id, parameters, and the digest of each input."""
        found: dict[str, Any] = json.loads(self.origin or "{}")
        return found

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of `numpy()`: voxels along each axis, then components, if there are several."""
        return self.space.size

    def __getitem__(self, index: Any) -> Any:
        """What `numpy()` has there, for instance `image[:, :, 80]` or `image[mask.box]`."""
        return self.plain.numpy()[index]

    @property
    def affine(self) -> NDArray[np.float64]:
        """From [i, j, k] to Right, Anterior, Superior, in mm, as nibabel has it; `space` is in LPS, as ITK has it."""
        return images.affine(self.space)

    def nibabel(self) -> Any:
        """A NIfTI image of nibabel, with the geometry of the file that was read."""
        return images.to_nibabel(self.plain)

    def sitk(self) -> Any:
        """An image of SimpleITK; a mask has the numbers 0 and 1."""
        return images.to_sitk(self.plain)

    def save(self, path: str | Path) -> Path:
        """Writes the file that a `save` of the program would write, in one step.

        Raises `ProgramError` for a name or format that cannot be, `MachineError` when it cannot be written. Warns when
        numbers do not fit into a picture's 8 bits.
        """
        value = self.plain
        try:
            format = images.format_of(path)
            images.check_writable(format, MASK if isinstance(value, values.Mask) else IMAGE, self.space, str(path))
            data = images.encode(format, value, self.origin)
        except Refusal as refusal:
            raise ProgramError.of("output", refusal.message, help=refusal.help) from refusal
        try:
            images.write(path, data)
            if self.origin and format in images.WITHOUT_TEXT:
                images.write(f"{path}.json", f"{self.origin}\n".encode())
        except Refusal as refusal:
            raise MachineError.of("output", refusal.message, help=refusal.help) from refusal
        if format in images.FLAT and (outside := images.clamped(value)):
            warnings.warn(f"{path} holds numbers from 0 to 255, and {outside} are outside", stacklevel=2)
        return Path(path)

    def __repr__(self) -> str:
        size = " x ".join(map(str, self.space.size))
        return f"<{type(self).__name__} {self.name}{': ' if self.name else ''}{size} voxels>"

    def _repr_html_(self) -> str:
        from voxlogica.session.display import volume_html

        is_mask = isinstance(self, values.Mask)
        return volume_html(self.plain, self.name, self.under(self.space) if self.under and is_mask else None)


@dataclass(frozen=True, eq=False, repr=False)
class Mask(Volume, values.Mask):
    """A truth value at each voxel; `numpy()` is of bool."""

    @property
    def plain(self) -> values.Mask:
        return values.Mask(self.space, self.held)

    def __getitem__(self, index: Any) -> Any:
        """What `numpy()` has there; of `mask[:, :, k]` and `mask[..., k]` only that plane is unpacked."""
        if isinstance(index, tuple) and len(self.shape) == 3 and type(index[-1]) is int:
            *others, k = index
            if [type(each) for each in others] == [EllipsisType] or (
                len(others) == 2 and all(type(each) in (int, slice) for each in others)
            ):
                x, y, z = self.shape
                size, at = self.data.nbytes // z, range(z)[k]
                return values.Mask(Space.grid(x, y), self.data[at * size : (at + 1) * size]).numpy()[tuple(others)]
        return self.numpy()[index]

    @cached_property
    def count(self) -> int:
        """How many voxels are true."""
        from voxlogica.kernels import masks

        return masks.count(self.words())

    @cached_property
    def box(self) -> tuple[slice, ...] | None:
        """The least box that holds all true voxels, to index arrays and volumes with; None when there are none."""
        from voxlogica.kernels import masks

        found = masks.bounding_box(self.words(), self.space.size[0])
        return None if found is None else tuple([slice(*ends) for ends in found[::-1]])[: len(self.shape)]


@dataclass(frozen=True, eq=False, repr=False)
class Image(Volume, values.Image):
    """A number at each voxel; `numpy()` is of float32."""

    @property
    def plain(self) -> values.Image:
        return values.Image(self.space, self.held)


@dataclass(frozen=True, eq=False, repr=False)
class Labels(Image, values.Labels):
    """Numbered regions, 0 outside."""

    @property
    def plain(self) -> values.Labels:
        return values.Labels(self.space, self.held)


@dataclass(frozen=True, eq=False, repr=False)
class Model(Volume, values.Model):
    """What a file holds: a number, or a colour of three or four, at each voxel."""

    @property
    def plain(self) -> values.Model:
        return values.Model(self.space, self.held, self.components)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.space.size if self.components == 1 else (*self.space.size, self.components)


Shown: TypeAlias = "values.Scalar | values.Record | Mask | Image | Model | tuple[Shown, ...]"
"""What a run gives to people: numbers, truth values, texts, records, volumes, and sequences of them as tuples."""


def shown(value: values.Value, name: str = "", origin: str = "", under: Under | None = None) -> Shown:
    """A value as people have it."""
    match value:
        case tuple():
            return tuple([shown(each, name, origin, under) for each in value])
        case values.Record():
            return values.Record({field: shown(each, name, origin, under) for field, each in value.items()})
        case values.Mask():
            return Mask(value.space, value.held, name=name, origin=origin, under=under)
        case values.Labels():
            return Labels(value.space, value.held, name=name, origin=origin)
        case values.Image():
            return Image(value.space, value.held, name=name, origin=origin)
        case values.Model():
            return Model(value.space, value.held, value.components, name=name, origin=origin)
        case bytes():
            raise TypeError("no name of a program stands for a file")
    return value
