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

How they are called, and what becomes of their arguments and results, is in [language.md](language.md#simpleitk). This
page lists all functions that SimpleITK {version} has; a test keeps it so. `voxlogica operators Median` shows how one is
called. Classes and methods of SimpleITK are no functions, and are not here.

Of {all} functions programs can use {usable}, besides `ReadImage`, which loads an input."""


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
