"""One transaction: batches that were prepared become rows."""

from __future__ import annotations

import sqlite3

from kibitz.base import clock, judgements
from kibitz.base.errors import InvalidRecord
from kibitz.base.records import Receipt, Rejection
from kibitz.storage import statements
from kibitz.storage.sqlite.call_writing import CallWriter
from kibitz.storage.sqlite.evaluation_writing import EvaluationWriter
from kibitz.storage.sqlite.feedback_writing import FeedbackWriter
from kibitz.storage.sqlite.names import WriterNames
from kibitz.storage.sqlite.preparing import Prepared, rejection
from kibitz.storage.sqlite.rules import Rules

_SQL = statements.load("sqlite.sql")


def write(
    connection: sqlite3.Connection, names: WriterNames, batches: list[Prepared]
) -> list[Receipt]:
    """Write batches inside an open transaction; the receipts are true once it is committed."""
    now = clock.now_ns() // 1000
    calls = CallWriter(connection, names)
    feedback = FeedbackWriter(connection, names, calls)
    evaluations = EvaluationWriter(connection, names, calls, feedback, now)
    rules = Rules(connection, names, calls, feedback)
    receipts: list[Receipt] = []
    projects = [names.project(connection, batch.project, now) for batch in batches]
    for project in set(projects):
        ids = [
            call.id
            for batch, its in zip(batches, projects, strict=True)
            if its == project
            for call in batch.calls
        ]
        targets = [
            item.target.name
            for batch, its in zip(batches, projects, strict=True)
            if its == project
            for item in batch.feedback
            if item.target.kind == "call"
        ]
        targets += [
            item.call_id
            for batch, its in zip(batches, projects, strict=True)
            if its == project
            for item in batch.evaluations
        ]
        calls.look_up(project, ids, targets)
    for batch, project in zip(batches, projects, strict=True):
        for part in batch.calls:
            calls.add(project, part)
        # First, because judgements of the same batch may name them.
        _write_objects(connection, project, batch)
        taken, refused = _judge(project, batch, rules, feedback)
        evaluated, unknown = _evaluate(project, batch, evaluations)
        _write_files(connection, project, batch)
        receipts.append(
            Receipt(
                calls=len(batch.calls),
                feedback=len(taken),
                objects=len(batch.objects),
                files=len(batch.files),
                evaluations=evaluated,
                feedback_ids=taken,
                rejected=[*batch.rejected, *refused, *unknown],
            )
        )
    calls.flush()
    feedback.flush()
    evaluations.flush()
    return receipts


def _judge(
    project: int, batch: Prepared, rules: Rules, feedback: FeedbackWriter
) -> tuple[list[str], list[Rejection]]:
    """Take the feedback of a batch in: the ids of what keeps the rules, and why the rest does not."""
    taken: list[str] = []
    refused: list[Rejection] = []
    rules.begin()
    for item in batch.feedback:
        try:
            spec = rules.check(project, item)
        except InvalidRecord as error:
            refused.append(rejection("feedback", item.index, item.id, error))
            continue
        feedback.add(project, item)
        if item.corrects is not None and item.type in judgements.COLLECTED:
            feedback.take_back(project, item)
        if spec is not None and not spec.unique_among_creators:
            feedback.share(project, item)
        taken.append(item.id)
    return taken, refused


def _evaluate(
    project: int, batch: Prepared, evaluations: EvaluationWriter
) -> tuple[int, list[Rejection]]:
    """Take the evaluations of a batch in: how many, and why the rest is not."""
    refused: list[Rejection] = []
    for item in batch.evaluations:
        try:
            evaluations.add(project, batch.project, item)
        except InvalidRecord as error:
            refused.append(rejection("evaluation", item.index, item.id, error))
    return len(batch.evaluations) - len(refused), refused


def _write_objects(connection: sqlite3.Connection, project: int, batch: Prepared) -> None:
    for part, value, created_at in batch.objects:
        connection.execute(
            _SQL["insert_object"], (project, part.kind, part.name, part.digest, created_at, value)
        )


def _write_files(connection: sqlite3.Connection, project: int, batch: Prepared) -> None:
    connection.executemany(
        _SQL["insert_file"],
        [(project, file.digest, file.media_type, file.content) for file in batch.files],
    )
