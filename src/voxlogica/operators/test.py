"""What tests of VoxLogicA itself need: the namespace `test`."""

from __future__ import annotations

from voxlogica.errors import Refusal
from voxlogica.operators import operator

_LARGEST = 1476  # the last one that a double can hold


@operator(cost="scalar")
def fibonacci(n: float) -> float:
    """The n-th number of Fibonacci, from 0: after 0 and 1 each is the sum of the two before it.

    >>> value("for n in range(0, 8) do test.fibonacci(n)")
    (0.0, 1.0, 1.0, 2.0, 3.0, 5.0, 8.0, 13.0)
    """
    if not (n.is_integer() and 0 <= n <= _LARGEST):
        raise Refusal(f"`test.fibonacci` needs a whole number from 0 to {_LARGEST}, not {n:g}")
    here, following = 0, 1
    for _ in range(int(n)):
        here, following = following, here + following
    return float(here)
