"""The Python API: programs, sessions and runs.

import voxlogica as vx

program = vx.load("gbm.imgql")
run = program.run(hi=0.93, NAME="case7")
run["01_dice"]                 # what a print shows
run["gtv"].numpy()             # any definition that a goal needs, indexed [i, j, k]
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from threading import Lock
from types import MappingProxyType

from voxlogica.check import Checked, check, read_text
from voxlogica.check import shown as shown_path
from voxlogica.errors import (
    ComputationError,
    Diagnostic,
    InternalError,
    MachineError,
    ProgramError,
    Source,
    VoxLogicAError,
)
from voxlogica.execution.engine import Broken, ExecutionEngine, Finished
from voxlogica.execution.limits import processors
from voxlogica.formula import Formula
from voxlogica.session.binding import Bound, Options, bind, outputs
from voxlogica.session.running import Happening, Printed, Saved, Trouble, Watcher, happenings
from voxlogica.session.settings import Given, Scalar, Settings, settle
from voxlogica.storage import MemoryStorage, StorageBackend
from voxlogica.syntax.ast import Program as Syntax
from voxlogica.syntax.parser import parse
from voxlogica.values import Value

__all__ = [
    "Given",
    "Happening",
    "Options",
    "Printed",
    "Program",
    "Run",
    "Saved",
    "Session",
    "Trouble",
    "Watcher",
    "default_session",
    "load",
    "program",
    "raised",
    "read",
]


def read(path: Path) -> Source:
    """The text of a program. Raises `ProgramError` when there is none."""
    name = shown_path(path)
    if path.is_dir():
        raise ProgramError.of("usage", f"{name} is a directory, not a program")
    if not path.exists():
        help = "paths are relative to the directory where the command runs"
        raise ProgramError.of("usage", f"there is no program {name}", help=help)
    return Source(name, read_text(path, name, "usage"))


class Session:
    """Programs share what they compute through their session: one engine, one store, one set of threads.

    `jobs` is how many kernels run at once, `memory` the bytes that values may take; by default what this process may
    use. Used as a context manager, its threads end when it is left.
    """

    def __init__(
        self, *, storage: StorageBackend | None = None, jobs: int | None = None, memory: int | None = None
    ) -> None:
        self.jobs = jobs or processors()
        self._storage, self._memory = storage, memory
        self._engine: ExecutionEngine | None = None
        self._lock = Lock()

    @property
    def engine(self) -> ExecutionEngine:
        """The engine; made when first needed."""
        with self._lock:
            if self._engine is None:
                storage = self._storage if self._storage is not None else MemoryStorage()
                self._engine = ExecutionEngine(storage, jobs=self.jobs, memory=self._memory)
            return self._engine

    def load(self, path: str | Path, *, dialect: int | None = None, search: Sequence[Path] = ()) -> Program:
        """The program in a file, checked. Raises `ProgramError` with all that is wrong in it."""
        return Program(self, read(Path(path)), Path(path), dialect, search)

    def program(self, text: str, *, name: str = "program", dialect: int | None = None) -> Program:
        """The program that a text is, checked. Raises `ProgramError` with all that is wrong in it."""
        return Program(self, Source(name, text), None, dialect, ())

    def close(self) -> None:
        """Ends the session's threads."""
        with self._lock:
            if self._engine is not None:
                self._engine.close()
                self._engine = None

    def __enter__(self) -> Session:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._engine is not None:
            # Who interrupts does not want to wait for kernels; they end with the process, and their claims with them.
            self._engine.close(wait=kind is None or not issubclass(kind, KeyboardInterrupt))


class Program:
    """A program that is parsed and checked; immutable, and safe to run from several threads."""

    def __init__(
        self, session: Session, source: Source, path: Path | None, dialect: int | None, search: Sequence[Path]
    ) -> None:
        self.session, self.source, self.path, self.dialect = session, source, path, dialect
        self.syntax: Syntax = parse(source, dialect)
        self.checked: Checked = check(self.syntax, path, source.name, search)

    def __repr__(self) -> str:
        return f"<Program {self.source.name}: inputs {self.inputs}, goals {self.goals}>"

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the images it loads."""
        return tuple(each.name for each in self.checked.inputs)

    @property
    def parameters(self) -> Mapping[str, Scalar]:
        """What `run` can set, and the values they have in the program."""
        return MappingProxyType({name: each.literal.value for name, each in self.checked.parameters.items()})

    @property
    def goals(self) -> tuple[str, ...]:
        """The labels it prints and the files it saves, as written, in order."""
        return tuple(each.text.value for each in self.checked.goals)

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """What is suspicious and does not keep it from running."""
        return self.checked.warnings

    def settle(self, given: Sequence[Given], options: Options) -> Prepared:
        """The program with its settings, before any file is opened. Raises `ProgramError`."""
        settings = settle(self.checked, self.syntax, self.path, given, os.environ)
        return Prepared(self, settings, options)

    def run(self, *, output_dir: str | Path | None = None, save: bool = True, **settings: Scalar) -> Run:
        """Runs it: parameters and `$NAME`s by name, in upper case as in the program's strings.

        Files are written unless `save` is false. Raises `ProgramError`, `InputError`; what fails while computing is
        raised at the end, as an `ExceptionGroup` when it is several things.
        """
        given = [Given(name, value, f"{name}={value!r}") for name, value in settings.items()]
        options = Options(Path(output_dir) if output_dir is not None else None, jobs=self.session.jobs)
        prepared = self.settle(given, options)
        run = Run(prepared, prepared.bind(save=save))
        errors = [each.diagnostic for each in run.happenings() if isinstance(each, Trouble)]
        errors = [diagnostic for diagnostic in errors if diagnostic.severity == "error"]
        if errors:
            raise raised(errors)
        return run


def raised(diagnostics: Sequence[Diagnostic]) -> VoxLogicAError | ExceptionGroup[VoxLogicAError]:
    """The exception for what failed while computing; a group when there are several kinds."""
    kinds: dict[type[VoxLogicAError], list[Diagnostic]] = {}
    for diagnostic in diagnostics:
        kinds.setdefault(_KINDS.get(diagnostic.code, ComputationError), []).append(diagnostic)
    errors = [kind(*found) for kind, found in kinds.items()]
    return errors[0] if len(errors) == 1 else ExceptionGroup("several things failed", errors)


_KINDS: Mapping[str, type[VoxLogicAError]] = {
    "machine": MachineError,
    "output": MachineError,
    "internal": InternalError,
}


class Prepared:
    """A program with its settings; nothing has been opened yet."""

    def __init__(self, program: Program, settings: Settings, options: Options) -> None:
        self.program, self.settings = program, settings
        if program.syntax.dialect is not None:
            options = replace(options, dialect=program.syntax.dialect)
        self.options = options
        self.outputs = outputs(program.checked, settings, options)

    def bind(self, save: bool = True) -> Bound:
        """Opens the inputs and compares grids. Raises `InputError` with all that is unfit."""
        found = self.outputs if save else {}
        return bind(self.program.checked, self.settings, self.options, found)


class Run:
    """A run of a program and its results, by the label of a `print` or the name of a definition that a goal needs."""

    def __init__(self, prepared: Prepared, bound: Bound) -> None:
        self.program, self.settings, self.bound = prepared.program, prepared.settings, bound
        self.printed: dict[str, Value] = {}
        self.saved: list[Path] = []

    def __repr__(self) -> str:
        return f"<Run of {self.program.source.name}: {self.printed}, saved {[str(path) for path in self.saved]}>"

    def happenings(self, watcher: Watcher | None = None) -> Iterator[Happening]:
        """Computes the goals; yields what happens, as it does."""
        program = self.program
        for each in happenings(
            self.bound, program.checked, self.settings, Path(program.source.name).name, program.session.engine, watcher
        ):
            if isinstance(each, Printed):
                self.printed[each.label] = each.value
            elif isinstance(each, Saved):
                self.saved.append(each.path)
            yield each

    @cached_property
    def _definitions(self) -> Mapping[str, Formula]:
        found = {}
        for name, each in self.program.checked.definitions.items():
            formula = self.bound.slots[each.slot]
            if formula is not None:
                found[name] = formula
        return found

    def __getitem__(self, name: str) -> Value:
        """What a `print` showed or a definition stands for; computed, or found again, when asked for.

        Raises `KeyError` for an unknown name and `ComputationError` when it cannot be computed.
        """
        if name in self.printed:
            return self.printed[name]
        formula = self._definitions.get(name)
        if formula is None:
            known = ", ".join([*self.printed, *self._definitions])
            raise KeyError(f"{self.program.source.name} has no print and no definition {name!r} in use; it has {known}")
        ((_, outcome),) = self.program.session.engine.run([formula])
        if isinstance(outcome, Finished):
            return outcome.value
        assert isinstance(outcome, Broken)
        error, origin = outcome.error, outcome.formula.origin
        span, chain = (origin.span, origin.chain) if origin is not None else (None, ())
        raise raised([Diagnostic("compute", error.message, span, chain=chain, details=error.details, help=error.help)])

    def __iter__(self) -> Iterator[str]:
        return iter((*self.printed, *self._definitions))


_default: Session | None = None
_default_lock = Lock()


def default_session() -> Session:
    """The session of this process that programs use unless they are given another."""
    global _default
    with _default_lock:
        if _default is None:
            _default = Session()
        return _default


def load(path: str | Path, *, dialect: int | None = None, search: Sequence[Path] = ()) -> Program:
    """The program in a file, in the default session. Raises `ProgramError` with all that is wrong in it."""
    return default_session().load(path, dialect=dialect, search=search)


def program(text: str, *, name: str = "program", dialect: int | None = None) -> Program:
    """The program that a text is, in the default session. Raises `ProgramError` with all that is wrong in it."""
    return default_session().program(text, name=name, dialect=dialect)
