"""What a person is told about names, arities and types: the sentences, and what would be right instead."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import pairwise, permutations

from voxlogica.check.names import Kind, known
from voxlogica.errors import Diagnostic, Mark, Refusal, Span, close_matches
from voxlogica.formula import BOOL, IMAGE, LABELS, MASK, MODEL, NUMBER, STRING, Type, signature
from voxlogica.operators.families import Family
from voxlogica.syntax.ast import Binder, Call, Expression, Field, Fold, List, Name, String

_ARTICLES = {LABELS: "labels"}
_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")

Parameters = Sequence[tuple[str, Type | None]]
Variants = Sequence[Parameters]
"""The parameters of each thing that a symbol means."""

UNNEEDED = "no `print` and no `save` needs this definition: the program can run without it"


def one(kind: Kind | None) -> str:
    """A value of the kind, with its article."""
    kind = known(kind)
    if not isinstance(kind, Type):
        return "a value"
    return _ARTICLES.get(kind, f"an {kind}" if kind.name[0] in "aeiou" else f"a {kind}")


def several(kind: Type) -> str:
    """Values of the kind."""
    return kind.plural


def is_symbol(name: str) -> bool:
    """Whether a name is written between or before its arguments: it is no word, or one in capitals alone."""
    return name[0] != "_" and (name.isupper() or not name[0].isalpha())


def number_of(count: int, noun: str) -> str:
    """`1 argument`, `2 arguments`, `no arguments`."""
    return f"{count or 'no'} {noun}{'' if count == 1 else 's'}"


def text_of(expression: Expression) -> str:
    """The expression as it was written, or … when that is long."""
    span = expression.span
    short = span.end - span.start <= 30
    return text if short and "\n" not in (text := span.text) else "…"


# Names


_ALSO_CALLED = {
    "erosion": "erode", "dilation": "dilate", "opening": "imopen", "closing": "imclose", "distance": "dt",
    "edt": "dt", "components": "lcc", "connected": "lcc", "label": "lcc", "largest": "maxvol", "threshold": "between",
    "sum": "array_stats", "statistics": "array_stats", "sensitivity": "confusion_matrix", "supervoxels": "slic",
    "hausdorff95": "hd95", "iou": "jaccard", "gray": "intensity", "dilatation": "dilate",
}  # fmt: skip
"""Words of other tools, and what the same is called here."""
_BEGINNING = 4
"""So many letters of a name are enough to know it by."""


def nearest(name: str, candidates: Collection[str]) -> str | None:
    """The candidate most like a name that was perhaps meant; capitals matter least."""
    for word in candidates:
        if word.lower() == name.lower():
            return word
    if (word := _ALSO_CALLED.get(name.lower(), "")) in candidates:
        return word
    words = [word for word in candidates if not is_symbol(word) and abs(len(word) - len(name)) <= 3]
    close = close_matches(name, words, 0.75)
    if close or len(name) < _BEGINNING:
        return close[0] if close else None
    return min([word for word in candidates if word.startswith(name)], key=len, default=None)


def bare(symbol: str) -> str:
    """A symbol without its dots and doublings: `&&`, `.&.` and `&` are one then."""
    core = symbol.replace(".", "") or symbol
    return core if len(set(core)) > 1 else core[0]


def related(
    symbol: str, candidates: Sequence[str], kinds: Sequence[Kind | None], variants: Callable[[str], Variants]
) -> str | None:
    """The symbol that differs from an unknown one only in dots and doublings, and takes such arguments if one does.

    Of a word in capitals, a name that has none.
    """
    if symbol.lower() in candidates:
        return symbol.lower()
    alike = sorted(
        (other for other in candidates if is_symbol(other) and bare(other) == bare(symbol) and other != symbol),
        key=lambda other: (len(other), other.startswith("."), other),
    )
    fitting = (other for other in alike if any(_takes(each, kinds) for each in variants(other)))
    return next(fitting, alike[0] if alike else None)


def _takes(parameters: Parameters, kinds: Sequence[Kind | None]) -> bool:
    if len(parameters) != len(kinds):
        return False
    pairs = [(wanted, known(kind)) for (_, wanted), kind in zip(parameters, kinds, strict=True)]
    return all(not wanted or not isinstance(kind, Type) or wanted.accepts(kind) for wanted, kind in pairs)


def glued(symbol: str, after: str, count: int, meant: Callable[[str, int], bool]) -> str:
    """The help for two operators written as one, or for an operator and a sign; "" when it is neither.

    `count` is how many operands it has, and `meant` tells whether a symbol can have so many.
    """
    if symbol[-1] in "+-" and after.isdigit() and meant(symbol[:-1], count):
        rest = symbol[:-1]
        return f"the sign belongs to the number, and needs a space before it:   {rest} {symbol[-1]}{after}"
    for cut in range(1, len(symbol)):
        first, second = symbol[:cut], symbol[cut:]
        if meant(first, count) and meant(second, 1):
            return f"`{first}` and `{second}` are two operators, and need a space between them:   {first} {second}"
    return ""


def no_such_name(name: str, span: Span, label: str, marks: tuple[Mark, ...], help: str) -> Diagnostic:
    """A name that means nothing."""
    if not label and not help:
        help = "no definition above has this name, and no operator; `voxlogica operators` lists the operators"
    what = f"operator `{name}`" if is_symbol(name) else f"`{name}`"
    return Diagnostic("name", f"there is no {what}", span, label, marks, help=help)


def ambiguous(name: str, span: Span, candidates: Sequence[str]) -> Diagnostic:
    """A name that several visible namespaces have (C16)."""
    message = f"`{name}` could be {_either(candidates)}"
    return Diagnostic("name", message, span, help="write the one that is meant with its namespace")


def not_imported(name: str, span: Span, whole: Sequence[str]) -> Diagnostic:
    """A name in namespaces that are not visible."""
    namespaces = [each.partition(".")[0] for each in whole]
    several = "the namespaces" if len(whole) > 1 else "the namespace"
    message = f"`{name}` is in {several} {' and '.join([f'`{each}`' for each in namespaces])}, which is not imported"
    if len(whole) > 1:
        message = message.replace("which is", "which are")
    return Diagnostic("name", message, span, help=f'write   {whole[0]}   or, above,   import "{namespaces[0]}"')


def unusable(function: str, span: Span, reason: str) -> Diagnostic:
    """A function of SimpleITK that programs cannot use."""
    message, help = UNUSABLE[reason]
    return Diagnostic("name", f"SimpleITK's `{function}` {message}", span, help=help)


UNUSABLE = {
    "effect": ("does more than compute, and so cannot stand here", 'to write a file:   save "mask.nii.gz" mask'),
    "input": (
        "makes an input of the program, and so cannot stand here",
        'an input is a definition of the main program:   let scan = ReadImage("scan.nii.gz")',
    ),
    "random": ("gives something else each time, and so cannot be used", ""),
    "transform": (
        "takes or makes a transform, for which the language has no type, and so cannot be used",
        "`resample(image, like)` brings an image onto the grid of another, where both lie in one world",
    ),
    "field": ("takes or makes a field of displacements on a grid of its own, and so cannot be used", ""),
    "complex": (
        "takes or makes complex numbers, for which the language has no type, and so cannot be used",
        "`simpleitk.FFTConvolution` and its like go there and back",
    ),
    "objects": (
        "takes or makes a map of objects, for which the language has no type, and so cannot be used",
        "labels are an image here:   simpleitk.ConnectedComponent(mask)   or   lcc(mask)",
    ),
    "python": ("is for Python alone, and so cannot be used", ""),
}
"""Why a function cannot be used, and what can."""


def namespace_alone(name: str, span: Span, known: Sequence[str]) -> Diagnostic:
    """A namespace where a value should be."""
    help = f"a name in it is written   {name}.{known[0]}" if known else ""
    return Diagnostic("name", f"`{name}` is a namespace, not a value", span, help=help)


def no_member(namespace: str, word: str, span: Span, known: Sequence[str]) -> Diagnostic:
    """`namespace.word`, where the namespace has no such name."""
    close = close_matches(word, known)
    label = f"did you mean `{namespace}.{close[0]}`?" if close else ""
    help = "" if label else f"`voxlogica operators {namespace}` lists what it has"
    return Diagnostic("name", f"there is no `{word}` in the namespace `{namespace}`", span, label, help=help)


def no_namespace(name: str, word: str, span: Span, kind: Kind | None) -> Diagnostic:
    """`value.word(…)`."""
    message = f"`{name}` is {one(kind)} and no namespace, and so there is no `{name}.{word}`"
    return Diagnostic(
        "name", message, span, help=f"a value stands between the brackets of a function:   {word}({name}, …)"
    )


def unknown_namespace(name: str, word: str, span: Span, known: Iterable[str]) -> Diagnostic:
    """`name.word(…)` of a name that means nothing."""
    names = list(known)
    close = close_matches(name, names)
    label = f"did you mean `{close[0]}.{word}`?" if close else ""
    return Diagnostic(
        "name", f"there is no namespace `{name}`", span, label, help="" if label else f"there are {', '.join(names)}"
    )


def _either(names: Sequence[str]) -> str:
    quoted = [f"`{name}`" for name in names]
    return " or ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)


# Arity


def wrong_arity(
    call: Call | Name,
    parameters: Parameters,
    amounts: Sequence[int],
    given: int,
    label: str,
    marks: tuple[Mark, ...],
    applied_value: bool,
    or_more: bool = False,
) -> Diagnostic:
    """An operator or a definition with too few or too many arguments; `amounts` is how many it may have."""
    name, wanted = call.name, len(parameters)
    form = call.form if isinstance(call, Call) else "name"
    help = ""
    if applied_value:
        help = f"it is not a function: write   {name}   or put an operator between"
    elif isinstance(call, Call) and given > max(amounts) and (comma := _decimal_comma(call)):
        help = f"if this is one number, it has a point:   {comma}"
    elif name == "mean" and isinstance(call, Call) and given == 2:
        both = ", ".join(text_of(each) for each in call.arguments)
        help = f"of several values it is   mean([{both}])   and of an image in a mask   avg({both})"
    elif form == "infix" and wanted == 1 and is_symbol(name):
        help = f"it stands before its argument:   {name} {parameters[0][0]}"
    elif form in ("infix", "prefix") and wanted == 2 and is_symbol(name):
        help = f"one stands on each side of it:   {parameters[0][0]} {name} {parameters[1][0]}"
    elif form == "infix" and wanted > 2:
        first, second, *rest = (parameter for parameter, _ in parameters)
        inside = ", ".join(rest)
        help = f"two stand beside it, the others between its brackets:   {first} {name}[{inside}] {second}"
    span = call.name_span if isinstance(call, Call) else call.span
    amount = str(given) if given else "none"
    takes = number_of(amounts[0], "argument")
    if or_more:
        takes += " or more"
    elif len(amounts) > 1:
        takes = f"{' or '.join(map(str, amounts))} arguments"
    message = f"`{name}` takes {takes}, and is given {amount}"
    return Diagnostic("arity", message, span, label, marks, help=help)


_DECIMAL_COMMA = re.compile(r"(?<![\w.])(\d+),(\d+)(?![\w.])")
_AROUND = 20
"""So many characters are looked at before and after the comma between two arguments, which may be long."""


def _decimal_comma(call: Call) -> str:
    """The number that two arguments are, perhaps: `100,5`."""
    text = call.span.source.text
    for first, second in pairwise(call.arguments):
        start, end = max(call.span.start, first.span.end - _AROUND), second.span.start + _AROUND
        if found := _DECIMAL_COMMA.search(text, start, end):
            return f"{found[1]}.{found[2]}"
    return ""


# Types


def wrong_types(
    call: Call,
    parameters: Parameters,
    result: Type | None,
    kinds: Sequence[Kind | None],
    wrong: Sequence[int],
    marks: tuple[Mark, ...],
    by_definition: bool,
    by_parameter: bool,
    variants: Callable[[str], Variants],
) -> Diagnostic:
    """Arguments of the wrong types, at these numbers.

    The first of them is the name of a definition (`by_definition`), or of a parameter (`by_parameter`), or neither.
    """
    operands = tuple(Mark(call.arguments[n].span, "", "~") for n in wrong)
    first = wrong[0]
    wanted = parameters[first][1]
    assert wanted is not None
    details: tuple[str, ...] = ()
    if call.form == "infix" and len(call.arguments) == 2:
        message = f"`{call.name}` {_takes_two(parameters, result)}, and {_sides(kinds, wrong)}"
    else:
        place = f" as its {_ORDINALS[first]} argument" if len(parameters) > 1 else ""
        message = f"`{call.name}` takes {one(wanted)}{place}, and is given {one(kinds[first])}"
        if call.form == "call":
            details = (signature(call.name, parameters, result),)
    help = _other_order(call, parameters, kinds, wrong)
    help = help or _remedy(call, wanted, kinds, first, by_definition, by_parameter, variants)
    return Diagnostic("type", message, call.name_span, "", (*operands, *marks), details=details, help=help)


def _other_order(call: Call, parameters: Parameters, kinds: Sequence[Kind | None], wrong: Sequence[int]) -> str:
    """What to write when arguments stand in each other's places: `distleq(mask, 3)`."""
    if call.form != "call" or not 2 <= len(wrong) <= 4:
        return ""
    for places in permutations(wrong):
        order = list(range(len(kinds)))
        for place, taken in zip(wrong, places, strict=True):
            order[place] = taken
        if _takes(parameters, [kinds[n] for n in order]):
            return f"in the other order it is   {call.name}({', '.join([text_of(call.arguments[n]) for n in order])})"
    return ""


def no_overload(
    call: Call,
    wanted: Sequence[Parameters],
    signatures: Sequence[str],
    kinds: Sequence[Kind | None],
    marks: tuple[Mark, ...],
    by_definition: Sequence[bool],
    variants: Callable[[str], Variants],
) -> Diagnostic:
    """A symbol with several meanings none of which goes with its arguments; the nearest one says what to do."""
    operands = tuple(Mark(argument.span, "", "~") for argument in call.arguments)
    given = " and ".join([one(kind) for kind in kinds])
    first, second = (known(kind) for kind in (*kinds, None)[:2])
    if first is second and isinstance(first, Type):
        given = f"two {several(first)}"
    wrong = [[n for n, kind in enumerate(kinds) if not _takes([each[n]], [kind])] for each in wanted]

    def distance(number: int) -> tuple[int, int]:
        pairs = [(known(kinds[n]), wanted[number][n][1]) for n in wrong[number]]
        alike = [a for a, b in pairs if isinstance(a, Type) and b is not None and a.spatial == b.spatial]
        return len(pairs), len(pairs) - len(alike)

    nearest = min(range(len(wanted)), key=distance)
    at = wrong[nearest][0]
    want = wanted[nearest][at][1]
    help = _remedy(call, want, kinds, at, by_definition[at], False, variants) if want is not None else ""
    message = f"`{call.name}` does not go with {given}"
    details = tuple(dict.fromkeys(signatures))
    return Diagnostic("type", message, call.name_span, "", (*operands, *marks), details=details, help=help)


def _takes_two(parameters: Parameters, result: Type | None) -> str:
    (_, left), (_, right) = parameters[:2]
    if left is right and left is not None:
        return f"takes two {several(left)}"
    if result in (MASK, BOOL):
        return f"compares {one(left)} with {one(right)}"
    return f"takes {one(left)} and {one(right)}"


def _sides(kinds: Sequence[Kind | None], wrong: Sequence[int]) -> str:
    if len(wrong) == 1:
        return f"its {'left' if wrong[0] == 0 else 'right'} side is {one(kinds[wrong[0]])}"
    left, right = known(kinds[0]), known(kinds[1])
    if left is right and isinstance(left, Type):
        return f"both its sides are {several(left)}"
    return f"its left side is {one(left)} and its right side {one(right)}"


def _remedy(
    call: Call,
    wanted: Type,
    kinds: Sequence[Kind | None],
    first: int,
    by_definition: bool,
    by_parameter: bool,
    variants: Callable[[str], Variants],
) -> str:
    """What would be right instead; "" when nothing is likely."""
    given, argument = known(kinds[first]), call.arguments[first]
    text = text_of(argument)
    if call.name == "+" and STRING in [known(kind) for kind in kinds]:
        return f"texts are joined by   strings.concat({', '.join([text_of(each) for each in call.arguments])})"
    if given is MODEL and wanted is IMAGE:
        return f"the numbers of a loaded file are   intensity({text})"
    if call.form == "infix" and len(call.arguments) == 2:
        left, right = call.arguments
        other = _dotted(call.name, kinds, variants)
        if other is not None:
            scalars = {known(kind) for kind in kinds} & {NUMBER, BOOL}
            which = f"the side of {one(scalars.pop())}" if len(scalars) == 1 else "the side of a number or a bool"
            if other == bare(other):
                which = "numbers and bools, and there is none here"
            return f"a dot marks {which}:   {text_of(left)} {other} {text_of(right)}"
        if given is NUMBER and known(kinds[1 - first]) is NUMBER and variants(f".{bare(call.name)}."):
            dotted = f".{bare(call.name)}."
            example = f"(1 .>. 0) {dotted} (2 .>. 0)"
            return f"between comparisons of numbers it is   {dotted}   for example   {example}"
        if given is MASK and wanted is NUMBER and by_definition and known(kinds[0]) in (IMAGE, LABELS):
            return f"to keep only voxels outside it, write   ({text_of(left)} {call.name} 0.5) & !{text}"
    if call.name == "*" and {known(kind) for kind in kinds} in ({IMAGE, MASK}, {LABELS, MASK}):
        image, inside = reversed(call.arguments) if known(kinds[0]) is MASK else call.arguments
        return f"the image in the mask, and 0 outside, is   mask({text_of(image)}, {text_of(inside)})"
    if given is MASK and wanted is IMAGE:
        return f"to have a number image that is 1 in the mask and 0 outside, write   booleanToNumber(1, {text})"
    if given in (IMAGE, LABELS) and wanted is MASK:
        return f"a comparison makes a mask of a number image, for example   {text} >. 0.5"
    if given is MODEL and wanted is MASK:
        return f"a comparison makes a mask of a loaded file, for example   intensity({text}) >. 0.5"
    if given is MASK and wanted is NUMBER and not by_parameter:
        return f"the number of its voxels is   volume({text})"
    if wanted is NUMBER and isinstance(argument, String) and re.fullmatch(r"-?\d+(\.\d+)?", argument.value):
        return f"a number stands without quotes:   {argument.value}"
    return ""


def _dotted(symbol: str, kinds: Sequence[Kind | None], variants: Callable[[str], Variants]) -> str | None:
    """The symbol with dots where they belong for such arguments, if there is one."""
    core = symbol.strip(".")
    if not core or any(not isinstance(known(kind), Type) for kind in kinds):
        return None
    for candidate in (f"{core}.", f".{core}", f".{core}.", core):
        if candidate != symbol and any(_takes(each, kinds) for each in variants(candidate)):
            return candidate
    return None


def no_grid_of(call: Call, kind: Type, marks: tuple[Mark, ...]) -> Diagnostic:
    """`border(3)`."""
    message = f"`{call.name}` takes the voxel grid of an image, and is given {one(kind)}"
    operand = Mark(call.arguments[0].span, "", "~")
    help = f"write   {call.name}   alone to have it on the grid of what it is combined with"
    return Diagnostic("type", message, call.name_span, "", (operand, *marks), help=help)


def no_choice(call: Call, family: Family, number: int, kind: Kind | None, marks: tuple[Mark, ...]) -> Diagnostic:
    """An argument of a family that has none of the types it may have."""
    *others, last = [one(each) for each in family.accepted(number)]
    wanted = f"{', '.join(others)} or {last}" if others else last
    place = f" as its {_ORDINALS[number]} argument" if len(call.arguments) > 1 and number < len(_ORDINALS) else ""
    message = f"`{call.name}` takes {wanted}{place}, and is given {one(kind)}"
    operand = Mark(call.arguments[number].span, "", "~")
    help = ""
    if known(kind) is MASK and IMAGE in family.accepted(number):
        mask = text_of(call.arguments[number])
        help = f"to have a number image that is 1 in the mask, write   booleanToNumber(1, {mask})"
    if known(kind) in (IMAGE, LABELS) and MASK in family.accepted(number):
        text = text_of(call.arguments[number])
        help = f"a comparison makes a mask of a number image, for example   {text} >. 0.5"
    if number == family.like:
        help = "it takes the voxel grid of an image, for instance of another file that is loaded"
    certain = known(kind)
    if STRING in family.accepted(number) and isinstance(certain, Type) and certain.element is not None:
        help = "a sequence is no text; `print` shows it as it is"
    return Diagnostic("type", message, call.name_span, "", (operand, *marks), details=(family.signature,), help=help)


def wrong_literal(argument: Expression, family: Family, refusal: Refusal) -> Diagnostic:
    """A literal that an argument of a family cannot be."""
    return Diagnostic("type", refusal.message, argument.span, details=(family.signature,), help=refusal.help)


DEEPEST = 100
"""How deep the sequences may be nested that are printed: readers of JSON give up a little later."""


def wrong_goal(word: str, at: Span, value: Expression, kind: Kind | None, target: str, mark: Mark | None) -> Diagnostic:
    """A `print` or `save` of what cannot be printed or saved; `target` is its label or path."""
    text, certain = text_of(value), known(kind)
    if isinstance(certain, Type) and certain.depth > DEEPEST and not certain.spatial:
        message = f"`{word}` shows sequences within sequences {DEEPEST} deep, and these are {certain.depth} deep"
        help = "show what is inside:   xs[0]   is the first element of xs"
    elif isinstance(certain, Type) and certain.element is not None:
        message, help = _wrong_sequence(word, text, certain, certain.element, target)
    elif isinstance(certain, Type) and certain.fields is not None:
        fields = {name: each for name, each in certain.fields.items() if each.spatial == (word == "save")}
        wanted = "a number, a bool or a string" if word == "print" else "a mask, a number image, labels or a model"
        message = f"`{word}` takes {wanted}, or a field that is one, and is given {one(kind)}"
        help = "".join([f'for example   {word} "{target}" {text}.{name}' for name in list(fields)[:1]])
    elif word == "print":
        message = f"`print` shows a number, a bool or a string, and is given {one(kind)}"
        file = f'"{target}.nii.gz"'
        looks = f"save {file} {text}"
        if known(kind) is MASK:
            help = f'to count its voxels:   print "{target}" volume({text})\nto look at it:         {looks}'
        elif known(kind) is MODEL:
            help = f"to look at it:   {looks}"
        else:
            number = f'print "{target}" max({text})'
            help = f"for example its largest voxel:   {number}\nto look at it:                   {looks}"
    else:
        message = f"`save` writes a mask, a number image, labels or a model, and is given {one(kind)}"
        label = target.rsplit("/", 1)[-1].split(".")[0]
        if known(kind) is STRING:
            help = f"to name a definition, leave out its quotes:   {text.strip(chr(34))}"
        else:
            help = f'to see it:   print "{label}" {text}'
    marks = (Mark(value.span, "", "~"), *((mark,) if mark else ()))
    return Diagnostic("type", message, at, "", marks, help=help)


def _wrong_sequence(word: str, text: str, kind: Type, element: Type, target: str) -> tuple[str, str]:
    """What is wrong with a sequence as a goal, and what to do."""
    if word == "print":
        message = f"`print` shows numbers, bools, strings and sequences of them, and is given {one(kind)}"
    else:
        message = f"`save` writes a single mask, number image, labels or model, and is given {one(kind)}"
    if not element.spatial:
        label = target.rsplit("/", 1)[-1].split(".")[0]
        return message, f'to see it:   print "{label}" {text}'
    if element.fields is not None:
        field = next((name for name, kind in element.fields.items() if not kind.spatial), "")
        return message, f'to see a field:   print "{target}" for r in {text} do r.{field}' if field else ""
    if element.element is not None:
        return message, f"its first element is   index({text}, 0)"
    file = target if word == "save" else f"{target}.nii.gz"
    looks = f'save "{file}" index({text}, 0)'
    if word == "save":
        return message, f"to save the first of them:   {looks}"
    made = "volume(m)" if element is MASK else "max(intensity(m))" if element is MODEL else "max(m)"
    each = "the voxels of each" if element is MASK else "the largest voxel of each"
    shows = f'print "{target}" for m in {text} do {made}'
    width = len("to look at the first of them:")
    return message, f"{each + ':':{width}}   {shows}\nto look at the first of them:   {looks}"


# Sequences and records

_OF_VOXELS = {"mean": "avg({}, mask)", "std": "array_stats({}).std"}
"""Measures of a sequence's numbers, and what they are called for an image's."""


def no_sequence(word: Span, argument: Expression, kind: Kind | None, takes: str, marks: tuple[Mark, ...]) -> Diagnostic:
    """What should be a sequence, and is none."""
    message = f"{takes}, and this is {one(kind)}"
    help = "a sequence is written   [a, b, c]   or   range(0, 3)"
    if known(kind) is NUMBER and takes.endswith("goes through a sequence"):
        help = f"the numbers from 0 up to it, without it, are   range({text_of(argument)})"
    elif known(kind) is IMAGE and word.text in _OF_VOXELS:
        help = f"of the voxels of an image it is   {_OF_VOXELS[word.text].format(text_of(argument))}"
    return Diagnostic("type", message, word, "", (Mark(argument.span, "", "~"), *marks), help=help)


def no_number(argument: Expression, kind: Kind | None, marks: tuple[Mark, ...], whole: bool = True) -> Diagnostic:
    """An index or a bound that is no number, or another number that is none."""
    message = f"a {'whole ' * whole}number is wanted here, and this is {one(kind)}"
    return Diagnostic("type", message, argument.span, "", tuple(mark for mark in marks if mark.span != argument.span))


def no_whole_number(literal: Expression) -> Diagnostic:
    """`xs[1.5]`."""
    return Diagnostic("type", f"a whole number is wanted here, and {literal.span.text} is none", literal.span)


def no_condition(node: Binder, kind: Kind | None) -> Diagnostic:
    """A `filter` whose body is no bool (C8)."""
    word = Span(node.span.source, node.span.start, node.span.start + len(node.word))
    help = "a condition is a bool"
    if known(kind) is MASK:
        help += f", for example   volume({text_of(node.body)}) > 0"
    elif known(kind) is NUMBER:
        help += f", for example   {text_of(node.body)} > 0"
    message = f"`filter` keeps the elements for which its condition holds, and this one is {one(kind)}"
    return Diagnostic("type", message, word, "", (Mark(node.body.span, "", "~"),), help=help)


def no_function(word: Span, argument: Expression) -> Diagnostic:
    """`map` with something else than a name."""
    help = "for anything else write   for x in … do …"
    message = "`map` takes the name of a function first"
    return Diagnostic("type", message, word, "", (Mark(argument.span, "", "~"),), help=help)


def no_pattern(argument: Expression) -> Diagnostic:
    """`dataset` of what is no string: the fields of its records must be known without running."""
    help = 'for example   dataset("data/{case}/{case}_flair.nii.gz")'
    return Diagnostic("type", "`dataset` takes patterns in quotes", argument.span, help=help)


def field_twice(argument: Expression, name: str) -> Diagnostic:
    """Two patterns, or a pattern and a part, of one name."""
    help = 'name the patterns:   dataset("flair={case}_flair.nii.gz", "seg={case}_seg.nii.gz")'
    return Diagnostic("type", f"two fields would be called `{name}`", argument.span, help=help)


def mixed_list(node: List, number: int, kind: Type, other: Type) -> Diagnostic:
    """A list whose elements are of several types; `number` is that of the first that differs."""
    first, here = node.items[0], node.items[number]
    return Diagnostic(
        "type",
        f"the elements of a list are of one type, and this one is {one(other)}",
        here.span,
        "",
        (Mark(first.span, one(kind), "~"),),
    )


def fold_changes(node: Fold, kind: Type, other: Type) -> Diagnostic:
    """A fold whose operator makes another type of what it made before."""
    message = f"`fold {node.operator}` makes {one(kind)} at first, and {one(other)} of that and the next element"
    return Diagnostic("type", message, node.name_span, "", (Mark(node.arguments[-1].span, "", "~"),))


def no_beginning(node: Fold) -> Diagnostic:
    """`fold / numbers`."""
    values = text_of(node.arguments[-1])
    help = f"say it:   fold(/, {values}[0], {values}[1:])"
    message = "`fold /` has no number to begin with"
    return Diagnostic("type", message, node.name_span, "", (Mark(node.arguments[-1].span, "", "~"),), help=help)


def no_field(node: Field, kind: Type, marks: tuple[Mark, ...], variants: Variants) -> Diagnostic:
    """`value.name` of what has no such field."""
    text, label = text_of(node.record), ""
    help = f"`{node.name}` is a function:   {node.name}({text})" if variants else ""
    element = kind.element.fields if kind.element is not None else None
    if kind.fields is not None:
        close = nearest(node.name, kind.fields)
        label = f"did you mean `{close}`?" if close is not None else ""
        message = f"this record has no field `{node.name}`"
        help = f"it has {', '.join(kind.fields)}"
    else:
        message = f"{one(kind)} has no fields, and so no `.{node.name}`"
        if element is not None and node.name in element:
            help = f"the field of each:   for r in {text} do r.{node.name}"
    return Diagnostic("type", message, node.name_span, label, (Mark(node.record.span, "", "~"), *marks), help=help)
