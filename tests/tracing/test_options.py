"""Names, what is changed before it is recorded, sampling, switching off, secrets."""

from __future__ import annotations

import logging
import random

import pytest

import kibitz
from kibitz.testing import capture
from kibitz.testing.capturing import Captured
from kibitz.tracing import guard, recording


def test_name_kind_and_display_name(captured: Captured):
    @kibitz.op(name="answer", kind="llm", display_name=lambda inputs: f"to {inputs['who']}")
    def function(who, password=None):
        return who

    function("Ada")

    assert captured.tree() == [
        {
            "op": "answer",
            "kind": "llm",
            "display_name": "to Ada",
            "inputs": {"who": "Ada", "password": None},
            "output": "Ada",
        }
    ]


def test_a_display_name_is_made_of_what_is_recorded_so_no_secret_gets_into_it(captured: Captured):
    @kibitz.op(display_name=lambda inputs: str(inputs["password"]))
    def login(password):
        return True

    login("hunter2")

    assert "hunter2" not in str(captured.tree())


def test_a_display_name_that_raises_leaves_the_call(captured: Captured, caplog):
    @kibitz.op(display_name=lambda inputs: inputs["missing"])
    def function():
        return 1

    function()

    assert captured.tree()[0]["output"] == 1
    assert "display_name" in caplog.text


def test_postprocessing_changes_what_is_recorded_and_not_what_is_returned(captured: Captured):
    @kibitz.op(
        postprocess_inputs=lambda inputs: {"n": inputs["n"], "added": True},
        postprocess_output=lambda output: {"length": len(output)},
    )
    def repeat(text, n=2):
        return text * n

    assert repeat("ab") == "abab"

    assert captured.tree() == [
        {"op": "repeat", "inputs": {"n": 2, "added": True}, "output": {"length": 4}}
    ]


def test_postprocessing_of_a_stream_gets_the_list(captured: Captured):
    @kibitz.op(postprocess_output=len)
    def items():
        yield from "abc"

    assert list(items()) == ["a", "b", "c"]

    assert captured.tree()[0]["output"] == 3


def test_postprocessing_that_raises_records_nothing_of_the_value(captured: Captured):
    def broken(_):
        raise ValueError("oops")

    @kibitz.op(postprocess_inputs=broken, postprocess_output=broken)
    def secretive(text):
        return text

    assert secretive("the secret") == "the secret"

    withheld = {"$type": "redacted", "reason": "post-processing raised ValueError"}
    assert captured.tree() == [{"op": "secretive", "inputs": withheld, "output": withheld}]


def test_a_disabled_op_runs_and_what_it_calls_belongs_to_the_call_around(captured: Captured):
    @kibitz.op
    def inner():
        return 1

    @kibitz.op(enabled=False)
    def quiet():
        return inner()

    @kibitz.op
    def outer():
        return quiet()

    assert outer() == 1

    (trace,) = captured.tree()
    assert [part["op"] for part in trace["children"]] == ["inner"]


def test_sampling_takes_whole_traces_or_nothing_of_them(monkeypatch):
    draws = iter([0.9, 0.1, 0.9, 0.1])
    monkeypatch.setattr(random, "random", lambda: next(draws))

    @kibitz.op
    def inner():
        return 1

    @kibitz.op
    def outer():
        inner()
        return inner()

    with capture(settings={"sample_rate": 0.5}) as captured:
        assert [outer() for _ in range(4)] == [1, 1, 1, 1]
        found = captured.tree()

    assert [len(trace["children"]) for trace in found] == [2, 2]


def test_the_rate_of_an_op_counts_where_it_begins_a_trace(captured: Captured):
    @kibitz.op(sample_rate=0)
    def never():
        return always()

    @kibitz.op(sample_rate=1)
    def always():
        return 1

    @kibitz.op
    def outer():
        return never()

    assert never() == 1
    assert captured.tree() == []
    outer()
    assert captured.tree()[0]["children"][0]["op"] == "never"


def test_all_kinds_run_in_a_trace_that_is_left_out(captured: Captured):
    @kibitz.op(sample_rate=0)
    def items():
        yield 1

    @kibitz.op(sample_rate=0)
    def plain():
        return 1

    assert list(items()) == [1]
    result, call = plain.call()
    assert (result, call.recorded, call.ref) == (1, False, None)
    assert call.feedback.add_note("checked and gone")
    assert captured.tree() == []
    assert captured.feedback == []


def test_before_init_ops_run_and_one_hint_is_logged(caplog, monkeypatch):
    monkeypatch.setattr(guard, "_hinted", False)
    recording.install(None, expected=False)

    @kibitz.op
    def plain():
        return 1

    with caplog.at_level(logging.INFO, logger="kibitz"):
        assert [plain(), plain()] == [1, 1]
        result, call = plain.call()

    assert result == 1
    assert call.output == 1
    assert not call.recorded
    assert len([line for line in caplog.messages if "before kibitz.init" in line]) == 1


def test_secrets_are_left_out_of_inputs_outputs_attributes_and_exceptions(captured: Captured):
    key = "sk-" + "a1B2" * 8

    @kibitz.op
    def login(user, api_key, headers, note):
        raise PermissionError(f"key {key} was refused")

    @kibitz.op
    def fetch():
        return {"access_token": key, "items": [{"Authorization": key}], "max_tokens": 5}

    with kibitz.attributes({"client_secret": key}), pytest.raises(PermissionError):
        login("Ada", key, [("Cookie", "session=1"), ("Accept", "*/*")], f"use {key} now")
    fetch()

    stored = str(captured.batches)
    assert key not in stored
    assert "session=1" not in stored
    first, second = captured.tree()
    assert first["inputs"]["note"] == "use [redacted] now"
    assert first["inputs"]["user"] == "Ada"
    assert first["error"] == "PermissionError: key [redacted] was refused"
    assert second["output"]["max_tokens"] == 5


def test_further_keys_can_be_named():
    @kibitz.op
    def f(**values):
        return values

    with capture(settings={"redact_keys": ("Customer-Number",)}) as captured:
        f(customer_number="123", other=1)
        (trace,) = captured.tree()

    assert trace["output"] == {"customer_number": {"$type": "redacted"}, "other": 1}


def test_about_the_system_and_client_can_be_switched_off():
    @kibitz.op
    def f():
        return 1

    with capture(settings={"capture_system": False, "capture_client": False}) as captured:
        f()
        (part,) = captured.calls

    assert part.attributes is None
