"""What a worker does with what is wanted, on the embedded store and over HTTP."""

from __future__ import annotations

import threading
import weakref
from dataclasses import replace

import pytest
import worker_judges
import working

from kibitz.base import clock
from kibitz.base.errors import QueryTimeout, Unavailable
from kibitz.base.evaluations import NewRule
from kibitz.base.records import Batch, CallPart
from kibitz.client.http import Connection
from kibitz.client.reading import RemoteStore
from kibitz.judging.select import Select
from kibitz.storage import sqlite
from kibitz.testing.serving import server
from kibitz.workers import backoff, claiming, definitions, portions
from kibitz.workers.claiming import Options
from kibitz.workers.worker import Worker

IDLE = Options(until="idle", timeout_s=10.0, lease_s=5.0, patience_s=0.3)


@pytest.fixture(name="store", params=["folder", "server"])
def _store(request, tmp_path):
    if request.param == "folder":
        store = sqlite.open_store(tmp_path)
        yield store
        store.close()
        return
    with server(tmp_path) as url:
        remote = RemoteStore(Connection(url))
        yield remote
        remote.close()


@pytest.fixture(name="folder_store")
def _folder_store(tmp_path):
    store = sqlite.open_store(tmp_path)
    yield store
    store.close()


def _run(store, options=IDLE, *, load=None, tell=None):
    worker = Worker(store, options, load=load or definitions.loading(("worker_judges",)), tell=tell)
    return worker.run()


def _only(store, **which):
    [evaluation] = working.evaluations(store, **which)
    return store.evaluations.get(working.PROJECT, evaluation.id)


def test_what_is_wanted_is_done_once_and_is_feedback(store):
    judge = working.feedback(worker_judges.length, name="brief")
    working.add_calls(store, ["because", "x" * 50])
    refs = working.define(store, judge)
    working.want(store, refs)

    tallies = _run(store)

    assert (tallies.total.done, tallies.total.failed, tallies.total.lost) == (2, 0, 0)
    assert tallies.by_feedback["brief"].done == 2
    assert {each.call_id: each.output for each in working.evaluations(store)} == {
        "c0": 0.07,
        "c1": 0.5,
    }
    assert working.each_once(store)
    [judgement] = [each for each in working.judgements(store) if each.target_ref.endswith("c1")]
    assert judgement.type == "runnable.brief"
    assert judgement.payload == {"output": 0.5}
    assert (judgement.author, judgement.author_kind) == ("", "program")


def test_every_kind_of_function_is_done_side_by_side(store):
    judges = [
        working.feedback(getattr(worker_judges, name)) for name in ("length", "awaited", "blocking")
    ]
    working.add_calls(store, ["because"] * 30)
    working.want(store, working.define(store, *judges))

    _run(store)

    assert working.statuses(store) == {"done": 90}
    assert working.each_once(store)


def test_a_rule_wants_what_ends_and_a_worker_does_it(store):
    refs = working.define(store, working.feedback(worker_judges.length))
    store.rules.save(working.PROJECT, "all", NewRule(definitions=refs, query="op = answer"))
    working.add_calls(store, ["because"])
    working.add_calls(store, ["not this"], first=1, op="other")

    _run(store)

    assert [(each.call_id, each.rule) for each in working.evaluations(store)] == [("c0", "all")]


def test_b5_a_record_without_what_is_selected_fails_and_the_others_go_on(store):
    judge = working.feedback(worker_judges.length)
    elsewhere = judge.on(text=Select.RecordCalls.retriever.retrieve.rets[:])
    working.add_calls(store, ["because"] * 3)
    working.want(store, working.define(store, elsewhere))
    receipt = store.ingest.write(
        Batch(
            project=working.PROJECT,
            calls=[
                CallPart(
                    id="inner",
                    parent_id="c1",
                    trace_id="c1",
                    op="retriever.retrieve",
                    started_at=clock.now(),
                    ended_at=clock.now(),
                    output=["one", "three"],
                )
            ],
        )
    )
    assert receipt.rejected == []

    _run(store)

    found = {each.call_id: each for each in working.evaluations(store)}
    assert {each: found[each].status for each in found} == {
        "c0": "failed",
        "c1": "done",
        "c2": "failed",
    }
    assert "retrieve" in found["c0"].reason
    assert found["c0"].attempts == 1
    assert found["c1"].output == pytest.approx(0.04)


def test_b7_failed_work_does_not_starve_fresh_work(store):
    busy = working.define(store, working.feedback(worker_judges.busy))
    working.add_calls(store, ["because"] * 150)
    working.want(store, busy)
    _run(store, replace(IDLE, until="once"))
    assert set(working.statuses(store)) == {"none"}

    working.want(store, working.define(store, working.feedback(worker_judges.length)))
    # One round is enough, though all that failed is wanted again later.
    _run(store, replace(IDLE, until="once", batch=32))

    assert working.statuses(store, name="length") == {"done": 150}


def test_b8_workers_of_one_store_do_no_evaluation_twice(store):
    refs = working.define(
        store, working.feedback(worker_judges.length), working.feedback(worker_judges.awaited)
    )
    working.add_calls(store, ["because"] * 200)
    working.want(store, refs)
    tallies = []

    threads = [
        threading.Thread(target=lambda: tallies.append(_run(store, replace(IDLE, batch=16))))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(each.total.done for each in tallies) == 400
    assert sum(each.total.lost for each in tallies) == 0
    assert working.each_once(store)


def test_what_may_pass_is_tried_again_up_to_the_last_attempt(folder_store, monkeypatch):
    monkeypatch.setattr(backoff, "FIRST_S", 0.01)
    working.add_calls(folder_store, ["because"])
    working.want(folder_store, working.define(folder_store, working.feedback(worker_judges.busy)))
    told = []

    tallies = _run(folder_store, replace(IDLE, max_attempts=3), tell=told.append)

    evaluation = _only(folder_store)
    assert (evaluation.status, evaluation.attempts) == ("failed", 3)
    assert evaluation.reason.endswith("(attempt 3 of 3, the last)")
    assert "the judge is busy" in evaluation.error
    assert (tallies.total.failed, tallies.total.retried) == (1, 2)
    assert [each.event for each in told if each.event in {"retried", "failed"}] == [
        "retried",
        "retried",
        "failed",
    ]
    assert working.judgements(folder_store) == []


def test_what_is_no_score_is_kept_with_the_reason(store):
    working.add_calls(store, ["because"])
    working.want(store, working.define(store, working.feedback(worker_judges.wrong)))

    _run(store)

    evaluation = _only(store)
    assert evaluation.status == "failed"
    assert "nan" in evaluation.reason.lower()
    assert evaluation.attempts == 1
    assert evaluation.invocations[0].arguments == {"text": "because"}


@pytest.mark.parametrize("name", ["interrupting", "leaving", "unspeakable", "interrupting_awaited"])
def test_what_is_no_usual_error_fails_and_the_others_go_on(folder_store, name):
    judge = working.feedback(getattr(worker_judges, name), name="odd")
    brief = working.feedback(worker_judges.length, name="brief")
    working.add_calls(folder_store, ["a", "b"])
    working.want(folder_store, working.define(folder_store, judge, brief))

    tallies = _run(folder_store, replace(IDLE, max_attempts=1))

    assert (tallies.total.done, tallies.total.failed) == (2, 2)
    assert working.each_once(folder_store)


def test_a_key_in_an_error_is_not_stored(folder_store):
    working.add_calls(folder_store, ["because"])
    talkative = working.feedback(worker_judges.talkative)
    working.want(folder_store, working.define(folder_store, talkative))

    _run(folder_store, replace(IDLE, max_attempts=1))

    evaluation = _only(folder_store)
    assert "refused" in evaluation.reason
    assert evaluation.invocations[0].error
    assert "sk-proj" not in str(evaluation)


def test_a_definition_that_may_not_be_imported_fails_with_what_to_do_and_others_go_on(store):
    working.add_calls(store, ["because"] * 3)
    refs = working.define(
        store, working.feedback(worker_judges.length), working.feedback(sum_of_letters)
    )
    working.want(store, refs)

    _run(store)

    assert working.statuses(store, name="length") == {"done": 3}
    [reason] = {each.reason for each in working.evaluations(store, name="sum_of_letters")}
    assert "--allow" in reason
    assert {each.attempts for each in working.evaluations(store)} == {1}


def test_workers_that_may_import_different_modules_do_each_its_own(store):
    working.add_calls(store, ["because"] * 300)
    refs = working.define(
        store, working.feedback(worker_judges.length), working.feedback(sum_of_letters)
    )
    working.want(store, refs)
    # Nobody is given up while this takes.
    options = replace(IDLE, patience_s=working.TIMEOUT_S)
    workers = [
        Worker(store, options, load=definitions.loading((module,)))
        for module in ("worker_judges", sum_of_letters.__module__)
    ]

    threads = [threading.Thread(target=each.run) for each in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(working.TIMEOUT_S)

    assert working.statuses(store) == {"done": 600}
    assert [each.tallies.total.done for each in workers] == [300, 300]
    assert {each.attempts for each in working.evaluations(store)} == {1}
    assert working.each_once(store)


def test_what_nobody_may_import_fails_though_others_are_busy_for_long(folder_store):
    working.add_calls(folder_store, ["because"])
    refs = working.define(
        folder_store, working.feedback(worker_judges.length), working.feedback(sum_of_letters)
    )
    working.want(folder_store, refs[:1])
    # Somebody else who is at work, and never comes to the other.
    assert folder_store.evaluations.claim("another", limit=1, lease_s=600)
    working.want(folder_store, refs[1:])
    worker = Worker(
        folder_store,
        replace(IDLE, patience_s=0.001),
        load=definitions.loading(("worker_judges",)),
        tell=lambda told: worker.stop() if told.event == "failed" else None,
    )
    worker.run()

    assert working.statuses(folder_store) == {"running": 1, "failed": 1}
    assert "--allow" in _only(folder_store, status=["failed"]).reason


def sum_of_letters(text: str) -> float:
    """In a module that workers of these tests may not import."""
    return float(len(text))


def test_an_object_that_is_no_definition_fails(folder_store):
    working.add_calls(folder_store, ["because"])
    refs = working.define(folder_store, working.feedback(worker_judges.length))
    working.want(folder_store, refs)

    def load(value):
        raise RuntimeError("a module that raises when it is imported")

    _run(folder_store, load=load)

    evaluation = _only(folder_store)
    assert evaluation.reason.startswith("'length' cannot be loaded: RuntimeError: a module")
    assert "Traceback" in evaluation.error


def test_a_record_that_was_deleted_is_skipped(folder_store):
    working.add_calls(folder_store, ["because"] * 3)
    working.want(folder_store, working.define(folder_store, working.feedback(worker_judges.length)))
    made = claiming.usual_record()
    gone = {"c1"}

    class Deleting:
        """The evaluations of the store, where a call is deleted after it was claimed."""

        def __getattr__(self, name):
            return getattr(folder_store.evaluations, name)

        def records(self, project, call_ids):
            found = folder_store.evaluations.records(project, call_ids)
            return {each: calls for each, calls in found.items() if each not in gone}

    worker = Worker(
        _with(folder_store, Deleting()),
        IDLE,
        load=definitions.loading(("worker_judges",)),
        make_record=made,
    )
    worker.run()

    skipped = _only(folder_store, status=["skipped"])
    assert skipped.call_id == "c1"
    assert skipped.reason == "the record is gone: call c1 was deleted before it was evaluated"
    assert working.statuses(folder_store)["done"] == 2


def test_a_record_that_cannot_be_made_fails_and_the_others_go_on(folder_store):
    working.add_calls(folder_store, ["because"] * 3)
    working.want(folder_store, working.define(folder_store, working.feedback(worker_judges.length)))
    made = claiming.usual_record()

    def make(calls, root):
        if root == "c1":
            raise RecursionError("too deep")
        return made(calls, root)

    Worker(folder_store, IDLE, load=definitions.loading(("worker_judges",)), make_record=make).run()

    assert working.statuses(folder_store) == {"done": 2, "failed": 1}
    assert _only(folder_store, status=["failed"]).reason == "RecursionError: too deep"


def test_an_awaited_one_that_hangs_is_cancelled_and_tried_again(folder_store):
    working.add_calls(folder_store, ["hang", "because"])
    refs = working.define(folder_store, working.feedback(worker_judges.hanging_awaited))
    working.want(folder_store, refs)

    _run(folder_store, replace(IDLE, timeout_s=0.2, max_attempts=1))

    assert working.statuses(folder_store) == {"done": 1, "failed": 1}
    assert _only(folder_store, status=["failed"]).reason == (
        "it took longer than 0.2 s and was cancelled (attempt 1 of 1, the last)"
    )


def test_a_thread_that_hangs_is_given_up_and_the_others_go_on(folder_store, hanging_threads):
    working.add_calls(folder_store, ["hang", *["because"] * 20, "hang"])
    refs = working.define(folder_store, working.feedback(hanging_threads.judge))
    working.want(folder_store, refs)

    _run(
        folder_store,
        replace(IDLE, timeout_s=0.3),
        load=lambda value: working.feedback(hanging_threads.judge),
    )

    assert working.statuses(folder_store) == {"done": 20, "failed": 2}
    [reason] = {each.reason for each in working.evaluations(folder_store, status=["failed"])}
    assert reason.startswith("it took longer than 0.3 s and was given up")


def test_where_all_threads_hang_what_waits_fails_with_the_reason(folder_store, hanging_threads):
    working.add_calls(folder_store, ["hang"] * 12)
    refs = working.define(folder_store, working.feedback(hanging_threads.judge))
    working.want(folder_store, refs)

    _run(
        folder_store,
        replace(IDLE, timeout_s=0.2, concurrency=1),
        load=lambda value: working.feedback(hanging_threads.judge),
    )

    assert working.statuses(folder_store) == {"failed": 12}
    reasons = {each.reason.split(" ")[0] for each in working.evaluations(folder_store)}
    assert reasons == {"it", "no"}


class _Hanging:
    """A function whose threads can be let go when the test is over."""

    def __init__(self):
        self.go = threading.Event()

        def judge(text: str) -> float:
            if "hang" in text:
                self.go.wait(60)
            return 1.0

        self.judge = judge


@pytest.fixture(name="hanging_threads")
def _hanging_threads():
    made = _Hanging()
    yield made
    made.go.set()


def test_a_store_that_is_away_for_a_while_is_waited_for(folder_store):
    working.add_calls(folder_store, ["because"] * 50)
    working.want(folder_store, working.define(folder_store, working.feedback(worker_judges.length)))
    away = _Away(folder_store.evaluations, {"claim": 2, "records": 1, "finish": 3, "release": 1})
    told = []

    tallies = Worker(
        _with(folder_store, away),
        replace(IDLE, lease_s=1.0),
        load=definitions.loading(("worker_judges",)),
        tell=told.append,
    ).run()

    assert away.left == {"claim": 0, "records": 0, "finish": 0, "release": 0}
    assert tallies.total.done + tallies.total.lost == 50
    assert working.each_once(folder_store)
    assert [each.event for each in told if each.event in {"away", "back"}][:2] == ["away", "back"]


class _Away:
    """The evaluations of a store that is away the first few times that each of these is asked."""

    def __init__(self, evaluations, times):
        self._evaluations = evaluations
        self.left = dict(times)

    def __getattr__(self, name):
        method = getattr(self._evaluations, name)

        def asked(*arguments, **named):
            if self.left.get(name):
                self.left[name] -= 1
                raise Unavailable("the store is away")
            return method(*arguments, **named)

        return asked


def test_an_outcome_that_breaks_the_store_fails_alone_and_what_comes_after_is_stored(folder_store):
    working.add_calls(folder_store, ["because"] * 9 + ["x" * 50])
    working.want(folder_store, working.define(folder_store, working.feedback(worker_judges.length)))

    tallies = _run(_with(folder_store, _Breaking(folder_store.evaluations, output=0.5)))

    assert (tallies.total.done, tallies.total.failed) == (9, 1)
    failed = _only(folder_store, status=["failed"])
    assert failed.reason == "the store did not take its outcome: OverflowError: too large"


class _Breaking:
    """The evaluations of a store that has no room for one output, and does not say so in words of ours."""

    def __init__(self, evaluations, output):
        self._evaluations = evaluations
        self._output = output

    def finish(self, project, outcomes):
        if any(each.part.output == self._output for each in outcomes):
            raise OverflowError("too large")
        return self._evaluations.finish(project, outcomes)

    def __getattr__(self, name):
        return getattr(self._evaluations, name)


class _with:
    """A store whose evaluations are others."""

    def __init__(self, store, evaluations):
        self._store = store
        self.evaluations = evaluations

    def __getattr__(self, name):
        return getattr(self._store, name)


class _Reading:
    """The evaluations of a store of which not every record can be read in time."""

    def __init__(self, store, at_most, never=()):
        self._evaluations = store.evaluations
        self._at_most = at_most
        self._never = set(never)
        self.asked = []

    def __getattr__(self, name):
        return getattr(self._evaluations, name)

    def records(self, project, call_ids):
        self.asked.append(len(call_ids))
        if len(call_ids) > self._at_most or self._never & set(call_ids):
            raise QueryTimeout("the query took longer than 10 s", limit_s=10.0)
        return self._evaluations.records(project, call_ids)


def test_records_that_take_too_long_together_are_read_in_smaller_portions(folder_store):
    working.add_calls(folder_store, ["because"] * 30)
    working.want(folder_store, working.define(folder_store, working.feedback(worker_judges.length)))
    reading = _Reading(folder_store, 3, never=["c7"])

    _run(_with(folder_store, reading), replace(IDLE, max_attempts=1))

    assert working.statuses(folder_store) == {"done": 29, "failed": 1}
    failed = _only(folder_store, status=["failed"])
    assert failed.call_id == "c7"
    assert failed.reason.startswith("the record cannot be read: the query took longer than 10 s")
    assert working.each_once(folder_store)


def test_large_records_are_read_a_few_at_once_and_kept_within_bounds(folder_store, monkeypatch):
    monkeypatch.setattr(portions, "PORTION_BYTES", 20_000)
    monkeypatch.setattr(claiming, "BYTES_AHEAD", 60_000)
    working.add_calls(folder_store, ["x" * 9_000] * 40)
    refs = working.define(
        folder_store,
        working.feedback(worker_judges.length),
        working.feedback(worker_judges.awaited),
    )
    working.want(folder_store, refs)
    reading = _Reading(folder_store, 100)
    loaded = []
    made = claiming.usual_record()

    def make(calls, root):
        record = made(calls, root)
        loaded.append(weakref.ref(record))
        alive.append(sum(each() is not None for each in loaded))
        return record

    alive = []
    load = definitions.loading(("worker_judges",))
    Worker(_with(folder_store, reading), IDLE, load=load, make_record=make).run()

    assert working.statuses(folder_store) == {"done": 80}
    assert {each.attempts for each in working.evaluations(folder_store)} == {1}
    assert max(reading.asked[1:]) <= 2
    # What fits, and a portion more; the first portion is read before anything is known of sizes.
    assert max(alive) <= 20


def test_a_worker_that_is_stopped_gives_back_what_it_has_not_begun(folder_store):
    working.add_calls(folder_store, ["because"] * 200)
    refs = working.define(folder_store, working.feedback(worker_judges.a_second))
    working.want(folder_store, refs)
    worker = Worker(
        folder_store,
        Options(concurrency=5, grace_s=10.0),
        load=definitions.loading(("worker_judges",)),
    )
    running = threading.Thread(target=worker.run)
    running.start()
    while working.statuses(folder_store)["done"] < 5:
        running.join(0.05)

    worker.stop()
    running.join()

    counts = working.statuses(folder_store)
    assert counts["done"] >= 5
    assert counts["none"] == 200 - counts["done"]
    assert {each.attempts for each in working.evaluations(folder_store, status=["none"])} == {0}


def test_only_the_projects_that_are_named_are_worked_for(folder_store):
    working.add_calls(folder_store, ["because"])
    working.want(folder_store, working.define(folder_store, working.feedback(worker_judges.length)))

    _run(folder_store, replace(IDLE, projects=("another",), until="once"))

    assert working.statuses(folder_store) == {"none": 1}


def test_each_attempt_is_later_than_the_one_before_up_to_a_longest():
    waits = [backoff.delay_s(attempt, draw=0.5) for attempt in range(1, 12)]

    assert waits[:5] == [1, 2, 4, 8, 16]
    assert waits[-1] == backoff.LONGEST_S
    assert backoff.delay_s(3, draw=0.0) == 3
    assert backoff.delay_s(3, draw=1.0) == 5
    assert backoff.delay_s(10**6, draw=0.5) == backoff.LONGEST_S
