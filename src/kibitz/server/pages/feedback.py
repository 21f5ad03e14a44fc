"""What the feedback of a project says, and the forms that add to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

from litestar import Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath

from kibitz.base import clock, judgements, refs
from kibitz.base.records import Batch, Feedback, FeedbackPart, ScoreColumn
from kibitz.query import fields
from kibitz.query.nodes import FeedbackField, FeedbackQuery
from kibitz.server import access
from kibitz.server.pages import addresses, call, columns, formats, frames
from kibitz.server.pages.addresses import CallsAddress, Condition
from kibitz.server.pages.call import FormState, Judgement
from kibitz.server.pages.frames import AnyRequest, Frame

RECENT = 20
SOURCES = {"runnable": "program", "annotation": "annotation"}

Form = Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnRow:
    """One thing that feedback says, and where to look at it."""

    label: str
    field: str
    """As queries spell it."""
    source: str
    """Who makes it: program, annotation, reaction, note, or the free type."""
    count: int
    kinds: tuple[str, ...]
    judged_url: str
    """The calls that have it."""
    missing_url: str
    """The calls that do not."""
    lowest_url: str
    """Sorted by it, the least first; empty for text."""


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
    columns: tuple[ColumnRow, ...]
    """All that the feedback says, most used first."""
    recent: tuple[RecentRow, ...]
    """The last of it, newest first."""


@get("/p/{segment:str}/feedback", include_in_schema=False, sync_to_thread=True)
def show_feedback(request: AnyRequest, segment: FromPath[str]) -> Response[bytes]:
    """What the judges of a project say, and the last of it."""
    project = addresses.parse_project(segment)
    store = frames.store_of(request)
    recent = store.feedback.query(FeedbackQuery(project=project, limit=RECENT))
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
            columns=_columns(project, store.feedback.columns(project)),
            recent=tuple(_recent(project, each) for each in recent.items),
        ),
    )


@post(
    "/p/{segment:str}/calls/{call_id:str}/feedback",
    include_in_schema=False,
    sync_to_thread=True,
    status_code=303,
)
def add_feedback(
    request: AnyRequest, segment: FromPath[str], call_id: FromPath[str], data: Form
) -> Response[bytes] | Response[None]:
    """Store the reaction or note of a form, then go back to the call."""
    project = addresses.parse_project(segment)
    call_id = addresses.unescape(call_id)
    store = frames.store_of(request)
    url = addresses.call_path(project, call_id)
    back = access.local_path(data.get("back") or url)
    author = " ".join(data.get("author", frames.reader_name(request)).split())
    author = author[: frames.MAX_NAME_CHARACTERS]
    store.calls.get(project, call_id)
    part = _part(project, call_id, data, author)
    receipt = store.ingest.write(Batch(project=project, feedback=[part]))
    if receipt.rejected:
        form = FormState(
            action=f"{url}/feedback",
            back=back,
            reaction_id=data.get("id", ""),
            note_id=data.get("id", ""),
            author=author,
            note=data.get("note", ""),
            error=receipt.rejected[0].message,
        )
        return call.send_call(request, project, call_id, form=form, status=400)
    cookies = [frames.preference(frames.NAME_COOKIE, author, http_only=True)]
    # A script that asks for the feedback alone follows to it; a browser also goes to the place.
    fragment = "" if frames.targets(request, call.FEEDBACK_ID) else f"#{call.FEEDBACK_ID}"
    return frames.redirect(back + fragment, cookies=cookies)


def _part(project: str, call_id: str, form: Mapping[str, str], author: str) -> FeedbackPart:
    type_ = judgements.NOTE if form.get("type") == judgements.NOTE else judgements.REACTION
    payload = (
        {"note": form.get("note", "").replace("\r\n", "\n").strip()}
        if type_ == judgements.NOTE
        else {"emoji": (form.get("other", "").strip() or form.get("emoji", ""))}
    )
    return FeedbackPart(
        id=form.get("id") or None,
        type=type_,
        target_ref=refs.call_ref(project, call_id),
        payload=payload,
        author=author,
        author_kind="person",
        created_at=clock.now(),
    )


def _columns(project: str, found: Sequence[ScoreColumn]) -> tuple[ColumnRow, ...]:
    every = CallsAddress(project=project, nested=True)
    rows: list[ColumnRow] = []
    for each in found:
        field = columns.field_of(each)
        sortable = each.kinds != ["text"]
        shown = replace(every, columns=_with(found, field))
        rows.append(
            ColumnRow(
                label=formats.field(field),
                field=fields.format(field),
                source=SOURCES.get(each.type.partition(".")[0], each.type),
                count=each.count,
                kinds=tuple(each.kinds),
                judged_url=shown.adding(Condition(field, "has")).url,
                missing_url=shown.adding(Condition(field, "lacks")).url,
                lowest_url=shown.adding(Condition(field, "has"))
                .sorted_by(field, descending=False)
                .url
                if sortable
                else "",
            )
        )
    return tuple(rows)


def _with(found: Sequence[ScoreColumn], field: FeedbackField) -> tuple[FeedbackField, ...] | None:
    """The columns by default and this one, where it is not among them."""
    usual = columns.choose(found, CallsAddress(project=""))
    return None if field in usual else (*usual, field)


def _recent(project: str, feedback: Feedback) -> RecentRow:
    judgement = call.judgement(project, feedback)
    target = refs.parse_ref(judgement.feedback.target_ref)
    return RecentRow(
        judgement=judgement,
        target_url=call.ref_url(judgement.feedback.target_ref),
        target=f"{target.kind} {target.name[:13]}",
    )
