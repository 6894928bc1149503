"""What a run is given from outside: values of parameters (C29) and of the names that stand in strings (C27)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from voxlogica._dataclass import NamedTuple, dataclass, field
from voxlogica.check import Checked, StringName, replaced
from voxlogica.check.messages import one
from voxlogica.check.result import InputSlot, Parameter
from voxlogica.errors import Diagnostic, Mark, ProgramError, Source, Span, close_matches
from voxlogica.formula import BOOL, NUMBER
from voxlogica.syntax.ast import Let, Load, Program

Scalar = bool | float | str

_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|inf|nan)")


class Given(NamedTuple):
    """A value from outside and how it was written. Text is read as the literal it replaces; other values are taken."""

    name: str
    value: Scalar
    shown: str

    @classmethod
    def text(cls, setting: str, option: str = "--set") -> Given:
        """What `--set NAME=VALUE` gives. Raises `ProgramError`."""
        name, equals, value = setting.partition("=")
        if not equals or not name:
            what = "has no value" if name else "has no name"
            raise ProgramError.of("usage", f"{option} {setting} {what}", help=f"write   {option} NAME=VALUE")
        return cls(name, value, f"{option} {setting}")


@dataclass(frozen=True)
class Settings:
    """The values of one run: of parameters that differ from the program's, and of all names in strings; and the paths
    of inputs that are not those in the program."""

    parameters: Mapping[str, Scalar]
    names: Mapping[str, str]
    files: Mapping[str, str] = field(default_factory=dict)

    def replace(self, template: str) -> str:
        """A string with its names replaced."""
        return replaced(template, self.names.__getitem__)

    def shown(self, template: str) -> str:
        """The same for people: a name that has no value, which only an effect may have, stays as it is written."""
        return replaced(template, lambda name: self.names.get(name, f"${name}"))

    def path(self, input: InputSlot) -> str:
        """Where an input is."""
        return self.files.get(input.name) or self.replace(input.path.value)


def program_names(path: Path | None) -> dict[str, str]:
    """The names that every program has: its place and the working directory (language.md 3.4)."""
    cwd = str(Path.cwd())
    if path is None:
        return {"stem": "program", "file": "program", "filename": "program", "dir": cwd, "cwd": cwd}
    directory = str(path.absolute().parent)
    return {"stem": path.stem, "file": path.name, "filename": path.name, "dir": directory, "cwd": cwd}


def unset(names: Sequence[StringName], known: Mapping[str, str]) -> list[StringName]:
    """The names without a value, each where it stands first."""
    first: dict[str, StringName] = {}
    for name in names:
        if name.name not in known:
            first.setdefault(name.name, name)
    return list(first.values())


def unset_diagnostic(name: StringName, severity: str = "error") -> Diagnostic:
    """What is said of a name without a value; while checking it may still get one."""
    yet = " yet" if severity == "warning" else ""
    return Diagnostic(
        "parameter",
        f"`{name.span.text}` has no value{yet}",
        name.span,
        help=f"give it one with   --set {name.name}=…   or in the environment",
        severity=severity,
    )


def settable(
    checked: Checked, program: Program, path: Path | None, given: Sequence[Given]
) -> tuple[dict[str, Scalar], dict[str, str]]:
    """The parameters and the names in strings that are given; raises `ProgramError` with all that cannot be."""
    in_strings: dict[str, Span] = {}
    for each_name in checked.names:
        in_strings.setdefault(each_name.name, each_name.span)
    fixed = program_names(path)
    problems: list[Diagnostic] = []
    parameters: dict[str, Scalar] = {}
    names: dict[str, str] = {}
    for each in given:
        name, value, shown = each
        parameter = checked.parameters.get(name)
        if parameter is not None and name in in_strings:
            problems.append(_ambiguous(shown, parameter, in_strings[name]))
        elif parameter is not None:
            typed = _typed(parameter, value)
            if typed is None:
                problems.append(_wrong_type(each, parameter))
            else:
                parameters[name] = typed
        elif name in fixed:
            message = f"{shown}: `{name}` is given by where the program lies, and cannot be set"
            problems.append(Diagnostic("parameter", message))
        elif name in in_strings:
            names[name] = value if isinstance(value, str) else str(value)
        else:
            problems.append(_unknown(each, checked, program, list(in_strings)))
    if problems:
        raise ProgramError(*problems)
    return parameters, names


def settle(
    checked: Checked,
    program: Program,
    path: Path | None,
    given: Sequence[Given],
    environment: Mapping[str, str],
    files: Mapping[str, str] | None = None,
    save: bool = True,
) -> Settings:
    """The settings of a run; raises `ProgramError` with all that cannot be set, or with all that has no value.

    `files` are paths of inputs that replace the program's. Names that stand only there, or in the paths of what is not
    saved, need no value.
    """
    files = files or {}
    parameters, names = settable(checked, program, path, given)
    outside = {each.name: environment[each.name] for each in checked.names if each.name in environment}
    known = outside | program_names(path) | names
    unused = [each.path.span for each in checked.inputs if each.name in files]
    unused += [goal.text.span for goal in checked.goals if goal.word == "save" and not save]
    used = [name for name in checked.names if not any(within(name.span, span) for span in unused)]
    problems = [unset_diagnostic(name) for name in unset(used, known)]
    if problems:
        raise ProgramError(*problems)
    return Settings(parameters, known, files)


def within(inner: Span, outer: Span) -> bool:
    """Whether a place is part of another."""
    return inner.source is outer.source and outer.start <= inner.start and inner.end <= outer.end


def _typed(parameter: Parameter, value: Scalar) -> Scalar | None:
    """The value as one of the literal's type, None when it is none."""
    kind = parameter.type
    if hasattr(value, "item") and getattr(value, "shape", None) == ():  # NumPy's scalars
        value = value.item()
    if kind is NUMBER:
        if isinstance(value, bool):
            return None
        return _number(value) if isinstance(value, str) else float(value) if isinstance(value, (int, float)) else None
    if kind is BOOL:
        return value if isinstance(value, bool) else {"true": True, "false": False}.get(str(value))
    return value if isinstance(value, str) else None


def _number(text: str) -> float | None:
    """A number as a program writes it."""
    return float(text) if _NUMBER.fullmatch(text) else None


def _ambiguous(shown: str, parameter: Parameter, string: Span) -> Diagnostic:
    return Diagnostic(
        "parameter",
        f"{shown}: `{parameter.name}` is a parameter, and `{string.text}` stands in a string",
        parameter.name_span,
        "the parameter",
        (Mark(string, "in a string"),),
        help="rename one of them",
    )


def _wrong_type(given: Given, parameter: Parameter) -> Diagnostic:
    name, value, shown = given
    example = shown[: shown.index("=") + 1]
    what = "an array" if hasattr(value, "shape") else f"`{value}`"
    return Diagnostic(
        "parameter",
        f"{shown}: `{name}` is {one(parameter.type)}, and {what} is not",
        parameter.literal.span,
        "its value in the program",
        help=f"for example   {example}{parameter.literal.span.text}",
    )


def _unknown(given: Given, checked: Checked, program: Program, in_strings: Sequence[str]) -> Diagnostic:
    name, value, shown = given
    inputs = [] if shown.startswith(("-", ":")) else [each.name for each in checked.inputs]  # from Python those too
    can = [*inputs, *checked.parameters, *in_strings]
    settable = (f"it can set {', '.join(can)}",) if can else ("the program has nothing that can be set",)
    defined = [c for c in program.commands if isinstance(c, (Let, Load)) and c.name == name]
    if defined:
        how = "is defined more than once, so it" if len(defined) > 1 else ""
        help = "a parameter is a number, a bool or a string defined once by   let NAME = …"
        if isinstance(defined[0], Load):
            capitals = name.upper()
            help += f'\nto choose the file, write   load {name} = "${capitals}"   and use   --set {capitals}={value}'
        message = f"{shown}: `{name}` {how} is not a parameter".replace("  ", " ")
        return Diagnostic("parameter", message, defined[0].name_span, details=settable, help=help)
    close = close_matches(name, can, 0.5)
    meant: tuple[str, ...] = ()
    if close:
        parameter = checked.parameters.get(close[0])
        if parameter:
            line = f"let {close[0]} = {parameter.literal.span.text}"
        else:
            line = "an input" if close[0] in inputs else f"in the string {_around(checked, close[0])}"
        meant = (f"did you mean `{close[0]}`?   {line}",)
    return Diagnostic("parameter", f"{shown}: the program has no parameter `{name}`", details=(*meant, *settable))


def _around(checked: Checked, name: str) -> str:
    """The string in which a name stands first, as it is written."""
    span = next(each.span for each in checked.names if each.name == name)
    source: Source = span.source
    start, end = source.text.rfind('"', 0, span.start), source.text.find('"', span.end)
    return source.text[start : end + 1]
