"""The one door to time. Tests replace `now_ns`; everything else asks this module."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

now_ns: Callable[[], int] = time.time_ns
"""Nanoseconds since 1970 in UTC. Called as `clock.now_ns()`, so that replacing it reaches everyone."""


monotonic_ns: Callable[[], int] = time.monotonic_ns
"""Nanoseconds that only grow, for deadlines."""


def now() -> datetime:
    """The time of day in UTC, to the microsecond."""
    return from_us(now_ns() // 1000)


def from_us(microseconds: int) -> datetime:
    """Microseconds since 1970 as a datetime in UTC, without a float in between."""
    return EPOCH + timedelta(microseconds=microseconds)


def to_us(moment: datetime) -> int:
    """A datetime with a zone as microseconds since 1970."""
    since = moment - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


FIRST_US = to_us(datetime.min.replace(tzinfo=UTC))
LAST_US = to_us(datetime.max.replace(tzinfo=UTC))
"""The times that a datetime in UTC can say, in microseconds since 1970."""
