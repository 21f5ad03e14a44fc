"""What a reader does with the feedback of a call: react, write a note, take something back, see what was said before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

from litestar import Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath

from kibitz.base import clock, judgements, refs, wire
from kibitz.base.errors import NotFound
from kibitz.base.records import Batch, FeedbackPart
from kibitz.query.nodes import MAX_LIMIT, FeedbackQuery
from kibitz.server import access
from kibitz.server.pages import addresses, call, feedback_links, feedback_rows, formats, frames
from kibitz.server.pages.call import FormState
from kibitz.server.pages.feedback_rows import Judgement
from kibitz.server.pages.frames import AnyRequest, Frame

Form = Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)]


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRow:
    """One judgement of the history."""

    judgement: Judgement
    state: str
    """What became of it; see `feedback_rows.state_of`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryPage:
    """All that was ever said of one call in one type, newest first."""

    template: ClassVar[str] = "history.html"

    frame: Frame
    """What stands around the page."""
    label: str
    """The name of the judge or specification."""
    call_url: str
    """The call."""
    type_url: str
    """The type, over all calls."""
    rows: tuple[HistoryRow, ...]
    """What was said, what replaced it and what took it back."""


def author_of(request: AnyRequest, form: Mapping[str, str]) -> str:
    """The name that a form gives, or that the reader gave before; one line."""
    return frames.name_of(form.get("author", frames.reader_name(request)))


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
    author = author_of(request, data)
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


@post(
    "/p/{segment:str}/calls/{call_id:str}/retractions",
    include_in_schema=False,
    sync_to_thread=True,
    status_code=303,
)
def take_back(
    request: AnyRequest, segment: FromPath[str], call_id: FromPath[str], data: Form
) -> Response[bytes] | Response[None]:
    """Take back what the reader said of a call, then go back to it."""
    project = addresses.parse_project(segment)
    call_id = addresses.unescape(call_id)
    store = frames.store_of(request)
    wanted = data.get("retracts", "")
    shown = store.calls.get(project, call_id)
    said = shown.feedback if isinstance(shown.feedback, list) else []
    found = next((each for each in said if each.id == wanted), None)
    if found is None:
        raise NotFound(f"feedback {wanted[:64]!r} does not stand on this call", id=wanted[:64])
    part = FeedbackPart(
        type=found.type,
        target_ref=found.target_ref,
        payload={},
        author=frames.reader_name(request),
        author_kind="person",
        created_at=clock.now(),
        retracts=found.id,
    )
    receipt = store.ingest.write(Batch(project=project, feedback=[part]))
    for rejection in receipt.rejected:
        raise wire.error_of(rejection)
    back = access.local_path(data.get("back") or addresses.call_path(project, call_id))
    fragment = "" if frames.targets(request, call.FEEDBACK_ID) else f"#{call.FEEDBACK_ID}"
    return frames.redirect(back + fragment)


@get(
    "/p/{segment:str}/calls/{call_id:str}/history/{type_:str}",
    include_in_schema=False,
    sync_to_thread=True,
)
def show_history(
    request: AnyRequest, segment: FromPath[str], call_id: FromPath[str], type_: FromPath[str]
) -> Response[bytes]:
    """All that was ever said of a call in one type."""
    project = addresses.parse_project(segment)
    call_id, type_ = addresses.unescape(call_id), addresses.unescape(type_)
    store = frames.store_of(request)
    asked = FeedbackQuery(
        project=project,
        type=type_,
        target_ref=refs.call_ref(project, call_id),
        limit=MAX_LIMIT,
    )
    label = formats.feedback_name(type_)
    return frames.send(
        request,
        HistoryPage(
            frame=frames.frame(
                request,
                f"History of {label} · {project}",
                project=project,
                projects=store.projects.list(),
                place="feedback",
            ),
            label=label,
            call_url=addresses.call_path(project, call_id),
            type_url=feedback_links.type_path(project, type_),
            rows=tuple(
                HistoryRow(
                    judgement=feedback_rows.judgement(project, each),
                    state=feedback_rows.state_of(each),
                )
                for each in store.feedback.query(asked).items
            ),
        ),
    )
