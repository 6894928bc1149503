"""Kill -9 at random and at every step of the protocol: nothing is wrong, missing, done twice or left locked."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.kill_matrix import run

from voxlogica.storage import slots
from voxlogica.storage.protocol import LABELS


def test_a_hundred_kills_where_bytes_cannot_be_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """With so few slots that everybody is in everybody's way."""
    monkeypatch.setitem(slots.COUNTS, "claims", 4)
    tally = run(tmp_path, kills=100, flock=True)
    assert tally.clean, tally
    assert len(tally.by_label) > len(LABELS) / 2, tally


def test_a_thousand_kills(tmp_path: Path):
    """And more, until somebody has died at each step: on a machine that others keep busy some are rare."""
    wanted, died = {*LABELS, "at random"}, set[str]()
    for number, kills in enumerate((1000, 300, 300, 300)):
        if died != wanted:
            tally = run(tmp_path / str(number), kills, seed=number)
            assert tally.clean, tally
            died |= set(tally.by_label)
    assert died == wanted, "some step was never died at"
