"""The door to Apache Arrow: records as typed tables, record batches, streams and Parquet files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kibitz.base.errors import MissingExtra
from kibitz.base.records import Call, ScoreColumn
from kibitz.export import columns
from kibitz.export.columns import Kind, Table
from kibitz.query.nodes import ALL_COLUMNS, CallColumn

if TYPE_CHECKING:
    import pyarrow


def library() -> Any:
    """pyarrow, loaded when it is first asked for.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import pyarrow
    except ImportError as error:
        raise MissingExtra(
            "Arrow and Parquet need pyarrow, which is not installed; pip install 'kibitz[arrow]'"
        ) from error
    return pyarrow


def calls_table(
    calls: Iterable[Call],
    *,
    scores: Sequence[ScoreColumn] | None = None,
    wide: frozenset[CallColumn] = ALL_COLUMNS,
) -> pyarrow.Table:
    """Calls as one table in memory: a row each, typed columns, values as JSON text, each score a column of its own.

    Args:
        calls: The calls, read with the columns of `wide`; what was not read is null.
        scores: The scores that become columns; those that the calls have where it is None.
        wide: Which of the values that are read on demand become columns.

    Raises:
        MissingExtra: pyarrow is not installed.
    """
    pa = library()
    rows = list(calls)
    table = columns.calls(columns.scores_of(rows) if scores is None else scores, wide=wide)
    return pa.Table.from_batches([batch(table, rows)], schema=schema(table))


def schema(table: Table, metadata: Mapping[str, str] | None = None) -> pyarrow.Schema:
    """The Arrow schema of a table; `metadata` travels with it."""
    pa = library()
    fields = [pa.field(each.name, _type(each.kind)) for each in table.columns]
    return pa.schema(fields, metadata=metadata)


def batch(table: Table, records: Sequence[Any]) -> pyarrow.RecordBatch:
    """Records as one batch of a table."""
    pa = library()
    arrays = [
        pa.array(
            [_arrow_value(column.kind, column.value(record)) for record in records]
            if column.kind == "feedback"
            else [column.value(record) for record in records],
            type=_type(column.kind),
        )
        for column in table.columns
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema(table))


def _type(kind: Kind) -> Any:
    pa = library()
    match kind:
        case "text" | "json":
            return pa.string()
        case "time":
            return pa.timestamp("us", tz="UTC")
        case "number":
            return pa.float64()
        case "integer":
            return pa.int64()
        case "flag":
            return pa.bool_()
        case "bytes":
            return pa.binary()
        case "feedback":
            fields = [pa.field(each.name, _type(each.kind)) for each in columns.FEEDBACK.columns]
            return pa.list_(pa.struct(fields))


def _arrow_value(kind: Kind, value: Any) -> Any:
    if kind != "feedback" or value is None:
        return value
    return [{each.name: each.value(given) for each in columns.FEEDBACK.columns} for given in value]
