"""From a batch to rows: everything that needs no database, so that it is done outside of the write lock."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from kibitz.base import clock, refs, specifications
from kibitz.base.errors import InvalidRecord, InvalidSpecification, KibitzError, TooLarge
from kibitz.base.records import (
    Batch,
    CallPart,
    ExceptionInfo,
    FilePart,
    ObjectPart,
    Rejection,
)
from kibitz.base.specifications import AnnotationSpec
from kibitz.storage.preview import preview
from kibitz.storage.sqlite.encoding import json_text, microseconds
from kibitz.storage.sqlite.evaluation_parts import PreparedEvaluation, prepare_evaluation
from kibitz.storage.sqlite.feedback_parts import PreparedFeedback, prepare_feedback
from kibitz.storage.sqlite.merging import CallRow

_encode_sorted = msgspec.json.Encoder(order="sorted").encode
_TOLD = ("rule", "allowed", "value", "keyword", "ref", "author")
MAX_ERROR_CHARACTERS = 500


@dataclass(slots=True, kw_only=True)
class PreparedCall:
    """A part of a call as columns; op and op_ref still by name."""

    id: str
    op: str | None
    op_ref: str | None
    row: CallRow


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
    evaluations: list[PreparedEvaluation] = field(default_factory=list[PreparedEvaluation])
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
            prepared.feedback.append(prepare_feedback(index, feedback, batch.project, now))
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
    for index, part in enumerate(batch.evaluations):
        try:
            prepared.evaluations.append(prepare_evaluation(index, part, batch.project, now))
        except KibitzError as error:
            prepared.rejected.append(rejection("evaluation", index, part.id, error))
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


def _call(part: CallPart, max_bytes: int) -> PreparedCall:
    if part.started_at is None and part.ended_at is None:
        raise InvalidRecord(
            f"call {part.id!r} has neither started_at nor ended_at; give the time of its start or end",
            field="started_at",
        )
    ended_at = None if part.ended_at is None else microseconds(part.ended_at, "ended_at")
    started_at = (
        ended_at if part.started_at is None else microseconds(part.started_at, "started_at")
    )
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
        row.inputs, inputs = json_text(part.inputs, "inputs")
        row.input_preview = preview(inputs)
    if part.output is not msgspec.UNSET:
        row.output, output = json_text(part.output, "output")
        row.output_preview = preview(output)
    if part.attributes:
        row.attributes, _ = json_text(part.attributes, "attributes")
    if part.summary:
        row.summary, _ = json_text(part.summary, "summary")
    if part.exception is not None:
        row.exception, _ = json_text(msgspec.to_builtins(part.exception), "exception")
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


def _object(part: ObjectPart, now: int) -> tuple[ObjectPart, str, int]:
    text, value = json_text(part.value, "value")
    if part.kind == "object" and specifications.is_specification(value):
        _check_specification(part)
    found = refs.digest(_encode_sorted(value))
    if found != part.digest:
        raise InvalidRecord(
            f"{part.kind} {part.name!r} has the digest {part.digest!r}, but its content has {found!r}",
            field="digest",
        )
    return (
        part,
        text,
        now if part.created_at is None else microseconds(part.created_at, "created_at"),
    )


def _check_specification(part: ObjectPart) -> None:
    spec = AnnotationSpec.from_value(part.value)
    if spec.name != part.name:
        raise InvalidSpecification(
            f"the specification is named {spec.name!r}, the object with it {part.name!r}",
            field="name",
            keyword="name",
        )
