"""The geometry of charts: what is drawn where, and what is said beside it."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kibitz.server.pages import charts
from kibitz.server.pages.charts import Column, Point, Scale

DAY = timedelta(days=1)
START = datetime(2026, 3, 1, tzinfo=UTC)
finite = st.floats(allow_nan=False, allow_infinity=False)


def column(low: float, high: float, count: int) -> Column:
    return Column(low=low, high=high, count=count, label=f"{count}", url=f"/at/{low:g}")


def point(day: float, value: float, margin: float | None = None, count: int = 1) -> Point:
    return Point(
        at=START + day * DAY,
        value=value,
        low=None if margin is None else value - margin,
        high=None if margin is None else value + margin,
        count=count,
        label=f"day {day}",
    )


def outline(path: str) -> list[list[tuple[float, float]]]:
    """The strokes of path data, as lists of places."""
    strokes: list[list[tuple[float, float]]] = []
    for command, x, y in re.findall(r"([ML])(\S+) (\S+)", path):
        if command == "M":
            strokes.append([])
        strokes[-1].append((float(x), float(y)))
    return strokes


# Scales and ticks


@given(finite, finite, finite)
def test_scale_stays_within_the_chart_whatever_the_numbers(
    low: float, high: float, value: float
) -> None:
    assert 0 <= Scale(low, high).at(value) <= 100


def test_scale_puts_the_ends_at_the_ends_and_turns_downwards() -> None:
    scale = Scale(2, 4)

    assert [scale.at(2), scale.at(3), scale.at(4)] == [0, 50, 100]
    assert [scale.down(2), scale.down(4)] == [100, 0]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, (0, 0.2, 0.4, 0.6, 0.8, 1)),
        (0, 0.3, (0, 0.1, 0.2, 0.3)),
        (1, 5, (1, 2, 3, 4, 5)),
        (-3, 12, (0, 5, 10)),
        (7, 7, (7,)),
        (5, 1, ()),
        (math.nan, 1, ()),
        (0, math.inf, ()),
    ],
)
def test_round_numbers_are_said(low: float, high: float, expected: tuple[float, ...]) -> None:
    assert charts.round_numbers(low, high) == expected


@given(finite, finite)
def test_round_numbers_are_few_and_within_the_range(first: float, second: float) -> None:
    low, high = sorted((first, second))
    found = charts.round_numbers(low, high)
    room = high / 2 - low / 2

    assert len(found) <= 21
    assert all(low - room * 1e-6 <= each <= high + room * 1e-6 for each in found)
    assert list(found) == sorted(found)


@given(finite, finite)
def test_widened_scale_holds_its_values(first: float, second: float) -> None:
    low, high = sorted((first, second))
    scale = charts.widened(low, high)

    assert scale.low < scale.high
    if high - low > abs(high) * 1e-9 and math.isfinite(high - low):
        slack = (high - low) * 1e-6
        assert scale.low - slack <= low
        assert high <= scale.high + slack


# Bars


def test_histogram_bars_are_as_high_as_their_counts_and_lead_to_their_calls() -> None:
    bars = charts.histogram(
        [column(0, 0.5, 10), column(0.5, 0.75, 5), column(0.75, 1, 0)], words=[(0, "0"), (1, "1")]
    )

    assert [each.height for each in bars.marks] == [100, 50, 0]
    assert [each.y + each.height for each in bars.marks] == [100, 100, 100]
    assert bars.marks[0].width == pytest.approx(2 * bars.marks[1].width, rel=1e-3)
    assert [each.url for each in bars.marks] == ["/at/0", "/at/0.5", "/at/0.75"]
    assert [(each.at, each.anchor) for each in bars.ticks] == [(0, "start"), (100, "end")]
    assert bars.top == "10"


def test_one_among_many_can_still_be_seen() -> None:
    bars = charts.histogram([column(0, 1, 1), column(1, 2, 1_000_000)], words=[])

    assert bars.marks[0].height == charts.LEAST_BAR
    assert charts.part_of(1, 1_000_000) == charts.LEAST_BAR
    assert charts.part_of(0, 1_000_000) == 0


def test_histogram_of_one_number_fills_the_chart() -> None:
    (mark,) = charts.histogram([column(3, 3, 7)], words=[(3, "3")]).marks

    assert mark.width > 80
    assert mark.height == 100


def test_values_have_bars_of_the_same_width_with_their_names() -> None:
    bars = charts.steps([column(n, n, n) for n in range(1, 6)])

    assert [each.label for each in bars.ticks] == ["1", "2", "3", "4", "5"]
    assert len({each.width for each in bars.marks}) == 1
    assert [each.at for each in bars.ticks] == [10, 30, 50, 70, 90]


def test_nothing_is_drawn_of_nothing() -> None:
    assert charts.histogram([], words=[]).marks == ()
    assert charts.steps([]).marks == ()
    assert charts.series([], width=DAY).points == ()


# Lines


def test_line_is_broken_where_a_day_is_missing() -> None:
    drawn = charts.series([point(0, 1), point(1, 2), point(3, 1), point(4, 2)], width=DAY)

    first, second = outline(drawn.line)
    assert [len(first), len(second)] == [2, 2]
    assert [each.x for each in drawn.points] == [10, 30, 70, 90]
    assert first[0][1] > first[1][1], "the greater value is higher up"


def test_band_is_around_the_line_and_only_where_it_is_known() -> None:
    drawn = charts.series(
        [point(0, 0.5, 0.2), point(1, 0.6, 0.1), point(2, 0.5), point(3, 0.7, 0.1)],
        width=DAY,
        scale=Scale(0, 1),
    )

    (band,) = outline(drawn.band)
    assert band == [(12.5, 30), (37.5, 30), (37.5, 50), (12.5, 70)]
    assert len(outline(drawn.line)[0]) == 4


def test_volume_says_how_many_each_point_is_made_of() -> None:
    drawn = charts.series([point(0, 1, count=4), point(1, 1, count=2)], width=DAY)

    assert [each.height for each in drawn.volume] == [100, 50]


@pytest.mark.parametrize("days", [1, 2, 7, 31, 365])
def test_days_below_are_few_and_begin_with_the_first(days: int) -> None:
    drawn = charts.series([point(n, 1) for n in range(days)], width=DAY)

    labels = [each.label for each in drawn.ticks]
    assert labels[0] == "1 Mar"
    assert 1 <= len(labels) <= charts.MAX_TIME_TICKS
    assert len(set(labels)) == len(labels)


def test_hours_below_say_the_hour() -> None:
    hours = [point(n / 24, 1) for n in range(3)]
    drawn = charts.series(hours, width=timedelta(hours=1))

    assert [each.label for each in drawn.ticks] == ["1 Mar 00:00", "1 Mar 01:00", "1 Mar 02:00"]


@given(st.lists(st.tuples(st.integers(0, 400), finite, st.none() | finite), max_size=30))
def test_no_series_leaves_the_chart(given_: list[tuple[int, float, float | None]]) -> None:
    points = [
        point(day, value, margin) for day, value, margin in sorted(given_, key=lambda p: p[0])
    ]
    drawn = charts.series(points, width=DAY)

    places = [each for stroke in outline(drawn.line) + outline(drawn.band) for each in stroke]
    assert all(0 <= x <= 100 and 0 <= y <= 100 for x, y in places)


# Words


@pytest.mark.parametrize(
    ("value", "low", "high", "expected"),
    [
        (0.7234, 0.6512, 0.7934, "0.723 [0.651, 0.793]"),
        (3.2, 1.1, 5.3, "3.2 [1.1, 5.3]"),
        (1234.5, 1200, 1269, "1,234 [1,200, 1,269]"),
        (0.5, None, None, "0.5"),
        (4, 4, 4, "4 [4, 4]"),
    ],
)
def test_mean_is_said_as_exactly_as_it_is_known(
    value: float, low: float | None, high: float | None, expected: str
) -> None:
    assert charts.with_interval(value, low, high) == expected


def test_share_is_said_in_percent() -> None:
    assert charts.share_with_interval(0.723, 0.651, 0.793) == "72 % [65, 79]"
    assert charts.share_with_interval(0.723, 0.72, 0.726) == "72.3 % [72.0, 72.6]"
    assert charts.share_with_interval(1, None, None) == "100 %"


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, "0"), (-0.0, "0"), (0.25, "0.25"), (1500, "1,500"), (2.5e9, "2.5e9"), (1e-7, "1e-7")],
)
def test_numbers_at_an_axis_are_short(value: float, expected: str) -> None:
    assert charts.plain_number(value) == expected
