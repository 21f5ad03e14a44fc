"""The shapes of JSON written by hand: checked, with an error that says where and what was meant instead.

Each raises `QueryError`; `at` is the place in the query.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import cast

from kibitz.base.errors import QueryError
from kibitz.query import fields

_INT64 = 1 << 63


def entries(given: object, at: str, known: tuple[str, ...]) -> Mapping[str, object]:
    """An object that has no keys but the known ones."""
    if not isinstance(given, Mapping):
        raise QueryError(
            f"{at} {short(given)} is not an object with the keys {', '.join(known)}", at=at
        )
    named = cast("Mapping[str, object]", given)
    for key in named:
        if key not in known:
            raise unknown(key, at, known, "key")
    return named


def items(given: object, at: str, most: int, form: str) -> list[object]:
    """A list of bounded length; `form` is how to write it."""
    if not isinstance(given, list | tuple):
        raise QueryError(f"{at} {short(given)} is not a list; write {form}", at=at)
    listed = list(cast("Iterable[object]", given))
    if len(listed) > most:
        raise QueryError(f"{at} has {len(listed):,} entries; at most {most:,} are allowed", at=at)
    return listed


def exactly(given: object, at: str, number: int, form: str) -> list[object]:
    """A list of so many operands."""
    if isinstance(given, list | tuple):
        listed = list(cast("Iterable[object]", given))
        if len(listed) == number:
            return listed
        raise QueryError(f"{at} has {len(listed)} operands, not {number}; write {form}", at=at)
    raise QueryError(f"{at} {short(given)} is not a list; write {form}", at=at)


def flag(given: object, at: str) -> bool:
    """A boolean."""
    if isinstance(given, bool):
        return given
    raise QueryError(f"{at} {short(given)} is neither true nor false", at=at)


def word(given: object, at: str, known: tuple[str, ...]) -> str:
    """One of a closed set of words."""
    if isinstance(given, str) and given in known:
        return given
    raise unknown(given, at, known, "value")


def unknown(given: object, at: str, known: tuple[str, ...], noun: str) -> QueryError:
    """What to say of a word that is not known, with the one that was most likely meant."""
    close = fields.nearest(given, known) if isinstance(given, str) else None
    hint = f"did you mean {close!r}?" if close else f"known are {', '.join(known)}"
    return QueryError(f"{at}: {noun} {short(given)} is not known; {hint}", at=at, suggestion=close)


def short(value: object) -> str:
    """A value for a message, bounded whatever its size."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return repr(value if len(value) <= 80 else value[:79] + "…")
    if isinstance(value, int):
        return str(value) if -_INT64 <= value < _INT64 else "(a huge whole number)"
    if isinstance(value, Mapping):
        keys = itertools.islice(cast("Mapping[object, object]", value), 4)
        return "{" + ", ".join(f"{str(key)[:40]!r}: …" for key in keys) + "}"
    if isinstance(value, list | tuple):
        return "[…]" if value else "[]"
    return repr(value) if isinstance(value, float) else type(value).__name__
