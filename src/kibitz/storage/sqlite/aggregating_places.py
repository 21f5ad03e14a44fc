"""How the values of an aggregation are read: as few columns of a row as tell them, and what becomes of these later.

A place gives one column where its values are all of one kind, three (kind, number, text) otherwise. Names that the
store keeps once come as integers, and are looked up when the groups are known.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from functools import lru_cache
from typing import Any, Literal, assert_never
from zoneinfo import ZoneInfo

from kibitz.base import clock, refs
from kibitz.query import aggregation as nodes
from kibitz.query import json_sql
from kibitz.query.aggregation_tallies import Value
from kibitz.query.nodes import Column, ColumnField, FeedbackField, PathField, SortKey
from kibitz.query.pieces import BOOL, NUMBER, SORT_CHARACTERS, TEXT, Sql
from kibitz.query.sql import Compiler

_MINUTE, _HOUR, _DAY = 60_000_000, 3_600_000_000, 86_400_000_000
_WHOLE_MINUTES_FROM = 366 * 3 * _DAY
"""From 1973 on: Liberia, the last whose offset had seconds, gave them up in 1972."""
_NUMBERS: dict[Column, str] = {
    "started_at": "c.started_at",
    "ended_at": "c.ended_at",
    "latency_ms": "c.latency / 1000.0",
    "input_tokens": "c.input_tokens",
    "output_tokens": "c.output_tokens",
    "tokens": "c.tokens",
    "cost": "c.cost",
}
_NOTHING = 9
"""The kind of what has no value."""
_FIRST_DAY = date(1970, 1, 1)

Raw = tuple[Any, ...]
"""The columns of a key or place, as they are read."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The columns of a place and what they hold."""

    columns: tuple[Sql, ...]
    form: Literal["number", "text", "name", "any"]
    """One number, one text, one integer that stands for a text, or kind, number and text."""
    name: Callable[[int | None], str | None] | None = None
    """The text that an integer stands for."""


@dataclass(frozen=True, slots=True)
class KeyReading:
    """The columns of a key, and the value that they are."""

    columns: tuple[Sql, ...]
    value: Callable[[Raw], Value | None]


class Places:
    """Compiles the places of one aggregation, over the tables `c`, `p` and, over feedback, `f`."""

    def __init__(self, connection: sqlite3.Connection, project: str, compiler: Compiler) -> None:
        self._connection = connection
        self._project = project
        self._compiler = compiler
        connection.create_function("kibitz_offset", 2, _offset, deterministic=True)
        connection.create_function("kibitz_local", 3, _local, deterministic=True)
        connection.create_function("kibitz_call_ref", 2, refs.call_ref, deterministic=True)

    def place(self, place: nodes.Place) -> Reading:
        """How a value is read."""
        match place:
            case nodes.RowField(name):
                return self._of_row(name)
            case nodes.PayloadField(path):
                return Reading(tuple(json_sql.sort_terms(Sql("f.payload"), path, _NOTHING)), "any")
            case ColumnField(name):
                return self._column(name)
            case PathField() | FeedbackField():
                return Reading(tuple(self._compiler.sort_terms(SortKey(place))), "any")
            case _:
                assert_never(place)

    def key(self, key: nodes.Key) -> KeyReading:
        """How a key is read."""
        if isinstance(key, nodes.TimeKey):
            return _time(key)
        reading = self.place(key.place)
        return KeyReading(reading.columns, _decoder(reading))

    def _column(self, name: Column) -> Reading:
        if name in _NUMBERS:
            return Reading((Sql(_NUMBERS[name]),), "number")
        if name == "op":
            return Reading((Sql("coalesce(c.op, 0)"),), "name", self._op)
        if name == "op_ref":
            return Reading((Sql("c.op_ref"),), "name", self._ref)
        # The names of columns are a closed set, and are those of the table.
        return Reading((Sql(f"substr(c.{name}, 1, {SORT_CHARACTERS})"),), "text")

    def _of_row(self, name: nodes.FeedbackColumn) -> Reading:
        match name:
            case "created_at":
                return Reading((Sql("f.created_at"),), "number")
            case "type":
                return Reading(
                    (Sql("f.type"),), "name", lambda pk: self._named("feedback_types", "name", pk)
                )
            case "author" | "author_kind":
                column = "name" if name == "author" else "kind"
                return Reading(
                    (Sql("f.author"),), "name", lambda pk: self._named("authors", column, pk)
                )
            case "version":
                return Reading(
                    (Sql("coalesce(f.runnable_ref, f.annotation_ref)"),), "name", self._ref
                )
            case "target":
                text = (
                    f"substr(CASE WHEN f.call IS NULL THEN (SELECT r.text FROM refs r WHERE r.pk = f.target)"
                    f" ELSE kibitz_call_ref(?, (SELECT j.id FROM calls j WHERE j.pk = f.call)) END, 1, {SORT_CHARACTERS})"
                )
                return Reading((Sql(text, (self._project,)),), "text")
            case _:
                assert_never(name)

    def _op(self, pk: int | None) -> str:
        # A call that named no op has the empty name.
        return self._named("ops", "name", pk) or ""

    def _ref(self, pk: int | None) -> str | None:
        return self._named("refs", "text", pk)

    def _named(self, table: str, column: str, pk: int | None) -> str | None:
        if pk is None:
            return None
        row = self._connection.execute(
            f"SELECT {column} FROM {table} WHERE pk = ?", (pk,)
        ).fetchone()
        return None if row is None else row[0][:SORT_CHARACTERS]


def _decoder(reading: Reading) -> Callable[[Raw], Value | None]:
    match reading.form:
        case "number":
            return lambda raw: None if raw[0] is None else (NUMBER, float(raw[0]))
        case "text":
            return lambda raw: None if raw[0] is None else (TEXT, raw[0])
        case "name":
            name = reading.name
            assert name is not None, "an integer that stands for a text comes with its text"

            def named(raw: Raw) -> Value | None:
                text = name(raw[0])
                return None if text is None else (TEXT, text)

            return named
        case "any":
            return _any
        case _:
            assert_never(reading.form)


def _any(raw: Raw) -> Value | None:
    kind, number, text = raw
    if kind == BOOL:
        return BOOL, bool(number)
    if kind == NUMBER:
        return NUMBER, float(number)
    return (TEXT, text) if kind == TEXT else None


# -- time


def _time(key: nodes.TimeKey) -> KeyReading:
    column = {"started_at": "c.started_at", "ended_at": "c.ended_at", "created_at": "f.created_at"}[
        key.place.name
    ]
    unit = _HOUR if key.unit == "hour" else _DAY
    decode = {"hour": _hour, "day": _day, "week": _week, "month": _month}[key.unit]
    if key.zone == nodes.UTC:
        return KeyReading((Sql(_floored(column, unit)),), decode)
    columns = [Sql(f"kibitz_local({column}, ?, {unit})", (key.zone,))]
    if key.unit == "hour":
        # The same hour comes twice where clocks are put back.
        columns.append(Sql(f"kibitz_offset({column}, ?)", (key.zone,)))
    return KeyReading(tuple(columns), decode)


def _floored(expression: str, unit: int) -> str:
    """The expression divided by a unit and rounded down; SQL's own division rounds towards zero."""
    return f"(({expression}) - (({expression}) < 0) * {unit - 1}) / {unit}"


def _hour(raw: Raw) -> Value | None:
    hour, *offsets = raw
    if hour is None:
        return None
    zone = timezone(timedelta(microseconds=offsets[0])) if offsets else UTC
    local = datetime(1970, 1, 1, tzinfo=zone) + timedelta(hours=hour)
    return TEXT, local.isoformat(timespec="seconds")


def _day(raw: Raw) -> Value | None:
    return None if raw[0] is None else (TEXT, day_text(raw[0]))


def _week(raw: Raw) -> Value | None:
    return None if raw[0] is None else (TEXT, week_text(raw[0]))


def _month(raw: Raw) -> Value | None:
    return None if raw[0] is None else (TEXT, month_text(raw[0]))


def hour_text(hour: int) -> str:
    """An hour in UTC by its number since 1970."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(hours=hour)).isoformat(timespec="seconds")


def day_text(day: int) -> str:
    """A day by its number since 1970."""
    return (_FIRST_DAY + timedelta(days=day)).isoformat()


def week_text(day: int) -> str:
    """The week of a day, by its Monday."""
    # The first day was a Thursday.
    return (_FIRST_DAY + timedelta(days=day - (day + 3) % 7)).isoformat()


def month_text(day: int) -> str:
    """The month of a day."""
    return day_text(day)[:7]


def _local(moment: int | None, zone: str, unit: int) -> int | None:
    """The number of the hour or day since 1970 by the clocks of a zone."""
    offset = _offset(moment, zone)
    if moment is None or offset is None:
        return None
    # Beyond the years 1 to 9999 clocks stand still.
    return min(max(moment + offset, clock.FIRST_US), clock.LAST_US) // unit


def _offset(moment: int | None, zone: str) -> int | None:
    """How much the clocks of a zone are ahead of UTC, in microseconds."""
    if moment is None:
        return None
    # Since all zones count whole minutes, clocks are changed on them too.
    return _exact_offset(
        moment - moment % _MINUTE if moment >= _WHOLE_MINUTES_FROM else moment, zone
    )


@lru_cache(maxsize=65_536)
def _exact_offset(moment: int, zone: str) -> int | None:
    inside = min(max(moment, clock.FIRST_US + _DAY), clock.LAST_US - _DAY)
    found = clock.from_us(inside).astimezone(ZoneInfo(zone)).utcoffset()
    return None if found is None else found // timedelta(microseconds=1)
