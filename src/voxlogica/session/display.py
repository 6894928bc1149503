"""What a notebook shows of volumes and runs: static pictures and tables, which stay in the saved notebook."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from html import escape
from math import prod
from typing import TYPE_CHECKING

from voxlogica import images
from voxlogica.study.rows import brief
from voxlogica.values import Image, Labels, Mask, Model, Space, shown

if TYPE_CHECKING:
    from voxlogica.session.runs import Run


def volume_html(value: Mask | Image | Model, name: str = "") -> str:
    """Three slices with the sides of the patient, and in words: what it is, its size, its spacing, what is in it."""
    caption = ", ".join([_kind(value), _grid(value.space), _contents(value)])
    title = f"<b>{escape(name)}</b>: " if name else ""
    return _figure(_picture(value), f"{title}{escape(caption)}", name or caption)


def run_html(run: Run) -> str:
    """The prints as a table, and the masks that are saved over the first image of their grid."""
    rows = "".join(
        f'<tr><td style="text-align: left">{escape(label)}</td><td>{escape(shown(value))}</td></tr>'
        for label, value in run.printed.items()
    )
    table = f"<table>{rows}</table>" if rows else ""
    return table + _masks_html(run, dict(list(run.masks().items())[:3]))


def _masks_html(run: Run, masks: Mapping[str, Mask]) -> str:
    """Masks in one picture, those of a grid on which an image is loaded."""
    from voxlogica.study.pictures import COLOURS, slices

    for name, leaf in zip(run.program.inputs, run.bound.leaves, strict=True):
        on = {path: mask for path, mask in masks.items() if mask.space.id == leaf.space.id}
        over = run[name] if on else None
        if isinstance(over, (Image, Model)):
            legend = ", ".join(
                f'<span style="color: rgb{colour}">&#9632;</span> {escape(path)} ({_amount(mask)})'
                for (path, mask), colour in zip(on.items(), COLOURS, strict=False)
            )
            words = f"{', '.join(on)} over {name}"
            return _figure(slices(over, list(on.values())), f"{legend} over <b>{escape(name)}</b>", words)
    return ""


def _figure(png: bytes, caption: str, words: str) -> str:
    source = f"data:image/png;base64,{b64encode(png).decode()}"
    picture = f'<img src="{source}" alt="{escape(words, quote=True)}" style="max-width: 100%">'
    return f'<figure style="margin: 0.5em 0">{picture}<figcaption>{caption}</figcaption></figure>'


def _picture(value: Mask | Image | Model) -> bytes:
    from voxlogica.study.pictures import slices

    if isinstance(value, Mask):
        return slices(images.taken("", value), [value], whole=True)
    if isinstance(value, Labels):
        from voxlogica.kernels import masks

        return slices(value, [Mask.of(value.space, masks.compare(value.array(), ">", 0.0))], whole=True)
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
    import numpy as np

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
    from voxlogica.kernels import masks

    count = masks.count(mask.words())
    size = count * prod(mask.space.spacing)
    how = f"{brief(size / 1000)} ml" if mask.space.dimensions == 3 else f"{brief(size)} mm\u00b2"
    return f"{count} voxel{'' if count == 1 else 's'}, {how}"
