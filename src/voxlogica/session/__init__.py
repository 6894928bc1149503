"""The Python API: programs, sessions and runs.

import voxlogica as vx

program = vx.load("gbm.imgql")
run = program.run(hi=0.93, NAME="case7")
run["01_dice"]                 # what a print shows
run["gtv"].numpy()             # any definition, indexed [i, j, k]
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from copy import copy
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, TypeAlias

from voxlogica import images
from voxlogica.check import Checked, check, read_text
from voxlogica.check import shown as shown_path
from voxlogica.errors import Diagnostic, InputError, ProgramError, Refusal, Source, reason_of
from voxlogica.execution.engine import ExecutionEngine, Token
from voxlogica.execution.limits import processors
from voxlogica.execution.messages import Counts, Event
from voxlogica.formula import Leaf
from voxlogica.session.binding import Options, refused
from voxlogica.session.live import watched
from voxlogica.session.running import Effort, Happening, Printed, Saved, Trouble, Watcher
from voxlogica.session.runs import Prepared, Run, raised
from voxlogica.session.settings import Given, Scalar, settable, settle
from voxlogica.storage import MemoryStorage, StorageBackend
from voxlogica.syntax.ast import Let, Load
from voxlogica.syntax.ast import Program as Syntax
from voxlogica.syntax.parser import parse
from voxlogica.values import counted

if TYPE_CHECKING:
    from voxlogica.session.history import Difference, Recorded
    from voxlogica.session.studies import Progress, Study
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
    "diff",
    "load",
    "program",
    "raised",
    "read",
]

Setting: TypeAlias = object
"""What a program can be given by name: a number, truth value or text for a parameter or `$NAME`; for an input a path,
an image of nibabel, SimpleITK or a run, `(array, affine)`, or `(array, space)`."""


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
    `memory` the bytes that values may take; by default what this process may use. `library_path` are directories where
    imports are looked for, by default those of $VOXLOGICA_LIBRARY_PATH. `tell` gets a sentence when something
    happens to the store that a person should know. Used as a context manager, it is the session of `vx.load` and
    `vx.program` inside (in this thread or asyncio task), and its threads end when it is left.
    """

    def __init__(
        self,
        *,
        store: str | Path | Literal[False] | None = None,
        storage: StorageBackend | None = None,
        jobs: int | None = None,
        memory: int | None = None,
        library_path: Sequence[str | Path] | None = None,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        if jobs is not None and jobs < 1:
            raise ValueError(f"jobs is the number of kernels that run at once, at least 1, not {jobs}")
        if not isinstance(memory, (int, float, type(None))):
            raise TypeError(f"memory is a number of bytes, not {memory!r}")
        self.jobs = jobs or processors()
        if library_path is None:
            library_path = [each for each in os.environ.get("VOXLOGICA_LIBRARY_PATH", "").split(os.pathsep) if each]
        self.library_path = tuple([Path(each).expanduser() for each in library_path])
        self._closed = self._late = False
        self.cold = "voxlogica.kernels.fields" not in sys.modules
        self._store, self._storage, self._memory, self._tell = store, storage, memory, tell
        self._own: EmbeddedStorage | None = None
        self._engine: ExecutionEngine | None = None
        self._open: set[int] = set()  # the runs of the history that were begun and have not ended
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
                self._engine = ExecutionEngine(self._opened(), jobs=self.jobs, memory=self._memory, cold=self.cold)
            return self._engine

    def load(self, path: str | Path, *, dialect: int | None = None, search: Sequence[Path] = ()) -> Program:
        """The program in a file, checked. Raises `ProgramError` with all that is wrong in it."""
        return Program(self, read(Path(path)), Path(path), dialect, search)

    def program(self, text: str, *, name: str = "program", dialect: int | None = None) -> Program:
        """The program that a text is, checked. Raises `ProgramError` with all that is wrong in it."""
        return Program(self, Source(name, text), None, dialect, ())

    def diff(self, before: str | Run | Study, after: str | Run | Study) -> Difference:
        """What differs between two runs or studies of the store's history; `"r12"` is one of `voxlogica runs`.

        Raises `ProgramError` when there is no such run.
        """
        from voxlogica.session.history import difference, recorded

        def found(run: str | Run | Study) -> Recorded:
            return recorded(self, run) if isinstance(run, str) else recorded(self, f"r{run.number or ''}", run.program)

        return difference(found(before), found(after))

    def note(self, trouble: Trouble) -> None:
        """Remembers whether a limit of time was reached: who sets one does not want to wait for kernels at the end."""
        self._late |= trouble.late

    def begun(self, number: int | None) -> None:
        """A run was noted, of which the end is to be noted too."""
        if number is not None:
            self._open.add(number)

    def ended(self, number: int | None, how: str) -> None:
        """A run that was noted is `done`, has `failed` or was `interrupted`. The first end counts."""
        if number in self._open and (records := self.records) is not None:
            from voxlogica.session.store import note_end

            with suppress(KeyError):  # another thread came first
                self._open.remove(number)
                note_end(records, number, how)

    def close(self, wait: bool = True) -> None:
        """Ends the session's threads and closes its store; without `wait`, kernels that run are left to the process."""
        for number in list(self._open):
            self.ended(number, "interrupted")
        with self._lock:
            self._closed = True
            if self._engine is not None:
                self._engine.close(wait)
            if self._own is not None and wait:
                self._own.close()

    def __enter__(self) -> Session:
        _entered.set((*_entered.get(), self))
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        _entered.set(_entered.get()[:-1])
        # Who interrupts, or sets a limit of time that is reached, does not want to wait for kernels; they end with the
        # process, and their claims with them.
        interrupted = kind is not None and issubclass(kind, KeyboardInterrupt)
        self.close(wait=not (interrupted or self._late))


_entered: ContextVar[tuple[Session, ...]] = ContextVar("sessions", default=())
"""The sessions that were entered here, the last one last."""


class Program:
    """A program that is parsed and checked; immutable, and safe to run from several threads.

    `given` is what `replace` has set of parameters and `$NAME`s, `files` of inputs; `held` are the images among these.
    """

    def __init__(
        self, session: Session, source: Source, path: Path | None, dialect: int | None, search: Sequence[Path]
    ) -> None:
        if dialect not in (None, 1, 2):
            raise ValueError(f"the dialects are 1 and 2, not {dialect!r}")
        self.session, self.source, self.path, self.dialect = session, source, path, dialect
        self.syntax: Syntax = parse(source, dialect)
        self._search = (*search, *session.library_path)
        self.checked: Checked = check(self.syntax, path, source.name, self._search)
        self.given: tuple[Given, ...] = ()
        self.files: Mapping[str, str] = {}
        self.held: Mapping[str, Leaf | Refusal] = {}

    def __repr__(self) -> str:
        return f"<Program {self.source.name}: inputs {self.inputs}, goals {self.goals}>"

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the images it loads."""
        return tuple(each.name for each in self.checked.inputs)

    @property
    def parameters(self) -> Mapping[str, Scalar]:
        """What `run` can set, and the values they have."""
        own = {name: each.literal.value for name, each in self.checked.parameters.items()}
        return MappingProxyType(own | settable(self.checked, self.syntax, self.path, self.given)[0])

    @property
    def goals(self) -> tuple[str, ...]:
        """The labels it prints and the files it saves, as written, in order."""
        return tuple(each.text.value for each in self.checked.goals)

    @property
    def asked(self) -> str:
        """How many goals it has, in words."""
        return counted(len(self.goals), "goal")

    @property
    def key(self) -> str:
        """How the program is called in the history of runs."""
        return str(self.path.absolute()) if self.path is not None else self.source.name

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """What is suspicious and does not keep it from running."""
        return self.checked.warnings

    @property
    def definitions(self) -> tuple[str, ...]:
        """The names that it gives to values, whether or not a goal needs them."""
        named = [c for c in self.syntax.commands if isinstance(c, Load) or (isinstance(c, Let) and not c.parameters)]
        return tuple(dict.fromkeys(each.name for each in named))

    def replace(self, **settings: Setting) -> Program:
        """The program with other values of parameters, `$NAME`s and inputs; this one stays as it is.

        Arrays and images are copied. Raises `ProgramError` for what cannot be set, `InputError` for what is no image.
        """
        made = self._given(settings)
        settable(made.checked, made.syntax, made.path, made.given)
        answers = [(each, made.held.get(made.files.get(each.name, ""))) for each in made.checked.inputs]
        unfit = [refused("input", answer, each.path.span) for each, answer in answers if isinstance(answer, Refusal)]
        if unfit:
            raise InputError(*unfit)
        return made

    def _given(self, settings: Mapping[str, Setting]) -> Program:
        made = copy(self)
        files, held, given = dict(self.files), dict(self.held), {each.name: each for each in self.given}
        for name, value in settings.items():
            if name not in self.inputs:
                written = os.fspath(value) if isinstance(value, os.PathLike) else value
                shown = repr(value) if isinstance(value, (str, float, int)) else "…"
                given[name] = Given(name, written, f"{name}={shown}")  # type: ignore[arg-type]
            elif isinstance(value, (str, os.PathLike)):
                files[name] = os.fspath(value)
            else:
                files[name] = images.name_of(name, value)
                try:
                    held[files[name]] = images.hold(files[name], value)
                except Refusal as refusal:
                    held[files[name]] = refusal
        made.given, made.files, made.held = tuple(given.values()), files, held
        return made

    def _wanting(self, name: str) -> Program:
        """The program as if a goal needed this definition. Raises `ProgramError` for what is wrong in it."""
        made = copy(self)
        made.checked = check(self.syntax, self.path, self.source.name, self._search, (name,))
        return made

    def settle(
        self, given: Sequence[Given], options: Options, files: Mapping[str, str] | None = None, save: bool = True
    ) -> Prepared:
        """The program with its settings, before any file is opened; without `save` it will write none.

        `given` and `files`, paths of inputs, come before what `replace` has set. Raises `ProgramError`.
        """
        names = {each.name for each in given}
        given = [*(each for each in self.given if each.name not in names), *given]
        files = {**self.files, **(files or {})}
        settings = settle(self.checked, self.syntax, self.path, given, os.environ, files, save)
        return Prepared(self, settings, options, save)

    def run(
        self,
        *,
        output_dir: str | Path | None = None,
        save: bool = True,
        grid_tolerance: float | None = None,
        timeout: float | None = None,
        progress: Callable[[int, int], None] | bool = True,
        **settings: Setting,
    ) -> Run:
        """Runs it: parameters, inputs, and `$NAME`s by name, in upper case as in the program's strings.

        An input is a path, an image of nibabel, SimpleITK or another run, `(array, affine)` or `(array, space)`. Files
        are written unless `save` is false; grids may be `grid_tolerance` mm apart; what is not done after `timeout`
        seconds fails. A notebook shows how far it is, unless `progress` is false, or a function: that is told how many
        tasks have ended, of how many. Raises `ProgramError`, `InputError`; what fails while computing is raised at the
        end, as an `ExceptionGroup` when it is several things.
        """
        return self._given(settings)._run(output_dir, grid_tolerance, save, Effort(timeout), progress)

    async def arun(
        self,
        *,
        output_dir: str | Path | None = None,
        save: bool = True,
        grid_tolerance: float | None = None,
        timeout: float | None = None,
        progress: Callable[[int, int], None] | bool = True,
        **settings: Setting,
    ) -> Run:
        """`run` for asyncio: other tasks go on meanwhile; cancelling the task cancels the run."""
        import asyncio

        token = Token()
        try:
            effort = Effort(timeout, token=token)
            return await asyncio.to_thread(
                self._given(settings)._run, output_dir, grid_tolerance, save, effort, progress
            )
        finally:
            token.cancel()

    def _run(
        self,
        output_dir: str | Path | None,
        grid_tolerance: float | None,
        save: bool,
        effort: Effort,
        progress: Callable[[int, int], None] | bool,
    ) -> Run:
        options = Options(Path(output_dir) if output_dir is not None else None, grid_tolerance, jobs=self.session.jobs)
        prepared = self.settle((), options, save=save)
        told = _Told(progress) if callable(progress) else None
        with watched(self.source.name, self.asked, self.session.jobs, progress is True) as shown:
            run = prepared.begin(effort, progress is True)
            errors = [each.diagnostic for each in run.happenings(told or shown) if isinstance(each, Trouble)]
        errors = [diagnostic for diagnostic in errors if diagnostic.severity == "error"]
        if errors:
            raise raised(errors)
        return run

    def map(
        self,
        cases: str | os.PathLike[str] | Cases,
        *,
        jobs: int | None = None,
        output_dir: str | Path | None = None,
        grid_tolerance: float | None = None,
        timeout: float | None = None,
        progress: Progress | bool = True,
        **settings: Setting,
    ) -> Study:
        """Runs it on many cases, which `vx.cases` finds: rows arrive as they finish.

        A case that fails is a row with an error, and stops no other. Files are written only to an `output_dir`, each
        case's to a directory of its own. `jobs` are the cases in hand at once; grids may be `grid_tolerance` mm apart;
        what is not done of a case after `timeout` seconds fails. A notebook shows how far it is, unless `progress` is
        false, or a function, which is told how many rows there are, of how many, and the latest. Raises `ProgramError`.
        """
        return self._study(cases, (), jobs, output_dir, grid_tolerance, timeout, progress, settings)

    def sweep(
        self,
        cases: str | os.PathLike[str] | Cases | None = None,
        *,
        jobs: int | None = None,
        output_dir: str | Path | None = None,
        grid_tolerance: float | None = None,
        timeout: float | None = None,
        progress: Progress | bool = True,
        **settings: Setting,
    ) -> Study:
        """Runs it for every choice of the parameters that are given as lists, on all cases; without cases, as it is.

        What the choices share is computed once. Raises `ProgramError`.
        """
        from voxlogica.study.axes import Axis

        axes = [
            Axis(name, tuple(values))
            for name, values in settings.items()
            if name not in self.inputs and isinstance(values, Iterable) and not isinstance(values, (str, os.PathLike))
        ]
        swept = {axis.name for axis in axes}
        fixed = {name: value for name, value in settings.items() if name not in swept}
        return self._study(cases, axes, jobs, output_dir, grid_tolerance, timeout, progress, fixed)

    def _study(
        self,
        cases: str | os.PathLike[str] | Cases | None,
        axes: Sequence[Axis],
        jobs: int | None,
        output_dir: str | Path | None,
        grid_tolerance: float | None,
        timeout: float | None,
        progress: Progress | bool,
        settings: Mapping[str, Setting],
    ) -> Study:
        from voxlogica.session.studies import Study
        from voxlogica.study.cases import ONLY, Cases, find

        found = ONLY if cases is None else find([os.fspath(cases)]) if isinstance(cases, (str, os.PathLike)) else cases
        if not isinstance(found, Cases):
            raise TypeError(f"cases are a pattern, a table, a BIDS directory, or what vx.cases finds, not {cases!r}")
        directory = Path(output_dir) if output_dir is not None else None
        swept, made = {axis.name for axis in axes}, self._given(settings)
        given = [each for each in made.given if each.name not in swept]
        return Study(
            made, found, axes, given=given, options=Options(directory, grid_tolerance), save=directory is not None,
            jobs=jobs, effort=Effort(timeout), progress=progress,
        )  # fmt: skip


class _Told:
    """A watcher that tells how many tasks have ended, of how many, whenever one has."""

    def __init__(self, progress: Callable[[int, int], None]) -> None:
        self._progress = progress
        self._ended = -1

    def begin(self, counts: Counts) -> None:
        """The run begins."""
        self._counts = counts

    def event(self, event: Event) -> None:
        """Something happened to a task."""
        if self._counts.ended != self._ended:
            self._ended = self._counts.ended
            self._progress(self._ended, self._counts.tasks)


_default: Session | None = None
_default_lock = Lock()


def default_session() -> Session:
    """The session that was entered last here, else the one of this process."""
    global _default
    if entered := _entered.get():
        return entered[-1]
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


def diff(before: str | Run | Study, after: str | Run | Study) -> Difference:
    """What differs between two runs, in the default session. Raises `ProgramError` when there is no such run."""
    return default_session().diff(before, after)


def cases(*patterns: str | os.PathLike[str], **inputs: str | os.PathLike[str]) -> Cases:
    """The cases that patterns, a table or a BIDS directory describe; `inputs` are patterns for inputs by name.

    `vx.cases("data/{case}/{case}_flair.nii.gz")`, `vx.cases(flair="{case}_flair.nii.gz", seg="{case}_seg.nii.gz")`.
    Raises `ProgramError`, also when there is no case.
    """
    from voxlogica.study.cases import find

    if not patterns and not inputs:
        raise TypeError("vx.cases needs a pattern, a table or a BIDS directory")
    own = [os.fspath(each) for each in patterns]
    return find([*own, *(f"{name}={os.fspath(pattern)}" for name, pattern in inputs.items())])
