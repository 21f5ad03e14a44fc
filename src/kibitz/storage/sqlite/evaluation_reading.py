"""Reading evaluations: pages, single ones, those of a call, how far each definition is."""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Iterator
from typing import Any

import msgspec

from kibitz.base import clock, judgements
from kibitz.base.errors import NotFound
from kibitz.base.evaluations import (
    Evaluation,
    EvaluationPart,
    EvaluationProgress,
    EvaluationQuery,
    Invocation,
)
from kibitz.base.records import Page
from kibitz.base.spending import Spend
from kibitz.storage import statements
from kibitz.storage.sqlite import cursors
from kibitz.storage.sqlite.evaluation_parts import DONE, RUNNING, STATUSES, WANTED
from kibitz.storage.sqlite.evaluation_rows import json_list
from kibitz.storage.sqlite.names import project_pk

_SQL = statements.load("evaluations.sql")
_END = 1 << 62
_AT_A_TIME = 200
_read_invocations = msgspec.json.Decoder(list[Invocation]).decode


def query(connection: sqlite3.Connection, asked: EvaluationQuery) -> Page[Evaluation]:
    """A page of evaluations, newest first."""
    project = project_pk(connection, asked.project)
    before = _END if asked.cursor is None else _position(asked.cursor)
    wanted = asked.limit + 1
    pks = [
        pk
        for pk, _ in zip(_newest(connection, project, asked, before), range(wanted), strict=False)
    ]
    cursor = cursors.write((pks[-2],)) if len(pks) == wanted else None
    return Page(
        items=whole(connection, asked.project, pks[: asked.limit], details=False),
        next_cursor=cursor,
    )


def get(connection: sqlite3.Connection, project: str, evaluation_id: str) -> Evaluation:
    """One evaluation with its invocations; raises `NotFound`."""
    row = connection.execute(
        _SQL["evaluation_pk"], (project_pk(connection, project), evaluation_id)
    ).fetchone()
    if row is None:
        raise NotFound(
            f"project {project!r} has no evaluation {evaluation_id[:64]!r}",
            project=project,
            id=evaluation_id[:64],
        )
    return whole(connection, project, [row[0]], details=True)[0]


def of_call(connection: sqlite3.Connection, project: str, call_id: str) -> list[Evaluation]:
    """The evaluations of a record by its root call, with their invocations, by name."""
    pk = project_pk(connection, project)
    rows = connection.execute(_SQL["of_call"], (pk, call_id, _END))
    found = whole(connection, project, [row[0] for row in rows], details=True)
    return sorted(found, key=lambda each: (each.name, each.definition_ref))


def progress(connection: sqlite3.Connection, project: str) -> list[EvaluationProgress]:
    """How far each definition is, most recent first."""
    pk = project_pk(connection, project)
    return [
        EvaluationProgress(
            project=project,
            definition_ref=ref,
            name=judgements.version_ref(ref).name,
            wanted=wanted,
            running=running,
            done=done,
            failed=failed,
            skipped=skipped,
            spent_usd=spent / 1e9,
            last_at=None if last_at is None else clock.from_us(last_at),
        )
        for ref, wanted, running, done, failed, skipped, spent, last_at in connection.execute(
            _SQL["progress"], (pk,)
        )
    ]


def whole(
    connection: sqlite3.Connection, project: str, pks: list[int], *, details: bool
) -> list[Evaluation]:
    """The evaluations of these pks, in their order."""
    told: dict[int, tuple[str | None, str | None]] = {}
    if details:
        told = {
            pk: (error, invocations)
            for pk, error, invocations in connection.execute(_SQL["details"], (json_list(pks),))
        }
    found: dict[int, Evaluation] = {}
    for row in connection.execute(_SQL["whole_evaluations"], (json_list(pks),)):
        further: dict[str, Any] = {}
        if details:
            error, invocations = told.get(row[0], (None, None))
            further["error"] = error
            further["invocations"] = [] if invocations is None else _read_invocations(invocations)
        found[row[0]] = evaluation_of(project, row, further)
    return [found[pk] for pk in pks if pk in found]


def evaluation_of(project: str, row: Any, further: dict[str, Any]) -> Evaluation:
    state: int = row[5]
    output: str | None = row[6]
    is_open = state in (WANTED, RUNNING)
    return Evaluation(
        project=project,
        id=row[1],
        definition_ref=row[2],
        name=judgements.version_ref(row[2]).name,
        call_id=row[3],
        op=row[4],
        status=STATUSES[state],
        output=None if output is None else msgspec.json.decode(output),
        reason=row[7],
        attempts=row[8],
        wanted_at=clock.from_us(row[9]),
        due_at=_moment(row[10]) if is_open else None,
        started_at=None if state == WANTED else _moment(row[11]),
        ended_at=None if is_open else _moment(row[12]),
        worker=row[13],
        rule=row[14],
        feedback_id=row[15] if state == DONE else None,
        spent=_spend(row[16:]),
        **further,
    )


def part_of(row: Any) -> EvaluationPart:
    """An evaluation as a delivery says it, from what `evaluations_after` gives."""
    state: int = row[5]
    _, evaluation_id, run, ref, call_id = row[:5]
    output, reason, error, invocations = row[6:10]
    started_at, ended_at, rule = row[15:]
    if state in (WANTED, RUNNING):
        return EvaluationPart(
            id=evaluation_id, definition_ref=ref, call_id=call_id, status="none", rule=rule
        )
    return EvaluationPart(
        id=run or evaluation_id,
        definition_ref=ref,
        call_id=call_id,
        status=STATUSES[state],
        output=msgspec.UNSET if output is None else msgspec.json.decode(output),
        reason=reason,
        error=error,
        invocations=[] if invocations is None else _read_invocations(invocations),
        spent=_spend(row[10:15]),
        started_at=_moment(started_at),
        ended_at=_moment(ended_at),
        rule=rule,
    )


def _spend(row: Any) -> Spend:
    requests, input_tokens, output_tokens, spent, unpriced = row
    return Spend(
        requests=requests,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        usd=spent / 1e9,
        unpriced=unpriced,
    )


def _newest(
    connection: sqlite3.Connection, project: int, asked: EvaluationQuery, before: int
) -> Iterator[int]:
    """The pks that match before one, descending; read as they are asked for.

    Each definition and state that is asked for and has any is a range of an index; the ranges are merged.
    """
    states = [STATUSES.index(each) for each in asked.status] or [*range(len(STATUSES))]
    definitions: dict[int, list[int]] = {}
    for definition, ref, *counts in connection.execute(_SQL["sums_of_project"], (project,)):
        if asked.definition_ref not in (None, ref):
            continue
        if asked.name is not None and judgements.version_ref(ref).name != asked.name:
            continue
        definitions[definition] = [state for state in states if counts[state] > 0]
    rule = None
    if asked.rule is not None:
        row = connection.execute(_SQL["rule_name_pk"], (project, asked.rule)).fetchone()
        if row is None:
            return iter(())
        rule = row[0]
    if asked.call_id is not None:
        rows = connection.execute(_SQL["of_call"], (project, asked.call_id, before)).fetchall()
        return (
            pk
            for pk, definition, state, its in rows
            if state in definitions.get(definition, ()) and rule in (None, its)
        )
    ranges = [
        _range(connection, definition, state, rule, before)
        for definition, its in definitions.items()
        for state in its
    ]
    return heapq.merge(*ranges, reverse=True)


def _range(
    connection: sqlite3.Connection, definition: int, state: int, rule: int | None, before: int
) -> Iterator[int]:
    """The evaluations of a definition and state, also of a rule, before a pk, descending."""
    statement, of_rule = ("newest_of_state", ()) if rule is None else ("newest_of_rule", (rule,))
    size = 16
    while True:
        pks = connection.execute(
            _SQL[statement], (definition, state, *of_rule, before, size)
        ).fetchall()
        yield from (pk for (pk,) in pks)
        if len(pks) < size:
            return
        before = pks[-1][0]
        size = min(4 * size, _AT_A_TIME)


def _position(cursor: str) -> int:
    match cursors.read(cursor):
        case [int(pk)]:
            return pk
        case _:
            raise cursors.unknown(cursor)


def _moment(us: int | None) -> Any:
    return None if us is None else clock.from_us(us)
