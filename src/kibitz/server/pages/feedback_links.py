"""From a part of a chart to the calls that it counts, and from a leaf of feedback to its page. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from kibitz.base import clock, refs
from kibitz.base.errors import RefError
from kibitz.base.records import ScoreColumn
from kibitz.query import fields
from kibitz.query.nodes import ColumnField, FeedbackField, Field, Literal_, Over
from kibitz.server.pages import addresses, formats
from kibitz.server.pages.addresses import CallsAddress
from kibitz.server.pages.conditions import Condition

LeafKind = Literal["number", "bool", "text"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """One place in the payload of a type."""

    project: str
    type: str
    path: tuple[str, ...]
    kind: LeafKind
    """What it mostly holds."""
    several: bool = False
    """Whether several authors may have judged one call; then a call counts where any of them said so."""
    since: datetime | None = None
    """What was said before does not count."""
    of_calls: bool = False
    """Whether calls are counted, each by what was said of it last and on the day that it started."""

    @property
    def label(self) -> str:
        """The fewest words for it."""
        return formats.feedback_name(self.type, self.path)

    @property
    def dotted(self) -> str:
        """Its path as an address spells it."""
        return fields.format_path(self.path)


def kind_of(column: ScoreColumn) -> LeafKind:
    """What a leaf is shown as: numbers before truths before texts, where it holds several kinds."""
    if "number" in column.kinds:
        return "number"
    return "bool" if "bool" in column.kinds else "text"


def type_path(project: str, type_: str) -> str:
    """The page of a type of feedback."""
    return f"{addresses.project_path(project)}/feedback/{addresses.escape(type_)}"


def _field(leaf: Leaf) -> FeedbackField:
    return FeedbackField(leaf.type, leaf.path, over=_over(leaf))


def _over(leaf: Leaf) -> Over:
    return "any" if leaf.several else "latest"


def _calls(leaf: Leaf, *conditions: Condition) -> str:
    every = CallsAddress(project=leaf.project, nested=True)
    return every.adding(*conditions, *_recent(leaf)).url


def _recent(leaf: Leaf) -> tuple[Condition, ...]:
    if leaf.since is None:
        return ()
    field = FeedbackField(leaf.type, over=_over(leaf), part="created_at")
    return (Condition(field, "gte", clock.to_us(leaf.since)),)


def judged(leaf: Leaf) -> str:
    """The calls that have it."""
    return _calls(leaf, Condition(FeedbackField(leaf.type, leaf.path), "has"))


def missing(leaf: Leaf) -> str:
    """The calls that never got it."""
    every = CallsAddress(project=leaf.project, nested=True)
    return every.adding(Condition(FeedbackField(leaf.type, leaf.path), "lacks")).url


def lowest(leaf: Leaf) -> str:
    """The calls that have it, the least first."""
    field = FeedbackField(leaf.type, leaf.path)
    every = CallsAddress(project=leaf.project, nested=True).adding(Condition(field, "has"))
    return every.sorted_by(field, descending=False).url


def equal(leaf: Leaf, value: Literal_) -> str:
    """The calls of which this was said."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)
    return _calls(leaf, Condition(_field(leaf), "eq", value))


def between(leaf: Leaf, low: float, high: float, *, closed: bool) -> str:
    """The calls that got a number of a bin; the last bin has its upper end too."""
    field = _field(leaf)
    return _calls(
        leaf, Condition(field, "gte", low), Condition(field, "lte" if closed else "lt", high)
    )


def within(leaf: Leaf, start: datetime, end: datetime) -> str:
    """The calls of which it was said within this time."""
    field: Field = FeedbackField(leaf.type, over=_over(leaf), part="created_at")
    if leaf.of_calls:
        field = ColumnField("started_at")
        start_us, end_us = clock.to_us(start), clock.to_us(end)
        judged_ = Condition(FeedbackField(leaf.type, leaf.path), "has")
        return _calls(
            leaf, judged_, Condition(field, "gte", start_us), Condition(field, "lt", end_us)
        )
    return _calls(
        leaf,
        Condition(field, "gte", clock.to_us(start)),
        Condition(field, "lt", clock.to_us(end)),
    )


def by_author(leaf: Leaf, author: str) -> str:
    """The calls of which this author said it."""
    field = FeedbackField(leaf.type, over=_over(leaf), part="author")
    return _calls(leaf, Condition(field, "eq", author))


def of_op(leaf: Leaf, op: str) -> str:
    """The calls of an op that have it; those of no op are of no call, and have no list."""
    if not op:
        return ""
    return _calls(
        leaf,
        Condition(ColumnField("op"), "eq", op),
        Condition(FeedbackField(leaf.type, leaf.path), "has"),
    )


def of_version(leaf: Leaf, ref: str) -> str:
    """The calls of which this version of the scorer or specification said it."""
    try:
        digest = refs.parse_ref(ref).digest
    except RefError:
        digest = None
    if digest is None:
        return judged(leaf)
    return _calls(leaf, Condition(FeedbackField(leaf.type, leaf.path, version=digest[:12]), "has"))
