"""ImgQL in colours: the tokens are the text, whatever it is, and every program of the documents is without an error."""

# Pygments has no types.
# mypy: disable-error-code="import-untyped"
from __future__ import annotations

import tomllib
from pathlib import Path
from pkgutil import resolve_name

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.token import Comment, Error, Keyword, Name, Number, Operator, Punctuation, String, Whitespace
from tests import pages

from voxlogica import library
from voxlogica.syntax.highlighting import ImgqlLexer

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = [
    pytest.param(block.body, id=f"{page.relative_to(pages.DOCS)}-{number}")
    for page in sorted(pages.DOCS.rglob("*.md"))
    for number, block in enumerate(pages.blocks(page))
    if block.kind == "imgql"
]
FILES = [*library.DIRECTORY.glob("*.imgql"), *ROOT.glob("demo/**/*.imgql"), *ROOT.glob("tests/wrong/*.imgql")]


def tokens(text: str) -> list[tuple[int, object, str]]:
    return list(ImgqlLexer().get_tokens_unprocessed(text))


def whole(text: str) -> bool:
    """Whether the tokens are the text, each where it says."""
    found = tokens(text)
    return "".join(value for _, _, value in found) == text and all(text.startswith(value, at) for at, _, value in found)


@pytest.mark.parametrize("text", PROGRAMS)
def test_a_program_of_the_documents(text: str) -> None:
    assert whole(text)
    assert not [value for _, kind, value in tokens(text) if kind is Error]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_program_in_a_file(path: Path) -> None:
    assert whole(path.read_text("utf-8", errors="replace"))


@given(st.text(alphabet=st.one_of(st.sampled_from('abXY_$"\\/.:= \n\r\t(),123é€\ufeff'), st.characters()), max_size=60))
def test_any_text(text: str) -> None:
    assert whole(text)


def test_what_is_what() -> None:
    text = '/// What.\nlet hi(x) = x >. 0.5 // why\nload f = "$N.nii"\nprint "v" if_(true, f, €)'
    assert [(kind, value) for _, kind, value in tokens(text) if kind is not Whitespace] == [
        (Comment.Special, "/// What."),
        (Keyword, "let"), (Name.Function, "hi"), (Punctuation, "("), (Name, "x"), (Punctuation, ")"), (Operator, "="),
        (Name, "x"), (Operator, ">."), (Number, "0.5"), (Comment.Single, "// why"),
        (Keyword, "load"), (Name.Function, "f"), (Operator, "="), (String.Double, '"$N.nii"'),
        (Keyword, "print"), (String.Double, '"v"'), (Name, "if_"), (Punctuation, "("), (Keyword.Constant, "true"),
        (Punctuation, ","), (Name, "f"), (Punctuation, ","), (Error, "€"), (Punctuation, ")"),
    ]  # fmt: skip


def test_a_text_of_dialect_1_has_its_tokens() -> None:
    assert (Operator, "AB") in [token[1:] for token in tokens('// dialect: 1\nprint "v" AB(1)')]
    assert (Name, "AB") in [token[1:] for token in tokens('print "v" AB(1)')]
    assert (Name, "AB") in [token[1:] for token in tokens('// dialect: what?\nprint "v" AB(1)')]


def test_pygments_finds_it_by_the_entry_point() -> None:
    entries = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["pygments.lexers"]
    assert {name: resolve_name(place) for name, place in entries.items()} == {"imgql": ImgqlLexer}
    assert (ImgqlLexer.name, ImgqlLexer.aliases, ImgqlLexer.filenames) == ("ImgQL", ("imgql",), ("*.imgql",))
    assert '<span class="kd">' not in highlight("let a = 1", ImgqlLexer(), HtmlFormatter())
    assert '<span class="k">let</span>' in highlight("let a = 1", ImgqlLexer(), HtmlFormatter())
