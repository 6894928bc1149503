"""From values to the bytes of a file: the pure half of `save`. No program names these operators.

`provenance` is what the file says of itself, where its format has a place for it.
"""

from __future__ import annotations

from voxlogica.operators import operator
from voxlogica.values import Image, Mask, Model


@operator(cost="mask_file", hidden=True)
def encode_mask(format: str, value: Mask, provenance: str) -> bytes:
    """The file of a mask in a format of the room `images`."""
    from voxlogica import images

    return images.encode(format, value, provenance)


@operator(cost="file", hidden=True)
def encode_image(format: str, value: Image, provenance: str) -> bytes:
    """The file of a number image or labels in a format of the room `images`."""
    from voxlogica import images

    return images.encode(format, value, provenance)


@operator(cost="file", hidden=True)
def encode_model(format: str, value: Model, provenance: str) -> bytes:
    """The file of a model in a format of the room `images`."""
    from voxlogica import images

    return images.encode(format, value, provenance)


@operator(hidden=True)
def clamped_image(value: Image) -> float:
    """How many voxels an 8-bit file cannot hold as they are (C9)."""
    from voxlogica import images

    return float(images.clamped(value))


@operator(hidden=True)
def clamped_model(value: Model) -> float:
    """How many components an 8-bit file cannot hold as they are (C9)."""
    from voxlogica import images

    return float(images.clamped(value))
