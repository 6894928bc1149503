"""Programs with their settings, and their runs: results by the label of a `print` or the name of a definition."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast

from voxlogica import identity
from voxlogica._dataclass import replace
from voxlogica.errors import ComputationError, Diagnostic, InternalError, MachineError, Refusal, VoxLogicAError
from voxlogica.execution.engine import Broken, Finished, GoalOutcome, find_operator
from voxlogica.execution.limits import processors
from voxlogica.execution.messages import Counts
from voxlogica.execution.planning import foreseen
from voxlogica.formula import MASK, Formula, Leaf
from voxlogica.identity import Id
from voxlogica.images.memo import Memo
from voxlogica.operators import own
from voxlogica.plan import Workplan
from voxlogica.reduction.code import operators
from voxlogica.session.binding import Bound, Options, Shared, bind, digests_of, outputs
from voxlogica.session.live import watched
from voxlogica.session.running import EFFORT, Effort, Happening, Printed, Saved, Watcher, goals, happenings, provenance
from voxlogica.session.settings import Settings
from voxlogica.session.volumes import Image, Model, Shown, shown
from voxlogica.storage import Claim
from voxlogica.values import Mask, Printable, Scalar, Space, counted

if TYPE_CHECKING:
    from voxlogica.session import Program
    from voxlogica.session.store import Files
    from voxlogica.session.why import Reason


PATIENCE = 10.0
"""Seconds that a run sleeps behind an equal one of another process; after that it waits for each task."""


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
        if own():
            self._vouch()
        self.outputs = outputs(program.checked, settings, options) if save else {}

    def _vouch(self) -> None:
        """Sees to it that no operator of one's own has results of another text. Raises `ProgramError`."""
        from voxlogica.session.own import vouch

        vouch(operators(self.program.checked.code), self.program.session.storage.agreed)

    def bind(self, shared: Shared | None = None) -> Bound:
        """Opens the inputs and compares grids. Raises `InputError` with all that is unfit.

        Runs of one program on the same files may share what is known of them.
        """
        with self._files() as memo:
            return self._bound(memo, shared or Shared())

    def begin(self, effort: Effort = EFFORT, shows: bool = True) -> Run:
        """The run, bound, for computing its goals. Raises `InputError`.

        Who had to read the files through is the first who may compute: he has his turn before others recall them.
        """
        with self._files() as memo:
            run = Run(self, self._bound(memo, Shared()), effort, shows)
            if memo is not None and memo.new:
                run.take_turn()
            return run

    def _files(self) -> Files | nullcontext[None]:
        session = self.program.session
        if session.records is None:
            return nullcontext()
        from voxlogica.session.store import Files

        return Files(session.records, session.storage)

    def _bound(self, memo: Memo | None, shared: Shared) -> Bound:
        shared.files.update(self.program.held)
        return bind(self.program.checked, self.settings, self.options, self.outputs, memo, shared)


class Run:
    """A run of a program and its results, by the label of a `print` or the name of a definition that a goal needs."""

    def __init__(self, prepared: Prepared, bound: Bound, effort: Effort = EFFORT, shows: bool = True) -> None:
        """`shows` says that in a notebook what is asked for later shows how far it is."""
        self.program, self.settings, self.bound, self.effort = prepared.program, prepared.settings, bound, effort
        name = Path(self.program.source.name).name
        self.goals = goals(bound, self.program.checked, self.settings, name)
        self._prepared, self._shows = prepared, shows
        self.printed: dict[str, Printable] = {}
        self.saved: list[Path] = []
        self.number: int | None = None
        self._turn: Claim | None = None
        self._behind: Id | None = None  # the claim of who has our turn

    def __repr__(self) -> str:
        return f"<Run of {self.program.source.name}: {self.printed}, saved {[str(path) for path in self.saved]}>"

    def _repr_html_(self) -> str:
        from voxlogica.session.display import run_html

        return run_html(self)

    def happenings(self, watcher: Watcher | None = None) -> Generator[Happening, None, None]:
        """Computes the goals; yields what happens, as it does. To leave the iteration early is to interrupt the run."""
        session, ended = self.program.session, "done"
        hurried = self.effort.timeout is not None or self.effort.token is not None  # of which only the engine knows
        patient = session.cold and not hurried
        if watcher is not None and patient:
            watcher.begin(Counts(tasks=len(self.wanted), waiting=len(self.wanted)))  # for as long as that lasts
        self.take_turn(PATIENCE if patient else 0.0)
        with self._turn or nullcontext():
            self._note()
            try:
                for each in happenings(self.goals, session.engine, watcher, self.effort, self._behind):
                    if isinstance(each, Printed):
                        self.printed[each.label] = each.value
                    elif isinstance(each, Saved):
                        self.saved.append(each.path)
                    else:
                        session.note(each)
                        ended = "failed" if each.diagnostic.severity == "error" else ended
                    yield each
                if self.effort.token is not None and self.effort.token.cancelled:
                    ended = "interrupted"
            except BaseException as error:
                ended = "interrupted" if isinstance(error, (KeyboardInterrupt, GeneratorExit)) else "failed"
                raise
            finally:
                session.ended(self.number, ended)

    def take_turn(self, patience: float = 0.0) -> None:
        """Becomes the one of equal runs that computes, as `stores.turn` says.

        Who leaves processors unused does not: others are to help him.
        """
        session = self.program.session
        if self._turn is None and session.records is not None and session.jobs >= processors():
            from voxlogica.session import store as stores

            ids = sorted({each.id for each in self.wanted if each.operator is not None or each.file is not None})
            id = identity.turn(ids)
            try:
                self._turn, self._behind = stores.turn(session.storage, id, ids, patience), None
            except TimeoutError:
                self._behind = id

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
        storage, again = self.program.session.storage, self.effort.retry_failed
        return foreseen(storage, self.wanted, find_operator, retry_failed=again)

    def why(self) -> list[Reason]:
        """For each task that would be computed, the one thing that changed since the latest run of this program.

        Compared with the latest one of the same settings, if there is one. Empty without a store.
        """
        records = self.program.session.records
        if records is None:
            return []
        earlier = records.latest(self.program.key, self._settings) or records.latest_of(self.program.key)
        tasks = [task.formula for task in self.plan().tasks]
        digests = digests_of(self.bound)
        from voxlogica.session.why import Parameter, reasons

        settings, given = self.settings.parameters, earlier.settings if earlier is not None else {}
        parameters = [
            Parameter(name, each.literal.span, settings.get(name, default), cast("Scalar", given.get(name, default)))
            for name, each in self.program.checked.parameters.items()
            for default in [each.literal.value]
        ]
        return reasons(records, earlier.goals if earlier is not None else {}, self.names, tasks, digests, parameters)

    def _note(self) -> None:
        """Enters the run in the store's history; the formulas only when something is to be computed."""
        records = self.program.session.records
        if records is not None:
            self.note_formulas()
            from voxlogica.session import store as stores

            self.number = stores.note(records, self.program.key, self._settings, self.names, time.time())
            self.program.session.begun(self.number)

    def note_formulas(self) -> None:
        """Enters the formulas in the store, if something is to be computed, for questions of where values are from."""
        records = self.program.session.records
        if records is None:
            return
        wanted = self.wanted
        known = self.program.session.storage.known([formula.id for formula in wanted])
        new = [formula for formula in wanted if formula.id not in known]
        if new:
            from voxlogica.session import store as stores

            stores.note_formulas(records, new, digests_of(self.bound))

    @cached_property
    def _definitions(self) -> Mapping[str, Formula]:
        found = {}
        for name, each in self.program.checked.definitions.items():
            formula = self.bound.slots[each.slot]
            if formula is not None:
                found[name] = formula
        return found

    def __getitem__(self, name: str) -> Shown:
        """What a `print` showed or a definition stands for, a sequence as a tuple; computed, or found, when asked for.

        A definition need not be one that a goal needs. Raises `KeyError` for an unknown name, `ProgramError` for a
        definition that is wrong, and `ComputationError` when it cannot be computed.
        """
        if name in self.printed:
            return self.printed[name]
        if name in self._definitions:
            return self._value(name)
        if name not in self.program.definitions:
            known = ", ".join(dict.fromkeys([*self.printed, *self.program.definitions]))
            raise KeyError(f"{self.program.source.name} has no print and no definition {name!r}; it has {known}")
        return self._besides(name)._value(name)

    def _besides(self, name: str) -> Run:
        """This run as if a goal had needed a definition, on the files that it has bound."""
        prepared = Prepared(self.program._wanting(name), self.settings, self._prepared.options, save=False)
        paths = [self.settings.path(each) for each in self.program.checked.inputs]
        files: dict[str, Leaf | Refusal] = dict(zip(paths, self.bound.leaves, strict=True))
        return Run(prepared, prepared.bind(Shared(files=files)), shows=self._shows)

    def under(self, space: Space) -> tuple[str, Image | Model] | None:
        """The first image that is loaded and lies on a grid, and its name."""
        for name, leaf in zip(self.program.inputs, self.bound.leaves, strict=True):
            if leaf.space.id == space.id:
                found = self[name]
                return (name, found) if isinstance(found, (Image, Model)) else None
        return None

    def masks(self) -> Mapping[str, Mask]:
        """The masks that the program saves, by their paths as written, whether or not this run has saved them."""
        goals = [each for each in self.program.checked.goals if each.word == "save" and each.type is MASK]
        formulas = {self.settings.shown(each.text.value): self.bound.slots[each.slot] for each in goals}
        wanted = [formula for formula in formulas.values() if formula is not None]
        outcomes = self._computed(wanted, counted(len(wanted), "mask"))
        found = {path: outcomes[formula] for path, formula in formulas.items() if formula is not None}
        return {
            path: each.value
            for path, each in found.items()
            if isinstance(each, Finished) and isinstance(each.value, Mask)
        }

    def _computed(self, wanted: Sequence[Formula], what: str) -> Mapping[Formula, GoalOutcome]:
        """The outcomes of formulas, called `what` while a notebook shows how far they are."""
        session = self.program.session
        with watched(self.program.source.name, what, session.jobs, self._shows and bool(wanted)) as watcher:
            run = session.engine.run(wanted, listen=watcher.event if watcher else None)
            if watcher:
                watcher.begin(run.counts)
            return dict(run)

    def _value(self, name: str) -> Shown:
        formula = self._definitions[name]
        outcome = self._computed([formula], name)[formula]
        if isinstance(outcome, Finished):
            checked, title = self.program.checked, Path(self.program.source.name).name
            origin = (
                provenance(self.bound, checked, self.settings, title, formula, name) if formula.type.spatial else ""
            )
            return shown(outcome.value, name, origin, self.under)
        assert isinstance(outcome, Broken)
        error, origin_ = outcome.error, outcome.formula.origin
        span, chain = (origin_.span, origin_.chain) if origin_ is not None else (None, ())
        raise raised([Diagnostic("compute", error.message, span, chain=chain, details=error.details, help=error.help)])

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys((*self.printed, *self.program.definitions)))
