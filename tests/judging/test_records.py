"""A record is a call with all that it called, laid out as the app is."""

from __future__ import annotations

import json
import random

import laid_out
import msgspec
import pytest
from laid_out import call

from kibitz.base.errors import MissingPlace, UsageError
from kibitz.judging import main_values
from kibitz.judging.lenses import Lens
from kibitz.judging.records import Record
from kibitz.judging.select import Select


def selected(record: Record, lens: Lens) -> list[object]:
    return list(lens.get({"__record__": record}))


def test_calls_are_laid_out_as_the_app_is() -> None:
    record = laid_out.record()

    assert list(record.app) == ["retriever", "llm", "answer"]
    assert record.app.retriever.retrieve.rets[0] == {"text": "it is so"}
    assert record.app.retriever.retrieve[0].args == {"query": "why"}
    assert record.app["retriever"]["embed"][0].rets == [0.5]
    assert selected(record, Select.RecordCalls.retriever.retrieve.rets[:].text) == [
        "it is so",
        "nobody knows",
    ]


def test_the_calls_come_in_the_order_in_which_they_ended_and_the_root_is_the_last() -> None:
    record = laid_out.record()

    assert [each.op for each in record.calls] == [
        "retriever.embed",
        "retriever.retrieve",
        "llm.complete",
        "answer",
    ]
    assert selected(record, Select.RecordArgs.question) == ["why is it so?"]
    assert selected(record, Select.RecordRets) == ["because it is so"]
    assert selected(record, Select.RecordCall.op) == ["answer"]


def test_a_record_is_the_same_in_whatever_order_its_calls_come() -> None:
    calls = [
        call("r", "a", ends=50),
        *(call(f"x{number}", f"step{number % 3}", "r", ends=50) for number in range(6)),
        call("y", "inner", "x0", ends=50),
        call("z", "late", "r", ends=None),
    ]
    first = Record.of_calls(calls, "r")
    random.Random(1).shuffle(calls)

    assert Record.of_calls(calls, "r").to_json() == first.to_json()
    ids = [each.call_id for each in first.calls]
    assert ids.index("y") < ids.index("x0") < ids.index("r")
    assert ids[-2:] == ["z", "r"]


def test_only_what_the_root_called_is_in_its_record() -> None:
    calls = [*laid_out.rag(), call("other", "elsewhere"), call("lost", "orphan", "nobody")]

    assert [each.call_id for each in Record.of_calls(calls, "c1").calls] == ["c3", "c1"]
    assert len(Record.of_calls(calls, "c0").calls) == 4
    with pytest.raises(UsageError, match="'none' is not among the 6 calls"):
        Record.of_calls(calls, "none")


def test_calls_that_call_one_another_in_a_circle_end() -> None:
    calls = [call("r", "a", "q"), call("q", "b", "r")]

    assert {each.call_id for each in Record.of_calls(calls, "r").calls} == {"r", "q"}
    assert Record.of_calls(calls, "r").calls[0].stack == [
        {"path": "", "method": "a"},
        {"path": "", "method": "b"},
    ]


def test_one_call_of_an_op_and_many_read_alike() -> None:
    one = Record.of_calls([call("r", "a"), call("x", "b.c", "r", output=1)], "r")
    many = Record.of_calls(
        [
            call("r", "a"),
            call("x", "b.c", "r", output=1, ends=5),
            call("y", "b.c", "r", output=2, ends=6),
        ],
        "r",
    )

    assert selected(one, Select.RecordCalls.b.c.rets) == [1]
    assert selected(many, Select.RecordCalls.b.c.rets) == [1, 2]
    assert (one.app.b.c.rets, many.app.b.c.rets) == (1, [1, 2])


def test_ops_below_the_name_of_an_op_are_behind_its_calls() -> None:
    calls = [
        call("r", "rag"),
        call("x", "rag.retrieve", "r", output=1, ends=5),
        call("y", "rag.retrieve.rank", "x", output=2, ends=4),
    ]
    record = Record.of_calls(calls, "r")

    assert selected(record, Select.RecordCalls.rag.op) == ["rag"]
    assert selected(record, Select.RecordCalls.rag.retrieve.rets) == [1]
    assert selected(record, Select.RecordCalls.rag.retrieve.rank.rets) == [2]
    assert record.app.rag.retrieve.rank.rets == 2
    assert Record.of_calls(calls[::-1], "r").to_json() == record.to_json()


def test_a_call_that_failed_is_there_with_its_error_and_without_a_return_value() -> None:
    record = Record.of_calls(
        [
            call("r", "a", error="bad"),
            call("x", "b", "r", output=1, ends=5),
            call("y", "b", "r", error="no", ends=6),
        ],
        "r",
    )

    assert record.main_error == "ValueError: bad"
    assert selected(record, Select.RecordCalls.b.rets) == [1]
    assert selected(record, Select.RecordCalls.b.error) == [None, "ValueError: no"]
    assert selected(record, Select.spans(op="b").rets) == [1]
    assert not Select.RecordOutput.exists({"__record__": record})
    with pytest.raises(
        MissingPlace, match=r"'__record__', which has the keys record_id.*main_error"
    ):
        record.get(Select.RecordOutput)
    with pytest.raises(MissingPlace, match="of which 1 failed"):
        record.get(Select.RecordCalls.b.nothing)


def test_a_call_that_runs_has_no_return_value_and_no_latency() -> None:
    record = Record.of_calls([call("r", "a", ends=None)], "r")

    assert record.perf.latency is None
    assert record.main_error is None
    with pytest.raises(AttributeError, match="it runs"):
        _ = record.main_output


def test_the_fields_of_a_record() -> None:
    record = laid_out.record()

    assert record.record_id == "c0"
    assert (record.app_name, record.app_version, record.tags) == ("rag", "v2", "night")
    assert record.app_id == laid_out.record().app_id
    assert record.main_input == "why is it so?"
    assert record.main_output == "because it is so"
    assert record.main_error is None
    assert record.ts == laid_out.BEGAN
    assert record.perf.latency == 0.1
    assert (record.cost.n_tokens, record.cost.n_requests, record.cost.cost) == (30, 1, 0.25)
    assert record.meta["app_version"] == "v2"


def test_an_app_without_a_name_is_called_as_its_op_is() -> None:
    record = Record.of_calls([call("r", "Bot.answer")], "r")

    assert (record.app_name, record.app_version) == ("Bot", "base")


def test_the_cost_that_the_root_says_goes_before_the_sum() -> None:
    calls = [call("r", "a", tokens=100, cost=1.0), call("x", "b", "r", tokens=60, cost=0.6)]

    assert Record.of_calls(calls, "r").cost.cost == 1.0
    assert Record.of_calls(calls, "r").calls[0].cost.n_tokens == 60


def test_a_call_of_a_record_has_its_fields() -> None:
    found = laid_out.record().calls[0]

    assert (found.call_id, found.parent_id, found.op) == ("c3", "c1", "retriever.embed")
    assert (found.path, found.method, found.status, found.kind) == (
        "retriever",
        "embed",
        "success",
        None,
    )
    assert found.perf.latency == 0.008
    assert found.stack == [
        {"path": "", "method": "answer"},
        {"path": "retriever", "method": "retrieve"},
        {"path": "retriever", "method": "embed"},
    ]


def test_spans_are_selected_over_the_same_record() -> None:
    record = laid_out.record()

    assert selected(record, Select.spans(kind="retriever").rets[:].text) == [
        "it is so",
        "nobody knows",
    ]
    assert selected(record, Select.spans(op="llm.*", attributes={"env": "prod"}).rets) == [
        "because"
    ]


def test_places_in_the_json_of_a_record_are_places_of_the_record() -> None:
    record = laid_out.record()
    written = json.loads(msgspec.json.encode(record.to_json()))

    for lens in (
        Select.RecordCalls.retriever.retrieve.rets[:].text, Select.RecordRets, Select.RecordInput, Select.Record.calls.op,
        Select.RecordCalls.llm.complete[0].perf.latency, Select.Record.calls.stack[:].method, Select.Record.app_id,
    ):  # fmt: skip
        assert list(lens.paths({"__record__": written})) == list(lens.paths({"__record__": record}))
    assert list(written) == list(Record.KEYS)


def test_what_is_given_goes_before_what_is_worked_out() -> None:
    record = Record(
        record_id="c0", calls=laid_out.rag()[:1], main_input="asked", main_output="said"
    )

    assert (record.main_input, record.main_output) == ("asked", "said")


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ({}, None),
        ({"self": 1}, None),
        ({"self": 1, "question": "q", "k": 3}, "q"),
        ({"anything": "q"}, "q"),
        ({"number": 5}, 5),
        ({"request": {"question": "q", "user": 7}}, "q"),
        ({"request": {"user": 7, "limit": 8}}, {"user": 7, "limit": 8}),
        ({"request": {"only": {"query": "q"}}}, "q"),
        ({"model": "m", "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}, "q"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "see"}, {"type": "image_url"}, {"type": "text", "text": "this"}]}]}, "see\nthis"),
        ({"messages": [{"role": "system", "content": "s"}]}, "s"),
        ({"texts": ["a"]}, "a"),
        ({"texts": ["a", "b"]}, ["a", "b"]),
        ({"texts": []}, []),
        ({"note": {"$type": "markdown", "value": "**q**"}}, "**q**"),
        ({"at": {"$type": "date", "value": "2026-01-01"}}, {"$type": "date", "value": "2026-01-01"}),
        ("no arguments by name", "no arguments by name"),
    ],
)  # fmt: skip
def test_the_main_input(inputs: object, expected: object) -> None:
    assert main_values.of_inputs(inputs) == expected


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("a", "a"),
        (None, None),
        (0.5, 0.5),
        ({"answer": "a", "sources": []}, "a"),
        ({"choices": [{"message": {"role": "assistant", "content": "a"}}], "usage": {}}, "a"),
        ([{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}], "a"),
        ({"text": None, "output": "a"}, "a"),
        ({"a": 1, "b": 2}, {"a": 1, "b": 2}),
        ([["a"]], "a"),
    ],
)
def test_the_main_output(output: object, expected: object) -> None:
    assert main_values.of_output(output) == expected


def test_what_lies_very_deep_stays_as_it_is() -> None:
    value: object = "x"
    for _ in range(100):
        value = {"content": value}

    assert isinstance(main_values.of_output(value), dict)
