"""Evaluations over HTTP: wanted, claimed, ended, asked for; and what of it is refused."""

from __future__ import annotations

from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from asking import JSON, ask, get, send
from evaluated import PROJECT, call, claim, definition, done, fill, ref_of, want

from kibitz.base import api
from kibitz.server.routes import evaluations as routes
from kibitz.testing import serving

ASKED = f"?project={PROJECT}"


@pytest.fixture(name="url")
def _url(tmp_path: Path) -> Generator[str]:
    with serving.server(tmp_path) as url:
        yield url


@pytest.fixture(name="still", scope="module")
def _still(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """A server that is only asked for what it refuses."""
    with serving.server(tmp_path_factory.mktemp("data")) as url:
        yield url


def finish(url: str, *outcomes: dict[str, Any]) -> list[str]:
    answer = send(url, api.EVALUATIONS_FINISH, {"project": PROJECT, "outcomes": list(outcomes)})
    assert answer.status == 200, answer.body
    return answer.json["run_ids"]


def query(url: str, **asked: Any) -> list[dict[str, Any]]:
    answer = send(url, api.EVALUATIONS_QUERY, {"project": PROJECT, **asked})
    assert answer.status == 200, answer.body
    return answer.json["items"]


def test_what_is_wanted_is_claimed_once_and_ends_as_feedback(url: str) -> None:
    ref = fill(url)

    step = want(url, ref).json
    claims = claim(url)

    assert (step["wanted"], step["left"], step["cursor"]) == (3, 0, None)
    assert {each["call_id"] for each in claims} == {"c0", "c1", "c2"}
    assert {each["definition_ref"] for each in claims} == {ref}
    assert {(each["project"], each["attempt"]) for each in claims} == {(PROJECT, 1)}
    assert claim(url) == []

    taken = finish(url, *(done(each, 0.25) for each in claims))

    assert sorted(taken) == sorted(each["run_id"] for each in claims)
    found = send(url, api.CALLS_QUERY, {"project": PROJECT, "text": "feedback.brief.output < 0.5"})
    assert {each["id"] for each in found.json["items"]} == {"c0", "c1", "c2"}
    judged = get(url, f"{api.FEEDBACK}/{taken[0]}{ASKED}").json
    assert (judged["type"], judged["runnable_ref"]) == ("runnable.brief", ref)
    assert judged["payload"] == {"output": 0.25}


def test_an_evaluation_is_given_back_with_its_invocations(url: str) -> None:
    ref = fill(url, calls=1)
    want(url, ref)
    [claimed] = claim(url)
    said = {
        "arguments": {"text": "because"},
        "paths": {"text": "main_output"},
        "output": 0.5,
        "metadata": {"reason": "short"},
        "spent": {"requests": 1, "usd": 0.25},
    }
    finish(url, done(claimed, 0.5, invocations=[said], spent={"requests": 1, "usd": 0.25}))

    whole = get(url, f"{api.EVALUATIONS}/{claimed['evaluation_id']}{ASKED}").json
    of_call = get(url, f"{api.CALLS}/c0/evaluations{ASKED}").json["evaluations"]
    [listed] = query(url, status=["done"])

    assert whole["status"] == "done"
    assert whole["output"] == 0.5
    assert whole["spent"] == {"requests": 1, "usd": 0.25}
    [invocation] = whole["invocations"]
    assert {name: invocation[name] for name in said} == said
    assert of_call == [whole]
    assert "invocations" not in listed
    assert listed["id"] == whole["id"]


def test_progress_counts_each_state(url: str) -> None:
    ref = fill(url, calls=4)
    want(url, ref)
    [first, second, third] = claim(url, limit=3)
    skipped = {**done(second)["part"], "status": "skipped", "reason": "nothing to say"}
    del skipped["output"]
    finish(url, done(first), {"part": skipped})

    [progress] = get(url, f"{api.EVALUATIONS_PROGRESS}{ASKED}").json["progress"]

    assert (progress["definition_ref"], progress["name"]) == (ref, "brief")
    counted = {name: progress[name] for name in ("wanted", "running", "done", "failed", "skipped")}
    assert counted == {"wanted": 1, "running": 1, "done": 1, "failed": 0, "skipped": 1}
    assert [each["reason"] for each in query(url, status=["skipped"])] == ["nothing to say"]
    assert query(url, status=["running"])[0]["call_id"] == third["call_id"]


def test_claims_are_kept_given_back_and_lost(url: str) -> None:
    ref = fill(url, calls=2)
    want(url, ref)
    claims = claim(url)
    runs = [each["run_id"] for each in claims]

    kept = send(url, api.EVALUATIONS_EXTEND, {"run_ids": [*runs, "nobody"], "lease_s": 120}).json
    given_back = send(url, api.EVALUATIONS_RELEASE, {"run_ids": [runs[0]]}).json

    assert sorted(kept["run_ids"]) == sorted(runs)
    assert given_back == {"released": 1}
    [again] = claim(url)
    assert again["call_id"] == claims[0]["call_id"]
    assert again["attempt"] == 1
    assert finish(url, done(claims[0]), done(claims[1])) == [runs[1]]


def test_what_failed_is_tried_again_when_somebody_asks(url: str) -> None:
    ref = fill(url, calls=1)
    want(url, ref)
    [claimed] = claim(url)
    failed = {**done(claimed)["part"], "status": "failed", "reason": "no", "error": "Traceback"}
    del failed["output"]
    finish(url, {"part": failed})
    asked = {"project": PROJECT, "ids": [claimed["evaluation_id"], "none"]}

    assert send(url, api.EVALUATIONS_RETRY, asked).json == {"wanted": 1}
    assert send(url, api.EVALUATIONS_RETRY, asked).json == {"wanted": 0}
    assert [each["attempt"] for each in claim(url)] == [1]


def test_text_filter_and_query_choose_the_calls(url: str) -> None:
    ref = fill(url, calls=4)
    equal = {"$expr": {"$ne": [{"$getField": "id"}, {"$literal": "c1"}]}}

    step = want(url, ref, text="id != c0", query=equal, filter={"ids": ["c0", "c1", "c2"]}).json

    assert (step["wanted"], step["known"]) == (1, 0)
    assert [each["call_id"] for each in claim(url)] == ["c2"]


def test_records_come_with_all_that_was_called(url: str) -> None:
    fill(url, calls=2)
    inner = call("inner", trace_id="c0", parent_id="c0", op="retrieve", output=["a", "b"])
    send(url, api.INGEST, {"project": PROJECT, "calls": [inner]})
    asked = {"project": PROJECT, "call_ids": ["c0", "c1", "c1", "nobody"]}

    answer = send(url, api.EVALUATIONS_RECORDS, asked).json

    found = {root: [each["id"] for each in calls] for root, calls in answer["records"].items()}
    assert {root: sorted(ids) for root, ids in found.items()} == {
        "c0": ["c0", "inner"],
        "c1": ["c1"],
    }
    retrieve = next(each for each in answer["records"]["c0"] if each["id"] == "inner")
    assert retrieve["output"] == ["a", "b"]
    assert answer["left"] == []


def test_records_beyond_the_size_of_an_answer_are_left_for_another(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "RECORDS_BYTES", 100)
    monkeypatch.setattr(routes, "RECORDS_AT_ONCE", 2)
    fill(url, calls=5)
    waiting = [f"c{n}" for n in range(5)]
    found: list[str] = []

    while waiting:
        asked = {"project": PROJECT, "call_ids": waiting}
        answer = send(url, api.EVALUATIONS_RECORDS, asked).json
        assert len(answer["records"]) == 1
        found += answer["records"]
        waiting = answer["left"]

    assert sorted(found) == [f"c{n}" for n in range(5)]


def test_a_batch_may_bring_evaluations_and_each_is_refused_for_itself(url: str) -> None:
    part = definition()
    ref = ref_of(part)
    ended = {"definition_ref": ref, "status": "done", "output": 0.5}
    answer = send(
        url,
        api.INGEST,
        {
            "project": PROJECT,
            "calls": [call("c0"), call("c1")],
            "objects": [part],
            "evaluations": [
                {"id": "e0", "call_id": "c0", **ended},
                {"id": "e1", "call_id": "c1", **ended, "status": "perhaps"},
                {"id": "e2", "call_id": "c1", "definition_ref": ref, "status": "none"},
                {"id": "e3", "call_id": "c1", **ended, "output": "high"},
                {"id": "e4", "call_id": "c1", **ended, "definition_ref": ref[:-4] + "0000"},
            ],
        },
    )

    receipt = answer.json
    assert (answer.status, receipt["evaluations"]) == (200, 2)
    refused = [(each["kind"], each["index"], each["field"]) for each in receipt["rejected"]]
    assert refused == [
        ("evaluation", 1, "status"),
        ("evaluation", 3, "output"),
        ("evaluation", 4, "definition_ref"),
    ]
    assert receipt["rejected"][2]["code"] == "unknown_reference"
    assert {each["call_id"]: each["status"] for each in query(url)} == {"c0": "done", "c1": "none"}
    assert [each["call_id"] for each in claim(url)] == ["c1"]


def test_a_page_of_evaluations_goes_on_where_the_last_ended(url: str) -> None:
    want(url, fill(url, calls=5))
    asked: dict[str, Any] = {"project": PROJECT, "name": "brief", "limit": 2}
    found: list[str] = []

    while True:
        page = send(url, api.EVALUATIONS_QUERY, asked).json
        found += [each["call_id"] for each in page["items"]]
        if page["next_cursor"] is None:
            break
        asked["cursor"] = page["next_cursor"]

    assert sorted(found) == [f"c{n}" for n in range(5)]


def test_a_call_whose_id_has_slashes_has_evaluations_too(url: str) -> None:
    part = definition()
    odd = "a/evaluations"
    calls = [call(odd), call("a")]
    send(url, api.INGEST, {"project": PROJECT, "calls": calls, "objects": [part]})
    want(url, ref_of(part), filter={"ids": [odd]})

    whole = get(url, f"{api.CALLS}/a%2Fevaluations{ASKED}").json
    [wanted] = get(url, f"{api.CALLS}/a%2Fevaluations/evaluations{ASKED}").json["evaluations"]

    assert whole["id"] == odd
    wanted_too = {"id": "e/1", "call_id": "a", "definition_ref": ref_of(part), "status": "none"}
    send(url, api.INGEST, {"project": PROJECT, "evaluations": [wanted_too]})
    assert get(url, f"{api.EVALUATIONS}/e%2F1{ASKED}").json["call_id"] == "a"
    assert wanted["call_id"] == odd
    [other] = get(url, f"{api.CALLS}/a/evaluations{ASKED}").json["evaluations"]
    assert other["id"] == "e/1"


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        (api.EVALUATIONS_CLAIM, {"worker": "w", "limit": 0, "lease_s": 1}, "limit"),
        (api.EVALUATIONS_CLAIM, {"worker": "w", "limit": 10_001, "lease_s": 1}, "limit"),
        (api.EVALUATIONS_CLAIM, {"worker": "w", "limit": 1, "lease_s": 0}, "lease_s"),
        (api.EVALUATIONS_CLAIM, {"worker": "", "limit": 1, "lease_s": 1}, "worker"),
        (
            api.EVALUATIONS_CLAIM,
            {"worker": "w", "limit": 1, "lease_s": 1, "projects": ["a b"]},
            "project",
        ),
        (api.EVALUATIONS_EXTEND, {"run_ids": ["r"], "lease_s": 1e9}, "lease_s"),
        (api.EVALUATIONS_EXTEND, {"run_ids": ["r"] * 10_001, "lease_s": 1}, "run_ids"),
        (api.EVALUATIONS_RELEASE, {"run_ids": "r"}, "run_ids"),
        (api.EVALUATIONS_FINISH, {"project": PROJECT, "outcomes": [{}]}, "outcomes[0].part"),
        (api.EVALUATIONS_FINISH, {"project": "a b", "outcomes": []}, "project"),
        (api.EVALUATIONS_WANT, {"project": PROJECT, "definitions": []}, "definitions"),
        (
            api.EVALUATIONS_WANT,
            {"project": PROJECT, "definitions": ["x"], "sample": 1.5},
            "sample",
        ),
        (api.EVALUATIONS_WANT_BY_RULES, {"limit": 0}, "limit"),
        (api.EVALUATIONS_RETRY, {"project": PROJECT, "ids": 7}, "ids"),
        (api.EVALUATIONS_QUERY, {"project": PROJECT, "status": ["odd"]}, "status[0]"),
        (api.EVALUATIONS_QUERY, {"project": PROJECT, "colour": "red"}, "colour"),
        (api.EVALUATIONS_RECORDS, {"project": PROJECT, "call_ids": ["c"] * 1001}, "call_ids"),
    ],
)
def test_what_cannot_be_done_names_the_field(
    still: str, path: str, body: dict[str, Any], field: str
) -> None:
    answer = send(still, path, body)

    assert (answer.status, answer.error["code"]) == (400, "usage")
    assert answer.error["details"]["field"] == field


def test_wanting_what_is_not_there_or_limited_is_refused(url: str) -> None:
    ref = fill(url)

    missing = want(url, ref[:-4] + "0000")
    limited = want(url, ref, text="op = answer limit 1")
    misspelt = want(url, ref, text="outptu = 1")

    assert (missing.status, missing.error["code"]) == (404, "not_found")
    assert (limited.status, limited.error["code"]) == (400, "query")
    assert (misspelt.status, misspelt.error["details"]["suggestion"]) == (400, "output")
    assert query(url) == []


def test_what_is_not_there_is_not_found(url: str) -> None:
    fill(url)

    assert get(url, f"{api.EVALUATIONS}/none{ASKED}").error["code"] == "not_found"
    assert get(url, f"{api.EVALUATIONS}/none?project=nobody").error["code"] == "not_found"
    assert get(url, f"{api.EVALUATIONS_PROGRESS}?project=nobody").error["code"] == "not_found"
    assert get(url, f"{api.CALLS}/none/evaluations?project=nobody").error["code"] == "not_found"


def test_it_is_known_when_there_will_be_something_to_do(url: str) -> None:
    def due(**asked: Any) -> Any:
        return send(url, api.EVALUATIONS_NEXT_DUE, asked).json["due_at"]

    ref = fill(url, calls=1)
    assert due() is None
    want(url, ref)

    assert due() == due(projects=[PROJECT])
    assert due(projects=["other"]) is None
    assert datetime.fromisoformat(due()) <= datetime.now(UTC)
    [claimed] = claim(url, lease_s=600)
    assert due() == claimed["lease_until"]


def test_reading_changes_nothing_and_no_address_takes_another_method(url: str) -> None:
    fill(url)

    for path in (api.EVALUATIONS_WANT, api.EVALUATIONS_RETRY, api.EVALUATIONS_CLAIM):
        assert get(url, path + ASKED).status in (404, 405)
    assert ask(url, "DELETE", f"{api.EVALUATIONS}/x{ASKED}").status == 405
    assert ask(url, "POST", f"{api.CALLS}/c0/evaluations{ASKED}", b"{}", JSON).status == 405


def test_a_worker_needs_a_key_as_everybody_does(tmp_path: Path) -> None:
    asked = {"worker": "w", "limit": 1, "lease_s": 1}
    with serving.server(tmp_path, api_keys=("the-key-of-this-test",)) as url:
        refused = send(url, api.EVALUATIONS_CLAIM, asked)
        taken = send(url, api.EVALUATIONS_CLAIM, asked, Authorization="Bearer the-key-of-this-test")

    assert (refused.status, refused.error["code"]) == (401, "unauthorized")
    assert (taken.status, taken.json) == (200, {"claims": []})
