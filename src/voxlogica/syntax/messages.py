"""What a person is told about a text that is no program: the sentences, the places, and what to write instead."""

from __future__ import annotations

from collections.abc import Sequence

from voxlogica.errors import Diagnostic, Mark, Span, close_matches

_EXPRESSION = "a number, a name or another expression is expected here"
_STRING = "a text between quotes is expected here"
BINDERS = {
    "let": "let limit = 0.95 in ranks >. limit",
    "for": "for k in range(1, 4) do volume(flair >. k)",
    "filter": "filter k in range(1, 4) do k > 2",
}
"""An example of each form that binds a name, by its word."""

_CALLS = {
    "range": "range(0, 3)",
    "map": "map(max, images)",
    "index": "index(numbers, 0)",
    "slice": "slice(numbers, 0, 3)",
    "subsequence": "subsequence(numbers, 3)",
    "argmax": "argmax(numbers)",
}
"""An example of each word for sequences that is applied to arguments."""

_FOLD = "fold + numbers   or   fold max 0 numbers   or   fold(max, 0, numbers)"


def _error(message: str, span: Span, label: str = "", *marks: Mark, help: str = "") -> Diagnostic:
    return Diagnostic("syntax", message, span, label, marks, help=help)


# Characters and tokens

_DOUBLE = 'strings stand between double quotes:   "…"'
_QUOTES = 'strings stand between straight quotes:   "…"'
_COMPARISON = "it is written   {0}.   or   .{0}   with the dot on the side of the number"
_CHARACTERS = {
    **dict.fromkeys("“”„«»‘’`", _QUOTES),
    "≥": _COMPARISON.format(">="),
    "≤": _COMPARISON.format("<="),
    "≠": "it is written   !(image =. 3)   for images   and   !.(3 .=. 4)   for numbers",
    **dict.fromkeys("−–—", "it is written   -"),
    **dict.fromkeys("×·⋅", "it is written   *"),
    "÷": "it is written   /",
    "∧": "it is written   &",
    "∨": "it is written   |",
    "¬": "it is written   !",
    **dict.fromkeys("{}", "expressions are grouped by round brackets:   (…)"),
}


def bad_character(span: Span) -> Diagnostic:
    """A character that begins no token."""
    visible = span.text.isprintable()
    shown = f"{span.text} (U+{ord(span.text):04X})" if visible else f"U+{ord(span.text):04X}"
    help = _CHARACTERS.get(span.text, "") if visible else "it is invisible: delete it, or write the line anew"
    return _error(f"the character {shown} has no meaning in a program", span, help=help)


def bad_escape(span: Span) -> Diagnostic:
    """A backslash in a string before a character that it does not go with."""
    shown = f"`{span.text}`" if span.text.isprintable() else "a backslash before this character"
    return _error(
        f"{shown} means nothing in a string",
        span,
        help="for a backslash write   \\\\   and in a path a / does as well",
    )


def unclosed_string(span: Span) -> Diagnostic:
    """A string that has no end on its line."""
    help = 'put a " at its end, on this line'
    if span.text.endswith('\\"'):
        help = 'the last \\" is a quote inside the string; for a backslash write   \\\\'
    return _error("this string is never closed", span, 'the closing " is missing', help=help)


def malformed_number(span: Span, digits: str) -> Diagnostic:
    """What begins as the number `digits`, "" when they are missing, and goes on as something else."""
    text, rest = span.text, span.text[len(digits) :]
    if not digits:
        return _error(f"`{text}` is not a number: digits are missing before the point", span, help=f"write   0{text}")
    if rest[0] == "." and not rest[1:2].isdigit():
        point = span._replace(end=span.start + len(digits) + 1)
        return _error(
            f"`{digits}.` is not a number: digits are missing after the point",
            point,
            help=f"write   {digits}.0   or   {digits}",
        )
    help = ""
    if text[:2] in ("0x", "0X") and text[2:].strip("0123456789abcdefABCDEF") == "" != text[2:]:
        help = f"numbers are written in decimal:   {int(text, 16)}"
    elif text.replace("_", "").isdecimal():
        help = f"digits stand together:   {text.replace('_', '')}"
    elif rest.isalpha() and rest != "e":
        help = f"a number carries no unit (distances are in mm):   {digits}"
    return _error(f"`{text}` is neither a number nor a name", span, help=help)


def number_too_large(span: Span) -> Diagnostic:
    """A literal beyond the largest number."""
    return _error("this number is too large: the largest is about 1.8e308", span, help="infinity is written   inf")


# Brackets


def unclosed(opener: Span, mark: Span, what: str) -> Diagnostic:
    """A bracket that is still open where `what` happens, at `mark`."""
    closer = _closer(opener.text)
    label = f'{what} before the "{closer}"'
    return _error(f'this "{opener.text}" is never closed', opener, "opened here", Mark(mark, label, "~"))


def mismatch(opener: Span, closer: Span) -> Diagnostic:
    """A bracket that another kind of bracket closes."""
    return _error(
        f'this "{opener.text}" is closed by a "{closer.text}"',
        closer,
        f'a "{_closer(opener.text)}" is expected here',
        Mark(opener, "opened here"),
    )


def extra_bracket(span: Span) -> Diagnostic:
    """A closing bracket where none is open."""
    opener = "(" if span.text == ")" else "["
    return _error(
        f'there is no "{opener}" for this "{span.text}"', span, help=f'remove it, or open a "{opener}" before'
    )


def _closer(opener: str) -> str:
    return ")" if opener == "(" else "]"


def comma_in_brackets(comma: Span, opener: Span) -> Diagnostic:
    """A comma between grouping brackets."""
    return _error(
        'a "," stands between brackets that belong to no function',
        comma,
        "",
        Mark(opener, "opened here"),
        help="the name of a function is missing before the bracket, or an operator instead of the comma",
    )


def comma_outside(span: Span, fraction: str) -> Diagnostic:
    """A comma outside all brackets; `fraction` is the number that it seems to be part of, "" if there is none."""
    help = "a comma separates the arguments of a function:   name(…, …)"
    if fraction:
        help = f"a number has a point and no comma:   {fraction}"
    return _error('a "," stands outside all brackets', span, help=help)


def empty_call(name: str, brackets: Span) -> Diagnostic:
    """`name()`."""
    help = f"what takes no arguments is written without brackets:   {name}"
    if name in _CALLS:
        help = f"for example   {_CALLS[name]}"
    return _error(f"`{name}` is given no arguments between its brackets", brackets, help=help)


# Expressions

_SIGNS = {"and": "a & b   or   and(a, b)", "or": "a | b   or   or(a, b)", "not": "!a   or   not(a)"}
"""How the words of logic are written, which are operators in other languages and functions here."""


def missing_expression(gap: Span, after: str, command: Span | None) -> Diagnostic:
    """Nothing where an operand is wanted; `command` is the word that begins there instead."""
    marks = [] if command is None else [Mark(command, f"{begins(command)} here instead", "~")]
    help = _DOUBLE if after == "`'`" else ""
    return _error(f"there is no expression after {after}", gap, _EXPRESSION, *marks, help=help)


def single_quotes(sign: Span) -> Diagnostic:
    """A string in single quotes."""
    return _error("`'` is an operator's sign, and begins no string", sign, help=_DOUBLE)


def mapped_operator(operator: Span) -> Diagnostic:
    """`map(!, xs)`."""
    help = f"for an operator write   for x in xs do {operator.text}x"
    return _error("`map` takes the name of a function first", operator, help=help)


def semicolon(sign: Span) -> Diagnostic:
    """A `;` at the end of a command."""
    help = "a command ends where the next one begins, and needs no sign"
    return _error(f"`{sign.text}` does not end a command", sign, "remove it", help=help)


def begins(command: Span) -> str:
    """What the first word of a command begins."""
    return f"a new {'command' if command.text in ('load', 'save', 'print', 'import') else 'definition'} begins"


def missing_operator(gap: Span, value: Span, call: str, before: str) -> Diagnostic:
    """Two operands side by side; `call` is how arguments of the innermost function are written, "" if there is none.

    `before` is the last word of the first one.
    """
    message = 'a "," or an operator is missing' if call else "an operator is missing"
    help = f"arguments are separated by commas:   {call}" if call else "for example   image >. 100   or   mask & mask"
    for word, sign in _SIGNS.items():
        if word in (value.text, before):
            help = f"`{word}` is written   {sign}"
    if before == "if":
        help = "there is no `if`: of two masks   ifB(condition, a, b)   of two number images   ifN(condition, a, b)"
    if value.text in ("mm", "mm2", "mm3", "cm", "ml") and before[-1:].isdigit():
        help = f"numbers bear no unit, lengths are in mm:   {before}"
    label = "another value begins here"
    if gap.start == value.start:
        return _error(message, value, label, help=help)
    return _error(message, gap, "", Mark(value, label, "~"), help=help)


def second_equals(span: Span, called: str = "") -> Diagnostic:
    """`=` as a comparison, or after the name of an argument of what is `called`."""
    help = "to compare, put a dot on each side that is a number:   image =. 3   or   3 .= image   or   3 .=. 4"
    if called:
        shown = f"arguments have no names, only an order, which   voxlogica operators {called}   shows"
        help = f"{shown}\n{help}"
    return _error("`=` stands only between a name and its definition", span, help=help)


def extra_of_prefix(operator: Span) -> Diagnostic:
    """`op[…]` without a left side: most likely a list."""
    text = operator.text
    return _error(
        f"`{text}[…]` stands between two values",
        operator,
        "the first one is missing before it",
        help=f"for a list put a space before it:   {text} […]",
    )


def list_after_operator(gap: Span, value: Span, operator: str) -> Diagnostic:
    """`a op [b] c`: most likely extra arguments."""
    help = f"for the extra arguments of `{operator}` leave out the space:   {operator}[…]"
    return _error("an operator is missing", gap, "", Mark(value, "another value begins here", "~"), help=help)


def only_extra(operator: Span) -> Diagnostic:
    """`a op[b]` with nothing after it: most likely a list."""
    text = operator.text
    return _error(
        f"there is no second value beside `{text}`",
        operator,
        f"`{text}[…]` are its extra arguments",
        help=f"for a list put a space before it:   {text} […]",
    )


# Readings


def two_readings(before: Span, here: Span, by_levels: str, version_1: str) -> Diagnostic:
    """Two operators side by side that version 1 nests in another way than their levels do."""
    if here.text[0] == "#":
        return comment(here._replace(end=here.start + 1))
    return Diagnostic(
        "dialect",
        "brackets are missing: version 1 of the language reads this differently",
        here,
        "",
        (Mark(before, "", "~"),),
        details=(f"by the usual levels   {by_levels}", f"by version 1          {version_1}"),
        help="write the brackets that are meant; for a file of version 1 write as its first line   // dialect: 1",
    )


# Forms that bind a name, sequences and fields


def binder_operand(span: Span) -> Diagnostic:
    """`let`, `for`, `filter` or `fold` beside an operator."""
    return _error(
        f"`{span.text}` stands beside an operator without brackets",
        span,
        help=f"put brackets around the whole of it:   ({span.text} …)",
    )


def incomplete(gap: Span, wanted: str, word: Span) -> Diagnostic:
    """A `let`, `for`, `filter` or `fold(` that lacks its next word or sign."""
    example = BINDERS.get(word.text, _FOLD)
    shown = f'"{wanted}"' if wanted == "," else f"`{wanted}`"
    return _error(
        f"{shown} is missing in this `{word.text}`",
        gap,
        f"{shown} is expected here",
        Mark(word),
        help=f"for example   {example}",
    )


def let_without_in(span: Span) -> Diagnostic:
    """A `let` inside an expression, or in a line with another command, that no `in` follows."""
    return _error(
        "this `let` stands inside an expression, and has no `in`",
        span,
        help=f"for example   {BINDERS['let']}\na definition for the whole program begins a line of its own",
    )


def no_fold_operator(gap: Span) -> Diagnostic:
    """`fold` without an operator."""
    return _error(
        "there is no operator after `fold`", gap, "an operator is expected here", help=f"for example   {_FOLD}"
    )


def fold_arguments(span: Span) -> Diagnostic:
    """`fold(op, a, b, c)`."""
    return _error(
        "`fold` takes an operator, perhaps an initial value, and a sequence", span, help=f"for example   {_FOLD}"
    )


def empty_index(span: Span) -> Diagnostic:
    """`xs[]`."""
    return _error(
        "no index stands between these brackets",
        span,
        help="the first element is   [0]   and the first three are   [:3]",
    )


def comma_in_index(comma: Span, opener: Span) -> Diagnostic:
    """`xs[1, 2]`."""
    return _error(
        'a "," stands in an index',
        comma,
        "",
        Mark(opener, "opened here"),
        help="an index is one number; a list after another value needs an operator or a comma before it",
    )


def method(name: Span) -> Diagnostic:
    """`value.name(…)`."""
    return _error(
        f"`.{name.text}` is a field, and takes no arguments", name, help=f"a function is written   {name.text}(…)"
    )


def variable(span: Span, known: Sequence[str]) -> Diagnostic:
    """A `$name` outside strings that is no program variable."""
    text = span.text
    close = close_matches(text, known, 0.75)
    label = f"did you mean `{close[0]}`?" if close else ""
    help = f'there are   {", ".join(known)}   and, in strings, what --set gives:   "${{{text[1:]}}}"'
    return _error(f"there is no program variable `{text}`", span, label, help=help)


def let_in(span: Span) -> Diagnostic:
    """`let name = … in …` as a command."""
    return _error(
        "`let … in …` is an expression, and no command is before it",
        span,
        help=f'for example   print "voxels" volume({BINDERS["let"]})',
    )


def no_command_but_loop(span: Span) -> Diagnostic:
    """`for`, `filter` and `fold` as a command."""
    return _error(
        f"`{span.text}` is an expression, and no command is before it",
        span,
        help=f"for example   let volumes = {BINDERS.get(span.text, _FOLD.split('   ')[0])}",
    )


# Commands and definitions


def no_command(span: Span, words: tuple[str, ...], defined: str) -> Diagnostic:
    """A text that begins no command, where one is wanted; `defined` is the definition that seems to be meant."""
    help = "a program is made of   let, load, save, print   and   import"
    if defined:
        help = f"write   {defined}"
    if close := close_matches(span.text.lower(), words, 0.7):
        help = f"did you mean   {close[0]}"
    shown = f"`{span.text}`" if len(span.text) <= 40 else "this"
    return _error(f"{shown} begins no command", span, help=help)


def definition_in_line(left: Span) -> Diagnostic:
    """`… name = …` after an expression; `left` is the left side."""
    return _error(
        "a definition without `let` must begin a line",
        left,
        help=f"put it in a line of its own, or write   let {left.text} = …",
    )


def glued_definition(span: Span, command: str = "let") -> Diagnostic:
    """`NAME=`, which is one operator."""
    help = f"put a space before the `=`:   {command} {span.text.rstrip('=')} = …"
    return _error(f"`{span.text}` is one operator here", span, help=help)


def comment(span: Span) -> Diagnostic:
    """The sign that begins a comment in another language."""
    return _error(f"`{span.text}` does not begin a comment", span, help="comments begin with   //")


def no_string(gap: Span, what: str, after: str, example: str, written: str, closed: bool) -> Diagnostic:
    """No string where a command wants one, but something `written`, perhaps with a quote after it (`closed`)."""
    help = f"for example   {example}"
    if written[:1] == "'":
        help = _DOUBLE
    elif written == "(":
        help = f"a command has no brackets:   {example}"
    elif closed:
        help = f'the first quote is missing:   "{written}"'
    return _error(f"there is no {what} after `{after}`", gap, _STRING, help=help)


def no_name(gap: Span, after: str, example: str = "") -> Diagnostic:
    """No name where one is wanted."""
    help = f"for example   {example}" if example else ""
    return _error(f"there is no name after `{after}`", gap, "a name is expected here", help=help)


def reserved(span: Span) -> Diagnostic:
    """A word of the language used as a name."""
    word = span.text
    return _error(
        f"`{word}` is a word of the language and cannot be a name",
        span,
        help=f"choose another name, for example   {word}1",
    )


def word_called(span: Span) -> Diagnostic:
    """A word of the language written as a function, or as a name of a namespace: `default.fold(+, xs)`."""
    word = span.text
    if word == "load":
        help = 'load scan = "scan.nii.gz"   loads one; numbers and texts come by --set NAME=VALUE or --cases TABLE.csv'
        return _error("`load` is a command, which loads an image, and no function", span, help=help)
    help = f"for example   {'fold(+, xs)' if word == 'fold' else BINDERS.get(word, word)}"
    return _error(f"`{word}` is a word of the language, and stands in no namespace", span, help=help)


def load_in_definition(span: Span, file: str) -> Diagnostic:
    """`let scan = load "…"`."""
    help = f"write   load scan = {file}   without `let`, with the name that you choose"
    return _error("`load` is a command, and stands where the line begins", span, help=help)


def not_a_name(span: Span) -> Diagnostic:
    """Anything else where a name is wanted."""
    text = span.text
    small = text.lower() if text.isupper() else text[0].lower() + text[1:]
    return _error(
        f"`{text}` cannot be a name" if len(text) <= 40 else "this cannot be a name",
        span,
        help="names begin with a lower-case letter"
        + (f":   {small}" if small != text and small.isidentifier() else ""),
    )


def operator_as_name(span: Span) -> Diagnostic:
    """A definition of an operator without parameters."""
    help = f"for example   let {span.text}(a, b) = …"
    if span.text.isalpha():
        help = f"a value's name does not consist of capital letters only:   let {span.text.lower()} = …"
    return _error(f"`{span.text}` is the name of an operator, and an operator needs parameters", span, help=help)


def no_parameters(name: str, brackets: Span) -> Diagnostic:
    """`let name() = …`."""
    return _error(
        f"`{name}` is defined with brackets but without parameters",
        brackets,
        help=f"without parameters write   let {name} = …",
    )


def parameter_twice(function: str, first: Span, second: Span) -> Diagnostic:
    """Two parameters with one name."""
    return _error(
        f"`{function}` has two parameters called `{second.text}`",
        second,
        "",
        Mark(first, "the first one"),
        help="give one of them another name",
    )


def not_a_parameter(span: Span) -> Diagnostic:
    """Something else than a "," or the closing bracket after a parameter."""
    return _error(
        'the parameters of a definition are names separated by ","', span, help="for example   let f(a, b) = …"
    )


def missing_comma(gap: Span) -> Diagnostic:
    """Two parameters side by side."""
    return _error('a "," is missing between two parameters', gap, '"," is expected here')


def missing_equals(gap: Span, command: str, left: str, perhaps: str) -> Diagnostic:
    """A definition or a `load` whose left side no `=` follows; `perhaps` is what was meant with what does."""
    what, right = (f"in the definition of `{left}`", "0.95")
    if command == "load":
        what, right = (f"after `load {left}`", '"brain.nii.gz"')
    help = perhaps or f"for example   {command} {left} = {right}"
    return _error(f"an `=` is missing {what}", gap, "`=` is expected here", help=help)


def glued_equals(span: Span) -> Diagnostic:
    """`=-` and its like where `=` is wanted."""
    rest = span.text[1:]
    help = "a definition has a single   =" if rest[0] == "=" else f"put a space after the `=`:   = {rest}"
    return _error(f"`{span.text}` is one operator here, and not an `=`", span, help=help)


def dialect(span: Span) -> Diagnostic:
    """`// dialect:` with something else than 1 or 2."""
    return _error("there are the dialects 1 and 2", span, help="write   // dialect: 1   or   // dialect: 2")
