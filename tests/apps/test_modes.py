"""When records are judged: one outcome in every mode, and nothing raised into the app."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref

import pytest
import rag

import kibitz
from kibitz import App, Feedback, FeedbackMode, Select
from kibitz.apps import evaluating
from kibitz.base.errors import NotImportable
from kibitz.base.provider import Provider
from kibitz.storage import sqlite
from kibitz.testing.capturing import Captured

MISSING = Feedback(rag.brief, name="missing").on(Select.RecordCalls.nowhere.at_all.rets)
IN_PROCESS = (FeedbackMode.WITH_APP, FeedbackMode.WITH_APP_THREAD)


class Local(Provider):
    local = True

    def __init__(self) -> None:
        self.threads: list[str] = []

    def where(self, text: str) -> float:
        self.threads.append(threading.current_thread().name)
        return 1.0


def outcomes(project: str, folder) -> list[tuple[str, str, str | None]]:
    from kibitz.base.evaluations import EvaluationQuery

    store = sqlite.open_store(folder)
    try:
        page = store.evaluations.query(EvaluationQuery(project=project))
        return sorted((each.name, each.status, each.reason) for each in page.items)
    finally:
        store.close()


@pytest.mark.parametrize("mode", IN_PROCESS)
def test_results_are_stored_and_can_be_waited_for(tmp_path, mode):
    kibitz.init("acme/apps", data=str(tmp_path), print_summary=False)
    grounded = (
        Feedback(rag.mentions, name="grounded")
        .on_output()
        .on(Select.RecordCalls.retriever.retrieve.rets[:].text)
    )
    app = App(made := rag.Rag(), feedbacks=[grounded], feedback_mode=mode)

    with app as recording:
        made.query("How?")
    results = recording.get().wait_for_feedback_results(10)
    report = kibitz.finish()

    assert report is not None
    assert (report.evaluations_sent, report.complete) == (1, True)
    assert results["grounded"].result == 1.0
    assert len(results["grounded"].calls) == 2
    assert outcomes("acme/apps", tmp_path) == [("grounded", "done", None)]
    found = kibitz.calls("acme/apps", str(tmp_path)).where("feedback.grounded.output = 1")
    assert [call.op for call in found] == ["query"]


def test_none_keeps_records_only(captured: Captured):
    app = App(made := rag.Rag(), feedbacks=[Feedback(rag.brief).on_output()], feedback_mode="none")

    with app as recording:
        made.query("How?")

    assert recording.get().wait_for_feedback_results(1) == {}
    assert captured.evaluations == []
    assert len(captured.calls) == 3


def test_deferred_says_what_is_wanted_and_its_definition_goes_along(captured: Captured):
    feedback = Feedback(rag.brief).on_output()
    app = App(made := rag.Rag(), feedbacks=[feedback], feedback_mode=FeedbackMode.DEFERRED)

    with app as recording:
        made.query("How?")

    (part,) = captured.evaluations
    assert (part.status, part.call_id) == ("none", recording.get().record_id)
    assert part.definition_ref == feedback.definition.ref(captured.session.project)
    assert feedback.definition.part() in captured.objects
    assert recording.get().feedback_results == []


@pytest.mark.parametrize(
    ("imp", "said"),
    [
        (lambda text: 1.0, "lambda"),
        (lambda: None, "lambda"),
    ],
)
def test_deferred_refuses_what_no_worker_can_import_and_says_what_to_do(imp, said):
    with pytest.raises(NotImportable, match=said):
        App(
            rag.Rag(),
            feedbacks=[Feedback(imp, name="x", selectors={})],
            feedback_mode="deferred",
            selectors_check="off",
        )
    App(rag.Rag(), feedbacks=[Feedback(imp, name="x")], selectors_check="off")


def _judged(folder, mode: FeedbackMode, feedback: Feedback) -> list[tuple[str, str, str | None]]:
    """What is stored of one call that is judged in a mode; DEFERRED by a worker."""
    project = f"acme/{mode}"
    kibitz.init(project, data=str(folder), print_summary=False)
    app = App(made := rag.Rag(), feedbacks=[feedback], feedback_mode=mode, selectors_check="off")
    assert made.query("How?") == "Write to us. Call us."
    assert made.query("And?") == "Write to us. Call us."
    app.close()
    kibitz.finish()
    if mode is FeedbackMode.DEFERRED:
        _work(folder, project)
    return outcomes(project, folder)


def _work(folder, project: str) -> None:
    from kibitz.base.evaluations import RunOutcome
    from kibitz.base.refs import parse_ref
    from kibitz.judging.records import Record

    store = sqlite.open_store(folder)
    try:
        claims = store.evaluations.claim("test", limit=100, lease_s=60, projects=[project])
        for claim in claims:
            ref = parse_ref(claim.definition_ref)
            assert ref.digest is not None
            version = store.objects.get(project, "object", ref.name, ref.digest)
            feedback = Feedback.load(version.value, allow=["rag"])
            calls = store.evaluations.records(project, [claim.call_id])[claim.call_id]
            result = feedback.run(Record.of_calls(calls, claim.call_id))
            part = result.part(
                run_id=claim.run_id, definition_ref=claim.definition_ref, call_id=claim.call_id
            )
            assert store.evaluations.finish(project, [RunOutcome(part=part)]) == [claim.run_id]
    finally:
        store.close()


@pytest.mark.parametrize(("if_missing", "status"), [("error", "failed"), ("ignore", "skipped")])
def test_b6_a_missing_selector_has_one_outcome_in_every_mode_and_never_raises(
    tmp_path, if_missing, status
):
    feedback = Feedback(rag.brief, name="missing", if_missing=if_missing).on(
        Select.RecordCalls.nowhere.at_all.rets
    )

    found = {
        mode: _judged(tmp_path, mode, feedback) for mode in (*IN_PROCESS, FeedbackMode.DEFERRED)
    }

    first = found[FeedbackMode.WITH_APP]
    assert [(name, said) for name, said, _ in first] == [("missing", status)] * 2
    assert "goes as far as '__record__.app'" in str(first[0][2])
    assert found[FeedbackMode.WITH_APP_THREAD] == first
    assert found[FeedbackMode.DEFERRED] == first


@pytest.mark.parametrize("mode", [*IN_PROCESS, FeedbackMode.DEFERRED])
def test_b5_one_record_without_what_is_selected_does_not_end_the_judging_of_others(tmp_path, mode):
    project = "acme/apps"
    kibitz.init(project, data=str(tmp_path), print_summary=False)
    fine = Feedback(rag.brief, name="fine").on_output()
    feedbacks = [MISSING, Feedback(rag.broken).on_output(), fine]
    app = App(made := rag.Rag(), feedbacks=feedbacks, feedback_mode=mode, selectors_check="off")
    for question in ("one", "two", "three"):
        made.query(question)
    app.close()
    kibitz.finish()
    if mode is FeedbackMode.DEFERRED:
        _work(tmp_path, project)

    assert [(name, status) for name, status, _ in outcomes(project, tmp_path)] == [
        *[("broken", "failed")] * 3,
        *[("fine", "done")] * 3,
        *[("missing", "failed")] * 3,
    ]


def test_with_app_has_judged_before_the_call_returns_and_what_computes_does_so_here(
    captured: Captured,
):
    provider = Local()
    app = App(
        made := rag.Rag(),
        feedbacks=[Feedback(provider.where).on_output(), Feedback(rag.brief).on_output()],
        feedback_mode="with_app",
    )

    with app as recording:
        made.query("How?")
        assert all(future.done() for future in recording.get().feedback_results)

    assert provider.threads == [threading.current_thread().name]


def test_with_app_does_not_hold_an_event_loop_up_and_has_judged_when_it_is_awaited(
    captured: Captured,
):
    ticks: list[int] = []
    release = threading.Event()

    def slow(text: str) -> float:
        assert release.wait(30)
        return 1.0

    async def main() -> None:
        app = App(
            made := rag.Rag(), feedbacks=[Feedback(slow).on_output()], feedback_mode="with_app"
        )

        async def tick() -> None:
            for at in range(5):
                ticks.append(at)
                await asyncio.sleep(0)
            release.set()

        async with app as recording:
            ticking = asyncio.create_task(tick())
            await made.aquery("How?")
            assert all(future.done() for future in recording.get().feedback_results)
            await ticking

    asyncio.run(main())

    assert ticks == [0, 1, 2, 3, 4]


def test_with_app_waits_for_slow_judges_no_longer_than_it_may(captured: Captured):
    release = threading.Event()

    def slow(text: str) -> float:
        assert release.wait(30)
        return 1.0

    app = App(
        made := rag.Rag(),
        feedbacks=[Feedback(slow).on_output()],
        feedback_mode="with_app",
        feedback_timeout_s=0.01,
    )
    with app as recording:
        made.query("How?")

    assert recording.get().wait_for_feedback_results(0) == {}
    release.set()
    assert recording.get().wait_for_feedback_results(30)["slow"].result == 1.0
    assert [part.status for part in captured.evaluations] == ["done"]


def test_the_end_of_the_program_waits_for_threads_and_hands_the_rest_to_workers(tmp_path):
    release = threading.Event()

    def stuck(text: str) -> float:
        release.wait(30)
        return 1.0

    kibitz.init("acme/apps", data=str(tmp_path), print_summary=False)
    # As many as there are threads are stuck, so that what can be imported is not begun.
    feedbacks = [
        *(Feedback(stuck, name=f"stuck {at}").on_output() for at in range(evaluating.THREADS)),
        Feedback(rag.brief).on_output(),
    ]
    app = App(made := rag.Rag(), feedbacks=feedbacks)
    with app as recording:
        made.query("How?")

    kibitz.finish(1.0)
    results = recording.get().wait_for_feedback_results(10)
    release.set()

    stored = {name: (status, reason) for name, status, reason in outcomes("acme/apps", tmp_path)}
    assert stored["brief"] == ("none", None)
    assert stored["stuck 0"][0] == "failed"
    assert "the program ended before" in str(stored["stuck 0"][1])
    assert results["brief"].status == "none"


def test_flush_waits_for_what_is_judged_on_threads(captured: Captured):
    app = App(made := rag.Rag(), feedbacks=[Feedback(rag.abrief).on_output()])
    for _ in range(20):
        made.query("How?")

    report = captured.session.flush(30)

    assert report.evaluations_sent == 20
    assert {part.output for part in captured.evaluations} == {1.0}
    assert app.feedback_mode is FeedbackMode.WITH_APP_THREAD


def test_a_judge_that_asks_the_app_is_not_judged_for_it(captured: Captured):
    made = rag.Rag()

    def consistent(question: str, answer: str) -> float:
        return float(made.query(question) == answer)

    app = App(made, feedbacks=[Feedback(consistent).on_input_output()])
    with app as recording:
        made.query("How?")

    assert recording.get().wait_for_feedback_results(10)["consistent"].result == 1.0
    assert len(captured.evaluations) == 1


def test_functions_of_one_name_are_told_apart(captured: Captured):
    feedbacks = [Feedback(rag.brief).on_output(), Feedback(rag.brief).on_input()]
    app = App(made := rag.Rag(), feedbacks=feedbacks)

    with app as recording:
        made.query("How?")

    assert len(recording.get().wait_for_feedback_results(10)) == 2
    assert len({part.definition_ref for part in captured.evaluations}) == 2


def test_a_failed_call_is_judged_as_far_as_it_goes(captured: Captured):
    feedbacks = [
        Feedback(rag.brief, name="asked").on_input(),
        Feedback(rag.brief, name="answered").on_output(),
    ]
    app = App(made := rag.Rag(), feedbacks=feedbacks)

    with app as recording, pytest.raises(ValueError, match="nothing to say"):
        made.query("fail")

    results = recording.get().wait_for_feedback_results(10)
    assert results["asked"].result == 1.0
    assert results["answered"].status == "failed"
    assert "'__record__.main_output' is not there" in str(results["answered"].reason)


@pytest.mark.parametrize("mode", ["none", "deferred"])
def test_what_nobody_asks_for_here_is_not_held(captured: Captured, mode):
    app = App(made := rag.Rag(), feedbacks=[Feedback(rag.brief).on_output()], feedback_mode=mode)

    class Held:
        pass

    held = Held()
    seen = weakref.ref(held)
    made.retriever.retrieve(held)  # pyright: ignore[reportArgumentType]
    del held
    captured.flush()
    gc.collect()

    assert seen() is None
    assert app.feedback_mode == mode


def test_a_model_behind_http_judges_on_threads_with_its_cost(captured: Captured):
    pytest.importorskip("openai")
    from judge_server import JudgeServer

    from kibitz.providers import OpenAI

    with JudgeServer(lambda request: 3) as server:
        judge = OpenAI(model="stub", base_url=server.url, api_key="none")
        app = App(made := rag.Rag(), feedbacks=[Feedback(judge.relevance).on_input_output()])
        with app as recording:
            made.query("How?")
        result = recording.get().wait_for_feedback_results(30)["relevance"]

    assert (result.status, result.result) == ("done", 1.0)
    assert result.cost.requests == 1
    (part,) = captured.evaluations
    assert part.spent.requests == 1


def test_a_worker_sees_the_app_that_the_program_sees(tmp_path):
    """Selectors of `Select.App` have one outcome in every mode, too."""
    from kibitz.workers.definitions import loading
    from kibitz.workers.worker import Options, Worker

    feedback = Feedback(rag.brief, name="docs").on(Select.App.app.retriever.docs[:])
    found = {}
    for mode in (*IN_PROCESS, FeedbackMode.DEFERRED):
        project = f"acme/{mode}"
        kibitz.init(project, data=str(tmp_path), print_summary=False)
        app = App(made := rag.Rag(), feedbacks=[feedback], feedback_mode=mode)
        made.query("How?")
        app.close()
        kibitz.finish()
        if mode is FeedbackMode.DEFERRED:
            store = sqlite.open_store(tmp_path)
            try:
                Worker(store, Options(until="once"), load=loading(["rag"])).run()
            finally:
                store.close()
        found[mode] = outcomes(project, tmp_path)

    assert found == dict.fromkeys(found, [("docs", "done", None)])
