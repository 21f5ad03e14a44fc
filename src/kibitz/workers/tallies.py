"""What a worker has done so far, and what it tells while it goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from kibitz.base.evaluations import RunOutcome
from kibitz.base.spending import NOTHING, Spend

Event = Literal["started", "progress", "failed", "retried", "away", "back", "stopping", "stopped"]


class Tally(Struct, kw_only=True):
    """What became of the runs of one feedback, or of all."""

    done: int = 0
    failed: int = 0
    """For good."""
    skipped: int = 0
    retried: int = 0
    """Attempts that failed and are tried again later."""
    lost: int = 0
    """Runs whose lease ended before their outcome was stored; somebody else does them."""
    spent: Spend = NOTHING
    """Money and tokens, also of attempts that failed."""

    @property
    def ended(self) -> int:
        """Evaluations that are over."""
        return self.done + self.failed + self.skipped

    def add(self, outcome: RunOutcome, *, taken: bool) -> None:
        """Count one outcome."""
        self.spent = self.spent + outcome.part.spent
        if not taken:
            self.lost += 1
        elif outcome.retry_at is not None:
            self.retried += 1
        elif outcome.part.status == "done":
            self.done += 1
        elif outcome.part.status == "skipped":
            self.skipped += 1
        else:
            self.failed += 1


class Told(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that a worker tells, a line of `kibitz worker --json`."""

    event: Event
    message: str = ""
    project: str | None = None
    call_id: str | None = None
    name: str | None = None
    """Of the feedback."""
    attempt: int | None = None
    retry_in_s: float | None = None
    running: int | None = None
    """Runs that go on now."""
    left: int | None = None
    """Evaluations that are wanted or run, of the projects that it works for; as of the last progress."""
    seconds: float | None = None
    """Since the worker started."""
    total: Tally | None = None
    by_feedback: dict[str, Tally] = {}


Tell = Callable[[Told], None]


class Tallies:
    """Counts by feedback, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.total = Tally()
        self.by_feedback: dict[str, Tally] = {}

    def add(self, name: str, outcome: RunOutcome, *, taken: bool) -> None:
        """Count one outcome of a feedback."""
        with self._lock:
            self.total.add(outcome, taken=taken)
            self.by_feedback.setdefault(name, Tally()).add(outcome, taken=taken)

    def told(
        self,
        event: Event,
        *,
        running: int,
        seconds: float,
        message: str = "",
        left: int | None = None,
    ) -> Told:
        """Everything so far as an event."""
        with self._lock:
            return Told(
                event=event,
                message=message,
                running=running,
                left=left,
                seconds=round(seconds, 3),
                total=_copied(self.total),
                by_feedback={name: _copied(each) for name, each in self.by_feedback.items()},
            )


def _copied(tally: Tally) -> Tally:
    return Tally(**{name: getattr(tally, name) for name in Tally.__struct_fields__})
