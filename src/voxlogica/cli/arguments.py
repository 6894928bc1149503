"""The commands and their arguments; what is wrong with them is said as of a program, never by argparse alone."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from voxlogica.errors import ProgramError

Options = argparse.Namespace


@dataclass(frozen=True)
class Command:
    """A command: where its function is, what it does in a line, its examples, and who adds its arguments."""

    module: str
    summary: str
    examples: str
    add: Callable[[argparse.ArgumentParser], None]
    needs: str = ""

    def function(self) -> Callable[[Options], int]:
        """The function that carries it out; importing it is most of the cost."""
        module, name = self.module.split(":")
        function: Callable[[Options], int] = getattr(import_module(f"voxlogica.cli.{module}"), name)
        return function


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        match = re.fullmatch(r"argument (?:[^ ]*/)?(-[^:/]+): expected (?:one|at least one) argument", message)
        if match:
            message = f"{match[1]} needs a value"
        raise ProgramError.of("usage", message, help=f"`{self.prog} --help` shows the options")


def _several(values: Sequence[str]) -> str:
    return f"{', '.join(values[:-1])} or {values[-1]}"


def _choice(option: str, *values: str) -> Callable[[str], str]:
    def one(text: str) -> str:
        if text not in values:
            raise ProgramError.of("usage", f"{option} {text} is not possible", help=f"it is {_several(values)}")
        return text

    return one


def _jobs(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        help = "it is how many operators may run at once, for example   --jobs 2"
        raise ProgramError.of("usage", f"--jobs {text} is not a number from 1", help=help)
    return int(text)


_UNITS = {"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}


def _size(text: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([kmgt]?)i?b?", text.lower())
    if not match or not float(match[1]):
        raise ProgramError.of("usage", f"--memory {text} is not a size", help="for example   --memory 4GB")
    return int(float(match[1]) * _UNITS[match[2]])


def _millimetres(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?(?:e-?\d+)?) ?(?:mm)?", text.lower())
    if not match:
        help = "for example   --grid-tolerance 0.01mm"
        raise ProgramError.of("usage", f"--grid-tolerance {text} is not a distance in mm", help=help)
    return float(match[1])


def _program(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("program", nargs="?", metavar="PROGRAM", help="a file of ImgQL, usually NAME.imgql")


def _reading(parser: argparse.ArgumentParser) -> None:
    _program(parser)
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", dest="settings",
        help="give a parameter of the program, or a $NAME in its strings, a value (may be repeated)",
    )  # fmt: skip
    _dialect(parser)


def _dialect(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dialect", type=_choice("--dialect", "1", "2"), metavar="1|2",
        help="how expressions without brackets are read: as version 1 or version 2 did",
    )  # fmt: skip


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="write the outcome as one JSON object")
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors")


def _run(parser: argparse.ArgumentParser) -> None:
    _reading(parser)
    parser.add_argument(
        "--output-dir", type=Path, metavar="DIR", help="where `save` puts files whose paths are relative"
    )
    parser.add_argument(
        "--grid-tolerance", type=_millimetres, metavar="MM",
        help="how far grids may lie apart and be taken for one (default: a thousandth of the spacing)",
    )  # fmt: skip
    parser.add_argument(
        "-j", "--jobs", type=_jobs, metavar="N", help="operators that run at once (default: all processors)"
    )
    parser.add_argument(
        "--memory", type=_size, metavar="SIZE", help="memory that values may take (default: half of the machine's)"
    )
    parser.add_argument("--no-store", action="store_true", help="keep nothing for later runs, and look nothing up")
    _common(parser)


def _check(parser: argparse.ArgumentParser) -> None:
    _reading(parser)
    _common(parser)


def _fmt(parser: argparse.ArgumentParser) -> None:
    _program(parser)
    _dialect(parser)
    parser.add_argument("--check", action="store_true", help="print nothing; exit status 1 if the text would change")
    parser.add_argument("--in-place", action="store_true", help="write the file instead of printing it")
    _common(parser)


def _operators(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", metavar="NAME", help="the word or symbol to explain")
    parser.add_argument("--json", action="store_true", help="write them as one JSON object")


def _version(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="write it as one JSON object")


COMMANDS: Mapping[str, Command] = {
    "run": Command(
        "run:run",
        "run a program: print its values, save its masks",
        """  voxlogica run gbm.imgql
  voxlogica run gbm.imgql --set NAME=case7 --set hi=0.93 --output-dir out
  voxlogica run gbm.imgql --json > result.json""",
        _run,
        "a program",
    ),
    "check": Command(
        "check:check",
        "find what is wrong with a program, without opening an image",
        """  voxlogica check gbm.imgql
  voxlogica check gbm.imgql --json""",
        _check,
        "a program",
    ),
    "fmt": Command(
        "fmt:fmt",
        "print a program with the brackets that make it mean the same in every dialect",
        """  voxlogica fmt old.imgql --dialect 1 > new.imgql
  voxlogica fmt gbm.imgql --check
  voxlogica fmt gbm.imgql --in-place""",
        _fmt,
        "a program",
    ),
    "operators": Command(
        "operators:operators",
        "list the words of the language, or explain one",
        """  voxlogica operators
  voxlogica operators through
  voxlogica operators '>.'""",
        _operators,
    ),
    "version": Command("version:version", "say which version this is", "  voxlogica version", _version),
}

_EXAMPLES = """examples:
  voxlogica run gbm.imgql --set NAME=case7 --output-dir out
  voxlogica check gbm.imgql
  voxlogica operators through

exit status:
  0  all well                          3  an input is missing or unfit
  1  something failed while computing  4  a mistake in VoxLogicA
  2  the program or the arguments are wrong
  130  interrupted"""


def command(arguments: Sequence[str]) -> tuple[str, Options | None]:
    """The command and its options; None when help was all that was wanted, and has been given.

    Raises `ProgramError`.
    """
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        if len(arguments) > 1 and arguments[0] == "help" and arguments[1] in COMMANDS:
            _parser(arguments[1]).print_help()
        else:
            _overview().print_help()
        return "", None
    name, *rest = arguments
    if name == "--version":
        name = "version"
    if name not in COMMANDS:
        raise _no_command(name)
    parser = _parser(name)
    if "-h" in rest or "--help" in rest:
        parser.print_help()
        return name, None
    options, unknown = parser.parse_known_args(rest)
    if unknown:
        raise _too_much(name, parser, unknown[0])
    needs = COMMANDS[name].needs
    if needs and getattr(options, "program", "") is None:
        help = f"for example {COMMANDS[name].examples.splitlines()[0]}"
        raise ProgramError.of("usage", f"`voxlogica {name}` needs {needs}", help=help)
    return name, options


def _no_command(name: str) -> ProgramError:
    if name.startswith("-"):
        return _usage(f"there is no option {name}", "`voxlogica --help` shows the commands and options")
    close = get_close_matches(name, COMMANDS, 1)
    if not close and (name.endswith(".imgql") or Path(name).is_file()):
        return _usage(f"there is no command `{name}`", f"to run a program:   voxlogica run {name}")
    meant = f"did you mean `{close[0]}`? " if close else ""
    return _usage(f"there is no command `{name}`", f"{meant}`voxlogica --help` shows the commands")


def _too_much(name: str, parser: argparse.ArgumentParser, word: str) -> ProgramError:
    if not word.startswith("-"):
        return _usage(f"`{word}` is one argument too many", f"`voxlogica {name} --help` shows what it takes")
    option = word.split("=")[0]
    options = [string for action in parser._actions for string in action.option_strings]
    close = get_close_matches(option, options, 1)
    meant = f"did you mean {close[0]}? " if close else ""
    return _usage(f"there is no option {option}", f"{meant}`voxlogica {name} --help` shows the options")


def _usage(message: str, help: str) -> ProgramError:
    return ProgramError(*ProgramError.of("usage", message, help=help).diagnostics)


def _parser(name: str) -> argparse.ArgumentParser:
    described = COMMANDS[name]
    parser = _new(f"voxlogica {name}", described.summary, f"examples:\n{described.examples}")
    described.add(parser)
    return parser


def _overview() -> argparse.ArgumentParser:
    parser = _new("voxlogica", "a spatial model checker for images", _EXAMPLES)
    parser.add_argument("--version", action="store_true", help="say which version this is")
    parser.usage = "voxlogica COMMAND …"
    group = parser.add_argument_group("commands (`voxlogica COMMAND --help` tells more)")
    for name, each in COMMANDS.items():
        group.add_argument(name, help=each.summary, nargs="?")
    return parser


def _new(prog: str, description: str, epilog: str) -> argparse.ArgumentParser:
    settings: dict[str, Any] = {"formatter_class": argparse.RawDescriptionHelpFormatter, "allow_abbrev": False}
    return _Parser(prog=prog, description=description, epilog=epilog, **settings)
