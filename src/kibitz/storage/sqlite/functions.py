"""The SQL function that SQLite lacks: reaching keys that its JSON paths cannot spell.

Before 3.45 a quoted key in a path ends at the next quote and is compared with the escaped text, so a key
with a quote, a backslash or a control character is out of reach. `kibitz_at(json, path)` reaches it, slower.
"""

from __future__ import annotations

import sqlite3
from typing import Any, cast

import msgspec

from kibitz.query import fields


def register(connection: sqlite3.Connection) -> None:
    """Make the functions known to a connection."""
    connection.create_function("kibitz_at", 2, _at, deterministic=True)


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
            if not fields.is_index(part) or int(part) >= len(items):
                return None
            value = items[int(part)]
        else:
            return None
    return msgspec.json.encode(value).decode()
