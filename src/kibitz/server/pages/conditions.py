"""The filters of the calls page, one by one: as parts of a query, as parameters of an address, and as text. Pure.

A `Condition` is a filter that a click or a form makes: a field, an operator, a value. A `Clause` is any other part
of a query that somebody wrote. Both hold together with all others.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, cast, get_args
from urllib.parse import unquote

from kibitz.base.errors import QueryError
from kibitz.query import fields, json_form, literals, nodes, text_form
from kibitz.query.nodes import (
    And,
    Column,
    ColumnField,
    Compare,
    Contains,
    Convert,
    Exists,
    Field,
    In,
    Literal_,
    Matches,
    Node,
    Not,
    Or,
    PathField,
    Size,
)

Operator = Literal["eq", "ne", "gt", "gte", "lt", "lte", "contains", "has", "lacks"]
OPERATORS: tuple[Operator, ...] = get_args(Operator)
SYMBOLS: dict[Operator, str] = {
    "eq": "=",
    "ne": "≠",
    "gt": ">",
    "gte": "≥",
    "lt": "<",
    "lte": "≤",
    "contains": "contains",
    "has": "is there",
    "lacks": "is missing",
}
NO_VALUE: frozenset[Operator] = frozenset(("has", "lacks"))
_SAME_END: dict[Operator, frozenset[Operator]] = {
    "gt": frozenset(("eq", "gt", "gte", "has", "lacks")),
    "gte": frozenset(("eq", "gt", "gte", "has", "lacks")),
    "lt": frozenset(("eq", "lt", "lte", "has", "lacks")),
    "lte": frozenset(("eq", "lt", "lte", "has", "lacks")),
    "ne": frozenset(("eq", "has", "lacks")),
    "contains": frozenset(("eq", "has", "lacks")),
}
"""What a click on a value takes the place of; the other end of a range stays."""

SHORT_COLUMNS: dict[str, Column] = {
    "op": "op",
    "status": "status",
    "kind": "kind",
    "trace": "trace_id",
    "thread": "thread_id",
    "parent": "parent_id",
    "author": "author",
}
"""Columns that have a parameter of their own."""
SEARCHED = (PathField("inputs"), PathField("output"))
"""Where words are looked for."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One filter that can be added and taken away."""

    field: Field
    operator: Operator
    value: Literal_ = None
    """Not used by `has` and `lacks`."""
    text: str = dataclasses.field(default="", compare=False)
    """As it was written; empty where nobody wrote it."""
    kind: type = dataclasses.field(init=False, repr=False, default=type(None))
    """Of the value: 1 and True are equal to Python, and two values to a query."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", type(self.value))


@dataclass(frozen=True, slots=True)
class Clause:
    """A part of a query that is no `Condition`."""

    node: Node
    text: str = dataclasses.field(default="", compare=False)
    """As it was written."""


Filter = Condition | Clause


# Filters as nodes


def to_nodes(filters: Sequence[Filter], search: str = "") -> list[Node]:
    """What must all hold. Equal-to filters of one field are alternatives, as in any facet."""
    return [node for node, _ in _groups(filters, search)]


def to_texts(filters: Sequence[Filter], search: str = "") -> list[str]:
    """The same as text, each as it was written where somebody wrote it."""
    return [text or _format(node) for node, text in _groups(filters, search)]


def _groups(filters: Sequence[Filter], search: str) -> list[tuple[Node, str]]:
    found: list[tuple[Node, str]] = [(search_node(search), "")] if search else []
    places: dict[Field, int] = {}
    values: dict[Field, list[Literal_]] = {}
    for each in filters:
        if isinstance(each, Clause):
            found.append((each.node, each.text))
        elif each.operator != "eq":
            found.append((to_node(each), each.text))
        elif each.field not in places:
            places[each.field] = len(found)
            values[each.field] = [each.value]
            found.append((to_node(each), each.text))
        else:
            values[each.field].append(each.value)
            found[places[each.field]] = (In(each.field, tuple(values[each.field])), "")
    return found


@lru_cache(1024)
def _format(node: Node) -> str:
    text = text_form.format(node)
    return f"({text})" if isinstance(node, Or) and len(node.nodes) > 1 else text


def to_node(condition: Condition) -> Node:
    """One filter by itself."""
    match condition.operator:
        case "ne":
            return Not(Compare(condition.field, "eq", condition.value))
        case "has":
            return Exists(condition.field)
        case "lacks":
            return Not(Exists(condition.field))
        case "contains":
            return Contains(condition.field, str(condition.value), case_insensitive=True)
        case operator:
            return Compare(condition.field, operator, condition.value)


def search_node(text: str) -> Node:
    """That the inputs or the output contain a text."""
    return Or(tuple(Contains(root, text, case_insensitive=True) for root in SEARCHED))


def searched(node: Node) -> str:
    """The text that `search_node` made a node of; empty for any other."""
    match node:
        case Or((Contains(_, text, True), *_)) if node == search_node(text):
            return text
        case _:
            return ""


def from_node(node: Node, text: str = "") -> tuple[Filter, ...]:
    """One condition of a query as filters: one for each value of a list."""
    tested = node.node if isinstance(node, Not) else node
    if isinstance(tested, And | Or | Not) or isinstance(tested.field, Size | Convert):
        return (Clause(node, text),)
    field = tested.field
    match node:
        case Compare(_, operator, value):
            return (Condition(field, operator, value, text),)
        case In(_, values) if _are_apart(values):
            return tuple(Condition(field, "eq", value) for value in values)
        case Not(Compare(_, "eq", value)):
            return (Condition(field, "ne", value, text),)
        case Contains(_, value, True):
            return (Condition(field, "contains", value, text),)
        case Exists(_):
            return (Condition(field, "has", None, text),)
        case Not(Exists(_)):
            return (Condition(field, "lacks", None, text),)
        case _:
            return (Clause(node, text),)


def combined(found: Sequence[Filter], more: Sequence[Filter]) -> tuple[Filter, ...]:
    """All of these, each once. A second wish for the value of a field stays one: it is no alternative."""
    values = {each.field for each in found if isinstance(each, Condition) and each.operator == "eq"}
    fitting: list[Filter] = list(found)
    if any(isinstance(e, Condition) and e.operator == "eq" and e.field in values for e in more):
        (node,) = to_nodes(more)
        more = (Clause(node, to_texts(more)[0]),)
    fitting += [each for each in more if each not in fitting]
    return tuple(fitting)


def searches(node: Node) -> bool:
    """Whether a condition looks for text within texts."""
    match node:
        case And(below) | Or(below):
            return any(map(searches, below))
        case Not(below):
            return searches(below)
        case _:
            return isinstance(node, Contains | Matches)


def mentioned(node: Node) -> Iterator[Field]:
    """The fields that a condition asks about."""
    match node:
        case And(below) | Or(below):
            for each in below:
                yield from mentioned(each)
        case Not(below):
            yield from mentioned(below)
        case _:
            yield nodes.base(node.field)


def narrowed(filters: Sequence[Filter], condition: Condition) -> tuple[Filter, ...]:
    """With a filter that a click on a value made, in the place of those that it contradicts or repeats."""
    replaced = _SAME_END.get(condition.operator, frozenset(OPERATORS))
    kept = [
        each
        for each in filters
        if isinstance(each, Clause)
        or each.field != condition.field
        or each.operator not in replaced
        if each != condition
    ]
    return (*kept, condition)


def _are_apart(values: Sequence[Literal_]) -> bool:
    """Whether a list can be taken apart and put together again."""
    return len(values) > 1 and len({(type(each), each) for each in values}) == len(values)


# As parameters of an address


def parse_condition(text: str) -> Condition:
    """The condition of `FIELD:OPERATOR[:VALUE]`; raises `QueryError`."""
    name, colon, rest = text.partition(":")
    operator, _, value_text = rest.partition(":")
    if not colon or operator not in OPERATORS:
        raise QueryError(
            f"filter {text[:120]!r} is not FIELD:OPERATOR:VALUE; operators are {', '.join(OPERATORS)}"
        )
    return make_condition(unquote(name), operator, value_text)


def make_condition(field_text: str, operator: Operator, value_text: str) -> Condition:
    """A condition from its three texts; raises `QueryError` where they do not fit together."""
    field = fields.parse(field_text)
    if operator in NO_VALUE:
        return Condition(field, operator)
    return Condition(field, operator, fitting(field, operator, _value(value_text)))


def parse_expression(text: str) -> Node:
    """The condition of a JSON text, `{"$expr": …}` or what stands in it; raises `QueryError`."""
    try:
        given = cast("object", json.loads(text))
    except (ValueError, RecursionError) as error:
        raise QueryError(f"expr is not JSON: {str(error)[:120]}") from error
    if isinstance(given, dict) and "$expr" in given:
        return json_form.parse_where(cast("object", given))
    return json_form.parse_where({"$expr": cast("object", given)})


def _value(text: str) -> Literal_:
    try:
        value = cast("object", json.loads(text, parse_constant=_refuse))
    except (ValueError, RecursionError):
        return text
    return text if isinstance(value, list | dict) else cast("Literal_", value)


def _refuse(name: str) -> None:
    raise ValueError(name)


def fitting(field: Field, operator: Operator, value: Literal_) -> Literal_:
    """A value as the operator compares the field with it; raises `QueryError` where it cannot."""
    checked = literals.parse(value, "value")
    if operator == "contains":
        return _contained(field, checked)
    return literals.fitting(field, checked, "value", equality=operator in ("eq", "ne"))


def _contained(field: Field, value: Literal_) -> str:
    if isinstance(field, ColumnField) and field.name in fields.TIME_COLUMNS | fields.NUMBER_COLUMNS:
        raise QueryError(
            f"{field.name} is a number and contains no text; compare it with gte or lt"
        )
    return value if isinstance(value, str) else json.dumps(value)
