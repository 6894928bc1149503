"""The papers say what is so: dependencies, links, commands, the glossary, and the program in the README."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from demo import phantom

ROOT = Path(__file__).resolve().parent.parent
PAPERS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
README = (ROOT / "README.md").read_text()


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


def requirements() -> dict[str, str]:
    """Every package that pyproject.toml names, with its lower bound."""
    extras = PROJECT["project"].get("optional-dependencies", {}).values()
    groups = (PROJECT["build-system"]["requires"], PROJECT["project"]["dependencies"], *extras)
    lines = [line for group in groups for line in group]
    named = [re.fullmatch(r"([\w.-]+)(?:\[[\w,]+\])?>=([\d.]+)", line) for line in lines]
    assert all(named), f"a dependency without a plain lower bound, among {lines}"
    return {match[1]: match[2] for match in named if match}


def test_every_dependency_has_its_bound_and_its_reason() -> None:
    rows = re.findall(
        r"^\| `([^`]+)` \| ([\d.]+) \| (.+) \|$", (ROOT / "docs/dependencies.md").read_text(), re.MULTILINE
    )
    assert {name: bound for name, bound, _ in rows} == requirements()
    assert all(len(reason) > 10 for _, _, reason in rows)


def test_the_make_targets_that_papers_name_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for paper in PAPERS:
        named = set(re.findall(r"^make ([a-z]+)|`make ([a-z]+)`", paper.read_text(), re.MULTILINE))
        assert {a or b for a, b in named} <= targets, paper.name
    assert {"demo", "test"} <= targets


def test_the_tests_that_papers_name_exist() -> None:
    sources = [*(ROOT / "tests").glob("test_*.py"), ROOT / "src/voxlogica/storage/conformance.py"]
    there = {path.name for path in sources}
    there.update(name for path in sources for name in re.findall(r"def (test_\w+)", path.read_text()))
    for paper in PAPERS:
        named = set(re.findall(r"`(?:tests/)?(test_\w+(?:\.py)?)`", paper.read_text()))
        assert named <= there, paper.name


def anchors(paper: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", without_code(paper.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: str(paper.relative_to(ROOT)))
def test_internal_links_lead_somewhere(paper: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(paper.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        there = (paper.parent / file).resolve() if file else paper
        if not there.exists() or (anchor and anchor not in anchors(there)):
            broken.append(target)
    assert not broken


def test_the_glossary_is_in_order_and_has_the_fields_words() -> None:
    text = (ROOT / "docs/glossary.md").read_text()
    words = re.findall(r"^\*\*([^*]+)\*\* — ", text, re.MULTILINE)
    assert words == sorted(set(words), key=str.lower)
    wanted = "formula closure~space near interior through valuation goal workplan task content~id claim outcome blob"
    assert {word.replace("~", " ") for word in wanted.split()} <= set(words)


def test_versions_and_licence_agree() -> None:
    version, licence = PROJECT["project"]["version"], PROJECT["project"]["license"]
    citation = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {version}\n" in citation
    assert f"\nlicense: {licence}\n" in citation
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text()
    assert "Version 2.0, January 2004" in (ROOT / "LICENSE").read_text()


def test_the_program_in_the_readme_prints_what_it_says(tmp_path: Path) -> None:
    """The expected numbers were computed by a separate SciPy script, not by VoxLogicA."""
    program, command, printed = (
        re.search(pattern, README, re.DOTALL)
        for pattern in (
            r"```imgql\n(.*?)```",
            r"\$ \.venv/bin/voxlogica (run [^\n]+)\n",
            r"tumour\.imgql\n(voxels=.*?)```",
        )
    )
    assert program
    assert command
    assert printed
    assert len(program[1].splitlines()) == 10
    (tmp_path / "tumour.imgql").write_text(program[1])
    phantom.write(tmp_path / "demo-output/case", "phantom")
    voxlogica = Path(sys.executable).with_name("voxlogica")
    done = subprocess.run(
        [voxlogica, *command[1].split(), "--no-store"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.returncode) == (printed[1], 0), done.stderr
    assert (tmp_path / "demo-output/tumour.nii.gz").exists()
