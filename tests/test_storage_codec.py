"""Values to bytes and back: what comes out is what went in, to the last bit and of the same type."""

from __future__ import annotations

import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxlogica.storage.codec import ALIGNMENT, Encoded, decode, encode
from voxlogica.values import Image, Labels, Mask, Model, Record, Space

numbers = st.floats(width=64)
texts = st.text(st.characters(exclude_categories=()), max_size=50)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | numbers | texts | st.binary(max_size=20),
    lambda items: st.lists(items, max_size=3).map(tuple),
    max_leaves=8,
)


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    n = draw(st.sampled_from([2, 3]))
    positive = st.floats(min_value=1e-6, max_value=1e6)
    vectors = [tuple(draw(st.lists(numbers, min_size=k, max_size=k))) for k in (n, n * n)]
    size = tuple(draw(st.lists(st.integers(1, 70), min_size=n, max_size=n)))
    spacing = tuple(draw(st.lists(positive, min_size=n, max_size=n)))
    return Space(size, spacing, *vectors, native=tuple(draw(st.lists(plain, max_size=3))))


@st.composite
def volumes(draw: st.DrawFn) -> Mask | Image | Model:
    space = Space.grid(*draw(st.lists(st.integers(1, 9), min_size=2, max_size=3)))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    kind = draw(st.sampled_from(["mask", "image", "labels", 1, 3, 4]))
    z, y, x = space.shape
    if kind == "mask":
        return Mask.of(space, random.integers(0, 2**64, (z, y, -(-x // 64)), np.uint64))
    bits = random.integers(0, 2**32, space.shape if isinstance(kind, str) else (*space.shape, kind), np.uint32)
    voxels = bits.view(np.float32)  # every pattern: NaN of all kinds, infinities, denormals
    if kind == "image":
        return Image.of(space, voxels)
    return Labels.of(space, voxels) if kind == "labels" else Model.of(space, voxels)


values = st.recursive(
    numbers | st.booleans() | st.integers() | texts | st.binary(max_size=200) | spaces() | volumes(),
    lambda items: (
        st.lists(items, max_size=4)
        | st.lists(items, max_size=4).map(tuple)
        | st.dictionaries(texts, items, max_size=4).map(Record)
    ),
    max_leaves=12,
)


def there_and_back(encoded: Encoded) -> object:
    return decode(encoded.form, b"".join(encoded.parts))


def same(a: object, b: object) -> bool:
    """Of one type and equal to the last bit."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return struct.pack("<d", a) == struct.pack("<d", b)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, Record):
        return list(a) == list(b) and all(map(same, a.values(), b.values()))
    if isinstance(a, Space):
        return a.id == b.id and type(a.native) is type(b.native)
    if isinstance(a, (Mask, Image, Model)):
        components = getattr(a, "components", 0) == getattr(b, "components", 0)
        return components and a.space.id == b.space.id and bytes(a.data) == bytes(b.data)
    return a == b


@given(values)
def test_what_comes_out_is_what_went_in(value: object):
    assert same(there_and_back(encode(value)), value)


def test_a_record_without_fields() -> None:
    assert same(there_and_back(encode(Record({}))), Record({}))


@given(numbers)
def test_every_double_keeps_its_bits(number: float):
    assert same(there_and_back(encode(number)), number)


@pytest.mark.parametrize(
    "value",
    [math.nan, -math.inf, -0.0, 5e-324, 0, -1, 2**200, "", "\ud800", "x" * 1_000_000, b"", [], (), [[[]], ()]],
)
def test_the_ends_of_each_type(value: object):
    assert same(there_and_back(encode(value)), value)


@given(st.lists(volumes() | numbers, max_size=6))
def test_in_a_sequence_every_volume_is_aligned(items: list[object]):
    space = Space.grid(64, 3)
    big = [*items, Mask.of(space, np.ones((1, 3, 1), np.uint64)), Image.of(space, np.ones((1, 3, 64), np.float32))]
    body = memoryview(np.frombuffer(b"".join(encode(big).parts), np.uint8))
    start = np.frombuffer(body, np.uint8).ctypes.data
    for item in decode("list list", body):
        if isinstance(item, (Mask, Image)) and item.nbytes >= ALIGNMENT:
            assert np.asarray(item.array() if isinstance(item, Image) else item.words()).ctypes.data % 8 == start % 8
            assert (np.frombuffer(item.data, np.uint8).ctypes.data - start) % ALIGNMENT == 0


def test_volumes_are_neither_copied_nor_writable():
    image = Image.of(Space.grid(8, 8), np.ones((1, 8, 8), np.float32))
    encoded = encode(image)
    assert encoded.parts[0] is image.data
    body = bytearray(b"".join(encoded.parts))
    back = decode(encoded.form, memoryview(body))
    body[:4] = b"\0\0\0\0"
    assert isinstance(back, Image)
    assert back.array()[0, 0, 0] == 0.0, "it looks at the body"
    assert back.data.readonly


@pytest.mark.parametrize("value", [None, object(), np.float64(1.0), {1: 2.0}, [1.0, {2, 3}], bytearray(b"x")])
def test_what_has_no_codec_is_refused(value: object):
    with pytest.raises(TypeError):
        encode(value)


@pytest.mark.parametrize("cut", [0, 1, -1])
def test_a_body_that_does_not_fit_is_refused(cut: int):
    encoded = encode(Image.of(Space.grid(3, 3), np.ones((1, 3, 3), np.float32)))
    body = b"".join(encoded.parts)
    with pytest.raises(ValueError, match="expected 36 bytes"):
        decode(encoded.form, body[:cut] if cut else body + b"\0")
    with pytest.raises(ValueError, match="no codec"):
        decode("unheard of", body)
