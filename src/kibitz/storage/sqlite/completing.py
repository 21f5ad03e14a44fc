"""What a project has, for completing queries: read from what is kept, or from the newest calls; never from all."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, cast

import msgspec

from kibitz.base.records import ScoreColumn
from kibitz.query import fields
from kibitz.query.nodes import ColumnField, FeedbackField, Field, Literal_, PathField, Root
from kibitz.query.pieces import TEXT
from kibitz.storage import statements
from kibitz.storage.sqlite import feedback_reading
from kibitz.storage.sqlite.names import ReadCatalog

_SQL = statements.load("sqlite.sql")
NEWEST = 60
"""Calls whose values are looked at for places in them."""
_NEWEST_ROWS = 1000
"""Calls whose columns are."""
_ENOUGH = 1_000_000
"""Looking at values ends after so many characters, some milliseconds, however many have been seen: some are huge.

A number of characters and no time: what is offered does not depend on what else the machine does."""
_MAX_PATHS = 300
_MAX_DEPTH = 5
_MAX_KEYS = 50
_MAX_VALUES = 50
_MAX_TEXTS = 25
_MAX_COUNTED = 1000
_MAX_AUTHORS = 200
_COLUMNS = {
    name: f"c.{name}"
    for name in (
        "id",
        "trace_id",
        "parent_id",
        "kind",
        "display_name",
        "thread_id",
        "author",
        "model",
    )
} | {"op_ref": "(SELECT r.text FROM refs r WHERE r.pk = c.op_ref)"}


class SqliteKnown:
    """Satisfies `query.completion.Known` within one read transaction; what was read once is kept."""

    def __init__(self, connection: sqlite3.Connection, project: int) -> None:
        self._connection = connection
        self._project = project
        self._columns: list[ScoreColumn] | None = None
        self._types: list[tuple[str, int]] | None = None
        self._ops: list[tuple[str, int]] | None = None
        self._values: dict[Root, list[Any]] | None = None

    def ops(self) -> Sequence[tuple[str, int]]:
        """The ops that calls have, with how many."""
        if self._ops is None:
            self._ops = self._connection.execute(_SQL["ops"], (self._project,)).fetchall()
        return [each for each in self._ops if each[0]]

    def statuses(self) -> Sequence[tuple[str, int]]:
        """The statuses of calls, with how many."""
        calls, errors, running = self._connection.execute(
            _SQL["status_counts"], (self._project,)
        ).fetchone()
        counts = {"success": calls - errors - running, "error": errors, "running": running}
        return sorted(counts.items(), key=lambda entry: -entry[1])

    def types(self) -> Sequence[tuple[str, int]]:
        """The types of feedback, with how much was given."""
        if self._types is None:
            self._types = self._connection.execute(_SQL["type_counts"], (self._project,)).fetchall()
        return self._types

    def columns(self) -> Sequence[ScoreColumn]:
        """What feedback says."""
        if self._columns is None:
            self._columns = feedback_reading.columns(self._connection, self._project)
        return self._columns

    def authors(self) -> Sequence[str]:
        """Who judged."""
        rows = self._connection.execute(_SQL["author_names"], (self._project, _MAX_AUTHORS))
        return [name for (name,) in rows]

    def paths(self, root: Root) -> Sequence[tuple[tuple[str, ...], int]]:
        """The places that the newest calls have below one of their values."""
        counts: Counter[tuple[str, ...]] = Counter()
        for value in self._newest(root):
            counts.update(set(_places(value)))
            if len(counts) > _MAX_PATHS:
                break
        return sorted(counts.items(), key=lambda each: (-each[1], each[0]))

    def values(self, field: Field) -> Sequence[tuple[Literal_, int]]:
        """What there is at a field: of feedback, the first of its texts; of calls, what the newest have."""
        match field:
            case FeedbackField():
                return list(self._texts(field))
            case PathField(root, path):
                found = (_at(value, path) for value in self._newest(root))
            case ColumnField(name):
                if name not in _COLUMNS:
                    return []
                rows = self._connection.execute(
                    f"SELECT {_COLUMNS[name]} FROM calls c WHERE c.project = ? AND"
                    " c.started_at IS NOT NULL ORDER BY c.started_at DESC LIMIT ?",
                    (self._project, _NEWEST_ROWS),
                )
                found = (row[0] for row in rows)
        # By kind as well: true and 1 are two values here.
        counts = Counter(
            (type(each), each) for each in found if isinstance(each, str | bool | int | float)
        )
        ordered = sorted(counts.items(), key=lambda each: (-each[1], str(each[0][1])))
        return [(value, count) for (_, value), count in ordered[:_MAX_VALUES]]

    def _newest(self, root: Root) -> list[Any]:
        """One value of each of the newest calls; all of them are read at once, since all may be asked for."""
        if self._values is None:
            self._values = {name: [] for name in fields.ROOTS}
            rows = self._connection.execute(_SQL["newest_payloads"], (self._project, NEWEST))
            seen = 0
            for row in rows:
                for name, text in zip(fields.ROOTS, row, strict=True):
                    if text is not None:
                        self._values[name].append(msgspec.json.decode(text))
                        seen += len(text)
                if seen > _ENOUGH:
                    break
        return self._values[root]

    def _texts(self, field: FeedbackField) -> Iterator[tuple[Literal_, int]]:
        """The texts of a series, each found behind the one before it in the index."""
        catalog = ReadCatalog(self._connection, self._project)
        entry = catalog.feedback_type(field.type)
        path = tuple(part for part in field.path if not fields.is_index(part))
        series = None if entry is None else catalog.series(entry.pk, path)
        if series is None:
            return
        rows = self._connection.execute(_SQL["texts_of_series"], (series, TEXT, _MAX_TEXTS))
        counted = [
            (text, self._connection.execute(
                _SQL["count_text"], (series, TEXT, text, _MAX_COUNTED)
            ).fetchone()[0])
            for (text,) in rows.fetchall()
        ]  # fmt: skip
        yield from sorted(counted, key=lambda each: -each[1])


def _places(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The places in a value: every key, and of a list the first element."""
    if len(path) >= _MAX_DEPTH:
        return
    if isinstance(value, dict):
        for number, (key, below) in enumerate(cast("dict[str, Any]", value).items()):
            if number == _MAX_KEYS:
                return
            yield (*path, key)
            yield from _places(below, (*path, key))
    elif isinstance(value, list) and value:
        yield (*path, "0")
        yield from _places(value[0], (*path, "0"))


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        if isinstance(value, dict):
            value = cast("dict[str, Any]", value).get(part)
        elif isinstance(value, list) and fields.is_index(part):
            elements = cast("list[Any]", value)
            value = elements[int(part)] if int(part) < len(elements) else None
        else:
            return None
    return value
