"""Deleting calls with everything that belongs to them, inside an open transaction.

With a call go its payloads, all feedback on it with its scores and counts, its evaluations, and its part of the
sums; and with
the last call of a trace goes what was said about the trace. What others say of it by its id stays: a child keeps
the id of its parent, a judgement that of the call that made it. The word index keeps entries of a pk that is
never used again; they are passed over when a hit is checked on its row.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable

import msgspec

from kibitz.base import refs
from kibitz.storage import leaves, statements
from kibitz.storage.sqlite import evaluation_rows
from kibitz.storage.sqlite.call_writing import CallWriter
from kibitz.storage.sqlite.feedback_writing import FeedbackWriter
from kibitz.storage.sqlite.names import WriterNames

_SQL = statements.load("sqlite.sql")
_EVALUATIONS_SQL = statements.load("evaluations.sql")


def delete_calls(
    connection: sqlite3.Connection, project: int, project_name: str, pks: list[int]
) -> tuple[int, int]:
    """Delete those of these calls that are still there; gives how many calls and how much feedback went."""
    encoded = _json(pks)
    there = [row[0] for row in connection.execute(_SQL["standing_pks"], (encoded, project))]
    if not there:
        return 0, 0
    encoded = _json(there)
    traces = [row[0] for row in connection.execute(_SQL["traces_of_calls"], (encoded,))]
    # Names learnt in here are not kept: the transaction may be rolled back.
    names = WriterNames()
    calls = CallWriter(connection, names)
    judged = connection.execute(_SQL["judgements_of_calls"], (encoded,)).fetchall()
    feedback = FeedbackWriter(connection, names, calls)
    feedback.remove_scores({(call, type_pk) for _, call, type_pk, _ in judged})
    said = [(pk, type_pk, payload) for pk, _, type_pk, payload in judged]
    _delete_feedback(connection, said)
    _delete_evaluations(connection, there)
    connection.executemany(_EVALUATIONS_SQL["delete_from_inbox"], [(project, pk) for pk in there])
    calls.remove(project, there)
    gone = [
        row[0] for row in connection.execute(_SQL["traces_without_calls"], (_json(traces), project))
    ]
    texts = [
        refs.format_ref(refs.Ref(project=project_name, kind="trace", name=trace)) for trace in gone
    ]
    about = connection.execute(_SQL["judgements_of_refs"], (_json(texts),)).fetchall()
    _delete_feedback(connection, about)
    return len(there), len(said) + len(about)


def _delete_evaluations(connection: sqlite3.Connection, pks: list[int]) -> None:
    """Delete what was wanted of calls; a worker that has a run of it is told that it is nobody's."""
    sums = evaluation_rows.Sums(connection, 0)
    gone = evaluation_rows.read(connection, "evaluations_of_calls", pks)
    for row in gone:
        sums.move(row, row.state, None, spent=-row.spent)
    for statement in ("delete_details", "delete_evaluation"):
        connection.executemany(_EVALUATIONS_SQL[statement], [(row.pk,) for row in gone])
    sums.flush()
    if gone:
        connection.execute(_EVALUATIONS_SQL["drop_empty_sums"])


def _delete_feedback(connection: sqlite3.Connection, rows: Iterable[tuple[int, int, str]]) -> None:
    """Delete feedback, (pk, type, payload) each, and take it out of the counts of its types."""
    counts: defaultdict[int, list[int]] = defaultdict(lambda: [0, 0])
    pks: list[tuple[int]] = []
    for pk, type_pk, payload in rows:
        complete = leaves.scores(msgspec.json.decode(payload))[1]
        counts[type_pk][0] -= 1
        counts[type_pk][1] -= not complete
        pks.append((pk,))
    connection.executemany(_SQL["delete_feedback"], pks)
    connection.executemany(
        _SQL["count_feedback"],
        [(rows_, unindexed, type_pk) for type_pk, (rows_, unindexed) in counts.items()],
    )


def _json(values: list[int] | list[str]) -> str:
    return msgspec.json.encode(values).decode()
