"""Wrapping an object: what is recorded, by which names, and what stays as it was."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import gc
import json
import pickle
import threading

import pytest
import rag

import kibitz
from kibitz import App, Feedback, Select
from kibitz.apps import wrapping
from kibitz.base.errors import UsageError
from kibitz.testing.capturing import Captured
from kibitz.tracing import session as sessions


def test_methods_are_recorded_by_their_places(captured: Captured):
    app = App(made := rag.Rag(), app_name="support", app_version="v2")

    with app as recording:
        answer = made.query("How?")

    assert answer == "Write to us. Call us."
    assert [(part.op, part.parent_id is None) for part in captured.calls] == [
        ("query", True),
        ("retriever.retrieve", False),
        ("writer.write", False),
    ]
    record = recording.get()
    assert record.main_input == "How?"
    assert record.main_output == "Write to us. Call us."
    assert record.app.retriever.retrieve.rets[0]["text"] == "Write to us."
    assert record.app.retriever.retrieve.args["k"] == 2
    assert (record.app_name, record.app_version, record.app_id) == ("support", "v2", app.app_id)
    assert record.record_id == captured.calls[0].id


def test_calls_know_their_app_and_records_its_tags_and_json(captured: Captured):
    app = App(
        made := rag.Rag(),
        app_name="support",
        app_version="v2",
        tags=["nightly"],
        metadata={"model": "small"},
    )

    _, record = app.with_record(made.query, "How?", record_metadata={"user": "u-1"})

    root, child, _ = captured.calls
    assert root.attributes is not None
    assert child.attributes is not None
    assert child.attributes["app_version"] == "v2"
    assert root.attributes["app_name"] == "support"
    assert record.tags == ["nightly"]
    assert record.meta == {"model": "small", "user": "u-1"}
    (stored,) = [part for part in captured.objects if part.value.get("$type") == "app"]
    assert root.attributes["app_ref"].endswith(f"/support:{stored.digest}")
    assert stored.value["app"]["retriever"]["docs"] == ["Write to us.", "Call us."]


def test_other_instances_and_what_looks_at_instances_see_nothing(captured: Captured):
    app = App(wrapped := rag.Rag())
    other = rag.Rag()

    other.query("How?")
    copy.deepcopy(wrapped).query("How?")
    pickle.loads(pickle.dumps(wrapped)).query("How?")

    assert captured.calls == []
    # A shallow copy has the same components, and these are the app's.
    copy.copy(wrapped).query("How?")
    assert [part.op for part in captured.calls] == ["retriever.retrieve", "writer.write"]
    assert set(vars(wrapped)) == {"retriever", "writer", "asked"}
    assert type(wrapped) is rag.Rag
    assert app.app is wrapped


def test_an_app_that_is_collected_while_another_is_made_takes_nothing_from_it(
    captured: Captured, monkeypatch: pytest.MonkeyPatch
):
    gc.collect()
    gone: list[object] = [App(rag.Rag())]
    gone.append(gone)
    del gone
    make = wrapping.make

    def make_late(original: object, options: dict[str, object]) -> object:
        gc.collect()
        return make(original, options)

    monkeypatch.setattr(wrapping, "make", make_late)
    app = App(wrapped := rag.Rag())
    wrapped.query("How?")

    assert app.app is wrapped
    assert {part.op for part in captured.calls} == {"query", "retriever.retrieve", "writer.write"}


def test_when_the_app_is_gone_the_class_is_as_it_was(captured: Captured):
    gc.collect()
    before = dict(vars(rag.Rag))
    app = App(made := rag.Rag())
    assert dict(vars(rag.Rag)) != before
    del app
    gc.collect()

    made.query("How?")

    assert dict(vars(rag.Rag)) == before
    assert captured.calls == []


def test_close_ends_recording_and_may_be_said_twice(captured: Captured):
    app = App(made := rag.Rag())
    app.close()
    app.close()

    made.query("How?")

    assert captured.calls == []


def test_without_init_records_are_made_and_nothing_is_stored():
    app = App(made := rag.Rag(), feedbacks=[Feedback(rag.brief).on_output()])

    with app as recording:
        made.query("How?")

    record = recording.get()
    assert record.app.writer.write.rets == "Write to us. Call us."
    assert record.wait_for_feedback_results(10)["brief"].result == 1.0
    assert sessions.current() is None


def test_a_block_has_the_records_of_what_ran_in_it(captured: Captured):
    app = App(made := rag.Rag())

    with app as first:
        made.query("one")
        with app as inner:
            made.query("two")
    made.query("outside")

    assert [record.main_input for record in first.records] == ["one", "two"]
    assert inner.get().main_input == "two"
    with pytest.raises(UsageError, match="2 calls"):
        first.get()
    with app as empty:
        pass
    with pytest.raises(UsageError, match="no call of the app"):
        empty.get()
    assert len([part for part in captured.calls if part.op == "query"]) == 3


def test_a_call_that_raises_is_a_record_with_its_error(captured: Captured):
    app = App(made := rag.Rag())

    with app as recording, pytest.raises(ValueError, match="nothing to say"):
        made.query("fail")

    record = recording.get()
    assert record.main_error == "ValueError: nothing to say"
    assert "rets" not in record.calls[-1].to_json()
    assert captured.calls[0].exception is not None


def test_coroutines_streams_and_async_streams(captured: Captured):
    app = App(made := rag.Rag())

    async def main() -> None:
        async with app as recording:
            await asyncio.gather(made.aquery("one"), made.aquery("two"))
            assert [word async for word in made.astream("three")] == ["Call", "us."]
        assert sorted(record.main_input for record in recording.records) == ["one", "three", "two"]
        _, record = await app.awith_record(made.aquery, "four")
        assert record.main_output == "Write to us. Call us."
        assert [call.op for call in record.calls][-1] == "aquery"

    asyncio.run(main())
    with app as recording:
        assert list(made.stream("How?")) == ["Write", "to", "us."]

    record = recording.get()
    assert record.main_output == ["Write", "to", "us."]
    assert {call.op for call in record.calls} == {"stream", "writer.stream", "retriever.retrieve"}


def test_blocks_of_threads_are_apart(captured: Captured):
    app = App(made := rag.Rag())
    both = threading.Barrier(2)
    found: dict[str, list[str]] = {}

    def ask(question: str) -> None:
        with app as recording:
            both.wait(10)
            made.query(question)
            both.wait(10)
        found[question] = [record.main_input for record in recording.records]

    threads = [threading.Thread(target=ask, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == {"one": ["one"], "two": ["two"]}


def test_an_app_in_an_app_has_records_of_its_own(captured: Captured):
    class Outer:
        def __init__(self) -> None:
            self.inner = rag.Rag()

        def ask(self, question: str) -> str:
            return self.inner.query(question).upper()

    outer = Outer()
    inside = App(outer.inner, app_name="inside")
    around = App(outer, app_name="around", methods=["ask"])

    with around as outer_recording, inside as inner_recording:
        outer.ask("How?")

    outer_record, inner_record = outer_recording.get(), inner_recording.get()
    assert [call.op for call in outer_record.calls][-1] == "ask"
    assert inner_record.calls[-1].op == "query"
    assert {call.call_id for call in inner_record.calls} < {
        call.call_id for call in outer_record.calls
    }
    assert (outer_record.app_name, inner_record.app_name) == ("around", "inside")


def test_two_apps_of_one_object_each_record_in_their_blocks(captured: Captured):
    made = rag.Rag()
    first, second = App(made, app_version="v1"), App(made, app_version="v2")

    with first as one:
        made.query("a")
    with second as two:
        made.query("b")
    made.query("c")

    assert (one.get().app_version, two.get().app_version) == ("v1", "v2")
    roots = [part for part in captured.calls if part.parent_id is None]
    assert [(part.attributes or {})["app_version"] for part in roots] == ["v1", "v2", "v2"]


def test_plain_functions_coroutine_functions_and_ops(captured: Captured):
    def answer(question: str) -> str:
        return question.upper()

    async def aanswer(question: str) -> str:
        return question.upper()

    app = App(answer, app_name="function")
    with app as recording:
        assert app("how?") == "HOW?"
    assert recording.get().app.answer.rets == "HOW?"

    async def main() -> None:
        awaited = App(aanswer)
        result, record = await awaited.awith_record(awaited, "how?")
        assert (result, record.main_output) == ("HOW?", "HOW?")

    asyncio.run(main())
    op = App(kibitz.op(answer))
    with op as recording:
        op("ho")
    assert recording.get().main_output == "HO"


def test_an_op_of_the_program_keeps_what_it_takes_out_of_values(captured: Captured):
    class Guarded:
        @kibitz.op(postprocess_inputs=lambda inputs: {"question": "…"}, kind="llm")
        def ask(self, question: str) -> str:
            return helper(question)

    @kibitz.op
    def helper(question: str) -> str:
        return "fine"

    app = App(made := Guarded())
    with app as recording:
        made.ask("my secret")

    root, child = captured.calls
    assert (root.op, root.kind, root.inputs) == ("ask", "llm", {"question": "…"})
    assert child.op.endswith("helper")
    assert recording.get().main_input == "…"
    assert len(recording.get().calls) == 2


def test_marked_methods_are_the_only_ones_and_are_recorded_on_all_instances(captured: Captured):
    class Tool:
        @kibitz.instrument(kind="tool")
        def run(self, text: str) -> str:
            return self.clean(text)

        def clean(self, text: str) -> str:
            return text.strip()

    class Agent:
        def __init__(self) -> None:
            self.tools = [Tool()]
            self.by_name = {"first": Tool()}

        def ask(self, text: str) -> str:
            return self.tools[0].run(text) + self.by_name["first"].run(text)

    app = App(made := Agent())
    assert list(app.instrumented()) == ["ask", "tools.0.run", "by_name.first.run"]

    made.ask(" a ")
    Tool().run(" b ")

    assert [(part.op, part.kind) for part in captured.calls] == [
        ("ask", None),
        ("tools.0.run", "tool"),
        ("by_name.first.run", "tool"),
        (Tool.run.name, "tool"),
    ]


def test_methods_of_a_class_are_marked_from_outside(captured: Captured):
    class Client:
        def complete(self, prompt: str) -> str:
            return prompt

    kibitz.instrument.method(Client, "complete", kind="llm")
    Client().complete("hi")

    (part,) = captured.calls
    assert part.kind == "llm"
    with pytest.raises(UsageError, match="no method 'nothing'"):
        kibitz.instrument.method(Client, "nothing")
    with pytest.raises(UsageError, match="cannot be changed"):
        kibitz.instrument.method(dict, "get")


@dataclasses.dataclass(frozen=True)
class Frozen:
    shout: bool

    def ask(self, question: str) -> str:
        return question.upper() if self.shout else question


class Slotted:
    __slots__ = ("part", "unset")

    def __init__(self) -> None:
        self.part = Frozen(True)

    def __call__(self, question: str) -> str:
        return self.part.ask(question)


def test_frozen_and_slotted_objects_and_calls_of_the_object_itself(captured: Captured):
    app = App(made := Slotted())

    with app as recording:
        assert made("how?") == "HOW?"
        assert app("and?") == "AND?"
    Slotted()("not recorded")

    assert [part.op for part in captured.calls] == ["__call__", "part.ask"] * 2
    assert len(recording) == 2


def test_methods_of_libraries_are_recorded_where_they_are_named(captured: Captured):
    class Loader:
        def __init__(self) -> None:
            self.decoder = json.JSONDecoder()

        def load(self, text: str):
            return self.decoder.decode(text)

    made = Loader()
    app = App(made, methods=["load", "decoder.decode"], main_method=made.load)
    with app as recording:
        made.load("[1]")
    json.loads("[2]")
    app.close()

    assert [part.op for part in captured.calls] == ["load", "decoder.decode"]
    assert recording.get().calls[-1].rets == [1]
    with pytest.raises(UsageError, match="no method that can be recorded"):
        App(made, methods=["decoder.memo"])
    with pytest.raises(UsageError, match="'nowhere' is no place|has no 'nowhere'"):
        App(made, methods=["nowhere.load"])


def test_only_the_main_method_begins_records_where_one_is_named(captured: Captured):
    made = rag.Rag()
    app = App(made, main_method=made.query)

    with app as recording:
        made.retriever.retrieve("warm up")
        assert app("How?") == "Write to us. Call us."

    assert recording.get().main_input == "How?"
    with pytest.raises(UsageError, match="call one of them"):
        App(rag.Rag())("How?")


def test_cycles_depth_and_what_is_not_the_programs_end_the_walk(captured: Captured):
    class Node:
        def __init__(self) -> None:
            self.next: Node | None = None

        def step(self) -> int:
            return 1

    first, second = Node(), Node()
    first.next, second.next = second, first
    app = App(first)
    assert list(app.instrumented()) == ["step", "next.step"]

    long = head = Node()
    for _ in range(50):
        head.next = Node()
        head = head.next
    assert 2 < len(App(long).instrumented()) < 20


def test_an_object_without_methods_is_refused():
    with pytest.raises(UsageError, match="no methods of its own"):
        App(object())
    with pytest.raises(UsageError, match="app_name"):
        App(rag.Rag(), app_name="")
    with pytest.raises(UsageError, match="feedback_mode"):
        App(rag.Rag(), feedback_mode="sometimes")


def test_the_json_of_an_app_says_what_it_is_without_secrets():
    def described():
        app = App(rag.Rag(), app_name="support", app_version="v2", tags="t", metadata={"a": 1})
        return app.dict(), json.loads(app.json())

    found, text = described()

    assert found == text == described()[0]
    assert found["app"]["$type"] == "component"
    assert found["app"]["retriever"]["docs"] == ["Write to us.", "Call us."]
    assert found["app"]["retriever"]["api_key"] == {"$type": "redacted"}
    assert (found["app_name"], found["feedback_mode"]) == ("support", "with_app_thread")
    assert found["root_class"]["name"] == "Rag"
    assert found["methods"][0] == "query"


def test_print_instrumented_shows_places_and_selectors(capsys):
    App(rag.Rag()).print_instrumented()

    text = capsys.readouterr().out
    assert "retriever: rag.Retriever" in text
    assert "Select.RecordCalls.retriever.retrieve" in text
    assert "_hidden" not in text


def test_an_attribute_of_the_wrapped_object_says_where_it_is():
    with pytest.raises(AttributeError, match="app.app.query"):
        App(rag.Rag()).query  # noqa: B018 asking is the test


def test_the_record_here_is_the_record_of_the_store(tmp_path):
    from kibitz.judging.records import Record
    from kibitz.storage import sqlite

    kibitz.init("acme/apps", data=str(tmp_path), print_summary=False)
    app = App(made := rag.Rag(), tags="t")
    with app as recording:
        made.query("How?")
        with pytest.raises(ValueError, match="nothing"):
            made.query("fail")
    kibitz.finish()

    store = sqlite.open_store(tmp_path)
    try:
        for record in recording.records:
            calls = store.evaluations.records("acme/apps", [record.record_id])[record.record_id]
            stored = Record.of_calls(calls, record.record_id).to_json()
            assert stored["calls"] == record.to_json()["calls"]
            assert stored == record.to_json()
    finally:
        store.close()


def test_versions_of_an_app_are_asked_for_by_attribute(tmp_path):
    kibitz.init("acme/apps", data=str(tmp_path), print_summary=False)
    made = rag.Rag()
    for version in ("v1", "v2"):
        with App(made, app_name="support", app_version=version):
            made.query("How?")
    kibitz.finish()

    found = kibitz.calls("acme/apps", str(tmp_path)).where(
        'attributes.app_version = "v2" and op = "query"'
    )

    assert found.count() == 1


def test_selectors_that_the_app_cannot_have_are_said_at_construction():
    wrong = Feedback(rag.brief, name="wrong").on(Select.RecordCalls.retreiver.retrieve.rets)
    right = (
        Feedback(rag.mentions).on_output().on(Select.RecordCalls.retriever.retrieve.rets[:].text)
    )

    with pytest.warns(UserWarning, match="wrong.*retreiver"):
        App(rag.Rag(), feedbacks=[wrong])
    with pytest.raises(UsageError, match="retriever"):
        App(rag.Rag(), feedbacks=[wrong], selectors_check="error")
    App(rag.Rag(), feedbacks=[wrong], selectors_check="off")
    App(rag.Rag(), feedbacks=[right], selectors_check="error")
    in_app = Feedback(rag.brief).on(Select.App.app.retriever.docs[0])
    App(rag.Rag(), feedbacks=[in_app], selectors_check="error")
