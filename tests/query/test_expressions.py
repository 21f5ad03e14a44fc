"""Queries as Python: what expressions compile to, what is said about mistakes, and that nothing grows without bound."""

from __future__ import annotations

import copy
import enum
import functools
import itertools
import operator
import pickle
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import numpy
import pytest

from kibitz.asking.calls import calls
from kibitz.base.errors import QueryError
from kibitz.base.values import Markdown
from kibitz.query import expressions, fields, json_form, nodes
from kibitz.query.expressions import (
    Columns,
    DurationField,
    NumberField,
    TimeField,
    attributes,
    inputs,
    output,
    summary,
)
from kibitz.query.expressions_conditions import Condition, all_of, any_of
from kibitz.query.expressions_feedback import feedback
from kibitz.query.nodes import And, ColumnField, Compare, FeedbackField, In, Not, Or, PathField

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (calls.op == "answer", "op = answer"),
        (calls.op != "answer", "op != answer"),
        (~(calls.op == "answer"), "op != answer"),
        (calls.parent_id == None, "parent_id is null"),  # noqa: E711
        (calls.parent_id != None, "parent_id is not null"),  # noqa: E711
        (calls.latency > 500, "latency_ms > 500"),
        (500 < calls.latency, "latency_ms > 500"),  # noqa: SIM300 the other way round
        (calls.latency_ms <= timedelta(seconds=2), "latency_ms <= 2000.0"),
        (calls.started_at >= NOON, "started_at >= 2026-03-01T12:00:00Z"),
        (calls.started_at < date(2026, 3, 1), "started_at < 2026-03-01T00:00:00Z"),
        (
            calls.ended_at < datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=2))),
            "ended_at < 2026-03-01T10:00:00Z",
        ),
        (calls.ended_at < "2026-03-01T12:00:00+01:00", "ended_at < 2026-03-01T11:00:00Z"),
        (calls.started_at > 0, "started_at > 1970-01-01T00:00:00Z"),
        (calls.status.is_in(["error", "running"]), "status in (error, running)"),
        (calls.op.contains("ans"), 'op contains "ans"'),
        (calls.cost.exists(), "exists cost"),
        (inputs.question.contains("Why", case_insensitive=True), 'inputs.question icontains "Why"'),
        (inputs["odd key"][0]["a.b"] == True, 'inputs."odd key".0."a.b" = true'),  # noqa: E712
        (inputs[""] == "", 'inputs."" = ""'),
        (inputs["size"] == 1.5, "inputs.size = 1.5"),
        (output.exists(), "exists output"),
        (output.items.size() > 3, "size(output.items) > 3"),
        (output.score.as_number() >= 1, "number(output.score) >= 1"),
        (output.score.as_bool() == True, "bool(output.score) = true"),  # noqa: E712
        (summary.cost.is_in([]), "summary.cost in ()"),
        (~(summary.cost.is_in([1, None])), "summary.cost not in (1, null)"),
        (attributes.env == Colour.RED, "attributes.env = red"),
        (attributes.level == Level.HIGH, "attributes.level = 3"),
        (attributes.level == numpy.float32(0.5), "attributes.level = 0.5"),
        (attributes.on == numpy.bool_(True), "attributes.on = true"),
        (attributes.text == Markdown("**a**"), 'attributes.text = "**a**"'),
        (feedback("grounded").output.match == True, "feedback.grounded.output.match = true"),  # noqa: E712
        (feedback("runnable.x").output == "true", 'feedback.runnable.x.output = "true"'),
        (feedback("my scorer").output > 0, 'feedback."my scorer".output > 0'),
        (feedback("runnable").output > 0, 'feedback."runnable".output > 0'),
        (feedback["grounded"].output > 0, "feedback.[grounded].output > 0"),
        (feedback("x").any.output < 1, "feedback.x.any.output < 1"),
        (feedback("x").version("3f9c").mean.output < 1, "feedback.x@3f9c.mean.output < 1"),
        (feedback("x").mean.output < 1, "feedback.x.mean.output < 1"),
        (feedback("x").agree.output == False, "feedback.x.agree.output = false"),  # noqa: E712
        (feedback("x")["mean"] < 1, 'feedback.x."mean" < 1'),
        (feedback("x").payload.count < 1, 'feedback.x."count" < 1'),
        (feedback("note").author == "ada", "feedback.note.author = ada"),
        (feedback("note").all.author != "ada", "feedback.note.all.author != ada"),
        (feedback("note").created_at > NOON, "feedback.note.created_at > 2026-03-01T12:00:00Z"),
        (feedback("note").max.created_at > NOON, "feedback.note.max.created_at > 2026-03-01T12:00:00Z"),
        (feedback("*").count >= 2, "feedback.[*].count >= 2"),
        (feedback("thumb").exists(), "feedback.thumb"),
        (~feedback("thumb"), "not feedback.thumb"),
        (feedback("a") & feedback("b"), "feedback.a and feedback.b"),
        (feedback("a") | (calls.op == "x"), "feedback.a or op = x"),
        ((calls.op == "x") & feedback("a"), "op = x and feedback.a"),
    ],
    ids=repr,
)  # fmt: skip
def test_an_expression_is_what_its_text_says(made: Condition, text: str) -> None:
    assert made.to_text() == repr(made) == text


def test_a_chain_of_signs_is_one_condition() -> None:
    a, b, c = (calls.op == name for name in "abc")

    assert (a & b & c).node == And((a.node, b.node, c.node))
    assert (a | b | c).node == Or((a.node, b.node, c.node))
    assert (a & (b & c)).node == And((a.node, And((b.node, c.node))))
    assert (a & b | c).node == Or((And((a.node, b.node)), c.node))
    assert (~(a & b)).node == Not(And((a.node, b.node)))
    assert all_of(a).node == And((a.node,))
    assert any_of(a, feedback("note")).node == Or((a.node, feedback("note").exists().node))


def test_every_column_is_a_field_of_the_kind_that_it_holds() -> None:
    for name in fields.COLUMNS:
        field = getattr(Columns, name)
        expected: type = expressions.TextField
        if name in fields.TIME_COLUMNS:
            expected = TimeField
        elif name == "latency_ms":
            expected = DurationField
        elif name in fields.NUMBER_COLUMNS:
            expected = NumberField
        elif name == "status":
            expected = expressions.StatusField
        assert type(field) is expected
        assert field.operand == ColumnField(name)


def test_conditions_are_equal_where_they_ask_the_same() -> None:
    assert (inputs.a == 1) == (inputs.a == 1)
    assert (inputs.a == 1) != (inputs.a == True)  # noqa: E712
    assert (inputs.a == 1) != (inputs.a == 1.0)
    assert (inputs.a == 1) != "inputs.a = 1"
    assert len({calls.op == "a", calls.op == "a", calls.op == "b"}) == 2
    assert len({calls.op, calls.latency, calls.op.asc(), calls.op.desc(), calls.op.asc()}) == 4
    assert feedback("x").output.asc() != feedback["x"].output.asc()


def test_a_short_name_is_resolved_when_it_is_asked() -> None:
    made = (feedback("x").value > 1) & ~feedback("x")

    assert made.node == And(
        (
            Compare(FeedbackField("runnable.x", ("value",)), "gt", 1),
            Not(nodes.Exists(FeedbackField("runnable.x"))),
        )
    )
    assert made.resolved(["annotation.x"]) == And(
        (
            Compare(FeedbackField("annotation.x", ("value",)), "gt", 1),
            Not(nodes.Exists(FeedbackField("annotation.x"))),
        )
    )
    with pytest.raises(QueryError, match="may be"):
        made.resolved(["annotation.x", "runnable.x"])
    assert made.to_json() == json_form.where_to_json(made.node)


@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda given: pickle.loads(pickle.dumps(given))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_what_is_copied_is_the_same(copied: Any) -> None:
    for made in (inputs.a.b > 1, feedback("x").output == "y", ~feedback("x")):
        assert copied(made) == made
    for field in (inputs.a["_b"], calls.latency, feedback("x").mean, output.size()):
        assert repr(copied(field)) == repr(field)
    assert copied(calls.op.desc()) == calls.op.desc()


def test_what_python_looks_for_by_itself_is_no_key() -> None:
    for each in (inputs, feedback("x"), output.a):
        for name in ("_repr_html_", "__len__", "__array__", "__wrapped__"):
            assert not hasattr(each, name)
    with pytest.raises(AttributeError, match=r"write \['_id'\]"):
        _ = inputs._id


A = calls.op == "a"


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda: A and A, "Python's and, or, not, if and a < b < c cannot be used"),
        (lambda: A or A, "join conditions with & | ~"),
        (lambda: not A, "not true or false before it is asked"),
        (lambda: 1 < inputs.a < 3, "a < b < c cannot be used"),
        (lambda: feedback("x") and A, "in place of and, or and not"),
        (lambda: bool(inputs.ok), "inputs.ok is no condition by itself; write inputs.ok == True"),
        (lambda: calls.op == "a" & calls.latency > 5, "put each comparison in parentheses"),
        (lambda: A & calls.op, "op is no condition by itself"),
        (lambda: calls.op & A, "op is no condition by itself"),
        (lambda: ~inputs.ok, "write inputs.ok != True"),
        (lambda: A & True, "true is no condition"),
        (lambda: A | "op = b", "is no condition"),
        (lambda: all_of(), "of no conditions says nothing"),
        (lambda: "a" in inputs, "write inputs.contains"),
        (lambda: list(inputs), "cannot be gone through"),
        (lambda: list(feedback("x")), "cannot be gone through"),
        (lambda: list(feedback), "cannot be gone through"),
        (lambda: feedback("x") == 3, "feedback.x is a whole judgement; name what it says"),
        (lambda: feedback("x") < 3, "feedback.x.output"),
        (lambda: feedback("x").payload == 3, "a whole judgement"),
        (lambda: feedback("x").payload.asc(), "a whole judgement"),
        (lambda: feedback(""), "feedback of what?"),
        (lambda: feedback(3), "feedback of what?"),
        (lambda: feedback[None], "feedback of what?"),
        (lambda: feedback("x").version("xyz"), "not the beginning of a digest"),
        (lambda: feedback("x").mean.author == "a", "there is no author of feedback.x.mean"),
        (lambda: feedback("x").agree.created_at, "there is no created_at of feedback.x.agree"),
        (lambda: feedback("x").any.mean.any, "there is no any of feedback.x.mean"),
        (lambda: feedback("x").mean.output == "a", "is not a number"),
        (lambda: feedback("x").mean.output.contains("a"), "is a number and has no contains()"),
        (lambda: inputs.a == inputs.b, "queries cannot compare two"),
        (lambda: inputs.a == A, "queries cannot compare two"),
        (lambda: inputs.a == feedback("x"), "queries cannot compare two"),
        (lambda: inputs.a == [1], "nothing else can be compared"),
        (lambda: inputs.a == {"a": 1}, "nothing else can be compared"),
        (lambda: inputs.a == b"a", "nothing else can be compared"),
        (lambda: inputs.a > None, "compare with == or !="),
        (lambda: inputs.a == float("nan"), "finite"),
        (lambda: inputs.a == 10**400, "finite"),
        (lambda: inputs.a == "\ud800", "surrogate"),
        (lambda: inputs["\ud800"] == 1, "surrogate"),
        (lambda: inputs.a == "x" * 10_001, "10,000 bytes"),
        (lambda: inputs.a == NOON, "is no time column"),
        (lambda: inputs.a == timedelta(1), "only the latency can be"),
        (lambda: calls.started_at > datetime(2026, 3, 1), "has no zone"),  # noqa: DTZ001
        (lambda: calls.started_at > "yesterday", "is not a time"),
        (lambda: calls.op == 5, "is not a text"),
        (lambda: calls.latency == "2s", "is not a number"),
        (lambda: calls.latency == True, "is not a number"),  # noqa: E712
        (lambda: calls.status == "succes", "did you mean 'success'"),
        (lambda: calls.op.is_in("abc"), "takes a list"),
        (lambda: calls.op.is_in(5), "takes a list"),
        (lambda: calls.op.is_in(["a", 5]), "is not a text"),
        (lambda: inputs.a.contains(5), "contains takes a text"),
        (lambda: inputs.a.matches(None), "matches takes a text"),
        (lambda: inputs[-1], "whole numbers from 0 on"),
        (lambda: inputs[True], "whole numbers from 0 on"),
        (lambda: inputs[1.5], "whole numbers from 0 on"),
        (lambda: inputs[1:2], "whole numbers from 0 on"),
        (lambda: inputs.a.size().size(), None),
        (lambda: output.a.as_text().size(), "is worked out already"),
        (lambda: calls.latency.size(), None),
    ],
)  # fmt: skip
def test_a_mistake_says_the_way_out(ask: Any, says: str | None) -> None:
    with pytest.raises(AttributeError if says is None else QueryError) as caught:
        ask()

    if says is not None:
        assert says in str(caught.value)
        assert len(str(caught.value)) < 1500
        str(caught.value).encode()


def test_a_column_that_is_nearly_one_is_shown() -> None:
    with pytest.raises(AttributeError, match="did you mean 'latency'"):
        _ = calls.latenci  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match="there are id, trace_id"):
        _ = calls.zebra  # type: ignore[attr-defined]


def _chain(number: int, join: Any) -> Condition:
    return functools.reduce(join, (calls.op == str(n) for n in range(number)))


def test_as_many_conditions_as_json_takes_and_no_more() -> None:
    whole = _chain(json_form.MAX_NODES - 1, operator.or_)

    assert json_form.parse_where(whole.to_json()) == whole.node
    with pytest.raises(QueryError, match="more than 500 conditions"):
        whole | A
    with pytest.raises(QueryError, match="more than 500 conditions"):
        any_of(*itertools.repeat(A, 500))


def _nested(depth: int) -> Condition:
    made = calls.op.exists()
    for n in range(depth - 1):
        made = ~made if n % 2 else all_of(made)
    return made


def test_as_deep_as_json_takes_and_no_deeper() -> None:
    deep = _nested(json_form.MAX_DEPTH)

    assert json_form.parse_where(deep.to_json()) == deep.node
    with pytest.raises(QueryError, match="nested deeper than 32"):
        _ = ~deep
    with pytest.raises(QueryError, match="nested deeper than 32"):
        any_of(A, deep)
    with pytest.raises(QueryError, match="nested deeper than 32"):
        Condition(Not(deep.node))


def test_as_many_values_as_json_takes_and_no_more() -> None:
    most = inputs.a.is_in(range(json_form.MAX_IN_VALUES))

    assert (
        json_form.parse_where(most.to_json())
        == most.node
        == In(PathField("inputs", ("a",)), tuple(range(json_form.MAX_IN_VALUES)))
    )
    with pytest.raises(QueryError, match="more than 5,000 values"):
        any_of(most, most, most, most, most, A)


def _endless(field: Any) -> Any:
    while True:
        field = field.a


@pytest.mark.parametrize(
    ("bomb", "says"),
    [
        (lambda: _chain(10**9, operator.or_), "500 conditions"),
        (lambda: _chain(10**9, operator.and_), "500 conditions"),
        (lambda: any_of(*itertools.repeat(A, 10**6)), "500 conditions"),
        (lambda: functools.reduce(lambda made, _: ~made, range(10**9), calls.op.exists()), "32"),
        (lambda: functools.reduce(lambda made, _: made & (A | made), range(10**9), A), "conditions"),
        (lambda: inputs.a.is_in(itertools.count()), "1,000 values"),
        (lambda: inputs.a.is_in("x" * 9000 for _ in itertools.count()), "1,000 values"),
        (lambda: _endless(inputs), "at most 32 keys"),
        (lambda: _endless(feedback("x").payload), "at most 32 keys"),
        (lambda: inputs["x" * 10**7] == 1, "at most 1,024"),
        (lambda: inputs[10**5000] == 1, "whole numbers from 0 on"),
        (lambda: inputs[1][2][3][4] == 1, "parts of digits"),
        (lambda: feedback("x" * 10**7).output == 1, "at most 1,024"),
        (lambda: feedback["]" * 10**6].output == 1, "at most 1,024"),
        (lambda: inputs.a == "x" * 10**7, "10,000 bytes"),
        (lambda: inputs.a == 10**100_000, "finite"),
        (lambda: inputs.a.contains("x" * 10**7), "10,000 bytes"),
        (lambda: inputs.a.matches("(" * 10**7), "10,000 bytes"),
    ],
)  # fmt: skip
def test_a_bomb_is_refused_while_it_is_built(bomb: Any, says: str) -> None:
    with pytest.raises(QueryError, match=says) as caught:
        bomb()

    assert len(str(caught.value)) < 1500


def test_what_is_too_long_for_a_text_still_prints() -> None:
    long = any_of(*(inputs.a == "x" * 9000 for _ in range(5)))

    assert repr(long) == "<6 conditions>"
    with pytest.raises(QueryError, match="20,000"):
        long.to_text()
    assert json_form.parse_where(long.to_json()) == long.node
