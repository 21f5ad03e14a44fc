"""How two rows of numbers go together, and how sure that is.

Each measure has a twin `…_with_interval` that gives `{"estimate", "low", "high"}`: named scores, as a feedback function
gives them. The intervals rest on pairs that are independent of each other. Where several pairs are about one thing
(answers to one question), give the thing of each pair as `clusters`, or they come out too narrow.
"""

from __future__ import annotations

import bisect
import math
import random
from collections.abc import Hashable, Sequence
from statistics import NormalDist
from typing import ClassVar

from kibitz.base.errors import UsageError
from kibitz.base.provider import Provider
from kibitz.providers import series

_RESAMPLES = 1000


class Correlation(Provider):
    """From -1 to 1. A row in which all values are equal goes together with nothing: `UsageError`."""

    local: ClassVar[bool] = True

    def pearson(self, x: Sequence[float], y: Sequence[float]) -> float:
        """How near the pairs are to a straight line. Source: Pearson (1895)."""
        return _pearson(*_pair(x, y, 2))

    def spearman(self, x: Sequence[float], y: Sequence[float]) -> float:
        """Pearson's correlation of the ranks, equal values sharing theirs. Source: Spearman (1904)."""
        one, other = _pair(x, y, 2)
        return _pearson(series.ranks(one), series.ranks(other))

    def kendall(self, x: Sequence[float], y: Sequence[float]) -> float:
        """Kendall's tau-b: pairs in one order less pairs in the other, ties on either side taken into account.

        Source: Kendall (1945); counted in n log n as Knight (1966) does.
        """
        return _kendall(*_pair(x, y, 2))

    def pearson_with_interval(
        self,
        x: Sequence[float],
        y: Sequence[float],
        confidence: float = 0.95,
        clusters: Sequence[Hashable] | None = None,
    ) -> dict[str, float]:
        """`pearson` with an interval by Fisher's z (1921), standard error 1/sqrt(n - 3), or by clusters.

        With clusters: the percentiles of 1,000 bootstrap samples of whole clusters, drawn with a fixed seed.
        """
        one, other = _pair(x, y, 4)
        if clusters is not None:
            return _by_clusters(one, other, clusters, confidence)
        estimate = _pearson(one, other)
        return _fisher(estimate, 1 / (len(one) - 3), confidence)

    def spearman_with_interval(
        self,
        x: Sequence[float],
        y: Sequence[float],
        confidence: float = 0.95,
        clusters: Sequence[Hashable] | None = None,
    ) -> dict[str, float]:
        """`spearman` with an interval by Fisher's z, variance (1 + r²/2)/(n - 3) as Bonett and Wright (2000) have it.

        With clusters as `pearson_with_interval`, of the ranks, which are not made anew for each sample.
        """
        one, other = _pair(x, y, 4)
        left, right = series.ranks(one), series.ranks(other)
        if clusters is not None:
            return _by_clusters(left, right, clusters, confidence)
        estimate = _pearson(left, right)
        return _fisher(estimate, (1 + estimate**2 / 2) / (len(one) - 3), confidence)

    def kendall_with_interval(
        self, x: Sequence[float], y: Sequence[float], confidence: float = 0.95
    ) -> dict[str, float]:
        """`kendall` with an interval by Fisher's z, variance 0.437/(n - 4). Source: Fieller, Hartley, Pearson (1957)."""
        one, other = _pair(x, y, 5)
        return _fisher(_kendall(one, other), 0.437 / (len(one) - 4), confidence)


def _pair(x: Sequence[float], y: Sequence[float], least: int) -> tuple[list[float], list[float]]:
    one, other = series.pair(x, y, ("x", "y"), least)
    for values, name in ((one, "x"), (other, "y")):
        if min(values) == max(values):
            raise UsageError(
                f"all values of {name} are {values[0]!r}; a correlation needs two different ones"
            )
    return one, other


def _pearson(x: Sequence[float], y: Sequence[float]) -> float:
    across, up = _centred(x), _centred(y)
    # Each row by its length first: a product of squares would leave the range of floating point.
    total = math.fsum(one * other for one, other in zip(across, up, strict=True))
    return max(-1.0, min(1.0, total))


def _centred(values: Sequence[float]) -> list[float]:
    """The differences to the mean, of length 1 as a vector."""
    largest = max(map(abs, values)) or 1.0
    scaled = [each / largest for each in values]
    middle = series.mean(scaled)
    apart = [each - middle for each in scaled]
    # 0 where values differ by less than what is left of them beside the mean.
    length = math.hypot(*apart) or 1.0
    return [each / length for each in apart]


def _kendall(x: Sequence[float], y: Sequence[float]) -> float:
    pairs = sorted(zip(x, y, strict=True))
    count = len(pairs)
    every = count * (count - 1) // 2
    tied_x, tied_y = _tied([each for each, _ in pairs]), _tied(sorted(y))
    tied_both = _tied(pairs)
    swaps = _inversions([each for _, each in pairs])
    agreeing = every - tied_x - tied_y + tied_both - 2 * swaps
    return agreeing / math.sqrt(every - tied_x) / math.sqrt(every - tied_y)


def _tied(ordered: Sequence[object]) -> int:
    """How many pairs of equal values a row in order has."""
    found = run = 0
    for one, other in zip(ordered, ordered[1:], strict=False):
        run = run + 1 if one == other else 0
        found += run
    return found


def _inversions(values: list[float]) -> int:
    """How many pairs are the wrong way round: a merge sort that counts."""
    found, width, count = 0, 1, len(values)
    while width < count:
        merged: list[float] = []
        for begin in range(0, count, 2 * width):
            left, right = values[begin : begin + width], values[begin + width : begin + 2 * width]
            at = 0
            for each in right:
                after = bisect.bisect_right(left, each, at)
                merged += left[at:after]
                merged.append(each)
                at = after
                found += len(left) - at
            merged += left[at:]
        values, width = merged, 2 * width
    return found


def _fisher(estimate: float, variance: float, confidence: float) -> dict[str, float]:
    reach = NormalDist().inv_cdf((1 + _share(confidence)) / 2) * math.sqrt(variance)
    if abs(estimate) >= 1:
        return {"estimate": estimate, "low": estimate, "high": estimate}
    middle = math.atanh(estimate)
    return {
        "estimate": estimate,
        "low": math.tanh(middle - reach),
        "high": math.tanh(middle + reach),
    }


def _share(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise UsageError(
            f"confidence is {confidence!r}; between 0 and 1, as 0.95", value=confidence
        )
    return confidence


Sums = tuple[int, float, float, float, float, float]
"""Of a cluster: how many pairs, and the sums of x, y, x², y² and xy."""


def _by_clusters(
    x: Sequence[float], y: Sequence[float], clusters: Sequence[Hashable], confidence: float
) -> dict[str, float]:
    series.alike(x, clusters, ("x", "clusters"))
    estimate = _pearson(x, y)
    across, up = _centred(x), _centred(y)
    inside: dict[Hashable, list[int]] = {}
    for at, each in enumerate(clusters):
        inside.setdefault(each, []).append(at)
    if len(inside) < 4:
        raise UsageError(f"clusters has {len(inside)} different values; at least 4 are needed")
    sums: list[Sums] = [
        (
            len(members),
            math.fsum(across[at] for at in members),
            math.fsum(up[at] for at in members),
            math.fsum(across[at] ** 2 for at in members),
            math.fsum(up[at] ** 2 for at in members),
            math.fsum(across[at] * up[at] for at in members),
        )
        for members in inside.values()
    ]
    draws = random.Random(len(sums))
    found = sorted(
        each
        for each in (_of_sums(draws.choices(sums, k=len(sums))) for _ in range(_RESAMPLES))
        if each is not None
    )
    if not found:
        raise UsageError("no sample of the clusters has two different values")
    outside = (1 - _share(confidence)) / 2
    return {
        "estimate": estimate,
        "low": found[int(outside * (len(found) - 1))],
        "high": found[math.ceil((1 - outside) * (len(found) - 1))],
    }


def _of_sums(drawn: Sequence[Sums]) -> float | None:
    count, x, y, xx, yy, xy = map(sum, zip(*drawn, strict=True))
    one, other = xx - x * x / count, yy - y * y / count
    if one <= 0 or other <= 0:
        return None
    return max(-1.0, min(1.0, (xy - x * y / count) / math.sqrt(one) / math.sqrt(other)))
