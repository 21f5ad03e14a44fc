"""What a store does for itself in quiet moments: the text index is brought up to date.

A process that serves a store runs one `Upkeep`. It works in small steps that give way to writers, so a
burst of calls is stored first and indexed after.
"""

from __future__ import annotations

import logging
import threading

from kibitz.base import clock
from kibitz.base.errors import KibitzError
from kibitz.storage.sqlite.ingest import SqliteIngest

_logger = logging.getLogger("kibitz.storage")

CALLS_PER_STEP = 400
"""So many hold the write lock for some 50 ms, and for some 150 where parts of words are indexed too."""
_IDLE_S = 0.25
_LONGEST_WAIT_NS = 5_000_000_000
"""However much is written, one step is made so often."""
_BETWEEN_STEPS_S = 0.002
"""Long enough for a writer that waits to take its turn."""


class Upkeep:
    """A daemon thread that looks after one store; `stop` waits for its current step."""

    def __init__(self, ingest: SqliteIngest) -> None:
        self._ingest = ingest
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kibitz-upkeep", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        self._stopping.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        wait_s = _IDLE_S
        last = clock.monotonic_ns()
        while not self._stopping.wait(wait_s):
            now = clock.monotonic_ns()
            if now < self._ingest.quiet_at_ns and now < last + _LONGEST_WAIT_NS:
                wait_s = _IDLE_S
                continue
            last = now
            try:
                done = self._ingest.index_words(CALLS_PER_STEP)
                wait_s = _BETWEEN_STEPS_S if done else _IDLE_S
            except KibitzError as error:
                # Busy or full: nothing is lost, calls wait in the table.
                _logger.warning("the word index could not be brought up to date: %s", error)
                wait_s = 5.0
            except Exception:
                # The top of a thread: it must go on, and its failure must be seen.
                _logger.exception("the word index could not be brought up to date")
                wait_s = 5.0
