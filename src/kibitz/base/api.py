"""The HTTP API in words that server and client share: paths, and the bodies that are not records themselves.

`docs/reference/http-api.md` says it in full.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from kibitz.base.records import (
    AuthorKind,
    Call,
    Feedback,
    FeedbackPart,
    Id,
    Label,
    Moment,
    Name,
    ObjectVersion,
    ProjectInfo,
    RefText,
    ScoreColumn,
    SearchLevel,
    View,
)

ROOT = "/api/v1"
INGEST = f"{ROOT}/ingest"
CALLS = f"{ROOT}/calls"
CALLS_QUERY = f"{CALLS}/query"
CALLS_COUNT = f"{CALLS}/count"
CALLS_COMPLETE = f"{CALLS}/complete"
CALLS_AGGREGATE = f"{CALLS}/aggregate"
CALLS_BULK_COUNT = f"{CALLS}/bulk/count"
CALLS_BULK_DELETE = f"{CALLS}/bulk/delete"
CALLS_BULK_FEEDBACK = f"{CALLS}/bulk/feedback"
TRACES = f"{ROOT}/traces"
FEEDBACK = f"{ROOT}/feedback"
FEEDBACK_QUERY = f"{FEEDBACK}/query"
FEEDBACK_AGGREGATE = f"{FEEDBACK}/aggregate"
FEEDBACK_BATCH = f"{FEEDBACK}/batch"
FEEDBACK_COLUMNS = f"{FEEDBACK}/columns"
PROJECTS = f"{ROOT}/projects"
EXPORT = f"{ROOT}/export"
OPS = f"{ROOT}/ops"
OPS_DAILY = f"{OPS}/daily"
OBJECTS = f"{ROOT}/objects"
SPECIFICATIONS = f"{ROOT}/specifications"
FILES = f"{ROOT}/files"
VIEWS = f"{ROOT}/views"
EVALUATIONS = f"{ROOT}/evaluations"
EVALUATIONS_CLAIM = f"{EVALUATIONS}/claim"
EVALUATIONS_NEXT_DUE = f"{EVALUATIONS}/next-due"
EVALUATIONS_EXTEND = f"{EVALUATIONS}/extend"
EVALUATIONS_RELEASE = f"{EVALUATIONS}/release"
EVALUATIONS_FINISH = f"{EVALUATIONS}/finish"
EVALUATIONS_WANT = f"{EVALUATIONS}/want"
EVALUATIONS_WANT_BY_RULES = f"{EVALUATIONS}/want-by-rules"
EVALUATIONS_RETRY = f"{EVALUATIONS}/retry"
EVALUATIONS_QUERY = f"{EVALUATIONS}/query"
EVALUATIONS_RECORDS = f"{EVALUATIONS}/records"
EVALUATIONS_PROGRESS = f"{EVALUATIONS}/progress"
RULES = f"{ROOT}/rules"
RECORDS_SELECT = f"{ROOT}/records/select"
DEFINITIONS = f"{ROOT}/definitions"
SEARCH = f"{ROOT}/search"
SEARCH_COST = f"{SEARCH}/cost"
HEALTH = "/health"
OPENAPI = "/api/openapi.json"

MAX_LIMIT = 1000
"""Items of one page."""
DEFAULT_LIMIT = 50


class Asked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A body that asks for something: what it does not know is an error."""


class SortKey(Asked, frozen=True, kw_only=True):
    """One key to sort by."""

    field: str
    """A column, or a place: `inputs.question`, `feedback.[runnable.x].payload.output`."""
    direction: Literal["asc", "desc"] = "asc"


class CallFilter(Asked, frozen=True, kw_only=True):
    """The usual conditions. All that are given must hold; a list means any of its values."""

    op: str | list[str] | None = None
    status: str | list[str] | None = None
    trace_id: str | list[str] | None = None
    parent_id: str | list[str] | None = None
    thread_id: str | list[str] | None = None
    kind: str | list[str] | None = None
    model: str | list[str] | None = None
    root_only: bool | None = None
    since: str | int | None = None
    """Started at this time or later: RFC 3339 with a zone, or microseconds since 1970."""
    until: str | int | None = None
    """Started before this time."""
    ids: list[str] | None = None


class CallsQuery(Asked, frozen=True, kw_only=True):
    """Which calls, in which order, and how much of each."""

    project: str
    filter: CallFilter | None = None
    query: dict[str, Any] | None = None
    """`{"$expr": NODE}`."""
    text: str | None = None
    """The query in words: `op = answer and feedback.grounded.output < 0.5 sort feedback.grounded.output`."""
    sort: list[SortKey] | None = None
    """Newest first where it is left out."""
    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT)] | None = None
    cursor: str | None = None
    columns: (
        list[
            Literal["inputs", "output", "attributes", "summary", "exception", "feedback", "scores"]
        ]
        | None
    ) = None


class CallsAggregate(Asked, frozen=True, kw_only=True):
    """Which calls to group, how, and what to say of each group."""

    project: str
    filter: CallFilter | None = None
    query: dict[str, Any] | None = None
    text: str | None = None
    """A condition in words; what it says of sort and limit does not count."""
    group_by: Annotated[list[str], Meta(max_length=4)] | None = None
    """Keys as text: `op`, `day`, `day("Europe/Berlin")`, `attributes.env`. One group of everything without any."""
    measures: Annotated[list[str], Meta(max_length=16)] | None = None
    """Measures as text: `count`, `mean(latency)`, `share(feedback.x.output)`. The count alone where left out."""
    order: str | None = None
    """One of the measures, then `asc` or `desc`; by the keys where it is left out."""
    limit: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    """Groups at most; 1,000 where it is left out."""
    confidence: Annotated[float, Meta(gt=0, lt=1)] | None = None
    """How sure intervals are; 0.95 where it is left out."""


class FeedbackAggregate(CallsAggregate, frozen=True, kw_only=True):
    """Which judgements to group, how, and what to say of each group.

    `filter`, `query` and `text` are about the call that was judged.
    """

    type: Label | None = None
    author: Label | None = None
    since: str | int | None = None
    """Said at this time or later: RFC 3339 with a zone, or microseconds since 1970."""
    until: str | int | None = None
    """Said before this time."""
    every: bool = False
    """Also what was taken back or followed by something newer of its author."""


class CountQuery(Asked, frozen=True, kw_only=True):
    """Which calls to count, and where to stop counting."""

    project: str
    filter: CallFilter | None = None
    query: dict[str, Any] | None = None
    text: str | None = None
    """A condition in words; what it says of sort and limit does not count."""
    bound: int | None = None


class CompletionAsked(Asked, frozen=True, kw_only=True):
    """What may stand at a place of a query in words."""

    project: str
    text: Annotated[str, Meta(max_length=20_000)]
    cursor: Annotated[int, Meta(ge=0)] | None = None
    """The place, in characters from the beginning; the end where it is left out."""


class Completion(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that may stand there."""

    text: str
    """What to write instead of what is between `from` and `to`."""
    label: str
    kind: Literal["field", "function", "operator", "value", "keyword"]
    detail: str = ""
    count: int | None = None
    """How many calls or judgements have it, where that is known."""


class Flaw(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is wrong, or probably not meant, and where."""

    message: str
    position: int
    length: int
    suggestion: str | None = None


class Completions(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What may stand at a place of a query, best first, and what is wrong with the query as it is."""

    start: int = field(name="from")
    end: int = field(name="to")
    items: list[Completion]
    error: Flaw | None = None
    """Why the query cannot be asked."""
    warnings: list[Flaw] = []
    """Names that nothing in the project has; the query can be asked all the same."""


class ExportAsked(Asked, frozen=True, kw_only=True):
    """What to export, and as what."""

    project: str
    filter: CallFilter | None = None
    query: dict[str, Any] | None = None
    text: str | None = None
    """The calls of a query in words, which may sort and limit; everything where none of the three is given."""
    format: Literal["jsonl", "csv", "parquet", "arrow"] = "jsonl"
    tables: Literal["all", "calls"] = "all"
    """`calls` for one table of the calls with the feedback on them, which jsonl does not have."""


class BulkAsked(Asked, frozen=True, kw_only=True):
    """Which calls an action is for: all that match."""

    project: str
    filter: CallFilter | None = None
    query: dict[str, Any] | None = None
    text: str | None = None
    """A condition in words; it takes no limit."""
    whole_traces: bool = False
    """Also the other calls of the traces in which one matches; not for feedback."""


class BulkDeletion(BulkAsked, frozen=True, kw_only=True):
    """Which calls to delete."""

    expected: Annotated[int, Meta(ge=0)]
    """How many were counted; where more match by now, nothing is deleted."""
    cursor: str | None = None


class BulkJudgement(Asked, frozen=True, kw_only=True):
    """What to say about all calls that match."""

    project: str
    filter: CallFilter | None = None
    query: dict[str, Any] | None = None
    text: str | None = None
    expected: Annotated[int, Meta(ge=0)]
    """How many were counted; where more match by now, nothing is added."""
    cursor: str | None = None
    id: Id | None = None
    """An id of the action: beginning it again adds nothing twice."""
    type: Name
    payload: dict[str, Any]
    author: Label = ""
    author_kind: AuthorKind = "person"
    created_at: Moment | None = None
    annotation_ref: RefText | None = None
    runnable_ref: RefText | None = None
    call_ref: RefText | None = None
    trigger_ref: RefText | None = None


class NewFeedback(FeedbackPart, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One judgement to store."""

    project: str


class FeedbackAsked(Asked, frozen=True, kw_only=True):
    """Which feedback, newest first."""

    project: str
    type: Label | None = None
    target_ref: str | None = None
    author: Label | None = None
    ids: Annotated[list[str], Meta(max_length=MAX_LIMIT)] | None = None
    since: str | int | None = None
    """Said at this time or later: RFC 3339 with a zone, or microseconds since 1970."""
    until: str | int | None = None
    """Said before this time."""
    standing: bool = False
    """Only what stands now."""
    version: Annotated[str, Meta(pattern=r"^[0-9a-f]{1,40}$")] | None = None
    """The beginning of the digest of the scorer or specification that it was made by."""
    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT
    cursor: str | None = None


class Retraction(Asked, frozen=True, kw_only=True):
    """Who takes a judgement back. Only its author may."""

    project: str
    author: Label = ""
    author_kind: AuthorKind | None = None
    """That of the judgement where it is left out."""


class Correction(Asked, frozen=True, kw_only=True):
    """What is said in the place of a judgement. Only its author may."""

    project: str
    payload: dict[str, Any]
    """The whole new payload."""
    author: Label = ""
    author_kind: AuthorKind | None = None
    annotation_ref: RefText | None = None
    """Another version of the specification; that of the judgement where it is left out."""


class History(Struct, frozen=True, kw_only=True):
    """A judgement with what its author said before and after it and what took it back, oldest first."""

    items: list[Feedback]


class FeedbackBatch(Asked, frozen=True, kw_only=True):
    """Several judgements to store, each for itself."""

    project: str
    feedback: list[FeedbackPart] = []


class FeedbackOutcome(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one judgement of several."""

    index: int
    id: str | None = None
    """None where it was not stored."""
    error: ErrorInfo | None = None


class FeedbackOutcomes(Struct, frozen=True, kw_only=True):
    """What became of each, in the order in which they were sent."""

    stored: int
    outcomes: list[FeedbackOutcome]


class NewSpecification(Asked, frozen=True, kw_only=True):
    """A specification to publish: what people are to be asked, as `specifications.AnnotationSpec` has it."""

    project: str
    name: str
    schema: dict[str, Any]
    description: str = ""
    guidelines: str = ""
    see: list[str] = []
    answer: list[str] = []
    unique_among_creators: bool = True
    ops: list[str] = []
    targets: list[str] = []


class SpecificationVersion(Struct, frozen=True, kw_only=True):
    """One version of a specification."""

    project: str
    name: str
    ref: str
    """What `annotation_ref` of the answers is."""
    digest: str
    version: int
    created_at: datetime
    kind: str
    """The control: number, integer, boolean, thumbs, choice, choices, text, ranking, spans, correction or fields."""
    paths: list[str]
    """Where its answers stand in the payload: columns to filter and sort by."""
    schema: dict[str, Any]
    description: str
    guidelines: str
    see: list[str]
    answer: list[str]
    unique_among_creators: bool
    ops: list[str]
    targets: list[str]


class Specifications(Struct, frozen=True, kw_only=True):
    """The specifications of a project, or the versions of one, newest first."""

    specifications: list[SpecificationVersion]


class Trace(Struct, frozen=True, kw_only=True):
    """The calls of a trace in the order they started, narrow columns only."""

    calls: list[Call]


class OpCount(Struct, frozen=True, kw_only=True):
    """An op and how often it was called."""

    op: str
    calls: int


class Ops(Struct, frozen=True, kw_only=True):
    """The ops of a project, most called first."""

    ops: list[OpCount]


class OpDay(Struct, frozen=True, kw_only=True):
    """An op on a day in UTC."""

    op: str
    day: str
    calls: int
    errors: int
    mean_latency_ms: float | None
    """None where no call of it has ended."""


class OpDays(Struct, frozen=True, kw_only=True):
    """The ops of a project by day."""

    days: list[OpDay]


class Columns(Struct, frozen=True, kw_only=True):
    """What the feedback of a project says, most used first."""

    columns: list[ScoreColumn]


class Versions(Struct, frozen=True, kw_only=True):
    """The versions of an object, newest last."""

    versions: list[ObjectVersion]


class Projects(Struct, frozen=True, kw_only=True):
    """All projects."""

    projects: list[ProjectInfo]


class NewSearch(Asked, frozen=True, kw_only=True):
    """What the text index is to hold of a project."""

    level: SearchLevel


class NewView(Asked, frozen=True, kw_only=True):
    """What to keep under a name. It takes the place of what the name had."""

    query: str = ""
    """In words: a condition, an order and a limit."""
    sort: str = ""
    """Keys in words, `latency desc, started_at`, where the query does not sort."""
    columns: list[str] = []
    author: Label = ""


class Views(Struct, frozen=True, kw_only=True):
    """The views of a project, by name."""

    views: list[View]


class Health(Struct, frozen=True, kw_only=True):
    """The server answers."""

    status: Literal["ok"]
    version: str


class ErrorInfo(Struct, frozen=True, kw_only=True):
    """What went wrong."""

    code: str
    """One word of the table of errors, for programs."""
    message: str
    """What was attempted, the value that is wrong and the way out, for people."""
    details: dict[str, Any] = {}


class Failure(Struct, frozen=True, kw_only=True):
    """The one shape of every error."""

    error: ErrorInfo
