"""The Python API: programs, sessions and runs.

import voxlogica as vx

program = vx.load("gbm.imgql")
run = program.run(hi=0.93, NAME="case7")
run["01_dice"]                 # what a print shows
run["gtv"].numpy()             # any definition that a goal needs, indexed [i, j, k]
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from voxlogica._dataclass import replace
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
    reason_of,
)
from voxlogica.execution.engine import Broken, ExecutionEngine, Finished
from voxlogica.execution.limits import processors
from voxlogica.execution.planning import planned
from voxlogica.formula import Formula
from voxlogica.plan import Workplan
from voxlogica.session.binding import Bound, Options, Shared, bind, digests_of, outputs
from voxlogica.session.running import EFFORT, Effort, Happening, Printed, Saved, Trouble, Watcher, goals, happenings
from voxlogica.session.settings import Given, Scalar, Settings, settle
from voxlogica.storage import MemoryStorage, StorageBackend
from voxlogica.syntax.ast import Program as Syntax
from voxlogica.syntax.parser import parse
from voxlogica.values import Value

if TYPE_CHECKING:
    from voxlogica.session.history import Difference
    from voxlogica.session.studies import Progress, Study
    from voxlogica.session.why import Reason
    from voxlogica.storage.embedded import EmbeddedStorage
    from voxlogica.storage.records import Records
    from voxlogica.study.axes import Axis
    from voxlogica.study.cases import Cases

__all__ = [
    "Effort",
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
    "cases",
    "default_session",
    "load",
    "program",
    "raised",
    "read",
]


def read(path: Path) -> Source:
    """The text of a program. Raises `ProgramError` when there is none."""
    name = shown_path(path)
    try:
        is_directory, exists = path.is_dir(), path.exists()
    except OSError as error:
        reason = reason_of(error)
        raise ProgramError.of("usage", f"{name} cannot be read: {reason}") from error
    if is_directory:
        raise ProgramError.of("usage", f"{name} is a directory, not a program")
    if not exists:
        help = "paths are relative to the directory where the command runs"
        raise ProgramError.of("usage", f"there is no program {name}", help=help)
    return Source(name, read_text(path, name, "usage"))


class Session:
    """Programs share what they compute through their session: one engine, one store, one set of threads.

    `store` is the directory where results are kept: by default $VOXLOGICA_STORE or this user's own, with False none.
    `storage` is a backend to use instead; it stays the caller's to close. `jobs` is how many kernels run at once,
    `memory` the bytes that values may take; by default what this process may use. `tell` gets a sentence when something
    happens to the store that a person should know. Used as a context manager, its threads end when it is left.
    """

    def __init__(
        self,
        *,
        store: str | Path | Literal[False] | None = None,
        storage: StorageBackend | None = None,
        jobs: int | None = None,
        memory: int | None = None,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        if jobs is not None and jobs < 1:
            raise ValueError(f"jobs is the number of kernels that run at once, at least 1, not {jobs}")
        self.jobs = jobs or processors()
        self._closed = self._late = False
        self._store, self._storage, self._memory, self._tell = store, storage, memory, tell
        self._own: EmbeddedStorage | None = None
        self._engine: ExecutionEngine | None = None
        self._lock = Lock()

    @property
    def storage(self) -> StorageBackend:
        """The backend; opened when first needed. Raises `MachineError` when it cannot be."""
        with self._lock:
            return self._opened()

    def _opened(self) -> StorageBackend:
        if self._storage is None and self._store is False:
            self._storage = MemoryStorage()
        elif self._storage is None:
            from voxlogica.session import store as stores
            from voxlogica.storage.embedded import EmbeddedStorage

            directory = Path(self._store) if self._store else stores.directory()
            self._storage = self._own = EmbeddedStorage(directory, tell=self._tell)
        return self._storage

    @property
    def records(self) -> Records | None:
        """What the store remembers of files and runs; None when there is no store that outlives the process."""
        return self._own.records if self.storage is self._own and self._own is not None else None

    @property
    def engine(self) -> ExecutionEngine:
        """The engine; made when first needed."""
        with self._lock:
            if self._closed:
                raise RuntimeError("the session is closed")
            if self._engine is None:
                self._engine = ExecutionEngine(self._opened(), jobs=self.jobs, memory=self._memory)
            return self._engine

    def load(self, path: str | Path, *, dialect: int | None = None, search: Sequence[Path] = ()) -> Program:
        """The program in a file, checked. Raises `ProgramError` with all that is wrong in it."""
        return Program(self, read(Path(path)), Path(path), dialect, search)

    def program(self, text: str, *, name: str = "program", dialect: int | None = None) -> Program:
        """The program that a text is, checked. Raises `ProgramError` with all that is wrong in it."""
        return Program(self, Source(name, text), None, dialect, ())

    def diff(self, before: str, after: str) -> Difference:
        """What differs between two runs of the store's history, called as by `voxlogica runs`: `"r12"`.

        Raises `ProgramError` when there is no such run.
        """
        from voxlogica.session.history import difference, recorded

        return difference(recorded(self, before), recorded(self, after))

    def note(self, trouble: Trouble) -> None:
        """Remembers whether a limit of time was reached: who sets one does not want to wait for kernels at the end."""
        self._late |= trouble.late

    def close(self, wait: bool = True) -> None:
        """Ends the session's threads and closes its store; without `wait`, kernels that run are left to the process."""
        with self._lock:
            self._closed = True
            if self._engine is not None:
                self._engine.close(wait)
            if self._own is not None and wait:
                self._own.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # Who interrupts, or sets a limit of time that is reached, does not want to wait for kernels; they end with the
        # process, and their claims with them.
        interrupted = kind is not None and issubclass(kind, KeyboardInterrupt)
        self.close(wait=not (interrupted or self._late))


class Program:
    """A program that is parsed and checked; immutable, and safe to run from several threads."""

    def __init__(
        self, session: Session, source: Source, path: Path | None, dialect: int | None, search: Sequence[Path]
    ) -> None:
        if dialect not in (None, 1, 2):
            raise ValueError(f"the dialects are 1 and 2, not {dialect!r}")
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
    def key(self) -> str:
        """How the program is called in the history of runs."""
        return str(self.path.absolute()) if self.path is not None else self.source.name

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """What is suspicious and does not keep it from running."""
        return self.checked.warnings

    def settle(
        self, given: Sequence[Given], options: Options, files: Mapping[str, str] | None = None, save: bool = True
    ) -> Prepared:
        """The program with its settings, before any file is opened; without `save` it will write none.

        `files` are paths of inputs that replace the program's. Raises `ProgramError`.
        """
        settings = settle(self.checked, self.syntax, self.path, given, os.environ, files, save)
        return Prepared(self, settings, options, save)

    def run(self, *, output_dir: str | Path | None = None, save: bool = True, **settings: Scalar | Path) -> Run:
        """Runs it: parameters, paths of inputs, and `$NAME`s by name, in upper case as in the program's strings.

        Files are written unless `save` is false. Raises `ProgramError`, `InputError`; what fails while computing is
        raised at the end, as an `ExceptionGroup` when it is several things.
        """
        files = {name: str(path) for name, path in settings.items() if name in self.inputs}
        given = [_given(name, value) for name, value in settings.items() if name not in files]
        options = Options(Path(output_dir) if output_dir is not None else None, jobs=self.session.jobs)
        prepared = self.settle(given, options, files, save)
        run = Run(prepared, prepared.bind())
        errors = [each.diagnostic for each in run.happenings() if isinstance(each, Trouble)]
        errors = [diagnostic for diagnostic in errors if diagnostic.severity == "error"]
        if errors:
            raise raised(errors)
        return run

    def map(
        self,
        cases: str | Cases,
        *,
        jobs: int | None = None,
        output_dir: str | Path | None = None,
        progress: Progress | None = None,
        **settings: Scalar | Path,
    ) -> Study:
        """Runs it on many cases, which `vx.cases` finds: rows arrive as they finish.

        A case that fails is a row with an error, and stops no other. Files are written only to an `output_dir`, each
        case's to a directory of its own. `jobs` are the cases in hand at once. Raises `ProgramError`.
        """
        return self._study(cases, (), jobs, output_dir, progress, settings)

    def sweep(
        self,
        cases: str | Cases | None = None,
        *,
        jobs: int | None = None,
        output_dir: str | Path | None = None,
        progress: Progress | None = None,
        **settings: Scalar | Path | Sequence[Scalar],
    ) -> Study:
        """Runs it for every choice of the parameters that are given as lists, on all cases; without cases, as it is.

        What the choices share is computed once. Raises `ProgramError`.
        """
        lists = {
            name: value for name, value in settings.items() if not isinstance(value, (bool, int, float, str, Path))
        }
        from voxlogica.study.axes import Axis

        axes = [Axis(name, tuple(values)) for name, values in lists.items()]
        fixed = {name: value for name, value in settings.items() if isinstance(value, (bool, int, float, str, Path))}
        return self._study(cases, axes, jobs, output_dir, progress, fixed)

    def _study(
        self,
        cases: str | Cases | None,
        axes: Sequence[Axis],
        jobs: int | None,
        output_dir: str | Path | None,
        progress: Progress | None,
        settings: Mapping[str, Scalar | Path],
    ) -> Study:
        from voxlogica.session.studies import Study
        from voxlogica.study.cases import ONLY, find

        found = ONLY if cases is None else find([cases]) if isinstance(cases, str) else cases
        directory = Path(output_dir) if output_dir is not None else None
        return Study(
            self, found, axes, given=[_given(name, value) for name, value in settings.items()],
            options=Options(directory), save=directory is not None, jobs=jobs, progress=progress,
        )  # fmt: skip


def _given(name: str, value: Scalar | Path) -> Given:
    return Given(name, str(value) if isinstance(value, Path) else value, f"{name}={value!r}")


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

    def __init__(self, program: Program, settings: Settings, options: Options, save: bool = True) -> None:
        self.program, self.settings = program, settings
        if program.syntax.dialect is not None:
            options = replace(options, dialect=program.syntax.dialect)
        self.options = options
        self.outputs = outputs(program.checked, settings, options) if save else {}

    def bind(self, shared: Shared | None = None) -> Bound:
        """Opens the inputs and compares grids. Raises `InputError` with all that is unfit.

        Runs of one program on the same files may share what is known of them.
        """
        records = self.program.session.records
        memo = None
        if records is not None:
            from voxlogica.session.store import Files

            memo = Files(records)
        return bind(self.program.checked, self.settings, self.options, self.outputs, memo, shared)


class Run:
    """A run of a program and its results, by the label of a `print` or the name of a definition that a goal needs."""

    def __init__(self, prepared: Prepared, bound: Bound, effort: Effort = EFFORT) -> None:
        self.program, self.settings, self.bound, self.effort = prepared.program, prepared.settings, bound, effort
        name = Path(self.program.source.name).name
        self.goals = goals(bound, self.program.checked, self.settings, name)
        self.printed: dict[str, Value] = {}
        self.saved: list[Path] = []
        self.number: int | None = None

    def __repr__(self) -> str:
        return f"<Run of {self.program.source.name}: {self.printed}, saved {[str(path) for path in self.saved]}>"

    def happenings(self, watcher: Watcher | None = None) -> Iterator[Happening]:
        """Computes the goals; yields what happens, as it does."""
        self._note()
        program = self.program
        for each in happenings(self.goals, program.session.engine, watcher, self.effort):
            if isinstance(each, Printed):
                self.printed[each.label] = each.value
            elif isinstance(each, Saved):
                self.saved.append(each.path)
            else:
                program.session.note(each)
            yield each

    @cached_property
    def names(self) -> Mapping[str, Formula]:
        """What the run can be asked for or does: definitions by name, goals as the program has them."""
        return {**self._definitions, **{goal.words: goal.formula for goal in self.goals}}

    @property
    def wanted(self) -> list[Formula]:
        """The formulas that are computed."""
        return [formula for goal in self.goals for formula in (goal.formula, goal.clamped) if formula is not None]

    @property
    def _settings(self) -> dict[str, object]:
        return {**self.settings.parameters, **self.settings.names, **self.settings.files}

    def plan(self) -> Workplan:
        """What would be computed now."""
        return planned(self.program.session.storage, self.wanted, retry_failed=self.effort.retry_failed)[0]

    def why(self) -> list[Reason]:
        """For each task that would be computed, the one thing that changed since the latest run of this program.

        Compared with the latest one of the same settings, if there is one. Empty without a store.
        """
        records = self.program.session.records
        if records is None:
            return []
        from voxlogica.session.why import reasons

        earlier = records.latest(self.program.key, self._settings) or records.latest_of(self.program.key)
        tasks = [task.formula for task in self.plan().tasks]
        digests = digests_of(self.bound)
        return reasons(records, earlier.goals if earlier is not None else {}, self.names, tasks, digests)

    def _note(self) -> None:
        """Enters the run in the store's history; the formulas only when something is to be computed."""
        records = self.program.session.records
        if records is not None:
            from voxlogica.session import store as stores

            self.note_formulas()
            self.number = stores.note(records, self.program.key, self._settings, self.names, time.time())

    def note_formulas(self) -> None:
        """Enters the formulas in the store, if something is to be computed, for questions of where values are from."""
        records = self.program.session.records
        if records is None:
            return
        from voxlogica.session import store as stores

        wanted = self.wanted
        known = self.program.session.storage.known([formula.id for formula in wanted])
        new = [formula for formula in wanted if formula.id not in known]
        if new:
            stores.note_formulas(records, new, digests_of(self.bound))

    @cached_property
    def _definitions(self) -> Mapping[str, Formula]:
        found = {}
        for name, each in self.program.checked.definitions.items():
            formula = self.bound.slots[each.slot]
            if formula is not None:
                found[name] = formula
        return found

    def __getitem__(self, name: str) -> Value:
        """What a `print` showed or a definition stands for, a sequence as a tuple; computed, or found, when asked for.

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
        return iter(dict.fromkeys((*self.printed, *self._definitions)))


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


def cases(*patterns: str, **inputs: str) -> Cases:
    """The cases that patterns, a table or a BIDS directory describe; `inputs` are patterns for inputs by name.

    `vx.cases("data/{case}/{case}_flair.nii.gz")`, `vx.cases(flair="{case}_flair.nii.gz", seg="{case}_seg.nii.gz")`.
    Raises `ProgramError`, also when there is no case.
    """
    from voxlogica.study.cases import find

    return find([*patterns, *(f"{name}={pattern}" for name, pattern in inputs.items())])
