"""The Python API: programs, runs and what they raise."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nibabel
import numpy as np
import pytest

import voxlogica as vx
from voxlogica.session import Given, Options, Run, Trouble
from voxlogica.session.why import NEW, PLANNED

TEXT = """load scan = "$CASE.nii.gz"
let k = 60
let image = intensity(scan)
let bright = image >. k
print "voxels" volume(bright)
print "sure" k .>. 50
save "bright.nii.gz" bright"""


@pytest.fixture(autouse=True)
def voxels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    monkeypatch.chdir(tmp_path)
    voxels = np.arange(120, dtype=np.int16).reshape(6, 5, 4)
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), "a.nii.gz")
    nibabel.save(nibabel.Nifti1Image(voxels[::-1].copy() + 1, np.eye(4)), "b.nii.gz")
    return voxels


def test_a_program_says_what_it_takes_and_makes() -> None:
    program = vx.program(TEXT)
    assert program.inputs == ("scan",)
    assert dict(program.parameters) == {"k": 60.0}
    assert program.goals == ("voxels", "sure", "bright.nii.gz")


def test_a_run_has_its_prints_and_its_definitions(voxels: np.ndarray) -> None:
    run = vx.program(TEXT).run(CASE="a", k=100)
    assert (run["voxels"], run["sure"], run["k"]) == (19, True, 100)
    assert np.array_equal(run["bright"].numpy(), voxels > 100)
    assert np.array_equal(np.asarray(run["image"]), voxels)
    assert run.saved == [Path("bright.nii.gz")]
    assert sorted(run) == ["bright", "image", "k", "scan", "sure", "voxels"]
    with pytest.raises(KeyError, match="no print and no definition 'brigth'"):
        run["brigth"]


def test_nothing_is_written_when_saving_is_off() -> None:
    run = vx.program(TEXT).run(CASE="a", save=False)
    assert (run.saved, Path("bright.nii.gz").exists()) == ([], False)


def test_a_program_may_run_in_several_threads_at_once() -> None:
    program = vx.program(TEXT)
    cases = [(case, k) for case in "ab" for k in range(0, 120, 7)]
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda pair: program.run(CASE=pair[0], k=pair[1], save=False)["voxels"], cases))
    assert found == [119 - k if case == "a" else 120 - k for case, k in cases]


def test_mistakes_are_exceptions_with_diagnostics() -> None:
    with pytest.raises(vx.ProgramError) as caught:
        vx.program('print "v" absent')
    assert [d.code for d in caught.value.diagnostics] == ["name"]
    with pytest.raises(vx.ProgramError, match=r"k='x': `k` is a number.*\n(.*\n)*  help: for example   k=60$"):
        vx.program(TEXT).run(CASE="a", k="x")
    with pytest.raises(vx.ProgramError, match="has no value"):
        vx.program(TEXT).run()
    with pytest.raises(vx.InputError, match=r"there is no file c\.nii\.gz"):
        vx.program(TEXT).run(CASE="c")


def test_what_fails_while_computing_is_raised_when_the_rest_is_done() -> None:
    bins = "max(crossCorrelation(1, image, image, bright, 0, 1, 0))"
    text = f'{TEXT}\nprint "mean" avg(image, image >. 1000)\nprint "bins" {bins}'
    with pytest.raises(vx.ComputationError) as caught:
        vx.program(text).run(CASE="a")
    assert len(caught.value.diagnostics) == 2
    assert Path("bright.nii.gz").exists()


def test_a_plan_knows_what_planning_itself_put_in_and_stored(tmp_path: Path) -> None:
    """The pass for both extremes is not written in the program, and serves another mask."""
    text = 'load scan = "a.nii.gz"\nlet k = 60\nlet image = intensity(scan)\n'
    text += 'print "n" volume(image >. k) .+. (max(image) .-. min(image))'
    large = np.arange(96**3, dtype=np.int32).reshape(96, 96, 96)  # so that storing two numbers pays
    nibabel.save(nibabel.Nifti1Image(large, np.eye(4)), "a.nii.gz")
    with vx.Session(store=tmp_path / "store") as session:
        program = session.program(text)

        prepared = program.settle([Given("k", 70.0, "k=70")], Options())

        def why() -> dict[str, str]:
            """For each task that is to be computed."""
            return {each.formula.label: each.why for each in Run(prepared, prepared.bind()).why()}

        assert (why()["extremes"], why()["volume"]) == (PLANNED, NEW)
        program.run(k=60)
        assert why()["volume"].startswith("the parameter `k` is 70, was 60")
        assert "extremes" not in why()


def test_a_session_ends_with_its_block() -> None:
    with vx.Session(jobs=1) as session:
        run = session.program('print "v" 1 .+. 1').run()
    assert run["v"] == 2
    with pytest.raises(RuntimeError, match="closed"):
        session.program('print "v" 1').run()


def test_an_input_that_changes_while_it_is_used_is_refused() -> None:
    with vx.Session() as session:
        prepared = session.program(TEXT).settle([Given("CASE", "a", "")], Options())
        run = vx.Run(prepared, prepared.bind())
        Path("a.nii.gz").write_bytes(Path("b.nii.gz").read_bytes())
        (trouble,) = [each for each in run.happenings() if isinstance(each, Trouble)]
    assert trouble.diagnostic.code == "input"
    assert "changed while it was being used" in trouble.diagnostic.message
    assert trouble.diagnostic.details == ('not done: print "voxels", save "bright.nii.gz"',)


def test_a_definition_that_is_a_sequence_is_a_tuple() -> None:
    with vx.Session(store=False) as session:
        run = session.program('let s = [1, 2, 3]\nlet t = s[-2:]\nlet u = [t, s]\nprint "n" u[0][1]').run()
        assert (run["s"], run["t"], run["u"]) == ((1.0, 2.0, 3.0), (2.0, 3.0), ((2.0, 3.0), (1.0, 2.0, 3.0)))
