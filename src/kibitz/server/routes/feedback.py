"""Feedback: by question, what it says in all, and one new row."""

from __future__ import annotations

import msgspec
from litestar import get, post
from litestar.params import RawBody

from kibitz.base import api, clock, ids, refs, wire
from kibitz.base.errors import NotFound
from kibitz.base.records import Batch, Feedback, FeedbackPart, Page
from kibitz.query.nodes import MAX_LIMIT, FeedbackQuery
from kibitz.server import inputs
from kibitz.server.inputs import ProjectIn, StoreIn
from kibitz.storage.protocols import Store


@post(
    api.FEEDBACK_QUERY,
    status_code=200,
    sync_to_thread=True,
    opt={inputs.BODY: api.FeedbackAsked},
    tags=["feedback"],
)
def query(body: RawBody, store: StoreIn) -> Page[Feedback]:
    """A page of feedback, newest first."""
    asked = wire.decode_as(api.FeedbackAsked, body, what="the query")
    return store.feedback.query(
        FeedbackQuery(
            project=refs.check_project(asked.project),
            type=asked.type,
            target_ref=asked.target_ref,
            author=asked.author,
            limit=asked.limit,
            cursor=asked.cursor,
        )
    )


@get(api.FEEDBACK_COLUMNS, sync_to_thread=True, tags=["feedback"])
def columns(project: ProjectIn, store: StoreIn) -> api.Columns:
    """What the feedback of a project says, most used first: columns to show, filter and sort by."""
    return api.Columns(columns=store.feedback.columns(inputs.project(project)))


@post(
    api.FEEDBACK,
    status_code=201,
    sync_to_thread=True,
    opt={inputs.BODY: api.NewFeedback},
    tags=["feedback"],
)
def create(body: RawBody, store: StoreIn) -> Feedback:
    """Store one judgement and give it back as it is stored, with its id and time."""
    given = wire.decode_as(api.NewFeedback, body, what="the feedback")
    fields = {name: getattr(given, name) for name in FeedbackPart.__struct_fields__}
    part = msgspec.structs.replace(
        FeedbackPart(**fields),
        id=given.id or ids.new_id(),
        created_at=given.created_at or clock.now(),
    )
    receipt = store.ingest.write(Batch(project=given.project, feedback=[part]))
    for rejection in receipt.rejected:
        raise wire.error_of(rejection)
    return _stored(store, given.project, part, receipt.feedback_ids[0])


def _stored(store: Store, project: str, part: FeedbackPart, feedback_id: str) -> Feedback:
    """The row of an id, found among those on its target: it is one of the newest, so on the first page."""
    asked = FeedbackQuery(project=project, target_ref=part.target_ref, limit=MAX_LIMIT)
    while True:
        page = store.feedback.query(asked)
        for row in page.items:
            if row.id == feedback_id:
                return row
        if page.next_cursor is None:
            raise NotFound(
                f"feedback {feedback_id!r} was stored before, on another target than {part.target_ref!r}",
                id=feedback_id,
            )
        asked = FeedbackQuery(
            project=project,
            target_ref=part.target_ref,
            limit=MAX_LIMIT,
            cursor=page.next_cursor,
        )


handlers = [query, columns, create]
