"""Cases: the patients of a study, found by patterns, listed in a table, or in a BIDS directory.

A case is a name, some values by name (the parts of a pattern, the columns of a table), and some files. What is looked
for and not found is noted in the case itself, so that one that is incomplete stops nobody else.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from voxlogica._dataclass import dataclass, field
from voxlogica.errors import ProgramError
from voxlogica.images.patterns import EXAMPLE, Pattern, named, suggestion

_NAME_COLUMNS = ("case", "name", "id", "subject", "patient")


@dataclass(frozen=True, slots=True)
class Case:
    """One case. `values` are parts and columns; `files` are by the name a pattern was given for, "" if none was;
    `lacking` says, by the same names, what was looked for and is not there."""

    name: str
    values: Mapping[str, str]
    files: Mapping[str, str] = field(default_factory=dict)
    lacking: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Cases(Sequence[Case]):
    """The cases of a study, in order; `text` is how they were asked for, `looked` what was looked for and how often it
    was found, `columns` those of a table but for the one that names the cases."""

    text: str
    items: tuple[Case, ...]
    looked: tuple[tuple[str, int], ...] = ()
    columns: tuple[str, ...] = ()

    def __repr__(self) -> str:
        names = [case.name for case in self.items]
        return f"<{len(names)} cases of {self.text}: {', '.join(names[:3])}{', …' if len(names) > 3 else ''}>"

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, at: int | slice) -> Case | Cases:  # type: ignore[override]
        return self.items[at] if isinstance(at, int) else Cases(self.text, self.items[at], self.looked, self.columns)

    def __iter__(self) -> Iterator[Case]:
        return iter(self.items)


ONLY = Cases("", (Case("", {}),))
"""No case in particular: the program as it is."""


def find(given: Sequence[str]) -> Cases:
    """The cases that some texts describe, each `PATTERN`, `NAME=PATTERN`, the path of a table, or a BIDS directory.

    Several patterns are joined by their parts. Raises `ProgramError`, also when there is no case at all.
    """
    cases = _find(given)
    if not cases.items:
        looked = ", ".join(text for text, _ in cases.looked)
        why = [said for text, _ in cases.looked if "{" in text and (said := Pattern.of(named(text)[1]).astray())]
        raise ProgramError.of("usage", f"there is no case in {looked}", details=tuple(why))
    return cases


def _find(given: Sequence[str]) -> Cases:
    text = " ".join(given)
    if len(given) == 1 and not named(given[0])[0]:
        path = Path(given[0]).expanduser()
        if path.suffix.lower() in (".csv", ".tsv") and "{" not in given[0]:
            return read_table(path)
        if path.is_dir():
            return read_bids(path)
    patterns: dict[str, Pattern] = {}
    for each in given:
        name, pattern = named(each)
        if "{" not in pattern:
            what = "is a file, not" if Path(pattern).is_file() else "is neither a directory, a table nor"
            raise ProgramError.of("usage", f"{pattern} {what} a pattern with named parts", help=EXAMPLE)
        if name in patterns:
            whose = f"`{name}` has two patterns" if name else "there are two patterns that are for no input"
            raise ProgramError.of("usage", whose, help="write   --cases INPUT=PATTERN   for each")
        patterns[name] = Pattern.of(pattern)
    return _joined(text, patterns)


def _joined(text: str, patterns: Mapping[str, Pattern]) -> Cases:
    """The cases that any pattern with the most parts finds, with the files of all."""
    lead = max(patterns.values(), key=lambda pattern: len(pattern.parts)).parts
    for pattern in patterns.values():
        strange = [part for part in pattern.parts if part not in lead]
        if strange:
            message = f"`{{{strange[0]}}}` is in {pattern.text}, and not in the pattern with the most parts"
            raise ProgramError.of("usage", message, help=f"its parts are {', '.join(lead)}")
    found: dict[str, dict[tuple[str, ...], list[str]]] = {name: {} for name in patterns}
    keys: dict[tuple[str, ...], None] = {}
    for name, pattern in patterns.items():
        for path, parts in pattern.find():
            found[name].setdefault(tuple(parts[part] for part in pattern.parts), []).append(path)
            if len(pattern.parts) == len(lead):
                keys[tuple(parts[part] for part in lead)] = None
    cases = [_case(dict(zip(lead, key, strict=True)), patterns, found) for key in sorted(keys)]
    looked = []
    for name, pattern in patterns.items():
        there = [found[name].get(tuple(case.values[part] for part in pattern.parts), ()) for case in cases]
        looked.append((f"{name}={pattern.text}" if name else pattern.text, sum(map(len, there))))
    return Cases(text, tuple(cases), tuple(looked))


def _case(
    parts: dict[str, str], patterns: Mapping[str, Pattern], found: Mapping[str, Mapping[tuple[str, ...], list[str]]]
) -> Case:
    files: dict[str, str] = {}
    lacking: dict[str, str] = {}
    for name, pattern in patterns.items():
        there = found[name].get(tuple(parts[part] for part in pattern.parts), [])
        whose = f"{name}: " if name else ""
        if len(there) == 1:
            files[name] = there[0]
        elif there:
            more = ", …" if len(there) > 2 else ""
            lacking[name] = f"{whose}{len(there)} files match, and one is wanted: {', '.join(there[:2])}{more}"
        else:
            lacking[name] = f"{whose}there is no file {pattern.fill(parts)}"
    return Case("/".join(parts.values()), parts, files, lacking)


# Tables


def read_table(path: Path) -> Cases:
    """The cases of a .csv or .tsv file: a line of column names, then a line per case; `;` may stand for the commas.

    A case is named by the column case, name, id, subject or patient, else by the first. Paths are relative to the
    working directory, as everywhere. Raises `ProgramError`.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            first = file.readline()
            file.seek(0)
            rows = list(csv.reader(file, delimiter=_delimiter(path, first)))
    except FileNotFoundError:
        raise ProgramError.of("usage", f"there is no table {path}") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ProgramError.of("usage", f"{path} cannot be read as a table", details=(str(error),)) from error
    columns = [name.strip() for name in rows[0]] if rows else []
    if not columns or not all(columns) or len(set(columns)) < len(columns):
        help = "its first line names the columns, for example   case,flair,seg"
        raise ProgramError.of("usage", f"{path} has no line of distinct column names", help=help)
    lower = [name.lower() for name in columns]
    at = next((lower.index(name) for name in _NAME_COLUMNS if name in lower), 0)
    cases: dict[str, Case] = {}
    for number, row in enumerate(rows[1:], 2):
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(columns):
            raise ProgramError.of("usage", f"{path}, line {number}: {len(row)} cells for {len(columns)} columns")
        values = dict(zip(columns, [cell.strip() for cell in row], strict=True))
        name = values[columns[at]]
        if name in cases or not _is_name(name):
            why = "stands twice" if name in cases else "is no name for a case"
            raise ProgramError.of("usage", f"{path}, line {number}: {name or 'an empty cell'} {why}")
        lacking = {column: f"{column}: the table {path} has none" for column, value in values.items() if not value}
        cases[name] = Case(name, values, {}, lacking)
    others = tuple(column for column in columns if column != columns[at])
    return Cases(str(path), tuple(cases.values()), ((str(path), len(cases)),), others)


def _delimiter(path: Path, first: str) -> str:
    """What is between cells: spreadsheets where the comma is a decimal point write semicolons."""
    if path.suffix.lower() == ".tsv":
        return "\t"
    return ";" if ";" in first and "," not in first else ","


def _is_name(name: str) -> bool:
    """Whether a name can be that of a directory too, in which the case's files go."""
    return all(part not in ("", ".", "..") for part in name.split("/")) and "\0" not in name


# BIDS

_BIDS = re.compile(r"(?P<entities>(?:[a-z]+-[A-Za-z0-9]+_)*)(?P<suffix>[A-Za-z0-9]+)\.nii(?:\.gz)?")


def read_bids(directory: Path) -> Cases:
    """The cases of a BIDS directory: its subjects, or their sessions; raw files, and those of its derivatives.

    A file is called by its suffix (`FLAIR`, `T1w`), preceded by what tells it from others of that suffix in the case
    (`acq-axial_T1w` is `acq_axial_T1w`), derivatives by their `desc` and `label` too (`desc_tumour_mask`).
    """
    if not (directory / "dataset_description.json").is_file() and not any(directory.glob("sub-*/")):
        pattern = suggestion(directory)
        help = f"write a pattern, {f'perhaps   {pattern!r}' if pattern else EXAMPLE}"
        raise ProgramError.of("usage", f"{directory} is no BIDS directory: it has no sub-*", help=help)
    found: dict[str, list[tuple[dict[str, str], str, str]]] = {}
    for root in (directory, *sorted(directory.glob("derivatives/*/"))):
        for path in sorted(root.glob("sub-*/**/*.nii*")):
            match = _BIDS.fullmatch(path.name)
            if match:
                entities = dict(pair.split("-", 1) for pair in match["entities"].split("_") if pair)
                names = [f"{key}-{entities.pop(key)}" for key in ("sub", "ses") if key in entities]
                found.setdefault("/".join(names), []).append((entities, match["suffix"], str(path)))
    cases = [_bids_case(name, files) for name, files in sorted(found.items())]
    kinds = dict.fromkeys(kind for case in cases for kind in case.files)
    whole = tuple(
        Case(
            case.name, case.values, case.files, {k: f"{k}: there is no such file" for k in kinds if k not in case.files}
        )
        for case in cases
    )
    looked = tuple((f"{directory}: {kind}", sum(kind in case.files for case in cases)) for kind in kinds)
    return Cases(str(directory), whole, looked or ((str(directory), 0),))


def _bids_case(name: str, found: Sequence[tuple[dict[str, str], str, str]]) -> Case:
    values = {key: value for key, _, value in (pair.partition("-") for pair in name.split("/"))}
    files: dict[str, str] = {}
    for entities, suffix, path in found:
        same = [other for other, kind, _ in found if kind == suffix]
        telling = [
            f"{key}_{value}_"
            for key, value in entities.items()
            if key in ("desc", "label") or any(other.get(key) != value for other in same)
        ]
        files["".join(telling) + suffix] = path
    return Case(name, values, files)
