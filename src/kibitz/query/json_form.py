"""Queries as JSON, as the HTTP API takes them: parsed into nodes with a position for every error, and back.

    {"$expr": NODE}
    NODE     {"$and": [NODE, …]}  {"$or": [NODE, …]}  {"$not": [NODE]}
             {"$eq": [OPERAND, LITERAL]}  $ne  $gt  $gte  $lt  $lte     either side first
             {"$in": [OPERAND, [LITERAL, …]]}
             {"$contains": {"input": OPERAND, "substr": LITERAL, "case_insensitive": false}}
             {"$regex": {"input": OPERAND, "pattern": LITERAL, "case_insensitive": false}}
             {"$exists": OPERAND}
    OPERAND  FIELD  {"$size": FIELD}  {"$convert": {"input": FIELD, "to": "number"}}
             to: number, integer, text, bool; double, int, string and exists, as other systems call them
    FIELD    {"$getField": "inputs.question"}                as `fields` spells it
    LITERAL  {"$literal": "text, number, true, false or null"}

Two things belong to this spelling alone. Time columns take RFC 3339 text with a zone, or microseconds since
1970. And equality of a feedback payload with the text "true" or "false" also finds that boolean, as clients
of other systems write it; `{"$literal": "true", "exact": true}` is the text only.

A query from outside is bounded in depth, in nodes, in patterns and in the number and size of its literals.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, assert_never, cast

from kibitz.base import refs
from kibitz.base.errors import QueryError, UsageError
from kibitz.query import fields, json_operands, literals, patterns, shapes
from kibitz.query.nodes import (
    ALL_COLUMNS,
    MAX_LIMIT,
    And,
    CallColumn,
    CallQuery,
    ColumnField,
    Compare,
    Comparison,
    Contains,
    Exists,
    FeedbackField,
    In,
    Literal_,
    Matches,
    Node,
    Not,
    Operand,
    Or,
    SortKey,
)

MAX_DEPTH = 32
MAX_NODES = 500
MAX_IN_VALUES = 1000
MAX_VALUES = 5000
"""Literals of a whole query."""
MAX_PATTERNS = 16
"""Regular expressions of a whole query."""
MAX_SORT_KEYS = 8
MAX_CURSOR_CHARACTERS = 8192

_COMPARISONS: dict[str, Comparison] = {
    "$eq": "eq",
    "$gt": "gt",
    "$gte": "gte",
    "$lt": "lt",
    "$lte": "lte",
}
_FLIPPED: dict[Comparison, Comparison] = {
    "eq": "eq",
    "gt": "lt",
    "gte": "lte",
    "lt": "gt",
    "lte": "gte",
}
_OPERATORS = (
    *_COMPARISONS,
    "$ne",
    "$in",
    "$contains",
    "$regex",
    "$exists",
    "$and",
    "$or",
    "$not",
)
_QUERY_KEYS = ("project", "filter", "query", "sort", "limit", "cursor", "columns")
_COUNT_KEYS = ("project", "filter", "query", "bound")
_FILTER_COLUMNS = ("op", "status", "trace_id", "parent_id", "thread_id", "kind", "model")
_FILTER_KEYS = (*_FILTER_COLUMNS, "root_only", "since", "until", "ids")
DEFAULT_BOUND = 10_000
MAX_BOUND = 1_000_000


def parse_query(body: object) -> CallQuery:
    """A question for calls, as `POST /api/v1/calls/query` takes it.

    Raises:
        QueryError: something in it cannot be understood; `at` says where, `suggestion` what was meant.
    """
    given = shapes.entries(body, "the query", _QUERY_KEYS)
    default = CallQuery(project=_project(given))
    sort = given.get("sort")
    return CallQuery(
        project=default.project,
        where=parse_conditions(given.get("filter"), given.get("query")),
        sort=() if sort is None else parse_sort(sort),
        limit=_whole(given, "limit", default.limit, MAX_LIMIT),
        cursor=_cursor(given.get("cursor")),
        columns=_columns(given.get("columns")),
    )


def parse_count(body: object) -> tuple[str, Node | None, int]:
    """The project, condition and bound of a count, as `POST /api/v1/calls/count` takes it; raises `QueryError`."""
    given = shapes.entries(body, "the query", _COUNT_KEYS)
    where = parse_conditions(given.get("filter"), given.get("query"))
    return _project(given), where, _whole(given, "bound", DEFAULT_BOUND, MAX_BOUND)


def parse_conditions(filter_: object, query: object) -> Node | None:
    """The condition that a `filter` and a `query` make together; None where neither is given. Raises `QueryError`."""
    nodes = list(_filter_nodes(filter_)) if filter_ is not None else []
    if query is not None:
        nodes.append(parse_where(query))
    if len(nodes) > 1:
        return And(tuple(nodes))
    return nodes[0] if nodes else None


def parse_where(query: object) -> Node:
    """The condition of `{"$expr": NODE}`; raises `QueryError`."""
    given = shapes.entries(query, "query", ("$expr",))
    if "$expr" not in given:
        raise QueryError('query is empty; write {"$expr": {…}}, or leave it out', at="query")
    return _Parser().node(given["$expr"], "$expr", 1)


def parse_sort(sort: object) -> tuple[SortKey, ...]:
    """The keys of `[{"field": "…", "direction": "asc" | "desc"}, …]`; `asc` where no direction is given.

    Raises:
        QueryError: a key cannot be understood, or names what has no value to sort by.
    """
    keys: list[SortKey] = []
    for index, each in enumerate(shapes.items(sort, "sort", MAX_SORT_KEYS, '[{"field": …}, …]')):
        where = f"sort[{index}]"
        given = shapes.entries(each, where, ("field", "direction"))
        if "field" not in given:
            raise QueryError(f"{where} has no field; write {{'field': 'started_at'}}", at=where)
        field = json_operands.parse_text(given["field"], f"{where}.field")
        if isinstance(field, FeedbackField) and literals.is_whole(field):
            raise literals.needs_leaf(field, f"{where}.field")
        direction = shapes.word(
            given.get("direction", "asc"), f"{where}.direction", ("asc", "desc")
        )
        keys.append(SortKey(field, descending=direction == "desc"))
    return tuple(keys)


def to_json(query: CallQuery) -> dict[str, Any]:
    """The JSON of a query; `parse_query` gives an equal query back.

    Raises:
        QueryError: it has an AND or OR of nothing, which JSON cannot say.
    """
    default = CallQuery(project=query.project)
    written: dict[str, Any] = {"project": query.project}
    if query.where is not None:
        written["query"] = where_to_json(query.where)
    if query.sort:
        written["sort"] = sort_to_json(query.sort)
    if query.limit != default.limit:
        written["limit"] = query.limit
    if query.cursor is not None:
        written["cursor"] = query.cursor
    if query.columns:
        written["columns"] = sorted(query.columns)
    return written


def where_to_json(node: Node) -> dict[str, Any]:
    """The `{"$expr": NODE}` of a condition."""
    return {"$expr": _node_to_json(node)}


def sort_to_json(sort: Iterable[SortKey]) -> list[dict[str, str]]:
    """The `[{"field", "direction"}, …]` of sort keys."""
    return [
        {"field": fields.format(key.field), "direction": "desc" if key.descending else "asc"}
        for key in sort
    ]


class _Parser:
    """Parses one expression; counts what it holds."""

    def __init__(self) -> None:
        self._nodes = 0
        self._values = 0
        self._patterns = 0

    def node(self, given: object, at: str, depth: int) -> Node:
        self._nodes += 1
        if depth > MAX_DEPTH:
            raise QueryError(
                f"{at} is nested deeper than {MAX_DEPTH} conditions; flatten it", at=at
            )
        if self._nodes > MAX_NODES:
            raise QueryError(
                f"{at}: the query has more than {MAX_NODES} conditions; use $in for many values of one field",
                at=at,
            )
        operator, operand = _operation(given, at)
        below = f"{at}.{operator}"
        match operator:
            case "$and":
                return And(self._several(operand, below, depth))
            case "$or":
                return Or(self._several(operand, below, depth))
            case "$not":
                (inner,) = shapes.exactly(operand, below, 1, '{"$not": [NODE]}')
                return Not(self.node(inner, f"{below}[0]", depth + 1))
            case "$in":
                return self._among(operand, below)
            case "$contains":
                return self._contains(operand, below)
            case "$regex":
                return self._matches(operand, below)
            case "$exists":
                return Exists(json_operands.parse(operand, below))
            case "$ne":
                compared = self._compare("eq", operand, below)
                return compared.node if isinstance(compared, Not) else Not(compared)
            case _:
                return self._compare(_COMPARISONS[operator], operand, below)

    def _several(self, operand: object, at: str, depth: int) -> tuple[Node, ...]:
        given = shapes.items(operand, at, MAX_NODES, "[NODE, NODE, …]")
        if not given:
            raise QueryError(f"{at} has no conditions; give at least one, or leave it out", at=at)
        return tuple(self.node(each, f"{at}[{n}]", depth + 1) for n, each in enumerate(given))

    def _compare(self, operator: Comparison, operand: object, at: str) -> Node:
        left, right = shapes.exactly(operand, at, 2, "[FIELD, LITERAL]")
        left_at, right_at = f"{at}[0]", f"{at}[1]"
        if json_operands.is_literal(left) and not json_operands.is_literal(right):
            left, right, left_at, right_at = right, left, right_at, left_at
            operator = _FLIPPED[operator]
        elif json_operands.is_literal(left):
            raise QueryError(f"{at} compares two literals; one side must be a $getField", at=at)
        elif json_operands.is_operand(left) and json_operands.is_operand(right):
            raise QueryError(
                f"{at} compares two fields, which queries cannot do; one side must be a $literal",
                at=at,
            )
        value, exact = self._literal(right, right_at)
        if (there := json_operands.existing(left, left_at)) is not None:
            return json_operands.as_existing(there, operator, value, right_at)
        field = json_operands.parse(left, left_at)
        value = literals.fitting(field, value, right_at, equality=operator == "eq")
        meant = None if exact or operator != "eq" else literals.boolean_meant(field, value)
        return Compare(field, operator, value) if meant is None else In(field, (value, meant))

    def _among(self, operand: object, at: str) -> In:
        first, second = shapes.exactly(operand, at, 2, "[FIELD, [LITERAL, …]]")
        field = json_operands.parse(first, f"{at}[0]")
        values: list[Literal_] = []
        booleans: list[Literal_] = []
        for n, each in enumerate(shapes.items(second, f"{at}[1]", MAX_IN_VALUES, "[LITERAL, …]")):
            value, exact = self._literal(each, f"{at}[1][{n}]")
            value = literals.fitting(field, value, f"{at}[1][{n}]", equality=True)
            values.append(value)
            meant = None if exact else literals.boolean_meant(field, value)
            if meant is not None and meant not in booleans:
                booleans.append(meant)
        return In(field, (*values, *booleans))

    def _contains(self, operand: object, at: str) -> Contains:
        return Contains(*self._text_test(operand, at, "substr"))

    def _matches(self, operand: object, at: str) -> Matches:
        field, pattern, folded = self._text_test(operand, at, "pattern")
        self._patterns += 1
        if self._patterns > MAX_PATTERNS:
            raise QueryError(f"{at}: the query has more than {MAX_PATTERNS} patterns", at=at)
        patterns.check(pattern, f"{at}.pattern", case_insensitive=folded)
        return Matches(field, pattern, folded)

    def _text_test(self, operand: object, at: str, name: str) -> tuple[Operand, str, bool]:
        given = shapes.entries(operand, at, ("input", name, "case_insensitive"))
        for key in ("input", name):
            if key not in given:
                raise QueryError(
                    f'{at} has no {key}; write {{"input": FIELD, "{name}": LITERAL}}', at=at
                )
        field = json_operands.parse(given["input"], f"{at}.input")
        if literals.is_number(field):
            raise QueryError(
                f"{at}.input: {fields.format(field)} is a number and contains no text; compare it with $gte and $lt",
                at=f"{at}.input",
            )
        text, _ = self._literal(given[name], f"{at}.{name}")
        if not isinstance(text, str):
            raise QueryError(f"{at}.{name} {shapes.short(text)} is not a text", at=f"{at}.{name}")
        folded = shapes.flag(given.get("case_insensitive", False), f"{at}.case_insensitive")
        return field, text, folded

    def _literal(self, given: object, at: str) -> tuple[Literal_, bool]:
        """The value and whether it is meant exactly so."""
        self._values += 1
        if self._values > MAX_VALUES:
            raise QueryError(f"{at}: the query has more than {MAX_VALUES:,} literals", at=at)
        if not json_operands.is_literal(given):
            raise QueryError(
                f'{at} {shapes.short(given)} is not a literal; write {{"$literal": VALUE}}', at=at
            )
        spelled = shapes.entries(given, at, ("$literal", "exact"))
        exact = shapes.flag(spelled.get("exact", False), f"{at}.exact")
        return literals.parse(spelled["$literal"], f"{at}.$literal"), exact


def _operation(given: object, at: str) -> tuple[str, object]:
    if not isinstance(given, dict):
        raise QueryError(
            f'{at} {shapes.short(given)} is not a condition; write {{"$eq": [FIELD, LITERAL]}}',
            at=at,
        )
    entries = cast("dict[object, object]", given)
    if len(entries) != 1:
        raise QueryError(
            f"{at} {shapes.short(entries)} has {len(entries)} operators; a condition has one, join several with $and",
            at=at,
        )
    ((operator, operand),) = entries.items()
    if operator == "$convert" and (there := json_operands.existing(entries, at)) is not None:
        return "$exists", json_operands.field_to_json(there)
    if operator in ("$getField", "$literal", "$size", "$convert"):
        raise QueryError(
            f'{at} {shapes.short(entries)} is not a condition; compare it: {{"$eq": [{{"$getField": …}}, {{"$literal": …}}]}}',
            at=at,
        )
    if operator not in _OPERATORS:
        raise shapes.unknown(operator, at, _OPERATORS, "operator")
    return cast("str", operator), operand


# The rest of a query


def _filter_nodes(filter_: object) -> Iterable[Node]:
    given = shapes.entries(filter_, "filter", _FILTER_KEYS)
    for name in _FILTER_COLUMNS:
        if given.get(name) is not None:
            yield _one_or_several(ColumnField(name), given[name], f"filter.{name}")
    if given.get("ids") is not None:
        ids = shapes.items(given["ids"], "filter.ids", MAX_IN_VALUES, "a list of ids")
        yield In(ColumnField("id"), _column_values(ColumnField("id"), ids, "filter.ids"))
    root_only = given.get("root_only")
    if root_only is not None and shapes.flag(root_only, "filter.root_only"):
        yield Compare(ColumnField("parent_id"), "eq", None)
    bounds: tuple[tuple[str, Comparison], ...] = (("since", "gte"), ("until", "lt"))
    for name, operator in bounds:
        if given.get(name) is not None:
            moment = literals.parse_time(given[name], f"filter.{name}", name)
            yield Compare(ColumnField("started_at"), operator, moment)


def _one_or_several(field: ColumnField, given: object, at: str) -> Node:
    if isinstance(given, list | tuple):
        several = shapes.items(cast("object", given), at, MAX_IN_VALUES, "a list of texts")
        return In(field, _column_values(field, several, at))
    (value,) = _column_values(field, [given], at)
    return Compare(field, "eq", value)


def _column_values(field: ColumnField, given: list[object], at: str) -> tuple[Literal_, ...]:
    for each in given:
        if not isinstance(each, str):
            raise QueryError(f"{at} {shapes.short(each)} is not a text", at=at)
    return tuple(
        literals.fitting(field, literals.parse(each, at), at, equality=True) for each in given
    )


def _project(given: Mapping[str, object]) -> str:
    if "project" not in given:
        raise QueryError(
            "the query names no project; write {'project': 'team/app', …}", at="project"
        )
    try:
        return refs.check_project(cast("str", given["project"]))
    except UsageError as error:
        raise QueryError(error.message, at="project") from error


def _whole(given: Mapping[str, object], key: str, default: int, most: int) -> int:
    value = given.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise QueryError(
            f"{key} {shapes.short(value)} is not a whole number from 1 to {most:,}", at=key
        )
    return value


def _cursor(given: object) -> str | None:
    if given is None:
        return None
    if not isinstance(given, str) or not 0 < len(given) <= MAX_CURSOR_CHARACTERS:
        raise QueryError(
            f"cursor {shapes.short(given)} is not one that a page gave out as next_cursor",
            at="cursor",
        )
    return given


def _columns(given: object) -> frozenset[CallColumn]:
    if given is None:
        return frozenset()
    known = tuple(sorted(ALL_COLUMNS))
    each_column = shapes.items(given, "columns", len(known) * 4, "a list of names")
    return frozenset(
        cast("CallColumn", shapes.word(each, f"columns[{n}]", known))
        for n, each in enumerate(each_column)
    )


# Back to JSON


def _node_to_json(node: Node) -> dict[str, Any]:
    match node:
        case And(nodes) | Or(nodes):
            if not nodes:
                raise QueryError(
                    f"{type(node).__name__} of no conditions has no JSON; leave it out"
                )
            key = "$and" if isinstance(node, And) else "$or"
            return {key: [_node_to_json(each) for each in nodes]}
        case Not(Compare(field, "eq", value)):
            return {"$ne": _operands(field, value)}
        case Not(inner):
            return {"$not": [_node_to_json(inner)]}
        case Compare(field, operator, value):
            return {f"${operator}": _operands(field, value)}
        case In(field, values):
            return {
                "$in": [
                    json_operands.to_json(field),
                    [json_operands.literal_to_json(field, each) for each in values],
                ]
            }
        case Contains(field, text, case_insensitive):
            return {"$contains": _text_test_to_json(field, "substr", text, case_insensitive)}
        case Matches(field, pattern, case_insensitive):
            return {"$regex": _text_test_to_json(field, "pattern", pattern, case_insensitive)}
        case Exists(field):
            return {"$exists": json_operands.to_json(field)}
        case _:
            assert_never(node)


def _operands(field: Operand, value: Literal_) -> list[dict[str, Any]]:
    return [json_operands.to_json(field), json_operands.literal_to_json(field, value)]


def _text_test_to_json(
    field: Operand, name: str, text: str, case_insensitive: bool
) -> dict[str, Any]:
    test: dict[str, Any] = {"input": json_operands.to_json(field), name: {"$literal": text}}
    if case_insensitive:
        test["case_insensitive"] = True
    return test
