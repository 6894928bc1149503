"""What reads a record: an operator that the evaluator applies. Programs write `record.name`."""

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
