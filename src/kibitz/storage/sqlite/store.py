"""The embedded store: one SQLite file in the data folder, opened."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kibitz.base.errors import Unavailable
from kibitz.storage.sqlite import connection as door
from kibitz.storage.sqlite import forking, migrations
from kibitz.storage.sqlite.bulk import SqliteBulk
from kibitz.storage.sqlite.call_reading import SqliteCalls
from kibitz.storage.sqlite.contents import SqliteContents
from kibitz.storage.sqlite.evaluations import SqliteEvaluations
from kibitz.storage.sqlite.feedback_reading import SqliteFeedback
from kibitz.storage.sqlite.ingest import SqliteIngest
from kibitz.storage.sqlite.rule_keeping import SqliteRules
from kibitz.storage.sqlite.search import SqliteSearch
from kibitz.storage.sqlite.things import SqliteFiles, SqliteObjects, SqliteProjects
from kibitz.storage.sqlite.upkeep import Upkeep
from kibitz.storage.sqlite.views import SqliteViews


@dataclass(frozen=True, slots=True)
class SqliteStore:
    """Satisfies `storage.protocols.Store`. Safe for threads; several processes may open one folder."""

    path: Path
    """The file."""
    ingest: SqliteIngest
    calls: SqliteCalls
    feedback: SqliteFeedback
    objects: SqliteObjects
    projects: SqliteProjects
    files: SqliteFiles
    views: SqliteViews
    search: SqliteSearch
    bulk: SqliteBulk
    evaluations: SqliteEvaluations
    rules: SqliteRules
    contents: SqliteContents
    _readers: door.Readers
    _upkeep: Upkeep | None = None

    def close(self) -> None:
        """Finish writing and close all connections."""
        if self._upkeep is not None:
            self._upkeep.stop()
        self.ingest.close()
        self._readers.close()


def open_store(
    folder: Path,
    *,
    synchronous: str = "normal",
    query_timeout_s: float = 10.0,
    max_call_bytes: int = 4 << 20,
    upkeep: bool = False,
) -> SqliteStore:
    """Open the store of a data folder; folder and store are made where they are missing.

    Args:
        folder: the data folder.
        synchronous: `normal` survives a killed process, `full` also a power cut.
        query_timeout_s: a query that takes longer is stopped with `QueryTimeout`.
        max_call_bytes: a call whose payloads take more is rejected.
        upkeep: look after the store in quiet moments from a thread of its own, until it is closed;
            for a process that serves the folder.

    Raises:
        Unavailable: the folder cannot be made or written.
        StorageDamaged: the file there is not a store.
        KibitzError: a newer version of Kibitz wrote it.
    """
    path = folder / door.FILE_NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(f"the data folder {folder} cannot be made: {error}") from error
    with door.translated(path), forking.using():
        connection = door.open_writer(path, synchronous=synchronous)
        try:
            migrations.migrate(connection)
        finally:
            connection.close()
    readers = door.Readers(path, query_timeout_s=query_timeout_s)
    ingest = SqliteIngest(path, synchronous=synchronous, max_call_bytes=max_call_bytes)
    keeper = Upkeep(ingest) if upkeep else None
    if keeper is not None:
        keeper.start()
    return SqliteStore(
        path=path,
        ingest=ingest,
        calls=SqliteCalls(readers),
        feedback=SqliteFeedback(readers, ingest),
        objects=SqliteObjects(readers),
        projects=SqliteProjects(readers),
        files=SqliteFiles(readers, ingest),
        views=SqliteViews(readers, ingest),
        search=SqliteSearch(readers, ingest),
        bulk=SqliteBulk(readers, ingest),
        evaluations=SqliteEvaluations(readers, ingest),
        rules=SqliteRules(readers, ingest),
        contents=SqliteContents(readers),
        _readers=readers,
        _upkeep=keeper,
    )
