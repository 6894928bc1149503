"""Where an import is looked for, and in which order (C4); each file once, by whatever name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import voxlogica as vx
from voxlogica.cli import main
from voxlogica.errors import ProgramError


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """The directories of the importing file, of the command, and two of the path, in the order of the search."""
    found = {name: tmp_path / name for name in ("beside", "working", "first", "second")}
    for directory in found.values():
        directory.mkdir()
    monkeypatch.chdir(found["working"])
    monkeypatch.setenv("VOXLOGICA_LIBRARY_PATH", os.pathsep.join([str(found["first"]), str(found["second"])]))
    (found["beside"] / "main.imgql").write_text('import "words"\nprint "where" where\n')
    return found


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["run", *arguments, "--no-store"]) == 0
    return capsys.readouterr().out.strip()


def test_the_order_of_the_search(places: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    for name, directory in reversed(places.items()):  # each one comes before those that are there already
        (directory / "words.imgql").write_text(f'let where = "{name}"\n')
        assert printed(capsys, str(places["beside"] / "main.imgql")) == f"where={name}"


def test_the_file_may_be_named_whole(places: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    (places["second"] / "words").write_text('let where = "without an ending"\n')
    (places["second"] / "words.imgql").write_text('let where = "with one"\n')
    main_file = places["beside"] / "main.imgql"
    assert printed(capsys, str(main_file)) == "where=without an ending"
    main_file.write_text(main_file.read_text().replace('"words"', '"words.imgql"'))
    assert printed(capsys, str(main_file)) == "where=with one"


def test_a_file_of_one_s_own_comes_before_a_bundled_library(
    places: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    (places["second"] / "RegionCalculus.imgql").write_text('let where = "mine"\n')
    main_file = places["beside"] / "main.imgql"
    main_file.write_text('import "RegionCalculus"\nprint "where" where\n')
    assert printed(capsys, str(main_file)) == "where=mine"


def test_the_option_outdoes_the_environment(places: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("first", "second"):
        (places[name] / "words.imgql").write_text(f'let where = "{name}"\n')
    main_file = str(places["beside"] / "main.imgql")
    assert printed(capsys, main_file, "--library-path", str(places["second"])) == "where=second"


def test_the_setting_is_relative_to_its_file(
    places: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("VOXLOGICA_LIBRARY_PATH")
    (places["beside"] / "voxlogica.toml").write_text(f'library-path = "nothing{os.pathsep}../second"\n')
    (places["second"] / "words.imgql").write_text('let where = "second"\n')
    assert printed(capsys, str(places["beside"] / "main.imgql")) == "where=second"


def test_from_python(places: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("first", "second"):
        (places[name] / "words.imgql").write_text(f'let where = "{name}"\n')
    text = 'import "words"\nprint "where" where\n'
    with vx.Session(store=False) as session:
        assert session.program(text).run()["where"] == "first"
    with vx.Session(store=False, library_path=[places["second"]]) as session:
        assert session.program(text).run()["where"] == "second"
    monkeypatch.delenv("VOXLOGICA_LIBRARY_PATH")
    with vx.Session(store=False) as session, pytest.raises(ProgramError):
        session.program(text)


def test_what_is_not_found_says_where_it_was_looked_for(
    places: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    places["second"].rmdir()
    assert main(["check", str(places["beside"] / "main.imgql")]) == 2
    assert capsys.readouterr().err.splitlines()[-6:] == [
        "  looked for words and words.imgql",
        f"    beside {places['beside'] / 'main.imgql'}",
        "    in the directory where the command runs",
        f"    in {places['first']}",
        f"    in {places['second']}   (there is no such directory)",
        "    among the libraries that come with VoxLogicA",
    ]


def test_one_file_by_several_names_is_imported_once(
    places: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Otherwise the second import would hide what the program defined meanwhile."""
    (places["first"] / "words.imgql").write_text('let where = "first"\n')
    main_file = places["beside"] / "main.imgql"
    again = places["first"] / "." / "words.imgql"
    main_file.write_text(f'import "words"\nlet where = "mine"\nimport "{again}"\nprint "where" where\n')
    assert printed(capsys, str(main_file)) == "where=mine"


def test_a_cycle_shows_the_chain(places: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    (places["first"] / "words.imgql").write_text('import "other"\n')
    (places["second"] / "other.imgql").write_text('import "words"\n')
    assert main(["check", str(places["beside"] / "main.imgql")]) == 2
    words, other = places["first"] / "words.imgql", places["second"] / "other.imgql"
    assert capsys.readouterr().err.splitlines() == [
        "error[import]: these files import each other in a circle",
        f"  {other}:1:8",
        '      1 | import "words"',
        "        |        ^^^^^^^",
        f"  {places['beside'] / 'main.imgql'}:1:8 imports {words}",
        f"  {words}:1:8 imports {other}",
        f"  {other}:1:8 imports {words} again",
        "  help: move what both need into a third file, and import that one from both",
    ]
