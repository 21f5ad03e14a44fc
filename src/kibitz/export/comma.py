"""Tables as CSV (RFC 4180, UTF-8) that tells an empty text from a missing value: `""` is the text, nothing is nothing.

The standard library's reader and writer do not tell them apart, which is why they are not used.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import msgspec

from kibitz.base import clock
from kibitz.base.errors import InvalidRecord
from kibitz.export.columns import Kind, Table

MAX_ROW_CHARACTERS = 256 << 20
"""A longer row is given up: a quotation mark was opened and never closed."""
_SPECIAL = re.compile('[",\r\n]')
# Without going back: of each step it could go back to, the matcher would keep a hundred bytes.
_CELL = re.compile(r'(?:"((?:[^"]++|"")*+)"|([^",]*+))(,|$)')
_encode = msgspec.json.Encoder().encode


def head(table: Table) -> bytes:
    """The line with the names of the columns."""
    return _line(_quoted(column.name) for column in table.columns).encode()


def rows(table: Table, records: Iterable[Any]) -> bytes:
    """Records as lines."""
    cells = [(column.value, _WRITERS[column.kind]) for column in table.columns]
    lines: list[str] = []
    for record in records:
        values = [(value(record), write) for value, write in cells]
        lines.append(_line("" if each is None else write(each) for each, write in values))
    return "".join(lines).encode()


def _line(cells: Iterable[str]) -> str:
    return ",".join(cells) + "\r\n"


def _quoted(text: str) -> str:
    if not text or _SPECIAL.search(text):
        return '"' + text.replace('"', '""') + '"'
    return text


def _moment(us: int) -> str:
    return clock.from_us(us).isoformat().replace("+00:00", "Z")


def _flag(flag: bool) -> str:
    return "true" if flag else "false"


def _content(content: bytes) -> str:
    return _quoted(base64.b64encode(content).decode())


def _list(given: list[Any]) -> str:
    return _quoted(_encode(given).decode())


_WRITERS: dict[Kind, Any] = {
    "text": _quoted,
    "json": _quoted,
    "time": _moment,
    "number": repr,
    "integer": str,
    "flag": _flag,
    "bytes": _content,
    "feedback": _list,
}


def read(stream: BinaryIO) -> Iterator[tuple[int, list[str | None]]]:
    """The rows of a CSV, the one with the names first: (line where it begins, cells); None for a missing value.

    Raises:
        InvalidRecord: a row is not CSV; `line` says which. Nothing can be read after it.
    """
    number = begun = 0
    pending: list[str] = []
    size = 0
    is_open = False
    while raw := stream.readline(MAX_ROW_CHARACTERS):
        number += 1
        line = _decoded(raw, number)
        if not pending:
            begun = number
        pending.append(line)
        size += len(line)
        is_open ^= line.count('"') % 2 == 1
        if size > MAX_ROW_CHARACTERS:
            break
        if not is_open:
            row = "".join(pending).removesuffix("\n").removesuffix("\r")
            pending, size = [], 0
            if row:
                yield begun, _cells(row, begun)
    if pending:
        raise InvalidRecord(
            f"the row of line {begun} never ends: a quotation mark is not closed", line=begun
        )


def _decoded(raw: bytes, number: int) -> str:
    try:
        return raw.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise InvalidRecord(f"line {number} is not UTF-8: {error.reason}", line=number) from error


def _cells(row: str, line: int) -> list[str | None]:
    found: list[str | None] = []
    at = 0
    while True:
        match = _CELL.match(row, at)
        if match is None:
            raise InvalidRecord(f"line {line} is not CSV at character {at + 1}", line=line)
        if match[1] is not None:
            found.append(match[1].replace('""', '"'))
        else:
            found.append(match[2] or None)
        at = match.end()
        if match[3] == "":
            return found
