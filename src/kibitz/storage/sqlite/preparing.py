"""From a batch to rows: everything that needs no database, so that it is done outside of the write lock."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

import msgspec

from kibitz.base import clock, ids, judgements, refs, specifications
from kibitz.base.errors import InvalidRecord, InvalidSpecification, KibitzError, TooLarge
from kibitz.base.records import (
    Batch,
    CallPart,
    ExceptionInfo,
    FeedbackPart,
    FilePart,
    ObjectPart,
    Rejection,
)
from kibitz.base.specifications import AnnotationSpec
from kibitz.storage import leaves
from kibitz.storage.preview import preview
from kibitz.storage.sqlite.merging import CallRow

_encode = msgspec.json.Encoder().encode
_encode_sorted = msgspec.json.Encoder(order="sorted").encode
_TOLD = ("rule", "allowed", "value", "keyword", "ref", "author")
MAX_ERROR_CHARACTERS = 500
MAX_DEPTH = 500
"""Levels of lists and objects in a value. Whoever reads it back needs a stack for them, within an answer."""


@dataclass(slots=True, kw_only=True)
class PreparedCall:
    """A part of a call as columns; op and op_ref still by name."""

    id: str
    op: str | None
    op_ref: str | None
    row: CallRow


@dataclass(slots=True, kw_only=True)
class PreparedFeedback:
    """A feedback as columns; type, target and references still by name."""

    index: int
    """Its position in the batch; that of what it comes with where the store itself says it."""
    id: str
    type: str
    target: refs.Ref
    target_ref: str
    author: str
    author_kind: str
    created_at: int
    annotation_ref: str | None
    runnable_ref: str | None
    call_id: str | None
    trigger_ref: str | None
    retracts: str | None
    corrects: str | None
    answer: Any
    """What an annotation says, for its specification to look at."""
    payload: str
    leaves: dict[leaves.Leaf, leaves.Score]
    complete: bool
    """Whether `leaves` are all the leaves."""


@dataclass(slots=True, kw_only=True)
class Prepared:
    """A batch, ready to be written."""

    project: str
    calls: list[PreparedCall] = field(default_factory=list[PreparedCall])
    feedback: list[PreparedFeedback] = field(default_factory=list[PreparedFeedback])
    objects: list[tuple[ObjectPart, str, int]] = field(
        default_factory=list[tuple[ObjectPart, str, int]]
    )
    """(part, value as JSON, created at)."""
    files: list[FilePart] = field(default_factory=list[FilePart])
    rejected: list[Rejection] = field(default_factory=list[Rejection])


def prepare(batch: Batch, *, max_call_bytes: int) -> Prepared:
    """The rows of a batch. What breaks a rule is in `rejected`, the rest goes on.

    Raises:
        UsageError: the project's name is not a name.
    """
    prepared = Prepared(project=refs.check_project(batch.project))
    now = clock.now_ns() // 1000
    for index, call in enumerate(batch.calls):
        try:
            prepared.calls.append(_call(call, max_call_bytes))
        except KibitzError as error:
            prepared.rejected.append(rejection("call", index, call.id, error))
    for index, feedback in enumerate(batch.feedback):
        try:
            prepared.feedback.append(_feedback(index, feedback, batch.project, now))
        except KibitzError as error:
            prepared.rejected.append(rejection("feedback", index, feedback.id, error))
    for index, item in enumerate(batch.objects):
        try:
            prepared.objects.append(_object(item, now))
        except KibitzError as error:
            prepared.rejected.append(rejection("object", index, item.name, error))
    for index, file in enumerate(batch.files):
        if refs.digest(file.content) == file.digest:
            prepared.files.append(file)
        else:
            error = InvalidRecord(
                f"file {file.digest!r} has other content than its digest says", field="digest"
            )
            prepared.rejected.append(rejection("file", index, file.digest, error))
    return prepared


def rejection(kind: Any, index: int, item_id: str | None, error: KibitzError) -> Rejection:
    """An error as the receipt tells it."""
    return Rejection(
        kind=kind,
        index=index,
        id=item_id,
        code=error.code,
        message=error.message,
        field=error.facts.get("field"),
        details={name: error.facts[name] for name in _TOLD if name in error.facts},
    )


def _json(value: Any, where: str) -> tuple[str, Any]:
    """A value as JSON text without NUL, and the value that the text says."""
    try:
        encoded = _encode(value)
        if b"\\u0000" in encoded:
            value = leaves.without_nul(value)
            encoded = _encode(value)
    except (UnicodeEncodeError, TypeError, RecursionError, ValueError) as error:
        raise InvalidRecord(f"{where} cannot be stored as JSON: {error}", field=where) from error
    # A level takes two characters at least, which spares most values the counting.
    if (
        len(encoded) > 2 * MAX_DEPTH
        and encoded.count(b"[") + encoded.count(b"{") > MAX_DEPTH
        and _is_deeper(value, MAX_DEPTH)
    ):
        raise InvalidRecord(
            f"{where} is nested more than {MAX_DEPTH} levels deep; flatten it", field=where
        )
    return encoded.decode(), value


def _is_deeper(value: Any, depth: int) -> bool:
    """Whether a value has more levels of lists and objects than that."""
    level: list[Any] = [value]
    for _ in range(depth):
        if not level:
            return False
        level = [
            inner for each in level for inner in _inside(each) if isinstance(inner, dict | list)
        ]
    return any(isinstance(each, dict | list) for each in level)


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return cast("dict[str, Any]", value).values()
    return cast("list[Any]", value) if isinstance(value, list) else ()


def _call(part: CallPart, max_bytes: int) -> PreparedCall:
    if part.started_at is None and part.ended_at is None:
        raise InvalidRecord(
            f"call {part.id!r} has neither started_at nor ended_at; give the time of its start or end",
            field="started_at",
        )
    ended_at = None if part.ended_at is None else _us(part.ended_at, "ended_at")
    started_at = ended_at if part.started_at is None else _us(part.started_at, "started_at")
    row = CallRow(
        trace_id=part.trace_id or part.id,
        parent_id=part.parent_id,
        kind=part.kind,
        display_name=part.display_name,
        thread_id=part.thread_id,
        author=part.author,
        started_at=started_at,
        ended_at=ended_at,
    )
    if part.inputs is not msgspec.UNSET:
        row.inputs, inputs = _json(part.inputs, "inputs")
        row.input_preview = preview(inputs)
    if part.output is not msgspec.UNSET:
        row.output, output = _json(part.output, "output")
        row.output_preview = preview(output)
    if part.attributes:
        row.attributes, _ = _json(part.attributes, "attributes")
    if part.summary:
        row.summary, _ = _json(part.summary, "summary")
    if part.exception is not None:
        row.exception, _ = _json(msgspec.to_builtins(part.exception), "exception")
        row.error = _error_line(part.exception)
    if row.stored_bytes > max_bytes:
        raise TooLarge(
            f"call {part.id!r} takes {row.stored_bytes:,} bytes, more than the limit of {max_bytes:,}; "
            "cut its inputs or output, or store large values as files",
            field="inputs",
            size=row.stored_bytes,
            limit=max_bytes,
        )
    return PreparedCall(
        id=part.id,
        op=part.op,
        op_ref=part.op_ref,
        row=row,
    )


def _error_line(exception: ExceptionInfo) -> str:
    line = f"{exception.type}: {exception.message}".replace("\x00", "\u2400")
    return line if len(line) <= MAX_ERROR_CHARACTERS else line[: MAX_ERROR_CHARACTERS - 1] + "…"


def _feedback(index: int, part: FeedbackPart, project: str, now: int) -> PreparedFeedback:
    target = judgements.check(part, project)
    payload, value = _json(judgements.content(part), "payload")
    if len(payload) > judgements.MAX_PAYLOAD_BYTES:
        raise TooLarge(
            f"the payload takes {len(payload):,} bytes, more than {judgements.MAX_PAYLOAD_BYTES:,}",
            field="payload",
            size=len(payload),
            limit=judgements.MAX_PAYLOAD_BYTES,
        )
    found, complete = leaves.scores(value)
    return PreparedFeedback(
        index=index,
        id=part.id or ids.new_id(),
        type=part.type,
        target=target,
        target_ref=part.target_ref,
        author=part.author,
        author_kind=part.author_kind,
        created_at=now if part.created_at is None else _us(part.created_at, "created_at"),
        annotation_ref=part.annotation_ref,
        runnable_ref=part.runnable_ref,
        call_id=None if part.call_ref is None else refs.parse_ref(part.call_ref).name,
        trigger_ref=part.trigger_ref,
        retracts=part.retracts,
        corrects=part.corrects,
        answer=value.get("value"),
        payload=payload,
        leaves=found,
        complete=complete,
    )


def _object(part: ObjectPart, now: int) -> tuple[ObjectPart, str, int]:
    text, value = _json(part.value, "value")
    if part.kind == "object" and specifications.is_specification(value):
        _check_specification(part)
    found = refs.digest(_encode_sorted(value))
    if found != part.digest:
        raise InvalidRecord(
            f"{part.kind} {part.name!r} has the digest {part.digest!r}, but its content has {found!r}",
            field="digest",
        )
    return part, text, now if part.created_at is None else _us(part.created_at, "created_at")


def _check_specification(part: ObjectPart) -> None:
    spec = AnnotationSpec.from_value(part.value)
    if spec.name != part.name:
        raise InvalidSpecification(
            f"the specification is named {spec.name!r}, the object with it {part.name!r}",
            field="name",
            keyword="name",
        )


def _us(moment: datetime, field: str) -> int:
    """A time as it is stored. One that UTC has no year for could never be read again."""
    us = clock.to_us(moment)
    if not clock.FIRST_US <= us <= clock.LAST_US:
        raise InvalidRecord(
            f"{field} {moment.isoformat()} is outside of the years 1 to 9999 in UTC", field=field
        )
    return us
