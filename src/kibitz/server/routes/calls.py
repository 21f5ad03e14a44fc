"""Calls, by question and by id."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec
from litestar import get
from litestar.params import RawBody

from kibitz.base import api, clock, wire
from kibitz.base.errors import QueryError
from kibitz.base.records import Call, Count, Page
from kibitz.query import json_form, shapes, text_form
from kibitz.query.text_form import Parsed
from kibitz.server import inputs
from kibitz.server.inputs import AnyRequest, ProjectIn, StoreIn
from kibitz.server.routes import records
from kibitz.storage.protocols import Store

_CURSOR = re.compile(r"([0-9]{1,17})\.(.*)", re.DOTALL)
"""Of a page of a text: what `now` was, and the store's own."""


@inputs.posted(api.CALLS_QUERY, api.CallsQuery, tag="calls")
def query(body: RawBody, store: StoreIn) -> Page[Call]:
    """A page of the calls that match, in the order that is asked for."""
    asked = _asked(body)
    text = asked.pop("text", None)
    if text is None:
        return store.calls.query(json_form.parse_query(asked))
    moment, asked["cursor"] = _moment_of(asked.get("cursor"))
    # A limit in the text is to be the page's, not the smaller of it and the usual one.
    limited = asked.get("limit") is not None
    query = json_form.parse_query(asked)
    parsed = parse_text(store, query.project, text, moment)
    if parsed.limit is not None and not limited:
        query = dataclasses.replace(query, limit=parsed.limit)
    page = store.calls.query(text_form.combined(query, parsed))
    if page.next_cursor is None:
        return page
    return msgspec.structs.replace(page, next_cursor=f"{clock.to_us(moment)}.{page.next_cursor}")


@inputs.posted(api.CALLS_COUNT, api.CountQuery, tag="calls")
def count(body: RawBody, store: StoreIn) -> Count:
    """How many calls match, counted up to a bound."""
    asked = _asked(body)
    text = asked.pop("text", None)
    project, where, bound = json_form.parse_count(asked)
    if text is not None:
        where = text_form.both(where, parse_text(store, project, text, clock.now()).where)
    return store.calls.count(project, where, bound=bound)


@get(f"{api.CALLS}/{{call_id:path}}", sync_to_thread=True, tags=["calls"])
def one(request: AnyRequest, project: ProjectIn, store: StoreIn) -> Call:
    """One call, whole and with its feedback."""
    names = inputs.segments(request, api.CALLS)
    if len(names) == 2 and (read := records.BELOW.get(names[1])) is not None:
        # The router gives this handler every address below a call, since the id of one may have slashes.
        return read(store, inputs.project(project), names[0])
    return store.calls.get(inputs.project(project), "/".join(names))


def _asked(body: bytes) -> dict[str, Any]:
    return wire.decode_as(dict[str, Any], body, what="the query")


def parse_text(store: Store, project: str, text: object, now: datetime) -> Parsed:
    """A query in words, about a project; raises `QueryError`."""
    if not isinstance(text, str):
        raise QueryError(f"text {shapes.short(text)} is not a text", at="text")
    return text_form.parse(text, known_types=_types(store, project), now=now)


def _types(store: Store, project: str) -> Iterator[str]:
    """The feedback types of a project; nothing is read before the first is taken."""
    yield from {each.type for each in store.feedback.columns(project)}


def _moment_of(cursor: object) -> tuple[datetime, object]:
    """What `now` means to a page, and the cursor as the store knows it.

    All pages of a text have one now: with another for each, `now-1h` would be another condition.
    """
    if isinstance(cursor, str) and (found := _CURSOR.fullmatch(cursor)):
        return clock.from_us(int(found[1])), found[2]
    return clock.now(), cursor


handlers = [query, count, one]
