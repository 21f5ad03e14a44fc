"""Locks in programs that fork."""

from __future__ import annotations

import os
import threading
from weakref import WeakSet


class ForkLock:
    """A lock that a forked child finds free: of the threads of its parent only the one that forked is there.

    The same thread may take it again.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        _locks.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def renew(self) -> None:
        """Begin anew in a forked child."""
        if not self._lock.acquire(blocking=False):
            self._lock = threading.RLock()
        else:
            # It was free, or is this very thread's, which will release it as often as it took it.
            self._lock.release()


_locks: WeakSet[ForkLock] = WeakSet()


def _renew() -> None:
    for lock in list(_locks):
        lock.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
