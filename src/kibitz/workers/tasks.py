"""The event loop in which a worker awaits judges that are coroutine functions."""

from __future__ import annotations

import asyncio
import os
import threading

from kibitz.base import clock
from kibitz.workers import outcomes, threads
from kibitz.workers.board import Board
from kibitz.workers.lanes import Job
from kibitz.workers.threads import Sink

_STOP_S = 2.0


class Tasks:
    """Awaits what a board has for the event loop, as many at once as it gives."""

    def __init__(self, board: Board, sink: Sink, *, timeout_s: float, max_attempts: int) -> None:
        self._board = board
        self._sink = sink
        self._timeout_s = timeout_s
        self._max_attempts = max_attempts
        self._pid = os.getpid()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def fill(self) -> None:
        """Begin what there is; the loop starts when it is first needed."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(
                target=self._loop.run_forever, name="kibitz-awaiting", daemon=True
            )
            self._thread.start()
        self._loop.call_soon_threadsafe(self._take)

    def stop(self) -> None:
        """Cancel what goes on, and end."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return

        def cancel() -> None:
            for task in self._tasks:
                task.cancel()
            # Cancelled ones get their turn before the loop ends.
            loop.call_later(0.05, loop.stop)

        loop.call_soon_threadsafe(cancel)
        thread.join(_STOP_S)
        if not thread.is_alive():
            loop.close()

    def _take(self) -> None:
        while (job := self._board.take_task()) is not None:
            task = asyncio.get_running_loop().create_task(self._do(job))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _do(self, job: Job) -> None:
        claim = job.claim
        started_at = clock.now()
        job.begun_ns = clock.monotonic_ns()
        judging = asyncio.ensure_future(job.lane.judge.arun(record=job.record))
        try:
            await asyncio.wait({judging}, timeout=self._timeout_s or None)
        except asyncio.CancelledError:
            judging.cancel()
            raise
        finally:
            threads.end_child(self._pid)
        try:
            if judging.done():
                outcome = outcomes.of_result(
                    claim, judging.result(), started_at, max_attempts=self._max_attempts
                )
            else:
                # Not awaited: a coroutine that swallows the cancellation must not hold its place.
                judging.cancel()
                reason = f"it took longer than {self._timeout_s:g} s and was cancelled"
                failed = outcomes.of_reason(claim, "failed", reason, started_at)
                outcome = outcomes.again(claim, failed.part, max_attempts=self._max_attempts)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001  around a user's callback
            said = error if isinstance(error, Exception) else RuntimeError("it was cancelled")
            outcome = outcomes.of_error(claim, said, started_at)
        self._board.ended(job, clock.monotonic_ns() - job.begun_ns)
        if self._board.held.settle(job):
            self._sink([(job, outcome)])
        self._take()
