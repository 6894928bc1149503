"""docs/reference.md is the manual of every operator; `python -m tests.test_reference` writes it."""

from __future__ import annotations

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
    "sequences": "Sequences",
    "stdlib": "The standard library",
    "RegionCalculus": 'The region calculus, after `import "RegionCalculus"`',
    "vox1": 'Names of version 2, after `import "vox1"`',
}
"""What each section is about, in the order of the manual."""

HEAD = """\
# The operators

Every operator of the language and every definition of the libraries that come with it, as `voxlogica operators NAME`
explains them. A test keeps this page so, and runs the examples.

In the examples, `a="0110"` is a mask of four voxels in a row and `i=[1, 2]` an image of two; `holds` shows a mask
in the same way, `value` shows any value. *Version* is the number that enters the ids of results
([versioning.md](versioning.md)): it is raised when a result changes. What a library defines has no version, it is what
its definition says."""


def page() -> str:
    """The whole page."""
    blocks = [HEAD]
    for section, group in groupby(entries(), key=lambda entry: entry.section):
        blocks += [f"## {SECTIONS[section]}", *(explained(entry) for entry in group)]
    return "\n\n".join(blocks) + "\n"


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
