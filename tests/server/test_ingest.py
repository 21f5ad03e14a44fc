"""Ingest over HTTP: parts that cannot be stored do not cost the others, and a second delivery changes nothing."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from asking import get, send

from kibitz.base import api
from kibitz.base.records import Batch, CallPart
from kibitz.storage import sqlite
from kibitz.testing import serving


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


def call(call_id: str, **fields: Any) -> dict[str, Any]:
    return {
        "id": call_id,
        "op": "answer",
        "started_at": "2026-03-01T12:00:00Z",
        "ended_at": "2026-03-01T12:00:01Z",
        **fields,
    }


def reaction(target: str, **fields: Any) -> dict[str, Any]:
    return {
        "type": "reaction",
        "target_ref": f"kibitz:///p/call/{target}",
        "payload": {"emoji": "👍"},
        **fields,
    }


def ids_in(url: str) -> list[str]:
    found = send(url, api.CALLS_QUERY, {"project": "p", "limit": 1000}).json["items"]
    return sorted(each["id"] for each in found)


def test_what_the_wire_and_what_the_store_refuse_are_told_together_by_position(folder: Path):
    batch = {
        "project": "p",
        "calls": [
            call("a"),
            {"op": "no id"},
            call("b"),
            call("huge", output="x" * 2_000_000),
            call("c", started_at="noon"),
            call("d"),
        ],
        "feedback": [
            {"type": "reaction"},
            reaction("a"),
            reaction("a", payload={"emoji": "word"}),
            reaction("b"),
        ],
    }
    with serving.server(folder, max_call_bytes=1_000_000) as url:
        answer = send(url, api.INGEST, batch)

        assert answer.status == 200
        receipt = answer.json
        assert (receipt["calls"], receipt["feedback"]) == (3, 2)
        assert [(each["kind"], each["index"]) for each in receipt["rejected"]] == [
            ("call", 1),
            ("call", 3),
            ("call", 4),
            ("feedback", 0),
            ("feedback", 2),
        ]
        assert receipt["rejected"][1]["code"] == "too_large"
        assert receipt["rejected"][1]["id"] == "huge"
        assert all(each["message"] for each in receipt["rejected"])
        assert ids_in(url) == ["a", "b", "d"]
        assert len(receipt["feedback_ids"]) == 2


def test_a_second_delivery_changes_nothing(folder: Path):
    batch = {
        "project": "p",
        "calls": [call("a"), call("b")],
        "feedback": [reaction("a", id="f1", created_at="2026-03-01T12:00:02Z")],
    }
    with serving.server(folder) as url:
        first = send(url, api.INGEST, batch)
        before = (get(url, api.PROJECTS).json, ids_in(url))
        second = send(url, api.INGEST, batch)

        assert first.json == second.json
        assert (get(url, api.PROJECTS).json, ids_in(url)) == before
        assert len(send(url, api.FEEDBACK_QUERY, {"project": "p"}).json["items"]) == 1


def test_the_same_batches_at_once_from_many_are_stored_once(folder: Path):
    batches = [
        {"project": "p", "calls": [call(f"c{batch}-{n}") for n in range(20)]} for batch in range(5)
    ]
    with serving.server(folder) as url:
        start = threading.Barrier(8)

        def deliver(worker: int) -> set[int]:
            start.wait()
            turned = batches[worker % 5 :] + batches[: worker % 5]
            return {send(url, api.INGEST, batch).status for batch in turned}

        with ThreadPoolExecutor(8) as pool:
            statuses = set().union(*pool.map(deliver, range(8)))

        assert statuses == {200}
        assert len(ids_in(url)) == 100
        [project] = get(url, api.PROJECTS).json["projects"]
        assert project["calls"] == 100


def test_what_was_acknowledged_can_be_asked_for_at_once(folder: Path):
    with serving.server(folder) as url:
        for n in range(30):
            send(url, api.INGEST, {"project": "p", "calls": [call(f"c{n}")]})
            assert get(url, f"{api.CALLS}/c{n}?project=p").status == 200


def test_a_server_and_a_program_write_one_folder(folder: Path):
    with serving.server(folder) as url:
        beside = sqlite.open_store(folder)
        local = CallPart(id="local", op="o", started_at=datetime(2026, 1, 1, tzinfo=UTC))
        beside.ingest.write(Batch(project="p", calls=[local]))
        send(url, api.INGEST, {"project": "p", "calls": [call("remote")]})

        assert ids_in(url) == ["local", "remote"]
        assert beside.calls.get("p", "remote").id == "remote"
        beside.close()


HOSTILE = (
    "'; DROP TABLE calls; --",
    '"><script>alert(1)</script>',
    "{{7*7}} ${7*7} %s %n",
    "\u202egnp.exe",
    "../../../etc/passwd",
    "\U0001f4a9" * 50,
    "\u0000\u0001\u007f",
    "\ufeff\u2028\u2029",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_stored_as_text_or_refused(folder: Path, text: str):
    names = {
        name: text
        for name in ("op", "kind", "display_name", "thread_id", "author", "op_ref")
        if text.isprintable() or name == "op_ref"
    }
    given = call(
        "a",
        **{"op": "x", **names},
        inputs={text: [text]},
        output=text,
        attributes={text: text},
        exception={"type": text, "message": text, "traceback": []},
    )
    with serving.server(folder) as url:
        receipt = send(url, api.INGEST, {"project": "p", "calls": [given, call("b")]}).json
        rejected = [each["id"] for each in receipt.get("rejected", [])]
        if "a" not in rejected:
            stored = get(url, f"{api.CALLS}/a?project=p").json
            shown = text.replace("\0", "\u2400")
            assert stored["output"] == shown
            assert stored["inputs"] == {shown: [shown]}
            assert stored["exception"]["message"] == shown
        assert "b" in ids_in(url)
        page = get(url, "/p/p/calls/a", Accept="text/html")
        assert b"<script>alert" not in page.body
