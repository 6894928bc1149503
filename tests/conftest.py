"""Tests have a store of their own, each a new one, never the user's."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_store(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path_factory.mktemp("store")
    monkeypatch.setenv("VOXLOGICA_STORE", str(directory / "store"))
    return directory / "store"
