"""Wrong programs, `tests/wrong/`: each has its complete message and exit status, and leaves no file behind.

`X.expected` is the command line, the exit status, then what stderr says and, after `--- stdout`, what stdout says. The
program is `X.imgql` beside it, or `main.imgql` in the directory X. The files they load are made by `fixtures`.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.fixtures import make_files

from voxlogica.cli import main

WRONG = Path(__file__).parent / "wrong"
ENTRIES = sorted(WRONG.glob("*.expected"))


def expected(entry: Path) -> tuple[list[str], int, str, str]:
    """The arguments, the exit status, stderr and stdout."""
    command, status, *rest = entry.read_text("utf-8").splitlines(keepends=True)
    stderr, _, stdout = "".join(rest).partition("--- stdout\n")
    assert command.startswith("$ voxlogica ")
    assert status.startswith("exit ")
    return shlex.split(command)[2:], int(status.split()[1]), stderr, stdout


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wrong")
    make_files(directory)
    return directory


def lay_out(entry: Path, files: Path, place: Path) -> set[Path]:
    """Puts the program and the files it may load in a place; what is there then."""
    shutil.copytree(files, place, dirs_exist_ok=True)
    program = entry.with_suffix("")
    if program.is_dir():
        shutil.copytree(program, place, dirs_exist_ok=True)
    elif program.with_suffix(".imgql").exists():
        shutil.copy(program.with_suffix(".imgql"), place)
    return set(place.rglob("*"))


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.stem)
def test_the_message_is_the_one_that_was_written_for_it(
    entry: Path, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    before = lay_out(entry, files, tmp_path)
    arguments, status, stderr, stdout = expected(entry)
    monkeypatch.chdir(tmp_path)
    for name in ("NAME", "OUT"):
        monkeypatch.delenv(name, raising=False)
    got = main(arguments)
    said = capfd.readouterr()
    assert said.err == stderr
    assert (got, said.out) == (status, stdout)
    left = {path.name for path in set(tmp_path.rglob("*")) - before}
    assert left == ({"bright.png.nii"} if entry.stem == "compute-no-bins" else set())


def test_there_are_enough_of_them() -> None:
    assert len(ENTRIES) >= 100


@pytest.mark.parametrize("name", ["usage-command", "syntax-several", "input-truncated", "compute-avg-empty"])
def test_the_installed_command_says_the_same(name: str, files: Path, tmp_path: Path) -> None:
    entry = WRONG / f"{name}.expected"
    lay_out(entry, files, tmp_path)
    arguments, status, stderr, stdout = expected(entry)
    command = [Path(sys.executable).with_name("voxlogica"), *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stderr, done.returncode, done.stdout) == (stderr, status, stdout)
