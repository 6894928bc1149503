"""The commands and their arguments."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path

from voxlogica._dataclass import dataclass
from voxlogica.cli.readers import choice, count, days, directories, file, millimetres, seconds, size

Options = argparse.Namespace

PROGRESS = ("auto", "plain", "json", "none")


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


def _program(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "program", nargs="?", metavar="PROGRAM", help="a file of ImgQL, usually NAME.imgql; - reads standard input"
    )


def _reading(parser: argparse.ArgumentParser) -> None:
    _program(parser)
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", dest="settings",
        help="give a parameter of the program, or a $NAME in its strings, a value (may be repeated)",
    )  # fmt: skip
    _libraries(parser)
    _dialect(parser)
    _own(parser)


def _own(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--operators", type=Path, action="append", default=[], metavar="FILE.py", dest="own",
        help="run this file of Python, which declares operators for programs to use (may be repeated)",
    )  # fmt: skip


def _libraries(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--library-path", type=directories("--library-path"), default=(), metavar="DIR[:DIR]",
        help="where imports are looked for, after the importing file's directory and the working directory",
    )  # fmt: skip


def _dialect(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dialect", type=choice("--dialect", "1", "2"), metavar="1|2",
        help="how expressions without brackets are read: as version 1 or version 2 did",
    )  # fmt: skip


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="write the outcome as one JSON object")
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors")


def _outputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output-dir", type=Path, metavar="DIR", help="where `save` puts files whose paths are relative"
    )
    parser.add_argument(
        "--grid-tolerance", type=millimetres("--grid-tolerance"), metavar="MM",
        help="how far grids may lie apart and be taken for one (default: a thousandth of the spacing)",
    )  # fmt: skip


def _running(parser: argparse.ArgumentParser) -> None:
    _outputs(parser)
    parser.add_argument(
        "-j",
        "--jobs",
        type=count("--jobs"),
        metavar="N",
        help="operators that run at once (default: all processors)",
    )
    parser.add_argument(
        "--memory",
        type=size("--memory"),
        metavar="SIZE",
        help="memory that values may take (default: half of the machine's)",
    )
    _store_option(parser)
    _no_store(parser)
    parser.add_argument("--retry-failed", action="store_true", help="try again what failed in an earlier run")
    parser.add_argument(
        "--timeout", type=seconds("--timeout"), metavar="TIME", help="give up what is not done by then (30, 5m, 2h)"
    )
    parser.add_argument(
        "--task-timeout", type=seconds("--task-timeout"), metavar="TIME", help="the same for each single operator"
    )
    parser.add_argument(
        "--events", type=file("--events"), metavar="FILE", help="write what happens to tasks as lines of JSON"
    )
    parser.add_argument(
        "--profile", type=file("--profile"), nargs="?", const=Path(), metavar="FILE",
        help="say at the end which operators took the time; with FILE, write a trace for Perfetto or Chrome",
    )  # fmt: skip
    parser.add_argument(
        "--progress", type=choice("--progress", *PROGRESS), default="auto", metavar="|".join(PROGRESS),
        help="how far it is, on stderr: on a terminal only (auto), as lines, as lines of JSON, or not at all",
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


def _no_store(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-store", action="store_true", help="keep nothing for later runs, and look nothing up")


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
    parser.add_argument("--most", type=count("--most"), default=40, metavar="N", help="how many (default: 40)")


def _repair(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--repair", action="store_true", help="remove what is damaged, so that it is computed again")


def _limits(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--max-bytes", type=size("--max-bytes"), metavar="SIZE", help="keep at most so much")
    parser.add_argument(
        "--min-free", type=size("--min-free"), default=0, metavar="SIZE", help="leave so much of the disk free"
    )
    parser.add_argument(
        "--older-than",
        type=days("--older-than"),
        metavar="DAYS",
        help="remove all that was made more than so many days ago",
    )


def _yes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="do not ask")


def _check(parser: argparse.ArgumentParser) -> None:
    _reading(parser)
    _common(parser)


def _plan(parser: argparse.ArgumentParser) -> None:
    _reading(parser)
    _outputs(parser)
    _store_option(parser)
    _no_store(parser)
    parser.add_argument("--dot", action="store_true", help="write it for Graphviz: | dot -Tsvg > plan.svg")
    parser.add_argument("--syntax", action="store_true", help="print the program as it was read, and open no image")
    _common(parser)


def _doctor(parser: argparse.ArgumentParser) -> None:
    _store_option(parser)
    _no_store(parser)
    parser.add_argument("--json", action="store_true", help="write it as one JSON object")


def _cite(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--bibtex", action="store_true", help="as entries for BibTeX")
    parser.add_argument("--json", action="store_true", help="write it as one JSON object")


def _completion(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", nargs="?", metavar="SHELL", help="bash, zsh or fish")


def _fmt(parser: argparse.ArgumentParser) -> None:
    _program(parser)
    _dialect(parser)
    parser.add_argument("--check", action="store_true", help="print nothing; exit status 1 if the text would change")
    parser.add_argument("--in-place", action="store_true", help="write the file instead of printing it")
    _common(parser)


def _operators(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", metavar="NAME", help="the word or symbol to explain")
    _own(parser)
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
    _libraries(parser)
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
    parser.add_argument(
        "-o", "--output", type=file("--output"), metavar="FILE", help="where to write it (default: RUN.html)"
    )
    parser.add_argument("--over", metavar="NAME", help="the image to draw on (default: the first that is loaded)")
    parser.add_argument(
        "--masks", metavar="NAME,NAME", help="the masks to draw, at most three (default: those that are saved)"
    )
    parser.add_argument(
        "--pictures",
        type=_count_or_none,
        default=40,
        metavar="N",
        help="cases with pictures, the worst ones (default: 40)",
    )
    parser.add_argument("--sort", metavar="LABEL", help="the measure that says which cases are the worst")
    parser.add_argument(
        "--lowest", action="append", default=[], metavar="LABEL", help="of this measure the lowest is the best"
    )


def _count_or_none(text: str) -> int:
    return 0 if text == "0" else count("--pictures")(text)


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
    "plan": Command(
        "plan:plan",
        "the tasks of a program: types, costs, ids, and what is kept",
        """  voxlogica plan gbm.imgql --set NAME=case7
  voxlogica plan gbm.imgql --dot | dot -Tsvg > plan.svg
  voxlogica plan gbm.imgql --syntax""",
        _plan,
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
        _stored(_two, _many, _own),
        "two runs",
    ),
    "report": Command(
        "runs:report",
        "one self-contained page of a run: table, distributions, heat maps, pictures of the worst cases",
        "  voxlogica report r14 -o report.html\n  voxlogica report r14 --masks gtv,manual --sort 04_dice_gtv",
        _stored(_report, _own),
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
    "doctor": Command(
        "doctor:doctor",
        "whether this installation works, and what to do if not",
        "  voxlogica doctor\n  voxlogica doctor --json",
        _doctor,
    ),
    "completion": Command(
        "completion:completion",
        "a script by which a shell completes commands, options and files",
        """  eval "$(voxlogica completion bash)"      # in ~/.bashrc
  eval "$(voxlogica completion zsh)"       # in ~/.zshrc, after compinit
  voxlogica completion fish | source       # in ~/.config/fish/config.fish""",
        _completion,
    ),
    "cite": Command("cite:cite", "how to cite VoxLogicA", "  voxlogica cite --bibtex >> paper.bib", _cite),
    "version": Command("version:version", "say which version this is", "  voxlogica version", _version),
}
