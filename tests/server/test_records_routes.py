"""Records over HTTP: laid out as the application is, and selectors tried on them."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
from asking import get, send
from evaluated import PROJECT, call

from kibitz.base import api
from kibitz.judging import trying
from kibitz.judging.lenses import Lens
from kibitz.testing import serving

ASKED = f"?project={PROJECT}"
PASSAGES = [{"text": f"passage {n}", "odd key": n} for n in range(3)]


@pytest.fixture(name="url", scope="module")
def _url(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    inner = {"trace_id": "top", "parent_id": "top"}
    calls = [
        call("top", op="rag.answer", output={"answer": "because"}),
        call("r0", op="rag.retrieve", inputs={"query": "a"}, output=PASSAGES, **inner),
        call("r1", op="rag.retrieve", inputs={"query": "b"}, output=[], **inner),
        call("f", op="rag.rank", output=None, exception={"type": "E", "message": "no"}, **inner),
        call("deep", op="rag.retrieve.embed", trace_id="top", parent_id="r0", output=[0.5]),
        call("alone/record", op="other"),
    ]
    with serving.server(tmp_path_factory.mktemp("data")) as url:
        answer = send(url, api.INGEST, {"project": PROJECT, "calls": calls})
        assert "rejected" not in answer.json
        yield url


def select(url: str, lens: str, call_id: str = "top", **asked: Any) -> dict[str, Any]:
    body = {"project": PROJECT, "call_id": call_id, "lens": lens, **asked}
    answer = send(url, api.RECORDS_SELECT, body)
    assert answer.status == 200, answer.body
    return answer.json


def test_a_record_is_laid_out_as_the_application_is(url: str) -> None:
    record = get(url, f"{api.CALLS}/top/record{ASKED}").json

    assert (record["main_input"], record["main_output"]) == ("why?", "because")
    rag = record["app"]["rag"]
    assert set(rag) == {"retrieve", "rank", "answer"}
    retrieved = [each for each in rag["retrieve"] if "args" in each]
    assert sorted(each["args"]["query"] for each in retrieved) == ["a", "b"]
    assert rag["rank"][0]["error"] == "E: no"
    assert "rets" not in rag["rank"][0]
    assert rag["retrieve"][-1]["embed"][0]["rets"] == [0.5]
    assert len(record["calls"]) == 5
    assert record["calls"][-1]["call_id"] == "top"


def test_every_place_of_the_record_is_one_that_a_selector_selects(url: str) -> None:
    record = get(url, f"{api.CALLS}/top/record{ASKED}").json

    for lens in (
        "app.rag.retrieve.args.query",
        "calls[:].op",
        'app.rag.retrieve[0].rets[:]["odd key"]',
    ):
        tried = select(url, lens)
        assert tried["values"]
        for each in tried["values"]:
            place = Lens.parse(each["path"].removeprefix("__record__."))
            assert list(place.get(record)) == [each["value"]]


def test_a_selector_gives_its_values_with_the_exact_place_of_each(url: str) -> None:
    tried = select(url, "Select.RecordCalls.rag.retrieve[0].rets[:].text")

    begin = "__record__.app.rag.retrieve[0].rets"
    assert [(each["path"], each["value"]) for each in tried["values"]] == [
        (f"{begin}[{n}].text", f"passage {n}") for n in range(3)
    ]
    assert tried["selector"] == f"{begin}[:].text"
    assert tried["python"] == "Select.RecordCalls.rag.retrieve[0].rets[:].text"
    assert (tried["more"], tried["missing"], tried["prefix"]) == (False, None, None)


def test_whole_parts_of_a_record_can_be_selected(url: str) -> None:
    whole = get(url, f"{api.CALLS}/top/record{ASKED}").json

    assert select(url, "")["values"][0]["value"] == whole
    assert select(url, "app.rag.rank")["values"][0]["value"] == whole["app"]["rag"]["rank"]
    assert select(url, "calls[-1].perf")["values"][0]["value"] == whole["calls"][-1]["perf"]
    [spans] = [select(url, 'Select.RecordSpans.where(op="rag.ret*").call_id')["values"]]
    assert {each["value"] for each in spans} == {"r0", "r1", "deep"}


@pytest.mark.parametrize(
    ("lens", "prefix", "said"),
    [
        ("app.rag.fetch.rets", "__record__.app.rag", "retrieve"),
        ("app.rag.rank.rets", "__record__.app.rag.rank", "failed"),
        ("main_output.text", "__record__.main_output", "because"),
        ("nothing", "__record__", "main_input"),
        ("__app__.name", "__app__", "without keys"),
    ],
)
def test_what_is_not_there_says_how_far_the_selector_goes(
    url: str, lens: str, prefix: str, said: str
) -> None:
    tried = select(url, lens)

    assert tried["values"] == []
    assert tried["prefix"] == prefix
    assert said in tried["missing"]


def test_values_beyond_the_limit_are_left_out_and_said(url: str) -> None:
    tried = select(url, "calls[:].call_id", limit=2)

    assert len(tried["values"]) == 2
    assert tried["more"] is True
    assert select(url, "calls[:].call_id", limit=5)["more"] is False


def test_values_beyond_the_size_of_an_answer_are_left_out_and_said(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trying, "MAX_BYTES", 30)

    tried = select(url, "app.rag.retrieve[0].rets[:].text")

    assert [each["value"] for each in tried["values"]] == ["passage 0", "passage 1"]
    assert tried["more"] is True
    assert len(select(url, "main_input.missing")["values"]) == 0
    assert len(select(url, "calls")["values"]) == 1


def test_a_call_of_a_record_and_one_with_a_slash_are_records_too(url: str) -> None:
    part = get(url, f"{api.CALLS}/r0/record{ASKED}").json
    odd = get(url, f"{api.CALLS}/alone%2Frecord/record{ASKED}").json

    assert {each["call_id"] for each in part["calls"]} == {"r0", "deep"}
    assert odd["record_id"] == "alone/record"
    assert get(url, f"{api.CALLS}/alone%2Frecord{ASKED}").json["id"] == "alone/record"
    assert get(url, f"{api.CALLS}/alone/record{ASKED}").status == 404


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"call_id": "nobody", "lens": "main_input"}, 404, "not_found"),
        ({"call_id": "top", "lens": "a..b"}, 400, "usage"),
        ({"call_id": "top", "lens": "Select.Nothing"}, 400, "usage"),
        ({"call_id": "top", "lens": "a" * 20_001}, 400, "usage"),
        ({"call_id": "top", "lens": "[0]" * 300}, 400, "usage"),
        ({"call_id": "top", "lens": "[0,0]" * 60 + ".collect()"}, 400, "usage"),
        ({"call_id": "top", "lens": "__import__('os').system('x')"}, 400, "usage"),
        ({"call_id": "top", "lens": "a", "limit": 0}, 400, "usage"),
        ({"call_id": "top"}, 400, "usage"),
    ],
)
def test_what_cannot_be_selected_is_said(
    url: str, body: dict[str, Any], status: int, code: str
) -> None:
    answer = send(url, api.RECORDS_SELECT, {"project": PROJECT, **body})

    assert (answer.status, answer.error["code"]) == (status, code)


def test_what_is_not_there_has_no_record(url: str) -> None:
    for path in (f"nobody/record{ASKED}", "top/record?project=nobody"):
        answer = get(url, f"{api.CALLS}/{path}")
        assert (answer.status, answer.error["code"]) == (404, "not_found")
