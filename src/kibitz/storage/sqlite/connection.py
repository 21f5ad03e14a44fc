"""The one door to SQLite: how connections are opened, and its errors in our words."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from kibitz.base import clock
from kibitz.base.errors import (
    KibitzError,
    QueryTimeout,
    StorageDamaged,
    StorageFull,
    Unavailable,
)
from kibitz.base.locks import ForkLock
from kibitz.storage.sqlite import forking, functions

FILE_NAME = "kibitz.sqlite3"
BUSY_TIMEOUT_MS = 10_000
"""How long a write waits for other processes; each holds the lock for milliseconds."""
_INSTRUCTIONS_PER_CHECK = 20_000
"""Virtual machine steps between looks at the clock: some 0.2 ms."""


def open_writer(path: Path, *, synchronous: str) -> sqlite3.Connection:
    """The connection that writes. It is shared between threads under the caller's lock."""
    connection = forking.connect(path, timeout_s=BUSY_TIMEOUT_MS / 1000)
    # The page size holds for a new file only and must come before the first table.
    connection.execute("PRAGMA page_size = 8192")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {'FULL' if synchronous == 'full' else 'NORMAL'}")
    connection.execute("PRAGMA cache_size = -65536")
    connection.execute("PRAGMA temp_store = MEMORY")
    # 32 MB between checkpoints: fewer of them under load, and still soon read back after a crash.
    connection.execute("PRAGMA wal_autocheckpoint = 4000")
    return connection


class Readers:
    """A connection for each thread, opened when it first asks and anew after a fork."""

    def __init__(self, path: Path, *, query_timeout_s: float) -> None:
        self._path = path
        self._timeout_s = query_timeout_s
        self._local = threading.local()
        self._lock = ForkLock()
        """Protects `_opened`."""
        self._opened: list[sqlite3.Connection] = []
        self._generation = forking.generation()

    @contextmanager
    def reading(self) -> Generator[sqlite3.Connection]:
        """A connection for this thread; what runs in it is stopped at the time limit."""
        with translated(self._path, limit_s=self._timeout_s), forking.using():
            connection = self._connection()
            deadline_ns = clock.monotonic_ns() + int(self._timeout_s * 1e9)
            connection.set_progress_handler(
                lambda: clock.monotonic_ns() > deadline_ns, _INSTRUCTIONS_PER_CHECK
            )
            functions.stop_at(deadline_ns)
            # One snapshot for all statements of a question: a page and its scores belong together.
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.set_progress_handler(None, 0)
                connection.execute("COMMIT")

    def _connection(self) -> sqlite3.Connection:
        self._forget_closed()
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = forking.connect(self._path, timeout_s=BUSY_TIMEOUT_MS / 1000)
            connection.execute("PRAGMA query_only = ON")
            connection.execute("PRAGMA cache_size = -65536")
            connection.execute("PRAGMA temp_store = MEMORY")
            connection.execute("PRAGMA mmap_size = 1073741824")
            functions.register(connection)
            self._local.connection = connection
            with self._lock:
                self._opened.append(connection)
        return connection

    def _forget_closed(self) -> None:
        with self._lock:
            if self._generation != forking.generation():
                self._local = threading.local()
                self._opened = []
                self._generation = forking.generation()

    def close(self) -> None:
        """Close every thread's connection."""
        with forking.using():
            self._forget_closed()
            with self._lock:
                opened, self._opened = self._opened, []
            for connection in opened:
                connection.close()
            self._local = threading.local()


@contextmanager
def translated(path: Path, *, limit_s: float | None = None) -> Generator[None]:
    """Raise SQLite's errors as ours, chained."""
    try:
        yield
    except KibitzError:
        raise
    except sqlite3.Error as error:
        raise _translate(error, path, limit_s) from error


def _translate(error: sqlite3.Error, path: Path, limit_s: float | None) -> KibitzError:
    name: str = getattr(error, "sqlite_errorname", "") or ""
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return Unavailable(
            f"the store {path} is being written by other processes; try again", retry_after_s=1.0
        )
    if name.startswith("SQLITE_FULL") or "disk is full" in str(error):
        return StorageFull(f"the disk of {path.parent} is full; make room, nothing was stored")
    if name.startswith("SQLITE_INTERRUPT"):
        return QueryTimeout(
            f"the query took longer than {limit_s:g} s and was stopped; bound it by time or op",
            limit_s=limit_s,
        )
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return StorageDamaged(
            f"{path} is not a readable store ({error}); restore it from a backup", path=str(path)
        )
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_IOERR", "SQLITE_PERM")):
        return Unavailable(f"the store {path} cannot be opened or written: {error}", path=str(path))
    return KibitzError(f"the store {path} refused a statement: {error}")
