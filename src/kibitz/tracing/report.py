"""What became of what was recorded."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class FlushReport:
    """What a session has done with its calls, feedback and evaluations so far. Everything is in one of these numbers."""

    target: str
    """Where it goes: a data folder or a server."""
    calls_sent: int = 0
    feedback_sent: int = 0
    evaluations_sent: int = 0
    """Results of feedback functions, and wishes for them."""
    calls_spooled: int = 0
    """Waiting on disk for a server that is away; this program or the next one delivers them."""
    feedback_spooled: int = 0
    evaluations_spooled: int = 0
    pending: int = 0
    """In memory, neither sent nor spooled when the time was up; calls, feedback and evaluations together."""
    running: int = 0
    """Calls that have begun and not ended; they are known as running."""
    recovered: int = 0
    """Calls, feedback and evaluations that an earlier program had left on disk, delivered now."""
    dropped: dict[str, int] = field(default_factory=dict[str, int])
    """What is lost, by reason."""
    timed_out: bool = False

    @property
    def complete(self) -> bool:
        """Whether everything that was recorded is stored at the target."""
        return not (
            self.dropped
            or self.pending
            or self.calls_spooled
            or self.feedback_spooled
            or self.evaluations_spooled
            or self.timed_out
        )

    def __str__(self) -> str:
        sent = _counted(self.calls_sent, self.feedback_sent, self.evaluations_sent)
        kept = (self.calls_spooled, self.feedback_spooled, self.evaluations_spooled)
        parts = [f"{sent} sent to {self.target}"]
        if self.recovered:
            parts.append(f"{self.recovered:,} more from an earlier run")
        if any(kept):
            parts.append(f"{_counted(*kept)} kept on disk, delivered later")
        if self.running:
            parts.append(f"{self.running:,} still running")
        if self.pending:
            parts.append(f"{self.pending:,} not delivered in time")
        parts.extend(f"{count:,} lost ({reason})" for reason, count in self.dropped.items())
        return "kibitz: " + "; ".join(parts)


def _counted(calls: int, feedback: int, evaluations: int) -> str:
    parts = [f"{calls:,} call{'' if calls == 1 else 's'}"]
    if feedback:
        parts.append(f"{feedback:,} feedback")
    if evaluations:
        parts.append(f"{evaluations:,} evaluation{'' if evaluations == 1 else 's'}")
    return ", ".join(parts)
