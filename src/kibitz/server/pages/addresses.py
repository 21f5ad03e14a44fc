"""The state of the calls page as its address, and back. Pure.

    /p/acme~bot/calls?op=answer&status=error&time=24h&where=feedback.[runnable.short].payload.output:lt:0.5

    op, status, kind, trace, thread, parent, author   a column is the text; several of one column: any of them
    where=FIELD:OPERATOR[:VALUE]                      any field of a query (`query.fields`), also repeated
    q=TEXT                                            the inputs or the output contain the text
    expr=JSON                                         a whole condition as the HTTP API takes it
    time=1h | since=… | until=…                       when the call started
    calls=all                                         nested calls and those of scorers too; root calls only without it
    sort=FIELD, sort=-FIELD                           newest first without it
    col=FIELD                                         a feedback column to show; the most used without it
    limit, cursor, back                               the page; `back` are the cursors of the pages before
    call=ID                                           the call that is open beside the list
    live=on                                           new calls appear by themselves

A value is JSON where it can be read as JSON, else text. In FIELD `%` and `:` are percent-encoded once more, so
that the first colon always ends it. What cannot be understood becomes a problem to show, never an exception.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Literal, cast, get_args
from urllib.parse import quote, unquote

from kibitz.base import clock, refs
from kibitz.base.errors import QueryError
from kibitz.query import fields, json_form, literals
from kibitz.query.nodes import (
    MAX_LIMIT,
    And,
    CallColumn,
    CallQuery,
    Column,
    ColumnField,
    Compare,
    Contains,
    Exists,
    FeedbackField,
    Field,
    In,
    Literal_,
    Node,
    Not,
    Or,
    PathField,
    SortKey,
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

SHORT_COLUMNS: dict[str, Column] = {
    "op": "op",
    "status": "status",
    "kind": "kind",
    "trace": "trace_id",
    "thread": "thread_id",
    "parent": "parent_id",
    "author": "author",
}
_SHORT_NAMES: dict[Column, str] = {column: short for short, column in SHORT_COLUMNS.items()}

SCORER = "scorer"
"""The kind of calls that judge others."""
_CHOOSING = frozenset(ColumnField(name) for name in ("id", "op", "op_ref", "kind", "trace_id"))
"""Who filters by one of these knows which calls to look for, also where they judge."""

PRESETS: dict[str, timedelta] = {
    "15m": timedelta(minutes=15),
    "1h": timedelta(hours=1),
    "24h": timedelta(days=1),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
PLAIN = "/:[]$,"
"""Characters of a parameter's value that stay readable in an address."""
LIMITS = (25, 50, 100, 200)
DEFAULT_LIMIT = 50
MAX_TRAIL = 30
"""Pages that an address remembers the way back through."""
MAX_CONDITIONS = 40
MAX_COLUMNS = 12


@dataclass(frozen=True, slots=True)
class Condition:
    """One filter that can be added and taken away."""

    field: Field
    operator: Operator
    value: Literal_ = None
    """Not used by `has` and `lacks`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallsAddress:
    """Which calls the page shows, and how."""

    project: str
    conditions: tuple[Condition, ...] = ()
    search: str = ""
    """Text that the inputs or the output contain."""
    expression: str = ""
    """A condition as JSON, `{"$expr": …}`."""
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

    @property
    def path(self) -> str:
        return f"{project_path(self.project)}/calls"

    @property
    def url(self) -> str:
        """The address itself, without what is as by default."""
        query = format_query(self)
        return f"{self.path}?{query}" if query else self.path

    @property
    def is_filtered(self) -> bool:
        """Whether anything but root calls only narrows the list."""
        return bool(
            self.conditions
            or self.search
            or self.expression
            or self.time
            or self.since
            or self.until
        )

    def changed(self, **changes: Any) -> CallsAddress:
        """The same with changes, from the first page on: cursors are of the old list."""
        return replace(self, **{"cursor": None, "trail": (), **changes})

    def opening(self, call_id: str | None) -> CallsAddress:
        """The same page with this call beside the list; None closes it."""
        return replace(self, call=call_id)

    def adding(self, *conditions: Condition) -> CallsAddress:
        """The same with more filters, each once."""
        more = tuple(each for each in conditions if each not in self.conditions)
        return self.changed(conditions=self.conditions + more)

    def only(self, condition: Condition) -> CallsAddress:
        """The same with this filter in the place of those on the same field."""
        kept = tuple(each for each in self.conditions if each.field != condition.field)
        return self.changed(conditions=(*kept, condition))

    def without(self, condition: Condition) -> CallsAddress:
        return self.changed(conditions=tuple(each for each in self.conditions if each != condition))

    def cleared(self) -> CallsAddress:
        """All calls that no filter narrows; sort, columns and page size stay."""
        return self.changed(
            conditions=(), search="", expression="", time="", since=None, until=None
        )

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


def parse(project: str, pairs: Iterable[tuple[str, str]]) -> Parsed:
    """Read the parameters of an address, in their order."""
    reader = _Reader(project)
    for parameter, value in pairs:
        try:
            reader.read(parameter, value)
        except QueryError as error:
            reader.problems.append(Problem(parameter, value, error.message))
    return Parsed(reader.address, tuple(reader.problems))


class _Reader:
    """Collects the state, one parameter at a time."""

    def __init__(self, project: str) -> None:
        self.address = CallsAddress(project=project)
        self.problems: list[Problem] = []

    def read(self, parameter: str, value: str) -> None:
        if parameter in SHORT_COLUMNS:
            if value:
                field = ColumnField(SHORT_COLUMNS[parameter])
                self._add(Condition(field, "eq", _fitting(field, "eq", value)))
            return
        method = _READERS.get(parameter)
        if method is None:
            raise QueryError(f"{parameter!r} is not a parameter of this page")
        method(self, value)

    def _add(self, condition: Condition) -> None:
        have = self.address.conditions
        if len(have) >= MAX_CONDITIONS:
            raise QueryError(f"more than {MAX_CONDITIONS} filters cannot be combined")
        if condition not in have:
            self._set(conditions=(*have, condition))

    def _set(self, **changes: Any) -> None:
        self.address = replace(self.address, **changes)

    def where(self, value: str) -> None:
        if value:
            self._add(parse_condition(value))

    def search(self, value: str) -> None:
        self._set(search=_text(value.strip()))

    def expression(self, value: str) -> None:
        if value:
            parse_expression(value)
            self._set(expression=value)

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

    def live(self, value: str) -> None:
        if value not in ("", "on", "off"):
            raise QueryError(f"live {value[:40]!r} is neither 'on' nor 'off'")
        self._set(live=value == "on")


_READERS = {
    "where": _Reader.where,
    "q": _Reader.search,
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
}


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
    return Condition(field, operator, _fitting(field, operator, _value(value_text)))


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


def _value_text(value: Literal_) -> str:
    """The shortest text that `_value` reads as this value."""
    if isinstance(value, str) and _value(value) == value and isinstance(_value(value), str):
        return value
    return json.dumps(value, ensure_ascii=False)


def _fitting(field: Field, operator: Operator, value: Literal_) -> Literal_:
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


def _text(value: str) -> str:
    return cast("str", literals.parse(value, "q"))


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
    for condition in address.conditions:
        found.append(condition_parameter(condition))
    named: Sequence[tuple[str, str]] = (
        ("q", address.search),
        ("expr", address.expression),
        ("time", address.time),
        ("since", _moment_text(address.since)),
        ("until", _moment_text(address.until)),
        ("calls", "all" if address.nested else ""),
    )
    found += [(name, value) for name, value in named if value]
    found += [("sort", format_sort(key)) for key in address.sort]
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
    return ("-" if key.descending else "") + fields.format(key.field)


def format_condition(condition: Condition) -> str:
    """The `where` text of a condition."""
    name = _format_field(condition.field)
    if condition.operator in NO_VALUE:
        return f"{name}:{condition.operator}"
    return f"{name}:{condition.operator}:{_value_text(_spelled(condition))}"


@lru_cache(1024)
def _format_field(field: Field) -> str:
    return fields.format(field).replace("%", "%25").replace(":", "%3A")


def condition_parameter(condition: Condition) -> tuple[str, str]:
    """The parameter that says a condition: a column's own, else `where`."""
    match condition:
        case Condition(ColumnField(name), "eq", str(value)) if name in _SHORT_NAMES and value:
            return _SHORT_NAMES[name], value
        case _:
            return "where", format_condition(condition)


def _spelled(condition: Condition) -> Literal_:
    match condition:
        case Condition(ColumnField(name), _, int(value)) if name in fields.TIME_COLUMNS:
            return literals.format_time(value)
        case _:
            return condition.value


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
    if not address.nested:
        nodes.append(Compare(ColumnField("parent_id"), "eq", None))
        if not any(each.field in _CHOOSING for each in address.conditions):
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
    nodes += _condition_nodes(address.conditions)
    if address.search:
        roots = (PathField("inputs"), PathField("output"))
        nodes.append(
            Or(tuple(Contains(root, address.search, case_insensitive=True) for root in roots))
        )
    if address.expression:
        nodes.append(parse_expression(address.expression))
    if len(nodes) > 1:
        return And(tuple(nodes))
    return nodes[0] if nodes else None


def _condition_nodes(conditions: Sequence[Condition]) -> list[Node]:
    """Equal-to filters of one field are alternatives, as in any facet; everything else must all hold."""
    wanted: dict[Field, list[Literal_]] = {}
    nodes: list[Node] = []
    for each in conditions:
        if each.operator == "eq":
            wanted.setdefault(each.field, []).append(each.value)
        else:
            nodes.append(_condition_node(each))
    for field, values in wanted.items():
        nodes.append(
            Compare(field, "eq", values[0]) if len(values) == 1 else In(field, tuple(values))
        )
    return nodes


def _condition_node(condition: Condition) -> Node:
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


def format_pair(name: str, value: str) -> str:
    """One parameter as it stands in an address."""
    return f"{name}={quote(value, safe=PLAIN)}"
