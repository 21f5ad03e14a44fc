"""Model, tokens and cost are those of the summary as it stands, whichever part of a call brought it."""

from __future__ import annotations

import itertools
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from parts import PROJECT, at, batch

from kibitz.base.records import Call, CallPart
from kibitz.query import text_form
from kibitz.query.nodes import CallQuery
from kibitz.storage import sqlite
from kibitz.storage.sqlite.store import SqliteStore

FIRST = {"usage": {"gpt-5": {"prompt_tokens": 10, "completion_tokens": 2}}, "cost": 0.5}
LAST = {"usage": {"claude-4": {"input_tokens": 100, "output_tokens": 1}}}


@pytest.fixture
def store(tmp_path: Path) -> Generator[SqliteStore]:
    opened = sqlite.open_store(tmp_path)
    yield opened
    opened.close()


def _start(summary: dict[str, Any] | None = None) -> CallPart:
    return CallPart(id="c", op="answer", started_at=at(0), inputs={}, summary=summary)


def _end(summary: dict[str, Any] | None = None) -> CallPart:
    return CallPart(id="c", ended_at=at(1), output="x", summary=summary)


def _used(call: Call) -> tuple[object, ...]:
    return call.model, call.input_tokens, call.output_tokens, call.tokens, call.cost


OF_FIRST = ("gpt-5", 10, 2, 12, 0.5)
OF_LAST = ("claude-4", 100, 1, 101, None)


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize(
    ("parts", "used"),
    [
        ([_start(FIRST), _end()], OF_FIRST),
        ([_start(), _end(LAST)], OF_LAST),
        # What an end says stands over what a start said, the summary as a whole.
        ([_start(FIRST), _end(LAST)], OF_LAST),
        ([_start(FIRST), _end(LAST), _start(FIRST), _end(LAST)], OF_LAST),
        ([_start(), _end()], (None,) * 5),
    ],
)
def test_parts_in_any_order(
    store: SqliteStore, parts: list[CallPart], used: tuple[object, ...], together: bool
) -> None:
    for number, order in enumerate(itertools.permutations(parts)):
        project = f"{PROJECT}{number}"
        portions = [list(order)] if together else [[each] for each in order]
        for portion in portions:
            assert store.ingest.write(batch(project=project, calls=portion)).rejected == []

        assert _used(store.calls.get(project, "c")) == used
        (listed,) = store.calls.query(CallQuery(project=project)).items
        assert _used(listed) == used


def test_they_are_asked_and_sorted_by(store: SqliteStore) -> None:
    calls = [
        CallPart(
            id=f"c{n}",
            op="answer",
            started_at=at(n),
            ended_at=at(n + 1),
            summary={
                "usage": {f"m{n % 2}": {"input_tokens": n, "output_tokens": 1}},
                "cost": n / 10,
            },
        )
        for n in range(6)
    ]
    store.ingest.write(batch(calls=[*calls, CallPart(id="silent", op="answer", started_at=at(9))]))

    def found(text: str) -> list[str]:
        parsed = text_form.parse(text)
        query = text_form.combined(CallQuery(project=PROJECT), parsed)
        return [each.id for each in store.calls.query(query).items]

    assert found("model = m1 sort tokens desc") == ["c5", "c3", "c1"]
    assert found("tokens > 3 and tokens <= 5") == ["c4", "c3"]
    assert found("cost >= 0.3 sort cost") == ["c3", "c4", "c5"]
    assert found("cost is null or input_tokens = 0") == ["silent", "c0"]
    assert found("sort cost desc limit 2") == ["c5", "c4"]
    assert found("sort output_tokens, started_at")[-1] == "silent"
