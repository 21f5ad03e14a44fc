"""What became of what was recorded."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class FlushReport:
    """What a session has done with its calls and feedback so far. Everything recorded is in one of these numbers."""

    target: str
    """Where it goes: a data folder or a server."""
    calls_sent: int = 0
    feedback_sent: int = 0
    calls_spooled: int = 0
    """Waiting on disk for a server that is away; this program or the next one delivers them."""
    feedback_spooled: int = 0
    pending: int = 0
    """In memory, neither sent nor spooled when the time was up; calls and feedback together."""
    running: int = 0
    """Calls that have begun and not ended; they are known as running."""
    recovered: int = 0
    """Calls and feedback that an earlier program had left on disk, delivered now."""
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
            or self.timed_out
        )

    def __str__(self) -> str:
        parts = [f"{_counted(self.calls_sent, self.feedback_sent)} sent to {self.target}"]
        if self.recovered:
            parts.append(f"{self.recovered:,} more from an earlier run")
        if self.calls_spooled or self.feedback_spooled:
            parts.append(
                f"{_counted(self.calls_spooled, self.feedback_spooled)} kept on disk, delivered later"
            )
        if self.running:
            parts.append(f"{self.running:,} still running")
        if self.pending:
            parts.append(f"{self.pending:,} not delivered in time")
        parts.extend(f"{count:,} lost ({reason})" for reason, count in self.dropped.items())
        return "kibitz: " + "; ".join(parts)


def _counted(calls: int, feedback: int) -> str:
    text = f"{calls:,} call{'' if calls == 1 else 's'}"
    return f"{text}, {feedback:,} feedback" if feedback else text
