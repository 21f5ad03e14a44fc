"""What a worker claims, and how it becomes something to judge: the feedback function and the record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from kibitz.base import clock
from kibitz.base.errors import KibitzError
from kibitz.base.evaluations import Claim, RunOutcome
from kibitz.base.records import Call
from kibitz.storage.protocols import Evaluations
from kibitz.workers import outcomes
from kibitz.workers.board import Board
from kibitz.workers.definitions import Definitions
from kibitz.workers.lanes import Job
from kibitz.workers.leavings import Leavings
from kibitz.workers.portions import Portion, Portions
from kibitz.workers.threads import Sink

Until = Literal["stopped", "idle", "once"]
"""Whether a worker goes on for ever, until nothing is wanted any longer, or until what is due now is done."""
MakeRecord = Callable[[Sequence[Call], str], Any]
"""Makes a record of its calls and the id of the root."""
BYTES_AHEAD = 64 << 20
"""Of records that a worker has in memory, as JSON; what is beyond is given back until there is room again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a worker works."""

    projects: tuple[str, ...] = ()
    """Of all projects where it is empty."""
    until: Until = "stopped"
    concurrency: int = 50
    """Slow evaluations of one definition at once; of all together four times as many."""
    batch: int = 256
    """Runs to claim at once."""
    lease_s: float = 60.0
    max_attempts: int = 5
    timeout_s: float = 120.0
    """For one evaluation; 0 for none."""
    patience_s: float = 5.0
    """How long what cannot be imported here is left to other workers, where none of them begins any."""
    grace_s: float = 20.0
    """How long what goes on may take to end when the worker is stopped."""


class Claimer:
    """Claims runs and hands on those that can be judged; says of the others at once what became of them."""

    def __init__(
        self,
        evaluations: Evaluations,
        definitions: Definitions,
        board: Board,
        begin: Callable[[list[Job]], None],
        sink: Sink,
        *,
        name: str,
        options: Options,
        make_record: MakeRecord,
    ) -> None:
        self._evaluations = evaluations
        self._definitions = definitions
        self._board = board
        self._begin = begin
        self._sink = sink
        self._name = name
        self._options = options
        self._make_record = make_record
        self._portions = Portions(evaluations)
        # Once is now: there is no time to see whether anybody comes.
        patience_s = 0.0 if options.until == "once" else options.patience_s
        self._leavings = Leavings(evaluations, board.held, patience_s=patience_s)
        self.projects: set[str] = set()
        """Of which something was claimed."""

    def claim(self) -> int:
        """Claim a batch and have it done; gives how many runs that are.

        Raises:
            KibitzError: the store cannot be asked now; what was claimed is given back.
        """
        options = self._options
        self._leavings.look()
        claims = self._evaluations.claim(
            self._name,
            limit=options.batch,
            lease_s=options.lease_s,
            projects=options.projects or None,
            max_attempts=options.max_attempts,
            except_definitions=[*self._board.full(), *self._leavings.refs],
        )
        self._leavings.claimed({claim.definition_ref for claim in claims})
        waiting = {claim.run_id: claim for claim in self._without_suspects(claims)}
        took = len(waiting)
        try:
            self._leave(waiting)
            self._load(waiting)
        except KibitzError:
            self._board.held.forget(waiting)
            self._evaluations.release(list(waiting))
            raise
        # What was left to others counts as well: there may be more behind it, of which nothing is left from now on.
        return took

    def _leave(self, waiting: dict[str, Claim]) -> None:
        """Give back what cannot be imported here and may be elsewhere."""
        given_back = [
            claim.run_id
            for claim in waiting.values()
            if self._definitions.get(claim.definition_ref).elsewhere
            and self._leavings.leave(claim.definition_ref, claim.project)
        ]
        if given_back:
            self._evaluations.release(given_back)
            for run_id in given_back:
                del waiting[run_id]

    def release(self, jobs: Sequence[Job]) -> None:
        """Give back what was not begun."""
        if jobs:
            self._board.held.forget(job.claim.run_id for job in jobs)
            self._evaluations.release([job.claim.run_id for job in jobs])

    def _without_suspects(self, claims: list[Claim]) -> list[Claim]:
        """Give back what was begun before and was not seen to end, beyond a few at once.

        One of them may be what ended a worker; the others that it had must not share its fate. So each further attempt
        is made in a smaller company, and of those that have their last only one goes on at a time.
        """
        suspects = {
            claim.run_id
            for claim in claims
            if claim.attempt > 1 and not self._board.held.failed_here(claim.evaluation_id)
        }
        if not suspects:
            return claims
        held = self._board.held.attempts()
        kept: list[Claim] = []
        given_back: list[str] = []
        for claim in claims:
            if claim.run_id in suspects and held[claim.attempt] >= self._company(claim.attempt):
                given_back.append(claim.run_id)
            else:
                held[claim.attempt] += 1
                kept.append(claim)
        if given_back:
            self._evaluations.release(given_back)
        return kept

    def _company(self, attempt: int) -> int:
        """How many suspects of this attempt may go on at once."""
        if attempt >= self._options.max_attempts:
            return 1
        return max(1, self._options.batch // 4 ** min(attempt - 1, 15))

    def _load(self, waiting: dict[str, Claim]) -> None:
        """Have claimed runs done, those of one record together and records in portions.

        Args:
            waiting: by run id; what is handed on is taken out.
        """
        by_project: dict[str, dict[str, list[Job]]] = {}
        for claim in tuple(waiting.values()):
            self.projects.add(claim.project)
            loaded = self._definitions.get(claim.definition_ref)
            lane = self._board.lane(claim.definition_ref, loaded.name, loaded.judge)
            job = Job(claim, lane, None)
            self._board.held.add(job)
            if loaded.reason:
                failed = outcomes.of_reason(claim, "failed", loaded.reason, error=loaded.error)
                self._say(waiting, job, failed)
            else:
                calls = by_project.setdefault(claim.project, {})
                calls.setdefault(claim.call_id, []).append(job)
        for project, by_call in by_project.items():
            for portion in self._portions.read(project, list(by_call)):
                ready: list[Job] = []
                for call_id in portion.asked:
                    ready += self._with_record(waiting, by_call[call_id], portion)
                if ready:
                    self._begin(ready)
                if not self.has_room:
                    self._board.held.forget(waiting)
                    self._evaluations.release(list(waiting))
                    return

    @property
    def has_room(self) -> bool:
        """Whether there is memory for further records."""
        return self._board.held.bytes < BYTES_AHEAD

    def _with_record(
        self, waiting: dict[str, Claim], jobs: list[Job], portion: Portion
    ) -> list[Job]:
        """Those of the runs of a record that can be begun."""
        call_id = jobs[0].claim.call_id
        calls = portion.found.get(call_id)
        if portion.error is not None:
            for job in jobs:
                reason = f"the record cannot be read: {portion.error.message}"
                said = outcomes.of_reason(job.claim, "failed", reason)
                attempts = self._options.max_attempts
                self._say(waiting, job, outcomes.again(job.claim, said.part, max_attempts=attempts))
            return []
        if not calls:
            reason = f"the record is gone: call {call_id} was deleted before it was evaluated"
            for job in jobs:
                self._say(waiting, job, outcomes.of_reason(job.claim, "skipped", reason))
            return []
        try:
            record = self._make_record(calls, call_id)
        except Exception as error:  # noqa: BLE001  one odd record must not end the work on others
            for job in jobs:
                self._say(waiting, job, outcomes.of_error(job.claim, error, clock.now()))
            return []
        for job in jobs:
            job.record = record
            del waiting[job.claim.run_id]
        self._board.held.weigh(jobs, portion.sizes.get(call_id, 0))
        return jobs

    def _say(self, waiting: dict[str, Claim], job: Job, outcome: RunOutcome) -> None:
        del waiting[job.claim.run_id]
        if self._board.held.settle(job):
            self._sink([(job, outcome)])


def usual_record() -> MakeRecord:
    """Makes records as feedback functions take them."""
    from kibitz.judging.records import Record

    return Record.of_calls
