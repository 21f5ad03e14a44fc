"""`kibitz.watch`: rules from Python, on a folder and on a server."""

from __future__ import annotations

import json
import subprocess
import sys
import threading

import pytest
import worker_judges
import working

import kibitz
from kibitz.base.errors import NotImportable, QueryError, UsageError
from kibitz.client.http import Connection
from kibitz.client.reading import RemoteStore
from kibitz.query import text_form
from kibitz.query.nodes import ColumnField, Compare
from kibitz.storage import sqlite
from kibitz.testing.serving import server
from kibitz.workers import definitions
from kibitz.workers.claiming import Options
from kibitz.workers.worker import Worker

LENGTH = working.feedback(worker_judges.length)


@pytest.fixture(name="place", params=["folder", "server"])
def _place(request, tmp_path):
    """The arguments that name the place, and a store of it."""
    if request.param == "folder":
        store = sqlite.open_store(tmp_path)
        yield {"data": str(tmp_path)}, store
        store.close()
        return
    with server(tmp_path) as url:
        remote = RemoteStore(Connection(url))
        yield {"url": url}, remote
        remote.close()


def _work(store):
    Worker(store, Options(until="idle"), load=definitions.loading(("worker_judges",))).run()


def _watch(place, *arguments, **named):
    return kibitz.watch(*arguments, project=working.PROJECT, **place, **named)


def test_calls_that_end_from_now_on_are_judged(place):
    where, store = place
    working.add_calls(store, ["before"])

    watching = _watch(where, "answer", [LENGTH])
    working.add_calls(store, ["because"], first=1)
    working.add_calls(store, ["not this"], first=2, op="other")
    _work(store)

    assert watching.wait(timeout_s=30)
    assert [each.call_id for each in working.evaluations(store)] == ["c1"]
    [progress] = watching.progress()
    assert (progress.name, progress.done, progress.wanted) == ("length", 1, 0)


def test_the_past_is_judged_where_it_is_asked_for_and_progress_is_told(place):
    where, store = place
    working.add_calls(store, ["because"] * 12)
    told = []

    watching = _watch(where, "answer", LENGTH, backfill=lambda *said: told.append(said))

    assert told[-1] == (12, 12)
    assert not watching.wait(timeout_s=0)
    _work(store)
    assert watching.wait(timeout_s=30)
    assert working.statuses(store) == {"done": 12}
    # The same once more wants nothing twice.
    _watch(where, "answer", LENGTH, backfill=True)
    assert working.statuses(store) == {"done": 12}


def test_a_watch_that_is_stopped_wants_nothing_more_and_is_kept(place):
    where, store = place
    watching = _watch(where, "answer", LENGTH, name="mine")

    stopped = watching.stop()

    working.add_calls(store, ["because"])
    _work(store)
    assert not stopped.active
    assert working.evaluations(store) == []
    assert [each.name for each in store.rules.list(working.PROJECT)] == ["mine"]


def test_it_waits_while_workers_work(tmp_path):
    store = sqlite.open_store(tmp_path)
    working.add_calls(store, ["because"] * 20)
    watching = _watch({"data": str(tmp_path)}, None, LENGTH, backfill=True)
    thread = threading.Thread(target=_work, args=(store,))
    told = []

    thread.start()
    ended = watching.wait(timeout_s=30, progress=lambda *said: told.append(said))
    thread.join()
    store.close()

    assert ended
    assert told[-1] == (20, 20)


@pytest.mark.parametrize(
    "name", ["answer", "retriever.retrieve", "chat/answer", "a-b:c", "or", "select"]
)
def test_a_word_is_the_name_of_an_op(tmp_path, name):
    rule = _watch({"data": str(tmp_path)}, name, LENGTH).rule

    assert text_form.parse(rule.query).where == Compare(ColumnField("op"), "eq", name)


def test_an_op_with_any_name_is_quoted(tmp_path):
    @kibitz.op(name='it\'s "quoted" or = not')
    def answer(question):
        return question

    rule = _watch({"data": str(tmp_path)}, answer, LENGTH).rule

    assert text_form.parse(rule.query).where == Compare(
        ColumnField("op"), "eq", 'it\'s "quoted" or = not'
    )


@pytest.mark.parametrize(
    ("given", "query"),
    [
        (None, ""),
        ("", ""),
        ("op = answer and latency > 2s", "op = answer and latency > 2s"),
        ("feedback.thumb.output = 1", "feedback.thumb.output = 1"),
    ],
)
def test_a_query_stays_as_it_is(tmp_path, given, query):
    assert _watch({"data": str(tmp_path)}, given, LENGTH).rule.query == query


def test_a_condition_is_written_in_words(tmp_path):
    condition = (kibitz.calls.op == "answer") & (kibitz.calls.latency > 2)

    rule = _watch({"data": str(tmp_path)}, condition, LENGTH, sample=0.5, per_day=7).rule

    assert text_form.parse(rule.query).where is not None
    assert "answer" in rule.query
    assert (rule.sample, rule.per_day) == (0.5, 7)


def test_saying_it_again_takes_the_place_of_what_was_said(tmp_path):
    where = {"data": str(tmp_path)}
    first = _watch(where, "answer", LENGTH, sample=0.5)
    second = _watch(where, "answer", LENGTH, sample=0.25)

    store = sqlite.open_store(tmp_path)
    rules = store.rules.list(working.PROJECT)
    store.close()

    assert first.name == second.name == "answer: length"
    assert [each.sample for each in rules] == [0.25]


def test_what_a_worker_could_not_import_is_refused_with_what_to_do(tmp_path):
    def inner(text):
        return 1.0

    for judge in (inner, lambda text: 1.0):
        with pytest.raises(NotImportable, match="put it"):
            _watch({"data": str(tmp_path)}, "answer", working.feedback(judge, name="judge"))

    assert not (tmp_path / "kibitz.sqlite3").exists()


def test_a_function_of_the_program_itself_is_refused_with_what_to_do(tmp_path):
    code = """
        import json, kibitz
        def judge(text): return 1.0
        try:
            kibitz.watch("answer", kibitz.Feedback(judge).on_output(), project="team/app", data="data")
        except kibitz.KibitzError as error:
            print(json.dumps(error.message))
    """
    import textwrap

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )

    assert "notebook or in the program that was started" in json.loads(done.stdout)


@pytest.mark.parametrize(
    ("arguments", "named", "error", "says"),
    [
        (("answer", []), {}, UsageError, "no feedback function"),
        (("answer", [len]), {}, UsageError, "wrap it: kibitz.Feedback"),
        (("answer", [LENGTH, LENGTH]), {}, UsageError, "two of the feedback functions"),
        (("op = ", LENGTH), {}, QueryError, "value"),
        ((7, LENGTH), {}, UsageError, "does not say which calls"),
        (("op = x limit 5", LENGTH), {}, QueryError, "limit"),
    ],
)
def test_what_cannot_be_watched_is_said(tmp_path, arguments, named, error, says):
    with pytest.raises(error, match=says):
        _watch({"data": str(tmp_path)}, *arguments, **named)


def test_a_project_must_be_named_or_recorded_to():
    with pytest.raises(UsageError, match="watch calls of which project"):
        kibitz.watch("answer", LENGTH)


def test_a_program_that_records_watches_where_it_records(tmp_path):
    session = kibitz.init(working.PROJECT, data=str(tmp_path), print_summary=False)
    try:

        @kibitz.op
        def answer(question):
            return f"to {question}"

        watching = kibitz.watch(answer, [LENGTH])
        answer("why?")
        assert session.flush().complete
        store = sqlite.open_store(tmp_path)
        _work(store)
        assert watching.wait(timeout_s=30)
        assert working.statuses(store) == {"done": 1}
        store.close()
    finally:
        session.finish()
