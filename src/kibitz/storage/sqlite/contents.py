"""Reading everything of a project, portion by portion, to carry it elsewhere.

What there is gets an end when reading begins (`extent`): calls and feedback that arrive later are not in it.
Between portions no transaction is open, so a long export keeps nobody from writing: a call that ends meanwhile
may come as ended, and one that is deleted meanwhile does not come. Values come as the JSON text that is stored
(`msgspec.Raw`), so that nothing is read only to be written again. A portion is bounded in rows and in bytes.
"""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from msgspec import Raw

from kibitz.base import clock
from kibitz.base.evaluations import EvaluationPart, RulePart
from kibitz.base.records import Call, ExceptionInfo, Feedback, FilePart, ObjectVersion
from kibitz.query.nodes import MAX_LIMIT, CallColumn, CallQuery
from kibitz.storage import statements
from kibitz.storage.protocols import Extent
from kibitz.storage.sqlite import (
    call_reading,
    evaluation_reading,
    feedback_reading,
    planning,
    rule_keeping,
)
from kibitz.storage.sqlite.connection import Readers
from kibitz.storage.sqlite.names import project_pk

_SQL = statements.load("sqlite.sql")
_EVALUATIONS_SQL = statements.load("evaluations.sql")
_ROWS = 500
_BYTES = 1 << 20
_ONE_CALL = (
    f"SELECT {call_reading.NARROW}, p.inputs, p.output, p.attributes, p.summary, p.exception"
    f" {call_reading.FROM} LEFT JOIN payloads p ON p.call = c.pk WHERE c.pk = ?"
)
_FEEDBACK = f"SELECT {feedback_reading.COLUMNS} {feedback_reading.FROM}"


class SqliteContents:
    """Satisfies `storage.protocols.Contents`."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    def extent(self, project: str) -> Extent:
        """What there is now; raises `NotFound`."""
        with self._readers.reading() as connection:
            pk = project_pk(connection, project)
            row = connection.execute(_SQL["extent"], (pk,)).fetchone()
        return Extent(*row)

    def objects(self, project: str) -> Iterator[list[ObjectVersion]]:
        """All versions of ops and objects, in the order in which they arrived."""
        after = 0
        while True:
            with self._readers.reading() as connection:
                pk = project_pk(connection, project)
                rows = _bounded(connection.execute(_SQL["objects_after"], (pk, after)), size_at=6)
            if not rows:
                return
            after = rows[-1][0]
            yield [_version(project, row) for row in rows]

    def files(self, project: str, digests: Iterable[str] | None = None) -> Iterator[FilePart]:
        """Files with their bytes, one at a time: all by digest, or those of these digests that there are."""
        if digests is None:
            digests = self._digests(project)
        for digest in digests:
            with self._readers.reading() as connection:
                row = connection.execute(
                    _SQL["file"], (project_pk(connection, project), digest)
                ).fetchone()
            if row is not None:
                yield FilePart(digest=digest, media_type=row[1], content=row[0])

    def calls(
        self, query: CallQuery, extent: Extent, *, limit: int | None = None
    ) -> Iterator[list[Call]]:
        """The calls that match; without a sort in the order in which they arrived."""
        left = (1 << 62) if limit is None else limit
        waiting: list[int] = []
        after, cursor, is_over = 0, query.cursor, False
        while left > 0:
            with self._readers.reading() as connection:
                pk = project_pk(connection, query.project)
                if not waiting and not is_over:
                    size = min(left, _ROWS)
                    if query.sort:
                        page = dataclasses.replace(query, limit=min(size, MAX_LIMIT), cursor=cursor)
                        hits, cursor = planning.page(connection, pk, page)
                        waiting = [hit.pk for hit in hits if hit.pk <= extent.last_call]
                        is_over = cursor is None
                    else:
                        waiting = planning.matching(
                            connection,
                            pk,
                            query.where,
                            after=after,
                            until=extent.last_call,
                            limit=size,
                        )
                        is_over = len(waiting) < size
                        after = waiting[-1] if waiting else after
                found, taken = _calls(connection, query, waiting)
            waiting = waiting[taken:]
            left -= taken
            if found:
                yield found
            if is_over and not waiting:
                return

    def feedback(self, project: str, extent: Extent) -> Iterator[list[Feedback]]:
        """All feedback, history included, in the order in which it arrived."""
        after = 0
        while True:
            with self._readers.reading() as connection:
                pk = project_pk(connection, project)
                statement = f"{_FEEDBACK} WHERE f.project = ? AND f.pk > ? AND f.pk <= ? ORDER BY f.pk LIMIT ?"
                rows = _bounded(
                    connection.execute(statement, (pk, after, extent.last_feedback, _ROWS)),
                    size_at=5,
                )
            if not rows:
                return
            after = rows[-1][0]
            yield [_judgement(project, row) for row in rows]

    def feedback_on(
        self, project: str, call_ids: list[str], extent: Extent
    ) -> dict[str, list[Feedback]]:
        """All feedback on some calls by their ids, history included, in the order in which it arrived."""
        wanted = msgspec.json.encode(call_ids).decode()
        found: dict[str, list[Feedback]] = {}
        with self._readers.reading() as connection:
            pk = project_pk(connection, project)
            rows = connection.execute(
                f"{_FEEDBACK} WHERE f.call IN (SELECT w.pk FROM json_each(?) e CROSS JOIN calls w"
                " ON w.project = ? AND w.id = e.value) AND f.pk <= ? ORDER BY f.pk",
                (wanted, pk, extent.last_feedback),
            )
            for row in rows:
                found.setdefault(row[3], []).append(_judgement(project, row))
        return found

    def evaluations(self, project: str, extent: Extent) -> Iterator[list[EvaluationPart]]:
        """All evaluations as a delivery says them. See `storage.protocols.Contents`."""
        after = 0
        while True:
            with self._readers.reading() as connection:
                pk = project_pk(connection, project)
                params = (pk, after, extent.last_evaluation)
                rows = _bounded(
                    connection.execute(_EVALUATIONS_SQL["evaluations_after"], params), size_at=9
                )
            if not rows:
                return
            after = rows[-1][0]
            yield [evaluation_reading.part_of(row) for row in rows]

    def evaluations_on(
        self, project: str, call_ids: list[str], extent: Extent
    ) -> list[EvaluationPart]:
        """The same of some calls by their ids."""
        wanted = msgspec.json.encode(call_ids).decode()
        with self._readers.reading() as connection:
            pk = project_pk(connection, project)
            rows = connection.execute(
                _EVALUATIONS_SQL["evaluations_carried"], (wanted, pk, extent.last_evaluation)
            )
            return [evaluation_reading.part_of(row) for row in rows]

    def rules(self, project: str) -> list[RulePart]:
        """The rules by name."""
        with self._readers.reading() as connection:
            kept = rule_keeping.rows(connection, project_pk(connection, project), project, 0)
        names = RulePart.__struct_fields__
        return [RulePart(**{name: getattr(said, name) for name in names}) for _, said in kept]

    def _digests(self, project: str) -> Iterator[str]:
        after = ""
        while True:
            with self._readers.reading() as connection:
                pk = project_pk(connection, project)
                rows = connection.execute(_SQL["digests_after"], (pk, after, _ROWS)).fetchall()
            yield from (row[0] for row in rows)
            if len(rows) < _ROWS:
                return
            after = rows[-1][0]


def _bounded(rows: Iterable[Any], *, size_at: int) -> list[Any]:
    """The first rows, as many as a portion holds; at least one where there is one."""
    taken: list[Any] = []
    size = 0
    for row in rows:
        taken.append(row)
        size += len(row[size_at] or "")
        if size >= _BYTES or len(taken) >= _ROWS:
            break
    return taken


def _calls(
    connection: sqlite3.Connection, query: CallQuery, pks: list[int]
) -> tuple[list[Call], int]:
    """The first of these calls, as many as a portion holds, and how many of the pks they are for."""
    rows: list[Any] = []
    size = taken = 0
    for pk in pks:
        taken += 1
        row = connection.execute(_ONE_CALL, (pk,)).fetchone()
        if row is None or row[11] is None:
            continue  # deleted since it was found
        rows.append(row)
        size += sum(len(text) for text in row[call_reading.WIDE_FROM :] if text is not None)
        if size >= _BYTES:
            break
    scores: dict[int, dict[str, dict[str, Any]]] = {}
    wants_scores = "scores" in query.columns
    if wants_scores and rows:
        wanted = msgspec.json.encode([row[0] for row in rows]).decode()
        scores = call_reading.scores_of(connection, query.project, wanted)
    calls: list[Call] = []
    for row in rows:
        further = _payloads(query.columns, row[call_reading.WIDE_FROM :])
        if wants_scores:
            further["scores"] = scores.get(row[0], {})
        calls.append(call_reading.call_of(query.project, row, further))
    return calls, taken


def _payloads(columns: frozenset[CallColumn], texts: Iterable[str | None]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, text in zip(call_reading.PAYLOADS, texts, strict=True):
        if name not in columns:
            continue
        if name == "exception":
            found[name] = None if text is None else msgspec.json.decode(text, type=ExceptionInfo)
        elif text is not None:
            found[name] = Raw(text.encode())
        elif name in ("attributes", "summary"):
            found[name] = {}
    return found


def _judgement(project: str, row: Any) -> Feedback:
    # The payload stays the text that it is.
    found = feedback_reading.feedback_of(project, (*row[:5], "null", *row[6:]))
    return msgspec.structs.replace(found, payload=Raw(row[5].encode()))


def _version(project: str, row: Any) -> ObjectVersion:
    _, kind, name, digest, version, created_at, value = row
    return ObjectVersion(
        project=project,
        kind="op" if kind == "op" else "object",
        name=name,
        digest=digest,
        value=Raw(value.encode()),
        created_at=clock.from_us(created_at),
        version=version,
    )
