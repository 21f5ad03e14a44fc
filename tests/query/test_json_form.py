"""Queries as JSON: there and back, and what is said about mistakes."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kibitz.base.errors import QueryError
from kibitz.query import fields, json_form, literals
from kibitz.query.nodes import (
    ALL_COLUMNS,
    And,
    CallQuery,
    ColumnField,
    Compare,
    Contains,
    Convert,
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

OP = {"$getField": "op"}
OUTPUT = {"$getField": "output"}
STARTED = {"$getField": "started_at"}
MATCH = {"$getField": "feedback.[runnable.x].payload.output.match"}
MATCH_FIELD = FeedbackField("runnable.x", ("output", "match"))

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
PATHS = st.lists(TEXTS | st.sampled_from(["a.b", "\\", "0"]), max_size=3).map(tuple)
TEXT_COLUMNS = [
    name
    for name in fields.COLUMNS
    if name not in fields.TIME_COLUMNS | fields.NUMBER_COLUMNS | {"status"}
]
JSON_FIELDS = st.builds(PathField, st.sampled_from(fields.ROOTS), PATHS) | st.builds(
    FeedbackField,
    TEXTS.filter(bool),
    PATHS.filter(bool),
    st.sampled_from(["latest", "any", "all"]),
    version=st.sampled_from([None, "0", "3f9c"]),
)
JUDGED = {
    FeedbackField("x", part="count"): "number",
    FeedbackField("*", part="author"): "text",
    FeedbackField("x", (), "any", "created_at"): "time",
    FeedbackField("x", ("a",), "mean", version="0"): "number",
    FeedbackField("x", ("a",), "agree"): "bool",
}
NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.none() | st.booleans() | NUMBERS | TEXTS | st.sampled_from(["true", "false"])


@st.composite
def _fields_with_values(draw: st.DrawFn) -> tuple[Operand, st.SearchStrategy[Literal_]]:
    kind = draw(
        st.sampled_from(
            ["json", "text", "time", "latency", "status", "judged", "size", "converted"]
        )
    )
    if kind == "size":
        return Size(draw(JSON_FIELDS)), st.none() | NUMBERS
    if kind == "converted":
        to = draw(st.sampled_from(fields.CONVERSIONS))
        values = {"text": TEXTS, "bool": st.booleans()}.get(to, NUMBERS)
        return Convert(draw(JSON_FIELDS), to), st.none() | values
    if kind == "judged":
        field = draw(st.sampled_from(list(JUDGED)))
        times = st.integers(-(2**63), 2**63 - 1)
        of_kind = {"number": NUMBERS, "text": TEXTS, "time": times, "bool": st.booleans()}
        return field, st.none() | of_kind[JUDGED[field]]
    if kind == "json":
        return draw(JSON_FIELDS), VALUES
    if kind == "text":
        return ColumnField(draw(st.sampled_from(TEXT_COLUMNS))), st.none() | TEXTS
    if kind == "time":
        name = draw(st.sampled_from(sorted(fields.TIME_COLUMNS)))
        return ColumnField(name), st.none() | st.integers(-(2**63), 2**63 - 1)
    if kind == "latency":
        return ColumnField("latency_ms"), st.none() | NUMBERS
    return ColumnField("status"), st.none() | st.sampled_from(literals.STATUSES)


@st.composite
def _leaves(draw: st.DrawFn) -> Node:
    field, values = draw(_fields_with_values())
    kind = draw(st.sampled_from(["compare", "in", "contains", "matches", "exists"]))
    if kind == "matches":
        pattern = draw(TEXTS.map(re.escape) | st.sampled_from(["a|b", r"\d+$", "(?i)x", ""]))
        return Matches(draw(JSON_FIELDS), pattern, draw(st.booleans()))
    if kind == "exists":
        return Exists(field)
    if kind == "contains":
        return Contains(draw(JSON_FIELDS), draw(TEXTS), draw(st.booleans()))
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
        JSON_FIELDS
        | st.builds(Size, JSON_FIELDS)
        | st.builds(Convert, JSON_FIELDS, st.sampled_from(fields.CONVERSIONS))
        | st.sampled_from(fields.COLUMNS).map(ColumnField)
        | st.sampled_from(list(JUDGED)),
        descending=st.booleans(),
    ),
    max_size=4,
).map(tuple)
QUERIES = st.builds(
    CallQuery,
    project=st.sampled_from(["app", "team/app"]),
    where=st.none() | NODES,
    sort=SORTS,
    limit=st.integers(1, 1000),
    cursor=st.none() | st.just("5b5d"),
    columns=st.frozensets(st.sampled_from(sorted(ALL_COLUMNS))),
)


@given(QUERIES)
def test_a_query_comes_back_from_json_as_it_was(query: CallQuery) -> None:
    sent = json.loads(json.dumps(json_form.to_json(query)))

    assert json_form.parse_query(sent) == query


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["$and", "$or", "$not", "$eq", "$in", "$contains", "$exists", "$getField", "input"]
                + [
                    "$literal",
                    "$expr",
                    "project",
                    "filter",
                    "query",
                    "sort",
                    "substr",
                    "exact",
                    "op",
                ]
            ),
            below | st.sampled_from(["op", "inputs.a", "status", "started_at", "feedback.[x]"]),
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_whatever_is_sent_gives_a_query_or_a_query_error(sent: Any) -> None:
    for parse in (json_form.parse_where, json_form.parse_sort, json_form.parse_query):
        try:
            parse(sent)
        except QueryError as error:
            _check(error)
    try:
        json_form.parse_where({"$expr": sent})
    except QueryError as error:
        _check(error)


def _check(error: QueryError) -> None:
    assert error.facts["at"]
    assert len(error.message) < 1000


def _where(node: Any) -> Node:
    return json_form.parse_where({"$expr": node})


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ({"$eq": [OP, {"$literal": "a"}]}, Compare(ColumnField("op"), "eq", "a")),
        ({"$ne": [OP, {"$literal": "a"}]}, Not(Compare(ColumnField("op"), "eq", "a"))),
        ({"$lt": [{"$literal": 1}, OUTPUT]}, Compare(PathField("output"), "gt", 1)),
        ({"$gte": [{"$literal": 1}, OUTPUT]}, Compare(PathField("output"), "lte", 1)),
        ({"$eq": [{"$literal": None}, OUTPUT]}, Compare(PathField("output"), "eq", None)),
        ({"$in": [OUTPUT, []]}, In(PathField("output"), ())),
        ({"$in": [OP, [{"$literal": "a"}]]}, In(ColumnField("op"), ("a",))),
        (
            {"$contains": {"input": OUTPUT, "substr": {"$literal": "x"}}},
            Contains(PathField("output"), "x"),
        ),
        ({"$exists": MATCH}, Exists(MATCH_FIELD)),
        ({"$eq": [MATCH, {"$literal": "true"}]}, In(MATCH_FIELD, ("true", True))),
        ({"$ne": [MATCH, {"$literal": "false"}]}, Not(In(MATCH_FIELD, ("false", False)))),
        (
            {"$eq": [MATCH, {"$literal": "true", "exact": True}]},
            Compare(MATCH_FIELD, "eq", "true"),
        ),
        ({"$eq": [MATCH, {"$literal": "True"}]}, Compare(MATCH_FIELD, "eq", "True")),
        ({"$gt": [MATCH, {"$literal": "true"}]}, Compare(MATCH_FIELD, "gt", "true")),
        (
            {"$in": [MATCH, [{"$literal": "true"}, {"$literal": 1}]]},
            In(MATCH_FIELD, ("true", 1, True)),
        ),
        ({"$eq": [OUTPUT, {"$literal": "true"}]}, Compare(PathField("output"), "eq", "true")),
        (
            {"$eq": [{"$getField": "feedback.[x].author"}, {"$literal": "true"}]},
            Compare(FeedbackField("x", part="author"), "eq", "true"),
        ),
        (
            {
                "$lt": [
                    {"$getField": "feedback.[x].created_at"},
                    {"$literal": "1970-01-01T00:00:01Z"},
                ]
            },
            Compare(FeedbackField("x", part="created_at"), "lt", 1_000_000),
        ),
        (
            {"$gt": [{"$size": OUTPUT}, {"$literal": 3}]},
            Compare(Size(PathField("output")), "gt", 3),
        ),
        (
            {"$lt": [{"$literal": 3}, {"$size": OUTPUT}]},
            Compare(Size(PathField("output")), "gt", 3),
        ),
        *(
            (
                {"$eq": [{"$convert": {"input": OUTPUT, "to": spelled}}, {"$literal": value}]},
                Compare(Convert(PathField("output"), to), "eq", value),
            )
            for spelled, to, value in [
                ("number", "number", 1.5),
                ("double", "number", 1),
                ("int", "integer", 1),
                ("string", "text", "true"),
                ("text", "text", "1"),
                ("bool", "bool", True),
            ]
        ),
        ({"$convert": {"input": OUTPUT, "to": "exists"}}, Exists(PathField("output"))),
        (
            {"$eq": [{"$convert": {"input": OUTPUT, "to": "exists"}}, {"$literal": True}]},
            Exists(PathField("output")),
        ),
        (
            {"$eq": [{"$literal": "false"}, {"$convert": {"input": OUTPUT, "to": "exists"}}]},
            Not(Exists(PathField("output"))),
        ),
        (
            {"$ne": [{"$convert": {"input": OUTPUT, "to": "exists"}}, {"$literal": False}]},
            Exists(PathField("output")),
        ),
        (
            {"$ne": [{"$convert": {"input": OUTPUT, "to": "exists"}}, {"$literal": True}]},
            Not(Exists(PathField("output"))),
        ),
        (
            {"$regex": {"input": OUTPUT, "pattern": {"$literal": "a+"}, "case_insensitive": True}},
            Matches(PathField("output"), "a+", True),
        ),
        (
            {"$in": [{"$convert": {"input": MATCH, "to": "text"}}, [{"$literal": "true"}]]},
            In(Convert(MATCH_FIELD, "text"), ("true",)),
        ),
        (
            {"$gt": [{"$getField": "tokens"}, {"$literal": 5}]},
            Compare(ColumnField("tokens"), "gt", 5),
        ),
        ({"$eq": [OUTPUT, {"$literal": "a\0"}]}, Compare(PathField("output"), "eq", "a␀")),
        ({"$eq": [OUTPUT, {"$literal": 2**64}]}, Compare(PathField("output"), "eq", 2.0**64)),
        (
            {"$gte": [STARTED, {"$literal": "2026-01-01T00:00:00.000001Z"}]},
            Compare(ColumnField("started_at"), "gte", 1767225600000001),
        ),
        (
            {"$gte": [STARTED, {"$literal": "2026-01-01t02:00:00+02:00"}]},
            Compare(ColumnField("started_at"), "gte", 1767225600000000),
        ),
        (
            {"$gte": [STARTED, {"$literal": 1767225600000000.0}]},
            Compare(ColumnField("started_at"), "gte", 1767225600000000),
        ),
    ],
)
def test_what_is_meant(written: Any, meant: Node) -> None:
    assert _where(written) == meant


@pytest.mark.parametrize(
    ("written", "at", "says"),
    [
        ({"$eqq": []}, "$expr", "did you mean '$eq'"),
        ({"$AND": []}, "$expr", "did you mean '$and'"),
        ({"$xyzzy": []}, "$expr", "known are $eq"),
        ({}, "$expr", "has 0 operators"),
        ({"$eq": [], "$gt": []}, "$expr", "join several with $and"),
        ([], "$expr", "is not a condition"),
        (OP, "$expr", "is not a condition; compare it"),
        ({"$and": {}}, "$expr.$and", "is not a list"),
        ({"$or": []}, "$expr.$or", "give at least one"),
        ({"$not": {"$eq": []}}, "$expr.$not", 'write {"$not": [NODE]}'),
        ({"$not": []}, "$expr.$not", "has 0 operands, not 1"),
        ({"$eq": [OP]}, "$expr.$eq", "has 1 operands, not 2"),
        ({"$eq": [OP, OP]}, "$expr.$eq", "compares two fields"),
        ({"$eq": [{"$literal": 1}, {"$literal": 1}]}, "$expr.$eq", "compares two literals"),
        ({"$eq": ["op", {"$literal": 1}]}, "$expr.$eq[0]", '{"$getField": "op"}'),
        ({"$eq": [OP, "a"]}, "$expr.$eq[1]", '{"$literal": VALUE}'),
        (
            {"$and": [{"$exists": OP}, {"$eq": [{"$getField": "outptu"}, {"$literal": 1}]}]},
            "$expr.$and[1].$eq[0].$getField",
            "did you mean 'output'",
        ),
        ({"$not": [{"$exists": {"$getField": 5}}]}, "$expr.$not[0].$exists.$getField", "5"),
        ({"$eq": [OUTPUT, {"$literal": []}]}, "$expr.$eq[1].$literal", "is not a text, number"),
        ({"$eq": [OUTPUT, {"$literal": 1, "exakt": True}]}, "$expr.$eq[1]", "'exact'"),
        ({"$eq": [OUTPUT, {"$literal": 1, "exact": 1}]}, "$expr.$eq[1].exact", "neither true"),
        ({"$eq": [OUTPUT, {"$literal": float("nan")}]}, "$expr.$eq[1].$literal", "finite"),
        ({"$eq": [OUTPUT, {"$literal": 10**400}]}, "$expr.$eq[1].$literal", "finite"),
        ({"$eq": [OUTPUT, {"$literal": "\ud800"}]}, "$expr.$eq[1].$literal", "surrogate"),
        ({"$eq": [OUTPUT, {"$literal": "é" * 5001}]}, "$expr.$eq[1].$literal", "10,000 bytes"),
        ({"$gt": [OUTPUT, {"$literal": None}]}, "$expr.$gt[1]", "use $eq or $ne"),
        ({"$eq": [OP, {"$literal": 5}]}, "$expr.$eq[1]", "write '5'"),
        (
            {"$eq": [{"$getField": "latency_ms"}, {"$literal": "2s"}]},
            "$expr.$eq[1]",
            "milliseconds",
        ),
        (
            {"$eq": [{"$getField": "status"}, {"$literal": "failed"}]},
            "$expr.$eq[1]",
            "known are running, success, error",
        ),
        (
            {"$in": [{"$getField": "status"}, [{"$literal": "succes"}]]},
            "$expr.$in[1][0]",
            "did you mean 'success'",
        ),
        ({"$gt": [STARTED, {"$literal": "2026-01-01"}]}, "$expr.$gt[1]", "2026-01-01T00:00:00Z"),
        (
            {"$gt": [STARTED, {"$literal": "2026-01-01 10:00:00"}]},
            "$expr.$gt[1]",
            "no zone; write 2026-01-01T10:00:00Z",
        ),
        ({"$gt": [STARTED, {"$literal": "2026-02-30T00:00:00Z"}]}, "$expr.$gt[1]", "not a time"),
        ({"$gt": [STARTED, {"$literal": "2026-W01-1T00:00:00Z"}]}, "$expr.$gt[1]", "not a time"),
        ({"$gt": [STARTED, {"$literal": 2**63}]}, "$expr.$gt[1]", "not a time"),
        ({"$gt": [STARTED, {"$literal": 1.5}]}, "$expr.$gt[1]", "not a time"),
        ({"$gt": [STARTED, {"$literal": True}]}, "$expr.$gt[1]", "not a time"),
        (
            {"$eq": [{"$getField": "feedback.[x].payload"}, {"$literal": True}]},
            "$expr.$eq[1]",
            "$exists",
        ),
        (
            {"$eq": [{"$getField": "feedback.[x].count"}, {"$literal": "1"}]},
            "$expr.$eq[1]",
            "'1' is not a number, and feedback.[x].count is",
        ),
        (
            {"$eq": [{"$getField": "feedback.[x].mean.payload.a"}, {"$literal": True}]},
            "$expr.$eq[1]",
            "is not a number",
        ),
        (
            {"$eq": [{"$getField": "feedback.[x].agree.payload.a"}, {"$literal": 1}]},
            "$expr.$eq[1]",
            "neither true nor false",
        ),
        (
            {"$eq": [{"$getField": "feedback.[x].author"}, {"$literal": 1}]},
            "$expr.$eq[1]",
            "is not a text",
        ),
        (
            {"$eq": [{"$getField": "feedback.[x].created_at"}, {"$literal": "2026-01-01"}]},
            "$expr.$eq[1]",
            "2026-01-01T00:00:00Z",
        ),
        (
            {
                "$contains": {
                    "input": {"$getField": "feedback.[x].count"},
                    "substr": {"$literal": ""},
                }
            },
            "$expr.$contains.input",
            "is a number and contains no text",
        ),
        ({"$in": [OUTPUT, {"$literal": 1}]}, "$expr.$in[1]", "is not a list"),
        ({"$in": [OUTPUT, [{"$literal": 1}] * 1001]}, "$expr.$in[1]", "at most 1,000"),
        (
            {"$or": [{"$in": [OUTPUT, [{"$literal": 1}] * 1000]}] * 6},
            "$expr.$or[5].$in[1][0]",
            "more than 5,000 literals",
        ),
        ({"$contains": [OUTPUT, {"$literal": "x"}]}, "$expr.$contains", "is not an object"),
        ({"$contains": {"input": OUTPUT}}, "$expr.$contains", "has no substr"),
        (
            {"$contains": {"input": STARTED, "substr": {"$literal": "x"}}},
            "$expr.$contains.input",
            "contains no text",
        ),
        (
            {"$contains": {"input": OUTPUT, "substr": {"$literal": 1}}},
            "$expr.$contains.substr",
            "is not a text",
        ),
        (
            {"$contains": {"input": OUTPUT, "substr": {"$literal": ""}, "case_insensitive": 1}},
            "$expr.$contains.case_insensitive",
            "neither true nor false",
        ),
        ({"$contains": {"input": OUTPUT, "substring": 1}}, "$expr.$contains", "'substr'"),
        ({"$and": [{"$exists": OP}] * 500}, "$expr.$and[499]", "more than 500 conditions"),
        ({"$size": OUTPUT}, "$expr", "is not a condition"),
        ({"$convert": {"input": OUTPUT, "to": "number"}}, "$expr", "is not a condition"),
        (
            {"$gt": [{"$size": OUTPUT}, {"$literal": "3"}]},
            "$expr.$gt[1]",
            "is not a number, and size(output) is",
        ),
        ({"$gt": [{"$size": OUTPUT}, {"$size": OP}]}, "$expr.$gt", "compares two fields"),
        (
            {"$gt": [{"$size": {"$size": OUTPUT}}, {"$literal": 3}]},
            "$expr.$gt[0].$size",
            "is not a field",
        ),
        ({"$exists": {"$size": STARTED}}, "$expr.$exists", "is a time and compares as it is"),
        (
            {"$exists": {"$size": {"$getField": "tokens"}}},
            "$expr.$exists",
            "is a number and has no size",
        ),
        ({"$exists": {"$size": {"$getField": "feedback.[x]"}}}, "$expr.$exists", "whole judgement"),
        (
            {"$exists": {"$convert": {"input": OUTPUT, "to": "date"}}},
            "$expr.$exists.$convert.to",
            "known are",
        ),
        ({"$exists": {"$convert": {"input": OUTPUT}}}, "$expr.$exists.$convert", "has no to"),
        (
            {"$exists": {"$convert": {"input": OUTPUT, "to": "exists"}}},
            "$expr.$exists",
            "true or false already",
        ),
        (
            {"$gt": [{"$convert": {"input": OUTPUT, "to": "exists"}}, {"$literal": 1}]},
            "$expr.$gt[1]",
            "compared with true or false",
        ),
        (
            {"$eq": [{"$convert": {"input": OUTPUT, "to": "bool"}}, {"$literal": "true"}]},
            "$expr.$eq[1]",
            "is not true or false",
        ),
        (
            {"$exists": {"$getField": "size(output)"}},
            "$expr.$exists.$getField",
            "worked out from a field",
        ),
        (
            {"$regex": {"input": OUTPUT, "pattern": {"$literal": "("}}},
            "$expr.$regex.pattern",
            "never closed",
        ),
        (
            {"$regex": {"input": OUTPUT, "pattern": {"$literal": 1}}},
            "$expr.$regex.pattern",
            "is not a text",
        ),
        ({"$regex": {"input": OUTPUT, "regex": "a"}}, "$expr.$regex", "known are input, pattern"),
        (
            {"$regex": {"input": {"$size": OUTPUT}, "pattern": {"$literal": "a"}}},
            "$expr.$regex.input",
            "is a number",
        ),
        (
            {"$or": [{"$regex": {"input": OUTPUT, "pattern": {"$literal": "a"}}}] * 17},
            "$expr.$or[16].$regex",
            "more than 16 patterns",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place_and_the_way_out(
    written: Any, at: str, says: str
) -> None:
    with pytest.raises(QueryError) as caught:
        _where(written)

    assert caught.value.facts["at"] == at
    assert says in caught.value.message


def test_depth_is_bounded() -> None:
    def nested(depth: int) -> Any:
        node: Any = {"$exists": OP}
        for _ in range(depth - 1):
            node = {"$not": [node]}
        return node

    _where(nested(json_form.MAX_DEPTH))
    for depth in (json_form.MAX_DEPTH + 1, 500):
        with pytest.raises(QueryError, match="nested deeper than 32"):
            _where(nested(depth))


@pytest.mark.parametrize(
    ("sent", "at", "says"),
    [
        ([], "the query", "is not an object"),
        ({}, "project", "names no project"),
        ({"project": "a b"}, "project", "'a b'"),
        ({"project": 5}, "project", "5"),
        ({"project": "a", "filtr": {}}, "the query", "did you mean 'filter'"),
        ({"project": "a", "filter": {"ops": "x"}}, "filter", "did you mean 'op'"),
        ({"project": "a", "filter": {"op": 5}}, "filter.op", "5 is not a text"),
        ({"project": "a", "filter": {"op": ["x", None]}}, "filter.op", "null is not a text"),
        ({"project": "a", "filter": {"status": "ok"}}, "filter.status", "known are running"),
        ({"project": "a", "filter": {"ids": "x"}}, "filter.ids", "is not a list"),
        ({"project": "a", "filter": {"ids": ["x"] * 1001}}, "filter.ids", "at most 1,000"),
        ({"project": "a", "filter": {"root_only": 1}}, "filter.root_only", "neither"),
        ({"project": "a", "filter": {"since": "yesterday"}}, "filter.since", "not a time"),
        ({"project": "a", "filter": []}, "filter", "is not an object"),
        ({"project": "a", "query": {"expr": {}}}, "query", "did you mean '$expr'"),
        ({"project": "a", "query": {}}, "query", "is empty"),
        ({"project": "a", "sort": {"field": "op"}}, "sort", "is not a list"),
        ({"project": "a", "sort": ["op"]}, "sort[0]", "is not an object"),
        ({"project": "a", "sort": [{"direction": "asc"}]}, "sort[0]", "has no field"),
        ({"project": "a", "sort": [{"field": "oop"}]}, "sort[0].field", "did you mean 'op'"),
        (
            {"project": "a", "sort": [{"field": "op", "direction": "down"}]},
            "sort[0].direction",
            "known are asc, desc",
        ),
        (
            {"project": "a", "sort": [{"field": "feedback.[x]"}]},
            "sort[0].field",
            "feedback.[x].payload.output",
        ),
        ({"project": "a", "sort": [{"field": "op"}] * 9}, "sort", "at most 8"),
        ({"project": "a", "limit": 0}, "limit", "from 1 to 1,000"),
        ({"project": "a", "limit": 1001}, "limit", "from 1 to 1,000"),
        ({"project": "a", "limit": True}, "limit", "from 1 to 1,000"),
        ({"project": "a", "limit": "5"}, "limit", "from 1 to 1,000"),
        ({"project": "a", "cursor": 5}, "cursor", "next_cursor"),
        ({"project": "a", "cursor": ""}, "cursor", "next_cursor"),
        ({"project": "a", "columns": ["input"]}, "columns[0]", "did you mean 'inputs'"),
        ({"project": "a", "columns": "inputs"}, "columns", "is not a list"),
    ],
)
def test_a_mistake_outside_of_the_expression(sent: Any, at: str, says: str) -> None:
    with pytest.raises(QueryError) as caught:
        json_form.parse_query(sent)

    assert caught.value.facts["at"] == at
    assert says in caught.value.message


def test_what_is_left_out_has_a_default() -> None:
    assert json_form.parse_query({"project": "a"}) == CallQuery(project="a")
    unset = dict.fromkeys(("filter", "query", "sort", "limit", "cursor", "columns"))
    assert json_form.parse_query({"project": "a"} | unset) == CallQuery(project="a")


def test_filter_and_query_hold_together() -> None:
    query = json_form.parse_query(
        {
            "project": "a",
            "filter": {"op": "f", "status": ["error"], "root_only": True, "since": 5},
            "query": {"$expr": {"$exists": OP}},
        }
    )

    assert query.where == And(
        (
            Compare(ColumnField("op"), "eq", "f"),
            In(ColumnField("status"), ("error",)),
            Compare(ColumnField("parent_id"), "eq", None),
            Compare(ColumnField("started_at"), "gte", 5),
            Exists(ColumnField("op")),
        )
    )


def test_a_count_has_a_bound() -> None:
    where = {"$expr": {"$exists": OP}}

    assert json_form.parse_count({"project": "a", "query": where, "bound": 7}) == (
        "a",
        Exists(ColumnField("op")),
        7,
    )
    assert json_form.parse_count({"project": "a"}) == ("a", None, json_form.DEFAULT_BOUND)
    with pytest.raises(QueryError, match="'limit'.*'bound'|known are"):
        json_form.parse_count({"project": "a", "limit": 7})


def test_an_and_of_nothing_has_no_json() -> None:
    with pytest.raises(QueryError, match="And of no conditions"):
        json_form.where_to_json(And(()))
