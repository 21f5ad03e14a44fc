"""Lines of a file of calls and feedback, plain or compressed, each read as the record it is."""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec
import zstandard
from msgspec import Struct

from kibitz.base import clock, refs
from kibitz.base.errors import InvalidRecord, UsageError
from kibitz.base.records import CallPart, FeedbackPart, ObjectPart

MAX_LINE_BYTES = 64 << 20
"""A longer line is rejected unread: it is more than any store takes."""

Record = CallPart | FeedbackPart | ObjectPart
KINDS: dict[str, type[CallPart] | type[FeedbackPart] | type[ObjectPart]] = {
    "call": CallPart,
    "feedback": FeedbackPart,
    "object": ObjectPart,
}


class Line(Struct, frozen=True):
    """One line with something on it. Exactly one of `record` and `problem` is there."""

    number: int
    """Counted from 1, empty lines included."""
    size: int
    """In bytes."""
    record: Record | None = None
    problem: InvalidRecord | None = None


class Counting(io.RawIOBase):
    """Passes bytes on and counts them: how far a compressed file has been read."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
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

    def __init__(self, raw: Counting) -> None:
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
def opened(name: str) -> Generator[tuple[Counting, BinaryIO, int | None]]:
    """A file by name, `-` for standard input: (what counts, its text as bytes, its size on disk).

    The name's ending, `.gz` or `.zst`, says how it is compressed.

    Raises:
        UsageError: the file cannot be opened.
    """
    if name == "-":
        counting = Counting(sys.stdin.buffer)
        yield counting, _decompressed(name, counting), None
        return
    with _file(Path(name)) as raw:
        counting = Counting(raw)
        yield counting, _decompressed(name, counting), Path(name).stat().st_size


def _file(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error


def _decompressed(name: str, raw: Counting) -> BinaryIO:
    if name.endswith(".gz"):
        return cast("BinaryIO", gzip.GzipFile(fileobj=io.BufferedReader(raw), mode="rb"))
    if name.endswith((".zst", ".zstd")):
        return cast("BinaryIO", io.BufferedReader(_Zstandard(raw), 1 << 18))
    return cast("BinaryIO", io.BufferedReader(raw, 1 << 18))


def read(name: str, stream: BinaryIO) -> Iterator[Line]:
    """The lines of a stream that have something on them.

    Raises:
        UsageError: the file is damaged; what came before it was given out.
    """
    number = 0
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
            return
        number += 1
        if too_long:
            problem = InvalidRecord(
                f"the line is longer than {MAX_LINE_BYTES >> 20} MiB", field="line"
            )
            yield Line(number, MAX_LINE_BYTES, problem=problem)
        elif text.strip():
            yield _line(number, text)


def _line(number: int, text: bytes) -> Line:
    try:
        return Line(number, len(text), record=parse(text))
    except InvalidRecord as error:
        return Line(number, len(text), problem=error)


def parse(text: bytes) -> Record:
    """The record that a line is: `{"call": {…}}`, `{"feedback": {…}}`, `{"object": {…}}`, or what is in them bare.

    Raises:
        InvalidRecord: it is not JSON, or no such record; the message says where.
    """
    try:
        given = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRecord(f"not JSON: {error}", field="line") from error
    if not isinstance(given, dict):
        raise InvalidRecord("not a JSON object", field="line")
    entries = cast("dict[str, Any]", given)
    kind, body = _kind(entries)
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
    if "id" in entries:
        return "call", entries
    raise InvalidRecord(
        f"neither a call (it has an id) nor feedback (it has a target_ref); its keys are {sorted(entries)[:8]}",
        field="line",
    )
