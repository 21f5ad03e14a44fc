"""What is different about evaluations that are reached over HTTP: limits of a request, answers in parts, names."""

from __future__ import annotations

import socket
import threading
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from evaluated import definition, ref_of
from hostile import hostile, read_request, response

from kibitz.base import api, evaluation_api
from kibitz.base.errors import NotFound, QueryError, TooLarge, Unavailable, UsageError
from kibitz.base.evaluations import Claim, EvaluationPart, Invocation, NewRule, RunOutcome
from kibitz.base.records import Batch, CallPart, ObjectPart, Receipt
from kibitz.client.http import Connection
from kibitz.client.reading import RemoteStore
from kibitz.testing import serving

PROJECT = "acme/bot"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PART = definition()
REF = ref_of(PART, PROJECT)


@pytest.fixture(name="store")
def _store(tmp_path: Path) -> Generator[RemoteStore]:
    with serving.server(tmp_path / "data", max_body_bytes=200_000) as url:
        store = RemoteStore(Connection(url))
        yield store
        store.close()


def fill(store: RemoteStore, calls: int) -> list[Claim]:
    """Store calls, want them evaluated, and claim that."""
    parts = [
        CallPart(id=f"c{n}", op="o", started_at=NOW, ended_at=NOW, output="x" * 1000)
        for n in range(calls)
    ]
    batch = Batch(project=PROJECT, calls=parts, objects=[msgspec.convert(PART, ObjectPart)])
    assert store.ingest.write(batch).rejected == []
    assert store.evaluations.want(PROJECT, [REF], None).wanted == calls
    return store.evaluations.claim("w", limit=calls, lease_s=60)


def outcome(claim: Claim, size: int) -> RunOutcome:
    said = Invocation(arguments={"text": "x" * size}, output=1.0)
    return RunOutcome(
        part=EvaluationPart(
            id=claim.run_id,
            definition_ref=claim.definition_ref,
            call_id=claim.call_id,
            status="done",
            output=1.0,
            invocations=[said],
        )
    )


def test_outcomes_over_the_limit_of_a_request_are_sent_in_parts(store: RemoteStore) -> None:
    claims = fill(store, 9)

    taken = store.evaluations.finish(PROJECT, [outcome(each, 50_000) for each in claims])

    assert sorted(taken) == sorted(each.run_id for each in claims)
    assert store.evaluations.progress(PROJECT)[0].done == 9


def test_one_outcome_that_no_request_can_hold_is_said_and_the_claim_stays(
    store: RemoteStore,
) -> None:
    [claim] = fill(store, 1)

    with pytest.raises(TooLarge):
        store.evaluations.finish(PROJECT, [outcome(claim, 300_000)])

    assert store.evaluations.extend([claim.run_id], lease_s=60) == [claim.run_id]


def test_records_are_asked_for_until_all_are_there() -> None:
    asked: list[list[str]] = []

    def behave(connection: socket.socket, over: threading.Event) -> None:
        body = read_request(connection).partition(b"\r\n\r\n")[2]
        ids = msgspec.json.decode(body, type=evaluation_api.RecordsAsked).call_ids
        asked.append(ids)
        answer = {"records": {ids[0]: []}, "left": ids[1:]}
        connection.sendall(response("200 OK", msgspec.json.encode(answer)))

    with hostile(behave) as url:
        found = RemoteStore(Connection(url)).evaluations.records(PROJECT, ["a", "b", "c"])

    assert list(found) == ["a", "b", "c"]
    assert asked == [["a", "b", "c"], ["b", "c"], ["c"]]


def test_a_server_that_gives_no_record_is_not_asked_for_ever() -> None:
    def behave(connection: socket.socket, over: threading.Event) -> None:
        read_request(connection)
        answer = {"records": {}, "left": ["a", "b"]}
        connection.sendall(response("200 OK", msgspec.json.encode(answer)))

    with hostile(behave) as url, pytest.raises(Unavailable, match="gave none of 2 records"):
        RemoteStore(Connection(url)).evaluations.records(PROJECT, ["a", "b"])


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_rule_that_no_address_can_name_is_refused(store: RemoteStore, name: str) -> None:
    fill(store, 1)

    with pytest.raises(UsageError) as caught:
        store.rules.save(PROJECT, name, NewRule(definitions=[REF]))

    assert caught.value.facts["field"] == "name"
    assert store.rules.list(PROJECT) == []


def test_errors_of_the_server_are_those_of_a_store_at_hand(store: RemoteStore) -> None:
    fill(store, 1)
    wrong: list[tuple[type[Exception], Any]] = [
        (NotFound, lambda: store.evaluations.get(PROJECT, "none")),
        (NotFound, lambda: store.evaluations.progress("nobody")),
        (NotFound, lambda: store.rules.get(PROJECT, "none")),
        (NotFound, lambda: store.evaluations.want(PROJECT, [REF[:-4] + "0000"], None)),
        (
            QueryError,
            lambda: store.rules.save(PROJECT, "r", NewRule(definitions=[REF], query="outptu = 1")),
        ),
    ]

    for kind, ask in wrong:
        with pytest.raises(kind):
            ask()


def test_calls_are_not_lost_at_a_server_that_knows_no_evaluations() -> None:
    bodies: list[Batch] = []

    def behave(connection: socket.socket, over: threading.Event) -> None:
        body = read_request(connection).partition(b"\r\n\r\n")[2]
        batch = msgspec.json.decode(body, type=Batch)
        bodies.append(batch)
        if batch.evaluations:
            info = api.ErrorInfo(
                code="usage",
                message="the batch has an unknown field 'evaluations'",
                details={"field": "evaluations"},
            )
            answer = msgspec.json.encode(api.Failure(error=info))
            connection.sendall(response("400 Bad Request", answer))
        else:
            connection.sendall(response("200 OK", msgspec.json.encode(Receipt(calls=1))))

    wanted = EvaluationPart(id="e1", definition_ref=REF, call_id="c", status="none")
    batch = Batch(project=PROJECT, calls=[CallPart(id="c", op="o")], evaluations=[wanted])
    with hostile(behave) as url:
        receipt = RemoteStore(Connection(url)).ingest.write(batch)

    assert [each.calls for each in bodies] == [batch.calls] * 2
    assert (receipt.calls, receipt.evaluations) == (1, 0)
    [refused] = receipt.rejected
    assert (refused.kind, refused.index, refused.id) == ("evaluation", 0, "e1")
    assert "older version" in refused.message
