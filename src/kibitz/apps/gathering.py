"""Records in the making: a call of an app with everything that it calls, gathered in this process as it ends.

A record is made of the live values, by the same conversion that the store's values go through, so that a feedback
function sees here what a worker sees later. It is made when it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from kibitz.apps.records import AppRecord
from kibitz.base import clock, ids, usage
from kibitz.base.locks import ForkLock
from kibitz.base.records import Call, CallPart
from kibitz.base.settings import TracingSettings
from kibitz.tracing import guard, recording
from kibitz.tracing.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from kibitz.base.evaluations import EvaluationPart
    from kibitz.base.records import FeedbackPart
    from kibitz.base.redaction import Redaction
    from kibitz.base.specifications import AnnotationSpec
    from kibitz.judging.results import FeedbackResult
    from kibitz.tracing.parts import Assembler

APART = "apart"
"""The project that calls are said to be of before `init()`."""
_MAX_PREVIEW = 300


class Gathered:
    """One call of an app and what it called, while it runs and after."""

    def __init__(
        self, app: Any, root: Recording, ended: Callable[[Gathered], None], *, keep: bool = True
    ) -> None:
        """Args:
        app: whose record it is.
        root: the call that begins it.
        ended: told when it has ended.
        keep: whether anybody here will ask for the record; without, the calls go as soon as they are sent.
        """
        self.app = app
        """What made it: the call belongs to the record of this one."""
        self.root = root
        self.complete = False
        self._keep = keep
        self._recordings: list[Recording] = []
        self._ended = ended
        self._calls: list[Call] | None = None
        self._making = ForkLock()
        self._record: AppRecord | None = None
        self.judged: list[tuple[Any, Future[FeedbackResult]]] = []
        recording.watched[root] = self

    @property
    def call_id(self) -> str:
        """The id of the root call."""
        return self.root.id

    @property
    def session(self) -> Any:
        """Where the call is recorded to."""
        return self.root.session

    @property
    def stored(self) -> bool:
        """Whether the call goes to a store."""
        return not self.root.lost and self.root.session is not recording.apart

    def ended(self, call: Recording) -> None:
        """Take a call that has ended; the root ends the record."""
        if self._keep:
            self._recordings.append(call)
        if call is not self.root:
            return
        recording.watched.pop(call, None)
        self.complete = True
        try:
            self._ended(self)
        except Exception as error:  # noqa: BLE001 the guard of the recording path
            guard.note(error, "judging a record")

    @property
    def record(self) -> AppRecord:
        """The record; made when it is first asked for."""
        with self._making:
            if self._record is None:
                self._record = AppRecord.of_calls(self.calls, self.call_id)
            self._record.judged = self.judged
            return self._record

    @property
    def calls(self) -> list[Call]:
        """The calls as the store would give them back, in the order they started."""
        with self._making:
            if self._calls is None:
                parts = [_part(each) for each in self._recordings]
                project = self.root.session.project
                made = [call_of(part, project) for part in parts]
                self._calls = sorted(made, key=lambda call: (call.started_at, call.id))
                # From here on only the JSON is kept, however much the values held.
                self._recordings = []
            return self._calls


def _part(call: Recording) -> CallPart:
    session: Any = call.session
    return session.part_of(call)


class Apart:
    """Takes the calls of apps before `init()`: it keeps nothing, and their records are made all the same."""

    project = APART
    page = None
    sample_rate = 1.0

    def __init__(self) -> None:
        self._made: Assembler | None = None

    def put(self, recording: Recording, size: int) -> bool:
        """Refuse: the call is not recorded."""
        return False

    def grow(self, recording: Recording, size: int) -> bool:
        """Allow."""
        return True

    @property
    def _assembler(self) -> Assembler:
        from kibitz.tracing.parts import Assembler

        if self._made is None:
            self._made = Assembler(APART, TracingSettings())
        return self._made

    @property
    def redaction(self) -> Redaction:
        """What counts as a secret without settings."""
        return self._assembler.redaction

    def part_of(self, call: Recording) -> CallPart:
        """The call as it would be sent."""
        return self._assembler.part(call, ended=True).part

    def specification(self, named: AnnotationSpec | str) -> AnnotationSpec:
        """Nobody is asked here; raises `NotFound` for a name."""
        from kibitz.base.errors import NotFound

        if isinstance(named, str):
            raise NotFound(f"specification {named!r} is not known before kibitz.init()")
        return named

    def said(self, feedback_id: str) -> FeedbackPart:
        """Nothing was said here; raises `NotFound`."""
        from kibitz.base.errors import NotFound

        raise NotFound(f"feedback {feedback_id!r} is not known before kibitz.init()")

    def op_ref(self, op: Any) -> str:
        """The reference of an op's version."""
        return self._assembler.op_ref(self._assembler.version_of(op))

    def judge(self, judgement: Mapping[str, Any]) -> str:
        """Forget a feedback and give an id, as for every call that is not recorded."""
        return ids.new_id()

    def evaluate(self, part: EvaluationPart) -> bool:
        """Forget an evaluation."""
        return False


def call_of(part: CallPart, project: str) -> Call:
    """A call that has ended, as the store gives it back."""
    summary = part.summary or {}
    used = usage.of_summary(summary.get("usage"), summary.get("model"), summary.get("cost"))
    assert part.started_at is not None
    latency_ms = None
    if part.ended_at is not None:
        # As the store has it: whole microseconds.
        latency_ms = (clock.to_us(part.ended_at) - clock.to_us(part.started_at)) / 1000
    failed = part.exception
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
        status="success" if failed is None else "error",
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
        error=None if failed is None else f"{failed.type}: {failed.message}"[:_MAX_PREVIEW],
        inputs={} if part.inputs is msgspec.UNSET else part.inputs,
        output=None if part.output is msgspec.UNSET else part.output,
        attributes=part.attributes or {},
        summary=summary,
        exception=failed,
    )
