"""Patterns with named parts: `data/{case}/{case}_flair.nii.gz` names files, and what the parts are in each of them.

A part stands for one or more characters of one file or directory name, as many as possible, and for the same text
wherever it occurs. `*` and `?` match as in a shell, `**` any directories. Names that begin with a dot are passed over
unless the pattern has the dot.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

from voxlogica._dataclass import dataclass
from voxlogica.errors import ProgramError, Refusal

_TOKENS = re.compile(r"\{(?P<part>[^{}]*)\}|(?P<wild>[*?])|(?P<text>[^{}*?]+)|(?P<brace>[{}])")
_PART = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NAMED = re.compile(r"([A-Za-z_]\w*)=(.+)", re.DOTALL)
EXAMPLE = "for example   'data/{case}/{case}_flair.nii.gz'"

Found = tuple[str, dict[str, str]]
"""A path, and the text of each part in it."""


def named(text: str) -> tuple[str, str]:
    """The name before a pattern, as in `seg={case}_seg.nii.gz`, "" if there is none, and the pattern."""
    match = _NAMED.fullmatch(text)
    return (match[1], match[2]) if match else ("", text)


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
        if text.rstrip("/").endswith("**"):
            raise ProgramError.of("usage", f"{text}: after ** the name of a file must come", help=EXAMPLE)
        return cls(text, tuple(parts))

    def find(self) -> Iterator[Found]:
        """The files there are, sorted by path, directory by directory."""
        yield from _walk(*self._begin(), {})

    def astray(self) -> str:
        """Why nothing is found, in words: the first place where what must come next is not there."""
        root, segments = self._begin()
        for n in range(len(segments) - 1, -1, -1):
            wanted, there = segments[n], _walk(root, segments[:n], {}) if n else iter([(root or ".", {})])
            for path, parts in there:
                if wanted != "**" and Path(path).is_dir():
                    name, names = _filled(wanted, parts), _names(path + "/")
                    from difflib import get_close_matches

                    close = get_close_matches(name, names, 3, 0.5) or names[:3]
                    have = (
                        f"it has {', '.join(close)}{', …' if len(names) > len(close) else ''}"
                        if names
                        else "it is empty"
                    )
                    return f"nothing in {path} is called {name}: {have}"
        return ""

    def _begin(self) -> tuple[str, list[str]]:
        """The directory where the search begins ("" or ending in a slash), and the names to come."""
        first, *rest = _at_home(self.text).rstrip("/").split("/")
        return (first + "/", rest) if rest and not first else ("", [first, *rest])

    def fill(self, parts: Mapping[str, str]) -> str:
        """The path that was looked for: the pattern with the parts that are known."""
        return _filled(self.text, parts)


def entries(root: str, pattern: str, recursive: bool, full_paths: bool) -> list[str]:
    """The files and directories in a directory that a pattern without parts matches, if `recursive` those below too.

    Sorted; by their paths below the root, or with the root before them if `full_paths`. Raises `Refusal`.
    """
    if re.search("[{}]", pattern) or not pattern.strip("/"):
        help = '`dir` takes * and ? alone:   dir("data", "*_flair.nii.gz");   named parts are for `dataset`'
        raise Refusal(f'"{pattern}" is no pattern for the names in a directory', help=help)
    where = _at_home(root)
    if not Path(where).is_dir():
        raise Refusal(f"there is no directory {root}" if not Path(where).exists() else f"{root} is not a directory")
    above = where.rstrip("/") + "/"
    segments = [*(["**"] if recursive else []), *pattern.strip("/").split("/")]
    found = sorted({path for path, _ in _walk(above, segments, {})})
    return found if full_paths else [path.removeprefix(above) for path in found]


def _at_home(path: str) -> str:
    """A path in which `~` is the home directory."""
    return str(Path.home()) + path[1:] if path == "~" or path.startswith("~/") else path


def _filled(text: str, parts: Mapping[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: parts.get(match[1], match[0]), text)


def _walk(directory: str, segments: list[str], parts: dict[str, str]) -> Iterator[Found]:
    """What lies below a directory ("" or ending in a slash) that the remaining segments match."""
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
    """A pattern that seems to describe a directory, "" if none does: volumes before pictures, then what most match."""
    found = Counter(pattern for path in islice(_images(directory), MANY) for pattern in _general(directory, path))

    def rank(pattern: str) -> tuple[bool, int, int]:
        return bool(_FLAT.search(pattern)), -found[pattern], -pattern.count("{case}")

    return min(found, key=rank, default="")


MANY = 10_000
"""Files that are looked at for a suggestion."""
_FLAT = re.compile(r"\.(png|jpe?g|bmp)$", re.IGNORECASE)
_VOLUME = re.compile(r"\.(nii(\.gz)?|nrrd|mha)$")


def _images(directory: Path) -> Iterator[Path]:
    for root, directories, names in os.walk(directory):
        directories.sort()
        yield from (Path(root, name) for name in sorted(names) if _VOLUME.search(name) or _FLAT.search(name))


def _general(directory: Path, path: Path) -> Iterator[str]:
    """Patterns of which a file is an instance: a directory's name is the case, or what its own begins with."""
    at, *below = "" if directory == Path() else f"{directory}/", *path.relative_to(directory).parts
    cases = below[:-1] or [re.sub(r"(_[A-Za-z0-9]+)?\.(nii\.gz|\w+)$", "", path.name)]
    yield from (at + "/".join(below).replace(case, "{case}") for case in cases if case)
