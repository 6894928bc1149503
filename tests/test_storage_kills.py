"""Kill -9 at random and at every step of the protocol: nothing is wrong, missing, done twice or left locked."""

from __future__ import annotations

from pathlib import Path

from tests.kill_matrix import run

from voxlogica.storage.protocol import LABELS


def test_a_thousand_kills(tmp_path: Path):
    tally = run(tmp_path, kills=1000)
    assert tally.clean, tally
    assert set(tally.by_label) == {*LABELS, "at random"}, "some step was never died at"
