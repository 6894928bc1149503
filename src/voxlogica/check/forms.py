"""The words for sequences that go with elements of any type: what they are called, and their manual entries."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from voxlogica.check.names import Form

_ALL = (
    Form(
        "range",
        (("stop",), ("start", "stop")),
        "sequence of numbers",
        """The whole numbers from start, 0 unless given, up to stop, without it.

>>> value("range(2, 5)")
(2.0, 3.0, 4.0)""",
    ),
    Form(
        "map",
        (("f", "xs"),),
        "sequence",
        """What the function f of one argument makes of each element; f is a name or an operator.

>>> value("map(!, [true, false])")
(False, True)""",
    ),
    Form(
        "index",
        (("xs", "i"),),
        "element",
        """The element number i, from 0; also written `xs[i]`. A number outside is an error, a negative one too.

>>> value("index([5, 6, 7], 1)")
6.0""",
    ),
    Form(
        "slice",
        (("xs", "start", "stop"),),
        "sequence",
        """The elements from start up to stop, without it; also written `xs[start:stop]`, where bounds may be left out.

Negative bounds count from the end (C6).

>>> value("slice([5, 6, 7], 1, 3)"), value("[5, 6, 7][-2:]")
((6.0, 7.0), (6.0, 7.0))""",
    ),
    Form(
        "subsequence",
        (("xs", "stop"), ("xs", "start", "stop")),
        "sequence",
        """The elements from start, 0 unless given, up to stop, without it; a negative bound is 0.

>>> value("subsequence([5, 6, 7], -1, 2)")
(5.0, 6.0)""",
    ),
    Form(
        "argmax",
        (("xs",),),
        "number",
        """The number of the largest element of a sequence of numbers, from 0, the first of several.

>>> value("argmax([3, 8, 8])")
1.0""",
    ),
)

FORMS: Mapping[str, Form] = MappingProxyType({form.symbol: form for form in _ALL})
"""The forms by name."""
