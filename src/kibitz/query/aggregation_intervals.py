"""Confidence intervals of means and shares."""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

_EXACT_UP_TO = 120
"""Degrees of freedom for which Student's distribution is summed; beyond, the expansion errs by less than 1e-9."""


def of_mean(mean: float, sd: float, n: int, confidence: float) -> tuple[float, float] | None:
    """The interval of a mean: mean ± t·sd/√n, Student's t with n - 1 degrees of freedom; None for fewer than two.

    "Student" (1908), The probable error of a mean, Biometrika 6; also NIST/SEMATECH e-Handbook of Statistical
    Methods, section 1.3.5.2.
    """
    if n < 2:
        return None
    half = student(n - 1, confidence) * sd / math.sqrt(n)
    return mean - half, mean + half


def of_share(successes: int, n: int, confidence: float) -> tuple[float, float] | None:
    """The score interval of a share, which stays within 0 and 1 and holds for small n; None for nothing.

    (p + z²/2n ± z·√(p(1-p)/n + z²/4n²)) / (1 + z²/n): Wilson (1927), Probable inference, the law of succession, and
    statistical inference, JASA 22; recommended by Brown, Cai and DasGupta (2001), Interval estimation for a
    binomial proportion, Statistical Science 16.
    """
    if n == 0:
        return None
    z = normal(confidence)
    p = successes / n
    middle = p + z * z / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    # At the ends the formula gives 0 and 1; rounding must not take them away.
    low = 0.0 if successes == 0 else (middle - half) / scale
    high = 1.0 if successes == n else (middle + half) / scale
    return low, high


@lru_cache(maxsize=256)
def normal(confidence: float) -> float:
    """How many standard deviations around the mean of a normal distribution hold this part of it."""
    # Of the tail, which is exact: 1 + confidence may round to 2, where there is no such number.
    return -NormalDist().inv_cdf((1 - confidence) / 2)


@lru_cache(maxsize=4096)
def student(freedom: int, confidence: float) -> float:
    """The t for which Student's distribution has this part between -t and t."""
    z = normal(confidence)
    if freedom > _EXACT_UP_TO:
        return _expanded(z, freedom)
    low, high = 0.0, max(2.0, z)
    while _within(high, freedom) < confidence:
        high *= 2
    while True:
        middle = (low + high) / 2
        if middle in (low, high):
            return middle
        if _within(middle, freedom) < confidence:
            low = middle
        else:
            high = middle


def _within(t: float, freedom: int) -> float:
    """The part of Student's distribution between -t and t: Abramowitz and Stegun (1964), 26.7.3 and 26.7.4."""
    theta = math.atan(t / math.sqrt(freedom))
    sine, cosine = math.sin(theta), math.cos(theta)
    if freedom == 1:
        return 2 * theta / math.pi
    odd = freedom % 2
    term = cosine if odd else 1.0
    total = 0.0
    for k in range(1 + odd, freedom, 2):
        total += term
        term *= cosine * cosine * k / (k + 1)
    return 2 / math.pi * (theta + sine * total) if odd else sine * total


def _expanded(z: float, freedom: int) -> float:
    """The same for many degrees of freedom, from the normal distribution: Abramowitz and Stegun (1964), 26.7.5."""
    v = float(freedom)
    z2 = z * z
    first = (z2 + 1) * z / 4
    second = ((5 * z2 + 16) * z2 + 3) * z / 96
    third = (((3 * z2 + 19) * z2 + 17) * z2 - 15) * z / 384
    fourth = ((((79 * z2 + 776) * z2 + 1482) * z2 - 1920) * z2 - 945) * z / 92160
    return z + first / v + second / v**2 + third / v**3 + fourth / v**4
