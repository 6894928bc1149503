"""The words for sequences that go with elements of any type: what they are called, and their manual entries."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from voxlogica.check.names import Form

_MANY = tuple([("pattern", *[f"pattern{n}" for n in range(2, count + 1)]) for count in range(1, 9)])

DIR = ("root", "pattern", "recursive", "full_paths")
"""The parameters of `dir`."""

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
        """What the function f of one argument makes of each element; f is a name.

>>> value("map(not_compat, [true, false])")
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
    Form(
        "dataset",
        _MANY,
        "sequence of records",
        """A record for each case that patterns describe: its parts as strings, and the file of each pattern.

`dataset("flair={case}/{case}_flair.nii.gz", "seg={case}/{case}_seg.nii.gz")` has the fields `case`, `flair` and `seg`;
the file of a pattern without a name is `image`. Cases are sorted, and may lie on different voxel grids, and so may the
images of one. A file is opened when its record is needed; one that is lacking or unfit fails what needs that record.

>>> value('for c in dataset("nowhere/{case}.nii.gz")[0:0] do c.case')
()""",
    ),
    Form(
        "dir",
        tuple([DIR[:count] for count in range(1, 5)]),
        "sequence of strings",
        """The names of the files and directories in a directory, sorted; what they are is seen before anything runs.

Those that the pattern matches, `"*"` unless given: `*` and `?` as in a shell, and names that begin with a dot only if
the pattern does. With `true` in the third place also those below, by their paths from there; with `true` in the fourth
the root stands before each. `~` is the home directory. A root that is not there is an error.

>>> value('for name in dir("/", "no such name") do name')
()""",
    ),
    Form(
        "mean",
        (("xs",),),
        "number or number image",
        """The mean of a sequence of numbers, or voxel by voxel of images, rounded once. Of an empty one there is none.

Images lie on one grid. One is needed at a time: sums are kept in double, with what rounding takes from them.

>>> value("mean([1, 2, 6])"), value("mean([a, 3 * a])", a=[1, 2])
(3.0, [2.0, 4.0])""",
    ),
    Form(
        "std",
        (("xs",),),
        "number or number image",
        """The standard deviation of a sample of numbers, or of images: squares over one less than there are.

Of a single one it is nan. Images lie on one grid. One is needed at a time: the mean and the sum of squared deviations
so far are kept in double (Welford's method).

>>> value("std([1, 3, 3, 5])"), value("std([a, a + 1, a + 2])", a=[1, 2])
(1.632993161855452, [1.0, 1.0])""",
    ),
    Form(
        "median",
        (("xs",),),
        "number or number image",
        """The number in the middle of some, or voxel by voxel of images, or the mean of the two there; nan if one is.

Images lie on one grid, and are read some layers of each at a time, no more than 256 MiB of them all together.

>>> value("median([3, 1, 8, 2])"), value("median([a, 9 * a, 2 * a])", a=[1, 2])
(2.5, [2.0, 4.0])""",
    ),
    Form(
        "quantile",
        (("xs", "share"),),
        "number or number image",
        """The number below which a share of some lies, as NumPy interpolates it; for images as `median`.

>>> value("quantile([0, 10, 20, 30, 40], 0.9)"), value("quantile([a, 3 * a], 0.25)", a=[1, 2])
(36.0, [1.5, 3.0])""",
    ),
)

FORMS: Mapping[str, Form] = MappingProxyType({form.symbol: form for form in _ALL})
"""The forms by name."""
