"""One type of feedback: its charts large, by day, hour, author, op or version, and all that was said, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, get_args

from litestar import Response, get
from litestar.params import FromPath

from kibitz.base import judgements
from kibitz.base.errors import UsageError
from kibitz.base.records import Feedback, ScoreColumn
from kibitz.query import fields
from kibitz.query.nodes import FeedbackField, FeedbackQuery
from kibitz.server.pages import (
    addresses,
    evaluation_links,
    feedback,
    feedback_links,
    feedback_rows,
    figures,
    formats,
    frames,
    functions,
    specs,
)
from kibitz.server.pages.feedback import Tab
from kibitz.server.pages.feedback_rows import Judgement
from kibitz.server.pages.figures import By, Distribution, Groups, Trend
from kibitz.server.pages.frames import AnyRequest, Frame
from kibitz.storage.protocols import Store

ROWS = 30
GROUPS = 30
BYS: tuple[By, ...] = get_args(By)


@dataclass(frozen=True, slots=True, kw_only=True)
class SaidRow:
    """One judgement, and what became of it."""

    judgement: Judgement
    target_url: str
    """Empty where the target is not a call."""
    target: str
    state: str
    """`taken back or followed`, `takes back`, `correction`; empty where it simply stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TypePage:
    """One type of feedback."""

    template: ClassVar[str] = "feedback_type.html"

    frame: Frame
    """What stands around the page."""
    project: str
    """Whose it is."""
    label: str
    """The name of the judge or specification."""
    type: str
    """The type as feedback has it."""
    source: str
    """Who makes it, in a word."""
    spec_url: str
    """Of an annotation: its specification."""
    function_url: str
    """The feedback function that says it; empty where an op or somebody does."""
    field: str
    """The leaf that is shown, as queries spell it."""
    leaves: tuple[Tab, ...]
    """All that it says, to choose from."""
    times: tuple[Tab, ...]
    """How far back."""
    bys: tuple[Tab, ...]
    """What to compare by."""
    by: By
    """What is compared by."""
    judged: tuple[tuple[str, str], ...]
    """How many judgements, authors and versions, in words."""
    judged_url: str
    """The calls that have it."""
    missing_url: str
    """Those that do not."""
    lowest_url: str
    """The least first; empty for text."""
    distribution: Distribution
    """How it is spread."""
    trend: Trend | None
    """How it went, where it is by day or hour."""
    groups: Groups | None
    """Judges, ops or versions beside each other, where it is by these."""
    rows: tuple[SaidRow, ...]
    """What was said, newest first, history included."""
    author: str
    """Whose judgements the rows are; empty for everybody's."""
    everybody_url: str
    """The rows of all authors."""
    next_url: str
    """The rows after these; empty where there are none."""
    first_url: str
    """The newest rows; empty on the first page."""


@get("/p/{segment:str}/feedback/{type_:str}", include_in_schema=False, sync_to_thread=True)
def show_type(request: AnyRequest, segment: FromPath[str], type_: FromPath[str]) -> Response[bytes]:
    """One type of feedback."""
    project = addresses.parse_project(segment)
    store = frames.store_of(request)
    name = addresses.unescape(type_)
    columns = [each for each in store.feedback.columns(project) if each.type == name]
    if not columns:
        raise feedback.no_feedback(project, name)
    time, since = feedback.time_of(request)
    by = _by(request)
    column = _column(request, columns)
    leaf = feedback.leaf_of(project, column, since)
    count = max(each.count for each in columns)
    shown, whole, compared = feedback.drawn(store, leaf, count)
    if by != "day":
        most = figures.MAX_POINTS if by == "hour" else GROUPS
        compared = store.calls.aggregate(figures.by(leaf, by, most))
    author = request.query_params.get("author", "")
    cursor = request.query_params.get("cursor")
    said = store.feedback.query(
        FeedbackQuery(
            project=project, type=name, author=author or None, limit=ROWS, cursor=cursor or None
        )
    )
    path = feedback_links.type_path(project, name)
    path_of = column.path if column is not feedback.main(columns) else ""
    state = {"path": path_of, "time": time, "by": by if by != "day" else "", "author": author}

    def address(**changes: str) -> str:
        return feedback.address(path, **{**state, **changes})

    return frames.send(
        request,
        TypePage(
            frame=frames.frame(
                request,
                f"{formats.feedback_name(name)} · {project}",
                project=project,
                projects=store.projects.list(),
                place="feedback",
            ),
            project=project,
            label=formats.feedback_name(name),
            type=name,
            source=feedback.source_of(name),
            spec_url=_spec_url(project, name),
            function_url=_function_url(store, project, name),
            field=fields.format(FeedbackField(name, leaf.path)),
            leaves=tuple(
                Tab(label=each.path, url=address(path=each.path), current=each is column)
                for each in columns
            ),
            times=tuple(
                Tab(label=words, url=address(time=each), current=each == time)
                for each, words in feedback.TIME_WORDS.items()
            ),
            bys=tuple(
                Tab(label=each.capitalize(), url=address(by=each), current=each == by)
                for each in BYS
            ),
            by=by,
            judged=figures.judged(whole),
            judged_url=feedback_links.judged(leaf),
            missing_url=feedback_links.missing(leaf),
            lowest_url=feedback_links.lowest(leaf) if leaf.kind != "text" else "",
            distribution=figures.distribution(shown, whole),
            trend=figures.trend(shown if by == "day" else leaf, compared, by)
            if by in ("day", "hour")
            else None,
            groups=figures.groups(leaf, compared, by) if by not in ("day", "hour") else None,
            rows=tuple(_said(project, each) for each in said.items),
            author=author,
            everybody_url=address(author=""),
            next_url=address(cursor=said.next_cursor) if said.next_cursor else "",
            first_url=address() if cursor else "",
        ),
    )


def _by(request: AnyRequest) -> By:
    given = request.query_params.get("by", "day")
    for each in BYS:
        if given == each:
            return each
    raise UsageError(f"by {given[:40]!r} is not one of {', '.join(BYS)}", field="by")


def _column(request: AnyRequest, columns: Sequence[ScoreColumn]) -> ScoreColumn:
    path = request.query_params.get("path")
    if not path:
        return feedback.main(columns)
    for each in columns:
        if each.path == path:
            return each
    known = ", ".join(each.path for each in columns[:20])
    raise UsageError(f"path {path[:80]!r} is not one of {known}", field="path")


def _spec_url(project: str, type_: str) -> str:
    if not type_.startswith(judgements.ANNOTATION):
        return ""
    return specs.spec_path(project, type_.removeprefix(judgements.ANNOTATION))


def _function_url(store: Store, project: str, type_: str) -> str:
    name = type_.removeprefix(judgements.RUNNABLE)
    if name == type_ or not functions.versions(store, project, name):
        return ""
    return evaluation_links.function_path(project, name)


def _said(project: str, each: Feedback) -> SaidRow:
    row = feedback.recent_row(project, each)
    return SaidRow(
        judgement=row.judgement,
        target_url=row.target_url,
        target=row.target,
        state=feedback_rows.state_of(each),
    )
