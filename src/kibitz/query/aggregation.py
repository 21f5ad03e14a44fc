"""What can be asked of many calls or judgements at once: the nodes of an aggregation.

What they mean is `aggregation_reference.py`, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kibitz.base.errors import QueryError
from kibitz.query.nodes import ColumnField, Field, Node

Over = Literal["calls", "feedback"]

FeedbackColumn = Literal["type", "author", "author_kind", "version", "target", "created_at"]
"""What a row of feedback has beside its payload. `version` is the reference of the scorer or specification that
made it; `created_at` is microseconds since 1970."""


@dataclass(frozen=True, slots=True)
class RowField:
    """A column of a row of feedback."""

    name: FeedbackColumn


@dataclass(frozen=True, slots=True)
class PayloadField:
    """A place in the payload of a row of feedback. What is in a list has no one value and is missing."""

    path: tuple[str, ...] = ()


CallPlace = Field
FeedbackPlace = RowField | PayloadField
Place = CallPlace | FeedbackPlace
"""Where a value comes from: of a call, or of a row of feedback where the aggregation is over feedback."""

Unit = Literal["hour", "day", "week", "month"]
UTC = "UTC"


@dataclass(frozen=True, slots=True)
class PlaceKey:
    """Groups by the value at a place. What is missing, null, an object or a list is the group null."""

    place: Place


@dataclass(frozen=True, slots=True)
class TimeKey:
    """Groups by a stretch of time, in UTC or an IANA zone.

    A group is named by its beginning: `2026-11-22T19:00:00+00:00`, a day by `2026-11-22`, a week by its Monday, a
    month by `2026-11`.
    """

    unit: Unit
    zone: str = UTC
    place: ColumnField | RowField = ColumnField("started_at")
    """`started_at` or `ended_at` of a call, `created_at` of feedback."""


Key = PlaceKey | TimeKey


@dataclass(frozen=True, slots=True)
class Count:
    """How many rows there are; with a place how many of them have a value there."""

    place: Place | None = None


Moment = Literal["mean", "sd", "sum", "min", "max"]


@dataclass(frozen=True, slots=True)
class OfNumbers:
    """A figure of the numbers at a place, booleans as 0 and 1."""

    name: Moment
    place: Place


@dataclass(frozen=True, slots=True)
class Quantile:
    """The number that so large a part of the numbers are not above, between the two nearest where none is."""

    place: Place
    q: float
    """From 0 to 1."""


@dataclass(frozen=True, slots=True)
class Share:
    """Which part of the values of a kind equals one of them: of the booleans which part is true, of the texts …"""

    place: Place
    value: bool | int | float | str = True


@dataclass(frozen=True, slots=True)
class Histogram:
    """How the numbers are spread over bins of one width, the same for all groups; booleans and texts by value."""

    place: Place
    bins: int = 20
    """At most so many."""


@dataclass(frozen=True, slots=True)
class Values:
    """The most frequent values with how often each is there."""

    place: Place
    most: int = 10


@dataclass(frozen=True, slots=True)
class Distinct:
    """How many different values there are."""

    place: Place


Measure = Count | OfNumbers | Quantile | Share | Histogram | Values | Distinct

MAX_KEYS = 4
MAX_MEASURES = 16
MAX_BINS = 100
MAX_VALUES = 100
DEFAULT_LIMIT = 1000
MAX_LIMIT = 10_000
MAX_GROUPS = 100_000
"""An aggregation that makes more is refused, whatever its limit."""
MAX_PARTS = 1_000_000
"""Bins and values that the groups of an answer may have in all."""
SHOWN_CATEGORIES = 20
"""Booleans and texts that a histogram names; the rest are counted together."""


@dataclass(frozen=True, slots=True)
class Order:
    """By which measure the groups come; by their keys where it ties."""

    measure: int
    """Its position among the measures."""
    descending: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class AggregateQuery:
    """What to group, how, and what to say of each group.

    Over calls the rows are the calls for which `where` holds. Over feedback they are the judgements on such calls,
    or on anything where there is no `where`, cut down by what stands below `over feedback`.
    """

    project: str
    over: Over = "calls"
    where: Node | None = None
    group_by: tuple[Key, ...] = ()
    """One group of everything where it is empty; that one is there even over nothing."""
    measures: tuple[Measure, ...] = (Count(),)
    limit: int = DEFAULT_LIMIT
    order: Order | None = None
    """By the keys, ascending, where there is none: bool < number < text, null last."""
    confidence: float = 0.95
    """How sure the intervals of means and shares are."""

    # Over feedback
    type: str | None = None
    author: str | None = None
    since: int | None = None
    """Said then or later, in microseconds since 1970."""
    until: int | None = None
    """Said before then."""
    every: bool = False
    """Also what was taken back or followed by something newer of its author; retractions themselves never."""

    def __post_init__(self) -> None:
        """Hold the bounds; raises `QueryError`."""
        for noun, given, least, most in (
            ("group_by", len(self.group_by), 0, MAX_KEYS),
            ("measures", len(self.measures), 1, MAX_MEASURES),
            ("limit", self.limit, 1, MAX_LIMIT),
        ):
            if not least <= given <= most:
                what = "" if noun == "limit" else "the number of "
                raise QueryError(
                    f"{what}{noun} is {given:,}; it can be {least} to {most:,}", at=noun
                )
        if not 0 < self.confidence < 1:
            raise QueryError(
                f"confidence {self.confidence} is not between 0 and 1; write 0.95", at="confidence"
            )
        places = [key.place for key in self.group_by]
        places += [each.place for each in self.measures if each.place is not None]
        for place in places:
            if isinstance(place, RowField | PayloadField) != (self.over == "feedback"):
                raise QueryError(
                    f"{place} cannot be asked over {self.over}: fields of calls are asked over calls, "
                    "those of feedback over feedback",
                    at="over",
                )
