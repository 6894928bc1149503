"""Long turns on a processor: asked for by the command before all else, and given where Linux knows them."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from voxlogica import __main__, cli
from voxlogica.kernels import turns

ASKED = """
import ctypes, sys
from voxlogica.kernels import turns
assert turns.lengthen()
found = (ctypes.c_uint64 * 8)()
assert ctypes.CDLL(None, use_errno=True).syscall(int(sys.argv[1]), 0, found, ctypes.sizeof(found), 0) == 0
print(found[3] // 1_000_000)
"""
GETATTR = {"x86_64": 315, "aarch64": 275}  # the number of sched_getattr
LINUX = tuple(int(part) for part in platform.release().split(".")[:2]) if sys.platform == "linux" else (0, 0)


@pytest.mark.skipif(
    LINUX < (6, 12) or platform.machine() not in GETATTR, reason="turns of one's own are in Linux since 6.12"
)
def test_turns_are_long() -> None:
    words = [sys.executable, "-c", ASKED, str(GETATTR[platform.machine()])]
    assert int(subprocess.run(words, check=True, capture_output=True).stdout) == turns.MILLISECONDS


def test_the_command_asks_first(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    monkeypatch.setattr(turns, "lengthen", lambda: called.append("turns"))
    monkeypatch.setattr(cli, "main", lambda: called.append("command") or 3)
    assert __main__.main() == 3
    assert called == ["turns", "command"]


def test_without_compiled_code_the_command_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """`voxlogica doctor` is there to say so."""
    monkeypatch.setitem(sys.modules, "voxlogica.kernels.turns", None)
    monkeypatch.delattr("voxlogica.kernels.turns")
    monkeypatch.setattr(cli, "main", lambda: 4)
    assert __main__.main() == 4
