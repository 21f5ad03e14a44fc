"""What goes on beside the work: leases are made longer, and runs that take long are noticed."""

from __future__ import annotations

import threading

from kibitz.base.errors import KibitzError
from kibitz.storage.protocols import Evaluations
from kibitz.workers.board import Board
from kibitz.workers.threads import Threads

_TICK_S = 0.02
_IDLE_TICK_S = 0.1
_EXTENDS_PER_LEASE = 3
_AT_ONCE = 1000


class Keeper:
    """Looks after leases and threads from a thread of its own."""

    def __init__(
        self, evaluations: Evaluations, board: Board, threads: Threads, *, lease_s: float
    ) -> None:
        self._evaluations = evaluations
        self._board = board
        self._threads = threads
        self._lease_s = lease_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="kibitz-keeping", daemon=True)
        self._leases = threading.Thread(
            target=self._extend_always, name="kibitz-leases", daemon=True
        )

    def start(self) -> None:
        """Begin."""
        self._thread.start()
        self._leases.start()

    def stop(self) -> None:
        """End."""
        self._stop.set()
        self._thread.join(1.0)

    def _work(self) -> None:
        tick_s = _TICK_S
        while not self._stop.wait(tick_s):
            self._threads.watch()
            tick_s = _TICK_S if self._board.going_on() else _IDLE_TICK_S

    def _extend_always(self) -> None:
        # Apart from the other thread: a store that is away makes this one wait.
        while not self._stop.wait(self._lease_s / _EXTENDS_PER_LEASE):
            self._extend()

    def _extend(self) -> None:
        # What was claimed in the last third of a lease is long enough ours; asking for it costs little.
        held = self._board.held.ids
        try:
            for first in range(0, len(held), _AT_ONCE):
                asked = held[first : first + _AT_ONCE]
                kept = set(self._evaluations.extend(asked, lease_s=self._lease_s))
                self._board.lost(run_id for run_id in asked if run_id not in kept)
        except KibitzError:
            # The next time is soon enough, and where it is not, the store gives the runs to somebody else.
            return
