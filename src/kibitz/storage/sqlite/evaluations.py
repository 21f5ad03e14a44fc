"""The evaluations of the embedded store: each method is one question or one transaction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from itertools import count

from kibitz.base import clock, refs
from kibitz.base.errors import UsageError
from kibitz.base.evaluations import (
    Claim,
    Evaluation,
    EvaluationProgress,
    EvaluationQuery,
    RunOutcome,
    WantStep,
)
from kibitz.base.records import Call, Page
from kibitz.query.nodes import Node
from kibitz.storage import statements
from kibitz.storage.sqlite import evaluation_reading, evaluation_work, record_reading, wanting
from kibitz.storage.sqlite.connection import Readers
from kibitz.storage.sqlite.encoding import microseconds
from kibitz.storage.sqlite.evaluation_parts import prepare_outcome
from kibitz.storage.sqlite.evaluation_work import Ended, Wish
from kibitz.storage.sqlite.inbox import Inbox
from kibitz.storage.sqlite.ingest import SqliteIngest
from kibitz.storage.sqlite.names import project_pk

_SQL = statements.load("evaluations.sql")
MAX_CLAIMED = 10_000
"""At once."""
MAX_LEASE_S = 86_400.0


class SqliteEvaluations:
    """Satisfies `storage.protocols.Evaluations`."""

    def __init__(
        self, readers: Readers, ingest: SqliteIngest, *, step_ns: int = wanting.STEP_NS
    ) -> None:
        self._readers = readers
        self._ingest = ingest
        self._step_ns = step_ns
        self._turns = count()
        self._inbox = Inbox(readers, ingest)

    def want(
        self,
        project: str,
        definitions: Sequence[str],
        where: Node | None,
        *,
        sample: float = 1.0,
        again: bool = False,
        rule: str | None = None,
        cursor: str | None = None,
    ) -> WantStep:
        """Want evaluations of what is there already, in steps. See `storage.protocols.Evaluations`."""
        if not 0 <= sample <= 1:
            raise UsageError(f"sample {sample!r} is not a share of 0 to 1", field="sample")
        return wanting.want(
            self._readers,
            self._ingest,
            project,
            definitions,
            where,
            sample=sample,
            again=again,
            rule=rule or None,
            cursor=cursor,
            step_ns=self._step_ns,
        )

    def want_by_rules(self, *, limit: int = 1000) -> int:
        """Hold calls that ended lately to the rules. See `storage.protocols.Evaluations`."""
        return self._inbox.hold(limit)

    def claim(
        self,
        worker: str,
        *,
        limit: int,
        lease_s: float,
        projects: Sequence[str] | None = None,
        max_attempts: int = 5,
        except_definitions: Sequence[str] = (),
    ) -> list[Claim]:
        """Take evaluations that are due. See `storage.protocols.Evaluations`."""
        if not 1 <= limit <= MAX_CLAIMED:
            raise UsageError(
                f"limit {limit!r} is not 1 to {MAX_CLAIMED:,} evaluations", field="limit"
            )
        if max_attempts < 1:
            raise UsageError(f"max_attempts {max_attempts!r} is less than 1", field="max_attempts")
        wish = Wish(
            worker=worker,
            limit=limit,
            lease_us=_lease_us(lease_s),
            projects=projects,
            max_attempts=max_attempts,
            except_definitions=except_definitions,
            turn=next(self._turns),
        )
        # Workers ask all the time; whoever writes is not held up by it.
        while self._is_any_due(projects, except_definitions):
            claims = self._ingest.change(
                lambda connection: evaluation_work.claim(connection, wish, clock.now_ns() // 1000)
            )
            if claims:
                return claims
        return []

    def next_due(self, projects: Sequence[str] | None = None) -> datetime | None:
        """When there will be something to claim. See `storage.protocols.Evaluations`."""
        with self._readers.reading() as connection:
            if connection.execute(_SQL["is_inbox_full"]).fetchone()[0]:
                return clock.now()
            at = evaluation_work.next_due(connection, projects)
        return None if at is None else clock.from_us(at)

    def extend(self, run_ids: Sequence[str], *, lease_s: float) -> list[str]:
        """Keep claims for longer; gives the runs that are still theirs."""
        lease_us = _lease_us(lease_s)
        return self._ingest.change(
            lambda connection: evaluation_work.extend(
                connection, run_ids, clock.now_ns() // 1000 + lease_us
            )
        )

    def release(self, run_ids: Sequence[str]) -> int:
        """Give claims back unbegun: they are due at once, and the attempt does not count."""
        return self._ingest.change(
            lambda connection: evaluation_work.release(connection, run_ids, clock.now_ns() // 1000)
        )

    def finish(self, project: str, outcomes: Sequence[RunOutcome]) -> list[str]:
        """Say what became of claimed runs. See `storage.protocols.Evaluations`."""
        refs.check_project(project)
        if not outcomes:
            return []
        now = clock.now_ns() // 1000
        ended = [
            Ended(
                item=prepare_outcome(each.part, project, now),
                retry_at=None if each.retry_at is None else microseconds(each.retry_at, "retry_at"),
            )
            for each in outcomes
        ]
        return self._ingest.change(
            lambda connection: evaluation_work.finish(
                connection, project_pk(connection, project), ended, now
            )
        )

    def retry(self, project: str, ids: Sequence[str]) -> int:
        """Want evaluations that ended anew, by their ids; gives how many."""
        return self._ingest.change(
            lambda connection: evaluation_work.retry(
                connection, project_pk(connection, project), ids, clock.now_ns() // 1000
            )
        )

    def query(self, query: EvaluationQuery) -> Page[Evaluation]:
        """A page of evaluations, newest first."""
        with self._readers.reading() as connection:
            return evaluation_reading.query(connection, query)

    def get(self, project: str, evaluation_id: str) -> Evaluation:
        """One evaluation with its invocations; raises `NotFound`."""
        with self._readers.reading() as connection:
            return evaluation_reading.get(connection, project, evaluation_id)

    def of_call(self, project: str, call_id: str) -> Sequence[Evaluation]:
        """The evaluations of a record by its root call, with their invocations."""
        with self._readers.reading() as connection:
            return evaluation_reading.of_call(connection, project, call_id)

    def progress(self, project: str) -> Sequence[EvaluationProgress]:
        """How far each definition is; one row each, most recent first."""
        with self._readers.reading() as connection:
            return evaluation_reading.progress(connection, project)

    def records(self, project: str, call_ids: Sequence[str]) -> dict[str, list[Call]]:
        """The records of root calls. See `storage.protocols.Evaluations`."""
        with self._readers.reading() as connection:
            return record_reading.records(connection, project, call_ids)

    def _is_any_due(
        self, projects: Sequence[str] | None, except_definitions: Sequence[str]
    ) -> bool:
        with self._readers.reading() as connection:
            at = evaluation_work.next_due(connection, projects, except_definitions)
        return at is not None and at <= clock.now_ns() // 1000


def _lease_us(lease_s: float) -> int:
    if not (math.isfinite(lease_s) and 0 < lease_s <= MAX_LEASE_S):
        raise UsageError(
            f"lease_s {lease_s!r} is not more than 0 and at most {MAX_LEASE_S:,.0f} seconds",
            field="lease_s",
        )
    return max(1, int(lease_s * 1e6))
