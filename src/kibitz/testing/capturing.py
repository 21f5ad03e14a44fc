"""Seeing what a program records, in its own tests: no disk, no network.

def test_answer_looks_things_up():
    with kibitz.testing.capture(frozen=True) as captured:
        answer("How do I cancel?")

    assert captured.tree() == [
        {
            "op": "answer",
            "inputs": {"question": "How do I cancel?"},
            "output": "…",
            "children": [{"op": "retrieve", …}],
        }
    ]
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from itertools import count
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from kibitz.base import clock, ids
from kibitz.base import settings as all_settings
from kibitz.base.evaluations import EvaluationPart
from kibitz.base.records import Batch, CallPart, FeedbackPart, FilePart, ObjectPart, Receipt
from kibitz.tracing import recording
from kibitz.tracing import session as sessions
from kibitz.tracing.report import FlushReport
from kibitz.tracing.session import Session

PROJECT = "testing/capture"
FROZEN_START_NS = 1_767_225_600_000_000_000
"""2026-01-01T00:00:00Z."""
FROZEN_STEP_NS = 1_000_000
"""What every look at a frozen clock adds: a millisecond."""


class CapturingTransport:
    """Keeps what it is given. `fail` lets it behave like a server in trouble."""

    def __init__(self, fail: Callable[[Batch], None] | None = None) -> None:
        self._lock = threading.Lock()
        self._fail = fail
        self.batches: list[Batch] = []
        self.closed = False

    def write(self, batch: Batch) -> Receipt:
        """Keep a batch; raises what `fail` raises."""
        if self._fail is not None:
            self._fail(batch)
        with self._lock:
            self.batches.append(batch)
        return Receipt(
            calls=len(batch.calls),
            feedback=len(batch.feedback),
            objects=len(batch.objects),
            files=len(batch.files),
            evaluations=len(batch.evaluations),
            feedback_ids=[part.id or "" for part in batch.feedback],
        )

    def close(self) -> None:
        """Remember it."""
        self.closed = True


class Captured:
    """What was recorded. Each look waits for the exporter first."""

    def __init__(self, session: Session, transport: CapturingTransport) -> None:
        self.session = session
        self._transport = transport

    def flush(self) -> FlushReport:
        """Wait until everything that has ended is here."""
        return self.session.flush(30.0)

    @property
    def batches(self) -> list[Batch]:
        """As they were delivered."""
        self.flush()
        return list(self._transport.batches)

    @property
    def calls(self) -> list[CallPart]:
        """The calls in the order they started; of a call that ran for long the last part."""
        latest: dict[str, CallPart] = {}
        for batch in self.batches:
            for part in batch.calls:
                latest[part.id] = part
        return sorted(latest.values(), key=lambda part: part.id)

    @property
    def feedback(self) -> list[FeedbackPart]:
        """In the order it was given."""
        return [part for batch in self.batches for part in batch.feedback]

    @property
    def evaluations(self) -> list[EvaluationPart]:
        """What feedback functions said, and which are wanted, in the order it was given."""
        return [part for batch in self.batches for part in batch.evaluations]

    @property
    def objects(self) -> list[ObjectPart]:
        """The versions of ops."""
        return [part for batch in self.batches for part in batch.objects]

    @property
    def files(self) -> list[FilePart]:
        """The bytes that values refer to."""
        return [part for batch in self.batches for part in batch.files]

    def tree(self) -> list[dict[str, Any]]:
        """The traces as nested plain values, without ids and times: what a test compares whole.

        Each call has `op`, `inputs` and, where they are there, `output`, `error`, `kind`, `display_name`,
        `thread_id`, `summary` and `children`.
        """
        calls = self.calls
        known = {part.id for part in calls}
        children: dict[str | None, list[CallPart]] = {}
        for part in calls:
            parent = part.parent_id if part.parent_id in known else None
            children.setdefault(parent, []).append(part)
        return [_plain(part, children) for part in children.get(None, [])]


def _plain(part: CallPart, children: dict[str | None, list[CallPart]]) -> dict[str, Any]:
    result: dict[str, Any] = {"op": part.op, "inputs": part.inputs}
    if part.output is not msgspec.UNSET:
        result["output"] = part.output
    if part.exception is not None:
        result["error"] = f"{part.exception.type}: {part.exception.message}"
    for name in ("kind", "display_name", "thread_id", "summary"):
        value = getattr(part, name)
        if value is not None:
            result[name] = value
    below = children.get(part.id)
    if below:
        result["children"] = [_plain(each, children) for each in below]
    return result


@contextmanager
def capture(
    project: str = PROJECT,
    *,
    frozen: bool = False,
    transport: CapturingTransport | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Generator[Captured]:
    """Record into memory inside the block, instead of where `kibitz.init` said.

    Args:
        project: whose calls they are.
        frozen: with a clock that moves one millisecond each time it is looked at, and ids that count, so
            that ids and times are the same in every run of a program with one thread.
        transport: to use instead of a new one.
        settings: by name, as in `kibitz.init`; the environment is not looked at.
    """
    target = transport or CapturingTransport()
    before, clock_before, ids_before = sessions.current(), clock.now_ns, ids.next_number
    with TemporaryDirectory(prefix="kibitz-capture-") as folder:
        given = {
            "data": folder,
            "flush_interval_s": 60.0,
            "print_summary": False,
            **(settings or {}),
        }
        session = Session(
            project,
            all_settings.load(all_settings.TracingSettings, {}, given),
            target="this test",
            factory=lambda: target,
            transport=target,
        )
        if frozen:
            clock.now_ns = count(FROZEN_START_NS, FROZEN_STEP_NS).__next__
            ids.next_number = count().__next__
        sessions.use(session)
        token = recording.CURRENT.set(None)
        try:
            yield Captured(session, target)
        finally:
            recording.CURRENT.reset(token)
            clock.now_ns, ids.next_number = clock_before, ids_before
            session.finish(30.0)
            sessions.use(before)
