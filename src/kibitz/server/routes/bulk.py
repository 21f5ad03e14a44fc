"""Actions on all calls that match: counted, judged, deleted."""

from __future__ import annotations

import msgspec
from litestar.params import RawBody

from kibitz.base import api, clock, evaluation_api, judgements, refs, wire
from kibitz.base.errors import QueryError
from kibitz.base.records import BulkCount, BulkStep, FeedbackPart
from kibitz.query import json_form, text_form
from kibitz.query.nodes import Node
from kibitz.server import inputs
from kibitz.server.inputs import StoreIn
from kibitz.storage.protocols import Store


@inputs.posted(api.CALLS_BULK_COUNT, api.BulkAsked, tag="calls")
def count(body: RawBody, store: StoreIn) -> BulkCount:
    """How many calls and judgements an action would touch, exactly."""
    asked = wire.decode_as(api.BulkAsked, body, what="the action")
    return store.bulk.count(
        refs.check_project(asked.project), condition(store, asked), whole_traces=asked.whole_traces
    )


@inputs.posted(api.CALLS_BULK_DELETE, api.BulkDeletion, tag="calls")
def delete(body: RawBody, store: StoreIn) -> BulkStep:
    """Delete the calls that match with everything on them, as far as it goes in a moment."""
    asked = wire.decode_as(api.BulkDeletion, body, what="the action")
    return store.bulk.delete(
        refs.check_project(asked.project),
        condition(store, asked),
        expected=asked.expected,
        whole_traces=asked.whole_traces,
        cursor=asked.cursor,
    )


@inputs.posted(api.CALLS_BULK_FEEDBACK, api.BulkJudgement, tag="calls")
def feedback(body: RawBody, store: StoreIn) -> BulkStep:
    """Say the same about all calls that match, as far as it goes in a moment."""
    asked = wire.decode_as(api.BulkJudgement, body, what="the action")
    judgement = FeedbackPart(
        id=asked.id,
        type=asked.type,
        target_ref=judgements.EVERY_CALL,
        payload=asked.payload,
        author=asked.author,
        author_kind=asked.author_kind,
        created_at=asked.created_at,
        annotation_ref=asked.annotation_ref,
        runnable_ref=asked.runnable_ref,
        call_ref=asked.call_ref,
        trigger_ref=asked.trigger_ref,
    )
    return store.bulk.add_feedback(
        refs.check_project(asked.project),
        condition(store, asked),
        judgement,
        expected=asked.expected,
        cursor=asked.cursor,
    )


def condition(
    store: Store, asked: api.BulkAsked | api.BulkJudgement | evaluation_api.Want
) -> Node | None:
    """The condition; raises `QueryError` also for a limit, which an action on all that matches would pass over."""
    filter_ = None if asked.filter is None else msgspec.to_builtins(asked.filter)
    where = json_form.parse_conditions(filter_, asked.query)
    if asked.text is None:
        return where
    types = (each.type for each in store.feedback.columns(asked.project))
    parsed = text_form.parse(asked.text, known_types=types, now=clock.now())
    if parsed.limit is not None:
        raise QueryError(
            "an action is for all calls that match; leave the limit out, or narrow the condition",
            at="text",
        )
    return text_form.both(where, parsed.where)


handlers = [count, delete, feedback]
