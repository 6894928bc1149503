"""Operators and libraries: declarations are whole, every example runs, and results change only with the version."""

from __future__ import annotations

import doctest
from collections.abc import Callable
from functools import partial
from itertools import combinations
from pathlib import Path

import pytest
from tests import operators_lock
from tests.language import holds, value

from voxlogica import library
from voxlogica.check.forms import FORMS
from voxlogica.errors import Refusal, Source
from voxlogica.formula import BOOL, BYTES, IMAGE, LABELS, MASK, MODEL, NUMBER, STRING, Type
from voxlogica.operators import DeclarationError, by_symbol, families, operator, operators
from voxlogica.syntax.ast import Import, Let, Load, Print, Program, Save
from voxlogica.syntax.parser import parse
from voxlogica.values import Image, Labels, Mask, Model, Record, Value

VISIBLE = {name: op for name, op in operators().items() if not op.hidden}


def program(name: str, first_line: str = "") -> Program:
    path = library.path(name)
    assert path is not None
    return parse(Source(path.name, first_line + path.read_text("utf-8")))


def definitions(name: str) -> dict[str, Let]:
    return {command.name: command for command in program(name).commands if isinstance(command, Let)}


DEFINED = [(name, symbol) for name in library.names() for symbol in definitions(name)]


def run_examples(name: str, doc: str, library: str = "") -> None:
    """Runs the examples of a text, and wants at least one; a failure shows the example."""
    words = {word.__name__: partial(word, imports=(library,) if library else ()) for word in (holds, value)}
    test = doctest.DocTestParser().get_doctest(doc, words, name, None, None)
    assert test.examples
    report: list[str] = []
    failed, _ = doctest.DocTestRunner(verbose=False).run(test, out=report.append)
    assert not failed, "".join(report)


# Examples


@pytest.mark.parametrize("name", VISIBLE)
def test_example_of_operator(name: str) -> None:
    run_examples(name, VISIBLE[name].doc)


@pytest.mark.parametrize("symbol", FORMS)
def test_example_of_a_word_for_sequences(symbol: str) -> None:
    run_examples(symbol, FORMS[symbol].doc)


@pytest.mark.parametrize("symbol", families())
def test_example_of_family(symbol: str) -> None:
    run_examples(symbol, families()[symbol].doc)


@pytest.mark.parametrize(("name", "symbol"), DEFINED)
def test_example_of_library(name: str, symbol: str) -> None:
    run_examples(symbol, definitions(name)[symbol].doc, name)


@pytest.mark.parametrize(
    "doc",
    [op.doc for op in (*operators().values(), *families().values())] + [definitions(n)[s].doc for n, s in DEFINED],
)
def test_the_first_line_of_a_manual_entry_is_a_sentence(doc: str) -> None:
    assert doc.splitlines()[0].endswith(".")


# Declarations


def near(a: Mask) -> Mask:
    """Declared already.

    >>> holds("near(a)", a="0")
    '0'
    """
    return a


def undocumented(a: Mask) -> Mask:
    return a


def without_example(a: Mask) -> Mask:
    """The mask itself."""
    return a


def of_integers(a: int) -> Mask:
    """An integer is no type of the logic.

    >>> holds("of_integers(1)")
    '0'
    """
    raise NotImplementedError


def without_types(a):  # type: ignore[no-untyped-def]
    """What it returns is not said.

    >>> holds("without_types(a)", a="0")
    '0'
    """
    return a


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (near, "the operator `near` is declared twice"),
        (undocumented, "the operator `undocumented` has no documentation with an example"),
        (without_example, "the operator `without_example` has no documentation with an example"),
        (of_integers, "the operator `of_integers` uses the type 'int', which is not one of the logic's"),
        (without_types, "the operator `without_types` uses the type None, which is not one of the logic's"),
    ],
)
def test_a_declaration_that_is_not_whole(body: Callable[..., Mask], message: str) -> None:
    before = dict(operators())
    with pytest.raises(DeclarationError) as caught:
        operator()(body)
    assert str(caught.value) == message
    assert dict(operators()) == before


def test_a_declaration_of_unknown_cost() -> None:
    with pytest.raises(DeclarationError, match="`without_example` declares the unknown cost 'enormous'"):
        operator(cost="enormous", hidden=True)(without_example)


@pytest.mark.parametrize("symbol", [symbol for symbol, found in by_symbol().items() if len(found) > 1])
def test_operators_that_share_a_symbol_are_told_apart_by_their_types(symbol: str) -> None:
    """Labels are images: as many arguments of types one of which accepts the other would be ambiguous."""
    for one, other in combinations(by_symbol()[symbol], 2):
        pairs = list(zip(one.parameters, other.parameters, strict=False))
        apart = any(not a.accepts(b) and not b.accepts(a) for (_, a), (_, b) in pairs)
        assert apart or len(one.parameters) != len(other.parameters), f"{one} and {other}"


@pytest.mark.parametrize("name", VISIBLE)
def test_bodies_return_what_they_declare(name: str) -> None:
    """On the lock's inputs: an operator's declared type is what the checker relies on."""
    classes = {NUMBER: float, BOOL: bool, STRING: str, MASK: Mask, IMAGE: Image, LABELS: Labels, MODEL: Model}

    def declared(result: Value, kind: Type) -> bool:
        if kind.fields is None:
            return type(result) is classes[kind]
        assert type(result) is Record
        return list(result) == list(kind.fields) and all(map(declared, result.values(), kind.fields.values()))

    results = [result for result in operators_lock.results(VISIBLE[name]) if not isinstance(result, Refusal)]
    assert results
    assert all(declared(result, VISIBLE[name].result) for result in results)


# Versions


@pytest.mark.parametrize("name", [n for n, op in operators().items() if op.result is not BYTES and not op.library])
def test_results_change_with_the_version_only(name: str) -> None:
    old, new = operators_lock.locked().get(name), operators_lock.line(name)
    if old is None or not operators_lock.same_version(old, new):
        pytest.fail(f"`{name}` is new, or its version is: record it with   {operators_lock.COMMAND}")
    assert new == old, (
        f"the results of `{name}` changed under the same version. If that is meant, raise its version and record it "
        f"with   {operators_lock.COMMAND}"
    )


def test_recording(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = operators_lock.current()
    file = tmp_path / "operators.lock"
    monkeypatch.setattr(operators_lock, "FILE", file)

    file.write_text("gone 3 0123456789abcdef\n")
    assert operators_lock.record() == 0  # what is new is written, and what is gone is kept
    assert operators_lock.locked() == {"gone": "3 0123456789abcdef"} | lines

    changed = file.read_text().replace(f"near {lines['near']}", "near 1 0123456789abcdef")
    file.write_text(changed)
    assert operators_lock.record() == 1
    assert file.read_text() == changed
    assert capsys.readouterr().err == "the results of `near` changed under version 1: raise it\n"

    file.write_text(changed.replace("near 1", "near 0"))
    assert operators_lock.record() == 0
    assert operators_lock.locked()["near"] == lines["near"]


# Libraries


def test_the_libraries() -> None:
    assert library.names() == ("RegionCalculus", "arrays", "stdlib", "vox1")
    assert library.path("stdlib") == library.path("stdlib.imgql") == library.DIRECTORY / "stdlib.imgql"
    for name in ("stdlib2", "", "std", "../library/stdlib", "STDLIB", "__init__.py"):
        assert library.path(name) is None


@pytest.mark.parametrize("name", library.names())
def test_a_library_reads_alike_in_every_dialect(name: str) -> None:
    assert program(name, "// dialect: 1\n").commands == program(name).commands


@pytest.mark.parametrize("name", library.names())
def test_a_library_has_no_effects_and_defines_each_name_once_for_the_same_types(name: str) -> None:
    commands = program(name).commands
    assert not [command for command in commands if isinstance(command, (Load, Save, Print, Import))]
    lets = [command for command in commands if isinstance(command, Let)]
    names = [(let.name, *(parameter.name for parameter in let.parameters)) for let in lets]
    assert len(names) == len(set(names))
    shared = {let.name for let in lets} & set(by_symbol())
    assert shared <= {"+", "*", "==", "!=", "<", "<=", ">", ">="}
