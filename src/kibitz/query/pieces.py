"""Pieces of SQL statements: text and its parameters, and what all compiling has in common."""

from __future__ import annotations

import math
from dataclasses import dataclass

from kibitz.query.nodes import Literal_, SortKey

Param = None | int | float | str | bytes

BOOL, NUMBER, TEXT = 1, 2, 3
"""Kinds of values in the order they sort; also `scores.kind`."""
SORT_CHARACTERS = 256
"""Text sorts by its beginning, and scores keep no more of it."""
OPERATORS = {"eq": "=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


@dataclass(frozen=True, slots=True)
class Sql:
    """A piece of a statement and its parameters, in order."""

    text: str
    params: tuple[Param, ...] = ()


TRUE, FALSE = Sql("1"), Sql("0")


def joined(pieces: list[Sql], separator: str) -> Sql:
    """Pieces in brackets with a word between them."""
    text = separator.join(piece.text for piece in pieces)
    return Sql(f"({text})", tuple(param for piece in pieces for param in piece.params))


def either(pieces: list[Sql]) -> Sql:
    """Pieces of which one must hold; a piece alone where it can be, since no index serves an OR with a constant."""
    possible = [piece for piece in pieces if piece is not FALSE] or [FALSE]
    return possible[0] if len(possible) == 1 else joined(possible, " OR ")


def double(value: float) -> float:
    """A number as the IEEE double it compares as."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def missing_kind(key: SortKey) -> int:
    """The kind that stands for no value: last in the key's direction."""
    return 0 if key.descending else 9


def by_kind(values: tuple[Literal_, ...]) -> tuple[list[Param], list[Param], list[Param]]:
    """Booleans and numbers as doubles, and texts."""
    return (
        [float(value) for value in values if isinstance(value, bool)],
        [double(v) for v in values if isinstance(v, int | float) and not isinstance(v, bool)],
        [value for value in values if isinstance(value, str)],
    )


def one_of(expression: str, params: list[Param], before: tuple[Param, ...] = ()) -> Sql:
    """An expression equal to one of the parameters, however many: a chain of OR would be too deep at a thousand."""
    if not params:
        return FALSE
    return Sql(f"({expression} IN ({', '.join('?' * len(params))}))", (*before, *params))
