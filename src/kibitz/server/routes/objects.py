"""Versions of ops and objects."""

from __future__ import annotations

from litestar import get

from kibitz.base import api
from kibitz.base.errors import NotFound
from kibitz.base.records import ObjectVersion
from kibitz.base.refs import VERSIONED
from kibitz.server import inputs
from kibitz.server.inputs import AnyRequest, ProjectIn, StoreIn

_FORM = f"{api.OBJECTS}/KIND/NAME or {api.OBJECTS}/KIND/NAME/DIGEST"


@get(f"{api.OBJECTS}/{{kind:str}}/{{name:str}}", sync_to_thread=True, tags=["objects"])
def versions(request: AnyRequest, project: ProjectIn, store: StoreIn) -> api.Versions:
    """The versions of a name, newest first."""
    kind, name = _names(request)[:2]
    return api.Versions(versions=store.objects.versions(inputs.project(project), kind, name))


@get(
    f"{api.OBJECTS}/{{kind:str}}/{{name:str}}/{{digest:str}}", sync_to_thread=True, tags=["objects"]
)
def one(request: AnyRequest, project: ProjectIn, store: StoreIn) -> ObjectVersion:
    """One version of an op or object."""
    kind, name, digest = _names(request)
    return store.objects.get(inputs.project(project), kind, name, digest)


@get(f"{api.OBJECTS}/{{rest:path}}", sync_to_thread=True, include_in_schema=False)
def with_slash(
    request: AnyRequest, project: ProjectIn, store: StoreIn
) -> api.Versions | ObjectVersion:
    """Either of the two for a name that has a slash, written `%2F`."""
    found = _names(request)
    if len(found) == 2:
        return api.Versions(
            versions=store.objects.versions(inputs.project(project), found[0], found[1])
        )
    return store.objects.get(inputs.project(project), found[0], found[1], found[2])


def _names(request: AnyRequest) -> list[str]:
    found = inputs.segments(request, api.OBJECTS)
    if len(found) not in (2, 3) or found[0] not in VERSIONED:
        raise NotFound(f"{request.url.path[:120]!r} is not {_FORM}; KIND is op or object")
    return found


handlers = [versions, one, with_slash]
