"""Aggregations as JSON bodies: `api.CallsAggregate` and `api.FeedbackAggregate` as nodes, and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, TypeVar

from kibitz.base import api, refs
from kibitz.base.errors import QueryError
from kibitz.query import aggregation as nodes
from kibitz.query import aggregation_text, json_form, literals, text_form
from kibitz.query.nodes import Node

_T = TypeVar("_T")


def parse(
    asked: api.CallsAggregate | api.FeedbackAggregate,
    *,
    known_types: Iterable[str] | None = None,
    now: datetime | None = None,
) -> nodes.AggregateQuery:
    """The aggregation that a body asks for.

    Args:
        asked: the body.
        known_types: the feedback types of the project, by which short names are resolved.
        now: what `now` means in its text.

    Raises:
        QueryError: it cannot be understood. `at` is the offset in a text, or the entry of the body; `entry` is the
            entry where the text stands, such as `measures[1]`.
        UsageError: the project has no valid name.
    """
    over: nodes.Over = "feedback" if isinstance(asked, api.FeedbackAggregate) else "calls"
    # Read once, and only where there is a short name.
    types = None if known_types is None else _Once(known_types)
    return build(
        project=refs.check_project(asked.project),
        over=over,
        where=_where(asked, types, now),
        group_by=asked.group_by or [],
        measures=asked.measures or ["count"],
        order=asked.order,
        known_types=types,
        limit=asked.limit or nodes.DEFAULT_LIMIT,
        confidence=asked.confidence or 0.95,
        **_of_feedback(asked),
    )


def build(
    *,
    project: str,
    group_by: Iterable[str],
    measures: Iterable[str],
    over: nodes.Over = "calls",
    where: Node | None = None,
    order: str | None = None,
    known_types: Iterable[str] | None = None,
    **further: Any,
) -> nodes.AggregateQuery:
    """An aggregation from keys and measures as text; `further` are the other fields of `AggregateQuery`.

    Raises:
        QueryError: a text cannot be understood; `entry` says which.
    """
    types = None if known_types is None else _Once(known_types)
    written = list(measures)
    keys = tuple(
        _entry(f"group_by[{at}]", aggregation_text.parse_key, each, over=over, known_types=types)
        for at, each in enumerate(group_by)
    )
    parsed = tuple(
        _entry(
            f"measures[{at}]", aggregation_text.parse_measure, each, over=over, known_types=types
        )
        for at, each in enumerate(written)
    )
    return nodes.AggregateQuery(
        project=project,
        over=over,
        where=where,
        group_by=keys,
        measures=parsed,
        order=None if order is None else aggregation_text.parse_order(order, parsed, written),
        **further,
    )


def to_json(query: nodes.AggregateQuery) -> dict[str, Any]:
    """The body that asks for an aggregation; `parse` gives an equal one back."""
    measures = [aggregation_text.format_measure(each) for each in query.measures]
    asked: dict[str, Any] = {
        "project": query.project,
        "group_by": [aggregation_text.format_key(each) for each in query.group_by],
        "measures": measures,
        "limit": query.limit,
        "confidence": query.confidence,
    }
    if query.where is not None:
        asked["query"] = json_form.where_to_json(query.where)
    if query.order is not None:
        way = "desc" if query.order.descending else "asc"
        asked["order"] = f"{measures[query.order.measure]} {way}"
    if query.over == "feedback":
        asked |= {
            name: getattr(query, name)
            for name in ("type", "author", "since", "until")
            if getattr(query, name) is not None
        }
        asked["every"] = query.every
    return asked


def _where(
    asked: api.CallsAggregate | api.FeedbackAggregate,
    types: Iterable[str] | None,
    now: datetime | None,
) -> Node | None:
    conditions = json_form.parse_conditions(
        None if asked.filter is None else _given(asked.filter), asked.query
    )
    if asked.text is None:
        return conditions
    said = text_form.parse(asked.text, known_types=types, now=now)
    return text_form.both(conditions, said.where)


def _given(filter_: api.CallFilter) -> dict[str, Any]:
    return {
        name: value
        for name in filter_.__struct_fields__
        if (value := getattr(filter_, name)) is not None
    }


def _of_feedback(asked: api.CallsAggregate | api.FeedbackAggregate) -> dict[str, Any]:
    if not isinstance(asked, api.FeedbackAggregate):
        return {}
    bounds = {
        name: literals.parse_time(given, name, name)
        for name in ("since", "until")
        if (given := getattr(asked, name)) is not None
    }
    return {"type": asked.type, "author": asked.author, "every": asked.every, **bounds}


def _entry(at: str, parse: Callable[..., _T], text: str, **arguments: Any) -> _T:
    try:
        return parse(text, **arguments)
    except QueryError as error:
        raise QueryError(f"{at}: {error.message}", **{**error.facts, "entry": at}) from error


class _Once:
    """Names that are read when they are first needed, and then kept."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = names
        self._read: list[str] | None = None

    def __iter__(self) -> Any:
        if self._read is None:
            self._read = list(self._names)
        return iter(self._read)
