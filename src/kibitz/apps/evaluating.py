"""When an app's records are judged, and by whom.

    NONE              nothing is evaluated
    WITH_APP          before the app's call returns: what only computes on the caller's thread, the rest on others,
                      which the caller waits for, bounded
    WITH_APP_THREAD   on threads of this process, after the call has returned
    DEFERRED          by a worker: the store keeps that it is wanted

The outcome is the same in each: a `FeedbackResult`, DONE, FAILED or SKIPPED with its reason, that is stored as an
evaluation of the record's root call. Nothing is raised into the app. What is not done when the program ends is
wanted of a worker, where one can load it, and has FAILED with that reason where none can.
"""

from __future__ import annotations

import concurrent.futures
import os
import threading
import traceback
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextvars import ContextVar, copy_context
from typing import TYPE_CHECKING, Any, Protocol

from kibitz.base import clock, ids
from kibitz.base.errors import UsageError
from kibitz.base.evaluations import EvaluationPart
from kibitz.judging.modes import FeedbackMode, FeedbackResultStatus
from kibitz.judging.results import FeedbackResult
from kibitz.tracing import guard
from kibitz.tracing.recording import Active, Scope

if TYPE_CHECKING:
    from kibitz.apps.records import AppRecord
    from kibitz.judging.functions import Feedback

THREADS = 8
MAX_WAITING = 10_000
"""Evaluations that may wait for a thread; over it they are wanted of a worker, or have failed."""
_SECOND = 1_000_000_000

judging: ContextVar[bool] = ContextVar("kibitz_judging", default=False)
"""True where a feedback function runs: the calls of an app that it makes are not judged in turn."""


class Judged(Protocol):
    """A record that is to be judged."""

    judged: list[tuple[Any, Future[FeedbackResult]]]
    """What judges it in this process, set when that begins."""

    @property
    def call_id(self) -> str:
        """The id of the root call."""
        ...

    @property
    def session(self) -> Any:
        """Where it is recorded to."""
        ...

    @property
    def stored(self) -> bool:
        """Whether that is a store."""
        ...

    @property
    def record(self) -> AppRecord: ...


class Evaluator:
    """Judges the records of one app."""

    def __init__(
        self, feedbacks: Sequence[Feedback], mode: FeedbackMode | str, *, timeout_s: float
    ) -> None:
        self.feedbacks = tuple(feedbacks)
        self.timeout_s = timeout_s
        """How long WITH_APP waits for what does not only compute."""
        try:
            self.mode = FeedbackMode(mode)
        except ValueError as error:
            known = ", ".join(FeedbackMode)
            raise UsageError(
                f"feedback_mode={mode!r} is not one of {known}", field="feedback_mode"
            ) from error
        self._refs: weakref.WeakKeyDictionary[Any, list[str]] = weakref.WeakKeyDictionary()
        if self.mode is FeedbackMode.DEFERRED:
            for feedback in self.feedbacks:
                # Which modules a worker may import is said there; what none can import is said now.
                feedback.definition.check_loadable()

    @property
    def judges_here(self) -> bool:
        """Whether records are judged in this process."""
        here = (FeedbackMode.WITH_APP, FeedbackMode.WITH_APP_THREAD)
        return bool(self.feedbacks) and self.mode in here

    def judge(self, gathered: Judged, app: Callable[[], Any], *, waits: bool) -> None:
        """Begin what is to be said of a record that is complete.

        Args:
            gathered: the record.
            app: gives the app as JSON.
            waits: whether the caller's thread may wait.
        """
        if self.mode is FeedbackMode.NONE or judging.get() or not self.feedbacks:
            return
        refs = self._refs_in(gathered)
        if self.mode is FeedbackMode.DEFERRED:
            for feedback, ref in zip(self.feedbacks, refs, strict=True):
                _store(gathered, feedback, _wanted(gathered, ref))
            return
        jobs = [
            Job(gathered, feedback, ref, app)
            for feedback, ref in zip(self.feedbacks, refs, strict=True)
        ]
        gathered.judged = [(job.feedback, job.future) for job in jobs]
        with_app = self.mode is FeedbackMode.WITH_APP
        here = [job for job in jobs if with_app and waits and _only_computes(job.feedback)]
        away = [job for job in jobs if job not in here]
        for job in away:
            _judges.submit(job, first=with_app)
        for job in here:
            job.run()
        if with_app and waits:
            concurrent.futures.wait([job.future for job in away], self.timeout_s)

    def _refs_in(self, gathered: Judged) -> list[str]:
        session: Any = gathered.session
        refs = self._refs.get(session)
        if refs is None:
            refs = [each.definition.ref(session.project) for each in self.feedbacks]
            self._refs[session] = refs
        if gathered.stored:
            for ref, feedback in zip(refs, self.feedbacks, strict=True):
                session.define(ref, feedback.definition.part())
            session.before_flush(drain)
        return refs


def _only_computes(feedback: Feedback) -> bool:
    return bool(feedback.is_local) and not feedback.is_async


def _wanted(gathered: Judged, ref: str) -> EvaluationPart:
    return EvaluationPart(
        id=ids.new_id(), definition_ref=ref, call_id=gathered.call_id, status="none"
    )


def _store(gathered: Judged, feedback: Feedback, part: EvaluationPart) -> None:
    session: Any = gathered.session
    if gathered.stored and not session.evaluate(part):
        guard.warn_rarely("an evaluation by %r is lost: the session has ended", feedback.name)


class Job:
    """One feedback function on one record. Settled once: by its result, or by the end of the program."""

    def __init__(
        self,
        gathered: Judged,
        feedback: Feedback,
        definition_ref: str,
        app: Callable[[], Any],
    ) -> None:
        self.gathered = gathered
        self.feedback = feedback
        self.future: Future[FeedbackResult] = Future()
        self._app = app
        self._ref = definition_ref
        # Nobody can cancel it from here on: what is evaluated is stored.
        self.future.set_running_or_notify_cancel()
        self._claiming = threading.Lock()
        self._claimed = False
        self._context = copy_context()

    def run(self) -> None:
        """Evaluate, and settle the future; raises nothing."""
        # Its own copy: the context may be that of code which still runs.
        self.settle(self._context.run(self._evaluate))

    def _evaluate(self) -> FeedbackResult:
        started = clock.now()
        judging.set(True)
        try:
            record = self.gathered.record
            with Active(Scope(None, None, None, self.gathered.stored, True)):
                return self.feedback.run(app=self._app(), record=record)
        except Exception as error:  # noqa: BLE001 around a user's callback, and the top of a thread
            return FeedbackResult(
                name=self.feedback.name,
                record_id=self.gathered.call_id,
                feedback_definition_id=self.feedback.definition.id,
                status=FeedbackResultStatus.FAILED,
                started_at=started,
                reason=_said(error),
                error="".join(traceback.format_exception(error)),
            )

    def settle(self, result: FeedbackResult) -> None:
        """Take what came of it, where nothing was said yet."""
        if not self._claim():
            return
        try:
            part = result.part(
                run_id=ids.new_id(),
                definition_ref=self._ref,
                call_id=self.gathered.call_id,
            )
            _store(self.gathered, self.feedback, part)
        except Exception as error:  # noqa: BLE001 the guard of the recording path
            guard.note(error, "storing an evaluation")
        finally:
            self.future.set_result(result)

    def give_up(self, reason: str) -> None:
        """Say that this process does not come to it: a worker is asked, where one could do it."""
        result = FeedbackResult(
            name=self.feedback.name,
            record_id=self.gathered.call_id,
            feedback_definition_id=self.feedback.definition.id,
            status=FeedbackResultStatus.FAILED,
            started_at=clock.now(),
            reason=f"{reason}; it cannot be left to a worker, which could not import it",
        )
        if not self.feedback.definition.is_loadable:
            self.settle(result)
            return
        if not self._claim():
            return
        _store(self.gathered, self.feedback, _wanted(self.gathered, self._ref))
        self.future.set_result(
            FeedbackResult(
                name=self.feedback.name,
                record_id=self.gathered.call_id,
                feedback_definition_id=self.feedback.definition.id,
                status=FeedbackResultStatus.NONE,
                reason=f"{reason}; it is left to a worker",
            )
        )

    def _claim(self) -> bool:
        with self._claiming:
            claimed, self._claimed = self._claimed, True
            return not claimed


def _said(error: Exception) -> str:
    name = type(error).__name__
    try:
        return f"{name}: {error}"
    except Exception:  # noqa: BLE001 what an error does when it is shown is its own affair
        return name


class _Judges:
    """The threads that evaluate in this process. They are daemons: what they do at the end is handed over."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: deque[Job] = deque()
        self._working: dict[threading.Thread, Job | None] = {}
        self._idle = 0

    def submit(self, job: Job, *, first: bool) -> None:
        """Evaluate a job on a thread; `first`: before what waits already."""
        with self._changed:
            full = len(self._waiting) >= MAX_WAITING
            if not full:
                (self._waiting.appendleft if first else self._waiting.append)(job)
                if self._idle >= len(self._waiting) or len(self._working) >= THREADS:
                    self._changed.notify()
                else:
                    self._start()
        if full:
            job.give_up(f"more than {MAX_WAITING:,} evaluations wait in this process")

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="kibitz-judge", daemon=True)
        self._working[thread] = None
        thread.start()

    def _run(self) -> None:
        thread = threading.current_thread()
        while True:
            with self._changed:
                self._idle += 1
                while not self._waiting:
                    self._changed.wait()
                self._idle -= 1
                job = self._waiting.popleft()
                self._working[thread] = job
            try:
                job.run()
            except BaseException as error:  # noqa: BLE001 the top of the thread: it must go on
                guard.note(error, "judging a record")
            # What it judged may go now, with its values.
            del job
            with self._changed:
                self._working[thread] = None
                self._changed.notify_all()

    def wait_for_room(self) -> None:
        """Wait until half of those that may wait do."""
        with self._changed:
            while len(self._waiting) > MAX_WAITING // 2:
                self._changed.wait()

    def drain(self, timeout_s: float, ends: bool) -> None:
        """Wait for what is to be done, this long at most; where the program ends, hand the rest over."""
        if threading.current_thread() in self._working:
            # A feedback function that flushes must not wait for itself.
            return
        until = clock.monotonic_ns() + int(timeout_s * _SECOND)
        with self._changed:
            while self._waiting or any(self._working.values()):
                left_s = (until - clock.monotonic_ns()) / _SECOND
                if left_s <= 0:
                    break
                self._changed.wait(left_s)
            if not ends:
                return
            rest = [*self._waiting, *(job for job in self._working.values() if job)]
            self._waiting.clear()
        for job in rest:
            job.give_up("the program ended before it was evaluated")


_judges = _Judges()


def drain(timeout_s: float, ends: bool) -> None:
    """Wait for the threads of this process, see `_Judges.drain`."""
    _judges.drain(timeout_s, ends)


def wait_for_room() -> None:
    """Wait for the threads of this process, so that what makes records quickly can go on making them."""
    _judges.wait_for_room()


def _renew() -> None:
    global _judges
    _judges = _Judges()


if hasattr(os, "register_at_fork"):
    # Threads do not come along into a forked child; what they do is the parent's.
    os.register_at_fork(after_in_child=_renew)
