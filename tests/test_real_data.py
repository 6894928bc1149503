"""Real cases and the masks that VoxLogicA 1 wrote: equal voxel for voxel, percentiles to the bit, prints to 1e-6.

The data may not be redistributed and are not in the repository; without them these tests are skipped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import nibabel
import numpy as np
import pytest

from voxlogica.session import Options, Run, Saved, Session
from voxlogica.session.settings import Given

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
EXPECTED: Mapping[str, dict] = json.loads((DATA / "expected.json").read_text()) if DATA.is_dir() else {}
REFERENCE: Mapping[str, dict] = json.loads((DATA / "gbm.expected.json").read_text()) if DATA.is_dir() else {}

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"the real cases are not in {DATA}")

PROGRAMS = [(case, program) for case, each in EXPECTED.items() for program in each["programs"]]


def voxels(path: Path) -> np.ndarray:
    """The voxels of a file, [z, y, x]."""
    return np.ascontiguousarray(np.asarray(nibabel.load(path).dataobj).T)


def digest(path: Path) -> str:
    return sha256(voxels(path).tobytes()).hexdigest()


@pytest.mark.parametrize(("case", "name"), PROGRAMS)
def test_the_masks_are_version_1_s(case: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = EXPECTED[case]["programs"][name]
    monkeypatch.chdir(DATA / case)
    with Session() as session:
        program = session.load(name)
        prepared = program.settle([], Options(output_dir=tmp_path))
        run = Run(prepared, prepared.bind())
        assert all(isinstance(each, Saved) or hasattr(each, "label") for each in run.happenings())
        ranks = run["pflair"].numpy().T
    assert run.printed == pytest.approx(expected["prints"], rel=1e-6, abs=1e-6)
    assert len(run.saved) == len(expected["saves"])
    for saved, mask in expected["saves"].items():
        assert digest(tmp_path / saved) == EXPECTED[case]["files"][mask]["sha256"], saved
        written, read = nibabel.load(tmp_path / saved), nibabel.load(DATA / case / f"{case}_flair.nii.gz")
        assert np.array_equal(written.affine, read.affine)
    assert sha256(np.ascontiguousarray(ranks).tobytes()).hexdigest() == EXPECTED[case]["pflair"]["sha256"]


@pytest.mark.parametrize("case", REFERENCE)
def test_the_reference_analysis_prints_what_it_must(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = dict(REFERENCE[case])
    volumes = expected.pop("volumes")
    monkeypatch.chdir(DATA)
    given = [Given(name, value, name) for name, value in (("INPUTDIR", case), ("NAME", case), ("OUTPUTDIR", "out"))]
    with Session() as session:
        prepared = session.load("gbm.imgql").settle(given, Options(output_dir=tmp_path))
        run = Run(prepared, prepared.bind())
        list(run.happenings())
        counted = {name: int(run[name].numpy().sum()) for name in volumes if name in run}
    assert run.printed == pytest.approx(expected, rel=1e-6, abs=1e-6)
    assert counted == {name: volumes[name] for name in counted}
    assert {"growTum", "gtv", "brain", "manual"} <= counted.keys()
