"""The embedded store in one process: every backend's promises, and what is its own: files, damage, limits, records."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from voxlogica.storage import slots
from voxlogica.storage.conformance import BackendConformance
from voxlogica.storage.embedded import EmbeddedStorage


class TestEmbeddedStorage(BackendConformance):
    @pytest.fixture(autouse=True)
    def _stores(self, tmp_path: Path) -> Iterator[None]:
        self.directory, self.made = tmp_path, list[EmbeddedStorage]()
        yield
        for store in self.made:
            store.close()

    flock = False

    def make(self) -> EmbeddedStorage:
        self.made.append(EmbeddedStorage(self.directory / f"store{len(self.made)}", flock=self.flock))
        return self.made[-1]


class TestWithoutLocksOnBytes(TestEmbeddedStorage):
    """Where a system has `flock` only; with so few slots that most of them are shared."""

    flock = True

    @pytest.fixture(autouse=True)
    def _few(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(slots.COUNTS, "claims", 4)
