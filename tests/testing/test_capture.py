"""What users' tests see of what their programs record."""

from __future__ import annotations

from pathlib import Path

import kibitz
from kibitz.base import clock, ids
from kibitz.testing import CapturingTransport, capture
from kibitz.tracing import session as sessions


@kibitz.op
def inner(value):
    return value


@kibitz.op
def outer(value):
    return inner(value)


def test_two_frozen_runs_are_the_same_to_the_last_id_and_time():
    runs = []
    for _ in range(2):
        with capture(frozen=True, settings={"capture_system": False}) as captured:
            _, call = outer.call({"a": [1]})
            call.feedback.add_note("n")
            runs.append((captured.calls, captured.feedback, captured.objects))

    assert runs[0] == runs[1]
    assert len(runs[0][0]) == 2


def test_the_clock_goes_on_after_the_block():
    now, number = clock.now_ns, ids.next_number
    with capture(frozen=True):
        assert clock.now_ns is not now

    assert (clock.now_ns, ids.next_number) == (now, number)


def test_the_session_around_is_not_touched_and_goes_on(tmp_path: Path):
    session = kibitz.init("t/app", data=str(tmp_path), print_summary=False)
    outer(1)
    with capture() as captured:
        outer(2)
        assert [part.inputs for part in captured.calls] == [{"value": 2}] * 2
    outer(3)

    report = session.finish(10)
    sessions.use(None)

    assert report.calls_sent == 4


def test_a_block_inside_a_call_starts_a_trace_of_its_own():
    @kibitz.op
    def around():
        with capture() as captured:
            outer(1)
            return captured.tree()

    with capture():
        (trace,) = around()

    assert trace == {
        "op": "outer",
        "inputs": {"value": 1},
        "output": 1,
        "children": [{"op": "inner", "inputs": {"value": 1}, "output": 1}],
    }


def test_files_and_versions_are_seen():
    with capture() as captured:
        inner(kibitz.File(b"abc", "text/plain"))

        assert [file.content for file in captured.files] == [b"abc"]
        (version,) = captured.objects
        assert version.value["source"].startswith("@kibitz.op\ndef inner(value):")
        assert captured.calls[0].op_ref == (f"kibitz:///testing/capture/op/inner:{version.digest}")


def test_a_transport_of_ones_own_is_closed_at_the_end():
    transport = CapturingTransport()
    with capture(transport=transport) as captured:
        inner(1)
        assert not transport.closed
        assert len(captured.batches) == 1

    assert transport.closed
