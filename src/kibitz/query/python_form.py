"""Queries as Python source, as `expressions` reads it when it runs: what a page gives to be pasted into a program.

    calls("acme/app").where((calls.op == "answer") & ~feedback("note")).sort(calls.latency_ms.desc()).limit(50)

Only written: nothing here, and nothing of Kibitz, evaluates source.
"""

from __future__ import annotations

import keyword
from collections.abc import Iterable
from datetime import UTC
from typing import assert_never

from kibitz.base import clock
from kibitz.base.errors import QueryError
from kibitz.query import literals, nodes, text_fields
from kibitz.query.expressions import Place
from kibitz.query.expressions_feedback import Judgement
from kibitz.query.nodes import (
    And,
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
    Size,
    SortKey,
)

NAMES = ("all_of", "any_of", "attributes", "calls", "datetime", "feedback", "inputs", "output")
"""What the source may use, beside `summary` and `UTC`: `all_of` and `any_of` are of
`kibitz.query.expressions_conditions`."""

_SIGNS = {"eq": "==", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_TAKEN = frozenset(dir(Place))
_TAKEN_BY_JUDGEMENTS = frozenset(dir(Judgement))


def format_query(
    project: str,
    where: Node | None = None,
    sort: Iterable[SortKey] = (),
    limit: int | None = None,
) -> str:
    """A whole question on one line."""
    text = f"calls({project!r})"
    if where is not None:
        text += f".where({format(where)})"
    keys = [f"{_operand(key.field)}.{'desc' if key.descending else 'asc'}()" for key in sort]
    if keys:
        text += f".sort({', '.join(keys)})"
    return text if limit is None else f"{text}.limit({limit})"


def format(node: Node) -> str:
    """A condition; when it runs, the same node is made. Raises `QueryError` where no query can say it."""
    match node:
        case And(below) | Or(below):
            return _joined(node, below)
        case Not(Compare(field, "eq", value)):
            return f"{_operand(field)} != {_value(field, value)}"
        case Not(inner):
            return f"~{_nested(inner)}"
        case Compare(field, operator, value):
            return f"{_operand(field)} {_SIGNS[operator]} {_value(field, value)}"
        case In(field, values):
            listed = ", ".join(_value(field, each) for each in values)
            return f"{_operand(field)}.is_in([{listed}])"
        case Contains(field, text, folded):
            return f"{_operand(field)}.contains({text!r}{_folded(folded)})"
        case Matches(field, pattern, folded):
            return f"{_operand(field)}.matches({pattern!r}{_folded(folded)})"
        case Exists(field):
            return f"{_operand(field)}.exists()"
        case _:
            assert_never(node)


def _joined(node: And | Or, below: tuple[Node, ...]) -> str:
    if not below:
        raise QueryError(f"{type(node).__name__} of no conditions has no source; leave it out")
    if _is_called(node):
        name = "all_of" if isinstance(node, And) else "any_of"
        return f"{name}({', '.join(map(format, below))})"
    return (" & " if isinstance(node, And) else " | ").join(map(_nested, below))


def _is_called(node: And | Or) -> bool:
    """Whether signs cannot say it: `&` goes on with what it stands behind, which would be no part of its own then."""
    first = node.nodes[0]
    return len(node.nodes) == 1 or (isinstance(first, type(node)) and len(first.nodes) > 1)


def _nested(node: Node) -> str:
    match node:
        case And() | Or():
            is_alone = bool(node.nodes) and _is_called(node)
        case Not(inner):
            is_alone = not (isinstance(inner, Compare) and inner.operator == "eq")
        case _:
            is_alone = not isinstance(node, Compare)
    return format(node) if is_alone else f"({format(node)})"


def _folded(case_insensitive: bool) -> str:
    return ", case_insensitive=True" if case_insensitive else ""


def _operand(operand: nodes.Operand) -> str:
    match operand:
        case Size(field):
            return f"{_field(field)}.size()"
        case Convert(field, to):
            return f"{_field(field)}.as_{to}()"
        case _:
            return _field(operand)


def _field(field: nodes.Field) -> str:
    match field:
        case nodes.ColumnField(name):
            return f"calls.{name}"
        case nodes.PathField(root, path):
            return root + "".join(_key(each, _TAKEN) for each in path)
        case FeedbackField(type_, path, over, part, version):
            short = isinstance(field, text_fields.ShortName) or text_fields.is_whole_type(type_)
            text = f"feedback({type_!r})" if short else f"feedback[{type_!r}]"
            if version is not None:
                text += f".version({version!r})"
            if over != "latest":
                text += f".{over}"
            if part != "payload":
                return f"{text}.{part}"
            if not path:
                return text
            first = _key(path[0], _TAKEN_BY_JUDGEMENTS)
            return text + first + "".join(_key(each, _TAKEN) for each in path[1:])


def _key(key: str, taken: frozenset[str]) -> str:
    is_name = key.isascii() and key.isidentifier() and not keyword.iskeyword(key)
    if is_name and not key.startswith("_") and key not in taken:
        return f".{key}"
    return f"[{key!r}]"


def _value(operand: nodes.Operand, value: Literal_) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and _is_time(operand):
        if isinstance(literals.format_time(value), str):
            at = clock.from_us(value).astimezone(UTC)
            parts = (at.year, at.month, at.day, at.hour, at.minute, at.second, at.microsecond)
            kept = len(parts)
            while kept > 3 and not parts[kept - 1]:
                kept -= 1
            return f"datetime({', '.join(map(str, parts[:kept]))}, tzinfo=UTC)"
        return repr(value)
    return repr(value)


def _is_time(operand: nodes.Operand) -> bool:
    return not isinstance(operand, Size | Convert) and literals.is_time(operand)


__all__ = ["NAMES", "format", "format_query"]
