"""What operators obey on any image: laws written in the language itself, and plain second implementations.

Images are 2-D and 3-D, of odd sizes and sizes of 1, with voxels that are no cubes. Comparisons are exact unless said.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, TypeAlias

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage  # type: ignore[import-untyped]
from tests.language import arrays

from voxlogica.formula import IMAGE, MASK
from voxlogica.kernels.masks import pack
from voxlogica.operators import operators
from voxlogica.values import Image, Mask, Model, Space, Value

Voxels: TypeAlias = NDArray[np.bool_]
Floats: TypeAlias = NDArray[np.float32]

FAR = np.float32(1.8446743e19)
LARGEST = np.float32(3.4028234663852886e38)
INF, NAN = math.inf, math.nan

law = settings(deadline=None, max_examples=25)

shapes = st.one_of(
    st.tuples(st.integers(1, 7), st.integers(1, 9)),
    st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 6)),
    st.sampled_from([(1, 1), (1, 1, 1), (2, 65), (3, 1, 9), (5, 5, 5)]),
)
seeds = st.integers(0, 2**32 - 1)
spacings = st.sampled_from([(1.0, 1.0, 1.0), (0.5, 2.0, 1.25), (0.7, 0.9375, 1 / 3), (3.0, 0.1, 5.0)])
distances = st.sampled_from([0.0, 0.5, 0.7, 1.0, math.sqrt(2), 2.0, 3.75, 100.0])


@st.composite
def masks(draw: Callable[[st.SearchStrategy[Any]], Any], number: int = 3) -> list[Voxels]:
    """Masks on one grid: from empty to full, specks, and blobs."""
    shape, generator = draw(shapes), np.random.default_rng(draw(seeds))
    out = []
    for density in draw(st.lists(st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.8, 1.0]), min_size=number, max_size=number)):
        voxels = generator.random(shape) < density
        out.append(ndimage.binary_closing(voxels) if draw(st.booleans()) else voxels)
    return out


@st.composite
def images(draw: Callable[[st.SearchStrategy[Any]], Any], *special: float) -> tuple[Floats, Floats, Voxels]:
    """Two images, of few values so that equal ones occur, and a mask."""
    shape, generator = draw(shapes), np.random.default_rng(draw(seeds))
    values = np.array([-2.0, -0.5, 0.0, 0.1, 0.25, 1.0, 3.0, 7.5, *special], np.float32)
    density = draw(st.sampled_from([0.0, 0.2, 0.6, 1.0]))
    return generator.choice(values, shape), generator.choice(values, shape), generator.random(shape) < density


def along(spacing: tuple[float, ...], array: NDArray[Any]) -> tuple[float, ...]:
    """As many of the spacings (x, y, z) as the array has axes."""
    return spacing[: array.ndim]


def dilated(a: Voxels) -> Voxels:
    out: Voxels = ndimage.binary_dilation(a, np.ones((3,) * a.ndim))
    return out


# ---------------------------------------------------------------------------------------------------------------------
# Laws, in the language
# ---------------------------------------------------------------------------------------------------------------------

WORDS = """
let implies(p, q) = (!. p) .|. q
let iff(p, q) = implies(p, q) .&. implies(q, p)
"""

BOOLEAN = (
    "eqB(!(!a), a)",
    "eqB(!(a & b), (!a) | (!b))",
    "eqB(!(a | b), (!a) & (!b))",
    "eqB(a & b, b & a)",
    "eqB(a | b, b | a)",
    "eqB(a & (b & c), (a & b) & c)",
    "eqB(a | (b | c), (a | b) | c)",
    "eqB(a & (b | c), (a & b) | (a & c))",
    "eqB(a | (b & c), (a | b) & (a | c))",
    "eqB(a | (a & b), a)",
    "eqB(a & tt, a)",
    "eqB(a | ff, a)",
    "eqB(a | (!a), tt)",
    "emptyB(a & (!a))",
    "eqB(xor(a, b), (a | b) \\ (a & b))",
    "eqB(xor(xor(a, b), b), a)",
    "iff(leqB(a, b), eqB(a & b, a))",
    "iff(eqB(a, b), leqB(a, b) .&. leqB(b, a))",
    "iff(neqB(a, b), !. eqB(a, b))",
    "iff(nemptyB(a), !. emptyB(a))",
    "(volume(a) .+. volume(b)) .=. (volume(a | b) .+. volume(a & b))",
)

CLOSURE = (
    "emptyB(near(ff))",
    "eqB(interior(tt), tt)",
    "leqB(a, near(a))",
    "eqB(near(a | b), near(a) | near(b))",
    "leqB(near(a & b), near(a) & near(b))",
    "iff(nemptyB(near(a) & b), nemptyB(a & near(b)))",
    "eqB(interior(a), !near(!a))",
    "eqB(interior(a & b), interior(a) & interior(b))",
    "leqB(near(interior(a)), a)",
    "leqB(a, interior(near(a)))",
    "eqB(N a, near(a)) .&. eqB(I a, interior(a))",
    "eqB(B+ a, near(a) & (!a))",
)

REACHABILITY = (
    "leqB(through(a, b), b)",
    "leqB(a & b, through(a, b))",
    "eqB(through(through(a, b), b), through(a, b))",
    "eqB(through(a | b, c), through(a, c) | through(b, c))",
    "leqB(near(through(a, b)) & b, through(a, b))",
    "implies(emptyB(a & b), emptyB(through(a, b)))",
    "eqB(through(b, b), b)",
    "leqB(through(a, b), through(a, b | c))",
    "leqB(touch(a, b), a)",
    "eqB(touch(a, b), through(near(b), a))",
    "eqB(a ~> b, through(b, a))",
    "leqB(touch(a, b), touch(a, b | c))",
    "eqB(touch(touch(a, b), b), touch(a, b))",
    "eqB(a T b, touch(a, b))",
    "eqB(grow(a, b), a | touch(b, a))",
    "eqB(grow(grow(a, b), b), grow(a, b))",
    "leqB(grow(a, b), grow(a | c, b))",
    "leqB(grow(a, b), grow(a, b | c))",
    "leqB(near(a), mayReach(a, b))",
    "eqB(mayReach(a, b), near(grow(a, b)))",
    "leqB(mayReach(a, b), mayReach(a | c, b))",
    "leqB(mayReach(a, b), mayReach(a, b | c))",
    "leqB(surrounded(a, b), a)",
    "leqB(near(surrounded(a, b)), a | b)",
    "leqB(near(surrounded(a, b)) \\ b, surrounded(a, b))",
    "leqB(surrounded(a, b), surrounded(a, b | c))",
    "eqB(surrounded(surrounded(a, b), b), surrounded(a, b))",
    "eqB(a S b, surrounded(a, b))",
    "leqB(maxvol(a), a)",
    "eqB(through(maxvol(a), a), maxvol(a))",
    "eqB(maxvol(maxvol(a)), maxvol(a))",
    "iff(emptyB(maxvol(a)), emptyB(a))",
    "eqB(lcc(a) >. 0, a)",
    "max(lcc(a)) .<=. volume(a)",
    "leqB(near(lcc(a) =. 1) & a, lcc(a) =. 1)",
    "iff(collect(a, b), leqB(a, b) .&. emptyB((maskCC(a, b) <. maxCC(a, b)) & a))",
    "implies(emptyB(a), collect(a, b))",
    "implies(collect(a, b), leqB(a, b))",
    "implies(nemptyB(a) .&. leqB(a, b), iff(collect(a, b), eqB(through(a, b), b & (lcc(b) =. maxCC(a, b)))))",
)

DISTANCE = (
    "eqB(dt(a) >. 0, !a)",
    "eqB(dt(a) =. 0, a & near(!a))",
    "eqB(dt(a) <. 0, interior(a))",
    "iff(emptyB(a), nemptyB(dt(a) >. 1e19))",
    "min(pdt(a)) .>=. 0",
    "eqB(pdt(a) =. 0, a)",
    "eqB(distleq(r, a), dt(a) <=. r)",
    "implies(r .>. 0, eqB(distgeq(r, a), dt(a) >=. r))",
    "implies(r .=. 0, eqB(distgeq(r, a), tt))",
    "implies(r .>. 0, eqB(distlt(r, a), !distgeq(r, a)))",
    "eqB(distlt(r, a), distleq(r, a) \\ (pdt(a) =. r))",
    "eqB(distleq(r, a | b), distleq(r, a) | distleq(r, b))",
    "eqB(distgeq(r, a | b), distgeq(r, a) & distgeq(r, b))",
    "leqB(distleq(r, a), distleq(s, a)) .|. (s .<. r)",
    "emptyB(distleq(-1, a))",
    "leqB(a, dilate(a, r))",
    "leqB(erode(a, r), a)",
    "eqB(erode(a, r), !dilate(!a, r))",
    "eqB(erode(a & b, r), erode(a, r) & erode(b, r))",
    "iff(leqB(dilate(a, r), b), leqB(a, erode(b, r)))",
    "leqB(imopen(a, r), a)",
    "eqB(imopen(imopen(a, r), r), imopen(a, r))",
    "leqB(imopen(a & b, r), imopen(a, r))",
    "leqB(a, imclose(a, r))",
    "eqB(imclose(imclose(a, r), r), imclose(a, r))",
    "eqB(imclose(a, r), !imopen(!a, r))",
    "leqB(imopen(a, r), smoothen(a, r))",
    "leqB(smoothen(a & b, r), smoothen(a, r))",
    "eqB(smoothen(a, 0), tt)",
)


@pytest.mark.parametrize("text", BOOLEAN + CLOSURE + REACHABILITY)
@law
@given(masks())
def test_law_of_masks(text: str, drawn: list[Voxels]) -> None:
    a, b, c = drawn
    assert arrays(text, definitions=WORDS, a=a, b=b, c=c) == (True,)


@pytest.mark.parametrize("text", DISTANCE)
@law
@given(masks(2), distances, distances, spacings)
def test_law_of_distances(text: str, drawn: list[Voxels], r: float, s: float, spacing: tuple[float, ...]) -> None:
    a, b = drawn
    spacing = along(spacing, a)
    assert arrays(text, definitions=WORDS, spacing=spacing, a=a, b=b, r=r, s=s) == (True,)


IMAGES = (
    "eqI(i + j, j + i)",
    "eqI(i * j, j * i)",
    "eqI(i - j, i + (j *. -1))",
    "eqI(i +. k, i + constant(k))",
    "eqI(i -. k, i - constant(k))",
    "eqI(i *. k, i * constant(k))",
    "eqI(k .- i, constant(k) - i)",
    "eqI(k ./ i, constant(k) / i)",
    "eqI(k .* i, i *. k)",
    "eqI(k .+ i, i +. k)",
    "eqI(abs(i), overlayB(i <. 0, i, 0 .- i))",
    "eqI(mask(i, a) + mask(i, !a), i)",
    "eqI(overlayB(a, i, j), overlayB(!a, j, i))",
    "eqI(ifN(true, i, j), i) .&. eqI(ifN(false, i, j), j)",
    "eqB(ifB(true, a, b), a) .&. eqB(ifB(false, a, b), b)",
    "eqI(booleanToNumber(k, a), mask(constant(k), a))",
    "eqI(divZ(i, j, k), overlayB(j =. 0, i / j, constant(k)))",
    "eqB(k .< i, !(k .>= i))",
    "eqB(k .> i, !(k .<= i))",
    "eqB((k .<= i) & (k .>= i), k .= i)",
    "eqB(i <. k, k .> i) .&. eqB(i >. k, k .< i)",
    "eqB(i <=. k, k .>= i) .&. eqB(i >=. k, k .<= i)",
    "eqB(i =. k, k .= i)",
    "eqB(between(k, 3, i), (i >=. k) & (i <=. 3))",
    "emptyB(i <. min(i)) .&. emptyB(i >. max(i))",
    "nemptyB(i =. min(i)) .&. nemptyB(i =. max(i))",
    "eqB(percentiles(i, a, 0.5) =. -1, !a)",
    "emptyB(a & (percentiles(i, a, 0) >. 1)) .&. emptyB(a & (percentiles(i, a, 0) <. 0))",
    "emptyB(a) .|. (max(percentiles(i, a, 1)) .=. 1)",
    "eqB(percentiles(i, a, 0) =. 0, a & (i =. minwithin(i, a | bconstant(emptyB(a)))))",
    "eqI(percentiles(i *. 2, a, 0.5), percentiles(i, a, 0.5))",
    "eqI(percentiles(i, a, 0.5), percentiles(mask(i, a), a, 0.5))",
    "emptyB((percentiles(i, a, 1) - percentiles(i, a, 0)) <. 0)",
    "eqI(similar(i), constant(1))",
    "max(i ~[1, 3] j) .<=. 1",
    "min(i ~[1, 3] j) .>=. -1",
    "leqB(otsu(i, a, 16), a)",
    "eqB(otsu(i, a, 16), otsu(mask(i, a), a, 16))",
    "iff(emptyB(otsu(i, a, 16)), emptyB(a) .|. (max(spread(i, a)) .=. 0))",
)

OF_IMAGES = (
    WORDS
    + """
let eqI(i, j) = emptyB(!((i - j) =. 0))
let similar(i) = i ~[1000, 5] i
let spread(i, a) = mask(i -. minwithin(i, a | bconstant(emptyB(a))), a)
"""
)


@pytest.mark.parametrize("text", IMAGES)
@law
@given(images(), st.sampled_from([0.0, 0.1, 0.25, 1.0, -3.0]))
def test_law_of_images(text: str, drawn: tuple[Floats, Floats, Voxels], k: float) -> None:
    i, j, a = drawn
    assert arrays(text, definitions=OF_IMAGES, i=i, j=j, a=a, b=~a & (i > 0), k=k) == (True,)


# ---------------------------------------------------------------------------------------------------------------------
# The region calculus
# ---------------------------------------------------------------------------------------------------------------------

RELATIONS = ("dc", "ec", "po", "tpp", "ntpp", "tppi", "ntppi", "eq")
CONVERSE = {"tpp": "tppi", "ntpp": "ntppi", "tppi": "tpp", "ntppi": "ntpp"}


def relations(a: Voxels, b: Voxels) -> list[str]:
    found = arrays(*[f"{name}(a, b)" for name in RELATIONS], imports=("RegionCalculus",), a=a, b=b)
    return [name for name, holds in zip(RELATIONS, found, strict=True) if holds]


@settings(deadline=None, max_examples=60)
@given(masks(2), st.sampled_from([None, "part", "interior", "neighbours", "apart", "same"]))
def test_exactly_one_relation_holds_of_two_masks_that_are_not_empty(drawn: list[Voxels], how: str | None) -> None:
    a, b = drawn
    match how:
        case "part":
            a = a & b
        case "interior":
            b = b | dilated(a)
        case "neighbours":
            a = dilated(b) & ~b
        case "apart":
            a = a & ~dilated(b)
        case "same":
            a = b
    found = relations(a, b)
    assert len(found) == int(a.any() and b.any())
    assert relations(b, a) == [CONVERSE.get(name, name) for name in found]


@given(masks(2))
@settings(deadline=None, max_examples=40)
def test_the_other_relations_are_unions_of_the_eight(drawn: list[Voxels]) -> None:
    a, b = drawn
    unions = {
        "p": {"tpp", "ntpp", "eq"}, "pi": {"tppi", "ntppi", "eq"}, "pp": {"tpp", "ntpp"}, "ppi": {"tppi", "ntppi"},
        "o": {"po", "tpp", "ntpp", "tppi", "ntppi", "eq"}, "dr": {"dc", "ec"},
    }  # fmt: skip
    if a.any() and b.any():
        found = arrays(*[f"{name}(a, b)" for name in unions], imports=("RegionCalculus",), a=a, b=b)
        assert list(found) == [relations(a, b)[0] in of for of in unions.values()]


ALL = set(RELATIONS)
ONE = {"dc", "ec", "po", "tpp", "ntpp"}
TWO = {"dc", "ec", "po", "tppi", "ntppi"}
COMPOSITION: dict[str, tuple[set[str], ...]] = {
    # with dc, ec, po, tpp, ntpp, tppi, ntppi
    "dc": (ALL, ONE, ONE, ONE, ONE, {"dc"}, {"dc"}),
    "ec": (
        TWO, {"dc", "ec", "po", "tpp", "tppi", "eq"}, ONE, ONE - {"dc"}, {"po", "tpp", "ntpp"}, {"dc", "ec"}, {"dc"},
    ),
    "po": (TWO, TWO, ALL, {"po", "tpp", "ntpp"}, {"po", "tpp", "ntpp"}, TWO, TWO),
    "tpp": ({"dc"}, {"dc", "ec"}, ONE, {"tpp", "ntpp"}, {"ntpp"}, {"dc", "ec", "po", "tpp", "tppi", "eq"}, TWO),
    "ntpp": ({"dc"}, {"dc"}, ONE, {"ntpp"}, {"ntpp"}, ONE, ALL),
    "tppi": (
        TWO, TWO - {"dc"}, {"po", "tppi", "ntppi"}, {"po", "tpp", "tppi", "eq"}, {"po", "tpp", "ntpp"},
        {"tppi", "ntppi"}, {"ntppi"},
    ),
    "ntppi": (
        TWO, {"po", "tppi", "ntppi"}, {"po", "tppi", "ntppi"}, {"po", "tppi", "ntppi"},
        {"po", "tpp", "ntpp", "tppi", "ntppi", "eq"}, {"ntppi"}, {"ntppi"},
    ),
}  # fmt: skip


def test_the_composition_table_on_all_regions_of_a_row_of_five() -> None:
    """Randell, Cui, Cohn 1992, table 2: what a and c can be to each other, given a to b and b to c."""
    regions = [np.array([[n >> bit & 1 for bit in range(5)]], np.bool_) for n in range(1, 32)]
    relation = {(m, n): relations(a, b)[0] for m, a in enumerate(regions) for n, b in enumerate(regions) if m <= n}
    relation |= {(n, m): CONVERSE.get(name, name) for (m, n), name in relation.items()}
    seen = set()
    for m, n, o in product(range(31), repeat=3):
        first, second = relation[m, n], relation[n, o]
        seen.add((first, second))
        allowed = {second} if first == "eq" else {first} if second == "eq" else None
        if allowed is None:
            allowed = COMPOSITION[first][RELATIONS.index(second)]
        assert relation[m, o] in allowed, (m, n, o)
    assert seen == set(product(RELATIONS, repeat=2))


# ---------------------------------------------------------------------------------------------------------------------
# Second implementations
# ---------------------------------------------------------------------------------------------------------------------


def neighbours(shape: tuple[int, ...], at: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    for step in product((-1, 0, 1), repeat=len(shape)):
        to = tuple(p + s for p, s in zip(at, step, strict=True))
        if all(0 <= p < n for p, n in zip(to, shape, strict=True)):
            yield to


@law
@given(masks(2))
def test_surrounded_by_walking(drawn: list[Voxels]) -> None:
    """a voxel of a is surrounded by b unless a walk that leaves a can be made without stepping on b."""
    a, b = drawn
    expected = np.zeros_like(a)
    for start in zip(*np.nonzero(a), strict=True):
        reached, todo, escaped = {start}, [start], False
        while todo and not escaped:
            for to in neighbours(a.shape, todo.pop()):
                if not a[to] and not b[to]:
                    escaped = True
                elif to not in reached and not b[to]:
                    reached.add(to)
                    todo.append(to)
        expected[start] = not escaped
    (found,) = arrays("surrounded(a, b)", a=a, b=b)
    assert np.array_equal(found, expected)


@law
@given(masks(2))
def test_components(drawn: list[Voxels]) -> None:
    a, b = drawn
    labels, count = ndimage.label(b, np.ones((3,) * b.ndim))
    volumes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    largest = np.isin(labels, 1 + np.flatnonzero(volumes == volumes.max(initial=0)))
    lcc, maxvol, through = arrays("lcc(b)", "maxvol(b)", "through(a, b)", a=a, b=b)
    assert np.array_equal(lcc, labels)
    assert np.array_equal(maxvol, largest)
    assert np.array_equal(through, np.isin(labels, np.setdiff1d(labels[a & b], 0)))


def distance(a: Voxels, spacing: tuple[float, ...]) -> Floats:
    """Decision C23, by trying all pairs; the axes of a are (y, x) or (z, y, x), of the spacing (x, y) or (x, y, z)."""
    contour = a & dilated(~a)
    out = np.empty(a.shape, np.float32)
    for at in np.ndindex(a.shape):
        targets = np.argwhere(contour if a[at] else a)
        squares = [(spacing[n] * abs(targets[:, -1 - n] - at[-1 - n])) ** 2 for n in range(a.ndim)]
        least = np.sqrt(sum(squares[1:], squares[0]).min()) if len(targets) else FAR
        out[at] = -least if a[at] else least
    return out


@settings(deadline=None, max_examples=60)
@given(masks(1), spacings, distances)
@example([np.ones((5, 5), np.bool_) & ~np.eye(5, dtype=np.bool_)[[0]]], (0.7, 0.9375, 1 / 3), 0.7)
def test_distances_by_trying_all(drawn: list[Voxels], spacing: tuple[float, ...], r: float) -> None:
    (a,) = drawn
    spacing = along(spacing, a)
    to, inside = distance(a, spacing), distance(~a, spacing)
    dt, near, far, eroded, smooth = arrays(
        "dt(a)", "distleq(r, a)", "distgeq(r, a)", "erode(a, r)", "smoothen(a, r)", a=a, r=r, spacing=spacing
    )
    assert dt.tobytes() == to.tobytes()
    assert np.array_equal(near, np.maximum(to, 0) <= np.float32(r))
    assert np.array_equal(far, np.maximum(to, 0) >= np.float32(r))
    assert np.array_equal(eroded, np.maximum(inside, 0) > np.float32(r))
    kept = np.maximum(inside, 0) >= np.float32(r)
    assert np.array_equal(smooth, np.maximum(distance(kept, spacing), 0) <= np.float32(r))


@settings(deadline=None, max_examples=40)
@given(images(INF, -INF), st.sampled_from([0.0, 0.5, 1.0, 0.1, 1 / 3, -2.0]))
def test_percentiles_by_counting(drawn: tuple[Floats, Floats, Voxels], c: float) -> None:
    """Decisions C13 and C26."""
    i, _, a = drawn
    expected = np.full(i.shape, -1, np.float32)
    for at in zip(*np.nonzero(a), strict=True):
        below, equal = np.float32((i[a] < i[at]).sum()), np.float32((i[a] == i[at]).sum())
        expected[at] = (below + np.float32(c) * equal) / np.float32(a.sum())
    (found,) = arrays("percentiles(i, a, c)", i=i, a=a, c=c)
    assert found.tobytes() == expected.tobytes()


def histogram(values: Floats, low: float, high: float, bins: int) -> list[int]:
    out = [0] * bins
    width = (high - low) / bins
    for x in values.ravel().tolist():
        if low <= x < high and width > 0:
            out[min(math.floor((x - low) / width), bins - 1)] += 1
    return out


def pearson(h: list[int], g: list[int]) -> float:
    """Decision C14."""
    k = len(h)
    spread_h = k * sum(x * x for x in h) - sum(h) ** 2
    spread_g = k * sum(x * x for x in g) - sum(g) ** 2
    if spread_h == 0 or spread_g == 0:
        return float(spread_h == spread_g)
    together = k * sum(x * y for x, y in zip(h, g, strict=True)) - sum(h) * sum(g)
    return float(np.float32(together / math.sqrt(float(spread_h) * float(spread_g))))


@settings(deadline=None, max_examples=40)
@given(
    images(),
    spacings,
    st.sampled_from([0.0, 1.0, 1.25, 2.5]),
    st.sampled_from([(-2.0, 7.5, 4), (0.0, 0.3, 3), (1.0, 1.0, 2), (-1e9, 1e9, 1), (0.1, 3.0, 100)]),
)
def test_correlation_by_its_definition(
    drawn: tuple[Floats, Floats, Voxels], spacing: tuple[float, ...], rho: float, axis: tuple[float, float, int]
) -> None:
    i, j, a = drawn
    (low, high, bins), spacing = axis, along(spacing, i)
    radius = [max(1, round(rho / s)) for s in reversed(spacing)]  # round is half to even, as in version 1
    reference = histogram(j[a], low, high, bins)
    expected = np.empty(i.shape, np.float32)
    for at in np.ndindex(i.shape):
        box = tuple(slice(max(0, p - r), p + r + 1) for p, r in zip(at, radius, strict=True))
        expected[at] = pearson(histogram(i[box], low, high, bins), reference)
    (found,) = arrays(
        "crossCorrelation(rho, i, j, a, low, high, bins)",
        i=i, j=j, a=a, rho=rho, low=low, high=high, bins=float(bins), spacing=spacing,
    )  # fmt: skip
    assert np.array_equal(found, expected)


@law
@given(images(), st.sampled_from([2, 3, 10, 100]))
def test_otsu_by_trying_all_thresholds(drawn: tuple[Floats, Floats, Voxels], bins: int) -> None:
    """Otsu 1979: of all cuts between bins, one whose variance between the two sides is largest."""
    i, _, a = drawn
    (found,) = arrays("otsu(i, a, bins)", i=i, a=a, bins=float(bins))
    assert not (found & ~a).any()
    values = i[a].astype(np.float64)
    if not len(values) or values.min() == values.max():
        assert not found.any()
        return
    above, below = i[found], i[a & ~found]
    assert below.max() < above.min()

    places = (values - values.min()) / ((values.max() - values.min()) / bins)
    edge = (np.abs(places - np.round(places)) < 1e-5) & (values > values.min()) & (values < values.max())
    assume(not edge.any())  # what lies on the edge of two bins is counted above and cut below, as in ITK
    binned = np.minimum(np.floor(places), bins - 1)

    def between(left: NDArray[np.bool_]) -> float:
        if left.all() or not left.any():
            return 0.0
        share = left.mean()
        return float(share * (1 - share) * (binned[left].mean() - binned[~left].mean()) ** 2)

    best = max(between(binned <= cut) for cut in range(bins))
    assert math.isclose(between(i[a] <= below.max()), best, rel_tol=1e-9)  # the kernel's tests are exact, against ITK


@law
@given(images(), st.booleans())
def test_aggregates(drawn: tuple[Floats, Floats, Voxels], whole: bool) -> None:
    i, _, a = drawn
    i = np.round(i * 4).astype(np.float32)  # integers have exact sums
    if whole:
        a[...] = True
    assert arrays("max(i)", "min(i)", "volume(a)", i=i, a=a) == (i.max(), i.min(), a.sum())
    if a.any():
        assert arrays("avg(i, a)", "minwithin(i, a)", "maxwithin(i, a)", i=i, a=a) == (
            i[a].sum(dtype=np.float64) / a.sum(), i[a].min(), i[a].max(),
        )  # fmt: skip


@law
@given(images(INF, -INF, NAN), st.sampled_from([0.1, 0.0, -0.0, INF, -INF, NAN, 1e300, 3.0]))
def test_comparisons_with_numbers_that_are_none(drawn: tuple[Floats, Floats, Voxels], k: float) -> None:
    """The number is rounded to float32 first; NaN on either side fails all comparisons."""
    i, _, _ = drawn
    with np.errstate(all="ignore"):
        f = np.float32(k)
    expressions = ("k .= i", "k .<= i", "k .>= i", "k .< i", "k .> i", "between(k, k, i)")
    expected = (i == f, i >= f, i <= f, i > f, i < f, i == f)
    for found, wanted in zip(arrays(*expressions, i=i, k=k), expected, strict=True):
        assert np.array_equal(found, wanted)


@law
@given(images(INF, -INF, NAN), st.sampled_from([0.1, 0.0, INF, NAN, 1e300, 3.0]))
def test_arithmetic_in_float32(drawn: tuple[Floats, Floats, Voxels], k: float) -> None:
    i, j, a = drawn
    with np.errstate(all="ignore"):
        f, inverse = np.float32(k), np.float32(np.divide(1.0, np.float64(k)))
        expected: dict[str, Floats] = {
            "i + j": i + j,
            "i - j": i - j,
            "i * j": i * j,
            "i / j": np.where(j == 0, LARGEST, i / j),
            "i +. k": i + f,
            "i -. k": i - f,
            "i *. k": i * f,
            "i /. k": i * inverse,
            "k .- i": f - i,
            "k ./ i": np.where(i == 0, LARGEST, f / i),
            "abs(i)": np.abs(i),
            "mask(i, a)": np.where(a, i, np.float32(0)),
        }
    for found, wanted in zip(arrays(*expected, i=i, j=j, a=a, k=k), expected.values(), strict=True):
        assert wanted.dtype == np.float32
        assert np.array_equal(found, wanted, equal_nan=True)


@law
@given(shapes, seeds, st.sampled_from([1, 3, 4]))
def test_colour(shape: tuple[int, ...], seed: int, components: int) -> None:
    colours = np.random.default_rng(seed).integers(0, 256, (*shape, components)).astype(np.float32)
    space = Space.grid(*reversed(shape))
    m = Model.of(space, colours.reshape(*space.shape, components).copy())
    intensity, red, green, blue, alpha = arrays("intensity(m)", "red(m)", "green(m)", "blue(m)", "alpha(m)", m=m)
    grey = components == 1
    r, g, b = (colours[..., 0 if grey else n] for n in range(3))
    weights = np.float32(0.2126), np.float32(0.7152), np.float32(0.0722)
    assert np.array_equal(intensity, r if grey else weights[0] * r + (weights[1] * g + weights[2] * b))
    assert np.array_equal(red, r)
    assert np.array_equal(green, g)
    assert np.array_equal(blue, b)
    assert np.array_equal(alpha, colours[..., 3] if components == 4 else np.full(shape, 255))
    rgb, rgba = arrays("rgb(red(m), green(m), blue(m))", "rgba(red(m), green(m), blue(m), alpha(m))", m=m)
    assert np.array_equal(rgb, np.stack([r, g, b], axis=-1))
    assert np.array_equal(rgba, np.stack([r, g, b, alpha], axis=-1))
    (painted,) = arrays("overlayColor(blue(m) >. 99, m, 1, 2, 3)", m=m)
    assert np.array_equal(painted, np.where((b > 99)[..., None], np.array([1, 2, 3], np.float32), rgb))


@law
@given(shapes)
def test_geometry(shape: tuple[int, ...]) -> None:
    some = np.zeros(shape, np.float32)
    border, x, y, z = arrays("border & (i =. 0)", "x + i", "y + i", "z + i", i=some)
    at = np.indices(shape)
    assert np.array_equal(x, at[-1])
    assert np.array_equal(y, at[-2])
    assert np.array_equal(z, at[-3] if len(shape) == 3 else some)
    first_or_last = [(a == 0) | (a == n - 1) for a, n in zip(at, shape, strict=True)]
    assert np.array_equal(border, np.logical_or.reduce(first_or_last))


# ---------------------------------------------------------------------------------------------------------------------
# Threads
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name, op in operators().items() if op.takes_threads])
def test_threads_cannot_be_seen(name: str) -> None:
    op, space = operators()[name], Space.grid(129, 25, 60, spacing=(0.7, 1.0, 2.5))  # large enough to be divided
    generator = np.random.default_rng(1)
    numbers = iter((2.0, 0.0, 4.0, 5.0))
    arguments: list[Value] = []
    for _, kind in op.parameters:
        if kind is MASK:
            arguments.append(Mask.of(space, pack(ndimage.gaussian_filter(generator.random(space.shape), 1) > 0.5)))
        elif kind is IMAGE:
            arguments.append(Image.of(space, (generator.integers(0, 40, space.shape) / 8).astype(np.float32)))
        else:
            arguments.append(next(numbers))
    one, two, three = (np.asarray(op.body(*arguments, threads=threads)) for threads in (1, 2, 3))
    assert one.tobytes() == two.tobytes() == three.tobytes()
