"""What the feedback of a project says, type by type: how it is spread, how it went, who said it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import ClassVar
from urllib.parse import urlencode

from litestar import Response, get
from litestar.params import FromPath

from kibitz.base import clock, judgements, refs
from kibitz.base.errors import NotFound, UsageError
from kibitz.base.records import Aggregation, Feedback, ScoreColumn
from kibitz.query import fields
from kibitz.query.nodes import FeedbackField, FeedbackQuery
from kibitz.server.pages import addresses, feedback_links, feedback_rows, figures, formats, frames
from kibitz.server.pages.feedback_links import Leaf
from kibitz.server.pages.feedback_rows import Judgement
from kibitz.server.pages.figures import Distribution, Groups, Trend
from kibitz.server.pages.frames import AnyRequest, Frame
from kibitz.storage.protocols import Store

RECENT = 20
CARD_ID = "figures"
SOURCES = {"runnable": "program", "annotation": "annotation"}
TIMES: dict[str, timedelta] = {
    "24h": timedelta(days=1),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
TIME_WORDS = {"": "All time", "30d": "30 days", "7d": "7 days", "24h": "24 hours"}
AT_ONCE = 3
"""Types whose charts are drawn with the page; those of the others come when they are in sight."""
AT_ONCE_CALLS = 20_000
"""The same for the calls that they judge."""
AUTHORS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Tab:
    """A choice that is an address."""

    label: str
    url: str
    current: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """The charts of a type."""

    distribution: Distribution
    trend: Trend
    groups: Groups | None
    """By author, or by version where a program judges; not of very many, where it would take long."""
    judged: tuple[tuple[str, str], ...]
    """How many authors and versions, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One type of feedback, by the leaf of it that says most."""

    id: str
    """Of the element, for a script that asks for its charts."""
    label: str
    """The name of the judge or specification."""
    field: str
    """The leaf as queries spell it."""
    source: str
    """Who makes it: program, annotation, reaction, note, or the free type."""
    count: int
    """Calls that have it."""
    url: str
    """Its own page."""
    by_author_url: str
    """The same, its authors beside each other."""
    figures_url: str
    """Where its charts come from where they are not here yet."""
    judged_url: str
    missing_url: str
    lowest_url: str
    """Sorted by it, the least first; empty for text."""
    others: tuple[Tab, ...]
    """Its other leaves."""
    drawn: Drawn | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentRow:
    """One of the last judgements, and the call it is about."""

    judgement: Judgement
    target_url: str
    """Empty where the target is not a call."""
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackPage:
    """The feedback of a project."""

    template: ClassVar[str] = "feedback.html"

    frame: Frame
    """What stands around the page."""
    project: str
    """Whose feedback it is."""
    cards: tuple[Card, ...]
    """All types, most used first."""
    times: tuple[Tab, ...]
    """How far back the charts reach."""
    recent: tuple[RecentRow, ...]
    """The last of it, newest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardPage:
    """One card with its charts, for a page that waits for them."""

    template: ClassVar[str] = "_feedback_card.html"

    card: Card
    """The type."""


@get("/p/{segment:str}/feedback", include_in_schema=False, sync_to_thread=True)
def show_feedback(request: AnyRequest, segment: FromPath[str]) -> Response[bytes]:
    """What the judges of a project say, and the last of it."""
    project = addresses.parse_project(segment)
    store = frames.store_of(request)
    time, since = time_of(request)
    recent = store.feedback.query(FeedbackQuery(project=project, limit=RECENT))
    path = f"{addresses.project_path(project)}/feedback"
    return frames.send(
        request,
        FeedbackPage(
            frame=frames.frame(
                request,
                f"Feedback · {project}",
                project=project,
                projects=store.projects.list(),
                place="feedback",
            ),
            project=project,
            cards=_cards(store, project, store.feedback.columns(project), time, since),
            times=tuple(
                Tab(label=words, url=address(path, time=each), current=each == time)
                for each, words in TIME_WORDS.items()
            ),
            recent=tuple(recent_row(project, each) for each in recent.items),
        ),
    )


@get("/p/{segment:str}/feedback/{type_:str}/figures", include_in_schema=False, sync_to_thread=True)
def send_card(request: AnyRequest, segment: FromPath[str], type_: FromPath[str]) -> Response[bytes]:
    """One type with its charts, for a page that waits for them."""
    project = addresses.parse_project(segment)
    store = frames.store_of(request)
    time, since = time_of(request)
    name = addresses.unescape(type_)
    columns = [each for each in store.feedback.columns(project) if each.type == name]
    if not columns:
        raise no_feedback(project, name)
    card = _card(project, columns, time)
    leaf = leaf_of(project, main(columns), since)
    return frames.send(request, CardPage(card=replace(card, drawn=_draw(store, leaf, card.count))))


def no_feedback(project: str, type_: str) -> NotFound:
    """What to say of a type that nothing was said of."""
    return NotFound(
        f"project {project!r} has no feedback of type {type_[:80]!r} that says something"
    )


def time_of(request: AnyRequest) -> tuple[str, datetime | None]:
    """How far back an address asks for, and when that is; raises `UsageError`."""
    time = request.query_params.get("time", "")
    if time and time not in TIMES:
        raise UsageError(f"time {time[:40]!r} is not one of {', '.join(TIMES)}", field="time")
    # To the minute, so that asking twice gives the same page.
    now = clock.now().replace(second=0, microsecond=0)
    return time, now - TIMES[time] if time else None


def address(path: str, /, **parameters: str) -> str:
    """A path with those parameters that say something."""
    query = urlencode({name: value for name, value in parameters.items() if value})
    return f"{path}?{query}" if query else path


def leaf_of(project: str, column: ScoreColumn, since: datetime | None) -> Leaf:
    """The leaf that a column of scores is."""
    return Leaf(
        project=project,
        type=column.type,
        path=fields.parse_path(column.path),
        kind=feedback_links.kind_of(column),
        # Programs judge a call once; people judge beside each other.
        several=not column.type.startswith(judgements.RUNNABLE),
        since=since,
    )


def main(columns: Sequence[ScoreColumn]) -> ScoreColumn:
    """The leaf of a type that a glance should fall on: numbers and truths before texts, then the most used."""
    emoji = next((e for e in columns if (e.type, e.path) == (judgements.REACTION, "neutral")), None)
    return emoji or min(columns, key=lambda each: (each.kinds == ["text"], -each.count))


def source_of(type_: str) -> str:
    """Who makes feedback of a type, in a word; empty where its name is all that is known."""
    return SOURCES.get(type_.partition(".")[0], "")


def _cards(
    store: Store,
    project: str,
    columns: Sequence[ScoreColumn],
    time: str,
    since: datetime | None,
) -> tuple[Card, ...]:
    by_type: dict[str, list[ScoreColumn]] = {}
    for each in columns:
        by_type.setdefault(each.type, []).append(each)
    cards: list[Card] = []
    room = AT_ONCE_CALLS
    for found in sorted(by_type.values(), key=lambda each: -max(one.count for one in each)):
        card = _card(project, found, time)
        if card.count <= room and len(cards) < AT_ONCE:
            room -= card.count
            card = replace(
                card, drawn=_draw(store, leaf_of(project, main(found), since), card.count)
            )
        cards.append(card)
    return tuple(cards)


def _card(project: str, columns: Sequence[ScoreColumn], time: str) -> Card:
    column = main(columns)
    leaf = leaf_of(project, column, None)
    path = feedback_links.type_path(project, column.type)
    return Card(
        id=f"card-{refs.digest(column.type.encode())[:12]}",
        label=formats.feedback_name(column.type),
        field=fields.format(FeedbackField(column.type, leaf.path)),
        source=source_of(column.type),
        count=max(each.count for each in columns),
        url=address(path, time=time),
        by_author_url=address(path, by="author", time=time),
        figures_url=address(f"{path}/figures", time=time),
        judged_url=feedback_links.judged(leaf),
        missing_url=feedback_links.missing(leaf),
        lowest_url=feedback_links.lowest(leaf) if leaf.kind != "text" else "",
        others=tuple(
            Tab(
                label=".".join(fields.parse_path(each.path)),
                url=address(path, path=each.path, time=time),
                current=False,
            )
            for each in columns
            if each is not column
        ),
        drawn=None,
    )


def drawn(store: Store, leaf: Leaf, count: int) -> tuple[Leaf, Aggregation, Aggregation]:
    """How a leaf is spread and how it went by day.

    Of very many judgements the sums that the store keeps are asked, which know calls only; the leaf that comes
    back says so.
    """
    if count <= AT_ONCE_CALLS or leaf.since is not None:
        whole = store.calls.aggregate(figures.whole(leaf))
        return leaf, whole, store.calls.aggregate(figures.by(leaf, "day", figures.MAX_POINTS))
    leaf = replace(leaf, several=False, of_calls=True)
    whole, days = (store.calls.aggregate(each) for each in figures.kept(leaf))
    return leaf, figures.as_whole(leaf, whole), days


def _draw(store: Store, leaf: Leaf, count: int) -> Drawn:
    leaf, whole, days = drawn(store, leaf, count)
    grouped = "version" if leaf.type.startswith(judgements.RUNNABLE) else "author"
    groups: Groups | None = None
    if not leaf.of_calls:
        groups = figures.groups(
            leaf, store.calls.aggregate(figures.by(leaf, grouped, AUTHORS)), grouped
        )
    return Drawn(
        distribution=figures.distribution(leaf, whole),
        trend=figures.trend(leaf, days, "day"),
        groups=groups,
        judged=figures.judged(whole),
    )


def recent_row(project: str, feedback: Feedback) -> RecentRow:
    """A judgement with what it is about."""
    judgement = feedback_rows.judgement(project, feedback)
    target = refs.parse_ref(judgement.feedback.target_ref)
    return RecentRow(
        judgement=judgement,
        target_url=feedback_rows.ref_url(judgement.feedback.target_ref),
        target=f"{target.kind} {target.name[:13]}",
    )
