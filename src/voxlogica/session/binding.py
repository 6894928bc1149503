"""From a checked program and its settings to goals: inputs bound, grids compared, outputs looked at; nothing computed.

Everything that is unfit is found here, all of it at once, before anything is written (stage 2 of failure).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, TypeVar

from voxlogica import images
from voxlogica._dataclass import NamedTuple, dataclass, field, replace
from voxlogica.check import Checked
from voxlogica.check.result import GoalSlot, InputSlot, Together
from voxlogica.errors import Diagnostic, InputError, Mark, ProgramError, Refusal, Span
from voxlogica.formula import MASK, Formulas, Leaf
from voxlogica.identity import Id
from voxlogica.images.nifti import is_oriented
from voxlogica.images.patterns import entries
from voxlogica.operators import by_symbol
from voxlogica.reduction import Reduced, reduce
from voxlogica.reduction.code import DEFAULT
from voxlogica.session.settings import Settings
from voxlogica.values import Space

if TYPE_CHECKING:
    from voxlogica.study.cases import Case


_Leaf = TypeVar("_Leaf", Leaf, Leaf | None)


class Output(NamedTuple):
    """A `save` of the program: where its file goes, and the format that its name says."""

    goal: GoalSlot
    text: str
    path: Path
    format: str


class Bound(NamedTuple):
    """A program ready to run: the formula of each slot, and the outputs; goals are the checked program's."""

    slots: Reduced
    table: Formulas
    leaves: Sequence[Leaf]
    outputs: Mapping[int, Output]
    warnings: tuple[Diagnostic, ...]
    read: Sequence[Leaf] = ()
    """The files of data sets, as far as they have been needed."""


class DataSets:
    """The data sets and directories of a program while it is reduced; a file is bound when somebody asks for it.

    What lies within the tolerance of an earlier image of its case, in the order of the patterns, takes that one's grid.
    """

    def __init__(self, settings: Settings, memo: images.Memo | None, shared: Shared, tolerance: float | None) -> None:
        self._settings, self._memo, self._shared, self._tolerance = settings, memo, shared, tolerance
        self.leaves: list[Leaf] = []

    def find(self, patterns: tuple[str, ...], span: Span) -> Sequence[Callable[[str], str | Leaf | Refusal]]:
        """The cases that patterns describe, each with what its names stand for. Raises `InputError`."""
        from voxlogica.study.cases import find

        texts = [self._settings.replace(pattern) for pattern in patterns]
        try:
            return [partial(self._part, case) for case in find(texts)]
        except ProgramError as error:
            raise InputError(*[replace(each, code="input", span=span) for each in error.diagnostics]) from None

    def listed(self, root: str, pattern: str, recursive: bool, full_paths: bool) -> Sequence[str]:
        """What lies in a directory. Raises `Refusal`."""
        return entries(root, pattern, recursive, full_paths)

    def _part(self, case: Case, name: str) -> str | Leaf | Refusal:
        if name in case.values:
            return case.values[name]
        name = name if name in case.files or name in case.lacking else ""
        if name in case.lacking:
            return Refusal(f"{case.name}: {case.lacking[name]}")
        found = self._file(case.files[name])
        if isinstance(found, Leaf):
            found = replace(found, space=self._space(case, name, found.space))
            self.leaves.append(found)
        return found

    def _file(self, path: str) -> Leaf | Refusal:
        if path not in self._shared.files:
            self._shared.files[path] = _answer(images.bind, path, self._memo)
        return self._shared.files[path]

    def _space(self, case: Case, name: str, space: Space) -> Space:
        """The space of an image of a case: its own, or that of the first image it goes with."""
        spaces: list[Space] = []
        for other, path in case.files.items():
            earlier = self._file(path) if other != name else None
            own = earlier.space if isinstance(earlier, Leaf) else space
            taken = next((each for each in spaces if images.difference(each, own, self._tolerance) is None), own)
            if other == name:
                return taken
            if isinstance(earlier, Leaf) and taken is own:
                spaces.append(own)
        return space


@dataclass(frozen=True)
class Options:
    """What a run does differently: where relative outputs go, and how far grids may differ, in mm."""

    output_dir: Path | None = None
    grid_tolerance: float | None = None
    dialect: int | None = None
    jobs: int = 1


@dataclass(frozen=True)
class Shared:
    """What runs of one program on one case share: the table of formulas, and what became of each file."""

    table: Formulas = field(default_factory=Formulas)
    files: dict[str, Leaf | Refusal] = field(default_factory=dict)


def outputs(checked: Checked, settings: Settings, options: Options) -> dict[int, Output]:
    """The program's outputs by the number of their goal; raises `ProgramError` for names that cannot be written."""
    found: dict[int, Output] = {}
    first: dict[str, Output] = {}
    problems: list[Diagnostic] = []
    for number, goal in enumerate(checked.goals):
        if goal.word != "save":
            continue
        text = settings.replace(goal.text.value)
        path = Path(text)
        if options.output_dir is not None:
            path = options.output_dir / path
        try:
            output = Output(goal, text, path, images.format_of(text))
        except Refusal as refusal:
            problems.append(refused("output", refusal, goal.text.span))
            continue
        same = first.setdefault(os.path.realpath(path), output)
        if same is not output:
            problems.append(
                Diagnostic(
                    "output",
                    f"two `save`s write the same file, {same.text}",
                    goal.text.span,
                    marks=(Mark(same.goal.text.span, "written here already"),),
                    help="give one of them another name",
                )
            )
        found[number] = output
    if problems:
        raise ProgramError(*problems)
    return found


def bind(
    checked: Checked,
    settings: Settings,
    options: Options,
    found: Mapping[int, Output],
    memo: images.Memo | None = None,
    shared: Shared | None = None,
) -> Bound:
    """Binds every input, compares the grids that are used together, and reduces the program.

    With `shared`, files that it knows are not looked at again, and formulas are those of the runs that share it.
    Raises `InputError` with all that is unfit.
    """
    shared = shared or Shared()
    problems = [problem for output in found.values() if (problem := _unwritable(output))]
    problems += _overwritten(checked.inputs, settings, found)
    leaves = _leaves(checked.inputs, settings, options, memo, shared, problems)
    warnings = [*_unoriented(checked.inputs, leaves)]
    if None not in leaves:
        whole = [leaf for leaf in leaves if leaf is not None]
        if options.dialect == 1:
            whole = _one_grid(checked.inputs, whole, options, problems, warnings)
        whole = list(_together(checked, whole, options, problems))
        only = _only(whole, options)
        if only is None and checked.free:
            problems += _several(checked, whole)
        if not problems:
            spaces = {v: whole[n].space if n >= 0 else only for v, n in checked.grids.items()} | {DEFAULT: only}
            given = {variable: space for variable, space in spaces.items() if space is not None}
            table = shared.table
            sets = DataSets(settings, memo, shared, options.grid_tolerance)
            slots = reduce(checked.code, whole, given, settings.parameters, settings.replace, table, sets)
            problems += _unfit(found, slots)
            if not problems:
                return Bound(slots, table, whole, found, tuple(warnings), sets.leaves)
    raise InputError(*sorted(problems, key=_offset))


def digests_of(bound: Bound) -> dict[Id, bytes]:
    """The digests of the files, by the ids of their leaves."""
    return {bound.table.leaf(leaf).id: leaf.digest for leaf in (*bound.leaves, *bound.read)}


def _offset(diagnostic: Diagnostic) -> int:
    return diagnostic.span.start if diagnostic.span is not None else -1


def refused(code: str, refusal: Refusal, span: Span | None) -> Diagnostic:
    """A refusal, now that its place in the program is known."""
    return Diagnostic(code, refusal.message, span, refusal.label, details=refusal.details, help=refusal.help)


# Inputs


def _leaves(
    inputs: Sequence[InputSlot],
    settings: Settings,
    options: Options,
    memo: images.Memo | None,
    shared: Shared,
    problems: list[Diagnostic],
) -> list[Leaf | None]:
    """The leaf of each input, None where it is refused; each file is bound once, several at a time."""
    paths = [settings.path(each) for each in inputs]
    answers = shared.files
    new = [path for path in dict.fromkeys(paths) if path not in answers]
    answers.update(_bound(new, memo, options.jobs))
    leaves: list[Leaf | None] = []
    for each, path in zip(inputs, paths, strict=True):
        answer = answers[path]
        if isinstance(answer, Refusal):
            problems.append(refused("input", answer, each.path.span))
            leaves.append(None)
        else:
            leaves.append(answer)
    return leaves


def _unoriented(inputs: Sequence[InputSlot], leaves: Sequence[Leaf | None]) -> Iterator[Diagnostic]:
    """What is said of volumes whose files do not say how they lie in the patient."""
    for each, leaf in zip(inputs, leaves, strict=True):
        if leaf is not None and leaf.space.dimensions == 3 and not is_oriented(leaf.space):
            spacing = " x ".join([f"{step:.6g}" for step in leaf.space.spacing])
            yield Diagnostic(
                "input",
                f"the file of `{each.name}` does not say how the scan lies in the patient",
                each.path.span,
                "it has neither a qform nor a sform",
                details=(
                    f"its voxels are of {spacing} mm, as it says; which side is left, and which is up, is not known",
                    "its axes are taken to run to the left, the back and the head, as by ITK",
                ),
                help="what is computed from it alone is right; do not trust its sides, nor where it lies beside others",
                severity="warning",
            )


def _bound(paths: Sequence[str], memo: images.Memo | None, jobs: int) -> Mapping[str, Leaf | Refusal]:
    """What becomes of each file. Those that are not known one process reads through, and the others then know them."""
    answers: dict[str, Leaf | Refusal] = {}
    rest = paths
    while True:
        answers |= _recalled(rest, memo)
        rest = [path for path in rest if path not in answers]
        if not rest or memo is None or memo.reading(rest):
            return {**answers, **_read(rest, memo, jobs)}


def _recalled(paths: Sequence[str], memo: images.Memo | None) -> dict[str, Leaf | Refusal]:
    """What becomes of those files that need not be read through."""
    found = {path: _answer(images.recall, path, memo) for path in paths} if memo else {}
    return {path: answer for path, answer in found.items() if answer is not None}


def _read(paths: Sequence[str], memo: images.Memo | None, jobs: int) -> Mapping[str, Leaf | Refusal]:
    """What becomes of files that are read through, on as many threads as there are jobs."""
    answers: dict[str, Leaf | Refusal] = {}
    errors: list[BaseException] = []
    waiting = list(reversed(paths))

    def work() -> None:
        try:
            while True:
                try:
                    path = waiting.pop()
                except IndexError:
                    return
                answers[path] = _answer(images.bind, path, memo)
        except BaseException as error:  # noqa: BLE001 - raised again below, in the thread that asked
            errors.append(error)

    helpers = [Thread(target=work) for _ in range(min(jobs, len(paths)))]
    for helper in helpers:
        helper.start()
    if helpers:
        # Who reads them will compute, and is to be the first to claim: what that needs is imported now, beside the
        # decompression, while the others still wait.
        import voxlogica.kernels.fields  # noqa: F401
    for helper in helpers:
        helper.join()
    if errors:
        raise errors[0]
    return answers


def _answer(look: Callable[[str, images.Memo | None], _Leaf], path: str, memo: images.Memo | None) -> _Leaf | Refusal:
    try:
        return look(path, memo)
    except Refusal as refusal:
        return refusal


# Grids


def _together(checked: Checked, leaves: Sequence[Leaf], options: Options, problems: list[Diagnostic]) -> Iterator[Leaf]:
    """The leaves, those used together all in the space of the first of them."""
    first = list(range(len(leaves)))
    for each in checked.together:
        a, b = sorted((first[each.first], first[each.second]))
        if a == b:
            continue
        apart = images.difference(leaves[a].space, leaves[b].space, options.grid_tolerance)
        if apart is not None:
            problems.append(_apart(checked.inputs, each, leaves, apart))
        first = [a if n == b else n for n in first]
    for leaf, n in zip(leaves, first, strict=True):
        yield replace(leaf, space=leaves[n].space)


def _apart(
    inputs: Sequence[InputSlot], together: Together, leaves: Sequence[Leaf], apart: images.Difference
) -> Diagnostic:
    one, other = inputs[together.first], inputs[together.second]
    a, b = leaves[together.first].space, leaves[together.second].space
    return Diagnostic(
        "grid",
        f"`{one.name}` and `{other.name}` are not on the same voxel grid",
        together.place.origin,
        "used together here",
        (Mark(one.name_span), Mark(other.name_span)),
        together.place.chain,
        images.table(one.name, a, other.name, b, apart),
        apart.help(one.name, other.name),
    )


def _one_grid(
    inputs: Sequence[InputSlot],
    leaves: Sequence[Leaf],
    options: Options,
    problems: list[Diagnostic],
    warnings: list[Diagnostic],
) -> list[Leaf]:
    """Version 1's reading of C22: one grid for the whole program, the first image's."""
    if not leaves:
        return []
    base = leaves[0].space
    for each, leaf in zip(inputs[1:], leaves[1:], strict=True):
        apart = images.difference(base, leaf.space, options.grid_tolerance)
        if apart is None:
            continue
        same_size = base.size == leaf.space.size
        diagnostic = Diagnostic(
            "grid",
            f"`{each.name}` is not on the voxel grid of `{inputs[0].name}`"
            + (", and is taken to be" if same_size else ""),
            each.name_span,
            marks=(Mark(inputs[0].name_span),),
            details=images.table(inputs[0].name, base, each.name, leaf.space, apart),
            help="" if same_size else "with --dialect 1 all images of a program have one size",
            severity="warning" if same_size else "error",
        )
        (warnings if same_size else problems).append(diagnostic)
    return [replace(leaf, space=base) if leaf.space.size == base.size else leaf for leaf in leaves]


def _distinct(leaves: Sequence[Leaf], options: Options) -> list[int]:
    """The first input of each grid there is."""
    found: list[int] = []
    for n, leaf in enumerate(leaves):
        if all(images.difference(leaves[m].space, leaf.space, options.grid_tolerance) is not None for m in found):
            found.append(n)
    return found


def _only(leaves: Sequence[Leaf], options: Options) -> Space | None:
    """The program's only space; None when there are several, or none."""
    return leaves[0].space if len(_distinct(leaves, options)) == 1 else None


def _several(checked: Checked, leaves: Sequence[Leaf]) -> list[Diagnostic]:
    """What could be on one grid or another (C10)."""
    first: dict[Space, int] = {}
    for n, leaf in enumerate(leaves):
        first.setdefault(leaf.space, n)
    inputs = [checked.inputs[n] for n in first.values()]
    marks = tuple(
        Mark(checked.inputs[n].name_span, " x ".join(str(extent) for extent in space.size))
        for space, n in first.items()
    )
    names = [f"of `{each.name}`" for each in inputs]
    shown = f"{', '.join(names[:-1])} or {names[-1]}"
    return [
        Diagnostic(
            "space",
            f"`{free.symbol}` could be on the voxel grid {shown}",
            free.place.origin,
            marks=marks,
            chain=free.place.chain,
            help="say which one is meant, for example   " + _placed(free.symbol, inputs[0].name),
        )
        for free in checked.free
    ]


def _placed(symbol: str, image: str) -> str:
    """An expression that puts what `symbol` makes on the grid of an image."""
    operators = by_symbol().get(symbol, ())
    if any(operator.from_grid for operator in operators):
        return f"{symbol}({image})"
    somewhere = f"intensity({image}) >. 0"
    is_mask = any(operator.result is MASK for operator in operators)
    return f"{symbol} & ({somewhere})" if is_mask else f"mask({symbol}, {somewhere})"


# Outputs


def _unwritable(output: Output) -> Diagnostic | None:
    try:
        images.check_output(output.path)
    except Refusal as refusal:
        return refused("output", refusal, output.goal.text.span)
    return None


def _overwritten(inputs: Sequence[InputSlot], settings: Settings, found: Mapping[int, Output]) -> Iterator[Diagnostic]:
    """Outputs that would replace an input: the data people have only once."""
    read = {os.path.realpath(settings.path(each)): each for each in inputs}
    for output in found.values():
        each = read.get(os.path.realpath(output.path))
        if each is not None:
            yield Diagnostic(
                "output",
                f"{output.text} is an input of this program, and would be overwritten",
                output.goal.text.span,
                marks=(Mark(each.path.span, "loaded here"),),
                help="choose another name",
            )


def _unfit(found: Mapping[int, Output], slots: Reduced) -> Iterator[Diagnostic]:
    """Outputs whose format cannot hold what is to be saved."""
    for output in found.values():
        formula = slots[output.goal.slot]
        if formula is None or not formula.type.spatial:  # what cannot be had fails later
            continue
        try:
            images.check_writable(output.format, formula.type, formula.space, output.text)
        except Refusal as refusal:
            yield refused("output", refusal, output.goal.text.span)
