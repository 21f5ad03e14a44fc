"""What commands print: calls as a table, rows, facts and JSON; which fields that reads, and how a cell is shown."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

import click
import msgspec
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kibitz.base.records import Call
from kibitz.cli import moments
from kibitz.query import fields
from kibitz.query.nodes import CallColumn, ColumnField, FeedbackField, Field, PathField

DEFAULT = ("started_at", "op", "status", "latency_ms", "input", "output")
PREVIEWS = {"input": "input_preview", "output": "output_preview", "error": "error"}
"""Columns that are a call's preview, not one of its fields; `output` is both, and a table shows the preview."""

MISSING = ""
MAX_NARROW_CHARACTERS = 24
MIN_WIDE_CHARACTERS = 20
_GAP = 2
"""Between columns: a space and the divider of the box."""
MAX_PLAIN_CHARACTERS = 120
"""Of a cell where no terminal sets the width."""

Column = str | Field
"""A preview by the name of its record field, or a field of a query."""


def parse_column(text: str) -> Column:
    """The column a user names; raises `QueryError` with the nearest field where there is none."""
    return PREVIEWS.get(text) or fields.parse(text)


def needed(columns: Iterable[Column]) -> frozenset[CallColumn]:
    """What a query must read beside the narrow columns to fill these."""
    wanted: set[CallColumn] = set()
    for column in columns:
        if isinstance(column, PathField):
            wanted.add(column.root)
        elif isinstance(column, FeedbackField):
            wanted.add("feedback")
    return frozenset(wanted)


def value(call: Call, column: Column) -> Any:
    """What a call has in a column; None where it has nothing."""
    match column:
        case str():
            return getattr(call, column)
        case ColumnField(name):
            return getattr(call, name)
        case PathField(root, path):
            return _descend(getattr(call, root), path)
        case FeedbackField(type_, path):
            # The newest of the type counts; a call's feedback comes newest first.
            judged = (each.payload for each in call.feedback or [] if each.type == type_)
            return _descend(next(judged, None), path)


def _descend(found: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        if isinstance(found, dict):
            found = cast("dict[str, Any]", found).get(part)
        elif isinstance(found, list) and fields.is_index(part):
            elements = cast("list[Any]", found)
            found = elements[int(part)] if int(part) < len(elements) else None
        else:
            return None
    return None if found is msgspec.UNSET else found


def show(found: Any, column: Column) -> str:
    """A cell as text on one line."""
    if found is None:
        return MISSING
    if isinstance(found, datetime):
        return moments.show(found)
    if column == ColumnField("latency_ms"):
        return moments.show_latency(found)
    if isinstance(found, bool):
        return "yes" if found else "no"
    if isinstance(found, float):
        return f"{found:.4g}"
    text = found if isinstance(found, str) else msgspec.json.encode(found).decode()
    return printable(" ".join(text.split()))


def printable(text: str) -> str:
    """Text without what would steer a terminal: what was logged is never trusted."""
    return "".join(each if each.isprintable() else "�" for each in text)


def count(value: int, noun: str) -> str:
    """`1 call`, `2,000 calls`."""
    return f"{value:,} {noun}" + ("" if value == 1 else "s")


def header(column: Column, spelled: str) -> str:
    """What stands above a column: a feedback field without the words that all of them have."""
    if isinstance(column, FeedbackField):
        name = column.type.removeprefix("runnable.").removeprefix("annotation.")
        path = column.path[1:] if column.path[:1] in (("output",), ("value",)) else column.path
        return ".".join((name, *path))
    return spelled


def write(calls: Sequence[Call], spelled: Sequence[str], *, for_people: bool = False) -> None:
    """A table to standard output: drawn on a terminal, tabs between the cells elsewhere.

    Args:
        for_people: elsewhere too it is to be read, not to be cut: cells are padded.
    """
    columns = [parse_column(each) for each in spelled]
    headers = [header(column, text) for column, text in zip(columns, spelled, strict=True)]
    rows = [[show(value(call, column), column) for column in columns] for call in calls]
    if not sys.stdout.isatty():
        lines = [[_bounded(cell) for cell in row] for row in (headers, *rows)]
        widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
        for row in lines:
            padded = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            click.echo(padded.rstrip() if for_people else "\t".join(row))
        return
    widths = _widths(columns, headers, rows)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for column, text, width in zip(columns, headers, widths, strict=True):
        right = _is_numeric(calls, column)
        table.add_column(
            text,
            width=width,
            no_wrap=True,
            overflow="ellipsis",
            justify="right" if right else "left",
        )
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console(width=max(_terminal(), sum(widths) + _GAP * len(widths) + 2)).print(table)


def write_rows(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Texts as a table to standard output: drawn on a terminal, tabs between the cells elsewhere."""
    lines = [[printable(" ".join(cell.split())) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for line in (headers, *lines):
            click.echo("\t".join(line))
        return
    table = Table(*headers, box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for line in lines:
        table.add_row(*map(Text, line))
    Console(width=_terminal()).print(table)


def write_facts(said: Mapping[str, str | None], width: int = 8) -> None:
    """What is said of one thing to standard output, a line each; what is empty is left out.

    Args:
        width: of what stands before the texts.
    """
    for label, text in said.items():
        if text:
            click.echo(f"{label:>{width}}  {printable(' '.join(text.split()))}")


def write_json(values: Iterable[Any]) -> None:
    """Each value as a line of JSON to standard output."""
    for each in values:
        click.echo(msgspec.json.encode(each).decode())


def _terminal() -> int:
    return shutil.get_terminal_size().columns


def _widths(
    columns: Sequence[Column], headers: Sequence[str], rows: Sequence[Sequence[str]]
) -> list[int]:
    """What is short stays whole; places in values and previews share what is left of the line."""
    longest = [max(map(len, cells), default=0) for cells in zip(headers, *rows, strict=True)]
    wide = [isinstance(column, str | PathField) for column in columns]
    narrow = sum(
        min(length, MAX_NARROW_CHARACTERS) + _GAP
        for length, is_wide in zip(longest, wide, strict=True)
        if not is_wide
    )
    left = (_terminal() - narrow - 2) // max(sum(wide), 1) - _GAP
    return [
        min(length, max(left, MIN_WIDE_CHARACTERS) if is_wide else MAX_NARROW_CHARACTERS)
        for length, is_wide in zip(longest, wide, strict=True)
    ]


def _bounded(text: str) -> str:
    return text if len(text) <= MAX_PLAIN_CHARACTERS else text[: MAX_PLAIN_CHARACTERS - 1] + "…"


def _is_numeric(calls: Sequence[Call], column: Column) -> bool:
    found = [each for call in calls if (each := value(call, column)) is not None]
    return bool(found) and all(
        isinstance(each, int | float) and not isinstance(each, bool) for each in found
    )
