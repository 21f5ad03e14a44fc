"""Writing: batches of many threads become one transaction each time the lock is free.

    thread A ─ prepare ─┐
    thread B ─ prepare ─┼─▶ waiting ─▶ whoever gets the lock writes all that wait ─▶ one COMMIT ─▶ all return
    thread C ─ prepare ─┘

There is no writer thread: under no load a write is done by its caller at once, under load callers
gather while the lock is held, so commits grow instead of queues. A batch that fails alone is retried
alone, so that one bad batch does not take its neighbours with it.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from kibitz.base import clock
from kibitz.base.errors import KibitzError, Unavailable
from kibitz.base.records import Batch, Receipt
from kibitz.storage.sqlite import connection as door
from kibitz.storage.sqlite import forking, indexing, writing
from kibitz.storage.sqlite.names import WriterNames
from kibitz.storage.sqlite.preparing import Prepared, prepare

T = TypeVar("T")
_PAUSE_PER_CALL_NS = 2_000_000
_LONGEST_PAUSE_NS = 1_000_000_000

MAX_GATHERED_ITEMS = 20_000
"""In one transaction: some half a second of writing, which other processes wait for."""


class _Waiting:
    """A prepared batch and, once somebody has written it, what became of it."""

    __slots__ = ("error", "prepared", "receipt")

    def __init__(self, prepared: Prepared) -> None:
        self.prepared = prepared
        self.receipt: Receipt | None = None
        self.error: BaseException | None = None

    @property
    def is_done(self) -> bool:
        return self.receipt is not None or self.error is not None


class SqliteIngest:
    """Stores batches; satisfies `storage.protocols.Ingest` and the SDK's transport."""

    def __init__(self, path: Path, *, synchronous: str, max_call_bytes: int) -> None:
        self._path = path
        self._synchronous = synchronous
        self._max_call_bytes = max_call_bytes
        self._waiting: deque[_Waiting] = deque()
        self._lock = threading.Lock()
        """Protects the connection and the names; held while a transaction is written."""
        self._connection: sqlite3.Connection | None = None
        self._names = WriterNames()
        self._generation = forking.generation()
        self._file: tuple[int, int] | None = None
        """Which file the connection has open."""
        self._closed = False
        forking.inherit(self)
        self.quiet_at_ns = 0
        """When this process will have been quiet for a while, on the monotonic clock: the longer, the more it wrote."""

    def write(self, batch: Batch) -> Receipt:
        """Store a batch; what the receipt counts is durable. See `storage.protocols.Ingest`."""
        mine = _Waiting(prepare(batch, max_call_bytes=self._max_call_bytes))
        self._waiting.append(mine)
        with forking.using(), self._lock:
            while not mine.is_done:
                self._write_together(self._gather())
        if mine.error is not None:
            raise mine.error
        assert mine.receipt is not None
        pause_ns = min(_LONGEST_PAUSE_NS, len(batch.calls) * _PAUSE_PER_CALL_NS)
        self.quiet_at_ns = clock.monotonic_ns() + pause_ns
        return mine.receipt

    def index_words(self, limit: int, project: int | None = None) -> int:
        """Index the words of up to `limit` calls that wait for it, unless somebody is writing; gives how many."""
        with forking.using():
            # By a name: it is another one after a fork in the middle of this.
            lock = self._lock
            if self._waiting or not lock.acquire(blocking=False):
                return 0
            try:
                return self._in_transaction(
                    lambda connection: indexing.index_some(connection, limit, project)
                )
            finally:
                lock.release()

    def write_seeing(self, see: Callable[[sqlite3.Connection], Batch]) -> Receipt:
        """Store a batch that is made of what is stored, with nothing written in between."""

        def work(connection: sqlite3.Connection) -> Receipt:
            prepared = prepare(see(connection), max_call_bytes=self._max_call_bytes)
            return writing.write(connection, self._names, [prepared])[0]

        return self.change(work)

    def change(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Write something else than a batch, in a transaction of its own and in turn with batches."""
        with forking.using(), self._lock:
            return self._in_transaction(work)

    def close(self) -> None:
        """Finish what is being written and close the connection."""
        with forking.using(), self._lock:
            self._closed = True
            connection, self._connection = self._connection, None
            if connection is not None and self._generation == forking.generation():
                connection.close()

    def renew(self) -> None:
        """Begin anew in a forked child: what threads of the parent hold or wait with is the parent's."""
        self._lock = threading.Lock()
        self._waiting.clear()

    def _gather(self) -> list[_Waiting]:
        gathered: list[_Waiting] = []
        items = 0
        while self._waiting and items < MAX_GATHERED_ITEMS:
            each = self._waiting.popleft()
            prepared = each.prepared
            items += len(prepared.calls) + len(prepared.feedback) + len(prepared.evaluations)
            gathered.append(each)
        return gathered

    def _write_together(self, gathered: list[_Waiting]) -> None:
        try:
            batches = [each.prepared for each in gathered]
            receipts = self._in_transaction(
                lambda connection: writing.write(connection, self._names, batches)
            )
        except Exception as error:  # noqa: BLE001 handed to whoever waits for it
            if len(gathered) > 1 and not isinstance(error, Unavailable):
                for each in gathered:
                    self._write_together([each])
            else:
                for each in gathered:
                    each.error = error
            return
        except BaseException as error:
            for each in gathered:
                each.error = error
            raise
        for each, receipt in zip(gathered, receipts, strict=True):
            each.receipt = receipt

    def _in_transaction(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run some writing in one transaction; the lock is held."""
        with door.translated(self._path):
            connection = self._open()
            connection.execute("BEGIN IMMEDIATE")
            try:
                result = work(connection)
                connection.execute("COMMIT")
            except BaseException:
                self._names.forget()
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            return result

    def _open(self) -> sqlite3.Connection:
        if self._closed:
            raise KibitzError(f"the store {self._path} is closed")
        file = forking.identity(self._path)
        if self._file is not None and file != self._file:
            # What is written into a file without a name is gone with its last reader.
            raise Unavailable(
                f"the store {self._path} was deleted or replaced while it was open; open it again"
            )
        if self._connection is None or self._generation != forking.generation():
            self._connection = door.open_writer(self._path, synchronous=self._synchronous)
            self._names.forget()
            self._generation = forking.generation()
            self._file = forking.identity(self._path)
        return self._connection
