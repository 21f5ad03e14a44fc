"""Conditions back to text, so that `text_form.parse` gives equal ones."""

from __future__ import annotations

from typing import assert_never

from kibitz.base.errors import QueryError
from kibitz.query import literals, text_fields, text_tokens, text_values
from kibitz.query.nodes import (
    And,
    Compare,
    Comparison,
    Contains,
    Exists,
    FeedbackField,
    In,
    Matches,
    Node,
    Not,
    Or,
    Test,
)

_SIGNS: dict[Comparison, str] = {"eq": "=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def condition(node: Node) -> str:
    """The text of a condition; raises `QueryError` for what no text says."""
    match node:
        case And(nodes) | Or(nodes):
            if not nodes:
                raise QueryError(
                    f"{type(node).__name__} of no conditions has no text; leave it out"
                )
            if len(nodes) == 1:
                return f"{'all' if isinstance(node, And) else 'any'}({condition(nodes[0])})"
            return (" and " if isinstance(node, And) else " or ").join(map(_nested, nodes))
        case Not(Compare(field, "eq", None)):
            return f"{text_fields.format(field)} is not null"
        case Not(Compare(field, "eq", value)):
            return f"{text_fields.format(field)} != {text_values.format(field, value)}"
        case Not(In() | Contains() | Matches() as inner):
            return _leaf(inner, "not ")
        case Not(inner):
            return f"not {_nested(inner)}"
        case Compare() | In() | Contains() | Matches() | Exists():
            return _leaf(node)
        case _:
            assert_never(node)


def _nested(node: Node) -> str:
    several = isinstance(node, And | Or) and len(node.nodes) > 1
    return f"({condition(node)})" if several else condition(node)


def _leaf(node: Test, negation: str = "") -> str:
    name = text_fields.format(node.field)
    match node:
        case Compare(_, "eq", None):
            return f"{name} is null"
        case Compare(field, operator, value):
            return f"{name} {_SIGNS[operator]} {text_values.format(field, value)}"
        case In(field, values):
            listed = ", ".join(text_values.format(field, each) for each in values)
            return f"{name} {negation}in ({listed})"
        case Contains(_, text, case_insensitive):
            operator = "icontains" if case_insensitive else "contains"
            return f"{name} {negation}{operator} {text_tokens.quote(text)}"
        case Matches(_, pattern, case_insensitive):
            operator = "imatches" if case_insensitive else "matches"
            return f"{name} {negation}{operator} {text_tokens.quote(pattern)}"
        case Exists():
            field = node.field
            is_whole = isinstance(field, FeedbackField) and literals.is_whole(field)
            return name if is_whole else f"exists {name}"
        case _:
            assert_never(node)
