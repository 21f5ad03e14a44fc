"""Groups of calls and of judgements from Python: what is measured, and as which frame, in a folder and over HTTP alike."""

from __future__ import annotations

import math
import statistics
from typing import Any

import pytest

from kibitz.asking import measures
from kibitz.asking.calls import CallSet, calls
from kibitz.asking.groups import Table
from kibitz.base.errors import QueryError
from kibitz.base.records import Measured
from kibitz.query.expressions import attributes, inputs, output
from kibitz.query.expressions_feedback import feedback

PROJECT = "acme/app"


@pytest.fixture(name="every")
def _every(source: str) -> CallSet:
    return calls(PROJECT, source)


def rows(table: Table) -> list[dict[str, Any]]:
    return list(table)


def test_calls_are_counted_and_measured_in_groups(every: CallSet) -> None:
    found = every.group_by(calls.op).aggregate(
        measures.count(),
        measures.mean(calls.latency),
        slow="max(latency)",
        helpful=measures.mean(feedback("helpful").value),
        order="slow desc",
    )

    latency = {
        op: [100.0 * (n + 1) for n in range(12) if (n % 2 == 1) == (op == "retrieve")]
        for op in ("answer", "retrieve")
    }
    assert rows(found) == [
        {
            "op": op,
            "count": 6,
            "mean(latency_ms)": pytest.approx(statistics.mean(latency[op])),
            "slow": max(latency[op]),
            # Of c01 and c02 bob's counts, who spoke last.
            "helpful": pytest.approx(value),
        }
        for op, value in (("retrieve", 3.0), ("answer", 3.0))
    ]
    assert (found.keys, found.measures) == (
        ("op",),
        ("count", "mean(latency_ms)", "slow", "helpful"),
    )
    assert len(found) == 2
    assert not found.truncated


def test_every_measure_can_be_written_as_python(every: CallSet) -> None:
    n = inputs.n
    [row] = every.aggregate(
        count=measures.count(),
        there=measures.count(feedback("helpful").value),
        mean=measures.mean(n),
        sd=measures.sd(n),
        sum=measures.sum(n),
        least=measures.min(n),
        most=measures.max(n),
        middle=measures.median(n),
        high=measures.quantile(n, 0.75),
        up=measures.share(feedback("thumb").up),
        prod=measures.share(attributes.env, "prod"),
        two=measures.share(n, 2),
        spread=measures.histogram(n, 3),
        frequent=measures.values(attributes.env),
        different=measures.distinct(calls.op),
    )

    numbers = list(range(12))
    assert {name: row[name] for name in ("count", "there", "sum", "least", "most", "different")} == {
        "count": 12, "there": 6, "sum": 66, "least": 0, "most": 11, "different": 2,
    }  # fmt: skip
    assert row["mean"] == statistics.mean(numbers)
    assert row["sd"] == pytest.approx(statistics.stdev(numbers))
    assert (row["middle"], row["high"]) == (5.5, 8.25)
    assert row["up"] == pytest.approx(2 / 3)
    assert row["prod"] == 0.5
    assert row["two"] == pytest.approx(1 / 12)
    assert sum(row["spread"].counts) == 12
    assert len(row["spread"].counts) == 3
    assert {each.value: each.n for each in row["frequent"].categories} == {"prod": 6, "test": 6}


def test_groups_are_of_what_the_set_has(every: CallSet) -> None:
    prod = every.where(attributes.env == "prod", "status = success")

    assert rows(prod.group_by("day", attributes.env).aggregate()) == [
        {"day": "2026-03-01", "attributes.env": "prod", "count": 5}
    ]
    assert rows(every.where(inputs.n > 100).aggregate("count", "mean(latency)")) == [
        {"count": 0, "mean(latency)": None}
    ]
    assert len(every.group_by(inputs.n).agg(limit=5)) == 5
    assert every.group_by(inputs.n).agg(limit=5).truncated


def test_a_short_name_is_looked_up_in_the_project(every: CallSet) -> None:
    by_value = every.group_by(feedback("thumb").up).aggregate(measures.count())

    assert [row["count"] for row in by_value] == [1, 2, 9]
    assert [row["feedback.thumb.up"] for row in by_value] == [False, True, None]
    with pytest.raises(QueryError, match="did you mean 'thumb'"):
        every.group_by(feedback("thumbs").up).aggregate()


def test_judgements_are_grouped_too(every: CallSet) -> None:
    by_author = every.judgements("helpful").group_by("author")

    assert rows(by_author.aggregate("count", mean="mean(payload.value)", order="count desc")) == [
        {"author": "ada", "count": 6, "mean": 2.5},
        {"author": "bob", "count": 2, "mean": 3.0},
    ]
    assert [row["count"] for row in every.judgements(author="bob").aggregate()] == [3]
    only = every.where(inputs.n == 1).judgements().group_by("type").aggregate()
    assert {row["type"]: row["count"] for row in only} == {"helpful": 2, "thumb": 1}


def test_rows_become_frames(every: CallSet) -> None:
    found = every.group_by(calls.op, inputs["odd key"][0]).aggregate(
        n=measures.count(),
        right=measures.share(calls.status, "success"),
        spread=measures.histogram(calls.latency, 2),
        envs=measures.values(attributes.env),
    )

    table = found.to_arrow()
    assert table.column_names == [
        "op", 'inputs."odd key".0', "n", "right", "right.low", "right.high",
        "spread.edges", "spread.counts", "envs.values", "envs.counts",
    ]  # fmt: skip
    assert table.num_rows == len(found) == 12
    assert str(table.schema.field("n").type) == "int64"
    for frame in (found.to_pandas(), found.to_polars().to_pandas()):
        assert list(frame["op"]) == ["answer"] * 6 + ["retrieve"] * 6
        assert list(frame["n"]) == [1] * 12
        assert all(
            low <= high for low, high in zip(frame["right.low"], frame["right.high"], strict=True)
        )


def test_keys_of_several_kinds_are_kept_apart_in_a_frame(every: CallSet) -> None:
    by_items = every.group_by(output.items[0]).aggregate().to_arrow()
    mixed = every.group_by(feedback("*").value, feedback("thumb").up).aggregate().to_arrow()

    assert by_items.num_rows == 2
    assert mixed.num_rows > 2


def test_groups_and_rows_can_be_read(every: CallSet) -> None:
    groups = every.where(inputs.n < 3).group_by(calls.op)

    assert repr(groups) == "<calls of acme/app by op: inputs.n < 3>"
    assert repr(groups.aggregate("count", share=measures.share(attributes.env, "prod"))) == (
        "op        count  share\nanswer    2      1\nretrieve  1      1"
    )
    assert repr(every.group_by(calls.id).aggregate("histogram(latency)")).count("1 values") == 12


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda every: every.limit(3).aggregate(), "of all calls that match"),
        (lambda every: every.group_by("opp"), "did you mean 'op'"),
        (lambda every: every.group_by(5), "is no field"),
        (lambda every: every.group_by(inputs.a.size()), "is worked out"),
        (lambda every: every.aggregate("meen(latency)"), "did you mean 'mean'"),
        (lambda every: every.aggregate(5), "is no measure"),
        (lambda every: every.aggregate(measures.mean("latency")), "is no field"),
        (lambda every: every.aggregate("count", order="x desc"), "none of the measures"),
        (lambda every: every.aggregate(confidence=2.0), None),
        (lambda every: every.judgements().group_by("inputs.a.b.c", "authr"), "did you mean 'author'"),
        (lambda every: measures.quantile(inputs.n, 2), "from 0 to 1"),
        (lambda every: measures.quantile(inputs.n, math.nan), "from 0 to 1"),
    ],
)  # fmt: skip
def test_a_mistake_says_the_way_out(every: CallSet, ask: Any, says: str | None) -> None:
    with pytest.raises(QueryError, match=says):
        ask(every)


@pytest.mark.parametrize("text", ["'", '"', "\\", "a)", ", 0.5", "]", "é", "💩", "x' or 1=1 --"])
def test_a_name_or_text_in_a_measure_is_only_ever_itself(every: CallSet, text: str) -> None:
    [row] = every.aggregate(
        measures.share(attributes.env, text),
        measures.count(inputs[text][text]),
        measures.mean(feedback["t"][text]),
    )

    assert list(row.values()) == [0.0, 0, None]
    assert all(not isinstance(each, Measured) for each in row.values())
