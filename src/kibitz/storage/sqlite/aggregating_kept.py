"""Aggregations that the sums kept on ingest can answer, without reading calls or scores.

Whether they can is decided measure by measure; where one cannot be told from sums, every row is read instead
(`aggregating`). What comes out is the same to the last bits.
"""

from __future__ import annotations

import math
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import msgspec

from kibitz.base.records import Measured
from kibitz.query import aggregation as nodes
from kibitz.query import aggregation_bins, aggregation_tallies
from kibitz.query.aggregation_tallies import Value
from kibitz.query.nodes import And, ColumnField, Compare, FeedbackField, In, Node
from kibitz.query.pieces import BOOL, NUMBER, SORT_CHARACTERS, TEXT
from kibitz.query.sql import Compiler
from kibitz.storage import statements
from kibitz.storage.sqlite import aggregating_places, aggregating_sums
from kibitz.storage.sqlite.aggregating_sums import (
    MAX_NAMED_CHARACTERS,
    SQUARE_BITS,
    UNNAMED,
    ExactSum,
)
from kibitz.storage.sqlite.names import ReadCatalog

_SQL = statements.load("sqlite.sql")
_HOUR_US = 3_600_000_000
_HOURS = 24
_FIRST_HOUR, _LAST_HOUR = -(1 << 40), 1 << 40
_OP, _LATENCY, _STATUS = ColumnField("op"), ColumnField("latency_ms"), ColumnField("status")
_LARGEST = 1.7976931348623157e308

Keys = tuple[Value | None, ...]
Found = list[tuple[Keys, list[Measured]]]


class _Unknown(Exception):
    """The sums cannot tell."""


@dataclass(slots=True)
class _Calls:
    """Sums over the calls of a group."""

    calls: int = 0
    errors: int = 0
    running: int = 0
    latency: int = 0
    squares: int = 0
    lengthy: int = 0


@dataclass(slots=True)
class _Scores:
    """Sums over one series in a group; counts by value."""

    numbers: int = 0
    fractions: int = 0
    infinite: int = 0
    total: ExactSum = field(default_factory=ExactSum)
    squares: ExactSum = field(default_factory=ExactSum)
    buckets: Counter[float] = field(default_factory=Counter[float])
    true: int = 0
    false: int = 0
    named: Counter[str] = field(default_factory=Counter[str])
    unnamed: int = 0

    @property
    def texts(self) -> int:
        return self.named.total() + self.unnamed

    @property
    def values(self) -> int:
        return self.numbers + self.true + self.false + self.texts


@dataclass(frozen=True, slots=True)
class _Part:
    """Which of a project's calls are meant."""

    first: int
    """The first hour."""
    end: int
    """The hour after the last."""
    ops: frozenset[int] | None
    """None for all."""


def answer(
    connection: sqlite3.Connection, project: int, query: nodes.AggregateQuery
) -> Found | None:
    """The groups of a query, unordered; None where the sums cannot tell."""
    try:
        return _Kept(connection, project, query).found()
    except _Unknown:
        return None


class _Kept:
    def __init__(
        self, connection: sqlite3.Connection, project: int, query: nodes.AggregateQuery
    ) -> None:
        if query.over != "calls":
            raise _Unknown
        self._connection = connection
        self._project = project
        self._query = query
        self._catalog = ReadCatalog(connection, project)
        self._part = self._meant()
        self._finest = self._unit()
        self._series = {
            place: self._series_of(place)
            for measure in query.measures
            if isinstance(place := measure.place, FeedbackField)
        }
        if self._series and (self._part.ops is not None or self._finest == 1 or self._has_op()):
            raise _Unknown

    def found(self) -> Found:
        of_calls, keys_of_day = self._calls()
        if not self._query.group_by:
            of_calls.setdefault((), _Calls())
        of_scores = {
            place: self._scores(place, series, keys_of_day)
            for place, series in self._series.items()
        }
        spread = {
            measure: self._edges(measure, of_scores[measure.place].values())
            for measure in self._query.measures
            if isinstance(measure, nodes.Histogram) and isinstance(measure.place, FeedbackField)
        }
        found: Found = []
        for keys, calls in of_calls.items():
            measured: list[Measured] = []
            for measure in self._query.measures:
                if isinstance(measure.place, FeedbackField):
                    scores = of_scores[measure.place].get(keys) or _Scores()
                    bins = spread.get(measure) if isinstance(measure, nodes.Histogram) else None
                    measured.append(self._of_scores(measure, scores, bins))
                else:
                    measured.append(self._of_calls(measure, calls))
            found.append((keys, measured))
        return found

    # What is asked

    def _meant(self) -> _Part:
        first, end = _FIRST_HOUR, _LAST_HOUR
        ops: frozenset[int] | None = None
        for node in _conjuncts(self._query.where):
            match node:
                case Compare(ColumnField("op"), "eq", str(name)):
                    its = self._ops([name])
                    ops = its if ops is None else ops & its
                case In(ColumnField("op"), names) if all(isinstance(each, str) for each in names):
                    its = self._ops([str(each) for each in names])
                    ops = its if ops is None else ops & its
                case Compare(ColumnField("started_at"), "gte", int(moment)):
                    first = max(first, _whole_hour(moment))
                case Compare(ColumnField("started_at"), "lt", int(moment)):
                    end = min(end, _whole_hour(moment))
                case _:
                    raise _Unknown
        return _Part(first, end, ops)

    def _ops(self, names: Iterable[str]) -> frozenset[int]:
        known = (self._catalog.op(name) for name in names)
        return frozenset(pk for pk in known if pk is not None)

    def _unit(self) -> int:
        """The hours of the finest stretch of time in the keys, or that bounds cut out."""
        finest = _HOURS
        for key in self._query.group_by:
            match key:
                case nodes.PlaceKey(place) if place == _OP:
                    pass
                case nodes.TimeKey(unit, nodes.UTC, ColumnField("started_at")):
                    finest = min(finest, 1 if unit == "hour" else _HOURS)
                case _:
                    raise _Unknown
        for bound in (self._part.first, self._part.end):
            if abs(bound) != _LAST_HOUR and bound % _HOURS:
                finest = 1
        return finest

    def _has_op(self) -> bool:
        return any(isinstance(key, nodes.PlaceKey) for key in self._query.group_by)

    def _series_of(self, place: FeedbackField) -> int:
        """The series of a field; -1 where nothing has a value."""
        if place.over != "latest":
            raise _Unknown
        series = Compiler(self._catalog).feedback.leading_series(place)
        if series is None:
            raise _Unknown
        return series

    # Sums

    def _calls(self) -> tuple[dict[Keys, _Calls], dict[int, Keys]]:
        """The sums by key, and the keys by the number of the day."""
        found: dict[Keys, _Calls] = {}
        by_time: dict[int, Keys] = {}
        names: dict[int, str] = {}
        part = self._part
        rows = self._connection.execute(
            _SQL["calls_by_op_and_hour"], (self._project, part.first, part.end, self._finest)
        )
        for op, at, *sums in rows:
            if part.ops is not None and op not in part.ops:
                continue
            if op not in names:
                row = self._connection.execute("SELECT name FROM ops WHERE pk = ?", (op,))
                names[op] = row.fetchone()[0][:SORT_CHARACTERS]
            keys = tuple(self._value(key, names[op], at) for key in self._query.group_by)
            by_time[at] = keys
            calls = found.setdefault(keys, _Calls())
            calls.calls += sums[0]
            calls.errors += sums[1]
            calls.running += sums[2]
            calls.latency += sums[3]
            calls.squares += (sums[4] << SQUARE_BITS) + sums[5]
            calls.lengthy += sums[6]
        return found, by_time

    def _value(self, key: nodes.Key, op: str, at: int) -> Value:
        if isinstance(key, nodes.PlaceKey):
            return TEXT, op
        if key.unit == "hour":
            return TEXT, aggregating_places.hour_text(at)
        day = at if self._finest == _HOURS else at // _HOURS
        text = {
            "day": aggregating_places.day_text,
            "week": aggregating_places.week_text,
            "month": aggregating_places.month_text,
        }[key.unit]
        return TEXT, text(day)

    def _scores(
        self, place: FeedbackField, series: int, keys_of_day: dict[int, Keys]
    ) -> dict[Keys, _Scores]:
        found: dict[Keys, _Scores] = {}
        if series < 0:
            return found
        days = (self._part.first // _HOURS, self._part.end // _HOURS)
        for day, n, fractions, infinite, total, squares in self._connection.execute(
            _SQL["score_sums_by_day"], (series, *days)
        ):
            scores = found.setdefault(keys_of_day[day], _Scores())
            scores.numbers += n
            scores.fractions += fractions
            scores.infinite += infinite
            for mine, text in ((scores.total, total), (scores.squares, squares)):
                its = aggregating_sums.parse_sum(text)
                mine.add(its.numerator, its.exponent)
        kinds = [BOOL, TEXT, UNNAMED]
        if any(
            isinstance(measure, nodes.Histogram) and measure.place == place
            for measure in self._query.measures
        ):
            kinds.append(NUMBER)
        wanted = msgspec.json.encode(kinds).decode()
        for kind, day, num, text, n in self._connection.execute(
            _SQL["score_buckets_by_day"], (series, wanted, *days)
        ):
            scores = found.setdefault(keys_of_day[day], _Scores())
            if kind == NUMBER:
                scores.buckets[num] += n
            elif kind == TEXT:
                scores.named[text] += n
            elif kind == UNNAMED:
                scores.unnamed += n
            elif num:
                scores.true += n
            else:
                scores.false += n
        return found

    # Measures

    def _of_calls(self, measure: nodes.Measure, calls: _Calls) -> Measured:
        ended = calls.calls - calls.running
        match measure:
            case nodes.Count(None):
                return Measured(value=calls.calls, n=calls.calls)
            case nodes.Count(place) if place == _LATENCY:
                return Measured(value=ended, n=ended)
            case nodes.OfNumbers("mean" | "sd" | "sum", place) if place == _LATENCY:
                if calls.lengthy:
                    raise _Unknown
                total = Fraction(calls.latency, 1000)
                squares = Fraction(calls.squares, 1_000_000)
                return _moment(measure.name, ended, total, squares, self._query.confidence)
            case nodes.Share(place, str(value)) if place == _STATUS:
                equal = dict(_statuses(calls)).get(value, 0)
                return aggregation_tallies.share_of(equal, calls.calls, self._query.confidence)
            case nodes.Values(place, most) if place == _STATUS:
                values: Counter[Value] = Counter(
                    {(TEXT, status): n for status, n in _statuses(calls) if n}
                )
                named, other = aggregation_tallies.frequent(values, most)
                return Measured(n=calls.calls, categories=named, other=other)
            case _:
                raise _Unknown

    def _of_scores(
        self,
        measure: nodes.Measure,
        scores: _Scores,
        bins: tuple[list[float], dict[float, int]] | None,
    ) -> Measured:
        match measure:
            case nodes.Count():
                return Measured(value=scores.values, n=scores.values)
            case nodes.OfNumbers("mean" | "sd" | "sum" as name):
                n = scores.numbers + scores.true + scores.false
                if scores.infinite:
                    return Measured(n=n)
                total = scores.total.fraction + scores.true
                squares = scores.squares.fraction + scores.true
                return _moment(name, n, total, squares, self._query.confidence)
            case nodes.Share(_, bool(value)):
                equal = scores.true if value else scores.false
                return aggregation_tallies.share_of(
                    equal, scores.true + scores.false, self._query.confidence
                )
            case nodes.Share(_, str(value)) if len(value) <= MAX_NAMED_CHARACTERS:
                equal = scores.named[value]
                return aggregation_tallies.share_of(equal, scores.texts, self._query.confidence)
            case nodes.Values(_, most) if not scores.numbers and not scores.unnamed:
                named, other = aggregation_tallies.frequent(_categories(scores), most)
                return Measured(n=scores.values, categories=named, other=other)
            case nodes.Histogram() if bins is not None and not scores.unnamed:
                return _spread(scores, *bins)
            case _:
                raise _Unknown

    def _edges(
        self, measure: nodes.Histogram, groups: Iterable[_Scores]
    ) -> tuple[list[float], dict[float, int]]:
        """The edges of the bins, and which one each bucket is in."""
        every = list(groups)
        if sum(each.numbers - each.infinite for each in every) == 0:
            return [], {}
        if self._query.where is not None:
            # The extremes of a part of the days are not kept.
            raise _Unknown
        assert isinstance(measure.place, FeedbackField)
        low, high = self._extremes(self._series[measure.place])
        whole = not any(each.fractions for each in every)
        edges = aggregation_bins.edges(low, high, whole=whole, most=measure.bins)
        buckets = {bucket for each in every for bucket in each.buckets}
        return edges, {each: _bin_of(each, edges, whole, low, high) for each in buckets}

    def _extremes(self, series: int) -> tuple[float, float]:
        """The smallest and the largest number, each from its end of the index by value."""
        found: list[float] = []
        for way in ("ASC", "DESC"):
            row = self._connection.execute(
                "SELECT x.num FROM scores x WHERE x.series = ? AND x.kind = ? AND x.num BETWEEN ? AND ?"
                " AND x.role IN (1, 4) AND EXISTS (SELECT 1 FROM calls c WHERE c.pk = x.call"
                f" AND c.started_at IS NOT NULL) ORDER BY x.num {way} LIMIT 1",
                (series, NUMBER, -_LARGEST, _LARGEST),
            ).fetchone()
            found.append(row[0])
        return found[0], found[1]


def _moment(
    name: nodes.Moment, n: int, total: Fraction, squares: Fraction, confidence: float
) -> Measured:
    if name == "sum":
        return Measured(value=_float(total) if n else None, n=n)
    sd = _root((n * squares - total * total) / (n * (n - 1))) if n > 1 else None
    if name == "sd":
        return Measured(value=sd, n=n)
    return aggregation_tallies.mean_of(_float(total / n) if n else None, sd, n, confidence)


def _float(number: Fraction) -> float | None:
    try:
        return float(number)
    except OverflowError:
        return None


def _root(number: Fraction) -> float | None:
    """The square root, also where the number itself is beyond the doubles."""
    if number <= 0:
        return 0.0
    shift = (number.numerator.bit_length() - number.denominator.bit_length()) // 2
    scaled = number / Fraction(4) ** shift
    try:
        return math.ldexp(math.sqrt(scaled), shift)
    except OverflowError:
        return None


def _statuses(calls: _Calls) -> Iterator[tuple[str, int]]:
    yield "error", calls.errors
    yield "running", calls.running
    yield "success", calls.calls - calls.errors - calls.running


def _categories(scores: _Scores) -> Counter[Value]:
    values: Counter[Value] = Counter({(TEXT, text): n for text, n in scores.named.items()})
    values += Counter({(BOOL, True): scores.true, (BOOL, False): scores.false})
    return values


def _spread(scores: _Scores, edges: list[float], bins: dict[float, int]) -> Measured:
    counts = [0] * max(len(edges) - 1, 0)
    for bucket, n in scores.buckets.items():
        counts[bins[bucket]] += n
    named, other = aggregation_tallies.frequent(_categories(scores), nodes.SHOWN_CATEGORIES)
    return Measured(
        n=scores.values,
        edges=edges,
        counts=counts,
        categories=named,
        other=other + scores.infinite,
    )


def _bin_of(bucket: float, edges: list[float], whole: bool, low: float, high: float) -> int:
    """The bin that all numbers are in which may be in a bucket; the sums cannot tell where these are several."""
    first = max(bucket, low)
    end = math.nextafter(aggregating_sums.bucket_end(bucket), -math.inf)
    last = max(first, min(end, high))
    if whole:
        first, last = math.ceil(first), max(math.ceil(first), math.floor(last))
    found = aggregation_bins.place(first, edges)
    if found != aggregation_bins.place(last, edges):
        raise _Unknown
    return found


def _conjuncts(where: Node | None) -> list[Any]:
    if where is None:
        return []
    if isinstance(where, And):
        return [each for node in where.nodes for each in _conjuncts(node)]
    return [where]


def _whole_hour(moment: int) -> int:
    hour, rest = divmod(moment, _HOUR_US)
    if rest:
        raise _Unknown
    return hour
