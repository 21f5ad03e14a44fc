"""Reading records: root calls, each with all that it called."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from kibitz.base.evaluations import MAX_RECORD_CALLS
from kibitz.base.records import Call
from kibitz.storage import statements
from kibitz.storage.sqlite import call_reading
from kibitz.storage.sqlite.evaluation_rows import json_list
from kibitz.storage.sqlite.names import project_pk

_SQL = statements.load("evaluations.sql")
_MAX_CALLS = MAX_RECORD_CALLS + 1
_WHOLE = f"SELECT {call_reading.NARROW}, p.inputs, p.output, p.attributes, p.summary, p.exception"
_PAYLOADS = "LEFT JOIN payloads p ON p.call = c.pk"
_TABLES = call_reading.FROM.removeprefix("FROM calls c ")
_OF_TRACES = (
    f"{_WHOLE} FROM json_each(?1) j CROSS JOIN calls c ON c.project = ?2 AND c.trace_id = j.value"
    f" AND c.started_at IS NOT NULL {_TABLES} {_PAYLOADS} ORDER BY j.key, c.started_at, c.pk"
)
_OF_PKS = (
    f"{_WHOLE} FROM json_each(?1) j CROSS JOIN calls c ON c.pk = j.value {_TABLES} {_PAYLOADS}"
    " ORDER BY j.key"
)


def records(
    connection: sqlite3.Connection, project: str, call_ids: Sequence[str]
) -> dict[str, list[Call]]:
    """The records of root calls by their ids. See `storage.protocols.Evaluations.records`."""
    pk = project_pk(connection, project)
    roots = connection.execute(_SQL["record_roots"], (json_list(call_ids), pk)).fetchall()
    roots_of = dict(
        connection.execute(
            _SQL["roots_of_traces"],
            (json_list({trace for _, _, trace, parent in roots if parent is None}), pk),
        ).fetchall()
    )
    by_trace: dict[str, str] = {}
    others: list[tuple[str, int]] = []
    for call_id, call, trace, parent in roots:
        # A trace that several calls begin is not the record of one of them.
        if parent is None and roots_of.get(trace) == 1:
            by_trace[trace] = call_id
        else:
            others.append((call_id, call))
    found: dict[str, list[Call]] = {}
    for row in connection.execute(_OF_TRACES, (json_list(by_trace), pk)):
        its = found.setdefault(by_trace[row[2]], [])
        if len(its) < _MAX_CALLS:
            its.append(_call(project, row))
    for call_id, call in others:
        below = connection.execute(_SQL["subtree"], (call, pk, _MAX_CALLS))
        rows = connection.execute(_OF_PKS, (json_list(each for (each,) in below),))
        found[call_id] = [_call(project, row) for row in rows]
    return found


def _call(project: str, row: Any) -> Call:
    texts = row[call_reading.WIDE_FROM :]
    return call_reading.call_of(
        project, row, call_reading.payloads_of(call_reading.PAYLOADS, texts)
    )
