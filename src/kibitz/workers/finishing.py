"""Outcomes on their way into the store: whatever comes while one batch is written goes with the next."""

from __future__ import annotations

import queue
import threading

from kibitz.base import clock
from kibitz.base.errors import KibitzError, QueryTimeout, StorageFull, Unavailable
from kibitz.base.evaluations import RunOutcome
from kibitz.storage.protocols import Evaluations
from kibitz.workers import outcomes
from kibitz.workers.board import Board
from kibitz.workers.lanes import Job
from kibitz.workers.tallies import Tallies, Tell, Told

AWAY = (Unavailable, StorageFull, QueryTimeout)
"""What a store that is away for a while raises: wait and go on."""
BATCH = 500
_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 3.0
_Item = tuple[Job, RunOutcome]


class Finisher:
    """Writes outcomes from a thread of its own."""

    def __init__(
        self, evaluations: Evaluations, board: Board, tallies: Tallies, tell: Tell
    ) -> None:
        self._evaluations = evaluations
        self._board = board
        self._tallies = tallies
        self._tell = tell
        self._queue: queue.SimpleQueue[list[_Item] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._waiting = 0
        self._quiet = threading.Condition(self._lock)
        """Notified when nothing waits."""
        self._hurry = threading.Event()
        """Set when it must end: what the store does not take at once is left."""
        self._thread = threading.Thread(target=self._work, name="kibitz-finishing", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def put(self, items: list[_Item]) -> None:
        """Have outcomes stored."""
        with self._lock:
            self._waiting += len(items)
        self._queue.put(items)

    @property
    def waiting(self) -> int:
        """How many outcomes are not stored yet."""
        return self._waiting

    def drain(self, timeout_s: float) -> bool:
        """Wait until everything is stored; False where it is not within the time."""
        deadline = clock.monotonic_ns() + int(timeout_s * 1e9)
        with self._quiet:
            while self._waiting:
                left_s = (deadline - clock.monotonic_ns()) / 1e9
                if left_s <= 0:
                    return False
                self._quiet.wait(left_s)
        return True

    def stop(self, timeout_s: float) -> None:
        """End, and leave what cannot be stored now: its lease ends, and somebody else does it."""
        self._hurry.set()
        self._queue.put(None)
        self._thread.join(timeout_s)

    def _work(self) -> None:
        while (items := self._queue.get()) is not None:
            ends = False
            while len(items) < BATCH and not ends:
                try:
                    more = self._queue.get_nowait()
                except queue.Empty:
                    break
                ends = more is None
                items = items + (more or [])
            by_project: dict[str, list[_Item]] = {}
            for item in items:
                by_project.setdefault(item[0].claim.project, []).append(item)
            for project, of_project in by_project.items():
                for first in range(0, len(of_project), BATCH):
                    self._finish(project, of_project[first : first + BATCH])
            with self._quiet:
                self._waiting -= len(items)
                self._quiet.notify_all()
            if ends:
                return

    def _finish(self, project: str, items: list[_Item]) -> None:
        try:
            taken = set(self._until_taken(project, [outcome for _, outcome in items]))
        except AWAY:
            # It must end, and the store is away: the leases say the rest.
            return
        except Exception as error:  # noqa: BLE001  this thread must go on, or nothing is ever stored again
            self._one_refused(project, items, error)
            return
        self._board.held.forget(job.claim.run_id for job, _ in items)
        for job, outcome in items:
            self._count(job, outcome, taken=job.claim.run_id in taken)

    def _until_taken(self, project: str, said: list[RunOutcome]) -> list[str]:
        wait_s = _FIRST_WAIT_S
        while True:
            try:
                return self._evaluations.finish(project, said)
            except AWAY as error:
                if self._hurry.wait(getattr(error, "retry_after_s", None) or wait_s):
                    raise
                wait_s = min(2 * wait_s, _LONGEST_WAIT_S)

    def _one_refused(self, project: str, items: list[_Item], error: Exception) -> None:
        """One of these is too large, or breaks a rule of the store: find it, and say that it failed."""
        if len(items) > 1:
            half = len(items) // 2
            self._finish(project, items[:half])
            self._finish(project, items[half:])
            return
        job, outcome = items[0]
        if outcome.part.status == "failed" and not outcome.part.invocations:
            # Not even that it failed can be said; its lease ends, and after some attempts the store says it.
            self._board.held.forget([job.claim.run_id])
            self._count(job, outcome, taken=False)
            return
        said = (
            error.message if isinstance(error, KibitzError) else f"{type(error).__name__}: {error}"
        )
        reason = f"the store did not take its outcome: {said}"[:2000]
        failed = outcomes.of_reason(job.claim, "failed", reason, outcome.part.started_at)
        self._finish(project, [(job, failed)])

    def _count(self, job: Job, outcome: RunOutcome, *, taken: bool) -> None:
        name, claim = job.lane.name, job.claim
        self._tallies.add(name, outcome, taken=taken)
        if not taken or outcome.part.status != "failed":
            return
        retry_in_s = None
        if outcome.retry_at is not None:
            self._board.held.note_failed(claim.evaluation_id)
            retry_in_s = round((outcome.retry_at - clock.now()).total_seconds(), 1)
        self._tell(
            Told(
                event="failed" if outcome.retry_at is None else "retried",
                message=outcome.part.reason or "",
                project=claim.project,
                call_id=claim.call_id,
                name=name,
                attempt=claim.attempt,
                retry_in_s=retry_in_s,
            )
        )
