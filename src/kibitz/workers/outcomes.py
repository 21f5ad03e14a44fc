"""What a worker says of a run: what the feedback function says, and when to try again."""

from __future__ import annotations

import traceback
from datetime import datetime, timedelta

import msgspec

from kibitz.base import clock, redaction
from kibitz.base.evaluations import Claim, EvaluationPart, Outcome, RunOutcome
from kibitz.workers import backoff
from kibitz.workers.definitions import Result


def of_result(
    claim: Claim, result: Result, started_at: datetime, *, max_attempts: int
) -> RunOutcome:
    """The outcome that a feedback function gave; what may be better next time is tried again later."""
    part = result.part(
        run_id=claim.run_id, definition_ref=claim.definition_ref, call_id=claim.call_id
    )
    part = _without_secrets(part)
    if part.started_at is None or part.ended_at is None:
        part = msgspec.structs.replace(
            part, started_at=part.started_at or started_at, ended_at=part.ended_at or clock.now()
        )
    if part.status == "failed" and result.retriable:
        return again(claim, part, max_attempts=max_attempts)
    return RunOutcome(part=part)


def of_error(claim: Claim, error: BaseException, started_at: datetime) -> RunOutcome:
    """The outcome where something was raised that should have been a result."""
    name = type(error).__name__
    try:
        said = f"{name}: {error}"
    except Exception:  # noqa: BLE001  what an error does when it is shown is its own affair
        said = name
    return of_reason(
        claim,
        "failed",
        said[:1000],
        started_at,
        error="".join(traceback.format_exception(error)),
    )


def of_reason(
    claim: Claim,
    status: Outcome,
    reason: str,
    started_at: datetime | None = None,
    *,
    error: str | None = None,
) -> RunOutcome:
    """The outcome where the feedback function had no say."""
    now = clock.now()
    part = EvaluationPart(
        id=claim.run_id,
        definition_ref=claim.definition_ref,
        call_id=claim.call_id,
        status=status,
        reason=reason,
        error=error,
        started_at=started_at or now,
        ended_at=now,
    )
    return RunOutcome(part=_without_secrets(part))


def _without_secrets(part: EvaluationPart) -> EvaluationPart:
    """It without what looks like a secret: what a client of a service raises may have a key in it."""

    def clean(text: str | None) -> str | None:
        return None if text is None else redaction.scrub(text)

    if part.status == "done":
        # Scores and what judges say of texts, which were cleaned when they were recorded.
        return part
    return msgspec.structs.replace(
        part,
        reason=clean(part.reason),
        error=clean(part.error),
        invocations=[
            msgspec.structs.replace(each, error=clean(each.error)) for each in part.invocations
        ],
    )


def again(claim: Claim, part: EvaluationPart, *, max_attempts: int) -> RunOutcome:
    """A failure to try again later, or for good after the last attempt."""
    if claim.attempt < max_attempts:
        after = timedelta(seconds=backoff.delay_s(claim.attempt))
        return RunOutcome(part=part, retry_at=clock.now() + after)
    reason = f"{part.reason or 'it failed'} (attempt {claim.attempt} of {max_attempts}, the last)"
    return RunOutcome(part=msgspec.structs.replace(part, reason=reason))
