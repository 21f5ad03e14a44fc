"""The bodies of the HTTP API about judging by program: evaluations, rules, definitions, records.

`api` has the paths and everything else that server and client share.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from msgspec import Meta, Raw, Struct

from kibitz.base.api import Asked, CallFilter
from kibitz.base.constraints import Id, Label, RefText
from kibitz.base.evaluations import (
    Claim,
    Evaluation,
    EvaluationProgress,
    EvaluationQuery,
    Rule,
    RunOutcome,
)
from kibitz.base.records import Call

MAX_RUNS = 10_000
"""Runs that one request claims, keeps, gives back or ends."""
MAX_RECORDS = 1000
"""Records that one request asks for."""
MAX_DEFINITIONS = 100
MAX_LEASE_S = 86_400.0

Lease = Annotated[float, Meta(gt=0, le=MAX_LEASE_S)]
Runs = Annotated[list[Id], Meta(max_length=MAX_RUNS)]


class ClaimAsked(Asked, frozen=True, kw_only=True):
    """What a worker wants to do."""

    worker: Annotated[Label, Meta(min_length=1)]
    limit: Annotated[int, Meta(ge=1, le=MAX_RUNS)]
    lease_s: Lease
    projects: Annotated[list[str], Meta(max_length=1000)] | None = None
    """Of all projects where it is left out."""
    max_attempts: Annotated[int, Meta(ge=1, le=1000)] = 5
    except_definitions: Annotated[list[RefText], Meta(max_length=1000)] = []
    """References of definitions of which none is wanted now."""


class Claims(Struct, frozen=True, kw_only=True):
    """What it has until the leases end; empty where nothing is due."""

    claims: list[Claim]


class DueAsked(Asked, frozen=True, kw_only=True):
    """Of which projects; of all where it is left out."""

    projects: Annotated[list[str], Meta(max_length=1000)] | None = None


class Due(Struct, frozen=True, kw_only=True):
    """When there will be something to do."""

    due_at: datetime | None
    """In the past where there is already; None where nothing waits."""


class Extension(Asked, frozen=True, kw_only=True):
    """Claims to keep for longer."""

    run_ids: Runs
    lease_s: Lease


class RunIds(Struct, frozen=True, kw_only=True):
    """The runs that are still the worker's, or that were taken."""

    run_ids: list[str]


class Release(Asked, frozen=True, kw_only=True):
    """Claims to give back unbegun."""

    run_ids: Runs


class Released(Struct, frozen=True, kw_only=True):
    """How many are due again."""

    released: int


class Finish(Asked, frozen=True, kw_only=True):
    """What became of claimed runs of one project."""

    project: str
    outcomes: Annotated[list[RunOutcome], Meta(max_length=MAX_RUNS)]


class Want(Asked, frozen=True, kw_only=True):
    """Which calls are to be evaluated, by which definitions: all that have ended and match."""

    project: str
    definitions: Annotated[list[RefText], Meta(min_length=1, max_length=MAX_DEFINITIONS)]
    filter: CallFilter | None = None
    query: dict[str, Any] | None = None
    text: str | None = None
    """A condition in words; it takes no limit. All root calls where none of the three is given."""
    sample: Annotated[float, Meta(ge=0, le=1)] = 1.0
    """Which share of them; the same call is always in or always out."""
    again: bool = False
    """Also evaluations that have ended already."""
    rule: Label | None = None
    """In whose name."""
    cursor: str | None = None


class WantByRules(Asked, frozen=True, kw_only=True):
    """How many calls to hold to the rules in this step."""

    limit: Annotated[int, Meta(ge=1, le=10_000)] = 1000


class LookedAt(Struct, frozen=True, kw_only=True):
    """How many calls were held to the rules; fewer than were asked for when there are no more."""

    calls: int


class Retry(Asked, frozen=True, kw_only=True):
    """Evaluations that ended and are wanted anew."""

    project: str
    ids: Annotated[list[Id], Meta(max_length=MAX_RUNS)]


class Retried(Struct, frozen=True, kw_only=True):
    """How many are wanted again."""

    wanted: int


class EvaluationsAsked(EvaluationQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which evaluations, newest first."""


class Evaluations(Struct, frozen=True, kw_only=True):
    """The evaluations of a record, with their invocations."""

    evaluations: list[Evaluation]


class Progress(Struct, frozen=True, kw_only=True):
    """How far each definition is, most recent first."""

    progress: list[EvaluationProgress]


class RecordsAsked(Asked, frozen=True, kw_only=True):
    """Which records, by their root calls."""

    project: str
    call_ids: Annotated[list[Id], Meta(max_length=MAX_RECORDS)]


class Records(Struct, frozen=True, kw_only=True):
    """Records as calls: each root call with all that it called, in the order they started."""

    records: dict[str, list[Call]]
    """By the id of the root call; what is not there is left out."""
    left: list[str] = []
    """What the answer has no room for: ask for these again."""


class RecordsWritten(Struct, frozen=True, kw_only=True):
    """`Records` whose calls are JSON already."""

    records: dict[str, Raw]
    left: list[str] = []


class SelectAsked(Asked, frozen=True, kw_only=True):
    """A selector to try on a record."""

    project: str
    call_id: Id
    """The root call of the record."""
    lens: Annotated[str, Meta(max_length=20_000)]
    """`main_input`, `__record__.main_input` or, as in a program, `Select.RecordInput`."""
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    """Values at most."""


class Rules(Struct, frozen=True, kw_only=True):
    """The rules of a project, by name."""

    rules: list[Rule]


class NewDefinition(Asked, frozen=True, kw_only=True):
    """A feedback definition to publish."""

    project: str
    value: dict[str, Any]
    """As `Feedback.definition.value` has it in Python. What may be left out is filled in."""


class DefinitionVersion(Struct, frozen=True, kw_only=True):
    """One version of a feedback definition. What its value does not say is null."""

    project: str
    name: str
    """Of the feedback: its type is `runnable.<name>`."""
    ref: str
    """What `runnable_ref` of its judgements is, and what rules and evaluations name."""
    digest: str
    version: int
    created_at: datetime
    implementation: Any
    """Where it is imported from: `module`, `name`, and for a method `class` and `parameters`; `why` where it cannot be."""
    arguments: Any
    """Fixed ones, by parameter."""
    selectors: Any
    """Where in the record each argument comes from, by parameter."""
    aggregator: Any
    combinations: Any
    if_exists: Any
    if_missing: Any
    higher_is_better: Any
    run_location: Any


class Definitions(Struct, frozen=True, kw_only=True):
    """The definitions of a project, or the versions of one, newest first."""

    definitions: list[DefinitionVersion]
