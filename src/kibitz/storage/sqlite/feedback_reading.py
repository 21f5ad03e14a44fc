"""Reading feedback: by question, of calls, and what columns it makes."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import msgspec

from kibitz.base import refs
from kibitz.base.api import FeedbackOutcome
from kibitz.base.errors import NotFound, QueryError, RefError
from kibitz.base.records import Aggregation, Feedback, FeedbackPart, Page, ScoreColumn
from kibitz.query.aggregation import AggregateQuery
from kibitz.query.nodes import FeedbackQuery
from kibitz.storage import history, statements
from kibitz.storage.sqlite import aggregating, cursors, judging
from kibitz.storage.sqlite.connection import Readers
from kibitz.storage.sqlite.ingest import SqliteIngest
from kibitz.storage.sqlite.names import project_pk

_SQL = statements.load("sqlite.sql")
COLUMNS = """f.pk, f.id, t.name, c.id, g.text, f.payload, w.name, w.kind, f.created_at,
    a.text, n.text, f.call_ref, q.text, f.call, f.stands, f.retracts, f.corrects"""
FROM = """FROM feedback f
    JOIN feedback_types t ON t.pk = f.type
    JOIN authors w ON w.pk = f.author
    LEFT JOIN calls c ON c.pk = f.call
    LEFT JOIN refs g ON g.pk = f.target
    LEFT JOIN refs a ON a.pk = f.annotation_ref
    LEFT JOIN refs n ON n.pk = f.runnable_ref
    LEFT JOIN refs q ON q.pk = f.trigger_ref"""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class SqliteFeedback:
    """Satisfies `storage.protocols.FeedbackReader`."""

    def __init__(self, readers: Readers, ingest: SqliteIngest) -> None:
        self._readers = readers
        self._ingest = ingest

    def get(self, project: str, feedback_id: str) -> Feedback:
        """One judgement; raises `NotFound`."""
        with self._readers.reading() as connection:
            row = connection.execute(
                f"SELECT {COLUMNS} {FROM} WHERE f.project = ? AND f.id = ?",
                (project_pk(connection, project), feedback_id),
            ).fetchone()
        if row is None:
            raise NotFound(
                f"project {project!r} has no feedback {feedback_id[:64]!r}", id=feedback_id[:64]
            )
        return feedback_of(project, row)

    def history(self, project: str, feedback_id: str) -> list[Feedback]:
        """A judgement with what belongs to it, oldest first. See `storage.protocols.FeedbackReader`."""
        about = self.get(project, feedback_id)
        with self._readers.reading() as connection:
            rows = connection.execute(
                f"SELECT {COLUMNS} {FROM} JOIN feedback o ON o.project = ? AND o.id = ?"
                # Kept from the index by type, which may have millions.
                " WHERE +f.type = o.type AND (f.call = o.call OR f.target = o.target)"
                " ORDER BY f.created_at, f.pk",
                (project_pk(connection, project), feedback_id),
            ).fetchall()
        return history.history([feedback_of(project, row) for row in rows], about.id)

    def add(self, project: str, parts: Sequence[FeedbackPart]) -> list[FeedbackOutcome]:
        """Store judgements, each for itself. See `storage.protocols.FeedbackReader`."""
        return judging.add(self._readers, self._ingest, project, parts)

    def query(self, query: FeedbackQuery) -> Page[Feedback]:
        """A page of feedback, newest first."""
        # A target has few, and ids name few: their indexes lead, and those by project, type and time must not.
        of_target, of_few = query.target_ref is not None, _names_few(query)
        conditions = ["+f.project = ?" if of_target else "f.project = ?"]
        by_type, by_time = ("+f.type", "+f.created_at") if of_few else ("f.type", "f.created_at")
        params: list[int | str] = []
        with self._readers.reading() as connection:
            params.append(project_pk(connection, query.project))
            if query.type is not None:
                conditions.append(
                    f"{by_type} = (SELECT pk FROM feedback_types WHERE project = ? AND name = ?)"
                )
                params += [params[0], query.type]
            if query.target_ref is not None:
                condition, target = _target(query)
                conditions.append(condition)
                params += [params[0], target] if condition.startswith("f.call") else [target]
            if query.author is not None:
                conditions.append("w.name = ?")
                params.append(query.author)
            _narrow(query, by_time, conditions, params)
            if query.cursor is not None:
                conditions.append(f"({by_time}, f.pk) < (?, ?)")
                params += _position(query.cursor)
            rows = connection.execute(
                f"SELECT {COLUMNS} {FROM} WHERE {' AND '.join(conditions)}"
                f" ORDER BY {by_time} DESC, f.pk DESC LIMIT ?",
                (*params, query.limit + 1),
            ).fetchall()
        cursor = None
        if len(rows) > query.limit:
            last = rows[query.limit - 1]
            cursor = cursors.write((last[8], last[0]))
        return Page(
            items=[feedback_of(query.project, row) for row in rows[: query.limit]],
            next_cursor=cursor,
        )

    def aggregate(self, query: AggregateQuery) -> Aggregation:
        """What was measured of groups of feedback or calls."""
        with self._readers.reading() as connection:
            return aggregating.run(connection, query)

    def columns(self, project: str) -> list[ScoreColumn]:
        """What the feedback of a project says, most used first."""
        with self._readers.reading() as connection:
            return columns(connection, project_pk(connection, project))


def columns(connection: sqlite3.Connection, project: int) -> list[ScoreColumn]:
    """The same within a transaction."""
    return [
        ScoreColumn(
            type=name,
            path=path,
            count=bools + numbers + texts,
            kinds=_kinds(bools, numbers, texts),
        )
        for name, path, bools, numbers, texts in connection.execute(
            _SQL["score_columns"], (project,)
        )
    ]


def _names_few(query: FeedbackQuery) -> bool:
    """Whether a question is about one target or some ids."""
    return query.target_ref is not None or query.ids is not None


def _narrow(
    query: FeedbackQuery, by_time: str, conditions: list[str], params: list[int | str]
) -> None:
    """Add the conditions that need no names."""
    if query.ids is not None:
        conditions.append("f.id IN (SELECT value FROM json_each(?))")
        params.append(msgspec.json.encode(query.ids).decode())
    for bound, sign in ((query.since, ">="), (query.until, "<")):
        if bound is not None:
            conditions.append(f"{by_time} {sign} ?")
            params.append(bound)
    if query.standing:
        conditions.append("f.stands > 0")
    if query.version is not None:
        size = len(query.version)
        conditions.append("? IN (substr(a.text, -40, ?), substr(n.text, -40, ?))")
        params += [query.version, size, size]


def _kinds(bools: int, numbers: int, texts: int) -> list[Literal["bool", "number", "text"]]:
    kinds: list[Literal["bool", "number", "text"]] = []
    if bools:
        kinds.append("bool")
    if numbers:
        kinds.append("number")
    if texts:
        kinds.append("text")
    return kinds


def standing_on_calls(
    connection: sqlite3.Connection, project: str, pks: list[int]
) -> dict[int, list[Feedback]]:
    """The feedback that stands on calls, newest first, by the call's pk."""
    rows = connection.execute(
        f"SELECT {COLUMNS} {FROM} WHERE f.call IN (SELECT value FROM json_each(?)) AND f.stands > 0"
        " ORDER BY f.created_at DESC, f.pk DESC",
        (msgspec.json.encode(pks).decode(),),
    )
    found: dict[int, list[Feedback]] = {}
    for row in rows:
        found.setdefault(row[13], []).append(feedback_of(project, row))
    return found


def feedback_of(project: str, row: Any) -> Feedback:
    target = row[4] if row[3] is None else refs.call_ref(project, row[3])
    return Feedback(
        project=project,
        id=row[1],
        type=row[2],
        target_ref=target,
        payload=msgspec.json.decode(row[5]),
        author=row[6],
        author_kind=row[7],
        created_at=_EPOCH + timedelta(microseconds=row[8]),
        annotation_ref=row[9],
        runnable_ref=row[10],
        call_ref=None if row[11] is None else refs.call_ref(project, row[11]),
        trigger_ref=row[12],
        stands=row[14] > 0,
        retracts=row[15],
        corrects=row[16],
    )


def _target(query: FeedbackQuery) -> tuple[str, str]:
    text = query.target_ref or ""
    try:
        ref = refs.parse_ref(text)
    except RefError as error:
        raise QueryError(f"target_ref: {error.message}", at="target_ref") from error
    if ref.project != query.project:
        raise QueryError(
            f"target_ref {text!r} is in project {ref.project!r}, the query in {query.project!r}",
            at="target_ref",
        )
    if ref.kind == "call":
        return "f.call = (SELECT pk FROM calls WHERE project = ? AND id = ?)", ref.name
    return "f.target = (SELECT pk FROM refs WHERE text = ?)", text


def _position(cursor: str) -> list[int]:
    match cursors.read(cursor):
        case [int(created_at), int(pk)]:
            return [created_at, pk]
        case _:
            raise cursors.unknown(cursor)
