"""What an aggregation means, over plain records. This is the specification; a store must agree with it.

    rows             over calls the calls for which `where` holds. Over feedback the judgements that stand (or every
                     one), on such calls; without `where` on anything.
    value            a bool, number or text. What is missing, null, an object or a list has none, and neither has a
                     payload's place past a list. Text counts by its first `reference.SORTED_CHARACTERS`. A feedback
                     field of a call has the value that the call is sorted by: `latest`, `mean` … of all who judged.
    key              the value of a row; None where it has none. Times are cut down to the beginning of their hour,
                     day, week (from Monday) or month in a zone.
    n                each measure says how many values it comes from: missing ones are left out, never zero.
    count            the rows, or those that have a value.
    mean, sd, sum,   of the numbers, booleans as 0 and 1. sd is that of a sample (n - 1). A figure of nothing, an sd of
    min, max         one number, and what is no finite double are None.
    quantile         of the sorted numbers x[0..n-1] at (n - 1)·q, between two of them in proportion.
    share            which part of the values of the kind of a value equals it.
    histogram        numbers by bins that all groups share (`aggregation_bins`), booleans and texts as categories.
    values           the most frequent values, most frequent first, ties by value.
    order            by the keys, bool < number < text, None last; or by the figure of a measure, None last, ties by
                     the keys.

Sums and figures from them are exact to the last bit but a few, whatever the order of their numbers; a store may
differ by one part in 10⁹. Slow and obvious on purpose.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any, assert_never
from zoneinfo import ZoneInfo

from kibitz.base import clock
from kibitz.base.records import Aggregation, Category, Feedback, Group, Measured
from kibitz.query import aggregation as nodes
from kibitz.query import aggregation_bins, aggregation_intervals, aggregation_text, reference
from kibitz.query.nodes import FeedbackField
from kibitz.query.pieces import double
from kibitz.query.reference import Recorded

Value = reference.Value
_BOOL, _NUMBER, _TEXT, _NOTHING = range(4)


@dataclass(frozen=True, slots=True)
class _Row:
    """What is grouped: a call, or a judgement."""

    call: Recorded | None
    feedback: Feedback | None = None


def run(
    query: nodes.AggregateQuery, records: Iterable[Recorded], others: Iterable[Feedback] = ()
) -> Aggregation:
    """The groups of a query; `others` is feedback on what is no call."""
    rows = list(_rows(query, list(records), list(others)))
    grouped: dict[tuple[Value | None, ...], list[_Row]] = {}
    if not query.group_by:
        grouped[()] = []
    for row in rows:
        grouped.setdefault(tuple(_key(key, row) for key in query.group_by), []).append(row)
    measures = [_prepared(measure, rows, query.confidence) for measure in query.measures]
    found = [
        (keys, [measure(members) for measure in measures])
        for keys, members in sorted(grouped.items(), key=lambda entry: _keys_rank(entry[0]))
    ]
    if query.order is not None:
        found.sort(key=_figure_rank(query.order))
    return Aggregation(
        group_by=[aggregation_text.format_key(key) for key in query.group_by],
        measures=[aggregation_text.format_measure(measure) for measure in query.measures],
        groups=[
            Group(keys=[None if key is None else key[1] for key in keys], measures=measured)
            for keys, measured in found[: query.limit]
        ],
        truncated=len(found) > query.limit,
    )


def _rows(
    query: nodes.AggregateQuery, records: list[Recorded], others: list[Feedback]
) -> Iterable[_Row]:
    for record in records:
        if query.where is not None and not reference.matches(query.where, record):
            continue
        if query.over == "calls":
            yield _Row(record)
            continue
        standing = reference.standing(FeedbackField("*"), record)
        every = [each for each, _ in record.feedback if each.retracts is None]
        for each in every if query.every else standing:
            if _is_asked_for(query, each):
                yield _Row(record, each)
    if query.over == "feedback" and query.where is None:
        for each in others:
            is_there = each.retracts is None if query.every else each.stands
            if is_there and _is_asked_for(query, each):
                yield _Row(None, each)


def _is_asked_for(query: nodes.AggregateQuery, feedback: Feedback) -> bool:
    said = clock.to_us(feedback.created_at)
    return (
        query.type in (None, feedback.type)
        and query.author in (None, feedback.author)
        and (query.since is None or query.since <= said)
        and (query.until is None or said < query.until)
    )


def _value(place: nodes.Place, row: _Row) -> Value | None:
    match place:
        case nodes.RowField(name):
            assert row.feedback is not None
            if name == "created_at":
                return _NUMBER, float(clock.to_us(row.feedback.created_at))
            text = {
                "type": row.feedback.type,
                "author": row.feedback.author,
                "author_kind": row.feedback.author_kind,
                "version": row.feedback.runnable_ref or row.feedback.annotation_ref,
                "target": row.feedback.target_ref,
            }[name]
            return None if text is None else (_TEXT, text[: reference.SORTED_CHARACTERS])
        case nodes.PayloadField(path):
            assert row.feedback is not None
            alone = Recorded(call=None, arrival=0, feedback=((row.feedback, 0),))  # type: ignore[arg-type]
            return reference.sort_key(FeedbackField(row.feedback.type, path), alone)
        case _:
            assert row.call is not None
            return reference.sort_key(place, row.call)


def _key(key: nodes.Key, row: _Row) -> Value | None:
    if isinstance(key, nodes.PlaceKey):
        return _value(key.place, row)
    found = _value(key.place, row)
    return None if found is None else (_TEXT, _beginning(key, clock.from_us(int(found[1]))))


def _beginning(key: nodes.TimeKey, moment: datetime) -> str:
    """The stretch of time that a moment is in, by its beginning."""
    local = _local(moment, UTC if key.zone == nodes.UTC else ZoneInfo(key.zone))
    match key.unit:
        case "hour":
            return local.replace(minute=0, second=0, microsecond=0).isoformat(timespec="seconds")
        case "day":
            return local.date().isoformat()
        case "week":
            return (local.date() - timedelta(days=local.weekday())).isoformat()
        case "month":
            return local.date().isoformat()[:7]
        case _:
            assert_never(key.unit)


def _local(moment: datetime, zone: tzinfo) -> datetime:
    """A moment by the clocks of a zone. Where these are beyond the years 1 to 9999 they stand still."""
    try:
        return moment.astimezone(zone)
    except OverflowError:
        is_first = moment.year == 1
        inside = moment + timedelta(days=1 if is_first else -1)
        offset = inside.astimezone(zone).utcoffset() or timedelta()
        clocks = timezone(offset)
        return (
            datetime.min.replace(tzinfo=clocks) if is_first else datetime.max.replace(tzinfo=clocks)
        )


def _prepared(
    measure: nodes.Measure, rows: list[_Row], confidence: float
) -> Callable[[list[_Row]], Measured]:
    """A measure of the rows of a group; of a histogram the bins are those of all rows."""
    place = measure.place
    if place is None:
        return lambda members: Measured(value=len(members), n=len(members))
    edges: list[float] = []
    if isinstance(measure, nodes.Histogram):
        every = [value[1] for row in rows if (value := _value(place, row)) and value[0] == _NUMBER]
        finite = [float(each) for each in every if math.isfinite(float(each))]
        if finite:
            whole = all(each.is_integer() for each in finite)
            edges = aggregation_bins.edges(min(finite), max(finite), whole=whole, most=measure.bins)

    def measured(members: list[_Row]) -> Measured:
        found = [value for row in members if (value := _value(place, row)) is not None]
        return _measured(measure, found, edges, confidence)

    return measured


def _measured(
    measure: nodes.Measure, values: list[Value], edges: list[float], confidence: float
) -> Measured:
    numbers = [float(value) for kind, value in values if kind != _TEXT]
    # With an infinite number there is no sum.
    summed = numbers if all(map(math.isfinite, numbers)) else []
    match measure:
        case nodes.Count():
            return Measured(value=len(values), n=len(values))
        case nodes.OfNumbers("mean"):
            mean, sd = _figure(statistics.mean, summed), _figure(statistics.stdev, summed, 2)
            interval = None
            if mean is not None and sd is not None:
                interval = aggregation_intervals.of_mean(mean, sd, len(numbers), confidence)
            low, high = map(_finite, interval or (None, None))
            return Measured(value=mean, n=len(numbers), low=low, high=high)
        case nodes.OfNumbers(name):
            value = {
                "sd": lambda: _figure(statistics.stdev, summed, 2),
                "sum": lambda: _figure(math.fsum, summed),
                "min": lambda: _figure(min, numbers),
                "max": lambda: _figure(max, numbers),
            }[name]()
            return Measured(value=value, n=len(numbers))
        case nodes.Quantile(_, q):
            value = _figure(lambda each: _quantile(sorted(each), q), numbers)
            return Measured(value=value, n=len(numbers))
        case nodes.Share(_, value):
            return _share(values, _ranked(value), confidence)
        case nodes.Histogram():
            return _spread(values, edges)
        case nodes.Values(_, most):
            named, other = _frequent(values, most)
            return Measured(n=len(values), categories=named, other=other)
        case nodes.Distinct():
            return Measured(value=len(set(values)), n=len(values))
        case _:
            assert_never(measure)


def _share(values: list[Value], wanted: Value, confidence: float) -> Measured:
    same = [each for each in values if each[0] == wanted[0]]
    equal = sum(each == wanted for each in same)
    low, high = aggregation_intervals.of_share(equal, len(same), confidence) or (None, None)
    return Measured(value=equal / len(same) if same else None, n=len(same), low=low, high=high)


def _spread(values: list[Value], edges: list[float]) -> Measured:
    counts = [0] * max(len(edges) - 1, 0)
    for kind, number in values:
        for index in range(len(counts)) if kind == _NUMBER else ():
            is_last = index == len(counts) - 1
            if edges[index] <= float(number) < edges[index + 1] or (
                is_last and number == edges[-1]
            ):
                counts[index] += 1
                break
    named, _ = _frequent([each for each in values if each[0] != _NUMBER], nodes.SHOWN_CATEGORIES)
    other = len(values) - sum(counts) - sum(each.n for each in named)
    return Measured(n=len(values), edges=edges, counts=counts, categories=named, other=other)


def _frequent(values: list[Value], most: int) -> tuple[list[Category], int]:
    ranked = sorted(Counter(values).items(), key=lambda entry: (-entry[1], entry[0]))[:most]
    named = [Category(value=value, n=n) for (_, value), n in ranked]
    return named, len(values) - sum(each.n for each in named)


def _figure(
    figure: Callable[[list[float]], float], numbers: list[float], least: int = 1
) -> float | None:
    if len(numbers) < least:
        return None
    try:
        return _finite(figure(numbers))
    except OverflowError:
        return None


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None


def _quantile(ordered: list[float], q: float) -> float:
    position = (len(ordered) - 1) * q
    below = math.floor(position)
    part = position - below
    if part == 0:
        return ordered[below]
    return ordered[below] * (1 - part) + ordered[below + 1] * part


def _ranked(value: Any) -> Value:
    if isinstance(value, bool):
        return _BOOL, value
    if isinstance(value, str):
        return _TEXT, value[: reference.SORTED_CHARACTERS]
    return _NUMBER, double(value)


def _keys_rank(keys: tuple[Value | None, ...]) -> tuple[Any, ...]:
    return tuple((_NOTHING, 0) if key is None else key for key in keys)


def _figure_rank(
    order: nodes.Order,
) -> Callable[[tuple[tuple[Value | None, ...], list[Measured]]], tuple[bool, float]]:
    def rank(entry: tuple[tuple[Value | None, ...], list[Measured]]) -> tuple[bool, float]:
        figure = entry[1][order.measure].value
        if figure is None:
            return True, 0.0
        return False, -figure if order.descending else figure

    return rank
