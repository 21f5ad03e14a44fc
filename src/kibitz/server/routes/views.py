"""Saved views: what a project asks often, under names."""

from __future__ import annotations

from litestar import delete, get, put
from litestar.params import RawBody

from kibitz.base import api, wire
from kibitz.base.records import View
from kibitz.server import inputs
from kibitz.server.inputs import AnyRequest, ProjectIn, StoreIn

_ONE = f"{api.VIEWS}/{{name:path}}"


@get(api.VIEWS, sync_to_thread=True, tags=["views"])
def listed(project: ProjectIn, store: StoreIn) -> api.Views:
    """The views of a project, by name."""
    return api.Views(views=list(store.views.list(inputs.project(project))))


@get(_ONE, sync_to_thread=True, tags=["views"])
def one(request: AnyRequest, project: ProjectIn, store: StoreIn) -> View:
    """One view."""
    return store.views.get(inputs.project(project), _name(request))


@put(_ONE, status_code=200, sync_to_thread=True, opt={inputs.BODY: api.NewView}, tags=["views"])
def save(request: AnyRequest, body: RawBody, project: ProjectIn, store: StoreIn) -> View:
    """Keep a view under a name, in the place of what the name had."""
    given = wire.decode_as(api.NewView, body, what="the view")
    return store.views.save(inputs.project(project), _name(request), given)


@delete(_ONE, status_code=200, sync_to_thread=True, tags=["views"])
def remove(request: AnyRequest, project: ProjectIn, store: StoreIn) -> View:
    """Forget a view; the answer is what it was."""
    return store.views.delete(inputs.project(project), _name(request))


def _name(request: AnyRequest) -> str:
    return "/".join(inputs.segments(request, api.VIEWS))


handlers = [listed, one, save, remove]
