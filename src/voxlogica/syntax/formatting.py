"""A program's text with the brackets that make it mean the same in every dialect; nothing else of it changes."""

from __future__ import annotations

from voxlogica.errors import Source
from voxlogica.syntax.parser import brackets


def bracketed(source: Source, dialect: int | None = None) -> str:
    """The text as it is read in a dialect, with brackets where another one would read something else.

    Chains of one associative operator get none, for all readings of them have one meaning. Raises `ProgramError` when
    the text is no program, or has several readings and no dialect is chosen.
    """
    found = brackets(source, dialect)
    signs = sorted([(end, 0, ")") for _, end in found] + [(start, 1, "(") for start, _ in found])
    out, done = [], 0
    for place, _, sign in signs:
        out += [source.text[done:place], sign]
        done = place
    return "".join([*out, source.text[done:]])
