"""Judgements on a call: by hand and by a program."""

from __future__ import annotations

import asyncio

import pytest

import kibitz
from kibitz.base import refs
from kibitz.base.errors import InvalidRecord, UsageError
from kibitz.testing import capture
from kibitz.testing.capturing import PROJECT, Captured


@kibitz.op
def answer(question, style="short"):
    return f"{question}!"


@kibitz.op
def length(output):
    return {"characters": len(output)}


def test_feedback_is_sent_with_the_id_that_was_returned(captured: Captured):
    _, call = answer.call("hi")

    given = [
        call.feedback.add_reaction("👍", author="Ada"),
        call.feedback.add_note("good"),
        call.feedback.add("correct", {"value": True}),
    ]

    parts = captured.feedback
    assert [part.id for part in parts] == given
    assert [(part.type, part.payload, part.author, part.author_kind) for part in parts] == [
        ("reaction", {"emoji": "👍"}, "Ada", "person"),
        ("note", {"note": "good"}, "", "person"),
        ("correct", {"value": True}, "", "person"),
    ]
    assert {part.target_ref for part in parts} == {refs.call_ref(PROJECT, call.id)}
    assert captured.flush().feedback_sent == 3


@pytest.mark.parametrize(
    ("type_", "payload", "more"),
    [
        ("reaction", {"emoji": "not one"}, {}),
        ("note", {"note": ""}, {}),
        ("note", {"note": "x" * 10_001}, {}),
        ("a b", {"x": 1}, {}),
        ("runnable.x", {"output": 1}, {}),
        ("word", [1], {}),
        ("word", {"$type": "datetime"}, {}),
        ("word", {}, {"author": "a\nb"}),
        ("word", {}, {"author_kind": "robot"}),
    ],
)
def test_invalid_feedback_raises_at_once(captured: Captured, type_, payload, more):
    _, call = answer.call("hi")

    with pytest.raises(UsageError):
        call.feedback.add(type_, payload, **more)

    assert captured.feedback == []


def test_payloads_are_made_json_and_secrets_are_left_out(captured: Captured):
    _, call = answer.call("hi")

    call.feedback.add("word", {"when": {1}, "token": "t", "bad": "\ud800\0"})

    assert captured.feedback[0].payload == {
        "when": {"$type": "set", "value": [1]},
        "token": {"$type": "redacted"},
        "bad": "�␀",
    }


def test_a_scorer_is_a_call_of_its_own_and_its_result_a_runnable_feedback(captured: Captured):
    _, call = answer.call("hi")

    output, scored, feedback_id = call.apply_scorer_sync(length)

    assert output == {"characters": 3}
    (part,) = captured.feedback
    judged, judging = captured.calls
    assert judging.parent_id is None
    assert judging.trace_id == scored.id != judged.trace_id
    assert part.id == feedback_id
    assert (part.type, part.payload, part.author_kind) == (
        "runnable.length",
        {"output": {"characters": 3}},
        "program",
    )
    assert part.target_ref == call.ref
    assert part.call_ref == scored.ref
    assert part.runnable_ref == judging.op_ref
    assert refs.parse_ref(part.runnable_ref or "").name == "length"


def test_an_op_that_judges_is_a_scorer_and_only_there(captured: Captured):
    @kibitz.op
    def shout(output):
        return length(output)

    @kibitz.op(kind="llm")
    def judge(output):
        return True

    _, call = answer.call("hi")
    call.apply_scorer_sync(shout)
    call.apply_scorer_sync(judge)
    shout("hi")

    assert [(part.op, part.kind) for part in captured.calls] == [
        ("answer", None),
        ("shout", "scorer"),
        ("length", None),
        ("judge", "llm"),
        ("shout", None),
        ("length", None),
    ]


def test_scorers_may_be_functions_async_methods_and_take_what_they_name(captured: Captured):
    class Judge:
        def __init__(self):
            self.floor = 2

        @kibitz.op(name="judge")
        def score(self, question, model_output):
            return len(model_output) >= self.floor and question in model_output

        def plain(self, output):
            return output

    def contains(question, output, style, word="hi", limit=3):
        return [question, output, style, word, limit]

    async def later(output):
        await asyncio.sleep(0)
        return output == "hi!"

    _, call = answer.call("hi")

    async def judge():
        return [
            (await call.apply_scorer(scorer, **more)).output
            for scorer, more in [
                (contains, {"word": "other"}),
                (later, {}),
                (kibitz.op(later), {}),
                (Judge().score, {}),
                (Judge().plain, {}),
                (lambda output: 1, {}),
            ]
        ]

    found = asyncio.run(judge())

    assert found == [["hi", "hi!", "short", "other", 3], True, True, True, "hi!", 1]
    assert [part.type for part in captured.feedback] == [
        "runnable.contains",
        "runnable.later",
        "runnable.later",
        "runnable.judge",
        "runnable.Judge.plain",
        "runnable.lambda",
    ]


def test_an_async_scorer_works_without_a_loop_and_says_so_inside_one(captured: Captured):
    async def later(output):
        return output

    _, call = answer.call("hi")
    assert call.apply_scorer_sync(later).output == "hi!"

    async def inside():
        with pytest.raises(UsageError, match="await call.apply_scorer"):
            call.apply_scorer_sync(later)

    asyncio.run(inside())


def test_a_scorer_that_raises_is_recorded_and_gives_no_feedback(captured: Captured):
    def broken(output):
        raise ZeroDivisionError("no")

    _, call = answer.call("hi")

    with pytest.raises(ZeroDivisionError):
        call.apply_scorer_sync(broken)
    with pytest.raises(ZeroDivisionError):
        asyncio.run(call.apply_scorer(broken))

    assert [part.get("error") for part in captured.tree()] == [
        None,
        "ZeroDivisionError: no",
        "ZeroDivisionError: no",
    ]
    assert captured.feedback == []


def test_a_parameter_without_a_value_is_named(captured: Captured):
    def needs(output, context):
        return context

    _, call = answer.call("hi")

    with pytest.raises(UsageError, match=r"needs 'context'.*question, style, output") as caught:
        call.apply_scorer_sync(needs)
    with pytest.raises(UsageError, match="has no parameter 'colour'"):
        call.apply_scorer_sync(length, colour=1)

    assert caught.value.facts["field"] == "context"
    assert call.apply_scorer_sync(needs, context=[1]).output == [1]


def test_a_call_without_output_cannot_be_judged_by_it(captured: Captured):
    handles = []

    @kibitz.op
    def fails():
        handles.append(kibitz.get_current_call())
        raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        fails()

    with pytest.raises(UsageError, match="has no output"):
        handles[0].apply_scorer_sync(length)
    assert handles[0].apply_scorer_sync(lambda: 1).output == 1


def test_the_handle_of_the_current_call_serves_after_its_end(captured: Captured):
    handles = []

    @kibitz.op
    def keeps(question):
        handles.append(kibitz.get_current_call())
        return [question]

    keeps("hi")
    captured.flush()

    assert (handles[0].inputs, handles[0].output) == ({"question": "hi"}, ["hi"])
    assert handles[0].apply_scorer_sync(length).output == {"characters": 1}


def test_scorers_get_the_values_themselves(captured: Captured):
    class Answer:
        text = "abc"

    @kibitz.op
    def make():
        return Answer()

    _, call = make.call()

    assert call.apply_scorer_sync(lambda output: output.text).output == "abc"


def test_the_scorers_of_a_sampled_trace_are_recorded_whatever_the_rate():
    with capture(settings={"sample_rate": 0.0}) as captured:

        @kibitz.op(sample_rate=1.0)
        def chosen():
            return "abc"

        _, call = chosen.call()
        _, other = answer.call("left out")
        assert call.apply_scorer_sync(length).feedback_id is not None
        assert other.apply_scorer_sync(length)[0::2] == ({"characters": 9}, None)

        assert [part["op"] for part in captured.tree()] == ["chosen", "length"]
        assert len(captured.feedback) == 1


def test_attributes_of_an_ended_call_cannot_be_set(captured: Captured):
    _, call = answer.call("hi")

    with pytest.raises(UsageError, match="has ended"):
        call.set_attributes({"a": 1})


def test_a_payload_that_is_refused_names_the_field(captured: Captured):
    _, call = answer.call("hi")

    with pytest.raises(InvalidRecord) as caught:
        call.feedback.add_reaction("no")

    assert caught.value.facts["field"] == "payload.emoji"
