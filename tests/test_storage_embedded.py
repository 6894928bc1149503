"""The embedded store in one process: every backend's promises, and what is its own: files, damage, limits, records."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from voxlogica.storage.conformance import BackendConformance
from voxlogica.storage.embedded import EmbeddedStorage


class TestEmbeddedStorage(BackendConformance):
    @pytest.fixture(autouse=True)
    def _stores(self, tmp_path: Path) -> Iterator[None]:
        self.directory, self.made = tmp_path, list[EmbeddedStorage]()
        yield
        for store in self.made:
            store.close()

    def make(self) -> EmbeddedStorage:
        self.made.append(EmbeddedStorage(self.directory / f"store{len(self.made)}"))
        return self.made[-1]
