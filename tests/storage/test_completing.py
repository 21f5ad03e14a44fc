"""What a store knows for completing queries, asked of the folder and over HTTP alike."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from asking import send
from parts import PROJECT, batch, call, judgement

from kibitz.base import api
from kibitz.base.records import FeedbackPart
from kibitz.client import http, reading
from kibitz.storage import sqlite
from kibitz.storage.sqlite.store import SqliteStore
from kibitz.testing import serving

CALLS = [
    call(
        f"c{n}",
        seconds=n,
        op=["answer", "retrieve", "answer"][n % 3],
        attributes={"env": "prod" if n % 2 else "test", "a.b": {"c d": [n]}},
        summary={"usage": {"gpt-5": {"input_tokens": n}}},
        kind=None if n else "agent",
    )
    for n in range(30)
]
JUDGEMENTS = [
    judgement(f"c{n}", {"class": ["good", "bad", "good"][n % 3], "score": n / 10}, name="grounded")
    for n in range(20)
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("completing")


@pytest.fixture(scope="module")
def store(folder: Path) -> Generator[SqliteStore]:
    opened = sqlite.open_store(folder)
    opened.ingest.write(batch(calls=CALLS, feedback=JUDGEMENTS))
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("text", "counted"),
    [
        ("op = ", [("answer", 20), ("retrieve", 10)]),
        ("status = ", [("success", 30), ("error", 0), ("running", 0)]),
        ("model = ", [("gpt-5", 30)]),
        ("kind = ", [("agent", 1)]),
        ("attributes.env = ", [("prod", 15), ("test", 15)]),
        ('attributes."a.b".', [('attributes."a.b"."c d"', 30), ('attributes."a.b"."c d".0', 30)]),
        ("feedback.grounded.output.class = ", [("good", 13), ("bad", 7)]),
        ("feedback.grounded.output.", [
            ("feedback.grounded.output.class", 20), ("feedback.grounded.output.score", 20)]),
    ],
)  # fmt: skip
def test_what_a_project_has_is_offered_with_counts(
    store: SqliteStore, text: str, counted: list[tuple[str, int]]
) -> None:
    found = store.calls.complete(PROJECT, text)

    assert [(each.text, each.count) for each in found.items] == counted


def test_of_huge_values_the_newest_are_looked_at(store: SqliteStore) -> None:
    project = "team/huge"
    calls = [call(f"c{n}", seconds=n, output={"a": "x" * 300_000}) for n in range(10)]
    store.ingest.write(batch(project=project, calls=calls))

    found = store.calls.complete(project, "output.")

    # A million characters, and the rest of the call that comes to it.
    assert [(each.text, each.count) for each in found.items] == [("output.a", 4)]


def test_of_very_many_texts_some_are_offered(store: SqliteStore) -> None:
    project = "team/many"
    calls = [call(f"c{n}", seconds=n) for n in range(200)]
    feedback = [
        {
            "type": "review",
            "target_ref": f"kibitz:///{project}/call/c{n}",
            "payload": {"said": f"text {n % 100:03}"},
        }
        for n in range(200)
    ]
    store.ingest.write(
        batch(project=project, calls=calls, feedback=msgspec.convert(feedback, list[FeedbackPart]))
    )

    found = store.calls.complete(project, "feedback.review.said = ")

    assert [each.text for each in found.items[:2]] == ['"text 000"', '"text 001"']
    assert {each.count for each in found.items} == {2}
    assert len(found.items) == 25


def test_a_server_says_the_same_as_its_folder(store: SqliteStore, folder: Path) -> None:
    texts = ["op = ", "op = answr", "outptu = 1", "feedback.grounded.output.clas = x", "size(", ""]
    with serving.server(folder) as url:
        connection = http.Connection(url)
        remote = reading.RemoteStore(connection)
        for text in texts:
            assert remote.calls.complete(PROJECT, text) == store.calls.complete(PROJECT, text)
            assert remote.calls.complete(PROJECT, text, 2) == store.calls.complete(PROJECT, text, 2)
        remote.close()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"project": PROJECT, "text": "op = ", "cursor": 10**9}, 200),
        ({"project": PROJECT, "text": "op = ", "cursor": None}, 200),
        ({"project": PROJECT, "text": "op = ", "cursor": -1}, 400),
        ({"project": PROJECT, "text": "x" * 20_001}, 400),
        ({"project": PROJECT, "text": 1}, 400),
        ({"project": PROJECT}, 400),
        ({"project": "no/such", "text": ""}, 404),
        ({"project": PROJECT, "text": "(" * 20_000}, 200),
        ({"project": PROJECT, "text": '"' * 19_999}, 200),
        ({"project": PROJECT, "text": "feedback.a and " * 1300}, 200),
    ],
)
def test_over_http(store: SqliteStore, folder: Path, body: dict[str, Any], status: int) -> None:
    with serving.server(folder) as url:
        answer = send(url, api.CALLS_COMPLETE, body)

    assert answer.status == status
    if status == 200:
        assert set(answer.json) <= {"from", "to", "items", "error", "warnings"}
