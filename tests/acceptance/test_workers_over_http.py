"""Workers that reach their store over HTTP: processes of their own on one server, and one with a key."""

from __future__ import annotations

import pytest
import worker_judges
import working
from working import PROJECT

from kibitz.base.errors import Unauthorized
from kibitz.base.evaluations import NewRule
from kibitz.client.http import Connection
from kibitz.client.reading import RemoteStore
from kibitz.testing import serving
from kibitz.testing.serving import ServerProcess
from kibitz.workers import definitions
from kibitz.workers.claiming import Options
from kibitz.workers.worker import Worker

CALLS = 300


@pytest.mark.processes
def test_two_workers_of_one_server_do_everything_once(tmp_path):
    with ServerProcess(tmp_path / "data") as server:
        store = RemoteStore(Connection(server.url))
        names = ("length", "awaited")
        refs = working.define(
            store, *(working.feedback(getattr(worker_judges, name)) for name in names)
        )
        working.add_calls(store, ["because"] * (CALLS // 2))
        assert working.want(store, refs) == CALLS
        store.rules.save(PROJECT, "all", NewRule(definitions=refs))
        working.add_calls(store, ["why not"] * (CALLS // 2), first=CALLS // 2)

        workers = [
            working.WorkerProcess(server.url, "--until-idle", "--batch", "16") for _ in range(2)
        ]
        ended = [worker.end()["total"] for worker in workers]

        assert sum(each["done"] for each in ended) == 2 * CALLS
        assert [(each["lost"], each["failed"], each["retried"]) for each in ended] == [
            (0, 0, 0)
        ] * 2
        assert working.statuses(store) == {"done": 2 * CALLS}
        assert {each.attempts for each in working.evaluations(store)} == {1}
        assert working.each_once(store)
        assert {each.done for each in store.evaluations.progress(PROJECT)} == {CALLS}
        store.close()


def test_a_worker_shows_its_key(tmp_path):
    options = Options(until="idle")
    load = definitions.loading((working.ALLOW,))
    with serving.server(tmp_path / "data", api_keys=("the-key-of-this-test",)) as url:
        store = RemoteStore(Connection(url, api_key="the-key-of-this-test"))
        working.add_calls(store, ["because"])
        working.want(store, working.define(store, working.feedback(worker_judges.length)))

        with pytest.raises(Unauthorized):
            Worker(RemoteStore(Connection(url)), options, load=load).run()
        tallies = Worker(store, options, load=load).run()

        assert (tallies.total.done, tallies.total.failed) == (1, 0)
        store.close()
