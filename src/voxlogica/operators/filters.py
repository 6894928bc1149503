"""What prepares images: slopes, regions, and corrections that SimpleITK computes."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from voxlogica.errors import Refusal
from voxlogica.operators import operator
from voxlogica.values import Image, Labels, Mask, Space

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


_LARGEST, _HEAVIEST = 1e15, 1e9
"""Of voxels and weights: the squares of what is larger leave float32, in which SimpleITK compares them."""


@operator(cost="neighbourhood")
def gradient(a: Image) -> Image:
    """The magnitude of the gradient, per mm: central differences; beyond its ends the image goes on as there.

    >>> value("gradient(a)", a=[0, 1, 4, 4])
    [0.5, 2.0, 1.5, 0.0]
    """
    from voxlogica.kernels import measures

    return Image.of(a.space, measures.gradient(a.array(), a.space.spacing3))


@operator(cost="histogram")
def label_mean(labels: Labels, a: Image) -> Image:
    """Paints each region of some labels with the mean of a over it; 0 where there is no region.

    >>> value("label_mean(lcc(a >. 0), a)", a=[1, 3, 0, 5])
    [2.0, 2.0, 0.0, 5.0]
    """
    from voxlogica.kernels import measures

    return Image.of(a.space, measures.label_means(labels.array(), a.array()))


@operator(cost="window", library="SimpleITK")
def n4(a: Image, b: Mask) -> Image:
    """Takes the slow changes of brightness out of a that a scanner's coils bring in: N4 bias field correction.

    The field is estimated over the voxels of b on the image shrunk by 2 along each axis, in 30, 20 and 10 iterations,
    and a is divided by it. As SimpleITK computes it, on one thread, so that it is the same on every machine. Voxels of
    b where a is infinite, huge or not a number are an error.
    Source: Tustison et al., N4ITK: improved N3 bias correction (2010).

    >>> value("max(n4(a, tt)) .>. 0", a=[[5, 6, 5, 6], [6, 5, 6, 5], [5, 6, 5, 6], [6, 5, 6, 5]])
    True
    """
    import numpy as np

    from voxlogica.kernels import masks

    _inhabited(b, "n4")
    _finite(a.array()[np.asarray(masks.unpack(b.words(), b.space.size[0]), bool)], "n4")
    sitk = simpleitk("n4")
    image = _exchanged(sitk, a.space, a.array())
    inside = _exchanged(sitk, b.space, np.asarray(masks.unpack(b.words(), b.space.size[0])))
    if min(image.GetSize()) < 4:
        size = " x ".join(map(str, a.space.size))
        raise Refusal(f"`n4` needs at least 4 voxels along each axis, and there are {size}")
    shrink = [2] * image.GetDimension()
    corrector = sitk.N4BiasFieldCorrectionImageFilter()
    corrector.SetNumberOfThreads(1)
    corrector.SetMaximumNumberOfIterations([30, 20, 10])
    try:
        corrector.Execute(sitk.Shrink(image, shrink), sitk.Shrink(inside, shrink))
    except RuntimeError as error:
        details = tuple(line for line in str(error).splitlines() if "ERROR" in line)
        raise Refusal("`n4` could not estimate how the brightness changes", details) from error
    corrected = sitk.Cast(image / sitk.Exp(corrector.GetLogBiasFieldAsImage(image)), sitk.sitkFloat32)
    return Image.of(a.space, sitk.GetArrayFromImage(corrected).reshape(a.space.shape))


@operator(cost="window", library="SimpleITK")
def slic(a: Image, grid: float, weight: float) -> Labels:
    """Superpixels: regions of like brightness about `grid` voxels across, numbered from 1.

    A larger weight makes them rounder. Voxels that are infinite, huge or not numbers are an error.
    SLIC with 10 iterations, as SimpleITK computes it, on one thread. Source: Achanta et al., SLIC superpixels (2012).

    >>> value("max(slic(a, 4, 1)) .>. 0", a=[[0, 0, 9, 9], [0, 0, 9, 9], [0, 0, 9, 9], [0, 0, 9, 9]])
    True
    """
    from voxlogica.kernels import measures

    if not grid.is_integer() or grid < 1:
        raise Refusal(f"`slic` needs a whole number of voxels from 1, not {grid:g}")
    if not 0 <= weight <= _HEAVIEST:
        raise Refusal(f"`slic` needs a weight from 0 to {_HEAVIEST:g}, not {weight:g}")
    _finite(a.array(), "slic")
    sitk = simpleitk("slic")
    image = _exchanged(sitk, a.space, a.array())
    slicer = sitk.SLICImageFilter()
    slicer.SetNumberOfThreads(1)
    slicer.SetMaximumNumberOfIterations(10)
    slicer.SetSuperGridSize([min(int(grid), size) for size in image.GetSize()])
    slicer.SetSpatialProximityWeight(weight)
    slicer.SetEnforceConnectivity(True)
    return Labels.of(a.space, measures.renumbered(sitk.GetArrayFromImage(slicer.Execute(image))).reshape(a.space.shape))


def _inhabited(b: Mask, name: str) -> None:
    from voxlogica.kernels import masks

    if not masks.count(b.words()):
        raise Refusal(f"the mask given to `{name}` is empty", help="nothing can be estimated over no voxel")


def _finite(voxels: NDArray[np.float32], name: str) -> None:
    """SimpleITK's filters end the process, or never end, where numbers cannot be compared."""
    import numpy as np

    if not (np.abs(voxels) <= _LARGEST).all():
        help = f"take them out first:   mask(a, (a >=. -{_LARGEST:g}) & (a <=. {_LARGEST:g}))"
        raise Refusal(f"`{name}` was given voxels that are infinite, huge or not numbers (NaN)", help=help)


def simpleitk(name: str) -> Any:
    """The library, whose functions have no types, for an operator. Refuses when it is not there."""
    try:
        return import_module("SimpleITK")
    except ImportError:
        raise Refusal(f"`{name}` needs SimpleITK, which is not installed", help="pip install SimpleITK") from None


def _exchanged(sitk: Any, space: Space, array: NDArray[np.float32] | NDArray[np.uint8]) -> Any:
    """Voxels [z, y, x] as SimpleITK has them, with their spacing; where they lie has no part in what is computed."""
    image = sitk.GetImageFromArray(array if space.dimensions == 3 else array[0])
    image.SetSpacing(space.spacing)
    return image
