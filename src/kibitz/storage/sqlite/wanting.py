"""Wanting evaluations of calls: of those that are there already, step by step, and of those that a rule is about.

Which calls match is read first, outside of the write lock. Writers wait only while what is wanted is written.
"""

from __future__ import annotations

import hashlib
import logging
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kibitz.base import clock
from kibitz.base.errors import KibitzError, StorageDamaged, StorageFull, Unavailable
from kibitz.base.evaluations import Rule, WantStep
from kibitz.query import text_form
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
from kibitz.storage.sqlite.evaluation_parts import RUNNING, WANTED, nanos
from kibitz.storage.sqlite.evaluation_rows import BEHIND, DAY_US, FRESH, Row, Sums, json_list
from kibitz.storage.sqlite.ingest import SqliteIngest
from kibitz.storage.sqlite.names import WriterNames, project_pk

_SQL = statements.load("evaluations.sql")
_FEEDBACK_SQL = statements.load("sqlite.sql")
_logger = logging.getLogger("kibitz.storage")
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
        _insert(connection, project, definition, new, rule_pk, now, BEHIND)
        added += len(new)
        ended = [pk for pk, state in states.values() if state not in (WANTED, RUNNING)]
        if again:
            rows = evaluation_rows.read(connection, "evaluations_by_pk", ended)
            evaluation_work.want_anew(connection, rows, BEHIND, now)
            added += len(rows)
        known += len(states) - (len(ended) if again else 0)
    return added, known


def _insert(
    connection: sqlite3.Connection,
    project: int,
    definition: int,
    calls: Iterable[int],
    rule: int | None,
    now: int,
    priority: int,
) -> None:
    """Want evaluations, of calls that have ended, to a definition that none of them has yet."""
    rows: list[Row] = []
    sums = Sums(connection, now)
    for call in calls:
        row = evaluation_rows.new_row(project, definition, call, rule, now, priority)
        row.due_at = now
        sums.move(row, None, WANTED)
        rows.append(row)
    evaluation_rows.insert(connection, rows)
    sums.flush()


def _read_cursor(cursor: str) -> _Place:
    match cursors.read(cursor):
        case [int(after), int(until), int(left)] if left >= 0:
            return _Place(after, until, left)
        case _:
            raise cursors.unknown(cursor)


def want_by_rules(readers: Readers, ingest: SqliteIngest, limit: int) -> int:
    """Hold calls that ended lately to the rules. See `storage.protocols.Evaluations.want_by_rules`."""
    with readers.reading() as connection:
        waiting = connection.execute(_SQL["inbox"], (0, limit)).fetchall()
    looked_at = 0
    for project in dict.fromkeys(pk for pk, _ in waiting):
        calls = [call for its, call in waiting if its == project]
        looked_at += _hold(readers, ingest, project, calls)
    return looked_at


@dataclass(frozen=True, slots=True)
class _Matched:
    rule: int
    said: Rule
    calls: list[tuple[int, str]]
    """(pk, id) of calls that match and are in the sample."""


def _hold(readers: Readers, ingest: SqliteIngest, project: int, calls: list[int]) -> int:
    """Hold some calls of a project to its rules: gives how many nobody else has held to them meanwhile."""
    now = clock.now_ns() // 1000
    with readers.reading() as connection:
        (name,) = connection.execute(_SQL["project_name"], (project,)).fetchone()
        kept = rule_keeping.rows(connection, project, name, now)
        types = [
            row[0] for row in connection.execute(_FEEDBACK_SQL["feedback_type_names"], (project,))
        ]
    matched = [
        found
        for rule, said in kept
        if said.active
        and (found := _matching(readers, project, rule, said, calls, types)) is not None
    ]

    def write(connection: sqlite3.Connection) -> int:
        mine = {
            call for (call,) in connection.execute(_SQL["empty_inbox"], (project, json_list(calls)))
        }
        names = WriterNames()
        for each in matched:
            fresh = [pk for pk, _ in each.calls if pk in mine]
            if fresh:
                _want_of_rule(connection, names, project, name, each, fresh, now)
        return len(mine)

    return ingest.change(write)


def _matching(
    readers: Readers, project: int, rule: int, said: Rule, calls: list[int], types: list[str]
) -> _Matched | None:
    """Which of some calls a rule is about; None where it cannot be said, which keeps no other rule from its own."""
    try:
        where = text_form.parse(said.query, known_types=types, now=clock.now()).where or ROOTS
        with readers.reading() as connection:
            found = planning.among(connection, project, where, calls)
            rows = connection.execute(_SQL["ids_of_ended"], (json_list(found), project)).fetchall()
    except (Unavailable, StorageFull, StorageDamaged):
        # No fault of the rule: the calls stay where they are, to be looked at again.
        raise
    except KibitzError as error:
        _logger.warning(
            "rule %r of project %r is passed over: %s", said.name, said.project, error.message
        )
        return None
    chosen = [(pk, call_id) for pk, call_id in rows if is_in(said.name, call_id, said.sample)]
    return _Matched(rule, said, chosen)


def _want_of_rule(
    connection: sqlite3.Connection,
    names: WriterNames,
    project: int,
    project_name: str,
    matched: _Matched,
    calls: list[int],
    now: int,
) -> None:
    """Want what a rule says of calls, within its budget of the day; what is beyond is counted."""
    said, day = matched.said, now // DAY_US
    wanted, spent = connection.execute(_SQL["rule_day"], (matched.rule, day)).fetchone() or (0, 0)
    room = len(calls) * len(said.definitions)
    if said.per_day is not None:
        room = max(0, said.per_day - wanted)
    if said.usd_per_day is not None and spent >= nanos(said.usd_per_day):
        room = 0
    asked: list[tuple[int, list[int]]] = []
    for text in said.definitions:
        definition = definitions.ensure(connection, names, project, project_name, text)
        found = connection.execute(_SQL["known_of_calls"], (json_list(calls), definition))
        known = {call for call, _, _ in found.fetchall()}
        asked.append((definition, [call for call in calls if call not in known]))
    # Call by call, so that what a budget lets through is whole records.
    in_order = sorted(
        (call, n, definition, call) for n, (definition, its) in enumerate(asked) for call in its
    )
    taken = in_order[:room]
    for definition in dict.fromkeys(each for each, _ in asked):
        its = [call for _, _, of, call in taken if of == definition]
        _insert(connection, project, definition, its, matched.rule, now, FRESH)
    sums = Sums(connection, now)
    sums.of_rule(matched.rule, wanted=len(taken), left_out=len(in_order) - len(taken))
    sums.flush()
