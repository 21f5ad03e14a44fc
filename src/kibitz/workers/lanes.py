"""What a worker holds: claimed runs, in one lane for each definition, each lane as quick as it has shown to be.

Quick ones are done one after the other in chunks, slow ones side by side. How long a run of a definition takes is
measured; nobody has to say it. So a definition that waits for a network never holds up those that only compute.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

from kibitz.base.evaluations import Claim
from kibitz.workers.definitions import Judge

Kind = Literal["unknown", "quick", "thread", "task"]
"""How runs of a lane are done: one by one until it is known, in chunks, in threads, as tasks of the event loop."""

QUICK_NS = 2_000_000
"""What takes less is done in chunks."""
TOO_SLOW_NS = 100_000_000
"""What takes longer in a chunk holds the others up, and gets a thread."""
PROBE_NS = 50_000_000
"""A first run that takes longer shows that its lane is slow."""
CHUNK = 128
"""Quick runs that are taken at once at most, and …"""
CHUNK_NS = 50_000_000
"""… how long they are to take together."""
LANES_AT_ONCE = 4
"""In all, so many times the runs of one lane may go on."""
AHEAD_S = 2.0
"""Work for so long may wait in a slow lane; more is given back to others."""
_REMEMBERED = 100_000
_STREAK = 3
_STREAK_AGAIN = 50


class Job:
    """A claimed run with what it judges."""

    __slots__ = ("begun_ns", "claim", "lane", "record")

    def __init__(self, claim: Claim, lane: Lane, record: Any) -> None:
        self.claim = claim
        self.lane = lane
        self.record = record
        self.begun_ns = 0


class Lane:
    """The runs of one definition."""

    __slots__ = (
        "demoted",
        "judge",
        "kind",
        "mean_ns",
        "name",
        "ref",
        "running",
        "streak",
        "waiting",
    )

    def __init__(self, ref: str, name: str, judge: Judge) -> None:
        self.ref = ref
        self.name = name
        self.judge = judge
        self.kind: Kind = "quick" if judge.is_local else "task" if judge.is_async else "unknown"
        self.waiting: deque[Job] = deque()
        self.running = 0
        self.mean_ns = 0.0
        self.streak = 0
        """How many runs in a row were quick."""
        self.demoted = False

    def took(self, ns: int) -> None:
        """Learn from a run that ended."""
        self.mean_ns = ns if not self.mean_ns else self.mean_ns + 0.2 * (ns - self.mean_ns)
        if self.kind == "task":
            return
        self.streak = self.streak + 1 if ns < QUICK_NS else 0
        if self.kind == "unknown":
            self.kind = "quick" if ns < QUICK_NS else "thread"
        elif self.kind == "quick" and ns > TOO_SLOW_NS:
            self.slow_down()
        # A first run often loads modules; one that was quick and then was not has to show it for longer.
        elif self.kind == "thread" and self.streak >= (_STREAK_AGAIN if self.demoted else _STREAK):
            self.kind = "quick"

    def slow_down(self) -> None:
        """From now on in threads."""
        if self.kind != "task":
            self.kind = "thread"
            self.streak = 0
            self.demoted = True


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
        self._held: dict[str, Job] = {}
        """What is claimed and whose outcome is not stored yet, by run id."""
        self._open: dict[str, Job] = {}
        """Of these, what has no outcome yet."""
        self._quick_busy = False
        self._failed_here: set[str] = set()

    def lane(self, ref: str, name: str, judge: Judge) -> Lane:
        """The lane of a definition."""
        with self.changed:
            found = self._lanes.get(ref)
            if found is None:
                found = self._lanes[ref] = Lane(ref, name, judge)
            return found

    def hold(self, job: Job) -> None:
        """Know a run as claimed, before anything is done with it."""
        with self.changed:
            self._held[job.claim.run_id] = self._open[job.claim.run_id] = job

    def put(self, jobs: Sequence[Job]) -> None:
        """Have runs done that are held."""
        with self.changed:
            for job in jobs:
                job.lane.waiting.append(job)
            self.changed.notify(min(len(jobs), 4))

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
        lanes = [each for each in self._lanes.values() if each.kind == "quick" and each.waiting]
        for lane in lanes:
            # What is not quite that quick gets smaller chunks, so that others have their turn soon.
            share = CHUNK_NS // max(int(lane.mean_ns), CHUNK_NS // CHUNK) // len(lanes)
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
        if best is None or going_on >= self._concurrency * LANES_AT_ONCE:
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

    def settle(self, job: Job) -> bool:
        """Whether this outcome of a run counts: the first does, and none where the run was lost or given back."""
        with self.changed:
            return self._open.pop(job.claim.run_id, None) is not None

    def stored(self, run_ids: Iterable[str]) -> None:
        """What was said of these is stored, or never will be."""
        with self.changed:
            for run_id in run_ids:
                self._held.pop(run_id, None)
                self._open.pop(run_id, None)
            self.changed.notify_all()

    @property
    def held(self) -> list[str]:
        """The ids of all runs that are this worker's."""
        with self.changed:
            return list(self._held)

    def lost(self, run_ids: Iterable[str]) -> int:
        """These went to somebody else: what waits of them is not begun. Gives how many waited."""
        gone = set(run_ids)
        with self.changed:
            for run_id in gone:
                self._held.pop(run_id, None)
                self._open.pop(run_id, None)
            return len(self._take_waiting(lambda job: job.claim.run_id in gone))

    def unbegun(self) -> list[Job]:
        """Take everything off the board that nobody has begun."""
        with self.changed:
            return self._forget(self._take_waiting(lambda job: True))

    def unfinished(self) -> list[Job]:
        """Take everything off the board that has no outcome yet, also what goes on."""
        with self.changed:
            self._take_waiting(lambda job: True)
            return self._forget(list(self._open.values()))

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
        return max(2 * self._concurrency, int(self._concurrency * AHEAD_S * 1e9 / lane.mean_ns))

    def quick_waiting(self) -> int:
        """How many quick runs wait, and those of lanes about which nothing is known."""
        with self.changed:
            return sum(
                len(lane.waiting)
                for lane in self._lanes.values()
                if lane.kind in {"quick", "unknown"}
            )

    def attempts(self) -> Counter[int]:
        """How many of the runs that are held have which attempt."""
        with self.changed:
            return Counter(job.claim.attempt for job in self._held.values())

    def note_failed(self, evaluation_id: str) -> None:
        """Know of an evaluation to be tried again that it failed here, and ended no worker."""
        with self.changed:
            if len(self._failed_here) >= _REMEMBERED:
                self._failed_here.clear()
            self._failed_here.add(evaluation_id)

    def failed_here(self, evaluation_id: str) -> bool:
        """Whether the attempt before failed in this process. It is asked once: the next attempt may be other."""
        with self.changed:
            if evaluation_id not in self._failed_here:
                return False
            self._failed_here.discard(evaluation_id)
            return True

    def going_on(self) -> int:
        """How many runs are begun."""
        with self.changed:
            return sum(lane.running for lane in self._lanes.values())

    @property
    def is_empty(self) -> bool:
        with self.changed:
            return not self._held

    def _take_waiting(self, which: Callable[[Job], bool]) -> list[Job]:
        found: list[Job] = []
        for lane in self._lanes.values():
            if any(which(job) for job in lane.waiting):
                found += [job for job in lane.waiting if which(job)]
                lane.waiting = deque(job for job in lane.waiting if not which(job))
        return found

    def _forget(self, jobs: list[Job]) -> list[Job]:
        for job in jobs:
            self._held.pop(job.claim.run_id, None)
            self._open.pop(job.claim.run_id, None)
        self.changed.notify_all()
        return jobs
