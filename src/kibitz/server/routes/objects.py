"""Versions of ops and objects."""

from __future__ import annotations

from typing import Annotated

from litestar import get
from litestar.params import QueryParameter

from kibitz.base import api
from kibitz.base.errors import NotFound, UsageError
from kibitz.base.records import ObjectVersion
from kibitz.base.refs import VERSIONED
from kibitz.server import inputs
from kibitz.server.inputs import AnyRequest, ProjectIn, StoreIn

KindIn = Annotated[str | None, QueryParameter(description="Only `op`, or only `object`.")]
TypeIn = Annotated[
    str | None, QueryParameter(name="type", description="Only those whose value has this `$type`.")
]
_FORM = f"{api.OBJECTS}/KIND/NAME or {api.OBJECTS}/KIND/NAME/DIGEST"


@get(api.OBJECTS, sync_to_thread=True, tags=["objects"])
def listed(
    project: ProjectIn, store: StoreIn, kind: KindIn = None, type_: TypeIn = None
) -> api.Versions:
    """The newest version of each op and object, by name."""
    if kind is not None and kind not in VERSIONED:
        raise UsageError(f"kind {kind[:60]!r} is neither 'op' nor 'object'", field="kind")
    found = store.objects.list(inputs.project(project), kind, type_)
    return api.Versions(versions=list(found))


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


handlers = [listed, versions, one, with_slash]
