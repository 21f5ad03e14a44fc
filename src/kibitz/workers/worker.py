"""A worker: claims wanted evaluations, does them, and stores what came of them, until it is stopped or idle.

Several threads, and no barrier between batches: this one asks the rules, claims and loads records; others judge
(`threads`, `tasks`), store outcomes (`finishing`) and look after leases (`keeping`). What is claimed and not begun
when a worker ends is given back; what a killed one had is done by others when its lease ends.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable

from kibitz.base import clock, ids
from kibitz.base.errors import KibitzError
from kibitz.storage.protocols import Store
from kibitz.workers import records
from kibitz.workers.board import Board
from kibitz.workers.claiming import Claimer, MakeRecord, Options
from kibitz.workers.definitions import Definitions, Load
from kibitz.workers.finishing import AWAY, Finisher
from kibitz.workers.flags import Flag
from kibitz.workers.keeping import Keeper
from kibitz.workers.lanes import LANES_AT_ONCE, Job
from kibitz.workers.tallies import Tallies, Tell, Told
from kibitz.workers.tasks import Tasks
from kibitz.workers.threads import Threads

RULES_EVERY_NS = 100_000_000
IDLE_S = 0.15
"""How long nothing is asked after nothing was there."""
_BUSY_S = 0.02
_LONGEST_AWAY_S = 2.0
_TELL_EVERY_NS = 1_000_000_000


class Worker:
    """Does the evaluations of a store. Make one, and `run` it once."""

    def __init__(
        self,
        store: Store,
        options: Options,
        *,
        load: Load,
        make_record: MakeRecord | None = None,
        tell: Tell | None = None,
    ) -> None:
        """Begin nothing yet.

        Args:
            store: a folder's or a server's.
            options: how it works.
            load: makes a feedback function of a definition, see `definitions.loading`.
            make_record: makes a record of its calls and the id of the root; the usual one where it is None.
            tell: called with what happens, from any thread.
        """
        self.name = f"{socket.gethostname()}:{os.getpid()}:{ids.new_id()[-6:]}"
        self.tallies = Tallies()
        self._evaluations = store.evaluations
        self._projects = store.projects
        self._options = options
        self._tell = tell or _tell_nobody
        self._board = Board(concurrency=options.concurrency)
        self._finisher = Finisher(self._evaluations, self._board, self.tallies, self._tell)
        self._threads = Threads(
            self._board,
            self._finisher.put,
            at_most=options.concurrency * LANES_AT_ONCE,
            timeout_s=options.timeout_s,
            max_attempts=options.max_attempts,
        )
        self._tasks = Tasks(
            self._board,
            self._finisher.put,
            timeout_s=options.timeout_s,
            max_attempts=options.max_attempts,
        )
        self._keeper = Keeper(
            self._evaluations, self._board, self._threads, lease_s=options.lease_s
        )
        self._claimer = Claimer(
            self._evaluations,
            Definitions(store.objects, load),
            self._board,
            self._begin,
            self._finisher.put,
            name=self.name,
            options=options,
            make_record=make_record or records.maker(store.objects),
        )
        self._stop = Flag()
        self._now = Flag()
        """Set when it must end without waiting for anything."""
        self._began_ns = clock.monotonic_ns()
        self._next_rules = 0
        self._next_told = 0
        self._told_ended = -1

    def stop(self) -> None:
        """Claim nothing more, finish what goes on, and end; a second time ends at once. Safe in a signal handler."""
        if self._stop.is_set():
            self._now.set()
        self._stop.set()

    @property
    def stopped(self) -> bool:
        """Whether it was told to stop."""
        return self._stop.is_set()

    def run(self) -> Tallies:
        """Work until it is stopped, or until there is nothing to do where the options say so.

        Raises:
            KibitzError: the store refuses to be worked on; a store that is away for a while is waited for.
        """
        self._began_ns = clock.monotonic_ns()
        self._tell(self.tallies.told("started", running=0, seconds=0.0, message=self.name))
        self._finisher.start()
        self._keeper.start()
        try:
            self._until_stopped()
        finally:
            self._end()
        return self.tallies

    def _until_stopped(self) -> None:
        away_s = 0.0
        while not self._stop.is_set():
            try:
                did = self._step()
            except AWAY as error:
                if self._options.until == "once":
                    raise
                if not away_s:
                    self._tell(Told(event="away", message=f"{error}"))
                away_s = min(max(2 * away_s, 0.2), _LONGEST_AWAY_S)
                self._stop.wait(getattr(error, "retry_after_s", None) or away_s)
                continue
            if away_s:
                away_s = 0.0
                self._tell(Told(event="back", message="the store answers again"))
            if did:
                continue
            if self._options.until != "stopped" and self._is_over():
                return
            self._rest()

    def _step(self) -> bool:
        """One round; whether there may be more at once."""
        looked = self._ask_rules()
        self._claimer.release(self._board.excess())
        claimed = self._claimer.claim() if self._has_room() else 0
        self._tell_progress()
        return bool(claimed or looked)

    def _ask_rules(self) -> int:
        now = clock.monotonic_ns()
        if now < self._next_rules:
            return 0
        looked = self._evaluations.want_by_rules()
        # Where there was much there is more: claiming goes on in between, and the next look is soon.
        self._next_rules = now + (0 if looked else RULES_EVERY_NS)
        return looked

    def _has_room(self) -> bool:
        batch = self._options.batch
        if not self._claimer.has_room:
            return False
        return self._board.quick_waiting() < batch and self._finisher.waiting < 4 * batch

    def _begin(self, jobs: list[Job]) -> None:
        """Have runs done that are loaded."""
        self._board.put(jobs)
        self._threads.fill()
        if any(job.lane.kind == "task" for job in jobs):
            self._tasks.fill()

    def _rest(self) -> None:
        """Wait a moment: shortly while quick ones go on, so that there is always something ahead."""
        busy = self._finisher.waiting or self._board.quick_waiting()
        self._stop.wait(_BUSY_S if busy else IDLE_S)

    def _is_over(self) -> bool:
        """Whether there is nothing left to do; asked when nothing could be claimed."""
        if not self._board.held.is_empty or self._finisher.waiting:
            return False
        if self._options.until == "once":
            return True
        names = self._options.projects or [each.name for each in self._projects.list()]
        return not self._left(names)

    def _left(self, projects: Iterable[str]) -> int:
        """How many evaluations of these projects have not ended."""
        return sum(
            each.wanted + each.running
            for name in projects
            for each in self._evaluations.progress(name)
        )

    def _tell_progress(self) -> None:
        now = clock.monotonic_ns()
        if now < self._next_told:
            return
        self._next_told = now + _TELL_EVERY_NS
        running = self._board.going_on()
        ended = self.tallies.total.ended + self.tallies.total.retried + running
        if ended != self._told_ended:
            self._told_ended = ended
            left = self._left(self._claimer.projects)
            self._tell(
                self.tallies.told("progress", running=running, seconds=self._elapsed_s(), left=left)
            )

    def _elapsed_s(self) -> float:
        return (clock.monotonic_ns() - self._began_ns) / 1e9

    def _end(self) -> None:
        """Give back what is not begun, wait for what is, and give back the rest."""
        # Before anybody is told: what has not begun then does not begin.
        unbegun = self._board.unbegun()
        if self._board.going_on() or self._finisher.waiting:
            self._tell(
                self.tallies.told(
                    "stopping", running=self._board.going_on(), seconds=self._elapsed_s()
                )
            )
        self._give_back(unbegun)
        deadline = clock.monotonic_ns() + int(self._options.grace_s * 1e9)
        while not self._now.is_set() and not self._board.held.is_empty:
            if clock.monotonic_ns() > deadline:
                break
            self._now.wait(_BUSY_S)
        self._tasks.stop()
        self._threads.stop()
        self._give_back(self._board.unfinished())
        self._finisher.drain(0.0 if self._now.is_set() else 1.0)
        self._keeper.stop()
        self._finisher.stop(2.0)
        self._tell(
            self.tallies.told("stopped", running=self._board.going_on(), seconds=self._elapsed_s())
        )

    def _give_back(self, jobs: list[Job]) -> None:
        try:
            self._claimer.release(jobs)
        except KibitzError:
            # The store is away: the leases end by themselves.
            return


def _tell_nobody(told: Told) -> None:
    """Where nobody wants to know."""
