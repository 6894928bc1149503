"""Kernels on packed bits: each agrees with a plain NumPy/SciPy twin written here, and obeys the laws of its operator.

Masks are drawn by seed, density and shape around the borders of words; the twins see voxels, never words.
"""

import doctest
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import ndimage  # type: ignore[import-untyped]

from voxlogica.kernels import masks
from voxlogica.kernels.arrays import Shape, Words
from voxlogica.kernels.masks import Comparison

Voxels = npt.NDArray[np.bool_]

BOX = np.ones((3, 3, 3), np.bool_)
INF = float("inf")
NAN = float("nan")
DENORMAL = 1e-45
LARGEST = 3.4028234663852886e38
OPS: tuple[Comparison, ...] = ("==", ">=", "<=", ">", "<")
# Large enough that every kernel divides its work, small enough for a second: volumes, an image, rows of one voxel.
DIVIDED: tuple[Shape, ...] = ((60, 25, 129), (1, 2500, 65), (2, 2500, 1), (3000, 1, 3), (9, 1000, 64))

law = settings(deadline=None, max_examples=80)

widths = st.one_of(st.sampled_from((1, 2, 63, 64, 65, 127, 128, 129)), st.integers(1, 70))
shapes = st.tuples(st.integers(1, 7), st.integers(1, 9), widths)
seeds = st.integers(0, 2**32 - 1)
densities = st.sampled_from((0.0, 0.02, 0.1, 0.3, 0.5, 0.8, 0.98, 1.0))
constants = st.one_of(
    st.sampled_from((0.0, -0.0, 0.1, -0.1, 1.0, INF, -INF, NAN, DENORMAL, -DENORMAL, 1e-46, LARGEST, 3.5e38, -1e300)),
    st.floats(-2, 2),
    st.floats(),
)


def draw(shape: Shape, density: float, seed: int = 0) -> Voxels:
    return np.random.default_rng(seed).random(shape) < density


@st.composite
def one_mask(draw_: Callable[[st.SearchStrategy[Any]], Any]) -> Voxels:
    return draw(draw_(shapes), draw_(densities), draw_(seeds))


@st.composite
def two_masks(draw_: Callable[[st.SearchStrategy[Any]], Any]) -> tuple[Voxels, Voxels]:
    shape = draw_(shapes)
    return draw(shape, draw_(densities), draw_(seeds)), draw(shape, draw_(densities), draw_(seeds))


@st.composite
def one_field(draw_: Callable[[st.SearchStrategy[Any]], Any]) -> npt.NDArray[np.float32]:
    """Few distinct values, so that equality happens: special floats, and neighbours of 0.1 and of zero."""
    tenth, one = np.float32(0.1), np.float32(1)
    near_tenth = (tenth, np.nextafter(tenth, one), np.nextafter(tenth, -one))
    special = (0.0, -0.0, NAN, -NAN, INF, -INF, DENORMAL, -DENORMAL, LARGEST, -LARGEST, 1.0, -1.0, -0.1, 1e-40)
    values = np.array((*near_tenth, *special), np.float32)
    shape = draw_(shapes)
    field: npt.NDArray[np.float32] = np.random.default_rng(draw_(seeds)).choice(values, shape)
    return field


def words_of(voxels: Voxels) -> Words:
    """The twin of pack: the layout written with NumPy's own packing."""
    nx = voxels.shape[2]
    padded = np.pad(voxels, ((0, 0), (0, 0), (0, -nx % 64)))
    return np.packbits(padded, axis=2, bitorder="little").view(np.dtype("<u8")).astype(np.uint64)


def bits(words: npt.NDArray[np.uint64], nx: int) -> Voxels:
    """The voxels of a result, after checking what holds for every result: dtype, shape, layout, tail bits zero."""
    assert words.dtype == np.uint64
    assert words.shape[2] == -(-nx // 64)
    assert words.flags.c_contiguous
    assert words.flags.writeable
    every = np.unpackbits(words.astype("<u8").view(np.uint8), axis=2, bitorder="little").astype(np.bool_)
    assert not every[:, :, nx:].any()
    return every[:, :, :nx]


def dilated(a: Voxels) -> Voxels:
    return np.asarray(ndimage.binary_dilation(a, BOX), np.bool_)


def eroded(a: Voxels) -> Voxels:
    return np.asarray(ndimage.binary_erosion(a, BOX, border_value=1), np.bool_)


def labelled(b: Voxels) -> npt.NDArray[np.int64]:
    """SciPy's components, renumbered by their first voxel in raster-scan order."""
    found, _ = ndimage.label(b, BOX)
    old, first = np.unique(found, return_index=True)
    order = old[np.argsort(first)]
    new = np.zeros(found.max() + 1, np.int64)
    new[order[order > 0]] = np.arange(1, (order > 0).sum() + 1)
    return np.asarray(new[found], np.int64)


def reached(a: Voxels, b: Voxels) -> Voxels:
    labels = labelled(b)
    return np.isin(labels, labels[a & b]) & b


def biggest(b: Voxels) -> Voxels:
    labels = labelled(b)
    sizes = np.bincount(labels.ravel())[1:]
    return np.isin(labels, 1 + np.flatnonzero(sizes == sizes.max(initial=0))) & b


def compared(field: npt.NDArray[np.float32], op: Comparison, constant: float) -> Voxels:
    with np.errstate(over="ignore", invalid="ignore"):
        c = np.float32(constant)
        results = {"==": field == c, ">=": field >= c, "<=": field <= c, ">": field > c, "<": field < c}
    return np.asarray(results[op], np.bool_)


# ----------------------------------------------------------------------------------------------------------------- laws


@law
@given(two_masks())
def test_boolean_laws(pair: tuple[Voxels, Voxels]) -> None:
    nx = pair[0].shape[2]
    a, b = map(words_of, pair)
    not_a, not_b = masks.complement(a, nx), masks.complement(b, nx)
    assert masks.equal(masks.complement(not_a, nx), a)
    assert masks.equal(masks.complement(masks.conjunction(a, b), nx), masks.disjunction(not_a, not_b))
    assert masks.equal(masks.complement(masks.disjunction(a, b), nx), masks.conjunction(not_a, not_b))
    assert masks.equal(masks.difference(a, b), masks.conjunction(a, not_b))
    assert masks.equal(masks.exclusive(a, b), masks.disjunction(masks.difference(a, b), masks.difference(b, a)))
    assert masks.count(a) + masks.count(not_a) == pair[0].size


@law
@given(two_masks())
def test_near_is_a_closure_operator_and_interior_its_dual(pair: tuple[Voxels, Voxels]) -> None:
    nx = pair[0].shape[2]
    a, b = map(words_of, pair)
    near_a, near_b = masks.near(a, nx), masks.near(b, nx)
    none = masks.full(pair[0].shape, False)
    assert masks.equal(masks.near(none, nx), none)
    assert masks.count(masks.difference(a, near_a)) == 0
    assert masks.equal(masks.near(masks.disjunction(a, b), nx), masks.disjunction(near_a, near_b))
    assert masks.equal(masks.interior(a, nx), masks.complement(masks.near(masks.complement(a, nx), nx), nx))
    assert masks.count(masks.difference(masks.near(masks.conjunction(a, b), nx), near_a)) == 0
    assert masks.count(masks.difference(masks.interior(masks.conjunction(a, b), nx), masks.interior(a, nx))) == 0


@law
@given(two_masks())
def test_through_keeps_whole_components(pair: tuple[Voxels, Voxels]) -> None:
    nx = pair[0].shape[2]
    a, b = map(words_of, pair)
    kept = masks.through(a, b, nx)
    assert masks.count(masks.difference(kept, b)) == 0
    assert masks.count(masks.difference(masks.conjunction(a, b), kept)) == 0
    assert masks.equal(masks.through(a, kept, nx), kept)
    assert masks.equal(masks.through(kept, b, nx), kept)
    assert masks.equal(masks.through(b, b, nx), b)
    # Nothing that is left of b is near what was kept.
    assert masks.count(masks.conjunction(masks.near(kept, nx), masks.difference(b, kept))) == 0
    more = masks.disjunction(a, words_of(draw(pair[0].shape, 0.1)))
    assert masks.count(masks.difference(kept, masks.through(more, b, nx))) == 0


@law
@given(one_mask())
def test_labels_are_components(voxels: Voxels) -> None:
    nx = voxels.shape[2]
    words = words_of(voxels)
    labels = masks.components(words, nx)
    assert masks.equal(masks.compare(labels, ">", 0), words)
    first = [int(np.flatnonzero(labels == k)[0]) for k in range(1, int(labels.max()) + 1)]
    assert first == sorted(first)
    for k in range(1, min(int(labels.max()), 3) + 1):
        component = masks.compare(labels, "==", k)
        assert masks.equal(masks.through(component, words, nx), component)


# ---------------------------------------------------------------------------------------------------------------- twins


@law
@given(one_mask())
def test_pack_and_unpack(voxels: Voxels) -> None:
    nx = voxels.shape[2]
    packed = masks.pack(voxels)
    assert np.array_equal(packed, words_of(voxels))
    assert np.array_equal(bits(packed, nx), voxels)
    unpacked = masks.unpack(packed, nx)
    assert unpacked.dtype == np.uint8
    assert np.array_equal(unpacked, voxels.astype(np.uint8))


@law
@given(shapes, seeds)
def test_pack_takes_every_nonzero_byte_as_true(shape: Shape, seed: int) -> None:
    voxels = np.random.default_rng(seed).choice(np.array([0, 1, 2, 127, 128, 255], np.uint8), shape)
    assert np.array_equal(bits(masks.pack(voxels), shape[2]), voxels != 0)


@settings(deadline=None, max_examples=150)
@given(one_field(), st.sampled_from(OPS), constants)
@example(np.array([[[0.0, -0.0, DENORMAL, -DENORMAL, NAN]]], np.float32), ">", -0.0)
@example(np.array([[[0.0, -0.0, DENORMAL, -DENORMAL, NAN]]], np.float32), "<", 0.0)
@example(np.array([[[0.0, -0.0, DENORMAL, -DENORMAL, NAN]]], np.float32), ">=", 0.0)
@example(np.array([[[0.0, -0.0, DENORMAL, -DENORMAL, NAN]]], np.float32), "<=", -0.0)
@example(np.array([[[INF, -INF, NAN, LARGEST]]], np.float32), ">", INF)
@example(np.array([[[INF, -INF, NAN, LARGEST]]], np.float32), "<", -INF)
@example(np.array([[[INF, -INF, NAN, LARGEST]]], np.float32), ">", LARGEST)
def test_compare(field: npt.NDArray[np.float32], op: Comparison, constant: float) -> None:
    result = masks.compare(field, op, constant)
    assert np.array_equal(bits(result, field.shape[2]), compared(field, op, constant))


@law
@given(shapes, seeds, st.sampled_from(OPS))
def test_compare_any_bit_pattern(shape: Shape, seed: int, op: Comparison) -> None:
    """All floats, NaNs of every payload among them; the constant is one of the voxels."""
    rng = np.random.default_rng(seed)
    field = rng.integers(0, 2**32, shape, np.uint32).view(np.float32)
    constant = float(field[0, 0, 0])
    assert np.array_equal(bits(masks.compare(field, op, constant), shape[2]), compared(field, op, constant))


@law
@given(one_field(), constants, constants)
def test_between(field: npt.NDArray[np.float32], low: float, high: float) -> None:
    expected = compared(field, ">=", low) & compared(field, "<=", high)
    assert np.array_equal(bits(masks.between(field, low, high), field.shape[2]), expected)


def test_a_constant_meets_the_voxels_as_float32() -> None:
    tenth = np.full((1, 1, 3), 0.1, np.float32)
    every = masks.full((1, 1, 3), True)
    assert masks.equal(masks.compare(tenth, "==", 0.1), every)
    assert masks.equal(masks.compare(tenth, ">=", 0.1), every)
    assert masks.equal(masks.compare(tenth, "<=", 0.1), every)
    assert masks.count(masks.compare(tenth, ">", 0.1)) == 0
    assert masks.count(masks.compare(tenth, "<", 0.1)) == 0


@law
@given(shapes, st.booleans())
def test_full(shape: Shape, value: bool) -> None:
    assert np.array_equal(bits(np.array(masks.full(shape, value)), shape[2]), np.full(shape, value))


@law
@given(shapes)
def test_border(shape: Shape) -> None:
    nz, ny, nx = shape
    z, y, x = np.indices(shape)
    sides = (x == 0) | (x == nx - 1) | (y == 0) | (y == ny - 1)
    expected = sides | (z == 0) | (z == nz - 1)
    assert np.array_equal(bits(np.array(masks.border(shape, dimensions=3)), nx), expected)
    assert np.array_equal(bits(np.array(masks.border((1, ny, nx), dimensions=2)), nx), sides[:1])


@law
@given(two_masks())
def test_logic(pair: tuple[Voxels, Voxels]) -> None:
    a, b = pair
    nx = a.shape[2]
    p, q = map(words_of, pair)
    assert np.array_equal(bits(masks.complement(p, nx), nx), ~a)
    assert np.array_equal(bits(masks.conjunction(p, q), nx), a & b)
    assert np.array_equal(bits(masks.disjunction(p, q), nx), a | b)
    assert np.array_equal(bits(masks.difference(p, q), nx), a & ~b)
    assert np.array_equal(bits(masks.exclusive(p, q), nx), a ^ b)
    assert masks.equal(p, q) is bool(np.array_equal(a, b))
    assert masks.equal(p, p.copy()) is True


@law
@given(one_mask())
def test_count_and_bounding_box(voxels: Voxels) -> None:
    words = words_of(voxels)
    assert masks.count(words) == np.count_nonzero(voxels)
    where = np.nonzero(voxels)
    expected = tuple((int(i.min()), int(i.max()) + 1) for i in where) if voxels.any() else None
    assert masks.bounding_box(words, voxels.shape[2]) == expected


@law
@given(one_mask())
def test_near_and_interior(voxels: Voxels) -> None:
    nx = voxels.shape[2]
    words = words_of(voxels)
    assert np.array_equal(bits(masks.near(words, nx), nx), dilated(voxels))
    assert np.array_equal(bits(masks.interior(words, nx), nx), eroded(voxels))


@law
@given(two_masks())
def test_components_through_largest(pair: tuple[Voxels, Voxels]) -> None:
    a, b = pair
    nx = a.shape[2]
    p, q = map(words_of, pair)
    assert np.array_equal(bits(masks.through(p, q, nx), nx), reached(a, b))
    assert np.array_equal(bits(masks.largest(q, nx), nx), biggest(b))
    labels = masks.components(q, nx)
    assert labels.dtype == np.float32
    assert np.array_equal(labels, labelled(b).astype(np.float32))


# --------------------------------------------------------------------------------------------------------- divided work


def winding(shape: Shape) -> Voxels:
    """One long component that comes back through every row: runs that meet late, and deep trees of sets."""
    snake = np.zeros(shape, np.bool_)
    snake[:, ::2] = True
    snake[:, 1::4, -1] = True
    snake[:, 3::4, 0] = True
    snake[1::2] = False
    snake[1::4, -1, -1] = True
    snake[3::4, 0, 0] = True
    return snake


@pytest.mark.parametrize("shape", DIVIDED)
@pytest.mark.parametrize("density", [0.05, 0.25, 0.6, "winding"])
def test_threads_cannot_be_seen(shape: Shape, density: float | str) -> None:
    """One to three threads give the same bytes, and one thread agrees with the twin."""
    b = winding(shape) if isinstance(density, str) else draw(shape, density, 1)
    a = draw(shape, 0.002, 2)
    nx = shape[2]
    p, q = words_of(a), words_of(b)
    field = np.random.default_rng(3).standard_normal(shape).astype(np.float32)
    cases: list[tuple[Callable[[int], npt.NDArray[Any]], npt.NDArray[Any]]] = [
        (lambda n: masks.pack(b, threads=n), q),
        (lambda n: masks.unpack(q, nx, threads=n), b.astype(np.uint8)),
        (lambda n: masks.compare(field, ">=", 0.3, threads=n), words_of(compared(field, ">=", 0.3))),
        (lambda n: masks.between(field, 0, 1, threads=n), words_of((field >= 0) & (field <= 1))),
        (lambda n: masks.near(q, nx, threads=n), words_of(dilated(b))),
        (lambda n: masks.interior(q, nx, threads=n), words_of(eroded(b))),
        (lambda n: masks.through(p, q, nx, threads=n), words_of(reached(a, b))),
        (lambda n: masks.components(q, nx, threads=n), labelled(b).astype(np.float32)),
        (lambda n: masks.largest(q, nx, threads=n), words_of(biggest(b))),
    ]
    for kernel, expected in cases:
        for threads in (1, 2, 3):
            assert kernel(threads).tobytes() == expected.tobytes()


# -------------------------------------------------------------------------------------------------------------- vectors


@pytest.mark.parametrize(("at", "volume"), [((2, 2, 2), 27), ((0, 0, 0), 8), ((4, 4, 4), 8), ((0, 2, 2), 18)])
def test_near_of_one_voxel(at: Shape, volume: int) -> None:
    voxels = np.zeros((5, 5, 5), np.bool_)
    voxels[at] = True
    assert masks.count(masks.near(masks.pack(voxels), 5)) == volume


@pytest.mark.parametrize(("shape", "volume"), [((5, 5, 5), 27), ((1, 5, 5), 9)])
def test_interior_of_all_but_the_centre(shape: Shape, volume: int) -> None:
    voxels = np.ones(shape, np.bool_)
    voxels[shape[0] // 2, 2, 2] = False
    assert masks.count(masks.complement(masks.interior(masks.pack(voxels), 5), 5)) == volume


def test_components_are_numbered_in_scan_order_and_join_at_corners() -> None:
    voxels = np.zeros((1, 4, 6), np.bool_)
    voxels[0, 0, 5] = voxels[0, 1, 4] = voxels[0, 3, 0] = True
    labels = masks.components(masks.pack(voxels), 6)
    assert [labels[0, 0, 5], labels[0, 1, 4], labels[0, 3, 0]] == [1, 1, 2]
    assert np.count_nonzero(labels) == 3


@pytest.mark.parametrize("x", [1, 31, 62, 63, 64, 127])
@pytest.mark.parametrize("step", [(dz, dy, dx) for dz in (0, 1) for dy in (-1, 0, 1) for dx in (-1, 0, 1)])
def test_voxels_one_step_apart_are_connected(x: int, step: Shape) -> None:
    voxels = np.zeros((4, 5, 129), np.bool_)
    voxels[1, 2, x] = voxels[1 + step[0], 2 + step[1], x + step[2]] = True
    assert masks.components(masks.pack(voxels), 129).max() == 1


@pytest.mark.parametrize("step", [(2, 0, 0), (0, 2, 0), (0, 0, 2), (2, -1, 1), (1, -2, 1), (1, 1, -2), (-1, 4, 0)])
@pytest.mark.parametrize("x", [2, 62, 63, 64, 126])
def test_voxels_two_steps_apart_are_not(x: int, step: Shape) -> None:
    voxels = np.zeros((4, 7, 129), np.bool_)
    voxels[1, 2, x] = voxels[1 + step[0], 2 + step[1], x + step[2]] = True
    assert masks.components(masks.pack(voxels), 129).max() == 2


def test_largest_keeps_ties_and_counts_voxels_not_runs() -> None:
    voxels = np.zeros((1, 5, 9), np.uint8)
    voxels[0, 0:3, 0] = 1
    voxels[0, 4, 3:6] = 1
    voxels[0, 0, 7:9] = 1
    kept = masks.unpack(masks.largest(masks.pack(voxels), 9), 9)
    voxels[0, 0, 7:9] = 0
    assert kept.tolist() == voxels.tolist()


# --------------------------------------------------------------------------------------------------- limits and errors


def test_labels_that_float32_cannot_tell_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    assert np.float32(masks.MAX_LABEL) - np.float32(masks.MAX_LABEL - 1) == 1
    assert np.float32(masks.MAX_LABEL + 1) == np.float32(masks.MAX_LABEL)
    dots = masks.pack(np.array([[[1, 0, 1, 0, 1]]], np.uint8))
    monkeypatch.setattr(masks, "MAX_LABEL", 3)
    assert masks.components(dots, 5).max() == 3
    monkeypatch.setattr(masks, "MAX_LABEL", 2)
    with pytest.raises(OverflowError, match="more components than"):
        masks.components(dots, 5)


def test_arguments_may_be_read_only_or_strided_and_are_not_modified() -> None:
    b = draw((3, 4, 130), 0.4)
    words = words_of(b)
    words.flags.writeable = False
    field = np.asfortranarray(draw((3, 4, 130), 0.4).astype(np.float32))
    strided = np.repeat(words, 2, axis=1)[:, ::2]
    assert not strided.flags.c_contiguous
    assert not field.flags.c_contiguous
    for kernel in (masks.near, masks.interior, masks.largest, masks.complement, masks.components, masks.unpack):
        assert np.array_equal(kernel(strided, 130), kernel(words, 130))
    assert np.array_equal(masks.through(strided, words, 130), words)
    assert np.array_equal(bits(masks.compare(field, ">", 0.5), 130), field > 0.5)
    assert np.array_equal(bits(masks.pack(b[:, :, ::-1]), 130), b[:, :, ::-1])
    assert np.array_equal(words, words_of(b))


W = np.asarray(masks.full((2, 3, 70), True))
F = np.zeros((2, 3, 70), np.float32)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: masks.near([[[1]]], 1), TypeError, "words: expected a NumPy array or a memory view, not list"),  # type: ignore[arg-type]
        (lambda: masks.near(W.astype(np.int64), 70), TypeError, "words: expected an array of uint64, not of int64"),
        (lambda: masks.count(W.astype(">u8")), TypeError, "not of >u8"),
        (lambda: masks.pack(F), TypeError, "voxels: expected an array of uint8, not of float32"),  # type: ignore[arg-type]
        (lambda: masks.compare(F.astype(np.float64), ">", 0), TypeError, "field: expected an array of float32"),
        (lambda: masks.compare(F[0], ">", 0), ValueError, r"the axes \(z, y, x\), not shape \(3, 70\)"),
        (lambda: masks.compare(F[:0], ">", 0), ValueError, "at least one voxel along each axis"),
        (lambda: masks.compare(F, "!=", 0), ValueError, "expected one of =="),  # type: ignore[arg-type]
        (lambda: masks.compare(F, "!=", NAN), ValueError, "expected one of =="),  # type: ignore[arg-type]
        (lambda: masks.near(W, 64), ValueError, "rows of 64 voxels do not fill 2 words"),
        (lambda: masks.near(W, 129), ValueError, "rows of 129 voxels do not fill 2 words"),
        (lambda: masks.near(W, 0), ValueError, "rows of 0 voxels"),
        (lambda: masks.near(W, -1), ValueError, "rows of -1 voxels"),
        (lambda: masks.near(W, 70.0), TypeError, "float"),  # type: ignore[arg-type]
        (lambda: masks.near(W, 70, threads=0), ValueError, "threads: expected at least one, not 0"),
        (lambda: masks.conjunction(W, W[:1]), ValueError, "two masks of one shape"),
        (lambda: masks.through(W, W[:, :1], 70), ValueError, "two masks of one shape"),
        (lambda: masks.through(W, W, 128 + 1), ValueError, "rows of 129 voxels"),
        (lambda: masks.full((1, 0, 3), True), ValueError, "three sizes"),
        (lambda: masks.full((2, 3), True), ValueError, "three sizes"),  # type: ignore[arg-type]
        (lambda: masks.border((2, 3, 3), dimensions=2), ValueError, "does not have 2 dimensions"),
        (lambda: masks.border((1, 3, 3), dimensions=1), ValueError, "does not have 1 dimensions"),
    ],
)
def test_wrong_arguments(call: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_examples_of_the_documentation_run() -> None:
    failed, tried = doctest.testmod(sys.modules[masks.__name__], extraglobs={"np": np})
    assert failed == 0
    assert tried >= 20
