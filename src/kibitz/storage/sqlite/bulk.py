"""Actions on all calls of a query: counted first, then done step by step.

A step takes the calls that match now, refuses where they are more than were counted before, and works through
them for a moment, in transactions so small that writers get their turn between them. It gives a cursor for the
next step. So an action that is interrupted has done a part of its calls wholly and can be begun again.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import msgspec

from kibitz.base import clock, ids, refs, wire
from kibitz.base.errors import Conflict
from kibitz.base.records import Batch, BulkCount, BulkStep, FeedbackPart, Receipt, Rejection
from kibitz.query.nodes import Node
from kibitz.storage import statements
from kibitz.storage.sqlite import cursors, deleting, planning
from kibitz.storage.sqlite.connection import Readers
from kibitz.storage.sqlite.ingest import SqliteIngest
from kibitz.storage.sqlite.names import project_pk

T = TypeVar("T")
_SQL = statements.load("sqlite.sql")
CALLS_AT_A_TIME = 100
"""In one transaction: some tens of milliseconds that others wait for."""
STEP_NS = 2_000_000_000
"""How long a step goes on before it gives its cursor: well within the patience of whoever asked over HTTP."""
_BETWEEN_S = 0.002
"""Long enough for a writer that waits to take its turn."""
MOST_REJECTIONS = 20
_COUNTED_AT_A_TIME = 10_000


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an action stands."""

    after: int = 0
    """The pk of the last call that is done."""
    until: int | None = None
    """The last one that there was at the beginning."""
    action: str = ""
    """An id of the action; what it adds has ids made of it, so that a step may be repeated."""
    at: int = 0
    """When it began, microseconds since 1970."""


class SqliteBulk:
    """Satisfies `storage.protocols.Bulk`."""

    def __init__(self, readers: Readers, ingest: SqliteIngest, *, step_ns: int = STEP_NS) -> None:
        self._readers = readers
        self._ingest = ingest
        self._step_ns = step_ns

    def count(self, project: str, where: Node | None, *, whole_traces: bool = False) -> BulkCount:
        """How many calls and judgements an action would touch. See `storage.protocols.Bulk`."""
        with self._readers.reading() as connection:
            pk = project_pk(connection, project)
            pks: Sequence[int] = planning.matching(connection, pk, where)
            if whole_traces:
                pks = _of_traces(connection, pk, pks)
            feedback = sum(
                connection.execute(_SQL["count_on_calls"], (_json(some),)).fetchone()[0]
                for some in _portions(pks, _COUNTED_AT_A_TIME)
            )
        return BulkCount(calls=len(pks), feedback=feedback)

    def delete(
        self,
        project: str,
        where: Node | None,
        *,
        expected: int,
        whole_traces: bool = False,
        cursor: str | None = None,
    ) -> BulkStep:
        """Delete what matches with everything on it. See `storage.protocols.Bulk`."""
        place = _read_cursor(cursor)
        with self._readers.reading() as connection:
            pk = project_pk(connection, project)
            pks: list[int] = planning.matching(
                connection, pk, where, after=place.after, until=place.until
            )
            place = place if cursor is not None else _Place(until=max(pks, default=0))
            if whole_traces:
                # Those that match go last: while one of them is there, a next step finds its trace.
                matching = set(pks)
                others = [each for each in _of_traces(connection, pk, pks) if each not in matching]
                pks = others + pks
        _check_expected(len(pks), expected)
        calls = feedback = passed = 0
        for some in self._in_turn(pks):
            done = self._ingest.change(
                lambda connection, some=some: deleting.delete_calls(connection, pk, project, some)
            )
            calls += done[0]
            feedback += done[1]
            passed += len(some)
        left = len(pks) - passed
        return BulkStep(
            calls=calls, feedback=feedback, left=left, cursor=_cursor(place) if left else None
        )

    def add_feedback(
        self,
        project: str,
        where: Node | None,
        judgement: FeedbackPart,
        *,
        expected: int,
        cursor: str | None = None,
    ) -> BulkStep:
        """Judge everything that matches alike. See `storage.protocols.Bulk`."""
        place = _read_cursor(cursor)
        with self._readers.reading() as connection:
            pk = project_pk(connection, project)
            pks = planning.matching(connection, pk, where, after=place.after, until=place.until)
            _check_expected(len(pks), expected)
            if cursor is None:
                place = _Place(
                    until=max(pks, default=0),
                    action=judgement.id or ids.new_id(),
                    at=clock.to_us(judgement.created_at or clock.now()),
                )
        added = passed = refused = 0
        rejected: list[Rejection] = []
        for some in self._in_turn(pks):
            call_ids, receipt = self._judge(project, judgement, place, some)
            refused += len(receipt.rejected)
            for each in receipt.rejected[: MOST_REJECTIONS - len(rejected)]:
                rejected.append(msgspec.structs.replace(each, id=call_ids[each.index]))
            added += receipt.feedback
            passed += len(some)
            place = _Place(some[-1], place.until, place.action, place.at)
        if rejected and not added and cursor is None:
            # What is wrong with all of the first is wrong with the judgement.
            raise wire.error_of(rejected[0])
        left = len(pks) - passed
        return BulkStep(
            calls=passed,
            feedback=added,
            left=left,
            cursor=_cursor(place) if left else None,
            rejected=rejected,
            refused=refused,
        )

    def _judge(
        self, project: str, judgement: FeedbackPart, place: _Place, pks: list[int]
    ) -> tuple[list[str], Receipt]:
        """Judge those of some calls that are still there; gives their ids and what became of it."""
        call_ids: list[str] = []

        def judging(connection: sqlite3.Connection) -> Batch:
            # Seen in the write itself: what is judged after its delete would count as a call that has yet to arrive.
            rows = connection.execute(_SQL["ids_of_calls"], (_json(pks),))
            call_ids.extend(row[0] for row in rows)
            return _judging(project, judgement, place, call_ids)

        return call_ids, self._ingest.write_seeing(judging)

    def _in_turn(self, pks: list[int]) -> Iterator[list[int]]:
        """The calls in small portions, until the time of a step is over; at least one portion."""
        deadline = clock.monotonic_ns() + self._step_ns
        pause = threading.Event()
        for some in _portions(pks, CALLS_AT_A_TIME):
            yield some
            if clock.monotonic_ns() >= deadline:
                return
            pause.wait(_BETWEEN_S)


def _judging(project: str, judgement: FeedbackPart, place: _Place, call_ids: list[str]) -> Batch:
    created_at: datetime = clock.from_us(place.at)
    parts = [
        msgspec.structs.replace(
            judgement,
            id=refs.digest(f"{place.action}/{call_id}".encode()),
            target_ref=refs.call_ref(project, call_id),
            created_at=created_at,
        )
        for call_id in call_ids
    ]
    return Batch(project=project, feedback=parts)


def _of_traces(connection: sqlite3.Connection, project: int, pks: Sequence[int]) -> list[int]:
    """All calls of the traces of these calls."""
    traces: set[str] = set()
    for some in _portions(pks, _COUNTED_AT_A_TIME):
        rows = connection.execute(_SQL["traces_of_calls"], (_json(some),))
        traces.update(row[0] for row in rows)
    found: list[int] = []
    for few in _portions(sorted(traces), _COUNTED_AT_A_TIME):
        rows = connection.execute(_SQL["calls_of_traces"], (_json(few), project))
        found.extend(row[0] for row in rows)
    return found


def _check_expected(found: int, expected: int) -> None:
    if found > expected:
        raise Conflict(
            f"{found:,} calls match now, {expected:,} were expected; count again, "
            "look at what came to it, and give the new number",
            count=found,
            expected=expected,
        )


def _portions(items: Sequence[T], size: int) -> Iterator[list[T]]:
    for start in range(0, len(items), size):
        yield list(items[start : start + size])


def _json(values: Sequence[int] | Sequence[str]) -> str:
    return msgspec.json.encode(values).decode()


def _cursor(place: _Place) -> str:
    return cursors.write((place.after, place.until, place.action, place.at))


def _read_cursor(cursor: str | None) -> _Place:
    if cursor is None:
        return _Place()
    match cursors.read(cursor):
        case [int(after), int(until), str(action), int(at)] if (
            clock.FIRST_US <= at <= clock.LAST_US
        ):
            return _Place(after, until, action, at)
        case _:
            raise cursors.unknown(cursor)
