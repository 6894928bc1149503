"""docs/reference.md is the manual of every operator; `python -m tests.test_reference` writes it."""

from __future__ import annotations

import re
from itertools import groupby

from tests import pages

from voxlogica.check.manual import Entry, entries

PAGE = pages.DOCS / "reference.md"

SECTIONS = {
    "scalars": "Numbers, truth values and texts",
    "geometry": "The grid",
    "logic": "Logic of masks",
    "arithmetic": "Arithmetic of images",
    "comparison": "Comparison, from images to masks",
    "aggregates": "From an image to a number",
    "spatial": "Neighbourhood, connection, distance",
    "colour": "Channels and colours",
    "similarity": "Rank and texture",
    "filters": "Filters",
    "measures": "How well two masks agree",
    "grids": "From one grid to another",
    "strings": "Texts made of values: the namespace `strings`",
    "geom": "Drawing in two dimensions: the namespace `geom`",
    "test": "For tests of VoxLogicA itself: the namespace `test`",
    "arrays": "More of the namespace `arrays`, which has the measures too",
    "sequences": "Sequences",
    "stdlib": "The standard library",
    "RegionCalculus": 'The region calculus, after `import "RegionCalculus"`',
    "vox1": "Names of version 2: the namespace `vox1`",
}
"""What each section is about, in the order of the manual."""

HEAD = """\
# The operators

Every operator of the language and every definition of the libraries that come with it, as `voxlogica operators NAME`
explains them. A test keeps this page so, and runs the examples.

In the examples, `a="0110"` is a mask of four voxels in a row and `i=[1, 2]` an image of two; `holds` shows a mask
in the same way, `value` shows any value. *Version* is the number that enters the ids of results
([versioning.md](versioning.md)): it is raised when a result changes. What a library defines has no version, it is what
its definition says.

A first program needs few of them: `intensity`, `>.`, `&`, `|`, `!`, `touch`, `grow`, `smoothen`, `maxvol`,
`percentiles`, `volume_mm3`, `dice`, `hd95`."""


def page() -> str:
    """The whole page."""
    sections = [(SECTIONS[name], list(group)) for name, group in groupby(entries(), key=lambda entry: entry.section)]
    blocks = [HEAD, "\n".join(f"- [{title}](#{anchor(title)})" for title, _ in sections)]
    for title, group in sections:
        blocks += [f"## {title}", *(explained(entry) for entry in group)]
    return "\n\n".join(blocks) + "\n"


def anchor(title: str) -> str:
    """Where a link leads to a section."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def explained(entry: Entry) -> str:
    """An operator's signature, text, example, and version or definition."""
    text, _, example = entry.doc.partition("\n>>> ")
    parts = [f"### `{entry.signature}`", text.strip(), f"```pycon\n>>> {example.rstrip()}\n```"]
    if entry.fields:
        parts.insert(2, "Fields: " + ", ".join(f"`{name}: {kind}`" for name, kind in entry.fields.items()) + ".")
    if entry.definition:
        parts.append(f"```imgql\n{entry.definition}\n```")
    elif entry.version:
        parts.append(f"Version {entry.version}.")
    return "\n\n".join(parts)


def test_the_page_is_what_the_declarations_say() -> None:
    assert PAGE.read_text("utf-8") == page(), "write it anew: python -m tests.test_reference"


def test_every_entry_has_its_example() -> None:
    assert all(entry.doc.partition("\n>>> ")[2] for entry in entries())


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
