"""The command line as a person and a script meet it; what it says of mistakes is in `tests/wrong`."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image
from tests.command import Command, Said, commands

import voxlogica
from voxlogica.cli.arguments import COMMANDS


@pytest.fixture
def voxlogica_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """Runs commands in a directory with one image, scan.nii.gz: 6 x 5 x 4, its voxels 0, 1, 2, …"""
    monkeypatch.chdir(tmp_path)
    nibabel.save(
        nibabel.Nifti1Image(np.arange(120, dtype=np.int16).reshape(6, 5, 4), np.diag([-1, -2, 3, 1.0])), "scan.nii.gz"
    )

    return commands(capfd)


def write(text: str, name: str = "p.imgql") -> str:
    Path(name).write_text(text)
    return name


SCAN = 'load scan = "scan.nii.gz"\nlet image = intensity(scan)\n'


def test_values_are_printed_as_they_read_back(voxlogica_: Command) -> None:
    text = """print "a" 1 print "b" 0.1 print "c" 1 ./. 3 print "d" 1 ./. 0 print "e" true print "f" "x y"
    print "g" 2.50 print "h" 0 ./. 0 print "i" 1e300 print "j" -0.0 print "k" 123456789012"""
    assert voxlogica_("run", write(text)) == Said(
        0, "a=1\nb=0.1\nc=0.3333333333333333\nd=inf\ne=true\nf=x y\ng=2.5\nh=nan\ni=1e+300\nj=0\nk=123456789012\n", ""
    )


def test_lines_come_in_the_order_of_the_program_and_stderr_is_silent(voxlogica_: Command) -> None:
    text = SCAN + 'print "slow" volume(dt(image >. 60) <. 2)\nprint "fast" 1\nprint "min" min(image)'
    status, out, err = voxlogica_("run", write(text))
    assert (status, [line.split("=")[0] for line in out.splitlines()], err) == (0, ["slow", "fast", "min"], "")


def test_saves_go_under_the_output_directory_with_the_affine_of_the_input(voxlogica_: Command) -> None:
    program = write(SCAN + 'save "masks/$WHAT.nii.gz" image >. 60')
    assert voxlogica_("run", program, "--set", "WHAT=big", "--output-dir", "out") == Said(0, "", "")
    saved, given = nibabel.load("out/masks/big.nii.gz"), nibabel.load("scan.nii.gz")
    assert np.array_equal(saved.affine, given.affine)
    assert np.array_equal(np.asarray(saved.dataobj), np.asarray(given.dataobj) > 60)
    assert saved.get_data_dtype() == np.uint8
    assert sorted(path.name for path in Path("out").rglob("*")) == ["big.nii.gz", "masks"]


def test_a_saved_mask_says_where_it_comes_from_and_is_the_same_every_time(voxlogica_: Command) -> None:
    program = write("let k = 60\n" + SCAN + 'save "m.nii.gz" image >. k')
    assert voxlogica_("run", program, "--set", "k=7").status == 0
    first = Path("m.nii.gz").read_bytes()
    (extension,) = nibabel.load("m.nii.gz").header.extensions
    said = json.loads(extension.get_content().decode().rstrip("\0"))
    assert said["parameters"] == {"k": 7.0}
    assert said["inputs"]["scan"]["file"] == "scan.nii.gz"
    assert said["expression"] == "image >. k"
    assert said["program"] == "p.imgql"
    assert str(Path.cwd()) not in json.dumps(said)
    assert voxlogica_("run", program, "--set", "k=7", "--jobs", "1").status == 0
    assert Path("m.nii.gz").read_bytes() == first


def test_names_in_strings_are_set_or_taken_from_the_environment(
    voxlogica_: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = write('print "$CASE ${case_2} $$ $CASE_x" "${stem}"')
    monkeypatch.setenv("CASE", "environment")
    assert voxlogica_("run", program, "--set", "case_2=b").out == "environment b $ environment_x=p\n"
    assert voxlogica_("run", program, "--set", "case_2=b", "--set", "CASE=a").out == "a b $ a_x=p\n"


def test_a_string_parameter_may_have_names_in_it(voxlogica_: Command) -> None:
    program = write('let p = "$QQ" let q = "a${QQ}b$$" print "1" p print "2" q')
    assert voxlogica_("run", program, "--set", "QQ=v").out == "1=v\n2=avb$\n"
    assert voxlogica_("run", program, "--set", "QQ=v", "--set", "p=$w").out == "1=$w\n2=avb$\n"


def test_a_picture_without_a_place_for_text_has_its_origin_beside_it(voxlogica_: Command) -> None:
    Image.fromarray(np.arange(20, dtype=np.uint8).reshape(4, 5)).save("flat.png")
    program = write('load flat = "flat.png"\nsave "m.bmp" intensity(flat) >. 7')
    assert voxlogica_("run", program) == Said(0, "", "")
    assert json.loads(Path("m.bmp.json").read_text())["expression"] == "intensity(flat) >. 7"


@pytest.mark.parametrize(
    ("arguments", "status"),
    [("run p.imgql", 1), ("run p.imgql --json", 1), ("version", 1), ("run wrong.imgql", 2)],
)
def test_a_full_disk_behind_stdout_is_said(tmp_path: Path, arguments: str, status: int) -> None:
    (tmp_path / "p.imgql").write_text('print "one" 1')
    (tmp_path / "wrong.imgql").write_text('print "one" absent')
    command = f"{shlex.quote(sys.executable)} -m voxlogica {arguments} > /dev/full"
    done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (status, False)
    assert ("the output cannot be written: no space left on device" in done.stderr) == (status == 1)


def test_what_the_terminal_s_encoding_lacks_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "p.imgql").write_text('print "é" 1', "utf-8")
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "voxlogica", "run", "p.imgql"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "\\xe9=1\n", "")


def test_what_the_system_refuses_is_said(voxlogica_: Command) -> None:
    Path("loop.nii.gz").symlink_to("loop.nii.gz")
    for name in ("x" * 300 + ".nii.gz", "loop.nii.gz"):
        status, _, err = voxlogica_("run", write(SCAN + f'save "{name}" image'))
        assert (status, err.splitlines()[0].startswith("error[output]: "), "Traceback" in err) == (3, True, False)


def test_json_is_one_object_with_everything(voxlogica_: Command) -> None:
    text = (
        SCAN
        + 'print "n" volume(image >. 60) print "inf" 1 ./. 0 print "w" "text" save "m.nii" image >. 3 let u = absent'
    )
    status, out, err = voxlogica_("run", write(text), "--json")
    data = json.loads(out)
    assert (status, err, data["status"], data["save"], data["errors"]) == (0, "", 0, ["m.nii"], [])
    assert data["print"] == [
        {"label": "n", "value": 59}, {"label": "inf", "value": "inf"}, {"label": "w", "value": "text"}
    ]  # fmt: skip
    assert [warning["code"] for warning in data["warnings"]] == ["name"]
    status, out, err = voxlogica_("run", write('print "v" absent'), "--json")
    data = json.loads(out)
    assert (status, err, data["status"]) == (2, "", 2)
    assert (data["errors"][0]["code"], data["errors"][0]["at"]["line"]) == ("name", 1)


def test_quiet_says_errors_only(voxlogica_: Command) -> None:
    assert voxlogica_("run", write('let u = absent print "v" 1'), "-q") == Said(0, "v=1\n", "")
    assert voxlogica_("run", write('print "v" absent'), "-q").err.startswith("error[name]")


def test_check_says_what_a_program_needs_and_makes(voxlogica_: Command) -> None:
    text = """load scan = "$CASE.nii"
    let hi = 0.5
    print "n" volume(intensity(scan) >. hi)
    save "m.nii" intensity(scan) >. hi"""
    status, out, err = voxlogica_("check", write(text), "--set", "CASE=a")
    goals = '  print   "n"      number\n  save    "m.nii"  mask\n'
    assert (status, err) == (0, "")
    assert out == f'p.imgql is right\n  loads   scan = "$CASE.nii"\n  sets    hi = 0.5\n{goals}'
    assert "  needs   --set CASE=…\n" in voxlogica_("check", "p.imgql").out
    status, out, err = voxlogica_("check", write(text), "--json")
    data = json.loads(out)
    assert data["goals"][1] == {"kind": "save", "text": "m.nii", "type": "mask"}
    assert [warning["code"] for warning in data["warnings"]] == ["parameter"]


def test_an_input_is_never_overwritten(voxlogica_: Command) -> None:
    before = Path("scan.nii.gz").read_bytes()
    status, _, err = voxlogica_("run", write(SCAN + 'save "./scan.nii.gz" image >. 1'))
    assert status == 3
    assert err.startswith("error[output]: ./scan.nii.gz is an input of this program, and would be overwritten\n")
    assert Path("scan.nii.gz").read_bytes() == before


def test_the_operators_are_listed_and_explained(voxlogica_: Command) -> None:
    status, out, _ = voxlogica_("operators")
    assert status == 0
    for line in ("  near(a: mask) -> mask ", "  touch(a: mask, b: mask) -> mask ", "  ntpp(a: mask, b: mask) -> bool "):
        assert line in out
    status, out, _ = voxlogica_("operators", "through")
    assert (status, out.splitlines()[0]) == (0, "through(a: mask, b: mask) -> mask")
    assert ">>> " in out
    status, out, _ = voxlogica_("operators", "touch")
    assert "defined in the library stdlib:" in out
    assert voxlogica_("operators", "trough").err == (
        "error[usage]: there is no operator `trough`\n"
        "  help: did you mean `through`? `voxlogica operators` lists all of them\n"
    )
    assert voxlogica_("operators", "fold").err == (
        "error[usage]: `fold` is a word of the language, and no operator\n  help: for example   fold + xs\n"
    )
    assert "\n  the word is in percentiles, " in voxlogica_("operators", "rank").err
    assert "\n  the word is in simpleitk.BinaryFillhole, " in voxlogica_("operators", "hole").err, "and not in whole"
    entries = json.loads(voxlogica_("operators", "--json").out)
    assert len({entry["name"] for entry in entries}) > 90
    assert all(entry["doc"] and entry["signature"] for entry in entries)


def test_the_version_is_the_package_s(voxlogica_: Command) -> None:
    assert voxlogica_("version") == voxlogica_("--version") == Said(0, f"voxlogica {voxlogica.__version__}\n", "")


def test_help_has_examples_that_the_parser_takes(voxlogica_: Command) -> None:
    assert "voxlogica run gbm.imgql" in voxlogica_("--help").out
    for name in COMMANDS:
        status, out, err = voxlogica_(name, "--help")
        assert (status, err) == (0, "")
        assert f"voxlogica {name}" in out.split("examples:")[1]


def interruptible(command: Sequence[str], cwd: Path) -> subprocess.Popen[str]:
    """Starts a command that Ctrl-C ends, even where the tests themselves run in the background and ignore it."""
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    return subprocess.Popen(
        command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heard
    )


def test_ctrl_c_ends_a_run_with_130_and_leaves_no_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    nibabel.save(
        nibabel.Nifti1Image(rng.normal(size=(160, 160, 160)).astype(np.float32), np.eye(4)), tmp_path / "scan.nii"
    )
    slow = "crossCorrelation(9, image, image, image >. 0, 0, 1, 200)"
    (tmp_path / "p.imgql").write_text(
        SCAN.replace(".gz", "") + f'print "begun" 1\nsave "out/slow.nii.gz" {slow} >. 0.5'
    )
    command = [sys.executable, "-m", "voxlogica", "run", "p.imgql"]
    with interruptible(command, cwd=tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun=1\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err == "what is stored is kept: the same command goes on from there\ninterrupted\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p.imgql", "scan.nii"]


def test_ctrl_c_that_ends_who_reads_our_output_too_ends_a_run_all_the_same(tmp_path: Path) -> None:
    """As in `voxlogica run p.imgql 2>&1 | tee log`. The kernel never ends, and is not waited for."""
    nibabel.save(nibabel.Nifti1Image(np.zeros((3, 3, 3), np.float32), np.eye(4)), tmp_path / "scan.nii")
    (tmp_path / "ops.py").write_text(ENDLESS)
    (tmp_path / "p.imgql").write_text(f'{SCAN.replace(".gz", "")}print "begun" 1\nprint "n" volume(endless(image))')
    command = f"exec {shlex.quote(sys.executable)} -m voxlogica run p.imgql --operators ops.py 2>&1"
    with interruptible(["sh", "-c", command], cwd=tmp_path) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "begun=1\n"
            process.stdout.close()
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=60) == 130
        finally:
            process.kill()


ENDLESS = '''import threading
import voxlogica as vx

@vx.operator(version=1)
def endless(image: vx.Image) -> vx.Mask:
    """Never ends, and holds nothing up, like a kernel that has let go of the interpreter."""
    threading.Event().wait()
'''


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "p.imgql", "--timeout", "1"),
        ("run", "p.imgql", "--task-timeout", "1", "--events", "e.json"),
        ("batch", "p.imgql", "--cases", "{case}.nii", "--timeout", "1"),
    ],
)
def test_a_run_that_a_limit_ends_does_not_wait_for_kernels(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    nibabel.save(nibabel.Nifti1Image(np.zeros((3, 3, 3), np.float32), np.eye(4)), tmp_path / "scan.nii")
    (tmp_path / "ops.py").write_text(ENDLESS)
    (tmp_path / "p.imgql").write_text(f'{SCAN.replace(".gz", "")}print "begun" 1\nprint "n" volume(endless(image))')
    command = [sys.executable, "-m", "voxlogica", *arguments, "--operators", "ops.py"]
    # Who waited for the kernel would wait for ever, so this is long enough for a machine that does other things too.
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 1
    assert "begun" in done.stdout
    assert "limit of 1 s" in done.stderr


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    lines = "\n".join(f'print "{n}" {n}' for n in range(5000))
    (tmp_path / "p.imgql").write_text(lines)
    command = f"{shlex.quote(sys.executable)} -m voxlogica run p.imgql | head -n 1"
    done = subprocess.run(
        command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False, env=os.environ
    )
    assert (done.stdout, done.stderr) == ("0=0\n", "")


def test_sequences_are_printed_and_version_2_s_inputs_loaded(voxlogica_: Command) -> None:
    """C19, C29."""
    text = 'scan = ReadImage("scan.nii.gz")\nprint "counts" for k in [10, 100] do volume(intensity(scan) > k)\n'
    text += 'print "nested" [[1, 2.5], []]\nprint "words" ["a", $stem]\nprint "none" []\n'
    said = voxlogica_("run", write(text))
    assert said == Said(0, 'counts=[109, 19]\nnested=[[1, 2.5], []]\nwords=["a", "p"]\nnone=[]\n', "")


def test_the_dialect_of_a_run(voxlogica_: Command) -> None:
    """C3b."""
    program = write('print "rest" 10 - 3 - 2\nprint "sum" 2 + 3 * 4\n')
    assert voxlogica_("run", program).status == 2
    assert voxlogica_("run", program, "--dialect", "1").out == "rest=9\nsum=14\n"
    assert voxlogica_("run", program, "--dialect", "2").out == "rest=5\nsum=20\n"


def test_fmt_prints_replaces_or_tells(voxlogica_: Command) -> None:
    program = write('print "rest" 10 - 3 - 2 // why\n')
    made = 'print "rest" 10 - (3 - 2) // why\n'
    assert voxlogica_("fmt", program, "--dialect", "1") == Said(0, made, "")
    assert voxlogica_("fmt", program, "--dialect", "1", "--check") == Said(1, "", "p.imgql would change\n")
    assert voxlogica_("fmt", program, "--dialect", "1", "--in-place") == Said(0, "", "")
    assert Path(program).read_text() == made
    assert voxlogica_("fmt", program, "--check") == Said(0, "", "")
