"""Images in memory: arrays with an affine and the images of nibabel and SimpleITK, taken in and given out.

Affines are nibabel's: they take a voxel's index to Right, Anterior, Superior, in mm. ITK's world is Left, Posterior,
Superior, as ours. nibabel and SimpleITK are imported only to give something out: what comes in shows by its class
that its library is there already.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from voxlogica import identity
from voxlogica._dataclass import dataclass
from voxlogica.errors import Refusal
from voxlogica.formula import Leaf
from voxlogica.images import nifti
from voxlogica.images.files import Plain
from voxlogica.images.grids import difference
from voxlogica.images.spaces import at_right_angles, check_axes, check_components, placed, skewed
from voxlogica.values import Image, Mask, Model, Space

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

READER, VERSION = "memory", 1
_HELP = "give a path, (array, affine), or an image of nibabel or SimpleITK"


@dataclass(frozen=True, slots=True)
class Held:
    """An image that was given in memory; nobody else can change its voxels."""

    name: str
    model: Model


def name_of(input: str, given: object) -> str:
    """How messages and provenance call what was given for an input, which may be anything."""
    is_image = isinstance(given, (Mask, Image, Model)) or _of_nibabel(given) or _of_sitk(given)
    is_array = isinstance(given, tuple) or type(given).__name__ == "ndarray"
    return f"the {'image' if is_image else 'array' if is_array else type(given).__name__} given for {input}"


def hold(name: str, given: object) -> Leaf:
    """What was given, its voxels copied: known by these as float32, and by where they are.

    An array is indexed [i, j] or [i, j, k], and comes with an affine, or with another image's space.
    """
    model = taken(name, given)
    return Leaf(Held(name, model), identity.file_digest([model.data]), READER, VERSION, model.space)


def taken(name: str, given: object) -> Model:
    """The voxels and the space of what was given."""
    if isinstance(given, Model):
        return given
    if isinstance(given, Mask):
        return _model(given.space, given.numpy().T, 1)
    if isinstance(given, Image):
        return Model(given.space, given.held)
    if isinstance(given, tuple) and len(given) == 2:
        return _from_array(name, *given)
    if _of_nibabel(given):
        return _from_nibabel(name, given)
    if _of_sitk(given):
        return _from_sitk(name, given)
    if type(given).__name__ == "ndarray":
        raise Refusal(
            f"{name} does not say where its voxels are",
            help="give   (array, affine)   with nibabel's affine, or   (array, space)   with another image's space",
        )
    raise Refusal(f"{name} is not an image", help=_HELP)


def _of_nibabel(given: object) -> bool:
    library: Any = sys.modules.get("nibabel")
    return library is not None and isinstance(given, library.spatialimages.SpatialImage)


def _of_sitk(given: object) -> bool:
    library: Any = sys.modules.get("SimpleITK")
    return library is not None and isinstance(given, library.Image)


# In


def _from_array(name: str, given: object, where: object) -> Model:
    array = _numbers(name, given)
    sizes = _sizes(name, array.shape)
    if not isinstance(where, Space):
        space = _space(name, sizes, where)
    elif sizes != where.size:
        here, there = (" x ".join(map(str, size)) for size in (sizes, where.size))
        raise Refusal(f"{name} has {here} voxels, and its space {there}", help="index it [i, j, k], as numpy() does")
    else:
        space = where
    return _model(space, array.T, 1)


def _from_nibabel(name: str, image: Any) -> Model:
    """The image's affine says where it is. Where it is that of a NIfTI header, and we would read the same from its
    file, the geometry is kept as it is there: the image and its file are on one grid to the last bit."""
    import numpy as np

    try:
        data = np.asanyarray(image.dataobj)
    except (OSError, EOFError, ValueError) as error:  # it reads its file only now
        raise Refusal(f"{name} cannot be read", (str(error),), "copy or download its file again") from error
    array, components = _components(name, data, image.header)
    sizes = _sizes(name, array.shape[:-1] if components > 1 else array.shape)
    if image.affine is None:
        raise Refusal(f"{name} has no affine", help="give   (array, affine)")
    matrix = np.array(image.affine, np.float64)
    written = None
    if "qform_code" in image.header:
        if np.array_equal(matrix, image.header.get_best_affine()):  # else it is more exact
            written = _written(name, image.header)
        matrix[:3] *= nifti.TO_MM.get(int(image.header["xyzt_units"]) & 7, 1.0)
    space = _space(name, sizes, matrix)
    if written is not None and difference(written, space) is None:
        space = written
    return _model(space, np.moveaxis(array, -1, 0).T if components > 1 else array.T, components)


def _components(name: str, array: NDArray[Any], header: Any) -> tuple[NDArray[Any], int]:
    """An array [i, j, k] and 1, or [i, j, k, component] and how many: colours, or a vector on the fifth axis."""
    colours = array.dtype.names
    if colours is not None and len(colours) in (3, 4) and {array.dtype[n].str for n in colours} == {"|u1"}:
        return array.view(("u1", len(colours))), len(colours)
    is_vector = "intent_code" in header and int(header["intent_code"]) == nifti.VECTOR
    if is_vector and array.ndim == 5 and array.shape[3] == 1:
        check_components(name, array.shape[4])
        return _numbers(name, array[:, :, :, 0, :]), array.shape[4]
    return _numbers(name, array), 1


def _written(name: str, header: Any) -> Space | None:
    """Where the file of a NIfTI header would have its voxels; None if no such file could be read."""
    block = header.copy()
    block["vox_offset"] = block.sizeof_hdr + 4
    try:
        return nifti.space(nifti.unpack(Plain(io.BytesIO(block.binaryblock + bytes(4)), name)), name)
    except Refusal:
        return None


def _from_sitk(name: str, image: Any) -> Model:
    import numpy as np

    library = import_module("SimpleITK")
    components = image.GetNumberOfComponentsPerPixel()
    check_components(name, components)
    sizes = _sizes(name, image.GetSize())
    n, m = len(sizes), image.GetDimension()
    columns = np.array(image.GetDirection()).reshape(m, m)[:n, :n].T.tolist()
    if not at_right_angles(columns):
        raise skewed(name, "")
    space = placed(name, sizes, image.GetSpacing()[:n], image.GetOrigin()[:n], columns)
    return _model(space, _numbers(name, library.GetArrayViewFromImage(image)), components)


def _numbers(name: str, given: object) -> NDArray[Any]:
    """An array of numbers or truth values."""
    import numpy as np

    if isinstance(given, np.ma.MaskedArray):
        raise Refusal(f"{name} is masked, which an image cannot be", help="fill it   array.filled(0)")
    array = np.asarray(given)
    if array.dtype.kind not in "biuf":
        kind = "complex numbers" if array.dtype.kind == "c" else f"{array.dtype}"
        raise Refusal(f"{name} holds {kind}, and an image holds numbers", help="array.astype(np.float32)")
    return array


def _sizes(name: str, shape: Sequence[int]) -> tuple[int, ...]:
    try:
        sizes = check_axes(name, shape)
    except Refusal as refusal:
        help = "give one volume of it, for instance   array[..., 0]" if len(shape) > 3 else refusal.help
        raise Refusal(refusal.message, refusal.details, help) from None
    if min(sizes) < 1:
        raise Refusal(f"{name} has no voxels: its shape is {tuple(shape)}")
    return sizes


def _space(name: str, sizes: tuple[int, ...], affine: object) -> Space:
    """Where an affine of nibabel puts voxels."""
    import numpy as np

    try:
        matrix = np.asarray(affine, np.float64)
    except (TypeError, ValueError):
        raise Refusal(
            f"{name} comes with {affine!r}, which is no affine", help="an affine is a matrix of 4 x 4"
        ) from None
    if matrix.shape != (4, 4):
        found = " x ".join(map(str, matrix.shape)) or "one number"
        raise Refusal(f"{name} comes with an affine of {found}, and an affine is a matrix of 4 x 4")
    if not np.isfinite(matrix).all():
        raise Refusal(f"{name} comes with an affine that has {'NaN' if np.isnan(matrix).any() else 'infinity'} in it")
    if matrix[3].tolist() != [0, 0, 0, 1]:
        raise Refusal(f"{name} comes with an affine whose last row is {matrix[3].tolist()}, not [0, 0, 0, 1]")
    matrix = matrix[:3] * [[-1.0], [-1.0], [1.0]]
    spacing = [float(np.linalg.norm(column)) for column in matrix[:, :3].T]
    if not all(spacing):
        raise Refusal(f"{name} comes with an affine that has a column of zeros: its voxels would have no size")
    columns = matrix[:, :3].T.tolist()
    if not at_right_angles(columns):
        raise skewed(name, "")
    return placed(name, (*sizes, 1)[:3], spacing, matrix[:, 3].tolist(), columns)


def _model(space: Space, array: NDArray[Any], components: int) -> Model:
    """A model of a copy of an array [z, y, x] or [z, y, x, component]."""
    import numpy as np

    with np.errstate(over="ignore"):  # doubles too large for float32 are infinite, as in files
        voxels = np.array(array, np.float32, order="C")
    return Model.of(space, voxels.reshape(*space.shape, components))


# Out


def affine(space: Space) -> NDArray[np.float64]:
    """The affine as nibabel has it; a plane lies at height 0."""
    import numpy as np

    n, matrix = space.dimensions, np.eye(4)
    matrix[:n, :n] = np.reshape(space.direction, (n, n)) * space.spacing
    matrix[:n, 3] = space.origin
    matrix[:2] *= -1
    return matrix + 0.0  # no −0


def to_nibabel(value: Mask | Image | Model) -> Any:
    """A NIfTI image of nibabel: the very file that `encode` makes."""
    library = import_module("nibabel")
    native = value.space.native
    kind = library.Nifti2Image if native and native[0] == "nifti2" else library.Nifti1Image
    image = kind.from_bytes(b"".join(nifti.encode(value, "")))
    # A header has float32; what did not come from one has more.
    return image if native else kind(image.dataobj, affine(value.space), image.header)


def to_sitk(value: Mask | Image | Model) -> Any:
    """An image of SimpleITK, a mask with the numbers 0 and 1."""
    import numpy as np

    library, space = import_module("SimpleITK"), value.space
    components = value.components if isinstance(value, Model) else 1
    array = value.numpy().T.view(np.uint8) if isinstance(value, Mask) else value.array()
    array = array.reshape(*space.shape[3 - space.dimensions :], *([components] if components > 1 else []))
    image = library.GetImageFromArray(array, isVector=components > 1)
    image.SetSpacing(space.spacing)
    image.SetOrigin(space.origin)
    image.SetDirection(space.direction)
    return image
