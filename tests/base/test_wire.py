"""Batches as bytes: what is read, what is refused, and that one bad item does not cost the others."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kibitz.base import wire
from kibitz.base.errors import InvalidRecord, TooLarge, UsageError
from kibitz.base.evaluations import EvaluationPart, Invocation
from kibitz.base.records import (
    Batch,
    CallPart,
    FeedbackPart,
    FilePart,
    ObjectPart,
    Receipt,
    Rejection,
)
from kibitz.base.spending import Spend

MOMENT = datetime(2026, 3, 1, 12, 30, 0, 123456, tzinfo=UTC)
WHOLE = Batch(
    project="acme/bot",
    calls=[
        CallPart(
            id="c1",
            op="answer",
            started_at=MOMENT,
            ended_at=MOMENT,
            inputs={"q": "ü\U0001f600", "n": 2**70},
            output=None,
        )
    ],
    feedback=[
        FeedbackPart(type="note", target_ref="kibitz:///acme/bot/call/c1", payload={"note": "x"})
    ],
    objects=[ObjectPart(kind="op", name="answer", digest="0" * 40, value={"code": "…"})],
    files=[FilePart(digest="1" * 40, media_type="image/png", content=b"\x00\xff")],
    evaluations=[
        EvaluationPart(
            id="e1",
            definition_ref=f"kibitz:///acme/bot/object/grounded:{'2' * 40}",
            call_id="c1",
            status="done",
            output={"min": 0.25},
            invocations=[
                Invocation(arguments={"text": "ü"}, paths={"text": "output"}, output=0.25)
            ],
            spent=Spend(requests=1, usd=0.002),
            started_at=MOMENT,
            ended_at=MOMENT,
        )
    ],
)


def body_of(*calls: str) -> bytes:
    """A body of calls, each written as it stands."""
    return b'{"project": "p", "calls": [' + ", ".join(calls).encode("latin-1") + b"]}"


def test_a_batch_comes_back_as_it_was_sent():
    delivery = wire.decode(wire.encode(WHOLE))

    assert delivery.batch == WHOLE
    assert delivery.rejected == []


@pytest.mark.parametrize(
    ("item", "field", "said"),
    [
        ('{"id": "bad", "op": 3}', "op", "got 3"),
        ('{"id": "bad", "colour": "red"}', "colour", "unknown field `colour`"),
        ('{"op": "x"}', "id", "required field `id`"),
        ('{"id": ""}', "id", "got ''"),
        ('{"id": "has space"}', "id", "got 'has space'"),
        ('{"id": "bad", "started_at": "yesterday"}', "started_at", "got 'yesterday'"),
        ('{"id": "bad", "started_at": "2026-01-01T00:00:00"}', "started_at", "timezone"),
        ('{"id": "bad", "inputs": [1, 2]}', "inputs", "got a list of 2"),
        ('{"id": "bad", "inputs": {"a": 1e999}}', "inputs.a", "inf is not a JSON number"),
        ('{"id": "bad", "inputs": {"a": [0, NaN]}}', "inputs.a[1]", "nan is not a JSON number"),
        ('{"id": "bad", "inputs": {"a": "\\ud800"}}', "inputs.a", "not valid Unicode"),
        ('{"id": "bad", "inputs": {"\\udfff": 1}}', "inputs", "a key is not valid Unicode"),
        ('{"id": "bad", "inputs": {"a": "\xff"}}', "inputs.a", "not valid Unicode"),
        (
            '{"id": "bad", "exception": {"type": "E", "message": "m", "traceback": '
            '[{"file": "f", "line": "7", "function": "g"}]}}',
            "exception.traceback[0].line",
            "got '7'",
        ),
        ("17", None, "got 17"),
        ("null", None, "got null"),
    ],
)
def test_one_bad_item_is_rejected_with_its_place_and_the_others_are_kept(
    item: str, field: str | None, said: str
):
    delivery = wire.decode(body_of('{"id": "good-1"}', item, '{"id": "good-2"}'))

    assert [call.id for call in delivery.batch.calls] == ["good-1", "good-2"]
    [rejection] = delivery.rejected
    assert (rejection.kind, rejection.index, rejection.code) == ("call", 1, "invalid_record")
    assert said in rejection.message
    assert rejection.message.startswith("calls[1]: ")
    if field is not None:
        assert rejection.field == field
    msgspec.json.encode(rejection)


def test_each_kind_of_item_is_rejected_by_its_own_position():
    body = json.dumps(
        {
            "project": "p",
            "calls": [{"id": 1}, {"id": "c"}],
            "feedback": [{"type": "note"}],
            "objects": [{"kind": "model", "name": "n", "digest": "0" * 40, "value": {}}],
            "files": [{"digest": "xyz", "media_type": "a/b", "content": ""}],
            "evaluations": [
                {
                    "id": "e0",
                    "definition_ref": "kibitz:///p/object/x",
                    "call_id": "c",
                    "status": "none",
                },
                {"id": "e1", "definition_ref": "x", "call_id": "c", "status": "perhaps"},
            ],
        }
    ).encode()

    delivery = wire.decode(body)

    found = [(each.kind, each.index, each.field) for each in delivery.rejected]
    assert found == [
        ("call", 0, "id"),
        ("feedback", 0, "target_ref"),
        ("object", 0, "kind"),
        ("file", 0, "digest"),
        ("evaluation", 1, "status"),
    ]
    assert [each.id for each in delivery.batch.evaluations] == ["e0"]
    assert [call.id for call in delivery.batch.calls] == ["c"]


def test_a_receipt_counts_positions_as_the_sender_does():
    delivery = wire.decode(body_of('{"id": 1}', '{"id": "a"}', '{"id": 2}', '{"id": "b"}'))
    stored = Receipt(
        calls=1, rejected=[Rejection(kind="call", index=1, id="b", code="conflict", message="m")]
    )

    receipt = delivery.receipt(stored)

    assert [(each.index, each.code) for each in receipt.rejected] == [
        (0, "invalid_record"),
        (2, "invalid_record"),
        (3, "conflict"),
    ]
    assert receipt.calls == 1


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (b"{", "line 1 column 2"),
        (b'{"project": "p", "calls": [{"id": "a"}', "not JSON"),
        (b"[1, 2]", "a list of 2, not an object"),
        (b"null", "null, not an object"),
        (b'"text"', "'text', not an object"),
        (b"{}", "needs a project"),
        (b'{"project": 7}', "it has 7"),
        (b'{"project": "p", "spans": []}', "unknown field 'spans'"),
        (b'{"project": "p", "calls": {"id": "a"}}', "calls of the batch is an object of 1 keys"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"\x28\xb5\x2f\xfd\x00\x00", "not JSON"),
        (b'{"project": "p", "calls": [' + b'{"a":' * 200_000, "nested too deeply"),
        (b"[" * 200_000 + b"]" * 200_000, "nested too deeply"),
        (b'{"project": "p", "calls": [{"id": ' + b"9" * 5000 + b"}]}", "not JSON"),
    ],
)
def test_a_body_without_items_to_keep_is_refused_with_where_reading_stopped(body: bytes, said: str):
    with pytest.raises(UsageError) as caught:
        wire.decode(body)

    assert said in caught.value.message
    assert len(caught.value.message) < 300


def test_too_many_items_are_refused_before_anything_is_stored_bad_ones_counted():
    body = body_of('{"id": "a"}', '{"id": "b"}', '{"id": 3}')

    assert len(wire.decode(body, max_items=3).rejected) == 1
    with pytest.raises(TooLarge) as caught:
        wire.decode(body, max_items=2)
    assert caught.value.facts == {"size": 3, "limit": 2}


def test_a_value_that_is_not_json_cannot_be_encoded():
    with pytest.raises(InvalidRecord, match="values must be JSON kinds"):
        wire.encode(Batch(project="p", calls=[CallPart(id="a", output=object())]))
    with pytest.raises(InvalidRecord):
        wire.encode(Batch(project="p", calls=[CallPart(id="a", output="\ud800")]))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("\ud800"),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
FIELDS = st.sampled_from(["id", "op", "inputs", "output", "started_at", "exception", "x"])


@given(st.lists(st.dictionaries(FIELDS, JSON) | JSON, max_size=4), st.booleans())
def test_every_item_is_either_kept_or_rejected_whatever_it_is(items: list[Any], escape: bool):
    text = json.dumps({"project": "p", "calls": items}, ensure_ascii=escape)

    delivery = wire.decode(text.encode("utf-8", "surrogatepass"))

    rejected = [each.index for each in delivery.rejected]
    assert len(delivery.batch.calls) + len(rejected) == len(items)
    assert sorted(set(rejected)) == rejected
    wire.encode(delivery.batch)
    msgspec.json.encode(delivery.rejected)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_as_usage(body: bytes):
    for text in (body, b'{"project": "p", "calls": [' + body):
        with contextlib.suppress(UsageError):
            assert isinstance(wire.decode(text), wire.Delivery)
