"""The SQL functions that SQLite lacks.

`kibitz_at(json, path)` reaches keys that its JSON paths cannot spell. Before 3.45 a quoted key in a path ends at the
next quote and is compared with the escaped text, so a key with a quote, a backslash or a control character is out
of reach.

`kibitz_judged(rows, condition)` and `kibitz_rank(rows, condition)` ask the reference evaluator about the feedback of
one call, where scores cannot tell: whether a condition holds, and what the call is sorted by, as [kind, num, text].

`kibitz_convert(type, value, to)` is a JSON value as another kind, and `kibitz_matches(text, pattern, fold)` whether a
regular expression is found in a text. A search may take long without a step of SQLite's in which a query's time
limit is looked at, so the function looks at it itself.
"""

from __future__ import annotations

import sqlite3
import threading
from functools import lru_cache
from typing import Any, cast

import msgspec

from kibitz.base import clock
from kibitz.base.records import Feedback
from kibitz.query import derived, feedback_sql, patterns, reference
from kibitz.query.fields import is_index
from kibitz.query.nodes import ConvertTo, Exists, Node
from kibitz.query.pieces import BOOL, NUMBER, TEXT


class _Limit(threading.local):
    deadline_ns = 0
    """By the monotonic clock; 0 where there is none."""


_limit = _Limit()


def stop_at(deadline_ns: int) -> None:
    """Until when the queries of this thread may search; 0 for as long as they like."""
    _limit.deadline_ns = deadline_ns


def register(connection: sqlite3.Connection) -> None:
    """Make the functions known to a connection."""

    def matches(text: object, pattern: str, fold: int) -> int | None:
        if not isinstance(text, str):
            return None
        if _limit.deadline_ns and clock.monotonic_ns() > _limit.deadline_ns:
            connection.interrupt()
            return 0
        return patterns.compile(pattern, bool(fold)).is_in(text)

    connection.create_function("kibitz_matches", 3, matches, deterministic=True)
    connection.create_function("kibitz_convert", 3, _convert, deterministic=True)
    connection.create_function("kibitz_at", 2, _at, deterministic=True)
    connection.create_function("kibitz_judged", 2, _judged, deterministic=True)
    connection.create_function("kibitz_rank", 2, _rank, deterministic=True)


def _at(text: str | None, path_text: str) -> str | None:
    """The JSON text of the value at a path (a JSON list of parts); None where nothing is there."""
    if text is None:
        return None
    value: Any = msgspec.json.decode(text)
    for part in cast("list[str]", msgspec.json.decode(path_text)):
        if isinstance(value, dict):
            entries = cast("dict[str, Any]", value)
            if part not in entries:
                return None
            value = entries[part]
        elif isinstance(value, list):
            items = cast("list[Any]", value)
            if not is_index(part) or int(part) >= len(items):
                return None
            value = items[int(part)]
        else:
            return None
    return msgspec.json.encode(value).decode()


def _convert(kind: str | None, value: Any, to: ConvertTo) -> float | str | None:
    match kind:
        case "true" | "false":
            found: object = bool(value)
        case "integer" | "real":
            found = value if value is None else float(value)
        case "text":
            found = value
        case _:
            found = None
    converted = derived.convert(found, to)
    return None if converted is derived.MISSING else converted


def _judged(rows: str, condition: bytes) -> int:
    return int(reference.matches(_node(condition), _recorded(rows)))


def _rank(rows: str, condition: bytes) -> str | None:
    node = _node(condition)
    assert isinstance(node, Exists)
    key = reference.sort_key(node.field, _recorded(rows))
    if key is None:
        return None
    kind, value = key
    if isinstance(value, str):
        return msgspec.json.encode([TEXT, 0.0, value]).decode()
    number = float(value)
    # JSON has no infinity; this is what SQLite reads as one.
    text = repr(number) if abs(number) != float("inf") else "-9e999"[number > 0 :]
    return f"[{BOOL if kind == 0 else NUMBER},{text},null]"


@lru_cache(maxsize=256)
def _node(condition: bytes) -> Node:
    return feedback_sql.thaw(condition)


@lru_cache(maxsize=8)
def _recorded(rows: str) -> reference.Recorded:
    """The feedback of one call as the reference sees it; the call itself is not looked at."""
    found: list[tuple[Feedback, int]] = []
    for pk, feedback_id, kind, author, author_kind, created_at, retracts, ref, payload in cast(
        "list[list[Any]]", msgspec.json.decode(rows)
    ):
        feedback = Feedback(
            project="",
            id=feedback_id,
            type=kind,
            target_ref="",
            payload=msgspec.json.decode(payload),
            author=author,
            author_kind=author_kind,
            created_at=clock.from_us(created_at),
            runnable_ref=ref,
            retracts=retracts,
        )
        found.append((feedback, pk))
    return reference.Recorded(call=cast("Any", None), arrival=0, feedback=tuple(found))
