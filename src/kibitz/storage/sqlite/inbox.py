"""Calls that ended while their project had a rule, until they are held to the rules: no call leaves undecided.

Which calls match is read first, outside of the write lock; a call leaves in the transaction in which what is wanted of
it is written. Where a rule's query takes too long for many calls, they stay, and fewer are looked at next. Where it
takes too long for a single one, or is no query any more, the evaluations of that call are kept as failed, with the
reason: people see them, and can retry them.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from dataclasses import dataclass

from kibitz.base import clock
from kibitz.base.errors import (
    KibitzError,
    QueryTimeout,
    StorageDamaged,
    StorageFull,
    Unavailable,
)
from kibitz.base.evaluations import Rule
from kibitz.query import text_form
from kibitz.storage import statements
from kibitz.storage.sqlite import definitions, planning, rule_keeping, wanting
from kibitz.storage.sqlite.connection import Readers
from kibitz.storage.sqlite.evaluation_parts import nanos
from kibitz.storage.sqlite.evaluation_rows import DAY_US, FRESH, Sums, json_list
from kibitz.storage.sqlite.ingest import SqliteIngest
from kibitz.storage.sqlite.names import WriterNames

_SQL = statements.load("evaluations.sql")
_FEEDBACK_SQL = statements.load("sqlite.sql")
_logger = logging.getLogger("kibitz.storage")
STEP_NS = 1_000_000_000
"""How long a look goes on before it leaves the rest to the next."""
PORTION = 1000
"""Calls of a project that are held to its rules at once; fewer after a query took too long."""


@dataclass(frozen=True, slots=True)
class _Matched:
    rule: int
    said: Rule
    calls: list[tuple[int, str]]
    """(pk, id) of calls that match and are in the sample."""
    undecided: str | None = None
    """Why it cannot be said whether these match."""


class Inbox:
    """The calls that wait to be held to the rules. Every method may be called from any thread."""

    def __init__(self, readers: Readers, ingest: SqliteIngest) -> None:
        self._readers = readers
        self._ingest = ingest
        self._lock = threading.Lock()
        self._portions: dict[int, int] = {}
        """How many calls of a project are held to its rules at once, where that is less than usual."""
        self._next = 0
        """The project that has its turn, by pk: none waits for one of which there is always more."""

    def hold(self, limit: int) -> int:
        """Hold calls that ended lately to the rules. See `storage.protocols.Evaluations.want_by_rules`."""
        with self._readers.reading() as connection:
            waiting = connection.execute(_SQL["inbox"], (self._next, limit)).fetchall()
            if len(waiting) < limit:
                first = connection.execute(_SQL["inbox"], (0, limit - len(waiting))).fetchall()
                waiting += [each for each in first if each[0] < self._next]
        looked_at = 0
        deadline = clock.monotonic_ns() + STEP_NS
        for project in dict.fromkeys(pk for pk, _ in waiting):
            calls = [call for its, call in waiting if its == project]
            while calls and clock.monotonic_ns() < deadline:
                some = calls[: self._portions.get(project, PORTION)]
                calls = calls[len(some) :]
                held = self._hold(project, some)
                looked_at += len(some) if held is None else held
                self._learn(project, len(some), decided=held is not None)
                if held is None:
                    # A query has used up its time: the others have their turn, and then fewer of these.
                    break
            self._next = project + 1
            if clock.monotonic_ns() >= deadline:
                break
        return looked_at

    def _learn(self, project: int, count: int, *, decided: bool) -> None:
        with self._lock:
            if not decided:
                self._portions[project] = max(1, count // 2)
            elif project in self._portions:
                doubled = 2 * self._portions[project]
                if doubled < PORTION:
                    self._portions[project] = doubled
                else:
                    del self._portions[project]

    def _hold(self, project: int, calls: list[int]) -> int | None:
        """Hold some calls of a project to its rules.

        Returns:
            How many nobody else has held to them meanwhile; None where a query took too long for so many, and all stay.
        """
        now = clock.now_ns() // 1000
        with self._readers.reading() as connection:
            found = connection.execute(_SQL["project_name"], (project,)).fetchone()
            if found is None:
                # Deleted since the inbox was read, and so are its calls.
                return 0
            (name,) = found
            kept = rule_keeping.rows(connection, project, name, now)
            rows = connection.execute(_FEEDBACK_SQL["feedback_type_names"], (project,))
            types = [row[0] for row in rows]
        matched: list[_Matched] = []
        for rule, said in kept:
            if not said.active:
                continue
            try:
                matched.append(self._matching(project, rule, said, calls, types))
            except QueryTimeout as error:
                if len(calls) > 1:
                    return None
                matched.append(self._undecided(project, rule, said, calls, error))
        # A rule that can tell goes first: what it wants is wanted, and not failed in the name of another.
        matched.sort(key=lambda each: each.undecided is not None)

        def write(connection: sqlite3.Connection) -> int:
            mine = {
                call
                for (call,) in connection.execute(_SQL["empty_inbox"], (project, json_list(calls)))
            }
            names = WriterNames()
            for each in matched:
                fresh = [pk for pk, _ in each.calls if pk in mine]
                if fresh:
                    _want(connection, names, project, name, each, fresh, now)
            return len(mine)

        return self._ingest.change(write)

    def _matching(
        self, project: int, rule: int, said: Rule, calls: list[int], types: list[str]
    ) -> _Matched:
        """Which of some calls a rule is about; raises `QueryTimeout`, and what is no fault of the rule."""
        try:
            where = text_form.parse(said.query, known_types=types, now=clock.now()).where
            with self._readers.reading() as connection:
                found = planning.among(connection, project, where or wanting.ROOTS, calls)
                rows = connection.execute(_SQL["ids_of_ended"], (json_list(found), project))
                chosen = _sample(said, rows.fetchall())
        except (Unavailable, StorageFull, StorageDamaged, QueryTimeout):
            raise
        except KibitzError as error:
            return self._undecided(project, rule, said, calls, error)
        return _Matched(rule, said, chosen)

    def _undecided(
        self, project: int, rule: int, said: Rule, calls: list[int], error: KibitzError
    ) -> _Matched:
        _logger.warning(
            "rule %r of project %r cannot be held against %d calls, whose evaluations have failed: %s",
            said.name,
            said.project,
            len(calls),
            error.message,
        )
        with self._readers.reading() as connection:
            rows = connection.execute(_SQL["ids_of_ended"], (json_list(calls), project))
            chosen = _sample(said, rows.fetchall())
        reason = (
            f"rule {said.name!r} could not tell whether it is about this call: {error.message}. Mend the rule's "
            "query; retry this evaluation to have the call judged whether it matches or not"
        )
        return _Matched(rule, said, chosen, reason[:2000])


def _sample(said: Rule, rows: list[tuple[int, str]]) -> list[tuple[int, str]]:
    return [(pk, call_id) for pk, call_id in rows if wanting.is_in(said.name, call_id, said.sample)]


def _want(
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
        wanting.insert(
            connection, project, definition, its, matched.rule, now, FRESH, failed=matched.undecided
        )
    sums = Sums(connection, now)
    sums.of_rule(matched.rule, wanted=len(taken), left_out=len(in_order) - len(taken))
    sums.flush()
