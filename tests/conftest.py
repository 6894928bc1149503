"""Tests have a store and a session of their own, each a new one, never the user's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from voxlogica import session


@pytest.fixture(autouse=True)
def own_store(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    directory = tmp_path_factory.mktemp("store")
    monkeypatch.setenv("VOXLOGICA_STORE", str(directory / "store"))
    monkeypatch.setattr(session, "_default", None)
    yield directory / "store"
    if session._default is not None:
        session._default.close()
