"""The routes of the API, by noun. Each parses, calls the store and answers; policy lives elsewhere."""

from __future__ import annotations

from litestar.types import ControllerRouterHandler

from kibitz.server.routes import (
    calls,
    description,
    feedback,
    files,
    health,
    ingest,
    objects,
    projects,
    session,
    traces,
    views,
)

handlers: list[ControllerRouterHandler] = [
    *ingest.handlers,
    *calls.handlers,
    *traces.handlers,
    *feedback.handlers,
    *objects.handlers,
    *projects.handlers,
    *files.handlers,
    *views.handlers,
    *health.handlers,
    *description.handlers,
    *session.handlers,
]
