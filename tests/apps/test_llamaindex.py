"""LlamaIndex's own packages with models that need no network."""

from __future__ import annotations

import asyncio
import threading

import pytest

import kibitz
from kibitz import Feedback, Select
from kibitz.testing.capturing import Captured

pytest.importorskip("llama_index.core")

import rag
from llama_index.core import Document, MockEmbedding, VectorStoreIndex
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.llms import MockLLM
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.tools import FunctionTool

from kibitz.apps.llamaindex import (
    Recorder,
    WithFeedbackFilterNodes,
    select_context,
    select_source_nodes,
)

DOCS = ["Write to us.", "Call us."]


@pytest.fixture(scope="module")
def index():
    return VectorStoreIndex.from_documents(
        [Document(text=text) for text in DOCS], embed_model=MockEmbedding(embed_dim=4)
    )


def engine_of(index, **options):
    return index.as_query_engine(llm=MockLLM(max_tokens=3), **options)


def test_a_query_is_a_record_laid_out_by_class_and_method(captured: Captured, index):
    recorder = Recorder(app_name="support", app_version="v4")

    with recorder as recording:
        engine_of(index).query("How?")

    record = recording.get()
    assert record.calls[-1].op == "RetrieverQueryEngine.query"
    assert record.main_input == "How?"
    assert record.main_output == "text text text"
    assert record.app_version == "v4"
    nodes = record.app.VectorIndexRetriever.retrieve.rets
    assert sorted(each["node"]["text"] for each in nodes) == sorted(DOCS)
    assert record.app.MockLLM.complete.kind == "llm"
    (root,) = [part for part in captured.calls if part.parent_id is None]
    assert {part.trace_id for part in captured.calls} == {root.id}
    kinds = {part.op: part.kind for part in captured.calls}
    assert kinds["VectorIndexRetriever.retrieve"] == "retriever"
    assert not any(op.rpartition(".")[2].startswith("_") for op in kinds if "__call__" not in op)
    assert recorder._handler not in get_dispatcher().span_handlers


def test_contexts_and_source_nodes_are_selected(captured: Captured, index):
    by_context = Feedback(rag.brief, name="context").on(select_context())
    by_kind = Feedback(rag.brief, name="kind").on(Select.spans(kind="retriever").rets[:].node.text)
    by_score = Feedback(abs, name="score").on(x=select_source_nodes().score)
    recorder = Recorder(feedbacks=[by_context, by_kind, by_score], feedback_mode="with_app")

    with recorder as recording:
        engine_of(index).query("How?")

    results = recording.get().wait_for_feedback_results(10)
    assert {name: (each.status, len(each.calls)) for name, each in results.items()} == {
        "context": ("done", 2),
        "kind": ("done", 2),
        "score": ("done", 2),
    }
    assert len(captured.evaluations) == 3


def test_async_queries_keep_apart(captured: Captured, index):
    recorder = Recorder()

    async def main() -> None:
        engine = engine_of(index)
        async with recorder as recording:
            await asyncio.gather(*(engine.aquery(name) for name in "abc"))
        assert sorted(record.main_input for record in recording.records) == ["a", "b", "c"]
        assert {len(record.calls) for record in recording.records} == {
            len(recording.records[0].calls)
        }

    asyncio.run(main())
    assert len({part.trace_id for part in captured.calls}) == 3


def test_a_stream_is_recorded_when_it_has_been_read(captured: Captured, index):
    @kibitz.op
    def consume(part: str) -> str:
        return part

    recorder = Recorder()

    with recorder as recording:
        response = engine_of(index, streaming=True).query("How?")
        assert len(recording) == 0
        for part in response.response_gen:
            consume(part)

    record = recording.get()
    assert record.main_output == "text text text"
    assert "MockLLM" in record.app
    consumed = [part for part in captured.calls if part.op == consume.name]
    assert len(consumed) == 3
    assert {part.parent_id for part in consumed} == {None}


def test_errors_are_records_and_tools_have_ops_as_children(captured: Captured):
    @kibitz.op
    def look_up(word: str) -> str:
        if word == "fail":
            raise LookupError("no such word")
        return word.upper()

    tool = FunctionTool.from_defaults(lambda word: look_up(word), name="dictionary")
    recorder = Recorder()

    with recorder as recording:
        assert str(tool.call(word="a").content) == "A"
        with pytest.raises(LookupError):
            tool.call(word="fail")

    first, second = recording.records
    assert [call.op for call in first.calls] == [look_up.name, "FunctionTool.call"]
    assert first.calls[-1].kind == "tool"
    assert second.main_error == "LookupError: no such word"


def test_nothing_is_recorded_outside_of_blocks_unless_attached(captured: Captured, index):
    recorder = Recorder()
    engine_of(index).query("before")
    recorder.attach()
    engine_of(index).query("attached")
    recorder.detach()
    engine_of(index).query("after")

    roots = [part for part in captured.calls if part.parent_id is None]
    assert [(part.inputs or {})["str_or_query_bundle"] for part in roots] == ["attached"]


def test_nodes_are_kept_that_a_feedback_function_finds_good(captured: Captured, index):
    def near(query: str, text: str) -> float:
        return float("Call" in text)

    engine = WithFeedbackFilterNodes(engine_of(index), Feedback(near), 0.5)
    recorder = Recorder()

    with recorder as recording:
        answer = engine.query("How?")
    awaited = asyncio.run(engine.aquery("How?"))

    assert [each.node.text for each in answer.source_nodes] == ["Call us."]
    assert [each.node.text for each in awaited.source_nodes] == ["Call us."]
    record = recording.get()
    assert record.calls[-1].op == "WithFeedbackFilterNodes.query"
    assert list(select_context().get({"__record__": record})) == ["Call us."]


def test_the_text_of_an_async_stream_is_kept(captured: Captured, index):
    recorder = Recorder()

    async def main() -> None:
        async with recorder as recording:
            response = await engine_of(index, streaming=True).aquery("How?")
            assert len(recording) == 0
            text = "".join([part async for part in response.async_response_gen()])
        record = recording.get()
        assert record.main_output == text == "text text text"
        assert len(list(select_context().get({"__record__": record}))) == len(DOCS)
        assert "MockLLM" in record.app

    asyncio.run(main())
    assert len([part for part in captured.calls if part.parent_id is None]) == 1


def test_chat_engines_that_stream_have_one_record_with_the_text(captured: Captured, index):
    engine = index.as_chat_engine(
        llm=MockLLM(max_tokens=3), chat_mode="context", memory=ChatMemoryBuffer.from_defaults()
    )
    recorder = Recorder()

    async def main() -> None:
        async with recorder as recording:
            response = await engine.astream_chat("Why?")
            assert "".join([part async for part in response.async_response_gen()])
        assert (recording.get().main_input, recording.get().main_output) == (
            "Why?",
            "text text text",
        )

    asyncio.run(main())
    with recorder as recording:
        response = engine.stream_chat("How?")
        assert "".join(response.response_gen)
        for thread in threading.enumerate():
            # What writes the answer is a thread of LlamaIndex' own.
            if "(run)" in thread.name:
                thread.join()
    assert (recording.get().main_input, recording.get().main_output) == ("How?", "text text text")
    assert [part.parent_id for part in captured.calls].count(None) == 2


def test_an_op_that_streams_an_engine_has_the_text_too(captured: Captured, index):
    @kibitz.op
    def handle(question: str) -> str:
        return "".join(engine_of(index, streaming=True).query(question).response_gen)

    with Recorder() as recording:
        assert handle("How?") == "text text text"

    assert recording.get().main_output == "text text text"


def test_a_private_method_does_not_end_the_public_one(captured: Captured, index):
    class Second(type(index.as_retriever())):
        def _retrieve(self, query_bundle):
            return [*super()._retrieve(query_bundle)] * 2

    retriever = Second(index, embed_model=MockEmbedding(embed_dim=4))

    with Recorder() as recording:
        found = retriever.retrieve("How?")

    # Those that are the same are taken out after the private method.
    assert len(found) == len(DOCS)
    assert len(recording.get().calls[-1].rets) == len(DOCS)
