"""What is kept of the values of a group while rows go by, and what each measure says of it in the end. Pure.

Numbers are kept one by one, eight bytes each, so that every figure is worked out from all of them at the end.
"""

from __future__ import annotations

import heapq
import math
import statistics
from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, assert_never

from kibitz.base.records import Category, Measured
from kibitz.query import aggregation as nodes
from kibitz.query import aggregation_bins, aggregation_intervals, reference
from kibitz.query.pieces import BOOL, NUMBER, TEXT, double

Value = tuple[int, bool | float | str]
"""A value as it compares: its kind as in `pieces`, then itself."""


class Tally:
    """The values at one place in the rows of one group."""

    __slots__ = ("_categories", "_ordered", "false", "named", "numbers", "true", "unnamed")

    def __init__(self) -> None:
        self._ordered: list[float] | None = None
        self._categories: Counter[Value] | None = None
        self.numbers = array("d")
        self.true = 0
        self.false = 0
        self.named: dict[str, int] = {}
        """Texts by how often each is there."""
        self.unnamed = 0
        """Further texts, of which only the number was kept."""

    def merge(self, other: Tally) -> None:
        """Take in what another group had."""
        self.numbers.extend(other.numbers)
        self.true += other.true
        self.false += other.false
        self.unnamed += other.unnamed
        for text, n in other.named.items():
            self.named[text] = self.named.get(text, 0) + n

    @property
    def texts(self) -> int:
        return sum(self.named.values()) + self.unnamed

    @property
    def values(self) -> int:
        """How many values there are."""
        return len(self.numbers) + self.true + self.false + self.texts

    def counted(self) -> array[float]:
        """The numbers, booleans as 0 and 1."""
        if not (self.true or self.false):
            return self.numbers
        return self.numbers + array("d", [1.0] * self.true + [0.0] * self.false)

    def ordered(self) -> list[float]:
        """The numbers from the smallest, once all are there."""
        if self._ordered is None:
            self._ordered = sorted(self.numbers)
        return self._ordered

    def categories(self) -> Counter[Value]:
        """How often each value is there that is kept by name, once all are there."""
        if self._categories is None:
            self._categories = self.words()
            numbers = Counter(self.numbers)
            self._categories.update({(NUMBER, value): n for value, n in numbers.items()})
        return self._categories

    def words(self) -> Counter[Value]:
        """The same of those that are no numbers."""
        found: Counter[Value] = Counter()
        if self.false:
            found[BOOL, False] = self.false
        if self.true:
            found[BOOL, True] = self.true
        found.update({(TEXT, text): n for text, n in self.named.items()})
        return found


def needs_names(measure: nodes.Measure) -> bool:
    """Whether a measure has to know texts apart."""
    match measure:
        case nodes.Histogram() | nodes.Values() | nodes.Distinct():
            return True
        case nodes.Share(_, value):
            return isinstance(value, str)
        case _:
            return False


def edges_of(tallies: Iterable[Tally], most: int) -> list[float]:
    """The edges of the bins that the numbers of all groups share."""
    low, high, whole = math.inf, -math.inf, True
    for tally in tallies:
        finite_ = _finite_part(tally.ordered())
        if finite_:
            low, high = min(low, finite_[0]), max(high, finite_[-1])
            whole = whole and all(map(float.is_integer, finite_))
    return [] if low > high else aggregation_bins.edges(low, high, whole=whole, most=most)


def measured(
    measure: nodes.Measure, tally: Tally, edges: list[float], confidence: float
) -> Measured:
    """What a measure says of the values of a group; of a histogram with the bins of all groups."""
    match measure:
        case nodes.Count():
            return Measured(value=tally.values, n=tally.values)
        case nodes.OfNumbers(name):
            return _of_numbers(name, tally.counted(), confidence)
        case nodes.Quantile(_, q):
            mixed = tally.true or tally.false
            numbers = sorted(tally.counted()) if mixed else tally.ordered()
            value = finite(quantile(numbers, q)) if numbers else None
            return Measured(value=value, n=len(numbers))
        case nodes.Share(_, value):
            return _share(tally, value, confidence)
        case nodes.Histogram():
            return _spread(tally, edges)
        case nodes.Values(_, most):
            named, other = frequent(tally.categories(), most)
            other += tally.unnamed
            return Measured(n=tally.values, categories=named, other=other, exact=not tally.unnamed)
        case nodes.Distinct():
            different = len(tally.categories())
            return Measured(value=different, n=tally.values, exact=not tally.unnamed)
        case _:
            assert_never(measure)


def mean_of(mean: float | None, sd: float | None, n: int, confidence: float) -> Measured:
    """A mean with its interval, where there are two numbers or more."""
    interval = None
    if mean is not None and sd is not None:
        interval = aggregation_intervals.of_mean(mean, sd, n, confidence)
    low, high = map(finite, interval or (None, None))
    return Measured(value=mean, n=n, low=low, high=high)


def share_of(equal: int, n: int, confidence: float) -> Measured:
    """A share with its interval."""
    low, high = aggregation_intervals.of_share(equal, n, confidence) or (None, None)
    return Measured(value=equal / n if n else None, n=n, low=low, high=high)


def frequent(values: Counter[Value], most: int) -> tuple[list[Category], int]:
    """The most frequent values, ties by value, and how many others there are."""
    ranked = heapq.nsmallest(most, values.items(), key=lambda entry: (-entry[1], entry[0]))
    named = [Category(value=value, n=n) for (_, value), n in ranked]
    return named, values.total() - sum(each.n for each in named)


def quantile(ordered: list[float], q: float) -> float:
    """The number at (n - 1)·q of sorted numbers, between two of them in proportion."""
    position = (len(ordered) - 1) * q
    below = math.floor(position)
    part = position - below
    if part == 0:
        return ordered[below]
    return ordered[below] * (1 - part) + ordered[below + 1] * part


def finite(number: float | None) -> float | None:
    """The number, or None where JSON has no word for it."""
    return number if number is not None and math.isfinite(number) else None


def _of_numbers(name: nodes.Moment, numbers: array[float], confidence: float) -> Measured:
    n = len(numbers)
    match name:
        case "min" | "max":
            found = (min if name == "min" else max)(numbers, default=None)
            return Measured(value=finite(found), n=n)
        case "sum":
            return Measured(value=_sum(numbers), n=n)
        case "sd":
            return Measured(value=_deviation(numbers), n=n)
        case "mean":
            return mean_of(_mean(numbers), _deviation(numbers), n, confidence)
        case _:
            assert_never(name)


def _sum(numbers: array[float]) -> float | None:
    return _figure(math.fsum, numbers) if numbers else None


def _mean(numbers: array[float]) -> float | None:
    if not numbers:
        return None
    total = _sum(numbers)
    if total is not None:
        return total / len(numbers)
    # The sum is beyond every double, the mean need not be.
    return _figure(statistics.mean, numbers)


def _deviation(numbers: array[float]) -> float | None:
    """The standard deviation of a sample, from the squares of what each number differs from the mean."""
    n = len(numbers)
    if n < 2:
        return None
    # From one of them, so that large numbers that differ little keep what they differ by.
    first = numbers[0]
    try:
        differences = array("d", [number - first for number in numbers])
        mean = math.fsum(differences) / n
        squares = math.fsum([(each - mean) ** 2 for each in differences])
    except (OverflowError, ValueError):
        squares = math.inf
    if squares == 0 and min(numbers) == max(numbers):
        return finite(0.0 * first)
    # Squares of very large and very small numbers leave the range of doubles; ratios of integers do not.
    return math.sqrt(squares / (n - 1)) if 1e-250 < squares < 1e300 else _exact_deviation(numbers)


def _exact_deviation(numbers: array[float]) -> float | None:
    return _figure(statistics.stdev, numbers)


def _figure(figure: Callable[[array[float]], float], numbers: array[float]) -> float | None:
    if not all(map(math.isfinite, (min(numbers), max(numbers)))):
        return None
    try:
        return finite(figure(numbers))
    except OverflowError:
        return None


def _finite_part(ordered: list[float]) -> list[float]:
    """Sorted numbers without the infinite ones at their ends."""
    if ordered and (math.isinf(ordered[0]) or math.isinf(ordered[-1])):
        return ordered[bisect_right(ordered, -math.inf) : bisect_left(ordered, math.inf)]
    return ordered


def _share(tally: Tally, value: Any, confidence: float) -> Measured:
    match value:
        case bool():
            equal, n = (tally.true if value else tally.false), tally.true + tally.false
        case str():
            equal, n = tally.named.get(value[: reference.SORTED_CHARACTERS], 0), tally.texts
        case _:
            equal, n = tally.numbers.count(double(value)), len(tally.numbers)
    return share_of(equal, n, confidence)


def _spread(tally: Tally, edges: list[float]) -> Measured:
    counts = [0] * max(len(edges) - 1, 0)
    ordered = tally.ordered()
    numbers = _finite_part(ordered)
    # Where each bin begins among the numbers; what is at the last edge is in the last bin.
    starts = [bisect_left(numbers, edge) for edge in edges[:-1]] + [len(numbers)]
    for index in range(len(counts)):
        counts[index] = starts[index + 1] - starts[index]
    infinite = len(ordered) - len(numbers)
    named, other = frequent(tally.words(), nodes.SHOWN_CATEGORIES)
    return Measured(
        n=tally.values,
        edges=edges,
        counts=counts,
        categories=named,
        other=other + tally.unnamed + infinite,
        exact=not tally.unnamed,
    )
