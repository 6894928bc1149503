"""Formulas as outcomes: what a task returns is encoded canonically, and decoded to formulas with the same ids."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxlogica import identity
from voxlogica.formula import (
    FORMULAS,
    IMAGE,
    NUMBER,
    Builder,
    Formula,
    Formulas,
    Leaf,
    Operator,
    Type,
    Unreadable,
    decode,
    encode,
    returned,
)
from voxlogica.values import Space

SPACE = Space.grid(3, 4, spacing=(0.1, 1e-9))


def operator(name: str, *parameters: Type, result: Type = NUMBER, **more: bool) -> Operator:
    named = tuple((f"a{n}", kind) for n, kind in enumerate(parameters))
    return Operator(name, name, 1, named, result, lambda *_: 0.0, "", **more)


ADD = operator("add", NUMBER, NUMBER)
SUM = operator("sum", IMAGE)
BLANK = operator("blank", result=IMAGE)
SCALE = operator("scale", IMAGE, NUMBER, result=IMAGE)
MANY = operator("many", IMAGE, NUMBER, result=FORMULAS, dynamic=True)
PICK = operator("pick", IMAGE, NUMBER, result=IMAGE, dynamic=True)
MOVED = operator("moved", IMAGE, result=IMAGE, bridge=True)
KNOWN = {o.name: o for o in (ADD, SUM, BLANK, SCALE, MOVED)}

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4).map(tuple),
)


@given(plain)
def test_canonical_bytes_are_read_back(value: object):
    data = identity.canonical(value)  # type: ignore[arg-type]
    assert identity.canonical(identity.plain(data)) == data
    assert repr(identity.plain(data)) == repr(normal(value))


def normal(value: object) -> object:
    if isinstance(value, float):
        return math.nan if value != value else value + 0.0
    return tuple(normal(item) for item in value) if isinstance(value, tuple) else value


@given(plain, st.integers(0, 10**6), st.binary(min_size=0, max_size=3))
def test_other_bytes_are_refused(value: object, at: int, other: bytes):
    data = identity.canonical(value)  # type: ignore[arg-type]
    at %= len(data)
    changed = data[:at] + other + data[at + 1 :]
    try:
        assert identity.canonical(identity.plain(changed)) == changed
    except (ValueError, RecursionError):
        assert changed != data


def task(kind: Operator = MANY) -> Formula:
    table = Formulas()
    leaf = table.apply(operator("first", IMAGE, result=IMAGE), (table.apply(BLANK, (), SPACE),))
    return table.apply(kind, (leaf, table.constant(3.0)))


@st.composite
def formulas(draw: st.DrawFn) -> tuple[Formula, list[Formula]]:
    """A task, and some formulas that its body might return."""
    here = task()
    builder = Builder(here)
    images = [here.arguments[0]]
    numbers = [here.arguments[1], builder.constant(-1.5)]
    for _ in range(draw(st.integers(0, 12))):
        match draw(st.integers(0, 5)):
            case 0:
                numbers.append(builder.apply(ADD, draw(st.sampled_from(numbers)), draw(st.sampled_from(numbers))))
            case 1:
                numbers.append(builder.apply(SUM, draw(st.sampled_from(images))))
            case 2:
                images.append(builder.apply(SCALE, draw(st.sampled_from(images)), draw(st.sampled_from(numbers))))
            case 3:
                images.append(builder.apply(BLANK, space=Space.grid(*draw(st.sampled_from([(2, 2), (1, 2, 3)])))))
            case 4:
                numbers.append(builder.constant(draw(st.floats(allow_nan=True))))
            case 5:
                grid = Space.grid(*draw(st.sampled_from([(2, 2), (5, 1)])))
                images.append(builder.apply(MOVED, draw(st.sampled_from(images)), space=grid))
    return here, draw(st.lists(st.sampled_from(images + numbers)))


@given(formulas())
def test_what_is_decoded_has_the_ids_of_what_was_encoded(drawn: tuple[Formula, list[Formula]]):
    here, found = drawn
    data = encode(here, found)
    again = decode(here, data, KNOWN.get)
    assert [f.id for f in again] == [f.id for f in found]
    assert encode(here, again) == data
    assert encode(task(), found) == data, "equal tasks, equal bytes"


def test_the_bytes_do_not_grow_with_what_the_task_reads():
    here = task()
    builder = Builder(here)
    data = encode(here, [builder.apply(SCALE, here.arguments[0], builder.constant(2.0))])
    assert identity.plain(data) == (
        "formulas", 1, (("argument", 0), ("constant", 2.0), ("apply", "scale", 1, (0, 1), None)), (2,),
    )  # fmt: skip


def test_a_file_below_the_task_is_named_by_its_id_and_another_is_refused():
    table = Formulas()
    leaf, other = (table.leaf(Leaf(f"{c}.png", c.encode() * 32, "png", 1, SPACE)) for c in "ab")
    first = operator("first", leaf.type, result=IMAGE)
    here = table.apply(MANY, (table.apply(first, (leaf,)), table.constant(3.0)))
    known = {"first": first, **KNOWN}
    assert decode(here, encode(here, [table.apply(first, (leaf,))]), known.get)[0].arguments == (leaf,)
    with pytest.raises(ValueError, match="a file that it does not read"):
        encode(here, [other])


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "canonical"),
        (identity.canonical(("formulas", 2, (), ())), "format"),
        (identity.canonical(("formulas", 1, (("apply", "gone", 1, (), None),), (0,))), "gone"),
        (identity.canonical(("formulas", 1, (("apply", "add", 2, (), None),), (0,))), "add 2"),
        (identity.canonical(("formulas", 1, (("apply", "add", 1, (), None),), (0,))), "takes 2 arguments"),
        (identity.canonical(("formulas", 1, (("argument", 7),), (0,))), "range"),
        (identity.canonical(("formulas", 1, (("what", 7),), (0,))), "not a formula"),
        (identity.canonical(("formulas", 1, (("file", b"x"),), (0,))), "x"),
    ],
)
def test_what_cannot_be_read_says_why(data: bytes, match: str):
    with pytest.raises(Unreadable, match=match):
        decode(task(), data, KNOWN.get)


def test_what_a_body_returns_is_of_the_type_it_declares():
    many, pick = task(), task(PICK)
    image = pick.arguments[0]
    elsewhere = Builder(pick).apply(BLANK, space=Space.grid(9, 9))
    assert returned(pick, image) == (image,)
    assert returned(many, [image, image]) == (image, image)
    assert returned(many, ()) == ()
    for where, wrong in ((pick, 1.0), (pick, [image]), (pick, elsewhere), (pick, many.arguments[1]), (many, image)):
        with pytest.raises(TypeError, match="is to return"):
            returned(where, wrong)
    with pytest.raises(TypeError, match="is to return"):
        returned(many, [image, 1.0])
