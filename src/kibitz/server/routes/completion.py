"""What may stand at a place of a query in words."""

from __future__ import annotations

from litestar.params import RawBody

from kibitz.base import api, wire
from kibitz.server import inputs
from kibitz.server.inputs import StoreIn


@inputs.posted(api.CALLS_COMPLETE, api.CompletionAsked, tag="calls")
def complete(body: RawBody, store: StoreIn) -> api.Completions:
    """What may come next in a query, from what the project has, and what is wrong with the query as it is."""
    asked = wire.decode_as(api.CompletionAsked, body, what="the query")
    return store.calls.complete(inputs.project(asked.project), asked.text, asked.cursor)


handlers = [complete]
