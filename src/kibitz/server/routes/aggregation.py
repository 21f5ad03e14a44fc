"""Aggregations: what is to be said of many calls or judgements at once."""

from __future__ import annotations

from collections.abc import Iterator

from litestar.params import RawBody

from kibitz.base import api, clock, wire
from kibitz.base.records import Aggregation
from kibitz.query import aggregation_json
from kibitz.server import inputs
from kibitz.server.inputs import StoreIn
from kibitz.storage.protocols import Store


@inputs.posted(api.CALLS_AGGREGATE, api.CallsAggregate, tag="calls")
def over_calls(body: RawBody, store: StoreIn) -> Aggregation:
    """Groups of the calls that match, with what was measured of each."""
    asked = wire.decode_as(api.CallsAggregate, body, what="the aggregation")
    types = _types(store, asked.project)
    return store.calls.aggregate(aggregation_json.parse(asked, known_types=types, now=clock.now()))


@inputs.posted(api.FEEDBACK_AGGREGATE, api.FeedbackAggregate, tag="feedback")
def over_feedback(body: RawBody, store: StoreIn) -> Aggregation:
    """Groups of judgements, with what was measured of each."""
    asked = wire.decode_as(api.FeedbackAggregate, body, what="the aggregation")
    types = _types(store, asked.project)
    return store.feedback.aggregate(
        aggregation_json.parse(asked, known_types=types, now=clock.now())
    )


def _types(store: Store, project: str) -> Iterator[str]:
    """The feedback types of a project; nothing is read before the first is taken."""
    yield from {each.type for each in store.feedback.columns(project)}


handlers = [over_calls, over_feedback]
