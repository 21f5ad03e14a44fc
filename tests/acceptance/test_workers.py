"""Real worker processes: stopped by signals, ended by a judge, without their store for a while."""

from __future__ import annotations

import signal

import pytest
import worker_judges
import working

from kibitz.base.evaluations import NewRule
from kibitz.client.http import Connection
from kibitz.client.reading import RemoteStore
from kibitz.storage import sqlite
from kibitz.testing.serving import ServerProcess

pytestmark = pytest.mark.processes


@pytest.fixture(name="store")
def _store(tmp_path):
    store = sqlite.open_store(tmp_path / "data")
    yield store
    store.close()


def _begun(path, worker):
    """Wait until the judge that waits for `path` has begun."""
    begun = path.with_name(f"{path.name}.begun")
    while not begun.exists():
        assert worker.process.poll() is None
        worker._reader.join(0.02)


def test_a_worker_that_is_told_to_stop_finishes_what_goes_on_and_gives_back_the_rest(
    tmp_path, store
):
    path = tmp_path / "go"
    working.add_calls(store, [f"wait for {path}"] * 5)
    refs = working.define(store, working.feedback(worker_judges.until_told))
    working.want(store, refs)
    worker = working.WorkerProcess(tmp_path / "data", "--concurrency", "1")
    _begun(path, worker)

    worker.signal(signal.SIGTERM)
    worker.wait_for("stopping")
    path.touch()
    told = worker.end()

    assert (told["event"], told["total"]["done"]) == ("stopped", 1)
    assert working.statuses(store) == {"done": 1, "none": 4}
    assert {each.attempts for each in working.evaluations(store, status=["none"])} == {0}


def test_a_second_signal_ends_it_at_once_and_what_it_had_is_due_again(tmp_path, store):
    path = tmp_path / "never"
    working.add_calls(store, [f"wait for {path}"])
    refs = working.define(store, working.feedback(worker_judges.until_told))
    working.want(store, refs)
    worker = working.WorkerProcess(tmp_path / "data")
    _begun(path, worker)

    worker.signal(signal.SIGINT)
    worker.wait_for("stopping")
    worker.signal(signal.SIGINT)
    told = worker.end()

    assert told["event"] == "stopped"
    assert working.statuses(store) == {"none": 1}


def test_a_judge_that_ends_its_process_fails_and_takes_nobody_with_it(tmp_path, store):
    working.add_calls(store, ["because"] * 40 + ["deadly"] + ["because"] * 40)
    refs = working.define(store, working.feedback(worker_judges.deadly))
    working.want(store, refs)

    for _ in range(30):
        worker = working.WorkerProcess(
            tmp_path / "data",
            *("--until-idle", "--lease", "1", "--batch", "64", "--max-attempts", "3"),
        )
        worker.end(expected=None)
        if worker.process.returncode != -signal.SIGKILL:
            break

    assert worker.process.returncode == 0
    assert working.statuses(store) == {"done": 80, "failed": 1}
    [failed] = working.evaluations(store, status=["failed"])
    assert failed.call_id == "c40"
    assert failed.attempts == 3
    assert failed.reason
    assert working.each_once(store)


def test_a_child_that_a_judge_forks_judges_nothing_more(tmp_path, store, monkeypatch):
    notes = tmp_path / "notes"
    monkeypatch.setenv("NOTED_BY_JUDGES", str(notes))
    texts = [f"text{n}" for n in range(30)]
    working.add_calls(store, texts)
    refs = working.define(store, working.feedback(worker_judges.forking))
    working.want(store, refs)

    worker = working.WorkerProcess(tmp_path / "data", "--until-idle")
    worker.end()

    own = str(worker.process.pid)
    noted = [line.split() for line in notes.read_text().splitlines()]
    assert sorted(text for pid, text in noted if pid == own) == sorted(texts)
    children = [pid for pid, _ in noted if pid != own]
    assert len(children) == len(set(children))
    assert working.statuses(store) == {"done": 30}
    assert working.each_once(store)


def test_a_worker_waits_for_a_server_that_is_started_anew(tmp_path):
    with ServerProcess(tmp_path / "data") as server:
        url, port = server.url, server.port
        store = RemoteStore(Connection(url))
        refs = working.define(store, working.feedback(worker_judges.length))
        store.rules.save(working.PROJECT, "all", NewRule(definitions=refs))
        worker = working.WorkerProcess(url)
        worker.wait_for("started")
        server.kill()
        worker.wait_for("away")
    with ServerProcess(tmp_path / "data", port=port):
        working.add_calls(store, ["because"] * 10)
        while working.statuses(store) != {"done": 10}:
            assert worker.process.poll() is None
            worker._reader.join(0.05)
        worker.wait_for("back")
        worker.signal(signal.SIGTERM)
        assert worker.end()["total"]["done"] == 10
        assert working.each_once(store)
        store.close()


def test_a_worker_says_what_it_did_and_where_its_functions_may_be(tmp_path, store):
    working.add_calls(store, ["because"] * 3)
    working.want(
        store,
        working.define(
            store, working.feedback(worker_judges.length), working.feedback(worker_judges.wrong)
        ),
    )

    worker = working.WorkerProcess(tmp_path / "data", "--until-idle")
    told = worker.end(expected=1)

    assert told["by_feedback"]["length"]["done"] == 3
    assert told["by_feedback"]["wrong"]["failed"] == 3
    failures = [each for each in worker.events if each["event"] == "failed"]
    assert {each["name"] for each in failures} == {"wrong"}
    assert {each["call_id"] for each in failures} == {"c0", "c1", "c2"}
    working.add_calls(store, ["more"], first=10)
    working.want(store, working.define(store, working.feedback(worker_judges.length)))
    other = working.WorkerProcess(tmp_path / "data", "--once", allow="elsewhere")
    other.end(expected=1)
    [refused] = [each for each in other.events if each["event"] == "failed"]
    assert "--allow worker_judges" in refused["message"]
