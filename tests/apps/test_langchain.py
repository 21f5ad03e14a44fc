"""LangChain's own packages with models that need no network."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import kibitz
from kibitz import Feedback, Select
from kibitz.base.errors import UsageError
from kibitz.testing.capturing import Captured

pytest.importorskip("langchain_core")

import rag
from langchain_core.documents import Document
from langchain_core.language_models.fake import FakeListLLM, FakeStreamingListLLM
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate, PromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda, RunnablePassthrough
from langchain_core.tools import tool

from kibitz.apps.langchain import Recorder, WithFeedbackFilterDocuments, select_context

DOCS = ["Write to us.", "Call us."]


class Shelf(BaseRetriever):
    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
        if query == "fail":
            raise LookupError("the shelf is empty")
        return [Document(page_content=text, metadata={"at": at}) for at, text in enumerate(DOCS)]


def chain_of(model: Any, name: str = "support"):
    prompt = PromptTemplate.from_template("{context} {question}")
    return (
        {"context": Shelf(), "question": RunnablePassthrough()} | prompt | model | StrOutputParser()
    ).with_config(run_name=name)


def test_a_chain_is_a_record_laid_out_by_names(captured: Captured):
    chain = chain_of(FakeListLLM(responses=["Write to us."]))
    recorder = Recorder(chain, app_name="support", app_version="v3")

    with recorder as recording:
        answer = chain.invoke("How?", config={"callbacks": [recorder]})

    record = recording.get()
    assert answer == "Write to us." == record.main_output
    assert record.main_input == "How?"
    assert record.app_version == "v3"
    assert record.app.support.invoke.args == {"input": "How?"}
    assert [doc["page_content"] for doc in record.app.Shelf.invoke.rets] == DOCS
    assert record.app.FakeListLLM.invoke.kind == "llm"
    assert "How?" in record.app.FakeListLLM.invoke.args["prompt"]
    calls = captured.calls
    (root,) = [part for part in calls if part.parent_id is None]
    assert root.op == "support.invoke"
    assert {part.trace_id for part in calls} == {root.id}
    by_id = {part.id: part.op for part in calls}
    (shelf,) = [part for part in calls if part.op == "Shelf.invoke"]
    assert shelf.kind == "retriever"
    assert by_id[shelf.parent_id or ""].startswith("RunnableParallel")
    assert len(calls) == len(record.calls)


def test_select_context_finds_the_one_retriever(captured: Captured):
    chain = chain_of(FakeListLLM(responses=["Write to us."]))
    grounded = Feedback(rag.mentions, name="grounded").on_output().on(select_context(chain))
    recorder = Recorder(chain, feedbacks=[grounded.aggregate("max")], feedback_mode="with_app")

    with recorder as recording:
        chain.invoke("How?", config={"callbacks": [recorder]})

    result = recording.get().wait_for_feedback_results(10)["grounded"]
    assert (result.status, result.result, len(result.calls)) == ("done", 1.0, 2)
    assert [part.output for part in captured.evaluations] == [1.0]


def test_select_context_knows_names_functions_and_what_is_unclear():
    named = Shelf().with_config(run_name="my shelf") | RunnableLambda(len)
    assert select_context(named) == Select.RecordCalls.my_shelf.invoke.rets[:].page_content
    shelf = Shelf()
    closed = RunnableLambda(lambda question: shelf.invoke(question))
    assert select_context(closed) == Select.RecordCalls.Shelf.invoke.rets[:].page_content
    with pytest.raises(UsageError, match="no retriever"):
        select_context(RunnableLambda(len))
    two = {"a": Shelf(), "b": Shelf(name="Other")} | RunnableLambda(len)
    with pytest.raises(UsageError, match="2 retrievers"):
        select_context(two)


def test_a_step_of_document_001_is_selected_by_its_name(captured: Captured):
    """`Select.Record.app.combine_docs_chain._call.args.inputs.input_documents[:].page_content` of the older library."""
    combine = RunnableLambda(lambda given: given["input_documents"][0].page_content)
    chain = RunnableLambda(
        lambda question: {"input_documents": Shelf().invoke(question)}
    ) | combine.with_config(run_name="combine_docs_chain")
    selector = Select.Record.app.combine_docs_chain.invoke.args.input_documents[:].page_content
    recorder = Recorder(feedbacks=[Feedback(rag.brief).on(selector)], feedback_mode="with_app")

    with recorder as recording:
        chain.invoke("How?", config={"callbacks": [recorder]})

    assert len(recording.get().wait_for_feedback_results(10)["brief"].calls) == 2


def test_chat_models_say_tokens_and_messages(captured: Captured):
    message = AIMessage(
        "Hello.",
        usage_metadata={"input_tokens": 3, "output_tokens": 2, "total_tokens": 5},
        response_metadata={"model_name": "tiny"},
    )
    chain = ChatPromptTemplate.from_messages([("system", "Be kind."), ("human", "{q}")]) | (
        GenericFakeChatModel(messages=iter([message]))
    )
    recorder = Recorder()

    with recorder as recording:
        chain.invoke({"q": "Hi"}, config={"callbacks": [recorder]})

    (model,) = [part for part in captured.calls if part.kind == "llm"]
    assert model.summary == {
        "usage": {"tiny": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}}
    }
    assert [each["content"] for each in (model.inputs or {})["messages"]] == ["Be kind.", "Hi"]
    assert model.output["content"] == "Hello."
    assert recording.get().cost.n_tokens == 5
    assert recording.get().main_output == "Hello."


def test_tools_ops_inside_and_functions_are_children(captured: Captured):
    @kibitz.op
    def look_up(word: str) -> str:
        return word.upper()

    @tool
    def dictionary(word: str) -> str:
        """Look a word up."""
        return look_up(word)

    chain = RunnableLambda(lambda word: dictionary.invoke({"word": word}) + look_up("b"))
    recorder = Recorder()

    with recorder as recording:
        assert chain.invoke("a", config={"callbacks": [recorder]}) == "AB"

    tree = captured.tree()
    (root,) = tree
    assert [child["op"] for child in root["children"]] == ["dictionary.invoke", look_up.name]
    assert root["children"][0]["children"][0]["op"] == look_up.name
    assert root["children"][0]["kind"] == "tool"
    assert root["children"][0]["inputs"] == {"word": "a"}
    assert len(recording.get().calls) == 4


def test_errors_are_records_and_reach_the_program(captured: Captured):
    chain = chain_of(FakeListLLM(responses=["-"]))
    recorder = Recorder()

    with recorder as recording, pytest.raises(LookupError, match="the shelf is empty"):
        chain.invoke("fail", config={"callbacks": [recorder]})

    assert recording.get().main_error == "LookupError: the shelf is empty"
    failed = {part.op for part in captured.calls if part.exception is not None}
    assert {"support.invoke", "Shelf.invoke"} <= failed


def test_async_chains_at_the_same_time_keep_apart(captured: Captured):
    recorder = Recorder(feedbacks=[Feedback(rag.brief).on_output()], feedback_mode="with_app")
    chain = chain_of(FakeListLLM(responses=["one", "two", "three"]))

    async def main() -> None:
        async with recorder as recording:
            await asyncio.gather(
                *(chain.ainvoke(name, config={"callbacks": [recorder]}) for name in "abc")
            )
        for record in recording.records:
            assert record.app.support.invoke.args == {"input": record.main_input}
            assert len(record.calls) == len(recording.records[0].calls)
            assert all(future.done() for future in record.feedback_results)
        assert sorted(record.main_input for record in recording.records) == ["a", "b", "c"]

    asyncio.run(main())

    assert len(captured.evaluations) == 3


def test_a_stream_is_one_record_and_what_its_consumer_calls_is_none_of_it(captured: Captured):
    @kibitz.op
    def consume(part: str) -> str:
        return part

    chain = chain_of(FakeStreamingListLLM(responses=["Hi!"]))
    recorder = Recorder()

    with recorder as recording:
        for part in chain.stream("How?", config={"callbacks": [recorder]}):
            consume(part)

    assert recording.get().main_output == "Hi!"
    consumed = [part for part in captured.calls if part.op == consume.name]
    assert [part.parent_id for part in consumed] == [None] * 3

    async def main() -> str:
        parts = [
            consume(part) async for part in chain.astream("How?", config={"callbacks": [recorder]})
        ]
        return "".join(parts)

    with recorder as recording:
        assert asyncio.run(main()) == "Hi!"
    consumed = [part for part in captured.calls if part.op == consume.name]
    assert [part.parent_id for part in consumed] == [None] * 6


def test_a_stream_that_is_left_does_not_take_what_comes_after(captured: Captured):
    @kibitz.op
    def after() -> None: ...

    chain = chain_of(FakeStreamingListLLM(responses=["Hi!"]))
    recorder = Recorder()
    stream = chain.stream("How?", config={"callbacks": [recorder]})
    next(stream)
    after()
    stream.close()
    after()

    roots = {part.op for part in captured.calls if part.parent_id is None}
    assert roots == {"support.invoke", after.name}


def test_a_recorder_of_a_chain_says_what_it_is():
    recorder = Recorder(chain_of(FakeListLLM(responses=["x"])), app_name="support")

    found = recorder.dict()

    assert (found["app_name"], found["app"]["type"]) == ("support", "constructor")


def test_batches_on_threads_are_records_each(captured: Captured):
    chain = chain_of(FakeListLLM(responses=["same"]))
    recorder = Recorder()

    with recorder as recording:
        chain.batch(["a", "b", "c", "d"], config={"callbacks": [recorder]})

    assert sorted(record.main_input for record in recording.records) == list("abcd")
    assert len({part.trace_id for part in captured.calls}) == 4


def test_what_runs_in_a_block_is_recorded_without_being_told(captured: Captured):
    chain = chain_of(FakeListLLM(responses=["Write to us."] * 9))
    outer, inner = Recorder(chain, app_name="outer"), Recorder(chain, app_name="inner")

    chain.invoke("before")
    with outer as recording:
        chain.invoke("How?")
        # Told twice, recorded once.
        chain.invoke("When?", config={"callbacks": [outer]})
        with inner as nested:
            chain.invoke("Who?")
        chain.invoke("Where?")
    chain.invoke("after")
    _, record = outer.with_record(chain.invoke, "Why?")

    assert [each.main_input for each in recording.records] == ["How?", "When?", "Where?"]
    assert [each.main_input for each in nested.records] == ["Who?"]
    assert record.main_input == "Why?"
    assert not any(
        call.inputs in ({"input": "before"}, {"input": "after"}) for call in captured.calls
    )


def test_tasks_beside_a_block_are_not_in_it(captured: Captured):
    chain = chain_of(FakeListLLM(responses=["Write to us."] * 9))
    recorder = Recorder(chain)

    async def beside() -> None:
        await chain.ainvoke("beside")

    async def within() -> list[Any]:
        async with recorder as recording:
            await chain.ainvoke("within")
        return [each.main_input for each in recording.records]

    async def both() -> list[Any]:
        told, _ = await asyncio.gather(within(), beside())
        return told

    assert asyncio.run(both()) == ["within"]


def test_documents_are_kept_that_a_feedback_function_finds_good(captured: Captured):
    def near(query: str, text: str) -> float:
        return float("Call" in text)

    retriever = WithFeedbackFilterDocuments.of_retriever(Shelf(), Feedback(near), 0.5)
    recorder = Recorder()

    with recorder as recording:
        found = retriever.invoke("How?")
    awaited = asyncio.run(retriever.ainvoke("How?"))

    assert [each.page_content for each in found] == ["Call us."]
    assert awaited == found
    record = recording.get()
    assert [len(call.rets) for call in record.calls] == [2, 1]
    assert [call.op for call in record.calls] == [
        "Shelf.invoke",
        "WithFeedbackFilterDocuments.invoke",
    ]


def test_a_stream_was_asked_what_went_in(captured: Captured):
    chain = chain_of(FakeStreamingListLLM(responses=["hello"]))

    async def streamed() -> str:
        return "".join([part async for part in chain.astream("Why?")])

    with Recorder() as recording:
        assert "".join(chain.stream("How?")) == "hello" == asyncio.run(streamed())

    assert [record.main_input for record in recording] == ["How?", "Why?"]
    roots = [part for part in captured.calls if part.parent_id is None and part.ended_at]
    assert [part.inputs for part in roots] == [{"input": "How?"}, {"input": "Why?"}]


def test_a_batch_leaves_nothing_current(captured: Captured):
    chain = chain_of(FakeListLLM(responses=["ok"]))

    @kibitz.op
    def after() -> None: ...

    with Recorder() as recording:
        chain.batch(["a", "b", "c"])
    after()

    assert {len(record.calls) for record in recording} == {len(recording[0].calls)}
    [alone] = [part for part in captured.calls if part.op == after.name]
    assert alone.parent_id is None


def test_a_hidden_run_does_not_end_the_one_above(captured: Captured):
    hidden = RunnableLambda(lambda text: f"{text} inside").with_config(tags=["langsmith:hidden"])
    outer = RunnableLambda(lambda text: f"{hidden.invoke(text)} outside")

    with Recorder() as recording:
        assert outer.invoke("How?") == "How? inside outside"

    assert recording.get().main_output == "How? inside outside"
