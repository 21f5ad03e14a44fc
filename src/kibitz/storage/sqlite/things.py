"""Reading projects, versions of objects, and files."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from kibitz.base import refs
from kibitz.base.errors import NotFound
from kibitz.base.records import Batch, FilePart, ObjectVersion, ProjectInfo
from kibitz.storage import statements
from kibitz.storage.sqlite.connection import Readers
from kibitz.storage.sqlite.ingest import SqliteIngest
from kibitz.storage.sqlite.names import project_pk

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SQL = statements.load("sqlite.sql")


class SqliteProjects:
    """Satisfies `storage.protocols.ProjectReader`."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    def list(self) -> list[ProjectInfo]:
        """All projects, the one with the latest call first."""
        with self._readers.reading() as connection:
            return [_project(row) for row in connection.execute(_SQL["projects"], (None,))]

    def get(self, name: str) -> ProjectInfo:
        """One project; raises `NotFound`."""
        with self._readers.reading() as connection:
            project_pk(connection, name)
            return _project(connection.execute(_SQL["projects"], (name,)).fetchone())


def _project(row: Any) -> ProjectInfo:
    return ProjectInfo(
        name=row[0],
        created_at=_EPOCH + timedelta(microseconds=row[1]),
        calls=row[2],
        errors=row[3],
        running=row[4],
        stored_bytes=row[5],
        feedback=row[6],
        last_call_at=None if row[7] is None else _EPOCH + timedelta(microseconds=row[7]),
    )


class SqliteObjects:
    """Satisfies `storage.protocols.ObjectReader`."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    def get(self, project: str, kind: str, name: str, digest: str) -> ObjectVersion:
        """One version; raises `NotFound`."""
        with self._readers.reading() as connection:
            row = connection.execute(
                _SQL["object_version"], (project_pk(connection, project), kind, name, digest)
            ).fetchone()
        if row is None:
            raise NotFound(
                f"project {project!r} has no {kind} {name[:64]!r} of digest {digest[:40]!r}",
                project=project,
                name=name,
            )
        return _version(project, kind, name, row)

    def versions(self, project: str, kind: str, name: str) -> list[ObjectVersion]:
        """All versions of a name, newest first; raises `NotFound`."""
        with self._readers.reading() as connection:
            rows = connection.execute(
                _SQL["object_versions"], (project_pk(connection, project), kind, name)
            ).fetchall()
        if not rows:
            raise NotFound(
                f"project {project!r} has no {kind} {name[:64]!r}", project=project, name=name
            )
        return [_version(project, kind, name, row) for row in rows]

    # Last, because the class has a method of that name from here on.
    def list(
        self, project: str, kind: str | None = None, type: str | None = None
    ) -> Sequence[ObjectVersion]:
        """The newest version of each name, by name."""
        with self._readers.reading() as connection:
            rows = connection.execute(
                _SQL["newest_objects"], (project_pk(connection, project), kind, type)
            ).fetchall()
        return [_version(project, each, name, row) for each, name, *row in rows]


def _version(project: str, kind: str, name: str, row: Any) -> ObjectVersion:
    digest, value, created_at, version = row
    return ObjectVersion(
        project=project,
        kind="op" if kind == "op" else "object",
        name=name,
        digest=digest,
        value=msgspec.json.decode(value),
        created_at=_EPOCH + timedelta(microseconds=created_at),
        version=version,
    )


class SqliteFiles:
    """Satisfies `storage.protocols.FileStore`."""

    def __init__(self, readers: Readers, ingest: SqliteIngest) -> None:
        self._readers = readers
        self._ingest = ingest

    def put(self, project: str, content: bytes, media_type: str) -> str:
        """Store bytes once and give their digest."""
        file = FilePart(digest=refs.digest(content), media_type=media_type, content=content)
        self._ingest.write(Batch(project=project, files=[file]))
        return file.digest

    def get(self, project: str, digest: str) -> tuple[bytes, str]:
        """The bytes and their media type; raises `NotFound`."""
        with self._readers.reading() as connection:
            row = connection.execute(
                _SQL["file"],
                (project_pk(connection, project), digest),
            ).fetchone()
        if row is None:
            raise NotFound(f"project {project!r} has no file {digest[:40]!r}", project=project)
        return row[0], row[1]
