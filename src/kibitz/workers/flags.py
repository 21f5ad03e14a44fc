"""A flag that a signal handler may raise."""

from __future__ import annotations

import threading

from kibitz.base import clock

_LOOK_S = 0.1


class Flag:
    """Is raised once and stays so.

    Not an event: a handler runs in the middle of whatever the main thread does, also of looking at an event, whose lock
    is not one to take twice. So raising takes no lock, and whoever waits looks again every tenth of a second.
    """

    def __init__(self) -> None:
        self._raised = False

    def is_set(self) -> bool:
        """Whether it is raised."""
        return self._raised

    def set(self) -> None:
        """Raise it; from any thread, and from a signal handler."""
        self._raised = True

    def wait(self, timeout_s: float) -> bool:
        """Wait until it is raised, or the time is over; gives whether it is."""
        until_ns = clock.monotonic_ns() + int(timeout_s * 1e9)
        pause = threading.Event()
        while not self._raised and (left_s := (until_ns - clock.monotonic_ns()) / 1e9) > 0:
            pause.wait(min(left_s, _LOOK_S))
        return self._raised
