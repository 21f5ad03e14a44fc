"""Wanting evaluations of calls that are there already, step by step.

Which calls match is read first, outside of the write lock. Writers wait only while what is wanted is written.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kibitz.base import clock
from kibitz.base.evaluations import WantStep
from kibitz.query.nodes import ColumnField, Compare, Node
from kibitz.storage import statements
from kibitz.storage.sqlite import (
    cursors,
    definitions,
    evaluation_rows,
    evaluation_work,
    planning,
    rule_keeping,
)
from kibitz.storage.sqlite.connection import Readers
from kibitz.storage.sqlite.evaluation_parts import FAILED, RUNNING, WANTED
from kibitz.storage.sqlite.evaluation_rows import BEHIND, Row, Sums, json_list
from kibitz.storage.sqlite.ingest import SqliteIngest
from kibitz.storage.sqlite.names import WriterNames, project_pk

_SQL = statements.load("evaluations.sql")
ROOTS = Compare(ColumnField("parent_id"), "eq", None)
CALLS_AT_A_TIME = 500
"""In one transaction: some tens of milliseconds that others wait for."""
CALLS_OF_A_STEP = 100_000
"""More than a step goes through: those after the first do not look for all that is left again."""
STEP_NS = 1_000_000_000
"""How long a step goes on before it gives its cursor."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a back-fill stands."""

    after: int
    """The pk of the last call that is done."""
    until: int
    """The last one that there was at the beginning."""
    left: int


def is_in(key: str, call_id: str, share: float) -> bool:
    """Whether a call is in a sample: the same share of calls, always the same ones for a key."""
    if share >= 1:
        return True
    drawn = hashlib.blake2b(f"{key}\n{call_id}".encode(), digest_size=8).digest()
    return int.from_bytes(drawn, "big") < share * 2**64


def want(
    readers: Readers,
    ingest: SqliteIngest,
    project: str,
    wanted: Sequence[str],
    where: Node | None,
    *,
    sample: float,
    again: bool,
    rule: str | None,
    cursor: str | None,
    step_ns: int,
) -> WantStep:
    """One step of a back-fill. See `storage.protocols.Evaluations.want`."""
    condition = ROOTS if where is None else where
    with readers.reading() as connection:
        pk = project_pk(connection, project)
        rule_keeping.check_definitions(connection, pk, project, wanted)
        if cursor is None:
            pks = planning.matching(connection, pk, condition)
            place = _Place(0, max(pks, default=0), len(pks))
        else:
            place = _read_cursor(cursor)
            limit = min(place.left, CALLS_OF_A_STEP)
            pks = planning.matching(
                connection, pk, condition, after=place.after, until=place.until, limit=limit
            )
            if len(pks) < limit:
                # Some are there no more, or match no more.
                place = _Place(place.after, place.until, len(pks))
    added = known = 0
    deadline = clock.monotonic_ns() + step_ns
    for start in range(0, len(pks), CALLS_AT_A_TIME):
        some = pks[start : start + CALLS_AT_A_TIME]

        def write(connection: sqlite3.Connection, some: list[int] = some) -> tuple[int, int]:
            return _want_some(connection, pk, project, wanted, some, sample, again, rule)

        more, there = ingest.change(write)
        added += more
        known += there
        place = _Place(some[-1], place.until, place.left - len(some))
        if clock.monotonic_ns() >= deadline:
            break
    return WantStep(
        wanted=added,
        known=known,
        left=place.left,
        cursor=cursors.write((place.after, place.until, place.left)) if place.left else None,
    )


def _want_some(
    connection: sqlite3.Connection,
    project: int,
    project_name: str,
    wanted: Sequence[str],
    pks: list[int],
    sample: float,
    again: bool,
    rule: str | None,
) -> tuple[int, int]:
    """Want evaluations of these calls: how many were added, and how many were there."""
    names = WriterNames()
    now = clock.now_ns() // 1000
    rule_pk = None if rule is None else names.rule(connection, project, rule)
    calls = [
        pk
        for pk, call_id in connection.execute(_SQL["ids_of_ended"], (json_list(pks), project))
        if is_in(rule or "", call_id, sample)
    ]
    added = known = 0
    for text in dict.fromkeys(wanted):
        definition = definitions.ensure(connection, names, project, project_name, text)
        found = connection.execute(_SQL["known_of_calls"], (json_list(calls), definition))
        states = {call: (pk, state) for call, pk, state in found.fetchall()}
        new = [call for call in calls if call not in states]
        insert(connection, project, definition, new, rule_pk, now, BEHIND)
        added += len(new)
        ended = [pk for pk, state in states.values() if state not in (WANTED, RUNNING)]
        if again:
            rows = evaluation_rows.read(connection, "evaluations_by_pk", ended)
            evaluation_work.want_anew(connection, rows, BEHIND, now)
            added += len(rows)
        known += len(states) - (len(ended) if again else 0)
    return added, known


def insert(
    connection: sqlite3.Connection,
    project: int,
    definition: int,
    calls: Iterable[int],
    rule: int | None,
    now: int,
    priority: int,
    *,
    failed: str | None = None,
) -> None:
    """Want evaluations, of calls that have ended, to a definition that none of them has yet.

    Args:
        connection: in whose transaction.
        project: of the calls.
        definition: what judges.
        calls: their pks.
        rule: in whose name.
        now: microseconds since 1970.
        priority: `FRESH` or `BEHIND`.
        failed: why they have failed before anybody began; they are kept so, to be retried.
    """
    rows: list[Row] = []
    sums = Sums(connection, now)
    for call in calls:
        row = evaluation_rows.new_row(project, definition, call, rule, now, priority)
        if failed is None:
            row.due_at = now
        else:
            row.state, row.reason, row.ended_at = FAILED, failed, now
        sums.move(row, None, row.state, at=row.ended_at)
        rows.append(row)
    evaluation_rows.insert(connection, rows)
    sums.flush()


def _read_cursor(cursor: str) -> _Place:
    match cursors.read(cursor):
        case [int(after), int(until), int(left)] if left >= 0:
            return _Place(after, until, left)
        case _:
            raise cursors.unknown(cursor)
