"""Tables as data frames: the columns and values of the records, numbers as numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import voxlogica as vx

TEXT = """load s = "$CASE.nii"
let k = 5
let i = intensity(s)
print "voxels" volume(i >. k)
print "any" (volume(i >. k) .>. 0) .&. true
print "case name" "<$CASE>"
print "mean" avg(i, i >. k)"""


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[vx.Study]:
    monkeypatch.chdir(tmp_path)
    image = vx.program('load s = "s"\nlet i = intensity(s)\nprint "m" max(i)')
    numbers = np.arange(27, dtype=np.float32).reshape(3, 3, 3)
    image.run(s=(numbers, np.eye(4)))["i"].save("a.nii")
    with vx.Session(store=False):
        yield vx.program(TEXT).sweep(vx.cases("{case}.nii"), k=[5, 25, 26])


def test_pandas(study: vx.Study) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = study.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame.columns) == ["case", "k", "voxels", "any", "case name", "mean", "error"]
    assert frame["voxels"].tolist() == [21, 1, 0]
    assert frame["k"].dtype == frame["voxels"].dtype == np.float64
    assert frame["any"].tolist() == [True, True, False]
    assert frame["mean"].tolist()[:2] == [16, 26]
    assert math.isnan(frame["mean"][2])
    assert frame["error"].isna().tolist() == [True, True, False]
    assert frame.groupby("k")["voxels"].mean().to_dict() == {5: 21, 25: 1, 26: 0}
    assert study.table().to_pandas().equals(frame)


def test_polars(study: vx.Study) -> None:
    polars = pytest.importorskip("polars", reason="polars is not installed")
    frame = study.to_polars()
    assert isinstance(frame, polars.DataFrame)
    assert frame.columns == ["case", "k", "voxels", "any", "case name", "mean", "error"]
    assert frame["voxels"].to_list() == [21, 1, 0]
    assert frame["mean"].to_list() == [16, 26, None]
    assert frame["error"].is_null().to_list() == [True, True, False]


def test_an_empty_study_is_an_empty_table_with_its_columns(study: vx.Study) -> None:
    assert study.so_far.columns == ("case", "k", "voxels", "any", "case name", "mean", "error")
    assert study.so_far.records() == []
