"""Evaluations on their way to the store: with the guarantees that feedback has."""

from __future__ import annotations

from typing import Any

import pytest

import kibitz
from kibitz.base import clock, ids, refs
from kibitz.base.errors import TooLarge, Unavailable
from kibitz.base.evaluations import EvaluationPart, Invocation
from kibitz.base.records import Batch, ObjectPart, Receipt, Rejection
from kibitz.base.settings import TracingSettings
from kibitz.testing.capturing import Captured, CapturingTransport
from kibitz.tracing import session as sessions
from kibitz.tracing.report import FlushReport
from kibitz.tracing.session import Session

VALUE = {"$type": "feedback_definition", "name": "short"}
DEFINITION = ObjectPart(kind="object", name="short", digest=refs.digest(b"short"), value=VALUE)


@kibitz.op
def echo(value=None):
    return value


def ref(project: str = "t/app") -> str:
    return refs.format_ref(
        refs.Ref(project=project, kind="object", name="short", digest=DEFINITION.digest)
    )


def done(call_id: str | None = None, **more: Any) -> EvaluationPart:
    now = clock.now()
    given: dict[str, Any] = {"status": "done", "output": 1.0, "started_at": now, "ended_at": now}
    return EvaluationPart(
        id=ids.new_id(),
        definition_ref=ref(),
        call_id=call_id or ids.new_id(),
        **{**given, **more},
    )


@pytest.fixture
def start(tmp_path):
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
        sessions.use(session)
        session.start()
        session.define(ref(), DEFINITION)
        return session

    return begin


def test_an_evaluation_is_sent_with_its_definition(start):
    transport = CapturingTransport()
    session = start(transport)
    part = done()

    assert session.evaluate(part)
    report = session.flush(10)

    (batch,) = transport.batches
    assert batch.evaluations == [part]
    assert batch.objects == [DEFINITION]
    assert (report.evaluations_sent, report.calls_sent, report.complete) == (1, 0, True)


def test_a_batch_that_is_halved_has_the_definition_in_both_parts(start):
    def limit(batch: Batch) -> None:
        if len(batch.calls) + len(batch.evaluations) > 2:
            raise TooLarge("413", limit=2)

    transport = CapturingTransport(limit)
    session = start(transport)
    parts = [done() for _ in range(6)]
    for part in parts:
        session.evaluate(part)

    report = session.flush(10)

    assert [part for batch in transport.batches for part in batch.evaluations] == parts
    assert all(DEFINITION in batch.objects for batch in transport.batches if batch.evaluations)
    assert report.evaluations_sent == 6


def test_evaluations_fill_batches_as_calls_do(start):
    transport = CapturingTransport()
    session = start(transport, batch_calls=3)
    for _ in range(7):
        session.evaluate(done())

    session.flush(10)

    assert [len(batch.evaluations) for batch in transport.batches] == [3, 3, 1]


def test_evaluations_wait_on_disk_while_the_server_is_away_and_a_later_program_delivers_them(start):
    away = CapturingTransport(lambda batch: (_ for _ in ()).throw(Unavailable("away")))
    session = start(away)
    part = done()
    session.evaluate(part)

    first = session.finish(10)
    transport = CapturingTransport()
    later = start(transport).flush(10)

    assert (first.evaluations_sent, first.evaluations_spooled, first.complete) == (0, 1, False)
    assert [each for batch in transport.batches for each in batch.evaluations] == [part]
    assert DEFINITION in [each for batch in transport.batches for each in batch.objects]
    assert later.recovered == 1


def test_what_comes_back_in_time_is_not_counted_as_spooled(start):
    trouble = [Unavailable("away")]

    def fail(batch: Batch) -> None:
        if trouble:
            raise trouble[0]

    session = start(CapturingTransport(fail))
    session.evaluate(done())
    away = session.flush(10)
    trouble.clear()
    back = session.flush(10)

    assert (away.evaluations_spooled, away.evaluations_sent) == (1, 0)
    assert (back.evaluations_spooled, back.evaluations_sent) == (0, 1)


def test_a_refused_evaluation_is_counted_as_lost(start):
    class Refusing(CapturingTransport):
        def write(self, batch: Batch) -> Receipt:
            super().write(batch)
            return Receipt(
                evaluations=len(batch.evaluations) - 1,
                rejected=[Rejection(kind="evaluation", index=0, code="conflict", message="no")],
            )

    session = start(Refusing())
    session.evaluate(done())
    session.evaluate(done())

    report = session.flush(10)

    assert (report.evaluations_sent, report.dropped) == (1, {"rejected: conflict": 1})


def test_an_evaluation_after_the_end_is_lost_and_does_not_raise(start):
    session = start(CapturingTransport())
    session.finish(10)

    assert session.evaluate(done()) is False


def test_secrets_do_not_travel_with_what_a_judge_was_given(captured: Captured):
    captured.session.evaluate(
        done(
            status="failed",
            output=None,
            reason="bearer sk-abcdefghijklmnopqrstuvwxyz0123456789ABCD was refused",
            invocations=[
                Invocation(arguments={"api_key": "k", "text": "fine"}, metadata={"token": "t"})
            ],
        )
    )

    (part,) = captured.evaluations
    assert part.invocations[0].arguments == {"api_key": {"$type": "redacted"}, "text": "fine"}
    assert part.invocations[0].metadata == {"token": {"$type": "redacted"}}
    assert "sk-abcdef" not in (part.reason or "")


def test_flush_lets_those_finish_who_judge_and_finish_says_that_it_is_the_end(captured: Captured):
    asked: list[bool] = []

    def drain(timeout_s: float, ends: bool) -> None:
        assert timeout_s > 0
        asked.append(ends)
        captured.session.evaluate(done())
        # Whoever judges may flush itself; that must not ask it again.
        captured.session.flush(1.0)

    captured.session.before_flush(drain)
    captured.session.before_flush(drain)

    assert captured.session.flush(10).evaluations_sent == 1
    assert captured.session.finish(10).evaluations_sent == 2
    assert asked == [False, True]


def test_the_report_reads_as_a_line():
    report = FlushReport(
        target="x", calls_sent=2, evaluations_sent=1, calls_spooled=1, evaluations_spooled=2
    )

    assert str(report) == (
        "kibitz: 2 calls, 1 evaluation sent to x; 1 call, 2 evaluations kept on disk, delivered later"
    )
