"""Records out of what is there already: logs and frames."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime

import pandas
import polars
import pytest
import rag

import kibitz
from kibitz import Feedback, Select
from kibitz.apps import virtual
from kibitz.apps.virtual import VirtualApp, VirtualRecord
from kibitz.base.errors import UsageError
from kibitz.testing.capturing import Captured

ROWS = [
    {
        "question": "How?",
        "answer": "Write to us.",
        "passages": ["Write to us.", "Call us."],
        "at": 1_700_000_000,
    },
    {"question": "When?", "answer": "Tomorrow.", "passages": ["Tomorrow."], "at": 1_700_000_060.5},
]
GROUNDED = (
    Feedback(rag.mentions, name="grounded")
    .on_output()
    .on(VirtualApp.select_context())
    .aggregate(max)
)


def frames(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text("\n\n".join(json.dumps(row) for row in ROWS), encoding="utf-8")
    frame = polars.DataFrame(ROWS, strict=False)
    return {
        "pandas": pandas.DataFrame(ROWS),
        "polars": frame,
        "arrow": frame.to_arrow(),
        "dicts": ROWS,
        "generator": (row for row in ROWS),
        "file": path,
    }


@pytest.mark.parametrize("kind", ["pandas", "polars", "arrow", "dicts", "generator", "file"])
def test_each_kind_of_frame_gives_the_same_records(captured: Captured, tmp_path, kind):
    told = virtual.record_frame(
        frames(tmp_path)[kind],
        inputs="question",
        output="answer",
        contexts="passages",
        started_at="at",
        app_name="logged",
        app_version="v1",
        feedbacks=[GROUNDED],
        feedback_mode="with_app_thread",
    )

    assert (told.rows, told.left_out) == (2, {})
    roots = [part for part in captured.calls if part.parent_id is None]
    assert sorted(told.record_ids) == sorted(part.id for part in roots)
    by_input = {(part.inputs or {})["input"]: part for part in roots}
    assert by_input["How?"].output == "Write to us."
    assert by_input["When?"].started_at == datetime(2023, 11, 14, 22, 14, 20, 500_000, UTC)
    assert (by_input["How?"].attributes or {})["app_name"] == "logged"
    assert len(captured.evaluations) == 2
    assert {part.output for part in captured.evaluations} == {1.0}
    expected = virtual.record_frame(
        ROWS,
        inputs="question",
        output="answer",
        contexts="passages",
        started_at="at",
        app_name="logged",
        app_version="v1",
    )
    assert expected.record_ids == told.record_ids


def test_what_is_told_twice_is_there_once_and_equal_rows_are_two(tmp_path):
    kibitz.init("acme/logs", data=str(tmp_path), print_summary=False)
    rows = [*ROWS, ROWS[0]]

    first = virtual.record_frame(rows, inputs="question", output="answer", feedbacks=[GROUNDED])
    again = virtual.record_frame(rows, inputs="question", output="answer", feedbacks=[GROUNDED])
    kibitz.finish()

    assert first.record_ids == again.record_ids
    assert len(set(first.record_ids)) == 3
    assert kibitz.calls("acme/logs", str(tmp_path)).count() == 3
    from kibitz.base.evaluations import EvaluationQuery
    from kibitz.storage import sqlite

    store = sqlite.open_store(tmp_path)
    try:
        wanted = store.evaluations.query(EvaluationQuery(project="acme/logs")).items
    finally:
        store.close()
    assert [each.status for each in wanted] == ["none"] * 3


def test_ids_of_the_data_are_those_of_the_records(captured: Captured):
    rows = [{"id": 7, "q": "a", "a": "b"}, {"id": 7, "q": "other", "a": "b"}]

    told = virtual.record_frame(rows, inputs="q", output="a", id="id")

    assert len(set(told.record_ids)) == 1


def test_rows_that_failed_and_rows_that_lack_something(captured: Captured):
    frame = pandas.DataFrame(
        {
            "q": ["one", "two", "three"],
            "a": ["fine", None, math.nan],
            "e": [None, "TimeoutError: too late", ""],
            "s": [0.5, math.nan, 2],
            "at": ["2026-01-01T00:00:00Z", "not a time", None],
        }
    )

    told = virtual.record_frame(frame, inputs="q", output="a", error="e", latency_s="s")
    timed = virtual.record_frame(frame, inputs="q", output="a", started_at="at")

    parts = {(part.inputs or {})["input"]: part for part in captured.batches[0].calls}
    assert parts["one"].output == "fine"
    assert parts["two"].exception is not None
    assert (parts["two"].exception.type, parts["two"].exception.message) == (
        "TimeoutError",
        "too late",
    )
    assert parts["three"].output is None
    assert len(told.record_ids) == 3
    assert list(timed.left_out) == [1]
    assert "row 1" in str(timed)


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        ([{"q": 1}], "no column 'answer'; it has q"),
        (["text"], "row 0 is no mapping"),
        (17, "int has no rows"),
        ("/nowhere/at/all.jsonl", "cannot be read"),
    ],
)
def test_what_is_no_frame_says_so(captured: Captured, frame, said):
    with pytest.raises(UsageError, match=said):
        virtual.record_frame(frame, inputs="q", output="answer")


def test_a_broken_line_is_named(captured: Captured, tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text('{"q": 1, "answer": 2}\n{"q":', encoding="utf-8")

    with pytest.raises(UsageError, match="line 2 .*no JSON"):
        virtual.record_frame(path, inputs="q", output="answer")


def test_without_a_session_there_is_nowhere_to_store_rows():
    with pytest.raises(UsageError, match="kibitz.init"):
        virtual.record_frame(ROWS, inputs="question", output="answer")


def test_records_with_calls_of_their_own_are_judged_here(captured: Captured):
    app = VirtualApp(
        {"llm": {"model": "large"}},
        app_name="elsewhere",
        feedbacks=[
            Feedback(rag.brief, name="step").on(Select.RecordCalls.agent.tool[1].rets),
            Feedback(rag.brief, name="model").on(Select.App.app.llm.model),
        ],
        feedback_mode="with_app",
    )

    with app as recording:
        record = app.add_record(
            VirtualRecord(
                main_input={"question": "How?", "style": "short"},
                main_output="Write.",
                calls={
                    Select.RecordCalls.agent.tool: [
                        {"args": {"name": "a"}, "rets": "x" * 100},
                        {"args": {"name": "b"}, "rets": "short"},
                    ]
                },
                meta={"user": "u-1"},
                tags="batch",
                summary={"usage": {"large": {"input_tokens": 3, "output_tokens": 4}}},
            )
        )

    assert recording.get() is record
    assert record.main_input == "How?"
    assert [call.rets for call in record.app.agent.tool] == ["x" * 100, "short"]
    assert (record.tags, record.meta) == ("batch", {"user": "u-1"})
    assert record.cost.n_tokens == 7
    results = record.wait_for_feedback_results(10)
    assert (results["step"].result, results["model"].result) == (1.0, 1.0)
    assert len(captured.evaluations) == 2


def test_a_frame_longer_than_the_queue_loses_no_row(tmp_path):
    kibitz.init("acme/logs", data=str(tmp_path), print_summary=False, queue_calls=50)
    rows = [{"q": at, "a": str(at)} for at in range(300)]

    told = virtual.record_frame(rows, inputs="q", output="a")
    report = kibitz.finish()

    assert report is not None
    assert report.complete
    assert report.calls_sent == 300 == len(told.record_ids)


def test_secrets_in_rows_are_left_out(captured: Captured):
    virtual.record_frame([{"q": {"api_key": "k"}, "a": "b"}], inputs="q", output="a")

    assert captured.calls[0].inputs == {"api_key": {"$type": "redacted"}}
