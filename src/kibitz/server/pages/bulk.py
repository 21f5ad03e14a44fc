"""What can be done with all calls that a list shows: export them, say something about them, delete them.

Every action is for what an address of the calls page finds, counted first. Deleting and judging go in steps; a page
between them says how far they are, and goes on by itself where scripts run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast, get_args
from urllib.parse import parse_qsl

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Stream

from kibitz.base import clock, ids, judgements
from kibitz.base.errors import Conflict, MissingExtra, QueryError, UsageError
from kibitz.base.records import BulkCount, BulkStep, FeedbackPart
from kibitz.export import streams
from kibitz.query.nodes import CallQuery
from kibitz.server.pages import addresses, call, calls, feedback_forms, formats, frames, querybar
from kibitz.server.pages.addresses import CallsAddress
from kibitz.server.pages.feedback_forms import Form
from kibitz.server.pages.frames import AnyRequest, Frame
from kibitz.storage.protocols import LocalStore, Store

Action = Literal["react", "note", "delete"]
ACTIONS: tuple[Action, ...] = get_args(Action)
_FORMATS: tuple[tuple[str, str], ...] = (
    ("jsonl", "JSON lines"),
    ("csv", "CSV"),
    ("parquet", "Parquet"),
    ("arrow", "Arrow stream"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far an action is."""

    says: str
    """What was done so far, in words."""
    going_on: bool
    """Whether something is left."""
    share: float
    """Of the whole, in percent."""
    fields: tuple[tuple[str, str], ...]
    """What the next step has to be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkPage:
    """What can be done with the calls of a list, or how far that is."""

    template: ClassVar[str] = "bulk.html"

    frame: Frame
    """What stands around the page."""
    path: str
    """Where the forms go."""
    back_url: str
    """The list."""
    chips: tuple[querybar.Chip, ...]
    """What narrows the list, in words."""
    matching: str
    """How many calls match, in words."""
    counted: BulkCount
    """What saying something touches."""
    doomed: BulkCount
    """What deleting touches."""
    whole_traces: bool
    """Whether the other calls of their traces are deleted with them."""
    state: str
    """The list, for the forms."""
    formats: tuple[tuple[str, str], ...]
    """What an export can be."""
    emoji: tuple[str, ...]
    """Reactions that are offered."""
    author: str
    """The reader's name."""
    action_id: str
    """An id of what is said, so that a form sent twice says it once."""
    error: str
    """Why nothing was done."""
    progress: Progress | None
    """How far the action is, where one has begun."""


@get("/p/{segment:str}/calls/bulk", include_in_schema=False, sync_to_thread=True)
def show_bulk(request: AnyRequest, segment: FromPath[str]) -> Response[bytes]:
    """What can be done with the calls that an address finds."""
    project = addresses.parse_project(segment)
    address = _read(frames.store_of(request), project, frames.query_pairs(request))
    return frames.send(request, _page(request, address))


@post("/p/{segment:str}/calls/act", include_in_schema=False, sync_to_thread=True, status_code=200)
def act(request: AnyRequest, segment: FromPath[str], data: Form) -> Response[bytes]:
    """Do one step of an action, and say how far it is."""
    project = addresses.parse_project(segment)
    address = _of_form(request, project, data)
    action = data.get("action", "")
    if action not in ACTIONS:
        raise UsageError(f"action {action[:40]!r} is not one of {', '.join(ACTIONS)}")
    try:
        progress = _step(request, address, action, data)
    except (UsageError, Conflict) as error:
        page = _page(request, address, error=error.message)
        return frames.send(request, page, status=409 if isinstance(error, Conflict) else 400)
    response = frames.send(request, _page(request, address, progress=progress))
    if action != "delete":
        author = feedback_forms.author_of(request, data)
        response.set_cookie(frames.preference(frames.NAME_COOKIE, author, http_only=True))
    return response


@post(
    "/p/{segment:str}/calls/export", include_in_schema=False, sync_to_thread=True, status_code=200
)
def export(request: AnyRequest, segment: FromPath[str], data: Form) -> Stream:
    """The calls of a list as a file."""
    project = addresses.parse_project(segment)
    address = _of_form(request, project, data)
    format_, tables = data.get("format", ""), data.get("tables", "calls")
    if format_ not in streams.FORMATS or tables not in ("all", "calls"):
        raise UsageError(f"an export is one of {', '.join(streams.FORMATS)}, of calls or all")
    if format_ == "jsonl":
        tables = "all"
    store = cast("LocalStore", frames.store_of(request))
    query = CallQuery(project=project, where=addresses.to_node(address), sort=address.sort)
    try:
        chunks = streams.stream(store, project, format_, query=query, tables=tables)
    except MissingExtra as error:
        raise UsageError(f"this server cannot write {format_}: {error.message}") from error
    name = streams.file_name(project, format_, tables)
    return Stream(
        chunks,
        media_type=streams.MEDIA_TYPES[format_, tables],
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _read(store: Store, project: str, pairs: Sequence[tuple[str, str]]) -> CallsAddress:
    """The state of an address; raises `QueryError` where part of it cannot be read.

    An action must never be for more calls than were meant.
    """
    parsed = calls.parse(store, project, pairs)
    if parsed.problems:
        problem = parsed.problems[0]
        raise QueryError(f"{problem.parameter}={problem.value[:80]!r}: {problem.message}")
    return parsed.address.opening(None)


def _of_form(request: AnyRequest, project: str, data: Mapping[str, str]) -> CallsAddress:
    pairs = parse_qsl(data.get("state", ""), keep_blank_values=True)
    return _read(frames.store_of(request), project, pairs)


def _page(
    request: AnyRequest, address: CallsAddress, *, error: str = "", progress: Progress | None = None
) -> BulkPage:
    store = frames.store_of(request)
    where = addresses.to_node(address)
    nothing = BulkCount(calls=0, feedback=0)
    counted = nothing if progress else store.bulk.count(address.project, where)
    # Without the roots of their traces the calls below would hang in the air.
    whole = not address.nested
    doomed = counted
    if whole and not progress:
        doomed = store.bulk.count(address.project, where, whole_traces=True)
    return BulkPage(
        frame=frames.frame(
            request,
            f"Actions · {address.project}",
            project=address.project,
            projects=store.projects.list(),
            place="calls",
        ),
        path=f"{address.path}/act",
        back_url=address.url,
        chips=querybar.chips(address),
        matching=formats.count(counted.calls, "call"),
        counted=counted,
        doomed=doomed,
        whole_traces=whole,
        state=addresses.format_query(address),
        formats=_FORMATS,
        emoji=tuple(call.EMOJI),
        author=frames.reader_name(request),
        action_id=ids.new_id(),
        error=error,
        progress=progress,
    )


def _step(
    request: AnyRequest, address: CallsAddress, action: Action, data: Mapping[str, str]
) -> Progress:
    """Do the next step of an action."""
    store = frames.store_of(request)
    expected = _number(data, "expected")
    cursor = data.get("cursor") or None
    if action == "delete" and cursor is None and _number(data, "typed") != expected:
        raise UsageError(f"nothing was deleted: type {expected} to delete {expected:,} calls")
    judgement = None if action == "delete" else _judgement(request, action, data)
    step = _next(store, address, judgement, expected, cursor)
    done = _number(data, "done") + step.calls
    said = _number(data, "said") + step.feedback
    expected, cursor = step.left, step.cursor
    refused = ""
    if step.refused:
        first = step.rejected[0].message if step.rejected else ""
        refused = f" {step.refused:,} were refused: {first}"
    verb = "Deleted" if action == "delete" else "Added to"
    says = f"{verb} {formats.count(done, 'call')}"
    if action == "delete":
        says += f" and {formats.count(said, 'judgement')} on them"
    told = {"action": action, "expected": expected, "cursor": cursor or "", "done": done}
    kept = {name: data.get(name, "") for name in ("state", "id", "emoji", "note", "author")}
    return Progress(
        says=f"{says}.{refused}" if cursor is None else f"{says}, {expected:,} to go.{refused}",
        going_on=cursor is not None,
        share=round(100 * done / max(done + expected, 1), 1) if cursor else 100.0,
        fields=tuple((name, str(value)) for name, value in {**kept, **told, "said": said}.items()),
    )


def _next(
    store: Store,
    address: CallsAddress,
    judgement: FeedbackPart | None,
    expected: int,
    cursor: str | None,
) -> BulkStep:
    """One step, which lasts a moment; without a judgement it deletes."""
    where = addresses.to_node(address)
    if judgement is not None:
        return store.bulk.add_feedback(
            address.project, where, judgement, expected=expected, cursor=cursor
        )
    return store.bulk.delete(
        address.project, where, expected=expected, whole_traces=not address.nested, cursor=cursor
    )


def _judgement(request: AnyRequest, action: Action, data: Mapping[str, str]) -> FeedbackPart:
    payload: dict[str, Any] = {"emoji": data.get("emoji", "").strip()}
    if action == "note":
        payload = {"note": data.get("note", "").replace("\r\n", "\n").strip()}
        if not payload["note"]:
            raise UsageError("nothing was added: a note needs some text")
    return FeedbackPart(
        id=data.get("id") or None,
        type=judgements.NOTE if action == "note" else judgements.REACTION,
        target_ref=judgements.EVERY_CALL,
        payload=payload,
        author=feedback_forms.author_of(request, data),
        author_kind="person",
        created_at=clock.now(),
    )


def _number(data: Mapping[str, str], name: str) -> int:
    text = data.get(name, "").replace(",", "").strip() or "0"
    if not text.isascii() or not text.isdigit() or len(text) > 12:
        raise UsageError(f"{name} {text[:40]!r} is not a number")
    return int(text)
