"""Every route on its happy path: a real store, a real server, real HTTP."""

from __future__ import annotations

import base64
import re
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from asking import get, send

from kibitz.base import api, refs
from kibitz.base.version import __version__
from kibitz.testing import serving

PROJECT = "acme/bot"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
HTML = b"<script>alert(1)</script>"
CODE = refs.digest(msgspec.json.encode({"threshold": 0.5}))


def call(call_id: str, seconds: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": call_id,
        "trace_id": "t1",
        "op": "answer",
        "started_at": f"2026-03-01T12:00:{seconds:02}Z",
        "ended_at": f"2026-03-01T12:00:{seconds + 2:02}Z",
        "inputs": {"question": "why?"},
        "output": {"text": "because"},
        **fields,
    }


CALLS = [
    call("c1", 0),
    call("c2", 1, parent_id="c1", op="retrieve", kind="retriever"),
    call("c3", 5, trace_id="t3", exception={"type": "ValueError", "message": "no"}),
    {"id": "c4", "op": "answer", "started_at": "2026-03-01T12:00:30Z"},
    call("odd/id?#%;é".replace("é", "e"), 40, trace_id="t/4", op="<lambda>/x"),
]
JUDGEMENTS = [
    {
        "type": "runnable.grounded",
        "target_ref": refs.call_ref(PROJECT, call_id),
        "runnable_ref": f"kibitz:///{PROJECT}/object/grounded:{CODE}",
        "payload": {"output": {"score": score}},
        "author": "judge",
        "author_kind": "program",
    }
    for call_id, score in (("c1", 0.9), ("c2", 0.1), ("c3", 0.5))
]


def version(kind: str, name: str, value: dict[str, Any]) -> dict[str, Any]:
    """An object with the digest of its content."""
    canonical = msgspec.json.encode(value, order="sorted")
    return {"kind": kind, "name": name, "digest": refs.digest(canonical), "value": value}


OBJECTS = [
    version("op", "rag/answer", {"code": "def answer(): …", "b": 1, "a": 2}),
    version("op", "rag/answer", {"code": "v2"}),
    version("object", "grounded", {"threshold": 0.5}),
]
FILES = [
    {
        "digest": refs.digest(content),
        "media_type": kind,
        "content": base64.b64encode(content).decode(),
    }
    for content, kind in ((PNG, "image/png"), (HTML, "text/html"), (b"x", "bad\u2028type"))
]


@pytest.fixture(name="url", scope="module")
def _url(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    with serving.server(tmp_path_factory.mktemp("data")) as url:
        batch = {"calls": CALLS, "feedback": JUDGEMENTS, "objects": OBJECTS, "files": FILES}
        answer = send(url, api.INGEST, {"project": PROJECT, **batch})
        assert answer.status == 200
        assert {**answer.json, "feedback_ids": None} == {
            "calls": 5,
            "feedback": 3,
            "objects": 3,
            "files": 3,
            "feedback_ids": None,
        }
        assert len(set(answer.json["feedback_ids"])) == 3
        yield url


def read(url: str, path: str, **asked: str) -> Any:
    pairs = "".join(f"&{name}={quote(value, safe='')}" for name, value in asked.items())
    answer = get(url, f"{path}?project={quote(PROJECT, safe='')}{pairs}")
    assert answer.status == 200, answer.body
    return answer.json


def found(url: str, **asked: Any) -> list[str]:
    answer = send(url, api.CALLS_QUERY, {"project": PROJECT, **asked})
    assert answer.status == 200, answer.body
    return [each["id"] for each in answer.json["items"]]


ODD = CALLS[4]["id"]


@pytest.mark.parametrize(
    ("asked", "ids"),
    [
        ({}, [ODD, "c4", "c3", "c2", "c1"]),
        ({"limit": 2}, [ODD, "c4"]),
        ({"filter": {"op": "answer"}}, ["c4", "c3", "c1"]),
        ({"filter": {"op": ["retrieve", "<lambda>/x"]}}, [ODD, "c2"]),
        ({"filter": {"status": "error"}}, ["c3"]),
        ({"filter": {"status": "running"}}, ["c4"]),
        ({"filter": {"trace_id": "t1", "root_only": True}}, ["c1"]),
        ({"filter": {"parent_id": "c1"}}, ["c2"]),
        ({"filter": {"kind": "retriever"}}, ["c2"]),
        ({"filter": {"ids": ["c1", "c9", "c3"]}}, ["c3", "c1"]),
        ({"filter": {"since": "2026-03-01T12:00:05Z", "until": "2026-03-01T12:00:30Z"}}, ["c3"]),
        (
            {
                "query": {
                    "$expr": {
                        "$lt": [
                            {"$getField": "feedback.[runnable.grounded].payload.output.score"},
                            {"$literal": 0.6},
                        ]
                    }
                }
            },
            ["c3", "c2"],
        ),
        (
            {
                "filter": {"trace_id": "t1"},
                "sort": [
                    {
                        "field": "feedback.[runnable.grounded].payload.output.score",
                        "direction": "asc",
                    }
                ],
            },
            ["c2", "c1"],
        ),
    ],
)
def test_calls_are_found_by_question(url: str, asked: dict[str, Any], ids: list[str]):
    assert found(url, **asked) == ids


def test_pages_follow_each_other_to_the_end(url: str):
    seen: list[str] = []
    cursor = None
    while True:
        answer = send(url, api.CALLS_QUERY, {"project": PROJECT, "limit": 2, "cursor": cursor}).json
        seen += [each["id"] for each in answer["items"]]
        cursor = answer["next_cursor"]
        if cursor is None:
            break
    assert seen == found(url)


@pytest.mark.parametrize(
    ("asked", "ids"),
    [
        ({"text": ""}, [ODD, "c4", "c3", "c2", "c1"]),
        ({"text": "op = answer and status != running"}, ["c3", "c1"]),
        ({"text": "feedback.grounded.output.score < 0.6 sort op desc"}, ["c2", "c3"]),
        ({"text": "not feedback.grounded limit 1"}, [ODD]),
        ({"text": "sort by started_at limit 3", "limit": 2}, ["c1", "c2"]),
        ({"text": "sort by started_at limit 2", "limit": 3}, ["c1", "c2"]),
        ({"text": "feedback.[runnable.grounded].count > 0 and id in (c1, c4)"}, ["c1"]),
        (
            {
                "text": "feedback.grounded",
                "filter": {"op": "answer"},
                "query": {"$expr": {"$eq": [{"$getField": "status"}, {"$literal": "error"}]}},
            },
            ["c3"],
        ),
    ],
)
def test_calls_are_found_by_words(url: str, asked: dict[str, Any], ids: list[str]):
    assert found(url, **asked) == ids


def test_pages_of_words_have_one_now(url: str):
    asked: dict[str, Any] = {"project": PROJECT, "text": "started_at < now sort by id limit 2"}
    seen: list[str] = []
    while True:
        answer = send(url, api.CALLS_QUERY, asked)
        assert answer.status == 200, answer.body
        seen += [each["id"] for each in answer.json["items"]]
        if answer.json["next_cursor"] is None:
            break
        asked["cursor"] = answer.json["next_cursor"]
    assert seen == ["c1", "c2", "c3", "c4", ODD]


def test_calls_are_counted_by_words(url: str):
    asked = {"project": PROJECT, "filter": {"trace_id": "t1"}, "text": "feedback.grounded limit 1"}

    assert send(url, api.CALLS_COUNT, asked).json == {"count": 2, "exact": True}


def test_columns_come_when_they_are_asked_for(url: str):
    asked = {"project": PROJECT, "filter": {"ids": ["c1"]}}
    [narrow] = send(url, api.CALLS_QUERY, asked).json["items"]
    assert "inputs" not in narrow
    assert narrow["input_preview"]

    asked["columns"] = ["inputs", "scores"]
    [wide] = send(url, api.CALLS_QUERY, asked).json["items"]
    assert wide["inputs"] == {"question": "why?"}
    assert wide["scores"] == {"runnable.grounded": {"output.score": 0.9}}
    assert "output" not in wide


def test_calls_are_counted(url: str):
    assert send(url, api.CALLS_COUNT, {"project": PROJECT}).json == {"count": 5, "exact": True}
    bounded = send(
        url, api.CALLS_COUNT, {"project": PROJECT, "filter": {"op": "answer"}, "bound": 2}
    ).json
    assert bounded == {"count": 2, "exact": False}


@pytest.mark.parametrize("call_id", ["c1", ODD])
def test_one_call_is_whole(url: str, call_id: str):
    got = read(url, f"{api.CALLS}/{quote(call_id, safe='')}")

    assert (got["id"], got["inputs"], got["latency_ms"]) == (call_id, {"question": "why?"}, 2000)
    assert [each["type"] for each in got["feedback"]] == (
        ["runnable.grounded"] if call_id == "c1" else []
    )


def test_a_trace_is_in_order(url: str):
    assert [each["id"] for each in read(url, f"{api.TRACES}/t1")["calls"]] == ["c1", "c2"]
    assert [each["id"] for each in read(url, f"{api.TRACES}/t1", limit="1")["calls"]] == ["c1"]
    assert [each["id"] for each in read(url, f"{api.TRACES}/t%2F4")["calls"]] == [ODD]


def test_feedback_is_created_and_given_back_as_stored(url: str):
    before = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
    answer = send(
        url,
        api.FEEDBACK,
        {
            "project": PROJECT,
            "type": "note",
            "target_ref": refs.call_ref(PROJECT, "c4"),
            "payload": {"note": "look\u0000 here"},
            "author": "ada",
        },
    )

    assert answer.status == 201
    row = answer.json
    assert row["payload"] == {"note": "look\u2400 here"}
    assert (row["author"], row["author_kind"]) == ("ada", "person")
    assert datetime.fromisoformat(row["created_at"]) > before
    listed = send(url, api.FEEDBACK_QUERY, {"project": PROJECT, "author": "ada"}).json
    assert listed == {"items": [row], "next_cursor": None}


def test_feedback_of_an_id_is_created_once(url: str):
    given = {
        "project": "other",
        "id": "mine",
        "type": "reaction",
        "target_ref": "kibitz:///other/trace/later",
        "payload": {"emoji": "👍"},
        "created_at": "2026-01-02T03:04:05.678901Z",
    }
    first = send(url, api.FEEDBACK, given)
    second = send(url, api.FEEDBACK, given)

    assert (first.status, second.status) == (201, 201)
    assert first.json == second.json
    assert (first.json["id"], first.json["created_at"]) == ("mine", given["created_at"])
    assert len(send(url, api.FEEDBACK_QUERY, {"project": "other"}).json["items"]) == 1


def test_feedback_on_a_target_with_much_of_it_gives_the_new_row(url: str):
    def add(number: int) -> dict[str, Any]:
        target = "kibitz:///many/thread/t"
        given = {"type": "free", "target_ref": target, "payload": {"n": number}}
        return send(url, api.FEEDBACK, {"project": "many", **given}).json

    with ThreadPoolExecutor(8) as pool:
        rows = list(pool.map(add, range(60)))

    assert [row["payload"] for row in rows] == [{"n": number} for number in range(60)]
    assert len({row["id"] for row in rows}) == 60


def test_feedback_is_found_by_question(url: str):
    asked = {"project": PROJECT, "type": "runnable.grounded", "author": "judge"}
    first = send(url, api.FEEDBACK_QUERY, {**asked, "limit": 2}).json
    rest = send(url, api.FEEDBACK_QUERY, {**asked, "limit": 2, "cursor": first["next_cursor"]}).json
    on_one = send(
        url, api.FEEDBACK_QUERY, {**asked, "target_ref": refs.call_ref(PROJECT, "c2")}
    ).json

    assert len(first["items"]) == 2
    assert len(rest["items"]) == 1
    assert rest["next_cursor"] is None
    assert [row["payload"] for row in on_one["items"]] == [{"output": {"score": 0.1}}]


def test_what_feedback_says_is_a_column(url: str):
    columns = read(url, api.FEEDBACK_COLUMNS)["columns"]

    assert {
        "type": "runnable.grounded",
        "path": "output.score",
        "count": 3,
        "kinds": ["number"],
    } in columns


def test_projects_and_ops_are_counted(url: str):
    projects = get(url, api.PROJECTS).json["projects"]
    [mine] = [each for each in projects if each["name"] == PROJECT]
    assert (mine["calls"], mine["errors"], mine["running"]) == (5, 1, 1)

    assert read(url, api.OPS)["ops"] == [
        {"op": "answer", "calls": 3},
        {"op": "<lambda>/x", "calls": 1},
        {"op": "retrieve", "calls": 1},
    ]


def test_ops_are_rolled_up_by_day(url: str):
    days = read(url, api.OPS_DAILY)["days"]
    answer = next(each for each in days if each["op"] == "answer")

    assert answer["day"] == "2026-03-01"
    assert (answer["calls"], answer["errors"]) == (3, 1)
    assert read(url, api.OPS_DAILY, since="2026-03-01T00:00:00+00:00")["days"] == days
    assert read(url, api.OPS_DAILY, since="2026-03-02T00:00:00Z")["days"] == []


def test_objects_have_versions_whatever_their_name(url: str):
    quoted = quote("rag/answer", safe="")
    versions = read(url, f"{api.OBJECTS}/op/{quoted}")["versions"]
    assert [each["version"] for each in versions] == [1, 0]

    one = read(url, f"{api.OBJECTS}/op/{quoted}/{OBJECTS[0]['digest']}")
    assert one == versions[1]
    assert one["value"] == OBJECTS[0]["value"]
    assert get(url, f"{api.OBJECTS}/op/rag/answer?project={PROJECT}").status == 404
    [other] = read(url, f"{api.OBJECTS}/object/grounded")["versions"]
    assert other["value"] == {"threshold": 0.5}


def test_a_picture_is_shown_and_anything_else_is_a_download(url: str):
    picture = get(url, f"{api.FILES}/{refs.digest(PNG)}?project={PROJECT}")
    assert (picture.body, picture.headers["content-type"]) == (PNG, "image/png")
    assert "content-disposition" not in picture.headers

    page = get(url, f"{api.FILES}/{refs.digest(HTML)}?project={PROJECT}")
    assert (page.body, page.headers["content-type"]) == (HTML, "text/html")
    assert page.headers["content-disposition"].startswith("attachment")

    odd = get(url, f"{api.FILES}/{refs.digest(b'x')}?project={PROJECT}")
    assert odd.headers["content-type"] == "application/octet-stream"
    for answer in (picture, page, odd):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in answer.headers["content-security-policy"]
        assert "immutable" in answer.headers["cache-control"]


def test_the_server_says_that_it_lives(url: str):
    assert get(url, api.HEALTH).json == {"status": "ok", "version": __version__}


@pytest.mark.parametrize("path", ["/", api.PROJECTS, api.HEALTH, "/nothing", "/p/acme~bot/calls"])
def test_every_answer_carries_the_headers_that_keep_a_browser_safe(url: str, path: str):
    headers = get(url, path, Accept="text/html").headers

    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'")
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert "referrer-policy" in headers
    assert headers["cache-control"] in ("no-store", "private, no-cache")


def test_an_error_is_a_page_for_a_browser_and_json_for_a_program(url: str):
    page = get(url, "/p/acme~bot/calls/none", Accept="text/html")
    assert page.status == 404
    assert page.headers["content-type"].startswith("text/html")
    assert b"<h1" in page.body

    for answer in (
        get(url, f"{api.CALLS}/none?project=acme/bot", Accept="text/html"),
        get(url, "/p/acme~bot/calls/none"),
    ):
        assert (answer.status, answer.error["code"]) == (404, "not_found")


def test_answers_are_compressed_for_who_asks(url: str):
    asked = {"project": PROJECT, "columns": ["inputs", "output", "summary", "attributes"]}
    packed = send(url, api.CALLS_QUERY, asked, Accept_Encoding="gzip")
    plain = send(url, api.CALLS_QUERY, asked)

    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert len(packed.body) < len(plain.body)


def test_the_description_has_every_route_with_what_goes_in_and_out(url: str):
    document = get(url, api.OPENAPI).json

    assert set(document["paths"]) >= {
        api.INGEST,
        api.CALLS_QUERY,
        api.CALLS_COUNT,
        f"{api.CALLS}/{{call_id}}",
        f"{api.TRACES}/{{trace_id}}",
        api.FEEDBACK,
        api.FEEDBACK_QUERY,
        api.FEEDBACK_COLUMNS,
        api.PROJECTS,
        api.OPS,
        api.OPS_DAILY,
        f"{api.OBJECTS}/{{kind}}/{{name}}",
        f"{api.OBJECTS}/{{kind}}/{{name}}/{{digest}}",
        f"{api.FILES}/{{digest}}",
        api.HEALTH,
    }
    schemas = document["components"]["schemas"]
    names: set[str] = set()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            names.add(operation["operationId"])
            given = [each["name"] for each in operation.get("parameters", [])]
            in_path = re.findall(r"\{(\w+)\}", path)
            assert [each for each in given if each in in_path] == in_path
            assert operation["summary"].endswith((".", "order"))
            assert ("requestBody" in operation) == (method in ("post", "put")), path
            assert "default" in operation["responses"]
    assert len(names) == sum(map(len, document["paths"].values()))
    assert schemas["CallPart"]["properties"]["id"]["maxLength"] == 64
    assert "colour" not in schemas["CallPart"]["properties"]
    assert _dangling(document) == []


def _dangling(document: dict[str, Any]) -> list[str]:
    """References to schemas that are not there."""
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    missing: list[str] = []
    waiting: list[Any] = [document]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            if isinstance(each.get("$ref"), str) and each["$ref"] not in known:
                missing.append(each["$ref"])
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each
    return missing


def test_errors_keep_their_shape_after_the_description_was_read(url: str):
    get(url, api.OPENAPI)

    answer = get(url, f"{api.CALLS}/none?project=acme/bot")

    assert (answer.status, answer.error["code"]) == (404, "not_found")
