"""The records that cross a boundary: wire, store, SDK, pages.

A call travels as `CallPart`s: a *start* when it has been running for a moment, a *complete* one at the
end, or start and end apart from systems that send them so. Parts of one id may arrive in any order and
any number of times; the store merges them (`storage/sqlite/merging.py`) into the one `Call` it gives back.

Times are `datetime`s with a zone and microseconds. Structs are frozen; change with `msgspec.structs.replace`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from kibitz.base.constraints import Id, Label, Moment, Name, RefText
from kibitz.base.evaluations import EvaluationPart

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
"""What JSON can say. Numbers compare as IEEE doubles everywhere (`query/reference.py`)."""

CallStatus = Literal["running", "success", "error"]


class Frame(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of a traceback, outermost first."""

    file: str
    line: int
    function: str
    text: str = ""


class ExceptionInfo(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a call raised."""

    type: str
    """The class with its module, `builtins` left out: `ValueError`, `httpx.ConnectError`."""
    message: str
    traceback: list[Frame] = []
    cause: ExceptionInfo | None = None


class CallPart(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What one delivery says about a call. Only `id` is always there.

    With `ended_at` the part is an end (or a whole call); without, a start.
    """

    id: Id
    trace_id: Id | None = None
    """The trace; the call's own id where it is neither here nor in another part."""
    parent_id: Id | None = None
    op: Name | None = None
    op_ref: RefText | None = None
    kind: Name | None = None
    """agent, llm, tool, retriever, scorer … free text for grouping and icons."""
    display_name: Label | None = None
    thread_id: Label | None = None
    author: Label | None = None
    """Who ran it, where that is known: a user's name or a service."""
    started_at: Moment | None = None
    ended_at: Moment | None = None
    inputs: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    output: Any = msgspec.UNSET
    attributes: dict[str, Any] | None = None
    summary: dict[str, Any] | None = None
    """Numbers about the call: `usage` (tokens by model), `cost`, counts."""
    exception: ExceptionInfo | None = None


AuthorKind = Literal["person", "model", "program", "import"]


class FeedbackPart(
    Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """One judgement on one target, as it is delivered. The rules per type are in `judgements.py`."""

    id: Id | None = None
    """Made by the sender, so that a second delivery is recognised; the server makes one where it is missing."""
    type: Name
    """`runnable.<name>`, `annotation.<name>`, `reaction`, `note` or a free word."""
    target_ref: RefText
    payload: dict[str, Any]
    author: Label = ""
    """Who judged; empty where nobody is named."""
    author_kind: AuthorKind = "person"
    created_at: Moment | None = None
    annotation_ref: RefText | None = None
    """The specification an annotation was made to."""
    runnable_ref: RefText | None = None
    """The op or object that made a runnable feedback."""
    call_ref: RefText | None = None
    """The call that produced the feedback."""
    trigger_ref: RefText | None = None
    """What triggered it: a rule, a queue."""
    retracts: Id | None = None
    """The id of a feedback of the same type on the same target that this one takes back; the payload is empty then."""
    corrects: Id | None = None
    """The id of a feedback of the same type, target and author that this one is said in the place of."""


class ObjectPart(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A version of a named value. Its digest is the content address of `value` in canonical JSON."""

    kind: Literal["op", "object"]
    name: Name
    digest: Annotated[str, Meta(pattern=r"^[0-9a-f]{40}$")]
    value: dict[str, Any]
    created_at: Moment | None = None


class FilePart(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Bytes that a value of the batch refers to by digest: `{"$type": "file", "digest": …}`."""

    digest: Annotated[str, Meta(pattern=r"^[0-9a-f]{40}$")]
    media_type: Name
    content: bytes
    """Base64 in JSON."""


class Batch(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What one delivery carries, for one project. It is stored in one transaction."""

    project: str
    calls: list[CallPart] = []
    feedback: list[FeedbackPart] = []
    objects: list[ObjectPart] = []
    files: list[FilePart] = []
    evaluations: list[EvaluationPart] = []


class Rejection(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One item of a batch that was not stored, and why. The others were."""

    kind: Literal["call", "feedback", "object", "file", "evaluation"]
    index: int
    """Its position in the list it came in."""
    id: str | None = None
    code: str
    message: str
    field: str | None = None
    details: dict[str, Any] = {}
    """What a program can use beside these, by name: the rule, what is allowed."""


class Receipt(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of a batch. When it is given out, everything counted in it is durable."""

    calls: int = 0
    feedback: int = 0
    objects: int = 0
    files: int = 0
    evaluations: int = 0
    feedback_ids: list[str] = []
    """The ids of the stored feedback, in the order of the batch."""
    rejected: list[Rejection] = []


class Call(Struct, frozen=True, kw_only=True):
    """A call as the store gives it back. Fields that a query did not ask for are UNSET and left out in JSON."""

    project: str
    id: str
    trace_id: str
    parent_id: str | None
    op: str
    op_ref: str | None
    kind: str | None
    display_name: str | None
    thread_id: str | None
    author: str | None
    status: CallStatus
    started_at: datetime
    ended_at: datetime | None
    latency_ms: float | None
    """None while the call is running."""
    model: str | None = None
    """What `summary` says was used, see `usage.py`: the model with the most tokens."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    tokens: int | None = None
    cost: float | None = None
    """USD."""
    input_preview: str
    output_preview: str
    error: str | None = None
    """`type: message` of the exception, bounded; the whole is in `exception`."""
    inputs: Any = msgspec.UNSET
    output: Any = msgspec.UNSET
    attributes: Any = msgspec.UNSET
    summary: Any = msgspec.UNSET
    exception: ExceptionInfo | None | msgspec.UnsetType = msgspec.UNSET
    feedback: list[Feedback] | msgspec.UnsetType = msgspec.UNSET
    """The newest feedback of each type and author, newest first."""
    scores: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    """The newest scores by column: `{"runnable.x": {"output.match": true}}`."""


class Feedback(Struct, frozen=True, kw_only=True):
    """A judgement as the store gives it back."""

    project: str
    id: str
    type: str
    target_ref: str
    payload: Any
    author: str
    author_kind: AuthorKind
    created_at: datetime
    stands: bool = True
    """False where it was taken back or where its author has said something newer: then it is history."""
    annotation_ref: str | None = None
    runnable_ref: str | None = None
    call_ref: str | None = None
    trigger_ref: str | None = None
    retracts: str | None = None
    corrects: str | None = None


class ObjectVersion(Struct, frozen=True, kw_only=True):
    """A version of a named value as the store gives it back."""

    project: str
    kind: Literal["op", "object"]
    name: str
    digest: str
    value: Any
    created_at: datetime
    version: int
    """0 for the first version of this name, counting up."""


class ProjectInfo(Struct, frozen=True, kw_only=True):
    """A project and what is in it."""

    name: str
    calls: int
    feedback: int
    errors: int
    running: int
    stored_bytes: int
    """Bytes of payloads as stored, each once; transport and indexes are not counted."""
    created_at: datetime
    last_call_at: datetime | None


SearchLevel = Literal["off", "words", "substrings"]


class SearchIndex(Struct, frozen=True, kw_only=True):
    """What the text index holds of a project."""

    project: str
    level: SearchLevel
    """`words` finds words, `substrings` also parts of them; `off` reads calls, newest first, until a page is full."""
    calls: int
    """How many calls the project has."""
    waiting: int
    """How many of them are not in the index yet; a question looks at each of these."""
    words: int
    """Different words that parts are looked up in, where the level is `substrings`."""


SearchWay = Literal["none", "index", "scan"]


class SearchCost(Struct, frozen=True, kw_only=True):
    """How the conditions on texts of one question are answered."""

    way: SearchWay
    """`index`: only calls that the index names are read; `scan`: calls are read, newest first, until a page is full;
    `none`: the question asks nothing of texts."""
    level: SearchLevel
    waiting: int
    """Calls that are not in the index yet, each of which is read; counted up to 5,001."""


class View(Struct, frozen=True, kw_only=True):
    """A question that a project keeps under a name: what to ask, in which order, and what to show of it."""

    project: str
    name: str
    query: str = ""
    """In words, as `query.text_form` reads them; `now` in it is when it is asked."""
    sort: str = ""
    """Keys in words, `latency desc, started_at`; empty where the query sorts, or newest first."""
    columns: list[str] = []
    """The fields to show, as `query.fields` spells them; empty for the usual ones."""
    author: str = ""
    """Who saved it last; empty where nobody is named."""
    created_at: datetime
    updated_at: datetime


T = TypeVar("T")


class Page(Struct, Generic[T], frozen=True, kw_only=True):
    """One page of a list, and where the next begins."""

    items: list[T]
    next_cursor: str | None = None
    """Hand it back to go on; None on the last page. Stays exact while rows are added."""


class Count(Struct, frozen=True, kw_only=True):
    """How many match. Counting stops at a bound, so that asking is always cheap."""

    count: int
    exact: bool
    """False where counting stopped at the bound: there are at least `count`."""


class Category(Struct, frozen=True, kw_only=True):
    """A value and how often it is there."""

    value: bool | float | str
    n: int


class Measured(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a measure says of a group."""

    value: int | float | None = None
    """The figure; None where there is nothing to say, and where it is no finite number."""
    n: int
    """How many values it comes from."""
    low: float | None = None
    """Where the confidence interval of a mean or share begins …"""
    high: float | None = None
    """… and where it ends."""
    edges: list[float] = []
    """Of a histogram: bin i holds the numbers from edge i up to, without it, edge i + 1; the last has both."""
    counts: list[int] = []
    """How many numbers are in each bin."""
    categories: list[Category] = []
    """The most frequent values; of a histogram those that are no numbers."""
    other: int = 0
    """How many further values were not named as categories."""
    exact: bool = True
    """False where there were so many different texts that rare ones were counted as `other` only."""


class Group(Struct, frozen=True, kw_only=True):
    """One row of an aggregation."""

    keys: list[Any]
    """The value of each key; None for what has none."""
    measures: list[Measured]


class Aggregation(Struct, frozen=True, kw_only=True):
    """Groups with what was measured of each."""

    group_by: list[str]
    """The keys as text."""
    measures: list[str]
    """The measures as text."""
    groups: list[Group]
    truncated: bool = False
    """Whether there are more groups than were asked for."""


class BulkCount(Struct, frozen=True, kw_only=True):
    """What an action on all calls of a query would touch; always exact."""

    calls: int
    """How many calls match, or are in the traces of those that do where whole traces are asked for."""
    feedback: int
    """How many judgements are on them, history included."""


class BulkStep(Struct, frozen=True, kw_only=True):
    """One step of an action on all calls of a query. What it counts is durable."""

    calls: int
    """How many calls were deleted, or judged."""
    feedback: int
    """How many judgements were deleted with them, or added."""
    left: int
    """How many calls remain; hand it back as `expected`."""
    cursor: str | None = None
    """Hand it back to go on; None when all is done."""
    rejected: list[Rejection] = []
    """The first judgements that were refused, by the id of their call."""
    refused: int = 0
    """How many were refused in all."""


class ScoreColumn(Struct, frozen=True, kw_only=True):
    """One thing that feedback of a project says: a column to show, filter and sort by."""

    type: str
    path: str
    """Below the payload, dots between keys: `output.match`."""
    count: int
    """How many targets have it now."""
    kinds: list[Literal["bool", "number", "text"]]

    @property
    def field(self) -> str:
        """As queries spell it, see `query.fields`."""
        type_ = self.type.replace("\\", "\\\\").replace("]", "\\]")
        return f"feedback.[{type_}].payload.{self.path}"
