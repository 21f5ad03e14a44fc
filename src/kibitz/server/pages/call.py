"""One call: its place in the trace, what went in and came out, and what was said about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import quote

import msgspec
from litestar import Response, get
from litestar.params import FromPath

from kibitz.base import judgements, refs
from kibitz.base.errors import NotFound, RefError
from kibitz.base.ids import new_id
from kibitz.base.records import Call, CallStatus, ExceptionInfo
from kibitz.query.nodes import CallQuery, ColumnField, Compare, SortKey
from kibitz.server.pages import (
    addresses,
    annotating,
    evaluation_links,
    evaluations,
    feedback_rows,
    formats,
    frames,
    timeline,
    values,
)
from kibitz.server.pages.addresses import CallsAddress, Condition
from kibitz.server.pages.annotating import Panel, Refused
from kibitz.server.pages.evaluations import EvaluationsPage, EvaluationsPart
from kibitz.server.pages.feedback_rows import Judgement, Reaction
from kibitz.server.pages.frames import AnyRequest, Frame
from kibitz.server.pages.timeline import Timeline
from kibitz.server.pages.values import ValueView
from kibitz.storage.protocols import Store

PANE_ID = "call"
FEEDBACK_ID = "feedback"
FIRST_ROWS = 300
"""Rows of the tree that are sent with the page; the script fetches and draws the rest."""
MAX_TREE_ROWS = 50_000
CHILDREN_SHOWN = 20
MAX_CAUSES = 8
EMOJI = ("👍", "👎", "❤️", "🎉", "😕", "👀")
VALUE_NAMES = ("inputs", "output", "attributes", "summary")


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewLink:
    """One way to show a value."""

    name: str
    url: str
    current: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownValue:
    """A value of the call with its title and the other ways to show it."""

    title: str
    view: ValueView
    links: tuple[ViewLink, ...]
    raw_url: str
    """The value alone, as JSON."""
    empty: str
    """What to say where there is nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Raised:
    """One exception of the chain."""

    info: ExceptionInfo
    is_cause: bool
    """Whether it led to the one before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FormState:
    """What the feedback forms hold."""

    action: str
    back: str
    """Where to go afterwards."""
    reaction_id: str
    """The id that a reaction will have: sent twice, it is stored once."""
    note_id: str
    author: str
    """The name given last time."""
    note: str = ""
    error: str = ""
    """Why the last one was not stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPane:
    """Everything about a call, for its own page and for the drawer."""

    call: Call
    url: str
    """The call's own page."""
    in_drawer: bool
    name: str
    version: str
    """Of the op: the beginning of its digest; empty where none was recorded."""
    version_url: str
    raised: tuple[Raised, ...]
    values: tuple[ShownValue, ...]
    usage: tuple[tuple[str, str], ...]
    """Numbers of the summary, in words, for the head."""
    judgements: tuple[Judgement, ...]
    """What was said, without what stands among the evaluations."""
    evaluated: EvaluationsPart
    """What programs made of the record."""
    reactions: tuple[Reaction, ...]
    emoji: tuple[str, ...]
    form: FormState
    panel: Panel
    """Where the call is annotated."""
    children: tuple[Call, ...]
    more_children_url: str
    """All calls it made, as a list; empty where they are all shown."""
    trace_url: str
    """All calls of the trace, as a list."""
    parent_url: str
    thread_url: str
    """The calls of the same thread; empty where it is in none."""
    op_url: str
    """The calls of the same op."""
    record_url: str
    """The call with all that it called, as selectors see it."""
    raw_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PanePage:
    """The call alone, for a tree that is there already."""

    template: ClassVar[str] = "_pane_page.html"

    frame: Frame
    """What stands around the page."""
    pane: CallPane
    """The call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeLine:
    """One line of the tree."""

    row: timeline.Row
    url: str
    name: str
    status: CallStatus
    current: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPage:
    """A call and its trace."""

    template: ClassVar[str] = "call.html"

    frame: Frame
    """What stands around the page."""
    pane: CallPane
    """The call that is looked at."""
    lines: tuple[TreeLine, ...]
    """The tree of the trace, or its beginning."""
    complete: bool
    """Whether the lines are all there are; else the script fetches them."""
    tree_url: str
    """The whole tree, in the compact form."""
    duration_ms: float
    """Of the trace, or of its beginning."""
    trace_calls: int
    """Calls of the trace; not all of them where it is not complete."""
    previous_url: str
    """The sibling before; empty where there is none."""
    next_url: str
    """The sibling after; empty where there is none."""


@get("/p/{segment:str}/calls/{call_id:str}", include_in_schema=False, sync_to_thread=True)
def show_call(
    request: AnyRequest, segment: FromPath[str], call_id: FromPath[str]
) -> Response[bytes]:
    """A call beside the tree of its trace."""
    return send_call(request, addresses.parse_project(segment), addresses.unescape(call_id))


@get("/p/{segment:str}/calls/{call_id:str}/tree", include_in_schema=False, sync_to_thread=True)
def send_tree(
    request: AnyRequest, segment: FromPath[str], call_id: FromPath[str]
) -> Response[bytes]:
    """The tree of a call's trace in the compact form, for the script that draws it."""
    project = addresses.parse_project(segment)
    store = frames.store_of(request)
    trace_id = (
        request.query_params.get("trace")
        or store.calls.get(project, addresses.unescape(call_id)).trace_id
    )
    laid_out = timeline.lay_out(store.calls.trace(project, trace_id, limit=MAX_TREE_ROWS))
    return frames.send_json(request, msgspec.json.encode(timeline.to_json(laid_out)))


@get(
    "/p/{segment:str}/calls/{call_id:str}/values/{name:str}",
    include_in_schema=False,
    sync_to_thread=True,
)
def send_value(
    request: AnyRequest, segment: FromPath[str], call_id: FromPath[str], name: FromPath[str]
) -> Response[bytes]:
    """One value of a call as it is stored."""
    if name not in VALUE_NAMES:
        raise NotFound(f"a call has no {name[:40]!r}; it has {', '.join(VALUE_NAMES)}")
    project = addresses.parse_project(segment)
    call = frames.store_of(request).calls.get(project, addresses.unescape(call_id))
    value = getattr(call, name)
    return frames.send_json(request, msgspec.json.encode(None if value is msgspec.UNSET else value))


def send_call(
    request: AnyRequest,
    project: str,
    call_id: str,
    *,
    form: FormState | None = None,
    refused: Refused | None = None,
    status: int = 200,
) -> Response[bytes]:
    """The page of a call, or the part of it that a script asks for.

    Args:
        form: what a form held that could not be stored.
        refused: the same of the panel for annotations.
    """
    store = frames.store_of(request)
    if frames.targets(request, evaluations.PART_ID):
        part = evaluations.part(request, store, project, call_id)
        return frames.send(request, EvaluationsPage(part=part), status=status)
    pane = load_pane(request, store, project, call_id, form=form, refused=refused)
    title = f"{pane.name} · {project}"
    if frames.targets(request, PANE_ID, FEEDBACK_ID, annotating.PANEL_ID):
        frame = frames.frame(request, title, project=project, place="calls")
        return frames.send(request, PanePage(frame=frame, pane=pane), status=status)
    calls = store.calls.trace(project, pane.call.trace_id, limit=FIRST_ROWS + 1)
    complete = len(calls) <= FIRST_ROWS
    laid_out = timeline.lay_out(calls[:FIRST_ROWS])
    beside = timeline.neighbours(laid_out, call_id)
    return frames.send(
        request,
        CallPage(
            frame=frames.frame(
                request, title, project=project, projects=store.projects.list(), place="calls"
            ),
            pane=pane,
            lines=_lines(laid_out, call_id),
            complete=complete,
            tree_url=f"{pane.url}/tree?{addresses.format_pair('trace', pane.call.trace_id)}",
            duration_ms=laid_out.duration_ms,
            trace_calls=len(laid_out.rows),
            previous_url=addresses.call_path(project, beside.previous) if beside.previous else "",
            next_url=addresses.call_path(project, beside.next) if beside.next else "",
        ),
        status=status,
    )


def load_pane(
    request: AnyRequest,
    store: Store,
    project: str,
    call_id: str,
    *,
    drawer_of: CallsAddress | None = None,
    form: FormState | None = None,
    refused: Refused | None = None,
) -> CallPane:
    """Everything about a call; raises `NotFound`.

    Args:
        drawer_of: the list that it is shown beside, where it is.
    """
    call = store.calls.get(project, call_id)
    children = store.calls.query(
        CallQuery(
            project=project,
            where=Compare(ColumnField("parent_id"), "eq", call.id),
            sort=(SortKey(ColumnField("started_at")),),
            limit=CHILDREN_SHOWN,
        )
    )
    url = addresses.call_path(project, call.id)
    back = drawer_of.opening(call.id).url if drawer_of else url
    every = CallsAddress(project=project)
    version, version_url = _version(call)
    feedback = call.feedback if isinstance(call.feedback, list) else []
    evaluated = evaluations.part(request, store, project, call.id)
    shown_there = {row.evaluation.feedback_id for row in evaluated.rows}
    return CallPane(
        call=call,
        url=url,
        in_drawer=drawer_of is not None,
        name=call.display_name or call.op or "(no name yet)",
        version=version,
        version_url=version_url,
        raised=_raised(call.exception),
        values=_values(call, url, back, request),
        usage=_usage(call.summary),
        judgements=tuple(
            feedback_rows.judgement(project, each)
            for each in feedback
            if each.type != judgements.REACTION and each.id not in shown_there
        ),
        evaluated=evaluated,
        reactions=feedback_rows.reactions(feedback),
        emoji=EMOJI,
        form=form or _form(request, url, back),
        panel=annotating.panel(request, store, call, listed=drawer_of, refused=refused),
        children=tuple(children.items),
        more_children_url=(
            _only(every, "parent_id", call.id).url if children.next_cursor is not None else ""
        ),
        trace_url=_only(every, "trace_id", call.trace_id)
        .sorted_by(ColumnField("started_at"), descending=False)
        .url,
        parent_url=addresses.call_path(project, call.parent_id) if call.parent_id else "",
        thread_url=_only(every, "thread_id", call.thread_id).url if call.thread_id else "",
        op_url=_only(every, "op", call.op).url if call.op else "",
        record_url=evaluation_links.record_path(project, call.id),
        raw_url=f"/api/v1/calls/{quote(call.id, safe='')}?{addresses.format_pair('project', project)}",
    )


def _form(request: AnyRequest, url: str, back: str) -> FormState:
    return FormState(
        action=f"{url}/feedback",
        back=back,
        reaction_id=new_id(),
        note_id=new_id(),
        author=frames.reader_name(request),
    )


def _only(every: CallsAddress, column: Any, value: str) -> CallsAddress:
    return every.changed(nested=True, conditions=(Condition(ColumnField(column), "eq", value),))


def _lines(laid_out: Timeline, call_id: str) -> tuple[TreeLine, ...]:
    return tuple(
        TreeLine(
            row=row,
            url=addresses.call_path(row.call.project, row.call.id),
            name=row.call.display_name or row.call.op or "(no name yet)",
            status=row.call.status,
            current=row.call.id == call_id,
        )
        for row in laid_out.rows
    )


def _version(call: Call) -> tuple[str, str]:
    if call.op_ref is None:
        return "", ""
    try:
        ref = refs.parse_ref(call.op_ref)
    except RefError:
        return "", ""
    if ref.kind != "op" or ref.digest is None:
        return "", ""
    return ref.digest[:7], addresses.op_path(ref.project, ref.name, ref.digest)


def _values(call: Call, url: str, back: str, request: AnyRequest) -> tuple[ShownValue, ...]:
    """Inputs and output always, the others where they say something."""
    running = call.status == "running"
    no_output = (
        "not there yet" if running else "nothing: it raised" if call.error else "nothing returned"
    )
    given = (
        ("inputs", "Inputs", call.inputs, "no inputs"),
        ("output", "Output", call.output, no_output),
        ("attributes", "Attributes", call.attributes, ""),
        ("summary", "Summary", call.summary, ""),
    )
    shown: list[ShownValue] = []
    for name, title, value, empty in given:
        wanted = request.query_params.get(f"{name}.view")
        view = values.show(name, value, wanted)
        if view.is_empty and not empty:
            continue
        shown.append(
            ShownValue(
                title=title,
                view=view,
                links=_view_links(view, back),
                raw_url=f"{url}/values/{name}",
                empty=empty,
            )
        )
    return tuple(shown)


def _view_links(view: ValueView, back: str) -> tuple[ViewLink, ...]:
    joined = "&" if "?" in back else "?"
    return tuple(
        ViewLink(
            name=each,
            url=f"{back}{joined}{addresses.format_pair(f'{view.name}.view', each)}",
            current=each == view.view,
        )
        for each in view.views
    )


def _raised(exception: ExceptionInfo | None | msgspec.UnsetType) -> tuple[Raised, ...]:
    chain: list[Raised] = []
    current = exception if isinstance(exception, ExceptionInfo) else None
    while current is not None and len(chain) < MAX_CAUSES:
        chain.append(Raised(info=current, is_cause=bool(chain)))
        current = current.cause
    return tuple(chain)


def _usage(summary: Any) -> tuple[tuple[str, str], ...]:
    """Plain numbers of the summary and of `usage`, whose numbers may stand by model."""
    found: dict[str, float] = {}

    def collect(entries: Any, depth: int) -> None:
        if not isinstance(entries, dict):
            return
        for key, value in entries.items():  # pyright: ignore[reportUnknownVariableType] JSON
            if isinstance(value, int | float) and not isinstance(value, bool):
                name = str(key).replace("_", " ")  # pyright: ignore[reportUnknownArgumentType] JSON
                found[name] = found.get(name, 0) + value
            elif depth < 3 and (depth > 0 or key == "usage"):
                collect(value, depth + 1)

    collect(summary, 0)
    return tuple((name, formats.scalar(number)) for name, number in list(found.items())[:8])
