"""How well a ranking finds what is relevant.

A ranking is a list of ids or texts, the best first. What is relevant is a list of them, or a mapping to how relevant
each is (above 0 is relevant at all). What occurs twice in a ranking counts where it is first. Positions that a ranking
does not have count as irrelevant: the precision at 10 of five hits is at most a half, as TREC counts it.

With `scores` (one for each in the ranking, higher is better) the ranking is put in their order first, and those of one
score share what their places are worth, so that the order in which equal ones came changes nothing.

Where nothing is relevant all of these are 0.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, ClassVar

from kibitz.base.errors import UsageError
from kibitz.base.provider import Provider
from kibitz.providers import series

Relevant = Sequence[Hashable] | Mapping[Any, float]
Ties = list[tuple[int, float, int]]
"""Runs of equal score: how many there are, their grades' sum, and how many of them are relevant."""


class Retrieval(Provider):
    """How well a ranking finds what is relevant. All of it is from 0 to 1."""

    local: ClassVar[bool] = True

    def ndcg_at_k(
        self,
        retrieved: Sequence[Hashable],
        relevant: Relevant,
        k: int | None = None,
        scores: Sequence[float] | None = None,
    ) -> float:
        """Normalised discounted cumulative gain: grades by the logarithm of their place, by the best possible.

        The gain is the grade itself, as in scikit-learn; the best possible is over all that is relevant, also what
        was not retrieved. Source: Järvelin and Kekäläinen (2002); ties: McSherry and Najork (2008).
        """
        grades = _grades(relevant)
        best = sorted(grades.values(), reverse=True)
        limit = _limit(k, max(len(retrieved), len(best)))
        ideal = math.fsum(grade / math.log2(place + 2) for place, grade in enumerate(best[:limit]))
        if not ideal:
            return 0.0
        gain, place = 0.0, 0
        for count, grade, _ in _runs(retrieved, grades, scores):
            worth = math.fsum(
                1 / math.log2(at + 2) for at in range(place, min(place + count, limit))
            )
            gain += worth * grade / count
            place += count
        return min(1.0, gain / ideal)

    def precision_at_k(
        self,
        retrieved: Sequence[Hashable],
        relevant: Relevant,
        k: int | None = None,
        scores: Sequence[float] | None = None,
    ) -> float:
        """Which share of the first k places is relevant; k is the length of the ranking where it is not given."""
        limit = _limit(k, len(retrieved))
        return self._hits(retrieved, relevant, limit, scores) / limit if limit else 0.0

    def recall_at_k(
        self,
        retrieved: Sequence[Hashable],
        relevant: Relevant,
        k: int | None = None,
        scores: Sequence[float] | None = None,
    ) -> float:
        """Which share of what is relevant is in the first k places."""
        wanted = sum(grade > 0 for grade in _grades(relevant).values())
        limit = _limit(k, len(retrieved))
        return self._hits(retrieved, relevant, limit, scores) / wanted if wanted else 0.0

    def hit_rate(
        self,
        retrieved: Sequence[Hashable],
        relevant: Relevant,
        k: int | None = None,
        scores: Sequence[float] | None = None,
    ) -> float:
        """1 where something relevant is in the first k places; with ties at their edge, the chance of it."""
        left, missed = _limit(k, len(retrieved)), 1.0
        for count, _, hits in _runs(retrieved, _grades(relevant), scores):
            taken = min(count, left)
            # How likely none of the hits is among those taken: a draw without putting back.
            missed *= math.comb(count - hits, taken) / math.comb(count, taken)
            left -= taken
        return 1.0 - missed

    def mrr(
        self,
        retrieved: Sequence[Hashable],
        relevant: Relevant,
        k: int | None = None,
        scores: Sequence[float] | None = None,
    ) -> float:
        """1 by the place of the first that is relevant; 0 where none is in the first k. Source: Voorhees (1999).

        The mean of it over queries is the mean reciprocal rank. Among equal scores it is what is to be expected.
        """
        limit, place = _limit(k, len(retrieved)), 0
        for count, _, hits in _runs(retrieved, _grades(relevant), scores):
            if hits:
                every = math.comb(count, hits)
                return math.fsum(
                    math.comb(count - 1 - at, hits - 1) / every / (place + at + 1)
                    for at in range(count - hits + 1)
                    if place + at < limit
                )
            place += count
        return 0.0

    def average_precision(
        self, retrieved: Sequence[Hashable], relevant: Relevant, k: int | None = None
    ) -> float:
        """The mean of the precision at each relevant place, over all that is relevant.

        The mean of it over queries is MAP. Source: Buckley and Voorhees (2000); in the order given, as TREC has it.
        """
        grades = _grades(relevant)
        wanted = sum(grade > 0 for grade in grades.values())
        hits, total = 0, 0.0
        for place, each in enumerate(_unique(retrieved)[: _limit(k, len(retrieved))], start=1):
            if grades.get(each, 0.0) > 0:
                hits += 1
                total += hits / place
        return total / wanted if wanted else 0.0

    def _hits(
        self,
        retrieved: Sequence[Hashable],
        relevant: Relevant,
        limit: int,
        scores: Sequence[float] | None,
    ) -> float:
        found, left = 0.0, limit
        for count, _, hits in _runs(retrieved, _grades(relevant), scores):
            found += hits * min(count, left) / count
            left -= min(count, left)
        return found


def _grades(relevant: Relevant) -> dict[Hashable, float]:
    if isinstance(relevant, Mapping):
        grades = series.numbers(relevant.values(), "relevant")
        if any(each < 0 for each in grades):
            raise UsageError("relevant has a grade below 0; 0 is irrelevant")
        return dict(zip(relevant, grades, strict=True))
    if isinstance(relevant, str):
        raise UsageError("relevant is a text; give a list of what is relevant", value=relevant[:80])
    return dict.fromkeys(relevant, 1.0)


def _limit(k: int | None, length: int) -> int:
    if k is None:
        return length
    if k < 1:
        raise UsageError(f"k is {k}; it is at least 1", value=k)
    return k


def _unique(retrieved: Sequence[Any]) -> list[Hashable]:
    if isinstance(retrieved, str):
        raise UsageError("retrieved is a text; give a list, the best first", value=retrieved[:80])
    return list(dict.fromkeys(retrieved))


def _runs(
    retrieved: Sequence[Hashable],
    grades: Mapping[Hashable, float],
    scores: Sequence[float] | None,
) -> Ties:
    """The ranking in runs of equal score; each by itself where there are no scores."""
    if scores is None:
        return [
            (1, grade, int(grade > 0))
            for grade in (grades.get(each, 0.0) for each in _unique(retrieved))
        ]
    valued = series.numbers(scores, "scores")
    series.alike(retrieved, valued, ("retrieved", "scores"), 0)
    best: dict[Hashable, float] = {}
    for each, score in zip(retrieved, valued, strict=True):
        best[each] = max(score, best.get(each, score))
    by_score: dict[float, list[float]] = {}
    for each, score in best.items():
        by_score.setdefault(score, []).append(grades.get(each, 0.0))
    return [
        (len(run), math.fsum(run), sum(grade > 0 for grade in run))
        for _, run in sorted(by_score.items(), reverse=True)
    ]
