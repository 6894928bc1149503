"""The house's rules: rooms import only what lies below them, and what is light stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import voxlogica

PACKAGE = Path(voxlogica.__file__).parent

ROOMS = (  # from the top; rooms on one line do not import each other
    ("cli",),
    ("session",),
    ("study",),
    ("execution",),
    ("plan",),
    ("check",),
    ("reduction",),
    ("operators", "storage"),
    ("images",),
    ("syntax", "kernels", "library"),
    ("formula",),
    ("values",),
    ("identity",),
    ("errors",),
    ("_collector", "_dataclass", "_version"),
)
FLOOR = {room: len(ROOMS) - n for n, line in enumerate(ROOMS) for room in line}
DOORS = {"__init__", "__main__"}  # the package's own: they lead to the rooms and are imported by none


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    """The rooms a file imports, wherever in the file it does."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            below = [f"{node.module}.{alias.name}" for alias in node.names]
            names = below if node.module == "voxlogica" else [node.module or ""]
        yield from (name.split(".")[1] for name in names if name.startswith("voxlogica."))


def test_every_file_is_in_a_room() -> None:
    rooms = {room(path) for path in PACKAGE.rglob("*.py")}
    assert rooms <= FLOOR.keys() | DOORS
    assert {"cli", "session", "execution", "check", "syntax", "kernels", "identity"} <= rooms


def test_the_document_has_the_same_rooms() -> None:
    document = (Path(__file__).parents[1] / "docs/design.md").read_text()
    assert "```\n" + "\n".join(" | ".join(line) for line in ROOMS) + "\n```\n" in document


@pytest.mark.parametrize("name", sorted(FLOOR))
def test_rooms_import_only_what_lies_below(name: str) -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {other}"
        for path in PACKAGE.rglob("*.py")
        if room(path) == name
        for other in imports(path)
        if other != name and FLOOR[other] >= FLOOR[name]
    ]
    assert not wrong


def modules_after(statement: str) -> set[str]:
    """The top-level modules that are loaded after a statement in a new process."""
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {module.split(".")[0] for module in done.stdout.split()} | set(done.stdout.split())


HEAVY = {"numpy", "scipy", "SimpleITK", "nibabel", "PIL", "rich", "voxlogica.kernels._masks"}


@pytest.mark.parametrize(
    "statement",
    [
        "import voxlogica",
        "import voxlogica.values, voxlogica.formula, voxlogica.storage, voxlogica.plan, voxlogica.check",
        "from voxlogica.operators import operators; operators()",
        "import voxlogica.session, voxlogica.images",
        "from voxlogica.cli import main; main(['version'])",
        "from voxlogica.cli import main; main(['operators', 'through'])",
    ],
)
def test_what_is_light_imports_nothing_heavy(statement: str) -> None:
    assert not modules_after(statement) & HEAVY


def test_importing_the_package_imports_nothing_of_it() -> None:
    own = {module for module in modules_after("import voxlogica") if module.startswith("voxlogica.")}
    assert own == {"voxlogica._version"}


SLOW = {"concurrent", "dataclasses", "difflib", "email", "inspect", "logging", "shutil", "subprocess"}
"""Modules of Python that take as long to import as many of ours; no run needs them unless something is wrong."""


def test_running_a_program_imports_nothing_slow(tmp_path: Path) -> None:
    program = tmp_path / "two.imgql"
    program.write_text('print "two" 1 .+. 1\n')
    loaded = modules_after(f"from voxlogica.cli import main; main(['run', '-q', '--no-store', {str(program)!r}])")
    assert "voxlogica.session" in loaded
    assert not loaded & SLOW
