"""Beginning to record: a session wired to its transport, in the place of the one before."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from kibitz.base import refs
from kibitz.base import settings as all_settings
from kibitz.base.errors import UsageError
from kibitz.base.settings import TracingSettings
from kibitz.tracing import session as sessions
from kibitz.tracing import transport
from kibitz.tracing.session import Session
from kibitz.tracing.transport import Transport


def begin(
    project: str,
    url: str | None,
    settings: TracingSettings | Mapping[str, Any] | None,
    overrides: Mapping[str, Any],
) -> Session:
    """What `kibitz.init` does, and gives."""
    refs.check_project(project)
    if isinstance(settings, TracingSettings):
        given: dict[str, Any] = dataclasses.asdict(settings)
        environment: Mapping[str, str] = {}
    else:
        given, environment = dict(settings or {}), os.environ
    given.update(overrides)
    if url is not None:
        given["url"] = url
    chosen = all_settings.load(TracingSettings, environment, given)
    with sessions.changing:
        running = sessions.current()
        if running is not None:
            if (running.project, running.settings) == (project, chosen):
                return running
            running.finish()
        session = _session(project, chosen)
        sessions.use(session)
        session.start()
        return session


def _session(project: str, settings: TracingSettings) -> Session:
    """The session for settings, wired to its transport."""
    if not settings.enabled:
        # Not even the data folder is made.
        return Session(project, settings, target="nowhere", factory=_nowhere)

    def reading() -> AbstractContextManager[Any]:
        from kibitz.asking.places import Place

        return Place(project).opened()

    if settings.url is None:
        from kibitz.storage import sqlite

        folder = Path(settings.data).absolute()

        def open_folder() -> Transport:
            return transport.Local(sqlite.open_store(folder))

        return Session(
            project,
            settings,
            target=settings.data,
            spool_key="local",
            factory=open_folder,
            transport=open_folder(),
            reading=reading,
        )
    from kibitz.client.delivery import HttpDelivery
    from kibitz.client.http import Connection

    server, api_key, timeout_s = settings.url.rstrip("/"), settings.api_key, settings.timeout_s

    def connect() -> Transport:
        return HttpDelivery(Connection(server, api_key=api_key, timeout_s=timeout_s))

    return Session(
        project,
        settings,
        target=server,
        factory=connect,
        transport=connect(),
        page=f"{server}/p/{project.replace('/', '~')}/calls",
        reading=reading,
    )


def _nowhere() -> Transport:
    raise UsageError("recording is switched off (KIBITZ_ENABLED)")
