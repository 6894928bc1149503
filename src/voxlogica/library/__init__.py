"""Derived operators, defined in the language itself: the `.imgql` files beside this one.

Every program imports `stdlib` before anything else; the others when it says so. They are fully parenthesised, so that
every dialect reads them alike. A `///` block before a definition is its manual entry, with an example that runs as a
test.
"""

from __future__ import annotations

from pathlib import Path

DIRECTORY = Path(__file__).parent
"""Where the libraries are."""

_SUFFIX = ".imgql"


def path(name: str) -> Path | None:
    """The file of a library, named with or without `.imgql`; None when there is none of that name."""
    name = name.removesuffix(_SUFFIX)
    return DIRECTORY / f"{name}{_SUFFIX}" if name in names() else None


def names() -> tuple[str, ...]:
    """The libraries that come with VoxLogicA, without `.imgql`, sorted."""
    return tuple(sorted(file.stem for file in DIRECTORY.glob(f"*{_SUFFIX}")))
