"""Nodes as SQL for SQLite. What they mean is said by `reference.py`; here they only become fast.

A condition is an expression over the call's row `c` and, where it looks into JSON, its payload row `p`.
Every expression gives 0 or 1, never NULL, so that NOT means not; only the conjuncts of the top level may
give NULL (WHERE takes it for false), because a bare comparison is what an index can serve.

Values are always parameters. What is written into the text is chosen from closed sets here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

import msgspec

from kibitz.query import fields
from kibitz.query.catalog import Catalog
from kibitz.query.feedback_sql import FeedbackCompiler
from kibitz.query.nodes import (
    And,
    Column,
    ColumnField,
    Compare,
    Contains,
    Exists,
    FeedbackField,
    In,
    Literal_,
    Node,
    Not,
    Or,
    PathField,
    Root,
    SortKey,
)
from kibitz.query.pieces import (
    BOOL,
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
            case Compare() | In() | Contains() | Exists():
                field = node.field
                if isinstance(field, FeedbackField):
                    return self.feedback.condition(node, field)
                return self._on_call(node, field, top)
            case _:
                assert_never(node)

    def _on_call(
        self,
        node: Compare | In | Contains | Exists,
        field: ColumnField | PathField,
        top: bool,
    ) -> Sql:
        match node:
            case Compare(_, operator, value):
                return self._compare(field, operator, value, top)
            case In(_, values):
                return self._among(field, values, top)
            case Contains(_, text, case_insensitive):
                return self._contains(field, text, case_insensitive)
            case Exists():
                return self._exists(field)
            case _:
                assert_never(node)

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
                return _compare_json(_payload(root, path), path, operator, value)
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
                return _json_among(_payload(root, path), path, values)
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
        fold = "lower({})" if case_insensitive else "{}"
        needle = _fold_ascii(text) if case_insensitive else text
        match field:
            case ColumnField(name):
                if name not in _TEXT_COLUMNS:
                    return FALSE
                return Sql(
                    f"coalesce(instr({fold.format(_TEXT_COLUMNS[name])}, ?) > 0, 0)", (needle,)
                )
            case PathField(root, path):
                self.reads_payload = True
                value = Sql(f"p.{root}")
            case _:
                assert_never(field)
        place = _at(value, path)
        deep = Sql(
            f"EXISTS (SELECT 1 FROM json_tree({place.container.text}, {place.path_text}) e"
            f" WHERE e.type = 'text' AND instr({fold.format('e.atom')}, ?) > 0)",
            (*place.container.params, *place.path_params, needle),
        )
        places = [deep]
        if place.alternatives:
            places = [
                Sql(
                    f"EXISTS (SELECT 1 FROM json_tree({place.container.text}, ?) e"
                    f" WHERE e.type = 'text' AND instr({fold.format('e.atom')}, ?) > 0)",
                    (*place.container.params, each, needle),
                )
                for each in place.alternatives
            ]
        found = joined(places, " OR ")
        if _appears_as_it_is(needle):
            # Most rows are dismissed by one look at the text as a whole, without parsing it.
            return Sql(
                f"(coalesce(instr({fold.format(value.text)}, ?) > 0, 0) AND {found.text})",
                (*value.params, needle, *found.params),
            )
        return found

    def _exists(self, field: ColumnField | PathField) -> Sql:
        match field:
            case ColumnField(name):
                expression = _TEXT_COLUMNS.get(name) or _NUMBER_COLUMNS[name]
                return Sql(f"({expression} IS NOT NULL)")
            case PathField(root, path):
                self.reads_payload = True
                place = _at(_payload(root, path), path)
                return Sql(f"({place.type.text} IS NOT NULL)", place.type.params)
            case _:
                assert_never(field)

    # -- sorting

    def sort_terms(self, key: SortKey) -> list[Sql]:
        """Expressions that are never NULL and sort, all in the key's direction, as the key means."""
        missing = missing_kind(key)
        match key.field:
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
                return _json_sort_terms(Sql(f"p.{root}"), path, missing)
            case FeedbackField():
                join, terms = self.feedback.sort_join(key, key.field, f"k{len(self.joins)}")
                if join is not None:
                    self.joins.append(join)
                return terms
            case _:
                assert_never(key.field)


# -- places in JSON


@dataclass(frozen=True, slots=True)
class _Place:
    """A place in a JSON value, as expressions for its type and its value."""

    container: Sql
    path_text: str
    path_params: tuple[Param, ...]
    alternatives: tuple[str, ...]
    """The ways to read parts of digits, as key or as index; at most one of them is there."""
    type: Sql
    value: Sql


def _payload(root: Root, path: tuple[str, ...]) -> Sql:
    if root in ("attributes", "summary") and not path:
        # Empty where nothing was said, and so always there; the column has NULL for it.
        return Sql(f"coalesce(p.{root}, '{{}}')")
    return Sql(f"p.{root}")


def _at(container: Sql, path: tuple[str, ...]) -> _Place:
    if any(_is_out_of_reach(part) for part in path):
        found = Sql(
            f"kibitz_at({container.text}, ?)",
            (*container.params, msgspec.json.encode(path).decode()),
        )
        return _Place(
            container=found,
            path_text="'$'",
            path_params=(),
            alternatives=(),
            type=Sql(f"json_type({found.text})", found.params),
            value=Sql(f"json_extract({found.text}, '$')", found.params),
        )
    spellings = _spellings(path)
    types = [
        Sql(f"json_type({container.text}, ?)", (*container.params, each)) for each in spellings
    ]
    values = [
        Sql(f"json_extract({container.text}, ?)", (*container.params, each)) for each in spellings
    ]
    return _Place(
        container=container,
        path_text="?",
        path_params=(spellings[0],),
        alternatives=tuple(spellings) if len(spellings) > 1 else (),
        type=_first(types),
        value=_first(values),
    )


def _first(pieces: list[Sql]) -> Sql:
    if len(pieces) == 1:
        return pieces[0]
    piece = joined(pieces, ", ")
    return Sql(f"coalesce{piece.text}", piece.params)


def _spellings(path: tuple[str, ...]) -> list[str]:
    spellings = ["$"]
    for part in path:
        steps = [f'."{part}"', f"[{part}]"] if fields.is_index(part) else [f'."{part}"']
        spellings = [spelling + step for spelling in spellings for step in steps]
    return spellings


def _is_out_of_reach(part: str) -> bool:
    return any(character in '"\\' or character < " " or character == "\x7f" for character in part)


def _compare_json(container: Sql, path: tuple[str, ...], operator: str, value: Literal_) -> Sql:
    place = _at(container, path)
    sign = OPERATORS[operator]
    if value is None:
        if operator != "eq":
            return FALSE
        return Sql(f"(coalesce({place.type.text}, 'null') = 'null')", place.type.params)
    match value:
        case bool():
            kinds, found, param = "('true', 'false')", place.value.text, int(value)
        case int() | float():
            kinds, found, param = (
                "('integer', 'real')",
                f"CAST({place.value.text} AS REAL)",
                double(value),
            )
        case str():
            kinds, found, param = "('text')", place.value.text, value
        case _:
            assert_never(value)
    return Sql(
        f"coalesce({place.type.text} IN {kinds} AND {found} {sign} ?, 0)",
        (*place.type.params, *place.value.params, param),
    )


def _json_among(container: Sql, path: tuple[str, ...], values: tuple[Literal_, ...]) -> Sql:
    place = _at(container, path)
    kind, value = place.type, place.value
    before = (*kind.params, *value.params)
    bools, numbers, texts = by_kind(values)
    test = either(
        [
            one_of(f"{kind.text} IN ('true', 'false') AND {value.text}", bools, before),
            one_of(
                f"{kind.text} IN ('integer', 'real') AND CAST({value.text} AS REAL)",
                numbers,
                before,
            ),
            one_of(f"{kind.text} = 'text' AND {value.text}", texts, before),
        ]
    )
    among = Sql(f"coalesce({test.text}, 0)", test.params)
    if None in values:
        return joined([among, _compare_json(container, path, "eq", None)], " OR ")
    return among


def _json_sort_terms(container: Sql, path: tuple[str, ...], missing: int) -> list[Sql]:
    place = _at(container, path)
    kind, value = place.type, place.value
    return [
        Sql(
            f"CASE {kind.text} WHEN 'true' THEN {BOOL} WHEN 'false' THEN {BOOL}"
            f" WHEN 'integer' THEN {NUMBER} WHEN 'real' THEN {NUMBER}"
            f" WHEN 'text' THEN {TEXT} ELSE {missing} END",
            kind.params,
        ),
        Sql(
            f"CASE WHEN {kind.text} IN ('true', 'false', 'integer', 'real')"
            f" THEN CAST({value.text} AS REAL) ELSE 0.0 END",
            (*kind.params, *value.params),
        ),
        Sql(
            f"CASE {kind.text} WHEN 'text' THEN substr({value.text}, 1, {SORT_CHARACTERS}) ELSE '' END",
            (*kind.params, *value.params),
        ),
    ]


def _fold_ascii(text: str) -> str:
    return "".join(chr(ord(c) + 32) if "A" <= c <= "Z" else c for c in text)


def _appears_as_it_is(text: str) -> bool:
    """Whether a text stands in JSON just as it is, with nothing escaped."""
    return not any(
        character in '"\\' or character < " " or character == "\x7f" for character in text
    )
