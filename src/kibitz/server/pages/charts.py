"""Charts as geometry: scales, ticks, bars, lines and bands. Pure.

Everything across is in percent of the chart's width, so that a chart fits any width without a script while its
texts keep their size; everything down is in percent of its height. A line or band is path data in a box of
100 by 100, which is stretched.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

GAP = 0.12
"""Of a bar's room, left empty beside it."""
LEAST_BAR = 1.5
"""Percent of the height that something has to be seen by, where it is not zero."""
MAX_TIME_TICKS = 5
_GREAT = 1e300
"""Beyond this there is no room for air: the sums would be infinite."""
_SMALL = 1e-290
"""What differs by less is one number: it could not be parted."""

Anchor = Literal["start", "middle", "end"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A label at an axis."""

    at: float
    """Percent along the axis; of the axis at the side from the top."""
    label: str
    anchor: Anchor = "middle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One bar or point: where it is, what it says, where it leads."""

    x: float
    y: float
    width: float = 0.0
    height: float = 0.0
    label: str
    """What the reader is told of it."""
    url: str = ""
    style: Literal["", "no", "rest"] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """Upright bars side by side."""

    marks: tuple[Mark, ...]
    ticks: tuple[Tick, ...]
    """Below the bars."""
    top: str
    """What the height of the chart stands for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A value over time, with how sure it is."""

    line: str
    """Path data."""
    band: str
    """Path data of the interval around it; empty where it is known nowhere."""
    points: tuple[Mark, ...]
    volume: tuple[Mark, ...]
    """How many each point is made of, as bars."""
    ticks: tuple[Tick, ...]
    levels: tuple[Tick, ...]
    """At the side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One value of a series."""

    at: datetime
    value: float
    low: float | None
    """The lower end of its interval; None where there is too little to say."""
    high: float | None
    count: int
    label: str
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One bar of a histogram, before it has a place."""

    low: float
    high: float
    count: int
    label: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Scale:
    """From the values between two ends to percent."""

    low: float
    high: float

    def at(self, value: float) -> float:
        """Percent from the low end, cut at both ends; the middle where the ends are the same."""
        # Halved first: the difference of two great numbers may be more than a float can say.
        room = self.high / 2 - self.low / 2
        if room <= 0 or not math.isfinite(room):
            return 50.0
        share = (value / 2 - self.low / 2) / room
        return round(min(max(share, 0.0), 1.0) * 100, 3)

    def down(self, value: float) -> float:
        """Percent from the top."""
        return round(100 - self.at(value), 3)


def step(low: float, high: float, about: int = 5) -> float:
    """The distance between round numbers, 1, 2 or 5 times a power of ten, that parts a range into about so many."""
    room = high - low
    if not room > 0 or not math.isfinite(room):
        return 1.0
    rough = room / max(about, 1)
    power = 10.0 ** math.floor(math.log10(rough)) if rough > 1e-300 else 1e-300
    for factor in (1.0, 2.0, 5.0):
        if rough <= factor * power * 1.0000001:
            return factor * power
    return 10 * power


def round_numbers(low: float, high: float, about: int = 5) -> tuple[float, ...]:
    """Round numbers within a range, both ends included where they are round."""
    if not (math.isfinite(low) and math.isfinite(high)) or high < low:
        return ()
    if high == low:
        return (low,)
    size = step(low, high, about)
    first = math.ceil(low / size - 1e-9)
    last = math.floor(high / size + 1e-9)
    if last - first > 4 * about:
        return (low, high)
    # From whole multiples: steps added up would drift, and 0.30000000000000004 would be said.
    digits = max(0, -math.floor(math.log10(size))) if size < 1 else 0
    return tuple(round(n * size, min(digits, 300)) + 0.0 for n in range(first, last + 1))


def widened(low: float, high: float) -> Scale:
    """A scale that has some air around the values, ends at round numbers, and has 0 where it is near."""
    if not (math.isfinite(low) and math.isfinite(high)) or high < low:
        return Scale(0.0, 1.0)
    if max(abs(low), abs(high)) > _GREAT:
        return Scale(low, high) if high > low else Scale(-abs(low), abs(low))
    if high - low <= max(abs(high) * 1e-9, _SMALL):
        around = max(abs(low) * 0.1, _SMALL) if abs(low) > _SMALL else 1.0
        low, high = low - around, high + around
    size = step(low, high, 4)
    bottom = math.floor(low / size + 1e-9) * size
    top = math.ceil(high / size - 1e-9) * size
    if 0 < low <= (high - low) * 0.3:
        bottom = 0.0
    return Scale(bottom, top) if top > bottom else Scale(bottom, bottom + 1)


def histogram(columns: Sequence[Column], *, words: Sequence[tuple[float, str]]) -> Bars:
    """Bars over a number line: each as wide as the range it counts, as high as its count.

    Args:
        words: numbers to say below, with how they are said.
    """
    if not columns:
        return Bars(marks=(), ticks=(), top="")
    scale = Scale(min(each.low for each in columns), max(each.high for each in columns))
    most = max(max(each.count for each in columns), 1)
    marks: list[Mark] = []
    for position, each in enumerate(columns):
        left, right = scale.at(each.low), scale.at(each.high)
        if right <= left:
            left, right = position * 100 / len(columns), (position + 1) * 100 / len(columns)
        marks.append(_bar(left, right - left, each.count, most, each.label, each.url))
    ticks = tuple(
        Tick(at=at, label=word, anchor=_anchor(at))
        for at, word in ((scale.at(number), word) for number, word in words)
    )
    return Bars(marks=tuple(marks), ticks=ticks, top=f"{most:,}")


def steps(columns: Sequence[Column]) -> Bars:
    """Bars of equal width, one for each value, named below."""
    most = max((each.count for each in columns), default=0) or 1
    room = 100 / max(len(columns), 1)
    every = math.ceil(len(columns) / 12) or 1
    return Bars(
        marks=tuple(
            _bar(n * room, room, each.count, most, each.label, each.url)
            for n, each in enumerate(columns)
        ),
        ticks=tuple(
            Tick(at=round((n + 0.5) * room, 3), label=plain_number(each.low))
            for n, each in enumerate(columns)
            if n % every == 0
        ),
        top=f"{most:,}" if columns else "",
    )


def _bar(left: float, room: float, count: int, most: int, label: str, url: str) -> Mark:
    height = count * 100 / most
    if count:
        height = max(height, LEAST_BAR)
    return Mark(
        x=round(left + room * GAP / 2, 3),
        y=round(100 - height, 3),
        width=round(room * (1 - GAP), 3),
        height=round(height, 3),
        label=label,
        url=url,
    )


def series(
    points: Sequence[Point],
    *,
    width: timedelta,
    scale: Scale | None = None,
    words: Sequence[tuple[float, str]] | None = None,
) -> Line:
    """Values over time as a line with its band; it is broken where a day or hour has nothing to say.

    Args:
        width: how long one point lasts.
        scale: of the values; around them where it is left out.
        words: numbers to say at the side.
    """
    if not points:
        return Line(line="", band="", points=(), volume=(), ticks=(), levels=())
    if scale is None:
        lows = [each.value if each.low is None else each.low for each in points]
        highs = [each.value if each.high is None else each.high for each in points]
        scale = widened(min(lows), max(highs))
    start, end = points[0].at, points[-1].at + width
    across = Scale(0.0, max((end - start) / width, 1.0))
    places = [across.at((each.at - start) / width + 0.5) for each in points]
    most = max(each.count for each in points) or 1
    room = 100 / across.high
    line: list[str] = []
    bands: list[str] = []
    for run in _runs(points, width):
        line += [
            f"{'M' if n == run[0] else 'L'}{places[n]:g} {scale.down(points[n].value):g}"
            for n in run
        ]
        bands += _bands(run, points, places, scale)
    if words is None:
        words = [(n, plain_number(n)) for n in round_numbers(scale.low, scale.high, 3)]
    return Line(
        line=" ".join(line),
        band=" ".join(bands),
        points=tuple(
            Mark(x=place, y=scale.down(each.value), label=each.label, url=each.url)
            for each, place in zip(points, places, strict=True)
        ),
        volume=tuple(
            _bar(place - room / 2, room, each.count, most, each.label, "")
            for each, place in zip(points, places, strict=True)
        ),
        ticks=time_ticks(start, end, width, across),
        levels=tuple(Tick(at=scale.down(number), label=word) for number, word in words),
    )


def _runs(points: Sequence[Point], width: timedelta) -> list[list[int]]:
    """Positions of points that follow each other without a gap."""
    runs: list[list[int]] = []
    for n, each in enumerate(points):
        if runs and each.at - points[n - 1].at <= width * 1.5:
            runs[-1].append(n)
        else:
            runs.append([n])
    return runs


def _bands(
    run: Sequence[int], points: Sequence[Point], places: Sequence[float], scale: Scale
) -> list[str]:
    """Closed outlines over those points of a run that have an interval and a neighbour that has one."""
    outlines: list[str] = []
    part: list[tuple[float, float, float]] = []
    for n in (*run, None):
        point = None if n is None else points[n]
        if n is not None and point is not None and point.low is not None and point.high is not None:
            part.append((places[n], scale.down(point.low), scale.down(point.high)))
            continue
        if len(part) > 1:
            upper = [f"{x:g} {high:g}" for x, _, high in part]
            lower = [f"{x:g} {low:g}" for x, low, _ in reversed(part)]
            outlines.append("M" + " L".join((*upper, *lower)) + " Z")
        part = []
    return outlines


def time_ticks(start: datetime, end: datetime, width: timedelta, across: Scale) -> tuple[Tick, ...]:
    """Days or hours to say below, in the middle of the point that they name."""
    slots = max(round((end - start) / width), 1)
    every = math.ceil(slots / MAX_TIME_TICKS)
    hourly = width < timedelta(days=1)
    found: list[Tick] = []
    for slot in range(0, slots, every):
        moment = start + slot * width
        at = across.at(slot + 0.5)
        word = f"{moment.day} {moment:%b}" + (f" {moment:%H:%M}" if hourly else "")
        found.append(Tick(at=at, label=word, anchor=_anchor(at)))
    return tuple(found)


def _anchor(at: float) -> Anchor:
    """How a label stands so that it stays within the chart."""
    return "start" if at < 6 else "end" if at > 94 else "middle"


def part_of(count: int, whole: int) -> float:
    """A share in percent, for a bar; a part that is there can always be seen."""
    if whole <= 0 or count <= 0:
        return 0.0
    return round(max(count * 100 / whole, LEAST_BAR), 2)


def plain_number(value: float) -> str:
    """A number at an axis: `0.25`, `1,500`, `2.5e9`."""
    if not math.isfinite(value):
        return "?"
    if value and not 1e-4 <= abs(value) < 1e7:
        return f"{value:.3g}".replace("e+0", "e").replace("e-0", "e-").replace("e+", "e")
    text = f"{value:,.4f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def with_interval(value: float, low: float | None, high: float | None) -> str:
    """A mean as exactly as it is known: `0.72 [0.65, 0.79]`; the interval has two digits that count."""
    if low is None or high is None:
        return plain_number(float(f"{value:.4g}"))
    digits = _digits((high - low) / 2, value)
    said = [f"{each:,.{digits}f}" for each in (value, low, high)]
    return f"{said[0]} [{said[1]}, {said[2]}]"


def share_with_interval(value: float, low: float | None, high: float | None) -> str:
    """A share in percent: `72 % [65, 79]`."""
    if low is None or high is None:
        return f"{value * 100:.0f} %"
    digits = 1 if (high - low) * 50 < 2 and high > low else 0
    return f"{value * 100:.{digits}f} % [{low * 100:.{digits}f}, {high * 100:.{digits}f}]"


def _digits(half: float, value: float) -> int:
    """Digits behind the point so that two digits of the half width show."""
    if not math.isfinite(value) or not math.isfinite(half):
        return 0
    if half <= 0:
        return 0 if value == int(value) else 2
    return min(max(1 - math.floor(math.log10(half)), 0), 6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Whisker:
    """One line of a comparison: a value with its interval."""

    name: str
    url: str
    """The calls that it is about."""
    at: float
    low: float
    """The lower end of the interval; the value itself where none is known."""
    high: float
    said: str
    """The value in words."""
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Values side by side on one scale."""

    rows: tuple[Whisker, ...]
    ticks: tuple[Tick, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One value to compare, before it has a place."""

    name: str
    value: float
    low: float | None
    high: float | None
    count: int
    said: str
    url: str = ""


def compared(
    standings: Sequence[Standing],
    *,
    scale: Scale | None = None,
    words: Sequence[tuple[float, str]] | None = None,
) -> Compared:
    """Values on one scale below each other, in the order given."""
    if not standings:
        return Compared(rows=(), ticks=())
    if scale is None:
        scale = widened(
            min(each.value if each.low is None else each.low for each in standings),
            max(each.value if each.high is None else each.high for each in standings),
        )
    if words is None:
        words = [(n, plain_number(n)) for n in round_numbers(scale.low, scale.high, 4)]
    return Compared(
        rows=tuple(
            Whisker(
                name=each.name,
                url=each.url,
                at=scale.at(each.value),
                low=scale.at(each.value if each.low is None else each.low),
                high=scale.at(each.value if each.high is None else each.high),
                said=each.said,
                count=each.count,
            )
            for each in standings
        ),
        ticks=tuple(
            Tick(at=at, label=word, anchor=_anchor(at))
            for at, word in ((scale.at(number), word) for number, word in words)
        ),
    )
