"""The bins of a histogram: of one round width, so that an axis can name them."""

from __future__ import annotations

import sys
from bisect import bisect_right
from decimal import Decimal, localcontext
from math import ceil, floor

_STEPS = (1, 2, 5)
_WHOLE_BELOW = 2.0**50
_LARGEST = sys.float_info.max


def edges(low: float, high: float, *, whole: bool, most: int) -> list[float]:
    """The edges of at most `most` bins that hold the finite numbers from `low` to `high`.

    Whole numbers of which there can be at most so many get a bin each, around them. Otherwise a bin is 1, 2 or 5
    times a power of ten wide, as narrow as the bound allows, and edges are multiples of that, as decimals.
    """
    if whole and high - low < most and max(abs(low), abs(high)) < _WHOLE_BELOW:
        return [low - 0.5 + step for step in range(int(high - low) + 2)]
    with localcontext() as context:
        context.prec = 800
        first, last = Decimal(repr(low)), Decimal(repr(high))
        span = last - first
        exponent = span.adjusted() - 3 if span else first.adjusted() - 1
        while True:
            for step in _STEPS:
                width = Decimal(step).scaleb(exponent)
                begin = floor(first / width)
                end = max(ceil(last / width), begin + 1)
                if most == 1 and (begin, end) == (-1, 1):
                    # No edge of a single bin may lie at zero.
                    return [_float(-width), _float(width)]
                if end - begin <= (most if span else 1):
                    return [_float(each * width) for each in range(begin, end + 1)]
            exponent += 1


def place(number: float, bins: list[float]) -> int:
    """Which bin a number is in: from its edge up to, without it, the next; the last has both."""
    return min(bisect_right(bins, number), len(bins) - 1) - 1


def _float(edge: Decimal) -> float:
    return max(-_LARGEST, min(_LARGEST, float(edge)))
