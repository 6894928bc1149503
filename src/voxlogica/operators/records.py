"""What makes a record of its fields, and what reads one: operators that the evaluator applies.

Programs write `record.name`; no program makes a record but by an operator that returns one, and `dataset`.
"""

from __future__ import annotations

from functools import cache

from voxlogica.formula import STRING, Operator, Type
from voxlogica.values import Record, Value


@cache
def field(record: Type, name: str) -> Operator:
    """The operator whose value is that of a field."""
    assert record.fields is not None
    return Operator(
        name="field", symbol=f".{name}", version=1, hidden=True,
        parameters=(("record", record), ("name", STRING)),
        result=record.fields[name], body=_field, doc="A field of a record.", cost="scalar",
    )  # fmt: skip


def _field(record: Record, name: str) -> Value:
    return record[name]


@cache
def fields(record: Type) -> Operator:
    """The operator whose value is the record of its arguments.

    Its name, and so the id of what it makes, has the names of the fields: they are part of the value.
    """
    assert record.fields is not None
    names = tuple(record.fields)
    return Operator(
        name=f"record({', '.join(names)})", symbol="record", version=1, hidden=True,
        parameters=tuple(record.fields.items()), result=record,
        body=lambda *values: Record(dict(zip(names, values, strict=True))), doc="A record.", cost="scalar",
    )  # fmt: skip
