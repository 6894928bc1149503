"""The pages of docs/ that show programs say what is so: all of it is run, and what they show is what comes out."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests import pages


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("tutorial", 15), ("language", 35), ("api", 10), ("versioning", 3), ("core", 19), ("howto/operator", 7),
    ],
)  # fmt: skip
def test_the_page_shows_what_comes_out(name: str, least: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = pages.DOCS / f"{name}.md"
    assert len(pages.blocks(page)) >= least
    pages.check(page, tmp_path, monkeypatch)
