"""Aggregates over HTTP: what a server and its folder say is the same, and wrong questions are refused with the way out."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import parts
import pytest
from asking import Answer, send

from kibitz.base import api
from kibitz.base.records import FeedbackPart
from kibitz.client.http import Connection
from kibitz.client.reading import RemoteStore
from kibitz.query import aggregation_json
from kibitz.storage import sqlite
from kibitz.testing import serving

CALLS, FEEDBACK = api.CALLS_AGGREGATE, api.FEEDBACK_AGGREGATE


def _judged(n: int) -> FeedbackPart:
    return FeedbackPart(
        id=f"f{n}",
        type="review",
        target_ref=f"kibitz:///{parts.PROJECT}/call/c{n}",
        payload={"good": n % 3 == 0, "score": n / 10, "word": "abc"[n % 3]},
        author=["ann", "bob"][n % 2],
        created_at=parts.at(n),
    )


@pytest.fixture(name="folder", scope="module")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten calls of two ops, twelve hours apart, eight of them judged."""
    folder = tmp_path_factory.mktemp("aggregates")
    store = sqlite.open_store(folder)
    calls = [
        parts.call(f"c{n}", op=["answer", "retrieve"][n % 2], seconds=n * 43_200, took=n)
        for n in range(10)
    ]
    batch = parts.batch(calls=calls, feedback=[_judged(n) for n in range(8)])
    assert store.ingest.write(batch).rejected == []
    store.close()
    return folder


@pytest.fixture(name="url", scope="module")
def _url(folder: Path) -> Generator[str]:
    with serving.server(folder) as url:
        yield url


def _asked(url: str, path: str = CALLS, **asked: Any) -> Answer:
    return send(url, path, {"project": parts.PROJECT, **asked})


def test_calls_are_counted_where_nothing_else_is_asked(url: str) -> None:
    assert _asked(url).json == {
        "group_by": [],
        "measures": ["count"],
        "groups": [{"keys": [], "measures": [{"value": 10, "n": 10}]}],
        "truncated": False,
    }


def test_groups_come_by_their_keys_with_their_measures(url: str) -> None:
    found = _asked(
        url,
        text="feedback.review.score >= 0.2 limit 1",
        group_by=["op", "feedback.[review].word"],
        measures=["count", "sum(latency)", "share(feedback.[review].good)"],
    ).json

    assert found["measures"][1] == "sum(latency_ms)"
    assert [group["keys"] for group in found["groups"]] == [
        ["answer", "a"],
        ["answer", "b"],
        ["answer", "c"],
        ["retrieve", "a"],
        ["retrieve", "b"],
        ["retrieve", "c"],
    ]
    count, latency, share = found["groups"][3]["measures"]
    assert (count["value"], latency["value"]) == (1, 3000.0)
    assert (share["value"], share["n"], share["high"]) == (1.0, 1, 1.0)
    assert 0.2 < share["low"] < 0.21


def test_feedback_is_asked_by_type_author_and_the_calls_it_is_on(url: str) -> None:
    found = _asked(
        url,
        FEEDBACK,
        type="review",
        author="ann",
        filter={"op": "answer"},
        since=parts.at(2).isoformat(),
        group_by=["hour"],
        measures=["count", "mean(score)", "values(word)"],
    ).json

    [group] = found["groups"]
    assert group["keys"] == ["2026-03-01T12:00:00+00:00"]
    count, mean, values = group["measures"]
    assert count["value"] == 3
    assert mean["value"] == pytest.approx((0.2 + 0.4 + 0.6) / 3)
    assert values["categories"] == [
        {"value": "a", "n": 1},
        {"value": "b", "n": 1},
        {"value": "c", "n": 1},
    ]


def test_a_limit_cuts_groups_off_and_says_so(url: str) -> None:
    found = _asked(url, group_by=["id"], measures=["max(latency)"], order="max(latency)", limit=2)

    assert [group["keys"] for group in found.json["groups"]] == [["c9"], ["c8"]]
    assert found.json["truncated"]


@pytest.mark.parametrize(
    ("over", "asked"),
    [
        ("calls", {"group_by": ["op", "day"], "measures": ["count", "mean(latency)"]}),
        ("calls", {"group_by": ["day(Asia/Kolkata)"], "measures": ["p90(latency)"]}),
        ("calls", {"group_by": [], "measures": ["histogram(feedback.[review].score, 5)"]}),
        ("calls", {"group_by": ["week"], "measures": ["mean(feedback.[review].score)"]}),
        ("feedback", {"group_by": ["type", "author"], "measures": ["values(word)", "sd(score)"]}),
        ("feedback", {"group_by": [], "measures": ["distinct(target)"], "every": True}),
        ("feedback", {"group_by": ["day"], "measures": ["count"], "since": 1, "author": "ann"}),
    ],
)
def test_a_server_answers_as_its_folder_does(
    url: str, folder: Path, over: str, asked: dict[str, Any]
) -> None:
    query = aggregation_json.build(project=parts.PROJECT, over=over, **asked)
    local = sqlite.open_store(folder)
    remote = RemoteStore(Connection(url))
    try:
        found = local.calls.aggregate(query)
        assert found.groups
        assert remote.calls.aggregate(query) == remote.feedback.aggregate(query) == found
    finally:
        remote.close()
        local.close()


@pytest.mark.parametrize(
    ("path", "asked", "code", "says"),
    [
        (CALLS, {"group_by": ["opp"]}, "query", "group_by[0]: field 'opp' is not known"),
        (CALLS, {"measures": ["count", "avg(latency)"]}, "query", "measures[1]: 'avg'"),
        (CALLS, {"measures": ["count"], "order": "mean(latency)"}, "query", "none of the measures"),
        (CALLS, {"text": "op ="}, "query", "value is missing"),
        (CALLS, {"group_by": ["op"] * 5}, "usage", "group_by"),
        (CALLS, {"measures": ["count"] * 17}, "usage", "measures"),
        (CALLS, {"limit": 10_001}, "usage", "limit"),
        (CALLS, {"confidence": 1}, "usage", "confidence"),
        (CALLS, {"type": "review"}, "usage", "type"),
        (CALLS, {"group_by": "op"}, "usage", "group_by"),
        (FEEDBACK, {"since": "yesterday"}, "query", "since"),
        (FEEDBACK, {"group_by": ["feedback.review.word"]}, "query", "over feedback a field is"),
        (CALLS, {"project": "never/heard"}, "not_found", "never/heard"),
        (CALLS, {"project": "a b"}, "usage", "a b"),
    ],
)
def test_wrong_questions_are_refused(
    url: str, path: str, asked: dict[str, Any], code: str, says: str
) -> None:
    answer = _asked(url, path, **asked)

    assert answer.status in (400, 404)
    assert answer.error["code"] == code
    assert says in answer.error["message"]


def test_a_mistake_says_in_which_entry_and_where(url: str) -> None:
    details = _asked(url, measures=["count", "mean(latncy)"]).error["details"]

    assert details["entry"] == "measures[1]"
    assert details["at"] == 5
    assert details["suggestion"] == "latency"


def test_text_that_means_something_to_sql_is_only_a_value(url: str) -> None:
    for hostile in ("x' OR 1=1 --", '"; DROP TABLE calls; --', "%", "\\"):
        found = _asked(url, measures=[f"share(op, {_quoted(hostile)})"]).json
        assert found["groups"][0]["measures"][0]["value"] == 0
        answer = _asked(url, group_by=[f"inputs.{_quoted(hostile)}"])
        assert answer.json["groups"][0]["keys"] == [None]
    assert _asked(url).json["groups"][0]["measures"][0]["value"] == 10


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def test_days_are_those_of_the_zone(url: str) -> None:
    utc = _asked(url, group_by=["day"]).json["groups"]
    assert [group["keys"][0] for group in utc][:2] == ["2026-03-01", "2026-03-02"]
    # 12:00 and 00:00 in UTC are 01:00 the next day and 13:00 in Auckland.
    there = _asked(url, group_by=["day(Pacific/Auckland)"]).json["groups"]
    assert [group["keys"][0] for group in there][0] == "2026-03-02"
    assert sum(group["measures"][0]["value"] for group in there) == 10
