"""What an export is read back from: zips and folders of tables, single tables, Arrow streams.

Tables are given in an order in which everything that is referred to comes first. A row becomes the parts that
it carries; one that cannot is a problem with its place, and reading goes on.
"""

from __future__ import annotations

import io
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

import msgspec
from msgspec import Struct

from kibitz.base.errors import InvalidRecord, UsageError
from kibitz.base.evaluations import EvaluationPart, RulePart
from kibitz.base.records import Call, CallPart, Feedback, FeedbackPart, FilePart, ObjectPart
from kibitz.export import arrow, columns, comma
from kibitz.export.parts import Part
from kibitz.export.streams import VERSION, Head

Kind = Literal["zip", "parquet", "arrow"]
ORDER = ("objects", "files", "calls", "feedback", "evaluations", "rules")
_ALWAYS = frozenset(ORDER[:4])
_MAGIC: tuple[tuple[bytes, Kind], ...] = (
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"PAR1", "parquet"),
    (b"\xff\xff\xff\xff", "arrow"),
)
_JSON = frozenset(
    (
        *("inputs", "output", "attributes", "summary", "exception", "payload", "value"),
        *("invocations", "spent", "definitions", "sample", "per_day", "usd_per_day", "active"),
    )
)
_KNOWN: dict[str, frozenset[str]] = {
    "calls": frozenset((*Call.__struct_fields__, *CallPart.__struct_fields__)),
    "feedback": frozenset((*Feedback.__struct_fields__, *FeedbackPart.__struct_fields__)),
    "objects": frozenset(each.name for each in columns.OBJECTS.columns),
    "files": frozenset(each.name for each in columns.FILES.columns),
    "evaluations": frozenset(EvaluationPart.__struct_fields__),
    "rules": frozenset(RulePart.__struct_fields__),
}
_PARTS: dict[str, type[Part]] = {
    "calls": CallPart,
    "feedback": FeedbackPart,
    "objects": ObjectPart,
    "files": FilePart,
    "evaluations": EvaluationPart,
    "rules": RulePart,
}
_MAX_HEAD = 1 << 20
"""Of what an export says of itself. A longer one is none of ours, and may be any length when it is unpacked."""
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    InvalidRecord,
    # Encryption, or a way of packing that nobody uses.
    NotImplementedError,
    RuntimeError,
)


class Row(Struct, frozen=True):
    """One row of a table, read."""

    table: str
    """The table or the file that it is in."""
    number: int
    """Which one: the line of a CSV, otherwise counted from 1."""
    project: str | None
    """The project that it was in, where that is known."""
    parts: list[Part] = []
    """None where only the project is said, which may be empty."""
    problem: InvalidRecord | None = None


def kind_of(beginning: bytes) -> Kind | None:
    """What a file is by its first bytes; None for text."""
    for magic, kind in _MAGIC:
        if beginning.startswith(magic):
            return kind
    return None


def read(kind: Kind, file: BinaryIO) -> Iterator[Row]:
    """The rows of a file that can seek.

    Raises:
        UsageError: it cannot be read, is cut off, or is of a newer form.
        MissingExtra: it needs a library that is not installed.
    """
    match kind:
        case "zip":
            yield from _read_zip(file)
        case "parquet":
            yield from _read_rows("", arrow.read_parquet(file))
        case "arrow":
            yield from _read_streams(file)


def read_folder(folder: Path) -> Iterator[Row]:
    """The rows of the tables in a folder.

    Raises:
        UsageError: there are none, or one cannot be read.
    """
    with _readable(str(folder)):
        files = {path.name: path for path in sorted(folder.iterdir()) if path.is_file()}
        project = None
        if "export.json" in files:
            with files["export.json"].open("rb") as file:
                project = _check_head(file.read(_MAX_HEAD))
    yield Row("", 0, project)
    yield from _read_files(str(folder), files, project, lambda name: files[name].open("rb"))


def read_csv(name: str, stream: BinaryIO, project: str | None = None) -> Iterator[Row]:
    """The rows of a CSV of calls, feedback, objects or files, by its columns."""
    rows = comma.read(stream)
    table, names = "", list[str]()
    with _readable(name):
        while True:
            try:
                number, cells = next(rows)
            except StopIteration:
                return
            except InvalidRecord as error:
                # What follows cannot be told apart any more.
                raise UsageError(
                    f"{name} is damaged: {error.message}; what came before is stored"
                ) from error
            if not names:
                names = [cell or "" for cell in cells]
                table = _table_of(name, names)
            elif len(cells) != len(names):
                message = f"the row has {len(cells)} cells, the first line has {len(names)}"
                yield Row(name, number, project, problem=InvalidRecord(message, field="line"))
            else:
                yield _row(name, table, number, dict(zip(names, cells, strict=True)), project)


def is_csv(first_line: str) -> bool:
    """Whether a line names columns that we know."""
    names = [cell.strip().strip('"') for cell in first_line.lstrip("\ufeff").strip().split(",")]
    return bool({"id", "digest", "target_ref"} & set(names)) and not first_line.startswith("{")


def _read_zip(file: BinaryIO) -> Iterator[Row]:
    with _readable("the archive"):
        archive = zipfile.ZipFile(file)
    with archive:
        names = {info.filename: info.filename for info in archive.infolist() if not info.is_dir()}
        project = None
        with _readable("the archive"):
            if "export.json" in names:
                with archive.open("export.json") as member:
                    project = _check_head(member.read(_MAX_HEAD))

        def opened(name: str) -> BinaryIO:
            member = cast("BinaryIO", archive.open(name))
            return member if name.endswith(".csv") else _copied(member)

        yield Row("", 0, project)
        yield from _read_files("the archive", names, project, opened)


def _copied(member: BinaryIO) -> BinaryIO:
    """A copy on disk: Parquet is read from its end, and an archive only forwards."""
    copy = cast("BinaryIO", tempfile.TemporaryFile())  # noqa: SIM115 its reader closes it
    with member:
        shutil.copyfileobj(member, copy, 1 << 20)
    copy.seek(0)
    return copy


def _read_files(
    where: str, names: Iterable[str], project: str | None, opened: Callable[[str], BinaryIO]
) -> Iterator[Row]:
    wanted = [
        name for table in ORDER for name in names if name in (f"{table}.csv", f"{table}.parquet")
    ]
    if not wanted:
        raise UsageError(
            f"{where} has none of calls, feedback, objects and files as .csv or .parquet; is it an export?"
        )
    for name in wanted:
        with _readable(where), opened(name) as file:
            if name.endswith(".csv"):
                yield from read_csv(name, file, project)
            else:
                yield from _read_rows(name, arrow.read_parquet(file), project)


def _read_streams(file: BinaryIO) -> Iterator[Row]:
    """The streams of a file, twice: what is referred to stands after what refers to it."""
    start = file.tell()
    for wanted in (("objects", "files"), ("calls", "feedback", "evaluations", "rules", "")):
        file.seek(start)
        source = io.BufferedReader(cast("Any", _Lent(file)))
        yield from _read_rows("", arrow.read_streams(source), only=wanted)


class _Lent(io.RawIOBase):
    """A file that a buffer may be put on, and that is not closed with it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _read_rows(
    name: str,
    portions: Iterable[arrow.Rows],
    project: str | None = None,
    *,
    only: tuple[str, ...] | None = None,
) -> Iterator[Row]:
    table, shown, number = "", name, 0
    seen: set[str] = set()
    expected: frozenset[str] = frozenset()
    with _readable(name or "the file"):
        for portion in portions:
            if not portion.rows:
                table = _table_of(name or "the file", portion.names)
                said = portion.metadata.get("kibitz.table", "")
                table = said if said in _PARTS else table
                _check_version(portion.metadata.get("kibitz.version"))
                project = portion.metadata.get("kibitz.project") or project
                if portion.metadata.get("kibitz.tables") == "all":
                    names = portion.metadata.get("kibitz.names", "").split()
                    expected = frozenset(names) & set(ORDER) or _ALWAYS
                shown, number = name or table, 0
                seen.add(table)
                yield Row(shown, 0, project)
                continue
            for row in portion.rows:
                number += 1
                if only is None or table in only:
                    yield _row(shown, table, number, row, project)
    if only is not None and expected - seen:
        missing = ", ".join(sorted(expected - seen))
        raise UsageError(f"the file ends early: {missing} are missing; what came before is stored")


def _row(shown: str, table: str, number: int, row: dict[str, Any], project: str | None) -> Row:
    try:
        found = _parts(table, row)
    except InvalidRecord as error:
        return Row(shown, number, row.get("project") or project, problem=error)
    return Row(shown, number, row.get("project") or project, parts=found)


def _parts(table: str, row: dict[str, Any]) -> list[Part]:
    found = [_part(table, row)]
    said = row.get("feedback") if table == "calls" else None
    if isinstance(said, str):
        said = _decoded("feedback", said)
    if said is None:
        return found
    if not isinstance(said, list):
        raise InvalidRecord("feedback is not a list", field="feedback")
    for each in cast("list[Any]", said):
        if not isinstance(each, dict):
            raise InvalidRecord("feedback is not a list of objects", field="feedback")
        found.append(_part("feedback", cast("dict[str, Any]", each)))
    return found


def _part(table: str, row: dict[str, Any]) -> Part:
    kind = _PARTS[table]
    entries: dict[str, Any] = {}
    for name in kind.__struct_fields__:
        value = row.get(name)
        if value is None or (name == "op" and value == ""):
            continue
        # In a list of judgements a payload may stand as what it is.
        entries[name] = _decoded(name, value) if name in _JSON and isinstance(value, str) else value
    try:
        return msgspec.convert(entries, kind)
    except (msgspec.ValidationError, RecursionError) as error:
        raise InvalidRecord(f"not of {table}: {error}", field=table) from error


def _decoded(name: str, text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidRecord(
            f"{name} is not JSON: {error}; a text stands in quotation marks", field=name
        ) from error


def _table_of(name: str, names: list[str]) -> str:
    """Which table has these columns.

    Raises:
        UsageError: none has, or one of them is unknown: what would be lost is said.
    """
    if "target_ref" in names:
        table = "feedback"
    elif "definition_ref" in names:
        table = "evaluations"
    elif "definitions" in names:
        table = "rules"
    elif "digest" in names:
        table = "files" if "content" in names else "objects"
    elif "id" in names:
        table = "calls"
    else:
        raise UsageError(
            f"{name} is no table of calls (it has an id), feedback (target_ref), objects or files (digest); "
            f"its columns are {', '.join(names)[:200]}"
        )
    unknown = [
        each
        for each in names
        if each not in _KNOWN[table] and not (table == "calls" and each.startswith("feedback."))
    ]
    if unknown:
        raise UsageError(
            f"{name} has the column {unknown[0]!r}, which is none of {table}; rename or remove it"
        )
    return table


def _check_head(content: bytes) -> str:
    try:
        said = msgspec.json.decode(content, type=dict[str, Any])
        head = msgspec.convert(said.get("export"), Head)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise UsageError(f"export.json is not what Kibitz writes: {error}") from error
    check_version(head.version)
    return head.project


def _check_version(text: str | None) -> None:
    if text is not None:
        check_version(int(text) if re.fullmatch("[0-9]{1,9}", text) else VERSION + 1)


def check_version(version: int) -> None:
    """Raise `UsageError` for an export of a form that is newer than this Kibitz."""
    if version > VERSION:
        raise UsageError(
            f"the export is of form {version}, this Kibitz reads up to {VERSION}; update Kibitz to import it"
        )


@contextmanager
def _readable(name: str) -> Generator[None]:
    """Raise as `UsageError` what makes a file unreadable as a whole."""
    try:
        yield
    except _DAMAGE as error:
        raise UsageError(
            f"{name} is damaged or cut off: {error}; what came before is stored"
        ) from error
