"""The runs that a worker holds: claimed, and their outcome not stored yet. Each gets one outcome that counts."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Sequence

from kibitz.workers.lanes import Job

_REMEMBERED = 100_000


class Held:
    """Claimed runs by their ids. Every method may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[str, Job] = {}
        self._open: dict[str, Job] = {}
        """Of these, what has no outcome yet."""
        self._failed_here: set[str] = set()
        self._bytes = 0

    def add(self, job: Job) -> None:
        """Know a run as claimed, before anything is done with it."""
        with self._lock:
            self._held[job.claim.run_id] = self._open[job.claim.run_id] = job

    def weigh(self, jobs: Sequence[Job], size: int) -> None:
        """Know how many bytes the record of these runs takes."""
        share = size // len(jobs)
        with self._lock:
            for job in jobs:
                if job.claim.run_id in self._held:
                    job.bytes = share
                    self._bytes += share

    @property
    def bytes(self) -> int:
        """What the records of all take, as JSON, about."""
        return self._bytes

    def settle(self, job: Job) -> bool:
        """Whether this outcome of a run counts: the first does, and none where the run was lost or given back."""
        with self._lock:
            return self._open.pop(job.claim.run_id, None) is not None

    def forget(self, run_ids: Iterable[str]) -> None:
        """These are this worker's no longer: stored, given back, or gone to somebody else."""
        with self._lock:
            for run_id in run_ids:
                job = self._held.pop(run_id, None)
                self._bytes -= job.bytes if job is not None else 0
                self._open.pop(run_id, None)

    @property
    def ids(self) -> list[str]:
        """Of all runs that are this worker's."""
        with self._lock:
            return list(self._held)

    @property
    def open(self) -> list[Job]:
        """What has no outcome yet."""
        with self._lock:
            return list(self._open.values())

    @property
    def is_empty(self) -> bool:
        with self._lock:
            return not self._held

    def of_project(self, project: str) -> int:
        """How many of the runs are of a project."""
        with self._lock:
            return sum(job.claim.project == project for job in self._held.values())

    def attempts(self) -> Counter[int]:
        """How many of the runs have which attempt."""
        with self._lock:
            return Counter(job.claim.attempt for job in self._held.values())

    def note_failed(self, evaluation_id: str) -> None:
        """Know of an evaluation to be tried again that it failed here, and ended no worker."""
        with self._lock:
            if len(self._failed_here) >= _REMEMBERED:
                self._failed_here.clear()
            self._failed_here.add(evaluation_id)

    def failed_here(self, evaluation_id: str) -> bool:
        """Whether the attempt before failed in this process. It is asked once: the next attempt may be other."""
        with self._lock:
            if evaluation_id not in self._failed_here:
                return False
            self._failed_here.discard(evaluation_id)
            return True
