"""What can go wrong and where: the exception tree, positions in text, and diagnostics.

    VoxLogicAError
    ├── ProgramError       the program or the arguments are wrong        exit status 2
    ├── InputError         a file is missing or unfit                    exit status 3
    ├── ComputationError   an operator refused its values                exit status 1
    ├── MachineError       the machine refused: disk, memory, permission exit status 1
    └── InternalError      our bug                                       exit status 4

Every exception of the tree carries `diagnostics`; `render` turns one into the text a person reads, `as_data` into plain
data. What a diagnostic advises is said as on the command line; the text of an exception says it `in_python`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from unicodedata import combining, east_asian_width

from voxlogica._dataclass import NamedTuple, dataclass, replace


def close_matches(word: str, words: Iterable[str], cutoff: float = 0.6) -> list[str]:
    """The one of the words that was probably meant, if there is one."""
    from difflib import get_close_matches  # only who errs pays for its import

    return get_close_matches(word, list(words), 1, cutoff)


class Source:
    """A program text and the name it is shown by; compared by identity."""

    __slots__ = ("_starts", "name", "text")

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        self._starts: list[int] | None = None

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of a character offset, both from 1; the column counts characters."""
        if self._starts is None:
            self._starts = [0, *(i + 1 for i, c in enumerate(self.text) if c == "\n")]
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def line(self, number: int) -> str:
        """The text of a line, from 1, without its end; "" past the last one."""
        self.position(0)
        assert self._starts is not None
        if number > len(self._starts):
            return ""
        start = self._starts[number - 1]
        end = self.text.find("\n", start)
        return self.text[start : end if end >= 0 else len(self.text)].rstrip("\r")

    def __repr__(self) -> str:
        return f"Source({self.name!r}, {len(self.text)} characters)"


class Span(NamedTuple):
    """Characters `start` to `end` (exclusive) of a source."""

    source: Source
    start: int
    end: int

    @property
    def text(self) -> str:
        """The characters themselves."""
        return self.source.text[self.start : self.end]

    def __str__(self) -> str:
        line, column = self.source.position(self.start)
        return f"{self.source.name}:{line}:{column}"

    def __repr__(self) -> str:
        return f"<{self}-{self.end - self.start}>"


class Mark(NamedTuple):
    """Another place that belongs to a diagnostic: `-` where something was defined, `~` what it is combined with."""

    span: Span
    label: str = ""
    sign: str = "-"


class Frame(NamedTuple):
    """One step of the chain of definitions: the definition `name`, used at `span`."""

    name: str
    span: Span


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One thing that is wrong, said once, with everything needed to mend it.

    `code` is the kind (`syntax`, `name`, `type`, `input`, …); `span` the place the caret points at; `label` the words
    after the caret; `marks` the other places; `chain` the calls that led here, innermost first; `details` lines shown
    as they are; `help` what to do.
    """

    code: str
    message: str
    span: Span | None = None
    label: str = ""
    marks: tuple[Mark, ...] = ()
    chain: tuple[Frame, ...] = ()
    details: tuple[str, ...] = ()
    help: str = ""
    severity: str = "error"


class VoxLogicAError(Exception):
    """Something went wrong."""

    def __init__(self, *diagnostics: Diagnostic) -> None:
        self.diagnostics = diagnostics
        super().__init__("\n\n".join(render(in_python(d)) for d in diagnostics))

    @classmethod
    def of(cls, code: str, message: str, span: Span | None = None, **more: object) -> VoxLogicAError:
        """An exception with one diagnostic, made from the diagnostic's fields."""
        return cls(Diagnostic(code, message, span, **more))  # type: ignore[arg-type]

    def _render_traceback_(self) -> list[str]:
        """What IPython shows of it in place of a traceback: the place that counts is in the program."""
        return str(self).splitlines()


class ProgramError(VoxLogicAError):
    """The program or the arguments are wrong."""


class InputError(VoxLogicAError):
    """A file is missing or unfit."""


class Refusal(Exception):
    """Values or a file cannot be used; raised where no position in a program is known, which the session adds."""

    def __init__(self, message: str, details: tuple[str, ...] = (), help: str = "", label: str = "") -> None:
        super().__init__(message)
        self.message, self.details, self.help, self.label = message, details, help, label


def human_size(count: float) -> str:
    """Bytes for people: units of thousands, one decimal."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def reason_of(error: OSError) -> str:
    """Why the system refused, as the rest of a sentence."""
    text = error.strerror or str(error)
    return text[:1].lower() + text[1:]


class ComputationError(VoxLogicAError):
    """An operator refused its values."""


class MachineError(VoxLogicAError):
    """The machine refused: disk, memory, permission."""


class InternalError(VoxLogicAError):
    """A bug in VoxLogicA."""


_IN_PYTHON = (
    (r"--set (\w+)=(\S+)", r"\1=\2"),
    (r"what --set gives", "what arguments give"),
    (r"(?<!\w)-p (\w+)=", r"\1="),
    (r"--grid-tolerance ([\d.e+-]+)mm", r"grid_tolerance=\1"),
    (r"--dialect (\d)", r"dialect=\1"),
    (r"--jobs (\d+)", r"vx.Session(jobs=\1)"),
    (r"--store( DIR)?(?!\w)", "vx.Session(store=DIR)"),
    (r"--no-store", "vx.Session(store=False)"),
    (r"--output-dir( DIR)?", "output_dir"),
    (r"--table (?=\S)", ""),
    (r"--cases (\w+)=('[^']*'|PATTERN|…)", r"vx.cases(\1=\2)"),
    (r"--cases (\w+\.csv)", r'vx.cases("\1")'),
    (r"   and repeat --cases for others", ", with others beside it"),
    (r"the directory where the command runs", "the working directory"),
)
"""How the command line says it, and how Python does."""


def in_python(diagnostic: Diagnostic) -> Diagnostic:
    """The diagnostic for who calls us from Python: arguments in place of options."""
    import re  # only who errs pays for its import

    def said(text: str) -> str:
        for pattern, replacement in _IN_PYTHON:
            text = re.sub(pattern, replacement, text)
        return text

    details = tuple(map(said, diagnostic.details))
    return replace(diagnostic, message=said(diagnostic.message), details=details, help=said(diagnostic.help))


_EXCERPT = 110  # characters of a source line shown around a mark
_CHAIN = 8  # frames shown before the middle of a chain is left out


def render(diagnostic: Diagnostic) -> str:
    """The text of a diagnostic, several lines without a final newline, no colour."""
    lines = [f"{diagnostic.severity}[{diagnostic.code}]: {diagnostic.message}"]
    if diagnostic.span is not None:
        lines.append(f"  {diagnostic.span}")
        lines += _excerpt(diagnostic.span, diagnostic.label, diagnostic.marks)
    lines += _chain(diagnostic.chain)
    lines += [f"  {line}" if line else "" for line in diagnostic.details]
    if diagnostic.help:
        first, *rest = diagnostic.help.split("\n")
        lines += [f"  help: {first}", *(f"        {line}" for line in rest)]
    return "\n".join(lines)


def _excerpt(span: Span, label: str, marks: Iterable[Mark]) -> list[str]:
    """The marked source lines, in the order of the text, those of another file under that file's position."""
    by_source: dict[Source, dict[int, list[Mark]]] = {span.source: {}}
    for mark in (Mark(span, label, "^"), *marks):
        line, _ = mark.span.source.position(mark.span.start)
        by_source.setdefault(mark.span.source, {}).setdefault(line, []).append(mark)
    lines: list[str] = []
    for source, rows in by_source.items():
        if source is not span.source:
            lines.append(f"  {next(iter(rows.values()))[0].span}")
        for number in sorted(rows):
            lines += _marked(source.line(number), number, source, rows[number])
    return lines


def _marked(text: str, number: int, source: Source, marks: list[Mark]) -> list[str]:
    """One source line and the signs under it; a long line is cut to a window around its first mark."""
    columns = sorted((source.position(m.span.start)[1] - 1, m) for m in marks)
    window = max(0, columns[0][0] - _EXCERPT // 2) if len(text) > _EXCERPT else 0
    shown = "".join(c if c.isprintable() else " " for c in text[window : window + _EXCERPT])
    prefix = "…" if window else ""
    suffix = "…" if window + _EXCERPT < len(text) else ""
    out = [f"{number:>7} | {prefix}{shown}{suffix}".rstrip()]
    signs, labels = "", []
    for column, mark in columns:
        if column - window > _EXCERPT:
            continue
        start = len(prefix) + _wide(shown[: column - window])
        marked = shown[column - window :][: min(mark.span.end - mark.span.start, len(text) - column)]
        width = max(1, _wide(marked))
        signs = signs.ljust(start)[:start] + mark.sign * width
        if mark.label:
            labels.append((start, mark.label))
    last = labels.pop() if labels else None
    out.append(f"        | {signs}{' ' + last[1] if last else ''}")
    out += [f"        | {'':{start}}{label}" for start, label in reversed(labels)]
    return out


def _wide(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def _chain(chain: tuple[Frame, ...]) -> list[str]:
    shown = [f"  in `{frame.name}`, used at {frame.span}" for frame in chain]
    if len(shown) > _CHAIN:
        left_out = len(shown) - _CHAIN
        shown[_CHAIN // 2 : -_CHAIN // 2] = [f"  … {left_out} more …"]
    return shown


def as_data(diagnostic: Diagnostic) -> dict[str, object]:
    """A diagnostic as plain data for JSON; lines and columns from 1, ends exclusive."""

    def place(span: Span) -> dict[str, object]:
        line, column = span.source.position(span.start)
        end_line, end_column = span.source.position(span.end)
        return {
            "file": span.source.name, "line": line, "column": column, "end_line": end_line, "end_column": end_column,
        }  # fmt: skip

    return {
        "severity": diagnostic.severity,
        "code": diagnostic.code,
        "message": diagnostic.message,
        **({"at": place(diagnostic.span)} if diagnostic.span else {}),
        "label": diagnostic.label,
        "marks": [{**place(m.span), "label": m.label} for m in diagnostic.marks],
        "chain": [{"name": f.name, **place(f.span)} for f in diagnostic.chain],
        "details": list(diagnostic.details),
        "help": diagnostic.help,
    }
