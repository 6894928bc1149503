"""Patterns with named parts: `data/{case}/{case}_flair.nii.gz` names files, and what the parts are in each of them.

A part stands for one or more characters of one file or directory name, as many as possible, and for the same text
wherever it occurs. `*` and `?` match as in a shell, `**` any directories. Names that begin with a dot are passed over
unless the pattern has the dot.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from voxlogica._dataclass import dataclass
from voxlogica.errors import ProgramError

_TOKENS = re.compile(r"\{(?P<part>[^{}]*)\}|(?P<wild>[*?])|(?P<text>[^{}*?]+)|(?P<brace>[{}])")
_PART = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
EXAMPLE = "for example   'data/{case}/{case}_flair.nii.gz'"

Found = tuple[str, dict[str, str]]
"""A path, and the text of each part in it."""


@dataclass(frozen=True)
class Pattern:
    """A path with named parts; `parts` are their names, each once, in order."""

    text: str
    parts: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> Pattern:
        """Raises `ProgramError` for what is no pattern, and for one without parts."""
        parts: dict[str, None] = {}
        for token in _TOKENS.finditer(text):
            part = token["part"]
            if token["brace"] or (part is not None and not _PART.fullmatch(part)):
                raise ProgramError.of("usage", f"{text}: `{token[0]}` is no named part", help=EXAMPLE)
            if part is not None:
                parts[part] = None
        if not parts:
            raise ProgramError.of("usage", f"{text} has no named part that tells cases apart", help=EXAMPLE)
        return cls(text, tuple(parts))

    def find(self) -> Iterator[Found]:
        """The files there are, sorted by path, directory by directory."""
        home = str(Path.home()) if self.text.startswith("~/") else ""
        first, *rest = (home + self.text.removeprefix("~") if home else self.text).split("/")
        yield from _walk(first + "/" if rest and not first else "", [first, *rest] if first else rest, {})

    def fill(self, parts: Mapping[str, str]) -> str:
        """The path that was looked for: the pattern with the parts that are known."""
        return re.sub(r"\{(\w+)\}", lambda match: parts.get(match[1], match[0]), self.text)


def _walk(directory: str, segments: list[str], parts: dict[str, str]) -> Iterator[Found]:
    """The files below a directory ("" or ending in a slash) that the remaining segments match."""
    segment, *rest = segments
    if segment == "**":
        yield from _walk(directory, rest, parts)
        for name in _names(directory):
            if not name.startswith(".") and Path(directory + name).is_dir():
                yield from _walk(f"{directory}{name}/", segments, parts)
        return
    if not re.search(r"[{*?]", segment):
        candidates: Iterator[tuple[str, dict[str, str]]] = iter([(segment, parts)])
    else:
        candidates = _matching(directory, segment, parts)
    for name, known in candidates:
        path = directory + name
        if rest and Path(path).is_dir():
            yield from _walk(path + "/", rest, known)
        elif not rest and Path(path).exists():
            yield path, known


def _matching(directory: str, segment: str, parts: dict[str, str]) -> Iterator[tuple[str, dict[str, str]]]:
    regex = re.compile(_regex(segment, parts))
    for name in _names(directory):
        match = regex.fullmatch(name)
        if match and (not name.startswith(".") or segment.startswith(".")):
            yield name, parts | match.groupdict()


def _names(directory: str) -> list[str]:
    try:
        return sorted(path.name for path in Path(directory or ".").iterdir())
    except OSError:  # what may not be looked at has no files for us; `cases` shows what is missing
        return []


def _regex(segment: str, parts: Mapping[str, str]) -> str:
    """A regular expression for one name, the parts that are known already in their place."""
    out: list[str] = []
    seen: set[str] = set()
    for token in _TOKENS.finditer(segment):
        part = token["part"]
        if part is None:
            out.append({"*": ".*", "?": "."}.get(token[0]) or re.escape(token[0]))
        elif part in parts:
            out.append(re.escape(parts[part]))
        else:
            out.append(f"(?P={part})" if part in seen else f"(?P<{part}>.+)")
            seen.add(part)
    return "".join(out)


def suggestion(directory: Path) -> str:
    """A pattern that seems to describe a directory, "" if none does: the first image below it, its repeats as parts."""
    at = "" if directory == Path() else f"{directory}/"
    for root, directories, names in os.walk(directory):
        directories.sort()
        for name in sorted(names):
            if re.search(r"\.(nii(\.gz)?|png|jpe?g|bmp|nrrd|mha)$", name):
                below = Path(root).relative_to(directory).as_posix()
                if below == ".":
                    case = re.sub(r"(_[A-Za-z0-9]+)?\.(nii\.gz|\w+)$", "", name)
                    return f"{at}{name.replace(case, '{case}')}" if case else ""
                case = below.split("/")[0]
                return f"{at}{{case}}{below[len(case) :]}/{name.replace(case, '{case}')}"
    return ""
