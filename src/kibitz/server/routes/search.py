"""The text index of a project: what it holds, and what a question about texts costs."""

from __future__ import annotations

from typing import Any

from litestar import get, put
from litestar.params import RawBody

from kibitz.base import api, clock, wire
from kibitz.base.records import SearchCost, SearchIndex
from kibitz.query import json_form, text_form
from kibitz.server import inputs
from kibitz.server.inputs import ProjectIn, StoreIn
from kibitz.server.routes import calls


@get(api.SEARCH, sync_to_thread=True, tags=["search"])
def status(project: ProjectIn, store: StoreIn) -> SearchIndex:
    """What the text index holds of a project, and how many calls wait for it."""
    return store.search.status(inputs.project(project))


@put(
    api.SEARCH,
    status_code=200,
    sync_to_thread=True,
    opt={inputs.BODY: api.NewSearch},
    tags=["search"],
)
def change(body: RawBody, project: ProjectIn, store: StoreIn) -> SearchIndex:
    """Change what the text index holds of a project. The server fills it in quiet moments."""
    given = wire.decode_as(api.NewSearch, body, what="the level")
    return store.search.set_level(inputs.project(project), given.level)


@inputs.posted(api.SEARCH_COST, api.CountQuery, tag="search")
def cost(body: RawBody, store: StoreIn) -> SearchCost:
    """How the conditions on texts of a question would be answered now: by the index, or by reading calls."""
    asked = wire.decode_as(dict[str, Any], body, what="the query")
    text = asked.pop("text", None)
    project, where, _ = json_form.parse_count(asked)
    if text is not None:
        parsed = calls.parse_text(store, project, text, clock.now())
        where = text_form.both(where, parsed.where)
    return store.search.cost(project, where)


handlers = [status, change, cost]
