"""A session: one project's recording in one process, from `init` to `finish`."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import msgspec

from kibitz.base import clock, ids, jsonable, judgements
from kibitz.base import redaction as redactions
from kibitz.base import settings as all_settings
from kibitz.base.errors import InvalidRecord, UsageError
from kibitz.base.evaluations import EvaluationPart, Invocation
from kibitz.base.locks import ForkLock
from kibitz.base.records import CallPart, FeedbackPart, ObjectPart
from kibitz.base.settings import TracingSettings
from kibitz.tracing import guard, recording
from kibitz.tracing.exporter import Exporter
from kibitz.tracing.report import FlushReport
from kibitz.tracing.transport import Factory, Transport

if TYPE_CHECKING:
    from kibitz.base.specifications import AnnotationSpec

Reading = Callable[[], AbstractContextManager[Any]]
"""Opens the store that the session writes to, with everything delivered that was recorded so far."""
Drain = Callable[[float, bool], None]
"""Finishes what judges calls in this process: for so many seconds at most, and whether the session ends with it."""
_MAX_SAID = 10_000
_DRAIN_SHARE = 0.7
"""Of the time that `flush` has, for what judges; the rest is for sending it."""
_EVALUATION_BYTES = 1 << 20
_AUTHOR_KINDS = frozenset({"person", "model", "program", "import"})


class Session:
    """Records the calls of one project. `kibitz.init` makes it; it ends with `finish` or the program."""

    def __init__(
        self,
        project: str,
        settings: TracingSettings,
        *,
        target: str,
        factory: Factory,
        transport: Transport | None = None,
        spool_key: str | None = None,
        page: str | None = None,
        reading: Reading | None = None,
    ) -> None:
        self.project = project
        self.settings = settings
        self.target = target
        """Where it goes: a data folder or a server."""
        self.page = page
        self.sample_rate = settings.sample_rate
        self._factory = factory
        self._reading = reading
        self._specs: dict[str, AnnotationSpec] = {}
        """What was published or looked up here, by name."""
        self._said: OrderedDict[str, FeedbackPart] = OrderedDict()
        """What was judged here, without payloads: to correct and retract it."""
        self._drains: list[Drain] = []
        self._draining = threading.local()
        self._spool_key = spool_key or target
        self._use(self._exporter(transport))
        self._finished: FlushReport | None = None

    def _exporter(self, transport: Transport | None) -> Exporter:
        return Exporter(
            project=self.project,
            target=self.target,
            spool_key=self._spool_key,
            settings=self.settings,
            factory=self._factory,
            transport=transport,
        )

    def _use(self, exporter: Exporter) -> None:
        self._exporter_now = exporter
        # Bound here, so that a call takes one step to the queue and not two.
        self.put = exporter.intake.put
        self.grow = exporter.intake.grow

    def start(self) -> None:
        """Start delivering, also what an earlier program left on disk."""
        self._exporter_now.start()

    def op_ref(self, op: Any) -> str:
        """The reference of an op's version."""
        return self._exporter_now.op_ref(op)

    def publish(self, spec: AnnotationSpec) -> str:
        """Send a version of a specification and give its reference; a name in `add_annotation` means it from now on."""
        part = spec.part()
        ref = spec.ref(self.project)
        self._specs[spec.name] = spec
        self._exporter_now.know(ref, part)
        if not self._exporter_now.intake.put_part(part):
            guard.warn("specification %r goes with its answers: the queue is full", spec.name)
        return ref

    def specification(self, named: AnnotationSpec | str) -> AnnotationSpec:
        """A specification of the project: itself, or the newest of a name when it is first asked for here.

        Raises:
            NotFound: the project has none of this name.
            Unavailable: nobody answers who knows.
        """
        from kibitz.base.specifications import AnnotationSpec

        if not isinstance(named, str):
            self._exporter_now.know(named.ref(self.project), named.part())
            return named
        known = self._specs.get(named)
        if known is None:
            with self._read() as store:
                newest = store.objects.versions(self.project, "object", named)[0]
            known = self._specs[named] = AnnotationSpec.from_version(newest)
        self._exporter_now.know(known.ref(self.project), known.part())
        return known

    def said(self, feedback_id: str) -> FeedbackPart:
        """A judgement by its id, without its payload; raises `NotFound`."""
        known = self._said.get(feedback_id)
        if known is None:
            with self._read() as store:
                found = store.feedback.get(self.project, feedback_id)
            known = FeedbackPart(
                **{
                    name: getattr(found, name)
                    for name in FeedbackPart.__struct_fields__
                    if name != "payload"
                },
                payload={},
            )
        return known

    def _read(self) -> AbstractContextManager[Any]:
        if self._reading is None:
            raise UsageError(
                f"{self.target} cannot be asked from here; name the specification itself"
            )
        return self._reading()

    def judge(self, judgement: Mapping[str, Any]) -> str:
        """Take a feedback by its fields and give its id.

        Raises:
            InvalidRecord: it breaks a rule of its type.
        """
        payload = judgement["payload"]
        if not isinstance(payload, Mapping):
            raise InvalidRecord(
                f"the payload of feedback is a mapping, not {type(payload).__name__}",
                field="payload",
            )
        limits = jsonable.Limits(bytes=judgements.MAX_PAYLOAD_BYTES // 2)
        content = jsonable.to_json(
            dict(payload),  # pyright: ignore[reportUnknownArgumentType] any mapping
            limits=limits,
            redaction=self._exporter_now.redaction,
        )
        part = _feedback_part({**judgement, "payload": content})
        judgements.check(part, self.project)
        assert part.id is not None
        self._said[part.id] = msgspec.structs.replace(part, payload={})
        if len(self._said) > _MAX_SAID:
            self._said.popitem(last=False)
        if not self._exporter_now.intake.put_part(part):
            guard.warn("feedback %s is lost: the session is finished or its queue full", part.id)
        return part.id

    def define(self, ref: str, version: ObjectPart, *, send: bool = False) -> None:
        """Say what a reference of evaluations means: it goes along with those that name it.

        Args:
            ref: of the version, in this project.
            version: what goes along.
            send: also where nothing names it yet.
        """
        self._exporter_now.know(ref, version)
        if send and not self._exporter_now.intake.put_part(version):
            guard.warn_rarely("version %r is not stored: the queue is full", version.name)

    def evaluate(self, part: EvaluationPart) -> bool:
        """Take an evaluation: wanted, or what became of a run. Secrets are taken out of what it says.

        Returns:
            False where it is lost: the session is finished or its queue full. That is counted; nothing is raised.
        """
        try:
            clean = _without_secrets(part, self._exporter_now.redaction)
            return self._exporter_now.intake.put_part(clean)
        except Exception as error:  # noqa: BLE001 the guard of the recording path
            guard.note(error, "keeping an evaluation")
            return False

    def keep(self, part: CallPart) -> bool:
        """Take a call that was recorded elsewhere and has ended; False where it is lost, which is counted."""
        return self._exporter_now.intake.put_part(part)

    @property
    def redaction(self) -> redactions.Redaction:
        """What counts as a secret here."""
        return self._exporter_now.redaction

    @property
    def waiting(self) -> int:
        """How much waits to be sent."""
        return len(self._exporter_now.intake.queue)

    def part_of(self, call: recording.Recording) -> CallPart:
        """A call that has ended, as it is sent; for those who held it while it ran."""
        return self._exporter_now.part_of(call)

    def before_flush(self, drain: Drain) -> None:
        """Ask this, too, to finish its work when what was recorded is to be delivered."""
        if drain not in self._drains:
            self._drains.append(drain)

    def _drain(self, limit_s: float, *, ends: bool) -> float:
        """Let those finish who judge; gives the seconds that are left."""
        if not self._drains or getattr(self._draining, "now", False):
            return limit_s
        began = clock.monotonic_ns()
        # What judges may itself ask to flush, which must not wait for itself.
        self._draining.now = True
        try:
            for drain in list(self._drains):
                spent_s = (clock.monotonic_ns() - began) / 1e9
                try:
                    drain(max(limit_s * _DRAIN_SHARE - spent_s, 0.0), ends)
                except Exception as error:  # noqa: BLE001 the guard of the recording path
                    guard.note(error, "waiting for feedback functions")
        finally:
            self._draining.now = False
        return max(limit_s - (clock.monotonic_ns() - began) / 1e9, limit_s * (1 - _DRAIN_SHARE))

    def flush(self, timeout_s: float | None = None) -> FlushReport:
        """Deliver what has ended, or put it on disk where the target is away. Bounded; raises nothing.

        Args:
            timeout_s: how long to wait at most; `settings.exit_timeout_s` without.
        """
        if self._finished is not None:
            return self._finished
        return self._exporter_now.flush(self._drain(self._limit(timeout_s), ends=False))

    def finish(self, timeout_s: float | None = None) -> FlushReport:
        """`flush`, and stop recording. Again: the same report."""
        if self._finished is None:
            if recording.installed() is self:
                recording.install(None)
            left_s = self._drain(self._limit(timeout_s), ends=True)
            self._finished = self._exporter_now.close(left_s)
        return self._finished

    def _limit(self, timeout_s: float | None) -> float:
        limit = self.settings.exit_timeout_s if timeout_s is None else timeout_s
        # Somebody may say "for ever" with infinity, which no lock takes. NaN is no time at all.
        return min(limit, all_settings.MAX_SECONDS) if limit > 0 else 0.0

    @property
    def finished(self) -> bool:
        return self._finished is not None

    def after_fork(self) -> None:
        """Begin anew in a forked child: what the parent has in its queue is the parent's to send."""
        if self._finished is None:
            self._exporter_now.disown()
            # Kept, not closed: a connection to a database must not be touched by a child of its process.
            _of_parents.append(self._exporter_now)
            self._use(self._exporter(None))


_of_parents: list[Exporter] = []


def _feedback_part(fields: dict[str, Any]) -> FeedbackPart:
    kind, author = fields.get("author_kind", "person"), fields.get("author", "")
    if kind not in _AUTHOR_KINDS:
        raise UsageError(
            f"author_kind={kind!r} is not one of {', '.join(sorted(_AUTHOR_KINDS))}",
            field="author_kind",
        )
    if not isinstance(author, str) or len(author) > 1024 or not (author.isprintable()):
        raise InvalidRecord(
            f"author {str(author)[:40]!r} is not a name of up to 1,024 printable characters",
            field="author",
        )
    content = fields["payload"]
    if jsonable.TYPE in content:
        raise InvalidRecord(f"a payload has no key {jsonable.TYPE!r} at its top", field="payload")
    return FeedbackPart(id=ids.new_id(), created_at=clock.now(), **fields)


def _without_secrets(part: EvaluationPart, redaction: Any) -> EvaluationPart:
    limits = jsonable.Limits(bytes=_EVALUATION_BYTES)

    def clean(value: Any) -> Any:
        return jsonable.to_json(value, limits=limits, redaction=redaction)

    def clean_invocation(each: Invocation) -> Invocation:
        return msgspec.structs.replace(
            each,
            arguments=clean(each.arguments),
            output=clean(each.output),
            metadata=clean(each.metadata),
            error=None if each.error is None else redactions.scrub(each.error),
        )

    return msgspec.structs.replace(
        part,
        reason=None if part.reason is None else redactions.scrub(part.reason),
        error=None if part.error is None else redactions.scrub(part.error),
        invocations=[clean_invocation(each) for each in part.invocations],
    )


changing = ForkLock()
"""Held while one session takes the place of another."""
_session: Session | None = None
_at_exit = False


def current() -> Session | None:
    """The session of this process that `use` was given last, unless it is finished."""
    return None if _session is None or _session.finished else _session


def use(session: Session | None) -> None:
    """Record to this session from now on; None: do not record."""
    global _session, _at_exit
    _session = session
    if session is None or not session.settings.enabled:
        recording.install(None)
    else:
        recording.install(session)
    if session is not None and not _at_exit:
        _at_exit = True
        atexit.register(_exit)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_after_fork)
    if session is not None:
        _end_with_worker(session)


def _exit() -> None:
    session = current()
    if session is None:
        return
    report = session.finish()
    if (
        report.calls_sent
        or report.feedback_sent
        or report.evaluations_sent
        or report.recovered
        or not report.complete
        or report.running
    ):
        _say(session, report)


def _exit_worker() -> None:
    """The same for a worker of `multiprocessing`, of which there are many: it speaks up where something is not sent."""
    session = current()
    if session is not None:
        report = session.finish()
        if not report.complete:
            _say(session, report)


def _say(session: Session, report: FlushReport) -> None:
    if session.settings.print_summary:
        # To the stream itself: logging may be shut down by now.
        try:
            sys.stderr.write(f"{report}\n")
        except (OSError, ValueError, AttributeError):
            return


def _after_fork() -> None:
    session = _session
    if session is None:
        return
    session.after_fork()
    _end_with_worker(session)


def _end_with_worker(session: Session) -> None:
    """Finish when this process ends as a worker of `multiprocessing`, which ends without `atexit`.

    Such a process is set up after a fork, or after its main module was imported, and forgets then what it was
    to do at its end. So it is told now, for sessions that begin later, and once more when it is set up.
    """
    util = sys.modules.get("multiprocessing.util")
    process = sys.modules.get("multiprocessing.process")
    if util is not None and process is not None:
        util.register_after_fork(session, _end_with_worker_now)
        if process.parent_process() is not None:
            _end_with_worker_now(session)


def _end_with_worker_now(session: Session) -> None:
    del session
    sys.modules["multiprocessing.util"].Finalize(None, _exit_worker, exitpriority=10)
