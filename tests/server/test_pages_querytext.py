"""What stands in the query bar: queries, words, and queries with a mistake are told apart, and written back."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kibitz.base.errors import QueryError
from kibitz.query import text_form
from kibitz.query.nodes import And, ColumnField, FeedbackField, SortKey
from kibitz.server.pages import conditions, querytext
from kibitz.server.pages.conditions import Clause, Condition

NOW = datetime(2026, 3, 1, tzinfo=UTC)
OP = ColumnField("op")


@pytest.mark.parametrize(
    "text",
    [
        "refund",
        "refund policy",
        "what's up?",
        "cancel and refund",
        "not working",
        "any idea",
        "all of it",
        "sort the list",
        "answer",
        "output",
        "in",
        '{"role": "user"}',
        "Größe 🙂",
        "feedback",
    ],
)
def test_sentences_are_words(text: str) -> None:
    assert querytext.read(text).search == text
    assert querytext.write(text, ()) == text


@pytest.mark.parametrize(
    "text",
    [
        "outptu = 3",
        "output contains",
        "op is answer",
        "latency > fast",
        "statsu in (error)",
        "output.answer",
        "not feedback.thumb and",
        "sort by",
        "sort by colour",
        "exists nothing.at.all and output.x",
        "all(op = a",
        "a == b",
    ],
)
def test_query_with_a_mistake_is_no_search_and_says_where(text: str) -> None:
    with pytest.raises(QueryError) as raised:
        querytext.read(text)

    assert isinstance(raised.value.facts["at"], int)


@pytest.mark.parametrize("text", ["op = 5", "a = b", '"', 'say "hi"', " edge ", "latency > 2s"])
def test_anything_in_quotes_is_words(text: str) -> None:
    assert querytext.read(f'"{text}"').search == text


@given(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0")))
def test_words_written_are_read_as_the_same_words(text: str) -> None:
    if text.strip():
        assert querytext.read(querytext.write(text, ())).search == text


@given(
    st.text(max_size=60) | st.text(st.sampled_from("op=<>!()\",'. andort5[]{}\\\n"), max_size=40)
)
def test_any_text_is_a_query_or_words_or_a_mistake_in_its_place(text: str) -> None:
    try:
        reading = querytext.read(text, now=NOW)
    except QueryError as error:
        at = error.facts.get("at")
        if isinstance(at, int):
            shown = querytext.excerpt(text.strip(), at)
            assert 0 <= shown.at <= len(shown.text)
    else:
        written = querytext.write(reading.search, reading.filters, reading.sort)
        again = querytext.read(written, now=NOW)
        assert conditions.to_nodes(again.filters, again.search) == conditions.to_nodes(
            reading.filters, reading.search
        )


def test_each_part_keeps_its_spelling() -> None:
    text = "op=answer AND latency>2s and (status = error or not feedback.thumb) and started_at > now-1h"

    reading = querytext.read(text, now=NOW)

    assert querytext.write("", reading.filters) == text.replace("AND", "and")
    assert querytext.write("", reading.filters[1:2]) == "latency>2s"
    assert reading.filters[0] == Condition(OP, "eq", "answer")
    assert isinstance(reading.filters[2], Clause)


def test_loose_or_is_held_together_when_something_is_added() -> None:
    reading = querytext.read("op = a or op = b")
    more = (*reading.filters, Condition(ColumnField("status"), "eq", "error"))

    assert querytext.write("", reading.filters) == "op = a or op = b"
    assert querytext.write("", more) == "(op = a or op = b) and status = error"


def test_two_wishes_for_one_field_do_not_become_alternatives() -> None:
    reading = querytext.read("output.tags = a and output.tags = b and output.tags in (c, d)")

    nodes = conditions.to_nodes(reading.filters)

    assert len(nodes) == 3
    assert text_form.parse(querytext.write("", reading.filters)).where == And(tuple(nodes))


def test_true_and_one_are_two_filters() -> None:
    reading = querytext.read("output.n in (1, true)")

    assert len(reading.filters) == 2


def test_words_and_a_filter_are_one_query_and_come_apart_again() -> None:
    only = Condition(OP, "eq", "answer")
    text = querytext.write("refund", (only,))

    reading = querytext.read(text)

    assert (reading.search, reading.filters) == ("refund", (only,))


def test_order_and_limit_are_read() -> None:
    reading = querytext.read("op = a sort latency desc limit 20")

    assert reading.sort == (SortKey(ColumnField("latency_ms"), descending=True),)
    assert reading.limit == 20


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        ("outptu contains x", "output contains x"),
        ("op = a and outptu.items = 3", "op = a and output.items = 3"),
        ("op == a", "op = a"),
        ("op = a && status = error", "op = a and status = error"),
        ("feedback.grounde.output < 1", "feedback.grounded.output < 1"),
    ],
)
def test_suggestion_stands_in_the_place_of_the_mistake(text: str, mended: str) -> None:
    known = ["runnable.grounded"]
    with pytest.raises(QueryError) as raised:
        querytext.read(text, known_types=known)
    facts = raised.value.facts

    assert facts["suggestion"]
    assert querytext.corrected(text, facts["at"], facts["suggestion"], known) == mended


def test_click_on_a_value_keeps_the_other_end_of_a_range() -> None:
    score = FeedbackField("runnable.good", ("output",))
    low, high = Condition(score, "gte", 0.2), Condition(score, "lte", 0.8)

    both = conditions.narrowed((low,), high)
    assert both == (low, high)
    assert conditions.narrowed(both, Condition(score, "gte", 0.5)) == (
        high,
        Condition(score, "gte", 0.5),
    )
    assert conditions.narrowed(both, Condition(score, "eq", 0.5)) == (Condition(score, "eq", 0.5),)


def test_many_parts_are_one_filter() -> None:
    text = " and ".join(f"output.n{n} = {n}" for n in range(60))

    reading = querytext.read(text)

    assert len(reading.filters) == 1
    assert conditions.to_nodes(reading.filters) == [text_form.parse(text).where]
    assert isinstance(text_form.parse(querytext.write("", reading.filters)).where, And)
