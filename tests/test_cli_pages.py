"""docs/cli.md is the output of `--help`, command by command; `python -m tests.test_cli_pages` writes it."""

from __future__ import annotations

import os
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from voxlogica.cli import main
from voxlogica.cli.arguments import COMMANDS

PAGE = Path(__file__).resolve().parent.parent / "docs" / "cli.md"


def help_of(*words: str) -> str:
    """What a command says of itself, for a terminal of a usual width."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "100"
    try:
        with redirect_stdout(StringIO()) as said:
            assert main([*words, "--help"]) == 0
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before
    return said.getvalue().rstrip()


def page() -> str:
    """The whole page."""
    blocks = ["# The command line", "What each command says of itself with `--help`; a test keeps this page so."]
    for name in ("", *COMMANDS):
        blocks.append(f"## voxlogica {name}".rstrip())
        blocks.append(f"```text\n{help_of(*name.split())}\n```")
    return "\n\n".join(blocks) + "\n"


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="Python 3.13 words the options of a help page differently")
def test_the_page_is_what_the_commands_say() -> None:
    assert PAGE.read_text() == page(), "write it anew: python -m tests.test_cli_pages"


if __name__ == "__main__":
    PAGE.write_text(page())
