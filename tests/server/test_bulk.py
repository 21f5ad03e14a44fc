"""Actions on all calls and exports, as HTTP sees them."""

from __future__ import annotations

import gzip
import http.client
import io
import json
import zipfile
from collections.abc import Generator
from pathlib import Path

import pytest
from asking import JSON, ask, send

from kibitz.base import api
from kibitz.export import streams
from kibitz.testing import serving

TIME = "2026-05-01T10:00:00Z"


@pytest.fixture(name="url")
def _url(tmp_path: Path) -> Generator[str]:
    with serving.server(tmp_path) as url:
        calls = [
            {"id": f"c{n}", "op": "odd" if n % 2 else "even", "started_at": TIME} for n in range(6)
        ]
        assert send(url, api.INGEST, {"project": "p", "calls": calls}).status == 200
        yield url


def test_more_than_were_expected_are_a_conflict_with_the_number(url: str) -> None:
    answer = send(url, api.CALLS_BULK_DELETE, {"project": "p", "text": "op = odd", "expected": 2})

    assert answer.status == 409
    assert answer.error["code"] == "conflict"
    assert answer.error["details"] == {"count": 3, "expected": 2}


def test_filter_query_and_text_hold_together(url: str) -> None:
    equal = {"$expr": {"$eq": [{"$getField": "op"}, {"$literal": "odd"}]}}
    asked = {
        "project": "p",
        "query": equal,
        "filter": {"ids": ["c1", "c2", "c3"]},
        "text": "id != c1",
    }

    assert send(url, api.CALLS_BULK_COUNT, asked).json == {"calls": 1, "feedback": 0}


@pytest.mark.parametrize(
    "wrong",
    [
        {"expected": 1, "text": "op = odd limit 1"},
        {"expected": -1},
        {},
        {"expected": 1, "everything": True},
        {"expected": 1, "cursor": "cafe"},
    ],
)
def test_what_is_not_understood_deletes_nothing(url: str, wrong: dict[str, object]) -> None:
    answer = send(url, api.CALLS_BULK_DELETE, {"project": "p", **wrong})

    assert answer.status == 400
    assert send(url, api.CALLS_BULK_COUNT, {"project": "p"}).json["calls"] == 6


def test_an_export_is_sent_in_pieces_with_a_name(url: str) -> None:
    answer = send(url, api.EXPORT, {"project": "p"})

    assert answer.status == 200
    assert answer.headers["transfer-encoding"] == "chunked"
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    assert answer.headers["content-disposition"] == 'attachment; filename="p.jsonl"'
    kinds = [next(iter(json.loads(line))) for line in answer.body.splitlines()]
    assert kinds == ["export", *["call"] * 6, "end"]


def test_an_export_of_tables_is_a_zip(url: str) -> None:
    answer = send(url, api.EXPORT, {"project": "p", "format": "csv", "text": "op = odd"})

    assert answer.headers["content-disposition"] == 'attachment; filename="p.zip"'
    with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
        assert archive.testzip() is None
        assert archive.read("calls.csv").count(b"\r\n") == 4


def test_an_export_may_be_packed_on_its_way(url: str) -> None:
    body = json.dumps({"project": "p"}).encode()

    answer = ask(url, "POST", api.EXPORT, body, {**JSON, "Accept-Encoding": "gzip"})

    assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(answer.body).endswith(b"}}\n")


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"project": "nobody"}, 404),
        ({"project": "p", "format": "xml"}, 400),
        ({"project": "p", "text": "op ="}, 400),
        ({"project": "p", "tables": "calls"}, 400),
    ],
)
def test_what_cannot_be_exported_is_an_error_before_anything_is_sent(
    url: str, asked: dict[str, object], status: int
) -> None:
    answer = send(url, api.EXPORT, asked)

    assert answer.status == status
    assert answer.error["message"]


def test_an_export_that_fails_on_its_way_is_no_whole_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object, **__: object) -> Generator[bytes]:
        yield b"some"
        raise OSError("the disk is gone")

    monkeypatch.setattr(streams, "stream", failing)
    with serving.server(tmp_path) as url, pytest.raises(http.client.IncompleteRead):
        send(url, api.EXPORT, {"project": "p"})
