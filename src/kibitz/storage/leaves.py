"""The leaves of JSON values: those of a feedback payload become scores, the texts of a call become words."""

from __future__ import annotations

import math
from typing import Any, cast

from kibitz.query.pieces import BOOL, NUMBER, SORT_CHARACTERS, TEXT, double

MAX_LEAVES = 64
"""Scores that one payload may make. A type with a larger payload is read from its JSON instead."""
MAX_DEPTH = 8
WHOLE_NUMBERS_BELOW = 10**15
"""Numbers that are words too: whole, and small enough that int and float print alike."""

Score = tuple[int, float, str]
"""(kind, num, text) as `scores` keeps it."""


Leaf = tuple[tuple[str, ...], int]
"""Where a leaf is: its path, without the indexes of lists on the way, and its place among the elements; 0 outside of lists."""


def scores(payload: dict[str, Any]) -> tuple[dict[Leaf, Score], bool]:
    """The score of each leaf by where it is, and whether these are all the leaves."""
    found: dict[Leaf, Score] = {}
    places: dict[tuple[str, ...], int] = {}
    waiting: list[tuple[tuple[str, ...], Any, bool]] = [((), payload, False)]
    while waiting:
        path, value, in_list = waiting.pop()
        if isinstance(value, dict | list):
            if len(path) >= MAX_DEPTH or len(waiting) > MAX_LEAVES * 4:
                return found, False
            if isinstance(value, dict):
                entries = cast("dict[str, Any]", value)
                waiting.extend(((*path, key), each, in_list) for key, each in entries.items())
            else:
                waiting.extend((path, each, True) for each in reversed(cast("list[Any]", value)))
            continue
        score = _score(value)
        if score is None:
            continue
        if len(found) >= MAX_LEAVES:
            return found, False
        place = 0
        if in_list:
            place = places[path] = places.get(path, 0) + 1
        found[path, place] = score
    return found, True


def _score(value: Any) -> Score | None:
    match value:
        case bool():
            return BOOL, float(value), ""
        case float() if not math.isfinite(value):
            return None  # JSON has no word for it: what is stored is null
        case int() | float():
            return NUMBER, double(value), ""
        case str():
            return TEXT, 0.0, value[:SORT_CHARACTERS]
        case _:
            return None


def texts(value: Any) -> str:
    """Every text and whole number in a value, one a line: what its words are found by."""
    if isinstance(value, str):
        return value
    pieces: list[str] = []
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            pieces.append(each)
        elif isinstance(each, dict):
            waiting.extend(cast("dict[str, Any]", each).values())
        elif isinstance(each, list):
            waiting.extend(cast("list[Any]", each))
        elif is_whole(each):
            pieces.append(str(int(each)))
    return "\n".join(pieces)


def is_whole(value: Any) -> bool:
    """Whether a value is a number that is a word."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < WHOLE_NUMBERS_BELOW and value == int(value)


def without_nul(value: Any) -> Any:
    """The value with U+2400 for every NUL, which no SQL text holds; called only where there is one."""
    match value:
        case str():
            return value.replace("\x00", "\u2400")
        case dict():
            entries = cast("dict[str, Any]", value)
            return {without_nul(key): without_nul(each) for key, each in entries.items()}
        case list():
            return [without_nul(each) for each in cast("list[Any]", value)]
        case _:
            return value
