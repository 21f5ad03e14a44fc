"""The short way for values that are JSON already, which most are: a copy, and one look at all of its text.

`jsonable` asks here first. What has anything unusual in it (another type, a secret, a NUL, too much of anything)
is refused as a whole and goes the long way, which says the same of plain values, only eight times slower;
a property test holds the two together.
"""

from __future__ import annotations

from typing import Any

import msgspec

from kibitz.base import redaction as redactions
from kibitz.base.records import Json
from kibitz.base.redaction import Redaction

MAX_KEY = 1000
_MAX_INT = 1 << 4096
_encode = msgspec.json.Encoder().encode


class _Unusual(Exception):
    """Not for the short way."""


def copy(
    value: Any, *, max_bytes: int, max_items: int, max_depth: int, redaction: Redaction | None
) -> tuple[Json, int] | None:
    """A copy of the value and the length of its JSON; None where it takes the long way."""
    walk = _Walk(max_bytes, max_items, max_depth, redaction)
    try:
        result = walk.value(value, 0)
        # Bounded by now: shared parts are copied, and what is too much was refused.
        content = _encode(result)
    except (_Unusual, UnicodeEncodeError, ValueError, RuntimeError):
        # A RuntimeError: another thread changes the value that is gone through.
        return None
    if len(content) > max_bytes or b"\\u0000" in content:
        return None
    if redaction is not None and redactions.may_hold_secret(content):
        return None
    return result, len(content)


class _Walk:
    __slots__ = ("_hides", "_left", "_max_depth", "_room")

    def __init__(
        self, max_bytes: int, max_items: int, max_depth: int, redaction: Redaction | None
    ) -> None:
        self._left = max_items
        self._room = max_bytes
        self._max_depth = max_depth
        self._hides = None if redaction is None else redaction.hides

    def value(self, value: Any, depth: int) -> Any:
        kind: Any = type(value)  # pyright: ignore[reportUnknownVariableType] of any value
        if kind is dict:
            return self._dict(value, depth)
        if kind is list or kind is tuple:
            return self._list(value, depth)
        self._leaf(kind, value)
        return value

    def _leaf(self, kind: Any, value: Any) -> None:
        if kind is str:
            self._room -= len(value)
            if self._room < 0:
                raise _Unusual
        elif kind is int:
            if not -_MAX_INT < value < _MAX_INT:
                raise _Unusual
        elif kind is float:
            # Infinity and NaN are no numbers to JSON; both differ from themselves after this.
            if value - value != 0.0:
                raise _Unusual
        elif value is not None and kind is not bool:
            raise _Unusual

    def _dict(self, value: dict[Any, Any], depth: int) -> dict[str, Any]:
        self._enter(value, depth)
        result: dict[str, Any] = {}
        hides = self._hides
        for key, item in value.items():
            if type(key) is not str or key == "$type" or len(key) > MAX_KEY:
                raise _Unusual
            if hides is not None and hides(key):
                raise _Unusual
            kind: Any = type(item)  # pyright: ignore[reportUnknownVariableType] of any value
            if kind is str:
                self._room -= len(item)
                if self._room < 0:
                    raise _Unusual
                result[key] = item
            elif kind is dict:
                result[key] = self._dict(item, depth + 1)
            elif kind is list or kind is tuple:
                result[key] = self._list(item, depth + 1)
            else:
                self._leaf(kind, item)
                result[key] = item
        return result

    def _list(self, value: Any, depth: int) -> list[Any]:
        self._enter(value, depth)
        if len(value) == 2 and self._hides is not None:
            name = value[0]
            if type(name) is str and self._hides(name):
                raise _Unusual
        return [self.value(item, depth + 1) for item in value]

    def _enter(self, value: Any, depth: int) -> None:
        self._left -= len(value)
        if self._left < 0 or depth >= self._max_depth:
            raise _Unusual
