"""What a worker holds and does next: its lanes, from which threads and the event loop take runs."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from kibitz.workers import lanes
from kibitz.workers.definitions import Judge
from kibitz.workers.held import Held
from kibitz.workers.lanes import Job, Kind, Lane


class Board:
    """All lanes of a worker. Every method may be called from any thread."""

    def __init__(self, *, concurrency: int) -> None:
        """Nothing yet.

        Args:
            concurrency: how many slow runs of one definition go on at once.
        """
        self._concurrency = concurrency
        self.changed = threading.Condition()
        """Notified when there may be something to take. Its lock protects everything here."""
        self._lanes: dict[str, Lane] = {}
        self.idle = 0
        """How many threads wait for something to take."""
        self.held = Held()
        """What is claimed and whose outcome is not stored yet."""
        self._quick_busy = False

    def lane(self, ref: str, name: str, judge: Judge) -> Lane:
        """The lane of a definition."""
        with self.changed:
            found = self._lanes.get(ref)
            if found is None:
                found = self._lanes[ref] = Lane(ref, name, judge)
            return found

    def put(self, jobs: Sequence[Job]) -> None:
        """Have runs done that are held."""
        with self.changed:
            for job in jobs:
                job.lane.waiting.append(job)
            self.changed.notify(min(len(jobs), 4))

    def wait(self, timeout_s: float) -> list[Job]:
        """`take`, and wait for something to come where there is nothing."""
        with self.changed:
            # Looked at under the lock that whoever puts something there takes: nothing comes in between unseen.
            found = self.take()
            if not found:
                self.idle += 1
                self.changed.wait(timeout_s)
                self.idle -= 1
                found = self.take()
            return found

    def take(self) -> list[Job]:
        """Runs for a thread: a chunk of quick ones, or a slow one; empty where there are none for now."""
        with self.changed:
            if not self._quick_busy:
                chunk = self._chunk()
                if chunk:
                    self._quick_busy = True
                    return chunk
            job = self._next("unknown", 1) or self._next("thread", self._concurrency)
            return [job] if job is not None else []

    def take_task(self) -> Job | None:
        """A run for the event loop."""
        with self.changed:
            return self._next("task", self._concurrency)

    def _chunk(self) -> list[Job]:
        """Quick runs, of all lanes alike."""
        chunk: list[Job] = []
        quick = [each for each in self._lanes.values() if each.kind == "quick" and each.waiting]
        for lane in quick:
            # What is not quite that quick gets smaller chunks, so that others have their turn soon.
            share = (
                lanes.CHUNK_NS
                // max(int(lane.mean_ns), lanes.CHUNK_NS // lanes.CHUNK)
                // len(quick)
            )
            for _ in range(min(len(lane.waiting), max(1, share))):
                chunk.append(lane.waiting.popleft())
                lane.running += 1
        return chunk

    def _next(self, kind: Kind, at_most: int) -> Job | None:
        """A run of the lane that has fewest going on."""
        best: Lane | None = None
        going_on = 0
        for lane in self._lanes.values():
            if (lane.kind == "task") is not (kind == "task") or lane.kind == "quick":
                continue
            going_on += lane.running
            if lane.kind != kind or not lane.waiting or lane.running >= at_most:
                continue
            if best is None or lane.running < best.running:
                best = lane
        if best is None or going_on >= self._concurrency * lanes.LANES_AT_ONCE:
            return None
        best.running += 1
        return best.waiting.popleft()

    def quick_free(self) -> None:
        """Nobody does quick ones any longer."""
        with self.changed:
            self._quick_busy = False
            self.changed.notify()

    def put_back(self, jobs: Iterable[Job]) -> None:
        """Give back what was taken and not begun."""
        with self.changed:
            for job in jobs:
                job.lane.running -= 1
                job.lane.waiting.appendleft(job)
            self.changed.notify_all()

    def ended(self, job: Job, ns: int) -> None:
        """A run is no longer going on, whatever became of it."""
        with self.changed:
            lane = job.lane
            was = lane.kind
            lane.running -= 1
            lane.took(ns)
            if lane.waiting and (lane.kind != "quick" or was != "quick"):
                self.changed.notify(1 if was == lane.kind else 4)

    def slow_down(self, lane: Lane) -> None:
        """A run of this lane takes long."""
        with self.changed:
            lane.slow_down()
            self.changed.notify_all()

    def lost(self, run_ids: Iterable[str]) -> int:
        """These went to somebody else: what waits of them is not begun. Gives how many waited."""
        gone = set(run_ids)
        self.held.forget(gone)
        with self.changed:
            return len(self._take_waiting(lambda job: job.claim.run_id in gone))

    def unbegun(self) -> list[Job]:
        """Take everything off the board that nobody has begun."""
        with self.changed:
            return self._forget(self._take_waiting(lambda job: True))

    def unfinished(self) -> list[Job]:
        """Take everything off the board that has no outcome yet, also what goes on."""
        with self.changed:
            self._take_waiting(lambda job: True)
            return self._forget(self.held.open)

    def excess(self) -> list[Job]:
        """Take what waits in slow lanes off the board, beyond the work of a few seconds."""
        with self.changed:
            found: list[Job] = []
            for lane in self._lanes.values():
                if lane.kind in {"thread", "task"} and lane.mean_ns:
                    keep = self._ahead(lane)
                    while len(lane.waiting) > keep:
                        found.append(lane.waiting.pop())
            return self._forget(found)

    def full(self) -> list[str]:
        """The definitions of which there is enough here, by reference."""
        with self.changed:
            found: list[str] = []
            for lane in self._lanes.values():
                if lane.kind != "quick" and len(lane.waiting) > self._ahead(lane) // 2:
                    found.append(lane.ref)
            return found

    def _ahead(self, lane: Lane) -> int:
        """How many runs may wait in a slow lane."""
        if not lane.mean_ns:
            return 2 * self._concurrency
        return max(
            2 * self._concurrency, int(self._concurrency * lanes.AHEAD_S * 1e9 / lane.mean_ns)
        )

    def quick_waiting(self) -> int:
        """How many quick runs wait, and those of lanes about which nothing is known."""
        with self.changed:
            return sum(
                len(lane.waiting)
                for lane in self._lanes.values()
                if lane.kind in {"quick", "unknown"}
            )

    def going_on(self) -> int:
        """How many runs are begun."""
        with self.changed:
            return sum(lane.running for lane in self._lanes.values())

    def _take_waiting(self, which: Callable[[Job], bool]) -> list[Job]:
        found: list[Job] = []
        for lane in self._lanes.values():
            if any(which(job) for job in lane.waiting):
                found += [job for job in lane.waiting if which(job)]
                lane.waiting = deque(job for job in lane.waiting if not which(job))
        return found

    def _forget(self, jobs: list[Job]) -> list[Job]:
        self.held.forget(job.claim.run_id for job in jobs)
        return jobs
