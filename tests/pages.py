"""Pages that are run: what a page of docs/ shows is what comes out, in the order of the page, in one directory.

What a fenced block is, is said by the words after its fence:

    imgql NAME   a file that the page makes; python NAME.py too
    imgql        a program that is run; the `text` block after it is all that comes out, with the errors
    console      commands after `$`, each with what it prints
    python       a script that must end well, without a warning
    python NAME  a piece of the module that a page builds; what it defines is there in the sessions after it
    pycon        a Python session; the sessions of a page are one
    ipython      a cell of a notebook, which must end well; the names of the session are there
"""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import pytest

import voxlogica as vx
from voxlogica.cli import main

DOCS = Path(__file__).resolve().parent.parent / "docs"


class Block(NamedTuple):
    """A fenced block: its first word, the rest of the words, and the text."""

    kind: str
    name: str
    body: str


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page."""
    found = re.findall(r"^```(\w*) ?([^\n]*)\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return [Block(*each) for each in found]


def check(
    page: Path, place: Path, monkeypatch: pytest.MonkeyPatch, lines: Callable[[str], Iterable[str]] = str.splitlines
) -> None:
    """Runs a page in the directory `place`; of what commands print, `lines` are compared."""
    environment(place, monkeypatch)
    monkeypatch.setattr("voxlogica.operators._own", {})  # what a page declares
    monkeypatch.syspath_prepend(str(place))  # what it imports
    with vx.Session(store=place / "store") as own:
        monkeypatch.setattr("voxlogica.session._default", own)
        _check(page, lines)
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(place)):
            del sys.modules[name]


def _check(page: Path, lines: Callable[[str], Iterable[str]]) -> None:
    session: dict[str, object] = {"__name__": "__main__"}
    rest = iter(blocks(page))
    for kind, name, body in rest:
        if (kind == "imgql" and name) or (kind == "python" and name.endswith(".py")):
            Path(name).write_text(body, "utf-8")
        elif kind == "imgql":
            Path("program.imgql").write_text(body, "utf-8")
            assert next(rest) == ("text", "", said("run", "program.imgql")), body
        elif kind == "python" and name:
            exec(compile(body, f"{page.name}: {name}", "exec"), session)
        elif kind == "python":
            run([sys.executable, "-W", "error", "-c", body])
        elif kind == "pycon":
            converse(body, session)
        elif kind == "ipython":
            run_cell(body, session)
        else:
            assert kind == "console", f"a block of a kind that is not run: {kind} {name}"
            for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
                command, _, expected = part.partition("\n")
                shown, wanted = list(lines(run(["sh", "-c", command]))), list(lines(expected))
                assert shown == wanted, f"{command}\n" + "\n".join(shown)


def environment(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes `place` the working directory, with the commands `voxlogica` and `python` and a store of its own."""
    (place / "bin").mkdir()
    for name, words in (("voxlogica", "-m voxlogica"), ("python", "")):
        command = place / "bin" / name
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
        command.chmod(0o755)
    monkeypatch.chdir(place)
    monkeypatch.setenv("PATH", f"{place / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("VOXLOGICA_STORE", str(place / "store"))
    monkeypatch.setenv("PYTHONPATH", f"{Path(vx.__file__).parents[1]}:{DOCS.parent}")


def run(command: list[str]) -> str:
    """What a command prints; that it fails is an answer, that it breaks is not."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


def said(*words: str) -> str:
    """All that `voxlogica` says to a person."""
    with redirect_stdout(StringIO()) as said, redirect_stderr(said):
        main(list(words))
    return said.getvalue()


def converse(body: str, session: dict[str, object]) -> None:
    """Goes on with a Python session; a failure shows the line."""
    test = doctest.DocTestParser().get_doctest(body, {}, "session", None, None)
    test.globs = session
    assert test.examples
    report: list[str] = []
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
    failed, _ = runner.run(test, out=report.append, clear_globs=False)
    assert not failed, "".join(report)


def run_cell(body: str, session: dict[str, object]) -> None:
    """Runs a cell of a notebook."""
    from IPython.testing.globalipapp import get_ipython, start_ipython

    shell = get_ipython() or start_ipython()
    shell.user_ns.update(session)
    done = shell.run_cell(body)
    assert done.success, body
    session.update({name: value for name, value in shell.user_ns.items() if not name.startswith("_")})
