"""Claimed runs in lanes, one for each definition, each as quick as it has shown to be.

Quick ones are done one after the other in chunks, slow ones side by side. How long a run of a definition takes is
measured; nobody has to say it. So a definition that waits for a network never holds up those that only compute.
"""

from __future__ import annotations

from collections import deque
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
_STREAK = 3
_STREAK_AGAIN = 50


class Job:
    """A claimed run with what it judges."""

    __slots__ = ("begun_ns", "bytes", "claim", "lane", "record")

    def __init__(self, claim: Claim, lane: Lane, record: Any) -> None:
        self.claim = claim
        self.lane = lane
        self.record = record
        self.begun_ns = 0
        self.bytes = 0
        """What of its record is this run's share."""


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
