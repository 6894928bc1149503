"""Kernels that do the work of several operators at once, as operators that only rewrites make formulas of.

Their ids are nobody's business: what they compute is stored under the id of the formula they stand in for (`rules.py`).
So they have no version, and are not among the operators of the language.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from math import gcd
from typing import TYPE_CHECKING, Any, cast

from voxlogica.formula import BOOL, IMAGE, MASK, NUMBER, STRING, Operator, Type
from voxlogica.operators import documentation, operators
from voxlogica.operators.comparison import compared
from voxlogica.values import Image, Mask, Numbers, Space, Value

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voxlogica.kernels.arrays import Shape, Words
    from voxlogica.kernels.fields import Windows
    from voxlogica.kernels.masks import Comparison

_TYPES: dict[str, Type] = {"float": NUMBER, "bool": BOOL, "str": STRING, "Image": IMAGE, "Mask": MASK}


def _operator(body: Callable[..., Value], cost: str) -> Operator:
    hints = dict(body.__annotations__)
    result = _TYPES[hints.pop("return")]
    threads = hints.pop("threads", None) is not None
    parameters = tuple((name, _TYPES[hint]) for name, hint in hints.items())
    name = body.__name__
    return Operator(
        name, name, 1, parameters, result, body, documentation(body), cost, takes_threads=threads, hidden=True
    )


def compare(a: Image, relation: str, k: float, *, threads: int = 1) -> Mask:
    """Where a voxel is in a relation with k."""
    op, negated = _parts(relation)
    return _mask(a, compared(a, op, k, threads), negated)


def compare_masked(a: Image, b: Mask, relation: str, k: float, *, threads: int = 1) -> Mask:
    """`compare` of a where b holds, and of 0 elsewhere."""
    from voxlogica.kernels import masks

    op, negated = _parts(relation)
    inside = compared(a, op, k, threads)
    if masks.compare_numbers(0.0, op, k):
        return _mask(a, masks.disjunction(inside, masks.complement(b.words(), a.space.size[0])), negated)
    return _mask(a, masks.conjunction(inside, b.words()), negated)


def compare_distance(a: Mask, relation: str, k: float, *, threads: int = 1) -> Mask:
    """`compare` of the signed distance to a."""
    return _compare_distance(a, relation, k, False, threads)


def compare_outer_distance(a: Mask, relation: str, k: float, *, threads: int = 1) -> Mask:
    """`compare` of the distance to a, which is 0 in a."""
    return _compare_distance(a, relation, k, True, threads)


def difference(a: Mask, b: Mask, *, threads: int = 1) -> Mask:
    """Where a holds and b does not."""
    from voxlogica.kernels import masks

    return Mask.of(a.space, masks.difference(a.words(), b.words(), threads=threads))


def correlate(
    windows: Image, phi: Mask, rho: float, low: float, high: float, bins: float, *, threads: int = 1
) -> Image:
    """`crossCorrelation` of an image with itself, whose windows are given."""
    return _correlate(windows, None, phi, rho, (low, high, bins), threads)


def correlate_other(
    windows: Image, b: Image, phi: Mask, rho: float, low: float, high: float, bins: float, *, threads: int = 1
) -> Image:
    """`crossCorrelation` of the image whose windows are given with b."""
    return _correlate(windows, b, phi, rho, (low, high, bins), threads)


def compare_correlation(
    windows: Image,
    phi: Mask,
    rho: float,
    low: float,
    high: float,
    bins: float,
    relation: str,
    k: float,
    *,
    threads: int = 1,
) -> Mask:
    """`compare` of `correlate`."""
    return _compare_correlation(windows, None, phi, rho, (low, high, bins), relation, k, threads)


def compare_correlation_other(
    windows: Image,
    b: Image,
    phi: Mask,
    rho: float,
    low: float,
    high: float,
    bins: float,
    relation: str,
    k: float,
    *,
    threads: int = 1,
) -> Mask:
    """`compare` of `correlate_other`."""
    return _compare_correlation(windows, b, phi, rho, (low, high, bins), relation, k, threads)


_Correlated = tuple["Windows", "Shape", "Numbers | None", "Words", tuple[int, int, int], float, float, int]


def _correlated(
    windows: Image, b: Image | None, phi: Mask, rho: float, bins: tuple[float, float, float]
) -> _Correlated:
    """The arguments of kernels that correlate; see the operator `windows` for what the space of these says."""
    from voxlogica.kernels import fields

    low, high, count = bins
    x, y, z = map(int, windows.space.origin)
    held = fields.Windows((z, y, x), windows.data.cast("I", windows.space.shape))
    radius, other = fields.window_radius(rho, phi.space.spacing3), b.voxels() if b is not None else None
    return held, phi.space.shape, other, phi.words(), radius, low, high, int(count)


def _correlate(
    windows: Image, b: Image | None, phi: Mask, rho: float, bins: tuple[float, float, float], threads: int
) -> Image:
    from voxlogica.kernels import fields

    correlated = _correlated(windows, b, phi, rho, bins)
    return Image.of(phi.space, fields.correlation_of(*correlated, threads=threads))


def _compare_correlation(
    windows: Image,
    b: Image | None,
    phi: Mask,
    rho: float,
    bins: tuple[float, float, float],
    relation: str,
    k: float,
    threads: int,
) -> Mask:
    from voxlogica.kernels import fields

    op, negated = _parts(relation)
    correlated = _correlated(windows, b, phi, rho, bins)
    return _mask(phi, fields.compare_correlation(*correlated, op, k, threads=threads), negated)


SLAB = 1 << 18
"""Voxels of a slab: its images, a few of a megabyte, stay in the cache; calls on smaller ones take longer than work."""


def voxelwise(program: str, *inputs: Value) -> Image:
    """Operators that see one voxel at a time, each on a slab of the images before the next slab is begun.

    `program` is in postfix: numbers are inputs, names operators. Slabs are of whole rows, one after the other.
    """
    import numpy as np

    space = _space(inputs)
    out = np.empty(space.shape, np.float32)
    for rows, slab in _in_slabs(program, inputs, out):
        rows[:] = cast("Image", slab).array().reshape(rows.shape)
    return Image.of(space, out)


def voxelwise_mask(program: str, *inputs: Value) -> Mask:
    """The same where the last operator is a comparison."""
    import numpy as np

    space = _space(inputs)
    z, y, x = space.shape
    out = np.empty((z, y, -(-x // 64)), np.uint64)
    for rows, slab in _in_slabs(program, inputs, out):
        rows[:] = np.asarray(cast("Mask", slab).words()).reshape(rows.shape)
    return Mask.of(space, out)


def _space(inputs: Sequence[Value]) -> Space:
    return next(each.space for each in inputs if isinstance(each, (Image, Mask)))


def _in_slabs(program: str, inputs: Sequence[Value], out: NDArray[Any]) -> Iterator[tuple[NDArray[Any], Value]]:
    """The rows of the result that a slab is for, and the slab.

    Of two NaNs, NumPy's product is one or the other as its loop comes to the voxel in vectors or, at the end of the
    array, one by one. So that each voxel is where it is in the whole image, slabs are multiples of 64 voxels.
    """
    words, (z, y, x) = program.split(), _space(inputs).shape
    count, unit = z * y, 64 // gcd(64, x)
    thickness, rows = max(1, SLAB // x // unit) * unit, out.reshape(count, -1)
    for begin in range(0, count, thickness):
        end = min(begin + thickness, count)
        here = Space.grid(x, end - begin)
        parts = [_part(each, begin, end, count, here) for each in inputs]
        stack: list[Value] = []
        for word in words:
            if word.isdigit():
                stack.append(parts[int(word)])
            else:
                operator = COMPARE if word == COMPARE.name else operators()[word]
                first = len(stack) - len(operator.parameters)
                stack[first:] = [cast("Value", operator.body(*stack[first:]))]
        yield rows[begin:end], stack.pop()


def _part(value: Value, begin: int, end: int, count: int, here: Space) -> Value:
    if not isinstance(value, (Image, Mask)):
        return value
    held = value.held
    size = (held.nbytes if isinstance(held, memoryview) else held.count) // count
    first, last = begin * size, end * size
    return type(value)(here, held[first:last] if isinstance(held, memoryview) else held.part(first, last))


def _compare_distance(a: Mask, relation: str, k: float, outer: bool, threads: int) -> Mask:
    from voxlogica.kernels import balls

    op, negated = _parts(relation)
    space = a.space
    words = balls.compare_distance(
        a.words(), space.size[0], space.spacing3, op, k, never_negative=outer, threads=threads
    )
    return _mask(a, words, negated)


def _parts(relation: str) -> tuple[Comparison, bool]:
    return cast("Comparison", relation.removeprefix("not ")), relation.startswith("not ")


def _mask(like: Image | Mask, words: Words, negated: bool) -> Mask:
    from voxlogica.kernels import masks

    return Mask.of(like.space, masks.complement(words, like.space.size[0]) if negated else words)


@cache
def of_summary() -> Operator:
    """One of the numbers that `summary` finds in one pass."""
    from voxlogica.operators import aggregates

    body = aggregates.of_summary
    parameters = (("found", operators()["summary"].result), ("name", STRING))
    name = body.__name__
    return Operator(name, name, 1, parameters, NUMBER, body, documentation(body), "scalar", hidden=True)


COMPARE = _operator(compare, "voxels")
COMPARE_MASKED = _operator(compare_masked, "voxels")
COMPARE_DISTANCE = _operator(compare_distance, "ball")
COMPARE_OUTER_DISTANCE = _operator(compare_outer_distance, "ball")
DIFFERENCE = _operator(difference, "bits")
CORRELATE = _operator(correlate, "histogram")
CORRELATE_OTHER = _operator(correlate_other, "histogram")
COMPARE_CORRELATION = _operator(compare_correlation, "histogram")
COMPARE_CORRELATION_OTHER = _operator(compare_correlation_other, "histogram")


@cache
def chain(inputs: tuple[Type, ...], result: Type) -> Operator:
    """`voxelwise` or `voxelwise_mask` for inputs of these types."""
    body: Callable[..., Value] = voxelwise if result is IMAGE else voxelwise_mask
    parameters = (("program", STRING), *((f"input{n}", each) for n, each in enumerate(inputs)))
    return Operator(body.__name__, body.__name__, 1, parameters, result, body, documentation(body), hidden=True)
