"""The door between the program's threads and the exporter: a bounded queue, and what was not let in.

Only callers add to `_bytes_in`, and only the exporter to `_bytes_out`: roughly right without a lock, and a caller
pays for two additions and an append.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from kibitz.base.evaluations import EvaluationPart
from kibitz.base.records import CallPart, FeedbackPart, ObjectPart
from kibitz.base.settings import TracingSettings
from kibitz.tracing import guard
from kibitz.tracing.recording import Recording

Part = CallPart | FeedbackPart | EvaluationPart | ObjectPart


class Intake:
    """Takes recordings, feedback and evaluations from any thread, for the one that exports them."""

    def __init__(self, settings: TracingSettings, start: Callable[[], None]) -> None:
        """Args:
        settings: how much it may hold.
        start: called with the first that comes in.
        """
        self.queue: deque[Recording | Part] = deque()
        self.held = 0
        """Open calls, which have left the queue and still count."""
        # Free once somebody has rung. Not an event: a signal handler may ring in the middle of a ring, and an event's
        # lock is not one to take twice. Not a queue: CPython's waits for ever where a signal comes at the time limit.
        self._bell = threading.Lock()
        self._bell.acquire()
        self.closed = False
        self._start = start
        self._started = False
        self._bytes_in = 0
        self._bytes_out = 0
        self._max_calls = settings.queue_calls
        self._max_bytes = settings.queue_bytes
        self._wake_at = max(settings.batch_calls, 1)
        # One that a signal handler may take again, when it calls an op in the middle of this.
        self._refusing = threading.RLock()
        self.refused = 0
        """What callers were not let in with."""

    def put(self, recording: Recording, size: int) -> bool:
        """Take a call that begins; False where the queue is full."""
        queue = self.queue
        waiting = len(queue)
        if (
            waiting + self.held >= self._max_calls
            or self._bytes_in - self._bytes_out + size > self._max_bytes
        ):
            self._refuse()
            return False
        self._bytes_in += size
        queue.append(recording)
        if waiting >= self._wake_at and self._bell.locked():
            self.ring()
        if not self._started:
            self._first()
        return True

    def grow(self, recording: Recording, size: int) -> bool:
        """Make room for the output of a call that ends; False where there is none."""
        if self._bytes_in - self._bytes_out + size > self._max_bytes:
            return False
        self._bytes_in += size
        recording.size += size
        return True

    def put_part(self, part: Part) -> bool:
        """Take what is ready to be sent; False where the queue is full."""
        if self.closed or len(self.queue) + self.held >= self._max_calls:
            self._refuse()
            return False
        self.queue.append(part)
        if not self._started:
            self._first()
        return True

    def _first(self) -> None:
        self._start()
        self._started = True

    def _refuse(self) -> None:
        with self._refusing:
            self.refused += 1
            first = self.refused == 1
        if first:
            guard.warn(
                "the queue of calls is full (KIBITZ_QUEUE_CALLS, KIBITZ_QUEUE_BYTES); new ones are lost and counted"
            )

    def close(self) -> None:
        """Let nobody in any more; what comes is refused and counted."""
        self.closed = True
        self._max_calls = -1

    def ring(self) -> None:
        """Let the exporter look now: there is enough for a batch, or somebody waits."""
        # It is free already where somebody else has rung.
        with suppress(RuntimeError):
            self._bell.release()

    # What the exporter calls.

    def wait(self, timeout_s: float) -> None:
        """Until somebody rings, or the time is over."""
        self._bell.acquire(timeout=timeout_s)

    def let_go(self, recording: Recording) -> None:
        """A call has left for good: its bytes count no more."""
        self._bytes_out += recording.size

    def settle(self) -> None:
        """Nothing is held: whatever the two counts missed between threads is forgotten."""
        if not self.queue and not self.held:
            self._bytes_in = self._bytes_out = 0
