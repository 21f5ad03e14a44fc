"""Evaluations: one feedback definition applied to one record, wanted or done.

An evaluation is named by its definition and the root call of its record, so that whatever is wanted twice is done
once. Each time it is done is a run with an id of its own. A run that is DONE becomes a feedback row of the type
`runnable.<name>` whose id is that of the run; one that FAILED or was SKIPPED is kept with its reason and is no
judgement.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from kibitz.base.constraints import Id, Label, Moment, Name, RefText
from kibitz.base.spending import Spend

EvaluationStatus = Literal["none", "running", "done", "failed", "skipped"]
"""`none`: wanted, nobody has begun."""
Outcome = Literal["done", "failed", "skipped"]
DEFINITION = "feedback_definition"
"""The `$type` of a definition among the objects of a project."""
JUDGED_BY = "judged_by"
"""The attribute of calls that feedback functions made: the ids of the definitions they were made for, outermost first."""
MAX_RECORD_CALLS = 50_000
"""Of one record, as many as of a trace. Of a larger one a store gives one call more, so that whoever has it knows."""


class Invocation(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One call of an implementation."""

    arguments: dict[str, Any] = {}
    """What it was given, by parameter; long values are cut and marked."""
    paths: dict[str, str] = {}
    """Where in the record each came from, as the text of a lens that selects exactly it."""
    status: Outcome = "done"
    output: Any = None
    metadata: dict[str, Any] = {}
    """What it said beside its value: the reason."""
    error: str | None = None
    """Why it failed or was skipped."""
    duration_us: int = 0
    spent: Spend = Spend()


class EvaluationPart(
    Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """What one delivery says about an evaluation: that it is wanted (`none`), or what became of a run."""

    id: Id
    """Of the run; the same again is the same. The judgement of a run that is done has this id. An evaluation that is
    wanted first (`none`) is called so."""
    definition_ref: RefText
    """`kibitz:///project/object/<name>:<digest>` of a version whose `$type` is `feedback_definition`."""
    call_id: Id
    """The root call of the record."""
    status: EvaluationStatus
    output: Any = msgspec.UNSET
    """What a run that is done says: a number, or numbers by name."""
    reason: str | None = None
    """Why it failed or was skipped, in a sentence."""
    error: str | None = None
    """The traceback, where something was raised."""
    invocations: list[Invocation] = []
    spent: Spend = Spend()
    started_at: Moment | None = None
    ended_at: Moment | None = None
    rule: Label | None = None
    """The rule that wanted it."""


class RunOutcome(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a worker says of a run that it claimed."""

    part: EvaluationPart
    """`id` is that of the claim."""
    retry_at: Moment | None = None
    """Where it failed and is to be tried again: not before this."""


class Claim(Struct, frozen=True, kw_only=True):
    """A run that one worker has until its lease ends."""

    project: str
    run_id: Id
    evaluation_id: Id
    definition_ref: RefText
    call_id: Id
    attempt: int
    """1 for the first."""
    lease_until: datetime


class Evaluation(Struct, frozen=True, kw_only=True):
    """An evaluation as the store gives it back. Fields that a list leaves out are UNSET."""

    project: str
    id: str
    definition_ref: str
    name: str
    """Of the feedback: its type is `runnable.<name>`."""
    call_id: str
    op: str | None
    """Of the call."""
    status: EvaluationStatus
    output: Any = None
    reason: str | None = None
    attempts: int = 0
    wanted_at: datetime
    due_at: datetime | None = None
    """When it may be begun (`none`), or when its lease ends (`running`). None where it waits for its call to end."""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    worker: str | None = None
    rule: str | None = None
    feedback_id: str | None = None
    spent: Spend = Spend()
    error: str | None | msgspec.UnsetType = msgspec.UNSET
    invocations: list[Invocation] | msgspec.UnsetType = msgspec.UNSET


class EvaluationQuery(Struct, frozen=True, kw_only=True):
    """Which evaluations, newest first."""

    project: str
    status: list[EvaluationStatus] = []
    """Any where it is empty."""
    name: Name | None = None
    definition_ref: RefText | None = None
    call_id: Id | None = None
    rule: Label | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 50
    cursor: str | None = None


class EvaluationProgress(Struct, frozen=True, kw_only=True):
    """How far the evaluations of one definition are."""

    project: str
    definition_ref: str
    name: str
    wanted: int
    running: int
    done: int
    failed: int
    skipped: int
    spent_usd: float
    last_at: datetime | None
    """When the last run of it ended."""


class Rule(Struct, frozen=True, kw_only=True):
    """What is to be evaluated without being asked: calls that end from now on and match."""

    project: str
    name: str
    definitions: list[str]
    """References of feedback definitions."""
    query: str = ""
    """Which calls, as text of the query language; all root calls where it is empty."""
    sample: float = 1.0
    """Which share of them, 0 to 1; the same call is always in or always out."""
    per_day: int | None = None
    """Evaluations of one UTC day at most."""
    usd_per_day: float | None = None
    """No more are begun on a day on which this was spent: what is wanted already waits for the next."""
    active: bool = True
    author: str = ""
    created_at: datetime
    updated_at: datetime
    today: int = 0
    """Evaluations that it wanted on this day."""
    spent_today_usd: float = 0.0
    left_out_today: int = 0
    """Evaluations that the budget left out on this day."""


class NewRule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to keep as a rule. It takes the place of what the name had."""

    definitions: list[RefText]
    query: str = ""
    sample: Annotated[float, Meta(ge=0, le=1)] = 1.0
    per_day: Annotated[int, Meta(ge=0)] | None = None
    usd_per_day: Annotated[float, Meta(ge=0)] | None = None
    active: bool = True
    author: Label = ""


class RulePart(NewRule, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rule with its name, as it is carried from one store to another."""

    name: Name


class WantStep(Struct, frozen=True, kw_only=True):
    """One step of wanting evaluations of what is there already."""

    wanted: int
    """How many evaluations were added in this step."""
    known: int
    """How many were there already, and were left as they are."""
    left: int
    """Calls still to be gone through."""
    cursor: str | None = None
    """Hand it back to go on; None when all is done."""
