"""Lines of a file of calls and feedback, plain or compressed, each read as the record it is."""

from __future__ import annotations

import gzip
import io
import shutil
import sys
import tempfile
import zlib
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec
import zstandard
from msgspec import Struct

from kibitz.base import clock, refs
from kibitz.base.errors import InvalidRecord, UsageError
from kibitz.base.evaluations import EvaluationPart, RulePart
from kibitz.base.records import (
    Call,
    CallPart,
    Feedback,
    FeedbackPart,
    FilePart,
    ObjectPart,
    ObjectVersion,
)
from kibitz.export import archives
from kibitz.export.streams import Head

MAX_LINE_BYTES = 64 << 20
"""A longer line is rejected unread: it is more than any store takes."""

Record = CallPart | FeedbackPart | ObjectPart | FilePart | EvaluationPart | RulePart
KINDS: dict[str, type[Record]] = {
    "call": CallPart,
    "feedback": FeedbackPart,
    "object": ObjectPart,
    "file": FilePart,
    "evaluation": EvaluationPart,
    "rule": RulePart,
}
_DERIVED: dict[str, frozenset[str]] = {
    "call": frozenset(Call.__struct_fields__) - frozenset(CallPart.__struct_fields__),
    "feedback": frozenset(Feedback.__struct_fields__) - frozenset(FeedbackPart.__struct_fields__),
    "object": frozenset(ObjectVersion.__struct_fields__) - frozenset(ObjectPart.__struct_fields__),
    "file": frozenset(),
    "evaluation": frozenset(),
    "rule": frozenset(),
}
"""What a store gives back beside what it was sent, and works out anew."""


class Line(Struct, frozen=True):
    """One record of a line with something on it, or why it is none; without both, only the project is said.

    A call as Kibitz gives it back carries its feedback, so that a line may be several of these.
    """

    number: int
    """Counted from 1, empty lines included."""
    size: int
    """In bytes."""
    record: Record | None = None
    problem: InvalidRecord | None = None
    project: str | None = None
    """The project that it was in, where that is known."""
    place: str = ""
    """The table of an archive that it is in."""


class Counting(io.RawIOBase):
    """Passes bytes on and counts them: how far a compressed file has been read."""

    def __init__(self, raw: BinaryIO, path: Path | None = None) -> None:
        self._raw = raw
        self.path = path
        """Where the bytes are, for what must seek in them; None where they only pass by."""
        self.count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._raw.read(len(buffer))
        buffer[: len(data)] = data
        self.count += len(data)
        return len(data)


class _Zstandard(io.RawIOBase):
    """Decompresses frame after frame. Unlike the library's own reader it notices a file that was cut off."""

    def __init__(self, raw: io.BufferedReader[Any]) -> None:
        self._raw = raw
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._begun = False
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            if self._frame.eof:
                data = self._frame.unused_data or self._raw.read(1 << 17)
                self._frame = zstandard.ZstdDecompressor().decompressobj()
                self._begun = False
            else:
                data = self._raw.read(1 << 17)
            if not data:
                if self._begun:
                    raise EOFError("it ends within a frame")
                return 0
            self._begun = True
            self._ready = memoryview(self._frame.decompress(data))
        part, self._ready = self._ready[: len(buffer)], self._ready[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)


@contextmanager
def opened(name: str) -> Generator[tuple[Counting, io.BufferedReader[Any], int | None]]:
    """A file by name, `-` for standard input: (what counts, its plain bytes, its size on disk).

    The name's ending, `.gz` or `.zst`, says how it is compressed; of standard input its first bytes do.

    Raises:
        UsageError: the file cannot be opened, or is packed by its name and has nothing in it.
    """
    if name == "-":
        counting = Counting(sys.stdin.buffer)
        yield counting, _decompressed(name, counting), None
        return
    with _file(Path(name)) as raw:
        size = Path(name).stat().st_size
        if Path(name).is_file() and not size and (is_packed(name) or name.endswith(".zip")):
            # Even nothing takes some bytes when it is packed: this is what a copy that failed leaves.
            raise UsageError(f"{name} is empty; a packed file never is. Was it copied whole?")
        counting = Counting(raw, Path(name))
        yield counting, _decompressed(name, counting), size


def _file(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error


def _decompressed(name: str, raw: Counting) -> io.BufferedReader[Any]:
    plain: io.BufferedReader[Any] = io.BufferedReader(raw, 1 << 18)
    # Standard input has no name to go by.
    beginning = plain.peek(4)[:4] if name == "-" else b""
    if name.endswith(".gz") or beginning.startswith(b"\x1f\x8b"):
        return io.BufferedReader(cast("Any", gzip.GzipFile(fileobj=plain, mode="rb")), 1 << 18)
    if name.endswith((".zst", ".zstd")) or beginning == b"\x28\xb5\x2f\xfd":
        return io.BufferedReader(_Zstandard(plain), 1 << 18)
    return plain


def is_packed(name: str) -> bool:
    """Whether the ending of a name says that the file is compressed."""
    return name.endswith((".gz", ".zst", ".zstd"))


@contextmanager
def packed(name: str, file: BinaryIO) -> Generator[BinaryIO]:
    """What to write into so that a file is compressed as its name says; the file stays open."""
    if name.endswith(".gz"):
        # Without a time, so that the same content makes the same file.
        with gzip.GzipFile(
            filename="", fileobj=file, mode="wb", compresslevel=5, mtime=0
        ) as target:
            yield cast("BinaryIO", target)
    elif is_packed(name):
        # With a checksum, as gzip has one: without it a flipped bit may read as another letter.
        compressor = zstandard.ZstdCompressor(level=3, write_checksum=True)
        with compressor.stream_writer(file, closefd=False) as target:
            yield cast("BinaryIO", target)
    else:
        yield file


def read_any(name: str, stream: io.BufferedReader[Any]) -> Iterator[Line]:
    """The records of a stream of any form that an export has: lines of JSON, CSV, Parquet, Arrow, zip.

    Raises:
        UsageError: the file is damaged or of a newer form; what came before it was given out.
    """
    try:
        beginning = stream.peek(1 << 12)[: 1 << 12]
    except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
        raise UsageError(
            f"{name} is damaged after line 0: {error}; what came before it is stored"
        ) from error
    kind = archives.kind_of(beginning)
    if kind is not None:
        with _seekable(stream) as file:
            yield from of_rows(archives.read(kind, file))
    elif archives.is_csv(beginning.partition(b"\n")[0].decode("utf-8", "replace")):
        yield from of_rows(archives.read_csv("", cast("BinaryIO", stream)))
    else:
        yield from read(name, cast("BinaryIO", stream))


def of_rows(rows: Iterable[archives.Row]) -> Iterator[Line]:
    """The rows of tables as lines."""
    for row in rows:
        if row.problem is not None:
            yield Line(row.number, 0, problem=row.problem, project=row.project, place=row.table)
        elif not row.parts:
            yield Line(row.number, 0, project=row.project, place=row.table)
        for part in row.parts:
            yield Line(row.number, _size(part), record=part, project=row.project, place=row.table)


def _size(part: Record) -> int:
    """About how many bytes a part takes."""
    return len(part.content) if isinstance(part, FilePart) else len(msgspec.json.encode(part))


@contextmanager
def _seekable(stream: io.BufferedReader[Any]) -> Generator[BinaryIO]:
    """The stream itself, or a copy of it on disk where it cannot seek."""
    if isinstance(stream.raw, Counting) and stream.raw.path is not None:
        with _file(stream.raw.path) as file:
            yield file
        return
    with tempfile.TemporaryFile() as copy:
        shutil.copyfileobj(stream, copy, 1 << 18)
        copy.seek(0)
        yield cast("BinaryIO", copy)


def read(name: str, stream: BinaryIO) -> Iterator[Line]:
    """The records of the lines of a stream that have something on them.

    Raises:
        UsageError: the file is damaged or of a newer form; what came before it was given out.
    """
    number = 0
    project: str | None = None
    is_whole: bool | None = None
    while True:
        try:
            text = stream.readline(MAX_LINE_BYTES + 1)
            too_long = len(text) > MAX_LINE_BYTES
            while too_long and text and not text.endswith(b"\n"):
                text = stream.readline(MAX_LINE_BYTES)
        except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
            raise UsageError(
                f"{name} is damaged after line {number}: {error}; what came before it is stored"
            ) from error
        if not text:
            if is_whole is False:
                raise UsageError(
                    f"{name} ends early, after line {number}: it is an export without its end; "
                    "what came before is stored"
                )
            return
        number += 1
        if (head := _head(text)) is not None:
            project, is_whole = head.project, False
            yield Line(number, len(text), project=project)
            continue
        if text.startswith(b'{"end":'):
            is_whole = True
            continue
        if too_long:
            problem = InvalidRecord(
                f"the line is longer than {MAX_LINE_BYTES >> 20} MiB", field="line"
            )
            yield Line(number, MAX_LINE_BYTES, problem=problem)
        elif text.strip():
            yield from _lines(number, text, project)


def _head(text: bytes) -> Head | None:
    """What the first line of an export says."""
    if not text.startswith(b'{"export":'):
        return None
    try:
        head = msgspec.json.decode(text, type=dict[str, Head])["export"]
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError):
        return None
    archives.check_version(head.version)
    return head


def _lines(number: int, text: bytes, project: str | None) -> Iterator[Line]:
    try:
        records, own = _records(text)
    except InvalidRecord as error:
        yield Line(number, len(text), problem=error)
        return
    for at, record in enumerate(records):
        yield Line(number, 0 if at else len(text), record=record, project=own or project)


def parse(text: bytes) -> Record:
    """The record that a line is: `{"call": {…}}`, `{"feedback": {…}}`, `{"object": {…}}`, `{"file": {…}}`, or what
    is in them bare, as Kibitz takes it or as it gives it back.

    Raises:
        InvalidRecord: it is not JSON, or no such record; the message says where.
    """
    return _records(text)[0][0]


def _records(text: bytes) -> tuple[list[Record], str | None]:
    """The record that a line is with the feedback that it carries, and the project that they say they are in."""
    try:
        given = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRecord(f"not JSON: {error}", field="line") from error
    if not isinstance(given, dict):
        raise InvalidRecord("not a JSON object", field="line")
    entries = cast("dict[str, Any]", given)
    kind, body = _kind(entries)
    project = None
    said: Any = []
    if isinstance(body, dict) and isinstance(cast("dict[str, Any]", body).get("project"), str):
        # A record as a store gives it back says its project, which what it is sent does not.
        body = dict(cast("dict[str, Any]", body))
        project = body["project"]
        said = body.get("feedback") or []
        body = {key: each for key, each in body.items() if key not in _DERIVED[kind]}
        if body.get("op") == "":
            del body["op"]
    records = [_record(kind, body)]
    if not isinstance(said, list):
        raise InvalidRecord("feedback is not a list", field="feedback")
    for each in cast("list[Any]", said):
        if not isinstance(each, dict):
            raise InvalidRecord("feedback is not a list of objects", field="feedback")
        judgement = cast("dict[str, Any]", each).items()
        records.append(
            _record("feedback", {k: v for k, v in judgement if k not in _DERIVED["feedback"]})
        )
    return records, project


def _record(kind: str, body: Any) -> Record:
    try:
        record = msgspec.convert(body, KINDS[kind])
    except (msgspec.ValidationError, RecursionError) as error:
        raise InvalidRecord(f"not a {kind}: {error}", field=kind) from error
    if isinstance(record, FeedbackPart) and record.id is None:
        # The same line again is the same feedback: an import may be repeated.
        content = msgspec.json.encode(record, order="sorted")
        return msgspec.structs.replace(
            record, id=refs.digest(content), created_at=record.created_at or clock.now()
        )
    return record


def _kind(entries: dict[str, Any]) -> tuple[str, Any]:
    if len(entries) == 1:
        ((key, body),) = entries.items()
        if key in KINDS:
            return key, body
    if "target_ref" in entries:
        return "feedback", entries
    if "digest" in entries and "value" in entries:
        return "object", entries
    if "digest" in entries and "content" in entries:
        return "file", entries
    if "id" in entries:
        return "call", entries
    raise InvalidRecord(
        f"neither a call (it has an id) nor feedback (it has a target_ref); its keys are {sorted(entries)[:8]}",
        field="line",
    )
