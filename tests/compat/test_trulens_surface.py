"""What programs written for TruLens call, beside what its documents promise."""

from __future__ import annotations

import pickle
import sys

import pytest

import kibitz
from kibitz.base.errors import NotFound, UsageError
from kibitz.base.provider import Provider
from kibitz.compat.trulens import aliases, judges
from kibitz.compat.trulens.apps import TruBasicApp, TruCustomApp
from kibitz.compat.trulens.feedback import Feedback
from kibitz.compat.trulens.frames import get_feedback_result
from kibitz.compat.trulens.frameworks import TruChain
from kibitz.compat.trulens.providers import GroundTruthAgreement
from kibitz.compat.trulens.session import TruSession
from kibitz.judging.select import Select


def brief(text: str) -> float:
    return float(len(text) < 30)


class Rag:
    def retrieve(self, query: str) -> list[str]:
        return [f"{query} under Settings", "cats"]

    def query(self, query: str) -> str:
        return self.retrieve(query)[0]


@pytest.fixture
def session(tmp_path):
    yield TruSession(project="acme/bot", data=str(tmp_path / "data"))
    kibitz.finish()


def recorded(**options):
    rag = Rag()
    app = TruCustomApp(rag, app_name="rag", **options)
    with app as recording:
        rag.query("How?")
    return app, recording


@pytest.mark.usefixtures("session")
def test_results_are_gone_through_by_functions_and_asked_by_name_and_function() -> None:
    judged = Feedback(brief, name="Is brief").on_output()
    _, recording = recorded(feedbacks=[judged])
    record = recording[0]

    results = record.wait_for_feedback_results(feedback_timeout=10)

    assert [(each.name, each.higher_is_better) for each in results] == [("Is brief", True)]
    assert results["Is brief"].result == results[judged].result == 1.0
    with pytest.raises(KeyError, match="there are those of Is brief"):
        results[Feedback(brief)]
    assert pickle.loads(pickle.dumps(next(iter(results)))) == "Is brief"
    assert list(get_feedback_result(record, "Is brief")["ret"]) == [1.0]
    with pytest.raises(UsageError, match="there are Is brief"):
        get_feedback_result(record, "other")
    assert record.model_dump()["main_output"] == "How? under Settings"


def test_metadata_of_a_block_are_those_of_its_records(session) -> None:
    rag = Rag()
    app = TruCustomApp(rag, app_name="rag")

    with app as recording:
        recording.record_metadata = {"category": "general"}
        rag.query("one")
        recording.record_metadata = "a text"
        rag.query("two")

    assert [each.meta for each in recording] == [{"category": "general"}, {"metadata": "a text"}]
    frame, _ = session.get_records_and_feedback()
    assert list(frame["meta"]) == [{"metadata": "a text"}, {"category": "general"}]


def test_what_people_say_is_a_column_and_in_the_leaderboard(session) -> None:
    app, recording = recorded()
    record = recording.get()

    session.add_feedback(
        name="Human Feedback", record_id=record.record_id, app_id=app.app_id, result=0.5
    )
    several = Feedback(lambda text: {"a": 0.25, "b": 0.75}, name="several").on(
        text=Select.RecordOutput
    )
    session.add_feedbacks(session.run_feedback_functions(record, [several], app))

    frame, names = session.get_records_and_feedback(app_ids=[app.app_id])
    assert sorted(names) == ["Human Feedback", "several"]
    assert list(frame["Human Feedback"]) == [0.5]
    assert list(frame["several"]) == [{"a": 0.25, "b": 0.75}]
    assert '"main_input": "How?"' in frame["record_json"][0]
    assert '"app_name": "rag"' in frame["app_json"][0]
    leaderboard = session.get_leaderboard(app_ids=[app.app_id])
    assert leaderboard.loc[("rag", "base"), "Human Feedback"] == 0.5
    failed = Feedback(brief, name="fails").on(text=Select.RecordCalls.nowhere.rets)
    [result] = session.run_feedback_functions(record, [failed], app)
    with pytest.raises(UsageError, match="the result says: .*nowhere"):
        session.add_feedback(result)
    with pytest.raises(UsageError, match="needs name, record_id and result"):
        session.add_feedback(name="", record_id=record.record_id, result=0.5)


def test_every_version_of_an_app_is_found(session) -> None:
    first, _ = recorded(app_version="v1")
    second, _ = recorded(app_version="v2")

    assert {each["app_version"] for each in session.get_apps()} == {"v1", "v2"}
    assert session.get_app(first.app_id)["app_version"] == "v1"
    assert session.get_app(second.app_id)["app_version"] == "v2"
    with pytest.raises(NotFound):
        session.get_app("app_0")


def test_ground_truth_is_kept_under_a_name(session) -> None:
    rows = [{"query": "How?", "expected_response": "Under Settings."}]

    session.add_ground_truth_to_dataset("golden", rows, {"domain": "support"})
    more = [*rows, {"query": "When?", "expected_response": "Now."}]
    session.add_ground_truth_to_dataset("golden", more)

    frame = session.get_ground_truth("golden")
    assert list(frame["query"]) == ["How?", "When?"]
    agreement = GroundTruthAgreement(frame)
    assert agreement.exact_match("How?", "Under Settings.") == 1.0
    with pytest.raises(NotFound, match="it has golden"):
        session.get_ground_truth("gold")
    with pytest.raises(UsageError, match="data frame or a list"):
        session.add_ground_truth_to_dataset("golden", "rows")


def test_what_is_done_otherwise_says_how(session) -> None:
    app, _ = recorded()

    with pytest.raises(AttributeError, match=r"kibitz\.calls\('acme/bot'\)"):
        session.connector  # noqa: B018 asking is the check
    for refused in (session.reset_database, lambda: session.delete_app(app.app_id)):
        with pytest.raises(UsageError, match="kibitz bulk delete"):
            refused()
    with pytest.raises(UsageError, match="select its calls"):
        TruCustomApp.select_context()
    with pytest.raises(UsageError, match="no BERT score"):
        GroundTruthAgreement([], bert_scorer=object())


@pytest.mark.usefixtures("session")
def test_a_wrapper_calls_dumps_and_prints_itself(capsys) -> None:
    app = TruBasicApp(lambda prompt: prompt.upper(), app_name="loud")

    assert app.main_call("how") == "HOW"
    assert app.model_dump()["app_name"] == "loud"
    app.print_instrumented_components()
    app.print_instrumented_methods()
    said = capsys.readouterr().out
    assert said.index("Components:") < said.index("Methods:") < said.index("_call")
    assert app.wait_for_feedback_results(1) == ()


def test_a_chain_under_trulens_name_answers_and_says_what_it_has() -> None:
    runnables = pytest.importorskip("langchain_core.runnables")
    chain = TruChain(runnables.RunnableLambda(str.upper), app_name="loud")

    assert chain.main_call("how") == "HOW"
    assert chain.model_dump()["app_name"] == "loud"
    with pytest.raises(AttributeError, match=r"call `\.batch` there"):
        chain.batch  # noqa: B018 asking is the check
    with pytest.raises(UsageError, match="no retriever"):
        chain.select_context(chain.app)


def test_judges_take_the_names_of_arguments_of_both() -> None:
    judge = judges.OpenAI(model_engine="gpt-4o", max_score_val=10, api_key="none")

    assert judge.model == "gpt-4o"
    # Any worker makes it again: it is the judge itself, under its own names.
    assert type(judge).__module__.startswith("kibitz.providers.")
    assert judge.parameters() == {"model": "gpt-4o", "max_score": 10}

    class Styled(judges.OpenAI):
        def style(self, text: str) -> float:
            return self.generate_score("how good?", text, min_score_val=0, max_score_val=10)

    own = Styled(model_engine="gpt-4o", api_key="none")
    assert isinstance(own, Provider)
    assert own.parameters() == {"model": "gpt-4o"}


def test_modules_that_are_not_there_say_what_is() -> None:
    aliases.install_aliases()
    try:
        with pytest.raises(ImportError, match=r"TruSession\(data=…\)"):
            __import__("trulens.core.database.connector")
        with pytest.raises(ImportError, match="trulens.core has no 'SnowflakeFeedback' in Kibitz"):
            exec("from trulens.core import SnowflakeFeedback")
        with pytest.raises(ImportError, match="it has .*basic, custom"):
            __import__("trulens.apps.other")
        from trulens_eval import Feedback as Known  # pyright: ignore[reportMissingImports]

        assert Known is Feedback
    finally:
        aliases.remove_aliases()
    assert not any(isinstance(each, aliases._Refusal) for each in sys.meta_path)
