"""The address of the calls page says its whole state, and survives the round trip."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kibitz.base import clock
from kibitz.base.errors import QueryError, UsageError
from kibitz.query import fields
from kibitz.query.nodes import (
    And,
    ColumnField,
    Compare,
    Contains,
    Exists,
    FeedbackField,
    In,
    Not,
    Or,
    PathField,
    SortKey,
)
from kibitz.server.pages import addresses, conditions
from kibitz.server.pages.addresses import CallsAddress
from kibitz.server.pages.conditions import Clause, Condition

OP = ColumnField("op")
SCORE = FeedbackField("runnable.short", ("output",))

text = st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=12
)
path = st.lists(text.filter(lambda part: not fields.is_index(part)), min_size=1, max_size=4)
text_columns = st.sampled_from(("op", "kind", "thread_id", "author", "trace_id", "parent_id"))
literal = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | text
    | st.sampled_from(("true", "null", "1", "1.0", '"', "[]", "{}", "a:b", "%3A", "", " x "))
)
leaf = st.builds(
    PathField,
    st.sampled_from(("inputs", "output", "attributes", "summary")),
    path.map(tuple),
) | st.builds(FeedbackField, text, path.map(tuple))
comparison = st.sampled_from(("gt", "gte", "lt", "lte"))
condition = (
    st.builds(Condition, leaf, st.sampled_from(("eq", "ne")), literal)
    | st.builds(Condition, leaf, comparison, literal.filter(lambda value: value is not None))
    | st.builds(Condition, leaf, st.just("contains"), text)
    | st.builds(Condition, leaf, st.sampled_from(("has", "lacks")))
    | st.builds(Condition, st.builds(ColumnField, text_columns), st.just("eq"), text)
    | st.builds(
        Condition, st.just(ColumnField("started_at")), comparison, st.integers(0, 4 * 10**15)
    )
    | st.builds(Condition, st.just(ColumnField("latency_ms")), comparison, st.integers(0, 10**9))
)
moment = st.none() | st.datetimes(
    datetime(1970, 1, 1),  # noqa: DTZ001 Hypothesis adds the zone
    datetime(9000, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
clause = st.builds(
    Clause,
    st.builds(Contains, leaf, text)
    | st.builds(
        lambda one, two: Or((conditions.to_node(one), conditions.to_node(two))),
        condition,
        condition,
    ),
)
state = st.builds(
    CallsAddress,
    project=st.sampled_from(("bot", "acme/bot", "A-1/b.c_d")),
    conditions=st.lists(condition | clause, max_size=5, unique=True).map(tuple),
    search=text.filter(lambda given: bool(given.strip())) | st.just(""),
    time=st.sampled_from(("", *addresses.PRESETS)),
    since=moment,
    until=moment,
    nested=st.booleans(),
    sort=st.lists(st.builds(SortKey, leaf, descending=st.booleans()), max_size=3).map(tuple),
    columns=st.none()
    | st.lists(st.builds(FeedbackField, text, path.map(tuple)), max_size=4, unique=True).map(tuple),
    limit=st.integers(1, 1000),
    cursor=st.none() | text,
    trail=st.lists(text, max_size=4).map(tuple),
    call=st.none() | text,
    live=st.booleans(),
    view=st.just("") | text,
)


def read(url: str, project: str = "bot") -> addresses.Parsed:
    return addresses.parse(project, parse_qsl(urlsplit(url).query, keep_blank_values=True))


@given(state)
def test_address_read_back_gives_the_same_state(address: CallsAddress) -> None:
    """Alternatives for one field stand together in a text, whatever came between them."""
    parsed = read(address.url, address.project)

    assert parsed.problems == ()
    assert parsed.address.url == address.url
    found, wanted = parsed.address.conditions, address.conditions
    assert conditions.to_nodes(found) == conditions.to_nodes(wanted)
    assert replace(parsed.address, conditions=wanted) == address


@given(state)
def test_project_is_found_again_in_the_path(address: CallsAddress) -> None:
    segment = urlsplit(address.url).path.split("/")[2]

    assert addresses.parse_project(segment) == address.project


@given(st.lists(st.tuples(st.sampled_from([*addresses._READERS, "op", "x"]), st.text(max_size=40))))  # pyright: ignore[reportPrivateUsage]
def test_anything_in_an_address_is_read_or_explained(pairs: list[tuple[str, str]]) -> None:
    parsed = addresses.parse("bot", pairs)

    addresses.to_query(parsed.address)
    assert read(parsed.address.url).address == parsed.address


def test_plain_address_stays_short() -> None:
    assert CallsAddress(project="acme/bot").url == "/p/acme~bot/calls"


def test_address_can_be_read_by_people() -> None:
    address = CallsAddress(
        project="acme/bot",
        conditions=(Condition(OP, "eq", "answer"), Condition(SCORE, "lt", 0.5)),
        sort=(SortKey(SCORE),),
    )

    assert address.url == (
        "/p/acme~bot/calls?q=op+=+answer+and+feedback.runnable.short.output+%3C+0.5"
        "+sort+feedback.runnable.short.output"
    )


def test_default_query_asks_for_root_calls_that_judge_nothing() -> None:
    root = Compare(ColumnField("parent_id"), "eq", None)

    assert addresses.to_node(CallsAddress(project="bot")) == And(
        (root, Not(Compare(ColumnField("kind"), "eq", "scorer")))
    )
    assert addresses.to_node(read("?op=length").address) == And((root, Compare(OP, "eq", "length")))
    assert addresses.to_node(CallsAddress(project="bot", nested=True)) is None


def test_filters_on_one_field_are_alternatives_and_on_several_all_hold() -> None:
    address = read("?calls=all&op=a&op=b&status=error&where=latency_ms:gte:2000").address

    assert addresses.to_node(address) == And(
        (
            In(OP, ("a", "b")),
            Compare(ColumnField("status"), "eq", "error"),
            Compare(ColumnField("latency_ms"), "gte", 2000),
        )
    )


def test_each_operator_compiles_to_its_node() -> None:
    address = read(
        "?calls=all&where=output.a:ne:1&where=output.b:contains:x"
        "&where=feedback.[thumb]:lacks&where=feedback.[thumb]:has"
    ).address

    assert addresses.to_node(address) == And(
        (
            Not(Compare(PathField("output", ("a",)), "eq", 1)),
            Contains(PathField("output", ("b",)), "x", case_insensitive=True),
            Not(Exists(FeedbackField("thumb"))),
            Exists(FeedbackField("thumb")),
        )
    )


def test_search_looks_into_inputs_and_output() -> None:
    node = addresses.to_node(CallsAddress(project="bot", nested=True, search="café"))

    assert node == Or(
        (
            Contains(PathField("inputs"), "café", case_insensitive=True),
            Contains(PathField("output"), "café", case_insensitive=True),
        )
    )


def test_time_preset_counts_from_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now_ns", lambda: 10_000_000 * 10**9)

    node = addresses.to_node(CallsAddress(project="bot", nested=True, time="1h"))

    assert node == Compare(ColumnField("started_at"), "gte", (10_000_000 - 3600) * 10**6)


def test_date_of_a_form_is_read_as_utc() -> None:
    address = read("?since=2026-02-03&until=2026-02-03T10:30").address

    assert address.since == datetime(2026, 2, 3, tzinfo=UTC)
    assert address.until == datetime(2026, 2, 3, 10, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("where=outptu.a:eq:1", "did you mean 'output.a'"),
        ("where=output.a", "FIELD:OPERATOR:VALUE"),
        ("where=output.a:is:1", "operators are eq"),
        ("where=status:eq:broken", "broken"),
        ("where=feedback.[x]:gt:1", "whole judgement"),
        ("where=latency_ms:gt:fast", "milliseconds"),
        ("status=broken", "broken"),
        ("sort=feedback.[x]", "whole judgement"),
        ("sort=nothing", "not known"),
        ("time=2w", "15m"),
        ("since=yesterday", "yesterday"),
        ("limit=0", "1 to 1,000"),
        ("limit=ten", "ten"),
        ("calls=some", "roots"),
        ("live=maybe", "maybe"),
        ("col=op", "feedback.[type].payload.path"),
        ("expr={", "not JSON"),
        ('expr={"$eq":[]}', "$eq"),
        ("page=2", "page"),
    ],
)
def test_what_cannot_be_read_is_explained_and_the_rest_is_kept(query: str, word: str) -> None:
    parsed = read(f"?op=answer&{query}&q=hello")

    (problem,) = parsed.problems
    assert word in problem.message
    assert parsed.address.conditions == (Condition(OP, "eq", "answer"),)
    assert parsed.address.search == "hello"


def test_too_many_filters_are_a_problem_not_a_slow_query() -> None:
    parsed = read("?" + "&".join(f"op=op{n}" for n in range(100)))

    assert len(parsed.address.conditions) == addresses.MAX_CONDITIONS
    assert len(parsed.problems) == 100 - addresses.MAX_CONDITIONS


def test_paging_remembers_the_way_back() -> None:
    first = CallsAddress(project="bot", sort=(SortKey(SCORE),))
    second = first.following("c2")
    third = second.following("c3")

    assert third.preceding() == second
    assert second.preceding() == first


def test_changing_a_filter_goes_to_the_first_page() -> None:
    deep = CallsAddress(project="bot").following("c2").following("c3")

    changed = deep.adding(Condition(OP, "eq", "answer"))

    assert (changed.cursor, changed.trail) == (None, ())
    assert changed.without(Condition(OP, "eq", "answer")) == CallsAddress(project="bot")


def test_only_takes_the_place_of_filters_on_the_field() -> None:
    address = read("?op=a&op=b&status=error").address.only(Condition(OP, "eq", "c"))

    assert address.conditions == (
        Condition(ColumnField("status"), "eq", "error"),
        Condition(OP, "eq", "c"),
    )


def test_default_sort_is_not_spelled() -> None:
    address = CallsAddress(project="bot").sorted_by(ColumnField("started_at"), descending=True)

    assert address.sort == ()


def test_paths_escape_what_names_may_hold() -> None:
    assert addresses.call_path("a/b", "x y?z") == "/p/a~b/calls/x%20y%3Fz"
    assert addresses.op_path("a", "mod.f ü", "0" * 40) == f"/p/a/ops/mod.f%20%C3%BC/{'0' * 40}"
    with pytest.raises(UsageError):
        addresses.parse_project("a~b~c")


@given(text | st.sampled_from((".", "..", "a/b", "%2F", "../..")))
def test_name_is_one_segment_and_found_again_when_the_path_was_decoded(name: str) -> None:
    segment = addresses.escape(name)

    assert "/" not in unquote(segment)
    assert unquote(segment) not in (".", "..")
    assert addresses.unescape(unquote(segment)) == name


def test_condition_from_a_form_needs_fitting_parts() -> None:
    made = conditions.make_condition("feedback.[thumb].payload.value", "eq", "true")

    assert made == Condition(FeedbackField("thumb", ("value",)), "eq", True)
    with pytest.raises(QueryError):
        conditions.make_condition("latency_ms", "contains", "1")
