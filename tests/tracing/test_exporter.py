"""Delivery: batches, trouble with the server, bounds in time and space, and honest reports."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import kibitz
from kibitz.base.errors import InvalidRecord, StorageFull, TooLarge, Unauthorized, Unavailable
from kibitz.base.records import Batch, CallPart, Receipt, Rejection
from kibitz.base.settings import TracingSettings
from kibitz.testing.capturing import CapturingTransport, capture
from kibitz.tracing import recording
from kibitz.tracing import session as sessions
from kibitz.tracing.intake import Intake
from kibitz.tracing.report import FlushReport
from kibitz.tracing.session import Session
from kibitz.tracing.spool import Spool

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@kibitz.op
def echo(value=None):
    return value


class Trouble:
    """A server that has trouble as long as `error` is set."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error
        self.asked = 0

    def __call__(self, batch: Batch) -> None:
        self.asked += 1
        if self.error is not None:
            raise self.error


@pytest.fixture
def start(tmp_path):
    """Starts sessions on a transport, with settings."""
    started: list[Session] = []

    def begin(transport: Any, **settings: Any) -> Session:
        given: dict[str, Any] = {
            "data": str(tmp_path / "data"),
            "print_summary": False,
            "flush_interval_s": 60.0,
            **settings,
        }
        session = Session(
            "t/app",
            TracingSettings(**given),
            target="http://server.example",
            factory=lambda: transport,
            transport=transport,
        )
        started.append(session)
        sessions.use(session)
        session.start()
        return session

    yield begin
    for session in started:
        session.finish(1.0)


def ended_ids(transport: CapturingTransport) -> list[str]:
    return [
        part.id for batch in transport.batches for part in batch.calls if part.ended_at is not None
    ]


def test_what_has_ended_is_sent_in_batches_without_being_asked(start):
    transport = CapturingTransport()
    arrived = threading.Event()
    transport._fail = lambda batch: arrived.set()
    start(transport, batch_calls=10, flush_interval_s=0.01)

    for number in range(25):
        echo(number)

    assert arrived.wait(10)
    assert kibitz.flush().calls_sent == 25
    assert max(len(batch.calls) for batch in transport.batches) <= 10


def test_a_full_batch_does_not_wait_for_the_interval(start):
    arrived = threading.Event()
    start(CapturingTransport(lambda batch: arrived.set()), batch_calls=5)

    for number in range(10):
        echo(number)

    assert arrived.wait(10)


def test_batches_are_bounded_in_bytes(start):
    transport = CapturingTransport()
    start(transport, batch_bytes=10_000)

    for _ in range(10):
        echo("x" * 4000)
    kibitz.flush()

    assert len(transport.batches) >= 4


def test_versions_of_ops_and_files_go_along_once(start):
    transport = CapturingTransport()
    start(transport)

    for _ in range(3):
        echo(kibitz.File(b"abc"))
        kibitz.flush()

    assert [len(batch.objects) for batch in transport.batches] == [1, 0, 0]
    assert [len(batch.files) for batch in transport.batches] == [1, 0, 0]


def test_a_call_that_runs_for_a_moment_is_known_as_running(start):
    transport = CapturingTransport()
    announced = threading.Event()
    transport._fail = lambda batch: announced.set()
    start(transport, running_after_s=0.0, flush_interval_s=0.01)

    @kibitz.op
    def slow(value):
        assert announced.wait(10)
        return value

    slow(1)
    report = kibitz.flush()

    first, *_, last = [part for batch in transport.batches for part in batch.calls]
    assert first.id == last.id
    assert first.ended_at is None
    assert first.inputs == {"value": 1}
    assert last.ended_at is not None
    assert (report.calls_sent, report.running) == (1, 0)


def test_finish_says_what_still_runs(start):
    transport = CapturingTransport()
    session = start(transport)

    @kibitz.op
    def endless():
        yield 1
        yield 2

    items = endless()
    next(items)
    report = session.finish(10)

    assert (report.running, report.calls_sent, report.pending) == (1, 0, 0)
    (part,) = transport.batches[0].calls
    assert (part.op, part.ended_at) == ("endless", None)
    items.close()


@pytest.mark.parametrize(
    "error",
    [
        Unavailable("away"),
        StorageFull("full"),
        Unauthorized("key"),
        OSError("broken transport"),
        ValueError("garbage"),
    ],
    ids=repr,
)
def test_a_server_in_trouble_costs_nothing_and_gets_everything_when_it_is_back(start, error):
    trouble = Trouble(error)
    transport = CapturingTransport(trouble)
    start(transport)

    calls = [echo.call(number)[1].id for number in range(5)]
    call = echo.call("judged")[1]
    call.feedback.add_note("n")
    away = kibitz.flush()

    assert (away.calls_sent, away.calls_spooled, away.feedback_spooled) == (0, 6, 1)
    assert (away.dropped, away.pending, away.timed_out, away.complete) == ({}, 0, False, False)

    trouble.error = None
    back = kibitz.flush()

    assert (back.calls_sent, back.calls_spooled, back.feedback_sent) == (6, 0, 1)
    assert back.complete
    assert ended_ids(transport) == [*calls, call.id]


def test_while_a_server_is_away_it_is_not_asked_for_every_batch(start):
    trouble = Trouble(Unavailable("away", retry_after_s=100.0))
    start(CapturingTransport(trouble), batch_calls=1)

    for number in range(20):
        echo(number)
    kibitz.flush()
    assert trouble.asked == 1
    kibitz.flush()

    assert trouble.asked == 2


def test_a_server_that_is_back_gets_everything_without_being_flushed(start):
    trouble = Trouble(Unavailable("away"))
    transport = CapturingTransport(trouble)
    delivered = threading.Event()
    start(transport, flush_interval_s=0.01)
    echo(1)
    assert kibitz.flush().calls_spooled == 1

    def note(batch: Batch) -> None:
        delivered.set()

    transport._fail = note

    assert delivered.wait(20)
    assert kibitz.flush().calls_sent == 1


def test_a_batch_that_is_too_large_is_sent_in_parts(start):
    def limit(batch: Batch) -> None:
        if len(batch.calls) + len(batch.objects) + len(batch.feedback) > 2:
            raise TooLarge("413", limit=2)

    transport = CapturingTransport(limit)
    start(transport)
    ids = [echo.call(number)[1].id for number in range(9)]

    report = kibitz.flush()

    assert report.calls_sent == 9
    assert report.complete
    assert ended_ids(transport) == ids


def test_a_single_thing_that_is_too_large_is_dropped_and_counted(start):
    def limit(batch: Batch) -> None:
        if any(part.inputs == {"value": "big"} for part in batch.calls):
            raise TooLarge("413")

    start(CapturingTransport(limit))
    for value in ("a", "big", "b"):
        echo(value)

    report = kibitz.flush()

    assert (report.calls_sent, report.dropped) == (2, {"too_large": 1})


def test_the_rest_of_a_batch_that_failed_half_way_is_delivered_once(start):
    asked: list[int] = []

    def limit(batch: Batch) -> None:
        asked.append(len(batch.calls))
        if len(batch.calls) > 2:
            raise TooLarge("413")
        if len(asked) == 3:
            raise Unavailable("gone between the halves")

    transport = CapturingTransport(limit)
    start(transport)
    echo(0)
    kibitz.flush()
    asked.clear()
    ids = [echo.call(number)[1].id for number in range(4)]

    half = kibitz.flush()
    whole = kibitz.flush()

    assert (half.calls_sent, half.calls_spooled) == (3, 2)
    assert (whole.calls_sent, whole.calls_spooled, whole.dropped) == (5, 0, {})
    assert sorted(ended_ids(transport)[1:]) == sorted(ids)


def test_what_the_server_refuses_for_good_is_dropped_and_counted(start):
    trouble = Trouble(InvalidRecord("bad", field="x"))
    start(CapturingTransport(trouble))

    echo(1)
    echo(2)

    assert kibitz.flush().dropped == {"invalid_record": 2}


def test_single_rejections_are_counted(start):
    class Choosy(CapturingTransport):
        def write(self, batch: Batch) -> Receipt:
            rejection = Rejection(kind="call", index=1, code="invalid_record", message="no")
            return Receipt(calls=len(batch.calls) - 1, rejected=[rejection])

    start(Choosy())
    for number in range(3):
        echo(number)

    report = kibitz.flush()

    assert (report.calls_sent, report.dropped) == (2, {"rejected: invalid_record": 1})


@pytest.mark.parametrize("answer", [None, "ok", {"calls": 1}])
def test_an_answer_that_is_no_receipt_is_a_server_in_trouble(start, answer):
    class Garbage(CapturingTransport):
        def write(self, batch: Batch) -> Any:
            return answer

    session = start(Garbage())
    echo(1)

    report = session.finish(10)

    assert (report.calls_spooled, report.calls_sent, report.timed_out) == (1, 0, False)


class Hanging(CapturingTransport):
    """A server that takes a batch and never answers."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Event()
        self.leave = threading.Event()

    def write(self, batch: Batch) -> Receipt:
        self.entered.set()
        assert self.leave.wait(30)
        return super().write(batch)


def test_finish_is_bounded_when_the_server_hangs_and_everything_is_on_disk(start):
    transport = Hanging()
    session = start(transport, batch_calls=2)
    for number in range(5):
        echo(number)
    assert transport.entered.wait(10)
    for number in range(5):
        echo(number)

    started = time.monotonic()
    report = session.finish(1.0)
    took_s = time.monotonic() - started

    assert took_s < 5
    assert report.timed_out
    assert (report.calls_spooled, report.pending, report.dropped) == (10, 0, {})
    transport.leave.set()

    second = CapturingTransport()
    later = start(second)
    report = later.finish(10)

    assert report.recovered == 10
    assert len(set(ended_ids(second))) == 10


def test_flush_is_bounded_when_the_server_hangs_and_says_what_is_pending(start):
    transport = Hanging()
    session = start(transport)
    echo(1)
    echo(2)

    report = session.flush(0.2)

    assert report.timed_out
    assert report.pending == 2
    assert not report.complete
    transport.leave.set()
    assert session.flush(10).calls_sent == 2


def test_finish_with_no_time_at_all_keeps_what_it_can(start):
    transport = Hanging()
    session = start(transport)
    echo(1)

    report = session.finish(0.0)

    assert report.timed_out
    assert report.calls_spooled + report.pending == 1
    transport.leave.set()


def test_a_full_queue_drops_new_calls_and_counts_them(start):
    transport = Hanging()
    session = start(transport, queue_calls=10, batch_calls=10_000)
    for number in range(25):
        assert echo(number) == number

    transport.leave.set()
    report = session.flush(10)

    assert report.calls_sent + report.dropped["queue_full"] == 25
    assert report.calls_sent >= 10


def test_the_queue_is_bounded_in_bytes(start):
    transport = Hanging()
    session = start(transport, queue_bytes=1_000_000)
    echo(1)
    session.flush(0.05)
    assert transport.entered.wait(10)
    for _ in range(20):
        echo("x" * 200_000)

    transport.leave.set()
    report = session.flush(10)

    assert report.calls_sent + report.dropped["queue_full"] == 21
    assert 3 <= report.calls_sent <= 6


def test_an_output_without_room_is_marked(start):
    transport = CapturingTransport()
    start(transport, queue_bytes=10_000)

    @kibitz.op
    def big():
        return "x" * 20_000

    big()
    kibitz.flush()

    assert transport.batches[0].calls[0].output == {"$type": "truncated", "kind": "queue_full"}


def test_room_comes_back_when_calls_are_sent(start):
    session = start(CapturingTransport(), queue_bytes=100_000, queue_calls=20)
    for _ in range(10):
        for _ in range(10):
            echo("x" * 1000)
        session.flush(10)

    report = session.flush(10)
    assert (report.calls_sent, report.dropped) == (100, {})


def test_a_spool_at_its_limit_keeps_in_memory_and_then_drops_and_says_so(start):
    trouble = Trouble(Unavailable("away"))
    transport = CapturingTransport(trouble)
    session = start(transport, spool_bytes=2000, queue_bytes=30_000, batch_calls=1)
    for number in range(60):
        echo(f"{number} " + str([number * value for value in range(100)]))
        session.flush(10)

    away = session.flush(10)
    trouble.error = None
    back = session.flush(10)

    assert away.calls_spooled > 0
    assert away.pending > 0
    assert away.dropped["spool_full"] > 0
    assert away.calls_spooled + away.pending + away.dropped["spool_full"] == 60
    assert back.calls_sent == 60 - away.dropped["spool_full"]
    assert back.pending == back.calls_spooled == 0


def test_a_spool_that_cannot_be_written_is_a_full_one(start, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "spool").write_text("a file where the folder should be")
    session = start(CapturingTransport(Trouble(Unavailable("away"))))
    echo(1)

    assert session.flush(10).pending == 1
    report = session.finish(10)

    assert report.calls_sent == 0
    assert report.pending + report.dropped.get("spool_full", 0) == 1


def test_the_transport_is_made_when_it_is_needed_and_closed_at_the_end(tmp_path):
    made: list[CapturingTransport] = []

    def factory() -> CapturingTransport:
        made.append(CapturingTransport())
        return made[-1]

    session = Session(
        "t/app",
        TracingSettings(data=str(tmp_path), print_summary=False),
        target="x",
        factory=factory,
    )
    sessions.use(session)
    echo(1)
    report = session.finish(10)

    assert report.calls_sent == 1
    assert [transport.closed for transport in made] == [True]


def test_a_transport_that_cannot_be_made_is_a_server_that_is_away(tmp_path):
    def factory() -> CapturingTransport:
        raise Unavailable("no")

    session = Session(
        "t/app",
        TracingSettings(data=str(tmp_path), print_summary=False),
        target="x",
        factory=factory,
    )
    sessions.use(session)
    echo(1)

    assert session.finish(10).calls_spooled == 1


def test_after_finish_ops_run_and_feedback_is_lost_loudly(start, caplog):
    session = start(CapturingTransport())
    _, call = echo.call(1)
    report = session.finish(10)

    assert echo(2) == 2
    assert call.feedback.add_note("late")
    assert session.finish(10) is report
    assert session.flush(10) is report
    assert report.calls_sent == 1
    assert "is lost" in caplog.text


def test_a_callback_that_flushes_does_not_wait_for_itself(start):
    transport = CapturingTransport()
    start(transport)
    reports: list[Any] = []

    @kibitz.op(display_name=lambda inputs: reports.append(kibitz.flush(10)) or "name")
    def named():
        return 1

    named()
    kibitz.flush(10)

    assert [report.timed_out for report in reports] == [True]
    assert transport.batches[0].calls[0].display_name == "name"


def test_calls_of_many_threads_while_flushing_are_all_counted(start):
    transport = CapturingTransport()
    session = start(transport, batch_calls=50, flush_interval_s=0.01)

    def work() -> None:
        for number in range(300):
            echo({"n": number})

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        session.flush(10)
    for thread in threads:
        thread.join()
    report = session.finish(10)

    assert report.calls_sent == 1200
    assert report.complete
    assert len(set(ended_ids(transport))) == 1200


def test_a_broken_part_is_sent_as_far_as_it_goes(monkeypatch):
    with capture() as captured:
        monkeypatch.setattr("kibitz.tracing.guard.strict", False)
        monkeypatch.setattr(
            "kibitz.tracing.parts.Assembler._inputs",
            lambda *_: (_ for _ in ()).throw(RuntimeError("bug")),
        )
        echo(1)
        (part,) = captured.calls

    assert part.op == "echo"
    assert part.attributes == {"kibitz": {"incomplete": "RuntimeError"}}


def test_the_guard_logs_once_a_minute_and_lets_the_program_go_on(monkeypatch, caplog):
    monkeypatch.setattr("kibitz.tracing.guard.strict", False)
    monkeypatch.setattr("kibitz.tracing.guard._last", -100.0)
    with capture() as captured:
        monkeypatch.setattr(
            recording.Recording,
            "_keep_inputs",
            lambda self: (_ for _ in ()).throw(RuntimeError("bug")),
        )
        assert [echo(1), echo(2)] == [1, 2]
        assert captured.calls == []

    assert caplog.text.count("Your program goes on, with less recorded") == 1


def test_reports_read_as_a_line():
    report = FlushReport(
        target="./.kibitz",
        calls_sent=1200,
        feedback_sent=3,
        calls_spooled=1,
        recovered=4,
        running=1,
        pending=2,
        dropped={"queue_full": 5},
    )

    assert str(report) == (
        "kibitz: 1,200 calls, 3 feedback sent to ./.kibitz; 4 more from an earlier run; "
        "1 call kept on disk, delivered later; 1 still running; 2 not delivered in time; 5 lost (queue_full)"
    )
    assert not report.complete


def test_what_a_child_left_on_disk_is_delivered_when_the_program_ends(start):
    transport = CapturingTransport()
    session = start(transport)
    session.flush(10.0)
    left = another_process(session)
    left.append(Batch(project="t/app", calls=[CallPart(id="of-a-child", op="o", ended_at=NOW)]))
    left.close()

    report = session.finish(10.0)

    assert report.recovered == 1
    assert ended_ids(transport) == ["of-a-child"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_child_that_outlives_its_parent_leaves_the_parents_files_to_others(start):
    session = start(CapturingTransport(Trouble(Unavailable("away"))))
    echo(1)
    session.flush(10.0)
    read, write = os.pipe()
    forked_read, forked_write = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        os.write(forked_write, b".")
        os.read(read, 1)
        os._exit(0)
    os.read(forked_read, 1)

    assert session.finish(10.0).calls_spooled == 1
    later = another_process(session)
    later.adopt()
    waiting = later.next()
    os.write(write, b".")
    os.waitpid(child, 0)
    later.close()

    assert waiting is not None
    assert [part.op for part in waiting[1].calls] == ["echo"]


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="this system has no such signals")
def test_a_signal_that_comes_when_the_time_is_over_does_not_keep_the_exporter_waiting():
    intake = Intake(TracingSettings(), lambda: None)
    ready, done = threading.Event(), threading.Event()

    def wait() -> None:
        ready.set()
        intake.wait(0.2)
        done.set()

    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        thread = threading.Thread(target=wait, daemon=True)
        thread.start()
        assert ready.wait(10)
        time.sleep(0.05)
        assert thread.ident is not None
        signal.pthread_kill(thread.ident, signal.SIGUSR1)
        # Keeps the interpreter's lock, so that the thread goes on when its time is over.
        ctypes.PyDLL(None).usleep(300_000)
        assert done.wait(5)
    finally:
        signal.signal(signal.SIGUSR1, before)


def another_process(session: Session) -> Spool:
    """The spool of a session as another process of the same program opens it."""
    return Spool(
        Path(session.settings.data).absolute() / "spool", session.target, limit_bytes=1 << 20
    )
