"""What is shown of one leaf of feedback: which aggregations to ask for, and their answers as charts and words. Pure.

A leaf is a number, a truth or a text. Of numbers the mean is compared over time and between judges, of truths the
share that is true, of texts how often each is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from msgspec import structs

from kibitz.base import clock, reactions, refs
from kibitz.base.errors import RefError
from kibitz.base.records import Aggregation, Category, Group, Measured
from kibitz.query.aggregation import (
    AggregateQuery,
    Count,
    Distinct,
    Histogram,
    Key,
    Measure,
    OfNumbers,
    Order,
    PayloadField,
    Place,
    PlaceKey,
    Quantile,
    RowField,
    Share,
    TimeKey,
    Values,
)
from kibitz.query.nodes import And, ColumnField, Compare, Exists, FeedbackField, Node
from kibitz.server.pages import charts, feedback_links, formats
from kibitz.server.pages.charts import Bars, Column, Compared, Line, Point, Scale, Standing
from kibitz.server.pages.feedback_links import Leaf

By = Literal["day", "hour", "author", "op", "version"]
BINS = 20
MOST = 8
"""Texts that are named; the rest is counted together."""
MAX_POINTS = 90
"""Of a trend: the newest."""
MAX_STEPS = 12
"""Whole numbers that are so few have a bar each."""
SHARE_SCALE = Scale(0.0, 1.0)
SHARE_WORDS = ((0.0, "0 %"), (0.5, "50 %"), (1.0, "100 %"))
MAX_NAME = 60

WIDTHS: dict[str, timedelta] = {"day": timedelta(days=1), "hour": timedelta(hours=1)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The numbers of a chart."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One value among others: a horizontal bar."""

    name: str
    url: str
    width: float
    """Of its bar, in percent."""
    said: str
    """Its share in words."""
    count: int
    style: Literal["", "no", "rest"] = ""
    is_emoji: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """How the values of a leaf are spread."""

    said: tuple[tuple[str, str], ...]
    """What is said in words: (name, figure)."""
    bars: Bars | None = None
    parts: tuple[Part, ...] = ()
    table: Table | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """How it went by day or hour."""

    title: str
    said: tuple[tuple[str, str], ...] = ()
    line: Line | None = None
    table: Table | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """Judges, ops or versions beside each other."""

    title: str
    said: tuple[tuple[str, str], ...] = ()
    chart: Compared | None = None
    parts: tuple[Part, ...] = ()


# Questions


def whole(leaf: Leaf) -> AggregateQuery:
    """Asks how the values of a leaf are spread."""
    place = PayloadField(leaf.path)
    measures: tuple[Measure, ...] = (
        Count(place),
        Distinct(RowField("author")),
        Distinct(RowField("version")),
    )
    match leaf.kind:
        case "number":
            quarters = tuple(Quantile(place, q) for q in (0.25, 0.5, 0.75))
            moments = tuple(OfNumbers(name, place) for name in ("mean", "sd", "min", "max"))
            measures += (Histogram(place, BINS), Values(place, MAX_STEPS), *moments, *quarters)
        case "bool":
            measures += (Share(place), Values(place, 2))
        case "text":
            measures += (Values(place, MOST), Distinct(place))
    return _query(leaf, (), measures)


def by(leaf: Leaf, grouped: By, limit: int) -> AggregateQuery:
    """Asks the same of each day, hour, judge, op or version; of judges, ops and versions those with the most."""
    place = PayloadField(leaf.path)
    key: Key
    order: Order | None = Order(0)
    match grouped:
        case "day" | "hour":
            key = TimeKey(grouped, place=RowField("created_at"))
            order = None
        case "op":
            return _by_op(leaf, limit)
        case _:
            key = PlaceKey(RowField(grouped))
    found = _query(leaf, (key,), (Count(place), _main(leaf, place)))
    return replace(found, limit=limit, order=order)


def _by_op(leaf: Leaf, limit: int) -> AggregateQuery:
    """Asks it of each op. Feedback does not know its call's op, so this counts calls, by what was said of each last."""
    several = leaf.several and leaf.kind == "number"
    place = FeedbackField(leaf.type, leaf.path, over="mean" if several else "latest")
    conditions: list[Node] = [Exists(place)]
    if leaf.since is not None:
        said_at = FeedbackField(
            leaf.type, over="any" if leaf.several else "latest", part="created_at"
        )
        conditions.append(Compare(said_at, "gte", clock.to_us(leaf.since)))
    return AggregateQuery(
        project=leaf.project,
        where=And(tuple(conditions)) if len(conditions) > 1 else conditions[0],
        group_by=(PlaceKey(ColumnField("op")),),
        measures=(Count(place), _main(leaf, place)),
        limit=limit,
        order=Order(0),
    )


def _main(leaf: Leaf, place: Place) -> Measure:
    match leaf.kind:
        case "number":
            return OfNumbers("mean", place)
        case "bool":
            return Share(place)
        case "text":
            return Values(place, 1)


def kept(leaf: Leaf) -> tuple[AggregateQuery, AggregateQuery]:
    """Asks for the spread and the days of a leaf of very many calls, from sums that a store keeps.

    They know of each call what was said of it last, by the day that it started.
    """
    place = FeedbackField(leaf.type, leaf.path)
    measures: tuple[Measure, ...] = (Count(place),)
    match leaf.kind:
        case "number":
            moments = (OfNumbers("mean", place), OfNumbers("sd", place))
            measures += (Histogram(place, BINS), *moments)
        case "bool":
            measures += (Share(place), Values(place, 2))
        case "text":
            measures += (Values(place, MOST),)
    return (
        AggregateQuery(project=leaf.project, measures=measures),
        AggregateQuery(
            project=leaf.project,
            group_by=(TimeKey("day"),),
            measures=(Count(place), _main(leaf, place)),
        ),
    )


def as_whole(leaf: Leaf, found: Aggregation) -> Aggregation:
    """The answer to the first of `kept` as one to `whole`; what sums do not know is nothing there."""
    nothing = Measured(n=0)
    (group,) = found.groups
    count, *rest = group.measures
    measures = [count, nothing, nothing, *rest]
    if leaf.kind == "number":
        spread, mean, sd = rest
        measures = [count, nothing, nothing, spread, nothing, mean, sd, *[nothing] * 5]
    elif leaf.kind == "text":
        measures.append(nothing)
    return structs.replace(found, groups=[structs.replace(group, measures=measures)])


def _query(leaf: Leaf, keys: tuple[Key, ...], measures: tuple[Measure, ...]) -> AggregateQuery:
    return AggregateQuery(
        project=leaf.project,
        over="feedback",
        type=leaf.type,
        since=None if leaf.since is None else clock.to_us(leaf.since),
        group_by=keys,
        measures=measures,
    )


# Answers


def distribution(leaf: Leaf, found: Aggregation) -> Distribution:
    """How the values are spread, from the answer to `whole`."""
    if not found.groups or not found.groups[0].measures[0].value:
        return Distribution(said=(("", "nothing said"),))
    measures = found.groups[0].measures
    match leaf.kind:
        case "number":
            return _numbers(leaf, measures)
        case "bool":
            return _truths(leaf, measures)
        case "text":
            return _texts(leaf, measures)


def _numbers(leaf: Leaf, measures: Sequence[Measured]) -> Distribution:
    _, _, _, spread, values, mean, sd, least, most, lower, median, upper = measures
    if mean.value is None:
        return Distribution(said=(("", "no numbers"),))
    said = [("mean", charts.with_interval(mean.value, mean.low, mean.high))]
    if sd.value is not None:
        said.append(("sd", charts.plain_number(_rounded(sd.value))))
    if lower.value is not None and median.value is not None and upper.value is not None:
        said.append(("median", charts.plain_number(_rounded(median.value))))
        middle = " to ".join(charts.plain_number(_rounded(x)) for x in (lower.value, upper.value))
        said.append(("middle half", middle))
    if least.value is not None and most.value is not None:
        ends = " to ".join(charts.plain_number(_rounded(x)) for x in (least.value, most.value))
        said.append(("range", ends))
    whole_numbers = _by_value(leaf, values)
    if whole_numbers is not None:
        bars = charts.steps(whole_numbers)
        columns: Sequence[Column] = whole_numbers
    else:
        columns = _columns(leaf, spread)
        ends = (spread.edges[0], spread.edges[-1]) if spread.edges else (0.0, 1.0)
        words = [(n, charts.plain_number(n)) for n in charts.round_numbers(*ends, 6)]
        bars = charts.histogram(columns, words=words)
    return Distribution(said=tuple(said), bars=bars, table=_table(leaf.label, columns))


def _table(name: str, columns: Sequence[Column]) -> Table:
    total = sum(each.count for each in columns) or 1
    return Table(
        heads=(name, "Judged", "Share"),
        rows=tuple(
            (each.label.partition(": ")[0], f"{each.count:,}", f"{each.count * 100 / total:.1f} %")
            for each in columns
        ),
    )


def _by_value(leaf: Leaf, values: Measured) -> list[Column] | None:
    """A bar for each whole number, where there are few and nothing else."""
    counts = {
        each.value: each.n
        for each in values.categories
        if isinstance(each.value, int | float) and not isinstance(each.value, bool)
    }
    if not counts or values.other or not all(float(each).is_integer() for each in counts):
        return None
    low, high = int(min(counts)), int(max(counts))
    if not 0 < high - low < MAX_STEPS:
        return None
    return [
        Column(
            low=n,
            high=n,
            count=counts.get(n, 0),
            label=f"{n}: {formats.count(counts.get(n, 0), 'judgement')}",
            url=feedback_links.equal(leaf, n),
        )
        for n in range(low, high + 1)
    ]


def _columns(leaf: Leaf, spread: Measured) -> list[Column]:
    last = len(spread.counts) - 1
    columns: list[Column] = []
    for at, count in enumerate(spread.counts):
        low, high = spread.edges[at], spread.edges[at + 1]
        words = f"{charts.plain_number(low)} to {charts.plain_number(high)}"
        columns.append(
            Column(
                low=low,
                high=high,
                count=count,
                label=f"{words}: {formats.count(count, 'judgement')}",
                url=feedback_links.between(leaf, low, high, closed=at == last),
            )
        )
    return columns


def _truths(leaf: Leaf, measures: Sequence[Measured]) -> Distribution:
    _, _, _, share, values = measures
    said = (
        ()
        if share.value is None
        else (("yes", charts.share_with_interval(share.value, share.low, share.high)),)
    )
    counts = {each.value: each.n for each in values.categories if isinstance(each.value, bool)}
    ordered = [Category(value=each, n=counts.get(each, 0)) for each in (True, False)]
    return Distribution(said=said, parts=_parts(leaf, ordered, 0))


def _texts(leaf: Leaf, measures: Sequence[Measured]) -> Distribution:
    _, _, _, values, different = measures
    several = formats.count(int(different.value or 0), "different text")
    if different.value is None:
        several = formats.count(int(measures[0].value or 0), "text")
    # Where hardly anything is said twice, as in notes, bars would all be one high.
    if values.other and (not values.categories or values.categories[0].n * 20 < values.n):
        return Distribution(said=(("", several),))
    said: tuple[tuple[str, str], ...] = ()
    if values.categories:
        said = (("most often", shortened(_name(values.categories[0].value), 24)),)
    return Distribution(
        said=(("", several), *said), parts=_parts(leaf, values.categories, values.other)
    )


def _parts(leaf: Leaf, categories: Sequence[Category], other: int) -> tuple[Part, ...]:
    total = sum(each.n for each in categories) + other
    most = max((each.n for each in categories), default=0)
    whole_ = total if leaf.kind == "bool" else max(most, other)
    parts = [
        Part(
            name=shortened(_name(each.value)),
            url=feedback_links.equal(leaf, each.value) if each.n else "",
            width=charts.part_of(each.n, whole_),
            said=_percent(each.n, total),
            count=each.n,
            style="no" if each.value is False else "",
            is_emoji=isinstance(each.value, str) and reactions.is_emoji(each.value),
        )
        for each in categories
    ]
    if other:
        parts.append(
            Part(
                name="others",
                url=feedback_links.judged(leaf),
                width=charts.part_of(other, whole_),
                said=_percent(other, total),
                count=other,
                style="rest",
            )
        )
    return tuple(parts)


def _percent(count: int, whole_: int) -> str:
    return f"{count * 100 / whole_:.0f} %" if whole_ else "–"


def _name(value: bool | float | str) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else charts.plain_number(value)


def shortened(text: str, limit: int = MAX_NAME) -> str:
    """A name that fits beside a bar."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def judged(found: Aggregation) -> tuple[tuple[str, str], ...]:
    """How much there is, from the answer to `whole`."""
    if not found.groups:
        return ()
    count, authors, versions = (int(each.value or 0) for each in found.groups[0].measures[:3])
    if not authors:
        return (("", formats.count(count, "call")), ("each as it was judged", "last"))
    said = [("", formats.count(count, "judgement")), ("by", formats.count(authors, "author"))]
    if versions > 1:
        said.append(("", formats.count(versions, "version")))
    return tuple(said)


def trend(leaf: Leaf, found: Aggregation, unit: Literal["day", "hour"]) -> Trend:
    """How it went over time, from the answer to `by` a day or an hour; the newest points."""
    points: list[Point] = []
    for group in found.groups:
        at = moment(group.keys[0])
        if at is None or not group.measures[0].value:
            continue
        points.append(_point(leaf, unit, at, group))
    points = sorted(points, key=lambda each: each.at)[-MAX_POINTS:]
    title = "By day of the call" if leaf.of_calls else f"By {unit}"
    if not points:
        return Trend(title=title, said=(("", "nothing said"),))
    if leaf.kind == "bool":
        line = charts.series(points, width=WIDTHS[unit], scale=SHARE_SCALE, words=SHARE_WORDS)
    elif leaf.kind == "text":
        most = max(each.count for each in points)
        scale = charts.widened(0, max(most, 1))
        line = charts.series(points, width=WIDTHS[unit], scale=Scale(0, scale.high))
    else:
        line = charts.series(points, width=WIDTHS[unit])
    last = points[-1]
    first = f"{points[0].at.day} {points[0].at:%b %Y}"
    name = f"last {unit}"
    newest = f"{last.count:,}" if leaf.kind == "text" else _measured(leaf, found_of(found, last.at))
    return Trend(
        title=title,
        said=((name, newest), ("since", first)),
        line=line,
        table=Table(
            heads=(unit.capitalize(), _measure_name(leaf), "Judged"),
            rows=tuple(
                (each.label.partition(": ")[0], _words_of(leaf, each), f"{each.count:,}")
                for each in reversed(points)
            ),
        ),
    )


def found_of(found: Aggregation, at: datetime) -> Group:
    """The group of a time."""
    return next(each for each in found.groups if moment(each.keys[0]) == at)


def _words_of(leaf: Leaf, point: Point) -> str:
    if leaf.kind == "bool":
        return charts.share_with_interval(point.value, point.low, point.high)
    if leaf.kind == "number":
        return charts.with_interval(point.value, point.low, point.high)
    return f"{point.count:,}"


def _point(leaf: Leaf, unit: str, at: datetime, group: Group) -> Point:
    count = int(group.measures[0].value or 0)
    main = group.measures[1]
    value = float(count) if leaf.kind == "text" or main.value is None else float(main.value)
    word = f"{at.day} {at:%b %Y}" + (f" {at:%H:%M}" if unit == "hour" else "")
    said = _measured(leaf, group)
    counted = formats.count(count, "judgement")
    return Point(
        at=at,
        value=value,
        low=None if leaf.kind == "text" else main.low,
        high=None if leaf.kind == "text" else main.high,
        count=count,
        label=f"{word}: {counted}" if leaf.kind == "text" else f"{word}: {said} of {counted}",
        url=feedback_links.within(leaf, at, at + WIDTHS[unit]),
    )


def moment(key: Any) -> datetime | None:
    """The time that names a group; None for what is none."""
    if not isinstance(key, str):
        return None
    try:
        at = datetime.fromisoformat(key)
    except ValueError:
        return None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def _measure_name(leaf: Leaf) -> str:
    return {"number": "Mean", "bool": "Yes", "text": "Said"}[leaf.kind]


def _measured(leaf: Leaf, group: Group) -> str:
    """The main figure of a group in words."""
    main = group.measures[1]
    if leaf.kind == "text":
        most = main.categories[0] if main.categories else None
        return f"mostly {shortened(_name(most.value), 24)}" if most and most.n > 1 else ""
    if main.value is None:
        return "–"
    if leaf.kind == "bool":
        return charts.share_with_interval(main.value, main.low, main.high)
    return charts.with_interval(main.value, main.low, main.high)


def groups(leaf: Leaf, found: Aggregation, grouped: By) -> Groups:
    """Judges, ops or versions beside each other, those with the most judgements first."""
    shown = [each for each in found.groups if each.measures[0].value]
    title = f"By {grouped}"
    said: tuple[tuple[str, str], ...] = ()
    if not shown:
        return Groups(title=title, said=(("", "nothing said"),))
    if found.truncated:
        said = (("", f"the {len(shown)} with the most"),)
    if leaf.kind == "text":
        whole_ = max(int(each.measures[0].value or 0) for each in shown)
        return Groups(
            title=title,
            said=said,
            parts=tuple(
                Part(
                    name=name(each.keys[0], grouped),
                    url=_group_url(leaf, each.keys[0], grouped),
                    width=charts.part_of(int(each.measures[0].value or 0), whole_),
                    said=_measured(leaf, each),
                    count=int(each.measures[0].value or 0),
                )
                for each in shown
            ),
        )
    standings = [
        Standing(
            name=name(each.keys[0], grouped),
            value=float(each.measures[1].value),
            low=each.measures[1].low,
            high=each.measures[1].high,
            count=int(each.measures[0].value or 0),
            said=_measured(leaf, each),
            url=_group_url(leaf, each.keys[0], grouped),
        )
        for each in shown
        if each.measures[1].value is not None
    ]
    if leaf.kind == "bool":
        chart = charts.compared(standings, scale=SHARE_SCALE, words=SHARE_WORDS)
    else:
        chart = charts.compared(standings)
    return Groups(title=title, said=said, chart=chart)


def name(key: Any, grouped: By) -> str:
    """A judge, op or version in words."""
    if key is None or key == "":
        return {"author": "nobody named", "op": "not about a call", "version": "no version"}.get(
            grouped, "none"
        )
    if grouped == "version":
        try:
            ref = refs.parse_ref(str(key))
        except RefError:
            return shortened(str(key))
        return ref.digest[:7] if ref.digest else shortened(ref.name)
    return shortened(str(key))


def _group_url(leaf: Leaf, key: Any, grouped: By) -> str:
    match grouped:
        case "author":
            return feedback_links.by_author(leaf, "" if key is None else str(key))
        case "op":
            return feedback_links.of_op(leaf, key if isinstance(key, str) else "")
        case "version":
            return feedback_links.of_version(leaf, key if isinstance(key, str) else "")
        case _:
            return feedback_links.judged(leaf)


def _rounded(value: float) -> float:
    """Four digits that count."""
    return float(f"{value:.4g}")
