"""A server that is killed in the middle of ingest loses nothing that it acknowledged, and stores nothing twice."""

import sqlite3
import threading

import pytest
from parts import PROJECT, batch, call, judgement

from kibitz.base.errors import KibitzError
from kibitz.client.delivery import HttpDelivery
from kibitz.client.http import Connection
from kibitz.query.nodes import CallQuery, FeedbackQuery
from kibitz.storage import sqlite
from kibitz.storage.sqlite import connection
from kibitz.testing.serving import ServerProcess

ROUNDS = 20
WRITERS = 3
BEFORE_THE_KILL = 25
"""Batches acknowledged in a round before the server is killed under those that follow."""

pytestmark = pytest.mark.processes


class Writers:
    """Threads that deliver batches to one server until it dies, and remember what it acknowledged."""

    def __init__(self, url, round_number):
        self.acknowledged: set[str] = set()
        self.sent: dict[str, object] = {}
        self.enough = threading.Event()
        self._url = url
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._write, args=(f"r{round_number}-w{number}",))
            for number in range(WRITERS)
        ]
        for thread in self._threads:
            thread.start()

    def _write(self, name):
        delivery = HttpDelivery(Connection(self._url, timeout_s=5))
        for number in range(10_000):
            ids = [f"{name}-{number}-{each}" for each in range(20)]
            one = batch(
                calls=[call(each, inputs={"text": "x" * 500}) for each in ids],
                feedback=[judgement(ids[0], number, feedback_id=f"f-{ids[0]}")],
            )
            with self._lock:
                self.sent[ids[0]] = one
            try:
                receipt = delivery.write(one)
            except KibitzError:
                break
            assert (receipt.calls, receipt.feedback, receipt.rejected) == (20, 1, [])
            with self._lock:
                self.acknowledged.add(ids[0])
                if len(self.acknowledged) >= BEFORE_THE_KILL:
                    self.enough.set()
        delivery.close()

    def join(self):
        for thread in self._threads:
            thread.join()


def _stored(store):
    ids, cursor = [], None
    while True:
        page = store.calls.query(CallQuery(project=PROJECT, limit=1000, cursor=cursor))
        ids += [each.id for each in page.items]
        cursor = page.next_cursor
        if cursor is None:
            return ids


def test_twenty_kills_lose_nothing_that_was_acknowledged(tmp_path):
    folder = tmp_path / "data"
    expected: set[str] = set()
    unsure: list[object] = []
    for round_number in range(ROUNDS):
        server = ServerProcess(folder)
        writers = Writers(server.url, round_number)
        assert writers.enough.wait(60)
        server.kill()
        writers.join()
        expected |= {f"{first[:-2]}-{each}" for first in writers.acknowledged for each in range(20)}
        unsure += [one for first, one in writers.sent.items() if first not in writers.acknowledged]
        check = sqlite3.connect(folder / connection.FILE_NAME)
        assert check.execute("PRAGMA quick_check").fetchall() == [("ok",)]
        check.close()
    assert len(unsure) >= ROUNDS

    store = sqlite.open_store(folder)
    stored = _stored(store)
    assert len(stored) == len(set(stored))
    assert expected <= set(stored)
    # Whoever got no answer delivers again, as the SDK does: then everything is there, still once.
    for one in unsure:
        store.ingest.write(one)
    stored = _stored(store)
    everything = expected | {each.id for one in unsure for each in one.calls}
    assert sorted(stored) == sorted(everything)
    info = store.projects.get(PROJECT)
    assert (info.calls, info.feedback) == (len(everything), len(everything) // 20)
    page = store.feedback.query(FeedbackQuery(project=PROJECT, limit=1000))
    assert len({each.id for each in page.items}) == len(page.items)
    store.close()
