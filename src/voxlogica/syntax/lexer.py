"""Text to tokens: the lexing of both versions with decision C1, by one regular expression, in linear time.

A text that cannot be lexed does not stop here. What stands for a token nevertheless (`1.`, `5mm`, a string without an
end) becomes that token, any other character becomes a token of kind `bad`, and its fault is kept beside it: the parser
decides which faults are told, because one can be the consequence of another.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache

from voxlogica._dataclass import NamedTuple
from voxlogica.errors import Diagnostic, Source, Span
from voxlogica.syntax import messages

COMMANDS = ("let", "load", "save", "print", "import")

# The words that cannot be names, each with the kind of its token.
_LITERALS = {"true": "boolean", "false": "boolean", "inf": "number", "nan": "number"}
_VERSION_1 = {**_LITERALS, **{word: word for word in COMMANDS}}
_VERSION_2 = {**_VERSION_1, **{word: word for word in ("in", "for", "filter", "do", "fold")}}


class Tokens(NamedTuple):
    """All tokens of a text as columns, for a large program has millions; `faults` is what is wrong, by token.

    A kind is `number`, `string`, `boolean`, `name`, `variable`, `operator`, `bad`, or, for words, brackets, `,` and
    `=`, the text itself; the last token is of kind `end`.
    """

    kinds: list[str]
    texts: list[str]
    starts: list[int]
    ends: list[int]
    faults: dict[int, Diagnostic]


def words(dialect: int | None) -> Mapping[str, str]:
    """The words that cannot be names. A text that declares dialect 1 keeps version 1's (C3b)."""
    return _VERSION_1 if dialect == 1 else _VERSION_2


def tokenize(source: Source, dialect: int | None) -> Tokens:
    """All tokens of a text."""
    text, reserved = source.text, words(dialect)
    kinds, texts, starts, ends, faults = tokens = Tokens([], [], [], [], {})
    pattern = (_tokens_1 if dialect == 1 else _tokens_2)(_capitals(text))
    groups = ("", *pattern.groupindex)
    for match in pattern.finditer(text):
        group = match.lastindex
        assert group is not None  # the last alternative takes any character, and one before it the end
        kind, lexeme = groups[group], match[group]
        start, end = match.span(group)
        if kind == "name":
            kind = reserved.get(lexeme, kind)
        elif kind == "number":
            pass
        elif kind == "mark" or lexeme == "=":
            kind = lexeme
        elif kind == "string":
            if escape := _BAD_ESCAPE.match(lexeme):
                faults[len(kinds)] = messages.bad_escape(Span(source, start + escape.start(1), start + escape.end()))
        elif kind in _FAULTY:
            kind, lexeme, end, faults[len(kinds)] = _FAULTY[kind](Span(source, start, end))
        kinds.append(kind)
        texts.append(lexeme)
        starts.append(start)
        ends.append(end)
        if kind == "end":
            break
    return tokens


_Mended = tuple[str, str, int, Diagnostic]  # the kind, text and end of a token that stands for what was written


def _bad(span: Span) -> _Mended:
    return "bad", span.text, span.end, messages.bad_character(span)


def _unclosed(span: Span) -> _Mended:
    text = span.text.rstrip()
    end = span.start + len(text)
    return "string", f'{text}"', end, messages.unclosed_string(span._replace(end=end))


def _malformed(span: Span) -> _Mended:
    digits = match[0] if (match := _NUMBER.match(span.text)) else ""
    return "number", digits or "0", span.end, messages.malformed_number(span, digits)


_FAULTY: Mapping[str, Callable[[Span], _Mended]] = {"bad": _bad, "unclosed": _unclosed, "malformed": _malformed}


def string_value(lexeme: str) -> str:
    """The text that a string token stands for (C2); what has no meaning is kept, its fault has been noted."""
    inner = lexeme[1:-1]
    return _ESCAPE.sub(lambda match: _ESCAPES.get(match[1], match[0]), inner) if "\\" in inner else inner


def is_capital(name: str) -> bool:
    """Whether a name is a word in capitals, which is a prefix operator before an operand and infix between two."""
    return name[0].isupper() and name.isupper()


_ESCAPES = {'"': '"', "\\": "\\", "n": "\n", "t": "\t"}
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_BAD_ESCAPE = re.compile(r'(?:[^\\]++|\\["\\nt])*+(\\.)', re.DOTALL)
_DIGITS = r"[0-9]++(?:\.[0-9]++)?+(?:[eE][+-]?[0-9]++)?+"
_NUMBER = re.compile(_DIGITS)


def _capitals(text: str) -> str:
    """The upper-case letters beyond ASCII that occur in a text: they too are operator characters."""
    return "" if text.isascii() else "".join(sorted(c for c in set(text) if c > "\x7f" and c.isalpha() and c.isupper()))


@lru_cache(maxsize=8)
def _tokens_1(capitals: str) -> re.Pattern[str]:
    """Version 1's tokens: capitals are operator characters, and so is a `_` that begins no name."""
    letter = rf"[^\W\d_A-Z{capitals}]"
    symbol = rf"(?:[A-Z{capitals}$]|{_SYMBOL}|_++(?!{letter}))"
    return _pattern(rf"_*+{letter}\w*+", rf"_*+[^\W_A-Z{capitals}]\w*+", rf"{symbol}++", symbol)


@lru_cache(maxsize=8)
def _tokens_2(capitals: str) -> re.Pattern[str]:
    """Version 2's tokens: any word is a name, one in capitals only where no operator character touches it (C1).

    A `:` that stands alone or before a sign is a slice's, and a `.` between two words a field's or,
    before a call of a word in capitals, a namespace's.
    """
    small = rf"[^\W\d_A-Z{capitals}]"
    word = rf"[A-Z{capitals}][A-Z{capitals}0-9_]*+(?!\w)"
    symbol = rf"(?:{_SYMBOL}|\$(?!{small}))"
    glued = rf"{word}(?={symbol})(?!\._*+{small}|:(?!{symbol})|:[-+][\w(])"
    namespace = rf"(?<=\w)\.(?={word}\()"
    operator = (
        rf"(?:{namespace}|:(?=[-+][\w(]|{word})|(?:{glued}|{symbol})(?:{word}|(?!:(?:[-+][\w(]|{word})){symbol})*+)"
    )
    return _pattern(rf"(?!{glued})[^\W\d]\w*+", r"(?!\d)\w++", operator, symbol)


_SYMBOL = r"[#;:'.|!%&^=*\-+<>?@~\\]|/(?!/)"


def _pattern(name: str, unit: str, operator: str, symbol: str) -> re.Pattern[str]:
    """Blanks and comments, then one token. Every repetition is possessive: nothing is ever tried twice.

    `unit` is what a number may not touch. An operator stops before a comment. A string ends on its line: unlike
    version 1, which lets it run on, so that a forgotten quote is noticed where it was forgotten.
    """
    return re.compile(
        rf"""(?:\s|\ufeff|//[^\n]*+)*+
        (?: (?P<name> {name} )
          | (?P<malformed> {_DIGITS} (?: \.(?!{symbol})[\w.]*+ | {unit} ) | \.[0-9]++ )
          | (?P<number> {_DIGITS} )
          | (?P<operator> {operator} )
          | (?P<variable> \$\w++ )
          | (?P<mark> [()\[\],] )
          | (?P<string> "(?:[^"\\\n]++|\\[^\n])*+" )
          | (?P<unclosed> "[^\n]*+ )
          | (?P<end> \Z )
          | (?P<bad> . ) )""",
        re.VERBOSE | re.DOTALL,
    )
