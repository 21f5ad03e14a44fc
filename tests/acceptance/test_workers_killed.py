"""Workers that are killed at random, under load: every wanted evaluation ends exactly once.

It takes some seconds; KIBITZ_TEST_KILLING_S=120 kills for two minutes.
"""

from __future__ import annotations

import os
import random
import threading
import time

import pytest
import worker_judges
import working

from kibitz.base.evaluations import NewRule
from kibitz.client.http import Connection
from kibitz.client.reading import RemoteStore
from kibitz.storage import sqlite
from kibitz.testing.serving import ServerProcess

pytestmark = pytest.mark.processes
KILLING_S = float(os.environ.get("KIBITZ_TEST_KILLING_S") or 3)
"""The developer's own settings are taken away before a test begins, so it is read here."""
WORKERS = 3
LEASE = ("--lease", "1", "--batch", "32")
ALIVE = ("length", "awaited", "blocking")


class Load:
    """A program that goes on calling while workers are killed; a rule wants every call judged."""

    def __init__(self, store):
        self._store = store
        self._stop = threading.Event()
        self.calls = 0
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self):
        while not self._stop.is_set():
            working.add_calls(self._store, ["because"] * 20, first=self.calls)
            self.calls += 20
            self._stop.wait(0.2)

    def stop(self):
        self._stop.set()
        self._thread.join()


def _kill_at_random(place, seconds):
    draw = random.Random(3)
    workers = [working.WorkerProcess(place, *LEASE) for _ in range(WORKERS)]
    workers[0].wait_for("started")
    ends = time.monotonic() + seconds
    kills = 0
    while time.monotonic() < ends:
        time.sleep(draw.uniform(0.2, 0.8))
        chosen = draw.randrange(WORKERS)
        workers[chosen].kill()
        kills += 1
        workers[chosen] = working.WorkerProcess(place, *LEASE)
    for worker in workers:
        worker.kill()
    return kills


@pytest.mark.parametrize("place", ["folder", "server"])
def test_every_wanted_evaluation_ends_exactly_once(tmp_path, place):
    folder = tmp_path / "data"
    seconds = KILLING_S if place == "folder" else KILLING_S * 0.6
    server = ServerProcess(folder) if place == "server" else None
    store = sqlite.open_store(folder) if server is None else RemoteStore(Connection(server.url))
    try:
        feedbacks = [working.feedback(getattr(worker_judges, name)) for name in ALIVE]
        refs = working.define(store, *feedbacks)
        store.rules.save(working.PROJECT, "all", NewRule(definitions=refs))
        load = Load(store)
        kills = _kill_at_random(folder if server is None else server.url, seconds)
        load.stop()
        last = working.WorkerProcess(
            folder if server is None else server.url, *LEASE, "--until-idle"
        )
        last.end(expected=None, timeout_s=60 + 5 * KILLING_S)

        counts = working.statuses(store)
        assert kills > 2
        assert counts["done"] + counts["failed"] == load.calls * len(refs)
        assert set(counts) <= {"done", "failed"}
        # Failed are those that were begun five times by workers that did not live to finish.
        failed = working.evaluations(store, status=["failed"])
        assert {each.attempts for each in failed} <= {5}
        assert counts["done"] > load.calls
        assert working.each_once(store)
    finally:
        store.close()
        if server is not None:
            server.stop()
