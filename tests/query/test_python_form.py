"""Queries as Python: what is written runs to the same nodes, and says the same as JSON and text."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import drawing
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kibitz.asking import calls as asking
from kibitz.base.errors import QueryError
from kibitz.query import (
    expressions,
    expressions_conditions,
    json_form,
    python_form,
    text_fields,
    text_form,
)
from kibitz.query.expressions_conditions import Condition
from kibitz.query.expressions_feedback import feedback
from kibitz.query.nodes import (
    And,
    ColumnField,
    Compare,
    Exists,
    FeedbackField,
    Node,
    Not,
    Or,
    PathField,
    SortKey,
)

NAMES = {
    "UTC": UTC,
    "all_of": expressions_conditions.all_of,
    "any_of": expressions_conditions.any_of,
    "attributes": expressions.attributes,
    "calls": asking.calls,
    "datetime": datetime,
    "feedback": feedback,
    "inputs": expressions.inputs,
    "output": expressions.output,
    "summary": expressions.summary,
}


def _text_tests() -> Any:
    """The queries that the text spelling is tested with."""
    path = Path(__file__).with_name("test_text_form.py")
    spec = importlib.util.spec_from_file_location("queries_of_the_text_form", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


QUERIES = _text_tests()


def run(source: str) -> Any:
    """What a source makes, with nothing to use but the names that it may."""
    return eval(source, {"__builtins__": {}}, dict(NAMES))


@given(QUERIES.NODES)
@settings(max_examples=drawing.examples(500), deadline=None)
@example(Compare(PathField("output"), "eq", -0.0))
@example(Compare(PathField("inputs", ("size", "_x", "class", "a b", "0", "")), "eq", True))
@example(Compare(FeedbackField("x", ("mean", "contains")), "eq", "'"))
@example(
    And((And((Exists(ColumnField("op")), Exists(ColumnField("op")))), Exists(ColumnField("id"))))
)
@example(
    Or((Exists(ColumnField("op")), Or((Exists(ColumnField("op")), Exists(ColumnField("id"))))))
)
@example(And((And((Exists(ColumnField("op")),)), Exists(ColumnField("id")))))
@example(Not(Not(Compare(PathField("output"), "eq", None))))
def test_what_is_written_as_python_runs_to_the_same_nodes(node: Node) -> None:
    source = python_form.format(node)

    assert "\n" not in source
    made = run(source)
    assert isinstance(made, Condition)
    assert made.node == node
    assert repr(made.node) == repr(node)
    assert made == Condition(node)
    assert hash(made) == hash(Condition(node))


@given(QUERIES.NODES)
@settings(max_examples=drawing.examples(200), deadline=None)
def test_python_json_and_text_say_the_same(node: Node) -> None:
    made = run(python_form.format(node))

    assert json_form.parse_where(json.loads(json.dumps(made.to_json()))) == node
    assert text_form.parse(made.to_text()).where == node
    assert made.to_text() == repr(made) == text_form.format(node)


@given(QUERIES.SORTS, st.none() | QUERIES.NODES, st.none() | st.integers(1, 1000))
@settings(max_examples=drawing.examples(100), deadline=None)
def test_a_whole_question_runs_to_the_same(
    sort: tuple[SortKey, ...], where: Node | None, limit: int | None
) -> None:
    made = run(python_form.format_query("acme/app", where, sort, limit))

    query = made.query()
    assert (query.where, query.sort) == (where, sort)
    assert made.to_python() == python_form.format_query("acme/app", where, sort, limit)
    assert query.limit == (50 if limit is None else limit)


SHORT = QUERIES.TYPES.filter(lambda name: not text_fields.is_whole_type(name))


@given(SHORT, st.none() | st.frozensets(QUERIES.TYPES | SHORT, max_size=4), st.data())
@settings(max_examples=drawing.examples(300), deadline=None)
def test_a_short_name_means_what_the_text_means(
    name: str, known: frozenset[str] | None, data: st.DataObject
) -> None:
    if known is not None:
        known |= data.draw(
            st.frozensets(
                st.sampled_from([name, f"runnable.{name}", f"annotation.{name}", f"{name}x"])
            )
        )
    made = feedback(name).any.output == 1

    def by_text() -> Node | None:
        return text_form.parse(repr(made), known_types=known).where

    def by_python() -> Node:
        return made.node if known is None else made.resolved(known)

    assert _outcome(by_python) == _outcome(by_text)


def _outcome(ask: Callable[[], Node | None]) -> Node | None | tuple[str, str | None]:
    """What is given, or what is said against it and suggested instead."""
    try:
        return ask()
    except QueryError as error:
        return error.facts.get("says", error.message), error.facts.get("suggestion")


@pytest.mark.parametrize("case", QUERIES.CASES["cases"], ids=lambda case: case["says"])
def test_the_readable_cases_can_be_said_in_python(case: dict[str, Any]) -> None:
    if "error" in case or case["query"] is None:
        pytest.skip("no condition")
    meant = json_form.parse_where({"$expr": case["query"]})

    assert run(python_form.format(meant)).node == meant


def test_a_question_reads_well() -> None:
    where = And(
        (
            Compare(ColumnField("op"), "eq", "answer"),
            Compare(ColumnField("started_at"), "gte", 1_772_366_400_000_000),
            Not(Exists(FeedbackField("note"))),
        )
    )

    assert python_form.format_query(
        "acme/app", where, (SortKey(ColumnField("latency_ms"), descending=True),), 5
    ) == (
        "calls('acme/app').where((calls.op == 'answer') & "
        "(calls.started_at >= datetime(2026, 3, 1, 12, tzinfo=UTC)) & ~feedback('note').exists())"
        ".sort(calls.latency_ms.desc()).limit(5)"
    )


@pytest.mark.parametrize("node", [And(()), Not(Or(()))])
def test_what_no_query_says_has_no_source(node: Node) -> None:
    with pytest.raises(QueryError, match="no conditions"):
        python_form.format(node)
