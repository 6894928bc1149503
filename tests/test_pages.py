"""The pages of docs/ that show programs say what is so: all of it is run, and what they show is what comes out."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests import pages


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("tutorial", 15), ("language", 35), ("api", 10), ("versioning", 3), ("core", 19), ("howto/arrays", 6),
        ("howto/compare", 6), ("howto/operator", 7), ("howto/processes", 4), ("simpleitk", 3),
    ],
)  # fmt: skip
def test_the_page_shows_what_comes_out(name: str, least: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = pages.DOCS / f"{name}.md"
    assert len(pages.blocks(page)) >= least
    pages.check(page, tmp_path, monkeypatch)


def test_the_page_of_notebooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("IPython", reason="IPython is not installed")
    test_the_page_shows_what_comes_out("howto/notebook", 5, tmp_path, monkeypatch)


def test_every_page_of_gestures_is_run() -> None:
    run = {page.stem for page in (pages.DOCS / "howto").glob("*.md")}
    assert run == {"arrays", "compare", "notebook", "operator", "processes"}
