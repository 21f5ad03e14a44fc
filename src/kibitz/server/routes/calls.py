"""Calls, by question and by id."""

from __future__ import annotations

from typing import Any

from litestar import get, post
from litestar.params import RawBody

from kibitz.base import api, wire
from kibitz.base.records import Call, Count, Page
from kibitz.query import json_form
from kibitz.server import inputs
from kibitz.server.inputs import AnyRequest, ProjectIn, StoreIn


@post(
    api.CALLS_QUERY,
    status_code=200,
    sync_to_thread=True,
    opt={inputs.BODY: api.CallsQuery},
    tags=["calls"],
)
def query(body: RawBody, store: StoreIn) -> Page[Call]:
    """A page of the calls that match, in the order that is asked for."""
    return store.calls.query(json_form.parse_query(_asked(body)))


@post(
    api.CALLS_COUNT,
    status_code=200,
    sync_to_thread=True,
    opt={inputs.BODY: api.CountQuery},
    tags=["calls"],
)
def count(body: RawBody, store: StoreIn) -> Count:
    """How many calls match, counted up to a bound."""
    project, where, bound = json_form.parse_count(_asked(body))
    return store.calls.count(project, where, bound=bound)


@get(f"{api.CALLS}/{{call_id:path}}", sync_to_thread=True, tags=["calls"])
def one(request: AnyRequest, project: ProjectIn, store: StoreIn) -> Call:
    """One call, whole and with its feedback."""
    call_id = "/".join(inputs.segments(request, api.CALLS))
    return store.calls.get(inputs.project(project), call_id)


def _asked(body: bytes) -> dict[str, Any]:
    return wire.decode_as(dict[str, Any], body, what="the query")


handlers = [query, count, one]
