"""Commands about a program and this installation (plan, doctor, cite, completion), and where options come from."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
from tests.command import Command, Said, commands

from voxlogica._version import VERSION
from voxlogica.cli import cite, doctor
from voxlogica.cli.arguments import COMMANDS
from voxlogica.cli.completion import options_of
from voxlogica.cli.parsing import command
from voxlogica.cli.settings import SETTINGS
from voxlogica.errors import MachineError, human_size
from voxlogica.study.rows import Table

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """Runs commands in a directory with an image, scan.nii.gz, and a program p.imgql that loads it."""
    monkeypatch.chdir(tmp_path)
    nibabel.save(
        nibabel.Nifti1Image(np.arange(120, dtype=np.int16).reshape(6, 5, 4), np.diag([-1, -2, 3, 1.0])), "scan.nii.gz"
    )
    Path("p.imgql").write_text(PROGRAM)

    return commands(capfd)


PROGRAM = """load scan = "scan.nii.gz"
let k = 100
let image = intensity(scan)
print "bright" volume(near(image >. k))
print "three" 1 .+. 2
print "seven" 7
save "m.nii.gz" image <. 3
"""


# A program on standard input


@pytest.mark.parametrize(
    ("command", "out"),
    [
        (("run", "-"), "sum=3\n"),
        (("check", "-"), 'stdin is right\n  print   "sum"  number\n'),
        (("fmt", "-"), 'print "sum" 1 .+. 2'),
        (("plan", "-", "--syntax"), 'print "sum" 1 .+. 2\n'),
    ],
)
def test_a_dash_is_the_program_on_standard_input(
    run: Command, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], out: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'print "sum" 1 .+. 2')))
    assert run(*command) == Said(0, out, "")


def test_a_sweep_of_the_program_on_standard_input(run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'let k = 3\nprint "sum" k .+. 2')))
    rows = run("sweep", "-", "-p", "k=1,2", "--json").out
    assert [row["values"] for row in json.loads(rows)["rows"]] == [{"sum": 3}, {"sum": 4}]


def test_what_is_wrong_on_standard_input_is_said(run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'print "sum" absent')))
    assert "  stdin:1:13\n" in run("run", "-").err
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\x1f\x8b\0")))
    assert run("run", "-").err.startswith("error[usage]: standard input is not a program: it is not text\n")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'print "sum" 1')))
    assert run("fmt", "-", "--in-place").err.startswith("error[usage]: --in-place needs a file\n")


def test_a_pattern_of_cases_without_quotes_is_told(run: Command) -> None:
    for name in ("a.nii", "b.nii"):
        Path(name).touch()
    said = run("batch", "p.imgql", "--cases", "a.nii", "b.nii")
    assert (said.status, said.out) == (2, "")
    assert said.err == (
        "error[usage]: `b.nii` is one argument too many\n"
        "  help: a pattern of cases has quotes around it and names in it:   --cases 'data/{case}/{case}_flair.nii.gz'\n"
    )
    assert "`voxlogica batch --help` shows" in run("batch", "p.imgql", "--cases", "a.nii", "absent").err


def test_an_empty_line_is_between_warnings_and_what_ends_the_run(run: Command) -> None:
    Path("w.imgql").write_text('load scan = "absent.nii"\nlet idle = absent\nprint "max" max(intensity(scan))\n')
    for _ in range(2):
        status, _, err = run("run", "w.imgql")
        assert (status, err[:13]) == (3, "warning[name]")
        assert err.count("\n\n") == err.count("\n\nerror[input]: ") == 1


def test_the_profile_says_sizes_as_the_store_does(run: Command) -> None:
    assert human_size(1190400) == "1.2 MB"
    assert re.search(r"^load +1 +\d\.\d{3} +480 B$", run("run", "p.imgql", "--profile").err, re.MULTILINE)


def test_what_is_written_has_a_name(run: Command) -> None:
    for option in (
        ("run", "p.imgql", "--events", "-"),
        ("run", "p.imgql", "--profile", "-"),
        ("report", "r1", "-o", "-"),
    ):
        status, _, err = run(*option)
        assert (status, "is not a file\n" in err) == (2, True)
    assert not Path("-").exists()


def test_a_trace_that_cannot_be_written_is_called_as_it_was_asked_for(run: Command) -> None:
    status, out, err = run("run", "p.imgql", "--profile", "absent/trace.json")
    assert (status, out.count("\n")) == (1, 3)
    assert err.endswith("error[output]: --profile absent/trace.json cannot be written: no such file or directory\n")


def test_a_table_that_cannot_be_written_takes_no_rows_away(run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(table: Table, path: Path) -> None:
        raise MachineError.of("output", f"{path} cannot be written: no space left on device")

    monkeypatch.setattr(Table, "write", refused)
    status, out, err = run("sweep", "p.imgql", "-p", "k=50,60", "--table", "t.csv", "-q")
    assert (status, "2 done, 0 failed" in out) == (1, True)
    assert err == "error[output]: t.csv cannot be written: no space left on device\n"


def test_a_dry_run_of_one_task(run: Command) -> None:
    Path("one.imgql").write_text('print "sum" 1 .+. 2')
    assert run("run", "one.imgql", "-n") == Said(
        0, 'compute  print "sum"\n1 task is to be computed, about 1e-06 s of one processor\n  .+. 1\n', ""
    )


# plan


def test_a_plan_is_a_line_a_task_and_a_line_a_goal(run: Command) -> None:
    status, out, err = run("plan", "p.imgql", "--set", "k=60")
    assert (status, err) == (0, "")
    assert re.sub(r"\b[0-9a-f]{12}\b", "~" * 12, out) == (
        """p.imgql: 8 tasks, 4 published, about 2.1 ms of one processor

   id            task                                           type           time   size             at
1  ~~~~~~~~~~~~  load "scan.nii.gz"                             model          1 ms  480 B  published  p.imgql:1:13
2  ~~~~~~~~~~~~  intensity(#1)                                  number image  20 µs  480 B  private    p.imgql:3:13
3  ~~~~~~~~~~~~  and as compare(#2, “>”, 60) by comparison 1    mask          20 µs  160 B  private    p.imgql:4:34
4  ~~~~~~~~~~~~  near(#3)                                       mask          20 µs  160 B  private    p.imgql:4:23
5  ~~~~~~~~~~~~  volume(#4)                                     number        20 µs   32 B  published  p.imgql:4:16
6  ~~~~~~~~~~~~  .+.(1, 2)                                      number         1 µs   32 B  published  p.imgql:5:17
7  ~~~~~~~~~~~~  and as compare(#2, “<”, 3) by comparison 1     mask          20 µs  160 B  private    p.imgql:7:23
8  ~~~~~~~~~~~~  encode_mask(“nii.gz”, #7, “{"software": "V…”)  bytes          1 ms  224 B  published  p.imgql:7:23

print "bright"   #5
print "three"    #6
print "seven"    7
save "m.nii.gz"  #8
"""
    )
    assert not Path("m.nii.gz").exists()


def test_a_plan_is_the_same_whatever_is_stored_and_computes_nothing(run: Command) -> None:
    before = run("plan", "p.imgql", "--json")
    assert json.loads(run("store", "info", "--json").out)["outcomes"] == 0
    assert run("run", "p.imgql", "--output-dir", "out").status == 0
    assert run("plan", "p.imgql", "--json") == before
    assert run("plan", "p.imgql", "--json", "--no-store") == before


def test_a_plan_as_data_has_the_ids_under_which_results_are_stored(run: Command) -> None:
    data = json.loads(run("plan", "p.imgql", "--json").out)
    assert [goal.get("value") for goal in data["goals"]] == [None, None, 7, None]
    by_id = {task["id"]: task for task in data["tasks"]}
    place = {id: n for n, id in enumerate(by_id)}
    for task in data["tasks"]:
        assert all(place[input] < place[task["id"]] for input in task["inputs"])
    bright = by_id[data["goals"][0]["id"]]
    assert (bright["operator"], bright["type"], bright["published"], bright["at"]) == (
        "volume", "number", True, "p.imgql:4:16",
    )  # fmt: skip
    assert [task["rewrite"] for task in data["tasks"] if task["rewrite"]] == ["comparison 1"] * 2
    assert run("run", "p.imgql").status == 0
    assert "outcome    done" in run("store", "show", bright["id"]).out


def test_a_plan_for_graphviz_has_each_task_edge_and_goal(run: Command) -> None:
    data = json.loads(run("plan", "p.imgql", "--json").out)
    lines = run("plan", "p.imgql", "--dot").out.splitlines()
    assert (lines[0], lines[-1]) == ("digraph plan {", "}")
    number = {task["id"]: n for n, task in enumerate(data["tasks"], 1)}
    edges = {f"  t{number[input]} -> t{number[task['id']]};" for task in data["tasks"] for input in task["inputs"]}
    assert edges == {line for line in lines if re.fullmatch(r"  t\d+ -> t\d+;", line)}
    doubled = [line.split()[0] for line in lines if "peripheries=2" in line]
    assert doubled == [f"t{number[task['id']]}" for task in data["tasks"] if task["published"]]
    assert '  g3 [shape=plaintext, label="print \\"seven\\" = 7"];' in lines


def test_syntax_is_the_program_as_it_was_read_and_opens_no_image(run: Command) -> None:
    Path("q.imgql").write_text('load a = "nowhere.nii"  // a comment\nlet b=((intensity(a)))>.(1)\nprint "b" volume(b)')
    assert run("plan", "q.imgql", "--syntax") == Said(
        0, 'load a = "nowhere.nii"\nlet b = intensity(a) >. 1\nprint "b" volume(b)\n', ""
    )
    assert run("plan", "q.imgql").status == 3


def test_a_plan_has_one_form(run: Command) -> None:
    assert run("plan", "p.imgql", "--dot", "--syntax") == Said(
        2, "", "error[usage]: --dot and --syntax do not go together\n  help: choose one of them\n"
    )


# doctor


def test_the_doctor_finds_that_all_is_well(run: Command, tmp_path: Path) -> None:
    status, out, err = run("doctor", "--store", str(tmp_path / "s"))
    lines = out.splitlines()
    assert (status, err, lines[-2:]) == (0, "", ["", "all is well"])
    assert all(line.startswith("ok ") for line in lines[:-2])
    assert "ok  kernels       loaded; near, through, distance are right on a tiny image" in lines
    (store,) = [line for line in lines if line.startswith("ok  store")]
    assert f"{tmp_path / 's'} (" in store
    assert "0 results, 0 B of at most " in store


def test_the_doctor_says_what_to_do(run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("taken").mkdir()
    Path("taken/file").touch()
    monkeypatch.setitem(doctor.PACKAGES, "numpy", "999.0")
    monkeypatch.setitem(doctor.PACKAGES, "no-such-package", "1.2")
    monkeypatch.setitem(doctor._SELF_TESTS, "near", lambda: False)
    status, out, _ = run("doctor", "--store", "taken", "--json")
    found = {each["name"]: each for each in json.loads(out)["findings"]}
    assert status == 1
    assert {name for name, each in found.items() if not each["well"]} == {
        "numpy",
        "no-such-package",
        "kernels",
        "store",
    }
    assert found["numpy"]["help"] == "999.0 is needed: pip install --upgrade 'numpy>=999.0'"
    assert found["no-such-package"]["help"] == "pip install 'no-such-package>=1.2'"
    assert found["kernels"]["found"] == "compute something wrong: near"
    assert found["store"]["found"] == f"{Path.cwd()}/taken is not a store, and not empty"
    assert found["store"]["help"] == "choose an empty or a new directory with --store"
    assert run("doctor", "--store", "taken").out.endswith("4 of 18 need something done\n")


def test_the_doctor_does_not_need_what_it_looks_for(run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("apsw", "voxlogica.storage.embedded", "voxlogica.kernels._masks"):
        monkeypatch.setitem(sys.modules, name, None)  # so that importing it fails
    status, out, err = run("doctor")
    bad = re.findall(r"^BAD +(\w+)", out, re.MULTILINE)
    assert (status, bad, err) == (1, ["SQLite", "kernels", "store"], "")


def test_the_doctor_knows_the_versions_that_are_needed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {f"{name}>={least}" for name, least in doctor.PACKAGES.items()} == set(project["dependencies"])
    assert project["requires-python"] == ">=" + ".".join(map(str, doctor.PYTHON))


# cite


def test_what_to_cite_is_what_the_citation_file_says(run: Command) -> None:
    text = (ROOT / "CITATION.cff").read_text()
    paper = text[text.index("preferred-citation:") :]

    def said(key: str) -> list[str]:
        return [each.strip('"') for each in re.findall(rf"^[ -]*{key}: (.+)$", paper, re.MULTILINE)]

    data = json.loads(run("cite", "--json").out)
    assert said("title") == [data["title"]]
    assert said("given-names") == [author["given"] for author in data["authors"]]
    assert said("family-names") == [author["family"] for author in data["authors"]]
    assert (said("collection-title"), said("doi")) == ([data["book"]], [data["doi"]])
    numbers = [data["year"], data["volume"], *data["pages"]]
    assert [int(said(key)[0]) for key in ("year", "volume", "start", "end")] == numbers
    assert f"  # {data['series']}, volume {data['volume']}\n" in paper
    assert re.search(r"^version: (.+)$", text, re.MULTILINE)[1] == VERSION == data["software"]["version"]


def test_citations_for_people_and_for_bibtex(run: Command) -> None:
    assert (
        run("cite").out
        == f"""If you use VoxLogicA in a publication, please cite

  G. Belmonte, V. Ciancia, D. Latella, M. Massink:
  {cite.TITLE}.
  Tools and Algorithms for the Construction and Analysis of Systems (TACAS 2019).
  Lecture Notes in Computer Science 11427, pages 281–298, Springer, 2019.
  https://doi.org/10.1007/978-3-030-17462-0_16

and say which version you used: VoxLogicA {VERSION}.
"""
    )
    bibtex = run("cite", "--bibtex").out
    assert bibtex.startswith("@inproceedings{voxlogica,\n  author    = {Belmonte, Gina and Ciancia, Vincenzo and ")
    assert "  title     = {{VoxLogicA}: A Spatial Model Checker for Declarative Image Analysis},\n" in bibtex
    assert bibtex.count("{") == bibtex.count("}")


# completion


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts_know_every_command_and_option_and_are_scripts(run: Command, shell: str) -> None:
    script = run("completion", shell).out
    for name in COMMANDS:
        assert name.split()[-1] in script
        for option in options_of(name):
            long = option.name.startswith("--")
            fish = f" {'-l' if long else '-s'} {option.name.lstrip('-')} "
            assert (fish if shell == "fish" else option.name) in script
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script, text=True, check=True)


def completed(script: str, line: str) -> list[str]:
    """What bash proposes for the last word of a line."""
    words = line.split(" ")
    asked = f"COMP_WORDS=({' '.join(map(shlex.quote, words))}); COMP_CWORD={len(words) - 1}"
    code = f"{script}\n{asked}\n_voxlogica\nprintf '%s\\n' \"${{COMPREPLY[@]}}\""
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()


def test_bash_completes_commands_members_options_and_leaves_files_to_readline(run: Command) -> None:
    script = run("completion", "bash").out
    assert completed(script, "voxlogica ru") == ["run", "runs"]
    assert completed(script, "voxlogica store c") == ["cleanup", "clear"]
    assert completed(script, "voxlogica run p.imgql --out") == ["--output-dir"]
    assert completed(script, "voxlogica store gc --m") == ["--max-bytes", "--min-free"]
    assert completed(script, "voxlogica completion ") == ["bash", "zsh", "fish"]
    assert completed(script, "voxlogica run p") == []
    assert script.endswith("complete -o default -F _voxlogica voxlogica\n")


def test_a_shell_that_is_not_known(run: Command) -> None:
    assert run("completion", "tcsh") == Said(
        2, "", "error[usage]: there is no completion for tcsh\n  help: there is for bash, zsh, fish\n"
    )
    assert run("completion").status == 2


# settings


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, object]]:
    """The options of a command line, in a directory of its own without settings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VOXLOGICA_STORE")

    def of(*words: str) -> dict[str, object]:
        found = command(words)[1]
        assert found is not None
        return vars(found)

    return of


Options = Callable[..., dict[str, object]]


def test_the_command_line_outdoes_the_environment_and_that_the_file(
    options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert options("run", "p.imgql")["jobs"] is None
    Path("voxlogica.toml").write_text("jobs = 2")
    assert options("run", "p.imgql")["jobs"] == 2
    monkeypatch.setenv("VOXLOGICA_JOBS", "3")
    assert options("run", "p.imgql")["jobs"] == 3
    assert options("run", "p.imgql", "-j", "4")["jobs"] == 4
    monkeypatch.setenv("VOXLOGICA_JOBS", "")
    assert options("run", "p.imgql")["jobs"] == 2


def test_every_setting_in_a_file(options: Options, tmp_path: Path) -> None:
    Path("voxlogica.toml").write_text(
        'store = "s"\nno-store = false\njobs = 2\nmemory = "4GB"\ndialect = 1\ngrid-tolerance = 0.5\n'
        'output-dir = "/out"\ntimeout = "2m"\ntask-timeout = 7\nretry-failed = true\nquiet = true\nprogress = "json"\n'
        f'library-path = "lib{os.pathsep}/data"\n'
    )
    found = options("run", "p.imgql")
    expected = {
        "store": tmp_path / "s", "no_store": False, "jobs": 2, "memory": 4_000_000_000, "dialect": "1",
        "grid_tolerance": 0.5, "output_dir": Path("/out"), "timeout": 120.0, "task_timeout": 7.0, "retry_failed": True,
        "quiet": True, "progress": "json", "library_path": (tmp_path / "lib", Path("/data")),
    }  # fmt: skip
    assert {name: found[name] for name in expected} == expected
    assert expected.keys() == {key.replace("-", "_") for key in SETTINGS}
    assert "jobs" not in options("check", "p.imgql")


def test_every_setting_in_the_environment(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "STORE": "s",
        "NO_STORE": "true",
        "MEMORY": "1k",
        "GRID_TOLERANCE": "1mm",
        "OUTPUT_DIR": "o",
        "QUIET": "true",
    }
    for name, text in given.items():
        monkeypatch.setenv(f"VOXLOGICA_{name}", text)
    found = options("run", "p.imgql")
    expected = {"store": Path("s"), "no_store": True, "memory": 1000, "grid_tolerance": 1.0, "output_dir": Path("o"),
                "quiet": True}  # fmt: skip
    assert {name: found[name] for name in expected} == expected


def test_the_first_file_counts_beside_the_program_here_and_above(
    options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("beside", "above", "above/here"):
        Path(place).mkdir()
    Path("pyproject.toml").write_text("[tool.voxlogica]\njobs = 1")
    monkeypatch.chdir(tmp_path / "above" / "here")
    program = "../../beside/p.imgql"
    assert options("run", program)["jobs"] == 1
    Path("../pyproject.toml").write_text("[tool.ruff]\nline-length = 9\n# voxlogica")
    assert options("run", program)["jobs"] == 1
    Path("../voxlogica.toml").write_text("jobs = 2")
    assert options("run", program)["jobs"] == 2
    Path("voxlogica.toml").write_text("memory = 1000")
    assert (options("run", program)["jobs"], options("run", program)["memory"]) == (None, 1000)
    Path("../../beside/voxlogica.toml").write_text('jobs = 3\nstore = "s"')
    found = options("run", program)
    assert (found["jobs"], found["store"]) == (3, tmp_path / "above/here/../../beside/s")
    assert options("store", "info")["store"] is None


def test_a_store_that_is_asked_for_outdoes_that_there_is_none(
    options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("voxlogica.toml").write_text("no-store = true")
    assert options("run", "p.imgql")["no_store"] is True
    assert options("run", "p.imgql", "--store", "s")["no_store"] is False
    monkeypatch.setenv("VOXLOGICA_STORE", "s")
    assert (options("run", "p.imgql")["no_store"], options("run", "p.imgql")["store"]) == (False, Path("s"))


def test_a_program_that_says_its_dialect_outdoes_a_setting(options: Options) -> None:
    Path("voxlogica.toml").write_text("dialect = 2")
    Path("p.imgql").write_text("// dialect: 1\n")
    assert options("run", "p.imgql")["dialect"] is None
    assert options("run", "p.imgql", "--dialect", "2")["dialect"] == "2"
    Path("p.imgql").write_text("// a program\n")
    assert options("run", "p.imgql")["dialect"] == "2"


def test_settings_are_obeyed(run: Command) -> None:
    Path("voxlogica.toml").write_text('output-dir = "out"\nno-store = true')
    assert run("run", "p.imgql").status == 0
    assert Path("out/m.nii.gz").exists()


def test_what_is_wrong_in_a_file_is_shown_there_all_at_once(run: Command) -> None:
    Path("voxlogica.toml").write_text('output_dir = "o"\njobs = 0\nmemory = [1]\n')
    assert run("run", "p.imgql") == Said(
        2,
        "",
        """error[usage]: there is no setting `output_dir`
  voxlogica.toml:1:1
      1 | output_dir = "o"
        | ^^^^^^^^^^
  help: did you mean `output-dir`? docs/settings.md lists them

error[usage]: jobs = 0 is not a number from 1
  voxlogica.toml:2:1
      2 | jobs = 0
        | ^^^^
  help: for example   jobs = 2

error[usage]: `memory` has several values or a date, and takes one
  voxlogica.toml:3:1
      3 | memory = [1]
        | ^^^^^^
  help: write a text in quotes, a number, true or false
""",
    )


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("voxlogica.toml", b"jobs = ", "voxlogica.toml is not TOML: Invalid value (at end of document)"),
        ("voxlogica.toml", b"\xff", "voxlogica.toml cannot be read: it is not UTF-8"),
        ("pyproject.toml", b"tool.voxlogica = {job = 2}", "pyproject.toml: there is no setting `job`"),
        ("voxlogica.toml", b"memory = 'much'", 'memory = "much" is not a size'),
        ("voxlogica.toml", b"quiet = 1", "quiet = 1 is not possible"),
        ("voxlogica.toml", b"dialect = 3", "dialect = 3 is not possible"),
        ("voxlogica.toml", b"timeout = true", "timeout = true is not a time"),
        ("voxlogica.toml", b"grid-tolerance = -1", "grid-tolerance = -1 is not a distance in mm"),
    ],
)
def test_files_that_cannot_be_settings(run: Command, name: str, text: bytes, message: str) -> None:
    Path(name).write_bytes(text)
    status, out, err = run("run", "p.imgql")
    assert (status, out, err.splitlines()[0]) == (2, "", f"error[usage]: {message}")


def test_what_is_wrong_in_the_environment(run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOXLOGICA_ELSEWHERE", "x")
    assert run("run", "p.imgql", "-n").status == 0
    monkeypatch.setenv("VOXLOGICA_MEMORY", "much")
    assert run("run", "p.imgql") == Said(
        2, "", "error[usage]: VOXLOGICA_MEMORY=much is not a size\n  help: for example   VOXLOGICA_MEMORY=4GB\n"
    )
    monkeypatch.delenv("VOXLOGICA_MEMORY")
    monkeypatch.setenv("VOXLOGICA_OUTPUTDIR", "x")
    assert run("run", "p.imgql") == Said(
        2, "", "error[usage]: there is no setting VOXLOGICA_OUTPUTDIR\n"
        "  help: did you mean VOXLOGICA_OUTPUT_DIR? docs/settings.md lists them\n",
    )  # fmt: skip


def test_the_page_lists_the_settings() -> None:
    rows = re.findall(
        r"^\| `([a-z-]+)` \| `VOXLOGICA_([A-Z_]+)` \|", (ROOT / "docs/settings.md").read_text(), re.MULTILINE
    )
    assert rows == [(key, key.upper().replace("-", "_")) for key in SETTINGS]
