"""`docs/study.md` says what is so: everything on it is run, and what it shows is what comes out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests import pages

PAGE = pages.DOCS / "study.md"


def steady(text: str) -> list[str]:
    """The lines without times and in an order of their own: rows come as they finish."""
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "DATE", text)
    return sorted(re.sub(r" +(\d+\.\d s)$", "  TIME", line) for line in text.splitlines() if line)


def test_the_page_shows_what_comes_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [block.kind for block in pages.blocks(PAGE)].count("console") >= 6
    pages.check(PAGE, tmp_path, monkeypatch, steady)
    assert sorted(path.name for path in Path("masks").iterdir()) == ["anna", "bela", "carl", "dora"]
    assert Path("sweep.html").read_text().count("<img") == 4
