"""Conditions and sort terms on feedback, as SQL for SQLite.

What the scores table can say is asked of it: comparisons of the usual values over the newest, any, all or the mean
of the authors. Everything else (a version, `*`, long texts, payloads too large for scores, agreement …) is handed,
row by row, to the reference evaluator itself through the SQL function `kibitz_judged`: slower, and right by
construction.
"""

from __future__ import annotations

import pickle
from typing import assert_never

from kibitz.query.catalog import Catalog
from kibitz.query.fields import is_index
from kibitz.query.nodes import (
    Compare,
    Convert,
    Exists,
    FeedbackField,
    In,
    Literal_,
    Node,
    Size,
    SortKey,
    Test,
)
from kibitz.query.pieces import (
    BOOL,
    FALSE,
    NUMBER,
    OPERATORS,
    SORT_CHARACTERS,
    TEXT,
    Param,
    Sql,
    by_kind,
    double,
    either,
    missing_kind,
    one_of,
)

_NEWEST = "s.role IN (1, 2, 4)"
_ANYBODY = "s.role <> 3"
_MEAN = f"(s.role = 3 OR (s.role = 1 AND s.kind = {NUMBER}))"
_SORTED = {
    "latest": "{}.role IN (1, 4)",
    "mean": f"({{0}}.role = 3 OR ({{0}}.role = 1 AND {{0}}.kind = {NUMBER}))",
}
_ROWS = """(SELECT json_group_array(json_array(f.pk, f.id, t.name, w.name, w.kind, f.created_at, f.retracts,
    coalesce(n.text, a.text), f.payload))
    FROM feedback f JOIN feedback_types t ON t.pk = f.type JOIN authors w ON w.pk = f.author
    LEFT JOIN refs n ON n.pk = f.runnable_ref LEFT JOIN refs a ON a.pk = f.annotation_ref
    WHERE f.call = {}{})"""


class FeedbackCompiler:
    """Compiles what a query says about feedback, for one project."""

    def __init__(self, catalog: Catalog, *, call: str = "c.pk") -> None:
        """`call` is what stands for the call: another table's column, where that leads, spares reading the call."""
        self._catalog = catalog
        self._pk = call

    def condition(self, node: Test, field: FeedbackField) -> Sql:
        """A condition on feedback, as an expression that is 0 or 1."""
        if isinstance(node.field, Size | Convert):
            found = None
        elif isinstance(node, Compare | In):
            found = self._by_scores(node, field)
        elif isinstance(node, Exists) and not field.path and field.part == "payload":
            found = self._presence(field)
        else:
            found = None
        return found or self._judged(node, field)

    def score_set(self, node: Compare | In, field: FeedbackField) -> Sql | None:
        """The calls for which a condition holds, as a SELECT of their pk; None where scores cannot say."""
        values = _values(node)
        if field.over == "all" or not values:
            return None
        series = self._series(field, values)
        if series is None or series < 0:
            return None
        # One search of the index for each kind of value: over an OR it would read the whole series.
        searches = [
            Sql(
                f"SELECT s.call FROM scores s WHERE s.series = ? AND {test.text}"
                f" AND {_whose(field.over)}",
                (series, *test.params),
            )
            for test in _tests(_operator(node), values)
        ]
        text = " UNION ALL ".join(search.text for search in searches)
        return Sql(text, tuple(param for search in searches for param in search.params))

    def value_test(
        self, node: Compare | In, field: FeedbackField, *, alias: str = "s"
    ) -> Sql | None:
        """The test of a comparison for one value, by its kind, num and text; None where scores cannot say."""
        values = _values(node)
        series = self._series(field, values)
        if series is None or series < 0 or not values:
            return None
        return either(_tests(_operator(node), values, alias))

    def leading_series(self, field: FeedbackField) -> int | None:
        """The series whose index has a field's order; -1 where nothing has a value, None where there is none."""
        return self._scored_series(field) if field.over in _SORTED else None

    @staticmethod
    def sorted_rows(alias: str, field: FeedbackField) -> str:
        """Which of a series' rows hold the field's one value for a call."""
        return _SORTED[field.over].format(alias)

    def sort_join(
        self, key: SortKey, field: FeedbackField, alias: str
    ) -> tuple[Sql | None, list[Sql]]:
        """A LEFT JOIN that sort terms need, where they do, and the terms."""
        missing = missing_kind(key)
        is_plain = isinstance(key.field, FeedbackField)
        series = self.leading_series(field) if is_plain else None
        if series is None:
            ranked, params = self._call("kibitz_rank", Exists(key.field), field)
            parts = [f"json_extract({ranked}, '$[{index}]')" for index in range(3)]
            kind = Sql(f"coalesce({parts[0]}, {missing})", params)
            num = Sql(f"coalesce(CAST({parts[1]} AS REAL), 0.0)", params)
            return None, [kind, num, Sql(f"coalesce({parts[2]}, '')", params)]
        if series < 0:
            return None, [Sql(str(missing)), Sql("0.0"), Sql("''")]
        join = Sql(
            f"LEFT JOIN scores {alias} ON {alias}.series = ? AND {alias}.call = c.pk"
            f" AND {self.sorted_rows(alias, field)}",
            (series,),
        )
        return join, [
            Sql(f"coalesce({alias}.kind, {missing})"),
            Sql(f"coalesce({alias}.num, 0.0)"),
            Sql(f"coalesce({alias}.text, '')"),
        ]

    def _by_scores(self, node: Compare | In, field: FeedbackField) -> Sql | None:
        values = _values(node)
        if not values:
            return FALSE
        series = self._series(field, values)
        if series is None:
            return None
        if series < 0:
            return FALSE
        test = _of_one_call(_test(field.over, _operator(node), values))
        if field.over != "all":
            return Sql(
                f"EXISTS (SELECT 1 FROM scores s WHERE s.series = ? AND s.call = {self._pk} AND {test.text})",
                (series, *test.params),
            )
        entry = self._catalog.feedback_type(field.type)
        assert entry is not None, "a type without a row has no series"
        standing = f"FROM feedback f WHERE f.call = {self._pk} AND f.type = ? AND f.stands > 0"
        return Sql(
            f"(EXISTS (SELECT 1 {standing}) AND NOT EXISTS (SELECT 1 {standing}"
            " AND NOT EXISTS (SELECT 1 FROM scores s"
            f" WHERE s.series = ? AND s.call = {self._pk} AND s.source = f.pk AND {test.text})))",
            (entry.pk, entry.pk, series, *test.params),
        )

    def _presence(self, field: FeedbackField) -> Sql | None:
        if field.version is not None or field.over in ("mean", "min", "max", "agree"):
            return None
        if field.type == "*":
            return Sql(
                f"EXISTS (SELECT 1 FROM feedback f WHERE f.call = {self._pk} AND f.stands > 0)"
            )
        entry = self._catalog.feedback_type(field.type)
        if entry is None:
            return FALSE
        return Sql(
            f"EXISTS (SELECT 1 FROM feedback f WHERE f.call = {self._pk} AND f.type = ? AND f.stands > 0)",
            (entry.pk,),
        )

    def _series(self, field: FeedbackField, values: tuple[Literal_, ...]) -> int | None:
        """The series that answers a comparison; -1 where nothing can match; None where scores cannot tell."""
        if field.over in ("min", "max", "agree"):
            return None
        for value in values:
            if value is None or (isinstance(value, str) and len(value) >= SORT_CHARACTERS):
                return None
        return self._scored_series(field)

    def _scored_series(self, field: FeedbackField) -> int | None:
        if (
            field.part != "payload"
            or field.version is not None
            or field.type == "*"
            or not field.path
        ):
            return None
        entry = self._catalog.feedback_type(field.type)
        if entry is None:
            return -1
        if not entry.indexed or any(map(is_index, field.path)):
            return None
        series = self._catalog.series(entry.pk, field.path)
        return -1 if series is None else series

    def _judged(self, node: Test, field: FeedbackField) -> Sql:
        text, params = self._call("kibitz_judged", node, field)
        return Sql(text, params)

    def _call(
        self, function: str, node: Test, field: FeedbackField
    ) -> tuple[str, tuple[Param, ...]]:
        condition, params = self._of_type(field)
        return f"{function}({_ROWS.format(self._pk, condition)}, ?)", (*params, freeze(node))

    def _of_type(self, field: FeedbackField) -> tuple[str, tuple[int, ...]]:
        if field.type == "*":
            return "", ()
        entry = self._catalog.feedback_type(field.type)
        return " AND f.type = ?", (-1 if entry is None else entry.pk,)


def freeze(node: Node) -> bytes:
    """A node as the parameter of a statement; never leaves the process that made it."""
    return pickle.dumps(node)


def thaw(frozen: bytes) -> Node:
    """The node of a parameter; only ever of one that `freeze` has just made."""
    return pickle.loads(frozen)


def _values(node: Compare | In) -> tuple[Literal_, ...]:
    return (node.value,) if isinstance(node, Compare) else node.values


def _operator(node: Compare | In) -> str:
    return node.operator if isinstance(node, Compare) else "eq"


def _test(over: str, operator: str, values: tuple[Literal_, ...]) -> Sql:
    test = either(_tests(operator, values))
    return Sql(f"{test.text} AND {_whose(over)}", test.params)


def _whose(over: str) -> str:
    return {"latest": _NEWEST, "mean": _MEAN}.get(over, _ANYBODY)


def _tests(operator: str, values: tuple[Literal_, ...], alias: str = "s") -> list[Sql]:
    """One test for each kind of value, of which one must hold."""
    tests = (
        _score_among(values, alias)
        if operator == "eq"
        else [_score_test(operator, values[0], alias)]
    )
    return [test for test in tests if test is not FALSE] or [FALSE]


def _of_one_call(test: Sql) -> Sql:
    """The test for the rows of one call: kept from the index by value, which SQLite would search for every call."""
    text = test.text
    for column in ("s.kind", "s.num", "s.text"):
        text = text.replace(column, f"+{column}")
    return Sql(text, test.params)


def _score_among(values: tuple[Literal_, ...], alias: str) -> list[Sql]:
    bools, numbers, texts = by_kind(values)
    return [
        one_of(f"{alias}.kind = {BOOL} AND {alias}.num", bools),
        one_of(f"{alias}.kind = {NUMBER} AND {alias}.num", numbers),
        one_of(f"{alias}.kind = {TEXT} AND {alias}.num = 0 AND {alias}.text", texts),
    ]


def _score_test(operator: str, value: Literal_, alias: str) -> Sql:
    sign = OPERATORS[operator]
    match value:
        case bool():
            return Sql(f"({alias}.kind = {BOOL} AND {alias}.num {sign} ?)", (float(value),))
        case int() | float():
            return Sql(f"({alias}.kind = {NUMBER} AND {alias}.num {sign} ?)", (double(value),))
        case str():
            # num is 0 on text: named, so that the index reaches the text behind it.
            return Sql(
                f"({alias}.kind = {TEXT} AND {alias}.num = 0 AND {alias}.text {sign} ?)", (value,)
            )
        case None:
            return FALSE
        case _:
            assert_never(value)
