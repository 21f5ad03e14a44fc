"""Traces."""

from __future__ import annotations

from typing import Annotated

from litestar import get
from litestar.params import QueryParameter

from kibitz.base import api
from kibitz.server import inputs
from kibitz.server.inputs import AnyRequest, ProjectIn, StoreIn

MAX_CALLS = 50_000


@get(f"{api.TRACES}/{{trace_id:path}}", sync_to_thread=True, tags=["traces"])
def one(
    request: AnyRequest,
    project: ProjectIn,
    store: StoreIn,
    limit: Annotated[int, QueryParameter(ge=1, le=MAX_CALLS)] = MAX_CALLS,
) -> api.Trace:
    """The calls of a trace in the order they started, without payloads."""
    trace_id = "/".join(inputs.segments(request, api.TRACES))
    calls = store.calls.trace(inputs.project(project), trace_id, limit=limit)
    return api.Trace(calls=calls)


handlers = [one]
