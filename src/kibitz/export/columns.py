"""The tables that calls, feedback, objects and files become: which columns each has, and what stands in them.

Every tabular format writes these same columns. What a record says but cannot be a plain value stands as JSON
text, so that nothing is lost: a missing value is empty, a stored null is the text `null`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any, Literal

import msgspec

from kibitz.base import clock
from kibitz.base.records import Call, ScoreColumn
from kibitz.query.nodes import ALL_COLUMNS, CallColumn

Kind = Literal["text", "time", "number", "integer", "flag", "json", "bytes", "feedback"]
"""`time` is microseconds since 1970 in UTC, `json` the text of a value, `feedback` a list of judgements."""
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    name: str
    kind: Kind
    value: Callable[[Any], Any]
    """What stands in it for a record; None where it is empty."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table by name."""

    name: str
    columns: tuple[Column, ...]


def _plain(name: str, kind: Kind = "text") -> Column:
    return Column(name, kind, attrgetter(name))


def _time(name: str) -> Column:
    def value(record: Any) -> int | None:
        moment: datetime | None = getattr(record, name)
        return None if moment is None else clock.to_us(moment)

    return Column(name, "time", value)


def _json(name: str) -> Column:
    def value(record: Any) -> str | None:
        given = getattr(record, name)
        return None if given is msgspec.UNSET else _encode(given).decode()

    return Column(name, "json", value)


def _exception() -> Column:
    """As text where there is one; a call that raised nothing has none, which is not a stored null."""

    def value(call: Call) -> str | None:
        given = call.exception
        return None if given is msgspec.UNSET or given is None else _encode(given).decode()

    return Column("exception", "json", value)


def _mapping(name: str) -> Column:
    """Attributes or summary: empty where nothing was said."""

    def value(record: Any) -> str | None:
        given = getattr(record, name)
        return None if given is msgspec.UNSET or given == {} else _encode(given).decode()

    return Column(name, "json", value)


def _filled(name: str) -> Column:
    """JSON of what has something in it; empty elsewhere."""

    def value(record: Any) -> str | None:
        text = _encode(getattr(record, name)).decode()
        return None if text in ("[]", "{}") else text

    return Column(name, "json", value)


_NARROW = (
    _plain("id"),
    _plain("project"),
    _plain("op"),
    _plain("op_ref"),
    _plain("kind"),
    _plain("display_name"),
    _plain("status"),
    _time("started_at"),
    _time("ended_at"),
    _plain("latency_ms", "number"),
    _plain("model"),
    _plain("input_tokens", "integer"),
    _plain("output_tokens", "integer"),
    _plain("tokens", "integer"),
    _plain("cost", "number"),
    _plain("trace_id"),
    _plain("parent_id"),
    _plain("thread_id"),
    _plain("author"),
    _plain("input_preview"),
    _plain("output_preview"),
    _plain("error"),
)
_WIDE: dict[CallColumn, Column] = {
    "inputs": _json("inputs"),
    "output": _json("output"),
    "attributes": _mapping("attributes"),
    "summary": _mapping("summary"),
    "exception": _exception(),
}

FEEDBACK = Table(
    "feedback",
    (
        _plain("id"),
        _plain("project"),
        _plain("type"),
        _plain("target_ref"),
        _json("payload"),
        _plain("author"),
        _plain("author_kind"),
        _time("created_at"),
        _plain("stands", "flag"),
        _plain("annotation_ref"),
        _plain("runnable_ref"),
        _plain("call_ref"),
        _plain("trigger_ref"),
        _plain("retracts"),
        _plain("corrects"),
    ),
)
OBJECTS = Table(
    "objects",
    (
        _plain("kind"),
        _plain("name"),
        _plain("digest"),
        _plain("project"),
        _plain("version", "integer"),
        _time("created_at"),
        _json("value"),
    ),
)
EVALUATIONS = Table(
    "evaluations",
    (
        _plain("id"),
        _plain("definition_ref"),
        _plain("call_id"),
        _plain("status"),
        _json("output"),
        _plain("reason"),
        _plain("error"),
        _filled("invocations"),
        _filled("spent"),
        _time("started_at"),
        _time("ended_at"),
        _plain("rule"),
    ),
)
RULES = Table(
    "rules",
    (
        _plain("name"),
        _json("definitions"),
        _plain("query"),
        _plain("sample", "number"),
        _plain("per_day", "integer"),
        _plain("usd_per_day", "number"),
        _plain("active", "flag"),
        _plain("author"),
    ),
)
FILES = Table("files", (_plain("digest"), _plain("media_type"), _plain("content", "bytes")))


def calls(
    scores: Sequence[ScoreColumn] = (), *, wide: frozenset[CallColumn] = ALL_COLUMNS
) -> Table:
    """The table of calls: a row each, one column for each score, named as queries spell it.

    Args:
        scores: The scores that become columns, where `wide` has `scores`.
        wide: Which of the values that are read on demand become columns.
    """
    columns = [*_NARROW, *(column for name, column in _WIDE.items() if name in wide)]
    if "scores" in wide:
        columns += [_score(each) for each in scores]
    if "feedback" in wide:
        columns.append(Column("feedback", "feedback", _feedback))
    return Table("calls", tuple(columns))


def _feedback(call: Call) -> Any:
    return None if call.feedback is msgspec.UNSET else call.feedback


def _score(column: ScoreColumn) -> Column:
    kind: Kind = "json"
    if len(column.kinds) == 1:
        kinds: dict[str, Kind] = {"bool": "flag", "number": "number", "text": "text"}
        kind = kinds[column.kinds[0]]
    fits = _FITS[kind]

    def value(call: Call) -> Any:
        if call.scores is msgspec.UNSET:
            return None
        given = call.scores.get(column.type, {}).get(column.path)
        # What arrived after the columns were chosen may be of another kind; the feedback itself has it.
        return fits(given) if given is not None else None

    return Column(column.field, kind, value)


_FITS: dict[Kind, Callable[[Any], Any]] = {
    "flag": lambda given: given if isinstance(given, bool) else None,
    "number": lambda given: None if isinstance(given, bool | str) else float(given),
    "text": lambda given: given if isinstance(given, str) else None,
    "json": lambda given: _encode(given).decode(),
}


def scores_of(calls: Iterable[Call]) -> list[ScoreColumn]:
    """The score columns that calls have, by type and path."""
    kinds: dict[tuple[str, str], set[Literal["bool", "number", "text"]]] = {}
    counts: dict[tuple[str, str], int] = {}
    for call in calls:
        if call.scores is msgspec.UNSET:
            continue
        for type_, paths in call.scores.items():
            for path, value in paths.items():
                kinds.setdefault((type_, path), set()).add(_kind(value))
                counts[type_, path] = counts.get((type_, path), 0) + 1
    return [
        ScoreColumn(type=type_, path=path, count=counts[type_, path], kinds=sorted(found))
        for (type_, path), found in sorted(kinds.items())
    ]


def _kind(value: Any) -> Literal["bool", "number", "text"]:
    if isinstance(value, bool):
        return "bool"
    return "text" if isinstance(value, str) else "number"
