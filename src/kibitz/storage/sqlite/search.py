"""The text index of projects, for those who ask about it and decide what is in it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from kibitz.base.errors import UsageError
from kibitz.base.records import SearchCost, SearchIndex, SearchLevel
from kibitz.query.nodes import Node
from kibitz.storage import statements
from kibitz.storage.sqlite import indexing, planning, words
from kibitz.storage.sqlite.connection import Readers
from kibitz.storage.sqlite.ingest import SqliteIngest
from kibitz.storage.sqlite.names import project_pk

_SQL = statements.load("sqlite.sql")
LEVELS: dict[SearchLevel, int] = {
    "off": words.OFF,
    "words": words.WORDS,
    "substrings": words.SUBSTRINGS,
}
_NAMES: dict[int, SearchLevel] = {level: name for name, level in LEVELS.items()}
CALLS_PER_STEP = 1_000
"""So many hold the write lock for some 200 ms."""


class SqliteSearch:
    """Satisfies `storage.protocols.Search`."""

    def __init__(self, readers: Readers, ingest: SqliteIngest) -> None:
        self._readers = readers
        self._ingest = ingest

    def status(self, project: str) -> SearchIndex:
        """What the index holds of a project."""
        with self._readers.reading() as connection:
            pk = project_pk(connection, project)
            state = indexing.state(connection, pk)
            calls = connection.execute(_SQL["count_calls"], (pk,)).fetchone()[0]
        return SearchIndex(
            project=project,
            level=_NAMES[state.level],
            calls=calls,
            waiting=state.waiting,
            words=state.terms,
        )

    def set_level(self, project: str, level: SearchLevel) -> SearchIndex:
        """Change what the index holds of a project. See `storage.protocols.Search`."""
        if level not in LEVELS:
            raise UsageError(f"level must be one of {', '.join(LEVELS)}, not {level!r}")
        self._ingest.change(
            lambda connection: indexing.set_level(
                connection, project_pk(connection, project), LEVELS[level]
            )
        )
        return self.status(project)

    def cost(self, project: str, where: Node | None) -> SearchCost:
        """How the conditions on texts of a question would be answered now."""
        with self._readers.reading() as connection:
            pk = project_pk(connection, project)
            level = _NAMES[indexing.state(connection, pk).level]
            asks, way, waiting = planning.of_texts(connection, pk, where)
        return SearchCost(
            way="none" if not asks else "index" if way else "scan", level=level, waiting=waiting
        )

    def index_some(self, limit: int = CALLS_PER_STEP, project: str | None = None) -> int:
        """Index some calls that wait for it, of one project or of any; gives how many."""

        def work(connection: sqlite3.Connection) -> int:
            pk = None if project is None else project_pk(connection, project)
            return indexing.index_some(connection, limit, pk)

        return self._ingest.change(work)

    def fill(self, project: str, *, progress: Callable[[int, int], object]) -> SearchIndex:
        """Index every call of a project that waits, and tell how many of how many are done."""
        total = self.status(project).waiting
        done = 0
        progress(0, total)
        while some := self.index_some(project=project):
            done += some
            progress(done, max(done, total))
        return self.status(project)
