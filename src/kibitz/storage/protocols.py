"""What a store does, in terms of records and queries: one small protocol per aggregate.

They are structural: `kibitz.client` satisfies the reading ones over HTTP without knowing this module, so
that the command line asks a folder or a server alike. All methods are synchronous and thread-safe.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from kibitz.base.api import Completions, FeedbackOutcome, NewView
from kibitz.base.evaluations import (
    Claim,
    Evaluation,
    EvaluationPart,
    EvaluationProgress,
    EvaluationQuery,
    NewRule,
    Rule,
    RulePart,
    RunOutcome,
    WantStep,
)
from kibitz.base.records import (
    Aggregation,
    Batch,
    BulkCount,
    BulkStep,
    Call,
    Count,
    Feedback,
    FeedbackPart,
    FilePart,
    ObjectVersion,
    Page,
    ProjectInfo,
    Receipt,
    ScoreColumn,
    SearchCost,
    SearchIndex,
    SearchLevel,
    View,
)
from kibitz.query.aggregation import AggregateQuery
from kibitz.query.nodes import CallColumn, CallQuery, FeedbackQuery, Node


class Ingest(Protocol):
    """Where batches go in."""

    def write(self, batch: Batch) -> Receipt:
        """Store a batch in one transaction; what the receipt counts is durable.

        Raises:
            UsageError: the project's name is wrong; nothing was stored.
            Unavailable: the store is busy; try again, nothing was stored.
            StorageFull: the disk is full; nothing was stored.
        """
        ...


class CallReader(Protocol):
    """Calls, by question."""

    def query(self, query: CallQuery) -> Page[Call]: ...

    def count(self, project: str, where: Node | None, *, bound: int = 10_000) -> Count: ...

    def get(self, project: str, call_id: str) -> Call:
        """One whole call with its feedback; raises `NotFound`."""
        ...

    def trace(self, project: str, trace_id: str, *, limit: int = 50_000) -> list[Call]:
        """The calls of a trace in the order they started, narrow columns only; raises `NotFound`."""
        ...

    def ops(self, project: str) -> list[tuple[str, int]]:
        """The ops of a project with their number of calls, most called first."""
        ...

    def aggregate(self, query: AggregateQuery) -> Aggregation:
        """What was measured of groups of calls, or of feedback where the query is over that.

        Raises:
            QueryError: it makes more groups, or needs more memory, than is allowed.
        """
        ...

    def complete(self, project: str, text: str, at: int | None = None) -> Completions:
        """What may stand at an offset of a query as text, and what is wrong with it; the end where none is given."""
        ...

    def by_op_and_day(
        self, project: str, *, since: datetime | None = None
    ) -> list[tuple[str, str, int, int, float | None]]:
        """(op, day as YYYY-MM-DD in UTC, calls, errors, mean latency in ms), from roll-ups."""
        ...


class FeedbackReader(Protocol):
    """Feedback, by question and one by one."""

    def query(self, query: FeedbackQuery) -> Page[Feedback]: ...

    def get(self, project: str, feedback_id: str) -> Feedback:
        """One judgement; raises `NotFound`."""
        ...

    def history(self, project: str, feedback_id: str) -> Sequence[Feedback]:
        """A judgement with all that its author said of the type on the target, and what took it back, oldest first.

        Of notes and reactions, of which each stands for itself, only what corrects and retracts this one.

        Raises:
            NotFound: there is no such judgement.
        """
        ...

    def add(self, project: str, parts: Sequence[FeedbackPart]) -> Sequence[FeedbackOutcome]:
        """Store judgements, each for itself: what breaks a rule does not keep the others out.

        Stricter than `Ingest.write`, which takes what a program says in any order: calls, and what is corrected or
        retracted, must be there.
        """
        ...

    def aggregate(self, query: AggregateQuery) -> Aggregation:
        """The same as `CallReader.aggregate`."""
        ...

    def columns(self, project: str) -> list[ScoreColumn]:
        """What the feedback of a project says, most used first."""
        ...


class ObjectReader(Protocol):
    """Versions of ops and objects."""

    def get(self, project: str, kind: str, name: str, digest: str) -> ObjectVersion: ...

    def versions(self, project: str, kind: str, name: str) -> list[ObjectVersion]: ...

    def list(
        self, project: str, kind: str | None = None, type: str | None = None
    ) -> Sequence[ObjectVersion]:
        """The newest version of each name, by name.

        Args:
            kind: only ops, or only objects.
            type: only those whose value has this `$type`.
        """
        ...


class ProjectReader(Protocol):
    """Projects and what is in them."""

    def list(self) -> Sequence[ProjectInfo]: ...

    def get(self, name: str) -> ProjectInfo: ...


class FileStore(Protocol):
    """Bytes by content address."""

    def put(self, project: str, content: bytes, media_type: str) -> str:
        """Store bytes once and give their digest."""
        ...

    def get(self, project: str, digest: str) -> tuple[bytes, str]:
        """The bytes and their media type; raises `NotFound`."""
        ...


class Search(Protocol):
    """What the text index holds of a project; searching itself is a condition of any question."""

    def status(self, project: str) -> SearchIndex:
        """What the index holds; raises `NotFound`."""
        ...

    def set_level(self, project: str, level: SearchLevel) -> SearchIndex:
        """Change what the index holds. What it then lacks is filled in quiet moments by whoever serves the store.

        Raises:
            NotFound: there is no such project.
            UsageError: there is no such level.
        """
        ...

    def cost(self, project: str, where: Node | None) -> SearchCost:
        """How the conditions on texts of a question would be answered now."""
        ...


class ViewStore(Protocol):
    """Questions that a project keeps under names."""

    def list(self, project: str) -> Sequence[View]:
        """The views of a project by name; raises `NotFound` where there is no project."""
        ...

    def get(self, project: str, name: str) -> View:
        """One view; raises `NotFound`."""
        ...

    def save(self, project: str, name: str, view: NewView) -> View:
        """Keep a view under a name, in the place of what the name had.

        Raises:
            QueryError: what it asks cannot be understood.
            UsageError: the name or a column cannot be used, or the project has too many views.
            NotFound: there is no such project.
        """
        ...

    def delete(self, project: str, name: str) -> View:
        """Forget a view and give what it was; raises `NotFound`."""
        ...


class Evaluations(Protocol):
    """Wanted and finished evaluations: one of each definition and record, done by whoever claims it."""

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
        """Want evaluations of calls that have ended and match, in steps, behind everything that is fresh.

        Args:
            definitions: references of definitions that the project has.
            where: which calls; None for all root calls.
            sample: which share of them; the same call is always in or always out.
            again: also those that were done, failed or skipped; what runs is left alone.
            rule: in whose name.

        Raises:
            NotFound: there is no such project or definition.
            UsageError: no definition is named, or a reference is none of a definition.
        """
        ...

    def want_by_rules(self, *, limit: int = 1000) -> int:
        """Hold calls that ended lately to the active rules of their projects; gives how many calls were looked at.

        Any number of processes may do it at once; each call counts once. Where a rule's query takes too long, the
        calls stay, and fewer are looked at the next time. Where that is so of a single call, or the query is none any
        more, the evaluations of the call are kept as failed, with the reason.
        """
        ...

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
        """Take evaluations that are due, fresh ones first, until the lease ends; nobody else gets them meanwhile.

        One whose lease ended is due again; after `max_attempts` of these it FAILED, and the reason says so.

        Args:
            worker: who takes them.
            limit: how many at most.
            lease_s: for how long, in seconds.
            projects: of these; of all where it is None.
            max_attempts: how often one is begun at most.
            except_definitions: references of which none is wanted now: the worker has as many of these slow ones as
                it can do, and those behind them must not wait.
        """
        ...

    def next_due(self, projects: Sequence[str] | None = None) -> datetime | None:
        """When there will be something to claim or to hold to the rules, as far as is known; None where nothing waits.

        In the past where there is already. What waits for its call to end is not counted.
        """
        ...

    def extend(self, run_ids: Sequence[str], *, lease_s: float) -> list[str]:
        """Keep claims for longer; gives the runs that are still theirs."""
        ...

    def release(self, run_ids: Sequence[str]) -> int:
        """Give claims back unbegun: they are due at once, and the attempt does not count."""
        ...

    def finish(self, project: str, outcomes: Sequence[RunOutcome]) -> list[str]:
        """Say what became of claimed runs, with their feedback, in one transaction; gives the runs that were taken.

        A run whose lease went to somebody else, or whose call was deleted, is not taken; the same run again is taken
        and changes nothing. A run that says what cannot be stored has failed, and its reason says why.
        """
        ...

    def retry(self, project: str, ids: Sequence[str]) -> int:
        """Want evaluations that ended anew, by their ids, attempts counted from the beginning; gives how many."""
        ...

    def query(self, query: EvaluationQuery) -> Page[Evaluation]: ...

    def get(self, project: str, evaluation_id: str) -> Evaluation:
        """One evaluation with its invocations; raises `NotFound`."""
        ...

    def of_call(self, project: str, call_id: str) -> Sequence[Evaluation]:
        """The evaluations of a record by its root call, with their invocations."""
        ...

    def progress(self, project: str) -> Sequence[EvaluationProgress]:
        """How far each definition is; one row each, most recent first."""
        ...

    def records(self, project: str, call_ids: Sequence[str]) -> dict[str, list[Call]]:
        """The records of root calls: each call with all that it called, in the order they started, values included.

        What is not there is left out. Where the root is the root of its trace, that is the trace.
        """
        ...


class RuleStore(Protocol):
    """What a project wants evaluated without being asked."""

    def list(self, project: str) -> Sequence[Rule]:
        """The rules of a project by name; raises `NotFound` where there is no project."""
        ...

    def get(self, project: str, name: str) -> Rule:
        """One rule; raises `NotFound`."""
        ...

    def save(self, project: str, name: str, rule: NewRule) -> Rule:
        """Keep a rule under a name, in the place of what the name had. A project that is not there is made.

        Raises:
            QueryError: its query cannot be understood.
            UsageError: the name cannot be used.
            NotFound: the project has no such definition.
        """
        ...

    def delete(self, project: str, name: str) -> Rule:
        """Forget a rule and give what it was; what it wanted stays wanted. Raises `NotFound`."""
        ...


@dataclass(frozen=True, slots=True)
class Extent:
    """What a project has at a moment: where reading it ends, and about how much that is."""

    last_call: int
    last_feedback: int
    calls: int
    feedback: int
    objects: int
    files: int
    last_evaluation: int
    evaluations: int
    rules: int


class Contents(Protocol):
    """Everything of a project in portions that fit into memory, as it is stored: values may be `msgspec.Raw`.

    What arrives after the extent was taken is left out.
    """

    def extent(self, project: str) -> Extent:
        """What there is now; raises `NotFound`."""
        ...

    def objects(self, project: str) -> Iterator[list[ObjectVersion]]: ...

    def files(self, project: str, digests: Iterable[str] | None = None) -> Iterator[FilePart]:
        """Files with their bytes; all, or those of these digests that there are."""
        ...

    def calls(
        self, query: CallQuery, extent: Extent, *, limit: int | None = None
    ) -> Iterator[list[Call]]:
        """The calls that match, without feedback; in the order of arrival where the query sorts by nothing."""
        ...

    def feedback(self, project: str, extent: Extent) -> Iterator[list[Feedback]]:
        """All feedback, history included, in the order of arrival."""
        ...

    def feedback_on(
        self, project: str, call_ids: list[str], extent: Extent
    ) -> dict[str, list[Feedback]]:
        """All feedback on some calls by their ids, history included, in the order of arrival."""
        ...

    def evaluations(self, project: str, extent: Extent) -> Iterator[list[EvaluationPart]]:
        """All evaluations in the order in which they were wanted first, as a delivery says them.

        One that is wanted or runs is wanted, under its own id; of any other what became of its last run.
        """
        ...

    def evaluations_on(
        self, project: str, call_ids: list[str], extent: Extent
    ) -> list[EvaluationPart]:
        """The same of some calls by their ids."""
        ...

    def rules(self, project: str) -> list[RulePart]:
        """The rules by name."""
        ...


class Bulk(Protocol):
    """Actions on all calls that match, each after a count and refused where there are more by then.

    An action goes in steps: hand the cursor of one back for the next, with its `left` as what is expected.
    """

    def count(self, project: str, where: Node | None, *, whole_traces: bool = False) -> BulkCount:
        """How many calls and judgements an action would touch, exactly."""
        ...

    def delete(
        self,
        project: str,
        where: Node | None,
        *,
        expected: int,
        whole_traces: bool = False,
        cursor: str | None = None,
    ) -> BulkStep:
        """Delete the calls that match, or the whole traces that they are in, with everything on them.

        Raises:
            Conflict: more calls match than were expected; nothing was deleted in this step.
        """
        ...

    def add_feedback(
        self,
        project: str,
        where: Node | None,
        judgement: FeedbackPart,
        *,
        expected: int,
        cursor: str | None = None,
    ) -> BulkStep:
        """Judge all calls that match alike.

        Args:
            judgement: what is said; its target does not count. Its `id`, where it has one, is of the action:
                beginning an action of the same id again adds nothing twice.

        Raises:
            Conflict: more calls match than were expected; nothing was added in this step.
            InvalidRecord: the judgement breaks a rule of its type; nothing was added.
        """
        ...


class LocalStore(Protocol):
    """What only a store at hand has; a server's is exported by the server."""

    @property
    def feedback(self) -> FeedbackReader: ...
    @property
    def objects(self) -> ObjectReader: ...
    @property
    def contents(self) -> Contents: ...


class Store(Protocol):
    """One opened store."""

    @property
    def ingest(self) -> Ingest: ...
    @property
    def calls(self) -> CallReader: ...
    @property
    def feedback(self) -> FeedbackReader: ...
    @property
    def objects(self) -> ObjectReader: ...
    @property
    def projects(self) -> ProjectReader: ...
    @property
    def files(self) -> FileStore: ...
    @property
    def views(self) -> ViewStore: ...
    @property
    def search(self) -> Search: ...
    @property
    def bulk(self) -> Bulk: ...
    @property
    def evaluations(self) -> Evaluations: ...
    @property
    def rules(self) -> RuleStore: ...

    def close(self) -> None: ...


__all__ = [
    "Bulk",
    "CallColumn",
    "CallReader",
    "Contents",
    "Evaluations",
    "Extent",
    "FeedbackReader",
    "FileStore",
    "Ingest",
    "LocalStore",
    "ObjectReader",
    "ProjectReader",
    "RuleStore",
    "Store",
    "Search",
    "ViewStore",
]
