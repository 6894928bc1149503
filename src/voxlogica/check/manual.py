"""The manual: every operator and every definition of the bundled libraries, with its signature and its entry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache

from voxlogica import library
from voxlogica._dataclass import dataclass, field
from voxlogica.check.checker import Checker
from voxlogica.check.forms import FORMS
from voxlogica.check.imports import File, members
from voxlogica.check.names import Function, Meaning, Overloaded, Value
from voxlogica.errors import Source, Span
from voxlogica.formula import Operator, Type, signature
from voxlogica.operators import FRAGMENTS, families, operators, own
from voxlogica.syntax.ast import Import, Let, Program, String


@dataclass(frozen=True)
class Entry:
    """A word of the language: how it is used, its manual entry, where it is from, and the text that defines it."""

    name: str
    signature: str
    doc: str
    section: str
    definition: str = ""
    version: int = 0
    cost: str = ""
    fields: Mapping[str, Type] = field(default_factory=dict)
    """Of the record that it makes."""

    @property
    def summary(self) -> str:
        """The first sentence."""
        return self.doc.split("\n\n")[0].replace("\n", " ").strip()


def entries() -> tuple[Entry, ...]:
    """All of them: the primitives by fragment, the words for sequences, each library in the order of its text, and
    what users have declared by module."""
    forms = [Entry(form.symbol, form.signature, form.doc, "sequences") for form in FORMS.values()]
    primitives = sorted(
        [*_primitives(operators().values()), *_families()], key=lambda entry: FRAGMENTS.index(entry.section)
    )
    declared = sorted(own().values(), key=lambda op: op.body.__module__)
    return (*primitives, *forms, *_derived(), *_primitives(declared))


def _primitives(found: Iterable[Operator]) -> list[Entry]:
    return [
        Entry(
            symbol, signature(symbol, op.parameters, op.result), op.doc, op.body.__module__.rsplit(".", 1)[-1],
            version=op.version, cost=op.cost, fields=op.result.fields or {},
        )
        for op in found
        if not op.hidden
        for symbol in (op.symbol, *op.also)
    ]  # fmt: skip


def foreign() -> tuple[Entry, ...]:
    """The functions of SimpleITK that programs can use, with what SimpleITK says of them; `entries` leaves them out."""
    from voxlogica.operators import simpleitk  # long to read

    return tuple(
        [
            Entry(
                way.symbol, way.signature, f"{simpleitk.told(name)}\n\n{way.doc}".lstrip(), "simpleitk", version=1,
                cost="window",
            )
            for name in members("simpleitk")
            if (first := simpleitk.family(f"simpleitk.{name}")) is not None
            for way in (first, *first.others)
        ]
    )  # fmt: skip


def _families() -> list[Entry]:
    return [
        Entry(each.symbol, each.signature, each.doc, each.make.__module__.rsplit(".", 1)[-1], version=each.version)
        for each in families().values()
    ]


@cache
def _derived() -> tuple[Entry, ...]:
    found = []
    nowhere = Span(Source("libraries", ""), 0, 0)
    program = Program(tuple(Import(String(name, nowhere), nowhere) for name in library.names()))
    checker = Checker(File(None, "libraries", program), ())
    checker.check()
    for owner, (_, command) in enumerate(checker.commands):
        if isinstance(command, Import):
            continue
        assert isinstance(command, Let)
        meaning: Meaning | None = checker.scope.find(command.name, checker.scope.now)
        if isinstance(meaning, Overloaded):
            meaning = next(each for each in meaning.alternatives if isinstance(each, Function) and each.owner == owner)
        if isinstance(meaning, Function):
            checker.general(meaning)
            shown = meaning.signature
        else:
            assert isinstance(meaning, Value)
            shown = signature(command.name, (), meaning.kind)
        source = command.span.source.name
        found.append(Entry(command.name, shown, command.doc, source.removesuffix(".imgql"), command.span.text))
    return tuple(found)
