"""A project, or the calls of a query, as one stream of bytes.

    jsonl     lines {"export": …}, {"object": …}, {"file": …}, {"call": …}, {"feedback": …}, {"evaluation": …},
              {"rule": …}, {"end": …}
    csv       a zip of calls.csv, feedback.csv, objects.csv, files.csv and export.json
    parquet   a zip of the same tables as Parquet
    arrow     Arrow IPC streams one after the other: calls, feedback, objects, files

Where a project has evaluations or rules, tables of these follow.
Each is complete: importing it gives the same project again. `tables="calls"` makes csv, parquet and arrow the
one table of calls, with all feedback on them in a column, and nothing else.

Bytes come as they are made. What cannot be written yet, because the calls come first, waits in temporary files.
"""

from __future__ import annotations

import re
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import Any, BinaryIO, Literal, Protocol, get_args

import msgspec
from msgspec import Struct

from kibitz.base import refs
from kibitz.base.errors import NotFound, RefError, UsageError
from kibitz.base.evaluations import EvaluationPart, RulePart
from kibitz.base.records import Call, Feedback, FilePart, ObjectVersion
from kibitz.export import arrow, columns, comma, parts
from kibitz.export.columns import Table
from kibitz.query.nodes import CallColumn, CallQuery
from kibitz.storage.protocols import LocalStore

Format = Literal["jsonl", "csv", "parquet", "arrow"]
Tables = Literal["all", "calls"]
FORMATS: tuple[Format, ...] = get_args(Format)
VERSION = 1
"""Of the form of an export; a reader refuses a newer one."""
MEDIA_TYPES: dict[tuple[Format, Tables], str] = {
    ("jsonl", "all"): "application/x-ndjson",
    ("jsonl", "calls"): "application/x-ndjson",
    ("csv", "all"): "application/zip",
    ("csv", "calls"): "text/csv",
    ("parquet", "all"): "application/zip",
    ("parquet", "calls"): "application/vnd.apache.parquet",
    ("arrow", "all"): "application/vnd.apache.arrow.stream",
    ("arrow", "calls"): "application/vnd.apache.arrow.stream",
}
MOST_SCORES = 64
"""Score columns of a table; the most used ones. The feedback itself is whole."""
_VALUES: frozenset[CallColumn] = frozenset(
    ("inputs", "output", "attributes", "summary", "exception")
)
_SCORES: frozenset[CallColumn] = frozenset(("scores",))
_SAID: frozenset[CallColumn] = frozenset(("feedback",))
_FILE = re.compile(rb'"digest":"([0-9a-f]{40})"')
_CHUNK = 1 << 18
_encode = msgspec.json.Encoder().encode


class Tally(Struct):
    """How much has been given out so far."""

    objects: int = 0
    files: int = 0
    calls: int = 0
    feedback: int = 0
    evaluations: int = 0
    rules: int = 0


class Head(Struct, frozen=True, kw_only=True):
    """What an export says of itself first."""

    version: int = VERSION
    project: str = ""
    complete: bool = False
    """Whether it has all of the project, and not what a query chose."""


Progress = Callable[[Tally], None]
Portion = (
    list[ObjectVersion]
    | list[FilePart]
    | list[Call]
    | list[Feedback]
    | list[EvaluationPart]
    | list[RulePart]
)
_LINES: dict[str, Any] = {
    "objects": ("object", parts.of_object),
    "files": ("file", lambda part: part),  # pyright: ignore[reportUnknownLambdaType] a part already
    "calls": ("call", parts.of_call),
    "feedback": ("feedback", parts.of_feedback),
    "evaluations": ("evaluation", lambda part: part),  # pyright: ignore[reportUnknownLambdaType] a part already
    "rules": ("rule", lambda part: part),  # pyright: ignore[reportUnknownLambdaType] as above
}


TABLES: tuple[Table, ...] = (columns.FEEDBACK, columns.OBJECTS, columns.FILES)
"""What every export has beside calls, in the order in which it stands behind them."""


def stream(
    store: LocalStore,
    project: str,
    format: Format,
    *,
    query: CallQuery | None = None,
    limit: int | None = None,
    tables: Tables = "all",
    progress: Progress | None = None,
) -> Iterator[bytes]:
    """A project as bytes, in bounded memory.

    Args:
        store: where it is.
        project: its name.
        format: see above.
        query: only the calls that match, with what belongs to them: all feedback on them, the versions of ops
            and objects that they and it refer to, and the files in their values. Its order is kept.
        limit: how many calls at most.
        tables: `calls` for one table of calls; not for jsonl, which is complete always.
        progress: called after each portion.

    Raises:
        NotFound: there is no such project.
        UsageError: the format has no single table.
        MissingExtra: the format needs a library that is not installed.
    """
    if format == "jsonl" and tables == "calls":
        raise UsageError("jsonl has all records always; choose another format for one table")
    if format in ("parquet", "arrow"):
        arrow.library()
    source = _Source(store, project, query, limit, progress or _no_progress)
    if format == "jsonl":
        return _lines(source)
    if tables == "calls":
        return _one_table(source, format)
    return _all_tables(source, format)


def file_name(project: str, format: Format, tables: Tables) -> str:
    """What a file with this export is called."""
    ending = "zip" if tables == "all" and format in ("csv", "parquet") else format
    return f"{project.replace('/', '-')}.{ending}"


def _no_progress(tally: Tally) -> None:
    del tally


class _Source:
    """What is exported, portion by portion, counted."""

    def __init__(
        self,
        store: LocalStore,
        project: str,
        query: CallQuery | None,
        limit: int | None,
        progress: Progress,
    ) -> None:
        self._store = store
        self.project = project
        self._query = query
        self._limit = limit
        self._progress = progress
        self._extent = store.contents.extent(project)
        self._given: set[str] = set()
        """References and digests of what was given out; only with a query."""
        self.tally = Tally()
        self.tables = TABLES
        if self._extent.evaluations or self._extent.rules:
            self.tables = (*TABLES, columns.EVALUATIONS, columns.RULES)
        """What of tables there is, beside that of calls."""
        self.head = Head(project=project, complete=query is None and limit is None)

    def portions(self, values: frozenset[CallColumn]) -> Iterator[tuple[str, Portion]]:
        """(table, records), what is referred to before what refers to it."""
        source = self._chosen(values) if not self.head.complete else self._everything(values)
        for table, portion in source:
            yield table, portion
            setattr(self.tally, table, getattr(self.tally, table) + len(portion))
            self._progress(self.tally)

    def judged_calls(self, values: frozenset[CallColumn]) -> Iterator[list[Call]]:
        """The calls, each with all feedback on it."""
        for calls in self._calls(values):
            said = self._store.contents.feedback_on(
                self.project, [call.id for call in calls], self._extent
            )
            judged = [
                msgspec.structs.replace(call, feedback=said.get(call.id, [])) for call in calls
            ]
            yield judged
            self.tally.calls += len(judged)
            self.tally.feedback += sum(map(len, said.values()))
            self._progress(self.tally)

    def table_of_calls(self, values: frozenset[CallColumn]) -> Table:
        scores = self._store.feedback.columns(self.project)[:MOST_SCORES]
        return columns.calls(scores, wide=values)

    def _everything(self, values: frozenset[CallColumn]) -> Iterator[tuple[str, Portion]]:
        contents = self._store.contents
        for versions in contents.objects(self.project):
            yield "objects", versions
        for file in contents.files(self.project):
            yield "files", [file]
        for calls in self._calls(values):
            yield "calls", calls
        for feedback in contents.feedback(self.project, self._extent):
            yield "feedback", feedback
        for evaluations in contents.evaluations(self.project, self._extent):
            yield "evaluations", evaluations
        if rules := contents.rules(self.project):
            yield "rules", rules

    def _chosen(self, values: frozenset[CallColumn]) -> Iterator[tuple[str, Portion]]:
        for calls in self._calls(values):
            call_ids = [call.id for call in calls]
            said = self._store.contents.feedback_on(self.project, call_ids, self._extent)
            feedback = [each for call_id in call_ids for each in said.get(call_id, [])]
            evaluations = self._store.contents.evaluations_on(self.project, call_ids, self._extent)
            named = [*_references(calls, feedback), *(each.definition_ref for each in evaluations)]
            versions = list(self._versions(named))
            if versions:
                yield "objects", versions
            for file in self._files(_digests([*calls, *versions, *feedback])):
                yield "files", [file]
            yield "calls", calls
            if feedback:
                yield "feedback", feedback
            if evaluations:
                yield "evaluations", evaluations

    def _calls(self, values: frozenset[CallColumn]) -> Iterator[list[Call]]:
        query = self._query or CallQuery(project=self.project)
        asked = CallQuery(
            project=self.project, where=query.where, sort=query.sort, columns=values - {"feedback"}
        )
        return self._store.contents.calls(asked, self._extent, limit=self._limit)

    def _versions(self, texts: Iterable[str]) -> Iterator[ObjectVersion]:
        for text in texts:
            if text in self._given:
                continue
            self._given.add(text)
            try:
                ref = refs.parse_ref(text)
            except RefError:
                continue
            if ref.digest is None or ref.project != self.project:
                continue
            try:
                yield self._store.objects.get(self.project, ref.kind, ref.name, ref.digest)
            except NotFound:
                # Calls may name versions that were never sent.
                continue

    def _files(self, digests: Iterable[str]) -> Iterator[FilePart]:
        wanted = [digest for digest in digests if digest not in self._given]
        self._given.update(wanted)
        return self._store.contents.files(self.project, wanted)


def _references(calls: list[Call], feedback: list[Feedback]) -> Iterator[str]:
    found = dict.fromkeys(call.op_ref for call in calls)
    for each in feedback:
        found[each.annotation_ref] = found[each.runnable_ref] = None
    return (text for text in found if text is not None)


def _digests(records: list[Any]) -> Iterator[str]:
    """The digests of the files that values name."""
    found: dict[str, None] = {}
    for record in records:
        for name in ("inputs", "output", "attributes", "summary", "payload", "value"):
            value = getattr(record, name, None)
            if value is None or value is msgspec.UNSET:
                continue
            text = _encode(value)
            if b'"$type":"file"' in text:
                found.update((digest.decode(), None) for digest in _FILE.findall(text))
    return iter(found)


def _lines(source: _Source) -> Iterator[bytes]:
    yield _line("export", source.head)
    for table, portion in source.portions(_VALUES):
        key, part = _LINES[table]
        start = b'{"' + key.encode() + b'":'
        yield b"".join([start + _encode(part(record)) + b"}\n" for record in portion])
    yield _line("end", source.tally)


def _line(key: str, record: Struct) -> bytes:
    return _encode({key: record}) + b"\n"


class _Sink:
    """What writers take for a file that cannot seek; `drain` gives what they wrote."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._position = 0
        self.closed = False

    def write(self, data: Any) -> int:
        chunk = bytes(data)
        self._chunks.append(chunk)
        self._position += len(chunk)
        return len(chunk)

    def tell(self) -> int:
        return self._position

    def flush(self) -> None:
        """Nothing waits below."""

    def close(self) -> None:
        """The bytes are drained by whoever made it."""

    def writable(self) -> bool:
        return True

    def drain(self) -> bytes:
        chunks, self._chunks = self._chunks, []
        return b"".join(chunks)


class _Writer(Protocol):
    def write(self, records: list[Any]) -> None: ...

    def close(self) -> None: ...


class _CommaWriter:
    def __init__(self, table: Table, sink: Any) -> None:
        self._table = table
        self._sink = sink
        sink.write(comma.head(table))

    def write(self, records: list[Any]) -> None:
        self._sink.write(comma.rows(self._table, records))

    def close(self) -> None:
        """The end of a CSV is nothing."""


def _writer(format: Format, table: Table, sink: Any, metadata: dict[str, str]) -> _Writer:
    match format:
        case "csv":
            return _CommaWriter(table, sink)
        case "parquet":
            return arrow.ParquetWriter(table, sink, metadata)
        case _:
            return arrow.StreamWriter(table, sink, metadata)


def _metadata(source: _Source, table: str, tables: Tables) -> dict[str, str]:
    return {
        "kibitz.version": str(VERSION),
        "kibitz.project": source.project,
        "kibitz.table": table,
        "kibitz.tables": tables,
        "kibitz.names": " ".join(["calls", *(each.name for each in source.tables)]),
    }


def _one_table(source: _Source, format: Format) -> Iterator[bytes]:
    values = _VALUES.union(_SCORES, _SAID)
    sink = _Sink()
    table = source.table_of_calls(values)
    writer = _writer(format, table, sink, _metadata(source, "calls", "calls"))
    for calls in source.judged_calls(values):
        writer.write(calls)
        if chunk := sink.drain():
            yield chunk
    writer.close()
    yield sink.drain()


def _all_tables(source: _Source, format: Format) -> Iterator[bytes]:
    values = _VALUES.union(_SCORES)
    sink = _Sink()
    with ExitStack() as stack:
        container: _Zip | _Chain = _Chain(sink) if format == "arrow" else _Zip(sink, format)
        table = source.table_of_calls(values)
        first = _writer(format, table, container.begin("calls"), _metadata(source, "calls", "all"))
        waiting: dict[str, tuple[_Writer, BinaryIO]] = {}
        for later in source.tables:
            spool: Any = stack.enter_context(tempfile.TemporaryFile())
            metadata = _metadata(source, later.name, "all")
            waiting[later.name] = _writer(format, later, spool, metadata), spool
        for name, portion in source.portions(values):
            writer = first if name == "calls" else waiting[name][0]
            writer.write(portion)
            if chunk := sink.drain():
                yield chunk
        first.close()
        for name, (writer, spool) in waiting.items():
            writer.close()
            spool.seek(0)
            target = container.begin(name)
            while chunk := spool.read(_CHUNK):
                target.write(chunk)
                yield sink.drain()
        container.end(source)
        yield sink.drain()


class _Chain:
    """Streams one after the other."""

    def __init__(self, sink: _Sink) -> None:
        self._sink = sink

    def begin(self, name: str) -> Any:
        del name
        return self._sink

    def end(self, source: _Source) -> None:
        """The end of the last stream is the end."""
        del source


class _Zip:
    """Files of a zip archive, written through; of the same content always the same bytes."""

    def __init__(self, sink: _Sink, format: Format) -> None:
        self._format = format
        # Parquet is compressed in itself.
        packing = zipfile.ZIP_DEFLATED if format == "csv" else zipfile.ZIP_STORED
        self._zip = zipfile.ZipFile(sink, "w", packing, compresslevel=1)  # pyright: ignore[reportArgumentType] it only writes
        self._open: Any = None

    def begin(self, name: str) -> Any:
        return self._begin(f"{name}.{self._format}")

    def end(self, source: _Source) -> None:
        said = {"export": source.head, "end": source.tally}
        self._begin("export.json").write(_encode(said))
        self._open.close()
        self._zip.close()

    def _begin(self, name: str) -> Any:
        if self._open is not None:
            self._open.close()
        self._open = _Told(self._zip.open(name, "w", force_zip64=True))
        return self._open


class _Told:
    """A file of an archive that can say where it is, which its writers ask."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._position = 0
        self.closed = False

    def write(self, data: Any) -> int:
        chunk = bytes(data)
        self._position += len(chunk)
        self._file.write(chunk)
        return len(chunk)

    def tell(self) -> int:
        return self._position

    def flush(self) -> None:
        """The archive is flushed as a whole."""

    def writable(self) -> bool:
        return True

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._file.close()
