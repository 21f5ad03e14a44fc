"""Questions that are too much, over HTTP: refused with a clear error, and the server answers the next one."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from asking import JSON, Answer, ask, send

from kibitz.base import api
from kibitz.testing import serving

PROJECT = "acme/bot"
FIELD = {"$getField": "output"}
ONE = {"$eq": [FIELD, {"$literal": 1}]}
CALL = {
    "id": "c1",
    "op": "answer",
    "started_at": "2026-03-01T12:00:00Z",
    "ended_at": "2026-03-01T12:00:01Z",
    "output": {"text": "because " * 2000},
}


@pytest.fixture(name="url", scope="module")
def _url(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    folder: Path = tmp_path_factory.mktemp("bombs")
    with serving.server(folder) as url:
        assert send(url, api.INGEST, {"project": PROJECT, "calls": [CALL]}).status == 200
        yield url


def _nested(depth: int) -> Any:
    node: Any = ONE
    for _ in range(depth):
        node = {"$not": [node]}
    return node


def _deep(depth: int) -> bytes:
    """What no encoder writes: deeper than a stack."""
    before = b'{"project": "acme/bot", "query": {"$expr": ' + b'{"$not": [' * depth
    return before + json.dumps(ONE).encode() + b"]}" * depth + b"}}"


def _regex(pattern: str) -> Any:
    return {"$regex": {"input": FIELD, "pattern": {"$literal": pattern}}}


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        (_nested(40), "nested deeper than 32"),
        ({"$and": [ONE] * 501}, "at most 500"),
        ({"$and": [{"$or": [ONE] * 100}] * 100}, "more than 500 conditions"),
        ({"$in": [FIELD, [{"$literal": n} for n in range(1001)]]}, "at most 1,000"),
        (
            {"$or": [{"$in": [FIELD, [{"$literal": n} for n in range(1000)]]}] * 6},
            "more than 5,000 literals",
        ),
        ({"$eq": [FIELD, {"$literal": "x" * 10_001}]}, "longer than 10,000 bytes"),
        ({"$contains": {"input": FIELD, "substr": {"$literal": "é" * 6000}}}, "longer than"),
        ({"$eq": [{"$getField": "inputs" + ".a" * 33}, {"$literal": 1}]}, "at most 32"),
        ({"$eq": [{"$getField": "inputs." + "a" * 1024}, {"$literal": 1}]}, "at most 1,024"),
        (
            {"$eq": [{"$getField": "inputs.0.0.0.0"}, {"$literal": 1}]},
            "more than 3 parts of digits",
        ),
        (_regex("(a{1000}){1000}"), "repeats too often"),
        (_regex("a" * 1001), "at most 1,000 are allowed"),
        ({"$and": [_regex("a*")] * 17}, "more than 16 patterns"),
        ({"$eq": [FIELD, {"$literal": 10**400}]}, "not a finite number"),
    ],
)
def test_a_bomb_in_json_is_refused(url: str, expression: Any, says: str) -> None:
    for address in (api.CALLS_QUERY, api.CALLS_COUNT):
        answer = send(url, address, {"project": PROJECT, "query": {"$expr": expression}})

        _refused(answer, "query", says)
        assert str(answer.error["details"]["at"]).startswith("$expr")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("(" * 20_000, "nested deeper than 32"),
        ("not " * 5000, "nested deeper than 32"),
        ("op=a or " * 2500, "more than 500 conditions"),
        ("output in (" + "1," * 1500 + "1)", "at most 1,000"),
        ('output matches "' + "a" * 1001 + '"', "at most 1,000"),
        ('output matches "(a{1000}){1000}"', "repeats too often"),
        (" or ".join(["output matches a"] * 17), "more than 16 patterns"),
        ("x" * 20_001, "at most 20,000"),
        ("é" * 1_000_000, "at most 20,000"),
        ("sort " + ", ".join(["op"] * 9), "at most 8 keys"),
        ("output = " + "9" * 19_000, "finite"),
    ],
    ids=lambda value: value[:20],
)
def test_a_bomb_in_words_is_refused(url: str, text: str, says: str) -> None:
    answer = send(url, api.CALLS_QUERY, {"project": PROJECT, "text": text})

    _refused(answer, "query", says)
    assert 0 <= answer.error["details"]["at"] <= len(text)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"sort": [{"field": "op"}] * 9}, "at most 8"),
        ({"filter": {"ids": ["c"] * 1001}}, "at most 1,000"),
        ({"filter": {"op": ["a"] * 1001}}, "at most 1,000"),
        ({"limit": 10**9}, "from 1 to 1,000"),
        ({"cursor": "a" * 10_000}, "cursor"),
        ({"columns": ["inputs"] * 100_000}, "columns"),
    ],
)
def test_the_rest_of_a_query_is_bounded(url: str, body: dict[str, Any], says: str) -> None:
    _refused(send(url, api.CALLS_QUERY, {"project": PROJECT, **body}), "query", says)


@pytest.mark.parametrize("depth", [1000, 100_000])
def test_json_deeper_than_a_stack_is_refused(url: str, depth: int) -> None:
    answer = ask(url, "POST", api.CALLS_QUERY, _deep(depth), JSON)

    assert answer.status == 400
    assert answer.error["message"]
    assert len(answer.body) < 2000


def test_what_is_just_let_through_is_answered(url: str) -> None:
    most = {"$and": [{"$or": [ONE] * 98}] * 5}
    patterns = {"$or": [_regex(f"(b|c|a)+e{n}*s") for n in range(16)]}
    values = {"$in": [FIELD, [{"$literal": "x" * 900} for _ in range(1000)]]}
    for expression in (_nested(31), most, patterns, values):
        answer = send(url, api.CALLS_QUERY, {"project": PROJECT, "query": {"$expr": expression}})
        assert answer.status == 200, answer.body[:300]


def _refused(answer: Answer, code: str, says: str) -> None:
    assert answer.status == 400, answer.body[:300]
    assert answer.error["code"] == code
    assert says in answer.error["message"]
    assert len(answer.body) < 5000
