"""What a notebook shows of volumes and runs: static pictures and tables, which stay in the saved notebook."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from html import escape
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from voxlogica import images
from voxlogica.kernels import masks as kernels
from voxlogica.study.pictures import COLOURS, slices
from voxlogica.study.rows import brief
from voxlogica.values import Image, Labels, Mask, Model, Space, shown

if TYPE_CHECKING:
    from voxlogica.session.runs import Run


def volume_html(value: Mask | Image | Model, name: str = "", under: tuple[str, Image | Model] | None = None) -> str:
    """Three slices with the sides of the patient, and in words: what it is, its size, its spacing, what is in it.

    A mask is drawn on the image `under` it, which comes with its name, if there is one.
    """
    caption = ", ".join([_kind(value), _grid(value.space), _contents(value)])
    title = f"<b>{escape(name)}</b>: " if name else ""
    if isinstance(value, Mask) and under is not None:
        return _masks_html({name: value}, under, f"{title}{escape(caption)}")
    return _figure(_picture(value), f"{title}{escape(caption)}", name or caption)


def run_html(run: Run) -> str:
    """The prints as a table, and the masks that are saved over the first image of their grid."""
    rows = "".join(
        f'<tr><td style="text-align: left">{escape(label)}</td><td>{escape(shown(value))}</td></tr>'
        for label, value in run.printed.items()
    )
    table = f"<table>{rows}</table>" if rows else ""
    masks = run.masks()
    under = next((found for mask in masks.values() if (found := run.under(mask.space))), None)
    if under is None:
        return table
    on = [(path, mask) for path, mask in masks.items() if mask.space.id == under[1].space.id]
    drawn = list(zip(on, COLOURS, strict=False))  # as many as there are colours
    legend = [
        f'<span style="color: rgb{colour}">&#9632;</span> {escape(path)} ({_amount(mask)})'
        for (path, mask), colour in drawn
    ]
    return table + _masks_html(dict(each for each, _ in drawn), under, ", ".join(legend))


def _masks_html(masks: Mapping[str, Mask], under: tuple[str, Image | Model], caption: str) -> str:
    """Masks in one picture."""
    name, image = under
    words = f"{', '.join(masks)} over {name}"
    return _figure(slices(image, list(masks.values())), f"{caption} over <b>{escape(name)}</b>", words)


def _figure(png: bytes, caption: str, words: str) -> str:
    source = f"data:image/png;base64,{b64encode(png).decode()}"
    picture = f'<img src="{source}" alt="{escape(words, quote=True)}" style="max-width: 100%">'
    return f'<figure style="margin: 0.5em 0">{picture}<figcaption>{caption}</figcaption></figure>'


def _picture(value: Mask | Image | Model) -> bytes:
    if isinstance(value, Mask):
        return slices(images.taken("", value), [value], whole=True)
    if isinstance(value, Labels):
        return slices(value, [Mask.of(value.space, kernels.compare(value.voxels(), ">", 0.0))], whole=True)
    if isinstance(value, Model) and value.components > 1 and value.space.dimensions == 2:
        return images.encode("png", value)
    return slices(value, [])


def _kind(value: Mask | Image | Model) -> str:
    if isinstance(value, Mask):
        return "mask"
    if isinstance(value, Labels):
        return "labels"
    return f"{value.components} numbers at each voxel" if isinstance(value, Model) and value.components > 1 else "image"


def _grid(space: Space) -> str:
    size, spacing = (" x ".join(map(brief, each)) for each in (space.size, space.spacing))
    return f"{size} voxels of {spacing} mm"


def _contents(value: Mask | Image | Model) -> str:
    if isinstance(value, Mask):
        return _amount(value)
    numbers = value.array()
    if isinstance(value, Labels):
        count = np.unique(numbers[numbers != 0]).size
        return f"{count} region{'' if count == 1 else 's'}"
    known = numbers[~np.isnan(numbers)]
    return f"from {brief(float(known.min()))} to {brief(float(known.max()))}" if known.size else "no number"


def _amount(mask: Mask) -> str:
    """How many voxels are true, and what volume or area they have."""
    count = kernels.count(mask.words())
    size = count * prod(mask.space.spacing)
    how = f"{brief(size / 1000)} ml" if mask.space.dimensions == 3 else f"{brief(size)} mm\u00b2"
    return f"{count} voxel{'' if count == 1 else 's'}, {how}"
