"""The API as OpenAPI: routes from the application, schemas from the records themselves."""

from __future__ import annotations

import copy
import functools
import inspect
import re
from collections.abc import Sequence
from typing import Any, cast

import msgspec
from litestar import Litestar, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.routes import HTTPRoute

from kibitz.base import api, wire
from kibitz.base.version import __version__
from kibitz.server import inputs
from kibitz.server.inputs import AnyRequest

_TEMPLATE = "#/components/schemas/{name}"


@get(api.OPENAPI, sync_to_thread=True, include_in_schema=False)
def describe(request: AnyRequest) -> Response[bytes]:
    """This document."""
    return Response(_written(tuple(_handlers(request.app))), media_type=wire.MEDIA_TYPE)


@functools.cache
def _written(described: tuple[HTTPRouteHandler, ...]) -> bytes:
    return wire.encode_record(document(described))


def document(described: Sequence[HTTPRouteHandler]) -> dict[str, Any]:
    """The OpenAPI document of handlers."""
    # An application for its description alone: in the real one Litestar would add pages of its own,
    # with scripts of foreign hosts and errors in another shape.
    app = Litestar(
        # Copies: an application makes itself the owner of its handlers, and the real one would lose what it
        # gives them, its error shape among it.
        route_handlers=[copy.copy(each) for each in described],
        openapi_config=OpenAPIConfig(
            title="Kibitz",
            version=__version__,
            create_examples=False,
            # Only to be unique: Litestar's own is not where one path takes several methods.
            operation_id_creator=lambda handler, method, path: (
                f"{method} {sorted(handler.paths)} {path}"
            ),
        ),
        logging_config=None,
    )
    document = app.openapi_schema.to_schema()
    known = _operations(app)
    wanted = [each.opt[inputs.BODY] for each in known.values() if inputs.BODY in each.opt]
    kinds = list(dict.fromkeys(wanted))
    found, components = msgspec.json.schema_components(
        [*kinds, api.Failure], ref_template=_TEMPLATE
    )
    schemas: dict[str, Any] = document.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(components)
    schema_of = dict(zip(kinds, found, strict=False))
    failure = {"description": "Error", "content": {wire.MEDIA_TYPE: {"schema": found[-1]}}}
    for path, methods in cast("dict[str, dict[str, Any]]", document["paths"]).items():
        for method, operation in methods.items():
            handler = known.get((method, path))
            if handler is None:
                continue
            inner = _written_function(handler.fn)
            text = inspect.getdoc(inner) or ""
            operation["summary"] = text.partition("\n")[0]
            operation["operationId"] = (
                f"{inner.__module__.rpartition('.')[2]}_{inner.__name__.strip('_')}"
            )
            kind = handler.opt.get(inputs.BODY)
            if kind is not None:
                operation["requestBody"] = {
                    "required": True,
                    "content": {wire.MEDIA_TYPE: {"schema": schema_of[kind]}},
                }
            # Litestar gives those of a path in the order of a set, another in each process.
            parameters = cast("list[dict[str, Any]]", operation.get("parameters", []))
            places = {each["name"]: path.find(f"{{{each['name']}}}") for each in parameters}
            parameters.sort(key=lambda each, places=places: places[each["name"]])
            operation["responses"].pop("400", None)
            operation["responses"]["default"] = failure
    return document


def _written_function(function: Any) -> Any:
    """What stands in the source, without what Litestar wraps around it to run it in a thread."""
    while hasattr(function, "func"):
        function = function.func
    return function


def _operations(app: Litestar) -> dict[tuple[str, str], HTTPRouteHandler]:
    """The handlers by method and path, as the document spells it."""
    return {
        (method.lower(), re.sub(r"\{(\w+):\w+\}", r"{\1}", path)): handler
        for handler in _handlers(app)
        for path in handler.paths
        for method in handler.http_methods
    }


def _handlers(app: Litestar) -> list[HTTPRouteHandler]:
    """What an application answers under the API, each once."""
    found = [
        handler
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        if handler.resolve_include_in_schema()
        and any(path.startswith(("/api/", api.HEALTH)) for path in handler.paths)
    ]
    return list(dict.fromkeys(found))


handlers = [describe]
