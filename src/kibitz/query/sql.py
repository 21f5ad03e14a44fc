"""Nodes as SQL for SQLite. What they mean is said by `reference.py`; here they only become fast.

A condition is an expression over the call's row `c` and, where it looks into JSON, its payload row `p`.
Every expression gives 0 or 1, never NULL, so that NOT means not; only the conjuncts of the top level may
give NULL (WHERE takes it for false), because a bare comparison is what an index can serve.

Values are always parameters. What is written into the text is chosen from closed sets here.
"""

from __future__ import annotations

from typing import assert_never

from kibitz.query import json_sql, patterns, scalar_sql
from kibitz.query.catalog import Catalog
from kibitz.query.feedback_sql import FeedbackCompiler
from kibitz.query.nodes import (
    And,
    Column,
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
    Or,
    PathField,
    Size,
    SortKey,
    Test,
    base,
)
from kibitz.query.pieces import (
    FALSE,
    NUMBER,
    OPERATORS,
    SORT_CHARACTERS,
    TEXT,
    TRUE,
    Param,
    Sql,
    by_kind,
    double,
    either,
    joined,
    missing_kind,
    one_of,
)
from kibitz.query.scalar_sql import Scalar

_STATUSES = ("running", "success", "error")
_TEXT_COLUMNS: dict[Column, str] = {
    "id": "c.id",
    "trace_id": "c.trace_id",
    "parent_id": "c.parent_id",
    "kind": "c.kind",
    "display_name": "c.display_name",
    "thread_id": "c.thread_id",
    "author": "c.author",
    "status": "c.status",
    "model": "c.model",
    "op": "coalesce((SELECT o.name FROM ops o WHERE o.pk = c.op), '')",
    "op_ref": "(SELECT r.text FROM refs r WHERE r.pk = c.op_ref)",
}
_NUMBER_COLUMNS: dict[Column, str] = {
    "started_at": "c.started_at",
    "ended_at": "c.ended_at",
    "latency_ms": "(c.latency / 1000.0)",
    "input_tokens": "c.input_tokens",
    "output_tokens": "c.output_tokens",
    "tokens": "c.tokens",
    "cost": "c.cost",
}
_FRACTIONS = frozenset[Column](("latency_ms", "cost"))
"""Number columns that are doubles."""


_MATCHING = "kibitz_matches({}, ?, ?)"
"""The test whether a pattern is found in a text."""


class Compiler:
    """Compiles the nodes of one query for one project."""

    def __init__(self, catalog: Catalog, *, call: str = "c.pk") -> None:
        self._catalog = catalog
        self.feedback = FeedbackCompiler(catalog, call=call)
        self.reads_payload = False
        """Whether anything compiled so far needs the payload row `p`."""
        self.joins: list[Sql] = []
        """LEFT JOINs that sort terms need, in order."""

    # -- conditions

    def condition(self, node: Node, *, top: bool = False) -> Sql:
        """A node as a condition; `top` where it stands alone or in the outermost AND."""
        match node:
            case And(nodes):
                return joined([self.condition(each, top=top) for each in nodes] or [TRUE], " AND ")
            case Or(nodes):
                return joined([self.condition(each) for each in nodes] or [FALSE], " OR ")
            case Not(inner):
                piece = self.condition(inner)
                return Sql(f"(NOT {piece.text})", piece.params)
            case Compare() | In() | Contains() | Matches() | Exists():
                field = base(node.field)
                if isinstance(field, FeedbackField):
                    return self.feedback.condition(node, field)
                return self._on_call(node, field, top)
            case _:
                assert_never(node)

    def _on_call(self, node: Test, field: ColumnField | PathField, top: bool) -> Sql:
        match node:
            case Compare(Size() | Convert() as operand, operator, value):
                return self._scalar(operand, field).compare(operator, value)
            case In(Size() | Convert() as operand, values):
                return self._scalar(operand, field).among(values)
            case Contains(Size() | Convert() as operand, text, case_insensitive):
                return self._scalar(operand, field).text_test(*_containing(text, case_insensitive))
            case Matches(Size() | Convert() as operand, pattern, case_insensitive):
                test, params = _MATCHING, (pattern, int(case_insensitive))
                return self._scalar(operand, field).text_test(test, params)
            case Exists(Size() | Convert() as operand):
                return self._scalar(operand, field).exists()
            case Compare(_, operator, value):
                return self._compare(field, operator, value, top)
            case In(_, values):
                return self._among(field, values, top)
            case Contains(_, text, case_insensitive):
                return self._contains(field, text, case_insensitive)
            case Matches(_, pattern, case_insensitive):
                return self._matches(field, pattern, case_insensitive)
            case Exists():
                return self._exists(field)
            case _:
                assert_never(node)

    def _scalar(self, operand: Size | Convert, field: ColumnField | PathField) -> Scalar:
        """What is worked out from a field of the call."""
        match field:
            case ColumnField(name):
                is_number = name in _NUMBER_COLUMNS
                value = Sql(_NUMBER_COLUMNS[name] if is_number else _TEXT_COLUMNS[name])
                kind = Sql("'real'" if is_number else "'text'")
                length = Sql("NULL") if is_number else Sql(f"length({value.text})")
            case PathField(root, path):
                self.reads_payload = True
                place = json_sql.at(json_sql.payload(root, path), path)
                value, kind, length = place.value, place.type, json_sql.size(place)
            case _:
                assert_never(field)
        if isinstance(operand, Size):
            return Scalar(NUMBER, length)
        return scalar_sql.converted(kind, value, operand.to)

    def score_set(self, node: Node) -> Sql | None:
        """The calls for which a condition on one score holds, as a SELECT of their pk; None where it is not one."""
        if isinstance(node, Compare | In) and isinstance(node.field, FeedbackField):
            return self.feedback.score_set(node, node.field)
        return None

    def _compare(
        self, field: ColumnField | PathField, operator: str, value: Literal_, top: bool
    ) -> Sql:
        match field:
            case ColumnField(name):
                piece = self._compare_column(name, operator, value, top)
                return piece if top else Sql(f"coalesce({piece.text}, 0)", piece.params)
            case PathField(root, path):
                self.reads_payload = True
                return json_sql.compare(json_sql.payload(root, path), path, operator, value)
            case _:
                assert_never(field)

    def _compare_column(self, name: Column, operator: str, value: Literal_, top: bool) -> Sql:
        if value is None:
            expression = _TEXT_COLUMNS.get(name) or _NUMBER_COLUMNS[name]
            # The plain column, so that partial indexes on IS NULL can serve it.
            expression = {"op_ref": "c.op_ref", "latency_ms": "c.latency"}.get(name, expression)
            return Sql(f"{expression} IS NULL") if operator == "eq" else FALSE
        if name in _NUMBER_COLUMNS:
            if isinstance(value, bool) or not isinstance(value, int | float):
                return FALSE
            exact = isinstance(value, int) and abs(value) < 1 << 62 and name not in _FRACTIONS
            return Sql(
                f"{_NUMBER_COLUMNS[name]} {OPERATORS[operator]} ?",
                (value if exact else double(value),),
            )
        if not isinstance(value, str):
            return FALSE
        if name == "op" and operator == "eq":
            return self._named(value)
        if name == "status" and operator == "eq" and top:
            # In the text, since partial indexes are matched by constants only.
            return Sql(f"c.status = '{value}'") if value in _STATUSES else FALSE
        return Sql(f"{_TEXT_COLUMNS[name]} {OPERATORS[operator]} ?", (value,))

    def _named(self, op: str) -> Sql:
        """The calls of an op; a call that named none has the empty name."""
        if op == "":
            return Sql("c.op IS NULL")
        pk = self._catalog.op(op)
        return FALSE if pk is None else Sql("c.op = ?", (pk,))

    def _among(
        self, field: ColumnField | PathField, values: tuple[Literal_, ...], top: bool
    ) -> Sql:
        match field:
            case ColumnField(name):
                piece = self._column_among(name, values)
                return piece if top else Sql(f"coalesce({piece.text}, 0)", piece.params)
            case PathField(root, path):
                self.reads_payload = True
                return json_sql.among(json_sql.payload(root, path), path, values)
            case _:
                assert_never(field)

    def _column_among(self, name: Column, values: tuple[Literal_, ...]) -> Sql:
        _, numbers, texts = by_kind(values)
        if name in _NUMBER_COLUMNS:
            pieces = [one_of(_NUMBER_COLUMNS[name], numbers)]
        elif name == "op":
            ops: list[Param] = [self._catalog.op(str(text)) for text in texts]
            pieces = [one_of("c.op", [op for op in ops if op is not None])]
            if "" in texts:
                pieces.append(self._named(""))
        else:
            pieces = [one_of(_TEXT_COLUMNS[name], texts)]
        if None in values:
            pieces.append(self._compare_column(name, "eq", None, True))
        return either(pieces)

    def _contains(self, field: ColumnField | PathField, text: str, case_insensitive: bool) -> Sql:
        test, needle = _containing(text, case_insensitive)
        found = self._any_text(field, test, needle)
        if isinstance(field, PathField) and _appears_as_it_is(str(needle[0])):
            # Most rows are dismissed by one look at the text as a whole, without parsing it.
            whole = f"coalesce({test.format(f'p.{field.root}')}, 0)"
            return Sql(f"({whole} AND {found.text})", (*needle, *found.params))
        return found

    def _matches(self, field: ColumnField | PathField, pattern: str, case_insensitive: bool) -> Sql:
        found = self._any_text(field, _MATCHING, (pattern, int(case_insensitive)))
        required = None if case_insensitive else patterns.required_text(pattern)
        if isinstance(field, PathField) and required is not None and _appears_as_it_is(required):
            return Sql(
                f"(coalesce(instr(p.{field.root}, ?) > 0, 0) AND {found.text})",
                (required, *found.params),
            )
        return found

    def _any_text(
        self, field: ColumnField | PathField, test: str, params: tuple[Param, ...]
    ) -> Sql:
        """Whether a test holds for the text at a field, or for one below it."""
        match field:
            case ColumnField(name):
                if name not in _TEXT_COLUMNS:
                    return FALSE
                return Sql(f"coalesce({test.format(_TEXT_COLUMNS[name])}, 0)", params)
            case PathField(root, path):
                self.reads_payload = True
                return json_sql.any_text(json_sql.at(Sql(f"p.{root}"), path), test, params)
            case _:
                assert_never(field)

    def _exists(self, field: ColumnField | PathField) -> Sql:
        match field:
            case ColumnField(name):
                expression = _TEXT_COLUMNS.get(name) or _NUMBER_COLUMNS[name]
                return Sql(f"({expression} IS NOT NULL)")
            case PathField(root, path):
                self.reads_payload = True
                place = json_sql.at(json_sql.payload(root, path), path)
                return Sql(f"({place.type.text} IS NOT NULL)", place.type.params)
            case _:
                assert_never(field)

    # -- sorting

    def sort_terms(self, key: SortKey) -> list[Sql]:
        """Expressions that are never NULL and sort, all in the key's direction, as the key means."""
        missing = missing_kind(key)
        field = base(key.field)
        match key.field:
            case Size() | Convert() as operand if not isinstance(field, FeedbackField):
                return self._scalar(operand, field).sort_terms(missing)
            case ColumnField("started_at"):
                return [Sql("c.started_at")]
            case ColumnField(name):
                if name in _NUMBER_COLUMNS:
                    expression = _NUMBER_COLUMNS[name]
                    return [
                        Sql(f"CASE WHEN {expression} IS NULL THEN {missing} ELSE {NUMBER} END"),
                        Sql(f"coalesce({expression}, 0)"),
                    ]
                expression = _TEXT_COLUMNS[name]
                return [
                    Sql(f"CASE WHEN {expression} IS NULL THEN {missing} ELSE {TEXT} END"),
                    Sql(f"coalesce(substr({expression}, 1, {SORT_CHARACTERS}), '')"),
                ]
            case PathField(root, path):
                self.reads_payload = True
                return json_sql.sort_terms(Sql(f"p.{root}"), path, missing)
            case FeedbackField() | Size() | Convert():
                assert isinstance(field, FeedbackField), "the others have been dealt with"
                join, terms = self.feedback.sort_join(key, field, f"k{len(self.joins)}")
                if join is not None:
                    self.joins.append(join)
                return terms
            case _:
                assert_never(key.field)


def _containing(text: str, case_insensitive: bool) -> tuple[str, tuple[str]]:
    """The test whether a text contains another, and its parameter."""
    if case_insensitive:
        return "instr(lower({}), ?) > 0", (_fold_ascii(text),)
    return "instr({}, ?) > 0", (text,)


def _fold_ascii(text: str) -> str:
    return "".join(chr(ord(c) + 32) if "A" <= c <= "Z" else c for c in text)


def _appears_as_it_is(text: str) -> bool:
    """Whether a text stands in JSON just as it is, with nothing escaped."""
    return not any(
        character in '"\\' or character < " " or character == "\x7f" for character in text
    )
