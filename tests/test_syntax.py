"""Every text is a program or a list of errors, and every program has a text.

What is laid down here: the tokens with C1 and C2, where commands end (C3), the three readings of an expression and when
they agree (C3b), the places of things, the errors of `tests/wrong/syntax-*`, that printing loses nothing and writes no
bracket too many, and that neither depth nor length is limited.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from math import inf, isnan, nan
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import Phase, example, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from voxlogica.errors import ProgramError, Source, Span, as_data, render
from voxlogica.syntax import parse, print_program, show
from voxlogica.syntax.ast import (
    Binder,
    Boolean,
    Call,
    Command,
    Expression,
    Field,
    Fold,
    Import,
    Index,
    Let,
    List,
    Load,
    Name,
    Number,
    Parameter,
    Print,
    Program,
    Save,
    Slice,
    String,
    parts,
)
from voxlogica.syntax.expressions import VARIABLES
from voxlogica.syntax.lexer import tokenize, words

ROOT = Path(__file__).resolve().parent.parent
WRONG = ROOT / "tests" / "wrong"
DEEP = 100_000
NOWHERE = Span(Source("", ""), 0, 0)


def program(text: str, dialect: int | None = None) -> Program:
    return parse(Source("t.imgql", text), dialect)


def expression(text: str, dialect: int | None = None) -> Expression:
    (command,) = program(f"let it = {text}", dialect).commands
    assert isinstance(command, Let)
    return command.body


def full(tree: Expression) -> str:
    """A tree with all brackets; calls with `:` before their arguments."""
    match tree:
        case List(items):
            return f"[{', '.join(map(full, items))}]"
        case Index(sequence, index):
            return f"{full(sequence)}[{full(index)}]"
        case Slice(sequence, start, stop):
            return f"{full(sequence)}[{full(start) if start else ''}:{full(stop) if stop else ''}]"
        case Field(record, name):
            return f"{full(record)}.{name}"
        case Binder(word, name, value, body):
            return f"({word} {name.name} {full(value)} {full(body)})"
        case Fold(operator, arguments):
            return f"(fold {operator} {' '.join(map(full, arguments))})"
    if not isinstance(tree, Call):
        return show(tree)
    arguments = [full(argument) for argument in tree.arguments]
    if tree.form == "call":
        return f"{tree.name}:({', '.join(arguments)})"
    if tree.form == "prefix":
        return f"({tree.name} {arguments[0]})"
    left, right, *extra = arguments
    return f"({left} {tree.name}{extra or ''} {right})"


def wrong(text: str, dialect: int | None = None, code: str = "syntax") -> list[str]:
    """What is wrong with a text: places and messages, in the order told."""
    with pytest.raises(ProgramError) as raised:
        program(text, dialect)
    assert all(problem.code == code for problem in raised.value.diagnostics)
    return [f"{str(problem.span)[8:]} {problem.message}" for problem in raised.value.diagnostics]


# The corpus


WRONG_TEXTS = sorted([*WRONG.glob("syntax-*.imgql"), *WRONG.glob("dialect-*.imgql")])


@pytest.mark.parametrize("path", WRONG_TEXTS, ids=lambda path: path.stem)
def test_every_wrong_program_is_told_what_is_wrong(path: Path) -> None:
    _command, _status, told = path.with_suffix(".expected").read_text("utf-8").split("\n", 2)
    with pytest.raises(ProgramError) as raised:
        parse(Source(path.name, path.read_text("utf-8")))
    assert "\n\n".join(render(problem) for problem in raised.value.diagnostics) == told.rstrip("\n")


def test_an_imported_file_is_told_what_is_wrong() -> None:
    told = (WRONG / "import-syntax.expected").read_text("utf-8").split("\n", 2)[2]
    with pytest.raises(ProgramError) as raised:
        parse(Source("lib.imgql", (WRONG / "import-syntax" / "lib.imgql").read_text("utf-8")))
    assert "\n\n".join(render(problem) for problem in raised.value.diagnostics) == told.rstrip("\n")


@pytest.mark.parametrize(
    "path",
    sorted(
        path for path in WRONG.rglob("*.imgql") if not path.stem.startswith(("syntax-", "dialect-", "usage-", "lib"))
    ),
    ids=lambda path: path.stem,
)
def test_the_other_wrong_programs_are_programs(path: Path) -> None:
    source = Source(path.name, path.read_text("utf-8"))
    assert program(print_program(parse(source))) == parse(source)


@pytest.mark.parametrize(
    "path", sorted([*(ROOT / "demo").glob("*.imgql"), *ROOT.glob("src/voxlogica/library/*.imgql")])
)
def test_our_own_programs_survive_printing(path: Path) -> None:
    parsed = parse(Source(path.name, path.read_text("utf-8")))
    assert program(print_program(parsed)) == parsed
    assert docs(program(print_program(parsed))) == docs(parsed)


def docs(whole: Program) -> list[str]:
    return [command.doc for command in whole.commands if isinstance(command, Let)]


# Tokens


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("1.<=x", "1 .<= x"),
        ("1.+.2", "1 .+. 2"),
        ("1 .+. 2", "1 .+. 2"),
        ("1.5.+.2e-3", "1.5 .+. 2e-3"),
        ("a_b _c __d a_ e1", "a_b _c __d a_ e1"),
        ("a+_b", "a + _b"),
        ("a _ b _+ _N", "a _ b _ + _N"),
        ("!N a", "!N a"),
        ("! N a", "! N a"),
        ("B+a\\b", "B+ a \\ b"),
        ("é Éé +Éé +É! ßa ß", "é Éé + Éé +É! ßa ß"),
        ("ReadImage(Lcc) FLAIR T1 a&Flair", "ReadImage ( Lcc ) FLAIR T1 a & Flair"),
        ("N!a A+B >N x", "N! a A+B >N x"),
        ("x[N:M] x[:-1] x[a:-b] x[1:2]", "x [ N : M ] x [ : - 1 ] x [ a : - b ] x [ 1 : 2 ]"),
        ("r.mean.+.R R.a 1.+.r.b", "r . mean .+.R R . a 1 .+. r . b"),
        ("$dir $stem+$x $N", "$dir $stem + $x $N"),
        ("trueish infinite nano lets printer", "trueish infinite nano lets printer"),
        ("a/b //c\n/d", "a / b / d"),
        ("a+//c\nb", "a + b"),
        ("a+/// c", "a +"),
        ('"a//b"c', '"a//b" c'),
        ("\ufeffa\u00a0b\r\nc", "a b c"),
        ("#;:'.|!$%&^=*-+<>?@~\\", "#;:'.|!$%&^=*-+<>?@~\\"),
        ("f(a,[b])", "f ( a , [ b ] )"),
        ("x=5", "x = 5"),
        ("x=-5", "x =- 5"),
    ],
)
def test_tokens(text: str, tokens: str) -> None:
    lexed = tokenize(Source("", text), None)
    assert lexed.faults == {}
    assert lexed.texts == [*tokens.split(" "), ""]
    assert [text[start:end] for start, end in zip(lexed.starts, lexed.ends, strict=True)] == lexed.texts


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("1e5N a", "1e5 N a"),
        ("a _ b _+ _N", "a _ b _+ _N"),
        ("é Éé +Éé", "é É é +É é"),
        ("Flair", "F lair"),
        ("x[:-1] $dir", "x [ :- 1 ] $ dir"),
    ],
)
def test_tokens_of_version_1(text: str, tokens: str) -> None:
    assert tokenize(Source("", text), 1).texts == [*tokens.split(" "), ""]


def test_kinds_of_tokens() -> None:
    text = 'let f(a) = true inf nan 1 "s" + max $x in for'
    kinds = "let name ( name ) = boolean number number number string operator name variable"
    assert tokenize(Source("", text), None).kinds == [*kinds.split(" "), "in", "for", "end"]
    kinds = kinds.replace("variable", "operator name")
    assert tokenize(Source("", text), 1).kinds == [*kinds.split(" "), "name", "name", "end"]


@pytest.mark.parametrize(
    ("text", "value", "integer"),
    [
        ("3", 3.0, True),
        ("-3", -3.0, True),
        ("+3", 3.0, True),
        ("3.0", 3.0, False),
        ("-3e2", -300.0, False),
        ("1E-2", 0.01, False),
        ("inf", inf, False),
        ("-inf", -inf, False),
        ("007", 7.0, True),
    ],
)
def test_numbers(text: str, value: float, integer: bool) -> None:
    assert expression(text) == Number(value, integer, NOWHERE)


def test_nan_is_equal_to_itself_in_a_tree() -> None:
    assert expression("f(nan)") == expression("f(-nan)")


def test_escapes_are_decoded_and_settings_are_not_replaced() -> None:
    assert expression(r'"\"a\\n\n\t$A ${b} $$ //é"') == String('"a\\n\n\t$A ${b} $$ //é', NOWHERE)


# Readings


VERSION_1 = [
    ("a - b - c", "(a - (b - c))"),
    ("a * b + c", "(a * (b + c))"),
    ("!a & b", "(! (a & b))"),
    ("N a & b", "(N (a & b))"),
    ("a & !b | c", "(a & (! (b | c)))"),
    ("(a - b) - c", "((a - b) - c)"),
    ("(!a) & b", "((! a) & b)"),
    ("! ! a", "(! (! a))"),
    ("a & N !. b", "(a & (N (!. b)))"),
    ("a -1", "(a - 1)"),
    ("a - -1", "(a - -1)"),
    ("a-1", "(a - 1)"),
    ("- 1", "(- 1)"),
    ("-1 - -x", "(-1 - (- x))"),
    ("--1", "(-- 1)"),
    ("f(-1, - 1, -a)", "f:(-1, (- 1), (- a))"),
    ("f (x)", "f:(x)"),
    ("((a))", "a"),
    ("f((a & b), !c | d)", "f:((a & b), (! (c | d)))"),
    ("a ~[5, b - c] d ~[1] e", "(a ~['5', '(b - c)'] (d ~['1'] e))"),
    ("a & b ~[1] c", "(a & (b ~['1'] c))"),
    ("max(a) .+. min(b)", "(max:(a) .+. min:(b))"),
    ("N(a) & b", "(N (a & b))"),
    ("!(a)[0]", "(! a[0])"),
]


@pytest.mark.parametrize(("text", "reading"), VERSION_1)
def test_to_version_1_everything_nests_to_the_right(text: str, reading: str) -> None:
    assert full(expression(text, 1)) == reading


VERSION_2 = [
        ("a - b - c", "((a - b) - c)"),
        ("2 + 3 * 4", "((2 + 3) * 4)"),
        ("!a & b", "((! a) & b)"),
        ("N a & b", "((N a) & b)"),
        ("a & !b | c", "((a & (! b)) | c)"),
        ("!(a) & b", "((! a) & b)"),
        ("!(a)[0]", "(! a)[0]"),
        ("! !a[0].f & b", "((! (! a[0].f)) & b)"),
        ("a T b T c", "((a T b) T c)"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "reading"), VERSION_2)
def test_to_version_2_everything_nests_to_the_left(text: str, reading: str) -> None:
    assert full(expression(text, 2)) == reading


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        ("a & b & c", "((a & b) & c)"),
        ("a | b & c = d * e * f".replace(" = ", " + "), "(a | (b & (c + ((d * e) * f))))"),
        ("a | b | c & d & e", "((a | b) | ((c & d) & e))"),
        ("a & i >. 1", "(a & (i >. 1))"),
        ("a & !b", "(a & (! b))"),
        ("a & N !. b", "(a & (N (!. b)))"),
        ("(a - b) - c", "((a - b) - c)"),
        ("a & b ~[1] c", "(a & (b ~['1'] c))"),
        ("N(a)", "(N a)"),
        ("a T (b)", "(a T b)"),
        ("N I a", "(N (I a))"),
        ("FLAIR - 1", "(FLAIR - 1)"),
        ("FLAIR & N a", "(FLAIR & (N a))"),
        ("N [1]", "(N [1])"),
        ("XS[1]", "XS[1]"),
        ("f(N, T)", "f:(N, T)"),
        ("+(a, b) - c", "(+:(a, b) - c)"),
        ("T(a, b)", "T:(a, b)"),
        ("-(1)", "(- 1)"),
        ("xs[1][2:].f[:n][:]", "xs[1][2:].f[:n][:]"),
        ("r.a .+. strings.concat(b, c)", "(r.a .+. strings.concat:(b, c))"),
        ("$dir", "$dir"),
        ("let x = 1 in let y = x in x & y", "(let x 1 (let y x (x & y)))"),
        ("for x in for y in a do b do c[x]", "(for x (for y a b) c[x])"),
        ("f(filter x in xs do x, [for y in z do y])", "f:((filter x xs x), [(for y z y)])"),
        ("fold + a & b", "(fold + (a & b))"),
        ("fold + 0 [1, 2]", "(fold + 0 [1, 2])"),
        ("fold max a b", "(fold max a b)"),
        ("fold - 1 xs", "(fold - 1 xs)"),
        ("fold(*, 1, xs) & c", "((fold * 1 xs) & c)"),
        ("fold & (fold | xs)", "(fold & (fold | xs))"),
        ("a & fold(+, xs)", "(a & (fold + xs))"),
        ("fold + 0 for x in xs do x", "(fold + 0 (for x xs x))"),
    ],
)  # fmt: skip
def test_accepted_because_both_readings_agree(text: str, reading: str) -> None:
    assert full(expression(text)) == reading


@pytest.mark.parametrize(
    ("text", "dialect"),
    [(text, 1) for text, _ in VERSION_1] + [(text, 2) for text, _ in VERSION_2],
)
def test_without_a_dialect_a_text_means_the_same_or_nothing(text: str, dialect: int) -> None:
    """C3b: what is accepted agrees with version 1 up to the nesting of a chain of one operator."""
    try:
        tree = expression(text)
    except ProgramError:
        assert len(wrong(f"let it = {text}", code="dialect")) == 1
    else:
        assert flat(tree) == flat(expression(text, 1))


ASSOCIATIVE = ("&", "&&", ".&.", "|", "||", ".|.", "+", ".+.", "*", ".*.")


def flat(tree: Expression) -> object:
    """A tree in which a chain of one associative operator is one node."""
    if not isinstance(tree, Call):
        return full(tree)
    arguments: list[object] = []
    for argument in tree.arguments:
        inner = flat(argument)
        if tree.name in ASSOCIATIVE and isinstance(inner, tuple) and inner[0] == tree.name and tree.form == "infix":
            arguments += inner[1]
        else:
            arguments.append(inner)
    return (tree.name, arguments)


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("!a & b", [12]), ("a - b - c", [15]), ("a * b + c", [15]), ("N(a) & b", [14]), ("!(a)[0]", [13]),
        ("!(a).f", [13]), ("a | b & !c | d", [20]), ("f(!a & b, !c | d) & (a \\ b & c)", [14, 22, 36]),
        ("a ~[1] b ~[1] c", [18]), ("a + b +[1] c", [15]), ("a & b \\ c & d", [19]), ("a > b > c", [15]),
    ],
)  # fmt: skip
def test_two_readings_are_an_error_at_each_place(text: str, places: list[int]) -> None:
    message = "brackets are missing: version 1 of the language reads this differently"
    assert wrong(f"let a = {text}", code="dialect") == [f"1:{place} {message}" for place in places]


def test_a_dialect_for_the_file_or_for_the_run() -> None:
    assert full_body("// dialect: 1\nlet a = b - c - d") == "(b - (c - d))"
    assert full_body("// dialect: 2\nlet a = b - c - d") == "((b - c) - d)"
    assert full_body("// dialect: 2\nlet a = b - c - d", 1) == "(b - (c - d))"


def full_body(text: str, dialect: int | None = None) -> str:
    (command,) = program(text, dialect).commands
    assert isinstance(command, Let)
    return full(command.body)


@pytest.mark.parametrize(
    ("text", "commands"),
    [
        ("a = fold + xs\nb = 3", 2),
        ("a = b\n+(x, y) = x", 2),
        ("a = b\nN(x) = x", 2),
        ("a = b\n+(x)", 1),
        ("a = b\n- c", 1),
        ("a = xs\n[0]", 1),
        ("f(x) = 1\ng = 2", 2),
        ("a = FLAIR\nb = 2", 2),
        ('a = b\nlet c = 1\nprint "x" a', 3),
        ("let a = let b = 1 in b\nlet c = 2", 2),
    ],
)
def test_an_expression_ends_where_a_line_begins_a_command(text: str, commands: int) -> None:
    """C3."""
    assert len(program(text).commands) == commands


def test_extra_arguments_come_last() -> None:
    a, b, c, d = (Name(letter, NOWHERE) for letter in "abcd")
    assert expression("a ~[c,d] b") == Call("~", (a, b, c, d), "infix", NOWHERE, NOWHERE)


def test_commands() -> None:
    text = 'import "lib" load s = "s.nii" let x = 1 let +(a, b) = a print "x" x save "y" -x let y = (x)\nz = y'
    x, one = Name("x", NOWHERE), Number(1.0, True, NOWHERE)
    parameters = (Parameter("a", NOWHERE), Parameter("b", NOWHERE))

    def string(value: str) -> String:
        return String(value, NOWHERE)

    assert program(text).commands == (
        Import(string("lib"), NOWHERE),
        Load("s", string("s.nii"), NOWHERE, NOWHERE),
        Let("x", (), one, NOWHERE, NOWHERE),
        Let("+", parameters, Name("a", NOWHERE), NOWHERE, NOWHERE),
        Print(string("x"), x, NOWHERE),
        Save(string("y"), Call("-", (x,), "prefix", NOWHERE, NOWHERE), NOWHERE),
        Let("y", (), x, NOWHERE, NOWHERE),
        Let("z", (), Name("y", NOWHERE), NOWHERE, NOWHERE),
    )
    assert program(" // nothing\n") == Program((), None)


@pytest.mark.parametrize(
    ("text", "dialect"),
    [
        ("// dialect: 1\nlet a = 1", 1),
        ("\ufeff//dialect:2  \r\nlet a = 1", 2),
        ("/// dialect: 1\nlet a = 1", None),
        ("\n// dialect: 1\nlet a = 1", None),
        ("let a = 1 // dialect: 1", None),
    ],
)
def test_the_first_line_declares_the_dialect(text: str, dialect: int | None) -> None:
    assert program(text).dialect == dialect


def test_dialect_1_keeps_the_words_of_version_1() -> None:
    (command,) = program("// dialect: 1\nlet filter(in) = in").commands
    assert command == Let("filter", (Parameter("in", NOWHERE),), Name("in", NOWHERE), NOWHERE, NOWHERE)
    assert wrong("let filter(a) = a") == ["1:5 `filter` is a word of the language and cannot be a name"]


@pytest.mark.parametrize(
    ("text", "doc"),
    [
        ("/// One.\n///   Two.\n///\n///three \r\nlet a = 1", "One.\n  Two.\n\nthree"),
        ("let b = 1 /// not this\n  /// this\n  let a = 1", "this"),
        ("/// not this\n\n/// this\nlet a = 1", "this"),
        ("/// not directly\n\nlet a = 1", ""),
        ("/// not this\n// a comment\nlet a = 1", ""),
        ("//// a ruler\nlet a = 1", ""),
        ("let b = 1 /// not this\nlet a = 1", ""),
        ('print "/// x" 1\nlet a = 1', ""),
    ],
)
def test_a_doc_block_stands_directly_before_its_definition(text: str, doc: str) -> None:
    assert docs(program(text))[-1] == doc


# Places


def test_spans() -> None:
    text = 'let f(a, b) = (g(a) ~[ 1 ] b) & !((-2))\nprint "p" "q"\nimport "r"\nload s = "t"'
    let, printed, imported, loaded = program(text).commands
    assert isinstance(let, Let)
    assert isinstance(printed, Print)
    assert isinstance(imported, Import)
    assert isinstance(loaded, Load)
    assert (let.span.text, let.name_span.text) == (text.split("\n")[0], "f")
    assert [parameter.span.start for parameter in let.parameters] == [6, 9]
    both = let.body
    assert isinstance(both, Call)
    assert (both.span.text, both.name_span.text) == ("(g(a) ~[ 1 ] b) & !((-2))", "&")
    alike, negation = both.arguments
    assert isinstance(alike, Call)
    assert isinstance(negation, Call)
    assert (alike.span.text, alike.name_span.text) == ("g(a) ~[ 1 ] b", "~")
    assert (negation.span.text, negation.name_span.text) == ("!((-2))", "!")
    assert [argument.span.text for argument in alike.arguments] == ["g(a)", "b", "1"]
    assert negation.arguments[0].span.text == "-2"
    assert (printed.span.text, printed.label.span.text, printed.value.span.text) == ('print "p" "q"', '"p"', '"q"')
    assert (imported.span.text, imported.path.span.text) == ('import "r"', '"r"')
    assert (loaded.span.text, loaded.name_span.text, loaded.path.span.text) == ('load s = "t"', "s", '"t"')


# Errors that the corpus does not have


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("let x =-1", ["1:7 `=-` is one operator here, and not an `=`"]),
        ("let x == 1", ["1:7 `==` is one operator here, and not an `=`"]),
        ("let x = .5", ["1:9 `.5` is not a number: digits are missing before the point"]),
        ("let x = 1.2.3", ["1:9 `1.2.3` is neither a number nor a name"]),
        ("let x = 1_000", ["1:9 `1_000` is neither a number nor a name"]),
        ("let x = -1e999", ["1:9 this number is too large: the largest is about 1.8e308"]),
        ("let FLAIR= 1", ["1:5 `FLAIR=` is one operator here"]),
        ('load A="b"', ["1:6 `A=` is one operator here"]),
        ("A=1", ["1:1 `A=` is one operator here"]),
        ("let << = 1", ["1:5 `<<` is the name of an operator, and an operator needs parameters"]),
        ("let 3 = 4", ["1:5 `3` cannot be a name"]),
        ("let", ["1:4 there is no name after `let`"]),
        ("let f(a b) = (", ['1:8 a "," is missing between two parameters', "1:15 there is no expression after `(`"]),
        ("let f(a,) = a", ["1:9 there is no name after `,`"]),
        ("let f(a] = a", ['1:8 this "(" is closed by a "]"']),
        ("let f(a; b) = a", ['1:8 the parameters of a definition are names separated by ","']),
        ("let f(a\nlet b = 1", ['1:6 this "(" is never closed']),
        ("load = 1", ["1:5 there is no name after `load`"]),
        ('load a "b"', ["1:7 an `=` is missing after `load a`"]),
        ("load a = b.nii", ["1:9 there is no file name after `=`"]),
        ("save a", ["1:5 there is no file name after `save`"]),
        ('print "a" b, c', ['1:12 a "," stands outside all brackets']),
        ("let a = 1 b = 2", ["1:11 a definition without `let` must begin a line"]),
        ("let a = let b = 1", ["1:9 this `let` stands inside an expression, and has no `in`"]),
        ("let a = 1 in a", ["1:1 `let … in …` is an expression, and no command is before it"]),
        ("for x in b do x", ["1:1 `for` is an expression, and no command is before it"]),
        ("let a = b & for x in b do x", ["1:13 `for` stands beside an operator without brackets"]),
        ("let a = for x b", ["1:14 `in` is missing in this `for`"]),
        ("let a = for x in b, c", ["1:19 `do` is missing in this `for`"]),
        ("let a = f(let b = c)", ["1:11 this `let` stands inside an expression, and has no `in`"]),
        ("let a = for 3 in b do c", ["1:12 there is no name after `for`"]),
        ("let a = for do in b do c", ["1:13 `do` is a word of the language and cannot be a name"]),
        ("let a = fold", ["1:13 there is no operator after `fold`"]),
        ("let a = fold(+ xs)", ['1:15 "," is missing in this `fold`']),
        ("let a = fold(+, 1, 2, 3)", ["1:9 `fold` takes an operator, perhaps an initial value, and a sequence"]),
        ("let a = b[]", ["1:10 no index stands between these brackets"]),
        ("let a = b[1, 2]", ['1:12 a "," stands in an index']),
        ("let a = b[1", ['1:10 this "[" is never closed']),
        ("let a = b[1)", ['1:12 this "[" is closed by a ")"']),
        ("let a = [1 2]", ['1:11 a "," or an operator is missing']),
        ("let a = 1[0]", ["1:10 an operator is missing"]),
        ("let a = f(x).b(3)", ["1:14 `.b` is a field, and takes no arguments"]),
        ("let a = $home", ["1:9 there is no program variable `$home`"]),
        ("let a = +()", ["1:10 `+` is given no arguments between its brackets"]),
        ("let a = 3 # an upper bound", ["1:11 `#` does not begin a comment"]),
        ("-- let us begin\nlet a = (", ["1:1 `--` does not begin a comment", "2:10 there is no expression after `(`"]),
        ("let a = load + 1", ["1:9 `load` is a word of the language and cannot be a name"]),
        ("let a = f(b load)", ["1:13 `load` is a word of the language and cannot be a name"]),
        ("let a = true(b)", ["1:13 an operator is missing"]),
        ("let a = ~[1] b", ["1:9 `~[…]` stands between two values"]),
        ("let a = f(b\nc = (\n", ['1:10 this "(" is never closed', "2:6 there is no expression after `(`"]),
        ('print "volume(b)\nlet a = f("b)\n', ["1:7 this string is never closed", "2:11 this string is never closed"]),
        ("// dialect: 3\n= 1", ["1:13 there are the dialects 1 and 2", "2:1 `=` begins no command"]),
        ("let a = {b} ≥ c\nlet b = ^ \x00", ["1:9 the character { (U+007B) has no meaning in a program",
                                             "2:11 the character U+0000 has no meaning in a program"]),
    ],
)  # fmt: skip
def test_errors(text: str, told: list[str]) -> None:
    assert wrong(text) == told


# Printing

NAMES = st.from_regex(r"_{0,2}[a-zéλ][a-z0-9_Aé]{0,4}", fullmatch=True).filter(lambda name: name not in words(None))
STRINGS = st.builds(
    String, st.text(max_size=8) | st.sampled_from(["$A", "${b}_c", '\\"', "\r\n", "\\n"]), st.just(NOWHERE)
)
NUMBERS = st.builds(
    Number, st.floats().map(lambda value: nan if isnan(value) else value), st.just(False), st.just(NOWHERE)
) | st.builds(Number, st.integers(-(10**20), 10**20).map(float) | st.just(-0.0), st.just(True), st.just(NOWHERE))
PARAMETERS = st.builds(Parameter, NAMES, st.just(NOWHERE))


def operators(dialect: int | None) -> st.SearchStrategy[str]:
    """What may be written between or before operands: one token, and no `=`."""
    capitals = st.just("") if dialect == 1 else st.sampled_from(["N", "T", "FLAIR", "É", "A1"])
    characters = "#;:_'.|!$%&/^=*-+<>?@~\\NBÉ" if dialect == 1 else "#;'.|!%&/^=*-+<>?@~\\$"

    def is_one(name: str) -> bool:
        lexed = tokenize(Source("", name), dialect)
        whole = "//" not in name  # where a comment begins
        return whole and lexed.kinds in (["operator", "end"], ["name", "end"]) and lexed.faults == {}

    return (st.text(characters, min_size=1, max_size=4) | capitals).filter(is_one)


def simple(dialect: int | None) -> st.SearchStrategy[Expression]:
    names = NAMES if dialect == 1 else NAMES | st.sampled_from(["N", "FLAIR", "Flair", "A1", "_N", "_", *VARIABLES])
    booleans = st.builds(Boolean, st.booleans(), st.just(NOWHERE))
    return NUMBERS | STRINGS | st.builds(Name, names, st.just(NOWHERE)) | booleans


def compound(dialect: int | None, inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    def several(least: int, most: int) -> st.SearchStrategy[tuple[Expression, ...]]:
        return st.lists(inner, min_size=least, max_size=most).map(tuple)

    def call(name: st.SearchStrategy[str], least: int, most: int, form: str) -> st.SearchStrategy[Call]:
        return st.builds(Call, name, several(least, most), st.just(form), st.just(NOWHERE), st.just(NOWHERE))

    symbols, nowhere = operators(dialect), st.just(NOWHERE)
    qualified = st.builds("{}.{}".format, NAMES, NAMES)
    made = (
        call(NAMES | qualified, 1, 3, "call")
        | call(symbols, 2, 3, "call")
        | call(symbols, 1, 1, "prefix")
        | call(symbols, 2, 4, "infix")
        | st.builds(List, several(0, 3), nowhere)
        | st.builds(Index, inner, inner, nowhere)
        | st.builds(Slice, inner, inner | st.none(), inner | st.none(), nowhere)
        | st.builds(Field, inner, NAMES, nowhere, nowhere)
    )
    if dialect == 1:
        return made
    binders = st.builds(Binder, st.sampled_from(["let", "for", "filter"]), PARAMETERS, inner, inner, nowhere)
    return made | binders | st.builds(Fold, symbols | NAMES, several(1, 2), nowhere, nowhere)


def expressions(dialect: int | None) -> st.SearchStrategy[Expression]:
    return st.recursive(simple(dialect), lambda inner: compound(dialect, inner), max_leaves=12)


EXPRESSIONS = {dialect: expressions(dialect) for dialect in (None, 1, 2)}
OPERATORS = {dialect: operators(dialect) for dialect in (None, 1, 2)}
DOCS = st.lists(st.text(max_size=6).map(lambda line: line.replace("\n", "").rstrip(" \t\r\ufeff")), max_size=3).map(
    "\n".join
)


@st.composite
def lets(draw: st.DrawFn, dialect: int | None) -> Let:
    names = draw(st.lists(NAMES, max_size=3, unique=True))
    name = draw(NAMES | OPERATORS[dialect] if names else NAMES)
    parameters = tuple(Parameter(parameter, NOWHERE) for parameter in names)
    return Let(name, parameters, draw(EXPRESSIONS[dialect]), NOWHERE, NOWHERE, draw(DOCS))


def commands(dialect: int | None) -> st.SearchStrategy[Command]:
    return (
        lets(dialect)
        | st.builds(Load, NAMES, STRINGS, st.just(NOWHERE), st.just(NOWHERE))
        | st.builds(Save, STRINGS, EXPRESSIONS[dialect], st.just(NOWHERE))
        | st.builds(Print, STRINGS, EXPRESSIONS[dialect], st.just(NOWHERE))
        | st.builds(Import, STRINGS, st.just(NOWHERE))
    )


COMMANDS = commands(None)
PROGRAMS = st.sampled_from([None, 1, 2]).flatmap(
    lambda dialect: st.builds(Program, st.lists(commands(dialect), max_size=5).map(tuple), st.just(dialect))
)


@given(PROGRAMS)
def test_a_printed_program_is_the_same_program(whole: Program) -> None:
    text = print_program(whole)
    again = program(text)
    assert again == whole
    assert docs(again) == docs(whole)
    assert print_program(again) == text


def nodes(whole: Program) -> Iterator[Command | Expression | Parameter]:
    """Everything that a program is made of."""
    for command in whole.commands:
        yield command
        stack: list[Expression] = [command.path] if isinstance(command, (Load, Import)) else []
        match command:
            case Let(_, parameters, body):
                yield from parameters
                stack = [body]
            case Save(text, value) | Print(text, value):
                stack = [text, value]
        while stack:
            node = stack.pop()
            yield node
            stack += parts(node)


# Every class of the syntax tree, and every way in which one may be filled or written.
FORMS: dict[str, Callable[[object], bool]] = {
    **{each.__name__: lambda node, each=each: isinstance(node, each) for each in get_args(Expression | Command)},
    "Parameter": lambda node: isinstance(node, Parameter),
    "a word called": lambda node: isinstance(node, Call) and node.form == "call" and node.name.isalpha(),
    "a qualified name called": lambda node: isinstance(node, Call) and node.name[0].isalpha() and "." in node.name,
    "a symbol called": lambda node: isinstance(node, Call) and node.form == "call" and node.name[0] in "+-*/&|",
    "a prefix": lambda node: isinstance(node, Call) and node.form == "prefix",
    "a capital prefix": lambda node: isinstance(node, Call) and node.form == "prefix" and node.name == "N",
    "a capital infix": lambda node: isinstance(node, Call) and node.form == "infix" and node.name == "N",
    "extra arguments": lambda node: isinstance(node, Call) and node.form == "infix" and len(node.arguments) > 2,
    "an empty list": lambda node: isinstance(node, List) and not node.items,
    "a slice without a start": lambda node: isinstance(node, Slice) and node.start is None and node.stop is not None,
    "a slice without an end": lambda node: isinstance(node, Slice) and node.start is not None and node.stop is None,
    "a slice of all": lambda node: isinstance(node, Slice) and node.start is node.stop is None,
    "a field of a field": lambda node: isinstance(node, Field) and isinstance(node.record, Field),
    **{
        word: lambda node, word=word: isinstance(node, Binder) and node.word == word
        for word in ("let", "for", "filter")
    },
    "a fold of one argument": lambda node: isinstance(node, Fold) and len(node.arguments) == 1,
    "a fold of two arguments": lambda node: isinstance(node, Fold) and len(node.arguments) == 2,
    "a fold of a function": lambda node: isinstance(node, Fold) and node.operator[0].islower(),
    "a function": lambda node: isinstance(node, Let) and len(node.parameters) > 1,
    "an operator defined": lambda node: isinstance(node, Let) and not node.name[0].isalpha() and node.name[0] != "_",
    "a documented definition": lambda node: isinstance(node, Let) and "\n" in node.doc,
    "an integer": lambda node: isinstance(node, Number) and node.integer,
    "a program variable": lambda node: isinstance(node, Name) and node.name in VARIABLES,
}


def test_the_programs_that_are_printed_have_every_form() -> None:
    """The test of printing says nothing of a form that is never generated."""
    missing = dict(FORMS)

    def has_the_last_one(whole: Program) -> bool:
        for node in nodes(whole):
            for form in [form for form, holds in missing.items() if holds(node)]:
                del missing[form]
        return not missing

    options = settings(database=None, derandomize=True, max_examples=3_000, phases=[Phase.generate])
    with suppress(NoSuchExample):
        find(PROGRAMS, has_the_last_one, settings=options)
    assert not missing


def test_parts_are_all_that_an_expression_has() -> None:
    """A field of a new class that holds expressions is one of its `parts`."""
    one, two = Name("one", NOWHERE), Name("two", NOWHERE)
    for each in get_args(Expression):
        held = [name for name, kind in each.__annotations__.items() if "Expression" in kind]
        given = {name: (one, two) if "tuple" in each.__annotations__[name] else one for name in held}
        rest = {name: NOWHERE for name in each.__annotations__ if name not in held}
        expected = [leaf for value in given.values() for leaf in (value if isinstance(value, tuple) else (value,))]
        assert list(parts(each(**given, **rest))) == expected, each


@given(EXPRESSIONS[None].filter(lambda tree: ":" not in show(tree)))
def test_no_printed_bracket_can_be_left_out(tree: Expression) -> None:
    text = f"let it = {show(tree)}"
    lexed = tokenize(Source("", text), None)
    waiting: list[int] = []
    for index, kind in enumerate(lexed.kinds):
        if kind in ("(", "["):
            waiting.append(index)
        elif kind in (")", "]"):
            opener = waiting.pop()
            if kind == ")":
                first, last = lexed.starts[opener], lexed.starts[index]
                without = f"{text[:first]} {text[first + 1 : last]} {text[last + 1 :]}"
                try:
                    again = print_program(program(without))
                except ProgramError:
                    continue
                assert again != print_program(program(text))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("(a) - ((b - c))", "a - (b - c)"),
        ("(a & b) & (c & (d | e))", "a & b & (c & (d | e))"),
        ("a | (b & (!c))", "a | b & !c"),
        ("fold + (fold * xs) ys", "fold(+, fold(*, xs), ys)"),
        ("(xs)[(1):(n)] T (N (a))", "xs[1:n] T N a"),
        ("(for x in (xs) do (x))[0]", "(for x in xs do x)[0]"),
        ("N (-1)", "N (-1)"),
        ("(FLAIR) T a", "(FLAIR) T a"),
        ("(a - b) - (c)", "(a - b) - c"),
        ("!(a & b)", "!(a & b)"),
        ("(!a) & (N (b))", "(!a) & N b"),
        ("(f((a), (-(1)))) + (2)", "f(a, - 1) + 2"),
        ("(-1) .+. (- x)", "-1 .+. -x"),
        ("a ~[ (1),2 ] (b)", "a ~[1, 2] b"),
        ("1e3 * 100 * 0.10", "1000.0 * 100 * 0.1"),
        ('"a\\n\\"$B"', '"a\\n\\"$B"'),
    ],
)
def test_shown(text: str, shown: str) -> None:
    assert show(expression(text)) == shown


def test_a_printed_program() -> None:
    text = '// dialect: 1\n/// Doc.\n///\n///  more\nlet +(a, b) = a & (b - c)\nload s = "s"\nsave "x" s\nprint "y" 1\n'
    assert print_program(program(text)) == text


# Any text

WORDS = "let load save print import true inf nan in for filter do fold a f x _a m.max xs[1:] N FLAIR"
SIGNS = "= =- - * / ! !. . .+. .5 1. 1 2.5 5mm 1e 1e999 N B+ Flair _ ( ) [ ] , ~[ f( // /// # -- /* ; $dir"
ODD = r'"s" "a\n" "a\q" "un "C:\" ≥ “ é'
PIECES = st.sampled_from([*f"{WORDS} {SIGNS} {ODD}".split(), "\ufeff", "\ud800", "\0"]) | st.text(max_size=3)
TEXTS = st.lists(st.tuples(PIECES, st.sampled_from(["", " ", " ", "\n"])), max_size=15).map(
    lambda pairs: "".join(piece + blank for piece, blank in pairs)
)


@given(st.sampled_from(["", "let a = ", "let f(x) = ", 'print "a" ', "load s = "]), TEXTS)
@example("", "")
def test_any_text_is_a_program_or_is_told_why_not(start: str, rest: str) -> None:
    try:
        printed = print_program(program(start + rest))
    except ProgramError as error:
        problems = error.diagnostics
    else:
        problems = ()
        assert print_program(program(printed)) == printed
    places = [problem.span.start for problem in problems if problem.span is not None]
    assert len(places) == len(problems)
    assert places == sorted(places)
    for problem in problems:
        assert render(problem).startswith(("error[syntax]: ", "error[dialect]: "))
        assert as_data(problem)["code"] in ("syntax", "dialect")


@given(st.lists(COMMANDS, min_size=1, max_size=3), st.data())
def test_an_error_hides_no_other_command(commands: list[Command], data: st.DataObject) -> None:
    """Between whole commands, each of some wrong lines is told once, at its place."""
    lines = [line for line in print_program(Program(tuple(commands))).split("\n") if line]
    bad = data.draw(
        st.lists(st.sampled_from(["let q = )", "show 1", "let = 3", "let q = f(1 2)"]), min_size=1, max_size=4)
    )
    text = "\n".join(line for wrong_line in bad for line in [*lines, wrong_line])
    assert [int(place.split(":")[0]) for place in wrong(text)] == [
        (len(lines) + 1) * (number + 1) for number in range(len(bad))
    ]


# Depth and length. Trees this deep are compared by their texts: `==` of dataclasses calls itself.


@pytest.mark.parametrize(
    "text",
    [
        "f(" * DEEP + "x" + ")" * DEEP,
        "(" * DEEP + "x" + " - y)" * DEEP + " - z",
        "x & " * DEEP + "y",
        "! " * DEEP + "1",
        "f(" + "x, " * DEEP + "y)",
        "x ~[" * DEEP + "1" + "] y" * DEEP,
        "[" * DEEP + "x" + "]" * DEEP,
        "x[" * DEEP + "1" + "]" * DEEP,
        "x" + "[1:2].f" * DEEP,
        "let x = 1 in " * DEEP + "x",
        "for x in " * DEEP + "x" + " do y" * DEEP,
        "fold(+, " * DEEP + "x" + ")" * DEEP,
        "N " * DEEP + "x",
    ],
    ids=[
        "calls",
        "brackets",
        "chain",
        "prefixes",
        "arguments",
        "nested extra",
        "lists",
        "indices",
        "postfixes",
        "lets",
        "loops",
        "folds",
        "capitals",
    ],
)
def test_depth_and_length_are_not_limited(text: str) -> None:
    assert show(expression(text)) == text


def test_brackets_that_only_group_are_not_limited() -> None:
    assert show(expression("(" * DEEP + "x" + ")" * DEEP)) == "x"


def test_version_1_s_chain_is_not_limited() -> None:
    assert show(expression("x - " * DEEP + "y", 1), full=True) == "x - (" * (DEEP - 1) + "x - y" + ")" * (DEEP - 1)


def test_many_definitions() -> None:
    text = "".join(f"let v{n} = v & {n}\n" for n in range(DEEP))
    assert print_program(program(text)) == text


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("let a = " + "(" * DEEP, 1),
        ("let a =\n" * DEEP, DEEP),
        ("let a = x " + "x " * DEEP, 1),
        (")\n" * DEEP, 1),
        ('"' * DEEP, 1),
        ("// dialect: 1\nlet a = " + "_" * DEEP, 1),
        ("let a = x " + "- x " * DEEP, 1),
        ("let a = x - x - x\n" * DEEP, DEEP),
        (" " * DEEP + "\n" * DEEP + "x", 1),
        ("f(" * DEEP, 1),
        ("let b = 1 in b\n" * DEEP, 1),
    ],
    ids=[
        "open",
        "lets",
        "operands",
        "closed",
        "quotes",
        "underscores",
        "chain",
        "dialect",
        "blanks",
        "calls",
        "let-in",
    ],
)
def test_wrong_texts_may_be_long(text: str, problems: int) -> None:
    assert len(wrong(text, code="dialect" if "- x" in text else "syntax")) == problems
