"""ImgQL in colours: a lexer for Pygments, and so for Sphinx, Jupyter's converters and others.

The tokens are the language's own; what stands between them is blanks and comments. Concatenated they are the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pygments.lexer import Lexer  # type: ignore[import-untyped,unused-ignore]
from pygments.token import (  # type: ignore[import-untyped,unused-ignore]
    Comment,
    Error,
    Keyword,
    Name,
    Number,
    Operator,
    Punctuation,
    String,
    Whitespace,
    _TokenType,
)

from voxlogica.errors import Source
from voxlogica.syntax.lexer import tokenize, words
from voxlogica.syntax.parser import DIALECT

_KINDS = {
    "name": Name, "number": Number, "string": String.Double, "boolean": Keyword.Constant, "variable": Name.Variable,
    "operator": Operator, "=": Operator, "bad": Error,
    **dict.fromkeys("()[],", Punctuation), **{kind: Keyword for word, kind in words(None).items() if kind == word},
}  # fmt: skip
_GAP = re.compile(r"(?P<manual>///[^\n]*)|(?P<comment>//[^\n]*)|(?P<blank>\s+)|(?P<other>.)", re.DOTALL)
_GAPS = {"manual": Comment.Special, "comment": Comment.Single, "blank": Whitespace, "other": Whitespace}


class ImgqlLexer(Lexer):  # type: ignore[misc,unused-ignore]
    """Colours programs of VoxLogicA; found by Pygments as `imgql` and by the ending `.imgql`."""

    name = "ImgQL"
    aliases = ("imgql",)
    filenames = ("*.imgql",)
    mimetypes = ("text/x-imgql",)

    def get_tokens_unprocessed(self, text: str) -> Iterator[tuple[int, _TokenType, str]]:
        """Each token with its place; a name that is being defined is a function's."""
        match = DIALECT.match(text)
        tokens = tokenize(Source("", text), 1 if match and match[1].strip() == "1" else None)
        at, before = 0, ""
        for kind, start, end in zip(tokens.kinds, tokens.starts, tokens.ends, strict=True):
            for gap in _GAP.finditer(text, at, start):
                assert gap.lastgroup is not None
                yield gap.start(), _GAPS[gap.lastgroup], gap[0]
            if end > start:
                defined = kind == "name" and before in ("let", "load")
                yield start, Name.Function if defined else _KINDS[kind], text[start:end]
            at, before = end, kind
