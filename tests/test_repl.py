"""The talk of `voxlogica repl`: what is typed, what is answered."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest

from voxlogica.cli import main

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


def test_what_was_computed_is_known(talk: Talk) -> None:
    answers, _ = talk(*SCAN, "let n = volume(near(image >. 22))", ":why n", "n", ":why n", ":time", "n")
    assert answers[0].startswith("4 tasks are to be computed: load, ") or "tasks are to be computed" in answers[0]
    assert answers[2:4] == ["it is known already", "times are shown"]
    assert answers[1] == answers[4]
    assert re.fullmatch(r"0\.\d{3} s", answers[5])


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
    loaded = "p.imgql: 1 definitions, 0 goals; `:run` runs them"
    assert err == ""
    assert answers == [loaded, "7", "8", "7", loaded, "7"]
