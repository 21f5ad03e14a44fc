"""When something that failed is tried again: later each time, and not all at once."""

from __future__ import annotations

import random

FIRST_S = 1.0
LONGEST_S = 300.0
_SPREAD = 0.25


def delay_s(attempt: int, *, draw: float | None = None) -> float:
    """Seconds to wait after the given attempt, 1 for the first: 1, 2, 4 … up to a longest, a quarter more or less.

    Args:
        attempt: how many there were.
        draw: a number from 0 to 1 that decides within the quarter; a random one where it is None.
    """
    drawn = random.random() if draw is None else draw
    # Two to a thousand would be no float.
    doubled = FIRST_S * 2.0 ** min(attempt - 1, 60)
    return min(doubled, LONGEST_S) * (1 - _SPREAD + 2 * _SPREAD * drawn)
