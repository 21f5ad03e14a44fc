"""A store in programs that fork: no child inherits SQLite's account of what its parent has locked."""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kibitz.base import ids
from kibitz.base.errors import Unavailable
from kibitz.base.records import Batch, CallPart
from kibitz.query.nodes import CallQuery
from kibitz.storage import sqlite
from kibitz.storage.sqlite import forking
from kibitz.storage.sqlite.store import SqliteStore

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


def batch(name: str) -> Batch:
    now = datetime.now(UTC)
    call_id = ids.new_id()
    part = CallPart(id=call_id, trace_id=call_id, op=name, started_at=now, ended_at=now)
    return Batch(project="p", calls=[part])


def names(store: SqliteStore) -> list[str]:
    return sorted(call.op for call in store.calls.query(CallQuery(project="p")).items)


def in_child(work: Callable[[], object]) -> int:
    """Fork and do it there; gives the child, which ends with 0 when nothing was raised."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 the child of a test has nobody else to tell
            os.write(2, f"{error!r}\n".encode())
            os._exit(1)
        os._exit(0)
    return child


def ended(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


class Held:
    """A thread that is inside of a transaction until it may leave."""

    def __init__(self, store: SqliteStore, *, writes: bool) -> None:
        self._inside, self._leave = threading.Event(), threading.Event()
        self._store = store
        self._thread = threading.Thread(target=self._write if writes else self._read)
        self._thread.start()
        assert self._inside.wait(5)

    def _write(self) -> None:
        def work(connection: object) -> None:
            self._inside.set()
            self._leave.wait()

        self._store.ingest.change(work)

    def _read(self) -> None:
        readers = self._store._readers  # pyright: ignore[reportPrivateUsage]
        with readers.reading():
            self._inside.set()
            self._leave.wait()

    def end(self) -> None:
        self._leave.set()
        self._thread.join()


@pytest.mark.parametrize("writes", [True, False], ids=["writes", "reads"])
def test_a_fork_waits_for_who_is_inside_and_the_child_writes_at_once(tmp_path: Path, writes: bool):
    store = sqlite.open_store(tmp_path)
    store.ingest.write(batch("before"))
    held = Held(store, writes=writes)
    threading.Timer(0.2, held.end).start()

    child = in_child(lambda: store.ingest.write(batch("child")))
    store.ingest.write(batch("parent"))

    assert ended(child) == 0
    assert names(store) == ["before", "child", "parent"]
    store.close()


def test_what_a_child_writes_outlives_a_parent_that_closed_the_store_first(tmp_path: Path):
    store = sqlite.open_store(tmp_path)
    store.ingest.write(batch("parent"))
    read, write = os.pipe()

    def work() -> None:
        store.ingest.write(batch("child, before"))
        os.read(read, 1)
        store.ingest.write(batch("child, after"))
        # Not closed: an owner of the file's locks must not depend on it.

    child = in_child(work)
    while "child, before" not in names(store):
        time.sleep(0.01)
    store.close()
    os.write(write, b".")

    assert ended(child) == 0
    again = sqlite.open_store(tmp_path)
    assert names(again) == ["child, after", "child, before", "parent"]
    again.close()


@pytest.mark.parametrize("writes", [True, False], ids=["writes", "reads"])
def test_a_child_of_a_fork_that_could_not_wait_is_kept_from_the_file(
    tmp_path: Path, writes: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(forking, "LONGEST_WAIT_S", 0.05)
    store = sqlite.open_store(tmp_path)
    store.ingest.write(batch("before"))
    held = Held(store, writes=writes)

    def work() -> None:
        for attempt in (
            lambda: store.ingest.write(batch("child")),
            lambda: names(store),
            lambda: sqlite.open_store(tmp_path),
        ):
            with pytest.raises(Unavailable, match="was in use when this process was forked"):
                attempt()
        elsewhere = sqlite.open_store(tmp_path / "elsewhere")
        elsewhere.ingest.write(batch("child"))
        assert names(elsewhere) == ["child"]

    child = in_child(work)
    held.end()
    store.ingest.write(batch("after"))

    assert ended(child) == 0
    assert names(store) == ["after", "before"]
    store.close()


def test_who_forks_in_the_middle_of_reading_reads_on(tmp_path: Path):
    store = sqlite.open_store(tmp_path)
    store.ingest.write(batch("before"))
    readers = store._readers  # pyright: ignore[reportPrivateUsage]

    with readers.reading() as connection:
        child = in_child(lambda: None)
        assert connection.execute("SELECT count(*) FROM calls").fetchone() == (1,)

    assert ended(child) == 0
    store.close()


def test_who_forks_in_the_middle_of_reading_leaves_no_lock_to_the_child(tmp_path: Path):
    store = sqlite.open_store(tmp_path)
    store.ingest.write(batch("before"))
    readers = store._readers  # pyright: ignore[reportPrivateUsage]
    held, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with readers._lock:  # pyright: ignore[reportPrivateUsage]
            held.set()
            leave.wait()

    thread = threading.Thread(target=hold)

    def work() -> None:
        signal.alarm(10)
        with pytest.raises(Unavailable, match="was in use when this process was forked"):
            names(store)

    with readers.reading():
        thread.start()
        assert held.wait(5)
        child = in_child(work)
    leave.set()
    thread.join()

    assert ended(child) == 0
    store.close()


@pytest.mark.parametrize("when", ["before", "after_in_parent"])
def test_an_interrupted_hook_of_a_fork_keeps_nobody_out(when: str):
    def work() -> None:
        # In a process of its own, which keeps these hooks; the interrupt comes right before the gate's.
        gate = forking._Gate()  # pyright: ignore[reportPrivateUsage]
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.unraisablehook = lambda found: interrupted.append(found.exc_type)
        interrupted: list[object] = []
        if when == "before":
            forking.register(gate)
            os.register_at_fork(before=_thread.interrupt_main)
        else:
            os.register_at_fork(after_in_parent=_thread.interrupt_main)
            forking.register(gate)
        grandchild = os.fork()
        if grandchild == 0:
            os._exit(0)
        ended(grandchild)
        assert interrupted == [KeyboardInterrupt]
        passes(gate.enter)

    assert ended(in_child(work)) == 0


def test_a_signal_handler_may_fork_while_its_thread_is_at_the_gate():
    gate = forking._Gate()  # pyright: ignore[reportPrivateUsage]

    def handled() -> None:
        with gate._changed:  # pyright: ignore[reportPrivateUsage]
            gate.before_fork()
            gate.after_fork_in_parent()
            gate.leave(gate.enter())

    passes(handled)


def passes(work: Callable[[], object]) -> None:
    """Do it in a thread, which must come to its end."""
    done = threading.Event()

    def run() -> None:
        work()
        done.set()

    threading.Thread(target=run, daemon=True).start()
    assert done.wait(10)
