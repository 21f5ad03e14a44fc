"""Where a next page or step begins, as a text that is given out and comes back. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, cast

from kibitz.base.errors import QueryError
from kibitz.query.pieces import Param

_LARGEST = (1 << 63) - 1
"""What SQLite has room for."""


def write(values: Iterable[Param]) -> str:
    """The cursor of some values."""
    # The standard library's JSON, since a score may be infinite and msgspec writes that as null.
    return json.dumps([*values]).encode().hex()


def read(cursor: str) -> list[Param]:
    """The values of a cursor; raises `QueryError` where it is not one that `write` gives."""
    try:
        values: object = json.loads(bytes.fromhex(cursor))
    except (ValueError, RecursionError) as error:
        raise unknown(cursor) from error
    if not isinstance(values, list) or not all(map(_is_value, cast("list[Any]", values))):
        raise unknown(cursor)
    return cast("list[Param]", values)


def unknown(cursor: str) -> QueryError:
    """The error for what is no cursor."""
    return QueryError(f"cursor {cursor[:40]!r} is not one that Kibitz gave out", at="cursor")


def _is_value(value: object) -> bool:
    if isinstance(value, int):
        return -_LARGEST <= value <= _LARGEST
    return value is None or isinstance(value, float | str)
