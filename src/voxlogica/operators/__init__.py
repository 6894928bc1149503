"""The primitives of the logic: one declaration each, one file per fragment.

    @operator(symbol="near", cost="neighbourhood")
    def near(a: Mask) -> Mask:
        '''True where some voxel of the 3x3 (2D) or 3x3x3 (3D) box around the voxel, itself included, is true.

        >>> holds("near(a)", a="00100")
        '01110'
        '''

The annotations are the type the checker sees, the docstring the manual entry, whose example runs as a test. A leading
parameter `space: Space` is supplied by the engine, and so is a keyword `threads: int`. Kernels are imported in the
body, so that a declaration costs nothing to read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import TypeVar

from voxlogica.formula import BOOL, BYTES, IMAGE, LABELS, MASK, MODEL, NUMBER, STRING, Operator, Type
from voxlogica.values import Value

_Body = TypeVar("_Body", bound=Callable[..., Value])

FRAGMENTS = (
    "scalars", "geometry", "logic", "arithmetic", "comparison", "aggregates", "spatial", "colour", "similarity",
    "filters", "measures", "files",
)  # fmt: skip
"""The files of this room, in the order of the manual."""

COSTS = ("scalar", "bits", "voxels", "neighbourhood", "components", "distance", "histogram", "window", "file")
"""The classes of running time an operator may declare."""

_TYPES: dict[str, Type] = {
    "float": NUMBER, "bool": BOOL, "str": STRING, "Model": MODEL, "Image": IMAGE, "Mask": MASK, "Labels": LABELS,
    "bytes": BYTES, "Value": MODEL,
}  # fmt: skip

_declared: dict[str, Operator] = {}


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
) -> Callable[[_Body], _Body]:
    """Declares the decorated function as an operator of the logic, and returns it unchanged.

    `symbol` is how programs write it, the function's name unless given, and `also` what else they may write where the
    types say that it is meant; `version` is raised when its results change; `isolate` has it run in a process of its
    own, for external tools and code that may crash or never end; `library` is the package that computes it, if that is
    not ours: its version enters the ids.
    Raises `DeclarationError` at import when the declaration is not whole.
    """

    def declare(body: _Body) -> _Body:
        name = body.__name__.rstrip("_")
        doc = documentation(body)
        if name in _declared:
            raise DeclarationError(f"the operator `{name}` is declared twice")
        if not doc or (">>>" not in doc and not hidden):
            raise DeclarationError(f"the operator `{name}` has no documentation with an example")
        if cost not in COSTS:
            raise DeclarationError(f"the operator `{name}` declares the unknown cost {cost!r}")
        hints = dict(body.__annotations__)
        result = _type(name, hints.pop("return", None))
        needs_space = hints.pop("space", None) == "Space"
        takes_threads = hints.pop("threads", None) == "int"
        _declared[name] = Operator(
            name=name,
            symbol=symbol or name,
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
        )
        return body

    return declare


def documentation(body: Callable[..., object]) -> str:
    """The docstring without its indentation: `inspect.getdoc`, whose import would take longer than all our own."""
    first, *rest = (body.__doc__ or "").strip().expandtabs().split("\n")
    indentation = min([len(line) - len(line.lstrip()) for line in rest if line.strip()], default=0)
    return "\n".join(
        [first, *[line[indentation:].rstrip() if not line.strip() else line[indentation:] for line in rest]]
    )


def _type(name: str, hint: object) -> Type:
    if not isinstance(hint, str) or hint not in _TYPES:
        raise DeclarationError(f"the operator `{name}` uses the type {hint!r}, which is not one of the logic's")
    return _TYPES[hint]


@cache
def operators() -> Mapping[str, Operator]:
    """Every operator by name, in the order of the manual."""
    for fragment in FRAGMENTS:
        import_module(f"voxlogica.operators.{fragment}")
    return MappingProxyType(_declared)


@cache
def by_symbol() -> Mapping[str, tuple[Operator, ...]]:
    """The operators programs may write, by symbol; those that share one are told apart by their types."""
    found: dict[str, tuple[Operator, ...]] = {}
    for each in operators().values():
        for symbol in () if each.hidden else (each.symbol, *each.also):
            found[symbol] = (*found.get(symbol, ()), each)
    return MappingProxyType(found)
