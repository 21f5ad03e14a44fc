"""Whether probabilities mean what they say, and how far numbers are from what they should be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from kibitz.base.errors import UsageError
from kibitz.base.provider import Provider
from kibitz.providers import series


class Calibration(Provider):
    """Probabilities beside what happened (0 or 1), and errors of numbers. Lower is better in all of it."""

    local: ClassVar[bool] = True

    def brier(self, probabilities: Sequence[float], actual: Sequence[float]) -> float:
        """The mean of the squared difference. Source: Brier (1950), for two classes."""
        said, happened = _probable(probabilities, actual)
        return series.mean([(one - other) ** 2 for one, other in zip(said, happened, strict=True)])

    def ece(self, probabilities: Sequence[float], actual: Sequence[float], bins: int = 10) -> float:
        """Expected calibration error: in each bin of equal width, how far the mean probability is from the share that
        happened; weighted by how many are in it.

        A bin has its lower bound and not its upper one, the last has both. Source: Guo et al. (2017).
        """
        if bins < 1:
            raise UsageError(f"bins is {bins}; at least 1", value=bins)
        said, happened = _probable(probabilities, actual)
        found = 0.0
        for inside in series.groups(said, lambda each: min(int(each * bins), bins - 1)).values():
            found += abs(math.fsum(said[at] - happened[at] for at in inside))
        return found / len(said)

    def log_loss(self, probabilities: Sequence[float], actual: Sequence[float]) -> float:
        """The mean of minus the logarithm of what was said of what happened; not bounded by 1.

        Certainty that is wrong counts as 2^-52, not as endless.
        """
        said, happened = _probable(probabilities, actual)
        least = 2.0**-52
        return -series.mean(
            [
                math.log(
                    min(1 - least, max(least, one))
                    if other
                    else 1 - min(1 - least, max(least, one))
                )
                for one, other in zip(said, happened, strict=True)
            ]
        )

    def mae(self, predicted: Sequence[float], actual: Sequence[float]) -> float:
        """The mean absolute error, in the unit of the numbers."""
        one, other = series.pair(predicted, actual, ("predicted", "actual"))
        return series.mean([abs(left - right) for left, right in zip(one, other, strict=True)])

    def rmse(self, predicted: Sequence[float], actual: Sequence[float]) -> float:
        """The root of the mean squared error, in the unit of the numbers."""
        one, other = series.pair(predicted, actual, ("predicted", "actual"))
        return math.sqrt(
            series.mean([(left - right) ** 2 for left, right in zip(one, other, strict=True)])
        )


def _probable(
    probabilities: Sequence[float], actual: Sequence[float]
) -> tuple[list[float], list[float]]:
    said, happened = series.pair(probabilities, actual, ("probabilities", "actual"))
    for at, (one, other) in enumerate(zip(said, happened, strict=True)):
        if not 0 <= one <= 1:
            raise UsageError(f"probabilities[{at}] is {one!r}; it is from 0 to 1", at=at)
        if other not in (0.0, 1.0):
            raise UsageError(f"actual[{at}] is {other!r}; it is 0 or 1", at=at)
    return said, happened
