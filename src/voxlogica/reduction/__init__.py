"""Checked code, and its reduction to formulas: the one evaluator of the language.

`reduce` runs the steps of code with formulas in the slots, so that a call is a substitution of formulas for holes, and
so is each turn of a loop: an element has the id of the same expression written by hand. Calls are memoised on (code,
arguments), so sharing in the text is sharing in the graph. An element that nobody asks for is not made, and a formula
that no goal needs is not computed. Nothing here is bounded by the Python stack.

What decides on lengths, numbers of elements and conditions of a `filter` must be known without an image: numbers,
parameters, and what scalar operators make of them.
"""

from __future__ import annotations

from voxlogica.reduction.code import Code
from voxlogica.reduction.evaluator import Reduced, reduce
from voxlogica.reduction.loops import MOST

__all__ = ["MOST", "Code", "Reduced", "reduce"]
