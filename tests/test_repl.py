"""The talk of `voxlogica repl`: what is typed, what is answered."""

from __future__ import annotations

import io
import itertools
import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import nibabel
import numpy as np
import pytest

from voxlogica.cli import main
from voxlogica.cli.repl import HELP, completions

Talk = Callable[..., tuple[list[str], str]]


@pytest.fixture
def talk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Talk:
    """Types lines; gives the answers and what went to stderr. There is scan.nii: 0, 1, …, 23 in 4 x 3 x 2 voxels."""
    monkeypatch.chdir(tmp_path)
    voxels = np.arange(24, dtype=np.int16).reshape(4, 3, 2)
    nibabel.save(nibabel.Nifti1Image(voxels, np.diag([1, 1, 2, 1.0])), "scan.nii")

    def say(*lines: str, arguments: tuple[str, ...] = ()) -> tuple[list[str], str]:
        monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
        assert main(["repl", *arguments]) == 0
        said = capfd.readouterr()
        return said.out.splitlines(), said.err

    return say


SCAN = ('load scan = "scan.nii"', "let image = intensity(scan)")


def test_an_expression_shows_its_value(talk: Talk) -> None:
    answers, err = talk(
        "1 .+. 2", *SCAN, "image >. 20", "image", "scan", "volume(image >. 20) .>. 2", "tt & (image >. 5)"
    )
    assert err == ""
    assert answers == [
        "3", "a mask of 4 x 3 x 2 voxels: 3 true, 6 mm³", "an image of 4 x 3 x 2 voxels: from 0 to 23",
        "a model of 4 x 3 x 2 voxels: from 0 to 23", "true", "a mask of 4 x 3 x 2 voxels: 18 true, 36 mm³",
    ]  # fmt: skip


@pytest.mark.parametrize("line", ["1 .+.", "[1,", "volume(", "1 2", "for k in range(3) do", "(", '"a'])
def test_errors_show_what_was_typed_and_nothing_else(talk: Talk, line: str) -> None:
    """A line is put into a program in order to be understood; none of that program's own lines is shown."""
    answers, err = talk("let a = 1", line, f":type {line}", "a")
    assert answers == ["1"]
    assert "error[syntax]" in err
    assert "print" not in err
    assert f"| {line}\n" in err


def test_what_is_wrong_is_said_and_not_kept(talk: Talk) -> None:
    answers, err = talk("let a = absent", "a", "let a = 2", "a", ":nonsense", "volume(3)")
    assert answers == ["2"]
    assert err.count("error[name]") == 2
    assert "there is no command :nonsense" in err
    assert "error[type]" in err


def test_a_program_is_loaded_run_and_looked_into(talk: Talk) -> None:
    Path("p.imgql").write_text(
        'load scan = "$CASE.nii"\nlet k = 20\nlet found = intensity(scan) >. k\n'
        'print "n" volume(found)\nsave "m.nii" found\n'
    )
    answers, err = talk(
        ":run", ":show found", ":set k=21", ":run", ":type found", ":type k", ":show", ":reset", "found",
        arguments=("p.imgql", "--set", "CASE=scan"),
    )  # fmt: skip
    assert answers[0] == "p.imgql: 3 definitions, 2 goals; `:run` runs them"
    assert sorted(answers[1:3]) == ["n=3", "saved m.nii"]
    assert answers[3].endswith("3 true, 6 mm³")
    assert sorted(answers[4:6]) == ["n=2", "saved m.nii"]
    assert answers[6:8] == ["mask", "number"]
    assert answers[8:11] == ['load scan = "$CASE.nii"', "let k = 20", "let found = intensity(scan) >. k"]
    assert "`found`" in err


def test_what_was_computed_is_known(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = itertools.count(0.0, 0.25)  # every look at the clock is a quarter of a second later
    monkeypatch.setattr("voxlogica.cli.repl.time", SimpleNamespace(perf_counter=lambda: next(ticks)))
    answers, _ = talk(*SCAN, "let n = volume(near(image >. 22))", ":why n", "n", ":why n", ":time", "n")
    assert answers == [
        "5 tasks are to be computed: load, intensity, and, near, volume", "8", "it is known already",
        "times are shown", "8", "0.250 s",
    ]  # fmt: skip


def test_a_sequence_shows_its_elements(talk: Talk) -> None:
    answers, err = talk(*SCAN, "[1,2,3][-1:]", "[image >. 20, image >. 22]", "[[1], [2, 3]]", '["a", "b"]')
    assert err == ""
    mask = "a mask of 4 x 3 x 2 voxels: "
    assert answers == ["[3]", f"[{mask}3 true, 6 mm³, {mask}1 true, 2 mm³]", "[[1], [2, 3]]", "[a, b]"]


def test_a_bug_is_said_and_the_talk_goes_on(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> str:
        raise AssertionError("impossible")

    monkeypatch.setattr("voxlogica.cli.repl.described", broken)
    answers, err = talk("1", ":type 1")
    assert answers == ["number"]
    assert "error[internal]: AssertionError: impossible" in err


def test_a_definition_needs_no_let(talk: Talk) -> None:
    answers, err = talk("x = 5", "f(a) = a .+. x", "f(1)", "x .=. 5", ":show")
    assert err == ""
    assert answers == ["6", "true", "x = 5", "f(a) = a .+. x"]


@pytest.mark.parametrize("line", ["volume(3)", "1 .+. true", "absent", "(1", "x = absent", "5 = 5", "1 2"])
def test_what_is_wrong_is_shown_as_it_was_typed(talk: Talk, line: str) -> None:
    _, err = talk(line)
    assert f"| {line}\n" in err
    assert "let it" not in err


def test_what_the_command_line_sets_stays(talk: Talk) -> None:
    Path("p.imgql").write_text("let k = 20\n")
    arguments = ("p.imgql", "--set", "k=7")
    answers, err = talk("k", ":set k=8", "k", ":reset", "let k = 1", "k", ":load p.imgql", "k", arguments=arguments)
    loaded = "p.imgql: 1 definition, 0 goals; `:run` runs them"
    assert err == ""
    assert answers == [loaded, "7", "8", "7", loaded, "7"]


def test_one_task_is_one(talk: Talk) -> None:
    assert talk(":why 1 .+. 2") == (["1 task is to be computed: .+."], "")


def test_help_and_quit_need_no_colon_where_they_are_no_names(talk: Talk) -> None:
    answers, err = talk("help", "quit", "1")
    assert (answers, err) == (HELP.splitlines(), "")
    answers, err = talk("help = 2", "exit = 3", "help", "exit")
    assert (answers, err) == (["2", "3"], "")


@pytest.mark.parametrize("word", [":load", ":type", ":why", ":set"])
def test_a_command_without_what_it_needs_says_so(talk: Talk, word: str) -> None:
    _, err = talk(word)
    assert err.startswith(f"error[usage]: {word} needs something after it\n  help: for example   {word} ")


@pytest.mark.parametrize(
    ("line", "text", "found"),
    [
        ("volume(tum", "tum", ["tumour"]),
        ("vol", "vol", ["volume"]),
        (":l", ":l", [":load"]),
        (":load ", "", ["p.imgql", "sub/"]),
        (":load sub/q", "q", ["q-1.imgql"]),
        (":load sub/q-1", "1", ["1.imgql"]),
        ('load s = "sub/', "", ["q-1.imgql"]),
        ('load s = "none/', "", []),
        ('print "a" tum', "tum", ["tumour"]),
    ],
)
def test_names_and_paths_are_completed(
    line: str, text: str, found: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("sub").mkdir()
    for name in ("p.imgql", ".hidden", "sub/q-1.imgql"):
        Path(name).touch()
    assert list(completions(line, text, ["volume", ":load", "let"], ["tumour"])) == found


def test_at_a_terminal_ctrl_c_ends_the_computation_and_not_the_talk(tmp_path: Path) -> None:
    """What would take for ever is interrupted; then a name of one's own is completed, and the history kept."""
    with Terminal(tmp_path) as terminal:
        terminal.wait("> ")
        terminal.type("let tumour = 41\n")
        terminal.wait("\r\n> ")
        terminal.type("fold .+. for k in range(9000) do fold .+. for m in range(9000) do k .*. m\n")
        terminal.wait(" m\r\n")
        terminal.interrupt()
        terminal.wait("interrupted\r\n> ")
        terminal.type("tum\t .+. 1\n")
        terminal.wait("\r\n42\r\n> ")
        terminal.type(":quit\n")
        assert terminal.end() == 0
    assert (tmp_path / "state" / "voxlogica" / "history").read_text().splitlines()[-2:] == ["tumour .+. 1", ":quit"]


REPL = """import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever started the tests may have it ignored
from voxlogica.cli import main
sys.exit(main(["repl"]))"""


class Terminal:
    """A talk at a pseudo-terminal."""

    def __init__(self, place: Path) -> None:
        self._fd, end = pty.openpty()
        settings = {"TERM": "xterm", "XDG_STATE_HOME": str(place / "state"), "INPUTRC": os.devnull, "NO_COLOR": "1"}
        words = [sys.executable, "-c", REPL]
        self._child = subprocess.Popen(words, stdin=end, stdout=end, stderr=end, env=os.environ | settings)
        os.close(end)

    def __enter__(self) -> Terminal:
        return self

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def interrupt(self) -> None:
        """What Ctrl-C does."""
        self._child.send_signal(signal.SIGINT)

    def wait(self, text: str) -> None:
        """Reads until the text comes; what came before is forgotten."""
        seen = ""
        while text not in seen:
            assert select.select([self._fd], [], [], 60)[0], f"{text!r} does not come after {seen!r}"
            seen += os.read(self._fd, 4096).decode()

    def end(self) -> int:
        """The status with which it ends."""
        return self._child.wait(60)

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)
        self._child.kill()
        self._child.wait()
