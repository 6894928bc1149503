"""The ranks of integers of one or two bytes, by number: what is only compared needs no rank at every voxel.

Equal numbers have equal ranks, so that a comparison of ranks holds for a set of numbers; where that is an interval, as
it is for ranks that grow, the voxels are compared with its ends.
"""

from __future__ import annotations

import math

from voxlogica.kernels import _fields, fields, masks
from voxlogica.kernels.arrays import Floats, Numbers, Words, float32, floats_like, kind_of, shape_of
from voxlogica.kernels.masks import Comparison

OUTSIDE = -1.0


class Ranks:
    """What `fields.percentiles(field, words, c)` is, for a field of integers of one or two bytes.

    >>> ranks = Ranks(np.array([[[1, 2, 2, 5]]], np.uint8), np.array([[[15]]], np.uint64), 0.5)
    >>> ranks.compare(">", 0.5).tolist(), ranks.floats().tolist()
    ([[[8]]], [[[0.125, 0.5, 0.5, 0.875]]])
    """

    def __init__(self, field: Numbers, words: Words, c: float) -> None:
        self._field, self._words = fields.checked_with_mask(field, words)
        kind = kind_of(self._field)
        if kind == "f4":
            raise TypeError("field: expected an array of integers of 8 or 16 bits, not of float32")
        range = 1 << 8 * int(kind[1])
        self._least = -range // 2 if kind[0] == "i" else 0
        self._by_number = floats_like(self._field, (1, 1, range))
        _fields.rank_table(self._field, self._words, float32(c), self._by_number)

    @property
    def size(self) -> int:
        """How many voxels there are."""
        return math.prod(shape_of(self._field))

    def floats(self) -> Floats:
        """The rank at every voxel, -1 outside the mask."""
        out = floats_like(self._field, shape_of(self._field))
        _fields.ranked(self._field, self._words, self._by_number, out)
        return out

    def compare(self, op: Comparison, k: float, *, threads: int = 1) -> Words | None:
        """`masks.compare` of the ranks; None when it holds for numbers that are no interval."""
        table = masks.compare(self._by_number, op, k)
        box = masks.bounding_box(table, shape_of(self._by_number)[2])
        first, end = box[2] if box is not None else (0, 0)
        if masks.count(table) < end - first:
            return None
        low, high = self._least + first, self._least + end - 1  # of no number: high < low
        inside = masks.between(self._field, low, high, threads=threads)
        inside = masks.conjunction(inside, self._words)
        if masks.compare_numbers(OUTSIDE, op, k):
            return masks.disjunction(inside, masks.complement(self._words, shape_of(self._field)[2]))
        return inside
