"""What became of everything that the exporter took: the counts behind a report."""

from __future__ import annotations

from collections import Counter

from kibitz.base.records import Batch, CallPart, Receipt
from kibitz.tracing import guard
from kibitz.tracing.report import FlushReport


class Ledger:
    """Counts of one exporter, changed only by whoever holds its work."""

    def __init__(self, target: str) -> None:
        self._target = target
        self.in_hand = 0
        """What has left the queue and is neither stored nor on disk nor dropped: calls, feedback, evaluations."""
        self._counts: Counter[str] = Counter()
        self._dropped: Counter[str] = Counter()

    def settled(self, batch: Batch, receipt: Receipt, *, ours: bool) -> None:
        """A batch was stored, but for what the receipt refuses.

        Args:
            ours: False where an earlier program recorded it.
        """
        calls, feedback, evaluations = (
            ended_calls(batch),
            len(batch.feedback),
            len(batch.evaluations),
        )
        for rejection in receipt.rejected:
            if rejection.kind == "call":
                refused = batch.calls[rejection.index : rejection.index + 1]
                lost = sum(1 for part in refused if _ended(part))
                calls -= lost
            elif rejection.kind == "feedback":
                feedback -= 1
                lost = 1
            elif rejection.kind == "evaluation":
                evaluations -= 1
                lost = 1
            else:
                lost = 1
            self._dropped[f"rejected: {rejection.code}"] += lost
            guard.warn_rarely("the store refused a %s: %s", rejection.kind, rejection.message)
        if ours:
            self._counts["calls_sent"] += calls
            self._counts["feedback_sent"] += feedback
            self._counts["evaluations_sent"] += evaluations
        else:
            self._counts["recovered"] += calls + feedback + evaluations

    def dropped(self, reason: str, count: int) -> None:
        """Calls, feedback or evaluations are lost."""
        self._dropped[reason] += count

    def spooled(self, batch: Batch) -> None:
        """A batch is on disk."""
        self._counts["calls_spooled"] += ended_calls(batch)
        self._counts["feedback_spooled"] += len(batch.feedback)
        self._counts["evaluations_spooled"] += len(batch.evaluations)

    def unspooled(self, batch: Batch) -> None:
        """A batch of this program has left the disk."""
        self._counts["calls_spooled"] -= ended_calls(batch)
        self._counts["feedback_spooled"] -= len(batch.feedback)
        self._counts["evaluations_spooled"] -= len(batch.evaluations)

    def report(
        self, *, queued: int, running: int, refused: int, damaged_files: int, timed_out: bool
    ) -> FlushReport:
        """What became of everything so far.

        Args:
            queued: what waits in the queue; together with what is in hand it has the calls that still run.
            refused: what callers were not let in with.
        """
        dropped = {reason: count for reason, count in dict(self._dropped).items() if count}
        if refused:
            dropped["queue_full"] = refused
        if damaged_files:
            dropped["spool_damaged"] = damaged_files
        counts = self._counts
        return FlushReport(
            target=self._target,
            calls_sent=counts["calls_sent"],
            feedback_sent=counts["feedback_sent"],
            evaluations_sent=counts["evaluations_sent"],
            calls_spooled=counts["calls_spooled"],
            feedback_spooled=counts["feedback_spooled"],
            evaluations_spooled=counts["evaluations_spooled"],
            pending=max(queued + self.in_hand - running, 0),
            running=running,
            recovered=counts["recovered"],
            dropped=dropped,
            timed_out=timed_out,
        )


def ended_calls(batch: Batch) -> int:
    """How many calls a batch finishes; a call that is announced as running counts when it ends."""
    return sum(1 for part in batch.calls if _ended(part))


def count_of(batch: Batch) -> int:
    """The calls that a batch finishes, its feedback and its evaluations."""
    return ended_calls(batch) + len(batch.feedback) + len(batch.evaluations)


def _ended(part: CallPart) -> bool:
    return part.ended_at is not None
