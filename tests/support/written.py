"""What is written to a store, as `query.reference` sees it afterwards, and the readable cases in tests/query/cases."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import versions

from kibitz.base import refs, usage
from kibitz.base.records import Batch, Call, CallPart, ExceptionInfo, Feedback, FeedbackPart
from kibitz.query import json_form
from kibitz.query.nodes import CallQuery
from kibitz.query.reference import Recorded

PROJECT = "acme/bot"
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
CASES = Path(__file__).parent.parent / "query" / "cases"


def recorded(batches: Iterable[Batch]) -> list[Recorded]:
    """What a store has after these batches, in the order in which it first heard of each call.

    An end stands over a start, and the first delivery of a feedback over a second. Parts of one call must
    not contradict each other, and an end must be whole.
    """
    arrivals: dict[str, int] = {}
    parts: dict[str, CallPart] = {}
    feedback: dict[str, FeedbackPart] = {}
    project = PROJECT
    for batch in batches:
        project = batch.project
        for part in batch.calls:
            arrivals.setdefault(part.id, len(arrivals))
            if part.id not in parts or part.ended_at is not None:
                parts[part.id] = part
        for judgement in batch.feedback:
            assert judgement.id is not None
            target = refs.parse_ref(judgement.target_ref)
            if target.kind == "call":
                arrivals.setdefault(target.name, len(arrivals))
            feedback.setdefault(judgement.id, judgement)
    by_target: dict[str, list[tuple[Feedback, int]]] = {}
    for arrival, judgement in enumerate(feedback.values()):
        stored = _feedback(judgement, project)
        by_target.setdefault(judgement.target_ref, []).append((stored, arrival))
    return [
        Recorded(
            call=_call(part, project),
            arrival=arrivals[part.id],
            feedback=tuple(by_target.get(refs.call_ref(project, part.id), ())),
        )
        for part in parts.values()
    ]


def _call(part: CallPart, project: str) -> Call:
    assert part.started_at is not None, "only whole calls and starts are written here"
    latency_ms = None
    status = "running"
    if part.ended_at is not None:
        latency_ms = max((part.ended_at - part.started_at) / timedelta(microseconds=1), 0) / 1000
        status = "success" if part.exception is None else "error"
    summary = _stored(part.summary or {})
    used = usage.of_summary(*(summary.get(name) for name in ("usage", "model", "cost")))
    return Call(
        project=project,
        id=part.id,
        trace_id=part.trace_id or part.id,
        parent_id=part.parent_id,
        op=part.op or "",
        op_ref=part.op_ref,
        kind=part.kind,
        display_name=part.display_name,
        thread_id=part.thread_id,
        author=part.author,
        status=status,  # type: ignore[arg-type] one of the three
        started_at=part.started_at,
        ended_at=part.ended_at,
        latency_ms=latency_ms,
        model=used.model,
        input_tokens=used.input_tokens,
        output_tokens=used.output_tokens,
        tokens=used.tokens,
        cost=used.cost,
        input_preview="",
        output_preview="",
        inputs=_stored(part.inputs),
        output=_stored(part.output),
        attributes=_stored(part.attributes or {}),
        summary=summary,
        exception=msgspec.convert(
            _stored(msgspec.to_builtins(part.exception)), ExceptionInfo | None
        ),
    )


def _feedback(part: FeedbackPart, project: str) -> Feedback:
    assert part.id is not None
    assert part.created_at is not None
    return Feedback(
        project=project,
        id=part.id,
        type=part.type,
        target_ref=part.target_ref,
        payload=_stored(part.payload),
        author=part.author,
        author_kind=part.author_kind,
        created_at=part.created_at,
        retracts=part.retracts,
        annotation_ref=part.annotation_ref,
        runnable_ref=part.runnable_ref,
        call_ref=part.call_ref,
        trigger_ref=part.trigger_ref,
    )


def _stored(value: Any) -> Any:
    """A value as a store keeps it: U+2400 for NUL in every text and key, null for what JSON cannot say."""
    match value:
        case float() if not math.isfinite(value):
            return None
        case str():
            return value.replace("\0", "␀")
        case dict():
            return {_stored(key): _stored(each) for key, each in value.items()}
        case list():
            return [_stored(each) for each in value]
        case _:
            return value


@dataclass(frozen=True, kw_only=True)
class Question:
    """A query of a case and what it must give."""

    says: str
    query: CallQuery
    gives: list[str]
    in_order: bool


@dataclass(frozen=True, kw_only=True)
class Case:
    """Calls, feedback and questions from one file of tests/query/cases."""

    name: str
    batch: Batch
    questions: list[Question]


def cases() -> list[Case]:
    """All readable cases. In a file times are seconds, ids are short, and an object stands for its digest."""
    return [_case(path) for path in sorted(CASES.glob("*.json"))]


def _case(path: Path) -> Case:
    written = json.loads(path.read_text())
    calls = [_call_part(each, at) for at, each in enumerate(written["calls"])]
    feedback = [_feedback_part(each, at) for at, each in enumerate(written.get("feedback", []))]
    questions = [
        Question(
            says=each["says"],
            query=json_form.parse_query(
                {"project": PROJECT}
                | {key: each[key] for key in ("filter", "query", "sort") if key in each}
            ),
            gives=each["gives"],
            in_order="sort" in each,
        )
        for each in written["questions"]
    ]
    objects = versions.named_by(feedback)
    batch = Batch(project=PROJECT, calls=calls, feedback=feedback, objects=objects)
    return Case(name=path.stem, batch=batch, questions=questions)


def _call_part(written: dict[str, Any], position: int) -> CallPart:
    started_at = EPOCH + timedelta(seconds=written.pop("at", position))
    seconds = written.pop("takes", 1)
    ended_at = None if seconds is None else started_at + timedelta(seconds=seconds)
    whole = {"op": "answer", "started_at": started_at, "ended_at": ended_at} | written
    return msgspec.convert(whole, CallPart)


def _feedback_part(written: dict[str, Any], position: int) -> FeedbackPart:
    return FeedbackPart(
        id=f"f{position}",
        type=written["type"],
        target_ref=refs.call_ref(PROJECT, written["on"]),
        payload=written["payload"],
        author=written.get("by", ""),
        created_at=EPOCH + timedelta(seconds=written.get("at", position)),
        **versions.made_by(PROJECT, written["type"]),
    )
