"""The forms of a call that add feedback: reactions and notes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from litestar import Response, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath

from kibitz.base import clock, judgements, refs
from kibitz.base.records import Batch, FeedbackPart
from kibitz.server import access
from kibitz.server.pages import addresses, call, frames
from kibitz.server.pages.call import FormState
from kibitz.server.pages.frames import AnyRequest

Form = Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)]


def author_of(request: AnyRequest, form: Mapping[str, str]) -> str:
    """The name that a form gives, or that the reader gave before; one line."""
    author = " ".join(form.get("author", frames.reader_name(request)).split())
    return author[: frames.MAX_NAME_CHARACTERS]


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
