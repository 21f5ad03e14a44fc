"""The door to Apache Arrow: records as typed tables, record batches, streams and Parquet files."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kibitz.base.errors import InvalidRecord, MissingExtra
from kibitz.base.records import Call, ScoreColumn
from kibitz.export import columns
from kibitz.export.columns import Kind, Table
from kibitz.query.nodes import ALL_COLUMNS, CallColumn

if TYPE_CHECKING:
    import pyarrow

ROW_GROUP_BYTES = 32 << 20
ROWS_AT_A_TIME = 500
BYTES_AT_A_TIME = 1 << 20


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


def _parquet() -> Any:
    library()
    from pyarrow import parquet

    return parquet


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


class StreamWriter:
    """Writes one table as an Arrow IPC stream."""

    def __init__(self, table: Table, sink: Any, metadata: Mapping[str, str]) -> None:
        self._table = table
        self._writer = library().ipc.new_stream(sink, schema(table, metadata))

    def write(self, records: Sequence[Any]) -> None:
        """Append records."""
        self._writer.write_batch(batch(self._table, records))

    def close(self) -> None:
        """Write the end of the stream; the sink stays open."""
        self._writer.close()


class ParquetWriter:
    """Writes one table as a Parquet file; a row group for some records, so that memory stays bounded."""

    def __init__(self, table: Table, sink: Any, metadata: Mapping[str, str]) -> None:
        pa = library()
        self._table = table
        self._pending: list[Any] = []
        self._bytes = 0
        self._writer = _parquet().ParquetWriter(
            pa.PythonFile(sink, mode="w"), schema(table, metadata), compression="zstd"
        )

    def write(self, records: Sequence[Any]) -> None:
        """Append records."""
        found = batch(self._table, records)
        self._pending.append(found)
        self._bytes += found.nbytes
        if self._bytes >= ROW_GROUP_BYTES:
            self._flush()

    def close(self) -> None:
        """Write what is pending and the end of the file; the sink stays open."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._pending:
            self._writer.write_table(library().Table.from_batches(self._pending))
            self._pending, self._bytes = [], 0


def read_parquet(source: Any) -> Iterator[Rows]:
    """The rows of a Parquet file, from something that can seek."""
    parquet = _parquet()
    with _translated():
        file = parquet.ParquetFile(source)
        yield Rows(_metadata(file.schema_arrow), list(file.schema_arrow.names), [])
        for found in file.iter_batches(batch_size=ROWS_AT_A_TIME):
            yield from _rows(found)


def read_streams(source: Any) -> Iterator[Rows]:
    """The rows of the Arrow streams that follow each other in a source; each stream begins with one without rows."""
    pa = library()
    with _translated():
        while source.peek(1):
            reader = pa.ipc.open_stream(source)
            yield Rows(_metadata(reader.schema), list(reader.schema.names), [])
            for found in reader:
                yield from _rows(found)


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows of a table as plain values; times are datetimes in UTC."""

    metadata: dict[str, str]
    """Of the table; with what has no rows, which begins each."""
    names: list[str]
    rows: list[dict[str, Any]]


def _metadata(found: Any) -> dict[str, str]:
    given: dict[bytes, bytes] = found.metadata or {}
    return {
        key.decode("utf-8", "replace"): each.decode("utf-8", "replace")
        for key, each in given.items()
    }


def _rows(found: Any) -> Iterator[Rows]:
    # What does not come from Kibitz may point anywhere.
    found.validate(full=True)
    # As Python values they take several times as much.
    each = found.nbytes // max(1, found.num_rows) + 1
    size = max(1, min(ROWS_AT_A_TIME, BYTES_AT_A_TIME // each))
    for start in range(0, found.num_rows, size):
        some = found.slice(start, size)
        yield Rows({}, list(some.schema.names), some.to_pylist())


@contextmanager
def _translated() -> Generator[None]:
    """Raise Arrow's errors as ours."""
    pa = library()
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise InvalidRecord(f"not readable as Arrow: {str(error)[:300]}") from error
