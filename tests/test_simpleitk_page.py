"""docs/simpleitk.md says which functions of SimpleITK there are; `python -m tests.test_simpleitk_page` writes it."""

from __future__ import annotations

from collections.abc import Iterable

from tests import pages

from voxlogica.check.messages import UNUSABLE
from voxlogica.operators.simpleitk import Function, functions
from voxlogica.operators.simpleitk_grids import RULES

PAGE = pages.DOCS / "simpleitk.md"

HEAD = """\
# The functions of SimpleITK

Programs call them by their own names: `simpleitk.Median`, or `Median` after `import "simpleitk"`. A test runs what this
page shows, and keeps its lists so. The scan here is a head with a lesion, and a hole in it:

```python
import nibabel
import numpy as np

i, j, k = np.mgrid[:40, :48, :32]
head = (i - 20) ** 2 / 324 + (j - 24) ** 2 / 484 + (k - 16) ** 2 / 196 < 1
lesion = (i - 12) ** 2 + (j - 18) ** 2 + (k - 16) ** 2 < 49
hole = (i - 12) ** 2 + (j - 18) ** 2 + (k - 16) ** 2 < 9
scan = np.where(hole, 100, 300 * head + 200 * lesion).astype(np.int16)
nibabel.save(nibabel.Nifti1Image(scan, np.diag([-2.0, -2.0, 2.0, 1.0])), "scan.nii.gz")
```

```imgql
import "simpleitk"
load scan = "scan.nii.gz"
let image  = intensity(scan)
let smooth = SmoothingRecursiveGaussian(image, 1)     // sigma in mm
let bright = BinaryThreshold(smooth, 400, 600)        // a mask, for all operators of the language
let lesion = BinaryFillhole(bright)
print "ml" [volume_mm3(bright) / 1000, volume_mm3(lesion) / 1000]
let coarse = BinShrink(image, 2)                      // on a grid of its own, with half as many voxels along each axis
print "voxels" [volume(lesion), volume(coarse > 400)]
print "dice" dice(lesion, BinaryFillhole(resample(coarse > 400, image)))
```

```text
ml=[10.176, 10.92]
voxels=[1365, 140]
dice=0.9034719572682183
```

What becomes of arguments and results, and how to come back from another grid, is in
[language.md](language.md#simpleitk). `voxlogica operators Median` says what a function does, what it takes, and what is
meant where something is left out; `voxlogica operators hole` finds functions by a word.

Of {all} functions that SimpleITK {version} has programs can use {usable}, besides `ReadImage`, which loads an input.
Classes and methods of SimpleITK are no functions, and are not here."""


def page() -> str:
    """The whole page."""
    known = {name: ways for name, ways in functions().items() if name != "Statistics"}
    usable = {name: ways for name, ways in known.items() if not isinstance(ways, str)}
    numbers = [name for name, ways in usable.items() if ways[0].results[0] in ("number", "numbers", "text", "bool")]
    blocks = [
        HEAD.format(version=_version(), all=len(known), usable=len(usable)),
        "## Results on the grid of the first image",
        _listed(name for name in usable if name not in (*RULES, *numbers)),
        "## Results on another grid",
        _listed(name for name in usable if name in RULES),
        "## Numbers and texts",
        f"{_listed(numbers)} And `Statistics(image)`, which SimpleITK has as a class: minimum, maximum, mean,\n"
        "standard deviation, variance, sum, and number of voxels.",
        "## With images of several components",
        "These take a loaded file, or what `Gradient` or `Compose` make, as it is.",
        _listed(name for name, ways in usable.items() if all(way.results[0] == "-" and _colours(way) for way in ways)),
        "## What cannot be used, and why",
        *_refused(known),
    ]
    return "\n\n".join(blocks) + "\n"


def _version() -> str:
    from importlib.metadata import version

    return version("SimpleITK")


def _colours(way: Function) -> bool:
    return way.results[3] != "-"


def _listed(names: Iterable[str]) -> str:
    """Names in lines of a page."""
    lines = [""]
    for name in names:
        word = f"`{name}`"
        if len(lines[-1]) + len(word) > 117:
            lines.append("")
        lines[-1] += f"{' ' if lines[-1] else ''}{word},"
    return "\n".join(lines).removesuffix(",") + "."


def _refused(known: dict[str, tuple[Function, ...] | str]) -> Iterable[str]:
    rows = ["| functions | reason | instead |", "|---|---|---|"]
    for reason, (message, help) in UNUSABLE.items():
        names = [f"`{name}`" for name, ways in known.items() if ways == reason]
        assert names, f"no function is refused for {reason!r}"
        rows.append(f"| {', '.join(names)} | {message.split(', and so')[0]} | {help} |")
    yield "\n".join(rows)


def test_the_page_is_what_the_declarations_say() -> None:
    assert PAGE.read_text("utf-8") == page(), "write it anew: python -m tests.test_simpleitk_page"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
