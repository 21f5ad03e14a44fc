"""Sums of scores by series and day, kept with every write, so that trends over everything need not read everything.

Kept are the scores of the newest judgement of each type on each call, by the day on which the call started. A score
that is taken back must leave nothing behind, so sums are exact: integers over a power of two, as every double is one.
For histograms numbers are counted by their first two digits: such a bucket lies in one bin of a round width, nearly
always.
"""

from __future__ import annotations

import math
import sqlite3
import sys
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from math import floor, log10

import msgspec

from kibitz.query.pieces import NUMBER, TEXT
from kibitz.storage import standing, statements

_SQL = statements.load("sqlite.sql")
KEPT_ROLES = frozenset({standing.ALONE, standing.NEWEST_OF_SEVERAL})
"""Scores that a call has one of: what it is sorted by."""
UNNAMED = 4
"""The kind of bucket that counts texts too long to be categories."""
MAX_NAMED_CHARACTERS = 32
DAY_US = 86_400_000_000
SQUARE_BITS = 30
_LOW = (1 << SQUARE_BITS) - 1
_LENGTHY_US = 1 << 40
_AT_A_TIME = 200_000

Bucket = tuple[int, int, int, float, str]
"""(series, kind, day, the smallest number or 0, the text or nothing)"""


@dataclass(slots=True)
class ExactSum:
    """A sum of doubles without rounding: `numerator` over two to the power of `exponent`."""

    numerator: int = 0
    exponent: int = 0

    def add(self, numerator: int, exponent: int) -> None:
        """Add another of the kind."""
        if exponent > self.exponent:
            self.numerator <<= exponent - self.exponent
            self.exponent = exponent
        self.numerator += numerator << (self.exponent - exponent)

    @property
    def fraction(self) -> Fraction:
        return Fraction(self.numerator, 1 << self.exponent)

    def __str__(self) -> str:
        if not self.numerator:
            return "0/0"
        # Without the zeros at its end, so that what was taken back does not make it long for ever.
        zeros = min(self.exponent, (self.numerator & -self.numerator).bit_length() - 1)
        return f"{self.numerator >> zeros:x}/{self.exponent - zeros:x}"


def parse_sum(text: str) -> ExactSum:
    """The sum of a text that `str` made."""
    numerator, _, exponent = text.partition("/")
    return ExactSum(int(numerator, 16), int(exponent, 16))


@dataclass(slots=True)
class _Change:
    """By how much the sums of a series change on a day."""

    n: int = 0
    fractions: int = 0
    infinite: int = 0
    totals: dict[int, int] = field(default_factory=dict[int, int])
    """Numerators by the power of two below them."""
    squares: dict[int, int] = field(default_factory=dict[int, int])
    """Their squares, by the power below themselves."""

    def added_to(self, before: tuple[str, str] | None) -> tuple[str, str]:
        """The sums as they are kept, with what stood."""
        total, squares = map(parse_sum, before or ("0/0", "0/0"))
        for exponent, numerator in self.totals.items():
            total.add(numerator, exponent)
            squares.add(self.squares[exponent], 2 * exponent)
        return str(total), str(squares)


class ScoreSums:
    """Collects changes of one transaction; `flush` writes them."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._days: dict[int, int | None] = {}
        self._numbers: defaultdict[tuple[int, int], _Change] = defaultdict(_Change)
        self._buckets: defaultdict[Bucket, int] = defaultdict(int)

    def look_up(self, calls: Iterable[int]) -> None:
        """Find out together on which days these calls started; those that have not arrived have none."""
        wanted = [call for call in calls if call not in self._days]
        if wanted:
            self._days.update(dict.fromkeys(wanted))
            encoded = msgspec.json.encode(wanted).decode()
            for call, started_at in self._connection.execute(_SQL["starts_of_calls"], (encoded,)):
                self._days[call] = day_of(started_at)

    def count(self, series: int, call: int, kind: int, num: float, text: str, by: int) -> None:
        """A score of a call that was looked up comes (`by` 1) or goes (-1)."""
        day = self._days[call]
        if day is not None:
            self.count_on(series, day, kind, num, text, by)

    def count_on(self, series: int, day: int, kind: int, num: float, text: str, by: int) -> None:
        """The same for a known day."""
        if kind == TEXT:
            if len(text) > MAX_NAMED_CHARACTERS:
                kind, text = UNNAMED, ""
            self._buckets[series, kind, day, 0.0, text] += by
            return
        if kind != NUMBER:
            self._buckets[series, kind, day, num, ""] += by
            return
        change = self._numbers[series, day]
        change.n += by
        if num - num != 0:
            change.infinite += by
            return
        numerator, denominator = num.as_integer_ratio()
        exponent = denominator.bit_length() - 1
        change.fractions += by * (exponent > 0)
        change.totals[exponent] = change.totals.get(exponent, 0) + by * numerator
        square = by * numerator * numerator
        change.squares[exponent] = change.squares.get(exponent, 0) + square
        self._buckets[series, NUMBER, day, bucket_of(num), ""] += by

    def flush(self) -> None:
        """Write what changed."""
        written: list[tuple[int | str, ...]] = []
        for (series, day), change in self._numbers.items():
            row = self._connection.execute(_SQL["score_sum"], (series, day)).fetchone()
            counts = (change.n, change.fractions, change.infinite)
            written.append((series, day, *counts, *change.added_to(row)))
        self._connection.executemany(_SQL["change_score_sum"], written)
        self._connection.executemany(
            _SQL["change_score_bucket"], [(*key, by) for key, by in self._buckets.items() if by]
        )
        self._connection.executemany(
            _SQL["drop_empty_score_sum"],
            [key for key, change in self._numbers.items() if change.n <= 0],
        )
        self._connection.executemany(
            _SQL["drop_empty_score_bucket"], [key for key, by in self._buckets.items() if by < 0]
        )
        self._numbers.clear()
        self._buckets.clear()
        self._days.clear()


def move(connection: sqlite3.Connection, moved: dict[int, tuple[int | None, int | None]]) -> None:
    """Calls started at another time than was known, or arrived after what was said of them.

    Args:
        connection: in a transaction; the scores are as they were before.
        moved: when each call started, so far and now, in microseconds; None where it has not arrived.
    """
    days = {
        call: (None if was is None else day_of(was), None if now is None else day_of(now))
        for call, (was, now) in moved.items()
    }
    changed = [call for call, (was, now) in days.items() if was != now]
    if not changed:
        return
    sums = ScoreSums(connection)
    encoded = msgspec.json.encode(changed).decode()
    for series, call, kind, num, text in connection.execute(_SQL["kept_scores"], (encoded,)):
        for day, by in zip(days[call], (-1, 1), strict=True):
            if day is not None:
                sums.count_on(series, day, kind, num, text, by)
    sums.flush()


def rebuild(connection: sqlite3.Connection, series: int | None = None) -> int:
    """Make the sums of one series, or of all, anew, inside an open transaction; gives how many scores went in."""
    if series is None:
        every = connection.execute("SELECT pk FROM series").fetchall()
        return sum(rebuild(connection, pk) for (pk,) in every)
    connection.execute("DELETE FROM score_sums WHERE series = ?", (series,))
    connection.execute("DELETE FROM score_buckets WHERE series = ?", (series,))
    sums = ScoreSums(connection)
    done = 0
    for started_at, kind, num, text in connection.execute(_SQL["every_kept_score"], (series,)):
        sums.count_on(series, day_of(started_at), kind, num, text, 1)
        done += 1
        if done % _AT_A_TIME == 0:
            sums.flush()
    sums.flush()
    return done


def squares(latency: int) -> tuple[int, int, int]:
    """The square of a latency in microseconds, for sums of integers of 64 bits: over 2**30, the rest, and whether it
    is too long for that (twelve days), so that its square is left out."""
    if latency >= _LENGTHY_US:
        return 0, 0, 1
    square = latency * latency
    return square >> SQUARE_BITS, square & _LOW, 0


def day_of(moment: int) -> int:
    """The day of a moment, counted from 1970 in UTC."""
    return moment // DAY_US


def bucket_of(number: float) -> float:
    """The smallest number of the bucket that a finite number is in: its first two digits, rounded down."""
    if number == 0:
        return 0.0
    size = abs(number)
    exponent = floor(log10(size))
    lowers = _lowers(exponent)
    # The logarithm of a number next to a power of ten may be that of its neighbour.
    if size < lowers[0]:
        lowers = _lowers(exponent - 1)
    elif size >= lowers[-1]:
        lowers = _lowers(exponent + 1)
    if number > 0:
        return lowers[bisect_right(lowers, size) - 1]
    return -lowers[bisect_left(lowers, size)]


@lru_cache(maxsize=1024)
def _lowers(exponent: int) -> list[float]:
    """The edges of the buckets from a power of ten to the next, as decimals; none is beyond the largest double."""
    edges = [float(f"{digits}e{exponent - 1}") for digits in range(10, 101)]
    return [min(edge, sys.float_info.max) for edge in edges]


def bucket_end(lower: float) -> float:
    """What the numbers of a bucket stay below."""
    if lower == 0:
        return math.nextafter(0.0, 1.0)
    digits, exponent = _two_digits(lower)
    if digits == -10:
        return float(f"-99e{exponent - 1}")
    return float(f"{digits + 1}e{exponent}")


def _two_digits(number: float) -> tuple[int, int]:
    mantissa, _, exponent = f"{number:.1e}".partition("e")
    return int(mantissa.replace(".", "")), int(exponent) - 1
