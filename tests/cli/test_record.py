"""`kibitz record`: a call with all that it called, the selectors of its places, and what a selector gives."""

from __future__ import annotations

import json

import parts
import pytest
from parts import PROJECT, at

from kibitz.base.records import CallPart, ExceptionInfo
from kibitz.judging import trying
from kibitz.storage import sqlite

PASSAGES = [{"text": f"passage {n}\x1b[31m", "rank": n} for n in range(12)]


@pytest.fixture(name="show")
def _show(run, tmp_path):
    folder = tmp_path / "data"
    inner = {"trace_id": "root", "parent_id": "root"}
    retrievals = [
        parts.call(
            f"r{n}",
            seconds=n,
            op="rag.retriever.retrieve",
            inputs={"query": f"why {n}?"},
            output=PASSAGES,
            **inner,
        )
        for n in range(12)
    ]
    failed = CallPart(
        id="rank",
        op="rag.rank",
        started_at=at(20),
        ended_at=at(21),
        exception=ExceptionInfo(type="ValueError", message="too\nlong" * 100),
        **inner,
    )
    root = parts.call("root", op="rag.answer", took=30, output={"answer": "because"})
    store = sqlite.open_store(folder)
    try:
        receipt = store.ingest.write(parts.batch(calls=[root, *retrievals, failed]))
    finally:
        store.close()
    assert receipt.rejected == []

    def show(*arguments):
        return run("record", *arguments, "--data", str(folder))

    return show


def test_each_place_has_its_selector_and_what_is_there(show):
    shown = show("root")

    assert shown.exit_code == 0, shown.stderr
    title, *lines = shown.stdout.splitlines()
    assert title.startswith("rag.answer  success  30.00 s")
    assert title.endswith(f"14 calls  {PROJECT}")
    # Two spaces part the columns, and more of them indent the first.
    places = {line.split()[-1]: line.split()[:-1] for line in lines if "Select." in line}
    assert places["Select.RecordInput"] == ["main_input", '"why?"']
    assert places["Select.RecordOutput"] == ["main_output", '"because"']
    assert places["Select.RecordCalls.rag.retriever.retrieve"] == ["retrieve", "12", "calls"]
    assert places["Select.RecordCalls.rag.retriever.retrieve[1].args.query"][1:] == ['"why', '1?"']
    assert places["Select.RecordCalls.rag.retriever.retrieve[0].rets"] == ["rets", "[12", "values]"]
    assert places["Select.RecordCalls.rag.rank.error"][:2] == ["error", "ValueError:"]
    assert all(len(line) < 200 for line in lines)
    assert "\x1b" not in shown.stdout


def test_every_selector_that_is_shown_selects_something(show):
    lines = show("root", "--all").stdout.splitlines()
    selectors = [line.split()[-1] for line in lines if "Select." in line]

    assert len(selectors) > 60
    for selector in selectors[::7]:
        given = show("root", "--select", selector)
        assert given.exit_code == 0, (selector, given.stderr)
        assert given.stdout


def test_many_calls_of_an_op_are_cut_unless_all_are_asked_for(show):
    assert "2 more; --all shows them" in show("root").stdout
    everything = show("root", "--all").stdout
    assert "more; --all" not in everything
    assert "retrieve[11].args.query" in everything


def test_a_selector_gives_its_values_with_exact_places(show):
    given = show("root", "--select", "Select.RecordCalls.rag.retriever.retrieve[0].rets[:2].text")

    rows = [line.split("\t") for line in given.stdout.splitlines()]
    assert [json.loads(value) for _, value in rows] == [each["text"] for each in PASSAGES[:2]]
    assert [path for path, _ in rows] == [
        f"__record__.app.rag.retriever.retrieve[0].rets[{n}].text" for n in range(2)
    ]


def test_a_selector_of_what_is_not_there_says_how_far_it_goes(show):
    given = show("root", "--select", "app.rag.retriever.fetch.rets")
    as_json = show("root", "--select", "app.rag.retriever.fetch.rets", "--json")

    assert (given.exit_code, given.stdout) == (1, "")
    assert "goes as far as '__record__.app.rag.retriever'" in given.stderr
    assert "retrieve" in given.stderr
    assert as_json.exit_code == 1
    assert json.loads(as_json.stdout)["prefix"] == "__record__.app.rag.retriever"


def test_a_record_is_given_as_json(show):
    given = json.loads(show("root", "--json").stdout)

    assert given["main_output"] == "because"
    assert given["app"]["rag"]["retriever"]["retrieve"][3]["args"] == {"query": "why 3?"}
    assert [each["call_id"] for each in given["calls"]][-1] == "root"


def test_a_call_within_a_record_is_a_record_too(show):
    given = json.loads(show("r3", "--json").stdout)

    assert [each["call_id"] for each in given["calls"]] == ["r3"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("nobody",), 1, "has no call 'nobody'"),
        (("root", "--project", "nobody"), 1, "nobody"),
        (("root", "--select", "a..b"), 2, "cannot be read at character 3"),
        (("root", "--select", "Select.Nothing.a"), 2, "Select.Nothing"),
    ],
)
def test_what_cannot_be_shown_says_why(show, arguments, code, said):
    given = show(*arguments)

    assert given.exit_code == code
    assert said in given.stderr


@pytest.mark.parametrize(
    ("text", "selector"),
    [
        ("main_input", "__record__.main_input"),
        ("__record__.main_input", "__record__.main_input"),
        (" Select.RecordInput ", "__record__.main_input"),
        ("Select.RecordArgs.question", "__record__.calls[-1].args.question"),
        ('Select.RecordCalls["odd key"][0]', '__record__.app["odd key"][0]'),
        ('Select.RecordSpans.where(kind="llm").rets', '__record__.calls.where(kind="llm").rets'),
        ("", "__record__"),
        ("__app__.name", "__app__.name"),
    ],
)
def test_a_selector_may_be_written_in_three_ways(text, selector):
    assert str(trying.read(text)) == selector
