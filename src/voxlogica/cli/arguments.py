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


def _jobs_like(option: str) -> Callable[[str], int]:
    def one(text: str) -> int:
        if not text.isdecimal() or int(text) < 1:
            raise ProgramError.of("usage", f"{option} {text} is not a number from 1", help=f"for example   {option} 2")
        return int(text)

    return one


def _seconds(option: str) -> Callable[[str], float]:
    def one(text: str) -> float:
        match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([smh]?)", text.lower())
        if not match or not float(match[1]):
            help = f"for example   {option} 90   {option} 5m   or   {option} 2h"
            raise ProgramError.of("usage", f"{option} {text} is not a time", help=help)
        return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]

    return one


def _days(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([dh]?)", text.lower())
    if not match:
        help = "for example   --older-than 30   or   --older-than 12h"
        raise ProgramError.of("usage", f"--older-than {text} is not a number of days", help=help)
    return float(match[1]) * (3600 if match[2] == "h" else 86400)


_UNITS = {"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}


def _bytes(option: str) -> Callable[[str], int]:
    def one(text: str) -> int:
        match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([kmgt]?)i?b?", text.lower())
        if not match:
            raise ProgramError.of("usage", f"{option} {text} is not a size", help=f"for example   {option} 4GB")
        return int(float(match[1]) * _UNITS[match[2]])

    return one


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
    parser.add_argument(
        "--dialect", type=_choice("--dialect", "1", "2"), metavar="1|2",
        help="how expressions without brackets are read: as version 1 or version 2 did",
    )  # fmt: skip


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="write the outcome as one JSON object")
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors")


def _running(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output-dir", type=Path, metavar="DIR", help="where `save` puts files whose paths are relative"
    )
    parser.add_argument(
        "--grid-tolerance", type=_millimetres, metavar="MM",
        help="how far grids may lie apart and be taken for one (default: a thousandth of the spacing)",
    )  # fmt: skip
    parser.add_argument(
        "-j",
        "--jobs",
        type=_jobs_like("--jobs"),
        metavar="N",
        help="operators that run at once (default: all processors)",
    )
    parser.add_argument(
        "--memory",
        type=_bytes("--memory"),
        metavar="SIZE",
        help="memory that values may take (default: half of the machine's)",
    )
    _store_option(parser)
    parser.add_argument("--no-store", action="store_true", help="keep nothing for later runs, and look nothing up")
    parser.add_argument("--retry-failed", action="store_true", help="try again what failed in an earlier run")
    parser.add_argument(
        "--timeout", type=_seconds("--timeout"), metavar="TIME", help="give up what is not done by then (30, 5m, 2h)"
    )
    parser.add_argument(
        "--task-timeout", type=_seconds("--task-timeout"), metavar="TIME", help="the same for each single operator"
    )
    parser.add_argument("--events", type=Path, metavar="FILE", help="write what happens to tasks as lines of JSON")
    parser.add_argument(
        "--profile", type=Path, nargs="?", const=Path(), metavar="FILE",
        help="say at the end which operators took the time; with FILE, write a trace for Perfetto or Chrome",
    )  # fmt: skip


def _run(parser: argparse.ArgumentParser) -> None:
    _reading(parser)
    _running(parser)
    parser.add_argument("-n", "--dry-run", action="store_true", help="say what would be computed, and compute nothing")
    parser.add_argument(
        "--why", action="store_true", help="say for each task that is computed what changed since the latest run"
    )
    _common(parser)


def _store_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--store", type=Path, metavar="DIR", help="where results are kept (default: $VOXLOGICA_STORE, or your own)"
    )


def _stored(*arguments: Callable[[argparse.ArgumentParser], object]) -> Callable[[argparse.ArgumentParser], None]:
    """What a command of the store takes: its own arguments, then those they all have."""

    def add(parser: argparse.ArgumentParser) -> None:
        for argument in arguments:
            argument(parser)
        _store_option(parser)
        parser.add_argument("--json", action="store_true", help="write the outcome as one JSON object")

    return add


def _ids(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ids", nargs="*", metavar="ID", help="an id, or as much of its beginning as is needed")


def _many(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--most", type=_jobs_like("--most"), default=40, metavar="N", help="how many (default: 40)")


def _repair(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--repair", action="store_true", help="remove what is damaged, so that it is computed again")


def _limits(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--max-bytes", type=_bytes("--max-bytes"), metavar="SIZE", help="keep at most so much")
    parser.add_argument(
        "--min-free", type=_bytes("--min-free"), default=0, metavar="SIZE", help="leave so much of the disk free"
    )
    parser.add_argument(
        "--older-than", type=_days, metavar="DAYS", help="remove all that was made more than so many days ago"
    )


def _yes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="do not ask")


def _check(parser: argparse.ArgumentParser) -> None:
    _reading(parser)
    _common(parser)


def _operators(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", metavar="NAME", help="the word or symbol to explain")
    parser.add_argument("--json", action="store_true", help="write them as one JSON object")


def _version(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="write it as one JSON object")


def _cases(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "patterns", nargs="*", metavar="PATTERN",
        help="'data/{case}/{case}_flair.nii.gz', INPUT=PATTERN (several are joined), a .csv table, or a BIDS directory",
    )  # fmt: skip
    parser.add_argument(
        "--for", type=Path, metavar="PROGRAM", dest="program_for", help="what the cases set in a program"
    )
    parser.add_argument("--json", action="store_true", help="write them as one JSON object")


def _study(parser: argparse.ArgumentParser) -> None:
    _reading(parser)
    parser.add_argument(
        "--cases", action="append", default=[], metavar="CASES",
        help="'data/{case}/{case}_flair.nii.gz', INPUT=PATTERN (may be repeated), a .csv table, or a BIDS directory",
    )  # fmt: skip
    parser.add_argument("--table", type=Path, metavar="FILE", help="write the table as .csv, .json or .parquet")
    _running(parser)
    _common(parser)


def _sweep(parser: argparse.ArgumentParser) -> None:
    _study(parser)
    parser.add_argument(
        "-p", action="append", default=[], metavar="NAME=VALUES", dest="axes",
        help="FROM:TO:STEP, both ends included, or a list: hi=0.90:0.99:0.01, vi=0.86,0.9 (may be repeated)",
    )  # fmt: skip
    parser.add_argument(
        "--lowest", action="append", default=[], metavar="LABEL", help="of this measure the lowest mean is the best"
    )


def _two(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ids", nargs="*", metavar="RUN", help="two runs, as `voxlogica runs` names them: r12 r14")


def _report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ids", nargs="*", metavar="RUN", help="a run, as `voxlogica runs` names it: r14")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="where to write it (default: RUN.html)")
    parser.add_argument("--over", metavar="NAME", help="the image to draw on (default: the first that is loaded)")
    parser.add_argument(
        "--masks", metavar="NAME,NAME", help="the masks to draw, at most three (default: those that are saved)"
    )
    parser.add_argument(
        "--pictures", type=_count, default=40, metavar="N", help="cases with pictures, the worst ones (default: 40)"
    )
    parser.add_argument("--sort", metavar="LABEL", help="the measure that says which cases are the worst")
    parser.add_argument(
        "--lowest", action="append", default=[], metavar="LABEL", help="of this measure the lowest is the best"
    )


def _count(text: str) -> int:
    return 0 if text == "0" else _jobs_like("--pictures")(text)


def _repl(parser: argparse.ArgumentParser) -> None:
    _reading(parser)
    _store_option(parser)
    parser.add_argument("--no-store", action="store_true", help="keep nothing for later")


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
    "operators": Command(
        "operators:operators",
        "list the words of the language, or explain one",
        """  voxlogica operators
  voxlogica operators through
  voxlogica operators '>.'""",
        _operators,
    ),
    "cases": Command(
        "cases:cases",
        "how a folder, a table or a pattern is understood: which cases, and what is missing",
        """  voxlogica cases 'data/{case}/{case}_flair.nii.gz'
  voxlogica cases flair='data/{case}/flair.nii.gz' seg='data/{case}/seg.nii.gz'
  voxlogica cases table.csv --for gbm.imgql""",
        _cases,
    ),
    "batch": Command(
        "study:batch",
        "run a program on many cases: one row a case",
        """  voxlogica batch gbm.imgql --cases 'data/{case}/{case}_flair.nii.gz' --table out.csv
  voxlogica batch seg.imgql --cases flair='data/{case}_flair.nii.gz' --cases seg='data/{case}_seg.nii.gz'
  voxlogica batch gbm.imgql --cases cases.csv --output-dir masks -j 4""",
        _study,
        "a program",
    ),
    "sweep": Command(
        "study:sweep",
        "run a program for all choices of some parameters, on one case or many",
        """  voxlogica sweep gbm.imgql --cases 'data/{case}/{case}_flair.nii.gz' -p hi=0.90:0.99:0.01 -p vi=0.86,0.9
  voxlogica sweep gbm.imgql --set NAME=case7 -p hi=0.93,0.95""",
        _sweep,
        "a program",
    ),
    "runs": Command("runs:runs", "the latest runs", "  voxlogica runs --most 5", _stored(_many)),
    "diff": Command(
        "runs:diff",
        "what differs between two runs: definitions, numbers, masks",
        "  voxlogica diff r12 r14",
        _stored(_two, _many),
        "two runs",
    ),
    "report": Command(
        "runs:report",
        "one self-contained page of a run: table, distributions, heat maps, pictures of the worst cases",
        "  voxlogica report r14 -o report.html\n  voxlogica report r14 --masks gtv,manual --sort 04_dice_gtv",
        _stored(_report),
        "a run",
    ),
    "repl": Command(
        "repl:repl",
        "try expressions one by one",
        "  voxlogica repl\n  voxlogica repl gbm.imgql --set NAME=case7",
        _repl,
    ),
    "store info": Command("store:info", "how much is stored, and who uses it", "  voxlogica store info", _stored()),
    "store list": Command(
        "store:list_",
        "the latest results, how they were made and what they take",
        "  voxlogica store list --most 10",
        _stored(_many),
    ),
    "store show": Command(
        "store:show",
        "what is known of a result",
        "  voxlogica store show 3fa2",
        _stored(_ids),
        "an id",
    ),
    "store why": Command(
        "store:why",
        "how a result was made, down to the files",
        "  voxlogica store why 3fa2",
        _stored(_ids),
        "an id",
    ),
    "store verify": Command(
        "store:verify",
        "compare everything that is stored with its checksum",
        "  voxlogica store verify\n  voxlogica store verify --repair",
        _stored(_repair),
    ),
    "store gc": Command(
        "store:gc",
        "free space: remove what is cheapest to compute again for its size",
        "  voxlogica store gc --max-bytes 5GB\n  voxlogica store gc --min-free 20GB\n"
        "  voxlogica store gc --older-than 90",
        _stored(_limits),
    ),
    "store pin": Command(
        "store:pin",
        "never remove these results; without ids, say what is pinned",
        "  voxlogica store pin 3fa2 9c01",
        _stored(_ids),
    ),
    "store unpin": Command("store:unpin", "end a pin", "  voxlogica store unpin 3fa2", _stored(_ids), "an id"),
    "store cleanup": Command(
        "store:cleanup",
        "forget failures, and what processes that died have left behind",
        "  voxlogica store cleanup",
        _stored(),
    ),
    "store clear": Command(
        "store:clear",
        "remove every result that is neither pinned nor in use",
        "  voxlogica store clear --yes",
        _stored(_yes),
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
    if name == "store":
        name, rest = _member(rest)
        if not name:
            return "", None
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
    if needs and not (getattr(options, "program", "-") and getattr(options, "ids", "-")):
        help = f"for example {COMMANDS[name].examples.splitlines()[0]}"
        raise ProgramError.of("usage", f"`voxlogica {name}` needs {needs}", help=help)
    return name, options


def _member(rest: Sequence[str]) -> tuple[str, list[str]]:
    """The command of the store that is meant, and what follows; "" when help was wanted, and has been given."""
    members = {name.split()[1]: each for name, each in COMMANDS.items() if name.startswith("store ")}
    if not rest or rest[0] in ("-h", "--help"):
        listed = "\n".join(f"  {name:<9} {each.summary}" for name, each in members.items())
        print(f"usage: voxlogica store COMMAND …\n\nwhat earlier runs have computed\n\ncommands:\n{listed}\n\n"
              "`voxlogica store COMMAND --help` tells more.")  # fmt: skip
        return "", []
    if rest[0] not in members:
        close = get_close_matches(rest[0], members, 1)
        meant = f"did you mean `{close[0]}`? " if close else ""
        help = f"{meant}`voxlogica store --help` shows the commands"
        raise _usage(f"there is no command `store {rest[0]}`", help)
    return f"store {rest[0]}", list(rest[1:])


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
    listed = {name: each.summary for name, each in COMMANDS.items() if " " not in name}
    for name, summary in {**listed, "store": "look at what is stored, verify it, make room"}.items():
        group.add_argument(name, help=summary, nargs="?")
    return parser


def _new(prog: str, description: str, epilog: str) -> argparse.ArgumentParser:
    settings: dict[str, Any] = {"formatter_class": argparse.RawDescriptionHelpFormatter, "allow_abbrev": False}
    return _Parser(prog=prog, description=description, epilog=epilog, **settings)
