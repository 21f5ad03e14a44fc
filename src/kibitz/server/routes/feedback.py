"""Feedback: by question, what it says in all, and one new row."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import get
from litestar.params import PathParameter, RawBody

from kibitz.base import api, errors, refs, wire
from kibitz.base.errors import UsageError
from kibitz.base.records import Feedback, FeedbackPart, Page
from kibitz.query import literals
from kibitz.query.nodes import FeedbackQuery
from kibitz.server import inputs
from kibitz.server.inputs import ProjectIn, SettingsIn, StoreIn
from kibitz.storage.protocols import Store

FeedbackIn = Annotated[str, PathParameter(description="The id of a judgement.")]


@inputs.posted(api.FEEDBACK_QUERY, api.FeedbackAsked, tag="feedback")
def query(body: RawBody, store: StoreIn) -> Page[Feedback]:
    """A page of feedback, newest first."""
    asked = wire.decode_as(api.FeedbackAsked, body, what="the query")
    return store.feedback.query(
        FeedbackQuery(
            project=refs.check_project(asked.project),
            type=asked.type,
            target_ref=asked.target_ref,
            author=asked.author,
            ids=None if asked.ids is None else tuple(asked.ids),
            since=_time(asked.since, "since"),
            until=_time(asked.until, "until"),
            standing=asked.standing,
            version=asked.version,
            limit=asked.limit,
            cursor=asked.cursor,
        )
    )


@get(api.FEEDBACK_COLUMNS, sync_to_thread=True, tags=["feedback"])
def columns(project: ProjectIn, store: StoreIn) -> api.Columns:
    """What the feedback of a project says, most used first: columns to show, filter and sort by."""
    return api.Columns(columns=store.feedback.columns(inputs.project(project)))


@get(f"{api.FEEDBACK}/{{feedback_id:str}}", sync_to_thread=True, tags=["feedback"])
def one(feedback_id: FeedbackIn, project: ProjectIn, store: StoreIn) -> Feedback:
    """One judgement, also where it does not stand any more."""
    return store.feedback.get(inputs.project(project), feedback_id)


@get(f"{api.FEEDBACK}/{{feedback_id:str}}/history", sync_to_thread=True, tags=["feedback"])
def history(feedback_id: FeedbackIn, project: ProjectIn, store: StoreIn) -> api.History:
    """A judgement with what its author said before and after it, and what took it back, oldest first."""
    found = store.feedback.history(inputs.project(project), feedback_id)
    return api.History(items=list(found))


@inputs.posted(api.FEEDBACK, api.NewFeedback, tag="feedback", status_code=201)
def create(body: RawBody, store: StoreIn) -> Feedback:
    """Store one judgement and give it back as it is stored, with its id and time."""
    given = wire.decode_as(api.NewFeedback, body, what="the feedback")
    fields = {name: getattr(given, name) for name in FeedbackPart.__struct_fields__}
    return _add(store, given.project, FeedbackPart(**fields))


@inputs.posted(api.FEEDBACK_BATCH, api.FeedbackBatch, tag="feedback")
def create_many(body: RawBody, store: StoreIn, settings: SettingsIn) -> api.FeedbackOutcomes:
    """Store several judgements, each for itself: one that breaks a rule does not keep the others out."""
    delivery = wire.decode(body, max_items=settings.max_batch_items)
    batch = delivery.batch
    if batch.calls or batch.objects or batch.files:
        raise UsageError(f"a batch of feedback has feedback alone; send the rest to {api.INGEST}")
    positions = delivery.positions.get("feedback", range(len(batch.feedback)))
    outcomes = [
        msgspec.structs.replace(each, index=positions[each.index])
        for each in store.feedback.add(batch.project, batch.feedback)
    ]
    for rejection in delivery.rejected:
        details = {} if rejection.field is None else {"field": rejection.field}
        error = api.ErrorInfo(code=rejection.code, message=rejection.message, details=details)
        outcomes.append(api.FeedbackOutcome(index=rejection.index, error=error))
    outcomes.sort(key=lambda each: each.index)
    stored = sum(each.error is None for each in outcomes)
    return api.FeedbackOutcomes(stored=stored, outcomes=outcomes)


@inputs.posted(
    f"{api.FEEDBACK}/{{feedback_id:str}}/retract", api.Retraction, tag="feedback", status_code=201
)
def retract(feedback_id: FeedbackIn, body: RawBody, store: StoreIn) -> Feedback:
    """Take a judgement back, and what its author had said before it. The answer is the retraction."""
    given = wire.decode_as(api.Retraction, body, what="the retraction")
    said = store.feedback.get(refs.check_project(given.project), feedback_id)
    if said.retracts is not None:
        raise UsageError(f"feedback {feedback_id!r} is a retraction; say anew what it took back")
    part = FeedbackPart(
        type=said.type,
        target_ref=said.target_ref,
        payload={},
        author=given.author,
        author_kind=given.author_kind or said.author_kind,
        retracts=said.id,
    )
    return _add(store, given.project, part)


@inputs.posted(
    f"{api.FEEDBACK}/{{feedback_id:str}}/correct", api.Correction, tag="feedback", status_code=201
)
def correct(feedback_id: FeedbackIn, body: RawBody, store: StoreIn) -> Feedback:
    """Say something in the place of a judgement, whose references it keeps. The answer is what stands now."""
    given = wire.decode_as(api.Correction, body, what="the correction")
    said = store.feedback.get(refs.check_project(given.project), feedback_id)
    part = FeedbackPart(
        type=said.type,
        target_ref=said.target_ref,
        payload=given.payload,
        author=given.author,
        author_kind=given.author_kind or said.author_kind,
        annotation_ref=given.annotation_ref or said.annotation_ref,
        runnable_ref=said.runnable_ref,
        call_ref=said.call_ref,
        trigger_ref=said.trigger_ref,
        corrects=said.id,
    )
    return _add(store, given.project, part)


def _add(store: Store, project: str, part: FeedbackPart) -> Feedback:
    """Store one judgement; raises what it breaks."""
    (outcome,) = store.feedback.add(project, [part])
    if outcome.error is not None:
        kind = errors.class_of(outcome.error.code) or errors.InvalidRecord
        raise kind(outcome.error.message, **outcome.error.details)
    assert outcome.id is not None
    return store.feedback.get(project, outcome.id)


def _time(value: str | int | None, name: str) -> int | None:
    return None if value is None else literals.parse_time(value, name, name)


handlers = [query, columns, one, history, create, create_many, retract, correct]
