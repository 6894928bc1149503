"""`fmt`: the brackets it writes make a text mean in every dialect what it meant in one, and nothing else changes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.test_syntax import expression, flat

from voxlogica.errors import ProgramError, Source
from voxlogica.syntax.formatting import bracketed


def formatted(text: str, dialect: int | None = None) -> str:
    return bracketed(Source("t.imgql", text), dialect)


@pytest.mark.parametrize(
    ("text", "dialect", "made"),
    [
        ("let a = b - c - d", 1, "let a = b - (c - d)"),
        ("let a = b - c - d", 2, "let a = (b - c) - d"),
        ("let a = 2 + 3 * 4", None, "let a = 2 + (3 * 4)"),
        ("let a = 2 + 3 * 4", 2, "let a = (2 + 3) * 4"),
        ("let a = !b & c", 1, "let a = !(b & c)"),
        ("let a = !b & c", 2, "let a = (!b) & c"),
        ("let a = N(b) & c", 1, "let a = N((b) & c)"),
        ("let a = b & c & d | e", 2, "let a = (b & c & d) | e"),
        ("let a = b & c & d", 1, "let a = b & c & d"),
        ("let a = f(b - c - d)[e - f - g]", 2, "let a = f((b - c) - d)[(e - f) - g]"),
        ("let a = b & !c", None, "let a = b & !c"),
        (
            "let a =  // why\n  b - // first\n  c - d /// end\n",
            2,
            "let a =  // why\n  (b - // first\n  c) - d /// end\n",
        ),
        ("// dialect: 1\nlet a = b \\ c \\ d", None, "// dialect: 1\nlet a = b \\ (c \\ d)"),
    ],
)
def test_brackets_where_dialects_differ(text: str, dialect: int | None, made: str) -> None:
    assert formatted(text, dialect) == made
    assert formatted(made) == made


def test_a_text_of_two_readings_needs_a_dialect() -> None:
    with pytest.raises(ProgramError, match="brackets are missing"):
        formatted("let a = !b & c")


OPERANDS = st.sampled_from(["a", "b", "(c - d)", "f(a, b)", "2", "xs[a + b * c]", "[a, b - c]"])
SYMBOLS = st.sampled_from(["&", "|", "+", "-", "*", "/", "\\", ".+.", ".*.", ">", "&&", "~[1]"])
SIGNS = st.sampled_from(["", "", "", "! ", "N ", "! N "])


@st.composite
def chains(draw: st.DrawFn) -> str:
    pieces = [draw(SIGNS) + draw(OPERANDS)]
    for _ in range(draw(st.integers(0, 5))):
        pieces += [draw(SYMBOLS), draw(SIGNS) + draw(OPERANDS)]
    return " ".join(pieces)


@given(chains(), st.sampled_from([None, 1, 2]))
def test_what_is_formatted_means_the_same_in_every_dialect(text: str, dialect: int | None) -> None:
    try:
        meant = flat(expression(text, dialect))
    except ProgramError:
        assert dialect is None
        return
    made = formatted(f"let a = {text}", dialect).removeprefix("let a = ")
    assert [flat(expression(made, each)) for each in (None, 1, 2)] == [meant] * 3
    assert made.replace("(", "").replace(")", "") == text.replace("(", "").replace(")", "")
