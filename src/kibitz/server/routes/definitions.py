"""Feedback definitions: feedback functions as they are stored, by name and version.

Nothing that a definition names is imported here: it comes from whoever may write to the store.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, cast

import msgspec
from litestar import get
from litestar.params import PathParameter, RawBody

from kibitz.base import api, evaluation_api, refs, wire
from kibitz.base.errors import InvalidRecord, NotFound, UsageError
from kibitz.base.evaluation_api import DefinitionVersion
from kibitz.base.evaluations import DEFINITION
from kibitz.base.records import Batch, ObjectPart, ObjectVersion
from kibitz.judging import aggregators, definitions, trying
from kibitz.judging.definitions import Definition
from kibitz.judging.functions import Feedback
from kibitz.server import inputs
from kibitz.server.inputs import AnyRequest, ProjectIn, StoreIn
from kibitz.storage.protocols import Store

NameIn = Annotated[str, PathParameter(description="The name of a feedback definition.")]

_SAID = (
    "implementation",
    "arguments",
    "selectors",
    "aggregator",
    "combinations",
    "if_exists",
    "if_missing",
    "higher_is_better",
    "run_location",
)


@get(api.DEFINITIONS, sync_to_thread=True, tags=["definitions"])
def listed(project: ProjectIn, store: StoreIn) -> evaluation_api.Definitions:
    """The newest version of each feedback definition, by name."""
    found = store.objects.list(inputs.project(project), "object", DEFINITION)
    return evaluation_api.Definitions(definitions=[_described(each) for each in found])


@get(f"{api.DEFINITIONS}/{{name:str}}/versions", sync_to_thread=True, tags=["definitions"])
def versions(name: NameIn, project: ProjectIn, store: StoreIn) -> evaluation_api.Definitions:
    """The versions of a feedback definition, newest first."""
    return _versions(store, inputs.project(project), name)


@get(f"{api.DEFINITIONS}/{{rest:path}}", sync_to_thread=True, include_in_schema=False)
def with_slash(
    request: AnyRequest, project: ProjectIn, store: StoreIn
) -> evaluation_api.Definitions:
    """The same for a name that has a slash, written `%2F`."""
    parts = inputs.segments(request, api.DEFINITIONS)
    if len(parts) != 2 or parts[1] != "versions":
        raise NotFound(f"{request.url.path[:120]!r} is not {api.DEFINITIONS}/NAME/versions")
    return _versions(store, inputs.project(project), parts[0])


@inputs.posted(api.DEFINITIONS, evaluation_api.NewDefinition, tag="definitions", status_code=201)
def publish(body: RawBody, store: StoreIn) -> DefinitionVersion:
    """Publish a feedback definition: a new version of its name, or the one there is where nothing is different."""
    given = wire.decode_as(evaluation_api.NewDefinition, body, what="the definition")
    project = refs.check_project(given.project)
    definition = Definition(_checked(given.value))
    part = msgspec.convert(msgspec.to_builtins(definition.part()), ObjectPart)
    for rejection in store.ingest.write(Batch(project=project, objects=[part])).rejected:
        raise wire.error_of(rejection)
    return _described(store.objects.get(project, "object", definition.name, definition.id))


def _versions(store: Store, project: str, name: str) -> evaluation_api.Definitions:
    found = [
        _described(each)
        for each in store.objects.versions(project, "object", name)
        if _value(each).get(definitions.TYPE_KEY) == DEFINITION
    ]
    if not found:
        raise NotFound(
            f"project {project!r} has no feedback definition {name[:64]!r}; there is an object of that name",
            project=project,
            name=name,
        )
    return evaluation_api.Definitions(definitions=found)


def _described(version: ObjectVersion) -> DefinitionVersion:
    value = _value(version)
    ref = refs.Ref(project=version.project, kind="object", name=version.name, digest=version.digest)
    return DefinitionVersion(
        project=version.project,
        name=version.name,
        ref=refs.format_ref(ref),
        digest=version.digest,
        version=version.version,
        created_at=version.created_at,
        **{key: value.get(key) for key in _SAID},
    )


def _value(version: ObjectVersion) -> Mapping[str, Any]:
    value: object = version.value
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _checked(value: dict[str, Any]) -> dict[str, Any]:
    """A value as Python would publish it: held to the shape of a definition, with what may be left out.

    Raises:
        InvalidRecord: it is no definition.
        UsageError: a selector or another word of it cannot be used.
    """
    known = definitions.check({definitions.TYPE_KEY: DEFINITION, **value})
    selectors = cast("dict[str, Any]", known["selectors"])
    for name in selectors:
        if not name.isidentifier():
            raise InvalidRecord(
                f"selectors of the definition has {name[:60]!r}, which names no argument",
                field="selectors",
            )
    if_exists = known.get("if_exists")
    # Without an implementation it is all that a feedback function holds its words to, and imports nothing.
    said = Feedback(
        name=known["name"],
        higher_is_better=_truth(known.get("higher_is_better")),
        if_exists=None if if_exists is None else trying.read(_text(if_exists, "if_exists")),
        if_missing=known.get("if_missing"),
        combinations=known.get("combinations"),
        selectors={
            name: trying.read(_text(each, f"selectors.{name}")) for name, each in selectors.items()
        },
        run_location=known.get("run_location"),
    )
    return {
        definitions.TYPE_KEY: DEFINITION,
        "class": _callable(known.get("class", definitions.CLASS), "class"),
        "name": known["name"],
        "implementation": _callable(known["implementation"], "implementation"),
        "arguments": _mapping(known.get("arguments", {}), "arguments"),
        "selectors": {name: str(lens) for name, lens in said.selectors.items()},
        "combinations": str(said.combinations),
        "aggregator": _aggregator(known.get("aggregator", aggregators.DEFAULT)),
        "if_exists": None if said.if_exists is None else str(said.if_exists),
        "if_missing": str(said.if_missing),
        "higher_is_better": said.higher_is_better,
        "run_location": None if said.run_location is None else str(said.run_location),
    }


def _aggregator(value: Any, field: str = "aggregator") -> Any:
    if isinstance(value, str):
        return aggregators.of(value).value
    said = _mapping(value, field)
    if "several" not in said:
        return _callable(said, field)
    several = _mapping(said["several"], f"{field}.several")
    if not several:
        raise InvalidRecord(f"{field}.several of the definition names none", field=field)
    return {
        "several": {name: _aggregator(each, f"{field}.{name}") for name, each in several.items()}
    }


def _callable(value: Any, field: str) -> dict[str, Any]:
    said = _mapping(value, field)
    for key in ("module", "name", *({"class"} & said.keys())):
        _text(said.get(key), f"{field}.{key}")
    _mapping(said.get("parameters", {}), f"{field}.parameters")
    return said


def _mapping(value: Any, field: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidRecord(
            f"{field} of the definition is {_short(value)}, not an object", field=field
        )
    return cast("dict[str, Any]", value)


def _text(value: Any, field: str) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidRecord(
            f"{field} of the definition is {_short(value)}, not a text", field=field
        )
    return value


def _truth(value: Any) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise UsageError(
            f"higher_is_better of the definition is {_short(value)}, not true or false",
            field="higher_is_better",
        )
    return value


def _short(value: Any) -> str:
    return msgspec.json.encode(value).decode()[:60]


handlers = [listed, versions, with_slash, publish]
