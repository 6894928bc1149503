"""From the words of a command line to a command and its options.

What is wrong with them is said as of a program, never by argparse alone.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from voxlogica.cli.arguments import COMMANDS, Options
from voxlogica.cli.settings import SETTINGS, settings
from voxlogica.errors import ProgramError, close_matches


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        match = re.fullmatch(r"argument (?:[^ ]*/)?(-[^:/]+): expected (?:one|at least one) argument", message)
        if match:
            message = f"{match[1]} needs a value"
        raise ProgramError.of("usage", message, help=f"`{self.prog} --help` shows the options")


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Finds the width of the terminal as argparse does, but without `shutil`, whose import takes 3 ms."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_width() - 2)


def _width() -> int:
    with suppress(ValueError):
        if (columns := int(os.environ.get("COLUMNS", ""))) > 0:
            return columns
    with suppress(OSError, ValueError, AttributeError):
        return os.get_terminal_size(sys.__stdout__.fileno()).columns or 80  # type: ignore[union-attr]
    return 80


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
            parser_of(arguments[1]).print_help()
        else:
            _overview().print_help()
        return "", None
    name, *rest = arguments
    if name == "--version":
        name = "version"
    if name == "store":
        name, rest = _member(rest)
        if not name:
            return "", None
    if name not in COMMANDS:
        raise _no_command(name)
    parser = parser_of(name)
    if "-h" in rest or "--help" in rest:
        parser.print_help()
        return name, None
    options, unknown = parser.parse_known_args(rest)
    if unknown:
        raise _too_much(name, parser, unknown[0])
    if _set(parser, options):
        options = parser.parse_args(rest)
    needs = COMMANDS[name].needs
    if needs and not (getattr(options, "program", "-") and getattr(options, "ids", "-")):
        help = f"for example {COMMANDS[name].examples.splitlines()[0]}"
        raise ProgramError.of("usage", f"`voxlogica {name}` needs {needs}", help=help)
    return name, options


def _set(parser: argparse.ArgumentParser, options: Options) -> bool:
    """Makes settings the defaults of a command's options; whether there are any. `options` were given without them."""
    known = {action.dest for action in parser._actions} & {key.replace("-", "_") for key in SETTINGS}
    if not known:
        return False
    program = getattr(options, "program", None)
    found = {name: value for name, value in settings(Path(program) if program else None).items() if name in known}
    if getattr(options, "store", None):
        found.pop("no_store", None)
    parser.set_defaults(**found)
    return bool(found)


def _member(rest: Sequence[str]) -> tuple[str, list[str]]:
    """The command of the store that is meant, and what follows; "" when help was wanted, and has been given."""
    members = {name.split()[1]: each for name, each in COMMANDS.items() if name.startswith("store ")}
    if not rest or rest[0] in ("-h", "--help"):
        listed = "\n".join(f"  {name:<9} {each.summary}" for name, each in members.items())
        print(f"usage: voxlogica store COMMAND …\n\nwhat earlier runs have computed\n\ncommands:\n{listed}\n\n"
              "`voxlogica store COMMAND --help` tells more.")  # fmt: skip
        return "", []
    if rest[0] not in members:
        close = close_matches(rest[0], members)
        meant = f"did you mean `{close[0]}`? " if close else ""
        help = f"{meant}`voxlogica store --help` shows the commands"
        raise _usage(f"there is no command `store {rest[0]}`", help)
    return f"store {rest[0]}", list(rest[1:])


def _no_command(name: str) -> ProgramError:
    if name.startswith("-"):
        return _usage(f"there is no option {name}", "`voxlogica --help` shows the commands and options")
    close = close_matches(name, COMMANDS)
    if not close and (name.endswith(".imgql") or Path(name).is_file()):
        return _usage(f"there is no command `{name}`", f"to run a program:   voxlogica run {name}")
    meant = f"did you mean `{close[0]}`? " if close else ""
    return _usage(f"there is no command `{name}`", f"{meant}`voxlogica --help` shows the commands")


def _too_much(name: str, parser: argparse.ArgumentParser, word: str) -> ProgramError:
    options = [string for action in parser._actions for string in action.option_strings]
    if not word.startswith("-"):
        help = f"`voxlogica {name} --help` shows what it takes"
        if "--cases" in options and Path(word).exists():  # a shell has made files of a pattern without quotes
            help = (
                "a pattern of cases has quotes around it and names in it:   --cases 'data/{case}/{case}_flair.nii.gz'"
            )
        return _usage(f"`{word}` is one argument too many", help)
    option = word.split("=")[0]
    close = close_matches(option, options)
    meant = f"did you mean {close[0]}? " if close else ""
    return _usage(f"there is no option {option}", f"{meant}`voxlogica {name} --help` shows the options")


def _usage(message: str, help: str) -> ProgramError:
    return ProgramError(*ProgramError.of("usage", message, help=help).diagnostics)


def parser_of(name: str) -> argparse.ArgumentParser:
    """The arguments of a command."""
    chosen = COMMANDS[name]
    parser = _new(f"voxlogica {name}", chosen.summary, f"examples:\n{chosen.examples}")
    chosen.add(parser)
    return parser


def described() -> dict[str, str]:
    """The commands and what they do; those of the store are one."""
    listed = {name: each.summary for name, each in COMMANDS.items() if " " not in name}
    return {**listed, "store": "look at what is stored, verify it, make room"}


def _overview() -> argparse.ArgumentParser:
    parser = _new("voxlogica", "a spatial model checker for images", _EXAMPLES)
    parser.add_argument("--version", action="store_true", help="say which version this is")
    parser.usage = "voxlogica COMMAND …"
    group = parser.add_argument_group("commands (`voxlogica COMMAND --help` tells more)")
    for name, summary in described().items():
        group.add_argument(name, help=summary, nargs="?")
    return parser


def _new(prog: str, description: str, epilog: str) -> argparse.ArgumentParser:
    settings: dict[str, Any] = {"formatter_class": _Formatter, "allow_abbrev": False}
    return _Parser(prog=prog, description=description, epilog=epilog, **settings)
