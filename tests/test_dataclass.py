"""Our quick dataclasses and named tuples are Python's: the same made both ways, and compared in all they do."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import re
import typing
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxlogica import _dataclass

WAYS: list[dict[str, Any]] = [
    {"frozen": frozen, "eq": eq, "slots": slots} for frozen in (0, 1) for eq in (0, 1) for slots in (0, 1)
]
WAYS += [{"unsafe_hash": True, "slots": True}, {"unsafe_hash": True}]


def classes(module: ModuleType, options: dict[str, Any]) -> tuple[Any, Any]:
    """A class and one that inherits from it, made by a module."""

    @module.dataclass(**options)
    class Base:
        a: int
        b: str = "b"

        @property
        def double(self) -> int:
            return 2 * self.a

    @module.dataclass(**options)
    class Derived(Base):
        c: list[int] = module.field(default_factory=list, compare=False)
        e: int = module.field(default=3, kw_only=True)
        d: float = module.field(default=1.5, repr=False)

        def __post_init__(self) -> None:
            self.c.append(len(self.b))

    return Base, Derived


def tried(action: Any) -> object:
    """What an action gives; of an exception, its kind as far as callers can tell."""
    try:
        return action()
    except Exception as error:  # noqa: BLE001 - whatever the other raises
        return next(kind for kind in (AttributeError, TypeError, Exception) if isinstance(error, kind))


def told(module: ModuleType, options: dict[str, Any], a: int, b: str, d: float) -> list[object]:
    """What two instances of the classes do."""
    base, derived = classes(module, options)
    x, y = base(a, b), derived(a, b, d=d)
    other = derived(a, b, [7], d)
    return [
        repr(x).split(".")[-1], repr(y).split(".")[-1], repr(other).split(".")[-1], x.double, y.double, y.c, y.d,
        x == base(a, b), x == y, y == other, y == derived(a + 1, b), x == (a, b),
        tried(lambda: hash(x) == hash(base(a, b))) is not False or not options.get("eq", True),
        tried(lambda: hash(y) == hash(other)), tried(lambda: setattr(y, "a", 0)), tried(lambda: delattr(x, "a")),
        tried(lambda: base()), tried(lambda: base(1, 2, 3)), derived(a, e=a).e,
        tried(lambda: derived(a, b, [], d, 1)), tried(lambda: base(a=1, c=2)),
        re.sub("<.*?>", "made", str(inspect.signature(derived))),
        repr(module.replace(y, a=5, c=[1])).split(".")[-1], module.asdict(derived(base(a, b), b, [1, 2], d)),
        base.__match_args__, derived.__match_args__, hasattr(x, "__dict__"), tried(lambda: copy.copy(y).c == y.c),
    ]  # fmt: skip


@pytest.mark.parametrize("options", WAYS, ids=str)
@given(a=st.integers(), b=st.text(), d=st.floats(allow_nan=False))
def test_the_same_as_pythons(options: dict[str, Any], a: int, b: str, d: float) -> None:
    assert told(_dataclass, options, a, b, d) == told(dataclasses, options, a, b, d)


@_dataclass.dataclass(frozen=True, slots=True)
class Point:
    x: int
    y: tuple[int, ...] = ()


@_dataclass.dataclass(frozen=True)
class Loose:
    z: int


@_dataclass.dataclass(frozen=True, slots=True)
class Mixed(Loose):
    """Has a `__dict__` from its base, and slots of its own."""

    x: int = 0


@pytest.mark.parametrize("made", [Point(1, (2,)), Loose(1), Mixed(1, 2)], ids=repr)
def test_they_can_be_pickled(made: object) -> None:
    assert pickle.loads(pickle.dumps(made)) == made  # noqa: S301


def test_the_functions_of_dataclasses_take_them() -> None:
    changed: Point = dataclasses.replace(Point(1), y=(3,))
    assert (changed, dataclasses.asdict(changed)) == (Point(1, (3,)), {"x": 1, "y": (3,)})
    assert dataclasses.is_dataclass(Point)


@pytest.mark.parametrize("module", [_dataclass, dataclasses], ids=["ours", "Python's"])
def test_the_fields_of_several_bases_are_in_the_order_of_python(module: ModuleType) -> None:
    @module.dataclass(frozen=True)
    class A:
        x: int
        name: str = "a"

    @module.dataclass(frozen=True)
    class B:
        x: int
        y: int
        z: int = 3

    @module.dataclass(frozen=True)
    class Both(A, B):
        last: int = 4

    assert Both.__match_args__ == ("x", "y", "z", "name", "last")
    assert Both(1, 2) == Both(x=1, y=2, z=3, name="a", last=4)


@pytest.mark.parametrize("module", [_dataclass, dataclasses], ids=["ours", "Python's"])
def test_a_field_named_again_keeps_the_default_of_its_base(module: ModuleType) -> None:
    @module.dataclass
    class A:
        x: int = 3

    @module.dataclass
    class B(A):
        x: int

    assert B() == B(3)
    slotted = module.dataclass(slots=True)(type("C", (), {"__annotations__": {"x": int}}))
    again = module.dataclass(slots=True)(type("D", (slotted,), {"__annotations__": {"x": int}}))
    assert again(2).x == 2
    with pytest.raises(TypeError):
        again()


@pytest.mark.parametrize("module", [_dataclass, dataclasses], ids=["ours", "Python's"])
def test_a_class_that_is_wrong_is_refused_when_it_is_made(module: ModuleType) -> None:
    with pytest.raises(TypeError, match="default"):

        @module.dataclass
        class Order:
            x: int = 1
            y: int

    with pytest.raises(ValueError, match="default"):

        @module.dataclass
        class Shared:
            x: list[int] = []  # noqa: RUF012


@pytest.mark.parametrize("annotation", ["ClassVar[int]", "InitVar[int]", "KW_ONLY"])
def test_what_ours_has_not_is_refused(annotation: str) -> None:
    with pytest.raises(TypeError, match="takes a dataclass of Python's"):
        _dataclass.dataclass(type("Other", (), {"__annotations__": {"x": annotation}}))


@pytest.mark.parametrize("module", [_dataclass, dataclasses], ids=["ours", "Python's"])
def test_patterns_take_them_apart_and_mistakes_name_the_class(module: ModuleType) -> None:
    @module.dataclass(frozen=True, slots=True)
    class Pair:
        left: int
        right: int

    match Pair(1, 2):
        case Pair(left, right):
            assert (left, right) == (1, 2)
        case _:
            pytest.fail("it is a pair")
    with pytest.raises(TypeError, match=r"Pair\.__init__\(\) missing 1 required positional argument: 'right'"):
        Pair(1)


def test_own_methods_are_kept() -> None:
    @_dataclass.dataclass(frozen=True)
    class Own:
        x: int

        def __init__(self, x: int) -> None:
            object.__setattr__(self, "x", x + 1)

        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 7

        def __repr__(self) -> str:
            return "own"

    assert (Own(1).x, Own(1) == Own(2), hash(Own(1)), repr(Own(1))) == (2, True, 7, "own")


def named(base: Any) -> tuple[Any, Any]:
    """A named tuple and a class derived from it."""

    class Named(base):
        """What it is."""

        a: int
        b: str = "b"
        c: tuple[int, ...] = ()

        @property
        def double(self) -> int:
            return 2 * int(self.a)

    class Derived(Named):
        __slots__ = ()

        def double_b(self) -> str:
            return 2 * str(self.b)

    return Named, Derived


def told_of_tuples(base: Any, a: int, b: str) -> list[object]:
    """What named tuples do."""
    made, derived = named(base)
    first, second, third = made(a), made(a, b, (1,)), derived(c=(2,), a=a)
    x, *rest = second
    return [
        repr(first), repr(second), repr(third), first.double, third.double_b(), second.b, second[1], x, rest,
        first == (a, "b", ()), second == made(a, b, (1,)), hash(second) == hash((a, b, (1,))), second < third,
        first._replace(b=b), repr(third._replace(a=1)), first._asdict(), repr(made._make((1, "2", ()))), made._fields,
        made._field_defaults, made.__match_args__, made.__bases__, made.__doc__, made.__name__,
        list(made.__annotations__),
        hasattr(first, "__dict__"), copy.copy(third) == third, type(copy.deepcopy(third)) is derived,
        tried(lambda: made()), tried(lambda: made(1, 2, 3, 4)), tried(lambda: made(1, d=2)),
        tried(lambda: made(1, a=1)), tried(lambda: setattr(first, "a", 2)), tried(lambda: setattr(first, "d", 2)),
        len(first), isinstance(first, tuple),
    ]  # fmt: skip


@given(a=st.integers(), b=st.text())
def test_named_tuples_are_pythons(a: int, b: str) -> None:
    assert told_of_tuples(_dataclass.NamedTuple, a, b) == told_of_tuples(typing.NamedTuple, a, b)


class Pair(_dataclass.NamedTuple):
    x: int
    y: float = 0.5


@pytest.mark.parametrize("base", [_dataclass.NamedTuple, typing.NamedTuple])
def test_a_named_tuple_s_own_repr_is_its_own(base: Any) -> None:
    class Shy(base):
        x: int

        def __repr__(self) -> str:
            return f"<{self.x}>"

    class Shyer(Shy):
        pass

    assert (repr(Shy(1)), repr(Shyer(2))) == ("<1>", "<2>")


def test_named_tuples_can_be_pickled_and_refuse_what_pythons_refuse() -> None:
    assert pickle.loads(pickle.dumps(Pair(1))) == Pair(1, 0.5)  # noqa: S301
    with pytest.raises(ValueError, match="no fields z"):
        Pair(1)._replace(z=2)
    with pytest.raises(TypeError, match="without a default after"):

        class Wrong(_dataclass.NamedTuple):
            x: int = 0
            y: int
