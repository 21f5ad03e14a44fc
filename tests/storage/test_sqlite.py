"""What is particular to the embedded store: its file, its migrations, its threads and processes."""

import multiprocessing
import os
import sqlite3
import subprocess
import sys
import threading
from importlib import resources

import parts
import pytest
from parts import PROJECT, batch, call, judgement, write_many

from kibitz.base.errors import (
    KibitzError,
    QueryTimeout,
    StorageDamaged,
    StorageFull,
    Unavailable,
)
from kibitz.query.nodes import CallQuery, Compare, Contains, Not, PathField
from kibitz.storage import sqlite
from kibitz.storage.sqlite import migrations


def _schema(connection):
    rows = connection.execute(
        "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' AND name != 'migrations'"
    )
    return sorted(rows)


def test_the_migrations_give_the_schema():
    migrated, written = sqlite3.connect(":memory:"), sqlite3.connect(":memory:")
    migrated.isolation_level = None
    migrations.migrate(migrated)
    schema = (resources.files("kibitz.storage") / "sql" / "schema.sql").read_text()
    for statement in migrations.split(schema):
        written.execute(statement)

    assert _schema(migrated) == _schema(written)
    migrated.close()
    written.close()


def test_opening_twice_migrates_once(tmp_path):
    sqlite.open_store(tmp_path).close()
    connection = sqlite3.connect(tmp_path / "kibitz.sqlite3", isolation_level=None)

    assert migrations.migrate(connection) == []
    assert [name for _, name, _ in migrations.available()] == [
        name for (name,) in connection.execute("SELECT name FROM migrations ORDER BY number")
    ]
    connection.close()


def test_a_store_of_a_newer_version_is_left_alone(tmp_path):
    sqlite.open_store(tmp_path).close()
    connection = sqlite3.connect(tmp_path / "kibitz.sqlite3", isolation_level=None)
    connection.execute("INSERT INTO migrations VALUES (9999, '9999_future.sql', 0)")
    connection.execute("PRAGMA user_version = 9999")
    connection.close()

    with pytest.raises(KibitzError, match="newer"):
        sqlite.open_store(tmp_path)


def test_a_file_that_is_no_store_is_named(tmp_path):
    (tmp_path / "kibitz.sqlite3").write_bytes(b"this is not a database, it is a text" * 100)

    with pytest.raises(StorageDamaged, match=r"kibitz\.sqlite3"):
        sqlite.open_store(tmp_path)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(Unavailable, match="cannot be made"):
        sqlite.open_store(tmp_path / "file" / "data")


def test_threads_that_write_together_lose_nothing(store):
    def work(name):
        for index in range(20):
            store.ingest.write(
                batch(
                    calls=[call(f"{name}-{index}-{each}") for each in range(5)],
                    feedback=[judgement(f"{name}-{index}-0", index)],
                )
            )

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcdefgh"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    info = store.projects.get(PROJECT)
    assert (info.calls, info.feedback) == (8 * 20 * 5, 8 * 20)
    page = store.calls.query(CallQuery(project=PROJECT, limit=1000))
    assert len({each.id for each in page.items}) == 800


def test_a_batch_that_fails_does_not_take_its_neighbours_along(store, monkeypatch):
    """Batches that were gathered into one transaction are retried one by one when it fails."""
    from kibitz.storage.sqlite import writing

    original = writing.write
    poison = "poison"

    def write(connection, names, batches):
        if any(each.calls and each.calls[0].id == poison for each in batches):
            raise sqlite3.IntegrityError("constraint failed")
        return original(connection, names, batches)

    monkeypatch.setattr(writing, "write", write)
    outcomes = {}
    store.ingest._lock.acquire()
    try:

        def work(call_id):
            try:
                outcomes[call_id] = store.ingest.write(batch(calls=[call(call_id)]))
            except KibitzError as error:
                outcomes[call_id] = error

        threads = [threading.Thread(target=work, args=(each,)) for each in ("a", poison, "b")]
        for thread in threads:
            thread.start()
        while len(store.ingest._waiting) < 3:
            threading.Event().wait(0.001)
    finally:
        store.ingest._lock.release()
    for thread in threads:
        thread.join()

    assert isinstance(outcomes[poison], KibitzError)
    assert store.calls.get(PROJECT, "a").id == "a"
    assert store.calls.get(PROJECT, "b").id == "b"


@pytest.mark.processes
def test_processes_that_write_one_folder_lose_nothing(tmp_path):
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=write_many, args=(tmp_path, name, 60)) for name in ("a", "b", "c")
    ]
    reader = None
    for process in processes:
        process.start()
    reader = sqlite.open_store(tmp_path)
    counts = []
    while any(process.is_alive() for process in processes):
        counts += [each.calls for each in reader.projects.list()]
        threading.Event().wait(0.02)
    for process in processes:
        process.join()

    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert reader.projects.get(PROJECT).calls == 3 * 60 * 10
    assert counts == sorted(counts)
    reader.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_writes_with_a_connection_of_its_own(tmp_path):
    code = """
import os, sys
sys.path[:0] = sys.argv[2:]
from pathlib import Path
from parts import PROJECT, batch, call
from kibitz.storage import sqlite
store = sqlite.open_store(Path(sys.argv[1]))
store.ingest.write(batch(calls=[call("parent")]))
store.calls.get(PROJECT, "parent")
child = os.fork()
if child == 0:
    store.ingest.write(batch(calls=[call("child")]))
    store.calls.get(PROJECT, "parent")
    os._exit(0)
_, status = os.waitpid(child, 0)
store.ingest.write(batch(calls=[call("after")]))
print(status, sorted(each.id for each in store.calls.trace(PROJECT, "child")), store.projects.get(PROJECT).calls)
store.close()
"""
    support = os.path.dirname(parts.__file__)
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), support], capture_output=True, text=True
    )

    assert done.stdout.split("\n")[0] == "0 ['child'] 3", done.stderr


def test_a_query_is_stopped_at_its_time_limit(tmp_path):
    opened = sqlite.open_store(tmp_path, query_timeout_s=0.000_001)
    opened.ingest.write(
        batch(calls=[call(f"c{index}", inputs={"t": "x" * 500}) for index in range(3000)])
    )

    with pytest.raises(QueryTimeout, match="bound it by time"):
        opened.calls.query(
            CallQuery(project=PROJECT, where=Not(Contains(PathField("inputs"), "x")), limit=10)
        )
    opened.close()


@pytest.mark.skipif(
    os.geteuid() != 0 or sys.platform != "linux", reason="needs root on Linux to mount a small disk"
)
def test_a_full_disk_is_said_and_survived(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", disk], capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount: {mounted.stderr.decode()}")
    try:
        opened = sqlite.open_store(disk / "data")
        acknowledged: list[str] = []

        def fill():
            for index in range(1000):
                part = call(f"c{index}", inputs={"t": "x" * 50_000})
                opened.ingest.write(batch(calls=[part]))
                acknowledged.append(part.id)

        with pytest.raises(StorageFull, match="make room"):
            fill()
        stored = len(acknowledged)
        assert opened.projects.get(PROJECT).calls == stored
        subprocess.run(["mount", "-o", "remount,size=20m", disk], check=True)
        opened.ingest.write(batch(calls=[call("after")]))
        assert opened.projects.get(PROJECT).calls == stored + 1
        opened.close()
    finally:
        subprocess.run(["umount", disk], check=True)


def test_upkeep_indexes_what_waits_and_stops(tmp_path):
    store = sqlite.open_store(tmp_path, upkeep=True)
    store.ingest.write(batch(calls=[call(f"c{index}") for index in range(1000)]))

    waiting = 1
    for _ in range(500):
        with store._readers.reading() as connection:
            waiting = connection.execute("SELECT count(*) FROM unworded").fetchone()[0]
        if not waiting:
            break
        threading.Event().wait(0.02)

    assert waiting == 0
    where = Contains(PathField("inputs"), "why?")
    assert len(store.calls.query(CallQuery(project=PROJECT, where=where, limit=1000)).items) == 1000
    store.close()
    assert "kibitz-upkeep" not in {thread.name for thread in threading.enumerate()}


def test_the_answer_is_the_same_whichever_table_leads(store):
    """Rare values are found through scores and words, common ones in the order of time."""
    calls = [
        call(f"c{index:05}", seconds=index, inputs={"tag": "rare" if index == 7 else "common"})
        for index in range(6000)
    ]
    for start in range(0, len(calls), 1000):
        store.ingest.write(batch(calls=calls[start : start + 1000]))
    while store.ingest.index_words(1000):
        pass

    def ids(value, **options):
        where = Compare(PathField("inputs", ("tag",)), "eq", value)
        return [
            each.id
            for each in store.calls.query(CallQuery(project=PROJECT, where=where, **options)).items
        ]

    assert ids("rare") == ["c00007"]
    assert ids("common", limit=3) == ["c05999", "c05998", "c05997"]
    assert ids("absent") == []
