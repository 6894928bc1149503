"""Who calls us from Python is told of arguments, not of options of a command."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import nibabel
import numpy as np
import pytest

import voxlogica as vx
from voxlogica.errors import Diagnostic, VoxLogicAError, in_python, render

PACKAGE = Path(vx.__file__).parent
OPTION = re.compile(r"(?<![\w-])(--[a-z]|-p \w)")
OF_THE_COMMAND = {  # how many texts of a file only the command can come to
    "session/own.py": 3,  # what is wrong with `--operators FILE.py`
    "session/settings.py": 1,  # what takes `--set NAME=VALUE` apart
    "session/studies.py": 1,  # a name that is given twice: arguments cannot be
    "study/axes.py": 5,  # what takes `-p NAME=VALUES` apart
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    nibabel.save(nibabel.Nifti1Image(np.arange(60, dtype=np.int16).reshape(5, 4, 3), np.eye(4)), "a.nii.gz")
    shifted = np.eye(4)
    shifted[0, 3] = 0.25
    nibabel.save(nibabel.Nifti1Image(np.arange(60, dtype=np.int16).reshape(5, 4, 3), shifted), "b.nii.gz")
    with vx.Session(store=False):
        yield


TWO = 'load a = "a.nii.gz"\nload b = "b.nii.gz"\nprint "v" volume((intensity(a) >. 1) & (intensity(b) >. 1))'


@pytest.mark.parametrize(
    ("call", "said", "on_the_command_line"),
    [
        (
            lambda: vx.program('load a = "$CASE.nii.gz"\nprint "v" volume(intensity(a) >. 1)').run(),
            "give it one with   CASE=…   or in the environment",
            "give it one with   --set CASE=…   or in the environment",
        ),
        (
            lambda: vx.program(TWO).run(),
            "if this is rounding, grid_tolerance=0.3; if not, resample(b, a) in the program",
            "if this is rounding, --grid-tolerance 0.3mm; if not, resample(b, a) in the program",
        ),
        (
            lambda: vx.program(TWO).map("{case}.nii.gz"),
            "name the input, for example   vx.cases(a='data/{case}/{case}_a.nii.gz'), with others beside it",
            "name the input, for example   --cases a='data/{case}/{case}_a.nii.gz'   and repeat --cases for others",
        ),
        (
            lambda: vx.program(TWO).map(vx.cases(x="{case}.nii.gz")),
            "vx.cases(x=…): the program has no input `x`",
            "--cases x=…: the program has no input `x`",
        ),
        (
            lambda: vx.program("let k = 1\nprint \"v\" k").sweep(k=["one"]),
            "k=one: `k` is a number, and `one` is not",
            "-p k=one: `k` is a number, and `one` is not",
        ),
        (
            lambda: vx.program("let k = 1\nprint \"v\" k").sweep(k=[1]).table().write("t.xls"),
            "t.xls: .xls is no table's",
            "--table t.xls: .xls is no table's",
        ),
        (lambda: vx.diff("r1", "r2"), "vx.Session(store=DIR)", "--store DIR"),
        (lambda: vx.load("none.imgql"), "paths are relative to the working directory", "where the command runs"),
    ],
)  # fmt: skip
def test_each_is_told_in_own_words(call: Callable[[], object], said: str, on_the_command_line: str) -> None:
    with pytest.raises(VoxLogicAError) as raised:
        call()
    assert said in str(raised.value)
    assert not OPTION.search(str(raised.value))
    assert on_the_command_line in "\n".join(map(render, raised.value.diagnostics))


def test_rows_of_a_study_speak_so_too() -> None:
    Path("t.csv").write_text("case,a\nx,a.nii.gz\n")
    (row,) = vx.program(TWO).map("t.csv").table()
    assert "grid_tolerance=0.3" in row.trouble
    assert not OPTION.search(row.trouble)
    (row,) = vx.program(TWO).map("t.csv", grid_tolerance=0.3).table()  # and what they say can be done
    assert row["v"] == 58


def strings(node: ast.AST) -> Iterator[str]:
    """The texts of a file, docstrings aside, with 1 in place of what is filled in."""
    holders = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    body = list(ast.iter_child_nodes(node))
    if isinstance(node, holders) and body and isinstance(node.body[0], ast.Expr):
        body.remove(node.body[0])
    for each in body:
        if isinstance(each, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else "1" for part in each.values]
            yield "".join(map(str, parts))
        elif isinstance(each, ast.Constant) and isinstance(each.value, str):
            yield each.value
        else:
            yield from strings(each)


def test_no_option_is_left_in_what_python_reads() -> None:
    left: Counter[str] = Counter()
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if name.startswith("cli/") or name in ("errors.py", "study/report.py"):
            continue
        for text in strings(ast.parse(path.read_text())):
            if OPTION.search(in_python(Diagnostic("usage", text)).message):
                left[name] += 1
    assert left == OF_THE_COMMAND


def test_inputs_are_among_what_can_be_set() -> None:
    """From Python an input is set by its name as a parameter is; of an array no more is shown than that it is one."""
    program = vx.program('load flairFile = "x.nii"\nlet hi = 3\nprint "v" volume(intensity(flairFile) >. hi)')
    array = np.arange(27.0).reshape(3, 3, 3)
    for name in ("flair_file", "flair"):
        with pytest.raises(vx.ProgramError) as refused:
            program.run(**{name: (array, np.eye(4))})
        said = str(refused.value)
        assert f"{name}=…: the program has no parameter" in said
        assert "did you mean `flairFile`?   an input\n" in said
        assert "it can set flairFile, hi" in said
    with pytest.raises(vx.ProgramError, match="hi=…: `hi` is a number, and an array is not"):
        program.run(hi=array)
    assert program.replace(hi=np.float32(2.5)).parameters["hi"] == 2.5
