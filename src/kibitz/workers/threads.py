"""The threads in which a worker judges, and who watches them.

A thread that hangs cannot be stopped. Its run FAILED at the time limit, another thread takes its place, and of these
there are as many as may be slow at once; beyond that what waits fails too, with the reason.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from kibitz.base import clock
from kibitz.base.evaluations import RunOutcome
from kibitz.workers import lanes, outcomes
from kibitz.workers.board import Board
from kibitz.workers.lanes import Job

Sink = Callable[[list[tuple[Job, RunOutcome]]], None]
"""Takes outcomes that count."""
T = TypeVar("T")
_IDLE_S = 10.0


class _Seat:
    """One thread and what it does now."""

    __slots__ = ("abandoned", "begun_at", "chunk", "job", "quick", "ready")

    def __init__(self) -> None:
        self.job: Job | None = None
        self.begun_at: datetime | None = None
        self.chunk: deque[Job] = deque()
        """What it has taken and not begun."""
        self.quick = False
        self.abandoned = False
        self.ready: deque[tuple[Job, RunOutcome]] = deque()


class Threads:
    """A bounded number of threads that take runs from a board."""

    def __init__(
        self, board: Board, sink: Sink, *, at_most: int, timeout_s: float, max_attempts: int
    ) -> None:
        self._board = board
        self._sink = sink
        self._at_most = at_most
        self._timeout_ns = int(timeout_s * 1e9)
        self._timeout_s = timeout_s
        self._max_attempts = max_attempts
        self._pid = os.getpid()
        self._lock = threading.Lock()
        """Protects the seats."""
        self._seats: set[_Seat] = set()
        self._abandoned = 0
        self._stopping = False

    def fill(self) -> None:
        """Have a thread more where all are busy."""
        with self._lock:
            if self._board.idle or self._stopping:
                return
            working = len(self._seats) - self._abandoned
            if working >= self._at_most or len(self._seats) >= 2 * self._at_most:
                return
            seat = _Seat()
            self._seats.add(seat)
        threading.Thread(
            target=self._work, args=(seat,), name="kibitz-judging", daemon=True
        ).start()

    def stop(self) -> None:
        """Let every thread end when it has done what it does."""
        self._stopping = True
        with self._board.changed:
            self._board.changed.notify_all()

    @property
    def hanging(self) -> int:
        """How many threads were given up."""
        return self._abandoned

    def _work(self, seat: _Seat) -> None:
        try:
            while not self._stopping and not seat.abandoned:
                jobs = self._board.wait(_IDLE_S)
                if not jobs:
                    return
                self.fill()
                self._do(seat, jobs)
        finally:
            with self._lock:
                self._seats.discard(seat)
                self._abandoned -= seat.abandoned

    def _do(self, seat: _Seat, jobs: list[Job]) -> None:
        seat.quick = jobs[0].lane.kind == "quick"
        was_quick = seat.quick
        seat.chunk.extend(jobs)
        try:
            while (job := _next(seat.chunk)) is not None:
                self._judge(seat, job)
        finally:
            self._hand_over(seat)
            if was_quick and seat.quick:
                seat.quick = False
                self._board.quick_free()

    def _judge(self, seat: _Seat, job: Job) -> None:
        claim = job.claim
        started_at = clock.now()
        job.begun_ns = clock.monotonic_ns()
        seat.job = job
        try:
            result = job.lane.judge.run(record=job.record)
            outcome = outcomes.of_result(claim, result, started_at, max_attempts=self._max_attempts)
        except BaseException as error:  # noqa: BLE001  around a user's callback, which no interrupt reaches here
            outcome = outcomes.of_error(claim, error, started_at)
        finally:
            end_child(self._pid)
        with self._lock:
            seat.job = None
            abandoned = seat.abandoned
        if abandoned:
            # Somebody else has said what became of it, and that it no longer goes on.
            return
        self._board.ended(job, clock.monotonic_ns() - job.begun_ns)
        if self._board.held.settle(job):
            seat.ready.append((job, outcome))

    def _hand_over(self, seat: _Seat) -> None:
        ready = _emptied(seat.ready)
        if ready:
            self._sink(ready)

    def watch(self) -> None:
        """Look after what goes on: called a few dozen times a second."""
        now = clock.monotonic_ns()
        for seat in tuple(self._seats):
            job = seat.job
            if job is None or seat.abandoned:
                continue
            ns = now - job.begun_ns
            if seat.quick and ns > lanes.TOO_SLOW_NS:
                self._free(seat, job)
            elif job.lane.kind == "unknown" and ns > lanes.PROBE_NS:
                self._board.slow_down(job.lane)
                self.fill()
            if self._timeout_ns and ns > self._timeout_ns:
                self._give_up(seat, job)
        if self._abandoned >= self._at_most:
            self._refuse()

    def _free(self, seat: _Seat, job: Job) -> None:
        """A quick run is none: let others do what its thread would have done next."""
        seat.quick = False
        self._board.slow_down(job.lane)
        self._hand_over(seat)
        self._board.put_back(_emptied(seat.chunk)[::-1])
        self._board.quick_free()
        self.fill()

    def _give_up(self, seat: _Seat, job: Job) -> None:
        with self._lock:
            if seat.job is not job or seat.abandoned:
                return
            seat.abandoned = True
            self._abandoned += 1
        if seat.quick:
            self._free(seat, job)
        self._board.ended(job, self._timeout_ns)
        reason = (
            f"it took longer than {self._timeout_s:g} s and was given up; its thread cannot be stopped and may go on "
            "until the worker ends. Give the worker a longer --timeout, or make the function end by itself"
        )
        self._say_failed(job, reason, job.begun_ns)
        self.fill()

    def _refuse(self) -> None:
        """Every thread hangs: nothing that needs one can be done in this process."""
        reason = (
            f"no thread was free: {self._abandoned} of this worker hang in runs that took longer than "
            f"{self._timeout_s:g} s. Start the worker anew, and retry this evaluation"
        )
        while True:
            jobs = self._board.take()
            if not jobs:
                return
            for job in jobs:
                self._board.ended(job, self._timeout_ns)
                self._say_failed(job, reason, clock.monotonic_ns())
            if jobs[0].lane.kind == "quick":
                self._board.quick_free()

    def _say_failed(self, job: Job, reason: str, begun_ns: int) -> None:
        if self._board.held.settle(job):
            started_at = clock.from_us(
                clock.to_us(clock.now()) - (clock.monotonic_ns() - begun_ns) // 1000
            )
            self._sink([(job, outcomes.of_reason(job.claim, "failed", reason, started_at))])


def end_child(pid: int) -> None:
    """End this process where a function forked and came back in the child too, instead of judging what the parent has.

    Without cleaning up: what is buffered, locked and open here is the parent's.
    """
    if os.getpid() != pid:
        os._exit(0)


def _next(waiting: deque[T]) -> T | None:
    """The first, where another thread may be taking them too."""
    try:
        return waiting.popleft()
    except IndexError:
        return None


def _emptied(waiting: deque[T]) -> list[T]:
    """All of them, where another thread may be adding and taking."""
    found: list[T] = []
    while (each := _next(waiting)) is not None:
        found.append(each)
    return found
