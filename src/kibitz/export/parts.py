"""From what a store gives back to what a delivery carries, and from one project to another. Pure.

What is left out is what a store works out anew from the rest: status, latency, previews, usage, scores, which
judgement stands, the number of a version.
"""

from __future__ import annotations

import msgspec

from kibitz.base import refs
from kibitz.base.errors import RefError
from kibitz.base.evaluations import EvaluationPart, RulePart
from kibitz.base.records import (
    Call,
    CallPart,
    Feedback,
    FeedbackPart,
    FilePart,
    ObjectPart,
    ObjectVersion,
)

Part = CallPart | FeedbackPart | ObjectPart | FilePart | EvaluationPart | RulePart
_FEEDBACK = FeedbackPart.__struct_fields__
_REFS_OF_FEEDBACK = ("target_ref", "annotation_ref", "runnable_ref", "call_ref", "trigger_ref")


def of_call(call: Call) -> CallPart:
    """The one part that makes this call again."""
    return CallPart(
        id=call.id,
        trace_id=call.trace_id,
        parent_id=call.parent_id,
        op=call.op or None,
        op_ref=call.op_ref,
        kind=call.kind,
        display_name=call.display_name,
        thread_id=call.thread_id,
        author=call.author,
        started_at=call.started_at,
        ended_at=call.ended_at,
        inputs=call.inputs,
        output=call.output,
        attributes=None if call.attributes is msgspec.UNSET else call.attributes or None,
        summary=None if call.summary is msgspec.UNSET else call.summary or None,
        exception=None if call.exception is msgspec.UNSET else call.exception,
    )


def of_feedback(feedback: Feedback) -> FeedbackPart:
    """The part that makes this judgement again."""
    return FeedbackPart(**{name: getattr(feedback, name) for name in _FEEDBACK})


def of_object(version: ObjectVersion) -> ObjectPart:
    """The part that makes this version again."""
    return ObjectPart(
        kind=version.kind,
        name=version.name,
        digest=version.digest,
        value=version.value,
        created_at=version.created_at,
    )


def moved(part: Part, source: str, target: str) -> Part:
    """The part as it is in another project: its references to the one it was in name the other.

    Values stay as they are, those of objects by necessity: a version is known by its content.
    """
    names: tuple[str, ...] = ()
    if isinstance(part, FeedbackPart):
        names = _REFS_OF_FEEDBACK
    elif isinstance(part, CallPart):
        names = ("op_ref",)
    elif isinstance(part, EvaluationPart):
        names = ("definition_ref",)
    elif isinstance(part, RulePart):
        moved_refs = [_moved(text, source, target) for text in part.definitions]
        return msgspec.structs.replace(part, definitions=moved_refs)
    changes: dict[str, str] = {}
    for name in names:
        text: str | None = getattr(part, name)
        if text is not None:
            changes[name] = _moved(text, source, target)
    return msgspec.structs.replace(part, **changes) if changes else part


def _moved(text: str, source: str, target: str) -> str:
    try:
        ref = refs.parse_ref(text)
    except RefError:
        return text
    if ref.project != source:
        return text
    # Only the project is exchanged: the rest stays as it was spelled.
    return f"{refs.SCHEME}{target}{text[len(refs.SCHEME) + len(source) :]}"
