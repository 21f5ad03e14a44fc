"""The integers that stand for names, remembered once they are committed.

Rows of these tables are never deleted, so what was read stays true. The writer asks with `ensure_…`
inside its transaction and forgets what it learnt there when the transaction is rolled back.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field

from kibitz.base.errors import NotFound
from kibitz.base.specifications import AnnotationSpec
from kibitz.query.catalog import TypeEntry
from kibitz.storage import statements

_SQL = statements.load("sqlite.sql")
_EVALUATIONS_SQL = statements.load("evaluations.sql")

Path = tuple[str, ...]


def path_text(path: Path) -> str:
    """A path as text: dots between keys, dots and backslashes in a key escaped."""
    return ".".join(part.replace("\\", "\\\\").replace(".", "\\.") for part in path)


@dataclass(slots=True)
class WriterNames:
    """Names as the writer of this process knows them."""

    projects: dict[str, int] = field(default_factory=dict[str, int])
    ops: dict[tuple[int, str], int] = field(default_factory=dict[tuple[int, str], int])
    refs: dict[str, int] = field(default_factory=dict[str, int])
    authors: dict[tuple[int, str, str], int] = field(
        default_factory=dict[tuple[int, str, str], int]
    )
    types: dict[tuple[int, str], int] = field(default_factory=dict[tuple[int, str], int])
    series: dict[tuple[int, Path], int] = field(default_factory=dict[tuple[int, Path], int])
    versions: dict[tuple[int, str], AnnotationSpec | None] = field(
        default_factory=dict[tuple[int, str], "AnnotationSpec | None"]
    )
    """Versions of ops and objects that are there, by reference; with the specification that one is."""
    definitions: dict[tuple[int, str], int] = field(default_factory=dict[tuple[int, str], int])
    """Definitions of feedback functions that are there, by reference."""
    rules: dict[tuple[int, str], int] = field(default_factory=dict[tuple[int, str], int])

    def forget(self) -> None:
        """After a roll-back: nothing learnt in it may be true."""
        for known in (self.projects, self.ops, self.refs, self.authors, self.types, self.series):
            known.clear()
        self.versions.clear()
        self.definitions.clear()
        self.rules.clear()

    def project(self, connection: sqlite3.Connection, name: str, now: int) -> int:
        pk = self.projects.get(name)
        if pk is None:
            connection.execute(
                "INSERT INTO projects (name, created_at) VALUES (?, ?) ON CONFLICT DO NOTHING",
                (name, now),
            )
            pk = _pk(connection, _SQL["project_pk"], name)
            self.projects[name] = pk
        return pk

    def op(self, connection: sqlite3.Connection, project: int, name: str) -> int:
        pk = self.ops.get((project, name))
        if pk is None:
            connection.execute(
                "INSERT INTO ops (project, name) VALUES (?, ?) ON CONFLICT DO NOTHING",
                (project, name),
            )
            pk = _pk(connection, "SELECT pk FROM ops WHERE project = ? AND name = ?", project, name)
            self.ops[project, name] = pk
        return pk

    def ref(self, connection: sqlite3.Connection, text: str | None) -> int | None:
        if text is None:
            return None
        pk = self.refs.get(text)
        if pk is None:
            connection.execute("INSERT INTO refs (text) VALUES (?) ON CONFLICT DO NOTHING", (text,))
            pk = _pk(connection, "SELECT pk FROM refs WHERE text = ?", text)
            if len(self.refs) > 10_000:
                # References to threads and messages are as many as these; versions of ops are few.
                self.refs.clear()
            self.refs[text] = pk
        return pk

    def author(self, connection: sqlite3.Connection, project: int, name: str, kind: str) -> int:
        pk = self.authors.get((project, name, kind))
        if pk is None:
            connection.execute(
                "INSERT INTO authors (project, name, kind) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (project, name, kind),
            )
            pk = _pk(
                connection,
                "SELECT pk FROM authors WHERE project = ? AND name = ? AND kind = ?",
                project,
                name,
                kind,
            )
            if len(self.authors) > 100_000:
                self.authors.clear()
            self.authors[project, name, kind] = pk
        return pk

    def type(self, connection: sqlite3.Connection, project: int, name: str) -> int:
        pk = self.types.get((project, name))
        if pk is None:
            connection.execute(
                "INSERT INTO feedback_types (project, name) VALUES (?, ?) ON CONFLICT DO NOTHING",
                (project, name),
            )
            pk = _pk(
                connection,
                "SELECT pk FROM feedback_types WHERE project = ? AND name = ?",
                project,
                name,
            )
            self.types[project, name] = pk
        return pk

    def rule(self, connection: sqlite3.Connection, project: int, name: str) -> int:
        pk = self.rules.get((project, name))
        if pk is None:
            connection.execute(_EVALUATIONS_SQL["insert_rule_name"], (project, name))
            pk = _pk(connection, _EVALUATIONS_SQL["rule_name_pk"], project, name)
            if len(self.rules) > 10_000:
                self.rules.clear()
            self.rules[project, name] = pk
        return pk

    def one_series(self, connection: sqlite3.Connection, type_pk: int, path: Path) -> int:
        pk = self.series.get((type_pk, path))
        if pk is None:
            text = path_text(path)
            connection.execute(
                "INSERT INTO series (type, path) VALUES (?, ?) ON CONFLICT DO NOTHING",
                (type_pk, text),
            )
            pk = _pk(connection, "SELECT pk FROM series WHERE type = ? AND path = ?", type_pk, text)
            if len(self.series) > 100_000:
                self.series.clear()
            self.series[type_pk, path] = pk
        return pk


def _pk(connection: sqlite3.Connection, statement: str, *params: int | str) -> int:
    return connection.execute(statement, params).fetchone()[0]


class ReadCatalog:
    """The names of one project within one read transaction; satisfies `query.catalog.Catalog`."""

    def __init__(self, connection: sqlite3.Connection, project: int) -> None:
        self._connection = connection
        self._project = project

    def op(self, name: str) -> int | None:
        return self._one("SELECT pk FROM ops WHERE project = ? AND name = ?", self._project, name)

    def feedback_type(self, name: str) -> TypeEntry | None:
        row = self._connection.execute(
            "SELECT pk, unindexed FROM feedback_types WHERE project = ? AND name = ?",
            (self._project, name),
        ).fetchone()
        return None if row is None else TypeEntry(pk=row[0], indexed=not row[1])

    def series(self, type_pk: int, path: Path) -> int | None:
        return self._one(
            "SELECT pk FROM series WHERE type = ? AND path = ?", type_pk, path_text(path)
        )

    def _one(self, statement: str, *params: int | str) -> int | None:
        row = self._connection.execute(statement, params).fetchone()
        return None if row is None else row[0]


def project_pk(connection: sqlite3.Connection, name: str) -> int:
    """The integer of a project; raises `NotFound`."""
    row = connection.execute(_SQL["project_pk"], (name,)).fetchone()
    if row is None:
        raise NotFound(
            f"there is no project {name[:128]!r}; it begins with the first call sent to it",
            project=name,
        )
    return row[0]
