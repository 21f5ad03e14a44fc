"""How many calls a second a server takes, durable and queryable when it says so.

A real server process over an empty folder; a client process sends batches of 200 calls over a few
keep-alive connections, each as soon as the answer to the last is there. A call is about 2 kB of JSON:
a question, retrieved passages and an answer of varied words. Bodies are made, and compressed where asked,
before the clock starts; the server's whole work is inside. After the run every acknowledged call is asked
for by id over the API.

The baseline is the same rows, as many to a transaction, into one bare SQLite table with the same journal
settings, in the same run.

    python -m benchmarks.ingest --json [--quick] [--connections 4] [--zstd]
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import zstandard

from kibitz.base import wire
from kibitz.base.records import Batch, CallPart
from kibitz.client.http import Connection
from kibitz.client.reading import RemoteStore
from kibitz.query import json_form
from kibitz.testing.serving import ServerProcess

PROJECT = "bench/ingest"
BATCH_CALLS = 200
CALL_BYTES = 2_000
START = datetime(2026, 1, 1, tzinfo=UTC)
_SYLLABLES = [a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "an", "er", "ing")]


def vocabulary(random_: random.Random, size: int = 20_000) -> list[str]:
    """Made-up words; a text of them compresses and splits as text does."""
    return ["".join(random_.choices(_SYLLABLES, k=random_.randint(1, 4))) for _ in range(size)]


def make_call(random_: random.Random, words: list[str], number: int) -> CallPart:
    """One call of about `CALL_BYTES` bytes of JSON."""

    def text(characters: int) -> str:
        # Common words are common: the smaller of two draws.
        found: list[str] = []
        while characters > 0:
            word = words[min(random_.randrange(len(words)), random_.randrange(len(words)))]
            found.append(word)
            characters -= len(word) + 1
        return " ".join(found)

    started = START + timedelta(milliseconds=number * 7)
    return CallPart(
        id=f"01900000-0000-7000-8000-{number:012x}",
        trace_id=f"01900000-0000-7000-9000-{number // 4:012x}",
        op=random_.choice(("answer", "retrieve", "rerank", "llm", "parse")),
        started_at=started,
        ended_at=started + timedelta(milliseconds=random_.randint(5, 4000)),
        inputs={
            "question": text(120),
            "passages": [{"text": text(250), "score": random_.random()} for _ in range(3)],
            "temperature": 0.2,
        },
        output={"text": text(450), "quotes": [text(60), text(60)], "found": random_.random() < 0.8},
        attributes={"environment": "production", "release": "2026.1", "user": f"u{number % 997}"},
        summary={"usage": {"m-large": {"input": random_.randint(50, 900), "output": 120}}},
    )


def make_bodies(calls: int) -> tuple[list[bytes], list[list[str]], float]:
    """(bodies, the ids in each, mean bytes of a call)."""
    random_ = random.Random(7)
    words = vocabulary(random_)
    bodies: list[bytes] = []
    ids: list[list[str]] = []
    for first in range(0, calls, BATCH_CALLS):
        parts = [
            make_call(random_, words, number)
            for number in range(first, min(calls, first + BATCH_CALLS))
        ]
        bodies.append(wire.encode(Batch(project=PROJECT, calls=parts)))
        ids.append([part.id for part in parts])
    return bodies, ids, sum(map(len, bodies)) / calls


def send_all(url: str, bodies: list[bytes], encoding: str, connections: int) -> dict[str, Any]:
    """Send every body once and time it; runs in the client process."""
    host = url.removeprefix("http://")
    waiting = list(enumerate(bodies))[::-1]
    lock = threading.Lock()
    latencies: list[float] = []
    acknowledged: list[int] = []
    failures: list[str] = []
    barrier = threading.Barrier(connections + 1)

    def work() -> None:
        connection = http.client.HTTPConnection(host, timeout=60)
        connection.connect()
        headers = {"Content-Type": "application/json"}
        if encoding:
            headers["Content-Encoding"] = encoding
        barrier.wait()
        while True:
            with lock:
                if not waiting:
                    return
                index, body = waiting.pop()
            begun = time.perf_counter()
            connection.request("POST", "/api/v1/ingest", body, headers)
            response = connection.getresponse()
            receipt = json.loads(response.read())
            took = time.perf_counter() - begun
            with lock:
                if response.status == 200 and not receipt.get("rejected"):
                    latencies.append(took)
                    acknowledged.append(index)
                else:
                    failures.append(f"{response.status} {str(receipt)[:200]}")

    threads = [threading.Thread(target=work) for _ in range(connections)]
    for thread in threads:
        thread.start()
    barrier.wait()
    begun = time.perf_counter()
    for thread in threads:
        thread.join()
    return {
        "seconds": time.perf_counter() - begun,
        "acknowledged": acknowledged,
        "failures": failures,
        "latencies": sorted(latencies),
    }


def verify(url: str, ids: list[str]) -> int:
    """How many of the acknowledged calls the API gives back by id."""
    store = RemoteStore(Connection(url, timeout_s=60))
    found = 0
    for first in range(0, len(ids), 1000):
        wanted = ids[first : first + 1000]
        query = json_form.parse_query(
            {"project": PROJECT, "filter": {"ids": wanted}, "limit": len(wanted)}
        )
        found += len({call.id for call in store.calls.query(query).items} & set(wanted))
    store.close()
    return found


def raw_sqlite(folder: Path, bodies: list[bytes]) -> float:
    """Rows a second of the same calls into one bare table: id, start, JSON."""
    rows = [
        [(call["id"], call["started_at"], json.dumps(call)) for call in json.loads(body)["calls"]]
        for body in bodies
    ]
    return raw_rows_per_s(folder, rows)


def raw_rows_per_s(folder: Path, batches: list[list[tuple[str, str, str]]]) -> float:
    """Rows of three texts a second into one bare table, a batch a transaction."""
    connection = sqlite3.connect(folder / "raw.sqlite3", isolation_level=None)
    connection.execute("PRAGMA page_size = 8192")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("CREATE TABLE rows (id TEXT PRIMARY KEY, second TEXT, body TEXT)")
    begun = time.perf_counter()
    for batch in batches:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO rows VALUES (?, ?, ?)", batch)
        connection.execute("COMMIT")
    seconds = time.perf_counter() - begun
    connection.close()
    return sum(map(len, batches)) / seconds


def run(calls: int, connections: int, encoding: str) -> dict[str, Any]:
    """The whole measurement."""
    bodies, ids, call_bytes = make_bodies(calls)
    sent = [zstandard.compress(body, 1) for body in bodies] if encoding else bodies
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        raw_rows_per_s = raw_sqlite(folder, bodies)
        with ServerProcess(folder / "data") as server:
            result = in_process(server.url, sent, encoding, connections, folder)
            acknowledged = [id_ for index in result["acknowledged"] for id_ in ids[index]]
            queryable = verify(server.url, acknowledged)
    latencies: list[float] = result["latencies"]
    durable_per_s = len(acknowledged) / result["seconds"]
    return {
        "durable_calls_per_s": round(durable_per_s),
        "raw_sqlite_rows_per_s": round(raw_rows_per_s),
        "ratio": round(durable_per_s / raw_rows_per_s, 3),
        "calls": calls,
        "acknowledged": len(acknowledged),
        "queryable": queryable,
        "failures": result["failures"][:3],
        "batch_calls": BATCH_CALLS,
        "call_bytes": round(call_bytes),
        "connections": connections,
        "encoding": encoding or "identity",
        "batch_p50_ms": round(1000 * latencies[len(latencies) // 2], 1) if latencies else None,
        "batch_p99_ms": round(1000 * latencies[int(len(latencies) * 0.99)], 1)
        if latencies
        else None,
        "bodies_prepared_before_timing": True,
    }


def in_process(
    url: str, bodies: list[bytes], encoding: str, connections: int, folder: Path
) -> dict[str, Any]:
    """`send_all` in a process of its own, so that the client does not share the server's interpreter, nor this one."""
    path = folder / "bodies"
    with path.open("wb") as file:
        for body in bodies:
            file.write(len(body).to_bytes(8, "big") + body)
    command = [sys.executable, "-m", "benchmarks.ingest", "--send", url, str(path)]
    command += ["--connections", str(connections), *(["--zstd"] if encoding else [])]
    finished = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return json.loads(finished.stdout)


def _send(url: str, path: str, encoding: str, connections: int) -> None:
    bodies: list[bytes] = []
    with Path(path).open("rb") as file:
        while size := file.read(8):
            bodies.append(file.read(int.from_bytes(size, "big")))
    print(json.dumps(send_all(url, bodies, encoding, connections)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quick", action="store_true", help="20,000 calls instead of 200,000")
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--zstd", action="store_true", help="send bodies compressed")
    parser.add_argument("--send", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    encoding = "zstd" if given.zstd else ""
    if given.send:
        _send(*given.send, encoding, given.connections)
        return 0
    result = run(20_000 if given.quick else 200_000, given.connections, encoding)
    if given.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name:32} {value}")
    complete = result["queryable"] == result["acknowledged"] == result["calls"]
    return 0 if complete else 1


if __name__ == "__main__":
    raise SystemExit(main())
