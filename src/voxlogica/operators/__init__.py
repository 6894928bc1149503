"""The primitives of the logic: one declaration each, one file per fragment.

    @operator(symbol="near", cost="neighbourhood")
    def near(a: Mask) -> Mask:
        '''True where some voxel of the 3x3 (2D) or 3x3x3 (3D) box around the voxel, itself included, is true.

        >>> holds("near(a)", a="00100")
        '01110'
        '''

The annotations are the type the checker sees, the docstring the manual entry, whose example runs as a test. A leading
parameter `space: Space` is supplied by the engine, and so is a keyword `threads: int`. Kernels are imported in the
body, so that a declaration costs nothing to read. Several results are a record: its type is a frozen dataclass of the
same file, of which the body returns an instance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, wraps
from importlib import import_module
from types import MappingProxyType
from typing import Any, TypeVar

from voxlogica._dataclass import annotations_of
from voxlogica.formula import BOOL, BYTES, IMAGE, LABELS, MASK, MODEL, NUMBER, STRING, Operator, Type, record, sequence
from voxlogica.operators.families import Family
from voxlogica.values import Record, Space

_Body = TypeVar("_Body", bound=Callable[..., Any])

FRAGMENTS = (
    "scalars", "geometry", "logic", "arithmetic", "comparison", "aggregates", "spatial", "colour", "similarity",
    "filters", "measures", "grids", "strings", "geom", "test", "files",
)  # fmt: skip
"""The files of this room, in the order of the manual."""

COSTS = (
    "scalar", "bits", "voxels", "neighbourhood", "components", "distance", "histogram", "window", "windows", "file",
    "mask_file",
)  # fmt: skip
"""The classes of running time an operator may declare."""

NAMESPACES = ("strings", "geom", "test")
"""The fragments whose operators are in a namespace of the same name."""

_TYPES: dict[str, Type] = {
    "tuple[float, ...]": sequence(NUMBER),
    "float": NUMBER, "bool": BOOL, "str": STRING, "Model": MODEL, "Image": IMAGE, "Mask": MASK, "Labels": LABELS,
    "bytes": BYTES, "Value": MODEL,
}  # fmt: skip

_declared: dict[str, Operator] = {}
_families: dict[str, Family] = {}
_own: dict[str, Operator] = {}


def declare_family(family: Family) -> None:
    """Makes a family known by its symbol."""
    assert family.symbol not in _families
    _families[family.symbol] = family


def families() -> Mapping[str, Family]:
    """The families by symbol, but for those of the namespace `simpleitk`."""
    operators()
    return MappingProxyType(_families)


def family(symbol: str) -> Family | None:
    """The family of a symbol."""
    if symbol.startswith("simpleitk."):
        from voxlogica.operators import simpleitk  # seldom needed, and long to read

        return simpleitk.family(symbol)
    return families().get(symbol)


class DeclarationError(Exception):
    """An operator was declared twice, without documentation or example, or with a type outside the logic."""


def operator(
    *,
    symbol: str = "",
    also: tuple[str, ...] = (),
    version: int = 1,
    cost: str = "voxels",
    commutative: bool = False,
    hidden: bool = False,
    isolate: bool = False,
    library: str = "",
    bridge: bool = False,
    grid: Callable[..., Space] | None = None,
) -> Callable[[_Body], _Body]:
    """Declares the decorated function as an operator of the logic, and returns it; one of a record returns `Record`s.

    `symbol` is how programs write it, the function's name unless given, and `also` what else they may write where the
    types say that it is meant; `version` is raised when its results change; `isolate` has it run in a process of its
    own, for external tools and code that may crash or never end; `library` is the package that computes it, if that is
    not ours: its version enters the ids. For `bridge` and `grid` see `Operator`. In the file of a namespace the name
    and the symbol get it before them.
    Raises `DeclarationError` at import when the declaration is not whole.
    """

    def declare(body: _Body) -> _Body:
        fragment = body.__module__.rpartition(".")[2]
        prefix = f"{fragment}." if fragment in NAMESPACES else ""
        name = prefix + body.__name__.rstrip("_")
        doc = documentation(body)
        if name in _declared:
            raise DeclarationError(f"the operator `{name}` is declared twice")
        if not doc or (">>>" not in doc and not hidden):
            raise DeclarationError(f"the operator `{name}` has no documentation with an example")
        if cost not in COSTS:
            raise DeclarationError(f"the operator `{name}` declares the unknown cost {cost!r}")
        hints = dict(body.__annotations__)
        result = _type(name, hints.pop("return", None), body.__globals__)
        if result.fields is not None:
            body = _recording(body)
        needs_space = hints.pop("space", None) == "Space"
        takes_threads = hints.pop("threads", None) == "int"
        _declared[name] = Operator(
            name=name,
            symbol=prefix + symbol if symbol else name,
            version=version,
            parameters=tuple((n.rstrip("_"), _type(name, hint)) for n, hint in hints.items()),
            result=result,
            body=body,
            doc=doc,
            also=also,
            cost=cost,
            needs_space=needs_space,
            takes_threads=takes_threads,
            commutative=commutative,
            hidden=hidden,
            isolate=isolate,
            library=library,
            bridge=bridge,
            grid=grid,
        )
        return body

    return declare


def documentation(body: Callable[..., object]) -> str:
    """The docstring without its indentation: `inspect.getdoc`, whose import would take longer than all our own."""
    first, *rest = (body.__doc__ or "").strip().expandtabs().split("\n")
    indentation = min([len(line) - len(line.lstrip()) for line in rest if line.strip()], default=0)
    return "\n".join([first, *[line[indentation:] for line in rest]])


def _type(name: str, hint: object, named: Mapping[str, Any] = MappingProxyType({})) -> Type:
    """The type that an annotation says; `named` has the records that may be meant."""
    if isinstance(hint, str) and hint in _TYPES:
        return _TYPES[hint]
    found = named.get(hint) if isinstance(hint, str) else None
    fields = annotations_of(found)
    if fields is None:
        raise DeclarationError(f"the operator `{name}` uses the type {hint!r}, which is not one of the logic's")
    return record(*((field, _type(name, annotation)) for field, annotation in fields.items()))


def _recording(body: _Body) -> _Body:
    """The same function, which returns a record for an instance of a dataclass."""

    @wraps(body)
    def recorded(*arguments: Any, **options: Any) -> Record:
        return Record(vars(body(*arguments, **options)))

    return recorded  # type: ignore[return-value]


@cache
def operators() -> Mapping[str, Operator]:
    """Every operator by name, in the order of the manual, whoever imported which fragment first."""
    places = {f"voxlogica.operators.{fragment}": place for place, fragment in enumerate(FRAGMENTS)}
    for fragment in places:
        import_module(fragment)
    in_order = sorted(_declared.items(), key=lambda item: places[item[1].body.__module__])
    return MappingProxyType(dict(in_order))


def named(name: str) -> Operator | None:
    """The operator of a name, as it stands in ids: one of a family too."""
    symbol, bracket, kinds = name.partition("(")
    if not bracket:
        return operators().get(name)
    found = family(symbol)
    types = tuple([known for kind in kinds[:-1].split(", ") if (known := _NAMED.get(kind)) is not None])
    for each in (found, *found.others) if found is not None else ():
        if each.fit(types) is None and each.make(types).name == name:
            return each.make(types)
    return None


_PLAIN = (NUMBER, BOOL, STRING, MODEL, IMAGE, MASK, LABELS)
_NAMED = {str(kind): kind for kind in (*_PLAIN, *map(sequence, _PLAIN), sequence(sequence(NUMBER)))}


@cache
def by_symbol() -> Mapping[str, tuple[Operator, ...]]:
    """The operators programs may write, by symbol; those that share one are told apart by their types."""
    found: dict[str, tuple[Operator, ...]] = {}
    for each in operators().values():
        symbols = [] if each.hidden else [each.symbol, *each.also]
        if each.body.__module__.endswith(".measures"):
            symbols += [f"arrays.{symbol}" for symbol in symbols]
        for symbol in symbols:
            found[symbol] = (*found.get(symbol, ()), each)
    return MappingProxyType(found)


def own() -> Mapping[str, Operator]:
    """The operators that users have declared in this process, by symbol; programs may write them as any other."""
    return MappingProxyType(_own)


def declare_own(operator: Operator) -> None:
    """From now on programs that are checked may use it; one of the same symbol is replaced for these."""
    _own[operator.symbol] = operator
