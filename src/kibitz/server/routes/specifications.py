"""Annotation specifications: what people are asked, by name and version."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import get
from litestar.params import QueryParameter, RawBody

from kibitz.base import api, publishing, refs, specifications, wire
from kibitz.base.errors import NotFound
from kibitz.base.records import ObjectVersion
from kibitz.base.specifications import AnnotationSpec
from kibitz.server import inputs
from kibitz.server.inputs import AnyRequest, ProjectIn, StoreIn
from kibitz.storage.protocols import Store

AuthorIn = Annotated[
    str | None, QueryParameter(description="Only those that this author is shown.")
]
AuthorKindIn = Annotated[
    str | None, QueryParameter(description="What the author is: person, model, program, import.")
]


@get(api.SPECIFICATIONS, sync_to_thread=True, tags=["specifications"])
def listed(
    project: ProjectIn, store: StoreIn, author: AuthorIn = None, author_kind: AuthorKindIn = None
) -> api.Specifications:
    """The newest version of each specification, by name."""
    found = store.objects.list(inputs.project(project), "object", specifications.TYPE)
    read = [(each, AnnotationSpec.from_version(each)) for each in found]
    return api.Specifications(
        specifications=[
            described(version, spec)
            for version, spec in read
            if author is None or spec.may_see(author, author_kind or "person")
        ]
    )


@get(f"{api.SPECIFICATIONS}/{{name:path}}", sync_to_thread=True, tags=["specifications"])
def versions(request: AnyRequest, project: ProjectIn, store: StoreIn) -> api.Specifications:
    """The versions of a specification, newest first."""
    name = "/".join(inputs.segments(request, api.SPECIFICATIONS))
    return api.Specifications(specifications=_versions(store, inputs.project(project), name))


@inputs.posted(api.SPECIFICATIONS, api.NewSpecification, tag="specifications", status_code=201)
def publish(body: RawBody, store: StoreIn) -> api.SpecificationVersion:
    """Publish a specification: a new version of its name, or the one there is where nothing is different."""
    given = wire.decode_as(api.NewSpecification, body, what="the specification")
    fields = msgspec.structs.asdict(given)
    project = refs.check_project(fields.pop("project"))
    spec = AnnotationSpec(**fields)
    publishing.publish(store.ingest.write, project, spec)
    version = store.objects.get(project, "object", spec.name, spec.digest)
    return described(version, spec)


def described(version: ObjectVersion, spec: AnnotationSpec) -> api.SpecificationVersion:
    """A stored version with what its schema means."""
    return api.SpecificationVersion(
        project=version.project,
        name=version.name,
        ref=spec.ref(version.project),
        digest=version.digest,
        version=version.version,
        created_at=version.created_at,
        kind=spec.kind,
        paths=[".".join(("value", *slot.path)) for slot in spec.slots],
        schema=spec.schema,
        description=spec.description,
        guidelines=spec.guidelines,
        see=list(spec.see),
        answer=list(spec.answer),
        unique_among_creators=spec.unique_among_creators,
        ops=list(spec.ops),
        targets=list(spec.targets),
    )


def _versions(store: Store, project: str, name: str) -> list[api.SpecificationVersion]:
    found = store.objects.versions(project, "object", name)
    read = [
        described(each, AnnotationSpec.from_version(each))
        for each in found
        if specifications.is_specification(each.value)
    ]
    if not read:
        raise NotFound(
            f"project {project!r} has no specification {name[:64]!r}; there is an object of that name",
            project=project,
            name=name,
        )
    return read


handlers = [listed, versions, publish]
