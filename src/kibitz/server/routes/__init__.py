"""The routes of the API, by noun. Each parses, calls the store and answers; policy lives elsewhere."""

from __future__ import annotations

from litestar.types import ControllerRouterHandler

from kibitz.server.routes import (
    aggregation,
    bulk,
    calls,
    completion,
    definitions,
    description,
    evaluations,
    export,
    feedback,
    files,
    health,
    ingest,
    objects,
    projects,
    records,
    rules,
    search,
    session,
    specifications,
    traces,
    views,
)

handlers: list[ControllerRouterHandler] = [
    *ingest.handlers,
    *aggregation.handlers,
    *calls.handlers,
    *completion.handlers,
    *bulk.handlers,
    *export.handlers,
    *traces.handlers,
    *feedback.handlers,
    *objects.handlers,
    *specifications.handlers,
    *projects.handlers,
    *files.handlers,
    *views.handlers,
    *evaluations.handlers,
    *definitions.handlers,
    *rules.handlers,
    *records.handlers,
    *search.handlers,
    *health.handlers,
    *description.handlers,
    *session.handlers,
]
