"""Which feedback of one type on one call counts, worked out from all of it. Pure.

Of each author the newest judgement stands, by `created_at`, then arrival. Of reactions and notes each stands for
itself. A retraction takes back one feedback and whatever its author had said before it, so that what was followed
by it does not come back; what the author says later stands again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from kibitz.base import judgements
from kibitz.query.pieces import BOOL, NUMBER, TEXT
from kibitz.storage.leaves import Leaf, Score

GONE, STANDS, NEWEST = 0, 1, 2
"""What `feedback.stands` says."""

OTHER, ALONE, ELEMENT, MEAN, NEWEST_OF_SEVERAL, OTHER_ELEMENT = range(6)
"""What `scores.role` says."""


@dataclass(frozen=True, slots=True)
class Row:
    """A feedback of the type on the call."""

    pk: int
    id: str
    author: int
    created_at: int
    retracts: str | None

    @property
    def at(self) -> tuple[int, int]:
        return self.created_at, self.pk


def stand(type_name: str, rows: Iterable[Row]) -> dict[int, int]:
    """What of the rows stands, by pk: `GONE`, `STANDS` or `NEWEST`."""
    every = sorted(rows, key=lambda row: row.at)
    by_id = {row.id: row for row in every}
    standing: dict[int | tuple[int, str], Row] = {}
    each_stands = type_name in judgements.COLLECTED
    taken_back: dict[int | tuple[int, str], tuple[int, int]] = {}

    def key(row: Row) -> int | tuple[int, str]:
        return (row.author, row.id) if each_stands else row.author

    for row in every:
        target = by_id.get(row.retracts) if row.retracts is not None else None
        if target is not None and target.retracts is None:
            known = taken_back.get(key(target), target.at)
            taken_back[key(target)] = max(known, target.at)
    for row in every:
        if row.retracts is None and row.at > taken_back.get(key(row), (-1 << 62, 0)):
            standing[key(row)] = row
    found = {row.pk: GONE for row in every}
    found.update((row.pk, STANDS) for row in standing.values())
    if standing:
        found[max(standing.values(), key=lambda row: row.at).pk] = NEWEST
    return found


@dataclass(frozen=True, slots=True)
class Judged:
    """A feedback that stands, with its leaves."""

    pk: int
    stands: int
    leaves: dict[Leaf, Score]


ScoreRow = tuple[tuple[str, ...], int, int, int, int, float, str]
"""(path, source, place, role, kind, num, text)"""


def scores(standing: list[Judged]) -> list[ScoreRow]:
    """The rows of `scores` that feedback of one type on one call makes."""
    rows: list[ScoreRow] = []
    numbers: dict[tuple[str, ...], list[float]] = {}
    needs_mean: set[tuple[str, ...]] = set()
    several = len(standing) > 1
    for judged in standing:
        newest = judged.stands == NEWEST
        for (path, place), (kind, num, text) in judged.leaves.items():
            if place:
                role = ELEMENT if newest else OTHER_ELEMENT
            elif newest:
                role = NEWEST_OF_SEVERAL if several else ALONE
            else:
                role = OTHER
            rows.append((path, judged.pk, place, role, kind, num, text))
            if not place and kind != TEXT:
                numbers.setdefault(path, []).append(num)
                if several or kind == BOOL:
                    needs_mean.add(path)
    for path in needs_mean:
        mean = sum(numbers[path]) / len(numbers[path])
        # Of opposite infinities there is none.
        if not math.isnan(mean):
            rows.append((path, 0, 0, MEAN, NUMBER, mean, ""))
    return rows
