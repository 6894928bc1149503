"""The ranks of integers of one or two bytes, by number: what is only compared needs no rank at every voxel.

Equal numbers have equal ranks, so that a comparison of ranks holds for a set of numbers; where that is an interval, as
it is for ranks that grow, the voxels are compared with its ends.
"""

from __future__ import annotations

import numpy as np

from voxlogica.kernels import _fields, fields, masks
from voxlogica.kernels.masks import Comparison, Floats, Numbers, Words

OUTSIDE = -1.0


class Ranks:
    """What `fields.percentiles(field, words, c)` is, for a field of integers of one or two bytes.

    >>> ranks = Ranks(np.array([[[1, 2, 2, 5]]], np.uint8), np.array([[[15]]], np.uint64), 0.5)
    >>> ranks.compare(">", 0.5).tolist(), ranks.floats().tolist()
    ([[[8]]], [[[0.125, 0.5, 0.5, 0.875]]])
    """

    def __init__(self, field: Numbers, words: Words, c: float) -> None:
        self._field, self._words = fields.checked_with_mask(field, words)
        if self._field.dtype.kind == "f":
            raise TypeError("field: expected an array of integers of 8 or 16 bits, not of float32")
        ends = np.iinfo(self._field.dtype.str)
        self._least = ends.min
        self._by_number = np.empty(ends.max - ends.min + 1, np.float32)
        _fields.rank_table(self._field, self._words, float(fields.float32(c)), self._by_number)

    @property
    def size(self) -> int:
        """How many voxels there are."""
        return self._field.size

    def floats(self) -> Floats:
        """The rank at every voxel, -1 outside the mask."""
        out = np.empty(self._field.shape, np.float32)
        _fields.ranked(self._field, self._words, self._by_number, out)
        return out

    def compare(self, op: Comparison, k: float, *, threads: int = 1) -> Words | None:
        """`masks.compare` of the ranks; None when it holds for numbers that are no interval."""
        table = masks.compare(self._by_number.reshape(1, 1, -1), op, k)
        box = masks.bounding_box(table, self._by_number.size)
        first, end = box[2] if box is not None else (0, 0)
        if masks.count(table) < end - first:
            return None
        low, high = self._least + first, self._least + end - 1  # of no number: high < low
        inside = masks.between(self._field, low, high, threads=threads)
        inside = masks.conjunction(inside, self._words)
        if masks.count(masks.compare(fields.constant((1, 1, 1), OUTSIDE), op, k)):
            return masks.disjunction(inside, masks.complement(self._words, self._field.shape[2]))
        return inside
