"""What type checkers see of questions: fields know what they compare with, and nothing is true or false by itself.

Only checked, not run. An ignored error must be one: an unnecessary ignore is an error too.
"""
# pyright: strict, reportUnnecessaryTypeIgnoreComment=true
# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, assert_type

import pandas
import polars
import pyarrow

import kibitz
from kibitz import (
    CallSet,
    Condition,
    attributes,
    calls,
    feedback,
    inputs,
    measures,
    output,
    summary,
)
from kibitz.asking.actions import Done
from kibitz.asking.groups import Groups, Table
from kibitz.base.records import Call, View
from kibitz.query.expressions import NumberField, Place, Scalar, TextField, TimeField
from kibitz.query.expressions_conditions import Order
from kibitz.query.expressions_feedback import Judgement, Said


def fields() -> None:
    assert_type(calls.op == "answer", Condition)
    assert_type(calls.parent_id == None, Condition)  # noqa: E711
    assert_type(calls.op != "answer", Condition)
    assert_type(calls.latency > 500, Condition)
    assert_type(calls.latency <= timedelta(seconds=2), Condition)
    assert_type(calls.started_at >= datetime(2026, 3, 1, tzinfo=UTC), Condition)
    assert_type(calls.started_at < date(2026, 3, 1), Condition)
    assert_type(calls.ended_at < "2026-03-01T12:00:00Z", Condition)
    assert_type(calls.status == "error", Condition)
    assert_type(calls.status.is_in(["error", "running"]), Condition)
    assert_type(calls.op.contains("ans", case_insensitive=True), Condition)
    assert_type(calls.op.matches("^ans"), Condition)
    assert_type(calls.op.size() > 3, Condition)
    assert_type(calls.cost.exists(), Condition)
    assert_type(calls.tokens.desc(), Order)


def places() -> None:
    assert_type(inputs.question, Place[Scalar])
    assert_type(inputs["odd key"][0].text, Place[Scalar])
    assert_type(inputs.question == "why?", Condition)
    assert_type(output.score >= 0.5, Condition)
    assert_type(output.ok == True, Condition)  # noqa: E712
    assert_type(summary.usage.exists(), Condition)
    assert_type(output.items.size(), NumberField)
    assert_type(output.score.as_number() > 1, Condition)
    assert_type(output.score.as_text(), TextField)
    assert_type(attributes.env == "prod", Condition)
    assert_type(attributes["user.id"].is_in([1, "1", None]), Condition)


def judgements() -> None:
    assert_type(feedback("grounded"), Judgement)
    assert_type(feedback["any type"], Judgement)
    assert_type(feedback("grounded").output.match == True, Condition)  # noqa: E712
    assert_type(feedback("grounded")["odd key"] < 3, Condition)
    assert_type(feedback("grounded").version("3f9c").any.output > 0, Condition)
    assert_type(feedback("grounded").mean, Said[float])
    assert_type(feedback("grounded").mean.output > 0.5, Condition)
    assert_type(feedback("grounded").agree.output == True, Condition)  # noqa: E712
    assert_type(feedback("note").author, TextField)
    assert_type(feedback("note").created_at, TimeField)
    assert_type(feedback("note").min.created_at, TimeField)
    assert_type(feedback("*").count >= 2, Condition)
    assert_type(~feedback("note"), Condition)
    assert_type(feedback("note") | (calls.op == "a"), Condition)
    assert_type((calls.op == "a") & feedback("note"), Condition)


def sets() -> None:
    found = calls("acme/app", source="./.kibitz").where(calls.op == "a", "latency > 2s")
    assert_type(found, CallSet)
    assert_type(found.where(feedback("note")), CallSet)
    assert_type(found.sort(calls.latency.desc(), inputs.n, "op desc"), CallSet)
    assert_type(found.limit(3).columns("inputs", output.text, feedback("x").output), CallSet)
    assert_type(iter(found), Iterator[Call])
    assert_type(found.first(), Call | None)
    assert_type(found.one(), Call)
    assert_type(found.get("id"), Call)
    assert_type(found.count(bound=10), int)
    assert_type(found.to_json(), dict[str, Any])
    assert_type(found.to_arrow(), pyarrow.Table)
    assert_type(found.to_pandas(progress=False), pandas.DataFrame)
    assert_type(found.to_polars(), polars.DataFrame)
    assert_type(found.add_feedback("note", {"note": "x"}, author="ada"), Done)
    assert_type(found.delete(expected=3), Done)
    assert_type(found.export("a.csv"), int)


def groups() -> None:
    every = calls("acme/app")
    assert_type(every.group_by(calls.op, inputs.n, "day"), Groups)
    assert_type(every.judgements("note").group_by("author"), Groups)
    found = every.group_by(calls.op).aggregate(
        measures.count(), slow=measures.quantile(calls.latency, 0.95), other="mean(cost)"
    )
    assert_type(found, Table)
    assert_type(found.to_pandas(), pandas.DataFrame)
    assert_type(list(found), list[dict[str, Any]])
    every.group_by(5)  # pyright: ignore[reportArgumentType] no key
    every.group_by(calls.op).aggregate(calls.op)  # pyright: ignore[reportArgumentType] no measure
    measures.mean("latency")  # pyright: ignore[reportArgumentType] no field


def views() -> None:
    every = kibitz.views("acme/app")
    assert_type(every.calls("worst"), CallSet)
    assert_type(every.save("worst", calls("acme/app"), columns=[calls.op, "input"]), View)
    assert_type(list(every), list[View])


def recording() -> None:
    with kibitz.attributes(env="prod"), kibitz.attributes({"user.id": 3}):
        pass


def wrong_values(every: CallSet) -> None:
    # What == cannot compare it calls False, and that is no condition.
    every.where(calls.latency == "slow")  # pyright: ignore[reportArgumentType] a number
    every.where(calls.op == 5)  # pyright: ignore[reportArgumentType] a text
    every.where(calls.status == "succes")  # pyright: ignore[reportArgumentType] a closed set
    every.where(inputs.a == [1])  # pyright: ignore[reportArgumentType] lists equal nothing
    every.where(inputs.a == inputs.b)  # pyright: ignore[reportOperatorIssue] two fields
    every.where(feedback("x") == 5)  # pyright: ignore[reportArgumentType] a whole judgement
    every.where(feedback("x").mean.output == "good")  # pyright: ignore[reportArgumentType] a number
    every.where(feedback("x").agree.output == 3)  # pyright: ignore[reportArgumentType] a boolean
    every.where(calls.op > 5)  # pyright: ignore[reportOperatorIssue]
    every.where(calls.started_at > timedelta(hours=1))  # pyright: ignore[reportOperatorIssue] no moment
    every.where(calls.op > None)  # pyright: ignore[reportOperatorIssue] null has no order
    every.where(calls.op.is_in([5]))  # pyright: ignore[reportArgumentType]
    every.where(inputs.question.contains(5))  # pyright: ignore[reportArgumentType]
    every.where(feedback("x").version(3))  # pyright: ignore[reportArgumentType]
    every.where(feedback(3))  # pyright: ignore[reportArgumentType]


def wrong_names(every: CallSet) -> None:
    every.sort(calls.latenci)  # pyright: ignore[reportAttributeAccessIssue]
    every.sort(calls.op.text)  # pyright: ignore[reportAttributeAccessIssue]
    every.where(calls.latency.contains("5"))  # pyright: ignore[reportAttributeAccessIssue]
    every.when(calls.op == "a")  # pyright: ignore[reportAttributeAccessIssue]


def wrong_joins(every: CallSet) -> None:
    every.where(calls.op == "a" & calls.latency > 5)  # pyright: ignore[reportOperatorIssue] parentheses
    every.where(~calls.op)  # pyright: ignore[reportOperatorIssue] no condition
    every.where((calls.op == "a") & True)  # pyright: ignore[reportOperatorIssue] a value
    every.where(calls.op)  # pyright: ignore[reportArgumentType]
    every.where(True)  # pyright: ignore[reportArgumentType]
    every.sort(calls.op == "a")  # pyright: ignore[reportArgumentType] no key


def wrong_if(given: Condition) -> None:
    if given:  # pyright: ignore[reportGeneralTypeIssues] a condition is neither true nor false
        pass


def wrong_chain() -> None:
    assert 1 < inputs.a < 3  # pyright: ignore[reportGeneralTypeIssues]


def wrong_not(given: Condition) -> None:
    assert not given  # pyright: ignore[reportGeneralTypeIssues]
