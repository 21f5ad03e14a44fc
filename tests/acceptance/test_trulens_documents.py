"""The programs of TruLens' documentation run under its names: in processes of their own, judged over real HTTP."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from judge_server import JudgeServer, Request

pytestmark = pytest.mark.processes

BEGIN = """
import json, os, sys
from kibitz.compat import trulens

trulens.install_aliases()
URL = os.environ.get("JUDGE_URL")
said = {}
"""
END = """
print(json.dumps(said, default=str))
"""


def run(folder: Path, program: str, **environment: str) -> dict[str, Any]:
    """Run a program in a folder and give what it said."""
    (folder / "house_judges.py").write_text(
        textwrap.dedent(
            """
            def brief(text: str) -> float:
                return float(len(text.split()) <= 3)

            def highest(values):
                return max(values)
            """
        )
    )
    script = folder / "program.py"
    script.write_text(BEGIN + textwrap.dedent(program) + END)
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=folder,
        env={
            "PATH": "/usr/bin:/bin",
            "KIBITZ_PRINT_SUMMARY": "false",
            "PYTHONWARNINGS": "error",
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


CHAIN = """
    from trulens.apps.custom import instrument

    class CombineDocuments:
        @instrument
        def _call(self, inputs):
            return {"output_text": inputs["input_documents"][0]["page_content"]}

    class Chain:
        def __init__(self):
            self.combine_docs_chain = CombineDocuments()

        @instrument
        def invoke(self, question):
            documents = [
                {"page_content": "Cancel under Settings, Plan.", "metadata": {"page": 1}},
                {"page_content": "Bananas are yellow.", "metadata": {"page": 2}},
            ]
            inputs = {"question": question, "input_documents": documents}
            return self.combine_docs_chain._call(inputs)["output_text"]

    chain = Chain()
"""


def relevant(request: Request) -> int:
    """A judge that finds everything about cancelling relevant, on a scale from 0 to 3."""
    return 3 if "Settings, Plan" in request.text else 0


def test_a_feedback_function_with_selection_and_aggregation(tmp_path) -> None:
    with JudgeServer(relevant) as server:
        said = run(
            tmp_path,
            CHAIN
            + """
    import numpy
    from trulens import feedback
    from trulens.core import Feedback, Select, TruSession
    from trulens.apps.custom import TruCustomApp
    from trulens.core.schema.feedback import FeedbackResult

    session = TruSession(project="documents")
    openai = feedback.OpenAI(model="stub", base_url=URL, api_key="none")

    f_context_relevance = (
        Feedback(openai.context_relevance)
        .on_input()
        .on(Select.Record.app.combine_docs_chain._call.args.inputs.input_documents[:].page_content)
        .aggregate(numpy.mean)
    )
    app = TruCustomApp(chain, app_name="documents", app_version="v1", feedbacks=[f_context_relevance])
    with app as recording:
        chain.invoke("How do I cancel?")
    record = recording.get()

    feedback_result: FeedbackResult = f_context_relevance.run(app=app, record=record)
    said["result"] = feedback_result.result
    said["status"] = feedback_result.status
    said["name"] = feedback_result.name
    said["calls"] = [(each.args, each.ret, each.paths) for each in feedback_result.calls]
    said["same"] = feedback_result.feedback_definition_id == f_context_relevance.feedback_definition_id
    stored = record.wait_for_feedback_results()
    said["with_app"] = {name: each.result for name, each in stored.items()}
    frame, names = session.get_records_and_feedback()
    said["frame"] = [names, list(frame["context_relevance"]), list(frame["input"]), list(frame["app_version"])]
    said["leaderboard"] = float(session.get_leaderboard().loc[("documents", "v1"), "context_relevance"])
    said["app"] = app.dict()
    said["input"] = [record.main_input, record.main_output, record.layout_calls_as_app()["main_input"]]
    said["rets"] = f_context_relevance.on(context=Select.RecordRets).run(record).calls[0].args
    """,
            JUDGE_URL=server.url,
        )

    assert said["status"] == "done"
    assert said["name"] == "context_relevance"
    assert said["result"] == 0.5
    assert said["with_app"] == {"context_relevance": 0.5}
    assert said["same"] is True
    place = "__record__.app.combine_docs_chain._call[0].args.inputs.input_documents"
    assert [(call[0]["context"], call[1], call[2]["context"]) for call in said["calls"]] == [
        ("Cancel under Settings, Plan.", 1.0, f"{place}[0].page_content"),
        ("Bananas are yellow.", 0.0, f"{place}[1].page_content"),
    ]
    assert said["frame"] == [["context_relevance"], [0.5], ["How do I cancel?"], ["v1"]]
    assert said["leaderboard"] == 0.5
    assert said["input"] == ["How do I cancel?", "Cancel under Settings, Plan.", "How do I cancel?"]
    assert said["rets"] == {"question": "How do I cancel?", "context": said["input"][1]}
    assert said["app"]["app"]["combine_docs_chain"]["class"].endswith("CombineDocuments")
    judged = [request.text for request in server.requests]
    assert sum("Bananas are yellow." in text for text in judged) == 2
    assert all("How do I cancel?" in text for text in judged)


def test_a_language_match_of_input_and_output(tmp_path) -> None:
    def languages(request: Request) -> Any:
        english = "cancel" in request.text.lower()
        return [
            [
                {"label": "en", "score": 0.9 if english else 0.1},
                {"label": "fr", "score": 0.1 if english else 0.9},
            ]
        ]

    with JudgeServer(languages) as server:
        said = run(
            tmp_path,
            """
    from trulens import feedback
    from trulens.core import Feedback
    from trulens.apps.basic import TruBasicApp

    hugs = feedback.Huggingface(base_url=URL, token="none")
    f_lang_match = Feedback(hugs.language_match).on_input_output()
    app = TruBasicApp(lambda prompt: "Oui." if "renew" in prompt else "You can cancel.")
    with app as recording:
        app.app("May I cancel?")
        app.app("May I renew, not cancel?")
    said["results"] = [f_lang_match.run(app=app, record=each).result for each in recording.records]
    said["arguments"] = [each for each in f_lang_match.selectors]
    """,
            JUDGE_URL=server.root,
            KIBITZ_ENABLED="true",
        )

    assert said["arguments"] == ["text1", "text2"]
    assert said["results"] == [1.0, pytest.approx(0.2)]


def test_deferred_evaluation_by_a_process_of_its_own(tmp_path) -> None:
    said = run(
        tmp_path,
        CHAIN
        + """
    import house_judges
    from trulens.core import Feedback, FeedbackMode, Select, TruSession
    from trulens.apps.custom import TruCustomApp

    session = TruSession(project="documents")
    place = Select.RecordCalls.combine_docs_chain._call.args.inputs.input_documents[:].page_content
    documents = Feedback(house_judges.brief, name="documents").on(place).aggregate(house_judges.highest)
    # The first two are told apart by their selectors alone.
    asked = Feedback(house_judges.brief, name="brief").on_input()
    answered = Feedback(house_judges.brief, name="brief").on_output()
    returned = Feedback(house_judges.brief, name="returned").on(Select.RecordRets)
    absent = Feedback(house_judges.brief, name="absent").on(Select.RecordCalls.no_such._call.rets)
    functions = [documents, asked, answered, returned, absent]
    app = TruCustomApp(
        chain, app_name="documents", feedbacks=functions, feedback_mode=FeedbackMode.DEFERRED,
        selector_nocheck=True,
    )
    for question in ("Cancel?", "How do I cancel my plan?"):
        chain.invoke(question)
    session.start_evaluator(return_when_done=True, allow=["house_judges"])

    from kibitz.asking.places import Place
    with Place("documents").opened() as store:
        from kibitz.base.evaluations import EvaluationQuery
        found = store.evaluations.query(EvaluationQuery(project="documents")).items
        said["found"] = sorted(
            [each.name, each.definition_ref.rpartition(":")[2], each.status, each.output, each.reason or ""]
            for each in found
        )
    said["ids"] = {"asked": asked.definition.id, "answered": answered.definition.id}

    try:
        TruCustomApp(
            chain, feedbacks=[Feedback(lambda text: 1.0).on_output()], feedback_mode="deferred"
        )
    except Exception as error:
        said["refused"] = str(error)
    """,
    )

    ids = said["ids"]
    assert ids["asked"] != ids["answered"]
    by_definition: dict[tuple[str, str], list[Any]] = {}
    for name, digest, status, output, reason in said["found"]:
        by_definition.setdefault((name, digest), []).append((status, output, reason))
    assert sorted(each[:2] for each in by_definition["brief", ids["asked"]]) == [
        ("done", 0.0),
        ("done", 1.0),
    ]
    assert [each[:2] for each in by_definition["brief", ids["answered"]]] == [("done", 0.0)] * 2
    others = {name: found for (name, _), found in by_definition.items() if name != "brief"}
    # The highest of the two documents, and not their mean.
    assert [each[:2] for each in others["documents"]] == [("done", 1.0)] * 2
    assert [each[:2] for each in others["returned"]] == [("done", 0.0)] * 2
    for status, _, reason in others["absent"]:
        assert status == "failed"
        assert "no_such" in reason
        assert "combine_docs_chain" in reason
    assert "lambda" in said["refused"]


def test_the_words_of_the_schema(tmp_path) -> None:
    said = run(
        tmp_path,
        """
    import house_judges
    from trulens.core import Feedback, Select
    from trulens.core.schema.feedback import (
        FeedbackCall, FeedbackCombinations, FeedbackDefinition, FeedbackMode,
        FeedbackOnMissingParameters, FeedbackResult, FeedbackResultStatus, FeedbackRunLocation,
    )

    said["values"] = {
        kind.__name__: {each.name: each.value for each in kind}
        for kind in (
            FeedbackMode, FeedbackResultStatus, FeedbackOnMissingParameters, FeedbackCombinations
        )
    }
    said["texts"] = [FeedbackMode.NONE == "none", FeedbackResultStatus.DONE == "done"]

    given = {"zeroes": [0, 1, 2], "letters": ["a", "b"]}
    def pair(arg1, arg2) -> float:
        return 1.0
    def combined(how):
        function = Feedback(pair).on(arg1=Select.Query().zeroes[:], arg2=Select.Query().letters[:])
        result = function.aggregate(combinations=how).run(source_data=given)
        return [[each.args["arg1"], each.args["arg2"]] for each in result.calls]
    said["zip"] = combined(FeedbackCombinations.ZIP)
    said["product"] = combined(FeedbackCombinations.PRODUCT)
    collected = Feedback(pair).on(arg1=Select.Query().zeroes[:].collect(), arg2=Select.Query().letters[0])
    said["collected"] = [each.args for each in collected.run(source_data=given).calls]

    function = Feedback(house_judges.brief, name="short", higher_is_better=False).on_output()
    dumped = json.loads(json.dumps(function.model_dump()))
    loaded = FeedbackDefinition.model_validate(dumped, allow=["house_judges"])
    said["loaded"] = [type(loaded).__name__, loaded.name, loaded.higher_is_better, loaded == function]
    said["again"] = Feedback(house_judges.brief, name="short", higher_is_better=False).on_output() == function
    said["other"] = function.on_input("text") == function

    record = {"main_input": "a b c d", "main_output": "a"}
    said["done"] = function.run(record=record).status
    said["skipped"] = Feedback(house_judges.brief, if_exists=Select.RecordCalls.nowhere).on_output().run(record=record).status
    said["missing"] = {
        how: Feedback(house_judges.brief, if_missing=how).on(Select.Record.absent).run(record=record).status
        for how in FeedbackOnMissingParameters
    }
    person = FeedbackResult(name="human", record_id="1", result=0.5, status=FeedbackResultStatus.DONE)
    said["fields"] = sorted(set(FeedbackResult.__struct_fields__))
    said["call"] = sorted(FeedbackCall().__struct_fields__)
    """,
    )

    assert said["values"]["FeedbackMode"] == {
        "NONE": "none",
        "WITH_APP": "with_app",
        "WITH_APP_THREAD": "with_app_thread",
        "DEFERRED": "deferred",
    }
    assert said["values"]["FeedbackResultStatus"] == {
        name.upper(): name for name in ("none", "running", "failed", "done", "skipped")
    }
    assert said["values"]["FeedbackOnMissingParameters"] == {
        name.upper(): name for name in ("error", "warn", "ignore")
    }
    assert said["values"]["FeedbackCombinations"] == {"ZIP": "zip", "PRODUCT": "product"}
    assert said["texts"] == [True, True]
    assert said["zip"] == [[0, "a"], [1, "b"]]
    assert said["product"] == [[0, "a"], [0, "b"], [1, "a"], [1, "b"], [2, "a"], [2, "b"]]
    assert said["collected"] == [{"arg1": [0, 1, 2], "arg2": "a"}]
    assert said["loaded"] == ["Feedback", "short", False, True]
    assert said["again"] is True
    assert said["other"] is False
    assert said["done"] == "done"
    assert said["skipped"] == "skipped"
    assert said["missing"] == {"error": "failed", "warn": "skipped", "ignore": "skipped"}
    documented = {
        "feedback_result_id",
        "record_id",
        "feedback_definition_id",
        "last_ts",
        "status",
        "cost",
        "name",
        "calls",
        "result",
        "error",
        "multi_result",
    }
    assert documented <= set(said["fields"])
    assert {"args", "ret", "meta"} <= set(said["call"])


def test_records_of_an_app_that_ran_elsewhere(tmp_path) -> None:
    said = run(
        tmp_path,
        """
    import house_judges
    import pandas
    from trulens.apps.virtual import TruVirtual, VirtualApp, VirtualRecord
    from trulens.core import Feedback, FeedbackMode, Select, TruSession

    session = TruSession(project="elsewhere")
    virtual_app = VirtualApp()
    virtual_app[Select.RecordCalls.llm.maxtokens] = 1024
    said["app"] = dict(virtual_app)

    context = VirtualApp.select_context()
    functions = [
        Feedback(house_judges.brief, name="brief").on_output(),
        Feedback(house_judges.brief, name="contexts").on(context).aggregate(house_judges.highest),
        Feedback(lambda tokens: tokens / 1024, name="tokens").on(Select.App.app.llm.maxtokens),
    ]
    recorder = TruVirtual(app=virtual_app, app_name="elsewhere", feedbacks=functions)
    first = recorder.add_record(
        VirtualRecord(
            main_input="Where?", main_output="Over there, behind the tree.",
            calls={Select.RecordCalls.retriever.get_context: {
                "args": ["Where?"], "rets": ["a tree", "a very long text about trees"]}},
        ),
        feedback_mode=FeedbackMode.WITH_APP,
    )
    said["first"] = {n: [r.status, r.result] for n, r in first.wait_for_feedback_results().items()}
    frame = pandas.DataFrame(
        {"query": ["When?", "Who?"], "response": ["Now.", "It was the man from next door."],
         "contexts": [["at noon"], ["the man next door was seen there"]]}
    )
    records = recorder.add_dataframe(frame)
    said["rest"] = [
        {n: [r.status, r.result] for n, r in each.wait_for_feedback_results().items()} for each in records
    ]
    found, names = session.get_records_and_feedback(app_ids=[recorder.app_id])
    said["stored"] = sorted([row["input"], row["brief"]] for _, row in found.iterrows())
    said["human"] = session.add_feedback(name="human", record_id=first.record_id, result=0.5)
    """,
    )

    assert said["app"] == {"llm": {"maxtokens": 1024}}
    assert said["first"] == {
        "brief": ["done", 0.0],
        "contexts": ["done", 1.0],
        "tokens": ["done", 1.0],
    }
    assert [each["brief"] for each in said["rest"]] == [["done", 1.0], ["done", 0.0]]
    assert [each["contexts"] for each in said["rest"]] == [["done", 1.0], ["done", 0.0]]
    assert said["stored"] == [["When?", 1.0], ["Where?", 0.0], ["Who?", 0.0]]
    assert said["human"]


def test_shorthands_for_frameworks(tmp_path) -> None:
    said = run(
        tmp_path,
        """
    import numpy
    from langchain_core.documents import Document
    from langchain_core.language_models.fake import FakeListLLM
    from langchain_core.prompts import PromptTemplate
    from langchain_core.retrievers import BaseRetriever
    from langchain_core.runnables import RunnablePassthrough
    from trulens.apps.langchain import TruChain
    from trulens.core import Feedback, TruSession

    TruSession(project="chains")

    class Shelf(BaseRetriever):
        def _get_relevant_documents(self, query, *, run_manager):
            return [Document(page_content="Write to us."), Document(page_content="Call us.")]

    chain = (
        {"context": Shelf(), "question": RunnablePassthrough()}
        | PromptTemplate.from_template("{context} {question}")
        | FakeListLLM(responses=["Write to us."])
    )

    def grounded(answer: str, passage: str) -> float:
        return float(passage in answer)

    context = TruChain.select_context(chain)
    f_grounded = Feedback(grounded).on_output().on(context).aggregate(numpy.mean)
    tru = TruChain(chain, app_name="chains", feedbacks=[f_grounded])
    with tru as recording:
        chain.invoke("How?")
    record = recording.get()
    said["result"] = record.wait_for_feedback_results()["grounded"].result
    said["contexts"] = [each.args["passage"] for each in f_grounded.run(record).calls]
    """,
    )

    assert said == {"result": 0.5, "contexts": ["Write to us.", "Call us."]}
