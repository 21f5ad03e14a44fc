"""Every route, driven into its errors: they all have the one shape that `errors.py` promises.

{"error": {"code": "<word>", "message": "<sentence>", "details": {…}}}
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from asking import JSON, ask, get, raw, send

from kibitz.base import api
from kibitz.base.errors import (
    Conflict,
    KibitzError,
    QueryTimeout,
    StorageDamaged,
    StorageFull,
    Unavailable,
)
from kibitz.base.records import Batch, CallPart
from kibitz.base.settings import ServerSettings
from kibitz.server import errors, serving
from kibitz.storage import sqlite
from kibitz.testing import serving as testing

CALL = {
    "id": "c1",
    "op": "answer",
    "started_at": "2026-03-01T12:00:00Z",
    "ended_at": "2026-03-01T12:00:01Z",
}
READS = (
    f"{api.CALLS}/c1",
    f"{api.TRACES}/c1",
    api.FEEDBACK_COLUMNS,
    api.OPS,
    api.OPS_DAILY,
    f"{api.OBJECTS}/op/answer",
    f"{api.OBJECTS}/op/answer/{'0' * 40}",
    f"{api.FILES}/{'0' * 40}",
    api.VIEWS,
    f"{api.VIEWS}/worst",
    f"{api.EVALUATIONS}/e1",
    api.EVALUATIONS_PROGRESS,
    f"{api.CALLS}/c1/evaluations",
    f"{api.CALLS}/c1/record",
    api.RULES,
    f"{api.RULES}/new",
    api.DEFINITIONS,
    f"{api.DEFINITIONS}/brief/versions",
)
WRITES = (
    api.INGEST,
    api.CALLS_QUERY,
    api.CALLS_COUNT,
    api.FEEDBACK,
    api.FEEDBACK_QUERY,
    api.EVALUATIONS_FINISH,
    api.EVALUATIONS_QUERY,
    api.DEFINITIONS,
)


@pytest.fixture(name="url", scope="module")
def _url(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    with testing.server(
        tmp_path_factory.mktemp("data"), max_body_bytes=100_000, max_batch_items=10
    ) as url:
        assert send(url, api.INGEST, {"project": "p", "calls": [CALL]}).status == 200
        yield url


@pytest.mark.parametrize("path", READS)
def test_a_read_without_a_project_names_the_parameter(url: str, path: str):
    answer = get(url, path)

    assert (answer.status, answer.error["code"]) == (400, "usage")
    assert answer.error["details"] == {"field": "project"}


@pytest.mark.parametrize("path", READS)
def test_a_read_of_a_name_that_is_no_project_shows_it(url: str, path: str):
    answer = get(url, f"{path}?project=a%20b%2F%2Fc")

    assert (answer.status, answer.error["code"]) == (400, "usage")
    assert "'a b//c'" in answer.error["message"]


@pytest.mark.parametrize("path", READS)
def test_a_read_of_an_unknown_project_is_not_found(url: str, path: str):
    answer = get(url, f"{path}?project=nobody")

    assert (answer.status, answer.error["code"]) == (404, "not_found")
    assert "nobody" in answer.error["message"]


@pytest.mark.parametrize(
    "path",
    [
        f"{api.CALLS}/none?project=p",
        f"{api.TRACES}/none?project=p",
        f"{api.OBJECTS}/op/none?project=p",
        f"{api.OBJECTS}/op/none/{'0' * 40}?project=p",
        f"{api.OBJECTS}/model/none?project=p",
        f"{api.OBJECTS}/op?project=p",
        f"{api.FILES}/{'0' * 40}?project=p",
        f"{api.VIEWS}/none?project=p",
        "/api/v1/nothing",
        "/api/v2/projects",
        "/api",
        "/nothing",
    ],
)
def test_what_is_not_there_is_not_found(url: str, path: str):
    answer = get(url, path)

    assert (answer.status, answer.error["code"]) == (404, "not_found")


@pytest.mark.parametrize("path", WRITES)
@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "empty"),
        (b"{", "not JSON"),
        (b"[]", ""),
        (b"null", ""),
        (b'{"project": 7}', "7"),
        (b"{}", ""),
        (b'{"project": "p", "colour": "red"}', "colour"),
        (b'{"project": "../../etc"}', ""),
        (b'{"project": "p\x00"}', ""),
        (b"\xff\xfe{\x00}\x00", "not JSON"),
        (b"[" * 50_000, ""),
        (b'{"a":' * 10_000, ""),
    ],
)
def test_a_body_that_cannot_be_used_is_usage(url: str, path: str, body: bytes, said: str):
    answer = ask(url, "POST", path, body, JSON)

    assert answer.status == 400
    assert answer.error["code"] in {"usage", "query", "invalid_record"}
    assert said in answer.error["message"]


@pytest.mark.parametrize("path", WRITES)
@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Type": "application/json; charset=utf-16"},
        {"Content-Type": "application/json", "Content-Encoding": "br"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip, gzip"},
        {},
    ],
)
def test_a_body_of_another_kind_is_unsupported(url: str, path: str, headers: dict[str, str]):
    answer = ask(url, "POST", path, b'{"project": "p"}', headers)

    assert (answer.status, answer.error["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize("path", WRITES)
def test_a_body_over_the_limit_is_too_large(url: str, path: str):
    answer = ask(url, "POST", path, b" " * 100_001, JSON)

    assert (answer.status, answer.error["code"]) == (413, "too_large")
    assert answer.error["details"] == {"size": 100_001, "limit": 100_000}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", api.INGEST),
        ("PUT", api.INGEST),
        ("DELETE", f"{api.CALLS}/c1"),
        ("POST", api.PROJECTS),
        ("PATCH", api.FEEDBACK),
        ("DELETE", api.FEEDBACK),
        ("POST", api.HEALTH),
    ],
)
def test_a_method_that_an_address_does_not_take_is_said(url: str, method: str, path: str):
    answer = ask(url, method, path, b"{}" if method != "GET" else None, JSON)

    assert (answer.status, answer.error["code"]) == (405, "method_not_allowed")


@pytest.mark.parametrize(
    ("asked", "code", "at"),
    [
        ({"query": {"$expr": {"$like": []}}}, "query", "$expr"),
        ({"query": {"$expr": {"$eq": [{"$getField": "colour"}, {"$literal": 1}]}}}, "query", None),
        ({"query": []}, "query", None),
        ({"sort": [{"field": "started_at", "direction": "up"}]}, "query", "sort[0].direction"),
        ({"limit": 0}, "query", None),
        ({"limit": 1001}, "query", None),
        ({"limit": "ten"}, "query", None),
        ({"columns": ["secret"]}, "query", None),
        ({"filter": {"since": "yesterday"}}, "query", None),
        ({"filter": {"status": "odd", "colour": 1}}, "query", None),
        ({"cursor": "garbage"}, "query", None),
        ({"cursor": "00" * 3000}, "query", None),
    ],
)
def test_a_query_that_cannot_be_understood_says_where(
    url: str, asked: dict[str, Any], code: str, at: str | None
):
    answer = send(url, api.CALLS_QUERY, {"project": "p", **asked})

    assert (answer.status, answer.error["code"]) == (400, code)
    if at is not None:
        assert answer.error["details"]["at"].startswith(at)


@pytest.mark.parametrize("path", [api.CALLS_QUERY, api.CALLS_COUNT])
def test_words_that_cannot_be_understood_have_their_place(url: str, path: str):
    answer = send(url, path, {"project": "p", "text": "op = a and outptu = 1"})

    assert (answer.status, answer.error["code"]) == (400, "query")
    assert answer.error["message"].endswith("\n  op = a and outptu = 1\n             ^")
    assert answer.error["details"] == {
        "at": 11,
        "suggestion": "output",
        "says": "field 'outptu' is not known; did you mean 'output'?",
    }


@pytest.mark.parametrize(
    "asked",
    [
        {"text": 5},
        {"text": ["op = a"]},
        {"text": "(" * 20_000},
        {"text": "sort op", "sort": [{"field": "op"}]},
        {"text": "op = a", "cursor": "17.garbage"},
        {"text": "op = a", "cursor": "9" * 17 + "." + "00" * 3000},
        {"text": "op = a", "cursor": 5},
    ],
    ids=str,
)
def test_words_that_are_no_query_are_refused(url: str, asked: dict[str, Any]):
    answer = send(url, api.CALLS_QUERY, {"project": "p", **asked})

    assert (answer.status, answer.error["code"]) == (400, "query")


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"type": "note", "payload": {"note": "x"}}, "target_ref"),
        ({"type": "note", "target_ref": "nonsense", "payload": {"note": "x"}}, "target_ref"),
        (
            {"type": "note", "target_ref": "kibitz:///other/call/c1", "payload": {"note": "x"}},
            "target_ref",
        ),
        (
            {"type": "reaction", "target_ref": "kibitz:///p/call/c1", "payload": {"emoji": "no"}},
            "payload.emoji",
        ),
        ({"type": 7, "target_ref": "kibitz:///p/call/c1", "payload": {}}, "type"),
        (
            {
                "type": "runnable.x",
                "target_ref": "kibitz:///p/call/c1",
                "payload": {"output": 1},
                "runnable_ref": "kibitz:///p/object/y:" + "0" * 40,
            },
            "runnable_ref",
        ),
    ],
)
def test_feedback_that_breaks_a_rule_names_the_field(url: str, given: dict[str, Any], field: str):
    answer = send(url, api.FEEDBACK, {"project": "p", **given})

    assert answer.status == 400
    assert answer.error["code"] in {"usage", "invalid_record"}
    assert answer.error["details"]["field"] == field


@pytest.mark.parametrize("since", ["yesterday", "2026-01-01", "2026-01-01T00:00:00", "1e9", ""])
def test_a_time_that_is_none_is_shown(url: str, since: str):
    answer = get(url, f"{api.OPS_DAILY}?project=p&since={since}")

    assert (answer.status, answer.error["details"]) == (400, {"field": "since"})


@pytest.mark.parametrize("limit", ["0", "-1", "x", "1.5", "50001", "9" * 400])
def test_a_limit_out_of_range_is_usage(url: str, limit: str):
    answer = get(url, f"{api.TRACES}/c1?project=p&limit={limit}")

    assert (answer.status, answer.error["code"]) == (400, "usage")
    assert "limit" in answer.error["message"]


class Failing:
    """A store of which every part fails alike."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *given: object, **named: object) -> Any:
        raise self._error


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Unavailable("the store is busy", retry_after_s=7), 503, "unavailable"),
        (QueryTimeout("stopped after 1 s", limit_s=1), 504, "query_timeout"),
        (StorageFull("the disk is full"), 507, "storage_full"),
        (Conflict("the id is taken"), 409, "conflict"),
        (StorageDamaged("bad page in /secret/place", path="/secret/place"), 500, "storage_damaged"),
        (KibitzError("the store /secret/place is closed"), 500, "internal"),
        (RuntimeError("secret"), 500, "internal"),
        (sqlite3.OperationalError("secret"), 500, "internal"),
        (RecursionError("secret"), 500, "internal"),
        (MemoryError("secret"), 500, "internal"),
    ],
)
def test_a_failing_store_is_said_without_its_inside(error: Exception, status: int, code: str):
    listening = serving.listen(ServerSettings(port=0))
    stop, ready = threading.Event(), threading.Event()
    store: Any = Failing(error)
    thread = threading.Thread(
        target=listening.serve, args=(store,), kwargs={"stop": stop, "ready": ready.set}
    )
    thread.start()
    ready.wait(10)
    try:
        answers = [
            get(listening.url, f"{path}?project=p")
            for path in READS
            if not path.startswith(f"{api.OBJECTS}/model")
        ]
        answers.append(get(listening.url, api.PROJECTS))
        claim = {"worker": "w", "limit": 1, "lease_s": 1}
        answers.append(send(listening.url, api.EVALUATIONS_CLAIM, claim))
        for path, body in {
            api.INGEST: {},
            api.CALLS_QUERY: {},
            api.CALLS_COUNT: {},
            api.FEEDBACK_QUERY: {},
            api.FEEDBACK: {"type": "t", "target_ref": "kibitz:///p/call/c", "payload": {}},
            api.EVALUATIONS_FINISH: {"outcomes": []},
            api.EVALUATIONS_RECORDS: {"call_ids": ["c"]},
            api.RECORDS_SELECT: {"call_id": "c", "lens": "main_input"},
        }.items():
            answers.append(send(listening.url, path, {"project": "p", **body}))
    finally:
        stop.set()
        thread.join(10)

    for answer in answers:
        assert (answer.status, answer.error["code"]) == (status, code)
        assert "secret" not in answer.body.decode()
        assert ("retry-after" in answer.headers) == (status == 503)
    if status == 503:
        assert answers[0].headers["retry-after"] == "7"


def test_a_query_over_its_time_is_a_timeout_and_the_server_lives(tmp_path: Path):
    store = sqlite.open_store(tmp_path / "data")
    now = datetime(2026, 1, 1, tzinfo=UTC)
    store.ingest.write(
        Batch(
            project="p",
            calls=[
                CallPart(
                    id=f"c{n}",
                    op="o",
                    started_at=now,
                    ended_at=now,
                    inputs={"t": "x" * 500 + str(n)},
                )
                for n in range(3000)
            ],
        )
    )
    store.close()
    slow = {
        "project": "p",
        "query": {
            "$expr": {
                "$and": [
                    {
                        "$not": [
                            {
                                "$contains": {
                                    "input": {"$getField": "inputs"},
                                    "substr": {"$literal": f"{n}y"},
                                }
                            }
                        ]
                    }
                    for n in range(60)
                ]
            }
        },
        "sort": [{"field": "inputs.t"}],
    }
    with testing.server(tmp_path / "data", query_timeout_s=0.001) as url:
        answer = send(url, api.CALLS_QUERY, slow)
        assert (answer.status, answer.error["code"]) == (504, "query_timeout")
        assert get(url, api.HEALTH).status == 200


@pytest.mark.parametrize(
    "request_",
    [
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 1_000_000 + b"\r\n\r\n",
        b"POST /api/v1/ingest HTTP/1.1\r\nHost: localhost\r\nContent-Length: abc\r\n\r\n",
        b"POST /api/v1/ingest HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        b"GET /api/v1/calls/%FF%FE?project=%FF HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /api/v1/calls/..%2F..%2Fetc%2Fpasswd?project=p HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /static/..%2Fapp.py HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /static/../app.py HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
)
def test_requests_that_are_not_http_or_reach_for_files_leave_the_server_unharmed(
    url: str, request_: bytes
):
    received = raw(url, request_)

    assert b" 200 " not in received.partition(b"\r\n")[0]
    assert b"Traceback" not in received
    assert get(url, api.HEALTH).status == 200


def test_every_code_of_our_errors_has_a_status():
    for kind in _tree(KibitzError):
        status, info, _ = errors.describe(kind("what was wrong"))
        assert 400 <= status < 600
        assert info.code in {kind.code, "internal"}


def _tree(kind: type[KibitzError]) -> list[type[KibitzError]]:
    return [kind, *(each for child in kind.__subclasses__() for each in _tree(child))]
