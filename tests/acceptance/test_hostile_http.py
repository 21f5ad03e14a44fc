"""A real server under everything that a client can send: an answer in the one shape, never its own fault, and it lives on.

Every body that the API takes is sent with each of its places replaced by each of the hostile values; every
address is asked with hostile names. What one of them might have left behind would show in the lists and
pages, which are read at the end.
"""

from __future__ import annotations

import copy
import gzip
import json
import socket
import zlib
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import markup
import msgspec
import pytest
import versions
import zstandard
from asking import JSON, Answer, ask, get, raw, send

from kibitz.testing.serving import ServerProcess

pytestmark = pytest.mark.processes

EVIL = "</script><script>evil()</script>\"'><img src=x onerror=evil()><a href='javascript:evil()'>{{7*7}}"
SQL = "'); DROP TABLE calls; --"
DIGEST = "0" * 40
SCORER = versions.version("object", "x")
CALL = {
    "id": "c1",
    "trace_id": "t1",
    "parent_id": "p1",
    "op": "answer",
    "op_ref": f"kibitz:///p/op/answer:{DIGEST}",
    "kind": "llm",
    "display_name": "name",
    "thread_id": "thread",
    "author": "me",
    "started_at": "2026-03-01T12:00:00Z",
    "ended_at": "2026-03-01T12:00:01Z",
    "inputs": {"question": "why?"},
    "output": {"text": "because"},
    "attributes": {"a": 1},
    "summary": {"usage": {"gpt": {"input_tokens": 1}}},
    "exception": {
        "type": "ValueError",
        "message": "no",
        "traceback": [{"file": "f.py", "line": 1, "function": "f", "text": "f()"}],
        "cause": {"type": "KeyError", "message": "k"},
    },
}
NOTE = {
    "id": "f1",
    "type": "note",
    "target_ref": "kibitz:///p/call/c1",
    "payload": {"note": "good"},
    "author": "me",
    "author_kind": "person",
    "created_at": "2026-03-01T12:00:02Z",
}
RUNNABLE = {
    "type": "runnable.x",
    "target_ref": "kibitz:///p/call/c1",
    "payload": {"output": {"score": 0.5}},
    "author_kind": "program",
    "runnable_ref": versions.ref("p", SCORER),
    "call_ref": "kibitz:///p/call/c2",
    "trigger_ref": "kibitz:///p/call/c3",
}
QUERY = {
    "project": "p",
    "filter": {
        "op": "answer",
        "status": ["success", "error"],
        "trace_id": "t1",
        "parent_id": "p1",
        "thread_id": "thread",
        "kind": "llm",
        "root_only": False,
        "since": "2020-01-01T00:00:00Z",
        "until": 4_000_000_000_000_000,
        "ids": ["c1"],
    },
    "query": {
        "$expr": {
            "$and": [
                {"$eq": [{"$getField": "inputs.question"}, {"$literal": "why?"}]},
                {"$not": [{"$in": [{"$getField": "op"}, [{"$literal": "x"}]]}]},
                {
                    "$or": [
                        {"$gte": [{"$getField": "latency_ms"}, {"$literal": 0.5}]},
                        {
                            "$contains": {
                                "input": {"$getField": "output"},
                                "substr": {"$literal": "because"},
                                "case_insensitive": True,
                            }
                        },
                        {"$exists": {"$getField": "feedback.[runnable.x].payload.output.score"}},
                        {"$lt": [{"$size": {"$getField": "output"}}, {"$literal": 3}]},
                        {
                            "$eq": [
                                {"$convert": {"input": {"$getField": "output"}, "to": "number"}},
                                {"$literal": 3},
                            ]
                        },
                        {
                            "$regex": {
                                "input": {"$getField": "output"},
                                "pattern": {"$literal": "bec.*e"},
                                "case_insensitive": False,
                            }
                        },
                    ]
                },
            ]
        }
    },
    "sort": [{"field": "feedback.[runnable.x].payload.output.score", "direction": "desc"}],
    "limit": 10,
    "cursor": None,
    "columns": ["inputs", "feedback"],
}
BODIES: dict[str, list[dict[str, Any]]] = {
    "/api/v1/ingest": [
        {
            "project": "p",
            "calls": [CALL],
            "feedback": [NOTE, RUNNABLE],
            "objects": [{"kind": "object", "name": "x", "digest": DIGEST, "value": {"a": 1}}],
            "files": [{"digest": DIGEST, "media_type": "text/plain", "content": "YQ=="}],
        }
    ],
    "/api/v1/calls/query": [QUERY],
    "/api/v1/calls/count": [
        {"project": "p", "filter": QUERY["filter"], "query": QUERY["query"], "bound": 5}
    ],
    "/api/v1/calls/complete": [
        {"project": "p", "text": text, "cursor": 5}
        for text in ("op = answer and feedback.", "feedback.x.output.", "inputs.", 'op = "a')
    ],
    "/api/v1/feedback": [{"project": "p", **NOTE}, {"project": "p", **RUNNABLE}],
    "/api/v1/feedback/query": [
        {
            "project": "p",
            "type": "note",
            "target_ref": "kibitz:///p/call/c1",
            "author": "me",
            "limit": 5,
            "cursor": None,
        }
    ],
}
VALUES: list[Any] = [
    None,
    True,
    -1,
    0,
    10**30,
    -(2**63),
    1e308,
    "",
    EVIL,
    SQL,
    "a\0b",
    "\x1b[31m\r\nX-Evil: 1",
    "é\u202e\U0010ffff",
    "x" * 100_000,
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59.999999-14:00",
    "../../../../etc/passwd",
    "kibitz:///p/call/" + "a" * 5000,
    [],
    {},
    [None],
    {"$expr": 1},
    {"": {"": 1}},
    [[[[[]]]]],
]
AS_WRITTEN = [
    b"NaN",
    b"Infinity",
    b"1e999",
    b"-0",
    b"01",
    b'"\\ud800"',
    b'"\xff"',
    b"[" * 2000,
    b"9" * 5000,
]
"""What JSON cannot say, put where a value stands."""


@pytest.fixture(name="server", scope="module")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Generator[ServerProcess]:
    folder: Path = tmp_path_factory.mktemp("http") / "data"
    with ServerProcess(folder, environment=[("KIBITZ_MAX_BODY_BYTES", "2000000")]) as server:
        # Every test may come first: the project that they ask about is there, with what feedback may name.
        calls = [{**CALL, "id": each} for each in ("c1", "c2", "c3")]
        there = {"project": "p", "calls": calls, "objects": [msgspec.to_builtins(SCORER)]}
        assert send(server.url, "/api/v1/ingest", there).status == 200
        yield server


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    entries = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, inner in entries:
        yield from _places(inner, (*path, key))


def _replaced(body: Any, path: tuple[Any, ...], value: Any) -> Any:
    changed = copy.deepcopy(body)
    at = changed
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return changed


def _check(answer: Answer, what: object) -> None:
    if answer.status >= 400:
        assert answer.status < 500, (what, answer.body[:500])
        assert answer.error["code"] != "internal", what
        # A message names the value, and not all of it.
        assert len(answer.body) < 20_000, (what, len(answer.body))
    else:
        assert answer.status in (200, 201), (what, answer.status)
    assert "x-evil" not in answer.headers, what


def _lives(server: ServerProcess) -> None:
    """What was stored can be read, in every list and on every page, and nothing of it is markup."""
    projects = get(server.url, "/api/v1/projects")
    assert projects.status == 200
    for name in [each["name"] for each in projects.json["projects"]]:
        seen = 0
        cursor = None
        while True:
            asked = {
                "project": name,
                "limit": 100,
                "cursor": cursor,
                "columns": ["inputs", "output", "feedback"],
            }
            page = send(server.url, "/api/v1/calls/query", asked)
            assert page.status == 200, page.body[:500]
            for call in page.json["items"]:
                seen += 1
                if seen % 7 == 0:
                    at = quote(call["id"], safe="")
                    assert (
                        get(server.url, f"/api/v1/calls/{at}?project={quote(name)}").status == 200
                    )
                    _page(server, f"/p/{name.replace('/', '~')}/calls/{at}")
            cursor = page.json["next_cursor"]
            if cursor is None:
                break
        for path in ("feedback/columns", "ops", "ops/daily"):
            assert get(server.url, f"/api/v1/{path}?project={quote(name)}").status == 200
        for path in ("calls", "feedback"):
            _page(server, f"/p/{name.replace('/', '~')}/{path}")
    _page(server, "/")
    assert server.log == ""


def _page(server: ServerProcess, path: str) -> None:
    shown = get(server.url, path, Accept="text/html")
    assert shown.status == 200, (path, shown.body[:500])
    document = markup.read(shown.body)
    for element in document.walk():
        assert element.tag != "script" or "evil" not in element.raw_text
        assert element.attributes.get("src") != "x"
        for attribute, value in element.attributes.items():
            assert not attribute.startswith("on"), (path, element)
            assert not value.strip().lower().startswith("javascript:"), (path, element)


@pytest.mark.parametrize("address", BODIES)
def test_a_body_with_anything_anywhere_is_answered(server: ServerProcess, address: str):
    stored = refused = 0
    for body in BODIES[address]:
        assert send(server.url, address, body).status in (200, 201), body
        for number, path in enumerate(_places(body)):
            # Each place gets a third of the values, another third than its neighbours.
            for value in VALUES[number % 3 :: 3]:
                changed = _replaced(body, path, value)
                if path[:2] == ("calls", 0) and path[2:] not in ((), ("id",)):
                    # A call of its own, for the next would be merged into the first.
                    changed["calls"][0]["id"] = f"c{number}-{VALUES.index(value)}"
                answer = send(server.url, address, changed)
                _check(answer, (path, value))
                stored += answer.status < 400
                refused += answer.status >= 400
            text = json.dumps(_replaced(body, path, "@@")).encode()
            raw_value = AS_WRITTEN[number % len(AS_WRITTEN)]
            _check(
                ask(server.url, "POST", address, text.replace(b'"@@"', raw_value), JSON),
                (path, raw_value),
            )
            named = _replaced(body, path, 1)
            at = named
            for key in path[:-1]:
                at = at[key]
            if isinstance(at, dict):
                at[EVIL] = at.pop(path[-1])
                _check(send(server.url, address, named), (path, "key"))
    assert stored > 5
    assert refused > 10
    _lives(server)


READS = (
    "/api/v1/calls/{}?project={}",
    "/api/v1/traces/{}?project={}",
    "/api/v1/traces/t1?project=p&limit={}",
    "/api/v1/feedback/columns?project={}",
    "/api/v1/ops?project={}",
    "/api/v1/ops/daily?project=p&since={}",
    "/api/v1/objects/op/{}?project=p",
    "/api/v1/objects/{}/x/" + DIGEST + "?project=p",
    "/api/v1/objects/object/{}/{}?project=p",
    "/api/v1/files/{}?project=p",
    "/static/{}",
    "/{}",
    "/api/v1/{}",
)
PAGES = (
    "/p/{}/calls",
    "/p/p/calls/{}",
    "/p/{}/feedback",
    "/p/p/calls?op={}&q={}&status={}&sort={}&cursor={}&where={}",
    "/p/p/feedback?type={}&author={}",
    "/login?next={}",
)
NAMES = [
    *(value for value in VALUES if isinstance(value, str) and value),
    "-1",
    "9" * 400,
    "%",
    "%2e%2e/%2e%2e/etc/passwd",
    "..%2f..%2f..%2fetc%2fpasswd",
    "//evil.example",
    "\\\\evil.example",
    "..",
    ".",
    "~",
    "%00",
    "con",
]


def test_every_address_is_answered_whatever_is_in_it(server: ServerProcess):
    send(server.url, "/api/v1/ingest", BODIES["/api/v1/ingest"][0])
    for name in NAMES:
        name = name[:20_000]
        for form in READS:
            for written in {quote(name, safe=""), quote(name, safe="/%")}:
                address = form.replace("{}", written)
                answer = get(server.url, address)
                _check(answer, address[:200]) if answer.status >= 400 or "json" in answer.headers[
                    "content-type"
                ] else None
                assert b"root:" not in answer.body
        for form in PAGES:
            address = form.replace("{}", quote(name, safe=""))
            shown = get(server.url, address, Accept="text/html")
            assert shown.status < 500, (address[:200], shown.body[:300])
            assert "location" not in shown.headers or shown.headers["location"].startswith("/")
            for element in markup.read(shown.body).walk():
                assert element.attributes.get("src") != "x", address[:200]
                assert not any(attribute.startswith("on") for attribute in element.attributes)
    _lives(server)


def test_bodies_that_lie_about_themselves_are_refused(server: ServerProcess):
    body = json.dumps(BODIES["/api/v1/ingest"][0]).encode()
    packed = gzip.compress(body)
    bomb = gzip.compress(bytes(50_000_000))
    twice = zstandard.compress(zstandard.compress(bytes(50_000_000)))
    for content, headers in [
        (bomb, {"Content-Encoding": "gzip"}),
        (bomb + bomb, {"Content-Encoding": "gzip"}),
        (gzip.compress(bomb), {"Content-Encoding": "gzip"}),
        (zstandard.compress(bytes(50_000_000)), {"Content-Encoding": "zstd"}),
        (twice, {"Content-Encoding": "zstd"}),
        (packed[:-4], {"Content-Encoding": "gzip"}),
        (packed[: len(packed) // 2], {"Content-Encoding": "gzip"}),
        (packed, {"Content-Encoding": "zstd"}),
        (packed, {}),
        (packed, {"Content-Encoding": "gzip, gzip"}),
        (zlib.compress(body), {"Content-Encoding": "deflate"}),
        (body, {"Content-Encoding": "br"}),
        (body, {"Content-Encoding": "x" * 5000}),
        (body, {"Content-Type": "text/plain"}),
        (body, {"Content-Type": "application/x-www-form-urlencoded"}),
        (body, {"Content-Type": "application/json; charset=utf-16"}),
        (body.decode().encode("utf-16"), {}),
        (b"\xef\xbb\xbf" + body, {}),
        (body[:-1], {}),
        (body + body, {}),
        (b"", {}),
        (b"null", {}),
        (b"[" * 500_000, {}),
        (b'{"a":' * 300_000, {}),
        (b" " * 3_000_000, {}),
        (b'{"project": "p", "project": "p", "calls": 7}', {}),
    ]:
        answer = ask(server.url, "POST", "/api/v1/ingest", content, {**JSON, **headers})
        assert 400 <= answer.status < 500, (content[:50], headers, answer.status, answer.body[:200])
        _check(answer, (content[:50], headers))
    _lives(server)


def test_values_deeper_than_any_stack_are_stored_or_refused_and_shown(server: ServerProcess):
    outcomes: set[int] = set()
    for levels in (50, 64, 100, 200, 400, 600, 800, 900, 950, 990, 1100, 5000):
        for opening, closing in (("[", "]"), ('{"k":', "}"), ('{"$type":"set","value":[', "]}")):
            value = opening * levels + "1" + closing * levels
            call = {key: CALL[key] for key in ("op", "started_at", "ended_at")}
            text = json.dumps(
                {
                    "project": "deep",
                    "calls": [
                        {
                            "id": f"d{levels}{len(opening)}",
                            **call,
                            "inputs": {"v": "@@"},
                            "output": "@@",
                        }
                    ],
                }
            )
            answer = ask(
                server.url, "POST", "/api/v1/ingest", text.replace('"@@"', value).encode(), JSON
            )
            _check(answer, levels)
            outcomes.add(answer.status)
            feedback = json.dumps(
                {
                    "project": "deep",
                    **NOTE,
                    "id": f"f{levels}{len(opening)}",
                    "type": "free",
                    "target_ref": f"kibitz:///deep/call/d{levels}{len(opening)}",
                    "payload": {"v": "@@"},
                }
            )
            _check(
                ask(
                    server.url,
                    "POST",
                    "/api/v1/feedback",
                    feedback.replace('"@@"', value).encode(),
                    JSON,
                ),
                levels,
            )
            query = opening * levels + "1" + closing * levels
            asked = '{"project":"deep","query":{"$expr":' + query + "}}"
            assert (
                ask(server.url, "POST", "/api/v1/calls/query", asked.encode(), JSON).status == 400
            )
    assert outcomes == {200, 400}
    for place in (
        "inputs.v",
        "output.k.k.k",
        "inputs.v.0.0",
        "feedback.[free].payload.v",
    ):
        asked = {
            "project": "deep",
            "query": {"$expr": {"$exists": {"$getField": place}}},
            "sort": [{"field": place}],
        }
        assert send(server.url, "/api/v1/calls/query", asked).status == 200
    asked = {
        "project": "deep",
        "query": {
            "$expr": {
                "$contains": {"input": {"$getField": "inputs"}, "substr": {"$literal": "zzz"}}
            }
        },
    }
    assert send(server.url, "/api/v1/calls/query", asked).json["items"] == []
    _lives(server)


def test_connections_that_never_finish_keep_nobody_waiting(server: ServerProcess):
    """Heads and bodies that begin and do not go on, more of them than the server has threads."""
    host, _, port = server.url.removeprefix("http://").partition(":")
    waiting: list[socket.socket] = []
    try:
        for number in range(120):
            connection = socket.create_connection((host, int(port)), timeout=10)
            waiting.append(connection)
            beginning = (
                b"POST /api/v1/ingest HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                b"Content-Length: 500\r\n\r\n{"
            )
            connection.sendall(beginning[: 20 + number] if number % 2 else beginning)
        body = BODIES["/api/v1/ingest"][0]
        for _ in range(20):
            assert send(server.url, "/api/v1/ingest", body).status == 200
        _lives(server)
    finally:
        for connection in waiting:
            connection.close()
    assert get(server.url, "/health").status == 200


def test_requests_one_after_another_on_a_connection_are_not_mixed_up(server: ServerProcess):
    """A body that looks like a request is a body."""
    inner = b"GET /api/v1/projects HTTP/1.1\r\nHost: localhost\r\n\r\n"
    head = b"POST /api/v1/ingest HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    for request in (
        head + b"Content-Length: %d\r\n\r\n" % len(inner) + inner,
        head + b"Content-Length: 0\r\nContent-Length: %d\r\n\r\n" % len(inner) + inner,
        head + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + inner,
        head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(inner) + inner + b"\r\n0\r\n\r\n",
        head + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n" + inner,
        head + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(inner) + inner,
    ):
        received = raw(server.url, request)
        assert received.count(b"HTTP/1.1 200") <= 1, (request, received)
        assert b" 500 " not in received
    _lives(server)
