"""Annotation specifications: which there are, their versions, and the editor that makes new ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar
from urllib.parse import urlencode

from litestar import Response, get, post
from litestar.params import FromPath, RawBody

from kibitz.base import publishing, specifications
from kibitz.base.errors import InvalidSpecification, KibitzError, NotFound
from kibitz.base.specifications import Specification
from kibitz.query.aggregation import AggregateQuery, Count, PlaceKey, RowField
from kibitz.server.pages import (
    addresses,
    answer_forms,
    drafts,
    feedback_links,
    frames,
)
from kibitz.server.pages.answer_forms import Field
from kibitz.server.pages.drafts import Draft
from kibitz.server.pages.forms import form_of
from kibitz.server.pages.frames import AnyRequest, Frame
from kibitz.storage.protocols import Store

PREVIEW_ID = "preview"
MAX_OPS = 200
"""Names of ops that the editor suggests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecRow:
    """One specification of the list."""

    spec: Specification
    url: str
    annotations_url: str
    version: int
    """Of the newest, counted from 1."""
    created_at: datetime
    count: int
    """Calls that have an answer."""
    kind: str
    """In words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecsPage:
    """The specifications of a project."""

    template: ClassVar[str] = "specs.html"

    frame: Frame
    """What stands around the page."""
    project: str
    """Whose they are."""
    rows: tuple[SpecRow, ...]
    """All of them, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRow:
    """One version."""

    version: int
    """Counted from 1."""
    digest: str
    created_at: datetime
    answers: int
    """Judgements that stand and were made to it."""
    url: str
    current: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecPage:
    """One version of a specification, as those see it who answer."""

    template: ClassVar[str] = "spec.html"

    frame: Frame
    """What stands around the page."""
    project: str
    """Whose it is."""
    spec: Specification
    """What it says."""
    ref: str
    """Its reference."""
    version: int
    """Counted from 1."""
    created_at: datetime
    """When it was published."""
    versions: tuple[VersionRow, ...]
    """All, newest first."""
    fields: tuple[Field, ...]
    """The form."""
    schema: str
    """As text."""
    edit_url: str
    """Where its next version is made."""
    feedback_url: str
    """What was answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a draft would be."""

    spec: Specification | None
    """None where it is not right yet."""
    fields: tuple[Field, ...]
    schema: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EditorPage:
    """The editor of a specification, beside what it makes."""

    template: ClassVar[str] = "spec_editor.html"

    frame: Frame
    """What stands around the page."""
    project: str
    """Where it will be."""
    draft: Draft
    """What the form holds."""
    kinds: tuple[tuple[str, str, str], ...]
    """(kind, name, what it is) of all that the form makes."""
    places: tuple[str, ...]
    """The fields that a mistake is said at."""
    errors: Mapping[str, str]
    """What is wrong, by field."""
    preview: Preview
    """What it makes."""
    ops: tuple[str, ...]
    """The ops of the project."""
    next_version: int
    """The number that it will have; 1 for a new name."""
    action: str
    """Where the form goes."""


@get("/p/{segment:str}/specs", include_in_schema=False, sync_to_thread=True)
def list_specs(request: AnyRequest, segment: FromPath[str]) -> Response[bytes]:
    """The specifications of a project."""
    project = addresses.parse_project(segment)
    store = frames.store_of(request)
    found = store.objects.list(project, "object", specifications.TYPE)
    counts: dict[str, int] = {}
    for each in store.feedback.columns(project) if found else ():
        counts[each.type] = max(each.count, counts.get(each.type, 0))
    rows: list[SpecRow] = []
    for version in found:
        spec = Specification.from_version(version)
        rows.append(
            SpecRow(
                spec=spec,
                url=spec_path(project, spec.name),
                annotations_url=feedback_links.type_path(project, spec.type),
                version=version.version + 1,
                created_at=version.created_at,
                count=counts.get(spec.type, 0),
                kind=kind_words(spec),
            )
        )
    return frames.send(
        request,
        SpecsPage(
            frame=_frame(request, store, f"Specifications · {project}", project),
            project=project,
            rows=tuple(rows),
        ),
    )


@get("/p/{segment:str}/specs/named/{name:str}", include_in_schema=False, sync_to_thread=True)
def show_spec(request: AnyRequest, segment: FromPath[str], name: FromPath[str]) -> Response[bytes]:
    """One version of a specification, with all the others."""
    project = addresses.parse_project(segment)
    store = frames.store_of(request)
    name = addresses.unescape(name)
    versions = [
        each
        for each in store.objects.versions(project, "object", name)
        if specifications.is_specification(each.value)
    ]
    wanted = request.query_params.get("version", "")
    versions.sort(key=lambda each: -each.version)
    shown = next((each for each in versions if not wanted or each.digest == wanted), None)
    if shown is None:
        raise NotFound(f"project {project!r} has no such specification {name[:80]!r}")
    spec = Specification.from_version(shown)
    answers = _answers(store, project, spec)
    path = spec_path(project, name)
    return frames.send(
        request,
        SpecPage(
            frame=_frame(request, store, f"{name} · {project}", project),
            project=project,
            spec=spec,
            ref=spec.ref(project),
            version=shown.version + 1,
            created_at=shown.created_at,
            versions=tuple(
                VersionRow(
                    version=each.version + 1,
                    digest=each.digest,
                    created_at=each.created_at,
                    answers=answers.get(Specification.from_version(each).ref(project), 0),
                    url=f"{path}?{urlencode({'version': each.digest})}",
                    current=each is shown,
                )
                for each in versions
            ),
            fields=answer_forms.fields(spec),
            schema=drafts.schema_text(spec.schema),
            edit_url=editor_path(project, name, wanted),
            feedback_url=feedback_links.type_path(project, spec.type),
        ),
    )


@get("/p/{segment:str}/specs/new", include_in_schema=False, sync_to_thread=True)
def new_spec(request: AnyRequest, segment: FromPath[str]) -> Response[bytes]:
    """The editor: empty, or with a specification to make the next version of."""
    project = addresses.parse_project(segment)
    store = frames.store_of(request)
    name = request.query_params.get("of", "")
    draft = drafts.EMPTY
    if name:
        versions = store.objects.versions(project, "object", name)
        newest = max(versions, key=lambda each: each.version)
        digest = request.query_params.get("version") or newest.digest
        shown = store.objects.get(project, "object", name, digest)
        draft = drafts.from_spec(Specification.from_version(shown))
    return _send_editor(request, store, project, draft, errors={})


@post("/p/{segment:str}/specs/draft", include_in_schema=False, sync_to_thread=True, status_code=200)
def edit_spec(
    request: AnyRequest, segment: FromPath[str], body: RawBody
) -> Response[bytes] | Response[None]:
    """Show what a draft makes, turn it from form to schema or back, or publish it."""
    project = addresses.parse_project(segment)
    store = frames.store_of(request)
    sent = form_of(body)
    draft = drafts.from_form(sent)
    does = next(iter(sent.get("do", ())), "preview")
    try:
        if does == "schema":
            draft = drafts.as_schema(draft)
        elif does == "form":
            draft = _to_form(draft)
        spec = drafts.to_spec(draft)
        if does == "publish":
            publishing.publish(store.ingest.write, project, spec)
            return frames.redirect(spec_path(project, spec.name))
    except InvalidSpecification as error:
        return _send_editor(request, store, project, draft, errors=_errors(error, draft), does=does)
    except KibitzError as error:
        return _send_editor(
            request, store, project, draft, errors={"name": error.message}, does=does
        )
    return _send_editor(request, store, project, draft, errors={}, does=does)


def _to_form(draft: Draft) -> Draft:
    made = drafts.as_form(draft, drafts.to_schema(draft))
    if made is None:
        raise InvalidSpecification(
            "this schema says more than the form has fields for; keep it as a schema",
            field="schema",
            keyword="",
        )
    return made


def _errors(error: InvalidSpecification, draft: Draft) -> dict[str, str]:
    field = str(error.facts.get("field", ""))
    return {drafts.place_of(field, draft.mode): error.message}


def _send_editor(
    request: AnyRequest,
    store: Store,
    project: str,
    draft: Draft,
    *,
    errors: Mapping[str, str],
    does: str = "preview",
) -> Response[bytes]:
    versions: int = 0
    if draft.name:
        try:
            versions = len(store.objects.versions(project, "object", draft.name))
        except KibitzError:
            versions = 0
    # A form that is being typed in is not told that its name is missing.
    shown = {
        place: said
        for place, said in errors.items()
        if place != "name" or draft.name or does == "publish"
    }
    status = 400 if errors and does != "preview" else 200
    return frames.send(
        request,
        EditorPage(
            frame=_frame(request, store, f"Specification · {project}", project),
            project=project,
            draft=draft,
            kinds=tuple((kind, *words) for kind, words in drafts.KINDS.items()),
            places=drafts.PLACES,
            errors=shown,
            preview=_preview(draft),
            ops=tuple(op for op, _ in store.calls.ops(project)[:MAX_OPS]),
            next_version=versions + 1,
            action=f"{addresses.project_path(project)}/specs/draft",
        ),
        status=status,
    )


def _preview(draft: Draft) -> Preview:
    """What a draft makes; a name that is missing does not stand in the way of seeing it."""
    try:
        schema = drafts.schema_text(drafts.to_schema(draft))
    except InvalidSpecification:
        return Preview(spec=None, fields=(), schema=draft.schema)
    try:
        spec = drafts.to_spec(replace(draft, name=draft.name or "example"))
    except InvalidSpecification:
        return Preview(spec=None, fields=(), schema=schema)
    return Preview(spec=spec, fields=answer_forms.fields(spec, prefix="preview"), schema=schema)


def _answers(store: Store, project: str, spec: Specification) -> dict[str, int]:
    """How many judgements stand, by the reference of the version that they were made to."""
    found = store.calls.aggregate(
        AggregateQuery(
            project=project,
            over="feedback",
            type=spec.type,
            group_by=(PlaceKey(RowField("version")),),
            measures=(Count(),),
        )
    )
    return {str(each.keys[0]): int(each.measures[0].value or 0) for each in found.groups}


def spec_path(project: str, name: str) -> str:
    """The page of a specification."""
    return f"{addresses.project_path(project)}/specs/named/{addresses.escape(name)}"


def editor_path(project: str, name: str, version: str = "") -> str:
    """The editor with the next version of a specification."""
    given = {"of": name, "version": version} if version else {"of": name}
    return f"{addresses.project_path(project)}/specs/new?{urlencode(given)}"


def kind_words(spec: Specification) -> str:
    """What a specification asks for, in words."""
    if spec.kind == "fields":
        return f"{len(spec.slots)} answers"
    return drafts.KINDS[spec.kind][0].lower()


def _frame(request: AnyRequest, store: Store, title: str, project: str) -> Frame:
    return frames.frame(
        request, title, project=project, projects=store.projects.list(), place="feedback"
    )
