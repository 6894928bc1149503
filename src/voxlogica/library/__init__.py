"""Derived operators, defined in the language itself: the `.imgql` files beside this one; and the namespaces.

Every program imports `stdlib` before anything else; the others when it says so. They are fully parenthesised, so that
every dialect reads them alike. A `///` block before a definition is its manual entry, with an example that runs as a
test. The file of a namespace names what else is in it whole: `vox1.vol`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

DIRECTORY = Path(__file__).parent
"""Where the libraries are."""

_SUFFIX = ".imgql"

NAMESPACES: Mapping[str, str] = MappingProxyType(
    {
        "arrays": "masks and labels compared and counted",
        "default": "what every program sees without an import",
        "geom": "drawing in two dimensions",
        "simpleitk": "the functions of SimpleITK",
        "strings": "texts made of values",
        "test": "what tests of VoxLogicA itself need",
        "vox1": "names of version 2; and all that is in `default`",
    }
)
"""The namespaces (C16), each with what it holds. One may have a library of its name."""


def path(name: str) -> Path | None:
    """The file of a library, named with or without `.imgql`; None when there is none of that name."""
    name = name.removesuffix(_SUFFIX)
    return DIRECTORY / f"{name}{_SUFFIX}" if name in names() else None


def names() -> tuple[str, ...]:
    """The libraries that come with VoxLogicA, without `.imgql`, sorted."""
    return tuple(sorted(file.stem for file in DIRECTORY.glob(f"*{_SUFFIX}")))
