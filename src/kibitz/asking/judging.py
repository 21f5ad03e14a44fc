"""Judging from Python what was recorded before, here or elsewhere: several judgements, an outcome for each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from kibitz.asking.places import Named, Place
from kibitz.base import ids
from kibitz.base.api import ErrorInfo, FeedbackOutcome
from kibitz.base.errors import InvalidRecord
from kibitz.base.records import FeedbackPart


def add_feedback(
    project: str, judgements: Iterable[FeedbackPart | Mapping[str, Any]], source: Named = None
) -> list[FeedbackOutcome]:
    """Store judgements, each for itself: one that breaks a rule does not keep the others out.

        kibitz.add_feedback("acme/bot", [{"type": "note", "target_ref": call.ref, "payload": {"note": "good"}}])

    Args:
        project: whose calls they are about.
        judgements: each by its fields, see `kibitz.base.records.FeedbackPart`. One without an `id` gets one; with an
            `id`, storing it again changes nothing.
        source: a data folder, a server's address or an open store; left out, where this program records.

    Returns:
        For each, in the order given: its `id`, or an `error` with code and message.

    Raises:
        KibitzError: the place cannot be asked.
    """
    parts: list[FeedbackPart] = []
    positions: list[int] = []
    outcomes: list[FeedbackOutcome] = []
    for index, given in enumerate(judgements):
        try:
            part = given if isinstance(given, FeedbackPart) else _part(given)
        except msgspec.ValidationError as error:
            told = ErrorInfo(code=InvalidRecord.code, message=f"judgement {index}: {error}")
            outcomes.append(FeedbackOutcome(index=index, error=told))
            continue
        parts.append(msgspec.structs.replace(part, id=part.id or ids.new_id()))
        positions.append(index)
    if parts:
        with Place(project, source).opened() as store:
            for each in store.feedback.add(project, parts):
                outcomes.append(msgspec.structs.replace(each, index=positions[each.index]))
    return sorted(outcomes, key=lambda each: each.index)


def _part(given: Mapping[str, Any]) -> FeedbackPart:
    return msgspec.convert(dict(given), FeedbackPart)
