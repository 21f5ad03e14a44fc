"""The form of the panel beside a call: what was answered is stored, and what breaks a rule is said in its place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from litestar import Response, post
from litestar.params import FromPath, RawBody

from kibitz.base import clock, judgements, refs
from kibitz.base.records import Batch, Call, FeedbackPart, Rejection
from kibitz.base.specifications import Specification
from kibitz.server import access
from kibitz.server.pages import addresses, annotating, answer_forms, frames
from kibitz.server.pages import call as call_pages
from kibitz.server.pages.annotating import Refused
from kibitz.server.pages.answer_forms import NOTHING, Sent
from kibitz.server.pages.forms import first, form_of
from kibitz.server.pages.frames import AnyRequest


@post(
    "/p/{segment:str}/calls/{call_id:str}/annotations",
    include_in_schema=False,
    sync_to_thread=True,
    status_code=303,
)
def add_annotations(
    request: AnyRequest, segment: FromPath[str], call_id: FromPath[str], body: RawBody
) -> Response[bytes] | Response[None]:
    """Store what was answered, then go back to the call, or on to the next."""
    project = addresses.parse_project(segment)
    call_id = addresses.unescape(call_id)
    store = frames.store_of(request)
    sent = form_of(body)
    call = store.calls.get(project, call_id)
    author = frames.name_of(first(sent, "author"))
    found, _ = annotating.applicable(store, call, author)
    parts = _parts(call, [spec for _, spec in found], sent, author)
    rejected: Sequence[Rejection] = ()
    if parts:
        batch = Batch(project=project, feedback=[part for _, part in parts])
        rejected = store.ingest.write(batch).rejected
    if rejected:
        refused = Refused(sent=sent, author=author, errors=_errors(parts, rejected))
        return call_pages.send_call(request, project, call_id, refused=refused, status=400)
    cookies = [frames.preference(frames.NAME_COOKIE, author, http_only=True)]
    next_url = first(sent, "next")
    if first(sent, "then") == "next" and next_url:
        return frames.redirect(access.local_path(next_url), cookies=cookies)
    back = access.local_path(first(sent, "back") or addresses.call_path(project, call_id))
    joined = "&" if "?" in back else "?"
    return frames.redirect(f"{back}{joined}saved=1" if parts else back, cookies=cookies)


def _parts(
    call: Call, specs: Sequence[Specification], sent: Sent, author: str
) -> list[tuple[Specification, FeedbackPart]]:
    """What is new: answers that are given and are not what the author has said already."""
    found: list[tuple[Specification, FeedbackPart]] = []
    look = annotating.look_at(call)
    for spec in specs:
        value = answer_forms.read(spec, sent, look=look)
        mine = annotating.own_answer(call, spec, author)
        if value is NOTHING or _same(value, annotating.value_of(mine)):
            continue
        part = FeedbackPart(
            id=first(sent, f"id.{spec.name}") or None,
            type=judgements.ANNOTATION + spec.name,
            target_ref=refs.call_ref(call.project, call.id),
            payload={"value": value},
            author=author,
            author_kind="person",
            annotation_ref=first(sent, f"ref.{spec.name}") or spec.ref(call.project),
            created_at=clock.now(),
            corrects=mine.id if mine else None,
        )
        found.append((spec, part))
    return found


def _same(one: Any, other: Any) -> bool:
    """Whether two JSON values say the same; 1 and true do not."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] JSON
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))  # pyright: ignore[reportUnknownArgumentType] JSON
    return one == other


def _errors(
    parts: Sequence[tuple[Specification, FeedbackPart]], rejected: Sequence[Rejection]
) -> dict[str, dict[int, str]]:
    found: dict[str, dict[int, str]] = {}
    for each in rejected:
        spec, _ = parts[each.index]
        in_payload = (each.field or "").startswith("payload")
        at = answer_forms.position_of(spec, each.field or "") if in_payload else -1
        found.setdefault(spec.name, {})[at] = each.message
    return found
