"""What makes a record of its fields, and what reads one: operators that the evaluator applies.

Programs write `record.name`; no program makes a record but by an operator that returns one, and `dataset`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from voxlogica.formula import STRING, Formula, Operator, Type
from voxlogica.values import Record, Value


@cache
def field(record: Type, name: str) -> Operator:
    """The operator whose value is that of a field."""
    assert record.fields is not None
    return Operator(
        name="field", symbol=f".{name}", version=1, hidden=True,
        parameters=(("record", record), ("name", STRING)),
        result=record.fields[name], body=_field, doc="A field of a record.", cost="scalar", bridge=True,
    )  # fmt: skip


def _field(record: Record, name: str) -> Value:
    return record[name]


def parts(record: Formula) -> Mapping[str, Formula]:
    """The formulas that a record is made of, by field, where that is seen; else none."""
    made = record.operator is not None and record.operator.name.startswith("record(")
    return dict(zip(record.type.fields or (), record.arguments, strict=True)) if made else {}


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
        body=lambda *values: Record(dict(zip(names, values, strict=True))), doc="A record.", cost="scalar", apart=True,
    )  # fmt: skip
