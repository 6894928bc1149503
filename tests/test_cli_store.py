"""The store from the command line: what a second run costs, why something runs again, and the commands of the store."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import nibabel
import numpy as np
import pytest
from tests.command import Command, Said, commands

from voxlogica.session.why import LOST, NEW, ORIGIN
from voxlogica.storage import StoreFull, protocol
from voxlogica.storage.blobs import Blobs
from voxlogica.storage.catalogue import Catalogue
from voxlogica.storage.embedded import EmbeddedStorage

PROGRAM = """load scan = "scan.nii"
let k = 60
let image = intensity(scan)
let bright = image >. k
print "voxels" volume(near(bright))
print "max" max(image)
save "bright.nii" bright"""


def scan(factor: int) -> None:
    voxels = np.arange(120_000, dtype=np.float32).reshape(60, 50, 40) * factor
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), "scan.nii")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    monkeypatch.chdir(tmp_path)
    scan(1)
    Path("p.imgql").write_text(PROGRAM)

    return commands(capfd)


def data(said: Said) -> dict[str, object]:
    assert said.err == ""
    found = json.loads(said.out)
    assert isinstance(found, dict)
    return found


def causes(run: Command, *arguments: str) -> set[str]:
    """Why tasks would be computed now, places left out."""
    return {
        task["why"].split("   ")[0]
        for task in data(run("run", "p.imgql", "-n", "--why", "--json", *arguments))["tasks"]
    }  # type: ignore[attr-defined]


def test_a_second_run_computes_nothing_and_does_the_same(run: Command) -> None:
    first = run("run", "p.imgql")
    saved = Path("bright.nii").read_bytes()
    Path("bright.nii").unlink()
    assert run("run", "p.imgql", "-n").out.endswith("nothing is to be computed: all results are stored\n")
    assert run("run", "p.imgql") == first == Said(0, "voxels=120000\nmax=119999\n", "")
    assert Path("bright.nii").read_bytes() == saved


def test_no_store_leaves_none(run: Command, own_store: Path) -> None:
    assert run("run", "p.imgql", "--no-store").status == 0
    assert not own_store.exists()
    assert run("store", "info").err.startswith(f"error[store]: there is no store in {own_store}\n")


def test_another_store_may_be_named(run: Command, own_store: Path) -> None:
    assert run("run", "p.imgql", "--store", "here").status == 0
    assert (Path("here").is_dir(), own_store.exists()) == (True, False)
    assert Path("here").stat().st_mode & 0o777 == 0o700


def test_a_dry_run_computes_and_writes_nothing(run: Command) -> None:
    said = run("run", "p.imgql", "-n")
    assert said.out.startswith('compute  print "voxels"\ncompute  print "max"\ncompute  save "bright.nii"\n')
    assert not Path("bright.nii").exists()
    assert data(run("store", "info", "--json"))["outcomes"] == 0


def test_why_names_the_one_thing_that_changed(run: Command) -> None:
    assert causes(run) == {NEW}
    run("run", "p.imgql")
    assert causes(run, "--set", "k=70") - {LOST} == {"the parameter `k` is 70, was 60"}
    Path("p.imgql").write_text(PROGRAM.replace("near(", "interior("))
    assert causes(run) - {LOST} == {"`interior`, was `near`"}
    renamed = PROGRAM.replace("let bright", "let b").replace("(bright)", "(b)").replace('" bright', '" b // comment')
    Path("p.imgql").write_text(renamed)
    assert causes(run) <= {LOST, ORIGIN}
    Path("p.imgql").write_text(PROGRAM)
    assert causes(run) == set()
    scan(2)
    assert causes(run) == {"the file has other contents"}
    said = run("run", "p.imgql", "--why")
    assert said.err.splitlines()[1].startswith("because the file has other contents   p.imgql:1:13")
    assert said.out == "voxels=120000\nmax=239998\n"


@pytest.mark.parametrize(
    ("before", "after", "cause"),
    [
        ("volume(smoothen(image >. th, 2))", "volume(smoothen(image >. th, 3))", "3, was 2"),
        ("volume(smoothen(image >. th, 3))", "volume(smoothen(image >. th, 2))", "2, was 3"),
        ("volume(smoothen(image >. th, th))", "volume(smoothen(image >. th, 2))", "2, was 3"),
        ("max(percentiles(image, image >. th, 0))", "max(percentiles(image, image >. th, 0.5))", "0.5, was 0"),
    ],
)
def test_why_knows_a_value_that_stands_elsewhere_too(run: Command, before: str, after: str, cause: str) -> None:
    text = 'load scan = "scan.nii"\nlet th = 3\nlet image = intensity(scan)\nprint "n" th\nprint "m" '
    Path("p.imgql").write_text(f"{text}{before}")
    run("run", "p.imgql")
    Path("p.imgql").write_text(f"{text}{after}")
    assert causes(run) - {LOST} == {cause}
    assert all(
        "p.imgql:5:" in t["why"]
        for t in data(run("run", "p.imgql", "-n", "--why", "--json"))["tasks"]
        if t["why"] != LOST
    )


def test_why_names_a_parameter_whose_value_stands_elsewhere_too(run: Command) -> None:
    """70 is written above, where it did not change; the place is that of the parameter."""
    Path("p.imgql").write_text(
        'load scan = "scan.nii"\nlet i = intensity(scan)\nlet t = 70\nlet k = 60\nprint "o" volume(i <. t)\n'
        'print "n" volume(i >. k)\nprint "text" strings.concat("k", "a")\nprint "l" volume(i >. 20)'
    )
    run("run", "p.imgql")
    for words in (("--set", "k=70"), ("--set", "t=60")):
        said = run("run", "p.imgql", "-n", "--why", *words).out
        name, new, old, place = ("k", 70, 60, "4:9") if words[1] == "k=70" else ("t", 60, 70, "3:9")
        assert f"because the parameter `{name}` is {new}, was {old}   p.imgql:{place}\n" in said
        assert said.count("because") == 1 + ("because nothing changed" in said)
    Path("p.imgql").write_text(Path("p.imgql").read_text().replace("20)", "30)"))
    assert "because 30, was 20   p.imgql:8:23\n" in run("run", "p.imgql", "-n", "--why").out


def test_the_store_says_what_it_has_and_how_it_was_made(run: Command) -> None:
    run("run", "p.imgql")
    info = data(run("store", "info", "--json"))
    assert (info["runs"], info["failures"], info["processes"]) == (1, 0, [])
    results = data(run("store", "list", "--json"))["results"]
    assert isinstance(results, list)
    (volume,) = [each for each in results if each["operator"] == "volume"]
    shown = data(run("store", "show", volume["id"][:10], "--json"))["results"][0]  # type: ignore[index]
    assert (shown["value"], shown["position"], shown["outcome"]) == ("120000", "p.imgql:5:16", "done")
    tree = run("store", "why", volume["id"]).out.splitlines()
    assert [line.split()[1] for line in tree[:2]] == ["volume", "near"]
    assert any("load" in line and str(Path("scan.nii").absolute()) in line for line in tree)
    (origin,) = data(run("store", "why", volume["id"][:10], "--json")).values()
    assert isinstance(origin, list)
    by_id = {each["id"]: each for each in origin}
    assert len(by_id) == len(origin)
    near = by_id[by_id[volume["id"]]["arguments"][0]]
    assert (near["operator"], near["version"]) == ("near", 1)
    assert [each["paths"] for each in origin if "sha256" in each] == [[str(Path("scan.nii").absolute())]]
    assert {argument for each in origin for argument in each.get("arguments", ())} < by_id.keys()
    assert run("store", "list").out.splitlines()[0].split() == ["id", "operator", "size", "seconds", "when", "where"]


def test_ids_that_are_not_there_or_not_clear(run: Command) -> None:
    run("run", "p.imgql")
    assert "is not the beginning of an id" in run("store", "show", "xyz").err
    assert "no id in" in run("store", "show", "0123456789abcdef").err
    assert run("store", "show").err == (
        "error[usage]: `voxlogica store show` needs an id\n  help: for example   voxlogica store show 3fa2\n"
    )


def test_damage_is_found_and_repaired_and_computed_again(run: Command, own_store: Path) -> None:
    first = run("run", "p.imgql")
    assert run("store", "verify").out.endswith("all are whole\n")
    for blob in (own_store / "blobs").rglob("*-*"):
        blob.write_bytes(b"\0" * blob.stat().st_size)
    said = run("store", "verify")
    assert (said.status, "--repair removes what is damaged" in said.out) == (1, True)
    assert run("store", "verify", "--repair").status == 0
    assert run("store", "verify").status == 0
    assert run("run", "p.imgql").out == first.out


def test_pins_outlive_a_collection(run: Command) -> None:
    run("run", "p.imgql")
    results = data(run("store", "list", "--json"))["results"]
    assert isinstance(results, list)
    kept = next(each["id"] for each in results if each["operator"] == "volume")
    assert run("store", "pin", kept[:12]).out == f"{kept[:12]}  by hand\n"
    run("store", "gc", "--max-bytes", "0")
    assert [each["id"] for each in data(run("store", "list", "--json"))["results"]] == [kept]  # type: ignore[attr-defined]
    assert run("store", "unpin", kept).out == "nothing is pinned\n"
    assert run("store", "clear").err.splitlines()[0] == "error[usage]: nothing was removed"
    assert run("store", "clear", "--yes").status == 0
    assert data(run("store", "info", "--json"))["outcomes"] == 0


def test_a_failure_is_remembered_until_it_is_forgotten(run: Command) -> None:
    Path("p.imgql").write_text(PROGRAM + '\nprint "mean" avg(image, image >. 1000000)')
    first = run("run", "p.imgql")
    assert first.status == 1
    assert run("run", "p.imgql") == first
    assert data(run("store", "info", "--json"))["failures"] >= 1  # type: ignore[operator]
    assert run("run", "p.imgql", "--retry-failed") == first
    assert run("store", "cleanup").out.startswith("forgot ")
    assert data(run("store", "info", "--json"))["failures"] == 0


def test_the_commands_of_the_store_have_help(run: Command) -> None:
    said = run("store", "--help")
    assert (said.status, said.err) == (0, "")
    assert all(f"\n  {name} " in said.out for name in ("info", "list", "show", "why", "verify", "gc", "pin"))
    assert run("store", "lst").err == (
        "error[usage]: there is no command `store lst`\n"
        "  help: did you mean `list`? `voxlogica store --help` shows the commands\n"
    )


def pinned(run: Command) -> object:
    return data(run("store", "pin", "--json"))["pins"]


def ids_of(run: Command, operator: str) -> list[str]:
    results = data(run("store", "list", "--json"))["results"]
    assert isinstance(results, list)
    return [each["id"] for each in results if each["operator"] == operator]


def spoil(store: Path, id: str, body: bytes | str) -> None:
    """Overwrites what the catalogue has for an id, as a disk would; from a process of its own."""
    script = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]);"
        "c.execute('update outcomes set body = ? where id = ?', (eval(sys.argv[3]), bytes.fromhex(sys.argv[2])));"
        "c.commit()"
    )
    subprocess.run([sys.executable, "-c", script, str(store / "catalog.db"), id, repr(body)], check=True)


def test_a_number_that_is_damaged_is_shown_as_such(run: Command, own_store: Path) -> None:
    first = run("run", "p.imgql")
    (id,) = ids_of(run, "volume")
    spoil(own_store, id, bytes(8))
    assert run("store", "verify").out.splitlines()[0] == f"{id[:12]}  differs from its digest"
    shown = run("store", "show", id, "--json")
    assert (shown.status, json.loads(shown.out)["results"][0]["outcome"]) == (0, "damaged")
    assert run("run", "p.imgql").out == first.out


def test_a_failure_that_is_damaged_is_found_and_computed_again(run: Command, own_store: Path) -> None:
    Path("p.imgql").write_text(PROGRAM + '\nprint "mean" avg(image, image >. 1000000)')
    first = run("run", "p.imgql")
    (id,) = ids_of(run, "avg")
    whole = data(run("store", "show", id, "--json"))["results"][0]["error"]  # type: ignore[index]
    other = json.dumps({**dict.fromkeys(("kind", "type", "message", "help"), "x"), "task": None, "details": [],
                        "limits": []})  # fmt: skip
    for body in ("{", "[]", '{"kind": "definite"}', b"\0", other):
        spoil(own_store, id, body)
        assert (run("store", "verify").status, run("store", "show", id).status) == (1, 0)
        said = run("run", "p.imgql")
        assert (said.status, said.out) == (first.status, first.out)
        assert said.err.endswith(first.err)
        assert data(run("store", "show", id, "--json"))["results"][0]["error"] == whole  # type: ignore[index]
        assert run("store", "verify").status == 0
    spoil(own_store, id, "{")
    assert run("store", "verify", "--repair").status == 0
    assert ids_of(run, "avg") == []


def test_what_is_shown_as_data_are_numbers_and_whole_ids(run: Command) -> None:
    run("run", "p.imgql")
    (volume,) = ids_of(run, "volume")
    shown = data(run("store", "show", volume, "--json"))["results"][0]  # type: ignore[index]
    assert (shown["bytes"], shown["libraries"]["numpy"]) == (8, np.__version__)
    [near] = shown["arguments"]
    assert data(run("store", "show", near, "--json"))["results"][0]["operator"] == "near"  # type: ignore[index]
    assert isinstance(shown["made"], float)
    text = run("store", "show", volume).out.splitlines()
    assert [line.split(maxsplit=1)[1] for line in text if line.split()[0] in ("bytes", "arguments")] == [
        "8 B", near[:12],
    ]  # fmt: skip


def test_an_empty_store_says_so(run: Command, own_store: Path) -> None:
    run("run", "p.imgql")
    run("store", "clear", "--yes")
    assert run("store", "list") == Said(0, f"nothing is stored in {own_store}\n", "")


def test_one_pin_ends_and_no_other_even_if_the_process_dies(run: Command, own_store: Path) -> None:
    run("run", "p.imgql")
    (volume,), (most,) = ids_of(run, "volume"), ids_of(run, "max")
    run("store", "pin", volume, most)
    steps: list[str] = []
    protocol.observe(steps.append)
    try:
        said = run("store", "unpin", most)
    finally:
        protocol.observe(None)
    assert steps.count("row-committed") == 1, "two transactions would lose the others' pins between them"
    assert said == Said(0, f"{volume[:12]}  by hand\n", "")
    assert run("store", "unpin", most).err == f"note: {most[:12]} was not pinned by hand\n"
    assert pinned(run) == {"by hand": [volume]}
    run("store", "clear", "--yes")
    own = EmbeddedStorage(own_store)
    with own:
        own._write(lambda cursor: cursor.execute("delete from outcomes"))
    assert run("store", "pin").out == f"{volume[:12]}  by hand, not stored now\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["gc", "--max-bytes", "0"],
        ["pin", "ID"],
        ["unpin", "ID"],
        ["cleanup"],
        ["clear", "--yes"],
        ["verify", "--repair"],
    ],
)
def test_a_store_that_cannot_be_changed_says_so(
    run: Command, own_store: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run("run", "p.imgql")
    arguments = [ids_of(run, "volume")[0] if word == "ID" else word for word in arguments]
    access = os.access
    with monkeypatch.context() as patch:  # as for who may not write there; to root nothing is forbidden
        patch.setattr(os, "access", lambda path, mode: Path(path) != own_store and access(path, mode))
        said = run("store", *arguments)
        assert (said.status, said.out) == (1, "")
        assert said.err == (
            f"error[store]: the store {own_store} is read only, so that nothing can be changed\n"
            "  help: `store info`, `list`, `show`, `why` and `verify` only read\n"
        )
        assert run("store", "verify").status == 0
    with monkeypatch.context() as patch:

        def full(*_: object, **__: object) -> NoReturn:
            raise StoreFull("database or disk is full")

        patch.setattr(Catalogue, "write", full)
        patch.setattr(EmbeddedStorage, "verify", full)
        said = run("store", *arguments, "--json")
        assert (said.status, said.err) == (1, "")
        assert json.loads(said.out)["errors"][0]["message"] == (
            f"the store {own_store} could not be changed: database or disk is full"
        )


def test_a_question_that_nobody_answers_is_a_no(run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    run("run", "p.imgql")

    def ended(question: str) -> NoReturn:
        raise EOFError(question)

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", ended)
    assert run("store", "clear").err.splitlines()[0] == "error[usage]: nothing was removed"
    assert ids_of(run, "volume")


def test_a_store_of_somebody_else_says_so(run: Command, own_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("run", "p.imgql")

    def forbidden(path: Path, **_: object) -> NoReturn:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "exists", forbidden)
        said = run("store", "info")
    assert said == Said(1, "", f"error[store]: the store {own_store} cannot be looked at: permission denied\n"
                               "  help: is it yours? another is chosen with --store DIR\n")  # fmt: skip
    with monkeypatch.context() as patch:
        patch.setattr(Blobs, "remove", lambda _, name: forbidden(Path(name)))
        said = run("store", "gc", "--max-bytes", "0", "--json")
    assert (said.status, said.err) == (1, "")
    assert json.loads(said.out)["errors"][0]["message"].endswith(": permission denied")


@pytest.mark.parametrize("arguments", [["gc", "--max-bytes", "0"], ["cleanup"], ["pin", "ID"], ["verify", "--repair"]])
def test_a_store_that_is_removed_while_a_command_changes_it(
    run: Command, own_store: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run("run", "p.imgql")
    (id,) = ids_of(run, "volume")
    spoil(own_store, id, bytes(8))
    opened = EmbeddedStorage.__enter__

    def opened_and_removed(store: EmbeddedStorage) -> EmbeddedStorage:
        own_store.rename(own_store.with_name("elsewhere"))
        return opened(store)

    monkeypatch.setattr(EmbeddedStorage, "__enter__", opened_and_removed)
    said = run("store", *[id if word == "ID" else word for word in arguments])
    assert (said.status, said.out) == (1, "")
    assert f"error[store]: the store {own_store} could not be changed: it was removed meanwhile\n" in said.err
