"""Definitions of feedback functions and what is said of their evaluations, for the storage tests."""

from __future__ import annotations

from typing import Any

import msgspec
import parts

from kibitz.base import ids, refs
from kibitz.base.evaluations import Claim, EvaluationPart, RunOutcome
from kibitz.base.records import ObjectPart


def definition(name: str = "grounded", project: str = parts.PROJECT, **content: Any) -> ObjectPart:
    """A version of a feedback function; what else it says makes it another version."""
    value = {"$type": "feedback_definition", "name": name, **content}
    digest = refs.digest(msgspec.json.encode(value, order="sorted"))
    return ObjectPart(kind="object", name=name, digest=digest, value=value)


def ref(part: ObjectPart, project: str = parts.PROJECT) -> str:
    return refs.format_ref(
        refs.Ref(project=project, kind="object", name=part.name, digest=part.digest)
    )


GROUNDED = definition()
GROUNDED_REF = ref(GROUNDED)


def wanted(call_id: str, definition_ref: str = GROUNDED_REF, **fields: Any) -> EvaluationPart:
    return EvaluationPart(
        id=ids.new_id(), definition_ref=definition_ref, call_id=call_id, status="none", **fields
    )


def said(
    call_id: str,
    output: Any = 1.0,
    *,
    definition_ref: str = GROUNDED_REF,
    run_id: str | None = None,
    **fields: Any,
) -> EvaluationPart:
    """A run that needed no worker and is done."""
    fields.setdefault("status", "done")
    if fields["status"] == "done":
        fields["output"] = output
    return EvaluationPart(
        id=run_id or ids.new_id(), definition_ref=definition_ref, call_id=call_id, **fields
    )


def outcome(claim: Claim, output: Any = 1.0, *, retry_at: Any = None, **fields: Any) -> RunOutcome:
    """What a worker says of a claim."""
    fields.setdefault("status", "done")
    if fields["status"] == "done":
        fields["output"] = output
    part = EvaluationPart(
        id=claim.run_id, definition_ref=claim.definition_ref, call_id=claim.call_id, **fields
    )
    return RunOutcome(part=part, retry_at=retry_at)
