"""Which views can be kept: the rules for their names, and that what they ask can be asked. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from kibitz.base.api import NewView
from kibitz.base.errors import QueryError, UsageError
from kibitz.query import fields, shapes, text_form
from kibitz.query.nodes import SortKey
from kibitz.query.text_form import Parsed

MAX_NAME_CHARACTERS = 100
MAX_COLUMNS = 64
MAX_VIEWS = 1000
"""Of a project."""
PREVIEWS = frozenset(("input", "error"))
"""Columns that are no fields of a query: what a table shows of a call beside them."""


def check_name(name: str) -> str:
    """Give a view's name back, or raise `UsageError` where it cannot be one."""
    if (
        not 0 < len(name) <= MAX_NAME_CHARACTERS
        or not name.isprintable()
        or name != name.strip()
        or not name.strip(".")
    ):
        raise UsageError(
            f"view {shapes.short(name)} is not a name; use up to {MAX_NAME_CHARACTERS} printable "
            "characters without spaces around them",
            field="name",
        )
    return name


def check(view: NewView, known_types: Iterable[str] | None, now: datetime) -> None:
    """Hold a view to what can be asked.

    Raises:
        QueryError: its query or its sort cannot be understood, or both sort.
        UsageError: a column is none.
    """
    parse(view.query, view.sort, known_types=known_types, now=now)
    if len(view.columns) > MAX_COLUMNS:
        raise UsageError(
            f"a view has at most {MAX_COLUMNS} columns, not {len(view.columns):,}", field="columns"
        )
    for n, column in enumerate(view.columns):
        if column not in PREVIEWS:
            try:
                fields.parse(column)
            except QueryError as error:
                raise QueryError(
                    f"columns[{n}]: {error.message}",
                    at=f"columns[{n}]",
                    suggestion=error.facts.get("suggestion"),
                ) from error


def parse(
    query: str, sort: str, *, known_types: Iterable[str] | None = None, now: datetime | None = None
) -> Parsed:
    """What a view asks, its sort with its query; see `text_form.parse`. Raises `QueryError`."""
    parsed = text_form.parse(query, known_types=known_types, now=now)
    if not sort.strip():
        return parsed
    if parsed.sort:
        raise QueryError("the query sorts, and sort is given beside it; leave one out", at="sort")
    return Parsed(parsed.where, _keys(sort, known_types, now), parsed.limit)


def _keys(
    sort: str, known_types: Iterable[str] | None, now: datetime | None
) -> tuple[SortKey, ...]:
    before = "sort "
    try:
        parsed = text_form.parse(before + sort, known_types=known_types, now=now)
    except QueryError as error:
        at = error.facts.get("at")
        raise QueryError(
            f"sort: {error.facts.get('says', error.message)}",
            at="sort",
            position=max(at - len(before), 0) if isinstance(at, int) else None,
            suggestion=error.facts.get("suggestion"),
        ) from error
    if parsed.limit is not None:
        raise QueryError("a sort has no limit; the query may have one", at="sort")
    return parsed.sort
