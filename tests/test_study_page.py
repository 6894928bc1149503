"""`docs/study.md` says what is so: everything on it is run, and what it shows is what comes out."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import voxlogica

PAGE = Path(__file__).resolve().parent.parent / "docs" / "study.md"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a `voxlogica` command and a store of its own."""
    root = tmp_path_factory.mktemp("study")
    (root / "bin").mkdir()
    command = root / "bin" / "voxlogica"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m voxlogica "$@"\n')
    command.chmod(0o755)
    return root


def steady(text: str) -> list[str]:
    """The lines without times and in an order of their own: rows come as they finish."""
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "DATE", text)
    return sorted(re.sub(r" +(\d+\.\d s)$", "  TIME", line) for line in text.splitlines() if line)


def test_the_page_shows_what_comes_out(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    package = str(Path(voxlogica.__file__).parents[1])
    environment = os.environ | {
        "PATH": f"{place / 'bin'}:{os.environ['PATH']}", "VOXLOGICA_STORE": str(place / "store"), "PYTHONPATH": package,
    }  # fmt: skip

    def run(command: list[str]) -> str:
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode in (0, 1), done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout

    assert [kind for kind, _ in BLOCKS].count("console") >= 6
    for kind, body in BLOCKS:
        if kind == "python":
            run([sys.executable, "-W", "error", "-c", body])
        elif kind == "imgql":
            Path("lesion.imgql").write_text(body)
        else:
            assert kind == "console"
            for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
                command, _, expected = part.partition("\n")
                assert steady(run(["sh", "-c", command])) == steady(expected), command
    assert sorted(path.name for path in Path("masks").iterdir()) == ["anna", "bela", "carl", "dora"]
    assert Path("sweep.html").read_text().count("<img") == 4
