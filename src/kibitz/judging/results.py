"""What came of applying a feedback function to a record."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, cast

import msgspec
from msgspec import Struct, field

from kibitz.base import clock, ids, jsonable
from kibitz.base.evaluations import EvaluationPart, Invocation
from kibitz.base.spending import NOTHING, Spend
from kibitz.judging.modes import FeedbackResultStatus

KEPT_BYTES: Final = 512 << 10
"""Of all arguments and of what an implementation said beside its values: what a delivery keeps, roughly."""
MOST_OF_ONE, LEAST_OF_ONE = 8 << 10, 256
"""Of one argument, or of what was said beside one value. The more there are, the less is kept of each."""
MAX_REASON: Final = 2_000
MAX_ERROR: Final = 20_000
MAX_INVOCATIONS: Final = 500
"""How many a delivery keeps; the result is of all of them."""


class FeedbackCall(Struct, frozen=True, kw_only=True):
    """One call of an implementation."""

    args: dict[str, Any] = field(default_factory=dict[str, Any])
    """What it was given, by parameter."""
    paths: dict[str, str] = field(default_factory=dict[str, str])
    """Where in the record each came from: the text of a lens that selects exactly it."""
    ret: float | list[float] | dict[str, float] | None = None
    """What it said; None where it failed or was left out."""
    meta: dict[str, Any] = field(default_factory=dict[str, Any])
    """What it said beside its value."""
    status: FeedbackResultStatus = FeedbackResultStatus.DONE
    error: str | None = None
    """Why it failed or was left out."""
    duration_us: int = 0
    spent: Spend = NOTHING

    def invocation(self, most_bytes: int = MOST_OF_ONE) -> Invocation:
        """It as the store keeps it: values longer than this are cut and marked."""
        limits = jsonable.Limits(bytes=most_bytes, depth=16, items=500, file_bytes=0)
        return Invocation(
            arguments={
                name: jsonable.to_json(value, limits=limits) for name, value in self.args.items()
            },
            paths=self.paths,
            status=_word(self.status),
            output=self.ret,
            metadata=cast("dict[str, Any]", jsonable.to_json(self.meta, limits=limits)),
            error=_cut(self.error, MAX_ERROR),
            duration_us=self.duration_us,
            spent=self.spent,
        )


class FeedbackResult(Struct, frozen=True, kw_only=True):
    """What a feedback function says of a record, or why it says nothing."""

    feedback_result_id: str = field(default_factory=ids.new_id)
    record_id: str = "no record"
    feedback_definition_id: str | None = None
    """The digest of the definition."""
    last_ts: datetime = field(default_factory=clock.now)
    """When it ended."""
    started_at: datetime | None = None
    status: FeedbackResultStatus = FeedbackResultStatus.NONE
    cost: Spend = NOTHING
    """What was spent on it."""
    name: str
    """Of the feedback function."""
    calls: list[FeedbackCall] = field(default_factory=list[FeedbackCall])
    """Every call of the implementation."""
    result: float | None = None
    """The aggregate; None where there is none or where there are several."""
    multi_result: dict[str, float] | None = None
    """Aggregates by name, where the implementation gives named scores or several aggregators are asked."""
    error: str | None = None
    """The traceback, where something was raised; the reason otherwise."""
    reason: str | None = None
    """Why it failed or was skipped, in a sentence."""
    retriable: bool = False
    """Whether trying again may give another outcome: the implementation raised, and not because it was used wrongly."""

    @property
    def output(self) -> float | dict[str, float] | None:
        """`result`, or `multi_result` where there are several."""
        return self.result if self.multi_result is None else self.multi_result

    def part(self, *, run_id: str, definition_ref: str, call_id: str) -> EvaluationPart:
        """It as it is delivered: an outcome of the run, and what a store keeps of its invocations.

        Args:
            run_id: the id of this run; the same again is the same.
            definition_ref: the reference of the definition's version.
            call_id: the root call of the record.
        """
        done = self.status == FeedbackResultStatus.DONE
        calls = self.calls[:MAX_INVOCATIONS]
        values = sum(len(each.args) + bool(each.meta) for each in calls) or 1
        most_bytes = max(LEAST_OF_ONE, min(MOST_OF_ONE, KEPT_BYTES // values))
        return EvaluationPart(
            id=run_id,
            definition_ref=definition_ref,
            call_id=call_id,
            status=_word(self.status),
            output=self.output if done else msgspec.UNSET,
            reason=_cut(self.reason, MAX_REASON),
            error=_cut(self.error, MAX_ERROR),
            invocations=[each.invocation(most_bytes) for each in calls],
            spent=self.cost,
            started_at=self.started_at,
            ended_at=self.last_ts,
        )


def _cut(text: str | None, limit: int) -> str | None:
    if text is None:
        return None
    # The end of a traceback says what was raised. Half a surrogate pair cannot be delivered.
    kept = text if len(text) <= limit else f"…{text[1 - limit :]}"
    return kept.encode(errors="replace").decode()


def _word(status: FeedbackResultStatus) -> Any:
    # The text itself: a member of an enum is not one of the literals.
    return str(status)
