"""Work on evaluations, inside an open transaction: who may begin what, and what became of it.

A claim reads the head of an index of what is open, one short range for each definition that has any, so that it
takes as long in a large store as in a small one. Only one transaction writes at a time, so nobody else has what it
reads.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import msgspec

from kibitz.base import clock, ids
from kibitz.base.evaluations import Claim
from kibitz.storage import statements
from kibitz.storage.sqlite import evaluation_rows
from kibitz.storage.sqlite.call_writing import CallWriter
from kibitz.storage.sqlite.evaluation_parts import FAILED, RUNNING, WANTED, PreparedEvaluation
from kibitz.storage.sqlite.evaluation_rows import BEHIND, DAY_US, FRESH, Row, Sums, json_list
from kibitz.storage.sqlite.feedback_writing import FeedbackWriter
from kibitz.storage.sqlite.names import WriterNames

_SQL = statements.load("evaluations.sql")
_NEVER = -(1 << 62)
LOOKED_AT_ONCE = 10_000
"""By one transaction: much may be due and may not begin, and others wait to write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a worker asks for."""

    worker: str
    limit: int
    lease_us: int
    projects: Sequence[str] | None
    max_attempts: int
    except_definitions: Sequence[str]
    turn: int
    """Grows with every claim, so that projects take turns at being first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What a worker says of a run."""

    item: PreparedEvaluation
    retry_at: int | None


def claim(connection: sqlite3.Connection, wish: Wish, now: int) -> list[Claim]:
    """Take evaluations that are due; none says little while there are some. See `storage.protocols.Evaluations.claim`."""
    by_project = _open(connection, wish.projects, wish.except_definitions, wish.turn)
    no_money = {
        rule for (rule,) in connection.execute(_SQL["rules_out_of_money"], (now // DAY_US,))
    }
    taken: list[Row] = []
    lease_until = now + wish.lease_us
    sums = Sums(connection, now)
    looked_at = 0
    for priority in (FRESH, BEHIND):
        asked, pks = 1, [0]
        while len(taken) < wish.limit and len(pks) == asked and looked_at < LOOKED_AT_ONCE:
            asked = wish.limit - len(taken)
            pks = _heads(connection, by_project, priority, now, wish, asked)
            looked_at += len(pks)
            rows = evaluation_rows.read(connection, "evaluations_by_pk", pks)
            # Whatever was looked at is due no more, so that the next range begins behind it.
            fit = _sift(connection, rows, no_money, wish, now, sums)
            for row in fit:
                sums.move(row, row.state, RUNNING)
                row.attempts += 1
                row.run = ids.new_id()
            connection.executemany(
                _SQL["claim"],
                [(lease_until, row.attempts, row.run, wish.worker, now, row.pk) for row in fit],
            )
            taken += fit
    sums.flush()
    return _claims(connection, taken, lease_until)


def next_due(
    connection: sqlite3.Connection,
    projects: Sequence[str] | None,
    except_definitions: Sequence[str] = (),
) -> int | None:
    """When the next evaluation is due, microseconds since 1970; None where nothing is open."""
    found = [
        connection.execute(_SQL["next_due"], (definition, priority, _NEVER)).fetchone()
        for its in _open(connection, projects, except_definitions, 0).values()
        for definition in its
        for priority in (FRESH, BEHIND)
    ]
    return min((row[0] for row in found if row is not None), default=None)


def extend(connection: sqlite3.Connection, run_ids: Iterable[str], lease_until: int) -> list[str]:
    """Let claims last longer; gives the runs that are still theirs."""
    rows = connection.execute(_SQL["extend"], (lease_until, json_list(run_ids))).fetchall()
    return [run for (run,) in rows]


def release(connection: sqlite3.Connection, run_ids: Iterable[str], now: int) -> int:
    """Give claims back unbegun; gives how many."""
    rows = evaluation_rows.read(connection, "evaluations_running", set(run_ids))
    sums = Sums(connection, now)
    for row in rows:
        sums.move(row, RUNNING, WANTED)
        row.state = WANTED
        row.due_at = now
        row.attempts -= 1
        row.run = row.worker = row.started_at = None
    evaluation_rows.update(connection, rows)
    sums.flush()
    return len(rows)


def finish(
    connection: sqlite3.Connection, project: int, ended: Sequence[Ended], now: int
) -> list[str]:
    """Write what became of runs; gives those that were taken. See `storage.protocols.Evaluations.finish`."""
    running = {
        row.run: row
        for row in evaluation_rows.read(
            connection, "evaluations_running", {each.item.id for each in ended}
        )
        if row.project == project
    }
    taken: dict[str, tuple[Row, PreparedEvaluation]] = {}
    calls = CallWriter(connection, names := WriterNames())
    feedback = FeedbackWriter(connection, names, calls)
    sums = Sums(connection, now)
    known = _what(connection, running.values())
    calls.look_up(project, [], [known[row.pk][1] for row in running.values()])
    for each in ended:
        item = each.item
        row = running.get(item.id)
        if row is None or item.id in taken or known[row.pk] != (item.definition_ref, item.call_id):
            continue
        spent = row.spent
        row.end(item)
        if item.state == FAILED and each.retry_at is not None:
            row.state = WANTED
            row.due_at = each.retry_at
        elif item.judgement is not None:
            feedback.add(project, item.judgement)
        sums.move(row, RUNNING, row.state, spent=row.spent - spent, at=item.ended_at)
        taken[item.id] = row, item
    evaluation_rows.update(connection, [row for row, _ in taken.values()])
    evaluation_rows.write_details(connection, taken.values())
    feedback.flush()
    sums.flush()
    return [
        *taken,
        *_replayed(connection, project, [e.item for e in ended if e.item.id not in taken]),
    ]


def retry(connection: sqlite3.Connection, project: int, wanted: Iterable[str], now: int) -> int:
    """Want evaluations that ended anew, by their ids; gives how many."""
    rows = [
        row
        for row in evaluation_rows.read(connection, "evaluations_by_id", set(wanted), project)
        if row.state not in (WANTED, RUNNING)
    ]
    want_anew(connection, rows, FRESH, now)
    return len(rows)


def want_anew(connection: sqlite3.Connection, rows: Sequence[Row], priority: int, now: int) -> None:
    """Want evaluations that ended once more."""
    sums = Sums(connection, now)
    for row in rows:
        sums.move(row, row.state, WANTED)
        row.want(now, priority)
    evaluation_rows.update(connection, rows)
    connection.executemany(_SQL["delete_details"], [(row.pk,) for row in rows])
    sums.flush()


def _open(
    connection: sqlite3.Connection,
    projects: Sequence[str] | None,
    except_definitions: Sequence[str],
    turn: int,
) -> dict[int, list[int]]:
    """The definitions of which something is open, by project, the projects in their turn."""
    wanted = left_out = None
    if projects is not None:
        rows = connection.execute(_SQL["projects_by_name"], (json_list(projects),))
        wanted = {pk for pk, _ in rows}
    if except_definitions:
        rows = connection.execute(_SQL["refs_by_text"], (json_list(except_definitions),))
        left_out = {pk for (pk,) in rows}
    found: defaultdict[int, list[int]] = defaultdict(list)
    for project, definition in connection.execute(_SQL["open_definitions"]).fetchall():
        if (wanted is None or project in wanted) and definition not in (left_out or ()):
            found[project].append(definition)
    order = sorted(found)
    first = turn % len(order) if order else 0
    return {project: found[project] for project in (*order[first:], *order[:first])}


def _heads(
    connection: sqlite3.Connection,
    by_project: dict[int, list[int]],
    priority: int,
    now: int,
    wish: Wish,
    wanted: int,
) -> list[int]:
    """The evaluations of a priority that have waited longest, the projects one after the other."""
    queues: list[list[int]] = []
    for definitions in by_project.values():
        due: list[tuple[int, int]] = []
        for definition in definitions:
            due += connection.execute(_SQL["due"], (definition, priority, now, wanted)).fetchall()
        if len(definitions) > 1:
            due.sort()
        if due:
            queues.append([pk for _, pk in due[:wanted]])
    if len(queues) == 1:
        return queues[0]
    in_turn = (pk for each in zip_longest(*queues) for pk in each if pk is not None)
    return [pk for pk, _ in zip(in_turn, range(wanted), strict=False)]


def _sift(
    connection: sqlite3.Connection,
    rows: list[Row],
    no_money: set[int],
    wish: Wish,
    now: int,
    sums: Sums,
) -> list[Row]:
    """Those that may begin. One begun too often has failed; one whose rule has no money left waits for the next day."""
    fit: list[Row] = []
    given_up: list[Row] = []
    postponed: list[tuple[int, int]] = []
    tomorrow = (now // DAY_US + 1) * DAY_US
    for row in rows:
        if row.attempts >= wish.max_attempts:
            given_up.append(row)
        elif row.rule is not None and row.rule in no_money:
            postponed.append((tomorrow, row.pk))
        else:
            fit.append(row)
    for row in given_up:
        sums.move(row, row.state, FAILED, at=now)
        row.reason = _why_given_up(row)
        row.state, row.due_at, row.run, row.ended_at = FAILED, None, None, now
    evaluation_rows.update(connection, given_up)
    connection.executemany(_SQL["postpone"], postponed)
    return fit


def _why_given_up(row: Row) -> str:
    times = "once" if row.attempts == 1 else f"{row.attempts} times"
    if row.state == RUNNING:
        return (
            f"begun {times} and never finished: the lease of worker {row.worker!r} ended each time or the last "
            "time; it may have been killed, or the function does not come back"
        )
    return f"begun {times}, as often as is tried" + (f"; {row.reason}" if row.reason else "")


def _claims(connection: sqlite3.Connection, rows: list[Row], lease_until: int) -> list[Claim]:
    by_pk = {row.pk: row for row in rows}
    until = clock.from_us(lease_until)
    told = connection.execute(_SQL["claimed"], (json_list(by_pk),))
    claims: list[Claim] = []
    for pk, project, evaluation_id, definition_ref, call_id in told:
        row = by_pk[pk]
        claims.append(
            Claim(
                project=project,
                run_id=row.run or "",
                evaluation_id=evaluation_id,
                definition_ref=definition_ref,
                call_id=call_id,
                attempt=row.attempts,
                lease_until=until,
            )
        )
    return claims


def _what(connection: sqlite3.Connection, rows: Iterable[Row]) -> dict[int, tuple[str, str]]:
    """(reference of the definition, id of the call) of evaluations, by pk."""
    rows = list(rows)
    texts = dict(
        connection.execute(_SQL["ref_texts"], (json_list({row.definition for row in rows}),))
    )
    call_ids = dict(connection.execute(_SQL["call_ids"], (json_list({row.call for row in rows}),)))
    return {row.pk: (texts[row.definition], call_ids[row.call]) for row in rows}


def _replayed(
    connection: sqlite3.Connection, project: int, items: list[PreparedEvaluation]
) -> list[str]:
    """Those of these runs that were taken before."""
    if not items:
        return []
    asked = [(item.id, item.call_id, item.definition_ref) for item in items]
    rows = connection.execute(_SQL["replayed"], (msgspec.json.encode(asked).decode(), project))
    return [run for (run,) in rows]
