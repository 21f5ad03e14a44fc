"""Judging over HTTP: each rule with its code, one by one and several at once, corrections and their history."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from asking import get, send

import kibitz
from kibitz.base import api, refs
from kibitz.base.specifications import AnnotationSpec
from kibitz.testing import serving

PROJECT = "acme/bot"
RATING = {"type": "integer", "minimum": 1, "maximum": 5}


@pytest.fixture(name="url")
def _url(tmp_path: Path) -> Generator[str]:
    with serving.server(tmp_path) as url:
        call = {"id": "c1", "op": "answer", "started_at": "2026-03-01T12:00:00Z"}
        assert send(url, api.INGEST, {"project": PROJECT, "calls": [call]}).status == 200
        yield url


def published(url: str, name: str = "helpful", schema: Any = None, **more: Any) -> Any:
    given = {"project": PROJECT, "name": name, "schema": schema or RATING, **more}
    return send(url, api.SPECIFICATIONS, given)


def note(text: str = "good", **more: Any) -> dict[str, Any]:
    target = refs.call_ref(PROJECT, "c1")
    return {
        "type": "note",
        "target_ref": target,
        "payload": {"note": text},
        "author": "ann",
        **more,
    }


def answer(ref: str, value: Any, **more: Any) -> dict[str, Any]:
    payload = {"value": value}
    return note(type="annotation.helpful", payload=payload, annotation_ref=ref, **more)


def test_a_specification_is_published_listed_and_versioned(url: str):
    first = published(url, answer=["ann"], see=["ann", "bob"])
    again = published(url, answer=["ann"], see=["ann", "bob"])
    second = published(url, schema={"type": "boolean"}, see=["ann"])

    assert (first.status, first.json["version"], first.json["kind"]) == (201, 0, "integer")
    assert again.json == first.json
    assert (second.json["version"], second.json["paths"]) == (1, ["value"])
    assert second.json["ref"] == AnnotationSpec("helpful", bool, see=["ann"]).ref(PROJECT)
    versions = get(url, f"{api.SPECIFICATIONS}/helpful?project={PROJECT}").json["specifications"]
    assert [each["version"] for each in versions] == [1, 0]
    for author, names in (("ann", ["helpful"]), ("bob", []), ("eve", [])):
        listed = get(url, f"{api.SPECIFICATIONS}?project={PROJECT}&author={author}").json
        assert [each["name"] for each in listed["specifications"]] == names


def test_a_specification_that_cannot_be_used_names_the_keyword(url: str):
    refused = published(url, schema={"type": "integer", "minimun": 1})

    assert refused.status == 400
    assert refused.error["code"] == "invalid_specification"
    assert refused.error["details"] == {"field": "schema.minimun", "keyword": "minimun"}
    assert get(url, f"{api.SPECIFICATIONS}/helpful?project={PROJECT}").status == 404


@pytest.mark.parametrize(
    ("given", "code", "field"),
    [
        ({"payload": {"value": 7}}, "invalid_answer", "payload.value"),
        ({"author": "eve"}, "not_permitted", "author"),
        ({"target_ref": f"kibitz:///{PROJECT}/trace/t"}, "out_of_scope", "target_ref"),
        ({"target_ref": f"kibitz:///{PROJECT}/call/c9"}, "unknown_reference", "target_ref"),
        ({"call_ref": f"kibitz:///{PROJECT}/call/c9"}, "unknown_reference", "call_ref"),
        (
            {"annotation_ref": f"kibitz:///{PROJECT}/object/helpful:{'0' * 40}"},
            "unknown_reference",
            "annotation_ref",
        ),
        ({"type": "annotation.other"}, "invalid_record", "annotation_ref"),
        (
            {"runnable_ref": f"kibitz:///{PROJECT}/op/x:{'0' * 40}"},
            "invalid_record",
            "runnable_ref",
        ),
        ({"corrects": "nothing"}, "unknown_reference", "corrects"),
    ],
)
def test_each_rule_has_its_code(url: str, given, code, field):
    ref = published(url, answer=["ann"], targets=["call"]).json["ref"]
    judgement = {"project": PROJECT, **answer(ref, 3)}

    refused = send(url, api.FEEDBACK, judgement | given)

    assert refused.status == 400
    assert (refused.error["code"], refused.error["details"]["field"]) == (code, field)
    assert send(url, api.FEEDBACK, judgement).status == 201


def test_an_answer_that_does_not_fit_says_rule_and_allowed(url: str):
    ref = published(url).json["ref"]

    error = send(url, api.FEEDBACK, {"project": PROJECT, **answer(ref, 7)}).error

    assert error["message"] == "the value is 7; helpful allows at most 5"
    assert (error["details"]["rule"], error["details"]["allowed"]) == ("maximum", 5)


def test_of_several_each_is_stored_or_refused_for_itself(url: str):
    ref = published(url).json["ref"]
    items: list[Any] = [
        note(id="n1"),
        {"type": "note"},
        answer(ref, 7),
        7,
        answer(ref, 2, id="a1"),
        note("", id="n2"),
    ]
    told = send(url, api.FEEDBACK_BATCH, {"project": PROJECT, "feedback": items})

    assert told.status == 200
    assert told.json["stored"] == 2
    assert [each["index"] for each in told.json["outcomes"]] == [0, 1, 2, 3, 4, 5]
    assert [each.get("id") for each in told.json["outcomes"]] == [
        "n1",
        None,
        None,
        None,
        "a1",
        None,
    ]
    codes = [each["error"]["code"] for each in told.json["outcomes"] if "error" in each]
    assert codes == ["invalid_record", "invalid_answer", "invalid_record", "invalid_record"]
    found = send(url, api.FEEDBACK_QUERY, {"project": PROJECT}).json["items"]
    assert {each["id"] for each in found} == {"n1", "a1"}


def test_a_batch_of_feedback_has_nothing_else(url: str):
    call = {"id": "c2", "started_at": "2026-03-01T12:00:00Z"}
    refused = send(url, api.FEEDBACK_BATCH, {"project": PROJECT, "calls": [call]})

    assert (refused.status, refused.error["code"]) == (400, "usage")


def test_from_python_each_has_an_outcome(url: str):
    judgements = [note(id="n1"), {"type": "note"}, note("", id="n2"), note(id="n3")]

    outcomes = kibitz.add_feedback(PROJECT, judgements, source=url)

    assert [each.id for each in outcomes] == ["n1", None, None, "n3"]
    assert [each.error and each.error.code for each in outcomes[1:3]] == ["invalid_record"] * 2


def test_a_correction_and_a_retraction_are_rows_of_a_history(url: str):
    send(url, api.FEEDBACK, {"project": PROJECT, **note("first", id="n1")})
    where = f"{api.FEEDBACK}/n1"

    for path in (f"{where}/correct", f"{where}/retract"):
        body = {"project": PROJECT, "author": "bob"}
        refused = send(url, path, body | ({"payload": {"note": "x"}} if "correct" in path else {}))
        assert (refused.status, refused.error["code"]) == (400, "not_permitted")
    said = {"project": PROJECT, "author": "ann", "payload": {"note": "second"}}
    corrected = send(url, f"{where}/correct", said)
    assert (corrected.status, corrected.json["corrects"], corrected.json["stands"]) == (
        201,
        "n1",
        True,
    )
    late = send(url, f"{where}/correct", said)
    assert (late.status, late.error["code"]) == (409, "conflict")
    retracted = send(
        url,
        f"{api.FEEDBACK}/{corrected.json['id']}/retract",
        {"project": PROJECT, "author": "ann"},
    )
    assert retracted.json["retracts"] == corrected.json["id"]
    again = send(
        url,
        f"{api.FEEDBACK}/{corrected.json['id']}/retract",
        {"project": PROJECT, "author": "ann"},
    )
    assert (again.status, again.error["code"]) == (409, "conflict")

    history = get(url, f"{where}/history?project={PROJECT}").json["items"]
    assert [each["payload"].get("note") for each in history if each["payload"]] == [
        "first",
        "second",
    ]
    assert not any(each["stands"] for each in history)
    assert get(url, f"{where}?project={PROJECT}").json == history[0]


@pytest.mark.parametrize("path", ["", "/history"])
def test_what_nobody_said_is_not_found(url: str, path: str):
    assert get(url, f"{api.FEEDBACK}/nothing{path}?project={PROJECT}").status == 404
    for action in ("retract", "correct"):
        body = {"project": PROJECT, "payload": {}} if action == "correct" else {"project": PROJECT}
        assert send(url, f"{api.FEEDBACK}/nothing/{action}", body).status == 404


def test_feedback_is_asked_by_time_and_standing(url: str):
    for n in range(3):
        at = f"2026-03-01T12:00:0{n}Z"
        one = {"type": "free", "payload": {"n": n}, "created_at": at, "id": f"f{n}"}
        send(url, api.FEEDBACK, {"project": PROJECT, **note(), **one})
    asked = {"project": PROJECT}

    def found(**more: Any) -> list[str]:
        rows = send(url, api.FEEDBACK_QUERY, {**asked, **more}).json["items"]
        return [each["id"] for each in rows]

    assert found(standing=True) == ["f2"]
    assert found(since="2026-03-01T12:00:01Z") == ["f2", "f1"]
    assert found(until="2026-03-01T12:00:01Z", ids=["f0", "f2"]) == ["f0"]
    wrong = send(url, api.FEEDBACK_QUERY, {**asked, "since": "yesterday"})
    assert (wrong.status, wrong.error["code"]) == (400, "query")
