"""The state of the calls page as its address, and back. Pure.

    /p/acme~bot/calls?q=op+=+answer+and+feedback.runnable.short.output+<+0.5&time=24h

    q=TEXT                                            a query in words, or words to look for (`querytext`)
    time=1h | since=… | until=…                       when the call started
    calls=all                                         nested calls and those of scorers too; root calls only without it
    sort=FIELD, sort=-FIELD                           beside words, which cannot say it; newest first without it
    col=FIELD                                         a feedback column to show; the most used without it
    limit, cursor, back                               the page; `back` are the cursors of the pages before
    call=ID                                           the call that is open beside the list
    live=on                                           new calls appear by themselves
    view=NAME                                         the saved view that this began with

These are read too, and become part of `q`:

    op, status, kind, trace, thread, parent, author   a column is the text; several of one column: any of them
    where=FIELD:OPERATOR[:VALUE]                      any field of a query (`query.fields`), also repeated
    expr=JSON                                         a whole condition as the HTTP API takes it

A value is JSON where it can be read as JSON, else text. In FIELD `%` and `:` are percent-encoded once more, so
that the first colon always ends it. What cannot be understood becomes a problem to show, never an exception.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, cast
from urllib.parse import quote, unquote

from kibitz.base import clock, refs
from kibitz.base.errors import QueryError
from kibitz.query import fields, json_form, literals, text_form
from kibitz.query.nodes import (
    MAX_LIMIT,
    And,
    CallColumn,
    CallQuery,
    ColumnField,
    Compare,
    Convert,
    FeedbackField,
    Field,
    Node,
    Not,
    Size,
    SortKey,
)
from kibitz.server.pages import conditions, querytext
from kibitz.server.pages.conditions import SHORT_COLUMNS, Clause, Condition, Filter

SCORER = "scorer"
"""The kind of calls that judge others."""
CHOOSING = frozenset(ColumnField(name) for name in ("id", "op", "op_ref", "kind", "trace_id"))
"""Who filters by one of these knows which calls to look for, also where they judge."""

PRESETS: dict[str, timedelta] = {
    "15m": timedelta(minutes=15),
    "1h": timedelta(hours=1),
    "24h": timedelta(days=1),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
PLAIN = "/:[]$,=()*@ "
"""Characters of a parameter's value that stay readable in an address."""
LIMITS = (25, 50, 100, 200)
DEFAULT_LIMIT = 50
MAX_TRAIL = 30
"""Pages that an address remembers the way back through."""
MAX_CONDITIONS = 40
MAX_VIEW_CHARACTERS = 200
MAX_COLUMNS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class CallsAddress:
    """Which calls the page shows, and how."""

    project: str
    conditions: tuple[Filter, ...] = ()
    """What must hold; equal-to conditions on one field are alternatives."""
    search: str = ""
    """Text that the inputs or the output contain."""
    time: str = ""
    """One of `PRESETS`."""
    since: datetime | None = None
    until: datetime | None = None
    nested: bool = False
    """Whether calls made by other calls are shown too."""
    sort: tuple[SortKey, ...] = ()
    columns: tuple[FeedbackField, ...] | None = None
    """The feedback columns that were chosen; None for the most used."""
    limit: int = DEFAULT_LIMIT
    cursor: str | None = None
    trail: tuple[str, ...] = ()
    """The cursors of the pages before this one, the first page left out."""
    call: str | None = None
    live: bool = False
    view: str = ""
    """The name of the saved view that it began with."""

    @property
    def path(self) -> str:
        return f"{project_path(self.project)}/calls"

    @property
    def url(self) -> str:
        """The address itself, without what is as by default."""
        query = format_query(self)
        return f"{self.path}?{query}" if query else self.path

    @property
    def text(self) -> str:
        """What stands in the query bar."""
        return querytext.write(self.search, self.conditions, self.sort)

    @property
    def is_words(self) -> bool:
        """Whether that is words to look for, and no query."""
        return bool(self.search and not self.conditions)

    @property
    def is_filtered(self) -> bool:
        """Whether anything but root calls only narrows the list."""
        return bool(self.conditions or self.search or self.time or self.since or self.until)

    def changed(self, **changes: Any) -> CallsAddress:
        """The same with changes, from the first page on: cursors are of the old list."""
        return replace(self, **{"cursor": None, "trail": (), **changes})

    def opening(self, call_id: str | None) -> CallsAddress:
        """The same page with this call beside the list; None closes it."""
        return replace(self, call=call_id)

    def adding(self, *more: Filter) -> CallsAddress:
        """The same with more filters, each once."""
        added = tuple(each for each in more if each not in self.conditions)
        return self.changed(conditions=self.conditions + added)

    def only(self, condition: Condition) -> CallsAddress:
        """The same with this filter in the place of those on the same field."""
        return self.apart_from(condition.field).adding(condition)

    def narrowed(self, condition: Condition) -> CallsAddress:
        """The same with this filter in the place of those that it contradicts or repeats."""
        return self.changed(conditions=conditions.narrowed(self.conditions, condition))

    def without(self, *given: Filter) -> CallsAddress:
        return self.changed(conditions=tuple(e for e in self.conditions if e not in given))

    def apart_from(self, field: Field) -> CallsAddress:
        """The same without the filters on a field."""
        kept = (e for e in self.conditions if isinstance(e, Clause) or e.field != field)
        return self.changed(conditions=tuple(kept))

    def cleared(self) -> CallsAddress:
        """All calls that no filter narrows; sort, columns and page size stay."""
        return self.changed(conditions=(), search="", time="", since=None, until=None)

    def sorted_by(self, field: Field, *, descending: bool) -> CallsAddress:
        key = SortKey(field, descending=descending)
        return self.changed(sort=() if key == NEWEST_FIRST else (key,))

    def following(self, cursor: str) -> CallsAddress:
        """The next page."""
        trail = (*self.trail, self.cursor) if self.cursor else self.trail
        return replace(self, cursor=cursor, trail=trail[-MAX_TRAIL:], call=None, live=False)

    def preceding(self) -> CallsAddress:
        """The page before."""
        return replace(
            self,
            cursor=self.trail[-1] if self.trail else None,
            trail=self.trail[:-1],
            call=None,
        )


NEWEST_FIRST = SortKey(ColumnField("started_at"), descending=True)


@dataclass(frozen=True, slots=True)
class Problem:
    """One part of an address that cannot be used."""

    parameter: str
    value: str
    message: str
    at: int | None = None
    """Of a query: the character where it goes wrong."""
    suggestion: str = ""
    """What was probably meant there."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """What an address says: the part that could be read, and what could not."""

    address: CallsAddress
    problems: tuple[Problem, ...] = ()


# Paths


def project_path(project: str) -> str:
    """The path of a project's pages; its slash is written `~`, which no name has."""
    return "/p/" + quote(project.replace("/", "~"), safe="~")


def parse_project(segment: str) -> str:
    """The project's name from its path segment; raises `UsageError` where it cannot be one."""
    return refs.check_project(segment.replace("~", "/"))


def escape(name: str) -> str:
    """A name as one segment of a path; `unescape` gives it back from the decoded path.

    Slashes are encoded twice, because the decoded path does not tell them from those between segments;
    so are the names that browsers take for a step up.
    """
    kept = name.replace("%", "%25").replace("/", "%2F")
    if kept in (".", ".."):
        kept = kept.replace(".", "%2E")
    return quote(kept, safe="")


def unescape(segment: str) -> str:
    """The name of a segment."""
    return unquote(segment)


def call_path(project: str, call_id: str) -> str:
    return f"{project_path(project)}/calls/{escape(call_id)}"


def op_path(project: str, name: str, digest: str) -> str:
    return f"{project_path(project)}/ops/{escape(name)}/{digest}"


# Address to state


def parse(
    project: str,
    pairs: Iterable[tuple[str, str]],
    *,
    known_types: Iterable[str] | None = None,
) -> Parsed:
    """Read the parameters of an address, in their order.

    Args:
        project: whose calls the page shows.
        pairs: names and values.
        known_types: the feedback types of the project, read only where a query has a short name.
    """
    reader = _Reader(project, known_types)
    for parameter, value in pairs:
        try:
            reader.read(parameter, value)
        except QueryError as error:
            reader.problems.append(_problem(parameter, value, error))
    return Parsed(reader.address, tuple(reader.problems))


def _problem(parameter: str, value: str, error: QueryError) -> Problem:
    says, at = error.facts.get("says"), error.facts.get("at")
    if parameter != "q" or not isinstance(at, int):
        return Problem(parameter, value, error.message)
    suggestion = error.facts.get("suggestion")
    # The place is counted in the text without the space before it.
    at += len(value) - len(value.lstrip())
    return Problem(parameter, value, str(says or error.message), at, str(suggestion or ""))


class _Reader:
    """Collects the state, one parameter at a time."""

    def __init__(self, project: str, known_types: Iterable[str] | None) -> None:
        self._known_types = known_types
        self.address = CallsAddress(project=project)
        self.problems: list[Problem] = []

    def read(self, parameter: str, value: str) -> None:
        if parameter in SHORT_COLUMNS:
            if value:
                field = ColumnField(SHORT_COLUMNS[parameter])
                self._add(Condition(field, "eq", conditions.fitting(field, "eq", value)))
            return
        method = _READERS.get(parameter)
        if method is None:
            raise QueryError(f"{parameter!r} is not a parameter of this page")
        method(self, value)

    def _add(self, *more: Filter) -> None:
        added = self.address.adding(*more).conditions
        if len(added) > MAX_CONDITIONS:
            raise QueryError(f"more than {MAX_CONDITIONS} filters cannot be combined")
        self._set(conditions=added)

    def _set(self, **changes: Any) -> None:
        self.address = replace(self.address, **changes)

    def where(self, value: str) -> None:
        if value:
            self._add(conditions.parse_condition(value))

    def text(self, value: str) -> None:
        reading = querytext.read(value, known_types=self._known_types, now=clock.now())
        have = self.address
        if reading.search and have.search and reading.search != have.search:
            self._add(Clause(conditions.search_node(reading.search)))
        elif reading.search:
            self._set(search=reading.search)
        self._add(*reading.filters)
        if reading.sort:
            self._set(sort=reading.sort)
        if reading.limit is not None:
            self._set(limit=reading.limit)

    def expression(self, value: str) -> None:
        if value:
            node = conditions.parse_expression(value)
            # What has no text has no place in the bar: an AND of nothing.
            text_form.format(node)
            self._add(Clause(node))

    def time(self, value: str) -> None:
        if value and value not in PRESETS:
            raise QueryError(f"time {value[:40]!r} is not one of {', '.join(PRESETS)}")
        self._set(time=value)

    def since(self, value: str) -> None:
        self._set(since=_moment(value, "since"))

    def until(self, value: str) -> None:
        self._set(until=_moment(value, "until"))

    def calls(self, value: str) -> None:
        if value not in ("", "all", "roots"):
            raise QueryError(f"calls {value[:40]!r} is neither 'all' nor 'roots'")
        self._set(nested=value == "all")

    def sort(self, value: str) -> None:
        if not value:
            return
        if len(self.address.sort) >= json_form.MAX_SORT_KEYS:
            raise QueryError(f"more than {json_form.MAX_SORT_KEYS} sort keys cannot be combined")
        descending = value.startswith("-")
        field = fields.parse(value.removeprefix("-"))
        if isinstance(field, FeedbackField) and not field.path:
            raise literals.needs_leaf(field, "sort")
        self._set(sort=(*self.address.sort, SortKey(field, descending=descending)))

    def column(self, value: str) -> None:
        have = self.address.columns or ()
        if not value:
            self._set(columns=have)
            return
        field = fields.parse(value)
        if not isinstance(field, FeedbackField) or not field.path:
            raise QueryError(
                f"column {value[:80]!r} is not what a feedback says; write feedback.[type].payload.path"
            )
        if len(have) >= MAX_COLUMNS:
            raise QueryError(f"more than {MAX_COLUMNS} feedback columns cannot be shown")
        if field not in have:
            self._set(columns=(*have, field))

    def limit(self, value: str) -> None:
        if not re.fullmatch(r"[0-9]{1,4}", value) or not 1 <= int(value) <= MAX_LIMIT:
            raise QueryError(f"limit {value[:40]!r} is not a whole number from 1 to {MAX_LIMIT:,}")
        self._set(limit=int(value))

    def cursor(self, value: str) -> None:
        if len(value) > json_form.MAX_CURSOR_CHARACTERS:
            raise QueryError("the cursor is not one that a page gave out")
        self._set(cursor=value or None)

    def back(self, value: str) -> None:
        if value:
            self._set(trail=(*self.address.trail, value)[-MAX_TRAIL:])

    def call(self, value: str) -> None:
        self._set(call=value[:64] or None)

    def view(self, value: str) -> None:
        if len(value) > MAX_VIEW_CHARACTERS:
            raise QueryError(f"view {value[:40]!r}… is longer than a name")
        self._set(view=value)

    def live(self, value: str) -> None:
        if value not in ("", "on", "off"):
            raise QueryError(f"live {value[:40]!r} is neither 'on' nor 'off'")
        self._set(live=value == "on")


_READERS = {
    "where": _Reader.where,
    "q": _Reader.text,
    "expr": _Reader.expression,
    "time": _Reader.time,
    "since": _Reader.since,
    "until": _Reader.until,
    "calls": _Reader.calls,
    "sort": _Reader.sort,
    "col": _Reader.column,
    "limit": _Reader.limit,
    "cursor": _Reader.cursor,
    "back": _Reader.back,
    "call": _Reader.call,
    "live": _Reader.live,
    "view": _Reader.view,
}


def _moment(value: str, name: str) -> datetime | None:
    if not value:
        return None
    # A form's date field gives a day or a minute and knows no zone; it means UTC, as the page says.
    if re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        value += "T00:00:00Z"
    elif re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?", value):
        value += (":00Z", "Z")[value.count(":") - 1]
    try:
        return clock.from_us(literals.parse_time(value, name, name))
    except OverflowError as error:
        raise QueryError(f"{name} {value[:40]!r} is not within the years 1 to 9999") from error


# State to address


def format_query(address: CallsAddress) -> str:
    """The parameters of an address; `parse` gives the same state back."""
    return "&".join(format_pair(name, value) for name, value in parameters(address))


def parameters(address: CallsAddress) -> list[tuple[str, str]]:
    """Names and values of an address, in a fixed order, without what is as by default."""
    found: list[tuple[str, str]] = []
    named: Sequence[tuple[str, str]] = (
        ("view", address.view),
        ("q", address.text),
        ("time", address.time),
        ("since", _moment_text(address.since)),
        ("until", _moment_text(address.until)),
        ("calls", "all" if address.nested else ""),
    )
    # Beside a view an empty query is said: the view alone means what it asks.
    found += [(name, value) for name, value in named if value or (name == "q" and address.view)]
    if address.is_words:
        found += [("sort", format_sort(key)) for key in address.sort if _is_plain(key)]
    if address.columns is not None:
        found += [("col", fields.format(column)) for column in address.columns] or [("col", "")]
    if address.limit != DEFAULT_LIMIT:
        found.append(("limit", str(address.limit)))
    found += [("back", cursor) for cursor in address.trail]
    if address.cursor:
        found.append(("cursor", address.cursor))
    if address.live:
        found.append(("live", "on"))
    if address.call:
        found.append(("call", address.call))
    return found


def format_sort(key: SortKey) -> str:
    return ("-" if key.descending else "") + fields.format(cast("Field", key.field))


def _is_plain(key: SortKey) -> bool:
    return not isinstance(key.field, Size | Convert)


def _moment_text(moment: datetime | None) -> str:
    return "" if moment is None else str(literals.format_time(clock.to_us(moment)))


# State to query


def to_query(address: CallsAddress, columns: frozenset[CallColumn] = frozenset()) -> CallQuery:
    """The question that an address asks; relative times count from now."""
    return CallQuery(
        project=address.project,
        where=to_node(address),
        sort=address.sort,
        limit=address.limit,
        cursor=address.cursor,
        columns=columns,
    )


def to_node(address: CallsAddress) -> Node | None:
    """All filters of an address as one condition."""
    nodes: list[Node] = []
    filters = conditions.to_nodes(address.conditions, address.search)
    if not address.nested:
        asked = {field for node in filters for field in conditions.mentioned(node)}
        if ColumnField("parent_id") not in asked:
            nodes.append(Compare(ColumnField("parent_id"), "eq", None))
        if not asked & CHOOSING:
            # What judged the calls would else bury them: several calls of scorers for each of the application.
            nodes.append(Not(Compare(ColumnField("kind"), "eq", SCORER)))
    since = address.since
    if address.time:
        start = clock.now() - PRESETS[address.time]
        since = start if since is None else max(since, start)
    if since is not None:
        nodes.append(Compare(ColumnField("started_at"), "gte", clock.to_us(since)))
    if address.until is not None:
        nodes.append(Compare(ColumnField("started_at"), "lt", clock.to_us(address.until)))
    nodes += filters
    if len(nodes) > 1:
        return And(tuple(nodes))
    return nodes[0] if nodes else None


def format_pair(name: str, value: str) -> str:
    """One parameter as it stands in an address."""
    return f"{name}={quoted(value)}"


def quoted(text: str) -> str:
    """A value as it stands in an address."""
    return quote(text, safe=PLAIN).replace(" ", "+")
