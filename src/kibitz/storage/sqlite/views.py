"""Saved views: what a project asks often, under names."""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec

from kibitz.base import clock
from kibitz.base.api import NewView
from kibitz.base.errors import NotFound, UsageError
from kibitz.base.records import View
from kibitz.query import fields, views
from kibitz.storage import statements
from kibitz.storage.sqlite.connection import Readers
from kibitz.storage.sqlite.ingest import SqliteIngest
from kibitz.storage.sqlite.names import project_pk

_SQL = statements.load("sqlite.sql")


class SqliteViews:
    """Satisfies `storage.protocols.ViewStore`."""

    def __init__(self, readers: Readers, ingest: SqliteIngest) -> None:
        self._readers = readers
        self._ingest = ingest

    def list(self, project: str) -> list[View]:
        """The views of a project by name; raises `NotFound` where there is no project."""
        with self._readers.reading() as connection:
            rows = connection.execute(_SQL["views"], (project_pk(connection, project), None))
            return [_view(project, row) for row in rows]

    def get(self, project: str, name: str) -> View:
        """One view; raises `NotFound`."""
        with self._readers.reading() as connection:
            return _one(connection, project, project_pk(connection, project), name)

    def save(self, project: str, name: str, view: NewView) -> View:
        """Keep a view under a name, in the place of what the name had. See `storage.protocols.ViewStore`."""
        views.check_name(name)

        def write(connection: sqlite3.Connection) -> View:
            pk = project_pk(connection, project)
            types = (row[0] for row in connection.execute(_SQL["feedback_type_names"], (pk,)))
            now = clock.now()
            views.check(view, types, now)
            columns = msgspec.json.encode(view.columns).decode()
            moment = clock.to_us(now)
            connection.execute(
                _SQL["save_view"],
                (pk, name, view.query, view.sort, columns, view.author, moment, moment),
            )
            (count,) = connection.execute(_SQL["count_views"], (pk,)).fetchone()
            if count > views.MAX_VIEWS:
                raise UsageError(
                    f"project {project!r} has {views.MAX_VIEWS:,} views, and no more can be kept; "
                    "delete some",
                    limit=views.MAX_VIEWS,
                )
            return _one(connection, project, pk, name)

        return self._ingest.change(write)

    def delete(self, project: str, name: str) -> View:
        """Forget a view and give what it was; raises `NotFound`."""

        def write(connection: sqlite3.Connection) -> View:
            pk = project_pk(connection, project)
            deleted = _one(connection, project, pk, name)
            connection.execute(_SQL["delete_view"], (pk, name))
            return deleted

        return self._ingest.change(write)


def _one(connection: sqlite3.Connection, project: str, pk: int, name: str) -> View:
    # A name that none has may hold what no text of the store can.
    kept = name if name.isprintable() else ""
    row = connection.execute(_SQL["views"], (pk, kept)).fetchone()
    if row is not None:
        return _view(project, row)
    known = [row[0] for row in connection.execute(_SQL["views"], (pk, None))]
    close = fields.nearest(name, known)
    hint = f"; did you mean {close!r}?" if close else ""
    raise NotFound(
        f"project {project!r} has no view {name[: views.MAX_NAME_CHARACTERS]!r}{hint}",
        project=project,
        name=name[: views.MAX_NAME_CHARACTERS],
        suggestion=close,
    )


def _view(project: str, row: Any) -> View:
    name, query, sort, columns, author, created_at, updated_at = row
    return View(
        project=project,
        name=name,
        query=query,
        sort=sort,
        columns=msgspec.json.decode(columns, type=list[str]),
        author=author,
        created_at=clock.from_us(created_at),
        updated_at=clock.from_us(updated_at),
    )
