"""From judgements to columns, outside of the write lock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kibitz.base import ids, judgements, refs
from kibitz.base.errors import TooLarge
from kibitz.base.records import FeedbackPart
from kibitz.storage import leaves
from kibitz.storage.sqlite.encoding import json_text, microseconds


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


def prepare_feedback(index: int, part: FeedbackPart, project: str, now: int) -> PreparedFeedback:
    """A judgement as columns; raises `InvalidRecord` and `TooLarge`."""
    target = judgements.check(part, project)
    payload, value = json_text(judgements.content(part), "payload")
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
        created_at=now if part.created_at is None else microseconds(part.created_at, "created_at"),
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
