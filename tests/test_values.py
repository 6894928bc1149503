"""Integers of one or two bytes as they came from a file: what is asked of them in float32 is what it always was."""

from __future__ import annotations

import io
from threading import Thread

import numpy as np
import pytest
from numpy.typing import NDArray

from voxlogica import images, values
from voxlogica.execution import wire
from voxlogica.kernels.arrays import kind_of
from voxlogica.kernels.ranks import Ranks
from voxlogica.operators import operators
from voxlogica.plan import fused
from voxlogica.session import volumes
from voxlogica.storage import codec
from voxlogica.storage.interface import size
from voxlogica.values import NARROW, Image, Mask, Model, Narrow, Space

SPACE = Space.grid(7, 5, 3)


def narrow(dtype: str = "i2", space: Space = SPACE) -> tuple[Model, NDArray[np.float32]]:
    """A model of integers, and its numbers as float32, [z, y, x]."""
    ends = np.iinfo(dtype)
    numbers = np.linspace(ends.min, ends.max, space.voxels).astype(dtype).reshape(space.shape)
    return Model(space, Narrow(memoryview(numbers.tobytes()), dtype)), numbers.astype(np.float32)


def grey(model: Model) -> Image:
    """What `intensity` makes of it."""
    image = operators()["intensity"].body(model)
    assert isinstance(image, Image)
    return image


@pytest.mark.parametrize("dtype", NARROW)
def test_what_people_and_kernels_see_is_float32(dtype: str) -> None:
    model, numbers = narrow(dtype)
    image = grey(model)
    assert kind_of(image.voxels()) == dtype
    assert np.array_equal(image.voxels(), numbers)
    assert np.array_equal(model.numpy(), numbers.T)
    for array in (model.array()[..., 0], image.array(), np.asarray(image).T, image.numpy().T):
        assert array.dtype == np.float32
        assert np.array_equal(array, numbers)
        assert not image.array().flags.writeable
    assert bytes(image.data) == bytes(model.data) == numbers.tobytes()
    with pytest.raises(ValueError, match="one or two bytes"):
        Narrow(memoryview(bytes(8)), "f4")


def test_float32_is_made_once_for_all_and_takes_the_place_of_the_integers() -> None:
    model, numbers = narrow()
    image = grey(model)
    before = image.voxels()
    assert np.shares_memory(image.array(), model.array())
    assert np.shares_memory(image.voxels(), model.array())
    assert np.array_equal(before, numbers)  # who has the integers keeps them


@pytest.mark.parametrize("kind", ["integers", "ranks"])
def test_of_several_threads_one_makes_the_float32(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else each would take the memory, and have another array."""
    model, _ = narrow()
    everywhere = operators()["at_least_constant"].body(-(2.0**15), grey(model))
    made = grey(model) if kind == "integers" else operators()["percentiles"].body(grey(model), everywhere, 0.5)
    module, name = (values, "_buffer") if kind == "integers" else (Ranks, "floats")
    make, other, calls = getattr(module, name), Thread(target=made.held.wide), []

    def making(*arguments: object) -> object:
        calls.append(arguments)
        if len(calls) == 1:
            other.start()
            other.join(0.1)  # time enough to make it too
        return make(*arguments)

    monkeypatch.setattr(module, name, making)
    made.held.wide()
    other.join()
    assert len(calls) == 1


def test_memory_is_what_it_may_come_to_be() -> None:
    model, numbers = narrow()
    image = grey(model)
    for _ in range(2):
        assert model.nbytes == image.nbytes == size(image) == numbers.nbytes
        assert image.array().size == numbers.size


def test_stored_and_sent_as_ever() -> None:
    model, numbers = narrow()
    for value, same in (
        (model, Model.of(SPACE, numbers[..., None].copy())),
        (grey(model), Image.of(SPACE, numbers.copy())),
    ):
        assert codec.encode(value).form == codec.encode(same).form
        assert b"".join(map(bytes, codec.encode(value).parts)) == b"".join(map(bytes, codec.encode(same).parts))
        stream = io.BytesIO()
        wire.send(stream, "message", [value])
        stream.seek(0)
        received = wire.receive(stream)
        assert received is not None
        assert type(received[1][0]) is type(same)
        assert bytes(received[1][0].data) == bytes(same.data)
        for format in ("nii.gz", "nrrd", "mha"):
            assert images.encode(format, narrow()[0], "") == images.encode(format, same, "")


def test_what_people_get_is_widened_when_they_look() -> None:
    model, numbers = narrow()
    shown = volumes.shown(grey(model), "i")
    assert isinstance(shown, volumes.Image)
    assert isinstance(shown.held, Narrow)
    assert kind_of(shown.voxels()) == "i2"
    assert isinstance(shown.plain.held, Narrow)
    assert np.array_equal(shown.numpy(), numbers.T)


@pytest.mark.parametrize("slab", [1, 64, 1 << 18])
def test_slabs_of_integers_are_slabs_of_the_image(monkeypatch: pytest.MonkeyPatch, slab: int) -> None:
    monkeypatch.setattr(fused, "SLAB", slab)
    space = Space.grid(64, 5, 3)
    model, numbers = narrow("u1", space)
    image, wide = grey(model), Image.of(space, numbers.copy())
    program = "0 1 multiply_constant 2 add_constant"
    assert bytes(fused.voxelwise(program, image, 3.0, 0.5).data) == bytes(fused.voxelwise(program, wide, 3.0, 0.5).data)
    masked = f"{program} 3 4 compare"
    answers = [fused.voxelwise_mask(masked, each, 3.0, 0.5, ">", 300.0) for each in (image, wide)]
    assert bytes(answers[0].data) == bytes(answers[1].data)
    assert isinstance(answers[0], Mask)
    assert kind_of(image.voxels()) == "u1"  # nobody needed the whole of it


@pytest.mark.parametrize("relation", ["==", ">=", "<=", ">", "<", "not >", "not =="])
@pytest.mark.parametrize("c", [0.0, 0.5, 7.0])
def test_ranks_of_integers_are_compared_by_number(relation: str, c: float) -> None:
    model, numbers = narrow("u1")
    numbers[:] = np.arange(SPACE.voxels).reshape(SPACE.shape) // 8 % 5
    model = Model(SPACE, Narrow(memoryview(numbers.astype(np.uint8).tobytes()), "u1"))
    where = operators()["at_least_constant"].body(1.0, grey(model))
    percentiles = operators()["percentiles"].body
    expected, asked = percentiles(Image.of(SPACE, numbers.copy()), where, c), percentiles(grey(model), where, c)
    assert isinstance(expected, Image)
    assert isinstance(asked, Image)
    for k in (*map(float, np.unique(expected.array())), 0.3, -0.5):
        asked = percentiles(grey(model), where, c)
        assert isinstance(asked, Image)
        assert asked.nbytes == expected.nbytes
        for _ in range(2):  # before the image is there, and then from it
            assert bytes(fused.compare(asked, relation, k).data) == bytes(fused.compare(expected, relation, k).data)
            asked.array()
    part = fused._part(asked, 3, 9, 15, Space.grid(7, 6))
    assert isinstance(part, Image)
    assert bytes(part.data) == bytes(expected.data)[3 * 28 : 9 * 28]
    assert bytes(asked.data) == bytes(expected.data)
    assert asked.data is asked.data
