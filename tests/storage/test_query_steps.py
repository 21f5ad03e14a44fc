"""Questions about feedback stop early: the work they take does not grow with the store."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import written

from kibitz.base import refs
from kibitz.base.records import Batch, CallPart, FeedbackPart
from kibitz.query import json_form
from kibitz.query.nodes import FeedbackQuery
from kibitz.storage import sqlite, statements
from kibitz.storage.sqlite import feedback_reading, functions, names, planning

CALLS = 4_000
MATCH = {"$getField": "feedback.[review].payload.match"}
SCORE = {"$getField": "feedback.[review].payload.score"}
OTHER = {"$getField": "feedback.[other].payload.score"}
STEPS_PER_CALL_BACK = 100
FEW_STEPS = 20_000
"""Five for each call; a look at every one takes more."""


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Generator[sqlite3.Connection]:
    folder: Path = tmp_path_factory.mktemp("steps")
    store = sqlite.open_store(folder)
    calls = [
        CallPart(
            id=f"c{n}",
            op=f"op{n % 5}",
            started_at=written.EPOCH + timedelta(seconds=n),
            ended_at=written.EPOCH + timedelta(seconds=n + 1),
        )
        for n in range(CALLS)
    ]
    feedback = [
        FeedbackPart(
            id=f"{type_}{n}",
            type=type_,
            target_ref=refs.call_ref(written.PROJECT, f"c{n}"),
            payload={"match": n % 3 == 0, "score": (n * factor) % CALLS / CALLS},
            created_at=written.EPOCH,
        )
        for n in range(CALLS)
        for type_, factor in (("review", 7), ("other", 11))
    ]
    receipt = store.ingest.write(Batch(project=written.PROJECT, calls=calls, feedback=feedback))
    assert receipt.rejected == []
    store.close()
    opened = sqlite3.connect(store.path)
    functions.register(opened)
    yield opened
    opened.close()


def _steps(
    connection: sqlite3.Connection, asked: dict[str, Any], *, number: int = 1
) -> tuple[int, int]:
    """How many steps SQLite takes for a page of a number, and how many calls are on it."""
    taken = 0

    def count() -> None:
        nonlocal taken
        taken += STEPS_PER_CALL_BACK

    query = json_form.parse_query({"project": written.PROJECT} | asked)
    project = names.project_pk(connection, written.PROJECT)
    # As in a store so large that these conditions leave more than a few calls.
    with mock.patch.object(planning, "FEW", CALLS // 40):
        for _ in range(1, number):
            _, cursor = planning.page(connection, project, query)
            query = dataclasses.replace(query, cursor=cursor)
        connection.set_progress_handler(count, STEPS_PER_CALL_BACK)
        try:
            hits, _ = planning.page(connection, project, query)
        finally:
            connection.set_progress_handler(None, 0)
    return taken, len(hits)


class _Counted:
    """Readers that count the steps of what is asked."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.steps = 0

    @contextmanager
    def reading(self) -> Generator[sqlite3.Connection]:
        self._connection.set_progress_handler(self._count, STEPS_PER_CALL_BACK)
        try:
            yield self._connection
        finally:
            self._connection.set_progress_handler(None, 0)

    def _count(self) -> None:
        self.steps += STEPS_PER_CALL_BACK


def _sorted(field: dict[str, str], direction: str = "desc") -> list[dict[str, str]]:
    return [{"field": field["$getField"], "direction": direction}]


@pytest.mark.parametrize(
    ("where", "sort"),
    [
        (None, None),
        (None, _sorted(SCORE)),
        (None, _sorted(SCORE) + [{"field": "started_at", "direction": "asc"}]),
        ({"$eq": [MATCH, {"$literal": True}]}, None),
        ({"$eq": [MATCH, {"$literal": True}]}, _sorted(OTHER)),
        ({"$eq": [MATCH, {"$literal": True}]}, _sorted(SCORE, "asc")),
        ({"$eq": [MATCH, {"$literal": "true"}]}, _sorted(OTHER)),
        ({"$ne": [MATCH, {"$literal": True}]}, _sorted(OTHER)),
        ({"$gt": [SCORE, {"$literal": 0.5}]}, _sorted(OTHER)),
        ({"$lt": [SCORE, {"$literal": 0.9}]}, None),
        ({"$exists": SCORE}, _sorted(OTHER)),
        ({"$not": [{"$exists": {"$getField": "feedback.[note]"}}]}, _sorted(OTHER)),
        # The first key has few values, so that each is followed in the order of the second.
        ({"$eq": [MATCH, {"$literal": True}]}, _sorted(MATCH) + _sorted(OTHER, "asc")),
        (None, _sorted(MATCH, "asc") + _sorted(SCORE)),
        (None, _sorted(MATCH) + [{"field": "started_at", "direction": "desc"}]),
        # The index is read only where the condition leaves values.
        ({"$gt": [SCORE, {"$literal": 0.5}]}, _sorted(SCORE, "asc")),
        (
            {"$and": [{"$eq": [MATCH, {"$literal": False}]}, {"$lt": [OTHER, {"$literal": 0.5}]}]},
            _sorted(OTHER),
        ),
    ],
)
@pytest.mark.parametrize("number", [1, 20])
def test_a_page_takes_few_steps(
    connection: sqlite3.Connection, where: Any, sort: Any, number: int
) -> None:
    asked = {"query": where and {"$expr": where}, "sort": sort}

    steps, calls = _steps(connection, asked, number=number)

    assert calls == 50
    assert steps < FEW_STEPS


TARGET = refs.call_ref(written.PROJECT, f"c{CALLS // 2}")


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"target_ref": TARGET}, 2),
        ({"target_ref": TARGET, "type": "review"}, 1),
        ({"target_ref": TARGET, "type": "review", "since": 0}, 1),
        ({"target_ref": refs.call_ref(written.PROJECT, "nobody"), "type": "review"}, 0),
        ({"target_ref": f"kibitz:///{written.PROJECT}/trace/t", "type": "review"}, 0),
        ({"ids": ("review7", "other9", "none")}, 2),
        ({"ids": ("review7", "other9"), "type": "review", "until": 1 << 60}, 1),
        ({"type": "review", "limit": 3}, 3),
        ({"limit": 3}, 3),
    ],
)
def test_feedback_on_few_is_found_without_a_look_at_all_of_it(
    connection: sqlite3.Connection, asked: dict[str, Any], found: int
) -> None:
    reader = feedback_reading.SqliteFeedback(_Counted(connection), mock.Mock())

    page = reader.query(FeedbackQuery(project=written.PROJECT, **asked))

    assert len(page.items) == found
    assert reader._readers.steps < CALLS


def test_the_history_of_a_judgement_is_found_without_a_look_at_others(
    connection: sqlite3.Connection,
) -> None:
    reader = feedback_reading.SqliteFeedback(_Counted(connection), mock.Mock())

    assert [each.id for each in reader.history(written.PROJECT, "review7")] == ["review7"]
    assert reader._readers.steps < CALLS


@pytest.mark.parametrize(
    ("statement", "params"), [("who_answered", (1, 7, None)), ("feedback_on_target", (7, 1))]
)
def test_what_was_said_of_one_target_is_read_alone_when_more_is_said(
    connection: sqlite3.Connection, statement: str, params: tuple[int | None, ...]
) -> None:
    counted = _Counted(connection)
    with counted.reading() as opened:
        opened.execute(statements.load("sqlite.sql")[statement], params).fetchall()

    assert counted.steps < CALLS
