"""How fast: requests and tokens per minute, spread evenly, and how many at the same time.

A `Bucket` only computes: whoever reserves is told how long to wait. What is reserved is taken at once, so the next
is told a later moment; nobody has to be woken, and threads and event loops share one bucket.

A `Gate` lets so many in at the same time, threads and tasks of any event loop alike, in the order in which they came.
Its width shrinks by half when the service says that it is too much and grows by one with each answer after.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque

from kibitz.base import clock

BURST_S = 1.0
"""What a bucket that was idle has gathered: so much may begin at once, everything after it evenly."""


class Bucket:
    """So many per minute. The first requests may come together, `BURST_S` seconds' worth of them or one."""

    def __init__(self, per_minute: float) -> None:
        self._lock = threading.Lock()
        """Protects everything below; held for arithmetic only."""
        self._at_s = clock.monotonic_ns() / 1e9
        self.set_rate(per_minute)
        self._level = self._capacity

    def set_rate(self, per_minute: float) -> None:
        """From now on so many."""
        self.per_minute = per_minute
        self._rate = per_minute / 60
        self._capacity = max(1.0, self._rate * BURST_S)

    def reserve(self, cost: float) -> float:
        """Take this much and say how many seconds to wait before using it."""
        with self._lock:
            self._fill()
            self._level -= cost
            # Something larger than the bucket may begin when the bucket is full: it would wait for ever else.
            missing = min(cost, self._capacity) - (self._level + cost)
            return max(0.0, missing / self._rate)

    def give_back(self, cost: float) -> None:
        """Take back a reservation that was not used, or a part of it; negative where more was used than reserved."""
        with self._lock:
            self._fill()
            self._level = min(self._capacity, self._level + cost)

    def _fill(self) -> None:
        now_s = clock.monotonic_ns() / 1e9
        self._level = min(self._capacity, self._level + max(0.0, now_s - self._at_s) * self._rate)
        self._at_s = now_s


class _Thread:
    """A thread that waits to be let in."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.granted = False
        """Set by whoever wakes it, under the gate's lock."""

    def wake(self) -> bool:
        self.granted = True
        self._event.set()
        return True

    def wait(self) -> None:
        self._event.wait()


class _Task:
    """A task that waits to be let in."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.let_in: asyncio.Future[None] = self._loop.create_future()
        self.granted = False
        """Set by whoever wakes it, under the gate's lock; the future follows in its own loop."""

    def wake(self) -> bool:
        try:
            self._loop.call_soon_threadsafe(self._resolve)
        except RuntimeError:  # its loop is closed: nobody is there to be let in
            return False
        self.granted = True
        return True

    def _resolve(self) -> None:
        if not self.let_in.done():
            self.let_in.set_result(None)


class Gate:
    """So many at the same time."""

    def __init__(self, width: int) -> None:
        self._lock = threading.Lock()
        """Protects everything below; nobody waits while holding it."""
        self.width = width
        self._open = float(width)
        """How many are let in now: the width, or less after the service said that it is too much."""
        self.inside = 0
        self._waiting: deque[_Thread | _Task] = deque()

    def enter(self) -> None:
        """Wait until there is room. Every `enter` is followed by one `leave`."""
        me = _Thread()
        if self._let_in(me):
            return
        try:
            me.wait()
        except BaseException:  # interrupted, as a cell of a notebook is: its place is for others
            self._withdraw(me)
            raise

    async def aenter(self) -> None:
        """The same for a task; one that is cancelled while it waits is not inside."""
        me = _Task()
        if self._let_in(me):
            return
        try:
            await me.let_in
        except asyncio.CancelledError:
            self._withdraw(me)
            raise

    def _withdraw(self, who: _Thread | _Task) -> None:
        with self._lock:
            if not who.granted:
                self._waiting.remove(who)
                return
        self.leave()

    def leave(self) -> None:
        """Make room."""
        with self._lock:
            self.inside -= 1
            self._admit()

    def set_width(self, width: int) -> None:
        """From now on so many."""
        with self._lock:
            self.width = width
            self._open = float(width)
            self._admit()

    def narrow(self) -> None:
        """Let half as many in as are inside, one at least."""
        with self._lock:
            self._open = max(1.0, min(self._open, self.inside) / 2)

    def widen(self) -> None:
        """Let one more in, up to the width."""
        with self._lock:
            self._open = min(float(self.width), self._open + 1)
            self._admit()

    @property
    def opening(self) -> int:
        """How many are let in now."""
        return int(self._open)

    def _let_in(self, who: _Thread | _Task) -> bool:
        with self._lock:
            if self.inside < int(self._open) and not self._waiting:
                self.inside += 1
                return True
            self._waiting.append(who)
            return False

    def _admit(self) -> None:
        while self._waiting and self.inside < int(self._open):
            if self._waiting.popleft().wake():
                self.inside += 1
