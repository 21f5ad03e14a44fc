"""Publishing a specification from Python."""

from __future__ import annotations

from pathlib import Path

from kibitz.asking import sources
from kibitz.asking.places import Named, Place
from kibitz.asking.sources import Source
from kibitz.base import publishing
from kibitz.base.errors import UsageError
from kibitz.base.specifications import AnnotationSpec
from kibitz.tracing import session as sessions


def publish(spec: AnnotationSpec, project: str | None = None, source: Named = None) -> str:
    """Make a version of a specification and give its reference; the same again changes nothing.

    Args:
        spec: what people are asked.
        project: whose it is; left out, that of `kibitz.init`.
        source: a data folder, a server's address or an open store; left out, where this program records. Then it is
            delivered like calls are, also later where the server is away now.

    Raises:
        UsageError: no project is named, and nothing is recorded.
        KibitzError: the place cannot be written, or refuses it.
    """
    session = sessions.current()
    if session is not None and source is None and project in (None, session.project):
        return session.publish(spec)
    if project is None:
        raise UsageError(
            "publish to which project? Name it, publish(spec, 'team/app'), or call kibitz.init() before",
            field="project",
        )
    place = Place(project, source)
    if source is not None and not isinstance(source, str | Path | Source):
        return publishing.publish(source.ingest.write, project, spec)
    with sources.writer(place.source()) as ingest:
        return publishing.publish(ingest.write, project, spec)
