"""Reading calls: pages by query, single calls, traces, counts, roll-ups."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import msgspec

from kibitz.base import clock
from kibitz.base.api import Completions
from kibitz.base.errors import NotFound
from kibitz.base.records import Aggregation, Call, Count, ExceptionInfo, Feedback, Page
from kibitz.query import completion
from kibitz.query.aggregation import AggregateQuery
from kibitz.query.nodes import ALL_COLUMNS, CallColumn, CallQuery, Node
from kibitz.query.pieces import BOOL, NUMBER, TEXT
from kibitz.storage import statements
from kibitz.storage.sqlite import aggregating, feedback_reading, planning
from kibitz.storage.sqlite.completing import SqliteKnown
from kibitz.storage.sqlite.connection import Readers
from kibitz.storage.sqlite.names import project_pk

_SQL = statements.load("sqlite.sql")
NARROW = """c.pk, c.id, c.trace_id, c.parent_id, o.name, r.text, c.kind, c.display_name, c.thread_id,
    c.author, c.status, c.started_at, c.ended_at, c.latency, c.input_preview, c.output_preview, c.error,
    c.model, c.input_tokens, c.output_tokens, c.tokens, c.cost"""
WIDE_FROM = 22
"""Where the columns after the narrow ones begin."""
FROM = "FROM calls c LEFT JOIN ops o ON o.pk = c.op LEFT JOIN refs r ON r.pk = c.op_ref"
PAYLOADS = ("inputs", "output", "attributes", "summary", "exception")
_MAX_SCORE_SERIES = 64
"""Columns of scores that a page of calls carries; the most used ones."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class SqliteCalls:
    """Satisfies `storage.protocols.CallReader`."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    def query(self, query: CallQuery) -> Page[Call]:
        """A page of calls."""
        with self._readers.reading() as connection:
            project = project_pk(connection, query.project)
            hits, cursor = planning.page(connection, project, query)
            calls = _fetch(connection, query.project, [hit.pk for hit in hits], query.columns)
        return Page(items=calls, next_cursor=cursor)

    def count(self, project: str, where: Node | None, *, bound: int = 10_000) -> Count:
        """How many calls match; without a condition always exact."""
        with self._readers.reading() as connection:
            pk = project_pk(connection, project)
            if where is None:
                row = connection.execute(_SQL["count_calls"], (pk,)).fetchone()
                return Count(count=row[0], exact=True)
            found = planning.count(connection, pk, where, bound)
        return Count(count=min(found, bound), exact=found <= bound)

    def get(self, project: str, call_id: str) -> Call:
        """One whole call with its feedback."""
        with self._readers.reading() as connection:
            pk = project_pk(connection, project)
            row = connection.execute(_SQL["visible_call"], (pk, call_id)).fetchone()
            if row is None:
                raise NotFound(
                    f"project {project!r} has no call {call_id[:64]!r}", project=project, id=call_id
                )
            return _fetch(connection, project, [row[0]], ALL_COLUMNS)[0]

    def trace(self, project: str, trace_id: str, *, limit: int = 50_000) -> list[Call]:
        """The calls of a trace in the order they started."""
        with self._readers.reading() as connection:
            pk = project_pk(connection, project)
            rows = connection.execute(
                f"SELECT {NARROW} {FROM} WHERE c.project = ? AND c.trace_id = ?"
                " AND c.started_at IS NOT NULL ORDER BY c.started_at, c.pk LIMIT ?",
                (pk, trace_id, limit),
            ).fetchall()
        if not rows:
            raise NotFound(
                f"project {project!r} has no trace {trace_id[:64]!r}", project=project, id=trace_id
            )
        return [call_of(project, row) for row in rows]

    def ops(self, project: str) -> list[tuple[str, int]]:
        """The ops of a project with their number of calls, most called first."""
        with self._readers.reading() as connection:
            pk = project_pk(connection, project)
            return connection.execute(_SQL["ops"], (pk,)).fetchall()

    def aggregate(self, query: AggregateQuery) -> Aggregation:
        """What was measured of groups of calls or feedback."""
        with self._readers.reading() as connection:
            return aggregating.run(connection, query)

    def complete(self, project: str, text: str, at: int | None = None) -> Completions:
        """What may stand at an offset of a query as text, and what is wrong with it."""
        with self._readers.reading() as connection:
            known = SqliteKnown(connection, project_pk(connection, project))
            return completion.complete(text, len(text) if at is None else at, known, clock.now())

    def by_op_and_day(
        self, project: str, *, since: datetime | None = None
    ) -> list[tuple[str, str, int, int, float | None]]:
        """(op, day in UTC, calls, errors, mean latency in ms of the calls that ended)."""
        since_hour = 0 if since is None else clock.to_us(since) // 3_600_000_000 // 24 * 24
        with self._readers.reading() as connection:
            pk = project_pk(connection, project)
            return connection.execute(_SQL["by_op_and_day"], (pk, since_hour)).fetchall()


def _fetch(
    connection: sqlite3.Connection, project: str, pks: list[int], columns: frozenset[CallColumn]
) -> list[Call]:
    """The calls of these pks, in their order."""
    if not pks:
        return []
    wide = [name for name in PAYLOADS if name in columns]
    extra = "".join(f", p.{name}" for name in wide)
    join = " LEFT JOIN payloads p ON p.call = c.pk" if wide else ""
    wanted = msgspec.json.encode(pks).decode()
    rows = connection.execute(
        f"SELECT {NARROW}{extra} {FROM}{join} WHERE c.pk IN (SELECT value FROM json_each(?))",
        (wanted,),
    )
    by_pk: dict[int, Any] = {row[0]: row for row in rows}
    feedback: dict[int, list[Feedback]] = {}
    if "feedback" in columns:
        feedback = feedback_reading.standing_on_calls(connection, project, pks)
    scores: dict[int, dict[str, dict[str, Any]]] = {}
    if "scores" in columns:
        scores = scores_of(connection, project, wanted)
    calls: list[Call] = []
    for pk in pks:
        row = by_pk[pk]
        further: dict[str, Any] = payloads_of(wide, row[WIDE_FROM:])
        if "feedback" in columns:
            further["feedback"] = feedback.get(pk, [])
        if "scores" in columns:
            further["scores"] = scores.get(pk, {})
        calls.append(call_of(project, row, further))
    return calls


def payloads_of(names: Sequence[str], texts: Iterable[str | None]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, text in zip(names, texts, strict=True):
        if name == "exception":
            found[name] = None if text is None else msgspec.json.decode(text, type=ExceptionInfo)
        elif text is None:
            # Not said is not null: an output that never came is left out of the record.
            found[name] = {} if name in ("attributes", "summary") else msgspec.UNSET
        else:
            found[name] = msgspec.json.decode(text)
    return found


def call_of(project: str, row: Any, further: dict[str, Any] | None = None) -> Call:
    latency = row[13]
    return Call(
        project=project,
        id=row[1],
        trace_id=row[2],
        parent_id=row[3],
        op=row[4] or "",
        op_ref=row[5],
        kind=row[6],
        display_name=row[7],
        thread_id=row[8],
        author=row[9],
        status=row[10],
        started_at=_EPOCH + timedelta(microseconds=row[11]),
        ended_at=None if row[12] is None else _EPOCH + timedelta(microseconds=row[12]),
        latency_ms=None if latency is None else latency / 1000,
        input_preview=row[14] or "",
        output_preview=row[15] or "",
        error=row[16],
        model=row[17],
        input_tokens=row[18],
        output_tokens=row[19],
        tokens=row[20],
        cost=row[21],
        **(further or {}),
    )


def scores_of(
    connection: sqlite3.Connection, project: str, wanted: str
) -> dict[int, dict[str, dict[str, Any]]]:
    """The scores of calls, by pk, then feedback type, then path."""
    rows = cast(
        "Iterable[tuple[int, str, str, int, float, str]]",
        connection.execute(_SQL["scores_of_calls"], (project, _MAX_SCORE_SERIES, wanted)),
    )
    found: dict[int, dict[str, dict[str, Any]]] = {}
    for call, name, path, kind, num, text in rows:
        found.setdefault(call, {}).setdefault(name, {})[path] = {
            BOOL: bool(num),
            NUMBER: num,
            TEXT: text,
        }[kind]
    return found
