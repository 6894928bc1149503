"""How a case sets a program: which of its values fill `$NAME`s and parameters, which of its files replace an input's.

- A file or column that is called as an input (`load flair = …`) replaces that input's path; one that is called as a
  parameter sets it.
- Every other value fills the `$NAME` of the same letters: the part `{case}` fills `$CASE`.
- Besides, unless the case itself has values of these names: `$CASE` and `$NAME` are the case's name, `$INPUTDIR` is the
  directory of its first file, `$OUTPUTDIR` is `.`, the case's own directory under `--output-dir`.
- One pattern that no `$NAME` answers to replaces the path of the program's only input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType

from voxlogica._dataclass import dataclass
from voxlogica.errors import Diagnostic, ProgramError
from voxlogica.study.cases import ONLY, Case, Cases


@dataclass(frozen=True)
class Needs:
    """What of a program a case can set: its inputs with the `$NAME`s in their paths, all `$NAME`s, its parameters."""

    inputs: Mapping[str, frozenset[str]]
    names: frozenset[str]
    parameters: frozenset[str]


@dataclass(frozen=True, slots=True)
class Setting:
    """What a case gives a run: values of `$NAME`s and parameters, and paths of inputs."""

    values: Mapping[str, str]
    files: Mapping[str, str]


class Fit:
    """How all cases of a study set one program."""

    def __init__(self, needs: Needs, cases: Cases, fixed: Mapping[str, str] = MappingProxyType({})) -> None:
        """`fixed` is what is set for all cases alike: `$NAME`s and parameters, and how that was written. `alike` are
        the inputs that no case sets: their file is the same for all.

        Raises `ProgramError` when a pattern is for something the program does not have, when the cases have values of
        their own for what is set for all, or when no case would differ from another in what it loads or in a parameter.
        """
        self._needs, self._fixed = needs, fixed
        kinds = dict.fromkeys(kind for case in cases for kind in (*case.files, *case.values, *case.lacking))
        self._inputs = {kind: found for kind in kinds if kind and (found := _like(kind, needs.inputs))}
        for name in {name for case in cases for name in (*case.files, *case.lacking)} - {""}:
            if not self._known(name) and any(f"{name}=" in given for given in cases.text.split()):
                help = f"its inputs are {', '.join(needs.inputs) or 'none'}"
                raise ProgramError.of("usage", f"--cases {name}=…: the program has no input `{name}`", help=help)
        self._check_fixed(cases, [kind for kind in kinds if kind])
        self._unfit = [column for column in cases.columns if column not in needs.parameters and not self._known(column)]
        self._cases = cases.text
        varying = {name.upper() for name in kinds if name} | {"CASE", "NAME", "INPUTDIR"}
        loads = [name for name, names in needs.inputs.items() if (names & varying) - fixed.keys()]
        self._only = ""
        differ = loads or self._inputs or needs.parameters & kinds.keys()
        if cases is not ONLY and not differ:
            self._only = self._single(cases)
        own = {*loads, *self._inputs.values(), self._only, *fixed}
        self.alike = () if cases is ONLY else tuple(name for name in needs.inputs if name not in own)

    def _known(self, name: str) -> bool:
        return bool(_like(name, self._needs.inputs)) or name.upper() in {n.upper() for n in self._needs.names}

    def _check_fixed(self, cases: Cases, kinds: Sequence[str]) -> None:
        for name, written in self._fixed.items():
            for kind in kinds:
                if kind == name or (name in self._needs.names and kind.upper() == name.upper()):
                    message = f"{written}: each case has a `{kind}` of its own, from {cases.text}"
                    raise ProgramError.of("usage", message, help="leave one of the two out")

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """The columns of a table that set nothing, and what was perhaps meant."""
        can = {name.lower(): f"`${name}`" for name in self._needs.names}
        can |= {name.lower(): f"`{name}`" for name in (*self._needs.parameters, *self._needs.inputs)}
        found = []
        for column in self._unfit:
            begun = [name for name in can if column.lower().startswith(name) or name.startswith(column.lower())]
            near = get_close_matches(column.lower(), can, 1, 0.5) or begun
            help = f"did you mean {can[near[0]]}?" if near else f"it can set {', '.join(can.values())}" if can else ""
            message = f"the column `{column}` of {self._cases} sets nothing in the program"
            found.append(Diagnostic("usage", message, help=help, severity="warning"))
        return tuple(found)

    def _single(self, cases: Cases) -> str:
        """The input that a pattern for nothing in particular is for."""
        inputs = list(self._needs.inputs)
        if len(inputs) == 1 and any("" in case.files or "" in case.lacking for case in cases):
            return inputs[0]
        if not inputs:
            raise ProgramError.of("usage", "the program loads nothing that could differ from case to case")
        help = f"name the input, for example   --cases {inputs[0]}='data/{{case}}/{{case}}_{inputs[0]}.nii.gz'"
        if len(inputs) > 1:
            help += "   and repeat --cases for others"
        message = f"every case would load the same files: nothing in {cases.text} sets an input of the program"
        raise ProgramError.of("usage", message, details=(f"its inputs are {', '.join(inputs)}",), help=help)

    def setting(self, case: Case) -> Setting:
        """What one case gives. What is set for all cases is left to that."""
        given = {**case.values, **{name: path for name, path in case.files.items() if name}}
        files = {self._inputs[kind]: value for kind, value in given.items() if kind in self._inputs}
        values = {kind: value for kind, value in given.items() if kind in self._needs.parameters}
        capitals = _customary(case) | {kind.upper(): value for kind, value in given.items()}
        for name in self._needs.names - self._fixed.keys():
            if name.upper() in capitals:
                values[name] = capitals[name.upper()]
        if self._only and "" in case.files:
            files[self._only] = case.files[""]
        return Setting(values, files)

    def lacking(self, case: Case) -> list[str]:
        """What keeps the case from running, in words: what was looked for, is used, and is not there."""
        return [
            said
            for kind, said in case.lacking.items()
            if not kind or kind in self._inputs or kind in self._needs.parameters or self._known(kind)
        ]


def _like(kind: str, inputs: Mapping[str, object]) -> str:
    """The input of this name, whatever its capitals when no other is so called; "" if there is none."""
    if kind in inputs:
        return kind
    close = [name for name in inputs if name.lower() == kind.lower()]
    return close[0] if len(close) == 1 else ""


def _customary(case: Case) -> dict[str, str]:
    """The `$NAME`s that every case sets."""
    if not case.name:
        return {}
    given = {name.upper(): value for name, value in case.values.items()}
    name = given.get("CASE") or given.get("NAME") or case.name
    found = {"CASE": name, "NAME": name, "OUTPUTDIR": "."}
    if case.files:
        found["INPUTDIR"] = Path(next(iter(case.files.values()))).parent.as_posix()
    return found
