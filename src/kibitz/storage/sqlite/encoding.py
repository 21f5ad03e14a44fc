"""Values and times as columns hold them, and what no column can hold."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, cast

import msgspec

from kibitz.base import clock
from kibitz.base.errors import InvalidRecord
from kibitz.storage import leaves

_encode = msgspec.json.Encoder().encode
MAX_DEPTH = 500
"""Levels of lists and objects in a value. Whoever reads it back needs a stack for them, within an answer."""


def json_text(value: Any, where: str) -> tuple[str, Any]:
    """A value as JSON text without NUL, and the value that the text says."""
    try:
        encoded = _encode(value)
        if b"\\u0000" in encoded:
            value = leaves.without_nul(value)
            encoded = _encode(value)
    except (UnicodeEncodeError, TypeError, RecursionError, ValueError) as error:
        raise InvalidRecord(f"{where} cannot be stored as JSON: {error}", field=where) from error
    # A level takes two characters at least, which spares most values the counting.
    if (
        len(encoded) > 2 * MAX_DEPTH
        and encoded.count(b"[") + encoded.count(b"{") > MAX_DEPTH
        and _is_deeper(value, MAX_DEPTH)
    ):
        raise InvalidRecord(
            f"{where} is nested more than {MAX_DEPTH} levels deep; flatten it", field=where
        )
    return encoded.decode(), value


def _is_deeper(value: Any, depth: int) -> bool:
    """Whether a value has more levels of lists and objects than that."""
    level: list[Any] = [value]
    for _ in range(depth):
        if not level:
            return False
        level = [
            inner for each in level for inner in _inside(each) if isinstance(inner, dict | list)
        ]
    return any(isinstance(each, dict | list) for each in level)


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return cast("dict[str, Any]", value).values()
    return cast("list[Any]", value) if isinstance(value, list) else ()


def microseconds(moment: datetime, field: str) -> int:
    """A time as it is stored. One that UTC has no year for could never be read again."""
    us = clock.to_us(moment)
    if not clock.FIRST_US <= us <= clock.LAST_US:
        raise InvalidRecord(
            f"{field} {moment.isoformat()} is outside of the years 1 to 9999 in UTC", field=field
        )
    return us
