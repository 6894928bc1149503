"""Records: values with names, from the operator that makes them to what people see (C20)."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import pytest
from tests.language import value
from tests.test_check import checked

import voxlogica as vx
from voxlogica.cli import main
from voxlogica.errors import ProgramError
from voxlogica.formula import BOOL, IMAGE, LABELS, NUMBER, STRING, record, sequence
from voxlogica.operators import DeclarationError, operator
from voxlogica.values import Image, Record, columns, plain, shown

PROGRAM = """\
load scan = "{case}.nii.gz"
let image = intensity(scan)
let m = confusion_matrix(image > 1, image > 2)
print "m" m
print "dice" m.dice
print "each" for k in [1, 2] do confusion_matrix(image > k, image > 2)
"""


@pytest.fixture
def scans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, voxels in {"ann": [1, 2, 3, 4], "bob": [3, 3, 0, 2]}.items():
        nibabel.save(nibabel.Nifti1Image(np.array(voxels, np.int16).reshape(4, 1, 1), np.eye(4)), f"{name}.nii.gz")
    for name, case in {"one": "ann", "all": "$CASE"}.items():
        Path(f"{name}.imgql").write_text(PROGRAM.replace("{case}", case))


def test_a_record_is_an_immutable_mapping_with_attributes() -> None:
    r = Record({"tp": 3.0, "name": "x", "items": True})
    assert (r.tp, r["name"], r["items"]) == (3.0, "x", True)
    assert dict(r) == {"tp": 3.0, "name": "x", "items": True}
    assert r == Record({"tp": 3.0, "name": "x", "items": True}) != Record({"tp": 4.0})
    assert repr(r) == "Record(tp=3.0, name='x', items=True)"
    assert "tp" in dir(r)
    assert copy.deepcopy(r) == r
    with pytest.raises(AttributeError, match="a record does not change"):
        r.tp = 4.0
    with pytest.raises(AttributeError, match="there is no field 'fp'; there are tp, name, items"):
        _ = r.fp
    with pytest.raises(KeyError):
        _ = r["fp"]


def test_how_records_are_shown() -> None:
    r = Record({"tp": 3.0, "name": 'a "b"', "inner": (Record({"x": float("inf")}), Record({"x": 0.5}))})
    assert shown(r) == '{tp: 3, name: "a \\"b\\"", inner: [{x: inf}, {x: 0.5}]}'
    assert plain(r) == {"tp": 3, "name": 'a "b"', "inner": [{"x": "inf"}, {"x": 0.5}]}


def test_records_as_columns() -> None:
    r = Record({"tp": 3.0, "inner": Record({"x": 1.0, "y": (2.0,)})})
    assert columns("m", r) == {"m.tp": 3.0, "m.inner.x": 1.0, "m.inner.y": (2.0,)}
    assert columns("m", (r, r)) == {"m.tp": (3.0, 3.0), "m.inner.x": (1.0, 1.0), "m.inner.y": ((2.0,), (2.0,))}
    assert columns("m", ((r,), ())) == {"m.tp": ((3.0,), ()), "m.inner.x": ((1.0,), ()), "m.inner.y": (((2.0,),), ())}
    assert columns("m", (1.0, 2.0)) == {"m": (1.0, 2.0)}


def test_types_of_records() -> None:
    kind = record(("a", NUMBER), ("b", IMAGE))
    assert kind is record(("a", NUMBER), ("b", IMAGE))
    assert kind.spatial
    assert kind.accepts(record(("a", NUMBER), ("b", LABELS)))
    assert sequence(kind).accepts(sequence(record(("a", NUMBER), ("b", LABELS))))
    for other in (
        record(("b", IMAGE), ("a", NUMBER)),
        record(("a", NUMBER)),
        record(("a", STRING), ("b", IMAGE)),
        NUMBER,
    ):
        assert not kind.accepts(other)
    assert str(record(("a", NUMBER), ("b", BOOL), ("c", BOOL), ("d", BOOL))) == "record of a, b, c, …"
    assert sequence(sequence(kind)).plural == "sequences of sequences of records of a, b"


def test_what_a_declaration_may_return() -> None:
    @dataclass(frozen=True)
    class Wrong:
        a: int

    def of_integers(a: Image) -> Wrong:
        """No.

        >>> value("of_integers(a)", a=[1])
        1
        """
        raise NotImplementedError

    of_integers.__globals__["Wrong"] = Wrong
    with pytest.raises(DeclarationError, match="uses the type 'int'"):
        operator()(of_integers)
    del of_integers.__globals__["Wrong"]


@pytest.mark.parametrize(
    ("expression", "message", "label", "help"),
    [
        ("m.dise", "this record has no field `dise`", "did you mean `dice`?", "it has tp, fp, fn, tn, accuracy, "),
        ("[m].dice", "a sequence of records of tp, fp, fn, … has no fields, and so no `.dice`", "",
         "the field of each:   for r in … do r.dice"),
        ("ms.tp", "a sequence of records of tp, fp, fn, … has no fields, and so no `.tp`", "",
         "the field of each:   for r in ms do r.tp"),
        ("m + 1", "`+` does not go with a record of tp, fp, fn, … and a number", "", ""),
        ("[m, 1]", "the elements of a list are of one type, and this one is a number", "", ""),
    ],
)  # fmt: skip
def test_mistakes_with_records(expression: str, message: str, label: str, help: str) -> None:
    text = 'load s = "s.nii"\nlet a = intensity(s) > 1\nlet m = confusion_matrix(a, a)\nlet ms = [m, m]\n'
    with pytest.raises(ProgramError) as caught:
        checked(f'{text}print "v" {expression}')
    (said,) = caught.value.diagnostics
    assert (said.message, said.label) == (message, label)
    assert said.help.startswith(help.replace("…", "[m]"))


def test_a_record_is_not_saved() -> None:
    text = 'load s = "s.nii"\nlet a = intensity(s) > 1\nsave "m.nii" confusion_matrix(a, a)'
    with pytest.raises(ProgramError, match=r"is given a record of tp, fp, fn, …"):
        checked(text)


def test_the_type_of_a_field_is_that_of_the_field() -> None:
    with pytest.raises(ProgramError, match="takes a mask, and is given a number"):
        value("volume(confusion_matrix(a, a).tp)", a="01")


@pytest.mark.usefixtures("scans")
def test_printed(capsys: pytest.CaptureFixture[str]) -> None:
    again = []
    for _ in range(2):  # computed, then found in the store
        assert main(["run", "one.imgql", "--store", "store"]) == 0
        again.append(capsys.readouterr().out.splitlines())
    assert again[0] == again[1]
    m, dice, each = again[0]
    rest = "accuracy: 0.75, precision: 0.6666666666666666, recall: 1, specificity: 0.5, dice: 0.8, "
    assert m == "m={tp: 2, fp: 1, fn: 0, tn: 1, " + rest + "jaccard: 0.6666666666666666}"
    assert dice == "dice=0.8"
    assert each.startswith("each=[{tp: 2, fp: 1")
    assert main(["run", "one.imgql", "--json", "--store", "store"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["print"][0]["value"]["fp"] == 1
    assert [r["tp"] for r in said["print"][2]["value"]] == [2, 2]


@pytest.mark.usefixtures("scans")
def test_in_python() -> None:
    run = vx.load("one.imgql").run()
    assert run["m"].dice == run["m"]["dice"] == run["dice"] == 0.8
    assert dict(run["m"])["tp"] == 2
    assert [r.tp for r in run["each"]] == [2, 2]


@pytest.mark.usefixtures("scans")
def test_a_column_for_each_field() -> None:
    with vx.Session(store="store") as session:
        study = session.load("all.imgql").map(vx.cases("{CASE}.nii.gz"))
        table = study.table()
        names = list(confusion())
        assert table.columns == (
            "case", *(f"m.{name}" for name in names), "dice", *(f"each.{name}" for name in names), "error",
        )  # fmt: skip
        assert table.column("m.tp") == [2, 2]
        assert table.column("m.dice") == table.column("dice")
        assert [row["each.fp"] for row in table] == [(1, 0), (1, 0)]
        from voxlogica.session.history import recorded

        assert [dict(row.values) for row in recorded(session, f"r{study.number}").table] == [
            dict(row.values) for row in table
        ]
        session.load("one.imgql").run()
        assert recorded(session, f"r{(study.number or 0) + 1}").table.rows[0]["m.dice"] == 0.8


def confusion() -> Record:
    found = value("confusion_matrix(a, a)", a="01")
    assert isinstance(found, Record)
    return found
