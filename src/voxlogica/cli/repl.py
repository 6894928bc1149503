"""`voxlogica repl`: expressions one by one. What was computed once is not computed again."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from math import prod
from pathlib import Path

from platformdirs import user_state_path

from voxlogica._dataclass import replace
from voxlogica.check.manual import entries
from voxlogica.cli.arguments import Options
from voxlogica.cli.text import awaited, begin, complain, notice
from voxlogica.errors import ProgramError, Source, VoxLogicAError
from voxlogica.execution.engine import find_operator
from voxlogica.execution.planning import foreseen
from voxlogica.kernels import memory
from voxlogica.session import Given, Program, Run, Saved, Session, Trouble, read
from voxlogica.session import Options as RunOptions
from voxlogica.session.running import unexpected
from voxlogica.storage import MemoryStorage
from voxlogica.study.rows import brief
from voxlogica.syntax.ast import Print, Save
from voxlogica.values import Mask, Model, Record, Value, counted, shown

HELP = """  an expression shows its value; a command (let, load, import, print, save) is added to the program
  :load FILE     begin with a program        :run           run its prints and saves
  :show [NAME]   the program, or a value     :type EXPR     the type of an expression
  :why EXPR      what would be computed      :time          say how long things take, or no longer
  :set NAME=V    a $NAME or a parameter      :reset         forget what was said
  :help          this                        :quit          or Ctrl-D"""

_COMMANDS = tuple(re.findall(r":\w+", HELP))
_DEFINITION = re.compile(r"""(?:let|load|import)\b|[^\W\d]\w*\s*(?:\([^()]*\)\s*)?=(?![-#;:_'.|!$%&/^=*+<>?@~\\])""")
"""How a line begins that defines something; `let` may be left out."""
_DEFINED = re.compile(r"(?:(?:let|load)\s+)?([^\W\d]\w*)")
_EXAMPLES = {
    ":load": ":load program.imgql", ":type": ":type 1 .+. 2", ":why": ":why volume(near(tt))", ":set": ":set CASE=anna"
}  # fmt: skip


def repl(options: Options) -> int:
    """Reads, evaluates and shows until there is no more."""
    memory.keep_freed()
    storage = MemoryStorage() if options.no_store else None
    with Session(store=options.store, storage=storage, library_path=options.library_path, tell=notice) as session:
        talk = _Talk(session, options)
        if sys.stdin.isatty():
            print("`:help` says what there is, `:quit` or Ctrl-D ends", flush=True)
        with _editing(talk.names):
            if options.program:
                talk.obey(f":load {options.program}")
            while _answered(talk):
                pass
    return 0


def _answered(talk: _Talk) -> bool:
    """Reads a line and does what it says; False when there is no more."""
    try:
        line = input("> " if sys.stdin.isatty() else "").strip()
        begin()
        if line in (":quit", ":q") or (line in ("quit", "exit") and line not in talk.names()):
            return False
        talk.obey(line)
    except EOFError:
        return False
    except VoxLogicAError as error:
        complain(error.diagnostics)
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
    except Exception as error:  # noqa: BLE001  # a bug of ours is said, and ends no talk
        complain([unexpected(error)])
    return True


class _Talk:
    """What has been said so far: definitions and goals that accumulate, and settings."""

    def __init__(self, session: Session, options: Options) -> None:
        self._session = session
        self._dialect = int(options.dialect) if options.dialect else None
        self._always = [Given.text(setting) for setting in options.settings]
        self._given = self._always
        self._path: Path | None = None
        self._definitions: list[str] = []
        self._goals: list[str] = []
        self._timed = False

    def obey(self, line: str) -> None:
        """Does what a line says. Raises `VoxLogicAError`."""
        if not line:
            return
        start = time.perf_counter()
        word, _, rest = line.partition(" ")
        if line in ("help", "?") and line not in self.names():
            word = ":help"
        if word.startswith(":"):
            self._command(word, rest.strip())(rest.strip())
        elif re.match(r"(print|save)\b", line):
            self._do(self._program([line]))
        elif _DEFINITION.match(line):
            self._define([line])
        else:
            self._value(line)
        if self._timed and word != ":time":
            print(f"{time.perf_counter() - start:.3f} s")

    def names(self) -> list[str]:
        """What has been defined, as typing begins it."""
        found = (_DEFINED.match(line) for line in self._definitions)
        return [match[1] for match in found if match]

    def _command(self, word: str, rest: str) -> Callable[[str], None]:
        commands: Mapping[str, Callable[[str], None]] = {
            ":load": self._load, ":run": self._run, ":show": self._show, ":type": self._type, ":why": self._why,
            ":time": self._time, ":set": self._set, ":reset": self._reset, ":help": lambda _: print(HELP),
        }  # fmt: skip
        if word not in commands:
            raise ProgramError.of("usage", f"there is no command {word}", help="`:help` lists them")
        if not rest and word in _EXAMPLES:
            raise ProgramError.of("usage", f"{word} needs something after it", help=f"for example   {_EXAMPLES[word]}")
        return commands[word]

    # The program

    def _program(self, goals: Sequence[str] = (), new: Sequence[str] = ()) -> Program:
        text = "\n".join([*self._definitions, *new, *goals])
        return Program(self._session, Source("repl", text), self._path, self._dialect, ())

    def _define(self, lines: Sequence[str]) -> None:
        """Adds definitions, none that is wrong: nothing needs them yet, so that errors in them come as warnings."""
        old = len("\n".join(self._definitions))
        said = [each for each in self._program(new=lines).warnings if each.span is None or each.span.start >= old]
        if said:
            raise ProgramError(*(replace(each, severity="error") for each in said))
        self._definitions += lines

    def _bound(self, program: Program, save: bool) -> Run:
        known = {name.name for name in program.checked.names} | set(program.parameters)
        given = [each for each in self._given if each.name in known]
        prepared = program.settle(given, RunOptions(jobs=self._session.jobs), save=save)
        return Run(prepared, prepared.bind())

    def _do(self, program: Program) -> None:
        for each in self._bound(program, save=True).happenings():
            match each:
                case Trouble(diagnostic):
                    complain([diagnostic])
                case Saved(path):
                    print(f"saved {path}")
                case _:
                    print(each)

    # Expressions

    def _of(self, expression: str) -> Program:
        """The program whose last definition is the expression, under the name `it`, made a goal: a `print` if it has
        no voxels, else a `save` that is not done, or a sequence as long as it."""
        let = [f"let it =\n{expression}"]  # on a line of its own, so that errors show what was typed
        refused: ProgramError | None = None
        for goal in ('print "it" it', 'save "it.nii" it', 'print "it" (for each in it do 0)'):
            try:
                return self._program([goal], let)
            except ProgramError as error:
                refused = refused or error
        assert refused is not None
        end = len("\n".join([*self._definitions, *let]))  # behind it stands the goal, which nobody typed
        raise ProgramError(
            *(replace(each, marks=tuple([mark for mark in each.marks if mark.span.start <= end]))
              for each in refused.diagnostics)
        )  # fmt: skip

    def _value(self, expression: str) -> None:
        print(described(self._bound(self._of(expression), save=False)["it"]))

    # Commands of the talk itself

    def _load(self, name: str) -> None:
        path = Path(name)
        source = read(path)
        program = Program(self._session, source, path, self._dialect, ())
        complain(program.warnings)
        commands = program.syntax.commands
        self._path = path
        self._definitions = [each.span.text for each in commands if not isinstance(each, (Print, Save))]
        self._goals = [each.span.text for each in commands if isinstance(each, (Print, Save))]
        print(f"{source.name}: {counted(len(self._definitions), 'definition')}, "
              f"{counted(len(self._goals), 'goal')}; `:run` runs them")  # fmt: skip

    def _run(self, _: str) -> None:
        self._do(self._program(self._goals))

    def _show(self, name: str) -> None:
        if name:
            self._value(name)
        else:
            print("\n".join([*self._definitions, *self._goals]))

    def _type(self, expression: str) -> None:
        print(self._of(expression).checked.definitions["it"].type)

    def _why(self, expression: str) -> None:
        run = self._bound(self._of(expression), save=False)
        tasks = foreseen(self._session.storage, [run.names["it"]], find_operator).tasks
        labels = [task.formula.label for task in tasks if task.formula.operator or task.formula.file]
        print(f"{awaited(len(labels))}: {', '.join(labels)}" if labels else "it is known already")

    def _time(self, _: str) -> None:
        self._timed = not self._timed
        print(f"times are {'shown' if self._timed else 'no longer shown'}")

    def _set(self, setting: str) -> None:
        given = Given.text(setting, ":set")
        self._given = [each for each in self._given if each.name != given.name] + [given]

    def _reset(self, _: str) -> None:
        self._path, self._definitions, self._goals, self._given = None, [], [], self._always


def described(value: Value) -> str:
    """A value in a line."""
    if isinstance(value, (bool, float, str)):
        return shown(value)
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, tuple):
        return f"[{', '.join([described(each) for each in value])}]"
    if isinstance(value, Record):
        return "\n".join([f"{name}: {described(each)}" for name, each in value.items()])
    size = " x ".join(map(str, value.space.size))
    if isinstance(value, Mask):
        count = int(value.numpy().sum())
        cubic = count * prod(value.space.spacing)
        return f"a mask of {size} voxels: {count} true, {brief(cubic)} mm{'³' if value.space.dimensions == 3 else '²'}"
    numbers = value.numpy()
    kind = "a model" if isinstance(value, Model) else "an image"
    return f"{kind} of {size} voxels: from {shown(float(numbers.min()))} to {shown(float(numbers.max()))}"


@contextmanager
def _editing(names: Callable[[], Sequence[str]]) -> Iterator[None]:
    """Editing, completion and a history that is kept, where somebody types and the machine has readline."""
    if not sys.stdin.isatty():
        yield
        return
    try:
        import readline
    except ImportError:  # Windows
        yield
        return
    path = user_state_path("voxlogica") / "history"
    words = {*(entry.name for entry in entries()), "let", "load", "import", "print", "save", *_COMMANDS}

    def complete(text: str, number: int) -> str | None:
        return next(islice(completions(readline.get_line_buffer()[: readline.get_endidx()], text, words, names()),
                           number, None), None)  # fmt: skip

    readline.set_completer(complete)
    readline.set_completer_delims(' ()[],"&|!+-*/<>=')
    readline.parse_and_bind("tab: complete")
    with suppress(OSError):
        readline.read_history_file(path)
    try:
        yield
    finally:
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            readline.set_history_length(1000)
            readline.write_history_file(path)


def completions(line: str, text: str, words: Iterable[str], names: Iterable[str]) -> Iterator[str]:
    """What may stand in the place of `text`, with which a line ends: paths after `:load` and in strings, else names."""
    quoted = line.rpartition('"')[2] if line.count('"') % 2 else None
    path = line.removeprefix(":load ") if line.startswith(":load ") else quoted
    if path is None:
        yield from sorted(word for word in {*words, *names} if word.startswith(text))
        return
    directory, _, begun = path.rpartition("/")
    with suppress(OSError):
        for entry in sorted(Path(directory or ("/" if path.startswith("/") else ".")).iterdir()):
            if entry.name.startswith(begun) and (begun or not entry.name.startswith(".")):
                yield text + entry.name[len(begun) :] + ("/" if entry.is_dir() else "")
