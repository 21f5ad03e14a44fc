"""What tests of workers share: stores with calls, wanted evaluations, and real worker processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from kibitz.base import clock
from kibitz.base.evaluations import Evaluation, EvaluationQuery
from kibitz.base.records import Batch, CallPart, Feedback
from kibitz.query.nodes import FeedbackQuery

PROJECT = "team/app"
SUPPORT = Path(__file__).parent
ALLOW = "worker_judges"
TIMEOUT_S = 60


def feedback(implementation: Callable[..., Any], **options: Any) -> Any:
    """A feedback function on the output."""
    from kibitz.judging.functions import Feedback

    return Feedback(implementation, **options).on_output()


def call(call_id: str, output: Any = "because", op: str = "answer") -> CallPart:
    """A call that has just ended."""
    now = clock.now()
    return CallPart(
        id=call_id,
        op=op,
        started_at=now - timedelta(milliseconds=5),
        ended_at=now,
        inputs={"question": "why?"},
        output=output,
    )


def add_calls(store: Any, outputs: Iterable[Any], first: int = 0, op: str = "answer") -> list[str]:
    """Store calls with these outputs; gives their ids."""
    parts = [call(f"c{first + n}", output, op) for n, output in enumerate(outputs)]
    for begin in range(0, len(parts), 1000):
        receipt = store.ingest.write(Batch(project=PROJECT, calls=parts[begin : begin + 1000]))
        assert receipt.rejected == []
    return [part.id for part in parts]


def define(store: Any, *feedbacks: Any) -> list[str]:
    """Store definitions; gives their references."""
    parts = [each.definition.part() for each in feedbacks]
    receipt = store.ingest.write(Batch(project=PROJECT, objects=parts))
    assert receipt.rejected == []
    return [each.definition.ref(PROJECT) for each in feedbacks]


def want(store: Any, refs: Sequence[str], **how: Any) -> int:
    """Want evaluations of all root calls; gives how many were added."""
    wanted, cursor = 0, None
    while True:
        step = store.evaluations.want(PROJECT, refs, None, cursor=cursor, **how)
        wanted, cursor = wanted + step.wanted, step.cursor
        if cursor is None:
            return wanted


def evaluations(store: Any, **which: Any) -> list[Evaluation]:
    """All evaluations."""
    found: list[Evaluation] = []
    cursor = None
    while True:
        page = store.evaluations.query(
            EvaluationQuery(project=PROJECT, limit=1000, cursor=cursor, **which)
        )
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found


def judgements(store: Any) -> list[Feedback]:
    """All feedback, history included."""
    found: list[Feedback] = []
    cursor = None
    while True:
        page = store.feedback.query(
            FeedbackQuery(project=PROJECT, standing=False, limit=1000, cursor=cursor)
        )
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found


def statuses(store: Any, **which: Any) -> Counter[str]:
    """How many evaluations have which status."""
    return Counter(each.status for each in evaluations(store, **which))


def each_once(store: Any) -> bool:
    """Whether every evaluation that is done has exactly one judgement, that of its run, and the others have none."""
    rows = evaluations(store)
    assert len({(each.definition_ref, each.call_id) for each in rows}) == len(rows)
    done = {each.feedback_id: each for each in rows if each.status == "done"}
    said = judgements(store)
    assert Counter(each.id for each in said) == Counter(done.keys())
    for judgement in said:
        evaluation = done[judgement.id]
        assert judgement.runnable_ref == evaluation.definition_ref
        assert judgement.target_ref.endswith(f"/{evaluation.call_id}")
        assert judgement.stands
    return True


class WorkerProcess:
    """`kibitz worker` in a process of its own; its JSON lines are read as they come."""

    def __init__(self, place: Path | str, *arguments: str, allow: str = ALLOW) -> None:
        where = ["--url", place] if isinstance(place, str) else ["--data", str(place)]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("KIBITZ_")}
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "kibitz.cli", "worker", "--json"),
                *("--app-dir", str(SUPPORT), "--allow", allow),
                *where,
                *arguments,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            text=True,
        )
        self.events: list[dict[str, Any]] = []
        self._came = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._came:
                self.events.append(json.loads(line))
                self._came.notify_all()
        with self._came:
            self._came.notify_all()

    def wait_for(self, event: str) -> dict[str, Any]:
        """The first event of this name, as soon as it is there."""

        def found() -> dict[str, Any] | None:
            return next((each for each in self.events if each["event"] == event), None)

        with self._came:
            self._came.wait_for(lambda: found() or self.process.poll() is not None, TIMEOUT_S)
        told = found()
        assert told is not None, f"no {event!r} in {self.events[-3:]}"
        return told

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        """As a power cut would."""
        self.process.kill()
        self.end(expected=None)

    def end(self, expected: int | None = 0, timeout_s: float = TIMEOUT_S) -> dict[str, Any]:
        """Wait until it ends; gives its last event. One that does not end is killed and the test fails."""
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the worker did not end; {self.events[-1:]}") from None
        finally:
            self._reader.join(5)
            assert self.process.stderr is not None
            said = self.process.stderr.read()
            self.process.stderr.close()
            if self.process.stdout is not None:
                self.process.stdout.close()
        if expected is not None:
            assert self.process.returncode == expected, said
        return self.events[-1] if self.events else {}
