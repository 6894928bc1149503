"""Texts made of values: the namespace `strings`."""

from __future__ import annotations

import re
from functools import cache
from string import Formatter
from typing import Any

from voxlogica.errors import Refusal
from voxlogica.formula import BOOL, NUMBER, STRING, Operator, Type
from voxlogica.operators import declare_family
from voxlogica.operators.families import Family
from voxlogica.values import Scalar, Value, shown

_VERSION = 2
_SCALARS = (NUMBER, BOOL, STRING)
_WIDE = re.compile(r"\d{4,}")
_FORM = re.compile(r"\.\d|[a-zA-Z%]$")


@cache
def concat(kinds: tuple[Type, ...]) -> Operator:
    """The operator `strings.concat` for arguments of these types."""
    return _operator("strings.concat", kinds, _concat)


def _concat(*values: Scalar) -> Value:
    return "".join([shown(value) for value in values])


@cache
def format_string(kinds: tuple[Type, ...]) -> Operator:
    """The operator `strings.format_string` for arguments of these types."""
    return _operator("strings.format_string", kinds, _format)


def _format(template: str, *values: Scalar) -> Value:
    try:
        return _Formatter().vformat(template, values, {})
    except (ValueError, IndexError, KeyError) as problem:
        reason = f"it has more fields than values, {len(values)}" if isinstance(problem, IndexError) else str(problem)
        raise Refusal(
            f'`strings.format_string` cannot fill in "{template}": {reason}',
            help="a field is written   {}   or with its form   {:.3f}   and a brace itself   {{",
        ) from problem


class _Formatter(Formatter):
    """Fields are values by their position; nothing of a value can be reached but the value."""

    def get_field(self, field_name: str, args: Any, kwargs: Any) -> Any:
        if not field_name.isdigit():
            raise ValueError(f"`{field_name}` is no position")
        return args[int(field_name)], field_name

    def format_field(self, value: Any, format_spec: str) -> str:
        if _WIDE.search(format_spec):
            raise ValueError(f"`{format_spec}` is too wide")
        if not format_spec:
            return shown(value)
        if isinstance(value, float) and format_spec[-1] in "bcdoxX":
            if not value.is_integer():
                raise ValueError(f"`{format_spec}` is for whole numbers, and {value!r} is none")
            return format(int(value), format_spec)
        if isinstance(value, float) and not _FORM.search(format_spec):  # it says how wide, not how a number is written
            return format(int(value) if shown(value).lstrip("-").isdigit() else value, format_spec)
        return format(shown(value) if isinstance(value, bool) else value, format_spec)


def _operator(symbol: str, kinds: tuple[Type, ...], body: Any) -> Operator:
    parameters = tuple([(f"a{n}", kind) for n, kind in enumerate(kinds)])
    return Operator(
        name=f"{symbol}({', '.join(map(str, kinds))})", symbol=symbol, version=_VERSION, parameters=parameters,
        result=STRING, body=body, doc="", cost="scalar",
    )  # fmt: skip


declare_family(
    Family(
        "strings.concat",
        (("a", _SCALARS),),
        "string",
        concat,
        """The texts of its arguments, one after the other, each as `print` shows it (C19); version 2 wrote `1.0`.

>>> value('strings.concat("T", 1, " ", true)')
'T1 true'
>>> value('concat("case ", "7")', imports=("strings",))
'case 7'""",
        repeated=True,
        version=_VERSION,
    )
)
declare_family(
    Family(
        "strings.format_string",
        (("template", (STRING,)), ("a", _SCALARS)),
        "string",
        format_string,
        """The template with each `{}` replaced by the next of the other arguments, as `print` shows it.

A field may have a number, `{0}`, counted from 0, and after a colon a form as in Python: `{:.3f}` three decimals,
`{:03d}` a whole number of three digits, `{:>8}` eight characters, on the right. A brace is written twice.

>>> value('strings.format_string("{}: {:.2f} ml in {:d}", "left", 1.256, 3)')
'left: 1.26 ml in 3'""",
        optional=1,
        repeated=True,
        version=_VERSION,
    )
)
