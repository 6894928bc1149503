"""Imports (C4): from a main program to all its commands in order, an imported file's in the place of the import.

The import of a namespace (C16) stays a command. The library of a namespace comes before the program, its definitions
under their whole names, if the program imports the namespace or names anything in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache, cached_property
from pathlib import Path

from voxlogica import library
from voxlogica._dataclass import dataclass, replace
from voxlogica.check.absent import instead_of
from voxlogica.errors import Diagnostic, Mark, ProgramError, Source, Span, close_matches, reason_of
from voxlogica.operators import by_symbol, families
from voxlogica.syntax.ast import Command, Import, Let, Load, Print, Program, Save
from voxlogica.syntax.parser import parse

STANDARD = "stdlib"
"""The library that every program imports first."""


@dataclass(frozen=True, eq=False)
class File:
    """A file of a program: `path` is None for text that has none; `at` is where it was imported, if it was."""

    path: Path | None
    name: str
    program: Program
    at: Span | None = None
    bundled: bool = False

    @property
    def main(self) -> bool:
        """Whether it is the program itself."""
        return self.at is None and not self.bundled

    @cached_property
    def has_dollars(self) -> bool:
        """Whether there may be names in its strings."""
        return any("$" in source.text for source in {command.span.source for command in self.program.commands})


def commands(main: File, search: Sequence[Path] = ()) -> list[tuple[File, Command]]:
    """All commands of a program, the libraries' first; raises `ProgramError` with all that is wrong."""
    gathering = _Gathering(main, search)
    out = list(gathering.walk())
    if gathering.problems:
        raise ProgramError(*gathering.problems)
    first = library.path(STANDARD)
    standard = next((n for n, (file, _) in enumerate(out) if file.path != first), len(out))
    return [*out[:standard], *_of_namespaces(gathering.namespaces), *out[standard:]]


def _of_namespaces(namespaces: Iterable[str]) -> Iterator[tuple[File, Command]]:
    """The definitions of their libraries, those that have one."""
    for namespace in sorted(namespaces):
        path = library.path(namespace)
        if path is not None:
            file = File(path, path.name, _library(path), bundled=True)
            for command in file.program.commands:
                assert isinstance(command, Let)
                yield file, replace(command, name=f"{namespace}.{command.name}")


class _Gathering:
    def __init__(self, main: File, search: Sequence[Path]) -> None:
        self.main, self.search = main, search
        self.problems: list[Diagnostic] = []
        self.namespaces: set[str] = set()
        self._seen: set[Path] = set() if main.path is None else {main.path.resolve()}
        self._open: list[File] = []  # the chain of imports at which the walk is

    def walk(self) -> Iterator[tuple[File, Command]]:
        standard = library.path(STANDARD)
        assert standard is not None
        stack: list[tuple[File, Iterator[Command]]] = []
        self._enter(stack, self.main)
        if standard.resolve() not in self._seen:
            self._seen.add(standard.resolve())
            self._enter(stack, self._bundled(standard))
        while stack:
            file, commands = stack[-1]
            main = file.main
            for command in commands:
                if isinstance(command, Import):
                    if self._is_namespace(file, command):
                        self.namespaces.add(command.path.value)
                        yield file, command
                        continue
                    imported = self._import(file, command)
                    if imported is not None:
                        self._enter(stack, imported)
                        break
                elif main or not isinstance(command, (Load, Save, Print)):
                    yield file, command
                else:
                    self.problems.append(_effect(file, command))
            else:
                stack.pop()
                self._open.pop()

    def _enter(self, stack: list[tuple[File, Iterator[Command]]], file: File) -> None:
        text = file.program.commands[0].span.source.text if file.program.commands else ""
        self.namespaces |= {namespace for namespace in library.NAMESPACES if f"{namespace}." in text}
        stack.append((file, iter(file.program.commands)))
        self._open.append(file)

    def _bundled(self, path: Path, at: Span | None = None) -> File:
        return File(path, path.name, _library(path), at, bundled=True)

    def _import(self, file: File, command: Import) -> File | None:
        """The file to be imported, None when it was already, or cannot be."""
        wanted = command.path.value
        path = self._find(file, wanted)
        if path is None:
            self.problems.append(self._missing(file, command))
            return None
        resolved = path.resolve()
        for n, above in enumerate(self._open):
            if above.path is not None and above.path.resolve() == resolved:
                self.problems.append(_cycle(self._open[n:], command, above))
                return None
        if resolved in self._seen:
            return None
        self._seen.add(resolved)
        if path.parent == library.DIRECTORY:
            return self._bundled(path, command.path.span)
        name = shown(path)
        try:
            text = read_text(path, name)
            program = parse(Source(name, text))
        except ProgramError as error:
            self.problems += [d if d.span else replace(d, span=command.path.span) for d in error.diagnostics]
            return None
        return File(path, name, program, command.path.span)

    def _find(self, file: File, wanted: str) -> Path | None:
        beside = file.path.parent if file.path is not None else Path()
        for directory in (beside, Path(), *self.search):
            for path in (directory / wanted, directory / f"{wanted}.imgql"):
                if path.is_file():
                    return path
        return library.path(wanted)

    def _is_namespace(self, file: File, command: Import) -> bool:
        """Whether a namespace is imported: a file of its name would come first, but for a library that is its own."""
        wanted = command.path.value
        return wanted in library.NAMESPACES and self._find(file, wanted) in (None, library.path(wanted))

    def _missing(self, file: File, command: Import) -> Diagnostic:
        wanted = command.path.value
        if (instead := instead_of(wanted)) is not None:
            message = f'the namespace "{wanted}" {instead.reason}'
            return Diagnostic("import", message, command.path.span, help=instead.help)
        close = close_matches(wanted, [*library.names(), *library.NAMESPACES, *self._beside(file)], 0.75)
        gone = "   (there is no such directory)"
        places = [f"  in {shown(directory)}{'' if directory.is_dir() else gone}" for directory in self.search]
        return Diagnostic(
            "import",
            f'there is no file "{wanted}" to import',
            command.path.span,
            f"did you mean `{close[0]}`?" if close else "",
            details=(
                f"looked for {wanted} and {wanted}.imgql",
                f"  beside {file.name}",
                "  in the directory where the command runs",
                *places,
                "  among the libraries that come with VoxLogicA",
            ),
        )

    def _beside(self, file: File) -> list[str]:
        """The programs that lie beside a file."""
        directory = file.path.parent if file.path is not None else Path()
        return [each for path in directory.glob("*.imgql") if path != file.path for each in (path.name, path.stem)]


@cache
def _library(path: Path) -> Program:
    """A bundled library; its text does not change while a process runs."""
    return parse(Source(path.name, path.read_text("utf-8")))


@cache
def members(namespace: str) -> tuple[str, ...]:
    """The names in a namespace, without it: what no import is needed for is in none."""
    if namespace == "simpleitk":
        from voxlogica.operators import simpleitk  # long to read

        return tuple([name for name, ways in simpleitk.functions().items() if not isinstance(ways, str)])
    path = library.path(namespace)
    defined = [] if path is None else [c.name for c in _library(path).commands if isinstance(c, Let)]
    prefix = f"{namespace}."
    return (
        *dict.fromkeys(defined + [s.removeprefix(prefix) for s in (*by_symbol(), *families()) if s.startswith(prefix)]),
    )


def unusable(word: str) -> str:
    """Why a function of SimpleITK cannot be used; "" when it can, or there is none."""
    from voxlogica.operators import simpleitk  # long to read

    reason = simpleitk.functions().get(word, "")
    return reason if isinstance(reason, str) else ""


def _effect(file: File, command: Load | Save | Print) -> Diagnostic:
    word = type(command).__name__.lower()
    at = file.at
    assert at is not None
    helps = {
        "load": "load the file in the main program, and give it to functions as an argument",
        "save": "give what is to be saved a name here, and save it in the main program",
        "print": "give what is to be printed a name here, and print it in the main program",
    }
    return Diagnostic(
        "import",
        f"`{word}` stands in a file that is imported",
        Span(command.span.source, command.span.start, command.span.start + len(word)),
        marks=(Mark(at, "imported here"),),
        help=helps[word],
    )


def _cycle(chain: Sequence[File], command: Import, again: File) -> Diagnostic:
    steps = [f"{below.at} imports {below.name}" for below in chain[1:]]
    return Diagnostic(
        "import",
        "these files import each other in a circle" if len(chain) > 1 else "this file imports itself",
        command.path.span,
        details=(
            *([f"{chain[0].at} imports {chain[0].name}"] if chain[0].at is not None else []),
            *steps,
            f"{command.path.span} imports {again.name} again",
        ),
        help="move what both need into a third file, and import that one from both"
        if len(chain) > 1
        else "remove this line",
    )


def shown(path: Path) -> str:
    """How a file's name is shown: from the working directory if it is below it."""
    absolute = Path(path).absolute()
    parts: list[str] = []
    for part in absolute.parts:  # not resolve(): a link keeps the name its user knows it by
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    plain = Path(*parts)
    return str(plain.relative_to(Path.cwd()) if plain.is_relative_to(Path.cwd()) else plain)


def read_text(path: Path, name: str, code: str = "import") -> str:
    """A program's text; raises `ProgramError` when it is not text in UTF-8."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ProgramError.of(code, f"{name} cannot be read: {reason_of(error)}") from error
    return decoded(data, name, code)


def decoded(data: bytes, name: str, code: str) -> str:
    """The text that a program's bytes are; raises `ProgramError` when they are not text in UTF-8."""
    if b"\0" in data:
        raise ProgramError.of(
            code,
            f"{name} is not a program: it is not text",
            help="a program is a text file in UTF-8; is this an image?",
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ProgramError.of(
            code,
            f"{name} is not in UTF-8: line {line} has a character in another encoding",
            help="save it again with the encoding UTF-8",
        ) from error
    return text if "\n" in text else text.replace("\r", "\n")  # lines once ended so, and some programs still do it
