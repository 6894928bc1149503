"""The store from the command line: what a second run costs, why something runs again, and the commands of the store."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from tests.command import Command, Said, commands

from voxlogica.session.why import LOST, NEW, ORIGIN

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
