"""Queries as text: there and back, what they mean beside JSON, and what is said about mistakes."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import drawing
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kibitz.base.errors import QueryError
from kibitz.query import fields, json_form, literals, text_form
from kibitz.query.nodes import (
    And,
    CallQuery,
    ColumnField,
    Compare,
    Contains,
    Convert,
    ConvertTo,
    Exists,
    FeedbackField,
    In,
    Literal_,
    Matches,
    Node,
    Not,
    Operand,
    Or,
    PathField,
    Size,
    SortKey,
)
from kibitz.query.text_form import Parsed

CASES = json.loads(Path(__file__).with_name("text_cases.json").read_text(encoding="utf-8"))
NOW = datetime.fromisoformat(CASES["now"])
LIMIT = 20_000

WORDS = st.sampled_from(
    ["and", "or", "NOT", "in", "is", "null", "True", "now", "now-1h", "sort", "limit", "exists"]
    + ["mean", "count", "payload", "author", "latest", "runnable", "annotation", "op", "latency"]
    + ["inputs.a", "feedback.x", "2s", "007", "1e5", "-3", ".5", "2026-11-01", "a.b", "\\", "0"]
    + ['"', "'", "\\\"", "]", "[", "@3f", "a@3f", "é", "日本", "\u202e", "\x1b[2J", "\n", " ", "🙂", ""]
    + ["💩\u200d", "$where", "' or 1=1 --", ";drop", "<b>", "a,b", "(", ")", "=", "!=", "&&"]
)  # fmt: skip
TEXTS = WORDS | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6
)
KEYS = TEXTS
PATHS = (
    st.lists(KEYS, max_size=3)
    .map(tuple)
    .filter(lambda path: sum(fields.is_index(part) for part in path) <= fields.MAX_DIGIT_PARTS)
)
TYPES = TEXTS.filter(bool) | st.builds(
    str.__add__, st.sampled_from(["runnable.", "annotation."]), TEXTS
)
OVERS = st.sampled_from(fields.OVERS)
VERSIONS = st.none() | st.sampled_from(["3f9c", "0", "a" * 40])
COLUMNS = st.sampled_from(fields.COLUMNS).map(ColumnField)
BELOW = PATHS.filter(bool)
LEAVES = st.builds(
    FeedbackField, TYPES, BELOW, st.sampled_from(["latest", "any", "all"]), version=VERSIONS
)
AVERAGES = st.builds(FeedbackField, TYPES, BELOW, st.sampled_from(["mean", "min", "max"]))
AGREEMENTS = st.builds(FeedbackField, TYPES, BELOW, st.just("agree"))
JUDGEMENTS = st.builds(FeedbackField, TYPES | st.just("*"), over=OVERS, version=VERSIONS)
AUTHORS = st.builds(
    FeedbackField,
    TYPES,
    over=st.sampled_from(["latest", "any", "all"]),
    part=st.just("author"),
    version=VERSIONS,
)
TIMES = st.sampled_from(["started_at", "ended_at"]).map(ColumnField) | st.builds(
    FeedbackField,
    TYPES,
    over=st.sampled_from(["latest", "any", "all", "min", "max"]),
    part=st.just("created_at"),
)
COUNTS = st.builds(FeedbackField, TYPES, part=st.just("count"))
PLACES = st.builds(PathField, st.sampled_from(fields.ROOTS), PATHS)
TEXT_COLUMNS = st.sampled_from(
    sorted(set(fields.COLUMNS) - fields.TIME_COLUMNS - fields.NUMBER_COLUMNS - {"status"})
).map(ColumnField)

INT64 = st.integers(-(2**63), 2**63 - 1)
NUMBERS = INT64 | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.none() | st.booleans() | NUMBERS | TEXTS | st.sampled_from(["true", "false"])


PATTERNS = [r"refund(ed)?", r'"\d+"', "^a|b$", r"[^'\\]", r"(?s)a.b", "a b", "", "[)]", "\n"]


def _pair(
    kinds: st.SearchStrategy[Any], values: st.SearchStrategy[Any]
) -> st.SearchStrategy[tuple[Operand, st.SearchStrategy[Literal_]]]:
    return kinds.map(lambda field: (field, values))


def _converted(to: ConvertTo) -> st.SearchStrategy[Operand]:
    return (PLACES | LEAVES | TEXT_COLUMNS).map(lambda field: Convert(field, to))


SIZES = st.builds(Size, PLACES | LEAVES | AVERAGES | TEXT_COLUMNS | AUTHORS)
WORKED_OUT = SIZES | st.sampled_from(fields.CONVERSIONS).flatmap(_converted)
COMPARED = (
    _pair(SIZES | _converted("number") | _converted("integer"), st.none() | NUMBERS)
    | _pair(_converted("text"), st.none() | TEXTS)
    | _pair(_converted("bool"), st.none() | st.booleans())
    | _pair(PLACES | LEAVES, VALUES)
    | _pair(TEXT_COLUMNS | AUTHORS, st.none() | TEXTS)
    | _pair(TIMES, st.none() | INT64)
    | _pair(AGREEMENTS, st.none() | st.booleans())
    | _pair(AVERAGES | COUNTS | st.just(ColumnField("latency_ms")), st.none() | NUMBERS)
    | _pair(st.just(ColumnField("status")), st.none() | st.sampled_from(literals.STATUSES))
)


@st.composite
def _leaves(draw: st.DrawFn) -> Node:
    kind = draw(st.sampled_from(["compare", "in", "contains", "matches", "exists"]))
    if kind == "matches":
        pattern = draw(TEXTS.map(re.escape) | st.sampled_from(PATTERNS))
        texts = PLACES | LEAVES | TEXT_COLUMNS | _converted("text")
        return Matches(draw(texts), pattern, draw(st.booleans()))
    if kind == "exists":
        return Exists(
            draw(WORKED_OUT | PLACES | LEAVES | AVERAGES | JUDGEMENTS | AUTHORS | COUNTS | COLUMNS)
        )
    if kind == "contains":
        texts = PLACES | LEAVES | TEXT_COLUMNS | _converted("text")
        return Contains(draw(texts), draw(TEXTS), draw(st.booleans()))
    field, values = draw(COMPARED)
    if kind == "in":
        return In(field, tuple(draw(st.lists(values, max_size=4))))
    value = draw(values)
    operators = ["eq"] if value is None else ["eq", "gt", "gte", "lt", "lte"]
    return Compare(field, draw(st.sampled_from(operators)), value)  # type: ignore[arg-type]


NODES = st.recursive(
    _leaves(),
    lambda below: (
        st.builds(And, st.lists(below, min_size=1, max_size=3).map(tuple))
        | st.builds(Or, st.lists(below, min_size=1, max_size=3).map(tuple))
        | st.builds(Not, below)
    ),
    max_leaves=6,
)
SORTS = st.lists(
    st.builds(
        SortKey,
        WORKED_OUT | PLACES | LEAVES | AVERAGES | AGREEMENTS | AUTHORS | COUNTS | COLUMNS,
        descending=st.booleans(),
    ),
    max_size=4,
).map(tuple)
OTHERS = st.none() | st.frozensets(TYPES, max_size=4)


@given(st.none() | NODES, SORTS, st.none() | st.integers(1, 1000), OTHERS)
@settings(max_examples=drawing.examples(500))
@example(Exists(FeedbackField("feedback", ("a",))), (), None, frozenset({"feedback"}))
@example(Exists(FeedbackField("runnable.", ("a",))), (), None, None)
@example(Not(Not(Compare(PathField("output"), "eq", None))), (), 5, None)
@example(Not(And((In(PathField("output"), ()),))), (), 5, None)
@example(Compare(PathField("inputs", ("mean", "in")), "eq", -0.0), (), 5, None)
@example(Compare(PathField("output"), "eq", 5e-324), (), 5, None)
def test_what_is_written_as_text_parses_to_the_same_query(
    where: Node | None,
    sort: tuple[SortKey, ...],
    limit: int | None,
    known: frozenset[str] | None,
) -> None:
    text = text_form.format(where, sort, limit)

    assert "\n" not in text
    parsed = text_form.parse(text, known_types=known)
    assert parsed == Parsed(where, sort, limit)
    assert repr(parsed) == repr(Parsed(where, sort, limit))


@given(NODES, SORTS)
def test_text_and_json_say_the_same(where: Node, sort: tuple[SortKey, ...]) -> None:
    by_json = json_form.parse_query(
        json.loads(json.dumps(json_form.to_json(CallQuery(project="p", where=where, sort=sort))))
    )
    by_text = text_form.parse(text_form.format(where, sort))

    assert (by_text.where, by_text.sort) == (by_json.where, by_json.sort)


PIECES = st.sampled_from(
    ["op", "inputs", "feedback", "latency", "started_at", "status", " ", " ", " ", ".", "=", "<"]
    + ["(", ")", ",", "and", "or", "not", "in", "is", "null", "contains", "exists", "sort", "by"]
    + ["limit", "5", "2s", "now-1h", '"', "'", "\\", "[", "]", "@", "x", "x.y", "\ud800", "\0", "é"]
    + ["all(", "any(", "mean", "count", "desc", "\\u{", "&&", "==", "runnable", '"a b"', "\n"]
)


@given(st.lists(PIECES | st.text(max_size=3), max_size=25).map("".join), OTHERS)
@settings(max_examples=drawing.examples(500))
@example("op = \ud800", None)
@example("日本" * 50 + " = ", None)
def test_whatever_is_typed_gives_a_query_that_can_be_written_or_an_error_with_its_place(
    text: str, known: frozenset[str] | None
) -> None:
    try:
        parsed = text_form.parse(text, known_types=known, now=NOW)
    except QueryError as error:
        _check(error, text)
    else:
        written = text_form.format(parsed.where, parsed.sort, parsed.limit)
        assert text_form.parse(written) == parsed
        if parsed.where is not None:
            assert json_form.parse_where(json_form.where_to_json(parsed.where)) == parsed.where


def _check(error: QueryError, text: str) -> None:
    at = error.facts["at"]
    assert isinstance(at, int)
    assert 0 <= at <= len(text)
    assert len(error.message) < 1500
    says, shown, caret = error.message.rsplit("\n", 2)
    assert says == error.facts["says"]
    assert caret.strip() == "^"
    assert all(each.isprintable() for each in shown)
    assert len(str(error.facts["suggestion"])) < 2000
    error.message.encode()


@pytest.mark.parametrize("case", CASES["cases"], ids=lambda case: case["says"])
def test_a_case_says_the_same_as_its_json(case: dict[str, Any]) -> None:
    known = case.get("types")
    if "error" in case:
        with pytest.raises(QueryError) as caught:
            text_form.parse(case["text"], known_types=known, now=NOW)
        assert case["error"] in caught.value.message
        return
    parsed = text_form.parse(case["text"], known_types=known, now=NOW)

    meant = json_form.parse_where({"$expr": case["query"]}) if case["query"] is not None else None
    assert parsed.where == meant
    assert parsed.sort == json_form.parse_sort(case.get("sort", []))
    assert parsed.limit == case.get("limit")


@pytest.mark.parametrize(
    ("text", "at", "says"),
    [
        ("outptu = 1", 0, "did you mean 'output'"),
        ("op = a and outptu.x = 1", 11, "did you mean 'output.x'"),
        ("zebra = 1", 0, "is not known; fields are id, trace_id"),
        ("op.x = 1", 0, "write 'op'"),
        ("inputs..a = 1", 6, 'the empty key is written ""'),
        ('inputs."a"b = 1', 10, "is not understood here"),
        ('inputs."a = 1', 7, "never closed"),
        ("op = 'it's'", 10, "cannot stand here"),
        ("op = 'a\\x'", 7, "after a backslash"),
        ("op = '\\ud800'", 6, "is no character"),
        ("op = C:\\temp", 7, "backslash"),
        ("op == a", 3, "did you mean '='"),
        ("op <> a", 3, "did you mean '!='"),
        ("!feedback.x", 0, "did you mean 'not'"),
        ("op = a && op = b", 7, "did you mean 'and'"),
        ("op = a adn op = b", 7, "did you mean 'and'"),
        ("op contians a", 3, "did you mean 'contains'"),
        ("op like a", 3, "did you mean 'icontains'"),
        ("op = a order by op", 7, "did you mean 'sort'"),
        ("op = a sort op descending", 15, "did you mean 'desc'"),
        ("(op = a", 0, "never closed"),
        ("op in (a, b", 6, "never closed"),
        ("op = a)", 6, "closes nothing"),
        ("()", 1, "a condition is missing here, before ')'"),
        ("all op = a", 4, "( is missing before 'op'"),
        ("op = a and", 10, "a condition is missing here, before the end"),
        ("op =", 4, "a value is missing before the end"),
        ("op = and x", 5, "a value is missing before 'and'"),
        ("'a' = op", 0, "without quotes around it"),
        ("5 < inputs.n", 0, "'5' is not known"),
        ("inputs.a = output", 11, "queries cannot compare two"),
        ("op in a", 6, "( is missing before 'a'"),
        ("op in (a b)", 9, "parted by commas"),
        ("size(output) > x", 15, "is not a number, and size(output) is"),
        ("size output > 1", 5, "( is missing before 'output'"),
        ("size() > 1", 5, "A field is missing here, before ')'"),
        ("size(output", 4, "never closed"),
        ("size(output > 1)", 12, "here comes ) after the field of size"),
        ("size(number(output)) > 1", 5, "one function is enough"),
        ("len(output) > 1", 0, "did you mean 'size'"),
        ("size(started_at) > 1", 5, "is a time and compares as it is"),
        ("size(feedback.x) > 1", 5, "whole judgement"),
        ("size(output)", 0, "write exists size(output)"),
        ("bool(output)", 0, "write bool(output) = true"),
        ('output matches "a(b"', 17, "a ( is never closed"),
        ("output matches 'a**'", 17, "one repetition after another"),
        ('output matches "a(?=b)"', 17, "looking ahead is not possible"),
        ('output matches "\\\\1"', 15, "references to a group are not possible"),
        ("tokens matches 5", 0, "is a number and contains no text"),
        ("output ~ 'x'", 7, "did you mean 'matches'"),
        (" or ".join(["output matches a"] * 17), 335, "more than 16 patterns"),
        ("op not = a", 7, "in, contains or matches"),
        ("op is a", 6, "null or not null"),
        ("inputs.a", 0, "write inputs.a = true, or exists inputs.a"),
        ("feedback.x.output", 0, "feedback.runnable.x.output = true, or exists"),
        ("op", 0, "write exists op"),
        ("inputs.n > null", 11, "nothing is greater or less than null"),
        ("inputs.n > 2s", 11, "put it in quotes if it is a text"),
        ("inputs.n = 007", 11, "put it in quotes if it is a text"),
        ("inputs.n = 1e999", 11, "not a finite number"),
        ("latency > soon", 10, "write milliseconds"),
        ("latency contains 5", 0, "compare it with >= and <"),
        ("status = succes", 9, "did you mean 'success'"),
        ("started_at > yesterday", 13, "not a time for started_at"),
        ("started_at > 2026-02-30", 13, "not a time"),
        ("started_at > 2026-11-01T10:00:00", 13, "no zone; write 2026-11-01T10:00:00Z"),
        ("started_at > -24h", 13, "write now-24h"),
        ("started_at > now-999999999w", 13, "not a time"),
        ("feedback", 0, "feedback of what?"),
        ("feedback.runnable", 9, "feedback of which runnable?"),
        ("feedback.[] = 1", 9, "the name of the feedback is empty"),
        ("feedback.x@xyz.output = 1", 9, "version's digest"),
        ("feedback.x.count.y = 1", 17, "count has nothing below it"),
        ("feedback.x.mean.author = a", 0, "there is no mean of author"),
        ("feedback.x = 1", 13, "a whole judgement; name what it says"),
        ("sort feedback.x", 5, "a whole judgement and has no order"),
        ("sort", 4, "a field to sort by is missing"),
        ("sort op,", 8, "a field to sort by is missing"),
        ("sort " + ", ".join(["op"] * 9), 37, "at most 8 keys"),
        ("limit 0", 6, "from 1 to 1,000"),
        ("limit 1001", 6, "from 1 to 1,000"),
        ("limit 5 sort op", 8, "the sort comes before it"),
        ("op = '" + "é" * 5001 + "'", 5, "10,000 bytes"),
        ("inputs." + "a" * 1100 + " = 1", 0, "1,024 characters"),
        ("inputs.1.2.3.4 = 1", 0, "parts of digits"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_place_and_the_way_out(text: str, at: int, says: str) -> None:
    with pytest.raises(QueryError) as caught:
        text_form.parse(text, now=NOW)

    assert says in caught.value.facts["says"]
    assert caught.value.facts["at"] == at
    _check(caught.value, text)


def test_the_caret_stands_below_the_mistake_also_in_a_long_text() -> None:
    short = "op = a and outptu = 1"
    wide = "op = '日本' and outptu = 1"
    long = f"op = a and {'op = b or ' * 50}outptu = 1 and {'op = c or ' * 50} op = d"

    for text, width in ((short, 0), (wide, 2), (long, 0)):
        with pytest.raises(QueryError) as caught:
            text_form.parse(text)
        _, shown, caret = caught.value.message.split("\n")
        assert shown[caret.index("^") - width :].startswith("outptu = 1")
        assert len(shown) < 120


def test_without_a_now_there_is_none() -> None:
    with pytest.raises(QueryError, match="now-1h is not known here"):
        text_form.parse("started_at > now-1h")


def test_known_types_are_read_only_for_short_names() -> None:
    asked: list[str] = []

    def types() -> Any:
        asked.append("asked")
        yield "annotation.x"

    text_form.parse("op = a and feedback.[y] and feedback.runnable.z", known_types=types())
    assert asked == []
    parsed = text_form.parse("feedback.x and feedback.x.value > 1", known_types=types())
    assert asked == ["asked"]
    assert parsed.where == And(
        (
            Exists(FeedbackField("annotation.x")),
            Compare(FeedbackField("annotation.x", ("value",)), "gt", 1),
        )
    )


def _nested(depth: int) -> Node:
    node: Node = Exists(ColumnField("op"))
    for n in range(depth - 1):
        node = [And((node, node)) if n < 3 else And((node,)), Not(node), Or((node,))][n % 3]
    return node


def test_what_json_takes_text_takes_and_no_more() -> None:
    deep = _nested(json_form.MAX_DEPTH)
    assert text_form.parse(text_form.format(deep)).where == deep
    assert json_form.parse_where(json_form.where_to_json(deep)) == deep

    wide = And(tuple(Exists(ColumnField("op")) for _ in range(json_form.MAX_NODES - 1)))
    assert text_form.parse(text_form.format(wide)).where == wide
    many = In(PathField("output"), tuple(range(json_form.MAX_IN_VALUES)))
    assert text_form.parse(text_form.format(many)).where == many


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("(" * 33 + "op = a" + ")" * 33, "nested deeper than 32"),
        ("not " * 33 + "feedback.x", "nested deeper than 32"),
        ("all(" * 33 + "op = a" + ")" * 33, "nested deeper than 32"),
        (text_form.format(_nested(33)), "nested deeper than 32"),
        ("(" * (LIMIT - 1), "nested deeper than 32"),
        ("not " * (LIMIT // 4), "nested deeper than 32"),
        ("op=a or " * (LIMIT // 8), "more than 500 conditions"),
        ("output in (" + "1," * 9000 + "1)", "at most 1,000"),
        (" or ".join([f"output in ({','.join('1' * 999)})"] * 6), "more than 5,000 values"),
        ("x" * LIMIT, "1,024 characters"),
        ("." * LIMIT, "1,024 characters"),
        ("inputs" + ".a" * 9000, "1,024 characters"),
        ("inputs." + "\\." * 9000, "1,024 characters"),
        ("inputs." + '"a".' * 4000, "1,024 characters"),
        ("feedback.[" + "\\]" * 9000, "never closed"),
        ("output = " + "9" * 19_000, "finite"),
        ("output = 0." + "9" * 19_000 + "x", "quotes"),
        ("output = '" + "\\n" * 9000, "never closed"),
        ("output = " + "\\" * 19_000, "quotes"),
        ("started_at > " + "9" * 19_000, "10,000 bytes"),
        ("started_at > now-" + "9" * 19_000 + "h", "10,000 bytes"),
        ("op " * 6000, "is not understood"),
        ("x" * (LIMIT + 1), "at most 20,000"),
        ("é" * 10_000_000, "at most 20,000"),
    ],
    ids=lambda value: value[:20],
)
def test_a_bomb_is_refused(text: str, says: str) -> None:
    with pytest.raises(QueryError) as caught:
        text_form.parse(text, known_types=[f"runnable.{n}" for n in range(1000)], now=NOW)

    assert says in caught.value.facts["says"]
    _check(caught.value, text)


def test_many_names_that_nobody_knows_among_many_that_are_known() -> None:
    names = " or ".join(f"feedback.{'ab' * 10}{n}" for n in range(490))
    known = [f"runnable.{'xy' * 100}{n}" for n in range(5000)]

    parsed = text_form.parse(names, known_types=known)

    assert isinstance(parsed.where, Or)
    assert len(parsed.where.nodes) == 490


@pytest.mark.parametrize(
    "node",
    [
        And(()),
        Not(Or(())),
        Compare(PathField("output"), "eq", float("nan")),
        Compare(ColumnField("op"), "eq", 5),
        Contains(PathField("output"), "x" * LIMIT),
    ],
)
def test_what_has_no_text_is_an_error(node: Node) -> None:
    with pytest.raises(QueryError):
        text_form.format(node)


def test_a_query_and_a_text_hold_together() -> None:
    op = Compare(ColumnField("op"), "eq", "a")
    error = Compare(ColumnField("status"), "eq", "error")
    newest = (SortKey(ColumnField("started_at"), descending=True),)
    query = CallQuery(project="p", where=op, limit=50)

    assert text_form.combined(query, Parsed(error, newest, 20)) == CallQuery(
        project="p", where=And((op, error)), sort=newest, limit=20
    )
    assert text_form.combined(query, Parsed(limit=1000)) == query
    assert text_form.combined(CallQuery(project="p"), Parsed(error)).where == error
    with pytest.raises(QueryError, match="leave one out"):
        text_form.combined(CallQuery(project="p", sort=newest), Parsed(sort=newest))
