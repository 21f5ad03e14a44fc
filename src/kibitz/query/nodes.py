"""The nodes of a query: a small closed set that every spelling compiles to.

What they mean is `reference.py`, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Root = Literal["inputs", "output", "attributes", "summary"]
Column = Literal[
    "id",
    "trace_id",
    "parent_id",
    "op",
    "op_ref",
    "kind",
    "display_name",
    "thread_id",
    "author",
    "status",
    "started_at",
    "ended_at",
    "latency_ms",
    "model",
    "input_tokens",
    "output_tokens",
    "tokens",
    "cost",
]
"""The fields of a call that are columns. Times are microseconds since 1970 in a node; the spellings parse them.

From `model` on they are read from `summary`, see `base/usage.py`; the cost is in USD."""


@dataclass(frozen=True, slots=True)
class ColumnField:
    """A column of the call."""

    name: Column


@dataclass(frozen=True, slots=True)
class PathField:
    """A place in one of the call's JSON values. A part is a key; a part of digits is also a list index."""

    root: Root
    path: tuple[str, ...] = ()


Over = Literal["latest", "any", "all", "mean", "min", "max", "agree"]
"""How the feedback of several authors becomes one answer; see `reference.py`."""
FeedbackPartName = Literal["payload", "author", "created_at", "count"]


@dataclass(frozen=True, slots=True)
class FeedbackField:
    """What the feedback of a type that stands says: `feedback.[type].payload.path`."""

    type: str
    """`*` for feedback of any type."""
    path: tuple[str, ...] = ()
    """Below the payload, past lists to each of their elements; empty where only presence is asked."""
    over: Over = "latest"
    part: FeedbackPartName = "payload"
    """`count` is the number of feedback that stands; `author` and `created_at` are of each of them."""
    version: str | None = None
    """The beginning of the digest of the scorer or specification that it must have been made by."""


Field = ColumnField | PathField | FeedbackField


@dataclass(frozen=True, slots=True)
class Size:
    """How long what a field holds is: elements of a list, keys of an object, characters of a text."""

    field: Field


ConvertTo = Literal["number", "integer", "text", "bool"]


@dataclass(frozen=True, slots=True)
class Convert:
    """What a field holds as another kind, see `derived.py`; missing where it cannot be."""

    field: Field
    to: ConvertTo


Operand = Field | Size | Convert
"""What can be compared and sorted by: a field, or something worked out from one.

Of feedback it is worked out for each judgement, before those of several authors are taken together.
"""


def base(operand: Operand) -> Field:
    """The field that an operand is about."""
    return operand.field if isinstance(operand, Size | Convert) else operand


Literal_ = None | bool | int | float | str
Comparison = Literal["eq", "gt", "gte", "lt", "lte"]


@dataclass(frozen=True, slots=True)
class Compare:
    """A field against a literal."""

    field: Operand
    operator: Comparison
    value: Literal_


@dataclass(frozen=True, slots=True)
class In:
    """A field against several literals: equal to any of them."""

    field: Operand
    values: tuple[Literal_, ...]


@dataclass(frozen=True, slots=True)
class Contains:
    """A text that has the text in it, or an object or list with such a text anywhere below it.

    So `inputs` contains what any of its strings contains; keys do not count.
    """

    field: Operand
    text: str
    case_insensitive: bool = False


@dataclass(frozen=True, slots=True)
class Matches:
    """A text in which a regular expression is found, or an object or list with such a text anywhere below it.

    See `patterns.py` for what a pattern may be.
    """

    field: Operand
    pattern: str
    case_insensitive: bool = False


@dataclass(frozen=True, slots=True)
class Exists:
    """The field is there, be it null."""

    field: Operand


@dataclass(frozen=True, slots=True)
class And:
    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Or:
    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not:
    node: Node


Test = Compare | In | Contains | Matches | Exists
"""A condition on one operand."""
Node = Test | And | Or | Not


@dataclass(frozen=True, slots=True)
class SortKey:
    """One key to sort by. What has no value comes last in both directions."""

    field: Operand
    descending: bool = False


CallColumn = Literal["inputs", "output", "attributes", "summary", "exception", "feedback", "scores"]
ALL_COLUMNS: frozenset[CallColumn] = frozenset(
    ("inputs", "output", "attributes", "summary", "exception", "feedback", "scores")
)
MAX_LIMIT = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class CallQuery:
    """Which calls of a project, in which order, and how much of each."""

    project: str
    where: Node | None = None
    sort: tuple[SortKey, ...] = ()
    """Newest first where it is empty. Ties go by arrival, in the direction of the last key."""
    limit: int = 50
    cursor: str | None = None
    columns: frozenset[CallColumn] = frozenset()
    """What to read beside the narrow columns, which always come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackQuery:
    """Which feedback of a project, newest first."""

    project: str
    type: str | None = None
    target_ref: str | None = None
    author: str | None = None
    ids: tuple[str, ...] | None = None
    """Only these."""
    since: int | None = None
    """Said at this time or later, microseconds since 1970."""
    until: int | None = None
    """Said before this time."""
    standing: bool = False
    """Only what stands: not what was taken back or followed by something newer, and no retractions."""
    version: str | None = None
    """The beginning of the digest of the scorer or specification that it was made by."""
    limit: int = 50
    cursor: str | None = None
