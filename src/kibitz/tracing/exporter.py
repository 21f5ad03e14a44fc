"""The one thread that turns recordings into batches and delivers them.

    caller's threads ──put──▶ queue ──▶ open calls ──ended──▶ batch ──▶ transport ──▶ sent
                                            └─ running for a moment: a start part         │ away
                                                                                          ▼
                                                                  spool on disk ──▶ transport (later)

A call enters the queue when it begins; here it waits among the open ones until it has ended. What the transport
cannot take now goes to the spool at once and is delivered from there, oldest first, with growing pauses. When the
spool is full it waits in memory, and over `queue_bytes` it is dropped and counted.

`flush` and `close` hand the thread an event and wait for it, no longer than they may. When `close` runs out of
time because the transport hangs, it takes the work over and puts everything into the spool itself: `_work` is
held by whoever works, and given up while the transport is asked.
"""

from __future__ import annotations

import random
import threading
from collections import deque
from pathlib import Path
from typing import Any

import msgspec

from kibitz.base import clock
from kibitz.base.errors import KibitzError, StorageFull, TooLarge, Unavailable, UsageError
from kibitz.base.evaluations import EvaluationPart
from kibitz.base.records import Batch, CallPart, FeedbackPart, ObjectPart, Receipt
from kibitz.base.settings import TracingSettings
from kibitz.tracing import guard, ledger
from kibitz.tracing.batches import Builder, halves
from kibitz.tracing.intake import Intake, Part
from kibitz.tracing.ledger import Ledger
from kibitz.tracing.parts import Assembler
from kibitz.tracing.recording import Recording
from kibitz.tracing.report import FlushReport
from kibitz.tracing.spool import Spool
from kibitz.tracing.transport import Factory, Transport

_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 30.0
_LONGEST_RETRY_AFTER_S = 300.0
_ADOPT_EVERY_S = 30.0
_TAKE_OVER_SHARE = 0.3
"""Of the time that `close` has, kept for taking over from a transport that hangs."""
_LEAST_TAKE_OVER_S = 0.2
_SECOND = 1_000_000_000


class Exporter:
    """Delivers what comes in, from a thread of its own."""

    def __init__(
        self,
        *,
        project: str,
        target: str,
        spool_key: str,
        settings: TracingSettings,
        factory: Factory,
        transport: Transport | None = None,
    ) -> None:
        self._settings = settings
        self._target = target
        self._factory = factory
        self._transport = transport
        self._assembler = Assembler(project, settings)
        self._builder = Builder(project, self._assembler)
        self._spool = Spool(
            # Absolute: the program may change its directory.
            Path(settings.data).absolute() / "spool",
            spool_key,
            limit_bytes=settings.spool_bytes,
        )

        self.intake = Intake(settings, self.start)
        """Where callers' threads put what they have."""
        self._ledger = Ledger(target)

        self._work = threading.Lock()
        """Protects everything below, and is given up while the transport is asked."""
        self._open: dict[Recording, int] = {}
        """By when the exporter first saw them, monotonic; 0 when their start part is sent."""
        self._in_flight: Batch | None = None
        self._memory: deque[tuple[Batch, int]] = deque()
        self._memory_bytes = 0
        self._failures = 0
        self._try_again_ns = 0
        self._adopt_ns = 0
        self._taken_over = False

        self._waiting: deque[threading.Event] = deque()
        self._thread: threading.Thread | None = None
        self._threads: dict[str, threading.Thread] = {}
        self._starting = threading.RLock()

    def start(self) -> None:
        """Start the thread where it does not run."""
        with self._starting:
            if self._thread is not None or self.intake.closed:
                return
            thread = threading.Thread(target=self._run, name="kibitz-exporter", daemon=True)
            # A signal handler may have come here in between and started one.
            if self._threads.setdefault("exporter", thread) is thread:
                self._thread = thread
                thread.start()

    def know(self, ref: str, version: ObjectPart) -> None:
        """Send a version along with the judgements that name it."""
        self._assembler.versions[ref] = version

    def op_ref(self, op: Any) -> str:
        """The reference of an op's version."""
        return self._assembler.op_ref(self._assembler.version_of(op))

    def part_of(self, call: Recording) -> CallPart:
        """A call that has ended, as it is sent."""
        return self._assembler.part(call, ended=True).part

    @property
    def redaction(self) -> Any:
        """What counts as a secret in this session."""
        return self._assembler.redaction

    def disown(self) -> None:
        """In a forked child: leave everything to the parent. Its files stay locked while a child has them open."""
        self._spool.close()

    # What ends a session.

    def flush(self, timeout_s: float) -> FlushReport:
        """Deliver or spool everything that has ended, for at most this long."""
        if threading.current_thread() is self._thread:
            # A user's callback on this very thread asked; to wait would be for ever.
            return self._report(timed_out=True)
        done = self._ask()
        in_time = done.wait(max(timeout_s, 0.0))
        return self._report(timed_out=not in_time)

    def close(self, timeout_s: float) -> FlushReport:
        """Deliver or spool everything, also what still runs, for at most this long, and stop."""
        timeout_s = max(timeout_s, 0.0)
        until = clock.monotonic_ns() + int(timeout_s * _SECOND)
        self.intake.close()
        thread = self._thread
        if thread is threading.current_thread():
            return self._report(timed_out=True)
        if thread is None:
            self._take_over(until)
            self._end()
            return self._report(timed_out=False)
        done = self._ask()
        in_time = done.wait(timeout_s * (1 - _TAKE_OVER_SHARE))
        if not in_time:
            self._take_over(until)
        report = self._report(timed_out=not in_time)
        if in_time:
            thread.join(max((until - clock.monotonic_ns()) / _SECOND, 0.1))
        return report

    def _ask(self) -> threading.Event:
        done = threading.Event()
        self._waiting.append(done)
        self.start()
        self.intake.ring()
        if self._thread is None or not self._thread.is_alive():
            done.set()
        return done

    def _take_over(self, until_ns: int) -> None:
        """Spool what the exporter's thread could not deliver in time."""
        left = max((until_ns - clock.monotonic_ns()) / _SECOND, _LEAST_TAKE_OVER_S)
        if not self._work.acquire(timeout=left):
            return
        try:
            self._taken_over = True
            if self._in_flight is not None:
                self._keep(self._in_flight)
                self._in_flight = None
            self._empty_memory()
            self._collect(deliver=self._keep, until_ns=until_ns)
            self._spool.close()
        finally:
            self._work.release()

    def _report(self, *, timed_out: bool) -> FlushReport:
        return self._ledger.report(
            queued=len(self.intake.queue),
            running=sum(1 for call in list(self._open) if not call.ended_ns),
            refused=self.intake.refused,
            damaged_files=self._spool.damaged_files,
            timed_out=timed_out,
        )

    # What the exporter's thread does.

    def _run(self) -> None:
        interval = max(self._settings.flush_interval_s, 0.01)
        self._work.acquire()
        try:
            while not self._taken_over:
                self._work.release()
                try:
                    self.intake.wait(interval)
                finally:
                    self._work.acquire()
                if self._taken_over:
                    return
                closing = self.intake.closed
                asked = [self._waiting.popleft() for _ in range(len(self._waiting))]
                try:
                    self._cycle(at_once=bool(asked))
                except BaseException as error:  # noqa: BLE001 the top of the thread: it must go on
                    guard.note(error, "sending calls")
                finally:
                    for done in asked:
                        done.set()
                if closing and not self._taken_over:
                    self._end()
                    return
        finally:
            self._work.release()
            while self._waiting:
                self._waiting.popleft().set()

    def _end(self) -> None:
        self._spool.close()
        if self._transport is not None:
            try:
                self._transport.close()
            except Exception as error:  # noqa: BLE001 the top of the thread: nothing is left to do
                guard.note(error, "closing the connection")

    def _cycle(self, *, at_once: bool) -> None:
        """Collect what has ended and deliver it; `at_once` also where a pause is not over."""
        now = clock.monotonic_ns()
        if at_once:
            self._try_again_ns = 0
        # At the end once more: what children could not store themselves is theirs no longer when they have ended.
        if now >= self._adopt_ns or self.intake.closed:
            self._adopt_ns = now + int(_ADOPT_EVERY_S * _SECOND)
            self._spool.adopt()
        self._deliver_backlog()
        self._collect(deliver=self._deliver, until_ns=None)
        if self.intake.closed:
            self._deliver_backlog()
            if not self._taken_over:
                self._empty_memory()

    def _collect(self, *, deliver: Any, until_ns: int | None) -> None:
        """Make batches of the queue and the calls that have ended, and hand each on."""
        builder, settings, intake = self._builder, self._settings, self.intake
        now = max(clock.monotonic_ns(), 1)

        def hand_on_full() -> None:
            if builder.items >= settings.batch_calls or builder.size >= settings.batch_bytes:
                deliver(builder.take())

        for call in [call for call in self._open if call.ended_ns]:
            del self._open[call]
            self._add(call)
            hand_on_full()
            if self._displaced(until_ns):
                return
        for _ in range(len(intake.queue)):
            self._ledger.in_hand += 1
            item = intake.queue.popleft()
            if not isinstance(item, Recording):
                self._add_part(item)
            elif item.ended_ns:
                self._add(item)
            else:
                self._open[item] = now
                intake.held = len(self._open)
            hand_on_full()
            if self._displaced(until_ns):
                return
        intake.held = len(self._open)
        self._announce(now)
        if not builder.empty:
            deliver(builder.take())
        intake.settle()

    def _displaced(self, until_ns: int | None) -> bool:
        """Whether to stop: `close` has taken over from this thread, or is itself out of time."""
        if until_ns is None:
            return self._taken_over
        return clock.monotonic_ns() > until_ns

    def _add(self, call: Recording) -> None:
        try:
            self._builder.add_call(call, ended=True)
        except BaseException as error:  # noqa: BLE001 one call must not cost the others
            guard.note(error, "preparing a call for the store")
            self._ledger.dropped("broken", 1)
            self._ledger.in_hand -= 1
        self.intake.let_go(call)
        call.release()

    def _add_part(self, part: Part) -> None:
        match part:
            case FeedbackPart():
                self._builder.add_feedback(part)
            case EvaluationPart():
                self._builder.add_evaluation(part)
            case CallPart():
                self._builder.add_part(part)
            case ObjectPart():
                # A version goes with what names it, too; it is not counted.
                self._ledger.in_hand -= 1
                self._builder.add_version(part)

    def _announce(self, now: int) -> None:
        """Say which calls are running that have been for a moment; at the end, all that are."""
        since = now - int(self._settings.running_after_s * _SECOND)
        for call, seen in self._open.items():
            if seen and (seen <= since or self.intake.closed):
                self._builder.add_call(call, ended=False)
                self._open[call] = 0

    def _deliver(self, batch: Batch) -> None:
        if not self._spool.empty or self._memory or clock.monotonic_ns() < self._try_again_ns:
            # Behind what waits already: the order is kept, and a server that is away is asked once.
            self._keep(batch)
            return
        self._in_flight = batch
        left = self._send(batch, ours=True)
        if not self._taken_over:
            self._in_flight = None
            for rest in left:
                self._keep(rest)

    def _deliver_backlog(self) -> None:
        while clock.monotonic_ns() >= self._try_again_ns and not self._taken_over:
            waiting = self._spool.next()
            if waiting is None:
                break
            file, batch = waiting
            own = self._spool.is_own(file)
            left = self._send(batch, ours=own, in_hand=False)
            if self._taken_over or (left and left[0] is batch):
                return
            self._spool.done(file)
            if own:
                self._ledger.unspooled(batch)
            for rest in left:
                self._ledger.in_hand += ledger.count_of(rest)
                self._keep(rest)
        while self._memory and clock.monotonic_ns() >= self._try_again_ns and not self._taken_over:
            batch, size = self._memory[0]
            left = self._send(batch, ours=True)
            if self._taken_over or (left and left[0] is batch):
                return
            self._memory.popleft()
            self._memory_bytes -= size
            for rest in left:
                self._keep(rest)

    def _send(self, batch: Batch, *, ours: bool, in_hand: bool = True) -> list[Batch]:
        """Give a batch to the transport, and give back what is not settled: neither stored nor refused for good.

        Args:
            ours: False where an earlier program recorded it.
            in_hand: False where it comes from the spool.
        """
        try:
            receipt = self._ask_transport(batch)
        except TooLarge as error:
            parts = halves(batch)
            if parts is None:
                self._drop(batch, error, in_hand=in_hand)
                return []
            return [rest for part in parts for rest in self._send(part, ours=ours, in_hand=in_hand)]
        except UsageError as error:
            self._drop(batch, error, in_hand=in_hand)
            return []
        except Exception as error:  # noqa: BLE001 whatever else it is may be over later, and then nothing is lost
            self._pause(error)
            return [batch]
        self._failures = 0
        if not self._taken_over:
            self._ledger.settled(batch, receipt, ours=ours)
            self._ledger.in_hand -= ledger.count_of(batch) if in_hand else 0
        return []

    def _ask_transport(self, batch: Batch) -> Receipt:
        self._work.release()
        try:
            if self._transport is None:
                self._transport = self._factory()
            receipt = self._transport.write(batch)
        finally:
            self._work.acquire()
        if not isinstance(receipt, Receipt):  # pyright: ignore[reportUnnecessaryIsInstance] a transport may be anybody's
            raise TypeError(f"the transport answered {type(receipt).__name__} instead of a Receipt")
        return receipt

    def _drop(self, batch: Batch, error: KibitzError, *, in_hand: bool) -> None:
        count = ledger.count_of(batch)
        self._ledger.in_hand -= count if in_hand else 0
        # A file or a version of an op that is too large is a loss too.
        count = count or len(batch.files) + len(batch.objects)
        self._ledger.dropped(error.code, count)
        guard.warn_rarely(
            "%d calls, feedback or evaluations were refused and are lost: %s", count, error
        )

    def _pause(self, error: Exception) -> None:
        self._failures += 1
        pause_s = min(_FIRST_PAUSE_S * 2 ** min(self._failures - 1, 10), _LONGEST_PAUSE_S)
        # Jitter, so that the programs that lost one server do not all come back at once.
        pause_s *= random.uniform(0.5, 1.0)
        asked = error.retry_after_s if isinstance(error, Unavailable) else None
        if asked is not None:
            pause_s = min(max(asked, 0.0), _LONGEST_RETRY_AFTER_S)
        self._try_again_ns = clock.monotonic_ns() + int(pause_s * _SECOND)
        if self._failures == 1:
            guard.warn("%s cannot be reached; calls wait on disk: %s", self._target, error)

    def _empty_memory(self) -> None:
        """At the end, what found no room on disk has a last chance; then it is lost, and counted."""
        waiting, self._memory, self._memory_bytes = self._memory, deque(), 0
        for batch, _ in waiting:
            self._keep(batch)

    def _keep(self, batch: Batch) -> None:
        """Put a batch on disk, or keep it in memory, or drop it and say so."""
        count = ledger.count_of(batch)
        try:
            self._spool.append(batch)
        except StorageFull as error:
            size = len(msgspec.json.encode(batch))
            if self.intake.closed or self._memory_bytes + size > self._settings.queue_bytes:
                self._ledger.dropped("spool_full", count)
                self._ledger.in_hand -= count
                guard.warn_rarely("calls are lost: %s", error)
                return
            self._memory.append((batch, size))
            self._memory_bytes += size
            return
        self._ledger.in_hand -= count
        self._ledger.spooled(batch)
